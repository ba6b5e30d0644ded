"""Read-only collections: read-only disks, backups, and files of other users."""

import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import facesearch as fs
from durable import MEMORY, bytes_of, contents, unprivileged
from facesearch.cli.app import app
from facesearch.rekognition.service import Rekognition
from facesearch.storage import catalog
from facesearch.storage.sqlite import guarded_sql, opening as database

ONES = np.ones(128)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts and attributes of Linux")


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, on a memory file system if there is one."""
    path = Path(tempfile.mkdtemp(dir=MEMORY))
    yield path
    shutil.rmtree(path)


def people_in(folder: Path) -> Path:
    """A file of a collection, closed."""
    path = folder / "people.db"
    with fs.Collection.open(path, "staff") as staff:
        staff.add_embeddings(["ada", "ada", "bob"], np.random.default_rng(0).normal(size=(3, 128)))
        staff.create_user("eve")
    return path


KILLED = """
import os, sys, numpy as np, facesearch as fs
staff = fs.Collection.open(sys.argv[1], "staff")
staff.add_embedding("late", np.ones(128))
os.kill(os.getpid(), 9)
"""


def leave_a_log(path: Path) -> None:
    """Start a process that adds the user "late" to the file and is killed."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)  # noqa: S603  # our own code
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("people.db-wal").stat().st_size > 0


# -------------------------------------------------------------------- ways in which a file can't be written


class Locked:
    """A folder, and a read-only view of it."""

    def __init__(self, folder: Path, way: str) -> None:
        self.inside, self.way = folder / "inside", way
        self.inside.mkdir()
        self.seen = folder / "seen" if way == "read-only disk" else self.inside
        self.undo: list[Callable[[], object]] = []

    def __enter__(self) -> Path:
        if self.way == "read-only disk":
            self.seen.mkdir()
            _run("mount", "--bind", str(self.inside), str(self.seen))
            self.undo.append(lambda: _run("umount", "--lazy", str(self.seen)))
            _run("mount", "-o", "remount,bind,ro", str(self.seen))
        elif self.way == "immutable file":
            _run("chattr", "+i", str(self.inside / "people.db"))
            self.undo.append(lambda: _run("chattr", "-i", str(self.inside / "people.db")))
        else:  # a file of another user
            self.inside.parent.chmod(0o755)
            self.inside.chmod(0o755)
            for path in self.inside.iterdir():
                path.chmod(0o644)
            nobody = unprivileged()
            nobody.__enter__()
            self.undo.append(lambda: nobody.__exit__(None, None, None))
        return self.seen / "people.db"

    def __exit__(self, *_: object) -> None:
        for undo in reversed(self.undo):
            undo()


def _run(*command: str) -> None:
    program = shutil.which(command[0])
    if program is None or subprocess.run([program, *command[1:]], check=False, capture_output=True).returncode:  # noqa: S603  # our own
        pytest.skip(f"{' '.join(command[:2])} is not allowed here")


