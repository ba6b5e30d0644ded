"""`Collection.groups`: groups of the faces that belong to no user, in memory and in a file."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

import facesearch as fs
from facesearch.common.arrays import FloatArray
from facesearch.testing.fakes import fake_analyzer, paint
from stores import CASES, Case

RED, BLUE = (200, 30, 30), (30, 30, 200)


def person(seed: int, photos: int) -> FloatArray:
    """Photos of a made-up person, of unit length; two of one are about 0.3 apart, and people about 1.4."""
    rng = np.random.default_rng([7, seed])
    centre = rng.normal(size=128)
    rows = centre / np.linalg.norm(centre) + 0.2 * rng.normal(size=(photos, 128)) / np.sqrt(128)
    vectors: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def add_unknown(collection: fs.Collection, vectors: FloatArray) -> tuple[str, ...]:
    """Add faces that belong to no user."""
    ids = collection.add_embeddings(["unknown"] * len(vectors), vectors)
    collection.delete_user("unknown", faces=False)
    return ids


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def album(case: Case, tmp_path: Path) -> fs.Collection:
    return case.open(tmp_path, "album")


def test_faces_of_one_person_are_one_group_largest_first(album: fs.Collection) -> None:
    ids = [add_unknown(album, person(seed, count)) for seed, count in ((0, 2), (1, 5), (2, 1), (3, 3))]

    groups = album.groups()

    assert [set(group.face_ids) for group in groups] == [set(ids[1]), set(ids[3]), set(ids[0])]
    assert all(group.similarity > 90 and not group.set_aside and group.nearest_user is None for group in groups)
    assert [set(group.face_ids) for group in album.groups(min_faces=3)] == [set(ids[1]), set(ids[3])]
    assert len(album.groups(min_faces=1)) == 4
    assert album.groups() == groups


def test_the_representative_is_nearest_to_the_template_and_the_others_follow(album: fs.Collection) -> None:
    vectors = person(0, 6)
    ids = add_unknown(album, vectors)
    (group,) = album.groups()
    album.create_user("ada")
    album.associate_faces("ada", ids, user_match_threshold=0)
    template = album.user_embedding("ada")
    assert template is not None

    apart = {face_id: float(np.linalg.norm(vector - template)) for face_id, vector in zip(ids, vectors, strict=True)}

    assert list(group.face_ids) == sorted(ids, key=apart.__getitem__)
    assert group.representative == min(ids, key=apart.__getitem__)


def test_faces_of_users_are_in_no_group_and_the_nearest_user_is_named(album: fs.Collection) -> None:
    vectors = person(0, 6)
    album.add_embeddings(["ada"] * 3 + ["bob"], np.concatenate([vectors[:3], person(1, 1)]))
    ids = add_unknown(album, vectors[3:])

    (group,) = album.groups()

    assert set(group.face_ids) == set(ids)
    assert group.nearest_user is not None
    assert group.nearest_user.user_id == "ada"
    assert group.nearest_user.similarity > 99


def test_the_similarity_to_the_nearest_user_is_that_of_two_users(album: fs.Collection) -> None:
    vectors = person(0, 5)
    album.add_embeddings(["ada"] * 2, vectors[:2])
    ids = add_unknown(album, vectors[2:])
    (group,) = album.groups()
    album.create_user("eve")
    album.associate_faces("eve", ids, user_match_threshold=0)

    (match,) = album.rank_like_user("eve", user_match_threshold=0)

    assert group.nearest_user is not None
    assert group.nearest_user.similarity == pytest.approx(match.similarity)


def test_two_faces_alone_need_more_similarity_than_one_that_joins_others(album: fs.Collection) -> None:
    vectors = np.zeros((3, 128), np.float32)
    reach = album.calibration.distance_at(85)
    vectors[:, 0] = 1
    vectors[np.arange(3), [1, 2, 3]] = reach / np.sqrt(2)  # each two of them are that far apart
    pair, three = fs.Collection("pair"), album
    add_unknown(pair, vectors[:2])
    add_unknown(three, vectors)

    (group,) = three.groups()

    assert (len(group), round(group.similarity)) == (3, 85)
    assert pair.groups() == ()
    assert [len(each) for each in pair.groups(min_faces=1)] == [1, 1]
    assert len(pair.groups(threshold=60)) == 1


def test_two_faces_of_one_photo_are_two_people(case: Case, tmp_path: Path) -> None:
    album = case.open(tmp_path, "album", analyzer=fake_analyzer())
    twins = paint((200, 400), {(40, 40, 160, 160): RED, (240, 40, 360, 160): RED})
    for shift in range(3):
        album.index_faces(np.roll(twins, shift, 0))

    groups = album.groups()
    photos = {face.face_id: face.image_id for face in album.faces()}

    assert [len(group) for group in groups] == [3, 3]
    for group in groups:
        assert len({photos[face_id] for face_id in group.face_ids}) == 3


def test_nothing_to_group_is_an_empty_answer(album: fs.Collection) -> None:
    assert album.groups() == ()
    album.add_embeddings(["ada"] * 3, person(0, 3))
    assert album.groups() == ()
    assert album.groups(set_aside=True) == ()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("threshold", 101), ("threshold", "90"), ("min_faces", 0), ("min_faces", 1.5), ("set_aside", 1), ("progress", 1)],
)
def test_wrong_options_are_refused_by_name(album: fs.Collection, name: str, wrong: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=rf"^{name}: "):
        album.groups(**{name: wrong})


def test_a_threshold_of_zero_or_a_hundred_is_allowed(album: fs.Collection) -> None:
    add_unknown(album, np.concatenate([person(0, 3), person(1, 2)]))

    assert [len(group) for group in album.groups(threshold=0)] == [5]
    assert album.groups(threshold=100) == ()


def test_a_read_only_file_can_be_grouped(tmp_path: Path) -> None:
    with fs.Collection.open(tmp_path / "people.db", "album") as album:
        add_unknown(album, person(0, 3))
        groups = album.groups()
    with fs.Collection.open(tmp_path / "people.db", "album", read_only=True) as album:
        assert album.groups() == groups


def indexed(case: Case, folder: Path, **options: Any) -> fs.Collection:
    """Return a collection of seven photos of somebody, and two of somebody else."""
    album = case.open(folder, "album", analyzer=fake_analyzer(), **options)
    for colour, photos in ((RED, 7), (BLUE, 2)):
        for shift in range(photos):
            album.index_faces(np.roll(paint((200, 200), {(40, 40, 160, 160): colour}), shift, 0))
    return album


def test_a_notebook_shows_the_faces_side_by_side_where_thumbnails_are_stored(case: Case, tmp_path: Path) -> None:
    groups: Any = indexed(case, tmp_path, thumbnails=True).groups()
    html = groups._repr_html_()

    assert html.count("<img") == 6 + 2
    assert html.count("<figure") == 2
    assert "1: 7 faces" in html
    assert all(group.group_id in html for group in groups)
    back = pickle.loads(pickle.dumps(groups))  # noqa: S301  # what was just written
    assert (back, back._repr_html_()) == (groups, html)


def test_a_notebook_shows_a_table_only_where_none_are_stored(case: Case, tmp_path: Path) -> None:
    groups: Any = indexed(case, tmp_path).groups()

    assert "<img" not in groups._repr_html_()
    assert groups[0].group_id in groups._repr_html_()


def test_the_audit_shows_the_faces_of_its_findings_and_its_value_has_none(case: Case, tmp_path: Path) -> None:
    album = indexed(case, tmp_path, thumbnails=True)
    for user_id, group in zip(("ada", "bob"), album.groups(), strict=True):
        album.create_user(user_id)
        album.associate_faces(user_id, group.face_ids[:2], user_match_threshold=0)
    twin = album.groups()[0].face_ids
    album.create_user("countess")
    album.associate_faces("countess", twin[:2], user_match_threshold=0)
    album.associate_faces("bob", twin[2:3], user_match_threshold=0)

    report = album.audit()

    assert [pair.user_ids for pair in report.same_person] == [("ada", "countess")]
    assert [face.face_id for face in report.misplaced] == [twin[2]]
    html = report._repr_html_()
    assert "this face" in html
    assert html.count("<img") == 2 + 2 + 1 + 3 + 2
    assert report == copy.copy(report)
    assert "<img" not in copy.copy(report)._repr_html_()
    assert json.dumps(attrs.asdict(report))


def test_a_group_that_was_set_aside_does_not_come_up_again_when_it_grows(album: fs.Collection) -> None:
    ada, bob = person(0, 5), person(1, 3)
    first = add_unknown(album, np.concatenate([ada[:2], bob]))
    stranger = next(group for group in album.groups() if first[0] in group.face_ids)

    album.set_aside(stranger)
    add_unknown(album, ada[2:])

    (other,) = album.groups()
    (aside,) = album.groups(set_aside=True)
    assert set(other.face_ids) == set(first[2:])
    assert (len(aside), aside.set_aside, other.set_aside) == (5, True, False)
    album.set_aside(aside, aside=False)
    assert [len(group) for group in album.groups()] == [5, 3]
