"""Our own landmarks and the alignment by them: chips that lie as dlib's, at any roll, at the picture's edge, from points or a box."""

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from facesearch.appearance.eyes import eye_patches
from facesearch.appearance.gaze import eye_direction
from facesearch.common.arrays import PixelArray, PointArray
from facesearch.detection.alignment import DlibAligner
from facesearch.detection.face_landmarks import FaceLandmarker, LandmarkAligner
from facesearch.detection.landmarks import IRISES, MIRROR, aws_landmarks, face_box
from facesearch.detection.pose import solve_pose
from facesearch.domain.face_detail import Pose
from facesearch.domain.geometry import LandmarkType
from facesearch.embedding.five_point_crop import cut_by_five_points
from facesearch.embedding.network_card import ARCFACE_TEMPLATE
from facesearch.errors import InvalidParameterError
from facesearch.images.crops import crop_similar
from facesearch.stages import CHIP_SIZE, Detection
from samples import astronaut, hopper

ALIGN, LOCATE = LandmarkAligner(), FaceLandmarker()
# Eyes, nose and corners of the mouth of the astronaut, and dlib's box of her.
FIVE = [(205.0, 115.0), (247.0, 114.0), (228.0, 138.0), (211.0, 155.0), (246.0, 154.0)]
BOX = Detection(left=170, top=69, right=279, bottom=178, confidence=100)
BY_POINTS = attrs.evolve(BOX, points=FIVE)


def points_of(pixels: PixelArray, detection: Detection) -> PointArray:
    return LOCATE.locate(pixels, ALIGN.align(pixels, detection))


def unit(points: PointArray) -> float:
    return float(np.linalg.norm(points[68] - points[69]))


def moved(one: PointArray, other: PointArray) -> float:
    """Mean distance of points but those of the jaw, over the distance of the irises."""
    return float(np.linalg.norm(one - other, axis=1)[17:].mean()) / unit(one)


def turned(degrees: float, detection: Detection) -> tuple[PixelArray, Detection, PointArray]:
    """Turn the astronaut clockwise around her face; give the picture, the detection and the transform of points."""
    angle = np.radians(degrees)
    linear = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    centre = np.array([(BOX.left + BOX.right) / 2, (BOX.top + BOX.bottom) / 2])
    shift = np.array([150.0, 150.0]) - linear @ centre
    pixels = crop_similar(astronaut(), np.column_stack([linear.T, -linear.T @ shift]), (300, 300))
    half = (BOX.right - BOX.left) / 2
    found = attrs.evolve(
        detection, left=150 - half, top=150 - half, right=150 + half, bottom=150 + half,
        quarter_turns=round(degrees / 90) % 4,
        points=None if detection.points is None else detection.points @ linear.T + shift,
    )  # fmt: skip
    return pixels, found, np.column_stack([linear, shift])


def test_points_and_box_lead_to_the_same_landmarks() -> None:
    assert moved(points_of(astronaut(), BY_POINTS), points_of(astronaut(), BOX)) < 0.02


def test_points_that_the_aligner_kept_are_as_good_as_those_of_another_pass() -> None:
    face = ALIGN.align(astronaut(), BY_POINTS)
    kept = LOCATE.locate(astronaut(), face)

    assert face.points is not None
    assert (kept[:68] == face.points[:68]).all()
    assert moved(kept, LOCATE.locate(astronaut(), attrs.evolve(face, points=None))) < 0.02


def test_points_of_a_face_that_stood_otherwise_than_detected_are_not_kept() -> None:
    pixels, detection, _ = turned(15, BOX)  # a box tells no roll

    assert ALIGN.align(pixels, detection).points is None


def test_what_the_aligner_kept_is_not_written_to() -> None:
    face = ALIGN.align(astronaut(), BY_POINTS)
    assert face.points is not None
    before = face.points.copy()
    LOCATE.locate(astronaut(), face)

    assert (face.points == before).all()


