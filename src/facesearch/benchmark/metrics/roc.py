"""Compute errors by threshold. A pair matches at threshold t when its distance is at most t; lower is closer throughout."""

from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.common.arrays import PointArray
from facesearch.common.equality import content
from facesearch.common.validation import check_float, check_is
from facesearch.errors import InvalidParameterError

__all__ = [
    "BoolArray",
    "IntArray",
    "Roc",
    "area_under_curve",
    "check_array",
    "check_numbers",
    "check_scores",
    "equal_error_rate",
    "roc",
    "threshold_for",
]

LARGEST: Final = 1e300
"""The largest score: its neighbours are finite too, as thresholds must be."""

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@attrs.frozen(kw_only=True)
class Roc:
    """The two errors at every distance where either changes.

    Attributes
    ----------
    thresholds
        (T,) float64, ascending; the first is below every distance.
    fmr
        (T,) float64, 0-1: share of the impostor pairs that match. Never falls.
    fnmr
        (T,) float64, 0-1: share of the genuine pairs that do not. Never rises.
    """

    thresholds: PointArray = field(repr=False, eq=content)
    fmr: PointArray = field(repr=False, eq=content)
    fnmr: PointArray = field(repr=False, eq=content)


def check_scores(distances: npt.ArrayLike, same: npt.ArrayLike) -> tuple[PointArray, BoolArray]:
    """Return scores and labels as arrays.

    Parameters
    ----------
    distances
        (N,) finite numbers, lower is closer.
    same
        (N,) True or 1 for a genuine pair, False or 0 for an impostor pair; one of each at least.

    Returns
    -------
    distances : ndarray of shape (N,)
        float64.
    same : ndarray of shape (N,)
        bool.

    Raises
    ------
    InvalidParameterError
        If they are not such.
    """
    scores, labels = check_numbers("distances", distances), check_array("same", same)
    check_labels(labels, len(scores))
    genuine = labels.astype(bool)
    if genuine.all() or not genuine.any():
        raise InvalidParameterError.of("same", same, "at least one genuine and one impostor pair")
    return scores, genuine


def check_numbers(argument: str, values: npt.ArrayLike, *, axes: int = 1, most: float = LARGEST) -> PointArray:
    """Return *values* as an array of float64.

    They are (N,) finite numbers, with two *axes* (N, D), of a magnitude of *most*; the error names the argument.
    """
    given = check_array(argument, values)
    with np.errstate(all="ignore"):  # what does not fit into float64 becomes infinite, and is refused in our own words
        numbers = given.astype(np.float64) if given.ndim == axes and given.dtype.kind in "fiu" else None
    if numbers is None or not (np.abs(numbers) <= most).all():
        shape = "(N,)" if axes == 1 else "(N, D)"
        raise InvalidParameterError.of(argument, values, f"{shape} finite numbers of {most:g} at most")
    return numbers


def check_array(argument: str, values: npt.ArrayLike, expected: str = "an array") -> npt.NDArray[Any]:
    """Return *values* as an array of any kind."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:  # such as rows of different lengths
        raise InvalidParameterError.of(argument, values, expected) from error


def check_labels(labels: npt.NDArray[Any], count: int) -> None:
    """Refuse labels that are not *count* truth values."""
    if labels.shape != (count,) or labels.dtype.kind not in "biuf" or not np.isin(labels, (0, 1)).all():
        raise InvalidParameterError.of("same", labels, f"{count} truth values, one for each distance")


def roc(distances: npt.ArrayLike, same: npt.ArrayLike) -> Roc:
    """Compute both errors at every threshold; parameters and errors are those of `check_scores`.

    Examples
    --------
    >>> curve = roc([0.2, 0.4, 0.5, 0.9], [1, 1, 0, 0])
    >>> curve.fmr.tolist(), curve.fnmr.tolist()
    ([0.0, 0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0, 0.0])
    """
    scores, genuine = check_scores(distances, same)
    unique = np.unique(scores)
    thresholds = np.concatenate([[np.nextafter(unique[0], -np.inf)], unique])
    mates, others = np.sort(scores[genuine]), np.sort(scores[~genuine])
    return Roc(
        thresholds=thresholds,
        fmr=np.searchsorted(others, thresholds, side="right") / len(others),
        fnmr=(len(mates) - np.searchsorted(mates, thresholds, side="right")) / len(mates),
    )


def equal_error_rate(curve: Roc) -> float:
    """Return the equal error rate, 0-1, interpolated between the two steps next to it."""
    check_is("curve", curve, Roc)
    after = int(np.argmax(curve.fmr >= curve.fnmr))  # there is one: at the largest distance all match
    before = after - 1  # nor is it the first, where nothing matches
    gap_before = curve.fnmr[before] - curve.fmr[before]
    gap_after = curve.fmr[after] - curve.fnmr[after]
    share = gap_before / (gap_before + gap_after)
    return float(curve.fmr[before] + share * (curve.fmr[after] - curve.fmr[before]))


def area_under_curve(distances: npt.ArrayLike, same: npt.ArrayLike) -> float:
    """Return the probability that a genuine pair is closer than an impostor pair, ties counted half, 0-1.

    Parameters and errors are those of `check_scores`.

    References
    ----------
    Hanley and McNeil, Radiology 143 (1982), doi:10.1148/radiology.143.1.7063747.
    """
    scores, genuine = check_scores(distances, same)
    mates, others = scores[genuine], np.sort(scores[~genuine])
    closer = len(others) - np.searchsorted(others, mates, side="right")
    no_closer = len(others) - np.searchsorted(others, mates, side="left")
    # Whole numbers until the last step, so that the order of the pairs can't change the result.
    return int(closer.sum() + no_closer.sum()) / (2 * len(mates) * len(others))


def threshold_for(fmr: float, impostors: npt.ArrayLike) -> float:
    """Return the largest threshold at which at most a share *fmr* of the impostor pairs match.

    Parameters
    ----------
    fmr
        0-1. With fewer than ``1 / fmr`` pairs not one of them may match: nothing is interpolated.
    impostors
        (N,) distances of impostor pairs, N >= 1.

    Returns
    -------
    float
        Distance; infinite where all may match.

    Raises
    ------
    InvalidParameterError
        If *fmr* is not in [0, 1] or there is no pair.

    Examples
    --------
    >>> threshold_for(0.25, [0.9, 0.6, 0.8, 0.7]) < 0.7
    True
    """
    scores = np.sort(check_numbers("impostors", impostors))
    if len(scores) == 0:
        raise InvalidParameterError.of("impostors", impostors, "one or more distances")
    allowed = int(check_float("fmr", fmr, 0, 1) * len(scores) + _ROUNDING)
    return float("inf") if allowed >= len(scores) else float(np.nextafter(scores[allowed], -np.inf))


_ROUNDING = 1e-9  # 0.29 * 100 is a hair less than 29
