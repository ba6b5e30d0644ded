"""Checks of a face's measurements against a filter's thresholds: the one list from which reasons and figures follow."""

from collections.abc import Mapping
from functools import lru_cache

import attrs
from attrs import field

from facesearch.common.validation import between, is_a, maybe, maybe_float
from facesearch.domain.reasons import QualityReason
from facesearch.selection.quality_filter import REFERENCE_SIDE, FaceMeasurements, QualityBars

__all__ = ["SIZE_UNIT", "Check", "checks", "quality_reasons", "threshold_texts"]

SIZE_UNIT = f"px of a photo of {REFERENCE_SIDE} px"

# Each measurement, in the order of the reasons: its name, the reason of a face that fails, and the unit.
_MEASUREMENTS = (
    ("yaw", QualityReason.EXTREME_POSE, "degrees"),
    ("pitch", QualityReason.EXTREME_POSE, "degrees"),
    ("brightness", QualityReason.LOW_BRIGHTNESS, "of 100"),
    ("sharpness", QualityReason.LOW_SHARPNESS, "of 100"),
    ("confidence", QualityReason.LOW_CONFIDENCE, "percent"),
    ("size", QualityReason.SMALL_BOUNDING_BOX, SIZE_UNIT),
    ("quality", QualityReason.LOW_FACE_QUALITY, "of 100"),
)
_ANGLES = ("yaw", "pitch")
_MOST_DIGITS = 17  # distinguish any two floats near 1


@attrs.frozen(kw_only=True)
class Check:
    """One measurement of a face and its thresholds; ``str(check)`` is a text.

    Attributes
    ----------
    reason
        The reason for refusing a face that fails this check.
    measurement
        "yaw", "pitch", "brightness", "sharpness", "confidence", "size" or "quality".
    value
        The measured value; ``None`` where it was not measured, which passes.
    at_least, at_most
        The range that passes, both ends included; ``None`` for no limit at that end.
    unit
        Unit of the three values: "degrees", "percent", "of 100", or "px of a photo of 1920 px", to which larger photos are scaled.

    Examples
    --------
    >>> check = Check(reason=QualityReason.LOW_SHARPNESS, measurement="sharpness", value=12.3, at_least=20, unit="of 100")
    >>> check.passed, str(check)
    (False, 'sharpness 12.3, at least 20 wanted')
    """

    reason: QualityReason = field(validator=is_a(QualityReason))
    measurement: str = field(validator=is_a(str))
    value: float | None = field(converter=maybe_float, validator=maybe(between()))
    at_least: float | None = field(default=None, converter=maybe_float, validator=maybe(between()))
    at_most: float | None = field(default=None, converter=maybe_float, validator=maybe(between()))
    unit: str = field(validator=is_a(str))

    @property
    def passed(self) -> bool:
        """Whether the face passes this check."""
        return _within(self.value, self.at_least, self.at_most)

    @property
    def wanted(self) -> str:
        """The range that passes as text, such as "at least 20"; empty where every value passes."""
        low, high = (None if bar is None else f"{_plain(bar)}{self._sign}" for bar in (self.at_least, self.at_most))
        if low and high:
            return f"{low} to {high}"
        return f"at least {low}" if low else f"at most {high}" if high else ""

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self._shown(self.value)}{self._sign}"
        wanted = f", {self.wanted} wanted" if self.wanted else ""
        scale = f" (as in a photo of {REFERENCE_SIDE} px)" if self.unit == SIZE_UNIT else ""
        return f"{self.measurement} {value}{wanted}{scale}"

    @property
    def _sign(self) -> str:
        return {"degrees": "°", "percent": "%", SIZE_UNIT: " px"}.get(self.unit, "")

    def _shown(self, value: float) -> str:
        """Format a value with the fewest digits that keep it on its side of each threshold."""
        bars = [bar for bar in (self.at_least, self.at_most) if bar is not None]
        for digits in range(1, _MOST_DIGITS + 1):
            text = f"{value + 0.0:.{digits}f}"
            if all(_side(float(text), bar) == _side(value, bar) for bar in bars):
                return text
        return repr(value)


def checks(face: FaceMeasurements, bars: QualityBars | None) -> tuple[Check, ...]:
    """Check a face against the thresholds of a filter; ``None`` for none, where all checks pass.

    The checks are those of the same measurements for all thresholds, in the order of `QualityReason`. The quality is checked only where
    everything else passes, and is ``None`` otherwise: it catches what no other threshold does.
    """
    measured = _measured(face)
    if set(quality_reasons(face, bars)) - {QualityReason.LOW_FACE_QUALITY}:
        measured["quality"] = None
    return _checks(measured, bars)


def threshold_texts(bars: QualityBars) -> tuple[str, ...]:
    """Return the thresholds of a filter as texts: ``("yaw -45° to 45°", ..., "sharpness at least 35", ...)``."""
    return tuple(
        f"{check.measurement} {check.wanted}"
        for check in _checks({}, bars)
        if check.at_least or check.at_most is not None
    )


def quality_reasons(face: FaceMeasurements, bars: QualityBars | None) -> tuple[QualityReason, ...]:
    """Return every reason for refusing a face for its quality, in the order of `QualityReason`; none if it passes."""
    if bars is None:
        return ()
    measured, ranges = _measured(face), _ranges(bars)
    failed = dict.fromkeys(reason for name, reason, _ in _MEASUREMENTS if not _within(measured[name], *ranges[name]))
    if len(failed) > 1:
        failed.pop(QualityReason.LOW_FACE_QUALITY, None)
    return tuple(failed)


def _measured(face: FaceMeasurements) -> dict[str, float | None]:
    return {name: getattr(face.pose if name in _ANGLES else face, name) for name, _, _ in _MEASUREMENTS}


def _within(value: float | None, at_least: float | None, at_most: float | None) -> bool:
    """Return whether a value passes its thresholds; a value that was not measured passes."""
    return value is None or ((at_least is None or value >= at_least) and (at_most is None or value <= at_most))


def _checks(measured: Mapping[str, float | None], bars: QualityBars | None) -> tuple[Check, ...]:
    ranges = {} if bars is None else _ranges(bars)
    rows = ((name, reason, unit, *ranges.get(name, (None, None))) for name, reason, unit in _MEASUREMENTS)
    return tuple(
        Check(reason=reason, measurement=name, value=measured.get(name), at_least=low, at_most=high, unit=unit)
        for name, reason, unit, low, high in rows
    )


@lru_cache(maxsize=16)  # asked of every face, for a few filters
def _ranges(bars: QualityBars) -> dict[str, tuple[float, float | None]]:
    """Return the range of each measurement that passes."""
    lowest = {name: (getattr(bars, f"min_{name}"), None) for name, _, _ in _MEASUREMENTS if name not in _ANGLES}
    # From zero: the negative of a threshold of 0 would be -0.0.
    return lowest | {
        "yaw": (0.0 - bars.max_yaw, bars.max_yaw),
        "pitch": (0.0 - bars.max_pitch_down, bars.max_pitch_up),
    }


def _side(value: float, bar: float) -> int:
    return (value > bar) - (value < bar)


def _plain(bar: float) -> str:
    return f"{bar:g}" if float(f"{bar:g}") == bar else repr(bar)
