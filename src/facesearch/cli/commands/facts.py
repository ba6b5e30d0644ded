"""``facesearch models`` and ``calibration``: what the library brings along, and what its percentages mean."""

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Verb
from facesearch.cli.shell.options import as_json as json_option
from facesearch.cli.shell.output import plain, say, show, show_json

__all__ = ["calibration", "models"]


@click.command(
    cls=Verb,
    section="Know",
    short_help="list the model files, their terms and hashes",
    examples=("facesearch models", "facesearch models --json"),
)
@json_option
def models(*, as_json: bool) -> Exit:
    """List the model files: purpose, origin, terms, training data, hash.

    They come with installed packages and are never downloaded.
    """
    files = fs.models()
    if as_json:
        show_json({"models": plain(files)})
        return Exit.DONE
    for number, file in enumerate(files):
        if number:
            say()
        say(file.name)
        for name in ("purpose", "licence", "training_data", "origin", "package", "sha256"):
            label = f"{name.replace('_', ' ')}:"
            show(
                click.wrap_text(
                    f"{label:<15}{getattr(file, name)}", _width(), initial_indent="  ", subsequent_indent=" " * 17
                )
            )
    return Exit.DONE


@click.command(
    cls=Verb,
    section="Know",
    short_help="say what a similarity means",
    examples=("facesearch calibration", "facesearch calibration --json"),
)
@json_option
def calibration(*, as_json: bool) -> Exit:
    """Say what a similarity means: the measured rates of false matches and of misses at each.

    Measure one for your own people with `facesearch benchmark calibrate FOLDER`.
    """
    table = fs.calibration()
    if as_json:
        show_json(plain(table))
    else:
        show(str(table))
    return Exit.DONE


def _width() -> int:
    return click.get_current_context().terminal_width or 100
