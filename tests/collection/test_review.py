"""Naming groups, setting them aside, and undoing it: in memory and in a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.collection.review import MAX_CHANGES
from facesearch.domain.user_ids import nearest_user_id
from facesearch.testing.strategies import user_ids
from stores import CASES

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def staff(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[fs.Collection]:
    """An empty collection in each store."""
    with request.param.open(tmp_path, "staff") as staff:
        yield staff


def strangers(staff: fs.Collection, count: int, *, seed: int = 0) -> list[str]:
    """Add faces without a user."""
    face_ids: list[str] = []
    while len(face_ids) < count:
        some = min(100, count - len(face_ids))
        vectors = np.random.default_rng([seed, len(face_ids)]).normal(size=(some, 128))
        face_ids += staff.add_embeddings(["stranger"] * some, vectors)
        staff.delete_user("stranger")
    return face_ids


def owners(staff: fs.Collection) -> dict[str, Any]:
    return {face.face_id: face.user_id for face in staff.faces()}


def test_a_group_is_named_and_the_user_created(staff: fs.Collection) -> None:
    face_ids = strangers(staff, 3)
    change = staff.name_group(face_ids[:2], "ada")
    assert change.associated_faces == tuple(sorted(face_ids[:2]))
    assert (change.kind, change.user_id, change.created_users) == (fs.ChangeKind.NAME_GROUP, "ada", ("ada",))
    assert owners(staff) == {face_ids[0]: "ada", face_ids[1]: "ada", face_ids[2]: None}
    before = staff.user_embedding("ada")
    more = staff.name_group(face_ids[2:], "ada")
    assert more.created_users == ()
    assert set(owners(staff).values()) == {"ada"}
    assert staff.undo() == more
    again = staff.user_embedding("ada")
    assert before is not None
    assert again is not None
    assert np.array_equal(again, before)
    assert staff.undo() == change
    assert (len(staff), set(owners(staff).values())) == (0, {None})
    with pytest.raises(fs.NothingToUndoError):
        staff.undo()


def test_a_group_that_changed_meanwhile_is_refused(staff: fs.Collection) -> None:
    face_ids = strangers(staff, 4)
    staff.name_group(face_ids[:1], "ada")
    staff.delete_faces(face_ids[1:2])
    before = owners(staff)
    for gone in face_ids[:2]:
        for call in (lambda ids: staff.name_group(ids, "bob"), staff.set_aside):
            with pytest.raises(fs.GroupChangedError, match=gone):
                call([face_ids[2], gone])
    assert owners(staff) == before
    assert "bob" not in staff


def test_of_more_than_a_hundred_faces_the_nearest_to_the_template_are_kept(staff: fs.Collection) -> None:
    face_ids = strangers(staff, 130)
    staff.name_group(face_ids[:90], "ada")
    before = owners(staff)
    change = staff.name_group(face_ids[90:], "ada")
    kept = {face_id for face_id, user_id in owners(staff).items() if user_id == "ada"}
    assert len(kept) == 100
    assert set(change.left_out) == set(face_ids) - kept
    from facesearch.matching.template import robust_mean

    vectors = {face_id: staff.face_embedding(face_id) for face_id in face_ids}
    center = robust_mean(np.stack(list(vectors.values())))
    far = {face_id: np.linalg.norm(vector - center) for face_id, vector in vectors.items()}
    assert max(far[face_id] for face_id in kept) <= min(far[face_id] for face_id in change.left_out)
    assert staff.undo().left_out == ()
    assert owners(staff) == before


def test_a_face_set_aside_that_gets_a_user_is_set_aside_no_more_until_that_is_undone(staff: fs.Collection) -> None:
    face_ids = strangers(staff, 3)
    staff.set_aside(face_ids)
    staff.name_group(face_ids[:1], "ada")
    assert staff._store.aside() == set(face_ids[1:])
    staff.associate_faces("ada", face_ids[1:2], user_match_threshold=0)
    assert staff._store.aside() == set(face_ids[2:])
    staff.disassociate_faces("ada", face_ids[1:2])
    assert staff._store.aside() == set(face_ids[2:])
    staff.undo()
    assert staff._store.aside() == {face_ids[0], face_ids[2]}
    assert staff.set_aside(face_ids[2:], aside=False).faces[0].set_aside_before
    assert staff._store.aside() == {face_ids[0]}
    staff.undo()


def test_what_was_changed_since_is_not_undone(staff: fs.Collection) -> None:
    face_ids = strangers(staff, 4)
    staff.name_group(face_ids[:2], "ada")
    staff.associate_faces("ada", face_ids[2:3], user_match_threshold=0)
    before = owners(staff)
    with pytest.raises(fs.UndoConflictError, match="user 'ada' was changed since"):
        staff.undo()
    staff.disassociate_faces("ada", face_ids[:1])
    with pytest.raises(fs.UndoConflictError, match=f"face {face_ids[0]} was changed since"):
        staff.undo()
    assert owners(staff) == {**before, face_ids[0]: None}


def test_deleting_a_user_or_face_deletes_it_from_the_history(staff: fs.Collection) -> None:
    face_ids = strangers(staff, 4)
    staff.set_aside(face_ids[3:])
    staff.name_group(face_ids[:1], "ada")
    staff.set_aside(face_ids[1:2])
    staff.delete_user("ada")
    staff.delete_faces(face_ids[1:2])
    ((_, text),) = staff._store.changes()
    assert face_ids[3] in text
    assert staff.undo().kind is fs.ChangeKind.SET_ASIDE
    assert staff._store.aside() == frozenset()


def test_the_last_fifty_changes_can_be_undone(staff: fs.Collection) -> None:
    (face_id,) = strangers(staff, 1)
    for number in range(MAX_CHANGES + 2):
        staff.set_aside([face_id], aside=number % 2 == 0)
    staff.set_aside([face_id], aside=False)  # changes nothing
    for _ in range(MAX_CHANGES):
        staff.undo()
    with pytest.raises(fs.NothingToUndoError):
        staff.undo()


@pytest.mark.parametrize("group", [[], UNKNOWN, None, ["x"], 7])
def test_what_is_no_group_is_refused(staff: fs.Collection, group: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="face_ids: expected"):
        staff.name_group(group, "ada")
    with pytest.raises(fs.InvalidParameterError, match="face_ids: expected"):
        staff.set_aside(group)


def test_a_name_that_is_no_user_id_is_refused_with_the_nearest_one(staff: fs.Collection) -> None:
    face_ids = strangers(staff, 1)
    with pytest.raises(fs.InvalidParameterError, match="the nearest allowed id is 'Ada_Lovelace'"):
        staff.name_group(face_ids, "Ada Lovelace")
    with pytest.raises(fs.InvalidParameterError, match="user_id: expected") as refused:
        staff.name_group(face_ids, "李")
    assert "nearest" not in str(refused.value)


@given(st.text(max_size=200) | user_ids())
def test_the_nearest_user_id_is_allowed_and_an_allowed_one_its_own(name: str) -> None:
    nearest = nearest_user_id(name)
    if nearest is not None:
        fs.User(user_id=nearest, user_status=fs.UserStatus.CREATED)  # raises for a forbidden id
        assert nearest_user_id(nearest) == nearest


@given(user_ids())
def test_an_allowed_user_id_is_its_own_nearest(name: str) -> None:
    assert nearest_user_id(name) == name
