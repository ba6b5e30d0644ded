"""AWS's rules for associating, disassociating and deleting faces.

The caller holds the lock, and refreshes the user's template after a change. Ids of unknown faces, or of another user's faces, are
no errors: they are listed, each with its reason.
"""

from collections.abc import Iterable

from facesearch.matching.calibration import Calibration
from facesearch.responses.collection import (
    UnsuccessfulFaceAssociation,
    UnsuccessfulFaceAssociationReason as NotAssociated,
    UnsuccessfulFaceDeletion,
    UnsuccessfulFaceDeletionReason as NotDeleted,
    UnsuccessfulFaceDisassociation,
    UnsuccessfulFaceDisassociationReason as NotDisassociated,
)
from facesearch.storage.store import Store

__all__ = ["split_for_association", "split_for_deletion", "split_for_disassociation"]


def split_for_association(
    store: Store, user_id: str, face_ids: Iterable[str], *, threshold: float, calibration: Calibration
) -> tuple[list[str], list[UnsuccessfulFaceAssociation]]:
    """Split faces into those that can be associated with a user and those that can't; faces of the user are in neither list.

    Where the user has a template, a face must have at least the similarity *threshold* to it, percent.
    """
    anchor = store.anchor(user_id)
    taken, refused = [], []
    for face_id in face_ids:
        face = store.face(face_id)
        if face is None:
            refused.append(UnsuccessfulFaceAssociation(face_id=face_id, reasons=(NotAssociated.FACE_NOT_FOUND,)))
        elif face.user_id is None:
            confidence = calibration.similarity(anchor.distance(store.embedding(face_id))) if anchor else None
            if confidence is None or confidence >= threshold:
                taken.append(face_id)
            else:
                reasons = (NotAssociated.LOW_MATCH_CONFIDENCE,)
                refused.append(UnsuccessfulFaceAssociation(face_id=face_id, confidence=confidence, reasons=reasons))
        elif face.user_id != user_id:
            reasons = (NotAssociated.ASSOCIATED_TO_A_DIFFERENT_USER,)
            refused.append(UnsuccessfulFaceAssociation(face_id=face_id, user_id=face.user_id, reasons=reasons))
    return taken, refused


def split_for_disassociation(
    store: Store, user_id: str, face_ids: Iterable[str]
) -> tuple[list[str], list[UnsuccessfulFaceDisassociation]]:
    """Split faces into those of a user and those that are not; unassociated faces are in neither list."""
    gone, refused = [], []
    for face_id in face_ids:
        face = store.face(face_id)
        if face is None:
            refused.append(UnsuccessfulFaceDisassociation(face_id=face_id, reasons=(NotDisassociated.FACE_NOT_FOUND,)))
        elif face.user_id == user_id:
            gone.append(face_id)
        elif face.user_id is not None:
            reasons = (NotDisassociated.ASSOCIATED_TO_A_DIFFERENT_USER,)
            refused.append(UnsuccessfulFaceDisassociation(face_id=face_id, user_id=face.user_id, reasons=reasons))
    return gone, refused


def split_for_deletion(store: Store, face_ids: Iterable[str]) -> tuple[list[str], list[UnsuccessfulFaceDeletion]]:
    """Split faces into unassociated ones, which can be deleted, and the others."""
    gone, refused = [], []
    for face_id in face_ids:
        face = store.face(face_id)
        if face is None:
            refused.append(UnsuccessfulFaceDeletion(face_id=face_id, reasons=(NotDeleted.FACE_NOT_FOUND,)))
        elif face.user_id is None:
            gone.append(face_id)
        else:
            reasons = (NotDeleted.ASSOCIATED_TO_AN_EXISTING_USER,)
            refused.append(UnsuccessfulFaceDeletion(face_id=face_id, user_id=face.user_id, reasons=reasons))
    return gone, refused
