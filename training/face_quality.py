"""Fit the score that tells how well a face will match: ``python training/face_quality.py CACHE_FOLDER [--out FILE]``.

People of ``lfw_grey/`` with two photographs or more, parted by name as in `labelled`. Their faces are made worse, some
twice over, and the vectors held against the person's other photographs as they are. The score is the chance to reach a
similarity of 80: ridge regression of the median distance on the network's maps, then a logistic curve through what was found
on the people set aside to calibrate. Prints error-versus-discard for it and for what others use, on the people kept aside.
The file for dlib's network was fitted by this script's version of 2026-11-25, which cut dlib's chips.
"""

import argparse
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from covers import cover
from labelled import DATA, Part, part_of
from numpy.random import Generator
from PIL import Image
from scipy.optimize import minimize
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.appearance.image_quality import measure_quality
from facesearch.appearance.match_quality import features
from facesearch.benchmark import blurred, compressed, darkened, error_versus_discard, partial_area
from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.embedding.sface import SFaceEmbedder
from facesearch.images.crops import crop_similar
from facesearch.images.reading import read_image
from facesearch.matching.calibration import calibration
from facesearch.stages import CHIP_SIZE, AlignedFace

SIMILARITY: Final = 80
VERSIONS: Final = 6  # of each photograph: as it is, four made worse in one way, one in two ways
MOST_PHOTOS: Final = 6  # of a person that are made worse
MOST_OTHERS: Final = 12  # photographs that one is held against


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def resized(chip: PixelArray, side: int) -> PixelArray:
    """Return the chip of the same face photographed at a smaller size."""
    small = Image.fromarray(chip).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize((CHIP_SIZE, CHIP_SIZE), Image.Resampling.BILINEAR))


