"""What a collection is made of, in memory: faces, whose they are, and the vectors searched.

It keeps the three in step and knows no rule of AWS's; those are the collection's. It is not safe to use from two threads at
once: its owner holds the lock.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

import attrs
import numpy as np

from facesearch.ranking import VectorIndex, robust_mean
from facesearch.records import Face
from facesearch.stages import FloatArray

__all__ = ["Anchor", "MemoryStore"]


@attrs.define
class _Entry:
    face: Face
    embedding: FloatArray


@attrs.frozen(eq=False)
class Anchor:
    """A user's vector, and what is added to squared distances from it."""

    vector: FloatArray
    offset: float

    def distance(self, embedding: FloatArray) -> float:
        """Give how far a face is from the user."""
        difference = embedding.astype(np.float64) - self.vector
        return float(np.sqrt(difference @ difference + self.offset))


class MemoryStore:
    """Faces and users, all in memory.

    Parameters
    ----------
    dimension
        Length of the vectors.
    offset
        Gives, for so many faces, the squared distance to add to that from a user's vector; see
        `facesearch.scoring.Calibration.user_offset`.
    """

    def __init__(self, dimension: int, offset: Callable[[int], float]) -> None:
        self._offset = offset
        self._faces: dict[str, _Entry] = {}
        self._users: dict[str, set[str]] = {}  # user id -> face ids
        self._index = VectorIndex(dimension)  # a vector for each user that has faces

    # ---------------------------------------------------------------- users

    @property
    def users(self) -> AbstractSet[str]:
        """All user ids."""
        return self._users.keys()

    def create_user(self, user_id: str) -> None:
        """Add a user without faces, unless there is such a user."""
        self._users.setdefault(user_id, set())

    def delete_user(self, user_id: str) -> None:
        """Remove a user; its faces become nobody's."""
        for face_id in tuple(self._users[user_id]):
            self.assign(face_id, None)
        self._index.remove(user_id)
        del self._users[user_id]

    def faces_of(self, user_id: str) -> frozenset[str]:
        """Give the ids of a user's faces; none if there is no such user."""
        return frozenset(self._users.get(user_id, ()))

    def user_vector(self, user_id: str) -> FloatArray | None:
        """Give the vector as of the last `refresh`: (dimension,) float32, ``None`` for a user without."""
        return self._index.get(user_id)

    def refresh(self, user_id: str) -> None:
        """Make a user's vector of the faces it has now."""
        face_ids = self._users[user_id]
        if face_ids:
            vector = robust_mean(np.stack([self._faces[face_id].embedding for face_id in face_ids]))
            self._index.put(user_id, vector, self._offset(len(face_ids)))
        else:
            self._index.remove(user_id)

    def anchor(self, user_id: str) -> "Anchor | None":
        """Give what new faces of a user are compared with, ``None`` for a user without faces."""
        vector = self.user_vector(user_id)
        return None if vector is None else Anchor(vector, self._offset(len(self._users[user_id])))

    def nearest(
        self, probe: FloatArray, *, max_distance: float, limit: int
    ) -> tuple[list[tuple[float, str]], tuple[float, str] | None]:
        """Give the users nearest to *probe*, and the next; see `VectorIndex.nearest_and_next`."""
        return self._index.nearest_and_next(probe, max_distance=max_distance, limit=limit)

    # ---------------------------------------------------------------- faces

    @property
    def faces(self) -> AbstractSet[str]:
        """All face ids."""
        return self._faces.keys()

    def face(self, face_id: str) -> Face | None:
        """Give a face, or ``None``."""
        entry = self._faces.get(face_id)
        return entry.face if entry else None

    def embedding(self, face_id: str) -> FloatArray:
        """Give the vector of a face that is there: (dimension,) float32."""
        return self._faces[face_id].embedding

    def put_face(self, face: Face, embedding: FloatArray) -> None:
        """Add a face; the vector of its user, if it has one, is for `refresh`."""
        self._faces[face.face_id] = _Entry(face, embedding)
        if face.user_id is not None:
            self._users[face.user_id].add(face.face_id)

    def remove_face(self, face_id: str) -> None:
        """Remove a face that is there; the vector of its user, if it had one, is for `refresh`."""
        self.assign(face_id, None)
        del self._faces[face_id]

    def assign(self, face_id: str, user_id: str | None) -> None:
        """Set whose a face is; the vectors of both users are for `refresh`."""
        entry = self._faces[face_id]
        if entry.face.user_id is not None:
            self._users[entry.face.user_id].discard(face_id)
        entry.face = attrs.evolve(entry.face, user_id=user_id)
        if user_id is not None:
            self._users[user_id].add(face_id)
