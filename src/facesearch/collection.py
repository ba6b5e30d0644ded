"""A collection of people: their faces, their vectors, and the search among them.

Nothing of a photo is kept but its faces' vectors and where they were. A user has one vector, made of its faces; it changes
with them and with nothing else, so adding a face and removing it again leaves the user as it was.
"""

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from facesearch._fields import check_float, check_int, check_text
from facesearch.analysis import AnalyzedFace, FaceAnalyzer, default_analyzer
from facesearch.attributes import Attribute, parse_attributes
from facesearch.audit_report import AuditReport
from facesearch.auditing import OWN_SIMILARITY, SAME_PERSON_SIMILARITY, audit
from facesearch.embedding import DLIB_RESNET_MIRRORED
from facesearch.enrolment import doubts, several_faces
from facesearch.errors import (
    CalibrationError,
    FaceModelMismatchError,
    FaceNotFoundError,
    InvalidEmbeddingError,
    InvalidParameterError,
    QuotaExceededError,
    UserAlreadyExistsError,
    UserNotFoundError,
)
from facesearch.image import ImageSource, Picture, read_image
from facesearch.membership import (
    part_for_association,
    part_for_deletion,
    part_for_disassociation,
)
from facesearch.ranking import check_embedding
from facesearch.records import (
    COLLECTION_ID_PATTERN,
    EXTERNAL_IMAGE_ID_PATTERN,
    USER_ID_PATTERN,
    UUID_PATTERN,
    AssociatedFace,
    AssociateFacesResponse,
    DeleteFacesResponse,
    DisassociatedFace,
    DisassociateFacesResponse,
    Enrollment,
    EnrollmentReason,
    EnrollmentReport,
    Face,
    FaceModel,
    FaceRecord,
    IndexFacesResponse,
    UnindexedFace,
    UnindexedFaceReason,
    User,
    UserStatus,
)
from facesearch.results import MatchedUser, UserMatch
from facesearch.scoring import Calibration
from facesearch.scoring import calibration as calibration_of
from facesearch.selection import QualityFilter, select
from facesearch.stages import FloatArray
from facesearch.storage import MemoryStore

__all__ = ["MAX_FACES_PER_REQUEST", "MAX_FACES_PER_USER", "MAX_USERS", "Collection"]

# Amazon Rekognition's limits: shapes UserFaceIdList, MaxUserResults and FaceIdList of its model, and "100 faces per user".
MAX_FACES_PER_USER = 100
MAX_FACES_PER_REQUEST = 100
MAX_FACES_PER_DELETION = 4096
MAX_USERS = 500

# Ids follow from content (RFC 9562, version 5): the same photo gives the same ids, in every collection of one face model.
_NAMESPACE = uuid.UUID("7f5b2f0e-5d0c-5a52-9d43-9a6b9f3b7c11")

_ROWS_SHOWN = 20


