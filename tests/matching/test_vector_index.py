"""Exact nearest neighbours: float64 brute force is the oracle, whatever was put, removed, and how large blocks are."""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from facesearch.common.arrays import FloatArray
from facesearch.matching import shortlist, vector_index
from facesearch.matching.quantized import Codes, CodeScores, center_of
from facesearch.matching.row_keys import NameRows, NumberRows
from facesearch.matching.vector_index import Ranked, VectorIndex
from facesearch.testing.strategies import embeddings

DIMENSION = 8
ORIGIN = np.zeros((1, DIMENSION), np.float32)

# Few different ones, so that many are equal or equally far; and lengths from where float32 underflows to where it overflows.
corners = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=DIMENSION, max_size=DIMENSION).map(
    lambda entries: np.array(entries, np.float32)
)
extremes = st.builds(
    lambda vector, power: vector * np.float32(10.0**power), embeddings(DIMENSION), st.integers(-30, 18)
)
alike = st.lists(st.integers(-2, 2), min_size=DIMENSION, max_size=DIMENSION).map(
    lambda steps: (np.float32(1.1) + np.array(steps) * np.finfo(np.float32).eps).astype(np.float32)
)
vectors = corners | embeddings(DIMENSION) | extremes
offsets = st.sampled_from([0.0, 0.02, 1.0])
keys = st.integers(-3, 12) | st.integers(-(2**63), 2**63 - 1)
rows = st.tuples(vectors, offsets)
galleries = st.dictionaries(keys, rows, max_size=40)
probes = st.lists(vectors, min_size=1, max_size=5).map(np.stack)
reaches = st.just(math.inf) | st.floats(0, 4)
limits = st.integers(1, 45)


def names(numbers: Sequence[int]) -> list[str]:
    """Names in another order than the numbers."""
    return [str(number)[::-1] for number in numbers]


def index_of(gallery: dict[int, tuple[FloatArray, float]], block_rows: int = 65_536) -> VectorIndex[int]:
    index = VectorIndex(DIMENSION, NumberRows(), block_rows=block_rows)
    for key, (vector, offset) in gallery.items():
        index.put(key, vector, offset)
    return index


def brute_force(gallery: dict[int, tuple[FloatArray, float]], probe: FloatArray, reach: float, limit: int) -> Ranked:
    found = []
    for key, (vector, offset) in gallery.items():
        difference = vector.astype(np.float64) - probe
        found.append((float(np.sqrt((difference * difference).sum() + offset)), names([key])[0]))
    found.sort()
    within = [each for each in found if each[0] <= reach][:limit]
    return within, found[len(within)] if len(within) < len(found) else None


