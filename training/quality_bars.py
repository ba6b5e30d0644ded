"""Find the thresholds of the quality filters by what they do to recognition: ``python training/quality_bars.py CACHE_FOLDER``.

Photographs of ``lfw_grey/`` are made worse in one way, by steps, and sent through the whole library: detected again, measured,
embedded and held against the person's other photographs as they are. A logistic curve of each measurement tells the share of
comparisons missed at a similarity of 80; a threshold stands where that share passes what its filter allows.
`facesearch.selection.quality_filter` holds what this prints, rounded. Cross-validation by person says how well such a threshold holds
for other people: thresholds of four fifths of the people, and what faces at these thresholds miss in the last fifth.
"""

import argparse
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from labelled import DATA, Part, part_of
from scipy.optimize import minimize

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.analysis.faces import LocatedFace
from facesearch.appearance.match_quality import MatchQuality, features
from facesearch.benchmark import blurred, compressed, covered, darkened, shrunk
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.common.ordered_map import in_order
from facesearch.domain.face_detail import Pose
from facesearch.embedding.mapped import FeatureMaps
from facesearch.embedding.sface import SFaceEmbedder
from facesearch.images.reading import read_image
from facesearch.matching.calibration import calibration
from facesearch.networks.sface_onnx import SFACE_MAPS
from facesearch.selection.checks import quality_reasons
from facesearch.selection.quality_filter import SHIPPED_BARS, FaceMeasurements, QualityBars, QualityReason

SIMILARITY: Final = 80
MOST_PROBES: Final = (
    320  # photographs to make worse, one a person, among the people that the match quality learned from
)
ALLOWED: Final = {"LOW": 0.5, "MEDIUM": 0.25, "HIGH": 0.15}  # share of comparisons missed by a face at the threshold
FOLDS: Final = 5

Worse = Callable[[PixelArray, LocatedFace, float], PixelArray]


def _side(face: LocatedFace) -> float:
    return face.measurements.size


