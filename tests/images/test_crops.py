"""Turned crops: the right pixels, the picture's edge repeated, and the transform that points define."""

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

import facesearch as fs
from facesearch.common.arrays import PixelArray, PointArray
from facesearch.images.crops import crop_box, crop_similar, similarity
from facesearch.testing.strategies import bounding_boxes

SQUARE = np.array([(10.0, 10.0), (90.0, 10.0), (10.0, 90.0), (90.0, 90.0)])


def slope(width: int = 240, height: int = 200) -> PixelArray:
    """A picture that tells its places: red grows to the right, green downward."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


def transform(scale: float, degrees: float, x: float, y: float) -> PointArray:
    angle = np.radians(degrees)
    turn = scale * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    return np.column_stack([turn, (x, y)])


@given(st.floats(0.3, 3.5), st.floats(-180, 180), st.booleans())
def test_a_pixel_of_the_crop_shows_its_place_in_the_picture(scale: float, degrees: float, quick: bool) -> None:
    middle = np.array([120.0, 100.0])
    to_picture = transform(scale, degrees, 0, 0)
    to_picture[:, 2] = middle - to_picture[:, :2] @ (9.5, 7.5)
    crop = crop_similar(slope(), to_picture, (20, 16), quick=quick)
    x, y = np.meshgrid(np.arange(20), np.arange(16))
    places = np.stack([x, y], axis=2) @ to_picture[:, :2].T + to_picture[:, 2]

    assert crop.shape == (16, 20, 3)
    assert crop.dtype == np.uint8
    assert np.abs(crop[..., :2] - places).max() < 2


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("place", [(-500.0, 50.0), (500.0, 50.0), (50.0, -500.0), (50.0, 500.0)])
def test_beyond_the_picture_its_edge_is_repeated(place: tuple[float, float], quick: bool) -> None:
    picture = slope()
    crop = crop_similar(picture, transform(1, 0, *place), (8, 8), quick=quick)
    x, y = (np.clip(np.arange(8) + first, 0, last - 1) for first, last in zip(place, (240, 200), strict=True))

    assert (crop == picture[y.astype(int)][:, x.astype(int)]).all()


@given(st.floats(0.3, 5), st.floats(-180, 180), st.floats(-60, 240), st.floats(-60, 200))
def test_beyond_the_picture_it_is_black_where_asked(scale: float, degrees: float, x: float, y: float) -> None:
    to_picture = transform(scale, degrees, x, y)
    wide = np.pad(slope() + np.uint8(10), [(700, 700), (700, 700), (0, 0)])
    there = to_picture + np.array([(0, 0, 700), (0, 0, 700)])

    black = crop_similar(slope() + np.uint8(10), to_picture, (20, 16), black=True)
    assert np.abs(black.astype(int) - crop_similar(wide, there, (20, 16))).max() <= 1


@pytest.mark.parametrize("quick", [False, True])
def test_a_larger_picture_is_averaged(quick: bool) -> None:
    checks = ((np.indices((300, 300)).sum(axis=0) % 2) * 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    crop = crop_similar(checks, transform(6, 0, 20.5, 20.5), (40, 40), quick=quick)

    assert np.abs(crop.astype(int) - 127).max() <= 1


@given(st.floats(0.05, 20), st.floats(-180, 180), st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_points_define_the_transform_that_moved_them(scale: float, degrees: float, x: float, y: float) -> None:
    wanted = transform(scale, degrees, x, y)
    found = SQUARE @ wanted[:, :2].T + wanted[:, 2]

    assert similarity(found, SQUARE) == pytest.approx(wanted, abs=1e-6 * max(1, abs(x), abs(y)))


def test_it_is_the_one_of_least_squares_in_the_crop() -> None:
    found = SQUARE * 2 + np.random.default_rng(0).normal(size=SQUARE.shape) * 5
    (x, y), ones, none = found.T, np.ones(4), np.zeros(4)
    system = np.concatenate([np.stack([x, -y, ones, none], axis=1), np.stack([y, x, none, ones], axis=1)])
    a, b, c, d = np.linalg.lstsq(system, SQUARE.T.ravel(), rcond=None)[0]
    inverse = np.linalg.inv(np.array([(a, -b, c), (b, a, d), (0, 0, 1)]))

    assert similarity(found, SQUARE) == pytest.approx(inverse[:2])


def test_the_crop_of_a_box_shows_the_face_in_its_middle() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[100:200, 150:250] = 255

    crop = crop_box(pixels, fs.BoundingBox(left=150 / 400, top=100 / 300, width=100 / 400, height=100 / 300))

    assert crop is not None
    assert crop.shape == (112, 112, 3)
    assert (crop[20:92, 20:92] == 255).all()
    assert (crop[:12] == 0).all()
    assert (crop[:, -12:] == 0).all()


@given(bounding_boxes(), st.integers(1, 60), st.integers(1, 60))
@example(fs.BoundingBox(left=-1e6, top=-1e6, width=1e6, height=1e6), 60, 60)
@example(fs.BoundingBox(left=-9, top=-9, width=1e6, height=1e6), 1, 60)
def test_any_box_has_a_crop_or_none(box: fs.BoundingBox, width: int, height: int) -> None:
    crop = crop_box(np.zeros((height, width, 3), np.uint8), box)

    assert crop is None or crop.shape == (112, 112, 3)
