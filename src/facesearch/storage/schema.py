"""The SQLite database of collections: its schema and migrations, how it is opened, and the translation of SQLite's errors.

Personal data has four tables of its own: ``user_data``, ``face_data``, ``thumbnails`` and ``waiting_data``. Their rows are only
appended, overwritten with the same number of bytes, emptied in place, or deleted all at once. SQLite never moves such rows, so no copy
is left between the rows of another page, where ``secure_delete`` would not find it (measured in benchmarks/durability.py). Other tables
and indexes hold only numbers, and ids computed from content.
"""

import contextlib
import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from facesearch.errors import (
    CollectionNotFoundError,
    FacesearchError,
    StorageBusyError,
    StorageError,
    StorageFormatError,
    StorageFullError,
    StorageReadOnlyError,
)
from facesearch.files.unfinished import remove_unfinished
from facesearch.files.writing import write_new
from facesearch.storage.guarded_sql import VALUE, GuardedConnection, fetch, open_guarded
from facesearch.storage.schema_check import check_schema

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "ReadOnly",
    "connect",
    "connect_read_only",
    "create",
    "file_state",
    "ids_beginning",
    "is_writable",
    "open_as_it_is",
    "transaction",
    "translated",
]

APPLICATION_ID: Final = 0x66616365  # "face", at byte 68 of the file

# The file format versions for writing and reading: https://www.sqlite.org/fileformat.html, 1.3.3.
_FILE_VERSIONS: Final = slice(18, 20)
_WAL_VERSIONS: Final = b"\2\2"

_FORMAT_1 = (
    # One row. The salt makes the hashes of user ids differ between files; emptied counts the rows emptied since `compact`.
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

_FORMAT_4 = (
    # Numbers of transactions that deleted personal data, and of those that are fully erased from the file and its log.
    "ALTER TABLE file ADD COLUMN deletions INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE file ADD COLUMN erased INTEGER NOT NULL DEFAULT 0",
    "UPDATE file SET deletions = 1",  # older versions may have left personal data
    # Key of the ids of faces and photos: see facesearch.storage.content_ids. Existing faces keep their ids.
    "ALTER TABLE collections ADD COLUMN secret BLOB NOT NULL DEFAULT x''",
    "UPDATE collections SET secret = randomblob(32)",
    # Older answers contain face ids. The pages of a dropped table are overwritten whole.
    "DROP TABLE answers",
    """CREATE TABLE answers ( -- to requests that happen once
        collection INTEGER NOT NULL REFERENCES collections,
        token BLOB NOT NULL, -- hash
        request BLOB NOT NULL, -- hash
        answer TEXT NOT NULL, -- it names neither people nor faces
        given REAL NOT NULL, -- seconds since 1970, UTC
        PRIMARY KEY (collection, token)
    ) WITHOUT ROWID""",
    "CREATE INDEX answers_by_age ON answers (collection, given)",
    # Source of the face's photo: UTF-8, lone surrogates included, which a text of SQLite can't hold.
    "ALTER TABLE face_data ADD COLUMN source BLOB",
    """CREATE TABLE waiting ( -- photos of folders whose faces are judged when all are looked at
        wid INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        key BLOB NOT NULL, -- hash of the photo, whose it is to be, and how it was looked at
        name_hash INTEGER NOT NULL -- of whose it is to be, who need not be there
    )""",
    "CREATE UNIQUE INDEX waiting_by_key ON waiting (collection, key)",
    "CREATE INDEX waiting_by_name ON waiting (collection, name_hash)",
    """CREATE TABLE waiting_data (
        wid INTEGER PRIMARY KEY,
        vector BLOB,
        face_id BLOB,
        image_id BLOB,
        external_image_id TEXT,
        confidence REAL,
        source BLOB,
        box_left REAL,
        box_top REAL,
        box_width REAL,
        box_height REAL,
        jpeg BLOB
    )""",
)

# Each entry migrates a file from the format of its position to the next; an empty file has format 0. Entries are never changed, comments
# in SQL included: the schema of existing files is compared with them.
MIGRATIONS: tuple[tuple[str, ...], ...] = (_FORMAT_1, _FORMAT_2, _FORMAT_3, _FORMAT_4)

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # persistent: readers and writers don't wait for each other
    "PRAGMA synchronous = FULL",  # a commit returns when it is on disk
    "PRAGMA fullfsync = ON",  # macOS: on disk, not in its cache
    "PRAGMA secure_delete = ON",  # deleted content is overwritten
    "PRAGMA foreign_keys = ON",
)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translate errors of SQLite and of the operating system into `StorageError`.

    Raises
    ------
    StorageError
        And its subclasses, naming *path*.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _storage_error(path, error) from None  # SQLite's message may quote content of the file
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


