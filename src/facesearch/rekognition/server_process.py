"""Run ``facesearch serve`` in a process of its own for the time of a ``with`` block."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from facesearch.common.validation import check_int
from facesearch.errors import FacesearchError, InvalidParameterError

__all__ = ["serving"]

_END_SECONDS: Final = 60  # the server finishes requests for up to 30
_MOST_QUOTED: Final = 2000  # characters of a server's error


@contextlib.contextmanager
def serving(
    db: str | os.PathLike[str] | None = None,
    *,
    port: int = 0,
    objects: str | os.PathLike[str] | None = None,
    s3_endpoint: str | None = None,
) -> Iterator[str]:
    """Run ``facesearch serve`` in a process of its own, on the loopback address, and yield its URL.

    For tests of programs in any language, beside an emulator of AWS's other services; `facesearch.rekognition.client` and
    `facesearch.rekognition.answering` need no process for Python programs.

    Parameters
    ----------
    db
        File of the collections, or ``postgresql://...``; by default a temporary file that is removed at the end.
    port
        Port to listen on; 0 selects a free port.
    objects
        Folder of S3Objects, with a sub-folder for each bucket.
    s3_endpoint
        URL of an S3 service with the S3Objects, such as moto or MinIO, with the credentials that boto3 finds; needs boto3.

    Yields
    ------
    str
        The URL, for ``AWS_ENDPOINT_URL_REKOGNITION`` or ``endpoint_url``. The server has accepted connections.

    Raises
    ------
    FacesearchError
        If the server does not start; the message has its error.
    InvalidParameterError
        If *port* is no port, or *objects* and *s3_endpoint* are both given.

    Examples
    --------
    >>> import urllib.request
    >>> with serving() as url:
    ...     urllib.request.urlopen(f"{url}/health").read()
    b'{"status":"ok"}'
    """
    check_int("port", port, 0, 65535)
    if objects is not None and s3_endpoint is not None:
        raise InvalidParameterError(
            f"s3_endpoint: expected None beside objects, got {s3_endpoint!r}; choose one of the two"
        )
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="facesearch-serve-", ignore_cleanup_errors=True))
        )
        command = [sys.executable, "-m", "facesearch", "serve", "--json", "--port", str(port)]
        command += ["--db", os.fspath(folder / "people.db" if db is None else db)]
        if objects is not None:
            command += ["--objects", os.fspath(objects)]
        if s3_endpoint is not None:
            command += ["--s3-endpoint", s3_endpoint]
        log = stack.enter_context((folder / "log").open("w+", encoding="utf-8", errors="replace"))
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603  # this program, and the arguments are no shell's
        )
        try:
            yield _url(process, log)
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _url(process: subprocess.Popen[str], log: IO[str]) -> str:
    """Return the URL that a server prints when it listens."""
    assert process.stdout  # noqa: S101  # a pipe was asked for
    printed = ""
    for line in process.stdout:
        printed += line
        with contextlib.suppress(json.JSONDecodeError):
            return str(json.loads(printed)["url"])
    process.wait()
    log.seek(0)
    raise FacesearchError(f"facesearch serve did not start: {log.read()[-_MOST_QUOTED:].strip() or printed}")
