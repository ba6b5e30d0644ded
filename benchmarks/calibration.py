"""Check the shipped calibration on held-out people, and measure errors by group.

Protocol
--------
- lfw_grey, padded by a quarter of its side: people are halved by a draw; what one half calibrates is checked on the other. And the
  errors of all photos at the distances of the shipped calibration.
- FMR by group: utkface, adults (18 and older), every two photos of one gender and one label of race. UTKFace names nobody:
  two photos that are nearer than 0.3 are taken for one person, or one photo twice, and left out, counted. Photos of one person
  that remain would make the FMR look worse.
- FNMR by group: lfw_grey; the group of a person is the gender that most of the person's photos look like to the library.
- User vectors: the same FMR for users of 1, 3 and 5 photos, with the offset that the calibration adds and without.

``python benchmarks/calibration.py --cache FOLDER`` keeps the vectors, which are biometric data, outside the repository.
"""

import argparse
from pathlib import Path

import numpy as np
from _machine import data_folder, print_machine
from numpy.typing import NDArray

import facesearch as fs
from facesearch.analysis.analyzer import default_analyzer
from facesearch.benchmark import CutOptions, EmbeddedPhotos, Rate, embed_photos, read_people
from facesearch.benchmark.metrics.rates import CONFIDENCE
from facesearch.benchmark.protocols.calibration import calibrate
from facesearch.matching.template import robust_mean

Floats = NDArray[np.float64]
RACES = ("White", "Black", "Asian", "Indian", "other")  # UTKFace's labels, as its makers chose them
LEVELS = (80.0, 90.0, 99.0)


