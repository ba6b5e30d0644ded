"""Plot results as PNG files. Needs matplotlib: ``pip install "facesearch[benchmark]"``.

Colours are Okabe and Ito's, which colour-blind people can distinguish; lines also differ in their dashes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from facesearch.benchmark.metrics.discard import ErrorVersusDiscard
from facesearch.benchmark.metrics.reliability import StatedRate
from facesearch.benchmark.metrics.roc import Roc, check_scores
from facesearch.common.validation import check_each, check_float
from facesearch.errors import InvalidParameterError
from facesearch.files.writing import OutputKind, signature, write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PLOT_FILE", "check_plots", "plot_det", "plot_discard", "plot_reliability", "plot_roc", "plot_scores"]

T = TypeVar("T")

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # https://jfly.uni-koeln.de/color/
_DASHES = ("-", "--", "-.", ":")
_GREY = "#555555"
_INCHES, _DOTS = (6.4, 4.4), 150
_BINS = 60
_SIGN = "facesearch: benchmark"  # in the file, as a text called Software
PLOT_FILE = OutputKind(
    name="a figure of facesearch's benchmark",
    recognises=signature(f"tEXtSoftware\0{_SIGN}".encode()),
    private=False,
)


def check_plots() -> None:
    """Check that matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401  # whether it is there
    except ImportError as error:
        raise InvalidParameterError(
            'plots: expected matplotlib to be installed: pip install "facesearch[benchmark]"'
        ) from error


