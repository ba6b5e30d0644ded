"""Object stores: a folder that no key leads out of, and S3, with AWS's errors."""

import contextlib
import fcntl
import io
import itertools
import os
import socket
import stat
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import HealthCheck, given, settings, strategies as st
from moto import mock_aws

from facesearch.errors import InvalidParameterError
from facesearch.images.reading import MAX_FILE_BYTES
from facesearch.rekognition import s3_objects as objects
from facesearch.rekognition.exceptions import (
    ImageTooLargeException,
    InternalServerError,
    InvalidS3ObjectException,
    ProvisionedThroughputExceededException,
    RekognitionError,
)
from facesearch.rekognition.s3_objects import ObjectStore, S3Client, S3Folder

UNAVAILABLE = "Unable to get object metadata from S3. Check object key, region and/or access permissions."

# ---------------------------------------------------------------- a folder


def path_of(descriptor: int) -> Path:
    """Return the kernel's path of an open file."""
    if sys.platform == "darwin":
        return Path(os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
    return Path(f"/proc/self/fd/{descriptor}").readlink()


@contextmanager
def opened() -> Iterator[list[Path]]:
    """Record the files that ``os.open`` opens in the block."""
    files: list[Path] = []
    really = os.open

    def watched(*arguments: Any, **options: Any) -> int:
        descriptor = really(*arguments, **options)
        files.append(path_of(descriptor))
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", watched)
        yield files


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A folder with two buckets beside a secret, with links to all kinds of targets."""
    with tempfile.TemporaryDirectory() as name:
        outside = Path(name).resolve()
        root = outside / "root"
        for folder in ("photos/team", "more", "..."):
            root.joinpath(folder).mkdir(parents=True)
        for path in ("photos/ada.jpg", "photos/team/bob.jpg", "photos/é b+c.jpg", "more/ada.jpg", "loose.jpg"):
            root.joinpath(path).write_bytes(f"inside {path}".encode())
        outside.joinpath("secret").write_bytes(b"outside")
        outside.joinpath("secrets").mkdir()
        outside.joinpath("secrets", "secret").write_bytes(b"outside")
        for link, target in {
            "photos/near": root / "more" / "ada.jpg",
            "photos/out": outside / "secret",
            "photos/above": outside / "secrets",
            "photos/up": Path("../.."),
            "photos/loop": Path("loop"),
            "photos/gone": outside / "nothing",
            "bucket": outside / "secrets",
        }.items():
            root.joinpath(link).symlink_to(target)
        os.mkfifo(root / "photos" / "pipe")
        yield root


PARTS = st.sampled_from(
    [
        *("", ".", "..", "...", "photos", "more", "ada.jpg", "team", "bob.jpg", "out", "above", "secret", "secrets"),
        *("root", "near", "up", "loop", "gone", "pipe", "C:", "C:secret", "NUL", "con.jpg", "\\", "..\\..\\secret"),
        *("\0", "~", "é b+c.jpg", "%2e%2e", "x" * 300, "\ud800", "bucket", "/etc/passwd", "//", "secret."),
    ]
)
KEYS = st.lists(PARTS, min_size=1, max_size=6).map("/".join) | st.text(st.characters(), max_size=30)


@pytest.fixture(params=[True, False], ids=["by parts", "as on Windows"])
def by_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "HAS_DIR_FD", request.param)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is the same for all examples
@pytest.mark.usefixtures("by_parts")
@given(KEYS, KEYS)
def test_nothing_outside_the_folder_is_opened(root: Path, bucket: str, name: str) -> None:
    store = S3Folder(root)
    with opened() as files:
        try:
            data = store.read(bucket, name, None)
        except InvalidS3ObjectException:
            data = None

    assert all(file.is_relative_to(root) for file in files)
    if data is not None:
        assert data.startswith(b"inside ")
        assert data in {b"inside more/ada.jpg", f"inside {bucket}/{name}".encode()}


def test_the_test_sees_what_is_opened(root: Path) -> None:
    with opened() as files:
        S3Folder(root).read("photos", "near", None)
        os.close(os.open(root / "photos" / "out", os.O_RDONLY))

    assert files == [root, root / "more", root / "more" / "ada.jpg", root.parent / "secret"]


def test_a_folder_swapped_for_a_link_between_check_and_opening_leads_nowhere(tmp_path: Path) -> None:
    """During reads, a thread repeatedly swaps a folder of the key with a link to a folder outside."""
    root = tmp_path / "root"
    for folder, content in ((root / "photos" / "team", b"inside"), (tmp_path / "secrets", b"outside")):
        folder.mkdir(parents=True)
        folder.joinpath("ada.jpg").write_bytes(content)
    team, aside, link = root / "photos" / "team", root / "aside", root / "link"
    link.symlink_to(tmp_path / "secrets")
    store, ended, swaps = S3Folder(root), threading.Event(), itertools.count()

    def swap() -> None:
        while not ended.is_set():
            team.rename(aside)
            link.rename(team)
            team.rename(link)
            aside.rename(team)
            next(swaps)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: Counter[bytes] = Counter()
    try:
        for _ in range(20_000):
            try:
                seen[store.read("photos", "team/ada.jpg", None)] += 1
            except InvalidS3ObjectException:
                seen[b"nothing"] += 1
    finally:
        ended.set()
        swapping.join()

    assert next(swaps) > 100
    assert seen[b"inside"] > 0
    assert seen[b"nothing"] > 0
    assert not seen[b"outside"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes and devices in folders")
@pytest.mark.usefixtures("by_parts")
def test_pipes_sockets_and_devices_are_neither_read_nor_waited_for(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    os.mkfifo(photos / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(photos / "socket"))
    names = ["pipe", "socket"]
    with contextlib.suppress(PermissionError):  # only root may
        os.mknod(photos / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        names.append("zero")
    for name in names:
        with pytest.raises(InvalidS3ObjectException):
            S3Folder(tmp_path).read("photos", name, None)


@pytest.mark.usefixtures("by_parts")
def test_no_descriptor_is_left_open(root: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    for name in ("ada.jpg", "team/bob.jpg", "team", "pipe", "out", "gone", "x", "ada.jpg/x"):
        with contextlib.suppress(InvalidS3ObjectException):
            S3Folder(root).read("photos", name, None)

    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("name", ["ada.jpg", "team/bob.jpg", "é b+c.jpg", "near"])
def test_a_file_is_an_object(root: Path, name: str) -> None:
    store: ObjectStore = S3Folder(str(root))

    assert store.read("photos", name, None) == root.joinpath("photos", name).read_bytes()


REFUSED = [
    "",
    ".",
    "..",
    "team",
    "team/",
    "/ada.jpg",
    "team//bob.jpg",
    "team/../ada.jpg",
    "./ada.jpg",
    "out",
    "up",
    "gone",
]
REFUSED += ["above/secret", "up/secret", "loop", "pipe", "ada.jpg\0", "\\ada.jpg", "C:ada.jpg", "C:/ada.jpg", "ADA"]
REFUSED += ["nul", "CON", "Com1.txt", "lpt9 .x", "aux:", "ada.jpg.", "ada.jpg ", "a\nb", "ada.jpg/x", "x" * 256]
REFUSED += ["x/" * 512 + "x", "é" * 513, "\udcff"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_of_the_folder_is_not_there(root: Path, name: str) -> None:
    with pytest.raises(InvalidS3ObjectException) as caught:
        S3Folder(root).read("photos", name, None)

    assert caught.value.message == UNAVAILABLE


@pytest.mark.parametrize("name", ["nul", "C:ada.jpg", "a\\b", "ada.", "a\nb"])
def test_what_another_system_would_misread_is_not_there_even_if_it_is(tmp_path: Path, name: str) -> None:
    tmp_path.joinpath("photos").mkdir()
    tmp_path.joinpath("photos", name).write_bytes(b"x")
    with pytest.raises(InvalidS3ObjectException):
        S3Folder(tmp_path).read("photos", name, None)


@pytest.mark.parametrize("bucket", ["", ".", "..", "...", "/", "photos/team", "bucket", "nobody", "loose.jpg", "C:"])
def test_so_is_what_is_no_bucket(root: Path, bucket: str) -> None:
    for name in ("secret", "ada.jpg", "bob.jpg", "loose.jpg"):
        with pytest.raises(InvalidS3ObjectException):
            S3Folder(root).read(bucket, name, None)


def test_a_folder_has_no_versions(root: Path) -> None:
    with pytest.raises(InvalidS3ObjectException, match="Unable to get object metadata"):
        S3Folder(root).read("photos", "ada.jpg", "1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_there(tmp_path: Path) -> None:
    tmp_path.joinpath("photos").mkdir()
    tmp_path.joinpath("photos", "ada.jpg").touch(mode=0)
    with pytest.raises(InvalidS3ObjectException):
        S3Folder(tmp_path).read("photos", "ada.jpg", None)


def test_a_file_has_fifteen_megabytes_at_most(tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "large.jpg"
    photo.parent.mkdir()
    with photo.open("wb") as file:
        file.truncate(MAX_FILE_BYTES)
    assert len(S3Folder(tmp_path).read("photos", "large.jpg", None)) == MAX_FILE_BYTES
    os.truncate(photo, 1 << 40)  # a sparse terabyte: reading it would fail
    with pytest.raises(ImageTooLargeException, match="Image size is too large"):
        S3Folder(tmp_path).read("photos", "large.jpg", None)


@pytest.mark.parametrize("root", ["/nothing/here", __file__, "", None, "\0"])
def test_a_folder_must_be_there(root: Any) -> None:
    if root == "":
        assert S3Folder(root).root == Path.cwd()
        return
    with pytest.raises(InvalidParameterError, match="root: expected an existing folder"):
        S3Folder(root)


# ---------------------------------------------------------------- S3


def client() -> Any:
    return boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106


@pytest.fixture
def s3() -> Iterator[Any]:
    """moto's S3 with a versioned bucket."""
    with mock_aws():
        made = client()
        made.create_bucket(Bucket="photos")
        made.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
        yield made


def test_s3_gives_the_version_asked_for(s3: Any) -> None:
    first = s3.put_object(Bucket="photos", Key="team/é b+c.jpg", Body=b"first")["VersionId"]
    s3.put_object(Bucket="photos", Key="team/é b+c.jpg", Body=b"second")
    store: ObjectStore = S3Client(s3)

    assert store.read("photos", "team/é b+c.jpg", None) == b"second"
    assert store.read("photos", "team/é b+c.jpg", first) == b"first"
    s3.delete_object(Bucket="photos", Key="team/é b+c.jpg")
    with pytest.raises(InvalidS3ObjectException):
        store.read("photos", "team/é b+c.jpg", None)
    assert store.read("photos", "team/é b+c.jpg", first) == b"first"


@pytest.mark.parametrize(
    ("bucket", "name", "version"),
    [
        ("photos", "nobody.jpg", None),
        ("photos", "ada.jpg", "00000000-0000-0000-0000-000000000000"),
        ("photos", "ada.jpg", "?"),
        ("nothing", "ada.jpg", None),
        ("no bucket!", "ada.jpg", None),
        ("photos", "", None),
    ],
)
def test_what_s3_has_not_is_awss_error(s3: Any, bucket: str, name: str, version: str | None) -> None:
    s3.put_object(Bucket="photos", Key="ada.jpg", Body=b"x")
    with pytest.raises(InvalidS3ObjectException) as caught:
        S3Client(s3).read(bucket, name, version)

    assert caught.value.message == UNAVAILABLE


def test_s3_gives_fifteen_megabytes_at_most(s3: Any) -> None:
    s3.put_object(Bucket="photos", Key="large.jpg", Body=bytes(MAX_FILE_BYTES))
    s3.put_object(Bucket="photos", Key="larger.jpg", Body=bytes(MAX_FILE_BYTES + 1))

    assert S3Client(s3).read("photos", "large.jpg", None) == bytes(MAX_FILE_BYTES)
    with pytest.raises(ImageTooLargeException):
        S3Client(s3).read("photos", "larger.jpg", None)


class Answering:
    """A client that returns one body with a declared length that may be wrong."""

    def __init__(self, body: bytes, length: int) -> None:
        self.raw = io.BytesIO(body)
        self.length = length

    def get_object(self, **_: Any) -> Any:
        return {"ContentLength": self.length, "Body": StreamingBody(self.raw, self.length)}


def test_what_is_too_large_is_not_read_but_closed() -> None:
    answering = Answering(b"x" * 10, MAX_FILE_BYTES + 1)
    with pytest.raises(ImageTooLargeException):
        S3Client(answering).read("photos", "large.jpg", None)

    assert answering.raw.closed


def test_a_length_that_is_a_lie_is_not_believed() -> None:
    with pytest.raises(ImageTooLargeException):
        S3Client(Answering(bytes(MAX_FILE_BYTES + 1), 5)).read("photos", "large.jpg", None)
    with pytest.raises(InternalServerError):  # an incomplete body
        S3Client(Answering(b"123", 5)).read("photos", "large.jpg", None)


ERRORS = [
    *[(code, 404, InvalidS3ObjectException) for code in ("NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404")],
    *[(code, 403, InvalidS3ObjectException) for code in ("AccessDenied", "InvalidAccessKeyId", "403")],
    ("InvalidArgument", 400, InvalidS3ObjectException),  # of a version
    ("PermanentRedirect", 301, InvalidS3ObjectException),  # another region
    ("MethodNotAllowed", 405, InvalidS3ObjectException),  # the version is a delete marker
    ("SlowDown", 503, ProvisionedThroughputExceededException),
    ("ServiceUnavailable", 503, ProvisionedThroughputExceededException),
    ("RequestLimitExceeded", 400, ProvisionedThroughputExceededException),
    ("InternalError", 500, InternalServerError),
    ("Whatever", 500, InternalServerError),
]


@pytest.mark.parametrize(("code", "status", "fault"), ERRORS)
def test_what_s3_says_is_told_in_rekognitions_words(code: str, status: int, fault: type[RekognitionError]) -> None:
    stubbed = client()
    with Stubber(stubbed) as stub:
        stub.add_client_error("get_object", code, "their words", http_status_code=status)
        with pytest.raises(fault) as caught:
            S3Client(stubbed).read("photos", "ada.jpg", None)

    assert "their words" not in caught.value.message
    if fault is ProvisionedThroughputExceededException:
        assert caught.value.message == "S3 download limit exceeded."


@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url="http://x"), NoCredentialsError(), OSError("x")]
)
def test_an_s3_out_of_reach_is_the_services_fault(error: Exception) -> None:
    class Unreachable:
        def get_object(self, **_: Any) -> Any:
            raise error

    with pytest.raises(InternalServerError) as caught:
        S3Client(Unreachable()).read("photos", "ada.jpg", None)

    assert caught.value.__cause__ is error
    assert caught.value.message == "Internal server error"
