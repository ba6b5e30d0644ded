"""Process many photos in one command: list them, run on all cores, report in order, and save the marked photos."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import click

from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Stopped
from facesearch.cli.shell.options import SAVE
from facesearch.cli.shell.output import counted, print_line, print_note, printable, shortened, terminal_width
from facesearch.common.ordered_map import in_order

if TYPE_CHECKING:
    import facesearch as fs
    from facesearch.display.face_marks import SeenFace

__all__ = [
    "Lines",
    "Outcome",
    "SaveFolder",
    "are_many",
    "list_photos",
    "process_photos",
    "report_photos",
    "spreadsheet_cell",
    "status_of",
]

R = TypeVar("R")
P = TypeVar("P", bound="Result")
_MOST_BYTES: Final = 200  # longest stem of a saved file; file systems permit 255 bytes
_FORMULA: Final = ("=", "+", "-", "@")
_NARROWEST: Final = 12


def are_many(photos: Sequence[str]) -> bool:
    """Return whether the arguments are many photos: several photos, or a folder with any number of them."""
    return len(photos) > 1 or Path(photos[0]).is_dir()


def list_photos(photos: Sequence[str]) -> list[str]:
    """Return the photos of the arguments in order; a folder is replaced by its photos, sorted by path.

    Raises
    ------
    click.UsageError
        If standard input is given twice, or a folder contains no photo.
    """
    from facesearch.enrolment.folder_plan import photos_in

    if photos.count("-") > 1:
        raise click.UsageError("Standard input (-) can be read only once.")
    found: list[str] = []
    for argument in photos:
        if argument == "-" or not Path(argument).is_dir():  # a missing file is reported in its turn
            found.append(argument)
            continue
        inside = photos_in(Path(argument))
        if not inside:
            raise click.UsageError(f"There is no photo in the folder {argument}.")
        found += map(str, inside)
    return found


class Outcome(Generic[R]):
    """Outcome of one photo: a result, or the message of an error."""

    def __init__(self, photo: str, result: R | None, error: str | None) -> None:
        self.photo, self.result, self.error = photo, result, error


def process_photos(
    photos: Sequence[str], work: "Callable[[int, fs.Picture], R]", workers: int | None
) -> Iterator[Outcome[R]]:
    """Process photos on all cores and yield the outcomes in order; only a few photos are in memory at a time.

    Parameters
    ----------
    photos
        Paths, or ``-`` for standard input.
    work
        Function of the number of a photo, from 0, and the photo; several threads call it at the same time.
    workers
        Number of threads, >= 1; ``None`` for one per core.

    Yields
    ------
    Outcome
        Outcome of each photo. A photo that can't be used is also reported as one line on standard error.
    """
    import facesearch as fs
    from facesearch.networks.runtime import usable_cores

    def one(numbered: tuple[int, str]) -> Outcome[R]:
        number, photo = numbered
        try:
            return Outcome(photo, work(number, fs.read_image(sys.stdin.buffer if photo == "-" else photo)), None)
        except fs.ImageError as error:
            return Outcome(photo, None, str(error))

    for done in in_order(one, enumerate(photos), workers or usable_cores()):
        if done.error is not None:
            print_note(f"Error: {done.error}")
        yield done


class Result(Protocol):
    """Result of the work on one photo."""

    @property
    def found(self) -> bool:
        """Whether the photo has a match."""

    @property
    def marked(self) -> bytes | None:
        """With ``--save``, content of the annotated photo's file."""


def report_photos(
    photos: Sequence[str],
    work: "Callable[[int, fs.Picture], P]",
    show: Callable[[Outcome[P]], None],
    *,
    workers: int | None,
    folder: "SaveFolder | None",
) -> Exit:
    """Process photos as `process_photos` does, report each outcome in order, and return the exit status.

    Parameters
    ----------
    photos, work, workers
        As for `process_photos`.
    show
        Prints an outcome.
    folder
        Output folder of the annotated photos.

    Raises
    ------
    Stopped
        On Ctrl-C; the message states how many photos are done.
    """
    results: list[tuple[bool, bool]] = []
    try:
        for number, outcome in enumerate(process_photos(photos, work, workers)):
            show(outcome)
            result = outcome.result
            if folder is not None and result is not None and result.marked is not None:
                print_note(f"wrote {folder.write(number, result.marked)}")
            results.append((result is not None and result.found, result is None))
    except KeyboardInterrupt as error:
        raise Stopped(f"Interrupted: {len(results):,} of {counted(len(photos), 'photo')} done.") from error
    return status_of(results)


