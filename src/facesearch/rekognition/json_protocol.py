"""Decode requests and encode responses in AWS JSON 1.1, the protocol of Amazon Rekognition.

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
from typing import Any, Final, Protocol

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
# Python objects take up to twenty times the size of a body with elements of a few bytes. AWS's longest list, 4,096 faces to
# delete, is far below this limit.
_MOST_ELEMENTS: Final = 100_000
_MOST_DEPTH: Final = 16  # AWS's deepest members, those of S3Object, are at level 3
_MOST_CAUSES: Final = 8  # chained exceptions in a line of the log
_MOST_DIGITS: Final = 300  # of an integer: a longer one may overflow a float

_logger = logging.getLogger("facesearch")

Response = tuple[int, dict[str, str], bytes]
"""HTTP status, headers, body."""


class Service(Protocol):
    """Executes operations: a `facesearch.rekognition.Rekognition`, or a substitute."""

    def call(self, operation: str, parameters: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Return the response, or raise a `RekognitionError`."""


def handle(service: Service, target: str | None, body: bytes) -> Response:
    """Handle a request with the header ``X-Amz-Target`` and a body; every failure but a closed service becomes an error response.

    An unexpected failure becomes InternalServerError: `log_failure` logs it, and the response does not describe it. After
    ClosedError no later request can succeed.
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
    except Exception as error:  # noqa: BLE001  # the outermost handler: a client gets a response without internal details
        return unexpected(error)
    return 200, _headers(str(uuid.uuid4()), content), content


def unexpected(error: Exception) -> Response:
    """Return the response to a request that failed unexpectedly, InternalServerError, and log the failure."""
    fault = InternalServerError()
    log_failure(fault.request_id, error)
    return error_response(fault)


def log_failure(request_id: str, error: BaseException) -> None:
    """Log the exception types and the location of a failure at level ERROR, and its traceback at level DEBUG.

    Messages and tracebacks of exceptions contain paths, file names and user ids, so the default level omits both.
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
    """Return the operation in the header ``X-Amz-Target``, such as ``RekognitionService.SearchUsersByImage``."""
    found = re.fullmatch(rf"{TARGET_PREFIX}\.([A-Za-z0-9]{{1,64}})", x_amz_target or "")
    if found is None:
        raise UnknownOperationException(
            f"X-Amz-Target: expected {TARGET_PREFIX} and an operation, got {shown(x_amz_target)}"
        )
    return found[1]


def parameters_of(body: bytes) -> dict[str, Any]:
    r"""Decode a JSON object in UTF-8 into parameters as boto3 takes them: images are bytes.

    Duplicate names, NaN, Infinity, numbers outside the range of a float, and lone surrogates are refused. Members of a wrong JSON type
    are kept for the validation.

    >>> parameters_of(b'{"Image": {"Bytes": "/9j/"}, "MaxFaces": 1}')
    {'Image': {'Bytes': b'\xff\xd8\xff'}, 'MaxFaces': 1}
    """
    if max(map(body.count, (b"[", b"{", b","))) > _MOST_ELEMENTS:
        raise SerializationException(f"The request has more than {_MOST_ELEMENTS:,} elements")
    try:
        request = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_members,
            parse_constant=_parse_float,  # of NaN and Infinity, which are not JSON
            parse_int=_parse_integer,
            parse_float=_parse_float,
        )
        if b"\\u" in body:  # only an escape can produce a lone surrogate, which can't be encoded again
            json.dumps(request, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):  # ValueError covers invalid JSON and invalid UTF-8
        raise SerializationException("The request body is not valid JSON") from None
    if not isinstance(request, dict) or _exceeds_depth(request):
        raise SerializationException(f"The request body is not a JSON object of at most {_MOST_DEPTH} levels")
    for name in _IMAGES:
        image = request.get(name)
        if isinstance(image, dict) and isinstance(image.get("Bytes"), str):
            image["Bytes"] = _decode_image(image["Bytes"])
    return request


def body_of(answer: Mapping[str, Any]) -> bytes:
    """Encode a response, with aware datetimes as seconds since 1970, rounded to milliseconds.

    The body is empty if the response has no members, as AWS's response to CreateUser.
    """
    if not answer:
        return b""
    return json.dumps(answer, default=_timestamp, allow_nan=False, separators=(",", ":")).encode("ascii")


def error_response(fault: RekognitionError) -> Response:
    """Return the complete response for an error; its Logref is the request id that the log contains."""
    error = {"__type": fault.code, "Code": fault.code, "Logref": fault.request_id, "Message": fault.message}
    content = json.dumps(error).encode("ascii")
    return fault.http_status, _headers(fault.request_id, content), content


def _headers(request_id: str, content: bytes) -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(content)), "x-amzn-RequestId": request_id}


def _unique_members(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(members)
    if len(result) != len(members):
        raise ValueError  # a validator and an executor might read different values
    return result


def _exceeds_depth(request: Any) -> bool:
    level = [request]
    for _ in range(_MOST_DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [each for members in inner for each in members]
    return bool(level)


def _parse_integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError
    return int(text)


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _decode_image(text: str) -> bytes:
    try:
        picture = base64.b64decode(text, validate=True)
    except ValueError:  # includes binascii.Error
        raise InvalidImageFormatException("Invalid image encoding") from None
    if len(text) % 4:  # Python accepts excess "=" padding
        raise InvalidImageFormatException("Invalid image encoding")
    return picture


def _timestamp(value: Any) -> float:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return round(value.timestamp(), 3)
    raise TypeError(f"response: expected JSON values and aware datetimes, got {type(value).__name__}")
