"""Untrusted files of collections: another schema is refused, wrong values are named in errors, and every call ends."""

import contextlib
import io
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

import facesearch as fs
from durable import MEMORY, bytes_of
from facesearch.cli.app import app
from facesearch.storage import catalog
from facesearch.storage.sqlite import guarded_sql, opening as database
from facesearch.storage.sqlite.schema import check_schema
from facesearch.storage.store import StoredFace

ONES = np.ones(128)
PAGE = 4096


@pytest.fixture
def people() -> Iterator[Path]:
    """A copy of a file with something in each of its tables."""
    with copied() as path:
        yield path


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    if not _MADE:
        path = Path(tempfile.mkdtemp(dir=MEMORY)) / "people.db"
        fill(path)
        _MADE.append(path)
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    shutil.copy(_MADE[0], folder / "people.db")
    yield folder / "people.db"
    shutil.rmtree(folder)


_MADE: list[Path] = []


def fill(path: Path) -> None:
    with fs.Collection.create(path, "staff", tags={"site": "Oslo"}, thumbnails=True) as staff:
        ids = staff.add_embeddings(["ada", "ada", "bob", "eve", "zoe"], np.random.default_rng(0).normal(size=(5, 128)))
        staff.disassociate_faces("ada", [ids[0]])
        staff.delete_user("zoe", faces=True)
        staff.create_user("new")
        staff.set_aside([ids[0]])
        staff.rename_user("eve", "eva")
        staff.once("token", "request", lambda: "done")
        store: Any = staff._store
        with store.writing():
            store.remember_photo("ab" * 32, '{"reasons":["NO_FACE"]}', "ada", "bob")
            stored = store.face(ids[1])
            store.put_waiting([("cd" * 32, "ada", StoredFace(stored, staff.face_embedding(ids[1]), None))])
            sql = store._block.sql
            jpeg = io.BytesIO()
            Image.new("RGB", (112, 112)).save(jpeg, "JPEG")
            sql.execute("INSERT INTO thumbnails SELECT fid, ? FROM faces WHERE uid IS NOT NULL", (jpeg.getvalue(),))
    fs.Collection.open(path, "guests").close()


def operations(path: Path) -> Iterator[Callable[[], object]]:
    """All kinds of calls; each opens the file itself."""

    def within(call: Callable[[fs.Collection], object]) -> Callable[[], object]:
        def do() -> object:
            with fs.Collection.open(path, "staff") as staff:
                return call(staff)

        return do

    yield lambda: fs.collections(path)
    yield lambda: catalog.collection_info(path, "staff")
    yield lambda: catalog.collection_tags(path, "staff")
    yield lambda: database.ids_beginning(path, "")
    yield lambda: database.ids_beginning(path, "", collection_id="staff")
    yield lambda: fs.Collection.open(path, "staff", read_only=True).close()
    yield within(len)
    yield within(repr)
    yield within(lambda c: c.users())
    yield within(lambda c: c.faces())
    yield within(lambda c: [c.faces(user.user_id) for user in c.users()])
    yield within(lambda c: [c.user_embedding(name) for name in ("ada", "bob", "new")])
    yield within(lambda c: [(c.face_embedding(face.face_id), c.thumbnail(face.face_id)) for face in c.faces()])
    yield within(lambda c: c.page_of_users(limit=2))
    yield within(lambda c: c.page_of_faces(limit=2))
    yield within(lambda c: c.search_embedding(ONES, user_match_threshold=0))
    yield within(lambda c: c.rank_faces([ONES], face_match_threshold=0))
    yield within(lambda c: c.rank_like_user("ada", user_match_threshold=0))
    yield within(lambda c: c.audit())
    yield within(lambda c: c.save(path.with_name("out.npz")))
    yield within(lambda c: c.once("token", "request", lambda: "again"))
    yield within(lambda c: c._store.photo_outcome("ab" * 32))
    yield within(lambda c: c._store.waiting(["cd" * 32]))
    yield within(lambda c: c.groups(min_faces=1, set_aside=True, progress=False))
    yield within(lambda c: c.photos_of("ada"))
    yield within(lambda c: c.undo())
    yield within(lambda c: c.set_aside([face.face_id for face in c.faces() if face.user_id is None], aside=False))
    yield within(lambda c: c.merge_users("new", "eve"))
    yield within(lambda c: c.add_embedding("ada", ONES))
    yield within(lambda c: c.create_user("more"))
    yield within(lambda c: c.disassociate_faces("bob", [face.face_id for face in c.faces("bob")]))
    yield within(lambda c: c.delete_user("bob", faces=True))
    yield within(lambda c: c.erase_deleted(0))
    yield lambda: catalog.change_tags(path, "staff", add={"a": "b"}, remove=["site"])
    yield lambda: fs.delete_collection(path, "guests")
    yield lambda: fs.delete_collection(path, "staff")


