"""Write files: the one way in which this library puts a file on a disk.

A file is written beside its target, synchronised, and renamed onto it, so that a reader finds the old file or the new one, whole.
Three rules are checked before anything is touched:

1. An open database, and its ``-wal``, ``-shm`` and ``-journal``, are never replaced.
2. An input of the same command is never replaced.
3. An existing file is replaced only if it is an earlier output of the same kind. ``overwrite=True`` lifts this rule alone.

Files are compared by what they are, not by how they are spelt: a link, a hard link, a relative path or other letters lead to the same
file. A link as the target stays, and the file that it leads to is replaced; it keeps its mode. A new file with personal data has
mode 0600.

A file under construction is called ``.NAME.XXXXXXXX.new``. The process that writes it holds a lock on it, which ends with the process, so
that the next writer of the same target can remove what a killed process left.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import unicodedata
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import attrs

from facesearch.errors import OutputRefusedError

try:
    import fcntl
except ImportError:  # Windows, where an open file can't be removed, so that no lock is needed
    fcntl = None  # type: ignore[assignment]  # tested for before each use

__all__ = [
    "OutputKind",
    "Protected",
    "absolute",
    "check_output",
    "database_closed",
    "database_opened",
    "remove_unfinished",
    "signature",
    "unfinished_files",
    "write_file",
    "write_new",
]

COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""

_SQLITE: Final = b"SQLite format 3\0"
_PRIVATE, _PUBLIC = 0o600, 0o666  # the process's umask takes bits away from both
_HEAD: Final = 4096  # bytes in which a signature must lie
_LONGEST: Final = 200  # bytes of a target's name that the name of an unfinished file repeats; file systems allow 255
_TRIES: Final = 100

Identity = tuple[int, int]
Source = str | os.PathLike[str] | BinaryIO


@attrs.frozen(kw_only=True)
class OutputKind:
    """A kind of file that this library writes.

    Attributes
    ----------
    name
        For messages, with its article: ``"an export of facesearch"``.
    recognises
        Whether a file, open for reading at its start, is an earlier output of this kind. Of one that is not it may raise any
        exception.
    private
        Whether the file holds personal data, so that a new one is readable by its owner alone.
    starts
        Whether an unfinished file begins as this kind does; by default *recognises*. It raises nothing.
    """

    name: str
    recognises: Callable[[BinaryIO], bool] = attrs.field(repr=False)
    private: bool = True
    starts: Callable[[BinaryIO], bool] | None = attrs.field(default=None, repr=False)


def signature(*signs: bytes) -> Callable[[BinaryIO], bool]:
    """Return a recogniser of files that have one of these byte strings within their first 4,096 bytes."""

    def recognises(file: BinaryIO) -> bool:
        head = file.read(_HEAD)
        return any(sign in head for sign in signs)

    return recognises


def absolute(path: str | os.PathLike[str]) -> Path:
    """Bind a path to the current folder, so that a later `os.chdir` does not change its meaning."""
    return Path(path).absolute()


# ---------------------------------------------------------------- what must not be replaced


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
            if (identity := _identity(source)) is not None:
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
        identity = _identity(target)
        if target in self._inputs or (identity is not None and identity in self._inputs):
            return "an input of this command"
        databases = [*self._databases, *_opened()]
        for database in databases:
            if target == database or (identity is not None and identity == _identity(database)):
                return f"the open database {database}"
        return _part_reason(target, databases) or _in_use_reason(target)


def _identity(source: Source) -> Identity | None:
    try:
        found = Path(source).stat() if isinstance(source, str | os.PathLike) else os.fstat(source.fileno())
    except (OSError, ValueError, AttributeError):  # not there, or a file in memory
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
    identity, folder, name = _identity(target), _identity(target.parent), _letters(target.name)
    known = {_identity(database) for database in databases}
    for database in databases:
        if any(
            (identity is not None and identity == _identity(_beside(database, ending)))
            or (name == _letters(database.name + ending) and folder == _identity(database.parent))
            for ending in COMPANIONS
        ):
            return f"a part of the open database {database}"
    for ending in COMPANIONS:
        if name.endswith(ending) and len(target.name) > len(ending):
            database = target.with_name(target.name[: -len(ending)])
            # One that is open in this process is not opened: closing it would take SQLite's locks away.
            if _identity(database) in known - {None} or _begins(database, _SQLITE):
                return f"a part of the database {database}"
    return None


def _in_use_reason(target: Path) -> str | None:
    if any(os.path.lexists(_beside(target, ending)) for ending in ("-wal", "-journal")) and _begins(target, _SQLITE):
        return "a database that another process has open, or did not close"
    return None


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _letters(name: str) -> str:
    """Return a name as file systems see it that ignore case and composition: too many names alike do no harm here."""
    return unicodedata.normalize("NFC", name).casefold()


def _begins(path: Path, start: bytes) -> bool:
    with contextlib.suppress(OSError), open(path, "rb", opener=_open_plainly) as file:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(start)) == start
    return False


def _open_plainly(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe shall not make one wait


def check_output(
    path: str | os.PathLike[str],
    kind: OutputKind,
    *,
    protected: Protected | None = None,
    overwrite: bool = False,
) -> Path:
    """Check that a file may be written, and touch nothing.

    Parameters
    ----------
    path
        The file to be written. Of a link, the file that it leads to counts.
    kind
        What is to be written.
    protected
        The inputs of the command, and the databases that it uses.
    overwrite
        Replace a file of any other kind too.

    Returns
    -------
    Path
        The file itself: absolute, without links.

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
    # An empty file has nothing to lose: programs make one to reserve a name.
    if found.st_size and not overwrite and not _is_of(kind, target):
        raise OutputRefusedError(
            f"{os.fspath(path)}: not replaced, it exists and is not {kind.name}; choose another file to write, "
            "or replace it all the same with --force (in Python: overwrite=True)"
        )
    return target


