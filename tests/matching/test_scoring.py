"""Distance to percent: one pure, strictly decreasing function, fixed by false-match rates that were measured."""

import json
import math
import tempfile
import traceback
from itertools import pairwise
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.interpolate import PchipInterpolator

import facesearch as fs
from durable import MEMORY
from facesearch.embedding.dlib_resnet import DLIB_RESNET, DLIB_RESNET_MIRRORED
from facesearch.embedding.sface import SFACE_PLAIN
from facesearch.matching.calibration import SIMILARITY_AT_FMR, shipped_calibrations

distances = st.floats(0, 1e6)
TABLES = [*shipped_calibrations()]
tables = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.face_model.name)


@st.composite
def calibrations(draw: st.DrawFn) -> fs.Calibration:
    """Any curve that could be measured."""
    count = draw(st.integers(2, 7))
    steps = draw(st.lists(st.floats(0.01, 0.5), min_size=count, max_size=count))
    shares = draw(st.lists(st.floats(0.05, 0.95), min_size=count, max_size=count))
    distance, similarity = np.cumsum(steps).tolist(), (100 * np.cumprod(shares)).tolist()
    return fs.Calibration(
        face_model=DLIB_RESNET,
        data="made up",
        people=10,
        impostor_comparisons=1000,
        genuine_comparisons=100,
        rows=tuple(
            fs.CalibrationRow(
                similarity=s, distance=d, fmr=0.1, fmr_low=0, fmr_high=1, fnmr=0.1, fnmr_low=0, fnmr_high=1
            )
            for d, s in zip(distance, similarity, strict=True)
        ),
    )


@given(calibrations(), distances)
def test_similarity_is_a_percentage(table: fs.Calibration, distance: float) -> None:
    assert 0 <= table.similarity(distance) <= 100


@given(calibrations(), st.floats(0.0, 3), st.floats(1e-3, 1))
def test_similarity_falls_strictly(table: fs.Calibration, distance: float, more: float) -> None:
    near, far = table.similarity(distance), table.similarity(distance + more)

    assert far < near or (near == far and near > 100 - 1e-9)  # near 100 a float has no finer steps


@given(calibrations())
def test_the_curve_goes_through_every_measured_point(table: fs.Calibration) -> None:
    assert table.similarity(0) == 100
    for row in table.rows:
        assert table.similarity(row.distance) == pytest.approx(row.similarity)


@given(calibrations(), st.floats(0.01, 99.99))
def test_distance_at_undoes_similarity(table: fs.Calibration, percent: float) -> None:
    assert table.similarity(table.distance_at(percent)) == pytest.approx(percent, abs=1e-6)


@given(calibrations())
def test_a_saved_calibration_is_read_back(table: fs.Calibration) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder, "calibration.json")
        for _ in range(2):  # an earlier one is replaced
            table.save(path)
            assert fs.Calibration.load(path, face_model=DLIB_RESNET) == table


@tables
def test_the_fixed_points_are_at_the_stated_false_match_rates(table: fs.Calibration) -> None:
    for row, (fmr, percent) in zip(table.rows, SIMILARITY_AT_FMR.items(), strict=True):
        assert row.similarity == percent
        assert row.fmr == pytest.approx(fmr, rel=0.02)
        assert row.fmr_low <= row.fmr <= row.fmr_high
        assert row.fnmr_low <= row.fnmr <= row.fnmr_high
        assert table.similarity(row.distance) == pytest.approx(percent)
    assert all(one.fnmr >= other.fnmr for one, other in pairwise(table.rows))
    assert table.people > 2500
    assert table.impostor_comparisons > 10_000_000


@tables
def test_inner_slopes_are_those_of_scipys_monotone_cubic(table: fs.Calibration) -> None:
    x = [0.0, *(row.distance for row in table.rows)]
    y = [100.0, *(row.similarity for row in table.rows)]
    oracle = PchipInterpolator(x, y)

    inside = np.linspace(x[1], x[-2], 200)  # the end pieces differ: ours are never level
    ours = np.array([table.similarity(float(at)) for at in inside])
    assert np.abs(ours - oracle(inside)).max() < 1e-9


