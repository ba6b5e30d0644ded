"""AWS JSON 1.1: every body is decoded or refused, and botocore can decode every response."""

import base64
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.parsers import create_parser
from hypothesis import given, strategies as st

from facesearch.errors import ClosedError
from facesearch.rekognition.exceptions import (
    FAULTS,
    InternalServerError,
    InvalidImageFormatException,
    RekognitionError,
    SerializationException,
    UnknownOperationException,
)
from facesearch.rekognition.json_protocol import body_of, error_response, handle, operation_of, parameters_of

MODEL = botocore.session.get_session().get_service_model("rekognition")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
IMAGES = {"Image", "SourceImage", "TargetImage"}


class Answering:
    """Stand-in service with one response, which records the requests."""

    def __init__(self, answer: Mapping[str, Any] | BaseException) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, operation: str, parameters: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.asked.append((operation, parameters))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def parsed(operation: str, response: tuple[int, dict[str, str], bytes]) -> Any:
    status, headers, body = response
    lower = {name.lower(): value for name, value in headers.items()}  # as botocore's own dict finds them
    shape = MODEL.operation_model(operation).output_shape
    return create_parser("json").parse({"status_code": status, "headers": lower, "body": body}, shape)


# ---------------------------------------------------------------- requests


@given(st.dictionaries(TEXTS.filter(lambda name: name not in IMAGES), VALUES, max_size=6), st.booleans())
def test_a_json_object_is_read_as_it_is(request: dict[str, Any], ascii_only: bool) -> None:
    assert parameters_of(json.dumps(request, ensure_ascii=ascii_only).encode()) == request


@given(st.binary(max_size=64), st.sampled_from(sorted(IMAGES)))
def test_pictures_are_bytes(picture: bytes, member: str) -> None:
    body = json.dumps({member: {"Bytes": base64.b64encode(picture).decode()}}).encode()

    assert parameters_of(body) == {member: {"Bytes": picture}}


