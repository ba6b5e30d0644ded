"""Limit the pixels that all threads of a process decode at the same time, and so the memory that decoding takes."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

__all__ = ["DECODING", "PIXELS_AT_ONCE", "PixelBudget"]

PIXELS_AT_ONCE: Final = 125_000_000
"""Pixels under decoding at the same time in a process: one picture of the largest size and two photos of a phone beside it, so that small
pictures do not wait for a single large one; or ten photos of a phone. Decoding takes up to 7
bytes a pixel, 10 for a progressive JPEG, 16 for WebP (`benchmarks/pictures.py`)."""


class PixelBudget:
    """A number of pixels that threads share; a request for more than is left waits, first come, first served.

    A picture larger than the whole budget gets all of it, so that no request waits for ever. A thread that has a share already
    does not wait for another one.

    Examples
    --------
    >>> budget = PixelBudget(1000)
    >>> with budget.room() as take:
    ...     take(300)
    ...     budget.taken
    300
    >>> budget.taken
    0
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.reset()

    def reset(self) -> None:
        """Drop all shares and waiting requests; for a forked child, in which the threads that hold them do not exist."""
        self._changed = threading.Condition()
        self._waiting: deque[int] = deque()  # threads
        # By thread: one entry for each, so that an interrupt leaves no half-made change.
        self._shares: dict[int, int] = {}
        self._keeping: set[int] = set()  # threads in which `kept` is under way

    @property
    def taken(self) -> int:
        """Pixels in use."""
        return sum(list(self._shares.values()))

    @contextlib.contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Yield the function that waits until a number of pixels is free and takes them; they are free again after the block.

        Within `kept`, they are free again after that.
        """
        thread = threading.get_ident()
        outer = thread in self._shares or thread in self._keeping
        try:
            yield partial(self._take, thread)
        finally:
            if thread in self._shares and not outer:
                with self._changed:
                    self._shares.pop(thread, None)
                    self._changed.notify_all()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the pixels that this thread takes within the block until its end, so that work on a decoded picture is limited too.

        Detection in a picture of 100 million pixels takes 1 GB.

        Examples
        --------
        >>> budget = PixelBudget(1000)
        >>> with budget.kept():
        ...     with budget.room() as take:
        ...         take(300)
        ...     budget.taken
        300
        >>> budget.taken
        0
        """
        thread = threading.get_ident()
        if thread in self._keeping:
            yield
            return
        with self.room():
            self._keeping.add(thread)
            try:
                yield
            finally:
                self._keeping.discard(thread)

    def _take(self, thread: int, pixels: int) -> None:
        pixels = min(pixels, self._most)
        with self._changed:
            if thread in self._shares:
                return
            self._waiting.append(thread)
            try:
                while self._waiting[0] != thread or self.taken + pixels > self._most:
                    self._changed.wait()
                self._shares[thread] = pixels
            finally:
                self._waiting.remove(thread)
                self._changed.notify_all()


DECODING: Final = PixelBudget(PIXELS_AT_ONCE)
"""The budget of this process."""

if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=DECODING.reset)
