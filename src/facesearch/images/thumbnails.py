"""Encode small JPEG pictures in memory: previews of photos and thumbnails of faces.

A response carries a small copy of its photo. Most responses are never displayed, so a picture is encoded when it is first read.
"""

import io
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.common.validation import is_a, plain_int, tuple_of, whole

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "SHOWN_FACES",
    "SHOWN_USERS",
    "THUMBNAIL_SIDE",
    "LazyJpeg",
    "Pictures",
    "Preview",
    "UserPictures",
    "thumbnail",
]

THUMBNAIL_SIDE = 112  # pixels
SHOWN_USERS, SHOWN_FACES = 5, 3  # most matches that have pictures, and most faces of each

_LONGEST_SIDE = 640  # pixels: as wide as a notebook's column, and some 40 kB
_QUALITY = 80  # of the JPEG files
# An unencoded preview holds up to 1,920 pixels a side, mostly 4 to 6 MB; an encoded one some 40 kB.
_MOST_PENDING: Final = 8


class LazyJpeg:
    """A JPEG file that is encoded when it is first read, and then kept.

    At most the 8 newest ones of a process wait with their pixels; the creation of a further one encodes the oldest. So a
    program that keeps many responses keeps files, and one that drops its responses encodes nothing. Equality, hash, copies
    and pickles are those of the file. *content* is the file, or a function that encodes it and always returns the same bytes.
    """

    __slots__ = ("__weakref__", "_content")

    def __init__(self, content: bytes | Callable[[], bytes]) -> None:
        self._content = content
        if not isinstance(content, bytes):
            _pending.append(weakref.ref(self))
            if len(_pending) > _MOST_PENDING and (oldest := _pending.popleft()()):
                oldest.read()

    def read(self) -> bytes:
        """Return the file."""
        content = self._content
        if not isinstance(content, bytes):
            # Two threads may both encode: they get the same bytes, and one assignment replaces pixels by file.
            self._content = content = content()
        return content

    def __eq__(self, other: object) -> bool:
        return self.read() == other.read() if isinstance(other, LazyJpeg) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.read())

    def __reduce__(self) -> tuple[Any, ...]:
        return LazyJpeg, (self.read(),)


def _lazy(content: LazyJpeg | bytes | Callable[[], bytes]) -> LazyJpeg:
    return content if isinstance(content, LazyJpeg) else LazyJpeg(content)


# Of the pictures that are not encoded yet, oldest first; those that are read or gone stay until they are the oldest.
# ``append`` and ``popleft`` are atomic, and every thread appends before it pops: no lock is needed.
_pending: Final[deque[weakref.ref[LazyJpeg]]] = deque()


@attrs.frozen(kw_only=True)
class Preview:
    """A small JPEG of an upright photo.

    Attributes
    ----------
    jpeg
        The encoded picture.
    width, height
        Its size in pixels.
    """

    _jpeg: LazyJpeg = field(repr=False, converter=_lazy)
    width: int = field(converter=plain_int, validator=whole(1))
    height: int = field(converter=plain_int, validator=whole(1))

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> "Preview":
        """Return the preview of a photo, (H, W, 3) uint8 RGB, which must not change: at most 640 pixels a side."""
        shrink = -(-max(pixels.shape) // _LONGEST_SIDE)
        step = max(1, shrink // 2)  # of a phone's photo every third pixel or so is enough
        # As items of 3 bytes pixels are copied twice as fast. Without a step nothing is copied: the photo is small.
        part = np.ascontiguousarray(np.ascontiguousarray(pixels).view("V3")[::step, ::step]).view(np.uint8)
        part = part.reshape(*part.shape[:2], 3)
        factor = -(-shrink // step)  # reducing by a whole number is the quickest way
        height, width = (-(-side // factor) for side in part.shape[:2])
        return cls(jpeg=partial(_encode_reduced, part, factor), width=width, height=height)

    @property
    def jpeg(self) -> bytes:
        """The encoded picture."""
        return self._jpeg.read()


@attrs.frozen(kw_only=True)
class UserPictures:
    """Thumbnails of one user that a collection keeps.

    Attributes
    ----------
    user_id
        The user's id.
    thumbnails
        JPEG files; those nearest to the searched face first.
    """

    user_id: str = field(validator=is_a(str))
    thumbnails: tuple[bytes, ...] = field(repr=False, validator=tuple_of(bytes))


@attrs.frozen(kw_only=True)
class Pictures:
    """Thumbnails of the searched face and of the best matches.

    Attributes
    ----------
    searched
        The searched face, a JPEG file like those of the users.
    users
        The best matches, in their order.
    """

    _searched: LazyJpeg = field(repr=False, converter=_lazy)
    users: tuple[UserPictures, ...] = field(validator=tuple_of(UserPictures))

    @property
    def searched(self) -> bytes:
        """The searched face, encoded when it is first read."""
        return self._searched.read()


def thumbnail(chip: npt.NDArray[np.uint8]) -> bytes:
    """Encode an upright face, (N, N, 3) uint8 RGB, as a JPEG file of `THUMBNAIL_SIDE` pixels a side, some 3 kB."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(chip)).resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.LANCZOS)
    return _encode(small)


def _encode_reduced(pixels: npt.NDArray[np.uint8], factor: int) -> bytes:
    from PIL import Image

    return _encode(Image.fromarray(pixels).reduce(factor))


def _encode(image: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
