"""Convert a response to HTML for a notebook: annotated photo, matches on the measured curves, reasons of unsearched faces.

The HTML has no scripts and loads nothing. Texts have the colour of the page, so that they are readable in a dark theme too. All
untrusted text is escaped.
"""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

import attrs
import numpy as np

from facesearch.display.annotator import draw_for_screen
from facesearch.display.face_marks import HALO, HALO_OPACITY, STYLES, FaceClass, SeenFace, in_words, legend
from facesearch.display.rates import Pin, strangers
from facesearch.display.rates_svg import curve_swatches, draw_curve
from facesearch.display.thumbnail_strips import Strip, data_uri, side_by_side
from facesearch.images.stored_thumbnails import small_picture
from facesearch.images.thumbnails import SHOWN_USERS, Pictures, Preview
from facesearch.matching.calibration import Calibration

__all__ = ["ResponseView", "as_html", "ranges"]

_ROWS_SHOWN = 20
_LEFT = "text-align:left;overflow-wrap:anywhere"  # a notebook sets tables to the right; ids may be 128 letters long
_NARROWEST = 320  # pixels: a smaller photo is shown enlarged to this width
_EMPTY = np.full((360, 480, 3), 232, np.uint8)  # the ground of the faces where there is no photo
_DENSITY = 2  # pixels of the annotated photo for one of the screen: sharp on high-resolution screens too
_QUALITY = 80  # of the annotated photo as JPEG


@attrs.frozen(kw_only=True)
class ResponseView:
    """The parts of a response that are shown."""

    faces: tuple[SeenFace, ...]  # all detected ones, in the order of their numbers
    matches: tuple[tuple[str, float], ...] = ()  # user ids and similarities, percent; best first
    next_user: tuple[str, float] | None = None
    preview: Preview | None = None
    pictures: Pictures | None = None
    calibration: Calibration | None = None


def as_html(view: ResponseView) -> str:
    """Return the HTML of a response, a ``<div>``."""
    searched = any(face.kind in {FaceClass.FOUND, FaceClass.UNKNOWN} for face in view.faces)
    parts = [_photo(view.preview, view.faces), _legend(view.faces)]
    if not searched:
        parts.append("<p>No face in this photo could be searched.</p>")
    elif not view.matches:
        parts.append("<p>Nobody in the collection is similar enough to the searched face.</p>")
    if view.pictures:
        parts.append(_strip(view.pictures, dict(view.matches)))
    parts += [_matches(view), _curve(view), _others(view.faces)]
    return f"<div>{''.join(parts)}</div>"


