"""Measure the accuracy of each attribute on held-out photographs, through the whole path from picture to FaceDetail.

``python benchmarks/attributes.py [--photos 0]``: all 6,500 photographs take some minutes.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from _machine import data_folder, print_machine
from numpy.typing import NDArray
from PIL import Image

import facesearch as fs
from facesearch.analysis.analyzer import default_analyzer
from facesearch.appearance.describer import PlacedFace
from facesearch.appearance.heads import FaceHeads
from facesearch.benchmark import area_under_curve
from facesearch.common.arrays import PixelArray
from facesearch.detection.pose import solve_pose
from facesearch.detection.pupils import find_pupil
from facesearch.domain.attributes import parse_attributes
from facesearch.embedding.sface import SFaceEmbedder
from facesearch.images.formats.raster import MIN_SIDE
from facesearch.networks.runtime import usable_cores
from facesearch.networks.sface_onnx import SFACE_SIZE
from facesearch.stages import CHIP_SIZE

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import itertools

from labelled import EMOTIONS, Part, Photo, part_of, photos  # after the path

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# What we call it, AWS's field, and which of its values counts as a yes.
YES_OR_NO: Final = {
    "smile": "smile",
    "mouth_open": "mouth_open",
    "eyeglasses": "eyeglasses",
    "sunglasses": "sunglasses",
    "beard": "beard",
    "mustache": "mustache",
    "male": "gender",
    "masked": "face_occluded",
    "eyes_open": "eyes_open",
}
RACES: Final = ("White", "Black", "Asian", "Indian", "other")  # UTKFace's labels, as its makers chose them
BANDS: Final = ((0, 2), (3, 12), (13, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 120))


@attrs.frozen
class Seen:
    """A photograph, and what was said of the face in its middle; ``None`` where none was found."""

    photo: Photo
    face: fs.LocatedFace | None


def large_enough(pixels: PixelArray) -> PixelArray:
    """Return a picture with black around it, if it is smaller than the library accepts: FER2013's, and some of south_asia."""
    missing = [max(0, -(-(MIN_SIDE - side) // 2)) for side in pixels.shape[:2]]
    return np.pad(pixels, (*((each, each) for each in missing), (0, 0)))


def analyse(photo: Photo) -> Seen:
    """Describe the face in the middle of a photograph."""
    pixels = large_enough(photo.pixels())
    faces = default_analyzer().locate(pixels, attributes=("ALL",))

    def off(face: fs.LocatedFace) -> float:
        box = face.detail.bounding_box
        assert box is not None  # noqa: S101  # every located face has one
        return abs(box.left + box.width / 2 - 0.5) + abs(box.top + box.height / 2 - 0.5) - box.width / 2

    return Seen(photo, min(faces, key=off, default=None))


def chance(face: fs.LocatedFace, field: str) -> float | None:
    """Return the chance of a yes that a value and its confidence stand for; ``None`` where the attribute is absent."""
    answer = getattr(face.detail, field)
    if answer is None:
        return None
    yes = answer.value is True or answer.value is fs.GenderType.MALE
    return float(answer.confidence if yes else 100 - answer.confidence) / 100


def interval(right: int, of: int) -> str:
    """Return a share in percent with its 95% interval (Wilson)."""
    if of == 0:
        return "none"
    z, p = 1.96, right / of
    middle, half = p + z * z / (2 * of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return f"{100 * p:.1f}% ({100 * (middle - half) / scale:.1f}-{100 * (middle + half) / scale:.1f}, n = {of})"


def scored(seen: Iterable[Seen], label: str) -> tuple[Floats, Bools, int]:
    """Return chance and truth of each photograph that has the label and an answer, and how many have none."""
    scores, truth, absent = [], [], 0
    for each in seen:
        if label in each.photo.known and not (label == "eyes_open" and _learned_by_eye_state(each.photo)):
            p = chance(each.face, YES_OR_NO[label]) if each.face is not None else None
            if p is None:
                absent += 1
            else:
                scores.append(p)
                truth.append(each.photo.known[label] > 0.5)
    return np.array(scores), np.array(truth, bool), absent


def _learned_by_eye_state(photo: Photo) -> bool:
    # `training/eye_state.py` learned before celeba was parted by person: its part went by the name of the photograph.
    return photo.folder == "celeba" and part_of(f"celeba/{Path(photo.name).name}") is not Part.MEASURE


def print_yes_or_no(seen: Sequence[Seen]) -> None:
    """Print how often each value is right, by folder."""
    print("Yes or no, value right at confidence >= 50 (95% interval); AUC; answers absent, faces not found among them")
    for label in YES_OR_NO:
        for folder in ("celeba", "utkface", "landmarks106", "masks", "south_asia"):
            chosen = [each for each in seen if each.photo.folder == folder]
            scores, truth, absent = scored(chosen, label)
            if len(scores) and 0 < truth.mean() < 1:
                right = int(((scores >= 0.5) == truth).sum())
                balanced = ((scores[truth] >= 0.5).mean() + (scores[~truth] < 0.5).mean()) / 2
                print(
                    f"  {label:11} {folder:13} {interval(right, len(scores))}, balanced {100 * balanced:.1f}%, "
                    f"AUC {area_under_curve(-scores, truth):.3f}, yes found {int((scores[truth] >= 0.5).sum())} of {truth.sum()}, "
                    f"absent {absent}"
                )
    tinted = [each for each in seen if each.photo.known.get("eyeglasses") == 1 and each.photo.folder == "celeba"]
    scores, truth, absent = scored(tinted, "sunglasses")
    right = int(((scores >= 0.5) == truth).sum())
    print(f"  sunglasses against clear glasses {interval(right, len(scores))}, absent {absent}")
    scores, truth, absent = scored(adults(seen), "male")
    print(
        f"  gender, utkface over 12 years: {interval(int(((scores >= 0.5) == truth).sum()), len(scores))}, absent {absent}"
    )


def print_groups(seen: Sequence[Seen]) -> None:
    """Print how often each value is right, by the groups that labels tell apart."""
    print("\nBy group")
    for name, value in (("men", 1.0), ("women", 0.0)):
        chosen = [each for each in seen if each.photo.folder == "celeba" and each.photo.known["male"] == value]
        parts = []
        for label in ("smile", "mouth_open", "eyeglasses", "sunglasses", "beard", "mustache", "male"):
            scores, truth, _ = scored(chosen, label)
            parts.append(f"{label} {100 * ((scores >= 0.5) == truth).mean():.1f}%")
        print(f"  celeba {name:6} (n = {len(chosen)}): " + ", ".join(parts))
    groups = [
        (f"utkface over 12, labelled {race}", [e for e in adults(seen) if e.photo.known.get("race") == number])
        for number, race in enumerate(RACES)
    ]
    south_asia = [each for each in seen if each.photo.folder == "south_asia"]
    for region in sorted({each.photo.group for each in south_asia}):
        inside = [each for each in south_asia if each.photo.group == region]
        groups.append((f"south_asia, {region}", inside))
        for name, child in (("over 12 by eye", 0.0), ("children by eye", 1.0)):
            groups.append((f"south_asia, {region}, {name}", [e for e in inside if e.photo.known["child"] == child]))
    for name, chosen in groups:
        scores, truth, _ = scored(chosen, "male")
        men, women = int((scores[truth] >= 0.5).sum()), int((scores[~truth] < 0.5).sum())
        print(f"  gender, {name}: men {interval(men, int(truth.sum()))}; women {interval(women, int((~truth).sum()))}")


def adults(seen: Iterable[Seen]) -> list[Seen]:
    """Return the photographs of people over 12 years."""
    return [each for each in seen if each.photo.known.get("age", 0) > 12]


def print_age(seen: Sequence[Seen]) -> None:
    """Print the error of the middle of AgeRange, and how often it holds the true age."""
    print("\nAge: mean error of the range's middle, years; range holds the age; mean width, years")

    def line(name: str, chosen: Iterable[Seen]) -> None:
        rows = [
            (each.photo.known["age"], each.face.detail.age_range)
            for each in chosen
            if each.face is not None and each.face.detail.age_range is not None
        ]
        if rows:
            error = np.mean([abs((found.low + found.high) / 2 - age) for age, found in rows])
            bias = np.mean([(found.low + found.high) / 2 - age for age, found in rows])
            holds = np.mean([found.low <= age <= found.high for age, found in rows])
            width = np.mean([found.high - found.low for _, found in rows])
            print(f"  {name:24} {error:5.2f} (bias {bias:+.1f}), {100 * holds:.0f}%, {width:.1f}, n = {len(rows)}")

    aged = [each for each in seen if "age" in each.photo.known]
    line("all", aged)
    for low, high in BANDS:
        line(f"{low}-{high} years", [each for each in aged if low <= each.photo.known["age"] <= high])
    for number, race in enumerate(RACES):
        line(f"labelled {race}", [each for each in aged if each.photo.known["race"] == number])
    for name, value in (("labelled male", 1.0), ("labelled female", 0.0)):
        line(name, [each for each in aged if each.photo.known["male"] == value])


def print_emotions(seen: Sequence[Seen]) -> None:
    """Print how often the first emotion is the labelled one."""
    rows = [
        (EMOTIONS[int(each.photo.known["emotion"])], each.face.detail.emotions)
        for each in seen
        if "emotion" in each.photo.known and each.face is not None and each.face.detail.emotions
    ]
    labelled = sum("emotion" in each.photo.known for each in seen)
    print(f"\nEmotions, fer2013: the first is the labelled one; {len(rows)} of {labelled} assessed")
    recalls = []
    for name in EMOTIONS:
        firsts = [emotions[0].type.value for truth, emotions in rows if truth == name]
        recalls.append(np.mean([first == name for first in firsts]))
        others = {other: firsts.count(other) for other in EMOTIONS if other != name}
        worst = max(others, key=lambda other: others[other])
        print(f"  {name:10} {100 * recalls[-1]:.1f}% of {len(firsts)}, most often taken for {worst} ({others[worst]})")
    right = np.mean([emotions[0].type.value == truth for truth, emotions in rows])
    print(f"  balanced {100 * np.mean(recalls):.1f}%, plain {100 * right:.1f}%")


def print_reliability(seen: Sequence[Seen]) -> None:
    """Print, of the values given a confidence, how many are right."""
    edges = [50, 60, 70, 80, 90, 95, 99, 100.001]
    print("\nReliability: confidence given, and share right of the values given it")
    print("  " + " " * 22 + "".join(f"{f'{low}-{min(high, 100):.0f}':>18}" for low, high in itertools.pairwise(edges)))

    def line(name: str, confidence: Floats, right: Bools) -> None:
        cells = []
        for low, high in itertools.pairwise(edges):
            inside = (confidence >= low) & (confidence < high)
            cells.append(f"{100 * right[inside].mean():.0f}% of {inside.sum()}" if inside.any() else "-")
        error = np.average(
            [abs(right[i].mean() - confidence[i].mean() / 100) for i in _bins(confidence, edges)],
            weights=[len(i) for i in _bins(confidence, edges)],
        )
        print(f"  {name:22}" + "".join(f"{cell:>18}" for cell in cells) + f"   mean gap {100 * error:.1f}")

    for label in YES_OR_NO:
        for folder in ("celeba", "utkface", "masks"):
            scores, truth, _ = scored([each for each in seen if each.photo.folder == folder], label)
            if len(scores) and 0 < truth.mean() < 1:
                line(f"{label} {folder}", 100 * np.maximum(scores, 1 - scores), (scores >= 0.5) == truth)
    pairs = [
        (emotion.confidence, emotion.type.value == EMOTIONS[int(each.photo.known["emotion"])])
        for each in seen
        if "emotion" in each.photo.known and each.face is not None
        for emotion in each.face.detail.emotions or ()
        if emotion.confidence >= 50
    ]
    if pairs:
        line("emotions fer2013", np.array([p for p, _ in pairs]), np.array([right for _, right in pairs]))


def _bins(confidence: Floats, edges: Sequence[float]) -> list[NDArray[np.intp]]:
    found = [np.flatnonzero((confidence >= low) & (confidence < high)) for low, high in itertools.pairwise(edges)]
    return [inside for inside in found if len(inside)]


def print_sizes(seen: Sequence[Seen], count: int = 300) -> None:
    """Print how answers hold when the face is made smaller."""
    print(
        f"\nSmaller faces, the first {count} of celeba and utkface: pixels a side of the crop; smile, gender, age error"
    )
    network, heads = SFaceEmbedder(), FaceHeads()
    for side in (SFACE_SIZE[0], 60, 40, 30, 24):
        smile, gender, age = [], [], []
        for folder in ("celeba", "utkface"):
            chosen = [(s.photo.known, s.face) for s in seen if s.photo.folder == folder and s.face is not None][:count]
            chips = np.stack([_smaller(face.probe, side) for _, face in chosen])
            answers = heads.read(network.embed_with_maps(chips)[1])
            for (known, _), answer in zip(chosen, answers, strict=True):
                gender.append((answer.chance["male"] >= 0.5) == (known["male"] > 0.5))
                if "smile" in known:
                    smile.append((answer.chance["smile"] >= 0.5) == (known["smile"] > 0.5))
                if "age" in known:
                    age.append(abs(answer.age[0] - known["age"]))
        print(f"  {side:3} px: {100 * np.mean(smile):.1f}%, {100 * np.mean(gender):.1f}%, {np.mean(age):.1f} years")


def _smaller(chip: PixelArray, side: int) -> PixelArray:
    small = Image.fromarray(chip).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize(SFACE_SIZE, Image.Resampling.BILINEAR))


def print_time(seen: Sequence[Seen]) -> None:
    """Print what the attributes cost beside the embedding, which the same pass gives."""
    print("\nTime of one thread, ms of its processor a face, least of 60: embedding alone, and with every attribute")
    analyzer = fs.FaceAnalyzer(threads=1)
    asked = parse_attributes(["ALL"])
    photo = next(each.photo for each in seen if each.photo.folder == "landmarks106" and each.face is not None)
    pixels = photo.pixels()
    aligned = analyzer.aligner.align(pixels, analyzer.detector.detect(pixels)[0])
    points = analyzer.landmarker.locate(pixels, aligned)
    place = PlacedFace(
        crop=analyzer.embedder.cut(pixels, aligned, points),
        points=points,
        pupils=(find_pupil(points[36:42], pixels), find_pupil(points[42:48], pixels)),
        pose=solve_pose(points),
        chip_side=CHIP_SIZE,
    )
    pupils = min(
        _time(lambda: [find_pupil(points[eye], pixels) for eye in (slice(36, 42), slice(42, 48))]) for _ in range(60)
    )
    for count in (1, 4, 16):
        places = [place] * count
        chips = np.stack([place.crop] * count)
        plain, full = [], []
        for _ in range(60):
            plain.append(_time(partial(analyzer.embedder.embed, chips)) / count)
            full.append(_time(partial(analyzer.describer.describe, pixels, places, asked)) / count)
        more = min(full) - min(plain)
        print(
            f"  {count:2} faces: {min(plain):.2f} and {min(full):.2f}, {more:.2f} more, and {pupils:.2f} to find both pupils"
        )


def _time(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return 1000 * (time.thread_time() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=0, help="of each folder at most; 0 for all")
    most = parser.parse_args().photos
    data_folder("celeba")
    print_machine()
    kept = [photo for photo in photos() if photo.part is Part.MEASURE]
    if most:
        folders = sorted({photo.folder for photo in kept})
        kept = [photo for folder in folders for photo in [p for p in kept if p.folder == folder][:most]]
    with ThreadPoolExecutor(usable_cores()) as pool:
        seen = list(pool.map(analyse, kept))
    for folder in sorted({photo.folder for photo in kept}):
        chosen = [each for each in seen if each.photo.folder == folder]
        print(
            f"{folder}: {len(chosen)} photographs kept aside, a face found in {sum(e.face is not None for e in chosen)}"
        )
    print()
    print_yes_or_no(seen)
    print_groups(seen)
    print_age(seen)
    print_emotions(seen)
    print_reliability(seen)
    print_sizes(seen)
    print_time(seen)


if __name__ == "__main__":
    main()