@contextmanager
def every_path(*, threads: bool = True, coded: bool = False) -> Iterator[None]:
    """Let few rows do what else only many do: sift after two rows, use all cores or not, and be kept in 8 bits, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shortlist, "_FIRST_ROWS", 2)
        patch.setattr(shortlist, "_SCORES_AT_ONCE", 12)
        patch.setattr(shortlist, "_MANY_SCORES", 0 if threads else math.inf)
        patch.setattr(vector_index, "_MANY_ROWS", 1 if coded else math.inf)
        yield


@given(galleries, probes, st.tuples(reaches, limits), st.integers(1, 9), st.booleans())
def test_nearest_is_brute_force(
    gallery: dict[int, tuple[FloatArray, float]], asked: FloatArray, within: tuple[float, int], block: int, coded: bool
) -> None:
    reach, limit = within
    with every_path(threads=block % 2 == 0, coded=coded):
        found = index_of(gallery, block).nearest(asked, max_distance=reach, limit=limit, names=names)

    assert found == [brute_force(gallery, probe, reach, limit) for probe in asked]


@given(
    st.lists(alike | embeddings(DIMENSION), min_size=2, max_size=40),
    alike | embeddings(DIMENSION),
    st.integers(1, 3),
    st.tuples(st.integers(-3, 3), st.sampled_from([0, -22])),
    st.booleans(),
)
def test_rows_that_float32_cannot_tell_apart_are_told_apart(
    people: list[FloatArray], probe: FloatArray, limit: int, scale: tuple[int, int], coded: bool
) -> None:
    longer, power = scale
    gallery = {number: (vector * np.float32(10.0**power), 0.0) for number, vector in enumerate(people)}
    asked = probe[np.newaxis] * np.float32(10.0 ** (power + longer))
    with every_path(threads=longer % 2 == 0, coded=coded):
        found = index_of(gallery).nearest(asked, max_distance=math.inf, limit=limit, names=names)

    assert found == [brute_force(gallery, asked[0], math.inf, limit)]


def test_where_float32_underflows_nobody_is_missed() -> None:
    random = np.random.default_rng(0)
    for _ in range(60):
        matrix = (random.uniform(-1, 1, (41, DIMENSION)) * 1e-22).astype(np.float32)  # squares keep one digit
        gallery = {number: (vector, 0.0) for number, vector in enumerate(matrix[1:])}
        found = index_of(gallery).nearest(matrix[:1], max_distance=math.inf, limit=1, names=names)

        assert found == [brute_force(gallery, matrix[0], math.inf, 1)]


@given(galleries.filter(bool), probes, st.data(), limits, st.booleans())
def test_those_exactly_as_far_as_allowed_belong_to_the_answer(
    gallery: dict[int, tuple[FloatArray, float]], asked: FloatArray, data: Any, limit: int, coded: bool
) -> None:
    everything, _ = brute_force(gallery, asked[0], math.inf, len(gallery))
    reach = data.draw(st.sampled_from([distance for distance, _ in everything]))

    with every_path(coded=coded):
        ((found, beyond),) = index_of(gallery, 4).nearest(asked[:1], max_distance=reach, limit=limit, names=names)
    assert (found, beyond) == brute_force(gallery, asked[0], reach, limit)
    assert len(found) == limit or (reach, found[-1][1]) in everything


@given(galleries, probes, reaches, limits, st.booleans())
def test_a_batch_equals_single_searches_to_the_bit(
    gallery: dict[int, tuple[FloatArray, float]], asked: FloatArray, reach: float, limit: int, threads: bool
) -> None:
    index = index_of(gallery, 7)
    alone = [index.nearest(probe[np.newaxis], max_distance=reach, limit=limit, names=names)[0] for probe in asked]

    with every_path(threads=threads):
        assert index.nearest(asked, max_distance=reach, limit=limit, names=names) == alone


@given(galleries, probes, st.integers(1, 40), st.floats(0, 3))
def test_less_asked_for_is_a_prefix(
    gallery: dict[int, tuple[FloatArray, float]], asked: FloatArray, limit: int, reach: float
) -> None:
    index = index_of(gallery)
    ((everything, _),) = index.nearest(asked[:1], max_distance=math.inf, limit=100, names=names)

    for most, far in ((limit, math.inf), (100, reach), (limit, reach)):
        ((found, beyond),) = index.nearest(asked[:1], max_distance=far, limit=most, names=names)
        assert [*found, *([beyond] if beyond else [])] == everything[: len(found) + 1]


class _BlockOfZeros(vector_index._Block):
    def __init__(self, dimension: int, rows: int, center: FloatArray | None) -> None:
        super().__init__(dimension, rows, center)
        self.matrix[:] = 0


class _CodesOfZeros(Codes):
    def __init__(self, rows: int, center: FloatArray) -> None:
        super().__init__(rows, center)
        self.matrix[:] = 0
        for column in (self.steps, self.weights, self.doubts):
            column[:] = np.finfo(np.float32).max  # what lies there must do no harm
        self.excess[:] = np.iinfo(np.int32).max


class AnyHistory(RuleBasedStateMachine):
    """Whatever is put and removed, one by one or many at once: the index is what a dictionary of the same history is."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        # Rows that were never written hold zeros, so that what lies there can be told.
        self.patch.setattr(vector_index, "_Block", _BlockOfZeros)
        self.patch.setattr(vector_index, "Codes", _CodesOfZeros)
        self.start(4, named=False, many=math.inf)

    @initialize(block=st.integers(1, 9), named=st.booleans(), many=st.sampled_from([1, 2, 6, 15, math.inf]))
    def start(self, block: int, named: bool, many: float) -> None:
        self.patch.setattr(vector_index, "_MANY_ROWS", many)
        self.index: VectorIndex[Any] = VectorIndex(DIMENSION, NameRows() if named else NumberRows(), block_rows=block)
        self.key: Any = str if named else int
        self.gallery: dict[int, tuple[FloatArray, float]] = {}

    @rule(key=keys, row=rows)
    def put(self, key: int, row: tuple[FloatArray, float]) -> None:
        self.index.put(self.key(key), *row)
        self.gallery[key] = row

    @rule(many=st.lists(st.tuples(keys, rows), max_size=12), rising=st.booleans())
    def put_many(self, many: list[tuple[int, tuple[FloatArray, float]]], rising: bool) -> None:
        many = sorted(many, key=lambda each: each[0]) if rising else many
        matrix = np.array([vector for _, (vector, _) in many], np.float32).reshape(-1, DIMENSION)
        self.index.put_many([self.key(key) for key, _ in many], matrix, [offset for _, (_, offset) in many])
        self.gallery.update(many)

    @rule(key=keys)
    def remove_any(self, key: int) -> None:
        self.index.remove(self.key(key))
        self.gallery.pop(key, None)

    @precondition(lambda self: self.gallery)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        self.remove_any(data.draw(st.sampled_from(sorted(self.gallery))))

    @rule(asked=probes, reach=reaches, limit=limits)
    def search(self, asked: FloatArray, reach: float, limit: int) -> None:
        with every_path():
            found = self.index.nearest(
                asked, max_distance=reach, limit=limit, names=lambda found: names([int(key) for key in found])
            )
        assert found == [brute_force(self.gallery, probe, reach, limit) for probe in asked]

    @invariant()
    def the_same_is_in_it(self) -> None:
        assert len(self.index) == len(self.gallery)
        for key, (vector, _) in self.gallery.items():
            found = self.index.get(self.key(key))
            assert found is not None
            assert (found == vector).all()

    @invariant()
    def nothing_else_stays_in_memory(self) -> None:
        free = len(self.index)
        for block in self.index._blocks:
            used = min(free, self.index._block_rows)
            free -= used
            assert not block.matrix[used:].any()
            if block.codes:
                assert not block.codes.matrix[used:].any()

    @invariant()
    def codes_are_there_in_time_and_in_step(self) -> None:
        many, left = vector_index._MANY_ROWS, len(self.index)
        assert (self.index._center is not None) >= (left >= many)
        assert (self.index._center is not None) <= (left > many // 2)
        for block in self.index._blocks:
            assert (block.codes is None) == (self.index._center is None)
            if block.codes:
                used = min(left, self.index._block_rows)
                fresh = block.encoded(block.codes.center, used)
                for mine, theirs in zip(fresh.columns, block.codes.columns, strict=True):
                    assert (mine[:used] == theirs[:used]).all()
            left -= len(block.matrix)

    def teardown(self) -> None:
        self.patch.undo()


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
test_any_history = AnyHistory.TestCase


# From where nothing is left of them in float32 to where it ends, all at once.
wild = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.random.default_rng(seed).normal(size=(30, 16))
        * 10.0 ** np.random.default_rng(seed).integers(-44, 38, (30, 1))
    ).astype(np.float32)
)
tame = st.builds(
    lambda seed, spread, far: (far + 10.0**spread * np.random.default_rng(seed).normal(size=(30, 16))).astype(
        np.float32
    ),
    st.integers(0, 2**32 - 1),
    st.integers(-9, 3),
    st.sampled_from([0.0, 1.0, -1e3]),
)


