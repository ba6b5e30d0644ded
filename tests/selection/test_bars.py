"""How good a face must be: ordered bars, and one list of checks from which reasons and figures both come."""

import re
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, strategies as st

import facesearch as fs
from facesearch.selection.checks import Check, checks, quality_reasons, threshold_texts
from facesearch.selection.quality_filter import HIGH_BARS, LOW_BARS, MEDIUM_BARS, FaceMeasurements, QualityReason
from facesearch.testing.strategies import face_measurements, filter_bars, quality_bars

GOOD = FaceMeasurements(
    area=10_000, size=100, confidence=99, brightness=50, sharpness=80, pose=fs.Pose(roll=0, yaw=0, pitch=0)
)
BARS = [each.name for each in attrs.fields(fs.QualityBars)]


@given(face_measurements(), quality_bars() | st.none())
def test_reasons_are_exactly_the_missed_checks(face: FaceMeasurements, bars: fs.QualityBars | None) -> None:
    missed = {check.reason for check in checks(face, bars) if not check.passed}

    assert quality_reasons(face, bars) == tuple(reason for reason in QualityReason if reason in missed)


@given(face_measurements(), quality_bars())
def test_missing_is_what_it_always_was(face: FaceMeasurements, bars: fs.QualityBars) -> None:
    # The rule written down anew, without checks.
    yaw, pitch = face.pose.yaw, face.pose.pitch
    extreme = abs(yaw) > bars.max_yaw or pitch > bars.max_pitch_up or pitch < -bars.max_pitch_down
    missed = {
        QualityReason.EXTREME_POSE: extreme,
        QualityReason.LOW_BRIGHTNESS: face.brightness < bars.min_brightness,
        QualityReason.LOW_SHARPNESS: face.sharpness < bars.min_sharpness,
        QualityReason.LOW_CONFIDENCE: face.confidence < bars.min_confidence,
        QualityReason.SMALL_BOUNDING_BOX: face.size < bars.min_size,
    }
    # It catches what no other bar does.
    poor = face.quality is not None and face.quality < bars.min_quality
    missed[QualityReason.LOW_FACE_QUALITY] = poor and not any(missed.values())

    assert quality_reasons(face, bars) == tuple(reason for reason, holds in missed.items() if holds)


@given(face_measurements(), filter_bars())
def test_a_higher_filter_gives_no_fewer_reasons_and_none_gives_none(
    face: FaceMeasurements, bars: fs.FilterBars
) -> None:
    low, medium, high = (set(quality_reasons(face, bars.of(name))) for name in ("LOW", "MEDIUM", "HIGH"))

    catch_all = {QualityReason.LOW_FACE_QUALITY}
    assert low - catch_all <= medium - catch_all <= high - catch_all
    assert bool(low) <= bool(medium) <= bool(high)
    assert quality_reasons(face, bars.of("NONE")) == ()
    assert set(quality_reasons(face, bars.of("AUTO"))) in (low, medium, high)


@given(face_measurements(), quality_bars())
def test_what_is_wanted_would_have_passed(face: FaceMeasurements, bars: fs.QualityBars) -> None:
    moved: dict[str, float] = {}
    for check in checks(face, bars):
        if not check.passed:
            assert check.value is not None
            low, high = check.at_least, check.at_most
            bar = low if low is not None and check.value < low else high
            assert bar is not None
            assert attrs.evolve(check, value=bar).passed
            moved[check.measurement] = bar
    turned = {name: moved.pop(name) for name in ("yaw", "pitch") if name in moved}
    better = attrs.evolve(face, pose=attrs.evolve(face.pose, **turned), **moved)

    # What only the quality can tell is looked at once everything else passes.
    assert set(quality_reasons(better, bars)) <= {QualityReason.LOW_FACE_QUALITY}
    if quality_reasons(better, bars):
        assert quality_reasons(attrs.evolve(better, quality=bars.min_quality), bars) == ()


@given(face_measurements(), quality_bars())
def test_figures_in_words_miss_where_the_measurement_does(face: FaceMeasurements, bars: fs.QualityBars) -> None:
    for check in checks(face, bars):
        if check.value is None:
            continue
        value, *asked = (float(text) for text in re.findall(r"-?\d[\d.]*(?:e[+-]\d+)?", str(check).split(" (as")[0]))
        told = attrs.evolve(
            check, value=value, at_least=asked[0], at_most=asked[1] if check.at_most is not None else None
        )
        assert told.passed == check.passed, str(check)
        assert [bar for bar in (check.at_least, check.at_most) if bar is not None] == asked


@given(face_measurements())
def test_without_bars_everything_is_measured_and_nothing_missed(face: FaceMeasurements) -> None:
    free, held = checks(face, None), checks(face, HIGH_BARS)

    assert all(check.passed and check.at_least is check.at_most is None for check in free)
    assert [(check.measurement, check.value, check.reason, check.unit) for check in free[:-1]] == [
        (check.measurement, check.value, check.reason, check.unit) for check in held[:-1]
    ]
    assert (free[-1].measurement, free[-1].value) == ("quality", face.quality)
    assert held[-1].value == (face.quality if all(check.passed for check in held[:-1]) else None)


