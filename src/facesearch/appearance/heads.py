"""Predict attributes of faces with a small network, the heads, on the feature maps of the embedding network.

Its weights come with the package, as plain arrays, and were trained by ``training/attribute_heads.py``; docs/attributes.md has
the training data, the accuracy of each attribute and its limits.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facesearch.appearance.answers import Answers
from facesearch.common.arrays import FloatArray
from facesearch.common.once import Once
from facesearch.common.validation import check_int
from facesearch.domain.face_detail import EmotionType
from facesearch.embedding.mapped import FeatureMaps
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import FACE_HEADS, read_weights

if TYPE_CHECKING:
    import onnx

__all__ = ["EMOTIONS", "YES_OR_NO", "FaceHeads", "heads_model"]

# The outputs of the network, in this order; after them come age and half the width of its range.
YES_OR_NO: Final = (
    "smile", "mouth_open", "eyeglasses", "sunglasses", "beard", "mustache", "male", "masked", "occluded",
)  # fmt: skip
EMOTIONS: Final = (
    EmotionType.ANGRY, EmotionType.DISGUSTED, EmotionType.FEAR, EmotionType.HAPPY, EmotionType.CALM, EmotionType.SAD,
    EmotionType.SURPRISED,
)  # fmt: skip


def heads_model(weights: Mapping[str, FloatArray]) -> "onnx.ModelProto":
    """Convert the heads to an ONNX graph.

    Parameters
    ----------
    weights
        Arrays by name: ``NAME.weight`` and ``NAME.bias`` of the convolutions ``fine``, ``middle`` and ``both`` and of the
        matrices ``hidden`` and ``out``.

    Returns
    -------
    onnx.ModelProto
        Inputs ``fine``, ``middle`` and ``coarse``, as in `FeatureMaps`; output ``answers``: (N, 18) float32.
    """
    from onnx import TensorProto, helper, numpy_helper

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> "onnx.NodeProto":
        return helper.make_node(operator, inputs, [output], **attributes)

    def layer(operator: str, source: str, name: str, **attributes: Any) -> "onnx.NodeProto":
        return node(operator, [source, f"{name}.weight", f"{name}.bias"], name, **attributes)

    nodes = [
        layer("Conv", "maps.fine", "fine", strides=[2, 2]),
        layer("Conv", "maps.middle", "middle"),
        node("Concat", ["fine", "middle"], "joined", axis=1),
        node("Relu", ["joined"], "joined.relu"),
        layer("Conv", "joined.relu", "both", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["both"], "both.relu"),
        node("Flatten", ["both.relu"], "both.flat"),
        node("Flatten", ["maps.coarse"], "coarse.flat"),
        node("Concat", ["both.flat", "coarse.flat"], "all", axis=1),
        layer("Gemm", "all", "hidden", transB=1),
        node("Relu", ["hidden"], "hidden.relu"),
        layer("Gemm", "hidden.relu", "out", transB=1),
    ]
    shapes = {"maps.fine": (64, 17, 17), "maps.middle": (128, 8, 8), "maps.coarse": (256, 2, 2)}
    graph = helper.make_graph(
        nodes,
        "heads",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape]) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", len(YES_OR_NO) + len(EMOTIONS) + 2])],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class FaceHeads:
    """Predicts attributes of faces from the feature maps of the embedding network.

    Parameters
    ----------
    threads
        Cores that one call may use, >= 1; ``None`` for all that this process may use, up to 4.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = None if threads is None else check_int("threads", threads, 1)
        self._loaded: Once[tuple[Any, FloatArray, FloatArray]] = Once()

    def read(self, maps: FeatureMaps) -> tuple[Answers, ...]:
        """Predict the attributes of N faces, N >= 1.

        Each prediction depends on its own face only. It is the mean over all views, so that with two views a face and its
        mirror image have the same attributes.
        """
        session, scale, shift = self._loaded(self._load)
        (rows,) = session.run(["out"], {f"maps.{name}": values for name, values in maps.arrays.items()})
        faces = rows.reshape(maps.views, -1, rows.shape[1]).mean(axis=0, dtype=np.float64)
        return tuple(_answers(row, scale, shift) for row in faces)

    def _load(self) -> tuple[Any, FloatArray, FloatArray]:
        with np.load(BytesIO(read_weights(FACE_HEADS)), allow_pickle=False) as file:
            weights = {name: file[name].astype(np.float32) for name in file.files}
        scale, shift = weights.pop("emotions.scale"), weights.pop("emotions.shift")
        return open_session(heads_model(weights), threads=self._threads), scale, shift


def _answers(row: Any, scale: FloatArray, shift: FloatArray) -> Answers:
    chance = dict(zip(YES_OR_NO, (1 / (1 + np.exp(-row[: len(YES_OR_NO)]))).tolist(), strict=True))
    chance["sunglasses"] *= chance["eyeglasses"]  # the head predicts the probability that glasses, if any, are dark
    return Answers(
        chance=chance,
        emotions=dict(zip(EMOTIONS, _one_against_all(row[len(YES_OR_NO) : -2], scale, shift).tolist(), strict=True)),
        age=(float(row[-2]), float(np.exp(row[-1]))),
    )


def _one_against_all(logits: Any, scale: FloatArray, shift: FloatArray) -> Any:
    """Return the probability of each class against all others, calibrated by class."""
    # log odds of softmax: own logit less the logarithm of the sum of the others' exponentials
    others = np.where(np.eye(len(logits), dtype=bool), -np.inf, logits)
    top = others.max(axis=1)
    odds = logits - (top + np.log(np.exp(others - top[:, None]).sum(axis=1)))
    return 1 / (1 + np.exp(-(scale * odds + shift)))
