"""Collections in an SQLite file: create the file, find, add and delete collections, and erase what was deleted."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from facesearch.domain.entities import FaceModel
from facesearch.errors import CollectionNotFoundError
from facesearch.storage.database import Database, Entry, Erasure
from facesearch.storage.sql import Sql
from facesearch.storage.sqlite.connections import Sessions
from facesearch.storage.sqlite.erasure import (
    ERASING_WAIT,
    compact,
    empty,
    erase,
    is_few,
    is_pending,
    mark_deletion,
)
from facesearch.storage.sqlite.guarded_sql import GuardedConnection
from facesearch.storage.sqlite.opening import create, translated
from facesearch.storage.sqlite.store import SqliteStore

__all__ = ["FileDatabase"]

# Each with a column ``collection``; those that others refer to come last.
_TABLES: Final = (
    "photos", "answers", "tags", "set_aside", "changes", "faces", "gone_faces", "waiting", "users", "gone",
)  # fmt: skip


class FileDatabase(Database):
    """Collections in an SQLite file; the parameters are those of `facesearch.storage.sqlite.connections.Sessions`."""

    _FILE = "file"
    _sessions: Sessions

    def __init__(self, path: Path, timeout: float, *, read_only: bool | None = False) -> None:
        super().__init__(Sessions(path, timeout, read_only=read_only))

    @override
    def description(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    @override
    def store(self, entry: Entry, offset: Callable[[int], float], *, answered_before: float) -> SqliteStore:
        store = SqliteStore(self._sessions, entry, offset)
        store.tidy(answered_before)
        return store

    @override
    def find(self, collection_id: str) -> Entry | None:
        try:
            with self._sessions.reading() as sql:
                return self._find(sql, collection_id)
        except CollectionNotFoundError:  # there is no such file
            return None

    @override
    def missing(self, collection_id: str) -> CollectionNotFoundError:
        if not self._sessions.path.exists():
            return CollectionNotFoundError(f"{self.name}: no such file")
        return super().missing(collection_id)

    @override
    def delete(self, collection_id: str) -> None:
        with self._changing() as sql:
            number = self._number(sql, collection_id)
            few = is_few(sql, number)
            keys = {"waiting": "wid", "changes": "number", **({"faces": "fid", "users": "uid"} if few else {})}
            gone = {
                kind: sql.numbers(f"SELECT {key} FROM {kind} WHERE collection = ?", number)  # noqa: S608  # constant names
                for kind, key in keys.items()
            }
            for table in _TABLES:
                sql.change(f"DELETE FROM {table} WHERE collection = ?", number)  # noqa: S608  # constant names
            for kind, numbers in gone.items():
                empty(sql, kind, numbers)
            sql.change("DELETE FROM collections WHERE id = ?", number)
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
    def _create(self, face_model: FaceModel) -> None:
        path = self._sessions.path
        with translated(path):
            new = not path.exists()
        if new:
            create(path)

    @override
    def _insert(self, sql: Sql, fixed: Sequence[Any]) -> bool:
        query = """INSERT OR IGNORE INTO collections
            (created, collection_id, model_name, model_version, model_digest, dimension, calibration, thumbnails, secret)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
        return sql.change(query, time.time(), *fixed) > 0

    @override
    @contextmanager
    def _reading(self) -> Iterator[GuardedConnection]:
        """Read the file, and erase deleted data if another process could not."""
        with self._sessions.reading() as sql:
            pending = is_pending(sql)
            yield sql
        if pending:
            erase(self._sessions, 0)

    @override
    @contextmanager
    def _changing(self) -> Iterator[GuardedConnection]:
        """Change the file in one transaction, and erase deleted data."""
        with self._sessions.writing() as sql:
            pending = is_pending(sql)
            yield sql
            deleted = is_pending(sql) and not pending
        if pending or deleted:
            erase(self._sessions, ERASING_WAIT if deleted else 0)

    @override
    def _time(self, created: float) -> datetime:
        return datetime.fromtimestamp(created, UTC)
