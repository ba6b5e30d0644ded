"""Which faces of photos a collection takes in, under which ids, and whose they become.

What is asked here is asked within `facesearch.storage.Store.writing`.
"""

import uuid
from collections.abc import Iterable
from typing import Any

import attrs

from facesearch.judging import FacesOf, Rules, Verdict, judge
from facesearch.looks import KeptFace
from facesearch.ranking import check_embedding
from facesearch.records import Face, FaceModel
from facesearch.scoring import Calibration
from facesearch.storage import Store, StoredFace

__all__ = ["MAX_FACES_PER_USER", "Admission", "content_id", "image_id"]

MAX_FACES_PER_USER = 100
"""As in Amazon Rekognition: "100 faces per user"."""

# Ids follow from content (RFC 9562, version 5): the same photo gives the same ids, in every collection of one face model.
_NAMESPACE = uuid.UUID("7f5b2f0e-5d0c-5a52-9d43-9a6b9f3b7c11")


def content_id(*parts: Any) -> str:
    """Give the UUID that follows from what something is made of."""
    return str(uuid.uuid5(_NAMESPACE, repr(parts)))


def image_id(digest: str | None) -> str:
    """Give the id of the photo of that digest."""
    return content_id("image", digest)


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

    def face(
        self, digest: str, seen: KeptFace, *, external_image_id: str | None = None, source: str | None = None
    ) -> StoredFace:
        """Return a face of the photo of that digest as it is kept; nobody's.

        Raises
        ------
        InvalidEmbeddingError
            If its vector is none.
        """
        box = seen.detail.bounding_box
        face = Face(
            face_id=content_id("face", self.face_model.digest, digest, external_image_id, box),
            bounding_box=box,
            image_id=image_id(digest),
            external_image_id=external_image_id,
            confidence=seen.detail.confidence,
            index_faces_model_version=self.face_model.version,
            source=source,
        )
        return StoredFace(face, check_embedding(seen.embedding, self.face_model.dimension), seen.thumbnail)

    def keep(self, faces: Iterable[StoredFace]) -> dict[str, Face]:
        """Add those of some faces that are not there, and return all of them, by id, as they are in the collection."""
        given = {stored.face.face_id: stored for stored in faces}
        known = self.store.faces_named(given)
        self.store.put_faces(stored for face_id, stored in given.items() if face_id not in known)
        return {face_id: known.get(face_id, stored.face) for face_id, stored in given.items()}

    def judge(
        self, user_ids: Iterable[str], faces_of: FacesOf, threshold: float, *, anyway: bool = False
    ) -> dict[str, Verdict]:
        """Judge the faces given for some users together; changes nothing. See `facesearch.judging.judge`."""
        rules = Rules(
            threshold=threshold,
            calibration=self.calibration,
            dimension=self.face_model.dimension,
            most=MAX_FACES_PER_USER,
            anyway=anyway,
        )
        return judge(self.store, user_ids, faces_of, rules)

    def enroll(self, user_id: str, verdict: Verdict, faces: Iterable[StoredFace]) -> None:
        """Make the accepted ones of some faces a user's, who is created if need be."""
        accepted = set(verdict.accepted)
        if accepted:
            self.store.create_users([user_id])
            self.keep(stored for stored in faces if stored.face.face_id in accepted)
            self.store.assign(verdict.accepted, user_id)
            self.store.refresh([user_id])
