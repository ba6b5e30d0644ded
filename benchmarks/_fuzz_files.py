"""Files that `fuzz.py` feeds: exports, files of collections, and networks of one's own; see `_fuzz_targets`."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from _mutations import INTERESTING, mutated, mutated_bytes, mutated_json
from PIL import Image

import facesearch as fs
from facesearch.storage.catalog import collection_tags
from facesearch.testing.fakes import fake_analyzer, paint

__all__ = ["ANSWERED", "BLUE", "RED", "REFUSED", "Case", "databases", "exports", "networks"]

Case = Callable[[Random], str]
ANSWERED, REFUSED = "answered", "refused"
RED, BLUE = (200, 30, 30), (30, 30, 200)


def _people(collection: fs.Collection) -> None:
    collection.enroll("ada", [paint((100, 120), {(20, 20, 80, 80): RED})])
    collection.index_faces(paint((100, 120), {(20, 20, 70, 70): BLUE}), external_image_id="a:1")
    collection.add_embeddings(["bob", "bob", "cy"], np.eye(3, 128) + 0.1)
    collection.create_user("eve")


def _album(folder: Path) -> Path:
    """Make a folder of photos of two people; return its path."""
    for person, colour in (("dan", RED), ("fay", BLUE)):
        (folder / person).mkdir(parents=True)
        for margin in (20, 24):
            photo = paint((100, 120), {(margin, margin, 80, 80): colour})
            Image.fromarray(photo).save(folder / person / f"{margin}.png")
    (folder / "dan" / "1.png").write_bytes(b"no picture")
    return folder


def _interrupt(collection: fs.Collection, album: Path) -> None:
    """Index a folder until the first photos wait to be judged, and stop, so that tables of waiting photos have rows."""

    def stop(now: fs.FolderProgress) -> None:
        if now.waiting >= 2:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        collection.index_folder(album, progress=stop, in_flight=1)


def _use(collection: fs.Collection) -> None:
    for user in collection.users():
        collection.user_embedding(user.user_id)
    for face in collection.faces():
        collection.thumbnail(face.face_id)
    collection.search_embedding(np.ones(128), user_match_threshold=0)
    str(collection.audit())


def exports(folder: Path) -> Case:
    """Read mutated exports into a collection, and use what was read."""
    path, analyzer = folder / "export.npz", fake_analyzer()
    staff = fs.Collection("staff", analyzer=analyzer, thumbnails=True)
    _people(staff)
    staff.save(path)
    good = path.read_bytes()
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}

    def case(draw: Random) -> str:
        path.unlink()
        if draw.random() < 0.5:
            path.write_bytes(mutated(good, draw))
        else:
            with np.errstate(all="ignore"):  # a mutation may well overflow
                changed = _changed_arrays(dict(arrays), draw)
            np.savez(path, **changed)
        try:
            collection = fs.Collection("copy", analyzer=analyzer, thumbnails=True)
            collection.restore(path)
            _use(collection)
        except fs.FacesearchError:
            return REFUSED
        return ANSWERED

    return case


def _changed_arrays(arrays: dict[str, Any], draw: Random) -> dict[str, Any]:
    for _ in range(draw.choice((1, 1, 2, 3))):
        name = draw.choice([*arrays])
        array = arrays[name]
        match draw.randrange(6):
            case 0:
                if len(arrays) > 1:
                    del arrays[name]
            case 1:
                arrays[name] = array.reshape(-1)[: draw.randrange(array.size + 1)]
            case 2:
                arrays[name] = np.concatenate([array, array])
            case 3:
                arrays[name] = (
                    array.astype(draw.choice(("f8", "f2", "i4", "S5", "c16")), casting="unsafe")
                    if array.dtype.kind in "iuf"
                    else array
                )
            case 4 if name == "about":
                changed = mutated_json(array.tobytes().decode(errors="replace"), draw)
                arrays[name] = np.frombuffer(changed, np.uint8)
            case _:
                changed = mutated_bytes(array.tobytes(), draw).ljust(array.nbytes, b"\0")[: array.nbytes]
                arrays[name] = np.frombuffer(changed, array.dtype).reshape(array.shape)
    return arrays


_VALUES = (
    "NULL",
    "-1",
    "9223372036854775807",
    "1e308",
    "'text'",
    "X'00FF'",
    "zeroblob(2000000)",
    "'" + "é" * 300 + "'",
)


_STATEMENTS = (
    "UPDATE OR IGNORE 'TABLE_' SET \"COLUMN_\" = VALUE_",
    "UPDATE OR IGNORE 'TABLE_' SET \"COLUMN_\" = VALUE_ WHERE rowid % 2",
    'UPDATE OR IGNORE \'TABLE_\' SET "COLUMN_" = substr("COLUMN_", 2)',
    "DELETE FROM 'TABLE_' WHERE rowid % 2",
    "DROP TABLE 'TABLE_'",
    "ALTER TABLE 'TABLE_' DROP COLUMN \"COLUMN_\"",
    "ALTER TABLE 'TABLE_' ADD COLUMN extra",
    "CREATE TRIGGER 'kept TABLE_' AFTER DELETE ON 'TABLE_' BEGIN SELECT RAISE(FAIL, 'no'); END",
    "CREATE TRIGGER 'lost TABLE_' BEFORE INSERT ON 'TABLE_' BEGIN SELECT RAISE(IGNORE); END",
    """ALTER TABLE 'TABLE_' RENAME TO hidden; CREATE VIEW 'TABLE_' AS
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n""",
    "PRAGMA user_version = NUMBER_",
    "PRAGMA application_id = NUMBER_",
    "PRAGMA journal_mode = DELETE",
)


def databases(folder: Path) -> Case:
    """Open mutated files of collections, and use, change and delete what is in them."""
    base, path, analyzer = folder / "base.db", folder / "people.db", fake_analyzer()
    album = _album(folder / "album")
    for name in ("one", "two"):
        with fs.Collection.create(base, name, analyzer=analyzer, thumbnails=True, tags={"site": "Oslo"}) as collection:
            _people(collection)
            collection.once("token", "request", lambda: "answer")
            collection.add_embedding("gus", np.ones(128))
            collection.delete_user("gus", faces=True)
            passer_by = collection.add_embeddings(["passer_by"] * 2, np.stack([np.full(128, 2.0), np.full(128, 2.1)]))
            collection.delete_user("passer_by", faces=False)
            collection.set_aside(passer_by)
            _interrupt(collection, album)
    good = base.read_bytes()

    def case(draw: Random) -> str:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        if draw.random() < 0.4:
            path.write_bytes(mutated(good, draw))
            if draw.random() < 0.1:
                Path(f"{path}-wal").write_bytes(mutated_bytes(good[:9000], draw))
        else:
            path.write_bytes(good)
            _change_tables(path, draw)
        try:
            for info in fs.collections(path):
                collection_tags(path, info.collection_id)
                with fs.Collection.open(path, info.collection_id, analyzer=analyzer) as collection:
                    _use(collection)
                    collection.add_embedding("new", np.ones(128))
                    collection.once("token", "request", lambda: "again")
                    if draw.random() < 0.5:  # judges what waits, or forgets it
                        collection.index_folder(album, progress=False)
                    else:
                        collection.forget_photos()
                    _review(collection, undo=draw.random() < 0.5)
                    collection.delete_user("ada", faces=True)
                    collection.save(folder / f"saved{draw.getrandbits(60)}.npz")
            fs.delete_collection(path, "two")
        except fs.FacesearchError:
            return REFUSED
        finally:
            for saved in folder.glob("saved*.npz"):
                saved.unlink()
        return ANSWERED

    return case


def _review(collection: fs.Collection, *, undo: bool) -> None:
    for set_aside in (False, True):
        collection.groups(progress=False, set_aside=set_aside)
    if undo:
        collection.undo()


def _change_tables(path: Path, draw: Random) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for _ in range(draw.choice((1, 1, 2, 4))):
            table = draw.choice(tables)
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info('{table}')")] or ["rowid"]
            words = {
                "TABLE_": table,
                "COLUMN_": draw.choice(columns),
                "VALUE_": draw.choice(_VALUES),
                "NUMBER_": str(draw.choice(INTERESTING) % 2**31),
            }
            statement = draw.choice(_STATEMENTS)
            for word, meant in words.items():
                statement = statement.replace(word, meant)
            with contextlib.suppress(sqlite3.Error):
                connection.executescript(statement)


def networks(folder: Path) -> Case:
    """Load mutated ONNX files as networks of one's own, and embed with what still is one."""
    from onnx import TensorProto, helper, numpy_helper

    from facesearch.embedding.own_network import NetworkCard, NetworkEmbedder

    weights = np.random.default_rng(7).normal(size=(3 * 256, 128)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["crops"], ["pooled"], kernel_shape=[7, 7], strides=[7, 7]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["vector"]),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("crops", ("N", 3, 112, 112)), ("vector", ("N", 128)))
    ]
    graph = helper.make_graph(nodes, "network", values[:1], values[1:], [numpy_helper.from_array(weights, "weights")])
    good = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    head = len(good) - weights.nbytes
    chips = np.zeros((2, 112, 112, 3), np.uint8)

    def case(draw: Random) -> str:
        path = folder / "network.onnx"
        if draw.random() < 0.5:
            path.write_bytes(_changed_network(good, draw))
        else:  # the weights are most of the bytes, and the least interesting ones
            front, back = (good[:head], good[head:]) if draw.random() < 0.8 else (good, b"")
            path.write_bytes(mutated(front, draw) + back)
        try:
            card = NetworkCard(path=path, name="n", version="1.0", mean=127.5, scale=1, channels="RGB", dimension=128)
            NetworkEmbedder(card, threads=1).embed(chips)
        except fs.FacesearchError:
            return REFUSED
        return ANSWERED

    return case


