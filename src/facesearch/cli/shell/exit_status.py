"""Exit statuses of the commands, and the mapping from errors to exit statuses."""

from enum import IntEnum
from typing import Final

from facesearch import errors

__all__ = ["MEANINGS", "Exit", "exit_for"]


class Exit(IntEnum):
    """Exit status of a command."""

    DONE = 0
    NOTHING = 1
    USAGE = 2
    PHOTO = 3
    COLLECTION = 4
    INSTALLATION = 5
    BUG = 70  # EX_SOFTWARE of sysexits.h: a crash must differ from "no match", which is 1
    INTERRUPTED = 130  # 128 plus the signal number, the convention of shells
    CLOSED = 141


MEANINGS: Final = {
    Exit.DONE: "success: a match was found, or there is no problem",
    Exit.NOTHING: "success, but no match was found, or a problem was",
    Exit.USAGE: "invalid usage; nothing was done",
    Exit.PHOTO: "a photo can't be used",
    Exit.COLLECTION: "the collection or a file is missing, damaged, busy, or rejects the operation",
    Exit.INSTALLATION: "the installation is incomplete; see `facesearch doctor`",
    Exit.BUG: "a bug in facesearch; --debug shows where",
    Exit.INTERRUPTED: "interrupted (Ctrl-C); what was acknowledged is kept",
}


# The first match applies.
_OF_ERRORS: Final = (
    (errors.ImageError, Exit.PHOTO),
    ((errors.WeightsError, errors.MissingExtraError, errors.CalibrationError), Exit.INSTALLATION),
    (errors.InvalidParameterError, Exit.USAGE),
    (BrokenPipeError, Exit.CLOSED),
    ((errors.FacesearchError, OSError), Exit.COLLECTION),
)


def exit_for(error: Exception) -> Exit:
    """Return the exit status for an error."""
    return next((status for kinds, status in _OF_ERRORS if isinstance(error, kinds)), Exit.BUG)
