"""Read pictures from any source into an upright RGB array, or raise an error with the reason.

The first bytes determine the file format; :mod:`facesearch.images.decoding` decodes it.
"""

import functools
import hashlib
import io
import os
import re
import struct
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from facesearch.common.equality import content
from facesearch.common.validation import check_int
from facesearch.errors import (
    ImageError,
    ImageNotFoundError,
    ImageTooLargeError,
    InvalidImageFormatError,
    InvalidParameterError,
    shown,
)
from facesearch.images.decoding import decoded
from facesearch.images.formats.kinds import AWS_FORMATS, FORMATS, TEXTS
from facesearch.images.formats.raster import MAX_SIDE, MIN_SIDE, check_sides
from facesearch.images.pixel_budget import DECODING
from facesearch.images.to_rgb import rgb_of_array, rgb_of_decoded, rgb_of_pil

__all__ = [
    "AWS_FORMATS",
    "FORMATS",
    "MAX_BYTES",
    "MAX_FILE_BYTES",
    "MAX_SIDE",
    "MIN_SIDE",
    "ImageSource",
    "Picture",
    "bound",
    "read_image",
]

MAX_BYTES: Final = 5_242_880
"""Most bytes of a picture given as bytes; the ImageBlob limit of botocore's Rekognition model."""
MAX_FILE_BYTES: Final = 15 * 1024 * 1024
"""Most bytes of a file; AWS takes S3 objects up to 15 MB (developer guide, "Guidelines and quotas")."""

_ACCEPTED = "a path, bytes, a binary file object, a PIL image or a uint8 RGB array of shape (H, W, 3)"


def _check_pixels(_: "Picture", __: "attrs.Attribute[npt.NDArray[np.uint8]]", pixels: Any) -> None:
    right = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
    if not right or not pixels.flags.c_contiguous or pixels.flags.writeable:
        raise InvalidImageFormatError(
            f"pixels: expected a read-only, contiguous uint8 array of shape (H, W, 3), as read_image makes it,"
            f" got {shown(pixels)}"
        )


