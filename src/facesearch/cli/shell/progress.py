"""Progress bar of `facesearch index`: photos done, rate, remaining time, and outcomes.

The bar is shown only if standard error is a terminal.
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
    """Show a bar of *total* photos during the block; yield the function that updates it."""
    columns = shutil.get_terminal_size().columns
    width = _BAR if columns >= _NARROW else _NARROW_BAR
    room = columns - len(_LABEL) - width - len("  []  ") - len(f"{total}/{total}  ") - 1

    def shown(now: "fs.FolderProgress | None") -> str | None:
        return None if now is None else printable(str(now).partition(" photos, ")[2])[: max(room, 0)]

    with click.progressbar(
        length=total,
        label=_LABEL,
        file=raw_stream(sys.stderr),
        hidden=not sys.stderr.isatty(),
        width=width,
        show_pos=True,
        show_percent=False,
        show_eta=False,  # FolderProgress estimates it without the photos of earlier runs
        item_show_func=shown,
    ) as bar:

        def move(now: "fs.FolderProgress") -> None:
            bar.update(now.done - bar.pos, now)

        yield move
