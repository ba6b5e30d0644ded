"""AWS's 30 landmarks, the pupils, and the box, from 68 points."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.common.arrays import PointArray
from facesearch.detection.landmarks import MIRROR, aws_landmarks, face_box
from facesearch.stages import Detection
from facesearch.testing.fakes import FakeAligner, FakeLandmarker

GREY = np.full((400, 500, 3), 128, np.uint8)
BOX = Detection(left=150, top=100, right=290, bottom=260, confidence=100)
FACE = FakeLandmarker().locate(GREY, FakeAligner().align(GREY, BOX))


def turned(points: PointArray, degrees: float) -> PointArray:
    """Turn points about the middle of the face."""
    center = FACE.mean(axis=0)
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    result: PointArray = (points - center) @ rotation.T + center
    return result


def test_mirroring_twice_is_nothing() -> None:
    assert sorted(MIRROR) == list(range(68))
    assert [MIRROR[MIRROR[point]] for point in range(68)] == list(range(68))


def test_landmarks_come_in_awss_order_and_left_is_the_viewers() -> None:
    landmarks = aws_landmarks(FACE, GREY)
    at = {mark.type: (mark.x * 500, mark.y * 400) for mark in landmarks}

    assert [mark.type for mark in landmarks] == list(fs.LandmarkType)
    assert at[fs.LandmarkType.EYE_LEFT] == at[fs.LandmarkType.LEFT_PUPIL]
    assert at[fs.LandmarkType.LEFT_EYE_LEFT][0] < at[fs.LandmarkType.LEFT_EYE_RIGHT][0]
    assert at[fs.LandmarkType.LEFT_EYE_RIGHT][0] < at[fs.LandmarkType.RIGHT_EYE_LEFT][0]
    assert at[fs.LandmarkType.LEFT_EYE_UP][1] < at[fs.LandmarkType.LEFT_EYE_DOWN][1]


@given(st.floats(-180, 180))
def test_names_turn_with_the_head(degrees: float) -> None:
    def points(face: PointArray) -> PointArray:
        return np.array([(mark.x * 500, mark.y * 400) for mark in aws_landmarks(face, GREY)])

    assert points(turned(FACE, degrees)) == pytest.approx(turned(points(FACE), degrees), abs=1e-6)


def test_the_box_is_awss_portrait_from_hairline_to_chin() -> None:
    box = face_box(FACE, 500, 400)
    left, top, right, bottom = box.to_pixels(500, 400)
    eyes, chin = FACE[36:48, 1].mean(), FACE[:, 1].max()

    assert bottom == pytest.approx(chin)
    assert 0.67 < (eyes - top) / (chin - eyes) < 0.79  # published AWS responses, B19
    assert FACE[0, 0] < left
    assert right < FACE[16, 0]  # the jawline's ends lie slightly outside


@given(st.floats(0.1, 10), st.floats(-1000, 1000))
def test_the_box_moves_and_grows_with_the_face(scale: float, shift: float) -> None:
    one = face_box(FACE, 1, 1)
    other = face_box(FACE * scale + shift, 1, 1)

    assert other.width == pytest.approx(one.width * scale)
    assert other.left == pytest.approx(one.left * scale + shift, abs=1e-6)


@given(st.floats(-180, 180))
def test_the_box_of_a_turned_face_is_around_its_middle_and_no_larger_than_its_longer_side(degrees: float) -> None:
    upright, tilted = face_box(FACE, 1, 1), face_box(turned(FACE, degrees), 1, 1)

    assert max(tilted.width, tilted.height) <= max(upright.width, upright.height) + 1e-6
    assert min(tilted.width, tilted.height) >= min(upright.width, upright.height) - 1e-6
