"""Open or closed eyes: what must not change the answer, and painted and photographed eyes of which it is known."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageDraw

import facesearch as fs
from facesearch.analysis.analyzer import default_analyzer
from facesearch.appearance.eyes import PATCH_SIZE, EyeState, cut_patch, eye_patch, eye_patches
from facesearch.common.arrays import PixelArray, PointArray
from facesearch.detection.landmarks import MIRROR
from samples import astronaut, hopper

STATE = EyeState()
seeds = st.integers(0, 2**32 - 1)


@cache
def painted(*, is_open: bool, size: int = 96, skin: tuple[int, int, int] = (200, 150, 120)) -> PixelArray:
    """Paint an eye in the middle of a square, corner to corner 1/1.7 of the side, below a brow."""
    side, dark = 8 * 96, tuple(value // 4 for value in skin)
    image = Image.new("RGB", (side, side), skin)
    draw = ImageDraw.Draw(image)
    middle, half = side / 2, side / 3.4
    draw.arc((middle - 1.2 * half, 0.12 * side, middle + 1.2 * half, 0.6 * side), 215, 325, fill=dark, width=side // 18)
    if is_open:
        almond = (middle - half, middle - 0.45 * half, middle + half, middle + 0.45 * half)
        draw.ellipse(almond, fill=(235, 230, 225))
        iris = 0.42 * half
        draw.ellipse((middle - iris, middle - iris, middle + iris, middle + iris), fill=(60, 40, 30))
        draw.arc(almond, 180, 360, fill=dark, width=side // 40)
    else:
        draw.arc(
            (middle - half, middle - 0.4 * half, middle + half, middle + 0.4 * half),
            10,
            170,
            fill=dark,
            width=side // 24,
        )
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def contour(center: tuple[float, float], width: float, turn: float = 0) -> PointArray:
    """Give the six points of an eye."""
    flat = np.array([(-0.5, 0), (-0.2, -0.15), (0.2, -0.15), (0.5, 0), (0.2, 0.15), (-0.2, 0.15)]) * width
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(flat @ rotation.T + center, np.float64)


def patch_of(crop: PixelArray) -> PixelArray:
    """Crop the patch around all of a square."""
    side = len(crop)
    return cut_patch(crop, np.full(2, (side - 1) / 2), np.array([float(side), 0.0]))


def open_probability(patches: PixelArray, state: EyeState = STATE) -> npt.NDArray[np.float64]:
    """Return the probability that the eyes of faces with this patch twice are open."""
    return state.face_open_probability(np.stack([patches, patches], axis=1))


def some_patches(seed: int, count: int) -> PixelArray:
    """Give painted eyes under noise."""
    rng = np.random.default_rng(seed)
    eyes = [patch_of(painted(is_open=bool(rng.integers(2)))) for _ in range(count)]
    noise = rng.normal(0, 20, (count, PATCH_SIZE, PATCH_SIZE, 3))
    return np.asarray(np.clip(np.reshape(eyes, noise.shape) + noise, 0, 255), np.uint8)


def both_eyes(photo: PixelArray) -> tuple[PointArray, npt.NDArray[np.float64]]:
    """Give the landmarks of the photograph's face, and how open its eyes are."""
    analyzer = default_analyzer()
    face = analyzer.aligner.align(photo, analyzer.detector.detect(photo)[0])
    points = analyzer.landmarker.locate(photo, face)
    return points, STATE.face_open_probability(eye_patches(photo, points)[None])


@given(seeds, st.integers(1, 5))
def test_a_batch_gives_what_single_eyes_give(seed: int, count: int) -> None:
    patches = some_patches(seed, count)

    single = [open_probability(patch[None])[0] for patch in patches]

    assert open_probability(patches) == pytest.approx(single, abs=1e-6)


@given(seeds)
def test_mirroring_a_patch_changes_nothing(seed: int) -> None:
    patches = some_patches(seed, 3)

    assert open_probability(patches[:, :, ::-1]) == pytest.approx(open_probability(patches), abs=1e-6)


@given(seeds)
def test_swapping_the_eyes_of_a_face_changes_nothing(seed: int) -> None:
    patches = some_patches(seed, 2)[None]

    assert STATE.face_open_probability(patches[:, ::-1]) == pytest.approx(
        STATE.face_open_probability(patches), abs=1e-6
    )


@given(seeds, st.integers(0, 60))
def test_brighter_by_the_same_everywhere_changes_nothing(seed: int, more: int) -> None:
    patches = np.clip(some_patches(seed, 2), 0, 255 - more).astype(np.uint8)
    brighter = (patches + more).astype(np.uint8)

    assert open_probability(brighter) == pytest.approx(open_probability(patches), abs=1e-4)


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("gain", [0.4, 0.7, 1.0])
@pytest.mark.parametrize("skin", [(225, 180, 155), (150, 105, 80)])
def test_painted_eyes_are_told_apart(*, is_open: bool, gain: float, skin: tuple[int, int, int]) -> None:
    pixels = np.asarray(painted(is_open=is_open, skin=skin) * gain, np.uint8)

    (probability,) = open_probability(patch_of(pixels)[None])

    assert (probability > 0.5) == is_open


