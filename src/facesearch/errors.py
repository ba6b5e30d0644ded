"""Everything facesearch raises, in one tree.

::

    FacesearchError
    ├── InvalidParameterError (ValueError)       an argument is out of range, of the wrong type, badly spelt
    │   ├── InvalidEmbeddingError                a vector of the wrong length, not finite, or all zeros
    │   └── OutputRefusedError (FileExistsError) a file to be written is one that must not be lost
    ├── ImageError (ValueError)                  the picture can't be used
    │   ├── InvalidImageFormatError              no file of a known format, truncated, wrong dtype or shape
    │   ├── ImageTooLargeError                   too many bytes, or a side over 10,000 px
    │   ├── ImageTooSmallError                   a side under 80 px
    │   └── ImageNotFoundError (FileNotFoundError)
    ├── UserNotFoundError (LookupError)
    ├── UserAlreadyExistsError (ValueError)
    ├── FaceNotFoundError (LookupError)
    ├── GroupChangedError (ValueError)           a face of a group was deleted, or has a user now
    ├── QuotaExceededError (ValueError)          more than AWS's limit: 100 faces a user
    ├── UndoConflictError (ValueError)           the state to be undone has changed since
    ├── NothingToUndoError (LookupError)         no change is left to undo
    ├── TokenReusedError (ValueError)            a request's token was used before, with another request
    ├── FaceModelMismatchError (ValueError)      vectors of two face models were about to be compared
    ├── CalibrationError (ValueError)            a calibration is missing, damaged, or another model's
    ├── WeightsError (RuntimeError)              a model file is missing, damaged or of another hash
    ├── ExecutorError (RuntimeError)             the executor for photos broke, or can't read them
    ├── MissingExtraError (ImportError)          a part of the library needs a package that is not installed
    ├── CollectionNotFoundError (LookupError)    the file, or the collection in it, is not there
    ├── CollectionExistsError (ValueError)       the file has a collection of that id already
    ├── StorageError (OSError)                   a file or server of collections can't be used
    │   ├── ClosedError (ValueError)             a collection, service or client was used after close()
    │   ├── StorageBusyError (TimeoutError)      another process or thread wrote for too long
    │   ├── StorageFormatError (ValueError)      foreign, truncated, damaged, or of a newer format
    │   ├── StorageFullError                     no room on the disk; nothing was changed
    │   ├── StorageReadOnlyError (PermissionError)
    │   └── StorageUncertainError                a server was lost while it confirmed a change: made, or not made
    └── WireError (ValueError)                   a payload does not have AWS's shape; AWS's path to each fault

Each is also the builtin that callers may already catch. A face that is not there and a user that does not match are
answers, never errors.
"""

from itertools import islice
from json import JSONDecodeError
from typing import Any

__all__ = [
    "CalibrationError",
    "ClosedError",
    "CollectionExistsError",
    "CollectionNotFoundError",
    "ExecutorError",
    "FaceModelMismatchError",
    "FaceNotFoundError",
    "FacesearchError",
    "GroupChangedError",
    "ImageError",
    "ImageNotFoundError",
    "ImageTooLargeError",
    "ImageTooSmallError",
    "InvalidEmbeddingError",
    "InvalidImageFormatError",
    "InvalidParameterError",
    "MissingExtraError",
    "NothingToUndoError",
    "OutputRefusedError",
    "QuotaExceededError",
    "StorageBusyError",
    "StorageError",
    "StorageFormatError",
    "StorageFullError",
    "StorageReadOnlyError",
    "StorageUncertainError",
    "TokenReusedError",
    "UndoConflictError",
    "UserAlreadyExistsError",
    "UserNotFoundError",
    "WeightsError",
    "WireError",
]


class FacesearchError(Exception):
    """Root of the tree: ``except FacesearchError`` catches every error that this library raises deliberately.

    Remedy: Catch a class below it where the program can act on the cause; log the message elsewhere.
    """


class InvalidParameterError(FacesearchError, ValueError):
    """An argument is invalid; the message contains its name, its value and what was expected.

    Remedy: Pass a value that the message describes; the documentation of the called function has the range of each
    argument.
    """

    @classmethod
    def of(cls, argument: str, value: Any, expected: str, *, fix: str = "") -> "InvalidParameterError":
        """Build an error with the message ``argument: expected ..., got ...``, followed by *fix*, the next step, if given."""
        return cls(f"{argument}: expected {expected}, got {shown(value)}{'; ' if fix else ''}{fix}")


