"""Write files; all files that this library writes are written here.

A file is written beside its target, synchronised, and renamed onto the target, so that a reader finds either the old file or the new one,
complete. Three rules are checked before anything is changed:

1. An open database, and its ``-wal``, ``-shm`` and ``-journal``, are never replaced: see `facesearch.files.protected`.
2. An input of the same command is never replaced.
3. An existing file is replaced only if it is an earlier output of the same kind. ``overwrite=True`` disables only this rule.

If the target is a link, the link stays and the file that it leads to is replaced; the mode is kept. A new file with personal data has
mode 0600. Files that killed processes left are removed: see `facesearch.files.unfinished`.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from facesearch.errors import OutputRefusedError
from facesearch.files.protected import Protected, part_of_database
from facesearch.files.unfinished import is_unfinished, remove_unfinished, unfinished

__all__ = ["OutputKind", "absolute", "check_output", "signature", "write_file", "write_new"]

_PRIVATE, _PUBLIC = 0o600, 0o666  # both reduced by the process's umask
_HEAD: Final = 4096  # bytes in which a signature must lie
_TRIES: Final = 100


@attrs.frozen(kw_only=True)
class OutputKind:
    """A kind of file that this library writes.

    *recognises* is a predicate: whether a file, open for reading at its start, is an earlier output of this kind. For other files it may
    raise any exception. *starts* is one for an unfinished file: whether it begins as this kind does; by default *recognises*.
    """

    name: str  # for messages, with its article: "an export of facesearch"
    recognises: Callable[[BinaryIO], bool] = attrs.field(repr=False)
    private: bool = True  # it holds personal data: a new one is readable by its owner only
    starts: Callable[[BinaryIO], bool] | None = attrs.field(default=None, repr=False)


def signature(*signs: bytes) -> Callable[[BinaryIO], bool]:
    """Return a predicate: whether a file has one of these byte strings within its first 4,096 bytes."""

    def recognises(file: BinaryIO) -> bool:
        head = file.read(_HEAD)
        return any(sign in head for sign in signs)

    return recognises


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path, which a later `os.chdir` does not change."""
    return Path(path).absolute()


def check_output(
    path: str | os.PathLike[str],
    kind: OutputKind,
    *,
    protected: Protected | None = None,
    overwrite: bool = False,
) -> Path:
    """Check that a file may be written, without changing anything.

    Parameters
    ----------
    path
        The file to be written. A link stands for the file that it leads to.
    kind
        The kind of file to be written.
    protected
        The inputs of the command, and the databases that it uses.
    overwrite
        Replace a file of any other kind too.

    Returns
    -------
    Path
        The file, absolute and without links.

    Raises
    ------
    OutputRefusedError
        If the file is protected, is a folder or a device, or exists and is no earlier output of this kind.
    """
    target = Path(os.path.realpath(path))
    reason = (protected or Protected()).reason(target)
    if reason is not None:
        raise OutputRefusedError(f"{os.fspath(path)}: not replaced, it is {reason}; choose another file to write")
    try:
        found = target.stat()
    except FileNotFoundError:
        return target
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
        raise OutputRefusedError(f"{os.fspath(path)}: expected a file to write, got {what}; choose another one")
    # An empty file holds no data to lose: programs create one to reserve a name.
    if found.st_size and not overwrite and not _is_of(kind, target):
        raise OutputRefusedError(
            f"{os.fspath(path)}: not replaced, it exists and is not {kind.name}; choose another file to write, "
            "or replace it all the same with --force (in Python: overwrite=True)"
        )
    return target


def _is_of(kind: OutputKind, path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _is_one(kind.recognises, file)
    except OSError:
        return False


def _is_one(recognises: Callable[[BinaryIO], bool], file: BinaryIO) -> bool:
    try:
        return recognises(file)
    except Exception:  # noqa: BLE001  # any file may be there, and a parser may raise anything: then it is not of this kind
        return False


@contextlib.contextmanager
def write_file(
    path: str | os.PathLike[str],
    kind: OutputKind,
    *,
    protected: Protected | None = None,
    overwrite: bool = False,
) -> Iterator[BinaryIO]:
    """Write a file, whole or not at all; unfinished files of killed processes are removed.

    Parameters
    ----------
    path, kind, protected, overwrite
        See `check_output`.

    Yields
    ------
    BinaryIO
        A file to write the content to. It replaces the target, synchronised to disk, when the block ends.

    Raises
    ------
    OutputRefusedError
        See `check_output`; also if such a file appeared meanwhile.
    OSError
        If the file can't be written; an existing file is unchanged, and no other file is left.
    """
    target = check_output(path, kind, protected=protected, overwrite=overwrite)
    remove_unfinished(target, lambda file: _is_one(kind.starts or kind.recognises, file))
    with _naming(path), unfinished(target, _PRIVATE if kind.private else _PUBLIC) as (new, file):
        yield file
        _finish(file)
        # Check again. A file that appears after this check is not replaced unseen: see _publish.
        while True:
            check_output(path, kind, protected=protected, overwrite=overwrite)
            if _keep_status(file, target):
                _close_on_windows(file)
                new.replace(target)
                break
            _close_on_windows(file)
            if _publish(new, target):
                break
        _sync_folder(target.parent)


def write_new(path: Path, content: bytes) -> bool:
    """Write a new private file, whole or not at all; an existing file stays. Return False if another process was first.

    The file is closed before it gets its name: closing it later could release locks that SQLite holds on it in this process.

    Raises
    ------
    OutputRefusedError
        If the name is that of a part of a database.
    OSError
        If the file can't be written; no file is left.
    """
    target = Path(os.path.realpath(path))
    reason = part_of_database(target)
    if reason is not None:
        raise OutputRefusedError(f"{path}: not written, it is {reason}; choose another file")
    remove_unfinished(target)
    for _ in range(_TRIES):
        with _naming(path), unfinished(target, _PRIVATE) as (new, file):
            file.write(content)
            _finish(file)
            file.close()
            try:
                published = _publish(new, target)
            except FileNotFoundError:  # removed by another process that took it for abandoned
                continue
            _sync_folder(target.parent)
            return published
    raise FileNotFoundError(errno.ENOENT, "removed again and again while it was written", os.fspath(path))


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make errors of the operating system name the target, not the unfinished file."""
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputRefusedError) or error.errno is None or not is_unfinished(error.filename):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _close_on_windows(file: BinaryIO) -> None:
    if os.name == "nt":  # an open file can't be renamed there
        file.close()


def _keep_status(file: BinaryIO, target: Path) -> bool:
    """Copy owner and mode of the file to be replaced; return False if there is none."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return False
    if hasattr(os, "fchown") and not file.closed:
        mode = stat.S_IMODE(old.st_mode) & 0o777
        new = os.fstat(file.fileno())
        try:
            if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
        except OSError:  # the owner can't be changed: drop the group's permissions, as the group is another one
            mode &= 0o707
        os.fchmod(file.fileno(), mode)
    return True


def _publish(new: Path, target: Path) -> bool:
    """Rename a finished file to its target; return False if the target exists, which stays."""
    try:
        os.link(new, target)
    except FileExistsError:
        return False
    except FileNotFoundError:
        raise
    except OSError:  # this file system has no hard links
        if os.path.lexists(target):
            return False
        new.rename(target)
    return True


def _sync_folder(folder: Path) -> None:
    """Synchronise a folder, so that its names are on disk."""
    if os.name == "nt":  # Windows can't, and need not
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
