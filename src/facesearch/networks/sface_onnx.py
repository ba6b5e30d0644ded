"""Rewrite SFace's graph, in memory: any number of crops, whole bytes RGB in, and its feature maps out beside the vector.

What ONNX Runtime would do slowly is written as it runs fast. PReLU takes more time than all convolutions, because ONNX Runtime leaves
its blocked layout for it. Here it is ``slope * x + relu((1 - slope) * x)``, two convolutions of each channel by itself and a sum,
which stay in that layout: a vector takes 0.4 times as long. That holds for slopes of at most 1. Channels with a larger slope
are computed negated: ``-prelu(x)`` is the same formula of ``-x``, and the next convolution has the negated
weights for them. Batch normalisation is folded into the convolutions, which saves time at loading.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from facesearch.errors import WeightsError
from facesearch.networks.onnx_graph import Graph
from facesearch.networks.onnx_simplify import MOST_EXPANSION, parsed, unpacked_weights

if TYPE_CHECKING:
    import onnx

__all__ = ["SFACE_MAPS", "SFACE_SIZE", "sface_model"]

SFACE_SIZE: Final = (112, 112)
# Shape of the feature maps of a face: the last maps of 28 x 28, 14 x 14 and 7 x 7, averaged to 7 x 7, one after the other.
SFACE_MAPS: Final = (1792, 7, 7)
_JOINED: Final = ((256, 28, 28), (512, 14, 14), (1024, 7, 7))
_CONVOLUTION: Final = ("Conv", "BatchNormalization", "PRelu")
_END: Final = ("BatchNormalization", "Flatten", "Gemm", "BatchNormalization")
_CHAIN: Final = ["Sub", "Mul", *_CONVOLUTION * 27, *_END]

Array = npt.NDArray[Any]


def sface_model(content: bytes) -> "onnx.ModelProto":
    """Return SFace as a graph from ``pixels``, (N, 112, 112, 3) uint8 RGB, to ``embedding`` and ``maps``.

    *content* is that of ``face_recognition_sface_2021dec_int8bq.onnx``, or of another export of the same graph; any other file raises a
    `WeightsError`. ``embedding`` is (N, 128) float32, of any length; ``maps`` is (N, 1792, 7, 7) float32, see `SFACE_MAPS`.
    """
    model = parsed("SFace", content)
    unpacked = unpacked_weights(model.graph, most_bytes=MOST_EXPANSION * len(content))
    try:
        return _rewritten(model.graph, unpacked)
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"SFace: expected its graph, got another one ({error})") from None


@attrs.frozen(kw_only=True, eq=False)
class _Layer:
    """A convolution with *settings*, its node's attributes, and a PReLU after it."""

    weights: Array  # (O, I, h, w) float32
    bias: Array  # (O,) float32
    slope: Array  # likewise
    settings: dict[str, Any]


def _rewritten(graph: "onnx.GraphProto", unpacked: dict[str, Array]) -> "onnx.ModelProto":
    from onnx import helper

    constants, chain = _chain(graph, unpacked)
    operators = [node.op_type for node in chain]
    if operators != _CHAIN:
        raise ValueError(f"of {len(chain)} nodes")
    made = Graph(SFACE_SIZE)
    for node in chain[:2]:  # the crop is padded after them, so they can't be folded into the convolution
        made.end = made.node(node.op_type, made.end, made.constant(constants[node.input[1]]))
    maps: dict[tuple[int, ...], str] = {}
    shape = (3, *SFACE_SIZE)
    for layer in _without_large_slopes(_layers(constants, chain[2:-4])):
        made.end = made.node(
            "Conv", made.end, made.constant(layer.weights), made.constant(layer.bias), **layer.settings
        )
        made.end = _prelu(made, layer.slope)
        stride = layer.settings["strides"][0]
        shape = (len(layer.bias), *(-(-side // stride) for side in shape[1:]))
        maps[shape] = made.end
    for node in chain[-4:]:
        settings = {each.name: helper.get_attribute_value(each) for each in node.attribute if each.name != "momentum"}
        made.end = made.node(
            node.op_type, made.end, *(made.constant(constants[name]) for name in node.input[1:]), **settings
        )
    made.output("embedding", made.end, ["N", len(constants[chain[-1].input[1]])])
    pooled = [_pooled(made, maps[shape], shape[1] // SFACE_MAPS[1]) for shape in _JOINED]
    made.output("maps", made.node("Concat", *pooled, axis=1), ["N", *SFACE_MAPS])
    return made.model("sface")


def _prelu(made: Graph, slope: Array) -> str:
    """Append ``max(x, slope * x)`` for slopes of at most 1."""
    rest, sloped = (
        made.node("Conv", made.end, made.constant(each[:, None, None, None]), group=len(slope))
        for each in (1 - slope, slope)
    )
    return made.node("Add", sloped, made.node("Relu", rest))


def _pooled(made: Graph, name: str, times: int) -> str:
    side = [times, times]
    return name if times == 1 else made.node("AveragePool", name, kernel_shape=side, strides=side)


def _chain(graph: "onnx.GraphProto", unpacked: dict[str, Array]) -> "tuple[dict[str, Array], list[onnx.NodeProto]]":
    """Return the constants by name, and the nodes that compute something, each from the output of the one before."""
    from onnx import numpy_helper

    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer} | unpacked
    chain: list[onnx.NodeProto] = []
    (end,) = (each.name for each in graph.input)
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]].reshape(constants[node.input[1]].tolist())
        elif node.op_type not in {"Constant", "Reshape", "DequantizeLinear"}:
            if node.input[0] != end:
                raise ValueError(f"{node.op_type} reads {node.input[0]!r}, not {end!r}")
            end = node.output[0]
            if node.op_type != "Dropout":  # it has an effect in training only
                chain.append(node)
    return constants, chain


def _layers(constants: dict[str, Array], nodes: "Sequence[onnx.NodeProto]") -> Iterator[_Layer]:
    for convolution, norm, prelu in zip(nodes[::3], nodes[1::3], nodes[2::3], strict=True):
        scale, shift = _scale_and_shift(constants, norm)
        settings = {each.name: list(each.ints) or each.i for each in convolution.attribute}
        weights = constants[convolution.input[1]] * scale.astype(np.float32)[:, None, None, None]
        slope = np.broadcast_to(constants[prelu.input[1]].ravel(), shift.shape)
        yield _Layer(
            weights=weights,
            bias=shift.astype(np.float32),
            slope=slope.astype(np.float32),
            settings=settings,
        )


def _scale_and_shift(constants: dict[str, Array], norm: "onnx.NodeProto") -> tuple[Array, Array]:
    """Return what a batch normalisation multiplies by, and what it then adds; float64."""
    gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in norm.input[1:])
    (epsilon,) = (each.f for each in norm.attribute if each.name == "epsilon")
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def _without_large_slopes(layers: Iterator[_Layer]) -> Iterator[_Layer]:
    """Yield the layers with the channels of a slope above 1 negated, and the weights after them adapted."""
    signs = np.ones(1, np.float32)  # of the channels of the layer before
    for layer in layers:
        weights = layer.weights * (signs[:, None, None, None] if layer.settings["group"] > 1 else signs[:, None, None])
        signs = np.where(layer.slope > 1, np.float32(-1), np.float32(1))
        yield attrs.evolve(layer, weights=weights * signs[:, None, None, None], bias=layer.bias * signs)
    if (signs < 0).any():
        raise ValueError("a slope above 1 in the last layer")
