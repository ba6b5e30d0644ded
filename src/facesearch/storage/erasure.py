"""How people are deleted from a file, so that nothing of them is left in it.

Personal rows are emptied where they lie, which with ``secure_delete`` overwrites them with zeros; the log beside the file, which still
has them, is worked into the file and cut to nothing. Emptied rows are a few bytes each. When there are more of them than
of others, the tables are written anew, and the old ones' pages overwritten.

The log can't be cut while another process reads, or when the process is killed before. That it is still to be cut is therefore
a mark in the file, set by the transaction that deletes: a count of such transactions, and of how many of them nothing is left. Every
process that opens or changes the file, or that has been in the way, tries again.
"""

import itertools
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable
from typing import Final

from facesearch.errors import StorageError
from facesearch.storage.connections import Sessions
from facesearch.storage.guarded_sql import COUNT, TEXT, fetch_one

__all__ = [
    "ERASING_WAIT",
    "Eraser",
    "compact",
    "empty_faces",
    "empty_users",
    "empty_waiting",
    "erase",
    "is_few",
    "is_pending",
    "mark_deletion",
]

ERASING_WAIT: Final = 0.5
"""Seconds that a deletion waits for others that read, before it leaves the rest for later."""

_RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # the last again and again
_FEWEST_EMPTIED: Final = 10_000  # rows: some 6 MB that could be freed

_OWNERS: Final = {
    "user_data": ("users", "uid"),
    "face_data": ("faces", "fid"),
    "thumbnails": ("faces", "fid"),
    "waiting_data": ("waiting", "wid"),
}

_log = logging.getLogger("facesearch")


def empty_users(sql: sqlite3.Connection, uids: Iterable[int]) -> None:
    """Overwrite what is personal of users; in a transaction."""
    _empty(sql, "UPDATE user_data SET vector = NULL, user_id = NULL WHERE uid = ?", uids)


def empty_faces(sql: sqlite3.Connection, fids: Iterable[int]) -> None:
    """Overwrite what is personal of faces; in a transaction."""
    fids = list(fids)
    _empty(
        sql,
        """UPDATE face_data SET vector = NULL, image_id = NULL, external_image_id = NULL, confidence = NULL, source = NULL,
        box_left = NULL, box_top = NULL, box_width = NULL, box_height = NULL WHERE fid = ?""",
        fids,
    )
    sql.executemany("UPDATE thumbnails SET jpeg = NULL WHERE fid = ?", ((fid,) for fid in fids))


def empty_waiting(sql: sqlite3.Connection, wids: Iterable[int]) -> None:
    """Overwrite what is personal of photos that waited, and were deleted from ``waiting`` already; in a transaction."""
    if sql.execute("SELECT 1 FROM waiting LIMIT 1").fetchone():
        _empty(
            sql,
            """UPDATE waiting_data SET vector = NULL, face_id = NULL, image_id = NULL, external_image_id = NULL,
            confidence = NULL, source = NULL, box_left = NULL, box_top = NULL, box_width = NULL, box_height = NULL,
            jpeg = NULL WHERE wid = ?""",
            wids,
        )
    else:
        # None waits any more: whole pages are overwritten and can be used again, and no row is moved.
        sql.execute("DELETE FROM waiting_data")


def _empty(sql: sqlite3.Connection, statement: str, keys: Iterable[int]) -> None:
    emptied = sql.executemany(statement, ((key,) for key in keys)).rowcount
    sql.execute("UPDATE file SET emptied = emptied + ?", (max(0, emptied),))


def _outweighs(emptied: int, kept: int) -> bool:
    """Tell whether so many rows to free are worth writing the others anew."""
    return emptied > max(_FEWEST_EMPTIED, kept)


def is_few(sql: sqlite3.Connection, collection: int) -> bool:
    """Tell whether a collection's rows are better emptied than left out when the tables are written anew."""
    query = "SELECT coalesce(sum((users + faces) * (id = ?)), 0), coalesce(sum((users + faces) * (id <> ?)), 0) FROM collections"
    its, others = fetch_one(sql, (COUNT, COUNT), query, (collection, collection))
    return not _outweighs(its, others)


