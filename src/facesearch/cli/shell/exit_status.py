"""How a command ends: the exit status that scripts go by, and which error gives which."""

import errno
from enum import IntEnum
from typing import Final

from facesearch import errors

__all__ = ["MEANINGS", "Exit", "exit_for"]


class Exit(IntEnum):
    """The exit status of every command."""

    DONE = 0
    NOTHING = 1
    USAGE = 2
    PHOTO = 3
    COLLECTION = 4
    INSTALLATION = 5
    BUG = 70  # EX_SOFTWARE of sysexits.h: a crash shall not look like "nobody was found", which is 1
    INTERRUPTED = 130  # 128 and the number of the signal, as shells have it
    CLOSED = 141


MEANINGS: Final = {
    Exit.DONE: "done; somebody was found; all is well",
    Exit.NOTHING: "done, but nobody was found, or something looks wrong",
    Exit.USAGE: "wrong usage; nothing was done",
    Exit.PHOTO: "a photo can't be used",
    Exit.COLLECTION: "the collection or a file: not there, damaged, busy, or it refuses",
    Exit.INSTALLATION: "something is missing from the installation; see `facesearch doctor`",
    Exit.BUG: "a bug in facesearch; --debug shows where",
    Exit.INTERRUPTED: "interrupted (Ctrl-C); what was acknowledged is kept",
}


def exit_for(error: Exception) -> Exit:
    """Give the exit status of an error."""
    if isinstance(error, errors.ImageError):
        return Exit.PHOTO
    if isinstance(error, errors.WeightsError | errors.MissingExtraError | errors.CalibrationError):
        return Exit.INSTALLATION
    if isinstance(error, errors.InvalidParameterError):
        return Exit.USAGE
    if isinstance(error, errors.FacesearchError):
        return Exit.COLLECTION
    if isinstance(error, OSError):
        return Exit.CLOSED if error.errno == errno.EPIPE else Exit.COLLECTION
    return Exit.BUG
