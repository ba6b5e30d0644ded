"""Estimate head pose from dlib's 68 landmarks: roll, yaw and pitch in AWS's signs.

A rigid 3-D reference face (ours: ``training/pose_reference.py`` finds it by structure from motion on photographs) is
seen by a weak-perspective camera, ``xy = scale * rotation[:2] @ point + shift``. Pictured points are complex numbers
x + iy here, so a picture's scale and roll are one complex factor, which least squares gives in closed form; Newton's
method finds the yaw and pitch that leave the least error.
"""

import cmath
import math

import numpy as np

from facesearch.common.arrays import PointArray
from facesearch.domain.face_detail import Pose
from facesearch.domain.rotation import rotation_from_pose
from facesearch.errors import InvalidParameterError
from facesearch.stages import LANDMARK_SHAPES

__all__ = ["REFERENCE", "rotation_from_pose", "solve_pose"]

# dlib's index: x to image right, y down, z away from the camera, in distances between the eyes' centres, the origin
# midway. Only points that neither the face's expression nor its turning moves much. From training/pose_reference.py.
REFERENCE: dict[int, tuple[float, float, float]] = {
    27: (0.0, -0.024, -0.25),
    28: (0.0, 0.166, -0.339),
    29: (0.0, 0.358, -0.44),
    30: (0.0, 0.554, -0.54),
    31: (-0.237, 0.691, -0.286),
    32: (-0.124, 0.735, -0.334),
    33: (0.0, 0.771, -0.361),
    34: (0.124, 0.735, -0.334),
    35: (0.237, 0.691, -0.286),
    36: (-0.694, 0.005, 0.053),
    37: (-0.572, -0.065, -0.002),
    38: (-0.424, -0.064, -0.021),
    39: (-0.297, 0.025, -0.017),
    40: (-0.434, 0.049, -0.015),
    41: (-0.578, 0.049, 0.002),
    42: (0.297, 0.025, -0.017),
    43: (0.424, -0.064, -0.021),
    44: (0.572, -0.065, -0.002),
    45: (0.694, 0.005, 0.053),
    46: (0.578, 0.049, 0.002),
    47: (0.434, 0.049, -0.015),
    48: (-0.46, 1.064, 0.007),
    54: (0.46, 1.064, 0.007),
}  # fmt: skip

_STEPS = 8  # Newton doubles the digits each step: three do for most faces
_CONVERGED = 1e-12  # radians
_FLAT = 1e-6  # area over squared length of the camera's rows, below which the landmarks lie on one line or point


_POINTS = np.array(list(REFERENCE))
_CENTRED = np.array(list(REFERENCE.values())) - np.mean(list(REFERENCE.values()), axis=0)
_MOMENT = _CENTRED.T @ _CENTRED  # x goes with neither y nor z, as the reference is symmetric
_SOLVER = np.concatenate([_CENTRED.T, np.linalg.solve(_MOMENT, _CENTRED.T)])  # (6, K): moments, least-squares camera
_XX, _YY, _ZZ, _YZ = _MOMENT[[0, 1, 2, 1], [0, 1, 2, 2]].tolist()


