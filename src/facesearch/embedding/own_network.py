"""Embed faces with a user's own network: an ONNX file, declared on a card and checked against it.

For networks like ArcFace's, which take a small crop with eyes, nose and mouth at fixed places. Nothing is downloaded; the file's
owner must permit its use: docs/own-network.md.
"""

from functools import partial
from typing import Any

import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.common.once import Once
from facesearch.common.validation import check_int
from facesearch.domain.entities import FaceModel
from facesearch.embedding.five_point_crop import cut_by_five_points
from facesearch.embedding.network_card import ARCFACE_TEMPLATE, ChannelOrder, NetworkCard, TensorLayout, face_model_of
from facesearch.errors import InvalidParameterError, WeightsError
from facesearch.networks.onnx_file import file_digest, open_file
from facesearch.networks.weights import WeightFile
from facesearch.stages import AlignedFace, Embedder

__all__ = ["ARCFACE_TEMPLATE", "ChannelOrder", "NetworkCard", "NetworkEmbedder", "TensorLayout"]

_BATCH = 16  # faces in one run, as for dlib's network
# Largest difference between two runs, relative to the largest element of a vector: the order of summation may differ.
_TOLERANCE = 1e-3


class NetworkEmbedder(Embedder):
    """The embedding stage of `FaceAnalyzer` with a user's own network.

    The file is hashed here, and read at the first face or by `load`; it must not have changed then. Safe to use from many threads.

    Parameters
    ----------
    card
        The network and its input.
    threads
        Cores that one call may use, >= 1; ``None`` for all that this process may use, up to 4.

    Raises
    ------
    WeightsError
        The file is missing, or not the one of the card's *sha256*.
    InvalidParameterError
        *card* or *threads* is invalid.

    Notes
    -----
    A file can only compute: it has standard operators only and contains its weights. It can still use any amount of time and
    memory, so use files from people you trust, or limit the process.
    """

    def __init__(self, card: NetworkCard, *, threads: int | None = None) -> None:
        if not isinstance(card, NetworkCard):
            raise InvalidParameterError.of("card", card, "a NetworkCard")
        self._card = card
        self._threads = None if threads is None else check_int("threads", threads, 1)
        self._sha256 = file_digest(card.path, card.sha256)
        self._face_model = face_model_of(card, self._sha256)
        self._loaded: Once[_Network] = Once()

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return partial(type(self), self._card, threads=self._threads), ()

    @property
    def card(self) -> NetworkCard:
        """The card: the network and its input."""
        return self._card

    @property
    def face_model(self) -> FaceModel:
        """The model; its digest covers the file and every field of the card that changes a vector."""
        return self._face_model

    @property
    def weights(self) -> WeightFile:
        """The file as `facesearch.models` lists those of the library."""
        return WeightFile(
            name=self._card.path.name,
            purpose=f"embedding: {self._card.dimension} numbers for a face",
            sha256=self._sha256,
            package="none: brought by you",
            origin=str(self._card.path),
            licence=self._card.licence,
            training_data=self._card.training_data,
        )

    def load(self) -> None:
        """Load the network and check it against the card now, rather than at the first face.

        Raises
        ------
        WeightsError
            The file has changed, is not an ONNX file, has external weights, uses non-standard operators, or does not
            return the same vector for the same crop.
        InvalidParameterError
            The card does not fit the file; the message names the field.
        """
        self._loaded(self._load)

    @override
    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:  # the stage's signature
        return cut_by_five_points(pixels, points, self._card.template, self._card.size)

    def embed(self, chips: PixelArray) -> FloatArray:
        """Embed crops from `cut`, as `facesearch.stages.Embedder.embed` specifies.

        Raises
        ------
        WeightsError, InvalidParameterError
            As for `load`, or the network returned numbers that are not finite; *chips* are not of the card's size.
        """
        if len(chips) == 0:
            return np.empty((0, self._card.dimension), np.float32)
        width, height = self._card.size
        if chips.dtype != np.uint8 or chips.shape[1:] != (height, width, 3):
            expected = f"uint8 of shape (N, {height}, {width}, 3), from cut"
            raise InvalidParameterError.of("chips", (chips.dtype.name, chips.shape), expected)
        network = self._loaded(self._load)
        vectors = network.run(chips).astype(np.float64)
        if self._card.mirrored:
            vectors = (vectors + network.run(chips[:, :, ::-1])) / 2
        if self._card.unit_length:
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            # Zero vectors stay zero: they have no direction, and collections refuse them.
            vectors = vectors / np.where(length > 0, length, 1)
        return vectors.astype(np.float32)

    def _load(self) -> "_Network":
        return _Network(self._card, open_file(self._card.path, self._sha256, threads=self._threads))


