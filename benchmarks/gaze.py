"""Measure the error of located pupils, and of the gaze direction computed from them.

Protocol
--------
Pupils: the half of ``data/landmarks106`` that nothing was chosen on (`landmark_cache.held_out`), each photograph through the
library's own detector, aligner and landmarker; points 59 and 69 of its 106 are the pupils. The error is in distances between
the two marked pupils; a pupil that is marked as hidden is left out.

Mirror: the same photographs and their mirror images, each from the detector on; 0 is perfect.

Rendered eyes: no photographs with a known direction are at hand, so eyes that look in a known direction are painted over
those of forward faces of that half, which are enlarged before and reduced after; the lids follow the eyes up and down.
Aligning, landmarks, pose and pupils are done anew on the painted photograph. The anatomy is that of `facesearch.appearance.gaze`, but
each eye's orbit and place vary as people's do. This tells what the landmarks and the pupils cost; it can't tell whether the
eyes' model is right.

``python benchmarks/gaze.py``
"""

import json
import math
import sys
import timeit
from pathlib import Path

import attrs
import numpy as np
from _machine import data_folder, print_machine
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr
from skimage.draw import polygon2mask

import facesearch as fs
from facesearch.appearance.gaze import AT_REST, PUPIL_ORBIT, eye_direction
from facesearch.common.arrays import PixelArray, PointArray
from facesearch.detection.landmarks import MIRROR
from facesearch.detection.pose import REFERENCE, rotation_from_pose, solve_pose
from facesearch.detection.pupils import find_pupil
from facesearch.domain.face_detail import Pose
from facesearch.images.reading import read_image
from facesearch.stages import Detection

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from landmark_cache import held_out  # after the path

EYES = (slice(36, 42), slice(42, 48))
PUPILS = (59, 69)  # of the 106: the viewer's left, right
WIDTHS = (64, 32, 24, 16, 13)  # of a rendered eye, pixels
FACES, LOOKS = 20, 8  # painted; directions for each
YAW, PITCH = 25.0, 15.0  # degrees, the farthest

# Millimetres. Iris: white to white, doi:10.1097/01.ico.0000148312.01805.53; how eyes vary: doi:10.1111/opo.12940.
UNIT = 63 / 0.98
IRIS, PUPIL, GLINT = 5.9, 2.0, 0.7
ORBIT_SPREAD, PLACE_SPREAD = 1.0, 0.5
FOLLOWS = np.array(
    [0, 0.8, 0.8, 0, 0.3, 0.3]
)  # how far lids move up and down with the pupil: doi:10.1152/jn.1988.60.4.1227
IRISES = np.array([(35, 25, 22), (70, 45, 30), (95, 125, 150), (95, 105, 75)], float)
FINER = 3  # samples along a pixel's side


@attrs.frozen(eq=False)
class Face:
    """A face that was found in a photograph, and its pupils as people marked them, (2, 2), NaN where hidden."""

    pixels: PixelArray
    detection: Detection
    points: PointArray
    marked: PointArray


def found(analyzer: fs.FaceAnalyzer, pixels: PixelArray, around: PointArray, marked: PointArray) -> Face | None:
    """Find the face around the given points, (N, 2)."""
    middle, size = (around.min(axis=0) + around.max(axis=0)) / 2, np.ptp(around, axis=0).max()
    for seen in analyzer.detector.detect(pixels):
        if np.hypot((seen.left + seen.right) / 2 - middle[0], (seen.top + seen.bottom) / 2 - middle[1]) < size / 2:
            return Face(pixels, seen, analyzer.landmarker.locate(pixels, analyzer.aligner.align(pixels, seen)), marked)
    return None


def pupils(pixels: PixelArray, points: PointArray) -> PointArray:
    """Find both pupils, (2, 2)."""
    return np.array([find_pupil(points[eye], pixels) for eye in EYES])


def direction_of(pixels: PixelArray, points: PointArray) -> fs.EyeDirection | None:
    """Return the direction of gaze."""
    return eye_direction(points, *pupils(pixels, points), pose=solve_pose(points))


def eye_width(points: PointArray) -> float:
    """Return the mean width of the eyes in pixels."""
    return float(np.mean([np.hypot(*(points[eye][3] - points[eye][0])) for eye in EYES]))


