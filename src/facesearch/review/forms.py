"""Read the forms of the page: each has the token of this run, and each change is refused while the page is read-only."""

import functools
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

import facesearch as fs
from facesearch.review.gate import MOST_BODY_BYTES, same
from facesearch.review.pages import Message, go, site_of

__all__ = ["action", "back_to", "text_in", "upload"]

Endpoint = Callable[[Request], Awaitable[Response]]

_PAGES: Final = frozenset({"/", "/people", "/person", "/photo", "/unknown", "/group", "/check"})
_QUERY: Final = frozenset({"id", "page", "q", "aside", "face", "photo"})
_MOST_FIELDS: Final = 96  # a page of a group has 60 faces to leave out
_MOST_TEXT: Final = 4096


def text_in(form: FormData, name: str) -> str:
    """Return the text of a field, stripped; empty if it is missing or a file."""
    value = form.get(name, "")
    return value.strip()[:_MOST_TEXT] if isinstance(value, str) else ""


def back_to(
    request: Request, form: FormData, default: str, message: Message, path: str | None = None, **query: str
) -> Response:
    """Return to the page that a form came from, the address in its field ``back``, and show a message there.

    *default* is the path if the address is none of this page, *path* another one to return to, unless the form came from there. *query*
    is more of the address; empty values are left out.
    """
    parts = urlsplit(text_in(form, "back"))
    known = not parts.scheme and not parts.netloc and parts.path in _PAGES
    values = {key: value for key, value in parse_qsl(parts.query) if key in _QUERY} if known else {}
    target = parts.path if known else default
    if target == "/person" and values.get("id") not in site_of(request).collection:  # it was merged or renamed
        target, values = "/people", {}
    if path is not None and target != path:
        target, values = path, {}
    values.update((key, value) for key, value in query.items() if value)
    return go(request, target, message, **values)


def action(default: str) -> Callable[[Callable[[Request, FormData], Message | Response]], Endpoint]:
    """Return the decorator for a form that changes the collection: it makes an endpoint of a function, which runs in a thread.

    The message that the function returns, or an error of the library that it raises, is shown on the page that the form came from, or
    else on the page *default*.
    """

    def decorate(change: Callable[[Request, FormData], Message | Response]) -> Endpoint:
        @functools.wraps(change)
        def checked(request: Request, form: FormData) -> Response:
            if site_of(request).read_only:
                return PlainTextResponse("This page is read-only.\n", 403)
            try:
                answer = change(request, form)
            except fs.FacesearchError as error:
                if isinstance(error, fs.GroupChangedError | fs.UserNotFoundError | fs.FaceNotFoundError):
                    site_of(request).changed()
                return back_to(request, form, "/", Message(text=_in_words(error), is_error=True))
            return back_to(request, form, default, answer) if isinstance(answer, Message) else answer

        return upload(checked)

    return decorate


def upload(use: Callable[[Request, FormData], Response]) -> Endpoint:
    """Return the endpoint of a form that changes nothing, such as one with a photo."""

    @functools.wraps(use)
    async def endpoint(request: Request) -> Response:
        try:
            form = await _form(request)
        except ClientDisconnect:
            return PlainTextResponse("The file is too large.\n", 413, {"Connection": "close"})
        except MultiPartException as error:
            return PlainTextResponse(f"{error.message}\n", 400)
        try:
            if not same(text_in(form, "token"), site_of(request).keys.form):
                return PlainTextResponse("The form is not from this run of the page: load the page again.\n", 403)
            return await run_in_threadpool(use, request, form)
        finally:
            await form.close()

    return endpoint


async def _form(request: Request) -> FormData:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.form(max_fields=_MOST_FIELDS)
    parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=_MOST_FIELDS)
    parser.spool_max_size = MOST_BODY_BYTES  # no photo is written to the disk
    return await parser.parse()


def _in_words(error: fs.FacesearchError) -> str:
    """Return why a change was refused, for people who did not write a program."""
    match error:
        case fs.GroupChangedError():
            why = "a face of this group has a name meanwhile, or is gone. Here is what the groups are now"
        case fs.UserNotFoundError():
            why = "this person is not in the collection any more"
        case fs.FaceNotFoundError():
            why = "this face is not in the collection any more"
        case fs.UserAlreadyExistsError():
            why = "somebody else has this name. If both are the same person, merge them"
        case fs.QuotaExceededError():
            why = "a person has at most 100 faces"
        case fs.StorageBusyError():
            why = "another program is writing to the file. Try again"
        case fs.StorageFullError():
            why = "the disk is full"
        case _:
            why = str(error)
    return f"Nothing was changed: {why}."
