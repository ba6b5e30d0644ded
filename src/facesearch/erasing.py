"""How people are deleted from a file, so that nothing of them is left in it.

Personal rows are emptied where they lie, which with ``secure_delete`` overwrites them with zeros; the log beside the file, which still
has them, is worked into the file and cut to nothing. Emptied rows are a few bytes each. When there are more of them than
of others, the tables are written anew, and the old ones' pages overwritten.
"""

import logging
import sqlite3
from collections.abc import Iterable
from typing import Final

from facesearch.errors import StorageError
from facesearch.sessions import Sessions

__all__ = ["clean_up", "compact", "empty_faces", "empty_users", "empty_waiting", "is_few"]

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
    its, others = sql.execute(query, (collection, collection)).fetchone()
    return not _outweighs(its, others)


def clean_up(sessions: Sessions) -> bool:
    """Leave nothing of what was deleted in the log beside the file; after the transaction.

    Returns
    -------
    bool
        False where others that read or write, or a full disk, were in the way: it is to be done again. What was deleted is
        deleted all the same; its bytes are still in the log.
    """
    try:
        with sessions.reading() as sql:
            emptied, kept = sql.execute(
                "SELECT emptied, (SELECT coalesce(sum(users + faces), 0) FROM collections) FROM file"
            ).fetchone()
        if _outweighs(emptied, kept):
            with sessions.writing() as sql:
                compact(sql)
        done = sessions.checkpoint()
    except StorageError as error:
        _log.info("cleaning up after a deletion: %s", error)
        return False
    if not done:
        _log.info("%s: the log still has what was deleted, as others are at work; it is cleared later", sessions.path)
    return done


def compact(sql: sqlite3.Connection) -> None:
    """Write the tables of personal rows anew without those that were emptied; in a transaction."""
    for table, (owner, key) in _OWNERS.items():
        (created,) = sql.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        sql.execute(f"CREATE TABLE new_table {created[created.index('(') :]}")
        # In the order of the keys, so that rows are appended: see facesearch.database.
        copy = f"INSERT INTO new_table SELECT {table}.* FROM {table} JOIN {owner} USING ({key}) ORDER BY {key}"  # noqa: S608  # names of ours
        sql.execute(copy)
        sql.execute(f"DROP TABLE {table}")
        sql.execute(f"ALTER TABLE new_table RENAME TO {table}")
    sql.execute("DELETE FROM gone")
    sql.execute("DELETE FROM gone_faces")
    sql.execute("UPDATE collections SET forgotten = change")
    sql.execute("UPDATE file SET emptied = 0")
