"""Convert decoded images and arrays to upright RGB: (H, W, 3) uint8, transparent pixels over white."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from facesearch.errors import ImageError, InvalidImageFormatError
from facesearch.images.formats.raster import DEEP_WHITE, Admit, orientation_in, upright

__all__ = ["rgb_of_array", "rgb_of_decoded", "rgb_of_pil"]

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I")  # and I;16, I;16B ...
_ARRAY = "a uint8 array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) in RGB order"
_STRIP = 64  # rows; few enough to stay in the cache
_BYTE_WHITE = 0xFF  # the highest 8-bit sample
_CLEAR_MODES = frozenset({"LA", "RGBA", "RGBa"})
# Formats whose PIL images keep their EXIF orientation to be applied: TIFF's and HEIC's are upright once they are loaded.
_TURNED_BY_EXIF = frozenset({"JPEG", "MPO", "WEBP", "AVIF"})


def rgb_of_pil(image: Image.Image, admit: Admit) -> npt.NDArray[np.uint8]:
    """Convert a PIL image of any mode and source to (H, W, 3) uint8, upright.

    A mode without a known scale, and an image that does not load, raise an `InvalidImageFormatError`.
    """
    admit(*image.size)
    if image.mode not in _MODES and not image.mode.startswith("I;16"):
        scale = "np.asarray(image).clip(0, 255).round().astype('uint8') if its values are 0 to 255, 255 times that if 0 to 1"
        hint = scale if image.mode == "F" else "image.convert('RGB')"
        raise InvalidImageFormatError(
            f"image: expected a PIL image of mode {', '.join(_MODES)} or I;16, got {image.mode!r}; convert it: {hint}"
        )
    exif = image.info.get("exif") if image.format in _TURNED_BY_EXIF else None
    orientation = orientation_in(exif.removeprefix(b"Exif\0\0")) if isinstance(exif, bytes) else 1
    try:
        image.load()
        return rgb_of_decoded(upright(image, orientation))
    except ImageError:
        raise
    except Exception as error:  # a lazy file decodes only here; Pillow's messages may quote it
        raise InvalidImageFormatError(
            f"image: expected a PIL image that loads, got one that raises {type(error).__name__}"
        ) from error


def rgb_of_decoded(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Convert a decoded image of any mode in _MODES to (H, W, 3) uint8, transparent pixels over white."""
    clear = image.info.get("transparency")  # one grey or colour, except in palette images
    if image.mode.startswith("I"):
        return _from_deep(np.asarray(image), clear)
    if image.mode == "F":
        raise InvalidImageFormatError(
            "image: expected samples of 8 or 16 bits, got floats, whose scale is not known: write them as uint8"
        )
    if image.mode == "PA":
        image = image.convert("RGBA")
    colours = _colours(image, clear) if image.mode == "P" else None
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows, strip in _strips(image, pixels):
        if colours is not None:
            np.take(colours, np.asarray(strip)[: len(rows)], axis=0, out=rows)
            continue
        rows[:] = _opaque(strip)[: len(rows)]
        if isinstance(clear, int | tuple) and image.mode in {"1", "L", "RGB"}:
            rows[(rows == clear).all(axis=2)] = 255
    return pixels


def _strips(image: Image.Image, pixels: npt.NDArray[np.uint8]) -> Iterator[tuple[npt.NDArray[np.uint8], Image.Image]]:
    """Yield the rows of an array, some at a time, with the matching part of an image, which may be too long.

    Converting the whole image at once would hold it two or three times, and takes 3 times as long.
    """
    strip = Image.new(image.mode, (image.width, _STRIP))
    for top in range(0, image.height, _STRIP):
        strip.paste(image, (0, -top))  # crop would do, but heeds the global Image.MAX_IMAGE_PIXELS
        yield pixels[top : top + _STRIP], strip


