"""The users or the faces of a collection, as an index in Milvus sees them: what changed since a position."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.storage.live_index import (
    FaceIndex,
    IndexPosition,
    LiveIndex,
    State,
    UserIndex,
    VectorRows,
)
from facesearch.storage.milvus.vectors import Position

__all__ = ["Changed", "Faces", "Gallery", "Users", "mark_of"]

_DIGEST_BYTES: Final = 16
_MARK_BYTES: Final = 8
_MOST_FACES: Final = 100  # of a user, as AWS allows


@attrs.frozen(eq=False)
class Changed:
    """What changed since a position: the numbers that were removed, and those that were added or changed with their rows in Milvus.

    *most* is the greatest number of rows that the index may have then; ``None`` if removals may be missing here, as the database no longer
    lists them. More rows are found by a comparison.
    """

    removed: Sequence[int]
    numbers: Sequence[int]
    rows: FloatArray
    most: float | None


def mark_of(offset: Callable[[int], float]) -> bytes:
    """Return a digest of the offsets of users: rows contain them, and a collection may be opened with another calibration."""
    values = np.array([offset(faces) for faces in range(1, _MOST_FACES + 1)], "<f8")
    return hashlib.blake2b(values.tobytes(), digest_size=_MARK_BYTES).digest()


class Gallery(ABC):
    """Users or faces: what differs between them."""

    kind: str

    def __init__(self, dimension: int, offset: Callable[[int], float]) -> None:
        self.dimension, self._offset = dimension, offset

    @classmethod
    def owner(cls, epoch: bytes) -> str:
        """Return the key of this collection's rows in Milvus."""
        return hashlib.blake2b(cls.kind.encode(), key=epoch, digest_size=_DIGEST_BYTES).hexdigest()

    def offsets(self, faces: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Return what is added to squared distances from users with those numbers of faces."""
        known = {count: self._offset(count) for count in set(faces)}
        return np.array([known[count] for count in faces], np.float64)

    def rows(self, vectors: FloatArray, faces: Sequence[int]) -> FloatArray:
        """Return the rows in Milvus: the vectors, and one coordinate more.

        The square of that coordinate is the offset, so that Milvus's distance is the one that users are ranked by.
        """
        added = np.sqrt(self.offsets(faces))[:, np.newaxis]
        return np.hstack([vectors, added]).astype(np.float32)

    def probes(self, probes: FloatArray) -> FloatArray:
        """Return probes with the additional coordinate, which is 0."""
        return np.hstack([probes, np.zeros((len(probes), 1), np.float32)])

    @abstractmethod
    def now(self, rows: VectorRows, state: State, since: Position) -> Position:
        """Return the position of a state of the collection, which is not before *since*."""

    def recorded(self, record: IndexPosition) -> int:
        """Return the highest `Position.total` that the index may have."""
        return record.users if self.kind == "users" else record.faces

    def record(self, record: IndexPosition, position: Position) -> IndexPosition:
        """Return the record that allows the index to have a position."""
        total = max(self.recorded(record), position.total)
        return attrs.evolve(record, users=total) if self.kind == "users" else attrs.evolve(record, faces=total)

    @abstractmethod
    def tail(self, position: Position) -> LiveIndex:
        """Return an index in memory of what changes after a position."""

    @abstractmethod
    def changed(self, rows: VectorRows, state: State, since: Position) -> Changed:
        """Return what changed since a position."""


class Users(Gallery):
    """The users that have faces."""

    kind = "users"

    @override
    def now(self, rows: VectorRows, state: State, since: Position) -> Position:
        return Position(state.change)

    @override
    def tail(self, position: Position) -> LiveIndex:
        return UserIndex(self.dimension, self._offset, since=position.first)

    @override
    def changed(self, rows: VectorRows, state: State, since: Position) -> Changed:
        removed = list(rows.removed_users(since.first))
        numbers: list[int] = []
        parts = [np.empty((0, self.dimension + 1), np.float32)]
        for each in rows.changed_users(since.first):
            removed += each.without_faces
            numbers += each.numbers
            parts.append(self.rows(each.vectors, each.faces))
        return Changed(removed, numbers, np.concatenate(parts), None if since.first < state.forgotten else np.inf)


class Faces(Gallery):
    """All faces, associated or not."""

    kind = "faces"

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension, lambda _: 0.0)

    @override
    def now(self, rows: VectorRows, state: State, since: Position) -> Position:
        # The list of removals is emptied from time to time.
        return Position(state.last_face, max(rows.last_removed_face(), since.second))

    @override
    def tail(self, position: Position) -> LiveIndex:
        return _FaceTail(self.dimension, position)

    @override
    def changed(self, rows: VectorRows, state: State, since: Position) -> Changed:
        removed = [face for _, face in rows.removed_faces(since.second)]
        numbers: list[int] = []
        parts = [np.empty((0, self.dimension + 1), np.float32)]
        for some, vectors in rows.new_faces(since.first):
            numbers += some
            parts.append(self.rows(vectors, [1] * len(some)))
        return Changed(removed, numbers, np.concatenate(parts), state.faces)


class _FaceTail(FaceIndex):
    """The faces that were added after a position."""

    def __init__(self, dimension: int, position: Position) -> None:
        super().__init__(dimension)
        self._last_face, self._last_gone = position.first, position.second

    @override
    def is_current(self, state: State) -> bool:
        return False  # the number of faces is that of the whole collection

    @override
    def catch_up(self, rows: VectorRows, state: State) -> None:
        self._apply_listed(rows, state)
