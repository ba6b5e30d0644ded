"""State that all operations share, and decorators that pass a request's collection and image to a handler."""

import functools
import io
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.collection import Collection
from facesearch.common.forks import ForkLock, Level
from facesearch.domain.attributes import Attribute
from facesearch.domain.entities import UserStatus
from facesearch.errors import (
    CollectionNotFoundError,
    StorageBusyError,
    StorageError,
    StorageFormatError,
    StorageFullError,
    StorageReadOnlyError,
    StorageUncertainError,
)
from facesearch.images.reading import AWS_FORMATS, Picture, read_image
from facesearch.rekognition.backends import Backend
from facesearch.rekognition.exceptions import InvalidS3ObjectException, ResourceNotFoundException
from facesearch.rekognition.s3_objects import ObjectStore

__all__ = ["Account", "Answer", "Handler", "Request", "UpdatingUsers", "on_collection", "on_picture", "once"]

T = TypeVar("T")
Request = dict[str, Any]
"""Validated parameters."""
Answer = dict[str, Any]
"""A response as boto3 returns it, without ``ResponseMetadata``."""


class UpdatingUsers:
    """Users that report the status UPDATING for some seconds, >= 0, after a change.

    Here every change takes effect at once; at AWS a user's vector is updated later. A delay above 0 simulates that status, to
    test code that waits for a user to become ACTIVE. Searches use the new faces at once in either case.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = ForkLock(Level.LEAF)
        self._until: dict[tuple[str, str], float] = {}

    def start(self, collection_id: str, user_id: str) -> None:
        """Start the delay of a user, or restart it."""
        if self._seconds:
            now = time.monotonic()
            with self._lock:
                self._until = {user: until for user, until in self._until.items() if until > now}
                self._until[collection_id, user_id] = now + self._seconds

    def forget(self, collection_id: str, user_id: str | None = None) -> None:
        """Remove a deleted user, or all users of a deleted collection."""
        with self._lock:
            for user in [user for user in self._until if user[0] == collection_id and user_id in {None, user[1]}]:
                del self._until[user]

    def with_status(self, collection_id: str, user_id: str, answer: Answer) -> Answer:
        """Return an answer about a user, with the ``UserStatus`` UPDATING during the user's delay."""
        with self._lock:
            is_updating = self._until.get((collection_id, user_id), 0.0) > time.monotonic()
        return answer | {"UserStatus": UserStatus.UPDATING.value} if is_updating else answer


@attrs.frozen(kw_only=True, eq=False)
class Account:
    """State of one AWS account.

    Attributes
    ----------
    objects
        Source of S3Objects; ``None`` if there is none.
    analyzer
        Detects and embeds faces; ``None`` for the analyzer of the process.
    region, account_id
        Parts of the collections' ARNs.
    searched_attributes
        Face attributes in the response of SearchUsersByImage.
    """

    backend: Backend
    objects: ObjectStore | None
    analyzer: FaceAnalyzer | None
    region: str
    account_id: str
    updating: UpdatingUsers
    searched_attributes: tuple[Attribute, ...]

    def with_collection(self, collection_id: str, work: Callable[[Collection], T]) -> T:
        """Call *work* with a collection; retry once with the collection reopened where the open one became invalid."""
        for last in (False, True):
            collection = self.backend.get(collection_id)
            try:
                return work(collection)
            except (StorageBusyError, StorageFullError, StorageUncertainError):
                raise
            except (StorageError, CollectionNotFoundError) as error:
                self.backend.forget(collection)
                # Another process may have deleted the collection and created it anew, or restored the file from a copy: reopened, it
                # is usable. A file that can't be written is reopened by the next request, perhaps for writing then.
                if last or isinstance(error, StorageReadOnlyError):
                    raise
        raise AssertionError  # pragma: no cover  # the last pass returns or raises

    def picture(self, image: Mapping[str, Any]) -> Picture:
        """Fetch and decode the image of a request."""
        if "Bytes" in image:
            return read_image(image["Bytes"], formats=AWS_FORMATS)
        where = image["S3Object"]
        if self.objects is None:
            raise InvalidS3ObjectException(
                "Request has invalid S3 object. No source of S3 objects is configured: pass the argument objects"
            )
        data = self.objects.read(where["Bucket"], where["Name"], where.get("Version"))
        return read_image(io.BytesIO(data), formats=AWS_FORMATS)  # as a file: S3 objects may be larger than Bytes

    def short_arn(self, collection_id: str) -> str:
        """Return a collection's ARN as CreateCollection does, without ``arn:``."""
        return f"aws:rekognition:{self.region}:{self.account_id}:collection/{collection_id}"

    def collection_of(self, arn: str) -> str:
        """Return the collection id in an ARN, with or without ``arn:``; the collection need not exist."""
        found = re.fullmatch(r"(?:arn:)?aws:rekognition:([^:]*):([^:]*):collection/(.+)", arn)
        if not found or found.groups()[:2] != (self.region, self.account_id):
            raise ResourceNotFoundException(f"The resource: {arn} does not exist")
        return found[3]


