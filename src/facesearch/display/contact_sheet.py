"""Draw the faces of one group on a sheet, with Pillow."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from facesearch.common.arrays import PixelArray
from facesearch.common.printable import printable
from facesearch.images.thumbnails import THUMBNAIL_SIDE

__all__ = ["MOST_FACES", "contact_sheet", "placeholder"]

MOST_FACES: Final = 200
"""Most faces on a sheet."""

_COLUMNS, _FEWEST_COLUMNS = 8, 4
_GAP, _TITLE, _LETTER = 8, 30, 15  # pixels
_PAPER, _INK = "white", "black"
_GROUND, _FIGURE = "#d8d8d8", "#b0b0b0"


def contact_sheet(title: str, faces: Sequence[PixelArray | None]) -> Image.Image:
    """Draw faces side by side below a title: RGB, up to 8 faces of 112 x 112 pixels in a row.

    *title* is one line; control characters are escaped. *faces* are (H, W, 3) uint8 RGB each, or ``None`` for a placeholder. The first
    `MOST_FACES` are drawn.
    """
    drawn = faces[:MOST_FACES]
    columns = min(_COLUMNS, max(_FEWEST_COLUMNS, len(drawn)))
    rows = -(-len(drawn) // columns)
    step = THUMBNAIL_SIDE + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, _TITLE + rows * step + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, _TITLE // 2), printable(title), _INK, ImageFont.load_default(_LETTER), anchor="lm")
    for place, face in enumerate(drawn):
        row, column = divmod(place, columns)
        tile = placeholder() if face is None else Image.fromarray(face).resize((THUMBNAIL_SIDE,) * 2)
        sheet.paste(tile, (_GAP + column * step, _TITLE + row * step))
    return sheet


def placeholder() -> Image.Image:
    """Return the picture for a face whose photo is not there: a grey head, 112 x 112 pixels, RGB."""
    side = THUMBNAIL_SIDE
    tile = Image.new("RGB", (side, side), _GROUND)
    pen = ImageDraw.Draw(tile)
    pen.ellipse((side * 0.32, side * 0.18, side * 0.68, side * 0.58), _FIGURE)
    pen.ellipse((side * 0.16, side * 0.66, side * 0.84, side * 1.4), _FIGURE)
    return tile
