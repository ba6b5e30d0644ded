"""The command ``speed PHOTO``: the time of one search by stage."""

import click

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.benchmark.commands.common import COUNT, ENGINES, ReportCommand, analyzer_of, seed
from facesearch.benchmark.report import Report, table
from facesearch.benchmark.speed import REPEATS, USERS, Speed, measure_speed

__all__ = ["speed"]


@click.command(cls=ReportCommand, short_help="where the time of one search goes, stage by stage")
@click.argument("photo", metavar="PHOTO")
@click.option("--users", type=COUNT, default=USERS, show_default=True, help="Users to search among.")
@click.option("--repeats", type=COUNT, default=REPEATS, show_default=True, help="Runs to measure.")
@click.option("--against", type=ENGINES, help="Measure this engine too, and print the ratio.")
@seed
def speed(*, photo: str, users: int, repeats: int, against: str | None, seed: int, engine: str) -> Report:
    """Measure where the time of one search goes, stage by stage.

    PHOTO has a face in it.
    """
    analyzers = [analyzer_of(engine)]
    if against:
        analyzers.append(FaceAnalyzer(engine=against))
    results = tuple(
        measure_speed(photo, analyzer=analyzer, users=users, repeats=repeats, seed=seed) for analyzer in analyzers
    )
    first = results[0]
    return Report(
        command=f"speed {photo}",
        protocol={
            "photo": f"{first.width}x{first.height}, {first.faces} faces",
            "runs": f"{first.repeats} after one to warm up; {first.users:,} random users",
            "engine": " and ".join(each.engine.value for each in results),
        },
        result=results,
        figures="\n\n".join([*(_figures(each) for each in results), *_ratios(*results)]),
        face_model=analyzers[0].face_model,
        seeds={"users": seed},
    )


def _figures(measured: Speed) -> str:
    return f"{measured.engine.value}\n" + table(
        ["stage", "median ms", "least ms", "of the search"],
        [
            [stage.name, f"{stage.median_ms:.2f}", f"{stage.least_ms:.2f}", f"{stage.share:.1%}"]
            for stage in measured.stages
        ],
    )


def _ratios(one: Speed, other: Speed | None = None) -> list[str]:
    if other is None:
        return []
    rows = [
        [mine.name, f"{theirs.least_ms / mine.least_ms:.1f}"]
        for mine, theirs in zip(one.stages, other.stages, strict=True)
    ]
    return [table(["stage", f"{other.engine.value} / {one.engine.value}, least"], rows)]