def _storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bytes have details
    if "Could not decode to UTF-8" in str(error):  # raised by Python, without a code
        code = sqlite3.SQLITE_CORRUPT
    kind, text = _KIND_OF_CODE.get(code, (StorageError, "{name}"))
    return kind(f"{path}: {text.format(name=getattr(error, 'sqlite_errorname', type(error).__name__))}")


_DAMAGED = StorageFormatError, "no collections, or damaged ({name})"
_CONTRADICTION = StorageFormatError, "damaged, its tables contradict each other ({name})"
_BUSY = StorageBusyError, "others wrote to it for longer than the timeout; nothing was changed"
_ENDLESS = StorageFormatError, "damaged, or too slow to read: it takes more work than a file of its size can need"
_KIND_OF_CODE: Final[dict[int, tuple[type[StorageError], str]]] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: (StorageFullError, "no room on the disk; nothing was changed"),
    sqlite3.SQLITE_READONLY: (StorageReadOnlyError, "can't be written; its file and folder must be writable"),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FORMAT: _DAMAGED,
    sqlite3.SQLITE_CONSTRAINT: _CONTRADICTION,
    sqlite3.SQLITE_MISMATCH: _CONTRADICTION,
    sqlite3.SQLITE_TOOBIG: _CONTRADICTION,
    sqlite3.SQLITE_INTERRUPT: _ENDLESS,
}


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Commit the changes of a block; roll back if it raises."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends some by itself, as when the disk is full
            connection.execute("ROLLBACK")
        raise


def connect(path: Path, timeout: float) -> GuardedConnection:
    """Open a file for reading and writing, and migrate it; the caller begins and ends transactions.

    Parameters
    ----------
    path
        Absolute.
    timeout
        Seconds to wait for other writers.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageFormatError
        If the file is not of facesearch, truncated, damaged or of a newer format; it is not changed.
    StorageReadOnlyError
        If the file or its folder can't be written; `connect_read_only` may open it.
    StorageBusyError, StorageFullError, StorageError
        If it can't be opened for another reason.
    """
    with translated(path):
        _check_readable(path)
        if not is_writable(path):
            raise StorageReadOnlyError(
                f"{path}: can't be written; its file and folder must be writable. To read it, open it with read_only=True"
            )
        open_as_it_is(path, timeout).connection.close()  # before anything could write to it
        if path.stat().st_nlink > 1:
            # A process may have been killed after it linked the file to this name and before it removed the first name.
            remove_unfinished(Path(os.path.realpath(path)))
        connection = open_guarded(path, "mode=rw", timeout)
        try:
            # Check again: opening for writing replays a journal beside the file, which the first check did not see.
            _check_contents(connection, path)
            for setting in _SETTINGS:
                connection.execute(setting)
            if _value(connection, "PRAGMA user_version") != len(MIGRATIONS):
                _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@attrs.frozen(eq=False)
class ReadOnly:
    """A read-only connection.

    Attributes
    ----------
    connection
        The connection.
    seen
        If the file is read without locks, its `file_state` when it was opened, by which changes are detected; ``None`` if SQLite locks it.
    """

    connection: GuardedConnection
    seen: tuple[object, ...] | None


