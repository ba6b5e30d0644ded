"""The protocol of a store of users, faces and vectors, and the store in memory.

A store keeps users, faces and vectors consistent. It implements no rule of AWS; those belong to the collection. All methods except
`Store.nearest` and `Store.nearest_faces` are called within `Store.reading` or `Store.writing`.
"""

import contextlib
import hashlib
import heapq
import itertools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.common.forks import ForkLock, Level
from facesearch.domain.entities import Face
from facesearch.matching.row_keys import NameRows
from facesearch.matching.template import robust_mean
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.storage.content_ids import new_secret

__all__ = ["Anchor", "Counts", "MemoryStore", "Store", "StoredFace", "keyed_hash"]


@attrs.frozen(eq=False)
class StoredFace:
    """A face, its vector, (dimension,) float32, and its thumbnail if one is stored."""

    face: Face
    embedding: FloatArray
    thumbnail: bytes | None = None


@attrs.frozen(kw_only=True)
class Counts:
    """The numbers of users and faces in a store."""

    users: int
    faces: int


@attrs.frozen(eq=False)
class Anchor:
    """A user's vector, and the offset that is added to squared distances from it."""

    vector: FloatArray
    offset: float

    def distance(self, embedding: FloatArray) -> float:
        """Return the distance of a face from the user."""
        difference = embedding.astype(np.float64) - self.vector
        return float(np.sqrt(difference @ difference + self.offset))


