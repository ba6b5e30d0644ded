"""What became of one photo of a folder, in words, and how a collection remembers it.

What is remembered holds no user's id: the collection keeps those apart, so that they can be erased.
"""

import json
from typing import Final

import attrs
from attrs import field

from facesearch.common.validation import between, is_a, maybe, plain_float, tuple_of
from facesearch.domain.reasons import EnrollmentReason
from facesearch.enrolment.candidates import Look
from facesearch.responses.collection import Enrollment
from facesearch.selection.comparisons import judged, nearer, taken

__all__ = ["PHOTOS_DISAGREE", "QUOTA_EXCEEDED", "PhotoOutcome"]

QUOTA_EXCEEDED: Final = "QUOTA_EXCEEDED"
"""Why a photo is refused that would give its user more faces than a user may have."""

PHOTOS_DISAGREE: Final = EnrollmentReason.PHOTOS_DISAGREE.value

_NEARER, _TAKEN = EnrollmentReason.NEARER_TO_ANOTHER_USER.value, EnrollmentReason.ASSOCIATED_TO_A_DIFFERENT_USER.value


@attrs.frozen(kw_only=True)
class PhotoOutcome:
    """What became of a photo: accepted, refused for its reasons, or broken.

    Attributes
    ----------
    reasons
        Every reason why it was refused.
    figures
        What was measured and what would have passed, in words; nothing that names a user.
    confidence
        The similarity to the user's own faces, percent, where there is something to compare with.
    other_user_id, other_confidence
        The other user that has the face, or that it is nearer to, and the similarity to that one, percent.
    error
        What is wrong with the file, in words; ``None`` where it could be read.
    """

    reasons: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    figures: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    confidence: float | None = field(
        default=None, converter=attrs.converters.optional(plain_float), validator=maybe(between(0, 100))
    )
    other_user_id: str | None = field(default=None, validator=maybe(is_a(str)))
    other_confidence: float | None = field(
        default=None, converter=attrs.converters.optional(plain_float), validator=maybe(between(0, 100))
    )
    error: str | None = field(default=None, validator=maybe(is_a(str)))

    @classmethod
    def of_enrollment(cls, photo: Enrollment, needed: float | None) -> "PhotoOutcome":
        """Return what became of a photo of a user that shows one good face, by whom it shows; *needed* as in `judged`."""
        found = [(reason, judged(reason, photo, needed)) for reason in photo.reasons]
        return cls(
            reasons=tuple(reason.value for reason in photo.reasons),
            figures=tuple(each.text for reason, each in found if each and reason.value not in {_NEARER, _TAKEN}),
            confidence=photo.confidence,
            other_user_id=photo.user_id,
            other_confidence=photo.user_confidence,
        )

    @classmethod
    def of_unusable(cls, look: Look) -> "PhotoOutcome":
        """Return what became of a photo of a user that does not show one good face."""
        faces = Enrollment(reasons=look.reasons, evidence=look.evidence).explain().faces
        return cls(
            reasons=tuple(reason.value for reason in look.reasons),
            figures=tuple(text for face in faces for _, text in face.figures() if text),
        )

    @classmethod
    def of_look(cls, look: Look) -> "PhotoOutcome":
        """Tell what became of a photo that is nobody's: accepted, if any of its faces passes."""
        if look.faces:
            return cls()
        faces = look.evidence.explain().faces
        reasons = [reason for face in faces for reason in face.reasons] or [EnrollmentReason.NO_FACE.value]
        return cls(
            reasons=tuple(dict.fromkeys(reasons)),
            figures=tuple(text for face in faces for _, text in face.figures() if text),
        )

    @classmethod
    def over_quota(cls, most: int) -> "PhotoOutcome":
        """Tell that its user has *most* faces already."""
        return cls(reasons=(QUOTA_EXCEEDED,), figures=(f"the user has {most} faces, which is the most",))

    @property
    def accepted(self) -> bool:
        """Whether its face was taken."""
        return not self.reasons and self.error is None

    @property
    def detail(self) -> str:
        """The figures behind the reasons, in words; or what is wrong with the file."""
        if self.error is not None:
            return self.error
        named = []
        if self.other_user_id is not None:
            if _TAKEN in self.reasons:
                named.append(taken(self.other_user_id).text)
            elif self.other_confidence is not None:
                named.append(nearer(self.other_user_id, self.other_confidence, self.confidence).text)
        return "; ".join((*self.figures, *named))

    def dumps(self) -> str:
        """Write it down, but for the other user's id."""
        told = attrs.asdict(self, filter=lambda field, value: field.name != "other_user_id" and value not in {None, ()})
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str, other_user_id: str | None) -> "PhotoOutcome":
        """Read what `dumps` wrote."""
        told = json.loads(text)
        for name in ("reasons", "figures"):
            told[name] = tuple(told.get(name, ()))
        return cls(**told, other_user_id=other_user_id)