def _resized_to(pixels: PixelArray, face: LocatedFace, side: float) -> PixelArray:
    small = shrunk(pixels, min(1.0, side / _side(face)))
    missing = len(pixels) - len(small)  # the photograph stays as large as it was, the face gets small in it
    around = (missing // 2, missing - missing // 2)
    return np.pad(small, (around, around, (0, 0)), mode="edge")


def _covered(pixels: PixelArray, face: LocatedFace, share: float) -> PixelArray:
    box = face.detail.bounding_box
    if box is None:
        raise RuntimeError("a located face has a box")
    return covered(pixels, box, share)


WAYS: Final[dict[str, tuple[Worse, tuple[float, ...]]]] = {
    # sigma in hundredths of the face's shorter side
    "blur": (lambda pixels, face, sigma: blurred(pixels, sigma / 100 * _side(face)), (2, 3, 4, 5, 6, 8)),
    # share of the light that is left
    "dark": (lambda pixels, _, light: darkened(pixels, light, seed=1), (0.1, 0.05, 0.02, 0.01, 0.005, 0.0025)),
    # shorter side of the face, pixels, in a photograph stored as the web stores them: small faces rarely come otherwise
    "small": (
        lambda pixels, face, side: compressed(_resized_to(pixels, face, side), 60),
        (80, 60, 48, 40, 34, 30, 26, 22),
    ),
    # share of the face's height, from below
    "cover": (_covered, (0.25, 0.4, 0.5, 0.6)),
    # libjpeg's quality, of a face 60 pixels wide
    "jpeg": (lambda pixels, face, step: compressed(_resized_to(pixels, face, 60), int(step)), (20, 10, 5, 2)),
}
NAMES: Final = ("confidence", "brightness", "sharpness", "size", "yaw", "pitch", "quality")


@attrs.frozen(eq=False)
class FaceMeasurement:
    """Output of the library for a photograph: what `NAMES` has, features of the match quality, vector; NaN where no face is found.

    The features are kept instead of the quality, so that a new score needs no new run.
    """

    measured: FloatArray
    features: FloatArray
    vector: FloatArray


class FaceMeasurer:
    """Measures the largest face of photographs."""

    def __init__(self) -> None:
        self._embedder = SFaceEmbedder(threads=1)
        self._analyzer = FaceAnalyzer(threads=1, embedder=self._embedder)

    def locate(self, pixels: PixelArray) -> LocatedFace | None:
        """Return the largest face, if there is one."""
        return next(iter(self._analyzer.locate(pixels)), None)

    def measure(self, pixels: PixelArray) -> FaceMeasurement:
        """Measure and embed it."""
        face = self.locate(pixels)
        if face is None:
            return FaceMeasurement(
                *(np.full(size, np.nan, np.float32) for size in (len(NAMES) - 1, SFACE_MAPS[0], 128))
            )
        (vector,), maps = self._embedder.embed_with_maps(face.probe[None])
        m = face.measurements
        row = (m.confidence, m.brightness, m.sharpness, m.size, m.pose.yaw, m.pose.pitch)
        return FaceMeasurement(np.array(row, np.float32), features(maps)[0], vector)


def with_quality(data: dict[str, Any]) -> dict[str, Any]:
    """Append the shipped score of match quality to the measurements."""
    known = np.isfinite(data["features"][:, 0])
    quality = np.full(len(known), np.nan, np.float32)
    maps = FeatureMaps(arrays={"maps": data["features"][known].astype(np.float32)[:, :, None, None]})
    quality[known] = MatchQuality().score(maps)
    return data | {"measured": np.column_stack([data["measured"], quality])}


def measure(cache: Path, most: int) -> dict[str, Any]:
    """Analyse the photographs of *most* people; the results are kept in *cache* from one run to the next."""
    file = cache / f"quality_bars_{most}.npz"
    if file.exists():
        return dict(np.load(file))
    measurer = FaceMeasurer()
    people = {
        folder.name: photos
        for folder in sorted((DATA / "lfw_grey").iterdir())
        if folder.is_dir() and len(photos := sorted(folder.glob("*.jpg"))) > 1
    }
    everyone = sorted(people, key=lambda name: zlib.crc32(name.encode()))[:most]
    aside = [name for name in everyone if part_of(f"lfw_grey/{name}") is Part.MEASURE]
    probed = set(aside) | set([name for name in everyone if name not in aside][:MOST_PROBES])

    def measure_photo(path: Path) -> list[tuple[str, float, FaceMeasurement]]:
        pixels = read_image(path).pixels
        face = measurer.locate(pixels)
        found = [("as it is", 0.0, measurer.measure(pixels))]
        if face is not None and path == people[path.parent.name][0] and path.parent.name in probed:
            found += [
                (way, step, measurer.measure(worse(pixels, face, step)))
                for way, (worse, steps) in WAYS.items()
                for step in steps
            ]
        return found

    paths = [path for name in everyone for path in people[name]]
    rows = []
    for number, (path, found) in enumerate(zip(paths, in_order(measure_photo, paths, 2), strict=True)):
        rows += [(path.parent.name, number, *each) for each in found]
        if number % 200 == 0:
            print(f"{number} of {len(paths)}", flush=True)
    data = {
        "person": np.array([row[0] for row in rows]),
        "photo": np.array([row[1] for row in rows]),
        "way": np.array([row[2] for row in rows]),
        "step": np.array([row[3] for row in rows]),
        "measured": np.stack([row[4].measured for row in rows]),
        "features": np.stack([row[4].features for row in rows]).astype(np.float16),
        "vector": np.stack([row[4].vector for row in rows]),
    }
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(file, allow_pickle=False, **data)
    return data


def missed_share(data: dict[str, Any]) -> FloatArray:
    """Give, for each look, the share of its person's other photographs that it is not similar to; NaN where there is none."""
    reach = calibration().distance_at(SIMILARITY)
    clean = np.flatnonzero((data["way"] == "as it is") & np.isfinite(data["vector"][:, 0]))
    own = {person: clean[data["person"][clean] == person] for person in np.unique(data["person"])}
    shares = np.full(len(data["photo"]), np.nan)
    for row, (vector, person, photo) in enumerate(zip(data["vector"], data["person"], data["photo"], strict=True)):
        others = own[person][data["photo"][own[person]] != photo]
        if len(others) and np.isfinite(vector[0]):
            shares[row] = np.mean(np.linalg.norm(data["vector"][others] - vector, axis=1) > reach)
    return shares


@attrs.frozen
class Curve:
    """The share of comparisons missed by a measurement: a logistic curve from what the best faces miss up to all."""

    floor: float
    slope: float
    middle: float
    logarithmic: bool

    @classmethod
    def through(cls, values: FloatArray, missed: FloatArray, *, logarithmic: bool) -> "Curve":
        """Fit by least cross entropy."""
        x = np.log(np.maximum(values, 1e-3)) if logarithmic else values

        def shape(parameters: FloatArray) -> FloatArray:
            floor, slope, middle = 1 / (1 + np.exp(np.clip(-parameters[0], -40, 40))), parameters[1], parameters[2]
            share: FloatArray = floor + (1 - floor) / (1 + np.exp(np.clip(slope * (x - middle), -40, 40)))
            return np.clip(share, 1e-6, 1 - 1e-6)

        def loss(parameters: FloatArray) -> float:
            share = shape(parameters)
            return float(-np.mean(missed * np.log(share) + (1 - missed) * np.log(1 - share)))

        low, high = np.quantile(x, [0.1, 0.9])
        starts = [np.array([-2.5, 6 / max(high - low, 1e-6), at]) for at in (low, (low + high) / 2, high)]
        best = min(
            (minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000}) for start in starts),
            key=lambda r: r.fun,
        )
        floor, slope, middle = 1 / (1 + np.exp(np.clip(-best.x[0], -40, 40))), best.x[1], best.x[2]
        return cls(float(floor), float(slope), float(middle), logarithmic)

    def missed_at(self, value: float) -> float:
        """Return the share that a face with this measurement misses."""
        x = np.log(max(value, 1e-3)) if self.logarithmic else value
        return float(self.floor + (1 - self.floor) / (1 + np.exp(np.clip(self.slope * (x - self.middle), -40, 40))))

    def value_at(self, missed: float) -> float:
        """Return the measurement at which this share is missed; NaN if the share is never that low."""
        if missed <= self.floor:
            return float("nan")
        above = (missed - self.floor) / (1 - self.floor)
        x = self.middle + np.log(1 / above - 1) / self.slope
        return float(np.exp(x) if self.logarithmic else x)


