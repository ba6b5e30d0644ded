"""Check and decode stored thumbnails and previews, which may come from an untrusted file."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facesearch.errors import ImageError
from facesearch.images.decoding import decoded
from facesearch.images.formats.jpeg import size_of
from facesearch.images.formats.raster import DamagedPictureError
from facesearch.images.thumbnails import THUMBNAIL_SIDE

__all__ = ["MAX_THUMBNAIL_BYTES", "is_thumbnail", "small_picture"]

MAX_THUMBNAIL_BYTES: Final = 32_768
"""Most bytes of a face's thumbnail; pure noise comes to some 12,000."""
_LONGEST_SIDE: Final = 1000  # pixels; previews have up to 640


def is_thumbnail(data: Any) -> bool:
    """Check whether a value is a thumbnail by its headers: a JPEG of 112 x 112 pixels and at most 32,768 bytes."""
    try:
        right = isinstance(data, bytes) and len(data) <= MAX_THUMBNAIL_BYTES
        return right and size_of(data) == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    except DamagedPictureError:
        return False


def small_picture(jpeg: bytes) -> npt.NDArray[np.uint8] | None:
    """Decode a thumbnail or a preview to (H, W, 3) uint8 RGB; ``None`` where it is no small JPEG, or damaged."""
    try:
        image = decoded(jpeg, "picture", ("JPEG",), _check_small)
    except ImageError:
        return None
    return np.asarray(image.convert("RGB"))


def _check_small(width: int, height: int) -> None:
    if max(width, height) > _LONGEST_SIDE:
        raise ImageError(f"picture: expected at most {_LONGEST_SIDE} pixels a side, got {width} x {height}")
