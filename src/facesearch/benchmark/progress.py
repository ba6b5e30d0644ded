"""A progress bar on a terminal's standard error, where tqdm is installed; elsewhere nothing."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from facesearch.common.printable import raw_stream

__all__ = ["progress"]

T = TypeVar("T")


def progress(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Give *items* one by one, telling how many of *total* are done."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield from items
        return
    # disable=None: quiet when standard error is no terminal.
    yield from tqdm(items, desc=label, total=total, file=raw_stream(sys.stderr), disable=None, dynamic_ncols=True)