@given(st.floats(-180, 180), st.floats(20, 60), st.floats(90, 110), st.floats(90, 110))
def test_a_patch_follows_the_eye(turn: float, width: float, x: float, y: float) -> None:
    """A ramp along the eye's own axis reads the same wherever the eye lies."""
    direction = np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
    rows, columns = np.mgrid[:200, :200]
    along = ((columns - x) * direction[0] + (rows - y) * direction[1]) / width
    pixels = np.repeat(np.clip(128 + 100 * along, 0, 255)[..., None], 3, axis=2).astype(np.uint8)

    patch = eye_patch(pixels, contour((x, y), width, turn)).astype(float)

    across = (np.arange(PATCH_SIZE) + 0.5) / PATCH_SIZE - 0.5
    expected = np.clip(128 + 100 * 1.7 * across, 0, 255)
    assert np.abs(patch.mean(axis=2) - expected).max() < 8


@given(st.integers(2, 6))
def test_size_hardly_changes_the_patch(factor: int) -> None:
    small = painted(is_open=True, size=64)
    large = small.repeat(factor, axis=0).repeat(factor, axis=1)
    center = np.array([31.5, 31.5])

    one = cut_patch(small, center, np.array([64.0, 0])).astype(float)
    other = cut_patch(large, (center + 0.5) * factor - 0.5, np.array([64.0 * factor, 0])).astype(float)

    assert np.abs(one - other).mean() < 3


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0, 300))
def test_eyes_outside_the_picture_get_a_patch(x: float, y: float, width: float) -> None:
    assert eye_patch(painted(is_open=True), contour((x, y), width)).shape == (PATCH_SIZE, PATCH_SIZE, 3)


@pytest.mark.parametrize("photo", [astronaut(), hopper()], ids=["astronaut", "hopper"])
def test_real_faces_look_at_the_camera(photo: PixelArray) -> None:
    points, (probability,) = both_eyes(photo)
    left, right = open_probability(eye_patches(photo, points))

    assert probability > 0.9
    assert left > 0.5
    assert right > 0.5


def test_a_mirrored_photograph_gives_about_the_same() -> None:
    photo = hopper()
    points, plain = both_eyes(photo)
    mirrored = points[MIRROR] * [-1, 1] + [photo.shape[1] - 1, 0]

    patches = eye_patches(np.ascontiguousarray(photo[:, ::-1]), mirrored)

    assert np.abs(patches[::-1].astype(float) - eye_patches(photo, points)).max() <= 2
    assert STATE.face_open_probability(patches[None]) == pytest.approx(plain, abs=0.02)


def test_nothing_in_nothing_out() -> None:
    assert STATE.logits(np.zeros((0, PATCH_SIZE, PATCH_SIZE, 3), np.uint8)).shape == (0,)
    assert STATE.face_open_probability(np.zeros((0, 2, PATCH_SIZE, PATCH_SIZE, 3), np.uint8)).shape == (0,)


def test_many_threads_may_share_one() -> None:
    state, patches = EyeState(), some_patches(0, 8)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: open_probability(patches, state).tolist(), range(8)))

    assert all(answer == answers[0] for answer in answers)


def test_inputs_stay_as_they_were() -> None:
    photo, eye = painted(is_open=True), contour((48, 48), 50, 10)
    before = photo.copy(), eye.copy()

    eye_patch(photo, eye)

    assert (photo == before[0]).all()
    assert (eye == before[1]).all()


def test_what_is_no_picture_or_eye_is_refused() -> None:
    picture = painted(is_open=True)
    with pytest.raises(fs.InvalidParameterError, match=r"pixels: expected uint8 RGB"):
        eye_patch(picture[..., 0], contour((48, 48), 50))
    with pytest.raises(fs.InvalidParameterError, match=r"eye: expected six finite points"):
        eye_patch(picture, np.full((6, 2), np.nan))
    with pytest.raises(fs.InvalidParameterError, match=r"points: expected 68 points"):
        eye_patches(picture, np.zeros((5, 2)))
    with pytest.raises(fs.InvalidParameterError, match=r"patches: expected uint8"):
        STATE.face_open_probability(np.zeros((1, 2, PATCH_SIZE, PATCH_SIZE, 3)))  # type: ignore[arg-type]  # what is tested
    with pytest.raises(fs.InvalidParameterError, match=r"patches: expected two eyes"):
        STATE.face_open_probability(np.zeros((1, 3, PATCH_SIZE, PATCH_SIZE, 3), np.uint8))
