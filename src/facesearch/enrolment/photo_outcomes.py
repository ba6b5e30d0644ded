"""The outcome for one photo of a folder, and its text form in a collection.

The text form contains no user id: the collection stores those separately, so that they can be erased.
"""

import json
from typing import Final

import attrs
from attrs import field

from facesearch.common.validation import between, is_a, maybe, maybe_float, tuple_of
from facesearch.domain.reasons import EnrollmentReason
from facesearch.enrolment.candidates import PhotoAnalysis
from facesearch.responses.collection import Enrollment
from facesearch.selection.comparisons import judged, nearer, taken

__all__ = ["PHOTOS_DISAGREE", "QUOTA_EXCEEDED", "PhotoOutcome"]

QUOTA_EXCEEDED: Final = "QUOTA_EXCEEDED"
"""The reason for refusing a photo when its user has the greatest number of faces already."""

PHOTOS_DISAGREE: Final = EnrollmentReason.PHOTOS_DISAGREE.value

_NEARER, _TAKEN = EnrollmentReason.NEARER_TO_ANOTHER_USER.value, EnrollmentReason.ASSOCIATED_TO_A_DIFFERENT_USER.value


@attrs.frozen(kw_only=True)
class PhotoOutcome:
    """The outcome for a photo: accepted, refused for its reasons, or broken."""

    reasons: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    # The measurements and their thresholds as texts, without user ids.
    figures: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    # Percent: the similarity to the user's own faces, and to the other user that has the face or that it is nearer to.
    confidence: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    other_user_id: str | None = field(default=None, validator=maybe(is_a(str)))
    other_confidence: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    error: str | None = field(default=None, validator=maybe(is_a(str)))  # of reading the file

    @classmethod
    def of_enrollment(cls, photo: Enrollment, needed: float | None) -> "PhotoOutcome":
        """Return the outcome for a photo with one candidate face, from its judgement; *needed* as in `judged`."""
        found = [(reason, judged(reason, photo, needed)) for reason in photo.reasons]
        return cls(
            reasons=tuple(reason.value for reason in photo.reasons),
            figures=tuple(each.text for reason, each in found if each and reason.value not in {_NEARER, _TAKEN}),
            confidence=photo.confidence,
            other_user_id=photo.user_id,
            other_confidence=photo.user_confidence,
        )

    @classmethod
    def of_analysis(cls, analysis: PhotoAnalysis, *, enroll: bool) -> "PhotoOutcome":
        """Return the outcome for a photo: accepted, if any face passes; *enroll* for a photo of a user."""
        if analysis.faces:
            return cls()
        evidence = analysis.evidence
        explanation = Enrollment(reasons=analysis.reasons, evidence=evidence) if enroll else evidence
        faces = explanation.explain().faces
        reasons = [reason for face in faces for reason in face.reasons] or [EnrollmentReason.NO_FACE.value]
        return cls(
            reasons=tuple(dict.fromkeys(reasons)),
            figures=tuple(text for face in faces for _, text in face.figures() if text),
        )

    @property
    def accepted(self) -> bool:
        """Whether the photo was accepted."""
        return not self.reasons and self.error is None

    @property
    def detail(self) -> str:
        """The figures behind the reasons, or the error of the file, as one text."""
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
        """Return the outcome as JSON, without the other user's id."""
        content = attrs.asdict(
            self, filter=lambda field, value: field.name != "other_user_id" and value not in {None, ()}
        )
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str, other_user_id: str | None) -> "PhotoOutcome":
        """Return the outcome that `dumps` wrote."""
        content = json.loads(text)
        for name in ("reasons", "figures"):
            content[name] = tuple(content.get(name, ()))
        return cls(**content, other_user_id=other_user_id)
