"""Reading the networks that dlib serialized: what the two files say, and that no other bytes do harm."""

import io
import sys
import tracemalloc
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from facesearch.errors import WeightsError
from facesearch.networks.dlib_onnx import detector_model, embedding_model
from facesearch.networks.dlib_reader import read_network
from facesearch.networks.layers import Convolution, Dense, Plain
from facesearch.networks.weights import FACE_DETECTOR, LANDMARKS_5, RESNET, weights_path
from samples import astronaut

EMBEDDING, DETECTOR = (weights_path(file).read_bytes() for file in (RESNET, FACE_DETECTOR))
FIRST_LAYER = DETECTOR.find(b"con_4") + len(b"con_4")
both = pytest.mark.parametrize("whole", [EMBEDDING, DETECTOR], ids=["embedding", "detector"])


def assert_refused(data: bytes, why: str = "not a network of dlib's face models") -> None:
    with pytest.raises(WeightsError, match=why):
        read_network(data)


def assert_harmless(data: bytes) -> None:
    """Nothing but a WeightsError comes out, and what can be read can be written down as a graph."""
    try:
        network = read_network(data)
    except WeightsError:
        return
    _ = embedding_model(network) if network.size else detector_model(network)


def structure(whole: bytes) -> list[int]:
    """Where the file says something other than weights: its head, and the bytes around the name of each layer."""
    places = set(range(150))
    for name in (b"con_4", b"bn_con2", b"affine_", b"relu_", b"pool_2", b"add_prev_", b"fc_2"):
        at = whole.find(name)
        while at >= 0:
            places.update(range(at - 60, at + 40))
            at = whole.find(name, at + 1)
    return sorted(place for place in places if place < len(whole))


EMBEDDING_STRUCTURE, DETECTOR_STRUCTURE = structure(EMBEDDING), structure(DETECTOR)


def test_the_embedding_network_takes_150_pixels_and_gives_128_numbers() -> None:
    network = read_network(EMBEDDING)
    assert network.size == (150, 150)
    assert network.windows is None
    assert network.shapes()[-1] == (128, 1, 1)
    assert isinstance(network.layers[-1], Dense)
    assert network.layers.count(Plain.ADD) == 14
    assert sum(isinstance(layer, Convolution) for layer in network.layers) == 29  # "29 conv layers": dlib-models


def test_the_detector_takes_any_size_and_gives_one_map() -> None:
    network = read_network(DETECTOR)
    assert network.size is None
    assert network.shapes()[-1][0] == 1
    assert sum(isinstance(layer, Convolution) for layer in network.layers) == 7


def test_the_detectors_window_and_rules_are_those_of_the_file() -> None:
    windows = read_network(DETECTOR).windows
    assert windows
    assert (windows.width, windows.height) == (80, 80)
    assert windows.suppression.iou == pytest.approx(0.338276, abs=1e-6)


@both
def test_a_file_cut_off_anywhere_or_too_long_is_refused(whole: bytes) -> None:
    rng = np.random.default_rng(5)
    for length in [*range(200), *rng.integers(0, len(whole), 60).tolist(), len(whole) - 1]:
        assert_refused(whole[:length])
    assert_refused(whole + b"\0", "the end was expected")


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(DETECTOR_STRUCTURE), st.integers(0, 255), min_size=1, max_size=4))
def test_changed_bytes_of_the_detector_do_no_harm(changes: dict[int, int]) -> None:
    damaged = bytearray(DETECTOR)
    for place, value in changes.items():
        damaged[place] = value
    assert_harmless(bytes(damaged))


@settings(max_examples=30)
@given(st.sampled_from(EMBEDDING_STRUCTURE), st.integers(0, 255))
def test_a_changed_byte_of_the_embedding_network_does_no_harm(place: int, value: int) -> None:
    assert_harmless(EMBEDDING[:place] + bytes([value]) + EMBEDDING[place + 1 :])


@given(st.binary(max_size=400))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    assert_refused(data)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_a_true_start_with_a_foreign_end_is_refused(data: bytes, length: int) -> None:
    assert_refused(DETECTOR[:length] + data)


def test_other_files_are_refused() -> None:
    jpeg = io.BytesIO()
    Image.fromarray(astronaut()).save(jpeg, "JPEG")
    assert_refused(jpeg.getvalue())
    for path in (weights_path(LANDMARKS_5), Path(sys.executable), Path(np.__file__)):
        assert_refused(path.read_bytes())


def test_huge_claims_cost_no_memory() -> None:
    huge = bytes([8]) + b"\xff" * 7 + b"\x7f"
    tensor = DETECTOR[:FIRST_LAYER] + b"\x01\x02" + huge * 4 + DETECTOR[FIRST_LAYER:]
    layers = DETECTOR[: DETECTOR.find(b"\x01\x02\x01\x02")] + b"\x01\x02" * 5_000_000
    tracemalloc.start()
    assert_refused(tensor, "more bytes were expected")
    assert_refused(b"\x01\x01" + huge)
    assert_refused(layers, "too many layers")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf, 1e30])
def test_a_weight_that_is_not_finite_or_far_too_large_is_refused(weight: float) -> None:
    at = FIRST_LAYER + 11  # after the version and the dimensions of its weights
    assert_refused(DETECTOR[:at] + np.array([weight], "<f4").tobytes() + DETECTOR[at + 4 :], "not finite or far too")


def changed(whole: bytes, old: bytes, new: bytes) -> bytes:
    assert old in whole
    return whole.replace(old, new, 1)


def test_layers_that_do_not_follow_each_other_are_refused() -> None:
    assert_refused(changed(EMBEDDING, b"\x01\x96\x01\x96", b"\x01\x10\x01\x10"), "can't follow a map")  # 16 pixels
    with pytest.raises(WeightsError, match="add can't follow"):  # the sizes of its two maps would not be known
        attrs.evolve(read_network(EMBEDDING), size=None).shapes()


def test_a_convolution_with_weights_left_over_is_refused() -> None:
    filters = b"\x01\x10\x01\x03\x01\x05\x01\x05"  # 16 of 3 channels, 5 x 5
    assert_refused(changed(DETECTOR, filters, filters.replace(b"\x03", b"\x02")), "a convolution's 1216 weights")
