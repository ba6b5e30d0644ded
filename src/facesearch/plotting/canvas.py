"""Helpers of all figures: figures without pyplot, and texts sized in data units."""

import io
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from facesearch.common.arrays import PixelArray
from facesearch.display.face_marks import Rectangle
from facesearch.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DOTS", "MOST_PIXELS", "axes_at", "check_matplotlib", "new_figure", "scale_of", "show", "write"]

T = TypeVar("T")

DOTS = 150  # dots an inch
MOST_PIXELS = 2000  # of a photo's longer side: more than any figure shows


def check_matplotlib() -> None:
    """Raise a `MissingExtraError` where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401  # whether it is there
    except ImportError as error:
        raise MissingExtraError.of("facesearch.plotting", "matplotlib", "plot") from error


def new_figure(width: float, height: float) -> "Figure":
    """Make an empty figure of that size in inches."""
    check_matplotlib()
    from matplotlib.figure import Figure  # no pyplot: it keeps global state, and wants a screen

    figure = Figure(figsize=(width, height), dpi=DOTS)
    return _with_png(figure, figure)


def axes_at(figure: "Figure", left: float, top: float, width: float, height: float) -> "Axes":
    """Add axes to a figure, in inches from its upper left corner."""
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    return _with_png(axes, figure)


def _with_png(value: T, figure: "Figure") -> T:
    """Add a notebook representation to a figure, or to axes: Jupyter by itself draws only pyplot's figures."""
    vars(value)["_repr_png_"] = partial(_png, figure)
    return value


def _png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def scale_of(axes: "Axes", width: float, height: float) -> float:
    """Return the screen pixels (96 per inch) of one data unit where *width* x *height* units fill the axes."""
    extent, whole = axes.get_window_extent(), axes.get_figure(root=True)
    dots = whole.dpi if whole else DOTS
    return float(min(extent.width / width, extent.height / height)) / dots * 96


def show(axes: "Axes", pixels: PixelArray, place: Rectangle) -> None:
    """Show a picture of (H, W, 3) uint8 RGB in a rectangle; y runs down."""
    from PIL import Image

    shrink = -(-max(pixels.shape) // MOST_PIXELS)
    shown = Image.fromarray(pixels).reduce(shrink) if shrink > 1 else pixels
    axes.imshow(shown, extent=(place.left, place.right, place.bottom, place.top), aspect="equal", zorder=0)


def write(axes: "Axes", text: str, place: tuple[float, float], letter: float) -> None:
    """Write a line that begins at *place*, with letters of that size in units of the axes; y runs down.

    It is drawn as a shape, so that it keeps its place beside the pictures at any scale.
    """
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    font = FontProperties(family="DejaVu Sans")  # matplotlib's own: it is always there
    path = TextPath((0, 0), text, size=letter, prop=font, usetex=False)
    upright = Affine2D().scale(1, -1).translate(*place)
    colour = mpl.rcParams["text.color"]
    axes.add_patch(PathPatch(path.transformed(upright), facecolor=colour, linewidth=0, zorder=5))
