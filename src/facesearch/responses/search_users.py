"""The response of SearchUsersByImage, and its parts.

Source: Amazon Rekognition API reference, ``SearchUsersByImage``.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import ClassVar

import attrs
from attrs import field
from typing_extensions import override

from facesearch.common.announce import announce
from facesearch.common.equality import equal_fields, hash_fields
from facesearch.common.tables import BOX_HEAD, Cell, Table, counted
from facesearch.common.validation import between, is_a, matches, maybe, plain_float, tuple_of
from facesearch.display.face_marks import FaceClass, SeenFace, class_of
from facesearch.display.response_html import ResponseView, as_html
from facesearch.domain.entities import LONGEST_USER_ID, MODEL_VERSION_PATTERN, USER_ID_PATTERN, UserStatus
from facesearch.domain.face_detail import FaceDetail
from facesearch.domain.reasons import UnsearchedFaceReason
from facesearch.images.thumbnails import Pictures, Preview
from facesearch.matching.calibration import Calibration
from facesearch.matching.calibration_choice import describe_foreign
from facesearch.responses.collection import Explained, reason_names
from facesearch.selection.evidence import Evidence, require_evidence
from facesearch.selection.explanation import Explanation
from facesearch.selection.quality_filter import QualityBars, QualityFilter

__all__ = [
    "MatchedUser",
    "SearchUsersByImageResponse",
    "SearchedFaceDetails",
    "SearchedFaceResponse",
    "UnsearchedFace",
    "UnsearchedFaceReason",
    "UserMatch",
    "refused_face",
    "seen_faces",
]


@attrs.frozen(kw_only=True)
class MatchedUser:
    """The user of a match.

    Attributes
    ----------
    user_id
        1-128 characters of ``[a-zA-Z0-9_.-:]``.
    user_status
        ACTIVE for every match of a local collection.
    """

    user_id: str = field(validator=matches(USER_ID_PATTERN, LONGEST_USER_ID))
    user_status: UserStatus = field(validator=is_a(UserStatus))


@attrs.frozen(kw_only=True)
class UserMatch:
    """A user that is similar enough to the searched face.

    Attributes
    ----------
    similarity
        Percent, 0-100; higher is closer. See `facesearch.matching.calibration`.
    user
        The matched user.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("user", "similarity")

    similarity: float = field(converter=plain_float, validator=between(0, 100))
    user: MatchedUser = field(validator=is_a(MatchedUser))

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this match's row in a table."""
        return self.user.user_id, self.similarity


@attrs.frozen(kw_only=True)
class UnsearchedFace:
    """A face that was detected but not searched, with every reason.

    Attributes
    ----------
    face_details
        The face; AWS spells this member in the plural here, and in the singular in `SearchedFaceDetails`.
    reasons
        In the order of `UnsearchedFaceReason`.
    """

    face_details: FaceDetail = field(validator=is_a(FaceDetail))
    reasons: tuple[UnsearchedFaceReason, ...] = field(default=(), validator=tuple_of(UnsearchedFaceReason))