def plot_roc(path: str | Path, curves: Mapping[str, Roc], *, overwrite: bool = False) -> Path:
    """Draw true match rates over false match rates, the latter on a logarithmic axis.

    Parameters
    ----------
    path
        Where to write the PNG; the folder is made if need be.
    curves
        From the name in the legend to the curve.
    overwrite
        Replace a file that is no figure of the benchmark too.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputRefusedError
        If a file is there that is no figure of the benchmark, or that is an open database.
    InvalidParameterError
        If matplotlib is not installed.
    """
    _check_curves(curves, Roc)
    figure, axes = _canvas("False match rate", "True match rate")
    _draw(axes, {name: (curve.fmr, 1 - curve.fnmr) for name, curve in curves.items()}, above_zero=("x",))
    _logarithmic(axes, "x")
    axes.set_xlim(_least(curve.fmr for curve in curves.values()), 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.legend(loc="lower right", frameon=False)
    return _save(figure, path, overwrite=overwrite)


def plot_det(path: str | Path, curves: Mapping[str, Roc], *, overwrite: bool = False) -> Path:
    """Draw the two errors against each other, both on logarithmic axes; parameters and errors are those of `plot_roc`.

    References
    ----------
    Martin et al., Eurospeech 1997; ISO/IEC 19795-1.
    """
    _check_curves(curves, Roc)
    figure, axes = _canvas("False match rate", "False non-match rate")
    _draw(axes, {name: (curve.fmr, curve.fnmr) for name, curve in curves.items()}, above_zero=("x", "y"))
    _logarithmic(axes, "x", "y")
    axes.set_xlim(_least(curve.fmr for curve in curves.values()), 1)
    axes.set_ylim(_least(curve.fnmr for curve in curves.values()), 1)
    axes.plot([1e-9, 1], [1e-9, 1], color=_GREY, linewidth=0.8, linestyle=(0, (1, 3)), label="equal errors")
    axes.legend(loc="upper right", frameon=False)
    return _save(figure, path, overwrite=overwrite)


def plot_discard(
    path: str | Path, curves: Mapping[str, ErrorVersusDiscard], *, up_to: float = 0.5, overwrite: bool = False
) -> Path:
    """Draw the false non-match rate left over the share of genuine pairs discarded, and the best that could be.

    The other parameters, the result and the errors are those of `plot_roc`.

    Parameters
    ----------
    curves
        From the name in the legend to the curve: one for each quality score, for example.
    up_to
        Where to end, 0-1. Beyond, few pairs are left and the rate jumps.

    Raises
    ------
    InvalidParameterError
        Also if *up_to* is not in [0, 1], or there is no curve.
    """
    _check_curves(curves, ErrorVersusDiscard)
    end = check_float("up_to", up_to, 0, 1)
    figure, axes = _canvas(
        "Share of the genuine pairs discarded, the worst first", "False non-match rate of those left"
    )
    lines = {name: _until(end, curve) for name, curve in curves.items()}
    _draw(axes, lines, above_zero=())
    bests = {(curve.start.events, curve.start.trials): curve.perfect for curve in curves.values()}
    for number, best in enumerate(bests.values()):
        x, y = _until(end, best)
        label = None if number else "best possible"
        axes.plot(x, y, drawstyle="steps-post", color=_GREY, linewidth=0.8, linestyle=(0, (1, 3)), label=label)
    axes.set_xlim(0, end or 1)
    axes.set_ylim(0, 1.25 * max(y.max() for _, y in lines.values()) or 1)  # room for the legend above
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.legend(loc="upper right", frameon=False)
    return _save(figure, path, overwrite=overwrite)


def _check_curves(curves: Mapping[str, T], kind: type[T]) -> None:
    given: Any = curves  # what callers pass may not be what the annotation asks for
    if not given or not isinstance(given, Mapping) or not all(isinstance(curve, kind) for curve in given.values()):
        raise InvalidParameterError.of("curves", given, f"one or more {kind.__name__} by name", fix='{"mine": curve}')


def plot_scores(
    path: str | Path,
    distances: npt.ArrayLike,
    same: npt.ArrayLike,
    *,
    thresholds: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> Path:
    """Draw the distributions of the distances of genuine and impostor pairs.

    The other parameters, the result and the errors are those of `plot_roc`.

    Parameters
    ----------
    distances, same
        See `facesearch.benchmark.verify`.
    thresholds
        Distances to mark, by the name to mark them with.

    Raises
    ------
    InvalidParameterError
        Also if an argument is wrong.
    """
    scores, genuine = check_scores(distances, same)
    figure, axes = _canvas("Distance", "Share of the pairs of its kind, percent")
    edges = np.linspace(min(0.0, float(scores.min())), float(scores.max()), _BINS + 1)
    for (name, kind), colour, hatch in zip(
        (("genuine", genuine), ("impostor", ~genuine)), _COLOURS, ("", "////"), strict=False
    ):
        axes.hist(
            scores[kind],
            edges.tolist(),
            weights=np.full(int(kind.sum()), 100 / kind.sum()),
            histtype="stepfilled",
            facecolor=f"{colour}40",  # a quarter opaque
            edgecolor=colour,
            hatch=hatch,
            label=f"{name}, {kind.sum():,} pairs",
        )
    for row, (name, threshold) in enumerate((thresholds or {}).items()):
        axes.axvline(threshold, color=_GREY, linestyle=_DASHES[row % len(_DASHES)], linewidth=1, label=name)
    axes.set_xlim(edges[0], edges[-1])
    axes.legend(loc="upper left", frameon=False)
    return _save(figure, path, overwrite=overwrite)


def plot_reliability(path: str | Path, rates: Sequence[StatedRate], *, overwrite: bool = False) -> Path:
    """Draw measured false match rates over the stated ones, with their intervals.

    The other parameters, the result and the errors are those of `plot_roc`.

    Parameters
    ----------
    rates
        See `facesearch.benchmark.metrics.reliability`. Where no impostor matched, only the upper end of the interval is drawn.

    Raises
    ------
    InvalidParameterError
        Also if there are no rates.
    """
    if not rates:
        raise InvalidParameterError.of("rates", rates, "one or more")
    check_each("rates", rates, StatedRate)
    figure, axes = _canvas("Stated false match rate", "Measured false match rate")
    ends = [min(rate.stated for rate in rates) / 10, min(1.0, max(rate.stated for rate in rates) * 10)]
    lows = [rate.measured.low for rate in rates if rate.measured.low > 0]
    floor = min(ends[0], *lows) if lows else ends[0]
    axes.plot(ends, ends, color=_GREY, linewidth=1, linestyle="--", label="as stated")
    for number, rate in enumerate(rates):
        value, low, high = rate.measured.value, rate.measured.low, rate.measured.high
        label = None if number else "measured, with its 95% interval"
        axes.plot([rate.stated] * 2, [max(low, floor), high], color=_COLOURS[0], linewidth=2, label=label)
        axes.plot(rate.stated, high, "_", color=_COLOURS[0], markersize=9)
        if value:
            axes.plot(rate.stated, value, "o", color=_COLOURS[0])
        axes.annotate(
            f"similarity {rate.similarity:g}\n{rate.measured.events:,} of {rate.measured.trials:,}",
            (rate.stated, high),
            (0, 5),
            textcoords="offset points",
            horizontalalignment="center",
            fontsize=8,
            color=_GREY,
        )
    axes.set_xlim(ends[0], ends[1])
    axes.set_ylim(floor, 1)
    _logarithmic(axes, "x", "y")
    axes.legend(loc="upper left", frameon=False)
    return _save(figure, path, overwrite=overwrite)


def _canvas(across: str, up: str) -> "tuple[Figure, Axes]":
    check_plots()
    from matplotlib.figure import Figure  # no pyplot: it keeps global state, and wants a screen

    figure = Figure(figsize=_INCHES, dpi=_DOTS, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _logarithmic(axes: "Axes", *names: str) -> None:
    for name in names:
        getattr(axes, f"set_{name}scale")("log")
        getattr(axes, f"{name}axis").set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _draw(
    axes: "Axes",
    lines: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
    *,
    above_zero: Sequence[str],
) -> None:
    for row, (name, (x, y)) in enumerate(lines.items()):
        shown = ((x > 0) | ("x" not in above_zero)) & ((y > 0) | ("y" not in above_zero))
        axes.plot(
            x[shown],
            y[shown],
            drawstyle="steps-post",
            color=_COLOURS[row % len(_COLOURS)],
            linestyle=_DASHES[row % len(_DASHES)],
            label=name,
        )


def _until(end: float, curve: ErrorVersusDiscard) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the points to draw: the last step extends to the end."""
    shown = curve.discarded < end
    return np.append(curve.discarded[shown], end), np.append(curve.fnmr[shown], curve.at(end))


def _least(rates: Iterable[npt.NDArray[np.float64]]) -> float:
    """Return the start of a logarithmic axis: slightly below the smallest rate, that of one pair."""
    return min((float(each[each > 0].min()) for each in rates if (each > 0).any()), default=0.1) / 1.5


def _save(figure: "Figure", path: str | Path, *, overwrite: bool) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with write_file(target, PLOT_FILE, overwrite=overwrite) as file:
        figure.savefig(file, format="png", metadata={"Software": _SIGN})  # no version in it: same figures, same file
    return target