@given(filter_bars(), st.sampled_from(BARS), st.sampled_from([("low", "medium"), ("medium", "high")]))
def test_bars_out_of_order_are_refused_by_name(bars: fs.FilterBars, name: str, pair: tuple[str, str]) -> None:
    levels = {level: getattr(bars, level) for level in pair}
    swapped = dict(zip(pair, reversed(levels.values()), strict=True))
    one, other = (getattr(swapped[level], name) for level in pair)
    assume(one != other)
    wrong = {level: attrs.evolve(levels[level], **{name: getattr(swapped[level], name)}) for level in pair}

    with pytest.raises(fs.InvalidParameterError, match=rf"(medium|high)\.{name}: expected no (less|more) than "):
        attrs.evolve(bars, **wrong)


def test_the_error_of_bars_out_of_order_shows_the_figures() -> None:
    loose = attrs.evolve(fs.SHIPPED_BARS.high, max_yaw=61)
    most = fs.SHIPPED_BARS.medium.max_yaw

    with pytest.raises(
        fs.InvalidParameterError, match=rf"^high\.max_yaw: expected no more than medium's, which is {most}, got 61\.0$"
    ):
        attrs.evolve(fs.SHIPPED_BARS, high=loose)


@pytest.mark.parametrize("value", ["NONE", "AUTO", "low", None, 3])
def test_auto_stands_for_one_of_three(value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="auto: expected one of "):
        attrs.evolve(fs.SHIPPED_BARS, auto=value)


def test_shipped_bars_are_those_that_are_named() -> None:
    ours = fs.SHIPPED_BARS

    assert (ours.of("LOW"), ours.of("MEDIUM"), ours.of("HIGH")) == (LOW_BARS, MEDIUM_BARS, HIGH_BARS)
    assert ours.of(fs.QualityFilter.AUTO) == ours.of(ours.auto)
    assert fs.FaceAnalyzer().bars == ours


@pytest.mark.parametrize("value", ["low", "", None, 3, "BEST"])
def test_an_unknown_filter_is_refused_by_name(value: Any) -> None:
    expected = "quality_filter: expected one of NONE, AUTO, LOW, MEDIUM, HIGH"
    for parse in (fs.QualityFilter.parse, fs.SHIPPED_BARS.of):
        with pytest.raises(fs.InvalidParameterError, match=expected):
            parse(value)


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
        assert quality_reasons(attrs.evolve(GOOD, **change), bars) == (QualityReason(reason),)


def test_a_face_may_miss_several_bars_and_its_quality_counts_where_it_misses_none() -> None:
    bars = attrs.evolve(LOW_BARS, min_quality=30)
    bad = attrs.evolve(GOOD, brightness=1, size=1, quality=12)

    assert [reason.value for reason in quality_reasons(bad, bars)] == ["LOW_BRIGHTNESS", "SMALL_BOUNDING_BOX"]
    assert quality_reasons(attrs.evolve(GOOD, quality=12), bars) == (QualityReason.LOW_FACE_QUALITY,)
    assert quality_reasons(attrs.evolve(GOOD, quality=None), bars) == ()
    assert quality_reasons(attrs.evolve(GOOD, quality=30), bars) == ()


def test_roll_is_no_reason() -> None:
    upside_down = attrs.evolve(GOOD, pose=fs.Pose(roll=180, yaw=0, pitch=0))

    assert quality_reasons(upside_down, HIGH_BARS) == ()


def test_checks_speak_plainly() -> None:
    face = attrs.evolve(
        GOOD, size=31.24, confidence=12, brightness=34.999, pose=fs.Pose(roll=0, yaw=-80.26, pitch=0), quality=None
    )
    bars = fs.QualityBars(
        min_size=50,
        min_confidence=80,
        min_brightness=35,
        min_sharpness=35,
        max_yaw=45,
        max_pitch_up=45,
        max_pitch_down=30,
    )

    assert [str(check) for check in checks(face, bars)] == [
        "yaw -80.3°, -45° to 45° wanted",
        "pitch 0.0°, -30° to 45° wanted",
        "brightness 34.999, at least 35 wanted",
        "sharpness 80.0, at least 35 wanted",
        "confidence 12.0%, at least 80% wanted",
        "size 31.2 px, at least 50 px wanted (as in a photo of 1920 px)",
        "quality not measured, at least 0 wanted",
    ]
    assert str(checks(face, None)[2]) == "brightness 35.0"
    assert threshold_texts(bars)[:3] == ("yaw -45° to 45°", "pitch -30° to 45°", "brightness at least 35")
    assert not any(text.startswith("quality") for text in threshold_texts(bars))


def test_a_check_may_be_open_on_either_side() -> None:
    def check(**bars: float) -> Check:
        return Check(reason=QualityReason.EXTREME_POSE, measurement="yaw", value=5, unit="degrees", **bars)

    assert [check().passed, check(at_least=5).passed, check(at_most=5).passed] == [True, True, True]
    assert [check(at_least=6).passed, check(at_most=4).passed] == [False, False]
    assert str(check(at_most=4)) == "yaw 5.0°, at most 4° wanted"


def test_every_reason_of_quality_is_one_of_each_answer() -> None:
    for kind in (fs.UnsearchedFaceReason, fs.UnindexedFaceReason, fs.EnrollmentReason):
        named: list[str] = [each.value for each in kind]
        quality = [reason.value for reason in QualityReason]
        assert [name for name in named if name in quality] == quality