def _changed_network(good: bytes, draw: Random) -> bytes:
    import onnx

    model = onnx.load_from_string(good)
    parts = model.graph
    node = draw.choice(parts.node)
    match draw.randrange(7):
        case 0:
            node.op_type = draw.choice(
                ("Conv", "Gemm", "Reshape", "Loop", "If", "Scan", "Identity", "Nothing", "", "Expand")
            )
        case 1:
            node.input[0] = draw.choice(("crops", "weights", "vector", "", "nothing"))
        case 2:
            for attribute in node.attribute:
                attribute.ints[:] = [draw.choice((*INTERESTING, -1)) for _ in attribute.ints]
        case 3:
            parts.initializer[0].dims[:] = [draw.choice(INTERESTING) for _ in range(draw.choice((0, 1, 2, 3)))]
        case 4:
            parts.initializer[0].data_type = draw.randrange(25)
        case 5:
            parts.initializer[0].data_location = 1
            parts.initializer[0].external_data.add(
                key="location", value=draw.choice(("/etc/passwd", "../x", "network.onnx", ""))
            )
        case _:
            shape = draw.choice((parts.input[0], parts.output[0])).type.tensor_type.shape.dim
            shape[draw.randrange(len(shape))].dim_value = draw.choice((*INTERESTING, -1))
    return bytes(model.SerializeToString())
