"""Detect faces, with five points of each, with YuNet in ONNX Runtime."""

import math
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field
from typing_extensions import override

from facesearch.common.arrays import PixelArray
from facesearch.common.once import once
from facesearch.common.validation import maybe, whole
from facesearch.detection.boxes import ENDS, Found, alike, boxes_turned_back, distinct, suppress, turned_back
from facesearch.images.resizing import cropped, scaled
from facesearch.networks.layers import Overlap
from facesearch.networks.runtime import check_providers, open_session
from facesearch.networks.weights import YUNET, read_weights
from facesearch.networks.yunet_onnx import STRIDES, yunet_model
from facesearch.stages import Detection, Detector

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["YuNetDetector"]

_Floats = npt.NDArray[np.float64]

# Measured by benchmarks/detection.py, and the confidence by training/yunet_confidence.py.

# The network detects 99 of 100 faces of this size, in pixels; 92 of 12 px, 18 of 10. The size is the square root of the area of
# the network's box.
_SURE_SIZE: Final = 14
# AWS finds faces of 40 px in a photo of 1920x1080, and its smallest face grows with larger photos (Amazon Rekognition quotas).
_AWS_SMALLEST: Final = 40
_AWS_PIXELS: Final = 1920 * 1080
_LEAST_MIN_FACE: Final = 20  # four times as many pixels as for 40
_MOST_ENLARGED: Final = 2.0  # more shows no more of a face
_LEAST_ENLARGED: Final = 1.2  # less gains little: 92 of 100 faces of 12 px are found as they are
_LEAST_SIDE: Final = 8  # pixels; a picture with a shorter side shows no face, and would be mostly padding
# Faces up to 400 px score as high as others and of 600 px less; so larger pictures are searched at a quarter of their sides too.
_LARGEST: Final = 400
_REDUCTION: Final = 4
# Around cut faces: surroundings that they lack, in a grey that resembles nothing. Its edge repeated would resemble a face.
_BORDER: Final = 32
_GREY: Final = 128
_MULTIPLE: Final = STRIDES[-1]  # sides of the network's input

# Scores are 0-1. Where no upright face scores at least _LEAST, the picture is searched again, turned. In 977 pictures without people
# (benchmarks/no_faces.py) 20 boxes score that much, MMOD gives 18; at 0.8 it would be 32, at 0.85, which loses faces rolled by 30 and 45
# degrees, 11. Of 800 photos of south_asia/ 792 keep a face.
_LEAST: Final = 0.82
# Small faces score less, and so do false alarms of their size: of those 20 boxes one is smaller than 48 px. The score of faces of up to
# 16 px is raised by _CREDIT, and of larger ones by less, down to 0 at 32 px. That costs 5 boxes more in the same pictures; crowd_25 of
# groups/, with faces of 9 to 25 px, keeps 208 of 242 boxes instead of 129.
_CREDIT: Final = 0.08
_CREDITED: Final = (16, 32)
# Upright faces of 40 px and more score above _UPRIGHT: 99 in 100. Of faces on their side half score above 0.7 and hardly any above
# _UPRIGHT; upside down 9 in 10, and one in 100. So the turn of others is checked, also of those that score just _HINT.
_UPRIGHT: Final = 0.91
_HINT: Final = 0.4
# Doubtful faces checked together, the largest first: where most of them stand upright, so do the smaller ones.
_CHECKED: Final = 4
_FAVOUR: Final = (0.05, 0, 0, 0)  # a rotated crop must score higher by that
_CHIP_SIDE: Final = 64
_CHIP_FACE: Final = 32
# A picture without a sure face is searched again, rotated: each of the four passes over at most this share of the pixels.
_TURNED_SHARE: Final = 1 / 3
_OVERLAP: Final = Overlap(iou=0.3, covered=0.7)
_VOTE: Final = 0.6  # intersection over union: boxes of neighbouring cells vote for the same face
_AT_ONCE: Final = 64  # faces voted for at once: bounds the memory in crowds