@given(st.binary() | st.text('[]{},:"\\ud80 1eE.-+NaIntfy').map(str.encode) | VALUES.map(json.dumps).map(str.encode))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        request = parameters_of(body)
    except (SerializationException, InvalidImageFormatException):
        return
    assert isinstance(request, dict)
    json.dumps(request, allow_nan=False, ensure_ascii=False, default=lambda picture: picture.hex()).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"{}"',
        b"null",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1' + b"0" * 308 + b"}",
        b'{"a": ' + b"9" * 100_000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"a": [' + b"1," * 200_000 + b"1]}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(SerializationException) as caught:
        parameters_of(body)
    assert caught.value.http_status == 400


@pytest.mark.parametrize("text", ["a", "/9j", "/9j/\n", "data:image/png;base64,/9j/", "_-__", "ÿ", "/9j/=", "===="])
def test_a_picture_that_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(InvalidImageFormatException) as caught:
        parameters_of(json.dumps({"Image": {"Bytes": text}}).encode())
    assert caught.value.message == "Invalid image encoding"


@pytest.mark.parametrize("image", [None, 1, [], "x", {"Bytes": None}, {"Bytes": 1}, {"Bytes": []}, {"Bytes": {}}, {}])
def test_pictures_of_a_wrong_type_are_left_to_be_checked(image: Any) -> None:
    assert parameters_of(json.dumps({"Image": image}).encode()) == {"Image": image}


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_operations_are_named_as_botocore_names_them(operation: str) -> None:
    assert operation_of(f"{MODEL.metadata['targetPrefix']}.{operation}") == operation


@given(
    st.none()
    | st.text()
    | st.sampled_from(["RekognitionService", "RekognitionService.", "rekognitionservice.X", "X.Y"])
)
def test_other_targets_are_no_operations(target: str | None) -> None:
    with pytest.raises(UnknownOperationException):
        operation_of(target)


# ---------------------------------------------------------------- answers


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001  # hypothesis requires naive bounds
def test_timestamps_are_read_to_the_millisecond(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    answer = parsed(
        "DescribeCollection", handle(Answering({"CreationTimestamp": moment}), "RekognitionService.X", b"{}")
    )

    assert (
        abs((answer["CreationTimestamp"] - moment).total_seconds()) <= 0.0011
    )  # half a millisecond of rounding, plus botocore's floats


def test_botocore_reads_an_answer() -> None:
    content = {
        "FaceModelVersion": "7.0",
        "UserMatches": [{"Similarity": 99.5, "User": {"UserId": "ö", "UserStatus": "ACTIVE"}}],
    }
    service = Answering(content)
    response = handle(service, "RekognitionService.SearchUsersByImage", b'{"CollectionId":"c"}')
    answer = parsed("SearchUsersByImage", response)

    assert service.asked == [("SearchUsersByImage", {"CollectionId": "c"})]
    assert response[1]["Content-Type"] == "application/x-amz-json-1.1"
    assert answer.pop("ResponseMetadata")["RequestId"] == response[1]["x-amzn-RequestId"]
    assert answer == content


def test_an_answer_without_members_is_an_empty_body() -> None:
    response = handle(Answering({}), "RekognitionService.CreateUser", b"{}")

    assert response[2] == b""
    assert parsed("CreateUser", response).keys() == {"ResponseMetadata"}


@pytest.mark.parametrize("answer", [{"a": float("nan")}, {"a": datetime(2000, 1, 1)}, {"a": b"x"}])  # noqa: DTZ001  # no zone: wrong
def test_an_answer_that_can_not_be_written_is_our_fault(answer: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        body_of(answer)
    assert handle(Answering(answer), "RekognitionService.X", b"{}")[0] == 500


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_botocore_reads_an_error(kind: type[RekognitionError]) -> None:
    response = handle(Answering(kind("Füße are missing")), "RekognitionService.ListUsers", b"{}")
    answer = parsed("ListUsers", response)

    assert response[0] == kind.http_status == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert answer["Error"]["Code"] == kind.code
    assert answer["Error"]["Message"] == "Füße are missing"
    assert answer["ResponseMetadata"]["RequestId"] == response[1]["x-amzn-RequestId"]
    body = json.loads(response[2])
    assert body.keys() == {"__type", "Code", "Logref", "Message"}
    assert body["Logref"] == response[1]["x-amzn-RequestId"]


def test_every_answer_has_an_id_of_its_own() -> None:
    one, two = (handle(Answering({}), "RekognitionService.X", b"{}")[1] for _ in range(2))

    assert one["x-amzn-RequestId"] != two["x-amzn-RequestId"]


@given(
    st.sampled_from([ValueError, KeyError, RecursionError, MemoryError, OSError, ZeroDivisionError]),
    st.text(min_size=8),
)
def test_nothing_of_our_insides_is_told(kind: type[Exception], secret: str) -> None:
    status, _, body = handle(Answering(kind(secret)), "RekognitionService.ListUsers", b"{}")

    assert status == 500
    assert {**json.loads(body), "Logref": ""} == {
        "__type": "InternalServerError",
        "Code": "InternalServerError",
        "Logref": "",
        "Message": "Internal server error",
    }


def failing() -> dict[str, Any]:
    """Fail as with a damaged file: the messages contain a path and a user id."""
    try:
        Path("/nowhere/ada/people.db").read_bytes()
    except OSError as error:
        raise RuntimeError("ada lovelace") from error
    return {}


@pytest.mark.parametrize("wrap", [False, True], ids=["unforeseen", "a fault with a cause"])
def test_the_log_names_a_failure_without_paths_and_messages_until_it_is_asked_for_all(
    wrap: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def call(self, *_: Any) -> dict[str, Any]:
            if not wrap:
                return failing()
            try:
                return failing()
            except RuntimeError as error:
                raise InternalServerError from error

    with caplog.at_level(logging.INFO, "facesearch"):
        _, headers, _ = handle(Failing(), "RekognitionService.ListUsers", b"{}")
    shown = logging.Formatter().format(caplog.records[0])

    assert len(caplog.records) == 1
    assert headers["x-amzn-RequestId"] in shown
    assert "RuntimeError from FileNotFoundError in facesearch.rekognition.json_protocol.handle" in shown
    assert not [part for part in ("/", ".py", "ada", "Traceback", "\n") if part in shown]

    with caplog.at_level(logging.DEBUG, "facesearch"):
        handle(Failing(), "RekognitionService.ListUsers", b"{}")
    assert "/nowhere/ada/people.db" in caplog.text


def test_a_closed_service_is_not_answered_for() -> None:
    with pytest.raises(ClosedError, match="closed"):
        handle(Answering(ClosedError("closed")), "RekognitionService.ListUsers", b"{}")


def test_being_ended_is_no_error_to_answer() -> None:
    with pytest.raises(KeyboardInterrupt):
        handle(Answering(KeyboardInterrupt()), "RekognitionService.ListUsers", b"{}")


def test_an_error_response_is_the_faults_own() -> None:
    fault = UnknownOperationException("what?")

    assert error_response(fault)[1]["x-amzn-RequestId"] == fault.response["ResponseMetadata"]["RequestId"]
