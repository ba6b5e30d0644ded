"""Draw the searched face beside faces of the matched users."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
import numpy as np

from facesearch.common.arrays import PixelArray
from facesearch.common.validation import check_is
from facesearch.display.face_marks import Rectangle
from facesearch.display.label_layout import fitted
from facesearch.domain.geometry import BoundingBox
from facesearch.images.reading import ImageSource, read_image
from facesearch.images.stored_thumbnails import small_picture
from facesearch.images.thumbnails import SHOWN_USERS
from facesearch.plotting.canvas import axes_at, check_matplotlib, new_figure, show, write
from facesearch.responses.search_users import SearchUsersByImageResponse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Strip", "plot_matches"]

# Lengths are in sides of a picture.
_WIDEST = 8.0  # of a row
_GAP, _BETWEEN = 0.06, 0.35  # between pictures of one user, and between users
_LETTER, _CAPTION = 0.15, 0.46  # size of letters, and height of two lines of them
_NARROWEST = 1.7  # of what a user takes: room for a name
_INCHES = 1.0
_GREY = "#777777"


@attrs.frozen
class _Group:
    """Pictures with two lines under them."""

    lines: tuple[str, str]
    pictures: tuple[PixelArray | None, ...]
    least: float

    @property
    def width(self) -> float:
        return max(self.least, len(self.pictures) * (1 + _GAP) - _GAP)


@attrs.frozen(kw_only=True)
class Strip:
    """A strip that is laid out; see `plot_matches`."""

    groups: tuple[_Group, ...]

    @classmethod
    def of(cls, response: SearchUsersByImageResponse, image: ImageSource | None) -> "Strip":
        """Make the strip of a response."""
        searched = _Group(("searched" if response.searched_face else "no face", ""), (_searched(response, image),), 1)
        kept = {user.user_id: user.thumbnails for user in response.pictures.users} if response.pictures else {}
        users = [
            _Group(
                (match.user.user_id, f"{match.similarity:.2f}%"),
                tuple(small_picture(jpeg) for jpeg in kept.get(match.user.user_id, ())) or (None,),
                _NARROWEST,
            )
            for match in response.user_matches[:SHOWN_USERS]
        ]
        return cls(groups=(searched, *users))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in sides of a picture."""
        places = [(left + group.width, top) for group, left, top in self.places()]
        return max(right for right, _ in places), max(top for _, top in places) + 1 + _CAPTION

    def places(self) -> Iterator[tuple[_Group, float, float]]:
        """Yield each group with its left and top; rows are filled one after the other."""
        left = top = 0.0
        for group in self.groups:
            if left > 0 and left + group.width > _WIDEST:
                left, top = 0.0, top + 1 + _CAPTION
            yield group, left, top
            left += group.width + _BETWEEN

    def draw(self, axes: "Axes") -> None:
        """Draw it; y runs down."""
        for group, left, top in self.places():
            for column, picture in enumerate(group.pictures):
                _picture(axes, picture, left + column * (1 + _GAP), top)
            for row, line in enumerate(group.lines):
                if line:
                    shown = fitted(line, group.width / _LETTER)
                    write(axes, shown, (left, top + 1 + _LETTER * (1.1 + 1.3 * row)), _LETTER)
        width, height = self.size
        axes.set_xlim(-_GAP, width + _GAP)
        axes.set_ylim(height + _GAP, -_GAP)
        axes.set_aspect("equal", anchor="NW")
        axes.set_axis_off()


def plot_matches(
    response: SearchUsersByImageResponse, *, image: ImageSource | None = None, axes: "Axes | None" = None
) -> "Axes":
    """Draw the searched face beside faces of the best matches.

    Parameters
    ----------
    response
        Response of a search. Its first 5 matches are shown, each with up to 3 faces, nearest first. A collection keeps faces
        if it was created with ``thumbnails=True``; otherwise a user's place stays empty.
    image
        The photo, from which the searched face is cropped; by default the small picture in the response.
    axes
        Where to draw; by default in a figure of its own. A unit is the side of a picture, y runs down.

    Returns
    -------
    Axes
        Its ``figure`` can be saved.

    Raises
    ------
    ImageError
        If the picture can't be used.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import facesearch as fs
    >>> from facesearch.testing.fakes import fake_analyzer, paint
    >>> staff = fs.Collection("staff", analyzer=fake_analyzer(), thumbnails=True)
    >>> photo = paint((100, 100), {(20, 20, 80, 80): (200, 30, 30)})
    >>> _ = staff.enroll("ada", [photo])
    >>> len(plot_matches(fs.search_users_by_image(staff, photo)).images)
    2
    """
    check_matplotlib()
    check_is("response", response, SearchUsersByImageResponse)
    strip = Strip.of(response, image)
    if axes is None:
        width, height = ((side + 2 * _GAP) * _INCHES for side in strip.size)
        axes = axes_at(new_figure(width, height), 0, 0, width, height)
    strip.draw(axes)
    return axes


def _picture(axes: "Axes", picture: PixelArray | None, left: float, top: float) -> None:
    from matplotlib.patches import Rectangle as Ground

    if picture is not None:
        show(axes, picture, Rectangle(left=left, top=top, width=1, height=1))
        return
    empty = Ground((left, top), 1, 1, facecolor=_GREY, alpha=0.2, edgecolor=_GREY, linestyle="--")
    axes.add_patch(empty)
    write(axes, "no picture", (left + 0.07, top + 0.55), _LETTER)


def _searched(response: SearchUsersByImageResponse, image: ImageSource | None) -> PixelArray | None:
    """Return a square picture of the searched face, from the best available source."""
    box = response.searched_face.face_detail.bounding_box if response.searched_face else None
    if image is not None and box:
        return _cut(read_image(image).pixels, box)
    if response.pictures:
        return small_picture(response.pictures.searched)
    if response.preview and box:
        shown = small_picture(response.preview.jpeg)
        return None if shown is None else _cut(shown, box)
    return None


def _cut(pixels: PixelArray, box: BoundingBox) -> PixelArray | None:
    """Cut a square around a box; what lies outside of the picture repeats its edge."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box.to_pixels(width, height)
    side = min(max(right - left, bottom - top), 2.0 * max(width, height))
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    count = max(1, round(side))
    rows, columns = (np.clip(np.arange(count) + round(start), 0, end - 1) for start, end in ((y, height), (x, width)))
    return np.ascontiguousarray(pixels[rows][:, columns])
