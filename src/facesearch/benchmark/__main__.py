"""The command line: ``python -m facesearch.benchmark verify pairs.csv``.

Standard output carries the report, or with ``--json`` nothing but JSON; progress bars go to standard error.
"""

import sys
from collections.abc import Sequence

import click

from facesearch.benchmark.commands.calibrate import calibrate
from facesearch.benchmark.commands.identify import identify
from facesearch.benchmark.commands.speed import speed
from facesearch.benchmark.commands.verify import verify
from facesearch.common.printable import printable
from facesearch.errors import FacesearchError

__all__ = ["app", "main"]

_PROGRAM = "python -m facesearch.benchmark"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def app() -> None:
    """Measure how good it is, and what it costs, on your photos."""


for _command in (verify, identify, calibrate, speed):
    app.add_command(_command)


def main(arguments: Sequence[str] | None = None, *, program: str = _PROGRAM) -> int:
    """Run one command, by default that of the process, and return its exit status, 0.

    Where an argument or a photo can't be used, standard error has the reason and the process ends with 2.
    """
    # Not app.main(), which would turn Ctrl-C and a closed pipe into errors of its own.
    try:
        with app.make_context(program, list(sys.argv[1:] if arguments is None else arguments)) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:  # after --help
        return end.exit_code
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except FacesearchError as error:
        click.echo(f"{program}: {printable(str(error))}", err=True)
        sys.exit(2)
    return 0


def _show(error: click.ClickException) -> None:
    """Print an error of click, its message as one line: it quotes what was typed."""
    if not isinstance(error, click.exceptions.NoArgsIsHelpError):
        context = error.ctx if isinstance(error, click.UsageError) else None
        error = click.UsageError(printable(error.format_message()), context)
    error.show()


if __name__ == "__main__":
    sys.exit(main())