def connect_read_only(path: Path, timeout: float) -> ReadOnly:
    """Open a file read-only; neither the file nor its folder is written.

    Parameters are those of `connect`. A file of an older format is copied into memory and migrated there.

    Raises
    ------
    CollectionNotFoundError, StorageFormatError, StorageBusyError, StorageError
        As from `connect`.
    StorageReadOnlyError
        If the log beside the file holds changes that can't be read without write access.

    Notes
    -----
    Without a write-ahead log, no process has the file open. SQLite then reads it without locks, as it can't create the files that
    locks need; the caller compares `file_state` before and after each transaction. With a log, SQLite reads both under its locks.
    """
    with translated(path):
        opened = open_as_it_is(path, timeout)
        try:
            if _value(opened.connection, "PRAGMA user_version") == len(MIGRATIONS):
                opened.connection.execute("PRAGMA query_only = ON")
                return opened
            state = file_state(path)
            copy = _copy_in_memory(opened.connection, path)
        except BaseException:
            opened.connection.close()
            raise
        opened.connection.close()
        return ReadOnly(copy, state)


def is_writable(path: Path) -> bool:
    """Check whether this process can write a file and its folder."""
    effective = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    return all(os.access(each, os.W_OK, **effective) for each in (path, path.parent))


def file_state(path: Path) -> tuple[object, ...]:
    """Return a value that changes whenever a file or its write-ahead log is written."""
    state: list[object] = []
    for each in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(FileNotFoundError):
            found = each.stat()
            state += [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]
    return tuple(state)


def create(path: Path) -> None:
    """Create a file without collections, whole or not at all; if another process is first, its file stays.

    Only the owner may read and write the file. SQLite creates the log and its index with the same mode.

    Raises
    ------
    StorageReadOnlyError, StorageFullError, StorageError
        If it can't be created; no file is left.
    """
    with translated(path), contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for setting in _SETTINGS:
            connection.execute(setting)
        _migrate(connection, path)
        content = bytearray(connection.serialize())
        content[_FILE_VERSIONS] = (
            _WAL_VERSIONS  # the value of journal_mode = WAL, which a database in memory can't have
        )
        write_new(path, bytes(content))


# AWS's patterns, as in facesearch.domain.entities, which loads too much for a shell's completion. A test compares them.
COLLECTION_ID: Final = re.compile(r"[a-zA-Z0-9_.\-]{1,255}")
USER_ID: Final = re.compile(r"[a-zA-Z0-9_.\-:]{1,128}")
_COMPLETION_SECONDS: Final = 0.5


def ids_beginning(path: Path, start: str, *, collection_id: str | None = None) -> list[str]:
    """Return ids that begin with *start*, for shell completion, which must be fast: no further module is loaded.

    The file may be untrusted. It is opened read-only and not migrated. Ids that a shell could parse as anything but a word are left out.

    Parameters
    ----------
    path
        Absolute.
    start
        The text typed so far.
    collection_id
        List ids of users of this collection; ``None`` lists collections.

    Returns
    -------
    list of str
        Sorted, at most 200, out of the first 100,000.

    Raises
    ------
    CollectionNotFoundError, StorageError
        As from `connect_read_only`, and if it takes longer than half a second.
    """
    query = "SELECT collection_id AS id FROM collections LIMIT 100000"
    if collection_id is not None:
        query = """SELECT user_id AS id FROM collections JOIN users ON users.collection = collections.id
            JOIN user_data USING (uid) WHERE collection_id = ? LIMIT 100000"""
    values = (*([] if collection_id is None else [collection_id]), len(start), start)
    # Ids that begin with a dash would be options.
    word = "id NOT GLOB '-*' AND id NOT GLOB '*[^a-zA-Z0-9_.:-]*'"
    beginning = f"SELECT id FROM ({query}) WHERE substr(id, 1, ?) = ? AND {word} ORDER BY id LIMIT 200"  # noqa: S608  # the query above
    pattern = COLLECTION_ID if collection_id is None else USER_ID
    with (
        translated(path),
        contextlib.closing(open_as_it_is(path, 0, seconds=_COMPLETION_SECONDS).connection) as connection,
    ):
        found = fetch(connection, (VALUE,), beginning, values)
    return [name for (name,) in found if isinstance(name, str) and pattern.fullmatch(name)]


