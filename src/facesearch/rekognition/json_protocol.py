"""AWS JSON 1.1, which Amazon Rekognition speaks: requests out of bodies, bodies out of answers and errors.

Source: Smithy, "AWS JSON 1.1 protocol" (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
"""

import base64
import json
import logging
import math
import re
import traceback
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn, Protocol

from facesearch.errors import ClosedError, shown
from facesearch.rekognition.exceptions import (
    InternalServerError,
    InvalidImageFormatException,
    RekognitionError,
    SerializationException,
    UnknownOperationException,
)

__all__ = [
    "Response",
    "Service",
    "body_of",
    "error_body",
    "error_response",
    "handle",
    "log_failure",
    "operation_of",
    "parameters_of",
    "unexpected",
]

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
TARGET_PREFIX: Final = "RekognitionService"
_IMAGES: Final = ("Image", "SourceImage", "TargetImage")
# A body of a few bytes an element takes twenty times its size as Python objects. The longest list of AWS's, 4,096 faces to
# delete, is far from this.
_MOST_ELEMENTS: Final = 100_000
_MOST_DEPTH: Final = 16  # S3Object's members, the deepest of AWS's, are at 3
_MOST_CAUSES: Final = 8  # named in the log
_MOST_DIGITS: Final = 300  # of a whole number: more, and it would not fit into a float

_logger = logging.getLogger("facesearch")

Response = tuple[int, dict[str, str], bytes]
"""HTTP status, headers, body."""