# From YuNet's box and points to dlib's box: medians over people/ and landmarks106/, against HogDetector. The middle of dlib's box is
# that of the five points, moved towards the eyes by a share of the side; the side is a share of the network's box.
_TO_EYES: Final = 0.018
_SIDE: Final = 0.95

# Probability that a detection is a face, by its score: training/yunet_confidence.py.
_SLOPE: Final = 54.8
_EVEN: Final = 0.8392  # score of a toss-up


@attrs.frozen(kw_only=True)
class YuNetDetector(Detector):
    """YuNet, in ONNX Runtime: fast, for small, covered and cut faces, at any roll, with five points of each face.

    Photos up to 1920x1080 are searched as they are, larger ones reduced to that, and small ones enlarged. Where a face may lie on
    its side, or none is sure, the picture is searched again turned by quarters; upright photos don't pay for that.

    Boxes are converted to dlib's, a square from brows to chin, so that dlib's aligner and landmarks work with them.

    Attributes
    ----------
    min_face
        The smallest face that must be found, in pixels of a photo of 1920x1080, at least 20; by default AWS's 40. In smaller and
        in larger photos it shrinks and grows with the photo's sides. Smaller faces are found too, from 14 px of the searched
        photo on. Time in large photos goes with its inverse square: 80 takes a quarter of it.
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
    Wu, Peng and Yu, YuNet: A Tiny Millisecond-level Face Detector, doi:10.1007/s11633-023-1423-y.
    """

    min_face: int = field(default=_AWS_SMALLEST, validator=whole(_LEAST_MIN_FACE))
    threads: int | None = field(default=None, validator=maybe(whole(1)))
    providers: tuple[str, ...] | None = field(default=None, converter=check_providers)

    @override
    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        session = _session(self.threads, self.providers)
        searched, scale = _searched(pixels, self.min_face)
        if min(searched.shape[:2]) < _LEAST_SIDE:
            return ()
        found = _detect(session, searched, 0)
        if any(face.upright and face.score >= _LEAST for face in found):
            for turn in sorted({face.quarter_turns for face in found} - {0}):
                found += _detect(session, searched, turn)
        else:
            smaller, factor = _reduced(searched, _most_pixels(self.min_face) * _TURNED_SHARE)
            again = [face for turn in range(4) for face in _detect(session, smaller, turn, border=_BORDER)]
            found += [attrs.evolve(face, box=face.box * factor, points=face.points * factor) for face in again]
        kept = distinct([face for face in found if face.score >= _LEAST], _OVERLAP)
        return tuple(_detection(face, scale) for face in kept)


def _most_pixels(min_face: int) -> float:
    return _AWS_PIXELS * (_AWS_SMALLEST / min_face) ** 2


def _searched(pixels: PixelArray, min_face: int) -> tuple[PixelArray, _Floats]:
    """Return the picture to search, and by how much xy in it must be multiplied for xy in *pixels*."""
    height, width = pixels.shape[:2]
    smallest = min_face * math.sqrt(height * width / _AWS_PIXELS)
    if smallest * _LEAST_ENLARGED >= _SURE_SIZE:
        reduced, factor = _reduced(pixels, _most_pixels(min_face))
        return reduced, np.array([factor, factor], float)
    larger = np.asarray(scaled(pixels, min(_SURE_SIZE / smallest, _MOST_ENLARGED)))
    return larger, np.array([width / larger.shape[1], height / larger.shape[0]])


def _reduced(pixels: PixelArray, most_pixels: float) -> tuple[PixelArray, int]:
    """Reduce a picture by a whole number to at most *most_pixels*, and return that number.

    That takes half of the time of a bilinear reduction, and what is lost are faces below `min_face`.
    """
    from PIL import Image

    factor = math.ceil(math.sqrt(pixels.shape[0] * pixels.shape[1] / most_pixels))
    return (pixels, 1) if factor <= 1 else (np.asarray(Image.fromarray(pixels).reduce(factor)), factor)


