"""Portable files: a saved collection is loaded unchanged, and untrusted files do no harm."""

import io
import json
import os
import pickle
import struct
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import facesearch as fs
from durable import MEMORY, bytes_of, contents, unprivileged
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.arrays import FloatArray
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import embeddings, photo_sources, user_ids

RED, BLUE = (200, 30, 30), (30, 30, 200)
ONES = np.ones(128)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture
def staff(fake: FaceAnalyzer) -> fs.Collection:
    staff = fs.Collection("staff", analyzer=fake, thumbnails=True)
    staff.enroll("ada", [paint((100, 120), {(20, 20, 80, 80): RED})], sources=["ada/1.png"])
    staff.index_faces(paint((100, 120), {(20, 20, 70, 70): BLUE}), external_image_id="a:1")
    staff.add_embeddings(["bob", "bob", "cy"], np.eye(3, 128))
    staff.create_user("eve")
    return staff


def changed(path: Path, **arrays: Any) -> None:
    """Rewrite an export with changed arrays; ``None`` removes an array."""
    with np.load(path, allow_pickle=False) as file:
        there = dict(file)
    there |= arrays
    np.savez(path, **{name: array for name, array in there.items() if array is not None})


def about(path: Path, **members: Any) -> Any:
    with np.load(path) as file:
        return np.frombuffer(json.dumps(json.loads(file["about"].tobytes()) | members).encode(), np.uint8)


@settings(max_examples=15)
@given(
    st.lists(st.tuples(user_ids(max_size=3), embeddings()), max_size=8),
    st.lists(user_ids(), max_size=3),
    st.lists(user_ids(max_size=3), max_size=2),
)
def test_what_is_saved_is_what_is_loaded(
    faces: list[tuple[str, FloatArray]], users: list[str], gone: list[str]
) -> None:
    staff = fs.Collection("staff")
    if faces:
        staff.add_embeddings([user_id for user_id, _ in faces], np.stack([vector for _, vector in faces]))
    for user_id in {*users} - {user.user_id for user in staff.users()}:
        staff.create_user(user_id)
    for user_id in {*gone} & {user.user_id for user in staff.users()}:
        staff.delete_user(user_id)  # its faces are unassociated then
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path = Path(name) / "staff.npz"
        staff.save(path)
        loaded = fs.Collection.load(path)
        assert contents(loaded) == contents(staff)
        with fs.Collection.open(Path(name) / "people.db", "staff") as durable:
            durable.restore(path)
            assert contents(durable) == contents(staff)
            before = path.read_bytes()
            durable.save(str(path))
            assert path.read_bytes() == before  # the same collection, the same bytes


def test_photos_faces_and_pictures_are_saved(staff: fs.Collection, folder: Path, fake: FaceAnalyzer) -> None:
    staff.save(folder / "staff.npz")
    loaded = fs.Collection.load(folder / "staff.npz", analyzer=fake)

    assert contents(loaded) == contents(staff)
    assert loaded.calibration == staff.calibration
    assert loaded.collection_id == "staff"
    assert any(face.external_image_id == "a:1" and face.bounding_box and face.confidence for face in loaded.faces())
    assert fs.Collection.load(folder / "staff.npz").calibration == staff.calibration  # kept in the file
    assert [path.name for path in folder.iterdir()] == ["staff.npz"]
    with np.load(folder / "staff.npz", allow_pickle=False) as file:
        assert file["user_ids"].tolist() == [b"ada", b"bob", b"cy", b"eve"]
        assert file["vectors"].shape == (5, 128)


def test_pictures_go_only_where_they_are_kept(staff: fs.Collection, folder: Path, fake: FaceAnalyzer) -> None:
    staff.save(folder / "staff.npz")
    with fs.Collection.open(folder / "people.db", "plain", analyzer=fake) as plain:
        plain.restore(folder / "staff.npz")
        assert {plain.thumbnail(face.face_id) for face in plain.faces()} == {None}
        assert plain.users() == staff.users()


def test_only_an_empty_collection_is_filled(staff: fs.Collection, folder: Path) -> None:
    staff.save(folder / "staff.npz")
    before = contents(staff)
    with pytest.raises(fs.InvalidParameterError, match=r"only an empty collection can be filled .*'staff' has 4 users"):
        staff.restore(folder / "staff.npz")
    with pytest.raises(fs.FaceModelMismatchError, match=r"got painted_faces 0\.0"):
        fs.Collection("other").restore(folder / "staff.npz")
    assert contents(staff) == before


