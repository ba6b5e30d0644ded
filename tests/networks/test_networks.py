"""dlib's networks in ONNX Runtime against dlib's own engine, which is the oracle here."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import dlib
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.detection.boxes import suppress, window_boxes
from facesearch.errors import InvalidParameterError, WeightsError
from facesearch.networks.dlib_onnx import detector_model, detector_ranges, embedding_model
from facesearch.networks.dlib_reader import read_network
from facesearch.networks.layers import Dense, Overlap, Plain
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import FACE_DETECTOR, LANDMARKS_5, RESNET, weights_path
from facesearch.stages import CHIP_PADDING, CHIP_SIZE
from samples import astronaut, hopper

DATA = Path(os.environ.get("FACESEARCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
PEOPLE, GROUPS = sorted((DATA / "people").glob("*/*.jpg")), sorted((DATA / "groups").glob("*.jpg"))
with_people = pytest.mark.skipif(not PEOPLE, reason=f"no photographs in {DATA / 'people'}: set FACESEARCH_DATA")
with_groups = pytest.mark.skipif(not GROUPS, reason=f"no photographs in {DATA / 'groups'}: set FACESEARCH_DATA")

EMBEDDING, DETECTOR = (read_network(weights_path(file).read_bytes()) for file in (RESNET, FACE_DETECTOR))

Run = Callable[[PixelArray], FloatArray]
Doubles = npt.NDArray[np.float64]


def photo(path: Path, longest: int) -> PixelArray:
    with Image.open(path) as image:
        factor = longest / max(image.size)
        size = round(image.width * factor), round(image.height * factor)
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


def sheet() -> PixelArray:
    """Eight faces: two people, as they are, mirrored, dark and tilted."""
    eileen = Image.fromarray(astronaut()).crop((124, 10, 324, 210))
    grace = Image.fromarray(hopper()).crop((100, 40, 400, 340)).resize((200, 200))
    rows = []
    for face in (eileen, grace):
        mirrored = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        dark = face.point(lambda value: value // 2)
        tilted = face.rotate(15, Image.Resampling.BILINEAR)
        rows.append(np.hstack([np.asarray(each) for each in (face, mirrored, dark, tilted)]))
    return np.vstack(rows)


def noise(*, seed: int, low: int, spread: int, count: int) -> PixelArray:
    shape = (count, CHIP_SIZE, CHIP_SIZE, 3)
    return np.random.default_rng(seed).integers(low, min(low + spread, 256), shape, dtype=np.uint8)


def chips(*photos: PixelArray) -> PixelArray:
    detect, predict = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(weights_path(LANDMARKS_5)))
    return np.array(
        [
            dlib.get_face_chip(pixels, predict(pixels, box), size=CHIP_SIZE, padding=CHIP_PADDING)
            for pixels in photos
            for box in list(detect(pixels, 0))[:1]
        ]
    )


@pytest.fixture(scope="module")
def few() -> PixelArray:
    found = chips(
        *(np.ascontiguousarray(face) for pixels in (astronaut(), hopper()) for face in (pixels, pixels[:, ::-1]))
    )
    assert len(found) == 4
    return found


@pytest.fixture(scope="module")
def embed() -> Run:
    session = open_session(embedding_model(EMBEDDING))
    return lambda pixels: session.run(["embedding"], {"pixels": pixels})[0]


@pytest.fixture(scope="module")
def embed_by_dlib() -> Run:
    network = dlib.face_recognition_model_v1(str(weights_path(RESNET)))
    return lambda pixels: np.array([network.compute_face_descriptor(chip) for chip in pixels], np.float32)


@pytest.fixture(scope="module")
def score() -> Run:
    session = open_session(detector_model(DETECTOR), threads=2)
    return lambda pixels: session.run(None, {"pixels": pixels})[0]


# ---- the embedding


@settings(max_examples=8)
@given(
    st.builds(
        noise,
        seed=st.integers(0, 2**32 - 1),
        low=st.integers(0, 255),
        spread=st.integers(1, 256),
        count=st.integers(1, 3),
    )
)
def test_any_chips_get_dlibs_embedding(embed: Run, embed_by_dlib: Run, pixels: PixelArray) -> None:
    assert np.abs(embed(pixels) - embed_by_dlib(pixels)).max() <= 1e-5


def test_faces_get_dlibs_embedding(embed: Run, embed_by_dlib: Run, few: PixelArray) -> None:
    assert np.abs(embed(few) - embed_by_dlib(few)).max() <= 1e-5


@with_people
def test_faces_of_many_people_get_dlibs_embedding(embed: Run, embed_by_dlib: Run) -> None:
    many = chips(*(photo(path, 250) for path in PEOPLE[::7][:16]))
    assert len(many) > 5
    assert np.abs(embed(many) - embed_by_dlib(many)).max() <= 1e-5


def test_a_batch_gives_what_single_chips_give(embed: Run, few: PixelArray) -> None:
    single = np.concatenate([embed(chip[None]) for chip in few])
    assert np.abs(embed(few) - single).max() <= 1e-6


def test_stages_are_the_maps_behind_the_embedding(embed: Run, few: PixelArray) -> None:
    session = open_session(embedding_model(EMBEDDING, stages=True))
    values: list[FloatArray] = session.run(None, {"pixels": few})
    maps = dict(zip((output.name for output in session.get_outputs()), values, strict=True))
    embedding = maps.pop("embedding")
    assert {name: values.shape[1:] for name, values in maps.items()} == {
        "stage1": (32, 35, 35),
        "stage2": (64, 17, 17),
        "stage3": (128, 8, 8),
        "stage4": (256, 4, 4),
        "stage5": (256, 2, 2),
    }
    assert min(values.min() for values in maps.values()) >= 0
    assert np.abs(embedding - embed(few)).max() <= 1e-6
    last = EMBEDDING.layers[-1]
    assert isinstance(last, Dense)
    assert np.abs(maps["stage5"].mean(axis=(2, 3)) @ last.weights - embedding).max() < 1e-5


# ---- the detector against dlib's own: its tiled pyramid, built here, through our graph


def tiles(height: int, width: int) -> tuple[list[tuple[int, int, int, int]], tuple[int, int]]:
    """Place the levels as dlib's compute_tiled_image_pyramid_details does for pyramid_down<6>, padding 10, outer 11.

    Gives left, top, width and height of each level, and height and width of the whole.
    """
    padding, outer = 10, 11
    sizes = [(width, height)]
    while True:
        width, height = int(np.floor(5 / 6 * width)), int(np.floor(5 / 6 * height))
        if width * height == 0 or height < 5:
            break
        sizes.append((width, height))
    total, first = sum(h + padding for _, h in sizes) - 2 * padding, sizes[0]
    tall = before = 0
    for w, h in sizes:
        if w <= first[0] - before - padding and (tall - first[1]) * 2 >= total - first[1]:
            break
        tall, before = tall + h + padding, w
    tall -= padding
    placed: list[tuple[int, int, int, int]] = []
    y = outer
    while y < tall + outer and len(placed) < len(sizes):
        w, h = sizes[len(placed)]
        placed.append((outer, y, w, h))
        y += h + padding
    y -= padding
    for w, h in sizes[len(placed) :]:
        left, top = outer + first[0] - w, y - h
        if left < outer + first[0] and top < outer + first[1]:
            break
        placed.append((left, top, w, h))
        y -= h + padding
    return placed, (tall + 2 * outer, first[0] + 2 * outer)


def sampled(source: npt.NDArray[Any], ys: Doubles, xs: Doubles) -> Doubles:
    """Give bilinear samples of *source* at rows *ys* and columns *xs*, counted from the middle of the first pixel."""
    top, left = ys.astype(int), xs.astype(int)
    low, right = np.minimum(top + 1, source.shape[0] - 1), np.minimum(left + 1, source.shape[1] - 1)
    down, across = (ys - top)[:, None, None], (xs - left)[None, :, None]
    upper = source[top][:, left] * (1 - across) + source[top][:, right] * across
    lower = source[low][:, left] * (1 - across) + source[low][:, right] * across
    result: Doubles = upper * (1 - down) + lower * down
    return result


def found_in_dlibs_pyramid(score: Run, pixels: PixelArray) -> tuple[Doubles, Doubles]:
    placed, size = tiles(*pixels.shape[:2])
    canvas = np.empty((*size, 3))
    canvas[:] = DETECTOR.mean  # zero once normalised
    level = pixels.astype(np.float64)
    for left, top, width, height in placed:
        if level.shape[:2] != (height, width):  # dlib's resize_image: corners on corners
            bottom, right = level.shape[0] - 1, level.shape[1] - 1
            level = sampled(level, np.linspace(0, bottom, height), np.linspace(0, right, width))
        canvas[top : top + height, left : left + width] = level
    boxes, scores = window_boxes(DETECTOR, score(np.rint(canvas).astype(np.uint8)[None])[0])
    starts = np.array([(left, top) for left, top, _, _ in placed])
    ends = np.array([(left + width - 1, top + height - 1) for left, top, width, height in placed])
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    away = np.maximum(starts - centres, 0) + np.maximum(centres - ends, 0)
    levels = np.argmin((away**2).sum(axis=2), axis=1)
    boxes -= np.tile(starts[levels], 2)
    for row, number in enumerate(levels):
        for _ in range(number):  # pyramid_down<6>::point_up
            boxes[row] = boxes[row] * 6 / 5 + 0.3
    assert DETECTOR.windows
    kept = suppress(boxes, scores, DETECTOR.windows.suppression)
    return boxes[kept], scores[kept]


def iou(one: Doubles, other: Doubles) -> float:
    inner = np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]) + 1, 0))
    return float(inner / (np.prod(one[2:] - one[:2] + 1) + np.prod(other[2:] - other[:2] + 1) - inner))


def faces_found_by_both(score: Run, pixels: PixelArray) -> int:
    """Check that dlib's detector and ours find the same faces, with the same scores; give their number."""
    boxes, scores = found_in_dlibs_pyramid(score, pixels)
    wanted = dlib.cnn_face_detection_model_v1(str(weights_path(FACE_DETECTOR)))(pixels, 0)
    assert len(boxes) == len(wanted)
    partners = set()
    for detection in wanted:
        rect = detection.rect
        box = np.array([rect.left(), rect.top(), rect.right(), rect.bottom()], float)
        overlaps = [iou(box, ours) for ours in boxes]
        partner = int(np.argmax(overlaps))
        assert overlaps[partner] >= 0.9
        assert abs(scores[partner] - detection.confidence) <= 0.02
        partners.add(partner)
    assert len(partners) == len(wanted)
    return len(wanted)


