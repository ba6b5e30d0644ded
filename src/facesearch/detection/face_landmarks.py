"""Locate 70 points of a face with a small network of our own, and align faces by them.

The network sees a square around an upright face: the one that the detector's points or box define, which is enough for most
faces. Where the aligned chip defines a rather different one, the network runs on that again.
"""

import math
from typing import TYPE_CHECKING, Final

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.common.once import once
from facesearch.detection.landmarks import EYES, IRISES
from facesearch.detection.pupils import find_pupil
from facesearch.images.crops import crop_similar, resembles, similarity
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import FACE_LANDMARKS, read_weights
from facesearch.stages import CHIP_SIZE, FACE_IN_CHIP, AlignedFace, Aligner, Detection, Landmarker

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["CHIP_POINTS", "CHIP_TEMPLATE", "NETWORK_SIDE", "FaceLandmarker", "LandmarkAligner", "chip_to_network"]

# What a chip is aligned by: the corners of the eyes and the base of the nose, and where they lie in a chip. Their mean places in
# `DlibAligner`'s chips, over 160 photographs of `landmarks106/`, so that networks trained on dlib's chips see what they know.
CHIP_POINTS: Final = [36, 39, 42, 45, 33]
CHIP_TEMPLATE: Final = np.array([(38.0, 45.7), (55.7, 47.2), (91.5, 47.2), (109.2, 45.7), (73.6, 85.9)])
# Likewise YuNet's five points: eyes, nose, corners of the mouth. The median over 22,000 faces of the training photographs.
_FIVE_TEMPLATE: Final = np.array([(46.7, 44.5), (100.5, 44.5), (73.6, 75.5), (51.1, 100.2), (96.1, 100.2)])
# The network's square in a chip: its centre and side in pixels of the chip, and its side in pixels of its own.
NETWORK_SIDE: Final = 112
_CENTRE: Final = (74.0, 82.0)
_SIDE: Final = 176.0
_CHIP_TO_NETWORK: Final = _SIDE / NETWORK_SIDE
# The network learned from squares turned by up to 30 degrees and scaled by up to a fourth. A face that was further off is
# aligned again, from where it was seen.
_TURNED: Final = math.radians(20)
_SCALED: Final = 0.2  # of the natural logarithm
_MOST_PASSES: Final = 4
# The points of one that was less far off than this are kept, and no further pass locates them. By benchmarks/landmarks.py that costs
# .0001 of .0452 (never a further pass: .0002); 97% of its faces, 93% of those in ``people/`` and 82% in ``groups/`` are that near.
_KEPT_TURNED: Final = math.radians(10)
_KEPT_SCALED: Final = 0.15
# A new square of another size than this, to the first one, is no face's: then the detector's word stands.
_MOST_RESIZED: Final = 2.0
# Pixels from corner to corner: below, the network's iris is at least as good as the search's.
_SEARCHED_EYE: Final = 5.0
_MOST_OUTSIDE: Final = 8  # a chip's side and the place of its middle, in sides of the picture


def chip_to_network(to_picture: PointArray) -> PointArray:
    """Convert the (2, 3) transform from xy of a chip to the picture into the one from xy of the network's square."""
    linear = to_picture[:, :2] * _CHIP_TO_NETWORK
    centre = to_picture[:, :2] @ _CENTRE + to_picture[:, 2]
    return np.column_stack([linear, centre - linear @ np.full(2, NETWORK_SIDE / 2 - 0.5)])


@attrs.frozen
class LandmarkAligner(Aligner):
    """Align faces by a network's corners of the eyes and base of the nose: chips lie as `DlibAligner`'s do on average.

    A detection's five points define where and how the face stands. Without them its box does, taken for dlib's: a square from brows to
    chin, upright within 45 degrees after its quarter turns. Beyond the picture its edge is repeated.
    """

    @override
    def align(self, pixels: PixelArray, detection: Detection) -> AlignedFace:
        first = to_picture = _first_chip(detection, *pixels.shape[:2])
        kept = None
        for _ in range(_MOST_PASSES):
            before, points = to_picture, _locate(pixels, to_picture)
            to_picture = similarity(points[CHIP_POINTS], CHIP_TEMPLATE)
            if abs(math.log(_size(to_picture) / _size(first))) > math.log(_MOST_RESIZED):
                to_picture = first
                break
            turned, resized = _change(before, to_picture)
            if abs(turned) < _KEPT_TURNED and abs(resized) < _KEPT_SCALED:
                kept = points
            if abs(turned) < _TURNED and abs(resized) < _SCALED:
                break
        chip = crop_similar(pixels, to_picture, (CHIP_SIZE, CHIP_SIZE), quick=True)
        return AlignedFace(chip=chip, to_picture=to_picture, points=kept)


