"""Align faces: crop a face chip, upright and of a fixed size and position, as the embedding network expects it."""

import math
from typing import Any

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.common.once import LOADING
from facesearch.detection.shape_predictor import predict_shape
from facesearch.networks.weights import LANDMARKS_5
from facesearch.stages import CHIP_PADDING, CHIP_SIZE, FACE_IN_CHIP, AlignedFace, Aligner, Detection

__all__ = ["DlibAligner"]


class DlibAligner(Aligner):
    """dlib's alignment: a similarity transform from the corners of the eyes and the nose, then a bilinear crop.

    References
    ----------
    ``dlib.get_face_chip``, http://dlib.net/face_alignment.py.html.
    """

    @override
    def align(self, pixels: PixelArray, detection: Detection) -> AlignedFace:
        with LOADING:
            import dlib

        pixels, detection, to_picture = _upright(pixels, detection)
        shape = predict_shape(LANDMARKS_5, pixels, detection)
        details = dlib.get_face_chip_details(shape, size=CHIP_SIZE, padding=CHIP_PADDING)
        angle = 0.0  # of the view in which the points were located
        for _ in range(_MOST_REFINEMENTS):
            if abs(math.remainder(details.angle - angle, math.tau)) < _TILTED:
                break
            angle = details.angle
            details = _refined(pixels, details)
        return AlignedFace(
            chip=dlib.extract_image_chip(pixels, details), to_picture=_compose(to_picture, _from_chip(details))
        )


# The predictor locates the points of heads tilted further only roughly, so it runs again on the face turned upright by its
# first result. Other faces are aligned exactly as dlib does.
_TILTED = math.radians(20)
_MOST_REFINEMENTS = 3
_VIEW_SIZE = 225  # pixels: the chip and half as much again, since the first cut may be off


def _refined(pixels: PixelArray, details: Any) -> Any:
    """Locate the points again in a view turned by *details*, and return better details."""
    import dlib

    rect, border = details.rect, (_VIEW_SIZE - CHIP_SIZE) / 2
    grow = border / CHIP_SIZE * rect.width()
    wide = dlib.drectangle(rect.left() - grow, rect.top() - grow, rect.right() + grow, rect.bottom() + grow)
    view = dlib.chip_details(wide, dlib.chip_dims(_VIEW_SIZE, _VIEW_SIZE), details.angle)
    face = attrs.evolve(
        FACE_IN_CHIP,
        left=FACE_IN_CHIP.left + border,
        top=FACE_IN_CHIP.top + border,
        right=FACE_IN_CHIP.right + border,
        bottom=FACE_IN_CHIP.bottom + border,
    )
    shape = predict_shape(LANDMARKS_5, dlib.extract_image_chip(pixels, view), face)
    transform = _from_chip(view)
    found = np.array([(point.x, point.y) for point in shape.parts()]) @ transform[:, :2].T + transform[:, 2]
    points = [dlib.point(round(x), round(y)) for x, y in found.tolist()]
    again = dlib.full_object_detection(shape.rect, points)
    return dlib.get_face_chip_details(again, size=CHIP_SIZE, padding=CHIP_PADDING)


def _upright(pixels: PixelArray, detection: Detection) -> tuple[PixelArray, Detection, PointArray]:
    """Rotate a face by quarter turns until it is upright.

    Return the neighbourhood of the face, or all of the picture where nothing has to be turned; the face in it; and the (2, 3)
    transform from xy there to xy in the picture.
    """
    if detection.quarter_turns == 0:
        return pixels, detection, np.eye(2, 3)
    # Rotating the whole photo of a phone would take longer than all other steps: the face and its size on each side suffice.
    margin = max(detection.right - detection.left, detection.bottom - detection.top)
    left, top = (max(round(edge - margin), 0) for edge in (detection.left, detection.top))
    right, bottom = round(detection.right + margin), round(detection.bottom + margin)
    crop = pixels[top:bottom, left:right]
    turned = np.ascontiguousarray(np.rot90(crop, detection.quarter_turns))
    # One quarter counterclockwise takes column x of the crop to row width - 1 - x; undone from the last to the first.
    to_picture = np.array([[1.0, 0, left], [0, 1, top]])
    height, width = crop.shape[:2]
    for _ in range(detection.quarter_turns):
        to_picture = _compose(to_picture, np.array([[0.0, -1, width - 1], [1, 0, 0]]))
        height, width = width, height
    corners = np.array([(detection.left, detection.top), (detection.right - 1, detection.bottom - 1)])
    there = (corners - to_picture[:, 2]) @ to_picture[:, :2]  # a rotation's inverse is its transpose
    (x0, y0), (x1, y1) = there.min(axis=0), there.max(axis=0) + 1
    points = None if detection.points is None else (detection.points - to_picture[:, 2]) @ to_picture[:, :2]
    upright = attrs.evolve(detection, left=x0, top=y0, right=x1, bottom=y1, quarter_turns=0, points=points)
    return turned, upright, to_picture


def _from_chip(details: Any) -> PointArray:
    """Return the (2, 3) transform from xy of a chip to xy of the picture it was cropped from."""
    rect, angle = details.rect, details.angle
    center = np.array([rect.left() + rect.right(), rect.top() + rect.bottom()]) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn * [
        (rect.right() - rect.left()) / (details.cols - 1),
        (rect.bottom() - rect.top()) / (details.rows - 1),
    ]
    middle = np.array([details.cols - 1, details.rows - 1]) / 2
    return np.column_stack([linear, center - linear @ middle])


def _compose(outer: PointArray, inner: PointArray) -> PointArray:
    """Return the (2, 3) transform that applies *inner*, then *outer*."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])
