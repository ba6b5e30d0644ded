"""A network of the user's own: small ones are built here, declared on a card, and put to work on photographs."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import onnx
import pytest
from hypothesis import given, settings, strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import facesearch as fs
from facesearch.analysis.analyzer import default_analyzer
from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.embedding.five_point_crop import crop_to_picture
from facesearch.embedding.own_network import ARCFACE_TEMPLATE, NetworkCard, NetworkEmbedder
from facesearch.stages import AlignedFace
from samples import astronaut, hopper

DIMENSION = 128
CELLS = 16  # a side: what the network sees of a crop
WEIGHTS = np.random.default_rng(7).normal(scale=1 / 30, size=(3, CELLS * CELLS, DIMENSION)).astype(np.float32)
TEMPLATE = np.array(ARCFACE_TEMPLATE)
CONSTANTS = {"axis": [1], "one row": [1, -1], "yes": True}  # for the nodes that tests add

Node = onnx.NodeProto
# NetworkEmbedder doesn't look at it
NO_FACE = AlignedFace(chip=np.zeros((150, 150, 3), np.uint8), to_picture=np.eye(2, 3))


def build(
    *,
    shape: tuple[Any, ...] = ("N", 3, 112, 112),
    weights: FloatArray = WEIGHTS,
    before: tuple[Node, ...] = (),
    after: tuple[Node, ...] = (),
    dtype: int = TensorProto.FLOAT,
    out_dtype: int = TensorProto.FLOAT,
    out_shape: tuple[Any, ...] = ("N", DIMENSION),
    outputs: tuple[str, ...] = ("vector",),
    inputs: tuple[str, ...] = ("crops",),
    opsets: tuple[str, ...] = ("",),
) -> onnx.ModelProto:
    """Average pooling and a matrix: *before* leads from ``crops`` to ``seen``, *after* from ``out`` to ``vector``."""
    start = "seen" if before else "crops"
    nodes = [
        *before,
        helper.make_node("AveragePool", [start], ["pooled"], kernel_shape=[7, 7], strides=[7, 7]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["out" if after else "vector"]),
        *after,
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(name, dtype, shape) for name in inputs],
        [helper.make_tensor_value_info(name, out_dtype, out_shape) for name in outputs],
        [
            numpy_helper.from_array(weights.reshape(-1, weights.shape[-1]), "weights"),
            *(numpy_helper.from_array(np.array(value), name) for name, value in CONSTANTS.items()),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(each, 17) for each in opsets], ir_version=8)


def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Node:
    return helper.make_node(operator, inputs, [output], **attributes)


def stored(folder: Path, model: onnx.ModelProto, **declared: Any) -> NetworkCard:
    """Write a network to a file and declare it."""
    content = model.SerializeToString()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:8]}.onnx"
    path.write_bytes(content)
    default: dict[str, Any] = {"name": "pooled", "version": "1.0", "mean": 127.5, "scale": 1 / 127.5, "channels": "RGB"}
    return NetworkCard(path=path, **(default | {"dimension": DIMENSION} | declared))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def card(folder: Path) -> NetworkCard:
    return stored(folder, build())


@cache
def points_of(photo: Callable[[], PixelArray]) -> PointArray:
    analyzer, pixels = default_analyzer(), photo()
    face = analyzer.aligner.align(pixels, analyzer.detector.detect(pixels)[0])
    return analyzer.landmarker.locate(pixels, face)


@pytest.fixture(scope="module")
def crops(card: NetworkCard) -> PixelArray:
    return np.stack([cut(card, photo(), points_of(photo)) for photo in (astronaut, hopper)])


def cut(card: NetworkCard, pixels: PixelArray, points: PointArray) -> PixelArray:
    return NetworkEmbedder(card).cut(pixels, NO_FACE, points)


def sixty_eight(places: PointArray) -> PointArray:
    """Give 68 points of which the five are at *places*."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[30], points[48], points[54] = places
    return points


# ---------------------------------------------------------------- what every embedder must do


