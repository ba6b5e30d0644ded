"""Indexes in memory of the vectors of a collection in a database, updated with the commits of all processes.

An update reads only the rows that changed, so that a new user or face costs one row, not the whole matrix. `UserIndex` and `FaceIndex`
detect changes in two different ways.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol, runtime_checkable

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.common.shared_lock import SharedLock
from facesearch.common.tables import Cell
from facesearch.errors import StorageError
from facesearch.matching.row_keys import NumberRows
from facesearch.matching.vector_index import Ranked, VectorIndex

__all__ = [
    "ChangedUsers",
    "FaceIndex",
    "IndexComparison",
    "IndexPosition",
    "IndexSource",
    "LiveIndex",
    "NameGoneError",
    "NamedVectors",
    "OutsideIndex",
    "State",
    "UserIndex",
    "VectorRows",
    "search_index",
]


class NameGoneError(Exception):
    """A user or face that a search found was deleted meanwhile."""


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
        The highest row number that a face ever had.
    """

    change: int
    forgotten: int
    faces: int
    last_face: int


@attrs.frozen(kw_only=True, eq=False)
class ChangedUsers:
    """Some users that were added or changed.

    Attributes
    ----------
    without_faces
        Row numbers of users without faces, and therefore without vectors.
    numbers, faces, vectors
        N row numbers of users with faces, ascending, the numbers of their faces, and their vectors: (N, dimension) float32.
    """

    without_faces: Sequence[int]
    numbers: Sequence[int]
    faces: Sequence[int]
    vectors: FloatArray


@attrs.frozen(kw_only=True, eq=False)
class NamedVectors:
    """Some users that have faces, or some faces.

    Attributes
    ----------
    numbers, names
        N row numbers, ascending, and the user ids or face ids.
    faces
        The numbers of faces of the users; 1 for each face.
    vectors
        (N, dimension) float32.
    """

    numbers: Sequence[int]
    names: Sequence[str]
    faces: Sequence[int]
    vectors: FloatArray


@attrs.frozen(kw_only=True)
class IndexPosition:
    """What a database records of its index outside: see `facesearch.storage.milvus.index`.

    Attributes
    ----------
    epoch
        A random key, by which the index finds its rows; ``None`` if there never was an index.
    users, faces
        The index holds no state that is later than this one.
    """

    epoch: bytes | None = None
    users: int = 0
    faces: int = 0


class VectorRows(Protocol):
    """The rows of one collection from which the indexes are filled, read in one transaction.

    Methods that return vectors raise `facesearch.StorageFormatError` if one is damaged.
    """

    def removed_users(self, since: int) -> Iterable[int]:
        """Return the row numbers of the users that changes with higher numbers than *since* removed."""

    def changed_users(self, since: int) -> Iterator[ChangedUsers]:
        """Iterate over the users that changes with higher numbers than *since* added or changed."""

    def removed_faces(self, since: int) -> Iterable[tuple[int, int]]:
        """Return the removals of faces with higher numbers than *since*, ascending, each with the row number of its face."""

    def new_faces(self, since: int) -> Iterator[tuple[Sequence[int], FloatArray]]:
        """Iterate over the faces with row numbers above *since*, ascending: row numbers, and vectors (N, dimension) float32."""

    def face_numbers(self) -> Iterable[int]:
        """Return the row numbers of all faces."""

    # ---------------------------------------------------------------- for an index outside

    def index_position(self) -> IndexPosition:
        """Return what is recorded of the index outside."""

    def last_removed_face(self) -> int:
        """Return the number of the last removal of a face; 0 if none is listed."""

    def users_at(self, numbers: Iterable[int]) -> NamedVectors:
        """Return those users of some row numbers that exist and have faces."""

    def faces_at(self, numbers: Iterable[int]) -> NamedVectors:
        """Return the existing faces of some row numbers."""

    def users_after(self, number: int, limit: int) -> NamedVectors:
        """Return the first *limit* users that have faces and a higher row number than *number*."""

    def faces_after(self, number: int, limit: int) -> NamedVectors:
        """Return the first *limit* faces with a higher row number than *number*."""


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
        """Whether the index has all that it says it has, and nothing else."""
        return not (self.missing or self.extra or self.is_other)

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this comparison's row in a table."""
        return self.of, self.rows, self.missing, self.extra, self.behind


@runtime_checkable
class IndexSource(Protocol):
    """A store as the source of an index outside.

    Attributes
    ----------
    index_name
        The name of the database, for messages.
    outside
        The index that searches in the place of the store, if there is one.
    """

    index_name: str
    outside: "OutsideIndex | None"

    def snapshot(self) -> AbstractContextManager[tuple[VectorRows, State]]:
        """Read one committed state."""

    def may_record(self) -> bool:
        """Check whether this thread may call `record_index`: not where nothing can be written, nor within `Store.writing`."""

    def record_index(self, before: IndexPosition, after: IndexPosition) -> bool:
        """Replace the record of the index if it still equals *before*; return whether it did."""


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


def search_index(
    *,
    state: Callable[[], State],
    index: Callable[[], "LiveIndex"],
    update: Callable[["LiveIndex"], None],
    contradiction: Callable[[], StorageError],
    search: Callable[["LiveIndex"], list[Ranked]],
) -> list[Ranked]:
    """Search an index that is up to date with the last commit; search again if a result was deleted meanwhile.

    Parameters
    ----------
    state
        Returns the committed state of the collection.
    index
        Returns the index, called after *state*.
    update
        Brings an index up to date.
    contradiction
        Returns the error for a name that is missing although nothing changed.
    search
        Searches an index. Raises `NameGoneError` if a result has no name any more: the next ones move up then.
    """
    before: State | None = None
    while True:
        now = state()
        if now == before:
            raise contradiction()
        before, current = now, index()
        if not current.is_current(now):
            update(current)
        with contextlib.suppress(NameGoneError):
            return search(current)


class LiveIndex(ABC):
    """Vectors of one collection, keyed by row number. The database is authoritative.

    Parameters
    ----------
    dimension
        Length of every vector.
    """

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
        """Read what was committed since the last update; called in a transaction, within `changing`.

        Parameters
        ----------
        rows
            The rows of the collection.
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


class UserIndex(LiveIndex):
    """The vectors of users that have faces.

    Each transaction that changes users has a number, one higher than the last. The index in memory has the state of one such number.

    Parameters
    ----------
    dimension
        Length of every vector.
    offset
        See `facesearch.storage.memory.MemoryStore`.
    since
        Leave out users that were last changed by this change or before.
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
