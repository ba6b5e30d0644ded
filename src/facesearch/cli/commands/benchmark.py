"""``facesearch benchmark``: passes its arguments to `facesearch.benchmark`."""

import click

from facesearch.cli.shell.groups import command

__all__ = ["benchmark"]


@command(
    short_help="measure accuracy and speed on your own photographs",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    examples=(
        "facesearch benchmark identify PEOPLE_FOLDER",
        "facesearch benchmark calibrate PEOPLE_FOLDER --save ours.json",
        "facesearch benchmark verify pairs.csv --json",
        "facesearch benchmark speed photo.jpg",
    ),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def benchmark(*, arguments: tuple[str, ...]) -> int:
    """Measure accuracy and speed on your own photographs: verify, identify, calibrate, speed."""
    from facesearch.benchmark.__main__ import main

    return main(arguments or ("--help",), program="facesearch benchmark")
