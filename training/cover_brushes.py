"""The brushes of `covers`: light, (150, 150) float32, about 1; colours, (3,), and surfaces, (150, 150, 3), 0-255; limbs."""

from itertools import pairwise
from typing import Final

import numpy as np
from cover_scene import Layer, Scene
from cover_shapes import aside, direction, soften
from numpy.random import Generator
from numpy.typing import ArrayLike
from PIL import Image

from facesearch.common.arrays import FloatArray, PointArray
from facesearch.stages import CHIP_SIZE

ROWS, COLUMNS = np.mgrid[:CHIP_SIZE, :CHIP_SIZE].astype(np.float32)


def ramp(way: PointArray, origin: ArrayLike = (0, 0)) -> FloatArray:
    """Return the distance of each pixel from the origin along a direction."""
    (x, y), (left, top) = np.asarray(way, np.float32), np.asarray(origin, np.float32)
    return np.asarray((COLUMNS - left) * x + (ROWS - top) * y)


def noise(rng: Generator, cells: int | np.int64, low: float, high: float) -> FloatArray:
    """Return smooth noise, *cells* waves wide."""
    image = Image.fromarray(rng.uniform(low, high, (cells + 1, cells + 1)).astype(np.float32))
    return np.asarray(image.resize((CHIP_SIZE, CHIP_SIZE), Image.Resampling.BICUBIC))


def slope(rng: Generator, strength: float) -> FloatArray:
    """Return light that falls from one side: about 1."""
    half = CHIP_SIZE / 2
    x, y = (direction(rng.uniform(0, 2 * np.pi)) * (strength / half)).astype(np.float32)
    return np.asarray(1 + x * (COLUMNS[:1] - half) + y * (ROWS[:, :1] - half))


def shadow(scene: Scene, mask: FloatArray) -> list[Layer]:
    """Return the shadow that an object casts on the face; in some cases none."""
    rng = scene.rng
    if rng.random() < 0.3:
        return []
    shifted = np.roll(mask, tuple(rng.integers(-4, 6, 2)), axis=(0, 1))
    thrown = soften(shifted, rng.uniform(2, 5)) * rng.uniform(0.1, 0.5)
    return [Layer(thrown, scene.chip * np.float32(0.25), hides=False, raw=True)]


def any_colour(rng: Generator) -> FloatArray:
    """Return the colour of an object: mostly black, white, grey, or dull; seldom bright."""
    kind, value = rng.random(), rng.uniform(15, 245)
    if kind < 0.3:
        value = rng.uniform(10, 60) if rng.random() < 0.6 else rng.uniform(190, 250)
    strength = rng.uniform(0, 0.1) if kind < 0.5 else rng.uniform(0.1, 0.9)
    hue = rng.uniform(0, 1, 3)
    hue = (hue - hue.min()) / (np.ptp(hue) + 1e-6)
    return np.asarray(value * (1 - strength * (1 - hue)), np.float32)


def shaded(colour: FloatArray | float, shade: FloatArray) -> FloatArray:
    """Return a colour, or a surface, in some light."""
    return shade[..., None] * colour


def cloth(scene: Scene) -> FloatArray:
    """Return a surface: plain, cloudy, striped, checked, dotted, woven, or a patch of a photograph; with folds and light."""
    rng, kind = scene.rng, scene.rng.random()
    first, second = any_colour(rng), any_colour(rng)
    if kind < 0.25:
        surface = first
    elif kind < 0.75:
        if kind < 0.6:
            way, waves = direction(rng.uniform(0, np.pi)), 2 * np.pi / rng.uniform(3, 30)
            one, other = (np.sin(ramp(along) * waves) for along in (way, aside(way)))
            figure = (one, one + other, one * other, one * other)[int(kind * 100 % 4)]
            blend = np.clip(figure * rng.uniform(1, 6) + rng.uniform(-0.5, 0.8), -1, 1) / 2 + 0.5
        else:
            blend = np.clip(noise(rng, rng.integers(3, 40), -0.5, 1.5), 0, 1)
        surface = first + blend[..., None] * (second - first)
    else:
        surface = _patch(scene)
    return shaded(surface, noise(rng, rng.integers(2, 7), 0.7, 1.2) * slope(rng, 0.2))


def _patch(scene: Scene) -> FloatArray:
    """Return a patch of a photograph, enlarged."""
    rng = scene.rng
    source = scene.textures[int(rng.integers(len(scene.textures)))] if len(scene.textures) else scene.chip
    side = rng.integers(24, 60)
    x, y = (rng.integers(0, 12) if rng.random() < 0.5 else CHIP_SIZE - side - rng.integers(0, 12) for _ in range(2))
    patch = Image.fromarray(np.rot90(source[y : y + side, x : x + side], int(rng.integers(4))))
    large = patch.resize((CHIP_SIZE, CHIP_SIZE), Image.Resampling.BILINEAR)
    return np.asarray(large, np.float32) * rng.uniform(0.6, 1.3)