@given(wild | tame, wild | tame, st.integers(1, 5), st.sampled_from([0.0, 0.02, 1e-40, 1e40, 1e80]))
def test_the_true_score_lies_between_the_bounds(
    rows: FloatArray, others: FloatArray, count: int, offset: float
) -> None:
    center = center_of(rows)
    codes = Codes(len(rows), center)
    codes.put(slice(0, len(rows)), rows, np.full(len(rows), offset))
    lost = rows[0] - center - codes.matrix[0] * codes.steps[0].astype(np.float64)
    # Where what is lost counts most, and nothing is missed.
    along = center + np.clip(128 * np.abs(lost).mean(), 0, 1e37).astype(np.float32) * np.sign(lost).astype(np.float32)
    moved = rows.astype(np.longdouble) - center
    for asked in (np.concatenate([others[:count], rows[:count]]), along[np.newaxis]):
        probes = asked.astype(np.longdouble) - center
        true = moved @ probes.T - ((moved * moved).sum(axis=1) + offset)[:, np.newaxis] / 2
        scored = CodeScores(asked, center)
        scores, doubts = scored.of(*codes.columns)(slice(0, len(rows)))
        upper = scores.astype(np.longdouble) + scored.slack
        lower = upper - 2 * scored.slack - scored.spread * doubts.astype(np.longdouble)[:, np.newaxis]

        assert (lower <= true).all()
        assert (true <= upper).all()


