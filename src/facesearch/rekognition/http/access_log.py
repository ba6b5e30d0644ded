"""The access log: one line of JSON for each request, without the content of requests and responses."""

import ipaddress
import json
import logging
import time
from typing import Final

import attrs

__all__ = ["Entry"]

_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})

_logger = logging.getLogger("facesearch.access")


def _known_method(method: str) -> str:
    return method if method in _METHODS else "other"


def _address(client: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(client or ""))
    except ValueError:
        return None


@attrs.define(kw_only=True)
class Entry:
    """Access log entry of one request.

    Values from the client are restricted before they are written: JSON escapes line breaks and control characters, the method is
    a known one or "other", the address is an IP address, operation and access key id consist of letters, digits and ``_``.
    Sizes are those of bodies.
    """

    method: str = attrs.field(converter=_known_method)
    client: str | None = attrs.field(converter=_address)
    operation: str | None = None
    key: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    _started: float = attrs.field(factory=time.perf_counter, init=False)

    def write(
        self, *, status: int | None, error: str | None, request_id: str | None = None, level: int = logging.INFO
    ) -> None:
        """Write the line to the logger ``facesearch.access``."""
        if not _logger.isEnabledFor(level):
            return
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request_id": request_id,
            "method": self.method,
            "operation": self.operation,
            "status": status,
            "error": error,
            "ms": round((time.perf_counter() - self._started) * 1000, 1),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "key": self.key,
            "client": self.client,
        }
        _logger.log(level, "%s", json.dumps(line))
