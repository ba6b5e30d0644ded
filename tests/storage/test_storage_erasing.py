"""Deletion while other processes read, or by a process that is killed: no data of the person stays in the file."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import facesearch as fs
from durable import MEMORY, raw
from facesearch.cli.app import app
from facesearch.cli.shell import deletion
from facesearch.storage import catalog
from facesearch.storage.sqlite import erasure as erasing
from facesearch.storage.sqlite.connections import Sessions
from facesearch.storage.store import StoredFace
from waiting import soon

NAME = "somebody-to-be-deleted"
VECTOR = np.random.default_rng(7).normal(size=128).astype("<f4")

EXPORT = """
import sys, time, facesearch as fs
with fs.Collection.open(sys.argv[1], "staff") as staff:
    with staff._store.reading():
        faces = list(staff._store.stored_faces())
        print("reading", flush=True)
        sys.stdin.readline()
        assert any(each.face.user_id == sys.argv[2] for each in faces)
    print("done", flush=True)
    sys.stdin.readline()
"""

KILLED = """
import os, signal, sys
import facesearch as fs
from facesearch.storage.sqlite.connections import Sessions
Sessions.checkpoint = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with fs.Collection.open(sys.argv[1], "staff") as staff:
    staff.delete_user(sys.argv[2], faces=True)
