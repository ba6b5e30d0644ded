"""The search of faces, and of users like a user: equal to an exhaustive search, immediately after any change by any process."""

import math
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import facesearch as fs
from durable import MEMORY
from facesearch.common.arrays import FloatArray
from facesearch.storage.database_store import DatabaseStore
from facesearch.storage.sqlite import erasure as erasing, vectors as live_index
from facesearch.storage.sqlite.store import SqliteStore
from facesearch.testing.strategies import embeddings

UNKNOWN = "00000000-0000-0000-0000-000000000000"
KINDS = st.sampled_from(["in memory", "in a file"])
USERS = st.sampled_from(["ada", "bob", "eve"])


def embedding(seed: int, spread: float = 0.12) -> FloatArray:
    vector: FloatArray = (np.random.default_rng(seed).normal(size=128) * spread).astype(np.float32)
    return vector


# Few different ones, so that some are equally near.
VECTORS = st.integers(0, 5).map(embedding)


@contextmanager
def collection_of(kind: str, name: str = "staff") -> Iterator[fs.Collection]:
    """An empty one."""
    if kind == "in memory":
        yield fs.Collection(name)
    else:
        with (
            tempfile.TemporaryDirectory(dir=MEMORY) as folder,
            fs.Collection.open(Path(folder) / "people.db", name) as collection,
        ):
            yield collection


@pytest.fixture(params=["in memory", "in a file"])
def staff(request: pytest.FixtureRequest) -> Iterator[fs.Collection]:
    """Three users: ada and bob with faces, and eve without; one face is unassociated."""
    with collection_of(request.param) as staff:
        staff.add_embeddings(["ada", "ada", "bob", "bob"], [embedding(seed) for seed in range(4)])
        staff.create_user("eve")
        staff.disassociate_faces("bob", [staff.faces("bob")[0].face_id])
        yield staff


def found(collection: fs.Collection, probe: Any, **options: Any) -> list[tuple[float, str]]:
    (ranked,) = collection.rank_faces([probe], **options)
    return [(percent, face.face_id) for percent, face in ranked]


def exhaustive(collection: fs.Collection, probe: FloatArray) -> list[tuple[float, str]]:
    """Distances of all faces, one by one."""

    def distance(face_id: str) -> float:
        difference = collection.face_embedding(face_id).astype(np.float64) - probe
        return float(np.sqrt((difference * difference).sum()))

    return sorted((distance(face.face_id), face.face_id) for face in collection.faces())


# -------------------------------------------------------------------- what is found


@settings(max_examples=40)
@given(
    KINDS,
    st.lists(st.tuples(USERS, VECTORS), min_size=1, max_size=12),
    st.lists(st.integers(0, 11), max_size=3),
    st.integers(0, 5),
    st.none() | st.integers(1, 8),
    st.sampled_from([0, 50, 80, 99, 100]),
    st.booleans(),
)
def test_it_finds_what_looking_at_every_face_finds(  # noqa: PLR0917  # drawn
    kind: str,
    people: list[tuple[str, FloatArray]],
    excluded: list[int],
    seed: int,
    most: int | None,
    threshold: float,
    searched_before: bool,
) -> None:
    with collection_of(kind) as staff:
        staff.create_user("ada")
        if searched_before:
            assert found(staff, embedding(0)) == []
        face_ids = [staff.add_embedding(*each) for each in people]
        staff.delete_user("ada", faces=True)
        exclude = {face_ids[number] for number in excluded if number < len(face_ids)}
        options = {"face_match_threshold": threshold, "max_faces": most, "exclude": exclude}
        probe = embedding(seed)

        similarity = staff.calibration.similarity
        expected = [
            (similarity(distance), face_id)
            for distance, face_id in exhaustive(staff, probe)
            if face_id not in exclude and similarity(distance) >= threshold
        ][:most]

        assert found(staff, probe, **options) == expected
        ranked, others = staff.rank_faces([probe, -probe], **options)  # type: ignore[arg-type]  # their types are mixed
        assert [(percent, face.face_id) for percent, face in ranked] == expected
        assert [(percent, face.face_id) for percent, face in others] == found(staff, -probe, **options)
        metadata = {face.face_id: face for face in staff.faces()}
        assert [face for _, face in ranked] == [metadata[face_id] for _, face_id in expected]


