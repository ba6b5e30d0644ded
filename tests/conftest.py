"""Fixtures and settings shared by all tests; where each kind of test lives is told in tests/README.md."""

import os
import tomllib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from facesearch.analysis.analyzer import FaceAnalyzer, default_analyzer
from facesearch.storage import catalog, memory as storage
from facesearch.testing.fakes import fake_analyzer

# No deadlines: wall-clock times are never asserted here. In CI examples are the same on every run.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that markers.toml lists by their own name or by that of a fixture they use."""
    listed = tomllib.loads((TESTS / "markers.toml").read_text("utf-8"))
    for item in items:
        if TESTS not in item.path.parents:
            continue
        file = item.path.relative_to(TESTS).as_posix()
        fixtures = set(getattr(item, "fixturenames", ()))
        names = fixtures | {item.name.partition("[")[0], "*"}
        for marker, files in listed.items():
            if not names.isdisjoint(files.get(file, [])):
                item.add_marker(marker)
        if "real" in fixtures:
            item.add_marker("weights")


def encodable(value: Any) -> Any:
    """Return a value of JSON with unpaired surrogates in its texts escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(encodable(item) for item in value)
    return value


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Make reports of tests that print hostile names fit to send: pytest-xdist sends UTF-8 only, and ends otherwise."""
    return encodable((yield))


@pytest.fixture(scope="session")
def fake() -> FaceAnalyzer:
    """An analyzer of painted faces."""
    return fake_analyzer()


@pytest.fixture(scope="session")
def real() -> FaceAnalyzer:
    """The analyzer that users get."""
    return default_analyzer()


@pytest.fixture(autouse=True, scope="session")
def same_ids() -> Iterator[None]:
    """One secret for the ids of all collections that this process makes, so that they can be compared with each other."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (catalog, storage):
            patched.setattr(module, "new_secret", lambda: b"the secret of the tests' ids ...")
        yield
