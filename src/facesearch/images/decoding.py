"""Decode the bytes of a picture to an upright Pillow image, from the parts of the file that define its pixels.

All other parts are removed before Pillow reads a file: Pillow's EXIF and APNG code issues warnings on odd files, inflates unused texts
and profiles, and takes minutes over some hostile metadata. The first bytes determine the format, here, and only its own decoder is
called: `PIL.Image.open` would also try decoders that start other programs, such as Ghostscript. Nothing global in Pillow or
:mod:`warnings` is set, so ``LOAD_TRUNCATED_IMAGES`` set by other code changes nothing here and threads need no lock.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from PIL import Image

from facesearch.errors import ImageError, ImageTooLargeError, InvalidImageFormatError
from facesearch.images.formats import gif, heif, jpeg, png, tiff, webp
from facesearch.images.formats.kinds import described, format_of, listed
from facesearch.images.formats.raster import Admit, DamagedPictureError, UnsupportedPictureError

__all__ = ["decoded"]

_DECODERS: Final[Mapping[str, Callable[[bytes, Admit], Image.Image]]] = {
    "JPEG": jpeg.decode,
    "PNG": png.decode,
    "WebP": webp.decode,
    "TIFF": tiff.decode,
    "GIF": gif.decode,
    "HEIC": heif.decode_heic,
    "AVIF": heif.decode_avif,
}


def decoded(data: bytes, name: str, formats: Collection[str], admit: Admit) -> Image.Image:
    """Decode a picture of one of *formats*; convert any error to an `ImageError`."""
    kind = format_of(data)
    if kind is None or kind not in formats:
        raise InvalidImageFormatError(f"{name}: expected {listed(formats)}, got {described(data)}")
    try:
        return _DECODERS[kind](data, admit)
    except ImageError:
        raise
    except UnsupportedPictureError as error:
        raise InvalidImageFormatError(f"{name}: {error}") from error
    except MemoryError as error:
        raise ImageTooLargeError(f"{name}: expected a {kind} that fits in memory, it does not") from error
    except Exception as error:  # Pillow raises a dozen kinds on hostile data, some of which quote it
        why = f" ({error})" if isinstance(error, DamagedPictureError) else ""
        raise InvalidImageFormatError(
            f"{name}: expected an intact {kind}, got {len(data):,} bytes that are truncated or damaged{why}"
        ) from error
