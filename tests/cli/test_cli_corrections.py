"""Name, merge, rename, move, set aside, undo, and photos of a person, on the command line."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import facesearch as fs
from facesearch.cli.app import app
from facesearch.cli.commands.corrections import CHANGE_COLUMNS, PHOTO_COLUMNS
from facesearch.cli.shell.exit_status import Exit
from facesearch.testing.fakes import fake_analyzer, paint


def run(*words: object, status: Exit = Exit.DONE) -> Result:
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == status, done.output
    return done


def told(*words: object) -> Any:
    return json.loads(run(*words, "--json").stdout)


def rows(*words: object) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(run(*words, "--csv").stdout))]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Two users, and two groups of strangers of three faces and two."""
    path = tmp_path / "people.db"
    with fs.Collection.open(path, "people") as people:
        people.add_embeddings(["ada", "ada", "eda", *["x"] * 5], np.eye(8, 128)[[0, 0, 1, 2, 2, 2, 3, 3]])
        people.delete_user("x")
    return path


def groups(db: Path, *, set_aside: bool = False) -> tuple[fs.FaceGroup, ...]:
    with fs.Collection.open(db, "people", create=False) as people:
        return people.groups(set_aside=set_aside)


def owners(db: Path) -> dict[str, str | None]:
    with fs.Collection.open(db, "people", create=False) as people:
        return {face.face_id: face.user_id for face in people.faces()}


def test_a_group_is_named_by_the_beginning_of_its_id(db: Path) -> None:
    first, second = groups(db)
    before = owners(db)
    assert run("name", first.group_id[:8], "grace", "--db", db).stdout == "3 faces named grace\n"
    assert {owners(db)[face_id] for face_id in first.face_ids} == {"grace"}
    change = told("name", second.group_id, "bob", "--db", db)
    assert (change["kind"], change["user_id"], change["created_users"]) == ("NAME_GROUP", "bob", ["bob"])
    assert run("undo", "--db", db).stdout == "undone: 2 faces named bob\n"
    assert [row["user_id_before"] for row in rows("undo", "--db", db)] == [""] * 3
    assert owners(db) == before
    nothing = run("undo", "--db", db, status=Exit.NOTHING)
    assert "has no change to undo" in nothing.stderr
    assert nothing.stdout == ""


def test_a_group_that_is_not_there_is_refused(db: Path) -> None:
    first, second = groups(db)
    run("name", first.group_id, "grace", "--db", db)
    assert "no group begins with" in run("name", first.group_id, "eve", "--db", db, status=Exit.COLLECTION).stderr
    assert "no group begins with" in run("set-aside", "zz", "--db", db, status=Exit.COLLECTION).stderr
    run("name", "", "eve", "--db", db, status=Exit.USAGE)
    assert "Ada_L" in run("name", second.group_id, "Ada L", "--db", db, status=Exit.USAGE).stderr
    assert "grace" in owners(db).values()


def test_a_beginning_of_several_ids_is_refused(db: Path) -> None:
    with fs.Collection.open(db, "people") as people:
        people.add_embeddings(["x"] * 34, np.eye(40, 128)[6:])
        people.delete_user("x")
        ids = [group.group_id for group in people.groups(min_faces=1)]
    twice = next(digit for digit in "0123456789abcdef" if sum(each.startswith(digit) for each in ids) > 1)
    assert "groups begin with" in run("name", twice, "eve", "--db", db, status=Exit.USAGE).stderr
    run("name", next(each for each in ids if each[0] == twice), "eve", "--db", db)


def test_strangers_are_set_aside_and_listed_again(db: Path) -> None:
    first, second = groups(db)
    assert run("set-aside", first.group_id, "--db", db).stdout == "3 faces set aside\n"
    assert groups(db) == (second,)
    assert [group.group_id for group in groups(db, set_aside=True)] == [first.group_id]
    assert run("set-aside", first.group_id[:8], "--back", "--db", db).stdout == "3 faces no longer set aside\n"
    assert groups(db) == (first, second)
    run("undo", "--db", db)
    run("name", first.group_id, "grace", "--db", db)  # which was set aside
    assert groups(db, set_aside=True) == ()


def test_users_are_merged_and_renamed_and_faces_moved(db: Path) -> None:
    before = owners(db)
    (eda,) = [face_id for face_id, user_id in before.items() if user_id == "eda"]
    assert run("merge", "ada", "eda", "--db", db).stdout == "eda merged into ada, 1 face changed\n"
    assert run("rename", "ada", "ada.l", "--db", db).stdout == "ada renamed to ada.l, 3 faces\n"
    assert run("move", eda, "--no-user", "--db", db).stdout == "1 face moved from ada.l to no user\n"
    assert told("move", eda, "ada.l", "--db", db)["user_id"] == "ada.l"
    for _ in range(4):
        run("undo", "--db", db)
    assert owners(db) == before
    run("merge", "ada", "eve", "--db", db, status=Exit.COLLECTION)
    run("merge", "ada", "ada", "--db", db, status=Exit.USAGE)
    run("rename", "ada", "eda", "--db", db, status=Exit.COLLECTION)
    run("move", eda, "--db", db, status=Exit.USAGE)
    run("move", eda, "ada", "--no-user", "--db", db, status=Exit.USAGE)
    run("merge", "ada", "eda", "--db", db, "--csv", "--json", status=Exit.USAGE)
    run("merge", "ada", "eda", "--db", db.with_name("other.db"), status=Exit.COLLECTION)
    assert owners(db) == before
    assert not db.with_name("other.db").exists()


def test_photos_of_a_person_are_listed(db: Path) -> None:
    with fs.Collection.open(db, "painted", analyzer=fake_analyzer()) as people:
        photo = paint((200, 200), {(40, 40, 160, 160): (200, 30, 30)})
        people.enroll("ada", [photo], sources=["=party/7.jpg"])
        people.create_user("bob")
    where = ["--db", db, "--collection", "painted"]
    shown = run("photos-of", "ada", *where).stdout.splitlines()
    assert shown[0].split() == ["photo", "left", "top", "width", "height", "face"]
    assert shown[1].split()[:2] == ["=party/7.jpg", "0.24"]
    (row,) = rows("photos-of", "ada", *where)
    assert tuple(row) == PHOTO_COLUMNS
    assert row["source"] == "./=party/7.jpg"  # no formula of a spreadsheet
    (found,) = told("photos-of", "ada", *where)["photos"]
    assert found["source"] == "=party/7.jpg"
    assert found["face_id"] == row["face_id"]
    assert run("photos-of", "bob", *where, status=Exit.NOTHING).stdout == "no photos\n"
    run("photos-of", "eve", *where, status=Exit.COLLECTION)
    run("photos-of", *where, status=Exit.USAGE)
    first, _ = groups(db)
    assert len(rows("photos-of", "--group", first.group_id, "--db", db)) == 3
    run("photos-of", "ada", "--group", first.group_id, "--db", db, status=Exit.USAGE)


def test_columns_are_those_of_records(db: Path) -> None:
    with fs.Collection.open(db, "people") as people:
        assert set(fs.to_records(people.photos_of("ada"))[0]) == set(PHOTO_COLUMNS)
        change = people.rename_user("ada", "grace")
    assert tuple(fs.to_records(change)[0]) == CHANGE_COLUMNS


def test_a_file_that_can_not_be_written_is_not_changed(db: Path) -> None:
    with fs.Collection.open(db, "people", read_only=True) as people, pytest.raises(fs.StorageReadOnlyError):
        people.merge_users("ada", "eda")
