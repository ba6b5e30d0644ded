"""Responses of the operations on a collection: indexed, associated, disassociated, deleted faces, and enrolment."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import ClassVar

import attrs
from attrs import field

from facesearch.common.tables import BOX_HEAD, Cell, Shown, Table, counted
from facesearch.common.validation import between, is_a, matches, maybe, maybe_float, tuple_of
from facesearch.domain.entities import (
    LONGEST_USER_ID,
    MODEL_VERSION_PATTERN,
    USER_ID_PATTERN,
    UUID_PATTERN,
    Face,
    User,
    UserStatus,
)
from facesearch.domain.face_detail import DetectedFace, FaceDetail
from facesearch.domain.reasons import EnrollmentReason, UnindexedFaceReason
from facesearch.domain.sources import show_source
from facesearch.selection.evidence import Evidence, require_evidence
from facesearch.selection.explanation import Explanation
from facesearch.selection.quality_filter import QualityBars, QualityFilter

__all__ = [
    "AssociateFacesResponse",
    "AssociatedFace",
    "DeleteFacesResponse",
    "DisassociateFacesResponse",
    "DisassociatedFace",
    "Enrollment",
    "EnrollmentReport",
    "Explained",
    "FaceRecord",
    "IndexFacesResponse",
    "UnindexedFace",
    "UnsuccessfulFaceAssociation",
    "UnsuccessfulFaceAssociationReason",
    "UnsuccessfulFaceDeletion",
    "UnsuccessfulFaceDeletionReason",
    "UnsuccessfulFaceDisassociation",
    "UnsuccessfulFaceDisassociationReason",
    "reason_names",
]


@attrs.frozen(kw_only=True)
class FaceRecord:
    """A face that was indexed, with its description."""

    face: Face = field(validator=is_a(Face))
    face_detail: DetectedFace = field(validator=is_a(DetectedFace))


@attrs.frozen(kw_only=True)
class UnindexedFace:
    """A face that was detected but not indexed, with every reason."""

    reasons: tuple[UnindexedFaceReason, ...] = field(default=(), validator=tuple_of(UnindexedFaceReason))
    face_detail: FaceDetail = field(validator=is_a(FaceDetail))


class Explained(Shown):
    """A base class of responses about the faces of a photo."""

    __slots__ = ()
    evidence: Evidence | None

    def explain(self, *, quality_filter: str | QualityFilter | QualityBars | None = None) -> Explanation:
        """Explain for each face of the photo why it was used or not, with figures; see `facesearch.explain`.

        Parameters
        ----------
        quality_filter
            Another filter, or thresholds of your own, to explain what the result would have been; by default the filter of
            the call.

        Raises
        ------
        InvalidParameterError
            If there is no such filter, or if the response has no measurements, as one that `from_aws` read.
        """
        return require_evidence(self.evidence).explain(quality_filter)


@attrs.frozen(kw_only=True, repr=False)
class IndexFacesResponse(Explained):
    """The result of indexing a photo: indexed and unindexed faces together are the detected ones.

    Attributes
    ----------
    face_records
        Largest first.
    evidence
        The measurements of each face, for `explain`. Not part of equality, of ``repr`` or of AWS's format.
    """

    face_records: tuple[FaceRecord, ...] = field(default=(), validator=tuple_of(FaceRecord))
    unindexed_faces: tuple[UnindexedFace, ...] = field(default=(), validator=tuple_of(UnindexedFace))
    face_model_version: str | None = field(default=None, validator=maybe(matches(MODEL_VERSION_PATTERN, 64)))
    evidence: Evidence | None = field(default=None, eq=False, repr=False, validator=maybe(is_a(Evidence)))

    def _headline(self) -> str:
        return f"{counted(len(self.face_records), 'face')} indexed, {len(self.unindexed_faces):,} not"

    def _shown_tables(self) -> Iterator[Table]:
        indexed = [
            ("indexed", *each.face_detail.bounding_box.row_cells(), each.face_detail.confidence, each.face.face_id)
            for each in self.face_records
        ]
        others = [
            (reason_names(each.reasons), *each.face_detail.bounding_box.row_cells(), each.face_detail.confidence, "")
            for each in self.unindexed_faces
        ]
        yield Table(("", *BOX_HEAD, "confidence", "face id"), [*indexed, *others])


@attrs.frozen(kw_only=True)
class AssociatedFace:
    """A face that was associated with a user."""

    face_id: str = field(validator=matches(UUID_PATTERN, 36))


class UnsuccessfulFaceAssociationReason(Enum):
    """The reason why a face was not associated."""

    FACE_NOT_FOUND = "FACE_NOT_FOUND"
    ASSOCIATED_TO_A_DIFFERENT_USER = "ASSOCIATED_TO_A_DIFFERENT_USER"
    LOW_MATCH_CONFIDENCE = "LOW_MATCH_CONFIDENCE"


@attrs.frozen(kw_only=True)
class UnsuccessfulFaceAssociation:
    """A face that was not associated, with the reasons.

    Attributes
    ----------
    user_id
        The other user that has the face, where that is the reason.
    confidence
        The similarity to the user, percent, where it is too low.
    """

    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    confidence: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    reasons: tuple[UnsuccessfulFaceAssociationReason, ...] = field(
        default=(), validator=tuple_of(UnsuccessfulFaceAssociationReason)
    )


@attrs.frozen(kw_only=True, repr=False)
class AssociateFacesResponse(Shown):
    """The result of associating faces with a user; faces that the user had already are in neither list."""

    associated_faces: tuple[AssociatedFace, ...] = field(default=(), validator=tuple_of(AssociatedFace))
    unsuccessful_face_associations: tuple[UnsuccessfulFaceAssociation, ...] = field(
        default=(), validator=tuple_of(UnsuccessfulFaceAssociation)
    )
    user_status: UserStatus = field(validator=is_a(UserStatus))

    def _headline(self) -> str:
        return f"{counted(len(self.associated_faces), 'face')} associated, {len(self.unsuccessful_face_associations):,} not; the user is {self.user_status.value}"

    def _shown_tables(self) -> Iterator[Table]:
        yield _outcomes(
            "associated", [each.face_id for each in self.associated_faces], self.unsuccessful_face_associations
        )


@attrs.frozen(kw_only=True)
class DisassociatedFace:
    """A face that was disassociated from a user."""

    face_id: str = field(validator=matches(UUID_PATTERN, 36))


class UnsuccessfulFaceDisassociationReason(Enum):
    """The reason why a face was not disassociated."""

    FACE_NOT_FOUND = "FACE_NOT_FOUND"
    ASSOCIATED_TO_A_DIFFERENT_USER = "ASSOCIATED_TO_A_DIFFERENT_USER"


@attrs.frozen(kw_only=True)
class UnsuccessfulFaceDisassociation:
    """A face that was not disassociated, with the reasons.

    Attributes
    ----------
    user_id
        The other user that has the face, where that is the reason.
    """

    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    reasons: tuple[UnsuccessfulFaceDisassociationReason, ...] = field(
        default=(), validator=tuple_of(UnsuccessfulFaceDisassociationReason)
    )


@attrs.frozen(kw_only=True, repr=False)
class DisassociateFacesResponse(Shown):
    """The result of disassociating faces from a user; unassociated faces are in neither list."""

    disassociated_faces: tuple[DisassociatedFace, ...] = field(default=(), validator=tuple_of(DisassociatedFace))
    unsuccessful_face_disassociations: tuple[UnsuccessfulFaceDisassociation, ...] = field(
        default=(), validator=tuple_of(UnsuccessfulFaceDisassociation)
    )
    user_status: UserStatus = field(validator=is_a(UserStatus))

    def _headline(self) -> str:
        return f"{counted(len(self.disassociated_faces), 'face')} disassociated, {len(self.unsuccessful_face_disassociations):,} not; the user is {self.user_status.value}"

    def _shown_tables(self) -> Iterator[Table]:
        yield _outcomes(
            "disassociated", [each.face_id for each in self.disassociated_faces], self.unsuccessful_face_disassociations
        )


class UnsuccessfulFaceDeletionReason(Enum):
    """The reason why a face was not deleted."""

    ASSOCIATED_TO_AN_EXISTING_USER = "ASSOCIATED_TO_AN_EXISTING_USER"
    FACE_NOT_FOUND = "FACE_NOT_FOUND"


@attrs.frozen(kw_only=True)
class UnsuccessfulFaceDeletion:
    """A face that was not deleted, with the reasons.

    Attributes
    ----------
    user_id
        The user that has the face, where that is the reason.
    """

    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    reasons: tuple[UnsuccessfulFaceDeletionReason, ...] = field(
        default=(), validator=tuple_of(UnsuccessfulFaceDeletionReason)
    )


@attrs.frozen(kw_only=True, repr=False)
class DeleteFacesResponse(Shown):
    """The result of deleting faces."""

    deleted_faces: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    unsuccessful_face_deletions: tuple[UnsuccessfulFaceDeletion, ...] = field(
        default=(), validator=tuple_of(UnsuccessfulFaceDeletion)
    )

    def _headline(self) -> str:
        return f"{counted(len(self.deleted_faces), 'face')} deleted, {len(self.unsuccessful_face_deletions):,} not"

    def _shown_tables(self) -> Iterator[Table]:
        yield _outcomes("deleted", self.deleted_faces, self.unsuccessful_face_deletions)


@attrs.frozen(kw_only=True, repr=False)
class Enrollment(Shown):
    """The result of enrolling one photo.

    Attributes
    ----------
    face
        The face that the user now has, or ``None``.
    reasons
        Every reason for refusing the photo; empty where it has a face.
    confidence
        The similarity to the user's own faces, percent, where it is too low or that to another user is higher; ``None``
        where there were no faces to compare with.
    user_id
        The other user that has the face, or that the face is nearer to.
    user_confidence
        The similarity to that other user, percent, where the face is nearer to it.
    evidence
        The measurements of each face, for `explain`. Not part of equality, of ``repr`` or of AWS's format.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("", "similarity", "other user", "similarity to it", "face id", "source")

    face: Face | None = field(default=None, validator=maybe(is_a(Face)))
    reasons: tuple[EnrollmentReason, ...] = field(default=(), validator=tuple_of(EnrollmentReason))
    confidence: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    user_confidence: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    evidence: Evidence | None = field(default=None, eq=False, repr=False, validator=maybe(is_a(Evidence)))

    def explain(self, *, quality_filter: str | QualityFilter | QualityBars | None = None) -> Explanation:
        """Explain why this photo was enrolled or not, with figures; see `EnrollmentReport.explain`."""
        return require_evidence(self.evidence).explain_enrolment(self, quality_filter)

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this photo's row in the table of a report."""
        result = "accepted" if self.face else reason_names(self.reasons)
        face_id = self.face.face_id if self.face else ""
        source = show_source(self.face.source) if self.face and self.face.source else None
        return result, self.confidence, self.user_id, self.user_confidence, face_id, source

    def _headline(self) -> str:
        return f"accepted, face {self.face.face_id}" if self.face else f"not accepted: {reason_names(self.reasons)}"