def test_a_file_that_cannot_be_written_is_left_as_it_was(staff: fs.Collection, folder: Path) -> None:
    path = folder / "staff.npz"
    path.write_bytes(b"before")
    with pytest.raises(fs.StorageError, match=r"missing/staff\.npz: No such file or directory$"):
        staff.save(folder / "missing" / "staff.npz")
    with pytest.raises(fs.OutputRefusedError, match="expected a file to write, got a folder"):
        staff.save(folder)
    folder.chmod(0o555)
    with unprivileged(), pytest.raises(fs.StorageReadOnlyError):
        staff.save(path, overwrite=True)
    folder.chmod(0o755)
    assert bytes_of(folder) == {"staff.npz": b"before"}


def test_what_is_interrupted_leaves_nothing(
    staff: fs.Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "staff.npz"
    path.write_bytes(b"before")

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        staff.save(path, overwrite=True)
    assert bytes_of(folder) == {"staff.npz": b"before"}


def test_a_file_that_is_not_there_is_said_not_to_be(folder: Path) -> None:
    with pytest.raises(fs.CollectionNotFoundError, match=r"staff\.npz: no such file"):
        fs.Collection.load(folder / "staff.npz")


@settings(max_examples=15)
@given(st.lists(st.none() | photo_sources(), min_size=1, max_size=4))
def test_where_photos_are_from_is_kept_in_files_and_exports(sources: list[str | None]) -> None:
    photos = [paint((100, 120), {(20, 20, 60 + number, 60 + number): RED}) for number in range(len(sources))]
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        with fs.Collection.open(Path(name) / "people.db", "staff", analyzer=fake_analyzer()) as durable:
            report = durable.enroll("ada", photos, sources=sources)
            durable.save(Path(name) / "staff.npz")
            before = contents(durable)
        with fs.Collection.open(Path(name) / "people.db", "staff", analyzer=fake_analyzer()) as durable:
            assert contents(durable) == before
        loaded = fs.Collection.load(Path(name) / "staff.npz", analyzer=fake_analyzer())

    assert [photo.face and photo.face.source for photo in report.photos] == sources
    assert contents(loaded) == before


# -------------------------------------------------------------------- files of others


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("code was run",)


def rezip(path: Path, compression: int = zipfile.ZIP_STORED, **members: bytes) -> None:
    """Rewrite an archive with changed bytes in some members."""
    with zipfile.ZipFile(path) as archive:
        there = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in (there | {f"{name}.npy": content for name, content in members.items()}).items():
            archive.writestr(name, content)


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Bomb()], object), allow_pickle=True)
    return buffer.getvalue()


def of_format_1(path: Path) -> None:
    """Make a file one of format 1, which had no sources."""
    changed(path, about=about(path, format=1), sources=None, source_ends=None)


def _append(path: Path, name: str) -> None:
    with pytest.MonkeyPatch.context() as patched, zipfile.ZipFile(path, "a") as archive:
        patched.setattr("warnings.warn", lambda *_, **__: None)
        archive.writestr(name, b"")


def _grow_directory(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(1000):
            archive.writestr(f"{number}.npy", b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"vectors.npy") + 2000] ^= 1
    path.write_bytes(content)


def _model(**members: Any) -> dict[str, Any]:
    return {"name": "painted_faces", "version": "0.0", "digest": "0" * 64, "dimension": 128} | members


HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 128), }\n"
CALL = "{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os').abort(), 128), }\n"
DEEP = "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 60000 + "\n"
FACES = 5

