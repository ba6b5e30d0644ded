"""Distance to percent: one pure, strictly decreasing function."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import facesearch as fs

distances = st.floats(0, 1e6)


@given(distances)
def test_similarity_is_a_percentage(distance: float) -> None:
    assert 0 <= fs.similarity(distance) <= 100


# Below 0.15 the steps are finer than a float of almost 100 can show.
@given(st.floats(0.15, 3), st.floats(1e-3, 1))
def test_similarity_falls_with_distance(distance: float, more: float) -> None:
    assert fs.similarity(distance + more) < fs.similarity(distance)


@given(distances, distances)
def test_similarity_never_rises_with_distance(one: float, other: float) -> None:
    assert fs.similarity(max(one, other)) <= fs.similarity(min(one, other))


def test_the_curve_goes_through_its_points() -> None:
    assert fs.similarity(0) == 100
    assert fs.similarity(0.6) == pytest.approx(80)
    assert fs.similarity(0.77) == pytest.approx(2)
    assert fs.similarity(1e300) < 1e-9


@given(st.floats(0.5, 99.9))
def test_distance_at_undoes_similarity(percent: float) -> None:
    assert fs.similarity(fs.distance_at(percent)) == pytest.approx(percent)


def test_the_ends_of_distance_at() -> None:
    assert fs.distance_at(100) == 0
    assert fs.distance_at(0) == math.inf


@pytest.mark.parametrize("distance", [-1e-9, math.nan, math.inf, "0.6", None])
def test_what_is_no_distance_is_refused(distance: float) -> None:
    with pytest.raises(fs.InvalidParameterError, match="distance: expected a finite number"):
        fs.similarity(distance)


@pytest.mark.parametrize("percent", [-1, 101, math.nan, "80"])
def test_what_is_no_percentage_is_refused(percent: float) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"percent: expected a finite number in \[0, 100\]"):
        fs.distance_at(percent)
