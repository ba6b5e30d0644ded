"""Select the rows that can be among the nearest, from approximate products.

Of a row *x* with offset *o* and a probe *p* the score is ``x.p - (|x|^2 + o) / 2``, so that the squared distance is
``|p|^2 - 2 score``: higher is nearer. A first pass computes it to within a known bound for each row, so each row has
an upper and a lower score. A row with an upper score below the lower scores of enough other rows can't be in the answer.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.matching.row_keys import Rows

__all__ = ["FirstPass", "FloatScores", "Shortlist", "weights_of"]

Scores = npt.NDArray[np.float64]

# Rows times probes. From here on it pays to let BLAS use all cores; below, its threads would save a fraction of a millisecond
# and then spin, taking cores from the next photo's detection (7 ms of it, measured with benchmarks/speed.py).
_MANY_SCORES = 50_000
# 1 MiB of float32: they are read three times, and a core's cache holds them.
_SCORES_AT_ONCE = 262_144
# Rows in the first step; each further step has four times as many. The more rows have been scored, the more of the others are
# discarded at once.
_FIRST_ROWS = 1024


def _unit(dimension: int) -> float:
    """Bound the error of a score, as a share of |x|^2 + o + |p|^2 (Higham 2002, section 3.1): it is less than half of this."""
    return (dimension + 4) * float(np.finfo(np.float32).eps)


def weights_of(matrix: FloatArray, offsets: Scores) -> FloatArray:
    """Return the term subtracted from each row's product for its upper score, without the probe's part: (N,) float32."""
    norms = np.einsum("ij,ij->i", matrix, matrix) + offsets.astype(np.float32)
    weights: FloatArray = norms * np.float32(0.5 - _unit(matrix.shape[1]))
    return weights


def _rows_at_once(probes: int) -> int:
    return max(_FIRST_ROWS, _SCORES_AT_ONCE // probes)


class FirstPass(Protocol):
    """Scores rows for some probes, with a bound on the error.

    A row's upper score is the score plus the probe's slack; its lower score is ``2 slack + spread * doubt`` less.
    """

    norms: Scores  # (P,) squared length of each probe, from the point that lengths are measured from
    slack: Scores  # (P,) the probe's part of the bound, >= 0
    spread: float  # factor on the doubts of rows, >= 0

    def of(self, *columns: npt.NDArray[Any]) -> Callable[[slice], tuple[FloatArray, FloatArray]]:
        """Return the function that scores some rows of a block, given by its columns: scores (N, P) and doubts (N,), valid until its next call."""


class FloatScores(FirstPass):
    """The first pass in float32 for probes (P, D), P >= 1, and *rows* in all; its columns are the matrix and `weights_of` the matrix."""

    def __init__(self, probes: FloatArray, rows: int) -> None:
        count, dimension = probes.shape
        exact, unit = probes.astype(np.float64), _unit(dimension)
        self.norms = (exact * exact).sum(axis=1)
        # What the probe adds to the bound of each row; float32's underflow is absolute.
        self.slack = unit * self.norms + (dimension + 4) * float(np.finfo(np.float32).tiny)
        self.spread = 2 * unit / (0.5 - unit)
        self._probes = probes
        self._threads = rows * count >= _MANY_SCORES
        self._scores = np.empty(min(rows, _rows_at_once(count)) * count, np.float32)

    @override
    def of(self, *columns: npt.NDArray[Any]) -> Callable[[slice], tuple[FloatArray, FloatArray]]:
        matrix, weights = columns
        return lambda rows: (self._score(matrix[rows], weights[rows]), weights[rows])

    def _score(self, matrix: FloatArray, weights: FloatArray) -> FloatArray:
        count = len(self._probes)
        scores = self._scores[: len(matrix) * count].reshape(len(matrix), count)
        with np.errstate(over="ignore"):  # lengths of 1e19: what is out of range is far off
            if self._threads:
                np.matmul(matrix, self._probes.T, out=scores)
            else:
                for number, probe in enumerate(self._probes):
                    np.einsum("ij,j->i", matrix, probe, out=scores[:, number])
            scores -= weights[:, np.newaxis]
        return scores


class Shortlist:
    """The rows that can be among the nearest to each of some probes, updated step by step over all rows.

    The answer has the rows within *max_distance*, at most the *nearest* of them, >= 1, and the nearest one beyond.
    """

    def __init__(self, scored: FirstPass, *, max_distance: float, nearest: int) -> None:
        count = len(scored.norms)
        self._nearest = nearest
        self._slack, self._spread = scored.slack, scored.spread
        self._reach = (scored.norms - max_distance * max_distance) / 2
        self._cuts = np.full(count, -np.inf)  # rows with lower upper scores are discarded
        self._raw_cuts = np.full(count, -np.inf, np.float32)  # the same before the slack is added
        # Probe, row, raw score and doubt of each.
        self._hits: list[tuple[npt.NDArray[np.int16], Rows, FloatArray, FloatArray]] = []
        self._hit_count = 0
        self._enough_hits = self._fewest_hits = count * max(_FIRST_ROWS, 2 * nearest)
        self._most_rows = _rows_at_once(count)
        self.rows_at_once = _FIRST_ROWS

    def add(self, first: int, scores: FloatArray, doubts: FloatArray) -> None:
        """Add the scores of the next rows: at most `rows_at_once` of them, numbered from *first* on."""
        order: Literal["F", "C"] = "F" if scores.flags.f_contiguous else "C"  # as they lie in memory
        hits = np.flatnonzero((scores >= self._raw_cuts).ravel(order))
        if len(hits):
            rows, probes = np.unravel_index(hits, scores.shape, order)
            # 16 bits, which are sorted in no time.
            self._hits.append((probes.astype(np.int16), rows + first, scores.ravel(order)[hits], doubts[rows]))
            self._hit_count += len(hits)
            if self._hit_count >= self._enough_hits:
                self.rows()
        self.rows_at_once = min(4 * self.rows_at_once, self._most_rows)

    def rows(self) -> list[Rows]:
        """Return for each probe the rows that can be in the answer, ascending, and drop the others."""
        count = len(self._cuts)
        if not self._hits:
            return [np.empty(0, np.int64)] * count
        probes, rows, scores, doubts = (np.concatenate(part) for part in zip(*self._hits, strict=True))
        order = np.argsort(probes, kind="stable")
        parts = np.split(order, np.searchsorted(probes[order], np.arange(1, count)))
        left = [part[self._sift(number, scores[part], doubts[part])] for number, part in enumerate(parts)]
        together = np.concatenate(left)
        self._hits = [(probes[together], rows[together], scores[together], doubts[together])]
        self._hit_count = len(together)
        self._enough_hits = max(self._fewest_hits, 2 * len(together))
        return [rows[part] for part in left]

    def _sift(self, number: int, scores: FloatArray, doubts: FloatArray) -> Rows:
        """Raise the cut of a probe by the lower scores, and return the places of upper scores that are not below it."""
        upper = scores.astype(np.float64) + self._slack[number]
        lower = upper - 2 * self._slack[number] - self._spread * doubts
        cut = self._cuts[number]
        beyond = upper < self._reach[number]
        if beyond.any():
            cut = max(cut, lower[beyond].max())
        left = np.flatnonzero(upper >= cut)
        if len(left) >= self._nearest:
            place = len(left) - self._nearest
            cut = max(cut, np.partition(lower[left], place)[place])
            left = left[upper[left] >= cut]
        self._cuts[number] = cut
        with np.errstate(over="ignore"):
            self._raw_cuts[number] = np.nextafter(np.float32(cut - self._slack[number]), np.float32(-np.inf))
        return left