def jittered(chip: PixelArray, rng: Generator) -> PixelArray:
    """Turn, scale and shift a chip a little, as wrong landmarks do."""
    angle, scale, (x, y) = np.radians(rng.normal(0, 4)), np.exp(rng.normal(0, 0.06)), rng.normal(0, 4, 2)
    cos, sin, middle = np.cos(angle) * scale, np.sin(angle) * scale, CHIP_SIZE / 2
    matrix = (cos, -sin, middle * (1 - cos + sin) + x, sin, cos, middle * (1 - sin - cos) + y)
    size = (CHIP_SIZE, CHIP_SIZE)
    return np.asarray(Image.fromarray(chip).transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


Worse = Callable[[PixelArray, PointArray, Generator], PixelArray]
WAYS: Final[dict[str, Worse]] = {
    "blur": lambda chip, _, rng: blurred(chip, log_uniform(rng, 0.7, 9)),
    "dark": lambda chip, _, rng: darkened(chip, log_uniform(rng, 0.001, 0.4), seed=int(rng.integers(2**31))),
    "small": lambda chip, _, rng: resized(chip, round(log_uniform(rng, 9, 75))),
    "jpeg": lambda chip, _, rng: compressed(resized(chip, round(log_uniform(rng, 30, 150))), int(rng.integers(1, 35))),
    "cover": cover,
    "jitter": lambda chip, _, rng: jittered(chip, rng),
}


def versions(chip: PixelArray, points: PointArray, rng: Generator) -> tuple[list[PixelArray], list[str]]:
    """Return a face unchanged and degraded, with the names of the degradations."""
    chips, ways = [chip], ["as it is"]
    for version in range(1, VERSIONS):
        names = rng.choice(list(WAYS), size=2 if version == VERSIONS - 1 else 1, replace=False).tolist()
        worse = chip
        for name in names:
            worse = WAYS[name](worse, points, rng)
        chips.append(worse)
        ways.append(" + ".join(names))
    return chips, ways


def faces(cache: Path) -> dict[str, Any]:
    """Make the photographs worse and let the network look at them; kept in *cache* from one run to the next."""
    file = cache / "face_quality.npz"
    if file.exists():
        return dict(np.load(file))
    folders = [folder for folder in sorted((DATA / "lfw_grey").iterdir()) if folder.is_dir()]
    paths = [
        path for folder in folders if len(photos := sorted(folder.glob("*.jpg"))) > 1 for path in photos[:MOST_PHOTOS]
    ]
    analyzer, embedder = FaceAnalyzer(threads=1), SFaceEmbedder(threads=1, mirrored=False)
    rows: dict[str, list[Any]] = {"photo": [], "person": [], "way": [], "features": [], "quality": []}
    views = []
    for number, path in enumerate(paths):
        pixels = read_image(path).pixels
        found = analyzer.detector.detect(pixels)
        if not found:
            continue
        aligned = analyzer.aligner.align(pixels, max(found, key=lambda box: box.right - box.left))
        wider = _wider(aligned.to_picture)
        linear, shift = wider[:, :2], wider[:, 2]
        located = analyzer.landmarker.locate(pixels, aligned)
        points = np.linalg.solve(linear, (located - shift).T).T.astype(np.float64)
        rng = np.random.default_rng(zlib.crc32(path.name.encode()))
        chips, ways = versions(crop_similar(pixels, wider, (CHIP_SIZE, CHIP_SIZE), black=True), points, rng)
        cuts = [embedder.cut(chip, AlignedFace(chip=chip, to_picture=np.eye(2, 3)), points) for chip in chips]
        vectors, maps = embedder.embed_with_maps(np.stack([*cuts, *(cut[:, ::-1] for cut in cuts)]))
        views.append(vectors.reshape(2, len(chips), -1).swapaxes(0, 1))
        rows["photo"] += [number] * len(chips)
        rows["person"] += [path.parent.name] * len(chips)
        rows["way"] += ways
        crops_only = {name: array[: len(chips)] for name, array in maps.arrays.items()}
        rows["features"].append(features(attrs.evolve(maps, arrays=crops_only)))
        measured = [measure_quality(chip) for chip in chips]
        rows["quality"] += [(each.brightness, each.sharpness) for each in measured]
        if number % 500 == 0:
            print(f"{number} of {len(paths)}", flush=True)
    data = {
        "photo": np.array(rows["photo"]),
        "person": np.array(rows["person"]),
        "way": np.array(rows["way"]),
        "features": np.concatenate(rows["features"]),
        "quality": np.array(rows["quality"]),
        "vectors": np.concatenate(views),
    }
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(file, allow_pickle=False, **data)
    return data


def _wider(to_picture: PointArray) -> PointArray:
    """Return the place of a view a fifth larger than a chip: SFace's crops reach beyond chips."""
    middle = np.full(2, (CHIP_SIZE - 1) / 2)
    centre = to_picture[:, :2] @ middle + to_picture[:, 2]
    linear = to_picture[:, :2] * 1.2
    return np.column_stack([linear, centre - linear @ middle])


def held_against(data: dict[str, Any]) -> list[FloatArray]:
    """Return the distances of each face to its person's other photographs as they are."""
    faces = data["vectors"][:, 0].astype(np.float64)
    clean = np.flatnonzero(data["way"] == "as it is")
    own = {person: clean[data["person"][clean] == person] for person in np.unique(data["person"])}
    distances = []
    for vector, person, photo in zip(faces, data["person"], data["photo"], strict=True):
        others = own[person][data["photo"][own[person]] != photo][:MOST_OTHERS]
        distances.append(np.linalg.norm(faces[others] - vector, axis=1))
    return distances


def fit(data: dict[str, Any], distances: list[FloatArray], parts: Any) -> tuple[FloatArray, float]:
    """Return weights and bias of the score's logit."""
    useful = np.array([len(each) > 0 for each in distances])
    median = np.array([np.median(each) if len(each) else np.nan for each in distances])
    learn = useful & (parts == Part.LEARN)
    scaler = StandardScaler().fit(data["features"][learn])
    ridge = RidgeCV(np.logspace(0, 5, 11)).fit(scaler.transform(data["features"][learn]), median[learn])
    print(f"ridge penalty {ridge.alpha_:g}")
    weights = ridge.coef_ / scaler.scale_
    bias = float(ridge.intercept_ - weights @ scaler.mean_)
    # The chance to match, as a logistic curve of the distance that was foretold.
    reach = calibration().distance_at(SIMILARITY)
    rows = np.flatnonzero(useful & (parts == Part.CALIBRATE))
    foretold = data["features"][rows] @ weights + bias
    matched = np.array([np.mean(distances[row] <= reach) for row in rows])

    def loss(slope_and_middle: FloatArray) -> float:
        logit = slope_and_middle[0] * (foretold - slope_and_middle[1])
        return float(np.mean(np.logaddexp(0, logit) - matched * logit))

    slope, middle = minimize(loss, np.array([-20.0, reach]), method="Nelder-Mead").x
    print(f"chance to match: logistic of {slope:.2f} (distance - {middle:.4f})")
    return weights * slope, float((bias - middle) * slope)


def scores(data: dict[str, Any], weights: FloatArray, bias: float) -> dict[str, FloatArray]:
    """Return the scores to compare; each is higher for a better face."""
    vectors = data["vectors"].astype(np.float64)
    return {
        "learned (this one)": data["features"] @ weights + bias,
        "agreement with the mirror image": -np.linalg.norm(vectors[:, 1] - vectors[:, 0], axis=1),
        "mean of the last map": data["features"][:, -1024:].mean(axis=1),
        "sharpness": data["quality"][:, 1],
        "brightness": data["quality"][:, 0],
    }


def report(data: dict[str, Any], distances: list[FloatArray], parts: Any, compared: dict[str, FloatArray]) -> None:
    """Print error-versus-discard on the people kept aside, and whether the score keeps its word."""
    reach = calibration().distance_at(SIMILARITY)
    aside = np.flatnonzero(parts == Part.MEASURE)
    owners = np.concatenate([[row] * len(distances[row]) for row in aside]).astype(int)
    apart = np.concatenate([distances[row] for row in aside])
    people = len(np.unique(data["person"][aside]))
    print(
        f"kept aside: {people} people, {len(aside)} faces, {len(apart)} comparisons; similarity {SIMILARITY} is {reach:.4f}"
    )
    ways = data["way"][owners]
    kinds = {"all": np.ones(len(apart), bool)} | {way: ways == way for way in ("as it is", *WAYS)}
    for kind, chosen in kinds.items():
        start = float(np.mean(apart[chosen] > reach))
        print(
            f"{kind}: {chosen.sum()} comparisons, missed {start:.1%}; left after discarding 5, 10, 20%, area (0 is perfect, 1 tells nothing)"
        )
        for name, score in compared.items():
            curve = error_versus_discard(
                np.append(apart[chosen], 9.0),
                np.append(np.ones(chosen.sum()), 0),
                np.append(score[owners][chosen], 0),
                threshold=reach,
            )
            left = "  ".join(f"{curve.at(share):6.2%}" for share in (0.05, 0.1, 0.2))
            print(f"  {name:32} {left}  {partial_area(curve):.3f}")
    chance = 1 / (1 + np.exp(-compared["learned (this one)"][owners]))
    print("score and what came of it:")
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1)):
        inside = (chance >= low) & (chance < high)
        print(
            f"  {low:4.0%} to {high:4.0%}: {inside.sum():6} comparisons, {np.mean(apart[inside] <= reach):.1%} matched"
        )


def main() -> None:
    """Fit, print, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path, help="folder that keeps vectors from one run to the next: biometric data")
    parser.add_argument("--out", type=Path, help="write the weights here")
    arguments = parser.parse_args()
    data = faces(arguments.cache)
    parts = np.array([part_of(f"lfw_grey/{person}") for person in data["person"]])
    distances = held_against(data)
    weights, bias = fit(data, distances, parts)
    report(data, distances, parts, scores(data, weights, bias))
    if arguments.out:
        np.savez(arguments.out, weights=weights.astype(np.float32), bias=np.float32(bias))


if __name__ == "__main__":
    main()
