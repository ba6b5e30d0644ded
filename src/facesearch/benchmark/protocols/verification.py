"""Measure verification by the k-fold protocol, from distances alone."""

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.benchmark.metrics.rates import Rate, rate_among
from facesearch.benchmark.metrics.roc import (
    BoolArray,
    IntArray,
    area_under_curve,
    check_numbers,
    check_scores,
    equal_error_rate,
    roc,
    threshold_for,
)
from facesearch.common.arrays import FloatArray, PointArray
from facesearch.common.validation import (
    between,
    check_float,
    is_a,
    maybe,
    maybe_float,
    plain_float,
    plain_int,
    tuple_of,
    whole,
)
from facesearch.errors import InvalidParameterError
from facesearch.matching.template import LONGEST

__all__ = ["FARS", "Fold", "OperatingPoint", "Verification", "best_threshold", "pair_distances", "verify"]

FARS = (1e-2, 1e-3)


@attrs.frozen(kw_only=True)
class Fold:
    """One part of the pairs, judged with a threshold chosen on the others.

    Attributes
    ----------
    fold
        Its number.
    threshold
        Distance; chosen on all other folds.
    pairs, correct
        Number of pairs, and of those judged correctly.
    """

    fold: int = field(converter=plain_int, validator=whole(0))
    threshold: float = field(converter=plain_float, validator=between())
    pairs: int = field(converter=plain_int, validator=whole(1))
    correct: int = field(converter=plain_int, validator=whole(0))

    @property
    def accuracy(self) -> float:
        """Share of the pairs judged correctly, 0-1."""
        return self.correct / self.pairs


@attrs.frozen(kw_only=True)
class OperatingPoint:
    """True accept rate at an allowed false accept rate.

    Attributes
    ----------
    far
        The false accept rate allowed, 0-1.
    threshold
        Distance; the largest at which no larger share of *these* impostor pairs matches. ``None`` if all may.
    measured_far
        Of the impostor pairs. Its interval shows the precision of *far*: with 800 pairs a FAR of 1e-3 means that none
        matched, and the true rate may be as high as 0.5%.
    tar
        True accept rate: of the genuine pairs. Its interval takes the threshold as given.
    """

    far: float = field(converter=plain_float, validator=between(0, 1))
    threshold: float | None = field(converter=maybe_float, validator=maybe(between()))
    measured_far: Rate = field(validator=is_a(Rate))
    tar: Rate = field(validator=is_a(Rate))


@attrs.frozen(kw_only=True)
class Verification:
    """Accuracy of separating genuine pairs from impostor pairs by distance.

    Attributes
    ----------
    genuine, impostor
        Numbers of pairs.
    folds
        By number.
    accuracy, accuracy_std
        Mean of the folds' accuracies, 0-1, and their standard deviation (of a sample: divided by folds - 1).
    eer
        Equal error rate, 0-1.
    auc
        Area under the ROC curve, 0-1.
    points
        One for each FAR asked for.

    References
    ----------
    Huang et al., Labeled Faces in the Wild, UMass Amherst Technical Report 07-49 (2007).
    """

    genuine: int = field(converter=plain_int, validator=whole(1))
    impostor: int = field(converter=plain_int, validator=whole(1))
    folds: tuple[Fold, ...] = field(validator=tuple_of(Fold))
    accuracy: float = field(converter=plain_float, validator=between(0, 1))
    accuracy_std: float = field(converter=plain_float, validator=between(0))
    eer: float = field(converter=plain_float, validator=between(0, 1))
    auc: float = field(converter=plain_float, validator=between(0, 1))
    points: tuple[OperatingPoint, ...] = field(validator=tuple_of(OperatingPoint))


