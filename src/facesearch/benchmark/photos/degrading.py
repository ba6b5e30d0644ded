"""Degrade photos by a known amount, to measure the effect on recognition.

Every function takes and returns (H, W, 3) uint8 RGB, does not change its argument, and is deterministic.
"""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from facesearch.common.arrays import PixelArray
from facesearch.common.validation import check_float, check_int, check_is
from facesearch.domain.geometry import BoundingBox
from facesearch.errors import InvalidParameterError

__all__ = ["blurred", "compressed", "covered", "darkened", "shrunk"]

# A small camera in good light: electrons of a white pixel, and electrons of read noise (typical of a phone's
# 1.4 micrometre pixels; EMVA 1288 has the model: shot noise is Poisson's, read noise Gauss's).
_FULL_WELL: Final = 4000.0
_READ_NOISE: Final = 4.0
_GAMMA: Final = 2.2  # of sRGB, nearly: values are light to the power of its inverse


def blurred(pixels: PixelArray, sigma: float) -> PixelArray:
    """Blur a photo, approximately as a lens out of focus.

    Parameters
    ----------
    pixels
        The photo.
    sigma
        Standard deviation of the Gaussian in pixels, >= 0.

    Raises
    ------
    InvalidParameterError
        If *sigma* is out of range.
    """
    radius = check_float("sigma", sigma, 0)
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def darkened(pixels: PixelArray, light: float, *, seed: int = 0) -> PixelArray:
    """Darken a photo and add the noise of the sensor.

    Parameters
    ----------
    pixels
        The photo.
    light
        Share of the light that is left, 0-1; 0.1 is some three stops less. At 1 only the noise is added.
    seed
        Of the noise, >= 0.

    Raises
    ------
    InvalidParameterError
        If an argument is out of range.

    References
    ----------
    EMVA Standard 1288, release 4.0, for the model of the noise.
    """
    share = check_float("light", light, 0, 1)
    rng = np.random.default_rng(check_int("seed", seed, 0))
    electrons = (pixels / np.float64(255)) ** _GAMMA * share * _FULL_WELL
    read = rng.poisson(electrons) + rng.normal(0, _READ_NOISE, pixels.shape)
    return np.rint(np.clip(read / _FULL_WELL, 0, 1) ** (1 / _GAMMA) * 255).astype(np.uint8)


def shrunk(pixels: PixelArray, factor: float) -> PixelArray:
    """Reduce a photo, as if taken from farther away.

    Parameters
    ----------
    pixels
        The photo.
    factor
        Factor of its sides, above 0 and at most 1; no side gets less than one pixel.

    Raises
    ------
    InvalidParameterError
        If *factor* is out of range.
    """
    if check_float("factor", factor, 0, 1) == 0:
        raise InvalidParameterError.of("factor", factor, "a number above 0, at most 1")
    height, width = pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def compressed(pixels: PixelArray, quality: int) -> PixelArray:
    """Compress a photo as JPEG and decode it.

    Parameters
    ----------
    pixels
        The photo.
    quality
        1-95, libjpeg's scale.

    Raises
    ------
    InvalidParameterError
        If *quality* is out of range.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=check_int("quality", quality, 1, 95))
    with Image.open(file, formats=["JPEG"]) as image:  # just written above
        return np.asarray(image)


def covered(pixels: PixelArray, box: BoundingBox, share: float) -> PixelArray:
    """Cover the lower part of a face with grey, as a hand, a scarf or a glass would.

    Parameters
    ----------
    pixels
        The photo.
    box
        Of the face.
    share
        Of the box's height, 0-1, from its lower edge up.

    Raises
    ------
    InvalidParameterError
        If *share* is out of range.
    """
    check_is("box", box, BoundingBox)
    height, width = pixels.shape[:2]
    left, top, right, bottom = box.to_pixels(width, height)
    start = bottom - check_float("share", share, 0, 1) * (bottom - top)
    rows, columns = (slice(max(0, round(a)), max(0, round(b))) for a, b in ((start, bottom), (left, right)))
    worse = pixels.copy()
    worse[rows, columns] = 128
    return worse
