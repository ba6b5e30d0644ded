"""Predict attributes of faces with a small network, the heads, on the feature maps of an embedding network.

There is a file of heads for each embedding network. It is an ONNX graph from the maps to calibrated answers, trained by
``training/attribute_heads.py`` and written by ``training/attribute_graph.py``; docs/attributes.md has the training data, the accuracy
of each attribute and its limits.
"""

from typing import Any, Final

import numpy as np

from facesearch.appearance.answers import Answers
from facesearch.common.once import Once
from facesearch.common.validation import check_int
from facesearch.domain.face_detail import EmotionType
from facesearch.embedding.mapped import FeatureMaps
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import FACE_ATTRIBUTES, WeightFile, read_weights

__all__ = ["EMOTIONS", "YES_OR_NO", "FaceHeads"]

# The outputs ``chance`` and ``emotions`` of the graph, in this order. Its output ``age`` is years and half the width of the range.
YES_OR_NO: Final = (
    "smile", "mouth_open", "eyeglasses", "sunglasses", "beard", "mustache", "male", "masked", "occluded",
)  # fmt: skip
EMOTIONS: Final = (
    EmotionType.ANGRY, EmotionType.DISGUSTED, EmotionType.FEAR, EmotionType.HAPPY, EmotionType.CALM, EmotionType.SAD,
    EmotionType.SURPRISED,
)  # fmt: skip


class FaceHeads:
    """Predicts attributes of faces from the feature maps of an embedding network.

    Parameters
    ----------
    file
        The heads: `FACE_ATTRIBUTES` for the maps of `facesearch.embedding.sface.SFaceEmbedder`, `DLIB_FACE_HEADS` for those of
        `facesearch.embedding.dlib_resnet.OnnxEmbedder`.
    threads
        Cores that one call may use, >= 1; ``None`` for all that this process may use, up to 4.
    """

    def __init__(self, file: WeightFile = FACE_ATTRIBUTES, *, threads: int | None = None) -> None:
        self._file = file
        self._threads = None if threads is None else check_int("threads", threads, 1)
        self._loaded: Once[Any] = Once()

    def read(self, maps: FeatureMaps) -> tuple[Answers, ...]:
        """Predict the attributes of N faces, N >= 1.

        Each prediction depends on its own face only. It is the mean over all views, so that with two views a face and its
        mirror image have the same attributes.
        """
        session = self._loaded(self._load)
        views = np.array([maps.views], np.int64)
        columns = session.run(["chance", "emotions", "age"], {**maps.arrays, "views": views})
        return tuple(_answers(*rows) for rows in zip(*(column.tolist() for column in columns), strict=True))

    def _load(self) -> Any:
        import onnx

        return open_session(onnx.load_model_from_string(read_weights(self._file)), threads=self._threads)


def _answers(chance: list[float], emotions: list[float], age: list[float]) -> Answers:
    years, half = age
    return Answers(
        chance=dict(zip(YES_OR_NO, chance, strict=True)),
        emotions=dict(zip(EMOTIONS, emotions, strict=True)),
        age=(years, half),
    )
