"""An index in Milvus answers as the store alone does, whatever happens to either; what goes wrong has a name and a next step."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st

import facesearch as fs
from durable import MEMORY
from facesearch.cli.app import app
from facesearch.cli.shell.exit_status import Exit
from facesearch.common.arrays import FloatArray
from facesearch.errors import ClosedError, MissingExtraError
from facesearch.rekognition import client
from facesearch.storage.database_store import DatabaseStore
from facesearch.storage.milvus import index as milvus_index
from facesearch.storage.milvus.address import MilvusAddress
from facesearch.storage.milvus.index import MilvusIndex
from milvus_server import milvus_server, needs_milvus
from postgres_server import schema_of, server

pytestmark = needs_milvus


def vectors(count: int, seed: int = 0) -> FloatArray:
    made = np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32)
    unit: FloatArray = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


PROBES = vectors(6, seed=99)


@pytest.fixture
def people(tmp_path: Path) -> str:
    return str(tmp_path / "people.db")


def opened(where: str, *, vectors_as: str = "flat", **options: Any) -> fs.Collection:
    return fs.Collection.open(where, "staff", index=milvus_server().url(vectors=vectors_as), timeout=30, **options)


def answers(staff: fs.Collection) -> Any:
    """What searches of users and faces answer: near and far, few and many."""
    return [
        [staff.rank(probe, user_match_threshold=threshold, max_users=most) for probe in PROBES[:2]]
        for threshold, most in ((0, 500), (0, 3), (50, 1))
    ] + [staff.rank_faces(PROBES, face_match_threshold=0, max_faces=most) for most in (2, 100)]


def outside(staff: fs.Collection) -> MilvusIndex:
    assert isinstance(staff._store, DatabaseStore)
    assert isinstance(staff._store.outside, MilvusIndex)
    return staff._store.outside


def rows_in_milvus(staff: fs.Collection) -> int:
    """The rows of the users of a collection in Milvus, old and new."""
    side = outside(staff)._users
    epoch = side._record().epoch
    return 0 if epoch is None else side._vectors.count(side._gallery.owner(epoch))


def right(staff: fs.Collection) -> bool:
    return all(each.is_right for each in staff.reindex(repair=False))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send changes to Milvus after every third."""
    monkeypatch.setattr(milvus_index, "MOST_IN_MEMORY", 2)


# -------------------------------------------------------------------- the same answers

