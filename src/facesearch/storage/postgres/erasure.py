"""Erase deleted people from a PostgreSQL server: no personal data is left in its tables or its write-ahead log.

A deleted row stays in its table's file until the table is rewritten, and in the log until its segments are removed. Both take rights and
locks that a deletion should not wait for, so deletions are only counted, and `erase` does it when asked: ``VACUUM (FULL)`` rewrites the
tables, ``pg_switch_wal`` ends the segment of the log, and ``CHECKPOINT`` removes the files of the old tables and the old segments.
"""

import contextlib
import logging
import re
import time
from collections.abc import Iterator
from typing import Final

import psycopg

from facesearch.errors import StorageError
from facesearch.storage.database import Erasure
from facesearch.storage.postgres.connections import Sessions
from facesearch.storage.postgres.vectors import Connection

__all__ = ["erase", "is_pending"]

_TABLES: Final = ("users", "faces", "thumbnails", "waiting", "changes", "photos", "answers")
_PAUSE: Final = 0.2  # seconds between attempts to rewrite a table that others read
_COUNTS: Final = "SELECT deletions + (SELECT coalesce(sum(deletions), 0) FROM collections)::bigint, erased FROM about"
# Segments of the log before the present one.
_OLD_SEGMENTS: Final = """SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'
    AND name < pg_walfile_name(pg_current_wal_lsn())"""

_LAGGING: Final = "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn IS NULL OR flush_lsn < %s::pg_lsn"

_log = logging.getLogger("facesearch")


def is_pending(sessions: Sessions) -> bool:
    """Check whether deleted data may still be on the server's disk."""
    ((deletions, erased),) = sessions.ask(_COUNTS)
    return bool(deletions > erased)


def erase(sessions: Sessions, wait: float) -> Erasure:
    """Erase deleted data from the server's files, waiting up to *wait* seconds for others; not to be called within a block."""
    ((deletions, erased),) = sessions.ask(_COUNTS)
    if deletions <= erased:
        return Erasure()
    if sessions.read_only:
        return Erasure(left=("it is open read-only, or the server accepts no changes: erase it on the primary",))
    deadline = time.monotonic() + wait
    left: list[str] = []
    try:
        with sessions.writing() as sql:
            # Indexes in memory that are older are filled anew.
            sql.execute("UPDATE collections SET forgotten = change")
            sql.execute("DELETE FROM gone_users")
            sql.execute("DELETE FROM gone_faces")
        with sessions.bare() as sql:
            left += _rewrite(sql, deadline)
            left += _trim_log(sql, deadline)
            beyond = _beyond(sql)
            if not left:
                # Later deletions stay pending.
                sql.execute("UPDATE about SET erased = greatest(erased, %s)", (deletions,))
    except StorageError as error:
        left, beyond = [*left, str(error)], []
    for each in left:
        _log.info("%s: deleted data is not erased yet: %s", sessions.name, each)
    return Erasure(left=tuple(left), beyond=tuple(beyond))


def _rewrite(sql: Connection, deadline: float) -> Iterator[str]:
    """Rewrite the tables without deleted rows; yield why one could not be."""
    found: list[int] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        # "5 dead row versions cannot be removed yet.", in the server's language
        number = re.search(r"\d+", diagnostic.message_detail or "")
        found.append(int(number[0]) if number else 0)

    sql.add_notice_handler(note)
    try:
        sql.execute("SET statement_timeout = 0")
        for table in _TABLES:
            while True:
                found.clear()
                sql.execute(f"SET lock_timeout = {max(1, round((deadline - time.monotonic()) * 1000))}")
                try:
                    sql.execute(f"VACUUM (FULL, VERBOSE) {table}")
                except psycopg.errors.LockNotAvailable:
                    yield f"others use the table {table} for longer than the timeout: try again later"
                    break
                except psycopg.errors.InsufficientPrivilege:
                    yield f"this role may not rewrite the table {table}: run it as the owner, or GRANT MAINTAIN on it"
                    break
                if not found:  # a warning took the place of the report
                    yield f"the server did not rewrite the table {table}: run it as the owner, or GRANT MAINTAIN on it"
                    break
                if not any(found):
                    break
                if time.monotonic() + _PAUSE > deadline:
                    yield f"an old transaction still sees deleted rows of the table {table}: end it, then try again"
                    break
                time.sleep(_PAUSE)
    finally:
        sql.remove_notice_handler(note)
        with contextlib.suppress(psycopg.Error):
            sql.execute("RESET statement_timeout; RESET lock_timeout")


def _trim_log(sql: Connection, deadline: float) -> Iterator[str]:
    """Remove the segments of the write-ahead log; yield why one could not be."""
    refusal = "this role may not run {}: GRANT {} to it, or let a superuser run it"
    try:
        sql.execute("SELECT pg_switch_wal()")
    except psycopg.errors.InsufficientPrivilege:
        yield refusal.format("pg_switch_wal()", "EXECUTE ON FUNCTION pg_switch_wal()")
        return
    ((end,),) = sql.execute(
        "SELECT pg_current_wal_lsn()::text"
    ).fetchall()  # of the next segment: the old one is sent to its very end
    # A replica without a slot would be cut off if segments were removed that it has not received.
    while lagging := sql.execute(_LAGGING, (end,)).fetchall()[0][0]:
        if time.monotonic() + _PAUSE > deadline:
            yield f"{lagging} replicas or base backups have not received the log yet: let them catch up, then try again"
            return
        time.sleep(_PAUSE)
    try:
        sql.execute("CHECKPOINT")
    except psycopg.errors.InsufficientPrivilege:
        yield refusal.format("CHECKPOINT", "pg_checkpoint")
        return
    ((recycled,),) = sql.execute("SELECT current_setting('wal_recycle')").fetchall()
    if recycled == "on":
        yield (
            "the server keeps old segments of its log to reuse them: set wal_recycle = off there (ALTER SYSTEM, "
            "then SELECT pg_reload_conf()), and try again"
        )
        return
    try:
        ((old,),) = sql.execute(_OLD_SEGMENTS).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        yield "this role may not see the log's files: GRANT pg_monitor to it, so that their removal can be checked"
        return
    if old:
        yield (
            f"{old} old segments of the log are kept, by wal_keep_size, a replication slot or archiving: "
            "let the replica or the archive catch up, then try again"
        )


def _beyond(sql: Connection) -> list[str]:
    """Return the places that hold copies and are out of reach."""
    beyond = ["backups and exports made before: delete them when their time is over"]
    ((replicas, archiving),) = sql.execute(
        "SELECT (SELECT count(*) FROM pg_stat_replication), current_setting('archive_mode') <> 'off'"
    ).fetchall()
    if replicas:
        beyond.append(
            f"{replicas} replicas: they repeat the rewriting, and need wal_recycle = off and a restart point too"
        )
    if archiving:
        beyond.append("the archive of the write-ahead log: delete segments older than the last base backup")
    return beyond
