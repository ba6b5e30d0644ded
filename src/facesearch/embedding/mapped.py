"""Embed faces with a network of the library in ONNX Runtime, which also returns its feature maps."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.common.once import Once
from facesearch.common.validation import check_int
from facesearch.errors import InvalidParameterError
from facesearch.networks.runtime import check_providers, open_session
from facesearch.stages import Embedder

if TYPE_CHECKING:
    import onnx

__all__ = ["FeatureMaps", "MappedEmbedder"]

# Faces embedded in one run: larger batches are no faster and cost memory for each face.
_BATCH = 16


@attrs.frozen(kw_only=True, eq=False)
class FeatureMaps:
    """Feature maps of an embedding network for N faces."""

    arrays: Mapping[str, FloatArray]  # by name, (V * N, channels, rows, columns) float32; each embedder has its own
    views: int = 1  # V: 1, or 2 where the N mirror images follow the N faces


class MappedEmbedder(Embedder):
    """Base of the library's embedders in ONNX Runtime: batches, mirror images, feature maps.

    Its settings are those of `facesearch.embedding.sface.SFaceEmbedder`.
    """

    # Outputs of the session beside "embedding", by the name of the feature map; and the side of its input, in pixels.
    _MAPS: ClassVar[Mapping[str, str]]
    _SIDE: ClassVar[int]

    def __init__(
        self, *, threads: int | None = None, mirrored: bool = True, providers: Iterable[str] | None = None
    ) -> None:
        self._mirrored = mirrored
        self._providers = check_providers(providers)
        self._threads = None if threads is None else check_int("threads", threads, 1)
        self._loaded: Once[Any] = Once()

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return partial(type(self), threads=self._threads, mirrored=self._mirrored, providers=self._providers), ()

    def embed(self, chips: PixelArray) -> FloatArray:
        """Embed crops from `cut`, as `facesearch.stages.Embedder.embed` specifies.

        Raises
        ------
        InvalidParameterError
            *chips* have another size or type.
        WeightsError
            The file of the network is missing or damaged.
        """
        return self._vectors(self._run(self._views(chips), ["embedding"])[0])

    def embed_with_maps(self, chips: PixelArray) -> tuple[FloatArray, FeatureMaps]:
        """Embed N >= 1 faces, (N, h, w, 3) uint8 RGB from `cut`, as `embed` does, and return the feature maps too."""
        vectors, *maps = self._run(self._views(chips), ["embedding", *self._MAPS.values()])
        arrays = dict(zip(self._MAPS, maps, strict=True))
        return self._vectors(vectors), FeatureMaps(arrays=arrays, views=2 if self._mirrored else 1)

    @abstractmethod
    def _model(self) -> "onnx.ModelProto":
        """Return the graph: from ``pixels``, uint8 RGB, to ``embedding`` and the maps."""

    def _load(self) -> Any:
        return open_session(self._model(), threads=self._threads, providers=self._providers)

    def _views(self, chips: PixelArray) -> PixelArray:
        return np.concatenate([chips, chips[:, :, ::-1]]) if self._mirrored else chips

    def _vectors(self, vectors: FloatArray) -> FloatArray:
        """Return one vector a face from those of its views."""
        return vectors.reshape(2, -1, self.face_model.dimension).mean(axis=0) if self._mirrored else vectors

    def _run(self, chips: PixelArray, outputs: list[str]) -> list[FloatArray]:
        if len(chips) == 0:
            return [np.empty((0, self.face_model.dimension), np.float32)]
        if chips.dtype != np.uint8 or chips.shape[1:] != (self._SIDE, self._SIDE, 3):
            expected = f"uint8 of shape (N, {self._SIDE}, {self._SIDE}, 3), from cut"
            raise InvalidParameterError.of("chips", (chips.dtype.name, chips.shape), expected)
        session = self._loaded(self._load)
        batches = [np.ascontiguousarray(chips[start : start + _BATCH]) for start in range(0, len(chips), _BATCH)]
        parts = [session.run(outputs, {"pixels": batch}) for batch in batches]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]
