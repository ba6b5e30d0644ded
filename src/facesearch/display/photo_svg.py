"""A photo with its faces marked, as one SVG: it scales, needs no plotting library, and its texts are text."""

import base64
from collections.abc import Sequence
from html import escape

from facesearch.display.face_marks import (
    HALO,
    HALO_OPACITY,
    STYLES,
    FaceClass,
    Mark,
    SeenFace,
    Style,
    drawing_order,
    marks_of,
)
from facesearch.display.label_layout import Label, lay_out, letter_size
from facesearch.images.thumbnails import Preview

__all__ = ["data_uri", "draw_photo", "draw_swatch"]

_NARROWEST = 320  # pixels: a smaller photo is shown enlarged to this width
_EMPTY = (480, 360)  # pixels, where there is no photo


def draw_photo(preview: Preview | None, faces: Sequence[SeenFace]) -> str:
    """Draw faces on a photo.

    Parameters
    ----------
    preview
        The photo; without one the faces are drawn on an empty 4:3 frame.
    faces
        In the order of their numbers.

    Returns
    -------
    str
        An ``<svg>`` element that carries the photo within. Whoever was found is drawn last and so on top.
    """
    width, height = (preview.width, preview.height) if preview else _EMPTY
    shown = max(width, _NARROWEST)
    marks = marks_of(faces, width, height)
    letter = letter_size(marks, shown / width)
    ground = f'<rect width="{width}" height="{height}" fill="#e8e8e8"/>'
    if preview:
        ground = f'<image href="{data_uri(preview.jpeg)}" width="{width}" height="{height}"/>'
    frames = "".join(_frame(mark, letter) for mark in drawing_order(marks))
    labels = "".join(_label(label, letter) for label in lay_out(marks, width, height, letter))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{_counted(marks)}" style="max-width:{shown}px;width:100%;height:auto" '
        f'font-family="DejaVu Sans,Verdana,sans-serif" font-size="{letter:.2f}">{ground}{frames}{labels}</svg>'
    )


def draw_swatch(kind: FaceClass) -> str:
    """Draw a bit of the frame of a class, for a legend."""
    lines = "".join(f'<line x1="2" y1="6" x2="34" y2="6" {stroke}/>' for stroke in _strokes(STYLES[kind], width=2.5))
    return f'<svg width="36" height="12" viewBox="0 0 36 12" style="vertical-align:middle" aria-hidden="true">{lines}</svg>'


def data_uri(jpeg: bytes) -> str:
    """Return a data URI that contains a JPEG file."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"


def _counted(marks: Sequence[Mark]) -> str:
    counts = {kind: sum(mark.kind is kind for mark in marks) for kind in FaceClass}
    said = ", ".join(f"{count} {STYLES[kind].words}" for kind, count in counts.items() if count)
    return f"a photo with its faces marked: {said or 'none'}"


def _strokes(style: Style, width: float) -> tuple[str, str]:
    dash = " ".join(f"{length * width:.2f}" for length in style.dash)
    return (
        f'stroke="{style.halo}" stroke-opacity="{HALO_OPACITY}" stroke-width="{width * HALO:.2f}"',
        f'stroke="{style.colour}" stroke-width="{width:.2f}"' + (f' stroke-dasharray="{dash}"' if dash else ""),
    )


def _frame(mark: Mark, letter: float) -> str:
    box = mark.box
    place = f'x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    lines = "".join(
        f'<rect {place} rx="{letter / 5:.1f}" fill="none" {stroke}/>'
        for stroke in _strokes(mark.style, mark.stroke(letter))
    )
    return f"<g><title>{escape(mark.hint)}</title>{lines}{_details(mark, letter)}</g>"


def _details(mark: Mark, letter: float) -> str:
    """Draw landmarks, where the face is large enough for them to be more than dirt."""
    if not mark.shows_details(letter):
        return ""
    thin = letter / 9
    return "".join(_dot(point, thin, "#fff") for point in mark.landmarks)


def _dot(point: tuple[float, float], radius: float, fill: str) -> str:
    return (
        f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="{radius:.2f}" fill="{fill}" '
        f'stroke="#000" stroke-opacity="0.7" stroke-width="{radius / 2:.2f}"/>'
    )


def _label(label: Label, letter: float) -> str:
    place, (x, y), style = label.place, label.baseline, label.mark.style
    ground = f'x="{place.left:.1f}" y="{place.top:.1f}" width="{place.width:.1f}" height="{place.height:.1f}"'
    return (
        f"<g><title>{escape(label.mark.hint)}</title>"
        f'<rect {ground} rx="{letter / 5:.1f}" fill="{style.colour}"/>'
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{style.ink}">{escape(label.text)}</text></g>'
    )
