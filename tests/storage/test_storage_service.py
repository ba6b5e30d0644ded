"""Operations that a service needs: pages, idempotent requests, tags, and collections that are created once."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import facesearch as fs
from durable import MEMORY, contents, raw
from facesearch.collection.collection import TOKEN_SECONDS
from facesearch.errors import CollectionExistsError, TokenReusedError
from facesearch.storage.catalog import MAX_TAGS, add_entry, change_tags, collection_info, collection_tags, sessions_of

KINDS = ["in memory", "in a file"]
ONES = np.ones(128)
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@contextmanager
def collection_of(kind: str) -> Iterator[fs.Collection]:
    """An empty one."""
    if kind == "in memory":
        yield fs.Collection("staff")
    else:
        with (
            tempfile.TemporaryDirectory(dir=MEMORY) as folder,
            fs.Collection.open(Path(folder) / "people.db", "staff") as collection,
        ):
            yield collection


@pytest.fixture(params=KINDS)
def staff(request: pytest.FixtureRequest) -> Iterator[fs.Collection]:
    """An empty collection."""
    with collection_of(request.param) as staff:
        yield staff


@pytest.fixture
def path() -> Iterator[Path]:
    """A path without a file, in an empty folder."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder / "people.db"
    shutil.rmtree(folder)


def vectors(count: int) -> Any:
    return np.random.default_rng(count).normal(size=(count, 128)) * 0.08


# -------------------------------------------------------------------- pages


@settings(max_examples=40)
@given(
    st.sampled_from(KINDS),
    st.lists(st.integers(0, 30), unique=True, max_size=12),
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 40)), max_size=8),
)
def test_pages_miss_no_user_and_give_none_twice_whoever_comes_and_goes(
    kind: str, numbers: list[int], limit: int, changes: list[tuple[str, int]]
) -> None:
    with collection_of(kind) as staff:
        for number in numbers:
            staff.create_user(f"user{number}")
        seen, end, stayed, waiting = [], None, {f"user{number}" for number in numbers}, list(changes)
        for _ in range(30):
            page, end = staff.page_of_users(after=end, limit=limit)
            seen += [user.user_id for user in page]
            assert len(page) == limit or end is None
            if end is None:
                break
            if waiting:
                what, number = waiting.pop()
                user_id = f"user{number}"
                if what == "delete" and user_id in staff:
                    staff.delete_user(user_id)
                    stayed.discard(user_id)
                elif what == "add" and user_id not in staff and user_id not in seen:
                    staff.create_user(user_id)
        assert end is None
        assert len(seen) == len(set(seen))
        assert stayed <= set(seen)
        if not changes:
            assert seen == [f"user{number}" for number in numbers]  # as they were created


@settings(max_examples=40)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 12),
    st.integers(1, 5),
    st.none() | st.sampled_from(["ada", "bob"]),
    st.none() | st.lists(st.integers(0, 12), min_size=1),
)
def test_pages_of_faces_are_all_faces(
    kind: str, count: int, limit: int, user_id: str | None, chosen: list[int] | None
) -> None:
    with collection_of(kind) as staff:
        staff.create_user("ada")
        staff.create_user("bob")
        face_ids = [UNKNOWN]
        if count:
            face_ids += staff.add_embeddings([("ada", "bob", "eve")[n % 3] for n in range(count)], vectors(count))
            staff.delete_user("eve", faces=False) if count > 2 else None
        some = (
            None if chosen is None else [face_ids[number] for number in chosen if number < len(face_ids)] or [UNKNOWN]
        )
        expected = [
            face for face in staff.faces() if user_id in {None, face.user_id} and (some is None or face.face_id in some)
        ]
        pages: list[fs.Face] = []
        after = None
        while page := staff.page_of_faces(after=after, limit=limit, user_id=user_id, face_ids=some):
            pages += page
            assert len(page) <= limit
            assert after is None or page[0].face_id > after
            after = page[-1].face_id
        assert pages == expected
        assert staff.face_count == len(staff.faces()) == count


def test_statuses_and_counts_come_with_pages(staff: fs.Collection) -> None:
    staff.create_user("bob")
    staff.add_embedding("ada", ONES)
    users, end = staff.page_of_users(limit=2)
    assert [(user.user_id, user.user_status.value) for user in users] == [("bob", "CREATED"), ("ada", "ACTIVE")]
    assert end is None
    assert (len(staff), staff.face_count) == (2, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.page_of_users(after="ada"), "after: expected"),
        (lambda c: c.page_of_users(after=""), "after: expected"),
        (lambda c: c.page_of_users(after="-1"), "after: expected"),
        (lambda c: c.page_of_users(after="9" * 19), "after: expected"),
        (lambda c: c.page_of_users(after=7), "after: expected"),
        (lambda c: c.page_of_users(limit=0), "limit: expected"),
        (lambda c: c.page_of_users(limit=10**19), "limit: expected"),
        (lambda c: c.page_of_faces(after="ada"), "after: expected"),
        (lambda c: c.page_of_faces(limit=0), "limit: expected"),
        (lambda c: c.page_of_faces(limit=10**19), "limit: expected"),
        (lambda c: c.page_of_faces(face_ids=[]), "face_ids: expected"),
        (lambda c: c.page_of_faces(face_ids=["x"]), "face_ids: expected"),
        (lambda c: c.page_of_faces(face_ids=UNKNOWN), "face_ids: expected"),
        (lambda c: c.page_of_faces(user_id="a b"), "user_id: expected"),
    ],
)
def test_what_is_no_page_is_refused(staff: fs.Collection, call: Callable[[fs.Collection], Any], message: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=message):
        call(staff)
    with pytest.raises(fs.UserNotFoundError):
        staff.page_of_faces(user_id="mallory")
    assert staff.page_of_users(after="9" * 18) == ((), None)
    assert staff.page_of_faces(limit=10**18 - 1) == ()


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