def hair(scene: Scene) -> FloatArray:
    """Return combed hair in the colour of the face's own, where it can be determined, or in any other."""
    rng, tone = scene.rng, None
    if rng.random() < 0.25:
        x = int(np.clip(scene.points[27, 0] + rng.normal(scale=20), 2, CHIP_SIZE - 3))
        own = np.asarray(scene.chip[0:4, x - 2 : x + 3].mean(axis=(0, 1)) / scene.light, np.float32).clip(10, 240)
        tone = own if own.max() < 130 else None  # what is lighter may be the wall
    if tone is None:
        tone = np.array(_HAIR[rng.integers(len(_HAIR))], np.float32) * rng.uniform(0.8, 1.15)
    line = rng.normal(1, rng.uniform(0.08, 0.25), 80)
    at = (COLUMNS + ROWS * rng.normal(scale=0.4)) / rng.uniform(2, 4)
    at = at + rng.uniform(0, 2) * np.sin(ROWS / rng.uniform(12, 40))
    return shaded(tone, np.interp(at % 79, np.arange(80), line).clip(0.4, 1.7).astype(np.float32))


_HAIR: Final = (
    (25, 20, 18), (60, 42, 30), (105, 72, 45), (175, 135, 85), (215, 185, 135), (150, 150, 150), (130, 60, 35),
)  # fmt: skip


def _tone_of_skin(scene: Scene) -> FloatArray:
    """Return the tone of a hand: the face's own, or any other."""
    rng = scene.rng
    if rng.random() < 0.55:
        places = scene.points[[2, 14, 4, 12]] * 0.45 + scene.points[[31, 35, 31, 35]] * 0.55
        x, y = np.rint(places).astype(int).clip(3, CHIP_SIZE - 4).T
        tone = np.median(scene.chip[y, x], axis=0) / scene.light * rng.uniform(0.85, 1.15)
    else:
        dark = rng.random()
        tone = np.array([238, 200, 178]) * (1 - dark) + np.array([72, 46, 36]) * dark
        tone = tone * rng.uniform(0.85, 1.1) + rng.normal(scale=5, size=3)
    return np.asarray(np.clip(tone, 15, 250), np.float32)


class Limbs:
    """Round limbs, one before the other, shaded as they bend away from the light."""

    def __init__(self, scene: Scene) -> None:
        rng = scene.rng
        self.mask = np.zeros((CHIP_SIZE, CHIP_SIZE), np.float32)
        self.shade = np.ones((CHIP_SIZE, CHIP_SIZE), np.float32)
        self._scene = scene
        self._light = (direction(rng.uniform(0, 2 * np.pi)) * rng.uniform(0.05, 0.2)).astype(np.float32)
        self._depth = rng.uniform(0.15, 0.35)
        self._line = rng.uniform(0.15, 0.45)  # how dark the crease is where a limb ends

    def add(self, *spine: tuple[PointArray, float]) -> None:
        """Lay a limb over those there are: the joints of its bones, each with the radius there."""
        most = max(radius for _, radius in spine) + 3
        joints = np.stack([joint for joint, _ in spine])
        low = np.floor(joints.min(axis=0) - most).astype(int).clip(0, CHIP_SIZE)
        high = np.ceil(joints.max(axis=0) + most).astype(int).clip(0, CHIP_SIZE)
        if (high <= low).any():
            return
        place = (slice(low[1], high[1]), slice(low[0], high[0]))
        best, shine = np.full_like(ROWS[place], np.inf), np.zeros_like(ROWS[place])
        edge = -best
        for (start, radius), (end, last) in pairwise(spine):
            x, y = COLUMNS[place] - np.float32(start[0]), ROWS[place] - np.float32(start[1])
            dx, dy = (end - start).astype(np.float32)
            at = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-3), 0, 1)
            x, y = x - at * dx, y - at * dy
            size = radius + at * (last - radius)
            off = np.sqrt(x * x + y * y)
            shine = np.where(off / size < best, (x * self._light[0] + y * self._light[1]) / size, shine)
            best = np.minimum(best, off / size)
            edge = np.maximum(edge, size - off)
        shade = 1 - self._depth * np.minimum(best, 1) ** 3 + shine - self._line * np.clip(1 - edge / 1.5, 0, 1)
        inside = np.clip(edge + 0.5, 0, 1)
        self.shade[place] += inside * (shade - self.shade[place])
        np.maximum(self.mask[place], inside, out=self.mask[place])

    def skin(self) -> list[Layer]:
        """Return them in the tone of skin, with the shadow that they throw."""
        tone, rng = _tone_of_skin(self._scene), self._scene.rng
        blotch = noise(rng, rng.integers(4, 12), 0.92, 1.08)
        red = (tone - np.array([0, 9, 9], np.float32)).clip(0) - tone
        colour = shaded(shaded(tone + shaded(red, noise(rng, 5, 0, 1.2)), blotch), self.shade)
        return [*shadow(self._scene, self.mask), Layer(self.mask, colour)]

    def worn(self) -> list[Layer]:
        """Return them in cloth."""
        return [*shadow(self._scene, self.mask), Layer(self.mask, shaded(cloth(self._scene), self.shade))]
