"""The first page of the folder of sites, which has a folder for each release: it lists them, and leads to the newest."""

import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>facesearch: documentation of all releases</title>
<style>
:root {{ color-scheme: light dark; background: Canvas; color: CanvasText; font: 1.1rem/1.6 system-ui, sans-serif; }}
body {{ max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }}
</style>
</head>
<body>
<main>
<h1>facesearch</h1>
<p>Documentation by release, the newest first.</p>
<ul>
{items}
</ul>
</main>
</body>
</html>
"""


def versions(folder: Path) -> list[str]:
    """Return the releases that have a site in a folder, newest first."""
    found = []
    for path in folder.iterdir():
        try:
            found.append((Version(path.name), path.name))
        except InvalidVersion:
            continue
    return [name for _, name in sorted(found, reverse=True)]


def main(folder: str) -> None:
    """Write index.html into the folder of sites."""
    items = [f'<li><a href="{name}/index.html">{name}</a></li>' for name in versions(Path(folder))]
    (Path(folder) / "index.html").write_text(PAGE.format(items="\n".join(items)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