Handler = Callable[[Account, Request], Answer]


def on_collection(handle: Callable[[Account, Request, Collection], Answer]) -> Handler:
    """Pass a request's collection to its handler."""

    @functools.wraps(handle)
    def handler(account: Account, request: Request) -> Answer:
        return account.with_collection(request["CollectionId"], functools.partial(handle, account, request))

    return handler


def on_picture(handle: Callable[[Account, Request, Collection, Picture], Answer]) -> Handler:
    """Pass a request's collection and image to its handler; the image is read only if the collection exists."""

    @functools.wraps(handle)
    def handler(account: Account, request: Request) -> Answer:
        account.with_collection(request["CollectionId"], lambda _: None)
        picture = account.picture(request["Image"])
        return account.with_collection(
            request["CollectionId"], lambda collection: handle(account, request, collection, picture)
        )

    return handler


def once(operation: str) -> Callable[[Callable[[Account, Request, Collection], Answer]], Handler]:
    """Pass a request's collection to its handler, unless an earlier request had the same ClientRequestToken: repeat its response then.

    The stored response holds no user ids and no face ids, so that a deleted user or face leaves no trace in it. A face is
    stored as its position in the request's FaceIds, which a repeated request contains again. A repeated response therefore
    lacks the ids of other users that own a face. A token with other parameters raises `TokenReusedError`.
    """

    def decorate(handle: Callable[[Account, Request, Collection], Answer]) -> Handler:
        @functools.wraps(handle)
        @on_collection
        def handler(account: Account, request: Request, collection: Collection) -> Answer:
            token, face_ids = request.get("ClientRequestToken"), request.get("FaceIds", ())
            if token is None:
                return handle(account, request, collection)
            parameters = {name: value for name, value in request.items() if name != "ClientRequestToken"}
            new: list[Answer] = []

            def answer() -> str:
                new.append(handle(account, request, collection))
                return json.dumps(_without_ids(new[0], face_ids))

            stored = collection.once(f"{operation} {token}", json.dumps(parameters, sort_keys=True), answer)
            return new[0] if new else _with_face_ids(stored, face_ids)

        return handler

    return decorate


def _without_ids(answer: Answer, face_ids: Sequence[str]) -> Answer:
    """Return an answer without user ids, and with each face id replaced by its position in *face_ids*."""

    def plain(entry: Answer) -> Answer:
        return {
            name: face_ids.index(value) if name == "FaceId" else value
            for name, value in entry.items()
            if name != "UserId"
        }

    return _each_entry(answer, plain)


def _with_face_ids(stored: str, face_ids: Sequence[str]) -> Answer:
    """Restore the face ids in an answer that `_without_ids` returned."""
    try:
        return _each_entry(
            json.loads(stored),
            lambda entry: {name: face_ids[value] if name == "FaceId" else value for name, value in entry.items()},
        )
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StorageFormatError("a stored answer is damaged") from error


def _each_entry(answer: Answer, change: Callable[[Answer], Answer]) -> Answer:
    return {
        name: [change(each) for each in value] if isinstance(value, list) else value for name, value in answer.items()
    }
