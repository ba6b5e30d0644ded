"""Indexes in memory of the vectors of a collection on disk, updated with the commits of all processes.

An update reads only the rows that changed, so that a new user or face costs one row, not the whole matrix. `UserIndex` and `FaceIndex`
detect changes in two different ways.
"""

import contextlib
import os
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.errors import StorageFormatError
from facesearch.matching.row_keys import NumberRows
from facesearch.matching.template import LONGEST, refused_rows
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.storage.guarded_sql import COUNT, ID, VALUE, fetch, fetch_parts, path_of

__all__ = ["STORED", "FaceIndex", "LiveIndex", "State", "UserIndex", "read_vectors"]

STORED: Final = np.dtype("<f4")
"""Type of a vector's numbers in the file."""

_ROWS_AT_ONCE: Final = 8192


def read_vectors(blobs: Sequence[bytes | None], dimension: int, name_of: Callable[[int], str]) -> FloatArray:
    """Decode vectors from the bytes in the file: (N, dimension) float32, read-only.

    Raises
    ------
    StorageFormatError
        If a vector has another number of bytes, is not finite, too long, or all zeros; the message names it by *name_of* (its position).
    """
    expected = dimension * STORED.itemsize
    whole = [blob for blob in blobs if isinstance(blob, bytes) and len(blob) == expected]
    if len(whole) < len(blobs):
        place = next(place for place, blob in enumerate(blobs) if not isinstance(blob, bytes) or len(blob) != expected)
        raise StorageFormatError(f"{name_of(place)}: damaged, expected {expected} bytes of a vector")
    matrix = np.frombuffer(b"".join(whole), STORED).reshape(len(whole), dimension)
    native: FloatArray = matrix.astype(np.float32, copy=False)
    for place in refused_rows(native):
        raise StorageFormatError(
            f"{name_of(place)}: damaged, expected finite numbers, not all zero, a vector of length {LONGEST:g} at most"
        )
    return native


@attrs.frozen(kw_only=True)
class State:
    """The state of a collection, by which changes are detected.

    Attributes
    ----------
    change
        The number of the last change to a user; see `UserIndex`.
    forgotten
        Users that were removed by changes up to this number are no longer listed.
    faces
        The number of faces.
    last_face
        The highest row number that a face ever had, in any collection of the file.
    """

    change: int
    forgotten: int
    faces: int
    last_face: int


class LiveIndex(ABC):
    """Vectors of one collection, keyed by row number. The file is authoritative.

    Parameters
    ----------
    collection
        The collection's number in the file.
    dimension
        Length of every vector.
    """

    def __init__(self, collection: int, dimension: int) -> None:
        self._collection, self._dimension = collection, dimension
        self._guard = _SharedLock()
        self._begin()

    @abstractmethod
    def is_current(self, state: State) -> bool:
        """Check whether the index is up to date with a state of the collection."""

    @abstractmethod
    def catch_up(self, sql: sqlite3.Connection, state: State) -> None:
        """Read what was committed since the last update; called in a transaction, within `changing`.

        Parameters
        ----------
        sql
            The connection.
        state
            The collection's state in that transaction.

        Raises
        ------
        StorageFormatError
            If a vector is damaged.
        """

    def changing(self) -> AbstractContextManager[None]:
        """Lock out searches for `catch_up`. To be entered before a transaction begins, never within one."""
        return self._guard.alone()

    def nearest(
        self,
        probes: FloatArray,
        *,
        max_distance: float,
        limit: int,
        names: Callable[[Sequence[int]], Sequence[str]],
    ) -> list[Ranked]:
        """Find the nearest vectors for each probe, and the next one; see `facesearch.matching.vector_index.VectorIndex.nearest`."""
        with self._guard.shared():
            return self._index.nearest(probes, max_distance=max_distance, limit=limit, names=names)

    def _begin(self) -> None:
        self._keys = NumberRows()
        self._index: VectorIndex[int] = VectorIndex(self._dimension, self._keys)

    def _read(self, sql: sqlite3.Connection, blobs: Sequence[bytes], table: str, numbers: Sequence[int]) -> FloatArray:
        return read_vectors(blobs, self._dimension, lambda place: f"{path_of(sql)}: {table} {numbers[place]}")


