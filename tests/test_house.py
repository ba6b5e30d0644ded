"""The README's tree, CONTRIBUTING.md and the pages name what is there, and no folder is too full to be read."""

import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "facesearch"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *(ROOT / "docs").rglob("*.md")])
MOST_LINES = 26
MOST_MODULES = 14


def folders_under(folder: Path) -> Iterator[Path]:
    """Every folder of the package, itself included, but for caches."""
    yield folder
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and inner.name != "__pycache__":
            yield from folders_under(inner)


FOLDERS = list(folders_under(PACKAGE))


def lines_of_the_tree(readme: str) -> list[str]:
    found = re.search(r"^```text\n(src/facesearch/\n.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert found, "README.md has no tree of src/facesearch"
    return found[1].splitlines()


def paths_in(page: str) -> set[str]:
    """Paths between backticks and in links; words with blanks, names of Python and addresses are none."""
    code = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    quoted = re.findall(r"`([^`\s]+)`", code)
    linked = re.findall(r"\]\(([^)#]+)", code)
    suffixes = (".py", ".pyi", ".md", ".toml", ".npz", ".json")
    return {each for each in quoted + linked if ("/" in each or each.endswith(suffixes)) and "://" not in each}


def test_the_readme_shows_every_folder_on_one_line_and_no_other() -> None:
    title, *lines = lines_of_the_tree((ROOT / "README.md").read_text("utf-8"))
    named = [name for line in lines for name in re.findall(r"^  ([a-z0-9_]+)/ ", line)]
    inner = {
        f"{outer[1]}/{name}"
        for line in lines
        if (outer := re.match(r"  ([a-z0-9_]+)/ ", line))
        for name in re.findall(r"(?<=[ ,])([a-z0-9_]+)/", line[outer.end() :])
    }

    assert title == "src/facesearch/"
    assert len(lines) + 1 <= MOST_LINES
    assert len(named) == len(set(named))
    assert set(named) | inner == {folder.relative_to(PACKAGE).as_posix() for folder in FOLDERS} - {"."}


def test_the_readme_shows_the_modules_that_are_in_no_folder() -> None:
    lines = lines_of_the_tree((ROOT / "README.md").read_text("utf-8"))
    named = {name for line in lines for name in re.findall(r"\b[a-z]+\.py\b", line)}

    assert named == {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_no_folder_has_more_modules_than_a_reader_keeps_in_mind(folder: Path) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]

    assert len(modules) <= MOST_MODULES


def test_contributing_names_only_paths_that_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = paths_in(page)

    assert len(named) > 20
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_a_wrong_path_would_be_seen() -> None:
    assert paths_in("`src/a.py`, [b](c/d.md#e), `fs.Collection`, `make lint`, https://x.org/y.py") == {
        "src/a.py",
        "c/d.md",
    }


def headings_of(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not heading or heading in headings_of(file), target


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_names_of_modules_are_those_of_the_folders(page: Path) -> None:
    # The changelog keeps the names that modules had.
    for name in sorted(set(re.findall(r"`(facesearch(?:\.\w+)+)`", page.read_text("utf-8")))):
        resolve_name(name)
