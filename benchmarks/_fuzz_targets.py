"""The targets of `fuzz.py`: each makes a case from a seed and returns whether it was answered or refused.

Whatever else a case does is a finding: an exception that is none of ours, an answer with status 500, a warning, a crash, a hang.
"""

import base64
import contextlib
import http.client
import io
import json
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from _fuzz_files import ANSWERED, BLUE, RED, REFUSED, Case, databases, exports, networks
from _mutations import INTERESTING, mutated, mutated_http, mutated_json
from PIL import Image, features

import facesearch as fs
from facesearch.rekognition import Rekognition, RekognitionError
from facesearch.rekognition.model import OPERATIONS, Shape
from facesearch.testing.fakes import fake_analyzer, paint

__all__ = ["TARGETS", "FoundError"]

_SILENCE = 20  # seconds


class FoundError(Exception):
    """An answer that must not be, such as status 500."""


# ---------------------------------------------------------------- pictures


def sample_files() -> dict[str, bytes]:
    """Return the same photo of two painted faces in every format and mode that is read, and in some that are not."""
    photo = Image.fromarray(paint((120, 220), {(10, 10, 90, 90): RED, (120, 10, 180, 70): BLUE}))
    exif = Image.Exif()
    exif[274] = 6
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "jpeg": (photo, "JPEG", {"exif": exif}),
        "jpeg progressive": (photo, "JPEG", {"progressive": True}),
        "jpeg grey": (photo.convert("L"), "JPEG", {}),
        "jpeg cmyk": (photo.convert("CMYK"), "JPEG", {"icc_profile": bytes(300)}),
        "jpeg two": (photo, "MPO", {"save_all": True, "append_images": [photo]}),
        "png": (photo, "PNG", {}),
        "png palette": (photo.convert("P"), "PNG", {"transparency": 0}),
        "png alpha": (photo.convert("RGBA"), "PNG", {"exif": exif}),
        "png 16": (Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257), "PNG", {}),
        "apng": (photo, "PNG", {"save_all": True, "append_images": [photo.rotate(5)]}),
        "gif": (photo.convert("P"), "GIF", {"save_all": True, "append_images": [photo.rotate(5)]}),
        "tiff": (photo, "TIFF", {"compression": "tiff_lzw"}),
        "tiff jpeg": (photo, "TIFF", {"compression": "jpeg"}),
        "webp": (photo, "WEBP", {}),
        "webp lossless": (photo.convert("RGBA"), "WEBP", {"lossless": True}),
        "bmp": (photo, "BMP", {}),
        "eps": (photo, "EPS", {}),
        "icns": (photo.resize((128, 128)), "ICNS", {}),
        "jpeg 2000": (photo, "JPEG2000", {}),
    }
    if features.check("avif"):
        kinds["avif"] = (photo, "AVIF", {})
    files = {}
    for name, (image, kind, options) in kinds.items():
        file = io.BytesIO()
        with contextlib.suppress(OSError, KeyError):  # this Pillow can't write it
            image.save(file, kind, **options)
            files[name] = file.getvalue()
    return files


def pictures(folder: Path) -> Case:
    """Read mutated pictures as bytes, file or path, and search what still is a picture."""
    files = [*sample_files().values()]
    staff = fs.Collection("staff", analyzer=fake_analyzer())
    staff.add_embedding("ada", np.ones(128))

    def case(draw: Random) -> str:
        data = mutated(draw.choice(files), draw, files)
        way, path = draw.randrange(3), folder / "picture.jpg"
        if way == 2:
            path.write_bytes(data)
        try:
            picture = fs.read_image((data, io.BytesIO(data), path)[way])
            if picture.width * picture.height < 2_000_000:
                fs.search_users_by_image(staff, picture)
        except fs.FacesearchError:
            return REFUSED
        return ANSWERED

    return case


# ---------------------------------------------------------------- requests

_TEXTS = (
    "",
    "a",
    "é",
    "\ud800",
    "\x00",
    "a" * 300,
    "../../etc/passwd",
    "' OR 1=1",
    "${jndi:x}",
    "%s%n",
    "\u202e",
    "1" * 4000,
)