USERS = st.sampled_from("abcdefgh")
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "delete", "take", "search"]), USERS, st.integers(0, 3)),
    min_size=5,
    max_size=25,
)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("where", ["a file", "a server"])
@settings(max_examples=3)
@given(steps=STEPS)
def test_whatever_changes_the_answers_are_those_of_the_store_alone(
    where: str, steps: list[tuple[str, str, int]]
) -> None:
    """From two handles, to the bit; vectors repeat, so that many are equally near."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = f"{folder}/people.db" if where == "a file" else server().url(schema_of(Path(folder)))
        with fs.Collection.open(path, "staff") as alone, opened(path) as one, opened(path) as two:
            pool = np.concatenate([PROBES[:3], vectors(1)])
            for number, (what, user, place) in enumerate(steps):
                staff = (one, two)[number % 2]
                if what == "add":
                    staff.add_embeddings([user] * 2, pool[[place, (place + 1) % 4]])
                elif what == "delete" and user in staff:
                    staff.delete_user(user, faces=place > 1)
                elif what == "take" and user in staff and (ids := [face.face_id for face in staff.faces(user)][:1]):
                    staff.disassociate_faces(user, ids)
                else:
                    assert answers(staff) == answers(alone)
            expected = answers(alone)
            assert answers(one) == answers(two) == expected
            one.erase_deleted()  # the database lists no removals any more
            assert answers(one) == answers(two) == expected
            one.reindex()
            assert answers(one) == answers(two) == expected
            assert right(two)


def test_thousands_of_equally_near_ones_are_ranked_as_the_store_does(people: str) -> None:
    """More than Milvus returns at first; and those with the same distance by their names."""
    with fs.Collection.open(people, "staff") as alone, opened(people) as staff:
        alone.add_embeddings([f"twin{number}" for number in range(3000)], np.tile(PROBES[0], (3000, 1)))
        alone.add_embeddings([f"near{number}" for number in range(500)], PROBES[0] + vectors(500) * 1e-4)
        assert answers(staff) == answers(alone)
        assert rows_in_milvus(staff) == 3500


def test_vectors_in_8_bits_find_the_same_people(people: str) -> None:
    with fs.Collection.open(people, "staff") as alone, opened(people, vectors_as="sq8") as staff:
        alone.add_embeddings([f"user{number}" for number in range(3000)], vectors(3000))
        staff.search_embedding(PROBES[0])
        outside(staff)._vectors.compact()
        for probe in PROBES:
            assert staff.rank(probe, user_match_threshold=0, max_users=5) == alone.rank(
                probe, user_match_threshold=0, max_users=5
            )
        assert right(staff)


@pytest.mark.usefixtures("small")
def test_searches_beside_writers_show_no_deleted_user_and_miss_no_new_one(people: str) -> None:
    with opened(people) as one, opened(people) as two:
        one.add_embeddings(["rest"] * 5, vectors(5))

        def work(number: int) -> None:
            vector = vectors(1, seed=number + 1000)[0]
            for turn in range(6):
                writer, reader = (one, two)[:: -1 if turn % 2 else 1]
                name = f"user{number}.{turn}"
                writer.add_embedding(name, vector)
                assert [match.user.user_id for match in reader.search_embedding(vector)] == [name]
                writer.delete_user(name, faces=True)
                assert name not in [match.user.user_id for match in reader.search_embedding(vector)]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert answers(one) == answers(two)
        one.reindex()
        assert right(two)


def test_a_search_within_a_change_sees_the_last_committed_state(people: str) -> None:
    with opened(people) as staff:
        staff.add_embedding("ada", PROBES[0])

        def change() -> str:
            staff.delete_user("ada")
            return str(len(staff.search_embedding(PROBES[0])))

        assert staff.once("token", "request", change) == "1"
        assert len(staff.search_embedding(PROBES[0])) == 0


def test_a_file_that_is_only_read_needs_no_index_and_uses_one_that_is_there(people: str) -> None:
    with fs.Collection.open(people, "staff") as alone:
        alone.add_embeddings(["ada", "bob"], PROBES[:2])
        expected = answers(alone)
        with opened(people, read_only=True) as reader:
            assert answers(reader) == expected
            with pytest.raises(fs.StorageReadOnlyError):
                reader.reindex()
            assert outside(reader)._users._record().epoch is None
        with opened(people) as staff:
            assert answers(staff) == expected
        with opened(people, read_only=True) as reader:
            assert answers(reader) == expected
            assert rows_in_milvus(reader) == 2


def test_a_forked_process_searches_with_a_connection_of_its_own(people: str) -> None:
    code = """
