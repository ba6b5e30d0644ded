"""Decode the first frame of WebP files."""

import io
import struct
from typing import Final

from PIL import Image, features
from PIL.WebPImagePlugin import WebPImageFile

from facesearch.images.formats.raster import (
    Admit,
    DamagedPictureError,
    UnsupportedPictureError,
    orientation_in,
    upright,
)

__all__ = ["decode"]

_HEAD: Final = 12  # bytes of RIFF, length, WEBP
_SIDE: Final = 0x3FFF  # bits of a side in a frame's own header


def decode(data: bytes, admit: Admit) -> Image.Image:
    """Decode a WebP, or the first frame of an animated one, upright by its EXIF orientation."""
    if not features.check("webp"):
        raise UnsupportedPictureError("expected a Pillow that reads WebP, got one built without: pip install -U pillow")
    size, orientation = _header(data)
    admit(*size)  # opening allocates the canvas
    image = WebPImageFile(io.BytesIO(data))
    if image.size != size:
        raise DamagedPictureError("its headers disagree about its size")
    image.load()
    return upright(image, orientation)


def _header(data: bytes) -> tuple[tuple[int, int], int]:
    """Read the size of the canvas and the EXIF orientation from the list of chunks."""
    size, orientation = None, 1
    at, end = _HEAD, 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise DamagedPictureError("it breaks off")
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sL", data, at)
        start, at = at + 8, at + 8 + length + length % 2
        if start + length > end:
            raise DamagedPictureError("a chunk breaks off")
        if size is None:
            size = _size(kind, data[start : start + 10])
        if kind == b"EXIF":
            orientation = orientation_in(data[start : start + length].removeprefix(b"Exif\0\0"))
    if size is None:
        raise DamagedPictureError("it has no picture")
    return size, orientation


def _size(kind: bytes, head: bytes) -> tuple[int, int] | None:
    if kind == b"VP8X" and len(head) == 10:  # noqa: PLR2004 - as above
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if kind == b"VP8L" and len(head) >= 5:  # noqa: PLR2004 - a signature and two sides of 14 bits
        bits = int.from_bytes(head[1:5], "little")
        return 1 + (bits & _SIDE), 1 + (bits >> 14 & _SIDE)
    if kind == b"VP8 " and len(head) == 10:  # noqa: PLR2004 - as above
        width, height = struct.unpack_from("<HH", head, 6)
        return width & _SIDE, height & _SIDE
    return None
