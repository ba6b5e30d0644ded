"""``facesearch detect`` of many photos: the faces of each, as it is done."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

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
from facesearch.cli.shell.output import note, say, show_csv_row, show_json_line
from facesearch.cli.shell.words import FACE_COLUMNS, face_cells, looks
from facesearch.display.face_marks import FaceClass, SeenFace

__all__ = ["detect_many"]

_WIDTHS: Final = (4, 24, 6, 4, 5, 4, 6, 5)  # of FACE_COLUMNS: a box is at most "10000 x 10000 at 0, 0"
_FIGURES: Final = ("left", "top", "width", "height", "confidence", "yaw", "pitch", "roll", "brightness", "sharpness")


@attrs.frozen(kw_only=True)
class Seen:
    """The faces of a photo, the photo's size, and it with the faces marked, as a file, where that is to be saved."""

    faces: tuple[fs.FaceDetail, ...]
    width: int
    height: int
    marked: bytes | None


def detect_many(
    photos: Sequence[str],
    attributes: Sequence[str],
    *,
    save_to: Path | None,
    force: bool,
    workers: int | None,
    as_json: bool,
    as_csv: bool,
) -> Exit:
    """Find the faces of photos and of the photos in folders; print those of each when its turn comes."""
    every = listed(photos)
    folder = None if save_to is None else SaveFolder(save_to, every, photos, force=force)

    def work(number: int, picture: fs.Picture) -> Seen:
        faces = fs.detect_faces(picture, attributes=attributes)
        seen = [SeenFace(detail=face, kind=FaceClass.DETECTED) for face in faces]
        marked = None if folder is None else folder.drawn(number, picture, seen)
        return Seen(faces=tuple(faces), width=picture.width, height=picture.height, marked=marked)

    if as_csv:
        show_csv_row(["photo", "face", *_FIGURES, "status"])
    lines = None if as_json or as_csv else Lines(every, [*zip(FACE_COLUMNS, _WIDTHS, strict=True)])
    results: list[tuple[bool, bool]] = []
    with stopped_by_ctrl_c(results, every):
        for number, done in enumerate(each_done(every, work, workers)):
            if lines is None:
                _show_json(done) if as_json else _show_rows(done)
            elif done.result is not None:
                _show_lines(lines, done.photo, done.result)
            if folder is not None and done.result is not None and done.result.marked is not None:
                note(f"wrote {folder.write(number, done.result.marked)}")
            results.append((done.result is not None and bool(done.result.faces), done.error is not None))
    return status_of(results)


def _show_json(done: Done[Seen]) -> None:
    if done.result is None:
        show_json_line({"photo": done.photo, "error": done.error})
    else:
        answer = {"FaceDetails": [fs.to_aws(face) for face in done.result.faces]}
        show_json_line({"photo": done.photo, "answer": answer})


def _show_lines(lines: Lines, photo: str, seen: Seen) -> None:
    for number, face in enumerate(seen.faces, start=1):
        lines.row(photo, face_cells(number, face, seen.width, seen.height))
        for line in looks(face):
            say(f"  face {number}: {line}")
    if not seen.faces:
        lines.row(photo, ["-", "(no face)"])


def _show_rows(done: Done[Seen]) -> None:
    """Print a row for each face, boxes in ratios of the photo's sides as Amazon Rekognition has them."""
    photo, nothing = spreadsheet_cell(done.photo), [""] * len(_FIGURES)
    faces = () if done.result is None else done.result.faces
    if not faces:
        show_csv_row([photo, "", *nothing, "error" if done.result is None else "no_face"])
    for number, face in enumerate(faces, start=1):
        figures = [
            *(face.bounding_box.left, face.bounding_box.top, face.bounding_box.width, face.bounding_box.height),
            face.confidence,
            *((face.pose.yaw, face.pose.pitch, face.pose.roll) if face.pose else (None,) * 3),
            *((face.quality.brightness, face.quality.sharpness) if face.quality else (None,) * 2),
        ]
        show_csv_row([photo, str(number), *("" if each is None else f"{each:.6g}" for each in figures), "found"])
