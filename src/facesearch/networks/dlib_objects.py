"""Load dlib objects from bytes, within the process that uses them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from facesearch.common.forks import generation
from facesearch.errors import WeightsError

__all__ = ["as_path", "check_pool"]


def check_pool() -> None:
    """Raise a `WeightsError` where running one of dlib's networks would hang.

    They share one pool of threads, made by the first run in a process. A forked child inherits the pool without its threads.
    """
    if _POOL.setdefault("generation", generation()) != generation():
        raise WeightsError(
            "engine='dlib' can't run in a process forked from one that has run it, since dlib's threads are gone: "
            "fork before the first search, start the process with 'spawn' or 'forkserver', or use engine='onnx'"
        )


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
