"""Photos made worse: by nothing, by a known amount, and by no more than asked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.benchmark import blurred, compressed, covered, darkened, shrunk
from facesearch.common.arrays import PixelArray
from samples import astronaut

PHOTO = np.ascontiguousarray(astronaut()[:160, 120:280])
BOX = fs.BoundingBox(left=0.25, top=0.25, width=0.5, height=0.5)


def test_nothing_asked_is_nothing_done() -> None:
    assert (blurred(PHOTO, 0) == PHOTO).all()
    assert (shrunk(PHOTO, 1) == PHOTO).all()
    assert (covered(PHOTO, BOX, 0) == PHOTO).all()
    assert np.abs(darkened(PHOTO, 1).astype(int) - PHOTO).mean() < 3  # the noise of good light
    assert np.abs(compressed(PHOTO, 95).astype(int) - PHOTO).mean() < 3


@given(st.floats(0, 1), st.floats(0, 1))
def test_less_light_is_darker(one: float, other: float) -> None:
    less, more = sorted((one, other))

    assert darkened(PHOTO, less).mean() <= darkened(PHOTO, more).mean() + 1


@given(st.floats(0, 8), st.floats(0.3, 8))
def test_more_blur_leaves_less_detail(sigma: float, more: float) -> None:
    def detail(pixels: Any) -> float:
        return float(np.abs(np.diff(pixels.astype(int), axis=1)).mean())

    assert detail(blurred(PHOTO, sigma + more)) <= detail(blurred(PHOTO, sigma)) + 1e-9


@given(st.floats(0.001, 1))
def test_a_smaller_photo_has_the_size_asked_for(factor: float) -> None:
    height, width = shrunk(PHOTO, factor).shape[:2]

    assert (height, width) == (max(1, round(160 * factor)), max(1, round(160 * factor)))


@given(st.floats(0, 1))
def test_a_cover_stays_within_the_box(share: float) -> None:
    changed = (covered(PHOTO, BOX, share) != PHOTO).any(axis=2)

    assert not changed[:40].any()
    assert not changed[120:].any()
    assert not changed[:, :40].any()
    assert not changed[:, 120:].any()
    assert changed[40:120].mean() <= share / 2 + 0.01


def test_the_same_arguments_give_the_same_photo_and_leave_the_argument_alone() -> None:
    before = PHOTO.copy()
    ways: list[Callable[[], PixelArray]] = [
        lambda: darkened(PHOTO, 0.05, seed=3),
        lambda: compressed(PHOTO, 10),
        lambda: covered(PHOTO, BOX, 0.5),
        lambda: blurred(PHOTO, 2.5),
        lambda: shrunk(PHOTO, 0.3),
    ]
    for worse in ways:
        assert (worse() == worse()).all()
    assert (before == PHOTO).all()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("sigma", lambda: blurred(PHOTO, -1)),
        ("light", lambda: darkened(PHOTO, 1.5)),
        ("seed", lambda: darkened(PHOTO, 0.5, seed=-1)),
        ("factor", lambda: shrunk(PHOTO, 0)),
        ("quality", lambda: compressed(PHOTO, 0)),
        ("share", lambda: covered(PHOTO, BOX, 2)),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, call: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=name):
        call()
