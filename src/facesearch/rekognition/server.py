"""An HTTP server that answers Amazon Rekognition's requests, for clients of any language."""

import asyncio
import contextlib
import ipaddress
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

import facesearch
from facesearch._fields import check_int
from facesearch.errors import InvalidParameterError, MissingExtraError
from facesearch.networks import usable_cores
from facesearch.rekognition import wire
from facesearch.rekognition.faults import (
    AccessDeniedException,
    RekognitionError,
    RequestEntityTooLargeException,
    UnknownOperationException,
)
from facesearch.rekognition.signing import SignedRequest, check_keys, check_signature

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send
except ImportError as _error:
    raise MissingExtraError.of(
        "facesearch.rekognition.server", str(_error.name).partition(".")[0], "server"
    ) from _error

__all__ = ["MAX_BODY", "RequestTimeoutException", "application", "serve"]

MAX_BODY: Final = 15 * 2**20
"""The most bytes of a request: CompareFaces' two pictures of 5 MiB are 13.3 MiB in base64, and there is little else."""

_THROWN_AWAY: Final = 64 * 2**20  # bytes of a larger body that are still taken in, so that the client reads our answer
_BODY_SECONDS: Final = 120.0  # for a whole body: 15 MiB at 1 Mbit/s
_KEPT_ALIVE: Final = 30  # seconds that a connection may be idle
_LAST_SECONDS: Final = 30  # for requests under way when the server ends
# Connections at once; more are answered with 503. Together with MAX_BODY, this is what bounds the memory.
_MOST_CONNECTIONS: Final = 128
_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")

_access = logging.getLogger("facesearch.access")


class RequestTimeoutException(RekognitionError):  # noqa: N818  # named as AWS names its errors
    """The body did not come in time."""

    usual_message = "The request's body did not come in time."


