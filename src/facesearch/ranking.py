"""Exact nearest neighbours over a growing float32 matrix.

A search is one matrix-vector product in float32, which is what memory bandwidth allows, and then an exact second look in
float64 at the few rows that can be in the answer. The second look makes the result independent of the order of the rows, of
the BLAS at work and of how many probes are searched at once; the margin between the two is a bound on float32's error, so no
row is ever missed.
"""

import numpy as np
import numpy.typing as npt

from facesearch.errors import InvalidEmbeddingError, shown
from facesearch.stages import FloatArray

__all__ = ["VectorIndex", "check_embedding", "robust_mean"]


_FIRST_CAPACITY = 64
# From here on it pays to let BLAS use all cores; below, its threads would save a fraction of a millisecond and then spin,
# taking cores from the next photo's detection (7 ms of it, measured with benchmarks/speed.py).
_MANY_ROWS = 50_000


def check_embedding(vector: npt.ArrayLike, dimension: int, argument: str = "vector") -> FloatArray:
    """Give *vector* as a new read-only float32 array.

    Parameters
    ----------
    vector
        (dimension,) finite numbers, not all zero.
    dimension
        The length that the face model's embeddings have.
    argument
        The name that the error shall give.

    Raises
    ------
    InvalidEmbeddingError
        If it is no such vector.
    """
    try:
        given = np.asarray(vector)
        # Only real numbers: a cast would take strings, truth values and the real part of complex ones.
        result = given.astype(np.float32) if given.dtype.kind in "fiu" else None
    except (TypeError, ValueError):
        result = None
    if result is None:
        raise InvalidEmbeddingError.of(argument, vector, f"{dimension} real numbers")
    if result.shape != (dimension,):
        raise InvalidEmbeddingError(f"{argument}: expected shape ({dimension},), got shape {result.shape}")
    if not np.isfinite(result).all() or not np.isfinite(result @ result):
        raise InvalidEmbeddingError(f"{argument}: expected finite numbers, got {shown(vector)}")
    if not result.any():
        raise InvalidEmbeddingError(f"{argument}: expected a vector other than zero, got all zeros")
    result.flags.writeable = False
    return result


def robust_mean(vectors: FloatArray) -> FloatArray:
    """Give one vector for several of the same person: their geometric median.

    It is the point with the smallest sum of distances to all, found by Weiszfeld's algorithm from the mean. A wrong photo
    among five moves it little, where it would move the mean by a fifth of its distance.

    Parameters
    ----------
    vectors
        (N, D) float32, N >= 1.

    Returns
    -------
    ndarray of shape (D,)
        float32. Depends on the set of vectors only, not on their order: rows are sorted first, so that even rounding is
        the same. One vector is given back as it is.

    References
    ----------
    Weiszfeld and Plastria, Annals of Operations Research 167 (2009), doi:10.1007/s10479-008-0352-z.
    """
    rows = vectors[np.lexsort(vectors.T[::-1])].astype(np.float64)
    center = rows.mean(axis=0)
    scale = np.sqrt(((rows - center) ** 2).sum(axis=1)).mean()
    # Of two points every point between is a median, so the mean is one; and equal points need no search.
    if len(rows) > 2 and scale > 0:  # noqa: PLR2004  # as the comment says
        for _ in range(_MEDIAN_STEPS):
            distances = np.sqrt(((rows - center) ** 2).sum(axis=1))
            # The floor keeps a point that coincides with the centre from drawing all the weight.
            weights = 1 / np.maximum(distances, _MEDIAN_FLOOR * scale)
            center = (rows * weights[:, np.newaxis]).sum(axis=0) / weights.sum()
    median: FloatArray = center.astype(np.float32)
    return median


# After 20 steps the centre of real faces moves by less than float32's own rounding matters to a distance (1e-4).
_MEDIAN_STEPS = 20
_MEDIAN_FLOOR = 1e-3


