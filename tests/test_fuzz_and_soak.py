"""The fuzzer and the soak test run, and count what they are there to count."""

import contextlib
import math
import random
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import _mutations  # noqa: E402  # found by the line above
import fuzz  # noqa: E402
import soak  # noqa: E402
from _fuzz_targets import TARGETS, sample_files  # noqa: E402

sys.path.remove(str(BENCHMARKS))
SERVED = {"http", "raw"}  # whose server ends with its process


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, check=False)  # noqa: S603  # our own


def kinds_of(row: str) -> dict[str, int]:
    return dict(zip(("cases", *fuzz.KINDS), (int(cell.replace(",", "")) for cell in row.split()[1:9]), strict=True))


# ---------------------------------------------------------------- fuzz.py


@pytest.mark.parametrize("target", sorted(set(TARGETS) - SERVED))
def test_each_target_answers_and_refuses(target: str, tmp_path: Path) -> None:
    case = TARGETS[target](tmp_path)
    found = [fuzz.one_case(case, "test", target, number) for number in range(25)]

    assert {each["kind"] for each in found} <= set(fuzz.KINDS)
    assert {"answered", "refused"} & {each["kind"] for each in found}
    again = [fuzz.one_case(case, "test", target, number) for number in range(25)]
    assert [each["kind"] for each in again] == [each["kind"] for each in found]


def test_every_table_of_the_database_that_is_mutated_has_rows(tmp_path: Path) -> None:
    TARGETS["databases"](tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "base.db")) as sql:
        tables = [name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        empty = {name for name in tables if not sql.execute(f"SELECT count(*) FROM '{name}'").fetchone()[0]}  # noqa: S608  # names of our own

    assert {"waiting", "waiting_data"} <= {*tables}
    assert empty == set()


def test_the_server_is_fed_in_a_process_of_its_own() -> None:
    done = run(BENCHMARKS / "fuzz.py", "--targets", *sorted(SERVED), "--cases", "6")
    rows = {
        line.split()[0]: kinds_of(line) for line in done.stdout.splitlines() if line.split()[:1] in (["http"], ["raw"])
    }

    assert set(rows) == SERVED, done.stdout + done.stderr
    for row in rows.values():
        assert row["cases"] == 6
        assert row["answered"] + row["refused"] > 0
    assert re.search(r"^machine .*\nsoftware .*\nweights ", done.stdout)
    assert (done.returncode == 0) == ("nothing that must not be" in done.stdout)


BAD = """
import os, sys, time, warnings
sys.path.insert(0, {folder!r})
import fuzz

def bad(folder):
    def case(draw):
        match draw.randrange(7):
            case 0: return "answered"
            case 1: return "refused"
            case 2: raise KeyError("of somebody else")
            case 3: raise fuzz.FoundError("500: oh")
            case 4: warnings.warn("not ours"); return "answered"
            case 5: os.abort()
            case 6: time.sleep(1000)
    return case

fuzz.TARGETS["bad"] = bad
sys.exit(fuzz.main())
"""


def test_what_must_not_be_is_counted_and_ends_nothing(tmp_path: Path) -> None:
    script = tmp_path / "bad.py"
    script.write_text(BAD.format(folder=str(BENCHMARKS)))
    cases, seed = 10, 25
    done = run(script, "--targets", "bad", "--cases", str(cases), "--hang", "1.5", "--seed", str(seed))
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("bad ")]
    drawn = Counter(random.Random(f"{seed} bad {number}").randrange(7) for number in range(cases))  # noqa: S311  # the same draws

    assert all(drawn[kind] for kind in range(7)), "choose another seed"
    assert kinds_of(row) == {
        "cases": cases,
        "answered": drawn[0] + drawn[4],
        "refused": drawn[1],
        "foreign": drawn[2],
        "500": drawn[3],
        "warning": drawn[4],
        "crash": drawn[5],
        "hang": drawn[6],
    }
    assert done.returncode == 1
    for number in range(cases):
        if random.Random(f"{seed} bad {number}").randrange(7) == 2:  # noqa: S311  # likewise
            assert f"--targets bad --first {number} --cases 1" in done.stdout
            break
    assert "KeyError at bad.py" in done.stdout


@given(st.integers())
def test_mutations_are_drawn_from_the_seed_alone(seed: int) -> None:
    files = [
        b"\x89PNG\r\n\x1a\n" + bytes(30),
        b"\xff\xd8\xff\xe0\0\x10" + bytes(30),
        b"II*\0" + bytes(30),
        b"",
        b"RIFF" + bytes(20),
    ]
    for data in files:
        one, other = (_mutations.mutated(data, random.Random(seed), files) for _ in range(2))  # noqa: S311  # to be the same
        assert one == other
    draws = [random.Random(seed) for _ in range(4)]  # noqa: S311  # likewise
    request = b"GET / HTTP/1.1\r\nA: b\r\n\r\n"
    assert _mutations.mutated_json('{"a": [1]}', draws[0]) == _mutations.mutated_json('{"a": [1]}', draws[1])
    assert _mutations.mutated_http(request, draws[2]) == _mutations.mutated_http(request, draws[3])


def test_every_format_is_among_the_pictures() -> None:
    kinds = {name.split()[0] for name in sample_files()}

    assert {"jpeg", "png", "gif", "tiff", "webp", "bmp", "eps"} <= kinds


# ---------------------------------------------------------------- soak.py


@pytest.mark.parametrize("way", soak.WAYS)
def test_a_short_soak_goes_well(way: str) -> None:
    done = run(
        BENCHMARKS / "soak.py", "--ways", way, "--seconds", "1.5", "--fakes", "--processes", "1", "--every", "0.5"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^search +[1-9]", done.stdout, re.MULTILINE)
    assert re.search(r"\d operations, .*, 0 errors$", done.stdout, re.MULTILINE)
    assert "memory from a quarter on" in done.stdout


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=200))
def test_percentiles_are_right_to_a_class(seconds: list[float]) -> None:
    counts = soak.Counts()
    for each in seconds:
        counts.add("search", each, None)
    merged = soak.Counts()
    merged.merge(counts.to_dict())
    classes = merged.latencies["search"]

    assert classes.total() == len(seconds)
    assert math.isclose(soak.percentile(classes, 1), 1000 * max(seconds), rel_tol=0.03)
    middle = sorted(seconds)[math.ceil(len(seconds) / 2) - 1]
    assert math.isclose(soak.percentile(classes, 0.5), 1000 * middle, rel_tol=0.03)