HOSTILE: dict[str, Callable[[Path], object]] = {
    "a pickle": lambda p: p.write_bytes(pickle.dumps(Bomb())),
    "an object array": lambda p: rezip(p, vectors=pickled()),
    "an array of any type": lambda p: changed(p, vectors=np.zeros((FACES, 128), "f8")),
    "structured": lambda p: changed(p, owners=np.zeros(FACES, [("a", "<i4"), ("b", "<i4")])),
    "code in a header": lambda p: rezip(p, vectors=npy(CALL)),
    "parentheses in a header": lambda p: rezip(p, vectors=npy(DEEP)),
    "larger than the file": lambda p: rezip(p, vectors=npy(HUGE)),
    "smaller than it claims": lambda p: rezip(p, vectors=npy(HUGE.replace("999999999999", "6"), bytes(5 * 512))),
    "a format of later days": lambda p: rezip(p, about=b"\x93NUMPY\x03\x00" + bytes(200)),
    "a zip bomb": lambda p: rezip(p, zipfile.ZIP_DEFLATED, thumbnails=npy(HUGE, bytes(10**7))),
    "compressed": lambda p: rezip(p, zipfile.ZIP_DEFLATED),
    "without one": lambda p: changed(p, boxes=None),
    "with one more": lambda p: changed(p, more=np.zeros(3)),
    "one twice": lambda p: _append(p, "owners.npy"),
    "a path": lambda p: _append(p, "../../evil.npy"),
    "a long directory": _grow_directory,
    "a truncated file": lambda p: os.truncate(p, p.stat().st_size // 2),
    "a flipped bit": _flip,
    "nothing": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("face,user\n" * 100),
    "a newer format": lambda p: changed(p, about=about(p, format=4)),
    "a format that is no number": lambda p: changed(p, about=about(p, format="2")),
    "format 1 with sources": lambda p: changed(p, about=about(p, format=1)),
    "format 1": of_format_1,
    "without sources": lambda p: changed(p, sources=None, source_ends=None),
    "without a secret": lambda p: changed(p, about=about(p, secret=None)),
    "sources beyond the end": lambda p: changed(p, source_ends=np.full(FACES, 10**12)),
    "sources before the start": lambda p: changed(p, source_ends=np.array([-1, 0, 0, 0, 0])),
    "sources of nobody": lambda p: changed(p, sources=np.zeros(10**6, np.uint8)),
    "a source that is no text": lambda p: changed(
        p, sources=np.full(1, 255, np.uint8), source_ends=np.ones(FACES, np.int64)
    ),
    "marks of faces with a user": lambda p: changed(p, set_aside=np.ones(FACES, np.uint8)),
    "marks of too many faces": lambda p: changed(p, set_aside=np.zeros(FACES + 1, np.uint8)),
    "marks of another type": lambda p: changed(p, set_aside=np.zeros(FACES, np.int64)),
    "marks that are neither 0 nor 1": lambda p: changed(p, set_aside=np.full(FACES, 2, np.uint8)),
    "a source with a NUL": lambda p: changed(p, sources=np.zeros(1, np.uint8), source_ends=np.ones(FACES, np.int64)),
    "no JSON": lambda p: changed(p, about=np.frombuffer(b"{'a': 1}", np.uint8)),
    "deep JSON": lambda p: changed(p, about=np.frombuffer(b"[" * 99_000, np.uint8)),
    "long JSON": lambda p: changed(p, about=np.frombuffer(b" " * 200_000, np.uint8)),
    "a list": lambda p: changed(p, about=np.frombuffer(b"[1]", np.uint8)),
    "no model": lambda p: changed(p, about=about(p, face_model=None)),
    "half a model": lambda p: changed(p, about=about(p, face_model={"name": "x"})),
    "another dimension": lambda p: changed(p, about=about(p, face_model=_model(dimension=64))),
    "a bad collection": lambda p: changed(p, about=about(p, collection_id="../x")),
    "thumbnails perhaps": lambda p: changed(p, about=about(p, thumbnails="no")),
    "a calibration that is a list": lambda p: changed(p, about=about(p, calibration=[])),
    "equal users": lambda p: changed(p, user_ids=np.array([b"ada", b"ada", b"cy", b"eve"])),
    "unsorted users": lambda p: changed(p, user_ids=np.array([b"bob", b"ada", b"cy", b"eve"])),
    "a bad user id": lambda p: changed(p, user_ids=np.array([b"a a", b"bob", b"cy", b"eve"])),
    "no ASCII": lambda p: changed(p, user_ids=np.array([b"ada", b"bob", b"cy", b"\xff"])),
    "an empty user id": lambda p: changed(p, user_ids=np.array([b"", b"bob", b"cy", b"eve"])),
    "a long user id": lambda p: changed(p, user_ids=np.array([b"ada", b"bob", b"cy", b"e" * 129])),
    "an unknown user": lambda p: changed(p, owners=np.array([4, 0, 0, 0, 0])),
    "a user before the first": lambda p: changed(p, owners=np.array([-2, 0, 0, 0, 0])),
    "equal faces": lambda p: changed(p, face_ids=np.array([b"0" * 36] * FACES)),
    "no face ids": lambda p: changed(p, face_ids=np.array([b"a", b"b", b"c", b"d", b"e"])),
    "too few faces": lambda p: changed(p, confidences=np.zeros(4)),
    "too many vectors": lambda p: changed(p, vectors=np.ones((6, 128), "f4")),
    "not finite": lambda p: changed(p, vectors=np.full((FACES, 128), np.nan, "f4")),
    "infinite": lambda p: changed(p, vectors=np.full((FACES, 128), 1e30, "f4")),
    "all zeros": lambda p: changed(p, vectors=np.zeros((FACES, 128), "f4")),
    "in the other order": lambda p: changed(p, vectors=np.asfortranarray(np.ones((FACES, 128), "f4"))),
    "big-endian": lambda p: changed(p, vectors=np.ones((FACES, 128), ">f4")),
    "half a box": lambda p: changed(p, boxes=np.full((FACES, 4), [0.1, np.nan, 0.1, 0.1])),
    "a negative box": lambda p: changed(p, boxes=np.full((FACES, 4), -1.0)),
    "too sure": lambda p: changed(p, confidences=np.full(FACES, 101.0)),
    "infinitely sure": lambda p: changed(p, confidences=np.full(FACES, np.inf)),
    "a bad image id": lambda p: changed(p, image_ids=np.array([b"x"] * FACES)),
    "a bad photo name": lambda p: changed(p, external_image_ids=np.array([b"a b"] * FACES)),
    "a long photo name": lambda p: changed(p, external_image_ids=np.array([b"a" * 256] * FACES)),
    "pictures beyond the end": lambda p: changed(p, thumbnail_ends=np.full(FACES, 10**12)),
    "pictures before the start": lambda p: changed(p, thumbnail_ends=np.array([-1, 0, 0, 0, 0])),
    "pictures of nobody": lambda p: changed(p, thumbnails=np.zeros(10**6, np.uint8)),
}


def picture(kind: str, side: int, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(file, kind, **options)
    return file.getvalue()


HOSTILE_PICTURES = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 112 112\n(hunter2) print\n",
    "a large PNG": picture("PNG", 112),
    "a large JPEG": picture("JPEG", 113),
    "a JPEG of a width of its own": picture("JPEG", 112).replace(b"\0\x70\0\x70", b"\0\x70\x70\0"),
    "a JPEG of too many bytes": picture("JPEG", 112) + bytes(40_000),
    "a JPEG within another": picture("JPEG", 112)[:20] + picture("JPEG", 112) + picture("JPEG", 113),
    "a JPEG of 100 scans": picture("JPEG", 112, progressive=True)[:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 90,
    "text": b"DB_PASSWORD=hunter2",
    "one byte": b"\xff",
}


@pytest.mark.parametrize("content", HOSTILE_PICTURES.values(), ids=HOSTILE_PICTURES)
def test_whatever_stands_in_the_place_of_a_thumbnail_is_refused_and_never_opened(
    staff: fs.Collection, folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "staff.npz"
    staff.save(path)
    ends = np.full(FACES, len(content))
    changed(path, thumbnails=np.frombuffer(content, np.uint8), thumbnail_ends=ends)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(fs.StorageFormatError, match="thumbnails: expected JPEG files of 112 x 112 pixels") as caught:
        fs.Collection.load(path)
    assert "hunter2" not in str(caught.value)


def test_no_value_of_an_export_is_quoted(staff: fs.Collection, folder: Path) -> None:
    for members in ({"collection_id": "hunter2 \x1b"}, {"format": "hunter2"}, {"calibration": {"hunter2": 1}}):
        path = folder / "staff.npz"
        path.unlink(missing_ok=True)
        staff.save(path)
        changed(path, about=about(path, **members))
        with pytest.raises(fs.StorageFormatError) as caught:
            fs.Collection.load(path)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused(staff: fs.Collection, folder: Path, kind: str) -> None:
    path = folder / "staff.npz"
    staff.save(path)
    HOSTILE[kind](path)

    with pytest.raises(fs.StorageFormatError, match=r"staff\.npz: no export, or damaged \(."):
        fs.Collection.load(path)
    with fs.Collection.open(folder / "people.db", "staff") as durable:
        with pytest.raises(fs.StorageFormatError):
            durable.restore(path)
        assert len(durable) == 0


def test_a_format_from_before_the_first_version_is_named_with_the_next_step(staff: fs.Collection, folder: Path) -> None:
    staff.save(folder / "staff.npz")
    of_format_1(folder / "staff.npz")
    with pytest.raises(
        fs.StorageFormatError, match=r"staff\.npz: .*of format 1, .* reads formats 2 and 3: index the photos into"
    ):
        fs.Collection.load(folder / "staff.npz")


def test_a_user_with_too_many_faces_is_refused(folder: Path) -> None:
    staff = fs.Collection("staff")
    staff.add_embeddings(
        [f"user{number % 2}" for number in range(102)], np.random.default_rng(0).normal(size=(102, 128))
    )
    staff.save(folder / "staff.npz")
    changed(folder / "staff.npz", owners=np.zeros(102, np.int64))

    with pytest.raises(fs.QuotaExceededError, match="user 'user0' would have 102 faces"):
        fs.Collection.load(folder / "staff.npz")


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=30))
def test_any_damage_is_an_error_of_ours_or_none(position: int, patch: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path = Path(name) / "staff.npz"
        staff = fs.Collection("staff")
        staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
        staff.save(path)
        content = bytearray(path.read_bytes())
        start = position % len(content)
        content[start : start + len(patch)] = patch
        path.write_bytes(content)
        try:
            loaded = fs.Collection.load(path)
        except fs.FacesearchError:
            return
        assert contents(loaded) == contents(staff)  # what changed meant nothing
