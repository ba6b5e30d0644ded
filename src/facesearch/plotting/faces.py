"""Show a photo with all its faces annotated: outcome, user, landmarks and pose."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from facesearch.common.validation import check_bool
from facesearch.display.annotator import draw_for_screen
from facesearch.display.face_marks import HALO, STYLES, FaceClass, SeenFace, Style, legend
from facesearch.display.label_layout import text_width
from facesearch.images.reading import ImageSource, Picture, read_image
from facesearch.plotting.canvas import DOTS, MOST_PIXELS, axes_at, check_matplotlib, new_figure, scale_of
from facesearch.responses.annotation import FacesOfPhoto, faces_of_photo

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["legend_height", "plot_faces"]

_LONGEST, _NARROWEST = 8.0, 4.0  # inches of a photo's longer side, and of a figure at least: the legend needs them
_ROW, _LEGEND_LETTER, _SWATCH = 0.18, 8, 3.5  # of the legend: inches; points; widths of a letter
_DENSITY = 2  # pixels of the annotated photo for one dot of a figure: sharp if it is saved with more dots an inch


def plot_faces(image: ImageSource, faces: FacesOfPhoto, *, axes: "Axes | None" = None, pose: bool = False) -> "Axes":
    """Show a photo with every face annotated: a frame by the outcome of the face, names, reasons and landmarks.

    Parameters
    ----------
    image
        The photo; path, bytes, binary file, PIL image, or uint8 array.
    faces
        Response for the photo: of `search_users_by_image`, `search_all_faces` (all its responses), `index_faces` or
        `detect_faces`.
    axes
        Where to draw; by default in a figure of its own. One unit is one pixel of the photo, y runs down.
    pose
        Whether to draw the pose of each head too.

    Returns
    -------
    Axes
        With the annotated photo as its image, and a legend. Its ``figure`` can be saved; a notebook shows it.

    Raises
    ------
    ImageError
        If the picture can't be used.
    InvalidParameterError
        If *faces* is no such response.
    MissingExtraError
        If matplotlib is not installed.

    Notes
    -----
    The photo is annotated as by `facesearch.annotate`, with the letters and the resolution of the figure. Up to six faces are
    labelled in words, more are numbered: the searched faces first, then the others in the order of the response. Landmarks and,
    if asked for, the pose are drawn on faces that have room for them: lines of the pose run from the middle of the face to the
    viewer's right, to the top of the head, and, with a dot, to where the nose points.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from facesearch import detect_faces
    >>> axes = plot_faces(astronaut(), detect_faces(astronaut()))
    >>> tuple(map(float, axes.get_xlim()))
    (0.0, 512.0)
    """
    check_matplotlib()
    check_bool("pose", pose)
    seen, picture = faces_of_photo("faces", faces), read_image(image)
    width, height = picture.width, picture.height
    where = _own_axes(picture, seen) if axes is None else axes
    scale = scale_of(where, width, height)
    density = min(_DENSITY * DOTS / 96, MOST_PIXELS / (max(width, height) * scale))
    annotated = draw_for_screen(picture.pixels, seen, scale=scale, density=density, pose=pose)
    where.imshow(annotated, extent=(0, width, height, 0), aspect="equal", zorder=0)
    where.set_xlim(0, width)
    where.set_ylim(height, 0)
    where.set_axis_off()
    _legend(where, seen)
    return where


def _own_axes(picture: Picture, faces: Sequence[SeenFace]) -> "Axes":
    scale = _LONGEST / max(picture.width, picture.height)
    width, height = max(picture.width * scale, _NARROWEST), picture.height * scale
    figure = new_figure(width, height + legend_height(faces, width))
    return axes_at(figure, 0, 0, width, height)


def legend_height(faces: Sequence[SeenFace], width: float) -> float:
    """Return the height of the legend under a photo of the given width, both in inches."""
    return 0.15 + _ROW * _legend_rows(legend(faces), width)


def _legend_rows(entries: Sequence[tuple[FaceClass, str]], width: float) -> int:
    """Return 1 if all entries fit side by side, else the number of entries: one row each."""
    letters = sum(text_width(words) + _SWATCH + 3 for _, words in entries)
    return 1 if letters * _LEGEND_LETTER / 72 <= width else len(entries)


def _legend(axes: "Axes", faces: Sequence[SeenFace]) -> None:
    from matplotlib.legend_handler import HandlerTuple

    entries = legend(faces)
    if not entries:
        return
    whole = axes.get_figure(root=True)
    width = axes.get_window_extent().width / (whole.dpi if whole else DOTS)
    axes.legend(
        [_swatch(STYLES[kind]) for kind, _ in entries],
        [words for _, words in entries],
        handler_map={tuple: HandlerTuple(ndivide=1, pad=0)},
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=len(entries) if _legend_rows(entries, width) == 1 else 1,
        frameon=False,
        fontsize=_LEGEND_LETTER,
        handlelength=_SWATCH,
        columnspacing=1.5,
        borderaxespad=0.2,
    )


def _swatch(style: Style) -> "tuple[Line2D, ...]":
    """Return the two lines of a frame: the halo, and the line on it."""
    from matplotlib.lines import Line2D

    line = Line2D([], [], color=style.colour, linewidth=2, dash_capstyle="butt")
    line.set_linestyle((0, style.dash) if style.dash else "-")
    return Line2D([], [], color=style.halo, linewidth=2 * HALO), line
