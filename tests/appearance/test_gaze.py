"""Where the eyes look: the model's round trip, signs and symmetry, what can't be told, and painted eyes."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from skimage.draw import polygon2mask

import facesearch as fs
from facesearch.appearance.gaze import PUPIL_ORBIT, eye_direction
from facesearch.common.arrays import PixelArray, PointArray
from facesearch.detection.landmarks import MIRROR
from facesearch.detection.pose import REFERENCE, rotation_from_pose, solve_pose
from facesearch.detection.pupils import find_pupil
from facesearch.domain.face_detail import EyeDirection, Pose
from samples import astronaut, hopper

DATA = Path(os.environ.get("FACESEARCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
AHEAD = Pose(roll=0, yaw=0, pitch=0)
EYES = (slice(36, 42), slice(42, 48))
looks = st.tuples(st.floats(-35, 35), st.floats(-35, 35))
poses = st.builds(Pose, roll=st.floats(-180, 180), yaw=st.floats(-40, 40), pitch=st.floats(-40, 40))


def face(
    yaw: float, pitch: float, pose: Pose = AHEAD, scale: float = 100.0
) -> tuple[PointArray, PointArray, PointArray]:
    """Picture the reference face with eyes that look in a direction; give its points and pupils."""
    rotation = rotation_from_pose(pose)
    points = np.zeros((68, 2))
    points[list(REFERENCE)] = scale * np.array(list(REFERENCE.values())) @ rotation[:2].T + 500
    look = rotation_from_pose(Pose(roll=0, yaw=yaw, pitch=pitch)) @ (0, 0, -PUPIL_ORBIT)
    centers = np.array([(side * 0.49, -0.027, PUPIL_ORBIT - 0.01) for side in (-1, 1)])
    left, right = scale * (centers + look) @ rotation[:2].T + 500
    return points, left, right


def told(yaw: float, pitch: float, pose: Pose = AHEAD, scale: float = 100.0) -> EyeDirection:
    points, left, right = face(yaw, pitch, pose, scale)
    direction = eye_direction(points, left, right, pose=pose)
    assert direction is not None
    return direction


@given(looks, poses, st.floats(60, 1000))
def test_the_direction_comes_back_however_the_head_is_turned(
    look: tuple[float, float], pose: Pose, scale: float
) -> None:
    points, left, right = face(*look, pose, scale)
    direction = eye_direction(points, left, right, pose=pose)
    ahead = rotation_from_pose(pose) @ rotation_from_pose(Pose(roll=0, yaw=look[0], pitch=look[1])) @ (0, 0, -1)
    from_camera = math.degrees(math.acos(min(1.0, -ahead[2])))

    # Where the pupil turns out of sight, two directions give the same picture, and none is told.
    assert (direction is None) == (from_camera > 75) or from_camera == pytest.approx(75, abs=1e-6)
    if direction:
        assert (direction.yaw, direction.pitch) == pytest.approx(look, abs=1e-6)
        assert direction.confidence <= 75


@given(looks, poses)
def test_mirroring_negates_yaw_and_keeps_pitch_and_confidence(look: tuple[float, float], pose: Pose) -> None:
    points, left, right = face(*look, pose)
    right = right - [3, 1]  # so that the eyes disagree
    flip = np.array([-1, 1])
    here = eye_direction(points, left, right, pose=pose)
    there = eye_direction(
        (points * flip)[MIRROR], right * flip, left * flip, pose=Pose(roll=-pose.roll, yaw=-pose.yaw, pitch=pose.pitch)
    )

    assert (here is None) == (there is None)
    if here and there:
        assert (-there.yaw, there.pitch, there.confidence) == pytest.approx(
            (here.yaw, here.pitch, here.confidence), abs=1e-6
        )


def test_signs_are_those_of_the_pose() -> None:
    points, left, right = face(0, 0)

    def moved(x: float, y: float) -> EyeDirection | None:
        return eye_direction(points, left - [x, y], right - [x, y], pose=AHEAD)

    rightward, upward = moved(-5, 0), moved(0, 5)
    assert rightward
    assert upward
    assert rightward.yaw > 10
    assert upward.pitch > 10
    assert abs(rightward.pitch) + abs(upward.yaw) < 1


def test_what_cannot_be_told_is_absent() -> None:
    points, left, right = face(0, 0)
    closed = points.copy()
    closed[[37, 38, 40, 41, 43, 44, 46, 47], 1] = points[36, 1]

    assert eye_direction(*face(0, 0, scale=25), pose=AHEAD) is None  # 10 pixels wide
    assert eye_direction(closed, left, right, pose=AHEAD) is None
    for pose in (Pose(roll=0, yaw=50, pitch=0), Pose(roll=0, yaw=0, pitch=-50)):
        assert eye_direction(*face(0, 0, pose), pose=pose) is None
    assert eye_direction(points, left, right - [15, 0], pose=AHEAD) is None  # 60 degrees off
    assert eye_direction(points, left, right - [500, 0], pose=AHEAD) is None


def test_small_and_unlike_eyes_lower_the_confidence() -> None:
    points, left, right = face(0, 0)
    unlike = eye_direction(points, left - [3, 0], right - [-3, 0], pose=AHEAD)

    assert unlike
    assert told(0, 0, scale=40).confidence < told(0, 0).confidence
    assert unlike.confidence < told(0, 0).confidence
    assert (unlike.yaw, unlike.pitch) == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_not_a_face_is_refused_by_name(which: int) -> None:
    given_ = list(face(0, 0))
    for bad in (given_[which][:1], np.full_like(given_[which], math.nan)):
        arguments = [*given_[:which], bad, *given_[which + 1 :]]
        with pytest.raises(fs.InvalidParameterError, match=("points", "left_pupil", "right_pupil")[which]):
            eye_direction(*arguments, pose=AHEAD)


def enlarged(photo: Callable[[], PixelArray], analyzer: fs.FaceAnalyzer) -> tuple[PixelArray, PointArray]:
    """Give a photo at three times its size, and the landmarks of its surest face."""
    pixels = photo()
    points = analyzer.landmarker.locate(pixels, analyzer.aligner.align(pixels, analyzer.detector.detect(pixels)[0]))
    size = (pixels.shape[1] * 3, pixels.shape[0] * 3)
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)), points * 3 + 1


@pytest.mark.parametrize("photo", [astronaut, hopper])
def test_painted_eyes_are_told_by_their_pupils(photo: Callable[[], PixelArray], real: fs.FaceAnalyzer) -> None:
    pixels, points = enlarged(photo, real)
    pose = solve_pose(points)
    rotation = rotation_from_pose(pose)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    true, found = [], []
    for yaw in (-20, -10, 0, 10, 20):
        painted = pixels.copy()
        for side, eye in zip((-1, 1), EYES, strict=True):
            contour = points[eye]
            width = np.hypot(*(contour[3] - contour[0]))
            shift = rotation[:2] @ rotation_from_pose(Pose(roll=0, yaw=yaw, pitch=0)) @ (0, 0, -1)
            straight = rotation[:2] @ (0, 0, -1)
            iris = contour[[0, 3]].mean(axis=0) + width * (0.43 * (shift - straight) + [-0.015 * side, -0.1])
            lids = polygon2mask(painted.shape[:2], contour[:, ::-1])  # type: ignore[no-untyped-call]  # it has none
            painted[lids] = 220
            painted[lids & (np.hypot(columns - iris[0], rows - iris[1]) < 0.23 * width)] = 40
        direction = eye_direction(points, *(find_pupil(points[eye], painted) for eye in EYES), pose=pose)
        assert direction
        true.append(yaw)
        found.append(direction.yaw)

    assert found == sorted(found)
    assert np.corrcoef(true, found)[0, 1] > 0.98
    assert np.polyfit(true, found, 1)[0] == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("photo", [astronaut, hopper])
def test_a_photograph_and_its_mirror_image_look_opposite_ways(
    photo: Callable[[], PixelArray], real: fs.FaceAnalyzer
) -> None:
    def look(pixels: PixelArray) -> EyeDirection:
        aligned = real.aligner.align(pixels, real.detector.detect(pixels)[0])
        points = real.landmarker.locate(pixels, aligned)
        left, right = (find_pupil(points[eye], pixels) for eye in EYES)
        direction = eye_direction(points, left, right, pose=solve_pose(points))
        assert direction
        return direction

    pixels = photo()
    here, there = look(pixels), look(np.ascontiguousarray(pixels[:, ::-1]))
    assert here.yaw == pytest.approx(-there.yaw, abs=10)
    assert here.pitch == pytest.approx(there.pitch, abs=10)
    assert abs(here.yaw) < 25


def test_on_average_people_look_where_their_heads_point(real: fs.FaceAnalyzer) -> None:
    labels = DATA / "landmarks106" / "labels.json"
    if not labels.is_file():
        pytest.skip(f"no photographs in {labels.parent}: set FACESEARCH_DATA")
    forward = [
        name for name, each in json.loads(labels.read_text()).items() if each["work"]["orientation"] == "forward"
    ]
    found = [real.locate(labels.parent / "images" / name, attributes=["EYE_DIRECTION"])[:1] for name in forward[:40]]
    looks_of = [face.detail.eye_direction for faces in found for face in faces]
    looked = [(look.yaw, look.pitch) for look in looks_of if look is not None]

    assert len(looked) > 30
    assert np.abs(np.mean(looked, axis=0)).max() < 2.5  # degrees; one face deviates by 9 and 4.5
