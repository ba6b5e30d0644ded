"""Rewrite YuNet's graph, in memory: any batch and picture size, whole bytes RGB in, and one map of 16 channels a stride out."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facesearch.errors import WeightsError
from facesearch.networks.onnx_simplify import MOST_EXPANSION, parsed, unpack_weights

if TYPE_CHECKING:
    import onnx

__all__ = ["CHANNELS", "STRIDES", "yunet_model"]

STRIDES: Final = (8, 16, 32)
# Names of the heads in the file, and the number of channels of each. In a map they follow each other in this order.
_HEADS: Final = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
CHANNELS: Final = sum(_HEADS.values())


def yunet_model(content: bytes) -> "onnx.ModelProto":
    """Return YuNet as a graph from ``pixels``, (N, H, W, 3) uint8 RGB, to ``maps8``, ``maps16``, ``maps32``.

    H and W are multiples of 32. Each map is (N, 16, H / stride, W / stride) float32: the logits of ``cls`` and ``obj``, four numbers of the
    box, ten of the points. *content* is that of ``face_detection_yunet_2023mar_int8bq.onnx``, or of another export of the same graph; any
    other file raises a `WeightsError`.

    The file computes twelve outputs by 24 small convolutions, two for each of four heads at three strides. The second ones compute
    each channel alone, so the four heads of a stride are one convolution followed by a depthwise one, with the same numbers; that
    takes 15 to 20% less time. The logistic function of ``cls`` and ``obj`` is left to the caller, who needs few values.
    """
    from onnx import TensorProto, helper

    model = parsed("YuNet", content)
    graph = model.graph
    unpack_weights(graph, most_bytes=MOST_EXPANSION * len(content))
    producers = {name: node for node in graph.node for name in node.output}
    outputs = []
    for stride in STRIDES:
        heads = [_convolutions(producers, f"{head}_{stride}", channels) for head, channels in _HEADS.items()]
        features = {first.input[0] for first, _ in heads}
        if len(features) != 1:
            raise WeightsError(
                f"YuNet: expected one map that the heads of stride {stride} share, got {sorted(features)}"
            )
        hidden = _merged(graph, f"hidden{stride}", features.pop(), [first for first, _ in heads])
        _merged(graph, f"maps{stride}", hidden, [second for _, second in heads], pads=[1, 1, 1, 1], group=CHANNELS)
        shape: list[str | int | None] = ["N", CHANNELS, f"rows{stride}", f"columns{stride}"]
        outputs.append(helper.make_tensor_value_info(f"maps{stride}", TensorProto.FLOAT, shape))
    _take_pixels(graph)
    del graph.output[:], graph.value_info[:]
    graph.output.extend(outputs)
    _drop_unused(graph)
    return model


def _convolutions(
    producers: "dict[str, onnx.NodeProto]", output: str, channels: int
) -> "tuple[onnx.NodeProto, onnx.NodeProto]":
    """Return the two convolutions of a head: to its channels, and depthwise on them."""
    node = producers.get(output)
    while node is not None and node.op_type in {"Reshape", "Sigmoid", "Transpose"}:
        node = producers.get(node.input[0])
    if node is not None and _is_convolution(node, [3, 3], channels):
        before = producers.get(node.input[0])
        if before is not None and _is_convolution(before, [1, 1], 1):
            return before, node
    raise WeightsError(f"YuNet: expected two convolutions before the output {output!r}, the second one depthwise")


def _is_convolution(node: "onnx.NodeProto", kernel: list[int], group: int) -> bool:
    attributes = {each.name: each.i or list(each.ints) for each in node.attribute}
    values, weights, bias = 0, 1, 2
    complete = len(node.input) > bias and all(node.input[place] for place in (values, weights, bias))
    return (
        node.op_type == "Conv" and complete and {"kernel_shape": kernel, "group": group}.items() <= attributes.items()
    )


def _merged(
    graph: "onnx.GraphProto", name: str, source: str, convolutions: "list[onnx.NodeProto]", **attributes: Any
) -> str:
    """Append one convolution that computes the channels of several; ONNX Runtime joins their constants when it loads the graph."""
    from onnx import helper

    joined = [f"{name}_weights", f"{name}_bias"]
    for place, each in enumerate(joined, 1):
        graph.node.append(helper.make_node("Concat", [node.input[place] for node in convolutions], [each], axis=0))
    graph.node.append(helper.make_node("Conv", [source, *joined], [name], **attributes))
    return name


def _take_pixels(graph: "onnx.GraphProto") -> None:
    """Convert the input to whole bytes, colour last, RGB: YuNet's own input is float32, colour first, BGR."""
    from onnx import TensorProto, helper, numpy_helper

    names = [each.name for each in graph.input]
    users = [node for node in graph.node if set(node.input) & {*names}]
    if len(names) != 1 or len(users) != 1 or users[0].op_type != "Conv":
        raise WeightsError(f"YuNet: expected one input that one convolution reads, got {names}")
    (first,) = users
    graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "facesearch_bgr"))
    added = [
        # Transposed first, while a pixel is one byte a colour.
        helper.make_node("Transpose", ["pixels"], ["facesearch_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["facesearch_planes"], ["facesearch_floats"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [first.input[1], "facesearch_bgr"], ["facesearch_first"], axis=1),
    ]
    first.input[0], first.input[1] = "facesearch_floats", "facesearch_first"
    # Nodes that make the first weights out of constants come before the node that reorders them.
    place = next(number for number, node in enumerate(graph.node) if node is first)
    nodes = [*list(graph.node)[:place], *added, *list(graph.node)[place:]]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", "H", "W", 3]))


def _drop_unused(graph: "onnx.GraphProto") -> None:
    """Remove nodes that no output needs."""
    needed = {each.name for each in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & {*node.output}:
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
