"""Check embeddings, and compute the template of a user: one vector from several."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facesearch.common.arrays import FloatArray
from facesearch.errors import InvalidEmbeddingError, shown

__all__ = ["LONGEST", "SHORTEST_CENTER", "check_embedding", "of_unit_length", "refused_rows", "robust_mean"]

LONGEST: Final = 1e15
"""The Euclidean length that an embedding may have: squares of distances, and sums of them, stay within float32."""


def check_embedding(vector: npt.ArrayLike, dimension: int, argument: str = "vector") -> FloatArray:
    """Return *vector* as a new read-only float32 array, (dimension,): finite, not all zero, of a length of at most `LONGEST`.

    Any other raises an `InvalidEmbeddingError`, which names *argument*.
    """
    try:
        given = np.asarray(vector)
        # Only real numbers: a cast would take strings, truth values and the real part of complex ones.
        # What does not fit into float32 becomes infinite, which is refused below in our own words.
        with np.errstate(all="ignore"):
            result = given.astype(np.float32) if given.dtype.kind in "fiu" else None
    except (TypeError, ValueError, OverflowError):
        result = None
    if result is None:
        raise InvalidEmbeddingError.of(argument, vector, f"{dimension} real numbers")
    if result.shape != (dimension,):
        raise InvalidEmbeddingError(f"{argument}: expected shape ({dimension},), got shape {result.shape}")
    if not np.isfinite(result).all() or np.square(result, dtype=np.float64).sum() > LONGEST**2:
        raise InvalidEmbeddingError(
            f"{argument}: expected finite numbers, a vector of length {LONGEST:g} at most, got {shown(vector)}"
        )
    if not result.any():
        raise InvalidEmbeddingError(f"{argument}: expected a vector other than zero, got all zeros")
    result.flags.writeable = False
    return result


def refused_rows(matrix: FloatArray) -> list[int]:
    """Return the indices of the rows, (N, dimension) float32, that `check_embedding` would refuse, such as those of a stranger's file."""
    # Fast for a million rows; where squares are out of float32's range, the exact check decides.
    with np.errstate(all="ignore"):
        sums = np.einsum("ij,ij->i", matrix, matrix)
        doubtful = np.flatnonzero(~((sums > 0) & (sums < LONGEST**2))).tolist()
    return [place for place in doubtful if not _can_be_embedding(matrix[place])]


def _can_be_embedding(vector: FloatArray) -> bool:
    finite = bool(np.isfinite(vector).all())
    return finite and bool(vector.any()) and float(np.square(vector, dtype=np.float64).sum()) <= LONGEST**2


def robust_mean(vectors: FloatArray) -> FloatArray:
    """Compute the template of one person from (N, D) float32 vectors, N >= 1: their geometric median, (D,) float32.

    It is the point with the smallest sum of distances to all, found by Weiszfeld's algorithm from the mean. A wrong photo
    among five moves it little, where it would move the mean by a fifth of its distance. The median of vectors of unit length is
    scaled to unit length: between them it would be nearer to everybody, strangers included. A single vector is returned as it is.

    The template depends on the set of vectors only, not on their order: rows are sorted first, so that even rounding is the same.

    References
    ----------
    Weiszfeld and Plastria, Annals of Operations Research 167 (2009), doi:10.1007/s10479-008-0352-z.
    """
    rows = vectors[np.lexsort(vectors.T[::-1])].astype(np.float64)
    center = rows.mean(axis=0)
    scale = np.sqrt(((rows - center) ** 2).sum(axis=1)).mean()
    # Of two points every point between is a median, so the mean is one; and equal points need no search.
    if len(rows) > 2 and scale > 0:  # noqa: PLR2004  # see above
        for _ in range(_MEDIAN_STEPS):
            distances = np.sqrt(((rows - center) ** 2).sum(axis=1))
            # The floor keeps a point that coincides with the centre from drawing all the weight.
            weights = 1 / np.maximum(distances, _MEDIAN_FLOOR * scale)
            center = (rows * weights[:, np.newaxis]).sum(axis=0) / weights.sum()
    length = np.linalg.norm(center)
    if len(rows) > 1 and length > SHORTEST_CENTER and of_unit_length(rows):
        center = center / length
    median: FloatArray = center.astype(np.float32)
    return median


def of_unit_length(vectors: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return for each group of vectors, (..., N, D), whether all have unit length, as far as float32 and float16 can tell."""
    lengths = np.linalg.norm(vectors, axis=-1)
    unit: npt.NDArray[np.bool_] = (np.abs(lengths - 1) < _UNIT).all(axis=-1)
    return unit


# After 20 steps the centre of real faces moves by less than float32's own rounding matters to a distance (1e-4).
_MEDIAN_STEPS = 20
_MEDIAN_FLOOR = 1e-3
_UNIT = 1e-3
# Of opposite vectors, the centre has no direction.
SHORTEST_CENTER: Final = 1e-6
