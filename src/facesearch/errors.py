"""Everything facesearch raises, in one tree.

::

    FacesearchError
    ├── InvalidParameterError (ValueError)       an argument is out of range, of the wrong type, badly spelt
    │   └── InvalidEmbeddingError                a vector of the wrong length, not finite, or all zeros
    ├── ImageError (ValueError)                  the picture can't be used
    │   ├── InvalidImageFormatError              not a JPEG or PNG, truncated, wrong dtype or shape
    │   ├── ImageTooLargeError                   too many bytes, or a side over 10,000 px
    │   ├── ImageTooSmallError                   a side under 80 px
    │   └── ImageNotFoundError (FileNotFoundError)
    ├── UserNotFoundError (LookupError)
    ├── UserAlreadyExistsError (ValueError)
    ├── FaceNotFoundError (LookupError)
    ├── QuotaExceededError (ValueError)          more than AWS's limit: 100 faces a user
    ├── FaceModelMismatchError (ValueError)      vectors of two face models were about to be compared
    ├── CalibrationError (ValueError)            a calibration is missing, damaged, or another model's
    ├── WeightsError (RuntimeError)              a model file is missing, damaged or not the one we know
    └── WireError (ValueError)                   a payload is not AWS's shape; says where, in AWS's names

Each is also the builtin that callers may already catch. A face that is not there and a user that does not match are
answers, never errors.
"""

from typing import Any

__all__ = [
    "CalibrationError",
    "FaceModelMismatchError",
    "FaceNotFoundError",
    "FacesearchError",
    "ImageError",
    "ImageNotFoundError",
    "ImageTooLargeError",
    "ImageTooSmallError",
    "InvalidEmbeddingError",
    "InvalidImageFormatError",
    "InvalidParameterError",
    "QuotaExceededError",
    "UserAlreadyExistsError",
    "UserNotFoundError",
    "WeightsError",
    "WireError",
]


class FacesearchError(Exception):
    """Root of the tree: ``except FacesearchError`` catches whatever this library raises on purpose."""


class InvalidParameterError(FacesearchError, ValueError):
    """An argument is not what it must be; the message names it, shows the value and says what was expected."""

    @classmethod
    def of(cls, argument: str, value: Any, expected: str) -> "InvalidParameterError":
        """Build the error all of ours look like: ``argument: expected ..., got ...``."""
        return cls(f"{argument}: expected {expected}, got {shown(value)}")


class InvalidEmbeddingError(InvalidParameterError):
    """A vector can't be an embedding: wrong length, not finite, or all zeros."""


class ImageError(FacesearchError, ValueError):
    """A picture can't be used; the message says what was seen and what is accepted."""


class InvalidImageFormatError(ImageError):
    """Not a JPEG or PNG, a truncated one, or an array of another dtype or shape."""


class ImageTooLargeError(ImageError):
    """More bytes or more pixels than AWS would take; nothing was decoded."""


class ImageTooSmallError(ImageError):
    """A side is shorter than AWS's 80 px."""


class ImageNotFoundError(ImageError, FileNotFoundError):
    """The path leads to no file."""


class UserNotFoundError(FacesearchError, LookupError):
    """The collection has no user of that id."""


class UserAlreadyExistsError(FacesearchError, ValueError):
    """The collection has a user of that id already."""


class FaceNotFoundError(FacesearchError, LookupError):
    """The collection has no face of that id."""


class QuotaExceededError(FacesearchError, ValueError):
    """More than a limit AWS sets, such as 100 faces a user."""


class FaceModelMismatchError(FacesearchError, ValueError):
    """Vectors of two face models were about to be mixed; they are not comparable."""


class CalibrationError(FacesearchError, ValueError):
    """What percentages mean for a face model is not known: its calibration is missing, damaged, or another model's."""


class WeightsError(FacesearchError, RuntimeError):
    """A model file is missing, damaged, or not the one whose hash we know."""


class WireError(FacesearchError, ValueError):
    """A payload does not have AWS's shape; the message gives AWS's path to each fault."""


def shown(value: Any, limit: int = 80) -> str:
    """Give *value* as it should stand in a message: its repr, cut at *limit* characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
