"""A place that keeps collections, a file or a PostgreSQL server: what both have in common, and what they store of a collection as a whole."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, ClassVar, Final

import attrs
from attrs import field

from facesearch.common.tables import Cell
from facesearch.common.validation import is_a, is_bool, maybe, plain_int, whole
from facesearch.domain.entities import COLLECTION_ID_PATTERN, FaceModel
from facesearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidParameterError,
    QuotaExceededError,
    StorageFormatError,
    without_value,
)
from facesearch.matching.calibration_choice import describe_kept
from facesearch.storage.content_ids import new_secret
from facesearch.storage.sql import COUNT, ID, TEXT, Connections, Kind, Sql
from facesearch.storage.store import Store

__all__ = [
    "MAX_TAGS",
    "CollectionInfo",
    "Database",
    "Entry",
    "Erasure",
    "check_number_of_tags",
    "check_tag",
    "check_tags",
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
    """The constant properties of a collection."""

    number: int  # the row number; that of a deleted collection is not reused
    collection_id: str
    face_model: FaceModel
    thumbnails: bool  # as in `CollectionInfo`
    # JSON of `facesearch.matching.calibration.Calibration`; None for one that comes with the library.
    calibration: str | None
    salt: bytes = field(repr=False)  # the database's key for the hashes of user ids


_FIXED: Final = "id, collection_id, thumbnails, calibration, model_name, model_version, model_digest, dimension"
_COLLECTION_ID: Final = Kind.matching(COLLECTION_ID_PATTERN, 255)
_DIMENSION: Final = Kind("a vector's length", frozenset({int}), lambda value: 0 < value <= _LARGEST_DIMENSION)
_LARGEST_DIMENSION: Final = 1 << 16
_TIME: Final = Kind("a time", frozenset({float}), lambda value: 0 <= value <= _LAST_TIME)
_LAST_TIME: Final = 253402300799  # of the year 9999
_KEY: Final = Kind("up to 64 bytes", frozenset({bytes}), lambda value: 0 < len(value) <= _LONGEST_KEY)
_LONGEST_KEY: Final = 64  # of BLAKE2b
_FIXED_KINDS: Final = (ID, _COLLECTION_ID, COUNT, TEXT.or_null, TEXT, TEXT, TEXT, _DIMENSION)
_INFO_KINDS: Final = (COUNT, COUNT, _TIME, *_FIXED_KINDS)


@attrs.frozen(kw_only=True)
class Erasure:
    """The result of an erasure."""

    left: tuple[str, ...] = ()  # why deleted data may still be in the database's files, each with the next step
    beyond: tuple[str, ...] = ()  # places that may hold copies and are out of reach

    @property
    def done(self) -> bool:
        """Whether all deleted data is erased from the database's files."""
        return not self.left


