"""Estimate gaze by geometry: the offset of each pupil from its place when the eyes look straight ahead.

An eye is a point that the pupil goes around at a fixed distance. Where that point is in the head is known from the reference
face of `facesearch.detection.pose`, which is laid over the corners of each eye, turned as the head is.

Lengths are in units of that reference face, the distance between the eyes' centres. There the mean adult's pupils, 63 mm apart
(doi:10.1117/12.529999), are 0.98 apart, and an eye is 0.40 wide, or 25.5 mm between dlib's corners.
"""

import math

import numpy as np

from facesearch.common.arrays import PointArray
from facesearch.detection.pose import REFERENCE, rotation_from_pose
from facesearch.domain.face_detail import EyeDirection, Pose
from facesearch.errors import InvalidParameterError

__all__ = ["AT_REST", "PUPIL_ORBIT", "eye_direction"]

# The eye turns about a point 15.3 mm behind the cornea's apex from side to side, and 12.5 mm up and down, by how far the
# pupil moves (doi:10.1111/opo.12940); the pupil is seen 3 mm behind the apex (Gullstrand's schematic eye). The mean, 10.9 mm, is
# 0.43 of the eye's width. The eyeball's radius, 12.1 mm (doi:10.1155/2014/503645), is 0.47 of it.
PUPIL_ORBIT = 0.17
# The pupil of the viewer's right eye when it looks ahead, for our 70 landmarks and for dlib's 68. x and y: the mean in the half of
# `landmarks106/` that is not kept aside, faces turned by less than 25 degrees: on average people look where their head points. z: as
# deep as the lids.
AT_REST = {70: (0.49, -0.016, -0.01), 68: (0.49, -0.027, -0.01)}

# Beyond these the direction is not given. No photographs with a known direction are at hand to choose them by.
_SMALLEST_EYE = 12.0  # pixels, corner to corner: a pupil found one pixel off is 11 degrees there
_MOST_TURNED = 45.0  # degrees of the head's yaw or pitch: the far eye is hidden
_LEAST_OPEN = 0.17  # height over width of the lids, mean of both eyes: in `celeba/`, 64% of 45 closed ones are below, 2% of 45 open
_MOST_OFF = math.radians(50)  # that an eye can turn: further, the point found is no pupil
# From the camera, of eye and head together: near a right angle a pupil that can still be seen and one that can't lie in the
# same place.
_MOST_AVERTED = math.radians(75)

# The confidence is the product of this and three shares: modest, as nothing but painted eyes stands behind it.
_MOST_CONFIDENT = 75.0
_LARGE_EYE = 20.0  # pixels, where size is no longer a reason for doubt
_DISAGREEMENT = math.radians(40)  # standard deviation of the angle between both eyes that costs confidence
# What is reported is too small, most so far aside; lids hide what looks up, and more of narrow eyes. The logarithm of the error in degrees,
# plus 1, by least squares on painted eyes of 30 faces of the half of `landmarks106/` that benchmarks/gaze.py does not measure on:
_LOG_ERROR, _PER_YAW, _PER_PITCH, _PER_OPENNESS = 3.0, 0.018, 0.032, -2.9
_MOST_YAW, _MOST_PITCH = 20.0, 6.0  # degrees beyond which too few were painted
_LEAST_ERROR = 5.0  # degrees, where the expected error is no longer a reason for doubt

_CORNERS = {-1: [36, 39], 1: [42, 45]}  # of the viewer's left and right eye
_LIDS = {-1: ([37, 38], [41, 40]), 1: ([43, 44], [47, 46])}
_POINTS = list(REFERENCE)
_FACE = np.zeros((68, 3))
_FACE[_POINTS] = list(REFERENCE.values())


