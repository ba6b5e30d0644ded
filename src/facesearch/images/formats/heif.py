"""Decode HEIC and AVIF files: pictures in ISO base media files, distinguished by their brands."""

import importlib
import io
from collections.abc import Iterator
from typing import Any, Final

from PIL import Image, features

from facesearch.images.formats.raster import Admit, UnsupportedPictureError, orientation_in, upright

__all__ = ["brands_of", "decode_avif", "decode_heic"]

_MOST_BRANDS: Final = 64
_READERS: Final = ("pi_heif", "pillow_heif")  # the same library; pi_heif is without its encoder, which is under the GPL
_NEED_READER: Final = 'expected pi-heif, which reads HEIC, to be installed, got none: pip install "facesearch[heic]"'


def brands_of(data: bytes) -> frozenset[bytes]:
    """Return the brands of an ISO base media file, such as ``heic``; empty where it is none."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), 16 + 4 * _MOST_BRANDS, len(data))
    return frozenset([data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))])


def decode_avif(data: bytes, admit: Admit) -> Image.Image:
    """Decode an AVIF, or the first picture of a sequence, upright by its own rotation; EXIF is ignored in this format."""
    if not features.check("avif"):
        raise UnsupportedPictureError("expected a Pillow that reads AVIF, got one that does not: pip install -U pillow")
    from PIL.AvifImagePlugin import AvifImageFile

    image = AvifImageFile(io.BytesIO(_without_exif(data)))
    admit(*image.size)
    turns = image.info.get("exif", b"").removeprefix(b"Exif\0\0")  # Pillow returns the file's rotation as EXIF
    image.load()
    return upright(image, orientation_in(turns))


def decode_heic(data: bytes, admit: Admit) -> Image.Image:
    """Decode the primary picture of a HEIC; libheif turns it upright by itself. No plugin is registered with Pillow."""
    file = _reader().open_heif(data, convert_hdr_to_8bit=True)
    picture = file[file.primary_index]
    admit(*picture.size)
    image: Image.Image = picture.to_pillow()
    image.info.clear()
    return image


def _reader() -> Any:
    for name in _READERS:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise UnsupportedPictureError(_NEED_READER)


def _without_exif(data: bytes) -> bytes:
    """Rename the EXIF item in the list of items, so that Pillow neither parses it nor warns about malformed EXIF."""
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            for inner, low, high in _boxes(data, start + 4, end):
                if inner == b"iinf":
                    return data[:low] + data[low:high].replace(b"Exif", b"skip") + data[high:]
    return data


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box; stop at one that breaks off."""
    while at + 8 <= end:
        length, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        length = length or end - at
        if length < head or at + length > end:
            return
        yield kind, at + head, at + length
        at += length
