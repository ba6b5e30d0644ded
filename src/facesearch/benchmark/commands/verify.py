"""``verify PAIRS.csv``: whether two photos are of one person."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import attrs
import numpy as np

from facesearch.benchmark.commands.common import Command, add_cutting, add_force, analyzer_of, cutting_of, share
from facesearch.benchmark.machine import describe_machine
from facesearch.benchmark.metrics.reliability import StatedRate, reliability
from facesearch.benchmark.metrics.roc import BoolArray, roc
from facesearch.benchmark.photos.embedded import embed_photos
from facesearch.benchmark.photos.pairs import read_pairs
from facesearch.benchmark.plots import check_plot, check_plots, plot_det, plot_reliability, plot_roc, plot_scores
from facesearch.benchmark.protocols.verification import FARS, Verification, pair_distances, verify
from facesearch.benchmark.report import Report, table
from facesearch.common.arrays import PointArray
from facesearch.files.protected import Protected

__all__ = ["VERIFY"]


@attrs.frozen(kw_only=True)
class _Result:
    verification: Verification
    reliability: tuple[StatedRate, ...]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("pairs", metavar="PAIRS.csv", help="columns a, b, same, fold; files relative to its folder")
    parser.add_argument(
        "--far",
        type=share,
        nargs="+",
        default=list(FARS),
        metavar="RATE",
        help="false accept rates to tell the true accept rate at (default: 0.01 0.001)",
    )
    parser.add_argument("--plots", metavar="FOLDER", help="write ROC, DET, scores and reliability there, as PNG")
    add_force(parser)
    add_cutting(parser)


def _run(arguments: Namespace) -> Report:
    pairs = read_pairs(arguments.pairs)
    options = cutting_of(arguments)
    # What can't be judged or drawn shall be told before the long work.
    verify(np.zeros(len(pairs)), pairs.same, pairs.fold)
    if arguments.plots:
        check_plots()
        protected = Protected(inputs=[*pairs.photos, pairs.source, *filter(None, [arguments.cache])])
        for name in _PLOTS:
            check_plot(Path(arguments.plots) / name, protected, overwrite=arguments.force)
    embedded = embed_photos(pairs.photos, analyzer=analyzer_of(arguments), options=options, cache=arguments.cache)
    distances = pair_distances(embedded.vectors, pairs.first, pairs.second)
    result = _Result(
        verification=verify(distances, pairs.same, pairs.fold, fars=arguments.far),
        reliability=reliability(distances, pairs.same),
    )
    if arguments.plots:
        _plot(Path(arguments.plots), distances, pairs.same, result, overwrite=arguments.force)
    touched = int((~embedded.detected[pairs.first] | ~embedded.detected[pairs.second]).sum())
    return Report(
        command=f"verify {pairs.source}",
        protocol={
            "pairs": f"{len(pairs)}: {result.verification.genuine} genuine, {result.verification.impostor} impostor",
            "folds": f"{len(result.verification.folds)}; the threshold of each is chosen on the others",
            "photos": f"{len(pairs.photos)}, padded by {options.padding:g}; of several faces the {options.choice.value} "
            f"counts (--choice)",
            "undetected": f"{embedded.undetected} photos, in {touched} pairs; none dropped: {options.rule}",
            "engine": arguments.engine,
        },
        result=result,
        figures=_figures(result),
        face_model=embedded.face_model,
        machine=describe_machine(),
    )


def _figures(result: _Result) -> str:
    found = result.verification
    thresholds = [fold.threshold for fold in found.folds]
    lines = [
        f"accuracy    {found.accuracy:.2%}, standard deviation of the folds {found.accuracy_std:.2%}",
        f"thresholds  {min(thresholds):.3f} to {max(thresholds):.3f}",
        f"EER         {found.eer:.2%}",
        f"AUC         {found.auc:.5f}",
        "",
        table(
            ["at FAR", "threshold", "TAR", "FAR of these pairs"],
            [
                [f"{point.far:g}", _number(point.threshold), str(point.tar), str(point.measured_far)]
                for point in found.points
            ],
        ),
        "",
        table(
            ["similarity", "threshold", "states FMR", "FMR of these pairs", "FNMR"],
            [
                [f"{rate.similarity:g}", _number(rate.threshold), f"{rate.stated:g}", rate.measured, rate.missed]
                for rate in result.reliability
            ],
        ),
        "",
        "In brackets: exact binomial intervals of 95%, percent.",
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:.4f}"


_PLOTS = _ROC, _DET, _SCORES, _RELIABILITY = "roc.png", "det.png", "scores.png", "reliability.png"


def _plot(folder: Path, distances: PointArray, same: BoolArray, result: _Result, *, overwrite: bool) -> None:
    curve = {f"{len(distances):,} pairs": roc(distances, same)}
    marks = {
        f"FAR {point.far:g}": point.threshold for point in result.verification.points if point.threshold is not None
    }
    plot_roc(folder / _ROC, curve, overwrite=overwrite)
    plot_det(folder / _DET, curve, overwrite=overwrite)
    plot_scores(folder / _SCORES, distances, same, thresholds=marks, overwrite=overwrite)
    plot_reliability(folder / _RELIABILITY, result.reliability, overwrite=overwrite)


VERIFY = Command(
    name="verify",
    summary="are two photos of one person? labelled pairs, k folds",
    add_arguments=_add_arguments,
    run=_run,
)
