"""The HTTP server: every request gets a response or a refusal, and running requests are completed."""

import asyncio
import contextlib
import functools
import http.client
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError
from click.testing import CliRunner
from hypothesis import given, strategies as st

import facesearch
from facesearch.cli.app import app as commands
from facesearch.cli.shell.exit_status import Exit
from facesearch.errors import InvalidParameterError
from facesearch.rekognition.exceptions import FAULTS, ResourceNotFoundException, UnknownOperationException
from facesearch.rekognition.http import endpoint, server
from facesearch.rekognition.http.listening import listen_on
from facesearch.rekognition.http.server import application, serve

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
MOMENT = datetime(2018, 8, 4, 22, 36, 55, 250000, tzinfo=UTC)
TARGET = (b"x-amz-target", b"RekognitionService.DescribeCollection")
HEADERS = (TARGET, (b"host", b"localhost:8080"))


class StandIn:
    """Stand-in service with a few operations."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, operation: str, parameters: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.asked.append((operation, parameters))
        if operation == "DescribeCollection":
            return {"FaceCount": 3, "CreationTimestamp": MOMENT}
        if operation == "CreateUser":
            return {}
        if operation == "ListUsers":
            raise ResourceNotFoundException("The collection id: c does not exist")
        if operation == "ListCollections":
            start = int(parameters.get("NextToken", "0"))
            return {
                "CollectionIds": [str(start), str(start + 1)],
                **({"NextToken": str(start + 2)} if start < 4 else {}),
            }
        raise UnknownOperationException


class Asked:
    """A request to an ASGI application, with its response."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = list(chunks)
        self.taken = 0
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.answered = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self.taken == len(self.chunks):
            await self.answered.wait()  # the client stays connected
            return {"type": "http.disconnect"}
        self.taken += 1
        return {
            "type": "http.request",
            "body": self.chunks[self.taken - 1],
            "more_body": self.taken < len(self.chunks),
        }

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]
            self.answered.set()

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["__type"])


def ask(
    app: Any,
    *chunks: bytes,
    headers: Sequence[tuple[bytes, bytes]] = HEADERS,
    method: str = "POST",
    path: str = "/",
    query: bytes = b"",
) -> Asked:
    asked = Asked(chunks or (b"{}",))
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": list(headers),
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 8080),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    asyncio.run(app(scope, asked.receive, asked.send))
    return asked


@contextlib.contextmanager
def listening(service: Any, **options: Any) -> Iterator[int]:
    """Serve on a socket in a thread and yield the port."""
    running = uvicorn.Server(
        uvicorn.Config(application(service, **options), port=0, http="h11", ws="none", log_config=None)
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield running.servers[0].sockets[0].getsockname()[1]
    finally:
        running.should_exit = True
        thread.join()


def connected(port: int, key: str = KEY, secret: str = SECRET) -> Any:
    return boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret).client(
        "rekognition",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def service() -> StandIn:
    return StandIn()


# ---------------------------------------------------------------- answers


def test_boto3_is_answered_over_a_socket(service: StandIn) -> None:
    with listening(service) as port:
        rekognition = connected(port)
        answer = rekognition.describe_collection(CollectionId="c")
        assert answer["CreationTimestamp"] == MOMENT
        assert answer["ResponseMetadata"]["RequestId"]
        assert rekognition.create_user(CollectionId="c", UserId="u").keys() == {"ResponseMetadata"}
        with pytest.raises(
            rekognition.exceptions.ResourceNotFoundException, match="The collection id: c does not exist"
        ):
            rekognition.list_users(CollectionId="c")
        with pytest.raises(ClientError, match="UnknownOperationException"):
            rekognition.list_stream_processors()
        pages = rekognition.get_paginator("list_collections").paginate()
        assert [each for page in pages for each in page["CollectionIds"]] == ["0", "1", "2", "3", "4", "5"]
        rekognition.close()


def test_health_tells_that_the_server_is_there_and_nothing_else() -> None:
    asked = ask(application(None, keys={KEY: SECRET}), method="GET", path="/health")  # type: ignore[arg-type]  # the service is not used

    assert asked.status == 200
    assert json.loads(asked.body) == {"status": "ok"}
    assert "server" not in asked.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("PUT", "/"),
        ("HEAD", "/"),
        ("OPTIONS", "/"),
        ("OPTIONS", "*"),
        ("POST", "/x"),
        ("POST", "/health"),
        ("POST", "//"),
    ],
)
def test_another_place_is_no_operation(service: StandIn, method: str, path: str) -> None:
    asked = ask(application(service), method=method, path=path)

    assert (asked.status, asked.code) == (400, "UnknownOperationException")
    assert "access-control-allow-origin" not in asked.headers
    assert not service.asked


