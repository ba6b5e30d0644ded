"""Samples of every public value: made by the functions that users call, with painted faces."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from PIL import Image

import facesearch as fs
from facesearch import benchmark, errors, rekognition
from facesearch.rekognition import exceptions as faults
from facesearch.testing.fakes import fake_analyzer, paint

RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 200, 30)
MODULES = (fs, benchmark, rekognition)
# What answers rather than being an answer: it travels with its settings, and is what it was if it answers alike.
ENGINES = {"FaceAnalyzer", "NetworkEmbedder", "OnnxEmbedder", "SFaceEmbedder", "S3Client", "S3Folder"}
# What is at work in this process, with its files and locks; it says what to do instead.
AT_WORK = {"Collection", "Rekognition"}
NOT_MADE = {"ObjectStore", "Store", "Engine", "ModelFamily"}  # protocols; enums are looked at as such


def public_classes(kind: Callable[[Any], bool]) -> list[Any]:
    found = {getattr(module, name) for module in MODULES for name in module.__all__ if _is_class(module, name)}
    return sorted((each for each in found if kind(each)), key=lambda each: f"{each.__module__}.{each.__name__}")


def _is_class(module: Any, name: str) -> bool:
    return inspect.isclass(getattr(module, name))


VALUES = public_classes(lambda kind: attrs.has(kind) and kind.__name__ not in ENGINES)
ENUMS = public_classes(lambda kind: issubclass(kind, Enum))
ERRORS = [getattr(module, name) for module in (errors, faults) for name in module.__all__ if _is_class(module, name)]


def within(value: Any) -> Iterator[Any]:
    """Walk all values of which a value is made."""
    yield value
    if attrs.has(type(value)):
        for each in attrs.fields(type(value)):
            yield from within(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for each in (*value, *value.values()):
            yield from within(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from within(each)


def answers(folder: Path) -> Iterator[Any]:
    """Answers of all kinds, made with painted faces."""
    analyzer = fake_analyzer()
    staff = fs.Collection("staff", analyzer=analyzer, thumbnails=True)
    portrait, other = paint((200, 200), {(40, 40, 160, 160): RED}), paint((200, 200), {(40, 40, 160, 160): BLUE})
    group = paint((200, 500), {(10, 10, 90, 90): RED, (150, 20, 220, 90): BLUE, (300, 20, 350, 70): GREEN})
    report = staff.enroll(
        "ada", [portrait, np.roll(portrait, (2, 3), (0, 1)), np.zeros((100, 100, 3), np.uint8), other]
    )
    yield report
    yield report.explain()
    yield staff.enroll("bob", [other])
    indexed = staff.index_faces(group, external_image_id="group", max_faces=1, attributes=["ALL"])
    yield indexed
    yield indexed.explain()
    loose = indexed.face_records[0].face.face_id
    yield fs.search_users_by_image(staff, group, attributes=["ALL"], max_users=1, user_match_threshold=0)
    yield fs.search_all_faces(staff, group)
    yield fs.search_faces_by_image(staff, group, face_match_threshold=0)
    yield fs.search_faces(staff, loose, face_match_threshold=0)
    yield fs.search_users(staff, user_id="ada", user_match_threshold=0)
    yield fs.search_users(staff, face_id=loose, user_match_threshold=0)
    yield fs.compare_faces(group, group, analyzer=analyzer, attributes=["ALL"])
    yield from (analyzer.locate(group, attributes=["ALL"]), analyzer.analyze(group))
    yield staff.associate_faces("ada", [loose, "0" * 8 + "-0000-0000-0000-" + "0" * 12], user_match_threshold=0)
    yield staff.audit()
    yield staff.disassociate_faces("ada", [loose, "0" * 8 + "-0000-0000-0000-" + "0" * 12])
    yield staff.delete_faces([loose, "0" * 8 + "-0000-0000-0000-" + "0" * 12])
    yield (staff.users(), staff.faces(), staff.face_model, staff.calibration)
    yield staff.search_embedding(np.ones(128), user_match_threshold=0)
    yield (fs.models(), fs.calibration(), fs.SHIPPED_BARS, fs.read_image(group))
    for name, pixels in (("eve/1.png", portrait), ("eve/2.png", np.zeros((100, 100, 3), np.uint8))):
        folder.joinpath(name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    (folder / "eve" / "3.png").write_bytes(b"no picture")
    progress: list[Any] = []
    yield staff.index_folder(folder, progress=progress.append)
    yield progress
    mixed = fs.Collection("mixed", analyzer=analyzer)
    mixed.add_embeddings(["ada", "ada", "ada", "bob", "bob"], np.eye(2, 128)[[0, 0, 1, 1, 1]])
    mixed.add_embeddings(["eve", "eve", "countess"], np.eye(5, 128)[[3, 4, 0]])
    yield mixed.audit()
    mixed.add_embeddings(["unknown"] * 5, np.eye(5, 128)[[0, 0, 4, 4, 4]])
    mixed.delete_user("unknown", faces=False)
    yield mixed.groups()
    unnamed = mixed.add_embeddings(["eve", "eve"], np.eye(2, 128))
    mixed.disassociate_faces("eve", unnamed)
    yield mixed.set_aside(unnamed[:1])
    yield mixed.name_group(unnamed, "grace")
    yield mixed.undo()
    yield staff.photos_of("ada")
    with fs.Collection.open(folder / "people.db", "staff", analyzer=analyzer):
        yield fs.collections(folder / "people.db")


def more_values(folder: Path) -> Iterator[Any]:
    """Of what no answer has."""
    yield fs.NetworkCard(
        path=folder / "net.onnx", name="net", version="1.0", mean=127.5, scale=128,
        channels="RGB", dimension=128,
    )  # fmt: skip
    distances, same = [0.2, 0.9, 0.4, 0.7], [1, 0, 1, 0]
    yield benchmark.roc(distances, same)
    yield benchmark.verify(distances, same, [0, 0, 1, 1])
    yield benchmark.reliability(distances, same)
    yield benchmark.error_versus_discard(distances, same, [1, 2, 3, 4])
    yield benchmark.group_rates(distances, same, ["f"] * 4, ["f", "m", "f", "m"], thresholds=[0.5])
    yield benchmark.describe_machine()
    photo = folder / "eve" / "1.png"
    yield benchmark.cut_face(photo, analyzer=fake_analyzer())
    yield benchmark.embed_photos([photo], analyzer=fake_analyzer())
    yield benchmark.measure_speed(photo, analyzer=fake_analyzer(), users=2, repeats=1)
    noise = np.random.default_rng(0)
    people = {str(number): noise.normal(size=(3, 128)).astype(np.float32) for number in range(4)}
    yield benchmark.identify(people, enrolled=[1], thresholds=[80], fpirs=[0.5])
    yield benchmark.split_people({"ada": 9, "bob": 9, "eve": 1}, photos=3)
    pairs = folder / "pairs.csv"
    pairs.write_text("a,b,same,fold\neve/1.png,eve/2.png,1,0\neve/1.png,eve/3.png,0,1\n")
    yield benchmark.read_pairs(pairs)
    yield fs.EyeDirection(yaw=1, pitch=2, confidence=99)
    box = fs.BoundingBox(left=0.1, top=0.1, width=0.2, height=0.2)
    yield fs.FaceDetail(bounding_box=box)  # as AWS's answers have them


def samples(folder: Path) -> dict[Any, list[Any]]:
    """Make samples of all public values in an empty folder; by class."""
    found: dict[Any, list[Any]] = {}
    for made in (answers(folder), more_values(folder)):
        for answer in made:
            for value in within(answer):
                found.setdefault(type(value), []).append(value)
    return found
