"""Connections, and vectors in pgvector's binary form: read, written and copied without a detour through text."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.errors import StorageFormatError
from facesearch.matching.template import LONGEST, refused_rows
from facesearch.storage.live_index import ChangedUsers, VectorRows
from facesearch.storage.sql import Kind, Tables

__all__ = ["MOST_DIMENSIONS", "TABLES", "Connection", "ServerRows", "Vector", "adapt_vectors", "matrix_of", "spelt"]

MOST_DIMENSIONS: Final = 1900
"""A vector is stored in its row, plain, and a row must fit in a page of 8,192 bytes."""

_HEAD: Final = 4  # bytes before the numbers: how many, and two unused ones
_ROWS_AT_ONCE: Final = 8192
_AT_ONCE: Final = 1000  # rows with columns of Python
_COPY_HEAD: Final = 19  # bytes before the first row of a binary COPY
_COPY_END: Final = b"\xff\xff"

_cursors: Final = itertools.count()

TABLES: Final = Tables(
    users="users",
    names="users",
    gone_users="gone_users",
    faces="faces",
    faces_in_order="faces WHERE collection",
    changes="changes",
    waiting="(SELECT 0 AS wid, * FROM waiting) AS waiting",  # they have no numbers
)


@functools.cache
def spelt(statement: str) -> str:
    """Return a statement with PostgreSQL's places of values and lists: see `facesearch.storage.sql`."""
    return statement.replace("IN (*)", "= ANY(%s)").replace("IS ?", "IS NOT DISTINCT FROM %s").replace("?", "%s")


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that takes the statements of `facesearch.storage.sql` too."""

    def rows(self, _: Sequence[Kind], query: str, *values: Any) -> list[Any]:
        """Return all rows of a query."""
        return self.execute(spelt(query), values, binary=True).fetchall()

    def parts(self, _: Sequence[Kind], query: str, *values: Any) -> Iterator[list[Any]]:
        """Yield the rows of a query, some hundred at a time."""
        with self.cursor(name=f"facesearch_{next(_cursors)}") as cursor:
            cursor.execute(spelt(query), values, binary=True)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield rows

    def among(self, kinds: Sequence[Kind], query: str, values: Iterable[Any], *first: Any) -> list[Any]:
        """Return the rows that have one of many values, written ``(*)`` in the query."""
        return self.rows(kinds, query, *first, list(values))

    def change(self, statement: str, *values: Any) -> int:
        """Execute a statement, and return the number of rows that it changed."""
        return self.execute(spelt(statement), values).rowcount

    def change_among(self, statement: str, values: Iterable[Any], *first: Any) -> None:
        """Execute a statement on the rows that have one of many values, written ``(*)``."""
        self.change(statement, *first, list(values))


class Vector:
    """A vector as a parameter of a statement."""

    def __init__(self, numbers: FloatArray) -> None:
        self.numbers = numbers


class _VectorDumper(Dumper):
    format = Format.BINARY

    @override
    def dump(self, obj: Vector) -> Buffer:
        return len(obj.numbers).to_bytes(2, "big") + b"\0\0" + obj.numbers.astype(">f4").tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    @override
    def load(self, data: Buffer) -> bytes:
        return bytes(data)[_HEAD:]


def adapt_vectors(connection: Connection, oid: int, array_oid: int) -> None:
    """Register `Vector` for writing, and bytes for reading vectors, see `matrix_of`; the oids are those of pgvector's types."""
    connection.adapters.register_dumper(Vector, type("VectorDumper", (_VectorDumper,), {"oid": oid}))
    connection.adapters.register_loader(oid, _VectorLoader)
    connection.adapters.types.add(TypeInfo("vector", oid, array_oid))  # by name for COPY


