"""Connections to untrusted SQLite files: limits on their work, and type checks of the values that they return.

SQLite itself withstands malformed files, with two exceptions. A tree of pages with a cycle makes a scan endless, so each statement
gets a budget of work that grows with the file. A column can hold a value of any type, whatever the schema says, so each value is
checked when it is read.
"""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from facesearch.errors import StorageFormatError

__all__ = [
    "BLOB",
    "COUNT",
    "ID",
    "TEXT",
    "UUID_BYTES",
    "VALUE",
    "GuardedConnection",
    "Kind",
    "fetch",
    "fetch_one",
    "fetch_parts",
    "open_guarded",
    "path_of",
]

_OPCODES: Final = 100_000  # of SQLite's virtual machine between two checks of the budget
# A row takes 10 to 30 opcodes to read and 20 to 600 bytes to store: 10 a byte are many times what a scan of a whole file needs.
_OPCODES_PER_BYTE: Final = 10
_OPCODES_PER_CHANGE: Final = 10_000
_LEAST_OPCODES: Final = 10_000_000  # less than a second, and rows that fit in memory
_LONGEST_VALUE: Final = 64 << 20  # bytes; a thumbnail has 10,000, the answer to a request with 100 faces 20,000
_LARGEST_ID: Final = 1 << 62  # half of SQLite's range, so that the next number is still a whole one
_LARGEST_COUNT: Final = 1 << 40
_UUID_BYTES: Final = 16


@attrs.frozen
class Kind:
    """The values that a column may hold.

    Attributes
    ----------
    expected
        Description for error messages.
    types
        Exact types of values; subclasses are refused.
    accepts
        Predicate on values of these types; ``None`` accepts all.
    """

    expected: str
    types: frozenset[type]
    accepts: Callable[[Any], bool] | None = None

    @classmethod
    def matching(cls, pattern: str, longest: int) -> "Kind":
        """Return the kind of texts of 1 to *longest* characters that match a pattern as a whole."""
        match = re.compile(pattern).fullmatch
        return cls(
            f"a text that matches {pattern}",
            frozenset({str}),
            lambda text: 0 < len(text) <= longest and bool(match(text)),
        )

    @property
    def or_null(self) -> "Kind":
        """The kind that accepts NULL too."""
        accepts = self.accepts
        return Kind(
            f"{self.expected} or NULL",
            self.types | {type(None)},
            accepts and (lambda value: value is None or accepts(value)),
        )


ID: Final = Kind("a row's number", frozenset({int}), lambda value: 0 <= value <= _LARGEST_ID)
COUNT: Final = Kind("a count", frozenset({int}), lambda value: 0 <= value <= _LARGEST_COUNT)
TEXT: Final = Kind("a text", frozenset({str}))
BLOB: Final = Kind("bytes", frozenset({bytes}))
UUID_BYTES: Final = Kind("16 bytes", frozenset({bytes}), lambda value: len(value) == _UUID_BYTES)
VALUE: Final = Kind("any value", frozenset({int, float, str, bytes, type(None)}))
"""For columns that the caller checks."""


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
        with _decoding(self):
            return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        """Begin a statement, with a new budget."""
        self._opcodes, self._changes = 0, self.total_changes
        with _decoding(self):
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

    def _is_over(self) -> bool:
        self._opcodes += _OPCODES
        changed = self.total_changes - self._changes
        late = self.deadline is not None and time.monotonic() > self.deadline
        return late or self._opcodes > self._allowed + changed * _OPCODES_PER_CHANGE


def open_guarded(path: Path, mode: str, timeout: float, *, seconds: float | None = None) -> GuardedConnection:
    """Open a connection to a file; nothing is read from it yet.

    Parameters
    ----------
    path
        Absolute.
    mode
        Options of SQLite's URI, such as ``"mode=ro"``.
    timeout
        Seconds to wait for other writers.
    seconds
        Time after which every statement is interrupted; ``None`` for no limit.
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


def fetch(
    sql: sqlite3.Connection, kinds: Sequence[Kind], query: str, values: Iterable[Any] = ()
) -> list[tuple[Any, ...]]:
    """Return all rows of a query.

    Parameters
    ----------
    sql
        The connection.
    kinds
        The kind of each column.
    query, values
        As for `sqlite3.Connection.execute`.

    Raises
    ------
    StorageFormatError
        If a value is not of its column's kind; the message names the file.
    """
    return [row for rows in fetch_parts(sql, kinds, query, values) for row in rows]


def fetch_parts(
    sql: sqlite3.Connection, kinds: Sequence[Kind], query: str, values: Iterable[Any] = (), *, size: int = 8192
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a query, *size* at a time; parameters and errors are those of `fetch`."""
    cursor = sql.execute(query, tuple(values))
    while True:
        with _decoding(sql):
            rows: list[tuple[Any, ...]] = cursor.fetchmany(size)
        if not rows:
            return
        _check(sql, kinds, rows)
        yield rows


@contextlib.contextmanager
def _decoding(sql: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:  # raised for SQLite's own message, which quotes the file
        raise StorageFormatError(f"{path_of(sql)}: damaged, a text in it is not UTF-8") from None


def fetch_one(
    sql: sqlite3.Connection, kinds: Sequence[Kind], query: str, values: Iterable[Any] = ()
) -> tuple[Any, ...]:
    """Return the only row of a query.

    Raises
    ------
    StorageFormatError
        If the number of rows is not one, or a value is of the wrong kind.
    """
    rows = fetch(sql, kinds, query, values)
    if len(rows) != 1:
        raise StorageFormatError(f"{path_of(sql)}: damaged, expected one row, got {len(rows)}")
    return rows[0]


def _check(sql: sqlite3.Connection, kinds: Sequence[Kind], rows: Sequence[tuple[Any, ...]]) -> None:
    for kind, column in zip(kinds, zip(*rows, strict=True), strict=False):
        if not kind.types.issuperset(map(type, column)):
            wrong = next(value for value in column if type(value) not in kind.types)
        elif kind.accepts is not None and not all(map(kind.accepts, column)):
            wrong = next(value for value in column if not kind.accepts(value))
        else:
            continue
        # The value itself may be personal, so it is not quoted.
        raise StorageFormatError(
            f"{path_of(sql)}: damaged, expected {kind.expected}, got another {type(wrong).__name__}"
        )


def path_of(sql: sqlite3.Connection) -> str | os.PathLike[str]:
    """Return the file of a connection."""
    return getattr(sql, "path", "?")
