"""Stock boto3 clients with a local service: botocore does everything but the response, and no network is used."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.session
import moto
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from facesearch.errors import ClosedError, InvalidParameterError, MissingExtraError
from facesearch.rekognition.boto3_client import answering, client
from facesearch.rekognition.exceptions import RekognitionError, ResourceNotFoundException, ThrottlingException

HERE = sys.modules["facesearch.rekognition.boto3_client"]

MOMENT = datetime(2018, 8, 4, 22, 36, 55, 250000, tzinfo=UTC)
FAKE_KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}


class StandIn:
    """Stand-in service with a few operations."""

    def __init__(self, _: Any = None, **options: Any) -> None:
        self.options = options
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.failures: list[RekognitionError] = []
        self.closed = False

    def call(self, operation: str, parameters: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.asked.append((operation, parameters))
        if self.failures:
            raise self.failures.pop(0)
        if operation == "DescribeCollection":
            return {"FaceCount": 3, "CreationTimestamp": MOMENT}
        if operation == "ListCollections":
            start = int(parameters.get("NextToken", "0"))
            more = {"NextToken": str(start + 2)} if start < 4 else {}
            return {"CollectionIds": [str(start), str(start + 1)], **more}
        return {}

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def service() -> Any:
    return StandIn()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every connection fail."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was about to be made")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


def reaches_the_network(rekognition: Any) -> bool:
    """Check that no listener responds, and stop the request before it is sent."""

    class Reached(Exception):  # noqa: N818  # no error
        pass

    def stop(**_: Any) -> None:
        raise Reached

    rekognition.meta.events.register_last("before-send", stop)
    with pytest.raises(Reached):
        rekognition.describe_collection(CollectionId="c")
    rekognition.meta.events.unregister("before-send", stop)
    return True


# ---------------------------------------------------------------- a client of our own


def test_requests_and_answers_go_through(service: Any) -> None:
    rekognition = client(service=service)
    rekognition.search_users_by_image(CollectionId="c", Image={"Bytes": b"\xff\xd8"}, UserMatchThreshold=70.5)
    answer = rekognition.describe_collection(CollectionId="c")

    assert service.asked == [
        (
            "SearchUsersByImage",
            {"CollectionId": "c", "Image": {"Bytes": b"\xff\xd8"}, "UserMatchThreshold": 70.5},
        ),
        ("DescribeCollection", {"CollectionId": "c"}),
    ]
    assert answer["CreationTimestamp"] == MOMENT
    assert answer["FaceCount"] == 3
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["ResponseMetadata"]["RequestId"] == answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert answer["ResponseMetadata"]["RetryAttempts"] == 0
    assert rekognition.create_user(CollectionId="c", UserId="u").keys() == {"ResponseMetadata"}
    assert len(service.asked[-1][1]["ClientRequestToken"]) == 36  # botocore's own


def test_errors_are_botocores_by_name(service: Any) -> None:
    rekognition = client(service=service)
    service.failures = [ResourceNotFoundException("The collection id: c does not exist")]
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException) as caught:
        rekognition.list_users(CollectionId="c")
    assert caught.value.response["Error"] == {
        "Code": "ResourceNotFoundException",
        "Message": "The collection id: c does not exist",
    }
    assert str(caught.value).startswith(
        "An error occurred (ResourceNotFoundException) when calling the ListUsers operation"
    )
    with pytest.raises(ParamValidationError):
        rekognition.list_users()  # type: ignore[call-arg]  # the purpose of the test
    assert len(service.asked) == 1


def test_paginators_go_on(service: Any) -> None:
    pages = client(service=service).get_paginator("list_collections").paginate()

    assert [each for page in pages for each in page["CollectionIds"]] == ["0", "1", "2", "3", "4", "5"]


def test_what_throttles_is_tried_again(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    service.failures = [ThrottlingException(), ThrottlingException()]
    answer = client(service=service).describe_collection(CollectionId="c")

    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert len(service.asked) == 3
    service.failures = [ThrottlingException() for _ in range(9)]
    with pytest.raises(ClientError, match="Throttling"):
        client(service=service).describe_collection(CollectionId="c")


def test_nothing_that_is_configured_for_aws_has_a_say(
    service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    garbage = tmp_path / "config"
    garbage.write_text("[profile\n")
    settings = {
        "AWS_PROFILE": "not-there",
        "AWS_DEFAULT_PROFILE": "not-there",
        "AWS_CONFIG_FILE": str(garbage),
        "AWS_SHARED_CREDENTIALS_FILE": str(garbage),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_REKOGNITION": "no url at all",
        "AWS_REGION": "nowhere",
        "AWS_DEFAULT_REGION": "no where",
        "AWS_CA_BUNDLE": str(tmp_path / "missing.pem"),
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_ACCESS_KEY_ID": "half a key",
        "AWS_EC2_METADATA_DISABLED": "false",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HOME": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    rekognition = client(service=service, region_name="eu-central-1")

    assert rekognition.describe_collection(CollectionId="c")["FaceCount"] == 3
    assert rekognition.meta.region_name == "eu-central-1"


def test_closing_the_client_closes_a_service_of_its_own(monkeypatch: pytest.MonkeyPatch, service: Any) -> None:
    made: list[Any] = []

    def make(**options: Any) -> Any:
        made.append(StandIn(**options))
        return made[-1]

    monkeypatch.setattr(HERE, "Rekognition", make)
    own = client("people.db", region_name="eu-west-1", eventual=2)
    assert own.describe_collection(CollectionId="c")["FaceCount"] == 3
    assert made[0].options == {"data": "people.db", "region": "eu-west-1", "eventual": 2}
    assert not made[0].closed
    own.close()
    assert made[0].closed

    client(service=service).close()
    assert not service.closed


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_a_closed_client_says_so_once(
    in_a_file: bool, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    own = client(tmp_path / "people.db" if in_a_file else None)
    own.create_collection(CollectionId="staff")
    sent: list[Any] = []
    own.meta.events.register_first("before-send.rekognition", lambda request, **_: sent.append(request))
    own.close()
    with pytest.raises(ClosedError, match="the client that it serves, was closed"):
        own.list_collections()
    assert len(sent) == 1
    assert not caplog.records


def test_a_service_and_what_one_is_made_with_are_too_much(service: Any) -> None:
    for given in ({"data": "people.db"}, {"eventual": 1}):
        with pytest.raises(InvalidParameterError, match=next(iter(given))):
            client(service=service, **given)
    with pytest.raises(InvalidParameterError, match="eventual"), answering(service=service, eventual=1):
        pass


def test_clients_do_not_share_what_answers() -> None:
    one: Any = StandIn()
    two: Any = StandIn()
    first, _ = client(service=one), client(service=two)
    first.describe_collection(CollectionId="c")

    assert (len(one.asked), len(two.asked)) == (1, 0)


def test_moto_answers_the_rest(service: Any) -> None:
    with moto.mock_aws(), answering(service=service):
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="photos")
        for rekognition in (client(service=service), boto3.client("rekognition", region_name="us-east-1")):
            assert rekognition.describe_collection(CollectionId="c")["FaceCount"] == 3
        assert len(boto3.client("s3", region_name="us-east-1").list_buckets()["Buckets"]) == 1
    assert len(service.asked) == 2


# ---------------------------------------------------------------- clients of others


def sessions() -> list[Callable[[], Any]]:
    return [lambda: boto3.Session(region_name="us-east-1"), botocore.session.get_session]


def made_by(session: Any, **options: Any) -> Any:
    make = session.client if isinstance(session, boto3.Session) else session.create_client
    return make("rekognition", region_name="us-east-1", **options)


def test_an_existing_client_is_answered_for_a_while(service: Any) -> None:
    theirs = boto3.client("rekognition", region_name="us-east-1", **FAKE_KEYS)
    with answering(theirs, service=service) as given:
        assert given == service
        assert theirs.describe_collection(CollectionId="c")["FaceCount"] == 3
        assert reaches_the_network(boto3.client("rekognition", region_name="us-east-1", **FAKE_KEYS))
    assert reaches_the_network(theirs)
    assert len(service.asked) == 1
    assert not service.closed


def test_credentials_are_not_needed(service: Any) -> None:
    theirs = boto3.Session().client("rekognition", region_name="us-east-1")
    with answering(theirs, service=service):
        assert theirs.describe_collection(CollectionId="c")["FaceCount"] == 3
    with pytest.raises(Exception, match="Unable to locate credentials"):
        theirs.describe_collection(CollectionId="c")


@pytest.mark.parametrize("make", sessions())
def test_clients_of_a_session_are_answered_for_a_while(service: Any, make: Callable[[], Any]) -> None:
    session = make()
    earlier = made_by(session, **FAKE_KEYS)
    with answering(session, service=service):
        within = made_by(session, **FAKE_KEYS)
        assert within.describe_collection(CollectionId="c")["FaceCount"] == 3
        assert reaches_the_network(earlier)
    assert reaches_the_network(within)
    assert reaches_the_network(made_by(session, **FAKE_KEYS))
    assert len(service.asked) == 1


@pytest.mark.parametrize("there", [True, False])
def test_by_default_it_is_boto3s_own_session(service: Any, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    session = boto3.Session() if there else None
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    with answering(service=service):
        theirs = boto3.client("rekognition", region_name="us-east-1", **FAKE_KEYS)
        assert theirs.describe_collection(CollectionId="c")["FaceCount"] == 3
    assert boto3.DEFAULT_SESSION is session
    assert reaches_the_network(boto3.client("rekognition", region_name="us-east-1", **FAKE_KEYS))


def test_the_innermost_answers_and_no_other(service: Any) -> None:
    inner: Any = StandIn()
    ours = client(service=service)
    with answering(ours, service=inner):
        ours.describe_collection(CollectionId="c")
        assert (len(service.asked), len(inner.asked)) == (0, 1)
    ours.describe_collection(CollectionId="c")
    assert (len(service.asked), len(inner.asked)) == (1, 1)


def test_all_is_as_before_after_an_error_too(service: Any) -> None:
    theirs = boto3.client("rekognition", region_name="us-east-1", **FAKE_KEYS)
    with pytest.raises(ZeroDivisionError), answering(theirs, service=service):
        raise ZeroDivisionError
    assert reaches_the_network(theirs)


def test_a_service_of_its_own_is_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HERE, "Rekognition", StandIn)
    service: Any
    with answering(boto3.Session(), eventual=1) as service:
        assert service.options == {"eventual": 1}
        assert not service.closed
    assert service.closed


@pytest.mark.parametrize("wrong", [None, "rekognition", 1, boto3])
def test_what_is_neither_client_nor_session_is_refused(service: Any, wrong: Any) -> None:
    with pytest.raises(InvalidParameterError, match="clients_or_sessions"), answering(wrong, service=service):
        pass


def test_a_client_of_another_service_is_refused(service: Any) -> None:
    s3 = boto3.client("s3", region_name="us-east-1", **FAKE_KEYS, config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(InvalidParameterError, match="clients_or_sessions"), answering(s3, service=service):
        pass


def test_without_boto3_it_says_what_to_install(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"facesearch\[aws\]"):
        client(service=service)
    with pytest.raises(MissingExtraError, match=r"facesearch\[aws\]"), answering(service=service):
        pass


# ---------------------------------------------------------------- fixtures


def run(*arguments: str, cwd: Path) -> Iterator[str]:
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, *arguments],
        capture_output=True,
        check=False,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return iter(done.stdout.splitlines())


def test_the_plugin_loads_nothing_that_it_may_not_need(tmp_path: Path) -> None:
    code = "import sys, pytest; before = set(sys.modules); import facesearch.rekognition.pytest_plugin; print(*sorted(set(sys.modules) - before))"
    loaded = " ".join(run("-c", code, cwd=tmp_path)).split()

    assert {name.partition(".")[0] for name in loaded} == {"facesearch", "lazy_loader"}
    assert not {"facesearch.rekognition.service", "facesearch.rekognition.boto3_client"} & set(loaded)


def test_the_fixtures_work_where_pytest_runs(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "def test_one(rekognition, rekognition_service):\n"
        "    rekognition.create_collection(CollectionId='c')\n"
        "    assert rekognition_service.list_collections()['CollectionIds'] == ['c']\n"
        "def test_two(rekognition):\n"
        "    assert rekognition.list_collections()['CollectionIds'] == []\n"
    )
    options = ("-p", "facesearch.rekognition.pytest_plugin", "-q", "-p", "no:cacheprovider")
    *_, last = run("-m", "pytest", *options, "test_theirs.py", cwd=tmp_path)

    assert last.startswith("2 passed")
