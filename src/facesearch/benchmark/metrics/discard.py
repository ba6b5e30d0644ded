"""Evaluate a quality score: errors among the pairs that are left when those of the lowest quality are discarded.

One quality score is better than another when discarding by it lowers the error faster. Compare scores on the same
pairs, at the same threshold.
"""

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.benchmark.metrics.rates import Rate
from facesearch.benchmark.metrics.roc import check_array, check_scores, threshold_for
from facesearch.common.arrays import PointArray
from facesearch.common.equality import content
from facesearch.common.validation import between, check_float, check_is, is_a, plain_float
from facesearch.errors import InvalidParameterError

__all__ = ["ErrorVersusDiscard", "error_versus_discard", "partial_area"]


@attrs.frozen(kw_only=True)
class ErrorVersusDiscard:
    """The false non-match rate left at every share of pairs that can be discarded.

    Attributes
    ----------
    discarded
        (K,) float64, ascending from 0, less than 1: share of the genuine pairs gone. Between two of them nothing more
        can be discarded, so the rate stays that of the lower one; after the last one, too.
    fnmr
        (K,) float64, 0-1: share of the genuine pairs left that do not match.
    threshold
        Distance; the same at every share.
    start
        The rate before anything is discarded, of all genuine pairs; its value is ``fnmr[0]``.
    """

    discarded: PointArray = field(repr=False, eq=content)
    fnmr: PointArray = field(repr=False, eq=content)
    threshold: float = field(converter=plain_float, validator=between())
    start: Rate = field(validator=is_a(Rate))

    @property
    def perfect(self) -> "ErrorVersusDiscard":
        """The best curve there can be: each pair discarded is one that fails, until none does."""
        failed, pairs = self.start.events, self.start.trials
        gone = np.arange(min(failed + 1, pairs))  # one pair stays: of none there is no rate
        return attrs.evolve(self, discarded=gone / pairs, fnmr=(failed - gone) / (pairs - gone))

    def at(self, share: float) -> float:
        """Return the false non-match rate, 0-1, when at most this share of the genuine pairs, 0-1, is discarded.

        Raises
        ------
        InvalidParameterError
            If *share* is not in [0, 1].
        """
        return float(_rates(self, np.array([check_float("share", share, 0, 1)]))[0])


def error_versus_discard(
    distances: npt.ArrayLike,
    same: npt.ArrayLike,
    quality: npt.ArrayLike,
    *,
    fmr: float = 1e-3,
    threshold: float | None = None,
) -> ErrorVersusDiscard:
    """Discard pairs from the lowest quality up, and return the false non-match rate of those left.

    Comparisons are counted, not photos, and genuine ones only: the impostor pairs fix the threshold, once, before any
    is discarded. With the lower quality of its two photos as that of a pair, the pairs left at some threshold are those of
    the photos that pass it. Pairs of equal quality are discarded together, since no threshold separates them: a score of few values has a
    curve of few steps, and the order of the pairs never matters.

    Parameters
    ----------
    distances
        (N,) finite numbers, lower is closer.
    same
        (N,) True or 1 for a genuine pair, False or 0 for an impostor pair; one of each at least.
    quality
        (N,) of each pair, higher is better, in any unit: only the order counts. From those of photos it is made by
        ``np.minimum(quality[first], quality[second])``. Infinite ones are allowed, such as ``-inf`` where no face was
        found. The quality of impostor pairs is ignored.
    fmr
        False match rate, 0-1, of all impostor pairs: the threshold is the largest distance at which no larger share of
        them matches.
    threshold
        A distance to take instead of that of *fmr*.

    Returns
    -------
    ErrorVersusDiscard
        One step for each quality among the genuine pairs. Late ones stand on few pairs.

    Raises
    ------
    InvalidParameterError
        If an argument is wrong.

    References
    ----------
    Grother and Tabassi, IEEE TPAMI 29 (2007), doi:10.1109/TPAMI.2007.1019. Schlett et al., IEEE T-BIOM (2023),
    doi:10.1109/TBIOM.2023.3336513, for pairs of equal quality and for steps. ISO/IEC 29794-1.

    Examples
    --------
    >>> curve = error_versus_discard([0.9, 0.7, 0.3, 0.2, 0.8], [1, 1, 1, 1, 0], [20, 60, 60, 90, 50], threshold=0.5)
    >>> curve.discarded.tolist(), curve.fnmr.round(3).tolist()
    ([0.0, 0.25, 0.75], [0.5, 0.333, 0.0])
    >>> curve.perfect.fnmr.round(3).tolist()
    [0.5, 0.333, 0.0]
    """
    scores, genuine = check_scores(distances, same)
    worth = check_array("quality", quality, f"{len(scores)} numbers")
    if worth.shape != scores.shape or worth.dtype.kind not in "fiu" or np.isnan(worth).any():
        raise InvalidParameterError.of("quality", quality, f"{len(scores)} numbers, one for each distance, not NaN")
    if threshold is None:
        # Where all strangers may match there is no largest distance; that of the farthest pair does the same.
        limit = min(threshold_for(fmr, scores[~genuine]), float(scores.max()))
    else:
        limit = check_float("threshold", threshold)
    values, group = np.unique(worth[genuine], return_inverse=True)
    fails = scores[genuine] > limit
    pairs = _left(np.bincount(group, minlength=len(values)))
    failed = _left(np.bincount(group[fails], minlength=len(values)))
    return ErrorVersusDiscard(
        discarded=(pairs[0] - pairs) / pairs[0],
        fnmr=failed / pairs,
        threshold=limit,
        start=Rate.of(int(failed[0]), int(pairs[0])),
    )


