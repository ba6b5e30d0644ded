"""Compute values on first use, once in each process."""

from collections.abc import Callable, Hashable
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

import attrs

from facesearch.common.forks import ForkLock, Level, abandon, generation

__all__ = ["LOADING", "Once", "lazy", "once"]

P = ParamSpec("P")
T = TypeVar("T")

LOADING = ForkLock(Level.LOADING)
"""Held while weights are loaded and modules are imported for that. One lock for all, so that loading can't deadlock, and so that no
fork happens while a module or library is half loaded: the child could never finish loading it."""


@attrs.frozen
class _Made(Generic[T]):
    value: T
    generation: int


class Once(Generic[T]):
    """A value computed by the first call; other threads wait for it.

    The value belongs to one process: after a fork the child computes its own. Sessions of ONNX Runtime and networks of dlib need
    that, since their threads don't exist in the child, and the parent's threads may have been using them.

    The function is an argument of the call, so that an object that stores a `Once` is freed as soon as it is unreferenced.

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
        self._made: _Made[T] | None = None

    def __call__(self, make: Callable[[], T]) -> T:
        """Return the value. Where *make* raises, nothing is stored, and the next call tries again."""
        made = self._made
        if made is None or made.generation != generation():
            with LOADING:
                made = self._made
                if made is None or made.generation != generation():
                    if made is not None:
                        abandon(made.value)
                        self._made = None
                    self._made = made = _Made(make(), generation())
        return made.value


def once(make: Callable[P, T]) -> Callable[P, T]:
    """Call a function once for each set of hashable arguments in each process, as `Once` does, and keep what it returns."""
    made: dict[Hashable, Once[T]] = {}

    @wraps(make)
    def get(*args: P.args, **kwargs: P.kwargs) -> T:
        return made.setdefault((args, *kwargs.items()), Once())(partial(make, *args, **kwargs))

    return get


class lazy(Generic[T]):  # noqa: N801  # a decorator
    """A property computed when it is first read, and kept.

    Unlike `functools.cached_property` before Python 3.12 it has no lock, which all instances of a class would share and which a
    fork might find held. Threads that read it at the same time may compute it twice.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "lazy[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "T | lazy[T]":
        """Compute it; from then on the instance's own attribute is read."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
