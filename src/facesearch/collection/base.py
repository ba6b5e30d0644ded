"""The base class of the parts of a collection: settings, store, and checks of arguments and quotas.

`facesearch.collection.collection.Collection` inherits from all parts. Each part is a module and imports no other part.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np

from facesearch.analysis.analyzer import FaceAnalyzer, default_analyzer, family_of
from facesearch.common.arrays import FloatArray
from facesearch.common.validation import check_bool, check_is, check_text
from facesearch.domain.entities import (
    COLLECTION_ID_PATTERN,
    LONGEST_USER_ID,
    USER_ID_PATTERN,
    UUID_PATTERN,
    Face,
    FaceModel,
    User,
    UserStatus,
)
from facesearch.embedding.sface import SFACE_PLAIN
from facesearch.enrolment.judging import MAX_FACES_PER_USER
from facesearch.errors import (
    CalibrationError,
    FaceModelMismatchError,
    FaceNotFoundError,
    InvalidParameterError,
    QuotaExceededError,
    UserNotFoundError,
)
from facesearch.images.stored_thumbnails import is_thumbnail
from facesearch.matching.calibration import Calibration, calibration as calibration_of
from facesearch.storage.memory import MemoryStore
from facesearch.storage.store import NewStore, new_store

__all__ = [
    "MAX_FACES_PER_DELETION",
    "TOKEN_SECONDS",
    "CollectionBase",
    "check_face_id",
    "check_face_ids",
    "check_sequence",
    "check_settings",
    "user_of",
]

MAX_FACES_PER_DELETION: Final = 4096
"""As in Amazon Rekognition's model: shape FaceIdList."""

TOKEN_SECONDS: Final = 24 * 3600
"""Seconds for which an answer is stored; see `Collection.once`."""


