"""Several processes and one file: killed, forked, and writing at once."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facesearch as fs
from durable import MEMORY, contents

ROOT = Path(__file__).parents[2]
ONES = np.ones(128)

WRITER = """
import sys
import numpy as np
import facesearch as fs
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
random = np.random.default_rng(ord(name))
with fs.Collection.open(path, "staff") as staff:
    for number in range(count):
        vector = random.normal(size=128) * 0.05 + 0.1
        staff.add_embeddings(["shared", f"{name}{number}"], np.stack([vector, vector + 1]))
        found = staff.search_embedding(vector + 1, user_match_threshold=0, max_users=1)
        assert found[0].user.user_id == f"{name}{number}", found
        if number % 2:
            staff.delete_user(f"{name}{number}", faces=True)
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603  # our own code


def end(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="trials begin in forked processes")
def test_whoever_is_killed_loses_nothing_and_leaves_nothing_half_done() -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "durability.py"),
        "--trials",
        "30",
        "--people",
        "150",
        "--quiet",
    ]
    folder = ["--folder", str(MEMORY)] if MEMORY else []
    done = subprocess.run([*command, *folder], capture_output=True, text=True, check=False)  # noqa: S603  # our own code

    assert done.returncode == 0, done.stdout + done.stderr
    assert "      60  killed" in done.stdout
    assert "under way: LOST OR HALF DONE" not in done.stdout


def test_no_update_of_several_writers_is_lost_and_readers_see_each(tmp_path: Path) -> None:
    path, count = tmp_path / "people.db", 10
    with fs.Collection.open(path, "staff", timeout=60) as staff:
        processes = [start(WRITER, str(path), name, str(count)) for name in "xyz"]
        seen = 0
        while any(process.poll() is None for process in processes):
            faces = len(staff.faces("shared")) if "shared" in staff else 0
            found = [match.user.user_id for match in staff.search_embedding(ONES, user_match_threshold=0)]
            assert ("shared" in found) >= (seen > 0)
            assert faces >= seen
            seen = faces
        end(*processes)

        model = fs.Collection("staff")
        for name in "xyz":
            random = np.random.default_rng(ord(name))
            for number in range(count):
                vector = random.normal(size=128) * 0.05 + 0.1
                model.add_embedding("shared", vector)
                if number % 2 == 0:
                    model.add_embedding(f"{name}{number}", vector + 1)
        assert contents(staff) == contents(model)


def test_two_processes_make_one_file(tmp_path: Path) -> None:
    code = "import sys, facesearch as fs; fs.Collection.open(sys.argv[1], sys.argv[2]).create_user(sys.argv[2])"
    path = tmp_path / "people.db"
    end(*[start(code, str(path), name) for name in ("a", "b", "a1", "b1")])

    assert [(info.collection_id, info.users) for info in fs.collections(path)] == [
        ("a", 1),
        ("a1", 1),
        ("b", 1),
        ("b1", 1),
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["people.db"]


def in_child(call: Any) -> None:
    """Run a call in a forked process."""
    process = os.fork()
    if process == 0:
        try:
            call()
        except BaseException:  # noqa: BLE001  # whatever it is, the test fails
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # the point of the test
def test_a_collection_may_be_used_on_both_sides_of_a_fork(tmp_path: Path) -> None:
    with fs.Collection.open(tmp_path / "people.db", "staff") as staff:
        staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
        staff.search_embedding(ONES)

        def child() -> None:
            assert staff.search_embedding(np.eye(1, 128)[0])[0].user.user_id == "ada"
            staff.add_embedding("child", ONES)
            staff.delete_user("bob")
            assert staff.search_embedding(ONES)[0].user.user_id == "child"

        for name in ("before", "after"):
            in_child(child if name == "before" else staff.users)
            staff.add_embedding(name, -ONES)
        assert [user.user_id for user in staff.users()] == ["ada", "after", "before", "child"]
        found = staff.search_embedding(ONES, user_match_threshold=0)
        assert {match.user.user_id for match in found} == {"ada", "after", "before", "child"}
    with fs.Collection.open(tmp_path / "people.db", "staff") as again:
        assert len(again) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # the point of the test
def test_a_fork_in_the_midst_of_writing_spoils_nothing(tmp_path: Path) -> None:
    with fs.Collection.open(tmp_path / "people.db", "staff") as staff:
        with staff._store.writing():
            staff._store.create_users(["ada"])
            in_child(lambda: None)
            staff._store.create_users(["bob"])
        assert [user.user_id for user in staff.users()] == ["ada", "bob"]
