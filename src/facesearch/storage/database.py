"""A place that keeps collections, a file or a PostgreSQL server: its protocol, and what it stores of a collection as a whole."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol

import attrs
from attrs import field

from facesearch.common.tables import Cell
from facesearch.common.validation import is_a, is_bool, maybe, plain_int, whole
from facesearch.domain.entities import FaceModel
from facesearch.errors import (
    CollectionNotFoundError,
    InvalidParameterError,
    QuotaExceededError,
    StorageFormatError,
    without_value,
)
from facesearch.matching.calibration_choice import describe_kept
from facesearch.storage.store import Store

__all__ = [
    "FIXED_COLUMNS",
    "MAX_TAGS",
    "CollectionInfo",
    "Database",
    "Entry",
    "Erasure",
    "check_number_of_tags",
    "check_tag",
    "check_tags",
    "entry_of",
    "info_of",
]

MAX_TAGS: Final = 200
"""Tags of a collection: shape TagMap of Amazon Rekognition's model."""

_LONGEST_TAG: Final = {"key": 128, "value": 256}  # characters: shapes TagKey and TagValue


@attrs.frozen(kw_only=True)
class CollectionInfo:
    """A collection in a file or on a server.

    Attributes
    ----------
    collection_id
        The id of the collection.
    users, faces
        The numbers of its users and faces.
    face_model
        The face model that computed its vectors.
    created
        Time of creation, UTC.
    thumbnails
        Whether it stores thumbnails of faces.
    calibration
        The name of a calibration stored in the file, in one printable line; ``None`` if none is stored. It is used only if the library
        has no calibration for this face model, or with ``calibration="file"``.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("collection", "users", "faces", "face model", "created", "thumbnails")

    collection_id: str = field(validator=is_a(str))
    users: int = field(converter=plain_int, validator=whole(0))
    faces: int = field(converter=plain_int, validator=whole(0))
    face_model: FaceModel = field(validator=is_a(FaceModel))
    created: datetime = field(validator=is_a(datetime))
    thumbnails: bool = field(validator=is_bool)
    calibration: str | None = field(default=None, validator=maybe(is_a(str)))

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this collection's row in a table."""
        model = f"{self.face_model.name} {self.face_model.version}"
        created = self.created.isoformat(" ", "minutes")
        return self.collection_id, self.users, self.faces, model, created, "yes" if self.thumbnails else "no"


@attrs.frozen(kw_only=True)
class Entry:
    """The constant properties of a collection.

    Attributes
    ----------
    number
        Its row number; the number of a deleted collection is not reused.
    collection_id, face_model, thumbnails
        See `CollectionInfo`.
    calibration
        JSON, see `facesearch.matching.calibration.Calibration.to_json`; ``None`` for one that comes with the library.
    salt
        The database's key for the hashes of user ids.
    """

    number: int
    collection_id: str
    face_model: FaceModel
    thumbnails: bool
    calibration: str | None
    salt: bytes = field(repr=False)


FIXED_COLUMNS: Final = "id, collection_id, thumbnails, calibration, model_name, model_version, model_digest, dimension"
"""The columns of a collection that never change, in the order that `entry_of` takes."""


def entry_of(where: str, salt: bytes, columns: Iterable[Any]) -> Entry:
    """Return the entry of a row of a catalog.

    Parameters
    ----------
    where
        The database, for messages.
    salt
        See `Entry`.
    columns
        The values of `FIXED_COLUMNS`.

    Raises
    ------
    StorageFormatError
        If they describe no face model.
    """
    number, collection_id, thumbnails, calibration, name, version, digest, dimension = columns
    try:
        face_model = FaceModel(name=name, version=version, digest=digest, dimension=dimension)
    except InvalidParameterError as error:
        raise StorageFormatError(f"{where}: {collection_id}: damaged face model ({without_value(error)})") from None
    return Entry(
        number=number,
        collection_id=collection_id,
        face_model=face_model,
        thumbnails=bool(thumbnails),
        calibration=calibration,
        salt=bytes(salt),
    )


def info_of(entry: Entry, *, users: int, faces: int, created: datetime) -> CollectionInfo:
    """Return the properties of a collection; *created* in UTC."""
    return CollectionInfo(
        collection_id=entry.collection_id,
        users=users,
        faces=faces,
        face_model=entry.face_model,
        created=created,
        thumbnails=entry.thumbnails,
        calibration=describe_kept(entry.calibration),
    )


