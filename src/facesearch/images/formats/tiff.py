"""Decode the first picture of TIFF files, rewritten with only the tags that define its pixels.

Pillow and libtiff read a file of one directory, with tags that were parsed and bounded here.
"""

import io
import math
import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

import attrs
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from facesearch.images.formats.jpeg import check_scans
from facesearch.images.formats.raster import (
    Admit,
    DamagedPictureError,
    UnsupportedPictureError,
    are_low_bytes,
    low_bytes_error,
    upright,
)

__all__ = ["decode"]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 259, 262, 274
_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_FILL_ORDER, _PREDICTOR, _COLOURS, _EXTRA, _FORMAT, _TABLES, _SUBSAMPLING = 266, 317, 320, 338, 339, 347, 530
_KEPT: Final = (
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _ROWS, _PLANAR, _PREDICTOR, _COLOURS),
    *(_TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _FORMAT, _TABLES, _SUBSAMPLING),
)
# Tags of one value; Pillow warns of more.
_SINGLE: Final = {*_KEPT} - {_BITS, _COLOURS, _EXTRA, _FORMAT, _TABLES, _SUBSAMPLING}
_TYPES: Final = {1: "B", 3: "H", 4: "L", 7: "B"}  # BYTE, SHORT, LONG, UNDEFINED
_MOST_VALUES: Final = 400_000  # of a tag; a strip for each row of 10,000 in 5 planes, with room for tiles of 16 x 16
_PLAIN, _JPEG = 1, 7
# None, LZW, JPEG, Deflate, PackBits, Deflate's older number.
_COMPRESSIONS: Final = {_PLAIN, 5, _JPEG, 8, 32_773, 32_946}
_DEPTHS: Final = {1, 2, 4, 8, 16, 32}
_MOST_SAMPLES: Final = 5  # CMYK and alpha
_SEPARATE: Final = 2  # planar configuration: each sample in a plane of its own
_DEEP: Final = 16  # bits
_LARGE_TILE: Final = 1024  # pixels a side that any picture's tiles may have
_MODES: Final = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B", "I", "F"}
)
_CONVERT: Final = "convert it to an RGB picture of 8 bits a sample"

Tags = Mapping[int, tuple[int, ...]]


@attrs.frozen
class _Layout:
    """The strips or tiles of the picture."""

    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    is_tiled: bool


def decode(data: bytes, admit: Admit) -> Image.Image:
    """Decode the first picture of a TIFF, upright by its orientation."""
    order = "<" if data.startswith(b"II") else ">"
    tags = _read_tags(data, order)
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    admit(width, height)
    _check_kind(tags)
    layout = _layout(tags, len(data))
    if _one(tags, _COMPRESSION, _PLAIN) == _JPEG:
        for offset, count in zip(layout.offsets, layout.counts, strict=True):
            check_scans(data[offset : offset + count])
    image = TiffImageFile(io.BytesIO(_written(data, order, tags, layout)))
    if image.mode not in _MODES or image.size != (width, height):
        raise UnsupportedPictureError(f"expected a TIFF in grey, RGB, CMYK or with a palette, got another: {_CONVERT}")
    image.im = Image.new(image.mode, image.size).im  # Pillow would warn of a large picture by its own, global limit
    image.load()
    if image.mode in {"RGB", "RGBA"} and _one(tags, _BITS, 1) == _DEEP and are_low_bytes(image):
        raise UnsupportedPictureError(low_bytes_error("TIFF"))
    return upright(image, tags.get(_ORIENTATION, (1,))[0])


def _read_tags(data: bytes, order: str) -> Tags:
    """Read the tags of the first directory that define the pixels."""
    tags: dict[int, tuple[int, ...]] = {}
    needed = {*_KEPT, _ORIENTATION, _OFFSETS, _COUNTS, _TILE_OFFSETS, _TILE_COUNTS}
    try:
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHL", data, entry)
            if tag in tags or tag not in needed or kind not in _TYPES or not 0 < values <= _MOST_VALUES:
                continue
            form = f"{order}{values}{_TYPES[kind]}"
            where = entry + 8 if struct.calcsize(form) <= 4 else struct.unpack_from(f"{order}L", data, entry + 8)[0]  # noqa: PLR2004 - bytes of an entry's value
            tags[tag] = struct.unpack_from(form, data, where)
    except struct.error:
        raise DamagedPictureError("its directory breaks off") from None
    return tags


def _one(tags: Tags, tag: int, default: int | None = None) -> int:
    values = tags.get(tag, () if default is None else (default,))
    if not values:
        raise DamagedPictureError(f"its tag {tag} is missing")
    return values[0]