def partial_area(curve: ErrorVersusDiscard, *, up_to: float = 0.2) -> float | None:
    """Return the area under a curve, from no discard up to a share, relative to the best and to a useless score.

    ``(area - best) / (useless - best)``, where *best* is the area under `ErrorVersusDiscard.perfect`, and *useless*
    that under the rate at the start, which on average stays when pairs are discarded at random. Lower is better: 0 is
    perfect, 1 is useless, and more than 1 is worse than chance.

    Parameters
    ----------
    curve
        See `error_versus_discard`.
    up_to
        Share of the genuine pairs, 0-1. Larger ones rank scores more stably.

    Returns
    -------
    float or None
        At least 0; ``None`` where nothing can be gained: no pair fails, all do, or *up_to* is not one pair.

    Raises
    ------
    InvalidParameterError
        If *up_to* is not in [0, 1].

    References
    ----------
    Schlett et al., IEEE T-BIOM (2023), doi:10.1109/TBIOM.2023.3336513. Olsen et al., IET Biometrics 5 (2016),
    doi:10.1049/iet-bmt.2014.0055, subtract the area of a triangle, which takes the rate to be of all pairs; here it is
    of those left, so that the best can be reached.

    Examples
    --------
    >>> curve = error_versus_discard([0.9, 0.7, 0.3, 0.2, 0.8], [1, 1, 1, 1, 0], [60, 60, 20, 90, 50], threshold=0.5)
    >>> partial_area(curve.perfect, up_to=0.5), round(partial_area(curve, up_to=0.5), 6)
    (0.0, 2.0)
    """
    check_is("curve", curve, ErrorVersusDiscard)
    end = check_float("up_to", up_to, 0, 1)
    best = curve.perfect
    # On one grid each step is compared with the best at that very share, so that rounding can't make it less than 0.
    edges = np.unique(np.concatenate([curve.discarded, best.discarded, [end]]))
    edges = edges[edges <= end]
    widths, lowest = np.diff(edges), _rates(best, edges[:-1])
    gain = float((widths * (curve.fnmr[0] - lowest)).sum())
    return float((widths * (_rates(curve, edges[:-1]) - lowest)).sum()) / gain if gain else None


def _left(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the number of pairs from each group up."""
    result: npt.NDArray[np.intp] = counts[::-1].cumsum()[::-1]
    return result


def _rates(curve: ErrorVersusDiscard, shares: PointArray) -> PointArray:
    result: PointArray = curve.fnmr[np.searchsorted(curve.discarded, shares, side="right") - 1]
    return result
