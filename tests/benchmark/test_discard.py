"""Error versus discard: what a quality score must and can't do, on made-up scores."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

import facesearch as fs
from facesearch.benchmark import (
    ErrorVersusDiscard,
    error_versus_discard,
    partial_area,
    plot_discard,
    roc,
    threshold_for,
)

Pairs = tuple[list[float], list[int], list[float]]

# Few different values, so that ties are frequent.
distances = st.one_of(st.integers(0, 4).map(float), st.floats(0, 4))
qualities = st.one_of(st.integers(0, 4).map(float), st.floats(allow_nan=False))
shares = st.floats(0, 1)
THRESHOLD = 2.0


@st.composite
def pairs(draw: st.DrawFn, max_size: int = 20) -> Pairs:
    """Distances, kinds and qualities of pairs of both kinds."""
    rows = draw(st.lists(st.tuples(distances, st.integers(0, 1), qualities), max_size=max_size))
    rows += [(draw(distances), kind, draw(qualities)) for kind in (0, 1)]
    far, same, quality = zip(*rows, strict=True)
    return list(far), list(same), list(quality)


def shape(curve: ErrorVersusDiscard) -> Any:
    return curve.discarded.tolist(), curve.fnmr.tolist(), curve.threshold, curve.start


def test_by_hand() -> None:
    #          fails              fails
    far, quality = [0.9, 0.3, 0.2, 0.8, 0.1], [10, 10, 30, 50, 90]
    curve = error_versus_discard([*far, 0.6], [1, 1, 1, 1, 1, 0], [*quality, 0], threshold=0.5)

    assert curve.discarded.tolist() == [0, 0.4, 0.6, 0.8]
    assert curve.fnmr.tolist() == [2 / 5, 1 / 3, 1 / 2, 0]
    assert (curve.start.events, curve.start.trials, curve.threshold) == (2, 5, 0.5)
    assert [curve.at(share) for share in (0, 0.39, 0.4, 0.79, 0.8, 1)] == [2 / 5, 2 / 5, 1 / 3, 1 / 2, 0, 0]
    assert curve.perfect.discarded.tolist() == [0, 0.2, 0.4]
    assert curve.perfect.fnmr.tolist() == [2 / 5, 1 / 4, 0]
    # By fifths: 2/5, 2/5, 1/3 under the curve; 2/5, 1/4, 0 under the best; 2/5 thrice under the useless one.
    assert partial_area(curve, up_to=0.6) == pytest.approx((2 / 5 - 1 / 4 + 1 / 3) / (2 / 5 - 1 / 4 + 2 / 5))


@given(pairs())
def test_each_point_is_what_a_bar_leaves(given: Pairs) -> None:
    far, same, quality = map(np.array, given)
    genuine = same == 1
    curve = error_versus_discard(*given, threshold=THRESHOLD)

    bars = np.unique(quality[genuine])
    assert len(curve.fnmr) == len(curve.discarded) == len(bars)
    for bar, gone, rate in zip(bars, curve.discarded, curve.fnmr, strict=True):
        left = genuine & (quality >= bar)
        assert gone == (genuine.sum() - left.sum()) / genuine.sum()
        assert rate == curve.at(gone) == np.mean(far[left] > THRESHOLD)


@given(st.lists(qualities, min_size=2, max_size=8), st.data())
def test_discarding_photos_is_discarding_pairs_by_their_worse_photo(photos: list[float], data: st.DataObject) -> None:
    row = st.integers(0, len(photos) - 1)
    rows = data.draw(st.lists(st.tuples(row, row, distances), min_size=1, max_size=20))
    first, second, far = map(np.array, zip(*rows, strict=True))
    quality = np.array(photos)
    worse = np.minimum(quality[first], quality[second])
    curve = error_versus_discard([*far, 4], [1] * len(far) + [0], [*worse, 0], threshold=THRESHOLD)

    for bar in photos:
        kept = np.flatnonzero(quality >= bar)
        left = np.isin(first, kept) & np.isin(second, kept)
        if left.any():
            assert curve.at(float((len(left) - left.sum()) / len(left))) == np.mean(far[left] > THRESHOLD)


@given(pairs(), st.randoms(use_true_random=False), shares)
def test_the_order_of_the_pairs_changes_nothing(given: Pairs, random: Any, up_to: float) -> None:
    rows = list(zip(*given, strict=True))
    random.shuffle(rows)
    curve, other = (error_versus_discard(*columns) for columns in (given, map(list, zip(*rows, strict=True))))

    assert shape(curve) == shape(other)
    assert partial_area(curve, up_to=up_to) == partial_area(other, up_to=up_to)


@given(pairs())
def test_only_the_order_of_qualities_counts(given: Pairs) -> None:
    far, same, quality = given
    ranks = np.unique(quality, return_inverse=True)[1]

    for other in (ranks, ranks.astype(np.uint8), 0.1 * ranks**3 - 7, np.exp(ranks).astype(np.float32)):
        assert shape(error_versus_discard(far, same, other)) == shape(error_versus_discard(*given))


@given(pairs(), qualities)
def test_quality_of_strangers_has_no_say(given: Pairs, quality: float) -> None:
    far, same, own = given
    other = [q if kind else quality for q, kind in zip(own, same, strict=True)]

    assert shape(error_versus_discard(far, same, other)) == shape(error_versus_discard(*given))


@given(pairs(), shares)
def test_nothing_discarded_is_what_the_roc_says(given: Pairs, fmr: float) -> None:
    far, same, _ = given
    whole = roc(far, same)
    strangers = [d for d, kind in zip(far, same, strict=True) if not kind]

    for curve in (error_versus_discard(*given, fmr=fmr), error_versus_discard(*given, threshold=THRESHOLD)):
        at = np.searchsorted(whole.thresholds, curve.threshold, side="right") - 1
        assert curve.fnmr[0] == curve.at(0) == curve.start.value == (whole.fnmr[at] if at >= 0 else 1)
    limit = threshold_for(fmr, strangers)
    assert error_versus_discard(*given, fmr=fmr).threshold == min(limit, max(far))


@given(pairs(), qualities, shares)
def test_a_constant_quality_keeps_the_rate(given: Pairs, quality: float, share: float) -> None:
    far, same, _ = given
    curve = error_versus_discard(far, same, [quality] * len(far), threshold=THRESHOLD)

    assert curve.discarded.tolist() == [0]
    assert curve.at(share) == curve.start.value
    assert partial_area(curve, up_to=share) in (1, None)


@given(st.lists(distances, min_size=1, max_size=5), st.floats(0.2, 1))
def test_chance_keeps_the_rate_on_average(far: list[float], up_to: float) -> None:
    ways = [
        error_versus_discard([*far, 4], [1] * len(far) + [0], [*way, 0], threshold=THRESHOLD)
        for way in permutations(range(len(far)))
    ]

    assert np.mean([curve.fnmr for curve in ways], axis=0) == pytest.approx(ways[0].fnmr[0])
    areas = [area for curve in ways if (area := partial_area(curve, up_to=up_to)) is not None]
    assert len(areas) in (0, len(ways))
    if areas:
        assert np.mean(areas) == pytest.approx(1)


@given(pairs())
def test_who_knows_the_errors_is_perfect(given: Pairs) -> None:
    far, same, _ = given
    knowing = [number if d > THRESHOLD else np.inf for number, d in enumerate(far)]
    curve = error_versus_discard(far, same, knowing, threshold=THRESHOLD)

    assert shape(curve) == shape(curve.perfect) == shape(curve.perfect.perfect)
    assert partial_area(curve, up_to=1) in (0, None)


@given(pairs(), shares)
def test_no_score_beats_the_perfect_one(given: Pairs, share: float) -> None:
    curve = error_versus_discard(*given, threshold=THRESHOLD)
    best = curve.perfect

    for at in (share, *curve.discarded, *best.discarded):
        assert 0 <= best.at(at) <= curve.at(at) <= 1
    assert (np.diff(best.fnmr) <= 0).all()
    area = partial_area(curve, up_to=share)
    failed, count = curve.start.events, curve.start.trials
    assert (area is None) == (failed in (0, count) or share <= 1 / count)
    assert area is None or area >= 0


@given(pairs())
def test_inputs_stay_as_they_were(given: Pairs) -> None:
    arrays = [np.array(column) for column in given]
    copies = [array.copy() for array in arrays]
    error_versus_discard(*arrays)

    assert all((array == copy).all() for array, copy in zip(arrays, copies, strict=True))


def test_where_all_strangers_may_match_nobody_is_missed() -> None:
    curve = error_versus_discard([0.5, 0.9, 0.7], [1, 1, 0], [1, 2, 3], fmr=1)

    assert (curve.threshold, curve.at(0), partial_area(curve)) == (0.9, 0, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distances": [0.1, np.nan]}, "distances"),
        ({"same": [1, 1]}, "same"),
        ({"quality": [1]}, "quality: expected 2 numbers, one for each distance"),
        ({"quality": [1, np.nan]}, "quality"),
        ({"quality": ["good", "bad"]}, "quality"),
        ({"quality": [True, False]}, "quality"),
        ({"quality": [[1], [2]]}, "quality"),
        ({"fmr": 2}, "fmr"),
        ({"threshold": np.inf}, "threshold"),
        ({"threshold": "near"}, "threshold"),
    ],
)
def test_bad_pairs_are_refused(options: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"distances": [0.1, 0.9], "same": [1, 0], "quality": [1, 2]}
    with pytest.raises(fs.InvalidParameterError, match=message):
        error_versus_discard(**(good | options))


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan, "half"])
def test_what_is_no_share_is_refused(share: Any, tmp_path: Path) -> None:
    curve = error_versus_discard([0.1, 0.9], [1, 0], [1, 2])

    with pytest.raises(fs.InvalidParameterError, match="share"):
        curve.at(share)
    with pytest.raises(fs.InvalidParameterError, match="up_to"):
        partial_area(curve, up_to=share)
    with pytest.raises(fs.InvalidParameterError, match="up_to"):
        plot_discard(tmp_path / "discard.png", {"one": curve}, up_to=share)


def test_the_plot_is_a_picture_and_the_same_each_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    far, same = rng.random(60), np.repeat([1, 0], 30)
    curves = {
        "one": error_versus_discard(far, same, rng.random(60)),
        "constant": error_versus_discard(far, same, np.zeros(60)),
        "nobody fails": error_versus_discard(far, same, np.zeros(60), threshold=2),
    }
    written = plot_discard(tmp_path / "new" / "discard.png", curves)

    with Image.open(written) as image:
        assert image.format == "PNG"
        assert min(image.size) > 400
    assert plot_discard(tmp_path / "again.png", curves).read_bytes() == written.read_bytes()
    plot_discard(tmp_path / "flat.png", {"nobody fails": curves["nobody fails"]}, up_to=1)
    with pytest.raises(fs.InvalidParameterError, match="curves: expected one or more"):
        plot_discard(tmp_path / "none.png", {})
