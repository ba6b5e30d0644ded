"""HTTP server for Amazon Rekognition's requests, for clients in any language."""

import ipaddress
import math
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast

import uvicorn

from facesearch.common.validation import check_float, check_int
from facesearch.errors import InvalidParameterError
from facesearch.rekognition import json_protocol as wire
from facesearch.rekognition.http.connections import Limits
from facesearch.rekognition.http.endpoint import MAX_BODY, RequestTimeoutException, application
from facesearch.rekognition.http.hosts import name_of
from facesearch.rekognition.http.listening import listen_on, most_connections, stopped_by_signals

__all__ = ["MAX_BODY", "RequestTimeoutException", "application", "serve"]

_SHUTDOWN_SECONDS: Final = 30  # for running requests when the server stops
# asyncio accepts up to this many connections at a time, and up to three times this number before it counts the first. Beyond the
# process's limit of open files it would stop accepting for a second.
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
    """Run the server until SIGINT (Ctrl-C) or SIGTERM; running requests are completed.

    Parameters
    ----------
    service
        Executes the operations; it stays open.
    host, port
        Address to listen on; port 0 selects a free port.
    keys
        Access keys and their secrets, see `application`.
    allow_remote
        Whether to accept other machines without *keys*: everyone who reaches the port can then read, change and delete all
        collections. ``Host`` and ``Origin`` are checked nevertheless.
    allowed_hosts
        Host names of the server, see `application`; *host* is included.
    forwarded_allow_ips
        IP addresses and networks of trusted proxies: the access log uses their ``X-Forwarded-For``; by default none.
    client_timeout
        Seconds, 0.01-3600, in which a connection must send the header of its first, or next, request. After the same time a
        body must arrive, and a response be received, with at least 64 KiB per second.
    max_body
        Most bytes of a request.
    ready
        Called with the server's URL when the server listens.

    Raises
    ------
    MissingExtraError
        On import, if a package is not installed.
    InvalidParameterError
        If *host* is reachable from other machines without *keys* or *allow_remote*, if the address can't be used, or if another
        argument is invalid.

    Notes
    -----
    The server has no TLS: others on the network can read photos and faces. Use a proxy in front for TLS, such as nginx or Caddy.

    At most 1,000 connections are open, or half of the process's limit of open files. Beyond that, the connection that has waited
    longest for its request is closed. `application` limits the work.
    """
    family, address = _address(host, port)
    local = ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    if not (local or keys or allow_remote):
        raise InvalidParameterError(
            f"host: expected an address of this machine alone while there are no keys, such as 127.0.0.1, got {host!r}; "
            "pass keys to require signed requests, or allow_remote to accept everyone"
        )
    timeout = check_float("client_timeout", client_timeout, 0.01, 3600)
    proxies = [_network(each) for each in forwarded_allow_ips]
    limits = Limits(timeout=timeout, most=most_connections())
    own_name = [host] if keys is None and name_of(host) else []
    config = uvicorn.Config(
        application(
            service,
            keys=keys,
            allowed_hosts=[*allowed_hosts, *own_name],
            client_timeout=timeout,
            max_body=max_body,
        ),
        http=cast("Any", limits.protocol()),  # uvicorn expects a class, and only calls it
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        server_header=False,
        backlog=max(1, min(_BACKLOG, limits.most // 6)),
        timeout_keep_alive=math.ceil(timeout),
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    try:
        listener = listen_on(family, address, config.backlog)
    except OSError as error:
        raise InvalidParameterError(
            f"host, port: expected a free address of this machine, got {host}:{port} ({error.strerror})"
        ) from error
    with listener, stopped_by_signals(server):
        if ready:
            shown = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
            ready(f"http://{shown}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])


def _network(proxy: str) -> str:
    """Return the address or network of a proxy if it is valid."""
    try:
        ipaddress.ip_network(proxy)
    except ValueError:
        raise InvalidParameterError.of(
            "forwarded_allow_ips", proxy, "an IP address or network, such as 10.0.0.1 or 10.0.0.0/8"
        ) from None
    return proxy


def _address(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Resolve a host once, so that the checked address is the one that the server listens on."""
    check_int("port", port, 0, 65535)
    if not host:
        raise InvalidParameterError.of("host", host, "an address such as 127.0.0.1")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InvalidParameterError.of("host", host, "an address of this machine") from error
    return family, address
