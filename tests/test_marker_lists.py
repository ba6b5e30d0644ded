"""The lists in markers.toml name tests that exist, so that no test loses its marker when it is renamed or moved."""

from pathlib import Path

import pytest

from marker_lists import TESTS, marker_lists, markers_of, unknown_names

FILE = """
import pytest

@pytest.fixture
def photo(): ...

def helper(number): ...

def test_one(photo, tmp_path): ...

class TestAll:
    def test_two(self): ...

TestMachine = Machine.TestCase
"""


def test_every_name_in_the_lists_is_a_test_or_a_fixture_of_its_file() -> None:
    assert unknown_names(marker_lists()) == []


@pytest.mark.parametrize("name", ["*", "photo", "tmp_path", "test_one", "test_two", "TestAll", "TestMachine"])
def test_a_name_that_exists_is_known(name: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FILE, "utf-8")

    assert unknown_names({"slow": {"test_it.py": [name]}}, tmp_path) == []


@pytest.mark.parametrize("name", ["test_three", "helper", "number", "Machine", "", "test_one[1]"])
def test_a_name_that_does_not_exist_is_told_with_its_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FILE, "utf-8")

    assert unknown_names({"slow": {"test_it.py": [name, "test_one"]}}, tmp_path) == [f"test_it.py: {name}"]


def test_a_file_that_does_not_exist_is_told(tmp_path: Path) -> None:
    assert unknown_names({"slow": {}, "weights": {"domain/test_it.py": ["*"]}}, tmp_path) == ["domain/test_it.py"]


def test_a_test_gets_the_markers_that_name_it_its_class_or_a_fixture() -> None:
    lists = {"slow": {"a.py": ["test_one", "TestAll"], "b.py": ["*"]}, "weights": {"a.py": ["photo"]}}

    assert markers_of(lists, TESTS / "a.py", ["test_one", "photo"]) == ["slow", "weights"]
    assert markers_of(lists, TESTS / "a.py", ["test_two", "TestAll"]) == ["slow"]
    assert markers_of(lists, TESTS / "a.py", ["test_two"]) == []
    assert markers_of(lists, TESTS / "b.py", ["test_two"]) == ["slow"]
    assert markers_of(lists, TESTS / "c.py", ["test_one"]) == []
