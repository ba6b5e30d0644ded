"""JPEG and PNG bytes become a Pillow image, upright, from nothing but what makes its pixels.

Before Pillow sees a file it is cut down: Pillow's EXIF and APNG code issues warnings on odd files, inflates texts and
profiles nobody asked for, and takes minutes over some hostile metadata. Nothing global in Pillow or :mod:`warnings` is
read or set, so ``LOAD_TRUNCATED_IMAGES`` set by somebody else changes nothing here and threads need no lock.
"""

import io
import re
import struct
import zlib
from typing import Any, Final, cast

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from facesearch.errors import ImageError, ImageTooLargeError, ImageTooSmallError, InvalidImageFormatError

__all__ = [
    "DEEP_WHITE",
    "MAX_SCANS",
    "MAX_SEGMENTS",
    "MAX_SIDE",
    "MIN_SIDE",
    "TEXTS",
    "check_sides",
    "decoded",
    "orientation_in",
    "upright",
]

MIN_SIDE: Final = 80
"""Fewest pixels of width and of height (developer guide, "Guidelines and quotas")."""
MAX_SIDE: Final = 10_000
"""Most pixels of width and of height; AWS: "dimensions 10800 x 5400 exceed maximum dimension size of 10000 pixels"."""
MAX_SEGMENTS: Final = 4096
"""Most segments before a JPEG's first scan: ours, four times what 15 MB of full segments, ICC and XMP parts come to."""
MAX_SCANS: Final = 100
"""Most scans in a JPEG: ours; progressive files hold about ten, and each costs 0.1 s at 100 megapixels."""
DEEP_WHITE: Final = 0xFFFF
"""The highest 16-bit sample."""
TEXTS: Final = {
    rb"data:": "a data: URL; decode what follows its comma: base64.b64decode(image.partition(',')[2])",
    rb"/9j/|iVBORw0KGgo": "base64 text; decode it first: base64.b64decode(image)",
}
"""What people send in place of a path or of bytes: pattern of the first characters -> its name, and what helps."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF, _SCAN, _END, _ORIENTATION = 0xE1, 0xDA, 0xD9, 0x0112  # three JPEG markers and a TIFF tag
_INTEGERS = {3: "H", 4: "L"}  # TIFF types of the tag: SHORT by the standard, LONG by some writers
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # JPEG markers without a length
_METADATA = frozenset(range(0xE0, 0xFF)) - {0xE0, 0xEE}  # APP0 and APP14 stay: they tell the colour space
_MARKER = re.compile(rb"\xff([^\x00\xff])")  # skips junk and fill bytes, as libjpeg does
_UPRIGHT = {  # EXIF orientation -> what turns the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OTHERS = {  # what people send instead: pattern of the first bytes -> its name, and what helps
    rb"GIF8[79]a": "a GIF",
    rb"RIFF....WEBP": "a WebP picture",
    rb"BM": "a BMP picture",
    rb"II\*\0|MM\0\*|II\+\0|MM\0\+": "a TIFF picture",
    rb"....ftypavi[fs]": "an AVIF picture",
    rb"....ftyp(hei|hev|mif1|msf1)": "a HEIC picture",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture",
    rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51": "a JPEG 2000 picture",
    rb"%PDF": "a PDF",
    rb"8BPS": "a Photoshop file",
    rb"\s*<(!doctype )?html": "an HTML page (did the download fail?)",
    rb"(\xef\xbb\xbf)?\s*<(svg|[?!].*?<svg)": "an SVG drawing",
    **TEXTS,
}


def decoded(data: bytes, name: str) -> Image.Image:
    """Decode a JPEG or PNG; whatever goes wrong inside comes out as an ImageError."""
    if not data.startswith((_JPEG, _PNG)):
        raise InvalidImageFormatError(f"{name}: expected a JPEG or PNG, got {_described(data)}")
    kind = "PNG" if data.startswith(_PNG) else "JPEG"
    try:
        return _png(data, name) if kind == "PNG" else _jpeg(data, name)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(f"{name}: expected a {kind} that fits in memory, it does not") from error
    except Exception as error:  # Pillow raises a dozen kinds on hostile data
        raise InvalidImageFormatError(
            f"{name}: expected an intact {kind}, got {len(data):,} bytes that are truncated or damaged ({error})"
        ) from error


def _described(data: bytes) -> str:
    if not data:
        return "0 bytes (an empty file, or a file object already read to its end? seek(0) first)"
    for pattern, kind in _OTHERS.items():
        if re.match(pattern, data[:1024], re.DOTALL | re.IGNORECASE):
            return kind
    return f"{len(data):,} bytes that begin with {data[:16]!r}"


def _jpeg(data: bytes, name: str) -> Image.Image:
    """Decode a JPEG without its metadata; frombytes, unlike load, has no way to take a truncated file for whole."""
    kept, orientation, at = [b"\xff\xd8"], 1, 2
    for _ in range(MAX_SEGMENTS):
        marker = _MARKER.search(data, at)
        if marker is None or marker[1][0] == _END:
            raise ValueError("it ends before its first scan")
        code, at = marker[1][0], marker.end()
        if code in _ALONE:
            continue
        start, at = at, at + int.from_bytes(data[at : at + 2], "big")
        if at > len(data) or at < start + 2:
            raise ValueError("a segment breaks off")
        if code == _EXIF and data.startswith(b"Exif\0\0", start + 2) and orientation == 1:
            orientation = orientation_in(data[start + 8 : at])
        if code not in _METADATA:
            kept.append(b"\xff" + data[start - 1 : at])
        if code == _SCAN:
            break
    else:
        raise ValueError(f"more than {MAX_SEGMENTS:,} segments before its first scan")
    _count_scans(data, at)
    lean = b"".join([*kept, data[at:]])
    header = JpegImageFile(io.BytesIO(lean))
    check_sides(*header.size, name)
    image = Image.frombytes(header.mode, header.size, lean, "jpeg", cast("Any", header.tile[0][3]))
    return upright(image, orientation)


def _count_scans(data: bytes, at: int) -> None:
    """Refuse the JPEG whose first scan starts at *at* if too many follow; what comes after its end is not looked at."""
    scans = 1
    while (marker := _MARKER.search(data, at)) and marker[1][0] != _END:
        code, at = marker[1][0], marker.end()
        if code not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
        scans += code == _SCAN
        if scans > MAX_SCANS:
            raise ValueError(f"more than {MAX_SCANS} scans")


def _png(data: bytes, name: str) -> Image.Image:
    """Decode a PNG from the four kinds of chunks that make its default picture."""
    head, packed = _chunks(data)
    header = PngImageFile(io.BytesIO(_PNG + b"".join(head.values()) + b"\0\0\0\0IDAT"))
    check_sides(*header.size, name)
    args = (header.tile[0][3], int("interlace" in header.info))
    # a stream that ends well but too soon passes: its missing rows come out black, or of the palette's first colour
    image = Image.frombytes(header.mode, header.size, packed, "zip", args)
    if header.mode == "P":
        image.putpalette(head[b"PLTE"][8:-4])
    if (clear := header.info.get("transparency")) is not None:
        steps = 2 ** head[b"IHDR"][16] - 1  # Pillow scales the samples to 8 bits, but not the colour that is clear
        if header.mode == "RGB" and steps == DEEP_WHITE:
            clear = tuple(value >> 8 for value in clear)
        elif header.mode == "L":
            clear = clear * 255 // steps
        image.info["transparency"] = clear
    return image


def _chunks(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Split a PNG into the chunks that head its picture, whole, and the picture's data; their checksums are verified."""
    head: dict[bytes, bytes] = {}
    packed: list[bytes] = []
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError(f"its {kind!r} chunk breaks off")
        if kind in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise ValueError(f"its {kind!r} chunk has a wrong checksum")
            if kind == b"IEND":
                return head, b"".join(packed)
            if kind == b"IDAT":
                packed.append(data[at + 8 : end - 4])
            elif not packed:
                head.setdefault(kind, data[at:end])
        at = end
    raise ValueError("it ends before its IEND chunk")


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a stored picture as its EXIF orientation says; values other than 2 to 8 leave it as it is."""
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
