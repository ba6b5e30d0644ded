"""Draw matches on the measured curves of strangers and of photos of one person."""

from functools import partial
from typing import TYPE_CHECKING, Any

from facesearch.common.validation import check_is
from facesearch.display.label_layout import fitted
from facesearch.display.rates import CURVES, UNMEASURED, Pin, floor_of, position, rates, stacked, strangers, ticks
from facesearch.errors import InvalidParameterError
from facesearch.images.thumbnails import SHOWN_USERS
from facesearch.matching.calibration import Calibration
from facesearch.plotting.canvas import axes_at, check_matplotlib, new_figure
from facesearch.responses.search_users import SearchUsersByImageResponse, UserMatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["draw_similarity", "plot_similarity"]

_LONGEST_NAME = 14  # letter sizes
_HEAD, _HEAD_APART = 11, 0.04  # a pin's head: points, and the share of the axis that it takes
_ROW = 0.09  # of the height, for a row of heads
_TICKS_APART = 0.06  # of the axis
_GREY = "#777777"  # seen on a dark ground and on a light one


def plot_similarity(
    response: SearchUsersByImageResponse, *, calibration: Calibration | None = None, axes: "Axes | None" = None
) -> "Axes":
    """Draw the matches on the curves of a calibration: the shares of strangers that are as similar, and of photos of one person less.

    Parameters
    ----------
    response
        Response of a search; its first 5 matches and the next user are marked.
    calibration
        Calibration of the percentages; by default the one of the response.
    axes
        Where to draw; by default in a figure of its own.

    Returns
    -------
    Axes
        Its ``figure`` can be saved. x runs from 0 to 1 along the distance of two faces and is labelled with
        similarities, percent; y is a share, on a logarithmic axis.

    Raises
    ------
    InvalidParameterError
        If *calibration* is neither given nor in the response, as in one that came over the wire.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import facesearch as fs
    >>> from facesearch.testing.fakes import fake_analyzer, paint
    >>> staff = fs.Collection("staff", analyzer=fake_analyzer())
    >>> photo = paint((100, 100), {(20, 20, 80, 80): (200, 30, 30)})
    >>> _ = staff.enroll("ada", [photo])
    >>> axes = plot_similarity(fs.search_users_by_image(staff, photo))
    >>> [text.get_text() for text in axes.get_legend().get_texts()][-1]
    'ada 100.00%: fewer than 1 in 100,000 strangers'
    """
    check_matplotlib()
    check_is("response", response, SearchUsersByImageResponse)
    known = response.calibration if calibration is None else check_is("calibration", calibration, Calibration)
    if known is None:
        raise InvalidParameterError.of("calibration", calibration, "one, as the response has none")
    where = axes_at(new_figure(8, 4.6), 1.0, 0.15, 6.8, 2.6) if axes is None else axes
    draw_similarity(where, response, known)
    return where


def draw_similarity(axes: "Axes", response: SearchUsersByImageResponse, calibration: Calibration) -> None:
    """Draw; see `plot_similarity`."""
    from matplotlib.legend_handler import HandlerTuple

    floor = 10.0 ** floor_of(calibration)
    for curve in CURVES:
        points = rates(calibration, curve)
        x = [point.position for point in points]
        low, high = [max(point.low, floor) for point in points], [max(point.high, floor) for point in points]
        axes.fill_between(x, low, high, color=curve.colour, alpha=0.25, linewidth=0)
        dash = (0, curve.dash) if curve.dash else "-"
        share = [point.rate for point in points]
        axes.plot(x, share, color=curve.colour, linewidth=2, linestyle=dash, label=curve.words)
    handles, labels = axes.get_legend_handles_labels()
    pins = _pins(response, calibration)
    heads = _draw_pins(axes, [pin for pin, _ in pins], calibration)
    _axis(axes, calibration, floor)
    axes.legend(
        [*handles, *heads],
        [*labels, *(text for _, text in pins)],
        handler_map={tuple: HandlerTuple(ndivide=1, pad=0)},
        loc="upper left",
        bbox_to_anchor=(-0.1, -0.2),
        frameon=False,
        labelspacing=0.7,
        fontsize=8,
        borderaxespad=0,
    )


def _pins(response: SearchUsersByImageResponse, calibration: Calibration) -> list[tuple[Pin, str]]:
    """Return the matches to mark, each with its text."""

    def words(match: UserMatch) -> str:
        name = fitted(match.user.user_id, _LONGEST_NAME)
        return f"{name} {match.similarity:.2f}%: {strangers(calibration, match.similarity)} strangers"

    pins = [
        (Pin(text=str(rank), similarity=match.similarity), words(match))
        for rank, match in enumerate(response.user_matches[:SHOWN_USERS], 1)
    ]
    if response.next_user:
        after = response.next_user
        pins.append((Pin(text="?", similarity=after.similarity, found=False), f"next, {words(after)}"))
    return pins


def _draw_pins(axes: "Axes", pins: list[Pin], calibration: Calibration) -> "list[Any]":
    """Draw pins, and return the handle of each for the legend."""
    places = [position(calibration, pin.similarity) for pin in pins]
    heads = []
    for pin, place, row in zip(pins, places, stacked(places, _HEAD_APART), strict=True):
        top = 1 - _ROW * (row + 0.5)
        axes.axvline(place, ymax=top, color=_GREY, linewidth=1.2, linestyle="-" if pin.found else ":", zorder=2.5)
        heads.append(_head(axes, pin, place, top))
    return heads


def _head(axes: "Axes", pin: Pin, place: float, top: float) -> "tuple[Line2D, ...]":
    from matplotlib.lines import Line2D

    ground, ink = (CURVES[0].colour, "white") if pin.found else ("white", "black")
    marker = partial(Line2D, [place], [top], linestyle="")
    circle = marker(marker="o", markersize=_HEAD, color=ground, markeredgecolor=_GREY, zorder=4)
    number = marker(marker=f"${pin.text}$", markersize=_HEAD / 2, color=ink, markeredgewidth=0, zorder=5)
    for part in (circle, number):
        part.set_transform(axes.get_xaxis_transform())
        part.set_clip_on(False)
        axes.add_artist(part)
    return circle, number


def _axis(axes: "Axes", calibration: Calibration, floor: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(floor, 1)
    axes.set_xlim(0, 1)
    axes.yaxis.set_major_formatter(lambda rate, _: "all" if rate >= 1 else f"1 in {1 / rate:,.0f}")
    axes.minorticks_off()
    marked = ticks(calibration, apart=_TICKS_APART)
    axes.set_xticks([tick.position for tick in marked], [f"{tick.similarity:g}" for tick in marked])
    axes.set_xlabel("similarity, percent", fontsize=9)
    axes.grid(visible=True, axis="y", color=_GREY, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.text(
        1 - UNMEASURED / 2,
        -0.03,
        "too rare to measure",
        transform=axes.transAxes,
        horizontalalignment="center",
        verticalalignment="top",
        fontsize=8,
        alpha=0.75,
    )
