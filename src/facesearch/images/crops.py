"""Crop a turned square or rectangle out of a picture."""

import numpy as np

from facesearch.common.arrays import PixelArray, PointArray

__all__ = ["crop_similar", "similarity"]


def crop_similar(pixels: PixelArray, to_picture: PointArray, size: tuple[int, int]) -> PixelArray:
    """Crop what a similarity transform maps from a rectangle into the picture.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB; beyond it its edge is repeated.
    to_picture
        (2, 3): xy of a pixel of the crop, with a 1 appended, times this is xy in the picture.
    size
        (width, height) of the crop, in pixels.

    Returns
    -------
    ndarray of shape (height, width, 3)
        uint8 RGB, bilinear; where the picture is the larger one, its pixels are averaged.
    """
    from PIL import Image

    linear, shift = to_picture[:, :2], to_picture[:, 2]
    step = float(np.hypot(*linear[:, 0]))  # pixels of the picture for one of the crop
    # The picture is shrunk by whole numbers first, which is cheap, and the rest sampled several times a pixel of the crop.
    shrink = max(1, int(step / 2))
    times = max(1, int(np.ceil(step / shrink)))
    width, height = size
    corners = np.array([(x, y) for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)]) @ linear.T + shift
    start = np.floor(corners.min(axis=0)).astype(int) - 2 * shrink
    stop = np.ceil(corners.max(axis=0)).astype(int) + 2 * shrink + 1
    columns, rows = (np.arange(*each) for each in zip(start, stop, strict=True))
    near = pixels.take(rows, axis=0, mode="clip").take(columns, axis=1, mode="clip")
    # Pillow counts from the corner of the first pixel, not from its centre.
    c, f = ((linear @ [-0.5, -0.5] + shift + 0.5 - start) / shrink).tolist()
    (a, b), (d, e) = (linear / (times * shrink)).tolist()
    fine = (
        Image.fromarray(near)
        .reduce(shrink)
        .transform(
            (width * times, height * times), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
        )
    )
    return np.asarray(fine.reduce(times))


def similarity(found: PointArray, template: PointArray) -> PointArray:
    """Return the (2, 3) similarity transform from xy of a crop to xy of the picture, for (N, 2) points found and wanted.

    It is the inverse of the transform from the points found to the template with the least sum of squared errors in the crop
    (Umeyama, 1991, doi:10.1109/34.88573). In the plane, with points as complex numbers, that is a linear regression.
    """
    here, there = found @ [1, 1j], template @ [1, 1j]
    centred, wanted = here - here.mean(), there - there.mean()
    turn = np.vdot(centred, centred).real / np.vdot(centred, wanted)  # of the inverse
    shift = here.mean() - turn * there.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