def eye_direction(
    points: PointArray, left_pupil: PointArray, right_pupil: PointArray, *, pose: Pose
) -> EyeDirection | None:
    """Estimate the direction of gaze.

    Parameters
    ----------
    points
        (68, 2) xy pixels of dlib's landmarks, or (70, 2) of ours, y down.
    left_pupil, right_pupil
        (2,) xy pixels, the viewer's left and right; see `facesearch.detection.pupils.find_pupil`.
    pose
        Pose of the head; see `facesearch.detection.pose.solve_pose`.

    Returns
    -------
    EyeDirection or None
        Degrees from where the head points: positive yaw toward the right of the picture, positive pitch up, both as in the
        head's own upright frame. Mirroring negates yaw; turning, shifting and scaling the picture change nothing, but that
        eyes less than 20 pixels wide lower the confidence. The confidence, 0-75, measures how well both eyes agree, how
        large and open they are, and how little they look aside and up; there are no labels to calibrate it by. On painted eyes it orders the
        errors, see docs/attributes.md. There, yaw came back at 0.8 of what it was, with a median error of
        3 degrees, and pitch at 0.2 only, as lids hide and follow the iris: its sign is more reliable than its size. ``None`` where the eyes are less than 12
        pixels wide, look closed, or are turned away with the head by more than 45 degrees, where they look more than 75
        degrees away from the camera, or where what was found can't be a pupil.

    Raises
    ------
    InvalidParameterError
        If the points or pupils are not finite numbers of these shapes.
    """
    for name, value, shape in (
        ("points", points[:68] if points.shape == (70, 2) else points, (68, 2)),
        ("left_pupil", left_pupil, (2,)),
        ("right_pupil", right_pupil, (2,)),
    ):
        if value.shape != shape or not np.isfinite(value).all():
            raise InvalidParameterError.of(name, value, f"{shape} finite xy pixels")
    widths = {side: math.dist(*points[corners]) for side, corners in _CORNERS.items()}
    if max(abs(pose.yaw), abs(pose.pitch)) > _MOST_TURNED or min(widths.values()) < _SMALLEST_EYE:
        return None
    openness = sum(_height(points, side) / width for side, width in widths.items()) / 2
    directions = _directions(points, {-1: left_pupil, 1: right_pupil}, rotation_from_pose(pose))
    if openness < _LEAST_OPEN or not all(ahead > math.cos(_MOST_OFF) for _, _, ahead in directions.values()):
        return None
    x, y, ahead = sum((each * widths[side] for side, each in directions.items()), start=np.zeros(3)).tolist()
    apart = math.acos(min(1.0, float(directions[-1] @ directions[1])))
    yaw, pitch = math.degrees(math.atan2(x, ahead)), math.degrees(math.atan2(y, math.hypot(x, ahead)))
    confidence = (
        _MOST_CONFIDENT
        * math.exp(-((apart / _DISAGREEMENT) ** 2) / 2)
        * min(1.0, min(widths.values()) / _LARGE_EYE)
        * (_LEAST_ERROR / max(_LEAST_ERROR, _expected_error(yaw, pitch, openness)))
    )
    return EyeDirection(yaw=yaw, pitch=pitch, confidence=confidence)


def _expected_error(yaw: float, pitch: float, openness: float) -> float:
    """Return the expected error of a direction in degrees."""
    aside, up = min(abs(yaw), _MOST_YAW), min(max(pitch, -_MOST_PITCH), _MOST_PITCH)
    return math.exp(_LOG_ERROR + _PER_YAW * aside + _PER_PITCH * up + _PER_OPENNESS * openness) - 1


def _directions(points: PointArray, pupils: dict[int, PointArray], rotation: PointArray) -> dict[int, PointArray]:
    """Return the direction of gaze of each eye: unit vectors (3,) in the head's frame, to its right, up and ahead.

    A point near the rim of the orbit or beyond, which can't be a visible pupil, yields NaN.
    """
    face = _FACE @ rotation[:2].T
    fixed = face[_POINTS] - face[_POINTS].mean(axis=0)
    scale = float((fixed * points[_POINTS]).sum() / (fixed * fixed).sum())  # pixels a unit, by least squares
    rest = np.array(AT_REST[len(points)])
    found = {}
    for side, corners in _CORNERS.items():
        center = rotation[:2] @ (rest * (side, 1, 1) + (0, 0, PUPIL_ORBIT))
        shift = points[corners].mean(axis=0) - scale * face[corners].mean(axis=0)
        x, y = ((pupils[side] - shift - scale * center) / (scale * PUPIL_ORBIT)).tolist()
        seen = math.hypot(x, y) < math.sin(_MOST_AVERTED) and scale > 0
        depth = math.sqrt(1 - x * x - y * y) if seen else math.nan
        found[side] = rotation.T @ (x, y, -depth) * (1, -1, -1)
    return found


def _height(points: PointArray, side: int) -> float:
    """Return the distance between the lids of one eye, in pixels."""
    upper, lower = _LIDS[side]
    return float(np.hypot(*(points[lower] - points[upper]).T).mean())