def test_the_irises_lie_in_the_eyes_and_are_awss_pupils() -> None:
    points = points_of(astronaut(), BY_POINTS)
    height, width = astronaut().shape[:2]
    found = {mark.type: (mark.x * width, mark.y * height) for mark in aws_landmarks(points, astronaut())}

    assert found[LandmarkType.LEFT_PUPIL] == pytest.approx(points[68])
    assert found[LandmarkType.RIGHT_PUPIL] == pytest.approx(points[69])
    for iris, eye in ((68, slice(36, 42)), (69, slice(42, 48))):
        assert np.linalg.norm(points[iris] - points[eye].mean(axis=0)) < 0.15 * unit(points)


def test_whatever_takes_68_points_takes_70_and_answers_alike() -> None:
    photo, points = astronaut(), points_of(astronaut(), BY_POINTS)
    pose, fewer = solve_pose(points), points[:68]

    assert pose == solve_pose(fewer)
    assert face_box(points, 512, 512) == face_box(fewer, 512, 512)
    assert (eye_patches(photo, points) == eye_patches(photo, fewer)).all()
    ours, as_dlibs = (eye_direction(each, *points[68:], pose=pose) for each in (points, fewer))
    assert ours
    assert as_dlibs
    assert ours.yaw == pytest.approx(as_dlibs.yaw, abs=0.5)
    assert 2 < ours.pitch - as_dlibs.pitch < 5  # degrees: the pupils at rest lie higher between dlib's points
    crops = [cut_by_five_points(photo, each, ARCFACE_TEMPLATE, (112, 112)) for each in (points, fewer)]
    assert (crops[0] == crops[1]).all()


@pytest.mark.parametrize("count", [0, 5, 67, 69, 71])
def test_other_numbers_of_points_are_refused(count: int) -> None:
    points = np.resize(points_of(astronaut(), BY_POINTS), (count, 2))

    for call in (
        lambda: solve_pose(points),
        lambda: eye_patches(astronaut(), points),
        lambda: eye_direction(points, np.zeros(2), np.zeros(2), pose=Pose(roll=0, yaw=0, pitch=0)),
        lambda: cut_by_five_points(astronaut(), points, ARCFACE_TEMPLATE, (112, 112)),
    ):
        with pytest.raises(InvalidParameterError, match=r"points|landmarks"):
            call()


def test_chips_lie_as_dlibs_do() -> None:
    theirs, ours = (aligner.align(astronaut(), BOX).to_picture for aligner in (DlibAligner(), ALIGN))
    places = np.array([(0.0, 0.0), (149, 0), (0, 149), (149, 149)])
    apart = (places @ (ours - theirs)[:, :2].T + (ours - theirs)[:, 2]) / np.hypot(*theirs[:, 0])

    assert np.linalg.norm(apart, axis=1).max() < 8  # pixels of 150


@pytest.mark.parametrize("degrees", [-170, -90, -40, 25, 60, 90, 180])
def test_points_turn_with_the_face(degrees: float) -> None:
    here = points_of(astronaut(), BY_POINTS)
    pixels, detection, transform = turned(degrees, BY_POINTS)

    assert moved(here @ transform[:, :2].T + transform[:, 2], points_of(pixels, detection)) < 0.03


@pytest.mark.parametrize("degrees", [-100, -90, -30, 30, 80, 90, 180, 200])
def test_a_box_with_quarter_turns_is_enough(degrees: float) -> None:
    here = points_of(astronaut(), BOX)
    pixels, detection, transform = turned(degrees, BOX)

    assert moved(here @ transform[:, :2].T + transform[:, 2], points_of(pixels, detection)) < 0.04


