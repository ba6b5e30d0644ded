"""Measure groups of unknown faces: `Collection.groups`, and other algorithms on the same vectors.

Albums
------
- lfw_grey: the people with 3 photos or more are halved by a draw, and each half gets 300 people of one photo. The reach of each
  algorithm is chosen on one half: the one with the best F among those of a pairwise precision of at least `LEAST_PRECISION` there.
  All figures are those of the other half. Five draws. Then the library's groups at several thresholds, and among more strangers.
- celeba with identity.csv: 150 people with 3 photos or more and 300 people of one photo; nothing is chosen on them. Photos of two names that
  are nearer than 0.9 are left out, as in benchmarks/calibration.py. Five draws.
- people: 10 people of 10 photos each, and 300 people of one photo from celeba. Nothing is chosen on them. Five draws.

Figures
-------
Pairwise precision and recall: of the pairs of faces in one group, the share of one person; of the pairs of one person, the share in one
group. BCubed: the same share for each face, averaged over the faces (Amigó et al., Information Retrieval 12, 2009). People split: people
with several photos that are in more than one group. Groups mixed: groups of several people. A face alone is a group here.

Algorithms
----------
Average linkage of squared distances (`facesearch.matching.linkage`), alone and with the library's rule for groups of two faces, scipy's average linkage of distances and complete linkage, dlib's Chinese
whispers, HDBSCAN of scikit-learn if installed (min_cluster_size=2, min_samples=1), connected components. Chinese whispers depends on the order of
the faces: its figures for other orders are printed, too.

Scale
-----
Made-up vectors with the means and the scatter of lfw_grey: people of 1 to 200 photos, 10 on average, or strangers only, or one person only.
Time and memory of `Collection.groups`.

``python benchmarks/grouping.py --cache FOLDER [--scale 25000 100000]``; the cache is that of benchmarks/calibration.py, whose vectors it reads.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import dlib
import numpy as np
import scipy
from _machine import data_folder, memory_mb, print_machine
from calibration import PhotoSet, read_sets, without_copies
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.spatial.distance import pdist

import facesearch as fs
from facesearch.benchmark import CutOptions, embed_photos, read_people
from facesearch.collection.grouping import GROUP_SIMILARITY, pair_similarity
from facesearch.matching.linkage import UNKNOWN_PHOTO, average_linkage, without_loose_pairs

try:
    import sklearn
    from sklearn.cluster import HDBSCAN
except ImportError:  # it is no dependency
    sklearn = None

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Cluster = Callable[[Any, float], Any]

DRAWS = 5
FEW_REACHES = np.arange(0.90, 1.10, 0.02)  # of Chinese whispers, which takes minutes
STRANGERS = 300
LEAST_PHOTOS = 3
LEAST_PRECISION = (
    0.999  # one pair of faces in a thousand; what is chosen on one half does not hold to the last digit on another
)
REACHES = np.arange(0.60, 1.30, 0.02)


@attrs.frozen
class Figures:
    """How well groups show people."""

    precision: float
    recall: float
    f: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f: float
    split: float  # share of the people with several photos
    mixed: float  # groups
    groups: float  # of two faces and more

    @classmethod
    def of(cls, labels: Labels, who: NDArray[np.str_]) -> "Figures":
        """Compare groups with people."""
        _, group = np.unique(labels, return_inverse=True)
        _, person = np.unique(who, return_inverse=True)
        table = coo_matrix((np.ones(len(group)), (group, person))).tocsr()
        together, groups, people = table.data, np.bincount(group), np.bincount(person)
        found, true, both = _pairs(groups), _pairs(people), _pairs(together)
        rows, columns = table.nonzero()
        precision = both / found if found else 1.0
        recall = both / true if true else 1.0
        bcubed_precision = float((together**2 / groups[rows]).sum() / len(who))
        bcubed_recall = float((together**2 / people[columns]).sum() / len(who))
        several = people > 1
        return cls(
            precision,
            recall,
            _harmonic(precision, recall),
            bcubed_precision,
            bcubed_recall,
            _harmonic(bcubed_precision, bcubed_recall),
            float((np.bincount(columns)[several] > 1).mean()) if several.any() else 0.0,
            float((np.bincount(rows) > 1).sum()),
            float((groups > 1).sum()),
        )

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.4f} recall {self.recall:.4f} F {self.f:.4f}; BCubed {self.bcubed_precision:.4f} "
            f"{self.bcubed_recall:.4f} F {self.bcubed_f:.4f}; people split {self.split:.1%}; groups mixed {self.mixed:.1f} of "
            f"{self.groups:.1f}"
        )


def _pairs(counts: Any) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


def mean(figures: list[Figures]) -> Figures:
    """Return the mean of each figure."""
    return Figures(*np.mean([attrs.astuple(each) for each in figures], axis=0).tolist())


def averaged(vectors: Any, reach: float) -> Any:
    """Cluster by the library."""
    return average_linkage(vectors, np.full(len(vectors), UNKNOWN_PHOTO), reach).labels


def grouped(calibration: fs.Calibration) -> Cluster:
    """Cluster as `Collection.groups` does: a pair needs more than a face that joins a group."""

    def cluster(vectors: Any, reach: float) -> Any:
        found = average_linkage(vectors, np.full(len(vectors), UNKNOWN_PHOTO), reach)
        return without_loose_pairs(
            found, calibration.distance_at(pair_similarity(calibration.similarity(reach)))
        ).labels

    return cluster


def by_scipy(method: str) -> Cluster:
    """Cluster by scipy, once for all reaches."""
    trees: dict[int, Any] = {}

    def cluster(vectors: Any, reach: float) -> Any:
        tree = trees.get(id(vectors))
        if tree is None:
            tree = trees[id(vectors)] = linkage(pdist(vectors.astype(np.float64)), method)
        return fcluster(tree, reach, "distance")

    return cluster


def whispers(vectors: Any, reach: float) -> Any:
    """Cluster by dlib."""
    return np.array(dlib.chinese_whispers_clustering([dlib.vector(row) for row in vectors.tolist()], reach))


def hdbscan(vectors: Any, _: float) -> Any:
    """Cluster by scikit-learn, which chooses the reach itself; what it calls noise is alone."""
    labels = HDBSCAN(min_cluster_size=2, min_samples=1, copy=True).fit_predict(vectors.astype(np.float64))
    alone = labels < 0
    labels[alone] = labels.max(initial=0) + 1 + np.arange(alone.sum())
    return labels


def lfw_halves(lfw: PhotoSet, draw: int) -> list[PhotoSet]:
    """Return two albums of different people."""
    rng = np.random.default_rng(draw)
    names, counts = np.unique(lfw.who, return_counts=True)
    people, strangers = rng.permutation(names[counts >= LEAST_PHOTOS]), rng.permutation(names[counts == 1])
    half = len(people) // 2
    chosen = (
        np.concatenate([people[:half], strangers[:STRANGERS]]),
        np.concatenate([people[half:], strangers[STRANGERS : 2 * STRANGERS]]),
    )
    return [lfw.rows(np.isin(lfw.who, each)) for each in chosen]


def celeba_album(celeba: PhotoSet, draw: int, people: int = 150) -> PhotoSet:
    """Return an album of some people with several photos and of strangers."""
    rng = np.random.default_rng(draw)
    names, counts = np.unique(celeba.who, return_counts=True)
    several = rng.permutation(names[counts >= LEAST_PHOTOS])[:people]
    return celeba.rows(np.isin(celeba.who, [*several, *rng.permutation(names[counts == 1])[:STRANGERS]]))


def print_album(name: str, album: PhotoSet) -> None:
    """Print what is in an album."""
    counts = np.unique(album.who, return_counts=True)[1]
    print(
        f"{name}: {len(album.who):,} faces, {len(counts):,} people, {(counts > 1).sum():,} of them with several photos, "
        f"{_pairs(counts):,.0f} pairs of one person"
    )


def print_algorithms(lfw: PhotoSet, calibration: fs.Calibration) -> None:
    """Print each algorithm on the people kept aside."""
    halves = [lfw_halves(lfw, draw) for draw in range(DRAWS)]
    print(f"\nlfw_grey, {DRAWS} draws; the reach is chosen on one half, the figures are means over the other halves")
    print_album("first draw, to choose", halves[0][0])
    print_album("first draw, kept aside", halves[0][1])
    vectors = [[each.vectors.astype(np.float32) for each in pair] for pair in halves]
    default = [calibration.distance_at(GROUP_SIMILARITY)]
    algorithms: dict[str, tuple[Cluster, list[float]]] = {
        f"facesearch: average linkage, nothing chosen: threshold {GROUP_SIMILARITY:.0f}": (
            grouped(calibration),
            default,
        ),
        "average linkage of squared distances": (averaged, REACHES.tolist()),
        "average linkage (scipy)": (by_scipy("average"), REACHES.tolist()),
        "complete linkage (scipy)": (by_scipy("complete"), REACHES.tolist()),
        "connected components (scipy)": (by_scipy("single"), REACHES.tolist()),
        "Chinese whispers (dlib)": (whispers, FEW_REACHES.tolist()),
    }
    if sklearn is not None:
        algorithms["HDBSCAN (scikit-learn), chooses itself"] = (hdbscan, default)
    for name, (cluster, grid) in algorithms.items():
        kept, reaches, start = [], [], time.perf_counter()
        for (choose, aside), (here, there) in zip(halves, vectors, strict=True):
            tried = [(Figures.of(cluster(here, reach), choose.who), reach) for reach in grid if len(grid) > 1]
            pure = [each for each in tried if each[0].precision >= LEAST_PRECISION] or tried
            reach = max(pure, key=lambda each: each[0].f)[1] if pure else grid[0]
            reaches.append(reach)
            kept.append(Figures.of(cluster(there, reach), aside.who))
        print(f"  {name}: reach {min(reaches):.2f} to {max(reaches):.2f}, {time.perf_counter() - start:.0f} s")
        print(f"    {mean(kept)}")
        print(
            f"    least precision {min(each.precision for each in kept):.4f}, recall {min(each.recall for each in kept):.4f}"
        )


def print_orders(album: PhotoSet, reach: float) -> None:
    """Print what the order of the faces does to two algorithms."""
    print("\nThe first half kept aside in four orders")
    algorithms: dict[str, Cluster] = {"average linkage": averaged, "Chinese whispers": whispers}
    for name, cluster in algorithms.items():
        for draw in range(4):
            order = np.random.default_rng(draw).permutation(len(album.who))
            labels = cluster(album.vectors[order].astype(np.float32), reach)
            print(f"  {name}, reach {reach:.2f}: {Figures.of(labels, album.who[order])}")


def print_thresholds(name: str, albums: list[PhotoSet], calibration: fs.Calibration) -> None:
    """Print the library's groups by threshold, and how surely they are one person."""
    print(f"\n{name}, {len(albums)} draws, nothing chosen here: means")
    print_album("first draw", albums[0])
    for threshold in (50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 99.0):
        reach, cluster = calibration.distance_at(threshold), grouped(calibration)
        found = [Figures.of(cluster(each.vectors.astype(np.float32), reach), each.who) for each in albums]
        default = " (default)" if threshold == GROUP_SIMILARITY else ""
        print(f"  {threshold:.0f}{default}, reach {reach:.3f}: {mean(found)}")


def print_strangers(lfw: PhotoSet, others: list[PhotoSet], calibration: fs.Calibration) -> None:
    """Print how groups fare among more and more strangers."""
    names, counts = np.unique(lfw.who, return_counts=True)
    people = lfw.rows(np.isin(lfw.who, names[counts >= LEAST_PHOTOS]))
    strangers = lfw.rows(np.isin(lfw.who, names[counts == 1]))
    album, albums = people, []
    for part in (strangers, *(each.rows(_only(each)) for each in others)):
        album = joined(album, part)
        albums.append(album)
    print(
        "\nAll people of lfw_grey with 3 photos or more, among more and more people of one photo: lfw_grey, celeba, south_asia"
    )
    for album in albums:
        print_album("album", album)
        for threshold in (80.0, 90.0, 95.0, 99.0):
            labels = grouped(calibration)(album.vectors.astype(np.float32), calibration.distance_at(threshold))
            print(f"  {threshold:.0f}: {Figures.of(labels, album.who)}")


def _only(album: PhotoSet) -> NDArray[np.bool_]:
    """Return the photos of people of one photo."""
    names, counts = np.unique(album.who, return_counts=True)
    return np.isin(album.who, names[counts == 1])


def print_certainty(albums: list[PhotoSet], calibration: fs.Calibration) -> None:
    """Print the share of groups of one person by the similarity of a group."""
    print(f"\nGroups of two faces and more at {GROUP_SIMILARITY:.0f}, by similarity: how many are one person")
    rows: list[tuple[float, bool, int]] = []
    for album in albums:
        reach = calibration.distance_at(GROUP_SIMILARITY)
        found = average_linkage(album.vectors.astype(np.float32), np.full(len(album.who), UNKNOWN_PHOTO), reach)
        found = without_loose_pairs(found, calibration.distance_at(pair_similarity(GROUP_SIMILARITY)))
        for label, height in enumerate(found.heights.tolist()):
            people = album.who[found.labels == label]
            if len(people) > 1:
                rows.append((calibration.similarity(height), len(set(people)) == 1, len(people)))
    edges = (80.0, 85.0, 90.0, 95.0, 99.0, 99.9, 100.1)
    for low, high in itertools.pairwise(edges):
        here = [pure for similarity, pure, _ in rows if low <= similarity < high]
        if here:
            print(f"  {low:g} to {min(high, 100):g}: {sum(here):,} of {len(here):,} ({np.mean(here):.2%})")


