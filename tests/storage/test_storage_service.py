"""What a service needs of a file: indexed pages, remembered answers, tags, and collections that are created once."""

import shutil
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
from hypothesis import given, settings, strategies as st

import facesearch as fs
from durable import MEMORY, contents, raw
from facesearch.errors import CollectionExistsError
from facesearch.storage.catalog import MAX_TAGS, change_tags, collection_info, collection_tags, database_of

ONES = np.ones(128)


@pytest.fixture
def path() -> Iterator[Path]:
    """A path without a file, in an empty folder."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder / "people.db"
    shutil.rmtree(folder)


def vectors(count: int) -> Any:
    return np.random.default_rng(count).normal(size=(count, 128)) * 0.08


# -------------------------------------------------------------------- pages


def test_pages_in_a_file_are_found_by_an_index_and_in_its_order(path: Path) -> None:
    with fs.Collection.open(path, "staff") as staff:
        face_ids = staff.add_embeddings(["ada"] * 3, vectors(3))
        sessions = staff._store._sessions  # type: ignore[attr-defined]  # a file's has them
        plans = []
        for call in (
            lambda: staff.page_of_users(after="1", limit=2),
            lambda: staff.page_of_faces(after=face_ids[0], limit=2),
            lambda: staff.page_of_faces(after=face_ids[0], limit=2, user_id="ada"),
            lambda: staff.page_of_faces(face_ids=face_ids),
        ):
            asked: list[str] = []
            with sessions.reading() as sql:
                sql.set_trace_callback(asked.append)
                call()
                sql.set_trace_callback(None)
                steps = sql.execute(f"EXPLAIN QUERY PLAN {asked[-1]}").fetchall()
            plans.append([step[3].replace("TABLE ", "") for step in steps])
    users, faces, of_user, named = plans

    assert users[0].startswith("SEARCH users USING INDEX users_by_number (collection=? AND rowid>?)"), users
    assert faces[0].startswith("SEARCH faces USING INDEX faces_by_id (collection=? AND face_id>?)"), faces
    assert of_user[0].startswith("SEARCH faces USING INDEX faces_by_user (uid=?"), of_user  # at most 100
    assert named[0].startswith("SEARCH faces USING INDEX faces_by_id (collection=? AND face_id=?)"), named
    assert not any("SCAN" in step for plan in plans for step in plan), plans
    assert not any("TEMP B-TREE" in step for step in users + faces), plans


# -------------------------------------------------------------------- requests that happen once


def test_what_is_remembered_lasts_and_is_hashed(path: Path) -> None:
    token, request = "a-token-of-somebody", "create the-user-somebody"
    with fs.Collection.open(path, "staff") as staff:
        staff.once(token, request, lambda: "the-answer-to-it")
        files = raw(path.parent)
        assert b"the-answer-to-it" in files
        assert token.encode() not in files
        assert request.encode() not in files
    with fs.Collection.open(path, "staff") as staff, fs.Collection.open(path, "guests") as guests:
        assert staff.once(token, request, lambda: "anew") == "the-answer-to-it"
        assert guests.once(token, "something else", lambda: "other") == "other"  # each collection has its own
        staff.save(path.with_name("staff.npz"))
        assert fs.Collection.load(path.with_name("staff.npz")).once(token, "new", lambda: "new") == "new"
    fs.delete_collection(path, "staff")
    with closing(sqlite3.connect(path)) as sql:
        assert sql.execute("SELECT answer FROM answers").fetchall() == [("other",)]
    with fs.Collection.open(path, "staff") as staff:
        assert staff.once(token, "new", lambda: "new") == "new"


# -------------------------------------------------------------------- tags

TAGS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4), st.text("aä", max_size=3)
)


@settings(max_examples=25)
@given(TAGS, TAGS, st.lists(st.text("abc", min_size=1, max_size=2)))
def test_tags_are_those_added_but_for_those_removed(
    first: dict[str, str], second: dict[str, str], remove: list[str]
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "people.db"
        fs.Collection.create(path, "staff", tags=first).close()
        fs.Collection.create(path, "guests").close()
        assert collection_tags(path, "staff") == first
        change_tags(path, "staff", add=second, remove=[*remove, *list(first)[:1]])

        gone = {*remove, *list(first)[:1]}
        expected = {key: value for key, value in (first | second).items() if key not in gone}
        assert collection_tags(path, "staff") == expected
        assert list(collection_tags(path, "staff")) == sorted(expected, key=str.encode)
        assert collection_tags(path, "guests") == {}
        fs.delete_collection(path, "staff")
        fs.Collection.create(path, "staff").close()
        assert collection_tags(path, "staff") == {}


def test_more_tags_than_the_limit_are_refused_and_nothing_changed(path: Path) -> None:
    most = {f"key{number}": "" for number in range(MAX_TAGS)}
    with pytest.raises(fs.QuotaExceededError, match="would have 201 tags, at most 200"):
        fs.Collection.create(path, "staff", tags=most | {"one more": ""})
    assert fs.collections(path) == ()
    fs.Collection.create(path, "staff", tags=most).close()
    with pytest.raises(fs.QuotaExceededError, match="would have 201 tags"):
        change_tags(path, "staff", add={"one more": ""})
    assert collection_tags(path, "staff") == most
    change_tags(path, "staff", add={"one more": ""}, remove=["key0"])
    assert len(collection_tags(path, "staff")) == MAX_TAGS


def test_wrong_tags_are_named(path: Path) -> None:
    fs.Collection.create(path, "staff", tags={"a": "b"}).close()
    for tags, message in (
        ({"": "x"}, "add: expected a key of 1 to 128 characters, got ''"),
        ({"k" * 129: "x"}, "add: expected a key of 1 to 128"),
        ({"k": "x" * 257}, "add: expected a value of 0 to 256"),
        ({"k": None}, "add: expected a value of 0 to 256"),
        ({"k": "\ud800"}, "add: expected a value of 0 to 256"),
        ([("k", "x")], "add: expected a mapping"),
    ):
        with pytest.raises(fs.InvalidParameterError, match=message):
            change_tags(path, "staff", add=tags)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(fs.InvalidParameterError, match="remove: expected a key"):
        change_tags(path, "staff", remove=[""])
    with pytest.raises(fs.InvalidParameterError, match="tags: expected a key"):
        fs.Collection.create(path, "guests", tags={"": "x"})
    assert collection_tags(path, "staff") == {"a": "b"}
    assert [info.collection_id for info in fs.collections(path)] == ["staff"]


@pytest.mark.parametrize("call", [collection_info, collection_tags, change_tags])
def test_what_is_not_there_has_neither_tags_nor_anything_to_tell(path: Path, call: Callable[..., Any]) -> None:
    with pytest.raises(fs.CollectionNotFoundError, match="no such file"):
        call(path, "staff")
    assert not path.exists()
    fs.Collection.open(path, "staff").close()
    with pytest.raises(fs.CollectionNotFoundError, match="no collection 'guests' in"):
        call(path, "guests")
    with pytest.raises(fs.InvalidParameterError, match="collection_id: expected"):
        call(path, "a b")


def test_one_collection_is_told_of_as_among_all(path: Path) -> None:
    with fs.Collection.open(path, "staff", thumbnails=True) as staff, fs.Collection.open(path, "guests"):
        staff.add_embeddings(["ada", "ada"], vectors(2))
        assert (collection_info(path, "guests"), collection_info(path, "staff")) == fs.collections(path)
        assert collection_info(path, "staff").faces == 2


# -------------------------------------------------------------------- collections that are made once


def test_a_collection_is_made_once(path: Path) -> None:
    with fs.Collection.create(path, "staff", thumbnails=True, tags={"a": "b"}) as staff:
        staff.add_embedding("ada", ONES)
        before = contents(staff)
        with pytest.raises(CollectionExistsError, match=r"people\.db has a collection 'staff' already"):
            fs.Collection.create(path, "staff", tags={"c": "d"})
        assert contents(staff) == before
        assert collection_tags(path, "staff") == {"a": "b"}
        assert collection_info(path, "staff").thumbnails
    assert issubclass(CollectionExistsError, ValueError)
    fs.delete_collection(path, "staff")
    with fs.Collection.create(path, "staff") as staff:
        assert len(staff) == 0


def test_a_collection_that_is_there_keeps_its_tags(path: Path) -> None:
    database = database_of(path, 1)
    model = fs.Collection("x").face_model
    entries = [
        database.add("staff", face_model=model, thumbnails=False, calibration=None, tags={"a": value})
        for value in ("first", "second")
    ]
    database.close()
    assert entries[0] == entries[1]
    assert collection_tags(path, "staff") == {"a": "first"}


def test_of_several_processes_that_make_a_collection_one_does(path: Path) -> None:
    code = """
import sys, facesearch as fs
from facesearch.errors import CollectionExistsError
try:
    fs.Collection.create(sys.argv[1], "staff", tags={"made by": sys.argv[2]}, timeout=60)
except CollectionExistsError:
    sys.exit(3)
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]  # noqa: S603  # our own
    codes = [process.wait() for process in processes]
    assert sorted(codes) == [0, 3, 3]
    assert collection_tags(path, "staff") == {"made by": "abc"[codes.index(0)]}
