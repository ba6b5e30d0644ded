"""Which faces of photos a collection takes in, under which ids, and whose they become.

What is asked here is asked within `facesearch.storage.Store.writing`.
"""

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from facesearch.content_ids import content_id, former_content_id
from facesearch.enrolment import doubts, needed_similarity
from facesearch.looks import KeptFace, Look
from facesearch.ranking import check_embedding
from facesearch.reasons import EnrollmentReason
from facesearch.records import Enrollment, Face, FaceModel
from facesearch.scoring import Calibration
from facesearch.stages import FloatArray
from facesearch.storage import Store, StoredFace

__all__ = ["MAX_FACES_PER_USER", "Admission", "Offer", "image_ids"]

MAX_FACES_PER_USER = 100
"""As in Amazon Rekognition: "100 faces per user"."""


def image_ids(secret: bytes, digest: str | None) -> tuple[str, str]:
    """Return the id of the photo of that digest, and the one that it had before collections had secrets."""
    return content_id(secret, "image", digest), former_content_id("image", digest)


@attrs.frozen(kw_only=True)
class Offer:
    """What photos offer a user, judged.

    Attributes
    ----------
    face_ids
        Of each photo its face's id, ``None`` where it has none to offer.
    accepted
        By face id, in the photos' order: the photo's digest, and the face.
    refused
        By face id, why.
    needed
        The similarity to the user's own that was asked for, percent.
    """

    face_ids: Sequence[str | None]
    accepted: Mapping[str, tuple[str, KeptFace]]
    refused: Mapping[str, Enrollment]
    needed: float


@attrs.frozen(eq=False)
class Admission:
    """The rules by which a collection takes faces in.

    Attributes
    ----------
    store
        Where they are kept.
    face_model
        What makes their vectors.
    calibration
        What percentages mean.
    """

    store: Store
    face_model: FaceModel
    calibration: Calibration

    def keep(self, digest: str, seen: KeptFace, external_image_id: str | None) -> Face:
        """Add a face of the photo of that digest, as nobody's, unless it is there already."""
        face = Face(
            face_id=self._face_id(digest, seen, external_image_id),
            bounding_box=seen.detail.bounding_box,
            image_id=image_ids(self.store.secret(), digest)[0],
            external_image_id=external_image_id,
            confidence=seen.detail.confidence,
            index_faces_model_version=self.face_model.version,
        )
        known = self.store.face(face.face_id)
        if known is None:
            vector = check_embedding(seen.embedding, self.face_model.dimension)
            self.store.put_faces([StoredFace(face, vector, seen.thumbnail)])
        return known or face

    def offer(self, user_id: str, looks: Sequence[Look], threshold: float) -> Offer:
        """Judge all photos for a user at once; changes nothing.

        Parameters
        ----------
        user_id
            Whose they are said to be, who need not be there.
        looks
            From `facesearch.looks.look_to_enroll`.
        threshold
            Percent, see `facesearch.enrolment.doubts`.

        Raises
        ------
        InvalidEmbeddingError
            If a vector is none.
        """
        face_ids = [self._face_id(look.digest, look.faces[0], None) if look.faces else None for look in looks]
        offered = {
            face_id: (look.digest, look.faces[0]) for face_id, look in zip(face_ids, looks, strict=True) if face_id
        }
        refused = self._refusals(user_id, offered, threshold)
        return Offer(
            face_ids=face_ids,
            accepted={face_id: offered[face_id] for face_id in offered if face_id not in refused},
            refused=refused,
            needed=needed_similarity(threshold, has_faces=len(self.store.faces_of(user_id)) > 0),
        )

    def enroll(self, user_id: str, looks: Sequence[Look], offer: Offer) -> tuple[Enrollment, ...]:
        """Keep what was accepted, creating the user if need be, and say what became of each photo."""
        if offer.accepted:
            self.store.create_users([user_id])
            for digest, face in offer.accepted.values():
                self.keep(digest, face, None)
            self.store.assign(offer.accepted, user_id)
            self.store.refresh([user_id])
        return tuple(
            attrs.evolve(
                offer.refused.get(face_id) or Enrollment(face=self.store.face(face_id))
                if face_id
                else Enrollment(reasons=look.reasons),
                evidence=attrs.evolve(look.evidence, needed=offer.needed),
            )
            for face_id, look in zip(offer.face_ids, looks, strict=True)
        )

    def _face_id(self, digest: str, face: KeptFace, external_image_id: str | None) -> str:
        content = "face", self.face_model.digest, digest, external_image_id, face.detail.bounding_box
        face_id, former = content_id(self.store.secret(), *content), former_content_id(*content)
        # Of an older file, or an export of one.
        return former if former in self.store.known([former]) else face_id

    def _refusals(
        self, user_id: str, offered: Mapping[str, tuple[str, KeptFace]], threshold: float
    ) -> dict[str, Enrollment]:
        """Give the faces, by id, that shall not become a user's, and why; changes nothing."""
        refused: dict[str, Enrollment] = {}
        candidates: dict[str, FloatArray] = {}
        for face_id, (_, face) in offered.items():
            known = self.store.face(face_id)
            if known is None:
                candidates[face_id] = check_embedding(face.embedding, self.face_model.dimension)
            elif known.user_id is None:
                candidates[face_id] = self.store.embedding(face_id)
            elif known.user_id != user_id:
                reason = EnrollmentReason.ASSOCIATED_TO_A_DIFFERENT_USER
                refused[face_id] = Enrollment(reasons=(reason,), user_id=known.user_id)
        found = doubts(
            self._matrix(candidates.values()),
            self._matrix(self.store.embedding(face_id) for face_id in self.store.faces_of(user_id)),
            lambda vector, reach: self._nearest_other(vector, user_id, reach),
            threshold=threshold,
            calibration=self.calibration,
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
        ((found, _),) = self.store.nearest(vector[np.newaxis], max_distance=reach, limit=2)
        return next((each for each in found if each[1] != user_id), None)

    def _matrix(self, vectors: Iterable[FloatArray]) -> FloatArray:
        return np.array([*vectors], np.float32).reshape(-1, self.face_model.dimension)
