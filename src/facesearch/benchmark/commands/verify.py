"""The command ``verify PAIRS.csv``: whether two photos show one person."""

from pathlib import Path

import attrs
import click
import numpy as np

from facesearch.benchmark.commands.common import ReportCommand, analyzer_of, cut_options, force, photo_protocol, share
from facesearch.benchmark.metrics.reliability import StatedRate, reliability
from facesearch.benchmark.metrics.roc import BoolArray, roc
from facesearch.benchmark.photos.cutting import CutOptions
from facesearch.benchmark.photos.embedded import embed_photos
from facesearch.benchmark.photos.pairs import read_pairs
from facesearch.benchmark.plots import PLOT_FILE, check_plots, plot_det, plot_reliability, plot_roc, plot_scores
from facesearch.benchmark.protocols import verification
from facesearch.benchmark.protocols.verification import FARS, Verification, pair_distances
from facesearch.benchmark.report import Report, table
from facesearch.common.arrays import PointArray
from facesearch.files.protected import Protected
from facesearch.files.writing import check_output

__all__ = ["verify"]


@attrs.frozen(kw_only=True)
class _Result:
    verification: Verification
    reliability: tuple[StatedRate, ...]


@click.command(cls=ReportCommand, short_help="are two photos of one person? labelled pairs, k folds")
@click.argument("source", metavar="PAIRS.csv")
@click.option(
    "--far",
    type=share,
    multiple=True,
    default=FARS,
    metavar="RATE...",
    show_default="0.01 0.001",
    help="False accept rates at which to report the true accept rate.",
)
@click.option("--plots", metavar="FOLDER", help="Write ROC, DET, scores and reliability there, as PNG.")
@force
@cut_options
def verify(
    *,
    source: str,
    far: tuple[float, ...],
    plots: str | None,
    force: bool,
    options: CutOptions,
    cache: str | None,
    engine: str,
) -> Report:
    """Measure verification: whether two photos show one person, on labelled pairs in k folds.

    PAIRS.csv has the columns a, b, same, fold; files are relative to its folder.
    """
    pairs = read_pairs(source)
    # Pairs that can't be judged and plots that can't be written fail before the long work.
    verification.verify(np.zeros(len(pairs)), pairs.same, pairs.fold)
    if plots:
        check_plots()
        protected = Protected(inputs=[*pairs.photos, pairs.source, *filter(None, [cache])])
        for name in _PLOTS:
            check_output(Path(plots) / name, PLOT_FILE, protected=protected, overwrite=force)
    embedded = embed_photos(pairs.photos, analyzer=analyzer_of(engine), options=options, cache=cache)
    distances = pair_distances(embedded.vectors, pairs.first, pairs.second)
    result = _Result(
        verification=verification.verify(distances, pairs.same, pairs.fold, fars=far),
        reliability=reliability(distances, pairs.same),
    )
    if plots:
        _plot(Path(plots), distances, pairs.same, result, overwrite=force)
    touched = int((~embedded.detected[pairs.first] | ~embedded.detected[pairs.second]).sum())
    return Report(
        command=f"verify {pairs.source}",
        protocol={
            "pairs": f"{len(pairs)}: {result.verification.genuine} genuine, {result.verification.impostor} impostor",
            "folds": f"{len(result.verification.folds)}; the threshold of each is chosen on the others",
            **photo_protocol(embedded, engine, undetected=f", in {touched} pairs"),
        },
        result=result,
        figures=_figures(result),
        face_model=embedded.face_model,
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
