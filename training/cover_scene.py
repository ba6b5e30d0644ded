"""The canvas of `covers`: a photographed face, and the layers painted over it."""

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.stages import CHIP_SIZE


def _everywhere(colour: ArrayLike) -> FloatArray:
    return np.broadcast_to(np.asarray(colour, np.float32), (CHIP_SIZE, CHIP_SIZE, 3))


@attrs.frozen(eq=False)
class Layer:
    """One thing to paint.

    Attributes
    ----------
    mask
        (150, 150) float32, 0-1: how much of what is below it hides.
    colour
        (150, 150, 3) float32, 0-255, as in good light; made from what broadcasts to it.
    hides
        Whether it hides anything: light, shadow and thin lines don't.
    raw
        Whether the light of the picture leaves it as it is.
    """

    mask: FloatArray
    colour: FloatArray = attrs.field(converter=_everywhere)
    hides: bool = True
    raw: bool = False


class Scene:
    """A face to draw on, and what is needed to draw as it was photographed.

    Attributes
    ----------
    width
        Of the face from ear to ear, pixels.
    light
        (3,): the colour of white there, 0-1.
    softness
        Sigma, in pixels, of the blur that makes what is drawn as soft as the photograph.
    """

    def __init__(self, chip: PixelArray, points: PointArray, rng: Generator, textures: Sequence[PixelArray]) -> None:
        few = chip[::5, ::5].reshape(-1, 3).astype(float)
        white = np.clip(np.sort(few, axis=0)[len(few) * 19 // 20] / 235, 0.2, 1.05)
        green = chip[20:130, 20:130, 1].astype(np.float32)
        steps = np.abs(green[:, 1:] - green[:, :-1]).mean() / (np.abs(green[:, 2:] - green[:, :-2]).mean() + 1e-3)
        self.chip, self.points, self.rng, self.textures = chip, points, rng, textures
        self.width = float(np.clip(np.hypot(*(points[16] - points[0])), 80, 150))
        self.light = white * rng.uniform(0.8, 1.1)
        # Neighbours differ 0.52 times as much as next neighbours where all is smooth, 0.65 times where all is sharp.
        self.softness = float(np.clip((0.64 - steps) * 12, 0.4, 1.6) * rng.uniform(0.7, 1.2))
        self.grey = (few.max(axis=1) - few.min(axis=1)).mean() < 4

    def paint(self, layers: Sequence[Layer]) -> PixelArray:
        """Lay one thing over the other, in the light and the softness of the photograph."""
        whole = self.chip.copy()
        touched = np.maximum.reduce([layer.mask for layer in layers])
        rows, columns = (np.flatnonzero(touched.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return whole
        # Only the part that changes is worked on, and as much around it as the blur reaches.
        part = (slice(max(rows[0] - 4, 0), rows[-1] + 5), slice(max(columns[0] - 4, 0), columns[-1] + 5))
        before = self.chip[part].astype(np.float32)
        result = before.copy()
        for layer in layers:
            colour = layer.colour[part]
            if not layer.raw:
                colour = colour * self.light.astype(np.float32)
                if self.grey:
                    colour = (colour @ _LUMA)[..., None]
            result += layer.mask[part][..., None] * (colour - result)
        radius = float(np.sqrt(12 * self.softness**2 + 1) - 1) / 2  # of the box with this standard deviation
        soft = Image.fromarray(result.clip(0, 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(radius))
        around = Image.fromarray((touched[part] * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(1))
        grain = self.rng.standard_normal((*before.shape[:2], 1), np.float32) * self.rng.uniform(0, 3)
        change = np.asarray(soft, np.float32) + grain - before
        share = np.asarray(around, np.float32)[..., None] * (1 / 255)
        whole[part] = np.clip(before + share * change + 0.5, 0, 255)
        return whole


_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
