"""Unfinished files: create them with a lock, and find and remove those that killed processes left.

An unfinished file is named ``.NAME.XXXXXXXX.new`` and lies beside its target. The process that writes it holds a lock on it, which ends
with the process. The next writer in the folder can therefore distinguish abandoned files from files being written.
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

_MAX_STEM: Final = (
    200  # bytes of a target's name that are repeated in the name of an unfinished file; file systems allow 255
)

Starts = Callable[[BinaryIO], bool]

if sys.platform == "win32":

    def _lock(_: BinaryIO, *, wait: bool) -> None:
        """Do nothing: Windows removes no open file."""

else:
    import fcntl

    def _lock(file: BinaryIO, *, wait: bool) -> None:
        """Lock a file until it is closed or the process ends; raise if another process holds the lock and *wait* is false."""
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@contextlib.contextmanager
def unfinished(target: Path, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
    """Create a file beside a target, locked while it is open; remove it at the end unless it was renamed.

    The target's path is absolute, without links; the mode is reduced by the process's umask.
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
        with contextlib.suppress(OSError):  # a file system without locks: no process then takes the file for abandoned
            _lock(file, wait=True)
        if identity_of(new) == identity_of(file):
            return new, file
        file.close()  # removed before it was locked


def _stem(target: Path) -> str:
    return os.fsdecode(os.fsencode(target.name)[:_MAX_STEM])


def is_unfinished(name: Any) -> bool:
    """Check whether a name is that of an unfinished file."""
    return isinstance(name, str | os.PathLike) and _UNFINISHED.fullmatch(Path(name).name) is not None


def remove_unfinished(target: Path, starts: Starts | None = None) -> list[Path]:
    """Remove the files that `unfinished_files` lists, and return those, sorted."""
    removed = []
    for path in _abandoned(target, starts):
        with contextlib.suppress(OSError):  # gone already, or another user's
            path.unlink()
            removed.append(path)
    return removed


def unfinished_files(target: Path, starts: Starts | None = None) -> list[Path]:
    """List the unfinished files of a target that no living process writes, sorted; the path is absolute, without links.

    Unfinished files of other targets in the folder are included if *starts*, a predicate on a file open for reading, accepts their
    beginning: for example an export of yesterday with a date in its name.
    """
    return list(_abandoned(target, starts))


def _abandoned(target: Path, starts: Starts | None) -> Iterator[Path]:
    """Yield the files that killed processes left; each is locked while it is the current one."""
    found = (_UNFINISHED.fullmatch(name) for name in _names(target.parent))
    for main, stem in sorted({(each[1], each[2]) for each in found if each}):
        its_own = stem == _stem(target)
        if its_own or starts is not None:
            path = target.with_name(main)
            with _if_abandoned(path, None if its_own else starts) as is_abandoned:
                if is_abandoned:
                    yield from filter(os.path.lexists, (path, *(beside(path, ending) for ending in COMPANIONS)))


_UNFINISHED: Final = re.compile(rf"(\.(.+)\.[0-9a-f]{{8}}\.new)({'|'.join(COMPANIONS)})?", re.DOTALL)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


@contextlib.contextmanager
def _if_abandoned(path: Path, starts: Starts | None) -> Iterator[bool]:
    """Yield whether an unfinished file is abandoned and *starts* accepts it; the file is locked during the block."""
    with contextlib.ExitStack() as stack:
        try:
            found = path.lstat()
            is_abandoned = stat.S_ISREG(found.st_mode)
            # A file with a second name is finished. It is not opened, as SQLite may hold locks on it in this process.
            if is_abandoned and found.st_nlink > 1:
                is_abandoned = starts is None
            elif is_abandoned:
                file = stack.enter_context(open(path, "rb", opener=_open_unlinked))
                _lock(file, wait=False)
                is_abandoned = identity_of(path) == identity_of(file) and (starts is None or starts(file))
                if sys.platform == "win32":  # no open file can be removed there
                    file.close()
        except FileNotFoundError:  # only files that SQLite kept beside it exist
            is_abandoned = starts is None
        except OSError:  # locked, or another user's
            is_abandoned = False
        yield is_abandoned


def _open_unlinked(path: str, flags: int) -> int:
    return open_at_once(path, flags | getattr(os, "O_NOFOLLOW", 0))
