"""Runs the code in README.md, docs/ and docstrings as tests."""

import os
import tempfile
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection

import facesearch as fs

FOLDER, BEFORE = "_folder_of_photos", "_before"


def name_collection(namespace: dict[str, Any]) -> None:
    """Let the examples of `Collection`'s methods use it: they are in the modules that it is made of."""
    namespace["Collection"] = fs.Collection


def enter_photos(namespace: dict[str, Any]) -> None:
    """Run the code of a page in a new folder with photos: people/, album/, party.jpg, eileen.jpg, grace.jpg."""
    from samples import write_photos  # tests/samples.py; scikit-image and matplotlib load when a page needs them

    namespace[FOLDER], namespace[BEFORE] = tempfile.TemporaryDirectory(), (Path.cwd(), dict(os.environ))
    write_photos(Path(namespace[FOLDER].name))
    os.chdir(namespace[FOLDER].name)


def leave_photos(namespace: dict[str, Any]) -> None:
    """Restore the working folder and the environment."""
    folder, environment = namespace[BEFORE]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    namespace[FOLDER].cleanup()


CODE = PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)
pytest_collect_file = SybilCollection(
    [
        Sybil(parsers=[CODE], patterns=["README.md", "docs/*.md"], excludes=["docs/start.md"]),
        Sybil(
            parsers=[CODE],
            patterns=["docs/start.md", "docs/how-to/*.md"],
            setup=enter_photos,
            teardown=leave_photos,
        ),
        Sybil(
            parsers=[DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
            patterns=["src/facesearch/*.py", "src/facesearch/*/*.py", "src/facesearch/*/*/*.py"],
            setup=name_collection,
        ),
    ]
).pytest()