def hostile(shape: Shape, draw: Random) -> Any:  # noqa: PLR0911  # one for each kind of shape
    """Return a value for a member: mostly of its type, at or beyond its bounds."""
    if draw.random() < 0.15:
        return draw.choice(
            (None, True, -1, 1.5, float("nan"), float("inf"), 10**30, "text", b"bytes", [], {}, [[]], {"a": 1})
        )
    match shape.kind:
        case "string":
            return draw.choice(shape.choices or _TEXTS)
        case "integer":
            return draw.choice((*INTERESTING, -1, shape.low or 0, shape.high or 10, (shape.high or 10) + 1))
        case "float":
            return draw.choice((0.0, 50, 80.0, 100, -0.1, 100.1, 1e308, 5e-324))
        case "blob":
            return draw.randbytes(draw.choice((0, 1, 100)))
        case "list":
            assert shape.item is not None  # noqa: S101  # for mypy: a list's shape has one
            return [hostile(shape.item, draw) for _ in range(draw.choice((0, 1, 2, 120)))]
        case "map":
            return {draw.choice(_TEXTS): draw.choice(_TEXTS) for _ in range(draw.choice((0, 1, 3)))}
        case _:
            return {name: hostile(member.shape, draw) for name, member in shape.members.items() if draw.random() < 0.6}


class Story:
    """A few requests about the same things, so that some of them are there."""

    def __init__(self, draw: Random, files: list[bytes]) -> None:
        self._draw, self._files = draw, files
        self.collection = f"c{draw.getrandbits(48)}"
        self._known: dict[str, list[Any]] = {
            "CollectionId": [self.collection],
            "UserId": ["ada", "bob"],
            "FaceId": ["00000000-0000-0000-0000-000000000000"],
            "NextToken": [""],
            "ResourceArn": [f"arn:aws:rekognition:us-east-1:123456789012:collection/{self.collection}"],
            "ClientRequestToken": ["token"],
        }

    def request(self, number: int) -> tuple[str, dict[str, Any]]:
        """Return a request; the first one makes the collection."""
        if number == 0:
            return "CreateCollection", {"CollectionId": self.collection}
        operation = self._draw.choice(("IndexFaces", "CreateUser", "SearchUsersByImage", *OPERATIONS))
        members = OPERATIONS[operation]
        return operation, {
            name: self._value(name, member.shape)
            for name, member in members.items()
            if self._draw.random() < (0.97 if member.required else 0.3)
        }

    def learn(self, answer: Any) -> None:
        """Remember ids and tokens of an answer."""
        if isinstance(answer, Mapping):
            for name, value in answer.items():
                if name in {"FaceId", "UserId", "NextToken"} and isinstance(value, str):
                    self._known[name].append(value)
                self.learn(value)
        elif isinstance(answer, list):
            for value in answer:
                self.learn(value)

    def _value(self, name: str, shape: Shape) -> Any:
        if self._draw.random() < 0.15:
            return hostile(shape, self._draw)
        if name in {"Image", "SourceImage", "TargetImage"}:
            data = self._draw.choice(self._files)
            return {"Bytes": mutated(data, self._draw) if self._draw.random() < 0.2 else data}
        if name == "FaceIds":
            return [self._draw.choice(self._known["FaceId"]) for _ in range(self._draw.choice((1, 2, 5)))]
        known = self._known.get(name)
        return self._draw.choice(known) if known else hostile(shape, self._draw)


def stories(ask: Callable[[str, dict[str, Any], Random], Any]) -> Case:
    """Return cases of 8 requests each; *ask* returns the answer, or ``None`` where the request was refused."""
    files = [data for name, data in sample_files().items() if name.startswith(("jpeg", "png"))]

    def case(draw: Random) -> str:
        story, answered = Story(draw, files), 0
        for number in range(8):
            answer = ask(*story.request(number), draw)
            answered += answer is not None
            story.learn(answer)
        ask("DeleteCollection", {"CollectionId": story.collection}, draw)
        return ANSWERED if answered > 1 else REFUSED

    return case


def _answer(call: Callable[[], Any], errors: tuple[type[Exception], ...]) -> Any:
    try:
        return call()
    except errors as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        if code in {"InternalServerError", "InternalFailure"}:
            raise FoundError(f"500: {error}") from error
        return None


def plain_requests(folder: Path) -> Case:
    """Ask `Rekognition.call`, of an account in a file."""
    service = Rekognition(folder / "people.db", analyzer=fake_analyzer())
    return stories(lambda name, request, _: _answer(lambda: service.call(name, request), (RekognitionError,)))


