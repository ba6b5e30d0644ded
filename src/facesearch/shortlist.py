"""Which rows can be among the nearest, told from float32 products.

Of a row *x* with offset *o* and a probe *p* the score is ``x.p - (|x|^2 + o) / 2``, so that the squared distance is
``|p|^2 - 2 score``: higher is nearer. A float32 product gives it to within a bound that is known for each row, so each row has
an upper and a lower score, and a row whose upper score is below the lower ones of enough others can't be in the answer.
"""

import numpy as np
import numpy.typing as npt

from facesearch.row_keys import Rows
from facesearch.stages import FloatArray

__all__ = ["Shortlist", "weights_of"]

Scores = npt.NDArray[np.float64]

# Rows times probes. From here on it pays to let BLAS use all cores; below, its threads would save a fraction of a millisecond
# and then spin, taking cores from the next photo's detection (7 ms of it, measured with benchmarks/speed.py).
_MANY_SCORES = 50_000
# 1 MiB of float32: they are read three times, and a core's cache holds them.
_SCORES_AT_ONCE = 262_144
# So many rows are compared with each other to begin with, then four times as many and so on: the more have been seen, the more
# of the others fall out at first sight.
_FIRST_LOOK = 1024


def _unit(dimension: int) -> float:
    """Bound the error of a score, as a share of |x|^2 + o + |p|^2 (Higham 2002, section 3.1): it is less than half of this."""
    return (dimension + 4) * float(np.finfo(np.float32).eps)


def weights_of(matrix: FloatArray, offsets: Scores) -> FloatArray:
    """Give what is taken from each row's product for its upper score, but for what the probe adds: (N,) float32."""
    norms = np.einsum("ij,ij->i", matrix, matrix) + offsets.astype(np.float32)
    weights: FloatArray = norms * np.float32(0.5 - _unit(matrix.shape[1]))
    return weights


class Shortlist:
    """The rows that can be among the nearest to each of some probes, while all rows come by.

    Parameters
    ----------
    probes
        (P, D) float32, P >= 1.
    rows
        How many will come by.
    max_distance
        How far the answer reaches: the rows within it are wanted, and the nearest one beyond.
    wanted
        But no more than so many of the nearest, >= 1.
    """

    def __init__(self, probes: FloatArray, rows: int, *, max_distance: float, wanted: int) -> None:
        count, dimension = probes.shape
        exact = probes.astype(np.float64)
        norms = (exact * exact).sum(axis=1)
        self._probes = probes
        self._wanted = wanted
        self._threads = rows * count >= _MANY_SCORES
        self._unit = _unit(dimension)
        # What the probe adds to the bound of each row; float32's underflow is absolute.
        self._slack = self._unit * norms + (dimension + 4) * float(np.finfo(np.float32).tiny)
        self._reach = (norms - max_distance * max_distance) / 2
        self._cuts = np.full(count, -np.inf)  # lower upper scores fall out
        self._raw_cuts = np.full(count, -np.inf, np.float32)  # the same before the slack is added
        self._hits: list[
            tuple[npt.NDArray[np.int16], Rows, FloatArray, FloatArray]
        ] = []  # probe, row, raw score and weight of each
        self._hit_count = 0
        self._enough_hits = self._fewest_hits = count * max(_FIRST_LOOK, 2 * wanted)
        self._most_rows = max(_FIRST_LOOK, _SCORES_AT_ONCE // count)
        self._scores = np.empty(min(rows, self._most_rows) * count, np.float32)
        self.rows_at_once = _FIRST_LOOK

    def see(self, first: int, matrix: FloatArray, weights: FloatArray) -> None:
        """Look at the next rows: at most `rows_at_once` of them, numbered from *first* on."""
        count = len(self._probes)
        scores = self._scores[: len(matrix) * count].reshape(len(matrix), count)
        with np.errstate(over="ignore"):  # lengths of 1e19: what is out of range is far off
            if self._threads:
                np.matmul(matrix, self._probes.T, out=scores)
            else:
                for number, probe in enumerate(self._probes):
                    np.einsum("ij,j->i", matrix, probe, out=scores[:, number])
            scores -= weights[:, np.newaxis]
        hits = np.flatnonzero(scores >= self._raw_cuts)
        if len(hits):
            rows, probes = np.divmod(hits, count)
            # 16 bits, which are sorted in no time.
            self._hits.append((probes.astype(np.int16), rows + first, scores.ravel()[hits], weights[rows]))
            self._hit_count += len(hits)
            if self._hit_count >= self._enough_hits:
                self.rows()
        self.rows_at_once = min(4 * self.rows_at_once, self._most_rows)

    def rows(self) -> list[Rows]:
        """Give for each probe the rows that can be in the answer, rising; the others are forgotten."""
        count = len(self._probes)
        if not self._hits:
            return [np.empty(0, np.int64)] * count
        probes, rows, scores, weights = (np.concatenate(part) for part in zip(*self._hits, strict=True))
        order = np.argsort(probes, kind="stable")
        parts = np.split(order, np.searchsorted(probes[order], np.arange(1, count)))
        left = [part[self._sift(number, scores[part], weights[part])] for number, part in enumerate(parts)]
        together = np.concatenate(left)
        self._hits = [(probes[together], rows[together], scores[together], weights[together])]
        self._hit_count = len(together)
        self._enough_hits = max(self._fewest_hits, 2 * len(together))
        return [rows[part] for part in left]

    def _sift(self, number: int, scores: FloatArray, weights: FloatArray) -> Rows:
        """Raise the cut of a probe to what the lower scores ask for, and tell which upper ones are not below it."""
        upper = scores.astype(np.float64) + self._slack[number]
        lower = upper - 2 * self._slack[number] - 2 * self._unit / (0.5 - self._unit) * weights
        cut = self._cuts[number]
        beyond = upper < self._reach[number]
        if beyond.any():
            cut = max(cut, lower[beyond].max())
        left = np.flatnonzero(upper >= cut)
        if len(left) >= self._wanted:
            place = len(left) - self._wanted
            cut = max(cut, np.partition(lower[left], place)[place])
            left = left[upper[left] >= cut]
        self._cuts[number] = cut
        with np.errstate(over="ignore"):
            self._raw_cuts[number] = np.nextafter(np.float32(cut - self._slack[number]), np.float32(-np.inf))
        return left
