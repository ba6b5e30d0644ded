"""Detect faces with dlib's convolutional network, in ONNX Runtime."""

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field
from typing_extensions import override

from facesearch.common.arrays import PixelArray
from facesearch.common.once import once
from facesearch.common.validation import maybe, whole
from facesearch.detection.boxes import ENDS, Found, alike, boxes_turned_back, distinct, suppress, window_boxes
from facesearch.errors import WeightsError
from facesearch.images.resizing import cropped, reduced, scaled
from facesearch.networks.dlib_onnx import detector_model
from facesearch.networks.dlib_reader import read_network
from facesearch.networks.layers import Network, Overlap
from facesearch.networks.runtime import check_providers, open_session
from facesearch.networks.weights import FACE_DETECTOR, read_weights
from facesearch.stages import Detection, Detector

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["MmodDetector"]

_Floats = npt.NDArray[np.float64]

# Set by hand on people/, landmarks106/, lfw_grey/, photos/ and groups/; benchmarks/detection.py measures them there.

# The network detects faces reliably from this size on, in pixels; 9 of 10 of 72 px, half of 64.
_SURE_SIZE: Final = 80
# AWS finds faces of 40 px in a photo of 1920x1080, and its smallest face grows with larger photos (Amazon Rekognition
# quotas): so no more than that many pixels are searched, times the sampling.
_AWS_SMALLEST: Final = 40
_MOST_PIXELS: Final = 1920 * 1080
_LEAST_MIN_FACE: Final = 20  # four times as many pixels as for 40: half a gigabyte and seconds for a photo of 1920x1080
# A picture without a confident face is searched again, rotated: the three rotations together cost as much as the first pass.
_TURNED_SHARE: Final = 1 / 3
# Of a level's sides to those of the one before: the network detects faces of 62 to 87 px, 0.71 of each other.
_RATIO: Final = math.sqrt(0.5)
_LEVELS: Final = 2  # in one run; for the next two the picture is halved, which is the quickest way to reduce it
_LEAST_SIDE: Final = 60  # pixels of the last run's picture: a face that fills it had 80 px there or one level before
# Pixels around each level: crops cut at the face's box lack the room that the network learned to see around a face.
_BORDER: Final = 24
# How far the network's maps reach, for 8 bits: training/detector_ranges.py, on eight photos of groups/. Processors
# with AVX2 but without VNNI saturate sums of two products; simulated, 8 sums in millions do, and no score moves by 0.01.
_RANGES: Final = (6.73, 7.62, 4.07, 4.86, 7.61, 16.63)
_VOTE: Final = 0.4  # intersection over union: boxes two cells away, or of the next level, vote for the same face
# A score of 0, the network's own threshold, is a toss-up; the logistic is a margin's usual link (Platt 1999). Clear faces
# score 1.05, 99.5 percent; on the labelled photos of groups/ nothing else scores above -0.3, 18 percent.
_SLOPE: Final = 5.0
# Of faces on their head 4 in 100 are found, all below this; of upright ones 99 in 100 score above 0.9.
_SURE: Final = 0.5
# To decide which way up a face is: pixels of a chip and of the face in it, and the cells around its middle that count.
_CHIP_SIDE: Final = 125
_CHIP_FACE: Final = 84
_MIDDLE: Final = slice(3, 10)
_FLOOR: Final = -0.5  # lower scores, certainly no face, count alike
# Heads are likelier to be tilted by 30 degrees than by 60: without this factor 1 in 10 of those would be laid on its side.
_FAVOURED: Final = 1.15


@attrs.frozen(kw_only=True)
class MmodDetector(Detector):
    """dlib's convolutional face detector, in ONNX Runtime: also for turned, tilted, covered and dark faces, at any roll.

    Photos are searched at up to twice their size, for small faces, and at ever smaller ones. Where faces lie on their side,
    or none is sure, the picture is searched again turned by quarters.

    Attributes
    ----------
    min_face
        The smallest face that must be found, in pixels of a photo of at most 1920x1080, at least 20; by default AWS's 40.
        The time goes with its inverse square: 80 takes a quarter of it.
    threads
        Cores that one call may use, at least 1; ``None`` for all that this process may use, up to 4. Results do
        not depend on it.
    providers
        ONNX Runtime's execution providers, by falling preference; ``None`` for the CPU.

    Raises
    ------
    InvalidParameterError
        If *min_face* is less than 20, *threads* less than 1, either no whole number, or a provider is not installed.

    References
    ----------
    King, Max-Margin Object Detection, arXiv:1502.00046.
    """

    min_face: int = field(default=_AWS_SMALLEST, validator=whole(_LEAST_MIN_FACE))
    threads: int | None = field(default=None, validator=maybe(whole(1)))
    providers: tuple[str, ...] | None = field(default=None, converter=check_providers)

    @override
    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        session = _session(self.threads, self.providers)
        sampling = _SURE_SIZE / self.min_face
        most = _MOST_PIXELS * sampling**2
        searched = reduced(pixels, max(most, _MOST_PIXELS))
        area = searched.shape[0] * searched.shape[1]
        scale = min(sampling, math.sqrt(most / area))
        found = _detect(session, searched, 0, scale)
        if turns := {face.quarter_turns for face in found} - {0}:
            found += [face for turn in sorted(turns) for face in _detect(session, searched, turn, scale)]
        elif all(face.score < _SURE for face in found):
            less = min(sampling, math.sqrt(most * _TURNED_SHARE / area))
            found += [face for turn in (1, 2, 3) for face in _detect(session, searched, turn, less)]
        height, width = (before / after for before, after in zip(pixels.shape[:2], searched.shape[:2], strict=True))
        return tuple(
            Detection(
                left=face.box[0] * width,
                top=face.box[1] * height,
                right=face.box[2] * width,
                bottom=face.box[3] * height,
                confidence=100 / (1 + math.exp(-_SLOPE * face.score)),
                quarter_turns=face.quarter_turns,
            )
            for face in distinct(found, _overlap())
        )


