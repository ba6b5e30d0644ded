"""The quality filter: AWS's filter names, the measurements of a face, and the thresholds of each filter.

The thresholds are one replaceable object: pass your own `FilterBars` to `facesearch.FaceAnalyzer`, and search, indexing and
enrolment use it.
"""

from enum import Enum
from typing import Any, Final

import attrs
from attrs import field

from facesearch.common.validation import between, check_member, is_a, maybe, maybe_float, plain_float
from facesearch.domain.face_detail import Pose
from facesearch.domain.reasons import QualityReason
from facesearch.errors import InvalidParameterError

__all__ = [
    "HIGH_BARS",
    "LOW_BARS",
    "MEDIUM_BARS",
    "REFERENCE_SIDE",
    "SHIPPED_BARS",
    "FaceMeasurements",
    "FilterBars",
    "QualityBars",
    "QualityFilter",
    "QualityReason",
]

# AWS finds faces of 40 px in photos of 1920x1080 and the smallest face grows with larger ones (Amazon Rekognition quotas):
# sizes are scaled to a photo of that width.
REFERENCE_SIDE: Final = 1920


class QualityFilter(Enum):
    """The quality filters for searching and indexing; AWS's names."""

    NONE = "NONE"
    AUTO = "AUTO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"

    @classmethod
    def parse(cls, value: Any) -> "QualityFilter":
        """Return the filter that a member or its name denotes.

        Raises
        ------
        InvalidParameterError
            If it is neither.
        """
        return check_member("quality_filter", value, cls)


@attrs.frozen(kw_only=True)
class FaceMeasurements:
    """The measurements of a face that the quality filter and the selection use.

    Attributes
    ----------
    area
        Area of the unclipped box, in pixels squared.
    size
        Shorter side of the box, in pixels of a photo of at most 1920 px: AWS's smallest face grows with the image.
    confidence
        Confidence that it is a face, percent, 0-100.
    brightness, sharpness
        0-100; see `facesearch.appearance.image_quality.measure_quality`.
    pose
        Degrees.
    quality
        The match quality, percent, 0-100: the probability that the face reaches a similarity of 80 to another, ordinary photo
        of the same person; ``None`` where it was not measured.
    """

    area: float = field(converter=plain_float, validator=between(0))
    size: float = field(converter=plain_float, validator=between(0))
    confidence: float = field(converter=plain_float, validator=between(0, 100))
    brightness: float = field(converter=plain_float, validator=between(0, 100))
    sharpness: float = field(converter=plain_float, validator=between(0, 100))
    pose: Pose = field(validator=is_a(Pose))
    quality: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))


@attrs.frozen(kw_only=True)
class QualityBars:
    """The thresholds of a quality filter; the fields are named after the measurements and have their units.

    Attributes
    ----------
    min_size, min_confidence, min_brightness, min_sharpness
        Lower limits, inclusive.
    max_yaw, max_pitch_up, max_pitch_down
        Upper limits, inclusive: degrees from frontal, >= 0. Roll has no limit, because alignment undoes it.
    min_quality
        Lower limit, 0-100; a face without measured quality always passes.
    """

    min_size: float = field(converter=plain_float, validator=between(0))
    min_confidence: float = field(converter=plain_float, validator=between(0, 100))
    min_brightness: float = field(converter=plain_float, validator=between(0, 100))
    min_sharpness: float = field(converter=plain_float, validator=between(0, 100))
    max_yaw: float = field(converter=plain_float, validator=between(0, 180))
    max_pitch_up: float = field(converter=plain_float, validator=between(0, 180))
    max_pitch_down: float = field(converter=plain_float, validator=between(0, 180))
    min_quality: float = field(default=0.0, converter=plain_float, validator=between(0, 100))


_LEVELS = (QualityFilter.LOW, QualityFilter.MEDIUM, QualityFilter.HIGH)


def _level(value: Any) -> QualityFilter:
    level = check_member("auto", value, QualityFilter)
    if level not in _LEVELS:
        raise InvalidParameterError.of("auto", value, "one of LOW, MEDIUM, HIGH")
    return level


