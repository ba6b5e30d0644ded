"""*Check*: what the audit of the collection suspects, one question each."""

from collections.abc import Sequence
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

import facesearch as fs
from facesearch.review.pages import number_in, paged, render, site_of

__all__ = ["check"]

_QUESTIONS: Final = 10  # on a page
_FACES: Final = 6  # shown of each user

Finding = fs.SamePerson | fs.MisplacedFace | fs.LooseUser


@attrs.frozen(kw_only=True)
class Question:
    """A finding of the audit with the faces to compare."""

    kind: str  # "same", "misplaced" or "loose"
    key: str  # names the finding in forms and on the page
    finding: Finding
    faces: dict[str, Sequence[str]]  # by user id, some of the faces


def check(request: Request) -> Response:
    """Show the findings, a page at a time."""
    site = site_of(request)
    if request.query_params.get("again") == "1":
        site.audit.forget()
    report = site.audit.get()
    if report is None:
        return render(request, "wait.html", title="Check", what="Comparing all people")
    findings: list[Finding] = [*report.same_person, *report.misplaced, *report.loose]
    open_ones = [finding for finding in findings if key_of(finding) not in site.kept_apart]
    page = paged(open_ones, number_in(request.query_params), _QUESTIONS)
    shown = page.of([_question(site.collection, finding) for finding in page.items])
    return render(
        request,
        "check.html",
        title="Check",
        page=shown,
        report=report,
        hidden=len(findings) - len(open_ones),
        kept=site.audit.is_kept,
        has_pictures=site.has_pictures(),
    )


def key_of(finding: Finding) -> str:
    """Return a text that names a finding."""
    match finding:
        case fs.SamePerson():
            return " ".join(("same", *finding.user_ids))
        case fs.MisplacedFace():
            return f"misplaced {finding.face_id} {finding.user_id}"
        case fs.LooseUser():
            return f"loose {finding.user_id}"


def _question(collection: fs.Collection, finding: Finding) -> Question:
    users: tuple[str, ...]
    skipped: str | None = None
    match finding:
        case fs.SamePerson():
            users = finding.user_ids
        case fs.MisplacedFace():
            users = tuple(filter(None, (finding.user_id, finding.other_user_id)))
            skipped = finding.face_id
        case fs.LooseUser():
            users = (finding.user_id,)
    faces = {user_id: _faces(collection, user_id, skipped) for user_id in users}
    return Question(kind=key_of(finding).partition(" ")[0], key=key_of(finding), finding=finding, faces=faces)


def _faces(collection: fs.Collection, user_id: str, skipped: str | None) -> Sequence[str]:
    try:
        faces = collection.page_of_faces(user_id=user_id, limit=_FACES + 1)
    except fs.UserNotFoundError:  # removed meanwhile
        return ()
    return [face.face_id for face in faces if face.face_id != skipped][:_FACES]
