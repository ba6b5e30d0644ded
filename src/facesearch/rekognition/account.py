"""What all operations share: the collections, where pictures come from, and how an account names and times things."""

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
    TokenReusedError,
)
from facesearch.images.reading import AWS_FORMATS, Picture, read_image
from facesearch.rekognition.backends import Shelf
from facesearch.rekognition.error_mapping import no_collection
from facesearch.rekognition.exceptions import (
    IdempotentParameterMismatchException,
    InvalidS3ObjectException,
    ResourceNotFoundException,
)
from facesearch.rekognition.s3_objects import ObjectStore

__all__ = ["Account", "Answer", "Request", "Settling"]

T = TypeVar("T")
Request = dict[str, Any]
"""Parameters, checked."""
Answer = dict[str, Any]
"""What boto3 gives, without ``ResponseMetadata``."""


class Settling:
    """Users whose vectors AWS would still be working on.

    Here every change holds at once. Code that waits for a user to become ACTIVE can be tried out nevertheless: with a time
    above 0, a user reads UPDATING for so long after each change, though it is found as it is.

    Parameters
    ----------
    seconds
        How long, >= 0.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = ForkLock(Level.LEAF)
        self._until: dict[tuple[str, str], float] = {}

    def changed(self, collection_id: str, user_id: str) -> None:
        """Begin anew."""
        if self._seconds:
            now = time.monotonic()
            with self._lock:
                self._until = {user: until for user, until in self._until.items() if until > now}
                self._until[collection_id, user_id] = now + self._seconds

    def forget(self, collection_id: str, user_id: str | None = None) -> None:
        """Forget a user that is gone, or all of a collection."""
        with self._lock:
            for user in [user for user in self._until if user[0] == collection_id and user_id in {None, user[1]}]:
                del self._until[user]

    def status(self, collection_id: str, user_id: str, status: str) -> str:
        """Give what a user's status reads now."""
        if not self._seconds:
            return status
        with self._lock:
            until = self._until.get((collection_id, user_id), 0.0)
        return UserStatus.UPDATING.value if until > time.monotonic() else status


