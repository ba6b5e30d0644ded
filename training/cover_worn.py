"""Things of `covers` that are worn, or belong to the skin, the light or the picture."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from cover_brushes import COLUMNS, ROWS, any_colour, cloth, hair, noise, ramp, shaded, shadow, slope
from cover_scene import Layer, Scene
from cover_shapes import bulging, curve, direction, ellipse, fill, plane, soften, stroke
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from facesearch.common.arrays import PointArray
from facesearch.stages import CHIP_SIZE


def _between(points: PointArray, at: float) -> PointArray:
    """Return the place on a polyline, counted in its points."""
    return np.array([np.interp(at, range(len(points)), points[:, axis]) for axis in range(2)])


def _upper_edge(scene: Scene, top: float) -> tuple[PointArray, float]:
    """Return the upper edge of cloth before the lower face, from left to right, and the point of the jaw where it ends.

    Its middle is at level *top*: 0 for the root of the nose, 1 for its lower end, 2 for the lower lip, 3 for the chin.
    """
    rng, points = scene.rng, scene.points
    middle, peak = points[33], _between(points[[27, 33, 57, 8]], top)
    ears = np.clip(top * 2 + rng.uniform(0, 1.5), 1, 6.5)
    grow = rng.uniform(1.0, 1.1)
    left, right = (middle + (_between(jaw, ears) - middle) * grow for jaw in (points[:9], points[16:7:-1]))
    rise = rng.uniform(0.2, 0.5)
    bends = [end * (1 - rise) + peak * rise + [0, 3] for end in (left, right)]
    return np.concatenate([curve(left, bends[0], peak), curve(peak, bends[1], right)]), ears


def mask(scene: Scene, low: float, high: float) -> list[Layer]:
    """Draw a mask of cloth or paper, with folds and with loops around the ears, from a level between two downward."""
    rng, points = scene.rng, scene.points
    edge, ears = _upper_edge(scene, rng.uniform(low, high))
    first = int(np.ceil(ears))
    jaw = points[33] + (points[first : 17 - first] - points[33]) * rng.uniform(1.0, 1.1)
    outline = np.concatenate([edge, jaw[::-1]])
    inside = fill(outline)
    colour = any_colour(rng) if rng.random() < 0.7 else np.array([150, 190, 215], np.float32)
    surface = cloth(scene) if rng.random() < 0.4 else colour
    middle = outline.mean(axis=0)
    off = np.abs(COLUMNS - np.float32(middle[0] + rng.normal(scale=6))) / (0.5 * scene.width)
    shade = (1.08 - rng.uniform(0.15, 0.45) * np.minimum(off, 1.2) ** 2) * noise(rng, 5, 0.9, 1.08)
    layers = []
    if rng.random() < 0.7:
        left, right = points[0] + [-3, -4], points[16] + [3, -4]
        loops = [curve(edge[0], points[1], left), curve(edge[-1], points[15], right)]
        layers.append(Layer(stroke(loops, rng.uniform(1, 2.2)), colour * 0.9, hides=False))
    layers += [*shadow(scene, inside), Layer(inside, shaded(surface, shade))]
    if rng.random() < 0.6:
        left, right = outline[:, 0].min(), outline[:, 0].max()
        levels = middle[1] + np.linspace(-0.2, 0.25, rng.integers(2, 4)) * np.ptp(outline[:, 1])
        folds = [curve([left, y], [middle[0], y + rng.uniform(2, 8)], [right, y]) for y in levels]
        crease = soften(stroke(folds, rng.uniform(0.8, 1.6)), 0.7) * inside * rng.uniform(0.2, 0.6)
        layers.append(Layer(crease, colour * 0.45))
    return layers


def scarf(scene: Scene, low: float, high: float) -> list[Layer]:
    """Draw a scarf, or a cloth tied behind the head, from a level between two downward."""
    rng, top = scene.rng, scene.rng.uniform(low, high)
    pointed = rng.random() < 0.35
    edge, _ = _upper_edge(scene, top)
    if pointed:
        tip = scene.points[8] + [rng.normal(scale=6), rng.uniform(15, 45)]
        below = [edge[-1] + [2, 12], tip, edge[0] + [-2, 12]]
    else:
        flare = rng.uniform(5, 60)
        below = [[edge[-1, 0] + flare, 180], [edge[0, 0] - flare, 180]]
    inside = fill(np.concatenate([edge, below]))
    folds = np.sin(ROWS / rng.uniform(3, 9) + noise(rng, 3, -3, 3))
    thrown = shadow(scene, inside)
    return [*thrown, Layer(inside, shaded(cloth(scene), 1 + rng.uniform(0, 0.2) * folds))]


def _lenses(scene: Scene, drop: float = 0.0) -> tuple[list[PointArray], float]:
    """Return the outlines of the lenses of glasses, and how far the eyes are apart."""
    rng = scene.rng
    eyes = [scene.points[36:42].mean(axis=0), scene.points[42:48].mean(axis=0)]
    x, y = eyes[1] - eyes[0]
    apart = np.hypot(x, y)
    half, power = apart * rng.uniform(0.33, 0.43), rng.uniform(2, 5)
    tall = half * rng.uniform(0.62, 0.95)
    lower = [0, apart * rng.uniform(0, 0.12) + drop]
    return [ellipse(eye + lower, half, tall, np.arctan2(y, x), power) for eye in eyes], apart


def _closed(outlines: Sequence[PointArray]) -> list[PointArray]:
    return [np.concatenate([outline, outline[:2]]) for outline in outlines]


def _frame(scene: Scene, lenses: Sequence[PointArray], apart: float) -> Layer:
    rng, points = scene.rng, scene.points
    left, right = (lens[[lens[:, 0].argmin(), lens[:, 0].argmax()]] + [0, -2] for lens in lenses)
    bridge = curve(left[1], (lenses[0].mean(axis=0) + lenses[1].mean(axis=0)) / 2 + [0, -6], right[0])
    arms = [np.stack([left[0], points[0] + [-2, -4]]), np.stack([right[1], points[16] + [2, -4]])]
    drawn = stroke([*_closed(lenses), bridge, *arms], rng.uniform(0.015, 0.07) * apart)
    return Layer(drawn, any_colour(rng) * 0.7, hides=False)


def sunglasses(scene: Scene) -> list[Layer]:
    """Draw glasses that the eyes are not seen through."""
    rng = scene.rng
    lenses, apart = _lenses(scene)
    dark = fill(*lenses) * rng.uniform(0.88, 1.0)
    down = (ROWS - np.float32(lenses[0][:, 1].min())) / np.float32(apart * 0.5)
    fade = np.clip(down, 0, 1) * rng.uniform(0, 1.2)
    glint = noise(rng, rng.integers(2, 8), 0, 40)[..., None]
    tint = (rng.uniform(5, 45, 3) if rng.random() < 0.4 else rng.uniform(5, 40, 1)).astype(np.float32)
    return [Layer(dark, shaded(tint, 1 + fade) + glint), _frame(scene, lenses, apart)]


def glasses(scene: Scene) -> list[Layer]:
    """Draw glasses, clear or with a tint or a reflection, through which the eyes are seen."""
    rng = scene.rng
    lenses, apart = _lenses(scene, rng.uniform(0, 2))
    layers = []
    if rng.random() < 0.5:
        tint = fill(*lenses) * rng.uniform(0.05, 0.35)
        layers.append(Layer(tint, shaded(any_colour(rng), slope(rng, 0.5)), hides=False))
    return [*layers, _frame(scene, lenses, apart)]


def blindfold(scene: Scene) -> list[Layer]:
    """Draw a cloth or a bar before the eyes."""
    rng, points = scene.rng, scene.points
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    tall, reach = np.array([0, scene.width * rng.uniform(0.07, 0.2)]), np.array([0.16 * scene.width, 0])
    ends = [points[0] * 1.1 - left * 0.1 + [-6, -5], points[16] * 1.1 - right * 0.1 + [6, -5]]
    if rng.random() < 0.3:  # a plain bar, as newspapers print it
        ends = [left - reach, right + reach]
    line = curve(ends[0], (left + right) / 2 + [0, rng.uniform(-3, 5)], ends[1])
    inside = fill(np.concatenate([line - tall, (line + tall)[::-1]]))
    dark = rng.uniform(0, 40)
    return [Layer(inside, cloth(scene) if rng.random() < 0.6 else dark)]


def hat(scene: Scene, low: float, high: float) -> list[Layer]:
    """Draw a hat down to a level between two: 0 the eyes, 1 the brows, 2 as far above them again."""
    rng, points = scene.rng, scene.points
    level, eyes = rng.uniform(low, high), points[36:48].mean(axis=0)
    edge = eyes[1] + level * (points[17:27, 1].min() - eyes[1])
    sag = rng.uniform(-8, 8)
    x = points[[0, 16], 0] + [-rng.uniform(2, 25), rng.uniform(2, 25)]
    left, right = np.column_stack([x, edge + rng.normal(scale=3, size=2)])
    line = curve(left, [eyes[0], edge + (sag if level < 1 else -abs(sag))], right)
    above = [line[-1] + [rng.uniform(-20, 10), -160], line[0] + [rng.uniform(-10, 20), -160]]
    inside = fill(np.concatenate([line, above]))
    layers = [*shadow(scene, inside), Layer(inside, cloth(scene))]
    if rng.random() < 0.6:
        band = fill(np.concatenate([line, (line - [0, rng.uniform(4, 16)])[::-1]]))
        layers.append(Layer(band, cloth(scene) * 0.8))
    return layers


def cut(scene: Scene, low: float, high: float) -> list[Layer]:
    """Draw the edge of the picture, so many widths of the face from its middle, and nothing beyond it."""
    rng = scene.rng
    way = direction(rng.integers(4) * np.pi / 2 + rng.normal(scale=0.12))
    beyond = ramp(way, scene.points[30]) - rng.uniform(low, high) * scene.width
    colour: ArrayLike = 0
    kind = rng.random()
    if 0.6 <= kind < 0.7:
        colour = 255 if rng.random() < 0.6 else rng.uniform(0, 255)
    elif kind >= 0.7:  # the last row again and again
        back = np.maximum(beyond, 0) + 1
        steps = zip((COLUMNS, ROWS), way.astype(np.float32), strict=True)
        x, y = (np.rint(at - back * step).astype(int).clip(0, CHIP_SIZE - 1) for at, step in steps)
        colour = scene.chip[y, x]
    return [Layer(np.clip(beyond + 0.5, 0, 1), colour, raw=True)]


def strands(scene: Scene) -> list[Layer]:
    """Draw single strands of hair across the face."""
    rng, points = scene.rng, scene.points
    count, root = rng.integers(2, 16), [rng.uniform(10, 140), -5]
    lines = []
    for _ in range(count):
        start = root + rng.normal(scale=[22, 2])
        end = np.array([rng.uniform(points[0, 0] - 10, points[16, 0] + 10), rng.uniform(points[19, 1], points[8, 1])])
        bend = start + (end - start) * 0.4 + rng.normal(scale=14, size=2)
        lines.append(curve(start, bend, end + rng.normal(scale=4, size=2)))
    return [Layer(stroke(lines, rng.uniform(0.5, 2.2, count)) * rng.uniform(0.6, 1), hair(scene), hides=False)]


def fringe(scene: Scene) -> list[Layer]:
    """Draw hair down to the brows."""
    rng, points = scene.rng, scene.points
    at = np.linspace(-5, CHIP_SIZE + 5, 40)
    wave = sum(rng.normal(scale=5) * np.sin(at / rng.uniform(4, 30) + rng.uniform(0, 6)) for _ in range(3))
    edge = points[17:27, 1].min() - rng.uniform(2, 22) + np.minimum(wave, 6) - np.abs(rng.normal(scale=2, size=40))
    if rng.random() < 0.5:  # longer beside the face
        outside = np.maximum(points[0, 0] - at, at - points[16, 0]) + rng.uniform(0, 10)
        edge = edge + np.clip(outside, 0, 12) * rng.uniform(0, 15)
    outline = np.concatenate([np.column_stack([at, edge]), [[CHIP_SIZE + 5, -5], [-5, -5]]])
    inside = soften(fill(outline), rng.uniform(0.5, 1.5))
    return [*shadow(scene, inside), Layer(inside, hair(scene))]


def earrings(scene: Scene) -> list[Layer]:
    """Draw a pair of earrings, of drops or rings."""
    rng = scene.rng
    size, tall = rng.uniform(1.5, 6), rng.uniform(1, 2.5)
    places = [scene.points[ear] + [side * rng.uniform(2, 9), size * tall] for ear, side in ((2, -1), (14, 1))]
    drops = [ellipse(place, size, size * tall) for place in places]
    drawn = fill(*drops) if rng.random() < 0.6 else stroke(_closed(drops), 1.2)
    return [Layer(drawn, shaded(any_colour(rng), noise(rng, 40, 0.6, 1.5)))]


def shade(scene: Scene) -> list[Layer]:
    """Draw a shadow over part of the face."""
    rng = scene.rng
    if rng.random() < 0.5:
        far = ramp(direction(rng.uniform(0, 2 * np.pi)), [75 + rng.normal(scale=15), 75])
        dark = np.clip(far / rng.uniform(2, 40) + 0.5, 0, 1)
    else:
        outline = bulging(rng, rng.uniform(20, 130, 2), rng.uniform(20, 70), rng.uniform(20, 70), 0.3)
        dark = soften(fill(outline), rng.uniform(1, 8))
    colour = scene.chip * np.float32(rng.uniform(0.0, 0.3))
    return [Layer(dark * rng.uniform(0.25, 0.75), colour, hides=False, raw=True)]


def glare(scene: Scene) -> list[Layer]:
    """Draw light on the skin, or before the lens."""
    rng = scene.rng
    across, down = rng.uniform(4, 40, 2)
    bright = soften(fill(bulging(rng, rng.uniform(20, 130, 2), across, down, 0.2)), rng.uniform(2, 9))
    return [Layer(bright * rng.uniform(0.15, 0.55), 255, hides=False)]


_font = cache(ImageFont.load_default)


def text(scene: Scene) -> list[Layer]:
    """Draw writing near an edge of the picture, and sometimes a patch behind it."""
    rng = scene.rng
    letters = "".join(chr(code) for code in rng.integers(97, 123, rng.integers(3, 14)))
    image = Image.new("L", (CHIP_SIZE, CHIP_SIZE))
    x, y = rng.uniform(-20, 90), rng.choice([rng.uniform(-2, 8), rng.uniform(126, 140)])
    if rng.random() < 0.5:
        letters = letters.upper()
    ImageDraw.Draw(image).text((x, y), letters, fill=255, font=_font(int(rng.integers(7, 20))))
    layers = [Layer(plane(image) * rng.uniform(0.5, 1), any_colour(rng), raw=True)]
    if rng.random() < 0.3:
        box = fill(ellipse(np.array([x + 30, y + 6]), rng.uniform(20, 60), rng.uniform(7, 12), 0, 20))
        layers.insert(0, Layer(box, any_colour(rng), raw=True))
    return layers


def face_paint(scene: Scene) -> list[Layer]:
    """Draw a thin colour on the skin: stripes on the cheeks, a flag, powder."""
    rng, points = scene.rng, scene.points
    if rng.random() < 0.5:
        cheeks = [points[[1, 31, 48]].mean(axis=0), points[[15, 35, 54]].mean(axis=0)]
        across, down = rng.uniform(3, 14, 2)
        drawn = fill(*(ellipse(cheek, across, down, rng.normal(scale=0.3), rng.uniform(2, 10)) for cheek in cheeks))
    else:
        across, down = scene.width * rng.uniform(0.15, 0.5, 2)
        drawn = fill(bulging(rng, points[30] + rng.normal(scale=15, size=2), across, down, 0.2))
    return [Layer(soften(drawn, rng.uniform(0.6, 4)) * rng.uniform(0.1, 0.35), cloth(scene), hides=False)]
