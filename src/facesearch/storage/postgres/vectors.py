"""Vectors in pgvector's binary form: read, written and copied without a detour through text."""

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
from facesearch.storage.face_rows import uuid_text
from facesearch.storage.live_index import ChangedUsers, IndexPosition, NamedVectors, VectorRows

__all__ = ["MOST_DIMENSIONS", "ServerRows", "Vector", "adapt_vectors", "matrix_of"]

MOST_DIMENSIONS: Final = 1900
"""A vector is stored in its row, plain, and a row must fit in a page of 8,192 bytes."""

_HEAD: Final = 4  # bytes before the numbers: how many, and two unused ones
_ROWS_AT_ONCE: Final = 8192
_COPY_HEAD: Final = 19  # bytes before the first row of a binary COPY
_COPY_END: Final = b"\xff\xff"
_USERS: Final = "SELECT uid, user_id, faces, vector FROM users WHERE collection = %s AND faces > 0 AND uid"
_FACES: Final = "SELECT fid, face_id, 1, vector FROM faces WHERE collection = %s AND fid"


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


def adapt_vectors(connection: "psycopg.Connection[Any]", oid: int, array_oid: int) -> None:
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
    """The rows of a collection on a server.

    Parameters
    ----------
    sql
        A connection within a transaction.
    collection
        The number of the collection.
    dimension
        Length of every vector.
    name
        The name of the server, for errors.
    """

    def __init__(self, sql: "psycopg.Connection[Any]", collection: int, dimension: int, name: str) -> None:
        self._sql, self._collection, self._dimension, self._name = sql, collection, dimension, name

    @override
    def removed_users(self, since: int) -> Iterable[int]:
        return self._numbers(
            "SELECT uid FROM gone_users WHERE collection = %s AND change > %s", self._collection, since
        )

    @override
    def changed_users(self, since: int) -> Iterator[ChangedUsers]:
        bare = "SELECT uid FROM users WHERE collection = %s AND change > %s AND faces = 0"
        query = (
            f"SELECT uid, faces::bigint, vector FROM users WHERE collection = {self._collection:d} "  # noqa: S608  # numbers
            f"AND change > {since:d} AND faces > 0 ORDER BY uid"
        )
        nothing = np.empty((0, self._dimension), np.float32)
        yield ChangedUsers(
            without_faces=self._numbers(bare, self._collection, since), numbers=(), faces=(), vectors=nothing
        )
        for rows in self._copied(query, ["uid", "faces"]):
            uids, faces, vectors = rows["uid"].tolist(), rows["faces"].tolist(), self._vectors(rows, "users")
            yield ChangedUsers(without_faces=(), numbers=uids, faces=faces, vectors=vectors)

    @override
    def removed_faces(self, since: int) -> Iterable[tuple[int, int]]:
        query = "SELECT number, fid FROM gone_faces WHERE collection = %s AND number > %s ORDER BY number"
        return self._sql.execute(query, (self._collection, since), binary=True).fetchall()

    @override
    def new_faces(self, since: int) -> Iterator[tuple[Sequence[int], FloatArray]]:
        query = (
            f"SELECT fid, vector FROM faces WHERE collection = {self._collection:d} AND fid > {since:d} "  # noqa: S608  # numbers
            "ORDER BY fid"
        )
        for rows in self._copied(query, ["fid"]):
            yield rows["fid"].tolist(), self._vectors(rows, "faces")

    @override
    def face_numbers(self) -> Iterable[int]:
        return self._numbers("SELECT fid FROM faces WHERE collection = %s", self._collection)

    @override
    def index_position(self) -> IndexPosition:
        query = "SELECT index_epoch, index_users, index_faces FROM collections WHERE id = %s"
        for epoch, users, faces in self._sql.execute(query, (self._collection,), binary=True):
            return IndexPosition(epoch=epoch and bytes(epoch), users=users, faces=faces)
        return IndexPosition()

    @override
    def last_removed_face(self) -> int:
        (number,) = self._numbers(
            "SELECT coalesce(max(number), 0) FROM gone_faces WHERE collection = %s", self._collection
        )
        return number

    @override
    def users_at(self, numbers: Iterable[int]) -> NamedVectors:
        return self._named(f"{_USERS} = ANY(%s::bigint[]) ORDER BY uid", list(numbers))

    @override
    def faces_at(self, numbers: Iterable[int]) -> NamedVectors:
        return self._named(f"{_FACES} = ANY(%s::bigint[]) ORDER BY fid", list(numbers))

    @override
    def users_after(self, number: int, limit: int) -> NamedVectors:
        return self._named(f"{_USERS} > %s ORDER BY uid LIMIT %s", number, limit)

    @override
    def faces_after(self, number: int, limit: int) -> NamedVectors:
        return self._named(f"{_FACES} > %s ORDER BY fid LIMIT %s", number, limit)

    def _named(self, query: str, *values: Any) -> NamedVectors:
        rows = self._sql.execute(query, (self._collection, *values), binary=True).fetchall()
        return NamedVectors(
            numbers=[row[0] for row in rows],
            names=[row[1] if isinstance(row[1], str) else uuid_text(row[1]) for row in rows],
            faces=[row[2] for row in rows],
            vectors=matrix_of([row[3] for row in rows], self._dimension, self._name),
        )

    def _numbers(self, query: str, *values: Any) -> list[int]:
        return [number for (number,) in self._sql.execute(query, values, binary=True)]

    def _vectors(self, rows: npt.NDArray[Any], table: str) -> FloatArray:
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
