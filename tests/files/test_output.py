"""Writing files: protected files are never replaced, files are whole or absent, private, and none are left over."""

import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

import facesearch as fs
from durable import MEMORY, bytes_of, contents, unprivileged
from facesearch.benchmark.metrics.roc import roc
from facesearch.benchmark.photos.embedded import load_vectors, save_vectors
from facesearch.benchmark.plots import plot_roc
from facesearch.cli.shell.saving import save_photo
from facesearch.files.protected import Protected
from facesearch.files.unfinished import remove_unfinished
from facesearch.files.writing import OutputKind, signature, write_file
from samples import astronaut

ONES = np.ones(128)
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has neither modes nor links for everybody")


@pytest.fixture
def people(tmp_path: Path) -> Iterator[fs.Collection]:
    """A collection in a file that has another one."""
    path = tmp_path / "people.db"
    with fs.Collection.open(path, "visitors") as visitors:
        visitors.add_embedding("bob", ONES)
    with fs.Collection.open(path, "staff") as staff:
        staff.add_embedding("ada", ONES)
        yield staff


@pytest.fixture
def loose_umask() -> Iterator[None]:
    """Run with a umask that allows others everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def start(code: str, *arguments: str | Path) -> "subprocess.Popen[str]":
    """Run Python until it prints that it is ready."""
    process = subprocess.Popen(  # noqa: S603  # our own code
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


# ---------------------------------------------------------------- what is written, by kind


def marked(path: Path, **options: Any) -> None:
    picture = fs.read_image(np.zeros((100, 100, 3), np.uint8))
    save_photo(picture, [], path, Protected(), force=options.get("overwrite", False))


def exported(path: Path, **options: Any) -> None:
    collection = fs.Collection("staff")
    collection.add_embedding("ada", ONES)
    collection.save(path, **options)


def calibrated(path: Path, **options: Any) -> None:
    fs.calibration().save(path, **options)


def plotted(path: Path, **options: Any) -> None:
    plot_roc(path, {"one": roc(np.array([0.1, 0.2, 0.9]), np.array([True, True, False]))}, **options)


WRITERS: dict[str, Callable[..., None]] = {
    "staff.npz": exported,
    "table.json": calibrated,
    "marked.png": marked,
    "marked.jpg": marked,
    "roc.png": plotted,
}
each_kind = pytest.mark.parametrize(("name", "write"), WRITERS.items(), ids=WRITERS)


@each_kind
def test_an_earlier_output_of_the_same_kind_is_replaced(tmp_path: Path, name: str, write: Any) -> None:
    write(tmp_path / name)
    first = (tmp_path / name).read_bytes()
    (tmp_path / name).touch()
    write(tmp_path / name)

    assert bytes_of(tmp_path) == {name: first}


@each_kind
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=1))
def test_a_file_of_unknown_content_is_never_replaced(tmp_path: Path, name: str, write: Any, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(fs.OutputRefusedError, match="not replaced, it exists and is not"):
        write(tmp_path / name)

    assert bytes_of(tmp_path) == {name: content}


OTHERS = ("photo.jpg", "photo.png", "archive.zip", "notes.json", "arrays.npz", *WRITERS)


@pytest.mark.parametrize(
    ("name", "write", "other"),
    [(name, write, other) for name, write in WRITERS.items() for other in OTHERS if WRITERS.get(other) is not write],
)
def test_a_file_of_another_kind_is_replaced_only_when_told_to(
    tmp_path: Path, name: str, write: Any, other: str
) -> None:
    target = tmp_path / name
    match other:
        case "photo.jpg" | "photo.png":
            Image.fromarray(astronaut()).save(target, other[-3:].replace("jpg", "jpeg"), comment=b"facesearch")
        case "archive.zip":
            with zipfile.ZipFile(target, "w") as archive:
                archive.writestr("vectors.npy", b"...")
        case "notes.json":
            target.write_text(json.dumps({"format": 1, "rows": []}))
        case "arrays.npz":
            with target.open("wb") as file:
                np.savez(file, about=ONES, vectors=ONES)
        case _:
            source = tmp_path / f"other{Path(other).suffix}"
            WRITERS[other](source)
            source.rename(target)
    before = bytes_of(tmp_path)
    with pytest.raises(
        fs.OutputRefusedError, match=rf"{name}: not replaced, .* choose another file .*--force .*overwrite"
    ):
        write(target)
    assert bytes_of(tmp_path) == before

    write(target, overwrite=True)

    assert bytes_of(tmp_path) != before
    write(target)  # which it recognises


@each_kind
def test_folders_and_devices_are_never_replaced(tmp_path: Path, name: str, write: Any) -> None:
    (tmp_path / name).mkdir()
    for overwrite in (False, True):
        with pytest.raises(fs.OutputRefusedError, match="got a folder"):
            write(tmp_path / name, overwrite=overwrite)
    (tmp_path / name).rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / name)
        for overwrite in (False, True):
            with pytest.raises(fs.OutputRefusedError, match="got a device or a pipe"):
                write(tmp_path / name, overwrite=overwrite)
    if hasattr(socket, "AF_UNIX"):
        (tmp_path / name).unlink()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / name))
            with pytest.raises(fs.OutputRefusedError, match="got a device or a pipe"):
                write(tmp_path / name, overwrite=True)


@POSIX
@each_kind
def test_what_is_replaced_keeps_its_mode_and_the_link_to_it(tmp_path: Path, name: str, write: Any) -> None:
    (tmp_path / "real").mkdir()
    file, middle, link = tmp_path / "real" / name, tmp_path / "middle", tmp_path / f"link{Path(name).suffix}"
    write(file)
    middle.symlink_to(Path("real") / name)
    link.symlink_to("middle")
    for mode in (0o600, 0o640, 0o444):
        file.chmod(mode)
        before = file.stat().st_ino
        write(link)
        assert (link.is_symlink(), middle.is_symlink(), file.is_symlink()) == (True, True, False)
        assert mode_of(file) == mode
        assert file.stat().st_ino != before

    file.unlink()
    write(link)  # a dangling link: its target is created
    assert file.is_file()
    assert link.is_symlink()


@POSIX
@pytest.mark.usefixtures("loose_umask")
def test_what_is_personal_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(tmp_path / name)
    save_vectors(tmp_path / "cache.npz", "key", ONES[None].astype(np.float32), np.ones(1, bool))
    with fs.Collection.open(tmp_path / "people.db", "staff") as staff:
        staff.add_embedding("ada", ONES)
        modes = {path.name: mode_of(path) for path in tmp_path.iterdir()}

    assert modes == {
        **dict.fromkeys(["staff.npz", "marked.png", "marked.jpg", "cache.npz"], 0o600),
        **dict.fromkeys(["people.db", "people.db-wal", "people.db-shm"], 0o600),
        **dict.fromkeys(["table.json", "roc.png"], 0o666),  # without personal data
    }


@POSIX
def test_files_beside_a_database_have_the_mode_that_its_owner_chose(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    fs.Collection.open(path, "staff").close()
    path.chmod(0o660)
    with fs.Collection.open(path, "staff") as staff:
        staff.add_embedding("ada", ONES)
        assert {mode_of(each) for each in tmp_path.iterdir()} == {0o660}


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_what_it_replaces_back_to_its_owner(tmp_path: Path) -> None:
    exported(tmp_path / "staff.npz")
    os.chown(tmp_path / "staff.npz", 65534, 65534)
    exported(tmp_path / "staff.npz")

    found = (tmp_path / "staff.npz").stat()
    assert (found.st_uid, found.st_gid, mode_of(tmp_path / "staff.npz")) == (65534, 65534, 0o600)


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_the_group_of_what_is_replaced_is_not_exchanged_for_another() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        exported(folder / "staff.npz")
        (folder / "staff.npz").chmod(0o664)
        folder.chmod(0o777)
        with unprivileged():
            exported(folder / "staff.npz")

        assert mode_of(folder / "staff.npz") == 0o604


# ---------------------------------------------------------------- databases and inputs

SPELLINGS: dict[str, Callable[[Path], Any]] = {
    "absolute": lambda path: path,
    "text": str,
    "relative": lambda path: Path(os.path.relpath(path)),
    "detour": lambda path: path.parent / "sub" / ".." / path.name,
    "link": lambda path: linked(path, os.symlink, path.name),
    "hard link": lambda path: linked(path, os.link, path),
    "through a linked folder": lambda path: linked(path, os.symlink, path.parent) / path.name,
    "-wal": lambda path: path.with_name(f"{path.name}-wal"),
    "-shm": lambda path: path.with_name(f"{path.name}-shm"),
    "-journal, which is not there": lambda path: path.with_name(f"{path.name}-journal"),
    "-WAL, which is the same on some systems": lambda path: path.with_name(f"{path.name.upper()}-WAL"),
    "link to -wal": lambda path: linked(path, os.symlink, f"{path.name}-wal"),
    "link to -journal, which is not there": lambda path: linked(path, os.symlink, f"{path.name}-journal"),
    "hard link to -wal": lambda path: linked(path, os.link, f"{path}-wal"),
}


def lasting(folder: Path) -> dict[str, bytes]:
    """All files, without SQLite's index of the log."""
    return {name: content for name, content in bytes_of(folder).items() if not name.endswith("-shm")}


