"""Compute what is drawn of each face on a photo: box, class, label texts, landmarks and pose.

A class has its own colour (of Okabe and Ito's palette, which colour-blind people distinguish), its own line style and its own
words, so that each of the three suffices. `facesearch.display.annotator` draws the marks.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

import attrs
from attrs import field

from facesearch.common.validation import is_a
from facesearch.domain.face_detail import FaceDetail
from facesearch.domain.rotation import rotation_from_pose

__all__ = [
    "HALO",
    "HALO_OPACITY",
    "STYLES",
    "FaceClass",
    "Mark",
    "Rectangle",
    "SeenFace",
    "Style",
    "class_of",
    "drawing_order",
    "in_words",
    "legend",
    "marks_of",
]

Point = tuple[float, float]


class FaceClass(Enum):
    """The outcome of a face; those that are labelled first, and so best, come first."""

    FOUND = "found"
    UNKNOWN = "nobody known"
    INDEXED = "indexed"
    DETECTED = "detected"
    REFUSED = "refused"
    NOT_CHOSEN = "not chosen"


@attrs.frozen(kw_only=True)
class Style:
    """Style of a class."""

    colour: str  # of the frame and of the ground that its label stands on, ``#rrggbb``
    ink: str  # of the label, readable on the colour
    halo: str  # of the wider line under the frame, which keeps it visible on any photo
    dash: tuple[float, ...]  # lengths of dashes and gaps in widths of the line; empty is a solid line
    words: str  # for the legend


# https://jfly.uni-koeln.de/color/. tests/display/test_marks.py simulates three kinds of colour blindness.
STYLES: Final = {
    FaceClass.FOUND: Style(colour="#0072B2", ink="#ffffff", halo="#ffffff", dash=(), words="searched and found"),
    FaceClass.UNKNOWN: Style(
        colour="#F0E442", ink="#000000", halo="#000000", dash=(5, 1.5, 1.5, 1.5), words="searched, nobody known"
    ),
    FaceClass.INDEXED: Style(colour="#0072B2", ink="#ffffff", halo="#ffffff", dash=(), words="indexed"),
    FaceClass.DETECTED: Style(colour="#56B4E9", ink="#000000", halo="#000000", dash=(), words="detected"),
    FaceClass.REFUSED: Style(colour="#D55E00", ink="#000000", halo="#ffffff", dash=(1.5, 1.5), words="refused"),
    FaceClass.NOT_CHOSEN: Style(colour="#000000", ink="#ffffff", halo="#ffffff", dash=(4, 2.5), words="not chosen"),
}

HALO: Final = 1.9  # width of the halo, in widths of the line on it
HALO_OPACITY: Final = 0.8

# AWS's reasons in a few words: a label has little room.
_WORDS = {
    "FACE_NOT_LARGEST": "not the largest",
    "EXCEEDS_MAX_FACES": "one too many",
    "EXTREME_POSE": "turned away",
    "LOW_BRIGHTNESS": "too dark",
    "LOW_SHARPNESS": "blurred",
    "LOW_CONFIDENCE": "perhaps no face",
    "SMALL_BOUNDING_BOX": "too small",
    "LOW_FACE_QUALITY": "poor quality",
}
_REASONS_IN_LEGEND = 2
_DETAILED = 4  # letter sizes: from this side on a face shows its landmarks and pose
_NOT_CHOSEN = {"FACE_NOT_LARGEST", "EXCEEDS_MAX_FACES"}  # reasons that concern other faces, not this one


@attrs.frozen(kw_only=True)
class SeenFace:
    """A face and its outcome."""

    detail: FaceDetail = field(validator=is_a(FaceDetail))
    kind: FaceClass = field(validator=is_a(FaceClass))
    name: str | None = None  # user id, where it is known
    similarity: float | None = None  # to that user, percent, 0-100
    reasons: tuple[str, ...] = ()  # AWS's names of the reasons why it was not searched


@attrs.frozen(kw_only=True)
class Rectangle:
    """An upright rectangle in pixels, y down."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def grown(self, margin: float) -> "Rectangle":
        """Return the rectangle extended by a number of pixels on each side."""
        return Rectangle(
            left=self.left - margin,
            top=self.top - margin,
            width=self.width + 2 * margin,
            height=self.height + 2 * margin,
        )

    def contains(self, point: Point) -> bool:
        """Return whether a point lies in the rectangle or on its edge."""
        return self.left <= point[0] <= self.right and self.top <= point[1] <= self.bottom

    def shared(self, other: "Rectangle") -> float:
        """Return the area of the intersection with another rectangle, pixels squared."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0.0) * max(down, 0.0)


@attrs.frozen(kw_only=True)
class Mark:
    """One face to draw; places are xy pixels of the picture, y down, and may lie outside of it."""

    number: int  # 1 and up, in the order of the faces
    kind: FaceClass
    box: Rectangle
    # Possible labels, the most informative first, each shorter than the one before; the last is the number.
    texts: tuple[str, ...]
    landmarks: tuple[Point, ...] = ()
    # Where the head's own axes through the middle of the box end: to the viewer's right of the face, to the top of the head, and
    # where the nose points. ``None`` without a pose, and where it was not asked for.
    axes: tuple[Point, Point, Point] | None = None

    @property
    def style(self) -> Style:
        """Style of the mark's class."""
        return STYLES[self.kind]

    @property
    def centre(self) -> Point:
        """The middle of the box."""
        return self.box.left + self.box.width / 2, self.box.top + self.box.height / 2

    def stroke(self, letter: float) -> float:
        """Return the width of the frame's lines for a letter size: thinner around a small face."""
        side = min(self.box.width, self.box.height)
        return min(letter / 7, max(side / 14, letter / 12))

    def shows_details(self, letter: float) -> bool:
        """Return whether landmarks and pose are drawn: a small face has no room for them."""
        return min(self.box.width, self.box.height) >= _DETAILED * letter


