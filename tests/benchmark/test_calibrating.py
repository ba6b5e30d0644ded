"""Measuring what percentages mean, on made-up people whose distances are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import facesearch as fs
from facesearch.benchmark.__main__ import main
from facesearch.benchmark.protocols.calibration import calibrate, calibrate_folder
from facesearch.common.arrays import FloatArray
from facesearch.embedding.dlib_resnet import DLIB_RESNET
from facesearch.embedding.sface import SFACE_PLAIN
from samples import astronaut, hopper


def crowd(people: int, photos: int, *, seed: int = 0, spread: float = 0.03) -> tuple[FloatArray, list[str]]:
    """Give vectors of people who differ, and of photos of each that differ less."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 0.06, (people, 1, 128))
    vectors = centers + rng.normal(0, spread, (people, photos, 128))
    return vectors.reshape(-1, 128).astype(np.float32), [f"p{i}" for i in range(people) for _ in range(photos)]


def measured(vectors: FloatArray, people: list[str], seed: int = 0) -> fs.Calibration:
    return calibrate(vectors, people, face_model=DLIB_RESNET, data="made up", seed=seed)


def test_each_row_has_the_false_match_rate_it_states() -> None:
    vectors, people = crowd(150, 3)
    table = measured(vectors, people)
    distances = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    who = np.array(people)
    upper = np.triu(np.ones(distances.shape, bool), 1)
    strangers, mates = (distances[upper & same] for same in (who[:, None] != who, who[:, None] == who))

    assert table.impostor_comparisons == len(strangers)
    assert table.genuine_comparisons == len(mates)
    assert table.people == 150
    for row in table.rows:
        assert (strangers <= row.distance + 1e-6).mean() == pytest.approx(row.fmr, rel=0.05)
        assert (mates > row.distance + 1e-6).mean() == pytest.approx(row.fnmr, abs=0.01)
        assert row.fmr_low <= row.fmr <= row.fmr_high
    assert [row.similarity for row in table.rows] == [90, 80, 50, 15, 2]  # 100,575 comparisons: ten for 90, one for 99


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_the_order_of_photos_does_not_matter(random: object) -> None:
    vectors, people = crowd(40, 2)
    order = list(range(len(people)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives random.Random
    one, other = measured(vectors, people), measured(vectors[order], [people[i] for i in order])

    assert [row.distance for row in one.rows] == pytest.approx([row.distance for row in other.rows], abs=1e-6)
    assert [row.fnmr for row in one.rows] == pytest.approx([row.fnmr for row in other.rows])


def test_people_whose_photos_vary_more_have_a_larger_user_spread() -> None:
    little, much = (measured(*crowd(60, 4, spread=spread)).user_spread for spread in (0.01, 0.04))

    assert 0 <= little < much


def test_the_same_seed_gives_the_same_intervals() -> None:
    vectors, people = crowd(60, 2)

    assert measured(vectors, people, seed=3) == measured(vectors, people, seed=3)


@pytest.mark.parametrize(("people", "photos"), [(3, 2), (40, 1)])
def test_too_few_people_or_photos_are_told(people: int, photos: int) -> None:
    with pytest.raises(fs.CalibrationError, match=f"got {people} people"):
        measured(*crowd(people, photos))


def test_vectors_without_names_are_refused() -> None:
    vectors, people = crowd(4, 2)
    with pytest.raises(fs.InvalidParameterError, match="one row a name"):
        measured(vectors, people[:-1])


def test_the_command_measures_a_folder_and_saves_what_a_collection_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for person in range(8):
        (tmp_path / "photos" / f"p{person}").mkdir(parents=True)
        for copy in range(2):
            photo = (astronaut() if person % 2 else hopper())[60 * (copy == 1) :: 2, ::2]
            noisy = np.clip(photo + rng.normal(0, 4 + 4 * person, photo.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(tmp_path / "photos" / f"p{person}" / f"{copy}.jpg")

    status = main(["calibrate", str(tmp_path / "photos"), "--save", str(tmp_path / "table.json"), "--json"])
    told = json.loads(capsys.readouterr().out)

    assert status == 0
    assert told["result"]["people"] == 8
    table = fs.Calibration.load(tmp_path / "table.json", face_model=SFACE_PLAIN)
    assert calibrate_folder(tmp_path / "photos") == table
    assert [row.similarity for row in table.rows] == [15, 2]
    assert fs.Collection("mine", calibration=table).calibration == table


def test_a_set_with_nearer_strangers_decides() -> None:
    vectors, people = crowd(150, 3, seed=1)
    nearer, others = crowd(150, 3, seed=2)
    alone = calibrate(vectors, people, face_model=DLIB_RESNET, data="made up")
    same = calibrate(vectors, people, face_model=DLIB_RESNET, data="made up", others=[(vectors, people)])
    strict = calibrate(vectors, people, face_model=DLIB_RESNET, data="made up", others=[(nearer * 0.5, others)])

    assert [row.distance for row in same.rows] == [row.distance for row in alone.rows]
    for mine, theirs in zip(strict.rows, alone.rows, strict=True):
        assert mine.distance < theirs.distance
        assert mine.fmr == pytest.approx(theirs.fmr, rel=0.1)  # of the set that decides
        assert mine.fnmr >= theirs.fnmr  # of the first set


def test_a_small_set_asks_for_as_much_caution_beyond_its_reach() -> None:
    vectors, people = crowd(150, 3, seed=1)
    nearer, others = crowd(60, 1, seed=2)
    alone = calibrate(vectors, people, face_model=DLIB_RESNET, data="made up")
    strict = calibrate(vectors, people, face_model=DLIB_RESNET, data="made up", others=[(nearer * 0.8, others)])
    gaps = [theirs.distance - mine.distance for mine, theirs in zip(strict.rows, alone.rows, strict=True)]

    assert [row.similarity for row in strict.rows] == [90, 80, 50, 15, 2]
    assert gaps[0] == gaps[1] == pytest.approx(gaps[2])  # 1,770 comparisons: enough for one false match in 100
    assert min(gaps) > 0
