"""Folders of photos: each person's as `enroll` has it, whoever looks, and however often it was interrupted."""

import csv
import json
import logging
import multiprocessing
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import facesearch as fs
from durable import MEMORY, raw
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.collection import MAX_FACES_PER_USER
from facesearch.common.arrays import PixelArray
from facesearch.domain.user_ids import nearest_user_id
from facesearch.enrolment import progress as progress_shown
from facesearch.enrolment.candidates import analyze_to_enroll
from facesearch.enrolment.folder_plan import plan_photos
from facesearch.enrolment.photo_outcomes import PhotoOutcome
from facesearch.enrolment.photo_workers import BrokenFile
from facesearch.images.reading import read_image
from facesearch.responses.folder import FolderProgress, FolderReport
from facesearch.stages import Detection
from facesearch.storage.catalog import delete_collection
from facesearch.testing.fakes import FakeDetector, fake_analyzer, paint
from photo_folders import (
    BLUE,
    GREEN,
    GREY,
    NOBODY,
    RED,
    TEAM,
    TWO,
    Photos,
    contents,
    folder_of,
    portrait,
    quiet,
    timeless,
    write,
)
from samples import astronaut, hopper


def sources(collection: fs.Collection) -> list[str]:
    return [face.source for face in collection.faces() if face.source]


def sourceless(collection: fs.Collection) -> Any:
    """All there is to see of a collection, but for where its photos were."""
    users, faces, vectors = contents(collection)
    return users, [attrs.evolve(face, source=None) for face in faces], vectors


@pytest.fixture
def team(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "team", TEAM)


