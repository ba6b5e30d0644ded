"""The one reader of pictures: whatever a caller holds becomes an upright RGB array, or an error that says why not.

JPEG and PNG only, told by their first bytes, as AWS has it; :mod:`facesearch._decoding` takes them apart.
"""

import functools
import hashlib
import io
import os
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from facesearch._decoding import DEEP_WHITE, MAX_SIDE, MIN_SIDE, TEXTS, check_sides, decoded, orientation_in, upright
from facesearch._values import content
from facesearch.errors import (
    ImageError,
    ImageNotFoundError,
    ImageTooLargeError,
    InvalidImageFormatError,
    InvalidParameterError,
    shown,
)

__all__ = ["MAX_BYTES", "MAX_FILE_BYTES", "MAX_SIDE", "MIN_SIDE", "ImageSource", "Picture", "read_image"]

MAX_BYTES: Final = 5_242_880
"""Most bytes of a picture given as bytes; the ImageBlob limit of botocore's Rekognition model."""
MAX_FILE_BYTES: Final = 15 * 1024 * 1024
"""Most bytes of a file; AWS takes S3 objects up to 15 MB (developer guide, "Guidelines and quotas")."""

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I")  # and I;16, I;16B ...
_ACCEPTED = "a path, bytes, a binary file object, a PIL image or a uint8 RGB array of shape (H, W, 3)"
_ARRAY = "a uint8 array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) in RGB order"
_STRIP = 64  # rows; few enough to stay in the cache


def _check_pixels(_: "Picture", __: "attrs.Attribute[npt.NDArray[np.uint8]]", pixels: Any) -> None:
    right = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
    if not right or not pixels.flags.c_contiguous or pixels.flags.writeable:
        raise InvalidImageFormatError(
            f"pixels: expected a read-only, contiguous uint8 array of shape (H, W, 3), as read_image makes it,"
            f" got {shown(pixels)}"
        )


@attrs.frozen(kw_only=True)
class Picture:
    """An upright RGB picture, as :func:`read_image` makes it; equal where every pixel and the digest are.

    Attributes
    ----------
    pixels : numpy.ndarray
        (H, W, 3) uint8, RGB, C-contiguous and read-only; row 0 is the top.
    encoded_digest : str or None
        Hex SHA-256 of the JPEG or PNG the picture came from; None when it came as pixels.
    """

    pixels: npt.NDArray[np.uint8] = attrs.field(
        validator=_check_pixels, repr=lambda pixels: f"<{pixels.shape} uint8>", eq=content
    )
    encoded_digest: str | None = attrs.field(default=None, repr=False)

    @property
    def height(self) -> int:
        """Rows, in pixels of the upright picture."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns, in pixels of the upright picture."""
        return int(self.pixels.shape[1])

    @functools.cached_property
    def digest(self) -> str:
        """Hex SHA-256 that names the content: of the encoded bytes where there are any, else of shape and pixels."""
        if self.encoded_digest is not None:
            return self.encoded_digest
        return hashlib.sha256(struct.pack(">QQ", self.height, self.width) + self.pixels.tobytes()).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.pixels, self.encoded_digest)


ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | npt.NDArray[np.uint8] | Picture
)
"""What every ``image`` argument takes: a path, an encoded JPEG or PNG, a binary file object, a PIL image, an array."""