def matrix_of(stored: Sequence[bytes], dimension: int, where: str) -> FloatArray:
    """Return vectors that a connection read: (N, dimension) float32.

    Raises
    ------
    StorageFormatError
        If a vector has another length, or can't be an embedding; the message begins with *where*.
    """
    if any(len(each) != 4 * dimension for each in stored):
        raise StorageFormatError(f"{where}: damaged, expected vectors of {dimension} numbers")
    return _checked(np.frombuffer(b"".join(stored), ">f4").reshape(len(stored), dimension), where)


def _checked(matrix: npt.NDArray[Any], where: str) -> FloatArray:
    native: FloatArray = matrix.astype(np.float32)
    if refused_rows(native):
        raise StorageFormatError(
            f"{where}: damaged, expected finite numbers, not all zero, vectors of length {LONGEST:g} at most"
        )
    return native


class ServerRows(VectorRows):
    """The rows of a collection on a server, with vectors in pgvector's binary form."""

    _sql: Connection

    @override
    def changed_users(self, since: int) -> Iterator[ChangedUsers]:
        bare = "SELECT uid FROM users WHERE collection = %s AND change > %s AND faces = 0"
        without_faces = [uid for (uid,) in self._sql.execute(bare, (self._collection, since), binary=True)]
        query = (
            f"SELECT uid, faces::bigint, vector FROM users WHERE collection = {self._collection:d} "  # noqa: S608  # numbers
            f"AND change > {since:d} AND faces > 0 ORDER BY uid"
        )
        nothing = np.empty((0, self._dimension), np.float32)
        yield ChangedUsers(without_faces=without_faces, numbers=(), faces=(), vectors=nothing)
        for rows in self._copied(query, ["uid", "faces"]):
            uids, faces, vectors = rows["uid"].tolist(), rows["faces"].tolist(), self._copied_vectors(rows, "users")
            yield ChangedUsers(without_faces=(), numbers=uids, faces=faces, vectors=vectors)

    @override
    def new_faces(self, since: int) -> Iterator[tuple[Sequence[int], FloatArray]]:
        query = (
            f"SELECT fid, vector FROM faces WHERE collection = {self._collection:d} AND fid > {since:d} "  # noqa: S608  # numbers
            "ORDER BY fid"
        )
        for rows in self._copied(query, ["fid"]):
            yield rows["fid"].tolist(), self._copied_vectors(rows, "faces")

    @override
    def _read(self, vectors: Sequence[Any], kind: str, numbers: Sequence[int]) -> FloatArray:
        return matrix_of(vectors, self._dimension, f"{self._name}: {kind}")

    def _copied_vectors(self, rows: npt.NDArray[Any], table: str) -> FloatArray:
        if (rows["length"] != self._dimension).any():
            raise StorageFormatError(f"{self._name}: {table}: damaged, expected vectors of {self._dimension} numbers")
        return _checked(rows["vector"], f"{self._name}: {table}")

    def _copied(self, query: str, numbers: Sequence[str]) -> Iterator[npt.NDArray[Any]]:
        """Yield the rows of a query, some thousand at a time: columns of 8-byte numbers, then a vector."""
        row = np.dtype(
            [
                ("columns", ">i2"),
                *itertools.chain.from_iterable(((f"{name} bytes", ">i4"), (name, ">i8")) for name in numbers),
                ("vector bytes", ">i4"),
                ("length", ">i2"),
                ("unused", ">i2"),
                ("vector", ">f4", self._dimension),
            ]
        )
        with self._sql.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
            parts = iter(copy)
            rest = bytes(next(parts, b""))[_COPY_HEAD:]
            while some := list(itertools.islice(parts, _ROWS_AT_ONCE)):
                rest += b"".join(some)
                whole = len(rest) // row.itemsize
                yield np.frombuffer(rest, row, whole)
                rest = rest[whole * row.itemsize :]
        if whole_rest := len(rest) // row.itemsize:
            yield np.frombuffer(rest, row, whole_rest)
        if rest[whole_rest * row.itemsize :] not in {b"", _COPY_END}:
            raise StorageFormatError(f"{self._name}: damaged, expected vectors of {self._dimension} numbers")
