"""Listen on a socket, limit connections by the open files of the process, and stop a server by signals."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import uvicorn

try:
    import resource as _resource
except ImportError:  # on Windows, where sockets are not files
    resource: ModuleType | None = None
else:
    resource = _resource

__all__ = ["listen_on", "most_connections", "stopped_by_signals"]

_MOST_CONNECTIONS: Final = 1000


def most_connections() -> int:
    """Return the most simultaneous connections: half of the process's limit of open files, at most 1,000."""
    if resource is None:
        return _MOST_CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_CONNECTIONS if files < 0 else max(1, min(_MOST_CONNECTIONS, files // 2))


def listen_on(family: socket.AddressFamily, address: Any, backlog: int) -> socket.socket:
    """Return a listening socket with its protocol number set.

    asyncio sets TCP_NODELAY only on sockets with a protocol number. Without it the second part of a response waits for the
    acknowledgement of the first, which costs 40 ms per request.
    """
    plain = socket.create_server(address, family=family, backlog=backlog)
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=plain.detach())


@contextlib.contextmanager
def stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Make signals stop the server, but not the process, which has resources to close; uvicorn by itself does both."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
