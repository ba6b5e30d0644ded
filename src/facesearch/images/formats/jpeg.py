"""Decode JPEG files without their metadata.

The markers are parsed here, since libjpeg and Pillow accept anything that follows. A file whose EXIF segment is shorter than its content
spills the EXIF thumbnail into the list of segments; the thumbnail would be decoded in place of the photo.
"""

import io
import re
from typing import Any, Final, cast

import attrs
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from facesearch.images.formats.raster import Admit, DamagedPictureError, orientation_in, upright

__all__ = ["MAX_SCANS", "MAX_SEGMENTS", "check_scans", "decode", "size_of"]

MAX_SEGMENTS: Final = 4096
"""Most segments before a JPEG's first scan: ours, four times what 15 MB of full segments, ICC and XMP parts come to."""
MAX_SCANS: Final = 32
"""Most scans in a JPEG: ours, three times the 10 of libjpeg's progressive script. Each scan costs some 0.03 s at 100 megapixels."""

_START, _END, _SCAN, _EXIF = 0xD8, 0xD9, 0xDA, 0xE1  # JPEG markers
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_METADATA: Final = frozenset(range(0xE0, 0xFF)) - {0xE0, 0xEE}  # APP0 and APP14 stay: they define the colour space
_MARKER: Final = re.compile(rb"\xff([^\x00\xff])")  # skips junk and fill bytes, as libjpeg does
_AT_MARKER: Final = re.compile(rb"\xff+[^\x00\xff]")  # a marker at this place, after fill bytes at most
_START_OR_FRAME: Final = re.compile(  # a start marker, or a frame header of 8 bits and 1 to 4 components
    rb"\xff\xd8(?=\xff)|\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]\x00[\x0b\x0e\x11\x14]\x08"
)


@attrs.frozen
class _Header:
    """The segments before the first scan."""

    kept: tuple[bytes, ...]  # segments that make the pixels
    orientation: int  # EXIF, 1 to 8 or anything else
    scan: int  # offset of the first scan's data
    has_junk: bool  # bytes between segments that belong to none


def decode(data: bytes, admit: Admit) -> Image.Image:
    """Decode a JPEG without its metadata; unlike load, frombytes never accepts a truncated file as complete."""
    header = _header(data)
    end = _end_of_scans(data, header.scan)
    _check_is_outermost(data, end, has_junk=header.has_junk)
    lean = b"".join([*header.kept, data[header.scan :]])
    opened = JpegImageFile(io.BytesIO(lean))
    admit(*opened.size)
    image = Image.frombytes(opened.mode, opened.size, lean, "jpeg", cast("Any", opened.tile[0][3]))
    return upright(image, header.orientation)


def size_of(data: bytes) -> tuple[int, int]:
    """Read the stored width and height of a JPEG, in pixels, after checking its segments and scans; nothing is decoded.

    Bytes that are no JPEG, or are damaged before the first scan, or have too many scans, raise a `DamagedPictureError`.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        raise DamagedPictureError("it is no JPEG")
    header = _header(data)
    _check_is_outermost(data, _end_of_scans(data, header.scan), has_junk=header.has_junk)
    frames = [segment for segment in header.kept if segment[1] in _FRAMES]
    if len(frames) != 1 or len(frames[0]) < 9:  # noqa: PLR2004 - marker, length, depth, height, width
        raise DamagedPictureError("expected one frame header before its first scan")
    return int.from_bytes(frames[0][7:9], "big"), int.from_bytes(frames[0][5:7], "big")


def check_scans(data: bytes) -> None:
    """Refuse a JPEG, or an abbreviated one as in TIFF, with too many scans."""
    _end_of_scans(data, 2)


def _header(data: bytes) -> _Header:
    kept, orientation, at, has_junk = [b"\xff\xd8"], 1, 2, False
    for _ in range(MAX_SEGMENTS):
        marker = _MARKER.search(data, at)
        if marker is None or marker[1][0] == _END:
            raise DamagedPictureError("it ends before its first scan")
        has_junk |= _AT_MARKER.match(data, at) is None
        code, at = marker[1][0], marker.end()
        if code == _START:
            raise DamagedPictureError("a second picture, such as a thumbnail, begins before its first scan")
        if code in _ALONE:
            continue
        start, at = at, at + int.from_bytes(data[at : at + 2], "big")
        if at > len(data) or at < start + 2:
            raise DamagedPictureError("a segment breaks off")
        if code == _EXIF and data.startswith(b"Exif\0\0", start + 2) and orientation == 1:
            orientation = orientation_in(data[start + 8 : at])
        if code not in _METADATA:
            kept.append(b"\xff" + data[start - 1 : at])
        if code == _SCAN:
            return _Header(tuple(kept), orientation, at, has_junk)
    raise DamagedPictureError(f"more than {MAX_SEGMENTS:,} segments before its first scan")


def _end_of_scans(data: bytes, at: int) -> int:
    """Return the end of the picture with scans from *at* on, and refuse too many scans; bytes after it are not read."""
    scans = 1
    while (marker := _MARKER.search(data, at)) and marker[1][0] != _END:
        code, at = marker[1][0], marker.end()
        if code not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
        scans += code == _SCAN
        if scans > MAX_SCANS:
            raise DamagedPictureError(f"more than {MAX_SCANS} scans")
    return marker.end() if marker else len(data)


def _check_is_outermost(data: bytes, end: int, *, has_junk: bool) -> None:
    """Refuse a picture that lies within another one, which goes on after its end.

    Whole pictures, as cameras append for other views, have a start marker for each frame header.
    """
    starts = 0
    for found in _START_OR_FRAME.finditer(data, end):
        starts += 1 if found[0] == b"\xff\xd8" else -1
        if starts < 0 or (has_junk and found[0] != b"\xff\xd8"):
            raise DamagedPictureError(
                "a segment is shorter than its content, so a thumbnail stands in place of the photo"
            )