class Store(Protocol):
    """Users, faces and vectors, in memory or in a file."""

    def reading(self) -> AbstractContextManager[None]:
        """Read one consistent state. Blocks may be nested; within `writing`, a block reads the uncommitted changes."""

    def writing(self) -> AbstractContextManager[None]:
        """Run a write transaction. If the block raises, durable stores roll back. Not to be begun within `reading`."""

    def close(self) -> None:
        """Close the files; a store in memory has none."""

    def erase(self, wait: float) -> bool:
        """Erase deleted data from the disk. Not to be called within a block.

        Readers can delay this: the method waits up to *wait* seconds for them. It returns whether all deleted data is erased.
        """

    def secret(self) -> bytes:
        """Return the secret key of the ids of faces and photos; see `facesearch.storage.content_ids`."""

    def set_secret(self, secret: bytes) -> None:
        """Replace the secret key; existing ids stay as they are."""

    def count(self) -> Counts:
        """Count users and faces; this takes constant time."""

    def count_unassociated(self) -> int:
        """Count the faces that are associated with no user."""

    # ---------------------------------------------------------------- users

    def has_user(self, user_id: str) -> bool:
        """Check whether a user exists."""

    def users(self) -> list[tuple[str, int]]:
        """Return all user ids, sorted, each with its number of faces."""

    def page_of_users(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        """Return the first *limit* users with numbers above *after*: number, >= 1, user id, and number of faces.

        Numbers rise in the order in which users were created, and are never reused.
        """

    def create_users(self, user_ids: Iterable[str]) -> None:
        """Add users without faces; existing users stay as they are."""

    def delete_user(self, user_id: str) -> None:
        """Remove an existing user; its faces become unassociated."""

    def faces_of(self, user_id: str) -> frozenset[str]:
        """Return the ids of a user's faces; an empty set if the user does not exist."""

    def user_vector(self, user_id: str) -> FloatArray | None:
        """Return a user's vector as of the last `refresh`: (dimension,) float32; ``None`` if it has none."""

    def user_vectors(self) -> tuple[list[str], FloatArray]:
        """Return the ids of all users that have faces, sorted, and their vectors: (N, dimension) float32."""

    def refresh(self, user_ids: Iterable[str]) -> None:
        """Recompute the vectors of existing users from their current faces."""

    def anchor(self, user_id: str) -> Anchor | None:
        """Return the vector that new faces of a user are compared with; ``None`` for a user without faces."""

    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """Find the nearest users for each probe, and the next one; see `facesearch.matching.vector_index.VectorIndex.nearest`.

        This needs no block, so that several threads can search at once. Within `writing` it searches the last committed state.
        """

    # ---------------------------------------------------------------- faces

    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """Find the nearest faces for each probe, associated or not, and the next one, as `nearest` does for users.

        Names are face ids, and no offset is added to the distances. The first search reads or copies the vectors of all faces.
        A collection in which faces are never searched has no such cost.
        """

    def faces(self, user_id: str | None = None) -> list[Face]:
        """Return all faces, or those of an existing user, sorted by face id."""

    def page_of_faces(self, after: str, limit: int, user_id: str | None = None) -> list[Face]:
        """Return the first *limit* faces with ids greater than *after*, which may be empty; see `faces`."""

    def faces_named(self, face_ids: Iterable[str]) -> dict[str, Face]:
        """Return the existing faces among those ids, by id."""

    def stored_faces(self) -> Iterator[StoredFace]:
        """Iterate over all faces with their vectors and thumbnails, sorted by face id."""

    def face(self, face_id: str) -> Face | None:
        """Return a face, or ``None`` if it does not exist."""

    def known(self, face_ids: Iterable[str]) -> set[str]:
        """Return the ids that belong to existing faces."""

    def embedding(self, face_id: str) -> FloatArray:
        """Return the vector of an existing face: (dimension,) float32."""

    def thumbnail(self, face_id: str) -> bytes | None:
        """Return the thumbnail of an existing face, or ``None`` if none is stored."""

    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        """Add new faces, of existing users or unassociated. Call `refresh` for the users afterwards."""

    def remove_faces(self, face_ids: Iterable[str]) -> None:
        """Remove existing faces and their thumbnails. Call `refresh` for their users afterwards."""

    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        """Associate existing faces with a user, or with none. Call `refresh` for all users concerned afterwards."""

    # ---------------------------------------------------------------- outcomes of rejected photos

    def photo_outcome(self, key: str) -> tuple[str, str | None] | None:
        """Return what `remember_photo` stored under a key: the outcome, and the other user's id; ``None`` if nothing."""

    def remember_photo(self, key: str, outcome: str, user_id: str | None, other_user_id: str | None) -> None:
        """Store the outcome of a photo.

        Parameters
        ----------
        key
            64 hex digits.
        outcome
            JSON without user ids or face ids.
        user_id
            The user that the photo was to be enrolled for, existing or not; ``None`` for none.
        other_user_id
            An existing user that the outcome mentions.
        """

    def forget_photos(self, user_id: str | None = None) -> int:
        """Remove stored outcomes: those of a user's photos and those that mention the user, or all; return their number.

        `delete_user` does so too. Waiting photos are not affected.
        """

    # ---------------------------------------------------------------- waiting photos: enrolled later

    def put_waiting(self, photos: Iterable[tuple[str, str, StoredFace]]) -> None:
        """Store the faces of photos that are judged later; an existing key keeps its face.

        Parameters
        ----------
        photos
            For each a key, 64 hex digits; the user that it is to be enrolled for, existing or not; and its face, which is not yet a
            face of the collection.
        """

    def waiting(self, keys: Iterable[str]) -> dict[str, StoredFace]:
        """Return the faces of the waiting photos among those keys, by key."""

    def are_waiting(self, keys: Iterable[str]) -> set[str]:
        """Return the keys that belong to waiting photos."""

    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        """Remove the waiting photos of some users, as `delete_user` does too, or all; return their number."""

    # ---------------------------------------------------------------- answers to idempotent requests

    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        """Return the answer stored under a token, and whether it was to the same request; ``None`` if there is none."""

    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        """Store the answer to a request.

        Parameters
        ----------
        token
            A token without a stored answer.
        request
            The request. Token and request are stored as keyed hashes only.
        answer
            A text without user ids or face ids.
        given
            Time of the answer, seconds since 1970.
        """

    def forget_answers(self, before: float) -> None:
        """Remove the answers given before a time, seconds since 1970."""


def keyed_hash(text: str, salt: bytes) -> bytes:
    """Return the keyed digest of a text, 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=salt, digest_size=16).digest()


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
        self._salt = secrets.token_bytes(16)
        self._secret = new_secret()
        self._answers: OrderedDict[bytes, tuple[bytes, str, float]] = OrderedDict()  # token -> request, answer, given
        self._index = VectorIndex(dimension, NameRows())  # one vector for each user that has faces
        self._face_index: VectorIndex[str] | None = None  # built by the first search of faces

    @override
    def reading(self) -> AbstractContextManager[None]:
        return self._held()

    @override
    def writing(self) -> AbstractContextManager[None]:
        """Keep other threads out. Changes stay, even if the block raises."""
        return self._held()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        with self._lock:
            yield

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
    def delete_user(self, user_id: str) -> None:
        self.assign(tuple(self._users[user_id]), None)
        self._index.remove(user_id)
        self.forget_photos(user_id)
        self.forget_waiting([user_id])
        del self._users[user_id], self._numbers[user_id]

    @override
    def faces_of(self, user_id: str) -> frozenset[str]:
        return frozenset(self._users.get(user_id, ()))

    @override
    def user_vector(self, user_id: str) -> FloatArray | None:
        return self._index.get(user_id)

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
        vector = self.user_vector(user_id)
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
    def faces(self, user_id: str | None = None) -> list[Face]:
        return [self._faces[face_id].face for face_id in sorted(self._ids(user_id))]

    @override
    def page_of_faces(self, after: str, limit: int, user_id: str | None = None) -> list[Face]:
        face_ids = heapq.nsmallest(limit, (face_id for face_id in self._ids(user_id) if face_id > after))
        return [self._faces[face_id].face for face_id in face_ids]

    @override
    def faces_named(self, face_ids: Iterable[str]) -> dict[str, Face]:
        return {face_id: self._faces[face_id].face for face_id in self.known(face_ids)}

    @override
    def stored_faces(self) -> Iterator[StoredFace]:
        return (self._faces[face_id] for face_id in sorted(self._faces))

    @override
    def face(self, face_id: str) -> Face | None:
        stored = self._faces.get(face_id)
        return stored.face if stored else None

    @override
    def known(self, face_ids: Iterable[str]) -> set[str]:
        return self._faces.keys() & set(face_ids)

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
        for face_id in tuple(face_ids):
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
        return {key: self._waiting[key][1] for key in self.are_waiting(keys)}

    @override
    def are_waiting(self, keys: Iterable[str]) -> set[str]:
        return self._waiting.keys() & set(keys)

    @override
    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        wanted = None if user_ids is None else set(user_ids)
        gone = [key for key, (user_id, _) in self._waiting.items() if wanted is None or user_id in wanted]
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

    def _ids(self, user_id: str | None) -> Iterable[str]:
        return self._faces.keys() if user_id is None else self._users[user_id]