class Collection:
    """People to search among, in memory.

    Parameters
    ----------
    collection_id
        1-255 characters of ``[a-zA-Z0-9_.-]``.
    face_model
        What makes the vectors; other models' are refused. By default the analyzer's, or else dlib's ResNet.
    analyzer
        What finds and embeds faces. By default one for the process is loaded when a picture is first given; a collection
        that only sees embeddings never loads any.
    calibration
        What percentages mean for the face model; by default the analyzer's, or what comes with the library.

    Raises
    ------
    CalibrationError
        If none is given and none comes with the library for this model, or if it is another model's.

    Notes
    -----
    May be used from several threads. Every method either does all it was asked or, where it raises, nothing.

    Examples
    --------
    >>> import numpy as np
    >>> staff = Collection("staff")
    >>> face_id = staff.add_embedding("ada", np.full(128, 0.1))
    >>> [match.user.user_id for match in staff.search_embedding(np.full(128, 0.11))]
    ['ada']
    """

    def __init__(
        self,
        collection_id: str,
        *,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self._id = check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
        if face_model is None:
            face_model = analyzer.face_model if analyzer else DLIB_RESNET_MIRRORED
        self._face_model = face_model
        self._analyzer = analyzer
        if analyzer:
            self._check_model(analyzer.face_model)
        self._calibration = calibration or (analyzer and analyzer.calibration) or calibration_of(face_model)
        if self._calibration.face_model.digest != face_model.digest:
            theirs = self._calibration.face_model
            raise CalibrationError(
                f"calibration: expected that of {face_model.name} ({face_model.digest[:12]}), "
                f"got that of {theirs.name} ({theirs.digest[:12]})"
            )
        self._lock = threading.RLock()
        self._store = MemoryStore(face_model.dimension, self._calibration.user_offset)

    # ---------------------------------------------------------------- what is in it

    @property
    def collection_id(self) -> str:
        """The collection's id."""
        return self._id

    @property
    def face_model(self) -> FaceModel:
        """What makes the vectors in it; pinned for life."""
        return self._face_model

    @property
    def calibration(self) -> Calibration:
        """What percentages mean in it."""
        return self._calibration

    @property
    def analyzer(self) -> FaceAnalyzer:
        """What finds and embeds faces for it.

        Raises
        ------
        FaceModelMismatchError
            If none was given and the process's default makes vectors of another model.
        """
        analyzer = self._analyzer or default_analyzer()
        self._check_model(analyzer.face_model)
        return analyzer

    def users(self) -> tuple[User, ...]:
        """Give all users, by id."""
        with self._lock:
            return tuple(self._user(user_id) for user_id in sorted(self._store.users))

    def faces(self, user_id: str | None = None) -> tuple[Face, ...]:
        """Give all faces, or those of one user, by face id.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        """
        with self._lock:
            face_ids = self._store.faces if user_id is None else self._faces_of(user_id)
            return tuple(face for face_id in sorted(face_ids) if (face := self._store.face(face_id)))

    def face_embedding(self, face_id: str) -> FloatArray:
        """Give a face's vector: (dimension,) float32, read-only.

        Raises
        ------
        FaceNotFoundError
            If there is no such face.
        """
        with self._lock:
            if self._store.face(_check_face_id("face_id", face_id)) is None:
                raise FaceNotFoundError(f"face_id: no face {face_id!r} in collection {self._id!r}")
            return self._store.embedding(face_id)

    def user_embedding(self, user_id: str) -> FloatArray | None:
        """Give a user's vector, made of its faces: (dimension,) float32, or ``None`` for a user without faces.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        """
        with self._lock:
            self._faces_of(user_id)
            return self._store.user_vector(user_id)

    def __len__(self) -> int:
        """How many users there are."""
        return len(self._store.users)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._store.users

    def __repr__(self) -> str:
        return f"<Collection {self._id!r}: {self._summary()}>"

    def _repr_html_(self) -> str:
        users = self.users()
        rows = "".join(
            f"<tr><td>{escape(user.user_id)}</td><td>{len(self._store.faces_of(user.user_id))}</td>"
            f"<td>{user.user_status.value}</td></tr>"
            for user in users[:_ROWS_SHOWN]
        )
        more = f"<p>and {len(users) - _ROWS_SHOWN} more</p>" if len(users) > _ROWS_SHOWN else ""
        return (
            f"<div><p><b>{escape(self._id)}</b>: {escape(self._summary())}</p>"
            f"<table><thead><tr><th>user</th><th>faces</th><th>status</th></tr></thead><tbody>{rows}</tbody></table>"
            f"{more}</div>"
        )

    def _summary(self) -> str:
        faces = self.faces()
        loose = sum(face.user_id is None for face in faces)
        nobodys = f" ({loose} nobody's)" if loose else ""
        model = self._face_model
        return f"{len(self)} users, {len(faces)} faces{nobodys}, face model {model.name} {model.version}"

    # ---------------------------------------------------------------- users

    def create_user(self, user_id: str) -> User:
        """Add a user without faces.

        Raises
        ------
        InvalidParameterError
            If the id is not 1-128 characters of ``[a-zA-Z0-9_.-:]``.
        UserAlreadyExistsError
            If there is such a user.
        """
        check_text("user_id", user_id, USER_ID_PATTERN, 128)
        with self._lock:
            if user_id in self._store.users:
                raise UserAlreadyExistsError(f"user_id: collection {self._id!r} has a user {user_id!r} already")
            self._store.create_user(user_id)
            return self._user(user_id)

    def delete_user(self, user_id: str, *, faces: bool = False) -> None:
        """Remove a user.

        Parameters
        ----------
        user_id
            Whom.
        faces
            Remove the user's faces too, so that nothing of the person is left. As in AWS they stay otherwise, as
            nobody's.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        """
        with self._lock:
            face_ids = self._faces_of(user_id)
            self._store.delete_user(user_id)
            if faces:
                for face_id in face_ids:
                    self._store.remove_face(face_id)

    # ---------------------------------------------------------------- faces from pictures

    def index_faces(
        self,
        image: ImageSource,
        *,
        external_image_id: str | None = None,
        max_faces: int | None = None,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,),
    ) -> IndexFacesResponse:
        """Find the faces in a photo and add them, as nobody's.

        Parameters
        ----------
        image
            Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array.
        external_image_id
            Your own name for the photo: 1-255 characters of ``[a-zA-Z0-9_.-:]``.
        max_faces
            Add so many of the largest that pass, >= 1; AWS's own limit of 100 holds in any case.
        quality_filter
            NONE, AUTO, LOW, MEDIUM or HIGH.
        attributes
            What to tell of each face; AWS's names.

        Returns
        -------
        IndexFacesResponse
            The faces added, largest first, and the others with the reasons. A photo indexed again under the same
            ``external_image_id`` adds nothing and gives the same records.

        Raises
        ------
        ImageError
            If the picture can't be used.
        InvalidParameterError
            If another argument is wrong.
        """
        if external_image_id is not None:
            check_text("external_image_id", external_image_id, EXTERNAL_IMAGE_ID_PATTERN, 255)
        if max_faces is not None:
            check_int("max_faces", max_faces, 1)
        bars, asked = QualityFilter.parse(quality_filter), parse_attributes(attributes)
        picture, analyzer = read_image(image), self.analyzer
        located = analyzer.locate(picture, attributes=asked)
        selection = select([face.measurements for face in located], bars, max_faces=max_faces)
        accepted = analyzer.embed([located[position] for position in selection.accepted])
        with self._lock:
            records = tuple(
                FaceRecord(face=self._keep(picture, face, external_image_id), face_detail=face.detail)
                for face in accepted
            )
        return IndexFacesResponse(
            face_records=records,
            unindexed_faces=tuple(
                UnindexedFace(
                    face_detail=located[position].detail,
                    reasons=tuple(UnindexedFaceReason(reason.value) for reason in reasons),
                )
                for position, reasons in selection.refused
            ),
            face_model_version=self._face_model.version,
        )

    def enroll(
        self,
        user_id: str,
        images: Sequence[ImageSource],
        *,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        user_match_threshold: float = 75,
    ) -> EnrollmentReport:
        """Make a user of photos: index the largest face of each, create the user if need be, and associate them.

        Parameters
        ----------
        user_id
            An existing user gets more faces.
        images
            One or more photos of the person, who must be the largest face in each.
        quality_filter
            NONE, AUTO, LOW, MEDIUM or HIGH.
        user_match_threshold
            A user that has faces already accepts only photos of at least this similarity, percent. At 0 who the photos show
            is your word: nothing is compared.

        Returns
        -------
        EnrollmentReport
            What became of each photo. Of a photo that was not accepted nothing is kept, and of a new user with none that
            was accepted neither.

        Notes
        -----
        All photos are judged at once; their order changes nothing, and one that is given twice counts once. Not accepted
        are photos in which a second face is at least half as large as the largest, photos that don't fit the user's faces
        or, of a new user and from three photos on, the other photos, and photos that are clearly nearer to another user of
        the collection than to their own. `facesearch.enrolment.doubts` has the rules.

        Raises
        ------
        ImageError
            If a picture can't be used; nothing was changed.
        InvalidParameterError
            If another argument is wrong.
        QuotaExceededError
            If the user would have more than 100 faces; nothing was changed.
        """
        check_text("user_id", user_id, USER_ID_PATTERN, 128)
        check_float("user_match_threshold", user_match_threshold, 0, 100)
        _check_sequence("images", images, "a sequence of one or more pictures")
        bars, analyzer = QualityFilter.parse(quality_filter), self.analyzer
        looks = [_look(analyzer, read_image(image), bars) for image in images]
        with self._lock:
            face_ids = [self._face_id(look.picture, look.face, None) if look.face else None for look in looks]
            offered = {
                face_id: (look.picture, look.face)
                for face_id, look in zip(face_ids, looks, strict=True)
                if face_id and look.face
            }
            refused = self._refusals(user_id, offered, user_match_threshold)
            accepted = offered.keys() - refused.keys()
            self._check_quota(user_id, len(self._store.faces_of(user_id) | accepted))
            # Nothing is written before here, and nothing raises after.
            if accepted:
                self._store.create_user(user_id)
                for face_id in accepted:
                    self._keep(*offered[face_id], None)
                    self._store.assign(face_id, user_id)
                self._store.refresh(user_id)
            return EnrollmentReport(
                user=self._user(user_id) if user_id in self._store.users else None,
                photos=tuple(
                    refused.get(face_id) or Enrollment(face=self._store.face(face_id))
                    if face_id
                    else Enrollment(reasons=look.reasons)
                    for face_id, look in zip(face_ids, looks, strict=True)
                ),
            )

    # ---------------------------------------------------------------- faces from vectors

    def add_embedding(self, user_id: str, vector: npt.ArrayLike, *, face_model: FaceModel | None = None) -> str:
        """Add one face to a user without any picture; the user is created if need be.

        Parameters
        ----------
        user_id
            1-128 characters of ``[a-zA-Z0-9_.-:]``.
        vector
            (dimension,) finite real numbers, not all zero.
        face_model
            What made it, if you keep track: another model than the collection's is refused.

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
        """Add one face to each of several users, all or none; users are created if need be.

        Parameters
        ----------
        user_ids
            N ids; one may come several times.
        matrix
            (N, dimension) finite real numbers, no row all zero.
        face_model
            What made them, if you keep track.

        Returns
        -------
        tuple of str
            The ids of the N new faces.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError, QuotaExceededError
            Nothing was changed.
        """
        _check_sequence("user_ids", user_ids, "a sequence of one or more user ids")
        for user_id in user_ids:
            check_text("user_ids", user_id, USER_ID_PATTERN, 128)
        if face_model is not None:
            self._check_model(face_model)
        try:
            rows = np.asarray(matrix)
        except ValueError:  # rows of different lengths
            rows = np.empty(0)
        if rows.shape[:1] != (len(user_ids),):
            raise InvalidEmbeddingError(
                f"matrix: expected shape ({len(user_ids)}, {self._face_model.dimension}), one row a user id, "
                f"got shape {rows.shape}"
            )
        vectors = [check_embedding(row, self._face_model.dimension, f"matrix[{i}]") for i, row in enumerate(rows)]
        with self._lock:
            counts: dict[str, int] = {}
            for user_id in user_ids:
                counts[user_id] = counts.get(user_id, len(self._store.faces_of(user_id))) + 1
                self._check_quota(user_id, counts[user_id])
            face_ids = tuple(
                self._keep_vector(user_id, vector) for user_id, vector in zip(user_ids, vectors, strict=True)
            )
            for user_id in counts:
                self._store.refresh(user_id)
        return face_ids

    # ---------------------------------------------------------------- whose a face is

    def associate_faces(
        self, user_id: str, face_ids: Sequence[str], *, user_match_threshold: float = 75
    ) -> AssociateFacesResponse:
        """Make indexed faces a user's.

        Parameters
        ----------
        user_id
            Whose.
        face_ids
            1-100 ids; those that are the user's already are passed over in silence.
        user_match_threshold
            Where the user has faces already: the similarity that a face must have to the user, percent.

        Returns
        -------
        AssociateFacesResponse
            Faces that are unknown, another user's or not similar enough are listed with the reason, not raised.

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
        wanted = _check_face_ids(face_ids, MAX_FACES_PER_REQUEST)
        with self._lock:
            had = self._faces_of(user_id)
            taken, refused = part_for_association(
                self._store, user_id, wanted, threshold=user_match_threshold, calibration=self._calibration
            )
            self._check_quota(user_id, len(had) + len(taken))
            for face_id in taken:
                self._store.assign(face_id, user_id)
            self._store.refresh(user_id)
            return AssociateFacesResponse(
                associated_faces=tuple(AssociatedFace(face_id=face_id) for face_id in taken),
                unsuccessful_face_associations=tuple(refused),
                user_status=self._user(user_id).user_status,
            )

    def disassociate_faces(self, user_id: str, face_ids: Sequence[str]) -> DisassociateFacesResponse:
        """Take faces from a user; they stay in the collection as nobody's.

        Parameters
        ----------
        user_id
            Whose.
        face_ids
            1-100 ids; those that are nobody's are passed over in silence.

        Returns
        -------
        DisassociateFacesResponse
            Faces that are unknown or another user's are listed with the reason, not raised.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        InvalidParameterError
            If another argument is wrong.
        """
        wanted = _check_face_ids(face_ids, MAX_FACES_PER_REQUEST)
        with self._lock:
            self._faces_of(user_id)
            gone, refused = part_for_disassociation(self._store, user_id, wanted)
            for face_id in gone:
                self._store.assign(face_id, None)
            self._store.refresh(user_id)
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
            Faces that are unknown or a user's are listed with the reason, not raised: disassociate them first, or
            remove the user with ``delete_user(..., faces=True)``.

        Raises
        ------
        InvalidParameterError
            If the list is no such list.
        """
        wanted = _check_face_ids(face_ids, MAX_FACES_PER_DELETION)
        with self._lock:
            gone, refused = part_for_deletion(self._store, wanted)
            for face_id in gone:
                self._store.remove_face(face_id)
        return DeleteFacesResponse(deleted_faces=tuple(gone), unsuccessful_face_deletions=tuple(refused))

    # ---------------------------------------------------------------- what looks wrong in it

    def audit(
        self,
        *,
        threshold: float = SAME_PERSON_SIMILARITY,
        own_threshold: float = OWN_SIMILARITY,
        limit: int = 1000,
    ) -> AuditReport:
        """Look for mistakes: one person under two ids, faces that are not their user's, users that don't hang together.

        Parameters
        ----------
        threshold
            Percent, 0-100: users whose vectors are at least as similar as that are taken for one person. Of strangers it is
            one pair in a hundred thousand by default, which in 10,000 users are 500 pairs: look at the most similar first.
        own_threshold
            Percent, 0-100: a face below that is far from its user's other faces, and a user whose median face is below it is
            loose.
        limit
            Tell at most so many of each kind, the worst, >= 1.

        Returns
        -------
        AuditReport
            Print it for a table. Nothing is changed; what to do about it is yours to decide.

        Raises
        ------
        InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        `facesearch.auditing.audit` has the rules. 20,000 users take seconds; the collection can be used meanwhile.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob", "countess"], np.eye(3, 128)[[0, 1, 0]])
        >>> print(staff.audit())  # doctest: +ELLIPSIS
        3 users, 3 faces: 1 pairs of users that look like one person, ...
        <BLANKLINE>
        one person?
        100.00  ada  countess
        """
        with self._lock:
            user_vectors = {
                user_id: vector
                for user_id in self._store.users
                if (vector := self._store.user_vector(user_id)) is not None
            }
            faces = {
                face_id: (user_id, self._store.embedding(face_id))
                for user_id in user_vectors
                for face_id in self._store.faces_of(user_id)
            }
        return audit(
            list(user_vectors),
            self._matrix(user_vectors.values()),
            list(faces),
            [user_id for user_id, _ in faces.values()],
            self._matrix(vector for _, vector in faces.values()),
            calibration=self._calibration,
            threshold=threshold,
            own_threshold=own_threshold,
            limit=limit,
        )

    # ---------------------------------------------------------------- search

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
            Only users of at least this similarity, percent; 0 is everybody.
        max_users
            At most so many, 1-500; by default 500.
        face_model
            What made the probe, if you keep track: another model than the collection's is refused.

        Returns
        -------
        tuple of UserMatch
            Nearest first; equally near ones by user id. Empty when nobody is similar enough.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError
            If an argument is wrong.
        """
        return self.rank(probe, user_match_threshold=user_match_threshold, max_users=max_users, face_model=face_model)[
            0
        ]

    def rank(
        self,
        probe: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[tuple[UserMatch, ...], UserMatch | None]:
        """Find the users nearest to a vector, and who comes next.

        Parameters and errors are those of `search_embedding`.

        Returns
        -------
        tuple of UserMatch, and UserMatch or None
            What `search_embedding` gives, and the nearest user that is not among them: below the threshold, or beyond
            *max_users*. ``None`` where there is no other user.
        """
        check_search_options(user_match_threshold, max_users)
        if face_model is not None:
            self._check_model(face_model)
        vector = check_embedding(probe, self._face_model.dimension, "probe")
        # The cut is made on the similarity itself, which near 100 is the same float for many distances; this distance only
        # bounds the work, so it is that of a hair less.
        reach = self._calibration.distance_at(max(0, user_match_threshold - 1e-9))
        with self._lock:
            found, beyond = self._store.nearest(vector, max_distance=reach, limit=max_users or MAX_USERS)
        ranked = [self._match(*each) for each in found]
        matches = tuple(match for match in ranked if match.similarity >= user_match_threshold)
        if len(matches) < len(ranked):
            return matches, ranked[len(matches)]
        return matches, None if beyond is None else self._match(*beyond)

    # ---------------------------------------------------------------- within; the lock is held

    def _match(self, distance: float, user_id: str) -> UserMatch:
        return UserMatch(
            similarity=self._calibration.similarity(distance),
            user=MatchedUser(user_id=user_id, user_status=UserStatus.ACTIVE),
        )

    def _check_model(self, face_model: FaceModel) -> None:
        if face_model != self._face_model:
            ours, theirs = self._face_model, face_model
            raise FaceModelMismatchError(
                f"face_model: collection {self._id!r} holds vectors of {ours.name} {ours.version} "
                f"({ours.digest[:12]}), got {theirs.name} {theirs.version} ({theirs.digest[:12]})"
            )

    def _check_quota(self, user_id: str, faces: int) -> None:
        if faces > MAX_FACES_PER_USER:
            raise QuotaExceededError(
                f"face_ids: user {user_id!r} would have {faces} faces, at most {MAX_FACES_PER_USER}"
            )

    def _user(self, user_id: str) -> User:
        status = UserStatus.ACTIVE if self._store.faces_of(user_id) else UserStatus.CREATED
        return User(user_id=user_id, user_status=status)

    def _faces_of(self, user_id: str) -> frozenset[str]:
        check_text("user_id", user_id, USER_ID_PATTERN, 128)
        if user_id not in self._store.users:
            raise UserNotFoundError(f"user_id: no user {user_id!r} in collection {self._id!r}")
        return self._store.faces_of(user_id)

    def _face_id(self, picture: Picture, face: AnalyzedFace, external_image_id: str | None) -> str:
        box = face.detail.bounding_box
        return _content_id("face", self._face_model.digest, picture.digest, external_image_id, box)

    def _keep(self, picture: Picture, analyzed: AnalyzedFace, external_image_id: str | None) -> Face:
        """Add a photo's face, unless it is there already."""
        face = Face(
            face_id=self._face_id(picture, analyzed, external_image_id),
            bounding_box=analyzed.detail.bounding_box,
            image_id=_content_id("image", picture.digest),
            external_image_id=external_image_id,
            confidence=analyzed.detail.confidence,
            index_faces_model_version=self._face_model.version,
        )
        known = self._store.face(face.face_id)
        if known is None:
            self._store.put_face(face, check_embedding(analyzed.embedding, self._face_model.dimension))
        return known or face

    def _keep_vector(self, user_id: str, vector: FloatArray) -> str:
        # The same vector added again is one more face: the first free number of its content makes the id.
        copies = 0
        while self._store.face(face_id := _content_id("vector", user_id, vector.tobytes().hex(), copies)):
            copies += 1
        self._store.create_user(user_id)
        face = Face(face_id=face_id, index_faces_model_version=self._face_model.version, user_id=user_id)
        self._store.put_face(face, vector)
        return face_id

    def _refusals(
        self, user_id: str, offered: Mapping[str, tuple[Picture, AnalyzedFace]], threshold: float
    ) -> dict[str, Enrollment]:
        """Give the faces, by id, that shall not become a user's, and why; changes nothing."""
        refused: dict[str, Enrollment] = {}
        candidates: dict[str, FloatArray] = {}
        for face_id, (_, face) in offered.items():
            known = self._store.face(face_id)
            if known is None:
                candidates[face_id] = check_embedding(face.embedding, self._face_model.dimension)
            elif known.user_id is None:
                candidates[face_id] = self._store.embedding(face_id)
            elif known.user_id != user_id:
                reason = EnrollmentReason.ASSOCIATED_TO_A_DIFFERENT_USER
                refused[face_id] = Enrollment(reasons=(reason,), user_id=known.user_id)
        found = doubts(
            self._matrix(candidates.values()),
            self._matrix(self._store.embedding(face_id) for face_id in self._store.faces_of(user_id)),
            lambda vector, reach: self._nearest_other(vector, user_id, reach),
            threshold=threshold,
            calibration=self._calibration,
        )
        for face_id, doubt in zip(candidates, found, strict=True):
            if doubt:
                refused[face_id] = Enrollment(
                    reasons=doubt.reasons,
                    confidence=doubt.confidence,
                    user_id=doubt.user_id,
                    user_confidence=doubt.user_confidence,
                )
        return refused

    def _nearest_other(self, vector: FloatArray, user_id: str, reach: float) -> tuple[float, str] | None:
        found, _ = self._store.nearest(vector, max_distance=reach, limit=2)
        return next((each for each in found if each[1] != user_id), None)

    def _matrix(self, vectors: Iterable[FloatArray]) -> FloatArray:
        return np.array([*vectors], np.float32).reshape(-1, self._face_model.dimension)


def check_search_options(user_match_threshold: float, max_users: int | None) -> None:
    """Refuse a threshold outside 0-100 and a number of users outside 1-500.

    Raises
    ------
    InvalidParameterError
        That names the argument.
    """
    check_float("user_match_threshold", user_match_threshold, 0, 100)
    if max_users is not None:
        check_int("max_users", max_users, 1, MAX_USERS)


@attrs.frozen(kw_only=True)
class _Look:
    """What a photo offers for enrolment: its largest face if that passes, or why there is none."""

    picture: Picture
    face: AnalyzedFace | None = None
    reasons: tuple[EnrollmentReason, ...] = ()


def _look(analyzer: FaceAnalyzer, picture: Picture, bars: QualityFilter) -> _Look:
    located = analyzer.locate(picture)
    if not located:
        return _Look(picture=picture, reasons=(EnrollmentReason.NO_FACE,))
    # Only the largest counts: a smaller face that passes where the largest does not is likely somebody else's.
    selection = select([located[0].measurements], bars)
    reasons = [EnrollmentReason(reason.value) for _, faults in selection.refused for reason in faults]
    if several_faces([face.measurements.area for face in located]):
        reasons.insert(0, EnrollmentReason.SEVERAL_FACES)
    if reasons:
        return _Look(picture=picture, reasons=tuple(reasons))
    return _Look(picture=picture, face=analyzer.embed(located[:1])[0])


def _content_id(*parts: Any) -> str:
    return str(uuid.uuid5(_NAMESPACE, repr(parts)))


def _check_sequence(argument: str, value: Any, expected: str) -> None:
    if isinstance(value, str | bytes | bytearray | memoryview) or not isinstance(value, Sequence) or not value:
        raise InvalidParameterError.of(argument, value, expected)


def _check_face_id(argument: str, face_id: Any) -> str:
    return check_text(argument, face_id, UUID_PATTERN, 36)


def _check_face_ids(face_ids: Any, most: int) -> tuple[str, ...]:
    """Give the ids without repetition, in their order."""
    expected = f"a sequence of 1 to {most} face ids"
    _check_sequence("face_ids", face_ids, expected)
    if len(face_ids) > most:
        raise InvalidParameterError.of("face_ids", face_ids, expected)
    return tuple(dict.fromkeys(_check_face_id("face_ids", face_id) for face_id in face_ids))
