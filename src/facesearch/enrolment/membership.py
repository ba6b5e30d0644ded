"""Whose a face may become, stay or cease to be: AWS's rules for associating, disassociating and deleting faces.

The caller holds the lock, and refreshes the user's vector where faces came or went. Ids that are unknown or somebody else's
are no errors: they are listed, each with its reason.
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
from facesearch.storage.memory import Anchor, Store

__all__ = ["part_for_association", "part_for_deletion", "part_for_disassociation"]


def part_for_association(
    store: Store, user_id: str, face_ids: Iterable[str], *, threshold: float, calibration: Calibration
) -> tuple[list[str], list[UnsuccessfulFaceAssociation]]:
    """Part faces into those that a user can be given and those that it can't.

    Parameters
    ----------
    store
        Where they are.
    user_id
        Whose they shall be. Those that are already come in neither list.
    face_ids
        No id twice.
    threshold
        Percent: where the user has a vector, a face must be at least that similar to it.
    calibration
        What percentages mean.
    """
    anchor = store.anchor(user_id)
    had = store.faces_of(user_id)
    refused = {
        face_id: _why_not_associate(store, user_id, face_id, anchor, threshold=threshold, calibration=calibration)
        for face_id in face_ids
    }
    taken = [face_id for face_id, fault in refused.items() if fault is None and face_id not in had]
    return taken, [fault for fault in refused.values() if fault]


def _why_not_associate(
    store: Store, user_id: str, face_id: str, anchor: Anchor | None, *, threshold: float, calibration: Calibration
) -> UnsuccessfulFaceAssociation | None:
    """Tell why a face can't become a user's, or ``None`` where it can; *anchor* is the user's, if it has faces."""
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


def part_for_disassociation(
    store: Store, user_id: str, face_ids: Iterable[str]
) -> tuple[list[str], list[UnsuccessfulFaceDisassociation]]:
    """Part faces into those that are a user's and those that are not; nobody's come in neither list."""
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


def part_for_deletion(store: Store, face_ids: Iterable[str]) -> tuple[list[str], list[UnsuccessfulFaceDeletion]]:
    """Part faces into nobody's, which can be deleted, and the others."""
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
