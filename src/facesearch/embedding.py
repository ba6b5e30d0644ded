"""From a face chip to a vector: near vectors are one person, far ones are two."""

import threading
from functools import cached_property
from typing import Any

import numpy as np

from facesearch._fields import check_int
from facesearch.dlib_format import read_network
from facesearch.networks import embedding_model, open_session
from facesearch.records import FaceModel
from facesearch.stages import FloatArray, PixelArray
from facesearch.weights import RESNET, weights_path

__all__ = ["DLIB_RESNET", "DlibEmbedder", "OnnxEmbedder"]

DLIB_RESNET = FaceModel(
    name="dlib_face_recognition_resnet_model_v1", version="1.0", digest=RESNET.sha256, dimension=128
)


# Faces embedded in one run: larger batches are no faster and cost 2 MB a face (benchmarks/engines.py).
_BATCH = 16


class OnnxEmbedder:
    """dlib's ResNet in ONNX Runtime: the same vectors as dlib's own engine to 1e-5, an order of magnitude faster.

    Parameters
    ----------
    threads
        Cores that one call may use, >= 1; ``None`` for all that this process may use, up to 4.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = None if threads is None else check_int("threads", threads, 1)
        self._lock = threading.Lock()  # for loading only: a session may run in many threads at once
        self._loaded: Any = None

    @property
    def face_model(self) -> FaceModel:
        """The model: dlib's ResNet, version 1.0, 128 dimensions."""
        return DLIB_RESNET

    def embed(self, chips: PixelArray) -> FloatArray:
        """Embed faces; see `facesearch.stages.Embedder.embed`."""
        session = self._session()
        vectors = np.empty((len(chips), self.face_model.dimension), np.float32)
        for start in range(0, len(chips), _BATCH):
            batch = np.ascontiguousarray(chips[start : start + _BATCH])
            (vectors[start : start + _BATCH],) = session.run(["embedding"], {"pixels": batch})
        return vectors

    def _session(self) -> Any:
        with self._lock:
            if self._loaded is None:
                model = embedding_model(read_network(weights_path(RESNET).read_bytes()))
                self._loaded = open_session(model, threads=self._threads)
            return self._loaded


class DlibEmbedder:
    """dlib's ResNet in dlib's own engine: the reference, exact and slow (about 70 ms a face).

    References
    ----------
    https://github.com/davisking/dlib-models; He et al., CVPR 2016, doi:10.1109/CVPR.2016.90.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the network keeps its activations in itself: one caller at a time

    @property
    def face_model(self) -> FaceModel:
        """The model: dlib's ResNet, version 1.0, 128 dimensions."""
        return DLIB_RESNET

    def embed(self, chips: PixelArray) -> FloatArray:
        """Embed faces; see `facesearch.stages.Embedder.embed`."""
        vectors = np.empty((len(chips), self.face_model.dimension), np.float32)
        with self._lock:
            for row, chip in enumerate(chips):
                vectors[row] = self._network.compute_face_descriptor(np.ascontiguousarray(chip))
        return vectors

    @cached_property
    def _network(self) -> Any:
        import dlib

        return dlib.face_recognition_model_v1(str(weights_path(RESNET)))
