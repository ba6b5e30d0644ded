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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.class_names import stable_name
from facesearch.common.once import lazy
from facesearch.domain.entities import EXTERNAL_IMAGE_ID_PATTERN
from facesearch.domain.sources import relative_source
from facesearch.enrolment.candidates import PhotoAnalysis
from facesearch.enrolment.enroller import Enroller, image_id
from facesearch.enrolment.judging import MAX_FACES_PER_USER, Verdict
from facesearch.enrolment.photo_outcomes import PHOTOS_DISAGREE, QUOTA_EXCEEDED, PhotoOutcome
from facesearch.enrolment.photo_workers import Analyzed, BrokenFile
from facesearch.errors import ExecutorError
from facesearch.selection.quality_filter import QualityFilter
from facesearch.storage.store import StoredFace

__all__ = ["FolderPhoto", "Registrar", "StoppedError"]

_MOST_NAME: Final = 255  # characters of an external image id
_STAGES: Final = ("detector", "aligner", "landmarker", "embedder", "describer")
_RULES: Final = 2  # increased with each change of the rules that the key does not contain
_FORGOTTEN: Final = "it was forgotten, or its user deleted, while this call ran: the same call looks at it again"


class StoppedError(Exception):
    """The caller stopped the judging; nothing was changed."""


@attrs.define(kw_only=True, eq=False)
class FolderPhoto:
    """A photo of a folder on its way into the collection."""

    user_id: str | None  # None for an unassociated photo
    path: Path
    digest: str | None = None  # hex SHA-256 of its bytes; None where they can't be read
    analysis: Analyzed | None = None  # None before the analysis, and for a waiting photo
    outcome: PhotoOutcome | None = None  # None where it is not known yet
    waits: bool = False  # it is analyzed, and its face waits to be judged

    @property
    def name(self) -> str | None:
        """The external image id of its unassociated faces: the file name, where it is valid."""
        name = self.path.name
        return name if len(name) <= _MOST_NAME and re.fullmatch(EXTERNAL_IMAGE_ID_PATTERN, name) else None