def linked(path: Path, link: Callable[[Any, Any], object], target: Any) -> Path:
    link(target, path.parent / "alias")
    return path.parent / "alias"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_open_database_is_never_replaced(
    people: fs.Collection, tmp_path: Path, spelling: str, overwrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    target = SPELLINGS[spelling](tmp_path / "people.db")
    seen, before = contents(people), lasting(tmp_path)
    with pytest.raises(
        fs.OutputRefusedError, match=r"not replaced, it is (a part of )?the (open )?database .*people\.db"
    ):
        people.save(target, overwrite=overwrite)
    other = fs.Collection("other")  # of which this is no matter, nor of other outputs
    with pytest.raises(fs.OutputRefusedError):
        other.save(target, overwrite=overwrite)
    with pytest.raises(fs.OutputRefusedError):
        fs.calibration().save(target, overwrite=overwrite)

    assert lasting(tmp_path) == before
    people.create_user("cy")  # it goes on working
    assert contents(people) != seen
    assert [info.collection_id for info in fs.collections(tmp_path / "people.db")] == ["staff", "visitors"]


def test_a_database_opened_by_another_name_is_known_by_all_its_names(people: fs.Collection, tmp_path: Path) -> None:
    os.link(tmp_path / "people.db", tmp_path / "second.db")
    before = lasting(tmp_path)
    for name in ("second.db", "second.db-wal"):
        with pytest.raises(fs.OutputRefusedError):
            people.save(tmp_path / name, overwrite=True)

    assert lasting(tmp_path) == before


def test_a_database_that_another_process_has_open_is_never_replaced(tmp_path: Path) -> None:
    code = """
import sys, numpy as np, facesearch as fs
with fs.Collection.open(sys.argv[1], "staff") as staff:
    staff.add_embedding("ada", np.ones(128))
    print("ready", flush=True)
    sys.stdin.read()
"""
    path = tmp_path / "people.db"
    process = start(code, path)
    try:
        for name in ("people.db", "people.db-wal", "people.db-shm", "people.db-journal"):
            with pytest.raises(fs.OutputRefusedError, match="database"):
                exported(tmp_path / name, overwrite=True)
    finally:
        process.communicate("")
    assert [info.users for info in fs.collections(path)] == [1]


def test_another_database_is_replaced_only_when_told_to(people: fs.Collection, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    fs.Collection.open(other, "others").close()
    before = other.read_bytes()
    with pytest.raises(fs.OutputRefusedError, match=r"other\.db: not replaced, it exists and is not an export"):
        people.save(other)
    assert other.read_bytes() == before

    people.save(other, overwrite=True)

    assert fs.Collection.load(other).faces() == people.faces()


def test_no_database_is_made_in_the_place_of_a_part_of_another(people: fs.Collection, tmp_path: Path) -> None:
    people.close()
    with pytest.raises(fs.OutputRefusedError, match=r"a part of the database .*people\.db"):
        fs.Collection.open(tmp_path / "people.db-journal", "staff")

    assert not (tmp_path / "people.db-journal").exists()


def test_a_closed_database_is_not_known_any_more(people: fs.Collection, tmp_path: Path) -> None:
    people.close()
    fs.Collection("memory").save(tmp_path / "people.db", overwrite=True)
    assert fs.Collection.load(tmp_path / "people.db").users() == ()


@pytest.mark.parametrize("overwrite", [False, True])
def test_inputs_are_known_by_every_name_and_as_open_files(tmp_path: Path, overwrite: bool) -> None:
    photo = tmp_path / "photo.png"
    marked(photo)  # of the right kind: it is refused as an input alone
    (tmp_path / "link.png").symlink_to(photo)
    os.link(photo, tmp_path / "hard.png")
    before = bytes_of(tmp_path)
    with photo.open("rb") as stream:
        for source in (photo, str(photo), tmp_path / "link.png", tmp_path / "hard.png", stream):
            for target in (photo, tmp_path / "link.png", tmp_path / "hard.png", tmp_path / "x" / ".." / "photo.png"):
                with pytest.raises(fs.OutputRefusedError, match="an input of this command"):
                    save_photo(fs.read_image(photo), [], target, Protected([source]), force=overwrite)
    save_photo(fs.read_image(photo), [], tmp_path / "new.png", Protected([photo, io.BytesIO(b"..")]), force=False)

    assert bytes_of(tmp_path) == before | {"new.png": (tmp_path / "new.png").read_bytes()}


def test_the_benchmarks_cache_replaces_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    with pytest.raises(fs.OutputRefusedError):
        save_vectors(tmp_path / "photo.jpg", "key", ONES[None].astype(np.float32), np.ones(1, bool))
    assert bytes_of(tmp_path) == {"photo.jpg": b"a photo"}
    for key in ("one", "two"):
        save_vectors(tmp_path / "cache.npz", key, ONES[None].astype(np.float32), np.ones(1, bool))
        assert load_vectors(tmp_path / "cache.npz", key) is not None


# ---------------------------------------------------------------- whole or not at all

PLAIN = OutputKind(name="a test", recognises=signature(b"made by a test"))


def write_and(do: Callable[[], object], target: Path) -> None:
    with write_file(target, PLAIN) as file:
        file.write(b"made by a test, half")
        do()


def interrupt() -> None:
    raise KeyboardInterrupt


def test_what_fails_on_the_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for before in ({}, {"file": b"made by a test, before"}):
        for name, content in before.items():
            (tmp_path / name).write_bytes(content)
        with pytest.raises(KeyboardInterrupt):
            write_and(interrupt, target)
        assert bytes_of(tmp_path) == before


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with pytest.raises(fs.OutputRefusedError, match="not replaced"):
        write_and(lambda: target.write_bytes(b"somebody else's"), target)
    assert bytes_of(tmp_path) == {"file": b"somebody else's"}


def test_of_two_who_write_one_file_at_once_each_writes_it_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with write_file(target, PLAIN) as first:
        first.write(b"made by a test, first")
        with write_file(target, PLAIN) as second:
            second.write(b"made by a test, second")
        assert target.read_bytes() == b"made by a test, second"
    assert bytes_of(tmp_path) == {"file": b"made by a test, first"}


@pytest.mark.parametrize("length", [255, 251, 230, 100])
def test_any_name_that_a_file_may_have_can_be_written(tmp_path: Path, length: int) -> None:
    for letter in "aé":
        name = (letter * length).encode()[: length - length % len(letter.encode())].decode()
        with write_file(tmp_path / name, PLAIN) as file:
            file.write(b"made by a test")
        assert (tmp_path / name).is_file()


# ---------------------------------------------------------------- what killed processes left

PAUSE = """
import sys
import numpy as np
import facesearch as fs

def pause(*_, **__):
    print("ready", flush=True)
    sys.stdin.read()

"""
SAVE = (
    PAUSE
    + """
write = np.lib.format.write_array

def half(member, array, **options):
    write(member, array, **options)
    if array.ndim == 2:
        member._fileobj.flush()
        pause()

np.lib.format.write_array = half
staff = fs.Collection("staff")
staff.add_embedding("ada", np.ones(128))
staff.save(sys.argv[1])
"""
)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.endswith((".new", ".new-wal", ".new-shm")))


def test_what_a_killed_save_left_is_removed_by_the_next_save(tmp_path: Path) -> None:
    kill(start(SAVE, tmp_path / "staff.npz"))
    (name,) = left(tmp_path)
    assert name.startswith(".staff.npz.")
    assert not (tmp_path / "staff.npz").exists()

    exported(tmp_path / "staff.npz")

    assert [path.name for path in tmp_path.iterdir()] == ["staff.npz"]


def test_what_a_killed_save_left_is_removed_by_a_save_of_another_name_in_the_folder(tmp_path: Path) -> None:
    kill(start(SAVE, tmp_path / "staff-2024-05-01.npz"))
    foreign = [".other.01234567.new", ".staff.npz.0123456.new", ".staff.npz.01234567.newer"]
    for each in foreign:
        (tmp_path / each).write_bytes(b"another program's")
    exported(tmp_path / "staff-2024-05-02.npz")

    assert sorted(bytes_of(tmp_path)) == sorted(["staff-2024-05-02.npz", *foreign])


@each_kind
def test_unfinished_files_of_others_are_in_nobodys_way(tmp_path: Path, name: str, write: Any) -> None:
    others = {
        f".other.0123456{number}.new": content
        for number, content in enumerate((b"", b"{", b"PK\x03\x04", b"\x93NUMPY"))
    }
    for other, content in others.items():
        (tmp_path / other).write_bytes(content)
    write(tmp_path / name)

    assert bytes_of(tmp_path).keys() == {name, *others}


def test_what_a_living_process_is_writing_stays(tmp_path: Path) -> None:
    living = start(SAVE, tmp_path / "staff.npz")
    (name,) = left(tmp_path)
    kill(start(SAVE, tmp_path / "staff.npz"))
    assert len(left(tmp_path)) == 2
    exported(tmp_path / "staff.npz")
    assert left(tmp_path) == [name]

    living.communicate("")

    assert living.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["staff.npz"]


def test_what_older_versions_left_beside_a_database_is_removed_by_the_next(tmp_path: Path) -> None:
    for name in (".people.db.01234567.new", ".people.db.01234567.new-wal", ".people.db.89abcdef.new-shm"):
        (tmp_path / name).write_bytes(b"vectors")
    fs.Collection.open(tmp_path / "people.db", "staff").close()

    assert [path.name for path in tmp_path.iterdir()] == ["people.db"]


@POSIX
@pytest.mark.parametrize("where", ["os.fsync", "os.link", "pathlib.Path.unlink"])
def test_whoever_is_killed_making_a_database_leaves_nothing_for_good(tmp_path: Path, where: str) -> None:
    path = tmp_path / "people.db"
    code = f"import os, pathlib\n{PAUSE}\n{where} = pause\nfs.Collection.open(sys.argv[1], 'staff')"
    kill(start(code, path))
    assert len(left(tmp_path)) == 1
    for _ in range(2):
        with fs.Collection.open(path, "staff") as staff:
            staff.create_user("ada") if "ada" not in staff else None
            assert len(staff) == 1

    assert [each.name for each in tmp_path.iterdir()] == ["people.db"]


@POSIX
def test_looking_at_a_database_in_use_takes_no_lock_away(people: fs.Collection, tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "people.db"
    os.link(path, tmp_path / "alias.db")
    os.link(path, tmp_path / ".people.db.01234567.new")
    with path.open("r+b") as file:
        fcntl.lockf(
            file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 << 40
        )  # as SQLite locks: closing any descriptor of the file ends it
        for name in ("people.db", "alias.db", "people.db-wal", "alias.db-wal"):
            with pytest.raises(fs.OutputRefusedError):
                people.save(tmp_path / name, overwrite=True)
        exported(tmp_path / "staff.npz")
        assert remove_unfinished(path) == [tmp_path / ".people.db.01234567.new"]
        code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 << 40)"
        tried = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)  # noqa: S603  # our own
    assert "BlockingIOError" in tried.stderr


