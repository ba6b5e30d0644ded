"""Untrusted names are printed as plain text in the terminal and the log: every command, every argument."""

import json
import logging
import re
import subprocess
import sys
import traceback
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, strategies as st
from PIL import Image

import facesearch as fs
from facesearch.cli.app import app
from facesearch.cli.shell.groups import Command
from facesearch.common.printable import printable, printable_lines, printing_safely
from samples import astronaut

# Each would affect a terminal or mislead its reader if it were printed unchanged.
HOSTILE = {
    "colour": "a\x1b[31mb",
    "title": "a\x1b]0;owned\x07b",
    "c1": "a\x9b31mb",
    "newline": "a\nFORGED: all is well",
    "return": "a\rFORGED: all is well",
    "separators": "a\x85FORGED\u2028FORGED\u2029b",
    "bell": "a\x07\x08\x0b\x0c\x7fb",
    "bidi": "a\u202egpj.exe\u2066\u200f",
    "hidden": "a\u200b\ufeff\u2060b",
    "surrogate": "a\udce9\ud800b",
}
# For whole commands, which take their time: all of them in one name, but for those that no file can have.
NAMES = {
    "all": "".join(name for kind, name in HOSTILE.items() if kind != "surrogate"),
    "surrogate": HOSTILE["surrogate"],
}
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
VERBS = [verb for verb in app.commands.values() if isinstance(verb, Command)]
BENIGN = (
    "José",
    "Jose\u0301",
    "李",
    "अदा",
    "\u0645\u06cc\u200c\u062e",
    "👩\u200d🚀",
    "❤\ufe0f",
    "a\u3000b",
    "a\u202fb",
    "tab?",
    "C:\\new",
)


def is_safe(letter: str) -> bool:
    """Return whether a character is safe to print, by its properties in Unicode."""
    return (
        unicodedata.category(letter) not in {"Cc", "Cs", "Zl", "Zp"}
        and unicodedata.bidirectional(letter) not in BIDI
        and letter not in "\u061c\u200e\u200f\u200b\u2060\ufeff"
    )


def check_output(text: str) -> None:
    assert [letter for letter in text if letter != "\n" and not is_safe(letter)] == []
    assert [line for line in text.split("\n") if line.startswith("FORGED")] == []


@given(st.text())
def test_a_printable_text_is_one_safe_line(text: str) -> None:
    shown = printable(text)

    assert all(is_safe(letter) for letter in shown)
    assert printable(shown) == shown
    assert printable_lines(text) == "\n".join(printable(line) for line in text.split("\n"))


