"""The catalog of collections in a file: list, find, add, tag and delete collections, and erase what was deleted."""

import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import attrs
from attrs import field

from facesearch.common.tables import Cell, Listing
from facesearch.common.validation import check_float, check_text, is_a, is_bool, maybe, plain_int, whole
from facesearch.domain.entities import COLLECTION_ID_PATTERN, FaceModel
from facesearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidParameterError,
    QuotaExceededError,
    StorageFormatError,
    without_value,
)
from facesearch.files.writing import absolute
from facesearch.matching.calibration_choice import describe_kept
from facesearch.storage.connections import Sessions
from facesearch.storage.content_ids import new_secret
from facesearch.storage.erasure import (
    ERASING_WAIT,
    compact,
    empty_changes,
    empty_faces,
    empty_users,
    empty_waiting,
    erase,
    is_few,
    is_pending,
    mark_deletion,
)
from facesearch.storage.guarded_sql import COUNT, ID, TEXT, Kind, fetch, path_of
from facesearch.storage.opening import create, translated

__all__ = [
    "MAX_TAGS",
    "CollectionInfo",
    "Entry",
    "add_entry",
    "change_tags",
    "check_tags",
    "collection_info",
    "collection_tags",
    "collections",
    "database_path",
    "delete_collection",
    "erase_deleted",
    "find_entry",
    "is_erased",
    "missing",
    "sessions_of",
]

MAX_TAGS: Final = 200
"""Tags of a collection: shape TagMap of Amazon Rekognition's model."""

_LONGEST_TAG: Final = {"key": 128, "value": 256}  # characters: shapes TagKey and TagValue
_LONGEST_WAIT: Final = 3600  # seconds
_LARGEST_DIMENSION: Final = 1 << 16


@attrs.frozen(kw_only=True)
class CollectionInfo:
    """A collection in a file.

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
        Its row number in the file; the number of a deleted collection is not reused.
    collection_id, face_model, thumbnails
        See `CollectionInfo`.
    calibration
        JSON, see `facesearch.matching.calibration.Calibration.to_json`; ``None`` for one that comes with the library.
    salt
        The file's key for the hashes of user ids.
    """

    number: int
    collection_id: str
    face_model: FaceModel
    thumbnails: bool
    calibration: str | None
    salt: bytes = field(repr=False)


def database_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a file of collections, which a later `os.chdir` does not change.

    Raises
    ------
    InvalidParameterError
        If *path* is not a path.
    """
    given: Any = path  # callers may pass a value of another type than annotated
    name = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    # ":memory:" is SQLite's name for a database without a file.
    if not isinstance(name, str) or name in {"", ":memory:"} or "\0" in name:
        raise InvalidParameterError.of("path", path, "the path of a file")
    return absolute(name)


def sessions_of(path: str | os.PathLike[str], timeout: float, *, read_only: bool | None = False) -> Sessions:
    """Return the connections to a file, which are opened on first use.

    Parameters
    ----------
    path
        The file.
    timeout
        Seconds to wait for other writers.
    read_only
        See `facesearch.storage.connections.Sessions`.

    Raises
    ------
    InvalidParameterError
        If an argument is wrong.
    """
    given: Any = read_only
    if given is not None and not isinstance(given, bool):
        raise InvalidParameterError.of("read_only", read_only, "True, False, or None for where nothing can be written")
    return Sessions(database_path(path), check_float("timeout", timeout, 0, _LONGEST_WAIT), read_only=read_only)


@contextmanager
def _reading(path: str | os.PathLike[str], timeout: float) -> Iterator[tuple[Sessions, sqlite3.Connection]]:
    """Read a file, opened read-only if it can't be written."""
    with closing(sessions_of(path, timeout, read_only=None)) as sessions:
        with sessions.reading() as sql:
            pending = is_pending(sql)
            yield sessions, sql
        if pending:
            erase(sessions, 0)


@contextmanager
def _changing(path: str | os.PathLike[str], timeout: float) -> Iterator[tuple[Sessions, sqlite3.Connection]]:
    """Change a file in one transaction."""
    with closing(sessions_of(path, timeout)) as sessions:
        with sessions.writing() as sql:
            pending = is_pending(sql)
            yield sessions, sql
            deleted = is_pending(sql) and not pending
        if pending or deleted:
            erase(sessions, ERASING_WAIT if deleted else 0)


