"""Convert layers of dlib's networks to an ONNX graph, in memory.

The graphs take pixels as they are: whole bytes, colour last. Subtracting the mean and dividing by 256 is folded into the
first convolution, which is exact because dlib does not pad that one.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from facesearch.errors import WeightsError
from facesearch.networks.layers import Convolution, Dense, Layer, Network, Plain, Pool, Shape

if TYPE_CHECKING:
    import onnx

__all__ = ["Graph"]

_PIXEL_SCALE: Final = 256.0  # dlib divides by 256, not 255: input_rgb_image_sized, input_rgb_image_pyramid
_LARGE: Final = 1 << 20  # bytes
_OPSET: Final = 17  # ONNX Runtime 1.12 and later
_IR_VERSION: Final = 8  # goes with that opset


class Graph:
    """An ONNX graph in the making, from ``pixels``, of *size* rows and columns or of any, to ``end``."""

    def __init__(self, size: tuple[int, int] | None) -> None:
        from onnx import TensorProto, helper

        self._helper, self._float = helper, TensorProto.FLOAT
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], tuple[str, npt.NDArray[Any]]] = {}
        self._outputs: list[onnx.ValueInfoProto] = []
        self.relus: list[str] = []
        self.stages: dict[Shape, str] = {}  # the last map of each size that leaves a residual block
        rows, columns = size or ("H", "W")
        self._input = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", rows, columns, 3])
        turned = self.node("Transpose", "pixels", perm=[0, 3, 1, 2])  # while a pixel is one byte, not four
        self.end = self.node("Cast", turned, to=TensorProto.FLOAT)

    def run(self, network: Network, *, start: str, ranges: Sequence[float] | None = None) -> None:
        """Append the layers of *network*, from *start* on; the same weights are stored once."""
        self.end = start
        self.shape: Shape = (3, 0, 0)
        self._ranges = repeat(None) if ranges is None else iter(ranges)
        self._step: float | None = None  # between two values of the map at the end; None where it is float32
        self._tagged: list[tuple[Shape, str]] = []
        layers = _normalised(network)
        for before, layer, shape in zip((None, *layers[:-1]), layers, network.shapes(), strict=True):
            self.end = self._layer(layer, shape)
            self.shape = shape
            if before is Plain.ADD:  # dlib puts a relu after each
                self.stages[shape] = self.end

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        name = f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: npt.NDArray[Any]) -> str:
        """Store *values* once and return their name."""
        content = np.asarray(values, order="C")
        # What is large comes once in every network: comparing it would take time and memory.
        same = f"constant {len(self._constants)}".encode() if content.nbytes >= _LARGE else content.tobytes()
        key = (values.dtype.str, values.shape, same)
        if key not in self._constants:
            self._constants[key] = f"constant{len(self._constants)}", content
        return self._constants[key][0]

    def output(self, name: str, source: str, shape: list[str | int]) -> None:
        """Add an output called *name* with the value of *source*."""
        self._nodes.append(self._helper.make_node("Identity", [source], [name], name=name))
        self._outputs.append(self._helper.make_tensor_value_info(name, self._float, shape))

    def model(self, name: str) -> "onnx.ModelProto":
        """Return the whole graph as a model."""
        from onnx.helper import np_dtype_to_tensor_dtype

        graph = self._helper.make_graph(self._nodes, name, [self._input], self._outputs)
        opset = self._helper.make_opsetid("", _OPSET)
        model = self._helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        # Into the model itself: a copy of all weights takes time and memory.
        for constant, values in self._constants.values():
            kind = np_dtype_to_tensor_dtype(values.dtype)
            model.graph.initializer.add(name=constant, data_type=kind, dims=values.shape, raw_data=values.tobytes())
        return model

    def _layer(self, layer: Layer, shape: Shape) -> str:
        end = self.end
        match layer:
            case Convolution():
                end = self._convolution(layer)
            case Pool(kernel=(0, 0)):
                end = self.node("GlobalAveragePool", end)
            case Pool(kind=kind, kernel=kernel, stride=stride):
                operator = "MaxPool" if kind == "max" else "AveragePool"
                end = self.node(operator, end, kernel_shape=kernel, strides=stride)
            case Dense(weights=weights):
                end = self.node("MatMul", self.node("Flatten", end), self.constant(weights))
            case Plain.RELU:
                end = self._quantised(self.node("Relu", end), next(self._ranges))
                self.relus.append(end)
            case Plain.TAG:
                self._tagged.append((self.shape, end))
            case Plain.SKIP:
                end = self._tagged[-2][1]
            case Plain.ADD:
                parts = [self._tagged[-1], (self.shape, end)]
                self._tagged.clear()
                end = self.node("Add", *(self._grown(name, old, shape) for old, name in parts))
        return end

    def _convolution(self, layer: Convolution) -> str:
        pads, strides = [*layer.padding, *layer.padding], layer.stride
        if layer.weights.shape[0] == 1 and strides == (1, 1):
            # A transposed convolution computes the same sum: ONNX Runtime takes a sixth of the time for a single map.
            mirrored = layer.weights[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
            values = self.constant(mirrored), self.constant(layer.bias)
            return self.node("ConvTranspose", self.end, *values, pads=pads)
        if self._step is None:
            values = self.constant(layer.weights), self.constant(layer.bias)
        else:
            largest = np.abs(layer.weights).max(axis=(1, 2, 3))
            steps = np.where(largest > 0, largest / 127, 1).astype(np.float32)
            weights = np.rint(layer.weights / steps[:, None, None, None]).astype(np.int8)
            finer = (steps * self._step).astype(np.float32)
            bias = np.rint(layer.bias / finer).astype(np.int32)
            values = self._stepped(weights, steps), self._stepped(bias, finer)
        return self.node("Conv", self.end, *values, strides=strides, pads=pads)

    def _stepped(self, values: npt.NDArray[Any], steps: npt.NDArray[np.float32]) -> str:
        zeros = np.zeros(steps.shape, values.dtype)
        names = self.constant(values), self.constant(steps), self.constant(zeros)
        return self.node("DequantizeLinear", *names, axis=0)

    def _quantised(self, name: str, top: float | None) -> str:
        if top is None:
            return name
        self._step = top / 255
        scale = self.constant(np.array(self._step, np.float32)), self.constant(np.array(0, np.uint8))
        return self.node("DequantizeLinear", self.node("QuantizeLinear", name, *scale), *scale)

    def _grown(self, name: str, old: Shape, new: Shape) -> str:
        """Pad with zeros at the ends, as dlib's add_prev does with the smaller of its two maps."""
        if old == new:
            return name
        growth = [after - before for after, before in zip(new, old, strict=True)]
        return self.node("Pad", name, self.constant(np.array([0, 0, 0, 0, 0, *growth])))


def _normalised(network: Network) -> tuple[Layer, ...]:
    """Fold (pixel - mean) / 256 into the first convolution."""
    first, *rest = network.layers
    if not isinstance(first, Convolution) or first.padding != (0, 0):
        raise WeightsError("the first layer should be a convolution without padding")
    weights = first.weights.astype(np.float64) / _PIXEL_SCALE
    bias = first.bias - np.einsum("oirc,i->o", weights, network.mean)
    first = attrs.evolve(first, weights=weights.astype(np.float32), bias=bias.astype(np.float32))
    return (first, *rest)