def _detect(session: Any, pixels: PixelArray, turn: int, *, border: int = 0) -> list[Found]:
    """Detect faces in a picture rotated by *turn* quarter turns, with scores from `_HINT` on."""
    turned = np.ascontiguousarray(np.rot90(pixels, turn))
    boxes, points, scores = _search(session, turned, border)
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    missing = _missing_turns(session, turned, boxes, sides, scores).tolist()
    small, large = _CREDITED
    credited = np.minimum(scores + _CREDIT * ((large - sides) / (large - small)).clip(0, 1), 1).tolist()
    straight, back = boxes_turned_back(boxes, turn, pixels.shape), turned_back(points, turn, pixels.shape)
    return [
        Found(box, score, (turn + more) % 4, more == 0, five)
        for box, score, more, five in zip(straight, credited, missing, back, strict=True)
    ]


def _search(session: Any, pixels: PixelArray, border: int) -> tuple[_Floats, _Floats, _Floats]:
    """Search a picture and, if it is large, a smaller one: (N, 4) edges of boxes, (N, 5, 2) points, (N,) scores."""
    found = [_candidates(session, pixels, border)]
    if max(pixels.shape[:2]) > _LARGEST:
        small, factor = _reduced(pixels, math.prod(pixels.shape[:2]) / _REDUCTION**2)
        boxes, points, scores = _candidates(session, small, _BORDER)
        found.append((boxes * factor, points * factor, scores))
    boxes, points, scores = (np.concatenate(each) for each in zip(*found, strict=True))
    kept = suppress(boxes - ENDS, scores, _OVERLAP)
    every = np.concatenate([boxes, points.reshape(-1, 10)], axis=1)
    parts = [boxes[kept[start : start + _AT_ONCE]] for start in range(0, len(kept), _AT_ONCE)]
    voted = [np.empty((0, 14)), *(_votes(part, boxes, scores) @ every for part in parts)]
    means = np.concatenate(voted)
    return means[:, :4], means[:, 4:].reshape(-1, 5, 2), scores[kept]


def _votes(kept: _Floats, boxes: _Floats, scores: _Floats) -> _Floats:
    """Return the weights (K, N) of all boxes in the mean of those around each kept one (box voting, doi:10.1109/ICCV.2015.135).

    The points of the best box alone are off by up to 6% of the face, in another direction when the picture is mirrored.
    """
    weights = np.where(alike(kept, boxes, _VOTE), scores, 0)
    shares: _Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _candidates(session: Any, pixels: PixelArray, border: int) -> tuple[_Floats, _Floats, _Floats]:
    maps = session.run(None, {"pixels": _with_room(pixels, border)[None]})
    boxes, points, scores = (np.concatenate(each) for each in zip(*map(_decoded, maps, STRIDES), strict=True))
    return boxes - border, points - border, scores


