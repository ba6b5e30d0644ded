"""Choose the calibration for a file that contains one of its own.

A calibration decides what a percentage means, so a file from a stranger could make two people alike at will. For face models that
the library has a calibration for, the library's is used unless the caller asks for the file's. Wherever another one is used, or is
present and not used, the log names it.
"""

import logging
from typing import Any, Final, Literal

from facesearch.domain.entities import FaceModel
from facesearch.errors import CalibrationError, InvalidParameterError
from facesearch.matching.calibration import Calibration, shipped_calibrations

__all__ = [
    "CalibrationChoice",
    "check_choice",
    "chosen",
    "describe_foreign",
    "describe_kept",
    "has_shipped",
    "warn_unused",
]

CalibrationChoice = Calibration | Literal["file"] | None
"""A calibration, or ``"file"`` for that of the file, or ``None`` for the library's where there is one, else the file's."""

_FILE: Final = "file"
_LONGEST: Final = 80  # characters of a file's description

_logger = logging.getLogger("facesearch")


def check_choice(given: Any) -> CalibrationChoice:
    """Return the calibration argument if it is a `Calibration`, ``"file"`` or ``None``; raise an `InvalidParameterError` otherwise."""
    if given is None or given == _FILE or isinstance(given, Calibration):
        return given  # type: ignore[no-any-return]  # compared with the text
    raise InvalidParameterError.of("calibration", given, "a Calibration, 'file', or None")


def chosen(given: CalibrationChoice, kept: str | None, *, face_model: FaceModel, origin: str) -> Calibration | None:
    """Return the calibration to use for a file; ``None`` for the library's.

    *given* is the caller's choice, *kept* the file's own, as JSON, *origin* the place of the file, for messages. A `CalibrationError` is
    raised where the file's own is to be used and is damaged, or another model's.
    """
    if isinstance(given, Calibration):
        return given
    if kept is None:
        return None
    if given is None and has_shipped(face_model):
        warn_unused(kept, origin=origin)
        return None
    own = Calibration.from_json(kept, face_model=face_model, origin=origin)
    if given == _FILE or not has_shipped(face_model):
        _logger.info("%s: percentages are by the file's own calibration (%s)", origin, describe_foreign(own))
    return own


def warn_unused(kept: str | None, *, origin: str) -> None:
    """Log the calibration of a file as unused, if the file has one."""
    if name := describe_kept(kept):
        _logger.warning(
            "%s: has a calibration of its own (%s), which is not used; calibration='file' uses it", origin, name
        )


def has_shipped(face_model: FaceModel) -> bool:
    """Return whether a calibration for this model comes with the library."""
    return any(each.face_model.digest == face_model.digest for each in shipped_calibrations())


def describe_foreign(calibration: Calibration | None) -> str | None:
    """Describe a calibration that is not the library's in one printable line; return ``None`` for the library's."""
    if calibration is None or calibration in shipped_calibrations():
        return None
    data = calibration.data if len(calibration.data) <= _LONGEST else f"{calibration.data[:_LONGEST]}..."
    return f"measured on {data!a}, {calibration.people:,} people"


def describe_kept(kept: str | None) -> str | None:
    """Describe the calibration of a file, from its JSON; return ``None`` where it has none, or the library's."""
    if kept is None:
        return None
    try:
        return describe_foreign(Calibration.from_json(kept, face_model=None, origin="calibration"))
    except (CalibrationError, RecursionError):
        return "damaged"
