"""Embed face chips with dlib's network: near vectors are one person, distant ones are two."""

import hashlib
import threading
from functools import partial
from typing import Any

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.common.once import Once
from facesearch.common.validation import check_int
from facesearch.domain.entities import FaceModel
from facesearch.networks.dlib_objects import as_path, check_pool
from facesearch.networks.dlib_onnx import embedding_model
from facesearch.networks.dlib_reader import read_network
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import RESNET, read_weights
from facesearch.stages import AlignedFace, Embedder

__all__ = ["DLIB_RESNET", "DLIB_RESNET_MIRRORED", "DlibEmbedder", "FaceMaps", "OnnxEmbedder"]

DLIB_RESNET = FaceModel(
    name="dlib_face_recognition_resnet_model_v1", version="1.0", digest=RESNET.sha256, dimension=128
)
# The same network with test-time augmentation: a face's vector is the mean of the vectors of the chip and of its mirror image.
# A model of its own, since its distances need another calibration. docs/similarity.md has the gain.
DLIB_RESNET_MIRRORED = FaceModel(
    name="dlib_face_recognition_resnet_model_v1_mirrored",
    version="2.0",
    digest=hashlib.sha256(f"{RESNET.sha256} mirrored".encode()).hexdigest(),
    dimension=128,
)


# Faces embedded in one run: larger batches are no faster and cost 2 MB a face.
_BATCH = 16


@attrs.frozen(kw_only=True, eq=False)
class FaceMaps:
    """Feature maps of the network for N faces: the last map of three of its sizes, float32.

    Attributes
    ----------
    fine
        (V * N, 64, 17, 17).
    middle
        (V * N, 128, 8, 8).
    coarse
        (V * N, 256, 2, 2).
    views
        V: 1, or 2 where the N mirror images follow the N faces.
    """

    fine: FloatArray
    middle: FloatArray
    coarse: FloatArray
    views: int = 1


class _DlibResnet(Embedder):
    """dlib's ResNet in any engine: its model and its input."""

    def __init__(self, *, mirrored: bool) -> None:
        self._mirrored = mirrored

    @property
    def face_model(self) -> FaceModel:
        """The model: dlib's ResNet, 128 dimensions; version 1.0, or 2.0 where mirrored."""
        return DLIB_RESNET_MIRRORED if self._mirrored else DLIB_RESNET

    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:  # noqa: ARG002  # the stage's signature
        """Return the chip: the network was trained on such chips."""
        return face.chip


class OnnxEmbedder(_DlibResnet):
    """dlib's ResNet in ONNX Runtime: the same vectors as dlib's own engine to 1e-5, an order of magnitude faster.

    Parameters
    ----------
    threads
        Cores that one call may use, >= 1; ``None`` for all that this process may use, up to 4.
    mirrored
        Return the mean of the vectors of a face and of its mirror image, which separates people better; without it, dlib's own
        vectors, as in face_recognition.
    """

    def __init__(self, *, threads: int | None = None, mirrored: bool = True) -> None:
        super().__init__(mirrored=mirrored)
        self._threads = None if threads is None else check_int("threads", threads, 1)
        self._loaded: Once[Any] = Once()

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return partial(type(self), threads=self._threads, mirrored=self._mirrored), ()

    @override
    def embed(self, chips: PixelArray) -> FloatArray:
        return self._vectors(self._run(self._views(chips), ["embedding"])[0])

    def embed_with_maps(self, chips: PixelArray) -> tuple[FloatArray, FaceMaps]:
        """Embed faces and return the feature maps too.

        Parameters
        ----------
        chips
            (N, 150, 150, 3) uint8 RGB, N >= 1.

        Returns
        -------
        tuple of ndarray of shape (N, 128), and FaceMaps
            The vectors are those of `embed`.
        """
        vectors, fine, middle, coarse = self._run(self._views(chips), ["embedding", "stage2", "stage3", "stage5"])
        return self._vectors(vectors), FaceMaps(
            fine=fine, middle=middle, coarse=coarse, views=2 if self._mirrored else 1
        )

    def _views(self, chips: PixelArray) -> PixelArray:
        return np.concatenate([chips, chips[:, :, ::-1]]) if self._mirrored else chips

    def _vectors(self, vectors: FloatArray) -> FloatArray:
        return vectors.reshape(2, -1, self.face_model.dimension).mean(axis=0) if self._mirrored else vectors

    def _run(self, chips: PixelArray, outputs: list[str]) -> list[FloatArray]:
        session = self._loaded(self._load)
        if len(chips) == 0:
            return [np.empty((0, self.face_model.dimension), np.float32)]
        batches = [np.ascontiguousarray(chips[start : start + _BATCH]) for start in range(0, len(chips), _BATCH)]
        parts = [session.run(outputs, {"pixels": batch}) for batch in batches]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _load(self) -> Any:
        model = embedding_model(read_network(read_weights(RESNET)), stages=True)
        return open_session(model, threads=self._threads)


class DlibEmbedder(_DlibResnet):
    """dlib's ResNet in dlib's own engine: the reference, exact and slow (about 70 ms a view).

    Parameters
    ----------
    mirrored
        As for `OnnxEmbedder`.

    References
    ----------
    https://github.com/davisking/dlib-models; He et al., CVPR 2016, doi:10.1109/CVPR.2016.90.
    """

    def __init__(self, *, mirrored: bool = True) -> None:
        super().__init__(mirrored=mirrored)
        # The network keeps its activations in itself: one caller at a time.
        self._loaded: Once[tuple[threading.Lock, Any]] = Once()

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return partial(type(self), mirrored=self._mirrored), ()

    @override
    def embed(self, chips: PixelArray) -> FloatArray:
        vectors = np.empty((len(chips), self.face_model.dimension), np.float32)
        lock, network = self._loaded(self._load)
        check_pool()
        with lock:
            for row, chip in enumerate(chips):
                views = (chip, chip[:, ::-1]) if self._mirrored else (chip,)
                found = [network.compute_face_descriptor(np.ascontiguousarray(view)) for view in views]
                vectors[row] = np.mean(found, axis=0)
        return vectors

    def _load(self) -> tuple[threading.Lock, Any]:
        import dlib

        with as_path(read_weights(RESNET)) as path:
            return threading.Lock(), dlib.face_recognition_model_v1(path)