class Database(ABC):
    """A file or a server that keeps collections. Thread-safe; connections are opened on first use.

    All methods raise `facesearch.StorageError` and its subclasses if it can't be used. Methods that take the id of a collection raise
    `facesearch.CollectionNotFoundError` if there is none, unless stated otherwise. In a statement, ``?`` stands for a value.

    Attributes
    ----------
    name
        The path, or the address without the password: for messages.
    """

    _FILE: ClassVar[str]  # the table with the salt
    _LOCK: ClassVar[str] = ""  # the end of a query that locks the rows it finds

    def __init__(self, sessions: Connections) -> None:
        self.name, self._sessions = sessions.name, sessions

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""
        return self._sessions.read_only

    @abstractmethod
    def description(self) -> str:
        """Return the name and version of the software that keeps it."""

    @abstractmethod
    def find(self, collection_id: str) -> Entry | None:
        """Find a collection; ``None`` if the collection or the whole database does not exist."""

    def missing(self, collection_id: str) -> CollectionNotFoundError:
        """Return the error for a collection that does not exist."""
        return CollectionNotFoundError(f"collection_id: no collection {collection_id!r} in {self.name}")

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
        tags = check_tags("tags", tags or {})
        self._create(face_model)
        with self._sessions.writing() as sql:
            fixed = collection_id, *attrs.astuple(face_model), calibration, thumbnails, new_secret()
            added = self._insert(sql, fixed)
            if must_be_new and not added:
                raise CollectionExistsError(f"collection_id: {self.name} has a collection {collection_id!r} already")
            entry = self._find(sql, collection_id)
            if entry is None:
                raise StorageFormatError(
                    f"{self.name}: damaged, or another process deletes what this one adds: "
                    f"collection {collection_id!r} was written and is not there"
                )
            if added:
                self._put_tags(sql, entry.number, tags)
        return entry

    @abstractmethod
    def store(self, entry: Entry, offset: Callable[[int], float], *, answered_before: float) -> Store:
        """Return the store of a collection; closing it closes this database.

        *offset* is that of `facesearch.storage.memory.MemoryStore`. Answers given before *answered_before* are removed.
        """

    def infos(self, collection_id: str | None = None) -> list[CollectionInfo]:
        """Return the properties of one collection or of all; reads no vectors."""
        query = f"SELECT users, faces, created, {_FIXED} FROM collections"  # noqa: S608  # constant names
        values = [] if collection_id is None else [collection_id]
        with self._reading() as sql:
            rows = sql.rows(_INFO_KINDS, f"{query} WHERE collection_id = ?" if values else query, *values)
            infos = [self._info(*row) for row in rows]
        if collection_id is not None and not infos:
            raise self.missing(collection_id)
        return infos

    def tags(self, collection_id: str) -> dict[str, str]:
        """Return the tags of a collection, sorted by key."""
        with self._reading() as sql:
            return self._tags(sql, self._number(sql, collection_id))

    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        """Add tags to a collection and remove tags, in one transaction.

        Raises
        ------
        QuotaExceededError
            If the collection would have more than 200 tags; nothing was changed.
        """
        with self._changing() as sql:
            self._put_tags(sql, self._number(sql, collection_id, lock=True), add, remove)

    @abstractmethod
    def delete(self, collection_id: str) -> None:
        """Delete a collection, with all its users, faces and vectors."""

    @abstractmethod
    def erase(self, wait: float) -> Erasure:
        """Erase the data of deleted people, waiting up to *wait* seconds for others."""

    @abstractmethod
    def is_erased(self) -> bool:
        """Check whether all deleted data is erased; changes nothing."""

    def close(self) -> None:
        """Close the connections."""
        self._sessions.close()

    # ---------------------------------------------------------------- what both have in common, and what differs

    def _find(self, sql: Sql, collection_id: str) -> Entry | None:
        query = f"SELECT salt, {_FIXED} FROM collections, {self._FILE} WHERE collection_id = ?"  # noqa: S608  # constant names
        rows = sql.rows((_KEY, *_FIXED_KINDS), query, collection_id)
        return self._entry(*rows[0]) if rows else None

    def _number(self, sql: Sql, collection_id: str, *, lock: bool = False) -> int:
        query = f"SELECT id FROM collections WHERE collection_id = ?{self._LOCK if lock else ''}"  # noqa: S608  # constant names
        for (number,) in sql.rows((ID,), query, collection_id):
            return int(number)
        raise self.missing(collection_id)

    def _info(self, users: int, faces: int, created: Any, *fixed: Any) -> CollectionInfo:
        entry = self._entry(b"", *fixed)
        return CollectionInfo(
            collection_id=entry.collection_id,
            users=users,
            faces=faces,
            face_model=entry.face_model,
            created=self._time(created),
            thumbnails=entry.thumbnails,
            calibration=describe_kept(entry.calibration),
        )

    def _entry(self, salt: bytes, *fixed: Any) -> Entry:
        number, collection_id, thumbnails, calibration, name, version, digest, dimension = fixed
        try:
            face_model = FaceModel(name=name, version=version, digest=digest, dimension=dimension)
        except InvalidParameterError as error:
            reason = without_value(error)
            raise StorageFormatError(f"{self.name}: {collection_id}: damaged face model ({reason})") from None
        return Entry(
            number=number,
            collection_id=collection_id,
            face_model=face_model,
            thumbnails=bool(thumbnails),
            calibration=calibration,
            salt=salt,
        )

    def _tags(self, sql: Sql, number: int) -> dict[str, str]:
        query = "SELECT key, value FROM tags WHERE collection = ? ORDER BY key"
        return {self._decoded(key): self._decoded(value) for key, value in sql.rows((TEXT, TEXT), query, number)}

    def _put_tags(self, sql: Sql, number: int, tags: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        for key, value in tags.items():
            statement = """INSERT INTO tags (collection, key, value) VALUES (?, ?, ?)
                ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value"""
            sql.change(statement, number, self._encoded(key), self._encoded(value))
        for key in remove:
            sql.change("DELETE FROM tags WHERE collection = ? AND key = ?", number, self._encoded(key))
        check_number_of_tags(len(self._tags(sql, number)))

    def _encoded(self, text: str) -> Any:
        """Return the stored form of a tag's key or value."""
        return text

    def _decoded(self, stored: Any) -> str:
        """Return a tag's key or value."""
        return str(stored)

    @abstractmethod
    def _create(self, face_model: FaceModel) -> None:
        """Create the database if needed, for vectors of a model."""

    @abstractmethod
    def _insert(self, sql: Sql, fixed: Sequence[Any]) -> bool:
        """Add a collection: id, face model, calibration, thumbnails and secret; return False if it exists."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Sql]:
        """Read an existing database."""

    @abstractmethod
    def _changing(self) -> AbstractContextManager[Sql]:
        """Change an existing database in one transaction."""

    @abstractmethod
    def _time(self, created: Any) -> datetime:
        """Return a stored time, in UTC."""


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
