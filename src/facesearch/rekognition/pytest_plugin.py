"""pytest fixtures for code that uses boto3's Rekognition client; pytest finds this plugin where facesearch is installed.

The plugin imports only pytest until a test requests a fixture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from facesearch.rekognition.service import Rekognition

__all__ = ["rekognition", "rekognition_service", "rekognition_url"]


@pytest.fixture
def rekognition_service() -> "Iterator[Rekognition]":
    """Provide a local service with collections in memory, new for each test."""
    from facesearch.rekognition.service import Rekognition

    with Rekognition() as service:
        yield service


@pytest.fixture
def rekognition(rekognition_service: "Rekognition") -> Iterator[Any]:
    """Provide a stock boto3 client that is connected to `rekognition_service`; it needs no credentials and no network."""
    from facesearch.rekognition.boto3_client import client

    made = client(service=rekognition_service)
    yield made
    made.close()


@pytest.fixture(scope="session")
def rekognition_url() -> Iterator[str]:
    """Provide the URL of a server in a process of its own, for programs in any language; one for the whole run of pytest."""
    from facesearch.rekognition.server_process import serving

    with serving() as url:
        yield url