def class_of(reasons: Iterable[str]) -> FaceClass:
    """Return the class of an unsearched face: not chosen because of other faces, or refused for its quality."""
    return FaceClass.NOT_CHOSEN if _NOT_CHOSEN.issuperset(reasons) else FaceClass.REFUSED


def in_words(reasons: Sequence[str]) -> str:
    """Describe reasons, by AWS's names, in a few plain words."""
    return ", ".join(_WORDS.get(reason, reason.lower().replace("_", " ")) for reason in reasons) or "not searched"


def legend(faces: Sequence[SeenFace]) -> tuple[tuple[FaceClass, str], ...]:
    """Return the classes that a picture shows, each with its text in the legend: words, number of faces, reasons."""
    entries = []
    for kind, style in STYLES.items():
        members = [face for face in faces if face.kind is kind]
        if not members:
            continue
        counted = f" ({len(members)})" if len(members) > 1 else ""
        why = Counter(in_words(face.reasons) for face in members) if kind is FaceClass.REFUSED else Counter()
        reasons = [
            f"{words} {count}" if len(why) > 1 else words for words, count in why.most_common(_REASONS_IN_LEGEND)
        ]
        more = [] if len(reasons) == len(why) else ["\N{HORIZONTAL ELLIPSIS}"]
        entries.append((kind, f"{style.words}{counted}" + (": " if reasons else "") + "; ".join(reasons + more)))
    return tuple(entries)


def marks_of(faces: Sequence[SeenFace], width: int, height: int, *, pose: bool = False) -> tuple[Mark, ...]:
    """Compute the marks of the faces of a photo, numbered in their order, for a picture of *width* x *height* pixels.

    With *pose* they have the head's axes too, which are off by default, since they cover the face.
    """
    marks = (_mark(face, number, width, height) for number, face in enumerate(faces, 1))
    return tuple(
        attrs.evolve(mark, axes=_axes(mark, face.detail)) if pose else mark
        for mark, face in zip(marks, faces, strict=True)
    )


def drawing_order(marks: Sequence[Mark]) -> list[Mark]:
    """Return marks in the order in which they are drawn: found faces last and so on top, low numbers after high ones."""
    return sorted(marks, key=lambda mark: (mark.kind is FaceClass.FOUND, -mark.number))


def _mark(face: SeenFace, number: int, width: int, height: int) -> Mark:
    left, top, right, bottom = face.detail.bounding_box.to_pixels(width, height)
    return Mark(
        number=number,
        kind=face.kind,
        box=Rectangle(left=left, top=top, width=right - left, height=bottom - top),
        texts=_texts(face, number),
        landmarks=tuple((landmark.x * width, landmark.y * height) for landmark in face.detail.landmarks or ()),
    )


def _what(face: SeenFace) -> str:
    if face.kind in {FaceClass.FOUND, FaceClass.INDEXED} and face.name:
        percent = "" if face.similarity is None else f" {face.similarity:.1f}%"
        return f"{face.name}{percent}"
    if face.kind in {FaceClass.REFUSED, FaceClass.NOT_CHOSEN}:
        return in_words(face.reasons)
    return str(face.kind.value)


def _texts(face: SeenFace, number: int) -> tuple[str, ...]:
    what, short = _what(face), str(number)
    if face.kind is FaceClass.DETECTED:
        return (short,)
    if face.kind is FaceClass.FOUND and face.name:
        return (what, face.name, short)
    return (what if face.kind is FaceClass.UNKNOWN else f"{short} {what}", short)


def _axes(mark: Mark, detail: FaceDetail) -> tuple[Point, Point, Point] | None:
    pose = detail.pose
    if pose is None:
        return None
    rotation = rotation_from_pose(pose)
    length = min(mark.box.width, mark.box.height) * 0.6
    x, y = mark.centre
    # Head's own right, up and ahead: the camera's y grows downwards, and its z away from the camera.
    right, up, ahead = (
        (x + sign * length * float(rotation[0, axis]), y + sign * length * float(rotation[1, axis]))
        for axis, sign in ((0, 1), (1, -1), (2, -1))
    )
    return right, up, ahead