@pytest.fixture(params=["memory", "file"])
def staff(
    fake: FaceAnalyzer, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[fs.Collection]:
    if request.param == "memory":
        yield fs.Collection("staff", analyzer=fake)
    else:
        with fs.Collection.open(tmp_path_factory.mktemp("file") / "people.db", "staff", analyzer=fake) as collection:
            yield collection


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


# -------------------------------------------------------------------- what becomes of the photos


def test_a_folder_becomes_users_and_every_photo_is_told_of(staff: fs.Collection, team: Path) -> None:
    report = quiet(staff, team)

    assert (report.photos, report.accepted, report.users, report.known, report.nobodys) == (12, 6, 3, 0, 0)
    assert report.path == team
    assert {(str(photo.path.relative_to(team)), photo.user_id, photo.reasons) for photo in report.refused} == {
        ("ada/4.png", "ada", ("LOW_MATCH_CONFIDENCE",)),
        ("bob/nobody.png", "bob", ("NO_FACE",)),
        ("bob/two.png", "bob", ("SEVERAL_FACES",)),
        ("mallory/1.png", "mallory", ("ASSOCIATED_TO_A_DIFFERENT_USER",)),
        ("mallory/2.png", "mallory", ("NO_FACE",)),
    }
    assert [(photo.path.name, photo.user_id) for photo in report.broken] == [("broken.png", "eve")]
    assert report.broken[0].detail.startswith("expected ")
    assert [user.user_id for user in staff.users()] == ["ada", "bob", "eve"]


COLOURS = (RED, BLUE, GREEN, GREY)
photos = st.one_of(
    st.builds(portrait, st.sampled_from(COLOURS), st.integers(40, 75)),
    st.just(NOBODY),
    st.just(TWO),
    st.builds(lambda colour: portrait(colour) // 40, st.sampled_from(COLOURS)),
)
people = st.dictionaries(
    st.sampled_from(["ada", "bob", "eve", "x.1", "y:2", "Z-3"]),
    st.lists(photos, min_size=1, max_size=5),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25)
@given(people, st.sampled_from(["NONE", "AUTO", "HIGH"]), st.sampled_from([0.0, 75.0, 99.9]))
def test_a_folder_of_one_person_is_that_person_enrolled(
    people: dict[str, list[PixelArray]], quality_filter: str, threshold: float
) -> None:
    """Whoever else is in the collection: the other people of the draw."""
    user_id, *others = sorted(people)
    with tempfile.TemporaryDirectory() as name:
        root = folder_of(Path(name), {user_id: {f"{n}.png": photo for n, photo in enumerate(people[user_id])}})
        options: dict[str, Any] = {"quality_filter": quality_filter, "user_match_threshold": threshold}
        one, other = (fs.Collection("c", analyzer=fake_analyzer()) for _ in range(2))
        for collection in (one, other):
            for each in others:
                collection.enroll(each, people[each], anyway=True)
        report = quiet(one, root, **options)
        paths = sorted((root / user_id).iterdir())
        sources = [f"{user_id}/{path.name}" for path in paths]
        enrolled = other.enroll(user_id, paths, sources=sources, **options)

        assert contents(one) == contents(other)
        assert [(photo.path, photo.reasons) for photo in report.refused] == [
            (path, tuple(reason.value for reason in photo.reasons))
            for path, photo in zip(paths, enrolled.photos, strict=True)
            if photo.face is None
        ]
        assert report.accepted == enrolled.accepted
        assert report.kept_out == ((user_id,) if enrolled.kept_out else ())


@settings(max_examples=25)
@given(people, st.sampled_from(["NONE", "AUTO", "HIGH"]), st.sampled_from([0.0, 75.0, 99.9]), st.booleans())
def test_the_same_call_again_changes_nothing_and_looks_at_nothing(
    people: dict[str, list[PixelArray]], quality_filter: str, threshold: float, anyway: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        named = {user_id: {f"{n}.png": photo for n, photo in enumerate(each)} for user_id, each in people.items()}
        root = folder_of(Path(name), named)
        options: dict[str, Any] = {"quality_filter": quality_filter, "user_match_threshold": threshold}
        staff = fs.Collection("c", analyzer=fake_analyzer())
        report = quiet(staff, root, anyway=anyway, **options)
        before = contents(staff)
        again = quiet(staff, root, anyway=anyway, **options)

        assert report.accepted + len(report.refused) == report.photos
        assert contents(staff) == before
        assert again.known == again.photos
        assert timeless(again) == report


def test_refused_photos_are_told_with_figures(staff: fs.Collection, team: Path) -> None:
    details = {f"{photo.path.parent.name}/{photo.path.name}": photo.detail for photo in quiet(staff, team).refused}

    assert details["bob/two.png"] == "another face has 100% of its area, less than 50% wanted"
    assert details["mallory/1.png"] == "it is a face of ada already"
    assert details["ada/4.png"].startswith("similarity to its own ")
    assert details["bob/nobody.png"] == ""


def test_a_person_with_too_many_photos_gets_as_many_as_there_is_room_for(staff: fs.Collection, tmp_path: Path) -> None:
    staff.add_embeddings(["ada"] * (MAX_FACES_PER_USER - 2), np.tile(vector_of(RED), (MAX_FACES_PER_USER - 2, 1)))
    root = folder_of(tmp_path / "p", {"ada": {f"{n}.png": portrait(RED, 50 + n) for n in range(4)}})
    report = quiet(staff, root)

    assert len(staff.faces("ada")) == MAX_FACES_PER_USER
    assert [(photo.path.name, photo.reasons) for photo in report.refused] == [
        ("2.png", ("QUOTA_EXCEEDED",)),
        ("3.png", ("QUOTA_EXCEEDED",)),
    ]
    assert quiet(staff, root).known == 4
    face_id = staff.faces("ada")[0].face_id
    staff.disassociate_faces("ada", [face_id])  # now there is room for one
    assert len(quiet(staff, root).refused) in {1, 2}  # one more, or the one that was taken away again
    assert len(staff.faces("ada")) == MAX_FACES_PER_USER


def vector_of(colour: tuple[int, int, int]) -> Any:
    return fake_analyzer().analyze(portrait(colour))[0].embedding


# -------------------------------------------------------------------- which photos


def test_the_content_of_a_file_that_is_no_photo_is_neither_told_nor_stored(fake: FaceAnalyzer, tmp_path: Path) -> None:
    root = folder_of(
        tmp_path / "p",
        {"ada": {"1.png": portrait(RED), "2.jpg": b"DB_PASSWORD=hunter2", "3.png": b"\x89PNG\r\n\x1a\nhunter2hunter2"}},
    )
    with fs.Collection.open(tmp_path / "people.db", "staff", analyzer=fake) as staff:
        report = quiet(staff, root)
        assert len(report.broken) == 2
        assert "hunter2" not in f"{report} {report.broken}"
        assert not any(b"hunter2" in file.read_bytes() for file in tmp_path.glob("people.db*"))


def test_photos_of_every_format_are_enrolled(staff: fs.Collection, tmp_path: Path) -> None:
    folder = tmp_path / "p" / "ada"
    folder.mkdir(parents=True)
    options: dict[str, dict[str, Any]] = {"webp": {"lossless": True}, "avif": {"quality": 100}, "jpg": {"quality": 95}}
    for number, ending in enumerate(["png", "jpg", "WEBP", "tif", "tiff", "gif", "avif"]):
        photo = Image.fromarray(paint((100, 120), {(10 + 5 * number, 20, 70 + 5 * number, 80): RED}))
        photo.save(folder / f"{number}.{ending}", **options.get(ending.lower(), {}))
    pillow_heif.from_pillow(Image.fromarray(paint((100, 120), {(50, 20, 110, 80): RED}))).save(
        folder / "7.heic", quality=100
    )
    report = quiet(staff, tmp_path / "p")
    assert (report.photos, len(report.broken), report.skipped) == (8, 0, ())
    assert report.accepted + len(report.refused) == 8


def test_only_photos_are_looked_at_and_others_are_counted(staff: fs.Collection, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "p", {"ada": {"1.PNG": portrait(RED), "notes.txt": b"", "2.bmp": b"", "3.BMP": b""}})
    for hidden in (".DS_Store", "._1.png", ".trash/1.png"):
        write(root / "ada" / hidden, b"not for us")
    write(root / ".git" / "1.png", portrait(BLUE))
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "ada" / "pipe.png")
    (root / "ada" / "album").mkdir()
    (root / "ada" / "album" / "loop").symlink_to(root)
    (root / "ada" / "self.png").symlink_to(root / "ada" / "self.png")
    (root / "ada" / "gone.png").symlink_to(root / "nowhere.png")
    report = quiet(staff, root)

    assert report.skipped == ((".bmp", 2), (".txt", 1))
    assert (report.photos, report.accepted) == (3, 1)
    assert [photo.path.name for photo in report.broken] == ["gone.png", "self.png"]
    assert report.broken[0].detail == "expected a file, there is none"


def test_links_to_elsewhere_are_followed_once(tmp_path: Path) -> None:
    album = folder_of(tmp_path / "album", {"x": {"1.png": portrait(RED)}})
    root = folder_of(tmp_path / "p", {"ada": {"2.png": portrait(RED, 70)}})
    (root / "ada" / "one").symlink_to(album)
    (root / "ada" / "two").symlink_to(album)

    assert [str(photo.relative_to(root)) for photo in plan_photos(root).people[0].photos] == [
        "ada/2.png",
        "ada/one/x/1.png",
    ]


def test_a_folder_whose_name_is_no_user_id_gets_the_nearest_one_and_says_so(
    staff: fs.Collection, tmp_path: Path
) -> None:
    root = folder_of(tmp_path / "p", {"Zoë Müller": {"1.png": portrait(RED)}, "bob": {"1.png": portrait(BLUE)}})
    report = quiet(staff, root)

    assert [user.user_id for user in staff.users()] == ["Zoe_Muller", "bob"]
    assert report.accepted == 2
    assert report.renamed == (("Zoë Müller", "Zoe_Muller"),)
    assert report.notes == ()
    assert str(report).endswith("\nZoë Müller  Zoe_Muller")
    assert report.to_dict()["renamed"] == {"Zoë Müller": "Zoe_Muller"}
    assert "<td" in report._repr_html_()
    again = quiet(staff, root)
    assert (again.known, again.renamed) == (2, report.renamed)


def test_folders_that_no_id_can_be_made_of_are_told_not_guessed(staff: fs.Collection, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "p", {"李": {"1.png": portrait(RED)}, "bob": {"1.png": portrait(BLUE)}})
    write(root / "cover.png", portrait(GREEN))
    (root / "empty").mkdir()
    report = quiet(staff, root)

    assert [user.user_id for user in staff.users()] == ["bob"]
    assert len(staff.faces()) == 1
    assert [note.split(":")[0] for note in report.notes] == [
        "'empty'",
        "'李'",
        "1 photo beside the people's folders left out",
    ]
    assert "no user id, 1 photo left out" in report.notes[1]
    assert "CSV" in report.notes[1]
    assert report.notes[1] in str(report)


@pytest.mark.parametrize(
    "names", [("Ada Lovelace", "Ada_Lovelace"), ("Ada  Lovelace", "Ada Lovelace!"), ("José", "Jose")]
)
def test_two_folders_of_one_id_are_refused_before_the_work_and_both_are_named(
    staff: fs.Collection, tmp_path: Path, names: tuple[str, str]
) -> None:
    one, other = names
    root = folder_of(tmp_path / "p", {one: {"1.png": portrait(RED)}, other: {"1.png": portrait(BLUE)}, "bob": {}})
    with pytest.raises(fs.InvalidParameterError) as caught:
        quiet(staff, root)

    assert repr(one) in str(caught.value)
    assert repr(other) in str(caught.value)
    assert staff.faces() == ()
    (root / other / "1.png").unlink()  # a folder without photos takes no id
    assert quiet(staff, root).accepted == 1


@pytest.mark.parametrize(
    ("name", "user_id"),
    [
        ("Ada Lovelace", "Ada_Lovelace"),
        ("Anne-Marie (2)", "Anne-Marie_2"),
        ("  O'Brien, Pat. ", "O_Brien_Pat."),
        ("José", "Jose"),
        ("Jose\u0301", "Jose"),
        ("Łukasz Żółć", "Lukasz_Zolc"),
        ("Straße", "Strasse"),
        ("\u01ff", "o"),
        ("\uff21\uff44\uff41", "Ada"),
        ("Ada ❤\ufe0f", "Ada"),
        ("½", "1_2"),
        ("a" * 128, "a" * 128),
        ("_", "_"),
        ("李", None),
        ("Ada 李", None),  # "Ada" would be whoever comes first
        ("Мария", None),
        ("!!!", None),
        ("", None),
        ("a " * 100, None),
        ("Ada\udce9", None),
        ("Ada \ue000", None),
    ],
)
def test_the_id_of_a_name(name: str, user_id: str | None) -> None:
    assert nearest_user_id(name) == user_id


@given(st.text(max_size=140))
def test_what_is_made_of_a_name_is_an_id_and_stays_one(name: str) -> None:
    user_id = nearest_user_id(name)
    if re.fullmatch(r"[a-zA-Z0-9_.\-:]{1,128}", name):
        assert user_id == name
    if user_id is not None:
        assert re.fullmatch(r"[a-zA-Z0-9_.\-:]{1,128}", user_id)
        assert nearest_user_id(user_id) == user_id
        assert nearest_user_id(unicodedata.normalize("NFC", name)) == nearest_user_id(
            unicodedata.normalize("NFD", name)
        )


def test_photos_in_no_persons_folder_become_nobodys_faces(staff: fs.Collection, tmp_path: Path) -> None:
    root = tmp_path / "flat"
    for name, photo in {"a1.png": portrait(RED), "b 2.png": TWO, "c.png": portrait(RED), "none.png": NOBODY}.items():
        write(root / name, photo)
    report = quiet(staff, root)

    assert (len(staff), report.users, report.accepted, report.nobodys) == (0, 0, 3, 3)
    assert sorted(face.external_image_id or "" for face in staff.faces()) == ["", "", "a1.png", "c.png"]
    assert [(photo.path.name, photo.reasons) for photo in report.refused] == [("none.png", ("NO_FACE",))]
    assert "the faces of 3 photos have no user" in str(report)

    before = contents(staff)
    again = quiet(staff, root)
    assert (again.known, contents(staff)) == (4, before)
    assert timeless(again) == report


def test_an_empty_folder_is_an_answer(staff: fs.Collection, tmp_path: Path) -> None:
    report = quiet(staff, tmp_path)

    assert report == FolderReport(path=tmp_path, photos=0, accepted=0, known=0, users=0)
    assert str(report) == "0 photos, 0 users: 0 accepted, 0 refused, 0 broken"


@pytest.mark.parametrize("path", ["", "nowhere", "a\0b", 3, None])
def test_there_must_be_something(staff: fs.Collection, path: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"^path: expected"):
        staff.index_folder(path)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("executor", 4),
        ("progress", "yes"),
        ("quality_filter", "BEST"),
        ("user_match_threshold", 101),
        ("send_photos", 1),
        ("in_flight", 0),
    ],
)
def test_options_are_checked(staff: fs.Collection, team: Path, option: str, value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=option):
        staff.index_folder(team, **{option: value})
    assert len(staff) == 0


