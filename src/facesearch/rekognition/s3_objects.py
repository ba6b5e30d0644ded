"""Where pictures come from that a request names by bucket and key: a folder, or S3 itself."""

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from facesearch.errors import InvalidParameterError
from facesearch.images.reading import MAX_FILE_BYTES
from facesearch.rekognition.exceptions import (
    ImageTooLargeException,
    InternalServerError,
    InvalidS3ObjectException,
    ProvisionedThroughputExceededException,
    RekognitionError,
)

__all__ = ["ObjectStore", "S3Client", "S3Folder"]

_MOST_NAME_BYTES: Final = 1024  # of a key, in UTF-8: S3's own limit

# No part of a key may be any of these, on any system, so that a folder means the same everywhere: nothing, dots only, a drive,
# a device of Windows, an end that Windows drops, or anything with a backslash or a control character.
_UNSAFE: Final = re.compile(
    r"\.*|[a-z]:.*|(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])[ .:]*(\..*)?|.*[. ]|.*[\\\x00-\x1f\x7f].*",
    re.IGNORECASE | re.DOTALL,
)

_BY_PARTS: Final = {os.open, os.stat} <= os.supports_dir_fd  # not on Windows
_SAFELY: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER: Final = _SAFELY | getattr(os, "O_DIRECTORY", 0)
_FILE: Final = _SAFELY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)

