"""``speed PHOTO``: where the time of one search goes."""

from argparse import ArgumentParser, Namespace

from facesearch.analysis.analyzer import Engine, FaceAnalyzer
from facesearch.benchmark.commands.common import Command, add_seed, analyzer_of, count
from facesearch.benchmark.machine import describe_machine
from facesearch.benchmark.report import Report, table
from facesearch.benchmark.speed import REPEATS, USERS, Speed, measure_speed

__all__ = ["SPEED"]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("photo", metavar="PHOTO", help="with a face in it")
    parser.add_argument("--users", type=count, default=USERS, help="to search among (default: %(default)s)")
    parser.add_argument("--repeats", type=count, default=REPEATS, help="runs to measure (default: %(default)s)")
    parser.add_argument(
        "--against", choices=[engine.value for engine in Engine], help="measure this engine too, and give the ratio"
    )
    add_seed(parser)


def _run(arguments: Namespace) -> Report:
    engines = [analyzer_of(arguments)]
    if arguments.against:
        engines.append(FaceAnalyzer(engine=arguments.against))
    results = tuple(
        measure_speed(
            arguments.photo, analyzer=engine, users=arguments.users, repeats=arguments.repeats, seed=arguments.seed
        )
        for engine in engines
    )
    first = results[0]
    return Report(
        command=f"speed {arguments.photo}",
        protocol={
            "photo": f"{first.width}x{first.height}, {first.faces} faces",
            "runs": f"{first.repeats} after one to warm up; {first.users:,} random users",
            "engine": " and ".join(each.engine.value for each in results),
        },
        result=results,
        figures="\n\n".join([*(_figures(each) for each in results), *_ratios(*results)]),
        face_model=engines[0].face_model,
        seeds={"users": arguments.seed},
        machine=describe_machine(),
    )


def _figures(speed: Speed) -> str:
    return f"{speed.engine.value}\n" + table(
        ["stage", "median ms", "least ms", "of the search"],
        [
            [stage.name, f"{stage.median_ms:.2f}", f"{stage.least_ms:.2f}", f"{stage.share:.1%}"]
            for stage in speed.stages
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


SPEED = Command(
    name="speed", summary="where the time of one search goes, stage by stage", add_arguments=_add_arguments, run=_run
)
