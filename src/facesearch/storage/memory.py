"""The store in memory."""

import heapq
import itertools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.common.forks import ForkLock, Level
from facesearch.domain.entities import Face
from facesearch.matching.row_keys import NameRows
from facesearch.matching.template import robust_mean
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.storage.content_ids import keyed_hash, new_secret
from facesearch.storage.store import Anchor, Counts, Store, StoredFace

__all__ = ["MemoryStore"]


class MemoryStore(Store):
    """A store in memory.

    Parameters
    ----------
    dimension
        Length of the vectors.
    offset
        Function from a user's number of faces to the offset that is added to squared distances from its vector; see
        `facesearch.matching.calibration.Calibration.user_offset`.
    """

    def __init__(self, dimension: int, offset: Callable[[int], float]) -> None:
        self._offset = offset
        self._dimension = dimension
        self._lock = ForkLock(Level.STORE)
        self._faces: dict[str, StoredFace] = {}
        self._users: dict[str, set[str]] = {}  # user id -> face ids
        self._numbers: dict[str, int] = {}  # user id -> number, rising
        self._last_number = 0
        self._photos: dict[str, tuple[str, str | None, str | None]] = {}  # key -> outcome, user id, other user's id
        self._waiting: dict[str, tuple[str, StoredFace]] = {}  # key -> user id, face
        self._aside: set[str] = set()  # face ids
        self._changes: dict[int, str] = {}  # number, rising -> JSON
        self._last_change = 0
        self._salt = secrets.token_bytes(16)
        self._secret = new_secret()
        self._answers: OrderedDict[bytes, tuple[bytes, str, float]] = OrderedDict()  # token -> request, answer, given
        self._index = VectorIndex(dimension, NameRows())  # one vector for each user that has faces
        self._face_index: VectorIndex[str] | None = None  # built by the first search of faces

    @override
    def reading(self) -> AbstractContextManager[None]:
        return self._lock

    @override
    def writing(self) -> AbstractContextManager[None]:
        """Keep other threads out. Changes stay, even if the block raises."""
        return self._lock

    @override
    def close(self) -> None:
        pass

    @override
    def erase(self, wait: float) -> bool:
        return True  # deleted data is never left in memory

    @override
    def secret(self) -> bytes:
        return self._secret

    @override
    def set_secret(self, secret: bytes) -> None:
        self._secret = secret

    @override
    def count(self) -> Counts:
        return Counts(users=len(self._users), faces=len(self._faces))

    @override
    def count_unassociated(self) -> int:
        return len(self._faces) - sum(len(face_ids) for face_ids in self._users.values())

    # ---------------------------------------------------------------- users

    @override
    def has_user(self, user_id: str) -> bool:
        return user_id in self._users

    @override
    def users(self) -> list[tuple[str, int]]:
        return [(user_id, len(self._users[user_id])) for user_id in sorted(self._users)]

    @override
    def page_of_users(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        later = ((number, user_id) for user_id, number in self._numbers.items() if number > after)
        return [(number, user_id, len(self._users[user_id])) for number, user_id in itertools.islice(later, limit)]

    @override
    def create_users(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            if user_id not in self._users:
                self._users[user_id] = set()
                self._last_number += 1
                self._numbers[user_id] = self._last_number

    @override
    def delete_user(self, user_id: str, *, keep_changes: bool = False) -> None:
        self.assign(tuple(self._users[user_id]), None)
        self._index.remove(user_id)
        self.forget_photos(user_id)
        self.forget_waiting([user_id])
        if not keep_changes:
            self.forget_changes_of([user_id])
        del self._users[user_id], self._numbers[user_id]

    @override
    def faces_of(self, user_id: str) -> frozenset[str]:
        return frozenset(self._users.get(user_id, ()))

    @override
    def user_vectors(self) -> tuple[list[str], FloatArray]:
        user_ids = sorted(user_id for user_id in self._users if self._index.get(user_id) is not None)
        matrix = np.array([self._index.get(user_id) for user_id in user_ids], np.float32)
        return user_ids, matrix.reshape(-1, self._dimension)

    @override
    def refresh(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            face_ids = self._users[user_id]
            if face_ids:
                vector = robust_mean(np.stack([self._faces[face_id].embedding for face_id in face_ids]))
                self._index.put(user_id, vector, self._offset(len(face_ids)))
            else:
                self._index.remove(user_id)

    @override
    def anchor(self, user_id: str) -> Anchor | None:
        vector = self._index.get(user_id)
        return None if vector is None else Anchor(vector, self._offset(len(self._users[user_id])))

    @override
    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        with self._lock:
            return self._index.nearest(probes, max_distance=max_distance, limit=limit, names=list)

    # ---------------------------------------------------------------- faces

    @override
    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        with self._lock:
            if self._face_index is None:
                self._face_index = VectorIndex(self._dimension, NameRows())
                if self._faces:
                    vectors = np.stack([stored.embedding for stored in self._faces.values()])
                    self._face_index.put_many(list(self._faces), vectors, np.zeros(len(vectors)))
            return self._face_index.nearest(probes, max_distance=max_distance, limit=limit, names=list)

    @override
    def faces(self, user_id: str | None = None, *, after: str = "", limit: int | None = None) -> list[Face]:
        all_ids = self._faces if user_id is None else self._users[user_id]
        later = (face_id for face_id in all_ids if face_id > after)
        face_ids = sorted(later) if limit is None else heapq.nsmallest(limit, later)
        return [self._faces[face_id].face for face_id in face_ids]

    @override
    def faces_by_id(self, face_ids: Iterable[str]) -> dict[str, Face]:
        return {face_id: self._faces[face_id].face for face_id in self._faces.keys() & set(face_ids)}

    @override
    def stored_faces(self) -> Iterator[StoredFace]:
        return (self._faces[face_id] for face_id in sorted(self._faces))

    @override
    def embedding(self, face_id: str) -> FloatArray:
        return self._faces[face_id].embedding

    @override
    def thumbnail(self, face_id: str) -> bytes | None:
        return self._faces[face_id].thumbnail

    @override
    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        for stored in faces:
            self._faces[stored.face.face_id] = stored
            if stored.face.user_id is not None:
                self._users[stored.face.user_id].add(stored.face.face_id)
            if self._face_index is not None:
                self._face_index.put(stored.face.face_id, stored.embedding)

    @override
    def remove_faces(self, face_ids: Iterable[str]) -> None:
        gone = tuple(face_ids)
        self.forget_changes_of(gone)
        self._aside.difference_update(gone)
        for face_id in gone:
            self.assign([face_id], None)
            del self._faces[face_id]
            if self._face_index is not None:
                self._face_index.remove(face_id)

    @override
    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        for face_id in face_ids:
            stored = self._faces[face_id]
            if stored.face.user_id is not None:
                self._users[stored.face.user_id].discard(face_id)
            self._faces[face_id] = attrs.evolve(stored, face=attrs.evolve(stored.face, user_id=user_id))
            if user_id is not None:
                self._users[user_id].add(face_id)
                self._aside.discard(face_id)

    @override
    def set_aside(self, face_ids: Iterable[str], *, aside: bool) -> None:
        (self._aside.update if aside else self._aside.difference_update)(face_ids)

    @override
    def aside(self) -> frozenset[str]:
        return frozenset(self._aside)

    # ---------------------------------------------------------------- changes that can be undone

    @override
    def changes(self) -> list[tuple[int, str]]:
        return list(self._changes.items())

    @override
    def put_change(self, change: str) -> None:
        self._last_change += 1
        self._changes[self._last_change] = change

    @override
    def forget_changes(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            del self._changes[number]

    # ---------------------------------------------------------------- outcomes of rejected photos

    @override
    def photo_outcome(self, key: str) -> tuple[str, str | None] | None:
        outcome, _, other_user_id = self._photos.get(key, (None, None, None))
        return None if outcome is None else (outcome, other_user_id)

    @override
    def remember_photo(self, key: str, outcome: str, user_id: str | None, other_user_id: str | None) -> None:
        self._photos[key] = outcome, user_id, other_user_id

    @override
    def forget_photos(self, user_id: str | None = None) -> int:
        gone = [key for key, (_, *users) in self._photos.items() if user_id is None or user_id in users]
        for key in gone:
            del self._photos[key]
        return len(gone)

    # ---------------------------------------------------------------- waiting photos: enrolled later

    @override
    def put_waiting(self, photos: Iterable[tuple[str, str, StoredFace]]) -> None:
        for key, user_id, stored in photos:
            self._waiting.setdefault(key, (user_id, stored))

    @override
    def waiting(self, keys: Iterable[str]) -> dict[str, StoredFace]:
        return {key: self._waiting[key][1] for key in self._waiting.keys() & set(keys)}

    @override
    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        users = None if user_ids is None else set(user_ids)
        gone = [key for key, (user_id, _) in self._waiting.items() if users is None or user_id in users]
        for key in gone:
            del self._waiting[key]
        return len(gone)

    # ---------------------------------------------------------------- answers to idempotent requests

    @override
    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        kept = self._answers.get(keyed_hash(token, self._salt))
        return None if kept is None else (kept[1], kept[0] == keyed_hash(request, self._salt))

    @override
    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        self._answers[keyed_hash(token, self._salt)] = keyed_hash(request, self._salt), answer, given

    @override
    def forget_answers(self, before: float) -> None:
        while self._answers and next(iter(self._answers.values()))[2] < before:  # oldest first
            self._answers.popitem(last=False)
