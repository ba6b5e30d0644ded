"""Limit the pixels that all threads of a process decode at the same time, and so the memory that decoding takes."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final

__all__ = ["DECODING", "PIXELS_AT_ONCE", "PixelBudget", "Room"]

PIXELS_AT_ONCE: Final = 125_000_000
"""Pixels under decoding at the same time in a process: one picture of the largest size and two photos of a phone beside it, so that small
pictures do not wait for a single large one; or ten photos of a phone. Decoding takes up to 7
bytes a pixel, 10 for a progressive JPEG, 16 for WebP (`benchmarks/pictures.py`)."""


class PixelBudget:
    """A number of pixels that threads share; a request for more than is left waits, first come, first served.

    A picture larger than the whole budget gets all of it, so that no request waits for ever. A thread that has a share already
    does not wait for another one.

    Parameters
    ----------
    most
        Pixels, >= 1.

    Examples
    --------
    >>> budget = PixelBudget(1000)
    >>> with budget.room() as room:
    ...     room.take(300)
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
        self._waiting: deque[Room] = deque()
        self._shares: dict[Room, int] = {}  # one entry for each share, so that an interrupt leaves no half-made change
        self._kept = threading.local()  # .room: where `kept` is under way in this thread

    @property
    def taken(self) -> int:
        """Pixels in use."""
        return sum(list(self._shares.values()))

    @contextlib.contextmanager
    def room(self) -> Iterator["Room"]:
        """Yield an empty share, which is released at the end of the block; see `kept`."""
        outer: Room | None = getattr(self._kept, "room", None)
        if outer is not None:
            yield outer
            return
        room = Room(self)
        try:
            yield room
        finally:
            if room in self._shares:
                with self._changed:
                    self._shares.pop(room, None)
                    self._changed.notify_all()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the pixels that this thread takes within the block until its end, so that work on a decoded picture is limited too.

        Detection in a picture of 100 million pixels takes 1 GB.

        Examples
        --------
        >>> budget = PixelBudget(1000)
        >>> with budget.kept():
        ...     with budget.room() as room:
        ...         room.take(300)
        ...     budget.taken
        300
        >>> budget.taken
        0
        """
        if getattr(self._kept, "room", None) is not None:
            yield
            return
        with self.room() as room:
            self._kept.room = room
            try:
                yield
            finally:
                self._kept.room = None

    def _take(self, room: "Room", pixels: int) -> None:
        pixels = min(pixels, self._most)
        with self._changed:
            if any(other.thread == room.thread for other in self._shares):
                return
            self._waiting.append(room)
            try:
                while self._waiting[0] is not room or self.taken + pixels > self._most:
                    self._changed.wait()
                self._shares[room] = pixels
            finally:
                self._waiting.remove(room)
                self._changed.notify_all()


class Room:
    """A share of a budget, for one thread."""

    def __init__(self, budget: PixelBudget) -> None:
        self._budget = budget
        self.thread = threading.get_ident()

    def take(self, pixels: int) -> None:
        """Wait until this number of pixels is free, and take them."""
        self._budget._take(self, pixels)  # noqa: SLF001  # its own budget


DECODING: Final = PixelBudget(PIXELS_AT_ONCE)
"""The budget of this process."""

if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=DECODING.reset)
