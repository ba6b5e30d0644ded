"""Read labelled pairs of photos from a CSV file."""

import csv
from pathlib import Path

import attrs
import numpy as np
from attrs import field

from facesearch.benchmark.metrics.roc import BoolArray, IntArray
from facesearch.common.equality import content
from facesearch.common.validation import is_a, tuple_of
from facesearch.errors import InvalidParameterError

__all__ = ["Pairs", "read_pairs"]

_COLUMNS = ("a", "b", "same", "fold")


@attrs.frozen(kw_only=True)
class Pairs:
    """Pairs of photos, each labelled.

    Attributes
    ----------
    source
        The file they were read from.
    photos
        P paths, each once, in the order in which they are first named.
    first, second
        (N,) int64: the pair's rows in *photos*.
    same
        (N,) bool: whether both show one person.
    fold
        (N,) int64, >= 0.
    """

    source: Path = field(validator=is_a(Path))
    photos: tuple[Path, ...] = field(repr=False, validator=tuple_of(Path))
    first: IntArray = field(repr=False, eq=content)
    second: IntArray = field(repr=False, eq=content)
    same: BoolArray = field(repr=False, eq=content)
    fold: IntArray = field(repr=False, eq=content)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.same)


def read_pairs(path: str | Path) -> Pairs:
    r"""Read labelled pairs.

    Parameters
    ----------
    path
        A CSV file with a header and the columns a, b (files, relative to its folder; a bare name may also lie in one of the
        folder's sub-folders), same (1 or 0) and fold (a whole number >= 0). Other columns are ignored.

    Returns
    -------
    Pairs
        In the file's order.

    Raises
    ------
    InvalidParameterError
        If there is no such file, a column is missing, or a line is invalid; the message names it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = [(folder / name).touch() for name in ("1.jpg", "2.jpg", "3.jpg")]
    >>> _ = (folder / "pairs.csv").write_text("a,b,same,fold\n1.jpg,2.jpg,1,0\n1.jpg,3.jpg,0,1\n")
    >>> pairs = read_pairs(folder / "pairs.csv")
    >>> len(pairs), len(pairs.photos), pairs.same.tolist()
    (2, 3, [True, False])
    """
    source = Path(path)
    try:
        with source.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise InvalidParameterError(f"{source}: expected the columns {', '.join(_COLUMNS)}; no {missing[0]}")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidParameterError(f"{source}: expected a CSV file of pairs, got {error}") from error
    if not rows:
        raise InvalidParameterError(f"{source}: expected one or more pairs, got none")
    photos = _Photos(source)
    return Pairs(
        source=source,
        first=np.array([photos.row(row["a"], line) for line, row in rows], np.int64),
        second=np.array([photos.row(row["b"], line) for line, row in rows], np.int64),
        same=np.array([_whole(source, line, "same", row["same"], most=1) for line, row in rows], bool),
        fold=np.array([_whole(source, line, "fold", row["fold"]) for line, row in rows], np.int64),
        photos=tuple(photos.paths),
    )


class _Photos:
    """Finds the files and numbers them in the order of first use."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._rows: dict[Path, int] = {}
        self._below: dict[str, list[Path]] = {}
        for path in sorted(source.parent.glob("*/*")):
            self._below.setdefault(path.name, []).append(path)

    @property
    def paths(self) -> list[Path]:
        return list(self._rows)

    def row(self, name: str | None, line: int) -> int:
        found = self._source.parent / (name or "")
        if name and not found.is_file():
            there = self._below.get(name, [])
            if len(there) > 1:
                raise InvalidParameterError(
                    f"{self._source}, line {line}: {name!r} lies in {len(there)} folders; name one of them"
                )
            found = there[0] if there else found
        if not name or not found.is_file():
            raise InvalidParameterError(f"{self._source}, line {line}: expected a photo, got {name!r}")
        return self._rows.setdefault(found, len(self._rows))


def _whole(source: Path, line: int, column: str, text: str | None, most: int | None = None) -> int:
    number = int(text) if text and text.isascii() and text.isdigit() else -1
    if number < 0 or (most is not None and number > most):
        expected = "a whole number >= 0" if most is None else f"0 or {most}"
        raise InvalidParameterError(f"{source}, line {line}: {column}: expected {expected}, got something else")
    return number
