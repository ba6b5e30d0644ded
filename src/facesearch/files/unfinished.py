"""Files under construction, and what killed processes left of them.

Such a file is called ``.NAME.XXXXXXXX.new`` and lies beside its target. The process that writes it holds a lock on it, which ends with the
process, so that the next writer in the folder can tell what was left from what is being written.
"""

import contextlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from facesearch.files.protected import COMPANIONS, beside, identity_of, open_at_once

__all__ = ["is_unfinished", "remove_unfinished", "unfinished", "unfinished_files"]

_LONGEST: Final = 200  # bytes of a target's name that the name of an unfinished file repeats; file systems allow 255

Starts = Callable[[BinaryIO], bool]

if sys.platform == "win32":

    def _lock(_: BinaryIO, *, wait: bool) -> None:
        """Do nothing: no open file can be removed."""

else:
    import fcntl

    def _lock(file: BinaryIO, *, wait: bool) -> None:
        """Lock a file until it is closed, or the process ends; an error if another has it and *wait* is false."""
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@contextlib.contextmanager
def unfinished(target: Path, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
    """Make a file beside a target, locked as long as it is open, and remove it at the end unless it was renamed.

    Parameters
    ----------
    target
        Absolute, without links.
    mode
        Of the file; the process's umask takes bits away.
    """
    new, file = _locked(target, mode)
    try:
        with file:
            yield new, file
    finally:
        new.unlink(missing_ok=True)


def _locked(target: Path, mode: int) -> tuple[Path, BinaryIO]:
    while True:
        new = target.with_name(f".{_stem(target)}.{secrets.token_hex(4)}.new")
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            file = os.fdopen(os.open(new, flags, mode), "w+b")
        except FileExistsError:
            continue
        with contextlib.suppress(OSError):  # a file system without locks: nobody then takes it for a left one
            _lock(file, wait=True)
        if identity_of(new) == identity_of(file):
            return new, file
        file.close()  # removed before it was locked


def _stem(target: Path) -> str:
    return os.fsdecode(os.fsencode(target.name)[:_LONGEST])


def is_unfinished(name: Any) -> bool:
    """Tell whether a name is that of an unfinished file."""
    return isinstance(name, str | os.PathLike) and _UNFINISHED.fullmatch(Path(name).name) is not None


def remove_unfinished(target: Path, starts: Starts | None = None) -> list[Path]:
    """Remove what `unfinished_files` lists; parameters are its own.

    Returns
    -------
    list of Path
        What was removed, sorted.
    """
    removed = []
    for path in _left(target, starts):
        with contextlib.suppress(OSError):  # gone already, or another user's
            path.unlink()
            removed.append(path)
    return removed


def unfinished_files(target: Path, starts: Starts | None = None) -> list[Path]:
    """List the unfinished files of a target that no living process writes.

    Parameters
    ----------
    target
        Absolute, without links.
    starts
        Include unfinished files of other targets in the folder that begin as this function says of a file open for reading: an
        export of yesterday, say, whose name has a date.

    Returns
    -------
    list of Path
        Sorted.
    """
    return list(_left(target, starts))


def _left(target: Path, starts: Starts | None) -> Iterator[Path]:
    """Yield what killed processes left; nobody begins to write a file as long as it is the one that was yielded."""
    found = (_UNFINISHED.fullmatch(name) for name in _names(target.parent))
    for main, stem in sorted({(each[1], each[2]) for each in found if each}):
        its_own = stem == _stem(target)
        if its_own or starts is not None:
            path = target.with_name(main)
            with _if_left(path, None if its_own else starts) as is_left:
                if is_left:
                    yield from filter(os.path.lexists, (path, *(beside(path, ending) for ending in COMPANIONS)))


_UNFINISHED: Final = re.compile(rf"(\.(.+)\.[0-9a-f]{{8}}\.new)({'|'.join(COMPANIONS)})?", re.DOTALL)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


@contextlib.contextmanager
def _if_left(path: Path, starts: Starts | None) -> Iterator[bool]:
    """Tell whether no living process writes an unfinished file that *starts* as it shall; none begins to as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        try:
            found = path.lstat()
            is_left = stat.S_ISREG(found.st_mode)
            # With a second name it is finished, and not opened: SQLite may have it locked in this process.
            if is_left and found.st_nlink > 1:
                is_left = starts is None
            elif is_left:
                file = stack.enter_context(open(path, "rb", opener=_open_unlinked))
                _lock(file, wait=False)
                is_left = identity_of(path) == identity_of(file) and (starts is None or starts(file))
                if sys.platform == "win32":  # where an open file can't be removed
                    file.close()
        except FileNotFoundError:  # only what SQLite kept beside it is there
            is_left = starts is None
        except OSError:  # locked, or another user's
            is_left = False
        yield is_left


def _open_unlinked(path: str, flags: int) -> int:
    return open_at_once(path, flags | getattr(os, "O_NOFOLLOW", 0))