def application(
    service: wire.Service,
    *,
    keys: Mapping[str, str] | None = None,
    max_body: int = MAX_BODY,
    names: Collection[str] | None = None,
) -> ASGIApp:
    """Give the server as an ASGI application, for any server that runs one.

    ``POST /`` takes requests as Amazon Rekognition does. ``GET /health`` answers ``{"status": "ok", "version": ...}`` as long
    as the process can. Requests are worked on in as many threads as there are cores. Each is a line of JSON in the log
    ``facesearch.access``, level INFO (DEBUG for ``/health``): time, request id, operation, HTTP status, error code,
    milliseconds, bytes in and out, and the client's address; nothing of what was asked and answered.

    Parameters
    ----------
    service
        What answers; it stays open.
    keys
        Access keys and their secrets; requests must then be signed with one (AWS Signature Version 4). By default signatures
        are not looked at.
    max_body
        The most bytes of a request, >= 1; larger ones get RequestEntityTooLargeException, HTTP status 413.
    names
        What clients may call this server, without the port; by default anything. Where nobody signs, names are what keeps
        a page in a browser on this machine from asking, after its own name has been turned into this machine's address.

    Returns
    -------
    ASGIApp
        The application.

    Raises
    ------
    MissingExtraError
        On import, if a package is not installed.
    InvalidParameterError
        If one of these is wrong.
    """
    endpoint = _Endpoint(
        service=service,
        keys=None if keys is None else check_keys(keys),
        max_body=check_int("max_body", max_body, 1),
        names=None if names is None else frozenset(name.lower() for name in names),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        endpoint.threads.shutdown()

    app = Starlette(
        routes=[Route("/health", _health, methods=["GET"]), Route("/{path:path}", endpoint)],
        exception_handlers={
            404: lambda *_: _response(wire.error_response(_nowhere()))
        },  # a path without a slash: OPTIONS *
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def serve(
    service: wire.Service,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    keys: Mapping[str, str] | None = None,
    allow_remote: bool = False,
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
        Whether other machines may ask though there are no *keys*: whoever reaches the port can then read, change and delete
        all that is there.
    max_body
        The most bytes of a request.
    ready
        Called with the server's URL as soon as it listens.

    Raises
    ------
    MissingExtraError
        On import, if a package is not installed.
    InvalidParameterError
        If *host* is not this machine's alone and there are neither *keys* nor *allow_remote*, if it can't be listened on, or
        if another argument is wrong.

    Notes
    -----
    There is no TLS: what goes over a network, photos and faces, can be read on its way. A proxy in front, such as nginx or
    Caddy, adds it, and keeps slow clients from holding connections.
    """
    family, address = _address(host, port)
    local = ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    if not (local or keys or allow_remote):
        raise InvalidParameterError(
            f"host: expected an address of this machine alone while there are no keys, such as 127.0.0.1, got {host!r}; "
            "keys let only those ask who have one, and allow_remote everybody"
        )
    names = {*_LOCAL_NAMES, host} if local and not (keys or allow_remote) else None
    config = uvicorn.Config(
        application(service, keys=keys, max_body=max_body, names=names),
        http="h11",  # which bounds the headers, to 16 KiB
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEPT_ALIVE,
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


@attrs.define(kw_only=True)
class _Seen:
    """What the log tells of a request."""

    started: float = attrs.field(factory=time.perf_counter)
    operation: str | None = None
    bytes_in: int = 0


@attrs.frozen(kw_only=True, eq=False)
class _Endpoint:
    """Takes all requests but ``/health``; an ASGI application, so that Starlette leaves every method and path to it."""

    service: wire.Service
    keys: Mapping[str, str] | None
    max_body: int
    names: frozenset[str] | None
    threads: ThreadPoolExecutor = attrs.field(
        factory=lambda: ThreadPoolExecutor(usable_cores(), thread_name_prefix="rekognition"), init=False
    )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request, seen = Request(scope, receive), _Seen()
        try:
            status, headers, content = await self._answer(request, seen)
        except ClientDisconnect:
            _log(request, seen, status=None, error="ClientDisconnect")
            return
        # The error's name is looked up in what is sent, which alone is sure to be told.
        error = json.loads(content)["__type"] if status != 200 else None  # noqa: PLR2004  # OK
        _log(request, seen, status=status, error=error, answer=(headers["x-amzn-RequestId"], len(content)))
        await _response((status, headers, content))(scope, receive, send)

    async def _answer(self, request: Request, seen: _Seen) -> wire.Response:
        try:
            body = await self._body(request, seen)
        except RekognitionError as fault:
            status, headers, content = wire.error_response(fault)
            return status, {**headers, "Connection": "close"}, content  # what is left of the body is not waited for
        try:
            target = self._target(request, seen)
        except RekognitionError as fault:
            return wire.error_response(fault)
        work = partial(self._work, request, target, body)
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    def _target(self, request: Request, seen: _Seen) -> str | None:
        if self.names is not None and _name(request.headers.get("host", "")) not in self.names:
            raise AccessDeniedException(
                "Host: expected a name of this machine; to be asked by other names, the server needs keys"
            )
        if (request.method, request.scope["path"]) != ("POST", "/"):
            raise _nowhere()
        target = request.headers.get("x-amz-target")
        seen.operation = wire.operation_of(target)
        return target

    async def _body(self, request: Request, seen: _Seen) -> bytes:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > _THROWN_AWAY:
            raise self._too_large()
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for chunk in request.stream():
                    seen.bytes_in += len(chunk)
                    if seen.bytes_in <= self.max_body:
                        chunks.append(chunk)
                    elif seen.bytes_in > _THROWN_AWAY:
                        break
                    else:
                        chunks.clear()
        except TimeoutError:
            raise RequestTimeoutException from None
        if seen.bytes_in > self.max_body:
            raise self._too_large()
        return b"".join(chunks)

    def _work(self, request: Request, target: str | None, body: bytes) -> wire.Response:
        if self.keys is not None:
            signed = SignedRequest(
                method=request.method,
                path="/",
                query=request.scope["query_string"].decode("latin-1"),
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
                body=body,
            )
            try:
                check_signature(signed, self.keys)
            except RekognitionError as fault:
                return wire.error_response(fault)
        return wire.handle(self.service, target, body)

    def _too_large(self) -> RequestEntityTooLargeException:
        return RequestEntityTooLargeException(f"The request is larger than {self.max_body:,} bytes")


def _nowhere() -> UnknownOperationException:
    return UnknownOperationException("Expected POST /, or GET /health")


def _response(answer: wire.Response) -> Response:
    status, headers, content = answer
    return Response(content, status, headers)


async def _health(request: Request) -> Response:
    response = JSONResponse({"status": "ok", "version": facesearch.__version__})
    _log(request, _Seen(), status=200, error=None, level=logging.DEBUG)
    return response


def _log(
    request: Request,
    seen: _Seen,
    *,
    status: int | None,
    error: str | None,
    answer: tuple[str | None, int] = (None, 0),
    level: int = logging.INFO,
) -> None:
    if not _access.isEnabledFor(level):
        return
    request_id, bytes_out = answer
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "request_id": request_id,
        "operation": seen.operation,
        "status": status,
        "error": error,
        "ms": round((time.perf_counter() - seen.started) * 1000, 1),
        "bytes_in": seen.bytes_in,
        "bytes_out": bytes_out,
        "client": request.client.host if request.client else None,
    }
    _access.log(level, "%s", json.dumps(line))


def _name(host: str) -> str | None:
    """Give the name in a ``Host`` header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


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
