"""Comparing two photos: which faces match, in which order, what is told of them, and bad input."""

from typing import Any

import attrs
import botocore.session
import numpy as np
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings, strategies as st

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.arrays import PixelArray
from facesearch.testing.fakes import fake_analyzer, paint
from samples import astronaut, hopper

MODEL = botocore.session.get_session().get_service_model("rekognition")
FAKE = fake_analyzer()
COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
RED, GREEN, BLUE = COLOURS
EMPTY = np.zeros((100, 100, 3), np.uint8)

Face = tuple[int, tuple[int, int, int]]  # a side in pixels, and whose it is

crowds = st.lists(st.tuples(st.integers(20, 90), st.sampled_from(COLOURS)), max_size=9, unique_by=lambda face: face[0])
thresholds = st.sampled_from([0.0, 1e-3, 1.0, 80.0, 100.0])


def crowd(faces: list[Face]) -> PixelArray:
    """Paint up to nine faces, no two touching."""
    corners = [(100 * (place % 3) + 3, 100 * (place // 3) + 3) for place in range(len(faces))]
    boxes = [(left, top, left + side, top + side) for (left, top), (side, _) in zip(corners, faces, strict=True)]
    return paint((300, 300), dict(zip(boxes, (colour for _, colour in faces), strict=True)))


def compare(source: PixelArray, target: PixelArray, **options: Any) -> fs.CompareFacesResponse:
    return fs.compare_faces(source, target, analyzer=FAKE, **options)


def boxes(response: fs.CompareFacesResponse) -> list[fs.BoundingBox | None]:
    return [
        *(match.face.bounding_box for match in response.face_matches),
        *(f.bounding_box for f in response.unmatched_faces),
    ]


def silent(response: fs.CompareFacesResponse) -> bool:
    """Tell whether botocore's validator takes the answer as AWS's."""
    return not ParamValidator().validate(fs.to_aws(response), MODEL.shape_for("CompareFacesResponse")).has_errors()


@settings(max_examples=40)
@given(crowds, crowds, thresholds)
def test_matches_and_others_are_all_faces_of_the_target(own: list[Face], others: list[Face], threshold: float) -> None:
    response = compare(crowd(own), crowd(others), similarity_threshold=threshold)

    found = [face.detail.bounding_box for face in FAKE.locate(crowd(others))]
    assert len(boxes(response)) == len(others)
    assert set(boxes(response)) == set(found)
    scores = [match.similarity for match in response.face_matches]
    assert scores == sorted(scores, reverse=True)
    assert all(score >= threshold for score in scores)
    if own:
        largest = FAKE.locate(crowd(own))[0].detail
        assert response.source_image_face == fs.ComparedSourceImageFace(
            bounding_box=largest.bounding_box, confidence=100
        )
    else:
        assert response == fs.CompareFacesResponse(unmatched_faces=response.unmatched_faces)
        assert boxes(response) == found  # largest first
    assert silent(response)


@settings(max_examples=40)
@given(crowds.filter(bool), crowds)
def test_who_matches_is_the_largest_of_the_source(own: list[Face], others: list[Face]) -> None:
    response = compare(crowd(own), crowd(others))

    _, colour = max(own)
    assert [match.similarity for match in response.face_matches] == [100] * sum(each == colour for _, each in others)


@settings(max_examples=40)
@given(crowds.filter(bool), crowds, thresholds)
def test_the_threshold_only_cuts(own: list[Face], others: list[Face], threshold: float) -> None:
    everything = compare(crowd(own), crowd(others), similarity_threshold=0)
    cut = compare(crowd(own), crowd(others), similarity_threshold=threshold)

    assert everything.unmatched_faces == ()
    count = len(cut.face_matches)
    assert cut.face_matches == everything.face_matches[:count]
    assert cut.unmatched_faces == tuple(match.face for match in everything.face_matches[count:])
    assert all(match.similarity < threshold for match in everything.face_matches[count:])


@settings(max_examples=20)
@given(crowds.filter(bool), crowds)
def test_a_mirrored_target_gives_the_same_similarities(own: list[Face], others: list[Face]) -> None:
    one, other = (
        compare(crowd(own), photo, similarity_threshold=0) for photo in (crowd(others), crowd(others)[:, ::-1])
    )

    assert [match.similarity for match in one.face_matches] == [match.similarity for match in other.face_matches]


@settings(max_examples=20)
@given(st.sampled_from(COLOURS), st.sampled_from(COLOURS))
def test_two_faces_are_as_similar_the_other_way_round(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    photos = crowd([(60, one)]), crowd([(80, other)])
    there, back = (compare(*pair, similarity_threshold=0).face_matches[0] for pair in (photos, photos[::-1]))

    assert there.similarity == back.similarity


@pytest.mark.parametrize("bars", ["LOW", "HIGH"])
def test_a_filter_holds_for_both_photos(bars: str) -> None:
    photo = paint((200, 300), {(10, 10, 110, 110): RED, (150, 30, 230, 110): BLUE})
    photo[:120, :120] //= 40  # the larger one lies in the dark
    dark, light = FAKE.locate(photo)

    without = compare(photo, photo)
    assert without.source_image_face
    assert without.source_image_face.bounding_box == dark.detail.bounding_box
    assert set(boxes(without)) == {dark.detail.bounding_box, light.detail.bounding_box}

    filtered = compare(photo, photo, quality_filter=bars)
    assert filtered.source_image_face
    assert filtered.source_image_face.bounding_box == light.detail.bounding_box
    assert [match.similarity for match in filtered.face_matches] == [100]
    assert boxes(filtered) == [light.detail.bounding_box]

    none_left = compare(photo[:120, :120], photo[:120, :120], quality_filter=bars)
    assert fs.to_aws(none_left) == {"FaceMatches": [], "UnmatchedFaces": []}


def test_the_100_largest_faces_are_compared() -> None:
    sides = [20 + place % 7 for place in range(110)]
    corners = [(30 * (place % 11) + 2, 30 * (place // 11) + 2) for place in range(110)]
    photo = paint(
        (310, 340),
        {(left, top, left + side, top + side): RED for (left, top), side in zip(corners, sides, strict=True)},
    )

    response = compare(photo, photo)
    assert len(response.face_matches) == 100
    assert response.unmatched_faces == ()
    areas = [face.measurements.area for face in FAKE.locate(photo)]
    told = sorted((box.area * 310 * 340 for box in boxes(response) if box), reverse=True)
    assert told == pytest.approx(areas[:100])


def test_no_face_is_an_answer() -> None:
    photo = crowd([(60, RED), (80, GREEN)])

    assert fs.to_aws(compare(EMPTY, EMPTY)) == {"FaceMatches": [], "UnmatchedFaces": []}
    assert len(compare(EMPTY, photo, similarity_threshold=0).unmatched_faces) == 2
    nobody_there = compare(photo, EMPTY, similarity_threshold=0)
    assert nobody_there.source_image_face
    assert boxes(nobody_there) == []


def test_of_a_face_is_told_what_awss_shape_has_room_for() -> None:
    photo = crowd([(80, RED)])
    everything = FAKE.locate(photo, attributes=["ALL"])[0].detail

    def told(**options: Any) -> fs.ComparedFace:
        return compare(photo, photo, **options).face_matches[0].face

    by_default = told()
    assert by_default.landmarks == (everything.landmarks or ())[:5]
    for name in ("bounding_box", "confidence", "pose", "quality", "emotions", "smile"):
        assert getattr(by_default, name) == getattr(everything, name)
        assert getattr(by_default, name) is not None
    assert (
        told(attributes=["DEFAULT"])
        == told(attributes=["AGE_RANGE"])
        == attrs.evolve(by_default, emotions=None, smile=None)
    )
    assert told(attributes=["ALL"]) == attrs.evolve(by_default, landmarks=everything.landmarks)
    assert told(attributes=["SMILE"]) == attrs.evolve(by_default, emotions=None)


def test_a_face_finds_itself_mirrored_and_not_another_person(real: FaceAnalyzer) -> None:
    mirrored = fs.compare_faces(astronaut(), astronaut()[:, ::-1])
    assert mirrored == fs.compare_faces(astronaut(), astronaut()[:, ::-1], analyzer=real)
    assert mirrored.face_matches[0].similarity > 99
    assert mirrored.face_matches[0].face.smile
    assert mirrored.face_matches[0].face.smile.value

    stranger = fs.compare_faces(astronaut(), hopper())
    assert stranger.face_matches == ()
    assert stranger.source_image_face
    box = fs.detect_faces(astronaut())[0].bounding_box
    assert stranger.source_image_face.bounding_box == box

    both = np.concatenate([hopper()[:512], astronaut()], axis=1)
    response = fs.compare_faces(astronaut(), both)
    (match,) = response.face_matches
    assert match.face.bounding_box.left > 0.5
    assert response.unmatched_faces
    assert silent(response)


def test_photos_are_not_changed() -> None:
    photo = crowd([(60, RED), (80, GREEN)])
    before = photo.copy()
    assert compare(photo, photo) == compare(photo, photo)
    assert (photo == before).all()


def test_without_a_calibration_there_are_no_percentages() -> None:
    unknown = attrs.evolve(FAKE, calibration=None)

    with pytest.raises(fs.CalibrationError, match="no calibration for painted_faces"):
        fs.compare_faces("no-such-photo.jpg", "nor-this.jpg", analyzer=unknown)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity_threshold": 101}, r"similarity_threshold: expected a finite number in \[0, 100\], got 101"),
        ({"similarity_threshold": -0.1}, "similarity_threshold"),
        ({"similarity_threshold": "80"}, "similarity_threshold"),
        ({"quality_filter": "auto"}, "quality_filter: expected one of NONE, AUTO, LOW, MEDIUM, HIGH, got 'auto'"),
        ({"attributes": ["SMILES"]}, "attributes: expected one of .*, got 'SMILES'"),
        ({"attributes": "SMILE"}, "attributes: expected a sequence"),
    ],
)
def test_bad_options_are_named_before_a_picture_is_looked_at(options: dict[str, Any], message: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=message):
        fs.compare_faces("no-such-photo.jpg", "nor-this.jpg", **options)


def test_a_missing_photo_is_named() -> None:
    with pytest.raises(fs.ImageNotFoundError, match=r"no-such-photo\.jpg"):
        fs.compare_faces("no-such-photo.jpg", EMPTY)
    with pytest.raises(fs.ImageNotFoundError, match=r"no-such-photo\.jpg"):
        fs.compare_faces(EMPTY, "no-such-photo.jpg")
