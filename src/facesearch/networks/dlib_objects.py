"""Load dlib's networks from bytes, within the process that uses them."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from facesearch.common.forks import generation
from facesearch.common.once import Once
from facesearch.errors import WeightsError
from facesearch.networks.weights import WeightFile, read_weights

__all__ = ["DlibNetwork", "as_path"]


class DlibNetwork:
    """One of dlib's networks, loaded on first use from a file by a class of dlib.

    It keeps its activations in itself: one caller runs it at a time. All networks share one pool of threads, made by the first run in
    a process. A forked child inherits the pool without its threads, so that a run there would never end.
    """

    def __init__(self, file: WeightFile, kind: str) -> None:
        self._file, self._kind = file, kind
        self._loaded: Once[tuple[threading.Lock, Any]] = Once()

    @contextlib.contextmanager
    def alone(self) -> Iterator[Any]:
        """Yield the network to one caller at a time; raise a `WeightsError` in a process forked from one that has run a network."""
        lock, network = self._loaded(self._load)
        if _POOL.setdefault("generation", generation()) != generation():
            raise WeightsError(
                "engine='dlib' can't run in a process forked from one that has run it, since dlib's threads are gone: "
                "fork before the first search, start the process with 'spawn' or 'forkserver', or use engine='onnx'"
            )
        with lock:
            yield network

    def _load(self) -> tuple[threading.Lock, Any]:
        import dlib

        with as_path(read_weights(self._file)) as path:
            return threading.Lock(), getattr(dlib, self._kind)(path)


_POOL: Final[dict[str, int]] = {}


@contextlib.contextmanager
def as_path(content: bytes) -> Iterator[str]:
    """Yield a path under which dlib finds *content*, since its networks can be read from files only.

    On Linux the file has no name that others could open; elsewhere it lies in a folder that only this user may enter.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with open(os.memfd_create("facesearch"), "wb") as file:  # noqa: PTH123  # it has no path
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.TemporaryDirectory(prefix="facesearch") as folder:
            path = Path(folder, "network.dat")
            path.write_bytes(content)
            yield str(path)
