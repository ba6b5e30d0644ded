"""The approximate search on a PostgreSQL server, `exact=False`: who builds the index, what it finds, and what is left of it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facesearch as fs
from facesearch.storage import catalog
from postgres_server import schema_of, server

RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(300, 128)).astype(np.float32) / np.float32(np.sqrt(128))
USERS = [f"user{number:03}" for number in range(300)]


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return schema_of(tmp_path)


@pytest.fixture
def staff(schema: str) -> Iterator[fs.Collection]:
    """A collection of 300 users, every third with two faces, that is searched exactly."""
    with fs.Collection.open(server().url(schema), "staff", timeout=5) as staff:
        again = RNG.normal(size=(100, 128)).astype(np.float32) * np.float32(0.02)
        staff.add_embeddings([*USERS, *USERS[::3]], np.concatenate([VECTORS, VECTORS[::3] + again]))
        yield staff


def approximate(schema: str, collection_id: str = "staff", **options: Any) -> fs.Collection:
    return fs.Collection.open(server().url(schema), collection_id, exact=False, **{"timeout": 5, **options})


def indexes(schema: str) -> dict[str, int]:
    """The indexes of the schema, and how many searches each has answered by connections that are closed."""
    query = f"SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE schemaname = '{schema}' AND indexrelname LIKE '%hnsw%'"  # noqa: S608  # our own names
    return dict(server().run(query))


def test_the_index_answers_with_exact_distances_and_sees_every_change(staff: fs.Collection, schema: str) -> None:
    with fs.Collection.open(server().url(schema), "guests") as guests:
        guests.add_embeddings(USERS, VECTORS)  # none of them is found among the staff
    with approximate(schema) as quick:
        probes = VECTORS[:40] + RNG.normal(size=(40, 128)) * 0.03
        options: dict[str, Any] = {"user_match_threshold": 0, "max_users": 5}
        expected, found = staff.rank_many(probes, **options), quick.rank_many(probes, **options)
        exact = {match for ranked in expected for match in ranked[0]}
        assert sum(match in exact for ranked in found for match in ranked[0]) >= 0.95 * 40 * 5
        assert [ranked[0][0] for ranked in found[:30]] == [ranked[0][0] for ranked in expected[:30]]
        faces = quick.rank_faces(probes, face_match_threshold=0, max_faces=3)
        assert [ranked[0][0] for ranked in faces] == [
            ranked[0][0] for ranked in staff.rank_faces(probes, face_match_threshold=0, max_faces=3)
        ]
        quick.add_embedding("new", np.eye(128)[5])
        assert quick.search_embedding(np.eye(128)[5], max_users=1)[0].user.user_id == "new"
        staff.delete_user("new", faces=True)
        assert "new" not in [match.user.user_id for match in quick.search_embedding(np.eye(128)[5])]
    staff.close()
    assert set(indexes(schema)) == {"users_hnsw_1", "faces_hnsw_1"}
    for _ in range(100):  # the server's processes end a little later
        if all(indexes(schema).values()):
            return
        time.sleep(0.1)
    raise AssertionError(indexes(schema))


def test_no_index_is_built_unless_asked(staff: fs.Collection, schema: str) -> None:
    staff.search_embedding(VECTORS[0])
    assert indexes(schema) == {}


def test_an_empty_collection_can_be_searched(schema: str) -> None:
    with approximate(schema) as empty:
        assert empty.search_embedding(VECTORS[0]) == ()
        assert not any(empty.rank_faces(VECTORS[:2]))
        empty.create_user("ada")
        assert empty.search_embedding(VECTORS[0]) == ()


def test_files_have_no_approximate_search(tmp_path: Path, schema: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"exact: expected True, as a file is always searched exactly"):
        fs.Collection.open(tmp_path / "people.db", "staff", exact=False)
    assert list(tmp_path.iterdir()) == []
    for where in (tmp_path / "people.db", server().url(schema)):
        with pytest.raises(fs.InvalidParameterError, match="exact: expected True or False, got 'no'"):
            fs.Collection.open(where, "staff", exact="no")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.usefixtures("staff")
def test_who_may_not_build_the_index_is_told_who_may(schema: str) -> None:
    server().run("DROP ROLE IF EXISTS searcher", "CREATE ROLE searcher LOGIN")
    server().run(
        f"GRANT USAGE ON SCHEMA {schema} TO searcher", f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO searcher"
    )
    url = server().url(schema, user="searcher")
    try:
        for read_only in (True, False):
            with pytest.raises(
                fs.StorageReadOnlyError, match="open the collection once with exact=False on the primary"
            ):
                fs.Collection.open(url, "staff", exact=False, read_only=read_only)
        approximate(schema).close()
        with fs.Collection.open(url, "staff", exact=False, read_only=True) as quick:
            assert quick.search_embedding(VECTORS[7], max_users=1)[0].user.user_id == USERS[7]
    finally:
        server().run("DROP OWNED BY searcher", "DROP ROLE searcher")


@pytest.mark.usefixtures("staff")
def test_an_interrupted_build_is_repeated_and_one_under_way_is_waited_for(schema: str) -> None:
    approximate(schema).close()
    name = f"{schema}.users_hnsw_1"
    server().run(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")  # noqa: S608  # our own names
    with server().connect() as other:
        other.execute(
            "SELECT pg_advisory_lock(hashtext('facesearch hnsw'), hashtext(%s))", (f'"{schema}".users_hnsw_1',)
        )
        with pytest.raises(fs.StorageBusyError, match="another process builds the approximate index"):
            approximate(schema, timeout=0.3)
    with approximate(schema) as quick:
        assert quick.search_embedding(VECTORS[7], max_users=1)[0].user.user_id == USERS[7]
    assert server().run(f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{name}'::regclass") == [(True,)]  # noqa: S608  # our own names


def test_deleted_people_and_collections_leave_nothing_in_the_index(schema: str) -> None:
    url, vectors = server().url(schema), np.random.default_rng(11).normal(size=(40, 128)).astype(np.float32)
    with approximate(schema) as quick:
        quick.add_embeddings(USERS[:40], vectors)
        quick.rank_faces(vectors[:1])
        server().run(f"SET search_path TO {schema}, public", "ANALYZE", "CHECKPOINT")
        quick.delete_user(USERS[0], faces=True)
        assert quick.erase_deleted(5)
        assert catalog.is_erased(url)
        pieces = [vectors[0].tobytes()[:32]]
        files = [path for path in server().folder.rglob("*") if path.is_file()]
        assert not [path for path in files if any(piece in path.read_bytes() for piece in pieces)]
        assert [path for path in files if vectors[1].tobytes()[:32] in path.read_bytes()]
        assert quick.search_embedding(vectors[1], max_users=1)[0].user.user_id == USERS[1]
    fs.delete_collection(url, "staff")
    assert indexes(schema) == {}
