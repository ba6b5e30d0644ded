"""The report of an audit of a collection."""

import copy
from collections.abc import Iterator, Mapping, Sequence

import attrs
from attrs import field

from facesearch.common.tables import ROWS_SHOWN, Shown, Table
from facesearch.common.validation import between, matches, maybe, maybe_float, plain_float, plain_int, tuple_of, whole
from facesearch.display.thumbnail_strips import Strip, as_rows
from facesearch.domain.entities import LONGEST_USER_ID, USER_ID_PATTERN, UUID_PATTERN
from facesearch.domain.sources import MAX_SOURCE, SOURCE_PATTERN, show_source

__all__ = ["AuditPictures", "AuditReport", "LooseUser", "MisplacedFace", "SamePerson", "with_pictures"]


@attrs.frozen(kw_only=True)
class SamePerson:
    """Two users that look like one person.

    Attributes
    ----------
    user_ids
        Both, sorted.
    similarity
        Of their vectors, percent, 0-100.
    """

    user_ids: tuple[str, str] = field(validator=tuple_of(str))
    similarity: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True)
class MisplacedFace:
    """A face that does not seem to belong to its user.

    Attributes
    ----------
    face_id, user_id
        The face, and the user that it is associated with.
    similarity
        To the user's other faces, percent, 0-100.
    other_user_id, other_similarity
        The user that it may belong to, and its similarity to that user, percent; ``None`` where no other user is similar.
    source
        The path of its photo, see `facesearch.Face`; ``None`` where that is not known.
    """

    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    user_id: str = field(validator=matches(USER_ID_PATTERN, LONGEST_USER_ID))
    similarity: float = field(converter=plain_float, validator=between(0, 100))
    other_user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    other_similarity: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    source: str | None = field(default=None, validator=maybe(matches(SOURCE_PATTERN, MAX_SOURCE)))


@attrs.frozen(kw_only=True)
class LooseUser:
    """A user whose faces don't look like one person.

    Attributes
    ----------
    user_id
        The user.
    faces
        Number of the user's faces, >= 2.
    similarity
        The median over the user's faces of the similarity to the user's other faces, percent, 0-100.
    """

    user_id: str = field(validator=matches(USER_ID_PATTERN, LONGEST_USER_ID))
    faces: int = field(converter=plain_int, validator=whole(2))
    similarity: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True, eq=False)
class AuditPictures:
    """Thumbnails for a report, JPEG files: of faces by id, and of some faces of each user by user id."""

    faces: Mapping[str, bytes]
    users: Mapping[str, Sequence[bytes]]


class _Pictured(Shown):
    """A base class of reports with thumbnails, which are no part of the value: copies, pickles and dicts have none."""

    __slots__ = ("_pictures",)

    @property
    def pictures(self) -> AuditPictures | None:
        """The thumbnails; ``None`` where there are none."""
        return getattr(self, "_pictures", None)


@attrs.frozen(kw_only=True, repr=False)
class AuditReport(_Pictured):
    """The suspected mistakes in a collection; printing it shows tables, ``attrs.asdict`` is ready for ``json.dumps``.

    A notebook also shows the faces side by side, if the collection stores thumbnails.

    Attributes
    ----------
    users, faces
        Number of users that have faces, and of those faces.
    same_person
        Most similar first, equally similar ones by id.
    misplaced
        Least similar to their own first, equally similar ones by id.
    loose
        Loosest first, equally loose ones by id.
    """

    users: int = field(converter=plain_int, validator=whole(0))
    faces: int = field(converter=plain_int, validator=whole(0))
    same_person: tuple[SamePerson, ...] = field(default=(), validator=tuple_of(SamePerson))
    misplaced: tuple[MisplacedFace, ...] = field(default=(), validator=tuple_of(MisplacedFace))
    loose: tuple[LooseUser, ...] = field(default=(), validator=tuple_of(LooseUser))

    def _repr_html_(self) -> str:
        pictures = self.pictures
        return f"<div>{super()._repr_html_()}{_strips(self, pictures) if pictures else ''}</div>"

    def _headline(self) -> str:
        counts = (
            f"{len(self.same_person):,} pairs of users that look like one person",
            f"{len(self.misplaced):,} faces that don't look like their user",
            f"{len(self.loose):,} users with faces of several people",
        )
        return f"{self.users:,} users, {self.faces:,} faces: {', '.join(counts)}"

    def _shown_tables(self) -> Iterator[Table]:
        pairs = [(pair.similarity, *pair.user_ids) for pair in self.same_person]
        yield Table(("similarity", "user", "user"), pairs, "one person?")
        faces = [
            (
                each.similarity,
                each.user_id,
                each.other_similarity,
                each.other_user_id,
                each.face_id,
                None if each.source is None else show_source(each.source),
            )
            for each in self.misplaced
        ]
        header = ("similarity", "user", "to the other", "other user", "face id", "photo")
        yield Table(header, faces, "not this user's?")
        users = [(each.similarity, each.user_id, each.faces) for each in self.loose]
        yield Table(("similarity", "user", "faces"), users, "one person at all?")


def with_pictures(report: AuditReport, pictures: AuditPictures) -> AuditReport:
    """Return a copy of a report that shows thumbnails in a notebook."""
    made = copy.copy(report)
    object.__setattr__(made, "_pictures", pictures)
    return made


def _strips(report: AuditReport, pictures: AuditPictures) -> str:
    def of_user(user_id: str | None, note: str = "") -> list[Strip]:
        found = pictures.users.get(user_id) if user_id else None
        return [] if found is None else [Strip(f"{user_id}{note}", found)]

    pairs = [
        [*of_user(pair.user_ids[0]), *of_user(pair.user_ids[1], f", {pair.similarity:.1f}%")]
        for pair in report.same_person[:ROWS_SHOWN]
    ]
    faces = []
    for each in report.misplaced[:ROWS_SHOWN]:
        face = [Strip("this face", [pictures.faces[each.face_id]])] if each.face_id in pictures.faces else []
        other = "" if each.other_similarity is None else f", {each.other_similarity:.1f}%"
        own = of_user(each.user_id, f", {each.similarity:.1f}%")
        faces.append([*face, *own, *of_user(each.other_user_id, other)])
    users = [of_user(each.user_id, f", {each.similarity:.1f}%") for each in report.loose[:ROWS_SHOWN]]
    parts = (("one person?", pairs), ("not this user's?", faces), ("one person at all?", users))
    return "".join(as_rows(title, [row for row in rows if row]) for title, rows in parts)
