"""What a detection holds."""

import copy
import pickle
from typing import Any

import attrs
import numpy as np
import pytest

import facesearch as fs
from facesearch.stages import Detection

POINTS = [(30.0, 40.0), (70, 40), (50, 60), (35, 80), (65, 80)]


def detection(**changes: Any) -> Detection:
    fields: dict[str, Any] = {"left": 10, "top": 20, "right": 90, "bottom": 100, "confidence": 99, "points": POINTS}
    return Detection(**fields | changes)


def test_a_detection_may_have_no_points() -> None:
    assert Detection(left=10, top=20, right=90, bottom=100, confidence=99).points is None


def test_points_are_a_read_only_copy() -> None:
    given = np.array(POINTS)
    points = detection(points=given).points
    given[:] = 0

    assert points is not None
    assert points.dtype == np.float64
    assert points.tolist() == [list(each) for each in POINTS]
    with pytest.raises(ValueError, match="read-only"):
        points[0, 0] = 1


def test_detections_are_equal_by_the_content_of_their_points() -> None:
    assert detection() == detection(points=np.array(POINTS))
    assert len({detection(), detection(), detection(points=None)}) == 2
    assert detection() != detection(points=np.add(POINTS, 1))
    assert detection() != detection(points=None)


@pytest.mark.parametrize("points", [None, POINTS])
def test_a_detection_is_equal_and_read_only_after_a_trip(points: Any) -> None:
    sent = detection(points=points, quarter_turns=3)
    for back in (
        *(pickle.loads(pickle.dumps(sent, protocol)) for protocol in range(2, 6)),  # noqa: S301  # what was just written
        copy.copy(sent),
        copy.deepcopy(sent),
        attrs.evolve(sent),
    ):
        assert back == sent
        assert hash(back) == hash(sent)
        assert back.points is None or not back.points.flags.writeable


@pytest.mark.parametrize(
    "points", [POINTS[:4], [(1, 2, 3)] * 5, [(1, float("nan"))] * 5, [(1, float("inf"))] * 5, "eyes", [(1, 2), (3,)], 5]
)
def test_other_points_are_refused(points: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"points: expected five points"):
        detection(points=points)
