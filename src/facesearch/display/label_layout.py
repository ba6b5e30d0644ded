"""Place the labels of faces, so that no label covers another one and hardly any covers a face.

All lengths are in pixels of the picture that is drawn on. Widths of texts are those of the wider of two fonts: that of Pillow, in
which labels are drawn, and DejaVu Sans, in which matplotlib writes.
"""

from collections.abc import Iterator, Sequence
from statistics import median

import attrs

from facesearch.display.face_marks import FaceClass, Mark, Rectangle

__all__ = ["FEW_FACES", "HEIGHT", "Label", "fitted", "lay_out", "letter_size", "text_width"]

# Up to this number of faces are labelled in words; in a crowd only those that were found are, and the others are numbered.
FEW_FACES = 6

_LETTER, _SMALL_LETTER, _SMALLEST_LETTER = 15.0, 12.0, 8.5  # pixels of the screen; the latter two in a crowd

HEIGHT = 1.45  # of a label, in letter sizes
_MARGIN = 0.4  # on both sides of its text, likewise
_BASELINE = 1.08  # from its upper edge, likewise

# The advance of each letter in letter sizes, in the wider of the two fonts; any other counts as the widest.
_WIDTHS = {
    letter: width
    for width, letters in {
        0.28: "'ijl",
        0.30: "I",
        0.34: " ,./:;\\|·",
        0.36: "f-",
        0.40: "()[]t!",
        0.41: "r",
        0.53: '"_`sz\N{EN DASH}',
        0.56: "*?Jc",
        0.59: "FLkvxy",
        0.62: "PTYao",
        0.64: "eESbdghnpqu${}0123456789",
        0.72: "KAVBRXZC",
        0.75: "UHN",
        0.80: "DG&OQ",
        0.87: "w#+<=>^~M",
        0.97: "%m",
    }.items()
    for letter in letters
}
_WIDEST = 1.0

_LONGEST = 22  # letter sizes: beside other faces a longer label could be taken for theirs
_NAME_IN_CROWD, _SHORTEST_NAME = 2.2, 6  # where many were found: widths of a face, and letter sizes at least
_NEAR = 0.3  # letter sizes: a label so near to another face could be taken for that face's
_MOST_COVERED = 0.1  # of a label in words, on or near other faces: beyond that a shorter one is tried
# The cost of a less usual place, against lying all on another face or covering all of its own, which cost 1.
_LATER = 0.02


@attrs.frozen(kw_only=True)
class Label:
    """A text of one line at its place."""

    mark: Mark
    text: str
    place: Rectangle  # the ground to draw below the text
    baseline: tuple[float, float]  # xy of the middle of the text, on its baseline


def text_width(text: str) -> float:
    """Return the width of a text, in letter sizes."""
    return sum(_WIDTHS.get(letter, _WIDEST) for letter in text)


def fitted(text: str, width: float) -> str:
    """Shorten a text to a width, in letter sizes, in its middle: a similarity at its end stays as long as there is room."""
    if text_width(text) <= width:
        return text
    head, _, tail = text.rpartition(" ")
    tail = f"… {tail}" if head and text_width(f"M… {tail}") <= width else "…"
    kept = head or text
    while kept and text_width(kept + tail) > width:
        kept = kept[:-1]
    return kept + tail


def letter_size(marks: Sequence[Mark], scale: float) -> float:
    """Return the letter size in pixels of the picture: smaller in a crowd, smallest among small faces.

    *marks* are all faces of the picture; *scale* is the number of screen pixels, of which an inch has 96, in a pixel of the picture.
    """
    if len(marks) <= FEW_FACES:
        return _LETTER / scale
    side = median(min(mark.box.width, mark.box.height) for mark in marks) * scale
    letters = 2 if _found(marks) <= FEW_FACES else 4  # that a face is wide: names need more room than numbers
    return min(max(side / letters, _SMALLEST_LETTER), _SMALL_LETTER) / scale