def check_pupils(faces: list[Face], missed: int) -> None:
    """Compare with the pupils that people marked."""
    apart = np.array([np.hypot(*(face.marked[1] - face.marked[0])) for face in faces])
    for name, places in (
        ("found", np.array([pupils(face.pixels, face.points) for face in faces])),
        ("middle of the contour", np.array([[face.points[eye].mean(axis=0) for eye in EYES] for face in faces])),
    ):
        error = np.linalg.norm(places - [face.marked for face in faces], axis=2) / apart[:, None]
        seen = error[np.isfinite(error)]
        print(
            f"{name}: {seen.size} pupils of {len(faces)} faces ({missed} faces not found): error mean {seen.mean():.4f}, "
            f"median {np.median(seen):.4f}, p90 {np.percentile(seen, 90):.4f}, within 5% {np.mean(seen <= 0.05):.1%}"
        )
    face = faces[0]
    once = min(timeit.repeat(lambda: pupils(face.pixels, face.points), number=50, repeat=9)) / 50
    both, pose = pupils(face.pixels, face.points), solve_pose(face.points)
    then = min(timeit.repeat(lambda: eye_direction(face.points, *both, pose=pose), number=50, repeat=9)) / 50
    print(f"time: both pupils {once * 1e3:.2f} ms, direction {then * 1e3:.2f} ms\n")


def check_mirror(analyzer: fs.FaceAnalyzer, faces: list[Face]) -> None:
    """Measure photographs and their mirror images."""
    same, anew, turned, given = [], [], [], 0
    for face in faces:
        width = face.pixels.shape[1]
        flip, flop = np.array([-1, 1]), np.array([width - 1, 0])
        mirrored, points = np.ascontiguousarray(face.pixels[:, ::-1]), face.points[MIRROR] * flip + flop
        here = pupils(face.pixels, face.points)
        unit = np.hypot(*(here[1] - here[0]))
        same.append(np.abs((pupils(mirrored, points) * flip + flop)[::-1] - here).max() / unit)
        other = found(analyzer, mirrored, points, face.marked)
        if other is None:
            continue
        anew.append(np.linalg.norm((pupils(mirrored, other.points) * flip + flop)[::-1] - here, axis=1).mean() / unit)
        one, two = direction_of(face.pixels, face.points), direction_of(mirrored, other.points)
        given += one is not None
        if one and two:
            turned.append((one.yaw + two.yaw, one.pitch - two.pitch, one.yaw, one.pitch, one.confidence))
    yaw, pitch, *spread = np.array(turned).T
    print(f"mirror, same landmarks: pupils move by at most {max(same):.4f} of the distance between them")
    print(
        f"mirror, from the detector on, {len(anew)} faces: by median {np.median(anew):.4f}, p90 {np.percentile(anew, 90):.4f}"
    )
    print(
        f"    direction of {len(turned)} (given for {given} of {len(faces)}): |yaw + yaw'| median {np.median(np.abs(yaw)):.1f}, "
        f"p90 {np.percentile(np.abs(yaw), 90):.1f}; |pitch - pitch'| median {np.median(np.abs(pitch)):.1f}, "
        f"p90 {np.percentile(np.abs(pitch), 90):.1f} degrees; over faces: yaw mean {spread[0].mean():+.1f}, deviation {spread[0].std():.1f}, "
        f"pitch mean {spread[1].mean():+.1f}, deviation {spread[1].std():.1f}; confidence p5 p50 p95 {np.percentile(spread[2], [5, 50, 95]).round()}\n"
    )


