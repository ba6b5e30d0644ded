"""Read vectors from an SQLite file."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.domain.entities import USER_ID_PATTERN
from facesearch.errors import StorageFormatError
from facesearch.matching.template import LONGEST, refused_rows
from facesearch.storage.face_rows import STORED, in_parts, uuid_text
from facesearch.storage.live_index import ChangedUsers, IndexPosition, NamedVectors, VectorRows
from facesearch.storage.sqlite.guarded_sql import (
    BLOB,
    COUNT,
    ID,
    UUID_BYTES,
    VALUE,
    Kind,
    fetch,
    fetch_one,
    fetch_parts,
    path_of,
)
from facesearch.storage.sqlite.schema import FORMAT

__all__ = ["AT_ONCE", "USER_ID", "FileRows", "among", "read_vectors"]

AT_ONCE: Final = 500
"""Values in a statement; every SQLite takes 999."""
USER_ID: Final = Kind.matching(USER_ID_PATTERN, 128)

_ROWS_AT_ONCE: Final = 8192
_USERS: Final = """SELECT uid, user_id, faces, vector FROM users JOIN user_data USING (uid)
    WHERE collection = ? AND faces > 0 AND uid"""
_USER_KINDS: Final = (ID, USER_ID, COUNT, VALUE)
# By row number, the order of the file: no SQL index of the collection's faces has that order.
_FACES: Final = """SELECT fid, face_id, 1, vector FROM faces CROSS JOIN face_data USING (fid)
    WHERE +collection = ? AND fid"""
_FACE_KINDS: Final = (ID, UUID_BYTES, COUNT, VALUE)


def among(sql: sqlite3.Connection, kinds: Sequence[Kind], query: str, values: Iterable[Any], *first: Any) -> list[Any]:
    """Fetch the rows that have one of many values, written ``(*)`` in the query."""
    return [
        row
        for some in in_parts(values, AT_ONCE)
        for row in fetch(sql, kinds, query.replace("(*)", f"({', '.join('?' * len(some))})"), (*first, *some))
    ]


def read_vectors(blobs: Sequence[bytes | None], dimension: int, name_of: Callable[[int], str]) -> FloatArray:
    """Decode vectors from the bytes in the file: (N, dimension) float32, read-only.

    Raises
    ------
    StorageFormatError
        If a vector has another number of bytes, is not finite, too long, or all zeros; the message names it by *name_of* (its position).
    """
    expected = dimension * STORED.itemsize
    whole = [blob for blob in blobs if isinstance(blob, bytes) and len(blob) == expected]
    if len(whole) < len(blobs):
        place = next(place for place, blob in enumerate(blobs) if not isinstance(blob, bytes) or len(blob) != expected)
        raise StorageFormatError(f"{name_of(place)}: damaged, expected {expected} bytes of a vector")
    matrix = np.frombuffer(b"".join(whole), STORED).reshape(len(whole), dimension)
    native: FloatArray = matrix.astype(np.float32, copy=False)
    for place in refused_rows(native):
        raise StorageFormatError(
            f"{name_of(place)}: damaged, expected finite numbers, not all zero, a vector of length {LONGEST:g} at most"
        )
    return native


class FileRows(VectorRows):
    """The rows of a collection in a file.

    Parameters
    ----------
    sql
        A connection within a transaction.
    collection
        The collection's number in the file.
    dimension
        Length of every vector.
    """

    def __init__(self, sql: sqlite3.Connection, collection: int, dimension: int) -> None:
        self._sql, self._collection, self._dimension = sql, collection, dimension

    @override
    def removed_users(self, since: int) -> Iterable[int]:
        query = "SELECT uid FROM gone WHERE collection = ? AND change > ?"
        return [uid for (uid,) in fetch(self._sql, (ID,), query, (self._collection, since))]

    @override
    def changed_users(self, since: int) -> Iterator[ChangedUsers]:
        query = "SELECT uid, faces, vector FROM users JOIN user_data USING (uid) WHERE collection = ? AND change > ?"
        values = (self._collection, since)
        for rows in fetch_parts(self._sql, (ID, COUNT, VALUE), query, values, size=_ROWS_AT_ONCE):
            full = [row for row in rows if row[1]]
            uids, counts, blobs = zip(*full, strict=True) if full else ((), (), ())
            yield ChangedUsers(
                without_faces=[uid for uid, faces, _ in rows if not faces],
                numbers=uids,
                faces=counts,
                vectors=self._read(blobs, "user_data", uids),
            )

    @override
    def removed_faces(self, since: int) -> Iterable[tuple[int, int]]:
        query = "SELECT number, fid FROM gone_faces WHERE number > ? AND collection = ? ORDER BY number"
        return [(number, fid) for number, fid in fetch(self._sql, (ID, ID), query, (since, self._collection))]

    @override
    def new_faces(self, since: int) -> Iterator[tuple[Sequence[int], FloatArray]]:
        # By row number, the order of the file, and only the new rows: no SQL index of the collection's faces has that order.
        query = """SELECT fid, vector FROM faces CROSS JOIN face_data USING (fid)
            WHERE fid > ? AND +collection = ? ORDER BY fid"""
        for rows in fetch_parts(self._sql, (ID, VALUE), query, (since, self._collection), size=_ROWS_AT_ONCE):
            fids, blobs = zip(*rows, strict=True)
            yield fids, self._read(blobs, "face_data", fids)

    @override
    def face_numbers(self) -> Iterable[int]:
        query = "SELECT fid FROM faces WHERE collection = ?"
        return [fid for (fid,) in fetch(self._sql, (ID,), query, (self._collection,))]

    @override
    def index_position(self) -> IndexPosition:
        (format_,) = fetch_one(self._sql, (COUNT,), "PRAGMA user_version")
        if format_ < FORMAT:  # of an older format, which is only read
            return IndexPosition()
        query = "SELECT index_epoch, index_users, index_faces FROM collections WHERE id = ?"
        epoch, users, faces = fetch_one(self._sql, (BLOB.or_null, ID, ID), query, (self._collection,))
        return IndexPosition(epoch=epoch, users=users, faces=faces)

    @override
    def last_removed_face(self) -> int:
        query = "SELECT coalesce(max(number), 0) FROM gone_faces WHERE collection = ?"
        (number,) = fetch_one(self._sql, (ID,), query, (self._collection,))
        return int(number)

    @override
    def users_at(self, numbers: Iterable[int]) -> NamedVectors:
        return self._named(among(self._sql, _USER_KINDS, f"{_USERS} IN (*)", numbers, self._collection), "user_data")

    @override
    def faces_at(self, numbers: Iterable[int]) -> NamedVectors:
        return self._named(among(self._sql, _FACE_KINDS, f"{_FACES} IN (*)", numbers, self._collection), "face_data")

    @override
    def users_after(self, number: int, limit: int) -> NamedVectors:
        query = f"{_USERS} > ? ORDER BY uid LIMIT ?"
        return self._named(fetch(self._sql, _USER_KINDS, query, (self._collection, number, limit)), "user_data")

    @override
    def faces_after(self, number: int, limit: int) -> NamedVectors:
        query = f"{_FACES} > ? ORDER BY fid LIMIT ?"
        return self._named(fetch(self._sql, _FACE_KINDS, query, (self._collection, number, limit)), "face_data")

    def _named(self, rows: list[Any], table: str) -> NamedVectors:
        numbers, names, faces, blobs = zip(*sorted(rows), strict=True) if rows else ((), (), (), ())
        return NamedVectors(
            numbers=numbers,
            names=[name if isinstance(name, str) else uuid_text(name) for name in names],
            faces=faces,
            vectors=self._read(blobs, table, numbers),
        )

    def _read(self, blobs: Sequence[bytes], table: str, numbers: Sequence[int]) -> FloatArray:
        return read_vectors(blobs, self._dimension, lambda place: f"{path_of(self._sql)}: {table} {numbers[place]}")
