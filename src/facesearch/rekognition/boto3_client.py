"""Connect stock boto3 clients to a local service in the same process.

botocore emits the event ``before-send`` before it sends a request; a listener may return a response instead. Everything else is
botocore's own code: validation of parameters, paginators, exceptions, retries and ``ResponseMetadata``.
"""

import contextlib
import io
import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from facesearch.common.validation import check_acts_as
from facesearch.errors import InvalidParameterError, MissingExtraError
from facesearch.rekognition import json_protocol as wire
from facesearch.rekognition.service import Rekognition

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

__all__ = ["answering", "client"]

# URL that replaces AWS's in a request with a response. botocore calls all listeners, and another one, such as moto, would respond
# to a request with AWS's URL too. RFC 2606 reserves ".invalid".
_ANSWERED: Final = "http://answered.facesearch.invalid/"
_CLAIM: Final = "X-Facesearch-Claim"


def client(
    data: str | os.PathLike[str] | None = None,
    *,
    region_name: str = "us-east-1",
    service: Rekognition | None = None,
    **options: Any,
) -> "RekognitionClient":
    """Create a stock boto3 client of Amazon Rekognition that a local service answers.

    The client needs no credentials and opens no socket. It ignores the configuration of AWS in the environment and in files,
    except for retries (``AWS_MAX_ATTEMPTS``, ``AWS_RETRY_MODE``).

    Parameters
    ----------
    data
        Path of the file that holds the collections, or address of a server, ``postgresql://...``; by default they are in memory.
    region_name
        Region of the client, and of the collections' ARNs.
    service
        An existing local service, which stays open when the client is closed. By default the client has its own, which
        ``client.close()`` closes.
    options
        Further arguments of `facesearch.rekognition.Rekognition`, such as ``objects``.

    Returns
    -------
    RekognitionClient
        A client as ``boto3.client("rekognition")`` returns it. The type comes from the package mypy-boto3-rekognition; without
        that package type checkers see ``Any``.

    Raises
    ------
    MissingExtraError
        If boto3 is not installed.
    InvalidParameterError
        If *service* is combined with arguments for a new service.

    Examples
    --------
    >>> from facesearch.rekognition import client
    >>> rekognition = client()
    >>> rekognition.create_collection(CollectionId="staff")["StatusCode"]
    200
    >>> rekognition.list_collections()["CollectionIds"]
    ['staff']
    >>> rekognition.close()
    """
    boto3 = _boto3()
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    # A separate session without profile and configuration files: (file key, environment variable, default, conversion).
    files = {"config_file": (None, None, os.devnull, None), "credentials_file": (None, None, os.devnull, None)}
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None), **files})
    config = Config(
        signature_version=UNSIGNED,  # so botocore does not look for credentials
        ignore_configured_endpoint_urls=True,
        use_fips_endpoint=False,
        use_dualstack_endpoint=False,
    )
    answers = _service(service, data=data, region=region_name, **options)
    if service is None:
        session.register("creating-client-class.rekognition", _closing(answers))
    made: RekognitionClient = boto3.Session(botocore_session=session).client(
        "rekognition", region_name=region_name, config=config
    )
    _Responder(answers).listen(made.meta.events)
    return made


@contextlib.contextmanager
def answering(*clients_or_sessions: Any, service: Rekognition | None = None, **options: Any) -> Iterator[Rekognition]:
    """Answer the requests of existing boto3 clients or sessions with a local service, within a ``with`` block.

    Parameters
    ----------
    clients_or_sessions
        boto3 clients of Rekognition, or sessions of boto3 or botocore: the clients that such a session creates in the block are
        included. By default boto3's default session, which ``boto3.client`` uses.
    service
        An existing local service, which stays open. By default a new one, which is closed at the end of the block.
    options
        Arguments of `facesearch.rekognition.Rekognition`, such as ``data``.

    Yields
    ------
    Rekognition
        The local service. After the block the original state is restored: **a client that is still in use sends its requests to
        AWS again**.

    Raises
    ------
    MissingExtraError
        If boto3 is not installed.
    InvalidParameterError
        If an argument is neither a client of Rekognition nor a session, or both *service* and *options* are given.

    Notes
    -----
    These are the caller's own clients: botocore still looks up profile, region and credentials, but does not use the credentials.
    In nested blocks the innermost one answers.

    Examples
    --------
    >>> import boto3
    >>> from facesearch.rekognition import answering
    >>> with answering() as rekognition:
    ...     mine = boto3.client("rekognition", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    ...     mine.create_collection(CollectionId="staff")["StatusCode"]
    ...     rekognition.list_collections()["CollectionIds"]
    200
    ['staff']
    """
    boto3 = _boto3()
    default = boto3.DEFAULT_SESSION
    emitters = [_emitter(each) for each in clients_or_sessions]
    answers = _service(service, **options)
    with answers if service is None else contextlib.nullcontext():
        if not emitters:
            if default is None:
                boto3.setup_default_session()
            emitters = [boto3.DEFAULT_SESSION.events]
        responder = _Responder(answers)
        try:
            for emitter in emitters:
                responder.listen(emitter)
            yield answers
        finally:
            responder.end()
            if not clients_or_sessions and default is None:
                boto3.DEFAULT_SESSION = None