def paint(pixels: PixelArray, points: PointArray, yaw: float, pitch: float, rng: np.random.Generator) -> PixelArray:
    """Paint eyes that look in a direction, in degrees relative to the head, within the lids of a face."""
    rotation = rotation_from_pose(solve_pose(points))
    kept = list(REFERENCE)
    flat = np.array(list(REFERENCE.values())) @ rotation[:2].T
    fixed = flat - flat.mean(axis=0)
    scale = (fixed * points[kept]).sum() / (fixed * fixed).sum()
    shift = points[kept].mean(axis=0) - scale * flat.mean(axis=0)
    ahead = rotation @ rotation_from_pose(Pose(roll=0, yaw=yaw, pitch=pitch)) @ (0, 0, -1)
    iris = IRISES[rng.integers(len(IRISES))]
    orbit = PUPIL_ORBIT * UNIT + ORBIT_SPREAD * rng.normal()
    painted, rest = pixels.astype(float), AT_REST[len(points)]
    for side, eye in zip((-1, 1), EYES, strict=True):
        center = np.multiply(rest, (side, 1, 1)) + (0, 0, PUPIL_ORBIT) + rng.normal(size=3) * PLACE_SPREAD / UNIT
        at = scale * (rotation[:2] @ center) + shift
        lids = points[eye].copy()
        lids += FOLLOWS[:, None] * scale * PUPIL_ORBIT * (rotation[:2] @ (0, -math.sin(math.radians(pitch)), 0))
        both = np.concatenate([points[eye], lids])
        low, high = np.floor(both.min(axis=0)).astype(int) - 1, np.ceil(both.max(axis=0)).astype(int) + 2
        columns, rows = (
            np.arange((stop - start) * FINER) / FINER + start - 0.5 + 0.5 / FINER
            for start, stop in zip(low, high, strict=True)
        )
        before, open_ = (
            _inside((outline - low + 0.5) * FINER - 0.5, len(columns), len(rows)) for outline in (points[eye], lids)
        )
        white = np.percentile(pixels[low[1] : high[1], low[0] : high[0]].reshape(-1, 3), 90, axis=0)
        x, y = (columns - at[0]) / scale * UNIT, (rows[:, None] - at[1]) / scale * UNIT
        eyeball = _eyeball(x, y, orbit * ahead, iris=iris, white=white)
        lash = np.roll(open_, round(0.05 * eye_width(points) * FINER), axis=0)
        eyeball = np.where((open_ & ~lash)[..., None], 0.5 * eyeball, eyeball)  # the upper lid's shadow
        region = painted[low[1] : high[1], low[0] : high[0]]
        skin = np.median(region[:2], axis=(0, 1))
        color = np.where(open_[..., None], eyeball, skin)
        share, color = (_reduced(part * (before | open_)[..., None]) for part in (np.ones_like(color), color))
        region[:] = region * (1 - share) + color
    return painted.clip(0, 255).round().astype(np.uint8)


def _inside(outline: PointArray, width: int, height: int) -> NDArray[np.bool_]:
    """Return which samples of (height, width) lie inside an outline, (N, 2) xy."""
    mask: NDArray[np.bool_] = polygon2mask((height, width), outline[:, ::-1])  # type: ignore[no-untyped-call]  # it has none
    return mask