# -------------------------------------------------------------------- a CSV file


def test_a_csv_file_tells_whose_photos_are(staff: fs.Collection, team: Path, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["user_id", "remark", "photo"])
        for photo in sorted(team.rglob("*.png"), reverse=True):
            rows.writerow([photo.relative_to(team).parts[0], "a, b\nc", photo.relative_to(tmp_path)])
    other = fs.Collection("other", analyzer=staff.analyzer)

    one, two = quiet(staff, file), quiet(other, team)
    assert sorted(str(face.source) for face in staff.faces()) == [f"team/{face}" for face in sorted(sources(other))]
    assert sourceless(staff) == sourceless(other)
    assert (one.photos, one.accepted, len(one.refused), len(one.broken)) == (
        two.photos,
        two.accepted,
        len(two.refused),
        len(two.broken),
    )
    assert str(one).splitlines()[3].startswith("team/ada/4.png ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"photo;user_id\n", "line 1: expected a CSV file with the columns photo and user_id, got 1 others"),
        (b"", "line 1: expected a CSV file"),
        (b"photo,user_id,photo\n", "line 1: expected a CSV file"),
        (b"photo,user_id\n1.png,ada\n2.png\n", "line 3: expected 2 values"),
        (b"photo,user_id\n1.png,ada,x\n", "line 2: expected 2 values"),
        (b"photo,user_id\n\n1.png,a b\n", "line 3: expected a user id, .* got one of 3 characters"),
        (b"photo,user_id\n1.png,\n", "line 2: expected a user id"),
        (b"photo,user_id\n,ada\n", "line 2: expected the path of a photo"),
        (b'photo,user_id\n1.png,ada\n"2.png,ada\n', "after line 2: expected a CSV file"),
        (b"\xff\xd8\xff\xe0", "expected a CSV file .* in UTF-8"),
    ],
)
def test_a_csv_file_that_is_none_is_refused_with_the_line(
    staff: fs.Collection, tmp_path: Path, text: bytes, message: str
) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(text)

    with pytest.raises(fs.InvalidParameterError, match=message):
        quiet(staff, file)


