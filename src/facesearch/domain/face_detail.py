"""The appearance of a face: AWS's ``FaceDetail`` and its parts.

Confidences are percentages, 0-100: the confidence in the *value shown*, so ``Smile(value=False, confidence=95)`` is a
face that surely does not smile. An attribute that could not be assessed is ``None``, never a guess. The attributes describe
appearance, not a person's identity or feelings.

Source: Amazon Rekognition API reference, ``FaceDetail``.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, ClassVar

import attrs
from attrs import field

from facesearch.common.announce import announce
from facesearch.common.equality import equal_fields, hash_fields
from facesearch.common.tables import BOX_HEAD, Cell, Shown, Table
from facesearch.common.validation import (
    between,
    is_a,
    is_bool,
    maybe,
    maybe_float,
    plain_float,
    plain_int,
    tuple_of,
    whole,
)
from facesearch.domain.geometry import BoundingBox, Landmark
from facesearch.errors import InvalidParameterError

__all__ = [
    "AgeRange",
    "Beard",
    "DetectedFace",
    "Emotion",
    "EmotionType",
    "EyeDirection",
    "Eyeglasses",
    "EyesOpen",
    "FaceDetail",
    "FaceOccluded",
    "Gender",
    "GenderType",
    "ImageQuality",
    "MouthOpen",
    "Mustache",
    "Pose",
    "Smile",
    "Sunglasses",
]


@attrs.frozen(kw_only=True)
class AgeRange:
    """The apparent age of a face, in whole years.

    Attributes
    ----------
    low, high
        Both ends belong to the range; ``low <= high``.
    """

    low: int = field(converter=plain_int, validator=whole(0))
    high: int = field(converter=plain_int, validator=whole(0))

    def __attrs_post_init__(self) -> None:
        if self.high < self.low:
            raise InvalidParameterError.of("high", self.high, f"a number >= low, which is {self.low}")


@attrs.frozen(kw_only=True)
class _YesOrNo:
    """An answer, and the confidence in it, 0-100 percent."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class Smile(_YesOrNo):
    """Whether the face smiles, and the confidence in that, 0-100."""


@attrs.frozen(kw_only=True)
class Eyeglasses(_YesOrNo):
    """Whether the face wears eyeglasses, and the confidence in that, 0-100."""


@attrs.frozen(kw_only=True)
class Sunglasses(_YesOrNo):
    """Whether the face wears sunglasses, and the confidence in that, 0-100."""


@attrs.frozen(kw_only=True)
class Beard(_YesOrNo):
    """Whether the face has a beard, and the confidence in that, 0-100."""


@attrs.frozen(kw_only=True)
class Mustache(_YesOrNo):
    """Whether the face has a mustache, and the confidence in that, 0-100."""


@attrs.frozen(kw_only=True)
class EyesOpen(_YesOrNo):
    """Whether the eyes are open, and the confidence in that, 0-100."""


@attrs.frozen(kw_only=True)
class MouthOpen(_YesOrNo):
    """Whether the mouth is open, and the confidence in that, 0-100."""


@attrs.frozen(kw_only=True)
class FaceOccluded(_YesOrNo):
    """Whether something covers eyes, nose or mouth, and the confidence in that, 0-100."""


class GenderType(Enum):
    """The two values of AWS's ``Gender``."""

    MALE = "Male"
    FEMALE = "Female"


@attrs.frozen(kw_only=True)
class Gender:
    """The appearance of a face in a binary classification, and the confidence in that, 0-100.

    It is no statement about a person's gender identity and must not be used as one.
    """

    value: GenderType = field(validator=is_a(GenderType))
    confidence: float = field(converter=plain_float, validator=between(0, 100))


class EmotionType(Enum):
    """AWS's nine expressions."""

    HAPPY = "HAPPY"
    SAD = "SAD"
    ANGRY = "ANGRY"
    CONFUSED = "CONFUSED"
    DISGUSTED = "DISGUSTED"
    SURPRISED = "SURPRISED"
    CALM = "CALM"
    UNKNOWN = "UNKNOWN"
    FEAR = "FEAR"


@attrs.frozen(kw_only=True)
class Emotion:
    """An expression that a face shows, and the confidence in that, 0-100; the emotions need not sum to 100."""

    type: EmotionType = field(validator=is_a(EmotionType))
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class Pose:
    """The orientation of a head, in degrees, -180 to 180.

    Attributes
    ----------
    roll
        The angle of the line from the left eye to the right one; positive is clockwise on the screen.
    yaw
        Positive is nose toward the right of the picture.
    pitch
        Positive is face up.
    """

    roll: float = field(converter=plain_float, validator=between(-180, 180))
    yaw: float = field(converter=plain_float, validator=between(-180, 180))
    pitch: float = field(converter=plain_float, validator=between(-180, 180))


