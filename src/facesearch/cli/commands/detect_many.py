"""``facesearch detect`` for many photos: prints the faces of each photo as soon as it is processed."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.many_photos import Result, report_photos
from facesearch.cli.shell.options import analyzer_for
from facesearch.cli.shell.words import FACE_COLUMNS, describe_face, detected_faces, face_cells
from facesearch.display.face_marks import SeenFace

__all__ = ["detect_many"]

_WIDTHS: Final = (4, 24, 6, 4, 5, 4, 6, 5)  # of FACE_COLUMNS: a box is at most "10000 x 10000 at 0, 0"
_FIGURES: Final = ("left", "top", "width", "height", "confidence", "yaw", "pitch", "roll", "brightness", "sharpness")


@attrs.frozen(kw_only=True)
class _Detection(Result):
    """Faces of a photo, and its size in pixels."""

    faces: tuple[fs.FaceDetail, ...]
    width: int
    height: int

    @property
    def found(self) -> bool:
        return bool(self.faces)

    @property
    def seen(self) -> Sequence[SeenFace]:
        return detected_faces(self.faces)

    def answer(self) -> dict[str, Any]:
        return {"answer": {"FaceDetails": [fs.to_aws(face) for face in self.faces]}}

    def csv_rows(self) -> Iterator[Sequence[str]]:
        """Yield a row for each face, with bounding boxes as ratios of the photo's sides, as in Amazon Rekognition."""
        for number, face in enumerate(self.faces, start=1):
            box, pose, quality = face.bounding_box, face.pose, face.quality
            figures = [
                *(box.left, box.top, box.width, box.height, face.confidence),
                *((pose.yaw, pose.pitch, pose.roll) if pose else (None,) * 3),
                *((quality.brightness, quality.sharpness) if quality else (None,) * 2),
            ]
            yield [str(number), *("" if each is None else f"{each:.6g}" for each in figures), "found"]
        if not self.faces:
            yield ["", *[""] * len(_FIGURES), "no_face"]

    def lines(self) -> Iterator[str | Sequence[str]]:
        for number, face in enumerate(self.faces, start=1):
            yield face_cells(number, face, self.width, self.height)
            yield from (f"  face {number}: {line}" for line in describe_face(face))
        if not self.faces:
            yield ["-", "(no face)"]

    def explanation(self) -> None:
        return None


def detect_many(photos: Sequence[str], attributes: Sequence[str], *, min_face: int | None, **options: Any) -> Exit:
    """Detect faces in photos and folders of photos, with the *options* of `report_photos`."""
    analyzer = analyzer_for(min_face)

    def work(picture: fs.Picture) -> _Detection:
        faces = fs.detect_faces(picture, attributes=attributes, analyzer=analyzer)
        return _Detection(faces=tuple(faces), width=picture.width, height=picture.height)

    columns = [*zip(FACE_COLUMNS, _WIDTHS, strict=True)]
    return report_photos(photos, work, columns=columns, csv_columns=["face", *_FIGURES, "status"], **options)
