"""Draw a whole response in one figure."""

from typing import TYPE_CHECKING

from facesearch.common.validation import check_is
from facesearch.display.rates import CURVES
from facesearch.images.reading import ImageSource, read_image
from facesearch.images.thumbnails import SHOWN_USERS
from facesearch.plotting.canvas import axes_at, new_figure
from facesearch.plotting.faces import legend_height, plot_faces
from facesearch.plotting.matches import Strip
from facesearch.plotting.similarity import draw_similarity
from facesearch.responses.search_users import SearchUsersByImageResponse, seen_faces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_response"]

# Inches.
_LOWEST, _WIDEST, _NARROWEST = 5.0, 8.5, 4.0  # the photo: as high as what stands beside it, if it is not too wide then
_UNDER = 0.33  # a legend of one row
_RIGHT = 5.6  # the column beside it
_GAP = 0.35
_CURVE, _AXIS, _ROW = 2.1, 0.45, 0.2  # the curves' height, what is written under them, and a row of their legend
_LABELS = 0.85  # what is written beside them


def plot_response(image: ImageSource, response: SearchUsersByImageResponse, *, pose: bool = False) -> "Figure":
    """Draw an annotated photo, its matches and their similarities on the measured curves, in one figure.

    Parameters
    ----------
    image
        The photo; path, bytes, binary file, PIL image, or uint8 array.
    response
        Response of a search for the photo. If no face was searched, the photo is shown alone.
    pose
        As for `plot_faces`.

    Returns
    -------
    Figure
        `plot_faces`, beside it `plot_matches` over `plot_similarity`. ``figure.savefig("answer.png")`` saves it; a notebook shows it.

    Raises
    ------
    ImageError
        If the picture can't be used.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import facesearch as fs
    >>> from skimage.data import astronaut
    >>> staff = fs.Collection("staff", thumbnails=True)
    >>> staff.enroll("eileen", [astronaut()[:, ::-1]]).accepted
    1
    >>> figure = plot_response(astronaut(), fs.search_users_by_image(staff, astronaut()))
    >>> len(figure.axes)  # the photo, the strip, the curves
    3
    """
    check_is("response", response, SearchUsersByImageResponse)
    picture = read_image(image)
    strip = Strip.of(response, picture) if response.searched_face else None
    marked = response.user_matches or response.next_user
    known = response.calibration if strip and marked else None
    beside = _RIGHT + 2 * _GAP if strip else 0.0
    across, down = strip.size if strip else (1.0, 0.0)
    strip_height = down * min(1.0, _RIGHT / across)
    entries = len(CURVES) + min(len(response.user_matches), SHOWN_USERS) + (response.next_user is not None)
    under = _CURVE + _AXIS + entries * _ROW if known else 0.0
    right_tall = strip_height + under + 1.5 * _GAP if strip else 0.0
    scale = min(max(_LOWEST, right_tall - _UNDER) / picture.height, _WIDEST / picture.width)
    width, height = max(picture.width * scale, _NARROWEST), picture.height * scale
    under_photo = legend_height(seen_faces(response), width)
    figure = new_figure(width + beside, max(height + under_photo, right_tall))
    plot_faces(picture, response, axes=axes_at(figure, 0, 0, width, height), pose=pose)
    left = width + _GAP
    if strip:
        strip.draw(axes_at(figure, left, _GAP / 2, min(_RIGHT, across), strip_height))
    if known:
        top = strip_height + _GAP * 1.5
        draw_similarity(axes_at(figure, left + _LABELS, top, _RIGHT - _LABELS, _CURVE), response, known)
    return figure