def trials(data: dict[str, Any]) -> Iterator[tuple[str, Any, FloatArray, bool]]:
    """Return the input of each threshold: name, photographs, measurement, and whether its curve is over the logarithm."""
    column = {name: data["measured"][:, number] for number, name in enumerate(NAMES)}
    natural = data["way"] == "as it is"
    first = np.isin(data["photo"], data["photo"][data["way"] != "as it is"])
    yield "sharpness", (data["way"] == "blur") | (natural & first), column["sharpness"], False
    yield "brightness", (data["way"] == "dark") | (natural & first), column["brightness"], True
    yield "size", (data["way"] == "small") | (natural & first), column["size"], True
    yield "confidence", first, column["confidence"], False
    yield "quality", first, column["quality"], False
    yield "yaw", natural & (np.abs(column["pitch"]) < 12), -np.abs(column["yaw"]), False
    yield "pitch up", natural & (column["pitch"] > 0) & (np.abs(column["yaw"]) < 20), -column["pitch"], False
    yield "pitch down", natural & (column["pitch"] < 0) & (np.abs(column["yaw"]) < 20), column["pitch"], False


def refusals(data: dict[str, Any], bars: QualityBars) -> list[tuple[QualityReason, ...]]:
    """Return the reasons for which each photograph fails the thresholds."""
    reasons = []
    for row in data["measured"]:
        m = dict(zip(NAMES, np.nan_to_num(row).tolist(), strict=True))
        face = FaceMeasurements(
            area=m["size"] ** 2,
            size=m["size"],
            confidence=m["confidence"],
            brightness=m["brightness"],
            sharpness=m["sharpness"],
            pose=Pose(roll=0, yaw=m["yaw"], pitch=m["pitch"]),
            quality=m["quality"],
        )
        reasons.append(quality_reasons(face, bars))
    return reasons


