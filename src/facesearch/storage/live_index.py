"""Indexes in memory of the vectors of a collection in a database, updated with the commits of all processes.

An update reads only the rows that changed, so that a new user or face costs one row, not the whole matrix. `UserIndex` and `FaceIndex`
detect changes in two different ways.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Protocol

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.common.shared_lock import SharedLock
from facesearch.common.tables import Cell
from facesearch.domain.entities import LONGEST_USER_ID, USER_ID_PATTERN
from facesearch.matching.row_keys import NumberRows
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.storage.face_rows import uuid_text
from facesearch.storage.sql import BLOB, COUNT, ID, UUID_BYTES, VALUE, Kind, Sql, Tables

__all__ = [
    "USER_ID",
    "ChangedUsers",
    "FaceIndex",
    "IndexComparison",
    "IndexPosition",
    "LiveIndex",
    "NamedVectors",
    "OutsideIndex",
    "State",
    "UserIndex",
    "VectorRows",
]

USER_ID: Final = Kind.matching(USER_ID_PATTERN, LONGEST_USER_ID)


@attrs.frozen
class State:
    """The state of a collection, by which changes are detected."""

    change: int  # the number of the last change to a user; see `UserIndex`
    forgotten: int  # users that were removed by changes up to this number are no longer listed
    users: int
    faces: int
    last_face: int  # the highest row number that a face ever had
    most_faces: int = 0  # the most faces that a user ever had; a file does not record it


@attrs.frozen(kw_only=True, eq=False)
class ChangedUsers:
    """Some users that were added or changed."""

    without_faces: Sequence[int]  # row numbers of users without faces, and therefore without vectors
    numbers: Sequence[int]  # N row numbers of users with faces, ascending
    faces: Sequence[int]  # the numbers of their faces
    vectors: FloatArray  # (N, dimension) float32


@attrs.frozen(kw_only=True, eq=False)
class NamedVectors:
    """Some users that have faces, or some faces."""

    numbers: Sequence[int]  # N row numbers, ascending
    names: Sequence[str]  # user ids or face ids
    faces: Sequence[int]  # the numbers of faces of the users; 1 for each face
    vectors: FloatArray  # (N, dimension) float32


@attrs.frozen(kw_only=True)
class IndexPosition:
    """The record of an index outside in the database: see `facesearch.storage.milvus.index`."""

    epoch: bytes | None = None  # a random key, by which the index finds its rows; None if there never was an index
    users: int = 0  # the index holds no state that is later than this one
    faces: int = 0


class VectorRows(ABC):
    """The rows of one collection from which the indexes are filled, read in one transaction.

    Methods that return vectors raise `facesearch.StorageFormatError`, which names the database, if one is damaged.
    """

    def __init__(self, sql: Sql, tables: Tables, collection: int, dimension: int, name: str) -> None:
        self._sql, self._tables, self._name = sql, tables, name
        self._collection, self._dimension = collection, dimension

    @abstractmethod
    def _read(self, vectors: Sequence[Any], kind: str, numbers: Sequence[int]) -> FloatArray:
        """Decode the stored vectors of users or faces: (N, dimension) float32."""

    @abstractmethod
    def changed_users(self, since: int) -> Iterator[ChangedUsers]:
        """Iterate over the users that changes with higher numbers than *since* added or changed."""

    @abstractmethod
    def new_faces(self, since: int) -> Iterator[tuple[Sequence[int], FloatArray]]:
        """Iterate over the faces with row numbers above *since*, ascending: row numbers, and vectors (N, dimension) float32."""

    def removed_users(self, since: int) -> list[int]:
        """Return the row numbers of the users that changes with higher numbers than *since* removed."""
        query = f"SELECT uid FROM {self._tables.gone_users} WHERE collection = ? AND change > ?"  # noqa: S608  # constant names
        return [uid for (uid,) in self._sql.rows((ID,), query, self._collection, since)]

    def removed_faces(self, since: int) -> list[tuple[int, int]]:
        """Return the removals of faces with higher numbers than *since*, ascending, each with the row number of its face."""
        query = "SELECT number, fid FROM gone_faces WHERE collection = ? AND number > ? ORDER BY number"
        return self._sql.rows((ID, ID), query, self._collection, since)

    def face_numbers(self) -> list[int]:
        """Return the row numbers of all faces."""
        query = "SELECT fid FROM faces WHERE collection = ?"
        return [fid for (fid,) in self._sql.rows((ID,), query, self._collection)]

    # ---------------------------------------------------------------- for an index outside

    def index_position(self) -> IndexPosition:
        """Return what is recorded of the index outside."""
        query = "SELECT index_epoch, index_users, index_faces FROM collections WHERE id = ?"
        ((epoch, users, faces),) = self._sql.rows((BLOB.or_null, ID, ID), query, self._collection)
        return IndexPosition(epoch=epoch, users=users, faces=faces)

    def last_removed_face(self) -> int:
        """Return the number of the last removal of a face; 0 if none is listed."""
        query = "SELECT coalesce(max(number), 0) FROM gone_faces WHERE collection = ?"
        ((number,),) = self._sql.rows((ID,), query, self._collection)
        return int(number)

    def at(self, kind: str, numbers: Iterable[int]) -> NamedVectors:
        """Return those users of some row numbers that exist and have faces, or the existing faces."""
        kinds, query = self._named(kind)
        return self._vectors(kind, self._sql.among(kinds, f"{query} IN (*)", numbers, self._collection))

    def after(self, kind: str, number: int, limit: int) -> NamedVectors:
        """Return the first *limit* users that have faces, or faces, with a higher row number than *number*."""
        kinds, query = self._named(kind)
        rows = self._sql.rows(kinds, f"{query} > ? ORDER BY 1 LIMIT ?", self._collection, number, limit)
        return self._vectors(kind, rows)

    def _named(self, kind: str) -> tuple[Sequence[Kind], str]:
        if kind == "users":
            table = f"{self._tables.users} WHERE collection = ? AND faces > 0"
            return (ID, USER_ID, COUNT, VALUE), f"SELECT uid, user_id, faces, vector FROM {table} AND uid"  # noqa: S608  # constant names
        query = f"SELECT fid, face_id, 1, vector FROM {self._tables.faces_in_order} = ? AND fid"  # noqa: S608  # constant names
        return (ID, UUID_BYTES, COUNT, VALUE), query

    def _vectors(self, kind: str, rows: list[Any]) -> NamedVectors:
        numbers, names, faces, vectors = zip(*sorted(rows), strict=True) if rows else ((), (), (), ())
        return NamedVectors(
            numbers=numbers,
            names=[name if isinstance(name, str) else uuid_text(name) for name in names],
            faces=faces,
            vectors=self._read(vectors, kind, numbers),
        )


@attrs.frozen(kw_only=True)
class IndexComparison:
    """How an index outside differs from the collection: see `facesearch.Collection.reindex`.

    Attributes
    ----------
    of
        What was compared: ``"users"`` or ``"faces"``.
    rows
        How many of them the collection has.
    missing
        Those that the index lacks, or has another vector of.
    extra
        Rows of the index that it should not have: of deleted people, of older vectors, or doubles. No search shows them.
    behind
        Changes that the index does not have yet; every search adds them.
    is_other
        True if the index is later than the collection, and therefore not its own; the next search fills it anew.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("index of", "in the collection", "missing", "too many", "changes behind")

    of: str
    rows: int = 0
    missing: int = 0
    extra: int = 0
    behind: int = 0
    is_other: bool = False

    @property
    def is_right(self) -> bool:
        """Whether the index has all rows up to its position, and no others."""
        return not (self.missing or self.extra or self.is_other)

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this comparison's row in a table."""
        return self.of, self.rows, self.missing, self.extra, self.behind


