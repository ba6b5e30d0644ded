"""``facesearch detect`` for many photos: prints the faces of each photo as soon as it is processed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

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
from facesearch.cli.shell.output import print_csv_row, print_json_line, print_line
from facesearch.cli.shell.words import FACE_COLUMNS, describe_face, face_cells
from facesearch.display.face_marks import FaceClass, SeenFace

__all__ = ["detect_many"]

_WIDTHS: Final = (4, 24, 6, 4, 5, 4, 6, 5)  # of FACE_COLUMNS: a box is at most "10000 x 10000 at 0, 0"
_FIGURES: Final = ("left", "top", "width", "height", "confidence", "yaw", "pitch", "roll", "brightness", "sharpness")


@attrs.frozen(kw_only=True)
class Detection:
    """Faces of a photo, its size in pixels, and with ``--save`` the content of the marked photo's file."""

    faces: tuple[fs.FaceDetail, ...]
    width: int
    height: int
    marked: bytes | None

    @property
    def found(self) -> bool:
        """Whether a face was detected."""
        return bool(self.faces)


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
    """Detect faces in photos and folders of photos, and print them photo by photo, in order."""
    paths = list_photos(photos)
    folder = None if save_to is None else SaveFolder(save_to, paths, photos, force=force)

    def work(number: int, picture: fs.Picture) -> Detection:
        faces = fs.detect_faces(picture, attributes=attributes)
        seen = [SeenFace(detail=face, kind=FaceClass.DETECTED) for face in faces]
        marked = None if folder is None else folder.drawn(number, picture, seen)
        return Detection(faces=tuple(faces), width=picture.width, height=picture.height, marked=marked)

    if as_csv:
        print_csv_row(["photo", "face", *_FIGURES, "status"])
    lines = None if as_json or as_csv else Lines(paths, [*zip(FACE_COLUMNS, _WIDTHS, strict=True)])

    def show(done: Outcome[Detection]) -> None:
        if lines is None:
            _show_json(done) if as_json else _show_rows(done)
        elif done.result is not None:
            _show_lines(lines, done.photo, done.result)

    return report_photos(paths, work, show, workers=workers, folder=folder)


def _show_json(done: Outcome[Detection]) -> None:
    if done.result is None:
        print_json_line({"photo": done.photo, "error": done.error})
    else:
        answer = {"FaceDetails": [fs.to_aws(face) for face in done.result.faces]}
        print_json_line({"photo": done.photo, "answer": answer})


def _show_lines(lines: Lines, photo: str, seen: Detection) -> None:
    for number, face in enumerate(seen.faces, start=1):
        lines.row(photo, face_cells(number, face, seen.width, seen.height))
        for line in describe_face(face):
            print_line(f"  face {number}: {line}")
    if not seen.faces:
        lines.row(photo, ["-", "(no face)"])


def _show_rows(done: Outcome[Detection]) -> None:
    """Print a CSV row for each face, with bounding boxes as ratios of the photo's sides, as in Amazon Rekognition."""
    photo, nothing = spreadsheet_cell(done.photo), [""] * len(_FIGURES)
    faces = () if done.result is None else done.result.faces
    if not faces:
        print_csv_row([photo, "", *nothing, "error" if done.result is None else "no_face"])
    for number, face in enumerate(faces, start=1):
        figures = [
            *(face.bounding_box.left, face.bounding_box.top, face.bounding_box.width, face.bounding_box.height),
            face.confidence,
            *((face.pose.yaw, face.pose.pitch, face.pose.roll) if face.pose else (None,) * 3),
            *((face.quality.brightness, face.quality.sharpness) if face.quality else (None,) * 2),
        ]
        print_csv_row([photo, str(number), *("" if each is None else f"{each:.6g}" for each in figures), "found"])
