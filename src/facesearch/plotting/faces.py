"""A photo with all its faces: what became of each, who it is, where its landmarks are and where it looks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from facesearch.common.validation import check_bool
from facesearch.display.face_marks import (
    HALO,
    STYLES,
    FaceClass,
    Mark,
    Rectangle,
    SeenFace,
    Style,
    legend,
    marks_of,
)
from facesearch.display.label_layout import Label, lay_out, letter_size, text_width
from facesearch.images.reading import ImageSource, Picture, read_image
from facesearch.plotting.canvas import DOTS, axes_at, check_matplotlib, new_figure, scale_of, show, write
from facesearch.responses.annotation import FacesOfPhoto, faces_of_photo

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["legend_height", "plot_faces"]

_LONGEST, _NARROWEST = 8.0, 4.0  # inches of a photo's longer side, and of a figure at least: the legend needs them
_ROW, _LEGEND_LETTER, _SWATCH = 0.18, 8, 3.5  # of the legend: inches; points; widths of a letter
_POINTS = 72 / 96  # in a pixel of the screen
_FOUND_ABOVE = 0.5  # so the searched face is drawn over its neighbours


def plot_faces(image: ImageSource, faces: FacesOfPhoto, *, axes: "Axes | None" = None, pose: bool = False) -> "Axes":
    """Draw every face on its photo: frames by what became of the face, names, reasons and landmarks.

    Parameters
    ----------
    image
        The photo; path, bytes, binary file, PIL image, or uint8 array.
    faces
        What was answered for it: by `search_users_by_image`, `search_all_faces` (all its responses), `index_faces` or
        `detect_faces`.
    axes
        Where to draw; by default in a figure of its own. One unit is one pixel of the photo, y runs down.
    pose
        Whether to draw how each head is turned, too.

    Returns
    -------
    Axes
        Its ``figure`` can be saved; a notebook shows it.

    Raises
    ------
    ImageError
        If the picture can't be used.
    InvalidParameterError
        If *faces* is no such answer.
    MissingExtraError
        If matplotlib is not installed.

    Notes
    -----
    Up to six faces are labelled in words, more are numbered: the searched ones first, then the others as the answer lists
    them. Landmarks and, if asked for, the pose are drawn on faces that have room for them: lines of the pose run from the
    middle of the face to the viewer's right, to the top of the head, and, with a dot, to where the nose points.

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
    show(where, picture.pixels, Rectangle(left=0, top=0, width=width, height=height))
    marks = marks_of(seen, width, height, pose=pose)
    scale = scale_of(where, width, height)
    letter = letter_size(marks, scale)
    for mark in marks:
        _frame(where, mark, letter, scale)
        if mark.shows_details(letter):
            _details(where, mark, letter, scale)
    for label in lay_out(marks, width, height, letter):
        _label(where, label, letter)
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


def _frame(axes: "Axes", mark: Mark, letter: float, scale: float) -> None:
    from matplotlib.patches import Rectangle as Outline

    width = mark.stroke(letter) * scale * _POINTS
    above = _FOUND_ABOVE if mark.kind is FaceClass.FOUND else 0.0
    for order, (colour, factor, dash) in enumerate(_strokes(mark.style)):
        axes.add_patch(
            Outline(
                (mark.box.left, mark.box.top),
                mark.box.width,
                mark.box.height,
                fill=False,
                edgecolor=colour,
                linewidth=width * factor,
                linestyle=(0, dash) if dash else "-",
                zorder=1 + above + order / 10,
                joinstyle="round",
                capstyle="butt",
            )
        )


def _strokes(style: Style) -> tuple[tuple[str, float, tuple[float, ...]], ...]:
    """Return colour, width and dashes of the two lines of a frame: the halo, and the line on it."""
    return (style.halo, HALO, ()), (style.colour, 1.0, style.dash)


def _details(axes: "Axes", mark: Mark, letter: float, scale: float) -> None:
    thin = letter / 9 * scale * _POINTS
    if mark.axes:
        (x, y), ahead = mark.centre, mark.axes[2]
        for end in mark.axes:
            for colour, width in (("#000000", 2 * thin), ("#ffffff", thin)):
                axes.plot((x, end[0]), (y, end[1]), color=colour, linewidth=width, solid_capstyle="round", zorder=2)
        axes.plot(*ahead, "o", color=mark.style.colour, markersize=4 * thin, markeredgecolor="#000000", zorder=3)
    for point in mark.landmarks:
        axes.plot(
            *point,
            "o",
            color="#ffffff",
            markersize=2 * thin,
            markeredgecolor="#000000",
            markeredgewidth=thin / 2,
            zorder=3,
        )


def _label(axes: "Axes", label: Label, letter: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    place, style = label.place, label.mark.style
    ground = FancyBboxPatch(
        (place.left, place.top),
        place.width,
        place.height,
        boxstyle=f"round,pad=0,rounding_size={letter / 5}",
        facecolor=style.colour,
        linewidth=0,
        zorder=4,
    )
    axes.add_patch(ground)
    write(axes, label.text, label.baseline, letter, ink=style.ink)


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
    from matplotlib.lines import Line2D

    return tuple(
        Line2D([], [], color=colour, linewidth=2 * width, linestyle=(0, dash) if dash else "-", dash_capstyle="butt")
        for colour, width, dash in _strokes(style)
    )
