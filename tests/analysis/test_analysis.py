"""The stages composed: options, many photos at once, order and laziness."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import facesearch as fs
from facesearch.analysis.analyzer import default_analyzer
from facesearch.common.arrays import PixelArray
from facesearch.rekognition import Rekognition
from facesearch.selection.face_selection import by_size
from facesearch.stages import Detection
from facesearch.testing.fakes import FakeDetector, fake_analyzer, paint
from samples import astronaut, hopper

COLOURS = [(200, 30, 30), (30, 30, 200), (30, 200, 30), (200, 200, 30)]
PHOTOS = [
    paint((120, 260), {(20, 20, 80, 80): one, (150, 30, 200 + 10 * i, 90): COLOURS[0]}) for i, one in enumerate(COLOURS)
] + [np.zeros((100, 100, 3), np.uint8)]


def same(one: tuple[fs.AnalyzedFace, ...], other: tuple[fs.AnalyzedFace, ...]) -> bool:
    return len(one) == len(other) and all(
        left.detail == right.detail and np.abs(left.embedding - right.embedding).max() < 1e-5
        for left, right in zip(one, other, strict=True)
    )


@settings(max_examples=25)
@given(st.lists(st.sampled_from(range(len(PHOTOS))), max_size=8), st.integers(1, 8))
def test_many_photos_give_what_each_gives_in_their_order(chosen: list[int], workers: int) -> None:
    analyzer = fake_analyzer()
    many = list(analyzer.analyze_many((PHOTOS[i] for i in chosen), workers=workers))

    assert len(many) == len(chosen)
    assert all(same(faces, analyzer.analyze(PHOTOS[i])) for faces, i in zip(many, chosen, strict=True))


def test_many_real_photos_give_what_each_gives() -> None:
    analyzer = default_analyzer()
    photos = [astronaut(), hopper(), astronaut()[:, ::-1], np.zeros((100, 100, 3), np.uint8)]

    many = list(analyzer.analyze_many(photos, attributes=["ALL"]))
    assert [len(faces) for faces in many] == [1, 1, 1, 0]
    assert all(
        same(faces, analyzer.analyze(photo, attributes=["ALL"])) for faces, photo in zip(many, photos, strict=True)
    )


def test_photos_are_taken_only_a_few_ahead() -> None:
    taken = []

    def endless() -> Iterator[PixelArray]:
        while True:
            taken.append(1)
            yield PHOTOS[0]

    results = fake_analyzer().analyze_many(endless(), workers=3)
    for _ in range(5):
        next(results)
    assert len(taken) <= 5 + 3 + 1
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() < 10


def test_a_broken_photo_raises_when_its_turn_comes() -> None:
    results = fake_analyzer().analyze_many([PHOTOS[0], b"junk", PHOTOS[1]])

    assert len(next(results)) == 2
    with pytest.raises(fs.InvalidImageFormatError):
        next(results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers: expected a whole number >= 1, got 0"),
        ({"workers": 1.5}, "workers: expected a whole number"),
        ({"attributes": "ALL"}, "attributes: expected a sequence"),
    ],
)
def test_bad_options_are_named_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=message):
        fake_analyzer().analyze_many([], **options)


def test_the_family_of_models_chooses_the_stages() -> None:
    ours, dlibs = fs.FaceAnalyzer(), fs.FaceAnalyzer(models="dlib")

    assert [type(stage).__name__ for stage in (ours.detector, ours.aligner, ours.landmarker, ours.embedder)] == [
        "YuNetDetector", "LandmarkAligner", "FaceLandmarker", "SFaceEmbedder",
    ]  # fmt: skip
    assert [type(stage).__name__ for stage in (dlibs.detector, dlibs.aligner, dlibs.landmarker, dlibs.embedder)] == [
        "MmodDetector", "DlibAligner", "DlibLandmarker", "OnnxEmbedder",
    ]  # fmt: skip
    assert fs.FaceAnalyzer(engine="dlib").models is fs.ModelFamily.DLIB
    assert ours.face_model != dlibs.face_model
    for analyzer in (ours, dlibs):
        assert analyzer.describer.embedder is analyzer.embedder


def test_dlibs_engine_runs_no_other_models() -> None:
    with pytest.raises(fs.InvalidParameterError, match="models: expected 'dlib' with engine='dlib'"):
        fs.FaceAnalyzer(engine="dlib", models="facesearch")
    with pytest.raises(fs.InvalidParameterError, match="models: expected one of facesearch, dlib, got"):
        fs.FaceAnalyzer(models="mediapipe")


def test_both_families_find_the_face_at_nearly_the_same_place() -> None:
    ours, dlibs = (fs.FaceAnalyzer(models=models).analyze(astronaut())[0] for models in ("facesearch", "dlib"))
    boxes = [face.detail.bounding_box for face in (ours, dlibs)]

    assert boxes[0].left == pytest.approx(boxes[1].left, abs=0.1 * boxes[1].width)
    assert boxes[0].height == pytest.approx(boxes[1].height, rel=0.1)
    assert ours.detail.pose.roll == pytest.approx(dlibs.detail.pose.roll, abs=5)


@pytest.mark.parametrize("engine", ["tensorrt", "", None, "ONNX"])
def test_an_unknown_engine_is_named(engine: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="engine: expected one of onnx, dlib, got"):
        fs.FaceAnalyzer(engine=engine)


@pytest.mark.parametrize("threads", [0, -1, 2.5, True])
def test_threads_are_counted_from_one(threads: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="threads: expected a whole number >= 1"):
        fs.FaceAnalyzer(threads=threads)


def test_building_an_analyzer_loads_nothing() -> None:
    for engine in ("onnx", "dlib"):
        assert fs.FaceAnalyzer(engine=engine).face_model.dimension == 128


def test_faces_come_largest_first(fake: fs.FaceAnalyzer) -> None:
    boxes = {(10, 10, 50, 50): COLOURS[0], (60, 10, 140, 90): COLOURS[1], (150, 10, 210, 70): COLOURS[2]}
    areas = [face.measurements.area for face in fake.locate(paint((120, 260), boxes))]

    assert len(areas) == 3
    assert areas == sorted(areas, reverse=True)


def test_sizes_are_told_as_in_a_photo_of_1920_px(fake: fs.FaceAnalyzer) -> None:
    small = paint((400, 960), {(100, 100, 180, 180): COLOURS[0]})
    large = paint((1600, 3840), {(400, 400, 720, 720): COLOURS[0]})
    (one,), (other,) = fake.locate(small), fake.locate(large)

    assert other.measurements.size == pytest.approx(
        2 * one.measurements.size, rel=0.02
    )  # 4 times, in a photo twice as wide
    assert other.measurements.area == pytest.approx(16 * one.measurements.area, rel=0.02)


def test_a_stage_of_ones_own_takes_the_place_of_ours() -> None:
    class Nobody:
        def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:  # noqa: ARG002  # the stage's signature
            return ()

    analyzer = attrs.evolve(fake_analyzer(), detector=Nobody())
    assert analyzer.analyze(PHOTOS[0]) == ()
    assert FakeDetector().detect(PHOTOS[0])


CROWD = paint(
    (11 * 60, 11 * 60),
    {
        (60 * x + 4, 60 * y + 4, 60 * x + 34 + (x + y) % 20, 60 * y + 44): COLOURS[0]
        for x in range(11)
        for y in range(11)
    },
)


def test_detect_faces_gives_the_hundred_largest_by_every_route_as_aws_and_more_only_when_asked() -> None:
    analyzer = fake_analyzer()
    every = fs.detect_faces(CROWD, analyzer=analyzer, max_faces=None)
    assert len(every) == 121
    assert fs.detect_faces(CROWD, analyzer=analyzer) == every[:100]
    assert fs.detect_faces(CROWD, analyzer=analyzer, max_faces=7) == every[:7]

    file = io.BytesIO()
    Image.fromarray(CROWD).save(file, "PNG")
    answer = Rekognition(analyzer=analyzer).detect_faces(Image={"Bytes": file.getvalue()})
    assert answer["FaceDetails"] == [fs.to_aws(face) for face in every[:100]]


def test_located_faces_come_in_the_order_by_which_faces_are_selected() -> None:
    located = fake_analyzer().locate(CROWD)
    assert by_size([face.measurements for face in located]) == tuple(range(121))


@pytest.mark.parametrize("most", [0, -1, 1.5, "all", True])
def test_max_faces_is_a_whole_number_or_none(most: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"^max_faces: expected a whole number >= 1, got "):
        fs.detect_faces(CROWD, max_faces=most, analyzer=fake_analyzer())