def test_an_unfinished_file_is_removed_only_where_it_is_one(tmp_path: Path) -> None:
    target = tmp_path / "people.db"
    (tmp_path / ".people.db.01234567.new").mkdir()
    (tmp_path / ".people.db.89abcdef.new").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(b"kept")

    assert remove_unfinished(target) == []
    assert (tmp_path / "elsewhere").read_bytes() == b"kept"
    assert remove_unfinished(tmp_path / "nowhere" / "people.db") == []


# ---------------------------------------------------------------- paths are bound when an object is made


@contextmanager
def elsewhere(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_an_account_stays_with_its_file_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facesearch.rekognition import Rekognition, client

    monkeypatch.chdir(tmp_path)
    accounts: dict[str, Any] = {"one.db": Rekognition("one.db"), "two.db": client("two.db")}
    for name, made in accounts.items():
        with elsewhere(tmp_path / "other"):
            made.create_collection(CollectionId="staff")
            made.create_user(CollectionId="staff", UserId="ada")
        assert [info.users for info in fs.collections(name)] == [1]
        with elsewhere(tmp_path / "third"):
            fs.Collection.open(name, "staff").close()  # what is there of that name is another one
            made.delete_collection(CollectionId="staff")
            assert len(fs.collections(name)) == 1
        assert fs.collections(name) == ()
        made.close()
    assert not list((tmp_path / "other").iterdir())


def test_an_object_store_stays_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from facesearch.rekognition.s3_objects import S3Folder

    monkeypatch.chdir(tmp_path)
    (tmp_path / "buckets" / "photos").mkdir(parents=True)
    (tmp_path / "buckets" / "photos" / "ada.jpg").write_bytes(b"...")
    store = S3Folder("buckets")
    with elsewhere(tmp_path / "other"):
        assert store.read("photos", "ada.jpg", None) == b"..."


def test_a_collection_stays_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with fs.Collection.open("people.db", "staff") as staff, elsewhere(tmp_path / "other"):
        staff.add_embedding("ada", ONES)
        assert staff.search_embedding(ONES)
    assert [info.users for info in fs.collections(tmp_path / "people.db")] == [1]


def test_a_network_stays_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    card = fs.NetworkCard(path="mine.onnx", name="mine", version="1.0", mean=0, scale=1, channels="RGB", dimension=128)
    assert card.path == tmp_path / "mine.onnx"


def test_a_folder_of_photos_stays_where_it_was_while_it_is_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: fs.FaceAnalyzer
) -> None:
    from facesearch.testing.fakes import paint

    monkeypatch.chdir(tmp_path)
    for number in range(40):
        photo = tmp_path / "album" / f"p{number:02}" / "1.png"
        photo.parent.mkdir(parents=True)
        Image.fromarray(paint((100, 120), {(20, 20, 80, 80): (200, 30, 6 * number)})).save(photo)
    staff = fs.Collection("staff", analyzer=fake)
    (tmp_path / "other").mkdir()

    report = staff.index_folder("album", progress=lambda _: os.chdir(tmp_path / "other"), in_flight=1)

    assert (report.photos, report.broken) == (40, ())
    assert str(report)


