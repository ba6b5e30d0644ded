"""`facesearch search` and `detect` for many photos and folders: one result each, in order, independent of the others."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, strategies as st
from PIL import Image, ImageOps

import facesearch as fs
from facesearch.cli.app import app
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Command
from facesearch.cli.shell.many_photos import SaveFolder, _folded, _names, spreadsheet_cell, status_of
from facesearch.enrolment.folder_plan import photos_in
from samples import astronaut, hopper


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of two people, and an album of other photos."""
    folder = tmp_path_factory.mktemp("many")
    woman = Image.fromarray(astronaut()).crop((96, 0, 352, 256))
    admiral = Image.fromarray(hopper()).resize((256, 300))
    for who, photo in (("eileen", woman), ("grace", admiral)):
        (folder / "people" / who).mkdir(parents=True)
        ImageOps.mirror(photo).save(folder / "people" / who / "1.jpg")
    album = folder / "album"
    (album / "deep").mkdir(parents=True)
    woman.save(album / "b.jpg")
    admiral.save(album / "deep" / "b.png")
    Image.new("RGB", (100, 100)).save(album / "wall.png")
    group = Image.new("RGB", (512, 300))
    group.paste(woman, (0, 0))
    group.paste(admiral, (256, 0))
    group.save(album / "a group.png")
    (album / "notes.txt").write_text("no photo, and nobody says it is")
    (album / ".hidden.jpg").write_text("hidden")
    (folder / "broken.jpg").write_text("no photo")
    done = run(folder, "index", "people")
    assert done.exit_code == 0, done.output
    return folder


ALBUM = ["album/a group.png", "album/b.jpg", "album/deep/b.png", "album/wall.png"]


def run(place: Path, *arguments: str, stdin: bytes | None = None) -> Result:
    before = Path.cwd()
    os.chdir(place)
    try:
        return CliRunner().invoke(app, arguments, input=stdin, env={"FACESEARCH_DB": "people.db"})
    finally:
        os.chdir(before)


def json_lines(done: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_photo_of_a_folder_is_a_row_in_the_order_of_paths(place: Path) -> None:
    done = run(place, "search", "album")

    assert done.exit_code == Exit.DONE
    assert done.stderr == ""
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["photo", "similarity", "user"]
    assert [row[: row.index(".") + 4] for row in rows] == ALBUM
    assert [row.split()[-1] for row in rows] == ["eileen", "eileen", "grace", "face)"]
    assert rows[-1].endswith("-  (no face)")
    assert {row.find(" -  (") for row in rows[-1:]} <= {head.index("user") - 4}  # columns are aligned


def test_the_answers_of_json_lines_are_those_of_one_photo_each(place: Path) -> None:
    done = run(place, "search", "album", "people/grace/1.jpg", "--json")
    lines = json_lines(done)

    assert [line["photo"] for line in lines] == [*ALBUM, "people/grace/1.jpg"]
    for line in lines:
        alone = run(place, "search", line["photo"], "--json")
        assert line == {"photo": line["photo"], "answer": json.loads(alone.stdout)}
        assert fs.to_aws(fs.from_aws(line["answer"], fs.SearchUsersByImageResponse)) == line["answer"]
    every = json_lines(run(place, "search", "album", "--json", "--all-faces"))
    assert [len(line["answers"]) for line in every] == [2, 1, 1, 0]


def test_csv_is_what_a_csv_reader_reads(place: Path) -> None:
    done = run(place, "search", "album", "broken.jpg", "--csv", "--all-faces", "--threshold", "50")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))

    assert list(rows[0]) == ["photo", "face", "similarity", "user_id", "status"]
    assert [(row["photo"], row["face"], row["user_id"], row["status"]) for row in rows] == [
        ("album/a group.png", "1", "eileen", "found"),
        ("album/a group.png", "2", "grace", "found"),
        ("album/b.jpg", "1", "eileen", "found"),
        ("album/deep/b.png", "1", "grace", "found"),
        ("album/wall.png", "", "", "no_face"),
        ("broken.jpg", "", "", "error"),
    ]
    assert all(50 <= float(row["similarity"]) <= 100 for row in rows if row["status"] == "found")
    nobody = run(place, "search", "album/b.jpg", "--csv", "--threshold", "100")
    assert nobody.stdout.splitlines()[1:] == ["album/b.jpg,1,,,nobody"]