class VectorIndex:
    """Named vectors and the exact nearest ones to a probe.

    Parameters
    ----------
    dimension
        Length of every vector.

    Notes
    -----
    Rows lie in one contiguous float32 matrix with room to grow, doubled when full; a removed row is filled by the last. It
    is not safe to change it while it is searched: its owner holds the lock.

    Examples
    --------
    >>> index = VectorIndex(2)
    >>> index.put("a", np.array([0, 1], np.float32))
    >>> index.put("b", np.array([3, 4], np.float32))
    >>> index.nearest(np.array([0, 0], np.float32), max_distance=5.0, limit=10)
    [(1.0, 'a'), (5.0, 'b')]
    """

    def __init__(self, dimension: int) -> None:
        self._matrix = np.empty((_FIRST_CAPACITY, dimension), np.float32)
        self._norms = np.empty(_FIRST_CAPACITY, np.float32)  # squared, and the offset
        self._offsets = np.zeros(_FIRST_CAPACITY)
        self._names: list[str] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def get(self, name: str) -> FloatArray | None:
        """Give a copy of the vector of *name*, or ``None``."""
        row = self._rows.get(name)
        return None if row is None else self._matrix[row].copy()

    def put(self, name: str, vector: FloatArray, offset: float = 0.0) -> None:
        """Set the vector of *name*, a new one or another one; *offset*, >= 0, is added to squared distances from it."""
        row = self._rows.get(name)
        if row is None:
            row = len(self._names)
            if row == len(self._matrix):
                self._grow()
            self._names.append(name)
            self._rows[name] = row
        self._matrix[row] = vector
        self._norms[row] = vector @ vector + np.float32(offset)
        self._offsets[row] = offset

    def remove(self, name: str) -> None:
        """Forget *name*, overwriting its vector; nothing happens if it is not there."""
        row = self._rows.pop(name, None)
        if row is None:
            return
        last = len(self._names) - 1
        if row != last:
            self._matrix[row] = self._matrix[last]
            self._norms[row] = self._norms[last]
            self._offsets[row] = self._offsets[last]
            self._names[row] = self._names[last]
            self._rows[self._names[row]] = row
        self._matrix[last] = 0  # a deleted person's vector does not stay behind in memory
        self._names.pop()

    def nearest(self, probe: FloatArray, *, max_distance: float, limit: int) -> list[tuple[float, str]]:
        """Give the vectors within *max_distance* of *probe*, nearest first; `nearest_and_next` without the next."""
        return self.nearest_and_next(probe, max_distance=max_distance, limit=limit)[0]

    def nearest_and_next(
        self, probe: FloatArray, *, max_distance: float, limit: int
    ) -> tuple[list[tuple[float, str]], tuple[float, str] | None]:
        """Give the vectors within *max_distance* of *probe*, nearest first, and the nearest of all others.

        Parameters
        ----------
        probe
            (dimension,) float32.
        max_distance
            Euclidean, offset included; those exactly as far belong to the answer. May be infinite.
        limit
            At most so many, >= 1.

        Returns
        -------
        list of (distance, name), and (distance, name) or None
            By distance, then by name. ``None`` where there are no others.
        """
        count = len(self._names)
        if count == 0:
            return [], None
        matrix = self._matrix[:count]
        probe_norm = float(probe @ probe)
        products = np.einsum("ij,j->i", matrix, probe) if count < _MANY_ROWS else matrix @ probe
        squared = self._norms[:count] - 2 * products + np.float32(probe_norm)
        margin = self._margin(probe_norm, count)
        bound = max_distance * max_distance + margin
        if count > limit:
            bound = min(bound, float(np.partition(squared, limit - 1)[limit - 1]) + 2 * margin)
        near = squared <= bound
        found = self._exact(probe, np.flatnonzero(near))
        within = [each for each in found if each[0] <= max_distance][:limit]
        if len(within) < len(found):
            return within, found[len(within)]
        if len(within) == count:
            return within, None
        squared[near] = np.inf
        return within, self._exact(probe, np.flatnonzero(squared <= float(squared.min()) + 2 * margin))[0]

    def _exact(self, probe: FloatArray, rows: npt.NDArray[np.intp]) -> list[tuple[float, str]]:
        differences = self._matrix[rows].astype(np.float64) - probe
        distances = np.sqrt((differences * differences).sum(axis=1) + self._offsets[rows])
        return sorted((float(distance), self._names[row]) for distance, row in zip(distances, rows, strict=True))

    def _margin(self, probe_norm: float, count: int) -> float:
        """Bound the error of the float32 squared distances (Higham 2002, section 3.1, with room to spare)."""
        largest = probe_norm + float(self._norms[:count].max())
        dimension = self._matrix.shape[1]
        return 2 * (dimension + 4) * float(np.finfo(np.float32).eps) * largest

    def _grow(self) -> None:
        matrix = np.empty((2 * len(self._matrix), self._matrix.shape[1]), np.float32)
        norms, offsets = np.empty(len(matrix), np.float32), np.zeros(len(matrix))
        matrix[: len(self._matrix)] = self._matrix
        norms[: len(self._norms)] = self._norms
        offsets[: len(self._offsets)] = self._offsets
        self._matrix, self._norms, self._offsets = matrix, norms, offsets
