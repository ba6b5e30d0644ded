"""Embed faces with SFace: unit vectors; near ones are one person, distant ones are two."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.domain.entities import FaceModel
from facesearch.embedding.five_point_crop import cut_by_five_points
from facesearch.embedding.mapped import MappedEmbedder
from facesearch.embedding.network_card import ARCFACE_TEMPLATE
from facesearch.networks.sface_onnx import SFACE_SIZE, sface_model
from facesearch.networks.weights import SFACE, read_weights
from facesearch.stages import AlignedFace

if TYPE_CHECKING:
    import onnx

__all__ = ["SFACE_MIRRORED", "SFACE_PLAIN", "SFaceEmbedder"]

_RECIPE: Final = "eyes, nose and mouth of 70 points; unit length"


def _model(views: str) -> FaceModel:
    digest = hashlib.sha256(f"{SFACE.sha256} {views}; {_RECIPE}".encode()).hexdigest()
    return FaceModel(name=f"sface_2021dec_{views}", version="3.0", digest=digest, dimension=128)


SFACE_PLAIN: Final = _model("plain")
# With test-time augmentation: the vector of a face is the mean of those of the crop and of its mirror image. This is a model of its own,
# since its distances need another calibration.
SFACE_MIRRORED: Final = _model("mirrored")


class SFaceEmbedder(MappedEmbedder):
    """SFace, a MobileNet of OpenCV's model zoo: 128 numbers of unit length from a crop of 112 x 112.

    Its feature map ``maps``, (V * N, 1792, 7, 7), is three of the network's maps one after the other, averaged to 7 x 7.

    Parameters
    ----------
    threads
        Cores that one call may use, >= 1; ``None`` for all that this process may use, up to 4.
    mirrored
        Embed a face as the mean of itself and its mirror image: twice the time for slightly better vectors, see docs/similarity.md. They
        are of a face model of their own, not comparable with the others.
    providers
        ONNX Runtime's execution providers, by falling preference; ``None`` for the CPU.

    References
    ----------
    Zhong et al., IEEE Transactions on Image Processing 30 (2021), doi:10.1109/TIP.2020.3048632; https://github.com/opencv/opencv_zoo.
    """

    _MAPS: ClassVar[Mapping[str, str]] = {"maps": "maps"}
    _SIDE: ClassVar[int] = SFACE_SIZE[0]

    def __init__(
        self, *, threads: int | None = None, mirrored: bool = False, providers: Iterable[str] | None = None
    ) -> None:
        super().__init__(threads=threads, mirrored=mirrored, providers=providers)

    @property
    def face_model(self) -> FaceModel:
        """The model: SFace, 128 dimensions."""
        return SFACE_MIRRORED if self._mirrored else SFACE_PLAIN

    @override
    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:
        return cut_by_five_points(pixels, points, ARCFACE_TEMPLATE, SFACE_SIZE)

    @override
    def _vectors(self, vectors: FloatArray) -> FloatArray:
        mean = super()._vectors(vectors)
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        return (mean / np.where(length > 0, length, 1)).astype(np.float32)

    @override
    def _model(self) -> "onnx.ModelProto":
        return sface_model(read_weights(SFACE))