def _check_kind(tags: Tags) -> None:
    """Refuse kinds of TIFF that few programs read, and few test."""
    if (compression := _one(tags, _COMPRESSION, _PLAIN)) not in _COMPRESSIONS:
        raise UnsupportedPictureError(
            f"expected a TIFF without compression or with LZW, Deflate, PackBits or JPEG, got compression {compression}:"
            " write it with one of these"
        )
    bits, samples = set(tags.get(_BITS, (1,))), _one(tags, _SAMPLES, 1)
    if len(bits) != 1 or not bits <= _DEPTHS or not 1 <= samples <= _MOST_SAMPLES:
        raise UnsupportedPictureError(f"expected a TIFF of 1 to 5 samples of one depth, got another: {_CONVERT}")
    if _one(tags, _PHOTOMETRIC, 1) == 0 and bits & {_DEEP, 32}:
        raise UnsupportedPictureError(f"expected a TIFF with black at 0, got one with white at 0: {_CONVERT}")


def _layout(tags: Tags, size: int) -> _Layout:
    """Return the strips or tiles; each must lie within the file, and together they must not be larger than it."""
    width, height, samples = _one(tags, _WIDTH), _one(tags, _HEIGHT), _one(tags, _SAMPLES, 1)
    planes = samples if _one(tags, _PLANAR, 1) == _SEPARATE else 1
    bits = _one(tags, _BITS, 1) * samples // planes
    is_tiled = _TILE_OFFSETS in tags
    if is_tiled:
        across, down = _one(tags, _TILE_WIDTH), _one(tags, _TILE_HEIGHT)
        for tile, side in ((across, width), (down, height)):
            if not 1 <= tile <= max(side + 15, _LARGE_TILE):
                raise DamagedPictureError("its tiles are larger than the picture")
    else:
        across, down = width, min(_one(tags, _ROWS, height), height)
        if down < 1:
            raise DamagedPictureError("its strips are empty")
    pieces = math.ceil(width / across) * math.ceil(height / down) * planes
    offsets = tags.get(_TILE_OFFSETS if is_tiled else _OFFSETS, ())
    if len(offsets) != pieces:
        raise DamagedPictureError("it has not as many strips or tiles as its size asks for")
    # of what is not compressed: the bytes of each piece; a strip has no more rows than the picture
    lines = [down if is_tiled else min(down, height - top) for _ in range(planes) for top in range(0, height, down)]
    needed = [rows * math.ceil(across * bits / 8) for rows in lines for _ in range(math.ceil(width / across))]
    is_plain = _one(tags, _COMPRESSION, _PLAIN) == _PLAIN
    counts = tags.get(_TILE_COUNTS if is_tiled else _COUNTS, tuple(needed) if is_plain else ())
    if len(counts) != pieces:
        raise DamagedPictureError("it does not have a size for each strip or tile")
    if any(offset + count > size for offset, count in zip(offsets, counts, strict=True)) or sum(counts) > size:
        raise DamagedPictureError("a strip or tile breaks off")
    if is_plain and any(count < least for count, least in zip(counts, needed, strict=True)):
        raise DamagedPictureError("a strip or tile breaks off")
    return _Layout(offsets, counts, is_tiled)


def _written(data: bytes, order: str, tags: Tags, layout: _Layout) -> bytes:
    """Write a TIFF of one directory: header, directory, values too long for it, strips or tiles."""
    offsets, counts = (_TILE_OFFSETS, _TILE_COUNTS) if layout.is_tiled else (_OFFSETS, _COUNTS)
    left_out = {_ROWS} if layout.is_tiled else {_TILE_WIDTH, _TILE_HEIGHT}
    written: dict[int, Sequence[int]] = {
        tag: tags[tag][:1] if tag in _SINGLE else tags[tag] for tag in _KEPT if tag in tags and tag not in left_out
    }
    written |= {offsets: layout.offsets, counts: layout.counts}
    large = {offsets, counts, _WIDTH, _HEIGHT, _ROWS, _TILE_WIDTH, _TILE_HEIGHT}
    types = {tag: 4 if tag in large else 7 if tag == _TABLES else 3 for tag in written}
    sizes = {tag: struct.calcsize(f"{order}{len(values)}{_TYPES[types[tag]]}") for tag, values in written.items()}
    after = 8 + 2 + 12 * len(written) + 4
    at = after + sum(size + size % 2 for size in sizes.values() if size > 4)  # noqa: PLR2004 - as above
    written[offsets] = list(accumulate(layout.counts[:-1], initial=at))
    directory, values = [struct.pack(f"{order}H", len(written))], b""
    for tag in sorted(written):
        kind, numbers = types[tag], written[tag]
        try:
            raw = struct.pack(f"{order}{len(numbers)}{_TYPES[kind]}", *numbers)
        except struct.error:
            raise DamagedPictureError(f"its tag {tag} is out of range") from None
        entry = struct.pack(f"{order}HHL", tag, kind, len(numbers))
        if len(raw) > 4:  # noqa: PLR2004 - as above
            directory.append(entry + struct.pack(f"{order}L", after + len(values)))
            values += raw + bytes(len(raw) % 2)
        else:
            directory.append(entry + raw.ljust(4, b"\0"))
    pieces = (data[offset : offset + count] for offset, count in zip(layout.offsets, layout.counts, strict=True))
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return b"".join([mark, struct.pack(f"{order}L", 8), *directory, bytes(4), values, *pieces])
