"""What a face looks like: the rules that put answers into AWS's words, the heads, and both on real photographs."""

import io
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import attrs
import numpy as np
import onnx
import pytest
from hypothesis import given, settings, strategies as st
from onnx import numpy_helper
from PIL import Image

import facesearch as fs
from facesearch.appearance.answers import FURTHEST_YAW, SMALLEST_CHIP, Answers, unassessed, worded
from facesearch.appearance.describer import FaceDescriber
from facesearch.appearance.heads import EMOTIONS, YES_OR_NO, FaceHeads
from facesearch.common.arrays import PixelArray
from facesearch.domain.attributes import SINGLE, parse_attributes
from facesearch.embedding.dlib_resnet import OnnxEmbedder
from facesearch.embedding.mapped import MappedEmbedder
from facesearch.embedding.sface import SFaceEmbedder
from facesearch.networks.weights import DLIB_FACE_HEADS, FACE_ATTRIBUTES, WeightFile, weights_path
from facesearch.stages import CHIP_SIZE
from facesearch.testing.fakes import paint
from samples import astronaut, hopper

FIELDS = {
    fs.Attribute.AGE_RANGE: "age_range",
    fs.Attribute.BEARD: "beard",
    fs.Attribute.EMOTIONS: "emotions",
    fs.Attribute.EYE_DIRECTION: "eye_direction",
    fs.Attribute.EYEGLASSES: "eyeglasses",
    fs.Attribute.EYES_OPEN: "eyes_open",
    fs.Attribute.GENDER: "gender",
    fs.Attribute.MOUTH_OPEN: "mouth_open",
    fs.Attribute.MUSTACHE: "mustache",
    fs.Attribute.FACE_OCCLUDED: "face_occluded",
    fs.Attribute.SMILE: "smile",
    fs.Attribute.SUNGLASSES: "sunglasses",
}
AHEAD = fs.Pose(roll=0, yaw=0, pitch=0)

chances = st.floats(0, 1)
answers = st.builds(
    Answers,
    chance=st.fixed_dictionaries(dict.fromkeys(YES_OR_NO, chances)),
    emotions=st.fixed_dictionaries(dict.fromkeys(EMOTIONS, chances)),
    age=st.tuples(st.floats(-20, 120), st.floats(0.1, 60)),
)
asked_for = st.frozensets(st.sampled_from(fs.Attribute)).map(parse_attributes)


def test_every_single_attribute_has_a_field() -> None:
    assert set(FIELDS) == SINGLE
    assert set(FIELDS.values()) <= {field.name for field in attrs.fields(fs.FaceDetail)}


@given(answers, chances)
def test_words_say_what_the_answers_say(answer: Answers, eyes_open: float) -> None:
    words: dict[str, Any] = dict(worded(answer, eyes_open).values())

    assert set(words) == set(FIELDS.values()) - {"eye_direction"}
    for name in ("smile", "mouth_open", "beard", "mustache", "sunglasses"):
        assert words[name].value is (answer.chance[name] >= 0.5)
        assert words[name].confidence == pytest.approx(100 * max(answer.chance[name], 1 - answer.chance[name]))
    assert (words["gender"].value is fs.GenderType.MALE) is (answer.chance["male"] >= 0.5)
    assert words["eyes_open"].value is (eyes_open >= 0.5)
    # Whoever wears sunglasses wears glasses, and a mask covers a face.
    assert words["eyeglasses"].value or not words["sunglasses"].value
    assert words["face_occluded"].value or answer.chance["masked"] < 0.5


@given(answers)
def test_emotions_are_eight_in_descending_order_and_the_unknown_one_has_no_confidence(answer: Answers) -> None:
    emotions = worded(answer, 1.0)[fs.Attribute.EMOTIONS][1]
    given_ = {emotion.type: emotion.confidence for emotion in emotions}

    assert set(given_) == set(fs.EmotionType) - {fs.EmotionType.UNKNOWN}
    assert list(given_.values()) == sorted(given_.values(), reverse=True)
    assert given_[fs.EmotionType.CONFUSED] == 0
    assert all(given_[kind] == pytest.approx(100 * answer.emotions[kind]) for kind in EMOTIONS)


