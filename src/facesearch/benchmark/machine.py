"""Describe the machine of a measurement: figures of unknown machines can't be compared."""

import os
import platform
from pathlib import Path

import attrs
from attrs import field

from facesearch.common.installed import installed_version
from facesearch.common.validation import between, is_a, maybe, maybe_float, plain_int, whole
from facesearch.networks.runtime import usable_cores
from facesearch.networks.weights import models

__all__ = ["Machine", "describe_machine"]

_PACKAGES = ("facesearch", "dlib-bin", "numpy", "onnxruntime", "Pillow", "scikit-image")
_SHOWN = 12  # of a hash's 64 digits, in the printed card


@attrs.frozen(kw_only=True)
class Machine:
    """The machine and software of a measurement.

    Attributes
    ----------
    processor
        Its name, as the system reports it.
    cores, usable_cores
        Number of cores, and the number that this process may use.
    memory_gib
        GiB; ``None`` where the system does not report it.
    system, python
        Versions.
    packages
        From distribution to version, of those installed.
    weights
        From model file to its SHA-256, hex.
    """

    processor: str = field(validator=is_a(str))
    cores: int = field(converter=plain_int, validator=whole(1))
    usable_cores: int = field(converter=plain_int, validator=whole(1))
    memory_gib: float | None = field(converter=maybe_float, validator=maybe(between(0)))
    system: str = field(validator=is_a(str))
    python: str = field(validator=is_a(str))
    packages: dict[str, str] = field(validator=is_a(dict), hash=False)
    weights: dict[str, str] = field(validator=is_a(dict), hash=False)

    def __str__(self) -> str:
        memory = "" if self.memory_gib is None else f", {self.memory_gib:.0f} GiB"
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        weights = ", ".join(f"{name} {digest[:_SHOWN]}" for name, digest in self.weights.items())
        return (
            f"machine   {self.processor}, {self.cores} cores, {self.usable_cores} usable{memory}, {self.system}\n"
            f"software  Python {self.python}, {packages}\n"
            f"weights   {weights}"
        )


def describe_machine() -> Machine:
    """Describe this machine and what is installed on it.

    Examples
    --------
    >>> print(describe_machine())  # doctest: +ELLIPSIS
    machine   ...
    software  Python ...
    weights   face_recognition_sface_2021dec_int8bq.onnx fb143eea0783, ...
    """
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        memory_gib=_memory(),
        system=platform.platform(),
        python=platform.python_version(),
        packages={name: found for name in _PACKAGES if (found := installed_version(name))},
        weights={file.name: file.sha256 for file in models()},
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine() or "unknown"


def _memory() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, ValueError, OSError):  # not POSIX
        return None