def find_entry(sessions: Sessions, collection_id: str) -> Entry | None:
    """Find a collection; ``None`` if the collection or the file does not exist.

    Raises
    ------
    StorageError
        And its subclasses, if the file can't be used.
    """
    try:
        with sessions.reading() as sql:
            return _find(sql, collection_id)
    except CollectionNotFoundError:  # there is no such file
        return None


def add_entry(
    sessions: Sessions,
    collection_id: str,
    *,
    face_model: FaceModel,
    thumbnails: bool,
    calibration: str | None,
    tags: Mapping[str, str] | None = None,
    must_be_new: bool = False,
) -> Entry:
    """Add a collection with its tags; create the file if needed.

    If another process added the collection first, that one is returned, with the tags that the other process set.

    Raises
    ------
    CollectionExistsError
        If the collection exists and *must_be_new* is true.
    InvalidParameterError, QuotaExceededError
        As from `change_tags`.
    StorageError
        And its subclasses; nothing was changed, and no new file is left.
    """
    tags = check_tags("tags", tags or {})
    with translated(sessions.path):
        new = not sessions.path.exists()
    if new:
        create(sessions.path)
    with sessions.writing() as sql:
        added = sql.execute(
            """INSERT OR IGNORE INTO collections
            (collection_id, created, model_name, model_version, model_digest, dimension, calibration, thumbnails, secret)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (collection_id, time.time(), *attrs.astuple(face_model), calibration, thumbnails, new_secret()),
        ).rowcount
        if must_be_new and not added:
            raise CollectionExistsError(f"collection_id: {sessions.path} has a collection {collection_id!r} already")
        entry = _find(sql, collection_id)
        if entry is None:
            name = f"collection {collection_id!r}"
            raise StorageFormatError(f"{sessions.path}: damaged, {name} was written and is not there")
        if added:
            _put_tags(sql, entry.number, tags)
            _check_count(sql, entry.number)
    return entry


def collections(path: str | os.PathLike[str], *, timeout: float = 10.0) -> tuple[CollectionInfo, ...]:
    """List the collections of a file, sorted by id; reads no vectors.

    Parameters
    ----------
    path
        The file.
    timeout
        Seconds to wait for other writers.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageError
        And its subclasses, if the file can't be used.
    InvalidParameterError
        If an argument is wrong.
    """
    with _reading(path, timeout) as (_, sql):
        infos = [_info(sql, row) for row in fetch(sql, _INFO_KINDS, _INFO)]
    return Listing(sorted(infos, key=lambda info: info.collection_id), "collection")


def collection_info(path: str | os.PathLike[str], collection_id: str, *, timeout: float = 10.0) -> CollectionInfo:
    """Return the properties of one collection of a file; parameters and errors are those of `delete_collection`.

    Examples
    --------
    >>> import tempfile
    >>> import facesearch as fs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fs.Collection.open(f"{folder}/people.db", "staff").close()
    ...     collection_info(f"{folder}/people.db", "staff").users
    0
    """
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    with _reading(path, timeout) as (sessions, sql):
        rows = fetch(sql, _INFO_KINDS, f"{_INFO} WHERE collection_id = ?", (collection_id,))
        if not rows:
            raise missing(sessions.path, collection_id)
        return _info(sql, rows[0])


def collection_tags(path: str | os.PathLike[str], collection_id: str, *, timeout: float = 10.0) -> dict[str, str]:
    """Return the tags of a collection, sorted by key; parameters and errors are those of `delete_collection`."""
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    with _reading(path, timeout) as (sessions, sql):
        return _tags(sql, _number(sessions, sql, collection_id))


def change_tags(
    path: str | os.PathLike[str],
    collection_id: str,
    *,
    add: Mapping[str, str] | None = None,
    remove: Iterable[str] = (),
    timeout: float = 10.0,
) -> None:
    """Add tags to a collection and remove tags, in one transaction.

    Parameters
    ----------
    path
        The file.
    collection_id
        The id of the collection.
    add
        Values of 0-256 characters by keys of 1-128. An existing key gets the new value.
    remove
        Keys; unknown ones are ignored.
    timeout
        Seconds to wait for other writers.

    Raises
    ------
    QuotaExceededError
        If the collection would have more than 200 tags; nothing was changed.
    CollectionNotFoundError
        If there is no such file, or no such collection in it.
    StorageError
        And its subclasses, if the file can't be used; nothing was changed.
    InvalidParameterError
        If an argument is wrong.

    Notes
    -----
    Put no personal data in tags: unlike personal data, removed tags are not erased from the disk.

    Examples
    --------
    >>> import tempfile
    >>> import facesearch as fs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/people.db"
    ...     fs.Collection.create(path, "staff", tags={"site": "Oslo", "floor": "2"}).close()
    ...     change_tags(path, "staff", add={"floor": "3"}, remove=["site"])
    ...     collection_tags(path, "staff")
    {'floor': '3'}
    """
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    add, remove = check_tags("add", add or {}), [_check_tag("remove", "key", key) for key in remove]
    with _changing(path, timeout) as (sessions, sql):
        number = _number(sessions, sql, collection_id)
        _put_tags(sql, number, add)
        sql.executemany("DELETE FROM tags WHERE collection = ? AND key = ?", ((number, key) for key in remove))
        _check_count(sql, number)


def check_tags(argument: str, tags: Any) -> dict[str, str]:
    """Return tags as a dict if they are valid.

    Raises
    ------
    InvalidParameterError
        If *tags* is not a mapping of keys of 1-128 characters to values of 0-256; the message names *argument*.
    """
    if not isinstance(tags, Mapping):
        raise InvalidParameterError.of(argument, tags, "a mapping of tags, keys to values")
    return {_check_tag(argument, "key", key): _check_tag(argument, "value", value) for key, value in tags.items()}


def _check_tag(argument: str, part: str, text: Any) -> str:
    least, most = part == "key", _LONGEST_TAG[part]
    if isinstance(text, str) and least <= len(text) <= most and not re.search("[\ud800-\udfff]", text):
        return text
    raise InvalidParameterError.of(argument, text, f"a {part} of {least:d} to {most} characters")


def _put_tags(sql: sqlite3.Connection, number: int, tags: Mapping[str, str]) -> None:
    sql.executemany("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", ((number, *tag) for tag in tags.items()))


def _check_count(sql: sqlite3.Connection, number: int) -> None:
    count = len(_tags(sql, number))
    if count > MAX_TAGS:
        raise QuotaExceededError(f"tags: the collection would have {count} tags, at most {MAX_TAGS}")


def _tags(sql: sqlite3.Connection, number: int) -> dict[str, str]:
    query = "SELECT key, value FROM tags WHERE collection = ? ORDER BY key"
    return dict(fetch(sql, (TEXT, TEXT), query, (number,)))


def _number(sessions: Sessions, sql: sqlite3.Connection, collection_id: str) -> int:
    entry = _find(sql, collection_id)
    if entry is None:
        raise missing(sessions.path, collection_id)
    return entry.number


def delete_collection(path: str | os.PathLike[str], collection_id: str, *, timeout: float = 10.0) -> None:
    """Delete a collection, with all its users, faces and vectors; the file stays, even without collections.

    Parameters
    ----------
    path
        The file.
    collection_id
        The id of the collection.
    timeout
        Seconds to wait for other writers.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file, or no such collection in it.
    StorageError
        And its subclasses, if the file can't be used; nothing was changed.
    InvalidParameterError
        If an argument is wrong.
    """
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    with _changing(path, timeout) as (sessions, sql):
        number = (_number(sessions, sql, collection_id),)
        few = is_few(sql, *number)
        if few:
            for empty, query in (
                (empty_faces, "SELECT fid FROM faces WHERE collection = ?"),
                (empty_users, "SELECT uid FROM users WHERE collection = ?"),
            ):
                empty(sql, [key for (key,) in fetch(sql, (ID,), query, number)])
        wids = [wid for (wid,) in fetch(sql, (ID,), "SELECT wid FROM waiting WHERE collection = ?", number)]
        changes = [each for (each,) in fetch(sql, (ID,), "SELECT number FROM changes WHERE collection = ?", number)]
        for table in _TABLES:
            sql.execute(f"DELETE FROM {table} WHERE collection = ?", number)  # noqa: S608  # constant names
        empty_waiting(sql, wids)
        empty_changes(sql, changes)
        sql.execute("DELETE FROM collections WHERE id = ?", number)
        if not few:
            compact(sql)
        mark_deletion(sql)


# Each with a column ``collection``; those that others refer to come last.
_TABLES: Final = (
    "photos", "answers", "tags", "set_aside", "changes", "faces", "gone_faces", "waiting", "users", "gone",
)  # fmt: skip


def erase_deleted(path: str | os.PathLike[str], *, timeout: float = 10.0) -> bool:
    """Erase the data of deleted people from a file and its write-ahead log; see `facesearch.Collection.erase_deleted`.

    Parameters
    ----------
    path
        The file.
    timeout
        Seconds, 0-3600, to wait for other readers and writers.

    Returns
    -------
    bool
        Whether all deleted data is erased.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageError
        And its subclasses, if the file can't be used.
    InvalidParameterError
        If an argument is wrong.

    Examples
    --------
    >>> import tempfile
    >>> import facesearch as fs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fs.Collection.open(f"{folder}/people.db", "staff").close()
    ...     fs.delete_collection(f"{folder}/people.db", "staff")
    ...     erase_deleted(f"{folder}/people.db")
    True
    """
    with closing(sessions_of(path, timeout, read_only=None)) as sessions:
        with sessions.reading():  # raises the errors that `erase` only logs
            pass
        return erase(sessions, timeout)


def is_erased(path: str | os.PathLike[str], *, timeout: float = 10.0) -> bool:
    """Check whether all deleted data is erased from a file; changes nothing.

    Parameters and errors are those of `erase_deleted`.
    """
    with closing(sessions_of(path, timeout, read_only=True)) as sessions, sessions.reading() as sql:
        return not is_pending(sql)


def missing(path: Path, collection_id: str) -> CollectionNotFoundError:
    """Return the error for a collection that does not exist."""
    if not path.exists():
        return CollectionNotFoundError(f"{path}: no such file")
    return CollectionNotFoundError(f"collection_id: no collection {collection_id!r} in {path}")


_FIXED: Final = "id, collection_id, thumbnails, calibration, model_name, model_version, model_digest, dimension"
_INFO: Final = f"SELECT users, faces, created, {_FIXED} FROM collections"  # noqa: S608  # constant names
_COLLECTION_ID: Final = Kind.matching(COLLECTION_ID_PATTERN, 255)
_DIMENSION: Final = Kind("a vector's length", frozenset({int}), lambda value: 0 < value <= _LARGEST_DIMENSION)
_TIME: Final = Kind("a time", frozenset({float}), lambda value: 0 <= value <= _LAST_TIME)
_LAST_TIME: Final = 253402300799  # of the year 9999
_KEY: Final = Kind("up to 64 bytes", frozenset({bytes}), lambda value: 0 < len(value) <= _LONGEST_KEY)
_LONGEST_KEY: Final = 64  # of BLAKE2b
_FIXED_KINDS: Final = (ID, _COLLECTION_ID, COUNT, TEXT.or_null, TEXT, TEXT, TEXT, _DIMENSION)
_INFO_KINDS: Final = (COUNT, COUNT, _TIME, *_FIXED_KINDS)


def _info(sql: sqlite3.Connection, row: tuple[Any, ...]) -> CollectionInfo:
    users, faces, created, *fixed = row
    entry = _entry(sql, b"", fixed)
    return CollectionInfo(
        collection_id=entry.collection_id,
        users=users,
        faces=faces,
        face_model=entry.face_model,
        created=datetime.fromtimestamp(created, UTC),
        thumbnails=entry.thumbnails,
        calibration=describe_kept(entry.calibration),
    )


def _find(sql: sqlite3.Connection, collection_id: str) -> Entry | None:
    query = f"SELECT salt, {_FIXED} FROM collections, file WHERE collection_id = ?"  # noqa: S608  # constant names
    for salt, *fixed in fetch(sql, (_KEY, *_FIXED_KINDS), query, (collection_id,)):
        return _entry(sql, salt, fixed)
    return None


def _entry(sql: sqlite3.Connection, salt: bytes, fixed: list[Any]) -> Entry:
    number, collection_id, thumbnails, calibration, *model = fixed
    try:
        name, version, digest, dimension = model
        face_model = FaceModel(name=name, version=version, digest=digest, dimension=dimension)
    except InvalidParameterError as error:
        raise StorageFormatError(
            f"{path_of(sql)}: {collection_id}: damaged face model ({without_value(error)})"
        ) from None
    return Entry(
        number=number,
        collection_id=collection_id,
        face_model=face_model,
        thumbnails=bool(thumbnails),
        calibration=calibration,
        salt=salt,
    )