@pytest.mark.parametrize("declared", [{}, {"mirrored": True}, {"unit_length": False}], ids=str)
def test_vectors_have_the_shape_the_model_says(card: NetworkCard, crops: PixelArray, declared: dict[str, Any]) -> None:
    embedder = NetworkEmbedder(attrs.evolve(card, **declared))
    vectors = embedder.embed(crops)

    assert embedder.face_model.dimension == DIMENSION
    assert vectors.shape == (2, DIMENSION)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert embedder.embed(np.empty((0, 150, 150, 3), np.uint8)).shape == (0, DIMENSION)
    lengths = np.linalg.norm(vectors, axis=1)
    assert (np.abs(lengths - 1) < 1e-6).all() == declared.get("unit_length", True)


@settings(max_examples=10)
@given(data=st.data())
def test_a_batch_is_its_members_one_by_one(card: NetworkCard, crops: PixelArray, data: st.DataObject) -> None:
    embedder = _shared(card)
    chosen = data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=40))
    together = embedder.embed(crops[chosen])
    apart = np.concatenate([embedder.embed(crops[[one]]) for one in (0, 1)])[chosen]

    assert np.abs(together - apart).max() < 1e-5


_shared = cache(NetworkEmbedder)


def test_threads_may_share_an_embedder(card: NetworkCard, crops: PixelArray) -> None:
    embedder = NetworkEmbedder(card)  # not loaded yet
    alone = NetworkEmbedder(card, threads=1).embed(crops)
    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(embedder.embed, [crops] * 16):
            assert np.abs(vectors - alone).max() < 1e-5


def test_nothing_given_is_written_to(card: NetworkCard, crops: PixelArray) -> None:
    photo, points, copy = astronaut().copy(), points_of(astronaut).copy(), crops.copy()
    for each in (photo, points, copy):
        each.flags.writeable = False
    embedder = NetworkEmbedder(attrs.evolve(card, mirrored=True))

    assert (embedder.cut(photo, NO_FACE, points) == crops[0]).all()
    assert (embedder.embed(copy) == embedder.embed(copy)).all()


# ---------------------------------------------------------------- what is declared is what is done


def test_the_numbers_are_those_of_the_formula(card: NetworkCard, crops: PixelArray) -> None:
    mean, scale = np.array([100.0, 110, 120]), np.array([0.01, 0.02, 0.03])
    embedder = NetworkEmbedder(attrs.evolve(card, mean=mean, scale=scale, unit_length=False))
    pooled = ((crops - mean) * scale).reshape(2, CELLS, 7, CELLS, 7, 3).mean(axis=(2, 4))
    expected = pooled.reshape(2, -1, 3).transpose(0, 2, 1).reshape(2, -1) @ WEIGHTS.reshape(-1, DIMENSION)

    assert np.abs(embedder.embed(crops) - expected).max() < 1e-4


def test_a_network_of_another_layout_gives_the_same_vectors(folder: Path, card: NetworkCard, crops: PixelArray) -> None:
    turned = build(shape=("N", 112, 112, 3), before=(node("Transpose", ["crops"], "seen", perm=[0, 3, 1, 2]),))
    other = NetworkEmbedder(stored(folder, turned, layout="NHWC"))

    assert np.abs(other.embed(crops) - _shared(card).embed(crops)).max() < 1e-6


def test_a_network_of_another_channel_order_gives_the_same_vectors(folder: Path, crops: PixelArray) -> None:
    mean, scale = (100.0, 110.0, 120.0), (0.01, 0.02, 0.03)
    red_first = stored(folder, build(), mean=mean, scale=scale)
    blue_first = stored(folder, build(weights=WEIGHTS[::-1].copy()), mean=mean[::-1], scale=scale[::-1], channels="BGR")

    assert np.abs(NetworkEmbedder(blue_first).embed(crops) - NetworkEmbedder(red_first).embed(crops)).max() < 1e-5