def test_a_photo_that_can_not_be_used_costs_a_line_and_wins_the_exit_status(place: Path) -> None:
    done = run(place, "search", "album/b.jpg", "broken.jpg", "none.jpg", "album/wall.png", "--json")

    assert done.exit_code == Exit.PHOTO
    assert [set(line) for line in json_lines(done)] == [
        {"photo", "answer"},
        {"photo", "error"},
        {"photo", "error"},
        {"photo", "answer"},
    ]
    assert [line.split("'")[1] for line in done.stderr.splitlines()] == ["broken.jpg", "none.jpg"]
    assert all(line.startswith("Error: image ") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("photos", "status"),
    [
        (["album/wall.png", "album/b.jpg"], Exit.DONE),
        (["album/wall.png", "album/wall.png"], Exit.NOTHING),
        (["broken.jpg", "none.jpg"], Exit.PHOTO),
        (["-", "-"], Exit.USAGE),
        (["album/b.jpg", "empty"], Exit.USAGE),
        (["album", "--json", "--csv"], Exit.USAGE),
        (["album", "--db", "none.db"], Exit.COLLECTION),
    ],
)
def test_the_exit_status_of_many(place: Path, photos: Sequence[str], status: Exit) -> None:
    (place / "empty").mkdir(exist_ok=True)

    assert run(place, "search", *photos).exit_code == status


@given(st.lists(st.sampled_from([Exit.DONE, Exit.NOTHING, Exit.PHOTO]), max_size=6))
def test_the_exit_status_does_not_depend_on_the_order(results: list[Exit]) -> None:
    assert status_of(results) is status_of(results[::-1])
    if Exit.PHOTO in results:
        assert status_of(results) is Exit.PHOTO
    else:
        assert status_of(results) is (Exit.DONE if Exit.DONE in results else Exit.NOTHING)


def test_standard_input_may_be_one_of_many(place: Path) -> None:
    done = run(place, "search", "-", "album/wall.png", "--json", stdin=(place / "album" / "b.jpg").read_bytes())

    assert [line["photo"] for line in json_lines(done)] == ["-", "album/wall.png"]
    assert json_lines(done)[0]["answer"] == json.loads(run(place, "search", "album/b.jpg", "--json").stdout)


def test_explanations_and_looks_stand_under_their_photo(place: Path) -> None:
    shown = run(place, "search", "album", "--why", "--attributes", "SMILE").stdout
    group = shown.index("album/a group.png\n")
    assert group < shown.index("FACE_NOT_LARGEST") < shown.index("\nalbum/b.jpg\n")
    assert "  yes: smile" in shown
    aside = run(place, "search", "album", "--why", "--json")
    assert len(json_lines(aside)) == len(ALBUM)
    assert "FACE_NOT_LARGEST" in aside.stderr


def test_workers_change_nothing(place: Path) -> None:
    assert (
        run(place, "search", "album", "--workers", "1").stdout == run(place, "search", "album", "--workers", "5").stdout
    )


