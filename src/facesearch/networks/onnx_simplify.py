"""Rewrite an ONNX graph of unknown origin so that ONNX Runtime runs it: in memory, without changing what it computes.

Three habits of exporters stand in the way: weights listed among the inputs (older MXNet and PyTorch exports), weights quantised in
blocks (OpenCV Zoo's ``int8bq`` files), and a batch size fixed at one.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facesearch.errors import WeightsError

if TYPE_CHECKING:
    import onnx

__all__ = [
    "MOST_EXPANSION",
    "drop_dead_inputs",
    "every_part",
    "free_batch",
    "parsed",
    "unpack_weights",
    "unpacked_weights",
]

MOST_EXPANSION: Final = 16  # of a weight of 2 bits, the smallest there is, as a float32
_BATCH_NAME: Final = "facesearch_batch"
_FLOAT_BYTES: Final = 4
_INTEGERS: Final = ("INT2", "UINT2", "INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16", "INT32")


def every_part(message: Any) -> Iterator[Any]:
    """Yield every message within a message, at any depth: nodes and constants of branches and loops too."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                yield each
                yield from every_part(each)


def parsed(name: str, content: bytes) -> "onnx.ModelProto":
    """Parse a network of the library, and remove its dead inputs; *name* is for the `WeightsError` where it is no ONNX file."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no type information

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise WeightsError(f"{name}: expected an ONNX file, got something else") from None
    drop_dead_inputs(model.graph)
    return model


def drop_dead_inputs(graph: "onnx.GraphProto") -> None:
    """Remove each input that is an initializer, or that neither a node nor an output uses.

    An initializer among the inputs is a default that callers may replace. ONNX Runtime then treats no weight as a constant.
    """
    constant = {each.name for each in graph.initializer} | {each.values.name for each in graph.sparse_initializer}
    used = _used(graph)
    kept = [each for each in graph.input if each.name in used and each.name not in constant]
    del graph.input[:]
    graph.input.extend(kept)


def unpack_weights(graph: "onnx.GraphProto", *, most_bytes: int) -> None:
    """Replace each block-wise DequantizeLinear node of constants by the floating-point constant that it computes.

    ONNX Runtime runs block-wise nodes of some types and shapes only. Nodes without blocks are left to it: it runs all of them, in
    8-bit arithmetic where the graph is made for that. Reshape and Transpose nodes of constants it folds itself. A node that does
    not meet the operator's definition stays, and ONNX Runtime reports why it can't be run.

    The constants may take *most_bytes* together; more raise a `WeightsError`. Many nodes can share one small tensor, so that a small
    file could ask for any amount of memory.
    """
    from onnx import numpy_helper

    unpacked = unpacked_weights(graph, most_bytes=most_bytes)
    if unpacked:
        kept = [node for node in graph.node if not {*node.output} & unpacked.keys()]
        del graph.node[:]
        graph.node.extend(kept)
        used = _used(graph)
        constants = [each for each in graph.initializer if each.name in used]  # without those of the folded nodes
        del graph.initializer[:]
        graph.initializer.extend(constants)
        graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in unpacked.items())


def unpacked_weights(graph: "onnx.GraphProto", *, most_bytes: int) -> dict[str, npt.NDArray[Any]]:
    """Return what each node that `unpack_weights` replaces computes, by the name of its output; the graph stays as it is."""
    constants = _constants(graph)
    unpacked: dict[str, npt.NDArray[Any]] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            left = most_bytes - sum(values.nbytes for values in unpacked.values())
            values = _dequantised(node, constants, left)
            if values is not None:
                unpacked[node.output[0]] = values
    return unpacked


def free_batch(graph: "onnx.GraphProto") -> list["onnx.TensorShapeProto.Dimension"]:
    """Make the length of the first axis of inputs and outputs variable where it is fixed at one; return the axes changed.

    Test afterwards whether the graph computes each row alone. Shapes noted for values between nodes would contradict the
    free axis and are removed; ONNX Runtime infers them anyway.
    """
    ones = []
    for each in (*graph.input, *graph.output):
        axes = each.type.tensor_type.shape.dim
        if len(axes) > 1 and axes[0].dim_value == 1:
            ones.append(axes[0])
    for axis in ones:
        axis.dim_param = _BATCH_NAME
    if ones:
        del graph.value_info[:]
    return ones


def _constants(graph: "onnx.GraphProto") -> "dict[str, onnx.TensorProto]":
    constants = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants.update((node.output[0], each.t) for each in node.attribute if each.name == "value")
    return constants


def _dequantised(
    node: "onnx.NodeProto", constants: "dict[str, onnx.TensorProto]", most_bytes: int
) -> npt.NDArray[Any] | None:
    """Return the constant that a block-wise node computes; ``None`` for any other node."""
    from onnx import numpy_helper

    attributes = {each.name: each.i for each in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    names = [name for name in node.input if name]
    if block <= 0 or "output_dtype" in attributes or not {*names} <= constants.keys() or len(names) not in {2, 3}:
        return None
    packed, scale, *zero = [constants[name] for name in names]
    shape = list(packed.dims)
    if not _fit(packed, scale, zero, axis, block):
        return None
    if _FLOAT_BYTES * math.prod(shape) > most_bytes:
        raise WeightsError(f"weights quantised in blocks would take more memory than expected: {names[0]!r}")
    block_of = np.arange(shape[axis]) // block  # by position along the axis

    def spread(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        taken: npt.NDArray[Any] = values.take(block_of, axis=axis)
        return taken

    try:
        steps = numpy_helper.to_array(scale)
        values: npt.NDArray[Any] = numpy_helper.to_array(packed).astype(np.float32)
        for each in zero:
            values -= spread(numpy_helper.to_array(each).astype(np.float32))
        values *= spread(steps)
    except (ValueError, TypeError, KeyError, NotImplementedError):  # not the bytes that type and shape ask for
        return None
    folded: npt.NDArray[Any] = values.astype(steps.dtype, copy=False)
    return folded


def _fit(
    packed: "onnx.TensorProto", scale: "onnx.TensorProto", zero: "list[onnx.TensorProto]", axis: int, block: int
) -> bool:
    """Return whether types and shapes are those of a block-wise node that is folded here."""
    from onnx import TensorProto

    known = dict(TensorProto.DataType.items())  # 2 and 4 bits are not known to every version of onnx
    integers = {known[name] for name in _INTEGERS if name in known}
    shape = list(packed.dims)
    if not -len(shape) <= axis < len(shape) or min(shape) < 1:
        return False
    blocks = [*shape]
    blocks[axis] = -(-shape[axis] // block)
    return (
        {packed.data_type, *(each.data_type for each in zero)} <= integers
        and scale.data_type in {TensorProto.FLOAT, TensorProto.FLOAT16}
        and all(list(each.dims) == blocks for each in (scale, *zero))
    )


def _used(graph: "onnx.GraphProto") -> set[str]:
    """Return the names of values that a node reads, or that the graph or one within it returns."""
    used = {each.name for each in graph.output}
    for part in every_part(graph):
        if part.DESCRIPTOR.name == "NodeProto":
            used.update(part.input)
        elif part.DESCRIPTOR.name == "GraphProto":
            used.update(each.name for each in part.output)
    return used
