"""Real connections to a server process: idle, silent, slow, too many, malformed, and closed by the client."""

import contextlib
import json
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

import boto3
import pytest
from botocore.config import Config

from rekognition_process import HEAD, KEY, SECRET, ask_by_boto3, is_closed, request, response, served

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process with grace")

# ---------------------------------------------------------------- idle, silent, slow


@pytest.mark.parametrize(
    "part", [b"", HEAD[:30], HEAD, HEAD + b"Content-Length: 1000\r\n\r\n{"], ids=["silent", "line", "header", "body"]
)
def test_three_hundred_waiting_connections_keep_nobody_out_and_are_closed(part: bytes) -> None:
    with served(client_timeout=3) as server, contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(server.connect(part)) for _ in range(300)]
        assert ask_by_boto3(server.port)["FaceCount"] == 3
        with server.connect(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") as health:
            assert response(health)[::2] == (200, b'{"status":"ok"}')
        assert all(is_closed(each) for each in waiting)
        assert ask_by_boto3(server.port)["FaceCount"] == 3


def test_connections_that_were_used_are_closed_when_they_are_idle() -> None:
    with served(client_timeout=3) as server, server.connect() as connection:
        for _ in range(2):
            connection.sendall(request())
            assert response(connection)[0] == 200
        assert is_closed(connection)


@pytest.mark.parametrize("sent", [HEAD, HEAD + b"Content-Length: 100000\r\n\r\n"], ids=["header", "body"])
def test_single_bytes_do_not_keep_a_connection_open(sent: bytes) -> None:
    with served(client_timeout=0.5) as server, server.connect(sent) as slow:
        assert _is_cut(slow)


def _is_cut(slow: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError):
        for _ in range(600):
            slow.sendall(b"x")
            time.sleep(0.05)
        return False
    return True


def test_work_may_take_longer_than_the_timeout() -> None:
    with served(client_timeout=0.2) as server, server.connect(request("wait")) as patient:
        assert server.output.readline() == "asked wait\n"
        with server.connect() as idle:  # opened later, closed at its own timeout
            assert is_closed(idle)
        server.go_on()
        assert response(patient)[0] == 200


def test_an_answer_that_is_not_read_is_not_kept() -> None:
    with served(client_timeout=0.5) as server, server.connect() as lazy:
        lazy.sendall(request(MaxResults=30_000_000))
        assert server.output.readline() == "asked c\n"
        with server.connect() as idle:
            assert is_closed(idle)
        with server.connect() as idle:
            assert is_closed(idle)
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := lazy.recv(2**20):
                received += len(part)
        assert received < 30_000_000


def test_one_connection_too_many_closes_the_one_that_waited_longest() -> None:
    few_files = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))"
    with served(first=few_files, client_timeout=600) as server, contextlib.ExitStack() as stack:
        at_work = stack.enter_context(server.connect(request("wait")))
        assert server.output.readline() == "asked wait\n"
        waiting = [stack.enter_context(server.connect()) for _ in range(200)]
        with server.connect(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") as health:
            assert response(health)[0] == 200
        assert all(is_closed(each) for each in waiting[:150])
        server.go_on()
        assert response(at_work)[0] == 200
        waiting[-1].sendall(request())
        assert response(waiting[-1])[0] == 200
        assert "Traceback" not in server.end()


# ---------------------------------------------------------------- the cost of strangers


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_bodies_without_authorization_are_not_read() -> None:
    with served(keys={KEY: SECRET}) as server:
        before = server.memory()
        with contextlib.ExitStack() as stack:
            length = b"Content-Length: %d\r\n\r\n" % (15 * 2**20)
            strangers = [stack.enter_context(server.connect(HEAD + length)) for _ in range(40)]
            for each in strangers:
                status, _, body = response(each)
                assert (status, json.loads(body)["__type"]) == (400, "MissingAuthenticationTokenException")
            senders = [threading.Thread(target=_send_much, args=(each,)) for each in strangers]
            for sender in senders:
                sender.start()
            assert ask_by_boto3(server.port, key=KEY, secret=SECRET)["FaceCount"] == 3
            for sender in senders:
                sender.join()
            assert server.memory() < before + 100


def _send_much(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for _ in range(15):
            connection.sendall(b"x" * 2**20)


def test_bodies_of_all_connections_share_a_budget() -> None:
    with served(max_bodies=3_000_000) as server, contextlib.ExitStack() as stack:
        part = HEAD + b"Content-Length: 900001\r\n\r\n" + b" " * 900_000
        held = [stack.enter_context(server.connect(part)) for _ in range(4)]
        refused = _first_answer(held)
        status, headers, body = response(refused)
        assert (status, json.loads(body)["__type"]) == (503, "ThrottlingException")
        assert int(headers["retry-after"]) >= 1
        for each in held:
            if each is not refused:
                each.sendall(b" ")  # the rest of the body: not JSON, but it was read
                assert response(each)[0] == 400
        assert ask_by_boto3(server.port)["FaceCount"] == 3


def _first_answer(connections: Sequence[socket.socket]) -> socket.socket:
    ready, _, _ = select.select(connections, [], [], 60)
    return ready[0]


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding : chunked\r\n",
        b"Content-Length: +2\r\n",
    ],
)
def test_a_body_of_unclear_length_is_refused_and_the_connection_closed(headers: bytes) -> None:
    smuggled = request("smuggled")
    with served() as server:
        with server.connect(HEAD + headers + b"\r\n0\r\n\r\n" + smuggled) as connection:
            status, _, _ = response(connection)
            assert 400 <= status < 600
            assert is_closed(connection)
        ask_by_boto3(server.port)
        assert server.output.readline() == "asked c\n"


