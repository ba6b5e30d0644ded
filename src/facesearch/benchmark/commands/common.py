"""The class of the four commands, and the options that several share."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final

import click

from facesearch.analysis.analyzer import Engine, FaceAnalyzer, default_analyzer
from facesearch.benchmark.photos.cutting import CENTRED_SHARE, CutOptions, FaceChoice
from facesearch.benchmark.photos.embedded import EmbeddedPhotos
from facesearch.benchmark.report import Report
from facesearch.common.validation import check_float

__all__ = [
    "COUNT",
    "ENGINES",
    "ReportCommand",
    "analyzer_of",
    "cut_options",
    "force",
    "percent",
    "photo_protocol",
    "seed",
    "share",
]

COUNT: Final = click.IntRange(min=1)
ENGINES: Final = click.Choice([engine.value for engine in Engine])


class ReportCommand(click.Command):
    """A command that returns a `Report`, which is printed as text, or as JSON with ``--json``.

    It adds ``--engine`` and ``--json``. An option with ``multiple=True`` takes several values after its name, as in
    ``--far 0.1 0.01``; click alone takes one.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        help_text = "What runs the networks."
        self.params += [
            click.Option(["--engine"], type=ENGINES, default=Engine.ONNX.value, show_default=True, help=help_text),
            click.Option(["--json", "as_json"], is_flag=True, help="Print nothing but JSON."),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the name of an option before each of its values, then parse."""
        names = {name for each in self.params if isinstance(each, click.Option) and each.multiple for name in each.opts}
        return super().parse_args(ctx, list(_one_value_each(args, names)))

    def invoke(self, ctx: click.Context) -> None:
        """Run the command and print its report."""
        as_json = ctx.params.pop("as_json")
        report: Report = super().invoke(ctx)
        click.echo(report.to_json() if as_json else str(report))


def _one_value_each(arguments: Iterable[str], names: set[str]) -> Iterable[str]:
    name, is_first = None, False
    for argument in arguments:
        if argument.startswith("-"):
            name, is_first = argument if argument in names else None, True
        else:
            if name and not is_first:
                yield name
            is_first = False
        yield argument


def share(value: str | float) -> float:
    """Convert an option's value to a share, 0-1, before the work begins."""
    return _between(value, 0, 1)


def percent(value: str | float) -> float:
    """Convert an option's value to a percentage, 0-100, before the work begins."""
    return _between(value, 0, 100)


def _between(value: str | float, low: float, high: float) -> float:
    try:
        return check_float("value", float(value), low, high)
    except ValueError:
        raise click.BadParameter(f"expected a number from {low:g} to {high:g}, got {value!r}") from None


def analyzer_of(engine: str) -> FaceAnalyzer:
    """Return the analyzer for ``--engine``."""
    return default_analyzer() if Engine(engine) is Engine.ONNX else FaceAnalyzer(engine=engine)


def cut_options(command: Callable[..., Report]) -> Callable[..., Report]:
    """Add the options for how a face is cut out of a photo, passed as ``options``, and for the cache of vectors."""

    @wraps(command)
    def with_options(*, padding: float, choice: str, centred_share: float, **others: Any) -> Report:
        return command(options=CutOptions(padding=padding, choice=choice, centred_share=centred_share), **others)

    for option in (
        click.option("--cache", metavar="FILE", help="Keep the vectors in this .npz file; not in a repository."),
        click.option(
            "--centred-share",
            type=float,
            default=CENTRED_SHARE,
            show_default=True,
            metavar="SHARE",
            help="Where no face is found: side of the centred square taken for it, share of the shorter side.",
        ),
        click.option(
            "--choice",
            type=click.Choice([choice.value for choice in FaceChoice]),
            default=FaceChoice.LARGEST.value,
            show_default=f"{FaceChoice.LARGEST.value}, as in a search",
            help="Which of several faces counts.",
        ),
        click.option(
            "--padding",
            type=float,
            default=0.0,
            metavar="SHARE",
            help="Share of the longer side to add on each side before detecting; 0.25 where faces fill the frame.",
        ),
    ):
        with_options = option(with_options)
    return with_options


def photo_protocol(embedded: EmbeddedPhotos, engine: str, *, people: str = "", undetected: str = "") -> dict[str, str]:
    """Return the lines of a report about its photos: number, cropping, and how undetected faces are treated.

    *people* is added to the number of photos, *undetected* to that of the photos without a detected face.
    """
    options = embedded.options
    return {
        "photos": f"{len(embedded.photos)}{people}, padded by {options.padding:g}; of several faces the "
        f"{options.choice.value} counts (--choice)",
        "undetected": f"{embedded.undetected} photos{undetected}; none dropped: {options.rule}",
        "engine": engine,
    }


force = click.option("--force", is_flag=True, help="Replace files of other kinds too, but never the photos.")
seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random draws.")
force.__doc__, seed.__doc__ = "Add ``--force``.", "Add ``--seed``."