def test_strangers_of_usual_distance_are_near_zero_and_copies_near_a_hundred() -> None:
    assert fs.similarity(1e300) < 1e-9
    assert fs.similarity(1.45) < 2
    assert fs.similarity(0.05) > 99.9


def test_the_module_functions_are_the_default_calibrations() -> None:
    table = fs.calibration()

    assert table.face_model == SFACE_PLAIN
    assert fs.calibration(DLIB_RESNET_MIRRORED).face_model == DLIB_RESNET_MIRRORED
    assert fs.calibration(DLIB_RESNET).face_model == DLIB_RESNET
    assert fs.similarity(0.5) == table.similarity(0.5)
    assert fs.distance_at(90) == table.distance_at(90)
    assert "false matches" in str(table)
    assert str(table).count("\n") == 4 + len(table.rows)


def test_the_ends_of_distance_at() -> None:
    assert fs.distance_at(100) == 0
    assert fs.distance_at(0) == math.inf


@given(st.integers(1, 100), st.integers(1, 100))
def test_a_user_of_more_photos_is_moved_farther_off(one: int, other: int) -> None:
    table = fs.calibration()

    assert table.user_offset(1) == 0
    assert (table.user_offset(one) <= table.user_offset(other)) == (one <= other)
    assert table.user_offset(max(one, other)) < table.user_spread


@pytest.mark.parametrize("distance", [-1e-9, math.nan, math.inf, "0.6", None])
def test_what_is_no_distance_is_refused(distance: float) -> None:
    with pytest.raises(fs.InvalidParameterError, match="distance: expected a finite number"):
        fs.similarity(distance)


@pytest.mark.parametrize("percent", [-1, 101, math.nan, "80"])
def test_what_is_no_percentage_is_refused(percent: float) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"percent: expected a finite number in \[0, 100\]"):
        fs.distance_at(percent)


def test_another_models_calibration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    fs.calibration().save(path)
    other = fs.FaceModel(name="other", version="1.0", digest="1" * 64, dimension=128)

    with pytest.raises(
        fs.CalibrationError, match=r"table\.json: expected the calibration of other .*got that of sface"
    ):
        fs.Calibration.load(path, face_model=other)
    with pytest.raises(fs.CalibrationError, match="face_model: no calibration for other"):
        fs.calibration(other)
    with pytest.raises(fs.CalibrationError, match="face_model: no calibration for other"):
        fs.Collection("c", face_model=other)
    with pytest.raises(fs.CalibrationError, match=r"calibration: expected that of other .*got that of sface"):
        fs.Collection("c", face_model=other, calibration=fs.calibration())
    assert len(fs.Collection("c", face_model=other, calibration=attrs.evolve(fs.calibration(), face_model=other))) == 0


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "face_model": {}}', "null", '{"format": 1, "rows": 5}']
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(content)

    with pytest.raises(fs.CalibrationError, match=r"table\.json"):
        fs.Calibration.load(path, face_model=DLIB_RESNET)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(fs.CalibrationError, match=r"nothing\.json: can't be read"):
        fs.Calibration.load(tmp_path / "nothing.json", face_model=DLIB_RESNET)


def test_rows_that_do_not_fall_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    fs.calibration().save(path)
    fields = json.loads(path.read_text())
    fields["rows"].reverse()
    path.write_text(json.dumps(fields))

    with pytest.raises(fs.CalibrationError, match="similarities falling"):
        fs.Calibration.load(path, face_model=DLIB_RESNET_MIRRORED)


@pytest.mark.parametrize(
    "content",
    [
        "DB_PASSWORD=hunter2",
        '{"format": 1, "face_model": {"hunter2": 1}, "rows": []}',
        '{"format": 1, "face_model": {"name": 7, "version": "hunter2", "digest": "hunter2", "dimension": 1}, "rows": []}',
        '["hunter2"]',
    ],
)
def test_a_file_that_is_no_calibration_is_not_quoted(content: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(fs.CalibrationError, match=r"table\.json: no calibration") as caught:
        fs.Calibration.load(path, face_model=fs.calibration().face_model)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
