"""Many photos of one command: which they are, all cores at work on them, one after the other told, and files to save them in."""

import contextlib
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import click

from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Stopped
from facesearch.cli.shell.options import SAVE
from facesearch.cli.shell.output import counted, note, printable, say, shortened, terminal_width
from facesearch.common.ordered_map import in_order

if TYPE_CHECKING:
    import facesearch as fs
    from facesearch.display.face_marks import SeenFace

__all__ = [
    "Done",
    "Lines",
    "SaveFolder",
    "are_many",
    "each_done",
    "listed",
    "spreadsheet_cell",
    "status_of",
    "stopped_by_ctrl_c",
]

R = TypeVar("R")
_MOST_BYTES: Final = 200  # of a saved file's name; file systems take 255
_FORMULA: Final = ("=", "+", "-", "@")
_NARROWEST: Final = 12


def are_many(photos: Sequence[str]) -> bool:
    """Tell whether the arguments ask for many photos: several of them, or a folder, however many photos are in it."""
    return len(photos) > 1 or Path(photos[0]).is_dir()


def listed(photos: Sequence[str]) -> list[str]:
    """Return the photos that arguments stand for, in their order, those of a folder in the order of their paths.

    Raises
    ------
    click.UsageError
        If standard input is asked for twice, or a folder has no photo in it.
    """
    from facesearch.enrolment.folder_plan import photos_in

    if photos.count("-") > 1:
        raise click.UsageError("Standard input (-) can be read only once.")
    found: list[str] = []
    for argument in photos:
        if argument == "-" or not Path(argument).is_dir():  # what is not there is told when its turn comes
            found.append(argument)
            continue
        inside = photos_in(Path(argument))
        if not inside:
            raise click.UsageError(f"There is no photo in the folder {argument}.")
        found += map(str, inside)
    return found


class Done(Generic[R]):
    """What became of one photo: a result, or the error that says why it can't be used."""

    def __init__(self, photo: str, result: R | None, error: str | None) -> None:
        self.photo, self.result, self.error = photo, result, error


def each_done(photos: Sequence[str], work: "Callable[[int, fs.Picture], R]", workers: int | None) -> Iterator[Done[R]]:
    """Do some work with each photo, in their order, on all cores, holding a few at a time.

    Parameters
    ----------
    photos
        Paths, and ``-`` for standard input.
    work
        What to do with a photo, of which it gets the number, from 0; threads call it at once.
    workers
        Threads, >= 1; ``None`` for one for each core.

    Yields
    ------
    Done
        Of each photo. One that can't be used is also one line on standard error, when its turn comes.
    """
    import facesearch as fs
    from facesearch.networks.runtime import usable_cores

    def one(numbered: tuple[int, str]) -> Done[R]:
        number, photo = numbered
        try:
            return Done(photo, work(number, fs.read_image(sys.stdin.buffer if photo == "-" else photo)), None)
        except fs.ImageError as error:
            return Done(photo, None, str(error))

    for done in in_order(one, enumerate(photos), workers or usable_cores()):
        if done.error is not None:
            note(f"Error: {done.error}")
        yield done


