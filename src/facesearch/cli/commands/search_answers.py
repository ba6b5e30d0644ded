"""``facesearch search`` for many photos: prints the rows or the line of each photo as soon as it is searched."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.many_photos import (
    Lines,
    Outcome,
    SaveFolder,
    list_photos,
    report_photos,
    spreadsheet_cell,
)
from facesearch.cli.shell.options import files_of
from facesearch.cli.shell.output import (
    print_block,
    print_csv_row,
    print_json_line,
    print_line,
    print_note_block,
    printable,
)
from facesearch.cli.shell.words import describe_face, explained

__all__ = ["SearchRequest", "search_many"]

_CSV: Final = ("photo", "face", "similarity", "user_id", "status")


@attrs.frozen(kw_only=True)
class SearchRequest:
    """Options of the command.

    Attributes
    ----------
    options
        Keyword arguments of `facesearch.search_users_by_image`.
    all_faces, why, save_to, force, workers, as_json, as_csv
        Options of the command line.
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
    """Result of the search for one photo.

    Attributes
    ----------
    responses
        One response for each searched face.
    shown
        The same responses, or if no face was searched, one response with the refused faces and the reasons.
    marked
        With ``--save``, content of the marked photo's file.
    """

    responses: tuple[fs.SearchUsersByImageResponse, ...]
    shown: tuple[fs.SearchUsersByImageResponse, ...]
    marked: bytes | None

    @property
    def found(self) -> bool:
        """Whether a user was found."""
        return any(response.user_matches for response in self.shown)


def search_many(collection: fs.Collection, db: Path | str, photos: Sequence[str], request: SearchRequest) -> Exit:
    """Search photos and folders of photos, and print the results in order."""
    from facesearch.responses.search_users import seen_faces

    paths = list_photos(photos)
    folder = (
        None
        if request.save_to is None
        else SaveFolder(request.save_to, paths, photos, databases=files_of(db), force=request.force)
    )

    def work(number: int, picture: fs.Picture) -> Answer:
        found = fs.search_all_faces(collection, picture, **request.options) if request.all_faces else ()
        shown = found or (fs.search_users_by_image(collection, picture, **request.options),)
        marked = None if folder is None else folder.drawn(number, picture, seen_faces(*shown))
        return Answer(responses=found if request.all_faces else shown, shown=shown, marked=marked)

    if request.as_csv:
        print_csv_row(_CSV)
    lines = None if request.as_json or request.as_csv else _Table(paths, request)

    def show(done: Outcome[Answer]) -> None:
        if lines is None:
            _show_json(done, request) if request.as_json else _show_rows(done)
        elif done.result is not None:
            lines.show(done.photo, done.result)
        if done.result is not None and request.why:
            _explain(done.photo, done.result, aside=lines is None)

    return report_photos(paths, work, show, workers=request.workers, folder=folder)


def _show_json(done: Outcome[Answer], request: SearchRequest) -> None:
    """Print one line of JSON with the photo and AWS's unchanged response."""
    if done.result is None:
        print_json_line({"photo": done.photo, "error": done.error})
        return
    answers = [fs.to_aws(response) for response in done.result.responses]
    print_json_line({"photo": done.photo, **({"answers": answers} if request.all_faces else {"answer": answers[0]})})


def _show_rows(done: Outcome[Answer]) -> None:
    """Print a CSV row for each match, or one with the reason that there is none."""
    photo = spreadsheet_cell(done.photo)
    if done.result is None:
        print_csv_row((photo, "", "", "", "error"))
        return
    for number, response in enumerate(done.result.shown, start=1):
        if not response.searched_face:
            print_csv_row((photo, "", "", "", "not_searched" if response.unsearched_faces else "no_face"))
        elif not response.user_matches:
            print_csv_row((photo, str(number), "", "", "nobody"))
        for match in response.user_matches:
            print_csv_row((photo, str(number), f"{match.similarity:.2f}", match.user.user_id, "found"))


class _Table:
    """Table of the results."""

    def __init__(self, photos: Sequence[str], request: SearchRequest) -> None:
        self._request = request
        face = [("face", len("face"))] if request.all_faces else []
        self._lines = Lines(photos, [*face, ("similarity", len("similarity")), ("user", len("user"))])

    def show(self, photo: str, answer: Answer) -> None:
        """Print the rows of a photo, and the requested attributes of its faces."""
        for number, response in enumerate(answer.shown, start=1):
            face = [str(number) if response.searched_face else "-"] if self._request.all_faces else []
            for similarity, user in self._cells(response):
                self._lines.row(photo, [*face, similarity, user])
        for number, response in enumerate(answer.shown, start=1):
            if response.searched_face:
                for line in describe_face(response.searched_face.face_detail):
                    print_line(f"  face {number}: {line}" if len(answer.shown) > 1 else f"  {line}")

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
    (print_note_block if aside else print_block)(f"\n{printable(photo)}\n{explained(answer.shown)}\n")