"""


class Exporting:
    """Another process that reads the file until it is stopped."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", EXPORT, str(path), NAME]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
        self.says("reading")

    def says(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word

    def goes_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ends(self) -> None:
        self.process.communicate("\n")
        assert self.process.returncode == 0


@pytest.fixture
def path() -> Iterator[Path]:
    """A file of a collection with a user to be deleted, closed."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    with fs.Collection.open(folder / "people.db", "staff") as staff:
        staff.add_embeddings([NAME, "bob"], [VECTOR, -VECTOR])
    yield folder / "people.db"
    shutil.rmtree(folder)


def left(path: Path) -> list[str]:
    """Data of the deleted user that is still in the file or beside it."""
    files = raw(path.parent)
    traces = {"name": NAME.encode(), "vector": VECTOR.tobytes()}
    return [name for name, trace in traces.items() if trace in files]


def test_what_an_export_keeps_in_the_log_is_erased_when_the_export_ends(path: Path) -> None:
    assert left(path) == ["name", "vector"]
    export = Exporting(path)
    with fs.Collection.open(path, "staff") as staff:
        staff.delete_user(NAME, faces=True)
        assert not staff.erase_deleted(0)
    assert left(path) == ["name", "vector"]
    assert not catalog.is_erased(path)
    export.goes_on()
    export.says("done")  # the process is still there, and has the file open
    assert left(path) == []
    assert catalog.is_erased(path)
    export.ends()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends processes otherwise")
def test_what_a_killed_process_deleted_is_erased_by_the_next_that_opens_the_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:  # so that no last one who closes the file cleans up
        other.execute("SELECT count(*) FROM users").fetchone()
        killed = subprocess.run([sys.executable, "-c", KILLED, str(path), NAME], check=False)  # noqa: S603  # our own code
        assert killed.returncode == -signal.SIGKILL
        assert left(path) == ["name", "vector"]
        assert not catalog.is_erased(path)
        with fs.Collection.open(path, "staff") as staff:
            assert NAME not in staff
            assert left(path) == []
        assert catalog.is_erased(path)


@pytest.mark.parametrize("change", ["collections", "tags", "another collection", "users"])
def test_whatever_is_done_next_with_the_file_erases(path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(path)) as other, fs.Collection.open(path, "guests") as guests:
        other.execute("SELECT count(*) FROM users").fetchone()
        with monkeypatch.context() as patched:
            patched.setattr(Sessions, "checkpoint", lambda *_: False)
            patched.setattr(erasing, "_RETRY_SECONDS", (1000.0,))
            fs.delete_collection(path, "staff")
            assert left(path) == ["name", "vector"]
        changes: dict[str, Callable[[], object]] = {
            "collections": lambda: fs.collections(path),
            "tags": lambda: catalog.change_tags(path, "guests", add={"a": "b"}),
            "another collection": lambda: fs.Collection.create(path, "more").close(),
            "users": lambda: guests.create_user("zoe"),
        }
        changes[change]()
        assert left(path) == []
        assert catalog.is_erased(path)


def test_a_process_that_deletes_and_then_idles_erases_when_a_reader_is_gone(path: Path) -> None:
    with fs.Collection.open(path, "staff") as staff, closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchone()
        staff.delete_user(NAME, faces=True)
        assert left(path) == ["name", "vector"]
        reader.execute("COMMIT")
        assert soon(lambda: left(path) == [] and catalog.is_erased(path))


def test_of_a_deletion_that_comes_while_another_is_erased_the_mark_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fs.Collection.open(path, "staff") as staff, fs.Collection.open(path, "staff") as other:
        checkpoint = Sessions.checkpoint

        def and_meanwhile(sessions: Sessions, wait: float) -> bool:
            done = checkpoint(sessions, wait)
            with monkeypatch.context() as patched:
                patched.setattr(Sessions, "checkpoint", lambda *_: False)
                patched.setattr(erasing, "_RETRY_SECONDS", (1000.0,))
                other.delete_user(NAME, faces=True)
            return done

        with monkeypatch.context() as patched:
            patched.setattr(Sessions, "checkpoint", and_meanwhile)
            staff.delete_user("bob", faces=True)
        assert left(path) == ["name", "vector"]
        assert not catalog.is_erased(path)
        assert staff.erase_deleted()
        assert left(path) == []


def test_what_can_not_be_erased_is_told_on_the_command_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "ERASING_SECONDS", 0.1)
    where = ["--db", str(path)]

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, *where])
        assert done.exit_code == 0, done.output
        return done.output

    export = Exporting(path)
    assert "not yet erased: another process is reading" in run("delete-user", NAME, "--yes", "--collection", "staff")
    assert left(path) == ["name", "vector"]
    export.goes_on()
    export.ends()
    assert "not yet erased" not in run("delete-user", "bob", "--yes", "--collection", "staff")
    assert left(path) == []


def test_only_readers_that_are_in_the_way_are_waited_for(path: Path) -> None:
    assert fs.Collection("staff").erase_deleted()
    with fs.Collection.open(path, "staff") as staff:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM users").fetchone()
            assert staff.erase_deleted()  # there is nothing to erase
            assert left(path) == ["name", "vector"]
        with pytest.raises(fs.InvalidParameterError, match="timeout: expected"):
            staff.erase_deleted(-1)
    with pytest.raises(fs.StorageError, match="closed"):
        staff.erase_deleted()
    assert catalog.erase_deleted(path)
    with pytest.raises(fs.CollectionNotFoundError):
        catalog.erase_deleted(path.with_name("missing.db"))


# -------------------------------------------------------------------- faces that wait to be judged


def wait(path: Path, user_id: str, vector: np.ndarray) -> None:
    """Store a waiting face, as an interrupted call of `index_folder` does."""
    with fs.Collection.open(path, "staff") as staff:
        store: Any = staff._store
        face = fs.Face(
            face_id=str(uuid.uuid4()),
            image_id=str(uuid.uuid4()),
            confidence=99.0,
            source=f"{user_id}/1.jpg",
            bounding_box=fs.BoundingBox(left=0.1, top=0.1, width=0.2, height=0.2),
        )
        with store.writing():
            store.put_waiting([(uuid.uuid4().hex * 2, user_id, StoredFace(face, vector, None))])


@pytest.fixture
def waiting() -> Iterator[Path]:
    """A file in which a waiting face is the only data of the user to be deleted."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    with fs.Collection.open(folder / "people.db", "staff") as staff:
        staff.add_embedding("bob", -VECTOR)
    wait(folder / "people.db", NAME, VECTOR)
    yield folder / "people.db"
    shutil.rmtree(folder)


def test_a_waiting_face_is_found_by_nothing(waiting: Path) -> None:
    with fs.Collection.open(waiting, "staff") as staff:
        assert left(waiting) == ["name", "vector"]
        assert NAME not in staff
        assert len(staff.faces()) == 1
        assert [match.user.user_id for match in staff.search_embedding(VECTOR, user_match_threshold=0)] == ["bob"]
        (ranked,) = staff.rank_faces([VECTOR], face_match_threshold=0)
        assert [face.user_id for _, face in ranked] == ["bob"]
        staff.save(waiting.with_name("export.npz"))
    with np.load(waiting.with_name("export.npz")) as export:
        assert not any(VECTOR.tobytes() in export[name].tobytes() for name in export.files)


@pytest.mark.parametrize("others", [False, True], ids=["alone", "beside another who waits"])
@pytest.mark.parametrize("way", ["forget", "forget all", "delete the user", "delete the collection"])
def test_a_waiting_face_is_erased_like_a_deleted_one(waiting: Path, way: str, others: bool) -> None:
    if others:
        with fs.Collection.open(waiting, "guests") as guests:
            guests.create_user("zoe")
        wait(waiting, "zoe", np.arange(1, 129, dtype="<f4"))
    with fs.Collection.open(waiting, "staff") as staff:
        if way == "delete the user":
            staff.create_user(NAME)
        with closing(sqlite3.connect(waiting, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM waiting").fetchone()
            calls: dict[str, Callable[[], object]] = {
                "forget": lambda: staff.forget_photos(NAME),
                "forget all": staff.forget_photos,
                "delete the user": lambda: staff.delete_user(NAME),
                "delete the collection": lambda: catalog.delete_collection(waiting, "staff"),
            }
            calls[way]()
            assert left(waiting) == ["name", "vector"]  # the reader still needs them
            assert not catalog.is_erased(waiting)
        assert catalog.erase_deleted(waiting)
        assert left(waiting) == []
    kept = np.arange(1, 129, dtype="<f4").tobytes() in raw(waiting.parent)
    assert kept == (others and way in ("forget", "delete the user"))


def test_a_killed_process_leaves_no_waiting_face_that_it_forgot(waiting: Path) -> None:
    code = KILLED.replace("staff.delete_user(sys.argv[2], faces=True)", "staff.forget_photos(sys.argv[2])")
    with closing(sqlite3.connect(waiting)) as other:
        other.execute("SELECT count(*) FROM waiting").fetchone()
        killed = subprocess.run([sys.executable, "-c", code, str(waiting), NAME], check=False)  # noqa: S603  # our own code
        assert killed.returncode == -signal.SIGKILL
        assert left(waiting) == ["name", "vector"]
        fs.Collection.open(waiting, "staff").close()
        assert left(waiting) == []


# -------------------------------------------------------------------- ids in the history of undo


@pytest.fixture
def renamed() -> Iterator[Path]:
    """A file in which only the history mentions the user to be deleted, who was renamed, merged away or moved."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    with fs.Collection.open(folder / "people.db", "staff") as staff:
        staff.add_embeddings([NAME, "bob"], [VECTOR, -VECTOR])
        staff.rename_user(NAME, "zoe")
        assert staff.erase_deleted()
    assert left(folder / "people.db") == ["name", "vector"]  # the vector is that of the face
    yield folder / "people.db"
    shutil.rmtree(folder)


def delete_face(staff: fs.Collection) -> None:
    face_ids = [face.face_id for face in staff.faces("zoe")]
    staff.disassociate_faces("zoe", face_ids)
    staff.delete_faces(face_ids)


def undo_and_delete(staff: fs.Collection) -> None:
    staff.undo()
    staff.delete_user(NAME)


def make_many_changes(staff: fs.Collection) -> None:
    for number in range(50):
        staff.rename_user(*(("bob", "eve") if number % 2 == 0 else ("eve", "bob")))


FORGETTING: dict[str, Callable[[fs.Collection], object]] = {
    "delete the new user": lambda staff: staff.delete_user("zoe"),
    "delete the face": delete_face,
    "forget the changes": lambda staff: staff.forget_changes(),
    "undo and delete": undo_and_delete,
    "make many changes": make_many_changes,
    "delete the collection": lambda staff: catalog.delete_collection(staff._store._sessions.path, "staff"),  # type: ignore[attr-defined]  # in a file
}


@pytest.mark.parametrize("way", FORGETTING)
def test_a_former_id_is_erased_with_the_history_that_mentions_it(renamed: Path, way: str) -> None:
    with fs.Collection.open(renamed, "staff") as staff:
        FORGETTING[way](staff)
    assert catalog.erase_deleted(renamed)
    assert "name" not in left(renamed)


@pytest.mark.parametrize("gone", ["user", "face"])
def test_no_id_of_what_was_deleted_is_left_in_the_history(path: Path, gone: str) -> None:
    with fs.Collection.open(path, "staff") as staff:
        (face,) = staff.faces(NAME)
        staff.move_face(face.face_id, None)
        staff.set_aside([face.face_id])
        staff.name_group([face.face_id], NAME)
        staff.rename_user("bob", "zoe")
        staff.delete_user(NAME)
        if gone == "face":
            staff.delete_faces([face.face_id])
        assert left(path) == ([] if gone == "face" else ["vector"])
        assert (face.face_id.encode() in raw(path.parent)) == (gone == "user")  # set aside, and not deleted
        with staff._store.reading():
            assert len(staff._store.changes()) == 1 + (gone == "user")
        assert staff.undo().kind is fs.ChangeKind.RENAME_USER


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends processes otherwise")
def test_a_killed_process_leaves_no_former_id_that_it_forgot(renamed: Path) -> None:
    code = KILLED.replace("staff.delete_user(sys.argv[2], faces=True)", "staff.forget_changes()")
    with closing(sqlite3.connect(renamed)) as other:
        other.execute("SELECT count(*) FROM users").fetchone()
        killed = subprocess.run([sys.executable, "-c", code, str(renamed), NAME], check=False)  # noqa: S603  # our own code
        assert killed.returncode == -signal.SIGKILL
        assert "name" in left(renamed)
        fs.Collection.open(renamed, "staff").close()
        assert "name" not in left(renamed)
