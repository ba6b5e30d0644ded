"""`facesearch review` as a process."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import facesearch as fs
from facesearch.cli.app import app

LONG = 60  # seconds; only ends what hangs


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with fs.Collection.open(tmp_path / "people.db", "people") as collection:
        collection.add_embedding("ada", np.full(128, 0.1))
    return tmp_path / "people.db"


def command(*options: object, **environment: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "facesearch", "review", *map(str, options)]
    return subprocess.Popen(  # noqa: S603  # our own arguments
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )


def address_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    address = process.stdout.readline().split()[-1]
    assert address.startswith("http://127.0.0.1:"), process.communicate()
    return address


def page_at(address: str) -> str:
    """Open an address with its token, then the people."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.open(address, timeout=LONG).close()
    with opener.open(address.partition("?")[0] + "people", timeout=LONG) as answer:
        return str(answer.read().decode())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process with grace")
def test_the_page_is_there_until_ctrl_c(database: Path) -> None:
    with command(database, "--no-open") as process:
        address = address_of(process)
        assert "ada" in page_at(address)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            page_at(f"{address}x")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=LONG)

    assert process.returncode == 0
    assert output == ""
    assert errors.splitlines()[-1] == "ended"


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a script of the shell")
def test_the_browser_gets_an_address_that_opens_the_page_once(database: Path, tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    with command(database, BROWSER=f"{browser} %s") as process:
        printed = address_of(process)
        end = time.monotonic() + LONG
        while not opened.exists():
            assert time.monotonic() < end, "no browser was opened"
            time.sleep(0.05)
        address = opened.read_text()
        assert "ada" in page_at(address)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            page_at(address)
        assert "ada" in page_at(printed)
        process.terminate()
        process.communicate(timeout=LONG)


def test_only_this_machine_can_connect(database: Path) -> None:
    with command(database, "--no-open", "--json") as process:
        assert process.stdout
        printed = "".join(iter(process.stdout.readline, "}\n"))
        url = json.loads(f"{printed}}}")["url"]
        port = int(url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), timeout=LONG)
        process.terminate()
        process.communicate(timeout=LONG)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["nowhere.db"], 4, "nowhere.db"),
        (["people.db", "--collection", "other"], 4, "other"),
        (["people.db", "--photos", "nowhere"], 2, "photos: expected an existing folder"),
        ([], 2, "DB"),
    ],
)
def test_wrong_arguments_are_told(
    database: Path, options: list[str], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(database.parent)
    answer = CliRunner().invoke(app, ["review", *options, "--no-open"])

    assert answer.exit_code == status
    assert words in answer.stderr


def test_a_port_that_is_taken_is_told(database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = CliRunner().invoke(app, ["review", str(database), "--no-open", "--port", port])

    assert answer.exit_code == 2
    assert "port: expected a free port" in answer.stderr