class Service(Protocol):
    """What answers requests: a `facesearch.rekognition.Rekognition`, or what stands in for one."""

    def call(self, operation: str, parameters: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Answer, or raise a `RekognitionError`."""


def handle(service: Service, target: str | None, body: bytes) -> Response:
    """Answer a request: whatever happens, with a response.

    Parameters
    ----------
    service
        What answers it.
    target
        The header ``X-Amz-Target``.
    body
        The request's body.

    Returns
    -------
    tuple[int, dict[str, str], bytes]
        HTTP status, headers and body. An unexpected failure is InternalServerError; `log_failure` logs it, and the response
        does not describe it.

    Raises
    ------
    ClosedError
        If the service was closed: no later request to it can succeed.
    """
    try:
        operation = operation_of(target)
        content = body_of(service.call(operation, parameters_of(body)))
    except RekognitionError as fault:
        if fault.__cause__ is not None and fault.http_status >= 500:  # noqa: PLR2004  # a full disk, a damaged file
            log_failure(fault.request_id, fault)
        return error_response(fault)
    except ClosedError:
        raise
    except Exception as error:  # noqa: BLE001  # the last one to catch: a client gets an answer, and never a piece of our insides
        return unexpected(error)
    return 200, _headers(str(uuid.uuid4()), content), content


def unexpected(error: Exception) -> Response:
    """Return the response to a request that failed unexpectedly, InternalServerError, and log the failure."""
    fault = InternalServerError()
    log_failure(fault.request_id, error)
    return error_response(fault)


def log_failure(request_id: str, error: BaseException) -> None:
    """Log a failure: its types and its place at level ERROR, its traceback at level DEBUG.

    Messages and tracebacks of exceptions hold paths, file names and user ids, so the default level has neither.
    """
    kinds, inner = [type(error).__name__], error
    while (cause := inner.__cause__ or inner.__context__) is not None and len(kinds) < _MOST_CAUSES:
        kinds.append(type(cause).__name__)
        inner = cause
    frames = [frame for each in (error, inner) for frame, _ in traceback.walk_tb(each.__traceback__)]
    ours = [frame for frame in frames if str(frame.f_globals.get("__name__", "")).startswith("facesearch.")]
    place = f" in {ours[-1].f_globals['__name__']}.{ours[-1].f_code.co_name}" if ours else ""
    _logger.error("request %s failed: %s%s", request_id, " from ".join(kinds), place)
    _logger.debug("request %s failed", request_id, exc_info=error)


def operation_of(x_amz_target: str | None) -> str:
    """Give the operation that a request names in ``X-Amz-Target``.

    Raises
    ------
    UnknownOperationException
        If it names none of this service.

    Examples
    --------
    >>> operation_of("RekognitionService.SearchUsersByImage")
    'SearchUsersByImage'
    """
    found = re.fullmatch(rf"{TARGET_PREFIX}\.([A-Za-z0-9]{{1,64}})", x_amz_target or "")
    if found is None:
        raise UnknownOperationException(
            f"X-Amz-Target: expected {TARGET_PREFIX} and an operation, got {shown(x_amz_target)}"
        )
    return found[1]


def parameters_of(body: bytes) -> dict[str, Any]:
    r"""Read a request's body.

    Parameters
    ----------
    body
        A JSON object in UTF-8; pictures as base64.

    Returns
    -------
    dict[str, Any]
        The request as boto3 takes it: pictures are bytes. Members of a wrong JSON type are left for whoever checks them.

    Raises
    ------
    SerializationException
        If it is no JSON object; or has a name twice, a number that is none or none that a float can hold, or a character that
        Unicode has not.
    InvalidImageFormatException
        If a picture is not base64.

    Examples
    --------
    >>> parameters_of(b'{"Image": {"Bytes": "/9j/"}, "MaxFaces": 1}')
    {'Image': {'Bytes': b'\xff\xd8\xff'}, 'MaxFaces': 1}
    """
    if max(map(body.count, (b"[", b"{", b","))) > _MOST_ELEMENTS:
        raise SerializationException(f"The request has more than {_MOST_ELEMENTS:,} elements")
    try:
        request = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_no_name_twice,
            parse_constant=_refuse,
            parse_int=_whole,
            parse_float=_finite,
        )
        if b"\\u" in body:  # only an escape can name half a surrogate pair, which nothing could write down again
            json.dumps(request, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):  # the first covers wrong JSON and wrong UTF-8
        raise SerializationException("The request body is not valid JSON") from None
    if not isinstance(request, dict) or _too_deep(request):
        raise SerializationException(f"The request body is not a JSON object of at most {_MOST_DEPTH} levels")
    for name in _IMAGES:
        image = request.get(name)
        if isinstance(image, dict) and isinstance(image.get("Bytes"), str):
            image["Bytes"] = _decoded(image["Bytes"])
    return request


def body_of(answer: Mapping[str, Any]) -> bytes:
    """Write an answer.

    Parameters
    ----------
    answer
        As boto3 gives it: timestamps are aware datetimes.

    Returns
    -------
    bytes
        JSON with timestamps in seconds since 1970, to the millisecond; nothing at all where the answer has no members, as
        AWS answers CreateUser.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> body_of({"CreationTimestamp": datetime(2018, 8, 4, tzinfo=UTC)})
    b'{"CreationTimestamp":1533340800.0}'
    >>> body_of({})
    b''
    """
    if not answer:
        return b""
    return json.dumps(answer, default=_timestamp, allow_nan=False, separators=(",", ":")).encode("ascii")


def error_body(fault: RekognitionError) -> bytes:
    """Write an error: its name, its text, and the request's id as Logref, by which the log has it."""
    content = {
        "__type": fault.code,
        "Code": fault.code,
        "Logref": fault.request_id,
        "Message": fault.message,
    }
    return json.dumps(content).encode("ascii")


def error_response(fault: RekognitionError) -> Response:
    """Give the whole response of an error."""
    content = error_body(fault)
    return fault.http_status, _headers(fault.request_id, content), content


def _headers(request_id: str, content: bytes) -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(content)), "x-amzn-RequestId": request_id}


def _no_name_twice(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(members)
    if len(result) != len(members):
        raise ValueError  # a checker and a doer that read different ones have been fooled
    return result


def _too_deep(request: Any) -> bool:
    level = [request]
    for _ in range(_MOST_DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [each for members in inner for each in members]
    return bool(level)


def _refuse(_: str) -> NoReturn:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _decoded(text: str) -> bytes:
    try:
        picture = base64.b64decode(text, validate=True)
    except ValueError:  # binascii's too
        raise InvalidImageFormatException("Invalid image encoding") from None
    if len(text) % 4:  # Python itself lets more "=" pass than there should be
        raise InvalidImageFormatException("Invalid image encoding")
    return picture


def _timestamp(value: Any) -> float:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return round(value.timestamp(), 3)
    raise TypeError(f"{type(value).__name__} has no place in an answer")
