"""Detection on photographs that come with installed packages: what is found, where, which way up, and what is not."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from facesearch.common.arrays import PixelArray
from facesearch.detection.boxes import boxes_turned_back
from facesearch.detection.dlib_detectors import HogDetector
from facesearch.detection.mmod import _RANGES, _RATIO, MmodDetector, _network
from facesearch.detection.yunet import YuNetDetector
from facesearch.errors import InvalidParameterError
from facesearch.networks import dlib_onnx as networks
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import FACE_DETECTOR, weights_path
from facesearch.stages import Detection, Detector
from samples import astronaut, hopper

MMOD, YUNET = MmodDetector(threads=2), YuNetDetector(threads=2)
FACES = {"astronaut": (astronaut, (214, 124)), "hopper": (hopper, (266, 230))}  # x, y of the face's middle


def coffee(width: int, height: int) -> PixelArray:
    with Image.open(Path(skimage.data.__file__).parent / "coffee.png") as image:
        return np.array(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))


def scaled(pixels: PixelArray, factor: float) -> PixelArray:
    image = Image.fromarray(pixels)
    size = (round(image.width * factor), round(image.height * factor))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def corners(face: Detection) -> tuple[float, float, float, float]:
    return face.left, face.top, face.right, face.bottom


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def crop(pixels: PixelArray, face: Detection) -> PixelArray:
    left, top, right, bottom = (max(0, round(edge)) for edge in corners(face))
    return pixels[top:bottom, left:right]


both = pytest.mark.parametrize("detector", [MMOD, YUNET], ids=["mmod", "yunet"])


@pytest.mark.parametrize("detector", [MMOD, HogDetector()], ids=["mmod", "hog"])
@pytest.mark.parametrize("name", FACES)
def test_a_face_is_found(detector: Detector, name: str) -> None:
    photo, (x, y) = FACES[name]
    face, *_ = detector.detect(photo())
    assert face.left < x < face.right
    assert face.top < y < face.bottom
    assert face.confidence > 99
    assert face.quarter_turns == 0


@both
@pytest.mark.parametrize("name", FACES)
def test_no_false_alarm(detector: Detector, name: str) -> None:
    assert len(detector.detect(FACES[name][0]())) == 1  # HOG has one on each


@both
@pytest.mark.parametrize("name", FACES)
def test_40_pixels_in_1920x1080(detector: Detector, name: str) -> None:
    photo, (x, y) = FACES[name]
    face, *_ = HogDetector().detect(photo())
    factor = 40 / (face.right - face.left)
    small, scene = scaled(photo(), factor), coffee(1920, 1080)
    places = [(3, 5), (901, 400), (1920 - small.shape[1], 1080 - small.shape[0])]
    for left, top in places:
        scene[top : top + small.shape[0], left : left + small.shape[1]] = small
    found = detector.detect(scene)
    middles = [((face.left + face.right) / 2, (face.top + face.bottom) / 2) for face in found]
    for left, top in places:
        wanted = (left + x * factor, top + y * factor)
        assert any(np.abs(np.subtract(wanted, middle)).max() < 15 for middle in middles)
    assert len(found) == len(places)


@both
@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_told_and_undone(detector: Detector, name: str, turns: int) -> None:
    photo = scaled(FACES[name][0](), 0.5)
    (upright,) = detector.detect(photo)
    (face,) = detector.detect(np.rot90(photo, turns))
    assert face.quarter_turns == 4 - turns
    back = boxes_turned_back(np.array([corners(upright)]), 4 - turns, np.rot90(photo, turns).shape)
    assert iou(corners(face), tuple(back[0])) > 0.6


@both
@pytest.mark.parametrize("roll", [-40, -20, 20, 40])
def test_tilted_heads_stand_upright(detector: Detector, roll: int) -> None:
    tilted = np.asarray(Image.fromarray(astronaut()).resize((256, 256)).rotate(roll, Image.Resampling.BILINEAR))
    assert detector.detect(tilted)[0].quarter_turns == 0


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (7, 5)])
def test_turning_back_undoes_rot90(turns: int, shape: tuple[int, int]) -> None:
    pixels = np.zeros(shape, np.uint8)
    pixels[1, 0] = 1
    rows, columns = np.nonzero(np.rot90(pixels, turns))
    box = np.array([[columns[0], rows[0], columns[0] + 1, rows[0] + 1]], float)
    assert boxes_turned_back(box, turns, shape).tolist() == [[0, 1, 1, 2]]


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("detector", [MMOD, HogDetector(), YUNET], ids=["mmod", "hog", "yunet"])
def test_crops_cut_at_the_box(detector: Detector, name: str) -> None:
    photo = FACES[name][0]()
    cut = crop(photo, MMOD.detect(photo)[0])
    (face,) = detector.detect(cut)
    assert iou(corners(face), (0, 0, cut.shape[1], cut.shape[0])) > 0.5


@both
@pytest.mark.parametrize("shape", [(1, 1), (80, 80), (80, 4000), (4000, 80), (81, 97)])
def test_blank_pictures_of_any_size_show_nobody(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.full((*shape, 3), 200, np.uint8)) == ()


@both
@pytest.mark.parametrize("step", [1, 8])
def test_noise_shows_nobody(detector: Detector, step: int) -> None:
    squares = np.random.default_rng(step).integers(0, 256, (320 // step, 320 // step, 3), dtype=np.uint8)
    assert detector.detect(squares.repeat(step, axis=0).repeat(step, axis=1)) == ()


@both
def test_a_face_that_fills_a_large_picture(detector: Detector) -> None:
    photo = hopper()
    close = scaled(crop(photo, detector.detect(photo)[0]), 10)
    (face,) = detector.detect(close)
    assert iou(corners(face), (0, 0, close.shape[1], close.shape[0])) > 0.6


@both
def test_each_face_has_its_own_turn(detector: Detector) -> None:
    upright, lying = scaled(hopper()[:400, :400], 0.7), np.rot90(scaled(astronaut()[:400, :400], 0.7))
    faces = detector.detect(np.hstack([upright, lying]))
    assert {face.left < 280: face.quarter_turns for face in faces} == {True: 0, False: 3}
    assert len(faces) == 2


@both
def test_a_face_in_an_extreme_strip(detector: Detector) -> None:
    strip = np.full((160, 5000, 3), 90, np.uint8)
    strip[:, 3000:3180] = scaled(astronaut()[40:240, 100:325], 0.8)
    (face,) = detector.detect(strip)
    assert 3040 < (face.left + face.right) / 2 < 3140


@both
def test_mirrored_pictures_have_mirrored_boxes(detector: Detector) -> None:
    photo = astronaut()
    (face,) = detector.detect(photo)
    (other,) = detector.detect(photo[:, ::-1])
    assert (
        iou(corners(face), (512 - other.right, other.top, 512 - other.left, other.bottom)) > 0.8
    )  # 0.54 unless boxes vote


def test_threads_share_a_detector() -> None:
    pictures = [scaled(astronaut(), 0.5), scaled(hopper(), 0.4), coffee(150, 100), np.rot90(scaled(astronaut(), 0.4))]
    alone = [MMOD.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(MmodDetector(threads=1).detect, pictures * 3)) == alone * 3


@both
def test_inputs_stay_as_they_are(detector: Detector) -> None:
    photo = astronaut()
    before = photo.copy()
    photo.flags.writeable = False
    detector.detect(photo)
    assert (photo == before).all()


def test_detectors_travel_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(MMOD)) == MMOD  # noqa: S301  # our own bytes


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_are_whole_numbers_from_one(threads: object) -> None:
    with pytest.raises(InvalidParameterError, match="threads"):
        MmodDetector(threads=threads)  # type: ignore[arg-type]  # that is the point


def test_eight_bits_agree_with_floats() -> None:
    def scores(ranges: tuple[float, ...] | None) -> list[np.ndarray]:
        session = open_session(networks.detector_model(_network(), levels=2, ratio=_RATIO, ranges=ranges))
        return [session.run(None, {"pixels": pixels[None]})[0] for pixels in (astronaut(), scaled(hopper(), 0.4))]

    for exact, found in zip(scores(None), scores(_RANGES), strict=True):
        near = exact > -0.3
        assert near.any()
        assert np.abs(exact - found)[near].max() < 0.1


def test_boxes_are_those_of_dlibs_engine() -> None:
    import dlib

    pixels = astronaut()
    (wanted,) = dlib.cnn_face_detection_model_v1(str(weights_path(FACE_DETECTOR)))(pixels, 0)
    (face,) = MMOD.detect(pixels)
    rectangle = wanted.rect
    assert iou(corners(face), (rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1)) > 0.6
