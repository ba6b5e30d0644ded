"""Protect a fork: locks that another thread holds, and objects that belong to one process.

A forked child has one thread, the one that forked. A lock that another thread held stays locked there for ever, and its unfinished
change stays unfinished. So the thread that forks takes all these locks first, outer ones before inner ones, and both sides
release them. Sessions of ONNX Runtime and networks of dlib can't be used in a child at all, since their threads are gone and
their state may be inconsistent: `generation` lets the child recognise the parent's objects.

Nothing here happens on Windows, which has no forks.
"""

import ctypes
import itertools
import os
import threading
import weakref
from enum import IntEnum
from typing import Final, Protocol

from typing_extensions import override

__all__ = ["AtFork", "ForkLock", "Level", "abandon", "generation", "register"]

_PATIENCE: Final = 10.0  # seconds to wait for a lock before a fork; then the child gets a new one


class Level(IntEnum):
    """Order of locks: a thread that holds a lock may wait only for locks of higher levels."""

    SERVICE = 0
    STORE = 1
    FILE = 2
    LOADING = 3
    LEAF = 4


class AtFork(Protocol):
    """An object that takes part in forks."""

    def before_fork(self) -> None:
        """Reach a state that a child can continue from, and keep other threads from changing it."""

    def after_fork(self, *, child: bool) -> None:
        """Release other threads."""


class ForkLock(AtFork):
    """A re-entrant lock that no other thread holds during a fork; *level* is its place in the order of locks."""

    def __init__(self, level: Level) -> None:
        self._lock = threading.RLock()
        self._ours = False  # held by the thread that forks
        register(self, level)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @override
    def before_fork(self) -> None:
        self._ours = self._lock.acquire(timeout=_PATIENCE)

    @override
    def after_fork(self, *, child: bool) -> None:
        if self._ours:
            self._ours = False
            self._lock.release()
        elif child:
            self._lock = threading.RLock()


def register(member: AtFork, level: Level) -> None:
    """Register an object to take part in forks for as long as it lives."""
    _members[member] = level, next(_serial)


def generation() -> int:
    """Return the number of forks between the process that first imported this module and the current one."""
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
