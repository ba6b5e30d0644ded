"""Decode the first frame of GIF files."""

import struct
from typing import Final

import attrs
from PIL import Image

from facesearch.images.formats.raster import Admit, DamagedPictureError

__all__ = ["decode"]

_EXTENSION, _FRAME, _CONTROL = 0x21, 0x2C, 0xF9
_HEAD: Final = 13  # bytes before the global colour table
_HAS_TABLE, _TABLE_BITS, _INTERLACED, _HAS_CLEAR = 0x80, 0x07, 0x40, 0x01


@attrs.frozen
class _Frame:
    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels
    palette: bytes  # RGB triples; empty for none
    clear: int | None  # index of the transparent colour
    bits: int  # of the first code
    interlaced: bool
    packed: bytes  # data blocks


def decode(data: bytes, admit: Admit) -> Image.Image:
    """Decode the first frame of a GIF, on a transparent canvas where it is smaller."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    palette, at = _table(data, flags, _HEAD)
    frame = _first_frame(data, palette, at)
    size = max(width, frame.box[2]), max(height, frame.box[3])  # a frame beyond the canvas enlarges it, as in browsers
    admit(*size)
    inner = frame.box[2] - frame.box[0], frame.box[3] - frame.box[1]
    args = (frame.bits, int(frame.interlaced), -1)
    image = Image.frombytes("P" if frame.palette else "L", inner, frame.packed, "gif", args)
    if frame.palette:
        image.putpalette(frame.palette)
    if frame.clear is not None:
        image.info["transparency"] = frame.clear
    if inner == size:
        return image
    canvas = Image.new("RGBA", size)
    canvas.paste(image.convert("RGBA"), frame.box)
    return canvas


def _table(data: bytes, flags: int, at: int) -> tuple[bytes, int]:
    """Return the colour table at *at*, if the flags declare one, and the offset of its end."""
    end = at + 3 * 2 ** ((flags & _TABLE_BITS) + 1) if flags & _HAS_TABLE else at
    if end > len(data):
        raise DamagedPictureError("its colour table breaks off")
    return data[at:end], end


def _first_frame(data: bytes, palette: bytes, at: int) -> _Frame:
    clear = None
    while at + 2 <= len(data):
        code, label = data[at], data[at + 1]
        if code == _EXTENSION:
            if label == _CONTROL and data[at + 2 : at + 3] == b"\x04" and at + 7 <= len(data):
                clear = data[at + 6] if data[at + 3] & _HAS_CLEAR else None
            at = _end_of_blocks(data, at + 2)
        elif code == _FRAME and at + 10 <= len(data):
            left, top, width, height, flags = struct.unpack_from("<4HB", data, at + 1)
            own, at = _table(data, flags, at + 10)
            end = _end_of_blocks(data, at + 1)
            if not (width and height):
                raise DamagedPictureError("its first frame is empty")
            return _Frame(
                box=(left, top, left + width, top + height),
                palette=own or palette,
                clear=clear,
                bits=data[at],
                interlaced=bool(flags & _INTERLACED),
                packed=data[at + 1 : end],
            )
        else:
            break
    raise DamagedPictureError("it ends before its first frame")


def _end_of_blocks(data: bytes, at: int) -> int:
    """Return the end of a chain of data blocks: each begins with its length, and a block of length zero is the last."""
    while at < len(data):
        length = data[at]
        at += 1 + length
        if not length:
            return at
    raise DamagedPictureError("a block breaks off")