def status_of(results: Iterable[tuple[bool, bool]]) -> Exit:
    """Return the exit status of many photos from pairs: whether the photo had a match, and whether it could not be used.

    A photo that can't be used takes precedence, as an unreadable file does in grep, so that scripts notice it.
    """
    found = broken = False
    for was_found, was_broken in results:
        found, broken = found or was_found, broken or was_broken
    return Exit.PHOTO if broken else Exit.DONE if found else Exit.NOTHING


class Lines:
    """A table that is printed row by row; the width of the first column is computed from all photos in advance.

    Parameters
    ----------
    photos
        All photos of the table.
    columns
        Headers and widths of the other columns; cells of the last column may have any length.
    """

    def __init__(self, photos: Sequence[str], columns: Sequence[tuple[str, int]]) -> None:
        self._widths = [width for _, width in columns]
        self._width = max(_columns(printable(photo)) for photo in (*photos, "photo"))
        room = terminal_width()
        if room is not None:
            self._width = max(min(self._width, room - sum(width + 2 for width in self._widths)), _NARROWEST)
        self.row("photo", [name for name, _ in columns])

    def row(self, photo: str, cells: Sequence[str]) -> None:
        """Print a row; all cells but the last are aligned right."""
        name = shortened(printable(photo), self._width)
        *numbers, last = [printable(cell) for cell in cells]
        right = [f"{cell:>{width}}" for cell, width in zip(numbers, self._widths, strict=False)]
        print_line("  ".join([name + " " * (self._width - _columns(name)), *right, last]).rstrip())


def spreadsheet_cell(path: str) -> str:
    """Return a path as a printable cell of a CSV file that no spreadsheet takes for a formula; it is still a valid path."""
    return printable(f".{os.sep}{path}" if path.startswith(_FORMULA) and path != "-" else path)


class SaveFolder:
    """Output folder of ``--save``: one new file per photo; existing files are an error without *force*.

    Parameters
    ----------
    folder
        Output folder; it is created if missing, its parent must exist.
    photos
        All photos that will be saved.
    roots
        Arguments that the photos come from: the path of a photo relative to a folder argument becomes its file name.
    databases
        Files of collections that the command reads.
    force
        Whether to replace existing files, but never a photo or database of this command.

    Raises
    ------
    click.BadParameter
        If the folder can't be created, or an output file exists; nothing was done.
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
        from facesearch.cli.shell.saving import check_marked
        from facesearch.files.protected import Protected

        self._folder, self._force = folder, force
        if folder.exists() and not folder.is_dir():
            raise click.BadParameter(
                f"'{folder}' is not a folder; many photos are saved as files in a folder.", param_hint=SAVE
            )
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
        """Return the content of the output file of photo *number*, from 0, with its faces marked."""
        from facesearch.cli.shell.saving import marked_file

        return marked_file(picture, faces, Path(self._names[number]))

    def write(self, number: int, content: bytes) -> Path:
        """Write the output file of photo *number* atomically.

        Raises
        ------
        OSError
            If the file can't be written, or another file has appeared at its path.
        """
        from facesearch.cli.shell.saving import write_marked

        path = self._folder / self._names[number]
        write_marked(content, path, self._protected, overwrite=self._force)
        return path


def _names(photos: Sequence[str], roots: Sequence[Path]) -> list[str]:
    """Return a unique output file name for each photo, derived from its path; the same arguments produce the same names."""
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
    """Return a key that is equal for names that a file system may treat as the same."""
    return unicodedata.normalize("NFC", name).casefold()


def _columns(text: str) -> int:
    """Return the width of a text in terminal columns: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
