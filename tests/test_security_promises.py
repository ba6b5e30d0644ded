"""Whether each promise in SECURITY.md names tests, and whether these exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEST = re.compile(r"`(tests/(?:\w+/)?\w+\.py)::(\w+)`")
HEADER = ["promise", "against whom", "test"]
SETTINGS = ["On a laptop", "On a shared host", "As a service behind a proxy"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def promises(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the heading and the cells of each row of the tables of promises."""
    heading, inside = "", False
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            inside = False
        elif cells(line) == HEADER:
            inside = True
        elif inside and not set(line) <= set("|- "):
            yield heading, cells(line)


def names_of_tests(source: str) -> set[str]:
    """Return the names of the test functions of a module, parametrised ones without brackets."""
    return {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def problems(text: str, root: Path) -> list[str]:
    """Return what is wrong with the rows of promises."""
    found = []
    for _, row in promises(text):
        if len(row) != len(HEADER) or not all(row):
            found.append(f"{row}: expected three cells")
            continue
        named = TEST.findall(row[2])
        if not named or TEST.sub("", row[2]).strip(" ,"):
            found.append(f"{row[0]}: expected `tests/FILE.py::NAME`, one or more, got {row[2]}")
        for file, name in named:
            path = root / file
            if not path.is_file() or name not in names_of_tests(path.read_text("utf-8")):
                found.append(f"{row[0]}: {file} has no {name}")
    return found


def test_every_promise_in_security_md_names_tests_that_exist() -> None:
    assert problems((ROOT / "SECURITY.md").read_text("utf-8"), ROOT) == []


def test_every_setting_has_promises() -> None:
    rows = [heading for heading, _ in promises((ROOT / "SECURITY.md").read_text("utf-8"))]

    assert list(dict.fromkeys(rows)) == SETTINGS


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("| it holds | all | `tests/test_a.py::test_that_is_not_there` |", "has no test_that_is_not_there"),
        ("| it holds | all | `tests/test_b.py::test_one` |", "tests/test_b.py has no test_one"),
        ("| it holds | all | `tests/test_a.py::helper` |", "has no helper"),
        ("| it holds | all | `tests/test_a.py::test_within` |", "has no test_within"),
        ("| it holds | all | test_one |", "expected `tests/FILE.py::NAME`"),
        ("| it holds | all | `tests/test_a.py::test_one`, test_two |", "expected `tests/FILE.py::NAME`"),
        ("| it holds | all | |", "expected three cells"),
        ("| it holds | `tests/test_a.py::test_one` |", "expected three cells"),
    ],
)
def test_a_promise_without_a_test_is_found(tmp_path: Path, row: str, problem: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "def helper(): ...\ndef test_one():\n    def test_within(): ...\nasync def test_two(): ...\n"
    )
    table = "| promise | against whom | test |\n| --- | --- | --- |\n"
    good = "| it holds | all | `tests/test_a.py::test_one`, `tests/test_a.py::test_two` |\n"

    assert problems(table + good, tmp_path) == []
    assert [problem in each for each in problems(table + good + row, tmp_path)] == [True]