def test_faces_of_many_photos_are_detected_likewise(place: Path, tmp_path: Path) -> None:
    done = run(place, "detect", "album", "broken.jpg")
    assert done.exit_code == Exit.PHOTO
    rows = done.stdout.splitlines()
    assert rows[0].split()[:4] == ["photo", "face", "box", "in"]
    assert [row[: row.index(".") + 4] for row in rows[1:]] == ["album/a group.png", *ALBUM]
    assert rows[-1].endswith("-  (no face)")
    lines = json_lines(run(place, "detect", "album", "--json", "--attributes", "SMILE"))
    for line in lines:
        alone = run(place, "detect", line["photo"], "--json", "--attributes", "SMILE")
        assert line == {"photo": line["photo"], "answer": json.loads(alone.stdout)}
    table = list(csv.DictReader(io.StringIO(run(place, "detect", "album", "broken.jpg", "--csv").stdout)))
    assert [row["status"] for row in table] == ["found", "found", "found", "found", "no_face", "error"]
    assert all(0 < float(row["width"]) < 1 for row in table[:4])
    saved = run(place, "detect", "album", "--save", str(tmp_path / "marked"))
    assert sorted(path.name for path in (tmp_path / "marked").iterdir()) == [
        "a group.png",
        "b.jpg",
        "deep_b.png",
        "wall.png",
    ]
    assert saved.exit_code == Exit.DONE


# ---------------------------------------------------------------- saved photos


def test_each_photo_is_saved_under_a_name_of_its_own(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "marked"
    arguments = ("search", "album", "album/b.jpg", "broken.jpg", "--all-faces", "--save", str(folder))
    done = run(place, *arguments)

    assert sorted(path.name for path in folder.iterdir()) == [
        "a group.png",
        "b-2.jpg",
        "b.jpg",
        "deep_b.png",
        "wall.png",
    ]
    assert [line for line in done.stderr.splitlines() if line.startswith("wrote")] == [
        f"wrote {folder / name}" for name in ("a group.png", "b.jpg", "deep_b.png", "wall.png", "b-2.jpg")
    ]
    with Image.open(folder / "deep_b.png") as marked, Image.open(place / "album" / "deep" / "b.png") as photo:
        assert (marked.format, marked.size) == ("PNG", photo.size)
        assert marked.convert("RGB").tobytes() != photo.convert("RGB").tobytes()

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = run(place, *arguments)
    assert again.exit_code == Exit.USAGE
    assert again.stdout == ""
    assert "is there already, and 4 other files too; nothing is overwritten" in again.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_photos_are_never_saved_over_photos(place: Path) -> None:
    album = {path: path.read_bytes() for path in (place / "album").rglob("*") if path.is_file()}

    assert run(place, "search", "album", "--save", "album").exit_code == Exit.USAGE
    assert run(place, "search", "album", "--save", "album/b.jpg").exit_code == Exit.USAGE
    assert run(place, "search", "album", "--save", "nowhere/album").exit_code == Exit.USAGE
    assert {path: path.read_bytes() for path in (place / "album").rglob("*") if path.is_file()} == album


def test_a_file_that_comes_meanwhile_stays(tmp_path: Path) -> None:
    folder = SaveFolder(tmp_path / "marked", ["x.jpg"], ["x.jpg"])
    (tmp_path / "marked" / "x.jpg").write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        folder.write(0, b"ours")

    assert (tmp_path / "marked" / "x.jpg").read_bytes() == b"theirs"


def test_a_link_that_leads_nowhere_is_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(click.BadParameter, match="is there already"):
        SaveFolder(tmp_path, ["x.jpg"], ["x.jpg"])


PART = st.text(st.characters(exclude_characters="/\\\0", codec="utf-8"), min_size=1, max_size=90).filter(
    lambda part: part not in {".", ".."}
)


@given(st.lists(st.lists(PART, min_size=1, max_size=3).map("/".join), max_size=8))
def test_names_of_saved_photos_never_collide(photos: list[str]) -> None:
    photos = [*photos, "A.jpg", "a.jpg", "a-2.jpg", "é.jpg", unicodedata.normalize("NFD", "é.jpg"), "a.webp"]
    names = _names(photos, [])

    assert len({_folded(name) for name in names}) == len(photos)
    assert all("/" not in name and len(os.fsencode(name)) < 255 for name in names)
    assert names == _names(photos, [])


# ---------------------------------------------------------------- what is printed


@pytest.mark.parametrize("path", ["=1+1.jpg", "+cmd.jpg", "-1.jpg", "@SUM(A1).jpg", "\tx.jpg", "\r=x.jpg"])
def test_no_path_is_a_formula_in_a_spreadsheet(path: str) -> None:
    assert spreadsheet_cell(path)[0] in "./\\"


@pytest.mark.parametrize("path", ["a b.jpg", "é/李.jpg", "-", 'say "a,b".jpg', "x=1.jpg"])
def test_other_paths_stay_as_they_are(path: str) -> None:
    assert spreadsheet_cell(path) == path


def test_a_path_that_could_be_a_formula_is_still_the_path_of_its_photo(place: Path, tmp_path: Path) -> None:
    (tmp_path / "=1+1,x.jpg").write_bytes((place / "album" / "b.jpg").read_bytes())
    (tmp_path / "people.db").write_bytes((place / "people.db").read_bytes())
    done = run(tmp_path, "search", "=1+1,x.jpg", "--csv")
    (row,) = csv.DictReader(io.StringIO(done.stdout))

    assert (tmp_path / row["photo"]).samefile(tmp_path / "=1+1,x.jpg")
    assert row["user_id"] == "eileen"


def test_what_was_found_is_printed_before_the_next_photo_is_done(place: Path) -> None:
    """The reader stops after the first line: the process ends early, without a message."""
    many = [f"{place}/album/b.jpg"] * 200
    process = subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "facesearch", "search", *many, "--db", f"{place}/people.db", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b'{"photo"')
    process.stdout.close()
    _, said = process.communicate(timeout=300)

    assert (process.returncode, said) == (141, b"")


