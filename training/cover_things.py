"""Things of `covers` that may lie on the face or beside it, each drawn where it is told."""

import numpy as np
from cover_brushes import COLUMNS, ROWS, Limbs, any_colour, cloth, hair, noise, shaded, shadow, slope
from cover_scene import Layer, Scene
from cover_shapes import aside, bulging, direction, ellipse, fill, sign, soften, spot, stroke, turned

from facesearch.common.arrays import PointArray


def _side(scene: Scene, place: PointArray) -> PointArray:
    """Return the direction, of length 1, from which something reaches a place: from outside, mostly from below."""
    rng, middle = scene.rng, scene.points[[0, 16]].mean(axis=0)
    way = (place - middle) / scene.width + np.array([rng.normal(scale=0.7), rng.uniform(0, 1.2)])
    return np.asarray(way / (np.hypot(*way) + 1e-6))


def hand(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw a hand, seldom two, whose fingers end about there."""
    rng, limbs = scene.rng, Limbs(scene)
    way, size = _side(scene, place), scene.width * rng.uniform(0.42, 0.68)
    _one_hand(scene, limbs, place - way * size * rng.uniform(0, 0.5), way, size)
    if rng.random() < 0.18:  # the other hand, from the other side
        other = np.array([2 * scene.points[27:36, 0].mean() - place[0], place[1] + rng.normal(scale=3)])
        way = way * [-1, 1]
        _one_hand(scene, limbs, other - way * size * rng.uniform(0, 0.4), way, size)
    return limbs.skin()


def _one_hand(scene: Scene, limbs: Limbs, tip: PointArray, way: PointArray, size: float) -> None:
    """Add a hand that comes from *way* and whose fingers end at *tip*; its palm is *size* pixels wide."""
    rng = scene.rng
    thumb = aside(way) * sign(rng)  # on which side it is
    count = rng.integers(3, 5) if rng.random() < 0.25 else 4
    length = size * rng.uniform(0.45, 1.05)
    spread, fan, bend = rng.uniform(0.92, 1.2), rng.uniform(-0.05, 0.14), rng.normal(scale=0.12)
    radius = size / 8.4
    knuckles = tip + way * length
    palm = knuckles + way * size * 0.45
    elbow = palm + way * size * 4 + thumb * size * rng.normal(scale=0.8)
    limbs.add((palm + way * size * 0.5, size * 0.33), (elbow, size * 0.33))
    limbs.add((palm + way * size * 0.25, size * 0.44), (palm - way * size * 0.2, size * 0.5))
    for finger in range(count):
        off = finger - (count - 1) / 2
        reach = length * (1 - 0.09 * off * off) * rng.uniform(0.93, 1.05)
        base = knuckles + thumb * off * radius * 2 * spread + way * radius
        middle = base - (way - thumb * fan * off) * reach * 0.5
        end = middle - (way - thumb * (fan * off + bend)) * reach * 0.5
        thick = radius * (0.88 if abs(off) > 1 else 1.0)
        limbs.add((base, thick * 1.06), (middle, thick), (end, thick * 0.86))
    if rng.random() < 0.6:
        root = palm + thumb * size * 0.42
        joint = root + thumb * size * rng.uniform(0.1, 0.3) - way * size * rng.uniform(0.1, 0.35)
        end = joint - way * size * 0.3 - thumb * size * rng.uniform(-0.15, 0.15)
        limbs.add((root, radius * 1.4), (joint, radius * 1.15), (end, radius * 0.95))


def fist(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw a fist."""
    rng, limbs = scene.rng, Limbs(scene)
    way, size = _side(scene, place), scene.width * rng.uniform(0.4, 0.6)
    across, radius = aside(way), size / 7.6
    limbs.add((place + way * size * 0.5, size * 0.36), (place + way * size * 4, size * 0.36))
    limbs.add((place + way * size * 0.4, size * 0.46), (place + way * size * 0.1, size * 0.46))
    for finger in range(4):
        base = place + across * (finger - 1.5) * radius * 2
        thick = radius * rng.uniform(0.95, 1.1)
        tip = base - way * radius * rng.uniform(0.2, 1.2)
        limbs.add((tip, thick), (base + way * size * rng.uniform(0.3, 0.45), thick))
    root, tip = place + across * size * 0.45 + way * size * 0.3, place - across * size * 0.1 + way * size * 0.2
    limbs.add((root, radius * 1.1), (tip, radius))
    return limbs.skin()


def arm(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw an arm that ends there or goes on, bare or in a sleeve."""
    rng, limbs = scene.rng, Limbs(scene)
    angle, radius = rng.normal(scale=0.5), scene.width * rng.uniform(0.16, 0.3)
    along = direction(angle) * sign(rng)
    limbs.add((place - along * 200, radius * rng.uniform(1, 1.3)), (place + along * rng.uniform(15, 200), radius))
    return limbs.skin() if rng.random() < 0.4 else limbs.worn()


def _grip(scene: Scene, middle: PointArray, half: float, angle: float) -> list[Layer]:
    """Draw fingers around a thing of half a width, or none."""
    rng = scene.rng
    if rng.random() < 0.45:
        return []
    limbs, side, radius = Limbs(scene), sign(rng), scene.width * rng.uniform(0.055, 0.075)
    first = rng.uniform(-0.1, 0.3) * scene.width
    for finger in range(rng.integers(2, 5)):
        down = first + finger * radius * 2.05
        ends = [[side * (half + radius), down + rng.normal()], [side * half * rng.uniform(0.1, 0.6), down]]
        outside, inside = turned(ends, middle, angle)
        limbs.add((outside, radius), (inside, radius * 0.9))
    return limbs.skin()


def phone(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw a phone, mostly from behind."""
    rng = scene.rng
    half, angle = scene.width * rng.uniform(0.2, 0.34), rng.choice([0, 0, np.pi / 2]) + rng.normal(scale=0.25)
    tall = half * rng.uniform(1.9, 2.2)
    middle = spot(0, rng.uniform(-0.2, 0.7) * tall, place, angle)
    body = fill(ellipse(middle, half, tall, angle, rng.uniform(6, 14)))
    colour = any_colour(rng) if rng.random() < 0.5 else rng.uniform(8, 50, 1).astype(np.float32)
    layers = [*shadow(scene, body), Layer(body, shaded(colour, slope(rng, 0.25) * noise(rng, 3, 0.9, 1.1)))]
    if rng.random() < 0.35:  # the screen is toward us
        screen = fill(ellipse(middle, half * 0.92, tall * rng.uniform(0.8, 0.95), angle, 14))
        layers.append(Layer(screen, cloth(scene) * 0.6 + rng.uniform(20, 130)))
    else:
        x, y = -half * 0.5 * sign(rng, 0.7), -tall * 0.72
        bump = fill(ellipse(spot(x, y, middle, angle), half * 0.36, half * rng.uniform(0.3, 0.5), angle, 6))
        layers.append(Layer(bump, colour * rng.uniform(0.5, 1.2)))
        spots = [spot(x - half * 0.15, y + down, middle, angle) for down in (-half * 0.17, half * 0.17)]
        lenses = fill(*(ellipse(at, half * 0.13, half * 0.13) for at in spots[: rng.integers(1, 3)]))
        layers.append(Layer(lenses, rng.uniform(5, 35)))
    return layers + _grip(scene, middle, half, angle)


def microphone(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw a microphone, held or not."""
    rng, handle = scene.rng, Limbs(scene)
    way, radius = _side(scene, place), scene.width * rng.uniform(0.12, 0.24)
    top = place + way * radius * 1.2
    handle.add((top, radius * 0.62), (place + way * 200, radius * 0.45))
    metal = shaded(rng.uniform(15, 70), handle.shade)
    head = Limbs(scene)
    head.add((place, radius), (place + way * radius * rng.uniform(0.1, 0.6), radius))
    mesh = 1 + rng.uniform(0, 0.3) * np.sin(COLUMNS * 2.1) * np.sin(ROWS * 2.1)
    ball = Layer(head.mask, shaded(any_colour(rng), head.shade * mesh))
    layers = [*shadow(scene, np.maximum(handle.mask, head.mask)), Layer(handle.mask, metal), ball]
    if rng.random() < 0.5:
        fingers, across = Limbs(scene), aside(way) * radius
        for finger in range(4):
            at = top + way * radius * (1.2 + finger * 0.75)
            fingers.add((at - across * 0.8, radius * 0.42), (at + across * 0.7, radius * 0.42))
        layers += fingers.skin()
    return layers


def cup(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw a cup or a glass."""
    rng = scene.rng
    half, angle = scene.width * rng.uniform(0.18, 0.33), rng.normal(scale=0.25)
    tall, taper = half * rng.uniform(1.6, 3), rng.uniform(0.65, 1.0)
    top = spot(0, -tall * rng.uniform(0.1, 0.5), place, angle)
    sides = turned([[-half, 0], [half, 0], [half * taper, tall], [-half * taper, tall]], top, angle)
    body = fill(sides, ellipse(spot(0, tall, top, angle), half * taper, half * 0.22, angle))
    across = (COLUMNS - np.float32(top[0])) / half
    surface = cloth(scene) if rng.random() < 0.5 else any_colour(rng)
    bent = shaded(surface, 1.05 - 0.35 * np.clip(across + rng.uniform(-0.4, 0.4), -1, 1) ** 2)
    rim = Layer(fill(ellipse(top, half, half * rng.uniform(0.08, 0.25), angle)), any_colour(rng) * 0.8)
    middle = spot(0, tall * 0.5, top, angle)
    return [*shadow(scene, body), Layer(body, bent), rim, *_grip(scene, middle, half * 0.95, angle)]


def food(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw something round and crumbly to eat."""
    rng = scene.rng
    half = scene.width * rng.uniform(0.15, 0.3)
    mask = fill(bulging(rng, place, half, half * rng.uniform(0.6, 1), 0.12))
    base = rng.uniform([110, 60, 20], [235, 190, 110]).astype(np.float32)
    crumbs = noise(rng, rng.integers(8, 45), 0.7, 1.25) * slope(rng, 0.3)
    off = np.hypot(COLUMNS - np.float32(place[0]), ROWS - np.float32(place[1])) / half
    dough = Layer(mask, shaded(base, crumbs * (1.1 - 0.4 * np.minimum(off, 1.2) ** 3)))
    return [
        *shadow(scene, mask),
        dough,
        *_grip(scene, spot(0, half * 0.6, place, 0), half * 0.9, rng.normal(scale=0.4)),
    ]


def blob(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw something without a name."""
    rng = scene.rng
    half = scene.width * rng.uniform(0.2, 0.45)
    mask = fill(bulging(rng, place, half, half * rng.uniform(0.5, 1), rng.uniform(0.05, 0.3)))
    return [*shadow(scene, mask), Layer(mask, cloth(scene))]


def paper(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw a book or a sheet, of which an edge lies there: it is held before the mouth, or aside."""
    rng = scene.rng
    half, angle = scene.width * rng.uniform(0.3, 0.7), rng.normal(scale=0.3)
    size = np.array([half, half * rng.uniform(0.7, 1.5)])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size + rng.normal(scale=0.05 * half, size=(4, 2))
    middle = place + _side(scene, place) * rng.uniform(0.3, 0.9) * size
    sheet = fill(turned(corners, middle, angle))
    if rng.random() < 0.5:
        layers = [Layer(sheet, cloth(scene))]
    else:
        white = np.array([235, 232, 225], np.float32) * rng.uniform(0.8, 1.05)
        layers = [Layer(sheet, shaded(white, slope(rng, 0.15)))]
        if rng.random() < 0.7:
            levels = np.arange(-0.8 * size[1], 0.8 * size[1], rng.uniform(3, 9))
            rows = [turned([[-0.8 * half, y], [rng.uniform(0, 0.85) * half, y]], middle, angle) for y in levels]
            ink = stroke(rows, rng.uniform(1, 2.5)) * rng.uniform(0.3, 0.9)
            layers.append(Layer(ink, any_colour(rng) * 0.4, hides=False))
    return [*shadow(scene, sheet), *layers, *_grip(scene, middle, half * 0.95, angle)]


def neighbour(scene: Scene, place: PointArray) -> list[Layer]:
    """Draw the head or the shoulder of somebody who stands before the camera, out of focus."""
    rng = scene.rng
    way, half = _side(scene, place), scene.width * rng.uniform(0.5, 0.9)
    middle = place + way * half * rng.uniform(0.55, 0.9)
    mask = soften(fill(bulging(rng, middle, half, half * rng.uniform(0.7, 1.1), 0.1)), rng.uniform(0.5, 4))
    surface = hair(scene) if rng.random() < 0.5 else cloth(scene)
    return [Layer(mask, shaded(surface, noise(rng, 4, 0.75, 1.2)))]
