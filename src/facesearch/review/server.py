"""Run the page on the loopback address until Ctrl-C."""

import os
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import uvicorn

import facesearch as fs
from facesearch.common.validation import check_int, check_is
from facesearch.errors import InvalidParameterError
from facesearch.rekognition.http.connections import Limits
from facesearch.rekognition.http.listening import listen_on, most_connections, stopped_by_signals
from facesearch.review.application import application
from facesearch.review.photo_files import PhotoFiles
from facesearch.review.site import Site

__all__ = ["serve"]

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 64
_CLIENT_SECONDS: Final = 30  # for the header of a request; after it, at least 64 KiB a second
_SHUTDOWN_SECONDS: Final = 1  # for requests at work when Ctrl-C is pressed: a change is complete or not there anyway


def serve(
    collection: fs.Collection,
    *,
    photos: Iterable[str | os.PathLike[str]] = (),
    port: int = 0,
    read_only: bool = False,
    ready: Callable[[str, str], object] | None = None,
) -> None:
    """Run the page for a collection, which stays open, until SIGINT (Ctrl-C) or SIGTERM.

    Photos are shown only from the folders *photos*, and only if they are unchanged since they were indexed; otherwise faces are shown by
    their thumbnails. Port 0 selects a free port. *ready* is called when the server listens, with two addresses that open the page: the
    first as often as the server runs, the second once, since a browser gets it on its command line.
    """
    check_is("collection", collection, fs.Collection)
    check_int("port", port, 0, 65535)
    site = Site(collection, PhotoFiles.of(photos), read_only=read_only)
    limits = Limits(timeout=_CLIENT_SECONDS, most=most_connections())
    try:
        listener = listen_on(socket.AF_INET, (_HOST, port), _BACKLOG)
    except OSError as error:
        raise InvalidParameterError(
            f"port: expected a free port of this machine, got {port} ({error.strerror}); 0 selects one"
        ) from error
    with listener:
        number = listener.getsockname()[1]
        config = uvicorn.Config(
            application(site, number),
            http=cast("Any", limits.protocol()),  # uvicorn expects a class, and only calls it
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        server = uvicorn.Server(config)
        with stopped_by_signals(server):
            if ready:
                base = f"http://{_HOST}:{number}/?token="
                ready(base + site.keys.lasting_token, base + site.keys.single_token())
            server.run(sockets=[listener])
