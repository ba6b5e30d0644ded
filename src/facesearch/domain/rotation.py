"""The rotation matrix of a pose, for drawing and for pose estimation."""

import math

import numpy as np
import numpy.typing as npt

from facesearch.domain.face_detail import Pose

__all__ = ["rotation_from_pose"]


def rotation_from_pose(pose: Pose) -> npt.NDArray[np.float64]:
    """Return the rotation (3, 3) of a pose; axes are x to image right, y down, z away from the camera.

    ``rotation = roll @ yaw @ pitch``: the head first nods, then turns, then rolls in the picture. So rotating the
    picture changes roll alone, and the line between the eyes has the angle roll at any yaw and pitch.
    """
    roll, yaw, pitch = math.radians(pose.roll), math.radians(pose.yaw), math.radians(pose.pitch)
    in_plane = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    turn = [[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]]
    nod = [[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]]
    rotation: npt.NDArray[np.float64] = np.array(in_plane) @ np.array(turn) @ np.array(nod)
    return rotation
