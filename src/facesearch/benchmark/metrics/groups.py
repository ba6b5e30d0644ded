"""Compute errors by group at the same threshold."""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.benchmark.metrics.rates import Rate, rate_among
from facesearch.benchmark.metrics.roc import check_labels, check_numbers
from facesearch.common.validation import between, check_float, is_a, plain_float
from facesearch.errors import InvalidParameterError

__all__ = ["UNKNOWN", "GroupRates", "group_rates"]

UNKNOWN = "unknown"  # the group of those without a label: they are counted, not dropped


@attrs.frozen(kw_only=True)
class GroupRates:
    """Both errors at one threshold, for pairs of one group or across two.

    Attributes
    ----------
    one, other
        The groups of the pair's two people, in alphabetical order.
    threshold
        Distance; pairs at most this far apart match.
    fmr
        False match rate: of the impostor pairs.
    fnmr
        False non-match rate: of the genuine pairs.
    """

    one: str = field(validator=is_a(str))
    other: str = field(validator=is_a(str))
    threshold: float = field(converter=plain_float, validator=between())
    fmr: Rate = field(validator=is_a(Rate))
    fnmr: Rate = field(validator=is_a(Rate))


def group_rates(
    distances: npt.ArrayLike,
    same: npt.ArrayLike,
    first: Sequence[str | None],
    second: Sequence[str | None],
    *,
    thresholds: Sequence[float],
) -> tuple[GroupRates, ...]:
    """Compute the errors of each group, and of impostors across groups.

    Parameters
    ----------
    distances
        (N,) finite numbers, lower is closer.
    same
        (N,) True or 1 for a genuine pair, False or 0 for an impostor pair.
    first, second
        N labels: the groups of the pair's two people, such as a gender or an age band; ``None`` is "unknown".
    thresholds
        Distances; pairs at most this far apart match.

    Returns
    -------
    tuple of GroupRates
        By threshold in the order given, then by group. Every pair is in exactly one entry of each threshold. Groups
        without a pair are left out.

    Raises
    ------
    InvalidParameterError
        If the arguments are not of one length or not of these kinds.

    Notes
    -----
    Within a group impostors are as alike as the label makes them; a comparison of groups is one of the data too: of
    light, age and pose as well as of the network. Overlapping intervals show no difference.

    Examples
    --------
    >>> for row in group_rates([0.3, 0.5, 0.9], [1, 0, 0], ["f", "f", "f"], ["f", "f", "m"], thresholds=[0.6]):
    ...     print(row.one, row.other, row.fmr.events, row.fmr.trials, row.fnmr.trials)
    f f 1 1 1
    f m 0 1 0
    """
    scores, labels = check_numbers("distances", distances), np.asarray(same)
    check_labels(labels, len(scores))
    for name, groups in (("first", first), ("second", second)):
        if len(groups) != len(scores):
            raise InvalidParameterError.of(name, groups, f"{len(scores)} labels, one for each distance")
    genuine = labels.astype(bool)
    ends = np.sort(np.array([[group or UNKNOWN for group in groups] for groups in (first, second)], dtype=str), axis=0)
    rows = []
    for threshold in thresholds:
        matches = scores <= check_float("thresholds", threshold)
        for one, other in combinations_with_replacement(np.unique(ends).tolist(), 2):
            here = (ends[0] == one) & (ends[1] == other)
            if here.any():
                fmr, fnmr = rate_among(matches, here & ~genuine), rate_among(~matches, here & genuine)
                rows.append(GroupRates(one=one, other=other, threshold=threshold, fmr=fmr, fnmr=fnmr))
    return tuple(rows)
