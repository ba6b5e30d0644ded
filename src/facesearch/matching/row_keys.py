"""Which row of a growing matrix is whose.

Rows are numbered from 0 without holes: a new key gets the next one, and the row of a key that goes is taken by the last. A
collection in memory keeps its users by their ids (`NameRows`). One on disk keeps them by the numbers of their rows there
(`NumberRows`), and the ids stay on disk: in memory, a million Python objects would take as much room as the vectors.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["NameRows", "NumberRows", "RowKeys", "Rows"]

K = TypeVar("K")
Rows = npt.NDArray[np.int64]

_GONE = -1
# Small enough to take no memory that matters, large enough that tidying up is rare.
_UNTIDY = 1024


class RowKeys(Protocol[K]):
    """Keys and their rows."""

    def __len__(self) -> int:
        """How many rows there are."""

    def row(self, key: K) -> int | None:
        """Give the row of a key, ``None`` where it has none."""

    def claim(self, keys: Sequence[K]) -> Rows:
        """Give the rows of keys, in their order; those that have none get the next ones."""

    def remove(self, key: K) -> None:
        """Forget a key that has a row; the last row's key takes that."""

    def keys(self, rows: Rows) -> Sequence[K]:
        """Give the keys of rows, in their order."""


class NameRows:
    """Keys that are themselves names.

    Examples
    --------
    >>> keys = NameRows()
    >>> keys.claim(["ada", "bob", "ada"])
    array([0, 1, 0])
    >>> keys.remove("ada")
    >>> keys.row("bob")
    0
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def row(self, key: str) -> int | None:
        """See `RowKeys.row`."""
        return self._rows.get(key)

    def claim(self, keys: Sequence[str]) -> Rows:
        """See `RowKeys.claim`."""
        for key in keys:
            if key not in self._rows:
                self._rows[key] = len(self._names)
                self._names.append(key)
        return np.array([self._rows[key] for key in keys], np.int64)

    def remove(self, key: str) -> None:
        """See `RowKeys.remove`."""
        row, last = self._rows[key], self._names[-1]
        self._names[row] = last
        self._rows[last] = row
        self._names.pop()
        del self._rows[key]

    def keys(self, rows: Rows) -> Sequence[str]:
        """See `RowKeys.keys`."""
        return [self._names[row] for row in rows.tolist()]


class NumberRows:
    """Keys that are whole numbers within 64 bits, at 24 bytes each.

    Notes
    -----
    Keys that come in rising order, as the row ids of a database do, lie in two sorted arrays and cost a bisection to find.
    Strays, smaller than one that came before, wait in a dictionary until they are an eighth, and then all is sorted anew. So
    it neither matters which numbers they are nor how many have gone.

    Examples
    --------
    >>> keys = NumberRows()
    >>> keys.claim([7, 9, 8])
    array([0, 1, 2])
    >>> keys.remove(7)
    >>> keys.row(8), keys.keys(np.array([0, 1]))
    (0, [8, 9])
    """

    def __init__(self) -> None:
        self._keys = array("q")  # by row
        self._sorted = array("q")
        self._rows = array("q")  # of each of the sorted, or _GONE
        self._strays: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def row(self, key: int) -> int | None:
        """See `RowKeys.row`."""
        place = self._place(key)
        if place is None:
            return self._strays.get(key)
        row = self._rows[place]
        return None if row == _GONE else row

    def claim(self, keys: Sequence[int]) -> Rows:
        """See `RowKeys.claim`; rising keys above all that were there take next to no time."""
        wanted = np.asarray(keys, np.int64)
        if len(wanted) and (not self._sorted or wanted[0] > self._sorted[-1]) and (wanted[1:] > wanted[:-1]).all():
            rows = np.arange(len(self), len(self) + len(wanted))
            for grown, new in ((self._keys, wanted), (self._sorted, wanted), (self._rows, rows)):
                grown.frombytes(new.tobytes())
            return rows
        found = []
        for key in wanted.tolist():
            row = self.row(key)
            if row is None:
                row = len(self)
                self._keys.append(key)
                self._place_at(key, row)
                self._tidy()
            found.append(row)
        return np.array(found, np.int64)

    def remove(self, key: int) -> None:
        """See `RowKeys.remove`."""
        row = self.row(key)
        if row is None:
            raise KeyError(key)
        last = self._keys[-1]
        self._keys[row] = last
        self._place_at(last, row)
        self._keys.pop()
        if self._place(key) is None:
            del self._strays[key]
        else:
            self._place_at(key, _GONE)
        self._tidy()

    def keys(self, rows: Rows) -> Sequence[int]:
        """See `RowKeys.keys`."""
        return [self._keys[row] for row in rows.tolist()]

    def all(self) -> Rows:
        """Give a copy of all keys, by row: (N,)."""
        return np.array(self._keys, np.int64)

    def _place(self, key: int) -> int | None:
        place = bisect_left(self._sorted, key)
        return place if place < len(self._sorted) and self._sorted[place] == key else None

    def _place_at(self, key: int, row: int) -> None:
        place = self._place(key)
        if place is not None:
            self._rows[place] = row
        elif not self._sorted or key > self._sorted[-1]:
            self._sorted.append(key)
            self._rows.append(row)
        else:
            self._strays[key] = row

    def _tidy(self) -> None:
        if len(self._strays) <= max(_UNTIDY, len(self) // 8) and len(self._sorted) <= 2 * len(self) + _UNTIDY:
            return
        keys = np.array(self._keys)
        rows = np.argsort(keys, kind="stable")
        self._sorted = array("q", keys[rows].tobytes())
        self._rows = array("q", rows.astype(np.int64).tobytes())
        self._strays = {}
