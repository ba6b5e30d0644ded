"""The benchmark: its arithmetic on made-up scores, and once all of it on photographs of installed packages."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from scipy import stats

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.benchmark import (
    CutOptions,
    FaceChoice,
    Rate,
    Roc,
    Scoring,
    area_under_curve,
    cut_face,
    describe_machine,
    embed_photos,
    equal_error_rate,
    group_rates,
    identify,
    measure_speed,
    pair_distances,
    plot_det,
    plot_reliability,
    plot_roc,
    plot_scores,
    read_pairs,
    read_people,
    reliability,
    roc,
    split_people,
    tally,
    threshold_for,
    verify,
)
from facesearch.benchmark.__main__ import main
from facesearch.benchmark.commands.identify import identify as identify_command
from facesearch.benchmark.protocols.identification import THRESHOLDS
from facesearch.benchmark.protocols.verification import best_threshold
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.common.progress import progress
from facesearch.testing.fakes import paint
from samples import astronaut, hopper

# Few different values, so that ties are frequent.
scores = st.one_of(st.integers(0, 8).map(float), st.floats(0, 2))


@st.composite
def scored(draw: st.DrawFn) -> tuple[list[float], list[int], list[int]]:
    """Pairs of both kinds, in two or three folds."""
    rows = draw(st.lists(st.tuples(scores, st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=30))
    rows += [(draw(scores), 0, 0), (draw(scores), 1, 1)]
    distances, same, fold = zip(*rows, strict=True)
    return list(distances), list(same), list(fold)


# ---------------------------------------------------------------- rates


@given(st.integers(0, 3000), st.integers(1, 3000))
def test_a_rate_lies_in_its_interval_as_scipy_has_it(events: int, trials: int) -> None:
    events = min(events, trials)
    rate = Rate.of(events, trials)
    oracle = stats.binomtest(events, trials).proportion_ci(0.95, "exact")

    assert rate.value == events / trials
    assert rate.low <= rate.value <= rate.high
    assert (rate.low, rate.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_a_rate_of_nothing_says_nothing() -> None:
    rate = Rate.of(0, 0)

    assert (rate.value, rate.low, rate.high, str(rate)) == (None, 0, 1, "- (0 of 0)")


@pytest.mark.parametrize(("events", "trials"), [(2, 1), (-1, 1), (0, -1), (0.5, 1)])
def test_what_is_no_count_is_refused(events: Any, trials: int) -> None:
    with pytest.raises(fs.InvalidParameterError, match="expected a whole number"):
        Rate.of(events, trials)


# ---------------------------------------------------------------- verification


@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_changes_nothing(pairs: tuple[list[float], ...], random: Any) -> None:
    rows = list(zip(*pairs, strict=True))
    random.shuffle(rows)

    assert verify(*map(list, zip(*rows, strict=True))) == verify(*pairs)


@given(scored())
def test_counts_add_up_and_rates_are_rates(pairs: tuple[list[float], list[int], list[int]]) -> None:
    result = verify(*pairs)

    assert result.genuine + result.impostor == sum(fold.pairs for fold in result.folds) == len(pairs[0])
    assert 0 <= result.eer <= 1
    for point in result.points:
        assert point.tar.trials == result.genuine
        assert point.measured_far.trials == result.impostor
        assert point.measured_far.value is not None
        assert point.measured_far.value <= point.far


@given(scored())
def test_accuracy_is_that_of_brute_force(pairs: tuple[list[float], list[int], list[int]]) -> None:
    distances, same, fold = (np.array(column) for column in pairs)

    def right(threshold: float, here: Any) -> int:
        return sum((d <= threshold) == bool(s) for d, s in zip(distances[here], same[here], strict=True))

    for judged in verify(*pairs).folds:
        others = fold != judged.fold
        # Every way to part the other folds' distances in near and far ones.
        best = max(right(t, others) for t in [-1.0, *distances[others]])
        assert right(judged.threshold, others) == best
        assert judged.correct == right(judged.threshold, ~others)


@given(scored())
def test_area_and_thresholds_are_those_of_brute_force(pairs: tuple[list[float], list[int], list[int]]) -> None:
    distances, same = pairs[0], pairs[1]
    mates = [d for d, s in zip(distances, same, strict=True) if s]
    others = [d for d, s in zip(distances, same, strict=True) if not s]
    closer = sum((m < o) + (m == o) / 2 for m in mates for o in others)
    curve = roc(distances, same)

    assert area_under_curve(distances, same) == pytest.approx(closer / len(mates) / len(others))
    for t, fmr, fnmr in zip(curve.thresholds, curve.fmr, curve.fnmr, strict=True):
        assert fmr == pytest.approx(sum(o <= t for o in others) / len(others))
        assert fnmr == pytest.approx(sum(m > t for m in mates) / len(mates))


@given(scored())
def test_the_equal_error_rate_lies_between_the_errors_next_to_it(
    pairs: tuple[list[float], list[int], list[int]],
) -> None:
    curve = roc(pairs[0], pairs[1])
    rate = equal_error_rate(curve)

    near = [
        row
        for row in range(1, len(curve.fmr))
        if curve.fmr[row - 1] <= rate <= curve.fmr[row] and curve.fnmr[row] <= rate <= curve.fnmr[row - 1]
    ]
    assert near


@given(scored())
def test_turned_about_nothing_changes(pairs: tuple[list[float], list[int], list[int]]) -> None:
    distances, same = pairs[0], pairs[1]
    turned = [-d for d in distances], [1 - s for s in same]

    assert area_under_curve(*turned) == pytest.approx(area_under_curve(distances, same))
    assert equal_error_rate(roc(*turned)) == pytest.approx(equal_error_rate(roc(distances, same)))


near_ones = st.lists(st.floats(0, 0.5), min_size=4, max_size=20)
far_ones = st.lists(st.floats(1.5, 2), min_size=4, max_size=20)


@given(near_ones, far_ones)
def test_what_is_far_apart_is_told_without_fault(mates: list[float], others: list[float]) -> None:
    same = [1] * len(mates) + [0] * len(others)
    result = verify(mates + others, same, [row % 2 for kind in (mates, others) for row in range(len(kind))])

    assert (result.accuracy, result.accuracy_std, result.eer, result.auc) == (1, 0, 0, 1)
    assert all(point.tar.value == 1 and point.measured_far.value == 0 for point in result.points)


@given(scored(), st.floats(0, 1), st.floats(0, 1))
def test_who_allows_more_strangers_recognizes_no_fewer(
    pairs: tuple[list[float], list[int], list[int]], one: float, other: float
) -> None:
    strict, lax = verify(*pairs, fars=sorted((one, other))).points

    assert strict.tar.events <= lax.tar.events
    assert strict.measured_far.events <= lax.measured_far.events


@given(st.lists(scores, min_size=1, max_size=30), st.floats(0, 1))
def test_no_larger_threshold_keeps_the_rate(impostors: list[float], fmr: float) -> None:
    def share(threshold: float) -> float:
        return sum(d <= threshold for d in impostors) / len(impostors)

    threshold = threshold_for(fmr, impostors)
    assert share(threshold) <= fmr + 1e-9
    assert math.isinf(threshold) or share(float(np.nextafter(threshold, math.inf))) > fmr


def test_of_equally_good_thresholds_it_is_the_middle_one() -> None:
    mate, other = True, False

    assert best_threshold(np.array([0.0, 0.2, 0.8, 1.0]), np.array([mate, mate, other, other])) == 0.5
    # One more mate than others lies below 1, 3 and 5 alike.
    assert best_threshold(np.arange(6.0), np.array([mate, other] * 3)) == 2.5


@pytest.mark.parametrize(
    ("distances", "same", "fold", "argument"),
    [
        ([0.1, math.nan], [1, 0], [0, 1], "distances"),
        ([[0.1, 0.2]], [1, 0], [0, 1], "distances"),
        (["a", "b"], [1, 0], [0, 1], "distances"),
        ([0.1, 0.2], [1, 2], [0, 1], "same"),
        ([0.1, 0.2], [1], [0, 1], "same"),
        ([0.1, 0.2], [1, 1], [0, 1], "same"),
        ([0.1, 0.2], [1, 0], [0, 0], "fold"),
        ([0.1, 0.2], [1, 0], [0.0, 1.0], "fold"),
        ([0.1, 0.2], [1, 0], [0, -1], "fold"),
    ],
)
def test_what_are_no_scored_pairs_is_refused(distances: Any, same: Any, fold: Any, argument: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=f"^{argument}: expected"):
        verify(distances, same, fold)


def test_distances_are_those_of_single_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 128)).astype(np.float32)

    assert pair_distances(rows, [0, 2, 5], [1, 2, 3]) == pytest.approx(
        [float(np.linalg.norm(rows[a].astype(float) - rows[b])) for a, b in ((0, 1), (2, 2), (5, 3))]
    )


# ---------------------------------------------------------------- groups and reliability

labels = st.sampled_from(["f", "m", "", None])


@given(st.lists(st.tuples(scores, st.integers(0, 1), labels, labels), min_size=1), st.floats(0, 2))
def test_every_pair_is_in_one_group(rows: list[tuple[float, int, str | None, str | None]], threshold: float) -> None:
    distances, same, first, second = zip(*rows, strict=True)
    groups = group_rates(distances, same, first, second, thresholds=[threshold])

    assert sum(row.fmr.trials for row in groups) == len(same) - sum(same)
    assert sum(row.fnmr.trials for row in groups) == sum(same)
    assert sum(row.fmr.events for row in groups) == sum(
        d <= threshold and not s for d, s in zip(distances, same, strict=True)
    )
    assert group_rates(distances, same, second, first, thresholds=[threshold]) == groups


def test_who_has_no_label_is_a_group_too() -> None:
    (row,) = group_rates([0.1], [0], ["m"], [None], thresholds=[0.6])

    assert (row.one, row.other) == ("m", "unknown")


def test_labels_must_be_one_a_pair() -> None:
    with pytest.raises(fs.InvalidParameterError, match="second: expected 1 labels"):
        group_rates([0.1], [1], ["f"], ["f", "m"], thresholds=[0.6])


@given(scored())
def test_a_higher_percentage_matches_no_more(pairs: tuple[list[float], list[int], list[int]]) -> None:
    at_99, at_90, at_80 = reliability(pairs[0], pairs[1])[:3]

    assert at_80.threshold > at_90.threshold > at_99.threshold
    assert at_80.measured.events >= at_90.measured.events >= at_99.measured.events
    assert at_80.missed.events <= at_90.missed.events <= at_99.missed.events


# ---------------------------------------------------------------- identification


def crowd(counts: Sequence[int], spread: float, seed: int = 0) -> dict[str, FloatArray]:
    """People with a vector of length 1 each and *counts* photos about it."""
    rng = np.random.default_rng(seed)
    people = {}
    for number, count in enumerate(counts):
        center = rng.normal(size=128)
        rows = center / np.linalg.norm(center) + spread * rng.normal(size=(count, 128)) / np.sqrt(128)
        people[f"person {number}/{seed}"] = rows.astype(np.float32)
    return people


percents = st.lists(st.floats(0, 100), max_size=20)


@given(percents, percents, st.floats(0, 100), st.floats(0, 100), st.randoms(use_true_random=False))
def test_a_higher_threshold_finds_fewer(
    mated: list[float], strangers: list[float], one: float, other: float, random: Any
) -> None:
    first = [random.random() < 0.8 for _ in mated]
    low, high = (tally(first, mated, strangers, threshold) for threshold in sorted((one, other)))

    assert high.fpir.events <= low.fpir.events
    assert high.fnir.events >= low.fnir.events
    assert low.fnir.trials == len(mated)
    assert low.fpir.trials == len(strangers)


def test_who_is_exactly_at_the_threshold_is_found() -> None:
    point = tally([True, True], [80, 79.9], [80, 79.9], 80)

    assert (point.fnir.events, point.fpir.events) == (1, 1)


def test_people_far_apart_are_all_found_and_strangers_never() -> None:
    people = crowd([8] * 9 + [2] * 6, spread=0.2)
    results = identify(people, strangers=0.2, distractors=crowd([3] * 5, 0.2, seed=1))

    assert len(results) == 2 * (3 * 2 + 2)  # three numbers of photos, two scorings, and at 5 one wrong photo; twice
    for result in results:
        if not (
            result.wrong and result.scoring is Scoring.BEST_FACE
        ):  # there a wrong photo wins as often as a right one
            assert result.rank1.value == 1
            assert result.points[1].fpir.events == result.points[1].fnir.events == 0
        assert result.rank1.trials == 9 * (8 - 6)
        assert result.distractors == (0 if result.users == 9 else 3 + 5)
        assert result.users - result.distractors == 9
        assert result.points[1].fpir.trials == 3 * 2
    assert {result.wrong for result in results if result.enrolled == 5} == {0, 1}


def test_five_photos_are_better_than_one_and_a_wrong_one_hurts_the_best_face_more() -> None:
    results = {
        (each.enrolled, each.wrong, each.scoring): each
        for each in identify(crowd([12] * 40, spread=1.1), strangers=0.25, thresholds=[50])
    }
    vector, face = Scoring.USER_VECTOR, Scoring.BEST_FACE

    assert results[1, 0, vector].rank1 == results[1, 0, face].rank1
    assert results[5, 0, vector].rank1.events > results[1, 0, vector].rank1.events
    assert results[5, 1, vector].rank1.events > results[5, 1, face].rank1.events


def test_the_same_seed_gives_the_same_figures_whatever_the_order_of_the_people() -> None:
    people = crowd([8] * 6 + [1] * 6, spread=1)
    turned = dict(reversed(people.items()))

    assert identify(people, enrolled=[5]) == identify(turned, enrolled=[5])
    assert identify(people, enrolled=[5], seed=1) != identify(people, enrolled=[5])


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 12), min_size=1, max_size=20),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_everybody_plays_one_part(counts: dict[str, int], strangers: float, seed: int) -> None:
    try:
        split = split_people(counts, photos=6, strangers=strangers, seed=seed)
    except fs.InvalidParameterError:
        assert sum(count >= 6 for count in counts.values()) <= round(strangers * len(counts))
        return

    assert sorted(split.mates + split.strangers + split.distractors) == sorted(counts)
    assert len(split.strangers) == round(strangers * len(counts))
    assert all(counts[name] >= 6 for name in split.mates)
    assert all(counts[name] < 6 for name in split.distractors)
    if split.distractors:
        assert all(counts[name] < 6 for name in split.strangers)


@pytest.mark.parametrize("options", [{"enrolled": []}, {"enrolled": [0]}, {"enrolled": [7]}, {"strangers": 1.5}])
def test_what_can_not_be_measured_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(fs.InvalidParameterError):
        identify(crowd([8, 8], 0.1), **options)


# ---------------------------------------------------------------- photos

RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 200, 30)


def save(path: Path, pixels: PixelArray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def painted(tmp_path: Path) -> list[Path]:
    """A face, none, and two of which the smaller one is in the middle."""
    two = paint((200, 200), {(2, 2, 62, 62): RED, (85, 85, 115, 115): BLUE})
    photos = [paint((100, 100), {(20, 20, 80, 80): RED}), np.zeros((100, 100, 3), np.uint8), two]
    return [save(tmp_path / f"{number}.png", photo) for number, photo in enumerate(photos)]


def test_every_photo_gets_a_vector(painted: list[Path], fake: FaceAnalyzer) -> None:
    embedded = embed_photos(painted, analyzer=fake)

    assert embedded.photos == tuple(painted)
    assert embedded.vectors.shape == (3, 128)
    assert embedded.detected.tolist() == [True, False, True]
    assert embedded.undetected == 1


def test_the_number_of_threads_changes_nothing(painted: list[Path], fake: FaceAnalyzer) -> None:
    one, many = (embed_photos(painted * 9, analyzer=fake, workers=workers) for workers in (1, 4))

    assert (one.vectors == many.vectors).all()
    assert (one.detected == many.detected).all()


def test_the_face_is_the_one_chosen(painted: list[Path], fake: FaceAnalyzer) -> None:
    largest, centre = (
        cut_face(painted[2], analyzer=fake, options=CutOptions(choice=choice)).probe.mean(axis=(0, 1))
        for choice in FaceChoice
    )

    assert largest[0] > largest[2]  # red
    assert centre[0] < centre[2]  # blue


def test_the_undetected_face_is_cut_from_the_middle(fake: FaceAnalyzer) -> None:
    class Blind:
        def detect(self, pixels: PixelArray) -> tuple[()]:  # noqa: ARG002  # it sees nothing
            return ()

    blind = FaceAnalyzer(detector=Blind(), aligner=fake.aligner, landmarker=fake.landmarker, embedder=fake.embedder)
    photo = paint((100, 300), {(125, 25, 175, 75): GREEN})
    for padding in (0, 0.25):
        face = cut_face(photo, analyzer=blind, options=CutOptions(centred_share=0.5, padding=padding))
        assert not face.detected
        assert (face.probe == cut_face(photo, analyzer=fake).probe).all()


def test_padding_repeats_the_edge(fake: FaceAnalyzer) -> None:
    whole = paint((100, 100), {(0, 0, 100, 100): RED})
    plain = cut_face(whole, analyzer=fake)
    padded = cut_face(whole, analyzer=fake, options=CutOptions(padding=0.5))

    assert plain.detected
    assert padded.detected
    assert (plain.probe != padded.probe).any()


def test_the_cache_serves_exactly_what_made_it(painted: list[Path], fake: FaceAnalyzer, tmp_path: Path) -> None:
    cache = tmp_path / "kept" / "vectors.npz"
    first = embed_photos(painted, analyzer=fake, cache=cache)
    written = cache.stat().st_mtime_ns
    again = embed_photos(painted, analyzer=fake, cache=cache)
    assert cache.stat().st_mtime_ns == written
    assert (first.vectors == again.vectors).all()
    assert (first.detected == again.detected).all()

    fewer = embed_photos(painted[:2], analyzer=fake, cache=cache)
    assert fewer.vectors.shape == (2, 128)
    content = cache.read_bytes()
    padded = embed_photos(painted[:2], analyzer=fake, cache=cache, options=CutOptions(padding=0.5))
    assert cache.read_bytes() != content
    save(painted[0], paint((100, 100), {(20, 20, 80, 80): GREEN}))
    changed = embed_photos(painted[:2], analyzer=fake, cache=cache, options=CutOptions(padding=0.5))
    assert (changed.vectors[0] != padded.vectors[0]).any()


@pytest.mark.parametrize("content", [b"", b"my letters", b"PK\x03\x04"])
def test_a_file_that_is_no_cache_is_not_overwritten(
    painted: list[Path], fake: FaceAnalyzer, tmp_path: Path, content: bytes
) -> None:
    letters = tmp_path / "letters.npz"
    letters.write_bytes(content)
    with pytest.raises(fs.InvalidParameterError, match="cache: expected a new file"):
        embed_photos(painted, analyzer=fake, cache=letters)
    assert letters.read_bytes() == content

    np.savez(letters, figures=np.arange(3))
    with pytest.raises(fs.InvalidParameterError, match="cache: expected a new file"):
        embed_photos(painted, analyzer=fake, cache=letters)


def test_a_photo_that_can_not_be_read_is_named(painted: list[Path], fake: FaceAnalyzer) -> None:
    painted[1].write_bytes(b"no picture")
    with pytest.raises(fs.ImageError, match=str(painted[1])):
        embed_photos(painted, analyzer=fake)
    with pytest.raises(fs.ImageNotFoundError):
        embed_photos([painted[0], painted[0].with_name("gone.png")], analyzer=fake)


@pytest.mark.parametrize(
    "options", [{"padding": -1}, {"padding": math.nan}, {"choice": "nearest"}, {"centred_share": 0}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(fs.InvalidParameterError, match=next(iter(options))):
        CutOptions(**options)


def test_progress_needs_no_tqdm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), "three", 3)) == [0, 1, 2]
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert list(progress(range(3), "three", 3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")  # no terminal, no bar


# ---------------------------------------------------------------- folders


def test_a_list_of_pairs_finds_photos_beside_it_and_one_folder_down(tmp_path: Path) -> None:
    for name in ("a.png", "ada/b.png", "bob/c.png"):
        save(tmp_path / name, np.zeros((1, 1, 3), np.uint8))
    (tmp_path / "pairs.csv").write_text("note,a,b,same,fold\n,a.png,b.png,1,0\n,a.png,bob/c.png,0,1\n")
    pairs = read_pairs(tmp_path / "pairs.csv")

    assert [path.name for path in pairs.photos] == ["a.png", "b.png", "c.png"]
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 0], [1, 2])
    assert (pairs.same.tolist(), pairs.fold.tolist()) == ([True, False], [0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,same\n", "no fold"),
        ("", "no a"),
        ("a,b,same,fold\n", "one or more pairs"),
        ("a,b,same,fold\na.png,gone.png,1,0\n", "line 2: expected a photo, got 'gone.png'"),
        ("a,b,same,fold\na.png\n", "line 2: expected a photo, got None"),
        ("a,b,same,fold\na.png,a.png,1,0\na.png,a.png,yes,0\n", "line 3: same: expected 0 or 1, got something else"),
        ("a,b,same,fold\na.png,a.png,1,-1\n", "line 2: fold: expected a whole number"),
        ("a,b,same,fold\na.png,two.png,1,0\n", "lies in 2 folders"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    for name in ("a.png", "ada/two.png", "bob/two.png"):
        save(tmp_path / name, np.zeros((1, 1, 3), np.uint8))
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(fs.InvalidParameterError, match=message):
        read_pairs(tmp_path / "pairs.csv")
    with pytest.raises(fs.InvalidParameterError, match="expected a CSV file"):
        read_pairs(tmp_path / "none.csv")


def test_people_are_folders(tmp_path: Path) -> None:
    for name in ("bob/1.PNG", "ada/2.jpg", "ada/1.jpeg", "no one/.png", "x.png"):
        save(tmp_path / name.replace("/.png", "/note.png"), np.zeros((1, 1, 3), np.uint8))
    (tmp_path / "no one" / "note.png").rename(tmp_path / "no one" / "note.txt")
    people = read_people(tmp_path)

    assert {name: [path.name for path in photos] for name, photos in people.items()} == {
        "ada": ["1.jpeg", "2.jpg"],
        "bob": ["1.PNG"],
    }
    with pytest.raises(fs.InvalidParameterError, match="folder: expected a folder"):
        read_people(tmp_path / "ada")


# ---------------------------------------------------------------- plots


@pytest.fixture(scope="module")
def curve() -> Roc:
    rng = np.random.default_rng(0)
    return roc(np.concatenate([rng.normal(0.4, 0.1, 50), rng.normal(0.8, 0.1, 50)]), np.repeat([1, 0], 50))


def test_plots_are_pictures_and_the_same_each_time(curve: Roc, tmp_path: Path) -> None:
    distances, same = [0.1, 0.5, 0.6, 0.9], [1, 1, 0, 0]

    written = [
        plot_roc(tmp_path / "new" / "roc.png", {"one": curve, "other": roc(distances, same)}),
        plot_det(tmp_path / "det.png", {"one": curve, "perfect": roc(distances, same)}),
        plot_scores(tmp_path / "scores.png", distances, same, thresholds={"FAR 0.01": 0.55}),
        plot_reliability(tmp_path / "reliability.png", reliability(distances, same)),
    ]
    for path in written:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) > 400
    again = plot_reliability(tmp_path / "again.png", reliability(distances, same))
    assert again.read_bytes() == written[-1].read_bytes()


def test_without_matplotlib_plots_say_what_to_install(
    curve: Roc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(fs.InvalidParameterError, match=r"facesearch\[benchmark\]"):
        plot_roc(tmp_path / "roc.png", {"one": curve})


# ---------------------------------------------------------------- all of it


def test_the_machine_card_tells_what_it_must() -> None:
    machine = describe_machine()

    assert machine.usable_cores <= machine.cores
    assert machine.packages["numpy"] == np.__version__
    assert machine.weights == {file.name: file.sha256 for file in fs.models()}
    assert all(name in str(machine) for name in machine.weights)


def test_speed_is_told_by_stage(fake: FaceAnalyzer) -> None:
    photo = paint((100, 100), {(20, 20, 80, 80): RED})
    speed = measure_speed(photo, analyzer=fake, users=10, repeats=2)

    names = [stage.name for stage in speed.stages]
    assert names == ["read", "detect", "align", "landmarks", "embed", "search", "whole search"]
    assert all(stage.least_ms <= stage.median_ms for stage in speed.stages)
    assert speed.stages[-1].share == 1
    with pytest.raises(fs.InvalidParameterError, match="a photo with a face"):
        measure_speed(np.zeros((100, 100, 3), np.uint8), analyzer=fake, users=10)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with three photos each, one of which shows no face, and pairs of them."""
    root = tmp_path_factory.mktemp("gallery")
    for name, photo in (("ada", astronaut()[:256, 96:352]), ("grace", hopper()[40:296, 110:366])):
        save(root / name / f"{name}_1.png", photo)
        save(root / name / f"{name}_2.png", photo[:, ::-1].copy())
        save(root / name / f"{name}_3.jpg", (photo * 0.6).astype(np.uint8))
    save(root / "grace" / "grace_3.jpg", np.full((120, 120, 3), 90, np.uint8))
    lines = ["a,b,same,fold"]
    for fold, (mine, theirs) in enumerate((("ada", "grace"), ("grace", "ada"))):
        lines += [f"{mine}_1.png,{mine}_2.png,1,{fold}", f"{mine}_1.png,{theirs}_2.png,0,{fold}"]
        lines += [f"{mine}_2.png,{mine}_3.jpg,1,{fold}", f"{mine}_3.jpg,{theirs}_1.png,0,{fold}"]
    (root / "pairs.csv").write_text("\n".join(lines))
    return root