def test_products_are_exact_where_processors_clip_them() -> None:
    signs = np.array([[1.0, -1.0]], np.float32).T
    rows = np.repeat(signs, 4000, axis=0) * np.ones((1, 128), np.float32)
    codes = Codes(len(rows), np.zeros(128, np.float32))
    codes.put(slice(0, len(rows)), rows, np.zeros(len(rows)))
    for probes in (signs * np.ones((1, 128), np.float32), np.ones((16, 128), np.float32)):
        scored = CodeScores(probes, np.zeros(128, np.float32))
        scores, _ = scored.of(*codes.columns)(slice(0, len(rows)))

        assert np.allclose(scores + codes.weights[:, np.newaxis], rows @ probes.T, rtol=1e-6)


@given(st.lists(st.tuples(st.booleans(), st.lists(keys, max_size=6)), max_size=30), st.integers(0, 3))
def test_numbers_have_the_rows_that_names_have(steps: list[tuple[bool, list[int]]], untidy: int) -> None:
    numbers, strings = NumberRows(), NameRows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facesearch.matching.row_keys._UNTIDY", untidy)
        for adding, some in steps:
            texts = [str(number) for number in some]
            if adding:
                assert numbers.claim(some).tolist() == strings.claim(texts).tolist()
            else:
                for number, text in zip(some, texts, strict=True):
                    if strings.row(text) is not None:
                        numbers.remove(number)
                        strings.remove(text)
            assert [numbers.row(number) for number in some] == [strings.row(text) for text in texts]
            every = np.arange(len(strings))
            assert len(numbers) == len(strings)
            assert [str(number) for number in numbers.keys(every)] == strings.keys(every)


def test_numbers_that_come_and_go_do_not_pile_up() -> None:
    rows = NumberRows()
    for number in range(20_000):
        rows.claim([number])
        if number >= 10:
            rows.remove(number - 10)

    assert len(rows) == 10
    assert len(rows._sorted) <= 2 * len(rows) + 1025


def test_a_number_that_has_no_row_is_not_removed() -> None:
    with pytest.raises(KeyError, match="7"):
        NumberRows().remove(7)


def test_every_vector_finds_itself_among_thousands() -> None:
    gallery = np.random.default_rng(0).normal(size=(3000, 128)).astype(np.float32) * 0.1
    index = VectorIndex(128, NumberRows(), block_rows=1000)
    index.put_many(range(3000), gallery, np.zeros(3000))

    for (found, _), number in zip(
        index.nearest(gallery[::100], max_distance=1e-6, limit=5, names=names), range(0, 3000, 100), strict=True
    ):
        assert found == [(0.0, names([number])[0])]


def test_many_equally_near_ones_come_by_name_whichever_are_cut_off() -> None:
    index = VectorIndex(DIMENSION, NumberRows(), block_rows=500)
    index.put_many(range(3000), np.ones((3000, DIMENSION), np.float32), np.zeros(3000))

    ((found, beyond),) = index.nearest(ORIGIN, max_distance=math.inf, limit=3, names=names)
    assert beyond
    assert [name for _, name in [*found, beyond]] == sorted(names(range(3000)))[:4]