def _value(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


def _check_readable(path: Path) -> None:
    if path.is_dir():
        raise StorageFormatError(f"{path}: expected a file, got a folder")
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise CollectionNotFoundError(f"{path}: no such file") from None
    if size == 0:
        raise StorageFormatError(f"{path}: an empty file")
    if not os.access(path, os.R_OK, **({"effective_ids": True} if os.access in os.supports_effective_ids else {})):
        raise StorageReadOnlyError(f"{path}: can't even be read by this user")


def open_as_it_is(path: Path, timeout: float, *, seconds: float | None = None) -> ReadOnly:
    """Open a file of any format read-only, without migration, and refuse other files.

    Parameters
    ----------
    path
        Absolute.
    timeout
        Seconds to wait for other writers.
    seconds
        Time limit for reading; ``None`` for no limit.

    Raises
    ------
    CollectionNotFoundError, StorageFormatError, StorageReadOnlyError, StorageError
        As from `connect_read_only`; and SQLite's own errors, see `translated`.
    """
    while True:
        _check_readable(path)
        state = file_state(path)
        try:
            return _open_read_only(path, timeout, state, seconds)
        except (StorageFormatError, sqlite3.DatabaseError):
            # A file that is read without locks while another process writes may look damaged.
            if state == file_state(path):
                raise


def _open_read_only(path: Path, timeout: float, state: tuple[object, ...], seconds: float | None) -> ReadOnly:
    # Only SQLite itself reads the file: opening and closing it otherwise would release the locks of this process.
    log = path.with_name(path.name + "-wal")
    for alone in (False, True) if log.exists() else (True,):
        connection = open_guarded(path, "mode=ro&immutable=1" if alone else "mode=ro", timeout, seconds=seconds)
        try:
            _check_contents(connection, path, whole=alone)
        except sqlite3.OperationalError as error:
            connection.close()
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if alone or code not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
                raise
            # The index of the log is missing and can't be created. An empty log has no changes to read.
            if log.exists() and log.stat().st_size > 0:
                raise StorageReadOnlyError(
                    f"{path}: the log beside it, {log.name}, has changes that can't be read where nothing can be written; "
                    "copy both files to a folder of your own and open them there"
                ) from error
        except BaseException:
            connection.close()
            raise
        else:
            return ReadOnly(connection, state if alone else None)
    raise AssertionError  # pragma: no cover  # the last try returns or raises


def _check_contents(connection: GuardedConnection, path: Path, *, whole: bool = False) -> None:
    """Refuse a database that is not of facesearch; *whole* if all of it must be in the file."""
    application, version, pages, page = (
        _value(connection, f"PRAGMA {name}") for name in ("application_id", "user_version", "page_count", "page_size")
    )
    if application != APPLICATION_ID:
        raise StorageFormatError(f"{path}: an SQLite file, but not of collections")
    _check_version(path, version)
    size = path.stat().st_size
    if whole and size < pages * page:
        raise StorageFormatError(f"{path}: truncated, expected {pages * page} bytes, got {size}")
    check_schema(connection, path, MIGRATIONS[:version])


def _copy_in_memory(connection: GuardedConnection, path: Path) -> GuardedConnection:
    """Copy a database of an older format into memory, and migrate the copy."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=GuardedConnection)
    try:
        copy.path = path
        connection.backup(copy)
        copy.guard()
        copy.measure()
        _migrate(copy, path)
        copy.execute("PRAGMA query_only = ON")
    except BaseException:
        copy.close()
        raise
    return copy


def _check_version(path: Path, version: int) -> None:
    if version < 0:
        raise StorageFormatError(f"{path}: damaged, expected a format, got {version}")
    if version > len(MIGRATIONS):
        raise StorageFormatError(
            f"{path}: written by a newer facesearch: expected format {len(MIGRATIONS)} or older, got {version}"
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):
        version = _value(connection, "PRAGMA user_version")  # again: another process may have been first
        _check_version(path, version)
        check_schema(connection, path, MIGRATIONS[:version])
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
