"""Average linkage of vectors within a distance, with vectors that must stay apart; memory is linear in their number.

The distance of two clusters is the root of the mean of the squared distances between their vectors. For squared Euclidean distances
that mean follows from each cluster's mean vector and mean squared length, so no matrix of distances is stored. A merge never brings
clusters nearer to a third one (the linkage is reducible). So any two clusters that are each other's nearest may be merged, in any
order, and only pairs within the reach are ever needed.

References
----------
Müllner, "Modern hierarchical, agglomerative clustering algorithms", arXiv:1109.2378 (2011), sections 2 and 3.
"""

from collections.abc import Callable
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from facesearch.common.arrays import FloatArray

__all__ = ["UNKNOWN_PHOTO", "Linkage", "average_linkage", "without_loose_pairs"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

UNKNOWN_PHOTO: Final = -1
"""Number of the photo of a vector without a photo."""

_ROWS, _COLUMNS = 256, 4096  # of a block of distances: 4 MiB, which stay in the cache
_AT_ONCE: Final = 16_384  # pairs of vectors in a temporary array
_SAMPLED: Final = 64  # rows that are compared with all first, to see how many pairs are near
_EDGES_PER_VECTOR: Final = 32
_FEWEST_EDGES: Final = 65_536


@attrs.frozen(eq=False)
class Linkage:
    """The clusters of N vectors."""

    labels: Indices  # (N,) the cluster of each vector, 0 to K - 1
    heights: Floats  # (K,) the distance of the two parts that each cluster was last merged from; 0 for a single vector


def average_linkage(
    vectors: FloatArray,
    photos: npt.ArrayLike,
    reach: float,
    *,
    most_edges: int | None = None,
    report: Callable[[int], object] | None = None,
) -> Linkage:
    """Merge the nearest clusters until all are farther apart than *reach*; vectors of one photo are never in one cluster.

    Two orders of the same rows have the same clusters, but for rows with equal vectors in several photos, of which the first row counts.
    N vectors of which none is within *reach* of another take N² D multiplications, in blocks of float32. Pairs that are near are compared
    exactly, in float64.

    Parameters
    ----------
    vectors
        (N, D) finite float32, N >= 0.
    photos
        (N,) whole numbers: the photo of each vector, `UNKNOWN_PHOTO` where it is not known.
    reach
        Greatest distance of two clusters that are merged, >= 0.
    most_edges
        Pairs of clusters in memory at once, >= 1; it affects only memory and time. By default 32 for each vector.
    report
        Called with the number of vectors that have been compared with all others, several times, up to N.

    Examples
    --------
    >>> vectors = np.array([[0, 0], [0, 1], [9, 9], [0, 1]], np.float32)
    >>> average_linkage(vectors, [1, 2, 3, 1], 2.0).labels.tolist()
    [0, 1, 2, 1]
    """
    numbers = np.asarray(photos, np.int64).reshape(-1)
    order = _by_content(vectors)
    state = _Clusters.of(vectors[order], numbers[order])
    limit = most_edges or max(_FEWEST_EDGES, _EDGES_PER_VECTOR * len(vectors))
    done = False
    while not done and len(vectors):
        edges = state.near_pairs(reach, limit, report)
        report = None  # later passes are over fewer clusters
        done = edges.complete
        state.merge(edges)
        state = state.compact()
    labels = np.empty(len(vectors), np.int64)
    labels[order] = state.labels
    return _numbered(labels, state.heights)


def without_loose_pairs(linkage: Linkage, reach: float) -> Linkage:
    """Return the linkage in which two vectors alone are a cluster only within *reach*, >= 0.

    Among many vectors most pairs are of strangers, so that some strangers are near by chance. A third vector that is near to both is
    rarely a chance.

    Examples
    --------
    >>> vectors = np.array([[0, 0], [0, 1], [9, 9], [9, 9.5], [5, 0], [5, 1], [5, 2]], np.float32)
    >>> without_loose_pairs(average_linkage(vectors, [*range(7)], 2.0), 0.7).labels.tolist()
    [0, 1, 2, 2, 3, 3, 3]
    """
    counts = np.bincount(linkage.labels, minlength=len(linkage.heights))
    loose = (counts == _PAIR) & (linkage.heights > reach)
    rows = np.flatnonzero(loose[linkage.labels])
    labels = linkage.labels.copy()
    labels[rows] = len(counts) + np.arange(len(rows))
    return _numbered(labels, np.concatenate([linkage.heights, np.zeros(len(rows))]))


_PAIR = 2


def _by_content(vectors: FloatArray) -> Indices:
    """Return the order of the rows by their bytes, so that the order of the input can't matter."""
    rows = np.ascontiguousarray(vectors, np.float32)
    if not rows.size:
        return np.arange(len(rows))
    return np.argsort(rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0], kind="stable")


