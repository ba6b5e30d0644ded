"""Collections on a PostgreSQL server: create the tables, find, add and delete collections, and erase what was deleted."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from facesearch.domain.entities import FaceModel
from facesearch.errors import CollectionNotFoundError, InvalidParameterError
from facesearch.storage.content_ids import new_secret
from facesearch.storage.database import Database, Entry, Erasure
from facesearch.storage.postgres.connections import Sessions
from facesearch.storage.postgres.erasure import erase, is_pending
from facesearch.storage.postgres.hnsw import drop_indexes
from facesearch.storage.postgres.schema import check_format, create
from facesearch.storage.postgres.store import PostgresStore
from facesearch.storage.postgres.vectors import MOST_DIMENSIONS, Connection
from facesearch.storage.server_address import Address
from facesearch.storage.sql import Sql

__all__ = ["PostgresDatabase"]


class PostgresDatabase(Database):
    """Collections on a PostgreSQL server.

    *timeout* and *read_only* are those of `facesearch.storage.postgres.connections.Sessions`, *exact* that of
    `facesearch.storage.postgres.store.PostgresStore`.
    """

    _FILE = "about"
    _LOCK = " FOR UPDATE"
    _sessions: Sessions

    def __init__(self, address: Address, timeout: float, *, read_only: bool | None = False, exact: bool = True) -> None:
        super().__init__(Sessions(address, timeout, read_only=read_only))
        self._exact = exact

    @override
    def description(self) -> str:
        query = "SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'"
        ((server, extension),) = self._sessions.ask(query)
        return f"PostgreSQL {server} with pgvector {extension}"

    @override
    def store(self, entry: Entry, offset: Callable[[int], float], *, answered_before: float) -> PostgresStore:
        store = PostgresStore(self._sessions, entry, offset, exact=self._exact)
        store.tidy(answered_before)
        return store

    @override
    def find(self, collection_id: str) -> Entry | None:
        if not check_format(self._sessions):
            return None
        with self._sessions.reading() as sql:
            return self._find(sql, collection_id)

    @override
    def delete(self, collection_id: str) -> None:
        with self._changing() as sql:
            number = self._number(sql, collection_id, lock=True)
            # References between these tables are checked at the end of each statement, so users are deleted after faces.
            for table in ("photos", "faces"):
                sql.execute(f"DELETE FROM {table} WHERE collection = %s", (number,))  # noqa: S608  # constant names
            ((deletions,),) = sql.execute("SELECT deletions FROM collections WHERE id = %s", (number,)).fetchall()
            sql.execute("DELETE FROM collections WHERE id = %s", (number,))
            sql.execute("UPDATE about SET deletions = deletions + %s", (deletions + 1,))
        drop_indexes(self._sessions, number)

    @override
    def erase(self, wait: float) -> Erasure:
        self._check_there()
        return erase(self._sessions, wait)

    @override
    def is_erased(self) -> bool:
        self._check_there()
        return not is_pending(self._sessions)

    def _check_there(self) -> None:
        if not check_format(self._sessions):
            raise CollectionNotFoundError(
                f"{self.name}: no collections, the database has no schema {self._sessions.address.schema} of facesearch"
            )

    @override
    def _create(self, face_model: FaceModel) -> None:
        if face_model.dimension > MOST_DIMENSIONS:
            raise InvalidParameterError(
                f"face_model: expected vectors of at most {MOST_DIMENSIONS} numbers, as more don't fit in a page of PostgreSQL, "
                f"got {face_model.dimension}; use a file"
            )
        if not check_format(self._sessions):
            create(self._sessions, new_secret()[:16])

    @override
    def _insert(self, sql: Sql, fixed: Sequence[Any]) -> bool:
        query = """INSERT INTO collections
            (collection_id, model_name, model_version, model_digest, dimension, calibration, thumbnails, secret)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (collection_id) DO NOTHING"""
        return sql.change(query, *fixed) > 0

    @override
    def _reading(self) -> AbstractContextManager[Connection]:
        self._check_there()
        return self._sessions.reading()

    @override
    def _changing(self) -> AbstractContextManager[Connection]:
        self._check_there()
        return self._sessions.writing()

    @override
    def _time(self, created: datetime) -> datetime:
        return created.astimezone(UTC)

    @override
    def _encoded(self, text: str) -> bytes:
        return text.encode()  # a text of PostgreSQL has no NUL

    @override
    def _decoded(self, stored: bytes) -> str:
        return stored.decode()
