"""Crop a turned square or rectangle out of a picture."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.domain.geometry import BoundingBox
from facesearch.images.thumbnails import THUMBNAIL_SIDE

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["crop_box", "crop_similar", "resembles", "similarity"]

IntArray = npt.NDArray[np.int64]

# The correlation of five points of a face with the template, 0-1, is 0.92 and more for 381 faces of `landmarks106/`, `people/` and
# `groups/`. Without correlation, the best similarity would shrink the picture to a point.
_LEAST_CORRELATION = 0.3
_AROUND = 1.4  # side of a face's crop, in the longer side of its bounding box


def crop_box(pixels: PixelArray, box: BoundingBox) -> PixelArray | None:
    """Crop the square around a face, as large as a thumbnail: (112, 112, 3) uint8 RGB.

    The part of the bounding box within the picture counts; ``None`` for a box without an area of a pixel there, as one of another photo
    may be.
    """
    height, width = pixels.shape[:2]
    left, right = (min(max(x, 0.0), 1.0) * width for x in (box.left, box.left + box.width))
    top, bottom = (min(max(y, 0.0), 1.0) * height for y in (box.top, box.top + box.height))
    if min(right - left, bottom - top) < 1:
        return None
    scale = _AROUND * max(right - left, bottom - top) / THUMBNAIL_SIDE
    middle = (THUMBNAIL_SIDE - 1) / 2
    x, y = (left + right - 1) / 2 - scale * middle, (top + bottom - 1) / 2 - scale * middle
    return crop_similar(pixels, np.array([[scale, 0, x], [0, scale, y]]), (THUMBNAIL_SIDE, THUMBNAIL_SIDE))


def crop_similar(
    pixels: PixelArray, to_picture: PointArray, size: tuple[int, int], *, quick: bool = False, black: bool = False
) -> PixelArray:
    """Crop the rectangle that a similarity transform maps into a picture: (height, width, 3) uint8 RGB, bilinear.

    Where the picture is the larger one, its pixels are averaged.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB.
    to_picture
        (2, 3): xy of a pixel of the crop, with a 1 appended, times this is xy in the picture.
    size
        (width, height) of the crop, in pixels.
    quick
        Sample once a pixel of the crop, after averaging over whole numbers of pixels: up to ten times as fast, and less smooth.
    black
        Fill with black what lies beyond the picture, instead of repeating its edge; not with *quick*.
    """
    from PIL import Image

    linear, shift = to_picture[:, :2], to_picture[:, 2]
    step = float(np.hypot(*linear[:, 0]))  # pixels of the picture for one of the crop
    # The picture is shrunk by whole numbers first, which is cheap, and the rest sampled several times a pixel of the crop.
    shrink = max(1, round(step) if quick else int(step / 2))
    times = 1 if quick else max(1, int(np.ceil(step / shrink)))
    width, height = size
    corners = np.array([(x, y) for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)]) @ linear.T + shift
    start = np.floor(corners.min(axis=0)).astype(int) - 2 * shrink
    stop = np.ceil(corners.max(axis=0)).astype(int) + 2 * shrink + 1
    if quick:
        near = _reduced(pixels, start, stop, shrink)
    else:
        columns, rows = (np.arange(*each) for each in zip(start, stop, strict=True))
        around = pixels.take(rows, axis=0, mode="clip").take(columns, axis=1, mode="clip")
        if black:
            around[(rows < 0) | (rows >= pixels.shape[0])] = 0
            around[:, (columns < 0) | (columns >= pixels.shape[1])] = 0
        near = Image.fromarray(around).reduce(shrink)
    # Pillow counts from the corner of the first pixel, not from its centre.
    c, f = ((linear @ [-0.5, -0.5] + shift + 0.5 - start) / shrink).tolist()
    (a, b), (d, e) = (linear / (times * shrink)).tolist()
    fine = near.transform(
        (width * times, height * times), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    return np.asarray(fine if times == 1 else fine.reduce(times))


def _reduced(pixels: PixelArray, start: IntArray, stop: IntArray, shrink: int) -> "PIL.Image.Image":
    """Average cells of *shrink* pixels a side from xy *start* to *stop*, and repeat the picture's outer cells beyond it.

    What lies beyond the picture is never allocated at full size: a face may be far larger than the picture.
    """
    from PIL import Image

    sides = np.array(pixels.shape[1::-1])
    counts, before = -(-(stop - start) // shrink), np.maximum(-(start // shrink), 0)
    first = np.minimum(start + before * shrink, sides - 1)
    last = np.maximum(np.minimum(stop, sides), first + 1)
    inside = Image.fromarray(pixels[first[1] : last[1], first[0] : last[0]]).reduce(shrink)
    columns, rows = (
        (np.arange(count) - skipped).clip(0, most - 1)
        for count, skipped, most in zip(counts, before, inside.size, strict=True)
    )
    if len(columns) == inside.size[0] and len(rows) == inside.size[1] and not before.any():
        return inside
    return Image.fromarray(np.asarray(inside)[rows[:, None], columns])


def resembles(found: PointArray, template: PointArray) -> bool:
    """Return whether (N, 2) points are arranged as a template is, but for a similarity transform: the opposite makes no crop."""
    centred, target = (points @ [1, 1j] - points.mean(axis=0) @ [1, 1j] for points in (found, template))
    common, spread = np.vdot(centred, target), np.vdot(centred, centred).real * np.vdot(target, target).real
    return bool(abs(common) > _LEAST_CORRELATION * np.sqrt(spread))


def similarity(found: PointArray, template: PointArray) -> PointArray:
    """Return the (2, 3) similarity transform from xy of a crop to xy of the picture, by least squares.

    *found* are (N, 2) xy pixels of the picture, not all alike; *template* their wanted places, (N, 2) xy pixels of the crop. The result is
    the inverse of the transform from the points found to the template with the least sum of squared errors in the crop (Umeyama, 1991,
    doi:10.1109/34.88573). In the plane, with points as complex numbers, that is a linear regression. Written out because importing
    `skimage.transform` takes 0.2 to 0.3 s at the first search; both agree to 1e-12.
    """
    here, there = found @ [1, 1j], template @ [1, 1j]
    centred, wanted = here - here.mean(), there - there.mean()
    turn = np.vdot(centred, centred).real / np.vdot(centred, wanted)  # of the inverse
    shift = here.mean() - turn * there.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
