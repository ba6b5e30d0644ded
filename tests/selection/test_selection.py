"""Which face is searched: partitions, the largest first."""

from typing import Any

import attrs
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.selection.checks import quality_reasons
from facesearch.selection.face_selection import LARGEST_FACES, by_size, select
from facesearch.selection.quality_filter import HIGH_BARS, FaceMeasurements, QualityBars
from facesearch.testing.strategies import face_measurements, quality_bars

GOOD = FaceMeasurements(
    area=10_000, size=100, confidence=99, brightness=50, sharpness=80, pose=fs.Pose(roll=0, yaw=0, pitch=0)
)
photos = st.lists(face_measurements(), max_size=12)
filters = st.none() | quality_bars() | st.sampled_from([fs.SHIPPED_BARS.low, fs.SHIPPED_BARS.high])


@given(photos, filters, st.none() | st.integers(1, 5))
def test_every_face_is_accepted_or_refused_with_a_reason(
    faces: list[FaceMeasurements], bars: QualityBars | None, most: int | None
) -> None:
    selection = select(faces, bars, max_faces=most)

    refused = [position for position, _ in selection.refused]
    assert sorted([*selection.accepted, *refused]) == list(range(len(faces)))
    assert all(reasons for _, reasons in selection.refused)
    assert len(selection.accepted) <= (most or LARGEST_FACES)


@given(photos, filters)
def test_the_accepted_come_largest_first(faces: list[FaceMeasurements], bars: QualityBars | None) -> None:
    areas = [faces[position].area for position in select(faces, bars).accepted]

    assert areas == sorted(areas, reverse=True)
    assert sorted(by_size(faces)) == list(range(len(faces)))


@given(photos, filters)
def test_what_is_not_good_enough_is_refused_for_just_that(
    faces: list[FaceMeasurements], bars: QualityBars | None
) -> None:
    selection = select(faces, bars)

    expected = {i: reasons for i, face in enumerate(faces) if (reasons := quality_reasons(face, bars))}
    assert {i: [reason.value for reason in reasons] for i, reasons in selection.refused} == {
        i: [reason.value for reason in reasons] for i, reasons in expected.items()
    }


@given(photos, filters)
def test_only_the_largest_that_passes_is_searched(faces: list[FaceMeasurements], bars: QualityBars | None) -> None:
    every, largest = select(faces, bars), select(faces, bars, largest_only=True)

    beaten = dict.fromkeys(every.accepted[1:], (fs.UnsearchedFaceReason.FACE_NOT_LARGEST,))
    assert largest.accepted == every.accepted[:1]
    assert dict(largest.refused) == dict(every.refused) | beaten


@given(photos, filters, st.randoms(use_true_random=False))
def test_the_order_of_different_faces_changes_nothing(
    faces: list[FaceMeasurements], bars: QualityBars | None, random: Any
) -> None:
    distinct = [attrs.evolve(face, area=face.area + 2e6 * i) for i, face in enumerate(faces)]
    shuffled = list(distinct)
    random.shuffle(shuffled)

    one = [distinct[position] for position in select(distinct, bars).accepted]
    assert [shuffled[position] for position in select(shuffled, bars).accepted] == one


def test_beyond_a_hundred_faces_the_smallest_exceed() -> None:
    crowd = [attrs.evolve(GOOD, area=1000 + i) for i in range(103)]
    selection = select(crowd, None)

    assert selection.accepted[0] == 102
    assert selection.refused == tuple((i, (fs.UnsearchedFaceReason.EXCEEDS_MAX_FACES,)) for i in range(3))


def test_max_faces_keeps_the_largest_that_pass() -> None:
    faces = [attrs.evolve(GOOD, area=area, brightness=light) for area, light in ((3, 50), (9, 1), (5, 50), (4, 50))]
    selection = select(faces, HIGH_BARS, max_faces=2)

    assert selection.accepted == (2, 3)
    assert dict(selection.refused) == {
        0: (fs.UnsearchedFaceReason.EXCEEDS_MAX_FACES,),
        1: (fs.UnsearchedFaceReason.LOW_BRIGHTNESS,),
    }


def test_equally_large_faces_come_by_confidence() -> None:
    assert select([attrs.evolve(GOOD, confidence=60), GOOD], None).accepted == (1, 0)