@attrs.frozen(kw_only=True)
class SearchedFaceDetails:
    """The searched face: the largest one that passed the filter."""

    face_detail: FaceDetail = field(validator=is_a(FaceDetail))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SearchUsersByImageResponse(Explained):
    """The response of SearchUsersByImage: the users similar to the largest face of a photo.

    Attributes
    ----------
    user_matches
        Highest similarity first; equal ones by user id. Empty when no user is similar enough, or no face was searched.
    face_model_version
        Digits and dots.
    searched_face
        ``None`` when the photo has no face that passed the filter.
    unsearched_faces
        The other detected faces. Searched and unsearched faces together are all detected faces.
    preview
        A small copy of the photo for ``_repr_html_``, in memory only. Not part of equality, of ``repr`` or of AWS's format.
        ``attrs.evolve(response, preview=None)`` drops it.
    next_user
        The nearest user that is not among the matches: below the threshold, or beyond *max_users*. Not part of equality or of
        AWS's format.
    evidence
        The measurements of each face, for `explain`. Not part of equality, of ``repr`` or of AWS's format.
    pictures
        Thumbnails of the searched face and of the best matches, if the collection stores thumbnails; in memory only, like
        `preview`. ``attrs.evolve(response, preview=None, pictures=None)`` drops all pictures.
    calibration
        The calibration of the percentages, for drawings. Not part of equality or of AWS's format.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = (*BOX_HEAD, "user", "similarity", "next user", "similarity to it")

    user_matches: tuple[UserMatch, ...] = field(default=(), validator=tuple_of(UserMatch))
    face_model_version: str | None = field(default=None, validator=maybe(matches(MODEL_VERSION_PATTERN, 64)))
    searched_face: SearchedFaceDetails | None = field(default=None, validator=maybe(is_a(SearchedFaceDetails)))
    unsearched_faces: tuple[UnsearchedFace, ...] = field(default=(), validator=tuple_of(UnsearchedFace))
    preview: Preview | None = field(default=None, eq=False, repr=False, validator=maybe(is_a(Preview)))
    next_user: UserMatch | None = field(default=None, eq=False, validator=maybe(is_a(UserMatch)))
    evidence: Evidence | None = field(default=None, eq=False, repr=False, validator=maybe(is_a(Evidence)))
    pictures: Pictures | None = field(default=None, eq=False, repr=False, validator=maybe(is_a(Pictures)))
    calibration: Calibration | None = field(default=None, eq=False, repr=False, validator=maybe(is_a(Calibration)))

    @property
    def margin(self) -> float | None:
        """The similarity of the first match minus that of the next user, in percentage points, >= 0.

        A small margin means that two users look alike to the network, and the match is uncertain. ``None`` without a match;
        the whole similarity of the first match where there is no other user.
        """
        if not self.user_matches:
            return None
        rival = self._rival
        return self.user_matches[0].similarity - (rival.similarity if rival else 0.0)

    @property
    def _rival(self) -> UserMatch | None:
        return self.user_matches[1] if len(self.user_matches) > 1 else self.next_user

    @override
    def explain(self, *, quality_filter: str | QualityFilter | QualityBars | None = None) -> Explanation:
        explanation = require_evidence(self.evidence).explain(quality_filter)
        return attrs.evolve(explanation, calibration=self.calibration_note)

    @property
    def calibration_note(self) -> str | None:
        """The name of the calibration of the percentages, in one line; ``None`` if it comes with the library."""
        return describe_foreign(self.calibration)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchUsersByImageResponse):
            return NotImplemented
        return equal_fields(self, other, SearchUsersByImageResponse)

    def __hash__(self) -> int:
        return hash_fields(self, SearchUsersByImageResponse)

    def _repr_html_(self) -> str:
        return as_html(
            ResponseView(
                faces=seen_faces(self),
                matches=tuple((match.user.user_id, match.similarity) for match in self.user_matches),
                next_user=(self.next_user.user.user_id, self.next_user.similarity) if self.next_user else None,
                preview=self.preview,
                pictures=self.pictures,
                calibration=self.calibration,
            )
        )

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this response's row in a table."""
        box = self.searched_face.face_detail.bounding_box.row_cells() if self.searched_face else (None,) * len(BOX_HEAD)
        best = self.user_matches[0].row_cells() if self.user_matches else ("", None)
        return *box, *best, *(self._rival.row_cells() if self._rival else ("", None))

    def _headline(self) -> str:
        if not self.searched_face:
            found = "no face to search"
        elif self.user_matches:
            best = self.user_matches[0]
            more = f" and {len(self.user_matches) - 1:,} more" if len(self.user_matches) > 1 else ""
            found = f"{best.user.user_id} {best.similarity:.2f}%{more}"
        else:
            found = "nobody found"
        return f"{found}; {counted(len(self.unsearched_faces), 'other face')}"

    def _shown_tables(self) -> Iterator[Table]:
        yield Table(UserMatch.ROW_HEAD, [match.row_cells() for match in self.user_matches])
        searched = [self.searched_face.face_detail] if self.searched_face else []
        faces = [(face, "searched") for face in searched]
        faces += [(each.face_details, reason_names(each.reasons)) for each in self.unsearched_faces]
        rows = [(*face.bounding_box.row_cells(), face.confidence, what) for face, what in faces]
        yield Table((*BOX_HEAD, "confidence", ""), rows)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SearchedFaceResponse(SearchUsersByImageResponse):
    """The response about one face of a photo, from `facesearch.search_all_faces`.

    It equals a `SearchUsersByImageResponse` with the same content.

    Attributes
    ----------
    searched_face
        The searched face; never ``None``.
    """

    searched_face: SearchedFaceDetails = field(validator=is_a(SearchedFaceDetails))


def seen_faces(*responses: SearchUsersByImageResponse) -> tuple[SeenFace, ...]:
    """Return the outcome of each face of a photo, the searched ones first, from one response or those of `search_all_faces`."""
    searched = [
        _searched(response.searched_face, response.user_matches) for response in responses if response.searched_face
    ]
    others = responses[0].unsearched_faces if responses else ()  # those of one photo list the same ones
    return (*searched, *(refused_face(face.face_details, face.reasons) for face in others))


def _searched(face: SearchedFaceDetails, found: tuple[UserMatch, ...]) -> SeenFace:
    if not found:
        return SeenFace(detail=face.face_detail, kind=FaceClass.UNKNOWN)
    best = found[0]
    return SeenFace(detail=face.face_detail, kind=FaceClass.FOUND, name=best.user.user_id, similarity=best.similarity)


def refused_face(detail: FaceDetail, reasons: Iterable[Enum]) -> SeenFace:
    """Return the outcome of a face that was not searched or indexed."""
    names = tuple(reason.value for reason in reasons)
    return SeenFace(detail=detail, kind=class_of(names), reasons=names)


announce(__name__)
