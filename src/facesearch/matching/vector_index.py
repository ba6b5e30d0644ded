"""Exact nearest neighbours over a growing float32 matrix.

A search has two passes. The first is one matrix product in float32, as fast as memory bandwidth allows. The second computes the
exact distance in float64 of the few rows that can be in the answer. It makes the result independent of the order of the rows, of
the BLAS implementation and of the number of probes searched at once. Bounds on the error of float32 select the rows of the second
pass, so no row is ever missed. Among millions, the first pass reads the same rows in 8 bits, with bounds on the rounding error.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from facesearch.common.arrays import FloatArray
from facesearch.matching.quantized import Codes, CodeScores, center_of
from facesearch.matching.row_keys import RowKeys, Rows
from facesearch.matching.shortlist import FirstPass, FloatScores, Shortlist, weights_of

__all__ = ["Ranked", "VectorIndex"]

K = TypeVar("K")
Distances = npt.NDArray[np.float64]
Ranked = tuple[list[tuple[float, str]], tuple[float, str] | None]

_FIRST_CAPACITY = 64
# 32 MiB of 128 dimensions: a product of that size runs at full speed, and what is free in the last block hardly counts.
_BLOCK_ROWS = 65_536
# More would keep a core's cache from holding scores while they are compared, see benchmarks/gallery.py.
_PROBES_AT_ONCE = 64
# Rows of the second pass at once: their float64 copies stay in the cache.
_EXACT_AT_ONCE = 1024
# Vectors from which on they are kept in 8 bits, too, for 0.28 times their memory, until half as many are left.
_MANY_ROWS = 2_000_000
# More at once are quicker in float32, see benchmarks/gallery.py.
_FEW_PROBES = 16


class VectorIndex(Generic[K]):
    """Keyed vectors and the exact nearest ones to a probe.

    Rows lie in blocks of *block_rows*, >= 1. Growing never moves them, except in the first block, which doubles up to its size; only
    part of the last block is free. The last row takes the place of a removed one. Several threads may search an index at
    once, but nothing may change it meanwhile: its owner holds the lock. *keys* is new and empty.

    Examples
    --------
    >>> from facesearch.matching.row_keys import NumberRows
    >>> index = VectorIndex(2, NumberRows())
    >>> index.put(7, np.array([0, 1], np.float32))
    >>> index.put(8, np.array([3, 4], np.float32))
    >>> users = {7: "ada", 8: "bob"}
    >>> index.nearest(
    ...     np.zeros((1, 2), np.float32), max_distance=2.0, limit=10, names=lambda keys: [users[key] for key in keys]
    ... )
    [([(1.0, 'ada')], (5.0, 'bob'))]
    """

    def __init__(self, dimension: int, keys: RowKeys[K], *, block_rows: int = _BLOCK_ROWS) -> None:
        self._dimension = dimension
        self._keys = keys
        self._block_rows = block_rows
        self._blocks: list[_Block] = []
        self._center: FloatArray | None = None  # of the vectors in 8 bits, where there are any

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key: K) -> FloatArray | None:
        """Return a copy of the vector of *key*, or ``None``."""
        row = self._keys.row(key)
        if row is None:
            return None
        block, place = self._at(row)
        vector: FloatArray = block.matrix[place].copy()
        return vector

    def put(self, key: K, vector: FloatArray, offset: float = 0.0) -> None:
        """Set or replace the vector of *key*; *offset*, >= 0, is added to squared distances from it."""
        self.put_many([key], vector[np.newaxis], [offset])

    def put_many(self, keys: Sequence[K], matrix: FloatArray, offsets: npt.ArrayLike) -> None:
        """Set or replace the vectors of N keys, (N, dimension) finite float32; copies them once.

        Of a repeated key the last vector counts. *offsets*, (N,) float64, >= 0, are added to squared distances from each.
        """
        added = np.asarray(offsets, np.float64)
        if matrix.shape != (len(keys), self._dimension) or added.shape != (len(keys),):
            raise ValueError(f"expected {len(keys)} vectors and offsets, got {matrix.shape} and {added.shape}")
        weights = weights_of(matrix, added)
        # First, so that nothing has changed where there is no memory.
        if self._center is None and len(self) + len(keys) >= _MANY_ROWS:
            self._encode(matrix)
        self._make_room(len(self) + len(keys))
        for block, places, which in self._parts(self._keys.claim(keys)):
            block.put(places, matrix[which], weights[which], added[which])
        self._trim()

    def remove(self, key: K) -> None:
        """Remove *key* and overwrite its vector; do nothing if it is not there."""
        row = self._keys.row(key)
        if row is None:
            return
        (block, place), (tail, end) = self._at(row), self._at(len(self) - 1)
        self._keys.remove(key)
        for mine, theirs in zip(block.columns, tail.columns, strict=True):
            mine[place] = theirs[end]
        tail.forget(end)
        self._trim()

    def nearest(
        self, probes: FloatArray, *, max_distance: float, limit: int, names: Callable[[Sequence[K]], Sequence[str]]
    ) -> list[Ranked]:
        """Return for each probe the vectors within *max_distance*, nearest first, and the nearest of all others.

        Parameters
        ----------
        probes
            (P, dimension) float32. The answer of each is the same to the bit as if searched alone.
        max_distance
            Euclidean, offset included; those exactly as far belong to the answer. May be infinite.
        limit
            Most vectors for each probe, >= 1.
        names
            Returns the names of keys, in their order; no two the same. Called with the keys in an answer and those as near as
            its last.

        Returns
        -------
        list of (list of (distance, name), and (distance, name) or None)
            One for each probe, by distance, then by name. ``None`` where there are no others.
        """
        return [
            self._ranked(probe, rows, max_distance, limit, names)
            for first in range(0, len(probes), _PROBES_AT_ONCE)
            for probe, rows in self._near(probes[first : first + _PROBES_AT_ONCE], max_distance, limit)
        ]

    def _near(self, probes: FloatArray, max_distance: float, limit: int) -> Iterator[tuple[FloatArray, Rows]]:
        """Yield each probe with the rows that can be in its answer."""
        center = self._center if len(probes) <= _FEW_PROBES else None
        scored: FirstPass = FloatScores(probes, len(self)) if center is None else CodeScores(probes, center)
        # One more than the limit: the next.
        shortlist = Shortlist(scored, max_distance=max_distance, nearest=limit + 1)
        for number, block in enumerate(self._blocks):
            first, place = number * self._block_rows, 0
            used = min(self._block_rows, len(self) - first)
            score = scored.of(*block.first_pass_columns(coded=center is not None))
            while place < used:
                rows = slice(place, min(place + shortlist.rows_at_once, used))
                shortlist.add(first + place, *score(rows))
                place = rows.stop
        return zip(probes, shortlist.rows(), strict=True)

    def _ranked(
        self,
        probe: FloatArray,
        rows: Rows,
        max_distance: float,
        limit: int,
        names: Callable[[Sequence[K]], Sequence[str]],
    ) -> Ranked:
        distances = np.empty(len(rows))
        for block, places, which in self._parts(rows):
            distances[which] = block.distances(probe, places)
        taken = min(limit, int(np.count_nonzero(distances <= max_distance)))
        if taken < len(rows):
            near = distances <= np.partition(distances, taken)[taken]
            distances, rows = distances[near], rows[near]
        found = sorted(zip(distances.tolist(), names(self._keys.keys(rows)), strict=True))
        return found[:taken], found[taken] if taken < len(found) else None

    def _at(self, row: int) -> "tuple[_Block, int]":
        number, place = divmod(row, self._block_rows)
        return self._blocks[number], place

    def _parts(self, rows: Rows) -> "Iterator[tuple[_Block, slice | Rows, slice | Rows]]":
        """Yield each block that holds some of the rows, their places in it, and their positions in *rows*."""
        if len(rows) and (np.diff(rows) == 1).all():  # loaded in order: slices spare a copy
            first, stop = int(rows[0]), int(rows[-1]) + 1
            for start in range(first - first % self._block_rows, stop, self._block_rows):
                low, high = max(first, start), min(stop, start + self._block_rows)
                yield (
                    self._blocks[start // self._block_rows],
                    slice(low - start, high - start),
                    slice(low - first, high - first),
                )
            return
        numbers = rows // self._block_rows
        for number in np.unique(numbers).tolist():
            which = np.flatnonzero(numbers == number)
            yield self._blocks[number], rows[which] - number * self._block_rows, which

    def _make_room(self, rows: int) -> None:
        if not self._blocks:
            self._blocks.append(_Block(self._dimension, min(_FIRST_CAPACITY, self._block_rows), self._center))
        room = len(self._blocks[0].matrix)
        if room < min(rows, self._block_rows):
            self._blocks[0] = self._blocks[0].grown(min(max(rows, 2 * room), self._block_rows))
        while rows > len(self._blocks) * self._block_rows:
            self._blocks.append(_Block(self._dimension, self._block_rows, self._center))

    def _trim(self) -> None:
        del self._blocks[max(1, -(-len(self) // self._block_rows)) :]
        if self._center is not None and len(self) <= _MANY_ROWS // 2:
            self._center = None
            for block in self._blocks:
                block.drop_codes()

    def _encode(self, coming: FloatArray) -> None:
        """Store all rows in 8 bits too, present and future ones."""
        center = center_of(self._blocks[0].matrix[: len(self)] if len(self) else coming)
        used = (max(0, len(self) - number * self._block_rows) for number in range(len(self._blocks)))
        codes = [block.encoded(center, rows) for block, rows in zip(self._blocks, used, strict=True)]
        for block, encoded in zip(self._blocks, codes, strict=True):
            block.codes = encoded
        self._center = center


class _Block:
    """A block of rows; the operating system allocates memory only for those that were written."""

    def __init__(self, dimension: int, rows: int, center: FloatArray | None) -> None:
        self.matrix = np.empty((rows, dimension), np.float32)
        self.weights = np.empty(rows, np.float32)
        self.offsets = np.empty(rows)
        self.codes = None if center is None else Codes(rows, center)

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.matrix, self.weights, self.offsets, *(self.codes.columns if self.codes else ())

    def put(self, places: "slice | Rows", vectors: FloatArray, weights: FloatArray, offsets: Distances) -> None:
        self.matrix[places] = vectors
        self.weights[places] = weights
        self.offsets[places] = offsets
        if self.codes:
            self.codes.put(places, vectors, offsets)

    def forget(self, places: "slice | int") -> None:
        """Overwrite vectors, so that none of a deleted person stays in memory."""
        self.matrix[places] = 0
        if self.codes:
            self.codes.matrix[places] = 0

    def grown(self, rows: int) -> "_Block":
        """Return a larger block with the same rows, and overwrite this one."""
        larger = _Block(self.matrix.shape[1], rows, self.codes.center if self.codes else None)
        for theirs, mine in zip(larger.columns, self.columns, strict=True):
            theirs[: len(mine)] = mine
        self.forget(slice(None))
        return larger

    def encoded(self, center: FloatArray, rows: int) -> Codes:
        """Return the first rows in 8 bits, with room for all."""
        codes = Codes(len(self.matrix), center)
        codes.put(slice(0, min(rows, len(self.matrix))), self.matrix[:rows], self.offsets[:rows])
        return codes

    def drop_codes(self) -> None:
        if self.codes:
            self.codes.matrix[:] = 0
            self.codes = None

    def first_pass_columns(self, *, coded: bool) -> tuple[npt.NDArray[Any], ...]:
        """Return the columns that the first pass reads."""
        return self.codes.columns if coded and self.codes else (self.matrix, self.weights)

    def distances(self, probe: FloatArray, places: "slice | Rows") -> Distances:
        vectors, offsets = self.matrix[places], self.offsets[places]
        result = np.empty(len(vectors))
        for first in range(0, len(vectors), _EXACT_AT_ONCE):
            part = slice(first, first + _EXACT_AT_ONCE)
            squares = np.subtract(vectors[part], probe, dtype=np.float64)
            squares *= squares
            result[part] = np.sqrt(squares.sum(axis=1) + offsets[part])
        return result