_BUSY: Final = frozenset(
    {
        *("SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("RequestThrottledException", "TooManyRequests", "TooManyRequestsException", "RequestLimitExceeded"),
        *("BandwidthLimitExceeded", "ServiceUnavailable", "429", "503"),
    }
)


class ObjectStore(Protocol):
    """Anything that pictures can be read from by bucket and key; from several threads at once."""

    def read(self, bucket: str, name: str, version: str | None) -> bytes:
        """Give an object's bytes, at most 15 MiB.

        Parameters
        ----------
        bucket, name
            As the request has them; nobody vouches for them.
        version
            ``None`` for the newest.

        Raises
        ------
        InvalidS3ObjectException
            If it is not there, or may not be read.
        ImageTooLargeException
            If it is larger than 15 MiB, which is found before it is read.
        """
        ...


def _folder(root: str | os.PathLike[str]) -> Path:
    try:
        path = Path(root).resolve(strict=True)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise InvalidParameterError.of("root", root, "a folder that is there") from error
    if not path.is_dir():
        raise InvalidParameterError.of("root", root, "a folder that is there")
    return path


@attrs.frozen
class S3Folder:
    """A folder as S3: each folder in it is a bucket, each file below that an object, whose key has slashes on every system.

    Nothing outside the folder is ever read: keys that lead out of it are not there, nor are links that do. A folder has no
    versions, so that a version is never there either.

    Files and links may change while they are read. The links of a key are resolved first; then each part of the resolved path is
    opened within the folder opened before it (``dir_fd``), and no link is followed. A folder that is replaced by a link in
    between is not there. Only regular files are opened: a named pipe or a device is not there.

    Windows has no ``dir_fd``. There the path is resolved and compared before and after it is opened, which a program that may
    create links inside the folder, a privilege on Windows, could defeat.

    Parameters
    ----------
    root
        The folder.

    Raises
    ------
    InvalidParameterError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = root.joinpath("photos").mkdir()
    >>> _ = root.joinpath("photos", "ada.jpg").write_bytes(b"...")
    >>> S3Folder(root).read("photos", "ada.jpg", None)
    b'...'
    """

    root: Path = attrs.field(converter=_folder)

    def read(self, bucket: str, name: str, version: str | None) -> bytes:
        """Give an object's bytes; see `ObjectStore.read`."""
        if version is not None:
            raise InvalidS3ObjectException
        try:
            opened = self._open(bucket, name)
            try:
                data = _content(opened)
            finally:
                os.close(opened)
        except (OSError, RuntimeError, ValueError) as error:  # links in a circle, names that no file can have
            raise InvalidS3ObjectException from error
        return data

    def _open(self, bucket: str, name: str) -> int:
        """Open an object; return its file descriptor."""
        parts = name.split("/")
        if "/" in bucket or len(name.encode()) > _MOST_NAME_BYTES or any(map(_UNSAFE.fullmatch, [bucket, *parts])):
            raise InvalidS3ObjectException
        path = self.root.joinpath(bucket, *parts)
        inside = _inside(path, self.root)
        return _open_by_parts(self.root, inside) if _BY_PARTS else _open_and_compare(self.root, path, inside)


def _inside(path: Path, root: Path) -> tuple[str, ...]:
    """Resolve the links of a path; return the parts of the result below *root*."""
    resolved = path.resolve(strict=True)
    if not resolved.is_relative_to(root):
        raise InvalidS3ObjectException
    return resolved.relative_to(root).parts


def _open_by_parts(root: Path, parts: tuple[str, ...]) -> int:
    """Open a path of which no part is a link, each part within the folder before it; return its file descriptor.

    What is there may have been replaced since its links were resolved; a link in the place of a part is an OSError.
    """
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Opening a device may already have an effect, so it is looked at first. What then takes its place is opened without
        # waiting for it, as a pipe makes one wait, and is checked again by the caller.
        if not stat.S_ISREG(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode):
            raise InvalidS3ObjectException
        return os.open(parts[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)


def _open_and_compare(root: Path, path: Path, parts: tuple[str, ...]) -> int:
    """Open a path and check afterwards that it still leads to the same file inside; return its file descriptor."""
    opened = os.open(root.joinpath(*parts), _FILE)
    same = False
    try:
        same = os.path.samestat(os.fstat(opened), root.joinpath(*_inside(path, root)).lstat())
    finally:
        if not same:
            os.close(opened)
    if not same:
        raise InvalidS3ObjectException
    return opened


def _content(opened: int) -> bytes:
    """Read an open file, if it is a regular one and not too large."""
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidS3ObjectException
    with os.fdopen(opened, "rb", closefd=False) as file:
        data = file.read(MAX_FILE_BYTES + 1) if status.st_size <= MAX_FILE_BYTES else b""
    if max(status.st_size, len(data)) > MAX_FILE_BYTES:  # it may have grown
        raise _too_large()
    return data


@attrs.frozen
class S3Client:
    """S3, or what speaks its language, through a client of boto3's.

    Parameters
    ----------
    client
        ``boto3.client("s3", ...)``, of any endpoint and with keys of its own: whoever can send requests can look at every
        picture that these may read.

    Examples
    --------
    >>> import boto3
    >>> s3 = boto3.client("s3", endpoint_url="http://localhost:9000", region_name="us-east-1")
    >>> S3Client(s3)
    S3Client()
    """

    client: Any = attrs.field(repr=False)

    def read(self, bucket: str, name: str, version: str | None) -> bytes:
        """Give an object's bytes; see `ObjectStore.read`.

        Raises
        ------
        InvalidS3ObjectException, ImageTooLargeException
            As every store.
        ProvisionedThroughputExceededException
            If S3 is busy.
        InternalServerError
            If it fails otherwise: S3 is out of reach, breaks off, or there are no keys.
        """
        which = {"Bucket": bucket, "Key": name} | ({} if version is None else {"VersionId": version})
        try:
            return _body(self.client.get_object(**which))
        except RekognitionError:
            raise
        except Exception as error:  # botocore is not imported here: its errors are told by what they carry
            raise _fault(error) from error


def _body(answer: Mapping[str, Any]) -> bytes:
    """Read what get_object answered to its end, where botocore finds out whether some of it is missing."""
    data = bytearray()
    with contextlib.closing(
        answer["Body"]
    ) as body:  # its own "with" would give the stream beneath, which checks nothing
        if answer["ContentLength"] > MAX_FILE_BYTES:
            raise _too_large()
        while len(data) <= MAX_FILE_BYTES and (part := body.read(MAX_FILE_BYTES + 1 - len(data))):
            data += part
    if len(data) > MAX_FILE_BYTES:
        raise _too_large()
    return bytes(data)


def _fault(error: Exception) -> RekognitionError:
    """Tell what AWS would say of an error of botocore's."""
    if type(error).__name__ == "ParamValidationError":  # no bucket or key can be called that
        return InvalidS3ObjectException()
    response = getattr(error, "response", None) or {}
    if response.get("Error", {}).get("Code") in _BUSY:
        return ProvisionedThroughputExceededException("S3 download limit exceeded.")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return InvalidS3ObjectException() if 300 <= status < 500 else InternalServerError()  # noqa: PLR2004 - HTTP's classes


def _too_large() -> ImageTooLargeException:
    return ImageTooLargeException(f"Image size is too large. Expected at most {MAX_FILE_BYTES:,} bytes, got more")