@attrs.frozen(eq=False)
class Crowd:
    """Draws made-up vectors with the means and the scatter of real ones."""

    mean: Floats
    between: Floats
    within: Floats

    @classmethod
    def like(cls, lfw: PhotoSet, least: int = 5) -> "Crowd":
        """Measure people with several photos."""
        _, person, counts = np.unique(lfw.who, return_inverse=True, return_counts=True)
        means = np.zeros((len(counts), lfw.vectors.shape[1]))
        np.add.at(means, person, lfw.vectors)
        means /= counts[:, np.newaxis]
        scatter = (lfw.vectors - means[person])[counts[person] >= least] * np.sqrt(least / (least - 1))
        small = 1e-6 * np.eye(means.shape[1])
        several = means[counts >= least]
        return cls(
            np.asarray(several.mean(axis=0), np.float64),
            np.asarray(np.linalg.cholesky(np.cov(several.T) + small), np.float64),
            np.asarray(np.linalg.cholesky(np.cov(scatter.T) + small), np.float64),
        )

    def faces(self, sizes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw people of some numbers of photos."""
        dimension = len(self.mean)
        centres = self.mean + rng.normal(size=(len(sizes), dimension)) @ self.between.T
        rows = np.repeat(centres, sizes, axis=0) + rng.normal(size=(int(sizes.sum()), dimension)) @ self.within.T
        vectors: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return vectors


def print_scale(lfw: PhotoSet, counts: list[int], calibration: fs.Calibration) -> None:
    """Print time and memory of large collections."""
    print("\nMade-up albums: Collection.groups at the default threshold")
    crowd = Crowd.like(lfw)
    for count in counts:
        rng = np.random.default_rng(0)
        drawn = np.minimum(rng.geometric(0.1, count), 200)
        kinds = {
            "people of 10 photos on average": drawn[np.cumsum(drawn) <= count],
            "strangers only": np.ones(count, np.int64),
            "one person": np.array([count]),
        }
        for name, sizes in kinds.items():
            vectors = crowd.faces(sizes, rng)
            album = fs.Collection("album", face_model=calibration.face_model, calibration=calibration)
            owners = [f"u{row // 100}" for row in range(len(vectors))]
            album.add_embeddings(owners, vectors)
            for owner in dict.fromkeys(owners):
                album.delete_user(owner, faces=False)
            before, start, busy = memory_mb(), time.perf_counter(), time.process_time()
            groups = album.groups()
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            print(
                f"  {len(vectors):,} faces, {name}: {seconds:.1f} s ({busy:.1f} s of CPU), {len(groups):,} groups, largest "
                f"{max(map(len, groups), default=0):,}; {before:.0f} MiB before, at most {memory_mb(most=True):.0f} MiB so far",
                flush=True,
            )


def people_album(analyzer: fs.FaceAnalyzer, cache: Path) -> PhotoSet:
    """Embed people/, or read its vectors from the cache."""
    found = read_people(data_folder("people"))
    paths = [path for photos in found.values() for path in photos]
    embedded = embed_photos(paths, analyzer=analyzer, options=CutOptions(choice="centre"), cache=cache / "people.npz")
    who = np.array([name for name, photos in found.items() for _ in photos])
    return PhotoSet("people", embedded.vectors.astype(float), who, [{} for _ in who]).rows(np.array(embedded.detected))


def joined(one: PhotoSet, other: PhotoSet) -> PhotoSet:
    """Return an album of both."""
    return PhotoSet(
        one.name,
        np.concatenate([one.vectors, other.vectors]),
        np.concatenate([one.who, other.who]),
        [*one.labels, *other.labels],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for vectors, outside the repository")
    parser.add_argument("--scale", type=int, nargs="*", default=[], help="numbers of made-up faces")
    arguments = parser.parse_args()
    analyzer = fs.FaceAnalyzer()
    cache = arguments.cache / analyzer.face_model.name
    cache.mkdir(parents=True, exist_ok=True)
    print_machine()
    model, calibration = analyzer.face_model, fs.calibration(analyzer.face_model)
    print(f"{model.name} {model.version}, SHA-256 {model.digest}")
    for file in fs.models():
        print(f"  {file.name}: SHA-256 {file.sha256}")
    others = f", scikit-learn {sklearn.__version__}" if sklearn is not None else ", no scikit-learn: no HDBSCAN"
    print(f"numpy {np.__version__}, scipy {scipy.__version__}, dlib {dlib.__version__}{others}\n")
    sets = read_sets(analyzer, cache)
    lfw, (celeba, copies) = sets["lfw_grey"], without_copies(sets["celeba"])
    print(f"celeba: {copies} photos left out, near to one of another name")
    print_algorithms(lfw, calibration)
    asides = [lfw_halves(lfw, draw)[1] for draw in range(DRAWS)]
    albums = [celeba_album(celeba, draw) for draw in range(DRAWS)]
    print_orders(asides[0], 1.0)
    people = people_album(analyzer, cache)
    print_thresholds("lfw_grey, kept aside", asides, calibration)
    print_thresholds("celeba", albums, calibration)
    mixed = [joined(people, celeba_album(celeba, draw, people=0)) for draw in range(DRAWS)]
    print_thresholds("people among strangers of celeba", mixed, calibration)
    print_strangers(lfw, [celeba, without_copies(sets["south_asia"])[0]], calibration)
    print_certainty([*asides, *albums, *mixed], calibration)
    if arguments.scale:
        print_scale(lfw, arguments.scale, calibration)


if __name__ == "__main__":
    main()
