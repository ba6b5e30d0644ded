"""Check the headers ``Host`` and ``Origin``, to protect the server from web pages in a browser.

A web page may resolve its own host name to the address of this server (DNS rebinding); the browser then lets it read the
responses. ``Host`` still contains the page's host name. No page can have an IP address or ``localhost`` as its name, so these
are always accepted.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import Final, Self

import attrs

from facesearch.errors import InvalidParameterError, shown
from facesearch.rekognition.exceptions import AccessDeniedException

__all__ = ["HostCheck", "name_of"]

_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::[0-9]{0,5})?")
_ORIGIN: Final = re.compile(r"https?://(?P<host>.+)")


@attrs.frozen
class HostCheck:
    """Host names that a server accepts, in lower case, beside IP addresses and ``localhost``."""

    names: frozenset[str]

    @classmethod
    def of(cls, names: Collection[str]) -> Self:
        """Create the check for these host names, without ports."""
        if isinstance(names, str):
            raise InvalidParameterError.of("allowed_hosts", names, "a list of host names")
        for name in names:
            if name_of(name) != name.lower().rstrip("."):
                raise InvalidParameterError.of(
                    "allowed_hosts", name, "host names without a port, such as 'photos.example'"
                )
        return cls(frozenset(name.lower().rstrip(".") for name in names))

    def check(self, hosts: Sequence[str], origins: Sequence[str]) -> None:
        """Check the values of a request's ``Host`` and ``Origin`` headers.

        An origin, which browsers send, must be the server itself or one of the names. Pages of other servers are refused.
        """
        name = name_of(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            raise AccessDeniedException(f"Host: expected the name of this server, got {shown(', '.join(hosts))}")
        if not (name in self.names or name == "localhost" or _is_address(name)):
            raise AccessDeniedException(
                f"Host: {name!r} is not a name of this server, so the request may be a web page's (DNS rebinding). To use "
                f"that name, start the server with --allowed-host {name} (allowed_hosts in Python)"
            )
        for origin in origins:
            found = _ORIGIN.fullmatch(origin)
            asker = found["host"] if found else ""
            if asker.lower() != hosts[0].lower() and name_of(asker) not in self.names:
                raise AccessDeniedException(
                    f"Origin: web pages of {shown(origin)} may not use this server. To allow them, start the server with "
                    "--allowed-host and their host name (allowed_hosts in Python)"
                )


def name_of(host: str) -> str | None:
    """Return the name in a ``Host`` header in lower case, without port and final dot; ``None`` if it is malformed.

    Examples
    --------
    >>> name_of("LocalHost:8080"), name_of("[::1]:80"), name_of("a@b")
    ('localhost', '::1', None)
    """
    found = _HOST.fullmatch(host)
    return (found["v6"] or found["name"]).lower().removesuffix(".") if found else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
