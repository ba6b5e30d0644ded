"""The command line: ``python -m facesearch.benchmark verify pairs.csv``.

Standard output carries the report, or with ``--json`` nothing but JSON; progress bars go to standard error.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import NoReturn

from facesearch.analysis.analyzer import Engine
from facesearch.benchmark.commands.calibrate import CALIBRATE
from facesearch.benchmark.commands.identify import IDENTIFY
from facesearch.benchmark.commands.speed import SPEED
from facesearch.benchmark.commands.verify import VERIFY
from facesearch.common.printable import printable
from facesearch.errors import FacesearchError

__all__ = ["COMMANDS", "main"]

COMMANDS = (VERIFY, IDENTIFY, CALIBRATE, SPEED)
_PROGRAM = "python -m facesearch.benchmark"


def main(arguments: Sequence[str] | None = None, *, program: str = _PROGRAM) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        As on the command line, without the program's name; by default those of the process.
    program
        What help and errors call the program.

    Returns
    -------
    int
        The exit status: 0, or 2 where an argument or a photo can't be used, as standard error then says.
    """
    parser = _parser(program)
    given = parser.parse_args(arguments)
    try:
        report = given.run(given)
    except FacesearchError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    sys.stdout.write((report.to_json() if given.json else str(report)) + "\n")
    return 0


class _Parser(ArgumentParser):
    """A parser whose errors are one line each, whatever was typed."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the process; argparse calls this with every error."""
        super().exit(status, f"{printable(message.rstrip())}\n" if message else None)


def _parser(program: str) -> ArgumentParser:
    parser = _Parser(prog=program, description="Measure how good it is, and what it costs, on your photos.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.summary, description=command.summary)
        command.add_arguments(sub)
        sub.add_argument(
            "--engine",
            choices=[engine.value for engine in Engine],
            default=Engine.ONNX.value,
            help="what runs the networks (default: %(default)s)",
        )
        sub.add_argument("--json", action="store_true", help="print nothing but JSON")
        sub.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
