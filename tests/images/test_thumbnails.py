"""Pictures of faces are kept only where they were asked for, and go with their faces."""

import io
import pickle
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

import facesearch as fs
from facesearch.common.arrays import PixelArray
from facesearch.images.stored_thumbnails import small_picture
from facesearch.images.thumbnails import Preview
from facesearch.storage.memory import MemoryStore
from facesearch.testing.fakes import fake_analyzer, paint

JPEG = b"\xff\xd8\xff"
RED, BLUE = (200, 30, 30), (30, 30, 200)


def staff(**options: Any) -> fs.Collection:
    people = fs.Collection("staff", analyzer=fake_analyzer(), **options)
    for name, colour in {"ada": RED, "bob": BLUE}.items():
        photos = [paint((100, 100), {(left, 20, left + 60, 80): colour}) for left in (10, 20, 30, 40)]
        assert people.enroll(name, photos, user_match_threshold=0).accepted == 4
    people.index_faces(paint((100, 100), {(20, 20, 80, 80): (30, 200, 30)}))
    return people


def photo() -> PixelArray:
    return paint((200, 300), {(10, 10, 80, 80): RED, (150, 30, 200, 80): BLUE})


def stored(people: fs.Collection) -> bytes:
    """All that the collection holds of its faces."""
    store = people._store
    assert isinstance(store, MemoryStore)
    entries = store._faces.values()
    return pickle.dumps([(entry.face, entry.embedding, entry.thumbnail) for entry in entries])


def test_by_default_no_picture_is_kept() -> None:
    people = staff()
    assert JPEG not in stored(people)
    assert {people.thumbnail(face.face_id) for face in people.faces()} == {None}
    response = fs.search_users_by_image(people, photo())
    assert response.pictures is None
    assert "<img" not in response._repr_html_()


def test_each_face_of_a_photo_has_a_small_picture_that_goes_with_it() -> None:
    people = staff(thumbnails=True)
    small = {face.face_id: people.thumbnail(face.face_id) for face in people.faces()}
    assert len(small) == 9
    for jpeg in small.values():
        assert jpeg
        assert len(jpeg) < 12_000
        with Image.open(io.BytesIO(jpeg)) as image:
            assert (image.format, image.size) == ("JPEG", (112, 112))
    assert stored(people).count(JPEG) == 9

    people.delete_user("ada", faces=True)
    assert stored(people).count(JPEG) == 5
    people.delete_user("bob")
    assert stored(people).count(JPEG) == 5  # nobody's now, but kept
    people.delete_faces([face.face_id for face in people.faces()])
    assert JPEG not in stored(people)
    with pytest.raises(fs.FaceNotFoundError, match="face_id: no face"):
        people.thumbnail(next(iter(small)))


def test_a_face_that_came_as_a_vector_has_no_picture() -> None:
    people = staff(thumbnails=True)
    face_id = people.add_embedding("eve", np.ones(128))
    assert people.thumbnail(face_id) is None
    probe = people.analyzer.analyze(photo())[0]
    everybody = people.rank(probe.embedding, user_match_threshold=0)[0]
    pictures = people.pictures(probe, everybody)
    assert pictures
    assert {user.user_id: len(user.thumbnails) for user in pictures.users} == {"ada": 3, "bob": 3, "eve": 0}


def test_a_user_who_was_deleted_meanwhile_is_left_out() -> None:
    people = staff(thumbnails=True)
    probe = people.analyzer.analyze(photo())[0]
    matches = people.rank(probe.embedding, user_match_threshold=0)[0]
    people.delete_user("bob", faces=True)
    pictures = people.pictures(probe, matches)
    assert pictures
    assert [user.user_id for user in pictures.users] == ["ada"]


def test_an_answer_carries_the_best_matches_pictures_and_can_drop_them() -> None:
    people = staff(thumbnails=True)
    response = fs.search_users_by_image(people, photo(), user_match_threshold=0)
    assert response.pictures
    assert [user.user_id for user in response.pictures.users] == ["ada", "bob"]
    kept = {people.thumbnail(face.face_id) for face in people.faces("ada")}
    assert set(response.pictures.users[0].thumbnails) <= kept
    assert response._repr_html_().count("<img") == 1 + 3 + 3

    bare = attrs.evolve(response, preview=None, pictures=None)
    assert bare == response
    assert JPEG not in pickle.dumps(bare)
    assert "jpeg" not in bare._repr_html_()
    assert "picture" not in repr(response).lower()
    assert "calibration" not in repr(response).lower()
    wire = fs.to_aws(response)
    assert not {"Pictures", "Calibration", "Preview"} & set(wire)
    assert fs.from_aws(wire, fs.SearchUsersByImageResponse) == response


def test_the_same_photo_gives_the_same_picture() -> None:
    one, other = (staff(thumbnails=True) for _ in range(2))
    assert [one.thumbnail(face.face_id) for face in one.faces()] == [
        other.thumbnail(face.face_id) for face in other.faces()
    ]


def test_thumbnails_is_a_yes_or_no() -> None:
    with pytest.raises(fs.InvalidParameterError, match="thumbnails: expected True or False, got 'yes'"):
        fs.Collection("staff", thumbnails="yes")  # type: ignore[arg-type]  # the point of the test


def test_something_else_in_the_place_of_a_picture_is_neither_given_out_nor_shown() -> None:
    people = staff(thumbnails=True)
    store = people._store
    assert isinstance(store, MemoryStore)
    ada = [face.face_id for face in people.faces("ada")]
    for face_id in ada:
        entry = store._faces[face_id]
        store._faces[face_id] = attrs.evolve(entry, thumbnail=b"%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(fs.StorageFormatError, match="is no JPEG of 112 x 112 pixels"):
        people.thumbnail(ada[0])
    response = fs.search_users_by_image(people, photo(), user_match_threshold=0)
    assert response.pictures
    assert {user.user_id: len(user.thumbnails) for user in response.pictures.users} == {"ada": 0, "bob": 3}


def test_a_kept_picture_is_decoded_at_any_small_size_and_nothing_else_is() -> None:
    for side in (1, 8, 640):
        shown = Preview.of(np.full((side, side, 3), 90, np.uint8))
        pixels = small_picture(shown.jpeg)
        assert pixels is not None
        assert pixels.shape == (shown.height, shown.width, 3)
    file = io.BytesIO()
    Image.new("RGB", (2000, 100)).save(file, "JPEG")
    for data in (file.getvalue(), b"", b"%!PS", shown.jpeg[:-20]):
        assert small_picture(data) is None
