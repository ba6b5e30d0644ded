"""Draw the faces on a photo at full size and save it as JPEG or PNG; uses Pillow, so that no extra is required.

Marks and labels are the same as in a notebook and in `facesearch.plotting`: `facesearch.display.face_marks` and
`facesearch.display.label_layout` compute them.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont, PngImagePlugin

from facesearch.display.face_marks import FaceClass, Mark, Rectangle, SeenFace, marks_of
from facesearch.display.label_layout import Label, lay_out, letter_size
from facesearch.files.protected import Protected
from facesearch.files.writing import OutputKind, check_output, signature, write_file
from facesearch.images.reading import Picture

__all__ = ["check_marked", "drawn", "marked_file", "save_marked", "write_marked"]

Point = tuple[float, float]
_SHOWN = 800  # width of a screen in pixels: labels are legible when the whole photo is displayed at this width
_HALO, _HALO_OPACITY = 1.9, 204
_QUALITY = 92  # JPEG quality
_SIGN = b"facesearch: marked photo"  # stored as the comment of a JPEG, or the text Software of a PNG
_KIND = OutputKind(
    name="a marked photo of facesearch",
    recognises=signature(b"\xff\xfe" + (len(_SIGN) + 2).to_bytes(2) + _SIGN, b"tEXtSoftware\0" + _SIGN),
)


def check_marked(path: Path, protected: Protected, *, overwrite: bool = False) -> None:
    """Check, before any work, that `save_marked` may write a file; it has the same parameters and errors."""
    check_output(path, _KIND, protected=protected, overwrite=overwrite)


def save_marked(
    picture: Picture, faces: Sequence[SeenFace], path: Path, protected: Protected, *, overwrite: bool = False
) -> None:
    """Draw faces on a photo and save it atomically.

    Parameters
    ----------
    picture
        Photo.
    faces
        Faces in the order of their numbers. Matched faces are drawn last, on top.
    path
        Output file, which ends in .jpg, .jpeg or .png. An earlier marked photo is replaced.
    protected
        Photos and database of the command, which are never replaced.
    overwrite
        Whether to replace any file that is not protected.

    Raises
    ------
    OutputRefusedError
        If the file exists and must not be replaced.
    OSError
        If the file can't be written.
    """
    write_marked(marked_file(picture, faces, path), path, protected, overwrite=overwrite)


def write_marked(content: bytes, path: Path, protected: Protected, *, overwrite: bool = False) -> None:
    """Write the content that `marked_file` returned; it has the parameters and errors of `save_marked`."""
    with write_file(path, _KIND, protected=protected, overwrite=overwrite) as file:
        file.write(content)


def marked_file(picture: Picture, faces: Sequence[SeenFace], path: Path) -> bytes:
    """Return the content of the file that `save_marked` writes."""
    image, content = drawn(picture, faces), io.BytesIO()
    if path.suffix.lower() == ".png":
        about = PngImagePlugin.PngInfo()
        about.add_text("Software", _SIGN.decode())
        image.save(content, "PNG", pnginfo=about)
    else:
        image.save(content, "JPEG", quality=_QUALITY, comment=_SIGN)
    return content.getvalue()


def drawn(picture: Picture, faces: Sequence[SeenFace]) -> Image.Image:
    """Return a copy of a photo with faces drawn on it, as `save_marked` draws them."""
    image = Image.fromarray(picture.pixels)
    marks = marks_of(faces, image.width, image.height)
    letter = letter_size(marks, _SHOWN / max(image.width, image.height, _SHOWN))
    layer = Image.new("RGBA", image.size)
    pen = ImageDraw.Draw(layer)
    for mark in sorted(marks, key=lambda mark: (mark.kind is FaceClass.FOUND, -mark.number)):
        _frame(pen, mark, letter)
    font = ImageFont.load_default(letter)  # included in Pillow
    for label in lay_out(marks, image.width, image.height, letter):
        _label(pen, label, letter, font)
    image.paste(layer, mask=layer)
    return image


def _frame(pen: ImageDraw.ImageDraw, mark: Mark, letter: float) -> None:
    width = mark.stroke(letter)
    wide, narrow = max(round(width * _HALO), 2), max(round(width), 1)
    halo = (*ImageColor.getrgb(mark.style.halo)[:3], _HALO_OPACITY)
    for dash in _dashes(mark.box, ()):
        pen.line(dash, fill=halo, width=wide)
    for dash in _dashes(mark.box, tuple(length * width for length in mark.style.dash)):
        pen.line(dash, fill=mark.style.colour, width=narrow)
    if mark.shows_details(letter):
        _details(pen, mark, letter / 9)


def _details(pen: ImageDraw.ImageDraw, mark: Mark, thin: float) -> None:
    """Draw the landmarks of a face."""
    for point in mark.landmarks:
        pen.circle(point, max(thin, 1), fill="#ffffff", outline="#000000")


def _label(
    pen: ImageDraw.ImageDraw, label: Label, letter: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    place, style = label.place, label.mark.style
    edges = (place.left, place.top, place.right, place.bottom)
    pen.rounded_rectangle(edges, radius=letter / 5, fill=style.colour)
    pen.text(label.baseline, label.text, fill=style.ink, font=font, anchor="ls")


def _dashes(box: Rectangle, pattern: Sequence[float]) -> Iterator[tuple[Point, Point]]:
    """Yield the line segments of a frame; *pattern* holds the lengths of dashes and gaps in pixels, empty for a solid line."""
    corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = abs(x1 - x0) + abs(y1 - y0)  # sides are horizontal or vertical
        if not pattern or length == 0:
            yield (x0, y0), (x1, y1)
            continue
        along, turn = 0.0, 0
        while along < length:
            end = min(along + pattern[turn % len(pattern)], length)
            if turn % 2 == 0:
                start, stop = along / length, end / length
                yield (x0 + (x1 - x0) * start, y0 + (y1 - y0) * start), (x0 + (x1 - x0) * stop, y0 + (y1 - y0) * stop)
            along, turn = end, turn + 1
