"""Print text, JSON, CSV and tables to standard output, and messages to standard error.

A table is shortened to the width of a terminal, but not in other output, so that scripts read complete ids.
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
    "plain",
    "print_answer",
    "print_block",
    "print_csv_row",
    "print_json",
    "print_json_line",
    "print_line",
    "print_note",
    "print_note_block",
    "print_table",
    "printable",
    "shortened",
    "table",
    "terminal_width",
]

_GAP = 2  # columns between two cells
_NARROWEST = 8  # least width of a shortened column
_ELLIPSIS = "..."


def print_line(text: str = "") -> None:
    """Print one line to standard output; unprintable characters are escaped."""
    click.echo(printable(text))


def print_block(block: str) -> None:
    """Print several lines to standard output; the caller has made names in them `printable`."""
    click.echo(printable_lines(block))


def print_note(text: str = "") -> None:
    """Print one line to standard error; unprintable characters are escaped."""
    click.echo(printable(text), err=True)


def print_note_block(block: str) -> None:
    """Print several lines to standard error, as `print_block` does to standard output."""
    click.echo(printable_lines(block), err=True)


def print_answer(answer: Any, *lines: str, as_json: bool) -> None:
    """Print an answer as JSON, or the lines that describe it."""
    if as_json:
        print_json(answer)
    else:
        for line in lines:
            print_line(line)


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, none: str, **layout: Any) -> None:
    """Print a `table`, or without rows the text *none*."""
    print_block(table(headers, rows, **layout) if rows else none)


def print_json(data: Any) -> None:
    """Print indented JSON, the only output on standard output."""
    click.echo(json.dumps(data, indent=2, allow_nan=False))


def print_json_line(data: Any) -> None:
    """Print JSON as one line (JSON Lines)."""
    click.echo(json.dumps(data, allow_nan=False))


def print_csv_row(cells: Sequence[str]) -> None:
    """Print one row of CSV (RFC 4180)."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)  # echo adds the line end of the system
    click.echo(printable_lines(line.getvalue()))


def plain(value: Any) -> Any:
    """Convert an attrs object to dicts, lists, strings and numbers, keyed by attribute names; omit ``None``."""
    import attrs  # imported here, so that help and completion start faster

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
    """Format a count with its noun: ``1 user``, ``2 users``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = (), shrinks: int = 0) -> str:
    """Align rows under their headers.

    *right* are the indices, from 0, of the columns that are aligned right, such as numbers. The column *shrinks* is shortened if the
    terminal is too narrow.

    >>> print(table(["user", "faces"], [["ada", "3"], ["countess", "12"]], right=[1]))
    user      faces
    ada           3
    countess     12
    """
    from tabulate import tabulate  # imported here, so that help and completion start faster

    cells = [[printable(cell) for cell in row] for row in (headers, *rows)]
    most = terminal_width()
    if most is not None:
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        room = max(most - sum(widths) + widths[shrinks] - _GAP * (len(widths) - 1), _NARROWEST)
        for row in cells:
            row[shrinks] = shortened(row[shrinks], room)
    to_right = set(right)
    sides = ["right" if column in to_right else "left" for column in range(len(headers))]
    return tabulate(cells, tablefmt="plain", colalign=sides, disable_numparse=True)


def terminal_width() -> int | None:
    """Return the width of the terminal on standard output, in columns; ``None`` if it is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def shortened(text: str, width: int) -> str:
    """Shorten a text in its middle, since long ids usually differ at their ends."""
    if len(text) <= width:
        return text
    head = (width - len(_ELLIPSIS) + 1) // 2
    tail = width - len(_ELLIPSIS) - head
    return f"{text[:head]}{_ELLIPSIS}{text[-tail:]}"
