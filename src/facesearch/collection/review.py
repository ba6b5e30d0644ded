"""Changes that a reviewer makes: name, merge and rename people, move faces, set faces aside, and undo."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs
import numpy as np

from facesearch.collection.base import CollectionBase, check_face_ids
from facesearch.common.validation import check_bool
from facesearch.domain.changes import Change, ChangedFace, ChangeKind
from facesearch.domain.user_ids import check_new_user_id
from facesearch.enrolment.enroller import MAX_FACES_PER_USER
from facesearch.errors import GroupChangedError, NothingToUndoError, UndoConflictError
from facesearch.matching.template import robust_mean
from facesearch.responses.grouping import FaceGroup
from facesearch.storage.history import dump_change, load_change

__all__ = ["MAX_CHANGES", "MAX_FACES_PER_GROUP", "CollectionReview"]

MAX_CHANGES: Final = 50
"""The number of changes that can be undone; older ones are forgotten."""

MAX_FACES_PER_GROUP: Final = 100_000
"""The faces of a group in one change."""


@attrs.frozen
class _State:
    """A user and a mark of a face."""

    user_id: str | None
    aside: bool = False


class CollectionReview(CollectionBase):
    """The operations that put a collection right."""

    def name_group(self, group: FaceGroup | Sequence[str], user_id: str) -> Change:
        """Associate the faces of a group with a user, who is created if needed.

        Unlike `associate_faces` this takes no match threshold, because a person decided.

        Parameters
        ----------
        group
            A group from `groups`, or 1-100,000 face ids. No face may have a user.
        user_id
            The user, new or existing: 1-128 characters of ``[a-zA-Z0-9_.-:]``.

        Returns
        -------
        Change
            If the user would have more than 100 faces, the best 100 are kept: those nearest to the template (`robust_mean`) of the
            user's faces and the group's together, ties by id. The others stay or become unassociated: `Change.left_out`.

        Raises
        ------
        GroupChangedError
            If a face of the group was deleted or has a user; nothing was changed.
        InvalidParameterError
            If an argument is wrong. For a name that is no user id, the message offers the nearest allowed one.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> face_ids = staff.add_embeddings(["x"] * 3, np.eye(3, 128))
        >>> staff.delete_user("x")
        >>> print(staff.name_group(face_ids[:2], "ada"))  # doctest: +ELLIPSIS
        2 faces named ada
        ...
        >>> staff.undo().kind.value, len(staff)
        ('NAME_GROUP', 0)
        """
        face_ids, name = _face_ids_of(group), check_new_user_id("user_id", user_id)
        with self._store.writing():
            self._check_unnamed(face_ids)
            new = () if self._store.has_user(name) else (name,)
            kept, left_out = self._best(self._store.faces_of(name).union(face_ids))
            after = {**dict.fromkeys(kept, _State(name)), **self._out_of(left_out, name)}
            return self._apply(
                Change(kind=ChangeKind.NAME_GROUP, user_id=name, created_users=new, left_out=tuple(left_out)), after
            )

    def set_aside(self, group: FaceGroup | Sequence[str], *, aside: bool = True) -> Change:
        """Set aside the faces of a group, so that `groups` leaves them out: strangers, for instance.

        Parameters
        ----------
        group
            A group from `groups`, or 1-100,000 face ids. No face may have a user.
        aside
            False ends it: `groups` lists them again.

        Returns
        -------
        Change
            Without faces if all of them were set aside already. A face that gets a user is no longer set aside.

        Raises
        ------
        GroupChangedError
            If a face of the group was deleted or has a user; nothing was changed.
        InvalidParameterError
            If an argument is wrong.
        """
        face_ids = _face_ids_of(group)
        check_bool("aside", aside)
        with self._store.writing():
            self._check_unnamed(face_ids)
            return self._apply(Change(kind=ChangeKind.SET_ASIDE), dict.fromkeys(face_ids, _State(None, aside)))

    def undo(self) -> Change:
        """Undo the last change by a reviewer; further calls go further back, up to 50 changes.

        Changes by a reviewer are those of `name_group`, `merge_users`, `rename_user`, `move_face` and `set_aside`, whoever made them.
        The history is stored with the collection. It holds ids and no vectors. Deleting a user or a face deletes every change that
        mentions it.

        Returns
        -------
        Change
            The change that was undone.

        Raises
        ------
        NothingToUndoError
            If no change is left.
        UndoConflictError
            If its users or faces were changed since; nothing was changed.
        """
        with self._store.writing():
            changes = self._store.changes()
            if not changes:
                raise NothingToUndoError(f"collection {self._id!r} has no change to undo")
            number, text = changes[-1]
            change = load_change(text)
            self._check_undoable(change)
            self._store.create_users(change.deleted_users)
            self._put({face.face_id: _State(face.user_id_before, face.set_aside_before) for face in change.faces})
            for user_id in change.created_users:
                self._store.delete_user(user_id, keep_changes=True)
            self._store.forget_changes([number])
            return change

    # ---------------------------------------------------------------- called within a block of the store

    def _check_unnamed(self, face_ids: Iterable[str]) -> None:
        wanted = tuple(face_ids)
        found = self._store.faces_by_id(wanted)
        for face_id in wanted:
            if face_id not in found:
                raise GroupChangedError(f"group: face {face_id} is no longer there; compute the groups again")
            if (owner := found[face_id].user_id) is not None:
                raise GroupChangedError(
                    f"group: face {face_id} is associated with user {owner!r} meanwhile; compute the groups again"
                )

    def _best(self, face_ids: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the best faces for one user, 100 at most, and the others, each sorted by id."""
        ordered = sorted(face_ids)
        if len(ordered) <= MAX_FACES_PER_USER:
            return ordered, []
        vectors = np.stack([self._store.embedding(face_id) for face_id in ordered])
        distances = np.linalg.norm(vectors.astype(np.float64) - robust_mean(vectors), axis=1)
        places = np.argsort(distances, kind="stable")  # ties by id
        best, rest = places[:MAX_FACES_PER_USER], places[MAX_FACES_PER_USER:]
        return sorted(ordered[place] for place in best), sorted(ordered[place] for place in rest)

    def _out_of(self, face_ids: Iterable[str], *user_ids: str) -> dict[str, _State]:
        """Return the state without a user for those faces that belong to one of the users."""
        owned = frozenset().union(*(self._store.faces_of(user_id) for user_id in user_ids))
        return {face_id: _State(None) for face_id in face_ids if face_id in owned}

    def _apply(self, draft: Change, after: dict[str, _State]) -> Change:
        """Bring faces to their new states, store the change for `undo`, and return it with its faces."""
        found, aside = self._store.faces_by_id(after), self._store.aside()
        faces = []
        for face_id in sorted(after):
            before = _State(found[face_id].user_id, face_id in aside)
            if before != after[face_id]:
                faces.append(_changed_face(face_id, before, after[face_id]))
        change = attrs.evolve(draft, faces=tuple(faces))
        self._store.create_users(change.created_users)
        self._put({face.face_id: after[face.face_id] for face in faces})
        for user_id in change.deleted_users:
            self._store.delete_user(user_id, keep_changes=True)
        if change.faces or change.created_users or change.deleted_users:
            self._store.put_change(dump_change(change))
            numbers = [number for number, _ in self._store.changes()]
            self._store.forget_changes(numbers[:-MAX_CHANGES])
        return change

    def _put(self, states: dict[str, _State]) -> None:
        """Associate faces with the users of their states, and set the marks."""
        found = self._store.faces_by_id(states)
        users = {face.user_id for face in found.values()}
        for state in dict.fromkeys(states.values()):
            face_ids = [face_id for face_id, its in states.items() if its == state]
            self._store.assign([each for each in face_ids if found[each].user_id != state.user_id], state.user_id)
            if state.user_id is None:
                self._store.set_aside(face_ids, aside=state.aside)
            users.add(state.user_id)
        self._store.refresh(sorted(user_id for user_id in users if user_id is not None))

    def _check_undoable(self, change: Change) -> None:
        for fault in (*self._changed_faces(change), *self._changed_users(change)):
            raise UndoConflictError(f"the last change can't be undone: {fault}")

    def _changed_faces(self, change: Change) -> Iterator[str]:
        found, aside = self._store.faces_by_id(face.face_id for face in change.faces), self._store.aside()
        for face in change.faces:
            now = found.get(face.face_id)
            if now is None:
                yield f"face {face.face_id} was deleted"
            elif (now.user_id, face.face_id in aside) != (face.user_id_after, face.set_aside_after):
                yield f"face {face.face_id} was changed since"

    def _changed_users(self, change: Change) -> Iterator[str]:
        for user_id in change.deleted_users:
            if self._store.has_user(user_id):
                yield f"there is a new user {user_id!r}"
        for user_id in change.created_users:
            theirs = {face.face_id for face in change.faces if face.user_id_after == user_id}
            if not self._store.has_user(user_id) or self._store.faces_of(user_id) != theirs:
                yield f"user {user_id!r} was changed since"
        for user_id in {face.user_id_before for face in change.faces if face.user_id_before} - {*change.deleted_users}:
            back = {face.face_id for face in change.faces if face.user_id_before == user_id}
            gone = {face.face_id for face in change.faces if face.user_id_after == user_id}
            if not self._store.has_user(user_id):
                yield f"there is no user {user_id!r} now"
            elif len((self._store.faces_of(user_id) - gone) | back) > MAX_FACES_PER_USER:
                yield f"user {user_id!r} would have more than {MAX_FACES_PER_USER} faces"


def _face_ids_of(group: Any) -> tuple[str, ...]:
    """Return the checked face ids of a group, or of a sequence of ids."""
    if isinstance(group, FaceGroup):
        return check_face_ids(group.face_ids, MAX_FACES_PER_GROUP)
    return check_face_ids(group, MAX_FACES_PER_GROUP)


def _changed_face(face_id: str, before: _State, after: _State) -> ChangedFace:
    return ChangedFace(
        face_id=face_id,
        user_id_before=before.user_id,
        user_id_after=after.user_id,
        set_aside_before=before.aside,
        set_aside_after=after.aside,
    )