def test_the_detector_finds_the_eight_faces_that_dlib_finds(score: Run) -> None:
    assert faces_found_by_both(score, sheet()) == 8


@pytest.mark.parametrize(("name", "faces"), [("2007_007763.jpg", 0), ("2008_001322.jpg", 3), ("2009_004587.jpg", 2)])
def test_the_detector_finds_what_dlib_finds_in_photographs(score: Run, name: str, faces: int) -> None:
    path = DATA / "groups" / name
    if not path.is_file():
        pytest.skip(f"no {path}: set FACESEARCH_DATA")
    assert faces_found_by_both(score, photo(path, 640)) == faces


def test_cells_are_eight_pixels_apart_and_the_first_is_centred_at_fourteen() -> None:
    boxes, scores = window_boxes(DETECTOR, np.array([[1.0, -1.0], [0.0, 2.0]]))
    assert boxes.tolist() == [[-25.5, -25.5, 53.5, 53.5], [-17.5, -17.5, 61.5, 61.5]]
    assert scores.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("size", [(29, 29), (30, 45), (36, 37), (133, 201)])
def test_pictures_may_have_any_size_from_29_pixels(score: Run, size: tuple[int, int]) -> None:
    assert score(np.zeros((2, *size, 3), np.uint8)).shape == (2, *((side - 29) // 8 + 1 for side in size))


def test_a_pyramid_in_one_run_has_the_levels_of_many_runs(score: Run) -> None:
    pixels, ratio = astronaut(), 0.7
    levels: list[FloatArray] = open_session(detector_model(DETECTOR, levels=3, ratio=ratio)).run(
        None, {"pixels": pixels[None]}
    )
    assert np.abs(levels[0] - score(pixels[None])).max() < 1e-5
    level = pixels.astype(np.float64)
    for found in levels[1:]:
        sides = [int(np.float32(side) * np.float32(ratio)) for side in level.shape[:2]]
        ys, xs = (
            np.clip((np.arange(new) + 0.5) / ratio - 0.5, 0, old - 1)
            for new, old in zip(sides, level.shape, strict=False)
        )
        level = sampled(level, ys, xs)
        wanted = score(np.rint(level).astype(np.uint8)[None])
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 0.02  # whole pixel values here, float32 in the graph


# ---- the detector in 8 bits


def errors_in_8_bits(score: Run, measured: list[PixelArray], searched: list[PixelArray]) -> FloatArray:
    """How far scores are off in *searched*, wherever something looks nearly like a face."""
    session = open_session(detector_model(DETECTOR, ranges=detector_ranges(DETECTOR, measured)))
    errors = []
    for pixels in searched:
        wanted = score(pixels[None])
        errors.append(np.abs(wanted - session.run(None, {"pixels": pixels[None]})[0])[wanted > -0.3])
    return np.concatenate(errors)


def test_eight_bits_come_close(score: Run) -> None:
    errors = errors_in_8_bits(score, [astronaut(), hopper()], [sheet()])
    assert errors.size > 20
    assert errors.mean() < 0.02
    assert errors.max() < 0.15


@with_groups
def test_eight_bits_come_close_on_photographs_that_were_not_measured(score: Run) -> None:
    errors = errors_in_8_bits(
        score, [photo(path, 640) for path in GROUPS[:8]], [photo(path, 800) for path in GROUPS[8:16]]
    )
    assert errors.size > 100
    assert errors.mean() < 0.02
    assert errors.max() < 0.15


@pytest.mark.parametrize("ranges", [[1.0], [1.0] * 5 + [0.0], [1.0] * 5 + [float("nan")], [1.0] * 5 + [float("inf")]])
def test_ranges_are_one_positive_number_for_each_map(ranges: list[float]) -> None:
    with pytest.raises(InvalidParameterError, match="6 positive numbers"):
        detector_model(DETECTOR, ranges=ranges)


def test_ranges_need_a_picture() -> None:
    with pytest.raises(InvalidParameterError, match="pictures: expected at least one"):
        detector_ranges(DETECTOR, [])


# ---- suppression

quarters = st.integers(0, 240).map(lambda quarter: quarter / 4)
sides = st.integers(1, 40)


@given(
    st.lists(st.tuples(quarters, quarters, sides, sides, st.integers(0, 9)), max_size=20),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_suppression_keeps_no_two_of_one_and_drops_only_for_a_better_one(
    rows: list[tuple[float, float, int, int, int]], most_iou: float, most_covered: float
) -> None:
    table = np.array(rows, float).reshape(-1, 5)
    boxes = np.hstack([table[:, :2], table[:, :2] + table[:, 2:4] - 1])
    whole = np.floor(boxes + 0.5)  # dlib's rectangles have whole pixels

    def same(one: Doubles, other: Doubles) -> bool:  # dlib's test_box_overlap, word for word
        inner = np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]) + 1, 0))
        outer = np.prod(np.maximum(one[2:], other[2:]) - np.minimum(one[:2], other[:2]) + 1)
        areas = [np.prod(box[2:] - box[:2] + 1) for box in (one, other)]
        return bool(inner > 0 and (inner > most_iou * outer or any(inner > most_covered * area for area in areas)))

    wanted: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: (-table[index, 4], index)):
        if not any(same(whole[better], whole[index]) for better in wanted):
            wanted.append(index)
    assert suppress(boxes, table[:, 4], Overlap(iou=most_iou, covered=most_covered)).tolist() == wanted


# ---- what is refused


def test_each_model_refuses_the_other_network() -> None:
    with pytest.raises(WeightsError, match="embedding network"):
        embedding_model(DETECTOR)
    with pytest.raises(WeightsError, match="detector"):
        detector_model(EMBEDDING)
    with pytest.raises(WeightsError, match="detector"):
        window_boxes(EMBEDDING, np.zeros((1, 1)))


def test_the_first_layer_must_take_pixels() -> None:
    with pytest.raises(WeightsError, match="first layer"):
        detector_model(attrs.evolve(DETECTOR, layers=(Plain.RELU, *DETECTOR.layers)))


def test_a_pyramid_has_a_level() -> None:
    with pytest.raises(InvalidParameterError, match="levels"):
        detector_model(DETECTOR, levels=0)


@pytest.mark.parametrize("ratio", [-0.5, 0.0, 1.0, float("nan")])
def test_a_pyramid_must_get_smaller(ratio: float) -> None:
    with pytest.raises(InvalidParameterError, match="ratio"):
        detector_model(DETECTOR, ratio=ratio)


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_counted_from_one(threads: int) -> None:
    with pytest.raises(InvalidParameterError, match="threads"):
        open_session(detector_model(DETECTOR), threads=threads)
