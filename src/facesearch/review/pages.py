"""Render the templates, and the messages that a page shows after a change."""

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import attrs
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

import facesearch as fs
from facesearch.common.tables import counted
from facesearch.domain.sources import show_source
from facesearch.review.site import Site

__all__ = ["Message", "Page", "go", "missing", "number_in", "paged", "render", "site_of"]

T = TypeVar("T")
V = TypeVar("V")


def _percent(similarity: float) -> str:
    """Format a similarity; rounded down, since 100% would be a promise."""
    return f"{math.floor(similarity * 10) / 10:.1f}%"


def _breakable(name: str) -> Markup:
    """Return a name as HTML that may be broken after its punctuation, rather than within a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[_.:/-])", name))


def _file_name(source: str) -> str:
    """Return the last part of a path, for printing."""
    return show_source(re.split(r"[/\\]", source.rstrip("/\\"))[-1])


_TEMPLATES: Final = Environment(
    loader=PackageLoader("facesearch.review"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    percent=_percent, counted=counted, source=show_source, breakable=_breakable, file_name=_file_name
)
_TEMPLATES.globals["query"] = lambda **values: urlencode(values)


@attrs.frozen(kw_only=True)
class Message:
    """The effect of a change, or the reason that nothing was changed."""

    text: str
    is_error: bool = False
    undo: bool = False  # whether to offer to undo the change
    fix: str | None = None  # a user id to offer instead of a wrong one
    about: str | None = None  # the part of the page that the message is about, such as a group id
    link: tuple[str, str] | None = None  # words and path of the page to go on with


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """A part of a long list."""

    items: Sequence[T]
    number: int  # of this page, from 1
    last: int  # number of the last page
    total: int  # items of all pages

    def of(self, items: Sequence[V]) -> "Page[V]":
        """Return the same page with other items, made of its own."""
        return Page(items=items, number=self.number, last=self.last, total=self.total)


def paged(items: Sequence[T], number: int, size: int) -> Page[T]:
    """Return a page of *size* items; the last one for a greater number."""
    last = max(1, -(-len(items) // size))
    number = min(max(number, 1), last)
    return Page(items=items[(number - 1) * size : number * size], number=number, last=last, total=len(items))


def number_in(values: Mapping[str, Any], name: str = "page") -> int:
    """Return the whole number of a query or form, 1 where it is missing or none."""
    text = str(values.get(name, ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 1  # noqa: PLR2004  # digits


def site_of(request: Request) -> Site:
    """Return the site of a request."""
    site: Site = request.app.state.site
    return site


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template, with the message that a change before has left."""
    site = site_of(request)
    page = _TEMPLATES.get_template(template).render(
        site=site,
        collection_id=site.collection.collection_id,
        read_only=site.read_only,
        form_token=site.keys.form,
        path=request.url.path,
        here=_here(request),
        message=site.messages.get(request.query_params.get("said", "")),
        version=fs.__version__,
        **values,
    )
    return HTMLResponse(page, status)


def _here(request: Request) -> str:
    """Return the address of a page, without what holds only once."""
    values = [
        (key, value) for key, value in request.query_params.multi_items() if key not in {"said", "next", "at", "again"}
    ]
    return f"{request.url.path}?{urlencode(values)}" if values else request.url.path


def go(request: Request, path: str, message: Message | None = None, **query: str | int) -> Response:
    """Answer a form: load a page, which shows a message."""
    if message is not None:
        said = secrets.token_urlsafe(8)
        site_of(request).messages.put(said, message)
        query["said"] = said
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


def missing(request: Request, what: str) -> Response:
    """Return the page for something that is not in the collection, or no longer."""
    return render(request, "missing.html", 404, title="Not here", what=what)
