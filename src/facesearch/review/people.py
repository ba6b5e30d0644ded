"""*People*: all users, each with its faces and their photos."""

from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import facesearch as fs
from facesearch.review.pages import missing, number_in, paged, render, site_of
from facesearch.review.pictures import PLACEHOLDER, screen_copy

__all__ = ["face_picture", "known_names", "names", "people", "person", "photo", "photo_picture"]

_PEOPLE: Final = 48  # on a page
_FACES: Final = 60  # on a page; a user has at most 100
_NAMES: Final = 200  # suggested at a time; the script of the page asks for others


@attrs.frozen(kw_only=True)
class ShownUser:
    """A user with one face to show, and the number of faces up to the limit of 100."""

    user_id: str
    face_id: str | None
    faces: int


def people(request: Request) -> Response:
    """List the users, or those with an id that contains the searched text."""
    collection, wanted = site_of(request).collection, request.query_params.get("q", "").strip()
    users = [user.user_id for user in collection.users() if wanted.lower() in user.user_id.lower()]
    page = paged(users, number_in(request.query_params), _PEOPLE)
    shown = page.of([user for user_id in page.items for user in _shown(collection, user_id)])
    return render(
        request, "people.html", title="People", page=shown, q=wanted, has_pictures=site_of(request).has_pictures()
    )


def person(request: Request) -> Response:
    """Show a user's faces."""
    site, user_id = site_of(request), request.query_params.get("id", "")
    try:
        faces = site.collection.faces(user_id)
    except (fs.UserNotFoundError, fs.InvalidParameterError):
        return missing(request, "This person is not in the collection, or no longer.")
    ordered = sorted(faces, key=lambda face: (face.source or "", face.face_id))
    page = paged(ordered, number_in(request.query_params), _FACES)
    return render(
        request,
        "person.html",
        title=user_id,
        user_id=user_id,
        page=page,
        chosen=request.query_params.get("face", ""),
        names=known_names(site.collection),
        has_pictures=site.has_pictures(),
    )


def names(request: Request) -> Response:
    """Return user ids that contain a text, those that begin with it first, as JSON."""
    return JSONResponse(known_names(site_of(request).collection, request.query_params.get("q", "").strip().lower()))


def known_names(collection: fs.Collection, part: str = "") -> list[str]:
    """Return up to 200 user ids that contain a text in lower case, those that begin with it first."""
    found = [user.user_id for user in collection.users() if part in user.user_id.lower()]
    return sorted(found, key=lambda name: not name.lower().startswith(part))[:_NAMES]


def photo(request: Request) -> Response:
    """Show the photo of a face, with its place in it."""
    site = site_of(request)
    face = site.face(request.query_params.get("face", ""))
    if face is None:
        return missing(request, "This face is not in the collection, or no longer.")
    picture = site.photos.picture(site.collection, face)
    size = (picture.width, picture.height) if picture else None
    return render(
        request,
        "photo.html",
        title="Photo",
        face=face,
        size=size,
        folders=site.photos.folders,
        names=known_names(site.collection),
    )


def face_picture(request: Request) -> Response:
    """Return the picture of a face, or a placeholder."""
    found = site_of(request).face_picture(request.path_params["face_id"])
    return Response(found, media_type="image/jpeg") if found else Response(PLACEHOLDER, media_type="image/svg+xml")


def photo_picture(request: Request) -> Response:
    """Return the photo of a face, for the screen."""
    site = site_of(request)
    face = site.face(request.path_params["face_id"])
    picture = site.photos.picture(site.collection, face) if face else None
    if picture is None:
        return Response(status_code=404)
    return Response(screen_copy(picture.pixels), media_type="image/jpeg")


def _shown(collection: fs.Collection, user_id: str) -> list[ShownUser]:
    try:
        faces = collection.page_of_faces(user_id=user_id, limit=100)
    except fs.UserNotFoundError:  # deleted meanwhile
        return []
    return [ShownUser(user_id=user_id, face_id=faces[0].face_id if faces else None, faces=len(faces))]
