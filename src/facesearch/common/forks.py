"""What a fork must not break: locks that another thread holds, and objects that belong to one process.

A forked child has one thread, the one that forked. A lock that another thread held stays locked there for ever, and a change that
it was making stays half done. So the thread that forks takes all these locks first, outer ones before inner ones, and both sides
release them. Sessions of ONNX Runtime and networks of dlib can't be used in a child at all, since their threads are gone and
their insides may be half changed: `generation` tells the child that they are not its own.

Nothing here happens on Windows, which has no forks.
"""

import ctypes
import itertools
import os
import threading
import weakref
from enum import IntEnum
from typing import Final, Protocol

__all__ = ["AtFork", "ForkLock", "Level", "abandon", "generation", "register"]

_PATIENCE: Final = 10.0  # seconds to wait for a lock before a fork; then the child gets a new one


class Level(IntEnum):
    """Which locks are taken first: a thread that holds one may wait for those of higher levels only."""

    SERVICE = 0
    STORE = 1
    FILE = 2
    LOADING = 3
    LEAF = 4


class AtFork(Protocol):
    """What takes part in a fork."""

    def before_fork(self) -> None:
        """Bring all into a state that a child can go on from, and keep other threads from changing it."""

    def after_fork(self, *, child: bool) -> None:
        """Let other threads go on."""


class ForkLock:
    """A lock that its thread may take again, and that no fork finds held by another thread.

    Parameters
    ----------
    level
        When it is taken before a fork.
    """

    def __init__(self, level: Level) -> None:
        self._lock = threading.RLock()
        self._ours = False  # held by the thread that forks
        register(self, level)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """See `AtFork`."""
        self._ours = self._lock.acquire(timeout=_PATIENCE)

    def after_fork(self, *, child: bool) -> None:
        """See `AtFork`."""
        if self._ours:
            self._ours = False
            self._lock.release()
        elif child:
            self._lock = threading.RLock()


def register(member: AtFork, level: Level) -> None:
    """Let an object take part in forks from now on, as long as it lives."""
    _members[member] = level, next(_serial)


def generation() -> int:
    """Return how many forks lie between the process that first imported this module and the current one."""
    return _generation[-1]


def abandon(value: object) -> None:
    """Keep an object of the parent process from ever being destroyed: its destructor would wait for threads that are gone."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


_members: "weakref.WeakKeyDictionary[AtFork, tuple[Level, int]]" = weakref.WeakKeyDictionary()
_serial: Final = itertools.count()
_generation: Final = [0]
_forking: Final = threading.local()


def _in_order() -> list[AtFork]:
    while True:
        try:
            ranked = sorted((rank, member) for member, rank in _members.items())
        except RuntimeError:  # another thread added one meanwhile
            continue
        return [member for _, member in ranked]


def _before() -> None:
    _forking.members = []
    for member in _in_order():
        member.before_fork()
        _forking.members.append(member)


def _after(*, child: bool) -> None:
    members: list[AtFork] = _forking.__dict__.pop("members", [])
    for member in reversed(members):
        member.after_fork(child=child)
    if child:
        _generation.append(_generation[-1] + 1)
        for member in _in_order():  # those that came while the others were waited for
            if not any(member is each for each in members):
                member.after_fork(child=True)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(child=False),
        after_in_child=lambda: _after(child=True),
    )
