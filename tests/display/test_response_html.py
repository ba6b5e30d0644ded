"""What a notebook shows: all of the answer, nothing of an attacker's, readable on any page."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import attrs
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

import facesearch as fs
from colours import contrast
from facesearch.display.face_marks import FaceClass, SeenFace
from facesearch.display.rates import CURVES, Pin, floor_of, position, rates, stacked, strangers, ticks
from facesearch.display.rates_svg import draw_curve
from facesearch.display.response_html import ResponseView, as_html, ranges
from facesearch.images.thumbnails import Pictures, Preview, UserPictures, thumbnail
from facesearch.testing.strategies import responses

BOX = fs.BoundingBox(left=0.2, top=0.2, width=0.3, height=0.3)
TABLE = fs.calibration()
DASH = "\N{EN DASH}"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"
PHOTO = Preview.of(np.full((120, 160, 3), 90, np.uint8))
CHIP = thumbnail(np.full((150, 150, 3), 90, np.uint8))


def parsed(html: str) -> ET.Element:
    return ET.fromstring(html)  # noqa: S314  # our own output


def shown(html: str) -> str:
    return "\n".join(parsed(html).itertext())


# ---------------------------------------------------------------- the whole


@settings(max_examples=50)
@given(responses(), st.booleans())
def test_every_answer_can_be_shown(response: fs.SearchUsersByImageResponse, local: bool) -> None:
    if local:
        response = attrs.evolve(response, preview=PHOTO, calibration=TABLE)
    html = response._repr_html_()
    text = shown(html)
    for match in response.user_matches[:20]:
        assert match.user.user_id in text
        assert f"{match.similarity:.2f}%" in text
    assert all(reason.value in text for face in response.unsearched_faces for reason in face.reasons)
    assert ("too rare to measure" in text) == (local and bool(response.user_matches))
    assert html == response._repr_html_()


@settings(max_examples=40)
@example(HOSTILE, FaceClass.FOUND)
@example(HOSTILE, FaceClass.REFUSED)
@given(st.text(min_size=1), st.sampled_from(FaceClass))
def test_nothing_that_comes_from_outside_becomes_code(text: str, kind: FaceClass) -> None:
    detail = fs.FaceDetail(bounding_box=BOX, confidence=99)
    face = SeenFace(detail=detail, kind=kind, name=text, similarity=91, reasons=(text,))
    calm = SeenFace(detail=detail, kind=kind, name="ada", similarity=91, reasons=("ada",))

    def page(face: SeenFace, name: str) -> str:
        view = ResponseView(
            faces=(face,),
            matches=((name, 91),),
            next_user=(name, 12),
            preview=PHOTO,
            pictures=Pictures(searched=CHIP, users=(UserPictures(user_id=name, thumbnails=(CHIP,)),)),
            calibration=TABLE,
        )
        return as_html(view)

    def tags(html: str) -> list[str]:
        return re.findall(r"</?[a-zA-Z]+", html)

    html = page(face, text)
    assert tags(html) == tags(page(calm, "ada"))
    assert "<script" not in html


def test_nothing_is_fetched_and_no_script_runs() -> None:
    view = ResponseView(
        faces=(SeenFace(detail=fs.FaceDetail(bounding_box=BOX), kind=FaceClass.UNKNOWN),),
        preview=PHOTO,
        pictures=Pictures(searched=CHIP, users=()),
        calibration=TABLE,
        next_user=("ada", 50.0),
    )
    root = parsed(as_html(view))
    links = [value for each in root.iter() for name, value in each.attrib.items() if name in {"href", "src"}]
    assert len(links) == 2  # the annotated photo and the searched face
    assert all(link.startswith("data:image/jpeg;base64,") for link in links)
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on")]


def test_texts_take_the_colour_of_the_page() -> None:
    html = as_html(ResponseView(faces=(), matches=(("ada", 99.5),), next_user=("bob", 40), calibration=TABLE))
    svgs = [each for each in parsed(html).iter() if each.tag.endswith("svg")]
    chart = next(each for each in svgs if "strangers" in (each.get("aria-label") or ""))
    for text in (each for each in chart.iter() if each.tag.endswith("text")):
        fill = text.get("fill") or ""
        pin = text.text in {"1", "?"}  # these stand on a ground of their own
        assert pin or fill == "currentColor"
    for curve in CURVES:  # graphical objects, by WCAG 2.1
        assert contrast(curve.colour, "#ffffff") >= 3
        assert contrast(curve.colour, "#111111") >= 3
    assert "color:" not in html


def test_a_crowd_takes_one_row_for_each_reason() -> None:
    crowd = [
        SeenFace(
            detail=fs.FaceDetail(bounding_box=BOX, confidence=60 + number),
            kind=FaceClass.NOT_CHOSEN,
            reasons=("FACE_NOT_LARGEST",) if number % 20 else ("LOW_SHARPNESS",),
        )
        for number in range(39)
    ]
    html = as_html(
        ResponseView(faces=(SeenFace(detail=fs.FaceDetail(bounding_box=BOX), kind=FaceClass.UNKNOWN), *crowd))
    )
    assert html.count("<tr>") == 3
    assert "39 faces were not searched" in html
    assert f"3{DASH}21, 23{DASH}40" in html
    assert f"61{DASH}98%" in html


@given(st.sets(st.integers(1, 99)))
def test_ranges_name_each_number_once(numbers: set[int]) -> None:
    parts = [part.split(DASH) for part in ranges(sorted(numbers)).split(", ") if part]
    named = [number for part in parts for number in range(int(part[0]), int(part[-1]) + 1)]
    assert named == sorted(numbers)


# ---------------------------------------------------------------- the curve


@given(st.floats(0, 100), st.floats(0, 100))
def test_who_is_more_similar_stands_farther_right_and_fewer_strangers_are(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= position(TABLE, low) <= position(TABLE, high) <= 1
    assert stranger_count(low) <= stranger_count(high)


def stranger_count(similarity: float) -> int:
    return int(strangers(TABLE, similarity).rpartition(" ")[2].replace(",", ""))


def test_strangers_are_counted_as_they_were_measured() -> None:
    for row in TABLE.rows:
        assert stranger_count(row.similarity) == pytest.approx(1 / row.fmr, rel=0.05)
    assert strangers(TABLE, 100) == "fewer than 1 in 100,000"
    assert strangers(TABLE, 0) == "more than 1 in 2"
    assert strangers(TABLE, 99) == "1 in 100,000"
    never = attrs.evolve(TABLE, rows=tuple(attrs.evolve(row, fmr=0.0, fmr_low=0.0) for row in TABLE.rows))
    assert strangers(never, 99.9) == "fewer than 1 in any number"
    assert floor_of(never) == -3  # that of the other curve


def test_the_axis_runs_from_the_last_measured_point_to_100() -> None:
    assert position(TABLE, 100) == 1
    assert position(TABLE, 2) == position(TABLE, 0) == 0
    assert [tick.similarity for tick in ticks(TABLE, apart=0.01)] == [100, 99, 90, 80, 50, 15, 2]
    few = ticks(TABLE, apart=0.2)
    assert all(right.position - left.position >= 0.2 for right, left in pairwise(few))
    for curve in CURVES:
        assert len(rates(TABLE, curve)) == len(TABLE.rows)


@given(st.lists(st.floats(0, 1), max_size=6), st.floats(0.01, 0.2))
def test_heads_of_pins_never_overlap(places: list[float], apart: float) -> None:
    rows = stacked(places, apart)
    for one, row in enumerate(rows):
        for other in range(one):
            assert row != rows[other] or abs(places[one] - places[other]) >= apart


@given(st.lists(st.floats(0, 100), max_size=6))
def test_any_similarities_can_be_drawn(similarities: list[float]) -> None:
    pins = [Pin(text=str(rank), similarity=each) for rank, each in enumerate(similarities)]
    drawn = parsed(draw_curve(TABLE, pins))
    circles = [each for each in drawn.iter() if each.tag.endswith("circle")]
    assert len(circles) == len(pins)
    assert all(0 <= float(circle.get("cx") or -1) <= 560 for circle in circles)
