"""Compute the curves of a calibration: the share of strangers that are as similar, and of photos of one person that are less.

The axis runs along the distance of two faces, from far apart to the same vector, and is labelled with similarities: so the
many percentages that lie close together near 100 have room. Its two parts, where rates were measured and where they are too
low for that, have a scale each.
"""

import math
from collections.abc import Sequence

import attrs
import numpy as np

from facesearch.matching.calibration import Calibration, CalibrationRow

__all__ = [
    "CURVES",
    "UNMEASURED",
    "Curve",
    "Pin",
    "RatePoint",
    "Tick",
    "floor_of",
    "position",
    "rates",
    "stacked",
    "strangers",
    "ticks",
]

UNMEASURED = 0.35  # of the axis: from the most similar measured point to 100, where no rate is known
_NOT_ROUNDED = 10  # from this number of strangers on, "1 in" is followed by two significant digits


@attrs.frozen(kw_only=True)
class Curve:
    """A curve of a calibration and how it is drawn."""

    rate: str  # ``"fmr"`` or ``"fnmr"``, of `facesearch.matching.calibration.CalibrationRow`
    colour: str  # ``#rrggbb``
    dash: tuple[float, ...]  # lengths of dashes and gaps in widths of the line; empty is a solid line
    words: str  # for the legend


# Blue and vermilion of Okabe and Ito's palette, which colour-blind people distinguish (https://jfly.uni-koeln.de/color/).
CURVES = (
    Curve(rate="fmr", colour="#0072B2", dash=(), words="strangers at least so similar"),
    Curve(rate="fnmr", colour="#D55E00", dash=(4, 2), words="photos of one person less similar"),
)


@attrs.frozen(kw_only=True)
class RatePoint:
    """A measured rate, and its place on the axis, 0-1; see `position`."""

    position: float
    rate: float  # a share above 0, up to 1
    low: float  # the ends of its 95% interval; this one may be 0
    high: float


@attrs.frozen(kw_only=True)
class Pin:
    """A user to mark on the axis."""

    text: str  # one or two letters
    similarity: float  # percent, 0-100
    found: bool = True  # a match; otherwise the next user


@attrs.frozen(kw_only=True)
class Tick:
    """A labelled similarity, percent, and its position on the axis, 0-1."""

    position: float
    similarity: float


def position(calibration: Calibration, similarity: float) -> float:
    """Return the position of a similarity, 0-100 percent, on the axis: 1 at 100, 0 at the end of the measured points and below."""
    nearest, farthest = calibration.rows[0].distance, calibration.rows[-1].distance
    return float(np.interp(calibration.distance_at(similarity), (0, nearest, farthest), (1, 1 - UNMEASURED, 0)))


def rates(calibration: Calibration, curve: Curve) -> tuple[RatePoint, ...]:
    """Return the measured points of one of the `CURVES`, in ascending order of similarity.

    A rate of 0 has no place on a logarithmic axis and is left out.
    """

    def point(row: CalibrationRow) -> RatePoint:
        rate, low, high = (getattr(row, f"{curve.rate}{end}") for end in ("", "_low", "_high"))
        return RatePoint(position=position(calibration, row.similarity), rate=rate, low=low, high=high)

    return tuple(each for row in reversed(calibration.rows) if (each := point(row)).rate > 0)


def floor_of(calibration: Calibration) -> int:
    """Return the power of ten at which a logarithmic axis for both curves begins, at most -1."""
    points = [point for curve in CURVES for point in rates(calibration, curve)]
    return min([-1, *(math.floor(math.log10(point.rate) + 1e-3) for point in points)])


def stacked(places: Sequence[float], apart: float) -> tuple[int, ...]:
    """Assign to each position the lowest row, from 0, in which all others are farther away than *apart*."""
    rows: list[int] = []
    for number, place in enumerate(places):
        near = {rows[other] for other in range(number) if abs(places[other] - place) < apart}
        rows.append(next(row for row in range(number + 1) if row not in near))
    return tuple(rows)


def ticks(calibration: Calibration, apart: float) -> tuple[Tick, ...]:
    """Return the similarities that label the axis: the measured ones and 100, at least the given distance apart, 0-1."""
    chosen: list[Tick] = []
    for percent in (100.0, *(row.similarity for row in calibration.rows)):
        tick = Tick(position=position(calibration, percent), similarity=percent)
        if not chosen or chosen[-1].position - tick.position >= apart:
            chosen.append(tick)
    return tuple(chosen)


def strangers(calibration: Calibration, similarity: float) -> str:
    """Describe the share of strangers that are at least as similar, 0-100 percent, such as ``"1 in 12,000"``.

    Between the measured points the logarithm of the rate is taken to run straight along the distance; beyond them only a bound is known.

    Examples
    --------
    >>> from facesearch.matching.calibration import calibration
    >>> [strangers(calibration(), percent) for percent in (99.9, 90, 85, 1)]
    ['fewer than 1 in 100,000', '1 in 10,000', '1 in 2,700', 'more than 1 in 2']
    """
    rows = calibration.rows
    if similarity > rows[0].similarity:
        return f"fewer than {_one_in(rows[0].fmr)}"
    if similarity < rows[-1].similarity:
        return f"more than {_one_in(rows[-1].fmr)}"
    return _one_in(
        math.exp(
            np.interp(
                calibration.distance_at(similarity),
                [row.distance for row in rows],
                [math.log(max(row.fmr, 1 / max(calibration.impostor_comparisons, 1))) for row in rows],
            )
        )
    )


def _one_in(rate: float) -> str:
    if rate <= 0:
        return "1 in any number"
    people = 1 / rate
    if people < _NOT_ROUNDED:
        return f"1 in {people:.0f}"
    scale = 10 ** (math.floor(math.log10(people)) - 1)
    return f"1 in {round(people / scale) * scale:,.0f}"
