"""Small pictures, in memory: of a photo, to draw faces on where a notebook shows a response, and of faces, where asked for."""

import io
from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.common.validation import is_a, plain_int, tuple_of, whole

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["SHOWN_FACES", "SHOWN_USERS", "THUMBNAIL_SIDE", "Pictures", "Preview", "UserPictures", "thumbnail"]

THUMBNAIL_SIDE = 112  # pixels
SHOWN_USERS, SHOWN_FACES = 5, 3  # in pictures: so many matches, and of each so many faces

_LONGEST_SIDE = 640  # pixels: as wide as a notebook's column, and some 40 kB
_QUALITY = 80  # of the JPEG files


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

    jpeg: bytes = field(repr=False, validator=is_a(bytes))
    width: int = field(converter=plain_int, validator=whole(1))
    height: int = field(converter=plain_int, validator=whole(1))

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> "Preview":
        """Make one of a picture of (H, W, 3) uint8 RGB."""
        from PIL import Image

        # By a whole number, the quickest way; of a phone's photo every third pixel or so is plenty.
        shrink = -(-max(pixels.shape) // _LONGEST_SIDE)
        step = max(1, shrink // 2)
        image = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).reduce(-(-shrink // step))
        return cls(jpeg=_jpeg(image), width=image.width, height=image.height)


@attrs.frozen(kw_only=True)
class UserPictures:
    """Faces that a collection keeps pictures of.

    Attributes
    ----------
    user_id
        Whose.
    thumbnails
        JPEG files; those nearest to the searched face first.
    """

    user_id: str = field(validator=is_a(str))
    thumbnails: tuple[bytes, ...] = field(repr=False, validator=tuple_of(bytes))


@attrs.frozen(kw_only=True)
class Pictures:
    """Who was searched and who was found, in pictures.

    Attributes
    ----------
    searched
        The searched face, a JPEG file like those of the users.
    users
        The best matches, in their order.
    """

    searched: bytes = field(repr=False, validator=is_a(bytes))
    users: tuple[UserPictures, ...] = field(validator=tuple_of(UserPictures))


def thumbnail(chip: npt.NDArray[np.uint8]) -> bytes:
    """Make a small picture of an upright face.

    Parameters
    ----------
    chip
        (N, N, 3) uint8 RGB; see `facesearch.stages.AlignedFace`.

    Returns
    -------
    bytes
        A JPEG file of `THUMBNAIL_SIDE` pixels a side, some 3 kB.
    """
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(chip)).resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.LANCZOS)
    return _jpeg(small)


def _jpeg(image: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
