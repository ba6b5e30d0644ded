"""Verify AWS Signature Version 4 against the server's own access keys.

Source: "AWS Signature Version 4 for API requests", IAM User Guide
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html). botocore computes the signature itself.

A signature covers the body, so it can only be verified after the body has arrived. The form, time and service in the headers
need neither body nor key: `claim_of` checks these first, so that a server does not read the body of an invalid request.
"""

import hashlib
import hmac
import logging
import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs

from facesearch.errors import InvalidParameterError, MissingExtraError
from facesearch.rekognition.exceptions import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)

try:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError as _error:
    raise MissingExtraError.of("facesearch.rekognition.http.server", "botocore", "server") from _error

__all__ = ["SKEW", "Claim", "SignedRequest", "check_keys", "claim_of", "read_keys"]

_log = logging.getLogger("facesearch")

SKEW: Final = timedelta(minutes=5)
"""Largest difference between the clocks of client and server, as at Amazon Rekognition.

Within this time an intercepted request can be replayed, as at AWS; only TLS prevents interception.
"""

_SERVICE: Final = "rekognition"
_TIME: Final = "%Y%m%dT%H%M%SZ"
_KEY: Final = r"[A-Za-z0-9_]{1,128}"
_SHORTEST_SECRET: Final = 16
_AUTHORIZATION: Final = re.compile(
    rf"AWS4-HMAC-SHA256 +Credential=(?P<key>{_KEY})/(?P<day>\d{{8}})/(?P<region>[a-z0-9-]{{1,64}})/(?P<service>[a-z0-9-]{{1,64}})"
    r"/aws4_request, *SignedHeaders=(?P<names>[a-z0-9;_-]{1,4096}), *Signature=(?P<signature>[0-9a-f]{64})"
)


@attrs.frozen(kw_only=True)
class SignedRequest:
    """Parts of a request that a signature covers, as received."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Claim:
    """Signature in the headers of a request, not yet verified."""

    key: str
    region: str
    date: str  # X-Amz-Date
    names: Sequence[str]  # signed headers, in lower case
    signature: str = attrs.field(repr=False)

    def verify(self, request: SignedRequest, keys: Mapping[str, str]) -> None:
        """Verify the signature of a complete request."""
        secret = keys.get(self.key)
        # An unknown key costs the same work as a wrong signature: the time does not reveal which keys exist.
        expected = _signature(request, self.names, self.date, self.region, secret or "unknown")
        genuine = hmac.compare_digest(expected, self.signature)
        digest = _digest(request.body)
        digests = [value for name, value in request.headers if name.lower() == "x-amz-content-sha256"] or [digest]
        if secret is None:
            raise UnrecognizedClientException
        if not genuine or digests != [digest]:
            raise InvalidSignatureException


class _ExactSigner(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signer of exactly the given headers; botocore by itself omits some that other SDKs sign."""

    def headers_to_sign(self, request: Any) -> Any:
        return request.headers


def claim_of(headers: Sequence[tuple[str, str]], *, now: datetime | None = None) -> Claim:
    """Parse the signature in the headers of a request, and check what needs neither body nor key; *now* is for tests."""
    given: dict[str, list[str]] = {}
    for name, value in headers:
        given.setdefault(name.lower(), []).append(value)
    if "authorization" not in given:
        raise MissingAuthenticationTokenException
    parts = _AUTHORIZATION.fullmatch(", ".join(given["authorization"]).strip())
    if parts is None:
        raise IncompleteSignatureException
    names = parts["names"].split(";")
    _check_cover(names, given)
    date = given["x-amz-date"][0]
    if parts["service"] != _SERVICE:
        raise InvalidSignatureException(f"Credential should be scoped to correct service: '{_SERVICE}'.")
    _check_time(date, parts["day"], now or datetime.now(UTC))
    return Claim(key=parts["key"], region=parts["region"], date=date, names=names, signature=parts["signature"])


def check_keys(keys: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of access keys and their secrets, after validation; no error contains a secret."""
    if not keys:
        raise InvalidParameterError("keys: expected at least one access key and its secret, got none")
    for key, secret in keys.items():
        if not re.fullmatch(_KEY, key):
            raise InvalidParameterError.of("keys", key, "an access key of 1 to 128 letters, digits and _")
        if len(secret) < _SHORTEST_SECRET or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise InvalidParameterError(
                f"keys: expected a secret of at least {_SHORTEST_SECRET} visible ASCII characters for {key}, got another one"
            )
    return dict(keys)


def read_keys(file: str | os.PathLike[str]) -> dict[str, str]:
    """Read access keys from a file: a key, a blank and its secret in each line; ``#`` starts a comment line."""
    keys: dict[str, str] = {}
    try:
        with Path(file).open(encoding="utf-8") as stream:
            _warn_if_readable_by_others(file, os.fstat(stream.fileno()).st_mode)
            lines = stream.read().splitlines()
    except UnicodeDecodeError:
        raise InvalidParameterError(f"key file {os.fspath(file)!r}: expected UTF-8 text, got something else") from None
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] in keys:  # noqa: PLR2004  # a key and its secret
            raise InvalidParameterError(
                f"key file {os.fspath(file)!r}, line {number}: expected an access key, new in the file, a blank and its secret"
            )
        keys[words[0]] = words[1]
    return check_keys(keys)


def _warn_if_readable_by_others(file: str | os.PathLike[str], mode: int) -> None:
    if os.name != "nt" and mode & (stat.S_IRGRP | stat.S_IROTH):  # Windows has no such bits
        _log.warning(
            "key file %r: other users can read it (mode %04o); restrict it with chmod 600",
            os.fspath(file),
            mode & 0o777,
        )


def _check_cover(names: Sequence[str], given: Mapping[str, Sequence[str]]) -> None:
    """Check that the signature covers the host, the time and all of AWS's own headers."""
    amazons = [name for name in given if name.startswith("x-amz-")]
    uncovered = sorted({"host", "x-amz-date", *amazons} - set(names))
    if uncovered:
        raise InvalidSignatureException(f"'{uncovered[0]}' must be a SignedHeader in the AWS Authorization header")
    if len(set(names)) != len(names) or any(name not in given for name in names) or len(given["x-amz-date"]) > 1:
        raise InvalidSignatureException


def _check_time(date: str, day: str, now: datetime) -> None:
    try:
        made = datetime.strptime(date, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidSignatureException("X-Amz-Date must be in ISO-8601 'basic format'") from None
    if not date.startswith(day):
        raise InvalidSignatureException(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != "
            f"'{date[:8]}', from '{date}'."
        )
    minutes = SKEW // timedelta(minutes=1)
    if made < now - SKEW:
        raise InvalidSignatureException(
            f"Signature expired: {date} is now earlier than {now - SKEW:{_TIME}} ({now:{_TIME}} - {minutes} min.)"
        )
    if made > now + SKEW:
        raise InvalidSignatureException(
            f"Signature not yet current: {date} is still later than {now + SKEW:{_TIME}} ({now:{_TIME}} + {minutes} min.)"
        )


def _signature(request: SignedRequest, names: Sequence[str], date: str, region: str, secret: str) -> str:
    query = f"?{request.query}" if request.query else ""
    again = AWSRequest(method=request.method, url=f"http://signed{request.path}{query}", data=request.body)
    for name, value in request.headers:
        if name.lower() in names:
            again.headers[name.lower()] = value
    again.context["timestamp"] = date
    signer = _ExactSigner(Credentials("any", secret), _SERVICE, region)
    signature: str = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return signature


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
