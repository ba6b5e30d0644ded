"""Pictures of faces are kept only where they were asked for, and go with their faces."""

import copy
import io
import pickle
import weakref
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

import facesearch as fs
from facesearch.common.arrays import PixelArray
from facesearch.images.stored_thumbnails import small_picture
from facesearch.images.thumbnails import LazyJpeg, Pictures, Preview
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
    assert response._repr_html_().count("<img") == 1  # the annotated photo


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
    assert (
        response._repr_html_().count("<img") == 1 + 1 + 3 + 3
    )  # the annotated photo, the searched face, those of two users

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


class Encoder:
    """Counts how often it encodes."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return JPEG


def test_a_picture_is_encoded_once_when_it_is_first_read() -> None:
    encoder = Encoder()
    later = LazyJpeg(encoder)
    assert encoder.calls == 0
    assert [later.read(), later.read()] == [JPEG, JPEG]
    assert encoder.calls == 1


def test_only_the_newest_pictures_wait_with_their_pixels() -> None:
    encoders = [Encoder() for _ in range(30)]
    kept = [LazyJpeg(encoder) for encoder in encoders]
    assert [encoder.calls for encoder in encoders] == [1] * 22 + [0] * 8
    assert {each.read() for each in kept} == {JPEG}
    assert {encoder.calls for encoder in encoders} == {1}


def test_a_picture_that_was_dropped_is_never_encoded() -> None:
    encoders = [Encoder() for _ in range(30)]
    for encoder in encoders:
        LazyJpeg(encoder)
    assert not any(encoder.calls for encoder in encoders)


@pytest.mark.parametrize("shape", [(480, 640), (700, 1300), (3000, 4000), (1, 641), (1921, 80)])
def test_a_preview_knows_its_size_before_it_is_encoded_and_lets_go_of_the_pixels_then(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    shown, held = Preview.of(pixels), weakref.ref(pixels)
    with Image.open(io.BytesIO(shown.jpeg)) as image:
        assert image.size == (shown.width, shown.height)
    assert max(shown.width, shown.height) <= 640
    del pixels
    assert held() is None


def test_unread_pictures_are_compared_copied_and_pickled_by_their_file() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    preview, pictures = Preview.of(pixels), Pictures(searched=Encoder(), users=())
    assert preview == Preview.of(pixels) != Preview.of(255 - pixels)
    assert hash(preview) == hash(Preview.of(pixels))
    for value in (preview, pictures, Preview.of(pixels)):
        for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), attrs.evolve(value)):  # noqa: S301  # our own
            assert twin == value
    assert b"\xff\xd8\xff" in pickle.dumps(Preview.of(pixels))
    assert len(pickle.dumps(Preview.of(pixels))) < pixels.nbytes


def test_a_search_encodes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    people = staff(thumbnails=True)
    saved: list[str] = []
    save = Image.Image.save

    def counted(image: Image.Image, *arguments: Any, **options: Any) -> None:
        saved.append(image.mode)
        save(image, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", counted)
    response = fs.search_users_by_image(people, photo())
    fs.to_aws(response)
    assert saved == []
    assert response._repr_html_() == response._repr_html_()
    assert len(saved) == 2 + 2  # the preview and the searched face once, the annotated photo each time
