"""Runs the code in README.md, docs/ and docstrings as tests."""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser

import facesearch as fs


def name_collection(namespace: dict[str, Any]) -> None:
    """Let the examples of `Collection`'s methods use it: they are in the modules that it is made of."""
    namespace["Collection"] = fs.Collection


pytest_collect_file = (
    Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)], patterns=["README.md", "docs/*.md"])
    + Sybil(
        parsers=[DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
        patterns=["src/facesearch/*.py", "src/facesearch/*/*.py", "src/facesearch/*/*/*.py"],
        setup=name_collection,
    )
).pytest()
