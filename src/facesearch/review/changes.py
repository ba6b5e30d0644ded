"""The forms that change the collection: name, set aside, rename, merge, move, and undo."""

from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

import facesearch as fs
from facesearch.common.tables import counted
from facesearch.domain.user_ids import nearest_user_id
from facesearch.review.forms import action, back_to, text_in
from facesearch.review.pages import Message, go, site_of
from facesearch.review.unknown import find_group

__all__ = ["dismiss", "merge", "move", "name", "name_face", "rename", "same", "set_aside", "undo"]

_CHANGED: Final = "Nothing was changed: this group is not as it was shown any more. Here is what the groups are now."


@action("/unknown")
def name(request: Request, form: FormData) -> Message | Response:
    """Name the faces of a group, but for those that are to be left out."""
    site, group_id, wanted = site_of(request), text_in(form, "group"), text_in(form, "name")
    group = find_group(site, group_id)
    if group is None:
        site.changed()
        return _refused(_CHANGED)
    if (wrong := _wrong_name(wanted, about=group_id)) is not None:
        return wrong
    left_out = {value for value in form.getlist("without") if isinstance(value, str)}
    face_ids = [face_id for face_id in group.face_ids if face_id not in left_out]
    if not face_ids:
        return _refused("Every face was left out.")
    typed, is_new = bool(text_in(form, "typed")), wanted not in site.collection
    if is_new and not typed:  # a suggestion; the user was renamed or deleted meanwhile
        raise fs.UserNotFoundError(f"no user {wanted!r}")
    following = _following(request, group_id, typed=typed)
    change = site.collection.name_group(face_ids, wanted)
    site.changed(group_id if not left_out else None)
    done = f"{counted(len(change.associated_faces), 'face')} {'named' if is_new else 'added to'} {wanted}."
    if change.left_out:
        done += f" A user has at most 100 faces: the best are kept, {len(change.left_out)} stay without a name."
    return back_to(request, form, "/unknown", Message(text=done, undo=True), path="/unknown", **following)


@action("/unknown")
def set_aside(request: Request, form: FormData) -> Message | Response:
    """Set the faces of a group aside, or end that."""
    site, group_id, aside = site_of(request), text_in(form, "group"), text_in(form, "aside") != "0"
    group = find_group(site, group_id)
    if group is None:
        site.changed()
        return _refused(_CHANGED)
    following = _following(request, group_id)
    site.collection.set_aside(group, aside=aside)
    site.changed(group_id)
    done = "Set aside: this person does not come up again." if aside else "No longer set aside."
    message = Message(text=f"{counted(len(group), 'face')}. {done}", undo=True)
    return back_to(request, form, "/unknown", message, path="/unknown", **following)


@action("/people")
def rename(request: Request, form: FormData) -> Message | Response:
    """Rename a user."""
    site, user_id, wanted = site_of(request), text_in(form, "user"), text_in(form, "name")
    if (wrong := _wrong_name(wanted, about="rename")) is not None:
        return wrong
    site.collection.rename_user(user_id, wanted)
    site.changed(users=(user_id,))
    return go(request, "/person", Message(text=f"{user_id} is {wanted} now.", undo=True), id=wanted)


@action("/people")
def merge(request: Request, form: FormData) -> Message:
    """Merge a user into another one."""
    return _merge(request, text_in(form, "into"), text_in(form, "other"))


@action("/check")
def same(request: Request, form: FormData) -> Message:
    """Merge two users that are the same person, under the name to keep."""
    pair, keep = (text_in(form, "one"), text_in(form, "two")), text_in(form, "keep")
    if keep not in pair:
        return _refused("Choose the name to keep.")
    return _merge(request, keep, pair[1] if keep == pair[0] else pair[0])


