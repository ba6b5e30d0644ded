"""Report the result of a benchmark, as text or as JSON."""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
from attrs import field
from tabulate import tabulate

from facesearch.benchmark.machine import Machine, describe_machine
from facesearch.domain.entities import FaceModel

__all__ = ["Report", "table"]


@attrs.frozen(kw_only=True)
class Report:
    """A measurement, with all that is needed to repeat it."""

    command: str
    protocol: Mapping[str, Any]  # from what was fixed beforehand to what was chosen or counted: text and numbers
    result: Any  # the figures: an attrs instance, or a dict or tuple of such
    figures: str  # the same as text, for people
    face_model: FaceModel | None = None
    seeds: Mapping[str, int] = field(factory=dict)  # of everything drawn at random
    machine: Machine = field(factory=describe_machine)

    def __str__(self) -> str:
        head = [f"{name:<12}{value}" for name, value in self.protocol.items()]
        if self.face_model:
            head.append(
                f"{'face model':<12}{self.face_model.name} {self.face_model.version} {self.face_model.digest[:12]}"
            )
        seeds = ", ".join(f"{name} {seed}" for name, seed in self.seeds.items()) or "nothing is drawn at random"
        return "\n".join([self.command, "", *head, "", self.figures, "", str(self.machine), f"seeds     {seeds}"])

    def to_json(self) -> str:
        """Return everything but the text as JSON; keys are the names of the attributes, hashes are complete."""
        names = ("command", "protocol", "result", "face_model", "seeds", "machine")
        return json.dumps({name: getattr(self, name) for name in names}, default=_plain, indent=2, allow_nan=False)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay out a table for a terminal; the first column to the left, the others to the right.

    Examples
    --------
    >>> print(table(["stage", "ms"], [["read", 2], ["detect", 98]]))
    stage   ms
    read     2
    detect  98
    """
    sides = ["left", *["right"] * (len(heads) - 1)]
    return tabulate([heads, *rows], tablefmt="plain", colalign=sides, disable_numparse=True)


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return {each.name: getattr(value, each.name) for each in attrs.fields(type(value))}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
