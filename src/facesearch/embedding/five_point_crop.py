"""Crop faces with eyes, nose and mouth at fixed places, as networks like ArcFace's take them."""

from collections.abc import Sequence

import numpy as np

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.errors import InvalidParameterError
from facesearch.images.crops import crop_similar, similarity

__all__ = ["crop_to_picture", "cut_by_five_points"]

# The correlation of the five points with the template, 0-1, is 0.92 and more for 381 faces of `landmarks106/`, `people/` and
# `groups/`. Without correlation, the best similarity would shrink the picture to a point.
_LEAST_CORRELATION = 0.3


def cut_by_five_points(
    pixels: PixelArray, points: PointArray, template: Sequence[tuple[float, float]], size: tuple[int, int]
) -> PixelArray:
    """Crop a face by the least-squares similarity transform from five of its points to the template.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB; beyond it its edge is repeated.
    points
        (68, 2) or (70, 2) xy pixels of the picture, of which the centres of the eyes, the tip of the nose and the corners of the mouth are used.
    template
        (5, 2) xy pixels of the crop: the places of those points.
    size
        (width, height) of the crop.

    Returns
    -------
    ndarray of shape (height, width, 3)
        uint8 RGB, bilinear; where the picture is the larger one, its pixels are averaged.

    Raises
    ------
    InvalidParameterError
        The points are not arranged as in a face.
    """
    if points.shape not in {(68, 2), (70, 2)} or not np.isfinite(points).all():
        raise InvalidParameterError.of("points", points, "68 finite points xy")
    eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return crop_similar(pixels, crop_to_picture(np.stack([*eyes, *points[[30, 48, 54]]]), np.array(template)), size)


def crop_to_picture(found: PointArray, template: PointArray) -> PointArray:
    """Return the (2, 3) similarity transform from xy of the crop to xy of the picture, for (N, 2) points: *found* in the picture, *template* in the crop.

    See `facesearch.images.crops.similarity`. Points that are not arranged as in a face are refused.
    """
    here, there = found @ [1, 1j], template @ [1, 1j]
    centred, target = here - here.mean(), there - there.mean()
    common, spread = np.vdot(centred, target), np.vdot(centred, centred).real
    if abs(common) <= _LEAST_CORRELATION * np.sqrt(spread * np.vdot(target, target).real):
        raise InvalidParameterError.of("points", found.round(1).tolist(), "eyes, nose and mouth as in a face")
    return similarity(found, template)
