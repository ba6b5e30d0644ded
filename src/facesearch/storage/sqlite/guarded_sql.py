"""Connections to untrusted SQLite files: limits on their work, and type checks of the values that they return.

SQLite itself withstands malformed files, with two exceptions. A tree of pages with a cycle makes a scan endless, so each statement
gets a budget of work that grows with the file. A column can hold a value of any type, whatever the schema says, so each value is
checked when it is read.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from facesearch.errors import StorageFormatError
from facesearch.storage.sql import ID, Kind, in_parts

__all__ = [
    "AT_ONCE",
    "GuardedConnection",
    "open_guarded",
]

AT_ONCE: Final = 500
"""Values in a statement, of which every SQLite takes 999; and rows fetched at once."""

_OPCODES: Final = 100_000  # of SQLite's virtual machine between two checks of the budget
# A row takes 10 to 30 opcodes to read and 20 to 600 bytes to store: 10 a byte are many times what a scan of a whole file needs.
_OPCODES_PER_BYTE: Final = 10
_OPCODES_PER_CHANGE: Final = 10_000
_LEAST_OPCODES: Final = 10_000_000  # less than a second, and rows that fit in memory
_LONGEST_VALUE: Final = 64 << 20  # bytes; a thumbnail has 10,000, the answer to a request with 100 faces 20,000


class GuardedConnection(sqlite3.Connection):
    """A connection with a limit on the work of each statement; see `open_guarded`.

    Attributes
    ----------
    path
        The file.
    deadline
        Value of `time.monotonic` after which every statement is interrupted; ``None`` for no limit of time.
    """

    path: Path
    deadline: float | None = None
    _opcodes = 0  # spent by the statement
    _allowed = _LEAST_OPCODES  # budget of a statement, besides its changes
    _changes = 0  # total before the statement

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """Begin a statement, with a new budget."""
        self._opcodes, self._changes = 0, self.total_changes
        with self._decoding():
            return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        """Begin a statement, with a new budget."""
        self._opcodes, self._changes = 0, self.total_changes
        with self._decoding():
            return super().executemany(*arguments)

    def measure(self) -> None:
        """Set the budget by the size of the file and its write-ahead log."""
        size = 0
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            with contextlib.suppress(OSError):  # no log, or removed while it is open
                size += path.stat().st_size
        self._allowed = _LEAST_OPCODES + size * _OPCODES_PER_BYTE

    def guard(self) -> None:
        """Set the limits; called before any statement."""
        self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        self.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self.set_progress_handler(self._is_over, _OPCODES)
        # Keep vectors out of temporary files.
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "writable_schema = OFF", "temp_store = MEMORY"):
            super().execute(f"PRAGMA {setting}")
        if hasattr(self, "setconfig"):  # from Python 3.12 on
            off = ("SQLITE_DBCONFIG_ENABLE_TRIGGER", "SQLITE_DBCONFIG_ENABLE_VIEW")
            for name, on in (("SQLITE_DBCONFIG_DEFENSIVE", True), *((name, False) for name in off)):
                self.setconfig(getattr(sqlite3, name), on)

    def rows(self, kinds: Sequence[Kind], query: str, *values: Any) -> list[Any]:
        """Return all rows of a query.

        Raises
        ------
        StorageFormatError
            If a value is not of its column's kind; the message names the file.
        """
        return [row for rows in self.parts(kinds, query, *values) for row in rows]

    def parts(self, kinds: Sequence[Kind], query: str, *values: Any, size: int = AT_ONCE) -> Iterator[list[Any]]:
        """Yield the rows of a query, *size* at a time; errors are those of `rows`."""
        cursor = self.execute(query, values)
        while True:
            with self._decoding():
                rows = cursor.fetchmany(size)
            if not rows:
                return
            self._check(kinds, rows)
            yield rows

    def row(self, kinds: Sequence[Kind], query: str, *values: Any) -> tuple[Any, ...]:
        """Return the only row of a query; raise `StorageFormatError` if there is another number of rows, too."""
        rows = self.rows(kinds, query, *values)
        if len(rows) != 1:
            raise StorageFormatError(f"{self.path}: damaged, expected one row, got {len(rows)}")
        row: tuple[Any, ...] = rows[0]
        return row

    def numbers(self, query: str, *values: Any) -> list[int]:
        """Return the row numbers that a query finds."""
        return [number for (number,) in self.rows((ID,), query, *values)]

    def among(self, kinds: Sequence[Kind], query: str, values: Iterable[Any], *first: Any) -> list[Any]:
        """Return the rows that have one of many values, written ``(*)`` in the query."""
        return [row for part, some in _parts_of(query, values) for row in self.rows(kinds, part, *first, *some)]

    def change(self, statement: str, *values: Any) -> int:
        """Execute a statement, and return the number of rows that it changed."""
        return self.execute(statement, values).rowcount

    def change_among(self, statement: str, values: Iterable[Any], *first: Any) -> None:
        """Execute a statement on the rows that have one of many values, written ``(*)``."""
        for part, some in _parts_of(statement, values):
            self.execute(part, (*first, *some))

    def _check(self, kinds: Sequence[Kind], rows: Sequence[tuple[Any, ...]]) -> None:
        for kind, column in zip(kinds, zip(*rows, strict=True), strict=False):
            if not kind.types.issuperset(map(type, column)):
                wrong = next(value for value in column if type(value) not in kind.types)
            elif kind.accepts is not None and not all(map(kind.accepts, column)):
                wrong = next(value for value in column if not kind.accepts(value))
            else:
                continue
            # The value itself may be personal, so it is not quoted.
            raise StorageFormatError(
                f"{self.path}: damaged, expected {kind.expected}, got another {type(wrong).__name__}"
            )

    @contextlib.contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError:  # raised for SQLite's own message, which quotes the file
            raise StorageFormatError(f"{self.path}: damaged, a text in it is not UTF-8") from None

    def _is_over(self) -> bool:
        self._opcodes += _OPCODES
        changed = self.total_changes - self._changes
        late = self.deadline is not None and time.monotonic() > self.deadline
        return late or self._opcodes > self._allowed + changed * _OPCODES_PER_CHANGE


def _parts_of(statement: str, values: Iterable[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the statements for a list of values, each with some of them."""
    for some in in_parts(values, AT_ONCE):
        yield statement.replace("(*)", f"({', '.join('?' * len(some))})"), some


def open_guarded(path: Path, mode: str, timeout: float, *, seconds: float | None = None) -> GuardedConnection:
    """Open a connection to a file at an absolute path; nothing is read from it yet.

    *mode* has options of SQLite's URI, such as ``"mode=ro"``. After *seconds*, every statement is interrupted.
    """
    # Threads that share the connection guard it with a lock.
    connection = sqlite3.connect(
        f"{path.as_uri()}?{mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=GuardedConnection,
    )
    try:
        connection.path = path
        connection.deadline = None if seconds is None else time.monotonic() + seconds
        connection.guard()
        connection.measure()
    except BaseException:
        connection.close()
        raise
    return connection
