"""A real Milvus server for the tests: one for each process that asks, from the wheel ``milvus``, in memory.

The wheel exists for Linux on x86-64 only; elsewhere these tests are skipped. The server asks for a password, and writes time ticks more
often than usual, for which strong reads wait.
"""

import atexit
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from durable import MEMORY

__all__ = ["MilvusServer", "milvus_server", "needs_milvus", "started"]

needs_milvus = pytest.mark.skipif(
    find_spec("milvus") is None, reason="the wheel milvus, with the server, exists for Linux on x86-64 only"
)

# Garbage is collected at once, and not after hours: see docs/milvus.md, "Erasure".
_SETTINGS: Final = {
    "common.security.authorizationEnabled": "true",
    "proxy.timeTickInterval": 20,
    "dataCoord.compaction.indexBasedCompaction": "false",  # files need no index first
    "dataCoord.gc.interval": 2,
    "dataCoord.gc.dropTolerance": 2,
}
# Files with any deleted row are rewritten, and not only those with a fifth of them.
_COMPACTION: Final = "\n  compaction:\n    single:\n      ratio:\n        threshold: 0.0001\n"
_LOGIN: Final = "root:Milvus"  # Milvus's own
_ETCD: Final = """name: default
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""


@attrs.define
class MilvusServer:
    """A running server."""

    folder: Path  # its files
    port: int
    health: int
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, *, database: str = "", vectors: str = "flat") -> str:
        """The address for ``Collection.open(index=...)``."""
        return f"milvus://{_LOGIN}@127.0.0.1:{self.port}/{database}?vectors={vectors}"

    def client(self, **options: Any) -> Any:
        """Connect as its superuser."""
        from pymilvus import MilvusClient

        return MilvusClient(f"http://127.0.0.1:{self.port}", token=_LOGIN, timeout=30, **options)

    def start(self) -> None:
        """Start it, and wait until it works."""
        environment = {
            **os.environ,
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self.health),
            "MILVUS_RUN_DIR": str(self.folder / "run"),
            "LD_LIBRARY_PATH": str(self.folder / "bin"),
        }
        with (self.folder / "logs" / "output.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own
                [str(self.folder / "bin" / "milvus"), "run", "standalone"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # it takes no lock
            )
        for _ in range(1200):
            assert self.process.poll() is None, (self.folder / "logs" / "output.log").read_text()[-5000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/healthz", timeout=5) as answer:  # our own
                    if b"OK" in answer.read():
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError((self.folder / "logs" / "output.log").read_text()[-5000:])

    def kill(self) -> None:
        """Kill it, as a power failure would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End it for good, and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def milvus_server() -> MilvusServer:
    """The server of this process."""
    return started(_SETTINGS, compaction=_COMPACTION)


def started(options: dict[str, Any], *, compaction: str = "") -> MilvusServer:
    """Start a server; it ends with this process."""
    import milvus

    folder = Path(tempfile.mkdtemp(prefix="milvus", dir=MEMORY))
    settings = milvus.MilvusServerConfig(data_dir=str(folder))
    ports = iter(_free_ports(20))
    for name in settings.configurable_items:
        if name.endswith("_port"):
            settings.update(**{name: next(ports)})
    for name, value in options.items():
        settings.set(name, value)
    settings.resolve()
    # The ports of the etcd inside are fixed otherwise.
    (folder / "configs" / "etcd.yaml").write_text(_ETCD.format(client=next(ports), peer=next(ports)))
    file = folder / "configs" / "milvus.yaml"
    text = file.read_text().replace("\netcd:\n", f"\netcd:\n  config:\n    path: {folder}/configs/etcd.yaml\n", 1)
    file.write_text(text.replace("\n  compaction:\n", compaction, 1) if compaction else text)
    milvus._initialize_data_files(str(folder))
    made = MilvusServer(folder, int(settings.get("proxy_port")), next(ports))
    atexit.register(made.stop)
    made.start()
    return made


def _end_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
