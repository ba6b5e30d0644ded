"""Open sessions of ONNX Runtime."""

import os
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Final

from facesearch.common.once import LOADING
from facesearch.errors import InvalidParameterError

if TYPE_CHECKING:
    import onnx
    import onnxruntime

__all__ = ["check_providers", "load_onnxruntime", "open_session", "usable_cores"]

_CPU: Final = "CPUExecutionProvider"
_NO_TELEMETRY: Final = "ORT_DISABLE_TELEMETRY"


# A guess, since it was measured on two cores only: one photo gains little from more, many at once keep them busy.
_MOST_THREADS: Final = 4


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


def load_onnxruntime() -> "ModuleType":
    """Import ONNX Runtime with its telemetry off, and return it.

    Since version 1.29 the wheels send properties and hashes of models to Microsoft, and keep a device id in the user's cache folder,
    unless ``ORT_DISABLE_TELEMETRY`` is set when the module is imported. The thread for it also keeps forked children from ending.
    The variable is set for the import only. Where the program has imported ONNX Runtime before, no more events are sent from here on.
    """
    with LOADING:
        if "onnxruntime" in sys.modules:
            import onnxruntime
        else:
            before = os.environ.get(_NO_TELEMETRY)
            os.environ[_NO_TELEMETRY] = "1"
            try:
                import onnxruntime
            finally:
                if before is None:
                    del os.environ[_NO_TELEMETRY]
                else:
                    os.environ[_NO_TELEMETRY] = before
        onnxruntime.disable_telemetry_events()
        return onnxruntime  # type: ignore[no-any-return]  # it has no type information


def check_providers(value: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names of execution providers, which the installed ONNX Runtime must have; ``None`` for the CPU's.

    A name that is unknown to it, and an empty list, raise an `InvalidParameterError`.

    Examples
    --------
    >>> check_providers(["CPUExecutionProvider"])
    ('CPUExecutionProvider',)
    """
    if value is None:
        return None
    names = () if isinstance(value, str) else tuple(value)
    known = load_onnxruntime().get_available_providers()
    if not names or not {*names} <= {*known}:
        raise InvalidParameterError.of(
            "providers",
            value,
            f"some of those of the installed ONNX Runtime, {', '.join(known)}",
            fix="Other hardware needs another package in place of onnxruntime, such as onnxruntime-gpu, or onnxruntime-openvino",
        )
    return names


def open_session(
    model: "onnx.ModelProto", *, threads: int | None = None, providers: Sequence[str] | None = None
) -> "onnxruntime.InferenceSession":
    """Return a session of ONNX Runtime that runs *model*, safe to use from many threads at once.

    One run may use *threads* cores, at least 1; by default all that this process may use, up to 4. *providers*, from `check_providers`,
    are ONNX Runtime's by falling preference; the CPU runs what none of them can. The session keeps the memory of its largest run for
    the next; plans for each shape are switched off because a detector sees a new one with nearly every photograph.
    """
    onnxruntime = load_onnxruntime()
    if threads is None:
        threads = min(usable_cores(), _MOST_THREADS)
    if threads < 1:
        raise InvalidParameterError.of("threads", threads, "at least 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads sleep
    options.log_severity_level = 4
    with LOADING:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=list(providers or [_CPU]))
