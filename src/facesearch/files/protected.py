"""Which files no output may replace: databases in use, with all that SQLite keeps beside them, and the inputs of a command.

Files are compared by what they are, not by how they are spelt: a link, a hard link, a relative path or other letters lead to the same
file.
"""

import contextlib
import os
import stat
import unicodedata
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final, Protocol

__all__ = [
    "COMPANIONS",
    "Protected",
    "beside",
    "database_closed",
    "database_opened",
    "identity_of",
    "open_at_once",
    "part_of_database",
]

COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""

_SQLITE: Final = b"SQLite format 3\0"

Identity = tuple[int, int]
Source = str | os.PathLike[str] | BinaryIO


class HasPath(Protocol):
    """Whatever holds a database open."""

    path: Path


_open_databases: "weakref.WeakValueDictionary[int, HasPath]" = weakref.WeakValueDictionary()


def database_opened(holder: HasPath) -> None:
    """Register a database that this process uses: no output replaces it until `database_closed`, or the holder's end."""
    _open_databases[id(holder)] = holder


def database_closed(holder: HasPath) -> None:
    """End what `database_opened` began."""
    _open_databases.pop(id(holder), None)


class Protected:
    """The files that no output of a command may replace, whatever else is allowed.

    Parameters
    ----------
    inputs
        What the command reads: paths, and open files such as standard input.
    databases
        Databases that it uses, beside those that are open in this process.
    """

    def __init__(self, inputs: Iterable[Source] = (), databases: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._databases = [Path(os.path.realpath(path)) for path in databases]
        self._inputs: set[Identity | Path] = set()
        for source in inputs:
            if (identity := identity_of(source)) is not None:
                self._inputs.add(identity)
            if isinstance(source, str | os.PathLike):
                self._inputs.add(Path(os.path.realpath(source)))

    def reason(self, target: Path) -> str | None:
        """Say why a file may not be replaced; ``None`` if it may, as far as these files are concerned.

        Parameters
        ----------
        target
            Without links: see `os.path.realpath`. It need not exist.
        """
        identity = identity_of(target)
        if target in self._inputs or (identity is not None and identity in self._inputs):
            return "an input of this command"
        databases = [*self._databases, *_opened()]
        for database in databases:
            if target == database or (identity is not None and identity == identity_of(database)):
                return f"the open database {database}"
        return _part_reason(target, databases) or _in_use_reason(target)


def identity_of(source: Source) -> Identity | None:
    """Return the device and number of a file; ``None`` if it is not there, or is in memory."""
    try:
        found = Path(source).stat() if isinstance(source, str | os.PathLike) else os.fstat(source.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return found.st_dev, found.st_ino


def _opened() -> list[Path]:
    return [
        Path(os.path.realpath(holder.path))
        for reference in _open_databases.valuerefs()
        if (holder := reference()) is not None
    ]


def _part_reason(target: Path, databases: Iterable[Path]) -> str | None:
    """Say whether a file is one that SQLite keeps beside a database, or would be one if it existed."""
    identity, folder, name = identity_of(target), identity_of(target.parent), _letters(target.name)
    known = {identity_of(database) for database in databases}
    for database in databases:
        if any(
            (identity is not None and identity == identity_of(beside(database, ending)))
            or (name == _letters(database.name + ending) and folder == identity_of(database.parent))
            for ending in COMPANIONS
        ):
            return f"a part of the open database {database}"
    for ending in COMPANIONS:
        if name.endswith(ending) and len(target.name) > len(ending):
            database = target.with_name(target.name[: -len(ending)])
            # One that is open in this process is not opened: closing it would take SQLite's locks away.
            if identity_of(database) in known - {None} or _begins(database, _SQLITE):
                return f"a part of the database {database}"
    return None


def part_of_database(target: Path) -> str | None:
    """Say of which database a file is a part; ``None`` if it is none, or a database itself.

    Parameters
    ----------
    target
        Without links. It need not exist.
    """
    return _part_reason(target, _opened())


def _in_use_reason(target: Path) -> str | None:
    if any(os.path.lexists(beside(target, ending)) for ending in ("-wal", "-journal")) and _begins(target, _SQLITE):
        return "a database that another process has open, or did not close"
    return None


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file that SQLite keeps beside another."""
    return path.with_name(path.name + ending)


def _letters(name: str) -> str:
    """Return a name as file systems see it that ignore case and composition: too many names alike do no harm here."""
    return unicodedata.normalize("NFC", name).casefold()


def _begins(path: Path, start: bytes) -> bool:
    with contextlib.suppress(OSError), open(path, "rb", opener=open_at_once) as file:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(start)) == start
    return False


def open_at_once(path: str, flags: int) -> int:
    """Open a file for `open`, without waiting as a pipe makes one wait."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