class InvalidEmbeddingError(InvalidParameterError):
    """A vector can't be an embedding: wrong length, not finite, or all zeros.

    Remedy: Pass the vector of one face, of the length of the collection's face model; detect and embed the photo again if
    it is damaged.
    """


class OutputRefusedError(FileExistsError, InvalidParameterError):  # OSErrors first: see ImageNotFoundError
    """A file to be written is a database in use, an input, or a file of another kind; nothing was touched.

    Remedy: Write to another path; on the command line ``--force`` replaces a file of another kind, never a photo or
    database in use.
    """


class ImageError(FacesearchError, ValueError):
    """A picture can't be used; the message describes it and what is accepted.

    Remedy: Leave the photo out, and report its name and the message: each subclass has a remedy of its own.
    """


class InvalidImageFormatError(ImageError):
    """No picture file of the formats that are taken, a truncated one, or an array of another dtype or shape.

    Remedy: Pass the bytes of a JPEG, PNG, WebP, TIFF, GIF or AVIF file, or a uint8 array; decode base64 first; install
    ``facesearch[heic]`` for HEIC.
    """


class ImageTooLargeError(ImageError):
    """More bytes or more pixels than AWS would take; nothing was decoded.

    Remedy: Make a smaller copy: at most 10,000 px a side, 15 MB as a file, 5 MB as bytes.
    """


class ImageTooSmallError(ImageError):
    """A side is shorter than AWS's 80 px.

    Remedy: Pass the whole photo instead of a face cut out of it; enlarging a tiny picture adds no detail.
    """


# This way round Dask, which calls __new__, can restore a pickled one.
class ImageNotFoundError(FileNotFoundError, ImageError):
    """The path leads to no file.

    Remedy: Check the path; a relative one is resolved from the working folder of the process.
    """


class UserNotFoundError(FacesearchError, LookupError):
    """The collection has no user of that id.

    Remedy: List the ids by ``collection.users()``; create the user by ``create_user`` or ``enroll``.
    """


class UserAlreadyExistsError(FacesearchError, ValueError):
    """The collection has a user of that id already.

    Remedy: Choose another id, or add faces to the user that exists by ``enroll`` or ``associate_faces``.
    """


class FaceNotFoundError(FacesearchError, LookupError):
    """The collection has no face of that id.

    Remedy: List the ids by ``collection.faces()``; the face may have been deleted since.
    """


class GroupChangedError(FacesearchError, ValueError):
    """A face of a group was deleted or associated with a user since the group was found; nothing was changed.

    Remedy: Call ``groups`` again and use the group that it returns.
    """


class QuotaExceededError(FacesearchError, ValueError):
    """More than a limit AWS sets, such as 100 faces a user.

    Remedy: Associate at most 100 faces with a user; delete the worst ones first.
    """


class UndoConflictError(FacesearchError, ValueError):
    """The users or faces of the last change were changed since, so it can't be undone; nothing was changed.

    Remedy: Read the message, and correct the users or faces that it names by hand.
    """


class NothingToUndoError(FacesearchError, LookupError):
    """No change is left to undo: none was made, or its users or faces were deleted.

    Remedy: Call ``undo`` only after a change; the last 50 are kept.
    """


class TokenReusedError(FacesearchError, ValueError):
    """A token for idempotency was used before, with another request; nothing was changed.

    Remedy: Use a new ``ClientRequestToken`` for every new request.
    """


class FaceModelMismatchError(FacesearchError, ValueError):
    """Vectors of two face models were about to be mixed; they are not comparable.

    Remedy: Search with the analyzer whose model made the collection, or index the photos again in a new collection.
    """


class CalibrationError(FacesearchError, ValueError):
    """The calibration of a face model is missing, damaged, or another model's, so that distances have no percentages.

    Remedy: Calibrate the network on photographs of yours: ``python -m facesearch.benchmark calibrate``.
    """


class WeightsError(FacesearchError, RuntimeError):
    """A model file is missing, damaged, or has another hash than the known one.

    Remedy: Run ``facesearch doctor``; install the package that the message names again.
    """


class ExecutorError(FacesearchError, RuntimeError):
    """The executor given for many photos broke, is not reached, takes no more work, or has workers that can't analyze the photos alike.

    Remedy: Pass an executor that runs, whose workers have the same facesearch and weights, and see the same files if photos are not
    sent to them; without one, the library starts its own.
    """


