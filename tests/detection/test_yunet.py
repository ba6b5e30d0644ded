"""YuNet: the same numbers as an independent decoder, points, borders, odd sizes, and what is refused."""

import pickle
from collections.abc import Iterator

import numpy as np
import onnx
import pytest

from facesearch.common.arrays import PixelArray
from facesearch.detection import yunet
from facesearch.detection.alignment import DlibAligner
from facesearch.detection.boxes import suppress
from facesearch.detection.landmarks import DlibLandmarker
from facesearch.detection.mmod import MmodDetector
from facesearch.detection.yunet import YuNetDetector
from facesearch.errors import InvalidParameterError, WeightsError
from facesearch.networks.layers import Overlap
from facesearch.networks.weights import YUNET, read_weights
from facesearch.networks.yunet_onnx import yunet_model
from facesearch.stages import Detection
from samples import astronaut, hopper

YUNET_2 = YuNetDetector(threads=2)
MIRRORED = [1, 0, 2, 4, 3]


def middle(face: Detection) -> tuple[float, float]:
    return (face.left + face.right) / 2, (face.top + face.bottom) / 2


def original(pixels: PixelArray) -> Iterator[tuple[float, list[float], list[list[float]]]]:
    """Score, box and points of each cell, cell by cell, as the authors' code decodes the file's own graph.

    onnx's reference evaluator runs it: no line of ours has touched the graph or its weights.
    """
    from onnx.reference import ReferenceEvaluator

    height, width = pixels.shape[:2]
    model = onnx.load_model_from_string(read_weights(YUNET))
    planes = pixels[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    names = [f"{head}_{stride}" for stride in (8, 16, 32) for head in ("cls", "obj", "bbox", "kps")]
    values = iter(ReferenceEvaluator(model).run(names, {"input": planes}))
    for stride in (8, 16, 32):
        cls, obj, bbox, kps = (next(values)[0] for _ in range(4))
        columns = width // stride
        for cell in range(columns * (height // stride)):
            x, y = cell % columns, cell // columns
            score = float(np.sqrt(np.clip(cls[cell, 0], 0, 1) * np.clip(obj[cell, 0], 0, 1)))
            dx, dy, dw, dh = bbox[cell].tolist()
            w, h = np.exp(dw) * stride, np.exp(dh) * stride
            left, top = (x + dx) * stride - w / 2, (y + dy) * stride - h / 2
            points = [[(x + px) * stride, (y + py) * stride] for px, py in kps[cell].reshape(5, 2).tolist()]
            yield score, [left, top, left + w, top + h], points


def test_boxes_points_and_scores_are_those_of_an_independent_decoder() -> None:
    pixels = np.ascontiguousarray(astronaut()[40:200, 140:300])
    wanted = sorted((each for each in original(pixels) if each[0] >= yunet._HINT), key=lambda each: -each[0])
    boxes, points, scores = yunet._candidates(yunet._session(2, None), pixels, 0)
    order = np.argsort(-scores)

    assert len(wanted) == len(scores) > 3
    assert np.abs(scores[order] - [each[0] for each in wanted]).max() < 1e-5
    assert np.abs(boxes[order] - [each[1] for each in wanted]).max() < 1e-3
    assert np.abs(points[order] - [each[2] for each in wanted]).max() < 1e-3


def test_a_batch_is_its_members_one_by_one() -> None:
    session = yunet._session(2, None)
    crops = np.stack([astronaut()[top : top + 128, 128:288] for top in (0, 60, 300)])
    for together, *apart in zip(
        session.run(None, {"pixels": crops}),
        *(session.run(None, {"pixels": each[None]}) for each in crops),
        strict=True,
    ):
        assert np.abs(together - np.concatenate(apart)).max() < 1e-4


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    for photo in (astronaut(), hopper()):
        assert YuNetDetector(threads=1).detect(photo) == YUNET_2.detect(photo)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_points_are_those_of_the_upright_face(turns: int) -> None:
    (face,) = YUNET_2.detect(np.rot90(astronaut(), turns))

    assert face.points is not None
    assert face.quarter_turns == -turns % 4
    upright = face.points
    for number in range(turns):  # undone as boxes are, by hand: a quarter clockwise takes x, y to height - 1 - y, x
        del number
        upright = np.stack([511 - upright[:, 1], upright[:, 0]], axis=1)
    left_eye, right_eye, nose, left_mouth, right_mouth = upright
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert left_mouth[0] < right_mouth[0]
    aligned = DlibAligner().align(astronaut(), MmodDetector().detect(astronaut())[0])
    shape = DlibLandmarker().locate(astronaut(), aligned)  # another family of networks
    wanted = [shape[36:42].mean(axis=0), shape[42:48].mean(axis=0), shape[30], shape[48], shape[54]]
    assert np.abs(upright - wanted).max() < 8


def test_a_mirrored_photo_has_mirrored_points() -> None:
    photo = astronaut()
    (face,), (other,) = YUNET_2.detect(photo), YUNET_2.detect(photo[:, ::-1])

    assert face.points is not None
    assert other.points is not None
    assert np.abs(face.points - ([511, 0] + other.points * [-1, 1])[MIRRORED]).max() < 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (7, 90), (80, 4000), (33, 31)])
def test_pictures_of_any_size_are_searched(shape: tuple[int, int]) -> None:
    assert YUNET_2.detect(np.full((*shape, 3), 90, np.uint8)) == ()
    YUNET_2.detect(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))