@attrs.frozen(kw_only=True)
class Erasure:
    """The result of an erasure.

    Attributes
    ----------
    left
        Why deleted data may still be in the database's files, each with the next step; empty if all of it is erased.
    beyond
        Places that may hold copies and are out of reach.
    """

    left: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether all deleted data is erased from the database's files."""
        return not self.left


class Database(Protocol):
    """A file or a server that keeps collections. Thread-safe; connections are opened on first use.

    All methods raise `facesearch.StorageError` and its subclasses if it can't be used. Methods that take the id of a collection raise
    `facesearch.CollectionNotFoundError` if there is none, unless stated otherwise.

    Attributes
    ----------
    name
        The path, or the address without the password: for messages.
    """

    name: str

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""

    def description(self) -> str:
        """Return the name and version of the software that keeps it."""

    def find(self, collection_id: str) -> Entry | None:
        """Find a collection; ``None`` if the collection or the whole database does not exist."""

    def missing(self, collection_id: str) -> CollectionNotFoundError:
        """Return the error for a collection that does not exist."""

    def add(
        self,
        collection_id: str,
        *,
        face_model: FaceModel,
        thumbnails: bool,
        calibration: str | None,
        tags: Mapping[str, str] | None = None,
        must_be_new: bool = False,
    ) -> Entry:
        """Add a collection with its tags; create the database if needed.

        If another process added the collection first, that one is returned, with the tags that the other process set.

        Raises
        ------
        CollectionExistsError
            If the collection exists and *must_be_new* is true.
        InvalidParameterError, QuotaExceededError
            As from `change_tags`.
        StorageError
            And its subclasses; nothing was changed, and no new database is left.
        """

    def store(self, entry: Entry, offset: Callable[[int], float], *, answered_before: float) -> Store:
        """Return the store of a collection; closing it closes this database.

        Parameters
        ----------
        entry
            The collection.
        offset
            See `facesearch.storage.memory.MemoryStore`.
        answered_before
            Older answers are removed, as by `Store.forget_answers`.
        """

    def infos(self, collection_id: str | None = None) -> list[CollectionInfo]:
        """Return the properties of one collection or of all; reads no vectors."""

    def tags(self, collection_id: str) -> dict[str, str]:
        """Return the tags of a collection, sorted by key."""

    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        """Add tags to a collection and remove tags, in one transaction.

        Raises
        ------
        QuotaExceededError
            If the collection would have more than 200 tags; nothing was changed.
        """

    def delete(self, collection_id: str) -> None:
        """Delete a collection, with all its users, faces and vectors."""

    def erase(self, wait: float) -> Erasure:
        """Erase the data of deleted people, waiting up to *wait* seconds for others."""

    def is_erased(self) -> bool:
        """Check whether all deleted data is erased; changes nothing."""

    def close(self) -> None:
        """Close the connections."""


def check_tags(argument: str, tags: Any) -> dict[str, str]:
    """Return tags as a dict if they are valid.

    Raises
    ------
    InvalidParameterError
        If *tags* is not a mapping of keys of 1-128 characters to values of 0-256; the message names *argument*.
    """
    if not isinstance(tags, Mapping):
        raise InvalidParameterError.of(argument, tags, "a mapping of tags, keys to values")
    return {check_tag(argument, "key", key): check_tag(argument, "value", value) for key, value in tags.items()}


def check_tag(argument: str, part: str, text: Any) -> str:
    """Return a key or value of a tag if it is valid; *part* is ``"key"`` or ``"value"``.

    Raises
    ------
    InvalidParameterError
        The message names *argument*.
    """
    least, most = part == "key", _LONGEST_TAG[part]
    if isinstance(text, str) and least <= len(text) <= most and not re.search("[\ud800-\udfff]", text):
        return text
    raise InvalidParameterError.of(argument, text, f"a {part} of {least:d} to {most} characters")


def check_number_of_tags(count: int) -> None:
    """Check that a collection may have that number of tags.

    Raises
    ------
    QuotaExceededError
        If there are more than `MAX_TAGS`.
    """
    if count > MAX_TAGS:
        raise QuotaExceededError(f"tags: the collection would have {count} tags, at most {MAX_TAGS}")