class OutsideIndex(Protocol):
    """An index of a collection's vectors that searches in the place of the store: see `facesearch.storage.store.Store.nearest`."""

    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """Find the nearest users for each probe, and the next one."""

    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """Find the nearest faces for each probe, and the next one."""

    def description(self) -> str:
        """Return the name and version of the software that keeps the index."""

    def compare(self, *, repair: bool) -> tuple[IndexComparison, ...]:
        """Compare the index with the collection, users and faces; *repair* what differs."""

    def rebuild(self) -> None:
        """Delete the index of this collection, and fill a new one."""

    def drop(self) -> None:
        """Delete the index of this collection."""

    def erase(self) -> None:
        """Deliver deletions, and begin to remove deleted data from the index's files."""

    def close(self) -> None:
        """Close the connections."""


class LiveIndex(ABC):
    """Vectors of one collection, keyed by row number. The database is authoritative."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._guard = SharedLock()
        self._begin()

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self._index)

    def __contains__(self, number: int) -> bool:
        """Check whether there is a vector of a row number."""
        return self._keys.row(number) is not None

    @abstractmethod
    def is_current(self, state: State) -> bool:
        """Check whether the index is up to date with a state of the collection."""

    @abstractmethod
    def catch_up(self, rows: VectorRows, state: State) -> None:
        """Read what was committed up to a state since the last update; called in a transaction, within `changing`."""

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


class UserIndex(LiveIndex):
    """The vectors of users that have faces.

    Each transaction that changes users has a number, one higher than the last. The index in memory has the state of one such number.
    Users that were last changed by the change *since* or before are left out.
    """

    def __init__(self, dimension: int, offset: Callable[[int], float], *, since: int = 0) -> None:
        super().__init__(dimension)
        self._offset = offset
        self._offsets: dict[int, float] = {}
        self._since = self._change = since

    @override
    def is_current(self, state: State) -> bool:
        return state.change == self._change

    @override
    def catch_up(self, rows: VectorRows, state: State) -> None:
        if self.is_current(state):
            return
        if self._change < state.forgotten:
            self._begin()
            self._change = self._since
        for number in rows.removed_users(self._change):
            self._index.remove(number)
        for changed in rows.changed_users(self._change):
            self._take(changed)
        self._change = state.change

    def _take(self, changed: ChangedUsers) -> None:
        for number in changed.without_faces:
            self._index.remove(number)
        for count in set(changed.faces) - self._offsets.keys():
            self._offsets[count] = self._offset(count)
        offsets = [self._offsets[count] for count in changed.faces]
        self._index.put_many(changed.numbers, changed.vectors, offsets)


class FaceIndex(LiveIndex):
    """The vectors of all faces, associated or not.

    A face's vector never changes, and its row number is never reused: new faces have higher numbers than all before. Removed faces
    are listed until the database is compacted. If the index still has more faces than the collection, some removals are no longer listed.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self._last_face = self._last_gone = 0

    @override
    def is_current(self, state: State) -> bool:
        return (state.last_face, state.faces) == (self._last_face, len(self._index))

    @override
    def catch_up(self, rows: VectorRows, state: State) -> None:
        self._apply_listed(rows, state)
        if len(self._index) != state.faces:
            there = np.fromiter(rows.face_numbers(), np.int64)
            for face in np.setdiff1d(self._keys.all(), there).tolist():
                self._index.remove(face)

    def _apply_listed(self, rows: VectorRows, state: State) -> None:
        """Remove and add the faces that are listed since the last state."""
        for number, face in rows.removed_faces(self._last_gone):
            self._index.remove(face)
            self._last_gone = number
        for faces, vectors in rows.new_faces(self._last_face):
            self._index.put_many(faces, vectors, np.zeros(len(faces)))
        self._last_face = state.last_face
