"""Which photos of a folder, or of a CSV file, are to become whose: a list made before anything is looked at."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field

from facesearch._fields import is_a, maybe, tuple_of
from facesearch._output import absolute
from facesearch.errors import InvalidParameterError, shown
from facesearch.records import USER_ID_PATTERN

__all__ = ["PHOTO_SUFFIXES", "PersonPhotos", "PhotoPlan", "plan_photos"]

PHOTO_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif"}
)
"""Endings of the files of a folder that are looked at, in small letters."""

_COLUMNS: Final = ("photo", "user_id")
_MOST_ID: Final = 128  # characters of a user id
_AT_ONCE: Final = 16  # photos that are nobody's and are written together


@attrs.frozen(kw_only=True)
class PersonPhotos:
    """Photos that are judged and written together.

    Attributes
    ----------
    user_id
        Whose, ``None`` for nobody's.
    photos
        One or more, each once, in order.
    """

    user_id: str | None = field(default=None, validator=maybe(is_a(str)))
    photos: tuple[Path, ...] = field(validator=tuple_of(Path))


@attrs.frozen(kw_only=True)
class PhotoPlan:
    """What is to be indexed.

    Attributes
    ----------
    path
        The folder, or the CSV file; absolute, as the photos are.
    people
        By user id.
    skipped
        Endings of the files that are no photos by their name, and how many there are of each, the most frequent first.
    notes
        What else is left out, and why, one line each.
    """

    path: Path = field(validator=is_a(Path))
    people: tuple[PersonPhotos, ...] = field(default=(), validator=tuple_of(PersonPhotos))
    skipped: tuple[tuple[str, int], ...] = field(default=(), validator=tuple_of(tuple))
    notes: tuple[str, ...] = field(default=(), validator=tuple_of(str))

    @property
    def photos(self) -> int:
        """How many there are."""
        return sum(len(person.photos) for person in self.people)


def plan_photos(path: str | os.PathLike[str]) -> PhotoPlan:
    """List the photos of a folder or of a CSV file, and whose they are.

    Parameters
    ----------
    path
        A folder with a sub-folder for each person, named after the user, photos at any depth below; or a folder of photos,
        which are nobody's; or a CSV file with the columns ``photo``, relative to the file, and ``user_id``.

    Returns
    -------
    PhotoPlan
        The same for the same files, in whatever order the file system gives them. Hidden files are left out in silence.
        Links are followed, but nowhere twice.

    Raises
    ------
    InvalidParameterError
        If there is nothing at *path*, or a CSV file is no such file; the message says in which line.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidParameterError.of("path", path, "the path of a folder or of a CSV file")
    root = absolute(os.fsdecode(path))  # photos are opened later, and shown relative to it
    try:
        if os.fspath(path) and root.is_dir():
            return _folder(root)
        if os.fspath(path) and root.is_file():
            return _table(root)
    except InvalidParameterError:
        raise
    except (OSError, ValueError) as error:  # the latter of a character that no path has
        raise InvalidParameterError(f"path: expected a readable folder or CSV file, got {shown(error)}") from error
    raise InvalidParameterError.of("path", path, "a folder or a CSV file, there is none")


@attrs.define
class _Found:
    """What was met on the way."""

    skipped: Counter[str] = field(factory=Counter)
    notes: list[str] = field(factory=list)

    def is_photo(self, name: str) -> bool:
        """Tell by a file's name; one that is none is counted."""
        suffix = Path(name).suffix.lower()
        if suffix not in PHOTO_SUFFIXES:
            self.skipped[suffix] += 1
        return suffix in PHOTO_SUFFIXES


def _folder(root: Path) -> PhotoPlan:
    found = _Found()
    people: list[PersonPhotos] = []
    loose: list[Path] = []
    for entry in _listed(root):
        if _is_folder(entry):
            photos = _below(Path(entry.path), found, {_identity(root)})
            if photos and not _is_user_id(entry.name):
                found.notes.append(f"{_name(entry.name)}: no user id, {_counted(len(photos))} left out; {_RENAME}")
            elif photos:
                people.append(PersonPhotos(user_id=entry.name, photos=photos))
            else:
                found.notes.append(f"{_name(entry.name)}: there is no photo in it")
        elif _is_file(entry) and found.is_photo(entry.name):
            loose.append(Path(entry.path))
    if loose and people:
        found.notes.append(f"{_counted(len(loose))} beside the people's folders left out: whose they are is not told")
    elif loose:
        people = [*_nobodys(loose)]
    return PhotoPlan(
        path=root,
        people=tuple(people),
        skipped=tuple(sorted(found.skipped.items(), key=lambda item: (-item[1], item[0]))),
        notes=tuple(found.notes),
    )


