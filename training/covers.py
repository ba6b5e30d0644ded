"""Draw what covers a face, and what only looks as if: practice for the head that tells covered faces.

Nothing drawn here is taken from anywhere: shapes, colours and weaves are made from random numbers, or from patches of the
photographs being drawn on. What covers and what does not is drawn by the same brushes, so that the brush tells nothing.
"""

from collections.abc import Callable, Sequence
from typing import Final

import cover_worn as worn
import numpy as np
from cover_scene import Layer, Scene
from cover_shapes import direction
from cover_things import arm, blob, cup, fist, food, hand, microphone, neighbour, paper, phone
from numpy.random import Generator

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.stages import CHIP_SIZE

COVERED: Final = 0.3  # of the eyes, the nose or the mouth: at least so much of one of them is hidden by `cover`
UNTOUCHED: Final = 0.04  # at most so much of each by what `harmless` lays beside the face

_TRIES: Final = 8
_BESIDE: Final = 0.4  # of what `harmless` draws could cover, were it elsewhere
_SEEN: Final = 0.04  # of the picture: what lies beside the face is no less

_Thing = Callable[..., list[Layer]]  # of a scene, and of a place where the thing may lie anywhere
_COVERS: Final[dict[_Thing, float]] = {
    hand: 24, fist: 4, arm: 6, phone: 10, microphone: 6, cup: 5, food: 4, blob: 5, paper: 6, neighbour: 6,
    lambda scene, _: worn.mask(scene, 0.2, 1.35): 8,
    lambda scene, _: worn.scarf(scene, 0.1, 1.4): 9,
    lambda scene, _: worn.sunglasses(scene): 4,
    lambda scene, _: worn.blindfold(scene): 3,
    lambda scene, _: worn.hat(scene, -0.9, -0.2): 2,
    lambda scene, _: worn.cut(scene, -0.15, 0.3): 8,
}  # fmt: skip
_MOVABLE: Final = (hand, hand, hand, fist, arm, phone, phone, microphone, cup, food, blob, paper, neighbour)
_HARMLESS: Final[dict[_Thing, float]] = {
    worn.glasses: 18, worn.strands: 12, worn.fringe: 10,
    lambda scene: worn.hat(scene, 1.25, 2.6): 10,
    lambda scene: worn.mask(scene, 2.35, 2.8) if scene.rng.random() < 0.5 else worn.scarf(scene, 2.3, 3): 10,
    worn.earrings: 4, worn.shade: 10, worn.glare: 7, worn.text: 6, worn.face_paint: 6,
    lambda scene: worn.cut(scene, 0.38, 0.6): 7,
}  # fmt: skip


def cover(chip: PixelArray, points: PointArray, rng: Generator, textures: Sequence[PixelArray] = ()) -> PixelArray:
    """Cover eyes, nose or mouth of a face with something.

    Parameters
    ----------
    chip
        (150, 150, 3) uint8 RGB, an aligned face; not changed.
    points
        (68, 2) xy pixels of the chip, in iBUG's order.
    rng
        The only source of chance: the same seed gives the same picture.
    textures
        Other chips, of whose patches some covers are made.

    Returns
    -------
    ndarray of shape (150, 150, 3)
        uint8 RGB; at least `COVERED` of the eyes, of the nose or of the mouth is hidden.
    """
    scene = Scene(chip, points, rng, textures)
    for _ in range(_TRIES):
        layers = _one_of(_COVERS, rng)(scene, _on_face(scene))
        if _hidden(points, layers) >= COVERED:
            return scene.paint(layers)
    return scene.paint(blob(scene, points[48:60].mean(axis=0)))


def harmless(chip: PixelArray, points: PointArray, rng: Generator, textures: Sequence[PixelArray] = ()) -> PixelArray:
    """Add to a face what does not cover it: clear glasses, hair, a hat, a hand beside it, a shadow.

    Parameters and result are those of `cover`; eyes, nose and mouth stay in sight.
    """
    scene = Scene(chip, points, rng, textures)
    for _ in range(_TRIES):
        if rng.random() < _BESIDE:
            layers = _MOVABLE[rng.integers(len(_MOVABLE))](scene, _off_face(scene))
            seen = max(layer.mask.mean() for layer in layers if layer.hides) > _SEEN
        else:
            layers, seen = _one_of(_HARMLESS, rng)(scene), True
        if seen and _hidden(points, layers) <= UNTOUCHED:
            return scene.paint(layers)
    return scene.paint(worn.shade(scene))


def _one_of(shares: dict[_Thing, float], rng: Generator) -> _Thing:
    return list(shares)[rng.choice(len(shares), p=np.array([*shares.values()]) / sum(shares.values()))]


_STEPS: Final = np.linspace(0.2, 1.2, 6)
_PARTS: Final = (slice(36, 42), slice(42, 48), slice(29, 36), slice(48, 60))


def _on_face(scene: Scene) -> PointArray:
    """Choose where to cover: an eye, both, the nose, the mouth, or between."""
    left, right, nose, mouth = (scene.points[part].mean(axis=0) for part in _PARTS)
    places = (left, right, (left + right) / 2, nose, (nose + mouth) / 2, mouth)
    place = places[scene.rng.choice(len(places), p=[0.12, 0.12, 0.12, 0.16, 0.18, 0.3])]
    return np.asarray(place + scene.rng.normal(scale=0.04 * scene.width, size=2))


def _off_face(scene: Scene) -> PointArray:
    """Choose a place at the edge of the face: the cheeks, the chin, the brow, or a little outside."""
    rng = scene.rng
    angle = np.radians(rng.uniform(-60, 240) if rng.random() < 0.85 else rng.uniform(0, 360))  # 90 is down
    return np.asarray(scene.points[30] + rng.uniform(0.42, 0.72) * scene.width * direction(angle))


def _hidden(points: PointArray, layers: Sequence[Layer]) -> float:
    """Return the largest covered share, 0-1, among the eyes, the nose and the mouth."""
    hiding = np.maximum.reduce([layer.mask * layer.hides for layer in layers])
    shares = []
    for contour in (points[part] for part in _PARTS):
        middle = contour.mean(axis=0)
        # The contour, shrunk in steps to its middle and grown a little, weighed by the area that it stands for.
        xy = middle + _STEPS[:, None, None] * (contour - middle)
        x, y = np.moveaxis(np.rint(xy).astype(int).clip(0, CHIP_SIZE - 1), -1, 0)
        shares.append(float((_STEPS / _STEPS.sum() @ hiding[y, x]).mean()))
    left, right, nose, mouth = shares
    return max((left + right) / 2, nose, mouth)
