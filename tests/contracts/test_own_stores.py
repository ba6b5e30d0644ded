"""A store of your own behind a collection, and the contract suite run for it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facesearch as fs
from facesearch.storage.memory import MemoryStore
from facesearch.storage.store import StoredFace

SUITE = Path(__file__).with_name("test_stores.py")


class BrokenStore(MemoryStore):
    """A store that forgets the first of the faces it gets."""

    def put_faces(self, faces: Any) -> None:
        super().put_faces(list(faces)[1:])


def opened(_: Path, collection_id: str, /, **options: Any) -> fs.Collection:
    return fs.Collection(collection_id, store=MemoryStore, **options)


def broken(_: Path, collection_id: str, /, **options: Any) -> fs.Collection:
    return fs.Collection(collection_id, store=BrokenStore, **options)


def test_a_collection_uses_the_store_that_it_is_given() -> None:
    made: list[Any] = []

    class Watched(MemoryStore):
        def __init__(self, dimension: int, offset: Callable[[int], float]) -> None:
            super().__init__(dimension, offset)
            made.append((dimension, offset(1), []))

        def put_faces(self, faces: Any) -> None:
            added: list[StoredFace] = list(faces)
            made[0][2].extend(stored.face.user_id for stored in added)
            super().put_faces(added)

    staff = fs.Collection("staff", store=Watched)
    staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
    assert made == [(128, 0.0, ["ada", "bob"])]
    assert staff.search_embedding(np.eye(2, 128)[1])[0].user.user_id == "bob"


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (7, "store: expected a subclass of facesearch.Store, .* got 7"),
        (lambda *_: object(), "got a object without reading, writing, .*; the docstrings of facesearch.Store describe"),
    ],
)
def test_what_is_no_store_is_refused(store: Any, message: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=message):
        fs.Collection("staff", store=store)


@pytest.mark.parametrize(("name", "passes"), [("opened", True), ("broken", False)])
def test_the_suite_runs_for_a_store_that_the_environment_names(name: str, passes: bool) -> None:
    tests = Path(__file__).parents[1]
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(SUITE),
        "-q",
        "-x",
        "-k",
        "yours and (statuses or repeated)",
        "-p",
        "no:cacheprovider",
    ]
    environment = {
        **os.environ,
        "FACESEARCH_STORE": f"test_own_stores:{name}",
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests / "contracts")]),
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tests.parent, check=False)  # noqa: S603  # our own
    assert (done.returncode == 0) is passes, done.stdout
    assert ("passed" in done.stdout) is passes, done.stdout