def test_a_mirrored_crop_has_the_same_vector_where_that_is_declared(card: NetworkCard, crops: PixelArray) -> None:
    both = NetworkEmbedder(attrs.evolve(card, mirrored=True))
    mirrored = crops[:, :, ::-1]

    assert np.abs(both.embed(crops) - both.embed(mirrored)).max() < 1e-6
    plain = NetworkEmbedder(attrs.evolve(card, unit_length=False))
    mean = (plain.embed(crops) + plain.embed(mirrored)) / 2
    assert np.abs(both.embed(crops) - mean / np.linalg.norm(mean, axis=1, keepdims=True)).max() < 1e-6
    assert np.abs(_shared(card).embed(crops) - both.embed(crops)).max() > 1e-3


ONE_AT_A_TIME = {
    "one crop, as the input says": lambda: build(shape=(1, 3, 112, 112), out_shape=(1, DIMENSION)),
    "one crop, as only its inside knows": lambda: build(
        after=(node("Reshape", ["out", "one row"], "vector"),), out_shape=(1, DIMENSION)
    ),
    "crops that disturb each other": lambda: build(
        after=(
            node("ReduceMax", ["out"], "most", axes=[0], keepdims=1),
            node("Tanh", ["most"], "share"),
            node("Add", ["out", "share"], "vector"),
        )
    ),
}


@pytest.mark.parametrize("model", ONE_AT_A_TIME.values(), ids=ONE_AT_A_TIME)
def test_a_network_for_one_crop_is_given_one_at_a_time(
    folder: Path, crops: PixelArray, model: Callable[[], onnx.ModelProto]
) -> None:
    embedder = NetworkEmbedder(stored(folder, model()))
    here, there = embedder.embed(crops)

    assert np.abs(embedder.embed(crops[[0, 1, 0]]) - np.stack([here, there, here])).max() < 1e-6
    assert np.abs(embedder.embed(crops[:1])[0] - here).max() < 1e-6


def test_an_output_that_says_one_but_gives_all_is_taken_in_batches(folder: Path, crops: PixelArray) -> None:
    # as InsightFace's files do
    embedder = NetworkEmbedder(stored(folder, build(out_shape=(1, DIMENSION))))

    assert embedder.embed(crops[[0] * 20]).shape == (20, DIMENSION)


def test_names_choose_among_several_outputs(folder: Path, card: NetworkCard, crops: PixelArray) -> None:
    model = build(outputs=("vector", "flat"))
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 3 * CELLS * CELLS
    chosen = stored(folder, model, input_name="crops", output_name="vector")

    assert (NetworkEmbedder(chosen).embed(crops) == _shared(card).embed(crops)).all()
    with pytest.raises(fs.InvalidParameterError, match="output_name: expected one of vector, flat, got None"):
        NetworkEmbedder(attrs.evolve(chosen, output_name=None)).load()
    with pytest.raises(fs.InvalidParameterError, match="input_name: expected one of crops, got 'chips'"):
        NetworkEmbedder(attrs.evolve(chosen, input_name="chips")).load()


# ---------------------------------------------------------------- the crop


def turned(angle: float, scale: float) -> PointArray:
    return scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@st.composite
def similarities(draw: st.DrawFn) -> PointArray:
    """Draw (2, 3): turns, scales and shifts."""
    angle = draw(st.floats(-np.pi, np.pi))
    turn = turned(angle, np.exp(draw(st.floats(np.log(0.2), np.log(20)))))
    return np.column_stack([turn, [draw(st.floats(-200, 500)), draw(st.floats(-200, 500))]])


def moved(points: PointArray, by: PointArray) -> PointArray:
    return points @ by[:, :2].T + by[:, 2]


def spots(places: PointArray, size: int) -> PixelArray:
    """Paint soft bright spots, the sharpest 3 px wide."""
    y, x = np.mgrid[:size, :size]
    spread = 0.05 * np.linalg.norm(places[1] - places[0])
    light = np.sum([np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * spread**2)) for px, py in places], axis=0)
    bright: PixelArray = (np.clip(light, 0, 1) * 255).astype(np.uint8)[..., np.newaxis].repeat(3, axis=2)
    return bright


@settings(max_examples=20)
@given(angle=st.floats(-np.pi, np.pi), scale=st.floats(1.0, 5.0), x=st.floats(-0.5, 0.5), y=st.floats(-0.5, 0.5))
def test_points_that_are_a_similarity_of_the_template_land_on_it(
    card: NetworkCard, angle: float, scale: float, x: float, y: float
) -> None:
    turn = turned(angle, scale)
    size = round(120 * scale)
    places = (TEMPLATE - 56) @ turn.T + size / 2 + [x, y]
    crop = cut(card, spots(places, size), sixty_eight(places))[..., 0].astype(float)

    for px, py in TEMPLATE:  # the centre of what is bright around each
        left, top = round(px) - 5, round(py) - 5
        patch = crop[top : top + 11, left : left + 11]
        rows, columns = np.mgrid[top : top + 11, left : left + 11]
        assert (columns * patch).sum() / patch.sum() == pytest.approx(px, abs=0.15)
        assert (rows * patch).sum() / patch.sum() == pytest.approx(py, abs=0.15)


@settings(max_examples=20)
@given(similarity=similarities(), noise=st.integers(0, 1000))
def test_the_transform_is_the_best_similarity_there_is(similarity: PointArray, noise: int) -> None:
    rng = np.random.default_rng(noise)
    exact = moved(TEMPLATE, similarity)
    assert crop_to_picture(exact, TEMPLATE) == pytest.approx(similarity, abs=1e-6)

    found = moved(TEMPLATE + rng.normal(0, 3, TEMPLATE.shape), similarity)
    best = crop_to_picture(found, TEMPLATE)

    def error(to_picture: PointArray) -> float:
        """Of the landmarks, once taken to the crop."""
        back = (found - to_picture[:, 2]) @ np.linalg.inv(to_picture[:, :2]).T
        return float(((back - TEMPLATE) ** 2).sum())

    for _ in range(10):
        a, b, x, y = rng.normal(0, 0.01, 4)
        other = best @ np.array([[1 + a, -b, x], [b, 1 + a, y], [0, 0, 1]])  # a similarity close by
        assert error(best) <= error(other) + 1e-9


