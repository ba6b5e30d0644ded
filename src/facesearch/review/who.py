"""*Who is this?*: every face of a photo with its name, percentage, reason and alternatives."""

import io
import secrets
from collections.abc import Sequence
from typing import Final

import attrs
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response

import facesearch as fs
from facesearch.display.face_marks import in_words
from facesearch.display.rates import strangers
from facesearch.errors import ImageError
from facesearch.review.forms import upload
from facesearch.review.pages import Message, go, missing, render, site_of
from facesearch.review.pictures import face_crop, screen_copy
from facesearch.review.site import Site

__all__ = ["THRESHOLD", "face_of_search", "photo_of_search", "search", "who"]

THRESHOLD: Final = 80.0
"""Percent: least similarity of a name, the default of `facesearch.search_users_by_image`."""
_CANDIDATES: Final = 4  # users that are listed for a face
_LEAST_CANDIDATE: Final = 20.0  # percent: those below are not worth listing


@attrs.frozen(kw_only=True)
class Candidate:
    """A user that a face resembles."""

    user_id: str
    similarity: float
    face_id: str | None


@attrs.frozen(kw_only=True)
class ShownFace:
    """A face of the photo."""

    number: int  # from 1, the largest face
    box: tuple[float, float, float, float]  # left, top, width and height in percent of the photo, clipped to it
    kind: str  # "known", "unknown" or "unsearched"
    best: Candidate | None = None
    reason: str  # why it is or is not the best candidate
    figures: Sequence[str] = ()  # measurements behind the reason
    others: Sequence[Candidate] = ()


@attrs.frozen(kw_only=True, eq=False)
class Searched:
    """The answer for one photo, kept in memory for the page that shows it."""

    name: str
    photo: bytes
    width: int
    height: int
    faces: Sequence[ShownFace]
    crops: Sequence[bytes]


def who(request: Request) -> Response:
    """Show the form for a photo, or the faces of the photo that was searched."""
    site = site_of(request)
    key = request.query_params.get("photo", "")
    found = site.searches.get(key) if key else None
    if key and not isinstance(found, Searched):
        return missing(request, "The photo was searched too long ago; it is not stored. Choose it again.")
    return render(request, "who.html", title="Who is this?", found=found, key=key, threshold=THRESHOLD)


@upload
def search(request: Request, form: FormData) -> Response:
    """Search the faces of an uploaded photo."""
    site, file = site_of(request), form.get("photo")
    if not isinstance(file, UploadFile) or not file.size:
        return go(request, "/", Message(text="Choose a photo first.", is_error=True))
    try:
        picture = fs.read_image(io.BytesIO(file.file.read()))
        with site.one_search:  # one photo takes all cores
            found = _search(site, picture, file.filename or "photo")
    except ImageError as error:
        why = str(error).removeprefix("image: ")
        return go(request, "/", Message(text=f"This file can't be used: {why}.", is_error=True))
    key = secrets.token_urlsafe(12)
    site.searches.put(key, found)
    return go(request, "/", photo=key)


def photo_of_search(request: Request) -> Response:
    """Return the photo that was searched, for the screen."""
    found = site_of(request).searches.get(request.path_params["key"])
    return Response(found.photo, media_type="image/jpeg") if isinstance(found, Searched) else Response(status_code=404)


def face_of_search(request: Request) -> Response:
    """Return one face of the photo that was searched."""
    found, number = site_of(request).searches.get(request.path_params["key"]), request.path_params["number"]
    if not isinstance(found, Searched) or not 1 <= number <= len(found.crops):
        return Response(status_code=404)
    return Response(found.crops[number - 1], media_type="image/jpeg")


def _search(site: Site, picture: fs.Picture, name: str) -> Searched:
    answers = fs.search_all_faces(
        site.collection, picture, user_match_threshold=0, max_users=_CANDIDATES, quality_filter="AUTO"
    )
    # Without a searched face there is no answer that could have the reasons.
    whole = answers[0] if answers else fs.search_users_by_image(site.collection, picture, quality_filter="AUTO")
    details = [answer.searched_face.face_detail for answer in answers]
    faces = [_searched_face(site, number, answer) for number, answer in enumerate(answers, 1)]
    why = {id(face.detail): face for face in whole.explain().faces}
    for number, face in enumerate(whole.unsearched_faces, len(faces) + 1):
        details.append(face.face_details)
        explained = why.get(id(face.face_details))
        faces.append(
            ShownFace(
                number=number,
                box=_box(face.face_details),
                kind="unsearched",
                reason=f"{in_words([reason.value for reason in face.reasons]).capitalize()}.",
                figures=[text for _, text in explained.figures() if text] if explained else (),
            )
        )
    return Searched(
        name=name,
        photo=screen_copy(picture.pixels),
        width=picture.width,
        height=picture.height,
        faces=faces,
        crops=[face_crop(picture.pixels, detail.bounding_box) for detail in details],
    )


def _searched_face(site: Site, number: int, answer: fs.SearchedFaceResponse) -> ShownFace:
    candidates = [
        Candidate(user_id=match.user.user_id, similarity=match.similarity, face_id=_face_of(site, match.user.user_id))
        for match in answer.user_matches
        if match.similarity >= _LEAST_CANDIDATE
    ]
    box = _box(answer.searched_face.face_detail)
    if not candidates or candidates[0].similarity < THRESHOLD:
        reason = f"Nobody in the collection reaches {THRESHOLD:.0f}%."
        return ShownFace(number=number, box=box, kind="unknown", reason=reason, others=candidates)
    best, *others = candidates
    reason = f"Of strangers, {strangers(site.collection.calibration, best.similarity)} is this similar."
    return ShownFace(number=number, box=box, kind="known", best=best, reason=reason, others=others)


def _face_of(site: Site, user_id: str) -> str | None:
    try:
        faces = site.collection.page_of_faces(user_id=user_id, limit=1)
    except fs.UserNotFoundError:  # deleted meanwhile
        return None
    return faces[0].face_id if faces else None


def _box(detail: fs.FaceDetail) -> tuple[float, float, float, float]:
    box = detail.bounding_box
    left, top = max(box.left, 0.0), max(box.top, 0.0)
    right, bottom = min(box.left + box.width, 1.0), min(box.top + box.height, 1.0)
    return 100 * left, 100 * top, 100 * max(right - left, 0.0), 100 * max(bottom - top, 0.0)
