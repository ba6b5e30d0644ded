"""Statements that a file and a server understand, the connections that execute them, and the values that a file may have in a column.

In a statement, ``?`` stands for a value, and ``(*)``, which comes after all of these, for a list of values.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, TypeVar

import attrs

__all__ = ["BLOB", "COUNT", "ID", "TEXT", "UUID_BYTES", "VALUE", "Connections", "Kind", "Sql", "Tables", "in_parts"]

T = TypeVar("T")

_LARGEST_ID: Final = 1 << 62  # half of SQLite's range, so that the next number is still a whole one
_LARGEST_COUNT: Final = 1 << 40
_UUID_BYTES: Final = 16


@attrs.frozen
class Kind:
    """The values that a column may hold."""

    expected: str  # description for error messages
    types: frozenset[type]  # subclasses are refused
    accepts: Callable[[Any], bool] | None = None  # predicate on values of these types; None accepts all

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


class Sql(Protocol):
    """A connection within a transaction."""

    def rows(self, kinds: Sequence[Kind], query: str, *values: Any) -> list[Any]:
        """Return all rows of a query; a server checks the types of its columns itself."""

    def parts(self, kinds: Sequence[Kind], query: str, *values: Any) -> Iterator[list[Any]]:
        """Yield the rows of a query, some hundred at a time."""

    def among(self, kinds: Sequence[Kind], query: str, values: Iterable[Any], *first: Any) -> list[Any]:
        """Return the rows that have one of many values."""

    def change(self, statement: str, *values: Any) -> int:
        """Execute a statement, and return the number of rows that it changed."""

    def change_among(self, statement: str, values: Iterable[Any], *first: Any) -> None:
        """Execute a statement on the rows that have one of many values."""


class Connections(Protocol):
    """The connections of this process to a file or server: the `Sessions` of `facesearch.storage.sqlite` and `facesearch.storage.postgres`."""

    name: str

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""

    def reading(self) -> AbstractContextManager[Sql]:
        """Yield a connection that reads one committed state, and within `writing` the uncommitted changes too."""

    def committed(self) -> AbstractContextManager[Sql]:
        """Yield a connection that reads one committed state, even within `writing`."""

    def writing(self) -> AbstractContextManager[Sql]:
        """Yield a connection in a write transaction: durable when the block ends, rolled back if the block raises."""

    def committed_among(self, kinds: Sequence[Kind], query: str, values: Sequence[Any]) -> list[Any]:
        """Return rows of the last committed state, as `Sql.among` does."""

    def is_writing(self) -> bool:
        """Check whether this thread is within `writing`."""

    def is_mine(self) -> bool:
        """Check whether this thread is within a block."""

    def check_free(self) -> None:
        """Check that this thread holds no read transaction, within which it would wait for others."""

    def close(self) -> None:
        """Close the connections."""


@attrs.frozen(kw_only=True)
class Tables:
    """The tables that the two databases name in different ways."""

    users: str  # with their ids and vectors
    names: str  # the ids of users alone
    gone_users: str  # users that were removed
    faces: str  # with their vectors and the columns of `facesearch.storage.face_rows.PERSONAL`
    faces_in_order: str  # of their row numbers, with the column that is to be the number of the collection
    changes: str  # with their JSON
    waiting: str  # waiting photos with their faces


def in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield items in lists of at most *size*."""
    each = iter(items)
    while part := list(itertools.islice(each, size)):
        yield part