def _detect(session: Any, pixels: PixelArray, turn: int, scale: float) -> list[Found]:
    """Detect faces in a picture rotated by *turn* quarter turns, from *scale* times its size on down."""
    turned = np.rot90(pixels, turn)
    boxes, scores = _search(session, turned, scale)
    favoured = 1.0 if turn else _FAVOURED
    missing = [_missing_turns(session, turned, box, favoured) for box in boxes]
    return [
        Found(box, score, (turn + more) % 4, more == 0)
        for box, score, more in zip(boxes_turned_back(boxes, turn, pixels.shape), scores.tolist(), missing, strict=True)
    ]


def _search(session: Any, pixels: PixelArray, scale: float) -> tuple[_Floats, _Floats]:
    """Search the pyramid and return (N, 4) edges of boxes in *pixels*, and (N,) scores."""
    height, width = pixels.shape[:2]
    level = scaled(pixels, scale)
    boxes, scores = [], []
    while True:
        room = np.pad(np.asarray(level), ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), mode="edge")
        for number, maps in enumerate(session.run(None, {"pixels": room[None]})):
            found, certain = window_boxes(_network(), maps[0])
            edges = np.add(found, ENDS) / _RATIO**number - _BORDER
            boxes.append(edges * ([width / level.width, height / level.height] * 2))
            scores.append(certain)
        level = level.reduce(2)
        if min(level.size) < _LEAST_SIDE:
            break
    every, certain = np.vstack(boxes), np.hstack(scores)
    kept = suppress(every * scale - ENDS, certain, _overlap())  # in whole pixels of the searched picture
    voted = [_voted(every[index], every, certain) for index in kept]
    return np.array(voted).reshape(-1, 4), certain[kept]


def _voted(box: _Floats, every: _Floats, scores: _Floats) -> _Floats:
    """Return the mean of the boxes around a face, weighted by their scores (box voting, doi:10.1109/ICCV.2015.135).

    Many boxes have the same score: the best one alone is off by up to a fifth of the face, and differs in size.
    """
    (voting,) = alike(box[None], every, _VOTE)
    mean: _Floats = np.average(every[voting], axis=0, weights=scores[voting])
    return mean


def _missing_turns(session: Any, pixels: PixelArray, box: _Floats, favoured: float) -> int:
    """Return the number of quarter turns that make a face upright.

    The network also detects 6 of 10 faces that lie on their side, at any score, but with fewer cells around them, and with
    hardly any for faces upside down: upright is the turn with the largest map minus the map of the opposite turn.
    """
    half = (box[2] - box[0]) * _CHIP_SIDE / _CHIP_FACE / 2
    chip = cropped(pixels, (box[:2] + box[2:]) / 2, half, _CHIP_SIDE)
    maps = session.run(["scores0"], {"pixels": np.stack([np.rot90(chip, turn) for turn in range(4)])})[0]
    heights = np.maximum(maps[:, _MIDDLE, _MIDDLE] - _FLOOR, 0).mean(axis=(1, 2))
    over_opposite = heights - np.roll(heights, -2)
    over_opposite[0] *= favoured
    return int(np.argmax(over_opposite))


@cache
def _network() -> Network:
    return read_network(read_weights(FACE_DETECTOR))


@cache
def _overlap() -> Overlap:
    windows = _network().windows
    if windows is None:
        raise WeightsError("expected a detector")
    return windows.suppression


@once
def _session(threads: int | None, providers: tuple[str, ...] | None) -> "onnxruntime.InferenceSession":
    model = detector_model(_network(), levels=_LEVELS, ratio=_RATIO, ranges=_RANGES)
    return open_session(model, threads=threads, providers=providers)
