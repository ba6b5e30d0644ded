"""The demo's answers to look at: a page, and figures."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import facesearch as fs

__all__ = ["write_page"]


def write_page(folder: Path, collection: fs.Collection, responses: Mapping[str, fs.SearchUsersByImageResponse]) -> Path:
    """Write demo.html: what a notebook shows for a response and a collection is plain HTML, so it makes a page as well."""
    parts = [
        f"<section><h2>Search: a photo of {escape(who)}</h2>{response._repr_html_()}</section>"
        for who, response in responses.items()
    ]
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>facesearch demo</title>
<style>
body {{ font-family: system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.4 }}
table {{ border-collapse: collapse; margin: 0.5rem 0 }}
th, td {{ text-align: left; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #ddd }}
</style>
</head>
<body>
<h1>facesearch demo</h1>
{"".join(parts)}
<section><h2>The collection</h2>{collection._repr_html_()}</section>
</body>
</html>
"""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.html"
    path.write_text(page, encoding="utf-8")
    return path
