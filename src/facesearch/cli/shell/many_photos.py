"""Process many photos in one command: list them, run on all cores, report in order, and save the marked photos."""

import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Stopped
from facesearch.cli.shell.options import SAVE, check_parent, photo_from
from facesearch.cli.shell.output import (
    counted,
    print_block,
    print_csv_row,
    print_json_line,
    print_line,
    print_note,
    print_note_block,
    printable,
    shortened,
    terminal_width,
)
from facesearch.common.ordered_map import in_order

if TYPE_CHECKING:
    import facesearch as fs
    from facesearch.display.face_marks import SeenFace

__all__ = [
    "Result",
    "SaveFolder",
    "are_many",
    "report_photos",
    "spreadsheet_cell",
    "status_of",
]

_MOST_BYTES: Final = 200  # longest stem of a saved file; file systems permit 255 bytes
_FORMULA: Final = ("=", "+", "-", "@")
_NARROWEST: Final = 12


def are_many(photos: Sequence[str]) -> bool:
    """Return whether the arguments are many photos: several photos, or a folder with any number of them."""
    return len(photos) > 1 or Path(photos[0]).is_dir()


def _listed(photos: Sequence[str]) -> list[str]:
    """Return the photos of the arguments in order; a folder is replaced by its photos, sorted by path."""
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


class Result(Protocol):
    """Result of the work on one photo, in all output formats."""

    @property
    def found(self) -> bool:
        """Whether the photo has a match."""

    @property
    def seen(self) -> "Sequence[SeenFace]":
        """Faces to mark in a copy of the photo."""

    def answer(self) -> dict[str, Any]:
        """Return the members of the photo's line of JSON."""

    def csv_rows(self) -> Iterable[Sequence[str]]:
        """Yield the CSV rows without the photo, the first column."""

    def lines(self) -> Iterable[str | Sequence[str]]:
        """Yield rows of the table, as cells without the photo, and lines below them."""

    def explanation(self) -> str | None:
        """Return the text for ``--why``."""


def report_photos(
    photos: Sequence[str],
    work: "Callable[[fs.Picture], Result]",
    *,
    columns: Sequence[tuple[str, int]],
    csv_columns: Sequence[str],
    databases: Sequence[Path] = (),
    save_to: Path | None,
    force: bool,
    workers: int | None,
    as_json: bool,
    as_csv: bool,
) -> Exit:
    """Process photos and folders of photos on all cores, print each result in order, and return the exit status.

    A photo that can't be used is one line on standard error. Only a few photos are in memory at a time. Several threads call *work* at
    the same time. *columns* are headers and widths of the table after the photo, and *csv_columns* of the CSV, the status last. The
    files *databases* are not replaced by ``--save``. Ctrl-C raises `Stopped`, which states how many photos are done.
    """
    import facesearch as fs
    from facesearch.networks.runtime import usable_cores

    paths = _listed(photos)
    folder = SaveFolder(save_to, paths, photos, databases=databases, force=force) if save_to else None

    def one(numbered: tuple[int, str]) -> "tuple[Result, bytes | None] | fs.ImageError":
        number, photo = numbered
        try:
            picture = fs.read_image(photo_from(photo))
            result = work(picture)
            return result, None if folder is None else folder.drawn(number, picture, result.seen)
        except fs.ImageError as error:
            return error

    output = _Output(paths, columns, csv_columns, as_json=as_json, as_csv=as_csv)
    results: list[Exit] = []
    try:
        for number, outcome in enumerate(in_order(one, enumerate(paths), workers or usable_cores())):
            if isinstance(outcome, fs.ImageError):
                output.fail(paths[number], outcome)
                results.append(Exit.PHOTO)
                continue
            result, marked = outcome
            output.show(paths[number], result)
            if folder is not None and marked is not None:
                print_note(f"wrote {folder.write(number, marked)}")
            results.append(Exit.DONE if result.found else Exit.NOTHING)
    except KeyboardInterrupt as error:
        raise Stopped(f"Interrupted: {len(results):,} of {counted(len(paths), 'photo')} done.") from error
    return status_of(results)


def status_of(results: Collection[Exit]) -> Exit:
    """Return the exit status of many photos: a match counts for more than none.

    A photo that can't be used takes precedence, as an unreadable file does in grep, so that scripts notice it.
    """
    return next((status for status in (Exit.PHOTO, Exit.DONE) if status in results), Exit.NOTHING)


class _Output:
    """Prints results as JSON lines, CSV or the rows of a table, in which cells of the last column may have any length."""

    def __init__(
        self,
        photos: Sequence[str],
        columns: Sequence[tuple[str, int]],
        csv_columns: Sequence[str],
        *,
        as_json: bool,
        as_csv: bool,
    ) -> None:
        self._as_json, self._as_csv, self._csv_columns = as_json, as_csv, csv_columns
        self._widths = [width for _, width in columns]
        self._width = max(_columns(printable(photo)) for photo in (*photos, "photo"))
        room = terminal_width()
        if room is not None:
            self._width = max(min(self._width, room - sum(width + 2 for width in self._widths)), _NARROWEST)
        if as_csv:
            print_csv_row(["photo", *csv_columns])
        elif not as_json:
            self._row("photo", [name for name, _ in columns])

    def show(self, photo: str, result: Result) -> None:
        """Print the result of a photo."""
        if self._as_json:
            print_json_line({"photo": photo, **result.answer()})
        elif self._as_csv:
            for cells in result.csv_rows():
                print_csv_row([spreadsheet_cell(photo), *cells])
        else:
            for line in result.lines():
                print_line(line) if isinstance(line, str) else self._row(photo, line)
        if why := result.explanation():
            aside = self._as_json or self._as_csv
            (print_note_block if aside else print_block)(f"\n{printable(photo)}\n{why}\n")

    def fail(self, photo: str, error: Exception) -> None:
        """Print that a photo can't be used."""
        print_note(f"Error: {error}")
        if self._as_json:
            print_json_line({"photo": photo, "error": str(error)})
        elif self._as_csv:
            print_csv_row([spreadsheet_cell(photo), *[""] * (len(self._csv_columns) - 1), "error"])

    def _row(self, photo: str, cells: Sequence[str]) -> None:
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

    The folder is created if missing, its parent must exist. *roots* are the arguments that the photos come from: the path of a photo
    relative to a folder among them becomes its file name. The photos and *databases* are never replaced.
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
        check_parent(folder)
        self._names = _names(photos, [Path(root) for root in roots if root != "-" and Path(root).is_dir()])
        self._protected = Protected(inputs=map(photo_from, photos), databases=databases)
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
        """Write the output file of photo *number* atomically; another file that has appeared at its path is an error."""
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
