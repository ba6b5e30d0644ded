"""Embed face chips with dlib's network: near vectors are one person, distant ones are two."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.domain.entities import FaceModel
from facesearch.embedding.mapped import MappedEmbedder
from facesearch.networks.dlib_objects import DlibNetwork
from facesearch.networks.dlib_onnx import embedding_model
from facesearch.networks.dlib_reader import read_network
from facesearch.networks.weights import RESNET, read_weights
from facesearch.stages import CHIP_SIZE, AlignedFace, Embedder

if TYPE_CHECKING:
    import onnx

__all__ = ["DLIB_RESNET", "DLIB_RESNET_MIRRORED", "DlibEmbedder", "OnnxEmbedder"]

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


class _DlibResnet(Embedder):
    """dlib's ResNet in any engine: its model and its input."""

    _mirrored: bool

    @property
    def face_model(self) -> FaceModel:
        """The model: dlib's ResNet, 128 dimensions; version 1.0, or 2.0 where mirrored."""
        return DLIB_RESNET_MIRRORED if self._mirrored else DLIB_RESNET

    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:  # noqa: ARG002  # the stage's signature
        """Return the chip: the network was trained on such chips."""
        return face.chip


class OnnxEmbedder(_DlibResnet, MappedEmbedder):
    """dlib's ResNet in ONNX Runtime: the same vectors as dlib's own engine to 1e-5, an order of magnitude faster.

    Its feature maps, the last of three sizes: ``fine`` (V * N, 64, 17, 17), ``middle`` (V * N, 128, 8, 8), ``coarse``
    (V * N, 256, 2, 2).

    Parameters
    ----------
    threads
        Cores that one call may use, >= 1; ``None`` for all that this process may use, up to 4.
    mirrored
        Return the mean of the vectors of a face and of its mirror image, which separates people better; without it, dlib's own
        vectors, as in face_recognition.
    providers
        ONNX Runtime's execution providers, by falling preference; ``None`` for the CPU.
    """

    _MAPS: ClassVar[Mapping[str, str]] = {"fine": "stage2", "middle": "stage3", "coarse": "stage5"}
    _SIDE: ClassVar[int] = CHIP_SIZE

    @override
    def _model(self) -> "onnx.ModelProto":
        return embedding_model(read_network(read_weights(RESNET)), stages=True)


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
        self._mirrored = mirrored
        self._network = DlibNetwork(RESNET, "face_recognition_model_v1")

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return partial(type(self), mirrored=self._mirrored), ()

    @override
    def embed(self, chips: PixelArray) -> FloatArray:
        vectors = np.empty((len(chips), self.face_model.dimension), np.float32)
        with self._network.alone() as network:
            for row, chip in enumerate(chips):
                views = (chip, chip[:, ::-1]) if self._mirrored else (chip,)
                found = [network.compute_face_descriptor(np.ascontiguousarray(view)) for view in views]
                vectors[row] = np.mean(found, axis=0)
        return vectors
