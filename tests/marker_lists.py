"""The lists of slow tests and of tests that run a network with shipped weights: markers.toml."""

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

__all__ = ["TESTS", "Lists", "marker_lists", "markers_of", "unknown_names"]

TESTS = Path(__file__).parent
Lists = Mapping[str, Mapping[str, list[str]]]
"""By marker, then by file below tests/: names of test functions, of test classes, or of fixtures; "*" is every test of the file."""


def marker_lists() -> Lists:
    """Read markers.toml."""
    return tomllib.loads((TESTS / "markers.toml").read_text("utf-8"))


def markers_of(lists: Lists, path: Path, names: Iterable[str]) -> list[str]:
    """Return the markers of a test, by its file and by its own name, its class and its fixtures."""
    file, known = path.relative_to(TESTS).as_posix(), {"*", *names}
    return [marker for marker, files in lists.items() if not known.isdisjoint(files.get(file, []))]


def names_in(source: str) -> Iterator[str]:
    """Yield the names of a file's test functions and test classes, and of the fixtures that its functions use."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name, args=arguments):
                yield from (each.arg for each in arguments.args if name.startswith("test_"))
                yield from [name] if name.startswith("test_") or node.decorator_list else []
            case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]) if name.lower().startswith("test"):
                yield name


def unknown_names(lists: Lists, folder: Path = TESTS) -> list[str]:
    """Return what the lists name and the folder has not: "FILE" for a missing file, "FILE: NAME" for a missing test or fixture."""
    unknown = []
    for files in lists.values():
        for file, listed in files.items():
            path = folder / file
            if path.is_file():
                known = {"*", *names_in(path.read_text("utf-8"))}
                unknown += [f"{file}: {name}" for name in listed if name not in known]
            else:
                unknown.append(file)
    return unknown
