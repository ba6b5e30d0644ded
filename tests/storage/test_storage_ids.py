"""Ids of faces and photos reveal nothing without the collection, and stored answers nothing of deleted people."""

import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import facesearch as fs
from durable import MEMORY, raw
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.arrays import FloatArray
from facesearch.rekognition.service import Rekognition
from facesearch.storage import database, memory
from facesearch.testing.fakes import fake_analyzer, paint

ONES = np.ones(128)
PHOTO = paint((100, 120), {(20, 20, 80, 80): (200, 30, 30)})
EMPTY = paint((100, 120), {})


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a random secret key for each collection, as outside of tests."""
    for module in (database, memory):
        monkeypatch.setattr(module, "new_secret", lambda: secrets.token_bytes(32))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, on a memory file system if there is one."""
    path = Path(tempfile.mkdtemp(dir=MEMORY))
    yield path
    shutil.rmtree(path)


def indexed(collection: fs.Collection) -> tuple[str, str | None, str]:
    """Ids of the same photo, and of the same vector, in a collection."""
    face = collection.index_faces(PHOTO, external_image_id="photo").face_records[0].face
    return face.face_id, face.image_id, collection.add_embedding("ada", ONES)


def test_the_same_photo_has_other_ids_in_every_collection(folder: Path, fake: FaceAnalyzer) -> None:
    path = folder / "people.db"
    found = [indexed(fs.Collection(name, analyzer=fake)) for name in ("one", "one", "two")]
    for name in ("one", "two"):
        with fs.Collection.open(path, name, analyzer=fake) as collection:
            found.append(indexed(collection))
            assert collection.index_faces(PHOTO, external_image_id="photo").face_records[0].face.face_id == found[-1][0]
        with fs.Collection.open(path, name, analyzer=fake) as again:
            assert again.index_faces(PHOTO, external_image_id="photo").face_records[0].face.image_id == found[-1][1]
            assert again.face_count == 2
    assert all(len(set(ids)) == len(found) for ids in zip(*found, strict=True))


def test_an_export_carries_the_secret_so_that_photos_are_known_again(folder: Path, fake: FaceAnalyzer) -> None:
    first = fs.Collection("staff", analyzer=fake)
    face_id, image_id, _ = indexed(first)
    first.save(folder / "staff.npz")
    with fs.Collection.open(folder / "people.db", "staff", analyzer=fake) as restored:
        restored.restore(folder / "staff.npz")
        for collection in (restored, fs.Collection.load(folder / "staff.npz", analyzer=fake)):
            (record,) = collection.index_faces(PHOTO, external_image_id="photo").face_records
            assert (record.face.face_id, record.face.image_id) == (face_id, image_id)
            assert collection.face_count == 2


def test_what_a_file_keeps_of_a_refused_photo_can_not_be_compared_with_another_file(
    folder: Path, fake: FaceAnalyzer
) -> None:
    (folder / "album" / "ada").mkdir(parents=True)
    Image.fromarray(EMPTY).save(folder / "album" / "ada" / "1.png")
    keys = set()
    for name in ("one.db", "two.db"):
        with fs.Collection.open(folder / name, "staff", analyzer=fake) as staff:
            assert len(staff.index_folder(folder / "album").refused) == 1
        with closing(sqlite3.connect(folder / name)) as sql:
            keys |= set(sql.execute("SELECT key FROM photos"))
    assert len(keys) == 2


# -------------------------------------------------------------------- nothing depends on the secret


def told(names: list[str], matrix: FloatArray) -> Any:
    """All answers of a collection about these people, without ids of faces."""
    collection = fs.Collection("staff")
    ids = dict(zip(collection.add_embeddings(names, matrix), range(len(names)), strict=True))
    report = collection.audit(own_threshold=100)
    return (
        [collection.user_embedding(name).tobytes() for name in sorted(set(names))],  # type: ignore[union-attr]  # all have faces
        attrs.evolve(report, misplaced=()),
        sorted(
            (ids[face.face_id], face.similarity, face.other_user_id, face.other_similarity) for face in report.misplaced
        ),
        [
            sorted((similarity, ids[face.face_id]) for similarity, face in found)
            for found in collection.rank_faces(matrix, face_match_threshold=0)
        ],
        collection.rank_many(matrix, user_match_threshold=0),
    )


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(["ada", "bob", "eve"]), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_answers_are_the_same_to_the_bit_whatever_the_secret(names: list[str], seed: int, spread: float) -> None:
    people = np.random.default_rng(1).normal(size=(3, 128)) * 0.1
    noise = np.random.default_rng(seed).normal(size=(len(names), 128)) * spread
    matrix = (people[[("ada", "bob", "eve").index(name) for name in names]] + noise).astype(np.float32)
    matrix[-1] = matrix[0]  # two that are equal
    assert told(names, matrix) == told(names, matrix)


# -------------------------------------------------------------------- remembered answers


def associated(service: Rekognition, token: str, face_ids: list[str]) -> dict[str, Any]:
    answer = service.associate_faces(CollectionId="staff", UserId="ada", FaceIds=face_ids, ClientRequestToken=token)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_remembered_answer_names_no_face_and_is_nevertheless_given_again(folder: Path) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    with Rekognition(folder / "people.db", analyzer=fake_analyzer()) as service:
        service.create_collection(CollectionId="staff")
        picture = folder / "photo.png"
        Image.fromarray(PHOTO).save(picture)
        records = service.index_faces(CollectionId="staff", Image={"Bytes": picture.read_bytes()})["FaceRecords"]
        face_id = records[0]["Face"]["FaceId"]
        service.create_user(CollectionId="staff", UserId="ada", ClientRequestToken="first")
        answer = associated(service, "token", [unknown, face_id])
        assert [each["FaceId"] for each in answer["AssociatedFaces"]] == [face_id]
        assert [each["FaceId"] for each in answer["UnsuccessfulFaceAssociations"]] == [unknown]
        assert face_id.encode() not in raw(folder)
        assert associated(service, "token", [unknown, face_id]) == answer

        service.delete_user(CollectionId="staff", UserId="ada", ClientRequestToken="last")
        service.delete_faces(CollectionId="staff", FaceIds=[face_id])
        assert associated(service, "token", [unknown, face_id]) == answer
        with closing(sqlite3.connect(folder / "people.db")) as sql:
            remembered = [answer for (answer,) in sql.execute("SELECT answer FROM answers")]
        assert len(remembered) == 3
        assert not any(name in text for text in remembered for name in (face_id, unknown, "ada"))


def test_answers_past_their_day_are_gone_when_the_file_is_opened(folder: Path) -> None:
    now = 1e9
    timed: type[fs.Collection] = type("Collection", (fs.Collection,), {"_clock": staticmethod(lambda: now)})
    with timed.open(folder / "people.db", "staff") as staff:
        staff.once("token", "request", lambda: "the-answer-to-it")
    assert b"the-answer-to-it" in raw(folder)
    now += 24 * 3600 - 1
    timed.open(folder / "people.db", "staff").close()
    assert b"the-answer-to-it" in raw(folder)
    now += 2
    timed.open(folder / "people.db", "staff", read_only=True).close()
    assert b"the-answer-to-it" in raw(folder)
    timed.open(folder / "people.db", "staff").close()
    assert b"the-answer-to-it" not in raw(folder)
