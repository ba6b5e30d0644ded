"""Announce modules of public values when they are loaded: for hypothesis, if installed, see `facesearch.testing`."""

from collections.abc import Callable
from typing import Final

__all__ = ["announce", "listen"]

_loaded: Final[list[str]] = []
_listeners: Final[list[Callable[[str], None]]] = []


def announce(module: str) -> None:
    """Call each listener with the name of a module that has been loaded just now."""
    _loaded.append(module)
    for listener in _listeners:
        listener(module)


def listen(listener: Callable[[str], None]) -> None:
    """Call *listener* with the name of each module that announces itself, the earlier ones included."""
    _listeners.append(listener)
    for module in _loaded:
        listener(module)