@settings(max_examples=40)
@given(
    KINDS,
    st.lists(st.tuples(USERS, embeddings(spread=0.05)), min_size=1, max_size=9),
    st.none() | st.integers(1, 3),
    st.sampled_from([0, 80, 99]),
)
def test_users_like_a_user_are_those_that_an_audit_would_compare(
    kind: str, people: list[tuple[str, FloatArray]], most: int | None, threshold: float
) -> None:
    with collection_of(kind) as staff:
        staff.add_embeddings([user_id for user_id, _ in people], [vector for _, vector in people])
        staff.create_user("zoe")
        vectors = {user.user_id: staff.user_embedding(user.user_id) for user in staff.users()}
        for user_id, vector in vectors.items():
            expected = []
            for other, theirs in vectors.items():
                if vector is not None and theirs is not None and other != user_id:
                    offset = sum(staff.calibration.user_offset(len(staff.faces(each))) for each in (user_id, other))
                    apart = ((vector.astype(np.float64) - theirs) ** 2).sum()
                    expected.append((-staff.calibration.similarity(math.sqrt(apart + offset)), other))
            matches = staff.rank_like_user(user_id, user_match_threshold=threshold, max_users=most)

            chosen = [(percent, other) for percent, other in sorted(expected) if -percent >= threshold][:most]
            assert [match.user.user_id for match in matches] == [other for _, other in chosen]
            assert [-match.similarity for match in matches] == pytest.approx([percent for percent, _ in chosen])
        one_person = {frozenset(each.user_ids): each.similarity for each in staff.audit(threshold=0).same_person}
        for user_id in vectors:
            for match in staff.rank_like_user(user_id, user_match_threshold=0):
                assert match.similarity == pytest.approx(one_person[frozenset({user_id, match.user.user_id})])


def test_faces_of_users_and_of_nobody_are_found_each_with_what_is_known_of_it(staff: fs.Collection) -> None:
    (ranked,) = staff.rank_faces([embedding(0)], face_match_threshold=0)

    assert ranked[0][0] == 100
    assert {face for _, face in ranked} == set(staff.faces())
    assert sorted(face.user_id or "" for _, face in ranked) == ["", "ada", "ada", "bob"]
    assert all(one[0] >= other[0] for one, other in pairwise(ranked))


def test_faces_that_are_not_wanted_make_room_for_others(staff: fs.Collection) -> None:
    first, second, third, _ = (face_id for _, face_id in found(staff, embedding(0), face_match_threshold=0))
    for exclude in ([first], {first, UNKNOWN}, (first,)):
        ((_, face_id),) = found(staff, embedding(0), face_match_threshold=0, max_faces=1, exclude=exclude)
        assert face_id == second
    ((_, face_id),) = found(staff, embedding(0), face_match_threshold=0, max_faces=1, exclude=[second, first])
    assert face_id == third


def test_changes_are_seen_at_once(staff: fs.Collection) -> None:
    probe = embedding(7)
    assert found(staff, probe) == []
    face_id = staff.add_embedding("eve", probe)
    assert found(staff, probe) == [(100, face_id)]
    staff.disassociate_faces("eve", [face_id])
    (((_, face),),) = staff.rank_faces([probe])
    assert face.user_id is None
    staff.delete_faces([face_id])
    assert found(staff, probe) == []
    again = staff.add_embedding("eve", probe)
    staff.delete_user("eve")
    assert found(staff, probe) == [(100, again)]


def test_without_probes_there_are_no_answers(staff: fs.Collection) -> None:
    assert staff.rank_faces(np.empty((0, 128))) == ()
    assert staff.rank_faces([]) == ()


