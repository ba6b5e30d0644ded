"""``identify FOLDER``: who it is, from a folder of photos for each person."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from facesearch.benchmark.commands.common import (
    Command,
    add_cutting,
    add_seed,
    analyzer_of,
    count,
    cutting_of,
    percent,
    share,
)
from facesearch.benchmark.machine import describe_machine
from facesearch.benchmark.photos.embedded import EmbeddedPhotos, embed_photos
from facesearch.benchmark.photos.people import read_people, split_people
from facesearch.benchmark.protocols.identification import ENROLLED, FPIRS, THRESHOLDS, Identification, identify
from facesearch.benchmark.report import Report, table
from facesearch.common.arrays import FloatArray
from facesearch.errors import InvalidParameterError

__all__ = ["IDENTIFY"]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="a folder of photos for each person")
    parser.add_argument(
        "--enrolled",
        type=count,
        nargs="+",
        default=list(ENROLLED),
        metavar="N",
        help="photos to enrol of each person (default: 1 3 5); from 5 up also with one in five of somebody else",
    )
    parser.add_argument(
        "--strangers",
        type=share,
        default=0.3,
        metavar="SHARE",
        help="share of the people to search without enrolling them (default: %(default)s)",
    )
    parser.add_argument("--distractors", metavar="FOLDER", help="more people to fill the gallery with")
    parser.add_argument(
        "--thresholds",
        type=percent,
        nargs="+",
        default=list(THRESHOLDS),
        metavar="PERCENT",
        help="similarities (default: 50 80 90 99)",
    )
    parser.add_argument(
        "--fpir",
        type=share,
        nargs="+",
        default=list(FPIRS),
        metavar="RATE",
        help="false positive identification rates to tell the cost of (default: 0.1 0.01)",
    )
    add_cutting(parser)
    add_seed(parser)


def _run(arguments: Namespace) -> Report:
    people = read_people(arguments.folder)
    others = read_people(arguments.distractors) if arguments.distractors else {}
    counts = {name: len(photos) for name, photos in people.items()}
    split = split_people(
        counts, photos=max(arguments.enrolled) + 2, strangers=arguments.strangers, seed=arguments.seed
    )  # before the long work: a folder that does not do shall not cost it
    paths = [path for group in (people, others) for photos in group.values() for path in photos]
    if len(set(paths)) < len(paths):
        raise InvalidParameterError.of("distractors", arguments.distractors, "a folder of other photos")
    options = cutting_of(arguments)
    embedded = embed_photos(paths, analyzer=analyzer_of(arguments), options=options, cache=arguments.cache)
    results = identify(
        _grouped(people, embedded),
        enrolled=arguments.enrolled,
        strangers=arguments.strangers,
        distractors=_grouped(others, embedded),
        thresholds=arguments.thresholds,
        fpirs=arguments.fpir,
        seed=arguments.seed,
        face_model=embedded.face_model,
    )
    searches = sum(counts[name] for name in split.strangers)
    return Report(
        command=f"identify {arguments.folder}",
        protocol={
            "people": f"{len(people)}: {len(split.mates)} enrolled and searched, {len(split.strangers)} strangers, "
            f"{len(split.distractors) + len(others)} distractors",
            "searches": f"{results[0].rank1.trials} of enrolled people, {searches} of strangers",
            "photos": f"{len(paths)}, padded by {options.padding:g}; of several faces the {options.choice.value} "
            f"counts (--choice)",
            "undetected": f"{embedded.undetected} photos; none dropped: {options.rule}",
            "engine": arguments.engine,
        },
        result=results,
        figures=_figures(results),
        face_model=embedded.face_model,
        seeds={"split and order of photos": arguments.seed},
        machine=describe_machine(),
    )


def _grouped(people: Mapping[str, Sequence[Path]], embedded: EmbeddedPhotos) -> dict[str, FloatArray]:
    row = {path: number for number, path in enumerate(embedded.photos)}
    return {name: embedded.vectors[[row[path] for path in photos]] for name, photos in people.items()}


def _figures(results: Sequence[Identification]) -> str:
    blocks = []
    for users, distractors in dict.fromkeys((each.users, each.distractors) for each in results):
        here = [each for each in results if each.users == users]
        searched = [[each.enrolled, each.wrong, each.scoring.value] for each in here]
        allowed = [f"FNIR at FPIR {point.allowed:g}" for point in here[0].at_fpir]
        blocks += [
            f"{users} users, {distractors} of them distractors",
            table(
                ["photos", "wrong", "scoring", "rank 1", *allowed],
                [
                    [*what, each.rank1, *(_percent(point.fnir.value) for point in each.at_fpir)]
                    for what, each in zip(searched, here, strict=True)
                ],
            ),
            table(
                ["similarity", "photos", "wrong", "scoring", "FPIR", "FNIR"],
                [
                    [f"{point.threshold:g}", *what, point.fpir, point.fnir]
                    for what, each in zip(searched, here, strict=True)
                    for point in each.points
                ],
            ),
        ]
    return "\n\n".join([*blocks, "In brackets: exact binomial intervals of 95%, percent."])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


IDENTIFY = Command(
    name="identify",
    summary="who is it? people enrolled with few photos, searched with others, and strangers",
    add_arguments=_add_arguments,
    run=_run,
)
