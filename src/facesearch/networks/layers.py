"""Layers of dlib's face networks, in the order they run, with weights as plain arrays."""

import math
from enum import Enum
from typing import Final, Literal

import attrs
import numpy as np
import numpy.typing as npt

from facesearch.errors import WeightsError

__all__ = ["Convolution", "Dense", "Layer", "Network", "Overlap", "Pair", "Plain", "Pool", "Shape", "Windows"]

Shape = tuple[int, int, int]  # channels, rows, columns: dlib's order and ONNX's
Pair = tuple[int, int]  # rows, columns

_ANY_SIDE: Final = 1_024  # pixels: stands for the sides of an input without a fixed size


@attrs.frozen(kw_only=True, eq=False)
class Convolution:
    """A convolution, its affine layer or batch norm folded in: weights (out, in, rows, columns), bias (out,)."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    stride: Pair
    padding: Pair


@attrs.frozen(kw_only=True)
class Pool:
    """The largest or the mean value of each window, never padded; a kernel of (0, 0) is the whole map."""

    kind: Literal["max", "mean"]
    kernel: Pair
    stride: Pair


@attrs.frozen(kw_only=True, eq=False)
class Dense:
    """A matrix product without bias: weights (in, out)."""

    weights: npt.NDArray[np.float32]


class Plain(Enum):
    """A layer without parameters.

    ``TAG`` remembers the current map, ``SKIP`` goes back to the tag before the last, ``ADD`` adds the last tag.
    """

    RELU = "relu"
    TAG = "tag"
    SKIP = "skip"
    ADD = "add"


Layer = Convolution | Pool | Dense | Plain


@attrs.frozen(kw_only=True)
class Overlap:
    """Condition under which two boxes show one object (dlib's ``test_box_overlap``): either fraction, 0-1, is exceeded.

    ``iou`` is the intersection over the area of the smallest box around both (not over their union: dlib's own measure), ``covered``
    over the area of either box.
    """

    iou: float
    covered: float


@attrs.frozen(kw_only=True)
class Windows:
    """A detector's window of width x height pixels, and the overlap from which one of two detections is dropped."""

    width: int
    height: int
    suppression: Overlap


@attrs.frozen(kw_only=True, eq=False)
class Network:
    """One of dlib's networks as read: its layers in the order they run.

    ``mean``, red, green and blue (0-255), is subtracted from each pixel before the division by 256. ``size`` has the rows and columns of
    the input, or is ``None``; ``windows`` are a detector's options.
    """

    mean: tuple[float, float, float]
    size: Pair | None
    windows: Windows | None
    layers: tuple[Layer, ...]

    def shapes(self) -> list[Shape]:
        """Return the shape after each layer; for a network without a fixed input size, those of an input of 1024 x 1024 pixels.

        A layer that can't follow the one before raises a `WeightsError`.
        """
        shape: Shape = (3, *(self.size or (_ANY_SIDE, _ANY_SIDE)))
        shapes: list[Shape] = []
        tagged: list[Shape] = []
        for layer in self.layers:
            after = _after(layer, shape, tagged)
            if after is None or min(after) < 1 or (layer is Plain.ADD and self.size is None):
                kind = layer.value if isinstance(layer, Plain) else type(layer).__name__.lower()
                raise WeightsError(f"not a network of dlib's face models: {kind} can't follow a map of {shape}")
            shapes.append(shape := after)
        return shapes


def _after(layer: Layer, shape: Shape, tagged: list[Shape]) -> Shape | None:
    """Return the output shape of *layer* for an input of *shape*, ``None`` if it can't run; update *tagged*."""
    after: Shape | None = None
    match layer:
        case Convolution(weights=weights) if weights.shape[1] == shape[0]:
            after = (weights.shape[0], *_slid(shape, weights.shape[2:], layer.stride, layer.padding))
        case Pool(kernel=(0, 0)):
            after = (shape[0], 1, 1)
        case Pool():
            after = (shape[0], *_slid(shape, layer.kernel, layer.stride, (0, 0)))
        case Dense(weights=weights) if weights.shape[0] == math.prod(shape):
            after = (weights.shape[1], 1, 1)
        case Plain.RELU:
            after = shape
        case Plain.TAG:
            tagged.append(after := shape)
        case Plain.SKIP if len(tagged) > 1:
            after = tagged[-2]
        case Plain.ADD if tagged:
            other = tagged[-1]
            tagged.clear()
            after = (max(shape[0], other[0]), max(shape[1], other[1]), max(shape[2], other[2]))
    return after


def _slid(shape: Shape, kernel: tuple[int, ...], stride: Pair, padding: Pair) -> Pair:
    rows, columns = (
        (side + 2 * pad - window) // step + 1
        for side, window, step, pad in zip(shape[1:], kernel, stride, padding, strict=True)
    )
    return rows, columns
