"""``facesearch search`` of many photos: one row or line for each, as it is done."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.many_photos import (
    Done,
    Lines,
    SaveFolder,
    each_done,
    listed,
    spreadsheet_cell,
    status_of,
    stopped_by_ctrl_c,
)
from facesearch.cli.shell.output import note, note_block, printable, say, show, show_csv_row, show_json_line
from facesearch.cli.shell.words import explained, looks

__all__ = ["Asked", "search_many"]

_CSV: Final = ("photo", "face", "similarity", "user_id", "status")


@attrs.frozen(kw_only=True)
class Asked:
    """What the command was asked for.

    Attributes
    ----------
    options
        Of `facesearch.search_users_by_image`.
    all_faces, why, save_to, force, workers, as_json, as_csv
        As on the command line.
    """

    options: dict[str, Any]
    all_faces: bool
    why: bool
    save_to: Path | None
    force: bool
    workers: int | None
    as_json: bool
    as_csv: bool


@attrs.frozen(kw_only=True)
class Answer:
    """What a search of one photo gave.

    Attributes
    ----------
    responses
        One for each face that was searched.
    shown
        The same or, where no face was, one that has the faces that were not, and the reasons.
    marked
        The photo with its faces marked, as a file, where that is to be saved.
    """

    responses: tuple[fs.SearchUsersByImageResponse, ...]
    shown: tuple[fs.SearchUsersByImageResponse, ...]
    marked: bytes | None

    @property
    def found(self) -> bool:
        """Whether somebody was found."""
        return any(response.user_matches for response in self.shown)


def search_many(collection: fs.Collection, db: Path, photos: Sequence[str], asked: Asked) -> Exit:
    """Search photos and the photos in folders; print each answer when its turn comes."""
    from facesearch.responses.search_users import seen_faces

    every = listed(photos)
    folder = (
        None if asked.save_to is None else SaveFolder(asked.save_to, every, photos, databases=[db], force=asked.force)
    )

    def work(number: int, picture: fs.Picture) -> Answer:
        found = fs.search_all_faces(collection, picture, **asked.options) if asked.all_faces else ()
        shown = found or (fs.search_users_by_image(collection, picture, **asked.options),)
        marked = None if folder is None else folder.drawn(number, picture, seen_faces(*shown))
        return Answer(responses=found if asked.all_faces else shown, shown=shown, marked=marked)

    if asked.as_csv:
        show_csv_row(_CSV)
    lines = None if asked.as_json or asked.as_csv else _Table(every, asked)
    results: list[tuple[bool, bool]] = []
    with stopped_by_ctrl_c(results, every):
        for number, done in enumerate(each_done(every, work, asked.workers)):
            if lines is None:
                _show_json(done, asked) if asked.as_json else _show_rows(done)
            elif done.result is not None:
                lines.show(done.photo, done.result)
            if done.result is not None:
                if asked.why:
                    _explain(done.photo, done.result, aside=lines is None)
                if folder is not None and done.result.marked is not None:
                    note(f"wrote {folder.write(number, done.result.marked)}")
            results.append((done.result is not None and done.result.found, done.error is not None))
    return status_of(results)


def _show_json(done: Done[Answer], asked: Asked) -> None:
    """Print one line: AWS's answer stays as it is, the photo stands beside it."""
    if done.result is None:
        show_json_line({"photo": done.photo, "error": done.error})
        return
    answers = [fs.to_aws(response) for response in done.result.responses]
    show_json_line({"photo": done.photo, **({"answers": answers} if asked.all_faces else {"answer": answers[0]})})


def _show_rows(done: Done[Answer]) -> None:
    """Print a row for each match, or one that says why there is none."""
    photo = spreadsheet_cell(done.photo)
    if done.result is None:
        show_csv_row((photo, "", "", "", "error"))
        return
    for number, response in enumerate(done.result.shown, start=1):
        if not response.searched_face:
            show_csv_row((photo, "", "", "", "not_searched" if response.unsearched_faces else "no_face"))
        elif not response.user_matches:
            show_csv_row((photo, str(number), "", "", "nobody"))
        for match in response.user_matches:
            show_csv_row((photo, str(number), f"{match.similarity:.2f}", match.user.user_id, "found"))


class _Table:
    """The answers as a table."""

    def __init__(self, photos: Sequence[str], asked: Asked) -> None:
        self._asked = asked
        face = [("face", len("face"))] if asked.all_faces else []
        self._lines = Lines(photos, [*face, ("similarity", len("similarity")), ("user", len("user"))])

    def show(self, photo: str, answer: Answer) -> None:
        """Print the rows of a photo, and what its faces look like where that was asked for."""
        for number, response in enumerate(answer.shown, start=1):
            face = [str(number) if response.searched_face else "-"] if self._asked.all_faces else []
            for similarity, user in self._cells(response):
                self._lines.row(photo, [*face, similarity, user])
        for number, response in enumerate(answer.shown, start=1):
            if response.searched_face:
                for line in looks(response.searched_face.face_detail):
                    say(f"  face {number}: {line}" if len(answer.shown) > 1 else f"  {line}")

    def _cells(self, response: fs.SearchUsersByImageResponse) -> Iterator[tuple[str, str]]:
        if not response.searched_face:
            others = len(response.unsearched_faces)
            yield "-", f"(no face passes the filter, of {others})" if others else "(no face)"
        elif not response.user_matches:
            next_user = response.next_user
            yield (
                "-",
                f"(nobody; next {next_user.user.user_id}, {next_user.similarity:.2f})" if next_user else "(nobody)",
            )
        for match in response.user_matches:
            yield f"{match.similarity:.2f}", match.user.user_id


def _explain(photo: str, answer: Answer, *, aside: bool) -> None:
    (note_block if aside else show)(f"\n{printable(photo)}\n{explained(answer.shown)}\n")
