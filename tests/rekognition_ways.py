"""The three interfaces of facesearch.rekognition, and images of painted faces for requests."""

import contextlib
import io
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image

from facesearch.rekognition import Rekognition, RekognitionError, client
from facesearch.rekognition.http.server import application
from facesearch.testing.fakes import fake_analyzer, paint

__all__ = ["BLUE", "GREEN", "RED", "WAYS", "asked", "photo", "png", "remote", "served", "service", "way"]

WAYS = ("plain", "boto3", "http")
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def service(data: Any = None, **options: Any) -> Rekognition:
    """Return an account that detects painted faces."""
    return Rekognition(data, analyzer=fake_analyzer(), **options)


def png(pixels: Any) -> bytes:
    """Encode an image as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def photo(*colours: tuple[int, int, int]) -> dict[str, bytes]:
    """Return an image of painted faces side by side, the first one largest."""
    boxes = {
        (20 + 140 * place, 20, 120 + 140 * place - 8 * place, 140 - 8 * place): colour
        for place, colour in enumerate(colours)
    }
    return {"Bytes": png(paint((200, 40 + 140 * max(1, len(colours))), boxes))}


@contextlib.contextmanager
def served(account: Rekognition) -> Iterator[str]:
    """Serve on a local socket and yield its URL."""
    server = uvicorn.Server(uvicorn.Config(application(account), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def remote(address: str, **options: Any) -> Any:
    """Return a stock boto3 client for a URL."""
    config = Config(**options)
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client("rekognition", region_name="us-east-1", endpoint_url=address, config=config, **keys)


@contextlib.contextmanager
def way(name: str, account: Rekognition) -> Iterator[Any]:
    """Yield an object with the operations as methods, for one of the three interfaces."""
    if name == "plain":
        yield account
    elif name == "boto3":
        yield client(service=account)
    else:
        with served(account) as address:
            yield remote(address)


def asked(asker: Any, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Call an operation and return the response, or the error's response."""
    try:
        answer: dict[str, Any] = getattr(asker, method)(**parameters)
    except (RekognitionError, ClientError) as error:
        answer = dict(error.response)
    answer.pop("ResponseMetadata", None)
    return answer
