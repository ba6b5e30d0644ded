"""What every stage must do, the fakes as well as the real ones: one suite for both."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from facesearch.analysis.analyzer import FaceAnalyzer, default_analyzer
from facesearch.common.arrays import PixelArray
from facesearch.detection.dlib_detectors import HogDetector
from facesearch.detection.face_landmarks import FaceLandmarker, LandmarkAligner
from facesearch.detection.landmarks import IRISES, MIRROR
from facesearch.detection.yunet import YuNetDetector
from facesearch.stages import CHIP_SIZE, AlignedFace
from facesearch.testing.fakes import fake_analyzer, paint
from samples import astronaut, hopper


@attrs.frozen(eq=False)
class Case:
    """An analyzer, a photo with one face for it, and where that face is: left, top, right, bottom in pixels."""

    analyzer: FaceAnalyzer
    photo: PixelArray
    face: tuple[float, float, float, float]
    stranger: PixelArray


def painted() -> Case:
    return Case(
        fake_analyzer(),
        paint((512, 512), {(160, 60, 280, 200): (200, 30, 30)}),
        (160, 60, 280, 200),
        paint((512, 512), {(160, 60, 280, 200): (30, 30, 200)}),
    )


def photographed() -> Case:
    return Case(default_analyzer(), astronaut(), (173, 60, 280, 185), hopper())


def reference() -> Case:
    """dlib's own engine, on a smaller photo because it is slow."""
    crop = np.ascontiguousarray(astronaut()[20:240, 110:340])
    return Case(FaceAnalyzer(engine="dlib"), crop, (63, 40, 170, 165), np.ascontiguousarray(hopper()[::2, ::2]))


def frontal() -> Case:
    return Case(FaceAnalyzer(detector=HogDetector()), astronaut(), (173, 60, 280, 185), hopper())


def yunet() -> Case:
    return Case(FaceAnalyzer(detector=YuNetDetector()), astronaut(), (173, 60, 280, 185), hopper())


def landmarked() -> Case:
    """Our own landmarks and alignment, from YuNet's points."""
    analyzer = FaceAnalyzer(detector=YuNetDetector(), aligner=LandmarkAligner(), landmarker=FaceLandmarker())
    return Case(analyzer, astronaut(), (173, 60, 280, 185), hopper())


def boxed() -> Case:
    """Our own landmarks and alignment, from a detector without points."""
    analyzer = FaceAnalyzer(aligner=LandmarkAligner(), landmarker=FaceLandmarker())
    return Case(analyzer, astronaut(), (173, 60, 280, 185), hopper())


CASES = {
    "fake": painted,
    "onnx": photographed,
    "dlib": reference,
    "hog": frontal,
    "yunet": yunet,
    "landmarks": landmarked,
    "landmarks from boxes": boxed,
}


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    built: Case = request.param()
    return built


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared)


def test_the_face_is_found_where_it_is(case: Case) -> None:
    found = case.analyzer.detector.detect(case.photo)[0]

    assert iou((found.left, found.top, found.right, found.bottom), case.face) > 0.5
    assert 50 < found.confidence <= 100


def test_nothing_is_found_where_nothing_is(case: Case) -> None:
    assert case.analyzer.detector.detect(np.zeros((200, 300, 3), np.uint8)) == ()


def test_detection_does_not_write_to_the_picture_and_repeats_itself(case: Case) -> None:
    photo = case.photo.copy()
    photo.flags.writeable = False

    assert case.analyzer.detector.detect(photo) == case.analyzer.detector.detect(photo)
    assert (photo == case.photo).all()


def test_a_face_that_fills_the_picture_is_found(case: Case) -> None:
    left, top, right, bottom = (round(edge) for edge in case.face)
    crop = case.photo[top:bottom, left:right]

    found = case.analyzer.detector.detect(np.ascontiguousarray(crop))[0]
    assert iou((found.left, found.top, found.right, found.bottom), (0, 0, crop.shape[1], crop.shape[0])) > 0.4


def aligned(case: Case, photo: PixelArray) -> AlignedFace:
    return case.analyzer.aligner.align(photo, case.analyzer.detector.detect(photo)[0])


def test_points_are_a_face_in_the_viewers_order(case: Case) -> None:
    points = case.analyzer.landmarker.locate(case.photo, aligned(case, case.photo))

    assert points.shape in {(68, 2), (70, 2)}
    assert points.dtype == np.float64
    assert np.isfinite(points).all()
    left_eye, right_eye = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    assert left_eye[0] < points[30, 0] < right_eye[0]
    assert left_eye[1] < points[30, 1] < points[48:60, 1].mean() < points[8, 1]
    assert points[48, 0] < points[54, 0]
    for iris, corners in zip(points[68:], ([36, 39], [42, 45]), strict=False):  # where the landmarker locates irises
        assert points[corners[0], 0] < iris[0] < points[corners[1], 0]


