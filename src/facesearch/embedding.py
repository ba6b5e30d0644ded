"""From a face chip to a vector: near vectors are one person, far ones are two."""

import threading
from functools import cached_property
from typing import Any

import numpy as np

from facesearch.records import FaceModel
from facesearch.stages import FloatArray, PixelArray
from facesearch.weights import RESNET, weights_path

__all__ = ["DLIB_RESNET", "DlibEmbedder"]

DLIB_RESNET = FaceModel(
    name="dlib_face_recognition_resnet_model_v1", version="1.0", digest=RESNET.sha256, dimension=128
)


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
