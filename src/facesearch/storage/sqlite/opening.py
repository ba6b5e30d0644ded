"""Open and create SQLite files of collections, and translate SQLite's errors."""

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
from facesearch.storage.sql import VALUE
from facesearch.storage.sqlite.guarded_sql import GuardedConnection, open_guarded
from facesearch.storage.sqlite.schema import APPLICATION_ID, FORMAT, OLDEST_FORMAT, SCHEMA, STEPS, check_schema

__all__ = [
    "ReadOnly",
    "connect",
    "connect_read_only",
    "create",
    "file_state",
    "ids_beginning",
    "is_writable",
    "transaction",
    "translated",
]

# The file format versions for writing and reading: https://www.sqlite.org/fileformat.html, 1.3.3.
_FILE_VERSIONS: Final = slice(18, 20)
_WAL_VERSIONS: Final = b"\2\2"

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # persistent: readers and writers don't wait for each other
    "PRAGMA synchronous = FULL",  # a commit returns when it is on disk
    "PRAGMA fullfsync = ON",  # macOS: on disk, not in its cache
    "PRAGMA secure_delete = ON",  # deleted content is overwritten
    "PRAGMA foreign_keys = ON",
)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translate errors of SQLite and of the operating system into `StorageError` and its subclasses, naming *path*."""
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
    """Open a file, at an absolute path, for reading and writing; wait *timeout* seconds for other writers.

    The caller begins and ends transactions.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageFormatError
        If the file is not of facesearch, truncated, damaged or of another format; it is not changed.
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
        connect_read_only(path, timeout).connection.close()  # before anything could write to it
        if path.stat().st_nlink > 1:
            # A process may have been killed after it linked the file to this name and before it removed the first name.
            remove_unfinished(Path(os.path.realpath(path)))
        connection = open_guarded(path, "mode=rw", timeout)
        try:
            # Check again: opening for writing replays a journal beside the file, which the first check did not see.
            _check_contents(connection, path)
            for setting in _SETTINGS:
                connection.execute(setting)
            _upgrade(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _upgrade(connection: GuardedConnection) -> None:
    """Bring a file of an older format to the present one, in one transaction."""
    if _value(connection, "PRAGMA user_version") == FORMAT:
        return
    with transaction(connection):
        for format_ in range(_value(connection, "PRAGMA user_version"), FORMAT):  # none if another process was faster
            for statement in STEPS[format_]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORMAT}")


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


def connect_read_only(path: Path, timeout: float, *, seconds: float | None = None) -> ReadOnly:
    """Open a file, at an absolute path, read-only; neither the file nor its folder is written.

    Wait *timeout* seconds for other writers, and read for *seconds* at most.

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
        while True:
            _check_readable(path)
            state = file_state(path)
            try:
                return _open_read_only(path, timeout, state, seconds)
            except (StorageFormatError, sqlite3.DatabaseError):
                # A file that is read without locks while another process writes may look damaged.
                if state == file_state(path):
                    raise


def is_writable(path: Path) -> bool:
    """Check whether this process can write a file and its folder."""
    return _may(path, os.W_OK) and _may(path.parent, os.W_OK)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


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
    """
    with translated(path), contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for setting in _SETTINGS:
            connection.execute(setting)
        for statement in (*SCHEMA, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {FORMAT}"):
            connection.execute(statement)
        content = bytearray(connection.serialize())
        content[_FILE_VERSIONS] = _WAL_VERSIONS  # journal_mode = WAL, which a database in memory can't have
        write_new(path, bytes(content))


# AWS's patterns, as in facesearch.domain.entities, which loads too much for a shell's completion. A test compares them.
COLLECTION_ID: Final = re.compile(r"[a-zA-Z0-9_.\-]{1,255}")
USER_ID: Final = re.compile(r"[a-zA-Z0-9_.\-:]{1,128}")
_COMPLETION_SECONDS: Final = 0.5


def ids_beginning(path: Path, start: str, *, collection_id: str | None = None) -> list[str]:
    """Return ids that begin with *start*, for shell completion, which must be fast: no further module is loaded.

    The file, at an absolute path, may be untrusted. It is opened read-only. Ids that a shell could parse as anything but a word are left
    out. The ids, of the users of a collection or of collections, are sorted: at most 200, out of the first 100,000.

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
    opened = connect_read_only(path, 0, seconds=_COMPLETION_SECONDS)
    with translated(path), contextlib.closing(opened.connection) as connection:
        found = connection.rows((VALUE,), beginning, *values)
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
        raise StorageFormatError(f"{path}: expected a file of collections, got an empty file")
    if not _may(path, os.R_OK):
        raise StorageReadOnlyError(f"{path}: can't be read by this user; grant read access, or open a copy")


def _open_read_only(path: Path, timeout: float, state: tuple[object, ...], seconds: float | None) -> ReadOnly:
    # Only SQLite itself reads the file: opening and closing it otherwise would release the locks of this process.
    log = path.with_name(path.name + "-wal")
    for alone in (False, True) if log.exists() else (True,):
        connection = open_guarded(path, "mode=ro&immutable=1" if alone else "mode=ro", timeout, seconds=seconds)
        try:
            _check_contents(connection, path, whole=alone)
            connection.execute("PRAGMA query_only = ON")
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
    # In one transaction, as another process may upgrade the file between two statements.
    with transaction(connection, "BEGIN"):
        _check_snapshot(connection, path, whole=whole)


def _check_snapshot(connection: GuardedConnection, path: Path, *, whole: bool) -> None:
    application, format_, pages, page = (
        _value(connection, f"PRAGMA {name}") for name in ("application_id", "user_version", "page_count", "page_size")
    )
    if application != APPLICATION_ID:
        raise StorageFormatError(f"{path}: an SQLite file, but not of collections")
    _check_format(path, format_)
    size = path.stat().st_size
    if whole and size < pages * page:
        raise StorageFormatError(f"{path}: truncated, expected {pages * page} bytes, got {size}")
    check_schema(connection, path, format_)


def _check_format(path: Path, format_: int) -> None:
    if format_ > FORMAT:
        raise StorageFormatError(
            f"{path}: written by a newer facesearch: expected format {FORMAT}, got {format_}; open it with that version"
        )
    if format_ < OLDEST_FORMAT:
        raise StorageFormatError(
            f"{path}: of format {format_}, from before version 0.1.0; this version reads formats {OLDEST_FORMAT} to {FORMAT}: "
            "index the photos into a new file"
        )
