"""The progress bar of `facesearch index`: how far, how fast, how long yet, and what became of the photos.

On a terminal's standard error only; elsewhere there is nothing but the report at the end.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from facesearch.common.printable import printable, raw_stream

if TYPE_CHECKING:
    import facesearch as fs

__all__ = ["photo_bar"]

_LABEL, _BAR, _NARROW_BAR = "photos", 24, 8
_NARROW = 80  # columns


@contextmanager
def photo_bar(total: int) -> "Iterator[Callable[[fs.FolderProgress], None]]":
    """Show a bar of *total* photos as long as the block lasts; give what moves it."""
    columns = shutil.get_terminal_size().columns
    width = _BAR if columns >= _NARROW else _NARROW_BAR
    room = columns - len(_LABEL) - width - len("  []  ") - len(f"{total}/{total}  ") - 1

    def shown(now: "fs.FolderProgress | None") -> str | None:
        return None if now is None else printable(_told(now))[: max(room, 0)]

    with click.progressbar(
        length=total,
        label=_LABEL,
        file=raw_stream(sys.stderr),
        hidden=not sys.stderr.isatty(),
        width=width,
        show_pos=True,
        show_percent=False,
        show_eta=False,  # ours does not count photos that were known
        item_show_func=shown,
    ) as bar:

        def move(now: "fs.FolderProgress") -> None:
            bar.update(now.done - bar.pos, now)

        yield move


def _told(now: "fs.FolderProgress") -> str:
    return str(now).partition(" photos, ")[2]
