"""Faces that a reviewer names: groups of faces that belong to no user, and photos of a person."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import attrs
from attrs import field

from facesearch.common.announce import announce
from facesearch.common.tables import BOX_HEAD, ROWS_SHOWN, Cell, Listing, counted
from facesearch.common.validation import between, is_a, is_bool, matches, maybe, plain_float
from facesearch.display.thumbnail_strips import Strip, side_by_side
from facesearch.domain.entities import EXTERNAL_IMAGE_ID_PATTERN, LONGEST_USER_ID, USER_ID_PATTERN, UUID_PATTERN
from facesearch.domain.geometry import BoundingBox
from facesearch.domain.sources import MAX_SOURCE, SOURCE_PATTERN, show_source
from facesearch.errors import InvalidParameterError

__all__ = ["GROUP_ID_DIGITS", "FaceGroup", "FaceGroups", "NearestUser", "PersonPhoto"]

GROUP_ID_DIGITS = 16
"""Length of a group id: hex digits of a SHA-256."""


@attrs.frozen(kw_only=True)
class NearestUser:
    """The user whose faces are most similar to a group.

    Attributes
    ----------
    user_id
        The user.
    similarity
        Of the user's vector to that of the group, percent, 0-100.
    """

    user_id: str = field(validator=matches(USER_ID_PATTERN, LONGEST_USER_ID))
    similarity: float = field(converter=plain_float, validator=between(0, 100))


def _check_face_ids(_: object, field: "attrs.Attribute[object]", value: object) -> None:
    is_id = matches(UUID_PATTERN, 36)
    if not isinstance(value, tuple) or not value:
        raise InvalidParameterError.of(field.name, value, "a tuple of one face id or more")
    for each in value:
        is_id(None, field, each)
    if len(set(value)) < len(value):
        raise InvalidParameterError.of(field.name, value, "a tuple of different face ids")


@attrs.frozen(kw_only=True)
class FaceGroup:
    """Faces of one person who is no user of the collection, as `facesearch.Collection.groups` found them.

    Attributes
    ----------
    face_ids
        One or more different ids: the representative face first, then the others by falling similarity to the group's vector, ties by id.
    group_id
        16 hex digits, computed from the face ids: a group of the same faces has the same id.
    similarity
        Percent, 0-100: how surely the group is one person. It is the similarity of the two most different parts of the group: the
        last two parts that were joined, compared by the mean of the squared distances between their faces. 100 for a single face.
    nearest_user
        The user that the group may be; ``None`` where no user is similar.
    set_aside
        Whether one of the faces was set aside.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = (
        "group",
        "faces",
        "similarity",
        "nearest user",
        "to that user",
        "representative",
    )

    face_ids: tuple[str, ...] = field(validator=_check_face_ids)
    group_id: str = field(init=False)
    similarity: float = field(converter=plain_float, validator=between(0, 100))
    nearest_user: NearestUser | None = field(default=None, validator=maybe(is_a(NearestUser)))
    set_aside: bool = field(default=False, validator=is_bool)

    @group_id.default
    def _id(self) -> str:
        # Computed before the validators run: of a wrong value the id does not matter.
        given: Any = self.face_ids
        ids = given if isinstance(given, tuple) else ()
        return hashlib.sha256("\n".join(sorted(map(str, ids))).encode()).hexdigest()[:GROUP_ID_DIGITS]

    @property
    def representative(self) -> str:
        """The id of the face that is most similar to the group's vector."""
        return self.face_ids[0]

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.face_ids)

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this group's row in a table."""
        user = (self.nearest_user.user_id, self.nearest_user.similarity) if self.nearest_user else (None, None)
        return self.group_id, len(self.face_ids), self.similarity, *user, self.representative


class FaceGroups(Listing[FaceGroup]):
    """A tuple of groups; a notebook shows the faces of the first ones side by side, by the thumbnails, JPEG files by face id."""

    thumbnails: dict[str, bytes]

    def __new__(cls, groups: Iterable[FaceGroup] = (), thumbnails: Mapping[str, bytes] | None = None) -> Self:
        """Create a tuple of the groups."""
        made = super().__new__(cls, groups, "group")
        made.thumbnails = dict(thumbnails or {})
        return made

    def _repr_html_(self) -> str:
        strips = [
            Strip(_caption(number, group), pictures)
            for number, group in enumerate(self[:ROWS_SHOWN], 1)
            if (pictures := [self.thumbnails[each] for each in group.face_ids if each in self.thumbnails])
        ]
        return f"<div>{side_by_side(strips) if strips else ''}{super()._repr_html_()}</div>"


def _caption(number: int, group: FaceGroup) -> str:
    user = group.nearest_user
    perhaps = f"; perhaps {user.user_id}, {user.similarity:.1f}%" if user else ""
    return f"{number}: {counted(len(group), 'face')}{perhaps}"


@attrs.frozen(kw_only=True)
class PersonPhoto:
    """A photo of a person, and the place of the face in it.

    Attributes
    ----------
    source
        The path of the photo, see `facesearch.Face`; ``None`` where that is not known.
    face_id
        The face.
    image_id, external_image_id
        The photo's ids, see `facesearch.Face`; ``None`` for a face that was added as a vector, or without an id of the caller.
    bounding_box
        In ratios of the photo's sides; ``None`` for a face that was added as a vector.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("source", *BOX_HEAD, "face id", "external image id")

    source: str | None = field(default=None, validator=maybe(matches(SOURCE_PATTERN, MAX_SOURCE)))
    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    image_id: str | None = field(default=None, validator=maybe(matches(UUID_PATTERN, 36)))
    external_image_id: str | None = field(default=None, validator=maybe(matches(EXTERNAL_IMAGE_ID_PATTERN, 255)))
    bounding_box: BoundingBox | None = field(default=None, validator=maybe(is_a(BoundingBox)))

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this photo's row in a table."""
        box = self.bounding_box.row_cells() if self.bounding_box else (None,) * len(BOX_HEAD)
        source = None if self.source is None else show_source(self.source)
        return source, *box, self.face_id, self.external_image_id


announce(__name__)
