"""Fixtures and settings shared by all tests; where each kind of test lives is told in tests/README.md."""

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from facesearch.analysis.analyzer import FaceAnalyzer, default_analyzer
from facesearch.storage import database, memory
from facesearch.testing.fakes import fake_analyzer
from marker_lists import TESTS, marker_lists, markers_of

# No deadlines: wall-clock times are never asserted here. In CI examples are the same on every run.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that markers.toml lists by their own name, their class or a fixture, and put files with slow tests first."""
    lists = marker_lists()
    for item in items:
        if TESTS in item.path.parents:
            fixtures = set(getattr(item, "fixturenames", ()))
            for marker in markers_of(
                lists, item.path, fixtures | {node.name.partition("[")[0] for node in item.listchain()}
            ):
                item.add_marker(marker)
            if "real" in fixtures:
                item.add_marker("weights")
    # Files with slow tests first: workers get whole files, and none shall begin a long one when the others are done. The tests of Milvus wait
    # for it for minutes.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != "test_milvus.py", item.path not in slow))


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
        for module in (database, memory):
            patched.setattr(module, "new_secret", lambda: b"the secret of the tests' ids ...")
        yield
