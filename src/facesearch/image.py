"""The one reader of pictures: whatever a caller holds becomes an upright RGB array, or an error that says why not.

JPEG and PNG only, told by their first bytes, as AWS has it. Before Pillow sees a file it is cut down to what makes the
pixels: Pillow's EXIF and APNG code issues warnings on odd files, inflates texts and profiles nobody asked for, and
takes minutes over some hostile metadata. Nothing global in Pillow or :mod:`warnings` is read or set, so
``LOAD_TRUNCATED_IMAGES`` set by somebody else changes nothing here and threads need no lock.
"""

import functools
import hashlib
import io
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from facesearch.errors import (
    ImageError,
    ImageNotFoundError,
    ImageTooLargeError,
    ImageTooSmallError,
    InvalidImageFormatError,
    InvalidParameterError,
    shown,
)

__all__ = ["MAX_BYTES", "MAX_FILE_BYTES", "MAX_SIDE", "MIN_SIDE", "ImageSource", "Picture", "read_image"]

MAX_BYTES: Final = 5_242_880
"""Most bytes of a picture given as bytes; the ImageBlob limit of botocore's Rekognition model."""
MAX_FILE_BYTES: Final = 15 * 1024 * 1024
"""Most bytes of a file; AWS takes S3 objects up to 15 MB (developer guide, "Guidelines and quotas")."""
MIN_SIDE: Final = 80
"""Fewest pixels of width and of height (same page)."""
MAX_SIDE: Final = 10_000
"""Most pixels of width and of height; AWS: "dimensions 10800 x 5400 exceed maximum dimension size of 10000 pixels"."""
MAX_SEGMENTS: Final = 4096
"""Most segments before a JPEG's first scan: ours, four times what 15 MB of full segments, ICC and XMP parts come to."""
MAX_SCANS: Final = 100
"""Most scans in a JPEG: ours; progressive files hold about ten, and each costs 0.1 s at 100 megapixels."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I")  # and I;16, I;16B ...
_ACCEPTED = "a path, bytes, a binary file object, a PIL image or a uint8 RGB array of shape (H, W, 3)"
_ARRAY = "a uint8 array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) in RGB order"
_DEEP_WHITE = 0xFFFF  # the highest 16-bit sample
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
    rb"data:": "a data: URL; decode what follows its comma: base64.b64decode(image.partition(',')[2])",
    rb"/9j/|iVBORw0KGgo": "base64 text; decode it first: base64.b64decode(image)",
}


def _check_pixels(_: "Picture", __: "attrs.Attribute[npt.NDArray[np.uint8]]", pixels: Any) -> None:
    right = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
    if not right or not pixels.flags.c_contiguous or pixels.flags.writeable:
        raise InvalidImageFormatError(
            f"pixels: expected a read-only, contiguous uint8 array of shape (H, W, 3), as read_image makes it,"
            f" got {shown(pixels)}"
        )


@attrs.frozen(kw_only=True, eq=False)
class Picture:
    """An upright RGB picture, as :func:`read_image` makes it.

    Attributes
    ----------
    pixels : numpy.ndarray
        (H, W, 3) uint8, RGB, C-contiguous and read-only; row 0 is the top.
    encoded_digest : str or None
        Hex SHA-256 of the JPEG or PNG the picture came from; None when it came as pixels.
    """

    pixels: npt.NDArray[np.uint8] = attrs.field(validator=_check_pixels, repr=lambda pixels: f"<{pixels.shape} uint8>")
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
    pixels = _sealed(_rgb(_decoded(data, name)))
    return Picture(pixels=pixels, encoded_digest=hashlib.sha256(data).hexdigest())


def _from_path(path: str) -> bytes:
    name = f"image {shown(path)}"
    try:
        if not path:
            raise FileNotFoundError("the path is empty")  # Path("") would be the current directory
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        if text := re.match(rb"data:|/9j/|iVBORw0KGgo", path[:16].encode("utf-8", "replace")):
            kind = _OTHERS[rb"data:" if text[0] == b"data:" else rb"/9j/|iVBORw0KGgo"]
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


def _decoded(data: bytes, name: str) -> Image.Image:
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
            orientation = _orientation(data[start + 8 : at])
        if code not in _METADATA:
            kept.append(b"\xff" + data[start - 1 : at])
        if code == _SCAN:
            break
    else:
        raise ValueError(f"more than {MAX_SEGMENTS:,} segments before its first scan")
    _count_scans(data, at)
    lean = b"".join([*kept, data[at:]])
    header = JpegImageFile(io.BytesIO(lean))
    _check_sides(*header.size, name)
    image = Image.frombytes(header.mode, header.size, lean, "jpeg", cast("Any", header.tile[0][3]))
    return _upright(image, orientation)


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


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _png(data: bytes, name: str) -> Image.Image:
    """Decode a PNG from the four kinds of chunks that make its default picture."""
    head, packed = _chunks(data)
    header = PngImageFile(io.BytesIO(_PNG + b"".join(head.values()) + b"\0\0\0\0IDAT"))
    _check_sides(*header.size, name)
    args = (header.tile[0][3], int("interlace" in header.info))
    image = Image.frombytes(header.mode, header.size, packed, "zip", args)
    if header.mode == "P":
        image.putpalette(head[b"PLTE"][8:-4])
    if (clear := header.info.get("transparency")) is not None:
        steps = 2 ** head[b"IHDR"][16] - 1  # Pillow scales the samples to 8 bits, but not the colour that is clear
        if header.mode == "RGB" and steps == _DEEP_WHITE:
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


def _orientation(tiff: bytes) -> int:
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


def _from_pil(image: Image.Image) -> npt.NDArray[np.uint8]:
    _check_sides(*image.size, "image")
    if image.mode not in _MODES and not image.mode.startswith("I;16"):
        raise InvalidImageFormatError(
            f"image: expected a PIL image of mode {', '.join(_MODES)} or I;16, got {image.mode!r};"
            " turn it into RGB first, values 0 to 255"
        )
    exif = image.info.get("exif") if image.format in {"JPEG", "MPO"} else None
    orientation = _orientation(exif.removeprefix(b"Exif\0\0")) if isinstance(exif, bytes) else 1
    try:
        # the copy loads a lazy file; converting the caller's own palette image would write into its palette
        return _rgb(_upright(image.copy(), orientation))
    except ImageError:
        raise
    except Exception as error:  # a lazy file decodes only here
        raise InvalidImageFormatError(f"image: expected a PIL image that loads, got {shown(error)}") from error


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Turn a decoded image of any mode in _MODES into (H, W, 3) uint8, what is transparent over white."""
    clear = image.info.get("transparency")  # one grey or colour, except in palette images
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if image.mode == "I" and (deep.min() < 0 or deep.max() > _DEEP_WHITE):
            raise InvalidImageFormatError(
                f"image: expected a PIL image of mode 'I' to hold 0 to {_DEEP_WHITE}, got {deep.min()} to {deep.max()}"
            )
        grey = (deep >> 8).astype(np.uint8)
        if clear is not None:
            grey[deep == clear] = 255
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if image.mode not in {"1", "L", "RGB"}:
        if not image.has_transparency_data:
            return np.asarray(image.convert("RGB"))
        layer, canvas = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        canvas.paste(layer, mask=layer)
        return np.asarray(canvas)
    image.info.pop("transparency", None)
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if isinstance(clear, int | tuple):
        pixels = np.where((pixels == clear).all(axis=2, keepdims=True), np.uint8(255), pixels)
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
    _check_sides(shape[1], shape[0], "image")
    if array.ndim == 2 or shape[2] == 1:  # noqa: PLR2004 - axes
        return np.repeat(array.reshape(*shape[:2], 1), 3, axis=2)
    if shape[2] == 4:  # noqa: PLR2004 - channels
        return _rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.array(array, order="C", subok=False)  # a copy always: a read-only view may have a writable owner


def _check_sides(width: int, height: int, name: str) -> None:
    if max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(f"{name}: expected at most {MAX_SIDE:,} pixels a side, got {width} x {height}")
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmallError(f"{name}: expected at least {MIN_SIDE} pixels a side, got {width} x {height}")


def _sealed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Mark an array of our own read-only."""
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels
