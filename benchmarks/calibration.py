"""Measure the calibration on four sets of people, write it, and check it on held-out people and by group.

Sets
----
- lfw_grey: grey, cut tightly at the face, photos of one person too.
- celeba with identity.csv: small, in colour, photos of one person too. Two photos of two names that are nearer than
  `COPY` are taken for one person or one photo, and left out, counted.
- south_asia: nobody comes twice on purpose, but some do: of the 40 nearest pairs, up to 0.9, all but a few show one person, as far as an
  eye can tell, and of the next 50, up to 1.0, about 10. Photos below 80 pixels a side, which the library refuses, are left out. Near
  photos are left out as above.
- cacd_vs: people recur across its pairs under no name, so it is printed, near photos left out, and decides nothing.

A percentage holds in each of the first three: `facesearch.benchmark.calibrate` takes the smallest distance that any of them asks for.

Checks
------
- Halves: people of the three sets are halved by a draw; what one half calibrates is checked on the other.
- FMR by group: utkface, adults (18 and older), every two photos of one gender and one label of race; south_asia, of one gender and
  region, and of one gender. UTKFace names nobody either: near copies are left out, counted. Photos of one person
  that remain would make the FMR look worse.
- FNMR by group: lfw_grey; the group of a person is the gender that most of the person's photos look like to the library.
- User vectors: the FMR at 80 for users of 1, 3 and 5 photos, with the offset that the calibration adds and without.
- A wrong photo: users of five photos, one of which shows somebody else: how many of the right ones are still found.

``python benchmarks/calibration.py --cache FOLDER [--save FILE] [--models dlib] [--mirrored | --no-mirrored]`` keeps the vectors, which are biometric data,
outside the repository; ``--save`` writes the calibration that the library ships.
"""

import argparse
import csv
from pathlib import Path

import attrs
import numpy as np
from _machine import data_folder, print_machine
from numpy.typing import NDArray

import facesearch as fs
from facesearch.benchmark import CutOptions, Rate, embed_photos, read_people
from facesearch.benchmark.metrics.rates import CONFIDENCE
from facesearch.benchmark.protocols.calibration import calibrate
from facesearch.matching.template import robust_mean

Floats = NDArray[np.float64]
RACES = ("White", "Black", "Asian", "Indian", "other")  # UTKFace's labels, as its makers chose them
LEVELS = (80.0, 90.0, 99.0)
LIMITS = {80.0: 3e-3, 99.0: 3e-4}  # FMR that no group should exceed at a similarity
COPY = 0.9  # distance of photos taken for one person's: of two strangers in lfw_grey one pair in a million is nearer


@attrs.frozen(eq=False)
class PhotoSet:
    """A set of photos: its vectors, the person in each, and what is known of its groups."""

    name: str
    vectors: Floats
    who: NDArray[np.str_]
    labels: list[dict[str, str]]

    def rows(self, which: NDArray[np.bool_]) -> "PhotoSet":
        """Return some of the photos."""
        labels = [label for label, chosen in zip(self.labels, which, strict=True) if chosen]
        return PhotoSet(self.name, self.vectors[which], self.who[which], labels)


