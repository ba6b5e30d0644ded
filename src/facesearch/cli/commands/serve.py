"""``facesearch serve``: an HTTP server for clients of Amazon Rekognition."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command, is_debugging
from facesearch.cli.shell.options import as_json as json_option, db, index_at
from facesearch.cli.shell.output import print_answer, print_note, printable

if TYPE_CHECKING:
    from facesearch.rekognition.s3_objects import S3Client

__all__ = ["serve"]


@command(
    short_help="serve clients of Amazon Rekognition over HTTP",
    examples=(
        "facesearch serve --db people.db",
        "facesearch serve --db people.db --objects BUCKETS --port 8090",
        "facesearch serve --db people.db --s3-endpoint http://127.0.0.1:9000   # MinIO, moto",
        "facesearch serve --db postgresql://app@db.local/people --index milvus://index.local:19530",
        "facesearch serve --db people.db --host 0.0.0.0 --key-file keys.txt",
        "facesearch serve --db people.db --host 0.0.0.0 --allow-remote --allowed-host photos.local",
        "facesearch serve --db test.db --throttle-every 10 --eventual 2   # to test retries and waiting",
    ),
    exits={Exit.DONE: "stopped by Ctrl-C or SIGTERM, after the running requests"},
)
@db
@index_at
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    metavar="N",
    help="Port to listen on; 0 selects a free port.",
)
@click.option(
    "--objects",
    type=click.Path(file_okay=False, path_type=Path),
    help="Source of S3Objects: a folder with a sub-folder for each bucket.",
)
@click.option(
    "--s3-endpoint",
    metavar="URL",
    help="Source of S3Objects instead: an S3 service, with the credentials that boto3 finds.",
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Require signed requests. Each line: an access key, a blank, its secret.",
)
@click.option("--allow-remote", is_flag=True, help="Accept other machines without keys.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Host name of the server, beside IP addresses and localhost; may be repeated.",
)
@click.option(
    "--forwarded-allow-ips",
    metavar="ADDRESSES",
    help="Addresses and networks of trusted proxies, with commas: the log takes the client's address from X-Forwarded-For.",
)
@click.option(
    "--client-timeout",
    type=click.FloatRange(0.01, 3600),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Close connections that are idle or slow for this time.",
)
@click.option(
    "--throttle-every", type=click.IntRange(1), metavar="N", help="Fail every Nth request with ThrottlingException."
)
@click.option(
    "--eventual",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Time for which a user reports UPDATING after a change, 0-3600.",
)
@json_option
def serve(
    *,
    db: Path | str,
    index: str | None,
    objects: Path | None,
    s3_endpoint: str | None,
    key_file: Path | None,
    forwarded_allow_ips: str | None,
    throttle_every: int | None,
    eventual: float,
    as_json: bool,
    **listening: Any,
) -> Exit:
    """Serve clients of Amazon Rekognition, such as boto3, from the collections of a file, until Ctrl-C.

    The file is created if missing. By default only this machine can connect; another --host requires --key-file or --allow-remote.
    Without keys, requests are refused unless their host name is an IP address, localhost or an --allowed-host. The server has no
    TLS; use a proxy in front. Standard error gets a line of JSON for each request, without anything about photos and people; GET
    /health responds while the server works. --debug also logs tracebacks, which may contain paths and user ids. --json prints the address as JSON.
    """
    from facesearch.rekognition.http.server import serve as serve_until_signal
    from facesearch.rekognition.http.sigv4 import read_keys
    from facesearch.rekognition.service import Rekognition

    def ready(url: str) -> None:
        lines = (f"listening on {url}; Ctrl-C ends it", f"export AWS_ENDPOINT_URL_REKOGNITION={url}")
        print_answer({"url": url, "version": fs.__version__}, *lines, as_json=as_json)

    if objects is not None and s3_endpoint is not None:
        raise click.UsageError("--objects and --s3-endpoint can't be given both.")
    if objects is not None and not objects.is_dir():
        raise fs.InvalidParameterError.of("--objects", str(objects), "an existing folder")
    proxies = [each.strip() for each in (forwarded_allow_ips or "").split(",") if each.strip()]
    with contextlib.suppress(fs.CollectionNotFoundError):  # a new file is created by the first request that needs it
        fs.collections(db)  # what can't be served is an error now, and not of every request
    with _logged(logging.DEBUG if is_debugging() else logging.INFO):
        keys = None if key_file is None else read_keys(key_file)
        source = objects if s3_endpoint is None else _s3(s3_endpoint)
        with Rekognition(db, index=index, objects=source, throttle_every=throttle_every, eventual=eventual) as service:
            serve_until_signal(service, keys=keys, forwarded_allow_ips=proxies, ready=ready, **listening)
    print_note("ended")
    return Exit.DONE


def _s3(endpoint: str) -> "S3Client":
    from facesearch.rekognition.s3_objects import S3Client

    try:
        import boto3
    except ImportError as error:
        raise fs.MissingExtraError.of("--s3-endpoint", "boto3", "aws") from error
    try:
        return S3Client(boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1"))
    except ValueError as error:
        raise fs.InvalidParameterError.of("--s3-endpoint", endpoint, "a URL such as http://127.0.0.1:9000") from error


class _OneLine(logging.Formatter):
    """Formatter that writes each message as one printable line, with a traceback below; lines of JSON are unchanged."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # name in logging
        """Return the message as one printable line."""
        return printable(super().formatMessage(record))


@contextlib.contextmanager
def _logged(level: int = logging.INFO) -> Iterator[None]:
    """Write the log to standard error within a ``with`` block."""
    logger = logging.getLogger("facesearch")
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
