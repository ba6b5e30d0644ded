"""Amazon Rekognition's operations on collections and faces, answered here: one object, an account of its own.

Source: Amazon Rekognition API reference; docs/rekognition.md lists what differs and what was chosen where AWS does not say.
"""

from collections.abc import Callable, Mapping, Sequence
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
from facesearch.rekognition.account import Account, Answer, Request, Settling
from facesearch.rekognition.backends import FileShelf, MemoryShelf, Shelf
from facesearch.rekognition.error_mapping import translated
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

_CALLS: Final[Mapping[str, Callable[[Account, Request], Answer]]] = {
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

ANSWERED: Final = tuple(_CALLS)
"""The operations that are answered."""


_CLOSED: Final = "this Rekognition, or the client it answers, was closed; make another one, or close it later"


@attrs.define
class _Failure:
    """An error that was asked for, and how many more times it shall come."""

    fault: type[RekognitionError]
    operation: str | None
    left: int


class Rekognition(Methods):
    """An account of Amazon Rekognition on this machine.

    Every method takes the keyword arguments of the boto3 client's method of that name, gives the same dict (without
    ``ResponseMetadata``) and raises errors of the same names, which are found under `exceptions`. boto3 is not needed;
    `facesearch.rekognition.client` gives a stock boto3 client that is answered by one of these.

    Parameters
    ----------
    data
        The file that the collections are in; the first one makes it. Other processes may use it at the same time. By default
        they are in memory, and end with the object.
    analyzer
        What finds and embeds faces; by default one for the process, loaded when a picture first comes.
    objects
        Where S3Objects come from: a folder whose sub-folders are buckets, or an
        `facesearch.rekognition.s3_objects.ObjectStore`. By default no S3Object is there.
    region, account
        Parts of the collections' ARNs.
    eventual
        Seconds, 0-3600, for which a user reads UPDATING after each change of its faces, as AWS's do. Here every change holds
        at once; this is for trying out code that waits.
    searched_attributes
        What SearchUsersByImage tells of faces: DEFAULT, ALL, or single ones. AWS has no such parameter; its published answers
        hold the bounding box alone.
    throttle_every
        Fail every so many-th request with ThrottlingException, >= 1, to try out what retries do; by default none.

    Raises
    ------
    InvalidParameterError
        If one of these is wrong.

    Notes
    -----
    May be used from several threads. Parameters, their ranges and defaults are those of the operation in AWS's API reference, of the
    same name. Any operation may raise ValidationException, InvalidParameterException, ThrottlingException (the file is busy) and
    InternalServerError; those that take pictures also InvalidImageFormatException, ImageTooLargeException and
    InvalidS3ObjectException. docs/rekognition.md lists what was chosen where AWS does not say.

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
    """The errors by name, as a boto3 client has them; ``ClientError`` is the root of them all."""

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
    ) -> None:
        if analyzer is not None:
            check_is("analyzer", analyzer, FaceAnalyzer)
        check_text("region", region, "[a-z0-9-]+", 64)
        check_text("account", account, "[0-9]{12}", 12)
        given: Any = data  # what callers pass may not be what the annotation asks for
        if given is not None and (not isinstance(given, str | PathLike) or not str(given)):
            raise InvalidParameterError.of("data", data, "the path of a file")
        shelf: Shelf = MemoryShelf(analyzer) if data is None else FileShelf(data, analyzer)
        if throttle_every is not None:
            check_int("throttle_every", throttle_every, 1)
        self._throttle_every = throttle_every
        self._account = Account(
            shelf=shelf,
            objects=_store(objects),
            analyzer=analyzer,
            region=region,
            account_id=account,
            settling=Settling(check_float("eventual", eventual, 0, 3600)),
            searched_attributes=tuple(sorted(parse_attributes(searched_attributes), key=lambda each: each.value)),
        )
        self._closed = False
        self._lock = ForkLock(Level.LEAF)
        self._requests = 0
        self._failures: list[_Failure] = []

    def __getstate__(self) -> object:
        raise InvalidParameterError(
            "service: a Rekognition can't be copied or pickled: make one where it is needed, with the same file as data"
        )

    def call(self, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """Answer an operation by its name.

        Parameters
        ----------
        operation
            AWS's name, such as ``"SearchUsersByImage"``.
        parameters
            Its request, as boto3 takes it: blobs are bytes.

        Returns
        -------
        dict
            As boto3 gives it, without ``ResponseMetadata``.

        Raises
        ------
        RekognitionError
            The errors that AWS would send, each of AWS's name.
        ClosedError
            After `close`.
        """
        if self._closed:
            raise ClosedError(_CLOSED)
        try:
            self._fail_if_asked(operation)
            request = check(operation, parameters)
            with DECODING.kept():
                return _CALLS[operation](self._account, request)
        except FacesearchError as error:
            if self._closed:  # by another thread, meanwhile
                raise ClosedError(_CLOSED) from error
            fault = translated(error)
            fault.operation_name = operation
            if fault is error:
                raise
            raise fault from error

    def fail_next(self, code: str, *, times: int = 1, operation: str | None = None) -> None:
        """Fail the next requests, to try out what callers do then.

        Parameters
        ----------
        code
            The error's name, such as ``"ThrottlingException"``.
        times
            How many requests, >= 1. boto3 itself tries again up to twice where AWS throttles.
        operation
            Only requests of this operation; by default any.

        Raises
        ------
        InvalidParameterError
            If there is no such error or operation, or *times* is none.
        """
        if code not in FAULTS:
            raise InvalidParameterError.of("code", code, f"one of {', '.join(FAULTS)}")
        if operation is not None and operation not in _CALLS:
            raise InvalidParameterError.of("operation", operation, f"one of {', '.join(_CALLS)}")
        check_int("times", times, 1)
        with self._lock:
            self._failures.append(_Failure(FAULTS[code], operation, times))

    def close(self) -> None:
        """Close the file; in memory, forget the collections. Each later call raises `ClosedError`."""
        self._closed = True
        self._account.shelf.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fail_if_asked(self, operation: str) -> None:
        with self._lock:
            self._requests += 1
            if self._throttle_every and self._requests % self._throttle_every == 0:
                raise ThrottlingException("Service Unavailable")
            for failure in self._failures:
                if failure.operation in {None, operation}:
                    failure.left -= 1
                    if not failure.left:
                        self._failures.remove(failure)
                    raise failure.fault("This failure was asked for, see Rekognition.fail_next")


def _store(objects: ObjectStore | str | PathLike[str] | None) -> ObjectStore | None:
    if objects is None:
        return None
    if not isinstance(objects, str | PathLike):
        return check_acts_as("objects", objects, ObjectStore)  # type: ignore[type-abstract]  # a protocol is all that is asked for
    try:
        return S3Folder(objects)
    except InvalidParameterError as error:
        raise InvalidParameterError.of("objects", objects, "a folder that is there, or an ObjectStore") from error
