"""*Unknown*: groups of faces without a user, to be named or set aside."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

import facesearch as fs
from facesearch.review.pages import missing, number_in, paged, render, site_of
from facesearch.review.people import known_names
from facesearch.review.site import Site

__all__ = ["find_group", "group", "unknown"]

_GROUPS: Final = 12  # on a page
_FACES: Final = 60  # on a page of one group


def unknown(request: Request) -> Response:
    """Show the groups, largest first, or those that were set aside."""
    site, aside = site_of(request), request.query_params.get("aside") == "1"
    snapshot = site.aside if aside else site.groups
    if request.query_params.get("again") == "1":
        snapshot.forget()
    groups = snapshot.get()
    if groups is None:
        return render(request, "wait.html", title="Unknown", what="Grouping the faces without a name")
    return render(
        request,
        "unknown.html",
        title="Unknown",
        page=paged(groups, number_in(request.query_params), _GROUPS),
        aside=aside,
        next_group=request.query_params.get("next", ""),
        at=request.query_params.get("at", ""),
        kept=snapshot.is_kept,
        names=known_names(site.collection),
        has_pictures=site.has_pictures(),
    )


def group(request: Request) -> Response:
    """Show all faces of one group."""
    site = site_of(request)
    found = find_group(site, request.query_params.get("id", ""))
    if found is None:
        return missing(request, "This group has changed meanwhile: its faces have a name, or others joined them.")
    page = paged(found.face_ids, number_in(request.query_params), _FACES)
    faces = {face.face_id: face for face in site.collection.page_of_faces(face_ids=page.items)}
    return render(
        request,
        "group.html",
        title="Unknown",
        group=found,
        page=page.of([faces[face_id] for face_id in page.items if face_id in faces]),
        names=known_names(site.collection),
        has_pictures=site.has_pictures(),
    )


def find_group(site: Site, group_id: str) -> fs.FaceGroup | None:
    """Return the group with an id; ``None`` if no group has its faces any more."""
    # First the groups that the browser has seen, then those of now.
    for groups in (site.groups.peek, site.aside.peek, site.groups.get, site.aside.get):
        for each in groups() or ():
            if each.group_id == group_id:
                return each
    return None
