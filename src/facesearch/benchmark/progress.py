"""A progress bar on a terminal's standard error, where tqdm is installed; elsewhere nothing."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

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
    yield from tqdm(items, desc=label, total=total, disable=None, dynamic_ncols=True)
