"""SFace as the library runs it: the file's own numbers, unit vectors, views, and refusals."""

import pickle
from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

import facesearch as fs
from facesearch.common.arrays import PixelArray
from facesearch.embedding.sface import SFACE_MIRRORED, SFACE_PLAIN, SFaceEmbedder
from facesearch.errors import WeightsError
from facesearch.networks.onnx_simplify import drop_dead_inputs, unpack_weights
from facesearch.networks.runtime import check_providers, open_session
from facesearch.networks.sface_onnx import SFACE_MAPS, sface_model
from facesearch.networks.weights import SFACE, YUNET, read_weights
from samples import astronaut, hopper

CONTENT = read_weights(SFACE)


def crops_of(seed: int, count: int) -> PixelArray:
    return np.random.default_rng(seed).integers(0, 256, (count, 112, 112, 3), np.uint8)


def faces(analyzer: fs.FaceAnalyzer) -> PixelArray:
    """Return a face of Eileen Collins, her mirror image's, and one of Grace Hopper."""
    photos = astronaut(), np.ascontiguousarray(astronaut()[:, ::-1]), hopper()
    return np.stack([analyzer.locate(photo)[0].probe for photo in photos])


@pytest.fixture(scope="module")
def embedder() -> SFaceEmbedder:
    return SFaceEmbedder(threads=1, mirrored=True)


@pytest.fixture(scope="module")
def plain() -> SFaceEmbedder:
    return SFaceEmbedder(threads=1)


def test_the_rewritten_graph_computes_what_the_file_does() -> None:
    """The file itself, with nothing but its weights unpacked: PReLU, batch normalisation and all, one crop a run."""
    model = onnx.load_model_from_string(CONTENT)
    drop_dead_inputs(model.graph)
    unpack_weights(model.graph, most_bytes=2**31)
    file, ours = open_session(model, threads=1), open_session(sface_model(CONTENT), threads=1)
    crops = crops_of(0, 2)
    vectors, maps = ours.run(["embedding", "maps"], {"pixels": crops})

    for row, crop in enumerate(crops):
        (expected,) = file.run(None, {"data": crop.transpose(2, 0, 1)[None].astype(np.float32)})
        assert np.abs(vectors[row] - expected[0]).max() < 1e-4 * np.abs(expected).max()
    assert maps.shape == (2, *SFACE_MAPS)


def test_slopes_above_one_are_there_and_exact() -> None:
    """Without the negated channels three PReLU would be wrong on one side, and vectors some percent off."""
    model = onnx.load_model_from_string(CONTENT)
    drop_dead_inputs(model.graph)
    unpack_weights(model.graph, most_bytes=2**31)
    slopes = [onnx.numpy_helper.to_array(each) for each in model.graph.initializer if each.name.endswith("relu_gamma")]
    assert sum(int((each > 1).sum()) for each in slopes) == 3
    rewritten = Counter(node.op_type for node in sface_model(CONTENT).graph.node)
    assert rewritten["PRelu"] == 0
    assert rewritten["Relu"] == 27
    assert rewritten["BatchNormalization"] == 2  # after the last convolution, and of the vector


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 20))
def test_a_batch_is_its_members_one_by_one(embedder: SFaceEmbedder, seed: int, count: int) -> None:
    crops = crops_of(seed, count)
    vectors, features = embedder.embed_with_maps(crops)
    row = seed % count
    (alone,), single = embedder.embed_with_maps(crops[[row]])

    assert vectors.shape == (count, 128)
    assert features.arrays["maps"].shape == (2 * count, *SFACE_MAPS)
    assert np.abs(vectors[row] - alone).max() < 1e-5
    assert np.abs(features.arrays["maps"][[row, count + row]] - single.arrays["maps"]).max() < 1e-3
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(count), abs=1e-5)
    assert np.abs(embedder.embed(crops) - vectors).max() < 1e-6


def test_a_face_and_its_mirror_image_have_one_vector(embedder: SFaceEmbedder, plain: SFaceEmbedder) -> None:
    crops = crops_of(1, 2)
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])

    assert np.abs(embedder.embed(crops) - embedder.embed(mirrored)).max() < 1e-5
    both: NDArray[np.float32] = plain.embed(crops) + plain.embed(mirrored)
    # Not exactly: the mean is of the network's own vectors, which differ in length.
    assert (embedder.embed(crops) * both).sum(axis=1) / np.linalg.norm(both, axis=1) == pytest.approx([1, 1], abs=1e-3)


def test_photos_of_one_person_are_near_and_of_two_are_not(embedder: SFaceEmbedder) -> None:
    one, same, other = embedder.embed(faces(fs.FaceAnalyzer(threads=1)))
    near, far = np.linalg.norm(one - same), np.linalg.norm(one - other)

    assert near < 0.3
    assert far > 1.1


def test_nothing_is_embedded_to_nothing(embedder: SFaceEmbedder) -> None:
    assert embedder.embed(np.empty((0, 112, 112, 3), np.uint8)).shape == (0, 128)


@pytest.mark.parametrize("wrong", [np.zeros((1, 150, 150, 3), np.uint8), np.zeros((1, 112, 112, 3), np.float32)])
def test_other_crops_are_refused(embedder: SFaceEmbedder, wrong: PixelArray) -> None:
    with pytest.raises(
        fs.InvalidParameterError, match=r"chips: expected uint8 of shape \(N, 112, 112, 3\), from cut, got"
    ):
        embedder.embed(wrong)


def test_models_of_its_vectors_differ(embedder: SFaceEmbedder, plain: SFaceEmbedder) -> None:
    assert embedder.face_model == SFACE_MIRRORED
    assert plain.face_model == SFACE_PLAIN  # the default
    assert fs.calibration().face_model == SFACE_PLAIN
    assert fs.calibration(SFACE_MIRRORED).face_model == SFACE_MIRRORED
    assert SFACE_MIRRORED.digest != SFACE_PLAIN.digest
    assert SFACE_MIRRORED.version == "3.0"


def test_it_travels_as_its_settings(plain: SFaceEmbedder) -> None:
    there = pickle.loads(pickle.dumps(plain))  # noqa: S301  # our own bytes
    crops = crops_of(2, 1)

    assert there.face_model == plain.face_model
    assert np.array_equal(there.embed(crops), plain.embed(crops))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no graph", "expected an ONNX file|of 0 nodes"),
        (b"", "of 0 nodes|not enough values"),
        (read_weights(YUNET), "expected its graph"),
        (CONTENT[: len(CONTENT) // 2], "expected"),
    ],
    ids=["text", "nothing", "another graph", "half of the file"],
)
def test_another_file_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        sface_model(content)


def test_providers_are_checked_before_anything_is_loaded() -> None:
    with pytest.raises(
        fs.InvalidParameterError, match=r"providers: expected .*CPUExecutionProvider.*, got .*onnxruntime-gpu"
    ):
        fs.FaceAnalyzer(providers=["CUDAExecutionProvider"])
    for wrong in ((), "CPUExecutionProvider"):
        with pytest.raises(fs.InvalidParameterError, match="providers"):
            fs.FaceAnalyzer(providers=wrong)
    assert check_providers(None) is None


def test_the_cpu_by_name_is_the_default() -> None:
    crops = crops_of(3, 1)
    named = SFaceEmbedder(threads=1, providers=["CPUExecutionProvider"])

    assert np.array_equal(named.embed(crops), SFaceEmbedder(threads=1).embed(crops))
