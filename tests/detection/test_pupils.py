"""The pupils, in painted eyes and in real ones."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

import facesearch as fs
from facesearch.common.arrays import PixelArray, PointArray
from facesearch.detection.landmarks import MIRROR
from facesearch.detection.pupils import find_pupil
from samples import astronaut, hopper

EYE = np.array([(-0.5, 0), (-0.2, -0.16), (0.2, -0.16), (0.5, 0), (0.2, 0.14), (-0.2, 0.14)])  # widths of the eye
MIRRORED_EYE = [3, 2, 1, 0, 5, 4]
EYES = (slice(36, 42), slice(42, 48))
SIDE, FINER = 160, 3


def painted(
    pupil: tuple[float, float] | None, *, width: float = 40, degrees: float = 0
) -> tuple[PointArray, PointArray, PixelArray]:
    """Paint an eye, or the line of a closed one; give its contour, its pupil and the picture. *pupil* is in widths."""
    turn = np.radians(degrees)
    frame = width * np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
    middle = np.array([SIDE / 2 + 0.3, SIDE / 2 - 0.2])
    at = (np.arange(SIDE * FINER) + 0.5) / FINER - 0.5
    x, y = np.moveaxis((np.stack(np.meshgrid(at, at), axis=-1) - middle) @ np.linalg.inv(frame), -1, 0)
    lids = 0.17 * (1 - (2 * x) ** 2)
    if pupil is None:
        fine = np.where((np.abs(y) < 0.03) & (np.abs(x) < 0.5), 60.0, 170.0)
    else:
        iris = np.hypot(x - pupil[0], y - pupil[1]) < 0.22
        fine = np.where(np.abs(y) < lids, np.where(iris, 50.0, 215.0), 170.0)
    grey = fine.reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3)).round().astype(np.uint8)
    return EYE @ frame + middle, np.array(pupil or (0, 0)) @ frame + middle, np.repeat(grey[..., None], 3, axis=2)


def located(analyzer: fs.FaceAnalyzer, pixels: PixelArray) -> PointArray:
    """Find the landmarks of the surest face."""
    return analyzer.landmarker.locate(pixels, analyzer.aligner.align(pixels, analyzer.detector.detect(pixels)[0]))


@given(st.floats(-0.2, 0.2), st.floats(-0.08, 0.03), st.floats(8, 90), st.floats(-180, 180))
def test_it_is_found_at_any_size_and_tilt(x: float, y: float, width: float, degrees: float) -> None:
    eye, pupil, pixels = painted((x, y), width=width, degrees=degrees)

    assert np.hypot(*(find_pupil(eye, pixels) - pupil)) < 0.08 * width


@given(st.floats(-0.2, 0.2), st.floats(-0.08, 0.03), st.floats(-180, 180))
def test_mirroring_the_picture_mirrors_it(x: float, y: float, degrees: float) -> None:
    eye, _, pixels = painted((x, y), degrees=degrees)
    here = find_pupil(eye, pixels)
    there = find_pupil((eye * [-1, 1] + [SIDE - 1, 0])[MIRRORED_EYE], pixels[:, ::-1])

    assert there * [-1, 1] + [SIDE - 1, 0] == pytest.approx(here, abs=0.1)


@given(st.integers(0, 2**32 - 1), st.floats(1, 200), st.floats(-180, 180), st.floats(-50, 250), st.floats(-50, 250))
def test_it_stays_near_the_middle_whatever_is_there(
    seed: int, width: float, degrees: float, x: float, y: float
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    turn = np.radians(degrees)
    eye = width * EYE @ [(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))] + [x, y]
    before, contour = pixels.copy(), eye.copy()
    pupil = find_pupil(eye, pixels)

    assert np.hypot(*(pupil - eye.mean(axis=0))) <= 0.42 * width
    assert np.array_equal(find_pupil(eye, pixels), pupil)
    assert np.array_equal(pixels, before)
    assert np.array_equal(eye, contour)


def test_in_a_closed_eye_it_is_about_the_middle() -> None:
    eye, middle, pixels = painted(None)

    assert find_pupil(eye, pixels) == pytest.approx(middle, abs=0.08 * 40)


def test_behind_dark_glasses_it_is_where_pupils_mostly_are() -> None:
    eye, _, _ = painted((0, 0))
    pixels = np.random.default_rng(0).integers(18, 22, (SIDE, SIDE, 3), dtype=np.uint8)
    upward = eye.mean(axis=0) - [0, 0.05 * 40]

    assert find_pupil(eye, pixels) == pytest.approx(upward, abs=0.03 * 40)


def test_without_anything_to_see_it_is_the_middle() -> None:
    eye, _, pixels = painted((0.1, 0))
    middle = eye.mean(axis=0)

    assert find_pupil(eye, np.full_like(pixels, 128)) == pytest.approx(middle)  # evenly grey
    assert find_pupil(eye / 20, pixels) == pytest.approx(middle / 20)  # too small
    assert find_pupil(eye + 1000, pixels) == pytest.approx(middle + 1000)  # outside the picture


@pytest.mark.parametrize("photo", [astronaut, hopper])
def test_a_photograph_its_mirror_image_and_its_half_show_the_same_pupils(
    photo: Callable[[], PixelArray], real: fs.FaceAnalyzer
) -> None:
    pixels = photo()
    points = located(real, pixels)
    here = np.array([find_pupil(points[eye], pixels) for eye in EYES])
    apart = float(np.hypot(*(here[1] - here[0])))

    flip, flop = np.array([-1, 1]), np.array([pixels.shape[1] - 1, 0])
    mirrored = (points * flip + flop)[MIRROR]
    there = np.array([find_pupil(mirrored[eye], pixels[:, ::-1]) for eye in EYES])
    assert (there * flip + flop)[::-1] == pytest.approx(here, abs=0.001 * apart)

    half = np.asarray(Image.fromarray(pixels).reduce(2))
    smaller = np.array([find_pupil(points[eye] / 2 - 0.25, half) for eye in EYES])
    assert smaller * 2 + 0.5 == pytest.approx(here, abs=0.02 * apart)