@pytest.mark.parametrize("name", BENIGN)
def test_nothing_that_people_write_is_changed(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_what_it_becomes_can_be_read_back(name: str) -> None:
    assert re.search(r"\\(n|r|x[0-9a-f]{2}|u[0-9a-f]{4})", printable(name))
    assert printable(name).encode("latin-1").decode("unicode_escape") == name


# ---------------------------------------------------------------- every command


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo, an empty collection and an export."""
    folder = tmp_path_factory.mktemp("place")
    Image.fromarray(astronaut()).crop((96, 0, 352, 256)).save(folder / "photo.jpg")
    with fs.Collection.open(folder / "people.db", "people") as collection:
        collection.create_user("ada")
    return folder


def run(*arguments: str | Path, **options: Any) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], **options)


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `serve` end before it listens, after its checks and output."""
    from facesearch.rekognition.http import server

    monkeypatch.setattr(server, "serve", lambda *_, ready, **__: ready("http://127.0.0.1:1"))


def lines_with(verb: Command, name: str, db: Path) -> Iterator[list[str]]:
    """Yield a command line with the name in each argument and option, and one with an unknown option."""
    good = {"db": str(db), "photo": "-", "photos": "-", "port": "0", "out": "out"}
    given = [each for each in verb.params if isinstance(each, click.Argument)]
    needs_db = any(each.name == "db" and each.required for each in verb.params)

    def line(changed: click.Parameter | None, value: str) -> list[str]:
        words = [str(verb.name)]
        for each in given:
            if each is not changed:
                words.append(
                    "bash"
                    if each.name == "shell"
                    else good.get(str(each.name), "nothing")
                    if each.required
                    else "--help"
                )
            else:
                words.append(value)
        if isinstance(changed, click.Option):
            words += [changed.opts[0], value]
        if needs_db and (changed is None or changed.name != "db"):
            words += ["--db", str(db)]
        return words

    for each in verb.params:
        if not (isinstance(each, click.Option) and each.is_flag):
            yield line(each, name)
            yield line(each, f"--{name}")
            yield line(each, f"{name}.jpg")
    yield [*line(None, ""), f"--{name}"]
    yield [*line(None, ""), name, name]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb.name not in {"doctor", "demo"}], ids=lambda verb: verb.name
)
def test_no_command_prints_a_hostile_name_as_it_is(
    verb: Command, name: str, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in lines_with(verb, name, place / "people.db"):
        for extra in ([], ["--debug"]):
            done = run(*words, *extra)
            check_output(done.stdout)
            check_output(done.stderr)
            assert done.exit_code != 70, (words, done.output)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_files_that_are_there_are_named_safely(name: str, place: Path, tmp_path: Path) -> None:
    name = name.replace("\ud800", "")  # no file system has it
    try:
        folder = tmp_path / "people" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.jpg").write_text("no photo")
        (folder / f"1.{name}").write_text("no photo")
        copy = tmp_path / f"{name}.db"
        copy.write_bytes((place / "people.db").read_bytes())
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no such names")
    told = tmp_path / f"{name}.csv"
    told.write_text("photo,user_id\nx.jpg,a b\n")
    commands: tuple[list[str | Path], ...] = (
        ["index", tmp_path / "people", "--db", copy],
        ["index", folder, "--db", copy],
        ["index", told, "--db", copy],
        ["index", folder, "--user", "ada", "--db", copy],
        ["users", "--db", copy],
        ["users", "--db", folder / f"{name}.jpg"],
        ["detect", folder / f"{name}.jpg"],
        ["detect", folder],
        ["search", folder / f"{name}.jpg", "--db", copy],
        ["compare", place / "photo.jpg", folder / f"{name}.jpg"],
        ["export", tmp_path / f"{name}.npz", "--db", copy],
        ["benchmark", "speed", folder / f"{name}.jpg"],
        ["benchmark", "speed", place / "photo.jpg", f"--{name}"],
        ["benchmark", "verify", told],
        ["benchmark", "identify", tmp_path / "people"],
        ["import", tmp_path / f"{name}.npz", "--db", tmp_path / f"{name}2.db"],
        ["import", folder / f"{name}.jpg", "--db", tmp_path / f"{name}3.db"],
        ["serve", "--db", copy, "--objects", folder / f"1.{name}"],
        ["serve", "--db", copy, "--key-file", folder / f"1.{name}", "--port", "0"],
    )
    for words in commands:
        for extra in ([], ["--json"], ["--debug"]):
            if extra and words[0] in {"serve", "benchmark"}:
                continue
            done = run(*words, *extra)
            check_output(done.stdout)
            check_output(done.stderr)
            assert done.exit_code != 70, done.output


def test_doctor_names_a_file_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from facesearch.cli.commands import findings

    monkeypatch.setattr(findings, "_trial", lambda: iter(()))
    for file in (tmp_path / f"{NAMES['all']}.db", tmp_path):
        done = run("doctor", "--db", file)
        check_output(done.output)
        assert done.exit_code == 1


def test_the_environment_is_no_way_around(place: Path) -> None:
    done = run("users", env={"FACESEARCH_DB": f"{place}/{HOSTILE['colour']}\n.db"})

    assert done.exit_code == 4
    check_output(done.output)
    assert "\\x1b[31m" in done.stderr


# ---------------------------------------------------------------- whoever prints


def test_tracebacks_and_logs_of_a_command_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    name = "".join(HOSTILE.values())
    logger = logging.getLogger("facesearch.test_cli_printing")
    with printing_safely():
        logger.warning("%s", name)  # no handler: logging's last resort writes to standard error
        traceback.print_exception(ValueError(name))
        print(name)  # noqa: T201  # as a library would
        print(name, file=sys.stderr)  # noqa: T201  # likewise
        sys.stdout.writelines([name])
    done = capsys.readouterr()

    for text in (done.out, done.err):
        assert all(letter == "\n" or is_safe(letter) for letter in text)
        assert "\\x1b]0;owned\\x07" in text


def test_warnings_of_a_command_are_safe() -> None:
    code = """
import warnings
from facesearch.common.printable import printing_safely
with printing_safely():
    warnings.warn("a\\x1b]0;owned\\x07b")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)  # noqa: S603  # our own code

    assert "UserWarning: a\\x1b]0;owned\\x07b" in done.stderr


def test_the_log_of_the_server_has_one_line_for_each_message(capsys: pytest.CaptureFixture[str]) -> None:
    from facesearch.cli.commands.serve import _logged

    with printing_safely(), _logged():
        logging.getLogger("facesearch.somewhere").error("got %s", HOSTILE["newline"])

    assert capsys.readouterr().err == "got a\\nFORGED: all is well\n"


def test_standard_streams_are_as_before_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with printing_safely():
        assert sys.stdout is not before[0]
        with printing_safely():  # within another command, say
            assert sys.stdout.encoding == before[0].encoding
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_a_process_prints_what_its_terminal_can_show(encoding: str, tmp_path: Path) -> None:
    name = "é李" + HOSTILE["colour"] + HOSTILE["newline"]
    command = [sys.executable, "-m", "facesearch", "detect", str(tmp_path / name)]
    done = subprocess.run(  # noqa: S603  # our own program
        command, capture_output=True, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}, check=False
    )
    text = done.stderr.decode(encoding)

    assert done.returncode == 3
    check_output(text)
    assert ("é" in text) == (encoding != "ascii")
    assert ("李" in text) == (encoding == "utf-8")


def test_json_is_never_touched(tmp_path: Path) -> None:
    photo = tmp_path / "wall.png"
    Image.new("RGB", (100, 100)).save(photo)
    done = run("detect", photo, "--json")

    assert json.loads(done.stdout) == {"FaceDetails": []}