def report_filters(data: dict[str, Any], missed: FloatArray, aside: Any) -> None:
    """Print what the shipped filters refuse of people kept aside, and what the refused and the others miss."""
    known = np.isfinite(missed) & aside
    print(
        "people whom the match quality did not learn from: refused (for LOW_FACE_QUALITY), missed by the refused and the others"
    )
    for level in ALLOWED:
        bars = SHIPPED_BARS.of(level)
        if bars is None:
            raise RuntimeError("only NONE has no bars")
        reasons = refusals(data, bars)
        refused = np.array([bool(each) for each in reasons])
        poor = np.array([each == (QualityReason.LOW_FACE_QUALITY,) for each in reasons])
        for way in ("as it is", *WAYS):
            looks = known & (data["way"] == way)
            shares = [np.mean(missed[looks & of]) if (looks & of).any() else np.nan for of in (refused, ~refused)]
            print(
                f"  {level:7} {way:9} {looks.sum():5} looks, refused {np.mean(refused[looks]):6.1%} "
                f"({np.mean(poor[looks]):5.1%}), missed {shares[0]:6.1%} {shares[1]:6.1%}"
            )
    print("missed by confidence, of all people's faces that pass everything else that MEDIUM asks for:")
    medium = SHIPPED_BARS.medium
    others = np.array([not each for each in refusals(data, attrs.evolve(medium, min_confidence=0))])
    confidence = data["measured"][:, NAMES.index("confidence")]
    for low, high in pairwise((50, 60, 75, 90, 95, 98, 99, 100)):
        inside = np.isfinite(missed) & others & (confidence >= low) & (confidence < high)
        print(f"  {low} to {high}: {inside.sum():5} looks, {np.mean(missed[inside]):.1%}")


def main() -> None:
    """Measure, choose, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path, help="folder that keeps vectors from one run to the next: biometric data")
    parser.add_argument("--people", type=int, default=1000, help="at most; the more, the exacter")
    arguments = parser.parse_args()
    data = with_quality(measure(arguments.cache, arguments.people))
    missed = missed_share(data)
    aside = np.array([part_of(f"lfw_grey/{person}") is Part.MEASURE for person in data["person"]])
    known = np.isfinite(missed)
    fold = np.array([zlib.crc32(person.encode()) % FOLDS for person in data["person"]])
    print(
        f"{'threshold':12}" + "".join(f"{name:>10}" for name in ALLOWED) + "   best faces miss; photographs of people"
    )
    for name, looks, values, logarithmic in trials(data):
        chosen = looks & known

        curve = Curve.through(values[chosen], missed[chosen], logarithmic=logarithmic)
        print(
            f"{name:12}"
            + "".join(f"{curve.value_at(share):10.2f}" for share in ALLOWED.values())
            + f"   {curve.floor:.1%}; {chosen.sum()} of {len(np.unique(data['person'][chosen]))}"
        )
        shares = []
        for k in range(FOLDS):
            others, own = (
                Curve.through(values[rows], missed[rows], logarithmic=logarithmic)
                for rows in (chosen & (fold != k), chosen & (fold == k))
            )
            shares.append([own.missed_at(others.value_at(share)) for share in ALLOWED.values()])
        print(
            "    folds     "
            + "".join(f"{share:10.1%}" for share in np.mean(shares, axis=0))
            + "   missed there by faces of the last fifth"
        )
    report_filters(data, missed, aside)
    print("no face found, of photographs made worse:")
    for way, (_, steps) in WAYS.items():
        counts = []
        for step in steps:
            looks = (data["way"] == way) & (data["step"] == step)
            counts.append(
                f"{step:g}: {np.mean(np.isnan(data['measured'][looks, 0])):.0%} (missed {np.mean(missed[looks & known]) if (looks & known).any() else np.nan:.0%})"
            )
        print(f"  {way:6} {', '.join(counts)}")


if __name__ == "__main__":
    main()