@attrs.frozen(kw_only=True)
class ImageQuality:
    """The brightness and the sharpness of a face, each 0-100; higher is brighter, sharper."""

    brightness: float = field(converter=plain_float, validator=between(0, 100))
    sharpness: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class EyeDirection:
    """The direction of gaze, in degrees relative to the head's own direction, with signs as in `Pose`.

    Attributes
    ----------
    yaw, pitch
        Degrees, -180 to 180.
    confidence
        Percent, 0-100.
    """

    yaw: float = field(converter=plain_float, validator=between(-180, 180))
    pitch: float = field(converter=plain_float, validator=between(-180, 180))
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FaceDetail(Shown):
    """AWS's description of one face; attributes that were not requested or could not be assessed are ``None``.

    AWS's own responses to SearchUsersByImage have the bounding box alone. Faces detected in a photo here are `DetectedFace`.

    Attributes
    ----------
    bounding_box
        Hairline to chin and ear to ear, in ratios of the picture.
    confidence
        The confidence that this is a face, percent, 0-100.
    landmarks
        5 points by default, all 30 with ``attributes=("ALL",)``.
    emotions
        In descending confidence.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = (
        *BOX_HEAD,
        "confidence",
        "yaw",
        "pitch",
        "roll",
        "brightness",
        "sharpness",
        "looks",
    )

    bounding_box: BoundingBox = field(validator=is_a(BoundingBox))
    age_range: AgeRange | None = field(default=None, validator=maybe(is_a(AgeRange)))
    smile: Smile | None = field(default=None, validator=maybe(is_a(Smile)))
    eyeglasses: Eyeglasses | None = field(default=None, validator=maybe(is_a(Eyeglasses)))
    sunglasses: Sunglasses | None = field(default=None, validator=maybe(is_a(Sunglasses)))
    gender: Gender | None = field(default=None, validator=maybe(is_a(Gender)))
    beard: Beard | None = field(default=None, validator=maybe(is_a(Beard)))
    mustache: Mustache | None = field(default=None, validator=maybe(is_a(Mustache)))
    eyes_open: EyesOpen | None = field(default=None, validator=maybe(is_a(EyesOpen)))
    mouth_open: MouthOpen | None = field(default=None, validator=maybe(is_a(MouthOpen)))
    emotions: tuple[Emotion, ...] | None = field(default=None, validator=maybe(tuple_of(Emotion)))
    landmarks: tuple[Landmark, ...] | None = field(default=None, validator=maybe(tuple_of(Landmark)))
    pose: Pose | None = field(default=None, validator=maybe(is_a(Pose)))
    quality: ImageQuality | None = field(default=None, validator=maybe(is_a(ImageQuality)))
    confidence: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    face_occluded: FaceOccluded | None = field(default=None, validator=maybe(is_a(FaceOccluded)))
    eye_direction: EyeDirection | None = field(default=None, validator=maybe(is_a(EyeDirection)))

    def __eq__(self, other: object) -> bool:
        return equal_fields(self, other, FaceDetail) if isinstance(other, FaceDetail) else NotImplemented

    def __hash__(self) -> int:
        return hash_fields(self, FaceDetail)

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this face's row in a table."""
        pose = (self.pose.yaw, self.pose.pitch, self.pose.roll) if self.pose else (None, None, None)
        quality = (self.quality.brightness, self.quality.sharpness) if self.quality else (None, None)
        return (*self.bounding_box.row_cells(), self.confidence, *pose, *quality, ", ".join(self._looks()))

    def _headline(self) -> str:
        box = self.bounding_box
        sure = "" if self.confidence is None else f", confidence {self.confidence:.1f}%"
        return f"face of {box.width:.2f} x {box.height:.2f} at {box.left:.2f}, {box.top:.2f}{sure}"

    def _shown_tables(self) -> Iterator[Table]:
        figures = [
            (name, value)
            for name, value in zip(self.ROW_HEAD, self.row_cells(), strict=True)
            if value not in {None, ""} and name != "looks"
        ]
        yield Table(("", "value"), figures)
        answers = [
            (each.name.replace("_", " "), _answer(value), value.confidence)
            for each in attrs.fields(FaceDetail)
            if hasattr(value := getattr(self, each.name), "confidence")
        ]
        emotions = [(f"emotion {each.type.value}", "", each.confidence) for each in self.emotions or ()]
        age = [("age range", f"{self.age_range.low}-{self.age_range.high}", None)] if self.age_range else []
        yield Table(("", "value", "confidence"), [*age, *answers, *emotions])

    def _looks(self) -> Iterator[str]:
        """Yield the attributes that are present as words, as far as they were assessed."""
        if self.age_range:
            yield f"{self.age_range.low}-{self.age_range.high} years"
        if self.gender:
            yield self.gender.value.value.lower()
        if self.emotions:
            yield self.emotions[0].type.value.lower()
        for name in _YES_OR_NO:
            if (answer := getattr(self, name)) and answer.value:
                yield name.replace("_", " ")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DetectedFace(FaceDetail):
    """A detected face: a `FaceDetail` that always has the fields of AWS's attribute DEFAULT.

    DetectFaces and IndexFaces always respond with such faces. It is equal to a `FaceDetail` with the same content.

    Attributes
    ----------
    confidence
        The confidence that this is a face, percent, 0-100.
    landmarks
        5 points by default, all 30 with ``attributes=("ALL",)``.
    pose
        The orientation of the head.
    quality
        The brightness and the sharpness of the face.
    """

    confidence: float = field(converter=plain_float, validator=between(0, 100))
    landmarks: tuple[Landmark, ...] = field(validator=tuple_of(Landmark))
    pose: Pose = field(validator=is_a(Pose))
    quality: ImageQuality = field(validator=is_a(ImageQuality))


_YES_OR_NO = ("smile", "eyeglasses", "sunglasses", "beard", "mustache", "eyes_open", "mouth_open", "face_occluded")


def _answer(value: Any) -> str:
    if isinstance(value, EyeDirection):
        return f"yaw {value.yaw:.0f}, pitch {value.pitch:.0f}"
    return str(value.value.value) if isinstance(value, Gender) else "yes" if value.value else "no"


announce(__name__)
