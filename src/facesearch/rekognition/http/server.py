"""An HTTP server that answers Amazon Rekognition's requests, for clients of any language."""

import contextlib
import ipaddress
import math
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from types import ModuleType
from typing import Any, Final, cast

from facesearch.common.validation import check_float, check_int
from facesearch.errors import InvalidParameterError, MissingExtraError
from facesearch.rekognition import json_protocol as wire

try:
    import uvicorn

    from facesearch.rekognition.http.connections import Limits
    from facesearch.rekognition.http.endpoint import MAX_BODY, RequestTimeoutException, application
    from facesearch.rekognition.http.hosts import name_of
except MissingExtraError:  # raised by a module imported here, and names the package
    raise
except ImportError as _error:
    raise MissingExtraError.of(
        "facesearch.rekognition.http.server", str(_error.name).partition(".")[0], "server"
    ) from _error

try:
    import resource as _resource
except ImportError:  # on Windows, where sockets are no files
    resource: ModuleType | None = None
else:
    resource = _resource

__all__ = ["MAX_BODY", "RequestTimeoutException", "application", "serve"]

_LAST_SECONDS: Final = 30  # for requests under way when the server ends
_MOST_CONNECTIONS: Final = 1000
# asyncio accepts so many connections at a time, up to three times before the first of them is counted. Beyond the files that the
# process may open it would stop accepting for a second.
_BACKLOG: Final = 128


def serve(
    service: wire.Service,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    keys: Mapping[str, str] | None = None,
    allow_remote: bool = False,
    allowed_hosts: Collection[str] = (),
    forwarded_allow_ips: Collection[str] = (),
    client_timeout: float = 10.0,
    max_body: int = MAX_BODY,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Listen until the process is told to end, by SIGINT (Ctrl-C) or SIGTERM; requests under way are finished.

    Parameters
    ----------
    service
        What answers; it stays open.
    host, port
        Where to listen; port 0 takes a free one.
    keys
        Access keys and their secrets, see `application`.
    allow_remote
        Whether to listen for other machines though there are no *keys*: whoever reaches the port can then read, change and
        delete all that is there. ``Host`` and ``Origin`` are checked all the same.
    allowed_hosts
        Names by which clients may call the server, see `application`; *host* is one of them.
    forwarded_allow_ips
        IP addresses and networks of proxies whose ``X-Forwarded-For`` is believed, for the access log; by default none.
    client_timeout
        Seconds, 0.01-3600, within which a connection must send the header of its first, or next, request; after which a body
        must arrive, and an answer be taken, with at least 64 KiB a second.
    max_body
        The most bytes of a request.
    ready
        Called with the server's URL as soon as it listens.

    Raises
    ------
    MissingExtraError
        On import, if a package is not installed.
    InvalidParameterError
        If *host* is not an address of this machine alone and there are neither *keys* nor *allow_remote*, if it can't be
        listened on, or if another argument is wrong.

    Notes
    -----
    There is no TLS: photos and faces can be read on their way over a network. A proxy in front, such as nginx or Caddy, adds it.

    Connections cost little and count little: at most 1,000 are held, or half of the files that the process may open. One more,
    and the one that has waited longest for its request is closed. What is bounded is work, see `application`.
    """
    family, address = _address(host, port)
    local = ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    if not (local or keys or allow_remote):
        raise InvalidParameterError(
            f"host: expected an address of this machine alone while there are no keys, such as 127.0.0.1, got {host!r}; "
            "keys let only those ask who have one, and allow_remote everybody"
        )
    timeout = check_float("client_timeout", client_timeout, 0.01, 3600)
    proxies = [_network(each) for each in forwarded_allow_ips]
    limits = Limits(timeout=timeout, most=_most_connections())
    own_name = [host] if keys is None and name_of(host) else []
    config = uvicorn.Config(
        application(
            service,
            keys=keys,
            allowed_hosts=[*allowed_hosts, *own_name],
            client_timeout=timeout,
            max_body=max_body,
        ),
        http=cast("Any", limits.protocol()),  # uvicorn asks for a class, and calls it
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        server_header=False,
        backlog=max(1, min(_BACKLOG, limits.most // 6)),
        timeout_keep_alive=math.ceil(timeout),
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    server = uvicorn.Server(config)
    try:
        listener = _listener(family, address, config.backlog)
    except OSError as error:
        raise InvalidParameterError(
            f"host, port: expected where this machine can listen, got {host}:{port} ({error.strerror})"
        ) from error
    with listener, _ended_by_signals(server):
        if ready:
            shown = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
            ready(f"http://{shown}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])


def _network(proxy: str) -> str:
    """Check the address or network of a proxy."""
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        raise InvalidParameterError.of(
            "forwarded_allow_ips", proxy, "an IP address or network, such as 10.0.0.1 or 10.0.0.0/8"
        ) from None
    return proxy


def _most_connections() -> int:
    """Return how many connections may be held: half of the files that the process may open, at most 1,000."""
    if resource is None:
        return _MOST_CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_CONNECTIONS if files < 0 else max(1, min(_MOST_CONNECTIONS, files // 2))


def _address(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Look a host up, once: what is checked is what is listened on."""
    check_int("port", port, 0, 65535)
    if not host:
        raise InvalidParameterError.of("host", host, "an address such as 127.0.0.1")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InvalidParameterError.of("host", host, "an address of this machine") from error
    return family, address


def _listener(family: socket.AddressFamily, address: Any, backlog: int) -> socket.socket:
    """Listen, with sockets that know their protocol.

    To those alone asyncio says not to wait with the second part of an answer until the first is acknowledged, which costs
    each request 40 ms.
    """
    plain = socket.create_server(address, family=family, backlog=backlog)
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=plain.detach())


@contextlib.contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let signals end the server and not the process, which has things to close; uvicorn on its own does both."""
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
