"""The ASGI application of the page: its addresses, and the answer to errors."""

import logging
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facesearch.errors import FacesearchError
from facesearch.review import changes, check, people, unknown, who
from facesearch.review.gate import Gate
from facesearch.review.pages import missing, render
from facesearch.review.site import Site

__all__ = ["ROUTES", "application"]

_log = logging.getLogger("facesearch.review")
_STATIC: Final = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


def _static(request: Request) -> Response:
    """Return a file of the package; only those that are listed."""
    name = request.path_params["name"]
    if name not in _STATIC:
        return Response(status_code=404)
    content = files("facesearch.review").joinpath("static", name).read_bytes()
    return Response(content, media_type=_STATIC[name])


ROUTES: Final = (
    Route("/", who.who, methods=["GET"]),
    Route("/search", who.search, methods=["POST"]),
    Route("/search/{key}/photo.jpg", who.photo_of_search, methods=["GET"]),
    Route("/search/{key}/{number:int}.jpg", who.face_of_search, methods=["GET"]),
    Route("/people", people.people, methods=["GET"]),
    Route("/person", people.person, methods=["GET"]),
    Route("/names", people.names, methods=["GET"]),
    Route("/photo", people.photo, methods=["GET"]),
    Route("/face/{face_id}.jpg", people.face_picture, methods=["GET"]),
    Route("/photo/{face_id}.jpg", people.photo_picture, methods=["GET"]),
    Route("/check", check.check, methods=["GET"]),
    Route("/unknown", unknown.unknown, methods=["GET"]),
    Route("/group", unknown.group, methods=["GET"]),
    Route("/name", changes.name, methods=["POST"]),
    Route("/name-face", changes.name_face, methods=["POST"]),
    Route("/set-aside", changes.set_aside, methods=["POST"]),
    Route("/rename", changes.rename, methods=["POST"]),
    Route("/merge", changes.merge, methods=["POST"]),
    Route("/move", changes.move, methods=["POST"]),
    Route("/check/same", changes.same, methods=["POST"]),
    Route("/check/dismiss", changes.dismiss, methods=["POST"]),
    Route("/undo", changes.undo, methods=["POST"]),
    Route("/static/{name}", _static, methods=["GET"]),
)


def application(site: Site, port: int) -> Gate:
    """Return the application for a server on a port of the loopback address, which the header ``Host`` of each request must name."""
    app = Starlette(routes=list(ROUTES), exception_handlers={404: _not_found, FacesearchError: _failed, 500: _broken})
    app.state.site = site
    return Gate(app, site.keys, port)


def _not_found(request: Request, _: Exception) -> Response:
    return missing(request, "There is no such page.")


def _failed(request: Request, error: Exception) -> Response:
    """Show an error of the library, such as a file that is busy."""
    return render(request, "failed.html", 503, title="Not now", what=str(error))


def _broken(request: Request, error: Exception) -> Response:
    """Show that there is a bug; the log has the rest."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return render(request, "failed.html", 500, title="A bug", what="A bug in facesearch; the terminal shows where.")
