"""``facesearch models`` and ``calibration``: the model files, and the meaning of similarities."""

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Command
from facesearch.cli.shell.options import as_json as json_option
from facesearch.cli.shell.output import plain, print_block, print_json, print_line

__all__ = ["calibration", "models"]


@click.command(
    cls=Command,
    section="Information",
    short_help="list the model files, their terms and hashes",
    examples=("facesearch models", "facesearch models --json"),
)
@json_option
def models(*, as_json: bool) -> Exit:
    """List the model files: purpose, origin, terms, training data, hash.

    The files are part of installed packages and are never downloaded.
    """
    files = fs.models()
    if as_json:
        print_json({"models": plain(files)})
        return Exit.DONE
    for number, file in enumerate(files):
        if number:
            print_line()
        print_line(file.name)
        for name in ("purpose", "licence", "training_data", "origin", "package", "sha256"):
            label = f"{name.replace('_', ' ')}:"
            print_block(
                click.wrap_text(
                    f"{label:<15}{getattr(file, name)}", _width(), initial_indent="  ", subsequent_indent=" " * 17
                )
            )
    return Exit.DONE


@click.command(
    cls=Command,
    section="Information",
    short_help="explain what a similarity means",
    examples=("facesearch calibration", "facesearch calibration --json"),
)
@json_option
def calibration(*, as_json: bool) -> Exit:
    """Print the meaning of similarities: the measured false-match and false-non-match rate at each.

    Measure a calibration for your own people with `facesearch benchmark calibrate FOLDER`.
    """
    table = fs.calibration()
    if as_json:
        print_json(plain(table))
    else:
        print_block(str(table))
    return Exit.DONE


def _width() -> int:
    return click.get_current_context().terminal_width or 100
