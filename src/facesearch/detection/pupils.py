"""Locate pupils: the place between the lids most similar to a dark disc in brighter surroundings.

The picture is sampled in the eye's own frame, its corners level and always equally far apart: so neither the size of the
picture nor the tilt of the head changes the cost or the answer, and mirroring the picture mirrors the answer.
"""

from functools import cache

import numpy as np

from facesearch.common.arrays import FloatArray, PixelArray, PointArray

__all__ = ["find_pupil"]

# All lengths here are in widths of the eye, corner to corner, from the middle of its contour. What has a source below was
# chosen on the half of `landmarks106/` that benchmarks/gaze.py does not measure on, where each is at a flat optimum.
_SAMPLES = 20  # a width of the eye
_FINER = 2  # samples averaged along each side of one
_SMALLEST_EYE = 3.0  # pixels: below, the middle of the contour is taken
_IRIS, _RING = 0.25, 0.08  # radius of the disc; width of the ring around it that ought to be brighter
_EDGE = 0.03  # how softly the disc ends
_REACH = (0.34, 0.24)  # how far from the middle a pupil is searched, x and y
_USUAL, _SPREAD = (0.0, -0.05), (0.15, 0.1)  # where pupils are: mean and standard deviation
_TRUST = 64.0  # nats that the likeness of a perfect disc outweighs
_FAINT = 24.0  # grey levels: what has less contrast is worth less


def find_pupil(eye: PointArray, pixels: PixelArray) -> PointArray:
    """Locate the pupil of one eye: xy pixels, (2,).

    *eye* is its contour, (6, 2) xy pixels in dlib's order: from its left corner over the upper lid and back. The result is the mean of
    all places, each weighted by its likeness to a dark disc and by how usual it is. So where nothing stands out, as in closed eyes or
    behind dark glasses, it is where pupils mostly are. It is the middle of the contour where the eye is too small, outside the picture
    or evenly grey.

    References
    ----------
    The disc and ring are those of Daugman's operator, doi:10.1109/34.244676, made a filter.
    """
    middle: PointArray = eye.mean(axis=0)
    across = eye[3] - eye[0]
    size = np.array(pixels.shape[1::-1])
    if np.hypot(*across) < _SMALLEST_EYE or (middle < 0).any() or (middle > size - 1).any():
        return middle
    frame = np.array([across, (-across[1], across[0])])
    samples, filters, places, usual = _search()
    x, y = (frame.T @ samples + (middle + 0.5)[:, None]).clip(0, size[:, None] - 1).astype(np.intp)
    red = pixels[y, x, 0].reshape(_FINER**2, -1).mean(axis=0, dtype=np.float32)  # skin is bright in it, any iris dark
    darkest, brightest = float(red.min()), float(red.max())
    if brightest - darkest < 1:
        return middle
    darkness = (brightest - red) / max(brightest - darkest, _FAINT)
    score = _TRUST * (filters @ (darkness * darkness)) + usual
    weight = np.exp(score - score.max())
    pupil: PointArray = middle + weight @ places / weight.sum() @ frame
    return pupil


@cache
def _search() -> tuple[PointArray, FloatArray, PointArray, PointArray]:
    """Compute the arrays that are the same for all eyes.

    ``samples``, (2, _FINER**2 * S) xy: where to sample the picture; each S-th belongs to the same sample. ``filters``, (P, S): times
    the darkness of the samples, the likeness of each place to an iris, at most 1. ``places``, (P, 2) xy. ``usual``, (P,): the log prior
    of a pupil at each place.
    """
    samples = _grid(*np.ceil((np.array(_REACH) + _IRIS + _RING) * _SAMPLES))  # as far as any ring reaches
    places = _grid(*np.floor(np.array(_REACH) * _SAMPLES))
    distance = np.hypot(*(samples - places[:, None]).transpose(2, 0, 1))
    disc, both = (1 / (1 + np.exp((distance - radius) / _EDGE)) for radius in (_IRIS, _IRIS + _RING))
    ring = both - disc
    filters = disc / disc.sum(axis=1, keepdims=True) - ring / ring.sum(axis=1, keepdims=True)
    fine = (samples + _grid(_FINER / 2, _FINER / 2)[:, None] / _FINER).reshape(-1, 2)
    usual = -(((places - _USUAL) / _SPREAD) ** 2).sum(axis=1) / 2
    return np.ascontiguousarray(fine.T), filters.astype(np.float32), places, usual


def _grid(half_width: float, half_height: float) -> PointArray:
    """Return the centres of all samples of a rectangle around 0, (N, 2) xy, row by row; half sizes are in samples."""
    x, y = np.meshgrid(*((np.arange(2 * half) - half + 0.5) / _SAMPLES for half in (half_width, half_height)))
    return np.stack([x.ravel(), y.ravel()], axis=1)
