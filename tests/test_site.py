"""The documentation site's generated parts: nothing public is left out. ``make docs`` builds and checks the whole site."""

import re
from importlib import import_module
from pathlib import Path

import click
import pytest
from check_site import problems
from click.testing import CliRunner
from command_line import command_line_page, commands
from error_list import cause_and_remedy, error_list, public_errors
from page_parts import MARKER, PARTS, expand, kind_of
from versions_page import versions

import facesearch as fs
from facesearch.cli.app import app
from facesearch.errors import FacesearchError
from facesearch.rekognition.model import OPERATIONS

DOCS = Path(__file__).parents[1] / "docs"
ERRORS = {error.__name__ for error in public_errors()}


def named(part: str) -> list[str]:
    """Return the names after all markers of a part, on all pages."""
    pages = (path.read_text("utf-8") for path in sorted(DOCS.rglob("*.md")))
    return [
        name for page in pages for found in MARKER.finditer(page) if found["part"] == part
        for name in (found["names"] or "").split()
    ]  # fmt: skip


def test_every_public_name_is_on_one_page_of_the_reference() -> None:
    listed = [name for name in named("api") if "." not in name]

    assert len(listed) == len(set(listed))
    assert set(listed) | ERRORS == set(dir(fs))


@pytest.mark.parametrize("part", ["benchmark", "plotting", "rekognition", "testing.fakes", "testing.strategies"])
def test_every_name_of_a_public_part_is_on_a_page(part: str) -> None:
    names = set(import_module(f"facesearch.{part}").__all__)

    assert {f"{part}.{name}" for name in names} - set(named("api")) <= {"testing.fakes.FAKE_MODEL"}


def test_every_listed_name_exists() -> None:
    kinds = {kind_of(name) for name in named("api")}

    assert kinds <= {"autoclass", "autofunction", "autodata", "autoexception"}


def test_every_error_has_a_cause_a_remedy_and_a_section() -> None:
    page = error_list()

    assert {name for name in dir(fs) if name.endswith("Error")} == ERRORS
    for error in public_errors():
        assert all(cause_and_remedy(error))
        assert f"\n## {error.__name__}\n" in f"\n{page}"


def test_an_error_without_a_remedy_ends_the_build() -> None:
    class CarelessError(FacesearchError):
        """Something is wrong."""

    with pytest.raises(ValueError, match=r"CarelessError: expected a second paragraph"):
        cause_and_remedy(CarelessError)


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_the_page_has_every_option_that_help_prints(command: click.Command) -> None:
    printed = CliRunner().invoke(app, [str(command.name), "--help"], terminal_width=200).output
    section = re.search(rf"^### {command.name}\n.*?(?=^##|\Z)", command_line_page(), re.MULTILINE | re.DOTALL)

    assert section
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", printed, re.MULTILINE)) - {"--help"}
    assert options == set(re.findall(r"^\| `(?:-\w, )?(--[a-z-]+)", section[0], re.MULTILINE)) - {"--help"}


def test_every_operation_of_rekognition_is_on_its_page() -> None:
    page = (DOCS / "rekognition.md").read_text("utf-8")

    assert [name for name in OPERATIONS if not re.search(rf"\b{name}\b", page)] == []


def test_every_model_file_has_a_card() -> None:
    assert sorted(named("models")) == sorted(file.name for file in fs.models())


FIGURE = re.compile(r"(?<![\w.])\d*\.?\d+%?(?![\w])")


@pytest.mark.parametrize(
    "card", sorted({*(DOCS / "models").glob("*.md")} - {DOCS / "models" / "index.md"}), ids=lambda path: path.stem
)
def test_the_figures_of_model_cards_are_those_of_the_pages_that_they_link(card: Path) -> None:
    text = card.read_text("utf-8")
    sources = {(card.parent / name).resolve() for name in re.findall(r"\]\((\.\./[\w-]+\.md)", text)}
    known = set(FIGURE.findall(" ".join(path.read_text("utf-8") for path in sources).replace(",", " ")))
    tables = [line.replace(",", " ") for line in text.splitlines() if line.startswith("|")]
    figures = {figure for line in tables for figure in FIGURE.findall(line) if "%" in figure or "." in figure}

    assert {figure for figure in figures if {figure, figure.rstrip("%"), f"{figure}%"}.isdisjoint(known)} == set()


def test_pages_have_known_markers_only() -> None:
    for path in DOCS.rglob("*.md"):
        for part in re.findall(r"^<!-- ([a-z]+)", path.read_text("utf-8"), re.MULTILINE):
            assert part in PARTS, path


def test_links_to_files_with_a_page_lead_to_the_page() -> None:
    assert expand("[a](../SECURITY.md#b) [c](../../examples/notebook.py) [d](../examples/from_boto3.py)") == (
        "[a](project/security.md#b) [c](../notebook.ipynb) [d](../examples/from_boto3.py)"
    )


def test_broken_links_and_foreign_hosts_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a><a href="b.html#gone">2</a><a href="c.html">3</a>'
        '<a href="https://example.org/">4</a><script src="https://example.org/x.js"></script>'
    )
    (tmp_path / "b.html").write_text('<p id="here"></p>')
    (tmp_path / "s.css").write_text("a { background: url(//example.org/a.png) }")

    found = list(problems(tmp_path))
    assert [line.partition(": ")[2] for line in found] == [
        "no such anchor: b.html#gone",
        "no such file: c.html",
        "loads https://example.org/x.js from another host",
        "loads //example.org/a.png from another host",
    ]


def test_releases_are_listed_newest_first(tmp_path: Path) -> None:
    for name in ("0.9.0", "0.10.0", "0.2.0rc1", "notes"):
        (tmp_path / name).mkdir()

    assert versions(tmp_path) == ["0.10.0", "0.9.0", "0.2.0rc1"]