def _numbered(labels: Indices, heights: Floats) -> Linkage:
    """Return the linkage with clusters numbered by their first vectors."""
    found, first, again = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Linkage(rank[again.reshape(-1)], heights[found[order]])


@attrs.define(eq=False)
class _Edges:
    """Pairs of clusters within a reach, each once, and their exact distances, squared."""

    one: Indices
    other: Indices
    squared: Floats
    reach: float  # squared; no pair within it is missing
    complete: bool  # whether that is the reach that was asked for

    def __len__(self) -> int:
        return len(self.squared)

    def keep(self, which: npt.NDArray[Any]) -> None:
        """Drop the other pairs."""
        self.one, self.other, self.squared = self.one[which], self.other[which], self.squared[which]


@attrs.define(eq=False)
class _Clusters:
    """Clusters of vectors. A cluster that was merged into another keeps its row until `compact`."""

    means: Floats  # (K, D)
    lengths: Floats  # mean squared length of the vectors, (K,)
    counts: Floats  # number of vectors
    heights: Floats
    labels: Indices  # (N,) row of the cluster of each vector
    crowd: Indices  # the vectors that have another vector of their photo
    photos: Indices  # and the photos of these

    @classmethod
    def of(cls, vectors: FloatArray, photos: Indices) -> "_Clusters":
        """Return a cluster for each vector; equal vectors of different photos are one cluster from the start."""
        new = np.ones(len(vectors), np.bool_)
        new[1:] = (vectors[1:] != vectors[:-1]).any(axis=1)
        run = np.cumsum(new) - 1
        again = _repeats(run, photos)
        _, first, labels = np.unique(np.column_stack([run, again]), axis=0, return_index=True, return_inverse=True)
        labels = labels.reshape(-1)
        known = np.flatnonzero(photos != UNKNOWN_PHOTO)
        _, which, times = np.unique(photos[known], return_inverse=True, return_counts=True)
        crowded = times[which.reshape(-1)] > 1
        means = vectors[first].astype(np.float64)
        return cls(
            means=means,
            lengths=np.einsum("ij,ij->i", means, means),
            counts=np.bincount(labels, minlength=len(first)).astype(np.float64),
            heights=np.zeros(len(first)),
            labels=labels,
            crowd=known[crowded],
            photos=which.reshape(-1)[crowded],
        )

    def near_pairs(self, reach: float, limit: int, report: Callable[[int], object] | None) -> _Edges:
        """Return the pairs within *reach* that may be merged, or as many of the nearest ones as the limit allows."""
        products = _Products.of(self.means, self.lengths)
        pool = _Pool(reach**2, limit)
        pool.expect(products.sample(), len(self.counts))
        self._fill(pool, products, report)
        if not pool.count and not pool.complete:  # the sample promised pairs, but these have a photo in common
            pool = _Pool(reach**2, limit)
            self._fill(pool, products, None)
        return pool.edges()

    def _fill(self, pool: "_Pool", products: "_Products", report: Callable[[int], object] | None) -> None:
        count, apart = len(self.counts), self._apart()
        for first in range(0, count, _ROWS):
            for start in range(first, count, _COLUMNS):
                squared = products.block(slice(first, first + _ROWS), slice(start, start + _COLUMNS))
                near = np.flatnonzero(squared <= pool.reach + products.margin)
                one, other = np.divmod(near, squared.shape[1])
                one, other = one + first, other + start
                upper = one < other
                self._add(pool, one[upper], other[upper], apart)
            if report:
                report(len(self.labels) * min(first + _ROWS, count) // count)

    def _add(self, pool: "_Pool", one: Indices, other: Indices, apart: "csr_matrix | None") -> None:
        for part in range(0, len(one), pool.limit):
            here = slice(part, part + pool.limit)
            squared = self.squared_distances(one[here], other[here])
            near = np.flatnonzero(squared <= pool.reach)
            near = near[~_conflicts(apart, one[here][near], other[here][near])]
            pool.add(one[here][near], other[here][near], squared[near])

    def squared_distances(self, one: Indices, other: Indices) -> Floats:
        """Return the mean squared distances of clusters, (P,), in float64."""
        result = np.empty(len(one))
        for first in range(0, len(one), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            a, b = one[part], other[part]
            # The distance of the means, and the spread of each cluster around its own: no large numbers are subtracted.
            differences = self.means[a] - self.means[b]
            result[part] = np.einsum("ij,ij->i", differences, differences) + self._spread(a) + self._spread(b)
        return result

    def _spread(self, rows: Indices) -> Floats:
        spread = self.lengths[rows] - np.einsum("ij,ij->i", self.means[rows], self.means[rows])
        result: Floats = np.maximum(spread, 0)
        return result

    def merge(self, edges: _Edges) -> None:
        """Merge all clusters within the reach of the edges; use the edges up."""
        moved = np.arange(len(self.counts))
        while len(edges):
            chosen = _mutual(edges, len(moved))
            one, other = edges.one[chosen], edges.other[chosen]
            self._join(one, other, edges.squared[chosen])
            merged = np.zeros(len(moved), np.bool_)
            merged[one] = merged[other] = True
            moved[other] = one
            self.labels = moved[self.labels]
            changed = merged[edges.one] | merged[edges.other]
            a, b = moved[edges.one[changed]], moved[edges.other[changed]]
            moved[other] = other
            pairs = np.unique(np.minimum(a, b)[a != b] * len(moved) + np.maximum(a, b)[a != b])
            a, b = np.divmod(pairs, len(moved))
            squared = self.squared_distances(a, b)
            near = np.flatnonzero(squared <= edges.reach)
            near = near[~_conflicts(self._apart(), a[near], b[near])]
            edges.keep(~changed)
            edges.one = np.concatenate([edges.one, a[near]])
            edges.other = np.concatenate([edges.other, b[near]])
            edges.squared = np.concatenate([edges.squared, squared[near]])

    def _join(self, one: Indices, other: Indices, squared: Floats) -> None:
        total = self.counts[one] + self.counts[other]
        share = self.counts[other] / total
        self.means[one] += share[:, np.newaxis] * (self.means[other] - self.means[one])
        self.lengths[one] += share * (self.lengths[other] - self.lengths[one])
        self.counts[one] = total
        self.heights[one] = np.sqrt(squared)

    def compact(self) -> "_Clusters":
        """Return the clusters without the rows of merged ones."""
        used, labels = np.unique(self.labels, return_inverse=True)
        return attrs.evolve(
            self,
            means=self.means[used],
            lengths=self.lengths[used],
            counts=self.counts[used],
            heights=self.heights[used],
            labels=labels.reshape(-1),
        )

    def _apart(self) -> "csr_matrix | None":
        """Return the photos of each cluster that several vectors have, (K, photos); ``None`` where there are none."""
        if not len(self.crowd):
            return None
        places = (self.labels[self.crowd], self.photos)
        shape = (len(self.counts), int(self.photos.max()) + 1)
        return csr_matrix((np.ones(len(self.crowd), np.int8), places), shape=shape)


@attrs.frozen(eq=False)
class _Products:
    """Squared distances of all clusters as matrix products in float32, with a bound on their error."""

    columns: FloatArray  # (K, D + 2)
    margin: float
    buffer: FloatArray

    @classmethod
    def of(cls, means: Floats, lengths: Floats) -> "_Products":
        # (-2a, |a|^2, 1) . (b, 1, |b|^2): the product is the squared distance.
        columns = np.column_stack([means, np.ones(len(means)), lengths]).astype(np.float32)
        # Higham 2002, section 3.1, with room to spare, as in facesearch.matching.shortlist.
        margin = 4 * columns.shape[1] * float(np.finfo(np.float32).eps) * float(lengths.max(initial=0))
        return cls(columns, margin, np.empty(_ROWS * _COLUMNS, np.float32))

    def block(self, rows: slice, columns: slice) -> FloatArray:
        """Return the squared distances of some rows from others; the next call overwrites them."""
        right = self.columns[columns]
        left = self._left(rows)
        result = self.buffer[: len(left) * len(right)].reshape(len(left), len(right))
        return np.matmul(left, right.T, out=result)

    def sample(self) -> FloatArray:
        """Return the squared distances of a few rows from all others, flat."""
        count = len(self.columns)
        chosen = slice(0, None, max(1, count // _SAMPLED))
        squared = self._left(chosen) @ self.columns.T
        places = np.arange(count)[chosen]
        squared[np.arange(len(places)), places] = np.inf
        return squared.reshape(-1)

    def _left(self, rows: slice) -> FloatArray:
        left: FloatArray = -2 * self.columns[rows]
        left[:, -2], left[:, -1] = self.columns[rows, -1], 1
        return left


class _Pool:
    """The shortest edges of those that were added, at most twice the limit at any time."""

    def __init__(self, reach: float, limit: int) -> None:
        self.reach = reach
        self.limit = limit
        self.count = 0
        self.complete = True  # whether no edge within the first reach was dropped
        self._parts: list[tuple[Indices, Indices, Floats]] = []

    def expect(self, sample: FloatArray, count: int) -> None:
        """Lower the reach at once where the distances in a sample promise more edges than the limit."""
        near = np.count_nonzero(sample <= self.reach)
        expected = near / max(1, len(sample)) * count * (count - 1) / 2
        if expected > self.limit:
            place = max(1, int(near * self.limit / expected)) - 1
            self.reach, self.complete = max(0.0, float(np.partition(sample, place)[place])), False

    def add(self, one: Indices, other: Indices, squared: Floats) -> None:
        self._parts.append((one, other, squared))
        self.count += len(one)
        if self.count > 2 * self.limit:
            self._cut()

    def edges(self) -> _Edges:
        if self.count > self.limit:
            self._cut()
        one, other, squared = self._joined()
        return _Edges(one, other, squared, self.reach, complete=self.complete)

    def _cut(self) -> None:
        one, other, squared = self._joined()
        shortest = np.argpartition(squared, self.limit - 1)[: self.limit]
        self._parts = [(one[shortest], other[shortest], squared[shortest])]
        self.count = self.limit
        self.reach, self.complete = float(squared[shortest].max()), False

    def _joined(self) -> tuple[Indices, Indices, Floats]:
        parts = self._parts or [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        one, other, squared = (np.concatenate(each) for each in zip(*parts, strict=True))
        return one, other, squared


def _repeats(run: Indices, photos: Indices) -> Indices:
    """Return for each vector how many equal vectors of its photo come before it; 0 without a photo."""
    order = np.lexsort((np.arange(len(run)), photos, run))
    first = np.ones(len(run), np.bool_)
    first[1:] = (np.diff(run[order]) != 0) | (np.diff(photos[order]) != 0)
    place = np.arange(len(run))
    result = np.empty_like(place)
    result[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    result[photos == UNKNOWN_PHOTO] = 0
    return result


def _conflicts(apart: "csr_matrix | None", one: Indices, other: Indices) -> npt.NDArray[np.bool_]:
    """Return which pairs of clusters have a photo in common."""
    result = np.zeros(len(one), np.bool_)
    if apart is None:
        return result
    crowded = np.diff(apart.indptr) > 0
    places = np.flatnonzero(crowded[one] & crowded[other])
    for first in range(0, len(places), _AT_ONCE):
        here = places[first : first + _AT_ONCE]
        common = apart[one[here]].multiply(apart[other[here]])
        result[here] = np.diff(common.tocsr().indptr) > 0
    return result


def _mutual(edges: _Edges, count: int) -> Indices:
    """Return the edges that are the shortest one at both ends; at most one at each cluster, and at least one."""
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, edges.one, edges.squared)
    np.minimum.at(nearest, edges.other, edges.squared)
    found = np.flatnonzero((edges.squared == nearest[edges.one]) & (edges.squared == nearest[edges.other]))
    one, other = edges.one[found], edges.other[found]
    # Equally short ones: by a mixed order, in which many pairs are each other's first. In the order of rows all would want the first.
    rank = np.empty(len(found), np.int64)
    rank[np.lexsort((other, one, one ^ other))] = np.arange(len(found))
    first = np.full(count, len(found))
    np.minimum.at(first, one, rank)
    np.minimum.at(first, other, rank)
    result: Indices = found[(rank == first[one]) & (rank == first[other])]
    return result