@attrs.frozen(kw_only=True)
class FilterBars:
    """The thresholds of each quality filter.

    Attributes
    ----------
    low, medium, high
        The thresholds of the filters of these names.
    auto
        The filter that AUTO stands for: LOW, MEDIUM or HIGH. AWS does not document its own.

    Raises
    ------
    InvalidParameterError
        If a filter is stricter than a higher one in any field: a face that passes HIGH must pass MEDIUM and LOW.

    Examples
    --------
    Require larger faces than the library does, in every filter:

    >>> import attrs, facesearch as fs
    >>> ours = fs.SHIPPED_BARS
    >>> large = {name: attrs.evolve(getattr(ours, name), min_size=80) for name in ("low", "medium", "high")}
    >>> analyzer = fs.FaceAnalyzer(bars=attrs.evolve(ours, **large))
    >>> analyzer.bars.of("LOW").min_size
    80.0

    >>> fs.FilterBars(low=ours.high, medium=ours.medium, high=ours.high, auto="LOW")
    Traceback (most recent call last):
    ...
    facesearch.errors.InvalidParameterError: medium.min_size: expected no less than low's, which is 39.0, got 31.0
    """

    low: QualityBars = field(validator=is_a(QualityBars))
    medium: QualityBars = field(validator=is_a(QualityBars))
    high: QualityBars = field(validator=is_a(QualityBars))
    auto: QualityFilter = field(converter=_level)

    def __attrs_post_init__(self) -> None:
        for lower, higher in (("low", "medium"), ("medium", "high")):
            for name in (each.name for each in attrs.fields(QualityBars)):
                one, other = getattr(getattr(self, lower), name), getattr(getattr(self, higher), name)
                rises = name.startswith("min_")
                if other < one if rises else other > one:
                    expected = f"no {'less' if rises else 'more'} than {lower}'s, which is {one}"
                    raise InvalidParameterError.of(f"{higher}.{name}", other, expected)

    def of(self, quality_filter: str | QualityFilter) -> QualityBars | None:
        """Return the thresholds of a filter; ``None`` for NONE, which has none.

        Raises
        ------
        InvalidParameterError
            If there is no filter of that name.
        """
        asked = QualityFilter.parse(quality_filter)
        levels = dict(zip(_LEVELS, (self.low, self.medium, self.high), strict=True))
        return levels.get(self.auto if asked is QualityFilter.AUTO else asked)


# A face at the threshold fails half, a quarter and 15% of comparisons with other photos of its person, at a similarity of 80;
# ordinary photos fail 6%. Size, brightness, sharpness and quality: printed by training/quality_bars.py, and rounded. Set by hand:
# confidence, since it hardly predicts matches where everything else passes (faces at 60 to 75 fail a sixth, sure ones a tenth), and
# the pose, since too few photos show heads that are turned far; docs/quality.md has the figures.
LOW_BARS: Final = QualityBars(
    min_size=22, min_confidence=60, min_brightness=6, min_sharpness=36,
    max_yaw=46, max_pitch_up=41, max_pitch_down=45, min_quality=55,
)  # fmt: skip
MEDIUM_BARS: Final = QualityBars(
    min_size=31, min_confidence=75, min_brightness=9, min_sharpness=50,
    max_yaw=42, max_pitch_up=35, max_pitch_down=40, min_quality=75,
)  # fmt: skip
HIGH_BARS: Final = QualityBars(
    min_size=39, min_confidence=90, min_brightness=13, min_sharpness=58,
    max_yaw=39, max_pitch_up=31, max_pitch_down=30, min_quality=86,
)  # fmt: skip
# AWS does not document AUTO. LOW costs least at enrolment, though nothing there is better than no filter (benchmarks/quality.py).
SHIPPED_BARS: Final = FilterBars(low=LOW_BARS, medium=MEDIUM_BARS, high=HIGH_BARS, auto=QualityFilter.LOW)
