"""Which of the detected faces is searched, which are indexed, and why the others are not.

Pure rules over measurements: no picture, no model. The order is fixed. First the 100 largest faces are kept, as AWS does;
then the quality filter; then the largest face that is left is the one to search.
"""

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

import attrs
from attrs import field

from facesearch._fields import between, check_member, is_a, plain_float
from facesearch.face import Pose
from facesearch.results import UnsearchedFaceReason

__all__ = [
    "AUTO_BARS",
    "HIGH_BARS",
    "LOW_BARS",
    "MAX_FACES",
    "MEDIUM_BARS",
    "REFERENCE_SIDE",
    "FaceMeasurements",
    "QualityBars",
    "QualityFilter",
    "Selection",
    "quality_reasons",
    "select",
]

# AWS finds faces of 40 px in photos of 1920x1080 and the smallest face grows with larger ones (Amazon Rekognition quotas):
# sizes are told as in a photo of that width.
REFERENCE_SIDE = 1920
MAX_FACES = 100  # AWS looks at the 100 largest faces of an image (Amazon Rekognition quotas)


class QualityFilter(Enum):
    """How much quality a face must have to be searched or indexed; AWS's names."""

    NONE = "NONE"
    AUTO = "AUTO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"

    @classmethod
    def parse(cls, value: Any) -> "QualityFilter":
        """Accept a member or its name.

        Raises
        ------
        InvalidParameterError
            If it is neither.
        """
        return check_member("quality_filter", value, cls)


@attrs.frozen(kw_only=True)
class FaceMeasurements:
    """What the rules look at.

    Attributes
    ----------
    area
        Of the unclipped box, in pixels squared.
    size
        Shorter side of the box, in pixels of a photo of at most 1920 px: AWS's smallest face grows with the image.
    confidence
        Percent, 0-100: how sure it is a face.
    brightness, sharpness
        0-100.
    pose
        Degrees.
    """

    area: float = field(converter=plain_float, validator=between(0))
    size: float = field(converter=plain_float, validator=between(0))
    confidence: float = field(converter=plain_float, validator=between(0, 100))
    brightness: float = field(converter=plain_float, validator=between(0, 100))
    sharpness: float = field(converter=plain_float, validator=between(0, 100))
    pose: Pose = field(validator=is_a(Pose))


@attrs.frozen(kw_only=True)
class QualityBars:
    """What a face must reach; the fields are named after the measurements and have their units.

    Attributes
    ----------
    min_size, min_confidence, min_brightness, min_sharpness
        The face must have at least so much.
    max_yaw, max_pitch_up, max_pitch_down
        Degrees away from straight, >= 0; roll is free, because alignment undoes it.
    """

    min_size: float = field(converter=plain_float, validator=between(0))
    min_confidence: float = field(converter=plain_float, validator=between(0, 100))
    min_brightness: float = field(converter=plain_float, validator=between(0, 100))
    min_sharpness: float = field(converter=plain_float, validator=between(0, 100))
    max_yaw: float = field(converter=plain_float, validator=between(0, 180))
    max_pitch_up: float = field(converter=plain_float, validator=between(0, 180))
    max_pitch_down: float = field(converter=plain_float, validator=between(0, 180))


# First sensible settings, not yet earned by measured error rates; LOW rejects what hardly any network can use, HIGH asks
# for what AWS recommends for indexing: a face of 50 px, pitch from -30 to 45 and yaw within 45 degrees.
LOW_BARS = QualityBars(
    min_size=24, min_confidence=20, min_brightness=8, min_sharpness=10, max_yaw=75, max_pitch_up=60, max_pitch_down=60
)
MEDIUM_BARS = QualityBars(
    min_size=36, min_confidence=50, min_brightness=15, min_sharpness=20, max_yaw=60, max_pitch_up=50, max_pitch_down=45
)
HIGH_BARS = QualityBars(
    min_size=50, min_confidence=80, min_brightness=22, min_sharpness=35, max_yaw=45, max_pitch_up=45, max_pitch_down=30
)
AUTO_BARS = LOW_BARS  # AWS does not say which bar AUTO is; ours is LOW, which hardly ever refuses a usable face

_BARS = {
    QualityFilter.AUTO: AUTO_BARS,
    QualityFilter.LOW: LOW_BARS,
    QualityFilter.MEDIUM: MEDIUM_BARS,
    QualityFilter.HIGH: HIGH_BARS,
}


@attrs.frozen(kw_only=True)
class Selection:
    """How a photo's faces part.

    Attributes
    ----------
    accepted
        Positions of the faces that pass, largest first. A search uses the first.
    refused
        Positions of the others, in the order given, each with its reasons.
    """

    accepted: tuple[int, ...]
    refused: tuple[tuple[int, tuple[UnsearchedFaceReason, ...]], ...]


def quality_reasons(face: FaceMeasurements, bars: QualityBars) -> tuple[UnsearchedFaceReason, ...]:
    """Give every bar that a face misses, in the order of `UnsearchedFaceReason`; none if it passes."""
    extreme = (
        abs(face.pose.yaw) > bars.max_yaw
        or face.pose.pitch > bars.max_pitch_up
        or face.pose.pitch < -bars.max_pitch_down
    )
    missed = {
        UnsearchedFaceReason.EXTREME_POSE: extreme,
        UnsearchedFaceReason.LOW_BRIGHTNESS: face.brightness < bars.min_brightness,
        UnsearchedFaceReason.LOW_SHARPNESS: face.sharpness < bars.min_sharpness,
        UnsearchedFaceReason.LOW_CONFIDENCE: face.confidence < bars.min_confidence,
        UnsearchedFaceReason.SMALL_BOUNDING_BOX: face.size < bars.min_size,
    }
    return tuple(reason for reason, holds in missed.items() if holds)


def select(
    faces: Sequence[FaceMeasurements], quality_filter: QualityFilter, *, max_faces: int | None = None
) -> Selection:
    """Part the faces of one photo into those that pass and those that don't.

    Parameters
    ----------
    faces
        In any order; positions in the result refer to it.
    quality_filter
        NONE filters nothing.
    max_faces
        Accept so many of the largest that pass; the rest get EXCEEDS_MAX_FACES.

    Returns
    -------
    Selection
        ``accepted`` and ``refused`` together are all faces, each once.

    Notes
    -----
    Larger is the larger unclipped box area in pixels; then the surer face; then the earlier one.
    """
    order = sorted(range(len(faces)), key=lambda i: (-faces[i].area, -faces[i].confidence, i))
    bars = _BARS.get(quality_filter)
    limit = math.inf if max_faces is None else max_faces
    accepted: list[int] = []
    refused: dict[int, tuple[UnsearchedFaceReason, ...]] = {}
    for rank, position in enumerate(order):
        reasons = quality_reasons(faces[position], bars) if bars else ()
        if rank >= MAX_FACES or (not reasons and len(accepted) >= limit):
            reasons = (UnsearchedFaceReason.EXCEEDS_MAX_FACES, *reasons)
        if reasons:
            refused[position] = reasons
        else:
            accepted.append(position)
    return Selection(accepted=tuple(accepted), refused=tuple(sorted(refused.items())))
