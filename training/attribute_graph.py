"""Write attribute heads as ONNX: from maps to calibrated answers, weights as float16 that are cast when the file is loaded.

``python training/attribute_graph.py face_heads.npz out/dlib_face_heads.onnx`` converts the heads on dlib's maps, whose arrays were
trained by ``training/attribute_heads.py`` of 2026-11-25.
"""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facesearch.appearance.heads import EMOTIONS, YES_OR_NO
from facesearch.networks.sface_onnx import SFACE_MAPS

Array = NDArray[Any]
_ALL = len(YES_OR_NO) + len(EMOTIONS) + 2


class Layer(NamedTuple):
    """Weights and bias of a layer."""

    weights: Array
    bias: Array


class Writer:
    """An ONNX graph in the making."""

    def __init__(self) -> None:
        self._casts: list[onnx.NodeProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def half(self, values: Array) -> str:
        """Store *values* as float16 and return the name of the float32 ones that they are cast to."""
        name = f"weights{len(self._casts)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float16), f"{name}.half"))
        self._casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        return name

    def constant(self, values: Array) -> str:
        """Store *values* as they are and return their name."""
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator: str, *inputs: str, output: str | None = None, **settings: Any) -> str:
        """Append a node and return the name of its output."""
        name = output or f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **settings))
        return name

    def layer(self, operator: str, source: str, layer: Layer, **settings: Any) -> str:
        """Append a layer."""
        return self.node(operator, source, self.half(layer.weights), self.half(layer.bias), **settings)

    def answers(self, rows: str, scale: Array, shift: Array) -> None:
        """Append the outputs: the mean of the views of (V * N, 18) answers, as probabilities, and years.

        Parameters
        ----------
        rows
            Log odds of each yes, logits of the emotions, years, and the logarithm of half the width of the range.
        scale, shift
            (7,) of the log odds of each emotion against all others.
        """
        width = self.constant(np.array([-1, _ALL], np.int64))
        views = self.node("Reshape", rows, self.node("Concat", "views", width, axis=0))
        mean = self.node("ReduceMean", views, axes=[0], keepdims=0)
        ends = np.cumsum([len(YES_OR_NO), len(EMOTIONS), 1, 1])
        yes, felt, years, half = (
            self.node("Slice", mean, *(self.constant(np.array([each], np.int64)) for each in (end - size, end, 1)))
            for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)
        )
        chance = self.node("Sigmoid", yes)
        # The head predicts the probability that glasses, if any, are dark.
        which = np.where(np.array(YES_OR_NO) == "sunglasses", YES_OR_NO.index("eyeglasses"), -1)
        one = np.ones(len(YES_OR_NO), np.float32)
        dark = self.constant((which >= 0).astype(np.float32))
        glasses = self.node("Gather", chance, self.constant(np.array([which.max()], np.int64)), axis=1)
        kept = self.node("Add", self.constant(one * (which < 0)), self.node("Mul", glasses, dark))
        self.node("Mul", chance, kept, output="chance")
        # Log odds of softmax: a logit less the logarithm of the sum of the others' exponentials.
        itself = np.where(np.eye(len(EMOTIONS), dtype=bool), np.float32(-1e9), np.float32(0))[None]
        row = self.node("Unsqueeze", felt, self.constant(np.array([1], np.int64)))
        others = self.node("ReduceLogSumExp", self.node("Add", row, self.constant(itself)), axes=[2], keepdims=0)
        against = self.node("Mul", self.node("Sub", felt, others), self.constant(np.asarray(scale, np.float32)))
        self.node("Sigmoid", self.node("Add", against, self.constant(np.asarray(shift, np.float32))), output="emotions")
        self.node("Concat", years, self.node("Exp", half), axis=1, output="age")

    def model(self, name: str, maps: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
        """Return the whole graph as a model that takes *maps*, by name their shape, and the number of ``views``."""
        inputs = [
            helper.make_tensor_value_info(key, TensorProto.FLOAT, ["rows", *shape]) for key, shape in maps.items()
        ]
        inputs.append(helper.make_tensor_value_info("views", TensorProto.INT64, [1]))
        sizes = {"chance": len(YES_OR_NO), "emotions": len(EMOTIONS), "age": 2}
        outputs = [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["faces", n]) for key, n in sizes.items()]
        made = helper.make_graph([*self._casts, *self._nodes], name, inputs, outputs, self._constants)
        model = helper.make_model(
            made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="facesearch"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def graph(nets: Sequence[Sequence[Layer]], straight: Layer, scale: Array, shift: Array) -> onnx.ModelProto:
    """Write the heads on SFace's maps, of which all answers are added up.

    Each of *nets* is a 1x1 convolution, a 3x3 one in steps of two, a hidden layer and the answers; *straight* is one matrix on the mean
    of each map.
    """
    made = Writer()
    means = made.node("Flatten", made.node("GlobalAveragePool", "maps"))
    total = made.layer("Gemm", means, straight, transB=1)
    for first, second, hidden, out in nets:
        end = made.node("Relu", made.layer("Conv", "maps", first))
        end = made.node("Relu", made.layer("Conv", end, second, strides=[2, 2], pads=[1, 1, 1, 1]))
        end = made.node("Relu", made.layer("Gemm", made.node("Flatten", end), hidden, transB=1))
        total = made.node("Add", total, made.layer("Gemm", end, out, transB=1))
    made.answers(total, scale, shift)
    return made.model("face_attributes", {"maps": SFACE_MAPS})


def dlib_graph(arrays: Mapping[str, Array]) -> onnx.ModelProto:
    """Write the heads on dlib's maps, from ``NAME.weight`` and ``NAME.bias`` of their layers."""
    layers = {
        name: Layer(arrays[f"{name}.weight"], arrays[f"{name}.bias"])
        for name in ("fine", "middle", "both", "hidden", "out")
    }
    made = Writer()
    fine = made.layer("Conv", "fine", layers["fine"], strides=[2, 2])
    middle = made.layer("Conv", "middle", layers["middle"])
    end = made.node("Relu", made.node("Concat", fine, middle, axis=1))
    end = made.node("Relu", made.layer("Conv", end, layers["both"], strides=[2, 2], pads=[1, 1, 1, 1]))
    flat = [made.node("Flatten", source) for source in (end, "coarse")]
    end = made.node("Relu", made.layer("Gemm", made.node("Concat", *flat, axis=1), layers["hidden"], transB=1))
    made.answers(made.layer("Gemm", end, layers["out"], transB=1), arrays["emotions.scale"], arrays["emotions.shift"])
    return made.model("dlib_face_heads", {"fine": (64, 17, 17), "middle": (128, 8, 8), "coarse": (256, 2, 2)})


def main() -> None:
    """Convert and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    with np.load(arguments.arrays, allow_pickle=False) as file:
        content = dlib_graph(dict(file)).SerializeToString()
    arguments.file.write_bytes(content)
    print(f"{arguments.file}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
