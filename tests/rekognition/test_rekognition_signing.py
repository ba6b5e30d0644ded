"""Signatures: a request that boto3 signed is accepted, and a changed one is refused."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from hypothesis import assume, given, strategies as st

from facesearch.errors import InvalidParameterError
from facesearch.rekognition.exceptions import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    RekognitionError,
    UnrecognizedClientException,
)
from facesearch.rekognition.http.sigv4 import SKEW, SignedRequest, check_keys, claim_of, read_keys

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = {"OTHER": "x" * 40, KEY: SECRET}
REFUSALS = (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)


class _Raw:
    def stream(self) -> Iterator[bytes]:
        yield b"{}"


def sent(region: str = "eu-west-1", token: str | None = None) -> SignedRequest:
    """Return a request as boto3 sends it."""
    caught: list[Any] = []

    def catch(request: Any, **_: Any) -> AWSResponse:
        caught.append(request)
        return AWSResponse(request.url, 200, {}, _Raw())

    client = boto3.client(
        "rekognition",
        region_name=region,
        endpoint_url="http://localhost:8080",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        aws_session_token=token,
    )
    client.meta.events.register("before-send", catch)
    client.create_collection(CollectionId="staff", Tags={"a": "b"})
    (request,) = caught
    headers = [(name, value.decode() if isinstance(value, bytes) else value) for name, value in request.headers.items()]
    # Headers that the HTTP client adds, which are not signed.
    headers += [("Host", "localhost:8080"), ("Accept-Encoding", "identity")]
    return SignedRequest(method="POST", path="/", query="", headers=headers, body=bytes(request.body))


SENT = sent()
SIGNED = next(value for name, value in SENT.headers if name == "Authorization").split("SignedHeaders=")[1].split(",")[0]


def replaced(name: str, value: str | None) -> SignedRequest:
    headers = [(each, old) for each, old in SENT.headers if each.lower() != name]
    return attrs.evolve(SENT, headers=headers if value is None else [*headers, (name, value)])


def header(name: str) -> str:
    return next(value for each, value in SENT.headers if each.lower() == name)


def now() -> datetime:
    return datetime.strptime(header("x-amz-date"), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def check_signature(request: SignedRequest, keys: Mapping[str, str], *, now: datetime | None = None) -> None:
    """Verify a request as the server does."""
    claim_of(request.headers, now=now).verify(request, keys)


def refused(request: SignedRequest, keys: dict[str, str] = KEYS, at: datetime | None = None) -> RekognitionError:
    with pytest.raises(REFUSALS) as caught:
        check_signature(request, keys, now=at or now())
    return caught.value


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-southeast-2"])
@pytest.mark.parametrize("token", [None, "a session's"])
def test_what_boto3_signs_passes(region: str, token: str | None) -> None:
    check_signature(sent(region, token), KEYS)


@given(
    st.binary(max_size=200),
    st.dictionaries(st.from_regex(r"[a-z][a-z-]{1,12}", fullmatch=True), st.from_regex(r"[ -~]{0,20}", fullmatch=True)),
    st.sampled_from(["", "a=b", "b=1&a=2", "a%20b=%2F"]),
)
def test_what_botocore_signs_passes(body: bytes, extra: dict[str, str], query: str) -> None:
    assume(not {"host", "authorization", "date", "x-amz-date"} & set(extra))
    assume(not any(name.startswith("x-amz-") for name in extra))
    request = AWSRequest("POST", f"http://localhost:8080/{'?' if query else ''}{query}", data=body)
    for name, value in extra.items():
        request.headers[name] = value
    SigV4Auth(Credentials(KEY, SECRET), "rekognition", "us-east-1").add_auth(request)
    headers = [*request.headers.items(), ("host", "localhost:8080")]

    check_signature(SignedRequest(method="POST", path="/", query=query, headers=headers, body=body), KEYS)


@given(st.integers(0, len(SENT.body) - 1), st.integers(1, 255))
def test_another_body_is_refused(place: int, change: int) -> None:
    body = bytearray(SENT.body)
    body[place] ^= change

    assert isinstance(refused(attrs.evolve(SENT, body=bytes(body))), InvalidSignatureException)
    assert isinstance(refused(attrs.evolve(SENT, body=SENT.body[:place])), InvalidSignatureException)


@pytest.mark.parametrize("name", [name for name in SIGNED.split(";") if name != "x-amz-date"])
def test_another_header_is_refused(name: str) -> None:
    assert isinstance(refused(replaced(name, f"{header(name)}x")), InvalidSignatureException)
    assert isinstance(refused(replaced(name, None)), InvalidSignatureException)
    doubled = attrs.evolve(SENT, headers=[*SENT.headers, (name, "x")])
    assert isinstance(refused(doubled), InvalidSignatureException)


@given(st.integers(0, len(header("authorization")) - 1), st.characters(min_codepoint=32, max_codepoint=126))
def test_another_authorization_is_refused(place: int, letter: str) -> None:
    value = header("authorization")
    changed = f"{value[:place]}{letter}{value[place + 1 :]}"
    assume(changed != value)

    refused(replaced("authorization", changed))


@given(st.text(st.characters(max_codepoint=255)))
def test_any_authorization_is_refused(value: str) -> None:
    refused(replaced("authorization", value))


@pytest.mark.parametrize(
    "change", [{"method": "PUT"}, {"path": "/x"}, {"query": "a=b"}], ids=lambda change: next(iter(change))
)
def test_another_request_line_is_refused(change: dict[str, Any]) -> None:
    assert isinstance(refused(attrs.evolve(SENT, **change)), InvalidSignatureException)


def test_headers_of_amazon_must_be_covered() -> None:
    added = attrs.evolve(SENT, headers=[*SENT.headers, ("X-Amz-Extra", "1")])

    assert "'x-amz-extra' must be" in refused(added).message


def test_headers_that_are_not_signed_may_change() -> None:
    check_signature(replaced("accept-encoding", "gzip"), KEYS, now=now())
    check_signature(replaced("user-agent", "another"), KEYS, now=now())


def test_a_payload_hash_that_is_told_must_be_the_bodys() -> None:
    body = b'{"CollectionId":"c"}'
    for told, passes in (("UNSIGNED-PAYLOAD", False), ("0" * 64, False), (None, True)):
        request = AWSRequest("POST", "http://localhost:8080/", data=body)
        if told:
            request.headers["X-Amz-Content-SHA256"] = told
        SigV4Auth(Credentials(KEY, SECRET), "rekognition", "us-east-1").add_auth(request)
        headers = [*request.headers.items(), ("host", "localhost:8080")]
        signed = SignedRequest(method="POST", path="/", query="", headers=headers, body=body)
        if passes:
            check_signature(signed, KEYS)
        else:
            with pytest.raises(InvalidSignatureException):
                check_signature(signed, KEYS)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_clocks_may_be_five_minutes_apart(seconds: int) -> None:
    check_signature(SENT, KEYS, now=now() + timedelta(seconds=seconds))


@given(st.timedeltas(SKEW + timedelta(microseconds=1), timedelta(days=3000)))
def test_what_is_older_or_newer_is_refused(apart: timedelta) -> None:
    assert refused(SENT, at=now() + apart).message.startswith(
        f"Signature expired: {header('x-amz-date')} is now earlier"
    )
    assert refused(SENT, at=now() - apart).message.startswith(
        f"Signature not yet current: {header('x-amz-date')} is st"
    )


def test_an_old_signature_is_told_in_awss_words() -> None:
    at = now() + timedelta(minutes=6)
    told = refused(SENT, at=at).message

    assert told == (
        f"Signature expired: {header('x-amz-date')} is now earlier than {at - SKEW:%Y%m%dT%H%M%SZ} ({at:%Y%m%dT%H%M%SZ} - 5 min.)"
    )


@pytest.mark.parametrize("date", ["", "x", "20260101", "2026-01-01T00:00:00Z", "20261301T000000Z"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    assert isinstance(refused(replaced("x-amz-date", date)), InvalidSignatureException)


def test_the_day_of_the_scope_must_be_the_dates() -> None:
    day = header("x-amz-date")[:8]
    changed = replaced("authorization", header("authorization").replace(f"/{day}/", "/20200101/"))

    assert refused(changed).message == (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20200101' != "
        f"'{day}', from '{header('x-amz-date')}'."
    )


def test_without_a_signature_a_token_is_missing() -> None:
    fault = refused(replaced("authorization", None))

    assert (type(fault), fault.message) == (MissingAuthenticationTokenException, "Missing Authentication Token")


def test_an_unknown_key_is_told_apart_from_a_wrong_secret() -> None:
    unknown, wrong = refused(SENT, {"OTHER": SECRET}), refused(SENT, {KEY: SECRET.lower()})

    assert unknown.message == "The security token included in the request is invalid."
    assert type(unknown) is UnrecognizedClientException
    assert wrong.message.startswith("The request signature we calculated does not match")
    assert SECRET not in f"{unknown}{wrong}"


def test_a_signature_for_another_service_is_refused() -> None:
    request = AWSRequest("POST", "http://localhost:8080/", data=b"{}")
    SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    signed = SignedRequest(
        method="POST", path="/", query="", headers=[*request.headers.items(), ("host", "localhost:8080")], body=b"{}"
    )

    assert "correct service: 'rekognition'" in refused(signed, at=datetime.now(UTC)).message


# ---------------------------------------------------------------- keys


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# staff\n\n{KEY}   {SECRET}\n  OTHER\t{'x' * 40}\r\n")

    assert read_keys(file) == KEYS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# none\n",
        KEY,
        f"{KEY} {SECRET} more",
        f"{KEY} {SECRET}\n{KEY} {SECRET}",
        f"{KEY} short",
        f"a/b {SECRET}",
        f"ä {SECRET}",
    ],
)
def test_what_is_no_key_file_is_refused_and_no_secret_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidParameterError) as caught:
        read_keys(file)
    assert SECRET not in str(caught.value)


def test_a_key_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidParameterError, match="UTF-8"):
        read_keys(tmp_path / "keys.txt")


def test_no_keys_are_no_keys() -> None:
    with pytest.raises(InvalidParameterError):
        check_keys({})