def boto3_requests(folder: Path) -> Case:
    """Ask a stock boto3 client that is answered in-process, of an account in memory."""
    import boto3.session  # noqa: F401  # says so at once where it is missing
    from botocore import xform_name
    from botocore.exceptions import BotoCoreError, ClientError

    from facesearch.rekognition import client

    asker = client(service=Rekognition(analyzer=fake_analyzer()))
    refused = (ClientError, BotoCoreError)

    def ask(name: str, request: dict[str, Any], _: Random) -> Any:
        return _answer(lambda: getattr(asker, xform_name(name))(**request), refused)

    del folder
    return stories(ask)


def served(folder: Path) -> str:
    """Serve an account in a thread of this process, which ends with it; return its address."""
    from facesearch.rekognition.http.server import serve

    service, there = Rekognition(folder / "people.db", analyzer=fake_analyzer()), threading.Event()
    address: list[str] = []

    def ready(url: str) -> None:
        address.append(url)
        there.set()

    threading.Thread(target=serve, args=(service,), kwargs={"port": 0, "ready": ready}, daemon=True).start()
    if not there.wait(60):
        raise FoundError("the server did not start")
    return urlsplit(address[0]).netloc


def http_requests(folder: Path) -> Case:
    """Ask the server, with JSON as it should be and with JSON that is not."""
    connection = http.client.HTTPConnection(served(folder), timeout=60)

    def ask(name: str, request: dict[str, Any], draw: Random) -> Any:
        text = json.dumps(request, default=lambda data: base64.b64encode(data).decode())
        body = mutated_json(text, draw) if draw.random() < 0.3 else text.encode()
        target = name if draw.random() < 0.97 else draw.choice(("Nothing", "", "a.b.c", "\xff"))
        headers = {"X-Amz-Target": f"RekognitionService.{target}", "Content-Type": "application/x-amz-json-1.1"}
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        content = response.read()
        if response.status >= 500:
            raise FoundError(f"{response.status}: {content[:200]!r} to {name} {body[:200]!r}")
        try:
            answer = json.loads(content or b"{}")  # AWS sends nothing where an operation has no answer
        except ValueError as error:
            raise FoundError(f"{response.status}, no JSON: {content[:200]!r} to {name} {body[:200]!r}") from error
        if (response.status == 200) == ("__type" in answer):
            raise FoundError(f"status {response.status} with {content[:200]!r}")
        return answer if response.status == 200 else None

    return stories(ask)


def exchanged(address: tuple[str, int], sent: bytes) -> bytes:
    """Send bytes, and return what comes back until the server closes; it may close in the middle of them.

    Raises
    ------
    TimeoutError
        If it neither answers nor closes, though nothing more is sent.
    """
    came = b""
    with socket.create_connection(address, 0.1) as end:
        with contextlib.suppress(OSError):
            end.sendall(sent)
            came += end.recv(65536)
        end.settimeout(_SILENCE)
        with contextlib.suppress(ConnectionError):
            with contextlib.suppress(OSError):  # not connected any more
                end.shutdown(socket.SHUT_WR)
            while len(came) < 1_000_000 and (part := end.recv(65536)):
                came += part
    return came


def raw_http(folder: Path) -> Case:
    """Send the server bytes that are nearly HTTP; it must go on answering others."""
    netloc = served(folder)
    host, port = netloc.rsplit(":", 1)
    body = b'{"MaxResults": 1}'
    request = (
        b"POST / HTTP/1.1\r\nHost: " + netloc.encode() + b"\r\nX-Amz-Target: RekognitionService.ListCollections\r\n"
        b"Content-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body

    def case(draw: Random) -> str:
        sent = b"".join(mutated_http(request, draw) for _ in range(draw.choice((1, 1, 1, 3))))
        try:
            came = exchanged((host, int(port)), sent)
        except TimeoutError as error:
            raise FoundError(f"silent for {_SILENCE} s after {sent[:300]!r}") from error
        if b"HTTP/1.1 500" in came:
            raise FoundError(f"500: {came[:300]!r} to {sent[:300]!r}")
        connection = http.client.HTTPConnection(netloc, timeout=20)
        connection.request("GET", "/health")
        status = connection.getresponse().status
        connection.close()
        if status != 200:
            raise FoundError(f"/health: {status} after {sent[:300]!r}")
        return ANSWERED if b" 200 " in came[:20] else REFUSED

    return case


TARGETS: Mapping[str, Callable[[Path], Case]] = {
    "pictures": pictures,
    "requests": plain_requests,
    "boto3": boto3_requests,
    "http": http_requests,
    "raw": raw_http,
    "exports": exports,
    "databases": databases,
    "networks": networks,
}
"""The targets by name; each is made in an empty folder of its own."""
