"""How well landmarks are located and faces aligned: dlib's predictors and our own network, on the same photographs.

Protocol: the photographs of ``landmarks106/`` that `landmark_cache.held_out` keeps aside; the network learned from none of that
folder's photographs, and the constant offsets of its teacher come from the other half. The same detector for both; a photograph
counts where it finds the marked face. The error is the distance from a point that people placed, over the distance between the
marked pupils. ``--photos`` measures fewer photographs.
"""

import argparse
import hashlib
import json
import sys
import time
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from _machine import data_folder, print_machine
from PIL import Image

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.detection.alignment import DlibAligner
from facesearch.detection.dlib_detectors import HogDetector
from facesearch.detection.face_landmarks import FaceLandmarker, LandmarkAligner
from facesearch.detection.landmarks import IRISES, MIRROR, DlibLandmarker, face_box
from facesearch.detection.mmod import MmodDetector
from facesearch.detection.pose import solve_pose
from facesearch.detection.pupils import find_pupil
from facesearch.detection.yunet import YuNetDetector
from facesearch.images.reading import read_image
from facesearch.networks.weights import FACE_LANDMARKS, LANDMARKS_5, LANDMARKS_68, WeightFile
from facesearch.stages import Aligner, Detection, Detector, Landmarker

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from landmark_cache import HUMAN, held_out  # after the path

Floats = npt.NDArray[np.float64]

PUPILS = (59, 69)  # of the 106: the viewer's left, right
JAW = range(0, 33, 2)
PARTS = {
    "17-59": range(17, 60),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 60),
    "jaw": range(17),
    "pupils": range(68, 70),
}
ROLLS = (15, 30, 45, 60, 90, 135, 180)
SIDES = (64, 40, 24)  # pixels between the outer edges of a face made small
MIRROR_70 = [*MIRROR, *IRISES[::-1]]


@attrs.frozen(eq=False)
class Face:
    """A marked face that the detector found."""

    name: str
    pixels: PixelArray
    detection: Detection
    marked: Floats  # (70, 2), NaN on the inner lips
    orientation: str
    covered: bool
    easy: bool  # dlib's frontal detector finds it too

    @property
    def unit(self) -> float:
        """Pixels between the marked pupils."""
        return float(np.linalg.norm(self.marked[68] - self.marked[69]))


@attrs.frozen(eq=False)
class Way:
    """An aligner and a landmarker."""

    name: str
    aligner: Aligner
    landmarker: Landmarker
    files: tuple[WeightFile, ...]

    def __call__(self, pixels: PixelArray, detection: Detection) -> PointArray:
        """Locate (70, 2) points; pupils by `find_pupil` where the landmarker has none."""
        points = self.landmarker.locate(pixels, self.aligner.align(pixels, detection))
        if len(points) > IRISES[0]:
            return points
        return np.concatenate([points, [find_pupil(points[eye], pixels) for eye in (slice(36, 42), slice(42, 48))]])


WAYS = (
    Way("dlib", DlibAligner(), DlibLandmarker(), (LANDMARKS_5, LANDMARKS_68)),
    Way("ours", LandmarkAligner(), FaceLandmarker(), (FACE_LANDMARKS,)),
)


def gather(folder: Path, detector: Detector, most: int | None, *, aside: bool) -> tuple[list[Face], int]:
    """Detect the marked faces; return those found, and the number of photographs."""
    labels = json.loads((folder / "labels.json").read_text())
    names = [name for name in labels if held_out(f"landmarks106/images/{name}") or not aside][:most]
    faces = []
    for name in names:
        placed = np.array(labels[name]["points"], float)[:, :2]
        marked = np.full((70, 2), np.nan)
        marked[:17], marked[17:60], marked[68:] = placed[JAW], placed[HUMAN], placed[list(PUPILS)]
        pixels = read_image(folder / "images" / name).pixels
        middle, size = marked[17:60].mean(axis=0), np.ptp(placed, axis=0).max()
        first, frontal = (nearest(each.detect(pixels), middle, size / 3) for each in (detector, HogDetector()))
        if first:
            work = labels[name]["work"]
            covered = work["occlusion"] != "uncovered"
            faces.append(Face(name, pixels, first, marked, work["orientation"], covered, frontal is not None))
    return faces, len(names)


def nearest(found: tuple[Detection, ...], middle: Floats, reach: float) -> Detection | None:
    """Return the surest detection with its middle within *reach* pixels of *middle*."""
    for each in found:
        if np.hypot((each.left + each.right) / 2 - middle[0], (each.top + each.bottom) / 2 - middle[1]) < reach:
            return each
    return None


