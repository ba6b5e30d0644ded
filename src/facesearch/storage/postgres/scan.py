"""Search on the server: it ranks rows, and the few that can be in the answer are ranked again here.

By default it compares the probe with all rows. pgvector computes distances in float32; bounds on their error select the rows that are
fetched, so the answer is that of `facesearch.matching.vector_index.VectorIndex`, to the bit. The approximate search reads an HNSW index,
see `facesearch.storage.postgres.hnsw`: it can miss rows, but the distances of those it returns are exact.
"""

from collections.abc import Sequence
from typing import Any, Final

import attrs
import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.matching.row_keys import NumberRows
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.storage.face_rows import uuid_text
from facesearch.storage.postgres.connections import Sessions
from facesearch.storage.postgres.hnsw import indexed_vector
from facesearch.storage.postgres.vectors import Vector, matrix_of

__all__ = ["Gallery", "scan"]

_SPARE: Final = 8  # rows fetched beyond the answer, by which its end is seen to be the end
_OVERFETCH: Final = 4  # times the answer that the index is asked for: it ranks without offsets
_FEWEST: Final = 100  # rows that the index is asked for
_MOST_CANDIDATES: Final = 1000  # pgvector's limit of hnsw.ef_search
_FEWEST_CANDIDATES: Final = 400

_USERS: Final = """SELECT uid, user_id, faces, vector, (vector <-> %s) ^ 2 + (%s::float8[])[faces] AS score
    FROM users WHERE collection = %s AND faces > 0 ORDER BY score LIMIT %s"""
_FACES: Final = """SELECT fid, face_id, 1, vector, (vector <-> %s) ^ 2 + (%s::float8[])[1] AS score
    FROM faces WHERE collection = %s ORDER BY score LIMIT %s"""


@attrs.frozen(kw_only=True)
class Gallery:
    """The vectors to be searched."""

    collection: int  # the number of the collection
    dimension: int
    offsets: list[float] | None  # added to squared distances from users with 1, 2, ... faces; None searches faces
    exact: bool = True  # compare all rows; otherwise read the HNSW index


def scan(sessions: Sessions, gallery: Gallery, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
    """Find the nearest users or faces for each probe; see `facesearch.storage.store.Store.nearest`."""
    rows_of = _all_rows if gallery.exact else _indexed_rows
    return [
        _ranked(
            sessions,
            gallery,
            probe,
            rows_of(sessions, gallery, probe, limit),
            max_distance=max_distance,
            limit=limit,
        )
        for probe in probes
    ]


def _all_rows(sessions: Sessions, gallery: Gallery, probe: FloatArray, limit: int) -> list[Any]:
    """Return the rows that can be in the answer."""
    offsets = [0.0] if gallery.offsets is None else gallery.offsets
    query = _FACES if gallery.offsets is None else _USERS
    # The error of a squared distance is less than half of this share of it (Higham 2002, section 3.1), and float32's underflow.
    unit = 2 * (gallery.dimension + 4) * float(np.finfo(np.float32).eps)
    tiny = (gallery.dimension + 4) * float(np.finfo(np.float32).tiny)
    most = limit + 1 + _SPARE
    while True:
        with sessions.committed() as sql:
            sql.execute("SET LOCAL enable_seqscan = on")
            rows = sql.execute(query, (Vector(probe), offsets, gallery.collection, most), binary=True).fetchall()
        # One more than the limit: the next.
        if len(rows) < most or rows[-1][-1] > (rows[limit][-1] * (1 + unit) + 2 * tiny) / (1 - unit):
            return [row[:-1] for row in rows]
        most *= 2  # so many are nearly as far as the last of the answer


def _indexed_rows(sessions: Sessions, gallery: Gallery, probe: FloatArray, limit: int) -> list[Any]:
    """Return the nearest rows that the index finds."""
    most = max(_FEWEST, _OVERFETCH * (limit + 1))
    distance = f"{indexed_vector(gallery.dimension)} <-> %s"
    # The number is a part of the statement, so that the planner knows the index of this collection.
    where = f"WHERE collection = {gallery.collection:d} ORDER BY {distance} LIMIT %s"
    columns = (
        "fid, face_id, 1, vector FROM faces" if gallery.offsets is None else "uid, user_id, faces, vector FROM users"
    )
    with sessions.committed() as sql:
        candidates = min(max(_FEWEST_CANDIDATES, most), _MOST_CANDIDATES)
        # Without the index, the planner would have to sort.
        sql.execute(
            f"SET LOCAL enable_sort = off; SET LOCAL hnsw.ef_search = {candidates:d}; "
            "SET LOCAL hnsw.iterative_scan = relaxed_order"
        )
        return sql.execute(f"SELECT {columns} {where}", (Vector(probe), most), binary=True).fetchall()


def _ranked(
    sessions: Sessions, gallery: Gallery, probe: FloatArray, rows: Sequence[Any], *, max_distance: float, limit: int
) -> Ranked:
    """Rank rows by their exact distances."""
    if not rows:
        return [], None
    offsets = [0.0] if gallery.offsets is None else gallery.offsets
    names = {number: uuid_text(name) if gallery.offsets is None else name for number, name, *_ in rows}
    index: VectorIndex[int] = VectorIndex(gallery.dimension, NumberRows(), block_rows=len(rows))
    vectors = matrix_of([vector for *_, vector in rows], gallery.dimension, sessions.name)
    index.put_many(list(names), vectors, [offsets[faces - 1] for _, _, faces, _ in rows])
    (ranked,) = index.nearest(
        probe[np.newaxis],
        max_distance=max_distance,
        limit=limit,
        names=lambda numbers: [names[number] for number in numbers],
    )
    return ranked