def read_image(source: ImageSource) -> Picture:
    """Read a picture from wherever it is, upright and in RGB.

    The EXIF orientation of a JPEG is applied (also of a PIL image opened from one), that of a PNG is not: AWS does the
    same. Transparent pixels are laid over white. 16-bit samples keep their high byte. Animations and multi-picture
    JPEGs give their first or default picture. Colour profiles and gamma are ignored.

    Parameters
    ----------
    source : ImageSource
        A path; the bytes of a JPEG or PNG (at most 5,242,880); a binary file object, read from where it stands and
        left open (path and file: at most 15 MiB); a PIL image; a uint8 array, grey (H, W) or (H, W, 1), RGB (H, W, 3)
        or RGBA (H, W, 4); or a :class:`Picture`, returned as it is. Both sides from 80 to 10,000 pixels. Never changed
        (a PIL image opened lazily gets loaded), and later changes to it do not reach the result.

    Returns
    -------
    Picture
        ``pixels`` is (H, W, 3) uint8 RGB.

    Raises
    ------
    InvalidParameterError
        `source` is none of these, or a file opened as text.
    ImageNotFoundError
        The path leads to no file.
    ImageTooLargeError, ImageTooSmallError
        Bytes or pixels are out of bounds; found before anything is decoded.
    InvalidImageFormatError
        Not a JPEG or PNG, damaged or truncated, or an array or PIL image of another kind.
    ImageError
        The file could not be read.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.zeros((90, 120), np.uint8))
    Picture(pixels=<(90, 120, 3) uint8>)
    >>> read_image(b"GIF89a...")
    Traceback (most recent call last):
    facesearch.errors.InvalidImageFormatError: image: expected a JPEG or PNG, got a GIF
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return Picture(pixels=_sealed(_from_array(source)))
    if isinstance(source, Image.Image):
        return Picture(pixels=_sealed(_from_pil(source)))
    if isinstance(source, bytes | bytearray | memoryview):
        size = memoryview(source).nbytes
        if size > MAX_BYTES:
            raise ImageTooLargeError(f"image: expected at most {MAX_BYTES:,} bytes, got {size:,}")
        data, name = bytes(source), "image"
    elif isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        data, name = _from_path(path), f"image {shown(path)}"
    elif hasattr(source, "read"):
        data, name = _from_file(source, "image"), "image"
    else:
        raise InvalidParameterError.of("image", source, _ACCEPTED)
    pixels = _sealed(_rgb(decoded(data, name)))
    return Picture(pixels=pixels, encoded_digest=hashlib.sha256(data).hexdigest())


def _from_path(path: str) -> bytes:
    name = f"image {shown(path)}"
    try:
        if not path:
            raise FileNotFoundError("the path is empty")  # Path("") would be the current directory
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        start = path[:16].encode("utf-8", "replace")
        if kind := next((kind for pattern, kind in TEXTS.items() if re.match(pattern, start)), None):
            raise InvalidImageFormatError(f"{name}: expected a path, got {kind}") from error
        if isinstance(error, PermissionError):
            raise ImageError(f"{name}: expected a readable file, got {error}") from error
        hint = "; nothing is downloaded here: pass its bytes" if "://" in path else ""
        raise ImageNotFoundError(f"{name}: expected a file, there is none{hint}") from error
    if Path(path).is_dir():
        raise ImageError(f"{name}: expected a file, got a directory")
    if status.st_size > MAX_FILE_BYTES:
        raise ImageTooLargeError(f"{name}: expected at most {MAX_FILE_BYTES:,} bytes, got {status.st_size:,}")
    try:
        with Path(path).open("rb") as file:
            return _from_file(file, name)
    except OSError as error:
        raise ImageError(f"{name}: expected a readable file, got {error}") from error


def _from_file(file: Any, name: str) -> bytes:
    as_text = f"{name}: expected a binary file object, got one opened as text; open it in 'rb' mode"
    if isinstance(file, io.TextIOBase):
        raise InvalidParameterError(as_text)
    parts: list[bytes] = []
    left = MAX_FILE_BYTES + 1
    while left > 0:
        try:
            part: Any = file.read(left)  # sockets and raw files may give less than they were asked for
        except UnicodeDecodeError as error:
            raise InvalidParameterError(as_text) from error
        except Exception as error:  # a caller's object: network streams raise what they like
            raise ImageError(f"{name}: reading from {shown(file)} failed: {shown(error)}") from error
        if isinstance(part, str):
            raise InvalidParameterError(as_text)
        if not isinstance(part, bytes | bytearray | memoryview):
            raise InvalidParameterError.of(name, part, "a file object whose read() gives bytes")
        if not part:
            break
        parts.append(bytes(part))
        left -= len(parts[-1])
    if left <= 0:
        raise ImageTooLargeError(f"{name}: expected at most {MAX_FILE_BYTES:,} bytes, got more")
    return b"".join(parts)


def _from_pil(image: Image.Image) -> npt.NDArray[np.uint8]:
    check_sides(*image.size, "image")
    if image.mode not in _MODES and not image.mode.startswith("I;16"):
        raise InvalidImageFormatError(
            f"image: expected a PIL image of mode {', '.join(_MODES)} or I;16, got {image.mode!r};"
            " turn it into RGB first, values 0 to 255"
        )
    exif = image.info.get("exif") if image.format in {"JPEG", "MPO"} else None
    orientation = orientation_in(exif.removeprefix(b"Exif\0\0")) if isinstance(exif, bytes) else 1
    try:
        image.load()
        # converting the caller's own palette image would write into its palette; an RGB image is only read
        return _rgb(upright(image if image.mode == "RGB" else image.copy(), orientation))
    except ImageError:
        raise
    except Exception as error:  # a lazy file decodes only here
        raise InvalidImageFormatError(f"image: expected a PIL image that loads, got {shown(error)}") from error


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Turn a decoded image of any mode in _MODES into (H, W, 3) uint8, what is transparent over white."""
    clear = image.info.get("transparency")  # one grey or colour, except in palette images
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if image.mode == "I" and (deep.min() < 0 or deep.max() > DEEP_WHITE):
            raise InvalidImageFormatError(
                f"image: expected a PIL image of mode 'I' to hold 0 to {DEEP_WHITE}, got {deep.min()} to {deep.max()}"
            )
        grey = (deep >> 8).astype(np.uint8)
        if clear is not None:
            grey[deep == clear] = 255
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if image.mode not in {"1", "L", "RGB"}:
        if not image.has_transparency_data:
            return _array(image.convert("RGB"))
        layer, canvas = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        canvas.paste(layer, mask=layer)
        return _array(canvas)
    if image.mode != "RGB":
        image.info.pop("transparency", None)  # Pillow would convert it too, and not as we do
        image = image.convert("RGB")
    pixels = _array(image)
    if isinstance(clear, int | tuple):
        pixels = np.where((pixels == clear).all(axis=2, keepdims=True), np.uint8(255), pixels)
    return pixels