@attrs.frozen(kw_only=True, eq=False)
class Account:
    """What operations work with.

    Attributes
    ----------
    shelf
        The collections.
    objects
        Where S3Objects come from; ``None`` for nowhere.
    analyzer
        What finds and embeds faces; ``None`` for the process's own.
    region, account_id
        Parts of the collections' names in AWS.
    settling
        Which users read UPDATING.
    searched_attributes
        What SearchUsersByImage tells of faces.
    """

    shelf: Shelf
    objects: ObjectStore | None
    analyzer: FaceAnalyzer | None
    region: str
    account_id: str
    settling: Settling
    searched_attributes: tuple[Attribute, ...]

    # ---------------------------------------------------------------- collections

    def within(self, collection_id: str, work: Callable[[Collection], T]) -> T:
        """Do something with a collection.

        Raises
        ------
        ResourceNotFoundException
            If it is not there.
        """
        for last in (False, True):
            try:
                collection = self.shelf.get(collection_id)
            except CollectionNotFoundError:
                break
            try:
                return work(collection)
            except CollectionNotFoundError:  # deleted by another process, which may have made another one since
                self.shelf.forget(collection)
            except (StorageBusyError, StorageFullError):
                raise
            except StorageReadOnlyError:
                self.shelf.forget(collection)  # when the file can be written again, it is opened for writing
                raise
            except StorageError:  # as when the file was put back from a copy: opened anew, it can be used
                self.shelf.forget(collection)
                if last:
                    raise
        raise no_collection(collection_id)

    def with_picture(self, request: Request, work: Callable[[Collection, Picture], T]) -> T:
        """Do something with a collection and the picture of a request, which is not looked at if the collection is not there.

        Raises
        ------
        ResourceNotFoundException
            If the collection is not there.
        RekognitionError, ImageError
            If the picture can't be had, or used.
        """
        collection_id = request["CollectionId"]
        self.within(collection_id, lambda _: None)
        picture = self.picture(request["Image"])
        return self.within(collection_id, lambda collection: work(collection, picture))

    def once(self, operation: str, request: Request, work: Callable[[Collection], Answer]) -> Answer:
        """Do something with a collection, or give what it gave, if it was done with the same ClientRequestToken.

        What is remembered names neither users nor faces, so that what is deleted is gone from there too. Faces are remembered by their
        places in the request, which is given again with the token. Given again, the answer lacks the other users who have faces.

        Raises
        ------
        IdempotentParameterMismatchException
            If the token came with other parameters.
        ResourceNotFoundException
            If the collection is not there.
        """
        token = request.get("ClientRequestToken")
        if token is None:
            return self.within(request["CollectionId"], work)
        same = json.dumps(
            {name: value for name, value in request.items() if name != "ClientRequestToken"}, sort_keys=True
        )

        def do(collection: Collection) -> Answer:
            new: list[Answer] = []

            def answer() -> str:
                new.append(work(collection))
                return json.dumps(_nameless(new[0], request.get("FaceIds", ())))

            remembered = collection.once(f"{operation} {token}", same, answer)
            return new[0] if new else _named(remembered, request.get("FaceIds", ()))

        try:
            return self.within(request["CollectionId"], do)
        except TokenReusedError as error:
            raise IdempotentParameterMismatchException(
                f"The ClientRequestToken: {token} you have supplied is already in use."
            ) from error

    def short_arn(self, collection_id: str) -> str:
        """Give a collection's name as CreateCollection does, which leaves out ``arn:``."""
        return f"aws:rekognition:{self.region}:{self.account_id}:collection/{collection_id}"

    def arn(self, collection_id: str) -> str:
        """Give a collection's name as DescribeCollection does."""
        return f"arn:{self.short_arn(collection_id)}"

    def collection_of(self, arn: str) -> str:
        """Give the id of the collection of that name, in either form; it need not be there.

        Raises
        ------
        ResourceNotFoundException
            If it is the name of nothing that can be here.
        """
        found = re.fullmatch(r"(?:arn:)?aws:rekognition:([^:]*):([^:]*):collection/(.+)", arn)
        if not found or found.groups()[:2] != (self.region, self.account_id):
            raise ResourceNotFoundException(f"The resource: {arn} does not exist")
        return found[3]

    # ---------------------------------------------------------------- pictures

    def picture(self, image: Mapping[str, Any]) -> Picture:
        """Give the picture of a request.

        Raises
        ------
        RekognitionError, ImageError
            If it can't be had, or used.
        """
        if "Bytes" in image:
            return read_image(image["Bytes"], formats=AWS_FORMATS)
        where = image["S3Object"]
        if self.objects is None:
            raise InvalidS3ObjectException(
                "Request has invalid S3 object. Nothing was said of where S3 objects come from: see the argument objects"
            )
        data = self.objects.read(where["Bucket"], where["Name"], where.get("Version"))
        return read_image(
            io.BytesIO(data), formats=AWS_FORMATS
        )  # as a file: more bytes are allowed than within a request


def _nameless(answer: Answer, face_ids: Sequence[str]) -> Answer:
    """Return an answer without users, and with places in a request's list of faces for their ids."""

    def plain(entry: Answer) -> Answer:
        return {
            name: face_ids.index(value) if name == "FaceId" else value
            for name, value in entry.items()
            if name != "UserId"
        }

    return _each_entry(answer, plain)


def _named(remembered: str, face_ids: Sequence[str]) -> Answer:
    """Return the answer that `_nameless` was made of, without users."""
    try:
        return _each_entry(
            json.loads(remembered),
            lambda entry: {name: face_ids[value] if name == "FaceId" else value for name, value in entry.items()},
        )
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StorageFormatError("a remembered answer is damaged") from error


def _each_entry(answer: Answer, change: Callable[[Answer], Answer]) -> Answer:
    return {
        name: [change(each) for each in value] if isinstance(value, list) else value for name, value in answer.items()
    }
