"""Draw faces on a copy of a photo, with Pillow: the one renderer of annotated photos.

`facesearch.annotate`, the option ``--save`` of the command line, the notebook view of a response and `facesearch.plotting` show
its images. `facesearch.display.face_marks` decides what is drawn for a face, and `facesearch.display.label_layout` where its
label stands.
"""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageColor, ImageDraw, ImageFont

from facesearch.common.arrays import PixelArray
from facesearch.common.printable import printable
from facesearch.display.face_marks import HALO, HALO_OPACITY, Mark, Rectangle, SeenFace, drawing_order, marks_of
from facesearch.display.label_layout import Label, lay_out, letter_size

__all__ = ["draw_faces", "draw_for_screen"]

Point = tuple[float, float]
_DISPLAYED = 800  # pixels of a screen: labels are sized for a photo that is displayed at this width


def draw_faces(
    pixels: PixelArray | Image.Image, faces: Sequence[SeenFace], *, scale: float | None = None, pose: bool = False
) -> Image.Image:
    """Return a copy of a photo, (H, W, 3) uint8 RGB or an RGB image, with faces drawn on it: RGB, as large as the photo.

    Faces are given in the order of their numbers; those that were found are drawn last and so on top. *scale* sizes letters and lines:
    screen pixels, of which an inch has 96, for one pixel of the photo. By default the photo is displayed at its own size, but not larger
    than 800 screen pixels a side. With *pose* the axes of the heads are drawn too.
    """
    image = pixels.copy() if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    marks = marks_of(faces, image.width, image.height, pose=pose)
    letter = letter_size(marks, scale or _DISPLAYED / max(image.width, image.height, _DISPLAYED))
    layer = Image.new("RGBA", image.size)
    pen = ImageDraw.Draw(layer)
    view = Rectangle(left=0, top=0, width=image.width, height=image.height).grown(max(image.size))
    for mark in drawing_order(marks):
        _draw_frame(pen, mark, letter, view)
        if mark.shows_details(letter):
            _draw_details(pen, mark, letter, view)
    font = ImageFont.load_default(letter)  # comes with Pillow
    for label in lay_out(marks, image.width, image.height, letter):
        _draw_label(pen, label, letter, font)
    image.paste(layer, mask=layer)
    return image


def draw_for_screen(
    pixels: PixelArray, faces: Sequence[SeenFace], *, scale: float, density: float, pose: bool = False
) -> Image.Image:
    """Return a photo with faces drawn on it, resized for its display, so that lines and letters are sharp.

    *scale* is that of `draw_faces`; *density* is the number of pixels of the result for one screen pixel.
    """
    height, width = pixels.shape[:2]
    size = (max(round(width * scale * density), 1), max(round(height * scale * density), 1))
    resized = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    return draw_faces(resized, faces, scale=1 / density, pose=pose)


def _draw_frame(pen: ImageDraw.ImageDraw, mark: Mark, letter: float, view: Rectangle) -> None:
    width = mark.stroke(letter)
    wide, narrow = max(round(width * HALO), 2), max(round(width), 1)
    halo = (*ImageColor.getrgb(mark.style.halo)[:3], round(255 * HALO_OPACITY))
    for dash in _dashes(mark.box, (), view):
        pen.line(dash, fill=halo, width=wide)
    for dash in _dashes(mark.box, tuple(length * width for length in mark.style.dash), view):
        pen.line(dash, fill=mark.style.colour, width=narrow)


def _draw_details(pen: ImageDraw.ImageDraw, mark: Mark, letter: float, view: Rectangle) -> None:
    """Draw the landmarks and, if they were asked for, the axes of the head.

    Points outside *view*, as a response over the wire may have, are left out: Pillow's time grows with the length of a line.
    """
    thin = max(letter / 9, 1)
    if mark.axes and all(view.contains(point) for point in (mark.centre, *mark.axes)):
        for end in mark.axes:
            for colour, width in (("#000000", 2 * thin), ("#ffffff", thin)):
                pen.line((mark.centre, end), fill=colour, width=round(width))
        _draw_dot(pen, mark.axes[2], 2.5 * thin, mark.style.colour)
    for point in filter(view.contains, mark.landmarks):
        _draw_dot(pen, point, 1.25 * thin, "#ffffff")


def _draw_dot(pen: ImageDraw.ImageDraw, centre: Point, radius: float, colour: str) -> None:
    pen.circle(centre, radius, fill=colour, outline="#000000", width=max(round(radius / 2.5), 1))


def _draw_label(
    pen: ImageDraw.ImageDraw, label: Label, letter: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    place, style = label.place, label.mark.style
    edges = (place.left, place.top, place.right, place.bottom)
    pen.rounded_rectangle(edges, radius=letter / 5, fill=style.colour)
    pen.text(label.baseline, printable(label.text), fill=style.ink, font=font, anchor="ms")


def _dashes(box: Rectangle, pattern: Sequence[float], view: Rectangle) -> Iterator[tuple[Point, Point]]:
    """Yield the lines of a frame; *pattern* has the lengths of dashes and gaps in pixels, empty for a solid line.

    Lines end at the edges of *view*: a box that came over the wire may be a million times larger than the photo.
    """
    corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = abs(x1 - x0) + abs(y1 - y0)  # sides are horizontal or vertical
        first, last = _visible(x0, x1, view.left, view.right) if y0 == y1 else _visible(y0, y1, view.top, view.bottom)
        across, low, high = (y0, view.top, view.bottom) if y0 == y1 else (x0, view.left, view.right)
        if first > last or not low <= across <= high:
            continue
        if length == 0:
            yield (x0, y0), (x1, y1)
            continue
        cycle = pattern or (length,)  # a solid line is one dash
        skipped = first - first % sum(cycle) if pattern else first
        # Counted from there, because one pixel more would be lost in the length of a side of 1e18 pixels.
        along, turn = 0.0, 0
        while along < last - skipped:
            end = min(along + cycle[turn % len(cycle)], last - skipped)
            if turn % 2 == 0:
                start, stop = (skipped + along) / length, (skipped + end) / length
                yield (x0 + (x1 - x0) * start, y0 + (y1 - y0) * start), (x0 + (x1 - x0) * stop, y0 + (y1 - y0) * stop)
            along, turn = end, turn + 1


def _visible(start: float, stop: float, low: float, high: float) -> tuple[float, float]:
    """Return the first and the last length along a line from *start* to *stop* that lie from *low* to *high*."""
    if start <= stop:
        return max(low - start, 0.0), min(high, stop) - start
    return max(start - high, 0.0), start - max(low, stop)
