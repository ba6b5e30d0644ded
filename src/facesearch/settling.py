"""What becomes of a folder's photos, person by person: what is known of them, and what is judged, written and remembered."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
from attrs import field

from facesearch._fields import between, is_a, maybe, plain_float
from facesearch._once import lazy
from facesearch.admission import MAX_FACES_PER_USER, Admission, image_ids
from facesearch.analysis import FaceAnalyzer
from facesearch.bars import QualityFilter
from facesearch.errors import ExecutorError
from facesearch.looks import Look
from facesearch.photo_outcomes import QUOTA_EXCEEDED, PhotoOutcome
from facesearch.photo_work import BrokenFile
from facesearch.records import EXTERNAL_IMAGE_ID_PATTERN

__all__ = ["Registrar", "SeenPhoto"]

_MOST_NAME: Final = 255  # characters of an external image id
_RULES: Final = 1  # changes when photos are judged in a way that the key does not tell


@attrs.frozen(kw_only=True, eq=False)
class SeenPhoto:
    """A photo of a folder.

    Attributes
    ----------
    path
        Where it is.
    digest
        Hex SHA-256 of its bytes; ``None`` where they can't be read.
    look
        What was seen in it; ``None`` as long as nobody looked.
    """

    path: Path = field(validator=is_a(Path))
    digest: str | None = field(validator=maybe(is_a(str)))
    look: Look | BrokenFile | None = None

    @property
    def name(self) -> str | None:
        """What nobody's faces of it are called: the file's name, where that is valid."""
        name = self.path.name
        return name if len(name) <= _MOST_NAME and re.fullmatch(EXTERNAL_IMAGE_ID_PATTERN, name) else None


@attrs.define(kw_only=True, eq=False, slots=False)
class Registrar:
    """Judges photos by the rules of one call, and remembers what became of them.

    Attributes
    ----------
    admission
        The collection's rules.
    analyzer
        What looks, or the like of it elsewhere.
    quality_filter, threshold
        The options of the call; the latter in percent.
    """

    admission: Admission = field(validator=is_a(Admission))
    analyzer: FaceAnalyzer = field(validator=is_a(FaceAnalyzer))
    quality_filter: QualityFilter = field(validator=is_a(QualityFilter))
    threshold: float = field(converter=plain_float, validator=between(0, 100))

    def recall(self, user_id: str | None, photos: Sequence[SeenPhoto]) -> list[PhotoOutcome | None]:
        """Tell what became of a person's photos before.

        Parameters
        ----------
        user_id
            Whose, ``None`` for nobody's.
        photos
            By their digests.

        Returns
        -------
        list of PhotoOutcome or None
            ``None`` for a photo to look at. Accepted are those whose face the user has, by whatever rules; others are known
            if they were judged by the same.
        """
        with self.admission.store.reading():
            secret = self.admission.store.secret()
        if user_id is None:
            return [
                PhotoOutcome()
                if any((each, photo.name) in self._nobodys for each in image_ids(secret, photo.digest))
                else self._remembered(None, photo)
                for photo in photos
            ]
        with self.admission.store.reading():
            faces = self.admission.store.faces(user_id) if self.admission.store.has_user(user_id) else []
            had = {face.image_id for face in faces}
            found = [
                PhotoOutcome()
                if not had.isdisjoint(image_ids(secret, photo.digest))
                else self._remembered(user_id, photo)
                for photo in photos
            ]
        room = len(faces) < MAX_FACES_PER_USER
        return [None if room and outcome and outcome.reasons == (QUOTA_EXCEEDED,) else outcome for outcome in found]

    def settle(self, user_id: str | None, photos: Sequence[SeenPhoto]) -> list[PhotoOutcome]:
        """Judge a person's photos together, and write all that follows in one step.

        Parameters
        ----------
        user_id
            Whose, ``None`` for nobody's.
        photos
            All of them looked at.

        Raises
        ------
        ExecutorError
            If what looked has another face model; nothing was changed.
        """
        for look in (photo.look for photo in photos):
            if isinstance(look, Look) and look.face_model != self.admission.face_model:
                ours, theirs = self.admission.face_model, look.face_model
                raise ExecutorError(
                    f"executor: expected vectors of {ours.name} {ours.version} ({ours.digest[:12]}), got those of {theirs.name} "
                    f"{theirs.version} ({theirs.digest[:12]}); its workers need the same facesearch"
                )
        with self.admission.store.writing():
            outcomes = self._nobodys_outcomes(photos) if user_id is None else self._users_outcomes(user_id, photos)
            for photo, outcome in zip(photos, outcomes, strict=True):
                if photo.digest is not None and not outcome.accepted:
                    key = self._key(user_id, photo)
                    self.admission.store.remember_photo(key, outcome.dumps(), user_id, outcome.other_user_id)
        return outcomes

    def _users_outcomes(self, user_id: str, photos: Sequence[SeenPhoto]) -> list[PhotoOutcome]:
        """Enrol photos, and no more of them than the user has room for."""
        looks = [photo.look for photo in photos if isinstance(photo.look, Look)]
        offer = self.admission.offer(user_id, looks, self.threshold)
        had = self.admission.store.faces_of(user_id)
        new = [face_id for face_id in offer.accepted if face_id not in had]
        too_many = set(new[max(0, MAX_FACES_PER_USER - len(had)) :])
        taken = {face_id: face for face_id, face in offer.accepted.items() if face_id not in too_many}
        enrollments = self.admission.enroll(user_id, looks, attrs.evolve(offer, accepted=taken))
        judged = iter(
            PhotoOutcome.over_quota(MAX_FACES_PER_USER)
            if face_id in too_many
            else PhotoOutcome.of_enrollment(enrollment)
            for face_id, enrollment in zip(offer.face_ids, enrollments, strict=True)
        )
        return [_broken(photo.look) or next(judged) for photo in photos]

    def _nobodys_outcomes(self, photos: Sequence[SeenPhoto]) -> list[PhotoOutcome]:
        outcomes = []
        for photo in photos:
            if isinstance(photo.look, Look):
                for face in photo.look.faces:
                    self.admission.keep(photo.look.digest, face, photo.name)
                outcomes.append(PhotoOutcome.of_look(photo.look))
            elif broken := _broken(photo.look):
                outcomes.append(broken)
        return outcomes

    @lazy
    def _nobodys(self) -> frozenset[tuple[str | None, str | None]]:
        """Ids and names of all photos whose faces were there at the start; they may have become somebody's since."""
        with self.admission.store.reading():
            return frozenset((face.image_id, face.external_image_id) for face in self.admission.store.faces())

    def _remembered(self, user_id: str | None, photo: SeenPhoto) -> PhotoOutcome | None:
        with self.admission.store.reading():
            told = self.admission.store.photo_outcome(self._key(user_id, photo))
        try:
            return PhotoOutcome.loads(*told) if told else None
        except (ValueError, TypeError, AttributeError):  # not as it was written: the photo is looked at again
            return None

    def _key(self, user_id: str | None, photo: SeenPhoto) -> str:
        """Name a photo's content, whose it was to be, and the rules it is judged by: 64 hex digits."""
        return hashlib.sha256(repr((user_id, photo.digest, self._rules)).encode()).hexdigest()

    @lazy
    def _rules(self) -> tuple[object, ...]:
        kinds = [type(getattr(self.analyzer, stage)) for stage in _STAGES]
        names = [f"{kind.__module__}.{kind.__qualname__}" for kind in kinds]
        bars = self.analyzer.bars.of(self.quality_filter)
        return _RULES, self.admission.face_model.digest, *names, bars, self.threshold


_STAGES: Final = ("detector", "aligner", "landmarker", "embedder", "describer")


def _broken(look: Look | BrokenFile | None) -> PhotoOutcome | None:
    return PhotoOutcome(error=look.error) if isinstance(look, BrokenFile) else None