def creating(staff: fs.Collection, user_id: str) -> Callable[[], str]:
    def create() -> str:
        staff.create_user(user_id)
        return f"{len(staff)} there"

    return create


def test_a_request_that_is_repeated_happens_once(staff: fs.Collection) -> None:
    assert staff.once("token", "create ada", creating(staff, "ada")) == "1 there"
    staff.create_user("bob")
    assert staff.once("token", "create ada", creating(staff, "ada")) == "1 there"
    with pytest.raises(TokenReusedError, match="token: 'token' was given before with another request"):
        staff.once("token", "create eve", creating(staff, "eve"))
    assert staff.once("other", "create eve", creating(staff, "eve")) == "3 there"
    staff.delete_user("ada")
    assert staff.once("token", "create ada", creating(staff, "ada")) == "1 there"
    assert "ada" not in staff
    assert issubclass(TokenReusedError, ValueError)


def test_a_request_that_fails_is_not_remembered(staff: fs.Collection) -> None:
    staff.create_user("ada")
    before = contents(staff)
    for _ in range(2):
        with pytest.raises(fs.UserAlreadyExistsError):
            staff.once("token", "create ada", creating(staff, "ada"))
    assert contents(staff) == before
    assert staff.once("token", "create bob", creating(staff, "bob")) == "2 there"


def test_in_a_file_a_request_that_fails_midway_leaves_nothing(path: Path) -> None:
    with fs.Collection.open(path, "staff") as staff:
        staff.add_embedding("bob", ONES)
        before = contents(staff)

        def fail() -> str:
            staff.add_embedding("ada", ONES)
            staff.delete_user("bob", faces=True)
            assert (len(staff), staff.face_count, "bob" in staff) == (1, 1, False)
            raise ZeroDivisionError

        def wrong() -> Any:
            staff.create_user("ada")

        with pytest.raises(ZeroDivisionError):
            staff.once("token", "request", fail)
        assert contents(staff) == before
        with pytest.raises(fs.InvalidParameterError, match="answer: expected a function that gives a text, got None"):
            staff.once("token", "request", wrong)
        assert contents(staff) == before
        assert staff.once("token", "create ada", creating(staff, "ada")) == "2 there"


def test_others_see_nothing_of_a_request_under_way(path: Path) -> None:
    with fs.Collection.open(path, "staff") as staff, ThreadPoolExecutor(1) as pool:

        def do() -> str:
            staff.add_embedding("ada", ONES)
            assert (len(staff), staff.face_count) == (1, 1)
            assert pool.submit(lambda: (len(staff), staff.face_count, "ada" in staff)).result() == (0, 0, False)
            return "done"

        staff.once("token", "request", do)
        assert pool.submit(lambda: (len(staff), staff.face_count, "ada" in staff)).result() == (1, 1, True)


def test_tokens_are_forgotten_after_a_day(staff: fs.Collection) -> None:
    now = 1e9
    staff._clock = lambda: now
    assert staff.once("token", "one", lambda: "first") == "first"
    now += 100
    assert staff.once("later", "two", lambda: "second") == "second"
    now += TOKEN_SECONDS - 100
    assert staff.once("token", "one", lambda: "again") == "first"
    now += 50
    assert staff.once("token", "another", lambda: "again") == "again"
    assert staff.once("later", "two", lambda: "again") == "second"
    assert TOKEN_SECONDS == 24 * 60 * 60


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


def test_of_many_who_ask_at_once_one_does_it(staff: fs.Collection) -> None:
    done: list[int] = []

    def ask(number: int) -> str:
        def do() -> str:
            done.append(number)
            return f"by {number}"

        return staff.once("token", "request", do)

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(ask, range(12)))
    assert answers == {f"by {number}" for number in done}
    assert len(done) == 1


def test_any_text_is_a_token_or_a_request(staff: fs.Collection) -> None:
    for text in ("\0", "\ud800", "ä" * 255, " "):
        assert [staff.once(text, text, lambda: "x") for _ in range(2)] == ["x", "x"]
    for wrong in ("", "x" * 256, None, b"x"):
        with pytest.raises(fs.InvalidParameterError, match="token: expected"):
            staff.once(wrong, "request", lambda: "x")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(fs.InvalidParameterError, match="request: expected a text"):
        staff.once("token", b"x", lambda: "x")  # type: ignore[arg-type]  # the point of the test


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
    sessions = sessions_of(path, 1)
    model = fs.Collection("x").face_model
    entries = [
        add_entry(sessions, "staff", face_model=model, thumbnails=False, calibration=None, tags={"a": value})
        for value in ("first", "second")
    ]
    sessions.close()
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