def _opaque(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Convert a small image to (H, W, 3) uint8, over white."""
    if image.mode in _CLEAR_MODES or image.mode == "P":
        layer, canvas = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        canvas.paste(layer, mask=layer)
        return np.asarray(canvas)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _colours(image: Image.Image, clear: Any) -> npt.NDArray[np.uint8]:
    """Return the colours of a palette image, (256, 3) uint8, over white."""
    table = Image.frombytes("P", (256, 1), bytes(range(256)))
    mode = "RGBA" if image.palette is not None and image.palette.mode.endswith("A") else "RGB"
    table.putpalette(image.getpalette(mode) or [], mode)
    if clear is not None:
        table.info["transparency"] = clear
    return np.ascontiguousarray(_opaque(table)[0])


def _from_deep(deep: npt.NDArray[Any], clear: Any) -> npt.NDArray[np.uint8]:
    """Convert grey samples of 16 or 32 bits to (H, W, 3) uint8, scaled by the range of their values."""
    low, high = int(deep.min()), int(deep.max())
    if low < 0 or high > DEEP_WHITE:
        raise InvalidImageFormatError(
            f"image: expected grey samples of 0 to {_BYTE_WHITE} or 0 to {DEEP_WHITE}, got {low} to {high};"
            " scale them to 0 to 255 first: ((a - a.min()) * 255.0 / (a.max() - a.min())).astype('uint8')"
        )
    pixels = np.empty((*deep.shape, 3), np.uint8)
    for top in range(0, len(deep), _STRIP):
        rows = deep[top : top + _STRIP]
        grey = (rows if high <= _BYTE_WHITE else rows >> 8).astype(np.uint8)
        if isinstance(clear, int):
            grey[rows == clear] = 255
        pixels[top : top + _STRIP] = grey[:, :, np.newaxis]
    return pixels


def rgb_of_array(array: npt.NDArray[Any], admit: Admit) -> npt.NDArray[np.uint8]:
    """Convert a grey, RGB or RGBA array to a new (H, W, 3) uint8 array.

    Another type or shape raises an `InvalidImageFormatError`, with a hint how to convert it.
    """
    shape = array.shape
    right_shape = array.ndim == 2 or (array.ndim == 3 and shape[2] in {1, 3, 4})  # noqa: PLR2004 - axes
    if array.dtype != np.uint8 or not right_shape:
        hints = {
            "f": "; a float picture in 0..1? (image * 255).round().astype('uint8')",
            "b": "; a mask? image.astype('uint8') * 255",
        }
        hint = _integers_hint(array) if array.dtype.kind in "iu" else hints.get(array.dtype.kind, "")
        if not right_shape:
            if array.ndim == 3 and shape[0] in {1, 3, 4}:  # noqa: PLR2004 - axes
                hint += "; channels first? image.transpose(1, 2, 0)"
            hint += {1: "; an encoded file? image.tobytes()", 4: "; a batch? one picture at a time"}.get(array.ndim, "")
        raise InvalidImageFormatError(f"image: expected {_ARRAY}, got {array.dtype} of shape {shape}{hint}")
    admit(shape[1], shape[0])
    if array.ndim == 2 or shape[2] == 1:  # noqa: PLR2004 - axes
        return np.repeat(array.reshape(*shape[:2], 1), 3, axis=2)
    if shape[2] == 4:  # noqa: PLR2004 - channels
        return rgb_of_decoded(Image.fromarray(np.ascontiguousarray(array)))
    return np.array(array, order="C", subok=False)  # a copy always: a read-only view may have a writable owner


def _integers_hint(array: npt.NDArray[Any]) -> str:
    """Return a hint on how to convert an array of other integers: by their values, as for PIL images of modes I and I;16."""
    if array.dtype == np.uint8 or not array.size or array.min() < 0 or array.max() > DEEP_WHITE:
        return ""
    if array.max() <= _BYTE_WHITE:
        return "; 8-bit values? image.astype('uint8')"
    return "; 16-bit samples? (image >> 8).astype('uint8')"