class CollectionBase:
    """A collection in memory without operations; see `facesearch.collection.collection.Collection` for the parameters."""

    _clock: Callable[[], float] = staticmethod(time.time)

    def __init__(
        self,
        collection_id: str,
        *,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
        thumbnails: bool = False,
        store: NewStore | None = None,
    ) -> None:
        self._id = check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
        self._where = f"collection {self._id!r}"  # for messages about what is stored
        check_settings(face_model, analyzer, calibration)
        if face_model is None:
            face_model = analyzer.face_model if analyzer else SFACE_PLAIN
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
        self._thumbnails = check_bool("thumbnails", thumbnails)
        self._store = new_store(store or MemoryStore, face_model.dimension, self._calibration.user_offset)

    def __getstate__(self) -> object:
        raise InvalidParameterError(
            f"collection: a Collection can't be copied or pickled, got {self._id!r}: where another process needs it, open it "
            "there, Collection.open(path, collection_id); for a copy, save(path) and Collection.load(path)"
        )

    @property
    def collection_id(self) -> str:
        """The collection's id."""
        return self._id

    @property
    def face_model(self) -> FaceModel:
        """The face model that computes its vectors; it never changes."""
        return self._face_model

    @property
    def calibration(self) -> Calibration:
        """The calibration that converts distances to percentages."""
        return self._calibration

    @property
    def analyzer(self) -> FaceAnalyzer:
        """The analyzer that detects and embeds faces: that passed, or the default one of the family of the face model.

        Raises
        ------
        FaceModelMismatchError
            If no analyzer was passed and no family has the face model.
        """
        analyzer = self._analyzer or default_analyzer(family_of(self._face_model))
        self._check_model(analyzer.face_model)
        return analyzer

    # ---------------------------------------------------------------- checks; those that use the store are called within a block of it

    def _check_model(self, face_model: FaceModel | None) -> None:
        if face_model is not None and check_is("face_model", face_model, FaceModel) != self._face_model:
            ours, theirs = self._face_model, face_model
            raise FaceModelMismatchError(
                f"face_model: collection {self._id!r} holds vectors of {ours.name} {ours.version} "
                f"({ours.digest[:12]}), got {theirs.name} {theirs.version} ({theirs.digest[:12]}), which are not comparable; "
                f"use {_analyzer_of(ours)}, or index the photos into a new collection"
            )

    def _check_quota(self, user_id: str, faces: int) -> None:
        if faces > MAX_FACES_PER_USER:
            raise QuotaExceededError(
                f"face_ids: user {user_id!r} would have {faces} faces, at most {MAX_FACES_PER_USER}"
            )

    def _check_user(self, user_id: str, argument: str = "user_id") -> None:
        check_text(argument, user_id, USER_ID_PATTERN, LONGEST_USER_ID)
        if not self._store.has_user(user_id):
            raise UserNotFoundError(f"{argument}: no user {user_id!r} in collection {self._id!r}")

    def _face(self, face_id: str) -> Face:
        face = self._store.face(check_face_id("face_id", face_id))
        if face is None:
            raise FaceNotFoundError(f"face_id: no face {face_id!r} in collection {self._id!r}")
        return face

    def _user(self, user_id: str) -> User:
        return user_of(user_id, len(self._store.faces_of(user_id)))

    # ---------------------------------------------------------------- thumbnails, within a block of the store

    def _thumbnails_of(self, face_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the stored thumbnails of those faces that exist, by id."""
        kept = ((face_id, self._store.thumbnail(face_id)) for face_id in self._store.faces_by_id(face_ids))
        return {face_id: jpeg for face_id, jpeg in kept if jpeg is not None and is_thumbnail(jpeg)}

    def _nearest_thumbnails(self, probe: FloatArray, user_id: str, most: int) -> tuple[bytes, ...]:
        """Return thumbnails of a user's faces, nearest to a vector first."""

        def distance(face_id: str) -> tuple[float, str]:
            return float(np.linalg.norm(self._store.embedding(face_id) - probe)), face_id

        ordered = sorted(self._store.faces_of(user_id), key=distance)
        kept = (self._store.thumbnail(face_id) for face_id in ordered)
        return tuple([small for small in kept if small is not None and is_thumbnail(small)][:most])


def _analyzer_of(face_model: FaceModel) -> str:
    """Return the words for an analyzer of a face model."""
    family = family_of(face_model)
    return f"fs.FaceAnalyzer(models={family.value!r})" if family else "an analyzer whose embedder has its model"


def check_settings(
    face_model: FaceModel | None, analyzer: FaceAnalyzer | None, calibration: Calibration | None
) -> None:
    """Check that each of these arguments is ``None`` or of its type."""
    for argument, value, kind in (
        ("face_model", face_model, FaceModel),
        ("analyzer", analyzer, FaceAnalyzer),
        ("calibration", calibration, Calibration),
    ):
        if value is not None:
            check_is(argument, value, kind)


def user_of(user_id: str, faces: int) -> User:
    """Return a user with its status by the number of its faces."""
    return User(user_id=user_id, user_status=UserStatus.ACTIVE if faces else UserStatus.CREATED)


def check_sequence(argument: str, value: Any, expected: str) -> None:
    """Check that a value is a sequence, not empty, and neither text nor bytes."""
    if isinstance(value, str | bytes | bytearray | memoryview) or not isinstance(value, Sequence) or not value:
        raise InvalidParameterError.of(argument, value, expected)


def check_face_id(argument: str, face_id: Any) -> str:
    """Return a face id if it is valid; the error names the argument."""
    return check_text(argument, face_id, UUID_PATTERN, 36)


def check_face_ids(face_ids: Any, most: int) -> tuple[str, ...]:
    """Return face ids, a sequence of 1 to *most*, without duplicates, in their order."""
    expected = f"a sequence of 1 to {most} face ids"
    check_sequence("face_ids", face_ids, expected)
    if len(face_ids) > most:
        raise InvalidParameterError.of("face_ids", face_ids, expected)
    return tuple(dict.fromkeys(check_face_id("face_ids", face_id) for face_id in face_ids))
