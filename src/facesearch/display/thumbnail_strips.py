"""Show thumbnails of faces side by side in a notebook."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

import attrs

__all__ = ["Strip", "as_rows", "data_uri", "figure", "side_by_side"]

_THUMBNAIL = 84  # pixels on the screen


@attrs.frozen
class Strip:
    """Thumbnails, JPEG files, with a caption, which is escaped."""

    caption: str
    thumbnails: Sequence[bytes]


def side_by_side(strips: Iterable[Strip]) -> str:
    """Return strips in one line, which is wrapped where it is too long, as HTML."""
    figures = "".join(figure(strip.caption, strip.thumbnails) for strip in strips)
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px 20px;margin:8px 0">{figures}</div>'


def as_rows(title: str, rows: Sequence[Sequence[Strip]]) -> str:
    """Return several lines of strips below a title, as HTML; an empty text for none."""
    return f"<p>{escape(title)}</p>{''.join(map(side_by_side, rows))}" if rows else ""


def figure(caption: str, thumbnails: Sequence[bytes]) -> str:
    """Return a ``<figure>`` of thumbnails, JPEG files, with a caption, which is escaped."""
    images = "".join(
        f'<img src="{data_uri(jpeg)}" alt="" width="{_THUMBNAIL}" height="{_THUMBNAIL}" '
        'style="display:inline-block;margin:0 4px 0 0;border-radius:4px"/>'
        for jpeg in thumbnails
    )
    width = max(1, len(thumbnails)) * (_THUMBNAIL + 4)
    words = f'<figcaption style="font-size:90%;overflow-wrap:anywhere">{escape(caption)}</figcaption>'
    return f'<figure style="margin:0;width:{width}px">{images or "<i>no picture</i>"}{words}</figure>'


def data_uri(file: bytes, kind: str = "jpeg") -> str:
    """Return a data URI that contains a picture file."""
    return f"data:image/{kind};base64,{base64.b64encode(file).decode('ascii')}"
