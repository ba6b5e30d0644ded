"""Values that take long to compute, such as all groups of a collection: computed in a thread, and kept while that is slow."""

import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["Snapshot"]

T = TypeVar("T")

_QUICK: Final = 0.5
"""Seconds: a value that is computed faster is computed anew for each page, and so is never out of date."""


class Snapshot(Generic[T]):
    """A value that *compute* returns, and the time of its computation."""

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute: Final = compute
        self._lock: Final = threading.Lock()
        self._value: T | None = None
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self._turn = 0  # number of the computation that counts
        self._seconds = 0.0
        self.taken_at: float | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the value is not computed anew for each page."""
        return self._seconds > _QUICK

    def get(self, wait: float = 1.0) -> T | None:
        """Return the value or raise the error of its computation; ``None`` if that takes more than *wait* seconds: call again later."""
        with self._lock:
            if self._thread is None:
                if self._value is not None and self.is_kept:
                    return self._value
                self._turn += 1
                # A daemon, so that a long computation does not hold up the end of the program; it changes nothing.
                self._thread = threading.Thread(
                    target=self._run, args=(self._turn,), daemon=True, name="facesearch-review"
                )
                self._thread.start()
            thread = self._thread
        thread.join(wait)
        return self._result()

    def _result(self) -> T | None:
        with self._lock:
            if self._thread is not None:
                return None
            error, self._error = self._error, None
            if error is not None:
                raise error
            return self._value

    def peek(self) -> T | None:
        """Return the last value without computing one."""
        return self._value

    def forget(self) -> None:
        """Make the next `get` compute the value anew."""
        with self._lock:
            self._value, self._thread = None, None
            self._turn += 1

    def change(self, change: Callable[[T], T]) -> None:
        """Replace a kept value by what *change* returns for it, after a change that only affects a part of it."""
        with self._lock:
            if self._value is not None and self.is_kept and self._thread is None:
                self._value = change(self._value)
                return
        self.forget()

    def _run(self, turn: int) -> None:
        began = time.perf_counter()
        value: T | None = None
        error: Exception | None = None
        try:
            value = self._compute()
        except Exception as failure:  # noqa: BLE001  # raised again by get, in the thread of the request
            error = failure
        with self._lock:
            if turn == self._turn:
                self._value, self._error, self._thread = value, error, None
                self._seconds = time.perf_counter() - began
                self.taken_at = time.time()
