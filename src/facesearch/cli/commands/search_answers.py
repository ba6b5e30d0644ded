"""Answers of ``facesearch search``, in all output formats."""

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

import facesearch as fs
from facesearch.cli.shell.many_photos import Result
from facesearch.cli.shell.words import describe_face, explained
from facesearch.display.face_marks import SeenFace
from facesearch.responses.search_users import seen_faces

__all__ = ["searched"]


@attrs.frozen(kw_only=True)
class _Answer(Result):
    """Result of the search for one photo.

    The *responses* are one for each searched face. *shown* are the same, or if no face was searched, one response with the refused
    faces and the reasons.
    """

    responses: Sequence[fs.SearchUsersByImageResponse]
    shown: Sequence[fs.SearchUsersByImageResponse]
    all_faces: bool
    why: bool

    @property
    def found(self) -> bool:
        return any(response.user_matches for response in self.shown)

    @property
    def seen(self) -> Sequence[SeenFace]:
        return seen_faces(*self.shown)

    def aws(self) -> Any:
        """Return AWS's response, or a list of them for all faces."""
        return [fs.to_aws(response) for response in self.responses] if self.all_faces else fs.to_aws(self.shown[0])

    def answer(self) -> dict[str, Any]:
        return {"answers" if self.all_faces else "answer": self.aws()}

    def csv_rows(self) -> Iterator[Sequence[str]]:
        """Yield a row for each match, or one with the reason that there is none."""
        for number, response in enumerate(self.shown, start=1):
            if not response.searched_face:
                yield "", "", "", "not_searched" if response.unsearched_faces else "no_face"
            elif not response.user_matches:
                yield str(number), "", "", "nobody"
            for match in response.user_matches:
                yield str(number), f"{match.similarity:.2f}", match.user.user_id, "found"

    def lines(self) -> Iterator[str | Sequence[str]]:
        for number, response in enumerate(self.shown, start=1):
            face = [str(number) if response.searched_face else "-"] if self.all_faces else []
            for cells in self._cells(response):
                yield [*face, *cells]
        for number, response in enumerate(self.shown, start=1):
            if response.searched_face:
                head = f"  face {number}: " if len(self.shown) > 1 else "  "
                yield from (f"{head}{line}" for line in describe_face(response.searched_face.face_detail))

    def _cells(self, response: fs.SearchUsersByImageResponse) -> Iterator[tuple[str, str]]:
        if not response.searched_face:
            others = len(response.unsearched_faces)
            yield "-", f"(no face passes the filter, of {others})" if others else "(no face)"
        elif not response.user_matches:
            next_user = response.next_user
            following = f"; next {next_user.user.user_id}, {next_user.similarity:.2f}" if next_user else ""
            yield "-", f"(nobody{following})"
        for match in response.user_matches:
            yield f"{match.similarity:.2f}", match.user.user_id

    def explanation(self) -> str | None:
        return str(explained(self.shown)) if self.why else None


def searched(collection: fs.Collection, picture: fs.Picture, *, all_faces: bool, why: bool, **options: Any) -> _Answer:
    """Search the largest face of a photo, or all faces, with the *options* of `facesearch.search_users_by_image`."""
    found = fs.search_all_faces(collection, picture, **options) if all_faces else ()
    # If no face passes the filter, search_all_faces returns nothing; this response lists the faces and the reasons.
    shown = found or (fs.search_users_by_image(collection, picture, **options),)
    return _Answer(responses=found, shown=shown, all_faces=all_faces, why=why)
