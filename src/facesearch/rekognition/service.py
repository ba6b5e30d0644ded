"""Amazon Rekognition's operations on collections and faces, answered here: one object, an account of its own.

Source: Amazon Rekognition API reference; docs/rekognition.md lists what differs and what was chosen where AWS does not say.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import SimpleNamespace
from typing import Any, Final, Self

import attrs

from facesearch._fields import check_float, check_int, check_text
from facesearch.analysis import FaceAnalyzer
from facesearch.attributes import parse_attributes
from facesearch.errors import FacesearchError, InvalidParameterError, StorageError
from facesearch.rekognition import collection_calls, face_calls, photo_calls, user_calls
from facesearch.rekognition.account import Account, Answer, Request, Settling
from facesearch.rekognition.checking import check
from facesearch.rekognition.faults import FAULTS, RekognitionError, ThrottlingException
from facesearch.rekognition.objects import ObjectStore, S3Folder
from facesearch.rekognition.shelf import FileShelf, MemoryShelf, Shelf
from facesearch.rekognition.translation import translated

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


@attrs.define
class _Failure:
    """An error that was asked for, and how many more times it shall come."""

    fault: type[RekognitionError]
    operation: str | None
    left: int


class Rekognition:
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
        `facesearch.rekognition.objects.ObjectStore`. By default no S3Object is there.
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
    May be used from several threads. Any of the methods may raise what AWS's operation does; `docs/rekognition.md` lists
    errors and their causes.

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
        self._lock = threading.Lock()
        self._requests = 0
        self._failures: list[_Failure] = []

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
        """
        if self._closed:
            raise StorageError("this Rekognition was closed")
        try:
            self._fail_if_asked(operation)
            request = check(operation, parameters)
            return _CALLS[operation](self._account, request)
        except FacesearchError as error:
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
        """Let go of the file; in memory, of the collections. Whatever is asked from then on raises `StorageError`."""
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

    def _given(self, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """Answer with those parameters that were given."""
        return self.call(operation, {name: value for name, value in parameters.items() if value is not None})

    # ---------------------------------------------------------------- collections
    def create_collection(self, *, CollectionId: str, Tags: Mapping[str, str] | None = None) -> Answer:
        """Make a collection."""
        return self._given("CreateCollection", {"CollectionId": CollectionId, "Tags": Tags})

    def describe_collection(self, *, CollectionId: str) -> Answer:
        """Tell how many faces and users a collection has, its face model, and since when it is there."""
        return self._given("DescribeCollection", {"CollectionId": CollectionId})

    def list_collections(self, *, NextToken: str | None = None, MaxResults: int | None = None) -> Answer:
        """List the collections, by id."""
        return self._given("ListCollections", {"NextToken": NextToken, "MaxResults": MaxResults})

    def delete_collection(self, *, CollectionId: str) -> Answer:
        """Delete a collection, its faces and its users."""
        return self._given("DeleteCollection", {"CollectionId": CollectionId})

    def tag_resource(self, *, ResourceArn: str, Tags: Mapping[str, str]) -> Answer:
        """Add tags to a collection."""
        return self._given("TagResource", {"ResourceArn": ResourceArn, "Tags": Tags})

    def untag_resource(self, *, ResourceArn: str, TagKeys: Sequence[str]) -> Answer:
        """Remove tags from a collection."""
        return self._given("UntagResource", {"ResourceArn": ResourceArn, "TagKeys": TagKeys})

    def list_tags_for_resource(self, *, ResourceArn: str) -> Answer:
        """Tell a collection's tags."""
        return self._given("ListTagsForResource", {"ResourceArn": ResourceArn})

    # ---------------------------------------------------------------- faces

    def index_faces(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        ExternalImageId: str | None = None,
        DetectionAttributes: Sequence[str] | None = None,
        MaxFaces: int | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Find the faces in a photo and add them to a collection."""
        return self._given(
            "IndexFaces",
            {
                "CollectionId": CollectionId,
                "Image": Image,
                "ExternalImageId": ExternalImageId,
                "DetectionAttributes": DetectionAttributes,
                "MaxFaces": MaxFaces,
                "QualityFilter": QualityFilter,
            },
        )

    def list_faces(
        self,
        *,
        CollectionId: str,
        NextToken: str | None = None,
        MaxResults: int | None = None,
        UserId: str | None = None,
        FaceIds: Sequence[str] | None = None,
    ) -> Answer:
        """List the faces of a collection, or of one of its users, by face id."""
        return self._given(
            "ListFaces",
            {
                "CollectionId": CollectionId,
                "NextToken": NextToken,
                "MaxResults": MaxResults,
                "UserId": UserId,
                "FaceIds": FaceIds,
            },
        )

    def delete_faces(self, *, CollectionId: str, FaceIds: Sequence[str]) -> Answer:
        """Remove faces from a collection; not those of users."""
        return self._given("DeleteFaces", {"CollectionId": CollectionId, "FaceIds": FaceIds})

    def search_faces(
        self, *, CollectionId: str, FaceId: str, MaxFaces: int | None = None, FaceMatchThreshold: float | None = None
    ) -> Answer:
        """Find the faces that are most similar to a face of the collection."""
        return self._given(
            "SearchFaces",
            {
                "CollectionId": CollectionId,
                "FaceId": FaceId,
                "MaxFaces": MaxFaces,
                "FaceMatchThreshold": FaceMatchThreshold,
            },
        )

    def search_faces_by_image(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        MaxFaces: int | None = None,
        FaceMatchThreshold: float | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Find the faces that are most similar to the largest face of a photo."""
        return self._given(
            "SearchFacesByImage",
            {
                "CollectionId": CollectionId,
                "Image": Image,
                "MaxFaces": MaxFaces,
                "FaceMatchThreshold": FaceMatchThreshold,
                "QualityFilter": QualityFilter,
            },
        )

    # ---------------------------------------------------------------- users

    def create_user(self, *, CollectionId: str, UserId: str, ClientRequestToken: str | None = None) -> Answer:
        """Make a user, without faces."""
        return self._given(
            "CreateUser", {"CollectionId": CollectionId, "UserId": UserId, "ClientRequestToken": ClientRequestToken}
        )

    def delete_user(self, *, CollectionId: str, UserId: str, ClientRequestToken: str | None = None) -> Answer:
        """Remove a user; the faces stay in the collection."""
        return self._given(
            "DeleteUser", {"CollectionId": CollectionId, "UserId": UserId, "ClientRequestToken": ClientRequestToken}
        )

    def list_users(self, *, CollectionId: str, MaxResults: int | None = None, NextToken: str | None = None) -> Answer:
        """List the users of a collection."""
        return self._given(
            "ListUsers", {"CollectionId": CollectionId, "MaxResults": MaxResults, "NextToken": NextToken}
        )

    def associate_faces(
        self,
        *,
        CollectionId: str,
        UserId: str,
        FaceIds: Sequence[str],
        UserMatchThreshold: float | None = None,
        ClientRequestToken: str | None = None,
    ) -> Answer:
        """Make faces of a collection a user's."""
        return self._given(
            "AssociateFaces",
            {
                "CollectionId": CollectionId,
                "UserId": UserId,
                "FaceIds": FaceIds,
                "UserMatchThreshold": UserMatchThreshold,
                "ClientRequestToken": ClientRequestToken,
            },
        )

    def disassociate_faces(
        self, *, CollectionId: str, UserId: str, FaceIds: Sequence[str], ClientRequestToken: str | None = None
    ) -> Answer:
        """Take faces from a user; they stay in the collection."""
        return self._given(
            "DisassociateFaces",
            {
                "CollectionId": CollectionId,
                "UserId": UserId,
                "FaceIds": FaceIds,
                "ClientRequestToken": ClientRequestToken,
            },
        )

    def search_users(
        self,
        *,
        CollectionId: str,
        UserId: str | None = None,
        FaceId: str | None = None,
        UserMatchThreshold: float | None = None,
        MaxUsers: int | None = None,
    ) -> Answer:
        """Find the users that are most similar to a user, or to a face of the collection."""
        return self._given(
            "SearchUsers",
            {
                "CollectionId": CollectionId,
                "UserId": UserId,
                "FaceId": FaceId,
                "UserMatchThreshold": UserMatchThreshold,
                "MaxUsers": MaxUsers,
            },
        )

    def search_users_by_image(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        UserMatchThreshold: float | None = None,
        MaxUsers: int | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Tell who the largest face of a photo is."""
        return self._given(
            "SearchUsersByImage",
            {
                "CollectionId": CollectionId,
                "Image": Image,
                "UserMatchThreshold": UserMatchThreshold,
                "MaxUsers": MaxUsers,
                "QualityFilter": QualityFilter,
            },
        )

    # ---------------------------------------------------------------- photos alone

    def detect_faces(self, *, Image: Mapping[str, Any], Attributes: Sequence[str] | None = None) -> Answer:
        """Tell what faces a photo shows."""
        return self._given("DetectFaces", {"Image": Image, "Attributes": Attributes})

    def compare_faces(
        self,
        *,
        SourceImage: Mapping[str, Any],
        TargetImage: Mapping[str, Any],
        SimilarityThreshold: float | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Tell how similar the largest face of one photo is to each face of another."""
        return self._given(
            "CompareFaces",
            {
                "SourceImage": SourceImage,
                "TargetImage": TargetImage,
                "SimilarityThreshold": SimilarityThreshold,
                "QualityFilter": QualityFilter,
            },
        )


def _store(objects: ObjectStore | str | PathLike[str] | None) -> ObjectStore | None:
    if not isinstance(objects, str | PathLike):
        return objects
    try:
        return S3Folder(objects)
    except InvalidParameterError as error:
        raise InvalidParameterError.of("objects", objects, "a folder that is there, or an ObjectStore") from error
