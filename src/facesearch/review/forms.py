"""Read the forms of the page: each has the token of this run, and each change is refused while the page is read-only."""

import functools
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

import facesearch as fs
from facesearch.review.gate import MOST_BODY_BYTES, same
from facesearch.review.pages import Message, go, site_of

__all__ = ["action", "local_path", "text_in", "upload"]

_MOST_FIELDS: Final = 64
_MOST_TEXT: Final = 4096


def text_in(form: FormData, name: str) -> str:
    """Return the text of a field, stripped; empty if it is missing or a file."""
    value = form.get(name, "")
    return value.strip()[:_MOST_TEXT] if isinstance(value, str) else ""


def local_path(form: FormData, default: str) -> str:
    """Return the page that the form came from, of the paths that exist."""
    path = text_in(form, "back")
    return path if path in {"/", "/people", "/person", "/unknown", "/group", "/check"} else default


def action(change: Callable[[Request, FormData], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a form that changes the collection.

    Parameters
    ----------
    change
        Runs in a thread. An error of the library that it raises becomes a message on the page that the form came from.
    """

    @functools.wraps(change)
    async def endpoint(request: Request) -> Response:
        form = await _form(request)
        if isinstance(form, Response):
            return form
        if site_of(request).read_only:
            return PlainTextResponse("This page is read-only.\n", 403)

        def run() -> Response:
            try:
                return change(request, form)
            except fs.FacesearchError as error:
                site_of(request).changed()
                return go(request, local_path(form, "/"), Message(text=f"Nothing was changed. {error}", is_error=True))

        return await run_in_threadpool(run)

    return endpoint


def upload(use: Callable[[Request, FormData], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a form that changes nothing, such as one with a photo."""

    @functools.wraps(use)
    async def endpoint(request: Request) -> Response:
        form = await _form(request)
        return form if isinstance(form, Response) else await run_in_threadpool(use, request, form)

    return endpoint


async def _form(request: Request) -> FormData | Response:
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=_MOST_FIELDS)
            parser.spool_max_size = MOST_BODY_BYTES  # no photo is written to the disk
            form = await parser.parse()
        else:
            form = await request.form(max_fields=_MOST_FIELDS)
    except ClientDisconnect:
        return PlainTextResponse("The file is too large.\n", 413, {"Connection": "close"})
    except MultiPartException as error:
        return PlainTextResponse(f"{error.message}\n", 400)
    if not same(text_in(form, "token"), site_of(request).keys.form):
        return PlainTextResponse("The form is not from this run of the page: load the page again.\n", 403)
    return form