def test_a_mirrored_photo_has_mirrored_points(case: Case) -> None:
    mirrored = np.ascontiguousarray(case.photo[:, ::-1])
    points = case.analyzer.landmarker.locate(case.photo, aligned(case, case.photo))
    other = case.analyzer.landmarker.locate(mirrored, aligned(case, mirrored))

    other = (other * [-1, 1] + [case.photo.shape[1] - 1, 0])[[*MIRROR, *IRISES[::-1]][: len(points)]]
    assert np.abs(other - points).mean() < 0.05 * (case.face[2] - case.face[0])


def test_a_chip_is_a_square_of_the_agreed_size(case: Case) -> None:
    chip = aligned(case, case.photo).chip

    assert chip.shape == (CHIP_SIZE, CHIP_SIZE, 3)
    assert chip.dtype == np.uint8
    assert (chip == aligned(case, case.photo).chip).all()


def test_a_point_of_the_chip_is_found_in_the_picture(case: Case) -> None:
    face = aligned(case, case.photo)
    # A scaled copy has other pixels but the same chip, give or take, at places that are scaled likewise.
    twice = case.photo.repeat(2, axis=0).repeat(2, axis=1)
    other = aligned(case, twice)

    places = np.array([(0.0, 0.0), (149, 0), (75, 75), (0, 149)])
    assert np.abs(other.in_picture(places) / 2 - face.in_picture(places)).max() < 0.1 * (case.face[2] - case.face[0])
    left, top = face.in_picture(np.array([(75.0, 75.0)]))[0]
    assert case.face[0] < left < case.face[2]
    assert case.face[1] < top < case.face[3]


def test_a_chip_at_the_edge_of_the_picture_is_cut_all_the_same(case: Case) -> None:
    left, top, right, bottom = (round(edge) for edge in case.face)
    crop = np.ascontiguousarray(case.photo[top:bottom, left : (left + right) // 2 + 20])
    found = case.analyzer.detector.detect(case.photo)[0]
    beyond = attrs.evolve(
        found, left=found.left - left, right=found.right - left, top=found.top - top, bottom=found.bottom - top
    )

    assert case.analyzer.aligner.align(crop, beyond).chip.shape == (CHIP_SIZE, CHIP_SIZE, 3)


@cache
def chips_of(case: Case) -> PixelArray:
    return np.stack([face.probe for photo in (case.photo, case.stranger) for face in case.analyzer.locate(photo)[:1]])


def test_embeddings_have_the_shape_the_model_says(case: Case) -> None:
    embedder = case.analyzer.embedder
    vectors = embedder.embed(chips_of(case))

    assert vectors.shape == (2, embedder.face_model.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert embedder.embed(np.empty((0, CHIP_SIZE, CHIP_SIZE, 3), np.uint8)).shape == (0, embedder.face_model.dimension)


def test_one_person_is_near_and_another_is_far(case: Case) -> None:
    here, there = case.analyzer.embedder.embed(chips_of(case))
    (mirrored,) = case.analyzer.embedder.embed(chips_of(case)[:1, :, ::-1])

    assert np.linalg.norm(here - mirrored) < 0.4
    assert np.linalg.norm(here - there) > 0.6


@settings(max_examples=8)
@given(data=st.data())
def test_a_batch_is_its_members_one_by_one(case: Case, data: st.DataObject) -> None:
    chips = chips_of(case)
    chosen = data.draw(st.lists(st.integers(0, len(chips) - 1), min_size=1, max_size=4))
    together = case.analyzer.embedder.embed(chips[chosen])
    apart = np.concatenate([case.analyzer.embedder.embed(chips[[one]]) for one in chosen])

    assert np.abs(together - apart).max() < 1e-5


def test_threads_may_share_an_analyzer(case: Case) -> None:
    def faces(photo: PixelArray) -> list[tuple[float, ...]]:
        return [(face.measurements.area, *face.embedding) for face in case.analyzer.analyze(photo)]

    photos = [case.photo, case.stranger] * 2
    one_by_one = [faces(photo) for photo in photos[:2]] * 2
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(faces, photos))
    for one, other in zip(together, one_by_one, strict=True):
        assert np.abs(np.array(one) - np.array(other)).max() < 1e-5


def test_how_well_faces_match_is_told_one_by_one_with_their_vectors(case: Case) -> None:
    chips = np.stack([face.probe for photo in (case.photo, case.stranger) for face in case.analyzer.locate(photo)[:1]])
    scores, vectors = case.analyzer.describer.assess(chips)
    mirrored, _ = case.analyzer.describer.assess(chips[:, :, ::-1])
    apart = [case.analyzer.describer.assess(chips[[place]])[0][0] for place in range(2)]

    assert len(scores) == len(vectors) == 2
    assert all(0 <= score <= 100 for score in scores)
    assert scores == pytest.approx(apart, abs=1e-3)
    assert scores == pytest.approx(
        mirrored, abs=10
    )  # exactly where the embedder averages both, see test_match_quality.py
    if case.analyzer.describer.embedder is not None:
        assert np.abs(vectors - case.analyzer.describer.embedder.embed(chips)).max() < 1e-5
