"""The plan of indexing a folder or a CSV file: the photos of each user, listed before any is decoded."""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field

from facesearch.common.tables import counted
from facesearch.domain.entities import LONGEST_USER_ID
from facesearch.domain.user_ids import is_user_id, nearest_user_id
from facesearch.errors import InvalidParameterError, shown
from facesearch.files.writing import absolute

__all__ = ["PHOTO_SUFFIXES", "PersonPhotos", "PhotoPlan", "photos_in", "plan_photos"]

PHOTO_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif"}
)
"""File name extensions of photos, in lower case."""

_COLUMNS: Final = ("photo", "user_id")
_AT_ONCE: Final = 16  # unassociated photos that are written together
_IDS: Final = f"1 to {LONGEST_USER_ID} characters of a-z, A-Z, 0-9 and _.-:"
_RENAME: Final = f"a user id is {_IDS}. Rename the folder, or list the photos in a CSV file"


@attrs.frozen(kw_only=True)
class PersonPhotos:
    """Photos of a user, or unassociated ones, that are judged and written together; each once, in order."""

    user_id: str | None = None
    photos: tuple[Path, ...]


@attrs.frozen(kw_only=True)
class PhotoPlan:
    """The photos to index; *path* and the photos are absolute, for the others see `facesearch.FolderReport`."""

    path: Path
    people: tuple[PersonPhotos, ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def photos(self) -> int:
        """The number of photos."""
        return sum(len(person.photos) for person in self.people)


def photos_in(path: Path) -> tuple[Path, ...]:
    """Return the photos of a folder, at any depth, in order; or the file itself, whatever its name.

    Hidden files and files without the extension of a photo are omitted. Links are followed, but no folder is visited twice. A folder
    that can't be read raises `OSError`, but folders within it are omitted.
    """
    if not path.is_dir():
        return (path,)
    with os.scandir(path):  # raises where it can't be read
        return _below(path, _Found(), set())


def plan_photos(path: str | os.PathLike[str]) -> PhotoPlan:
    """List the photos of a folder or of a CSV file by user.

    `facesearch.Collection.index_folder` describes *path*. The plan does not depend on the order in which the file system lists the
    files. Hidden files are omitted without a note. Links are followed, but no folder is visited twice.

    Raises
    ------
    InvalidParameterError
        If there is nothing at *path*; if the names of two folders have the same user id; or if a CSV file is invalid, where the
        message has the line number.
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
    except (OSError, ValueError) as error:  # the latter for a character that is invalid in paths
        raise InvalidParameterError(f"path: expected a readable folder or CSV file, got {shown(error)}") from error
    raise InvalidParameterError.of("path", path, "a folder or a CSV file, there is none")


@attrs.define
class _Found:
    """Files and folders that were omitted during the walk."""

    skipped: Counter[str] = field(factory=Counter)
    notes: list[str] = field(factory=list)

    def is_photo(self, name: str) -> bool:
        """Return whether a file name has the extension of a photo; count it as skipped if not."""
        suffix = Path(name).suffix.lower()
        if suffix not in PHOTO_SUFFIXES:
            self.skipped[suffix] += 1
        return suffix in PHOTO_SUFFIXES


def _folder(root: Path) -> PhotoPlan:
    found = _Found()
    people: dict[str, tuple[str, tuple[Path, ...]]] = {}  # user id: the folder's name, and its photos
    loose: list[Path] = []
    for entry in _listed(root):
        if _is_folder(entry):
            photos, user_id = _below(Path(entry.path), found, {_identity(root)}), nearest_user_id(entry.name)
            if not photos:
                found.notes.append(f"{_name(entry.name)}: there is no photo in it")
            elif user_id is None:
                found.notes.append(
                    f"{_name(entry.name)}: no user id, {counted(len(photos), 'photo')} left out; {_RENAME}"
                )
            elif user_id in people:
                # Only the caller knows whether it is one person or two.
                raise InvalidParameterError(
                    f"path: the folders {_name(people[user_id][0])} and {_name(entry.name)} of {_name(str(root))} are both the "
                    f"user id {user_id}; rename one if they are two people, put the photos into one folder if they are one, or "
                    "list them in a CSV file"
                )
            else:
                people[user_id] = entry.name, photos
        elif _is_file(entry) and found.is_photo(entry.name):
            loose.append(Path(entry.path))
    if loose and people:
        found.notes.append(
            f"{counted(len(loose), 'photo')} beside the people's folders left out: no folder names their people"
        )
    users = [PersonPhotos(user_id=user_id, photos=people[user_id][1]) for user_id in sorted(people)]
    return PhotoPlan(
        path=root,
        people=tuple(users or _unassociated(loose)),
        skipped=tuple(sorted(found.skipped.items(), key=lambda item: (-item[1], item[0]))),
        notes=tuple(found.notes),
        renamed=tuple((name, user_id) for user_id, (name, _) in sorted(people.items()) if name != user_id),
    )


def _below(folder: Path, found: _Found, seen: set[tuple[int, int]]) -> tuple[Path, ...]:
    """Return the photos below a folder, at any depth, in order."""
    photos, folders = [], [folder]
    while folders:
        inside = folders.pop()
        try:
            if (identity := _identity(inside)) in seen:  # a link to a visited folder
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
    except OSError:  # a link to itself, or to a folder without permission
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Exclude pipes and devices, which would block when opened; include dangling links, which become broken photos."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return entry.is_symlink()


def _unassociated(photos: Sequence[Path]) -> Iterator[PersonPhotos]:
    for start in range(0, len(photos), _AT_ONCE):
        yield PersonPhotos(photos=tuple(photos[start : start + _AT_ONCE]))


def _table(file: Path) -> PhotoPlan:
    photos: dict[str, dict[Path, None]] = {}
    for line, row in _rows(file):
        photo, user_id = (row[column] for column in _COLUMNS)
        if not photo:
            raise InvalidParameterError(f"{_name(str(file))}, line {line}: expected the path of a photo, got none")
        if not is_user_id(user_id):
            got = f"one of {len(user_id)} characters" if user_id else "none"
            raise InvalidParameterError(f"{_name(str(file))}, line {line}: expected a user id, {_IDS}, got {got}")
        photos.setdefault(user_id, {})[file.parent / photo] = None
    people = (PersonPhotos(user_id=user_id, photos=tuple(sorted(photos[user_id]))) for user_id in sorted(photos))
    return PhotoPlan(path=file, people=tuple(people))


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file, each with its line number."""
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
        ) from None  # the cause contains the file's content
    except csv.Error as error:
        raise InvalidParameterError(f"{name}, after line {line}: expected {expected}, got {error}") from error


def _name(name: str) -> str:
    return shown(os.fsencode(name).decode("utf-8", "backslashreplace"))