def mark_deletion(sql: sqlite3.Connection) -> None:
    """Mark that something of people is to be erased; in the transaction that deletes it."""
    sql.execute("UPDATE file SET deletions = deletions + 1")


def is_pending(sql: sqlite3.Connection) -> bool:
    """Tell whether something that was deleted may still be in the file or its log."""
    deletions, erased = fetch_one(sql, (COUNT, COUNT), "SELECT deletions, erased FROM file")
    return bool(deletions > erased)


def erase(sessions: Sessions, wait: float) -> bool:
    """Leave nothing of what was deleted in the file and the log beside it; not within a block.

    Parameters
    ----------
    sessions
        Connections to the file.
    wait
        Seconds to wait for others that read or write.

    Returns
    -------
    bool
        Whether nothing is left. False where others that read or write, a full disk, or a file that can't be written were in
        the way: the mark stays in the file. What was deleted is deleted all the same.
    """
    try:
        with sessions.reading() as sql:
            query = """SELECT deletions, erased, emptied, (SELECT coalesce(sum(users + faces), 0) FROM collections)
                FROM file"""
            deletions, erased, emptied, kept = fetch_one(sql, (COUNT,) * 4, query)
        if deletions <= erased:
            return True
        if sessions.read_only:
            return False
        if _outweighs(emptied, kept):
            with sessions.writing(wait=wait) as sql:
                compact(sql)
        if sessions.checkpoint(wait):
            # Of deletions since it was read, the mark stays. Not durable: a mark that comes back costs nothing but time.
            with sessions.writing(wait=wait, durable=False) as sql:
                sql.execute("UPDATE file SET erased = max(erased, ?)", (deletions,))
            return True
    except StorageError as error:
        _log.info("erasing what was deleted: %s", error)
        return False
    _log.info("%s: the log still has what was deleted, as others are at work; it is erased later", sessions.path)
    return False


class Eraser:
    """Erases what could not be erased at once, in a thread of its own, as soon as nobody is in the way.

    Parameters
    ----------
    sessions
        Connections to the file. The thread ends when they are closed or garbage collected.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def erase(self, wait: float) -> bool:
        """Erase now, and go on trying if that can't be done; returns whether nothing is left."""
        self._renew()
        done = erase(self._sessions, wait)
        if not done and not self._sessions.read_only and not self.is_at_work:
            arguments = weakref.ref(self._sessions), self._stopped
            self._thread = threading.Thread(target=_go_on, args=arguments, name="facesearch-eraser", daemon=True)
            self._thread.start()
        return done

    @property
    def is_at_work(self) -> bool:
        """Whether something is still to be erased, as far as this process knows."""
        self._renew()
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread."""
        self._renew()
        self._stopped.set()

    def _renew(self) -> None:
        # After a fork the thread is not there, and what it held is held for ever.
        if self._pid != os.getpid():
            self._begin()


def _go_on(reference: "weakref.ref[Sessions]", stopped: threading.Event) -> None:
    for seconds in itertools.chain(_RETRY_SECONDS, itertools.repeat(_RETRY_SECONDS[-1])):
        if stopped.wait(seconds):
            return
        sessions = reference()
        if sessions is None or sessions.is_closed or erase(sessions, 0):
            return
        del sessions


def compact(sql: sqlite3.Connection) -> None:
    """Write the tables of personal rows anew without those that were emptied; in a transaction."""
    for table, (owner, key) in _OWNERS.items():
        (created,) = fetch_one(sql, (TEXT,), "SELECT sql FROM sqlite_master WHERE name = ?", (table,))
        sql.execute(f"CREATE TABLE new_table {created[created.index('(') :]}")
        # In the order of the keys, so that rows are appended: see facesearch.storage.schema.
        copy = f"INSERT INTO new_table SELECT {table}.* FROM {table} JOIN {owner} USING ({key}) ORDER BY {key}"  # noqa: S608  # names of ours
        sql.execute(copy)
        sql.execute(f"DROP TABLE {table}")
        sql.execute(f"ALTER TABLE new_table RENAME TO {table}")
    sql.execute("DELETE FROM gone")
    sql.execute("DELETE FROM gone_faces")
    sql.execute("UPDATE collections SET forgotten = change")
    sql.execute("UPDATE file SET emptied = 0")
