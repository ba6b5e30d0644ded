"""How a head is turned: AWS's signs, and what turning and mirroring a picture does to them."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.common.arrays import PointArray
from facesearch.detection.landmarks import MIRROR
from facesearch.detection.pose import REFERENCE, rotation_from_pose, solve_pose

poses = st.builds(fs.Pose, roll=st.floats(-179, 179), yaw=st.floats(-70, 70), pitch=st.floats(-60, 60))
seeds = st.integers(0, 2**32 - 1)


def picture(pose: fs.Pose, *, size: float = 60, noise: float = 0, seed: int = 0) -> PointArray:
    """Project the reference face; the points it does not use stay in one place."""
    turned = np.array(list(REFERENCE.values())) @ rotation_from_pose(pose).T
    points = np.full((68, 2), 250.0)
    points[list(REFERENCE)] = turned[:, :2] * size + 250
    return points + np.random.default_rng(seed).normal(size=(68, 2)) * noise


def difference(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


@given(poses, st.floats(5, 500))
def test_the_pose_of_a_projection_comes_back(pose: fs.Pose, size: float) -> None:
    found = solve_pose(picture(pose, size=size))

    assert difference(found.roll, pose.roll) < 1e-6
    assert found.yaw == pytest.approx(pose.yaw, abs=1e-6)
    assert found.pitch == pytest.approx(pose.pitch, abs=1e-6)


@given(poses, seeds)
def test_mirroring_negates_roll_and_yaw_and_keeps_pitch(pose: fs.Pose, seed: int) -> None:
    points = picture(pose, noise=2, seed=seed)
    found, mirrored = solve_pose(points), solve_pose(points[MIRROR] * [-1, 1] + [500, 0])

    assert difference(mirrored.roll, -found.roll) < 1e-6
    assert mirrored.yaw == pytest.approx(-found.yaw, abs=1e-6)
    assert mirrored.pitch == pytest.approx(found.pitch, abs=1e-6)


@given(poses, seeds, st.floats(-180, 180))
def test_turning_the_picture_changes_roll_alone(pose: fs.Pose, seed: int, turn: float) -> None:
    points = picture(pose, noise=2, seed=seed)
    flat = rotation_from_pose(fs.Pose(roll=turn, yaw=0, pitch=0))[:2, :2]
    found, turned = solve_pose(points), solve_pose(points @ flat.T)

    assert difference(turned.roll, found.roll + turn) < 1e-6
    assert turned.yaw == pytest.approx(found.yaw, abs=1e-6)
    assert turned.pitch == pytest.approx(found.pitch, abs=1e-6)


@given(poses, seeds, st.floats(0.1, 10), st.floats(-1e4, 1e4))
def test_size_and_place_change_nothing(pose: fs.Pose, seed: int, scale: float, shift: float) -> None:
    points = picture(pose, noise=2, seed=seed)
    found, moved = solve_pose(points), solve_pose(points * scale + shift)

    assert difference(moved.roll, found.roll) < 1e-6
    assert moved.yaw == pytest.approx(found.yaw, abs=1e-6)
    assert moved.pitch == pytest.approx(found.pitch, abs=1e-6)


def test_signs_are_awss() -> None:
    straight = picture(fs.Pose(roll=0, yaw=0, pitch=0))
    to_the_right, up = straight.copy(), straight.copy()
    to_the_right[27:36, 0] += 8  # the nose, toward the picture's right
    up[27:36, 1] -= 8  # the nose, toward the brows
    clockwise = straight.copy()
    clockwise[42:48, 1] += 8  # the right eye is lower

    assert solve_pose(to_the_right).yaw > 3
    assert solve_pose(up).pitch > 3
    assert solve_pose(clockwise).roll > 1


# Nose fraction between eyes and mouth at AWS's pitch, from published example responses.
@pytest.mark.parametrize(("pitch", "fraction"), [(-10, 0.60), (-5, 0.55), (12.6, 0.43), (15.7, 0.38)])
def test_pitch_agrees_with_published_aws_responses(pitch: float, fraction: float) -> None:
    points = picture(fs.Pose(roll=0, yaw=0, pitch=pitch))
    eyes, mouth, nose = points[36:48].mean(axis=0)[1], points[[48, 54]].mean(axis=0)[1], points[30][1]

    assert (nose - eyes) / (mouth - eyes) == pytest.approx(fraction, abs=0.03)


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((68, 2)),
        np.column_stack([np.arange(68.0), np.arange(68.0)]),
        np.full((68, 2), np.nan),
        np.zeros((5, 2)),
    ],
)
def test_what_is_no_face_is_refused(points: PointArray) -> None:
    with pytest.raises(fs.InvalidParameterError, match="landmarks: expected"):
        solve_pose(points)
