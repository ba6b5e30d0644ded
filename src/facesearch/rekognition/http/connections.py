"""Limit the number of connections and their idle time: uvicorn's HTTP/1.1 protocol with a deadline for each request.

uvicorn has one timeout, for idle connections, and each byte that arrives resets it (Kludex/uvicorn issue 157); its
``limit_concurrency`` counts connections, including idle ones. Hypercorn times out incomplete headers, but limits neither slow
bodies nor the number of connections; Granian forks workers, which can't share the service object.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

__all__ = ["LEAST_RATE", "MOST_DISCARDED", "Limits"]

LEAST_RATE: Final = 64 * 2**10
"""Least transfer rate of a client after the timeout, in bytes per second; 0.5 Mbit/s."""

MOST_DISCARDED: Final = 64 * 2**20
"""Most bytes of a rejected request's body that are read and discarded, so that the client reads the response."""


@attrs.frozen(kw_only=True, eq=False)
class Limits:
    """Limits and state that the connections of a server share.

    A connection must send the complete header of its first, or next, request in *timeout* seconds. Beyond *most* simultaneous
    connections, the one that has waited longest for its request is closed.
    """

    timeout: float
    most: int
    waiting: dict["_Protocol", None] = attrs.field(factory=dict, init=False)  # with an incomplete request, oldest first

    def protocol(self) -> Callable[..., asyncio.Protocol]:
        """Return the factory of connections for uvicorn's option ``http``."""
        return partial(_Protocol, self)


class _Protocol(H11Protocol):
    """A connection with a deadline for its next request.

    The deadline is set when the connection opens and after each response. Single bytes do not extend it; only the rest of a
    rejected body does, at `LEAST_RATE`. The application limits the time for the body of a running request.
    """

    def __init__(self, limits: Limits, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._unsent = 0
        self._discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        """Start the deadline; close the longest waiting connection if there are too many."""
        super().connection_made(transport)
        self._await_request()
        if len(self.connections) > self._limits.most:
            next(iter(self._limits.waiting)).drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        super().connection_lost(exc)
        self._stop_timer()
        self._limits.waiting.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Process received bytes; stop the deadline when a request has started."""
        if self._last is not None and self._last.response_complete and self._last.more_body:
            self._discarded += len(data)
            self._set_timer(self._limits.timeout + self._discarded / LEAST_RATE)
            if self._discarded > MOST_DISCARDED:
                self.drop()
                return
        super().data_received(data)
        self._update_deadline()

    def on_response_complete(self) -> None:
        """Start the deadline of the next request, which may have arrived already."""
        self._await_request()
        super().on_response_complete()
        self._update_deadline()

    def drop(self) -> None:
        """Close the connection, even if the client has not read the whole response."""
        self._limits.waiting.pop(self, None)
        if self.transport.get_write_buffer_size() or not self._is_idle():
            self.transport.abort()
        else:
            self.transport.close()

    @property
    def _last(self) -> RequestResponseCycle | None:
        """The current or last request; uvicorn's annotation omits ``None``."""
        return self.cycle

    def _is_idle(self) -> bool:
        return self._last is None or self._last.response_complete

    def _update_deadline(self) -> None:
        if not self._is_idle():
            self._stop_timer()
            if not self.cycle.more_body:
                self._limits.waiting.pop(self, None)

    def _await_request(self) -> None:
        self._limits.waiting.pop(self, None)
        self._limits.waiting[self] = None
        self._discarded = 0
        self._unsent = self.transport.get_write_buffer_size()
        self._began = self.loop.time()
        self._set_timer(self._limits.timeout)

    def _set_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_at(self._began + seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if (
            0 < unsent <= self._unsent - LEAST_RATE * self._limits.timeout
        ):  # the client is still reading a long response
            self._await_request()
        else:
            self.drop()
