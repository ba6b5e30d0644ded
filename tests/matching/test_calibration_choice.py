"""A file's own calibration: it never counts unasked where the library has one, and it is named wherever it counts."""

import json
import logging
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from click.testing import CliRunner

import facesearch as fs
from facesearch.cli.app import app
from facesearch.common.arrays import FloatArray
from facesearch.matching.calibration_choice import describe_foreign, describe_kept
from samples import astronaut

# Whatever is not as far apart as strangers hardly ever are reads 99.9 and more.
ROWS = tuple(attrs.evolve(row, distance=row.distance + 2) for row in fs.calibration().rows)
LYING = attrs.evolve(fs.calibration(), rows=ROWS, data="10 million \x1b[31mpeople\n" + "x" * 500, people=3)
NAME = "measured on '10 million \\x1b[31mpeople\\n"
OWN_MODEL = fs.FaceModel(name="mine", version="1.0", digest="0" * 64, dimension=128)
OWN = attrs.evolve(LYING, face_model=OWN_MODEL, data="mine")


def far() -> FloatArray:
    """Two vectors as far apart as strangers' are."""
    vectors = np.zeros((2, 128), np.float32)
    vectors[1, 0] = 1.25
    vectors[:, 1] = 1
    return vectors


def similarity(collection: fs.Collection) -> float:
    (match,) = collection.search_embedding(far()[1], user_match_threshold=0)
    return match.similarity


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """What a stranger gives away: a user, and a calibration that makes all alike."""
    staff = fs.Collection("staff", calibration=LYING)
    staff.add_embedding("ada", far()[0])
    assert similarity(staff) > 99
    staff.save(tmp_path / "staff.npz")
    return tmp_path / "staff.npz"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with fs.Collection.open(tmp_path / "people.db", "staff", calibration=LYING) as staff:
        staff.add_embedding("ada", far()[0])
    return tmp_path / "people.db"


def opened(path: Path, **options: Any) -> fs.Collection:
    return (
        fs.Collection.load(path, **options) if path.suffix == ".npz" else fs.Collection.open(path, "staff", **options)
    )


@pytest.fixture(params=["export", "database"])
def foreign(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_a_files_own_calibration_does_not_count_unasked_and_is_named(
    foreign: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "facesearch"), opened(foreign) as staff:
        assert staff.calibration == fs.calibration()
        assert similarity(staff) < 30
    (record,) = caplog.records
    assert "has a calibration of its own" in record.getMessage()
    assert NAME in record.getMessage()
    assert "calibration='file'" in record.getMessage()
    assert "\x1b" not in record.getMessage()


def test_it_counts_when_it_is_asked_for(foreign: Path) -> None:
    with opened(foreign, calibration="file") as staff:
        assert staff.calibration == LYING
        assert similarity(staff) > 99


def test_one_that_is_given_counts_before_any_other(foreign: Path) -> None:
    mine = attrs.evolve(fs.calibration(), user_spread=0.5)
    with opened(foreign, calibration=mine) as staff:
        assert staff.calibration == mine


def test_asking_for_that_of_a_file_without_one_gives_the_librarys(tmp_path: Path) -> None:
    fs.Collection("staff").save(tmp_path / "plain.npz")
    assert fs.Collection.load(tmp_path / "plain.npz", calibration="file").calibration == fs.calibration()
    with fs.Collection.open(tmp_path / "new.db", "staff", calibration="file") as staff:
        assert staff.calibration == fs.calibration()


@pytest.mark.parametrize("wrong", ["shipped", 3, True])
def test_anything_else_is_refused_before_a_file_is_touched(tmp_path: Path, wrong: Any) -> None:
    for path in (tmp_path / "none.npz", tmp_path / "none.db"):
        with pytest.raises(fs.InvalidParameterError, match="calibration: expected a Calibration, 'file', or None, got"):
            opened(path, calibration=wrong)
    assert list(tmp_path.iterdir()) == []


def test_where_the_library_has_none_the_files_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    staff = fs.Collection("staff", face_model=OWN_MODEL, calibration=OWN)
    staff.save(tmp_path / "staff.npz")

    with caplog.at_level(logging.INFO, "facesearch"):
        assert fs.Collection.load(tmp_path / "staff.npz").calibration == OWN
    assert "by the file's own calibration (measured on 'mine', 3 people)" in caplog.text


def test_lists_of_collections_name_it(database: Path) -> None:
    fs.Collection.open(database, "plain").close()
    plain, staff = fs.collections(database)

    assert plain.calibration is None
    assert staff.calibration is not None
    assert staff.calibration.startswith(NAME)
    out = CliRunner().invoke(app, ["collections", "--db", str(database)]).stdout
    assert f"staff has a calibration of its own, {NAME}" in out
    assert "not used: the library's counts" in out
    assert "\x1b" not in out


def test_import_on_the_command_line_reports_it_and_does_not_keep_it(export: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["import", str(export), "--db", str(tmp_path / "new.db")])

    assert done.exit_code == 0
    assert f"the file brings a calibration of its own, {NAME}" in done.stdout
    assert "which is not used" in done.stdout
    (info,) = fs.collections(tmp_path / "new.db")
    assert info.calibration is None
    with fs.Collection.open(tmp_path / "new.db", "staff", calibration="file") as staff:
        assert similarity(staff) < 30


def test_import_reports_it_as_json_too(export: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["import", str(export), "--db", str(tmp_path / "new.db"), "--json"])

    told = json.loads(done.stdout)
    assert told["file_calibration"].startswith(NAME)
    assert told["file_calibration_used"] is False


def test_a_collection_filled_from_a_file_keeps_its_own_and_names_the_files(
    export: Path, caplog: pytest.LogCaptureFixture
) -> None:
    staff = fs.Collection("mine")
    staff.restore(export)

    assert staff.calibration == fs.calibration()
    assert NAME in caplog.text


def test_answers_name_a_calibration_that_is_not_the_librarys() -> None:
    photo = astronaut()
    plain, lying = fs.Collection("plain"), fs.Collection("lying", calibration=LYING)
    answers = [fs.search_users_by_image(each, photo) for each in (plain, lying)]

    assert answers[0].calibration_note is None
    assert "percentages" not in str(answers[0].explain())
    assert "calibration" not in answers[0].explain().to_dict()
    assert answers[1].calibration_note == describe_foreign(LYING)
    assert f"percentages: calibration {NAME}" in str(answers[1].explain())
    assert "percentages: calibration measured on" in answers[1].explain()._repr_html_()
    assert answers[1].explain().to_dict()["calibration"] == answers[1].calibration_note


def test_damaged_ones_are_named_too() -> None:
    assert describe_kept(None) is None
    assert describe_kept(fs.calibration().to_json()) is None
    for damaged in ("", "[]", "{" * 100_000, LYING.to_json()[:-9]):
        assert describe_kept(damaged) == "damaged"
