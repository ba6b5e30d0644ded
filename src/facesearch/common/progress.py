"""A progress bar on a terminal's standard error, where tqdm is installed."""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from facesearch.common.printable import raw_stream

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["progress", "progress_bar"]

T = TypeVar("T")


def progress_bar(label: str, total: int, unit: str = "it") -> "tqdm[Any] | None":
    """Return a bar from 0 to *total*, or ``None`` where tqdm is not installed or standard error is no terminal."""
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(desc=label, total=total, unit=unit, file=raw_stream(sys.stderr), dynamic_ncols=True)


def progress(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield *items* one by one and show how many of *total* are done."""
    bar = progress_bar(label, total)
    if bar is None:
        yield from items
        return
    with bar:
        for item in items:
            yield item
            bar.update()