def ranges(numbers: Iterable[int]) -> str:
    """Format rising numbers as ranges: ``"2-31, 33"``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}\N{EN DASH}{run[-1]}" for run in runs)


def _photo(preview: Preview | None, faces: Sequence[SeenFace]) -> str:
    """Return the annotated photo as an ``<img>``; without a photo the faces are drawn on an empty ground."""
    photo = small_picture(preview.jpeg) if preview else None
    pixels, kind = (_EMPTY, "PNG") if photo is None else (photo, "JPEG")
    width = max(pixels.shape[1], _NARROWEST)
    file = io.BytesIO()
    image = draw_for_screen(pixels, faces, scale=width / pixels.shape[1], density=_DENSITY)
    image.save(file, kind, quality=_QUALITY)
    counts = Counter(STYLES[face.kind].words for face in faces)
    counted = ", ".join(f"{count} {words}" for words, count in counts.items()) or "none"
    return (
        f'<img src="{data_uri(file.getvalue(), kind.lower())}" alt="a photo with its faces annotated: {counted}" '
        f'style="max-width:{width}px;width:100%;height:auto"/>'
    )


def _legend(faces: Sequence[SeenFace]) -> str:
    entries = legend(faces)
    return _line((_swatch(kind), words) for kind, words in entries) if entries else ""


def _swatch(kind: FaceClass) -> str:
    """Return a piece of the frame of a class as an ``<svg>``."""
    style, width = STYLES[kind], 2.5
    dash = " ".join(f"{length * width:.2f}" for length in style.dash)
    return (
        '<svg width="36" height="12" viewBox="0 0 36 12" style="vertical-align:middle" aria-hidden="true">'
        f'<line x1="2" y1="6" x2="34" y2="6" stroke="{style.halo}" stroke-opacity="{HALO_OPACITY}" '
        f'stroke-width="{width * HALO:.2f}"/><line x1="2" y1="6" x2="34" y2="6" stroke="{style.colour}" '
        f'stroke-width="{width:.2f}" stroke-dasharray="{dash or "none"}"/></svg>'
    )


def _line(entries: Iterable[tuple[str, str]]) -> str:
    """Return the entries of a legend, swatches and words, side by side."""
    spans = "".join(
        f'<span style="display:inline-block;margin-right:1.2em">{swatch} {escape(words)}</span> '
        for swatch, words in entries
    )
    return f'<div style="font-size:90%;margin:4px 0 8px">{spans}</div>'


def _strip(pictures: Pictures, similarities: dict[str, float]) -> str:
    strips = [Strip("searched", [pictures.searched])]
    for user in pictures.users:
        percent = f" {similarities[user.user_id]:.1f}%" if user.user_id in similarities else ""
        strips.append(Strip(f"{user.user_id}{percent}", user.thumbnails))
    return side_by_side(strips)


def _matches(view: ResponseView) -> str:
    if not view.matches:
        return ""
    rows = [
        (str(rank), user_id, f"{similarity:.2f}%", *_strangers(view.calibration, similarity))
        for rank, (user_id, similarity) in enumerate(view.matches[:_ROWS_SHOWN], 1)
    ]
    hidden = len(view.matches) - _ROWS_SHOWN
    more = f"<p>and {hidden} more</p>" if hidden > 0 else ""
    head = ("", "user", "similarity", *(("strangers as similar",) if view.calibration else ()))
    return f"{_table(head, rows)}{more}"


def _strangers(calibration: Calibration | None, similarity: float) -> tuple[str, ...]:
    return (strangers(calibration, similarity),) if calibration else ()


def _curve(view: ResponseView) -> str:
    pins = [
        Pin(text=str(rank), similarity=similarity) for rank, (_, similarity) in enumerate(view.matches[:SHOWN_USERS], 1)
    ]
    words = ""
    if view.next_user:
        user_id, similarity = view.next_user
        pins.append(Pin(text="?", similarity=similarity, found=False))
        rare = f"; {strangers(view.calibration, similarity)} strangers is as similar" if view.calibration else ""
        words = f'<p style="{_LEFT}">Who comes next (?): {escape(user_id)}, {similarity:.2f}%{rare}.</p>'
    if not view.calibration or not pins:
        return words
    return f"{words}{draw_curve(view.calibration, pins)}{_line(curve_swatches())}"


def _others(faces: Sequence[SeenFace]) -> str:
    """List the faces that were not searched, those with the same reasons in one row."""
    rows: dict[tuple[str, ...], list[tuple[int, float | None]]] = {}
    for number, face in enumerate(faces, 1):
        if face.kind in {FaceClass.REFUSED, FaceClass.NOT_CHOSEN}:
            rows.setdefault(face.reasons, []).append((number, face.detail.confidence))
    if not rows:
        return ""
    count = sum(map(len, rows.values()))
    counted = "1 face was" if count == 1 else f"{count} faces were"
    cells = [
        (ranges(number for number, _ in group), _confidence([sure for _, sure in group]), _reasons(reasons))
        for reasons, group in rows.items()
    ]
    return f"<p>{counted} not searched:</p>{_table(('face', 'confidence', 'reasons'), cells)}"


def _confidence(values: Iterable[float | None]) -> str:
    known = sorted(round(value) for value in values if value is not None)
    return "\N{EN DASH}".join(map(str, dict.fromkeys((known[0], known[-1])))) + "%" if known else ""


def _reasons(reasons: Sequence[str]) -> str:
    return f"{in_words(reasons)} ({', '.join(reasons)})" if reasons else in_words(reasons)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f'<th style="text-align:left">{name}</th>' for name in head)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Iterable[str]) -> str:
    return "".join(f'<td style="{_LEFT}">{escape(cell)}</td>' for cell in row)