def _below(folder: Path, found: _Found, seen: set[tuple[int, int]]) -> tuple[Path, ...]:
    """Give the photos below a folder, at any depth, in order."""
    photos, folders = [], [folder]
    while folders:
        inside = folders.pop()
        try:
            if (identity := _identity(inside)) in seen:  # a link to where we have been
                continue
            seen.add(identity)
            entries = _listed(inside)
        except OSError as error:
            found.notes.append(f"{_name(str(inside))}: can't be read: {error.strerror}")
            continue
        folders += [Path(entry.path) for entry in reversed(entries) if _is_folder(entry)]
        files = (entry for entry in entries if _is_file(entry))
        photos += [Path(entry.path) for entry in files if found.is_photo(entry.name)]
    return tuple(sorted(photos))


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where we may not look
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Tell pipes and devices, which would block whoever opens them; a link that leads nowhere comes out as a broken photo."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return entry.is_symlink()


def _nobodys(photos: Iterable[Path]) -> Iterator[PersonPhotos]:
    every = tuple(photos)
    for start in range(0, len(every), _AT_ONCE):
        yield PersonPhotos(photos=every[start : start + _AT_ONCE])


def _table(file: Path) -> PhotoPlan:
    photos: dict[str, dict[Path, None]] = {}
    for line, row in _rows(file):
        photo, user_id = (row[column] for column in _COLUMNS)
        if not photo:
            raise InvalidParameterError(f"{_name(str(file))}, line {line}: expected the path of a photo, got none")
        if not _is_user_id(user_id):
            got = f"one of {len(user_id)} characters" if user_id else "none"
            raise InvalidParameterError(f"{_name(str(file))}, line {line}: expected a user id, {_IDS}, got {got}")
        photos.setdefault(user_id, {})[file.parent / photo] = None
    people = (PersonPhotos(user_id=user_id, photos=tuple(sorted(photos[user_id]))) for user_id in sorted(photos))
    return PhotoPlan(path=file, people=tuple(people))


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the rows of a CSV file, each with the number of its line."""
    name, expected = _name(str(file)), f"a CSV file with the columns {' and '.join(_COLUMNS)}"
    line = 1
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True, skipinitialspace=True)
            header = reader.fieldnames or []
            if any(header.count(column) != 1 for column in _COLUMNS):
                missing = " and ".join(column for column in _COLUMNS if header.count(column) != 1)
                raise InvalidParameterError(
                    f"{name}, line 1: expected {expected}, got {len(header)} others, or one of them twice; see to {missing}"
                )
            for row in reader:
                line = reader.line_num
                values: dict[str | None, Any] = dict(
                    row
                )  # a row that is too long has a key None, one too short has gaps
                if None in values or None in values.values():
                    raise InvalidParameterError(
                        f"{name}, line {line}: expected {len(header)} values, as line 1 has columns"
                    )
                yield line, row
    except UnicodeDecodeError as error:
        raise InvalidParameterError(
            f"{name}: expected {expected}, in UTF-8, got other bytes after byte {error.start:,}"
        ) from None  # the cause holds the file's content
    except csv.Error as error:
        raise InvalidParameterError(f"{name}, after line {line}: expected {expected}, got {error}") from error


_IDS: Final = f"1 to {_MOST_ID} characters of a-z, A-Z, 0-9 and _.-:"
_RENAME: Final = f"a user id is {_IDS}. Rename the folder, or list the photos in a CSV file"


def _is_user_id(name: str) -> bool:
    return len(name) <= _MOST_ID and re.fullmatch(USER_ID_PATTERN, name) is not None


def _counted(photos: int) -> str:
    return f"{photos} photo{'' if photos == 1 else 's'}"


def _name(name: str) -> str:
    return shown(os.fsencode(name).decode("utf-8", "backslashreplace"))
