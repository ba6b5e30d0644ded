"""What a search answers: AWS's ``SearchUsersByImage`` response and its parts.

Source: Amazon Rekognition API reference, ``SearchUsersByImage``.
"""

from enum import Enum
from html import escape

import attrs
from attrs import field

from facesearch._fields import between, is_a, matches, maybe, plain_float, tuple_of
from facesearch.face import FaceDetail
from facesearch.preview import Mark, Preview, draw
from facesearch.records import MODEL_VERSION_PATTERN, USER_ID_PATTERN, UserStatus

__all__ = [
    "MatchedUser",
    "SearchUsersByImageResponse",
    "SearchedFaceDetails",
    "UnsearchedFace",
    "UnsearchedFaceReason",
    "UserMatch",
]

_ROWS_SHOWN = 20
_LEFT = "text-align:left;overflow-wrap:anywhere"  # a notebook sets tables to the right; ids may be 128 letters long


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

    user_id: str = field(validator=matches(USER_ID_PATTERN, 128))
    user_status: UserStatus = field(validator=is_a(UserStatus))


@attrs.frozen(kw_only=True)
class UserMatch:
    """A user whose vector is near enough to the searched face's.

    Attributes
    ----------
    similarity
        Percent, 0-100; higher is closer. See `facesearch.scoring`.
    user
        Who it is.
    """

    similarity: float = field(converter=plain_float, validator=between(0, 100))
    user: MatchedUser = field(validator=is_a(MatchedUser))


class UnsearchedFaceReason(Enum):
    """Why a face was detected but not searched."""

    FACE_NOT_LARGEST = "FACE_NOT_LARGEST"
    EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


@attrs.frozen(kw_only=True)
class UnsearchedFace:
    """A face that was detected but not searched, with every reason that holds.

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
    """The one face that was searched with: the largest that passed the filter."""

    face_detail: FaceDetail = field(validator=is_a(FaceDetail))


@attrs.frozen(kw_only=True)
class SearchUsersByImageResponse:
    """The answer to "who is in this photo?".

    Attributes
    ----------
    user_matches
        Highest similarity first; equal ones by user id. Empty when nobody is similar enough, or no face was searched.
    face_model_version
        Digits and dots.
    searched_face
        ``None`` when the photo has no face that passed the filter.
    unsearched_faces
        Every other face that was detected: searched and unsearched together are the detected ones.
    preview
        A small copy of the photo for ``_repr_html_``, in memory only: it is no part of the answer, of equality, of
        ``repr`` or of the wire. ``attrs.evolve(response, preview=None)`` drops it.
    next_user
        The nearest user that is not among the matches: below the threshold, or beyond the greatest number asked for. No part of
        equality or of the wire.
    """

    user_matches: tuple[UserMatch, ...] = field(default=(), validator=tuple_of(UserMatch))
    face_model_version: str | None = field(default=None, validator=maybe(matches(MODEL_VERSION_PATTERN, 64)))
    searched_face: SearchedFaceDetails | None = field(default=None, validator=maybe(is_a(SearchedFaceDetails)))
    unsearched_faces: tuple[UnsearchedFace, ...] = field(default=(), validator=tuple_of(UnsearchedFace))
    preview: Preview | None = field(
        default=None,
        eq=False,
        repr=False,
        validator=maybe(is_a(Preview)),
    )
    next_user: UserMatch | None = field(default=None, eq=False, validator=maybe(is_a(UserMatch)))

    @property
    def margin(self) -> float | None:
        """By how much the first match is more similar than whoever comes next, in percentage points, >= 0.

        A small one says that two users look alike to the network: be unsure. ``None`` where nobody matched, and all of the
        first's similarity where there is no other user.
        """
        if not self.user_matches:
            return None
        rival = self.user_matches[1] if len(self.user_matches) > 1 else self.next_user
        return self.user_matches[0].similarity - (rival.similarity if rival else 0.0)

    def _repr_html_(self) -> str:
        """Show the photo with its faces boxed, who was found, and why the other faces were not searched."""
        marks = []
        if self.searched_face and self.searched_face.face_detail.bounding_box:
            best = self.user_matches[0] if self.user_matches else None
            label = f"{best.user.user_id} {best.similarity:.1f}%" if best else "nobody known"
            box = self.searched_face.face_detail.bounding_box
            marks.append(Mark(box=box, label=label, hint=f"searched: {label}", searched=True))
        rows = [
            f'<tr><td style="{_LEFT}">{escape(match.user.user_id)}</td><td>{match.similarity:.2f}%</td></tr>'
            for match in self.user_matches[:_ROWS_SHOWN]
        ]
        others = []
        for position, face in enumerate(self.unsearched_faces, start=1):
            reasons = ", ".join(reason.value for reason in face.reasons)
            sure = face.face_details.confidence
            confidence = "" if sure is None else f"{sure:.0f}%"
            others.append(f'<tr><td>{position}</td><td>{confidence}</td><td style="{_LEFT}">{reasons}</td></tr>')
            if face.face_details.bounding_box:
                box = face.face_details.bounding_box
                marks.append(Mark(box=box, label=str(position), hint=f"{position}: {reasons}", searched=False))
        parts = [draw(self.preview, marks)]
        if self.searched_face is None:
            parts.append("<p>No face in this photo could be searched.</p>")
        elif not rows:
            parts.append("<p>Nobody in the collection is similar enough to the searched face.</p>")
        else:
            parts.append(_table(("user", "similarity"), rows))
            if len(self.user_matches) > _ROWS_SHOWN:
                parts.append(f"<p>and {len(self.user_matches) - _ROWS_SHOWN} more</p>")
        if others:
            counted = "1 face was" if len(others) == 1 else f"{len(others)} faces were"
            parts.append(f"<p>{counted} not searched:</p>{_table(('face', 'confidence', 'reasons'), others)}")
        return f"<div>{''.join(parts)}</div>"


def _table(head: tuple[str, ...], rows: list[str]) -> str:
    cells = "".join(f'<th style="text-align:left">{name}</th>' for name in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