def test_nothing_of_a_failure_is_told(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("inside")

    monkeypatch.setattr(service, "call", fail)
    asked = ask(application(service))

    assert (asked.status, asked.code) == (500, "InternalServerError")
    assert b"inside" not in asked.body


TEXT_BYTES = st.binary(max_size=60) | st.sampled_from([value for header in HEADERS for value in header])
BODIES = (
    st.binary(max_size=200)
    | st.text('[]{},:"\\u0n1e.-').map(str.encode)
    | st.dictionaries(
        st.sampled_from(["CollectionId", "Image", "MaxResults"]) | st.text(),
        st.none()
        | st.integers()
        | st.floats()
        | st.text()
        | st.dictionaries(st.just("Bytes"), st.text() | st.integers()),
    ).map(lambda value: json.dumps(value).encode())
)
NAMES = st.sampled_from(
    [b"x-amz-target", b"host", b"content-length", b"content-type", b"authorization", b"expect", b"x-amz-date"]
)


@pytest.fixture(scope="module", params=[None, {KEY: SECRET}], ids=["open", "keys"])
def fuzzed(request: pytest.FixtureRequest) -> Any:
    return application(StandIn(), keys=request.param, max_body=150)


@given(
    st.lists(BODIES, min_size=1, max_size=3),
    st.lists(st.tuples(NAMES | st.binary(max_size=20), TEXT_BYTES), max_size=4),
    st.sampled_from([HEADERS, HEADERS[:1], HEADERS[1:], ()]),
    st.sampled_from(["POST", "POST", "GET", "DELETE"]),
    st.sampled_from(["/", "/", "/", "/health/", "*"]) | st.text(),
    st.binary(max_size=20),
)
def test_whatever_comes_is_answered_or_refused_in_awss_words(  # noqa: PLR0917  # what hypothesis gives
    fuzzed: Any,
    chunks: list[bytes],
    junk: list[tuple[bytes, bytes]],
    headers: Sequence[tuple[bytes, bytes]],
    method: str,
    path: str,
    query: bytes,
) -> None:
    asked = ask(fuzzed, *chunks, headers=[*junk, *headers], method=method, path=path, query=query)

    assert asked.status in {200, 400, 413, 431}
    if asked.status != 200:
        assert asked.code in {*FAULTS, "RequestHeaderSectionTooLargeException"} - {"InternalServerError"}
        assert asked.headers["x-amzn-requestid"] == json.loads(asked.body)["Logref"]
    assert asked.headers["content-length"] == str(len(asked.body))


# ---------------------------------------------------------------- bodies


def test_a_body_may_be_as_large_as_the_limit_and_come_in_pieces(service: StandIn) -> None:
    body = json.dumps({"CollectionId": "c" * 1000}).encode()
    app = application(service, max_body=len(body))

    assert ask(app, body[:500], b"", body[500:]).status == 200
    assert ask(app, body[:500], body[500:], b" ").code == "RequestEntityTooLargeException"
    assert service.asked == [("DescribeCollection", {"CollectionId": "c" * 1000})]


def test_two_pictures_of_the_largest_size_fit() -> None:
    pictures = 2 * -(-(5 * 2**20) // 3) * 4

    assert pictures + 10_000 < server.MAX_BODY


def test_a_huge_body_is_refused_without_being_read(service: StandIn) -> None:
    asked = ask(application(service), b"{}", headers=[*HEADERS, (b"content-length", b"10000000000")])

    assert (asked.status, asked.code, asked.taken) == (413, "RequestEntityTooLargeException", 0)
    assert asked.headers["connection"] == "close"


def test_a_body_without_end_is_refused(service: StandIn) -> None:
    asked = ask(application(service, max_body=100), *([b"x" * 100] * 1000))

    assert asked.code == "RequestEntityTooLargeException"
    assert asked.taken == 2
    assert not service.asked


def test_a_body_that_does_not_come_is_not_waited_for(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Asked):
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(3600)
            raise AssertionError

    monkeypatch.setattr(sys.modules[__name__], "Asked", Slow)
    asked = ask(application(service, client_timeout=0.01))

    assert (asked.status, asked.code) == (400, "RequestTimeoutException")
    assert asked.headers["connection"] == "close"


def test_boto3_reads_that_its_request_is_too_large(service: StandIn) -> None:
    with listening(service) as port:
        rekognition = connected(port)
        with pytest.raises(ClientError) as caught:
            rekognition.detect_faces(Image={"Bytes": b"\xff" * (16 * 2**20)})
        assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
        assert rekognition.describe_collection(CollectionId="c")["FaceCount"] == 3
        rekognition.close()
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"POST / HT",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: RekognitionService.DescribeCollection\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"\x16\x03\x01\x00\xa5",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000,
    ],
    ids=range(8),
)
def test_a_connection_that_is_cut_harms_nobody(service: StandIn, part: bytes) -> None:
    with listening(service) as port:
        # The server may refuse a connection before the request is complete.
        with socket.create_connection(("127.0.0.1", port)) as cut, contextlib.suppress(ConnectionError):
            cut.sendall(part)
        rekognition = connected(port)
        assert rekognition.describe_collection(CollectionId="c")["FaceCount"] == 3
        rekognition.close()


