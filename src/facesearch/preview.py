"""A small copy of a photo, to draw faces on where a notebook shows a response.

The drawing is one SVG: it scales, needs no plotting library, and its texts are text. The searched face has a solid
frame and the others a dashed one, so that the two can be told apart without colour.
"""

import base64
import io
from collections.abc import Iterable
from html import escape

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch._fields import is_a, plain_int, whole
from facesearch.geometry import BoundingBox

__all__ = ["Mark", "Preview", "draw"]

# Blue and orange of Okabe and Ito's palette, which colour-blind people tell apart (https://jfly.uni-koeln.de/color/).
SEARCHED_COLOUR = "#0072B2"
UNSEARCHED_COLOUR = "#E69F00"

_NARROWEST = 320  # pixels: a smaller photo is shown enlarged to this width
_LETTER = 0.62  # mean width of a letter of a wide sans-serif, in font sizes
_LONGEST_SIDE = 640  # pixels: as wide as a notebook's column, and some 40 kB


@attrs.frozen(kw_only=True)
class Preview:
    """A small JPEG of an upright photo.

    Attributes
    ----------
    jpeg
        The encoded picture.
    width, height
        Its size in pixels.
    """

    jpeg: bytes = field(repr=False, validator=is_a(bytes))
    width: int = field(converter=plain_int, validator=whole(1))
    height: int = field(converter=plain_int, validator=whole(1))

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> "Preview":
        """Make one of a picture of (H, W, 3) uint8 RGB."""
        from PIL import Image

        # By a whole number, the quickest way; of a phone's photo every third pixel or so is plenty.
        shrink = -(-max(pixels.shape) // _LONGEST_SIDE)
        step = max(1, shrink // 2)
        image = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).reduce(-(-shrink // step))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        return cls(jpeg=buffer.getvalue(), width=image.width, height=image.height)


@attrs.frozen(kw_only=True)
class Mark:
    """One face to draw: its box, a short label, the text shown when pointed at, and whether it was searched."""

    box: BoundingBox
    label: str
    hint: str
    searched: bool


def draw(preview: Preview | None, marks: Iterable[Mark]) -> str:
    """Draw faces on a photo.

    Parameters
    ----------
    preview
        The photo; without one the faces are drawn on an empty 4:3 frame.
    marks
        The faces, the searched one drawn last and so on top.

    Returns
    -------
    str
        An ``<svg>`` element that carries the photo within.
    """
    width, height = (preview.width, preview.height) if preview else (480, 360)
    shown = max(width, _NARROWEST)
    size = max(11.0 * width / shown, width / 40)  # of the letters: readable at the width a notebook gives a picture
    if preview:
        data = base64.b64encode(preview.jpeg).decode("ascii")
        ground = f'<image href="data:image/jpeg;base64,{data}" width="{width}" height="{height}"/>'
    else:
        ground = f'<rect width="{width}" height="{height}" fill="#eee"/>'
    shapes = [_shape(mark, width, height, size) for mark in sorted(marks, key=lambda mark: mark.searched)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'style="max-width:{shown}px;width:100%;height:auto" font-family="sans-serif" '
        f'font-size="{size:.1f}">{ground}{"".join(shapes)}</svg>'
    )


def _shape(mark: Mark, width: int, height: int, size: float) -> str:
    left, top, right, bottom = mark.box.to_pixels(width, height)
    colour = SEARCHED_COLOUR if mark.searched else UNSEARCHED_COLOUR
    dash = "" if mark.searched else f' stroke-dasharray="{size / 2:.1f} {size / 4:.1f}"'
    place = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
    frame = f'<rect {place} rx="3" fill="none"'
    # A line under the coloured one keeps the frame visible on any ground: white under the dark blue, black under the bright
    # orange. The label has its own ground.
    halo = "#fff" if mark.searched else "#000"
    lines = (
        f'{frame} stroke="{halo}" stroke-opacity="0.6" stroke-width="{size / 4:.1f}"/>'
        f'{frame} stroke="{colour}" stroke-width="{size / 7:.1f}"{dash}/>'
    )
    label = _fitting(mark.label, int((width / size - 0.8) / _LETTER))
    label_width = size * (_LETTER * len(label) + 0.8)
    label_height = size * 1.45
    x = min(max(left, 0.0), max(width - label_width, 0.0))
    y = bottom if bottom + label_height <= height else max(top - label_height, 0.0)
    ink = "#fff" if mark.searched else "#000"
    place = f'x="{x:.1f}" y="{y:.1f}" width="{label_width:.1f}" height="{label_height:.1f}"'
    tag = (
        f'<rect {place} rx="3" fill="{colour}"/>'
        f'<text x="{x + size * 0.4:.1f}" y="{y + size * 1.08:.1f}" fill="{ink}">{escape(label)}</text>'
    )
    return f"<g><title>{escape(mark.hint)}</title>{lines}{tag}</g>"


def _fitting(label: str, most: int) -> str:
    """Shorten a label to the picture's width in its middle, so that the similarity at its end stays."""
    if len(label) <= most:
        return label
    tail = min(len(label.rpartition(" ")[2]) + 1, most - 1)
    return f"{label[: max(most - tail - 1, 0)]}…{label[len(label) - tail :]}"
