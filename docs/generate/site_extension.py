"""Sphinx extension of the documentation site: generated parts of pages, notebooks, links to public names."""

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

from docutils import nodes
from notebooks import write_notebooks
from page_parts import expand
from sphinx.util.typing import stringify_annotation

import facesearch as fs

PUBLIC = frozenset(dir(fs))


def expand_page(_app: Any, _name: str, source: list[str]) -> None:
    """Expand a page when Sphinx has read it."""
    source[0] = expand(source[0])


def split_names(_app: Any, _what: str, _name: str, found: Any, _options: Any, lines: list[str]) -> None:
    """List each attribute of a docstring as an entry of its own, with its type: ``width, height`` share a description."""
    if not isinstance(found, type) or "Attributes" not in lines:
        return
    first = lines.index("Attributes") + 2
    split: list[str] = []
    for number, line in enumerate(lines[first:], start=first):
        if number + 1 < len(lines) and set(lines[number + 1]) == {"-"}:
            split += lines[number:]
            break
        if not line or line[0].isspace():
            split.append(line)
            continue
        names = line.partition(" : ")[0].split(", ")
        description = list(takewhile(lambda each: not each or each[0].isspace(), lines[number + 1 :]))
        for position, name in enumerate(names):
            split.append(f"{name} : {_type_of(found, name)}")
            split += description if position < len(names) - 1 else []
    lines[first:] = split


def _type_of(kind: type, name: str) -> str:
    annotation = next(
        (each.__annotations__[name] for each in kind.__mro__ if name in vars(each).get("__annotations__", {})), None
    )
    text = stringify_annotation(annotation, "smart").replace("~", "") if annotation is not None else ""
    return re.sub(r"facesearch\.[\w.]*?(\w+)(?![\w.])", r"\1", text)


def skip_member(_app: Any, _what: str, name: str, *_rest: Any) -> bool | None:
    """Leave out what only our own tables call."""
    return True if name in {"row_cells", "to_html"} else None


def link_public_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Resolve a reference to the module in which a public name is defined: ``facesearch.domain.entities.User``, or ``User``."""
    target = str(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or not target:
        return None
    parts = target.removeprefix("fs.").split(".")
    for first in range(len(parts)):
        if parts[first] in PUBLIC:
            name = ".".join(["facesearch", *parts[first:]])
            domain = env.get_domain("py")
            if name in domain.objects:
                return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)
    return None


def use_dashes(_app: Any, doctree: Any) -> None:
    """Write the dash between a parameter and its description; ``smartquotes`` would also change the options of commands."""
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Any) -> dict[str, Any]:
    """Connect to Sphinx's events."""
    app.connect("builder-inited", lambda app: write_notebooks(Path(app.srcdir)))
    app.connect("source-read", expand_page)
    app.connect("autodoc-process-docstring", split_names, priority=400)  # before napoleon
    app.connect("doctree-read", use_dashes)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("missing-reference", link_public_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