@settings(max_examples=15)
@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(1.0, 4.0),
    shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
)
def test_the_crop_does_not_depend_on_where_how_large_and_how_tilted_the_face_is(
    card: NetworkCard, crops: PixelArray, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    size = round(300 * scale)
    turn = turned(angle, scale)
    middle = points_of(astronaut).mean(axis=0)
    forth = np.column_stack([turn, size / 2 + np.array(shift) - turn @ middle])
    back = np.linalg.inv(np.vstack([forth, [0, 0, 1]]))
    # Pillow counts from the corner of the first pixel, we from its centre.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    there = half @ back @ np.linalg.inv(half)
    image = Image.fromarray(astronaut()).transform(
        (size, size), Image.Transform.AFFINE, tuple(there[:2].ravel()), Image.Resampling.BICUBIC
    )
    crop = cut(card, np.asarray(image), moved(points_of(astronaut), forth))

    off = np.abs(crop.astype(float) - crops[0])
    assert off.mean() < 2  # of 255; measured 0.5-1.3
    assert np.linalg.norm(np.subtract(*_shared(card).embed(np.stack([crop, crops[0]])))) < 0.05


@pytest.mark.parametrize("scale", [1.9, 2.9, 3.7, 11.3])
def test_a_large_picture_does_not_alias(card: NetworkCard, scale: float) -> None:
    """Black and white pixels in turn are grey from afar."""
    y, x = np.mgrid[:1500, :1500]
    board = (((x + y) % 2) * 255).astype(np.uint8)[..., np.newaxis].repeat(3, axis=2)
    crop = cut(card, board, sixty_eight(TEMPLATE * scale + 100))

    assert np.abs(crop.astype(float) - 127.5).max() < 20


@settings(max_examples=15)
@given(left=st.integers(-300, 300), top=st.integers(-300, 300))
def test_beyond_the_picture_the_crop_is_black(card: NetworkCard, left: int, top: int) -> None:
    picture = astronaut()[:100, :120]
    wide = np.pad(picture, [(500, 500), (500, 500), (0, 0)])
    points = sixty_eight(TEMPLATE * 1.7 + [left, top])

    off = cut(card, picture, points).astype(int) - cut(card, wide, points + 500)
    assert np.abs(off).max() <= 1  # of 255: the last bit may be rounded otherwise


def test_a_crop_of_another_size_follows_its_own_template(folder: Path, card: NetworkCard) -> None:
    template = TEMPLATE * 1.5 + [10, -20]
    tall = stored(folder, build(shape=("N", 3, None, None)), size=(168, 140), template=template)
    crop = cut(tall, astronaut(), points_of(astronaut))

    assert tall.template == tuple(map(tuple, template.tolist()))
    assert crop.shape == (140, 168, 3)
    same = cut(card, astronaut(), points_of(astronaut))
    again = np.asarray(Image.fromarray(crop[:, 10:]).resize((105, 93), Image.Resampling.BOX))
    assert np.abs(again[:80].astype(float) - same[14:94, :105]).mean() < 6


WRONG_POINTS = {
    "too few": np.zeros((5, 2)),
    "all at one place": np.full((68, 2), 50.0),
    "not finite": np.full((68, 2), np.nan),
    "a mirrored face": sixty_eight((TEMPLATE - 56) * [-1, 1] * [1.0, 0.9] + 56),
}


@pytest.mark.parametrize("points", WRONG_POINTS.values(), ids=WRONG_POINTS)
def test_points_that_are_no_face_are_refused(card: NetworkCard, points: PointArray) -> None:
    with pytest.raises(fs.InvalidParameterError, match="points: expected"):
        cut(card, astronaut(), points)


@pytest.mark.parametrize(
    "chips", [np.zeros((1, 150, 150, 3), np.uint8), np.zeros((1, 112, 112, 3)), np.zeros((112, 112, 3), np.uint8)]
)
def test_crops_of_another_kind_are_refused(card: NetworkCard, chips: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"chips: expected uint8 of shape \(N, 112, 112, 3\)"):
        NetworkEmbedder(card).embed(chips)


# ---------------------------------------------------------------- on photographs


def test_a_photograph_is_analyzed_with_it(card: NetworkCard) -> None:
    analyzer = fs.FaceAnalyzer(embedder=NetworkEmbedder(card))
    photo = astronaut()
    darker = np.asarray(Image.fromarray(photo).point(lambda value: value * 0.85))
    smaller = np.asarray(Image.fromarray(photo).rotate(8, Image.Resampling.BICUBIC).resize((400, 400)))

    def vector(picture: PixelArray) -> FloatArray:
        face = analyzer.analyze(picture)[0]
        assert face.face_model == analyzer.face_model
        assert face.probe.shape == (112, 112, 3)
        assert face.chip.shape == (150, 150, 3)
        return face.embedding

    vectors = np.stack([vector(each) for each in (darker, smaller, hopper())])
    near, *far = (np.linalg.norm(vectors[one] - vectors[other]) for one, other in [(0, 1), (0, 2), (1, 2)])
    assert near < 0.5 * min(far)
    # What a face looks like is read by dlib's network all the same.
    (detail,) = (face.detail for face in analyzer.locate(photo, attributes=["SMILE"])[:1])
    assert detail.smile
    assert detail.smile.value


def test_vectors_of_two_models_are_never_mixed(card: NetworkCard) -> None:
    analyzer = fs.FaceAnalyzer(embedder=NetworkEmbedder(card))
    face = analyzer.analyze(astronaut())[0]
    staff = fs.Collection("staff")

    with pytest.raises(fs.FaceModelMismatchError, match=r"pooled 1\.0"):
        staff.add_embedding("ada", face.embedding, face_model=face.face_model)
    with pytest.raises(fs.FaceModelMismatchError, match=r"pooled 1\.0"):
        fs.Collection("staff", face_model=staff.face_model, analyzer=analyzer)
    other = NetworkEmbedder(attrs.evolve(card, mean=127.0))
    with pytest.raises(fs.FaceModelMismatchError):
        fs.Collection("staff", face_model=other.face_model, analyzer=analyzer)


CHANGES: dict[str, Any] = {
    "size": (128, 112),
    "template": TEMPLATE + 1,
    "mean": (127.5, 127.5, 127.0),
    "scale": 1 / 128,
    "channels": "BGR",
    "layout": "NHWC",
    "dimension": 64,
    "unit_length": False,
    "mirrored": True,
    "input_name": "crops",
    "output_name": "vector",
}
TOLD_ELSEWHERE: dict[str, Any] = {"name": "other", "version": "2.0"}
NO_OTHER_VECTOR = {"sha256": None, "licence": "mine", "training_data": "mine", "path": None}


def test_every_setting_makes_another_model(folder: Path, card: NetworkCard) -> None:
    fields = {each.name for each in attrs.fields(NetworkCard)}
    assert fields == CHANGES.keys() | TOLD_ELSEWHERE.keys() | NO_OTHER_VECTOR.keys()
    declared = attrs.evolve(card, template=ARCFACE_TEMPLATE)
    models = [NetworkEmbedder(attrs.evolve(declared, **{name: value})).face_model for name, value in CHANGES.items()]
    models.append(NetworkEmbedder(stored(folder, build(weights=WEIGHTS + 0.001))).face_model)
    digests = {each.digest for each in models} | {NetworkEmbedder(declared).face_model.digest}
    assert len(digests) == len(models) + 1
    for name, value in TOLD_ELSEWHERE.items():
        assert NetworkEmbedder(attrs.evolve(card, **{name: value})).face_model != NetworkEmbedder(card).face_model


def test_what_changes_no_vector_makes_no_other_model(folder: Path, card: NetworkCard) -> None:
    elsewhere = folder / "elsewhere.onnx"
    elsewhere.write_bytes(card.path.read_bytes())
    sha256 = hashlib.sha256(card.path.read_bytes()).hexdigest()
    other = attrs.evolve(
        card, path=str(elsewhere), sha256=sha256, licence="mine", training_data="mine", mean=[127.5] * 3
    )

    assert NetworkEmbedder(other).face_model == NetworkEmbedder(card).face_model


def test_the_file_is_told_of_as_the_librarys_are(card: NetworkCard) -> None:
    file = NetworkEmbedder(attrs.evolve(card, licence="research only")).weights

    assert all(attrs.asdict(file, filter=attrs.filters.exclude("extra")).values())
    assert file.sha256 == hashlib.sha256(card.path.read_bytes()).hexdigest()
    assert file.licence == "research only"
    assert "not stated" in file.training_data


def test_people_are_found_with_it_once_it_is_calibrated(card: NetworkCard) -> None:
    embedder = NetworkEmbedder(attrs.evolve(card, mirrored=True))
    table = attrs.evolve(fs.calibration(), face_model=embedder.face_model)
    staff = fs.Collection("staff", analyzer=fs.FaceAnalyzer(embedder=embedder, calibration=table))

    assert staff.enroll("ada", [astronaut()]).accepted == 1
    (match,) = fs.search_users_by_image(staff, astronaut()[:, ::-1], user_match_threshold=90).user_matches
    assert match.user.user_id == "ada"
    (face,) = staff.faces("ada")
    default = fs.Collection("default")
    with pytest.raises(fs.FaceModelMismatchError, match=r"pooled 1\.0"):
        default.add_embedding("ada", staff.face_embedding(face.face_id), face_model=staff.face_model)
    with pytest.raises(fs.CalibrationError, match="calibration: expected that of sface"):
        fs.Collection("default", calibration=table)
    with pytest.raises(fs.CalibrationError, match="no calibration for pooled"):
        fs.Collection("staff", analyzer=fs.FaceAnalyzer(embedder=embedder))


# ---------------------------------------------------------------- what is refused

WRONG_FIELDS: dict[str, tuple[Any, ...]] = {
    "path": (None, 3),
    "name": ("", 3, "a\nb", "x" * 129),
    "version": ("1.0a", "", 1.0),
    "sha256": ("abc", "0" * 63, 3),
    "size": (112, (112,), (112, 112, 3), (112, 0), (112.0, 112), ("112", "112"), (112, 2000)),
    "template": (None, 3, TEMPLATE[:4], TEMPLATE[[1, 0, 2, 4, 3]], TEMPLATE + 100, TEMPLATE * np.nan, TEMPLATE[::-1]),
    "mean": (None, "0", (1, 2), (1, 2, "3"), np.nan, True),
    "scale": (None, 0, -1, (1, 1, 0), np.inf, (1, 2)),
    "channels": ("rgb", None, "GRAY"),
    "layout": ("CHW", None),
    "dimension": (0, 1.5, "128", None, True),
    "unit_length": (1, None, "True"),
    "mirrored": (0, "no"),
    "input_name": ("", 3),
    "output_name": ("", 3),
    "licence": ("", None),
    "training_data": ("", None),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG_FIELDS.items() for value in values]
)
def test_a_wrong_field_is_named(card: NetworkCard, name: str, value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=f"^{name}: expected "):
        attrs.evolve(card, **{name: value})