@given(answers)
def test_an_age_range_is_whole_years_around_the_middle_and_never_below_zero(answer: Answers) -> None:
    age = worded(answer, 1.0)[fs.Attribute.AGE_RANGE][1]
    middle, half = answer.age

    assert 0 <= age.low <= age.high
    assert age.low == max(math.floor(middle - half + 0.5), 0)
    assert age.high >= middle + half - 0.5 or age.high == age.low


@given(asked_for, answers, st.floats(1, 500), st.floats(-90, 90))
def test_what_cannot_be_assessed_is_told_of_what_was_asked_only(
    asked: frozenset[fs.Attribute], answer: Answers, chip_side: float, yaw: float
) -> None:
    absent = unassessed(asked, answer, chip_side=chip_side, pose=fs.Pose(roll=0, yaw=yaw, pitch=0))

    assert set(absent) <= asked & SINGLE
    if chip_side < SMALLEST_CHIP:
        assert set(absent.values()) <= {fs.Unassessed.FACE_TOO_SMALL}
        assert set(absent) == asked & SINGLE
    elif abs(yaw) > FURTHEST_YAW:
        assert set(absent.values()) <= {fs.Unassessed.FACE_TURNED_AWAY}
        assert set(absent) == asked & SINGLE
    else:
        assert (fs.Unassessed.MOUTH_COVERED in absent.values()) <= (answer.chance["masked"] >= 0.5)
        assert (fs.Unassessed.EYES_COVERED in absent.values()) <= (answer.chance["sunglasses"] >= 0.5)
        assert fs.Attribute.FACE_OCCLUDED not in absent


def test_all_means_each_single_one() -> None:
    assert parse_attributes(["ALL"]) == frozenset(fs.Attribute)
    assert parse_attributes(["SMILE"]) == {fs.Attribute.SMILE}


@pytest.mark.parametrize("attribute", list(FIELDS), ids=[each.value for each in FIELDS])
def test_what_is_asked_for_is_given_and_nothing_else(fake: fs.FaceAnalyzer, attribute: fs.Attribute) -> None:
    photo = paint((300, 300), {(20, 20, 280, 280): (200, 30, 30)})
    (face,) = fake.locate(photo, attributes=[attribute])

    present = {name for name in FIELDS.values() if getattr(face.detail, name) is not None}
    assert present == ({FIELDS[attribute]} if attribute not in face.unassessed else set())
    assert set(face.unassessed) <= {attribute}


def test_a_small_face_tells_why_nothing_is_said_of_it(fake: fs.FaceAnalyzer) -> None:
    (face,) = fake.locate(paint((100, 100), {(40, 40, 50, 50): (200, 30, 30)}), attributes=["ALL"])

    assert face.unassessed == dict.fromkeys(SINGLE, fs.Unassessed.FACE_TOO_SMALL)
    assert all(getattr(face.detail, name) is None for name in FIELDS.values())


# --- the heads ---


FAMILIES: dict[str, tuple[type[MappedEmbedder], WeightFile]] = {
    "SFace": (SFaceEmbedder, FACE_ATTRIBUTES),
    "dlib": (OnnxEmbedder, DLIB_FACE_HEADS),
}
family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def crops() -> Callable[[str], PixelArray]:
    """Two people, each as she is and mirrored, as an embedder takes them."""

    @cache
    def cut(family: str) -> PixelArray:
        analyzer = fs.FaceAnalyzer(embedder=FAMILIES[family][0]())
        faces = [analyzer.locate(photo)[0].probe for photo in (astronaut(), hopper())]
        return np.stack([view for face in faces for view in (face, face[:, ::-1])])

    return cut


@cache
def networks(family: str, mirrored: bool) -> tuple[MappedEmbedder, FaceHeads]:
    embedder, file = FAMILIES[family]
    return embedder(mirrored=mirrored), FaceHeads(file)


def read(crops: PixelArray, family: str, *, mirrored: bool) -> tuple[Answers, ...]:
    embedder, heads = networks(family, mirrored)
    return heads.read(embedder.embed_with_maps(crops)[1])


def numbers(answer: Answers) -> list[float]:
    return [*answer.chance.values(), *answer.emotions.values(), *(years / 100 for years in answer.age)]


