"""Reasons with figures: an explanation says just what the answer did, and what it would have been with another filter."""

import json
from collections import Counter
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import event, example, given, settings, strategies as st

import facesearch as fs
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.selection.comparisons import nearer, not_largest, one_too_many, rival, taken, unlike
from facesearch.selection.evidence import Evidence
from facesearch.selection.explanation import Use
from facesearch.selection.face_selection import RIVAL_AREA, several_faces
from facesearch.selection.quality_filter import FaceMeasurements
from facesearch.testing.fakes import FakeDescriber, fake_analyzer, paint
from facesearch.testing.strategies import face_measurements, filter_bars, quality_bars, values
from samples import astronaut, hopper

GOOD = FaceMeasurements(
    area=10_000, size=100, confidence=99, brightness=50, sharpness=80, pose=fs.Pose(roll=0, yaw=0, pitch=0)
)
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 200, 30)
LEVELS = ("NONE", "AUTO", "LOW", "MEDIUM", "HIGH")
# Painted faces are sharp, sure and straight: these bars part them by size and by light.
BARS = fs.FilterBars(  # written down, so that no change of the library's own bars matters here
    **{
        name: fs.QualityBars(
            min_size=size,
            min_brightness=light,
            min_confidence=20,
            min_sharpness=10,
            max_yaw=75,
            max_pitch_up=60,
            max_pitch_down=60,
        )
        for name, size, light in (("low", 20, 5), ("medium", 35, 12), ("high", 50, 20))
    },
    auto=fs.QualityFilter.MEDIUM,
)
ANALYZER = attrs.evolve(fake_analyzer(), bars=BARS)
STAFF = fs.Collection("staff", analyzer=ANALYZER)
filters = st.sampled_from(LEVELS)


class Choosy(FakeDescriber):
    """Finds a face the better the darker it is."""

    def assess(self, chips: PixelArray) -> tuple[tuple[float, ...], FloatArray]:
        scores = tuple(100 * (1 - float(chip.mean()) / 255) for chip in chips)
        return scores, super().assess(chips)[1]


CHOOSY = fs.Collection(
    "choosy",
    analyzer=attrs.evolve(
        ANALYZER,
        describer=Choosy(),
        bars=fs.FilterBars(
            low=attrs.evolve(BARS.low, min_quality=40),
            medium=attrs.evolve(BARS.medium, min_quality=75),
            high=attrs.evolve(BARS.high, min_quality=90),
            auto=fs.QualityFilter.LOW,
        ),
    ),
)


def sure(told: fs.Explanation) -> fs.Explanation:
    """Leave the quality out: which faces it is measured of depends on the filter."""
    return attrs.evolve(
        told,
        faces=tuple(
            attrs.evolve(face, checks=tuple(check for check in face.checks if check.measurement != "quality"))
            for face in told.faces
        ),
    )


def portrait(colour: tuple[int, int, int], size: int = 60) -> PixelArray:
    return paint((100, 100), {(20, 20, 20 + size, 20 + size): colour})


