"""Store rows a second time in 8 bits, so that a search among millions reads a quarter of the memory.

A row *x* is moved by a fixed centre *c* and rounded to whole steps of its own, ``x - c = step * codes + lost``; a probe likewise,
``p - c = step' * digits + missed``. The rounding error of their product is ``step * codes . missed + (p - c) . lost``, which
is at most ``|step * codes| |missed| + |p - c| |lost|`` (Cauchy and Schwarz), and as ``2 a b <= a^2 / k + k b^2`` for any k > 0, at
most a part that each row knows and a part that the probe knows: what `facesearch.matching.shortlist` asks of a first pass. All lengths are
measured: a row that 8 bits approximate badly has a wider bound, and is never missed.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.matching.row_keys import Rows
from facesearch.matching.shortlist import FirstPass
from facesearch.networks.runtime import open_session

if TYPE_CHECKING:
    import onnx

__all__ = ["CodeScores", "Codes", "center_of"]

Exact = npt.NDArray[np.float64]

_MOST_CODE: Final = 127
# Digits are given with this for zero, 0 to 128: the sum of two products then stays below 2^15, where processors without VNNI
# clip it.
_MOST_DIGIT: Final = 64
# No face needs other steps; with these no product in float32 under- or overflows.
_LEAST_STEP: Final = 2.0**-60
_MOST_STEP: Final = 2.0**40
_MOST_WEIGHT: Final = 2.0**126
# The k above, for what rows lose and for what probes miss: about the shares that these are of a face's vector. The bounds hold
# whatever they are.
_LOST: Final = 2.0**-7
_MISSED: Final = 2.0**-6
# Ample for rounding scores to float32, four times 2^-24 of each term.
_ROUNDED: Final = 2.0**-18
_CENTER_ROWS: Final = 4096
_ROWS_AT_ONCE: Final = 256  # what they take in float64 stays in the cache


def center_of(matrix: FloatArray) -> FloatArray:
    """Return the median of some rows, which outliers hardly move: (D,) float32."""
    some = matrix[:: -(-len(matrix) // _CENTER_ROWS)]
    center: FloatArray = np.partition(some, len(some) // 2, axis=0)[len(some) // 2]
    return center


class Codes:
    """A block of rows in 8 bits, with room for *rows*; the *center*, (D,) float32, is the same for all blocks."""

    def __init__(self, rows: int, center: FloatArray) -> None:
        self.center = center
        self.matrix = np.empty((rows, len(center)), np.int8, order="F")  # as the quickest product wants it
        self.steps, self.weights, self.doubts = (np.empty(rows, np.float32) for _ in range(3))
        self.excess = np.empty(rows, np.int32)  # that the zero of digits puts into products

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """The columns of the block."""
        return self.matrix, self.steps, self.weights, self.doubts, self.excess

    def put(self, places: "slice | Rows", vectors: FloatArray, offsets: Exact) -> None:
        """Set rows, as `facesearch.matching.vector_index.VectorIndex.put_many` does."""
        places = np.arange(places.start, places.stop) if isinstance(places, slice) else places
        for first in range(0, len(vectors), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            self._put(places[part], vectors[part], offsets[part])

    def _put(self, places: Rows, vectors: FloatArray, offsets: Exact) -> None:
        moved = np.subtract(vectors, self.center, dtype=np.float64)
        steps = np.clip(np.abs(moved).max(axis=1) / _MOST_CODE, _LEAST_STEP, _MOST_STEP).astype(np.float32)
        norms = _squares(moved) + offsets
        codes = _rounded(moved, steps[:, np.newaxis], _MOST_CODE)
        coded = _squares(codes) * np.square(steps, dtype=np.float64)
        lost = _squares(moved) / _LOST  # moved holds the remainder now
        doubts = (lost + _MISSED * coded) / 2 + _ROUNDED * (norms + coded + lost)
        weights = np.clip(norms / 2 - doubts, -_MOST_WEIGHT, _MOST_WEIGHT).astype(np.float32)
        self.matrix[places] = codes
        self.excess[places] = _MOST_DIGIT * codes.sum(axis=1)
        self.steps[places] = steps
        self.weights[places] = weights
        with np.errstate(over="ignore"):  # lengths of 1e19: an infinite bound
            self.doubts[places] = (norms / 2 + doubts - weights).astype(np.float32)


class CodeScores(FirstPass):
    """The first pass in 8 bits for probes (P, D) float32; its columns are those of `Codes`, and *center* theirs."""

    spread = 1.0

    def __init__(self, probes: FloatArray, center: FloatArray) -> None:
        moved = np.subtract(probes, center, dtype=np.float64)
        # The same for all: multiplied with rows' steps before there are scores.
        self._step = np.clip(np.abs(moved).max() / _MOST_DIGIT, _LEAST_STEP, _MOST_STEP).astype(np.float32)
        self.norms = _squares(moved)
        self._digits = (_rounded(moved, self._step, _MOST_DIGIT) + _MOST_DIGIT).astype(np.uint8)
        missed = _squares(moved) / _MISSED
        tiny = float(np.finfo(np.float32).tiny)  # float32's underflow is absolute
        self.slack = (_LOST * self.norms + missed) / 2 + _ROUNDED * (self.norms + missed) + tiny
        # One for each search: its threads would not survive a fork. It takes half a millisecond.
        self._session = open_session(_product())

    @override
    def of(self, *columns: npt.NDArray[Any]) -> Callable[[slice], tuple[FloatArray, FloatArray]]:
        codes, steps, weights, doubts, excess = columns
        (products,) = self._session.run(None, {"digits": self._digits, "codes": codes.T})
        products -= excess

        def scores(rows: slice) -> tuple[FloatArray, FloatArray]:
            found = np.multiply(products[:, rows], steps[rows] * self._step, dtype=np.float32, casting="unsafe")
            found -= weights[rows]
            return found.T, doubts[rows]

        return scores


def _squares(rows: Exact) -> Exact:
    squares: Exact = np.einsum("ij,ij->i", rows, rows)
    return squares


def _rounded(moved: Exact, step: Any, most: int) -> Exact:
    """Return *moved* in whole steps, clipped at *most*, and leave the remainder in *moved*."""
    whole: Exact = np.clip(np.rint(moved / step), -most, most)
    moved -= whole * step
    return whole


@cache
def _product() -> "onnx.ModelProto":
    """Return the ONNX graph of the product of digits (P, D) uint8 and codes (D, N) int8: (P, N) int32."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["digits", "codes"], ["products"])],
        "product",
        [
            helper.make_tensor_value_info("digits", TensorProto.UINT8, ["P", "D"]),
            helper.make_tensor_value_info("codes", TensorProto.INT8, ["D", "N"]),
        ],
        [helper.make_tensor_value_info("products", TensorProto.INT32, ["P", "N"])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
