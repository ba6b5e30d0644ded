"""Connections to a file of collections: one that reads and one that writes, shared by all threads of a process.

Reading sees one committed state as long as it lasts, and waits for nobody who writes. Who writes waits for other writers, of this
process and of others, and then for nobody. No connection ever crosses a fork, which SQLite does not survive: they are
closed before, and opened again by whoever needs them.
"""

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from facesearch.database import connect, transaction, translated
from facesearch.errors import ClosedError, StorageBusyError, StorageError

__all__ = ["Sessions"]

_CHECKPOINT_WAIT: Final = 500  # milliseconds


class _Lane:
    """A connection, opened when needed, and the lock that guards it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None
        self.depth = 0  # of blocks within blocks
        self.thread = 0  # that is within

    def is_mine(self) -> bool:
        return self.depth > 0 and self.thread == threading.get_ident()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Sessions:
    """The connections of one process to one file.

    Parameters
    ----------
    path
        Absolute; the file is opened when it is first needed.
    timeout
        Seconds to wait for others that write.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._read, self._write = _Lane(), _Lane()
        self._closed = False
        self._file: tuple[int, int] | None = None  # that it has been connected to
        self._close = weakref.finalize(self, _close, self._read, self._write)
        _ALL.add(self)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one committed state, and within `writing` what was changed there too."""
        if self._write.is_mine():
            yield self._connection(self._write)
        else:
            with self.committed() as connection:
                yield connection

    @contextlib.contextmanager
    def committed(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one committed state, even within `writing`.

        Raises
        ------
        StorageError
            And those under it.
        """
        with self._read.lock, self._within(self._read, "BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are on disk when the block ends, or none of them where it raises.

        Raises
        ------
        StorageBusyError
            If others write for longer than the timeout.
        StorageError
            And others under it.
        """
        if not self._write.is_mine():
            self.check_free()
        if not self._write.lock.acquire(timeout=self._timeout):
            raise StorageBusyError(f"{self.path}: another thread wrote for more than {self._timeout:g} s")
        try:
            with self._within(self._write, "BEGIN IMMEDIATE") as connection:
                yield connection
        finally:
            self._write.lock.release()

    def check_free(self) -> None:
        """Refuse to be within `committed`, or `reading` that is not within `writing`: who then waits for others, does for ever.

        Raises
        ------
        RuntimeError
            That is a mistake of ours.
        """
        if self._read.is_mine():
            raise RuntimeError("reading, a thread must wait for nobody: others may wait for it")

    def checkpoint(self) -> bool:
        """Move all changes into the file itself and empty the log beside it; not within a block.

        Returns
        -------
        bool
            False if others that read or write were in the way, or there was no room.
        """
        with self._write.lock, translated(self.path):
            connection = self._connection(self._write)
            try:
                connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT}")
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError:
                return False
            finally:
                connection.execute(f"PRAGMA busy_timeout = {round(self._timeout * 1000)}")
        return not busy

    def close(self) -> None:
        """Close the connections, once and for all, when the blocks of other threads have ended."""
        with self._write.lock, self._read.lock:
            self._closed = True
            self._close()

    @contextlib.contextmanager
    def _within(self, lane: _Lane, begin: str) -> Iterator[sqlite3.Connection]:
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

    def _connection(self, lane: _Lane) -> sqlite3.Connection:
        if self._closed:
            raise ClosedError(f"{self.path}: closed; open it again with Collection.open")
        if self._file is not None and not lane.depth and self._file != self._named():
            raise StorageError(
                f"{self.path}: removed or replaced while it was open, so nothing would last; open it again"
            )
        if lane.connection is None:
            lane.connection = connect(self.path, self._timeout)
            self._file = self._named()
        return lane.connection

    def _named(self) -> tuple[int, int] | None:
        """Tell which file it is that has this name."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    # ---------------------------------------------------------------- forks

    def _before_fork(self) -> None:
        for lane in (self._write, self._read):
            lane.lock.acquire()
            if not lane.depth:
                lane.close()

    def _after_fork(self) -> None:
        for lane in (self._read, self._write):
            lane.lock.release()

    def _after_fork_in_child(self) -> None:
        for lane in (self._read, self._write):
            if lane.connection is not None:  # forked within a block: the parent's; even closing it would do harm
                _LEAKED.append(lane.connection)
                lane.connection, lane.depth = None, 0
        self._after_fork()


def _close(*lanes: _Lane) -> None:
    for lane in lanes:
        lane.close()


_ALL: weakref.WeakSet[Sessions] = weakref.WeakSet()
_LEAKED: list[sqlite3.Connection] = []
_forking = threading.local()


def _before() -> None:
    _forking.sessions = list(_ALL)
    for sessions in _forking.sessions:
        sessions._before_fork()  # noqa: SLF001  # this module's own


def _after_in_parent() -> None:
    for sessions in _forking.__dict__.pop("sessions", ()):
        sessions._after_fork()  # noqa: SLF001  # this module's own


def _after_in_child() -> None:
    for sessions in _forking.__dict__.pop("sessions", ()):
        sessions._after_fork_in_child()  # noqa: SLF001  # this module's own


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
