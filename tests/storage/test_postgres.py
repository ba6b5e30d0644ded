"""Collections on a PostgreSQL server: what goes wrong has a name and a next step, and changes nothing.

What every store must do is in tests/contracts/test_stores.py.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import numpy as np
import psycopg
import pytest
from hypothesis import given, settings, strategies as st

import facesearch as fs
from durable import contents
from facesearch.domain.changes import ChangeKind
from facesearch.errors import ClosedError, MissingExtraError
from facesearch.storage import catalog
from facesearch.storage.postgres import schema as tables, store, vectors
from facesearch.storage.postgres.store import PostgresStore
from facesearch.storage.server_address import Address
from postgres_server import schema_of, server
from waiting import soon

ONES = np.ones(128)
DOCS = Path(__file__).parents[2] / "docs" / "postgresql.md"


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return schema_of(tmp_path)


@pytest.fixture
def staff(schema: str) -> Iterator[fs.Collection]:
    """A collection of two users, and one face without a user."""
    with fs.Collection.open(server().url(schema), "staff", timeout=5) as staff:
        staff.add_embeddings(["ada", "bob", "eve"], np.eye(3, 128))
        staff.delete_user("eve")
        yield staff


def run(schema: str, *statements: str, **options: Any) -> list[Any]:
    return server().run(f"SET search_path TO {schema}, public", *statements, **options)


def trigger(schema: str, body: str, *, when: str = "BEFORE INSERT ON faces") -> None:
    """Create a trigger that runs statements whenever a face is added."""
    kind = "CONSTRAINT TRIGGER" if "DEFERRED" in when else "TRIGGER"
    run(
        schema,
        f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$",
        f"CREATE {kind} fault {when} FOR EACH ROW EXECUTE FUNCTION {schema}.fault()",
    )


def test_the_compose_file_is_that_of_the_page() -> None:
    page = DOCS.with_name("outgrowing.md").read_text("utf-8")
    assert (DOCS.parents[1] / "examples" / "compose.yaml").read_text("utf-8") in page


# -------------------------------------------------------------------- what can't be opened


def test_an_address_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in [each for each in sys.modules if each.startswith("facesearch.storage.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r'pip install "facesearch\[postgres\]"'):
        fs.Collection.open("postgresql://localhost/people", "staff")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@h/d?schema=Faces",
        "postgresql://u:hunter2@h/d?schema=a&schema=b",
        "postgresql://u:hunter2@h/d?schema=pg_x",
        "postgresql://u:hunter2@[h/d",
        "postgresql://u:hunter2@h/d\0",
        "postgresql://u:hunter2@h/d?schema",
    ],
)
def test_a_wrong_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match="path: expected") as error:
        fs.Collection.open(url, "staff")
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(Address.of("postgresql://u:hunter2@h/d"))


def test_an_option_that_libpq_does_not_know_is_an_error_without_the_password() -> None:
    with pytest.raises((fs.InvalidParameterError, fs.StorageError)) as error:
        fs.Collection.open("postgresql://u:hunter2@h/d?colour=red", "staff")
    assert "hunter2" not in str(error.value)


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    with pytest.raises(fs.StorageError, match=r"no connection .*start the server") as error:
        fs.Collection.open(f"postgresql://u:hunter2@/people?host={tmp_path}", "staff")
    assert "hunter2" not in str(error.value)
    assert str(error.value).startswith("postgresql://u@/people: ")


def test_a_wrong_password_is_an_error_at_once_and_never_printed(schema: str) -> None:
    server().run("DROP ROLE IF EXISTS guarded", "CREATE ROLE guarded LOGIN PASSWORD 'swordfish'")
    url = server().url(schema, user="guarded:hunter2", database="postgres")
    for call in (lambda: fs.Collection.open(url, "staff"), lambda: fs.collections(url)):
        with pytest.raises(fs.StorageError, match="check the user and the password") as error:
            call()
        assert "hunter2" not in f"{error.value} {error.value.__cause__} {error.value.__context__}"


def test_a_database_that_is_missing_is_named(schema: str) -> None:
    with pytest.raises(fs.StorageError, match="create the database there"):
        fs.Collection.open(server().url(schema, database="nowhere"), "staff")


def test_pgvector_that_is_missing_is_named_and_nothing_is_created(schema: str) -> None:
    server().run("DROP DATABASE IF EXISTS bare", "DROP ROLE IF EXISTS plain", "CREATE ROLE plain LOGIN")
    server().run("CREATE DATABASE bare OWNER plain TEMPLATE template0")
    url = server().url(schema, database="bare", user="plain")
    with pytest.raises(fs.StorageError, match="let a superuser run CREATE EXTENSION vector"):
        fs.Collection.open(url, "staff")
    assert server().run(f"SELECT to_regnamespace('{schema}')", dbname="bare") == [(None,)]
    server().run("CREATE EXTENSION vector", dbname="bare")
    with fs.Collection.open(url, "staff") as staff:
        staff.add_embedding("ada", ONES)


def test_what_is_not_there_is_not_found(schema: str) -> None:
    url = server().url(schema)
    for call in (
        lambda: fs.Collection.open(url, "staff", create=False),
        lambda: fs.Collection.open(url, "staff", read_only=True),
        lambda: fs.collections(url),
        lambda: fs.delete_collection(url, "staff"),
        lambda: catalog.erase_deleted(url),
        lambda: catalog.is_erased(url),
    ):
        with pytest.raises(fs.CollectionNotFoundError):
            call()
    assert server().run(f"SELECT to_regnamespace('{schema}')") == [(None,)]
    fs.Collection.open(url, "staff").close()
    with pytest.raises(fs.CollectionNotFoundError, match="no collection 'guests' in postgresql://"):
        catalog.collection_info(url, "guests")


def test_another_face_model_is_refused(staff: fs.Collection, schema: str) -> None:
    other = attrs.evolve(staff.face_model, digest="0" * 64)
    with pytest.raises(fs.FaceModelMismatchError):
        fs.Collection.open(server().url(schema), "staff", face_model=other)


def test_a_model_of_vectors_that_fit_in_no_page_is_refused(schema: str) -> None:
    known = fs.Collection("x")
    model = attrs.evolve(known.face_model, dimension=1901)
    calibration = attrs.evolve(known.calibration, face_model=model)
    with pytest.raises(fs.InvalidParameterError, match="vectors of at most 1900 numbers"):
        fs.Collection.open(server().url(schema), "staff", face_model=model, calibration=calibration)


# -------------------------------------------------------------------- formats


def test_a_newer_schema_is_refused(staff: fs.Collection, schema: str) -> None:
    before = contents(staff)
    run(schema, "UPDATE about SET format = 99")
    with pytest.raises(fs.StorageFormatError, match="written by a newer facesearch: expected format 2, got 99"):
        fs.Collection.open(server().url(schema), "staff")
    with pytest.raises(fs.StorageFormatError, match="update facesearch here too"):
        staff.create_user("eve")
    assert contents(staff) == before


def test_an_older_schema_is_brought_to_the_present_format(
    staff: fs.Collection, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tables, store):
        monkeypatch.setattr(module, "FORMAT", 3)
    url = server().url(schema)
    with pytest.raises(fs.StorageFormatError, match="of format 2, which this version does not read"):
        fs.collections(url)
    monkeypatch.setattr(tables, "STEPS", {2: ("ALTER TABLE about ADD COLUMN news integer DEFAULT 7",)})
    with pytest.raises(fs.StorageFormatError, match="open it once without read_only=True"):
        fs.Collection.open(url, "staff", read_only=True)
    with fs.Collection.open(url, "staff") as again:
        assert contents(again) == contents(staff)
    assert run(schema, "SELECT format, news FROM about") == [(3, 7)]


def test_a_schema_that_is_not_ours_is_refused(staff: fs.Collection, schema: str) -> None:
    run(schema, "ALTER TABLE users RENAME TO persons")
    with pytest.raises(fs.StorageFormatError, match="lacks a table or column of facesearch"):
        staff.users()


# -------------------------------------------------------------------- what can't be changed


def test_a_server_that_accepts_no_changes_can_be_read(staff: fs.Collection, schema: str) -> None:
    url = server().url(schema, options="-c default_transaction_read_only=on")
    for read_only in (None, True, False):
        with fs.Collection.open(url, "staff", read_only=read_only) as replica:
            assert contents(replica) == contents(staff)
            with pytest.raises(fs.StorageReadOnlyError, match="accepts no changes"):
                replica.create_user("eve")
            assert "eve" not in replica
    staff.delete_user("ada")
    assert not catalog.erase_deleted(url)
    assert not catalog.is_erased(url)


def test_a_role_that_may_only_read_can_read(staff: fs.Collection, schema: str) -> None:
    server().run("DROP OWNED BY reader" if role_exists("reader") else "CREATE ROLE reader LOGIN")
    run(schema, f"GRANT USAGE ON SCHEMA {schema} TO reader", f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader")
    with fs.Collection.open(server().url(schema, user="reader"), "staff") as reader:
        assert contents(reader) == contents(staff)
        with pytest.raises(fs.StorageReadOnlyError, match="lacks a right on the tables"):
            reader.create_user("eve")


def role_exists(name: str) -> bool:
    return bool(server().run(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"))  # noqa: S608  # our own names


def test_the_role_of_the_page_has_all_rights_it_needs_and_no_more(tmp_path: Path) -> None:
    app, eraser = re.findall(r"```sql\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    server().run("DROP DATABASE IF EXISTS people")
    server().run("CREATE DATABASE people")
    server().run("CREATE EXTENSION vector", dbname="people")
    fs.Collection.open(server().url(database="people"), "staff").close()
    for role in ("eraser", "app"):
        if role_exists(role):
            server().run(f"DROP ROLE {role}")
    server().run(*filter(str.strip, (app + eraser).split(";")), dbname="people")
    url = server().url(database="people", user="app")
    with fs.Collection.create(url, "guests", tags={"a": "b"}) as guests:
        ids = guests.add_embeddings(["ada", "bob"], np.eye(2, 128))
        guests.delete_user("ada")
        guests.delete_faces(ids[:1])
        assert guests.once("token", "x", lambda: "done") == "done"
        guests.save(tmp_path / "guests.npz")
        assert [match.user.user_id for match in guests.search_embedding(np.eye(2, 128)[1])] == ["bob"]
        assert not guests.erase_deleted()
    fs.delete_collection(url, "guests")
    assert catalog.erase_deleted(server().url(database="people", user="eraser"))
    assert catalog.is_erased(url)
    with psycopg.connect(url) as sql, pytest.raises(psycopg.errors.InsufficientPrivilege):
        sql.execute("DROP TABLE facesearch.users")


def test_a_full_disk_changes_nothing(staff: fs.Collection, schema: str) -> None:
    before = contents(staff)
    trigger(schema, "RAISE EXCEPTION 'Key (user_id)=(ada)' USING ERRCODE = 'disk_full'")
    with pytest.raises(fs.StorageFullError, match="no room on the server's disk; nothing was changed") as error:
        staff.add_embedding("eve", ONES)
    assert "ada" not in str(error.value)
    assert contents(staff) == before


def test_a_statement_that_takes_too_long_changes_nothing(staff: fs.Collection, schema: str) -> None:
    before = contents(staff)
    trigger(schema, "PERFORM pg_sleep(60)")
    with fs.Collection.open(server().url(schema, options="-c statement_timeout=100"), "staff") as slow:
        with pytest.raises(fs.StorageBusyError, match="statement_timeout"):
            slow.add_embedding("eve", ONES)
        assert contents(slow) == before


def test_others_that_write_too_long_are_an_error_and_readers_do_not_wait(staff: fs.Collection, schema: str) -> None:
    before = contents(staff)
    with fs.Collection.open(server().url(schema), "staff", timeout=0.2) as hasty, server().connect() as sql:
        with sql.transaction():
            sql.execute(f"SELECT 1 FROM {schema}.collections FOR UPDATE")  # noqa: S608  # our own names
            with pytest.raises(fs.StorageBusyError, match="others wrote for longer than the timeout"):
                hasty.create_user("eve")
            assert contents(hasty) == before
        hasty.create_user("eve")


def test_a_collection_that_another_process_deleted_is_missed(staff: fs.Collection, schema: str) -> None:
    fs.delete_collection(server().url(schema), "staff")
    for call in (
        lambda: staff.search_embedding(ONES),
        lambda: staff.create_user("eve"),
        staff.users,
        lambda: staff.rank_faces([ONES]),
    ):
        with pytest.raises(fs.CollectionNotFoundError, match="'staff' was deleted while it was open"):
            call()
    for table in tables.TABLES:
        assert run(schema, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608  # our own names


def test_what_is_closed_is_closed(schema: str) -> None:
    staff = fs.Collection.open(server().url(schema), "staff")
    staff.close()
    staff.close()
    with pytest.raises(ClosedError):
        len(staff)
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'facesearch'"
    assert soon(lambda: server().run(count) == [(0,)])  # the server notices a moment later


# -------------------------------------------------------------------- lost connections


def test_a_server_that_is_gone_in_a_transaction_leaves_nothing_of_it(staff: fs.Collection, schema: str) -> None:
    before = contents(staff)
    trigger(
        schema,
        "IF NEW.vector <-> array_fill(1, ARRAY[128])::vector = 0 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF",
    )
    with pytest.raises(fs.StorageError, match="nothing was changed, try again"):
        staff.add_embeddings(["eve", "eve"], np.stack([np.full(128, 0.5), ONES]))
    assert contents(staff) == before
    staff.add_embedding("eve", np.full(128, 0.5))


def test_a_server_that_is_lost_while_it_confirms_is_told_apart(staff: fs.Collection, schema: str) -> None:
    trigger(
        schema,
        "PERFORM pg_terminate_backend(pg_backend_pid())",
        when="AFTER INSERT ON faces DEFERRABLE INITIALLY DEFERRED",
    )
    with pytest.raises(fs.StorageUncertainError, match="it may or may not have been made"):
        staff.add_embedding("eve", ONES)
    assert len(staff) == 2


def test_connections_that_were_lost_while_idle_are_replaced(staff: fs.Collection) -> None:
    before = contents(staff)
    for call in (lambda: contents(staff), lambda: staff.search_embedding(ONES), lambda: staff.create_user("eve")):
        server().run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'facesearch'")
        call()
    staff.delete_user("eve")
    server().control("restart", "-m", "fast")
    assert contents(staff) == before


def test_a_call_waits_for_a_server_that_restarts(staff: fs.Collection) -> None:
    before = contents(staff)
    server().control("stop", "-m", "fast")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(contents, staff)
        server().control("start")
        assert waiting.result() == before


def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(staff: fs.Collection) -> None:
    for number in range(3):
        staff.add_embedding(f"user{number}", np.eye(9, 128)[number + 3])
        before = contents(staff)
        server().kill()
        server().started_again()
        assert contents(staff) == before


# -------------------------------------------------------------------- searches


CORNERS = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1e-20, 1e14]), min_size=3, max_size=3).filter(any)
VECTORS = CORNERS.map(lambda corner: np.array([*corner, *[0.0] * 125], np.float32)) | st.integers(0, 99).map(
    lambda seed: (np.random.default_rng(seed).normal(size=128) * 0.1).astype(np.float32)
)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), VECTORS), min_size=1, max_size=24),
    st.lists(VECTORS, min_size=1, max_size=3),
    st.integers(1, 6),
    st.sampled_from([0, 50, 80, 100]),
)
def test_the_server_ranks_as_the_memory_and_a_file_do_to_the_bit(
    faces: list[tuple[str, Any]], probes: list[Any], most: int, threshold: float
) -> None:
    users, vectors = [user for user, _ in faces], np.stack([vector for _, vector in faces])
    answers = []
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "_MOST_IN_MEMORY", 0)
        for opened in (
            fs.Collection("staff"),
            fs.Collection.open(f"{folder}/people.db", "staff"),
            fs.Collection.open(server().url(schema_of(Path(folder))), "staff"),
        ):
            with opened as collection:
                collection.add_embeddings(users, vectors)
                answers.append(
                    (
                        collection.rank_many(np.stack(probes), user_match_threshold=threshold, max_users=most),
                        collection.rank_faces(np.stack(probes), face_match_threshold=threshold, max_faces=most),
                    )
                )
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]


def test_many_equal_vectors_are_all_ranked_by_the_server(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_MOST_IN_MEMORY", 0)
    users = [f"user{number:03}" for number in range(100)]
    with fs.Collection.open(server().url(schema), "staff") as staff:
        staff.add_embeddings(users[::-1], np.ones((100, 128)))
        assert [match.user.user_id for match in staff.search_embedding(ONES, max_users=3)] == users[:3]


def test_only_new_rows_are_read_for_a_search(staff: fs.Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    checked = vectors.ServerRows._copied_vectors

    def counted(self: Any, rows: Any, table: str) -> Any:
        read.append((table, len(rows)))
        return checked(self, rows, table)

    monkeypatch.setattr(vectors.ServerRows, "_copied_vectors", counted)
    staff.search_embedding(ONES)
    staff.rank_faces([ONES])
    assert read == [("users", 2), ("faces", 3)]
    staff.search_embedding(ONES)
    staff.add_embedding("eve", ONES)
    staff.search_embedding(ONES)
    staff.rank_faces([ONES])
    assert read[2:] == [("users", 1), ("faces", 1)]


# -------------------------------------------------------------------- threads and processes


def test_more_threads_than_connections_write_and_search(staff: fs.Collection) -> None:
    def work(number: int) -> int:
        staff.add_embedding(f"user{number}", np.eye(40, 128)[number])
        return len(staff.search_embedding(np.eye(40, 128)[number], max_users=1))

    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(work, range(30))) == [1] * 30
    assert len(staff) == 32


def test_a_search_within_a_change_sees_the_committed_state(staff: fs.Collection) -> None:
    def do() -> str:
        staff.add_embedding("eve", ONES)
        return str(len(staff.search_embedding(ONES, user_match_threshold=99)))

    assert staff.once("token", "request", do) == "0"
    assert len(staff.search_embedding(ONES, user_match_threshold=99)) == 1


CHILD = """
import sys, numpy as np, facesearch as fs
url, name = sys.argv[1:]
with fs.Collection.open(url, "staff") as staff:
    for line in sys.stdin:
        vector = np.eye(128)[int(line)]
        staff.add_embedding(f"{name}{line.strip()}", vector)
        print([match.user.user_id for match in staff.search_embedding(vector, user_match_threshold=99)], flush=True)