@attrs.frozen(kw_only=True)
class Picture:
    """An upright RGB picture, from :func:`read_image`; equal where every pixel and the digest are.

    Attributes
    ----------
    pixels : numpy.ndarray
        (H, W, 3) uint8, RGB, C-contiguous and read-only; row 0 is the top.
    encoded_digest : str or None
        Hex SHA-256 of the file the picture came from; None when it came as pixels.
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
"""Sources that every ``image`` argument accepts: a path, an encoded picture, a binary file object, a PIL image, an array."""


def read_image(
    source: ImageSource, *, formats: Collection[str] = FORMATS, max_pixels: int = MAX_SIDE * MAX_SIDE
) -> Picture:
    """Read a picture from any source, upright and in RGB.

    The EXIF orientation of a JPEG, WebP or TIFF is applied (also of a PIL image opened from one), and the rotation stored in HEIC and
    AVIF files; that of a PNG is not: AWS does the same. Transparent pixels are laid over white. Animations, sequences and
    files of several pictures give their first or default picture. Colour profiles and gamma are ignored.

    16-bit samples keep their high byte. Where all colour samples of a picture are below 256 they are 8-bit values in a wider
    container, as several programs write them, and are kept unchanged. Floats, negative values and values above 65,535 have no scale
    that could be known, and are refused.

    A process decodes pictures of up to 125 megapixels in all at the same time; further threads wait.

    Parameters
    ----------
    source : ImageSource
        A path; the bytes of a picture file (at most 5,242,880); a binary file object, read from its current position and
        left open (path and file: at most 15 MiB); a PIL image; a uint8 array, grey (H, W) or (H, W, 1), RGB (H, W, 3)
        or RGBA (H, W, 4); or a :class:`Picture`, returned as it is. Both sides from 80 to 10,000 pixels. Never changed
        (a PIL image opened lazily gets loaded), and later changes to it do not reach the result.
    formats : collection of str
        File formats to accept, of `FORMATS`. HEIC needs ``pip install "facesearch[heic]"``; Amazon Rekognition accepts
        `AWS_FORMATS` only.
    max_pixels : int
        Most pixels of a picture, >= 1: width times height. Decoding takes 4 to 16 bytes of memory for each, and 3 are kept.

    Returns
    -------
    Picture
        ``pixels`` is (H, W, 3) uint8 RGB.

    Raises
    ------
    InvalidParameterError
        `source` is none of these, or a file opened as text; or another argument is invalid.
    ImageNotFoundError
        The path leads to no file.
    ImageTooLargeError, ImageTooSmallError
        Bytes or pixels are out of bounds; found before anything is decoded.
    InvalidImageFormatError
        No file of the formats, damaged or truncated, or an array or PIL image of another kind.
    ImageError
        The file could not be read.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.zeros((90, 120), np.uint8))
    Picture(pixels=<(90, 120, 3) uint8>)
    >>> read_image(b"%PDF-1.7 ...")
    Traceback (most recent call last):
    facesearch.errors.InvalidImageFormatError: image: expected a JPEG, PNG, WebP, TIFF, GIF, HEIC or AVIF, got a PDF
    """
    most = check_int("max_pixels", max_pixels, 1)
    taken = _checked_formats(formats)
    if isinstance(source, Picture):
        return source
    with DECODING.room() as take:

        def admit(width: int, height: int, name: str = "image") -> None:
            check_sides(width, height, name)
            if width * height > most:
                raise ImageTooLargeError(f"{name}: expected at most {most:,} pixels, got {width} x {height}")
            take(width * height)

        if isinstance(source, np.ndarray):
            return Picture(pixels=_sealed(rgb_of_array(source, admit)))
        if isinstance(source, Image.Image):
            return Picture(pixels=_sealed(rgb_of_pil(source, admit)))
        data, name = _encoded(source)
        pixels = _sealed(rgb_of_decoded(decoded(data, name, taken, functools.partial(admit, name=name))))
    return Picture(pixels=pixels, encoded_digest=hashlib.sha256(data).hexdigest())


def _checked_formats(formats: Collection[str]) -> Collection[str]:
    if formats is FORMATS:
        return formats
    given: Any = formats
    is_list = isinstance(given, Collection) and not isinstance(given, str | bytes) and len(given) > 0
    if not is_list or any(kind not in FORMATS for kind in given):
        raise InvalidParameterError.of("formats", formats, f"one or more of {', '.join(FORMATS)} in a list")
    return formats


def _encoded(source: Any) -> tuple[bytes, str]:
    """Return the bytes of a picture file, and its name for messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        size = memoryview(source).nbytes
        if size > MAX_BYTES:
            raise ImageTooLargeError(f"image: expected at most {MAX_BYTES:,} bytes, got {size:,}")
        return bytes(source), "image"
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        return _from_path(path), f"image {shown(path)}"
    if hasattr(source, "read"):
        return _from_file(source, "image"), "image"
    raise InvalidParameterError.of("image", source, _ACCEPTED)


def bound(sources: Iterable[ImageSource]) -> Iterator[ImageSource]:
    """Resolve relative paths against the current folder of this call; paths without a file stay unchanged, for their error."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # it was removed, so that nothing is relative to it
        return iter(sources)
    return (_bound(source, folder) for source in sources)


def _bound(source: ImageSource, folder: Path) -> ImageSource:
    if isinstance(source, str | os.PathLike) and os.fspath(source) and os.path.exists(folder / source):  # noqa: PTH110  # false for texts that no path can be
        return folder / source
    return source


def _from_path(path: str) -> bytes:
    name = f"image {shown(path)}"
    try:
        if not path:
            raise FileNotFoundError("the path is empty")  # Path("") would be the current directory
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        start = path[:16].encode("utf-8", "replace")
        if kind := next((kind for pattern, kind in TEXTS.items() if re.match(pattern, start)), None):
            raise InvalidImageFormatError(
                f"image: expected a path, got {kind}"
            ) from None  # the text is a picture's content
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
            part: Any = file.read(left)  # sockets and raw files may return less than requested
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


def _restored(pixels: npt.NDArray[np.uint8], encoded_digest: str | None) -> Picture:
    """Return a picture that was copied or pickled: NumPy does not keep an array's read-only flag."""
    return Picture(pixels=_sealed(pixels), encoded_digest=encoded_digest)


def _sealed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Mark an array of our own read-only."""
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels
