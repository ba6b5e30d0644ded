"""The shapes of `covers`: outlines, (N, 2) xy pixels, and masks, (150, 150) float32, 0-1."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter

from facesearch.common.arrays import FloatArray, PointArray
from facesearch.stages import CHIP_SIZE

_FINE: Final = 3  # shapes are drawn so many times as large


def direction(angle: ArrayLike) -> PointArray:
    """Return the direction at an angle in radians, of length 1; a quarter turn is down."""
    return np.array([np.cos(angle), np.sin(angle)])


def aside(way: PointArray) -> PointArray:
    """Return the direction a quarter turn on."""
    return np.array([-way[1], way[0]])


def sign(rng: Generator, share: float = 0.5) -> int:
    """Return 1, in a share of all cases, or -1."""
    return 1 if rng.random() < share else -1


def turned(xy: ArrayLike, middle: PointArray, angle: float) -> PointArray:
    """Turn points around the origin, by radians, then shift them."""
    way = direction(angle)
    return np.asarray(np.asarray(xy, np.float64) @ np.stack([way, aside(way)]) + middle)


def spot(x: float, y: float, middle: PointArray, angle: float) -> PointArray:
    """Return the one point that is at x, y before it is `turned`."""
    return np.asarray(turned([[x, y]], middle, angle)[0])


def ellipse(middle: PointArray, across: float, down: float, angle: float = 0.0, power: float = 2.0) -> PointArray:
    """Return an ellipse; of a *power* above 2 it is a rectangle with round corners."""
    way = direction(np.linspace(0, 2 * np.pi, 64, endpoint=False)).T
    return turned([across, down] * np.sign(way) * np.abs(way) ** (2 / power), middle, angle)


def bulging(rng: Generator, middle: PointArray, across: float, down: float, rough: float) -> PointArray:
    """Return a closed line that bulges here and there."""
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radius = np.ones(72)
    for wave in range(2, 6):
        radius += rng.normal(scale=rough / wave) * np.cos(wave * turn + rng.uniform(0, 2 * np.pi))
    xy = [across, down] * direction(turn).T * np.maximum(radius, 0.3)[:, None]
    return turned(xy, middle, rng.uniform(0, np.pi))


def curve(*corners: ArrayLike) -> PointArray:
    """Return the Bezier curve of some points."""
    at, line = np.linspace(0, 1, 12)[:, None], np.stack(corners)[:, None]
    while len(line) > 1:
        line = line[:-1] * (1 - at) + line[1:] * at
    return np.asarray(line[0])


def plane(image: Image.Image) -> FloatArray:
    """Return the mask that a grey picture stands for."""
    return np.asarray(image, np.float32) / np.float32(255)


def soften(mask: FloatArray, sigma: float) -> FloatArray:
    """Blur a mask, by pixels."""
    image = Image.fromarray((mask * 255).astype(np.uint8))
    if sigma < 2:
        return plane(image.filter(ImageFilter.BoxBlur(sigma * 1.5)))
    small = image.reduce(2).filter(ImageFilter.GaussianBlur(sigma / 2))  # what is as soft loses nothing by it
    return plane(small.resize(image.size, Image.Resampling.BILINEAR))


def fill(*outlines: PointArray) -> FloatArray:
    """Return the mask of what lies inside."""
    image = Image.new("L", (CHIP_SIZE * _FINE,) * 2)
    for outline in outlines:
        ImageDraw.Draw(image).polygon(((outline + 0.5) * _FINE).ravel().tolist(), fill=255)
    return plane(image.reduce(_FINE))


def stroke(lines: Sequence[PointArray], widths: ArrayLike) -> FloatArray:
    """Return the mask of lines, all of one width in pixels or each of its own."""
    image = Image.new("L", (CHIP_SIZE * _FINE,) * 2)
    for line, width in zip(lines, np.broadcast_to(widths, len(lines)).tolist(), strict=True):
        xy = ((line + 0.5) * _FINE).ravel().tolist()
        ImageDraw.Draw(image).line(xy, fill=255, width=max(1, round(width * _FINE)), joint="curve")
    return plane(image.reduce(_FINE))
