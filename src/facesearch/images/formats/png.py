"""Decode PNG files from the four kinds of chunks that define their default picture."""

import io
import struct
import zlib
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from facesearch.images.formats.raster import (
    DEEP_WHITE,
    Admit,
    DamagedPictureError,
    UnsupportedPictureError,
    are_low_bytes,
    low_bytes_error,
)

__all__ = ["decode"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LOW_BYTES: Final = {
    "RGB;16B": "RGB;16L",
    "RGBA;16B": "RGBA;16L",
}  # raw mode -> the one that reads the low byte instead


def decode(data: bytes, admit: Admit) -> Image.Image:
    """Decode the default picture of a PNG. Its orientation, if any, is ignored, as AWS does."""
    head, packed = _chunks(data)
    header = PngImageFile(io.BytesIO(_SIGNATURE + b"".join(head.values()) + b"\0\0\0\0IDAT"))
    admit(*header.size)
    rawmode, interlace = str(header.tile[0][3]), int("interlace" in header.info)
    # a stream that ends well but too soon passes: its missing rows come out black, or of the palette's first colour
    image = Image.frombytes(header.mode, header.size, packed, "zip", (rawmode, interlace))
    if image.mode in {"RGB", "RGBA"} and rawmode.endswith(";16B") and are_low_bytes(image):
        if rawmode not in _LOW_BYTES:
            raise UnsupportedPictureError(low_bytes_error("PNG"))
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        del image  # it takes as much memory as the next one
        image = Image.frombytes(header.mode, header.size, packed, "zip", (_LOW_BYTES[rawmode], interlace))
        if alpha is not None and alpha.getextrema() != (0, 0):  # only the colours are 8-bit values
            image.putalpha(alpha)
    if header.mode == "P":
        image.putpalette(head[b"PLTE"][8:-4])
    if (clear := header.info.get("transparency")) is not None:
        steps = 2 ** head[b"IHDR"][16] - 1  # Pillow scales the samples to 8 bits, but not the colour that is clear
        if header.mode == "RGB" and steps == DEEP_WHITE:
            clear = tuple(value if max(clear) < 256 else value >> 8 for value in clear)  # noqa: PLR2004 - 8 bits
        elif header.mode == "L":
            clear = clear * 255 // steps
        image.info["transparency"] = clear
    return image


def _chunks(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Split a PNG into the header chunks of its picture and the picture's data, and verify their checksums."""
    head: dict[bytes, bytes] = {}
    packed: list[bytes] = []
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise DamagedPictureError("a chunk breaks off")
        if kind in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise DamagedPictureError(f"its {kind.decode()} chunk has a wrong checksum")
            if kind == b"IEND":
                return head, b"".join(packed)
            if kind == b"IDAT":
                packed.append(data[at + 8 : end - 4])
            elif not packed:
                head.setdefault(kind, data[at:end])
        at = end
    raise DamagedPictureError("it ends before its IEND chunk")
