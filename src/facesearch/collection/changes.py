"""Changes to a collection without photos: users, associations of faces, vectors, and idempotent requests."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from facesearch.collection.base import (
    MAX_FACES_PER_DELETION,
    TOKEN_SECONDS,
    CollectionBase,
    check_face_ids,
    check_sequence,
    user_of,
)
from facesearch.common.arrays import FloatArray
from facesearch.common.validation import check_float, check_text
from facesearch.domain.entities import LONGEST_USER_ID, USER_ID_PATTERN, Face, FaceModel, User
from facesearch.enrolment.membership import split_for_association, split_for_deletion, split_for_disassociation
from facesearch.errors import InvalidEmbeddingError, InvalidParameterError, TokenReusedError, UserAlreadyExistsError
from facesearch.matching.template import check_embedding
from facesearch.responses.collection import (
    AssociatedFace,
    AssociateFacesResponse,
    DeleteFacesResponse,
    DisassociatedFace,
    DisassociateFacesResponse,
)
from facesearch.storage.content_ids import content_id
from facesearch.storage.store import StoredFace

__all__ = ["CollectionChanges"]

MAX_FACES_PER_REQUEST: Final = 100
"""As in Amazon Rekognition's model: shape UserFaceIdList."""


class CollectionChanges(CollectionBase):
    """The operations that change a collection without photos."""

    # ---------------------------------------------------------------- users

    def create_user(self, user_id: str) -> User:
        """Add a user without faces.

        Raises
        ------
        InvalidParameterError
            If the id is not 1-128 characters of ``[a-zA-Z0-9_.-:]``.
        UserAlreadyExistsError
            If the user exists already.
        """
        check_text("user_id", user_id, USER_ID_PATTERN, LONGEST_USER_ID)
        with self._store.writing():
            if self._store.has_user(user_id):
                raise UserAlreadyExistsError(f"user_id: collection {self._id!r} has a user {user_id!r} already")
            self._store.create_users([user_id])
        return user_of(user_id, 0)

    def delete_user(self, user_id: str, *, faces: bool = False) -> None:
        """Remove a user.

        Parameters
        ----------
        user_id
            The user to remove.
        faces
            Remove the user's faces too, so that no data of the person is left. Otherwise the faces stay unassociated, as in AWS.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        """
        with self._store.writing():
            self._check_user(user_id)
            face_ids = self._store.faces_of(user_id)
            self._forget_old_answers()
            self._store.delete_user(user_id)
            if faces:
                self._store.remove_faces(face_ids)

    # ---------------------------------------------------------------- faces from vectors

    def add_embedding(self, user_id: str, vector: npt.ArrayLike, *, face_model: FaceModel | None = None) -> str:
        """Add one face to a user from a vector, without a photo; the user is created if needed.

        Parameters
        ----------
        user_id
            1-128 characters of ``[a-zA-Z0-9_.-:]``.
        vector
            (dimension,) finite real numbers, not all zero.
        face_model
            The model that computed the vector, if known: a model other than the collection's is refused.

        Returns
        -------
        str
            The id of the new face.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError, QuotaExceededError
            Nothing was changed.
        """
        row = check_embedding(vector, self._face_model.dimension)
        return self.add_embeddings([user_id], row[np.newaxis], face_model=face_model)[0]

    def add_embeddings(
        self, user_ids: Sequence[str], matrix: npt.ArrayLike, *, face_model: FaceModel | None = None
    ) -> tuple[str, ...]:
        """Add one face to each of several users, all or none; users are created if needed.

        *face_model* and the errors are those of `add_embedding`.

        Parameters
        ----------
        user_ids
            N ids; an id may occur several times.
        matrix
            (N, dimension) finite real numbers, no row all zero.

        Returns
        -------
        tuple of str
            The ids of the N new faces.
        """
        check_sequence("user_ids", user_ids, "a sequence of one or more user ids")
        for user_id in user_ids:
            check_text("user_ids", user_id, USER_ID_PATTERN, LONGEST_USER_ID)
        self._check_model(face_model)
        try:
            rows = np.asarray(matrix)
        except (TypeError, ValueError, OverflowError):  # such as rows of different lengths
            rows = np.empty(0)
        if rows.shape[:1] != (len(user_ids),):
            raise InvalidEmbeddingError(
                f"matrix: expected shape ({len(user_ids)}, {self._face_model.dimension}), one row a user id, "
                f"got shape {rows.shape}"
            )
        vectors = [check_embedding(row, self._face_model.dimension, f"matrix[{i}]") for i, row in enumerate(rows)]
        with self._store.writing():
            added = Counter(user_ids)
            before = self._store.face_counts(added)
            for user_id, more in added.items():
                self._check_quota(user_id, before[user_id] + more)
            face_ids = self._free_ids(user_ids, vectors)
            self._store.create_users(user_ids)
            version = self._face_model.version
            self._store.put_faces(
                StoredFace(Face(face_id=face_id, index_faces_model_version=version, user_id=user_id), vector)
                for face_id, user_id, vector in zip(face_ids, user_ids, vectors, strict=True)
            )
            self._store.refresh(dict.fromkeys(user_ids))
        return face_ids

    # ---------------------------------------------------------------- association of faces with users

    def associate_faces(
        self, user_id: str, face_ids: Sequence[str], *, user_match_threshold: float = 75
    ) -> AssociateFacesResponse:
        """Associate indexed faces with a user.

        Parameters
        ----------
        user_id
            The user.
        face_ids
            1-100 ids; faces that are associated with the user already are ignored.
        user_match_threshold
            The least similarity of a face to a user that has faces already, percent.

        Returns
        -------
        AssociateFacesResponse
            Faces that are unknown, associated with another user or not similar enough are listed with the reason; no error is raised.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        QuotaExceededError
            If the user would have more than 100 faces; nothing was changed.
        InvalidParameterError
            If another argument is wrong.
        """
        check_float("user_match_threshold", user_match_threshold, 0, 100)
        unique_ids = check_face_ids(face_ids, MAX_FACES_PER_REQUEST)
        with self._store.writing():
            self._check_user(user_id)
            taken, refused = split_for_association(
                self._store, user_id, unique_ids, threshold=user_match_threshold, calibration=self._calibration
            )
            self._check_quota(user_id, len(self._store.faces_of(user_id)) + len(taken))
            self._store.assign(taken, user_id)
            self._store.refresh([user_id])
            return AssociateFacesResponse(
                associated_faces=tuple(AssociatedFace(face_id=face_id) for face_id in taken),
                unsuccessful_face_associations=tuple(refused),
                user_status=self._user(user_id).user_status,
            )

    def disassociate_faces(self, user_id: str, face_ids: Sequence[str]) -> DisassociateFacesResponse:
        """Disassociate faces from a user; they stay in the collection.

        Parameters
        ----------
        user_id
            The user.
        face_ids
            1-100 ids; unassociated faces are ignored.

        Returns
        -------
        DisassociateFacesResponse
            Faces that are unknown or associated with another user are listed with the reason; no error is raised.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        InvalidParameterError
            If another argument is wrong.
        """
        unique_ids = check_face_ids(face_ids, MAX_FACES_PER_REQUEST)
        with self._store.writing():
            self._check_user(user_id)
            gone, refused = split_for_disassociation(self._store, user_id, unique_ids)
            self._store.assign(gone, None)
            self._store.refresh([user_id])
            return DisassociateFacesResponse(
                disassociated_faces=tuple(DisassociatedFace(face_id=face_id) for face_id in gone),
                unsuccessful_face_disassociations=tuple(refused),
                user_status=self._user(user_id).user_status,
            )

    def delete_faces(self, face_ids: Sequence[str]) -> DeleteFacesResponse:
        """Remove faces.

        Parameters
        ----------
        face_ids
            1-4096 ids.

        Returns
        -------
        DeleteFacesResponse
            Faces that are unknown or associated with a user are listed with the reason; no error is raised. Disassociate them first,
            or remove the user with ``delete_user(..., faces=True)``.

        Raises
        ------
        InvalidParameterError
            If *face_ids* is wrong.
        """
        unique_ids = check_face_ids(face_ids, MAX_FACES_PER_DELETION)
        with self._store.writing():
            self._forget_old_answers()
            gone, refused = split_for_deletion(self._store, unique_ids)
            self._store.remove_faces(gone)
        return DeleteFacesResponse(deleted_faces=tuple(gone), unsuccessful_face_deletions=tuple(refused))

    # ---------------------------------------------------------------- idempotent requests

    def once(self, token: str, request: str, answer: Callable[[], str]) -> str:
        """Run an idempotent request: call a function, or return its answer if the request was run before.

        Parameters
        ----------
        token
            1-255 characters: new for each request, and the same to repeat a request.
        request
            The full request.
        answer
            Function that runs the request with any methods that change this collection, and returns a text. The text must contain
            neither user ids nor face ids, as it outlives their deletion. Other threads and processes can't change the collection
            meanwhile, so analyze photos before the call.

        Returns
        -------
        str
            The text. It is stored for 24 hours, with keyed hashes of token and request.

        Raises
        ------
        TokenReusedError
            If the token was used with another request.
        InvalidParameterError
            If an argument is wrong.
        Exception
            Errors of *answer*. Then no answer is stored, and a collection in a file is unchanged; in memory, changes that *answer*
            made before stay.

        Examples
        --------
        >>> staff = Collection("staff")
        >>> def create() -> str:
        ...     staff.create_user("ada")
        ...     return "created"
        >>> [staff.once("7c1f", "create ada", create) for _ in range(2)]
        ['created', 'created']
        >>> len(staff)
        1
        """
        check_text("token", token, "(?s:.+)", 255)
        if not isinstance(request, str):
            raise InvalidParameterError.of("request", request, "a text")
        with self._store.writing():
            self._forget_old_answers()
            kept = self._store.answer_to(token, request)
            if kept is None:
                text = answer()
                if not isinstance(text, str):
                    raise InvalidParameterError.of("answer", text, "a function that gives a text")
                self._store.remember_answer(token, request, text, self._clock())
                return text
        text, same = kept
        if not same:
            raise TokenReusedError(f"token: {token!r} was given before with another request")
        return text

    def _forget_old_answers(self) -> None:
        self._store.forget_answers(self._clock() - TOKEN_SECONDS)

    # ---------------------------------------------------------------- called within a block of the store

    def _free_ids(self, user_ids: Sequence[str], vectors: Sequence[FloatArray]) -> tuple[str, ...]:
        """Return ids for new faces from vectors.

        A vector that is added again is one more face: the id depends on the number of equal vectors of that user.
        """
        given: dict[str, int] = {}  # id -> row
        waiting, copies, secret = dict(enumerate(zip(user_ids, vectors, strict=True))), 0, self._store.secret()
        while waiting:
            candidates = {
                row: content_id(secret, "vector", user_id, vector.tobytes().hex(), copies)
                for row, (user_id, vector) in waiting.items()
            }
            known = self._store.faces_by_id(candidates.values())
            for row, face_id in candidates.items():
                if face_id not in known and face_id not in given:
                    given[face_id] = row
                    del waiting[row]
            copies += 1
        return tuple(sorted(given, key=given.__getitem__))