def _with_room(pixels: PixelArray, border: int) -> PixelArray:
    """Return the picture with a grey *border*, and more at the right and at the bottom up to the network's multiple."""
    height, width = pixels.shape[:2]
    rows, columns = (-(-(side + 2 * border) // _MULTIPLE) * _MULTIPLE for side in (height, width))
    if (rows, columns) == (height, width):
        return pixels
    room = np.full((rows, columns, 3), _GREY, np.uint8)
    room[border : border + height, border : border + width] = pixels
    return room


# Both logits of a score of _HINT are at least this, since neither probability exceeds 1.
_LEAST_LOGIT: Final = math.log(_HINT**2 / (1 - _HINT**2))


_LARGEST_LOG: Final = math.log(64)  # of a box's side over the stride: a made-up picture can't ask for crops of any size


def _decoded(maps: npt.NDArray[np.float32], stride: int) -> tuple[_Floats, _Floats, _Floats]:
    """Return boxes, points and scores of the cells of (1, 16, rows, columns) that score at least `_HINT`."""
    cells = maps[0].reshape(maps.shape[1], -1)
    (places,) = np.nonzero((cells[0] > _LEAST_LOGIT) & (cells[1] > _LEAST_LOGIT))
    values = cells[:, places].astype(np.float64)
    scores = _scores(values)
    enough = scores >= _HINT
    places, values, scores = places[enough], values[:, enough], scores[enough]
    corners = np.stack([places % maps.shape[3], places // maps.shape[3]], axis=1).astype(np.float64)
    centres = (corners + values[2:4].T) * stride
    halves = np.exp(np.minimum(values[4:6].T, _LARGEST_LOG)) * (stride / 2)
    points = (corners[:, None] + values[6:].T.reshape(-1, 5, 2)) * stride
    return np.concatenate([centres - halves, centres + halves], axis=1), points, scores


def _scores(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return sqrt(cls * obj) of (16, ...) values, of which the first two are logits."""
    result: npt.NDArray[Any] = 1 / np.sqrt((1 + np.exp(-values[0])) * (1 + np.exp(-values[1])))
    return result


def _missing_turns(
    session: Any, pixels: PixelArray, boxes: _Floats, sides: _Floats, scores: _Floats
) -> npt.NDArray[np.int64]:
    """Return (N,) how many quarter turns make each face upright: crops of doubtful ones are searched, rotated by quarters.

    The network also detects many faces that lie on their side or are upside down, with points as if they stood upright. But it
    scores such a face higher when that is turned.
    """
    (doubtful,) = np.nonzero(scores < _UPRIGHT)
    doubtful = doubtful[np.argsort(-sides[doubtful], kind="stable")]
    missing = np.zeros(len(boxes), np.int64)
    for start in range(0, len(doubtful), _CHECKED):
        chosen = doubtful[start : start + _CHECKED]
        rotated = _rotated_scores(session, pixels, boxes[chosen], sides[chosen])
        turns = np.argmax(rotated + _FAVOUR, axis=1)
        turns[rotated[np.arange(len(rotated)), turns] < _LEAST] = 0
        missing[chosen] = turns
        if np.count_nonzero(turns) <= len(chosen) / 2:
            break
    return missing


def _rotated_scores(session: Any, pixels: PixelArray, boxes: _Floats, sides: _Floats) -> _Floats:
    """Return the scores (N, 4) of faces cropped and rotated by 0 to 3 quarter turns."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = sides * (_CHIP_SIDE / _CHIP_FACE / 2)
    chips = [
        cropped(pixels, middle, half, _CHIP_SIDE, beyond=_GREY)
        for middle, half in zip(middles, halves.tolist(), strict=True)
    ]
    best = np.zeros(4 * len(chips))
    for maps in session.run(None, {"pixels": np.stack([np.rot90(chip, turn) for chip in chips for turn in range(4)])}):
        third = maps.shape[2] // 3
        middle = maps[:, :, third : maps.shape[2] - third, third : maps.shape[2] - third]
        best = np.maximum(best, _scores(middle.swapaxes(0, 1)).max(axis=(1, 2)))
    return best.reshape(-1, 4)


def _detection(face: Found, scale: _Floats) -> Detection:
    """Convert a face of the searched picture to dlib's box in the picture given, its pixels *scale* times as many."""
    points, sides = face.points * scale, (face.box[2:] - face.box[:2]) * scale
    up = points[:2].mean(axis=0) - points[3:].mean(axis=0)
    side = _SIDE * math.sqrt(math.prod(sides))
    x, y = points.mean(axis=0) + _TO_EYES * side * up / max(float(np.hypot(*up)), 1.0)
    return Detection(
        left=x - side / 2,
        top=y - side / 2,
        right=x + side / 2,
        bottom=y + side / 2,
        confidence=100 / (1 + math.exp(-_SLOPE * (face.score - _EVEN))),
        quarter_turns=face.quarter_turns,
        points=points - 0.5,  # the centre of the first pixel is 0, 0, as of landmarks
    )


@once
def _session(threads: int | None, providers: tuple[str, ...] | None) -> "onnxruntime.InferenceSession":
    return open_session(yunet_model(read_weights(YUNET)), threads=threads, providers=providers)