def error(found: PointArray, face: Face) -> Floats:
    """Return (70,) distances over the distance of the pupils."""
    return np.asarray(np.linalg.norm(found - face.marked, axis=1) / face.unit)


def check_error(faces: list[Face]) -> dict[str, list[PointArray]]:
    """Print the error of each part, by orientation and cover."""
    located = {way.name: [way(face.pixels, face.detection) for face in faces] for way in WAYS}
    groups: dict[str, Callable[[Face], bool]] = {
        "all": lambda _: True,
        "that HogDetector finds too": lambda face: face.easy,
        "forward": lambda face: face.orientation == "forward",
        "leftward": lambda face: face.orientation == "leftward",
        "rightward": lambda face: face.orientation == "rightward",
        "covered": lambda face: face.covered,
        "not covered": lambda face: not face.covered,
    }
    for group, belongs in groups.items():
        rows = [row for row, face in enumerate(faces) if belongs(face)]
        for way in WAYS:
            off = np.array([error(located[way.name][row], faces[row]) for row in rows])
            parts = ", ".join(f"{part} {off[:, list(which)].mean():.4f}" for part, which in PARTS.items())
            worst = np.percentile(off[:, 17:60].mean(axis=1), [50, 95])
            print(
                f"{group} ({len(rows)}), {way.name}: {parts}; a face's 17-59: median {worst[0]:.4f}, p95 {worst[1]:.4f}"
            )
    return located


def check_pose(faces: list[Face], located: dict[str, list[PointArray]]) -> None:
    """Print the sign of yaw, and the angles against those that the same solver gives for points that people placed."""
    sides = {"leftward": -1, "forward": 0, "rightward": 1}
    truth = np.array([attrs.astuple(solve_pose(np.nan_to_num(face.marked[:68]))) for face in faces])
    side = np.array([sides[face.orientation] for face in faces])
    for way in WAYS:
        poses = np.array([attrs.astuple(solve_pose(points)) for points in located[way.name]])
        right = np.sign(poses[side != 0, 1]) == side[side != 0]
        off = (poses - truth + 180) % 360 - 180
        slope = (poses[:, 1] @ truth[:, 1]) / (truth[:, 1] @ truth[:, 1])
        print(
            f"{way.name}: yaw's sign is right for {right.mean():.1%} of {right.size}; against people's points, roll, yaw, pitch "
            f"differ by {np.median(off, axis=0).round(2)} (median), {np.abs(off).mean(axis=0).round(2)} (mean size); "
            f"yaw slope {slope:.3f}; pitch median {np.median(poses[:, 2]):.1f}, yaw of forward ones {poses[side == 0, 1].mean():.2f}"
        )


def check_alignment(faces: list[Face]) -> None:
    """Print how chips of the two aligners differ, in pixels of the chip, degrees and percent."""
    moved = []
    for face in faces:
        theirs, ours = (way.aligner.align(face.pixels, face.detection).to_picture for way in WAYS)
        inverse = np.linalg.inv(theirs[:, :2])
        linear = inverse @ ours[:, :2]
        centre = inverse @ (ours[:, :2] @ (74.5, 74.5) + ours[:, 2] - theirs[:, 2]) - 74.5
        moved.append([*centre, np.degrees(np.arctan2(linear[1, 0], linear[0, 0])), 100 * (np.hypot(*linear[:, 0]) - 1)])
    table = np.array(moved)
    for label, values in (
        ("mean", table.mean(axis=0)),
        ("median", np.median(table, axis=0)),
        ("sd", table.std(axis=0)),
    ):
        x, y, turn, size = values
        print(
            f"our chips against dlib's, {label}: right {x:.2f} px, down {y:.2f} px, turned {turn:.2f} degrees, larger {size:.2f}%"
        )


def check_boxes(faces: list[Face], located: dict[str, list[PointArray]]) -> None:
    """Print how AWS's box changes."""
    ratios = []
    for row, face in enumerate(faces):
        height, width = face.pixels.shape[:2]
        theirs, ours = (face_box(located[way.name][row], width, height) for way in WAYS)
        ratios.append([ours.width / theirs.width, ours.height / theirs.height, (ours.top - theirs.top) / theirs.height])
    width, height, top = np.median(ratios, axis=0)
    print(
        f"AWS's box, ours against dlib's: width {width:.3f}, height {height:.3f}, top lower by {top:.3f} of the height"
    )