@action("/people")
def move(request: Request, form: FormData) -> Message:
    """Move a face to another user, or to none."""
    site, face_id, owner = site_of(request), text_in(form, "face"), text_in(form, "owner")
    to = None if text_in(form, "nobody") else text_in(form, "to")
    if to is not None and (wrong := _wrong_name(to, about=face_id)) is not None:
        return wrong
    face = site.face(face_id)
    if face is None or face.user_id != owner:
        site.changed()
        return _refused(f"Nothing was changed: the face does not belong to {owner} any more.")
    if to is not None and to not in site.collection:
        text = f"Nothing was changed: there is no {to}. Choose 'Nobody known', then give the face a new name."
        return _refused(text)
    site.collection.move_face(face_id, to)
    site.changed(users=(owner, to))
    if to is not None:
        return Message(text=f"The face belongs to {to} now.", undo=True)
    return Message(text="The face belongs to nobody now.", undo=True, link=("Name it", f"/photo?face={face_id}"))


@action("/people")
def name_face(request: Request, form: FormData) -> Message:
    """Name a single face that belongs to nobody."""
    site, face_id, wanted = site_of(request), text_in(form, "face"), text_in(form, "name")
    if (wrong := _wrong_name(wanted, about=face_id)) is not None:
        return wrong
    is_new = wanted not in site.collection
    site.collection.name_group([face_id], wanted)
    site.changed()
    return Message(text=f"1 face {'named' if is_new else 'added to'} {wanted}.", undo=True)


@action("/")
def undo(request: Request, _: FormData) -> Message:
    """Undo the last change."""
    site = site_of(request)
    try:
        change = site.collection.undo()
    except fs.NothingToUndoError:
        return _refused("There is nothing to undo.")
    except fs.UndoConflictError:
        return _refused("Nothing was undone: the faces or people of the last change were changed since.")
    site.undone(change)
    return Message(text=f"Undone: {_in_words(change)}.")


@action("/check")
def dismiss(request: Request, form: FormData) -> Message:
    """Answer a question of the audit with "all is right", and show it no more in this run."""
    site_of(request).kept_apart.add(text_in(form, "key"))
    return Message(text="Nothing was changed. The question does not come up again until the page is started anew.")


def _merge(request: Request, into: str, other: str) -> Message:
    site = site_of(request)
    change = site.collection.merge_users(into, other)
    site.changed(users=(into, other))
    text = f"{other} is merged into {into}."
    if change.left_out:
        text += f" A user has at most 100 faces: the best are kept, {len(change.left_out)} are without a name now."
    return Message(text=text, undo=True)


def _refused(text: str, **more: Any) -> Message:
    return Message(text=text, is_error=True, **more)


def _wrong_name(wanted: str, about: str) -> Message | None:
    """Return the message about a name that AWS forbids, with the nearest allowed one; ``None`` for an allowed name."""
    nearest = nearest_user_id(wanted)
    if nearest == wanted:
        return None
    rule = "A name can have up to 128 letters a to z, digits and _ . - : only"
    if not wanted:
        return _refused("Type a name first.", about=about)
    if nearest is None:
        return _refused(f"{rule}. Write it that way.", about=about)
    return _refused(f"{rule}. How about {nearest}?", fix=nearest, about=about)


def _following(request: Request, group_id: str, *, typed: bool = False) -> dict[str, str]:
    """Return the query for the group after this one, to go on with: at its field for the name after a typed name."""
    groups = [each.group_id for each in site_of(request).groups.peek() or ()]
    place = groups.index(group_id) + 1 if group_id in groups else 0
    return {"next" if typed else "at": groups[place]} if place < len(groups) else {}


def _in_words(change: fs.Change) -> str:
    """Return what a change was."""
    user, other, faces = (
        change.user_id or "nobody",
        change.other_user_id or "nobody",
        counted(len(change.faces), "face"),
    )
    match change.kind:
        case fs.ChangeKind.NAME_GROUP:
            return f"{faces} named {user}"
        case fs.ChangeKind.MERGE_USERS:
            return f"{other} merged into {user}"
        case fs.ChangeKind.RENAME_USER:
            return f"{other} renamed to {user}"
        case fs.ChangeKind.MOVE_FACE:
            return f"a face moved from {other} to {user}"
        case fs.ChangeKind.SET_ASIDE:
            ended = any(face.set_aside_before for face in change.faces)
            return f"{faces} {'no longer ' if ended else ''}set aside"
