"""Pictures that the page shows: always encoded anew, never a file as it is."""

import io
from typing import Final

import numpy as np
from PIL import Image

from facesearch.common.arrays import PixelArray
from facesearch.domain.geometry import BoundingBox
from facesearch.images.stored_thumbnails import small_picture

__all__ = ["PLACEHOLDER", "face_crop", "reencoded", "screen_copy"]

_FACE_SIDE: Final = 224  # pixels: 112 on a screen of double density
_SCREEN_SIDE: Final = 1600  # pixels of the longer side of a photo
_MARGIN: Final = 0.3  # around a face, in sizes of its box
_QUALITY: Final = 85

PLACEHOLDER: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 112 112">'
    b'<rect width="112" height="112" fill="#8b8f97" fill-opacity=".18"/>'
    b'<g fill="none" stroke="#8b8f97" stroke-width="3" stroke-linecap="round" stroke-dasharray="5 6">'
    b'<circle cx="56" cy="46" r="17"/><path d="M24 92c3-19 15-27 32-27s29 8 32 27"/></g></svg>'
)
"""An SVG file shown where there is no picture."""


def face_crop(pixels: PixelArray, box: BoundingBox) -> bytes:
    """Return a square JPEG, 224 pixels a side, of the face at a box in a photo, (H, W, 3) uint8 RGB."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box.to_pixels(width, height)
    side = min(max(right - left, bottom - top) * (1 + 2 * _MARGIN), width, height)
    # Moved rather than cut where the square extends beyond the photo.
    x = min(max((left + right - side) / 2, 0), width - side)
    y = min(max((top + bottom - side) / 2, 0), height - side)
    image = Image.fromarray(pixels)
    return _jpeg(
        image.resize((_FACE_SIDE, _FACE_SIDE), Image.Resampling.LANCZOS, box=(x, y, x + side, y + side), reducing_gap=2)
    )


def screen_copy(pixels: PixelArray) -> bytes:
    """Return a photo, (H, W, 3) uint8 RGB, as a JPEG of at most 1,600 pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((_SCREEN_SIDE, _SCREEN_SIDE), Image.Resampling.LANCZOS)
    return _jpeg(image)


def reencoded(thumbnail: bytes) -> bytes | None:
    """Return a stored thumbnail as a new JPEG, without what else its bytes may contain; ``None`` if it is damaged."""
    pixels = small_picture(thumbnail)
    return None if pixels is None else _jpeg(Image.fromarray(np.ascontiguousarray(pixels)))


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
