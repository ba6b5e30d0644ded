"""Storage of a folder's photos: outcomes of earlier calls, results that are final at once, and the judgement at the end.

The faces of an unassociated photo are stored as soon as it is analyzed. So is the outcome for a photo of a user that shows no face,
or several. A face of a user *waits*: it is stored in the collection, where no search finds it, until all photos of the call are
analyzed. Then all waiting faces are judged together, stored, and removed from the waiting ones, in one transaction.

That is the simplest correct design. Judging each user as soon as its photos are analyzed would make the outcome depend on the
order of users. Correcting that at the end would require knowing for each face in the collection whether an interrupted call
wrote it. Here an interrupted call has written nothing that another photo could change. So the next call judges exactly what an
uninterrupted one would have: the same faces, and the collection as it is at that moment (users that were deleted meanwhile, or
got faces, quotas).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
from attrs import field

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.class_names import stable_name
from facesearch.common.once import lazy
from facesearch.common.validation import between, is_a, is_bool, maybe, plain_float
from facesearch.domain.entities import EXTERNAL_IMAGE_ID_PATTERN
from facesearch.domain.sources import relative_source
from facesearch.enrolment.candidates import PhotoAnalysis
from facesearch.enrolment.enroller import MAX_FACES_PER_USER, Enroller, image_id
from facesearch.enrolment.judging import Verdict
from facesearch.enrolment.photo_outcomes import PHOTOS_DISAGREE, QUOTA_EXCEEDED, PhotoOutcome
from facesearch.enrolment.photo_workers import BrokenFile
from facesearch.errors import ExecutorError
from facesearch.selection.quality_filter import QualityFilter
from facesearch.storage.store import StoredFace

__all__ = ["Registrar", "SeenPhoto", "StoppedError"]

_MOST_NAME: Final = 255  # characters of an external image id
_RULES: Final = 2  # increased with each change of the rules that the key does not contain
_FORGOTTEN: Final = "it was forgotten, or its user deleted, while this call ran: the same call looks at it again"


class StoppedError(Exception):
    """The caller stopped the judging; nothing was changed."""


@attrs.frozen(kw_only=True, eq=False)
class SeenPhoto:
    """A photo of a folder.

    Attributes
    ----------
    path
        The file.
    digest
        Hex SHA-256 of its bytes; ``None`` where they can't be read.
    analysis
        The result of the analysis; ``None`` before the analysis, and for a waiting photo.
    """

    path: Path = field(validator=is_a(Path))
    digest: str | None = field(validator=maybe(is_a(str)))
    analysis: PhotoAnalysis | BrokenFile | None = None

    @property
    def name(self) -> str | None:
        """The external image id of its unassociated faces: the file name, where it is valid."""
        name = self.path.name
        return name if len(name) <= _MOST_NAME and re.fullmatch(EXTERNAL_IMAGE_ID_PATTERN, name) else None


@attrs.define(kw_only=True, eq=False, slots=False)
class Registrar:
    """Stores and judges photos by the rules of one call, and records their outcomes.

    Attributes
    ----------
    enroller
        The enroller of the collection.
    analyzer
        The analyzer of the photos, or one with the same settings as that of other processes.
    quality_filter, threshold, anyway
        The options of the call; the threshold in percent.
    thumbnails
        Whether thumbnails of faces are stored.
    root
        The folder, or that of the CSV file, to which the sources of faces are relative.
    """

    enroller: Enroller = field(validator=is_a(Enroller))
    analyzer: FaceAnalyzer = field(validator=is_a(FaceAnalyzer))
    quality_filter: QualityFilter = field(validator=is_a(QualityFilter))
    threshold: float = field(converter=plain_float, validator=between(0, 100))
    anyway: bool = field(validator=is_bool)
    thumbnails: bool = field(validator=is_bool)
    root: Path = field(validator=is_a(Path))

    def recall(self, user_id: str | None, photos: Sequence[SeenPhoto]) -> list[tuple[PhotoOutcome | None, bool]]:
        """Return the results of a user's photos from earlier calls.

        Parameters
        ----------
        user_id
            The user; ``None`` for unassociated photos.
        photos
            The photos, identified by their digests.

        Returns
        -------
        list of (PhotoOutcome or None, bool)
            The outcome, and whether the photo has none but is analyzed already, with a face that waits to be judged. A photo is
            accepted if the user has its face, by whatever rules; other outcomes count if they were judged by the same rules.
            PHOTOS_DISAGREE counts only if no photo of the user is new.
        """
        store = self.enroller.store
        with store.reading():
            secret = store.secret()
            if user_id is None:
                outcomes = [
                    PhotoOutcome()
                    if (image_id(secret, photo.digest), photo.name) in self._unassociated
                    else self._remembered(None, photo)
                    for photo in photos
                ]
                return [(outcome, False) for outcome in outcomes]
            faces = store.faces(user_id) if store.has_user(user_id) else []
            had = {face.image_id for face in faces}
            found = [
                PhotoOutcome() if image_id(secret, photo.digest) in had else self._remembered(user_id, photo)
                for photo in photos
            ]
            keys = self._waiting_keys(user_id, photos)
            waiting = store.waiting(keys)
        again = set()
        if len(faces) < MAX_FACES_PER_USER:
            again.add(QUOTA_EXCEEDED)
        if waiting or None in found or faces or self.anyway:
            again.add(PHOTOS_DISAGREE)
        valid = [None if outcome and again.intersection(outcome.reasons) else outcome for outcome in found]
        return [(outcome, outcome is None and key in waiting) for outcome, key in zip(valid, keys, strict=True)]

    def keep(self, photos: Iterable[tuple[str | None, SeenPhoto]]) -> list[PhotoOutcome | None]:
        """Store the results that depend on no other photo, in one transaction.

        Parameters
        ----------
        photos
            Pairs of the user, ``None`` for an unassociated photo, and the analyzed photo.

        Returns
        -------
        list of PhotoOutcome or None
            The outcome of each photo; ``None`` where its face waits to be judged.

        Raises
        ------
        ExecutorError
            If the workers have another face model; nothing was changed.
        """
        photos = list(photos)
        for analysis in (photo.analysis for _, photo in photos):
            if isinstance(analysis, PhotoAnalysis) and analysis.face_model != self.enroller.face_model:
                ours, theirs = self.enroller.face_model, analysis.face_model
                raise ExecutorError(
                    f"executor: expected vectors of {ours.name} {ours.version} ({ours.digest[:12]}), got those of {theirs.name} "
                    f"{theirs.version} ({theirs.digest[:12]}); its workers need the same facesearch"
                )
        faces = [self._faces(user_id, photo) for user_id, photo in photos]
        outcomes = [self._outcome(user_id, photo) for user_id, photo in photos]
        store = self.enroller.store
        with store.writing():
            self.enroller.keep(
                face for (user_id, _), each in zip(photos, faces, strict=True) if not user_id for face in each
            )
            store.put_waiting(
                (self._waiting_key(user_id, photo), user_id, face)
                for (user_id, photo), each in zip(photos, faces, strict=True)
                if user_id
                for face in each
            )
            for (user_id, photo), outcome in zip(photos, outcomes, strict=True):
                self._remember(user_id, photo, outcome)
        return outcomes

    def judge_waiting(
        self, people: Mapping[str, Sequence[SeenPhoto]], stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, list[PhotoOutcome]]:
        """Judge all waiting photos together, and store the results in one transaction.

        Parameters
        ----------
        people
            The photos with waiting faces, by user id.
        stopped
            Called between users; returns whether to stop.

        Returns
        -------
        dict of str to list of PhotoOutcome
            The outcome of each photo, by user id.

        Raises
        ------
        StoppedError
            If *stopped* returned True.
        """
        store = self.enroller.store

        def faces_of(user_id: str) -> list[StoredFace]:
            if stopped():
                raise StoppedError
            waiting = store.waiting(self._waiting_keys(user_id, people[user_id]))
            # In the photos' order, which decides over the quota. Of two equal photos the first name is kept.
            return [waiting[key] for key in self._waiting_keys(user_id, people[user_id]) if key in waiting]

        with store.writing():
            verdicts = self.enroller.judge(people, faces_of, self.threshold, anyway=self.anyway)
            if stopped():
                raise StoppedError
            # Ordered by id: users are created in this order, which must be the same for every executor.
            ids = {user_id: self._enroll(user_id, verdicts[user_id], people[user_id]) for user_id in sorted(people)}
            outcomes = {}
            for user_id, photos in people.items():  # after all users exist that an outcome may refer to
                outcomes[user_id] = [_judged(verdicts[user_id], face_id) for face_id in ids[user_id]]
                for photo, outcome in zip(photos, outcomes[user_id], strict=True):
                    self._remember(user_id, photo, outcome)
            store.forget_waiting(people)
        return outcomes

    def _enroll(self, user_id: str, verdict: Verdict, photos: Sequence[SeenPhoto]) -> list[str | None]:
        """Enrol the accepted faces of a user, and return the face id of each photo, ``None`` where it no longer waits."""
        keys = self._waiting_keys(user_id, photos)
        waiting = self.enroller.store.waiting(keys)
        self.enroller.enroll(user_id, verdict, waiting.values())
        return [waiting[key].face.face_id if key in waiting else None for key in keys]

    def _faces(self, user_id: str | None, photo: SeenPhoto) -> list[StoredFace]:
        """Return the faces to store of an analyzed photo."""
        if not isinstance(photo.analysis, PhotoAnalysis):
            return []
        name, source = None if user_id else photo.name, relative_source(photo.path, self.root)
        return [
            self.enroller.face(photo.analysis.digest, face, external_image_id=name, source=source)
            for face in photo.analysis.faces
        ]

    def _outcome(self, user_id: str | None, photo: SeenPhoto) -> PhotoOutcome | None:
        """Return the outcome of a photo, or ``None`` where it depends on other photos."""
        if isinstance(photo.analysis, BrokenFile):
            return PhotoOutcome(error=photo.analysis.error)
        if photo.analysis is None or (user_id and photo.analysis.faces):
            return None
        return PhotoOutcome.of_unusable(photo.analysis) if user_id else PhotoOutcome.of_indexed(photo.analysis)

    @lazy
    def _unassociated(self) -> frozenset[tuple[str | None, str | None]]:
        """Ids and names of all photos with faces in the collection at the start, which may have been associated since."""
        with self.enroller.store.reading():
            return frozenset((face.image_id, face.external_image_id) for face in self.enroller.store.faces())

    def _remember(self, user_id: str | None, photo: SeenPhoto, outcome: PhotoOutcome | None) -> None:
        if outcome and not outcome.accepted and photo.digest is not None and outcome.error != _FORGOTTEN:
            key = self._key(user_id, photo, self._outcome_settings)
            self.enroller.store.remember_photo(key, outcome.dumps(), user_id, outcome.other_user_id)

    def _remembered(self, user_id: str | None, photo: SeenPhoto) -> PhotoOutcome | None:
        stored = self.enroller.store.photo_outcome(self._key(user_id, photo, self._outcome_settings))
        try:
            return PhotoOutcome.loads(*stored) if stored else None
        except (ValueError, TypeError, AttributeError):  # invalid text: analyze the photo again
            return None

    def _waiting_key(self, user_id: str, photo: SeenPhoto) -> str:
        return self._key(user_id, photo, self._analysis_settings)

    def _waiting_keys(self, user_id: str, photos: Sequence[SeenPhoto]) -> list[str]:
        return [self._waiting_key(user_id, photo) for photo in photos]

    def _key(self, user_id: str | None, photo: SeenPhoto, rules: tuple[object, ...]) -> str:
        """Return the key of a photo's content, its user, and the rules of its analysis or judgement: 64 hex digits."""
        return hashlib.sha256(repr((user_id, photo.digest, rules)).encode()).hexdigest()

    @lazy
    def _analysis_settings(self) -> tuple[object, ...]:
        """Return all settings that the analysis of a photo depends on."""
        names = [stable_name(type(getattr(self.analyzer, stage))) for stage in _STAGES]
        bars = self.analyzer.bars.of(self.quality_filter)
        return _RULES, self.enroller.face_model.digest, *names, bars, self.thumbnails

    @lazy
    def _outcome_settings(self) -> tuple[object, ...]:
        """Return all settings that the outcome of a photo depends on, apart from the other photos."""
        return *self._analysis_settings, self.threshold


_STAGES: Final = ("detector", "aligner", "landmarker", "embedder", "describer")


def _judged(verdict: Verdict, face_id: str | None) -> PhotoOutcome:
    """Return the outcome of a photo with a waiting face; *face_id* is ``None`` where the face no longer waits."""
    if face_id is None:
        return PhotoOutcome(error=_FORGOTTEN)
    if face_id in verdict.over_quota:
        return PhotoOutcome.over_quota(MAX_FACES_PER_USER)
    refused = verdict.refused.get(face_id)
    return PhotoOutcome.of_enrollment(refused, verdict.needed) if refused else PhotoOutcome()
