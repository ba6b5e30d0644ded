"""What a collection is made of: faces, whose they are, and the vectors searched.

A store keeps the three in step and knows no rule of AWS's; those are the collection's. What it is asked, but `Store.nearest`
and `Store.nearest_faces`, is asked within `Store.reading` or `Store.writing`.
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
    """A face, its vector, (dimension,) float32, and its picture if one was kept."""

    face: Face
    embedding: FloatArray
    thumbnail: bytes | None = None


@attrs.frozen(kw_only=True)
class Counts:
    """How many users and faces there are."""

    users: int
    faces: int


@attrs.frozen(eq=False)
class Anchor:
    """A user's vector, and what is added to squared distances from it."""

    vector: FloatArray
    offset: float

    def distance(self, embedding: FloatArray) -> float:
        """Give how far a face is from the user."""
        difference = embedding.astype(np.float64) - self.vector
        return float(np.sqrt(difference @ difference + self.offset))


class Store(Protocol):
    """Faces and users, wherever they are kept."""

    def reading(self) -> AbstractContextManager[None]:
        """See one state of it all; may be nested, and within `writing` it sees what was changed there."""

    def writing(self) -> AbstractContextManager[None]:
        """Keep others from changing it. Where it raises, durable stores forget all that was changed; not within `reading`."""

    def close(self) -> None:
        """Let go of files; there is nothing to do in memory."""

    def erase(self, wait: float) -> bool:
        """Leave nothing of what was deleted; not within a block.

        Returns whether nothing is left. Others that read may be in the way: they are waited for, for *wait* seconds.
        """

    def secret(self) -> bytes:
        """Return the secret of the ids of faces and photos; see `facesearch.storage.content_ids`."""

    def set_secret(self, secret: bytes) -> None:
        """Set another secret; ids that are there stay as they are."""

    def count(self) -> Counts:
        """Tell how many users and faces are in it, at no cost."""

    def count_loose(self) -> int:
        """Count the faces that are nobody's."""

    # ---------------------------------------------------------------- users

    def has_user(self, user_id: str) -> bool:
        """Tell whether there is such a user."""

    def users(self) -> list[tuple[str, int]]:
        """Give all user ids, sorted, and how many faces each has."""

    def page_of_users(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        """Give the first *limit* users numbered higher than *after*: number, >= 1, user id, and how many faces each has.

        Numbers rise in the order in which users were created, and are never given again.
        """

    def create_users(self, user_ids: Iterable[str]) -> None:
        """Add users without faces, those that are not there."""

    def delete_user(self, user_id: str) -> None:
        """Remove a user that is there; its faces become nobody's."""

    def faces_of(self, user_id: str) -> frozenset[str]:
        """Give the ids of a user's faces; none if there is no such user."""

    def user_vector(self, user_id: str) -> FloatArray | None:
        """Give the vector as of the last `refresh`: (dimension,) float32, ``None`` for a user without."""

    def user_vectors(self) -> tuple[list[str], FloatArray]:
        """Give the ids of all users that have faces, sorted, and their vectors: (N, dimension) float32."""

    def refresh(self, user_ids: Iterable[str]) -> None:
        """Make the vectors of users that are there of the faces they have now."""

    def anchor(self, user_id: str) -> Anchor | None:
        """Give what new faces of a user are compared with, ``None`` for a user without faces."""

    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """Give for each probe the nearest users, and the next; see `facesearch.matching.vector_index.VectorIndex.nearest`.

        Needs no block, so that several threads may search at once. Within `writing` it sees what was there before.
        """

    # ---------------------------------------------------------------- faces

    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """Give for each probe the nearest of all faces, users' or nobody's, and the next, as `nearest` does of users.

        Names are face ids, and nothing is added to the distances. The first search reads or copies all faces' vectors; who
        never searches faces pays nothing.
        """

    def faces(self, user_id: str | None = None) -> list[Face]:
        """Give all faces, or those of a user that is there, by face id."""

    def page_of_faces(self, after: str, limit: int, user_id: str | None = None) -> list[Face]:
        """Give the first *limit* faces whose ids are greater than *after*, which may be empty; see `faces`."""

    def faces_named(self, face_ids: Iterable[str]) -> dict[str, Face]:
        """Give those of the faces that there are, by id."""

    def stored_faces(self) -> Iterator[StoredFace]:
        """Give all faces with their vectors and pictures, by face id."""

    def face(self, face_id: str) -> Face | None:
        """Give a face, or ``None``."""

    def known(self, face_ids: Iterable[str]) -> set[str]:
        """Give those of the ids that there are faces of."""

    def embedding(self, face_id: str) -> FloatArray:
        """Give the vector of a face that is there: (dimension,) float32."""

    def thumbnail(self, face_id: str) -> bytes | None:
        """Give the picture of a face that is there, if one was kept."""

    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        """Add faces that are not there, of users that are or of nobody; the users' vectors are for `refresh`."""

    def remove_faces(self, face_ids: Iterable[str]) -> None:
        """Remove faces that are there, and their pictures; the vectors of their users are for `refresh`."""

    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        """Set whose faces that are there are; the vectors of all users concerned are for `refresh`."""

    # ---------------------------------------------------------------- photos that were not accepted

    def photo_outcome(self, key: str) -> tuple[str, str | None] | None:
        """Give what `remember_photo` was told under that key: the outcome, and the other user's id; ``None`` if nothing."""

    def remember_photo(self, key: str, outcome: str, user_id: str | None, other_user_id: str | None) -> None:
        """Keep what became of a photo.

        Parameters
        ----------
        key
            64 hex digits.
        outcome
            JSON, which names nobody.
        user_id
            Whose it was to be, who need not be there; ``None`` for nobody's.
        other_user_id
            A user that is there and that the outcome is about.
        """

    def forget_photos(self, user_id: str | None = None) -> int:
        """Forget the photos of a user and those whose outcome is about it, as `delete_user` does too, or all; give how many.

        Photos that wait to be judged are not among them.
        """

    # ---------------------------------------------------------------- photos that wait to be judged

    def put_waiting(self, photos: Iterable[tuple[str, str, StoredFace]]) -> None:
        """Keep the faces of photos that are judged later; of a key that is there already nothing is changed.

        Parameters
        ----------
        photos
            Of each a key, 64 hex digits; whose it is to be, who need not be there; and its face, which is no face of the
            collection yet.
        """

    def waiting(self, keys: Iterable[str]) -> dict[str, StoredFace]:
        """Return those of the photos that wait, by key."""

    def are_waiting(self, keys: Iterable[str]) -> set[str]:
        """Return the keys of those of the photos that wait."""

    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        """Remove the waiting photos of some users, as `delete_user` does too, or all; return how many."""

    # ---------------------------------------------------------------- requests that happen once

    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        """Give what `remember_answer` was told under that token, and whether for this request; ``None`` if nothing."""

    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        """Keep what was answered.

        Parameters
        ----------
        token
            Under which nothing is kept.
        request
            What was asked. Of token and request keyed hashes are kept.
        answer
            A text that names neither users nor faces.
        given
            When, seconds since 1970.
        """

    def forget_answers(self, before: float) -> None:
        """Forget all that was answered before, seconds since 1970."""


def keyed_hash(text: str, salt: bytes) -> bytes:
    """Give 16 bytes that tell nobody who does not know the salt, and no other text has."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=salt, digest_size=16).digest()


class MemoryStore:
    """A store in memory; see `Store`.

    Parameters
    ----------
    dimension
        Length of the vectors.
    offset
        Gives, for so many faces, the squared distance to add to that from a user's vector; see
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
        self._index = VectorIndex(dimension, NameRows())  # a vector for each user that has faces
        self._face_index: VectorIndex[str] | None = None  # made by the first search of faces

    def reading(self) -> AbstractContextManager[None]:
        """See one state; nobody else can do anything meanwhile."""
        return self._held()

    def writing(self) -> AbstractContextManager[None]:
        """Change it; nobody else can do anything meanwhile. What was changed stays, even where the block raises."""
        return self._held()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        with self._lock:
            yield

    def close(self) -> None:
        """Do nothing."""

    def erase(self, wait: float) -> bool:  # noqa: ARG002  # there is nobody to wait for
        """See `Store.erase`; nothing is ever left."""
        return True

    def secret(self) -> bytes:
        """See `Store.secret`."""
        return self._secret

    def set_secret(self, secret: bytes) -> None:
        """See `Store.set_secret`."""
        self._secret = secret

    def count(self) -> Counts:
        """See `Store.count`."""
        return Counts(users=len(self._users), faces=len(self._faces))

    def count_loose(self) -> int:
        """See `Store.count_loose`."""
        return len(self._faces) - sum(len(face_ids) for face_ids in self._users.values())

    # ---------------------------------------------------------------- users

    def has_user(self, user_id: str) -> bool:
        """See `Store.has_user`."""
        return user_id in self._users

    def users(self) -> list[tuple[str, int]]:
        """See `Store.users`."""
        return [(user_id, len(self._users[user_id])) for user_id in sorted(self._users)]

    def page_of_users(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        """See `Store.page_of_users`."""
        later = ((number, user_id) for user_id, number in self._numbers.items() if number > after)
        return [(number, user_id, len(self._users[user_id])) for number, user_id in itertools.islice(later, limit)]

    def create_users(self, user_ids: Iterable[str]) -> None:
        """See `Store.create_users`."""
        for user_id in user_ids:
            if user_id not in self._users:
                self._users[user_id] = set()
                self._last_number += 1
                self._numbers[user_id] = self._last_number

    def delete_user(self, user_id: str) -> None:
        """See `Store.delete_user`."""
        self.assign(tuple(self._users[user_id]), None)
        self._index.remove(user_id)
        self.forget_photos(user_id)
        self.forget_waiting([user_id])
        del self._users[user_id], self._numbers[user_id]

    def faces_of(self, user_id: str) -> frozenset[str]:
        """See `Store.faces_of`."""
        return frozenset(self._users.get(user_id, ()))

    def user_vector(self, user_id: str) -> FloatArray | None:
        """See `Store.user_vector`."""
        return self._index.get(user_id)

    def user_vectors(self) -> tuple[list[str], FloatArray]:
        """See `Store.user_vectors`."""
        user_ids = sorted(user_id for user_id in self._users if self._index.get(user_id) is not None)
        matrix = np.array([self._index.get(user_id) for user_id in user_ids], np.float32)
        return user_ids, matrix.reshape(-1, self._dimension)

    def refresh(self, user_ids: Iterable[str]) -> None:
        """See `Store.refresh`."""
        for user_id in user_ids:
            face_ids = self._users[user_id]
            if face_ids:
                vector = robust_mean(np.stack([self._faces[face_id].embedding for face_id in face_ids]))
                self._index.put(user_id, vector, self._offset(len(face_ids)))
            else:
                self._index.remove(user_id)

    def anchor(self, user_id: str) -> Anchor | None:
        """See `Store.anchor`."""
        vector = self.user_vector(user_id)
        return None if vector is None else Anchor(vector, self._offset(len(self._users[user_id])))

    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """See `Store.nearest`."""
        with self._lock:
            return self._index.nearest(probes, max_distance=max_distance, limit=limit, names=list)

    # ---------------------------------------------------------------- faces

    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """See `Store.nearest_faces`."""
        with self._lock:
            if self._face_index is None:
                self._face_index = VectorIndex(self._dimension, NameRows())
                if self._faces:
                    vectors = np.stack([stored.embedding for stored in self._faces.values()])
                    self._face_index.put_many(list(self._faces), vectors, np.zeros(len(vectors)))
            return self._face_index.nearest(probes, max_distance=max_distance, limit=limit, names=list)

    def faces(self, user_id: str | None = None) -> list[Face]:
        """See `Store.faces`."""
        return [self._faces[face_id].face for face_id in sorted(self._ids(user_id))]

    def page_of_faces(self, after: str, limit: int, user_id: str | None = None) -> list[Face]:
        """See `Store.page_of_faces`."""
        face_ids = heapq.nsmallest(limit, (face_id for face_id in self._ids(user_id) if face_id > after))
        return [self._faces[face_id].face for face_id in face_ids]

    def faces_named(self, face_ids: Iterable[str]) -> dict[str, Face]:
        """See `Store.faces_named`."""
        return {face_id: self._faces[face_id].face for face_id in self.known(face_ids)}

    def stored_faces(self) -> Iterator[StoredFace]:
        """See `Store.stored_faces`."""
        return (self._faces[face_id] for face_id in sorted(self._faces))

    def face(self, face_id: str) -> Face | None:
        """See `Store.face`."""
        stored = self._faces.get(face_id)
        return stored.face if stored else None

    def known(self, face_ids: Iterable[str]) -> set[str]:
        """See `Store.known`."""
        return self._faces.keys() & set(face_ids)

    def embedding(self, face_id: str) -> FloatArray:
        """See `Store.embedding`."""
        return self._faces[face_id].embedding

    def thumbnail(self, face_id: str) -> bytes | None:
        """See `Store.thumbnail`."""
        return self._faces[face_id].thumbnail

    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        """See `Store.put_faces`."""
        for stored in faces:
            self._faces[stored.face.face_id] = stored
            if stored.face.user_id is not None:
                self._users[stored.face.user_id].add(stored.face.face_id)
            if self._face_index is not None:
                self._face_index.put(stored.face.face_id, stored.embedding)

    def remove_faces(self, face_ids: Iterable[str]) -> None:
        """See `Store.remove_faces`."""
        for face_id in tuple(face_ids):
            self.assign([face_id], None)
            del self._faces[face_id]
            if self._face_index is not None:
                self._face_index.remove(face_id)

    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        """See `Store.assign`."""
        for face_id in face_ids:
            stored = self._faces[face_id]
            if stored.face.user_id is not None:
                self._users[stored.face.user_id].discard(face_id)
            self._faces[face_id] = attrs.evolve(stored, face=attrs.evolve(stored.face, user_id=user_id))
            if user_id is not None:
                self._users[user_id].add(face_id)

    # ---------------------------------------------------------------- photos that were not accepted

    def photo_outcome(self, key: str) -> tuple[str, str | None] | None:
        """See `Store.photo_outcome`."""
        outcome, _, other_user_id = self._photos.get(key, (None, None, None))
        return None if outcome is None else (outcome, other_user_id)

    def remember_photo(self, key: str, outcome: str, user_id: str | None, other_user_id: str | None) -> None:
        """See `Store.remember_photo`."""
        self._photos[key] = outcome, user_id, other_user_id

    def forget_photos(self, user_id: str | None = None) -> int:
        """See `Store.forget_photos`."""
        gone = [key for key, (_, *users) in self._photos.items() if user_id is None or user_id in users]
        for key in gone:
            del self._photos[key]
        return len(gone)

    # ---------------------------------------------------------------- photos that wait to be judged

    def put_waiting(self, photos: Iterable[tuple[str, str, StoredFace]]) -> None:
        """See `Store.put_waiting`."""
        for key, user_id, stored in photos:
            self._waiting.setdefault(key, (user_id, stored))

    def waiting(self, keys: Iterable[str]) -> dict[str, StoredFace]:
        """See `Store.waiting`."""
        return {key: self._waiting[key][1] for key in self.are_waiting(keys)}

    def are_waiting(self, keys: Iterable[str]) -> set[str]:
        """See `Store.are_waiting`."""
        return self._waiting.keys() & set(keys)

    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        """See `Store.forget_waiting`."""
        whose = None if user_ids is None else set(user_ids)
        gone = [key for key, (user_id, _) in self._waiting.items() if whose is None or user_id in whose]
        for key in gone:
            del self._waiting[key]
        return len(gone)

    # ---------------------------------------------------------------- requests that happen once

    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        """See `Store.answer_to`."""
        kept = self._answers.get(keyed_hash(token, self._salt))
        return None if kept is None else (kept[1], kept[0] == keyed_hash(request, self._salt))

    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        """See `Store.remember_answer`."""
        self._answers[keyed_hash(token, self._salt)] = keyed_hash(request, self._salt), answer, given

    def forget_answers(self, before: float) -> None:
        """See `Store.forget_answers`."""
        while self._answers and next(iter(self._answers.values()))[2] < before:  # they lie by age
            self._answers.popitem(last=False)

    def _ids(self, user_id: str | None) -> Iterable[str]:
        return self._faces.keys() if user_id is None else self._users[user_id]