class _Network:
    """A session that was checked against its card."""

    def __init__(self, card: NetworkCard, session: Any) -> None:
        self._card = card
        self._session = session
        self._mean, self._scale = np.array(card.mean, np.float32), np.array(card.scale, np.float32)
        inputs = session.get_inputs()
        if not inputs:
            raise WeightsError(f"{card.path}: expected a network with an input that some node uses, got none")
        self._input = _choose("input_name", card.input_name, inputs)
        self._output = _choose("output_name", card.output_name, session.get_outputs()).name
        others = [each.name for each in inputs if each.name != self._input.name]
        if others:
            raise WeightsError(f"{card.path}: expected a network with one input, got also {others[:3]}")
        self._check_input()
        self._batch = self._measure_batch()

    def run(self, crops: PixelArray) -> FloatArray:
        """Return the raw output of the network, (N, dimension) float32, for N >= 1 crops."""
        rows = [self._run(crops[start : start + self._batch]) for start in range(0, len(crops), self._batch)]
        return np.concatenate(rows)

    def _run(self, crops: PixelArray) -> FloatArray:
        ordered = crops[..., ::-1] if self._card.channels is ChannelOrder.BGR else crops
        values = (ordered.astype(np.float32) - self._mean) * self._scale
        if self._card.layout is TensorLayout.NCHW:
            values = values.transpose(0, 3, 1, 2)
        path, output, expected = self._card.path, self._output, (len(crops), self._card.dimension)
        try:
            result = np.asarray(self._session.run([output], {self._input.name: np.ascontiguousarray(values)})[0])
        except Exception as error:
            # ONNX Runtime's errors have no base of their own.
            raise WeightsError(f"{path}: ONNX Runtime can't run it ({error})") from error
        if result.dtype != np.float32:
            raise WeightsError(f"{path}: expected float32 from {output!r}, got {result.dtype}")
        if result.ndim == len(expected) and len(result) == len(crops) and result.shape != expected:
            raise InvalidParameterError.of(
                "dimension", expected[1], f"{result.shape[1]}, what {output!r} of {path} gives"
            )
        if result.shape != expected:
            raise WeightsError(f"{path}: expected {expected} from {output!r}, got {result.shape}")
        if not np.isfinite(result).all():
            raise WeightsError(f"{path}: gave numbers that are not finite")
        return result

    def _check_input(self) -> None:
        card, shape = self._card, self._input.shape
        if self._input.type != "tensor(float)":
            raise WeightsError(f"{card.path}: expected an input of float32, got {self._input.type}")
        if len(shape) != len(card.layout.value):
            raise WeightsError(f"{card.path}: expected an input of 4 axes, got {shape}")
        seen = f"for the input {self._input.name!r} of {card.path}, which is {shape}"
        # A side that the file leaves open is None, a name, or not positive.
        fixed = [side if isinstance(side, int) and side > 0 else None for side in shape]
        number, channels, height, width = (fixed[card.layout.value.index(axis)] for axis in "NCHW")
        if channels not in {None, 3}:
            (other,) = {*TensorLayout} - {card.layout}
            if fixed[other.value.index("C")] == 3:  # noqa: PLR2004  # red, green, blue
                raise InvalidParameterError.of("layout", card.layout.value, f"{other.value}, {seen}")
            raise WeightsError(f"{card.path}: expected an input of 3 channels, got {shape}")
        expected = (width or card.size[0], height or card.size[1])
        if expected != card.size:
            raise InvalidParameterError.of("size", card.size, f"{expected}, {seen}")
        if number not in {None, 1}:
            raise WeightsError(f"{card.path}: expected an input for any number of crops, or for one, got {shape}")

    def _measure_batch(self) -> int:
        """Return the batch size in which no crop changes the vector of another, measured on noise."""
        width, height = self._card.size
        noise = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
        apart = np.concatenate([self._run(noise[:1]), self._run(noise[1:])])
        if not _nearly_equal(apart[:1], self._run(noise[:1])):
            raise WeightsError(f"{self._card.path}: expected the same vector for the same crop, got two")
        if self._input.shape[0] == 1:
            return 1
        try:
            together = self._run(noise)
        except (WeightsError, InvalidParameterError):
            return 1  # some files declare any number, and have a fixed 1 further in
        return _BATCH if _nearly_equal(apart, together) else 1


def _choose(argument: str, name: str | None, tensors: Any) -> Any:
    """Return the tensor with the card's name, or the only one."""
    names = [each.name for each in tensors]
    if name is None and len(names) == 1:
        return tensors[0]
    if name in names:
        return tensors[names.index(name)]
    raise InvalidParameterError.of(argument, name, f"one of {', '.join(names)}")


def _nearly_equal(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.abs(one - other).max() <= _TOLERANCE * np.abs(one).max())
