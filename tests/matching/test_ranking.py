"""What a vector must be, and the one vector of several."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.common.arrays import FloatArray
from facesearch.matching.template import check_embedding, robust_mean
from facesearch.testing.strategies import embeddings

DIMENSION = 16


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