@family
@pytest.mark.parametrize("mirrored", [True, False])
@settings(max_examples=5)
@given(rows=st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_each_answer_depends_on_its_own_face_only(
    crops: Callable[[str], PixelArray], family: str, mirrored: bool, rows: list[int]
) -> None:
    faces = crops(family)
    together = read(faces[rows], family, mirrored=mirrored)
    apart = [read(faces[[row]], family, mirrored=mirrored)[0] for row in rows]

    for one, other in zip(together, apart, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), abs=1e-4)


@family
@pytest.mark.parametrize(("mirrored", "tolerance"), [(True, 1e-4), (False, 0.25)])
def test_a_mirrored_face_looks_the_same(
    crops: Callable[[str], PixelArray], family: str, mirrored: bool, tolerance: float
) -> None:
    found = read(crops(family), family, mirrored=mirrored)

    for one, other in (found[:2], found[2:]):
        assert numbers(one) == pytest.approx(numbers(other), abs=tolerance)


@family
def test_the_shipped_file_is_small_and_holds_plain_arrays(family: str) -> None:
    path = weights_path(FAMILIES[family][1])

    assert path.stat().st_size < 2_000_000
    model = onnx.load(path, load_external_data=False)
    assert {node.domain for node in model.graph.node} == {""}
    assert all(np.isfinite(numpy_helper.to_array(each)).all() for each in model.graph.initializer)


@family
def test_a_describer_reads_with_the_heads_of_its_embedder(family: str) -> None:
    embedder, file = FAMILIES[family]

    assert FaceDescriber(embedder())._heads._file is file


def test_a_describer_embeds_with_sface_where_nothing_else_is_wanted() -> None:
    assert isinstance(FaceDescriber().embedder, SFaceEmbedder)


# --- real photographs, the whole path ---


def all_of(photo: Any) -> fs.FaceDetail:
    return fs.detect_faces(photo, attributes=["ALL"])[0]


@pytest.mark.parametrize("photo", [astronaut, hopper], ids=["astronaut", "hopper"])
def test_every_member_of_aws_is_there(photo: Callable[[], PixelArray]) -> None:
    detail = all_of(photo())

    assert all(getattr(detail, field.name) is not None for field in attrs.fields(fs.FaceDetail))
    assert detail.landmarks
    assert len(detail.landmarks) == 30


def test_eileen_collins_smiles_and_shows_her_teeth() -> None:
    detail = all_of(astronaut())

    assert detail.smile
    assert detail.smile.value
    assert detail.smile.confidence > 95
    assert detail.mouth_open
    assert detail.mouth_open.value
    assert detail.gender
    assert detail.gender.value is fs.GenderType.FEMALE
    assert detail.emotions
    assert detail.emotions[0].type is fs.EmotionType.HAPPY
    assert detail.age_range
    assert detail.age_range.low <= 36 <= detail.age_range.high + 5  # she was 35
    for absent in (detail.eyeglasses, detail.sunglasses, detail.beard, detail.mustache, detail.face_occluded):
        assert absent is not None
        assert not absent.value
        assert absent.confidence > 80
    assert detail.eyes_open
    assert detail.eyes_open.value


def test_grace_hopper_wears_glasses_and_no_sunglasses() -> None:
    detail = all_of(hopper())

    assert detail.eyeglasses
    assert detail.eyeglasses.value
    assert detail.sunglasses
    assert not detail.sunglasses.value
    assert detail.age_range
    assert detail.age_range.low > 50  # she was 77


def test_dark_bars_over_the_eyes_and_a_cloth_over_the_mouth_cover_a_face() -> None:
    points = {mark.type: (mark.x * 512, mark.y * 512) for mark in all_of(astronaut()).landmarks or ()}
    covered = astronaut().copy()
    top = round(points[fs.LandmarkType.NOSE][1])
    bottom = round(points[fs.LandmarkType.CHIN_BOTTOM][1])
    left, right = (
        round(points[kind][0]) for kind in (fs.LandmarkType.UPPER_JAWLINE_LEFT, fs.LandmarkType.UPPER_JAWLINE_RIGHT)
    )
    covered[top:bottom, left:right] = (190, 210, 225)

    detail = all_of(covered)
    assert detail.face_occluded
    assert detail.face_occluded.value


