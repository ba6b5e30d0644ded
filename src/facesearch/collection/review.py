"""Changes that a reviewer makes: name, merge and rename people, move faces, set faces aside, and undo."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import numpy as np

from facesearch.collection.base import CollectionBase, check_face_id, check_face_ids
from facesearch.common.tables import Listing
from facesearch.common.validation import check_bool
from facesearch.domain.changes import Change, ChangedFace, ChangeKind
from facesearch.domain.entities import Face
from facesearch.domain.user_ids import check_new_user_id
from facesearch.enrolment.judging import MAX_FACES_PER_USER
from facesearch.errors import (
    GroupChangedError,
    InvalidParameterError,
    NothingToUndoError,
    UndoConflictError,
    UserAlreadyExistsError,
)
from facesearch.matching.template import robust_mean
from facesearch.responses.grouping import FaceGroup, PersonPhoto
from facesearch.storage.history import dump_change, load_change

__all__ = ["MAX_CHANGES", "MAX_FACES_PER_GROUP", "CollectionReview"]

MAX_CHANGES: Final = 50
"""The number of changes that can be undone; older ones are forgotten."""

MAX_FACES_PER_GROUP: Final = 100_000
"""The faces of a group in one change."""


@attrs.frozen
class _State:
    """The user of a face, and whether it is set aside."""

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
        face_ids, name = _face_ids_of("group", group), check_new_user_id("user_id", user_id)
        with self._store.writing():
            self._check_unnamed(face_ids)
            new = () if self._store.has_user(name) else (name,)
            had = self._store.faces_of(name)
            kept, left_out = self._best(had.union(face_ids))
            after = {**dict.fromkeys(kept, _State(name)), **dict.fromkeys(had.intersection(left_out), _State(None))}
            return self._apply(
                Change(kind=ChangeKind.NAME_GROUP, user_id=name, created_users=new, left_out=tuple(left_out)), after
            )

    def merge_users(self, into: str, other: str) -> Change:
        """Associate all faces of one user with another, and delete the first: one person had two ids.

        Parameters
        ----------
        into
            The user that stays.
        other
            The user that is merged away. Its stored outcomes of rejected photos and its waiting photos are removed, as by `delete_user`:
            `index_folder` analyzes them again.

        Returns
        -------
        Change
            If the user would have more than 100 faces, the best 100 of both are kept, by the rule of `name_group`.

        Raises
        ------
        UserNotFoundError
            If there is no such user; nothing was changed.
        InvalidParameterError
            If both are the same user.
        """
        with self._store.writing():
            self._check_user(into, "into")
            self._check_user(other, "other")
            if into == other:
                raise InvalidParameterError.of("other", other, "another user than into")
            both = self._store.faces_of(into) | self._store.faces_of(other)
            kept, left_out = self._best(both)
            after = {**dict.fromkeys(kept, _State(into)), **dict.fromkeys(left_out, _State(None))}
            draft = Change(
                kind=ChangeKind.MERGE_USERS,
                user_id=into,
                other_user_id=other,
                left_out=tuple(left_out),
                deleted_users=(other,),
            )
            return self._apply(draft, after)

    def rename_user(self, user_id: str, new_user_id: str) -> Change:
        """Replace the id of a user; its faces and its vector stay.

        Parameters
        ----------
        user_id
            The user. Its stored outcomes of rejected photos and its waiting photos are removed, as by `delete_user`.
        new_user_id
            An id that no user has.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        UserAlreadyExistsError
            If another user has the new id: see `merge_users`.
        InvalidParameterError
            If an argument is wrong, or both ids are equal.

        Notes
        -----
        The user gets a new place in `page_of_users`. `index_folder` refuses the photos of a folder named after the old id, because their
        faces belong to another user: rename the folder too.
        """
        new = check_new_user_id("new_user_id", new_user_id)
        with self._store.writing():
            self._check_user(user_id)
            if new == user_id:
                raise InvalidParameterError.of("new_user_id", new, "another id than user_id")
            if self._store.has_user(new):
                raise UserAlreadyExistsError(
                    f"new_user_id: collection {self._id!r} has a user {new!r} already; merge_users makes one of both"
                )
            draft = Change(
                kind=ChangeKind.RENAME_USER,
                user_id=new,
                other_user_id=user_id,
                created_users=(new,),
                deleted_users=(user_id,),
            )
            return self._apply(draft, dict.fromkeys(self._store.faces_of(user_id), _State(new)))

    def move_face(self, face_id: str, to: str | None) -> Change:
        """Associate one face with another user, or with none.

        Parameters
        ----------
        face_id
            The face, of a user or of none.
        to
            An existing user; ``None`` leaves the face without a user.

        Raises
        ------
        FaceNotFoundError, UserNotFoundError
            If there is no such face or user.
        QuotaExceededError
            If the user would have more than 100 faces.
        InvalidParameterError
            If an argument is wrong, or the face is there already. In all these cases nothing was changed.
        """
        check_face_id("face_id", face_id)
        with self._store.writing():
            face = self._face(face_id)
            if to is not None:
                self._check_user(to, "to")
                self._check_quota(to, len(self._store.faces_of(to) | {face_id}))
            if to == face.user_id:
                raise InvalidParameterError.of("to", to, "another user than the face has")
            return self._apply(
                Change(kind=ChangeKind.MOVE_FACE, user_id=to, other_user_id=face.user_id), {face_id: _State(to)}
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
        face_ids = _face_ids_of("group", group)
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
            change = load_change(text, self._where)
            for fault in (*self._changed_faces(change), *self._changed_users(change)):
                raise UndoConflictError(f"the last change can't be undone: {fault}")
            self._store.create_users(change.deleted_users)
            self._put({face.face_id: _State(face.user_id_before, face.set_aside_before) for face in change.faces})
            for user_id in change.created_users:
                self._store.delete_user(user_id, keep_changes=True)
            self._store.forget_changes([number])
            return change

    def forget_changes(self) -> int:
        """Remove the history of `undo`, and with it the ids of users that were renamed or merged away; return the number of changes."""
        with self._store.writing():
            numbers = [number for number, _ in self._store.changes()]
            self._store.forget_changes(numbers)
        return len(numbers)

    # ---------------------------------------------------------------- where a person is

    def photos_of(self, person: str | FaceGroup | Sequence[str]) -> tuple[PersonPhoto, ...]:
        """List the photos of a user or of a group, with the place of the face in each.

        Parameters
        ----------
        person
            A user id, a group from `groups`, or 1-100,000 face ids.

        Returns
        -------
        tuple of PersonPhoto
            One for each face, sorted by source; faces without a source come last.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        GroupChangedError
            If a face of the group was deleted.
        InvalidParameterError
            If the argument is wrong.

        Examples
        --------
        >>> from facesearch.testing.fakes import fake_analyzer, paint
        >>> staff = Collection("staff", analyzer=fake_analyzer())
        >>> photo = paint((200, 200), {(40, 40, 160, 160): (200, 30, 30)})
        >>> _ = staff.enroll("ada", [photo], sources=["party/7.jpg"])
        >>> [(photo.source, round(photo.bounding_box.left, 2)) for photo in staff.photos_of("ada")]
        [('party/7.jpg', 0.24)]
        """
        with self._store.reading():
            if isinstance(person, str):
                self._check_user(person, "person")
                faces = self._store.faces(person)
            else:
                face_ids = _face_ids_of("person", person)
                found = self._store.faces_by_id(face_ids)
                self._check_there(face_ids, found)
                faces = list(found.values())
        photos = (
            PersonPhoto(
                source=face.source,
                face_id=face.face_id,
                image_id=face.image_id,
                external_image_id=face.external_image_id,
                bounding_box=face.bounding_box,
            )
            for face in faces
        )
        return Listing(sorted(photos, key=lambda photo: (photo.source is None, photo.source, photo.face_id)), "photo")

    # ---------------------------------------------------------------- called within a block of the store

    def _check_unnamed(self, face_ids: Sequence[str]) -> None:
        found = self._store.faces_by_id(face_ids)
        self._check_there(face_ids, found)
        for face_id in face_ids:
            if (owner := found[face_id].user_id) is not None:
                raise GroupChangedError(
                    f"group: face {face_id} is associated with user {owner!r} meanwhile; compute the groups again"
                )

    def _check_there(self, face_ids: Iterable[str], found: Mapping[str, Face]) -> None:
        for face_id in face_ids:
            if face_id not in found:
                raise GroupChangedError(f"group: face {face_id} is no longer there; compute the groups again")

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

    def _apply(self, draft: Change, after: dict[str, _State]) -> Change:
        """Bring faces to their new states, store the change for `undo`, and return it with its faces."""
        found, aside = self._store.faces_by_id(after), self._store.aside()
        faces = []
        for face_id in sorted(after):
            before = _State(found[face_id].user_id, face_id in aside)
            if before != (now := after[face_id]):
                faces.append(
                    ChangedFace(
                        face_id=face_id,
                        user_id_before=before.user_id,
                        user_id_after=now.user_id,
                        set_aside_before=before.aside,
                        set_aside_after=now.aside,
                    )
                )
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
        """Associate faces with the users of their states, and set the others aside or not."""
        found = self._store.faces_by_id(states)
        users = {face.user_id for face in found.values()}
        for state in dict.fromkeys(states.values()):
            face_ids = [face_id for face_id, its in states.items() if its == state]
            self._store.assign([each for each in face_ids if found[each].user_id != state.user_id], state.user_id)
            if state.user_id is None:
                self._store.set_aside(face_ids, aside=state.aside)
            users.add(state.user_id)
        self._store.refresh(sorted(user_id for user_id in users if user_id is not None))

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


def _face_ids_of(argument: str, group: Any) -> tuple[str, ...]:
    """Return the checked face ids of a group, or of a sequence of ids."""
    try:
        return check_face_ids(group.face_ids if isinstance(group, FaceGroup) else group, MAX_FACES_PER_GROUP)
    except InvalidParameterError:
        expected = f"a FaceGroup, or a sequence of 1 to {MAX_FACES_PER_GROUP} face ids"
        raise InvalidParameterError.of(argument, group, expected) from None
