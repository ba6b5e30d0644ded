"""The vectors of a collection on disk, in memory to be searched, and kept in step with what any process commits.

Every change to a user carries a number, one higher in each transaction. What is in memory is the state of one number; catching up
reads the rows that changed since, so that a new user costs one row and not the matrix.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

import numpy as np

from facesearch.errors import StorageFormatError
from facesearch.row_keys import NumberRows
from facesearch.stages import FloatArray
from facesearch.vector_index import Ranked, VectorIndex

__all__ = ["STORED", "LiveIndex", "read_vectors"]

STORED: Final = np.dtype("<f4")
"""How a number of a vector lies in the file."""

_ROWS_AT_ONCE: Final = 8192


def read_vectors(blobs: Sequence[bytes | None], dimension: int, name_of: Callable[[int], str]) -> FloatArray:
    """Give vectors as they lie in the file: (N, dimension) float32, read-only.

    Raises
    ------
    StorageFormatError
        If one has another length, is not finite, or all zeros; the message has what *name_of* gives for its place.
    """
    expected = dimension * STORED.itemsize
    whole = [blob for blob in blobs if isinstance(blob, bytes) and len(blob) == expected]
    if len(whole) < len(blobs):
        place = next(place for place, blob in enumerate(blobs) if not isinstance(blob, bytes) or len(blob) != expected)
        raise StorageFormatError(f"{name_of(place)}: damaged, expected {expected} bytes of a vector")
    matrix = np.frombuffer(b"".join(whole), STORED).reshape(len(whole), dimension)
    # Quick for a million of them; where it can't tell, because squares are out of range, a second look does.
    sums = np.einsum("ij,ij->i", matrix, matrix)
    for place in np.flatnonzero(~(np.isfinite(sums) & (sums > 0))).tolist():
        if not np.isfinite(matrix[place]).all() or not matrix[place].any():
            raise StorageFormatError(f"{name_of(place)}: damaged, expected finite numbers, not all zero")
    native: FloatArray = matrix.astype(np.float32, copy=False)
    return native


class LiveIndex:
    """The user vectors of one collection; the rows in the file are the truth.

    Parameters
    ----------
    collection
        The collection's number in the file.
    dimension
        Length of every vector.
    offset
        See `facesearch.storage.MemoryStore`.
    """

    def __init__(self, collection: int, dimension: int, offset: Callable[[int], float]) -> None:
        self._collection, self._dimension, self._offset = collection, dimension, offset
        self._offsets: dict[int, float] = {}
        self._change = 0
        self._index: VectorIndex[int] = VectorIndex(dimension, NumberRows())
        self._guard = _SharedLock()

    @property
    def change(self) -> int:
        """The number of the last change that it has."""
        return self._change

    def changing(self) -> AbstractContextManager[None]:
        """Keep searches out; `catch_up` is called within. Begun before a transaction is, never within one."""
        return self._guard.alone()

    def catch_up(self, sql: sqlite3.Connection, change: int, forgotten: int) -> None:
        """Take over what was committed since; in a transaction, within `changing`.

        Parameters
        ----------
        sql
            The connection.
        change, forgotten
            The collection's, as it sees them.

        Raises
        ------
        StorageFormatError
            If a vector is damaged.
        """
        if change == self._change:
            return
        if self._change < forgotten:  # nobody knows any more who was removed since
            self._index, self._change = VectorIndex(self._dimension, NumberRows()), 0
        since = (self._collection, self._change)
        for (uid,) in sql.execute("SELECT uid FROM gone WHERE collection = ? AND change > ?", since):
            self._index.remove(uid)
        cursor = sql.execute(
            "SELECT uid, faces, vector FROM users JOIN user_data USING (uid) WHERE collection = ? AND change > ?", since
        )
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            self._take(rows)
        self._change = change

    def nearest(
        self,
        probes: FloatArray,
        *,
        max_distance: float,
        limit: int,
        names: Callable[[Sequence[int]], Sequence[str]],
    ) -> list[Ranked]:
        """Give for each probe the nearest users, and the next; see `facesearch.vector_index.VectorIndex.nearest`."""
        with self._guard.shared():
            return self._index.nearest(probes, max_distance=max_distance, limit=limit, names=names)

    def _take(self, rows: list[tuple[int, int, bytes]]) -> None:
        full = [row for row in rows if row[1]]
        if len(full) < len(rows):
            for uid, faces, _ in rows:
                if not faces:
                    self._index.remove(uid)
        uids, counts, blobs = zip(*full, strict=True) if full else ((), (), ())
        vectors = read_vectors(blobs, self._dimension, lambda place: f"user_data {uids[place]}")
        for count in set(counts) - self._offsets.keys():
            self._offsets[count] = self._offset(count)
        self._index.put_many(uids, vectors, [self._offsets[count] for count in counts])


class _SharedLock:
    """Many may hold it at once, or one alone, who goes first."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._sharing = self._waiting = 0
        self._taken = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        self._renew()
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._waiting)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        self._renew()
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._taken and not self._sharing)
                self._taken = True
            finally:
                self._waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _renew(self) -> None:
        # After a fork, the threads that held it are gone. None was changing anything: see facesearch.sessions.
        if self._pid != os.getpid():
            self._begin()
