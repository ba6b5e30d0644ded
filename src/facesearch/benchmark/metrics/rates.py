"""A measured rate, with its counts and its confidence interval."""

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.common.validation import between, check_int, maybe, maybe_float, plain_float, plain_int, whole

__all__ = ["CONFIDENCE", "Rate", "rate_among"]

CONFIDENCE = 0.95  # of every interval here


@attrs.frozen(kw_only=True)
class Rate:
    """A number of events among trials. `Rate.of` makes one.

    Attributes
    ----------
    events, trials
        Counts, ``events <= trials``.
    value
        ``events / trials``, 0-1; ``None`` where there was no trial.
    low, high
        Exact binomial interval of 95%, 0-1. It holds for
        independent trials; pairs that share a photo or a person are not quite that, so the truth is somewhat wider.

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934), doi:10.1093/biomet/26.4.404.
    """

    events: int = field(converter=plain_int, validator=whole(0))
    trials: int = field(converter=plain_int, validator=whole(0))
    value: float | None = field(converter=maybe_float, validator=maybe(between(0, 1)))
    low: float = field(converter=plain_float, validator=between(0, 1))
    high: float = field(converter=plain_float, validator=between(0, 1))

    @classmethod
    def of(cls, events: int, trials: int) -> "Rate":
        """Make a rate from counts.

        Raises
        ------
        InvalidParameterError
            If a count is negative, or *events* is more than *trials*.

        Examples
        --------
        >>> print(Rate.of(0, 800))
        0.00% [0.00, 0.46] (0 of 800)
        """
        trials = check_int("trials", trials, 0)
        events = check_int("events", events, 0, trials)
        tail = (1 - CONFIDENCE) / 2
        return cls(
            events=events,
            trials=trials,
            value=events / trials if trials else None,
            low=_beta(events, trials - events + 1, tail) if events else 0.0,
            high=_beta(events + 1, trials - events, 1 - tail) if events < trials else 1.0,
        )

    def __str__(self) -> str:
        if self.value is None:
            return "- (0 of 0)"
        return (
            f"{100 * self.value:.2f}% [{100 * self.low:.2f}, {100 * self.high:.2f}] "
            f"({self.events:,} of {self.trials:,})"
        )


def rate_among(events: npt.NDArray[np.bool_], trials: npt.NDArray[np.bool_]) -> Rate:
    """Return a rate from two masks of equal shape: of events, whether tried or not, and of trials."""
    return Rate.of(int((events & trials).sum()), int(trials.sum()))


def _beta(a: float, b: float, share: float) -> float:
    """Return a quantile of the beta distribution."""
    from scipy.special import betaincinv  # slow to import

    quantile: Any = betaincinv(a, b, share)
    return float(quantile)
