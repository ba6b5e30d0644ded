"""Limit the work of the server: running requests, waiting requests, and bytes of bodies in memory."""

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
    """A limit is reached; the same request may succeed later."""


class AbandonedError(FacesearchError):
    """The client disconnected, so its request was dropped."""


class WorkQueue:
    """Thread pool that runs *threads* requests in parallel, >= 1, while at most *waiting* others wait, in order of arrival."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._most: Final = threads + waiting
        self._inside = 0
        self._turns = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="rekognition")

    async def run(self, work: Callable[[Callable[[], bool]], T], until: Awaitable[None]) -> T:
        """Run blocking work in a thread, unless the queue is full or the client disconnects before its turn.

        *until* completes when the client disconnects. The argument of *work* is a function that returns whether it has, to call
        between steps.
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
        """Wait for running work, then stop the threads."""
        self._threads.shutdown()


class ByteBudget:
    """Limit on the bytes of all request bodies in memory, at most *most*; not thread-safe.

    Bytes count when they arrive: if declared lengths counted, clients that send nothing could use up the limit. A body never
    waits for room, since several incomplete bodies that wait for each other would deadlock.
    """

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._held = 0

    @contextlib.contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """Account for one body: pass the size of each chunk to the yielded function; the bytes are released at the end."""
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