def distances(one: Floats, other: Floats) -> Floats:
    """Return the distance of each row to each row."""
    found: Floats = np.sqrt(np.maximum((one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T, 0))
    return found


def compared(vectors: Floats, who: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """Return the distances of all strangers, and of all photos of one person."""
    names = np.unique(who, return_inverse=True)[1]
    strangers, mates = [], []
    for start in range(0, len(vectors), 1000):
        block = slice(start, start + 1000)
        found = distances(vectors[block], vectors[start:]).astype(np.float32)
        row, column = np.triu_indices(len(found), 1, found.shape[1])
        same = names[start + row] == names[start + column]
        values = found[row, column]
        strangers.append(values[~same])
        mates.append(values[same])
    return np.concatenate(strangers), np.concatenate(mates)


def without_copies(given: PhotoSet) -> tuple[PhotoSet, int]:
    """Remove one of every two photos of different names that are nearer than `COPY`; return how many."""
    names = np.unique(given.who, return_inverse=True)[1]
    kept = np.ones(len(given.who), bool)
    for start in range(0, len(given.vectors), 1000):
        block = slice(start, start + 1000)
        near = distances(given.vectors[block], given.vectors) < COPY
        near &= names[block, None] != names
        for row, column in np.argwhere(near).tolist():
            if start + row < column and kept[start + row]:
                kept[column] = False
    return given.rows(kept), int((~kept).sum())


def read_sets(analyzer: fs.FaceAnalyzer, cache: Path) -> dict[str, PhotoSet]:
    """Embed all sets, or read their vectors from the cache; photos without a detected face take no part."""

    def embedded(
        name: str, paths: list[Path], who: list[str], labels: list[dict[str, str]], options: CutOptions
    ) -> PhotoSet:
        found = embed_photos(paths, analyzer=analyzer, options=options, cache=cache / f"{name}.npz")
        detected = np.array(found.detected)
        print(f"{name}: {len(paths):,} photos of {len(set(who)):,} names, {found.undetected} without a detected face")
        return PhotoSet(name, found.vectors.astype(float), np.array(who), labels).rows(detected)

    people = read_people(data_folder("lfw_grey"))
    lfw = [(path, name) for name, photos in people.items() for path in photos]
    celeba, south, utk, cacd = (data_folder(name) for name in ("celeba", "south_asia", "utkface", "cacd_vs"))
    persons = read_csv(celeba / "identity.csv")
    regions = [row for row in read_csv(south / "labels.csv") if _is_large_enough(south / "images" / row["image"])]
    adults = [row for row in read_csv(utk / "labels.csv") if int(row["age"]) >= 18]
    pairs = sorted((cacd / "images" if (cacd / "images").is_dir() else cacd).glob("*.jpg"))
    options = CutOptions(choice="centre")

    def each(folder: Path, rows: list[dict[str, str]]) -> list[Path]:
        return [folder / "images" / row["image"] for row in rows]

    made = (
        embedded(
            "lfw_grey",
            [path for path, _ in lfw],
            [name for _, name in lfw],
            [{"row": str(row)} for row in range(len(lfw))],
            options,
        ),
        embedded("celeba", each(celeba, persons), [row["person"] for row in persons], persons, options),
        embedded("south_asia", each(south, regions), [row["image"] for row in regions], regions, options),
        embedded(
            "cacd_vs",
            pairs,
            [path.stem.split("_")[0] for path in pairs],
            [{} for _ in pairs],
            CutOptions(choice="centre"),
        ),
        embedded("utkface", each(utk, adults), [row["image"] for row in adults], adults, options),
    )
    return {each.name: each for each in made}


def _is_large_enough(path: Path) -> bool:
    try:
        fs.read_image(path)
    except fs.ImageTooSmallError:
        return False
    return True


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def measure(sets: list[PhotoSet], face_model: fs.FaceModel) -> fs.Calibration:
    """Calibrate on the first set and the caution of the others."""
    first, *others = sets
    names, photos = [each.name for each in sets], sum(len(each.who) for each in sets)
    return calibrate(
        first.vectors.astype(np.float32),
        first.who.tolist(),
        face_model=face_model,
        data=f"{', '.join(names[:-1])} and {names[-1]} ({photos:,} photos), of which the most cautious decides; "
        f"false non-matches of {first.name}",
        others=[(each.vectors.astype(np.float32), each.who.tolist()) for each in others],
    )


def print_sets(sets: list[PhotoSet], table: fs.Calibration) -> None:
    """Print what each set asks for by itself, and both errors at the distances of the table."""
    print("\nEach set by itself: distance at FMR 1e-3, 1e-4, 1e-5, and share of one person's pairs found there")
    for given in sets:
        strangers, mates = compared(given.vectors, given.who)
        ordered = np.sort(strangers)
        at = [float(ordered[round(fmr * len(ordered)) - 1]) for fmr in (1e-3, 1e-4, 1e-5) if fmr * len(ordered) >= 10]
        found = [f"{distance:.3f}" + (f" ({(mates <= distance).mean():.1%})" if len(mates) else "") for distance in at]
        print(
            f"  {given.name}: {len(strangers):,} comparisons of strangers, {len(mates):,} of one person; {', '.join(found)}"
        )
        for row in table.rows[:4]:
            fmr = Rate.of(int((strangers <= row.distance).sum()), len(strangers))
            missed = f", FNMR {(mates > row.distance).mean():.1%}" if len(mates) else ""
            print(f"    at similarity {row.similarity:3.0f}: FMR {fmr.value:.2g} ({fmr.events:,}){missed}")


def print_halves(sets: list[PhotoSet], face_model: fs.FaceModel) -> None:
    """Print what one half of the people promises and the other half keeps, and the other way round."""
    print("\nCalibrated on one half of the people of each set, measured on the other")
    rng = np.random.default_rng(0)
    halves: tuple[list[PhotoSet], list[PhotoSet]] = ([], [])
    for given in sets:
        names = np.unique(given.who)
        drawn = rng.permutation(names)[: len(names) // 2]
        chosen = np.isin(given.who, drawn)
        halves[0].append(given.rows(chosen))
        halves[1].append(given.rows(~chosen))
    for promised, kept, name in ((halves[0], halves[1], "first"), (halves[1], halves[0], "second")):
        table = measure(promised, face_model)
        for given in kept:
            strangers, mates = compared(given.vectors, given.who)
            shown = []
            for row in table.rows[:3]:
                missed = f", FNMR {(mates > row.distance).mean():.1%}" if len(mates) else ""
                shown.append(f"{row.similarity:.0f}: {(strangers <= row.distance).mean():.2g}{missed}")
            print(f"  {name} half, {given.name}, {len(strangers):,} comparisons of strangers: {'; '.join(shown)}")


def print_groups(sets: dict[str, PhotoSet], table: fs.Calibration) -> None:
    """Print FMR by the labels of UTKFace and south_asia."""
    print("\nFMR within groups: utkface's adults and south_asia")
    utk, south = sets["utkface"], sets["south_asia"]
    groups = [
        (f"{gender} {name}", utk, [label["gender"] == gender and int(label["race"]) == number for label in utk.labels])
        for gender in ("Male", "Female")
        for number, name in enumerate(RACES)
    ]
    for gender in ("Male", "Female"):
        groups.append((f"{gender} South Asian", south, [label["gender"] == gender for label in south.labels]))
        for region in sorted({label["region"] for label in south.labels}):
            which = [label["gender"] == gender and label["region"] == region for label in south.labels]
            groups.append((f"{gender} {region}", south, which))
    least = dict.fromkeys(LIMITS, np.inf)
    for name, given, which in groups:
        here, copies = without_copies(given.rows(np.array(which)))
        pairs = np.sort(distances(here.vectors, here.vectors)[np.triu_indices(len(here.who), 1)])
        rates = [Rate.of(int((pairs <= table.distance_at(level)).sum()), len(pairs)) for level in LEVELS]
        shown = zip(LEVELS, rates, strict=True)
        print(
            f"  {name:24} {len(here.who):4} photos, {len(pairs):7,} pairs, {copies} left out as near; "
            + ", ".join(f"at {level:.0f}: {rate.value:.1e} ({rate.events})" for level, rate in shown)
        )
        for level, limit in LIMITS.items():
            least[level] = min(least[level], float(pairs[int(limit * len(pairs))]))
    _, mates = compared(sets["lfw_grey"].vectors, sets["lfw_grey"].who)
    print("Where each of these groups would be within a limit, and what lfw_grey misses there")
    for level, distance in least.items():
        print(
            f"  {LIMITS[level]:g} at {level:.0f}: distance below {distance:.3f}, similarity {table.similarity(distance):.1f}, in place of "
            f"{table.distance_at(level):.3f}; "
            f"missed {(mates > distance).mean():.1%} in place of {(mates > table.distance_at(level)).mean():.1%}"
        )


def print_gender(lfw: PhotoSet, looks: NDArray[np.bool_], table: fs.Calibration) -> None:
    """Print both errors by the gender that people look like."""
    print("\nlfw_grey by the gender most photos of a person look like (exact intervals, too narrow: photos are shared)")
    for name, wanted in (("men", True), ("women", False)):
        people = [person for person in np.unique(lfw.who) if (looks[lfw.who == person].mean() >= 0.5) == wanted]
        rows = np.isin(lfw.who, people)
        strangers, mates = compared(lfw.vectors[rows], lfw.who[rows])
        print(f"  {name}: {len(people)} people, {rows.sum()} photos")
        for level in LEVELS:
            at = table.distance_at(level)
            fmr = Rate.of(int((strangers <= at).sum()), len(strangers))
            fnmr = Rate.of(int((mates > at).sum()), len(mates))
            print(f"    at {level:.0f}: FMR {fmr.value:.1e} ({fmr.events:,} of {fmr.trials:,}), FNMR {fnmr}")


def print_users(lfw: PhotoSet, table: fs.Calibration) -> None:
    """Print the FMR of users of several photos, with and without what the calibration adds, and what a wrong photo costs."""
    vectors = lfw.vectors.astype(np.float32)
    people = {person: np.flatnonzero(lfw.who == person) for person in np.unique(lfw.who)}
    probes = np.array([rows[0] for rows in people.values()])
    users = {person: rows for person, rows in people.items() if len(rows) >= 7}
    at = table.distance_at(80)
    print("\nUsers of several photos: FMR of strangers' photos at 80, with the offset and without")
    for photos in (1, 3, 5):
        made = np.stack([robust_mean(vectors[rows[1 : 1 + photos]]) for rows in users.values()]).astype(float)
        matrix = distances(made, lfw.vectors[probes])
        strangers = matrix[np.array(list(users))[:, None] != np.array(list(people))]
        moved = np.sqrt(strangers**2 + table.user_offset(photos))
        print(
            f"  {photos} photos, {len(users)} users: {(moved <= at).mean():.2e} with, {(strangers <= at).mean():.2e} without, "
            f"{len(strangers):,} comparisons"
        )
    print("Right photos of users of five photos found, with none and with one of the five wrong")
    rng = np.random.default_rng(0)
    found: dict[float, list[list[bool]]] = {level: [[], []] for level in LEVELS}
    for rows in users.values():
        order = rng.permutation(rows)
        wrong_one = int(rng.choice(np.setdiff1d(np.arange(len(vectors)), rows)))
        for wrong, chosen in enumerate((order[:5], np.append(order[:4], wrong_one))):
            apart = np.sqrt(
                ((lfw.vectors[order[5:]] - robust_mean(vectors[chosen])) ** 2).sum(axis=1) + table.user_offset(5)
            )
            for level in LEVELS:
                found[level][wrong] += (apart <= table.distance_at(level)).tolist()
    for level, (right, one_wrong) in found.items():
        print(f"  at {level:.0f}: {np.mean(right):.2%} and {np.mean(one_wrong):.2%} of {len(right)}")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for vectors, outside the repository")
    parser.add_argument("--save", type=Path, help="file for the calibration")
    parser.add_argument("--models", default="facesearch", help="family of networks: facesearch or dlib")
    parser.add_argument(
        "--mirrored",
        action=argparse.BooleanOptionalAction,
        help="embed mirror images too, or not; default: as the family does",
    )
    arguments = parser.parse_args()
    analyzer = fs.FaceAnalyzer(models=arguments.models)
    if arguments.mirrored is not None:
        embedder = fs.SFaceEmbedder if arguments.models == "facesearch" else fs.OnnxEmbedder
        analyzer = fs.FaceAnalyzer(models=arguments.models, embedder=embedder(mirrored=arguments.mirrored))
    cache = arguments.cache / analyzer.face_model.name
    cache.mkdir(parents=True, exist_ok=True)
    print_machine()
    sets = read_sets(analyzer, cache)
    trusted = [sets["lfw_grey"]]
    for name in ("celeba", "south_asia"):
        kept, copies = without_copies(sets[name])
        print(f"{name}: {copies} photos left out, nearer than {COPY} to one of another name")
        trusted.append(kept)
    table = measure(trusted, analyzer.face_model)
    print(table)
    print(f"user_spread {table.user_spread:.4f}; intervals: {CONFIDENCE:.0%}")
    if arguments.save:
        table.save(arguments.save)
    print_sets([*trusted, without_copies(sets["cacd_vs"])[0]], table)
    print_halves(trusted, analyzer.face_model)
    print_groups(sets, table)
    print_users(sets["lfw_grey"], table)
    seen = cache / "lfw_grey_gender.npz"
    if not seen.exists():
        people = read_people(data_folder("lfw_grey"))
        paths = [path for photos in people.values() for path in photos]
        np.savez(seen, looks=[_looks_male(path, analyzer) for path in paths])
    with np.load(seen) as file:
        rows = [int(label["row"]) for label in sets["lfw_grey"].labels]
        print_gender(sets["lfw_grey"], file["looks"][rows] > 0, table)


def _looks_male(path: Path, analyzer: fs.FaceAnalyzer) -> int:
    """Return 1 or 0, and -1 where no face is found."""
    pixels = np.pad(fs.read_image(path).pixels, ((44, 44), (44, 44), (0, 0)), mode="edge")
    faces = analyzer.locate(pixels, attributes=["GENDER"])
    gender = faces[0].detail.gender if faces else None
    return -1 if not faces else int(gender is not None and gender.value is fs.GenderType.MALE)


if __name__ == "__main__":
    main()
