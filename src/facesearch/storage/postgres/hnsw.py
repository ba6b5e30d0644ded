"""HNSW indexes of pgvector: an approximate search on the server, for those who ask for it.

Each collection has an index of its own for users and one for faces, partial ones: their conditions hold the number of the collection. They are
built without blocking writers, and kept up to date by the server.
"""

import contextlib
import logging
import re
import time
from typing import Final

import psycopg

from facesearch.errors import StorageBusyError, StorageError, StorageReadOnlyError
from facesearch.storage.postgres.connections import Sessions
from facesearch.storage.postgres.vectors import Connection

__all__ = ["drop_indexes", "ensure_index", "indexed_vector"]

_PAUSE: Final = 0.2  # seconds between attempts to get the lock of a build
_SINCE: Final = (0, 8)  # the version of pgvector that has iterative scans
_LINKS: Final = 24
"""Links of a vector. With pgvector's default, 16, one user in 250 to 1,000 was found by no search, not even by their own vector."""

_TABLES: Final = ("users", "faces")
# Whether an index is complete, and without statistics, to which ANALYZE would copy vectors.
_READY: Final = """SELECT indisvalid AND coalesce(attstattarget, -1) = 0 FROM pg_index
    JOIN pg_attribute ON attrelid = indexrelid AND attnum = 1 WHERE indexrelid = to_regclass(%s)"""
_LOCK: Final = "hashtext('facesearch hnsw'), hashtext(%s)"

_log = logging.getLogger("facesearch")


def indexed_vector(dimension: int) -> str:
    """Return the expression that is indexed: the columns have no dimension, and the index needs one."""
    return f"(vector::vector({dimension:d}))"


def ensure_index(sessions: Sessions, table: str, collection: int, dimension: int) -> None:
    """Build the index of a collection in the *table* ``"users"`` or ``"faces"`` unless it is there; a million users take minutes.

    Raises
    ------
    StorageReadOnlyError
        If the index is missing, and can't be built on this server or by this role.
    StorageBusyError
        If another process builds it for longer than the timeout.
    StorageError
        And its other subclasses, such as for a pgvector before 0.8.
    """
    name = _name(sessions, table, collection)
    if sessions.ask(_READY, name) == [(True,)]:
        return
    ((version,),) = sessions.ask("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _SINCE:
        raise StorageError(f"{sessions.name}: exact=False needs pgvector 0.8 or later, the server has {version}")
    missing = StorageReadOnlyError(
        f"{sessions.name}: there is no approximate index of these {table}, and it can't be built here; "
        "open the collection once with exact=False on the primary, as the owner of the tables"
    )
    if sessions.read_only:
        raise missing
    with sessions.bare() as sql:
        _lock(sql, sessions, name)
        try:
            _build(sql, sessions, table, collection, dimension)
        except psycopg.errors.InsufficientPrivilege:
            raise missing from None
        finally:
            with contextlib.suppress(psycopg.Error):
                sql.execute(f"SELECT pg_advisory_unlock({_LOCK})", (name,))
                sql.execute("RESET statement_timeout; RESET lock_timeout")


def drop_indexes(sessions: Sessions, collection: int) -> None:
    """Drop the indexes of a deleted collection; where this role may not, or others use the tables for too long, empty ones stay."""
    for table in _TABLES:
        name = _name(sessions, table, collection)
        if sessions.ask(_READY, name):
            try:
                with sessions.writing() as sql:
                    sql.execute(f"DROP INDEX {name}")
            except StorageError as error:
                _log.info("%s: the empty index %s stays: %s", sessions.name, name, error)


def _name(sessions: Sessions, table: str, collection: int) -> str:
    return f'"{sessions.address.schema}".{table}_hnsw_{collection:d}'


def _lock(sql: Connection, sessions: Sessions, name: str) -> None:
    """Get the lock of a build; one that waited within a statement would be waited for by the build itself."""
    deadline = time.monotonic() + sessions.timeout
    while not sql.execute(f"SELECT pg_try_advisory_lock({_LOCK})", (name,)).fetchall()[0][0]:
        if time.monotonic() > deadline:
            raise StorageBusyError(
                f"{sessions.name}: another process builds the approximate index; try again later, or search with exact=True"
            )
        time.sleep(_PAUSE)


def _build(sql: Connection, sessions: Sessions, table: str, collection: int, dimension: int) -> None:
    name = _name(sessions, table, collection)
    found = sql.execute(_READY, (name,)).fetchall()
    if found == [(True,)]:  # another process was faster
        return
    sql.execute(f"SET statement_timeout = 0; SET lock_timeout = {max(1, round(sessions.timeout * 1000)):d}")
    if found:  # an interrupted build left it
        sql.execute(f"DROP INDEX {name}")
    start = time.monotonic()
    _log.info("%s: building the approximate index %s", sessions.name, name)
    sql.execute(
        f"CREATE INDEX CONCURRENTLY {table}_hnsw_{collection:d} ON {table} "
        f"USING hnsw ({indexed_vector(dimension)} vector_l2_ops) WITH (m = {_LINKS}) WHERE collection = {collection:d}"
    )
    sql.execute(f"ALTER INDEX {name} ALTER COLUMN 1 SET STATISTICS 0")
    _log.info("%s: built %s in %.0f s", sessions.name, name, time.monotonic() - start)
