"""The file that collections lie in: an SQLite database, its tables, and what SQLite's errors mean.

What is personal lies in three tables of its own, ``user_data``, ``face_data`` and ``thumbnails``, whose rows are only ever
appended, overwritten with as many bytes, or emptied in place. SQLite never moves such rows, so no copy of one is ever left
between the rows of another page, where ``secure_delete`` would not find it (measured in benchmarks/durability.py). All that
other tables and indexes hold of a person is numbers and ids computed from content.
"""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from facesearch._output import write_new
from facesearch._unfinished import remove_unfinished
from facesearch.errors import (
    CollectionNotFoundError,
    FacesearchError,
    StorageBusyError,
    StorageError,
    StorageFormatError,
    StorageFullError,
    StorageReadOnlyError,
)

__all__ = ["APPLICATION_ID", "MIGRATIONS", "connect", "create", "transaction", "translated"]

APPLICATION_ID: Final = 0x66616365  # "face", at byte 68 of the file

# What software must know to write the file, and to read it: https://www.sqlite.org/fileformat.html, 1.3.3.
_FILE_VERSIONS: Final = slice(18, 20)
_WAL_VERSIONS: Final = b"\2\2"

_FORMAT_1 = (
    # One row. The salt makes the hashes of user ids other ones in every file; so many rows were emptied since `compact`.
    "CREATE TABLE file (salt BLOB NOT NULL, emptied INTEGER NOT NULL)",
    """CREATE TABLE collections (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id TEXT NOT NULL UNIQUE,
        created REAL NOT NULL, -- seconds since 1970, UTC
        model_name TEXT NOT NULL,
        model_version TEXT NOT NULL,
        model_digest TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        calibration TEXT, -- JSON, where it is none that comes with the library
        thumbnails INTEGER NOT NULL, -- 1: kept
        users INTEGER NOT NULL DEFAULT 0,
        faces INTEGER NOT NULL DEFAULT 0,
        change INTEGER NOT NULL DEFAULT 0, -- the number of the last change to a user
        forgotten INTEGER NOT NULL DEFAULT 0 -- of changes up to this number no removals are listed in gone
    )""",
    """CREATE TABLE users (
        uid INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        name_hash INTEGER NOT NULL,
        faces INTEGER NOT NULL,
        change INTEGER NOT NULL -- the number of the last change to it
    )""",
    "CREATE INDEX users_by_name ON users (collection, name_hash)",
    "CREATE INDEX users_by_change ON users (collection, change)",
    """CREATE TABLE gone ( -- users that were removed
        uid INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL REFERENCES collections,
        change INTEGER NOT NULL
    )""",
    "CREATE INDEX gone_by_change ON gone (collection, change)",
    """CREATE TABLE faces (
        fid INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        face_id BLOB NOT NULL, -- the 16 bytes of a UUID
        uid INTEGER REFERENCES users -- NULL: nobody's
    )""",
    "CREATE UNIQUE INDEX faces_by_id ON faces (collection, face_id)",
    "CREATE INDEX faces_by_user ON faces (uid, collection)",
    # Vectors are little-endian float32; that of a user without faces is all zeros.
    "CREATE TABLE user_data (uid INTEGER PRIMARY KEY, vector BLOB, user_id TEXT)",
    """CREATE TABLE face_data (
        fid INTEGER PRIMARY KEY,
        vector BLOB,
        image_id BLOB,
        external_image_id TEXT,
        confidence REAL,
        box_left REAL,
        box_top REAL,
        box_width REAL,
        box_height REAL
    )""",
    "CREATE TABLE thumbnails (fid INTEGER PRIMARY KEY, jpeg BLOB)",
    """CREATE TABLE photos ( -- of folders, that were not accepted
        collection INTEGER NOT NULL REFERENCES collections,
        key BLOB NOT NULL, -- hash of the photo, whose it was to be, and the rules it was judged by
        name_hash INTEGER, -- of whose it was to be, who need not be there; NULL: nobody's
        other_uid INTEGER REFERENCES users, -- whom the outcome is about
        outcome TEXT NOT NULL, -- JSON; it names nobody
        PRIMARY KEY (collection, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX photos_by_name ON photos (collection, name_hash)",
    "CREATE INDEX photos_by_other ON photos (other_uid)",
    "INSERT INTO file VALUES (randomblob(16), 0)",
)

_FORMAT_2 = (
    """CREATE TABLE answers ( -- to requests that happen once
        collection INTEGER NOT NULL REFERENCES collections,
        token BLOB NOT NULL, -- hash
        request BLOB NOT NULL, -- hash
        answer TEXT NOT NULL, -- it names nobody
        given REAL NOT NULL, -- seconds since 1970, UTC
        PRIMARY KEY (collection, token)
    ) WITHOUT ROWID""",
    "CREATE INDEX answers_by_age ON answers (collection, given)",
    """CREATE TABLE tags (
        collection INTEGER NOT NULL REFERENCES collections,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (collection, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX users_by_number ON users (collection)",  # SQLite adds the uid to it
)

_FORMAT_3 = (
    """CREATE TABLE gone_faces ( -- faces that were removed
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        fid INTEGER NOT NULL
    )""",
)

# Each entry brings a file from the format of its position to the next; an empty one is of format 0. None is ever changed: files
# of its format are out there.
MIGRATIONS: tuple[tuple[str, ...], ...] = (_FORMAT_1, _FORMAT_2, _FORMAT_3)

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # kept in the file: who reads and who writes don't wait for each other
    "PRAGMA synchronous = FULL",  # a commit returns when it is on disk
    "PRAGMA fullfsync = ON",  # macOS: on disk, not in its cache
    "PRAGMA secure_delete = ON",  # what is deleted is overwritten
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",  # no vectors in temporary files
)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise SQLite's errors, and the system's, as ours.

    Raises
    ------
    StorageError
        And those under it, naming *path*.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(path, error) from error
    except FacesearchError:
        raise
    except OSError as error:
        kind = _KIND_OF_ERRNO.get(error.errno or 0, StorageError)
        raise kind(f"{path}: {error.strerror or error}") from error


_KIND_OF_ERRNO = {
    errno.ENOSPC: StorageFullError,
    errno.EDQUOT: StorageFullError,
    errno.EACCES: StorageReadOnlyError,
    errno.EPERM: StorageReadOnlyError,
    errno.EROFS: StorageReadOnlyError,
}


def _ours(path: Path, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bytes tell details
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageBusyError(f"{path}: others wrote to it for longer than the timeout; nothing was changed")
        case sqlite3.SQLITE_FULL:
            return StorageFullError(f"{path}: no room on the disk; nothing was changed")
        case sqlite3.SQLITE_READONLY:
            return StorageReadOnlyError(f"{path}: can't be written; its file and folder must be writable")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StorageFormatError(f"{path}: no collections, or damaged ({error})")
        case _:
            return StorageError(f"{path}: {error}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Commit what is done within, or none of it where it raises."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends some by itself, as when the disk is full
            connection.execute("ROLLBACK")
        raise


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file that is there, and bring it to this format; transactions are the caller's to begin and end.

    Parameters
    ----------
    path
        Absolute.
    timeout
        Seconds to wait for others that write.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageFormatError
        If it is none of ours, truncated, damaged or of a newer format; it is not touched.
    StorageReadOnlyError
        If the file or its folder can't be written.
    StorageBusyError, StorageFullError, StorageError
        If something else is in the way.
    """
    with translated(path):
        _check_file(path, timeout)
        if path.stat().st_nlink > 1:
            # Perhaps a process was killed between giving it this name and taking the first one away.
            remove_unfinished(Path(os.path.realpath(path)))
        connection = _open(path, "mode=rw", timeout)
        try:
            for setting in _SETTINGS:
                connection.execute(setting)
            if _value(connection, "PRAGMA user_version") != len(MIGRATIONS):
                _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def create(path: Path) -> None:
    """Make a file without collections, whole or not at all; if another process is first, its file stays.

    Only its owner may read and write it. SQLite gives the files that it keeps beside it the same mode.

    Raises
    ------
    StorageReadOnlyError, StorageFullError, StorageError
        If it can't be made; nothing is left.
    """
    with translated(path), contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for setting in _SETTINGS:
            connection.execute(setting)
        _migrate(connection, path)
        content = bytearray(connection.serialize())
        content[_FILE_VERSIONS] = _WAL_VERSIONS  # as journal_mode = WAL has it, which a database in memory can't be
        write_new(path, bytes(content))


def ids_beginning(path: Path, start: str, *, collection_id: str | None = None) -> list[str]:
    """List ids that begin with *start*, for the completion of a shell, which must not wait: loads no other module.

    Parameters
    ----------
    path
        Absolute.
    start
        What was typed so far.
    collection_id
        List ids of users of this collection; ``None`` lists collections.

    Returns
    -------
    list of str
        Sorted, at most 200, out of the first 100,000.

    Raises
    ------
    CollectionNotFoundError, StorageError
        As from `connect`.
    """
    query = "SELECT collection_id AS id FROM collections LIMIT 100000"
    if collection_id is not None:
        query = """SELECT user_id AS id FROM collections JOIN users ON users.collection = collections.id
            JOIN user_data USING (uid) WHERE collection_id = ? LIMIT 100000"""
    values = (*([] if collection_id is None else [collection_id]), len(start), start)
    beginning = f"SELECT id FROM ({query}) WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 200"  # noqa: S608  # the query above
    with translated(path), contextlib.closing(connect(path, 0)) as connection:
        return [name for (name,) in connection.execute(beginning, values)]


def _open(path: Path, mode: str, timeout: float) -> sqlite3.Connection:
    # Whoever shares it between threads guards it with a lock.
    return sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, timeout=timeout, isolation_level=None, check_same_thread=False
    )


def _value(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


def _check_file(path: Path, timeout: float) -> None:
    """Refuse what is none of ours, before anything could write to it."""
    if path.is_dir():
        raise StorageFormatError(f"{path}: expected a file, got a folder")
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise CollectionNotFoundError(f"{path}: no such file") from None
    if size == 0:
        raise StorageFormatError(f"{path}: an empty file")
    effective = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    for each in (path, path.parent):
        if not os.access(each, os.W_OK, **effective):
            raise StorageReadOnlyError(f"{path}: can't be written; its file and folder must be writable")
    # Read by SQLite itself: whoever else opens and closes the file takes away the locks that this process has on it. Without
    # locks, and leaving no files beside it, only where nobody has it open.
    settled = not path.with_name(path.name + "-wal").exists()
    with contextlib.closing(_open(path, "mode=ro&immutable=1" if settled else "mode=ro", timeout)) as connection:
        application, version, pages, page = (
            _value(connection, f"PRAGMA {name}")
            for name in ("application_id", "user_version", "page_count", "page_size")
        )
    if application != APPLICATION_ID:
        raise StorageFormatError(f"{path}: an SQLite file, but not of collections")
    _check_version(path, version)
    if settled and size < pages * page:
        raise StorageFormatError(f"{path}: truncated, expected {pages * page} bytes, got {size}")


def _check_version(path: Path, version: int) -> None:
    if version > len(MIGRATIONS):
        raise StorageFormatError(
            f"{path}: written by a newer facesearch: expected format {len(MIGRATIONS)} or older, got {version}"
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):
        version = _value(connection, "PRAGMA user_version")  # again: another process may have been first
        _check_version(path, version)
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
