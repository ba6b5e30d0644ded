"""The protocol of a store of users, faces and vectors.

A store keeps users, faces and vectors consistent. It implements no rule of AWS; those belong to the collection.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import attrs
import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.domain.entities import Face
from facesearch.errors import InvalidParameterError
from facesearch.matching.vector_index import Ranked
from facesearch.storage.history import mentions

__all__ = ["Anchor", "Counts", "NewStore", "Store", "StoredFace", "new_store"]


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
    """Users, faces and vectors: the protocol of a store, to be subclassed by stores of your own.

    `facesearch.Collection` checks arguments, quotas and thresholds before it calls a store, and converts distances to percentages
    after. All methods except `nearest`, `nearest_faces`, `erase` and `close` are called within a block of `reading` or `writing`. Several
    threads may use a store at once.

    Examples
    --------
    >>> import facesearch as fs
    >>> from facesearch.storage.memory import MemoryStore
    >>> class CountingStore(MemoryStore):
    ...     written = 0
    ...
    ...     def put_faces(self, faces):
    ...         added = list(faces)
    ...         self.written += len(added)
    ...         super().put_faces(added)
    >>> store = None
    >>> def counting(dimension, offset):
    ...     global store
    ...     store = CountingStore(dimension, offset)
    ...     return store
    >>> staff = fs.Collection("staff", store=counting)
    >>> _ = staff.add_embeddings(["ada", "bob"], [[0.1] * 128, [-0.1] * 128])
    >>> store.written
    2
    """

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

    def delete_user(self, user_id: str, *, keep_changes: bool = False) -> None:
        """Remove an existing user; its faces become unassociated.

        Unless *keep_changes* is true, the changes that mention the user are removed too: see `forget_changes_of`.
        """

    def faces_of(self, user_id: str) -> frozenset[str]:
        """Return the ids of a user's faces; an empty set if the user does not exist."""

    def face_counts(self, user_ids: Iterable[str]) -> dict[str, int]:
        """Return the numbers of faces of users, as of the last `refresh`; 0 for one that does not exist."""
        return {user_id: len(self.faces_of(user_id)) for user_id in user_ids}

    def user_vector(self, user_id: str) -> FloatArray | None:
        """Return a user's vector as of the last `refresh`: (dimension,) float32; ``None`` if it has none."""
        anchor = self.anchor(user_id)
        return None if anchor is None else anchor.vector

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

    def faces(self, user_id: str | None = None, *, after: str = "", limit: int | None = None) -> list[Face]:
        """Return all faces, or those of an existing user, sorted by face id: the first *limit* with ids greater than *after*."""

    def faces_by_id(self, face_ids: Iterable[str]) -> dict[str, Face]:
        """Return the existing faces among those ids, by id."""

    def stored_faces(self) -> Iterator[StoredFace]:
        """Iterate over all faces with their vectors and thumbnails, sorted by face id."""

    def face(self, face_id: str) -> Face | None:
        """Return a face, or ``None`` if it does not exist."""
        return self.faces_by_id([face_id]).get(face_id)

    def embedding(self, face_id: str) -> FloatArray:
        """Return the vector of an existing face: (dimension,) float32."""

    def thumbnail(self, face_id: str) -> bytes | None:
        """Return the thumbnail of an existing face, or ``None`` if none is stored."""

    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        """Add new faces, of existing users or unassociated. Call `refresh` for the users afterwards."""

    def remove_faces(self, face_ids: Iterable[str]) -> None:
        """Remove existing faces, their thumbnails, and the changes that mention them. Call `refresh` for their users afterwards."""

    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        """Associate existing faces with a user, or with none. Call `refresh` for all users concerned afterwards.

        A face that gets a user is no longer set aside.
        """

    def set_aside(self, face_ids: Iterable[str], *, aside: bool) -> None:
        """Set aside existing faces without a user, or end that."""

    def aside(self) -> frozenset[str]:
        """Return the ids of the faces that are set aside."""

    # ---------------------------------------------------------------- changes that can be undone

    def changes(self) -> list[tuple[int, str]]:
        """Return the stored changes, oldest first: number, and JSON of `facesearch.storage.history`."""

    def put_change(self, change: str) -> None:
        """Store the JSON of a change, under a number greater than all before."""

    def forget_changes(self, numbers: Iterable[int]) -> None:
        """Remove stored changes."""

    def forget_changes_of(self, ids: Iterable[str]) -> None:
        """Remove the changes that mention one of some users or faces; `delete_user` and `remove_faces` do so."""
        unwanted = set(ids)
        self.forget_changes([number for number, change in self.changes() if mentions(change, unwanted)])

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


NewStore = Callable[[int, Callable[[int], float]], Store]
"""Makes a store from the length of the vectors and the function that `facesearch.storage.memory.MemoryStore` calls *offset*."""


_EXPECTED: Final = "a subclass of facesearch.Store, or a function of a dimension and an offset that returns one"


def new_store(make: NewStore, dimension: int, offset: Callable[[int], float]) -> Store:
    """Return a new store.

    Raises
    ------
    InvalidParameterError
        If *make* is no function, or what it returns lacks methods of `Store`.
    """
    given: Any = make  # callers may pass a value of another type
    if not callable(given) or given is Store:
        raise InvalidParameterError.of("store", given, _EXPECTED)
    if isinstance(given, type):  # before it is called with what another class does not take
        _check_methods(given)
    made: Any = given(dimension, offset)
    _check_methods(type(made))
    store: Store = made
    return store


def _check_methods(kind: type) -> None:
    if missing := [name for name in vars(Store) if not name.startswith("_") and not hasattr(kind, name)]:
        raise InvalidParameterError(
            f"store: expected {_EXPECTED}, got a {kind.__name__} without {', '.join(missing)}; "
            "the docstrings of facesearch.Store describe each"
        )