def turned(face: Face, degrees: float) -> tuple[PixelArray, Detection, Floats]:
    """Turn a photograph clockwise around the face; return it, its detection, and the (2, 3) transform of points."""
    angle = np.radians(degrees)
    linear = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    box = face.detection
    centre = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2])
    half = max(box.right - box.left, box.bottom - box.top) * 1.5
    side = int(2 * half)
    shift = half - linear @ centre
    back = np.column_stack([linear.T, -linear.T @ shift])
    pixels = np.asarray(
        Image.fromarray(face.pixels).transform(
            (side, side), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR
        )
    )
    width, height = (box.right - box.left) / 2, (box.bottom - box.top) / 2
    detection = attrs.evolve(
        box, left=half - width, right=half + width, top=half - height, bottom=half + height,
        quarter_turns=round(degrees / 90) % 4,
        points=None if box.points is None else box.points @ linear.T + shift,
    )  # fmt: skip
    return pixels, detection, np.column_stack([linear, shift])


def check_rolls(faces: list[Face], located: dict[str, list[PointArray]]) -> None:
    """Print how far points move on the face when the photograph is turned, mirrored or made small."""
    for way in WAYS:
        here = located[way.name]
        for degrees in ROLLS:
            off = []
            for face, points in zip(faces, here, strict=True):
                pixels, detection, transform = turned(face, degrees)
                there = way(pixels, detection)
                off.append(
                    np.linalg.norm(points @ transform[:, :2].T + transform[:, 2] - there, axis=1)[17:].mean()
                    / face.unit
                )
            print(
                f"{way.name}, turned by {degrees}: points move by {np.mean(off):.4f}, p95 {np.percentile(off, 95):.4f}"
            )
        off = []
        for face, points in zip(faces, here, strict=True):
            box, width = face.detection, face.pixels.shape[1]
            five = None if box.points is None else (box.points * [-1, 1] + [width - 1, 0])[[1, 0, 2, 4, 3]]
            flipped = attrs.evolve(box, left=width - box.right, right=width - box.left, points=five)
            there = way(np.ascontiguousarray(face.pixels[:, ::-1]), flipped)
            off.append(
                np.linalg.norm((there * [-1, 1] + [width - 1, 0])[MIRROR_70] - points, axis=1)[17:].mean() / face.unit
            )
        print(f"{way.name}, mirrored: points move by {np.mean(off):.4f}, p95 {np.percentile(off, 95):.4f}")
        for side in SIDES:
            off = []
            for face in faces:
                box = face.detection
                scale = min(1.0, side / max(box.right - box.left, box.bottom - box.top))
                size = [max(1, round(each * scale)) for each in face.pixels.shape[1::-1]]
                small = np.asarray(Image.fromarray(face.pixels).resize(size, Image.Resampling.BOX))
                reduced = attrs.evolve(
                    box, **{edge: getattr(box, edge) * scale for edge in ("left", "top", "right", "bottom")},
                    points=None if box.points is None else (box.points + 0.5) * scale - 0.5,
                )  # fmt: skip
                found = (way(small, reduced) + 0.5) / scale - 0.5
                off.append(error(found, face)[17:60].mean())
            print(f"{way.name}, faces of {side} pixels: 17-59 {np.mean(off):.4f}")


def timed(step: Callable[[], object]) -> float:
    """Return milliseconds of processor time, the least of many tens of calls: other processes don't count."""
    return min(timeit.repeat(step, timer=time.process_time, number=10, repeat=15)) / 10 * 1e3


def check_time(face: Face) -> None:
    """Print milliseconds a face, one call after another."""
    for way in WAYS:
        aligned = way.aligner.align(face.pixels, face.detection)
        times = {
            "align": timed(partial(way.aligner.align, face.pixels, face.detection)),
            "locate": timed(partial(way.landmarker.locate, face.pixels, aligned)),
        }
        print(f"{way.name}: " + ", ".join(f"{name} {each:.2f} ms" for name, each in times.items()))


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, help="measure so many photographs only")
    parser.add_argument("--all", action="store_true", help="also those that set the offsets")
    parser.add_argument("--detector", choices=["yunet", "mmod"], default="yunet")
    arguments = parser.parse_args()
    folder = data_folder("landmarks106")
    print_machine()
    for way in WAYS:
        for file in way.files:
            print(f"{way.name}: {file.name}, SHA-256 {file.sha256[:16]}")
    detector: Detector = MmodDetector() if arguments.detector == "mmod" else YuNetDetector()
    digest = hashlib.sha256((folder / "labels.json").read_bytes()).hexdigest()
    faces, tried = gather(folder, detector, arguments.photos, aside=not arguments.all)
    print(f"landmarks106, labels {digest[:16]}: {type(detector).__name__} finds {len(faces)} of {tried} faces\n")
    located = check_error(faces)
    check_pose(faces, located)
    check_alignment(faces)
    check_boxes(faces, located)
    check_rolls(faces, located)
    check_time(faces[0])


if __name__ == "__main__":
    main()