def distances(one: Floats, other: Floats) -> Floats:
    """Return the distance of each row to each row."""
    found: Floats = np.sqrt(np.maximum((one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T, 0))
    return found


def print_halves(vectors: NDArray[np.float32], who: NDArray[np.str_]) -> None:
    """Print what one half of the people promises and the other half keeps, and the other way round."""
    names = np.unique(who)
    drawn = np.random.default_rng(0).permutation(names)
    halves = [np.isin(who, drawn[: len(names) // 2]), np.isin(who, drawn[len(names) // 2 :])]
    print("\nCalibrated on one half of the people, measured on the other")
    for promised, kept, name in ((halves[0], halves[1], "first"), (halves[1], halves[0], "second")):
        table = calibrate(
            vectors[promised], who[promised].tolist(), face_model=fs.calibration().face_model, data="half"
        )
        matrix = distances(vectors[kept].astype(float), vectors[kept].astype(float))
        here = who[kept]
        upper = np.triu(np.ones(matrix.shape, bool), 1)
        same = here[:, None] == here
        strangers, mates = matrix[upper & ~same], matrix[upper & same]
        print(
            f"  {name} half: {len(strangers):,} comparisons of strangers and {len(mates):,} of one person in the other"
        )
        for row in table.rows:
            fmr, fnmr = (strangers <= row.distance).mean(), (mates > row.distance).mean()
            print(f"    similarity {row.similarity:3.0f}: FMR {row.fmr:.2g} promised, {fmr:.3g} kept; FNMR {fnmr:.1%}")


def print_shipped(embedded: EmbeddedPhotos, who: NDArray[np.str_]) -> None:
    """Print the errors at the distances of the shipped calibration, over all photos."""
    vectors = embedded.vectors.astype(float)
    matrix, same = distances(vectors, vectors), who[:, None] == who
    upper = np.triu(np.ones(matrix.shape, bool), 1)
    strangers, mates = matrix[upper & ~same], matrix[upper & same]
    print(f"\nAt the shipped distances, {sum(embedded.detected)} of {len(who)} photos with a detected face")
    for row in fs.calibration().rows:
        fmr, fnmr = (strangers <= row.distance).mean(), (mates > row.distance).mean()
        print(f"    similarity {row.similarity:3.0f}: FMR {fmr:.3g}, FNMR {fnmr:.1%}")


def print_race(embedded: EmbeddedPhotos, labels: list[dict[str, str]]) -> None:
    """Print FMR by UTKFace's labels."""
    table = fs.calibration()
    found = [row for row, detected in enumerate(embedded.detected) if detected]
    gender = np.array([labels[row]["gender"] for row in found])
    race = np.array([int(labels[row]["race"]) for row in found])
    vectors = embedded.vectors[found].astype(float)
    print(f"\nFMR within groups, utkface adults: {len(found)} photos of {len(embedded.photos)}, others without a face")
    for which in ("Male", "Female"):
        for number, name in enumerate(RACES):
            here = vectors[(gender == which) & (race == number)]
            pairs = distances(here, here)[np.triu_indices(len(here), 1)]
            kept = pairs[pairs > 0.3]
            rates = [Rate.of(int((kept <= table.distance_at(level)).sum()), len(kept)) for level in LEVELS]
            print(
                f"  {which:6} {name:6} {len(here):4} photos, {len(kept):7,} pairs, {len(pairs) - len(kept)} left out; "
                + ", ".join(
                    f"at {level:.0f}: {rate.value:.1e} ({rate.events})"
                    for level, rate in zip(LEVELS, rates, strict=True)
                )
            )


def print_gender(embedded: EmbeddedPhotos, who: NDArray[np.str_], looks: NDArray[np.bool_]) -> None:
    """Print both errors by the gender that people look like."""
    table = fs.calibration()
    print("\nlfw_grey by the gender most photos of a person look like (exact intervals, too narrow: photos are shared)")
    vectors = embedded.vectors.astype(float)
    for name, wanted in (("men", True), ("women", False)):
        people = [person for person in np.unique(who) if (looks[who == person].mean() >= 0.5) == wanted]
        rows = np.isin(who, people)
        matrix, same = distances(vectors[rows], vectors[rows]), who[rows][:, None] == who[rows]
        upper = np.triu(np.ones(matrix.shape, bool), 1)
        strangers, mates = matrix[upper & ~same], matrix[upper & same]
        print(f"  {name}: {len(people)} people, {rows.sum()} photos")
        for level in LEVELS:
            at = table.distance_at(level)
            fmr, fnmr = (
                Rate.of(int((strangers <= at).sum()), len(strangers)),
                Rate.of(int((mates > at).sum()), len(mates)),
            )
            print(f"    at {level:.0f}: FMR {fmr.value:.1e} ({fmr.events:,} of {fmr.trials:,}), FNMR {fnmr}")


def print_users(vectors: NDArray[np.float32], who: NDArray[np.str_]) -> None:
    """Print the FMR of users of several photos, with and without what the calibration adds to their distance."""
    table = fs.calibration()
    people = {person: np.flatnonzero(who == person) for person in np.unique(who)}
    probes = np.array([rows[0] for rows in people.values()])
    print("\nUsers of several photos: FMR of strangers' photos at 80, with the offset and without")
    for photos in (1, 3, 5):
        users = {person: rows for person, rows in people.items() if len(rows) >= 6}
        made = np.stack([robust_mean(vectors[rows[1 : 1 + photos]]) for rows in users.values()]).astype(float)
        matrix = distances(made, vectors[probes].astype(float))
        strangers = matrix[np.array(list(users))[:, None] != np.array(list(people))]
        moved = np.sqrt(strangers**2 + table.user_offset(photos))
        at = table.distance_at(80)
        print(
            f"  {photos} photos, {len(users)} users: {(moved <= at).mean():.2e} with, {(strangers <= at).mean():.2e} without, "
            f"{len(strangers):,} comparisons"
        )


def main() -> None:
    """Measure and print."""
    import csv

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for vectors, outside the repository")
    cache = parser.parse_args().cache
    cache.mkdir(parents=True, exist_ok=True)
    faces, utk = data_folder("lfw_grey"), data_folder("utkface")
    print_machine()
    print(fs.calibration())
    print(f"intervals: {CONFIDENCE:.0%}")
    people = read_people(faces)
    paths = [path for photos in people.values() for path in photos]
    who = np.array([name for name, photos in people.items() for _ in photos])
    options = CutOptions(padding=0.25, centred_share=0.91)
    lfw = embed_photos(paths, options=options, cache=cache / "lfw_grey.npz")
    print(f"\nlfw_grey: {len(paths)} photos of {len(people)} people; {lfw.undetected} undetected: {options.rule}")
    print_halves(lfw.vectors, who)
    print_shipped(lfw, who)
    print_users(lfw.vectors, who)
    with (utk / "labels.csv").open(newline="") as file:
        labels = [row for row in csv.DictReader(file) if int(row["age"]) >= 18]
    embedded = embed_photos(
        [utk / "images" / row["image"] for row in labels], options=CutOptions(padding=0.25), cache=cache / "utkface.npz"
    )
    print_race(embedded, labels)
    seen = cache / "lfw_grey_gender.npy"
    if not seen.exists():
        np.save(seen, [_looks_male(path) for path in paths])
    print_gender(lfw, who, np.load(seen))


def _looks_male(path: Path) -> bool:
    pixels = np.pad(fs.read_image(path).pixels, ((44, 44), (44, 44), (0, 0)), mode="edge")
    faces = default_analyzer().locate(pixels, attributes=["GENDER"])
    gender = faces[0].detail.gender if faces else None
    return gender is not None and gender.value is fs.GenderType.MALE


if __name__ == "__main__":
    main()
