"""Erase deleted people from a file: no personal data is left in its pages or its write-ahead log.

Rows of personal data are emptied in place, which ``secure_delete`` turns into overwriting with zeros. The write-ahead log still has the
old content, so it is copied into the file and truncated. An emptied row takes a few bytes. When emptied rows outnumber the others, the
tables are rewritten and the pages of the old tables overwritten.

The log can't be truncated while another process reads it, and the process can be killed before. The file therefore counts transactions
that delete (``deletions``), and how many of them are fully erased (``erased``). Erasure is pending while the counts differ. Every process
that opens or changes the file, or that held a read transaction for long, tries again.
"""

import itertools
import logging
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Final

from facesearch.errors import StorageError
from facesearch.storage.face_rows import PERSONAL
from facesearch.storage.sql import COUNT, TEXT
from facesearch.storage.sqlite.connections import Sessions
from facesearch.storage.sqlite.guarded_sql import GuardedConnection

__all__ = [
    "ERASING_WAIT",
    "Eraser",
    "compact",
    "empty",
    "erase",
    "is_few",
    "is_pending",
    "mark_deletion",
]

ERASING_WAIT: Final = 0.5
"""Seconds that a deletion waits for readers before it leaves the erasure for later."""

_RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # the last one is repeated
_FEWEST_EMPTIED: Final = 10_000  # rows: some 6 MB that could be freed

# For each table of personal data, the table of its rows' owners, the key of both, and its columns.
_PERSONAL: Final = {
    "user_data": ("users", "uid", ("vector", "user_id")),
    "face_data": ("faces", "fid", ("vector", *PERSONAL)),
    "thumbnails": ("faces", "fid", ("jpeg",)),
    "waiting_data": ("waiting", "wid", ("vector", "face_id", *PERSONAL, "jpeg")),
    "change_data": ("changes", "number", ("change",)),
}

_log = logging.getLogger("facesearch")


def empty(sql: GuardedConnection, kind: str, numbers: Sequence[int]) -> None:
    """Overwrite the personal data of rows of the table *kind*, called in a transaction; waiting photos are deleted there before."""
    if kind == "waiting" and not sql.execute("SELECT 1 FROM waiting LIMIT 1").fetchone():
        # No photo is waiting: whole pages are overwritten and reused, and no row is moved.
        sql.execute("DELETE FROM waiting_data")
        return
    emptied = 0
    for table, (owner, key, columns) in _PERSONAL.items():
        if owner == kind:
            statement = f"UPDATE {table} SET {', '.join(f'{column} = NULL' for column in columns)} WHERE {key} = ?"  # noqa: S608  # constant names
            emptied = max(emptied, sql.executemany(statement, ((number,) for number in numbers)).rowcount)
    sql.execute("UPDATE file SET emptied = emptied + ?", (emptied,))


def _outweighs(emptied: int, kept: int) -> bool:
    """Check whether enough rows are emptied to rewrite the tables."""
    return emptied > max(_FEWEST_EMPTIED, kept)


def is_few(sql: GuardedConnection, collection: int) -> bool:
    """Check whether to empty a collection's rows in place rather than rewrite the tables without them."""
    query = "SELECT coalesce(sum((users + faces) * (id = ?)), 0), coalesce(sum((users + faces) * (id <> ?)), 0) FROM collections"
    its, others = sql.row((COUNT, COUNT), query, collection, collection)
    return not _outweighs(its, others)


def mark_deletion(sql: GuardedConnection) -> None:
    """Record that personal data is to be erased; called in the transaction that deletes it."""
    sql.execute("UPDATE file SET deletions = deletions + 1")


def is_pending(sql: GuardedConnection) -> bool:
    """Check whether deleted data may still be in the file or its log."""
    deletions, erased = sql.row((COUNT, COUNT), "SELECT deletions, erased FROM file")
    return bool(deletions > erased)


def erase(sessions: Sessions, wait: float) -> bool:
    """Erase deleted data from the file and its write-ahead log; not to be called within a block.

    Return whether all of it is erased. Otherwise other readers or writers for *wait* seconds, a full disk or a read-only file prevented
    it: erasure stays pending in the file. The deletion itself holds in any case.
    """
    try:
        with sessions.reading() as sql:
            query = """SELECT deletions, erased, emptied, (SELECT coalesce(sum(users + faces), 0) FROM collections)
                FROM file"""
            deletions, erased, emptied, kept = sql.row((COUNT,) * 4, query)
        if deletions <= erased:
            return True
        if sessions.read_only:
            return False
        if _outweighs(emptied, kept):
            with sessions.writing(wait=wait) as sql:
                compact(sql)
        if sessions.checkpoint(wait):
            # Later deletions stay pending. Not durable: if a power failure undoes this, erasing once more only costs time.
            with sessions.writing(wait=wait, durable=False) as sql:
                sql.execute("UPDATE file SET erased = max(erased, ?)", (deletions,))
            return True
    except StorageError as error:
        _log.info("deleted data is not erased yet: %s", error)
        return False
    _log.info(
        "%s: the write-ahead log still holds deleted data, as another process uses the file; erased later",
        sessions.path,
    )
    return False


class Eraser:
    """Retries an erasure in a background thread, until no other process prevents it or the sessions are closed or garbage collected."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def erase(self, wait: float) -> bool:
        """Erase now, and retry in the background if that fails; return whether all deleted data is erased."""
        self._renew()
        done = erase(self._sessions, wait)
        if not done and not self._sessions.read_only and not self.is_at_work:
            arguments = weakref.ref(self._sessions), self._stopped
            self._thread = threading.Thread(target=_retry, args=arguments, name="facesearch-eraser", daemon=True)
            self._thread.start()
        return done

    @property
    def is_at_work(self) -> bool:
        """Whether the background thread is still retrying."""
        self._renew()
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Stop the background thread."""
        self._renew()
        self._stopped.set()

    def _renew(self) -> None:
        # After a fork the thread is gone, and locks that it held stay locked.
        if self._pid != os.getpid():
            self._begin()


def _retry(reference: "weakref.ref[Sessions]", stopped: threading.Event) -> None:
    for seconds in itertools.chain(_RETRY_SECONDS, itertools.repeat(_RETRY_SECONDS[-1])):
        if stopped.wait(seconds):
            return
        sessions = reference()
        if sessions is None or sessions.is_closed or erase(sessions, 0):
            return
        del sessions


def compact(sql: GuardedConnection) -> None:
    """Rewrite the tables of personal rows without emptied rows; called in a transaction."""
    for table, (owner, key, _) in _PERSONAL.items():
        (created,) = sql.row((TEXT,), "SELECT sql FROM sqlite_master WHERE name = ?", table)
        sql.execute(f"CREATE TABLE new_table {created[created.index('(') :]}")
        # In the order of the keys, so that rows are appended: see facesearch.storage.sqlite.schema.
        copy = f"INSERT INTO new_table SELECT {table}.* FROM {table} JOIN {owner} USING ({key}) ORDER BY {key}"  # noqa: S608  # constant names
        sql.execute(copy)
        sql.execute(f"DROP TABLE {table}")
        sql.execute(f"ALTER TABLE new_table RENAME TO {table}")
    sql.execute("DELETE FROM gone")
    sql.execute("DELETE FROM gone_faces")
    sql.execute("UPDATE collections SET forgotten = change")
    sql.execute("UPDATE file SET emptied = 0")
