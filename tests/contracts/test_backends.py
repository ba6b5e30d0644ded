"""What every back end of the service must do: it holds an account's collections, in memory, in a file and on a server. One suite for all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.errors import CollectionExistsError
from facesearch.rekognition.backends import Backend, FileBackend, MemoryBackend
from facesearch.storage.catalog import MAX_TAGS
from postgres_server import schema_of, server

CASES: dict[str, Callable[[Path, FaceAnalyzer], Backend]] = {
    "in memory": lambda _, analyzer: MemoryBackend(analyzer),
    "in a file": lambda folder, analyzer: FileBackend(folder / "people.db", analyzer),
    "on a server": lambda folder, analyzer: FileBackend(server().url(schema_of(folder)), analyzer),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def backend(request: pytest.FixtureRequest, tmp_path: Path, fake: FaceAnalyzer) -> Iterator[Backend]:
    """An account without collections."""
    backend: Backend = request.param(tmp_path, fake)
    yield backend
    backend.close()


def ids(backend: Backend) -> list[str]:
    return [info.collection_id for info in backend.infos()]


def test_a_new_account_has_no_collections(backend: Backend) -> None:
    assert backend.infos() == ()


def test_a_collection_that_was_created_is_found_and_empty(backend: Backend, fake: FaceAnalyzer) -> None:
    created = backend.create("staff", {})
    found = backend.get("staff")

    assert created.collection_id == found.collection_id == "staff"
    assert created.face_model == found.face_model == fake.face_model
    assert (len(found), found.face_count) == (0, 0)


def test_an_id_is_used_once_and_the_collection_that_has_it_stays_as_it_is(backend: Backend) -> None:
    backend.create("staff", {"team": "night"}).create_user("ada")

    with pytest.raises(CollectionExistsError, match="'staff'"):
        backend.create("staff", {"team": "day"})
    assert ids(backend) == ["staff"]
    assert backend.tags("staff") == {"team": "night"}
    assert "ada" in backend.get("staff")


def test_of_many_who_create_one_collection_at_once_one_does(backend: Backend) -> None:
    def create(number: int) -> str:
        try:
            backend.create("staff", {"by": str(number)})
        except CollectionExistsError:
            return ""
        return str(number)

    with ThreadPoolExecutor(6) as threads:
        created = [number for number in threads.map(create, range(6)) if number]
    assert backend.tags("staff") == {"by": created[0]}
    assert len(created) == 1


def test_what_one_handle_writes_all_others_read(backend: Backend) -> None:
    created = backend.create("staff", {})
    created.create_user("ada")
    backend.get("staff").add_embedding("bob", np.ones(128))

    assert [user.user_id for user in created.users()] == ["ada", "bob"]
    assert [user.user_id for user in backend.get("staff").users()] == ["ada", "bob"]


def test_collections_know_nothing_of_each_other(backend: Backend) -> None:
    backend.create("staff", {"a": "1"}).create_user("ada")
    backend.create("guests", {"a": "2"})

    assert "ada" not in backend.get("guests")
    backend.get("guests").create_user("ada")
    backend.get("staff").delete_user("ada")
    assert "ada" in backend.get("guests")
    assert (backend.tags("staff"), backend.tags("guests")) == ({"a": "1"}, {"a": "2"})


def test_summaries_are_sorted_by_id_and_count_users_and_faces(backend: Backend, fake: FaceAnalyzer) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    for collection_id in ("b", "a", "B"):
        backend.create(collection_id, {})
    backend.get("a").add_embeddings(["ada", "ada", "bob"], np.eye(3, 128))
    backend.get("a").create_user("eve")

    assert ids(backend) == ["B", "a", "b"]
    assert [(info.users, info.faces) for info in backend.infos()] == [(0, 0), (3, 3), (0, 0)]
    for info in backend.infos():
        assert backend.info(info.collection_id) == info
        assert info.face_model == fake.face_model
        assert before <= info.created <= datetime.now(UTC)


def test_a_deleted_collection_is_gone_and_its_id_is_free(backend: Backend) -> None:
    backend.create("staff", {"a": "1"}).create_user("ada")
    backend.create("guests", {})
    backend.delete("staff")

    assert ids(backend) == ["guests"]
    backend.create("staff", {})
    assert len(backend.get("staff")) == 0
    assert backend.tags("staff") == {}


@pytest.mark.parametrize("others", [0, 1])
def test_what_does_not_exist_is_an_error_of_its_own(backend: Backend, others: int) -> None:
    for number in range(others):
        backend.create(f"other{number}", {})
    calls: list[Callable[[], object]] = [
        lambda: backend.get("staff"),
        lambda: backend.info("staff"),
        lambda: backend.delete("staff"),
        lambda: backend.tags("staff"),
        lambda: backend.change_tags("staff", add={"a": "1"}, remove=[]),
    ]

    for call in calls:
        with pytest.raises(fs.CollectionNotFoundError):
            call()
    assert len(backend.infos()) == others


def test_a_collection_that_is_forgotten_is_found_again_with_all_its_users(backend: Backend) -> None:
    created = backend.create("staff", {})
    created.create_user("ada")
    backend.forget(created)

    assert "ada" in backend.get("staff")
    backend.forget(created)  # not the one that is open now
    assert "ada" in backend.get("staff")


def test_tags_are_replaced_added_and_then_removed(backend: Backend) -> None:
    backend.create("staff", {"a": "1", "b": "2"})
    backend.change_tags("staff", add={"b": "3", "c": ""}, remove=["a", "c", "none"])

    assert backend.tags("staff") == {"b": "3"}


def test_tags_that_were_returned_are_the_callers_own(backend: Backend) -> None:
    given = {"a": "1"}
    backend.create("staff", given)
    given["b"] = "2"
    backend.tags("staff")["c"] = "3"

    assert backend.tags("staff") == {"a": "1"}


def test_more_tags_than_the_limit_change_nothing(backend: Backend) -> None:
    most = {f"key{number}": "" for number in range(MAX_TAGS)}
    backend.create("staff", most)

    with pytest.raises(fs.QuotaExceededError, match=f"would have {MAX_TAGS + 1} tags, at most {MAX_TAGS}"):
        backend.change_tags("staff", add={"key0": "new", "one more": ""}, remove=[])
    assert backend.tags("staff") == most
    backend.change_tags("staff", add={"one more": ""}, remove=["key0"])
    assert len(backend.tags("staff")) == MAX_TAGS