def exercise(path: Path) -> list[fs.FacesearchError]:
    """Run all calls on a file and return the errors of facesearch; other errors are raised."""
    raised = []
    for operation in operations(path):
        try:
            operation()
        except fs.FacesearchError as error:
            raised.append(error)
    return raised


def test_an_ordinary_file_raises_nothing(people: Path) -> None:
    assert exercise(people) == []


# -------------------------------------------------------------------- another schema

FOREIGN = [
    "CREATE TRIGGER stay AFTER UPDATE ON user_data BEGIN UPDATE user_data SET user_id = old.user_id WHERE uid = old.uid; END",
    "CREATE TRIGGER stay BEFORE DELETE ON users BEGIN SELECT raise(IGNORE); END",
    "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "CREATE TABLE more (text TEXT)",
    "CREATE INDEX more ON users (change)",
    "CREATE UNIQUE INDEX more ON users (faces) WHERE faces > 1000",
    "CREATE VIRTUAL TABLE more USING fts5(text)",
    "ALTER TABLE users ADD COLUMN more",
    "ALTER TABLE users ADD COLUMN more AS (length(zeroblob(1000000000)))",
    "ALTER TABLE users RENAME COLUMN change TO changed",
    "DROP INDEX users_by_name",
    "ANALYZE",
]


def replace_by_a_view(sql: sqlite3.Connection) -> None:
    sql.execute("ALTER TABLE tags RENAME TO old")
    sql.execute(
        "CREATE VIEW tags AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT 1 AS collection, i AS key, i AS value FROM n"
    )


def edit_a_default(sql: sqlite3.Connection) -> None:
    sql.execute("PRAGMA writable_schema = ON")
    sql.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, 'emptied INTEGER NOT NULL', 'emptied INTEGER') WHERE name = 'file'"
    )


@pytest.mark.parametrize("statement", [*FOREIGN, replace_by_a_view, edit_a_default])
def test_a_schema_that_is_not_ours_is_refused_before_anything_else(people: Path, statement: Any) -> None:
    with closing(sqlite3.connect(people, isolation_level=None)) as sql:
        statement(sql) if callable(statement) else sql.execute(statement)
    before = bytes_of(people.parent)
    for operation in operations(people):
        with pytest.raises(fs.StorageFormatError, match=r"people\.db: an SQLite file, but not of collections: it"):
            operation()
    for command in (["users"], ["faces"], ["delete-user", "ada", "--yes"]):
        done = CliRunner().invoke(app, [*command, "--db", str(people), "--collection", "staff"])
        assert done.exit_code == 4, done.output
        assert "not of collections" in done.output
    assert bytes_of(people.parent) == before


def test_no_text_of_sqlite_reaches_an_error_as_it_may_quote_the_file(people: Path) -> None:
    edit = "UPDATE sqlite_schema SET sql = 'CREATE TABLE SECRET (SECRET SECRET(,', name = 'SECRET' WHERE name = 'tags'"
    with closing(sqlite3.connect(people, isolation_level=None)) as sql:
        sql.execute("PRAGMA writable_schema = ON")
        sql.execute(edit)
    for operation in operations(people):
        with pytest.raises(fs.StorageFormatError) as caught:
            operation()
        assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_journal_beside_the_file_can_not_bring_a_trigger_in(people: Path) -> None:
    with closing(sqlite3.connect(people, isolation_level=None)) as sql:
        sql.execute("PRAGMA journal_mode = DELETE")
        sql.execute(FOREIGN[0])
    foreign = people.read_bytes()
    with closing(sqlite3.connect(people, isolation_level=None)) as sql:
        # State after a writer was killed while it dropped the trigger: the new file, and the journal.
        sql.execute("PRAGMA cache_size = 1")
        sql.execute("BEGIN IMMEDIATE")
        sql.execute("DROP TRIGGER stay")
        sql.execute("CREATE TABLE filling (blob)")
        sql.execute("INSERT INTO filling VALUES (randomblob(100000))")
        sql.execute("DROP TABLE filling")
        journal = people.with_name("people.db-journal").read_bytes()
        sql.execute("COMMIT")
    people.with_name("people.db-journal").write_bytes(journal)
    assert people.read_bytes() != foreign
    with contextlib.suppress(fs.StorageError), fs.Collection.open(people, "staff") as staff:
        staff.delete_user("bob", faces=True)
        assert "bob" not in staff
    with contextlib.suppress(fs.StorageError), fs.Collection.open(people, "staff") as staff:
        assert "bob" not in staff