def verify(
    distances: npt.ArrayLike, same: npt.ArrayLike, fold: npt.ArrayLike, *, fars: Sequence[float] = FARS
) -> Verification:
    """Judge scored pairs by the k-fold protocol.

    Parameters
    ----------
    distances
        (N,) finite numbers, lower is closer.
    same
        (N,) True or 1 for a genuine pair, False or 0 for an impostor pair.
    fold
        (N,) whole numbers >= 0, two different ones at least.
    fars
        False accept rates at which to report the true accept rate, each 0-1.

    Returns
    -------
    Verification
        The same whatever the order of the pairs.

    Raises
    ------
    InvalidParameterError
        If an argument is wrong.

    Examples
    --------
    >>> result = verify([0.2, 0.9, 0.4, 0.7], [1, 0, 1, 0], [0, 0, 1, 1])
    >>> result.accuracy, result.eer, result.auc
    (1.0, 0.0, 1.0)
    """
    scores, genuine = check_scores(distances, same)
    parts = np.asarray(fold)
    if parts.shape != scores.shape or parts.dtype.kind not in "iu" or parts.min() < 0 or len(np.unique(parts)) == 1:
        raise InvalidParameterError.of("fold", fold, f"{len(scores)} whole numbers >= 0, two different ones at least")
    folds = tuple(_judge(int(number), parts == number, scores, genuine) for number in np.unique(parts))
    accuracies = [each.accuracy for each in folds]
    return Verification(
        genuine=int(genuine.sum()),
        impostor=int((~genuine).sum()),
        folds=folds,
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies, ddof=1)),
        eer=equal_error_rate(roc(scores, genuine)),
        auc=area_under_curve(scores, genuine),
        points=tuple(_operate(check_float("fars", far, 0, 1), scores, genuine) for far in fars),
    )


def best_threshold(distances: PointArray, same: BoolArray) -> float:
    """Return the threshold that judges most of these pairs, N >= 1, correctly.

    It is half-way between two neighbouring distances, or at an end. Of several equally good ones it is the middle one, or the smaller
    of two in the middle.
    """
    order = np.unique(distances)
    mates, others = np.sort(distances[same]), np.sort(distances[~same])
    middles = order[:-1] + (order[1:] - order[:-1]) / 2
    # Between two neighbouring floats there is no middle; rounding must not put the upper one on this side.
    middles = np.where(middles < order[1:], middles, order[:-1])
    candidates = np.concatenate([[np.nextafter(order[0], -np.inf)], middles, order[-1:]])
    right = np.searchsorted(mates, candidates, side="right") - np.searchsorted(others, candidates, side="right")
    best = np.flatnonzero(right == right.max())
    return float(candidates[best[(len(best) - 1) // 2]])


def pair_distances(vectors: FloatArray, first: npt.ArrayLike, second: npt.ArrayLike) -> PointArray:
    """Return the Euclidean distances of pairs of rows.

    Parameters
    ----------
    vectors
        (P, D) embeddings.
    first, second
        (N,) rows.

    Returns
    -------
    ndarray of shape (N,)
        float64.

    Raises
    ------
    InvalidParameterError
        If *vectors* is no such matrix, or *first* and *second* are no rows of it.
    """
    rows = check_numbers("vectors", vectors, axes=2, most=LONGEST)
    pairs = [_check_rows("first", first, len(rows)), _check_rows("second", second, len(rows))]
    if pairs[0].shape != pairs[1].shape:
        raise InvalidParameterError.of("second", second, f"{len(pairs[0])} rows, one for each of first")
    result: PointArray = np.linalg.norm(rows[pairs[0]] - rows[pairs[1]], axis=1)
    return result


def _check_rows(argument: str, rows: npt.ArrayLike, count: int) -> IntArray:
    numbers = np.asarray(rows)
    if (
        numbers.ndim != 1
        or (len(numbers) and numbers.dtype.kind not in "iu")
        or not np.isin(numbers, range(count)).all()
    ):
        raise InvalidParameterError.of(argument, rows, f"(N,) numbers of rows, 0 to {count - 1}")
    return numbers.astype(np.int64)


def _judge(number: int, here: BoolArray, scores: PointArray, genuine: BoolArray) -> Fold:
    threshold = best_threshold(scores[~here], genuine[~here])
    right = (scores[here] <= threshold) == genuine[here]
    return Fold(fold=number, threshold=threshold, pairs=len(right), correct=int(right.sum()))


def _operate(far: float, scores: PointArray, genuine: BoolArray) -> OperatingPoint:
    threshold = threshold_for(far, scores[~genuine])
    matches = scores <= threshold
    return OperatingPoint(
        far=far,
        threshold=threshold if np.isfinite(threshold) else None,
        measured_far=rate_among(matches, ~genuine),
        tar=rate_among(matches, genuine),
    )