def test_a_mirrored_photo_has_mirrored_points() -> None:
    width = astronaut().shape[1]
    flip, flop = np.array([-1, 1]), np.array([width - 1, 0])
    mirrored = attrs.evolve(
        BOX, left=width - BOX.right, right=width - BOX.left, points=(np.array(FIVE) * flip + flop)[[1, 0, 2, 4, 3]]
    )
    there = points_of(np.ascontiguousarray(astronaut()[:, ::-1]), mirrored) * flip + flop

    assert moved(points_of(astronaut(), BY_POINTS), there[[*MIRROR, *IRISES[::-1]]]) < 0.03


@pytest.mark.parametrize(
    "cut", [(slice(100, 512), slice(0, 512)), (slice(0, 512), slice(220, 512)), (slice(0, 160), slice(0, 512))]
)
def test_a_face_cut_by_the_edge_keeps_the_points_that_are_seen(cut: tuple[slice, slice]) -> None:
    whole, corner = points_of(astronaut(), BY_POINTS), np.array([cut[1].start, cut[0].start])
    seen = np.ascontiguousarray(astronaut()[cut])
    found = points_of(seen, attrs.evolve(BY_POINTS, points=np.array(FIVE) - corner)) + corner
    inside = ((whole > corner) & (whole < corner + seen.shape[1::-1])).all(axis=1)

    assert np.isfinite(found).all()
    assert np.linalg.norm(found - whole, axis=1)[inside].mean() / unit(whole) < 0.12


@pytest.mark.parametrize("size", [3, 8, 20])
def test_a_tiny_face_has_finite_points_near_it(size: int) -> None:
    small = np.ascontiguousarray(astronaut()[60 : 190 : 130 // size or 1, 160 : 290 : 130 // size or 1])
    detection = Detection(left=0, top=0, right=small.shape[1], bottom=small.shape[0], confidence=60)
    points = points_of(small, detection)

    assert np.isfinite(points).all()
    assert np.abs(points - np.array(small.shape[1::-1]) / 2).max() < 3 * max(small.shape[:2])


@settings(max_examples=25)
@given(
    st.tuples(*[st.floats(-1000, 1000) | st.just(1e300)] * 2, *[st.floats(0, 500) | st.just(1e9)] * 2),
    st.integers(0, 3),
    st.none() | st.lists(st.tuples(*[st.floats(-500, 500) | st.just(1e9)] * 2), min_size=5, max_size=5),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_whatever_a_detector_says_the_chip_is_a_chip(
    box: tuple[float, float, float, float], turns: int, five: list[tuple[float, float]] | None, size: tuple[int, int]
) -> None:
    left, top, width, height = box
    detection = Detection(
        left=left, top=top, right=left + width, bottom=top + height, confidence=50, quarter_turns=turns, points=five
    )
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    face = ALIGN.align(noise, detection)

    assert face.chip.shape == (CHIP_SIZE, CHIP_SIZE, 3)
    assert np.isfinite(face.to_picture).all()
    assert np.isfinite(LOCATE.locate(noise, face)).all()


def test_the_picture_is_not_written_to_and_the_answer_repeats_itself() -> None:
    photo = astronaut().copy()
    photo.flags.writeable = False

    assert (points_of(photo, BY_POINTS) == points_of(photo, BY_POINTS)).all()
    assert (photo == astronaut()).all()


def test_threads_share_the_network() -> None:
    photos = [astronaut(), hopper()] * 8
    one_by_one = [points_of(photo, BOX) for photo in photos[:2]] * 8
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda photo: points_of(photo, BOX), photos))

    assert all((one == other).all() for one, other in zip(one_by_one, together, strict=True))


def _in_child() -> PointArray:
    return points_of(astronaut(), BY_POINTS)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # ONNX Runtime's threads: what this test is about
def test_a_forked_child_loads_the_network_anew() -> None:
    here = _in_child()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert (pool.apply(_in_child) == here).all()


def test_stages_can_be_pickled_and_are_equal() -> None:
    assert pickle.loads(pickle.dumps((ALIGN, LOCATE))) == (ALIGN, LOCATE)  # noqa: S301 - what was just written
