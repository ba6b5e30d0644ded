"""Compare the false-match rate that a similarity states with the measured one."""

import attrs
import numpy.typing as npt
from attrs import field

from facesearch.benchmark.metrics.rates import Rate, rate_among
from facesearch.benchmark.metrics.roc import check_scores
from facesearch.common.validation import between, check_is, is_a, plain_float
from facesearch.matching.calibration import Calibration, calibration

__all__ = ["StatedRate", "reliability"]


@attrs.frozen(kw_only=True)
class StatedRate:
    """A similarity with its stated and its measured false-match rate.

    Attributes
    ----------
    similarity
        Percent.
    threshold
        The distance of that similarity.
    stated
        False-match rate that it stands for, 0-1.
    measured
        Of the impostor pairs at hand.
    missed
        Of the genuine pairs: those less similar.
    """

    similarity: float = field(converter=plain_float, validator=between(0, 100))
    threshold: float = field(converter=plain_float, validator=between(0))
    stated: float = field(converter=plain_float, validator=between(0, 1))
    measured: Rate = field(validator=is_a(Rate))
    missed: Rate = field(validator=is_a(Rate))


def reliability(
    distances: npt.ArrayLike, same: npt.ArrayLike, *, table: Calibration | None = None
) -> tuple[StatedRate, ...]:
    """Compare the stated false-match rates of similarities with those measured on pairs.

    Parameters
    ----------
    distances
        (N,) Euclidean distances of pairs, of the face model that *table* is for.
    same
        (N,) True or 1 for a genuine pair, False or 0 for an impostor pair; one of each at least.
    table
        The calibration; by default the library's.

    Returns
    -------
    tuple of StatedRate
        One for each row of *table*. Fewer than ``1 / stated`` impostor pairs can't show more than that a rate is not far
        higher.

    Raises
    ------
    InvalidParameterError
        If an argument is wrong.

    Examples
    --------
    >>> for kept in reliability([0.3, 1.4], [1, 0])[:3]:
    ...     print(kept.similarity, kept.measured.events, kept.missed.events)
    99.0 0 0
    90.0 0 0
    80.0 0 0
    """
    scores, genuine = check_scores(distances, same)
    rows = []
    known = calibration() if table is None else check_is("table", table, Calibration)
    for row in known.rows:
        matches = scores <= row.distance
        rows.append(
            StatedRate(
                similarity=row.similarity,
                threshold=row.distance,
                stated=row.fmr,
                measured=rate_among(matches, ~genuine),
                missed=rate_among(~matches, genuine),
            )
        )
    return tuple(rows)