def test_photos_that_are_analyzed_one_by_one_stay_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: fs.FaceAnalyzer
) -> None:
    from facesearch.testing.fakes import paint

    monkeypatch.chdir(tmp_path)
    Image.fromarray(paint((100, 120), {(20, 20, 80, 80): (200, 30, 30)})).save("photo.png")
    names: list[Any] = ["photo.png", Path("photo.png"), tmp_path / "photo.png", *["photo.png"] * 20]
    answers = fake.analyze_many(iter(names), workers=1)
    with elsewhere(tmp_path / "other"):
        assert [len(faces) for faces in answers] == [1] * len(names)
    for wrong in ("", "nowhere.png", "http://localhost/photo.png", "/9j/" * 3000, "\0"):
        with pytest.raises(fs.ImageError) as many:
            list(fake.analyze_many([wrong]))
        with pytest.raises(fs.ImageError) as one:
            fake.analyze(wrong)
        assert str(many.value) == str(one.value)


def test_weights_are_found_in_one_place_whatever_the_path_of_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    from facesearch.networks.weights import FACE_ATTRIBUTES, weights_path

    package = Path(fs.__file__).parent
    monkeypatch.chdir(package.parent)
    monkeypatch.setattr(fs, "__path__", ["facesearch"])
    monkeypatch.setattr(fs.__spec__, "submodule_search_locations", ["facesearch"])
    found = weights_path(FACE_ATTRIBUTES)
    assert found == package / "data" / FACE_ATTRIBUTES.name


# ---------------------------------------------------------------- keys


@POSIX
@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o644, 1)])
def test_keys_that_others_can_read_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: int
) -> None:
    from facesearch.rekognition.http.sigv4 import read_keys

    file = tmp_path / "keys.txt"
    file.write_text("KEY0 0123456789abcdef0123456789abcdef\n")
    file.chmod(mode)

    assert list(read_keys(file)) == ["KEY0"]
    assert len(caplog.records) == warned
    if warned:
        assert caplog.records[0].levelname == "WARNING"
        assert f"keys.txt': other users can read it (mode {mode:04o}); restrict it with chmod 600" in caplog.text
        assert "0123456789" not in caplog.text
