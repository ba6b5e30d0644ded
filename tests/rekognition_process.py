"""A server in a separate process, and plain sockets as its clients."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import attrs
import boto3
from botocore.config import Config

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: RekognitionService.DescribeCollection\r\n"

# The server prints each request's collection; a request for the collection "wait" ends when the process reads a line.
SERVER = """
import json, logging, sys
from facesearch.rekognition.http import endpoint
from facesearch.rekognition.http import server

class StandIn:
    def call(self, operation, parameters):
        print("asked", parameters.get("CollectionId", "-"), flush=True)
        if parameters.get("CollectionId") == "wait":
            sys.stdin.readline()
        return {"FaceCount": 3, "Padding": "x" * parameters.get("MaxResults", 0)}

given = json.loads(sys.argv[1])
cores = given.pop("cores", 1)
endpoint.usable_cores = lambda: cores
bounds = {name: given.pop(name) for name in ("max_bodies", "max_waiting") if name in given}
if bounds:
    whole = server.application
    server.application = lambda *arguments, **options: whole(*arguments, **options, **bounds)
logging.basicConfig(level=logging.INFO, format="%(message)s")
server.serve(StandIn(), port=0, ready=lambda url: print(url, flush=True), **given)
print("closed", flush=True)
"""


@attrs.frozen
class Served:
    """A server in a process."""

    process: "subprocess.Popen[str]"
    port: int
    told: IO[str]

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout
        return self.process.stdout

    def go_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("go on\n")
        self.process.stdin.flush()

    def connect(self, data: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=300)
        made.sendall(data)
        return made

    def memory(self) -> float:
        """Resident memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self) -> str:
        """Stop the server and return its standard error."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(300) == 0
        self.told.seek(0)
        return self.told.read()

    def log(self) -> list[dict[str, Any]]:
        """Stop the server and return its access log."""
        return [json.loads(line) for line in self.end().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def served(*, first: str = "", **given: Any) -> Iterator[Served]:
    """Serve in a process; *first* is code that runs before the server."""
    line = [sys.executable, "-c", first + SERVER, json.dumps(given)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as told,  # an unread pipe would fill up and block the server
        subprocess.Popen(line, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told) as process,  # noqa: S603  # our own code
    ):
        assert process.stdout
        try:
            yield Served(process, int(process.stdout.readline().rsplit(":", 1)[1]), told)
        finally:
            process.kill()


def request(collection: str = "c", *headers: bytes, body: bytes | None = None, **more: Any) -> bytes:
    content = json.dumps({"CollectionId": collection, **more}).encode() if body is None else body
    lines = b"".join(each + b"\r\n" for each in headers)
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(content) + content


def response(connection: socket.socket) -> tuple[int, Mapping[str, str], bytes]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def is_closed(connection: socket.socket) -> bool:
    """Wait for the other side to close."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def ask_by_boto3(port: int, collection: str = "c", **credentials: str) -> Any:
    client = boto3.client(
        "rekognition",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=credentials.get("key", "any"),
        aws_secret_access_key=credentials.get("secret", "any"),
        config=Config(retries={"total_max_attempts": 1}, read_timeout=300),
    )
    try:
        return client.describe_collection(CollectionId=collection)
    finally:
        client.close()
