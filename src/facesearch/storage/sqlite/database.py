"""The catalog of collections in an SQLite file: list, find, add, tag and delete collections, and erase what was deleted."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
from typing_extensions import override

from facesearch.domain.entities import COLLECTION_ID_PATTERN, FaceModel
from facesearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    StorageFormatError,
)
from facesearch.storage.content_ids import new_secret
from facesearch.storage.database import (
    FIXED_COLUMNS,
    CollectionInfo,
    Database,
    Entry,
    Erasure,
    check_number_of_tags,
    check_tags,
    entry_of,
    info_of,
)
from facesearch.storage.sqlite.connections import Sessions
from facesearch.storage.sqlite.erasure import (
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
from facesearch.storage.sqlite.guarded_sql import COUNT, ID, TEXT, Kind, fetch, path_of
from facesearch.storage.sqlite.opening import create, translated
from facesearch.storage.sqlite.store import SqliteStore

__all__ = ["FileDatabase"]

_LARGEST_DIMENSION: Final = 1 << 16


class FileDatabase(Database):
    """Collections in an SQLite file.

    Parameters
    ----------
    path
        Absolute.
    timeout
        Seconds to wait for other writers.
    read_only
        See `facesearch.storage.sqlite.connections.Sessions`.
    """

    def __init__(self, path: Path, timeout: float, *, read_only: bool | None = False) -> None:
        self.name = str(path)
        self._sessions = Sessions(path, timeout, read_only=read_only)

    @property
    @override
    def read_only(self) -> bool:
        return self._sessions.read_only

    @override
    def description(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    @override
    def close(self) -> None:
        self._sessions.close()

    @override
    def store(self, entry: Entry, offset: Callable[[int], float], *, answered_before: float) -> SqliteStore:
        store = SqliteStore(self._sessions, entry, offset)
        store.tidy(answered_before)
        return store

    @override
    def find(self, collection_id: str) -> Entry | None:
        try:
            with self._sessions.reading() as sql:
                return _find(sql, collection_id)
        except CollectionNotFoundError:  # there is no such file
            return None

    @override
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
        tags, path = check_tags("tags", tags or {}), self._sessions.path
        with translated(path):
            new = not path.exists()
        if new:
            create(path)
        with self._sessions.writing() as sql:
            added = sql.execute(
                """INSERT OR IGNORE INTO collections
                (collection_id, created, model_name, model_version, model_digest, dimension, calibration, thumbnails, secret)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (collection_id, time.time(), *attrs.astuple(face_model), calibration, thumbnails, new_secret()),
            ).rowcount
            if must_be_new and not added:
                raise CollectionExistsError(f"collection_id: {path} has a collection {collection_id!r} already")
            entry = _find(sql, collection_id)
            if entry is None:
                name = f"collection {collection_id!r}"
                raise StorageFormatError(f"{path}: damaged, {name} was written and is not there")
            if added:
                _put_tags(sql, entry.number, tags)
        return entry

    @override
    def infos(self, collection_id: str | None = None) -> list[CollectionInfo]:
        with self._reading() as sql:
            if collection_id is None:
                return [_info(sql, row) for row in fetch(sql, _INFO_KINDS, _INFO)]
            rows = fetch(sql, _INFO_KINDS, f"{_INFO} WHERE collection_id = ?", (collection_id,))
            if not rows:
                raise self.missing(collection_id)
            return [_info(sql, rows[0])]

    @override
    def tags(self, collection_id: str) -> dict[str, str]:
        with self._reading() as sql:
            return _tags(sql, self._number(sql, collection_id))

    @override
    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        with self._changing() as sql:
            number = self._number(sql, collection_id)
            _put_tags(sql, number, add, remove)

    @override
    def delete(self, collection_id: str) -> None:
        with self._changing() as sql:
            number = (self._number(sql, collection_id),)
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

    @override
    def erase(self, wait: float) -> Erasure:
        with self._sessions.reading():  # raises the errors that `erase` only logs
            pass
        if erase(self._sessions, wait):
            return Erasure()
        return Erasure(
            left=("others read or write the file, the disk is full, or it can't be written; try again later",)
        )

    @override
    def is_erased(self) -> bool:
        with self._sessions.reading() as sql:
            return not is_pending(sql)

    @override
    def missing(self, collection_id: str) -> CollectionNotFoundError:
        path = self._sessions.path
        if not path.exists():
            return CollectionNotFoundError(f"{path}: no such file")
        return CollectionNotFoundError(f"collection_id: no collection {collection_id!r} in {path}")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Read the file, and erase deleted data if another process could not."""
        with self._sessions.reading() as sql:
            pending = is_pending(sql)
            yield sql
        if pending:
            erase(self._sessions, 0)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Change the file in one transaction, and erase deleted data."""
        with self._sessions.writing() as sql:
            pending = is_pending(sql)
            yield sql
            deleted = is_pending(sql) and not pending
        if pending or deleted:
            erase(self._sessions, ERASING_WAIT if deleted else 0)

    def _number(self, sql: sqlite3.Connection, collection_id: str) -> int:
        entry = _find(sql, collection_id)
        if entry is None:
            raise self.missing(collection_id)
        return entry.number


# Each with a column ``collection``; those that others refer to come last.
_TABLES: Final = (
    "photos", "answers", "tags", "set_aside", "changes", "faces", "gone_faces", "waiting", "users", "gone",
)  # fmt: skip


def _put_tags(sql: sqlite3.Connection, number: int, tags: Mapping[str, str], remove: Iterable[str] = ()) -> None:
    sql.executemany("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", ((number, *tag) for tag in tags.items()))
    sql.executemany("DELETE FROM tags WHERE collection = ? AND key = ?", ((number, key) for key in remove))
    check_number_of_tags(len(_tags(sql, number)))


def _tags(sql: sqlite3.Connection, number: int) -> dict[str, str]:
    query = "SELECT key, value FROM tags WHERE collection = ? ORDER BY key"
    return dict(fetch(sql, (TEXT, TEXT), query, (number,)))


_INFO: Final = f"SELECT users, faces, created, {FIXED_COLUMNS} FROM collections"  # noqa: S608  # constant names
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
    entry = entry_of(str(path_of(sql)), b"", fixed)
    return info_of(entry, users=users, faces=faces, created=datetime.fromtimestamp(created, UTC))


def _find(sql: sqlite3.Connection, collection_id: str) -> Entry | None:
    query = f"SELECT salt, {FIXED_COLUMNS} FROM collections, file WHERE collection_id = ?"  # noqa: S608  # constant names
    for salt, *fixed in fetch(sql, (_KEY, *_FIXED_KINDS), query, (collection_id,)):
        return entry_of(str(path_of(sql)), salt, fixed)
    return None