def solve_pose(landmarks: PointArray) -> Pose:
    """Estimate the pose of a head from (68, 2) or (70, 2) xy pixels, y down, in dlib's order.

    Roll and pitch are within 180 degrees, yaw within 90. Turning the landmarks in the picture adds to roll alone; mirroring them (points
    swapped left to right) negates roll and yaw and keeps pitch; shifting and scaling change nothing.

    Raises
    ------
    InvalidParameterError
        If the landmarks are not (68, 2) or (70, 2) finite numbers, or all lie on one point or line.

    References
    ----------
    The signs are those of eight faces in AWS's published example responses: positive roll turns clockwise on screen, positive yaw
    toward the right of the picture, positive pitch up.
    """
    if landmarks.shape not in LANDMARK_SHAPES or not np.isfinite(landmarks).all():
        raise InvalidParameterError.of("landmarks", landmarks, "(68, 2) or (70, 2) finite xy pixels")
    seen = (landmarks - landmarks[0])[_POINTS] @ (1, 1j)
    x, y, z, *camera = (_SOLVER @ seen).tolist()
    yaw, pitch = _start(*camera)
    for _ in range(_STEPS):
        yaw_step, pitch_step = _newton(yaw, pitch, x, y, z)
        yaw, pitch = yaw + yaw_step, pitch + pitch_step
        if abs(yaw_step) + abs(pitch_step) < _CONVERGED:
            break
    if math.cos(yaw) < 0:  # the same rotation, with yaw in range; roll follows from the factor
        yaw, pitch = math.pi - yaw, math.pi + pitch
    yaw, pitch = math.remainder(yaw, math.tau), math.remainder(pitch, math.tau)
    factor = (
        math.cos(yaw) * x
        + math.sin(yaw) * (math.sin(pitch) * y - math.cos(pitch) * z)
        - 1j * (math.cos(pitch) * y + math.sin(pitch) * z)
    )
    return Pose(roll=math.degrees(cmath.phase(factor)), yaw=math.degrees(yaw), pitch=math.degrees(pitch))


def _start(x: complex, y: complex, z: complex) -> tuple[float, float]:
    """Compute initial yaw and pitch, in radians, from the columns of the affine camera, as if it were a scaled rotation."""
    down, ahead = y * x.conjugate(), z * x.conjugate()
    area = math.hypot(down.imag, ahead.imag, (z * y.conjugate()).imag)
    if area <= _FLAT * (abs(x) ** 2 + abs(y) ** 2 + abs(z) ** 2):
        raise InvalidParameterError("landmarks: expected a face, got points on one line or one point")
    pitch = math.atan2(ahead.imag, down.imag)
    return math.atan2(math.sin(pitch) * down.real - math.cos(pitch) * ahead.real, abs(x) ** 2), pitch


def _newton(yaw: float, pitch: float, x: complex, y: complex, z: complex) -> tuple[float, float]:
    """Compute Newton's step toward the yaw and pitch that maximize the explained part of the picture, log(|fit|**2 / size).

    *fit* is the inner product of the picture, by its moments x, y, z, with the reference at yaw and pitch; *size* is
    that of the reference with itself. A letter after them is a derivative: t by yaw, p by pitch.
    """
    c, s, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    out, up = sp * y - cp * z, cp * y + sp * z
    fit = c * x + s * out - 1j * up
    fit_t, fit_p = (c * out - s * x) / fit, (s * up + 1j * out) / fit
    fit_tt, fit_tp, fit_pp = (-c * x - s * out) / fit, c * up / fit, (1j * up - s * out) / fit

    sin2, cos2 = 2 * sp * cp, cp * cp - sp * sp
    depth = _YY * sp * sp + _ZZ * cp * cp - _YZ * sin2
    depth_p = (_YY - _ZZ) * sin2 - 2 * _YZ * cos2
    depth_pp = 2 * (_YY - _ZZ) * cos2 + 4 * _YZ * sin2
    size = _YY + _ZZ + c * c * (_XX - depth)
    size_t, size_p = -2 * c * s * (_XX - depth) / size, -c * c * depth_p / size
    size_tt, size_tp = -2 * (c * c - s * s) * (_XX - depth) / size, 2 * c * s * depth_p / size
    size_pp = -c * c * depth_pp / size

    t, p = 2 * fit_t.real - size_t, 2 * fit_p.real - size_p
    tt = 2 * (fit_tt - fit_t**2).real - size_tt + size_t**2
    tp = 2 * (fit_tp - fit_t * fit_p).real - size_tp + size_t * size_p
    pp = 2 * (fit_pp - fit_p**2).real - size_pp + size_p**2
    determinant = tt * pp - tp * tp
    if tt >= 0 or determinant <= 0:  # no maximum is near, which no real face has shown: stay
        return 0.0, 0.0
    return (tp * p - pp * t) / determinant, (tp * t - tt * p) / determinant
