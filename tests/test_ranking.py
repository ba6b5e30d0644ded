"""Exact nearest neighbours: float64 brute force is the oracle."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import facesearch as fs
from facesearch.ranking import VectorIndex, check_embedding, robust_mean
from facesearch.stages import FloatArray
from facesearch.testing.strategies import embeddings

DIMENSION = 16
names = st.text("abcd", min_size=1, max_size=3)
galleries = st.dictionaries(names, embeddings(DIMENSION), max_size=30)


def index_of(gallery: dict[str, FloatArray]) -> VectorIndex:
    index = VectorIndex(DIMENSION)
    for name, vector in gallery.items():
        index.put(name, vector)
    return index


def brute_force(gallery: dict[str, FloatArray], probe: FloatArray) -> list[tuple[float, str]]:
    return sorted((float(np.linalg.norm(vector.astype(np.float64) - probe)), name) for name, vector in gallery.items())


@given(galleries, embeddings(DIMENSION), st.floats(0, 4), st.integers(1, 40))
def test_nearest_is_brute_force(gallery: dict[str, FloatArray], probe: FloatArray, reach: float, limit: int) -> None:
    found = index_of(gallery).nearest(probe, max_distance=reach, limit=limit)
    expected = [(distance, name) for distance, name in brute_force(gallery, probe) if distance <= reach][:limit]

    assert [name for _, name in found] == [name for _, name in expected]
    assert [distance for distance, _ in found] == pytest.approx([distance for distance, _ in expected])


@given(galleries, embeddings(DIMENSION), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(gallery: dict[str, FloatArray], probe: FloatArray, random: Any) -> None:
    shuffled = list(gallery.items())
    random.shuffle(shuffled)

    one = index_of(gallery).nearest(probe, max_distance=math.inf, limit=50)
    assert index_of(dict(shuffled)).nearest(probe, max_distance=math.inf, limit=50) == one


@given(galleries, embeddings(DIMENSION), st.integers(1, 30), st.floats(0, 3))
def test_less_asked_for_is_a_prefix(
    gallery: dict[str, FloatArray], probe: FloatArray, limit: int, reach: float
) -> None:
    index = index_of(gallery)
    everything = index.nearest(probe, max_distance=math.inf, limit=100)

    assert index.nearest(probe, max_distance=math.inf, limit=limit) == everything[:limit]
    near = index.nearest(probe, max_distance=reach, limit=100)
    assert near == everything[: len(near)]


@given(galleries, st.lists(names))
def test_removing_is_never_having_put(gallery: dict[str, FloatArray], gone: list[str]) -> None:
    index = index_of(gallery)
    for name in gone:
        index.remove(name)
    rest = {name: vector for name, vector in gallery.items() if name not in gone}

    probe = np.ones(DIMENSION, np.float32)
    assert len(index) == len(rest)
    assert index.nearest(probe, max_distance=math.inf, limit=99) == index_of(rest).nearest(
        probe, max_distance=math.inf, limit=99
    )
    for name, vector in rest.items():
        found = index.get(name)
        assert found is not None
        assert (found == vector).all()
    assert all(index.get(name) is None for name in gone)


def test_every_vector_finds_itself_among_thousands() -> None:
    gallery = np.random.default_rng(0).normal(size=(3000, 128)).astype(np.float32) * 0.1
    index = VectorIndex(128)
    for row, vector in enumerate(gallery):
        index.put(f"{row:04}", vector)

    for row in range(0, 3000, 100):
        assert index.nearest(gallery[row], max_distance=1e-6, limit=5) == [(0.0, f"{row:04}")]


def test_equally_near_ones_come_by_name_whichever_are_cut_off() -> None:
    index = index_of({name: np.ones(DIMENSION, np.float32) for name in "dbca"})

    found = index.nearest(np.zeros(DIMENSION, np.float32) + 2, max_distance=math.inf, limit=3)
    assert [name for _, name in found] == ["a", "b", "c"]


def test_a_removed_vector_is_gone_from_memory() -> None:
    vector = np.random.default_rng(1).normal(size=DIMENSION).astype(np.float32)
    index = index_of({"a": vector, "b": -vector})
    index.remove("a")

    assert vector.tobytes() not in index._matrix.tobytes()


@given(st.lists(embeddings(DIMENSION), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_robust_mean_is_the_same_for_any_order(vectors: list[FloatArray], random: Any) -> None:
    mean = robust_mean(np.stack(vectors))
    random.shuffle(vectors)

    assert (robust_mean(np.stack(vectors)) == mean).all()


@given(embeddings(DIMENSION), st.integers(1, 5))
def test_the_robust_mean_of_one_vector_is_that_vector(vector: FloatArray, copies: int) -> None:
    assert robust_mean(np.stack([vector] * copies)) == pytest.approx(vector, abs=1e-6)


@given(st.lists(embeddings(DIMENSION), min_size=3, max_size=9))
def test_the_robust_mean_has_a_smaller_sum_of_distances_than_the_mean(vectors: list[FloatArray]) -> None:
    rows = np.stack(vectors)

    def total(center: FloatArray) -> float:
        return float(np.linalg.norm(rows - center, axis=1).sum())

    assert total(robust_mean(rows)) <= total(rows.mean(axis=0)) + 1e-4


def test_a_wrong_photo_among_five_moves_the_robust_mean_less_than_the_mean() -> None:
    random = np.random.default_rng(0)
    person, stranger = random.normal(size=(2, 128)) * 0.1
    photos = person + random.normal(size=(5, 128)) * 0.03
    photos[4] = stranger + random.normal(size=128) * 0.03

    def off(center: FloatArray) -> float:
        return float(np.linalg.norm(center - person))

    assert off(robust_mean(photos.astype(np.float32))) < 0.75 * off(photos.mean(axis=0).astype(np.float32))


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        ([1.0] * 15, r"expected shape \(16,\), got shape \(15,\)"),
        ([[1.0] * 16], r"expected shape \(16,\), got shape \(1, 16\)"),
        ([0.0] * 16, "got all zeros"),
        ([math.nan] * 16, "expected finite numbers"),
        ([math.inf] * 16, "expected finite numbers"),
        ([1e30] * 16, "expected finite numbers"),
        (["1"] * 16, "expected 16 real numbers"),
        ([True] * 16, "expected 16 real numbers"),
        ([1j] * 16, "expected 16 real numbers"),
        ("abc", "expected 16 real numbers"),
        (None, "expected 16 real numbers"),
        ([[1.0], [1.0, 2.0]], "expected 16 real numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the point of one of them
def test_what_is_no_embedding_is_refused_by_name(vector: Any, fault: str) -> None:
    with pytest.raises(fs.InvalidEmbeddingError, match=f"^probe: .*{fault}"):
        check_embedding(vector, DIMENSION, "probe")


def test_a_checked_embedding_is_a_copy_that_cannot_be_written() -> None:
    given_ = np.ones(DIMENSION, np.float32)
    checked = check_embedding(given_, DIMENSION)
    given_[0] = 7

    assert checked[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        checked[0] = 7
