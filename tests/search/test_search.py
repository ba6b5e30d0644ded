"""The main path, with painted faces: partitions, prefixes, presence, and bad input."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.arrays import PixelArray
from facesearch.testing.fakes import fake_analyzer, paint

COLOURS = {"ada": (200, 30, 30), "bob": (30, 30, 200), "eve": (30, 200, 30)}
STRANGER = (120, 120, 30)


def people() -> fs.Collection:
    staff = fs.Collection("staff", analyzer=fake_analyzer())
    for name, colour in COLOURS.items():
        staff.enroll(name, [paint((100, 100), {(20, 20, 80, 80): colour})])
    return staff


STAFF = people()


@st.composite
def crowds(draw: st.DrawFn) -> tuple[PixelArray, list[tuple[tuple[int, int, int, int], tuple[int, int, int]]]]:
    """Draw a photo of up to nine painted faces of different sizes, no two touching."""
    faces = []
    sides = draw(st.lists(st.integers(20, 90), max_size=9, unique=True))
    for place, side in enumerate(sides):
        left, top = 100 * (place % 3) + 3, 100 * (place // 3) + 3
        colour = draw(st.sampled_from([*COLOURS.values(), STRANGER]))
        faces.append(((left, top, left + side, top + side), colour))
    return paint((300, 300), dict(faces)), faces


@settings(max_examples=40)
@given(crowds(), st.sampled_from(fs.QualityFilter), st.floats(0, 100))
def test_searched_and_unsearched_are_all_that_was_detected(
    crowd: tuple[PixelArray, list[Any]], bars: fs.QualityFilter, threshold: float
) -> None:
    photo, faces = crowd
    response = fs.search_users_by_image(STAFF, photo, quality_filter=bars, user_match_threshold=threshold)

    searched = [response.searched_face.face_detail] if response.searched_face else []
    unsearched = [face.face_details for face in response.unsearched_faces]
    assert len(searched) + len(unsearched) == len(faces)
    assert {detail.bounding_box for detail in searched + unsearched} == {
        detail.detail.bounding_box for detail in STAFF.analyzer.locate(photo)
    }
    assert all(face.reasons for face in response.unsearched_faces)
    assert response.searched_face or not response.user_matches
    assert all(match.similarity >= threshold for match in response.user_matches)


@settings(max_examples=40)
@given(crowds())
def test_the_largest_face_is_searched(crowd: tuple[PixelArray, list[Any]]) -> None:
    photo, faces = crowd
    response = fs.search_users_by_image(STAFF, photo)

    if not faces:
        assert response.searched_face is None
        return
    _, colour = max(faces, key=lambda face: face[0][2] - face[0][0])
    expected = [name for name, known in COLOURS.items() if known == colour]
    assert [match.user.user_id for match in response.user_matches] == expected
    assert all(face.reasons == (fs.UnsearchedFaceReason.FACE_NOT_LARGEST,) for face in response.unsearched_faces)


@settings(max_examples=20)
@given(crowds())
def test_a_mirrored_photo_gives_the_same_people_and_mirrored_boxes(crowd: tuple[PixelArray, list[Any]]) -> None:
    photo, _ = crowd
    one, other = (fs.search_users_by_image(STAFF, picture) for picture in (photo, photo[:, ::-1]))

    assert one.user_matches == other.user_matches
    if one.searched_face and other.searched_face:
        box, mirrored = one.searched_face.face_detail.bounding_box, other.searched_face.face_detail.bounding_box
        assert mirrored.left == pytest.approx(1 - box.left - box.width)


@settings(max_examples=20)
@given(crowds(), st.sampled_from(fs.QualityFilter))
def test_searching_all_faces_answers_for_each(crowd: tuple[PixelArray, list[Any]], bars: fs.QualityFilter) -> None:
    photo, faces = crowd
    single = fs.search_users_by_image(STAFF, photo, quality_filter=bars)
    responses = fs.search_all_faces(STAFF, photo, quality_filter=bars)

    refused = [face for face in single.unsearched_faces if face.reasons != (fs.UnsearchedFaceReason.FACE_NOT_LARGEST,)]
    assert len(responses) + len(refused) == len(faces)
    assert all(list(response.unsearched_faces) == refused for response in responses)
    if responses:
        assert responses[0].user_matches == single.user_matches
        assert responses[0].searched_face == single.searched_face


@settings(max_examples=20)
@given(crowds())
def test_the_same_photo_gives_the_same_answer_and_stays_as_it_was(crowd: tuple[PixelArray, list[Any]]) -> None:
    photo, _ = crowd
    before = photo.copy()

    assert fs.search_users_by_image(STAFF, photo) == fs.search_users_by_image(STAFF, photo)
    assert (photo == before).all()


def test_no_face_is_an_answer() -> None:
    response = fs.search_users_by_image(STAFF, np.zeros((100, 100, 3), np.uint8))

    assert fs.to_aws(response) == {"UserMatches": [], "FaceModelVersion": "0.0", "UnsearchedFaces": []}
    assert fs.search_all_faces(STAFF, np.zeros((100, 100, 3), np.uint8)) == ()


def test_nobody_known_is_an_answer() -> None:
    photo = paint((100, 100), {(20, 20, 80, 80): STRANGER})
    response = fs.search_users_by_image(STAFF, photo)

    assert response.searched_face
    assert response.user_matches == ()


def test_threshold_zero_is_a_threshold() -> None:
    photo = paint((100, 100), {(20, 20, 80, 80): STRANGER})

    assert len(fs.search_users_by_image(STAFF, photo, user_match_threshold=0).user_matches) == 3
    assert len(fs.search_users_by_image(STAFF, photo, user_match_threshold=0, max_users=2).user_matches) == 2


def test_when_every_face_is_filtered_the_reasons_remain() -> None:
    dark = paint((100, 100), {(20, 20, 80, 80): COLOURS["ada"]}) // 40
    response = fs.search_users_by_image(STAFF, dark, quality_filter="HIGH")

    assert response.searched_face is None
    assert response.user_matches == ()
    assert [[reason.value for reason in face.reasons] for face in response.unsearched_faces] == [["LOW_BRIGHTNESS"]]
    assert "SearchedFace" not in fs.to_aws(response)


def test_landmarks_are_five_by_default_and_thirty_with_all() -> None:
    photo = paint((100, 100), {(20, 20, 80, 80): STRANGER})

    def landmarks(*attributes: str) -> list[str]:
        searched = fs.search_users_by_image(STAFF, photo, attributes=attributes).searched_face
        assert searched
        return [landmark.type.value for landmark in searched.face_detail.landmarks or ()]

    assert landmarks("DEFAULT") == landmarks() == ["eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose"]
    assert landmarks("ALL", "DEFAULT") == [kind.value for kind in fs.LandmarkType]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_match_threshold": 101}, r"user_match_threshold: expected a finite number in \[0, 100\], got 101"),
        ({"user_match_threshold": -1}, "user_match_threshold"),
        ({"user_match_threshold": "80"}, "user_match_threshold"),
        ({"max_users": 0}, r"max_users: expected a whole number in \[1, 500\], got 0"),
        ({"max_users": 501}, "max_users"),
        ({"max_users": True}, "max_users"),
        ({"quality_filter": "auto"}, "quality_filter: expected one of NONE, AUTO, LOW, MEDIUM, HIGH, got 'auto'"),
        ({"attributes": ["SMILES"]}, "attributes: expected one of .*, got 'SMILES'"),
        ({"attributes": "ALL"}, r'attributes: expected a sequence such as \("ALL",\)'),
        ({"attributes": 7}, "attributes: expected a sequence"),
    ],
)
def test_bad_options_are_named_before_the_picture_is_looked_at(options: dict[str, Any], message: str) -> None:
    for search in (fs.search_users_by_image, fs.search_all_faces):
        with pytest.raises(fs.InvalidParameterError, match=message):
            search(STAFF, "no-such-photo.jpg", **options)


def test_a_missing_photo_is_named() -> None:
    with pytest.raises(fs.ImageNotFoundError, match=r"no-such-photo\.jpg"):
        fs.search_users_by_image(STAFF, "no-such-photo.jpg")


def test_searches_and_writes_may_run_at_once(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("busy", analyzer=fake)
    staff.enroll("ada", [paint((100, 100), {(20, 20, 80, 80): COLOURS["ada"]})])
    photo = paint((100, 100), {(10, 10, 80, 80): COLOURS["ada"]})
    faults: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(30):
                assert fs.search_users_by_image(staff, photo).user_matches[0].user.user_id == "ada"
        except BaseException as fault:  # noqa: BLE001  # told below, in the main thread
            faults.append(fault)

    def write(name: str) -> None:
        try:
            for step in range(100):
                staff.add_embedding(f"{name}{step}", np.random.default_rng(step).normal(size=128))
                if step % 3 == 0:
                    staff.delete_user(f"{name}{step}", faces=True)
        except BaseException as fault:  # noqa: BLE001  # told below, in the main thread
            faults.append(fault)

    threads = [threading.Thread(target=read) for _ in range(4)]
    threads += [threading.Thread(target=write, args=(name,)) for name in "xyzw"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(staff) == 1 + 4 * 66


def test_a_notebook_shows_the_faces_and_the_names() -> None:
    photo = paint((200, 300), {(10, 10, 80, 80): COLOURS["ada"], (150, 30, 200, 80): STRANGER})
    html = fs.search_users_by_image(STAFF, photo)._repr_html_()

    assert "data:image/jpeg;base64," in html
    assert html.count("<svg") == html.count("</svg>") == 2 + 1 + 2  # the photo's legend, and curves with theirs
    assert 'alt="a photo with its faces annotated: 1 searched and found, 1 not chosen"' in html
    assert ">ada</td>" in html
    assert ">100.00%</td>" in html
    assert ">fewer than 1 in 100,000</td>" in html
    assert "FACE_NOT_LARGEST" in html


def test_a_notebook_is_safe_from_what_a_payload_brings() -> None:
    box = fs.BoundingBox(width=0.5, height=0.5, left=0.2, top=0.2)
    response = fs.SearchUsersByImageResponse(
        searched_face=fs.SearchedFaceDetails(face_detail=fs.FaceDetail(bounding_box=box)),
        unsearched_faces=(fs.UnsearchedFace(face_details=fs.FaceDetail(bounding_box=box), reasons=()),),
    )

    html = response._repr_html_()  # without a photo and without reasons, as a response of AWS's may come
    assert (
        html.count("<img")
        == html.count('alt="a photo with its faces annotated: 1 searched, nobody known, 1 not chosen"')
        == 1
    )
    assert "nobody known" in html
    assert "No face" in fs.SearchUsersByImageResponse()._repr_html_()