class MissingExtraError(FacesearchError, ImportError):
    """A part of the library requires a package that is not installed; the message contains the command to install it.

    Remedy: Run the command in the message, such as ``pip install "facesearch[server]"``.
    """

    @classmethod
    def of(cls, part: str, package: str, extra: str) -> "MissingExtraError":
        """Build the error: *part* requires *package*, which the extra *extra* installs."""
        return cls(f'{part} needs {package}, which is not installed: pip install "facesearch[{extra}]"')


class CollectionNotFoundError(FacesearchError, LookupError):
    """There is no such file of collections, or no collection of that id in it.

    Remedy: Check the path and the id: ``facesearch collections --db FILE`` lists the collections of a file.
    """


class CollectionExistsError(FacesearchError, ValueError):
    """The file has a collection of that id already; it is left as it is.

    Remedy: Choose another id, or open the collection that exists by ``Collection.open``.
    """


class StorageError(FacesearchError, OSError):
    """A file of collections can't be used; the message names it and says why.

    Remedy: Read the message: it names the file or server, and the cause; each subclass has a remedy of its own.
    """


class ClosedError(StorageError, ValueError):
    """A collection, service or client was used after ``close()``; trying again does not help.

    Remedy: Open the collection, service or client again.
    """


class StorageBusyError(StorageError, TimeoutError):
    """Others wrote for longer than the timeout; nothing was changed, and the same call may succeed later.

    Remedy: Call again, or open the collection with a longer ``timeout``.
    """


class StorageFormatError(StorageError, ValueError):
    """A file is not one of ours, truncated, damaged, or of a newer format; it is left as it is.

    Remedy: Restore a backup, or update facesearch if the format is newer; ``facesearch doctor --db FILE`` checks a file.
    """


class StorageFullError(StorageError):
    """There is no room on the disk; nothing was changed.

    Remedy: Make room on the disk, and call again.
    """


class StorageReadOnlyError(StorageError, PermissionError):
    """A collection was opened read-only, or a file or its folder can't be written; nothing was changed.

    Remedy: Open the collection without ``read_only=True``, or give the process the right to write the file and its
    folder.
    """


class StorageUncertainError(StorageError):
    """The connection to a server was lost while it confirmed a change: the change was made as a whole, or not at all.

    Remedy: Read the state, and repeat the change if it is missing; operations with a token can be repeated as they are.
    """


class WireError(FacesearchError, ValueError):
    """A payload does not have AWS's shape; the message gives AWS's path to each fault.

    Remedy: Correct the payload at the path in the message; botocore's service model defines AWS's shapes.
    """


def shown(value: Any, limit: int = 80) -> str:
    r"""Return the representation of a value in a message: its repr, cut at *limit* characters.

    Bytes are replaced by their number: they may be the content of a file, and messages are written to logs and responses.

    Examples
    --------
    >>> shown({"Bytes": b"DB_PASSWORD=hunter2"})
    "{'Bytes': <19 bytes>}"

    It is one line, also where a repr has several:

    >>> class Matrix:
    ...     def __repr__(self) -> str:
    ...         return "[[1, 0],\n [0, 1]]"
    >>> shown(Matrix())
    '[[1, 0], [0, 1]]'
    """
    text = " ".join(part.strip() for part in repr(_without_content(value, limit)).splitlines())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def without_value(error: Exception) -> str:
    """Return the message of an error about a value that was read from a file, without the value.

    Examples
    --------
    >>> without_value(InvalidParameterError.of("dimension", "hunter2", "a whole number >= 1"))
    'dimension: expected a whole number >= 1'
    """
    if isinstance(error, InvalidParameterError | CalibrationError):
        return str(error).partition(", got ")[0]
    if isinstance(error, JSONDecodeError):
        return f"no JSON after character {error.pos:,}"
    return "a member is missing, unknown or of another type"


class _Bytes:
    """Placeholder of bytes in a repr."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __repr__(self) -> str:
        return f"<{self._count:,} bytes>"


def _without_content(value: Any, most: int, depth: int = 3) -> Any:
    """Replace all bytes in a value by `_Bytes`, also in the first *most* items of plain lists, tuples and dicts."""
    if isinstance(value, bytes | bytearray | memoryview):
        count = memoryview(value).nbytes
        return _Bytes(count) if count else value
    if not depth:
        return value
    if type(value) is dict:
        return {key: _without_content(each, most, depth - 1) for key, each in islice(value.items(), most)}
    if type(value) in {list, tuple}:
        return type(value)(_without_content(each, most, depth - 1) for each in islice(value, most))
    return value
