"""Connections to a file of collections: one that reads and one that writes, shared by all threads of a process.

A read transaction sees one committed state and never waits for writers. A write transaction waits for other writers, of this
process and of others, and for nothing else. No connection crosses a fork, as SQLite does not allow it: connections are
closed before a fork and opened again on demand.
"""

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from facesearch.common import forks as _forks
from facesearch.errors import ClosedError, StorageBusyError, StorageError, StorageReadOnlyError
from facesearch.files.protected import database_closed, database_opened
from facesearch.storage.sql import Kind
from facesearch.storage.sqlite.guarded_sql import GuardedConnection
from facesearch.storage.sqlite.opening import (
    connect,
    connect_read_only,
    file_state,
    is_writable,
    transaction,
    translated,
)

__all__ = ["Sessions"]


class _Lane:
    """A connection, opened on first use, and the lock that guards it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection: GuardedConnection | None = None
        self.seen: tuple[object, ...] | None = None  # see facesearch.storage.sqlite.opening.ReadOnly
        self.depth = 0  # number of nested blocks
        self.thread = 0  # the thread within a block

    def is_mine(self) -> bool:
        return self.depth > 0 and self.thread == threading.get_ident()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
            self.seen = None


class Sessions:
    """The connections of one process to one file.

    Parameters
    ----------
    path
        Absolute; the file is opened on first use.
    timeout
        Seconds to wait for other writers.
    read_only
        Whether to refuse `writing` and need no write access; ``None``: only if the file or its folder can't be written.
    """

    def __init__(self, path: Path, timeout: float, *, read_only: bool | None = False) -> None:
        self.path, self.name = path, str(path)
        # How often data read before may have been wrong, as a file changed that was read without locks.
        self.rereads = 0
        self._timeout = timeout
        self._asked_read_only = read_only
        self._read, self._write = _Lane(), _Lane()
        self._closed = False
        self._file: tuple[int, int] | None = None  # device and inode of the file at the first connection
        self._close = weakref.finalize(self, _close, self._read, self._write)
        _forks.register(self, _forks.Level.FILE)
        database_opened(self)

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""
        if self._asked_read_only is None and self.path.exists():
            self._asked_read_only = not is_writable(self.path)
        return bool(self._asked_read_only)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def is_mine(self) -> bool:
        """Check whether this thread is within a block."""
        return self._read.is_mine() or self._write.is_mine()

    def is_writing(self) -> bool:
        """Check whether this thread is within `writing`."""
        return self._write.is_mine()

    @contextlib.contextmanager
    def reading(self) -> Iterator[GuardedConnection]:
        """Yield a connection that reads one committed state, and within `writing` the uncommitted changes too."""
        if self._write.is_mine():
            yield self._connection(self._write)
        else:
            with self.committed() as connection:
                yield connection

    @contextlib.contextmanager
    def committed(self) -> Iterator[GuardedConnection]:
        """Yield a connection that reads one committed state, even within `writing`."""
        with self._read.lock, self._within(self._read, "BEGIN") as connection:
            yield connection
            self._check_unchanged()

    def committed_among(self, kinds: Sequence[Kind], query: str, values: Sequence[Any]) -> list[Any]:
        """Return rows of the last committed state that have one of many values, written ``(*)`` in the query."""
        with self.committed() as sql:
            return sql.among(kinds, query, values)

    @contextlib.contextmanager
    def writing(self, *, wait: float | None = None, durable: bool = True) -> Iterator[GuardedConnection]:
        """Yield a connection in a write transaction: on disk when the block ends, rolled back if the block raises.

        Wait *wait* seconds for other writers, by default the timeout. A power failure may undo changes that are not *durable*.
        """
        if not self._write.is_mine():
            self.check_free()
        if self.read_only:
            why = (
                "was opened read-only; open it without read_only=True to change it"
                if self._asked_read_only and is_writable(self.path)
                else "is open read-only, as the file or its folder can't be written; make both writable, or change a copy"
            )
            raise StorageReadOnlyError(f"{self.path}: {why}")
        seconds = self._timeout if wait is None else wait
        if not self._write.lock.acquire(timeout=seconds):
            raise StorageBusyError(f"{self.path}: another thread wrote for more than {seconds:g} s")
        try:
            with contextlib.ExitStack() as undo:
                if not self._write.depth and (wait is not None or not durable):
                    undo.enter_context(self._set_up(wait=seconds, durable=durable))
                yield undo.enter_context(self._within(self._write, "BEGIN IMMEDIATE"))
        finally:
            self._write.lock.release()

    @contextlib.contextmanager
    def _set_up(self, *, wait: float, durable: bool) -> Iterator[GuardedConnection]:
        """Change settings of the write connection for a block; the caller holds its lock."""
        with translated(self.path):
            connection = self._connection(self._write)
            try:
                connection.execute(f"PRAGMA busy_timeout = {round(wait * 1000)}")
                if not durable:
                    connection.execute("PRAGMA synchronous = NORMAL")
                yield connection
            finally:
                connection.execute(f"PRAGMA busy_timeout = {round(self._timeout * 1000)}")
                if not durable:
                    connection.execute("PRAGMA synchronous = FULL")

    def check_free(self) -> None:
        """Raise RuntimeError if this thread holds a read transaction: waiting for a writer within one could deadlock."""
        if self._read.is_mine():
            raise RuntimeError(
                "a thread that reads must not wait for a writer, as this could deadlock; end the read block first"
            )

    def checkpoint(self, wait: float) -> bool:
        """Copy the write-ahead log into the file and truncate the log; not to be called within a block.

        Return False if other readers or writers held locks for *wait* seconds, or the disk is full.
        """
        with self._write.lock, self._set_up(wait=wait, durable=True) as connection:
            try:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError:
                return False
        return not busy

    def close(self) -> None:
        """Close the connections for good, after the blocks of other threads have ended."""
        with self._write.lock, self._read.lock:
            self._closed = True
            self._close()
            database_closed(self)

    @contextlib.contextmanager
    def _within(self, lane: _Lane, begin: str) -> Iterator[GuardedConnection]:
        with translated(self.path):
            connection = self._connection(lane)
            if lane.depth:
                yield connection
                return
            with transaction(connection, begin):
                lane.depth, lane.thread = 1, threading.get_ident()
                try:
                    yield connection
                finally:
                    lane.depth = 0

    def _connection(self, lane: _Lane) -> GuardedConnection:
        if self._closed:
            raise ClosedError(f"{self.path}: closed; open it again with Collection.open")
        if self._file is not None and not lane.depth and self._file != self._named():
            raise StorageError(
                f"{self.path}: removed or replaced while it was open, so changes would be lost; open it again"
            )
        if not lane.depth and lane.seen is not None and lane.seen != file_state(self.path):
            lane.close()
            self.rereads += 1
        if lane.connection is None:
            if self.read_only:
                opened = connect_read_only(self.path, self._timeout)
                lane.connection, lane.seen = opened.connection, opened.seen
            else:
                lane.connection = connect(self.path, self._timeout)
            self._file = self._named()
        if not lane.depth:
            lane.connection.measure()
        return lane.connection

    def _check_unchanged(self) -> None:
        """Refuse data that was read without locks while others wrote; called at the end of a block."""
        if self._read.depth == 1 and self._read.seen is not None and self._read.seen != file_state(self.path):
            self.rereads += 1
            raise StorageBusyError(f"{self.path}: was changed while it was read; try again")

    def _named(self) -> tuple[int, int] | None:
        """Return device and inode of the file at the path; ``None`` if there is none."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    # ---------------------------------------------------------------- forks

    def before_fork(self) -> None:
        """Close the connections, except those that this thread is using."""
        for lane in (self._write, self._read):
            lane.lock.acquire()
            if not lane.depth:
                lane.close()

    def after_fork(self, *, child: bool) -> None:
        """Allow other threads to connect again."""
        for lane in (self._read, self._write):
            # Forked within a block: the connection is the parent's, and SQLite allows no use of it here, not even closing.
            if child and lane.connection is not None:
                _LEAKED.append(lane.connection)
                lane.connection, lane.depth = None, 0
            lane.lock.release()


def _close(*lanes: _Lane) -> None:
    for lane in lanes:
        lane.close()


_LEAKED: list[sqlite3.Connection] = []
