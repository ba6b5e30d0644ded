"""Accept requests of the opened page only: token, cookie, ``Host``, ``Origin`` and ``Sec-Fetch-Site``; add security headers.

The server listens on the loopback address, which every program and every web page in a browser of this machine reaches. A web page
of another site may send forms here (CSRF) or resolve its own host name to this address (DNS rebinding).
"""

import hmac
import secrets
import threading
from typing import Final
from urllib.parse import parse_qs

import attrs
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesearch.images.reading import MAX_FILE_BYTES

__all__ = ["MOST_BODY_BYTES", "Gate", "Keys", "same"]

MOST_BODY_BYTES: Final = MAX_FILE_BYTES + 65_536
"""Most bytes of a request: a photo file, and the other parts of its form."""

_TOKEN_BYTES: Final = 32
_MOST_HEADER_BYTES: Final = 16_384

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not "no-referrer": browsers then send "Origin: null" with forms, and Origin could not be checked. Nothing is sent to others.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
# The own page asks for "/", since a redirect of a navigation that another site began would come without the cookie.
_ENTRY: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>facesearch</title>
<link rel="icon" href="/static/icon.svg"><p><a href="/">Open the review page</a></html>
"""


class Keys:
    """The secrets of one run of the server."""

    def __init__(self) -> None:
        self.session: Final = secrets.token_urlsafe(_TOKEN_BYTES)  # value of the cookie
        self.form: Final = secrets.token_urlsafe(_TOKEN_BYTES)  # in each form
        self.lasting_token: Final = secrets.token_urlsafe(_TOKEN_BYTES)  # opens the page as long as the server runs
        self._once: set[str] = set()
        self._lock = threading.Lock()

    def single_token(self) -> str:
        """Return a token that opens the page once.

        It is passed to the browser on its command line, which other users of the machine can read.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._lock:
            self._once.add(token)
        return token

    def opens(self, token: str) -> bool:
        """Return whether a token opens the page, and use it up if it opens the page once."""
        if same(token, self.lasting_token):
            return True
        with self._lock:
            for each in self._once:
                if same(token, each):
                    self._once.remove(each)
                    return True
        return False


@attrs.frozen(eq=False)
class Gate:
    """ASGI middleware that passes the page's own requests to the application.

    The only names of the server are ``127.0.0.1`` and ``localhost``, with its port.
    """

    app: ASGIApp
    keys: Keys
    port: int

    @property
    def cookie(self) -> str:
        """The name of the cookie, which contains the port because browsers send cookies to all ports of a host."""
        return f"facesearch_review_{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an accepted request to the application; answer others."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._answer(scope, Headers(scope=scope))
        await (answer or self.app)(scope, _bounded(receive), send_guarded)

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request that does not reach the application; ``None`` for one that does."""
        if (why := self._foreign(headers)) is not None:
            return _refused(why)
        if (entry := self._entry(scope)) is not None:
            return entry
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return _refused("Sec-Fetch-Site is another site: its pages may not use this server.")
        if not same(cookie_parser(headers.get("cookie", "")).get(self.cookie, ""), self.keys.session):
            return _refused("Open the address that `facesearch review` printed in the terminal.")
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared[:20]) > MOST_BODY_BYTES:
            return _refused(f"The file is larger than {MAX_FILE_BYTES:,} bytes.", 413)
        return None

    def _foreign(self, headers: Headers) -> str | None:
        """Return why a request is not from a page of this server, as far as ``Host`` and ``Origin`` show it."""
        if sum(len(name) + len(value) for name, value in headers.raw) > _MOST_HEADER_BYTES:
            return "The header of the request is too large."
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}:
            return "Host is not this server: a web page of another name may be asking (DNS rebinding)."
        if any(origin != f"http://{hosts[0].lower()}" for origin in headers.getlist("origin")):
            return "Origin is another site: its pages may not use this server."
        return None

    def _entry(self, scope: Scope) -> Response | None:
        """Return the answer to a request with a token: it sets the cookie and loads the page without the token."""
        if scope["method"] != "GET" or scope["path"] != "/":
            return None
        tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if tokens is None:
            return None
        if not self.keys.opens(tokens[0]):
            return _refused(
                "This address was used before or is not from this run; use the one printed in the terminal."
            )
        answer = HTMLResponse(_ENTRY)
        answer.set_cookie(self.cookie, self.keys.session, path="/", httponly=True, samesite="strict")
        return answer


def same(given: str, wanted: str) -> bool:
    """Compare texts in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _refused(why: str, status: int = 403) -> Response:
    return PlainTextResponse(f"{why}\n", status, {"Connection": "close"})


def _bounded(receive: Receive) -> Receive:
    """Return a function that receives a body of at most `MOST_BODY_BYTES`, also where no length was declared."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= MOST_BODY_BYTES else {"type": "http.disconnect"}

    return receive_bounded
