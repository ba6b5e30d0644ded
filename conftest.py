"""Runs the code in README.md, docs/ and docstrings as tests."""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser

pytest_collect_file = (
    Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)], patterns=["README.md", "docs/*.md"])
    + Sybil(
        parsers=[DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
        patterns=[
            "src/facesearch/*.py",
            *(f"src/facesearch/{part}/*.py" for part in ("testing", "benchmark", "plotting", "cli", "rekognition")),
        ],
    )
).pytest()
