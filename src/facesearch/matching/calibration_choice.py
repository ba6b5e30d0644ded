"""Which calibration counts where a file brings one of its own.

A calibration decides what a percentage means, so a file from a stranger could make two people alike at will. For face models that
the library has a calibration for, that one counts unless the caller asks for the file's. Wherever another one counts, or is there
and does not count, its name is told.
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
_LONGEST: Final = 80  # characters of what a file says of itself

_logger = logging.getLogger("facesearch")


def check_choice(given: Any) -> CalibrationChoice:
    """Return what was given as calibration, if it is one, ``"file"`` or ``None``.

    Raises
    ------
    InvalidParameterError
        If it is something else.
    """
    if given is None or given == _FILE or isinstance(given, Calibration):
        return given  # type: ignore[no-any-return]  # compared with the text
    raise InvalidParameterError.of("calibration", given, "a Calibration, 'file', or None")


def chosen(given: CalibrationChoice, kept: str | None, *, face_model: FaceModel, origin: str) -> Calibration | None:
    """Return the calibration to use for what a file has; ``None`` for the library's.

    Parameters
    ----------
    given
        What the caller asked for.
    kept
        The file's own, as JSON; ``None`` where it has none.
    face_model
        The file's.
    origin
        Where the file is, for messages.

    Raises
    ------
    CalibrationError
        If the file's own is to be used and is damaged, or another model's.
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
    """Name a calibration that a file has and that does not count, if it has one, in the log."""
    if name := describe_kept(kept):
        _logger.warning(
            "%s: has a calibration of its own (%s), which is not used; calibration='file' uses it", origin, name
        )


def has_shipped(face_model: FaceModel) -> bool:
    """Return whether a calibration for this model comes with the library."""
    return any(each.face_model.digest == face_model.digest for each in shipped_calibrations())


def describe_foreign(calibration: Calibration | None) -> str | None:
    """Name a calibration that does not come with the library, in one printable line; ``None`` for one that does."""
    if calibration is None or calibration in shipped_calibrations():
        return None
    data = calibration.data if len(calibration.data) <= _LONGEST else f"{calibration.data[:_LONGEST]}..."
    return f"measured on {data!a}, {calibration.people:,} people"


def describe_kept(kept: str | None) -> str | None:
    """Name the calibration that a file has, from its JSON; ``None`` where it has none, or the library's."""
    if kept is None:
        return None
    try:
        return describe_foreign(Calibration.from_json(kept, face_model=None, origin="calibration"))
    except (CalibrationError, RecursionError):
        return "damaged"