class UserIndex(LiveIndex):
    """The vectors of users that have faces.

    Each transaction that changes users has a number, one higher than the last. The index in memory has the state of one such number.

    Parameters
    ----------
    collection, dimension
        See `LiveIndex`.
    offset
        See `facesearch.storage.memory.MemoryStore`.
    """

    def __init__(self, collection: int, dimension: int, offset: Callable[[int], float]) -> None:
        super().__init__(collection, dimension)
        self._offset = offset
        self._offsets: dict[int, float] = {}
        self._change = 0

    @override
    def is_current(self, state: State) -> bool:
        return state.change == self._change

    @override
    def catch_up(self, sql: sqlite3.Connection, state: State) -> None:
        if self.is_current(state):
            return
        if self._change < state.forgotten:
            self._begin()
            self._change = 0
        since = (self._collection, self._change)
        for (uid,) in fetch(sql, (ID,), "SELECT uid FROM gone WHERE collection = ? AND change > ?", since):
            self._index.remove(uid)
        query = "SELECT uid, faces, vector FROM users JOIN user_data USING (uid) WHERE collection = ? AND change > ?"
        for rows in fetch_parts(sql, (ID, COUNT, VALUE), query, since, size=_ROWS_AT_ONCE):
            self._take(sql, rows)
        self._change = state.change

    def _take(self, sql: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
        full = [row for row in rows if row[1]]
        if len(full) < len(rows):
            for uid, faces, _ in rows:
                if not faces:
                    self._index.remove(uid)
        uids, counts, blobs = zip(*full, strict=True) if full else ((), (), ())
        vectors = self._read(sql, blobs, "user_data", uids)
        for count in set(counts) - self._offsets.keys():
            self._offsets[count] = self._offset(count)
        self._index.put_many(uids, vectors, [self._offsets[count] for count in counts])


class FaceIndex(LiveIndex):
    """The vectors of all faces, associated or not.

    A face's vector never changes, and its row number is never reused: new faces have higher numbers than all before. Removed faces
    are listed until the file is compacted. If the index still has more faces than the collection, some removals are no longer listed.
    """

    def __init__(self, collection: int, dimension: int) -> None:
        super().__init__(collection, dimension)
        self._last_face = self._last_gone = 0

    @override
    def is_current(self, state: State) -> bool:
        return (state.last_face, state.faces) == (self._last_face, len(self._index))

    @override
    def catch_up(self, sql: sqlite3.Connection, state: State) -> None:
        gone = "SELECT number, fid FROM gone_faces WHERE number > ? AND collection = ? ORDER BY number"
        for number, fid in fetch(sql, (ID, ID), gone, (self._last_gone, self._collection)):
            self._index.remove(fid)
            self._last_gone = number
        # By row number, the order of the file, and only the new rows: no SQL index of the collection's faces has that order.
        query = """SELECT fid, vector FROM faces CROSS JOIN face_data USING (fid)
            WHERE fid > ? AND +collection = ? ORDER BY fid"""
        since = self._last_face, self._collection
        for rows in fetch_parts(sql, (ID, VALUE), query, since, size=_ROWS_AT_ONCE):
            fids, blobs = zip(*rows, strict=True)
            self._index.put_many(fids, self._read(sql, blobs, "face_data", fids), np.zeros(len(fids)))
        self._last_face = state.last_face
        if len(self._index) != state.faces:
            there = fetch(sql, (ID,), "SELECT fid FROM faces WHERE collection = ?", (self._collection,))
            unlisted = np.setdiff1d(self._keys.all(), np.fromiter((fid for (fid,) in there), np.int64))
            for fid in unlisted.tolist():
                self._index.remove(fid)


class _SharedLock:
    """A shared and exclusive lock; threads that wait for exclusive access go first."""

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
        # After a fork, the threads that held the lock are gone. None was changing data: see facesearch.storage.connections.
        if self._pid != os.getpid():
            self._begin()
