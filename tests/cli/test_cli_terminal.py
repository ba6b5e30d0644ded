"""The command line in real processes and a real terminal, with Ctrl-C."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from PIL import Image, ImageOps

import facesearch as fs
from samples import astronaut, hopper

FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
HEAVY = ("numpy", "attrs", "attr", "PIL", "onnxruntime", "onnx", "dlib", "skimage", "matplotlib", "sqlite3", "tqdm")
PATIENCE = 300  # seconds
PEOPLE, EACH = 12, 2  # in the crowd, and photos per person
PHOTOS = PEOPLE * EACH

# Makes its terminal the controlling terminal, as a shell does for its children, and executes the program.
_TAKE_TERMINAL = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.SIG_DFL); "  # ignored where the tests run in a shell's background
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def run(
    *arguments: str | Path | bytes, program: tuple[str, ...] = (FACESEARCH,), **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own program, our own arguments
        [*program, *arguments],
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        timeout=PATIENCE,
        check=False,
    )


class Terminal:
    """A program in its own terminal."""

    def __init__(self, *arguments: str | Path, columns: int = 100) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        self._process = subprocess.Popen(  # noqa: S603  # our own program, our own arguments
            [sys.executable, "-c", _TAKE_TERMINAL, FACESEARCH, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=environment | {"TERM": "xterm"},
        )
        os.close(theirs)
        self.shown = ""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read until a pattern is shown."""
        end = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.shown)) is None:
            assert time.monotonic() < end, self.shown
            assert self._read(), self.shown
        return found

    def finish(self) -> int:
        """Read to the end and return the exit status."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], PATIENCE)[0]:
            self._process.kill()
            return False
        try:
            told = os.read(self._ours, 4096)
        except OSError:  # on Linux: the other end is closed
            return False
        self.shown += told.decode(errors="replace")
        return bool(told)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, and many different photos of them."""
    folder = tmp_path_factory.mktemp("photos")
    woman = Image.fromarray(astronaut()).crop((96, 0, 352, 256))
    admiral = Image.fromarray(hopper()).resize((256, 300))
    for who, photo in (("eileen", woman), ("grace", admiral)):
        photo.save(folder / f"{who}.jpg")
        for person in range(PEOPLE // 2):
            sub = folder / "crowd" / f"{who}{person}"
            sub.mkdir(parents=True)
            for number in range(EACH):
                photo.rotate(person - 3 + number / EACH).save(sub / f"{number}.jpg")
        (folder / "people" / who).mkdir(parents=True)
        photo.rotate(3).save(folder / "people" / who / "1.jpg")
        (folder / "session" / who).mkdir(parents=True)
        for number, altered in enumerate((ImageOps.mirror(photo), photo.rotate(5))):
            altered.save(folder / "session" / who / f"{number}.jpg")
    party = Image.new("RGB", (512, 300))
    for left, who in ((0, "eileen"), (256, "grace")):
        with Image.open(folder / f"{who}.jpg") as photo:
            party.paste(photo.rotate(-3), (left, 0))
    party.save(folder / "party.jpg")
    return folder


@pytest.fixture(scope="module")
def db(photos: Path) -> Path:
    file = photos / "people.db"
    done = run("index", photos / "people", "--db", file)
    assert done.returncode == 0, done.stderr
    return file


# ---------------------------------------------------------------- processes


def test_help_loads_nothing_heavy() -> None:
    code = f"""
import sys
from facesearch.cli.app import app
for arguments in (["--help"], ["search", "--help"], ["index", "--help"], ["doctor", "--help"]):
    try:
        app(arguments)
    except SystemExit as end:
        assert end.code == 0
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    assert run("-c", code, program=(sys.executable,)).stderr.strip() == "[]"


def test_both_ways_to_start_are_one() -> None:
    script, module = run("--version"), run("--version", program=(sys.executable, "-m", "facesearch"))

    assert script.stdout == f"facesearch {fs.__version__}\n"
    assert module.stdout == f"python -m facesearch {fs.__version__}\n"
    assert script.returncode == module.returncode == 0


def test_exit_statuses_and_streams(photos: Path, db: Path) -> None:
    found = run("search", photos / "eileen.jpg", "--db", db, "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["UserMatches"][0]["User"]["UserId"] == "eileen"

    for arguments, status in (
        (("search", photos / "eileen.jpg", "--db", db, "--threshold", "100"), 1),
        (("search", photos / "eileen.jpg"), 2),
        (("search", photos / "none.jpg", "--db", db, "--json"), 3),
        (("search", photos / "eileen.jpg", "--db", photos / "none.db", "--json"), 4),
    ):
        done = run(*arguments)
        assert done.returncode == status, done.stderr
        assert (done.stdout == "") == (status > 1)
        assert (done.stderr == "") == (status <= 1)
        assert "Traceback" not in done.stderr


def test_a_reader_that_stops_reading_ends_it_in_silence() -> None:
    process = subprocess.Popen(  # noqa: S603  # our own program
        [FACESEARCH, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=PATIENCE)

    assert (process.returncode, said) == (141, b"")


def test_names_that_a_terminal_can_not_show(photos: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xe9\x1b[31m.jpg"  # not UTF-8, with an escape sequence for red text
    shutil.copy(os.fsencode(photos / "eileen.jpg"), odd)
    done = run("compare", odd, odd, PYTHONIOENCODING="ascii")

    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert "\\udce9\\x1b[31m.jpg" in done.stdout
    missing = run("detect", odd + b"x", PYTHONIOENCODING="ascii")
    assert missing.returncode == 3
    assert "\x1b" not in missing.stderr


def test_bash_takes_the_completion_script() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    script = run("completion", "bash").stdout
    words = "COMP_WORDS=(facesearch sea); COMP_CWORD=1; _facesearch_completion facesearch; echo ${COMPREPLY[@]}"
    path = f"{Path(FACESEARCH).parent}{os.pathsep}{os.environ['PATH']}"
    done = run("-c", f"{script}\n{words}\ncomplete -p facesearch", program=(bash,), PATH=path)

    assert done.stdout.startswith("search\n"), done.stderr
    assert "_facesearch_completion" in done.stdout.splitlines()[1]


# ---------------------------------------------------------------- a terminal


def test_long_ids_are_shortened_on_a_terminal_only(tmp_path: Path) -> None:
    db, long = tmp_path / "long.db", "a" * 64 + "b" * 64
    assert run("create-user", long, "--db", db).returncode == 0
    terminal = Terminal("users", "--db", db, columns=50)
    assert terminal.finish() == 0
    lines = terminal.shown.splitlines()

    assert re.fullmatch(r"a+\.\.\.b+ +0 +CREATED", lines[1])
    assert [len(line) for line in lines] == [50 - len("CREATED") + len("status"), 50]
    assert run("users", "--db", db).stdout.splitlines()[1].split()[0] == long


def test_a_question_is_asked_and_ctrl_c_is_no(db: Path) -> None:
    terminal = Terminal("delete-user", "grace", "--db", db)
    terminal.wait_for(r"Delete user grace and 1 face from people\? \[y/N\]: ")
    terminal.type("\x03")

    assert terminal.finish() == -signal.SIGINT  # 130 to a shell
    assert "grace" in run("users", "--db", db).stdout


def test_indexing_shows_its_progress(photos: Path, tmp_path: Path) -> None:
    terminal = Terminal("index", photos / "people", "--db", tmp_path / "new.db", columns=120)
    assert terminal.finish() == 0

    assert re.search(r"photos  \[#+-*\]  1/2", terminal.shown)
    assert re.search(r"2/2  \d+\.\d a second.*2 accepted, 0 refused", terminal.shown)
    assert "2 photos, 2 users: 2 accepted, 0 refused, 0 broken" in terminal.shown
    assert "%" not in terminal.shown


def test_the_bar_fits_a_narrow_terminal(photos: Path, tmp_path: Path) -> None:
    terminal = Terminal("index", photos / "people", "--db", tmp_path / "new.db", columns=40)
    assert terminal.finish() == 0
    bars = [line for line in re.split(r"[\r\n]", re.sub(r"\x1b\[\?25[lh]", "", terminal.shown)) if "photos  [" in line]

    assert bars
    assert all(len(bar.rstrip()) <= 40 for bar in bars), bars


def interrupted(photos: Path, db: Path) -> Terminal:
    """Index, and press Ctrl-C when some photos are done."""
    terminal = Terminal("index", photos / "crowd", "--db", db, "--workers", "2")
    terminal.wait_for(r"[1-9]\d* to be judged")
    terminal.type("\x03")
    assert terminal.finish() == 130
    return terminal


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(photos: Path, tmp_path: Path) -> None:
    db = tmp_path / "crowd.db"
    terminal = interrupted(photos, db)
    told = re.search(
        rf"Interrupted: (\d+) of {PHOTOS} photos are done and kept, (\d+) of them to be judged when all are; "
        "the same command goes on from there",
        terminal.shown,
    )
    assert told, terminal.shown
    kept = int(told[1])
    assert told[2] == told[1]
    assert 0 < kept < PHOTOS
    assert "Traceback" not in terminal.shown

    # The file is usable; people are judged together at the end, so there are no users yet.
    assert json.loads(run("users", "--db", db, "--json").stdout)["Users"] == []
    assert run("search", photos / "eileen.jpg", "--db", db).returncode == 1

    resumed = json.loads(run("index", photos / "crowd", "--db", db, "--json").stdout)
    assert (resumed["photos"], resumed["known"]) == (PHOTOS, kept)
    fresh = tmp_path / "fresh.db"
    at_once = json.loads(run("index", photos / "crowd", "--db", fresh, "--json").stdout)
    for name in ("accepted", "users", "photos"):
        assert resumed[name] == at_once[name]
    # All but the face ids, which differ between files, and the order.
    shown = [[line.split()[1:] for line in run("faces", "--db", each).stdout.splitlines()] for each in (db, fresh)]
    assert sorted(shown[0]) == sorted(shown[1])


def test_the_session_in_the_readme_is_true(photos: Path, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    session = re.search(r"## Command line\n.*?```console\n(.*?)```", readme, re.DOTALL)
    assert session
    shutil.copytree(photos / "session", tmp_path / "people")
    shutil.copy(photos / "party.jpg", tmp_path)
    path = f"{Path(FACESEARCH).parent}{os.pathsep}{os.environ['PATH']}"
    for command in re.split(r"^\$ ", session[1], flags=re.MULTILINE)[1:]:
        line, _, shown = command.partition("\n")
        done = subprocess.run(  # noqa: S602  # our own lines, which a shell reads
            f"{line} 2>&1",
            shell=True,
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=True,
        )
        assert (line, without_decimals(done.stdout)) == (line, without_decimals(shown))
    assert fs.from_aws(json.loads((tmp_path / "answer.json").read_text()), fs.SearchUsersByImageResponse).user_matches


def without_decimals(text: str) -> str:
    """Remove digits that another processor may round differently."""
    return re.sub(r"(?<=\d)\.\d+", "", text)
