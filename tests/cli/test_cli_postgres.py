"""The command line, the service and boto3's client with a PostgreSQL server in the place of a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import facesearch as fs
from durable import contents
from facesearch.cli.app import app
from facesearch.cli.shell.exit_status import Exit
from facesearch.rekognition import client
from facesearch.storage.catalog import change_tags, collection_tags
from postgres_server import schema_of, server


@pytest.fixture
def url(tmp_path: Path) -> str:
    return server().url(schema_of(tmp_path))


def told(*arguments: str | Path, status: Exit = Exit.DONE) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def test_every_command_for_people_works_on_a_server(url: str, tmp_path: Path) -> None:
    told("create-user", "ada", "--db", url)
    with fs.Collection.open(url, "people") as people:
        face_id, _ = people.add_embeddings(["bob", "eve"], np.eye(2, 128))
    assert [each["UserId"] for each in told("users", "--db", url)["Users"]] == ["ada", "bob", "eve"]
    assert len(told("faces", "--db", url)["Faces"]) == 2
    assert told("collections", "--db", url)["CollectionIds"] == ["people"]
    told("audit", "--db", url)
    told("export", tmp_path / "people.npz", "--db", url)
    assert told("import", tmp_path / "people.npz", "--db", url, "--collection", "again")["faces"] == 2
    told("disassociate-faces", "bob", face_id, "--db", url)
    told("delete-faces", face_id, "--db", url)
    told("delete-user", "eve", "--faces", "--yes", "--db", url)
    assert told("erase-deleted", "--db", url)["erased"]
    told("delete-collection", "people", "--yes", "--db", url)
    findings = told("doctor", "--db", url)["findings"]
    assert any("PostgreSQL 18" in each["text"] and "pgvector" in each["text"] for each in findings)
    assert any("erase-deleted" in (each["advice"] or "") for each in findings)


def test_a_file_is_not_searched_approximately_and_a_server_is(url: str, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(tmp_path / "photo.png")
    for db, status in ((tmp_path / "people.db", Exit.USAGE), (url, Exit.NOTHING)):
        fs.Collection.open(db, "people").close()
        done = CliRunner().invoke(app, ["search", str(tmp_path / "photo.png"), "--approximate", "--db", str(db)])
        assert done.exit_code == status, done.output
        assert ("a file is always searched exactly" in done.stderr) is (db != url)


def test_a_deletion_says_how_to_erase(url: str) -> None:
    told("create-user", "ada", "--db", url)
    done = CliRunner().invoke(app, ["delete-user", "ada", "--yes", "--db", url])
    assert done.exit_code == 0
    assert "`facesearch erase-deleted`" in done.stderr


def test_erasing_says_what_is_out_of_reach(url: str) -> None:
    told("create-user", "ada", "--db", url)
    told("delete-user", "ada", "--yes", "--db", url)
    done = CliRunner().invoke(app, ["erase-deleted", "--db", url])
    assert done.stdout.startswith("all deleted data is erased\nout of reach:\n  backups and exports")


def test_a_server_that_is_down_is_one_line_without_the_password(tmp_path: Path) -> None:
    address = f"postgresql://u:hunter2@/people?host={tmp_path}"
    for command in (["users"], ["collections"], ["erase-deleted"], ["doctor"]):
        done = CliRunner().invoke(app, [*command, "--db", address])
        assert done.exit_code in {Exit.COLLECTION, Exit.NOTHING}
        assert "start the server" in done.output
        assert "hunter2" not in done.output


def test_a_collection_moves_to_a_server_and_back_without_a_difference(url: str, tmp_path: Path) -> None:
    first, last = tmp_path / "first.db", tmp_path / "last.db"
    with fs.Collection.create(first, "people", tags={"site": "Oslo"}, thumbnails=True) as people:
        people.add_embeddings(["zoe", "ada", "ada", "bob"], np.eye(4, 128))
        people.delete_user("bob")
        people.set_aside([face.face_id for face in people.faces() if face.user_id is None])
        expected = contents(people)
    there = told("copy", url, "--db", first)
    back = told("copy", last, "--db", url)
    assert there == back
    assert (there["users"], there["faces"]) == (2, 4)
    assert collection_tags(last, "people") == {"site": "Oslo"}
    with fs.Collection.open(last, "people") as people, fs.Collection.open(url, "people") as there_now:
        assert contents(people) == contents(there_now) == expected
        assert [user.user_id for user in people.page_of_users()[0]] == ["zoe", "ada"]
        with people._store.reading(), there_now._store.reading():
            assert people._store.aside() == there_now._store.aside() != frozenset()
    done = CliRunner().invoke(app, ["copy", url, "--db", str(first)])
    assert done.exit_code == Exit.USAGE
    assert "only an empty collection can be filled" in done.output


def test_boto3_talks_to_a_server(url: str) -> None:
    rekognition = client(url)
    rekognition.create_collection(CollectionId="staff", Tags={"a": "b"})
    rekognition.create_user(CollectionId="staff", UserId="ada")
    other = client(url)
    assert other.list_users(CollectionId="staff")["Users"][0]["UserId"] == "ada"
    change_tags(url, "staff", add={"c": "d"})
    arn = "arn:aws:rekognition:us-east-1:123456789012:collection/staff"
    assert other.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"a": "b", "c": "d"}
    other.delete_collection(CollectionId="staff")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.list_users(CollectionId="staff")
    other.close()
    rekognition.close()
