"""Measure identification of ten people with ten photos each (data/people, a part of LFW).

Protocol
--------
Of each person the first three photos by name are enrolled, as `Collection.enroll` does it by default. Each of the other
seven is searched with threshold 0 and quality filter NONE, so that every user gets a similarity. A search counts as right
when the first match is the person in the folder's name; a photo without a searched face counts as wrong and is named.

Then the distances, which the constants of `facesearch.matching.calibration` are to be checked against: over all pairs of photos
(the largest face of each), and between the searched photos and the users' vectors, which is what a search compares.

The ten are politicians in press photos: this shows that the main path works, not how well it does elsewhere.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _machine import data_folder, print_machine

import facesearch as fs

ENROLLED = 3
THRESHOLD = 80.0  # AWS's default
PERCENTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)

Vectors = dict[Path, npt.NDArray[np.float32]]


def main() -> None:
    """Measure and print."""
    print_machine()
    folders = sorted(path for path in data_folder("people").iterdir() if path.is_dir())
    photos = {folder.name: sorted(folder.glob("*.jpg")) for folder in folders}
    staff = enrolled(photos)
    probes = {name: paths[ENROLLED:] for name, paths in photos.items()}
    print_searches(staff, probes)
    print_distances(staff, photos, probes)


def enrolled(photos: dict[str, list[Path]]) -> fs.Collection:
    """Enrol the first photos of each person."""
    staff = fs.Collection("people")
    accepted = 0
    for name, paths in photos.items():
        report = staff.enroll(name, paths[:ENROLLED])
        accepted += report.accepted
        for path, photo in zip(paths, report.photos, strict=False):
            if photo.reasons:
                print(f"not enrolled: {path.name}: {', '.join(reason.value for reason in photo.reasons)}")
    print(f"enrolled {accepted} of {ENROLLED * len(photos)} photos of {len(photos)} people")
    return staff


def print_searches(staff: fs.Collection, probes: dict[str, list[Path]]) -> None:
    """Search each photo and print how the right user and the best wrong one fare."""
    searches = first = 0
    rights, wrongs = [], []
    for name, paths in probes.items():
        for path in paths:
            searches += 1
            response = fs.search_users_by_image(staff, path, user_match_threshold=0, quality_filter="NONE")
            if response.searched_face is None:
                print(f"no searched face: {path.name}")
                continue
            percent = {match.user.user_id: match.similarity for match in response.user_matches}
            right, wrong = percent.pop(name, 0.0), max(percent.values())
            rights.append(right)
            wrongs.append(wrong)
            first += right > wrong
            if right <= wrong or right < THRESHOLD or wrong >= THRESHOLD:
                print(
                    f"look at: {path.name}: right {right:.2f}, best wrong {max(percent, key=percent.__getitem__)} {wrong:.2f}"
                )
    print(f"\nsearches {searches}, with a searched face {len(rights)}, rank-1 right {first} ({first / searches:.1%})")
    print(f"{'similarity':<18}{'min':>8}{'median':>8}{'max':>8}{f'>= {THRESHOLD:.0f}':>8}")
    for label, values in (("right user", rights), ("best wrong user", wrongs)):
        above = sum(value >= THRESHOLD for value in values)
        print(f"{label:<18}{min(values):8.2f}{np.median(values):8.2f}{max(values):8.2f}{above:8}")


def print_distances(staff: fs.Collection, photos: dict[str, list[Path]], probes: dict[str, list[Path]]) -> None:
    """Print percentiles of the distances of the same and of different people."""
    vectors = embedded([path for paths in photos.values() for path in paths])
    pairs = [
        (one.parent == other.parent, distance(vectors[one], vectors[other])) for one, other in combinations(vectors, 2)
    ]
    users = {name: vector for name in photos if (vector := staff.user_embedding(name)) is not None}
    searched = [path for paths in probes.values() for path in paths if path in vectors]
    visits = [
        (path.parent.name == name, distance(vectors[path], vector))
        for path in searched
        for name, vector in users.items()
    ]
    print(f"\n{'distance':<26}{'n':>6}" + "".join(f"{f'p{p}':>7}" for p in PERCENTILES) + f"{'<= at 80':>9}")
    for label, found in (("two photos", pairs), ("photo and user's vector", visits)):
        print_row(f"{label}, same", [value for same, value in found if same])
        print_row(f"{label}, other", [value for same, value in found if not same])
    print(
        "\nsimilarity by facesearch.matching.calibration: "
        + ", ".join(f"{d:.2f} -> {fs.similarity(d):.1f}" for d in (0.4, 0.5, 0.6, 0.7, 0.85, 1.0))
    )


def embedded(paths: Sequence[Path]) -> Vectors:
    """Embed the largest face of each photo; photos without a face are left out and named."""
    analyzer = fs.FaceAnalyzer()
    vectors: Vectors = {}
    for path in paths:
        located = analyzer.locate(path)
        if located:
            vectors[path] = analyzer.embed(located[:1])[0].embedding
        if len(located) != 1:
            print(f"faces found: {len(located)} in {path.name}")
    return vectors


def distance(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Return the Euclidean distance."""
    return float(np.linalg.norm(one.astype(np.float64) - other))


def print_row(label: str, distances: Sequence[float]) -> None:
    """Print one distribution."""
    cells = "".join(f"{value:7.3f}" for value in np.percentile(distances, PERCENTILES))
    print(f"{label:<26}{len(distances):6}{cells}{np.mean(np.asarray(distances) <= fs.distance_at(THRESHOLD)):8.2%}")


if __name__ == "__main__":
    main()