@pytest.mark.parametrize(
    "text",
    [
        b"DB_PASSWORD=hunter2\n",
        b"photo,user_id\n1.png,hunter2 \xe9\n",
        b"photo,user_id\n1.png,hunter2!\n",
        b"\x93hunter2",
    ],
)
def test_a_file_that_is_no_such_csv_file_is_not_quoted(staff: fs.Collection, tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(text)
    with pytest.raises(fs.InvalidParameterError) as caught:
        quiet(staff, file)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_photo_that_is_not_there_costs_one_line(staff: fs.Collection, team: Path) -> None:
    file = team / "list.csv"
    file.write_text("photo,user_id\nada/1.png,ada\nada/gone.png,ada\n.,ada\n")
    report = quiet(staff, file)

    assert report.accepted == 1
    assert [photo.detail for photo in report.broken] == [
        "expected a file, got something else",
        "expected a file, there is none",
    ]
    assert quiet(staff, file).known == 1  # what can't be read is looked for again


# -------------------------------------------------------------------- who looks


def test_the_executor_changes_nothing(team: Path, fake: FaceAnalyzer, processes: ProcessPoolExecutor) -> None:
    expected = fs.Collection("c", analyzer=fake)
    report = quiet(expected, team)
    with ThreadPoolExecutor(3) as threads:
        for options in (
            {"executor": threads},
            {"executor": processes},
            {"executor": processes, "send_photos": True},
            {"executor": processes, "in_flight": 1},
        ):
            collection = fs.Collection("c", analyzer=fake)
            assert quiet(collection, team, **options) == report
            assert contents(collection) == contents(expected)


def test_photographs_give_the_same_in_other_processes(tmp_path: Path, processes: ProcessPoolExecutor) -> None:
    root = folder_of(
        tmp_path / "p", {"eileen": {"1.png": astronaut(), "2.png": astronaut()[:, ::-1]}, "grace": {"1.png": hopper()}}
    )
    one, other = fs.Collection("c", thumbnails=True), fs.Collection("c", thumbnails=True)
    report = quiet(one, root)

    assert report.accepted == 3
    assert quiet(other, root, executor=processes) == report
    assert one.users() == other.users()
    for face, same in zip(one.faces(), other.faces(), strict=True):
        assert face == same
        assert one.thumbnail(face.face_id) == other.thumbnail(same.face_id)
        np.testing.assert_allclose(one.face_embedding(face.face_id), other.face_embedding(face.face_id), atol=1e-6)


@pytest.mark.parametrize("engine", ["onnx", "dlib"])
def test_what_travels_is_small(engine: str) -> None:
    analyzer = FaceAnalyzer(engine=engine)
    assert len(pickle.dumps(analyzer)) < 1500
    again = pickle.loads(pickle.dumps(analyzer))  # noqa: S301  # our own
    assert again.face_model == analyzer.face_model
    assert (again.describer.embedder is again.embedder) == (analyzer.describer.embedder is analyzer.embedder)


def test_a_look_is_small(real: FaceAnalyzer) -> None:
    look = analyze_to_enroll(real, read_image(astronaut()), fs.QualityFilter.AUTO, thumbnails=False)
    sent = pickle.dumps(look)

    assert look.faces
    assert len(sent) < 4000
    assert len(pickle.dumps(real)) < 1500  # also when it is loaded
    again = pickle.loads(sent)  # noqa: S301  # our own
    assert (again.faces[0].embedding == look.faces[0].embedding).all()
    assert again.evidence == look.evidence


class OneByOne(Executor):
    """Does the work when the result is asked for, and tells how much is waiting."""

    def __init__(self, spoil: Callable[[int, Sequence[Any]], Sequence[Any]] = lambda _, args: args) -> None:
        self.waiting = self.most = self.submitted = 0
        self.spoil = spoil

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        args = tuple(self.spoil(self.submitted, args))
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        future: Future[Any] = Future()

        def do() -> None:
            time.sleep(0.002)
            self.waiting -= 1
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001  # a future carries whatever was raised
                    future.set_exception(error)

        threading.Thread(target=do).start()
        return future


@pytest.mark.parametrize("in_flight", [1, 3])
def test_no_more_than_a_few_photos_are_under_way(staff: fs.Collection, team: Path, in_flight: int) -> None:
    executor = OneByOne()
    quiet(staff, team, executor=executor, in_flight=in_flight)

    assert executor.submitted == 12
    assert executor.most <= in_flight


def test_a_broken_executor_is_a_named_error_and_what_was_done_stays(staff: fs.Collection, team: Path) -> None:
    def break_down(number: int, args: Sequence[Any]) -> Sequence[Any]:
        if number == 9:
            raise BrokenProcessPool("a child process terminated abruptly")
        return args

    with pytest.raises(fs.ExecutorError, match=r"it broke .*terminated abruptly.*is kept"):
        quiet(staff, team, executor=OneByOne(break_down), in_flight=1)
    assert staff.users() == ()  # people are judged together, when all photos are seen
    assert staff.faces() == ()

    expected = fs.Collection("staff", analyzer=staff.analyzer)
    report = quiet(staff, team)
    assert report.known == 8
    assert timeless(report) == quiet(expected, team)
    assert contents(staff) == contents(expected)


class DyingDetector(FakeDetector):
    """Ends its process at the sight of a blue face."""

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        found = super().detect(pixels)
        if any((pixels[round(face.top) + 1, round(face.left) + 1] == BLUE).all() for face in found):
            os._exit(1)
        return found


def test_a_worker_that_dies_is_a_named_error(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "p", {"ada": {"1.png": portrait(RED)}, "bob": {"1.png": portrait(BLUE)}})
    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=DyingDetector()))
    told: list[FolderProgress] = []
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(fs.ExecutorError, match="it broke"),
    ):
        staff.index_folder(root, executor=pool, in_flight=1, progress=told.append)

    assert [(now.done, now.waiting) for now in told] == [(1, 1)]
    (root / "bob" / "1.png").unlink()
    assert quiet(staff, root).known == 1
    assert [user.user_id for user in staff.users()] == ["ada"]


def test_workers_that_do_not_see_the_files_are_a_named_error(staff: fs.Collection, team: Path) -> None:
    executor = OneByOne(lambda _, args: ("/nowhere/1.png", *args[1:]))

    with pytest.raises(fs.ExecutorError, match=r"don't find .*send_photos=True"):
        quiet(staff, team, executor=executor, send_photos=False)
    assert (
        quiet(staff, team, executor=OneByOne()).accepted == 6
    )  # by default an executor may be elsewhere: it gets the bytes


@pytest.mark.parametrize(
    ("content", "message"), [(portrait(BLUE), "find another file at"), (b"\x89PNG, cut", "can't read")]
)
def test_workers_that_see_other_files_are_a_named_error(
    staff: fs.Collection, team: Path, tmp_path: Path, content: PixelArray | bytes, message: str
) -> None:
    other = write(tmp_path / "other.png", content)
    executor = OneByOne(lambda _, args: (str(other), *args[1:]))

    with pytest.raises(fs.ExecutorError, match=rf"{message} .*1\.png.*send_photos=True"):
        quiet(staff, team, executor=executor, send_photos=False)
    assert staff.faces() == ()


