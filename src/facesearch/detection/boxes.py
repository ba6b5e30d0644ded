"""Convert the detector's scores to boxes and apply non-maximum suppression, as dlib's ``loss_mmod_::to_label`` does."""

from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.errors import WeightsError
from facesearch.networks.layers import Convolution, Network, Overlap

__all__ = ["ENDS", "Found", "alike", "boxes_turned_back", "distinct", "suppress", "turned_back", "window_boxes"]

_Floats = npt.NDArray[np.float64]

_AT_ONCE: Final = 64  # boxes
ENDS: Final = (0, 0, 1, 1)  # from dlib's boxes, with right and bottom inclusive, to edges


def window_boxes(
    network: Network, scores: npt.NDArray[np.floating[Any]], *, threshold: float = 0.0
) -> tuple[_Floats, _Floats]:
    """Return the boxes with a score above *threshold*, placed as ``loss_mmod_::to_label`` places them, and their scores.

    For the (rows, columns) scores of one picture these are (N, 4) left, top, right, bottom in pixels of the network's input, and (N,)
    confidences, row by row. Boxes may leave the picture. As in dlib both ends are pixels inside: the width is right - left + 1.
    """
    if network.windows is None:
        raise WeightsError("expected a detector")
    cells = np.argwhere(scores > threshold)
    centres = cells.astype(np.float64)  # (N, 2) row, column; back through each layer to y, x of the picture
    for layer in reversed(network.layers):
        if isinstance(layer, Convolution):
            middle = np.array(layer.weights.shape[2:]) // 2  # map_output_to_input rounds down
            centres = centres * layer.stride - layer.padding + middle
    half = np.array([network.windows.width - 1, network.windows.height - 1]) / 2
    boxes = np.hstack([centres[:, ::-1] - half, centres[:, ::-1] + half])
    return boxes, scores[tuple(cells.T)].astype(np.float64)


def suppress(boxes: _Floats, confidences: _Floats, overlap: Overlap) -> npt.NDArray[np.intp]:
    """Apply dlib's greedy non-maximum suppression, and return the indices of the boxes that are kept, best first.

    Boxes are (N, 4) left, top, right, bottom in pixels, both ends inside; they are compared in whole pixels, as dlib does. Of equal
    *confidences*, (N,), the earlier box is kept. *overlap* is the condition under which two boxes are one object.
    """
    whole = np.floor(boxes + 0.5)
    areas = np.prod(whole[:, 2:] - whole[:, :2] + 1, axis=1)
    left = np.argsort(-confidences, kind="stable")
    kept: list[int] = []
    while len(left):
        block = left[:_AT_ONCE]  # compared with all others at once, which takes a fraction of the time of one by one
        inner, outer = _sides(whole[block].T[:, :, None], whole[left].T)
        shared = np.maximum(inner[0], 0) * np.maximum(inner[1], 0)
        same = shared > overlap.iou * (outer[0] * outer[1])
        same |= shared > overlap.covered * np.minimum(areas[left], areas[block][:, None])
        alive = np.ones(len(left), np.bool_)
        for place, index in enumerate(block.tolist()):
            if alive[place]:
                kept.append(index)
                alive &= ~same[place]
        alive[: len(block)] = False
        left = left[alive]
    return np.array(kept, dtype=np.intp)


def _sides(one: _Floats, other: _Floats) -> tuple[list[_Floats], list[_Floats]]:
    """Return width and height of what two boxes share, and of the smallest box around both."""
    pairs = [(one[axis], one[axis + 2], other[axis], other[axis + 2]) for axis in (0, 1)]
    inner = [np.minimum(end, stop) - np.maximum(start, begin) + 1 for start, end, begin, stop in pairs]
    outer = [np.maximum(end, stop) - np.minimum(start, begin) + 1 for start, end, begin, stop in pairs]
    return inner, outer


def alike(kept: _Floats, boxes: _Floats, least: float) -> npt.NDArray[np.bool_]:
    """Return for (K, 4) and (N, 4) edges which pairs, (K, N), have an intersection over union of *least* or more."""
    starts = np.maximum(kept[:, None, :2], boxes[:, :2])
    shared = np.prod(np.maximum(np.minimum(kept[:, None, 2:], boxes[:, 2:]) - starts, 0), axis=2)
    some, others = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (kept, boxes))
    near: npt.NDArray[np.bool_] = shared >= least * (some[:, None] + others - shared)
    return near


def turned_back(points: _Floats, turn: int, shape: tuple[int, ...]) -> _Floats:
    """Map (..., 2) xy from a picture rotated by *turn* quarter turns, as in ``np.rot90``, to the original one of *shape* (rows, columns).

    0, 0 is the corner of the first pixel.
    """
    for number in range(turn, 0, -1):
        across = shape[number % 2]  # the width before that quarter
        points = np.stack([across - points[..., 1], points[..., 0]], axis=-1)
    return points


def boxes_turned_back(boxes: _Floats, turn: int, shape: tuple[int, ...]) -> _Floats:
    """Map (N, 4) edges left, top, right, bottom as `turned_back` maps points."""
    corners = turned_back(boxes.reshape(-1, 2, 2), turn, shape)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


@attrs.frozen
class Found:
    """A face that one pass over a picture, turned or not, detected."""

    box: _Floats  # (4,) left, top, right, bottom: edges, in pixels of the picture before it was turned
    score: float  # in any unit
    quarter_turns: int  # that make it upright
    upright: bool  # in the pass that detected it
    # (5, 2) xy, between the edges of pixels as boxes are; none from a detector without points.
    points: _Floats = field(factory=lambda: np.empty((0, 2)))


def distinct(found: list[Found], overlap: Overlap) -> list[Found]:
    """Keep one of the passes that found each face, preferably one in which it was upright; highest score first."""
    scores = np.array([face.score for face in found])
    ranks = scores + (1 + scores.max(initial=0.0)) * np.array([face.upright for face in found], bool)
    kept = suppress(np.array([face.box for face in found]).reshape(-1, 4) - ENDS, ranks, overlap)
    return sorted((found[row] for row in kept), key=lambda face: -face.score)
