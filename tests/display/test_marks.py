"""What is drawn of faces: each once, told apart by anybody, with labels that can be read and don't collide."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import ImageFont

import facesearch as fs
from colours import EYES, contrast, seen_by
from facesearch.common.arrays import PointArray
from facesearch.display.face_marks import (
    STYLES,
    FaceClass,
    Mark,
    Rectangle,
    SeenFace,
    class_of,
    in_words,
    legend,
    marks_of,
)
from facesearch.display.label_layout import FEW_FACES, HEIGHT, fitted, lay_out, letter_size, text_width
from facesearch.responses.search_users import seen_faces
from facesearch.testing.strategies import responses

WIDTH, HEIGHT_OF_PHOTO = 640, 480
poses = st.builds(fs.Pose, roll=st.floats(-170, 170), yaw=st.floats(-85, 85), pitch=st.floats(-85, 85))
boxes = st.builds(
    fs.BoundingBox,
    left=st.floats(-0.3, 1.1),
    top=st.floats(-0.3, 1.1),
    width=st.floats(0, 0.8),
    height=st.floats(0, 0.8),
)
names = st.text("abcWMi_.-:019", min_size=1, max_size=128)
seen = st.builds(
    lambda box, kind, name, reasons: SeenFace(
        detail=fs.FaceDetail(bounding_box=box, confidence=90),
        kind=kind,
        name=name if kind in {FaceClass.FOUND, FaceClass.INDEXED} else None,
        similarity=97.3 if kind is FaceClass.FOUND else None,
        reasons=tuple(reason.value for reason in reasons) if kind is FaceClass.REFUSED else (),
    ),
    boxes,
    st.sampled_from(FaceClass),
    names,
    st.lists(st.sampled_from(fs.UnsearchedFaceReason), min_size=1, max_size=3, unique=True),
)


def one(kind: FaceClass = FaceClass.FOUND, name: str | None = "ada", **box: float) -> SeenFace:
    place = fs.BoundingBox(**({"left": 0.4, "top": 0.4, "width": 0.1, "height": 0.2} | box))
    return SeenFace(detail=fs.FaceDetail(bounding_box=place), kind=kind, name=name, similarity=99.0)


# ---------------------------------------------------------------- marks


@settings(max_examples=50)
@given(responses())
def test_every_face_of_an_answer_is_shown_once(response: fs.SearchUsersByImageResponse) -> None:
    faces = seen_faces(response)
    searched = [response.searched_face.face_detail] if response.searched_face else []
    assert [face.detail for face in faces] == [
        *searched,
        *(face.face_details for face in response.unsearched_faces),
    ]
    kinds = {FaceClass.FOUND, FaceClass.UNKNOWN} if searched else set()
    assert all(face.kind in kinds for face in faces[: len(searched)])
    assert all(face.kind in {FaceClass.REFUSED, FaceClass.NOT_CHOSEN} for face in faces[len(searched) :])

    marks = marks_of(faces, WIDTH, HEIGHT_OF_PHOTO)
    assert [mark.number for mark in marks] == [*range(1, len(faces) + 1)]
    assert all(mark.texts[-1] == str(mark.number) for mark in marks)


@given(st.lists(st.sampled_from(fs.UnsearchedFaceReason), unique=True))
def test_a_face_is_refused_for_its_own_sake_only(reasons: list[fs.UnsearchedFaceReason]) -> None:
    others = {fs.UnsearchedFaceReason.FACE_NOT_LARGEST, fs.UnsearchedFaceReason.EXCEEDS_MAX_FACES}
    kind = class_of(reason.value for reason in reasons)
    assert (kind is FaceClass.NOT_CHOSEN) == others.issuperset(reasons)


def test_every_reason_has_words() -> None:
    for reason in [*fs.UnsearchedFaceReason, *fs.UnindexedFaceReason]:
        words = in_words((reason.value,))
        assert "_" not in words
        assert words != reason.value.lower().replace("_", " ")
    assert in_words(("FROM_A_LATER_AWS",)) == "from a later aws"
    assert in_words(()) == "not searched"


def test_faces_that_another_answer_searched_are_not_shown_twice() -> None:
    details = [
        fs.FaceDetail(bounding_box=fs.BoundingBox(left=0.2, top=0.2, width=0.3, height=0.3), confidence=confidence)
        for confidence in (90, 80, 70)
    ]
    refused = fs.UnsearchedFace(face_details=details[2], reasons=(fs.UnsearchedFaceReason.LOW_SHARPNESS,))
    answers = [
        fs.SearchUsersByImageResponse(
            searched_face=fs.SearchedFaceDetails(face_detail=detail), unsearched_faces=(refused,)
        )
        for detail in details[:2]
    ]
    assert [face.detail for face in seen_faces(*answers)] == details
    assert seen_faces() == ()


@settings(max_examples=40)
@given(st.lists(seen, max_size=20))
def test_the_legend_counts_every_face(faces: list[SeenFace]) -> None:
    entries = legend(faces)
    assert {kind for kind, _ in entries} == {face.kind for face in faces}
    for kind, words in entries:
        count = sum(face.kind is kind for face in faces)
        assert words.startswith(STYLES[kind].words)
        assert (f"({count})" in words) == (count > 1)


def axes_of(pose: fs.Pose, left: float) -> PointArray:
    detail = fs.FaceDetail(bounding_box=fs.BoundingBox(left=left, top=0.2, width=0.3, height=0.5), pose=pose)
    face = SeenFace(detail=detail, kind=FaceClass.UNKNOWN)
    assert marks_of([face], 100, 100)[0].axes is None  # by default
    (mark,) = marks_of([face], 100, 100, pose=True)
    assert mark.axes
    return np.array([mark.centre, *mark.axes])


@given(poses)
def test_a_mirrored_face_has_mirrored_axes(pose: fs.Pose) -> None:
    centre, right, up, ahead = axes_of(pose, left=0.1)
    mirrored = axes_of(fs.Pose(roll=-pose.roll, yaw=-pose.yaw, pitch=pose.pitch), left=0.6)
    flip = np.array([100.0, 0.0]), np.array([-1.0, 1.0])
    # The axis to the right is to the viewer's right in both, so it is the mirror image of the one to the left.
    expected = [flip[0] + flip[1] * point for point in (centre, 2 * centre - right, up, ahead)]
    assert mirrored == pytest.approx(np.array(expected), abs=1e-9)


@given(poses)
def test_axes_are_those_of_one_rotation(pose: fs.Pose) -> None:
    centre, *ends = axes_of(pose, left=0.1)
    across = np.array(ends).T - centre[:, np.newaxis]  # (2, 3): two rows of a rotation, scaled
    assert across @ across.T == pytest.approx(18.0**2 * np.eye(2), abs=1e-9)


def test_axes_point_where_the_head_does() -> None:
    centre, right, up, ahead = axes_of(fs.Pose(roll=0, yaw=0, pitch=0), left=0.1)
    assert right == pytest.approx(centre + np.array([18, 0]))
    assert up == pytest.approx(centre + np.array([0, -18]))
    assert ahead == pytest.approx(centre)
    assert axes_of(fs.Pose(roll=0, yaw=40, pitch=0), left=0.1)[3][0] > centre[0]  # nose toward image right
    assert axes_of(fs.Pose(roll=0, yaw=0, pitch=40), left=0.1)[3][1] < centre[1]  # face up
    assert axes_of(fs.Pose(roll=30, yaw=0, pitch=0), left=0.1)[1][1] > centre[1]  # clockwise on the screen


# ---------------------------------------------------------------- labels


@settings(max_examples=60)
@given(st.lists(seen, max_size=40), st.floats(5, 40))
def test_labels_lie_within_the_picture_and_never_overlap(faces: list[SeenFace], letter: float) -> None:
    labels = lay_out(marks_of(faces, WIDTH, HEIGHT_OF_PHOTO), WIDTH, HEIGHT_OF_PHOTO, letter)
    for label in labels:
        place = label.place
        assert place.left >= 0
        assert place.top >= 0
        assert place.right <= WIDTH + 1e-6
        assert place.bottom <= HEIGHT_OF_PHOTO + 1e-6
        assert text_width(label.text) * letter <= place.width
        assert place.height == pytest.approx(HEIGHT * letter)
        assert place.left < label.baseline[0] < place.right
        assert place.top < label.baseline[1] < place.bottom
    for first, second in itertools.combinations(labels, 2):
        assert first.place.shared(second.place) == 0


@pytest.mark.parametrize("kind", [FaceClass.NOT_CHOSEN, FaceClass.FOUND])
def test_in_a_crowd_of_forty_every_face_is_labelled_beside_the_others(kind: FaceClass) -> None:
    faces = [
        one(kind, "somebody_with_a_long_name", left=x / 8 + 0.03, top=y / 5 + 0.03, width=0.06, height=0.12)
        for y in range(5)
        for x in range(8)
    ]
    marks = marks_of(faces, WIDTH, HEIGHT_OF_PHOTO)
    labels = lay_out(marks, WIDTH, HEIGHT_OF_PHOTO, letter_size(marks, 1))
    assert [label.mark.number for label in labels] == list(range(1, 41))
    for label in labels:
        assert label.place.shared(label.mark.box) > 0 or near(label.place, label.mark.box)
        assert sum(label.place.shared(mark.box) for mark in marks if mark is not label.mark) == 0
    words = [label.text.startswith("some") for label in labels]
    assert all(words) if kind is FaceClass.FOUND else not any(words)


def near(one: Rectangle, other: Rectangle) -> bool:
    return one.grown(1).shared(other) > 0


def test_few_faces_are_labelled_in_words_and_a_long_name_keeps_its_similarity() -> None:
    refused = SeenFace(
        detail=fs.FaceDetail(bounding_box=fs.BoundingBox(left=0.7, top=0.1, width=0.1, height=0.2)),
        kind=FaceClass.REFUSED,
        reasons=("LOW_SHARPNESS", "SMALL_BOUNDING_BOX"),
    )
    marks = marks_of([one(name="W" * 128), refused], WIDTH, HEIGHT_OF_PHOTO)
    found, other = lay_out(marks, WIDTH, HEIGHT_OF_PHOTO, letter_size(marks, 1))
    assert found.text.endswith("… 99.0%")
    assert found.text.startswith("WWW")
    assert other.text == "2 blurred, too small"


def test_letters_shrink_with_the_crowd_and_never_beyond_reading() -> None:
    def size(count: int, width: float, scale: float = 1.0) -> float:
        faces = [one(FaceClass.NOT_CHOSEN, width=width, height=width) for _ in range(count)]
        return letter_size(marks_of(faces, WIDTH, HEIGHT_OF_PHOTO), scale) * scale

    assert size(1, 0.2) == size(FEW_FACES, 0.01) > size(40, 0.2) > size(40, 0.02) > 8
    assert size(40, 0.02, scale=2.5) > size(40, 0.02)  # the same photo shown larger


@given(names, st.floats(1, 40))
def test_a_shortened_text_fits(text: str, width: float) -> None:
    short = fitted(f"{text} 99.9%", width)
    assert short == "…" or text_width(short) <= width
    assert (short == f"{text} 99.9%") == (text_width(f"{text} 99.9%") <= width)


def test_texts_are_as_wide_as_they_are_drawn() -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font, label_font = FontProperties(family="DejaVu Sans"), ImageFont.load_default(200)
    for letter in [*map(chr, range(33, 127)), "…", "\N{EN DASH}"]:
        text = letter * 8
        written = TextPath((0, 0), text.replace("$", r"\$"), size=1, prop=font).get_extents().width
        drawn = max(written, label_font.getlength(text) / 200)
        assert drawn <= text_width(text) <= drawn * 1.12 + 0.8, letter


# ---------------------------------------------------------------- colours

TOGETHER = [  # classes that one picture may show
    (FaceClass.FOUND, FaceClass.UNKNOWN, FaceClass.REFUSED, FaceClass.NOT_CHOSEN),
    (FaceClass.INDEXED, FaceClass.REFUSED, FaceClass.NOT_CHOSEN),
]


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("kinds", TOGETHER)
def test_colour_blind_people_tell_the_classes_apart(eyes: str, kinds: tuple[FaceClass, ...]) -> None:
    for first, second in itertools.combinations(kinds, 2):
        distance = np.linalg.norm(seen_by(eyes, STYLES[first].colour) - seen_by(eyes, STYLES[second].colour))
        assert distance > 30, (first, second)


def test_classes_are_told_without_colour_too() -> None:
    for kinds in TOGETHER:
        assert len({STYLES[kind].dash for kind in kinds}) == len(kinds)
        assert len({STYLES[kind].words for kind in kinds}) == len(kinds)


def test_labels_can_be_read_and_frames_be_seen_on_any_ground() -> None:
    assert set(STYLES) == set(FaceClass)
    for style in STYLES.values():
        assert contrast(style.ink, style.colour) >= 4.5
        # Frame and halo differ, so one of the two differs from whatever is behind them.
        assert contrast(style.halo, style.colour) >= 3.5
        for ground in ("#000000", "#777777", "#ffffff"):
            assert max(contrast(style.halo, ground), contrast(style.colour, ground)) >= 3


def test_marks_are_values() -> None:
    (mark,) = marks_of([one()], WIDTH, HEIGHT_OF_PHOTO)
    assert mark == marks_of([one()], WIDTH, HEIGHT_OF_PHOTO)[0]
    assert isinstance(mark, Mark)
    assert mark.box.shared(mark.box) == pytest.approx(64 * 96)
