"""AWS's rules for associating, disassociating and deleting faces.

The caller holds the lock, and refreshes the user's template after a change. Ids of unknown faces, or of another user's faces, are
no errors: they are listed, each with its reason.
"""

from collections.abc import Iterable

from facesearch.matching.calibration import Calibration
from facesearch.responses.collection import (
    UnsuccessfulFaceAssociation,
    UnsuccessfulFaceAssociationReason,
    UnsuccessfulFaceDeletion,
    UnsuccessfulFaceDeletionReason,
    UnsuccessfulFaceDisassociation,
    UnsuccessfulFaceDisassociationReason,
)
from facesearch.storage.store import Anchor, Store

__all__ = ["split_for_association", "split_for_deletion", "split_for_disassociation"]


def split_for_association(
    store: Store, user_id: str, face_ids: Iterable[str], *, threshold: float, calibration: Calibration
) -> tuple[list[str], list[UnsuccessfulFaceAssociation]]:
    """Split faces into those that can be associated with a user and those that can't.

    Parameters
    ----------
    store
        The collection's store.
    user_id
        The user. Faces that the user has already are in neither list.
    face_ids
        Unique ids.
    threshold
        Percent: where the user has a template, a face must have at least this similarity to it.
    calibration
        Converts distances to percentages.
    """
    anchor = store.anchor(user_id)
    had = store.faces_of(user_id)
    refused = {
        face_id: _association_fault(store, user_id, face_id, anchor, threshold=threshold, calibration=calibration)
        for face_id in face_ids
    }
    taken = [face_id for face_id, fault in refused.items() if fault is None and face_id not in had]
    return taken, [fault for fault in refused.values() if fault]


def _association_fault(
    store: Store, user_id: str, face_id: str, anchor: Anchor | None, *, threshold: float, calibration: Calibration
) -> UnsuccessfulFaceAssociation | None:
    """Return why a face can't be associated with a user, or ``None`` where it can; *anchor* is the user's template, if any."""
    face = store.face(face_id)
    if face is None:
        reason = UnsuccessfulFaceAssociationReason.FACE_NOT_FOUND
        return UnsuccessfulFaceAssociation(face_id=face_id, reasons=(reason,))
    if face.user_id not in {None, user_id}:
        reason = UnsuccessfulFaceAssociationReason.ASSOCIATED_TO_A_DIFFERENT_USER
        return UnsuccessfulFaceAssociation(face_id=face_id, user_id=face.user_id, reasons=(reason,))
    if anchor is not None and face.user_id is None:
        confidence = calibration.similarity(anchor.distance(store.embedding(face_id)))
        if confidence < threshold:
            reason = UnsuccessfulFaceAssociationReason.LOW_MATCH_CONFIDENCE
            return UnsuccessfulFaceAssociation(face_id=face_id, confidence=confidence, reasons=(reason,))
    return None


def split_for_disassociation(
    store: Store, user_id: str, face_ids: Iterable[str]
) -> tuple[list[str], list[UnsuccessfulFaceDisassociation]]:
    """Split faces into those of a user and those that are not; unassociated faces are in neither list."""
    gone, refused = [], []
    for face_id in face_ids:
        face = store.face(face_id)
        if face is None:
            reason = UnsuccessfulFaceDisassociationReason.FACE_NOT_FOUND
            refused.append(UnsuccessfulFaceDisassociation(face_id=face_id, reasons=(reason,)))
        elif face.user_id == user_id:
            gone.append(face_id)
        elif face.user_id is not None:
            reason = UnsuccessfulFaceDisassociationReason.ASSOCIATED_TO_A_DIFFERENT_USER
            refused.append(UnsuccessfulFaceDisassociation(face_id=face_id, user_id=face.user_id, reasons=(reason,)))
    return gone, refused


def split_for_deletion(store: Store, face_ids: Iterable[str]) -> tuple[list[str], list[UnsuccessfulFaceDeletion]]:
    """Split faces into unassociated ones, which can be deleted, and the others."""
    gone, refused = [], []
    for face_id in face_ids:
        face = store.face(face_id)
        if face is None:
            reason = UnsuccessfulFaceDeletionReason.FACE_NOT_FOUND
            refused.append(UnsuccessfulFaceDeletion(face_id=face_id, reasons=(reason,)))
        elif face.user_id is not None:
            reason = UnsuccessfulFaceDeletionReason.ASSOCIATED_TO_AN_EXISTING_USER
            refused.append(UnsuccessfulFaceDeletion(face_id=face_id, user_id=face.user_id, reasons=(reason,)))
        else:
            gone.append(face_id)
    return gone, refused
