"""Average linkage: scipy's is the oracle; vectors of one photo stay apart; order and memory make no difference."""

import tracemalloc
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from facesearch.common.arrays import FloatArray
from facesearch.matching.linkage import UNKNOWN_PHOTO, average_linkage, without_loose_pairs

APART = 1e9  # squared distance of two vectors of one photo in the oracle: no mean with it is within reach


def clouds(seed: int, sizes: list[int], *, spread: float = 0.3, dimension: int = 16) -> FloatArray:
    """Several people: centres of unit length, photos around them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), dimension))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rows = np.repeat(centres, sizes, axis=0) + spread * rng.normal(size=(sum(sizes), dimension)) / np.sqrt(dimension)
    vectors: FloatArray = rows.astype(np.float32)
    return vectors


def partition(labels: npt.ArrayLike) -> set[frozenset[int]]:
    numbers = np.asarray(labels)
    return {frozenset(np.flatnonzero(numbers == label).tolist()) for label in np.unique(numbers)}


def oracle(vectors: FloatArray, photos: npt.ArrayLike, reach: float) -> set[frozenset[int]]:
    """Scipy's average linkage of the whole matrix of squared distances."""
    if len(vectors) < 2:
        return partition(range(len(vectors)))
    squared = squareform(pdist(vectors.astype(np.float64), "sqeuclidean"))
    numbers = np.asarray(photos)
    together = (numbers[:, np.newaxis] == numbers) & (numbers != UNKNOWN_PHOTO) & ~np.eye(len(vectors), dtype=bool)
    squared[together] = APART
    return partition(fcluster(linkage(squareform(squared, checks=False), "average"), reach**2, "distance"))


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=8)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def albums(draw: st.DrawFn) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Vectors of several people, and the photos that they are from: some have several faces, some are unknown."""
    vectors = clouds(draw(seeds), draw(sizes), spread=draw(st.sampled_from([0.1, 0.5, 0.9, 1.5])))
    photos = draw(st.lists(st.integers(UNKNOWN_PHOTO, 12), min_size=len(vectors), max_size=len(vectors)))
    return vectors, np.array(photos, np.int64)


@given(albums(), st.floats(0, 2))
@settings(max_examples=200)
def test_clusters_are_those_of_scipy_on_the_whole_matrix(
    album: tuple[FloatArray, npt.NDArray[np.int64]], reach: float
) -> None:
    vectors, photos = album

    assert partition(average_linkage(vectors, photos, reach).labels) == oracle(vectors, photos, reach)


@given(albums(), st.floats(0, 2), st.integers(1, 40))
@settings(max_examples=200)
def test_little_memory_gives_the_same_clusters(
    album: tuple[FloatArray, npt.NDArray[np.int64]], reach: float, most_edges: int
) -> None:
    vectors, photos = album

    found = average_linkage(vectors, photos, reach, most_edges=most_edges)

    assert partition(found.labels) == oracle(vectors, photos, reach)
    assert found.heights == pytest.approx(average_linkage(vectors, photos, reach).heights)


@given(albums(), st.floats(0, 2), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_makes_no_difference(
    album: tuple[FloatArray, npt.NDArray[np.int64]], reach: float, random: Random
) -> None:
    vectors, photos = album
    order = np.array(random.sample(range(len(vectors)), len(vectors)), np.int64)

    mixed = average_linkage(vectors[order], photos[order], reach).labels
    back = np.empty_like(mixed)
    back[order] = mixed

    assert partition(back) == partition(average_linkage(vectors, photos, reach).labels)


@given(albums(), st.floats(0, 10))
def test_vectors_of_one_photo_are_never_in_one_cluster(
    album: tuple[FloatArray, npt.NDArray[np.int64]], reach: float
) -> None:
    vectors, photos = album

    for cluster in partition(average_linkage(vectors, photos, reach).labels):
        known = [photo for photo in photos[list(cluster)].tolist() if photo != UNKNOWN_PHOTO]
        assert len(known) == len(set(known))


@given(albums(), st.floats(0, 2))
def test_no_cluster_is_higher_than_the_reach_and_a_single_vector_has_none(
    album: tuple[FloatArray, npt.NDArray[np.int64]], reach: float
) -> None:
    vectors, photos = album

    found = average_linkage(vectors, photos, reach)

    assert (found.heights <= reach).all()
    assert (found.heights[np.bincount(found.labels) == 1] == 0).all()


@given(albums(), st.floats(0, 2), st.floats(0, 2))
def test_only_pairs_farther_apart_than_asked_are_dissolved(
    album: tuple[FloatArray, npt.NDArray[np.int64]], reach: float, pairs: float
) -> None:
    vectors, photos = album
    found = average_linkage(vectors, photos, reach)

    kept = without_loose_pairs(found, pairs)

    for cluster in partition(found.labels):
        height = found.heights[found.labels[min(cluster)]]
        expected = {frozenset({row}) for row in cluster} if len(cluster) == 2 and height > pairs else {cluster}
        assert expected <= partition(kept.labels)
        assert all(kept.heights[kept.labels[min(each)]] == (height if each == cluster else 0) for each in expected)


@given(sizes, seeds)
def test_equal_vectors_are_one_cluster_in_any_number_unless_a_photo_has_several(photos: list[int], seed: int) -> None:
    vectors = np.repeat(clouds(seed, [1] * len(photos)), photos, axis=0)

    found = average_linkage(vectors, np.full(len(vectors), UNKNOWN_PHOTO), 0)
    in_one_photo = average_linkage(vectors, np.zeros(len(vectors)), 0)

    assert partition(found.labels) == partition(np.repeat(np.arange(len(photos)), photos))
    assert len(in_one_photo.heights) == len(vectors)


def test_no_vector_gives_no_cluster() -> None:
    found = average_linkage(np.empty((0, 128), np.float32), [], 1.0)

    assert len(found.labels) == len(found.heights) == 0


def test_progress_rises_to_the_number_of_vectors() -> None:
    told: list[int] = []

    average_linkage(clouds(0, [3] * 300), np.full(900, UNKNOWN_PHOTO), 0.5, report=told.append)

    assert told == sorted(told)
    assert told[-1] == 900


def test_lengths_of_any_size_are_compared_exactly() -> None:
    vectors = 1e6 * clouds(0, [4] * 30)

    found = average_linkage(vectors, np.full(120, UNKNOWN_PHOTO), 0.6e6)

    assert partition(found.labels) == oracle(vectors, np.full(120, UNKNOWN_PHOTO), 0.6e6)


@pytest.mark.parametrize("spread", [0.05, 0.5], ids=["all near", "a chain of neighbours"])
def test_a_giant_component_takes_memory_in_proportion_to_its_vectors(spread: float) -> None:
    vectors = clouds(0, [6000], spread=spread, dimension=32)
    tracemalloc.start()

    average_linkage(vectors, np.full(6000, UNKNOWN_PHOTO), 0.6, most_edges=12_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 24e6  # the matrix of all distances has 144 MB in float32


def test_a_person_of_thousands_of_photos_is_one_cluster_and_strangers_are_none() -> None:
    vectors = np.concatenate([clouds(0, [3000], dimension=64), clouds(1, [1] * 1000, dimension=64)])

    found = average_linkage(vectors, np.full(4000, UNKNOWN_PHOTO), 0.8)

    assert sorted(np.bincount(found.labels).tolist()) == [*[1] * 1000, 3000]