def test_tables_that_were_written_anew_are_still_ours(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.storage.sqlite.erasure._FEWEST_EMPTIED", 0)
    with fs.Collection.open(people, "staff") as staff:
        for user in staff.users():
            staff.delete_user(user.user_id, faces=True)
    with closing(guarded_sql.open_guarded(people, "mode=rw", 0)) as sql:
        assert '"user_data"' in str(sql.execute("SELECT sql FROM sqlite_schema WHERE name = 'user_data'").fetchone())
        check_schema(sql, people)
    with fs.Collection.open(people, "staff") as staff:
        assert len(staff) == 0


# -------------------------------------------------------------------- wrong values

COLUMNS = [
    (table, column)
    for table, columns in {
        "file": "salt emptied deletions erased",
        "collections": "id collection_id created model_name model_version model_digest dimension calibration thumbnails users faces"
        " change forgotten secret",
        "users": "uid collection name_hash faces change",
        "gone": "uid collection change",
        "faces": "fid collection face_id uid",
        "user_data": "uid vector user_id",
        "face_data": "fid vector image_id external_image_id confidence source box_left box_top box_width box_height",
        "waiting": "wid collection key name_hash",
        "waiting_data": "wid vector face_id image_id external_image_id confidence source box_left box_top box_width box_height jpeg",
        "thumbnails": "fid jpeg",
        "photos": "collection key name_hash other_uid outcome",
        "answers": "collection token request answer given",
        "tags": "collection key value",
        "gone_faces": "number collection fid",
        "set_aside": "fid collection",
        "changes": "number collection",
        "change_data": "number change",
        "sqlite_sequence": "name seq",
    }.items()
    for column in columns.split()
]
VALUES = st.one_of(
    st.none(),
    st.sampled_from([0, 1, -1, 2**31, 2**62, 2**63 - 1, -(2**63)]),
    st.sampled_from([0.5, -1.0, 1e300, float("inf"), -0.0]),
    st.text(max_size=10),
    st.sampled_from(["\x1b[31m", "a\nb", "$(touch x)", "7", "{}", "[]", "null", "1e400", "x" * 1000]),
    st.binary(max_size=20),
    st.sampled_from([bytes(512), b"\xff" * 512, bytes(16), b"\x00" * 32]),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(COLUMNS), VALUES, st.booleans()), min_size=1, max_size=3))
def test_whatever_values_a_file_has_only_our_errors_come_out(changes: list[Any]) -> None:
    with copied() as path:
        with closing(sqlite3.connect(path, isolation_level=None)) as sql:
            for (table, column), value, everywhere in changes:
                where = "" if everywhere else f" WHERE {column} = (SELECT max({column}) FROM {table})"  # noqa: S608  # names of ours
                with contextlib.suppress(sqlite3.IntegrityError):
                    sql.execute(f"UPDATE {table} SET {column} = ?{where}", (value,))  # noqa: S608  # names of ours
        for error in exercise(path):
            if isinstance(error, fs.StorageError):
                named = ("people.db", "is no JPEG of", "its last change can't be read")
                assert any(text in str(error) for text in named)
                assert not isinstance(error, fs.StorageBusyError)