def _array(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Turn an RGB image into an array in strips: np.asarray holds the picture twice on its way, and takes 3 times as long."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    strip = Image.new("RGB", (image.width, _STRIP))
    for top in range(0, image.height, _STRIP):
        strip.paste(image, (0, -top))  # crop would do, but heeds the global Image.MAX_IMAGE_PIXELS
        rows = pixels[top : top + _STRIP]
        rows[:] = np.asarray(strip)[: len(rows)]
    return pixels


def _from_array(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    shape = array.shape
    right_shape = array.ndim == 2 or (array.ndim == 3 and shape[2] in {1, 3, 4})  # noqa: PLR2004 - axes
    if array.dtype != np.uint8 or not right_shape:
        hints = {
            "f": "; a float picture in 0..1? (image * 255).round().astype('uint8')",
            "b": "; a mask? image.astype('uint8') * 255",
            "u": "; 16-bit samples? (image >> 8).astype('uint8')" if array.dtype == np.uint16 else "",
        }
        hint = hints.get(array.dtype.kind, "")
        if not right_shape:
            if array.ndim == 3 and shape[0] in {1, 3, 4}:  # noqa: PLR2004 - axes
                hint += "; channels first? image.transpose(1, 2, 0)"
            hint += {1: "; an encoded file? image.tobytes()", 4: "; a batch? one picture at a time"}.get(array.ndim, "")
        raise InvalidImageFormatError(f"image: expected {_ARRAY}, got {array.dtype} of shape {shape}{hint}")
    check_sides(shape[1], shape[0], "image")
    if array.ndim == 2 or shape[2] == 1:  # noqa: PLR2004 - axes
        return np.repeat(array.reshape(*shape[:2], 1), 3, axis=2)
    if shape[2] == 4:  # noqa: PLR2004 - channels
        return _rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.array(array, order="C", subok=False)  # a copy always: a read-only view may have a writable owner


def _restored(pixels: npt.NDArray[np.uint8], encoded_digest: str | None) -> Picture:
    """Return a picture that was copied or pickled: NumPy does not keep an array's read-only flag."""
    return Picture(pixels=_sealed(pixels), encoded_digest=encoded_digest)


def _sealed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Mark an array of our own read-only."""
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels
