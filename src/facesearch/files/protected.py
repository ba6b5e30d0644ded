"""Files that no output may replace: databases in use, with SQLite's files beside them, and the inputs of a command.

Files are compared by device and inode, not by path: a link, a hard link, a relative path or a different case can lead to the same file.
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
    """An object that holds a database open."""

    path: Path


_open_databases: "weakref.WeakValueDictionary[int, HasPath]" = weakref.WeakValueDictionary()


def database_opened(holder: HasPath) -> None:
    """Register an open database: no output replaces it until `database_closed`, or until the holder is garbage collected."""
    _open_databases[id(holder)] = holder


def database_closed(holder: HasPath) -> None:
    """Unregister a database."""
    _open_databases.pop(id(holder), None)


class Protected:
    """The files that no output of a command may replace, even with ``overwrite=True``.

    Parameters
    ----------
    inputs
        Files that the command reads: paths, and open files such as standard input.
    databases
        Databases that it uses, in addition to those open in this process.
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
        """Return the reason why a file, at a path without links, may not be replaced; ``None`` if it is none of these files."""
        identity = identity_of(target)
        if target in self._inputs or (identity is not None and identity in self._inputs):
            return "an input of this command"
        databases = [*self._databases, *_open_paths()]
        for database in databases:
            if target == database or (identity is not None and identity == identity_of(database)):
                return f"the open database {database}"
        return _part_reason(target, databases) or _in_use_reason(target)


def identity_of(source: Source) -> Identity | None:
    """Return device and inode of a file; ``None`` if it does not exist or is in memory."""
    try:
        found = Path(source).stat() if isinstance(source, str | os.PathLike) else os.fstat(source.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return found.st_dev, found.st_ino


def _open_paths() -> list[Path]:
    return [
        Path(os.path.realpath(holder.path))
        for reference in _open_databases.valuerefs()
        if (holder := reference()) is not None
    ]


def _part_reason(target: Path, databases: Iterable[Path]) -> str | None:
    """Return the reason if a path is that of a file that SQLite keeps beside a database, whether it exists or not."""
    identity, folder, name = identity_of(target), identity_of(target.parent), _normalized(target.name)
    known = {identity_of(database) for database in databases}
    for database in databases:
        if any(
            (identity is not None and identity == identity_of(beside(database, ending)))
            or (name == _normalized(database.name + ending) and folder == identity_of(database.parent))
            for ending in COMPANIONS
        ):
            return f"a part of the open database {database}"
    for ending in COMPANIONS:
        if name.endswith(ending) and len(target.name) > len(ending):
            database = target.with_name(target.name[: -len(ending)])
            # A database that is open in this process is not read: closing it would release SQLite's locks.
            if identity_of(database) in known - {None} or _starts_with(database, _SQLITE):
                return f"a part of the database {database}"
    return None


def part_of_database(target: Path) -> str | None:
    """Return the database that a file, at a path without links, is a part of, as a phrase; ``None`` if it is no part of one."""
    return _part_reason(target, _open_paths())


def _in_use_reason(target: Path) -> str | None:
    if any(os.path.lexists(beside(target, ending)) for ending in ("-wal", "-journal")) and _starts_with(
        target, _SQLITE
    ):
        return "a database that another process has open, or did not close"
    return None


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file that SQLite keeps beside another."""
    return path.with_name(path.name + ending)


def _normalized(name: str) -> str:
    """Normalize a name as file systems without case and composition do: treating too many names as equal does no harm."""
    return unicodedata.normalize("NFC", name).casefold()


def _starts_with(path: Path, start: bytes) -> bool:
    with contextlib.suppress(OSError), open(path, "rb", opener=open_at_once) as file:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(start)) == start
    return False


def open_at_once(path: str, flags: int) -> int:
    """Open a file without blocking, which a pipe would do; an *opener* for `open`."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