"""


@pytest.fixture
def child(schema: str) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Start processes that add a user for each line, and print who is found."""
    processes = []

    def start(name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", CHILD, server().url(schema), name]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))  # noqa: S603  # our own
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def tell(process: "subprocess.Popen[str]", number: int) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_what_one_process_writes_the_next_search_of_another_finds(
    staff: fs.Collection, child: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    first, second = child("first"), child("second")
    for number in range(10, 20):
        assert tell(first, number) == f"['first{number}']"
        assert tell(second, number) == f"['first{number}', 'second{number}']"
        found = staff.search_embedding(np.eye(128)[number], user_match_threshold=99)
        assert [match.user.user_id for match in found] == [f"first{number}", f"second{number}"]


def test_a_writer_that_is_killed_loses_nothing_that_it_acknowledged(
    staff: fs.Collection, child: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    for attempt, name in enumerate(["x", "y"]):
        process = child(name)
        acknowledged = [tell(process, number) for number in range(5, 8 + attempt)]
        assert process.stdin
        process.stdin.write("".join(f"{number}\n" for number in range(50, 100)))
        process.stdin.flush()
        process.kill()
        process.wait()
        assert len(acknowledged) == 3 + attempt
        assert {f"{name}{number}" for number in range(5, 8 + attempt)} <= {user.user_id for user in staff.users()}
        staff.create_user(f"after {name}".replace(" ", "-"))  # no lock is left
        assert contents(staff)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(staff: fs.Collection) -> None:
    staff.search_embedding(ONES)
    pid = os.fork()
    if pid == 0:
        try:
            staff.add_embedding("child", ONES)
            os._exit(len(staff.search_embedding(ONES, user_match_threshold=99)))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert [match.user.user_id for match in staff.search_embedding(ONES, user_match_threshold=99)] == ["child"]
    staff.delete_user("child")


# -------------------------------------------------------------------- erasure


def files_with(*needles: bytes) -> list[str]:
    """The server's files that hold one of some texts."""
    found = []
    for path in sorted(server().folder.rglob("*")):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # removed meanwhile
            continue
        found += [str(path.relative_to(server().folder)) for needle in needles if needle in data]
    return found


def test_of_deleted_people_no_file_of_the_server_has_anything(schema: str) -> None:
    url = server().url(schema)
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(20, 128)).astype(np.float32)
    needles = [b"mallory-the-deleted", vectors[0].tobytes()[:64], vectors[1].tobytes()[:64]]
    with fs.Collection.open(url, "staff") as staff:
        staff.add_embeddings(["mallory-the-deleted"] * 2 + [f"user{n}" for n in range(18)], vectors)
        mean = staff.user_embedding("mallory-the-deleted")
        assert mean is not None
        needles.append(mean.tobytes()[:64])
        assert isinstance(staff._store, PostgresStore)
        with staff._store.writing():
            staff._store.put_change(f'{{"users": ["mallory-the-deleted"]}} {ChangeKind.RENAME_USER}')
        run(schema, "ANALYZE", "CHECKPOINT")
        assert files_with(needles[0])
        before = contents(staff)
        staff.delete_user("mallory-the-deleted", faces=True)
        assert not catalog.is_erased(url)
        assert staff.erase_deleted(5)
        assert catalog.is_erased(url)
        assert files_with(*needles) == []
        assert len(staff) == 18
        assert contents(staff) != before
    fs.delete_collection(url, "staff")
    assert not catalog.is_erased(url)
    assert catalog.erase_deleted(url)
    assert files_with(vectors[5].tobytes()[:64], vectors[19].tobytes()[:64]) == []


def test_what_an_old_transaction_still_sees_is_not_erased_yet(staff: fs.Collection, schema: str) -> None:
    url = server().url(schema)
    with server().connect() as sql, sql.transaction():
        sql.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        sql.execute("SELECT 1")  # sees the present state from now on
        staff.delete_user("ada", faces=True)
        done = catalog.database_of(url, 0.5)
        (reason, *_) = done.erase(0.5).left
        done.close()
        assert "an old transaction still sees deleted rows of the table" in reason
        assert not staff.erase_deleted(0.1)
        assert not catalog.is_erased(url)
    assert staff.erase_deleted(5)
    assert catalog.is_erased(url)


def test_the_log_that_the_server_reuses_is_told(staff: fs.Collection, schema: str) -> None:
    staff.delete_user("ada", faces=True)
    server().run("ALTER SYSTEM SET wal_recycle = on", "SELECT pg_reload_conf()")
    try:
        with fs.Collection.open(server().url(schema), "staff") as again:
            server().run("SELECT pg_sleep(0.2)")
            database = catalog.database_of(server().url(schema), 5)
            result = database.erase(5)
            database.close()
            assert any("set wal_recycle = off" in reason for reason in result.left)
            assert any("backups" in place for place in result.beyond)
            assert not again.erase_deleted()
    finally:
        server().run("ALTER SYSTEM RESET wal_recycle", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")
    assert staff.erase_deleted(5)


def test_indexes_of_other_handles_survive_an_erasure(staff: fs.Collection, schema: str) -> None:
    with fs.Collection.open(server().url(schema), "staff") as other:
        assert len(other.search_embedding(np.eye(3, 128)[0], user_match_threshold=99)) == 1
        other.rank_faces([ONES])
        staff.delete_user("ada", faces=True)
        assert staff.erase_deleted(5)
        assert contents(other) == contents(staff)
        assert other.search_embedding(np.eye(3, 128)[0], user_match_threshold=99) == ()
        assert len(other.rank_faces([ONES], face_match_threshold=0)[0]) == 2
