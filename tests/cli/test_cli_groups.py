"""``facesearch groups``: its table, JSON, CSV and contact sheets."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import facesearch as fs
from facesearch.cli.app import app
from facesearch.cli.shell.exit_status import Exit
from facesearch.display.contact_sheet import placeholder
from facesearch.testing.fakes import fake_analyzer, paint

RED, BLUE = (200, 30, 30), (30, 30, 200)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos of somebody, and two of somebody else."""
    folder = tmp_path / "album"
    folder.mkdir()
    for name, colour, shift in (("a", RED, 0), ("b", RED, 1), ("c", RED, 2), ("d", BLUE, 0), ("e", BLUE, 1)):
        pixels = np.roll(paint((200, 200), {(40, 40, 160, 160): colour}), shift, 0)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def made(path: Path, photos: Path, **options: Any) -> Path:
    with fs.Collection.open(path, "people", analyzer=fake_analyzer(), **options) as album:
        for photo in sorted(photos.iterdir()):
            album.index_faces(photo, source=photo.name)
    return path


@pytest.fixture
def db(tmp_path: Path, photos: Path) -> Path:
    return made(tmp_path / "people.db", photos)


def test_the_table_has_the_largest_group_first_and_the_photo_of_its_representative(db: Path) -> None:
    done = run("groups", "--db", db)

    assert done.exit_code == Exit.DONE, done.output
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["group", "faces", "similarity", "perhaps", "photo"]
    assert first.split()[1] == "3"
    assert first.split()[4] in {"a.png", "b.png", "c.png"}
    assert second.split()[1] == "2"


def test_the_nearest_user_is_named(db: Path, photos: Path) -> None:
    with fs.Collection.open(db, "people", analyzer=fake_analyzer()) as album:
        album.enroll("ada", [np.roll(np.asarray(Image.open(photos / "a.png")), 5, 0)])

    assert "ada, 100.00" in run("groups", "--db", db).stdout


def test_json_has_every_face_and_csv_a_row_for_each(db: Path) -> None:
    found = json.loads(run("groups", "--db", db, "--json").stdout)["groups"]
    rows = [*csv.DictReader(io.StringIO(run("groups", "--db", db, "--csv").stdout))]

    assert [len(group["face_ids"]) for group in found] == [3, 2]
    assert [row["face_id"] for row in rows] == [face_id for group in found for face_id in group["face_ids"]]
    assert {row["source"] for row in rows} == {f"{name}.png" for name in "abcde"}
    assert {row["group_id"] for row in rows} == {group["group_id"] for group in found}
    assert run("groups", "--db", db, "--csv", "--json").exit_code == Exit.USAGE


def test_options_are_those_of_python(db: Path) -> None:
    assert len(json.loads(run("groups", "--db", db, "--json", "--min-faces", "3").stdout)["groups"]) == 1
    assert len(json.loads(run("groups", "--db", db, "--json", "--threshold", "0").stdout)["groups"]) == 1
    nobody = run("groups", "--db", db, "--set-aside")
    assert (nobody.exit_code, nobody.stdout) == (Exit.NOTHING, "no groups\n")


def test_an_empty_collection_has_no_groups(tmp_path: Path) -> None:
    fs.Collection.open(tmp_path / "people.db", "people").close()

    done = run("groups", "--db", tmp_path / "people.db", "--save", tmp_path / "sheets")

    assert (done.exit_code, done.stdout) == (Exit.NOTHING, "no groups\n")
    assert run("groups", "--db", tmp_path / "people.db", "--json").stdout == '{\n  "groups": []\n}\n'


def tiles(path: Path) -> list[Image.Image]:
    sheet = Image.open(path)
    return [sheet.crop((8 + 120 * place, 30, 120 + 120 * place, 142)) for place in range(3)]


@pytest.mark.parametrize("thumbnails", [True, False])
def test_a_sheet_of_each_group_shows_the_faces(tmp_path: Path, photos: Path, thumbnails: bool) -> None:
    db = made(tmp_path / "kept.db", photos, thumbnails=thumbnails)

    done = run("groups", "--db", db, "--save", tmp_path / "sheets", "--photos", photos)

    assert done.exit_code == Exit.DONE, done.output
    largest, smaller = sorted((tmp_path / "sheets").iterdir())
    assert largest.name.startswith("1-")
    assert done.stderr == f"wrote 2 sheets to {tmp_path / 'sheets'}\n"
    for tile in tiles(largest):
        red, _, blue = np.asarray(tile)[50:60, 50:60].reshape(-1, 3).mean(axis=0)
        assert red > blue + 20
    red, _, blue = np.asarray(tiles(smaller)[0])[50:60, 50:60].reshape(-1, 3).mean(axis=0)
    assert blue > red + 20


def test_a_photo_that_is_gone_or_no_photo_has_a_placeholder(db: Path, tmp_path: Path, photos: Path) -> None:
    (photos / "a.png").unlink()
    (photos / "b.png").write_bytes(b"no picture")
    (photos / "c.png").unlink()
    (photos / "c.png").mkdir()

    assert run("groups", "--db", db, "--save", tmp_path / "sheets", "--photos", photos).exit_code == Exit.DONE

    largest, _ = sorted((tmp_path / "sheets").iterdir())
    assert [tile.tobytes() for tile in tiles(largest)] == [placeholder().tobytes()] * 3


def test_sheets_replace_nothing_unless_asked(db: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sheets"
    assert run("groups", "--db", db, "--save", folder).exit_code == Exit.DONE
    before = {path: path.read_bytes() for path in folder.iterdir()}
    again = run("groups", "--db", db, "--save", folder)

    assert again.exit_code == Exit.USAGE
    assert "is there already" in again.stderr
    assert again.stdout == ""
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert run("groups", "--db", db, "--save", folder, "--force").exit_code == Exit.DONE


def test_a_read_only_file_is_enough(db: Path) -> None:
    db.chmod(0o400)
    try:
        assert run("groups", "--db", db).exit_code == Exit.DONE
    finally:
        db.chmod(0o600)


def test_a_folder_of_photos_that_is_not_there_is_refused(db: Path, tmp_path: Path) -> None:
    done = run("groups", "--db", db, "--photos", tmp_path / "nowhere")

    assert done.exit_code == Exit.USAGE
    assert "there is no folder" in done.stderr
