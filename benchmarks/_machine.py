"""What every measurement here needs: the machine it ran on, and where the photographs are."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import facesearch as fs

__all__ = ["data_folder", "print_machine"]

_PACKAGES = ("facesearch", "dlib-bin", "numpy", "scikit-image", "Pillow", "onnxruntime")
_ROOT = Path(__file__).resolve().parents[1]


def print_machine() -> None:
    """Print the machine card: a figure without it can't be compared with anything."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    print(f"machine   {_cpu()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.platform()}")
    print(f"software  Python {platform.python_version()}, " + ", ".join(_versions()))
    print("weights   " + ", ".join(f"{file.name} {file.sha256[:12]}" for file in fs.models()))
    print()


def data_folder(name: str) -> Path:
    """Give a folder of photographs, or end the script, with success, where there is none.

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


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions() -> list[str]:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # onnxruntime is not needed by every engine
            continue
    return found