class _Responder:
    """Listener that responds to the requests of botocore clients with a local service."""

    def __init__(self, service: wire.Service) -> None:
        self._service = service
        self._name = uuid.uuid4().hex
        self._emitters: list[Any] = []
        self._listeners = {
            "choose-signer.rekognition": self._unsigned,
            "before-sign.rekognition": self._claim,
            "before-send.rekognition": self._answer,
        }
        # Clients that a session created hold copies of its listeners, which can't be unregistered.
        self._ended = False

    def listen(self, emitter: Any) -> None:
        """Register the listeners; of several responders on one emitter the last one responds."""
        self._emitters.append(emitter)
        for event, listener in self._listeners.items():
            emitter.register(event, listener)

    def end(self) -> None:
        """Unregister the listeners and stop responding."""
        self._ended = True
        for emitter in self._emitters:
            for event, listener in self._listeners.items():
                emitter.unregister(event, listener)

    def _unsigned(self, **_: Any) -> Any:
        from botocore import UNSIGNED

        return None if self._ended else UNSIGNED

    def _claim(self, *, request: Any, **_: Any) -> None:
        """Mark the request as this responder's: botocore calls all listeners in order and uses the first response."""
        if not self._ended:
            request.headers[_CLAIM] = self._name

    def _answer(self, *, request: Any, **_: Any) -> Any:
        if _header(request, _CLAIM) != self._name:
            return None
        from botocore.awsrequest import AWSResponse

        request.url = _ANSWERED
        target = _header(request, "X-Amz-Target")
        status, headers, body = wire.handle(self._service, target, bytes(request.body or b""))
        return AWSResponse(request.url, status, headers, _Raw(body))


def _header(request: Any, name: str) -> str | None:
    value = request.headers.get(name)
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Raw(io.BytesIO):
    """Response body with the method ``stream`` of urllib3's bodies, which botocore calls."""

    def stream(self) -> Iterator[bytes]:
        """Yield the whole body."""
        yield self.read()


def _closing(service: Rekognition) -> Any:
    """Return a listener that makes ``close()`` of a new client class close the service too."""

    class Closing:
        def close(self) -> None:
            """Close the client and its service."""
            super().close()  # type: ignore[misc]  # botocore's client class is next in the MRO
            service.close()

    return lambda base_classes, **_: base_classes.insert(0, Closing)


def _service(service: Rekognition | None, **options: Any) -> Rekognition:
    if service is None:
        return Rekognition(**options)
    check_acts_as("service", service, wire.Service)  # type: ignore[type-abstract]  # a protocol suffices here
    given = sorted(name for name, value in options.items() if value is not None and name != "region")
    if given:
        raise InvalidParameterError(
            f"{given[0]}: expected no option of a new service together with service, got one; pass it to Rekognition(...)"
        )
    return service


def _emitter(client_or_session: Any) -> Any:
    """Return the event emitter of a client or session."""
    from boto3.session import Session
    from botocore.client import BaseClient
    from botocore.session import Session as BotocoreSession

    if isinstance(client_or_session, Session):
        return client_or_session.events
    if isinstance(client_or_session, BotocoreSession):
        return client_or_session.get_component("event_emitter")
    if isinstance(client_or_session, BaseClient) and client_or_session.meta.service_model.service_name == "rekognition":
        return client_or_session.meta.events
    raise InvalidParameterError.of(
        "clients_or_sessions", client_or_session, "boto3 clients of Rekognition, or sessions of boto3 or botocore"
    )


def _boto3() -> Any:
    try:
        import boto3
    except ImportError as error:
        raise MissingExtraError.of("facesearch.rekognition.client", "boto3", "aws") from error
    return boto3