def test_other_sizes_have_no_template_by_default(folder: Path) -> None:
    with pytest.raises(fs.InvalidParameterError, match="template: expected five points xy; only crops of 112 x 112"):
        stored(folder, build(), size=(160, 160))


def test_an_embedder_takes_a_card(card: NetworkCard) -> None:
    with pytest.raises(fs.InvalidParameterError, match="card: expected a NetworkCard, got"):
        NetworkEmbedder(card.path)  # type: ignore[arg-type]  # what is wrong is the point
    with pytest.raises(fs.InvalidParameterError, match="threads: expected a whole number >= 1, got 0"):
        NetworkEmbedder(card, threads=0)


MISMATCHES: dict[str, tuple[dict[str, Any], str]] = {
    "dimension": ({"dimension": 64}, "dimension: expected 128, what 'vector' of .* gives, got 64"),
    "size": ({"size": (96, 112), "template": TEMPLATE - 10}, r"size: expected \(112, 112\), for .*got \(96, 112\)"),
    "layout": ({"layout": "NHWC"}, "layout: expected NCHW, for the input 'crops' of .*, got 'NHWC'"),
}


@pytest.mark.parametrize(("declared", "message"), MISMATCHES.values(), ids=MISMATCHES)
def test_a_card_that_does_not_fit_the_file_is_refused(
    card: NetworkCard, declared: dict[str, Any], message: str
) -> None:
    embedder = NetworkEmbedder(attrs.evolve(card, **declared))

    with pytest.raises(fs.InvalidParameterError, match=message):
        embedder.load()
    assert embedder.face_model.dimension  # needs no session


