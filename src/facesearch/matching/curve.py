"""A strictly falling curve through measured points."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import attrs

__all__ = ["Curve"]

_HALVINGS: Final = 60


@attrs.frozen
class Curve:
    """A strictly falling curve: cubic between the knots, falling with the square of the distance after the last.

    References
    ----------
    Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984), doi:10.1137/0905021: what scipy calls PCHIP.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    slope: tuple[float, ...]

    @classmethod
    def through(cls, knots: Sequence[tuple[float, float]]) -> "Curve":
        """Return the curve through points (x, y): x from 0 on, rising; y falling, above 0."""
        x, y = (tuple(float(knot[axis]) for knot in knots) for axis in (0, 1))
        width = [b - a for a, b in pairwise(x)]
        rise = [(b - a) / w for a, b, w in zip(y, y[1:], width, strict=False)]
        inner = [
            (w0 + w1) * 3 / ((2 * w1 + w0) / r0 + (w1 + 2 * w0) / r1)
            for w0, w1, r0, r1 in zip(width, width[1:], rise, rise[1:], strict=False)
        ]
        # Flat enough at 0 that equal photos read 100, and never level, so that it falls strictly.
        return cls(x, y, (rise[0] / 4, *inner, rise[-1] / 2))

    def at(self, x: float) -> float:
        """Return y at x, >= 0."""
        if x >= self.x[-1]:
            beyond = 1 + self._decay * (x - self.x[-1])
            return self.y[-1] / (beyond * beyond)
        piece = bisect_right(self.x, x) - 1
        return self._cubic(piece, (x - self.x[piece]) / (self.x[piece + 1] - self.x[piece]))

    def inverse(self, y: float) -> float:
        """Return x at y, above 0 and at most the y of the first point."""
        if y <= self.y[-1]:
            return self.x[-1] + (math.sqrt(self.y[-1] / y) - 1) / self._decay
        if y == self.y[0]:
            return self.x[0]
        low, high = self.x[0], self.x[-1]
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.at(middle) > y else (low, middle)
        return (low + high) / 2

    @property
    def _decay(self) -> float:
        """Rate of decay that continues the slope of the last piece."""
        return -self.slope[-1] / self.y[-1] / 2

    def _cubic(self, piece: int, t: float) -> float:
        width = self.x[piece + 1] - self.x[piece]
        (y0, y1), (s0, s1) = self.y[piece : piece + 2], self.slope[piece : piece + 2]
        return y0 + t * t * (3 - 2 * t) * (y1 - y0) + width * t * (1 - t) * ((1 - t) * s0 - t * s1)
