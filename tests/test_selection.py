"""Which face is searched: partitions, monotone bars, the largest first."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import facesearch as fs
from facesearch.selection import (
    HIGH_BARS,
    LOW_BARS,
    MAX_FACES,
    MEDIUM_BARS,
    FaceMeasurements,
    QualityFilter,
    quality_reasons,
    select,
)

GOOD = FaceMeasurements(
    area=10_000, size=100, confidence=99, brightness=50, sharpness=80, pose=fs.Pose(roll=0, yaw=0, pitch=0)
)
measurements = st.builds(
    FaceMeasurements,
    area=st.floats(0, 1e6),
    size=st.floats(0, 200),
    confidence=st.floats(0, 100),
    brightness=st.floats(0, 100),
    sharpness=st.floats(0, 100),
    pose=st.builds(fs.Pose, roll=st.floats(-180, 180), yaw=st.floats(-90, 90), pitch=st.floats(-90, 90)),
)
photos = st.lists(measurements, max_size=12)
filters = st.sampled_from(QualityFilter)


@given(photos, filters, st.none() | st.integers(1, 5))
def test_every_face_is_accepted_or_refused_with_a_reason(
    faces: list[FaceMeasurements], bars: QualityFilter, most: int | None
) -> None:
    selection = select(faces, bars, max_faces=most)

    refused = [position for position, _ in selection.refused]
    assert sorted([*selection.accepted, *refused]) == list(range(len(faces)))
    assert all(reasons for _, reasons in selection.refused)
    assert len(selection.accepted) <= (most or MAX_FACES)


@given(photos, filters)
def test_the_accepted_come_largest_first(faces: list[FaceMeasurements], bars: QualityFilter) -> None:
    areas = [faces[position].area for position in select(faces, bars).accepted]

    assert areas == sorted(areas, reverse=True)


@given(photos)
def test_no_filter_refuses_nothing(faces: list[FaceMeasurements]) -> None:
    assert select(faces, QualityFilter.NONE).refused == ()


@given(photos)
def test_a_higher_bar_refuses_no_fewer(faces: list[FaceMeasurements]) -> None:
    low, medium, high = (
        set(select(faces, bars).accepted) for bars in (QualityFilter.LOW, QualityFilter.MEDIUM, QualityFilter.HIGH)
    )

    assert high <= medium <= low


@given(measurements)
def test_a_higher_bar_gives_no_fewer_reasons(face: FaceMeasurements) -> None:
    low, medium, high = (set(quality_reasons(face, bars)) for bars in (LOW_BARS, MEDIUM_BARS, HIGH_BARS))

    assert low <= medium <= high


@given(photos, filters, st.randoms(use_true_random=False))
def test_the_order_of_different_faces_changes_nothing(
    faces: list[FaceMeasurements], bars: QualityFilter, random: Any
) -> None:
    distinct = [attrs.evolve(face, area=face.area + 2e6 * i) for i, face in enumerate(faces)]
    shuffled = list(distinct)
    random.shuffle(shuffled)

    one = [distinct[position] for position in select(distinct, bars).accepted]
    assert [shuffled[position] for position in select(shuffled, bars).accepted] == one


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pose": fs.Pose(roll=0, yaw=80, pitch=0)}, "EXTREME_POSE"),
        ({"pose": fs.Pose(roll=0, yaw=-80, pitch=0)}, "EXTREME_POSE"),
        ({"pose": fs.Pose(roll=0, yaw=0, pitch=70)}, "EXTREME_POSE"),
        ({"pose": fs.Pose(roll=0, yaw=0, pitch=-70)}, "EXTREME_POSE"),
        ({"brightness": 2}, "LOW_BRIGHTNESS"),
        ({"sharpness": 2}, "LOW_SHARPNESS"),
        ({"confidence": 5}, "LOW_CONFIDENCE"),
        ({"size": 10}, "SMALL_BOUNDING_BOX"),
    ],
)
def test_each_bar_has_its_reason(change: dict[str, Any], reason: str) -> None:
    for bars in (LOW_BARS, MEDIUM_BARS, HIGH_BARS):
        assert quality_reasons(GOOD, bars) == ()
        assert quality_reasons(attrs.evolve(GOOD, **change), bars) == (fs.UnsearchedFaceReason(reason),)


def test_roll_is_no_reason() -> None:
    upside_down = attrs.evolve(GOOD, pose=fs.Pose(roll=180, yaw=0, pitch=0))

    assert quality_reasons(upside_down, HIGH_BARS) == ()


def test_a_face_may_miss_several_bars() -> None:
    bad = attrs.evolve(GOOD, brightness=1, size=1)

    assert [reason.value for reason in quality_reasons(bad, LOW_BARS)] == ["LOW_BRIGHTNESS", "SMALL_BOUNDING_BOX"]


def test_beyond_a_hundred_faces_the_smallest_exceed() -> None:
    crowd = [attrs.evolve(GOOD, area=1000 + i) for i in range(103)]
    selection = select(crowd, QualityFilter.NONE)

    assert selection.accepted[0] == 102
    assert selection.refused == tuple((i, (fs.UnsearchedFaceReason.EXCEEDS_MAX_FACES,)) for i in range(3))


def test_max_faces_keeps_the_largest_that_pass() -> None:
    faces = [attrs.evolve(GOOD, area=area, brightness=light) for area, light in ((3, 50), (9, 1), (5, 50), (4, 50))]
    selection = select(faces, QualityFilter.HIGH, max_faces=2)

    assert selection.accepted == (2, 3)
    assert dict(selection.refused) == {
        0: (fs.UnsearchedFaceReason.EXCEEDS_MAX_FACES,),
        1: (fs.UnsearchedFaceReason.LOW_BRIGHTNESS,),
    }


def test_equally_large_faces_come_by_confidence() -> None:
    assert select([attrs.evolve(GOOD, confidence=60), GOOD], QualityFilter.NONE).accepted == (1, 0)


@pytest.mark.parametrize("value", ["low", "", None, 3, "BEST"])
def test_an_unknown_filter_is_refused_by_name(value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="quality_filter: expected one of NONE, AUTO, LOW, MEDIUM, HIGH"):
        QualityFilter.parse(value)
