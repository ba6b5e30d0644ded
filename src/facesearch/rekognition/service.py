"""The local service: one `Rekognition` object is one account with its own collections.

Source: Amazon Rekognition API reference; docs/rekognition.md lists the differences, and the choices where AWS documents nothing.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from types import SimpleNamespace
from typing import Any, Final, Self

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.forks import ForkLock, Level
from facesearch.common.validation import check_acts_as, check_float, check_int, check_is, check_text
from facesearch.domain.attributes import parse_attributes
from facesearch.errors import ClosedError, FacesearchError, InvalidParameterError
from facesearch.images.pixel_budget import DECODING
from facesearch.rekognition.account import Account, Answer, Handler, UpdatingUsers
from facesearch.rekognition.backends import Backend, FileBackend, MemoryBackend
from facesearch.rekognition.error_mapping import to_rekognition_error
from facesearch.rekognition.exceptions import FAULTS, RekognitionError, ThrottlingException
from facesearch.rekognition.handlers import (
    collections as collection_calls,
    faces as face_calls,
    photos as photo_calls,
    users as user_calls,
)
from facesearch.rekognition.methods import Methods
from facesearch.rekognition.s3_objects import ObjectStore, S3Folder
from facesearch.rekognition.validation import check

__all__ = ["ANSWERED", "Rekognition"]

_HANDLERS: Final[Mapping[str, Handler]] = {
    "AssociateFaces": user_calls.associate_faces,
    "CompareFaces": photo_calls.compare_faces,
    "CreateCollection": collection_calls.create_collection,
    "CreateUser": user_calls.create_user,
    "DeleteCollection": collection_calls.delete_collection,
    "DeleteFaces": face_calls.delete_faces,
    "DeleteUser": user_calls.delete_user,
    "DescribeCollection": collection_calls.describe_collection,
    "DetectFaces": photo_calls.detect_faces,
    "DisassociateFaces": user_calls.disassociate_faces,
    "IndexFaces": face_calls.index_faces,
    "ListCollections": collection_calls.list_collections,
    "ListFaces": face_calls.list_faces,
    "ListTagsForResource": collection_calls.list_tags_for_resource,
    "ListUsers": user_calls.list_users,
    "SearchFaces": face_calls.search_faces,
    "SearchFacesByImage": face_calls.search_faces_by_image,
    "SearchUsers": user_calls.search_users,
    "SearchUsersByImage": user_calls.search_users_by_image,
    "TagResource": collection_calls.tag_resource,
    "UntagResource": collection_calls.untag_resource,
}

ANSWERED: Final = tuple(_HANDLERS)
"""Names of the supported operations."""


_CLOSED: Final = "this Rekognition, or the client that it serves, was closed; create another one, or close it later"


@attrs.define
class _PlannedFailure:
    """An error that `Rekognition.fail_next` planned, and the number of requests that it still applies to."""

    fault: type[RekognitionError]
    operation: str | None
    left: int


class Rekognition(Methods):
    """An account of Amazon Rekognition on this machine.

    Every method has the name, keyword arguments and return value of the boto3 client's method (without ``ResponseMetadata``), and
    raises errors with the same names, which are attributes of `exceptions`. boto3 is not required;
    `facesearch.rekognition.client` returns a stock boto3 client that is connected to a `Rekognition`.

    Parameters
    ----------
    data
        Path of the file that holds the collections; it is created with the first collection, and may be shared by several
        processes. Or the address of a server, ``postgresql://...``, which processes on several machines may share. By default collections are in memory, and are lost with the object.
    analyzer
        Detects and embeds faces; by default the analyzer of the process, which is loaded with the first image.
    objects
        Source of S3Objects: a folder with a sub-folder for each bucket, or a
        `facesearch.rekognition.s3_objects.ObjectStore`. By default there are no S3Objects.
    region, account
        Parts of the collections' ARNs.
    eventual
        Seconds, 0-3600, for which a user reports the status UPDATING after each change of its faces, as at AWS. Here every change
        takes effect at once; use this to test code that waits.
    searched_attributes
        Face attributes in the response of SearchUsersByImage: DEFAULT, ALL, or single names. AWS has no such parameter; its
        published examples contain the bounding box alone.
    index
        Address of a Milvus server that searches the vectors: see `facesearch.Collection.open`. Only with *data*.
    throttle_every
        Fail every n-th request with ThrottlingException, n >= 1, to test retries; by default none.

    Raises
    ------
    InvalidParameterError
        If an argument is invalid.

    Notes
    -----
    Thread-safe. Parameters, their ranges and defaults are those of the operation in AWS's API reference. Any operation may
    raise ValidationException, InvalidParameterException, ThrottlingException (the file is busy) and InternalServerError;
    operations that take images also raise InvalidImageFormatException, ImageTooLargeException and InvalidS3ObjectException.
    docs/rekognition.md lists the choices where AWS documents nothing.

    Examples
    --------
    >>> from facesearch.rekognition import Rekognition
    >>> rekognition = Rekognition()
    >>> rekognition.create_collection(CollectionId="staff")["StatusCode"]
    200
    >>> rekognition.create_user(CollectionId="staff", UserId="ada")
    {}
    >>> rekognition.list_users(CollectionId="staff")
    {'Users': [{'UserId': 'ada', 'UserStatus': 'CREATED'}]}
    >>> try:
    ...     rekognition.delete_user(CollectionId="staff", UserId="bob")
    ... except rekognition.exceptions.ResourceNotFoundException as error:
    ...     error.response["Error"]["Code"]
    'ResourceNotFoundException'
    """

    exceptions: Final = SimpleNamespace(**FAULTS, ClientError=RekognitionError)
    """Error classes by name, as on a boto3 client; ``ClientError`` is the base class of all."""

    def __init__(
        self,
        data: str | PathLike[str] | None = None,
        *,
        analyzer: FaceAnalyzer | None = None,
        objects: ObjectStore | str | PathLike[str] | None = None,
        region: str = "us-east-1",
        account: str = "123456789012",
        eventual: float = 0.0,
        searched_attributes: Sequence[str] = ("DEFAULT",),
        throttle_every: int | None = None,
        index: str | None = None,
    ) -> None:
        if analyzer is not None:
            check_is("analyzer", analyzer, FaceAnalyzer)
        check_text("region", region, "[a-z0-9-]+", 64)
        check_text("account", account, "[0-9]{12}", 12)
        given: Any = data  # callers may pass a value of another type
        if given is not None and (not isinstance(given, str | PathLike) or not str(given)):
            raise InvalidParameterError.of("data", data, "the path of a file")
        if index is not None and data is None:
            raise InvalidParameterError(
                "index: expected none, as collections in memory have no index; name a file as data"
            )
        backend: Backend = MemoryBackend(analyzer) if data is None else FileBackend(data, analyzer, index=index)
        if throttle_every is not None:
            check_int("throttle_every", throttle_every, 1)
        self._throttle_every = throttle_every
        self._account = Account(
            backend=backend,
            objects=_object_store(objects),
            analyzer=analyzer,
            region=region,
            account_id=account,
            updating=UpdatingUsers(check_float("eventual", eventual, 0, 3600)),
            searched_attributes=tuple(sorted(parse_attributes(searched_attributes), key=lambda each: each.value)),
        )
        self._closed = False
        self._lock = ForkLock(Level.LEAF)
        self._requests = 0
        self._failures: list[_PlannedFailure] = []

    def __getstate__(self) -> object:
        raise InvalidParameterError(
            "service: a Rekognition can't be copied or pickled: create one where it is needed, with the same file as data"
        )

    def call(self, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """Execute an operation by its name.

        Parameters
        ----------
        operation
            AWS's name, such as ``"SearchUsersByImage"``.
        parameters
            Request parameters as boto3 takes them: blobs are bytes.

        Returns
        -------
        dict
            The response as boto3 returns it, without ``ResponseMetadata``.

        Raises
        ------
        RekognitionError
            The error that AWS would send, as a subclass with AWS's name.
        ClosedError
            After `close`.
        """
        if self._closed:
            raise ClosedError(_CLOSED)
        try:
            self._raise_planned_failure(operation)
            request = check(operation, parameters)
            with DECODING.kept():
                return _HANDLERS[operation](self._account, request)
        except FacesearchError as error:
            if self._closed:  # by another thread, during the call
                raise ClosedError(_CLOSED) from error
            fault = to_rekognition_error(error, parameters)
            fault.operation_name = operation
            if fault is error:
                raise
            raise fault from error

    def fail_next(self, code: str, *, times: int = 1, operation: str | None = None) -> None:
        """Make the next requests fail, to test the error handling of callers.

        Parameters
        ----------
        code
            Name of the error, such as ``"ThrottlingException"``.
        times
            Number of requests that fail, >= 1. boto3 itself retries a throttled request up to twice.
        operation
            Fail requests of this operation only; by default of any.

        Raises
        ------
        InvalidParameterError
            If the error or operation is unknown, or *times* is below 1.
        """
        if code not in FAULTS:
            raise InvalidParameterError.of("code", code, f"one of {', '.join(FAULTS)}")
        if operation is not None and operation not in _HANDLERS:
            raise InvalidParameterError.of("operation", operation, f"one of {', '.join(_HANDLERS)}")
        check_int("times", times, 1)
        with self._lock:
            self._failures.append(_PlannedFailure(FAULTS[code], operation, times))

    def close(self) -> None:
        """Close the file, or discard the collections in memory. Each later call raises `ClosedError`."""
        self._closed = True
        self._account.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _raise_planned_failure(self, operation: str) -> None:
        with self._lock:
            self._requests += 1
            if self._throttle_every and self._requests % self._throttle_every == 0:
                raise ThrottlingException("Service Unavailable")
            for failure in self._failures:
                if failure.operation in {None, operation}:
                    failure.left -= 1
                    if not failure.left:
                        self._failures.remove(failure)
                    raise failure.fault("This failure was planned with Rekognition.fail_next")


def _object_store(objects: ObjectStore | str | PathLike[str] | None) -> ObjectStore | None:
    if objects is None:
        return None
    if not isinstance(objects, str | PathLike):
        return check_acts_as("objects", objects, ObjectStore)  # type: ignore[type-abstract]  # a protocol suffices here
    try:
        return S3Folder(objects)
    except InvalidParameterError as error:
        raise InvalidParameterError.of("objects", objects, "an existing folder, or an ObjectStore") from error
