"""The text form of a reviewer's change, as stores keep it for `Collection.undo`.

It holds ids of users and faces and nothing else of a person. A store deletes an entry as soon as a user or face that it mentions is
deleted.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Set as AbstractSet
from typing import Any

from facesearch.common.validation import check_text
from facesearch.domain.changes import Change, ChangedFace, ChangeKind
from facesearch.domain.entities import LONGEST_USER_ID, USER_ID_PATTERN
from facesearch.errors import StorageFormatError

__all__ = ["dump_change", "load_change", "mentions"]

# Users and marks before and after: faces of one change mostly share them.
_State = tuple[str | None, str | None, bool, bool]


def dump_change(change: Change) -> str:
    """Return a change as JSON, without `Change.left_out`.

    Examples
    --------
    >>> change = Change(kind=ChangeKind.RENAME_USER, user_id="ada", other_user_id="eda")
    >>> load_change(dump_change(change), "staff") == change
    True
    """
    groups: dict[_State, list[str]] = defaultdict(list)
    for face in change.faces:
        state = face.user_id_before, face.user_id_after, face.set_aside_before, face.set_aside_after
        groups[state].append(face.face_id)
    content = {
        "kind": change.kind.value,
        "users": [change.user_id, change.other_user_id],
        "created": change.created_users,
        "deleted": change.deleted_users,
        "faces": [[*state, face_ids] for state, face_ids in groups.items()],
    }
    return json.dumps(content, separators=(",", ":"))


def load_change(text: str, where: str) -> Change:
    """Return the change that `dump_change` wrote.

    Parameters
    ----------
    text
        The JSON.
    where
        The collection, for the error message.

    Raises
    ------
    StorageFormatError
        If the text is not of `dump_change`. The message does not quote it.
    """
    try:
        content = json.loads(text)
        user_id, other_user_id = content["users"]
        faces = [
            ChangedFace(
                face_id=face_id,
                user_id_before=before,
                user_id_after=after,
                set_aside_before=aside_before,
                set_aside_after=aside_after,
            )
            for before, after, aside_before, aside_after, face_ids in content["faces"]
            for face_id in face_ids
        ]
        return Change(
            kind=ChangeKind(content["kind"]),
            user_id=user_id,
            other_user_id=other_user_id,
            faces=tuple(sorted(faces, key=lambda face: face.face_id)),
            created_users=_user_ids(content["created"]),
            deleted_users=_user_ids(content["deleted"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise StorageFormatError(
            f"{where}: damaged, its last change can't be read, and therefore not be undone"
        ) from None


def mentions(text: str, ids: AbstractSet[str]) -> bool:
    """Return whether a change mentions one of some users or faces; True for a text that can't be read."""
    try:
        content = json.loads(text)
        if not ids.isdisjoint({*content["users"], *content["created"], *content["deleted"]}):
            return True
        return any(
            before in ids or after in ids or not ids.isdisjoint(face_ids)
            for before, after, _, _, face_ids in content["faces"]
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return True


def _user_ids(texts: Iterable[Any]) -> tuple[str, ...]:
    return tuple(check_text("user_ids", each, USER_ID_PATTERN, LONGEST_USER_ID) for each in texts)