@pytest.mark.parametrize("coded", [False, True])
def test_one_giant_does_not_make_all_others_candidates(coded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_MANY_ROWS", 1 if coded else math.inf)
    index = index_of({number: (np.full(DIMENSION, 1 + number / 1e3, np.float32), 0.0) for number in range(2000)})
    index.put(-1, np.full(DIMENSION, 1e12, np.float32))
    looked: list[int] = []
    distances = vector_index._Block.distances

    def counted(block: Any, probe: FloatArray, places: Any) -> Any:
        found = distances(block, probe, places)
        looked.append(len(found))
        return found

    monkeypatch.setattr(vector_index._Block, "distances", counted)
    index.nearest(ORIGIN, max_distance=math.inf, limit=1, names=names)

    assert sum(looked) < (200 if coded else 10)  # 8 bits tell one in 127 apart, along one line


def test_few_faces_get_a_second_look_after_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_MANY_ROWS", 1)
    random = np.random.default_rng(3)
    index = VectorIndex(128, NumberRows())
    index.put_many(range(5000), 1 + random.normal(size=(5000, 128)).astype(np.float32), np.zeros(5000))
    ((_, rows),) = index._near(1 + random.normal(size=(1, 128)).astype(np.float32), math.inf, 1)

    assert len(rows) < 50


def test_many_at_once_are_searched_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of({number: (np.full(DIMENSION, number, np.float32), 0.0) for number in range(9)})
    monkeypatch.setattr(vector_index, "_FEW_PROBES", 2)
    asked = np.ones((3, DIMENSION), np.float32)
    expected = index.nearest(asked, max_distance=math.inf, limit=9, names=names)
    monkeypatch.setattr(vector_index, "_MANY_ROWS", 1)
    index.put(0, np.zeros(DIMENSION, np.float32))
    used: list[int] = []

    def counted(probes: FloatArray, center: FloatArray) -> CodeScores:
        used.append(len(probes))
        return CodeScores(probes, center)

    monkeypatch.setattr(vector_index, "CodeScores", counted)

    for count in (1, 2, 3):
        assert index.nearest(asked[:count], max_distance=math.inf, limit=9, names=names) == expected[:count]
    assert used == [1, 2]


@pytest.mark.parametrize("many", [1, math.inf])
def test_a_block_that_grew_leaves_nothing_behind(many: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_MANY_ROWS", many)
    index = index_of({0: (np.ones(DIMENSION, np.float32), 0.0)})
    before = index._blocks[0]
    index.put_many(range(1, 100), np.ones((99, DIMENSION), np.float32), np.zeros(99))

    assert not before.matrix.any()
    assert before.codes is None or not before.codes.matrix.any()


def test_codes_that_are_dropped_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_MANY_ROWS", 4)
    index = index_of({number: (np.full(DIMENSION, number, np.float32), 0.0) for number in range(4)})
    codes = index._blocks[0].codes
    assert codes is not None
    for number, left in ((0, [codes]), (1, [None])):
        index.remove(number)
        assert [block.codes for block in index._blocks] == left

    assert not codes.matrix.any()


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1000, 4097])
def test_what_is_free_is_bounded(count: int) -> None:
    index = VectorIndex(DIMENSION, NumberRows(), block_rows=256)
    index.put_many(range(count), np.ones((count, DIMENSION), np.float32), np.zeros(count))
    held = sum(len(block.matrix) for block in index._blocks)

    assert held <= max(64, count + 255)
    for number in range(count):
        index.put(number, np.ones(DIMENSION, np.float32))
        index.remove(number)
        assert len(index._blocks) == max(1, math.ceil(len(index) / 256))


def test_vectors_of_another_shape_change_nothing() -> None:
    index = index_of({1: (np.ones(DIMENSION, np.float32), 0.0)})
    with pytest.raises(ValueError, match="expected 2 vectors and offsets"):
        index.put_many([2, 3], np.ones((1, DIMENSION), np.float32), [0.0, 0.0])

    assert len(index) == 1


@pytest.mark.parametrize("many", [1, math.inf])
def test_threads_may_search_at_once(many: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_MANY_ROWS", many)
    random = np.random.default_rng(2)
    index = VectorIndex(DIMENSION, NumberRows(), block_rows=1000)
    index.put_many(range(5000), random.normal(size=(5000, DIMENSION)).astype(np.float32), np.zeros(5000))
    asked = random.normal(size=(40, 1, DIMENSION)).astype(np.float32)

    def search(probe: FloatArray) -> list[Ranked]:
        return index.nearest(probe, max_distance=1.5, limit=20, names=names)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(search, asked)) == [search(probe) for probe in asked]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # the point of the test
def test_a_search_in_8_bits_survives_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "_MANY_ROWS", 1)
    random = np.random.default_rng(4)
    index = VectorIndex(DIMENSION, NumberRows())
    index.put_many(range(5000), random.normal(size=(5000, DIMENSION)).astype(np.float32), np.zeros(5000))
    expected = index.nearest(ORIGIN, max_distance=math.inf, limit=5, names=names)
    child = os.fork()
    if child == 0:
        index.put(5000, np.ones(DIMENSION, np.float32))
        os._exit(index.nearest(ORIGIN, max_distance=math.inf, limit=5, names=names) != expected)

    assert os.waitpid(child, 0)[1] == 0