def _found(marks: Sequence[Mark]) -> int:
    return sum(mark.kind is FaceClass.FOUND for mark in marks)


def lay_out(marks: Sequence[Mark], width: float, height: float, letter: float) -> tuple[Label, ...]:
    """Place the labels of all faces of a picture of *width* x *height*, with letters of the size *letter*, in the order of *marks*.

    All labels lie within the picture and no two overlap; where there is no room left at a face, it has no label.
    """
    room = _Room(marks=marks, width=width, height=height, letter=letter)
    placed: dict[int, Label] = {}
    for position, mark in sorted(enumerate(marks), key=lambda item: _importance(item[1])):
        for text in room.texts(mark):
            if label := room.label(mark, text, [each.place for each in placed.values()]):
                placed[position] = label
                break
    return tuple(placed[position] for position in sorted(placed))


def _importance(mark: Mark) -> tuple[int, float, int]:
    return [*FaceClass].index(mark.kind), -mark.box.width * mark.box.height, mark.number


@attrs.frozen(kw_only=True)
class _Room:
    """A picture with faces, in which labels get a place."""

    marks: Sequence[Mark]
    width: float
    height: float
    letter: float

    def texts(self, mark: Mark) -> tuple[str, ...]:
        """Return the possible texts of a label, most informative first."""
        if len(self.marks) <= FEW_FACES:
            return mark.texts
        if mark.kind is not FaceClass.FOUND:
            return mark.texts[-1:]
        if _found(self.marks) <= FEW_FACES:
            return mark.texts
        *_, name, number = mark.texts
        return fitted(name, max(_NAME_IN_CROWD * mark.box.width / self.letter, _SHORTEST_NAME)), number

    def label(self, mark: Mark, text: str, taken: Sequence[Rectangle]) -> Label | None:
        """Find the place for a text that covers least of the faces; ``None`` if there is none at all."""
        number = text == mark.texts[-1]
        margins = 2 * _MARGIN
        longest = self.width / self.letter - margins
        shown = fitted(text, longest if len(self.marks) == 1 else min(longest, _LONGEST))
        wide, high = (text_width(shown) + margins) * self.letter, HEIGHT * self.letter
        if wide > self.width or high > self.height:
            return None
        best: tuple[float, Rectangle] | None = None
        for order, place in enumerate(self._places(mark.box, wide, high)):
            if any(place.shared(other) for other in taken):
                continue
            near = place.grown(_NEAR * self.letter)
            others = sum(near.shared(other.box) for other in self.marks if other is not mark) / (wide * high)
            if others > _MOST_COVERED and not number:
                continue
            own = place.shared(mark.box) / max(mark.box.width * mark.box.height, wide * high)
            cost = others + own + order * _LATER
            if best is None or cost < best[0]:
                best = (cost, place)
        if best is None:
            return None
        place = best[1]
        baseline = (place.left + place.width / 2, place.top + _BASELINE * self.letter)
        return Label(mark=mark, text=shown, place=place, baseline=baseline)

    def _places(self, box: Rectangle, wide: float, high: float) -> Iterator[Rectangle]:
        """Return the possible places of a label of this size, best first: under the box, over it, within it, beside it."""
        middle = box.left + (box.width - wide) / 2
        sides = (box.left, box.right - wide)
        lefts = (*sides, middle) if wide <= box.width else (middle, *sides)  # a long one shall not seem its neighbour's
        corners = [(left, top) for top in (box.bottom, box.top - high) for left in lefts]
        corners += [(left, top) for top in (box.top, box.bottom - high) for left in lefts]
        corners += [(left, top) for left in (box.right, box.left - wide) for top in (box.bottom - high, box.top)]
        for left, top in corners:
            yield Rectangle(
                left=min(max(left, 0.0), self.width - wide),
                top=min(max(top, 0.0), self.height - high),
                width=wide,
                height=high,
            )
