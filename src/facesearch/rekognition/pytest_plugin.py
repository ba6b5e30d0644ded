"""Fixtures for the tests of code that uses boto3's Rekognition; pytest finds them by itself where facesearch is installed.

Nothing but pytest is loaded until a test asks for one.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from facesearch.rekognition.service import Rekognition

__all__ = ["rekognition", "rekognition_service"]


@pytest.fixture
def rekognition_service() -> "Iterator[Rekognition]":
    """Give an account of Amazon Rekognition in memory, new for each test."""
    from facesearch.rekognition.service import Rekognition

    with Rekognition() as service:
        yield service


@pytest.fixture
def rekognition(rekognition_service: "Rekognition") -> Iterator[Any]:
    """Give a stock boto3 client that `rekognition_service` answers; no credentials, no network."""
    from facesearch.rekognition.boto3_client import client

    made = client(service=rekognition_service)
    yield made
    made.close()
