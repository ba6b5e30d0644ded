"""Bounded work: how many requests are worked on, how many wait for that, and how many bytes of bodies are held meanwhile."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from facesearch.errors import FacesearchError

__all__ = ["AbandonedError", "ByteBudget", "FullError", "WorkQueue"]

T = TypeVar("T")


class FullError(FacesearchError):
    """There is no room for another request now; the same request may succeed later."""


class AbandonedError(FacesearchError):
    """The client went away, so its request was dropped."""


class WorkQueue:
    """Threads for blocking work, and a bounded queue in front of them.

    Parameters
    ----------
    threads
        How many requests are worked on at once, >= 1.
    waiting
        How many more may wait, >= 0, first come, first served.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._most: Final = threads + waiting
        self._inside = 0
        self._turns = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="rekognition")

    async def run(self, work: Callable[[Callable[[], bool]], T], until: Awaitable[None]) -> T:
        """Run blocking work in a thread, in turn.

        Parameters
        ----------
        work
            What to do. It is passed a function that returns whether the client is gone, to be asked between its steps.
        until
            Ends when the client is gone. Work that has not begun by then never does.

        Raises
        ------
        FullError
            If too many wait already.
        AbandonedError
            If the client went away while its request waited.
        """
        gone = asyncio.ensure_future(until)
        if self._inside >= self._most:
            gone.cancel()
            raise FullError("too many requests wait")
        self._inside += 1
        turn = asyncio.ensure_future(self._turns.acquire())
        try:
            await asyncio.wait({gone, turn}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise AbandonedError("the client went away")
            ended = threading.Event()
            gone.add_done_callback(lambda _: ended.set())
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, ended.is_set)
        finally:
            self._inside -= 1
            gone.cancel()
            if not turn.cancel():
                self._turns.release()

    def close(self) -> None:
        """Wait for the work under way, and end the threads."""
        self._threads.shutdown()


class ByteBudget:
    """The bytes of all bodies that are held at a time; for one thread.

    Bytes count when they arrive: a length that is only declared would let those who send nothing use it up. Nobody waits for
    room, since bodies that each wait for the rest of another would wait for ever.

    Parameters
    ----------
    most
        How many, >= 1.
    """

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._held = 0

    @contextlib.contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """Hold a body: call what is returned with the size of each of its parts; they are given back at the end.

        Raises
        ------
        FullError
            By that call, if there is no room.
        """
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if self._held + size > self._most:
                raise FullError("too many bytes are held")
            self._held += size
            mine += size

        try:
            yield take
        finally:
            self._held -= mine
