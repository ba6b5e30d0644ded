"""The figures behind the reasons other than quality: comparisons with another face, a limit, or a user."""

from typing import Protocol

import attrs
from attrs import field

from facesearch.common.validation import between, is_a, maybe, maybe_float
from facesearch.domain.reasons import EnrollmentReason, UnsearchedFaceReason
from facesearch.selection.face_selection import RIVAL_AREA

__all__ = ["Comparison", "Judged", "judged", "nearer", "not_largest", "one_too_many", "rival", "taken", "unlike"]

_MOST_DIGITS = 17  # distinguish any two floats near 1


@attrs.frozen(kw_only=True)
class Comparison:
    """A figure of a face and the value it was compared with; ``str(comparison)`` is a text.

    Attributes
    ----------
    reason
        AWS's name, or that of an `EnrollmentReason`.
    measurement
        "area", "place by size", "area of the second face", "similarity" or "user".
    value
        The figure of this face; ``None`` where the reason has no figure.
    against
        The value it was compared with; ``None`` where there was nothing to compare with.
    unit
        Unit of both: "px²", "faces", "percent", or empty.
    user_id
        The other user, where the reason is another user.
    text
        The comparison as a text.
    """

    reason: str = field(validator=is_a(str))
    measurement: str = field(validator=is_a(str))
    value: float | None = field(default=None, converter=maybe_float, validator=maybe(between()))
    against: float | None = field(default=None, converter=maybe_float, validator=maybe(between()))
    unit: str = field(default="", validator=is_a(str))
    user_id: str | None = field(default=None, validator=maybe(is_a(str)))
    text: str = field(validator=is_a(str))

    def __str__(self) -> str:
        return self.text


def not_largest(area: float, searched: float) -> Comparison:
    """Compare the area of a face, px², with that of the face that was searched."""
    one, other = f"{area:,.0f}", f"{searched:,.0f}"
    if area == searched:
        text = f"area {one} px², as the searched face: of two alike the surer is searched"
    elif one == other:
        text = f"area {one} px², the searched face has hardly more"
    else:
        text = f"area {one} px², the searched face has {other}"
    return Comparison(
        reason=UnsearchedFaceReason.FACE_NOT_LARGEST.value,
        measurement="area",
        text=text,
        value=area,
        against=searched,
        unit="px²",
    )


def one_too_many(place: int, most: int, *, of_all: bool) -> Comparison:
    """Compare the rank of a face by size, where 1 is the largest, with the limit; *of_all* ranks the faces that fail too."""
    return Comparison(
        reason=UnsearchedFaceReason.EXCEEDS_MAX_FACES.value,
        measurement="place by size",
        text=f"number {place} by size{'' if of_all else ' of those that pass'}, at most {most} wanted",
        value=place,
        against=most,
        unit="faces",
    )


def rival(largest: float, second: float) -> Comparison:
    """Compare the area of a photo's second largest face with that of the largest, both in the same unit."""
    share = 100 * (second / largest) if largest else 100.0  # in this order half of an area is 50
    shown, bar = _apart(share, 100 * RIVAL_AREA)
    return Comparison(
        reason=EnrollmentReason.SEVERAL_FACES.value,
        measurement="area of the second face",
        text=f"another face has {shown}% of its area, less than {bar}% wanted",
        value=share,
        against=100 * RIVAL_AREA,
        unit="percent",
    )


def unlike(own: float, needed: float | None) -> Comparison:
    """Compare the similarity of a face to its user's faces with the threshold, percent."""
    shown, bar = (f"{own:.1f}", "") if needed is None else _apart(own, needed, digits=1)
    text = f"similarity to its own {shown}%" + (f", at least {bar}% wanted" if bar else "")
    return _similarity(EnrollmentReason.LOW_MATCH_CONFIDENCE, text, own, needed)


def nearer(user_id: str, other: float, own: float | None) -> Comparison:
    """Compare the similarities of a face to another user and to its own user, percent; *own* is ``None`` without own faces."""
    shown, mine = (f"{other:.1f}", "") if own is None else _apart(other, own, digits=1)
    text = f"similarity to {user_id} {shown}%, " + (f"to its own {mine}%" if mine else "of its own there is none")
    return _similarity(EnrollmentReason.NEARER_TO_ANOTHER_USER, text, other, own, user_id)


def taken(user_id: str) -> Comparison:
    """Return that another user has the face already."""
    reason, text = EnrollmentReason.ASSOCIATED_TO_A_DIFFERENT_USER.value, f"it is a face of {user_id} already"
    return Comparison(reason=reason, measurement="user", text=text, user_id=user_id)


def _similarity(
    reason: EnrollmentReason, text: str, value: float | None, against: float | None = None, user_id: str | None = None
) -> Comparison:
    return Comparison(
        reason=reason.value,
        measurement="similarity",
        text=text,
        value=value,
        against=against,
        unit="percent",
        user_id=user_id,
    )


class Judged(Protocol):
    """The result for a photo to enrol, see `facesearch.Enrollment`."""

    @property
    def reasons(self) -> tuple[EnrollmentReason, ...]:
        """The reasons for refusing it."""

    @property
    def confidence(self) -> float | None:
        """The similarity to the user's own faces, percent."""

    @property
    def user_id(self) -> str | None:
        """The other user that has the face or is nearer to it."""

    @property
    def user_confidence(self) -> float | None:
        """The similarity to that other user, percent."""


def judged(reason: EnrollmentReason, photo: Judged, needed: float | None) -> Comparison | None:
    """Return the comparison behind a reason that depends on the person shown; ``None`` for other reasons or without figures.

    *needed* is the threshold of the similarity to the user's own faces, percent.
    """
    own, other, user_id = photo.confidence, photo.user_confidence, photo.user_id
    match reason:
        case EnrollmentReason.PHOTOS_DISAGREE:
            figure = "" if own is None else f"similarity to the others {own:.1f}%, "
            return _similarity(reason, f"{figure}no photo of this user matches more than half of them", own)
        case EnrollmentReason.GIVEN_FOR_SEVERAL_USERS:
            text = "the same photo was given for another user too, in the same call"
            return Comparison(reason=reason.value, measurement="user", text=text)
        case EnrollmentReason.LOW_MATCH_CONFIDENCE if own is not None:
            return unlike(own, needed)
        case EnrollmentReason.NEARER_TO_ANOTHER_USER if other is not None and user_id is not None:
            return nearer(user_id, other, own)
        case EnrollmentReason.ASSOCIATED_TO_A_DIFFERENT_USER if user_id is not None:
            return taken(user_id)
    return None


def _apart(value: float, bar: float, *, digits: int = 0) -> tuple[str, str]:
    """Format two figures with the same number of digits, the fewest that keep different figures different."""
    for more in range(digits, _MOST_DIGITS + 1):
        one, other = f"{value:,.{more}f}", f"{bar:,.{more}f}"
        if (one == other) == (value == bar):
            return one, other
    return repr(value), repr(bar)
