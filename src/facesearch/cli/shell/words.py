"""Describe faces as text and tables for the terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import facesearch as fs
    from facesearch.display.face_marks import SeenFace

__all__ = ["FACE_COLUMNS", "box_in_pixels", "describe_face", "detected_faces", "explained", "face_cells"]

FACE_COLUMNS: Final = ("face", "box in px", "sure", "yaw", "pitch", "roll", "bright", "sharp")

_YES_OR_NO: Final = (
    "smile",
    "mouth_open",
    "eyes_open",
    "eyeglasses",
    "sunglasses",
    "beard",
    "mustache",
    "face_occluded",
)


def describe_face(face: "fs.FaceDetail") -> Iterator[str]:
    """Yield lines that describe the attributes of a face, as far as they were requested and estimated."""
    seems = []
    if face.age_range:
        seems.append(f"{face.age_range.low}-{face.age_range.high} years old")
    if face.gender:
        seems.append(f"{face.gender.value.value.lower()} ({face.gender.confidence:.0f}%)")
    if face.emotions:
        seems.append(f"{face.emotions[0].type.value.lower()} ({face.emotions[0].confidence:.0f}%)")
    if seems:
        yield f"looks {', '.join(seems)}"
    answers = {name: answer for name in _YES_OR_NO if (answer := getattr(face, name)) is not None}
    for word, value in (("yes", True), ("no", False)):
        said = [
            f"{name.replace('_', ' ')} ({answer.confidence:.0f}%)"
            for name, answer in answers.items()
            if answer.value is value
        ]
        if said:
            yield f"{word}: {', '.join(said)}"
    if face.eye_direction:
        eyes = face.eye_direction
        yield f"eyes look: yaw {eyes.yaw:.0f}, pitch {eyes.pitch:.0f} degrees ({eyes.confidence:.0f}%)"


def detected_faces(faces: "Sequence[fs.FaceDetail]") -> "list[SeenFace]":
    """Return faces to be marked, as they were detected."""
    from facesearch.display.face_marks import FaceClass, SeenFace

    return [SeenFace(detail=face, kind=FaceClass.DETECTED) for face in faces]


def box_in_pixels(box: "fs.BoundingBox", width: int, height: int) -> str:
    """Format a bounding box in pixels: width x height at left, top."""
    left, top, right, bottom = (round(edge) for edge in box.to_pixels(width, height))
    return f"{right - left} x {bottom - top} at {left}, {top}"


def explained(responses: "Sequence[fs.SearchUsersByImageResponse]") -> "fs.Explanation":
    """Merge the explanations of one photo's responses: each lists its searched face and all refused faces."""
    import attrs

    first, *others = [response.explain() for response in responses]
    faces = {face.rank: face for explanation in (first, *others) for face in explanation.faces}
    return attrs.evolve(first, faces=tuple(face for _, face in sorted(faces.items(), key=lambda item: item[0] or 0)))


def face_cells(number: int, face: "fs.FaceDetail", width: int, height: int) -> list[str]:
    """Return the cells of `FACE_COLUMNS` for a face; *width* and *height* are the photo's, in pixels."""
    box = box_in_pixels(face.bounding_box, width, height)
    pose = (face.pose.yaw, face.pose.pitch, face.pose.roll) if face.pose else (None,) * 3
    quality = (face.quality.brightness, face.quality.sharpness) if face.quality else (None,) * 2
    sure = "-" if face.confidence is None else f"{face.confidence:.1f}%"
    return [str(number), box, sure, *("-" if figure is None else f"{figure:.0f}" for figure in (*pose, *quality))]
