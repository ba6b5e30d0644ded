"""Read the networks that dlib serialized, without dlib: bytes in, a :class:`~facesearch.networks.layers.Network` out.

The format: an integer is a control byte (low nibble: how many bytes follow; high bit: negative) and
little-endian bytes; a real number is two of those, a mantissa and an exponent of two; a flag is the character
``0`` or ``1``; a string carries its length; a tensor is the version 2, four dimensions and little-endian
float32. A network is its loss, then one version number for each wrapper from the outside in (1: a tag or a
skip; 2: a layer; 3: the innermost layer), the input, and the layers from the inside out, which is the order
they run in. Tags and skips are stored in those numbers only.

Source: https://github.com/davisking/dlib, ``dlib/dnn/core.h``, ``layers.h``, ``loss.h`` and ``serialize.h``.
"""

import math
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, Final, Literal

import attrs
import numpy as np
import numpy.typing as npt

from facesearch.errors import WeightsError
from facesearch.networks.layers import Convolution, Dense, Layer, Network, Overlap, Pair, Plain, Pool, Windows

__all__ = ["read_network"]

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]

_MOST_LAYERS: Final = 1_000  # the embedding network has 130 wrappers; a damaged file may claim millions
_MOST_PIXELS: Final = 1_024  # no kernel, stride, padding, window or fixed input of ours is near this
_LARGEST: Final = 1e6  # of a weight; the largest in the two files is 98
_LEAST_EPS: Final = 1e-9  # added to a variance; dlib's default is 1e-4
_PIXEL_VALUES: Final = 256
_INNERMOST: Final = 3  # the version dlib gives the layer next to the input


def read_network(data: bytes) -> Network:
    """Read a network that dlib serialized, from the whole ``.dat`` file.

    Affine layers and batch norms are folded into the convolutions before them. Every count is checked against the bytes that are left
    before anything is allocated, so a damaged file costs no more than its own size. Altered weights can't be detected: compare the
    file's SHA-256 for that.

    Raises
    ------
    WeightsError
        The bytes are truncated or damaged, or are not a network built from the layers of dlib's face models.
    """
    reader = _Reader(data)
    reader.expect(1, "version of the loss layer")
    windows = _LOSSES[reader.one_of(_LOSSES, "loss")](reader)
    versions = _wrappers(reader)
    sized = reader.one_of(_INPUTS, "input") == "input_rgb_image_sized"
    mean = (reader.real(), reader.real(), reader.real())
    size = reader.pair(1) if sized else None
    if not all(0 <= value < _PIXEL_VALUES for value in mean):
        raise reader.error(f"means of 0-255 were expected, not {mean}")
    layers: list[Layer] = []
    for version, run in groupby(versions):
        count = len(list(run))
        if version == 1:
            if count > len(_TAGS):
                raise reader.error(f"{count} tags in a row")
            layers += _TAGS[:count]
        else:
            for _ in range(count):
                _read_layer(reader, layers, innermost=version == _INNERMOST)
    reader.end()
    network = Network(mean=mean, size=size, windows=windows, layers=tuple(layers))
    network.shapes()
    if not isinstance(layers[0], Convolution) or layers[0].padding != (0, 0):
        raise reader.error("the first layer should be a convolution without padding")
    return network