# ---------------------------------------------------------------- keys and names


def test_keys_let_those_ask_who_have_one(service: StandIn) -> None:
    with listening(service, keys={KEY: SECRET}) as port:
        good, bad, other = connected(port), connected(port, secret="x" * 40), connected(port, key="OTHER")
        assert good.describe_collection(CollectionId="c")["FaceCount"] == 3
        with pytest.raises(ClientError, match=r"\(InvalidSignatureException\).*The request signature we calculated"):
            bad.describe_collection(CollectionId="c")
        with pytest.raises(ClientError, match=r"\(UnrecognizedClientException\).*The security token included"):
            other.describe_collection(CollectionId="c")
        for each in (good, bad, other):
            each.close()
    assert ask(application(service, keys={KEY: SECRET})).code == "MissingAuthenticationTokenException"
    assert len(service.asked) == 1


@pytest.mark.parametrize("keys", [{}, {"a b": SECRET}, {KEY: ""}])
def test_keys_that_are_none_are_refused(service: StandIn, keys: dict[str, str]) -> None:
    with pytest.raises(InvalidParameterError):
        application(service, keys=keys)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104  # to be refused
def test_others_can_not_ask_without_keys_unless_they_may(service: StandIn, host: str) -> None:
    with pytest.raises(InvalidParameterError, match="host: expected an address of this machine alone"):
        serve(service, host, 0)


@pytest.mark.parametrize("where", [("", 0), ("no such host.invalid", 0), ("127.0.0.1", 70_000), ("127.0.0.1", -1)])
def test_an_address_that_is_none_is_refused(service: StandIn, where: tuple[str, int]) -> None:
    with pytest.raises(InvalidParameterError, match=r"host|port"):
        serve(service, *where)


def test_a_port_that_is_taken_is_told(service: StandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidParameterError, match=rf"127\.0\.0\.1:{port}"):
            serve(service, port=port)


# ---------------------------------------------------------------- the log


def test_each_request_is_a_line_that_tells_nothing_of_people(
    service: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(service, max_body=1000)
    host = HEADERS[1]
    with caplog.at_level(logging.INFO, "facesearch.access"):
        told = ask(app, b'{"CollectionId": "secret-name", "Image": {"Bytes": "c2VjcmV0"}}')
        ask(app, b'{"CollectionId": "secret-name"}', headers=[(b"x-amz-target", b"RekognitionService.ListUsers"), host])
        ask(app, b"secret-name", headers=[(b"x-amz-target", b"secret-name"), host])
        ask(app, b"x" * 2000)
        ask(app, path="/health", method="GET")
        lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "facesearch.access"]

    assert "secret" not in caplog.text
    assert [(each["operation"], each["status"], each["error"]) for each in lines] == [
        ("DescribeCollection", 200, None),
        ("ListUsers", 400, "ResourceNotFoundException"),
        (None, 400, "UnknownOperationException"),
        ("DescribeCollection", 413, "RequestEntityTooLargeException"),
    ]
    assert lines[0].keys() == {
        "time", "request_id", "method", "operation", "status", "error", "ms", "bytes_in", "bytes_out", "key", "client",
    }  # fmt: skip
    assert lines[0]["request_id"] == told.headers["x-amzn-requestid"]
    assert (lines[0]["bytes_in"], lines[0]["bytes_out"]) == (63, len(told.body))
    assert lines[0]["client"] == "127.0.0.1"


def test_a_client_that_went_away_is_a_line_too(service: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    class Gone(Asked):
        async def receive(self) -> dict[str, Any]:
            return {"type": "http.disconnect"}

    gone = Gone(())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": list(HEADERS),
        "query_string": b"",
        "client": None,
    }
    with caplog.at_level(logging.INFO, "facesearch.access"):
        asyncio.run(application(service)(scope, gone.receive, gone.send))  # type: ignore[arg-type]  # plain dicts

    (record,) = caplog.records
    assert json.loads(record.getMessage())["error"] == "ClientDisconnect"
    assert gone.status == 0