def _is_of(kind: OutputKind, path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return kind.recognises(file)
    except Exception:  # noqa: BLE001  # any file may be there: what a parser makes of it is that it is none of ours
        return False


# ---------------------------------------------------------------- writing


@contextlib.contextmanager
def write_file(
    path: str | os.PathLike[str],
    kind: OutputKind,
    *,
    protected: Protected | None = None,
    overwrite: bool = False,
) -> Iterator[BinaryIO]:
    """Write a file, whole or not at all; what a killed process left of an earlier attempt is removed.

    Parameters
    ----------
    path, kind, protected, overwrite
        See `check_output`.

    Yields
    ------
    BinaryIO
        Where to write the content. The file takes its place, and is on the disk, when the block ends.

    Raises
    ------
    OutputRefusedError
        See `check_output`; also if such a file appeared meanwhile.
    OSError
        If it can't be written; a file that was there is as it was, and nothing else is left.
    """
    target = check_output(path, kind, protected=protected, overwrite=overwrite)
    remove_unfinished(target, kind)
    with _naming(path), _unfinished(target, private=kind.private) as (new, file):
        yield file
        _finish(file)
        # Again, for what happened since. One that appears from here on is not replaced unseen: see _publish.
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
    """Write a private file where there is none, whole or not at all; one that is there stays.

    The file is closed before it has its name, so that nothing is closed that SQLite may have locked in this process.

    Returns
    -------
    bool
        False if another process was first.

    Raises
    ------
    OutputRefusedError
        If the name is that of a part of a database.
    OSError
        If it can't be written; nothing is left.
    """
    target = Path(os.path.realpath(path))
    reason = _part_reason(target, _opened())
    if reason is not None:
        raise OutputRefusedError(f"{path}: not written, it is {reason}; choose another file")
    remove_unfinished(target)
    for _ in range(_TRIES):
        with _naming(path), _unfinished(target, private=True) as (new, file):
            file.write(content)
            _finish(file)
            file.close()
            try:
                published = _publish(new, target)
            except FileNotFoundError:  # taken, in this moment, for one that a killed process left
                continue
            _sync_folder(target.parent)
            return published
    raise FileNotFoundError(errno.ENOENT, "removed again and again while it was written", os.fspath(path))


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the target, not the unfinished file, in errors of the system."""
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputRefusedError) or error.errno is None or not _is_unfinished(error.filename):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _is_unfinished(name: Any) -> bool:
    return isinstance(name, str | os.PathLike) and re.search(r"\.[0-9a-f]{8}\.new$", os.fspath(name)) is not None


@contextlib.contextmanager
def _unfinished(target: Path, *, private: bool) -> Iterator[tuple[Path, BinaryIO]]:
    """Make a file beside the target, locked by this process as long as it is open, and remove it at the end."""
    new, file = _locked(target, _PRIVATE if private else _PUBLIC)
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
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks: nobody then takes it for a left one
                fcntl.flock(file, fcntl.LOCK_EX)
        if _identity(new) == _identity(file):
            return new, file
        file.close()  # removed before it was locked


def _stem(target: Path) -> str:
    return os.fsdecode(os.fsencode(target.name)[:_LONGEST])


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _close_on_windows(file: BinaryIO) -> None:
    if os.name == "nt":  # where an open file can't be renamed
        file.close()


def _keep_status(file: BinaryIO, target: Path) -> bool:
    """Take over owner and mode of the file to be replaced; False if there is none."""
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
        except OSError:  # not ours to give away: what was its group's is not another group's
            mode &= 0o707
        os.fchmod(file.fileno(), mode)
    return True


def _publish(new: Path, target: Path) -> bool:
    """Give a finished file its name; False if there is a file of that name, which stays."""
    try:
        os.link(new, target)
    except FileExistsError:
        return False
    except FileNotFoundError:
        raise
    except OSError:  # this file system has no second names
        if os.path.lexists(target):
            return False
        new.rename(target)
    return True


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    if os.name == "nt":  # which can't, and need not
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------- what killed processes left


def remove_unfinished(target: Path, kind: OutputKind | None = None) -> list[Path]:
    """Remove what `unfinished_files` lists; parameters are its own.

    Returns
    -------
    list of Path
        What was removed, sorted.
    """
    removed = []
    for path in _left(target, kind):
        with contextlib.suppress(OSError):  # gone already, or another user's
            path.unlink()
            removed.append(path)
    return removed


def unfinished_files(target: Path, kind: OutputKind | None = None) -> list[Path]:
    """List the unfinished files of a target that no living process writes.

    Parameters
    ----------
    target
        Absolute, without links.
    kind
        Include unfinished files of this kind of other targets in the folder: an export of yesterday, say, whose name has a date.

    Returns
    -------
    list of Path
        Sorted.
    """
    return list(_left(target, kind))


def _left(target: Path, kind: OutputKind | None) -> Iterator[Path]:
    """Yield what killed processes left; nobody begins to write a file as long as it is the one that was yielded."""
    found = (_UNFINISHED.fullmatch(name) for name in _names(target.parent))
    for main, stem in sorted({(each[1], each[2]) for each in found if each}):
        its_own = stem == _stem(target)
        if its_own or kind is not None:
            path = target.with_name(main)
            with _if_left(path, None if its_own else kind) as is_left:
                if is_left:
                    yield from filter(os.path.lexists, (path, *(_beside(path, ending) for ending in COMPANIONS)))


_UNFINISHED: Final = re.compile(rf"(\.(.+)\.[0-9a-f]{{8}}\.new)({'|'.join(COMPANIONS)})?", re.DOTALL)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


@contextlib.contextmanager
def _if_left(path: Path, kind: OutputKind | None) -> Iterator[bool]:
    """Tell whether no living process writes an unfinished file, of *kind* if given; none begins to as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        try:
            found = path.lstat()
            is_left = stat.S_ISREG(found.st_mode)
            # With a second name it is finished, and not opened: SQLite may have it locked in this process.
            if is_left and found.st_nlink > 1:
                is_left = kind is None
            elif is_left:
                file = stack.enter_context(open(path, "rb", opener=_open_unlinked))
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_left = _identity(path) == _identity(file) and (
                    kind is None or (kind.starts or kind.recognises)(file)
                )
                if fcntl is None:
                    file.close()
        except FileNotFoundError:  # only what SQLite kept beside it is there
            is_left = kind is None
        except OSError:  # locked, or another user's
            is_left = False
        yield is_left


def _open_unlinked(path: str, flags: int) -> int:
    return _open_plainly(path, flags | getattr(os, "O_NOFOLLOW", 0))