def test_ctrl_c_keeps_what_was_printed_and_says_how_far_it_came(place: Path) -> None:
    many = [f"{place}/album/b.jpg"] * 300
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # ignored in a shell's background
        "from facesearch.cli import main; main()"
    )
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-c", code, "search", *many, "--db", f"{place}/people.db", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = process.stdout.read(), process.stderr.read()  # communicate() would lose what readline read ahead
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    told = re.fullmatch(r"\nInterrupted: (\d+) of 300 photos done\.\n", said)

    assert process.returncode == 130
    assert told, said
    assert len(lines) - 1 <= int(told[1]) <= len(lines) < 300  # the signal may arrive between a line and its count


def test_photos_in_a_folder_are_those_that_are_photos_by_their_names(place: Path) -> None:
    (place / "album" / "deep" / "round").symlink_to(place / "album")
    try:
        assert [str(path.relative_to(place)) for path in photos_in(place / "album")] == ALBUM
    finally:
        (place / "album" / "deep" / "round").unlink()
    assert photos_in(place / "people.db") == (place / "people.db",)


# ---------------------------------------------------------------- FACESEARCH_DB


@pytest.mark.parametrize(
    "verb",
    [each for each in app.commands.values() if isinstance(each, Command) and any(p.name == "db" for p in each.params)],
    ids=lambda verb: verb.name,
)
def test_every_command_takes_its_file_from_the_environment_and_says_so(verb: Command) -> None:
    (option,) = [each for each in verb.params if each.name == "db"]
    words = ["x" for each in verb.params if isinstance(each, click.Argument) and each.required and each is not option]
    other = ["other.db"] if isinstance(option, click.Argument) else ["--db", "other.db"]

    assert option.envvar == "FACESEARCH_DB"
    assert "FACESEARCH_DB" in CliRunner().invoke(app, [str(verb.name), "--help"]).stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_DB", "some.db")
        assert verb.make_context(str(verb.name), list(words)).params["db"] == Path("some.db")
        assert verb.make_context(str(verb.name), [*words, *other]).params["db"] == Path("other.db")