# ---------------------------------------------------------------- at the same time, and at the end


def test_requests_are_worked_on_at_the_same_time_and_health_is_told_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "usable_cores", lambda: 2)
    both, done = threading.Barrier(3, timeout=300), threading.Event()

    class Meeting(StandIn):
        def call(self, operation: str, parameters: Mapping[str, Any], /) -> Mapping[str, Any]:
            both.wait()  # passes only when two requests and the test have arrived
            assert done.wait(300)
            return super().call(operation, parameters)

    meeting = Meeting()
    with listening(meeting) as port:
        clients = [connected(port), connected(port)]
        threads = [threading.Thread(target=each.describe_collection, kwargs={"CollectionId": "c"}) for each in clients]
        for thread in threads:
            thread.start()
        both.wait()
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        asked.request("GET", "/health")
        assert asked.getresponse().status == 200
        asked.close()
        assert not meeting.asked
        done.set()
        for thread in threads:
            thread.join()
        for each in clients:
            each.close()
    assert len(meeting.asked) == 2


SLOW = """
import sys
from facesearch.rekognition.http.server import serve

class Slow:
    def call(self, operation, parameters):
        print("under way", flush=True)
        sys.stdin.readline()
        return {"StatusCode": 200}

serve(Slow(), port=0, ready=lambda url: print(url, flush=True))
print("closed", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process with grace")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_is_finished(told: signal.Signals) -> None:
    line = [sys.executable, "-c", SLOW]
    with subprocess.Popen(line, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # our own code
        assert process.stdin
        assert process.stdout
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        rekognition = connected(port)
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(rekognition.create_collection(CollectionId="c")))
        thread.start()
        assert process.stdout.readline() == "under way\n"
        process.send_signal(told)
        process.stdin.write("go on\n")
        process.stdin.flush()
        thread.join()
        assert process.stdout.readline() == "closed\n"
        assert process.wait() == 0
        rekognition.close()
    assert answers[0]["StatusCode"] == 200


# ---------------------------------------------------------------- the command


@contextlib.contextmanager
def command(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``facesearch serve`` and yield the process and its first line."""
    line = [sys.executable, "-m", "facesearch", "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(line, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603  # our own code
        assert process.stdout
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_answers_are_sent_at_once() -> None:
    async def waits() -> bool:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken = writer.get_extra_info("socket")
            accepted.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen_on(socket.AF_INET, ("127.0.0.1", 0), 5)
        async with await asyncio.start_server(look, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            answer = await accepted
            writer.close()
            await writer.wait_closed()
        return answer == 0

    assert not asyncio.run(waits())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process with grace")
def test_the_command_serves_a_file_until_it_is_told_to_end(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{KEY} {SECRET}\n")
    keys.chmod(0o600)
    with command("--db", tmp_path / "people.db", "--key-file", keys) as (process, first):
        assert first.startswith("listening on http://127.0.0.1:"), process.communicate()
        assert process.stdout
        assert process.stdout.readline().startswith("export AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:")
        rekognition = connected(int(first.split(";")[0].rsplit(":", 1)[1]))
        rekognition.create_collection(CollectionId="staff")
        assert rekognition.list_collections()["CollectionIds"] == ["staff"]
        rekognition.close()
        process.send_signal(signal.SIGINT)
        said, told = process.communicate()
        assert process.returncode == Exit.DONE
    assert said == ""
    *requests, last = told.splitlines()
    assert [json.loads(each)["operation"] for each in requests] == ["CreateCollection", "ListCollections"]
    assert last == "ended"
    assert "staff" not in told
    assert (tmp_path / "people.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "0.0.0.0"), "allow_remote"),  # noqa: S104  # to be refused
        (("--port", "70000"), "70000"),
        (("--objects", "nowhere"), "nowhere"),
        (("--s3-endpoint", "nowhere"), "nowhere"),
        (("--s3-endpoint", "http://127.0.0.1:9000", "--objects", "."), "both"),
        (("--throttle-every", "0"), "throttle-every"),
        (("--eventual", "-1"), "eventual"),
        (("--allowed-host", "photos.example:80"), "allowed_hosts"),
        (("--allowed-host", "*"), "allowed_hosts"),
        (("--forwarded-allow-ips", "*"), "forwarded_allow_ips"),
        (("--forwarded-allow-ips", "10.0.0.1,proxy.example"), "forwarded_allow_ips"),
        (("--client-timeout", "0"), "client-timeout"),
    ],
)
def test_the_command_refuses_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(commands, ["serve", "--db", str(tmp_path / "people.db"), *arguments])

    assert done.exit_code == Exit.USAGE
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process with grace")
def test_the_command_asks_an_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    tmp_path.joinpath("photos").mkdir()
    tmp_path.joinpath("photos", "a.jpg").write_bytes(b"no photo")
    files = functools.partial(QuietFiles, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as s3:
        threading.Thread(target=s3.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{s3.server_address[1]}"
        with command("--db", tmp_path / "people.db", "--s3-endpoint", endpoint) as (_, first):
            rekognition = connected(int(first.split(";")[0].rsplit(":", 1)[1]))
            picture = {"S3Object": {"Bucket": "photos", "Name": "a.jpg"}}
            with pytest.raises(rekognition.exceptions.InvalidImageFormatException):  # so the object was read
                rekognition.detect_faces(Image=picture)
            picture["S3Object"]["Name"] = "b.jpg"
            with pytest.raises(rekognition.exceptions.InvalidS3ObjectException):
                rekognition.detect_faces(Image=picture)
            rekognition.close()
        s3.shutdown()


class QuietFiles(SimpleHTTPRequestHandler):
    """HTTP server of files, which serves objects as S3 does."""

    def log_message(self, *_: object) -> None:
        """Suppress the log."""


def test_the_command_needs_the_key_file_it_is_given(tmp_path: Path) -> None:
    missing = str(tmp_path / "keys.txt")
    done = CliRunner().invoke(commands, ["serve", "--db", str(tmp_path / "people.db"), "--key-file", missing])

    assert done.exit_code == Exit.COLLECTION
    assert missing in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_command_warns_once_of_keys_that_others_can_read(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{KEY} {SECRET}\n")
    for mode, warnings in {0o644: 1, 0o600: 0}.items():
        keys.chmod(mode)
        arguments = ["--db", str(tmp_path / "people.db"), "--key-file", str(keys), "--s3-endpoint", "nowhere"]
        done = CliRunner().invoke(commands, ["serve", *arguments])
        assert done.exit_code == Exit.USAGE
        assert (
            done.stderr.count("keys.txt': other users can read it (mode 0644); restrict it with chmod 600") == warnings
        )
        assert SECRET not in done.output


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "botocore"])
def test_the_command_says_what_to_install(tmp_path: Path, package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from facesearch.cli import main; main()"
    line = [sys.executable, "-c", code, "serve", "--db", str(tmp_path / "people.db")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603  # our own code

    assert done.returncode == Exit.INSTALLATION
    assert f'needs {package}, which is not installed: pip install "facesearch[server]"' in done.stderr
    assert not (tmp_path / "people.db").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process with grace")
@pytest.mark.parametrize("debug", [False, True])
def test_the_command_logs_tracebacks_and_paths_only_when_asked_to(tmp_path: Path, debug: bool) -> None:
    file = tmp_path / "private.db"
    with command("--db", file, *(["--debug"] if debug else [])) as (process, first):
        file.write_text("no collections")  # what is wrong at the start is told then
        rekognition = connected(int(first.split(";")[0].rsplit(":", 1)[1]))
        with pytest.raises(ClientError, match="InternalServerError"):
            rekognition.list_collections()
        rekognition.close()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert "failed: InternalServerError from StorageFormatError" in told
    assert ("Traceback" in told) == debug
    assert (str(tmp_path) in told) == debug


def test_the_command_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, Any] = {}
    monkeypatch.setattr(server, "serve", lambda *_, **options: passed.update(options))
    options = ["--allowed-host", "a.example", "--allowed-host", "b.example", "--client-timeout", "2.5"]
    proxies = ["--forwarded-allow-ips", "10.0.0.1, 192.0.2.0/24"]
    done = CliRunner().invoke(commands, ["serve", "--db", str(tmp_path / "people.db"), *options, *proxies])

    assert done.exit_code == Exit.DONE
    assert passed["allowed_hosts"] == ("a.example", "b.example")
    assert passed["forwarded_allow_ips"] == ["10.0.0.1", "192.0.2.0/24"]
    assert passed["client_timeout"] == 2.5
    assert not passed["allow_remote"]


def test_the_command_prints_where_it_listens_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "serve", lambda *_, ready, **__: ready("http://127.0.0.1:1"))
    done = CliRunner().invoke(commands, ["serve", "--db", str(tmp_path / "people.db"), "--json"])

    assert done.exit_code == Exit.DONE
    assert json.loads(done.stdout) == {"url": "http://127.0.0.1:1", "version": facesearch.__version__}
