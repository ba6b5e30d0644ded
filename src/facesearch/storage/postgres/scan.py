"""Search on the server: it ranks all rows, and the few that can be in the answer are ranked again here.

pgvector computes distances in float32. Bounds on their error select the rows that are fetched, so the answer is that of
`facesearch.matching.vector_index.VectorIndex`, to the bit.
"""

from typing import Final

import attrs
import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.matching.row_keys import NumberRows
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.storage.face_rows import uuid_text
from facesearch.storage.postgres.connections import Sessions
from facesearch.storage.postgres.vectors import Vector, matrix_of

__all__ = ["Gallery", "scan"]

_SPARE: Final = 8  # rows fetched beyond the answer, by which its end is seen to be the end

_USERS: Final = """SELECT uid, user_id, faces, vector, (vector <-> %s) ^ 2 + (%s::float8[])[faces] AS score
    FROM users WHERE collection = %s AND faces > 0 ORDER BY score LIMIT %s"""
_FACES: Final = """SELECT fid, face_id, 1, vector, (vector <-> %s) ^ 2 + (%s::float8[])[1] AS score
    FROM faces WHERE collection = %s ORDER BY score LIMIT %s"""


@attrs.frozen(kw_only=True)
class Gallery:
    """The vectors to be searched.

    Attributes
    ----------
    collection
        The number of the collection.
    dimension
        Length of the vectors.
    offsets
        What is added to squared distances from users with 1, 2, ... faces; ``None`` searches faces.
    """

    collection: int
    dimension: int
    offsets: list[float] | None


def scan(sessions: Sessions, gallery: Gallery, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
    """Find the nearest users or faces for each probe; see `facesearch.storage.store.Store.nearest`."""
    return [_scan(sessions, gallery, probe, max_distance, limit) for probe in probes]


def _scan(sessions: Sessions, gallery: Gallery, probe: FloatArray, max_distance: float, limit: int) -> Ranked:
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
            break
        most *= 2  # so many are nearly as far as the last of the answer
    if not rows:
        return [], None
    names = {number: uuid_text(name) if gallery.offsets is None else name for number, name, *_ in rows}
    index: VectorIndex[int] = VectorIndex(gallery.dimension, NumberRows(), block_rows=len(rows))
    vectors = matrix_of([vector for *_, vector, _ in rows], gallery.dimension, sessions.name)
    index.put_many(list(names), vectors, [offsets[faces - 1] for _, _, faces, *_ in rows])
    (ranked,) = index.nearest(
        probe[np.newaxis],
        max_distance=max_distance,
        limit=limit,
        names=lambda numbers: [names[number] for number in numbers],
    )
    return ranked
