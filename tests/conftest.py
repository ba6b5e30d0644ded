"""Fixtures and settings shared by all tests; where each kind of test lives is told in tests/README.md."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from facesearch.analysis.analyzer import FaceAnalyzer, default_analyzer
from facesearch.storage import catalog, memory as storage
from facesearch.testing.fakes import fake_analyzer

# No deadlines: wall-clock times are never asserted here. In CI examples are the same on every run.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


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
