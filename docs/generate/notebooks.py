"""Notebooks of the site: the jupytext sources in examples/ are the truth, the notebooks are made from them and run by the build."""

from pathlib import Path
from typing import Any

import jupytext
import nbformat

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = ("notebook", "picture_gallery")


def write_notebooks(folder: Path) -> None:
    """Write each notebook, without outputs, into a folder of the site."""
    for name in NOTEBOOKS:
        notebook: Any = jupytext.read(EXAMPLES / f"{name}.py")
        for cell in notebook.cells:
            cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("# ruff: noqa"))
            cell.source = cell.source.strip()
        notebook.cells = [cell for cell in notebook.cells if cell.source]
        text = nbformat.writes(notebook)
        path = folder / f"{name}.ipynb"
        if not path.exists() or path.read_text("utf-8") != text:  # unchanged notebooks are not run again
            path.write_text(text, "utf-8")
