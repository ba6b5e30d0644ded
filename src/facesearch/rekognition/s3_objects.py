"""Object stores for the S3Objects of requests: a folder, or S3 itself."""

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
from typing_extensions import override

from facesearch.errors import InvalidParameterError
from facesearch.files.below import FILE_FLAGS, HAS_DIR_FD, open_by_parts
from facesearch.images.reading import MAX_FILE_BYTES
from facesearch.rekognition.exceptions import (
    ImageTooLargeException,
    InternalServerError,
    InvalidS3ObjectException,
    ProvisionedThroughputExceededException,
    RekognitionError,
)

__all__ = ["ObjectStore", "S3Client", "S3Folder"]

_MOST_NAME_BYTES: Final = 1024  # longest key in UTF-8: S3's own limit

# Parts of a key that are rejected on every system, so that a folder has the same objects everywhere: empty, dots only, a drive, a
# device name of Windows, a trailing character that Windows drops, a backslash or a control character.
_UNSAFE: Final = re.compile(
    r"\.*|[a-z]:.*|(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])[ .:]*(\..*)?|.*[. ]|.*[\\\x00-\x1f\x7f].*",
    re.IGNORECASE | re.DOTALL,
)

_BUSY: Final = frozenset(
    {
        *("SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("RequestThrottledException", "TooManyRequests", "TooManyRequestsException", "RequestLimitExceeded"),
        *("BandwidthLimitExceeded", "ServiceUnavailable", "429", "503"),
    }
)


class ObjectStore(Protocol):
    """Source of images by bucket and key; must be thread-safe."""

    def read(self, bucket: str, name: str, version: str | None) -> bytes:
        """Return the bytes of an object, at most 15 MiB.

        Parameters
        ----------
        bucket, name
            Untrusted values from the request.
        version
            Version id; ``None`` for the newest version.

        Raises
        ------
        InvalidS3ObjectException
            If the object does not exist, or access is denied.
        ImageTooLargeException
            If the object is larger than 15 MiB; the size is checked before the object is read.
        """
        ...


def _folder(root: str | os.PathLike[str]) -> Path:
    try:
        path = Path(root).resolve(strict=True)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise InvalidParameterError.of("root", root, "an existing folder") from error
    if not path.is_dir():
        raise InvalidParameterError.of("root", root, "an existing folder")
    return path


@attrs.frozen
class S3Folder(ObjectStore):
    """An object store in a folder: each sub-folder is a bucket, each file in it an object; keys use slashes on every system.

    Nothing outside the folder is read: a key or symbolic link that leads out of it counts as a missing object. A folder has no
    versions, so a request for a version counts as a missing object too.

    Files and links may change during a read. The links of a key are resolved first; then each part of the resolved path is
    opened relative to the folder opened before it (``dir_fd``), without following links. A folder that is replaced by a link in
    between counts as missing. Only regular files are opened: named pipes and devices count as missing.

    Windows has no ``dir_fd``. There the path is resolved and compared before and after it is opened. A program with the privilege
    to create links inside the folder could defeat this check.

    Parameters
    ----------
    root
        Path of the folder.

    Raises
    ------
    InvalidParameterError
        If the folder does not exist.

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

    @override
    def read(self, bucket: str, name: str, version: str | None) -> bytes:
        if version is not None:
            raise InvalidS3ObjectException
        try:
            opened = self._open(bucket, name)
            try:
                data = _content(opened)
            finally:
                os.close(opened)
        except (OSError, RuntimeError, ValueError) as error:  # circular links, or a name that no file can have
            raise InvalidS3ObjectException from error
        return data

    def _open(self, bucket: str, name: str) -> int:
        """Open an object and return its file descriptor."""
        parts = name.split("/")
        if "/" in bucket or len(name.encode()) > _MOST_NAME_BYTES or any(map(_UNSAFE.fullmatch, [bucket, *parts])):
            raise InvalidS3ObjectException
        path = self.root.joinpath(bucket, *parts)
        inside = _inside(path, self.root)
        return open_by_parts(self.root, inside) if HAS_DIR_FD else _open_and_compare(self.root, path, inside)


def _inside(path: Path, root: Path) -> tuple[str, ...]:
    """Resolve the links of a path and return the parts of the result below *root*."""
    resolved = path.resolve(strict=True)
    if not resolved.is_relative_to(root):
        raise InvalidS3ObjectException
    return resolved.relative_to(root).parts


def _open_and_compare(root: Path, path: Path, parts: tuple[str, ...]) -> int:
    """Open a path, check that it still resolves to the same file below *root*, and return its file descriptor."""
    opened = os.open(root.joinpath(*parts), FILE_FLAGS)
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
    """Return the content of an open file, which must be a regular file of at most 15 MiB."""
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidS3ObjectException
    with os.fdopen(opened, "rb", closefd=False) as file:
        data = file.read(MAX_FILE_BYTES + 1) if status.st_size <= MAX_FILE_BYTES else b""
    if max(status.st_size, len(data)) > MAX_FILE_BYTES:  # the file may have grown
        raise _too_large()
    return data


@attrs.frozen
class S3Client(ObjectStore):
    """An object store in S3, or in a compatible service, accessed through a boto3 client.

    Parameters
    ----------
    client
        ``boto3.client("s3", ...)`` with any endpoint and its own credentials. Everyone who can send requests can use every
        image that these credentials may read.

    Examples
    --------
    >>> import boto3
    >>> s3 = boto3.client("s3", endpoint_url="http://localhost:9000", region_name="us-east-1")
    >>> S3Client(s3)
    S3Client()
    """

    client: Any = attrs.field(repr=False)

    def read(self, bucket: str, name: str, version: str | None) -> bytes:
        """Return the bytes of an object, at most 15 MiB.

        Raises
        ------
        InvalidS3ObjectException, ImageTooLargeException
            As in `ObjectStore.read`.
        ProvisionedThroughputExceededException
            If S3 throttles the request.
        InternalServerError
            For other failures: S3 is unreachable, the connection breaks, or credentials are missing.
        """
        which = {"Bucket": bucket, "Key": name} | ({} if version is None else {"VersionId": version})
        try:
            return _body(self.client.get_object(**which))
        except RekognitionError:
            raise
        except Exception as error:  # botocore is not imported here: its errors are recognised by their attributes
            raise _to_rekognition_error(error) from error


def _body(answer: Mapping[str, Any]) -> bytes:
    """Read the response of get_object to its end, where botocore checks that the body is complete."""
    data = bytearray()
    with contextlib.closing(
        answer["Body"]
    ) as body:  # its own context manager returns the raw stream, which does not check the length
        if answer["ContentLength"] > MAX_FILE_BYTES:
            raise _too_large()
        while len(data) <= MAX_FILE_BYTES and (part := body.read(MAX_FILE_BYTES + 1 - len(data))):
            data += part
    if len(data) > MAX_FILE_BYTES:
        raise _too_large()
    return bytes(data)


def _to_rekognition_error(error: Exception) -> RekognitionError:
    """Map an error of botocore to the error that Rekognition would send."""
    if type(error).__name__ == "ParamValidationError":  # an invalid bucket or key name
        return InvalidS3ObjectException()
    response = getattr(error, "response", None) or {}
    if response.get("Error", {}).get("Code") in _BUSY:
        return ProvisionedThroughputExceededException("S3 download limit exceeded.")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return InvalidS3ObjectException() if 300 <= status < 500 else InternalServerError()  # noqa: PLR2004 - HTTP's classes


def _too_large() -> ImageTooLargeException:
    return ImageTooLargeException(f"Image size is too large. Expected at most {MAX_FILE_BYTES:,} bytes, got more")
