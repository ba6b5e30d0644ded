"""What a sub-command is, and the options that several share."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import attrs
from attrs import field

from facesearch.analysis.analyzer import Engine, FaceAnalyzer, default_analyzer
from facesearch.benchmark.photos.cutting import CENTRED_SHARE, CutOptions, FaceChoice
from facesearch.benchmark.report import Report
from facesearch.common.validation import check_float, check_int, is_a

__all__ = ["Command", "add_cutting", "add_force", "add_seed", "analyzer_of", "count", "cutting_of", "percent", "share"]


@attrs.frozen(kw_only=True)
class Command:
    """One sub-command. ``--engine`` and ``--json`` are every command's; the rest it adds itself.

    Attributes
    ----------
    name, summary
        As the help shows them.
    add_arguments
        Adds its arguments to a parser.
    run
        Does the work.
    """

    name: str = field(validator=is_a(str))
    summary: str = field(validator=is_a(str))
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Report]


def share(text: str) -> float:
    """Read a share, 0-1; for ``type=``, so that a wrong one is told before the work and not after it."""
    return check_float("share", float(text), 0, 1)


def percent(text: str) -> float:
    """Read a percentage, 0-100; likewise."""
    return check_float("percent", float(text), 0, 100)


def count(text: str) -> int:
    """Read a whole number >= 1; likewise."""
    return check_int("count", int(text), 1)


def analyzer_of(arguments: Namespace) -> FaceAnalyzer:
    """Give the analyzer for ``--engine``."""
    engine = Engine(arguments.engine)
    return default_analyzer() if engine is Engine.ONNX else FaceAnalyzer(engine=engine)


def add_cutting(parser: ArgumentParser) -> None:
    """Add how the face is got of a photo, and the cache of vectors."""
    group = parser.add_argument_group("photos")
    group.add_argument(
        "--padding",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the longer side to add on each side before detecting; 0.25 where faces fill the frame",
    )
    group.add_argument(
        "--choice",
        choices=[choice.value for choice in FaceChoice],
        default=FaceChoice.LARGEST.value,
        help="which of several faces counts (default: %(default)s, as in a search)",
    )
    group.add_argument(
        "--centred-share",
        type=float,
        default=CENTRED_SHARE,
        metavar="SHARE",
        help="where no face is found: side of the centred square taken for it, share of the shorter side "
        "(default: %(default)s)",
    )
    group.add_argument("--cache", metavar="FILE", help="keep the vectors in this .npz file; not in a repository")


def cutting_of(arguments: Namespace) -> CutOptions:
    """Give what `add_cutting` asked for."""
    return CutOptions(padding=arguments.padding, choice=arguments.choice, centred_share=arguments.centred_share)


def add_force(parser: ArgumentParser) -> None:
    """Add ``--force``."""
    parser.add_argument("--force", action="store_true", help="replace files of other kinds too, but never the photos")


def add_seed(parser: ArgumentParser) -> None:
    """Add the seed."""
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn at random (default: %(default)s)")