def test_verification_on_photographs(gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["verify", str(gallery / "pairs.csv"), "--cache", str(tmp_path / "kept.npz")]
    assert main([*arguments, "--plots", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)

    result = report["result"]["verification"]
    assert (result["genuine"], result["impostor"]) == (4, 4)
    assert report["protocol"]["undetected"].startswith("1 photos, in 2 pairs; none dropped: a centred square")
    assert result["auc"] >= 0.75  # of the photo without a face nothing is asked
    assert report["face_model"]["version"] == "3.0"
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "det.png",
        "reliability.png",
        "roc.png",
        "scores.png",
    ]

    assert main(arguments) == 0
    text = capsys.readouterr().out
    for part in ("accuracy", "EER", "at FAR", "undetected  1 photos", "machine ", "weights ", "seeds ", "onnxruntime"):
        assert part in text


def test_identification_on_photographs(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Drawn from seed 0, grace is the stranger.
    assert main(["identify", str(gallery), "--enrolled", "1", "--strangers", "0.5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)

    assert [row["scoring"] for row in report["result"]] == ["user vector", "best face"]
    for row in report["result"]:
        assert row["rank1"]["events"] == row["rank1"]["trials"] == 1
        assert row["points"][1]["fpir"]["trials"] == 3
    assert report["seeds"] == {"split and order of photos": 0}

    assert main(["identify", str(gallery), "--enrolled", "1", "--strangers", "0.5"]) == 0
    assert "FNIR at FPIR 0.01" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "pairs.csv", "--far", "2"],
        ["identify", ".", "--enrolled", "0"],
        ["identify", ".", "--thresholds", "101"],
        ["identify", ".", "--strangers", "few"],
        ["speed", "photo.jpg", "--repeats", "0"],
    ],
)
def test_a_wrong_option_is_told_at_once(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert f"Invalid value for '{arguments[2]}'" in capsys.readouterr().err


def test_an_option_takes_several_values_after_its_name() -> None:
    words = [
        "people",
        "--thresholds",
        "50",
        "80",
        "--json",
        "--enrolled",
        "1",
        "3",
        "5",
        "--fpir",
        "0.5",
        "--seed",
        "7",
    ]
    given = identify_command.make_context("identify", words).params

    assert (given["folder"], given["seed"], given["as_json"]) == ("people", 7, True)
    assert (given["thresholds"], given["enrolled"], given["fpir"]) == ((50, 80), (1, 3, 5), (0.5,))
    assert identify_command.make_context("identify", ["people"]).params["thresholds"] == THRESHOLDS


def test_distractors_are_other_people(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["identify", str(gallery), "--enrolled", "1", "--strangers", "0", "--distractors", str(gallery)])
    assert "distractors: expected a folder of other photos" in capsys.readouterr().err


def test_the_program_prints_json_and_nothing_else(gallery: Path) -> None:
    command = [sys.executable, "-m", "facesearch.benchmark", "speed", str(gallery / "ada" / "ada_1.png")]
    done = subprocess.run(  # noqa: S603  # our own code
        [*command, "--users", "10", "--repeats", "1", "--json"], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout)["result"][0]["faces"] == 1
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "none.csv"], "none.csv: expected a CSV file"),
        (["identify", "none"], "folder: expected a folder"),
        (["speed", "none.jpg"], "none.jpg"),
    ],
)
def test_what_can_not_be_used_is_told_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count("\n") == 1
