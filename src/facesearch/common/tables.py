"""Show values as one line and short tables: as text in ``print`` and as HTML in notebooks.

Nothing is computed before a value is shown. Texts from outside are escaped in HTML and made printable in text.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

import attrs

from facesearch.common.printable import printable

__all__ = ["BOX_HEAD", "ROWS_SHOWN", "Cell", "Listing", "Row", "Shown", "Table", "counted"]

ROWS_SHOWN = 20
WIDEST_CELL = 60  # letters; longer texts are wrapped
BOX_HEAD = ("left", "top", "width", "height")

Cell: TypeAlias = str | float | None
"""A number is shown with two decimals, an int as it is, ``None`` as nothing."""


@attrs.frozen
class Table:
    """A table: names of the columns, and rows of as many cells; columns of numbers are aligned to the right."""

    head: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    title: str = ""  # a line above, where there are several tables
    more: int = 0  # rows beyond these

    def text(self) -> str:
        """Return the table as lines of text."""
        return self._written(f"{printable(self.title)}\n" if self.title else "", "simple", "\nand {} more", WIDEST_CELL)

    def html(self) -> str:
        """Return the table as HTML."""
        title = f"<p>{escape(self.title)}</p>" if self.title else ""
        return self._written(title, "html", "<p>and {} more</p>")

    def _written(self, title: str, form: str, more: str, widest: int | None = None) -> str:
        from tabulate import tabulate  # takes 50 ms to import

        head = [printable(name) for name in self.head]
        shown = [[_written(cell) for cell in row] for row in self.rows[:ROWS_SHOWN]]
        sides = ["right" if _numeric(column) else "left" for column in zip(*self.rows[:ROWS_SHOWN], strict=True)]
        table = tabulate(shown, head, tablefmt=form, colalign=sides, disable_numparse=True, maxcolwidths=widest)
        hidden = len(self.rows[ROWS_SHOWN:]) + self.more
        return f"{title}{table}{more.format(f'{hidden:,}') if hidden > 0 else ''}"


class Shown:
    """A base class of values with a table in ``print``, IPython and notebooks; ``repr`` is one short line."""

    __slots__ = ()

    def _headline(self) -> str:
        """Return the content in one short line."""
        raise NotImplementedError

    def _shown_tables(self) -> Iterable[Table]:
        """Return the tables below that line; those without rows are left out."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {printable(self._headline())}>"

    def __str__(self) -> str:
        tables = (table.text() for table in self._shown_tables() if table.rows)
        return "\n\n".join([printable(self._headline()), *tables])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001  # IPython's protocol
        # Within a list or a dict, only the short line.
        printer.text(repr(self) if len(getattr(printer, "stack", ())) > 1 else str(self))

    def _repr_html_(self) -> str:
        tables = "".join(table.html() for table in self._shown_tables() if table.rows)
        return f"<div><p>{escape(self._headline())}</p>{tables}</div>"


class Row(Protocol):
    """A value that is one row in the table of a `Listing`."""

    ROW_HEAD: ClassVar[tuple[str, ...]]

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells, one for each name of the head."""


T = TypeVar("T", bound=Row)


class Listing(Shown, tuple[T, ...], Generic[T]):
    """A tuple of values of one class, shown as a table; it equals any tuple of the same items. *noun* is the name of one."""

    noun: str

    def __new__(cls, items: Iterable[T] = (), noun: str = "item") -> Self:
        """Create a tuple of the items."""
        made = super().__new__(cls, items)
        made.noun = noun
        return made

    def _headline(self) -> str:
        return counted(len(self), self.noun) if self else f"no {self.noun}"

    def _shown_tables(self) -> Iterable[Table]:
        if self:
            # Only the shown items compute their cells: a collection may have a million faces.
            shown = [item.row_cells() for item in self[:ROWS_SHOWN]]
            rows = [(number, *cells) for number, cells in enumerate(shown, 1)]
            yield Table(("", *self[0].ROW_HEAD), rows, more=len(self) - len(rows))


def counted(number: int, thing: str) -> str:
    """Return a number and the name of what it counts: ``"1 face"``, ``"2 faces"``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _numeric(column: Iterable[Cell]) -> bool:
    return all(cell is None or isinstance(cell, int | float) for cell in column)


def _written(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.2f}"
    return "" if cell is None else printable(str(cell))
