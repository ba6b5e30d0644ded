"""Measure the brightness and sharpness of a face on its chip, so that photos of any size can be compared.

Both are designed not to depend on skin tone: docs/quality.md has the alternatives tried and the differences between groups.
"""

import math
from functools import cache
from typing import Final

import numpy as np

from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.domain.face_detail import ImageQuality
from facesearch.stages import CHIP_SIZE

__all__ = ["measure_quality"]

# ITU-R BT.601: weights of red, green and blue in luma.
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)

# The face in its chip, ellipses as (half width, half height, row of the centre) in pixels: from brow to chin, and with its
# outline.
_INNER, _WHOLE = (36, 46, 78), (45, 58, 80)

# A step that a lens has blurred by sigma rises at a rate of 1 / sigma. Blurring it again by a known amount flattens it by
# a ratio that determines sigma, whatever the height of the step.
_FINE, _COARSE = 1.5, 3.0  # sigmas in pixels of the chip
_EDGES: Final = 95  # percentile: as steep as the steepest twentieth of the face
_FLAT: Final = 0.01  # luma over two pixels: no edge, whatever rounding makes of it
_HALF_SHARP: Final = 4.0  # pixels of blur where sharpness is 50


def measure_quality(chip: PixelArray) -> ImageQuality:
    """Measure brightness and sharpness of one face.

    Parameters
    ----------
    chip
        (150, 150, 3) uint8 RGB.

    Returns
    -------
    ImageQuality
        ``brightness``: luma of the brightest spot of the face, 3 pixels wide, 0 black to 100 white: the amount of light, nearly the
        same for dark and light skin. ``sharpness``: 0 without any detail to 100; 50 where the face's outlines look as if
        blurred by 4 pixels of the chip, a fortieth of its side. Both fall with darkness and blur.

    References
    ----------
    The brightest spot stands for the light: Land and McCann, doi:10.1364/JOSA.61.000001. Blur from an edge blurred again: Zhuo
    and Sim, doi:10.1016/j.patcog.2011.03.009.
    """
    luma = chip.astype(np.float32) @ _LUMA
    return ImageQuality(brightness=_brightness(luma), sharpness=_sharpness(luma))


def _brightness(luma: FloatArray) -> float:
    # The mean of every patch, by its columns and then its rows.
    columns = luma[:, :-2] + luma[:, 1:-1] + luma[:, 2:]
    patches = (columns[:-2] + columns[1:-1] + columns[2:]) / 9
    return min(100.0, max(0.0, float(patches[_INNER_MASK[1:-1, 1:-1]].max()) / 255 * 100))


def _sharpness(luma: FloatArray) -> float:
    once = _blurred(luma[_WHOLE_FRAME], _FINE)
    twice = _blurred(once, math.sqrt(_COARSE**2 - _FINE**2))
    fine, coarse = _slopes(once), _slopes(twice)
    edges = coarse >= max(float(np.percentile(coarse, _EDGES)), _FLAT)
    ratio = float(np.median(fine[edges] / coarse[edges])) if edges.any() else 0.0
    if ratio <= 1:
        return 0.0
    variance = max(0.0, (_COARSE**2 - (ratio * _FINE) ** 2) / (ratio**2 - 1))
    return 100 / (1 + variance / _HALF_SHARP**2)


def _blurred(luma: FloatArray, sigma: float) -> FloatArray:
    """Blur by a Gaussian, cut off at three sigmas; beyond the edge the picture is mirrored.

    As `scipy.ndimage.gaussian_filter` does, to 1e-4. Importing that takes 0.2 s of the first search. Two matrix products would take
    0.1 ms less on an idle machine, but OpenBLAS runs them on all cores, and where those are busy they take 24 ms instead of 0.3.
    """
    weights = _gaussian(sigma)
    radius = len(weights) - 1
    for _ in range(2):  # rows; then, transposed, columns
        size = len(luma)
        padded = np.pad(luma, ((radius, radius), (0, 0)), mode="symmetric")
        blurred = padded[radius : radius + size] * weights[0]
        for offset in range(1, radius + 1):
            pair = padded[radius - offset :][:size] + padded[radius + offset :][:size]
            pair *= weights[offset]
            blurred += pair
        luma = blurred.T
    return luma


@cache
def _gaussian(sigma: float) -> FloatArray:
    """Return the weights of a Gaussian's middle and of what lies right of it; with their mirror image they add up to 1."""
    half = np.exp(-0.5 * (np.arange(round(3 * sigma) + 1) / sigma) ** 2)
    weights: FloatArray = (half / (2 * half.sum() - half[0])).astype(np.float32)
    return weights


def _slopes(luma: FloatArray) -> FloatArray:
    """Return the gradient of luma at each pixel of the face."""
    down, across = luma[2:, 1:-1] - luma[:-2, 1:-1], luma[1:-1, 2:] - luma[1:-1, :-2]
    slopes: FloatArray = np.hypot(down, across)[_WHOLE_MASK[_WHOLE_FRAME][1:-1, 1:-1]]
    return slopes


def _ellipse(width: float, height: float, row: float) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    y, x = np.mgrid[:CHIP_SIZE, :CHIP_SIZE]
    inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = ((x - (CHIP_SIZE - 1) / 2) / width) ** 2 + (
        (y - row) / height
    ) ** 2 < 1
    return inside


_INNER_MASK, _WHOLE_MASK = _ellipse(*_INNER), _ellipse(*_WHOLE)
# The part of the chip with the face, and as much around it as the blur reaches.
_WHOLE_FRAME = (slice(_WHOLE[2] - _WHOLE[1] - 10, CHIP_SIZE), slice(20, CHIP_SIZE - 20))
