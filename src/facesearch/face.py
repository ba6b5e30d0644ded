"""What a face looks like: AWS's ``FaceDetail`` and its parts.

Confidences are percentages, 0-100: the confidence in the *value shown*, so ``Smile(value=False, confidence=95)`` is a
face that surely does not smile. What could not be assessed is ``None``, never a guess. The attributes describe
appearance; they say nothing of who a person is or feels.

Source: Amazon Rekognition API reference, ``FaceDetail``.
"""

from enum import Enum

import attrs
from attrs import field

from facesearch._announce import announce
from facesearch._fields import between, is_a, is_bool, maybe, plain_float, plain_int, tuple_of, whole
from facesearch.errors import InvalidParameterError
from facesearch.geometry import BoundingBox, Landmark

__all__ = [
    "AgeRange",
    "Beard",
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
    """The age that a face looks, in whole years.

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
class Smile:
    """Whether the face smiles, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class Eyeglasses:
    """Whether the face wears eyeglasses, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class Sunglasses:
    """Whether the face wears sunglasses, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class Beard:
    """Whether the face has a beard, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class Mustache:
    """Whether the face has a mustache, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class EyesOpen:
    """Whether the eyes are open, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class MouthOpen:
    """Whether the mouth is open, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class FaceOccluded:
    """Whether something covers eyes, nose or mouth, and the confidence in that, 0-100."""

    value: bool = field(validator=is_bool)
    confidence: float = field(converter=plain_float, validator=between(0, 100))


class GenderType(Enum):
    """The two appearances AWS's ``Gender`` tells apart."""

    MALE = "Male"
    FEMALE = "Female"


@attrs.frozen(kw_only=True)
class Gender:
    """What a face looks like in a binary reading of appearance, and the confidence in that, 0-100.

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
    """How a head is turned, in degrees, -180 to 180.

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
    """How bright and how sharp the face is, each 0-100; higher is brighter, sharper."""

    brightness: float = field(converter=plain_float, validator=between(0, 100))
    sharpness: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class EyeDirection:
    """Where the eyes look, in degrees relative to the head's own direction, with signs as in `Pose`.

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


@attrs.frozen(kw_only=True)
class FaceDetail:
    """Everything AWS tells about one face; what was not asked for or could not be assessed is ``None``.

    Attributes
    ----------
    bounding_box
        Hairline to chin and ear to ear, in ratios of the picture.
    confidence
        How sure it is that this is a face, percent, 0-100.
    landmarks
        5 points by default, all 30 with ``attributes=("ALL",)``.
    emotions
        In descending confidence.
    """

    bounding_box: BoundingBox | None = field(default=None, validator=maybe(is_a(BoundingBox)))
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
    confidence: float | None = field(
        default=None, converter=attrs.converters.optional(plain_float), validator=maybe(between(0, 100))
    )
    face_occluded: FaceOccluded | None = field(default=None, validator=maybe(is_a(FaceOccluded)))
    eye_direction: EyeDirection | None = field(default=None, validator=maybe(is_a(EyeDirection)))


announce(__name__)