def _reduced(fine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the samples of each pixel."""
    rows, columns, colors = fine.shape
    coarse: NDArray[np.float64] = fine.reshape(rows // FINER, FINER, columns // FINER, FINER, colors).mean(axis=(1, 3))
    return coarse


def _eyeball(
    x: PointArray, y: PointArray, look: PointArray, *, iris: PointArray, white: PointArray
) -> NDArray[np.float64]:
    """Color an eyeball, (rows, columns, 3): a white sphere with a flat iris around *look*, all in mm from what it turns about."""
    depth = (look @ look - look[0] * x - look[1] * y) / look[2]  # where the line of sight meets the iris's plane
    off = np.sqrt((x - look[0]) ** 2 + (y - look[1]) ** 2 + (depth - look[2]) ** 2)
    ball = np.broadcast_to(white, (*off.shape, 3)) * np.clip(1.1 - (x * x + y * y)[..., None] / 600, 0.5, 1)
    ball = np.where((off < IRIS)[..., None], iris * white.mean() / 225, ball)
    ball = np.where((off < PUPIL)[..., None], 0.06 * white, ball)
    glint = np.hypot(x - look[0] + 1.2, y - look[1] + 1.5) < GLINT
    return np.where(glint[..., None], 250.0, ball)


def check_rendered(analyzer: fs.FaceAnalyzer, faces: list[Face]) -> None:
    """Compare with the direction of painted eyes."""
    rng = np.random.default_rng(0)
    results: dict[int, list[tuple[float, ...]]] = {width: [] for width in WIDTHS}
    for face in faces[:FACES]:
        grown, seen = resized(*close_up(face), max(WIDTHS) / eye_width(face.points))
        points = analyzer.landmarker.locate(grown, analyzer.aligner.align(grown, seen))
        for yaw, pitch in rng.uniform((-YAW, -PITCH), (YAW, PITCH), (LOOKS, 2)):
            painted = paint(grown, points, yaw, pitch, rng)
            for width in WIDTHS:
                small, where = resized(painted, seen, width / max(WIDTHS))
                noisy = (small + rng.normal(size=small.shape) * 3).clip(0, 255).round().astype(np.uint8)
                gaze = direction_of(noisy, analyzer.landmarker.locate(noisy, analyzer.aligner.align(noisy, where)))
                if gaze:
                    results[width].append((yaw, pitch, gaze.yaw, gaze.pitch, gaze.confidence))
    total = min(len(faces), FACES) * LOOKS
    print(f"rendered eyes: {total} on {total // LOOKS} faces, yaw within {YAW:.0f}, pitch within {PITCH:.0f} degrees")
    for width, rows in results.items():
        column = np.array(rows).T
        for axis, name in enumerate(("yaw", "pitch")):
            true, gaze = column[axis], column[axis + 2]
            error = np.abs(gaze - true)
            head = f"    eyes {width} px, {len(rows)} given: " if not axis else ""
            print(
                f"{head or ' ' * 28}{name}: error median {np.median(error):.1f}, p90 {np.percentile(error, 90):.1f} "
                f"(always 0: {np.median(np.abs(true)):.1f}), correlation {np.corrcoef(true, gaze)[0, 1]:.2f}, "
                f"slope {np.polyfit(true, gaze, 1)[0]:.2f}"
            )
    column = np.array([row for rows in results.values() for row in rows]).T
    off = np.abs(column[2:4] - column[:2])
    error = np.hypot(*off)
    ranks = [spearmanr(column[4], each).statistic for each in (error, *off)]
    print("    rank correlation of confidence with the error: {:.2f}, yaw's {:.2f}, pitch's {:.2f}".format(*ranks))
    for low, high in ((0, 30), (30, 50), (50, 75)):
        chosen = error[(column[4] > low) & (column[4] <= high)]
        if chosen.size:
            print(
                f"    confidence {low}-{high}: {chosen.size}, error median {np.median(chosen):.1f}, p90 {np.percentile(chosen, 90):.1f}"
            )


def close_up(face: Face) -> tuple[PixelArray, Detection]:
    """Cut out the face and as much again on each side."""
    seen = face.detection
    side = int(seen.right - seen.left)
    left, top = max(0, int(seen.left) - side), max(0, int(seen.top) - side)
    pixels = face.pixels[top : int(seen.bottom) + side, left : int(seen.right) + side]
    return pixels, moved(seen, 1, (left, top))


def moved(seen: Detection, scale: float, origin: tuple[float, float]) -> Detection:
    """Return a face in a photograph whose xy are those of the former less *origin*, times *scale*."""
    (left, top), points = origin, seen.points
    return attrs.evolve(
        seen, left=(seen.left - left) * scale, right=(seen.right - left) * scale, top=(seen.top - top) * scale,
        bottom=(seen.bottom - top) * scale, points=None if points is None else (points - origin) * scale,
    )  # fmt: skip


def resized(pixels: PixelArray, seen: Detection, scale: float) -> tuple[PixelArray, Detection]:
    """Return a photograph, and a face in it, at *scale* times its size."""
    size = tuple(round(side * scale) for side in pixels.shape[1::-1])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)), moved(seen, scale, (0, 0))


def main() -> None:
    """Print all measurements."""
    print_machine()
    root = data_folder("landmarks106")
    analyzer = fs.FaceAnalyzer()
    faces, forward, missed = [], [], 0
    for name, label in json.loads((root / "labels.json").read_text()).items():
        if not held_out(f"landmarks106/images/{name}"):
            continue
        marked = np.array(label["points"], float)
        hidden = np.where(marked[list(PUPILS), 2:] > 0, 0, np.nan)
        face = found(
            analyzer, read_image(root / "images" / name).pixels, marked[:, :2], marked[list(PUPILS), :2] + hidden
        )
        if face is None:
            missed += 1
            continue
        faces.append(face)
        if label["work"]["orientation"] == "forward" and direction_of(face.pixels, face.points):
            forward.append(face)
    check_pupils(faces, missed)
    check_mirror(analyzer, faces)
    check_rendered(analyzer, forward)


if __name__ == "__main__":
    main()