@attrs.define(kw_only=True, eq=False, slots=False)
class Registrar:
    """Stores and judges photos by the rules of one call, and sets their outcomes.

    The analyzer is that of the photos, or one with the same settings as that of other processes. The sources of faces are
    relative to *root*, the folder or that of the CSV file.
    """

    enroller: Enroller
    analyzer: FaceAnalyzer
    quality_filter: QualityFilter
    threshold: float  # percent
    anyway: bool
    thumbnails: bool
    root: Path

    def recall(self, user_id: str | None, photos: Sequence[FolderPhoto]) -> None:
        """Set the outcomes of a user's photos from earlier calls, found by their digests, or that they wait.

        A photo is accepted if the user has its face, by whatever rules; other outcomes count if they were judged by the same rules.
        PHOTOS_DISAGREE counts only if no photo of the user is new.
        """
        store = self.enroller.store
        with store.reading():
            secret = store.secret()
            if user_id is None:
                for photo in photos:
                    is_known = (image_id(secret, photo.digest), photo.name) in self._unassociated
                    photo.outcome = PhotoOutcome() if is_known else self._remembered(photo)
                return
            faces = store.faces(user_id) if store.has_user(user_id) else []
            had = {face.image_id for face in faces}
            for photo in photos:
                photo.outcome = PhotoOutcome() if image_id(secret, photo.digest) in had else self._remembered(photo)
            waiting = store.waiting(map(self._waiting_key, photos))
        again = set()
        if len(faces) < MAX_FACES_PER_USER:
            again.add(QUOTA_EXCEEDED)
        if waiting or faces or self.anyway or not all(photo.outcome for photo in photos):
            again.add(PHOTOS_DISAGREE)
        for photo in photos:
            if photo.outcome and again.intersection(photo.outcome.reasons):
                photo.outcome = None
            photo.waits = photo.outcome is None and self._waiting_key(photo) in waiting

    def keep(self, photos: Sequence[FolderPhoto]) -> None:
        """Store the results of analyzed photos that depend on no other photo, in one transaction; the other photos wait."""
        for photo in photos:
            self._check_model(photo)
            photo.outcome = self._outcome(photo)
            photo.waits = photo.outcome is None
        faces = [(photo, face) for photo in photos for face in self._faces(photo)]
        store = self.enroller.store
        with store.writing():
            self.enroller.keep(face for photo, face in faces if not photo.user_id)
            store.put_waiting((self._waiting_key(photo), photo.user_id, face) for photo, face in faces if photo.user_id)
            for photo in photos:
                self._remember(photo)

    def judge_waiting(self, people: Mapping[str, Sequence[FolderPhoto]], stopped: Callable[[], bool]) -> None:
        """Judge all waiting photos, by user id, together, and store the results in one transaction.

        *stopped* is called between users; where it returns True, `StoppedError` is raised.
        """
        store = self.enroller.store

        def faces_of(user_id: str) -> list[StoredFace]:
            if stopped():
                raise StoppedError
            keys = [self._waiting_key(photo) for photo in people[user_id]]
            waiting = store.waiting(keys)
            # In the photos' order, which decides over the quota. Of two equal photos the first name is kept.
            return [waiting[key] for key in keys if key in waiting]

        with store.writing():
            verdicts = self.enroller.judge(people, faces_of, self.threshold, anyway=self.anyway)
            if stopped():
                raise StoppedError
            # Ordered by id: users are created in this order, which must be the same for every executor.
            for user_id in sorted(people):
                self._enroll(user_id, verdicts[user_id], people[user_id])
            for photo in (photo for photos in people.values() for photo in photos):
                self._remember(photo)  # after all users exist that an outcome may refer to
            store.forget_waiting(people)

    def _enroll(self, user_id: str, verdict: Verdict, photos: Sequence[FolderPhoto]) -> None:
        """Enrol the accepted faces of a user, and set the outcomes of the photos."""
        waiting = self.enroller.store.waiting(map(self._waiting_key, photos))
        self.enroller.enroll(user_id, verdict, waiting.values())
        for photo in photos:
            stored = waiting.get(self._waiting_key(photo))
            face_id = stored.face.face_id if stored else None
            if face_id is None:  # it no longer waits
                photo.outcome = PhotoOutcome(error=_FORGOTTEN)
            elif face_id in verdict.over_quota:
                figure = f"the user has {MAX_FACES_PER_USER} faces, which is the most"
                photo.outcome = PhotoOutcome(reasons=(QUOTA_EXCEEDED,), figures=(figure,))
            else:
                refused = verdict.refused.get(face_id)
                photo.outcome = PhotoOutcome.of_enrollment(refused, verdict.needed) if refused else PhotoOutcome()

    def _check_model(self, photo: FolderPhoto) -> None:
        ours, analysis = self.enroller.face_model, photo.analysis
        if isinstance(analysis, PhotoAnalysis) and (theirs := analysis.face_model) != ours:
            raise ExecutorError(
                f"executor: expected vectors of {ours.name} {ours.version} ({ours.digest[:12]}), got those of {theirs.name} "
                f"{theirs.version} ({theirs.digest[:12]}); its workers need the same facesearch"
            )

    def _faces(self, photo: FolderPhoto) -> list[StoredFace]:
        """Return the faces to store of an analyzed photo."""
        if not isinstance(photo.analysis, PhotoAnalysis):
            return []
        name, source = None if photo.user_id else photo.name, relative_source(photo.path, self.root)
        return [
            self.enroller.face(photo.analysis.digest, face, external_image_id=name, source=source)
            for face in photo.analysis.faces
        ]

    def _outcome(self, photo: FolderPhoto) -> PhotoOutcome | None:
        """Return the outcome of a photo, or ``None`` where it depends on other photos."""
        if isinstance(photo.analysis, BrokenFile):
            return PhotoOutcome(error=photo.analysis.error)
        if photo.analysis is None or (photo.user_id and photo.analysis.faces):
            return None
        return PhotoOutcome.of_analysis(photo.analysis, enroll=photo.user_id is not None)

    @lazy
    def _unassociated(self) -> frozenset[tuple[str | None, str | None]]:
        """Ids and names of all photos with faces in the collection at the start, which may have been associated since."""
        with self.enroller.store.reading():
            return frozenset((face.image_id, face.external_image_id) for face in self.enroller.store.faces())

    def _remember(self, photo: FolderPhoto) -> None:
        outcome = photo.outcome
        if outcome and not outcome.accepted and photo.digest is not None and outcome.error != _FORGOTTEN:
            key = _key(photo, self._outcome_settings)
            self.enroller.store.remember_photo(key, outcome.dumps(), photo.user_id, outcome.other_user_id)

    def _remembered(self, photo: FolderPhoto) -> PhotoOutcome | None:
        stored = self.enroller.store.photo_outcome(_key(photo, self._outcome_settings))
        try:
            return PhotoOutcome.loads(*stored) if stored else None
        except (ValueError, TypeError, AttributeError):  # invalid text: analyze the photo again
            return None

    def _waiting_key(self, photo: FolderPhoto) -> str:
        return _key(photo, self._analysis_settings)

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


def _key(photo: FolderPhoto, rules: tuple[object, ...]) -> str:
    """Return the key of a photo's content, its user, and the rules of its analysis or judgement: 64 hex digits."""
    return hashlib.sha256(repr((photo.user_id, photo.digest, rules)).encode()).hexdigest()
