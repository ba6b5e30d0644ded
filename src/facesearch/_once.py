"""What is made when it is first needed, and only once."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Once"]

T = TypeVar("T")


class Once(Generic[T]):
    """A value that whoever asks first makes; other threads that ask meanwhile wait for it.

    How it is made is told when it is asked for, so that an object that keeps one of its own is freed as soon as nobody has it.

    Examples
    --------
    >>> weights = Once()
    >>> for _ in range(2):
    ...     weights(lambda: print("loading") or [1.0, 2.0])
    loading
    [1.0, 2.0]
    [1.0, 2.0]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self, make: Callable[[], T]) -> T:
        """Give the value. Where *make* raises, nothing is kept, and the next caller tries again."""
        with self._lock:
            if not self._made:
                self._made.append(make())
            return self._made[0]
