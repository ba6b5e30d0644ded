"""The generated parts of pages: a marker such as ``<!-- errors -->`` is replaced when the site is built."""

import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from command_line import command_line_page
from error_list import error_list
from model_files import model_files
from notebooks import NOTEBOOKS
from terminal import run_sessions

ROOT = Path(__file__).parents[2]
# Where the site has a file of the repository; other files that pages link to are copied into the site by Sphinx.
PAGES = {
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    **{f"examples/{name}.py": f"{name}.ipynb" for name in NOTEBOOKS},
}
LINK = re.compile(r"\]\((?P<up>(?:\.\./)+)(?P<path>[\w./-]+)")
COMMENT = re.compile(r"^<!---.*?--->\n", re.MULTILINE | re.DOTALL)
MARKER = re.compile(
    r"^<!-- (?P<part>api|commands|errors|file|models|session)(?:: (?P<names>[^>]*?))? -->$", re.MULTILINE
)


def api(names: str) -> str:
    """Return directives that document public names, given as ``search_faces`` or ``plotting.plot_faces``."""
    lines = ["```{eval-rst}"]
    for name in names.split():
        kind = kind_of(name)
        lines += [f".. {kind}:: facesearch.{name}", *_options(name, kind), ""]
    return "\n".join([*lines, "```"])


def _options(name: str, kind: str) -> list[str]:
    """Return the options of a directive: the members of an enumeration are its values, which have no docstrings."""
    if kind == "autoclass" and issubclass(resolve_name(f"facesearch.{name}"), Enum):
        return ["   :undoc-members:"]
    return ["   :no-value:"] if kind == "autodata" else []


def file(name: str) -> str:
    """Return a page at the root of the repository, with links as they are needed in a folder of docs/."""
    text = (ROOT / name).read_text("utf-8")
    return re.sub(r"\]\((?!https?://|#)(docs/)?", lambda found: "](../" if found[1] else "](../../", text)


def kind_of(name: str) -> str:
    """Return the directive of autodoc for a public name."""
    found: Any = resolve_name(f"facesearch.{name}")
    if isinstance(found, type):
        return "autoexception" if issubclass(found, Exception) else "autoclass"
    return "autofunction" if callable(found) and hasattr(found, "__code__") else "autodata"


PARTS: dict[str, Callable[[str], str]] = {
    "api": api,
    "errors": error_list,
    "file": file,
    "commands": command_line_page,
    "models": model_files,
    "session": run_sessions,
}


def expand(text: str) -> str:
    """Replace each marker of a page, such as ``<!-- errors -->``, by its generated part; leave out code that only tests need."""
    expanded = MARKER.sub(lambda found: PARTS[found["part"]](found["names"] or ""), COMMENT.sub("", text))
    return LINK.sub(_link, expanded)


def _link(found: re.Match[str]) -> str:
    """Return a link to a file of the repository as one to its page, one folder further down."""
    page = PAGES.get(found["path"])
    return f"]({found['up'].removeprefix('../')}{page}" if page else found[0]