WAYS = [
    pytest.param("read-only disk", marks=linux),
    pytest.param("immutable file", marks=linux),
    pytest.param("another user's", marks=pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows")),
]


@pytest.mark.parametrize("way", WAYS)
def test_what_can_only_be_read_is_read_and_stays_as_it_was(folder: Path, way: str) -> None:
    if way == "immutable file":  # the memory file system of old kernels has no attributes
        shutil.rmtree(folder)
        folder.mkdir()
    locked = Locked(folder, way)
    people_in(locked.inside)
    with fs.Collection.open(locked.inside / "people.db", "staff") as staff:
        expected = contents(staff)
    before = bytes_of(locked.inside)
    with locked as path:
        for read_only in (True, None):
            with fs.Collection.open(path, "staff", read_only=read_only) as staff:
                assert contents(staff) == expected
                staff.save(folder / f"{read_only}.npz") if way != "another user's" else None
                changes: list[Callable[[], object]] = [
                    lambda: staff.create_user("zoe"),
                    lambda: staff.delete_user("ada", faces=True),
                    lambda: staff.add_embedding("zoe", ONES),
                ]
                for change in changes:
                    with pytest.raises(fs.StorageReadOnlyError, match=r"people\.db: is open read-only, as the file or"):
                        change()
                assert contents(staff) == expected
        with pytest.raises(fs.StorageReadOnlyError, match="open it with read_only=True"):
            fs.Collection.open(path, "staff")
        with pytest.raises(fs.CollectionNotFoundError, match="no collection 'guests'"):
            fs.Collection.open(path, "guests", read_only=True)
        assert [info.users for info in fs.collections(path)] == [3]
        assert catalog.collection_info(path, "staff").faces == 3
        assert catalog.collection_tags(path, "staff") == {}
        writing: list[Callable[[], object]] = [
            lambda: fs.delete_collection(path, "staff"),
            lambda: catalog.change_tags(path, "staff", add={"a": "b"}),
        ]
        for refused in writing:
            with pytest.raises(fs.StorageReadOnlyError):
                refused()
        assert bytes_of(locked.inside) == before


@pytest.mark.parametrize("way", WAYS[:1])
def test_commands_that_read_need_no_write_access(folder: Path, way: str) -> None:
    locked = Locked(folder, way)
    people_in(locked.inside)
    with locked as path:
        run, db = CliRunner().invoke, ["--db", str(path), "--collection", "staff"]
        for command in (["users"], ["faces"], ["audit"], ["export", str(folder / "out.npz")]):
            done = run(app, [*command, *db])
            assert done.exit_code in {0, 1}, (command, done.output)
            assert "Error" not in done.output
        assert run(app, ["collections", "--db", str(path)]).exit_code == 0
        done = run(app, ["create-user", "zoe", *db])
        assert "can't be written" in done.output
        assert done.exit_code not in {0, 1}


@pytest.mark.parametrize("way", WAYS[:1])
def test_the_service_answers_what_reads_and_denies_what_writes(folder: Path, way: str) -> None:
    locked = Locked(folder, way)
    people_in(locked.inside)
    with locked as path, Rekognition(path) as service:
        assert service.list_collections()["CollectionIds"] == ["staff"]
        assert [user["UserId"] for user in service.list_users(CollectionId="staff")["Users"]] == ["ada", "bob", "eve"]
        assert len(service.search_users(CollectionId="staff", UserId="ada", UserMatchThreshold=0)["UserMatches"]) == 1
        writing: list[Callable[[], object]] = [
            lambda: service.create_user(CollectionId="staff", UserId="zoe", ClientRequestToken="token"),
            lambda: service.create_collection(CollectionId="more"),
            lambda: service.delete_collection(CollectionId="staff"),
        ]
        for write in writing:
            with pytest.raises(service.exceptions.AccessDeniedException, match="The collections are read-only"):
                write()


# -------------------------------------------------------------------- by choice


def test_a_file_that_could_be_written_is_left_alone_if_asked(folder: Path) -> None:
    path = people_in(folder)
    before = bytes_of(folder)
    with fs.Collection.open(path, "staff", read_only=True) as staff:
        assert len(staff) == 3
        with pytest.raises(fs.StorageReadOnlyError, match="was opened read-only; open it without read_only=True"):
            staff.create_user("zoe")
        assert bytes_of(folder) == before
    with pytest.raises(fs.CollectionNotFoundError):
        fs.Collection.open(folder / "missing.db", "staff", read_only=True)
    with pytest.raises(fs.InvalidParameterError, match="read_only: expected True, False, or None"):
        fs.Collection.open(path, "staff", read_only="yes")  # type: ignore[arg-type]  # the point of the test
    assert bytes_of(folder) == before


def test_a_reader_sees_what_others_commit_from_the_next_call_on(folder: Path) -> None:
    path = people_in(folder)
    model = fs.Collection("staff")
    model.add_embeddings(["ada", "ada", "bob"], np.random.default_rng(0).normal(size=(3, 128)))
    model.create_user("eve")
    with fs.Collection.open(path, "staff", read_only=True) as reader:
        assert contents(reader) == contents(model)
        for number in range(4):
            with fs.Collection.open(path, "staff") as writer:
                for collection in (writer, model):
                    collection.add_embedding(f"new{number}", ONES * (number + 1))
                assert contents(reader) == contents(model)  # while it is open, from its log
                for collection in (writer, model):
                    collection.delete_user("bob" if number == 0 else f"new{number - 1}", faces=True)
                assert contents(reader) == contents(model)
            assert contents(reader) == contents(model)  # when it is closed
        assert reader.erase_deleted(0)


def test_what_changes_while_it_is_read_without_locks_is_not_believed(folder: Path) -> None:
    path = people_in(folder)
    with fs.Collection.open(path, "staff", read_only=True) as reader:
        with (
            pytest.raises(fs.StorageBusyError, match="was changed while it was read; try again"),
            reader._store.reading(),
            fs.Collection.open(path, "staff") as writer,
        ):
            writer.create_user("zoe")
        assert "zoe" in reader


def test_a_log_that_was_left_behind_is_read_or_named(folder: Path) -> None:
    locked = Locked(folder, "read-only disk")
    people_in(locked.inside)
    leave_a_log(locked.inside / "people.db")
    before = bytes_of(locked.inside)
    with locked as path, fs.Collection.open(path, "staff", read_only=True) as staff:
        assert "late" in staff
    assert bytes_of(locked.inside) == before
    (locked.inside / "people.db-shm").unlink()
    locked.undo.clear()
    shutil.rmtree(locked.seen, ignore_errors=True)
    with locked as path, pytest.raises(fs.StorageReadOnlyError, match=r"people\.db-wal, has changes that .* copy both"):
        fs.Collection.open(path, "staff", read_only=True)
    with fs.Collection.open(locked.inside / "people.db", "staff") as staff:  # where it can be written
        assert "late" in staff


# -------------------------------------------------------------------- completion


def complete(path: Path, *words: str) -> list[str]:
    """The completions of bash for the last word."""
    line = ["facesearch", *words]
    environment = {
        "_FACESEARCH_COMPLETE": "bash_complete",
        "COMP_WORDS": shlex.join(line) if line[-1] else f"{shlex.join(line[:-1])} ",
        "COMP_CWORD": str(len(words)),
        "FACESEARCH_DB": str(path),
        "FACESEARCH_COLLECTION": "staff",
    }
    done = CliRunner(env=environment).invoke(app, [], prog_name="facesearch")
    assert not done.stderr, done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_a_shell_completes_ids_without_changing_the_file(folder: Path) -> None:
    path = people_in(folder)
    before = bytes_of(folder)
    assert database.ids_beginning(path, "") == ["staff"]
    assert database.ids_beginning(path, "", collection_id="staff") == ["ada", "bob", "eve"]
    assert bytes_of(folder) == before


def test_a_shell_is_offered_no_id_that_it_could_run(folder: Path) -> None:
    path = people_in(folder)
    names: list[Any] = [
        "$(touch x)",
        "`touch x`",
        "a b",
        "a;b",
        "a\nb",
        "a'b",
        "--yes",
        "-x",
        "",
        "ä",
        b"ada",
        "x" * 129,
    ]
    with closing(sqlite3.connect(path)) as sql:
        for number, name in enumerate(names, 100):
            sql.execute("INSERT INTO users VALUES (?, 1, 0, 0, 1)", (number,))
            sql.execute("INSERT INTO user_data VALUES (?, NULL, ?)", (number, name))
        sql.execute(
            "INSERT INTO collections SELECT 9, '$(touch y)', created, model_name, model_version, model_digest, dimension, calibration, thumbnails, users, faces, change, forgotten, secret, index_epoch, index_users, index_faces FROM collections"
        )
        sql.commit()
    before = bytes_of(folder)
    assert complete(path, "delete-user", "") == ["ada", "bob", "eve"]
    assert complete(path, "delete-user", "e") == ["eve"]
    assert complete(path, "delete-collection", "") == ["staff"]
    assert complete(path, "delete-user", "$") == []
    assert bytes_of(folder) == before


def test_completion_has_half_a_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = people_in(folder)
    given: list[float | None] = []

    def opened(*arguments: Any, seconds: float | None = None) -> Any:
        given.append(seconds)
        return guarded_sql.open_guarded(*arguments, seconds=seconds)

    monkeypatch.setattr(database, "open_guarded", opened)
    assert complete(path, "delete-user", "e") == ["eve"]
    assert given == [0.5]


def test_a_statement_ends_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_sql, "_LEAST_OPCODES", 1 << 60)  # what it may use up by itself
    counted = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) SELECT max(x) FROM n"
    path = tmp_path / "any.db"
    sqlite3.connect(path).close()
    for seconds, ends in ((None, False), (0, True)):
        with closing(guarded_sql.open_guarded(path, "mode=rw", 0, seconds=seconds)) as sql:
            if ends:
                with pytest.raises(sqlite3.OperationalError, match="interrupted"):
                    sql.execute(counted).fetchall()
            else:
                assert sql.execute(counted).fetchall() == [(3_000_000,)]


def test_completion_knows_the_patterns_of_ids() -> None:
    from facesearch.domain import entities as records

    assert database.COLLECTION_ID.pattern == f"{records.COLLECTION_ID_PATTERN[:-1]}{{1,255}}"
    assert database.USER_ID.pattern == f"{records.USER_ID_PATTERN[:-1]}{{1,128}}"
