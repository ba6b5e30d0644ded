"""The catalog of collections on a PostgreSQL server: list, find, add, tag and delete collections, and erase what was deleted."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any, Final

import attrs
from typing_extensions import override

from facesearch.domain.entities import FaceModel
from facesearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidParameterError,
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
from facesearch.storage.postgres.connections import Connection, Sessions
from facesearch.storage.postgres.erasure import erase, is_pending
from facesearch.storage.postgres.hnsw import drop_indexes
from facesearch.storage.postgres.schema import check_format, create
from facesearch.storage.postgres.store import PostgresStore
from facesearch.storage.postgres.vectors import MOST_DIMENSIONS
from facesearch.storage.server_address import Address

__all__ = ["PostgresDatabase"]

_INFO: Final = (
    f"SELECT users, faces, created, {FIXED_COLUMNS} FROM collections WHERE %s::text IS NULL OR collection_id = %s"  # noqa: S608  # constant names
)
_ENTRY: Final = f"SELECT salt, {FIXED_COLUMNS} FROM collections, about WHERE collection_id = %s"  # noqa: S608  # constant names


class PostgresDatabase(Database):
    """Collections on a PostgreSQL server.

    Parameters
    ----------
    address
        The address.
    timeout
        Seconds to wait for other writers.
    read_only
        See `facesearch.storage.postgres.connections.Sessions`.
    exact
        See `facesearch.storage.postgres.store.PostgresStore`.
    """

    def __init__(self, address: Address, timeout: float, *, read_only: bool | None = False, exact: bool = True) -> None:
        self.name, self._exact = address.name, exact
        self._sessions = Sessions(address, timeout, read_only=read_only)

    @property
    @override
    def read_only(self) -> bool:
        return self._sessions.read_only

    @override
    def description(self) -> str:
        query = "SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'"
        ((server, extension),) = self._sessions.ask(query)
        return f"PostgreSQL {server} with pgvector {extension}"

    @override
    def close(self) -> None:
        self._sessions.close()

    @override
    def store(self, entry: Entry, offset: Callable[[int], float], *, answered_before: float) -> PostgresStore:
        store = PostgresStore(self._sessions, entry, offset, exact=self._exact)
        store.tidy(answered_before)
        return store

    @override
    def find(self, collection_id: str) -> Entry | None:
        if not check_format(self._sessions):
            return None
        rows = self._sessions.ask(_ENTRY, collection_id)
        return self._entry(*rows[0]) if rows else None

    @override
    def missing(self, collection_id: str) -> CollectionNotFoundError:
        return CollectionNotFoundError(f"collection_id: no collection {collection_id!r} in {self.name}")

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
        tags = check_tags("tags", tags or {})
        if face_model.dimension > MOST_DIMENSIONS:
            raise InvalidParameterError(
                f"face_model: expected vectors of at most {MOST_DIMENSIONS} numbers, as more don't fit in a page of PostgreSQL, "
                f"got {face_model.dimension}; use a file"
            )
        if not check_format(self._sessions):
            create(self._sessions, new_secret()[:16])
        with self._sessions.writing() as sql:
            added = sql.execute(
                """INSERT INTO collections
                (collection_id, model_name, model_version, model_digest, dimension, calibration, thumbnails, secret)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (collection_id) DO NOTHING""",
                (collection_id, *attrs.astuple(face_model), calibration, thumbnails, new_secret()),
            ).rowcount
            if must_be_new and not added:
                raise CollectionExistsError(f"collection_id: {self.name} has a collection {collection_id!r} already")
            rows = sql.execute(_ENTRY, (collection_id,), binary=True).fetchall()
            if not rows:  # deleted by another process between the two statements
                raise self.missing(collection_id)
            entry = self._entry(*rows[0])
            if added:
                _put_tags(sql, entry.number, tags)
        return entry

    @override
    def infos(self, collection_id: str | None = None) -> list[CollectionInfo]:
        self._check_there()
        infos = [self._info(*row) for row in self._sessions.ask(_INFO, collection_id, collection_id)]
        if collection_id is not None and not infos:
            raise self.missing(collection_id)
        return infos

    @override
    def tags(self, collection_id: str) -> dict[str, str]:
        self._check_there()
        with self._sessions.reading() as sql:
            return _tags(sql, self._number(sql, collection_id))

    @override
    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        self._check_there()
        with self._sessions.writing() as sql:
            _put_tags(sql, self._number(sql, collection_id, lock=True), add, remove)

    @override
    def delete(self, collection_id: str) -> None:
        self._check_there()
        with self._sessions.writing() as sql:
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

    def _number(self, sql: Connection, collection_id: str, *, lock: bool = False) -> int:
        query = "SELECT id FROM collections WHERE collection_id = %s"
        for (number,) in sql.execute(f"{query} FOR UPDATE" if lock else query, (collection_id,)):
            return int(number)
        raise self.missing(collection_id)

    def _info(self, users: int, faces: int, created: Any, *fixed: Any) -> CollectionInfo:
        return info_of(self._entry(b"", *fixed), users=users, faces=faces, created=created.astimezone(UTC))

    def _entry(self, salt: bytes, *fixed: Any) -> Entry:
        return entry_of(self.name, salt, fixed)


def _put_tags(sql: Connection, number: int, tags: Mapping[str, str], remove: Iterable[str] = ()) -> None:
    for key, value in tags.items():
        sql.execute(
            """INSERT INTO tags (collection, key, value) VALUES (%s, %s, %s)
            ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value""",
            (number, key.encode(), value.encode()),
        )
    gone = [key.encode() for key in remove]
    sql.execute("DELETE FROM tags WHERE collection = %s AND key = ANY(%s::bytea[])", (number, gone))
    check_number_of_tags(len(_tags(sql, number)))


def _tags(sql: Connection, number: int) -> dict[str, str]:
    rows = sql.execute("SELECT key, value FROM tags WHERE collection = %s ORDER BY key", (number,), binary=True)
    return {bytes(key).decode(): bytes(value).decode() for key, value in rows}
