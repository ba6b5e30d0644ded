"""Enrolment of faces into a collection: their ids, the judgement, and the association with users.

Call the methods within `facesearch.storage.store.Store.writing`.
"""

from collections.abc import Iterable

import attrs

from facesearch.domain.entities import Face, FaceModel
from facesearch.enrolment.candidates import CandidateFace
from facesearch.enrolment.judging import FacesOf, Judgement, Verdict
from facesearch.matching.calibration import Calibration
from facesearch.matching.template import check_embedding
from facesearch.storage.content_ids import content_id
from facesearch.storage.store import Store, StoredFace

__all__ = ["Enroller", "image_id"]


def image_id(secret: bytes, digest: str | None) -> str:
    """Return the id of the photo with a digest."""
    return content_id(secret, "image", digest)


@attrs.frozen(eq=False)
class Enroller:
    """Enrols faces into the store of a collection."""

    store: Store
    face_model: FaceModel
    calibration: Calibration

    def face(
        self, digest: str, seen: CandidateFace, *, external_image_id: str | None = None, source: str | None = None
    ) -> StoredFace:
        """Return an unassociated face of the photo with a digest, as the store keeps it."""
        box, secret = seen.detail.bounding_box, self.store.secret()
        face = Face(
            face_id=content_id(secret, "face", self.face_model.digest, digest, external_image_id, box),
            bounding_box=box,
            image_id=image_id(secret, digest),
            external_image_id=external_image_id,
            confidence=seen.detail.confidence,
            index_faces_model_version=self.face_model.version,
            source=source,
        )
        return StoredFace(face, check_embedding(seen.embedding, self.face_model.dimension), seen.thumbnail)

    def keep(self, faces: Iterable[StoredFace]) -> dict[str, Face]:
        """Store the faces that are not stored yet, and return all of them by id, as they are in the collection."""
        given = {stored.face.face_id: stored for stored in faces}
        known = self.store.faces_by_id(given)
        self.store.put_faces(stored for face_id, stored in given.items() if face_id not in known)
        return {face_id: known.get(face_id, stored.face) for face_id, stored in given.items()}

    def judge(
        self, user_ids: Iterable[str], faces_of: FacesOf, threshold: float, *, anyway: bool = False
    ) -> dict[str, Verdict]:
        """Return the verdict on the faces given for each user; changes nothing, see `Judgement`."""
        return Judgement(
            store=self.store,
            faces_of=faces_of,
            dimension=self.face_model.dimension,
            calibration=self.calibration,
            threshold=threshold,
            anyway=anyway,
        ).verdicts(user_ids)

    def enroll(self, user_id: str, verdict: Verdict, faces: Iterable[StoredFace]) -> None:
        """Store the accepted faces and associate them with the user, who is created if missing."""
        accepted = set(verdict.accepted)
        if accepted:
            self.store.create_users([user_id])
            self.keep(stored for stored in faces if stored.face.face_id in accepted)
            self.store.assign(verdict.accepted, user_id)
            self.store.refresh([user_id])
