"""dlib's shape predictors, loaded once and called in our terms; no dlib object goes beyond the stages."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from facesearch.common.forks import generation
from facesearch.common.once import Once
from facesearch.errors import WeightsError
from facesearch.networks.weights import WeightFile, read_weights
from facesearch.stages import Detection, PixelArray

__all__ = ["as_path", "check_pool", "predict_shape"]


def predict_shape(file: WeightFile, pixels: PixelArray, detection: Detection) -> Any:
    """Give dlib's ``full_object_detection`` of one face.

    Parameters
    ----------
    file
        Which of the shape predictors.
    pixels
        (H, W, 3) uint8 RGB, upright.
    detection
        A face in it.
    """
    predictor = _PREDICTORS.setdefault(file.name, Once())(partial(_load, file))
    import dlib

    # dlib's right and bottom belong to the box.
    left, top = round(detection.left), round(detection.top)
    box = dlib.rectangle(left, top, round(detection.right) - 1, round(detection.bottom) - 1)
    return predictor(pixels, box)


def check_pool() -> None:
    """Refuse to run one of dlib's networks where it would hang.

    They share one pool of threads, made by the first run in a process. A forked child inherits the pool without its threads.

    Raises
    ------
    WeightsError
        A process that this one was forked from has run one.
    """
    if _POOL.setdefault("generation", generation()) != generation():
        raise WeightsError(
            "engine='dlib' can't run in a process forked from one that has run it, since dlib's threads are gone: "
            "fork before the first search, start the process with 'spawn' or 'forkserver', or use engine='onnx'"
        )


_POOL: Final[dict[str, int]] = {}


# Shared between threads: predicting is a ``const`` method that writes to nothing but its own locals, and a copy for each thread
# would cost 100 MB.
_PREDICTORS: Final[dict[str, Once[Any]]] = {}


def _load(file: WeightFile) -> Any:
    import dlib

    # From bytes, in the format of dlib's files. On an object that was initialised, the method would do nothing.
    predictor = dlib.shape_predictor.__new__(dlib.shape_predictor)
    predictor.__setstate__((read_weights(file),))
    return predictor


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
