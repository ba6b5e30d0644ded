"""`facesearch.rekognition.serving`: a server in a process of its own, for the time of a block."""

import contextlib
import socket
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

import facesearch as fs
from facesearch.rekognition import serving


def collections_at(url: str) -> list[str]:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    client = boto3.client(
        "rekognition", "us-east-1", endpoint_url=url, config=Config(retries={"max_attempts": 0}), **keys
    )
    found: list[str] = client.list_collections()["CollectionIds"]
    client.close()
    return found


def test_it_serves_a_file_and_ends_with_the_block(tmp_path: Path) -> None:
    with fs.Collection.open(tmp_path / "people.db", "staff"):
        pass
    with serving(tmp_path / "people.db") as url:
        assert collections_at(url) == ["staff"]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/health")  # noqa: S310  # our own server


def test_it_ends_when_the_block_fails() -> None:
    with contextlib.suppress(ZeroDivisionError), serving() as url:
        assert collections_at(url) == []
        raise ZeroDivisionError
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/health")  # noqa: S310  # our own server


def test_a_server_that_can_not_start_tells_why(tmp_path: Path) -> None:
    (tmp_path / "people.db").write_text("no database, but a text of some length")
    with pytest.raises(fs.FacesearchError, match=r"did not start: .*people\.db"), serving(tmp_path / "people.db"):
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(fs.FacesearchError, match=f"did not start: .*{port}"), serving(port=port):
            pass


def test_wrong_arguments_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(fs.InvalidParameterError, match="port: expected a whole number in"), serving(port=-1):
        pass
    with pytest.raises(fs.InvalidParameterError, match="choose one"), serving(objects=tmp_path, s3_endpoint="http://x"):
        pass
