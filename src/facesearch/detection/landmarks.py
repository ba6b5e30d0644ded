"""Locate facial landmarks: dlib's 68 points, AWS's 30, and AWS's bounding box.

The 68 points run as in iBUG 300-W: 0-16 the jaw from the picture's left to its right, 17-26 the brows, 27-35 the nose,
36-47 the eyes, 48-67 the mouth. Their left and right are the viewer's, as in AWS's landmarks,
and turn with the head as AWS's do. A landmarker that locates irises appends their centres: 68 the viewer's left, 69 right.
"""

import numpy as np
from typing_extensions import override

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.detection.pupils import find_pupil
from facesearch.detection.shape_predictor import predict_shape
from facesearch.domain.geometry import BoundingBox, Landmark, LandmarkType
from facesearch.networks.weights import LANDMARKS_68
from facesearch.stages import FACE_IN_CHIP, AlignedFace, Landmarker

__all__ = ["DEFAULT_LANDMARKS", "EYES", "IRISES", "MIRROR", "DlibLandmarker", "aws_landmarks", "face_box"]

# Index of each of the 68 points after the picture is mirrored.
MIRROR = [
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip

EYES = (slice(36, 42), slice(42, 48))  # the viewer's left, right
IRISES = (68, 69)  # likewise; only in 70 points

# AWS's DEFAULT attributes carry the first five only.
DEFAULT_LANDMARKS = 5


class DlibLandmarker(Landmarker):
    """dlib's ensemble of regression trees, on the chip.

    On the chip the points depend neither on the detector nor on the roll of the head. Against points that
    people placed (`landmarks106/`), the mean error is 0.044 of the distance between the eyes, as it is in the picture with
    the frontal detector's own box; with that box off by a tenth it is 0.059, against 0.085 without alignment.

    References
    ----------
    Kazemi and Sullivan, CVPR 2014, doi:10.1109/CVPR.2014.241.
    """

    @override
    def locate(self, pixels: PixelArray, face: AlignedFace) -> PointArray:  # the stage's signature
        shape = predict_shape(LANDMARKS_68, face.chip, FACE_IN_CHIP)
        return face.in_picture(np.array([(point.x, point.y) for point in shape.parts()], np.float64))


# Each landmark is the mean of these of the 68 points; pupils and eye centres are located in the picture.
_POINTS = {
    LandmarkType.MOUTH_LEFT: (48,),
    LandmarkType.MOUTH_RIGHT: (54,),
    LandmarkType.NOSE: (30,),
    LandmarkType.LEFT_EYEBROW_LEFT: (17,),
    LandmarkType.LEFT_EYEBROW_RIGHT: (21,),
    LandmarkType.LEFT_EYEBROW_UP: (19,),
    LandmarkType.RIGHT_EYEBROW_LEFT: (22,),
    LandmarkType.RIGHT_EYEBROW_RIGHT: (26,),
    LandmarkType.RIGHT_EYEBROW_UP: (24,),
    LandmarkType.LEFT_EYE_LEFT: (36,),
    LandmarkType.LEFT_EYE_RIGHT: (39,),
    LandmarkType.LEFT_EYE_UP: (37, 38),
    LandmarkType.LEFT_EYE_DOWN: (40, 41),
    LandmarkType.RIGHT_EYE_LEFT: (42,),
    LandmarkType.RIGHT_EYE_RIGHT: (45,),
    LandmarkType.RIGHT_EYE_UP: (43, 44),
    LandmarkType.RIGHT_EYE_DOWN: (46, 47),
    LandmarkType.NOSE_LEFT: (31,),
    LandmarkType.NOSE_RIGHT: (35,),
    LandmarkType.MOUTH_UP: (51,),
    LandmarkType.MOUTH_DOWN: (57,),
    LandmarkType.UPPER_JAWLINE_LEFT: (0,),
    LandmarkType.MID_JAWLINE_LEFT: (4,),
    LandmarkType.CHIN_BOTTOM: (8,),
    LandmarkType.MID_JAWLINE_RIGHT: (12,),
    LandmarkType.UPPER_JAWLINE_RIGHT: (16,),
}


def aws_landmarks(points: PointArray, pixels: PixelArray) -> tuple[Landmark, ...]:
    """Return AWS's 30 landmarks, in AWS's order, in ratios of the picture's sides, from (68, 2) or (70, 2) xy pixels.

    The pupils are located in *pixels*, (H, W, 3) uint8 RGB, where the points have no irises. ``eyeLeft`` is the same point as
    ``leftPupil``, as in AWS.
    """
    height, width = pixels.shape[:2]
    if len(points) > IRISES[0]:
        left, right = points[list(IRISES)]
    else:
        left, right = (find_pupil(points[eye], pixels) for eye in EYES)
    found = {kind: points[list(of)].mean(axis=0) for kind, of in _POINTS.items()}
    found |= {LandmarkType.EYE_LEFT: left, LandmarkType.LEFT_PUPIL: left}
    found |= {LandmarkType.EYE_RIGHT: right, LandmarkType.RIGHT_PUPIL: right}
    return tuple(
        Landmark(type=kind, x=float(found[kind][0]) / width, y=float(found[kind][1]) / height) for kind in LandmarkType
    )


# From three of AWS's published example responses: the box is 0.68-0.70 as wide as high, and its top is 0.67-0.79 of the
# distance from chin to eyes above the eyes.
_FOREHEAD = 0.73
_JAW_SHARE = 0.89  # of the jaw's width: AWS's jawline landmarks lie slightly outside the box


def face_box(points: PointArray, width: int, height: int) -> BoundingBox:
    """Compute the bounding box in AWS's convention, hairline to chin and ear to ear, from (68, 2) or (70, 2) xy pixels.

    It is the upright box around the ellipse that the face fills in its own frame, so that it stays tight when the head is tilted.
    *width* and *height* are those of the picture, in pixels.
    """
    left_eye, right_eye = (points[eye].mean(axis=0) for eye in EYES)
    across = right_eye - left_eye
    length = float(np.hypot(*across))
    # Unit vectors of the face's own frame: to the viewer's right, and down toward the chin.
    right = across / length if length > 0 else np.array([1.0, 0.0])
    down = np.array([-right[1], right[0]])
    eyes = (left_eye + right_eye) / 2
    along, below = (points - eyes) @ right, (points - eyes) @ down
    chin = float(below.max())
    top = -_FOREHEAD * chin
    middle = eyes + right * (along.min() + along.max()) / 2 + down * (top + chin) / 2
    half_width = _JAW_SHARE * float(along.max() - along.min()) / 2
    half_height = (chin - top) / 2
    # The extent of a turned ellipse along each axis of the picture.
    extent = np.hypot(half_width * right, half_height * down)
    left_top, size = middle - extent, 2 * extent
    return BoundingBox(
        left=float(left_top[0]) / width,
        top=float(left_top[1]) / height,
        width=float(size[0]) / width,
        height=float(size[1]) / height,
    )
