"""The domain classes: what they accept, what they refuse, and that they stay as they are."""

import math
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.domain import entities as records, face_detail as face, geometry
from facesearch.responses import search_faces as face_results, search_users as results
from facesearch.testing.strategies import values

CLASSES = [
    kind
    for module in (geometry, face, records, results, face_results)
    for name in module.__all__
    if attrs.has(kind := getattr(module, name))
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_is_frozen_keyword_only_and_slotted(kind: type[Any]) -> None:
    assert all(field.kw_only for field in attrs.fields(kind))
    assert not hasattr(object.__new__(kind), "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(object.__new__(kind), attrs.fields(kind)[0].name, None)


@pytest.mark.parametrize("value", [0, 100, 99.5, np.float32(12.5), np.float64(1), np.int64(7)])
def test_percentages_become_plain_floats(value: Any) -> None:
    confidence = fs.Smile(value=True, confidence=value).confidence

    assert type(confidence) is float
    assert confidence == float(value)


@pytest.mark.parametrize("value", [-0.1, 100.1, math.nan, math.inf, "50", None, True, 1j, 10**400, np.float32("nan")])
def test_what_is_no_percentage_is_refused_by_name(value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"^confidence: expected a finite number in \[0, 100\], got "):
        fs.Smile(value=True, confidence=value)


@pytest.mark.parametrize("value", [-180.5, 181, math.nan])
@pytest.mark.parametrize("angle", ["roll", "yaw", "pitch"])
def test_what_is_no_angle_is_refused_by_name(angle: str, value: float) -> None:
    angles = {"roll": 0.0, "yaw": 0.0, "pitch": 0.0, angle: value}
    with pytest.raises(fs.InvalidParameterError, match=rf"^{angle}: expected a finite number in \[-180, 180\]"):
        fs.Pose(**angles)


@pytest.mark.parametrize("value", [1, 0, "True", None, np.True_])
def test_only_booleans_are_booleans(value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="value: expected True or False"):
        fs.Beard(value=value, confidence=50)


def test_boxes_may_leave_the_picture_but_have_no_negative_size() -> None:
    box = fs.BoundingBox(width=0.5, height=2, left=-0.25, top=1.5)

    assert box.area == 1
    assert box.to_pixels(100, 10) == (-25, 15, 25, 35)
    with pytest.raises(fs.InvalidParameterError, match="width"):
        fs.BoundingBox(width=-0.1, height=1, left=0, top=0)


def test_an_age_range_runs_upward() -> None:
    assert fs.AgeRange(low=20, high=20) == fs.AgeRange(low=np.int64(20).item(), high=20)
    with pytest.raises(fs.InvalidParameterError, match="high: expected a number >= low, which is 30, got 20"):
        fs.AgeRange(low=30, high=20)


@pytest.mark.parametrize("user_id", ["", "a b", "a/b", "ä", "x" * 129, 7, None, "a\n"])
def test_ids_have_awss_characters(user_id: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="user_id: expected 1 to 128 characters"):
        fs.User(user_id=user_id, user_status=fs.UserStatus.ACTIVE)


def test_enums_are_given_as_members() -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"user_status: expected a UserStatus \(ACTIVE, .*got 'ACTIVE'"):
        fs.User(user_id="ada", user_status="ACTIVE")  # type: ignore[arg-type]  # the point of the test


def test_sequences_are_tuples_of_the_right_class() -> None:
    wrong: Any
    for wrong in ([], "abc", (1,)):
        with pytest.raises(fs.InvalidParameterError, match="landmarks: expected a tuple, each item a Landmark"):
            fs.FaceDetail(bounding_box=fs.BoundingBox(left=0, top=0, width=1, height=1), landmarks=wrong)


@given(st.data())
@pytest.mark.parametrize("kind", sorted(set(CLASSES) - {fs.FaceModel}, key=str), ids=lambda kind: kind.__name__)
def test_values_are_equal_by_content_and_hashable(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(values(kind))

    twin = attrs.evolve(value)
    assert twin == value
    assert hash(twin) == hash(value)