import os, sys
import numpy as np
import facesearch as fs
vector = np.ones(128)
with fs.Collection.open(sys.argv[1], "staff", index=sys.argv[2]) as staff:
    staff.add_embedding("ada", vector)
    assert len(staff.search_embedding(vector)) == 1
    child = os.fork()
    if not child:
        os._exit(0 if len(staff.search_embedding(vector)) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(staff.search_embedding(vector)) == 1
"""
    done = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", code, people, milvus_server().url()], check=False, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()


def test_another_calibration_gets_an_index_of_its_own(people: str) -> None:
    shipped = fs.calibration()
    other = attrs.evolve(shipped, user_spread=shipped.user_spread * 20)
    with fs.Collection.open(people, "staff") as alone:
        alone.add_embeddings([f"user{number // 3}" for number in range(60)], vectors(60))
        alone.add_embeddings([f"single{number}" for number in range(60)], vectors(60, seed=7))
    for calibration in (shipped, other, shipped):
        with (
            fs.Collection.open(people, "staff", calibration=calibration) as alone,
            opened(people, calibration=calibration) as staff,
        ):
            assert answers(staff) == answers(alone)
            assert right(staff)
            assert rows_in_milvus(staff) == 80


# -------------------------------------------------------------------- crashes, copies and losses


def test_a_delivery_that_is_cut_off_loses_nothing(people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with fs.Collection.open(people, "staff") as alone:
        for cut in ("insert", "await_applied", "put_position"):
            alone.add_embeddings([f"{cut}{number}" for number in range(5)], vectors(5, seed=len(cut)))
            with opened(people) as staff, monkeypatch.context() as patched:
                patched.setattr(outside(staff)._vectors, cut, _cut_off)
                with pytest.raises(KeyboardInterrupt):
                    staff.reindex()
            alone.delete_user(f"{cut}0", faces=True)
            with opened(people) as staff:
                assert answers(staff) == answers(alone)
        with opened(people) as staff:
            staff.reindex()
            assert right(staff)
            assert rows_in_milvus(staff) == len(alone)


def _cut_off(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_killed_processes_lose_nothing(people: str) -> None:
    """SIGKILL at any moment of a process that adds, deletes and delivers."""
    code = """
import sys
import numpy as np
import facesearch as fs
from facesearch.storage.milvus import index
index.MOST_IN_MEMORY = 1
rng = np.random.default_rng()
with fs.Collection.open(sys.argv[1], "staff", index=sys.argv[2]) as staff:
    for number in range(10_000):
        name = f"{sys.argv[3]}.{number}"
        staff.add_embeddings([name, f"{name}.gone"], rng.normal(size=(2, 128)) / 11)
        staff.delete_user(f"{name}.gone", faces=True)
        staff.search_embedding(rng.normal(size=128) / 11)
        print(name, flush=True)
"""
    added: list[str] = []
    for turn in range(4):
        command = [sys.executable, "-c", code, people, milvus_server().url(), str(turn)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own
            assert process.stdout is not None
            added.append(process.stdout.readline().strip())
            time.sleep(0.15 * turn)
            process.send_signal(signal.SIGKILL)
    with fs.Collection.open(people, "staff") as alone, opened(people) as staff:
        assert set(added) <= {user.user_id for user in alone.users()}
        assert answers(staff) == answers(alone)
        staff.reindex()
        assert right(staff)


def test_a_restored_backup_gets_an_index_of_its_own_state(people: str) -> None:
    with opened(people) as staff:
        staff.add_embeddings(["ada", "bob"], PROBES[:2])
        answers(staff)
    shutil.copy(people, f"{people}.backup")
    with opened(people) as staff:
        staff.add_embeddings(["lost1", "lost2"], PROBES[2:4])
        staff.reindex()
        lost = outside(staff)._users._record().epoch
    Path(f"{people}.backup").replace(people)
    with fs.Collection.open(people, "staff") as alone:
        for number in range(4):  # as many changes as were lost, and more
            alone.add_embedding(f"new{number}", PROBES[number])
    with opened(people, read_only=True) as reader:
        (users, _) = reader.reindex(repair=False)
        assert users.is_other
        with fs.Collection.open(people, "staff", read_only=True) as alone:
            assert answers(reader) == answers(alone)
    with fs.Collection.open(people, "staff") as alone, opened(people) as staff:
        assert answers(staff) == answers(alone)
        assert right(staff)
        assert lost is not None
        side = outside(staff)._users
        assert side._record().epoch != lost
        assert side._vectors.count(side._gallery.owner(lost)) == 0


def test_a_copy_of_the_file_and_other_collections_never_mix(people: str, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")
    with opened(people) as staff:
        staff.add_embedding("ada", PROBES[0])
        answers(staff)
    shutil.copy(people, copy)
    with opened(people) as staff, opened(copy) as other:
        for turn in range(3):
            staff.add_embedding(f"mine{turn}", PROBES[turn])
            other.add_embeddings([f"theirs{turn}"] * 2, PROBES[turn : turn + 2])
            staff.reindex()
            other.reindex()
            assert {match.user.user_id for match in other.search_embedding(PROBES[turn])} >= {f"theirs{turn}"}
        assert right(staff)
        assert right(other)
        assert (len(staff), len(other)) == (4, 4)
        with fs.Collection.open(people, "other", index=milvus_server().url()) as neighbour:
            assert not neighbour.search_embedding(PROBES[0])


@pytest.mark.parametrize("loss", ["dropped", "released", "emptied", "rows"])
def test_what_is_lost_in_milvus_is_found_and_sent_again(people: str, loss: str) -> None:
    with fs.Collection.open(people, "staff") as alone, opened(people) as staff:
        alone.add_embeddings([f"user{number}" for number in range(50)], vectors(50))
        expected = answers(alone)
        assert answers(staff) == expected
        name, milvus = outside(staff)._vectors._name, milvus_server().client()
        side = outside(staff)._users
        epoch = side._record().epoch
        assert epoch is not None
        owner = side._gallery.owner(epoch)
        if loss == "dropped":
            milvus.drop_collection(name)
        elif loss == "released":
            milvus.release_collection(name)
        elif loss == "emptied":
            side._vectors.clear(owner)
        else:  # which only a comparison finds
            milvus.delete(name, filter=f'owner == "{owner}" and number in [1, 2, 3]')
            milvus.insert(name, [{"owner": owner, "number": 999, "version": 1, "vector": [0.1] * 129}])
            (users, faces) = staff.reindex(repair=False)
            assert (users.missing, users.extra, faces.missing, faces.extra) == (3, 1, 0, 0)
            (users, _) = staff.reindex()
            assert (users.missing, users.extra) == (3, 1)
        assert answers(staff) == expected
        assert right(staff)


# -------------------------------------------------------------------- what can't be used


@pytest.mark.parametrize(
    "url",
    ["http://u:hunter2@h", "milvus://", "milvus://u:hunter2@h:x", "milvus://u:hunter2@h/?colour=red",
     "milvus://u:hunter2@h/?vectors=sq8&vectors=sq8", 7],
)  # fmt: skip
def test_a_wrong_address_is_refused_without_its_password_and_creates_nothing(people: str, url: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="index: expected") as error:
        fs.Collection.open(people, "staff", index=url)
    assert "hunter2" not in str(error.value)
    assert not Path(people).exists()
    assert "hunter2" not in repr(MilvusAddress.of("milvus://u:hunter2@h"))


def test_an_index_needs_its_extra(people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    for name in [each for each in sys.modules if each.startswith("facesearch.storage.milvus")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r'pip install "facesearch\[milvus\]"'):
        fs.Collection.open(people, "staff", index="milvus://localhost")
    assert not Path(people).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "milvus://root:hunter2@127.0.0.1:9", "no connection; .* start the server .* without index="),
        (lambda url: url.replace(":Milvus@", ":hunter2@"), "wrong user or password; .* correct them in the address"),
        (lambda url: url.replace("root:Milvus@", ""), "asks for a user and a password; .* add them to the address"),
        (lambda url: url.replace("/?", "/hunter3?"), "no such database; .* create it there"),
    ],
)
def test_a_server_that_cant_be_used_is_named_and_the_collection_unchanged(
    people: str, change: Any, message: str
) -> None:
    with fs.Collection.open(people, "staff", index=change(milvus_server().url()), timeout=2) as staff:
        staff.add_embedding("ada", PROBES[0])
        for call in (lambda: staff.search_embedding(PROBES[0]), staff.reindex):
            with pytest.raises(fs.StorageError, match=message) as error:
                call()
            assert "hunter2" not in str(error.value)
        assert [user.user_id for user in staff.users()] == ["ada"]
    with opened(people) as staff:
        assert len(staff.search_embedding(PROBES[0])) == 1


def test_a_collection_in_milvus_that_is_not_ours_is_refused(people: str) -> None:
    milvus = milvus_server().client()
    milvus.create_database("foreign")
    milvus = milvus_server().client(db_name="foreign")
    milvus.create_collection("facesearch_129_flat", dimension=5)
    with fs.Collection.open(people, "staff", index=milvus_server().url(database="foreign")) as staff:
        staff.add_embedding("ada", PROBES[0])
        with pytest.raises(fs.StorageFormatError, match="not of facesearch, or holds vectors of another length"):
            staff.search_embedding(PROBES[0])
    milvus.drop_collection("facesearch_129_flat")


def test_reindexing_needs_an_index_and_nothing_works_after_close(people: str) -> None:
    with (
        fs.Collection.open(people, "staff") as staff,
        pytest.raises(fs.InvalidParameterError, match="without an index"),
    ):
        staff.reindex()
    with pytest.raises(fs.InvalidParameterError, match="without an index"):
        fs.Collection("staff").reindex()
    staff = opened(people)
    with pytest.raises(fs.InvalidParameterError, match="repair: expected True where rebuild is True"):
        staff.reindex(repair=False, rebuild=True)
    staff.close()
    with pytest.raises(ClosedError):
        staff.search_embedding(PROBES[0])


# -------------------------------------------------------------------- erasure


def test_erased_people_leave_the_files_of_milvus_but_not_its_message_queue(people: str) -> None:
    """As docs/milvus.md says: the files when garbage is collected; the queue when its retention ends, three days by default."""
    some = vectors(300, seed=int.from_bytes(os.urandom(4)))
    needles = [vector[:16].tobytes() for vector in some[:20]]
    with opened(people) as staff:
        staff.add_embeddings([f"user{number}" for number in range(300)], some)
        answers(staff)
        outside(staff)._vectors.compact()
        _wait(lambda: _places(needles) == {"insert_log", "rocksmq"}, lambda: None)
        for number in range(20):
            staff.delete_user(f"user{number}", faces=True)
        assert staff.erase_deleted()
        _wait(lambda: _places(needles) == {"rocksmq"}, staff.erase_deleted)  # what is being indexed is not compacted
        assert right(staff)


def _places(needles: list[bytes]) -> set[str]:
    """The folders of Milvus's data with files that contain some bytes."""
    found = set()
    data = milvus_server().folder / "data"
    for path in data.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        if any(needle in content for needle in needles):
            found.add(path.relative_to(data).parts[0])
    return found


def _wait(condition: Any, call: Any) -> None:
    for _ in range(200):  # it only ends what hangs
        if condition():
            return
        time.sleep(3)
        call()
    raise AssertionError


# -------------------------------------------------------------------- command line and service


def told(*arguments: str, status: Exit = Exit.DONE) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def test_the_command_line_compares_repairs_and_erases(people: str) -> None:
    where = ("--db", people, "--index", milvus_server().url())
    with fs.Collection.open(people, "people") as alone:
        alone.add_embeddings(["ada", "bob", "eve"], PROBES[:3])
    compared = told("reindex", *where, "--check")["compared"]
    assert [each["behind"] for each in compared] == [1, 3]
    assert [each["rows"] for each in told("reindex", *where)["compared"]] == [3, 3]
    findings = {each["about"]: each for each in told("doctor", *where)["findings"]}
    assert findings["index, users of people"]["text"] == "3 compared, all equal"
    told("delete-user", "eve", "--faces", "--yes", "--db", people)
    assert "Milvus: deletions were sent" in told("erase-deleted", *where)["beyond"][-1]
    assert [each["rows"] for each in told("reindex", *where, "--rebuild")["compared"]] == [2, 2]
    assert [each["extra"] for each in told("reindex", *where, "--check")["compared"]] == [0, 0]
    done = CliRunner().invoke(app, ["doctor", "--db", people, "--index", "milvus://u:hunter2@127.0.0.1:9"])
    assert done.exit_code == Exit.NOTHING
    assert "WRONG  index: milvus://u@127.0.0.1:9/default" in done.stdout
    assert "hunter2" not in done.output
    done = CliRunner().invoke(app, ["reindex", "--db", people])
    assert done.exit_code == Exit.USAGE


def test_a_dropped_index_leaves_no_rows_and_is_filled_again_by_a_search(people: str) -> None:
    where = ("--db", people, "--index", milvus_server().url())
    with fs.Collection.open(people, "people", index=milvus_server().url()) as staff:
        staff.add_embeddings(["ada", "bob"], PROBES[:2])
        before = answers(staff)
        sides = outside(staff)._users, outside(staff)._faces
        epoch = sides[0]._record().epoch
        assert epoch is not None
        assert [side._vectors.count(side._gallery.owner(epoch)) for side in sides] == [2, 2]
        staff.drop_index()
        assert [side._vectors.count(side._gallery.owner(epoch)) for side in sides] == [0, 0]
        assert answers(staff) == before
        assert rows_in_milvus(staff) == 2
        vectors, owner = sides[0]._vectors, sides[0]._gallery.owner(sides[0]._record().epoch or b"")
        told("delete-collection", "people", "--yes", *where)
        assert vectors.count(owner) == 0
    with fs.Collection("alone") as alone, pytest.raises(fs.InvalidParameterError, match="opened without an index"):
        alone.drop_index()


def test_the_service_searches_with_an_index(people: str, photo_of_eileen: bytes) -> None:
    rekognition = client(people, index=milvus_server().url())
    rekognition.create_collection(CollectionId="staff")
    rekognition.create_user(CollectionId="staff", UserId="eileen")
    indexed = rekognition.index_faces(CollectionId="staff", Image={"Bytes": photo_of_eileen})
    face_ids = [record["Face"]["FaceId"] for record in indexed["FaceRecords"]]
    rekognition.associate_faces(CollectionId="staff", UserId="eileen", FaceIds=face_ids)
    found = rekognition.search_users_by_image(CollectionId="staff", Image={"Bytes": photo_of_eileen})
    assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["eileen"]
    found_faces = rekognition.search_faces_by_image(CollectionId="staff", Image={"Bytes": photo_of_eileen})
    assert [match["Face"]["FaceId"] for match in found_faces["FaceMatches"]] == face_ids
    rekognition.close()
    with pytest.raises(fs.InvalidParameterError, match="index: expected none"):
        client(index=milvus_server().url())


@pytest.fixture
def photo_of_eileen() -> bytes:
    import io

    from PIL import Image
    from skimage.data import astronaut

    file = io.BytesIO()
    Image.fromarray(astronaut()).save(file, "JPEG")  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    return file.getvalue()


# -------------------------------------------------------------------- the last one, as it ends the server


def test_a_server_that_dies_is_an_error_and_the_collection_goes_on_without_it(people: str) -> None:
    with fs.Collection.open(people, "staff") as alone, opened(people) as staff:
        staff.add_embedding("ada", PROBES[0])
        expected = answers(alone)
        assert answers(staff) == expected
        milvus_server().kill()
        with pytest.raises(fs.StorageError, match=r"no connection; nothing was changed .* without index="):
            staff.search_embedding(PROBES[0])
        staff.add_embedding("bob", PROBES[1])
        assert len(alone.search_embedding(PROBES[1])) == 1