def test_large_pictures_are_reduced_before_they_are_searched() -> None:
    for shape in ((4000, 5000), (100, 60_000)):
        searched, scale = yunet._searched(np.zeros((*shape, 3), np.uint8), 40)
        assert searched.shape[0] * searched.shape[1] <= 1.1 * 1920 * 1080
        assert np.abs(np.array(searched.shape[1::-1]) * scale - shape[::-1]).max() < scale[0]


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_a_face_cut_by_the_edge_is_found(side: str) -> None:
    photo = astronaut()
    (face,) = YUNET_2.detect(photo)
    part = 0.4 * (face.right - face.left)
    cuts = {
        "left": photo[:, round(face.left + part) :],
        "right": photo[:, : round(face.right - part)],
        "top": photo[round(face.top + part) :],
        "bottom": photo[: round(face.bottom - part)],
    }
    assert len(YUNET_2.detect(cuts[side])) == 1


def test_a_pickled_detector_detects_the_same() -> None:
    detector = YuNetDetector(min_face=60, threads=1)
    back = pickle.loads(pickle.dumps(detector))  # noqa: S301  # our own bytes
    assert back == detector
    assert back.detect(astronaut()) == detector.detect(astronaut())


@pytest.mark.parametrize("min_face", [0, 19, 40.0, True, None])
def test_the_smallest_face_is_a_whole_number_from_20(min_face: object) -> None:
    with pytest.raises(InvalidParameterError, match="min_face"):
        YuNetDetector(min_face=min_face)  # type: ignore[arg-type]  # that is the point


def changed(old: str, new: str) -> bytes:
    model = onnx.load_model_from_string(read_weights(YUNET))
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
    return model.SerializeToString()  # type: ignore[no-any-return]  # protobuf has no types


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no network", "expected an ONNX file"),
        (b"", "'cls_8'"),
        (changed("cls_8", "other"), "two convolutions before the output 'cls_8'"),
        (changed("input", "other"), "expected one input"),
    ],
    ids=["no file", "empty", "no head", "no input"],
)
def test_another_graph_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        yunet_model(content)


def test_suppression_is_greedy_one_by_one() -> None:
    def one_by_one(boxes: np.ndarray, confidences: np.ndarray, overlap: Overlap) -> list[int]:
        kept: list[int] = []
        for index in np.argsort(-confidences, kind="stable").tolist():
            alone = [suppress(boxes[[other, index]], np.array([1.0, 0]), overlap).tolist() == [0, 1] for other in kept]
            if all(alone):
                kept.append(index)
        return kept

    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (80, 2))
    boxes = np.hstack([corners, corners + rng.uniform(5, 30, (80, 2))])
    confidences = rng.integers(0, 20, 80) / 20  # with ties
    overlap = Overlap(iou=0.3, covered=0.7)
    assert suppress(boxes, confidences, overlap).tolist() == one_by_one(boxes, confidences, overlap)
    assert suppress(np.zeros((0, 4)), np.zeros(0), overlap).tolist() == []
