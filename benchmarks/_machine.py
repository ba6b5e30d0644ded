"""Helpers of all measurements: description of the machine, median time of a call, memory of the process, folder of the photographs."""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from facesearch.benchmark import describe_machine

__all__ = ["data_folder", "median", "memory_mb", "print_machine"]

_ROOT = Path(__file__).resolve().parents[1]


def print_machine() -> None:
    """Print the machine card: a figure without it can't be compared with anything."""
    print(f"{describe_machine()}\n")


def median(call: Callable[[int], object], times: int) -> float:
    """Return the median time of a call, milliseconds; it gets the number of the call."""
    seconds = []
    for number in range(times):
        start = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


def memory_mb(*, most: bool = False) -> float:
    """Return the memory held by this process now, or at its *most*, in MiB; Linux only, not a number elsewhere."""
    status, wanted = Path("/proc/self/status"), "VmHWM" if most else "VmRSS"
    if not status.exists():
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith(wanted))


def data_folder(name: str) -> Path:
    """Return a folder of photographs, or end the script, with success, where there is none.

    Parameters
    ----------
    name
        Of a folder within ``FACESEARCH_DATA``, which by default is ``../shared/data`` from the project's root.
    """
    data = Path(os.environ.get("FACESEARCH_DATA") or _ROOT / ".." / "shared" / "data").resolve()
    if not (data / name).is_dir():
        print(f"skipped: no folder {data / name}; set FACESEARCH_DATA to the folder that holds {name}/")
        sys.exit(0)
    return data / name
