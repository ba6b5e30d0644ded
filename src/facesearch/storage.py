"""What a collection is made of, in memory: faces, whose they are, and the vectors searched.

It keeps the three in step and knows no rule of AWS's; those are the collection's. It is not safe to use from two threads at
once: its owner holds the lock.
"""

from collections.abc import Set as AbstractSet

import attrs
import numpy as np

from facesearch.ranking import VectorIndex, robust_mean
from facesearch.records import Face
from facesearch.stages import FloatArray

__all__ = ["MemoryStore"]


@attrs.define
class _Entry:
    face: Face
    embedding: FloatArray


class MemoryStore:
    """Faces and users, all in memory.

    Parameters
    ----------
    dimension
        Length of the vectors.
    """

    def __init__(self, dimension: int) -> None:
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
            self._index.put(user_id, robust_mean(np.stack([self._faces[face_id].embedding for face_id in face_ids])))
        else:
            self._index.remove(user_id)

    def nearest(self, probe: FloatArray, *, max_distance: float, limit: int) -> list[tuple[float, str]]:
        """Give the users nearest to *probe*; see `VectorIndex.nearest`."""
        return self._index.nearest(probe, max_distance=max_distance, limit=limit)

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
