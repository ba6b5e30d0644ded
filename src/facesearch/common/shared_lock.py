"""A lock that readers share and a writer holds alone."""

import contextlib
import os
import threading
from collections.abc import Iterator

__all__ = ["SharedLock"]


class SharedLock:
    """A shared and exclusive lock; threads that wait for exclusive access go first."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._sharing = self._waiting = 0
        self._taken = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with others."""
        self._renew()
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._waiting)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock alone."""
        self._renew()
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._taken and not self._sharing)
                self._taken = True
            finally:
                self._waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _renew(self) -> None:
        # After a fork, the threads that held the lock are gone. None was changing data: see facesearch.storage.sqlite.connections.
        if self._pid != os.getpid():
            self._begin()
