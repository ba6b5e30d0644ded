"""Whatever numbers come in: our own error or an answer, and no warning of another library's."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

import facesearch as fs
from facesearch import benchmark
from facesearch.matching.template import LONGEST, check_embedding, refused_rows

DIMENSION = 128
EXTREMES = st.sampled_from(
    [0.0, 1e-300, 1e-40, 1e-20, 1.0, 1e10, 1e14, 1e17, 1e18, 1.6e18, 1e19, 1e25, 3.5e38, 1e200, 1.7e308, np.inf, np.nan]
)
KINDS = st.sampled_from([np.float64, np.float32, np.longdouble, np.complex128, object, str, np.float16])


@st.composite
def vectors(draw: st.DrawFn) -> Any:
    """Draw what a careless caller may take for an embedding."""
    size = draw(st.sampled_from([DIMENSION, DIMENSION, DIMENSION, 0, 1, DIMENSION + 1]))
    values = draw(st.lists(EXTREMES, min_size=1, max_size=3))
    signs = draw(st.lists(st.sampled_from([1, -1]), min_size=1, max_size=3))
    with np.errstate(all="ignore"):
        array = np.resize(values, size) * np.resize(signs, size)
        return array.astype(draw(KINDS))


def gallery() -> fs.Collection:
    staff = fs.Collection("staff")
    longest = np.full(DIMENSION, 0.99 * LONGEST / DIMENSION**0.5)
    users = ["ada", "ada", "ada", "bob", "bob", "eve"]
    staff.add_embeddings(users, [longest, -longest, longest / 2, -longest, longest / 3, np.full(DIMENSION, 1e-40)])
    return staff


def labels(vector: Any) -> Any:
    return np.arange(len(vector)) % 2


def one(vector: Any) -> Any:
    return vector[0] if len(vector) else vector


STAFF = gallery()
CALLS: dict[str, Callable[[Any], object]] = {
    "add_embedding": lambda vector: fs.Collection("new").add_embedding("ada", vector),
    "add_embeddings": lambda vector: fs.Collection("new").add_embeddings(["ada", "bob"], [vector, vector]),
    "search_embedding": lambda vector: STAFF.search_embedding(vector, user_match_threshold=0),
    "search_embeddings": lambda vector: STAFF.search_embeddings([vector, vector], user_match_threshold=0),
    "rank": STAFF.rank,
    "rank_many": lambda vector: STAFF.rank_many([vector]),
    "rank_faces": lambda vector: STAFF.rank_faces([vector], face_match_threshold=0),
    "similarity": lambda vector: fs.similarity(one(vector)),
    "distance_at": lambda vector: fs.distance_at(one(vector)),
    "read_image": lambda vector: fs.read_image(np.resize(vector, (100, 100, 3))),
    "BoundingBox": lambda vector: fs.BoundingBox(**dict.fromkeys(["left", "top", "width", "height"], one(vector))),
    "CalibrationRow": lambda vector: fs.CalibrationRow(
        **dict.fromkeys(
            ["similarity", "distance", "fmr", "fmr_low", "fmr_high", "fnmr", "fnmr_low", "fnmr_high"], one(vector)
        )
    ),
    "roc": lambda vector: benchmark.roc(vector, labels(vector)),
    "area_under_curve": lambda vector: benchmark.area_under_curve(vector, labels(vector)),
    "equal_error_rate": lambda vector: benchmark.equal_error_rate(benchmark.roc(vector, labels(vector))),
    "verify": lambda vector: benchmark.verify(vector, labels(vector), np.arange(len(vector)) // 2 % 2),
    "reliability": lambda vector: benchmark.reliability(vector, labels(vector)),
    "error_versus_discard": lambda vector: benchmark.error_versus_discard(vector, labels(vector), vector),
    "threshold_for": lambda vector: benchmark.threshold_for(0.5, vector),
    "tally": lambda vector: benchmark.tally(labels(vector), vector, vector, 50),
    "pair_distances": lambda vector: benchmark.pair_distances(np.stack([vector, vector[::-1]]), [0], [1]),
    "calibrate": lambda vector: benchmark.calibrate(
        np.stack([vector, vector]), ["ada", "bob"], face_model=STAFF.face_model, data="none"
    ),
}


@pytest.mark.parametrize("name", CALLS)
@given(vector=vectors())
@example(vector=np.full(DIMENSION, 1e25))
@example(vector=np.full(DIMENSION, 1e300))
@example(vector=np.full(DIMENSION, 1e15))
@example(vector=np.full(DIMENSION, np.nan))
@example(vector=np.full(DIMENSION, 1j))
def test_any_numbers_get_our_error_or_an_answer_and_no_foreign_warning(name: str, vector: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(over="warn", divide="warn", invalid="warn"):
            try:
                CALLS[name](vector)
            except fs.FacesearchError as error:
                assert ": expected" in str(error)  # noqa: PT017  # an answer is right, too


def test_the_longest_embeddings_can_be_searched_audited_and_compared_without_a_warning() -> None:
    staff = gallery()
    assert staff.audit().users == 3
    assert staff.rank_like_user("ada", user_match_threshold=0)
    for face in staff.faces():
        assert fs.search_faces(staff, face.face_id, face_match_threshold=0).face_matches


def test_an_embedding_that_is_too_long_is_refused_with_the_longest_that_is_not() -> None:
    with pytest.raises(fs.InvalidEmbeddingError, match=r"vector: expected finite numbers, a vector of length 1e\+15"):
        fs.Collection("staff").add_embedding("ada", np.full(DIMENSION, 1e25))


@given(vector=vectors())
@example(vector=np.full(DIMENSION, 1e17))
@example(vector=np.full(DIMENSION, 1e25))
def test_vectors_in_a_strangers_file_are_refused_as_those_of_a_caller_are(vector: Any) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            row = np.asarray(vector).astype(np.float32)
        except (TypeError, ValueError):
            return
    if row.shape != (DIMENSION,):
        return
    try:
        check_embedding(row, DIMENSION)
    except fs.InvalidEmbeddingError:
        taken = False
    else:
        taken = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused_rows(np.stack([np.ones(DIMENSION, np.float32), row])) == ([] if taken else [1])
