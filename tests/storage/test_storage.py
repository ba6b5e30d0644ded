"""Collections in a file: durability, transactions, formats, and files that can't be used."""

import hashlib
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import facesearch as fs
from durable import MEMORY, bytes_of, contents, raw, unprivileged
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.storage.sqlite import erasure as erasing, opening as database
from facesearch.storage.sqlite.schema import SCHEMA, STEPS
from facesearch.storage.sqlite.store import SqliteStore
from facesearch.testing.fakes import FAKE_MODEL, fake_calibration, paint

RED, BLUE = (200, 30, 30), (30, 30, 200)
ONES = np.ones(128)
OTHER = fs.FaceModel(name="other", version="2.0", digest="f" * 64, dimension=128)
JPEG = b"\xff\xd8\xff"
PIECE = 16  # bytes


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, on a memory file system if there is one."""
    path = Path(tempfile.mkdtemp(dir=MEMORY))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def people(folder: Path) -> Path:
    """A file of two collections, closed."""
    path = folder / "people.db"
    with fs.Collection.open(path, "staff") as staff:
        staff.add_embeddings(["ada", "ada", "bob"], np.random.default_rng(0).normal(size=(3, 128)))
        staff.create_user("eve")
    with fs.Collection.open(path, "guests", thumbnails=True) as guests:
        guests.add_embedding("ada", ONES)
    return path


def vectors(count: int, seed: int = 0) -> Any:
    return (np.random.default_rng(seed).normal(size=(count, 128)) * 0.08).astype(np.float32)


def portrait(colour: tuple[int, int, int], size: int = 60) -> Any:
    return paint((100, 120), {(20, 20, 20 + size, 20 + size): colour})


# -------------------------------------------------------------------- opening


def test_what_was_written_is_there_when_it_is_opened_again(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff:
        before = contents(staff)
        assert [user.user_id for user in staff.users()] == ["ada", "bob", "eve"]
    with fs.Collection.open(str(people), "staff", create=False) as staff:
        assert contents(staff) == before


def test_a_closed_file_is_one_file(people: Path) -> None:
    assert sorted(bytes_of(people.parent)) == ["people.db"]


def test_collections_tells_what_a_file_has(people: Path) -> None:
    guests, staff = fs.collections(people)

    assert (guests.collection_id, guests.users, guests.faces, guests.thumbnails) == ("guests", 1, 1, True)
    assert (staff.collection_id, staff.users, staff.faces, staff.thumbnails) == ("staff", 3, 3, False)
    assert staff.face_model == fs.Collection("x").face_model
    assert timedelta(0) <= datetime.now(UTC) - staff.created < timedelta(hours=1)


def test_collections_of_one_file_have_nothing_to_do_with_each_other(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff, fs.Collection.open(people, "guests") as guests:
        before = contents(staff)
        guests.add_embedding("bob", ONES)
        guests.delete_user("ada", faces=True)
        assert contents(staff) == before
        assert "bob" in guests

    fs.delete_collection(people, "guests")
    assert [info.collection_id for info in fs.collections(people)] == ["staff"]
    with fs.Collection.open(people, "staff") as staff:
        assert contents(staff) == before


def test_a_collection_that_is_made_anew_is_another_one(people: Path) -> None:
    with fs.Collection.open(people, "staff") as old:
        old.search_embedding(ONES)
        fs.delete_collection(people, "staff")
        with fs.Collection.open(people, "staff") as new:
            new.add_embedding("zoe", ONES)
            for call in (lambda: old.search_embedding(ONES), lambda: len(old), lambda: old.create_user("x")):
                with pytest.raises(fs.CollectionNotFoundError, match="'staff' was deleted while it was open"):
                    call()
            assert [user.user_id for user in new.users()] == ["zoe"]


def test_what_is_not_there_is_not_made_unless_asked(folder: Path) -> None:
    path = folder / "people.db"
    for call in (
        lambda: fs.Collection.open(path, "staff", create=False),
        lambda: fs.collections(path),
        lambda: fs.delete_collection(path, "staff"),
    ):
        with pytest.raises(fs.CollectionNotFoundError, match="no such file"):
            call()
        assert bytes_of(folder) == {}

    fs.Collection.open(path, "staff").close()
    before = bytes_of(folder)
    with pytest.raises(fs.CollectionNotFoundError, match="no collection 'guests' in"):
        fs.Collection.open(path, "guests", create=False)
    with pytest.raises(fs.CollectionNotFoundError, match="no collection 'guests' in"):
        fs.delete_collection(path, "guests")
    assert bytes_of(folder) == before


def test_another_face_model_is_refused_and_its_own_remembered(folder: Path, fake: FaceAnalyzer) -> None:
    path = folder / "people.db"
    fs.Collection.open(path, "staff", analyzer=fake).close()
    before = bytes_of(folder)

    with pytest.raises(fs.FaceModelMismatchError, match=r"holds vectors of painted_faces 0\.0 .*, got other 2\.0"):
        fs.Collection.open(path, "staff", face_model=OTHER)
    with fs.Collection.open(path, "staff") as staff:
        assert staff.face_model == FAKE_MODEL
        assert staff.calibration == fake_calibration()  # kept with it, as none comes with the library
    with pytest.raises(fs.CalibrationError, match="no calibration for other"):
        fs.Collection.open(path, "guests", face_model=OTHER)
    with fs.Collection.open(path, "plain") as plain:
        assert plain.calibration == fs.calibration()
    fs.delete_collection(path, "plain")
    with pytest.raises(fs.FaceModelMismatchError, match=r"got painted_faces 0\.0"):
        fs.Collection.open(path, "mine", face_model=OTHER, analyzer=fake)
    assert before.keys() == bytes_of(folder).keys()
    assert [info.collection_id for info in fs.collections(path)] == ["staff"]


def test_another_calibration_may_be_given_each_time(people: Path) -> None:
    spread = attrs.evolve(fs.calibration(), user_spread=0.5)
    with fs.Collection.open(people, "staff") as staff, fs.Collection.open(people, "staff", calibration=spread) as other:
        assert staff.calibration == fs.calibration()
        scores = [each.search_embedding(ONES, user_match_threshold=0)[0].similarity for each in (staff, other)]
        assert scores[0] != scores[1]


def test_thumbnails_are_decided_once(people: Path) -> None:
    with pytest.raises(fs.InvalidParameterError, match="thumbnails: expected False, what it was made with, got True"):
        fs.Collection.open(people, "staff", thumbnails=True)
    with pytest.raises(fs.InvalidParameterError, match="thumbnails: expected True or False, got 'yes'"):
        fs.Collection.open(people, "more", thumbnails="yes")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((b"people.db", "staff"), "path: expected the path of a file, got <9 bytes>"),
        (("", "staff"), "path: expected the path of a file"),
        ((":memory:", "staff"), "path: expected the path of a file"),
        (("a\0b", "staff"), "path: expected the path of a file"),
        ((None, "staff"), "path: expected the path of a file"),
        (("people.db", "a b"), "collection_id: expected"),
    ],
)
def test_wrong_arguments_are_named(arguments: Any, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(fs.InvalidParameterError, match=message):
        fs.Collection.open(*arguments)
    with pytest.raises(fs.InvalidParameterError, match="timeout: expected a finite number"):
        fs.Collection.open("people.db", "staff", timeout=-1)
    assert bytes_of(folder) == {}


def test_a_closed_collection_says_so(people: Path) -> None:
    staff = fs.Collection.open(people, "staff")
    staff.close()
    staff.close()
    for call in (lambda: len(staff), lambda: staff.create_user("x"), lambda: staff.search_embedding(ONES)):
        with pytest.raises(fs.ClosedError, match=r"people\.db: closed; open it again with Collection\.open"):
            call()


def test_a_file_that_was_taken_away_is_missed(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff:
        staff.search_embedding(ONES)
        away = people.rename(people.with_name("away.db"))
        for call in (lambda: staff.create_user("zoe"), lambda: staff.search_embedding(ONES), staff.users):
            with pytest.raises(fs.StorageError, match="removed or replaced while it was open"):
                call()
        shutil.copy(away, people)
        with pytest.raises(fs.StorageError, match="removed or replaced while it was open"):
            staff.users()


def test_in_memory_there_is_nothing_to_close() -> None:
    with fs.Collection("staff") as staff:
        staff.add_embedding("ada", ONES)
    assert len(staff) == 1


def test_a_collection_in_a_file_is_not_pickled(people: Path) -> None:
    with (
        fs.Collection.open(people, "staff") as staff,
        pytest.raises(fs.InvalidParameterError, match=r"can't be copied or pickled.*open it there"),
    ):
        pickle.dumps(staff)


# -------------------------------------------------------------------- files that can't be used


def broken_files(path: Path) -> dict[str, Callable[[], object]]:
    def of_format(number: int) -> None:
        with closing(sqlite3.connect(path)) as sql:
            sql.execute(f"PRAGMA user_version = {number}")

    def foreign() -> None:
        path.unlink()
        with closing(sqlite3.connect(path)) as sql:
            sql.execute("CREATE TABLE users (uid)")

    def foreign_log() -> None:
        foreign()
        with closing(sqlite3.connect(path)) as sql:
            sql.execute("PRAGMA journal_mode = WAL")

    def noise() -> None:
        with path.open("r+b") as file:
            file.write(np.random.default_rng(0).bytes(4096))

    return {
        "of a newer format": lambda: of_format(7),
        "of format 1": lambda: of_format(1),
        "of format 3": lambda: of_format(3),
        "of format 0": lambda: of_format(0),
        "of a negative format": lambda: of_format(-1),
        "another SQLite file": foreign,
        "another SQLite file with a log": foreign_log,
        "text": lambda: path.write_text("people\n" * 1000),
        "a few bytes": lambda: path.write_bytes(b"SQLite"),
        "a picture": lambda: path.write_bytes(JPEG * 5000),
        "empty": lambda: path.write_bytes(b""),
        "overwritten": noise,
        "truncated in the header": lambda: os.truncate(path, 60),
        "without its last byte": lambda: os.truncate(path, path.stat().st_size - 1),
    }


@pytest.mark.parametrize("kind", broken_files(Path()))
def test_what_is_no_file_of_ours_is_refused_and_left_as_it_was(people: Path, kind: str) -> None:
    broken_files(people)[kind]()
    before = bytes_of(people.parent)

    for call in (
        lambda: fs.Collection.open(people, "staff"),
        lambda: fs.Collection.open(people, "new one"[:3]),
        lambda: fs.collections(people),
        lambda: fs.delete_collection(people, "staff"),
    ):
        with pytest.raises(fs.StorageFormatError, match=r"people\.db: "):
            call()
    assert bytes_of(people.parent) == before


def test_a_newer_format_is_said_to_be_newer(people: Path) -> None:
    broken_files(people)["of a newer format"]()
    with pytest.raises(fs.StorageFormatError, match="newer facesearch: expected format 6, got 7; open it with that"):
        fs.Collection.open(people, "staff")


def test_a_format_from_before_the_first_version_is_named_with_the_next_step(people: Path) -> None:
    for read_only in (False, True):
        broken_files(people)["of format 1"]()
        with pytest.raises(
            fs.StorageFormatError,
            match=r"people\.db: of format 1, from before version 0\.1\.0; this version reads formats 4 to 6: index the photos into a new",
        ):
            fs.Collection.open(people, "staff", read_only=read_only)


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_a_truncated_file_is_refused_wherever_it_ends(position: int) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path = Path(name) / "people.db"
        shutil.copy(a_file(), path)
        os.truncate(path, position % path.stat().st_size)
        before = bytes_of(path.parent)
        with pytest.raises(fs.StorageFormatError, match=r"people\.db: "):
            fs.Collection.open(path, "staff")
        assert bytes_of(path.parent) == before


def a_file() -> Path:
    """A file of several pages, created once."""
    if not _MADE:
        path = Path(tempfile.mkdtemp(dir=MEMORY)) / "people.db"
        with fs.Collection.open(path, "staff") as staff:
            staff.add_embeddings([f"user{number}" for number in range(100)], vectors(100))
        _MADE.append(path)
    return _MADE[0]


_MADE: list[Path] = []


def test_a_folder_is_no_file(folder: Path) -> None:
    with pytest.raises(fs.StorageFormatError, match="expected a file, got a folder"):
        fs.Collection.open(folder, "staff")


def test_without_a_folder_there_is_no_file(folder: Path) -> None:
    with pytest.raises(fs.StorageError, match=r"people\.db: No such file or directory"):
        fs.Collection.open(folder / "missing" / "people.db", "staff")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="Windows has other permissions")
def test_what_must_not_be_written_is_left_alone(people: Path) -> None:
    folder = people.parent
    folder.chmod(0o755)
    for closed, mode in ((people, 0o444), (folder, 0o555)):
        people.chmod(0o666)
        folder.chmod(0o777)
        closed.chmod(mode)
        before = bytes_of(folder)
        with unprivileged(), pytest.raises(fs.StorageReadOnlyError, match="can't be written"):
            fs.Collection.open(people, "staff")
        assert bytes_of(folder) == before
    with unprivileged(), pytest.raises(fs.StorageReadOnlyError, match=r"new\.db: Permission denied"):
        fs.Collection.open(folder / "new.db", "staff")
    assert bytes_of(folder) == before
    folder.chmod(0o777)


def damage(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as sql:
        assert sql.execute(statement, values).rowcount
        sql.commit()


@pytest.mark.parametrize(
    "vector",
    [
        b"",
        b"short",
        bytes(513),
        bytes(512),
        np.full(128, np.nan, "<f4").tobytes(),
        np.full(128, 1e18, "<f4").tobytes(),
        "text",
        None,
    ],
)
def test_a_damaged_vector_is_never_searched(people: Path, vector: Any) -> None:
    damage(people, "UPDATE user_data SET vector = ? WHERE user_id = 'bob'", vector)
    with fs.Collection.open(people, "staff") as staff:
        for call in (lambda: staff.search_embedding(ONES), lambda: staff.user_embedding("bob")):
            with pytest.raises(fs.StorageFormatError, match=r"users \d+: damaged, expected"):
                call()
        assert staff.user_embedding("ada") is not None
    damage(people, "UPDATE face_data SET vector = ?", vector)
    with (
        fs.Collection.open(people, "staff") as staff,
        pytest.raises(fs.StorageFormatError, match=r"faces \d+: damaged, expected"),
    ):
        staff.face_embedding(staff.faces()[0].face_id)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("confidence", 101.0),
        ("external_image_id", "a b"),
        ("image_id", 7),
        ("image_id", b"short"),
        ("source", 7),
        ("source", b"\xff"),
        ("source", b""),
    ],
)
def test_a_damaged_face_is_named(people: Path, column: str, value: Any) -> None:
    damage(people, f"UPDATE face_data SET {column} = ?", value)  # noqa: S608  # names of ours
    with (
        fs.Collection.open(people, "staff") as staff,
        pytest.raises(fs.StorageFormatError, match=r"faces \d+: damaged \("),
    ):
        staff.faces()


# -------------------------------------------------------------------- formats


def digest_of_schema(path: Path) -> str:
    with closing(sqlite3.connect(path)) as sql:
        schema = sql.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    return hashlib.sha256(repr(schema).encode()).hexdigest()[:12]


def to_format_4(path: Path) -> None:
    """Make of a file what the version before wrote."""
    with closing(sqlite3.connect(path)) as sql:
        for table in ("set_aside", "changes", "change_data"):
            sql.execute(f"DROP TABLE {table}")
        for column in ("index_epoch", "index_users", "index_faces"):
            sql.execute(f"ALTER TABLE collections DROP COLUMN {column}")
        sql.execute("PRAGMA user_version = 4")


def test_the_format_on_the_disk_is_never_changed(people: Path) -> None:
    assert digest_of_schema(people) == "eb0a559eb935"
    with closing(sqlite3.connect(people)) as sql:
        assert sql.execute("PRAGMA user_version").fetchone() == (6,)
        assert sql.execute("PRAGMA application_id").fetchone() == (0x66616365,)
    to_format_4(people)
    assert digest_of_schema(people) == "6f6f5215d65a"


def test_a_file_of_the_format_before_is_brought_to_this_one(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff:
        before, new = contents(staff), digest_of_schema(people)
    to_format_4(people)
    with fs.Collection.open(people, "staff") as staff:
        assert contents(staff) == before
        face_ids = staff.add_embeddings(["eve"], np.ones((1, 128)))
        staff.delete_user("eve")
        staff.set_aside(face_ids)
        staff.undo()
    assert digest_of_schema(people) == new


def test_a_file_of_the_format_before_is_read_without_a_change(people: Path) -> None:
    to_format_4(people)
    before = bytes_of(people.parent)
    with fs.Collection.open(people, "staff", read_only=True) as staff:
        assert staff.faces()
        staff.save(people.with_name("export.npz"))
        with pytest.raises(fs.StorageReadOnlyError):
            staff.undo()
    people.with_name("export.npz").unlink()
    assert bytes_of(people.parent) == before


def test_an_upgrade_that_fails_changes_nothing(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to_format_4(people)
    with monkeypatch.context() as patched:
        patched.setattr(database, "STEPS", {**STEPS, 5: (*STEPS[5], "INSERT INTO nowhere VALUES (1)")})
        with pytest.raises(fs.StorageError, match="SQLITE_ERROR"):
            fs.Collection.open(people, "staff")
    assert digest_of_schema(people) == "6f6f5215d65a"
    with fs.Collection.open(people, "staff") as staff:
        assert staff.faces()


def test_a_step_that_fails_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SCHEMA", (*SCHEMA, "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(fs.StorageError, match="SQLITE_ERROR"):
        fs.Collection.open(folder / "new.db", "staff")
    assert not bytes_of(folder)


# -------------------------------------------------------------------- all or nothing


def test_what_fails_midway_leaves_nothing(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fs.Collection.open(people, "staff") as staff:
        before = contents(staff)
        for method in ("create_users", "put_faces", "refresh", "delete_user", "remove_faces", "assign"):
            do = getattr(SqliteStore, method)

            def fail(*arguments: Any, do: Any = do) -> None:
                do(*arguments)
                raise ZeroDivisionError

            with monkeypatch.context() as patched:
                patched.setattr(SqliteStore, method, fail)
                for call in (
                    lambda: staff.add_embedding("zoe", ONES),
                    lambda: staff.delete_user("ada", faces=True),
                    lambda: staff.disassociate_faces("ada", [staff.faces("ada")[0].face_id]),
                ):
                    if method in _calls(call):
                        with pytest.raises(ZeroDivisionError):
                            call()
            assert contents(staff) == before
    with fs.Collection.open(people, "staff") as staff:
        assert contents(staff) == before


def _calls(call: Callable[[], Any]) -> set[str]:
    """The methods of the store that a call uses."""
    first = call.__code__.co_names[0]
    return {
        "add_embedding": {"create_users", "put_faces", "refresh"},
        "delete_user": {"delete_user", "remove_faces"},
        "disassociate_faces": {"assign", "refresh"},
    }[first]


def test_a_full_disk_changes_nothing(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff:
        before = contents(staff)
        store: Any = staff._store
        with store.writing():
            sql = store._block.sql
        (pages,) = sql.execute("PRAGMA page_count").fetchone()
        sql.execute(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(fs.StorageFullError, match="no room on the disk; nothing was changed"):
            staff.add_embeddings([f"user{number}" for number in range(500)], vectors(500))
        assert contents(staff) == before
        sql.execute("PRAGMA max_page_count = 1000000")
        staff.add_embedding("zoe", ONES)
        assert "zoe" in staff


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = folder / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603  # our own
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)  # noqa: S603, S607  # our own


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    path = small_disk / "people.db"
    with fs.Collection.open(path, "staff") as staff:
        staff.add_embedding("ada", ONES)
        before = contents(staff)
        with pytest.raises(fs.StorageFullError, match="no room"):
            staff.add_embeddings([f"user{number}" for number in range(2000)], vectors(2000))
        assert contents(staff) == before
        for number in range(2000):  # until not even one more fits
            try:
                staff.add_embedding(f"more{number}", ONES + number)
            except fs.StorageFullError:
                break
        assert len(staff) == 1 + number
    before = bytes_of(small_disk)
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(fs.StorageFullError, match=r"no room|No space left"):
        fs.Collection.open(small_disk / "new.db", "staff")
    (small_disk / "ballast").unlink()
    assert bytes_of(small_disk) == before
    with fs.Collection.open(path, "staff") as staff:
        assert len(staff) == 1 + number
        with pytest.raises(fs.StorageFullError, match="no room"):  # what is deleted is written over
            staff.delete_user("ada", faces=True)
        assert "ada" in staff


# -------------------------------------------------------------------- threads, and others that write


def test_who_waits_too_long_for_another_writer_is_told(people: Path) -> None:
    with fs.Collection.open(people, "staff", timeout=0.2) as staff:
        before = contents(staff)
        with closing(sqlite3.connect(people, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            start = time.monotonic()
            with pytest.raises(fs.StorageBusyError, match="longer than the timeout; nothing was changed"):
                staff.add_embedding("zoe", ONES)
            assert time.monotonic() - start >= 0.2
            assert contents(staff) == before  # readers don't wait
            other.execute("ROLLBACK")
        staff.add_embedding("zoe", ONES)
        assert isinstance(fs.StorageBusyError("x"), TimeoutError)


def test_who_waits_too_long_for_another_thread_is_told(people: Path) -> None:
    with fs.Collection.open(people, "staff", timeout=0.1) as staff, ThreadPoolExecutor(1) as pool:
        with staff._store.writing():
            with pytest.raises(fs.StorageBusyError, match=r"another thread wrote for more than 0\.1 s"):
                pool.submit(staff.create_user, "zoe").result()
            assert pool.submit(len, staff).result() == 3
        assert "zoe" not in staff


def test_threads_search_and_write_at_once(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff, ThreadPoolExecutor(8) as pool:
        stop = threading.Event()

        def search() -> int:
            count = 0
            while not stop.is_set():
                found = staff.search_embedding(ONES, user_match_threshold=0)
                names = [match.user.user_id for match in found]
                assert names == sorted(names, key=lambda name: [-found[names.index(name)].similarity, name])
                assert {"ada", "bob"} <= set(names)
                count += 1
            return count

        def write(name: str) -> None:
            for number in range(15):
                staff.add_embedding(f"{name}{number}", ONES * (number + 1))
                found = staff.search_embedding(ONES * (number + 1), user_match_threshold=99)
                assert f"{name}{number}" in [match.user.user_id for match in found]  # at once
                if number % 3 == 0:
                    staff.delete_user(f"{name}{number}", faces=True)

        searches = [pool.submit(search) for _ in range(4)]
        for each in [pool.submit(write, name) for name in "xyz"]:
            each.result()
        stop.set()
        assert all(each.result() > 0 for each in searches)
        assert len(staff) == 3 + 3 * 10


def test_a_thread_that_reads_must_not_wait_for_others(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff, staff._store.reading():
        for call in (lambda: staff.create_user("zoe"), lambda: staff.search_embedding(ONES)):
            with pytest.raises(RuntimeError, match="a thread that reads must not wait for a writer"):
                call()


def test_users_whose_hashes_are_equal_are_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "_hash", lambda *_: 7)
    model = fs.Collection("staff")
    with fs.Collection.open(folder / "people.db", "staff") as staff:
        for collection in (model, staff):
            collection.add_embeddings(["ada", "bob", "ada", "eve"], vectors(4))
            collection.delete_user("bob", faces=True)
            collection.disassociate_faces("ada", [collection.faces("ada")[0].face_id])
        assert contents(staff) == contents(model)


# -------------------------------------------------------------------- people who are deleted


def pieces(*values: bytes) -> set[bytes]:
    """Parts of values that identify a person."""
    return {value[start : start + PIECE] for value in values for start in range(max(1, len(value) - PIECE + 1))}


def left(sought: set[bytes], folder: Path) -> set[bytes]:
    """The parts that occur in a file of the folder."""
    return sought & pieces(raw(folder))


def test_of_a_deleted_user_nothing_is_left_in_any_file(folder: Path, fake: FaceAnalyzer) -> None:
    with fs.Collection.open(folder / "people.db", "staff", analyzer=fake, thumbnails=True) as staff:
        photos, sources = [portrait(RED), portrait(RED, 70)], ["album/Her Name/1.jpg", "album/Her Name/\udcff.jpg"]
        staff.enroll("user-to-be-deleted", photos, sources=sources)
        face = staff.index_faces(portrait(RED, 50), external_image_id="name-of-a-photo-1234").face_records[0].face
        staff.associate_faces("user-to-be-deleted", [face.face_id])
        staff.enroll("bob", [portrait(BLUE)])
        vector = staff.user_embedding("user-to-be-deleted")
        assert vector is not None
        secret = pieces(
            b"user-to-be-deleted",
            b"name-of-a-photo-1234",
            b"album/Her Name",
            vector.tobytes(),
            *(staff.face_embedding(each.face_id).tobytes() for each in staff.faces("user-to-be-deleted")),
            *(staff.thumbnail(each.face_id) or b"" for each in staff.faces("user-to-be-deleted")),
        )
        # Pictures have their tables in common.
        secret -= {piece for face in staff.faces("bob") for piece in pieces(staff.thumbnail(face.face_id) or b"")}
        assert len(left(secret, folder)) > 0.9 * len(secret)  # but for those that go over the end of a page
        assert raw(folder).count(JPEG) >= 4

        staff.delete_user("user-to-be-deleted", faces=True)

        assert left(secret, folder) == set()
        assert raw(folder).count(JPEG) == 1
    assert left(secret, folder) == set()


def test_without_being_asked_no_picture_is_in_the_file(folder: Path, fake: FaceAnalyzer) -> None:
    with fs.Collection.open(folder / "people.db", "staff", analyzer=fake) as staff:
        staff.enroll("ada", [portrait(RED)])
        assert JPEG not in raw(folder)


def test_of_deleted_faces_and_former_vectors_nothing_is_left(folder: Path) -> None:
    with fs.Collection.open(folder / "people.db", "staff") as staff:
        staff.add_embeddings(["ada", "ada", "ada", "bob"], vectors(4))
        first, *others = (face.face_id for face in staff.faces("ada"))
        former, gone = staff.user_embedding("ada"), staff.face_embedding(first)
        assert former is not None
        assert former.tobytes() in raw(folder)

        staff.disassociate_faces("ada", [first])
        assert former.tobytes() not in raw(folder)
        assert gone.tobytes() in raw(folder)
        staff.delete_faces([first])
        assert gone.tobytes() not in raw(folder)

        staff.delete_user("ada")
        assert all(staff.face_embedding(face_id).tobytes() in raw(folder) for face_id in others)
        assert b"ada" not in raw(folder)


@pytest.mark.parametrize("few", [True, False])
def test_of_a_deleted_collection_nothing_is_left(few: bool, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_FEWEST_EMPTIED", 10_000 if few else 0)
    with fs.Collection.open(people, "staff") as staff:
        secret = [staff.face_embedding(face.face_id).tobytes() for face in staff.faces()]
    assert all(piece in raw(people.parent) for piece in secret)
    fs.delete_collection(people, "staff")
    assert not any(piece in raw(people.parent) for piece in [*secret, b"staff"])


@pytest.mark.parametrize("seed", range(3))
def test_however_many_come_and_go_nothing_is_left(folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_FEWEST_EMPTIED", 100)  # so that tables are written anew now and then
    draw = random.Random(seed)  # noqa: S311  # the same on every run
    gone: set[bytes] = set()
    there: dict[str, bytes] = {}
    with fs.Collection.open(folder / "people.db", "staff") as staff:
        for _ in range(30):
            new = [f"person-{draw.randbytes(draw.randrange(12, 60)).hex()}" for _ in range(20)]
            given_ = vectors(20, draw.getrandbits(30))
            staff.add_embeddings(new, given_)
            there |= dict(zip(new, (row.tobytes() for row in given_), strict=True))
            for user_id in draw.sample(sorted(there), 18):
                gone |= pieces(user_id.encode(), there.pop(user_id))
                staff.delete_user(user_id, faces=True)
        assert left(gone, folder) == set()
        assert len(staff) == len(there)
        assert {match.user.user_id for match in staff.search_embedding(ONES, user_match_threshold=0)} == set(there)
    assert (folder / "people.db").stat().st_size < 400_000


def test_who_reads_meanwhile_delays_the_cleaning_but_not_the_deletion(people: Path) -> None:
    with fs.Collection.open(people, "staff") as staff:
        bob = staff.face_embedding(staff.faces("bob")[0].face_id).tobytes()
        with closing(sqlite3.connect(people, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM users").fetchone()
            staff.delete_user("bob", faces=True)
            assert "bob" not in staff
            assert bob in raw(people.parent)  # the reader still sees it
            reader.execute("COMMIT")
        staff.create_user("zoe")
        assert bob not in raw(people.parent)


def test_tables_that_are_written_anew_are_the_same_for_everybody(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_FEWEST_EMPTIED", 3)
    model = fs.Collection("staff")
    with fs.Collection.open(people, "staff") as one, fs.Collection.open(people, "staff") as other:
        one.delete_user("eve")
        for collection in (one, model):
            if collection is model:
                model.add_embeddings(["ada", "ada", "bob"], np.random.default_rng(0).normal(size=(3, 128)))
            collection.add_embeddings([f"u{number}" for number in range(20)], vectors(20))
        assert contents(other) == contents(model)
        for collection in (one, model):
            for number in range(18):
                collection.delete_user(f"u{number}", faces=True)
        with closing(sqlite3.connect(people)) as sql:
            (rows,) = sql.execute("SELECT count(*) FROM user_data").fetchone()
        assert rows < 15  # of 24 that there were
        assert contents(other) == contents(model)
        assert contents(one) == contents(model)