def test_a_user_without_faces_looks_like_nobody(staff: fs.Collection) -> None:
    assert staff.rank_like_user("eve", user_match_threshold=0) == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.rank_faces([embedding(0)], face_match_threshold=101), fs.InvalidParameterError, "face_match_thr"),
        (lambda c: c.rank_faces([embedding(0)], max_faces=0), fs.InvalidParameterError, "max_faces: expected"),
        (lambda c: c.rank_faces([embedding(0)], max_faces=4097), fs.InvalidParameterError, r"in \[1, 4096\]"),
        (lambda c: c.rank_faces([embedding(0)], exclude=UNKNOWN), fs.InvalidParameterError, "exclude: expected a coll"),
        (lambda c: c.rank_faces([embedding(0)], exclude=["x"]), fs.InvalidParameterError, "exclude: expected 1 to 36"),
        (lambda c: c.rank_faces(embedding(0)), fs.InvalidEmbeddingError, r"probes: expected shape \(P, 128\)"),
        (lambda c: c.rank_faces([np.ones(3)]), fs.InvalidEmbeddingError, r"probes\[0\]"),
        (
            lambda c: c.rank_faces(
                [embedding(0)], face_model=fs.FaceModel(name="other", version="2.0", digest="f" * 64, dimension=128)
            ),
            fs.FaceModelMismatchError,
            "got other",
        ),
        (lambda c: c.rank_like_user("mallory"), fs.UserNotFoundError, "no user 'mallory'"),
        (lambda c: c.rank_like_user("a b"), fs.InvalidParameterError, "user_id: expected"),
        (lambda c: c.rank_like_user("ada", max_users=501), fs.InvalidParameterError, "max_users: expected"),
        (lambda c: c.rank_like_user("ada", user_match_threshold=-1), fs.InvalidParameterError, "user_match_threshold"),
    ],
)
def test_wrong_arguments_are_named(
    staff: fs.Collection, call: Callable[[fs.Collection], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(staff)


# -------------------------------------------------------------------- what it costs


def index_of_faces(staff: fs.Collection) -> Any:
    store: Any = staff._store
    return store._indexes["faces"]._index if isinstance(store, DatabaseStore) else store._face_index


def test_who_never_searches_faces_has_no_index_of_them(staff: fs.Collection) -> None:
    staff.search_embedding(embedding(0))
    assert not index_of_faces(staff)
    found(staff, embedding(0))
    assert len(index_of_faces(staff)) == 4


def test_of_a_deleted_face_no_vector_is_left_in_memory(staff: fs.Collection) -> None:
    def in_memory() -> bytes:
        # Rows that are or were in use; the others were never written and hold arbitrary data.
        return b"".join(block.matrix[:4].tobytes() for block in index_of_faces(staff)._blocks)

    found(staff, embedding(0))
    (loose,) = [face.face_id for face in staff.faces() if face.user_id is None]
    for face_ids, delete in (
        ([loose], lambda: staff.delete_faces([loose])),
        ([face.face_id for face in staff.faces("ada")], lambda: staff.delete_user("ada", faces=True)),
    ):
        secret = [staff.face_embedding(face_id).tobytes() for face_id in face_ids]
        assert all(vector in in_memory() for vector in secret)
        delete()
        found(staff, embedding(0))  # a file's index learns of it by the next search
        assert not any(vector in in_memory() for vector in secret)


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of vectors read from a file, for each read."""
    counts: list[int] = []
    read = live_index.read_vectors

    def counted(blobs: Any, dimension: int, **row: Any) -> FloatArray:
        counts.append(len(blobs))
        return read(blobs, dimension, **row)

    monkeypatch.setattr(live_index, "read_vectors", counted)
    return counts


def test_a_file_is_read_once_and_then_only_what_is_new(rows_read: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_index, "_ROWS_AT_ONCE", 3)
    with collection_of("in a file") as staff:
        face_ids = [staff.add_embedding("ada", embedding(seed)) for seed in range(7)]
        assert len(found(staff, embedding(0), face_match_threshold=0)) == 7
        assert rows_read == [3, 3, 1]
        rows_read.clear()

        found(staff, embedding(0))
        staff.create_user("bob")
        staff.disassociate_faces("ada", face_ids[:2])
        found(staff, embedding(0))
        assert rows_read == []
        staff.delete_faces(face_ids[:1])
        new = staff.add_embedding("bob", embedding(8))
        assert found(staff, embedding(8)) == [(100, new)]
        staff.delete_faces(face_ids[1:2])
        assert len(found(staff, embedding(8), face_match_threshold=0)) == 6
        assert rows_read == [1]


@pytest.mark.parametrize("compacted", [False, True])
def test_faces_that_another_deletes_are_gone_without_a_look_at_the_others(
    compacted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_FEWEST_EMPTIED", 0 if compacted else 10_000)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "people.db"
        with fs.Collection.open(path, "staff") as one, fs.Collection.open(path, "staff") as other:
            one.add_embeddings([f"user{seed}" for seed in range(30)], [embedding(seed) for seed in range(30)])
            assert len(found(one, embedding(0), face_match_threshold=0)) == 30
            for seed in range(20):
                other.delete_user(f"user{seed}", faces=True)
            other.add_embedding("new", embedding(99))
            assert isinstance(one._store, SqliteStore)
            statements: list[str] = []
            with one._store._sessions.reading() as sql:
                sql.set_trace_callback(statements.append)
            names = [face_id for _, face_id in found(one, embedding(0), face_match_threshold=0)]
            assert names == [face_id for _, face_id in exhaustive(one, embedding(0))]
            listed = [statement for statement in statements if statement.startswith("SELECT fid FROM faces")]
    assert len(listed) == compacted  # compaction removed the list of removed faces with the emptied rows


def test_collections_of_one_file_find_their_own_faces(rows_read: list[int]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "people.db"
        with fs.Collection.open(path, "staff") as staff, fs.Collection.open(path, "guests") as guests:
            one = staff.add_embedding("ada", embedding(1))
            assert found(guests, embedding(1)) == []
            other = guests.add_embedding("ada", embedding(1))
            assert found(staff, embedding(1)) == [(100, one)]
            assert found(guests, embedding(1)) == [(100, other)]
            guests.delete_user("ada", faces=True)
            assert found(staff, embedding(1)) == [(100, one)]
            assert found(guests, embedding(1)) == []
            assert rows_read == [1, 1]
            with fs.Collection.open(path, "more") as more:
                found(more, embedding(1))
                fs.delete_collection(path, "more")
                with pytest.raises(fs.CollectionNotFoundError, match="'more' was deleted while it was open"):
                    found(more, embedding(1))


def test_a_damaged_vector_of_a_face_is_never_searched() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "people.db"
        with fs.Collection.open(path, "staff") as staff:
            staff.add_embeddings(["ada", "bob"], [embedding(1), embedding(2)])
        with closing(sqlite3.connect(path)) as sql:
            sql.execute("UPDATE face_data SET vector = x'00' WHERE fid = 2")
            sql.commit()
        with fs.Collection.open(path, "staff") as staff:
            for _ in range(2):
                with pytest.raises(fs.StorageFormatError, match="faces 2: damaged, expected 512 bytes"):
                    found(staff, embedding(1))


def test_where_a_face_goes_meanwhile_others_move_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with collection_of("in a file") as staff:
        near, far = (staff.add_embedding(user, embedding(1) * size) for user, size in (("ada", 1), ("bob", 1.1)))
        names = SqliteStore._names

        def late(store: SqliteStore, kind: str, fids: Any) -> list[str]:
            if "ada" in staff:
                staff.delete_user("ada", faces=True)
            return names(store, kind, fids)

        monkeypatch.setattr(SqliteStore, "_names", late)
        ((_, face_id),) = found(staff, embedding(1), face_match_threshold=0, max_faces=1)
        assert (face_id, near in {face.face_id for face in staff.faces()}) == (far, False)


# -------------------------------------------------------------------- threads and processes

WRITER = """
import sys
import numpy as np
import facesearch as fs
path, name, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with fs.Collection.open(path, "staff", timeout=60) as staff:
    for number in range(count):
        vector = np.random.default_rng([name, number]).normal(size=128) * 0.12
        face_id = staff.add_embedding(f"user{name}", vector)
        (found,) = staff.rank_faces([vector], face_match_threshold=99)
        assert [face.face_id for _, face in found] == [face_id], found
        if number % 3 == 0:
            staff.disassociate_faces(f"user{name}", [face_id])
            staff.delete_faces([face_id])
"""


def test_two_processes_add_faces_while_a_third_searches_them(tmp_path: Path) -> None:
    path, count = tmp_path / "people.db", 12
    probe = embedding(0)
    with fs.Collection.open(path, "staff", timeout=60) as staff:
        last = staff.add_embedding("first", probe)
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(name), str(count)])  # noqa: S603  # our own code
            for name in (1, 2)
        ]
        while any(writer.poll() is None for writer in writers):
            before = staff.face_count
            ranked = found(staff, probe, face_match_threshold=0)
            assert ranked[0][1] == last
            assert len(ranked) >= before - 2  # each writer may have deleted one since
        assert [writer.wait() for writer in writers] == [0, 0]
        assert len(staff.faces()) == 1 + 2 * (count - count // 3)
        assert {face_id for _, face_id in found(staff, probe, face_match_threshold=0)} == {
            face.face_id for face in staff.faces()
        }


def test_threads_search_faces_and_change_them_at_once(staff: fs.Collection) -> None:
    stop = threading.Event()

    def search() -> int:
        count = 0
        while not stop.is_set():
            ranked = found(staff, embedding(0), face_match_threshold=0)
            assert ranked == sorted(ranked, key=lambda each: (-each[0], each[1]))
            assert len(ranked) >= 4
            count += 1
        return count

    def write(first: int) -> None:
        for seed in range(first, first + 8):
            face_id = staff.add_embedding("eve", embedding(seed))
            assert found(staff, embedding(seed), face_match_threshold=99) == [(100, face_id)]
            if seed % 2:
                staff.disassociate_faces("eve", [face_id])
                staff.delete_faces([face_id])

    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(search) for _ in range(2)]
        writes = [pool.submit(write, first) for first in (100, 200)]
        wait(writes)
        stop.set()
        for each in writes:
            each.result()
        assert all(each.result() > 0 for each in searches)
    assert len(found(staff, embedding(0), face_match_threshold=0)) == 4 + 8