@attrs.frozen(kw_only=True, repr=False)
class EnrollmentReport(Shown):
    """The result of enrolling the photos of a user.

    Attributes
    ----------
    user
        The user; ``None`` if there was no such user before and no photo was accepted.
    photos
        One entry for each photo, in the order given.
    """

    user: User | None = field(default=None, validator=maybe(is_a(User)))
    photos: tuple[Enrollment, ...] = field(default=(), validator=tuple_of(Enrollment))

    @property
    def accepted(self) -> int:
        """The number of photos that became faces of the user."""
        return sum(photo.face is not None for photo in self.photos)

    @property
    def kept_out(self) -> bool:
        """Whether the user is new and was not added, because its photos don't show one person."""
        return any(EnrollmentReason.PHOTOS_DISAGREE in photo.reasons for photo in self.photos)

    def explain(self, *, quality_filter: str | QualityFilter | QualityBars | None = None) -> Explanation:
        """Explain for each photo why it was enrolled or not, with figures; see `facesearch.explain`.

        Parameters
        ----------
        quality_filter
            Another filter, or thresholds of your own, to explain what the result would have been; by default the filter of
            the call. Only the quality is checked again, not the person shown.

        Returns
        -------
        Explanation
            The largest face of each photo, in the photos' order.

        Raises
        ------
        InvalidParameterError
            If there is no such filter, or if the report has no measurements, as one that `from_aws` read.
        """
        first, *others = [photo.explain(quality_filter=quality_filter) for photo in self.photos] or [
            require_evidence(None).explain()
        ]
        return attrs.evolve(first, faces=(*first.faces, *(face for other in others for face in other.faces)))

    def _headline(self) -> str:
        who = f"{self.user.user_id}: " if self.user else "no user made: "
        why = "; the photos don't agree on who it is, anyway=True adds them nevertheless" if self.kept_out else ""
        return f"{who}{self.accepted:,} of {counted(len(self.photos), 'photo')} accepted{why}"

    def _shown_tables(self) -> Iterator[Table]:
        rows = [(number, *photo.row_cells()) for number, photo in enumerate(self.photos, 1)]
        yield Table(("photo", *Enrollment.ROW_HEAD), rows)


def reason_names(reasons: Iterable[Enum]) -> str:
    """Return the names of reasons as one text, for a table."""
    return ", ".join(str(reason.value) for reason in reasons) or "no reason given"


def _outcomes(
    verb: str,
    done: Iterable[str],
    failed: Iterable[UnsuccessfulFaceAssociation | UnsuccessfulFaceDisassociation | UnsuccessfulFaceDeletion],
) -> Table:
    """Return a table with the result for each face."""
    rows = [(face_id, verb, "") for face_id in done]
    rows += [(each.face_id, reason_names(each.reasons), each.user_id or "") for each in failed]
    return Table(("face id", "", "user"), rows)
