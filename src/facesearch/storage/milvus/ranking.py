"""Rank the rows that Milvus found by the vectors of the database."""

import attrs
import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.matching.row_keys import NumberRows
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.storage.live_index import NamedVectors
from facesearch.storage.milvus.gallery import Gallery
from facesearch.storage.milvus.vectors import Found

__all__ = ["Shortlist", "Wanted", "is_complete", "merged"]


@attrs.frozen
class Wanted:
    """The wanted answer: the users or faces within *max_distance*, *limit* at most, and the next one."""

    max_distance: float
    limit: int


class Shortlist:
    """The rows that Milvus found and that exist, with the vectors of the database."""

    def __init__(self, gallery: Gallery, there: NamedVectors) -> None:
        self._dimension = gallery.dimension
        self._vectors, self._offsets = there.vectors, gallery.offsets(there.faces)
        self._places = {number: place for place, number in enumerate(there.numbers)}
        self._names = dict(zip(there.numbers, there.names, strict=True))

    def nearest(self, probe: FloatArray, found: Found, wanted: Wanted) -> Ranked:
        """Rank the rows found for a probe."""
        numbers = [number for number in dict.fromkeys(found.numbers) if number in self._places]
        if not numbers:
            return [], None
        places = [self._places[number] for number in numbers]
        index: VectorIndex[int] = VectorIndex(self._dimension, NumberRows(), block_rows=len(numbers))
        index.put_many(numbers, self._vectors[places], self._offsets[places])
        (ranked,) = index.nearest(
            probe[np.newaxis],
            max_distance=wanted.max_distance,
            limit=wanted.limit,
            names=lambda keys: [self._names[key] for key in keys],
        )
        return ranked


def is_complete(probe: FloatArray, found: Found, ranked: Ranked, *, coded: bool) -> bool:
    """Check that no row that Milvus did not return can be in the answer.

    If Milvus holds the vectors in 8 bits, *coded*, this can't be checked: an answer that has a next one is taken.
    """
    _, beyond = ranked
    if found.whole:
        return True
    if beyond is None:
        return False
    if coded:
        return True
    # Milvus computes in float32. The error of a squared distance is less than this (Higham 2002, section 3.1), whether it is
    # computed from the difference or from lengths and products. float32's underflow is absolute.
    length, reach = float(np.linalg.norm(probe.astype(np.float64))), max(found.squares[-1], 0.0)
    unit = 2 * (len(probe) + 8) * float(np.finfo(np.float32).eps)
    error = unit * (length**2 + (length + reach**0.5) ** 2) + 1e-30
    return bool(beyond[0] ** 2 < reach - error)


def merged(one: Ranked, other: Ranked, wanted: Wanted) -> Ranked:
    """Merge two answers about different vectors."""
    (mine, next_of_mine), (theirs, next_of_theirs) = one, other
    beyond = [each for each in (next_of_mine, next_of_theirs) if each is not None]
    found = sorted([*mine, *theirs, *beyond])
    taken = min(wanted.limit, sum(distance <= wanted.max_distance for distance, _ in found))
    return found[:taken], found[taken] if taken < len(found) else None