def test_a_mirrored_photo_mirrors_the_geometry_and_keeps_the_looks() -> None:
    one, other = all_of(astronaut()), all_of(np.ascontiguousarray(astronaut()[:, ::-1]))

    assert one.pose
    assert other.pose
    assert one.pose.yaw == pytest.approx(-other.pose.yaw, abs=5)
    assert one.pose.roll == pytest.approx(-other.pose.roll, abs=3)
    assert one.eye_direction
    assert other.eye_direction
    assert one.eye_direction.yaw == pytest.approx(-other.eye_direction.yaw, abs=12)
    for name in ("smile", "mouth_open", "eyeglasses", "sunglasses", "beard", "mustache", "gender", "eyes_open"):
        assert getattr(one, name).value == getattr(other, name).value
    assert one.age_range
    assert other.age_range
    assert one.age_range.low == pytest.approx(other.age_range.low, abs=8)


@pytest.mark.parametrize("size", [0.4, 0.7, 1.5, 2.0])
def test_the_size_of_the_picture_matters_little(size: float) -> None:
    image = Image.fromarray(astronaut())
    resized = image.resize((round(512 * size), round(512 * size)), Image.Resampling.LANCZOS)
    one, other = all_of(astronaut()), all_of(np.asarray(resized))

    for name in (
        "smile",
        "mouth_open",
        "eyeglasses",
        "sunglasses",
        "beard",
        "mustache",
        "gender",
        "eyes_open",
        "face_occluded",
    ):
        assert getattr(one, name).value == getattr(other, name).value
        assert getattr(one, name).confidence == pytest.approx(getattr(other, name).confidence, abs=25)
    assert one.age_range
    assert other.age_range
    assert one.age_range.low == pytest.approx(other.age_range.low, abs=8)


def test_what_the_photo_looks_like_does_not_change_who_it_is(real: fs.FaceAnalyzer) -> None:
    (plain,), (full,) = real.analyze(astronaut()), real.analyze(astronaut(), attributes=["ALL"])

    assert np.abs(plain.embedding - full.embedding).max() < 1e-5
    nothing: dict[str, Any] = dict.fromkeys(FIELDS.values())
    assert plain.detail == attrs.evolve(full.detail, landmarks=full.detail.landmarks[:5], **nothing)
    assert not plain.unassessed


def test_an_engine_of_dlib_gives_its_own_vector_beside_the_attributes() -> None:
    crop = np.ascontiguousarray(astronaut()[20:240, 110:340])
    dlib, ours = fs.FaceAnalyzer(engine="dlib"), fs.FaceAnalyzer()
    (one,) = dlib.analyze(crop, attributes=["SMILE"])

    assert one.detail.smile
    assert one.detail.smile.value
    assert (one.embedding == dlib.embedder.embed(one.chip[None])[0]).all()
    assert ours.embedder.embed(np.empty((0, CHIP_SIZE, CHIP_SIZE, 3), np.uint8)).shape == (0, 128)


def test_unsearched_faces_carry_what_was_asked_for(real: fs.FaceAnalyzer) -> None:
    both = np.concatenate([astronaut()[:512], hopper()[:512]], axis=1)
    response = fs.search_users_by_image(
        fs.Collection("nobody", analyzer=real), both, attributes=["SMILE", "EYEGLASSES"]
    )

    assert response.searched_face
    details = [response.searched_face.face_detail, *(face.face_details for face in response.unsearched_faces)]
    assert len(details) == 2
    assert all(detail.smile and detail.eyeglasses and not detail.gender for detail in details)
    wire = fs.to_aws(response)
    assert wire["UnsearchedFaces"][0]["FaceDetails"]["Smile"]["Value"] in {True, False}


def test_a_photo_of_a_photo_in_grey_is_read_too() -> None:
    stream = io.BytesIO()
    Image.fromarray(astronaut()).convert("L").save(stream, "JPEG", quality=60)

    detail = all_of(stream.getvalue())
    assert detail.smile
    assert detail.smile.value
