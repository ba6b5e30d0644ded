"""What goes to standard output, for people and for programs; everything else goes to standard error.

A table is shortened to the width of a terminal, never where its output goes elsewhere: a script sees whole ids.
"""

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import click

from facesearch.common.printable import printable, printable_lines

__all__ = [
    "counted",
    "note",
    "note_block",
    "plain",
    "printable",
    "say",
    "shortened",
    "show",
    "show_csv_row",
    "show_json",
    "show_json_line",
    "table",
    "terminal_width",
]

_GAP = "  "
_NARROWEST = 8  # columns that a shortened cell keeps
_ELLIPSIS = "..."


def say(text: str = "") -> None:
    """Write one line to standard output; names in it may hold anything."""
    click.echo(printable(text))


def show(block: str) -> None:
    """Write several lines to standard output; names in them were made `printable` by whoever put them into lines."""
    click.echo(printable_lines(block))


def note(text: str = "") -> None:
    """Write one line to standard error: what is said beside the answer; names in it may hold anything."""
    click.echo(printable(text), err=True)


def note_block(block: str) -> None:
    """Write several lines to standard error, as `show` does to standard output."""
    click.echo(printable_lines(block), err=True)


def show_json(data: Any) -> None:
    """Write JSON, which is then all that there is on standard output."""
    click.echo(json.dumps(data, indent=2, allow_nan=False))


def show_json_line(data: Any) -> None:
    """Write JSON as one line, at once: one of many."""
    click.echo(json.dumps(data, allow_nan=False))


def show_csv_row(cells: Sequence[str]) -> None:
    """Write a row as CSV (RFC 4180), at once: one of many."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)  # echo ends the line, as the system does
    click.echo(printable_lines(line.getvalue()))


def plain(value: Any) -> Any:
    """Give a value of ours as plain dicts, lists, strings and numbers, keys as its attributes; what is ``None`` is left out."""
    import attrs  # only here: help and completion shall not wait for it

    if attrs.has(type(value)):
        return {
            each.name: plain(inner)
            for each in attrs.fields(type(value))
            if not each.name.startswith("_") and (inner := getattr(value, each.name)) is not None
        }
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def counted(number: int, noun: str) -> str:
    """Give ``1 user``, ``2 users``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = (), gives: int = 0) -> str:
    """Align rows under their headers.

    Parameters
    ----------
    headers
        One for each column.
    rows
        Their cells.
    right
        Columns, from 0, that are set to the right: numbers.
    gives
        The column whose cells are shortened where the terminal is too narrow.

    Returns
    -------
    str
        Lines without blanks at their ends.

    Examples
    --------
    >>> print(table(["user", "faces"], [["ada", "3"], ["countess", "12"]], right=[1]))
    user      faces
    ada           3
    countess     12
    """
    cells = [[printable(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    most = terminal_width()
    if most is not None:
        others = sum(widths) - widths[gives] + len(_GAP) * (len(widths) - 1)
        widths[gives] = min(widths[gives], max(most - others, _NARROWEST))
        for row in cells:
            row[gives] = shortened(row[gives], widths[gives])
    to_right = set(right)
    return "\n".join(
        _GAP.join(
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is, ``None`` where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def shortened(text: str, width: int) -> str:
    """Cut a text in its middle: long ids tend to differ at both ends."""
    if len(text) <= width:
        return text
    head = (width - len(_ELLIPSIS) + 1) // 2
    tail = width - len(_ELLIPSIS) - head
    return f"{text[:head]}{_ELLIPSIS}{text[-tail:]}"
