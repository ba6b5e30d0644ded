"""The headers Host and Origin: web pages can use the server neither by DNS rebinding nor from another origin."""

import ipaddress
import json
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from facesearch.errors import InvalidParameterError
from facesearch.rekognition.exceptions import AccessDeniedException
from facesearch.rekognition.http.hosts import HostCheck, name_of
from rekognition_process import KEY, SECRET, request, response, served

PAGES = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.1",
    "2130706433",
    "0x7f000001",
    "evil.example@localhost",
    "localhost@evil.example",
    "localhost, evil.example",
    "localhost/evil.example",
    "[::1].evil.example",
    "[::1",
    "",
    " localhost",
    "localhost:80:80",
    "photos.example.evil.example",
]


def passes(check: HostCheck, hosts: Sequence[str], origins: Sequence[str] = ()) -> bool:
    try:
        check.check(hosts, origins)
    except AccessDeniedException:
        return False
    return True


@pytest.mark.parametrize("host", PAGES)
def test_a_page_by_another_name_is_refused(host: str) -> None:
    assert not passes(HostCheck.of([]), [host])
    assert not passes(HostCheck.of(["photos.example"]), [host])


@given(st.ip_addresses(), st.none() | st.integers(0, 65535))
def test_every_address_is_accepted_as_no_page_can_have_it_as_its_name(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None
) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)

    assert passes(HostCheck.of([]), [host if port is None else f"{host}:{port}"])


@given(st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z][a-z0-9-]{0,10}){1,3}", fullmatch=True), st.integers(0, 65535))
def test_a_name_is_accepted_where_it_was_allowed_and_nowhere_else(name: str, port: int) -> None:
    for host in (name, f"{name}:{port}", f"{name.upper()}.", f"{name}.:{port}"):
        assert passes(HostCheck.of([name]), [host])
        assert not passes(HostCheck.of([f"x{name}"]), [host])
        assert not passes(HostCheck.of([]), [host])


@given(st.text())
def test_whatever_is_no_name_is_refused_and_does_not_fail(host: str) -> None:
    assert name_of(host) is not None or not passes(HostCheck.of([]), [host])


@pytest.mark.parametrize("hosts", [[], ["localhost", "localhost"], ["localhost", "evil.example"]])
def test_there_must_be_one_host(hosts: list[str]) -> None:
    assert not passes(HostCheck.of(["evil.example"]), hosts)


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        ("http://localhost:8080", True),
        ("http://LOCALHOST:8080", True),
        ("https://photos.example", True),
        ("http://localhost:3000", False),  # another server on this machine
        ("http://localhost", False),
        ("http://127.0.0.1:8080", False),
        ("https://evil.example", False),
        ("https://photos.example.evil.example", False),
        ("null", False),
        ("", False),
        ("file://", False),
    ],
)
def test_pages_of_other_servers_may_not_use_this_one(origin: str, accepted: bool) -> None:
    assert passes(HostCheck.of(["photos.example"]), ["localhost:8080"], [origin]) == accepted


@pytest.mark.parametrize("name", ["photos.example:80", "http://photos.example", "*", "", "a b", "*.example"])
def test_an_allowed_host_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="allowed_hosts"):
        HostCheck.of([name])


def test_a_string_of_names_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="a list of host names"):
        HostCheck.of("photos.example")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process with grace")
def test_listening_for_other_machines_does_not_let_pages_in() -> None:
    def ask(host: bytes, *headers: bytes) -> tuple[int, str]:
        with server.connect(request("c", *headers).replace(b"localhost", host)) as connection:
            status, sent, body = response(connection)
        assert "access-control-allow-origin" not in sent
        return status, json.loads(body).get("Message", "")

    with served(host="0.0.0.0", allow_remote=True, allowed_hosts=["photos.example"]) as server:  # noqa: S104  # the test needs it
        assert ask(b"photos.example:80")[0] == 200
        assert ask(b"192.0.2.1")[0] == 200
        status, why = ask(b"evil.example")
        assert (status, "--allowed-host evil.example" in why) == (400, True)
        assert ask(b"localhost", b"Origin: https://evil.example")[0] == 400
    with served(keys={KEY: SECRET}) as server:  # no page has a key
        assert "Authentication Token" in ask(b"any.example")[1]
    with served(keys={KEY: SECRET}, allowed_hosts=["photos.example"]) as server:
        assert "not a name of this server" in ask(b"any.example")[1]
