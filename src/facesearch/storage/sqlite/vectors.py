"""Read vectors from an SQLite file."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.errors import StorageFormatError
from facesearch.matching.template import LONGEST, refused_rows
from facesearch.storage.face_rows import STORED
from facesearch.storage.live_index import ChangedUsers, IndexPosition, VectorRows
from facesearch.storage.sql import COUNT, ID, VALUE, Tables
from facesearch.storage.sqlite.guarded_sql import GuardedConnection
from facesearch.storage.sqlite.schema import FORMAT

__all__ = ["TABLES", "FileRows", "read_vectors"]

TABLES: Final = Tables(
    users="users JOIN user_data USING (uid)",
    names="user_data",
    gone_users="gone",
    faces="faces JOIN face_data USING (fid)",
    # No SQL index of the collection's faces has the order of their numbers, which is that of the file.
    faces_in_order="faces CROSS JOIN face_data USING (fid) WHERE +collection",
    changes="changes JOIN change_data USING (number)",
    waiting="waiting JOIN waiting_data USING (wid)",
)

_ROWS_AT_ONCE: Final = 8192


def read_vectors(
    blobs: Sequence[Any], dimension: int, *, path: object, kind: str, numbers: Sequence[int]
) -> FloatArray:
    """Decode vectors from the bytes in the file: (N, dimension) float32, read-only.

    Parameters
    ----------
    blobs
        The values of the column.
    dimension
        Length of every vector.
    path, kind, numbers
        The file, the table and the N row numbers, for messages.

    Raises
    ------
    StorageFormatError
        If a vector has another number of bytes, is not finite, too long, or all zeros.
    """
    expected, where = dimension * STORED.itemsize, f"{path}: {kind}"
    for number, blob in zip(numbers, blobs, strict=True):
        if not isinstance(blob, bytes) or len(blob) != expected:
            raise StorageFormatError(f"{where} {number}: damaged, expected {expected} bytes of a vector")
    matrix = np.frombuffer(b"".join(blobs), STORED).reshape(len(blobs), dimension)
    native: FloatArray = matrix.astype(np.float32, copy=False)
    for place in refused_rows(native):
        raise StorageFormatError(
            f"{where} {numbers[place]}: damaged, expected finite numbers, not all zero, a vector of length {LONGEST:g} at most"
        )
    return native


class FileRows(VectorRows):
    """The rows of a collection in a file."""

    _sql: GuardedConnection

    @override
    def changed_users(self, since: int) -> Iterator[ChangedUsers]:
        query = "SELECT uid, faces, vector FROM users JOIN user_data USING (uid) WHERE collection = ? AND change > ?"
        values = (self._collection, since)
        for rows in self._sql.parts((ID, COUNT, VALUE), query, *values, size=_ROWS_AT_ONCE):
            full = [row for row in rows if row[1]]
            uids, counts, blobs = zip(*full, strict=True) if full else ((), (), ())
            yield ChangedUsers(
                without_faces=[uid for uid, faces, _ in rows if not faces],
                numbers=uids,
                faces=counts,
                vectors=self._read(blobs, "users", uids),
            )

    @override
    def new_faces(self, since: int) -> Iterator[tuple[Sequence[int], FloatArray]]:
        query = f"SELECT fid, vector FROM {TABLES.faces_in_order} = ? AND fid > ? ORDER BY fid"  # noqa: S608  # constant names
        for rows in self._sql.parts((ID, VALUE), query, self._collection, since, size=_ROWS_AT_ONCE):
            fids, blobs = zip(*rows, strict=True)
            yield fids, self._read(blobs, "faces", fids)

    @override
    def index_position(self) -> IndexPosition:
        (format_,) = self._sql.row((COUNT,), "PRAGMA user_version")
        # A file of an older format, which is only read, has none.
        return super().index_position() if format_ == FORMAT else IndexPosition()

    @override
    def _read(self, vectors: Sequence[Any], kind: str, numbers: Sequence[int]) -> FloatArray:
        return read_vectors(vectors, self._dimension, path=self._name, kind=kind, numbers=numbers)