@pytest.mark.parametrize(
    ("statement", "call"),
    [
        ("UPDATE users SET faces = 'many'", lambda c: c.users()),
        ("UPDATE collections SET users = -1", len),
        ("UPDATE collections SET users = 'x'", len),
        ("UPDATE faces SET face_id = x'01' WHERE fid = 2", lambda c: c.faces()),
        ("UPDATE faces SET face_id = 'text' WHERE fid = 2", lambda c: c.rank_faces([ONES], face_match_threshold=0)),
        ("UPDATE user_data SET user_id = x'ff' WHERE uid = 2", lambda c: c.users()),
        ("UPDATE user_data SET user_id = char(27) WHERE uid = 2", lambda c: c.users()),
        ("UPDATE user_data SET user_id = CAST(x'ff' AS TEXT) WHERE uid = 2", lambda c: c.users()),
        (
            "UPDATE user_data SET user_id = NULL WHERE uid = 1",
            lambda c: c.search_embedding(ONES, user_match_threshold=0),
        ),
        ("UPDATE thumbnails SET jpeg = 'text'", lambda c: [c.thumbnail(face.face_id) for face in c.faces()]),
        ("UPDATE face_data SET source = 7", lambda c: c.faces()),
        ("UPDATE waiting_data SET vector = x'00'", lambda c: c._store.waiting(["cd" * 32])),
        ("UPDATE waiting_data SET source = 7", lambda c: c._store.waiting(["cd" * 32])),
        ("UPDATE waiting_data SET confidence = 'text'", lambda c: c._store.waiting(["cd" * 32])),
        ("UPDATE file SET salt = 7", lambda c: c.users()),
        ("DELETE FROM file", lambda c: c.create_user("x")),
        ("UPDATE collections SET dimension = 1000000000000", len),
        ("UPDATE collections SET secret = 'short'", lambda c: c.add_embedding("ada", ONES)),
        ("UPDATE sqlite_sequence SET seq = 9223372036854775807", lambda c: c.add_embedding("ada", ONES)),
        ("UPDATE sqlite_sequence SET seq = 0", lambda c: c.add_embedding("ada", ONES)),
        ("UPDATE answers SET answer = x'07'", lambda c: c.once("token", "request", lambda: "x")),
    ],
)
def test_a_wrong_value_is_a_damaged_file_that_is_named(
    people: Path, statement: str, call: Callable[[fs.Collection], object]
) -> None:
    with closing(sqlite3.connect(people, isolation_level=None)) as sql:
        sql.execute(statement)
    with (
        pytest.raises(fs.StorageFormatError, match=r"people\.db: .*damaged"),
        fs.Collection.open(people, "staff") as staff,
    ):
        call(staff)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=30), st.booleans())
def test_whatever_bytes_a_file_has_only_our_errors_come_out(bytes_: list[tuple[int, int]], structure: bool) -> None:
    with copied() as path:
        content = bytearray(path.read_bytes())
        for place, value in bytes_:
            # Headers of pages, where a change does the most, or anywhere.
            start = place % (len(content) // PAGE) * PAGE + place % 50 if structure else place % len(content)
            content[start if start >= 100 or not structure else 100] = value
        path.write_bytes(content)
        for error in exercise(path):
            if isinstance(error, fs.StorageError):
                assert "people.db" in str(error) or "is no JPEG of" in str(error)


# -------------------------------------------------------------------- what would never end


@pytest.mark.parametrize("table", ["faces", "tags", "gone_faces", "collections"])
def test_pages_that_lead_to_the_same_pages_again_and_again_do_not_hang(
    people: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_sql, "_LEAST_OPCODES", 1_000_000)  # a tenth: each of the calls spends it all
    with closing(sqlite3.connect(people, isolation_level=None)) as sql:
        sql.execute("PRAGMA journal_mode = DELETE")
        (root,) = sql.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (pages,) = sql.execute("PRAGMA page_count").fetchone()
    content = bytearray(people.read_bytes())
    leaf = content[(root - 1) * PAGE : root * PAGE]
    kind = 5 if leaf[0] == 13 else 2  # of a table, or of an index
    key = bytes([1]) if kind == 5 else leaf[int.from_bytes(leaf[8:10], "big") :][:40]
    levels = [root, *range(pages + 1, pages + 6)]
    content += bytes(PAGE * 6)
    for level, following in zip(levels, [*levels[1:], pages + 6], strict=True):
        count = 600  # of the 681 that a page can have
        head = bytes([kind]) + bytes(2) + count.to_bytes(2, "big") + (PAGE - 50).to_bytes(2, "big") + bytes(1)
        page = head + following.to_bytes(4, "big") + (PAGE - 50).to_bytes(2, "big") * count
        page = page.ljust(PAGE - 50, b"\0") + (following.to_bytes(4, "big") + key).ljust(50, b"\0")
        content[(level - 1) * PAGE : level * PAGE] = page
    content[(pages + 5) * PAGE :] = leaf
    content[28:32] = (pages + 6).to_bytes(4, "big")
    people.write_bytes(content)
    raised = [str(error) for error in exercise(people)]
    assert any("more work than a file of its size can need" in text for text in raised)