def test_an_executor_that_was_shut_down_is_a_named_error(staff: fs.Collection, team: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        pass
    with pytest.raises(fs.ExecutorError, match="shutdown"):
        quiet(staff, team, executor=pool)


class Unsendable(FakeDetector):
    def __init__(self) -> None:
        self.lock = threading.Lock()


def test_an_analyzer_that_cannot_be_sent_is_a_named_error(team: Path, processes: ProcessPoolExecutor) -> None:
    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=Unsendable()))

    with pytest.raises(fs.InvalidParameterError, match=r"executor: expected .* stages can be pickled"):
        quiet(staff, team, executor=processes)
    assert quiet(staff, team).accepted == 6  # threads of this process need none of it


class Failing(FakeDetector):
    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:  # noqa: ARG002  # the stage's signature
        raise MemoryError("too much")


def test_what_a_stage_raises_comes_out_with_the_photo(team: Path) -> None:
    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=Failing()))

    with pytest.raises(MemoryError) as raised:
        quiet(staff, team)
    assert raised.value.__notes__ == [
        f"while looking at {team / 'ada' / '1.png'}",
        "0 of 12 photos are done and kept; the same call goes on from there",
    ]


# -------------------------------------------------------------------- again, and after an interruption


class Counting(FakeDetector):
    def __init__(self) -> None:
        self.seen = 0

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        self.seen += 1
        return super().detect(pixels)


def test_an_unchanged_folder_is_not_looked_at_again(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=counting))
    report = quiet(staff, team)
    looked, before = counting.seen, contents(staff)
    write(team / "ada" / "copy of 1.png", (team / "ada" / "1.png").read_bytes())
    (team / "bob" / "1.png").rename(team / "bob" / "moved.png")

    def writing() -> Any:
        raise AssertionError("nothing is to be written")

    monkeypatch.setattr(staff._store, "writing", writing)
    again = quiet(staff, team)

    assert counting.seen == looked == 11
    assert contents(staff) == before
    assert (again.photos, again.known, again.accepted) == (13, 13, report.accepted + 1)
    assert {photo.known for photo in again.refused} == {photo.known for photo in again.broken} == {True}
    assert "13 known before" in str(again)


def test_new_photos_are_looked_at_and_old_ones_are_not(team: Path) -> None:
    counting = Counting()
    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=counting))
    quiet(staff, team)
    looked = counting.seen
    write(team / "ada" / "5.png", portrait(RED, 72))
    write(team / "zoe" / "1.png", portrait(GREY))
    again = quiet(staff, team)

    assert counting.seen == looked + 2
    assert (again.photos, again.known, again.users) == (14, 12, 4)
    assert len(staff.faces("ada")) == 4


def test_what_was_enrolled_already_is_known(staff: fs.Collection, team: Path) -> None:
    staff.enroll("ada", [team / "ada" / "1.png", portrait(RED, 55)])
    report = quiet(staff, team)

    assert (report.known, report.accepted) == (1, 6)
    assert len(staff.faces("ada")) == 4


def test_a_file_that_changes_meanwhile_counts_as_it_was_looked_at(staff: fs.Collection, team: Path) -> None:
    def change(number: int, args: Sequence[Any]) -> Sequence[Any]:
        if number == 1:
            write(team / "ada" / "1.png", portrait(RED, 66))
        return args

    quiet(staff, team, executor=OneByOne(change), send_photos=False)
    expected = fs.Collection("expected", analyzer=staff.analyzer)
    quiet(expected, team)

    assert contents(staff) == contents(expected)
    assert quiet(staff, team).known == 12


def test_a_photo_under_two_names_is_looked_at_once(tmp_path: Path) -> None:
    counting = Counting()
    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=counting))
    report = quiet(staff, folder_of(tmp_path / "p", {"ada": {f"{n}.png": portrait(RED) for n in range(5)}}))

    assert (report.accepted, counting.seen, len(staff.faces())) == (5, 1, 1)


