"""Code shared by all picture formats: limits of size, the EXIF orientation, and the error for a damaged file."""

import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from PIL import Image

from facesearch.errors import ImageTooLargeError, ImageTooSmallError

__all__ = [
    "DEEP_WHITE",
    "MAX_SIDE",
    "MIN_SIDE",
    "Admit",
    "DamagedPictureError",
    "UnsupportedPictureError",
    "are_low_bytes",
    "check_sides",
    "low_bytes_error",
    "orientation_in",
    "upright",
]

MIN_SIDE: Final = 80
"""Fewest pixels of width and of height (developer guide, "Guidelines and quotas")."""
MAX_SIDE: Final = 10_000
"""Most pixels of width and of height; AWS: "dimensions 10800 x 5400 exceed maximum dimension size of 10000 pixels"."""
DEEP_WHITE: Final = 0xFFFF
"""The highest 16-bit sample."""

Admit: TypeAlias = Callable[[int, int], None]
"""Called with width and height, in pixels, before a picture of that size is decoded; raises when it is out of bounds."""

_ORIENTATION: Final = 0x0112  # a TIFF tag
_INTEGERS: Final = {3: "H", 4: "L"}  # TIFF types of the tag: SHORT by the standard, LONG by some writers
_UPRIGHT: Final = {  # EXIF orientation -> transpose that makes the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class DamagedPictureError(ValueError):
    """A file is damaged. The message names the damage and never quotes the file."""


class UnsupportedPictureError(ValueError):
    """A file may be intact, but is of a kind that is not read. The message reads ``expected ..., got ...: next step``."""


def are_low_bytes(image: Image.Image) -> bool:
    """Return whether no colour sample of an RGB or RGBA picture, each the high byte of 16 bits, is above zero.

    The samples then are 8-bit values in 16 bits, or the picture is black.
    """
    return all(image.getchannel(band).getextrema() == (0, 0) for band in "RGB")


def low_bytes_error(kind: str) -> str:
    """Return the message for a file whose 16-bit samples hold 8-bit values, where these can't be had."""
    return f"expected a {kind} of 8-bit samples, got 16-bit samples that are all below 256: write them as uint8"


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Rotate or mirror a stored picture by its EXIF orientation; values other than 2 to 8 leave it unchanged."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def orientation_in(tiff: bytes) -> int:
    """Find the orientation tag in an EXIF block; 1 (upright) where it is missing or the block is malformed."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}L", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHL", tiff, entry)
            if tag == _ORIENTATION and kind in _INTEGERS and values == 1:
                return int(struct.unpack_from(order + _INTEGERS[kind], tiff, entry + 8)[0])
    except struct.error:
        pass
    return 1


def check_sides(width: int, height: int, name: str) -> None:
    """Refuse a picture that is too large or too small."""
    if max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(f"{name}: expected at most {MAX_SIDE:,} pixels a side, got {width} x {height}")
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmallError(f"{name}: expected at least {MIN_SIDE} pixels a side, got {width} x {height}")
