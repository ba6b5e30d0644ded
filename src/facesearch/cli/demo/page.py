"""Output of the demo: an HTML page and figures."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import facesearch as fs
from facesearch.files.writing import OutputKind, check_output, signature, write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_folder", "write_figure", "write_page"]

_PAGE, _FIGURE = "demo.html", "demo_{}.png"
_SIGN = "facesearch demo"
_GENERATOR = f'<meta name="generator" content="{_SIGN}">'
# The photographs are published, so that the files need not be private.
_PAGE_KIND = OutputKind(name="a page of facesearch demo", recognises=signature(_GENERATOR.encode()), private=False)
_FIGURE_KIND = OutputKind(
    name="a figure of facesearch demo", recognises=signature(f"tEXtSoftware\0{_SIGN}".encode()), private=False
)


def check_folder(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    """Check that the page, and a figure of each name, may be written to a folder."""
    check_output(folder / _PAGE, _PAGE_KIND, overwrite=overwrite)
    for name in names:
        check_output(folder / _FIGURE.format(name), _FIGURE_KIND, overwrite=overwrite)


def write_figure(folder: Path, name: str, figure: "Figure", *, overwrite: bool) -> Path:
    """Write a figure as a PNG file."""
    path = folder / _FIGURE.format(name)
    with write_file(path, _FIGURE_KIND, overwrite=overwrite) as file:
        figure.savefig(file, format="png", metadata={"Software": _SIGN})
    return path


def write_page(
    folder: Path,
    collection: fs.Collection,
    responses: Mapping[str, fs.SearchUsersByImageResponse],
    *,
    overwrite: bool,
) -> Path:
    """Write demo.html from the HTML that notebooks show for responses and collections."""
    parts = [
        f"<section><h2>Search: a photo of {escape(who)}</h2>{response._repr_html_()}</section>"
        for who, response in responses.items()
    ]
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{_GENERATOR}
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
    path = folder / _PAGE
    with write_file(path, _PAGE_KIND, overwrite=overwrite) as file:
        file.write(page.encode())
    return path