def test_another_filter_or_threshold_looks_at_refused_photos_again(staff: fs.Collection, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "p", {"ada": {"1.png": portrait(RED), "2.png": portrait(RED) // 40}})
    assert len(quiet(staff, root, quality_filter="HIGH").refused) == 1

    assert quiet(staff, root, quality_filter="HIGH").known == 2
    assert quiet(staff, root, quality_filter="HIGH", user_match_threshold=80).known == 1
    assert quiet(staff, root, quality_filter="MEDIUM").known == 1
    report = quiet(staff, root, quality_filter="NONE", user_match_threshold=0)
    assert (report.known, report.accepted) == (1, 2)
    assert quiet(staff, root, quality_filter="HIGH").refused == ()  # what the user has is not taken away


def test_deleting_a_user_forgets_what_was_refused_because_of_it(staff: fs.Collection, team: Path) -> None:
    quiet(staff, team)
    staff.delete_user("ada", faces=True)
    report = quiet(staff, team)

    # ada's four photos, and the one of mallory that had ada's face
    assert report.known == 12 - 5
    assert "mallory" not in staff
    assert staff.forget_photos("mallory") == 2  # who never was a user
    assert staff.forget_photos("mallory") == 0
    assert quiet(staff, team).known == 10
    assert staff.forget_photos() == len(report.refused) + len(report.broken)
    assert staff.forget_photos() == 0
    with pytest.raises(fs.InvalidParameterError, match="user_id"):
        staff.forget_photos("a b")


def test_a_face_that_was_removed_is_looked_at_again(staff: fs.Collection, team: Path) -> None:
    quiet(staff, team)
    face_id = staff.faces("bob")[0].face_id
    staff.disassociate_faces("bob", [face_id])
    staff.delete_faces([face_id])
    report = quiet(staff, team)

    assert (report.known, report.accepted) == (11, 6)
    assert staff.faces("bob")[0].face_id == face_id


@pytest.mark.parametrize("stop", range(1, 13))
def test_interrupted_anywhere_and_called_again_it_is_as_if_never_interrupted(
    staff: fs.Collection, team: Path, stop: int
) -> None:
    expected = fs.Collection("staff", analyzer=staff.analyzer)
    whole = quiet(expected, team)
    told: list[FolderProgress] = []

    def interrupt(now: FolderProgress) -> None:
        told.append(now)
        if now.done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        staff.index_folder(team, progress=interrupt, in_flight=2)
    (note,) = raised.value.__notes__
    kept = int(note.split(" of 12 photos are done and kept")[0])
    assert note.endswith("; the same call goes on from there")
    assert kept >= told[-1].done == stop  # what was told as done is kept
    assert contents(staff) in (((), (), []), contents(expected))  # none of the people yet, or all

    resumed = quiet(staff, team)
    assert resumed.known == kept
    assert timeless(resumed) == whole
    assert contents(staff) == contents(expected)


SLOW_CHILD = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
import sys, time
from pathlib import Path

import facesearch as fs
from facesearch.testing.fakes import FakeDetector, fake_analyzer

detect = FakeDetector.detect


def slowly(self, pixels):
    time.sleep(0.05)
    return detect(self, pixels)

FakeDetector.detect = slowly


def tell(now):
    print(now.done, flush=True)


with fs.Collection.open(sys.argv[1], "staff", analyzer=fake_analyzer()) as staff:
    print("open", flush=True)
    print(staff.index_folder(sys.argv[2], progress=tell).known)
"""


def killed_after(photos: int, number: int, db: Path, root: Path) -> tuple[int, str]:
    """Run a process that indexes a folder, and send it a signal after so many photos.

    Gives how many photos it said were done, and what it wrote to standard error.
    """
    child = subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, "-c", SLOW_CHILD, str(db), str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done = 0
    with child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == "open\n"
        for line in child.stdout:
            done = int(line)
            if done >= photos:
                break
        child.send_signal(number)
        rest, errors = child.stdout.read(), child.stderr.read()
        child.wait()
    assert child.returncode == -number
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):  # the last may be half written
            done = int(line)
    return done, errors


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_any_moment_it_goes_on_where_it_was(
    team: Path, tmp_path: Path, fake: FaceAnalyzer, number: signal.Signals
) -> None:
    expected = fs.Collection("staff", analyzer=fake)
    whole = quiet(expected, team)
    db = tmp_path / "people.db"
    fs.Collection.open(db, "staff", analyzer=fake).close()  # made here, so that ids are those of this process
    before = 0
    for photos in (1, 5, 9):
        done, errors = killed_after(photos, number, db, team)
        assert done >= photos
        assert done >= before  # what was told as done is done
        before = done
        if number is signal.SIGINT:
            assert re.search(r"are done and kept, \d+ of them to be judged when all are; the same call goes on", errors)
        with fs.Collection.open(db, "staff", analyzer=fake) as staff:
            assert (staff.users(), staff.faces()) == ((), ())

    with fs.Collection.open(db, "staff", analyzer=fake) as staff:
        report = quiet(staff, team)
        assert report.known >= before
        assert timeless(report) == whole
        assert contents(staff) == contents(expected)


SOME = (RED, BLUE, GREEN, GREY)


def layout(root: Path, kind: str) -> Path:
    """Nine photos, flat, in sub-folders, or as a CSV file says; gives what is to be indexed."""
    photos = {
        f"{number}.png": NOBODY if number == 4 else portrait(SOME[number % 2], 50 + number) for number in range(9)
    }
    if kind == "flat":
        for name, photo in photos.items():
            write(root / name, photo)
        return root
    owners = {name: "ada" if number % 2 else "bob" for number, name in enumerate(photos)}
    for name, photo in photos.items():
        write(root / owners[name] / name, photo)
    if kind == "csv":
        lines = [f"{owners[name]}/{name},{owners[name]}" for name in photos]
        (root / "list.csv").write_text("\n".join(["photo,user_id", *lines]))
        return root / "list.csv"
    return root


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("kind", ["flat", "csv"])
def test_killed_in_a_flat_folder_or_a_list_it_goes_on_where_it_was(
    tmp_path: Path, fake: FaceAnalyzer, number: signal.Signals, kind: str
) -> None:
    path = layout(tmp_path / "photos", kind)
    expected = fs.Collection("staff", analyzer=fake)
    whole = quiet(expected, path)
    db = tmp_path / "people.db"
    fs.Collection.open(db, "staff", analyzer=fake).close()  # made here, so that ids are those of this process
    done, _ = killed_after(3, number, db, path)
    with fs.Collection.open(db, "staff", analyzer=fake) as staff:
        if kind == "flat":
            assert len(staff.faces()) >= done - 1  # one of the photos has no face
        report = quiet(staff, path)
        assert report.known >= done >= 3
        assert timeless(report) == whole
        assert contents(staff) == contents(expected)


@settings(max_examples=20)
@given(
    st.sampled_from(["flat", "sub-folders", "csv"]),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.booleans(),
    st.integers(1, 4),
)
def test_whenever_it_is_interrupted_what_was_told_as_done_is_kept_and_the_end_is_the_same(
    kind: str, stops: list[int], existing: bool, in_flight: int
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path = layout(Path(name, "photos"), kind)
        expected = fs.Collection("staff", analyzer=fake_analyzer())
        if existing:
            expected.enroll("bob", [portrait(RED, 80)], sources=["before"])
        whole = quiet(expected, path)
        db = Path(name, "people.db")
        if existing:
            with fs.Collection.open(db, "staff", analyzer=fake_analyzer()) as staff:
                staff.enroll("bob", [portrait(RED, 80)], sources=["before"])
        kept = 0
        for stop in stops:

            def interrupt(now: FolderProgress, stop: int = stop) -> None:
                if now.done >= stop:
                    raise KeyboardInterrupt

            with fs.Collection.open(db, "staff", analyzer=fake_analyzer()) as staff:
                try:
                    staff.index_folder(path, progress=interrupt, in_flight=in_flight)
                except KeyboardInterrupt as error:
                    done = int(error.__notes__[0].split()[0])
                    assert done >= stop
                    kept = max(kept, done)  # a later call may be interrupted before it has met them all again
                else:
                    kept = 9
        with fs.Collection.open(db, "staff", analyzer=fake_analyzer()) as staff:
            report = quiet(staff, path)
            assert report.known == kept
            assert timeless(report) == whole
            assert contents(staff) == contents(expected)
            assert waiting_rows(db) == (0, 0)


def waiting_rows(db: Path) -> tuple[int, int]:
    """How many photos wait in a file, and rows of their data."""
    with closing(sqlite3.connect(db)) as sql:
        queries = ("SELECT count(*) FROM waiting", "SELECT count(*) FROM waiting_data")
        waiting, data = (sql.execute(query).fetchone()[0] for query in queries)
    return waiting, data


def test_a_flat_folder_is_indexed_photo_by_photo(staff: fs.Collection, tmp_path: Path) -> None:
    root = layout(tmp_path / "flat", "flat")
    seen: list[tuple[int, int]] = []

    def interrupt(now: FolderProgress) -> None:
        seen.append((now.done, len(staff.faces())))
        if now.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        staff.index_folder(root, progress=interrupt, in_flight=1)

    assert all(faces >= done for done, faces in seen)
    assert [face.source for face in staff.faces()] == [face.external_image_id for face in staff.faces()]


def left_halfway(staff: fs.Collection, root: Path) -> None:
    """Index a folder of eight photos, and break off when all but one are seen."""

    def break_down(number: int, args: Sequence[Any]) -> Sequence[Any]:
        if number == 8:
            raise BrokenProcessPool("a child process terminated abruptly")
        return args

    with pytest.raises(fs.ExecutorError) as raised:
        quiet(staff, root, executor=OneByOne(break_down), in_flight=1)
    assert raised.value.__notes__ == [
        "7 of 8 photos are done and kept, 7 of them to be judged when all are; the same call goes on from there"
    ]


HER_FOLDER: Photos = {
    "a": {"1.png": portrait(BLUE), "2.png": portrait(BLUE, 70), "3.png": portrait(BLUE, 66)},
    "ada": {
        f"secret name {number}.png": portrait(colour, 52 + number) for number, colour in enumerate((RED, GREEN, RED))
    },
    "zoe": {"1.png": portrait(GREY), "2.png": portrait(GREY, 70)},
}


@pytest.mark.parametrize("how", ["delete the user", "forget the user", "forget all", "delete the collection", "go on"])
def test_of_photos_that_waited_nothing_is_left(tmp_path: Path, fake: FaceAnalyzer, how: str) -> None:
    root, db = folder_of(tmp_path / "photos", HER_FOLDER), tmp_path / "db" / "people.db"
    db.parent.mkdir()
    green, red = vector_of(GREEN).tobytes(), vector_of(RED).tobytes()
    with fs.Collection.open(db, "staff", analyzer=fake, thumbnails=True) as staff:
        staff.create_user("ada")
        left_halfway(staff, root)
        assert green in raw(db.parent)
        assert b"secret name" in raw(db.parent)
        assert (staff.faces(), staff.face_count) == ((), 0)

        if how == "delete the user":
            staff.delete_user("ada")
        elif how == "forget the user":
            assert staff.forget_photos("ada") == 3
        elif how == "forget all":
            assert staff.forget_photos() == 7
        elif how == "delete the collection":
            delete_collection(db, "staff")
        else:
            assert quiet(staff, root).known == 7
        if how != "delete the collection":
            # Her second photo was refused: nobody has that face.
            assert b"secret name 1" not in raw(db.parent)
            assert green not in raw(db.parent)
        if how == "go on":
            assert [face.source for face in staff.faces("ada")] == [
                "ada/secret name 0.png",
                "ada/secret name 2.png",
            ] or [face.source for face in staff.faces("ada")] == ["ada/secret name 2.png", "ada/secret name 0.png"]
    content = raw(db.parent)
    assert green not in content
    if how != "go on":
        assert red not in content
        assert b"secret name" not in content
        assert (vector_of(BLUE).tobytes() in content) == (how in {"delete the user", "forget the user"})


def test_who_is_deleted_between_two_calls_is_looked_at_again_and_others_are_not(
    staff: fs.Collection, tmp_path: Path
) -> None:
    root = folder_of(tmp_path / "p", HER_FOLDER)
    expected = fs.Collection("staff", analyzer=staff.analyzer)
    whole = quiet(expected, root)
    staff.enroll("ada", [portrait(RED, 40)])
    left_halfway(staff, root)
    staff.delete_user("ada", faces=True)
    report = quiet(staff, root)

    assert report.known == 4
    assert timeless(report) == whole
    assert contents(staff) == contents(expected)


def test_who_is_forgotten_while_a_call_runs_does_not_come_back(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "p", HER_FOLDER)

    forgotten = threading.Event()

    class Waiting(Counting):
        def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
            found = super().detect(pixels)
            if self.seen == 8:
                forgotten.wait(300)
            return found

    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=Waiting()))

    def forget(now: FolderProgress) -> None:
        if now.done == 7:
            assert staff.forget_photos("ada") == 3
            forgotten.set()

    report = staff.index_folder(root, progress=forget, in_flight=1)

    assert "ada" not in staff
    assert [photo.user_id for photo in report.broken] == ["ada"] * 3
    assert report.broken[0].detail.startswith("it was forgotten")
    again = quiet(staff, root)
    assert (again.known, again.accepted) == (5, 7)


def test_photos_of_strangers_in_a_folder_are_told_at_once_and_kept_out(staff: fs.Collection, tmp_path: Path) -> None:
    mix = {f"{number}.png": portrait(colour) for number, colour in enumerate((RED, BLUE, GREEN))}
    root = folder_of(tmp_path / "p", {"mix": mix, "zoe": {"1.png": portrait(GREY)}})
    report = quiet(staff, root)

    assert [user.user_id for user in staff.users()] == ["zoe"]
    assert report.kept_out == ("mix",)
    assert [photo.reasons for photo in report.refused] == [("PHOTOS_DISAGREE",)] * 3
    assert "not added, their photos don't show one person: mix (anyway=True" in str(report)
    assert "--anyway" in report._repr_html_()
    assert report.to_dict()["kept_out"] == ["mix"]
    assert timeless(quiet(staff, root)) == report
    assert quiet(staff, root).known == 4

    for number in (3, 4, 5, 6):  # now four show the same person
        write(root / "mix" / f"{number}.png", portrait(RED, 50 + number))
    again = quiet(staff, root)
    assert (again.known, again.kept_out) == (1, ())  # all of mix's photos are looked at again
    assert [photo.path.name for photo in again.refused] == ["1.png", "2.png"]
    assert len(staff.faces("mix")) == 5


def test_strangers_become_one_user_if_told_so(staff: fs.Collection, tmp_path: Path) -> None:
    mix = {f"{number}.png": portrait(colour) for number, colour in enumerate((RED, BLUE, GREEN))}
    root = folder_of(tmp_path / "p", {"mix": mix})
    assert quiet(staff, root).accepted == 0

    report = quiet(staff, root, anyway=True)
    assert (report.known, report.accepted, report.kept_out) == (0, 3, ())
    assert (quiet(staff, root).accepted, len(staff.faces("mix"))) == (3, 3)


@pytest.mark.parametrize("wrong", ["Broken", "Zbroken"])
def test_a_wrong_folder_that_comes_first_takes_no_photos(staff: fs.Collection, tmp_path: Path, wrong: str) -> None:
    right = {f"{number}.png": portrait(RED, 50 + number) for number in range(5)}
    root = folder_of(tmp_path / "p", {"Tony": right, wrong: {"1.png": portrait(RED, 60), "2.png": portrait(RED, 61)}})
    quiet(staff, root)

    assert len(staff.faces("Tony")) == 5
    assert sorted(str(face.source) for face in staff.faces("Tony")) == [f"Tony/{number}.png" for number in range(5)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_faces_of_photos_whose_names_are_no_text_can_be_opened_by_their_source(
    staff: fs.Collection, tmp_path: Path
) -> None:
    root = folder_of(tmp_path / "p", {"ada": {os.fsdecode(b"\xff\x1b[2J.png"): portrait(RED)}})
    quiet(staff, root)
    (face,) = staff.faces()

    assert face.source
    assert (root / face.source).is_file()
    repr(face).encode()


def test_a_file_keeps_nothing_of_refused_photos_but_figures(team: Path, tmp_path: Path, fake: FaceAnalyzer) -> None:
    db = tmp_path / "people.db"
    with fs.Collection.open(db, "staff", analyzer=fake) as staff:
        quiet(staff, team)
    with fs.Collection.open(db, "staff", analyzer=fake) as staff:
        assert quiet(staff, team).known == 12
        with fs.Collection.open(db, "other", analyzer=fake) as other:
            assert quiet(other, team).known == 0  # each collection for itself
            assert staff.forget_photos() + other.forget_photos("ada") == 6 + 2  # her photo, and one that has her face
        delete_collection(db, "other")
        assert quiet(staff, team).known == 6
        assert staff.forget_photos("mallory") == 2
        staff.delete_user("ada", faces=True)
    stored = db.read_bytes()

    assert b"mallory" not in stored  # who never became a user
    assert b"ada" not in stored
    assert b"bob" in stored


class Dawdling(FakeDetector):
    def __init__(self) -> None:
        self.seen = 0

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        self.seen += 1
        time.sleep(0.2)
        return super().detect(pixels)


@pytest.mark.parametrize("given", [False, True])
def test_nothing_goes_on_after_an_interruption(team: Path, given: bool) -> None:
    dawdling = Dawdling()
    staff = fs.Collection("staff", analyzer=attrs.evolve(fake_analyzer(), detector=dawdling))

    def interrupt(_: FolderProgress) -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        staff.index_folder(team, progress=interrupt, executor=pool if given else None, in_flight=12)
    assert dawdling.seen < 8  # of 12; the pool ended when all that it had was done


def test_an_error_of_the_callers_stops_the_work(staff: fs.Collection, team: Path) -> None:
    def fail(_: FolderProgress) -> None:
        raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        staff.index_folder(team, progress=fail)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("facesearch")]


# -------------------------------------------------------------------- telling


def test_progress_is_told_photo_by_photo(staff: fs.Collection, team: Path) -> None:
    told: list[FolderProgress] = []
    staff.index_folder(team, progress=told.append)
    report = quiet(staff, team)
    staff.index_folder(team, progress=told.append)

    first, second = told[:12], told[12:]
    for events, known in ((first, 0), (second, 12)):
        assert [now.done for now in events] == list(range(1, 13))
        last = events[-1]
        assert (last.total, last.known, last.accepted, last.refused) == (
            12,
            known,
            report.accepted,
            len(report.refused),
        )
        assert last.broken == len(report.broken) == 1
        assert all(now.accepted + now.refused + now.broken <= now.done for now in events)


def test_rate_and_time_left() -> None:
    now = FolderProgress(total=100, done=40, known=20, accepted=30, refused=5, broken=0, seconds=10)

    assert (now.rate, now.seconds_left) == (2, 30)
    assert str(now) == "40 of 100 photos, 2.0 a second, 0:30 left: 30 accepted, 5 refused, 0 broken"
    assert attrs.evolve(now, known=40).seconds_left is None
    assert "left" not in str(attrs.evolve(now, total=40))
    assert "1:02:03 left" in str(attrs.evolve(now, total=40 + 2 * 3723))


class Terminal:
    """A standard error that is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(staff: fs.Collection, team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    report = staff.index_folder(team)

    assert "12/12" in terminal.text
    assert f"accepted={report.accepted}, refused={len(report.refused)}, broken=1" in terminal.text


@pytest.mark.parametrize("terminal", [False, True])
def test_without_tqdm_or_terminal_the_log_tells(  # noqa: PLR0917  # fixtures
    staff: fs.Collection,
    team: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    terminal: bool,
) -> None:
    if terminal:
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(progress_shown, "_EVERY", 0.0)
    with caplog.at_level(logging.INFO, "facesearch"):
        staff.index_folder(team)
        lines = len(caplog.records)
        staff.index_folder(team, progress=False)

    assert lines == len(caplog.records) == 12
    assert caplog.messages[-1].startswith("12 of 12 photos")
    assert capfd.readouterr() == ("", "")


def test_the_report_prints_travels_as_json_and_shows_in_a_notebook(staff: fs.Collection, team: Path) -> None:
    write(team / "bob" / "note.txt", b"")
    report = quiet(staff, team)
    plain = json.loads(json.dumps(report.to_dict()))

    assert plain["photos"] == 12
    assert plain["skipped"] == {".txt": 1}
    assert plain["refused"][0]["path"] == str(team / "ada" / "4.png")
    assert plain["refused"][0]["reasons"] == ["LOW_MATCH_CONFIDENCE"]
    lines = str(report).splitlines()
    assert lines[:2] == [
        f"12 photos, 3 users: {report.accepted} accepted, {len(report.refused)} refused, 1 broken",
        "1 other file skipped: 1 .txt",
    ]
    assert any(line.startswith("eve/broken.png") for line in lines)
    html = attrs.evolve(report, notes=("<b>",))._repr_html_()
    assert "SEVERAL_FACES" in html
    assert "&lt;b&gt;" in html
    many = attrs.evolve(report, refused=report.refused * 10)._repr_html_()
    assert "more rows; print it for all" in many


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(staff: fs.Collection, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "p", {"ada": {"1.png": portrait(RED), os.fsdecode(b"\xff.png"): NOBODY}})
    report = quiet(staff, root)

    assert report.accepted == 1
    assert "ada/\\xff.png" in str(report)
    str(report).encode()
    json.dumps(report.to_dict()).encode()


def test_what_is_remembered_names_no_user(staff: fs.Collection) -> None:
    enrolled = staff.enroll("ada", [portrait(RED)])
    photo = staff.enroll("mallory", [portrait(RED)]).photos[0]
    outcome = PhotoOutcome.of_enrollment(photo, 50.0)

    assert enrolled.accepted == 1
    assert outcome.detail == "it is a face of ada already"
    assert "ada" not in outcome.dumps()
    assert PhotoOutcome.loads(outcome.dumps(), "ada") == outcome
    broken = PhotoOutcome(error=BrokenFile(error="no photo").error)
    assert PhotoOutcome.loads(broken.dumps(), None) == broken