@contextlib.contextmanager
def stopped_by_ctrl_c(done: Sized, photos: Sized) -> Iterator[None]:
    """Let Ctrl-C end the work on photos, and say how many of them are in *done*.

    Raises
    ------
    Stopped
        On Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Stopped(f"Interrupted: {len(done):,} of {counted(len(photos), 'photo')} done.") from error


def status_of(results: Iterable[tuple[bool, bool]]) -> Exit:
    """Return the exit status of many photos, from whether each was found something in, and whether it could not be used.

    A photo that can't be used wins, as a file that can't be read does with grep: whoever goes by the status shall not miss it.
    """
    found = broken = False
    for was_found, was_broken in results:
        found, broken = found or was_found, broken or was_broken
    return Exit.PHOTO if broken else Exit.DONE if found else Exit.NOTHING


class Lines:
    """A table that is written line by line, as its rows come: its photos are known before, and so is their column's width.

    Parameters
    ----------
    photos
        All that there will be.
    columns
        Headers of the other columns, and their widths; the last one may be as long as it likes.
    """

    def __init__(self, photos: Sequence[str], columns: Sequence[tuple[str, int]]) -> None:
        self._widths = [width for _, width in columns]
        self._width = max(_columns(printable(photo)) for photo in (*photos, "photo"))
        room = terminal_width()
        if room is not None:
            self._width = max(min(self._width, room - sum(width + 2 for width in self._widths)), _NARROWEST)
        self.row("photo", [name for name, _ in columns])

    def row(self, photo: str, cells: Sequence[str]) -> None:
        """Write a row; numbers are short and stand to the right."""
        name = shortened(printable(photo), self._width)
        *numbers, last = [printable(cell) for cell in cells]
        right = [f"{cell:>{width}}" for cell, width in zip(numbers, self._widths, strict=False)]
        say("  ".join([name + " " * (self._width - _columns(name)), *right, last]).rstrip())


def spreadsheet_cell(path: str) -> str:
    """Return a path as a cell of a CSV file: printable, and no formula in a spreadsheet, but still the path of that file."""
    return printable(f".{os.sep}{path}" if path.startswith(_FORMULA) and path != "-" else path)


class SaveFolder:
    """Where the photos of ``--save`` go: a file for each, none of which may be there yet, unless *force* is given.

    Parameters
    ----------
    folder
        Made when missing, the folder that it is in must be there.
    photos
        All that will be saved.
    roots
        The arguments that they came from: of a photo within a folder, the path from there makes the name.
    databases
        The files of collections that the command reads.
    force
        Replace files that are there, but never a photo or database of this command.

    Raises
    ------
    click.BadParameter
        If the folder can't be made, or a file of a name that is needed is there; nothing was done.
    """

    def __init__(
        self,
        folder: Path,
        photos: Sequence[str],
        roots: Sequence[str],
        *,
        databases: Sequence[Path] = (),
        force: bool = False,
    ) -> None:
        from facesearch.cli.shell.drawing import check_marked
        from facesearch.files.protected import Protected

        self._folder, self._force = folder, force
        if folder.exists() and not folder.is_dir():
            raise click.BadParameter(f"'{folder}' is no folder; of many photos each is a file in one.", param_hint=SAVE)
        if not folder.absolute().parent.is_dir():
            raise click.BadParameter(f"there is no folder '{folder.parent}'.", param_hint=SAVE)
        self._names = _names(photos, [Path(root) for root in roots if root != "-" and Path(root).is_dir()])
        self._protected = Protected(
            inputs=[sys.stdin.buffer if photo == "-" else photo for photo in photos], databases=databases
        )
        there = [name for name in self._names if os.path.lexists(folder / name)]
        if there and force:
            for name in there:
                check_marked(folder / name, self._protected, overwrite=True)
        elif there:
            more = f", and {counted(len(there) - 1, 'other file')} too" if there[1:] else ""
            raise click.BadParameter(
                f"'{folder / there[0]}' is there already{more}; nothing is overwritten.", param_hint=SAVE
            )
        folder.mkdir(exist_ok=True)

    def drawn(self, number: int, picture: "fs.Picture", faces: "Sequence[SeenFace]") -> bytes:
        """Return the file of photo *number*, from 0, with its faces marked."""
        from facesearch.cli.shell.drawing import marked_file

        return marked_file(picture, faces, Path(self._names[number]))

    def write(self, number: int, content: bytes) -> Path:
        """Write the file of photo *number*, whole or not at all.

        Raises
        ------
        OSError
            If a file came meanwhile that is no marked photo, or it can't be written.
        """
        from facesearch.cli.shell.drawing import write_marked

        path = self._folder / self._names[number]
        write_marked(content, path, self._protected, overwrite=self._force)
        return path


def _names(photos: Sequence[str], roots: Sequence[Path]) -> list[str]:
    """Give each photo the name of a file of its own, by its path: the same for the same arguments."""
    names: list[str] = []
    taken: set[str] = set()
    for photo in photos:
        path = Path("stdin.jpg" if photo == "-" else photo)
        root = next((root for root in roots if path.is_relative_to(root)), path.parent)
        stem = "_".join(path.relative_to(root).with_suffix("").parts)
        while len(os.fsencode(stem)) > _MOST_BYTES:
            stem = stem[1:]
        suffix = ".png" if path.suffix.lower() == ".png" else ".jpg"
        name, number = f"{stem}{suffix}", 1
        while _folded(name) in taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        taken.add(_folded(name))
        names.append(name)
    return names


def _folded(name: str) -> str:
    """Return what is the same for names that a file system may take for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide letter, none for a mark."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