def external(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return model


def external_inside() -> onnx.ModelProto:
    """Keep a constant of a branch of a branch in another file."""
    hidden = external(build()).graph.initializer[0]
    inner = helper.make_graph(
        [node("Constant", [], "chosen", value=hidden)],
        "inner",
        [],
        [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None)],
    )
    return build(after=(node("If", ["yes"], "vector", then_branch=inner, else_branch=inner),))


def with_function() -> onnx.ModelProto:
    model = build()
    twice = helper.make_function("mine", "Twice", ["x"], ["y"], [node("Add", ["x", "x"], "y")], model.opset_import)
    model.functions.append(twice)
    return model


UNUSABLE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "no graph": (onnx.ModelProto, "expected an ONNX file with a graph"),
    "weights elsewhere": (lambda: external(build()), "expected a file with its weights inside"),
    "weights of a branch elsewhere": (external_inside, "expected a file with its weights inside"),
    "a function": (with_function, r"without functions of its own, got \['mine.Twice'\]"),
    "an operator of somebody": (
        lambda: build(after=(node("Gelu", ["out"], "vector", domain="com.microsoft"),), opsets=("", "com.microsoft")),
        r"expected the standard's operators only, got \['com.microsoft.Gelu'\]",
    ),
    "an unknown operator": (
        lambda: build(after=(node("NoSuchOperator", ["out"], "vector"),)),
        "ONNX Runtime can't run it",
    ),
    "chance": (
        lambda: build(after=(node("RandomNormalLike", ["out"], "noise"), node("Add", ["out", "noise"], "vector"))),
        "expected the same vector for the same crop",
    ),
    "not finite": (lambda: build(weights=np.full_like(WEIGHTS, np.inf)), "numbers that are not finite"),
    "grey": (
        lambda: build(shape=("N", 1, 112, 112), weights=WEIGHTS[:1]),
        r"expected an input of 3 channels, got \['N', 1, 112, 112\]",
    ),
    "five axes": (
        lambda: build(shape=("N", 1, 3, 112, 112), before=(node("Squeeze", ["crops", "axis"], "seen"),)),
        "expected an input of 4 axes",
    ),
    "bytes": (
        lambda: build(dtype=TensorProto.UINT8, before=(node("Cast", ["crops"], "seen", to=TensorProto.FLOAT),)),
        r"expected an input of float32, got tensor\(uint8\)",
    ),
    "doubles": (
        lambda: build(after=(node("Cast", ["out"], "vector", to=TensorProto.DOUBLE),), out_dtype=TensorProto.DOUBLE),
        "expected float32 from 'vector', got float64",
    ),
    "a map": (
        lambda: build(after=(node("Unsqueeze", ["out", "axis"], "vector"),), out_shape=("N", 1, DIMENSION)),
        r"expected \(1, 128\) from 'vector', got \(1, 1, 128\)",
    ),
    "batches of four": (lambda: build(shape=(4, 3, 112, 112)), "expected an input for any number of crops, or for one"),
    "two inputs": (
        lambda: build(
            inputs=("crops", "others"), after=(node("ReduceMax", ["others"], "x"), node("Add", ["out", "x"], "vector"))
        ),
        "expected a network with one input, got also",
    ),
}


