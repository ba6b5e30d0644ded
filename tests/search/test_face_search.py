"""Searches for faces, and for users without a photo: order, prefixes, who is left out, and bad input."""

from itertools import pairwise
from typing import Any

import botocore.session
import numpy as np
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings, strategies as st

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.arrays import FloatArray
from facesearch.testing.fakes import fake_analyzer, paint
from samples import astronaut, hopper

MODEL = botocore.session.get_session().get_service_model("rekognition")
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)
STRANGER = (120, 120, 30)
NOBODY = "00000000-0000-4000-8000-000000000000"
EMPTY = np.zeros((100, 100, 3), np.uint8)

Member = tuple[str, int]  # user, and where on a line the face's vector lies


def vector(place: int) -> FloatArray:
    """Give a vector; those of two places are 0.02 times their difference apart."""
    point = np.zeros(128, np.float32)
    point[:2] = 1, 0.02 * place
    return point


def collection(members: list[Member]) -> fs.Collection:
    people = fs.Collection("people", analyzer=fake_analyzer())
    for user_id, place in members:
        people.add_embedding(user_id, vector(place))
    return people


def painted() -> fs.Collection:
    """Give a collection of a red face of ada's, a blue one of bob's, and a green one of nobody's."""
    people = fs.Collection("people", analyzer=fake_analyzer())
    for user_id, colour in (("ada", RED), ("bob", BLUE)):
        people.enroll(user_id, [paint((100, 100), {(20, 20, 80, 80): colour})])
    people.index_faces(paint((100, 100), {(20, 20, 80, 80): GREEN}), external_image_id="green")
    return people


PAINTED = painted()
members = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 60)), min_size=1, max_size=10, unique=True)
thresholds = st.sampled_from([0.0, 1.0, 50.0, 80.0, 99.0, 100.0])


def silent(response: Any) -> bool:
    """Tell whether botocore's validator takes the answer as AWS's."""
    shape = MODEL.shape_for(type(response).__name__)
    return not ParamValidator().validate(fs.to_aws(response), shape).has_errors()


# ---------------------------------------------------------------- search_faces


@settings(max_examples=40)
@given(members, thresholds, st.data())
def test_the_nearest_faces_are_found_without_the_searched_one(
    drawn: list[Member], threshold: float, data: st.DataObject
) -> None:
    people = collection(drawn)
    face_id = data.draw(st.sampled_from([face.face_id for face in people.faces()]))

    response = fs.search_faces(people, face_id, face_match_threshold=threshold)

    probe = people.face_embedding(face_id)
    expected = []
    for face in people.faces():
        distance = float(np.linalg.norm(people.face_embedding(face.face_id) - probe))
        if face.face_id != face_id and people.calibration.similarity(distance) >= threshold:
            expected.append((distance, face.face_id, face))
    found = [match.face for match in response.face_matches]
    assert sorted(found, key=lambda face: face.face_id) == sorted(
        (face for *_, face in expected), key=lambda face: face.face_id
    )
    for one, other in pairwise(found):
        equally_near = (people.face_embedding(one.face_id) == people.face_embedding(other.face_id)).all()
        assert not equally_near or one.face_id < other.face_id
    assert [match.similarity for match in response.face_matches] == pytest.approx(
        [people.calibration.similarity(distance) for distance, *_ in sorted(expected, key=lambda each: each[:2])],
        abs=1e-2,
    )
    assert response.searched_face_id == face_id
    assert response.face_model_version == "0.0"
    assert silent(response)


@settings(max_examples=30)
@given(members, thresholds, st.integers(1, 12))
def test_fewer_faces_and_a_higher_threshold_give_a_beginning_of_the_same_list(
    drawn: list[Member], threshold: float, most: int
) -> None:
    people = collection(drawn)
    face_id = people.faces()[0].face_id
    everything = fs.search_faces(people, face_id, face_match_threshold=0).face_matches

    assert fs.search_faces(people, face_id, face_match_threshold=0, max_faces=most).face_matches == everything[:most]
    above = fs.search_faces(people, face_id, face_match_threshold=threshold).face_matches
    assert above == tuple(match for match in everything if match.similarity >= threshold)


@settings(max_examples=30)
@given(members, st.randoms(use_true_random=False))
def test_the_order_of_enrolment_does_not_matter(drawn: list[Member], random: Any) -> None:
    mixed = random.sample(drawn, len(drawn))
    one, other = collection(drawn), collection(mixed)

    for face in one.faces():
        assert fs.search_faces(one, face.face_id) == fs.search_faces(other, face.face_id)
        assert fs.search_users(one, face_id=face.face_id) == fs.search_users(other, face_id=face.face_id)
    for user in one.users():
        assert fs.search_users(one, user_id=user.user_id) == fs.search_users(other, user_id=user.user_id)