def test_headers_are_bounded_as_documented() -> None:
    with served() as server:
        for headers, passes in (
            ([b"X-%d: x" % number for number in range(97)], True),
            ([b"X-%d: x" % number for number in range(98)], False),
            ([b"X: " + b"x" * 16_000], True),
            ([b"X: " + b"x" * 16_384], False),
        ):
            with server.connect(request("c", *headers)) as connection:
                status, sent, _ = response(connection)
                assert status == 200 if passes else status in {400, 431}
                assert passes or (sent["connection"] == "close" and is_closed(connection))


# ---------------------------------------------------------------- bounded work


def test_more_requests_than_may_wait_are_told_to_come_again_in_awss_words() -> None:
    with served(max_waiting=1) as server, contextlib.ExitStack() as stack:
        at_work = stack.enter_context(server.connect(request("wait")))
        assert server.output.readline() == "asked wait\n"
        others = [stack.enter_context(server.connect(request())) for _ in range(5)]
        refused: list[socket.socket] = []
        for _ in range(4):
            busy = _first_answer([each for each in others if each not in refused])
            status, headers, body = response(busy)
            assert (status, json.loads(body)["__type"], headers["retry-after"]) == (503, "ThrottlingException", "1")
            refused.append(busy)
        server.go_on()
        assert response(at_work)[0] == 200
        (waited,) = [each for each in others if each not in refused]
        assert response(waited)[0] == 200


def test_sdks_try_again_when_the_server_was_busy() -> None:
    with served(max_waiting=0) as server, server.connect(request("wait")) as at_work:
        assert server.output.readline() == "asked wait\n"
        client = boto3.client(
            "rekognition",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{server.port}",
            aws_access_key_id="any",
            aws_secret_access_key="any",  # noqa: S106  # not verified
            config=Config(retries={"mode": "standard", "total_max_attempts": 6}),
        )
        client.meta.events.register("needs-retry.rekognition", _once(server.go_on), unique_id="first")
        answer = client.describe_collection(CollectionId="c")
        client.close()
        assert answer["FaceCount"] == 3
        assert answer["ResponseMetadata"]["RetryAttempts"] >= 1
        assert response(at_work)[0] == 200


def _once(work: Callable[[], None]) -> Callable[..., None]:
    left = [work]

    def run(**_: object) -> None:
        if left:
            left.pop()()

    return run


def test_six_clients_that_hang_up_make_nobody_wait() -> None:
    with served() as server, server.connect(request("wait")) as at_work:
        assert server.output.readline() == "asked wait\n"
        for _ in range(6):
            server.connect(request("gone")).close()
        with server.connect(request("staying")) as staying:
            server.go_on()
            assert response(at_work)[0] == 200
            assert response(staying)[0] == 200
        assert server.output.readline() == "asked staying\n"
        log = server.log()
    gone = [each for each in log if each["error"] == "ClientDisconnect"]
    assert len(gone) == 6
    assert all(each["status"] is None for each in gone)


# ---------------------------------------------------------------- the log


def test_the_log_has_the_clients_address_and_key_behind_a_trusted_proxy_alone() -> None:
    forwarded = b"X-Forwarded-For: 203.0.113.7, 192.0.2.9"
    for trusted, expected in (
        ([], "127.0.0.1"),
        (["192.0.2.0/24"], "127.0.0.1"),  # an untrusted proxy
        (["127.0.0.1"], "192.0.2.9"),  # the address that the proxy saw, not the client's claim
        (["127.0.0.0/8", "192.0.2.0/24"], "203.0.113.7"),
    ):
        with served(forwarded_allow_ips=trusted) as server:
            with server.connect(request("c", forwarded)) as connection:
                assert response(connection)[0] == 200
            (line,) = server.log()
        assert line["client"] == expected

    with served(keys={KEY: SECRET}) as server:
        ask_by_boto3(server.port, key=KEY, secret=SECRET)
        (line,) = server.log()
    assert (line["key"], line["status"]) == (KEY, 200)


def test_nothing_that_a_client_sends_makes_a_line_of_the_log() -> None:
    attack = b'forged", "status": 200}\\r\\n\x1b[31m{"time": "now"'
    with served(forwarded_allow_ips=["127.0.0.1"]) as server:
        for sent in (
            HEAD.replace(b"DescribeCollection", attack) + b"Content-Length: 2\r\n\r\n{}",
            request("c", b"X-Forwarded-For: " + attack),
            request("c", b"Authorization: " + attack, b"User-Agent: " + attack),
            b"FORGED /forged?forged HTTP/1.1\r\nHost: forged\r\n\r\n",
            b"forged\r\n\r\n",
        ):
            with server.connect(sent) as connection:
                response(connection)
        told = server.end()
    assert "forged" not in told.lower()
    assert "\x1b" not in told
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert [each["client"] for each in lines] == ["127.0.0.1", None, "127.0.0.1", "127.0.0.1"]
    assert lines[3]["method"] == "other"


# ---------------------------------------------------------------- the end


def test_idle_connections_do_not_delay_the_end() -> None:
    with served(client_timeout=600) as server, contextlib.ExitStack() as stack:
        for part in (b"", HEAD, b"\x16\x03"):
            stack.enter_context(server.connect(part))
        server.process.send_signal(signal.SIGTERM)
        assert server.output.readline() == "closed\n"
        assert server.process.wait(300) == 0
