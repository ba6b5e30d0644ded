"""Stock boto3 clients that are answered in this process.

botocore asks, before it sends a request, whether anybody answers it instead (its event ``before-send``): that is us. All else
is botocore's own, checks of parameters, paginators, exceptions, retries and ``ResponseMetadata``.
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

# What a request that was answered is addressed to from then on. Others may listen too, and botocore asks them all: moto, say,
# would try to answer what is addressed to AWS. ".invalid" is nobody's, by RFC 2606.
_ANSWERED: Final = "http://answered.facesearch.invalid/"
_CLAIM: Final = "X-Facesearch-Claim"


def client(
    data: str | os.PathLike[str] | None = None,
    *,
    region_name: str = "us-east-1",
    service: Rekognition | None = None,
    **options: Any,
) -> "RekognitionClient":
    """Give a stock boto3 client of Amazon Rekognition that is answered in this process.

    No credentials are needed and no socket is opened. Nothing that is configured for AWS, in the environment or in files, has
    a say but what concerns retries (``AWS_MAX_ATTEMPTS``, ``AWS_RETRY_MODE``).

    Parameters
    ----------
    data
        The file that the collections are in; by default they are in memory.
    region_name
        The client's region, which is in the collections' ARNs too.
    service
        What answers, if it is there already; it stays open when the client is closed. By default one of the client's own,
        which ``client.close()`` closes.
    options
        Others of `facesearch.rekognition.Rekognition`, such as ``objects``.

    Returns
    -------
    RekognitionClient
        As ``boto3.client("rekognition")`` returns it. Its type comes from the package mypy-boto3-rekognition; without that package
        type checkers see ``Any``.

    Raises
    ------
    MissingExtraError
        If boto3 is not installed.
    InvalidParameterError
        If both *service* and what one is made with are given.

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

    # A session of its own, whose profile and files are none: (file key, environment variable, default, conversion).
    files = {"config_file": (None, None, os.devnull, None), "credentials_file": (None, None, os.devnull, None)}
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None), **files})
    config = Config(
        signature_version=UNSIGNED,  # so that no credentials are looked for either
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
    _Answerer(answers).listen(made.meta.events)
    return made


@contextlib.contextmanager
def answering(*clients_or_sessions: Any, service: Rekognition | None = None, **options: Any) -> Iterator[Rekognition]:
    """Answer boto3 clients that are made elsewhere, for a while.

    Parameters
    ----------
    clients_or_sessions
        boto3 clients of Rekognition; or sessions, of boto3 or botocore, whose clients made from now on are answered. By
        default boto3's own session, which ``boto3.client`` takes.
    service
        What answers, if it is there already; it stays open. By default one that is closed at the end.
    options
        Those of `facesearch.rekognition.Rekognition`, such as ``data``.

    Yields
    ------
    Rekognition
        What answers. Afterwards all is as before: **a client that is still in use asks AWS again**.

    Raises
    ------
    MissingExtraError
        If boto3 is not installed.
    InvalidParameterError
        If one is neither client of Rekognition nor session, or both *service* and *options* are given.

    Notes
    -----
    These are the user's own clients: profile, region and credentials are still looked up where they always were, though the
    last are not used. The innermost of several answers.

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
        answerer = _Answerer(answers)
        try:
            for emitter in emitters:
                answerer.listen(emitter)
            yield answers
        finally:
            answerer.end()
            if not clients_or_sessions and default is None:
                boto3.DEFAULT_SESSION = None


class _Answerer:
    """Answers the requests of those whose events it listens to."""

    def __init__(self, service: wire.Service) -> None:
        self._service = service
        self._name = uuid.uuid4().hex
        self._emitters: list[Any] = []
        self._listeners = {
            "choose-signer.rekognition": self._unsigned,
            "before-sign.rekognition": self._claim,
            "before-send.rekognition": self._answer,
        }
        # Clients that a session made have copies of its listeners, which can't be taken back.
        self._ended = False

    def listen(self, emitter: Any) -> None:
        """Begin; the last one to listen to an emitter is the one that answers."""
        self._emitters.append(emitter)
        for event, listener in self._listeners.items():
            emitter.register(event, listener)

    def end(self) -> None:
        """Answer nothing any more."""
        self._ended = True
        for emitter in self._emitters:
            for event, listener in self._listeners.items():
                emitter.unregister(event, listener)

    def _unsigned(self, **_: Any) -> Any:
        from botocore import UNSIGNED

        return None if self._ended else UNSIGNED

    def _claim(self, *, request: Any, **_: Any) -> None:
        """Write down who answers: botocore asks all listeners, in their order, and takes the first one's answer."""
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
    """A body that botocore can read: it asks for ``stream``, as urllib3's bodies have it."""

    def stream(self) -> Iterator[bytes]:
        """Give all there is."""
        yield self.read()


def _closing(service: Rekognition) -> Any:
    """Give what adds the service's closing to the class of a client that is being made."""

    class Closing:
        def close(self) -> None:
            """Close the client, and what answers it."""
            super().close()  # type: ignore[misc]  # botocore's client comes after it
            service.close()

    return lambda base_classes, **_: base_classes.insert(0, Closing)


def _service(service: Rekognition | None, **options: Any) -> Rekognition:
    if service is None:
        return Rekognition(**options)
    check_acts_as("service", service, wire.Service)  # type: ignore[type-abstract]  # whatever answers as a Rekognition does
    given = sorted(name for name, value in options.items() if value is not None and name != "region")
    if given:
        raise InvalidParameterError(f"{given[0]}: expected none of a service's options beside a service, got one")
    return service


def _emitter(client_or_session: Any) -> Any:
    """Give where a client's or a session's events are listened to."""
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
