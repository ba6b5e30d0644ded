"""Check a built site: every link and anchor leads somewhere, and reading it asks no other host for anything.

``python docs/generate/check_site.py out/site/0.2.0`` prints what it checked; it exits with 1 if a link is broken.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser loads by itself; a link that a reader may follow is an <a>.
LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "video": "src"}
STYLE = re.compile(r"""(?:url\(\s*|@import\s+)['"]?((?:https?:)?//[^'")\s]+)""")


class Page(HTMLParser):
    """The links, the loaded files and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors = {"", "top"}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag links to or loads, and its id."""
        values = dict(attrs)
        if values.get("id"):
            self.anchors.add(str(values["id"]))
        if tag == "a" and values.get("name"):
            self.anchors.add(str(values["name"]))
        if tag == "a" and values.get("href"):
            self.links.append(str(values["href"]))
        name = LOADED.get(tag)
        canonical = values.get("rel") in {"canonical", "next", "prev", "search", "index", "author"}
        if name and values.get(name) and not canonical:
            self.loaded.append(str(values[name]))


def problems(root: Path) -> Iterator[str]:
    """Yield a line for each broken link, and for each file that a page would load from another host."""
    pages = {path.resolve(): Page(path) for path in sorted(root.rglob("*.html")) if "_static" not in path.parts}
    for path, page in pages.items():
        for address in (*page.links, *page.loaded):
            parts = urlsplit(address)
            if parts.scheme in {"data", "mailto", "javascript"}:
                continue
            if parts.scheme or parts.netloc:
                if address in page.loaded:
                    yield f"{path}: loads {address} from another host"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{path}: no such file: {address}"
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path}: no such anchor: {address}"
    for sheet in sorted(root.rglob("*.css")):
        for address in STYLE.findall(sheet.read_text("utf-8")):
            yield f"{sheet}: loads {address} from another host"
    count = sum(len(page.links) + len(page.loaded) for page in pages.values())
    print(f"{len(pages)} pages, {count:,} links checked")


def main(root: str) -> int:
    """Print the problems of a site, and return the exit status."""
    found = list(problems(Path(root)))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