class _Reader:
    """Reader over the bytes of a network."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def error(self, fault: str) -> WeightsError:
        where = f"at byte {self._at} of {len(self._data)}"
        return WeightsError(f"not a network of dlib's face models: {fault}, {where}")

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise self.error(f"{count} more bytes were expected")
        self._at += count
        return self._data[self._at - count : self._at]

    def end(self) -> None:
        if self._at != len(self._data):
            raise self.error("the end was expected")

    def integer(self, low: int = 0, high: int = 2**63) -> int:
        control = self.take(1)[0]
        size, negative = control & 0x0F, control & 0x80
        if control & 0x70 or not 1 <= size <= 8:  # noqa: PLR2004
            raise self.error("an integer was expected")
        value = int.from_bytes(self.take(size), "little") * (-1 if negative else 1)
        if not low <= value <= high:
            raise self.error(f"a number of {low} to {high} was expected, not {value}")
        return value

    def real(self) -> float:
        mantissa = self.integer(-(2**63))
        return math.ldexp(mantissa, self.integer(-1_100, 900))

    def flag(self) -> None:
        if self.take(1) not in (b"0", b"1"):
            raise self.error("a flag was expected")

    def one_of(self, names: Mapping[str, Any], what: str) -> str:
        name = self.take(self.integer(0, 64)).decode("latin-1")
        if name not in names:
            raise self.error(f"the {what} {name!r} is not among {', '.join(names)}")
        return name

    def expect(self, value: int, what: str) -> None:
        found = self.integer()
        if found != value:
            raise self.error(f"the {what} should be {value}, not {found}")

    def pair(self, low: int) -> Pair:
        return self.integer(low, _MOST_PIXELS), self.integer(low, _MOST_PIXELS)

    def dimensions(self, version: int) -> tuple[int, int, int, int]:
        self.expect(version, "version of a tensor")
        return self.integer(), self.integer(), self.integer(), self.integer()

    def tensor(self) -> _Floats:
        shape = self.dimensions(2)
        values = np.frombuffer(self.take(4 * math.prod(shape)), dtype="<f4").astype(np.float32)
        if not (np.abs(values) < _LARGEST).all():
            raise self.error("a weight is not finite or far too large")
        return values

    def view(self) -> tuple[int, int, int, int]:
        return self.dimensions(1)


def _wrappers(reader: _Reader) -> list[int]:
    """Read the versions of the wrappers and return them from the inside out."""
    versions: list[int] = []
    while _INNERMOST not in versions[-1:]:
        versions.append(reader.integer(1, _INNERMOST))
        if len(versions) > _MOST_LAYERS:
            raise reader.error("too many layers")
    return versions[::-1]


def _read_mmod(reader: _Reader) -> Windows:
    reader.expect(1, "version of the detector's options")
    width, height = reader.pair(1)
    # Two losses, the overlap with the truth, and what is ignored only matter in training.
    _, _, _, iou, covered, _, _ = (reader.real() for _ in range(7))
    return Windows(width=width, height=height, suppression=Overlap(iou=iou, covered=covered))


def _read_metric(reader: _Reader) -> None:
    for _ in range(2):  # margin and distance threshold of the training
        reader.real()


def _read_layer(reader: _Reader, layers: list[Layer], *, innermost: bool) -> None:
    _LAYERS[reader.one_of(_LAYERS, "layer")](reader, layers)
    for _ in range(3):  # set up, gradient stale, gradients switched off
        reader.flag()
    for _ in range(3):  # gradients and cached output
        reader.tensor()
    if innermost:
        reader.expect(1, "sample expansion factor")


def _read_convolution(reader: _Reader, layers: list[Layer]) -> None:
    values = reader.tensor()
    out, kernel = reader.integer(1), reader.pair(1)
    stride, padding = reader.pair(1), reader.pair(0)
    filters, biases = reader.view(), reader.view()
    _multipliers(reader)
    size = math.prod(filters)
    if filters != (out, filters[1], *kernel) or biases != (1, out, 1, 1) or values.size != size + out:
        raise reader.error(f"a convolution's {values.size} weights are not {filters} and {biases}")
    weights, bias = values[:size].reshape(filters), values[size:]
    layers.append(Convolution(weights=weights, bias=bias, stride=stride, padding=padding))


def _read_affine(reader: _Reader, layers: list[Layer]) -> None:
    values = reader.tensor()
    size = _halves(reader, values)
    reader.expect(0, "mode of an affine layer")
    _fold(reader, layers, values[:size].astype(np.float64), values[size:].astype(np.float64))


def _read_batch_norm(reader: _Reader, layers: list[Layer]) -> None:
    values = reader.tensor()
    size = _halves(reader, values)
    for _ in range(2):  # mean and deviation of the last batch in training
        reader.tensor()
    mean, variance = reader.tensor().astype(np.float64), reader.tensor().astype(np.float64)
    for _ in range(2):  # updates so far, and the window of the running statistics
        reader.integer()
    _multipliers(reader)
    eps = reader.real()
    if mean.size != size or variance.size != size or eps < _LEAST_EPS or (variance < 0).any():
        raise reader.error("the statistics of a batch norm don't fit")
    scale = values[:size] / np.sqrt(variance + eps)
    _fold(reader, layers, scale, values[size:] - scale * mean)


def _halves(reader: _Reader, values: _Floats) -> int:
    scale, shift = reader.view(), reader.view()
    if scale != shift or scale != (1, scale[1], 1, 1) or values.size != 2 * scale[1]:
        raise reader.error(f"{values.size} numbers are not {scale} and {shift}")
    return scale[1]


def _fold(reader: _Reader, layers: list[Layer], scale: _Doubles, shift: _Doubles) -> None:
    last = layers[-1] if layers else None
    if not isinstance(last, Convolution) or last.bias.size != scale.size:
        raise reader.error("an affine layer must follow a convolution of its size")
    weights, bias = last.weights * scale[:, None, None, None], last.bias * scale + shift  # in float64
    if not (np.abs(weights) < _LARGEST).all() or not (np.abs(bias) < _LARGEST).all():
        raise reader.error("a weight is far too large")
    layers[-1] = attrs.evolve(last, weights=weights.astype(np.float32), bias=bias.astype(np.float32))


def _read_pool(kind: Literal["max", "mean"]) -> Callable[[_Reader, list[Layer]], None]:
    def read(reader: _Reader, layers: list[Layer]) -> None:
        pool = Pool(kind=kind, kernel=reader.pair(0), stride=reader.pair(1))
        whole = kind == "mean" and pool.kernel == (0, 0)
        if reader.pair(0) != (0, 0) or (not whole and min(pool.kernel) < 1):
            raise reader.error(f"{pool} is no pooling of ours")
        layers.append(pool)

    return read


def _read_dense(reader: _Reader, layers: list[Layer]) -> None:
    out, inn = reader.integer(1), reader.integer(1)
    values = reader.tensor()
    view, _ = reader.view(), reader.view()
    reader.expect(1, "mode of a layer without bias")
    _multipliers(reader)
    if view != (inn, out, 1, 1) or values.size != inn * out:
        raise reader.error(f"{values.size} weights are not {inn} x {out}")
    layers.append(Dense(weights=values.reshape(inn, out)))


def _multipliers(reader: _Reader) -> None:
    for _ in range(4):  # learning rate and weight decay, of weights and of biases
        reader.real()


_TAGS: Final = (Plain.TAG, Plain.SKIP)  # a lone 1 is a tag, the second of two a skip
_LOSSES: Final[dict[str, Callable[[_Reader], Windows | None]]] = {
    "loss_metric_2": _read_metric,
    "loss_mmod_": _read_mmod,
}
_INPUTS: Final = dict.fromkeys(("input_rgb_image_sized", "input_rgb_image_pyramid"))
_LAYERS: Final[dict[str, Callable[[_Reader, list[Layer]], None]]] = {
    "con_4": _read_convolution,
    "affine_": _read_affine,
    "bn_con2": _read_batch_norm,
    "relu_": lambda _, layers: layers.append(Plain.RELU),
    "add_prev_": lambda _, layers: layers.append(Plain.ADD),
    "max_pool_2": _read_pool("max"),
    "avg_pool_2": _read_pool("mean"),
    "fc_2": _read_dense,
}
