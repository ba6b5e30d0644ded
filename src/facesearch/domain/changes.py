"""Changes that a reviewer makes to a collection, with all that is needed to undo them."""

from collections.abc import Iterator
from enum import Enum

import attrs
from attrs import field

from facesearch.common.announce import announce
from facesearch.common.tables import Cell, Shown, Table, counted
from facesearch.common.validation import is_a, is_bool, matches, maybe, tuple_of
from facesearch.domain.entities import LONGEST_USER_ID, USER_ID_PATTERN, UUID_PATTERN

__all__ = ["Change", "ChangeKind", "ChangedFace"]


class ChangeKind(Enum):
    """The operation that made a change."""

    NAME_GROUP = "NAME_GROUP"
    MERGE_USERS = "MERGE_USERS"
    RENAME_USER = "RENAME_USER"
    MOVE_FACE = "MOVE_FACE"
    SET_ASIDE = "SET_ASIDE"


@attrs.frozen(kw_only=True)
class ChangedFace:
    """A face before and after a change.

    Attributes
    ----------
    face_id
        The face.
    user_id_before, user_id_after
        The user that it was and is associated with; ``None`` for none.
    set_aside_before, set_aside_after
        Whether it was and is set aside. A face of a user never is.
    """

    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    user_id_before: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    user_id_after: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    set_aside_before: bool = field(default=False, validator=is_bool)
    set_aside_after: bool = field(default=False, validator=is_bool)

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this face's row in the table of a change."""
        before = _owner(self.user_id_before, set_aside=self.set_aside_before)
        return self.face_id, before, _owner(self.user_id_after, set_aside=self.set_aside_after)


@attrs.frozen(kw_only=True, repr=False)
class Change(Shown):
    """A change that a reviewer made; printing it shows a table of its faces.

    Attributes
    ----------
    kind
        The operation.
    user_id
        The user that has the faces now: named, merged into, renamed to, moved to. ``None`` where the faces have no user now.
    other_user_id
        The user before: merged away, renamed from, moved from. ``None`` where there was none.
    faces
        The faces that got another user, or were set aside or no longer are, sorted by id.
    left_out
        Faces without a user because the user would have more than 100, sorted by id. Those that had a user are in *faces* too. Always
        empty for the changes that `Collection.undo` returns.
    created_users, deleted_users
        Users that the change created and deleted, sorted.
    """

    kind: ChangeKind = field(validator=is_a(ChangeKind))
    user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    other_user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    faces: tuple[ChangedFace, ...] = field(default=(), validator=tuple_of(ChangedFace))
    left_out: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    created_users: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    deleted_users: tuple[str, ...] = field(default=(), validator=tuple_of(str))

    @property
    def associated_faces(self) -> tuple[str, ...]:
        """The ids of the faces that got a user or another one, sorted."""
        return tuple(each.face_id for each in self.faces if each.user_id_after not in {None, each.user_id_before})

    def _headline(self) -> str:
        done = _SENTENCES[self.kind].format(
            user=self.user_id or "no user",
            other=self.other_user_id or "no user",
            faces=counted(len(self.faces), "face"),
            aside="set aside" if all(each.set_aside_after for each in self.faces) else "no longer set aside",
        )
        left = f"; {counted(len(self.left_out), 'face')} left without a user" if self.left_out else ""
        return f"{done}{left}"

    def _shown_tables(self) -> Iterator[Table]:
        yield Table(("face id", "before", "after"), [each.row_cells() for each in self.faces])


_SENTENCES = {
    ChangeKind.NAME_GROUP: "{faces} named {user}",
    ChangeKind.MERGE_USERS: "{other} merged into {user}, {faces} changed",
    ChangeKind.RENAME_USER: "{other} renamed to {user}, {faces}",
    ChangeKind.MOVE_FACE: "{faces} moved from {other} to {user}",
    ChangeKind.SET_ASIDE: "{faces} {aside}",
}


def _owner(user_id: str | None, *, set_aside: bool) -> str:
    return "set aside" if set_aside else user_id or ""


announce(__name__)
