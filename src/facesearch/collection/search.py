"""The search in a collection: rank users and faces by vectors, and audit the collection."""

import math
from collections.abc import Collection as AnyCollection, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from facesearch.collection.base import CollectionBase, check_face_id
from facesearch.common.arrays import FloatArray
from facesearch.common.tables import ROWS_SHOWN, Listing
from facesearch.common.validation import check_float, check_int
from facesearch.domain.entities import Face, FaceModel, UserStatus
from facesearch.enrolment.auditing import OWN_SIMILARITY, SAME_PERSON_SIMILARITY, audit
from facesearch.errors import InvalidEmbeddingError, InvalidParameterError
from facesearch.images.thumbnails import SHOWN_FACES
from facesearch.matching.template import check_embedding
from facesearch.responses.audit import AuditPictures, AuditReport, with_pictures
from facesearch.responses.search_users import MatchedUser, UserMatch

__all__ = ["MAX_FACES", "MAX_USERS", "CollectionSearch", "check_face_search_options", "check_search_options"]

# Amazon Rekognition's limits, from its model.
MAX_USERS: Final = 500  # shape MaxUserResults
MAX_FACES: Final = 4096  # shape MaxFaces
_LOOSE_FACES: Final = 8  # pictures of a user whose faces may be of several people


class CollectionSearch(CollectionBase):
    """The operations that search a collection."""

    def search_embedding(
        self,
        probe: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[UserMatch, ...]:
        """Find the users nearest to a vector.

        Parameters
        ----------
        probe
            (dimension,) finite real numbers, not all zero.
        user_match_threshold
            The least similarity of a match, percent; 0 returns all users.
        max_users
            The greatest number of users, 1-500; by default 500.
        face_model
            The model that computed the probe, if known: a model other than the collection's is refused.

        Returns
        -------
        tuple of UserMatch
            Nearest first; ties by user id. Empty if no user is similar enough.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError
            If an argument is wrong.
        """
        matches, _ = self.rank(
            probe, user_match_threshold=user_match_threshold, max_users=max_users, face_model=face_model
        )
        return Listing(matches, "user")

    def search_embeddings(
        self,
        probes: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[tuple[UserMatch, ...], ...]:
        """Find the users nearest to each of several vectors, faster than with one search for each.

        Parameters and errors are those of `search_embedding`, but for *probes*: (P, dimension), P >= 0.

        Returns
        -------
        tuple of tuple of UserMatch
            P elements, each equal to the result of `search_embedding`.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
        >>> [matches[0].user.user_id for matches in staff.search_embeddings(np.eye(2, 128)[::-1])]
        ['bob', 'ada']
        """
        ranked = self.rank_many(
            probes, user_match_threshold=user_match_threshold, max_users=max_users, face_model=face_model
        )
        return tuple(matches for matches, _ in ranked)

    def rank(
        self,
        probe: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[tuple[UserMatch, ...], UserMatch | None]:
        """Find the users nearest to a vector, and the next user after them.

        Parameters and errors are those of `search_embedding`.

        Returns
        -------
        tuple of UserMatch, and UserMatch or None
            The result of `search_embedding`, and the nearest other user: below the threshold, or beyond *max_users*. ``None`` if
            there is no other user.
        """
        check_search_options(user_match_threshold, max_users)
        self._check_model(face_model)
        vector = check_embedding(probe, self._face_model.dimension, "probe")
        return self._rank(vector[np.newaxis], user_match_threshold, max_users)[0]

    def rank_many(
        self,
        probes: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[tuple[tuple[UserMatch, ...], UserMatch | None], ...]:
        """Find the users nearest to each of several vectors, and the next user after them.

        Parameters and errors are those of `search_embeddings`.

        Returns
        -------
        tuple of (tuple of UserMatch, and UserMatch or None)
            P elements, each equal to the result of `rank`.
        """
        check_search_options(user_match_threshold, max_users)
        return self._rank(self._probes(probes, face_model), user_match_threshold, max_users)

    def rank_like_user(
        self, user_id: str, *, user_match_threshold: float = 80, max_users: int | None = None
    ) -> tuple[UserMatch, ...]:
        """Find the users nearest to a given user, without that user.

        Parameters
        ----------
        user_id
            The user to compare others with.
        user_match_threshold, max_users
            See `search_embedding`.

        Returns
        -------
        tuple of UserMatch
            Nearest first; ties by user id. Empty for a user without faces. Similarity is computed as in `audit`.

        Raises
        ------
        UserNotFoundError
            If the user does not exist.
        InvalidParameterError
            If another argument is wrong.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob", "countess"], np.eye(3, 128)[[0, 1, 0]])
        >>> [match.user.user_id for match in staff.rank_like_user("ada")]
        ['countess']
        """
        check_search_options(user_match_threshold, max_users)
        with self._store.reading():
            self._check_user(user_id)
            anchor = self._store.anchor(user_id)
        if anchor is None:
            return ()
        most = max_users or MAX_USERS
        ((found, _),) = self._store.nearest(
            anchor.vector[np.newaxis], max_distance=self._reach(user_match_threshold), limit=most + 1
        )
        # These distances include the other users' offsets; the user's own offset is added to all of them.
        matches = (
            self._match(math.sqrt(distance**2 + anchor.offset), other) for distance, other in found if other != user_id
        )
        return tuple(match for match in matches if match.similarity >= user_match_threshold)[:most]

    def rank_faces(
        self,
        probes: npt.ArrayLike,
        *,
        face_match_threshold: float = 80,
        max_faces: int | None = None,
        face_model: FaceModel | None = None,
        exclude: AnyCollection[str] = (),
    ) -> tuple[tuple[tuple[float, Face], ...], ...]:
        """Find the faces nearest to each of several vectors, associated or not.

        Parameters
        ----------
        probes
            (P, dimension) finite real numbers, no row all zero; P >= 0.
        face_match_threshold
            The least similarity of a match, percent; 0 returns all faces.
        max_faces
            The greatest number of faces for each probe, 1-4096; by default 4096.
        face_model
            The model that computed the probes, if known: a model other than the collection's is refused.
        exclude
            Ids of faces to leave out, such as the face that is the probe.

        Returns
        -------
        tuple of tuple of (float, Face)
            P elements: similarity in percent, and the face. Nearest first; ties by face id. Faces that are deleted during the search
            are left out.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError
            If an argument is wrong.

        Notes
        -----
        The first search reads the vectors of all faces into memory, where they stay.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
        >>> ((best,), _) = staff.rank_faces(np.eye(2, 128))
        >>> best[0], best[1].user_id
        (100.0, 'ada')
        """
        check_face_search_options(face_match_threshold, max_faces)
        if isinstance(exclude, str) or not isinstance(exclude, AnyCollection):
            raise InvalidParameterError.of("exclude", exclude, "a collection of face ids")
        unwanted = {check_face_id("exclude", face_id) for face_id in exclude}
        most = max_faces or MAX_FACES
        ranked = self._store.nearest_faces(
            self._probes(probes, face_model), max_distance=self._reach(face_match_threshold), limit=most + len(unwanted)
        )
        similarity = self._calibration.similarity
        answers = [
            [
                (percent, face_id)
                for distance, face_id in found
                if face_id not in unwanted and (percent := similarity(distance)) >= face_match_threshold
            ][:most]
            for found, _ in ranked
        ]
        with self._store.reading():
            faces = self._store.faces_by_id({face_id for answer in answers for _, face_id in answer})
        return tuple(
            tuple((percent, faces[face_id]) for percent, face_id in answer if face_id in faces) for answer in answers
        )

    def audit(
        self,
        *,
        threshold: float = SAME_PERSON_SIMILARITY,
        own_threshold: float = OWN_SIMILARITY,
        limit: int = 1000,
    ) -> AuditReport:
        """Find likely mistakes: one person under two ids, faces of another person, and users with inconsistent faces.

        Parameters
        ----------
        threshold
            Percent, 0-100. Two users with vectors of at least this similarity are reported as one person. With the default, one pair
            of strangers in a hundred thousand is: 500 pairs among 10,000 users. Check the most similar pairs first.
        own_threshold
            Percent, 0-100. A face below it is far from its user's other faces. A user is loose if its median face is below it.
        limit
            The greatest number of findings of each kind, worst first, >= 1.

        Returns
        -------
        AuditReport
            Print it for a table. The collection is not changed.

        Raises
        ------
        InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        `facesearch.enrolment.auditing.audit` describes the rules. 20,000 users take seconds; the collection can be used meanwhile.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob", "countess"], np.eye(3, 128)[[0, 1, 0]])
        >>> print(staff.audit())  # doctest: +ELLIPSIS
        3 users, 3 faces: 1 pairs of users that look like one person, ...
        <BLANKLINE>
        one person?
          similarity  user    user
        ------------  ------  --------
              100.00  ada     countess
        """
        with self._store.reading():
            user_ids, vectors = self._store.user_vectors()
            faces = [stored for stored in self._store.stored_faces() if stored.face.user_id]
        report = audit(
            user_ids,
            vectors,
            faces,
            calibration=self._calibration,
            threshold=threshold,
            own_threshold=own_threshold,
            limit=limit,
        )
        return with_pictures(report, self._audit_pictures(report)) if self._thumbnails else report

    def _audit_pictures(self, report: AuditReport) -> AuditPictures:
        """Return the thumbnails of the findings that are shown."""
        faces = report.misplaced[:ROWS_SHOWN]
        several = {user_id for pair in report.same_person[:ROWS_SHOWN] for user_id in pair.user_ids}
        several |= {user_id for face in faces for user_id in (face.user_id, face.other_user_id) if user_id}
        most = dict.fromkeys(several, SHOWN_FACES) | {user.user_id: _LOOSE_FACES for user in report.loose[:ROWS_SHOWN]}
        with self._store.reading():
            users = {
                user_id: self._nearest_thumbnails(anchor.vector, user_id, count)
                for user_id, count in most.items()
                if (anchor := self._store.anchor(user_id)) is not None
            }
            return AuditPictures(faces=self._thumbnails_of(face.face_id for face in faces), users=users)

    # ---------------------------------------------------------------- helpers

    def _probes(self, probes: npt.ArrayLike, face_model: FaceModel | None) -> FloatArray:
        self._check_model(face_model)
        try:
            rows = np.asarray(probes)
        except (TypeError, ValueError, OverflowError):  # such as rows of different lengths
            rows = np.empty(())
        dimension = self._face_model.dimension
        if rows.ndim == 0 or (len(rows) and rows.ndim == 1):
            raise InvalidEmbeddingError(f"probes: expected shape (P, {dimension}), got shape {rows.shape}")
        return self._matrix(check_embedding(row, dimension, f"probes[{i}]") for i, row in enumerate(rows))

    def _reach(self, threshold: float) -> float:
        # Thresholds apply to the similarity itself, which near 100 is the same float for many distances. This distance only bounds
        # the work, so it is that of a slightly lower similarity.
        return self._calibration.distance_at(max(0, threshold - 1e-9))

    def _rank(
        self, probes: FloatArray, threshold: float, max_users: int | None
    ) -> tuple[tuple[tuple[UserMatch, ...], UserMatch | None], ...]:
        reach = self._reach(threshold)
        answers = []
        for found, beyond in self._store.nearest(probes, max_distance=reach, limit=max_users or MAX_USERS):
            ranked = [self._match(*each) for each in (found if beyond is None else [*found, beyond])]
            taken = sum(match.similarity >= threshold for match in ranked[: len(found)])
            answers.append((tuple(ranked[:taken]), ranked[taken] if taken < len(ranked) else None))
        return tuple(answers)

    def _match(self, distance: float, user_id: str) -> UserMatch:
        return UserMatch(
            similarity=self._calibration.similarity(distance),
            user=MatchedUser(user_id=user_id, user_status=UserStatus.ACTIVE),
        )

    def _matrix(self, vectors: Iterable[FloatArray]) -> FloatArray:
        return np.array([*vectors], np.float32).reshape(-1, self._face_model.dimension)


def check_search_options(user_match_threshold: float, max_users: int | None) -> None:
    """Check that a threshold is 0-100 and a number of users 1-500."""
    check_float("user_match_threshold", user_match_threshold, 0, 100)
    if max_users is not None:
        check_int("max_users", max_users, 1, MAX_USERS)


def check_face_search_options(face_match_threshold: float, max_faces: int | None) -> None:
    """Check that a threshold is 0-100 and a number of faces 1-4096."""
    check_float("face_match_threshold", face_match_threshold, 0, 100)
    if max_faces is not None:
        check_int("max_faces", max_faces, 1, MAX_FACES)