def test_faces_of_users_and_of_nobody_are_found() -> None:
    green = next(face for face in PAINTED.faces() if face.user_id is None)
    found = fs.search_faces(PAINTED, green.face_id, face_match_threshold=0).face_matches

    assert {match.face.user_id for match in found} == {"ada", "bob"}
    assert fs.search_faces(PAINTED, green.face_id).face_matches == ()


@pytest.mark.parametrize("face_id", ["x", "", None, 7, NOBODY.replace("-", "")])
def test_what_is_no_face_id_is_named(face_id: Any) -> None:
    for search in (fs.search_faces, lambda people, face_id: fs.search_users(people, face_id=face_id, user_id=None)):
        with pytest.raises(fs.InvalidParameterError, match="face_id"):
            search(PAINTED, face_id)


def test_an_unknown_face_is_named() -> None:
    with pytest.raises(fs.FaceNotFoundError, match=f"face_id: no face '{NOBODY}'"):
        fs.search_faces(PAINTED, NOBODY)
    with pytest.raises(fs.FaceNotFoundError, match=f"face_id: no face '{NOBODY}'"):
        fs.search_users(PAINTED, face_id=NOBODY)


# ---------------------------------------------------------------- search_faces_by_image


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(20, 90), st.sampled_from([RED, GREEN, BLUE, STRANGER])),
        max_size=9,
        unique_by=lambda face: face[0],
    ),
    st.sampled_from(fs.QualityFilter),
)
def test_the_largest_face_of_a_photo_is_searched_as_users_are(
    faces: list[tuple[int, tuple[int, int, int]]], bars: fs.QualityFilter
) -> None:
    corners = [(100 * (place % 3) + 3, 100 * (place // 3) + 3) for place in range(len(faces))]
    photo = paint(
        (300, 300),
        {
            (left, top, left + side, top + side): colour
            for (left, top), (side, colour) in zip(corners, faces, strict=True)
        },
    )

    response = fs.search_faces_by_image(PAINTED, photo, quality_filter=bars)

    searched = fs.search_users_by_image(PAINTED, photo, quality_filter=bars).searched_face
    if searched is None:
        assert response == fs.SearchFacesByImageResponse(face_model_version="0.0")
    else:
        assert response.searched_face_bounding_box == searched.face_detail.bounding_box
        assert response.searched_face_confidence == searched.face_detail.confidence == 100
    if bars is fs.QualityFilter.NONE and faces:
        _, colour = max(faces)
        whose = {RED: ["ada"], BLUE: ["bob"], GREEN: [None], STRANGER: []}[colour]
        assert [match.face.user_id for match in response.face_matches] == whose
    assert silent(response)


def test_a_filter_leaves_the_next_face_to_be_searched() -> None:
    photo = paint((200, 300), {(10, 10, 110, 110): RED, (150, 30, 230, 110): BLUE})
    photo[:120, :120] //= 40  # the larger one lies in the dark

    def found(bars: str) -> list[str | None]:
        matches = fs.search_faces_by_image(PAINTED, photo, quality_filter=bars, face_match_threshold=99).face_matches
        return [match.face.user_id for match in matches]

    assert found("NONE") != ["bob"]
    assert found("HIGH") == ["bob"]


def test_a_photo_finds_what_its_vector_finds() -> None:
    photo = paint((100, 100), {(20, 20, 80, 80): RED})
    ada = PAINTED.faces("ada")[0]

    by_image = fs.search_faces_by_image(PAINTED, photo, face_match_threshold=0)
    by_face = fs.search_faces(PAINTED, ada.face_id, face_match_threshold=0)

    assert by_image.face_matches == (fs.FaceMatch(similarity=100, face=ada), *by_face.face_matches)
    for most in (1, 2, 3, 4096):
        less = fs.search_faces_by_image(PAINTED, photo, face_match_threshold=0, max_faces=most)
        assert less.face_matches == by_image.face_matches[:most]


def test_no_face_in_a_photo_is_an_answer() -> None:
    response = fs.search_faces_by_image(PAINTED, EMPTY)

    assert fs.to_aws(response) == {"FaceMatches": [], "FaceModelVersion": "0.0"}


def test_a_face_finds_itself_mirrored_and_not_another_person(real: FaceAnalyzer) -> None:
    people = fs.Collection("people", analyzer=real)
    (eileen,) = people.index_faces(astronaut(), max_faces=1, external_image_id="eileen").face_records
    (grace,) = people.index_faces(hopper(), max_faces=1, external_image_id="grace").face_records
    people.create_user("eileen")
    people.associate_faces("eileen", [eileen.face.face_id])

    first, second = fs.search_faces_by_image(people, astronaut()[:, ::-1], face_match_threshold=0).face_matches
    assert (first.face.external_image_id, second.face.external_image_id) == ("eileen", "grace")
    assert first.face.user_id == "eileen"
    assert first.similarity > 99
    assert second.similarity < 80

    assert fs.search_faces(people, eileen.face.face_id).face_matches == ()
    (other,) = fs.search_faces(people, eileen.face.face_id, face_match_threshold=0).face_matches
    assert other.face.face_id == grace.face.face_id
    assert fs.search_users(people, face_id=grace.face.face_id).user_matches == ()
    assert fs.search_users(people, face_id=eileen.face.face_id).user_matches[0].user.user_id == "eileen"


def test_a_photo_is_not_searched_with_vectors_of_another_model() -> None:
    fake = fake_analyzer()
    people = fs.Collection("people", face_model=fake.face_model, calibration=fake.calibration)

    with pytest.raises(fs.FaceModelMismatchError):
        fs.search_faces_by_image(people, EMPTY)


# ---------------------------------------------------------------- search_users


@settings(max_examples=40)
@given(members, thresholds, st.integers(1, 5), st.data())
def test_users_like_a_user_are_those_like_its_vector_but_itself(
    drawn: list[Member], threshold: float, most: int, data: st.DataObject
) -> None:
    people = collection(drawn)
    user_id = data.draw(st.sampled_from([user.user_id for user in people.users()]))
    own = people.user_embedding(user_id)
    assert own is not None

    response = fs.search_users(people, user_id=user_id, user_match_threshold=threshold, max_users=most)

    like_it = people.search_embedding(own, user_match_threshold=threshold)
    assert response.user_matches == tuple(match for match in like_it if match.user.user_id != user_id)[:most]
    assert response.searched_user == fs.SearchedUser(user_id=user_id)
    assert response.searched_face is None
    assert silent(response)


@settings(max_examples=30)
@given(members, thresholds, st.integers(1, 5), st.data())
def test_users_like_a_face_are_those_like_its_vector(
    drawn: list[Member], threshold: float, most: int, data: st.DataObject
) -> None:
    people = collection(drawn)
    face = data.draw(st.sampled_from(people.faces()))

    response = fs.search_users(people, face_id=face.face_id, user_match_threshold=threshold, max_users=most)

    assert response.user_matches == people.search_embedding(
        people.face_embedding(face.face_id), user_match_threshold=threshold, max_users=most
    )
    assert response.searched_face == fs.SearchedFace(face_id=face.face_id)
    assert response.searched_user is None
    assert silent(response)


def test_a_user_without_faces_looks_like_nobody() -> None:
    people = collection([("ada", 1)])
    people.create_user("bob")

    response = fs.search_users(people, user_id="bob", user_match_threshold=0)
    assert fs.to_aws(response) == {
        "UserMatches": [],
        "FaceModelVersion": "0.0",
        "SearchedUser": {"UserId": "bob"},
    }
    assert fs.search_users(people, user_id="ada", user_match_threshold=0).user_matches == ()


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(fs.UserNotFoundError, match="user_id: no user 'eve'"):
        fs.search_users(PAINTED, user_id="eve")


@pytest.mark.parametrize("given_ids", [{}, {"user_id": "ada", "face_id": NOBODY}])
def test_one_of_user_and_face_is_given(given_ids: dict[str, Any]) -> None:
    with pytest.raises(fs.InvalidParameterError, match="user_id, face_id: expected exactly one of them, got"):
        fs.search_users(PAINTED, **given_ids)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"face_match_threshold": 100.5}, r"face_match_threshold: expected a finite number in \[0, 100\], got 100.5"),
        ({"face_match_threshold": -1}, "face_match_threshold"),
        ({"face_match_threshold": "80"}, "face_match_threshold"),
        ({"max_faces": 0}, r"max_faces: expected a whole number in \[1, 4096\], got 0"),
        ({"max_faces": 4097}, "max_faces"),
        ({"max_faces": True}, "max_faces"),
    ],
)
def test_bad_options_are_named_before_anything_is_looked_at(options: dict[str, Any], message: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=message):
        fs.search_faces(PAINTED, NOBODY, **options)
    with pytest.raises(fs.InvalidParameterError, match=message):
        fs.search_faces_by_image(PAINTED, "no-such-photo.jpg", **options)


def test_other_bad_options_are_named() -> None:
    with pytest.raises(fs.InvalidParameterError, match="quality_filter: expected one of NONE, AUTO"):
        fs.search_faces_by_image(PAINTED, "no-such-photo.jpg", quality_filter="auto")
    with pytest.raises(fs.InvalidParameterError, match="user_match_threshold"):
        fs.search_users(PAINTED, user_id="eve", user_match_threshold=101)
    with pytest.raises(fs.InvalidParameterError, match=r"max_users: expected a whole number in \[1, 500\]"):
        fs.search_users(PAINTED, face_id=NOBODY, max_users=501)
    with pytest.raises(fs.ImageNotFoundError, match=r"no-such-photo\.jpg"):
        fs.search_faces_by_image(PAINTED, "no-such-photo.jpg")