@st.composite
def crowds(draw: st.DrawFn) -> PixelArray:
    """Draw a photo of up to nine painted faces, some small, some dark, some alike, no two touching."""
    picture = np.zeros((300, 300, 3), np.uint8)
    for place, side in enumerate(draw(st.lists(st.integers(20, 90), max_size=9))):
        left, top = 100 * (place % 3) + 3, 100 * (place // 3) + 3
        shade = draw(st.sampled_from([1, 4, 8, 16]))
        picture |= paint((300, 300), {(left, top, left + side, top + side): RED}) // np.uint8(shade)
    return picture


DETAIL = fs.FaceDetail(bounding_box=fs.BoundingBox(left=0.2, top=0.2, width=0.3, height=0.3))


@attrs.frozen
class Face:
    """A face that was found and measured."""

    measurements: FaceMeasurements
    detail: fs.FaceDetail = DETAIL


def evidence(faces: list[FaceMeasurements], **rule: Any) -> Evidence:
    options = {"use": Use.SEARCHED, "quality_filter": fs.QualityFilter.AUTO, "filter_bars": BARS, **rule}
    return Evidence.of([Face(face) for face in faces], (640, 480), **options)


def names(reasons: Any) -> tuple[str, ...]:
    return tuple(reason.value for reason in reasons)


def all_explanations() -> list[fs.Explanation]:
    photo = paint((200, 400), {(5, 5, 105, 105): RED, (120, 5, 210, 95): BLUE, (250, 5, 275, 30): GREEN})
    staff = fs.Collection("people", analyzer=ANALYZER)
    staff.enroll("bob", [portrait(BLUE)])
    staff.enroll("ada", [portrait(RED)])
    photos = [portrait(BLUE), portrait(BLUE, 70), portrait(GREEN, 65), portrait(RED, 30), np.zeros_like(photo), photo]
    return [
        fs.search_users_by_image(STAFF, photo, quality_filter="HIGH").explain(),
        fs.search_users_by_image(STAFF, np.zeros_like(photo)).explain(),
        staff.index_faces(photo, max_faces=1).explain(),
        staff.enroll("ada", photos).explain(),
        staff.enroll("eve", [portrait(RED, 75), portrait(GREEN)]).explain(quality_filter=BARS.high),
    ]


# ---------------------------------------------------------------- an explanation is the answer, with figures


@settings(max_examples=40)
@given(crowds(), filters)
def test_a_search_is_explained_face_by_face(photo: PixelArray, quality: str) -> None:
    response = fs.search_users_by_image(STAFF, photo, quality_filter=quality)
    told = response.explain()

    searched = [(response.searched_face.face_detail, True, ())] if response.searched_face else []
    others = [(face.face_details, False, names(face.reasons)) for face in response.unsearched_faces]
    assert Counter((face.detail, face.used, face.reasons) for face in told.faces) == Counter(searched + others)
    assert [face.rank for face in told.faces] == list(range(1, len(told.faces) + 1))
    areas = [face.area or 0 for face in told.faces]
    assert areas == sorted(areas, reverse=True)
    assert (told.quality_filter, told.bars) == (fs.QualityFilter(quality), BARS.of(quality))


@settings(max_examples=40)
@given(crowds(), filters, st.none() | st.integers(1, 4))
def test_an_indexing_is_explained_face_by_face(photo: PixelArray, quality: str, most: int | None) -> None:
    response = fs.Collection("new", analyzer=ANALYZER).index_faces(photo, quality_filter=quality, max_faces=most)

    indexed = [(record.face_detail, True, ()) for record in response.face_records]
    others = [(face.face_detail, False, names(face.reasons)) for face in response.unindexed_faces]
    assert Counter((face.detail, face.used, face.reasons) for face in response.explain().faces) == Counter(
        indexed + others
    )


@settings(max_examples=25)
@given(crowds(), filters)
def test_searching_all_faces_explains_its_own_and_the_refused(photo: PixelArray, quality: str) -> None:
    for response in fs.search_all_faces(STAFF, photo, quality_filter=quality):
        told = response.explain().faces

        assert [face.detail for face in told if face.used] == [response.searched_face.face_detail]
        assert [(face.detail, face.reasons) for face in told if not face.used] == [
            (face.face_details, names(face.reasons)) for face in response.unsearched_faces
        ]


@settings(max_examples=25)
@given(st.integers(20, 75), st.sampled_from([1, 8, 16]), filters)
def test_search_indexing_and_enrolment_tell_the_same_of_a_face(size: int, shade: int, quality: str) -> None:
    photo, staff = portrait(RED, size) // np.uint8(shade), fs.Collection("new", analyzer=ANALYZER)

    searched = fs.search_users_by_image(STAFF, photo, quality_filter=quality).explain()
    indexed = staff.index_faces(photo, quality_filter=quality).explain()
    enrolled = staff.enroll("ada", [photo], quality_filter=quality).explain()
    assert searched.faces == indexed.faces == enrolled.faces
    assert searched.bars == indexed.bars == enrolled.bars


@settings(max_examples=25)
@given(crowds(), filters, filters)
def test_what_if_is_what_would_have_been(photo: PixelArray, asked: str, instead: str) -> None:
    one, other = (fs.search_users_by_image(STAFF, photo, quality_filter=each) for each in (asked, instead))
    assert sure(one.explain(quality_filter=instead)) == sure(other.explain())
    assert fs.explain(one, quality_filter=fs.QualityFilter(asked)) == one.explain()

    first, second = (STAFF.index_faces(photo, quality_filter=each, max_faces=2) for each in (asked, instead))
    assert sure(first.explain(quality_filter=instead)) == sure(second.explain())


@settings(max_examples=25)
@given(crowds(), st.sampled_from([("LOW", "LOW"), ("LOW", "MEDIUM"), ("LOW", "HIGH"), ("MEDIUM", "HIGH")]))
def test_a_higher_filter_would_have_been_just_that_quality_included(photo: PixelArray, pair: tuple[str, str]) -> None:
    one, other = (fs.search_users_by_image(CHOOSY, photo, quality_filter=each).explain for each in pair)

    reasons = {face.reasons for face in other().faces}
    event(f"refused for its quality: {('LOW_FACE_QUALITY',) in reasons}")
    assert [(face.detail, face.used, face.reasons) for face in one(quality_filter=pair[1]).faces] == [
        (face.detail, face.used, face.reasons) for face in other().faces
    ]


def test_a_quality_that_was_not_measured_is_no_reason_and_is_told() -> None:
    response = fs.search_users_by_image(CHOOSY, portrait(RED))

    assert fs.search_users_by_image(CHOOSY, portrait(RED), quality_filter="HIGH").searched_face is None
    told = response.explain(quality_filter="HIGH")
    assert told.faces[0].used
    assert str(told).endswith("  searched  quality not measured, at least 90 wanted")


@given(st.lists(face_measurements(), max_size=8), filter_bars(), filters, st.none() | st.integers(1, 3))
def test_every_reason_has_its_figures(
    faces: list[FaceMeasurements], bars: fs.FilterBars, quality: str, most: int | None
) -> None:
    for rule in ({"largest_only": True}, {"use": Use.INDEXED, "max_faces": most}):
        told = evidence(faces, filter_bars=bars, **rule).explain(quality)

        for face in told.faces:
            missed = {check.reason.value for check in face.missed}
            compared = {comparison.reason for comparison in face.comparisons}
            assert missed | compared == set(face.reasons)
            assert not missed & compared
            assert face.used == (face.reasons == ())
            assert {reason for reason, text in face.figures() if text} == set(face.reasons)


@given(st.lists(face_measurements(), max_size=6), quality_bars())
def test_bars_of_ones_own_may_be_asked_about(faces: list[FaceMeasurements], bars: fs.QualityBars) -> None:
    same = fs.FilterBars(low=bars, medium=bars, high=bars, auto="LOW")
    told = evidence(faces).explain(bars)

    assert told.quality_filter is None
    assert told.faces == evidence(faces, filter_bars=same).explain("LOW").faces


# ---------------------------------------------------------------- how it looks


def test_an_explanation_is_what_json_takes() -> None:
    for told in all_explanations():
        plain = told.to_dict()

        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert [face["reasons"] for face in plain["faces"]] == [list(face.reasons) for face in told.faces]
        assert [check["passed"] for face in plain["faces"] for check in face["checks"]] == [
            check.passed for face in told.faces for check in face.checks
        ]


@settings(max_examples=30)
@given(st.data())
def test_any_face_is_what_json_takes(data: st.DataObject) -> None:
    detail, measured = data.draw(values(fs.FaceDetail)), data.draw(face_measurements())
    told = Evidence.of(
        [Face(measured, detail)],
        (640, 480),
        use=Use.SEARCHED,
        quality_filter=fs.QualityFilter.HIGH,
        filter_bars=fs.SHIPPED_BARS,
    ).explain()

    assert json.loads(json.dumps(told.to_dict(), allow_nan=False)) == told.to_dict()
    assert str(told).startswith(f"{told.used} of 1 face searched, quality filter HIGH\nwanted: yaw -39° to 39°, ")


@given(st.lists(face_measurements(), min_size=1, max_size=40), filters)
def test_the_table_is_aligned_and_names_every_reason(faces: list[FaceMeasurements], quality: str) -> None:
    told = evidence(faces, largest_only=True).explain(quality)
    head, *lines = str(told).split("\n\n")[1].splitlines()

    left, top, right, bottom = told.faces[0].box or (0, 0, 0, 0)  # all have the same
    column = head.index("box in px") + len(f"{right - left} x {bottom - top} at {left}, {top}") + 2
    assert len(lines) == sum(max(1, len(face.figures())) for face in told.faces)
    assert sum(line[:column].strip() != "" for line in lines) == len(faces)
    verdicts = [verdict for face in told.faces for verdict in face.reasons or ("searched",)]
    figures = column + max(map(len, verdicts)) + 2
    assert [shown for line in lines if (shown := line[column:figures].strip())] == verdicts
    assert all(line[column - 2 : column] == "  " and not line[figures - 2 : figures].strip() for line in lines)
    assert [line[figures:] for line in lines] == [
        text for face in told.faces for _, text in face.figures() or (("", ""),)
    ]


def test_the_table_of_a_search() -> None:
    boxes = {(10, 20, 210, 240): GOOD, (-7, 300, 73, 397): GOOD, (402, 5, 432, 41): attrs.evolve(GOOD, brightness=6.06)}
    faces = [
        Face(
            attrs.evolve(measured, area=(right - left) * (bottom - top), size=right - left),
            fs.FaceDetail(
                bounding_box=fs.BoundingBox(
                    left=left / 640, top=top / 480, width=(right - left) / 640, height=(bottom - top) / 480
                )
            ),
        )
        for (left, top, right, bottom), measured in boxes.items()
    ]
    quality = fs.QualityFilter.HIGH
    kept = Evidence.of(faces, (640, 480), use=Use.SEARCHED, quality_filter=quality, filter_bars=BARS, largest_only=True)

    assert str(kept.explain()).splitlines() == [
        "1 of 3 faces searched, quality filter HIGH",
        "wanted: yaw -75° to 75°, pitch -60° to 60°, brightness at least 20, sharpness at least 10,",
        "        confidence at least 20%, size at least 50 px",
        "",
        "face  box in px",
        "   1  200 x 220 at  10,  20  searched",
        "   2   80 x  97 at  -7, 300  FACE_NOT_LARGEST    area 7,760 px², the searched face has 44,000",
        "   3   30 x  36 at 402,   5  LOW_BRIGHTNESS      brightness 6.1, at least 20 wanted",
        "                             SMALL_BOUNDING_BOX  size 30.0 px, at least 50 px wanted (as in a photo of 1920 px)",
    ]


def test_a_photo_without_faces_is_explained() -> None:
    told = fs.search_users_by_image(STAFF, np.zeros((100, 100, 3), np.uint8), quality_filter="HIGH").explain()

    assert told.faces == ()
    assert str(told).splitlines()[0] == "no face was found, quality filter HIGH"
    assert "no face was found" in told._repr_html_()


def test_a_notebook_shows_the_table() -> None:
    for told in all_explanations():
        html = told._repr_html_()

        assert html.count("<tr>") == html.count("</tr>")
        assert all(text.replace("<", "&lt;") in html for face in told.faces for _, text in face.figures())
    crowd = [attrs.evolve(GOOD, area=i) for i in range(60)]
    assert "and 10 more rows" in evidence(crowd, largest_only=True).explain()._repr_html_()


def test_a_notebook_is_safe_from_what_a_caller_brings() -> None:
    face = fs.FaceExplanation(used=False, reasons=("<script>",))
    told = fs.Explanation(use=Use.SEARCHED, faces=(face,))

    assert "<script>" not in told._repr_html_()
    assert "&lt;script&gt;" in told._repr_html_()


# ---------------------------------------------------------------- figures that are no bars


def test_beyond_a_hundred_faces_the_place_is_told() -> None:
    crowd = [attrs.evolve(GOOD, area=1000 + i) for i in range(103)]

    for rule in ({"largest_only": True}, {"use": Use.INDEXED, "max_faces": 2}):
        last = evidence(crowd, **rule).explain().faces[-1]
        assert (last.rank, last.reasons) == (103, ("EXCEEDS_MAX_FACES",))
        assert str(last.comparisons[0]) == "number 103 by size, at most 100 wanted"


def test_the_place_among_those_that_pass_is_told() -> None:
    light = {3: 50, 9: 1, 5: 50, 4: 50, 2: 50}
    faces = [attrs.evolve(GOOD, area=area, brightness=brightness) for area, brightness in light.items()]
    told = evidence(faces, use=Use.INDEXED, max_faces=2).explain("HIGH").faces

    assert [face.used for face in told] == [False, True, True, False, False]
    third, fourth = (comparison for face in told for comparison in face.comparisons)
    assert (third.value, third.against, fourth.value, fourth.against) == (3, 2, 4, 2)
    assert third.text == "number 3 by size of those that pass, at most 2 wanted"


def test_enrolment_is_explained_photo_by_photo() -> None:
    photo = paint((200, 400), {(5, 5, 105, 105): RED, (120, 5, 210, 95): BLUE})
    staff = fs.Collection("people", analyzer=ANALYZER)
    staff.enroll("bob", [portrait(BLUE)])
    staff.enroll("ada", [portrait(RED)])
    photos = [portrait(BLUE), portrait(BLUE, 70), portrait(RED, 30), np.zeros_like(photo), photo, portrait(RED, 70)]
    report = staff.enroll("ada", photos)
    told = report.explain()

    assert [face.reasons for face in told.faces] == [names(photo.reasons) for photo in report.photos]
    assert [face.used for face in told.faces] == [photo.face is not None for photo in report.photos]
    assert [photo.explain().faces[0] for photo in report.photos] == list(told.faces)
    assert told.used == report.accepted == 1
    own = report.photos[1].confidence
    assert [text for face in told.faces for _, text in face.figures()] == [
        "it is a face of bob already",
        f"similarity to its own {own:.1f}%, at least 75.0% wanted",
        f"similarity to bob 100.0%, to its own {own:.1f}%",
        "size 25.6 px, at least 35 px wanted (as in a photo of 1920 px)",
        "",
        "another face has 81% of its area, less than 50% wanted",
    ]
    compared = told.faces[1].comparisons[1]
    assert (compared.user_id, compared.value, compared.against) == (
        "bob",
        report.photos[1].user_confidence,
        report.photos[1].confidence,
    )
    assert str(told).startswith("1 of 6 photos enrolled, quality filter AUTO\n")


def test_what_a_new_user_has_to_reach_is_what_its_photos_have_to_reach() -> None:
    staff = fs.Collection("people", analyzer=ANALYZER)
    report = staff.enroll("ada", [portrait(BLUE), portrait(RED), portrait(RED, 70)])

    (comparison,) = report.explain().faces[0].comparisons
    assert comparison.reason == "LOW_MATCH_CONFIDENCE"
    assert comparison.value == report.photos[0].confidence
    assert comparison.against is not None
    assert comparison.value is not None
    assert comparison.value < comparison.against < 75


def test_what_if_in_enrolment_looks_at_quality_only() -> None:
    staff = fs.Collection("people", analyzer=ANALYZER)
    staff.enroll("bob", [portrait(BLUE)])
    report = staff.enroll("ada", [portrait(BLUE, 40), portrait(RED, 45), np.zeros((100, 100, 3), np.uint8)])

    stricter, looser = (report.explain(quality_filter=each).faces for each in ("HIGH", "NONE"))
    assert [face.reasons for face in report.explain().faces] == [
        ("SMALL_BOUNDING_BOX",) if small else reasons
        for small, reasons in ((True, ()), (False, ()), (False, ("NO_FACE",)))
    ]
    assert [face.reasons for face in stricter] == [("SMALL_BOUNDING_BOX",), ("SMALL_BOUNDING_BOX",), ("NO_FACE",)]
    assert [face.reasons for face in looser] == [(), (), ("NO_FACE",)]


@given(st.floats(0, 1e6), st.floats(0, 1))
@example(671089.1621517377, 0.5)
def test_a_rivals_share_in_words_says_whether_it_is_too_large(largest: float, part: float) -> None:
    second = part * largest
    share = rival(largest, second)

    value, bar = (float(text.split("%")[0]) for text in (share.text.split("has ")[1], share.text.split("than ")[1]))
    assert bar == 100 * RIVAL_AREA == share.against
    if largest > 1e-6:  # below, a share is rounded
        assert share.value == pytest.approx(100 * part, abs=1e-3)
        assert (value >= bar) == several_faces([largest, second])


def test_comparisons_speak_plainly() -> None:
    assert str(not_largest(2340, 9120)) == "area 2,340 px², the searched face has 9,120"
    assert str(not_largest(9120, 9120)) == "area 9,120 px², as the searched face: of two alike the surer is searched"
    assert str(not_largest(9119.9, 9120)) == "area 9,120 px², the searched face has hardly more"
    assert str(one_too_many(4, 3, of_all=False)) == "number 4 by size of those that pass, at most 3 wanted"
    assert str(rival(100, 49.9999)) == "another face has 49.9999% of its area, less than 50.0000% wanted"
    assert rival(0, 0).value == 100
    assert str(unlike(74.96, 75)) == "similarity to its own 74.96%, at least 75.00% wanted"
    assert str(unlike(12, None)) == "similarity to its own 12.0%"
    assert str(nearer("bob", 99.5, None)) == "similarity to bob 99.5%, of its own there is none"
    assert str(taken("bob")) == "it is a face of bob already"


# ---------------------------------------------------------------- what it goes by stays here


def test_measurements_are_not_part_of_the_answer() -> None:
    report = STAFF.enroll("ada", [portrait(GREEN)])
    answers: list[Any] = [
        fs.search_users_by_image(STAFF, portrait(GREEN)),
        STAFF.index_faces(portrait(GREEN)),
        report.photos[0],
    ]
    STAFF.delete_user("ada", faces=True)

    for answer in answers:
        bare = attrs.evolve(answer, evidence=None)
        assert answer == bare
        assert hash(answer) == hash(bare)
        assert repr(answer) == repr(bare)
        assert fs.to_aws(answer) == fs.to_aws(bare)
        assert "Evidence" not in json.dumps(fs.to_aws(answer))
        read = fs.from_aws(fs.to_aws(answer), type(answer))
        assert read == answer
        for explain in (read.explain, bare.explain, lambda read=read: fs.explain(read)):
            with pytest.raises(fs.InvalidParameterError, match=r"^response: expected .* got one without, as from_aws"):
                explain()
    with pytest.raises(fs.InvalidParameterError, match=r"^response: expected "):
        fs.EnrollmentReport().explain()


@pytest.mark.parametrize("value", [None, 3, "response", {}, ()])
def test_what_is_no_answer_is_refused_by_name(value: Any) -> None:
    with pytest.raises(
        fs.InvalidParameterError, match=r"^response: expected an Explainable.*; give what search_users_by_image, "
    ):
        fs.explain(value)


def test_an_unknown_filter_is_refused_by_name() -> None:
    response = fs.search_users_by_image(STAFF, portrait(GREEN))

    with pytest.raises(fs.InvalidParameterError, match=r"^quality_filter: expected one of NONE, AUTO, .*, got 'BEST'$"):
        response.explain(quality_filter="BEST")


# ---------------------------------------------------------------- photographs


def test_photographs_are_explained() -> None:
    side_by_side = np.zeros((600, 1024, 3), np.uint8)
    side_by_side[:, :512] = hopper() // 12
    side_by_side[:512, 512:] = astronaut()
    nobody = fs.Collection("nobody")
    response = fs.search_users_by_image(nobody, side_by_side, quality_filter="HIGH")
    told = response.explain()

    assert response.searched_face
    assert [face.used for face in told.faces] == [face.reasons == () for face in told.faces]
    (searched,) = [face for face in told.faces if face.used]
    assert searched.detail == response.searched_face.face_detail
    assert searched.box is not None
    assert searched.box[0] > 512
    (dark,) = [face for face in told.faces if not face.used]
    assert "LOW_BRIGHTNESS" in dark.reasons
    (light,) = [check for check in dark.missed if check.measurement == "brightness"]
    assert (light.at_least, light.value) == (fs.SHIPPED_BARS.high.min_brightness, dark.detail.quality.brightness)  # type: ignore[union-attr]  # DEFAULT has it
    assert f"{light}" in str(told)
    assert {face.reasons for face in response.explain(quality_filter="NONE").faces} == {(), ("FACE_NOT_LARGEST",)}
    report = fs.Collection("new").enroll("grace", [hopper() // 12], quality_filter="HIGH")
    assert report.explain().faces[0].reasons == dark.reasons