@pytest.mark.parametrize(("model", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_can_not_be_used_says_why(
    folder: Path, crops: PixelArray, model: Callable[[], onnx.ModelProto], message: str
) -> None:
    with pytest.raises(fs.WeightsError, match=message):
        NetworkEmbedder(stored(folder, model(), input_name="crops")).embed(crops)


def test_a_file_that_is_not_there_or_no_onnx_file_says_so(folder: Path, card: NetworkCard) -> None:
    with pytest.raises(fs.WeightsError, match=r"nothing\.onnx: can't be read"):
        NetworkEmbedder(attrs.evolve(card, path=folder / "nothing.onnx"))
    with pytest.raises(fs.WeightsError, match="can't be read"):
        NetworkEmbedder(attrs.evolve(card, path=folder))
    for content in (b"", b"PK\x03\x04 no network", b"<html>", bytes(1000)):
        (folder / "other.onnx").write_bytes(content)
        with pytest.raises(fs.WeightsError, match="expected an ONNX file with a graph"):
            NetworkEmbedder(attrs.evolve(card, path=folder / "other.onnx")).load()


def test_only_the_file_of_the_hash_is_used(folder: Path, card: NetworkCard, crops: PixelArray) -> None:
    with pytest.raises(fs.WeightsError, match=r"expected SHA-256 0000.*, got "):
        NetworkEmbedder(attrs.evolve(card, sha256="0" * 64))

    path = folder / "swapped.onnx"
    path.write_bytes(card.path.read_bytes())
    embedder = NetworkEmbedder(attrs.evolve(card, path=path))
    path.write_bytes(build(weights=WEIGHTS * 2).SerializeToString())
    with pytest.raises(fs.WeightsError, match="has changed since it was first read"):
        embedder.embed(crops)
