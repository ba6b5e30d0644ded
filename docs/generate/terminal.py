"""Terminal sessions of the site: the commands are run by the build, and what they print is shown."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from samples import write_photos  # tests/samples.py

SESSIONS = {
    "search": (
        "facesearch index people --db people.db",
        "facesearch users --db people.db",
        "facesearch search party.jpg --db people.db --all-faces --save marked.jpg",
        "facesearch search party.jpg --db people.db --quality-filter HIGH --why",
    ),
    "detect": (
        "facesearch detect party.jpg --attributes SMILE,AGE_RANGE,EYEGLASSES",
        "facesearch compare party.jpg eileen.jpg",
    ),
    "unknown": (
        "facesearch index album --db album.db --thumbnails",
        "facesearch groups --db album.db",
    ),
    "calibration": ("facesearch calibration",),
}
MOST_SECONDS = 300


def run_sessions(names: str) -> str:
    """Run named sessions in a new folder with photos, and return them as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder)
        lines = [line for session in names.split() for command in SESSIONS[session] for line in _run(command, folder)]
    return "\n".join(["```console", *lines, "```"])


def _run(command: str, folder: Path) -> list[str]:
    """Run a command as a shell would, and return the lines of the session.

    Raises
    ------
    RuntimeError
        If the command fails; 1 means that no user was found, and is no failure.
    """
    environment = os.environ | {
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    environment.pop("FACESEARCH_DB", None)
    done = subprocess.run(  # noqa: S603  # the commands above
        [sys.executable, "-m", *shlex.split(command)], cwd=folder, env=environment, capture_output=True, encoding="utf-8",
        timeout=MOST_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode not in {0, 1}:
        msg = f"{command}: expected exit status 0 or 1, got {done.returncode}: {done.stderr}"
        raise RuntimeError(msg)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr).replace(str(folder), "~")
    return [f"$ {command}", *printed.rstrip().splitlines()]
