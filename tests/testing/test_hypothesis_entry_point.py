"""What facesearch does to other people's test runs: hypothesis loads its entry point wherever it is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import facesearch as fs


def run(code: str, *folders: Path) -> list[str]:
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_hypothesis_loads_next_to_nothing_of_ours() -> None:
    loaded = run("import sys, hypothesis; print(*(name for name in sys.modules if name.startswith('facesearch')))")

    assert set(loaded) == {
        "facesearch",
        "facesearch.common",
        "facesearch.testing",
        "facesearch.testing._registration",
        "facesearch.common.announce",
    }


@pytest.mark.parametrize("package", ["attrs", "attr", "numpy", "cattrs", "PIL"])
def test_importing_hypothesis_works_where_a_package_we_need_is_broken(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text("raise RuntimeError('broken')")
    code = "import hypothesis, hypothesis.strategies as st; print(st.integers().wrapped_strategy is not None)"

    assert run(code, tmp_path) == ["True"]


@pytest.mark.parametrize(
    "order", ["facesearch.responses.search_users, hypothesis", "hypothesis, facesearch.responses.search_users"]
)
def test_classes_are_drawn_whichever_is_imported_first(order: str) -> None:
    code = f"""
import {order}
import hypothesis.strategies as st, facesearch as fs
@hypothesis.given(st.from_type(fs.UserMatch))
@hypothesis.settings(max_examples=5, database=None, deadline=None)
def check(match):
    assert 0 <= match.similarity <= 100
check()
print("drawn")
"""
    assert run(code) == ["drawn"]


def test_a_class_that_can_not_be_registered_does_not_keep_its_module_from_loading() -> None:
    code = """
import hypothesis.strategies as st
def refuse(*_):
    raise RuntimeError
st.register_type_strategy = refuse
import facesearch.responses.search_users
print("loaded")
"""
    assert run(code) == ["loaded"]


@given(st.from_type(fs.BoundingBox))
def test_types_of_ours_are_known_to_hypothesis(box: fs.BoundingBox) -> None:
    assert box.width >= 0
