"""Compare the rows in Milvus with the database, and repair them."""

from collections import defaultdict
from collections.abc import Collection
from typing import Final

import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.storage.database_store import DatabaseStore
from facesearch.storage.live_index import IndexComparison
from facesearch.storage.milvus.gallery import Gallery
from facesearch.storage.milvus.vectors import Position, Row, Vectors

__all__ = ["compare"]

_PAGE: Final = 5000  # rows compared at once
_LAST: Final = (1 << 63) - 1


def compare(
    source: DatabaseStore,
    vectors: Vectors,
    gallery: Gallery,
    owner: str,
    *,
    position: Position,
    repair: bool,
    undelivered: Collection[int] = (),
) -> IndexComparison:
    """Compare all rows in Milvus with the database; *repair* adds those that are missing and deletes the others.

    The numbers in *undelivered* are left out, since they changed after the position.
    """
    total = missing = extra = 0
    number = -1
    with_vectors = not vectors.is_coded  # vectors in 8 bits can't be compared
    while number < _LAST:
        with source.snapshot() as (rows, state):
            version = gallery.now(rows, state, position).total
            page = rows.after(gallery.kind, number, _PAGE)
        last = page.numbers[-1] if len(page.numbers) == _PAGE else _LAST
        right = dict(zip(page.numbers, gallery.rows(page.vectors, page.faces), strict=True))
        there: dict[int, list[Row]] = defaultdict(list)
        for row in vectors.rows(owner, number + 1, last, vectors=with_vectors):
            if row.number not in undelivered:
                there[row.number].append(row)
        lacking = [each for each in right if each not in undelivered and _kept(there[each], right[each]) is None]
        spare = [
            row.key
            for each, found in there.items()
            for row in found
            if row.version <= version and row is not _kept(found, right.get(each))
        ]
        if repair and lacking:
            vectors.insert(owner, version, lacking, np.stack([right[each] for each in lacking]))
            vectors.await_applied()
        if repair:
            vectors.delete_keys(spare)
        total, missing, extra, number = total + len(right), missing + len(lacking), extra + len(spare), last
    return IndexComparison(of=gallery.kind, rows=total, missing=missing, extra=extra)


def _kept(found: list[Row], right: FloatArray | None) -> Row | None:
    """Return the newest of the rows of a user or face that has the right vector."""
    if right is None:
        return None
    same = [row for row in found if row.vector is None or np.array_equal(row.vector, right)]
    return max(same, key=lambda row: row.version, default=None)
