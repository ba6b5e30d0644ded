"""The server as an ASGI application: check headers, read bodies, queue the work, respond."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Final

import attrs
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from facesearch.common.validation import check_float, check_int
from facesearch.errors import ClosedError
from facesearch.networks.runtime import usable_cores
from facesearch.rekognition import json_protocol as wire
from facesearch.rekognition.exceptions import (
    RekognitionError,
    RequestEntityTooLargeException,
    SerializationException,
    ThrottlingException,
    UnknownOperationException,
)
from facesearch.rekognition.http.access_log import Entry
from facesearch.rekognition.http.connections import LEAST_RATE, MOST_DISCARDED
from facesearch.rekognition.http.hosts import HostCheck
from facesearch.rekognition.http.sigv4 import Claim, SignedRequest, check_keys, claim_of
from facesearch.rekognition.http.work_queue import AbandonedError, ByteBudget, FullError, WorkQueue

__all__ = ["MAX_BODIES", "MAX_BODY", "MAX_WAITING", "RequestTimeoutException", "application"]

MAX_BODY: Final = 15 * 2**20
"""Most bytes of a request: the two images of CompareFaces, 5 MiB each, are 13.3 MiB in base64."""

MAX_BODIES: Final = 256 * 2**20
"""Most bytes of all bodies that are being received, queued or processed."""

MAX_WAITING: Final = 64
"""Most requests that wait for a thread."""

_MOST_HEADER_BYTES: Final = 16 * 2**10
_MOST_HEADERS: Final = 100
_RETRY_SECONDS: Final = "1"


class RequestTimeoutException(RekognitionError, message="The request's body did not arrive in time."):  # noqa: N818  # AWS's naming
    """The body did not arrive in time."""


class RequestHeaderSectionTooLargeException(  # noqa: N818  # likewise
    RekognitionError,
    message=f"Expected at most {_MOST_HEADERS} headers and {_MOST_HEADER_BYTES:,} bytes of them.",
    status=431,
):
    """The headers exceed the limits on their number or size; HTTP 431."""


def application(
    service: wire.Service,
    *,
    keys: Mapping[str, str] | None = None,
    allowed_hosts: Collection[str] = (),
    client_timeout: float = 10.0,
    max_body: int = MAX_BODY,
    max_bodies: int = MAX_BODIES,
    max_waiting: int = MAX_WAITING,
) -> ASGIApp:
    """Return the server as an ASGI application, to run in any ASGI server.

    ``POST /`` accepts Amazon Rekognition's requests. ``GET /health`` returns ``{"status": "ok"}`` without authentication. The
    number of requests processed in parallel is the number of cores. Each request writes a line of JSON to the log
    ``facesearch.access``, level INFO (DEBUG for ``/health``): time, request id, method, operation, HTTP status, error code,
    milliseconds, bytes in and out, access key id and the client's address, but no content of requests and responses.

    Timeouts and limits of connections belong to `serve`: an ASGI application does not see a connection before its request.

    Parameters
    ----------
    service
        Executes the operations; it stays open.
    keys
        Access keys and their secrets; requests must then be signed with one (AWS Signature Version 4). By default signatures
        are ignored.
    allowed_hosts
        Host names of this server, without a port, beside IP addresses and ``localhost``. Without *keys*, requests with another
        host name, or from web pages with another host name, are refused, since a web page may resolve its name to this server's
        address (DNS rebinding). With *keys*, which such a page does not have, host names are checked only if some are given.
    client_timeout
        Seconds, > 0, after which a body must arrive with at least 64 KiB per second.
    max_body
        Most bytes of a request, >= 1; a larger one gets RequestEntityTooLargeException, HTTP status 413.
    max_bodies
        Most bytes of all requests together, >= 1; a request that exceeds it gets HTTP status 503.
    max_waiting
        Most requests that wait for a core, >= 0; a further one gets ThrottlingException, HTTP status 503, with a
        ``Retry-After``, so that SDKs retry. Requests from clients that disconnected are dropped.

    Returns
    -------
    ASGIApp
        The application.

    Raises
    ------
    MissingExtraError
        On import, if a package is not installed.
    InvalidParameterError
        If an argument is invalid.
    """
    names = HostCheck.of(allowed_hosts)
    endpoint = _Endpoint(
        service=service,
        keys=None if keys is None else check_keys(keys),
        hosts=names if keys is None or names.names else None,
        timeout=check_float("client_timeout", client_timeout, 0.01, 3600),
        max_body=check_int("max_body", max_body, 1),
        budget=ByteBudget(check_int("max_bodies", max_bodies, 1)),
        queue=WorkQueue(usable_cores(), check_int("max_waiting", max_waiting, 0)),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        endpoint.queue.close()

    app = Starlette(
        routes=[Route("/health", _health, methods=["GET"]), Route("/{path:path}", endpoint)],
        exception_handlers={
            404: lambda *_: _response(wire.error_response(_unknown_path()))
        },  # a path without a slash, as in OPTIONS *
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


@attrs.frozen(kw_only=True)
class _Head:
    """Validated headers of a request."""

    target: str | None
    claim: Claim | None
    headers: list[tuple[str, str]]


@attrs.frozen(kw_only=True, eq=False)
class _Endpoint:
    """ASGI application for all requests but ``/health``; Starlette passes every method and path to it."""

    service: wire.Service
    keys: Mapping[str, str] | None
    hosts: HostCheck | None
    timeout: float
    max_body: int
    budget: ByteBudget
    queue: WorkQueue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request, entry = Request(scope, receive), _entry(scope)
        try:
            status, headers, content = await self._answer(request, entry)
        except (ClientDisconnect, AbandonedError):
            entry.write(status=None, error="ClientDisconnect")
            return
        # The log reads the error's name from the response, so that both always agree.
        error = json.loads(content)["__type"] if status != 200 else None  # noqa: PLR2004  # OK
        entry.bytes_out = len(content)
        entry.write(status=status, error=error, request_id=headers["x-amzn-RequestId"])
        await _response((status, headers, content))(scope, receive, send)

    async def _answer(self, request: Request, entry: Entry) -> wire.Response:
        try:
            head = self._head(request, entry)
            with self.budget.body() as take:
                body = await self._body(request, entry, take)
                work = partial(self._work, request, head, body)
                return await self.queue.run(work, _disconnected(request.receive))
        except _ClosingError as error:
            return _with(wire.error_response(error.fault), {"Connection": "close"})
        except FullError:
            busy = ThrottlingException("The server is busy; try again")
            return _with(wire.error_response(busy), {"Retry-After": _RETRY_SECONDS}, status=503)
        except RekognitionError as fault:
            return wire.error_response(fault)
        except (ClientDisconnect, AbandonedError):
            raise
        except Exception as error:  # noqa: BLE001  # every failure gets a response
            return wire.unexpected(error)

    def _head(self, request: Request, entry: Entry) -> _Head:
        """Check the headers of a request before its body is read."""
        raw = request.headers.raw
        if len(raw) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in raw) > _MOST_HEADER_BYTES:
            raise _ClosingError(RequestHeaderSectionTooLargeException())
        declared = request.headers.get("content-length", "")
        if declared and "transfer-encoding" in request.headers:  # a proxy may have used either one: request smuggling
            raise _ClosingError(SerializationException("Expected Content-Length or Transfer-Encoding, got both"))
        if self.hosts is not None:
            self.hosts.check(request.headers.getlist("host"), request.headers.getlist("origin"))
        if (request.method, request.scope["path"]) != ("POST", "/"):
            raise _unknown_path()
        target = request.headers.get("x-amz-target")
        entry.operation = wire.operation_of(target)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
        claim = None
        if self.keys is not None:
            claim = claim_of(headers)
            entry.key = claim.key
        if declared.isdecimal() and int(declared[:20]) > self.max_body:
            fault = self._too_large()
            raise fault if int(declared[:20]) <= MOST_DISCARDED else _ClosingError(fault)
        return _Head(target=target, claim=claim, headers=headers)

    async def _body(self, request: Request, entry: Entry, take: Callable[[int], None]) -> bytearray:
        body = bytearray()  # not a list: chunks of one byte would take forty times their size
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout_at(began + self.timeout) as deadline:
                async for chunk in request.stream():
                    entry.bytes_in += len(chunk)
                    if entry.bytes_in > self.max_body:
                        raise self._too_large()
                    take(len(chunk))
                    body += chunk
                    deadline.reschedule(began + self.timeout + len(body) / LEAST_RATE)
        except TimeoutError:
            raise _ClosingError(RequestTimeoutException()) from None
        return body

    def _work(self, request: Request, head: _Head, body: bytearray, gone: Callable[[], bool]) -> wire.Response:
        content = bytes(body)
        body.clear()
        if self.keys is not None and head.claim is not None:
            signed = SignedRequest(
                method=request.method,
                path="/",
                query=request.scope["query_string"].decode("latin-1"),
                headers=head.headers,
                body=content,
            )
            head.claim.verify(signed, self.keys)
        if gone():
            raise AbandonedError("the client went away")
        try:
            return wire.handle(self.service, head.target, content)
        except ClosedError as error:  # the service was closed while the server ran
            return wire.unexpected(error)

    def _too_large(self) -> RequestEntityTooLargeException:
        return RequestEntityTooLargeException(f"The request is larger than {self.max_body:,} bytes")


class _ClosingError(Exception):
    """An error after which the connection must close: the start of the next request is unknown, or too far away."""

    def __init__(self, fault: RekognitionError) -> None:
        super().__init__(fault)
        self.fault = fault


async def _disconnected(receive: Callable[[], Awaitable[Mapping[str, object]]]) -> None:
    """Wait until the client disconnects; call it after the body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _with(answer: wire.Response, headers: Mapping[str, str], status: int | None = None) -> wire.Response:
    return answer[0] if status is None else status, {**answer[1], **headers}, answer[2]


def _unknown_path() -> UnknownOperationException:
    return UnknownOperationException("Expected POST /, or GET /health")


def _response(answer: wire.Response) -> Response:
    status, headers, content = answer
    return Response(content, status, headers)


async def _health(request: Request) -> Response:
    _entry(request.scope).write(status=200, error=None, level=logging.DEBUG)
    return JSONResponse({"status": "ok"})


def _entry(scope: Scope) -> Entry:
    client = scope.get("client")
    return Entry(method=scope["method"], client=client[0] if client else None)
