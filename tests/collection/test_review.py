"""Naming groups, setting them aside, and undoing it: in memory and in a file."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

import facesearch as fs
from durable import contents
from facesearch.collection.review import MAX_CHANGES
from facesearch.domain.user_ids import nearest_user_id
from facesearch.testing.fakes import fake_analyzer, paint
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


def people(staff: fs.Collection) -> tuple[str, ...]:
    return staff.add_embeddings(["ada", "ada", "eda", "bob"], np.random.default_rng(3).normal(size=(4, 128)))


def test_two_users_become_one(staff: fs.Collection) -> None:
    face_ids = people(staff)
    before = contents(staff)
    change = staff.merge_users("ada", "eda")
    assert owners(staff) == dict(zip(face_ids, ["ada", "ada", "ada", "bob"], strict=True))
    assert [user.user_id for user in staff.users()] == ["ada", "bob"]
    assert (change.user_id, change.other_user_id, change.associated_faces) == ("ada", "eda", (face_ids[2],))
    again = fs.Collection("staff")
    again.add_embeddings(["ada"] * 3, [staff.face_embedding(face_id) for face_id in face_ids[:3]])
    assert np.array_equal(staff.user_embedding("ada"), again.user_embedding("ada"))  # type: ignore[arg-type]  # neither is None
    assert staff.undo() == change
    assert contents(staff) == before


def test_of_two_users_with_more_than_a_hundred_faces_the_best_hundred_are_kept(staff: fs.Collection) -> None:
    vectors = np.random.default_rng(5).normal(size=(120, 128))
    face_ids = staff.add_embeddings(["ada"] * 70 + ["eda"] * 50, vectors)
    before = owners(staff)
    change = staff.merge_users("ada", "eda")
    assert len(staff.faces("ada")) == 100
    assert len(change.left_out) == 20
    assert {face_id for face_id, user_id in owners(staff).items() if user_id is None} == set(change.left_out)
    assert set(change.left_out) & set(face_ids[:70])  # of either user
    staff.undo()
    assert owners(staff) == before


def test_a_user_gets_another_id(staff: fs.Collection) -> None:
    people(staff)
    vector, faces, before = staff.user_embedding("ada"), staff.faces("ada"), contents(staff)
    change = staff.rename_user("ada", "ada.lovelace")
    assert "ada" not in staff
    assert [face.face_id for face in staff.faces("ada.lovelace")] == [face.face_id for face in faces]
    assert np.array_equal(staff.user_embedding("ada.lovelace"), vector)  # type: ignore[arg-type]  # neither is None
    assert staff.undo() == change
    assert contents(staff) == before


def test_a_user_without_faces_is_renamed_and_merged_too(staff: fs.Collection) -> None:
    staff.create_user("ada")
    staff.rename_user("ada", "eda")
    staff.create_user("bob")
    staff.merge_users("bob", "eda")
    assert [user.user_id for user in staff.users()] == ["bob"]
    staff.undo()
    staff.undo()
    assert [user.user_id for user in staff.users()] == ["ada", "bob"]


def test_a_face_moves_to_another_user_or_to_none(staff: fs.Collection) -> None:
    face_ids = people(staff)
    states = [contents(staff)]
    moves: list[tuple[str, str | None]] = [
        (face_ids[0], "bob"),
        (face_ids[0], None),
        (face_ids[0], "ada"),
        (face_ids[2], "ada"),
    ]
    for face_id, to in moves:
        change = staff.move_face(face_id, to)
        assert (change.user_id, owners(staff)[face_id]) == (to, to)
        states.append(contents(staff))
    assert [user.user_status.value for user in staff.users()] == ["ACTIVE", "ACTIVE", "CREATED"]
    for state in reversed(states[:-1]):
        staff.undo()
        assert contents(staff) == state


def test_a_hundred_faces_are_the_most_for_a_face_that_moves(staff: fs.Collection) -> None:
    face_ids = staff.add_embeddings(["ada"] * 100 + ["bob"], np.random.default_rng(1).normal(size=(101, 128)))
    with pytest.raises(fs.QuotaExceededError):
        staff.move_face(face_ids[-1], "ada")
    staff.move_face(face_ids[0], "bob")
    staff.move_face(face_ids[-1], "ada")
    staff.undo()
    staff.add_embedding("ada", np.ones(128))
    with pytest.raises(fs.UndoConflictError, match="more than 100 faces"):
        staff.undo()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.merge_users("ada", "ada"), fs.InvalidParameterError, "other: expected another user than into"),
        (lambda c: c.merge_users("eve", "ada"), fs.UserNotFoundError, "into: no user 'eve'"),
        (lambda c: c.merge_users("ada", "eve"), fs.UserNotFoundError, "other: no user 'eve'"),
        (lambda c: c.merge_users("ada", None), fs.InvalidParameterError, "other: expected"),
        (lambda c: c.rename_user("ada", "ada"), fs.InvalidParameterError, "new_user_id: expected another id"),
        (lambda c: c.rename_user("ada", "bob"), fs.UserAlreadyExistsError, "merge_users"),
        (lambda c: c.rename_user("eve", "zoe"), fs.UserNotFoundError, "no user 'eve'"),
        (lambda c: c.rename_user("ada", "Ada L"), fs.InvalidParameterError, "nearest allowed id is 'Ada_L'"),
        (lambda c: c.move_face(UNKNOWN, "ada"), fs.FaceNotFoundError, "no face"),
        (lambda c: c.move_face("x", "ada"), fs.InvalidParameterError, "face_id: expected"),
        (lambda c: c.move_face(c.faces("bob")[0].face_id, "eve"), fs.UserNotFoundError, "to: no user 'eve'"),
        (lambda c: c.move_face(c.faces("bob")[0].face_id, "bob"), fs.InvalidParameterError, "to: expected another"),
        (lambda c: c.photos_of("eve"), fs.UserNotFoundError, "person: no user 'eve'"),
        (lambda c: c.photos_of("a b"), fs.InvalidParameterError, "person: expected"),
        (lambda c: c.photos_of([UNKNOWN]), fs.GroupChangedError, UNKNOWN),
        (lambda c: c.photos_of([]), fs.InvalidParameterError, "person: expected a FaceGroup"),
        (lambda c: c.undo(), fs.NothingToUndoError, "no change to undo"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(
    staff: fs.Collection, call: Callable[[fs.Collection], Any], error: type[Exception], message: str
) -> None:
    people(staff)
    before = contents(staff)
    with pytest.raises(error, match=message):
        call(staff)
    assert contents(staff) == before


def test_the_history_is_removed_on_request(staff: fs.Collection) -> None:
    people(staff)
    staff.rename_user("ada", "grace")
    staff.rename_user("bob", "zoe")
    assert staff.forget_changes() == 2
    assert staff.forget_changes() == 0
    with pytest.raises(fs.NothingToUndoError):
        staff.undo()


def test_photos_of_a_person_come_with_the_place_of_the_face() -> None:
    staff = fs.Collection("staff", analyzer=fake_analyzer())
    photos = [paint((200, 200), {(40, 40, 100 + 20 * number, 160): (200, 30, 30)}) for number in range(3)]
    staff.enroll("ada", photos, sources=["b.jpg", "a.jpg", None], user_match_threshold=0, anyway=True)
    found = staff.photos_of("ada")
    assert [photo.source for photo in found] == ["a.jpg", "b.jpg", None]
    boxes = {face.face_id: face.bounding_box for face in staff.faces("ada")}
    assert None not in boxes.values()
    assert {photo.face_id: photo.bounding_box for photo in found} == boxes
    assert {photo.image_id for photo in found} == {face.image_id for face in staff.faces("ada")}
    assert staff.photos_of([photo.face_id for photo in found]) == found
    staff.delete_user("ada")
    (group,) = staff.groups(threshold=0)
    assert staff.photos_of(group) == found


def test_a_folder_that_is_indexed_again_takes_no_face_of_a_renamed_or_merged_user(tmp_path: Path) -> None:
    staff = fs.Collection("staff", analyzer=fake_analyzer())
    for name, colour in (("ada", (200, 30, 30)), ("bob", (30, 30, 200))):
        (tmp_path / name).mkdir()
        for number in range(2):
            face = {(40, 40, 150 + 5 * number, 160): colour}
            Image.fromarray(paint((200, 200), face)).save(tmp_path / name / f"{number}.png")
    Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(tmp_path / "ada" / "2.png")
    staff.index_folder(tmp_path, progress=False)
    before = contents(staff)
    calls: list[Callable[[], object]] = [
        lambda: staff.rename_user("ada", "grace"),
        lambda: staff.merge_users("bob", "ada"),
    ]
    for change in calls:
        change()
        changed = contents(staff)
        report = staff.index_folder(tmp_path, progress=False)
        reasons = {photo.path.name: photo.reasons for photo in report.refused}
        assert reasons == {
            "2.png": ("NO_FACE",),
            **dict.fromkeys(("0.png", "1.png"), ("ASSOCIATED_TO_A_DIFFERENT_USER",)),
        }
        assert contents(staff) == changed
        staff.undo()
        assert staff.index_folder(tmp_path, progress=False).accepted == 4
        assert contents(staff) == before


def test_a_photo_that_stays_in_the_folder_gives_its_face_back_to_the_user(tmp_path: Path) -> None:
    staff = fs.Collection("staff", analyzer=fake_analyzer())
    (tmp_path / "ada").mkdir()
    for number in range(3):
        face = {(40, 40, 150 + 5 * number, 160): (200, 30, 30)}
        Image.fromarray(paint((200, 200), face)).save(tmp_path / "ada" / f"{number}.png")
    staff.index_folder(tmp_path, progress=False)
    before = owners(staff)
    staff.move_face(next(iter(before)), None)
    staff.index_folder(tmp_path, progress=False)
    assert owners(staff) == before


def test_of_two_reviewers_at_once_the_second_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with fs.Collection.open(path, "staff") as first, fs.Collection.open(path, "staff") as second:
        face_ids = first.add_embeddings(["x"] * 6, np.eye(1, 128)[[0] * 6])
        first.delete_user("x")
        (group,), (same,) = first.groups(), second.groups()
        assert group == same
        first.name_group(group, "ada")
        before = contents(second)
        with pytest.raises(fs.GroupChangedError):
            second.name_group(same, "bob")
        with pytest.raises(fs.GroupChangedError):
            second.set_aside(same)
        assert contents(second) == before
        assert second.undo().associated_faces == tuple(sorted(face_ids))  # the history is that of the collection
        with pytest.raises(fs.NothingToUndoError):
            first.undo()


def test_of_many_reviewers_at_once_one_names_the_group(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with fs.Collection.open(path, "staff") as staff:
        strangers(staff, 4)
        face_ids = [face.face_id for face in staff.faces()]

        def name(number: int) -> str | None:
            with fs.Collection.open(path, "staff", timeout=60) as other:
                try:
                    return other.name_group(face_ids, f"user{number}").user_id
                except fs.GroupChangedError:
                    return None

        with ThreadPoolExecutor(4) as pool:
            named = [user_id for user_id in pool.map(name, range(8)) if user_id]
        assert [user.user_id for user in staff.users()] == named
        assert len(named) == 1


def test_a_file_opened_read_only_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with fs.Collection.open(path, "staff") as staff:
        face_ids = people(staff)
        staff.rename_user("bob", "zoe")
    with fs.Collection.open(path, "staff", read_only=True) as staff:
        assert staff.photos_of("zoe")
        calls: list[Callable[[], object]] = [
            lambda: staff.merge_users("ada", "eda"),
            lambda: staff.rename_user("ada", "grace"),
            lambda: staff.move_face(face_ids[0], "eda"),
            lambda: staff.name_group(face_ids[:1], "eda"),
            lambda: staff.set_aside(face_ids[:1]),
            staff.undo,
            staff.forget_changes,
        ]
        for call in calls:
            with pytest.raises(fs.StorageReadOnlyError):
                call()


def test_marks_are_exported_and_imported_and_the_history_is_not(staff: fs.Collection, tmp_path: Path) -> None:
    face_ids = strangers(staff, 3)
    staff.set_aside(face_ids[:2])
    staff.save(tmp_path / "staff.npz")
    for copy in (fs.Collection.load(tmp_path / "staff.npz"), fs.Collection("other")):
        if not copy.face_count:
            copy.restore(tmp_path / "staff.npz")
        assert copy._store.aside() == set(face_ids[:2])
        with pytest.raises(fs.NothingToUndoError):
            copy.undo()


@pytest.mark.parametrize("group", [[], UNKNOWN, None, ["x"], 7])
def test_what_is_no_group_is_refused(staff: fs.Collection, group: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="group: expected a FaceGroup"):
        staff.name_group(group, "ada")
    with pytest.raises(fs.InvalidParameterError, match="group: expected a FaceGroup"):
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
