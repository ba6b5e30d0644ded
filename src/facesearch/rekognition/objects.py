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
from facesearch.image import MAX_FILE_BYTES
from facesearch.rekognition.faults import (
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
            path = self._path(bucket, name)
            with open(path, "rb", opener=_open_plainly) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise InvalidS3ObjectException
                if status.st_size > MAX_FILE_BYTES:
                    raise _too_large()
                data = file.read(MAX_FILE_BYTES + 1)  # it may have grown
        except (OSError, RuntimeError, ValueError) as error:  # links in a circle, names that no file can have
            raise InvalidS3ObjectException from error
        if len(data) > MAX_FILE_BYTES:
            raise _too_large()
        return data

    def _path(self, bucket: str, name: str) -> Path:
        parts = name.split("/")
        if "/" in bucket or len(name.encode()) > _MOST_NAME_BYTES or any(map(_UNSAFE.fullmatch, [bucket, *parts])):
            raise InvalidS3ObjectException
        path = self.root.joinpath(bucket, *parts).resolve(strict=True)
        if not path.is_relative_to(self.root):
            raise InvalidS3ObjectException
        return path


def _open_plainly(path: str, flags: int) -> int:
    """Open what is there without waiting for it, as a pipe makes one wait, and without following a link that was just put there."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


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