@attrs.frozen
class FaceLandmarker(Landmarker):
    """Locate iBUG's 68 points and the centres of both irises, by a network of our own, on one thread.

    The irises are searched in the picture, where eyes are large enough: there `find_pupil` has half the error of the network,
    which sees the face in 112 pixels. The other points are the aligner's, where it kept them. ``benchmarks/landmarks.py`` measures
    both stages.
    """

    @override
    def locate(self, pixels: PixelArray, face: AlignedFace) -> PointArray:
        points = _locate(pixels, face.to_picture) if face.points is None else face.points.copy()
        for iris, eye in zip(IRISES, EYES, strict=True):
            contour = points[eye]
            if math.dist(contour[0], contour[3]) >= _SEARCHED_EYE:
                points[iris] = find_pupil(contour, pixels)
        return points


def _locate(pixels: PixelArray, to_picture: PointArray) -> PointArray:
    """Run the network on the square of a chip: (70, 2) xy pixels of the picture."""
    square = chip_to_network(to_picture)
    crop = crop_similar(pixels, square, (NETWORK_SIDE, NETWORK_SIDE), quick=True)
    (found,) = _session().run(None, {"pixels": crop[None]})
    points: PointArray = found[0].astype(np.float64) @ square[:, :2].T + square[:, 2]
    return points


def _first_chip(detection: Detection, height: int, width: int) -> PointArray:
    """Return the chip that a detection's points define, or its box where it has none or they are not arranged as a face."""
    points = detection.points
    if points is not None and resembles(points, _FIVE_TEMPLATE):
        return _within(similarity(points, _FIVE_TEMPLATE), height, width)
    return _within(_from_box(detection), height, width)


def _from_box(detection: Detection) -> PointArray:
    """Return the chip that a detection's box and quarter turns define."""
    box, known = detection, FACE_IN_CHIP
    size = max((box.right - box.left + box.bottom - box.top) / 2, 1.0)
    scale = size / (known.right - known.left)
    # A quarter turn counterclockwise brings what points down to the right.
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[detection.quarter_turns]
    linear = scale * np.array([(cosine, -sine), (sine, cosine)])
    middle = np.array([(known.left + known.right) / 2, (known.top + known.bottom) / 2]) - 0.5
    centre = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2]) - 0.5
    return np.column_stack([linear, centre - linear @ middle])


def _within(to_picture: PointArray, height: int, width: int) -> PointArray:
    """Bound a chip's size and place by the picture's: no number of a detector asks for more memory."""
    most = _MOST_OUTSIDE * max(height, width)
    linear = to_picture[:, :2] * min(1.0, most / (CHIP_SIZE * _size(to_picture)))
    middle = np.full(2, CHIP_SIZE / 2)
    centre = (to_picture[:, :2] @ middle + to_picture[:, 2]).clip(-most, most)
    return np.column_stack([linear, centre - linear @ middle])


def _size(to_picture: PointArray) -> float:
    return math.hypot(to_picture[0, 0], to_picture[1, 0])


def _change(before: PointArray, after: PointArray) -> tuple[float, float]:
    """Return by what angle and by what natural logarithm of the size one transform differs from another."""
    angle = math.atan2(after[1, 0], after[0, 0]) - math.atan2(before[1, 0], before[0, 0])
    return math.remainder(angle, math.tau), math.log(_size(after) / _size(before))


@once
def _session() -> "onnxruntime.InferenceSession":
    import onnx

    return open_session(onnx.load_model_from_string(read_weights(FACE_LANDMARKS)), threads=1)
