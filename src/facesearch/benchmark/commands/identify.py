"""The command ``identify FOLDER``: open-set identification, on a folder of photos for each person."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from facesearch.benchmark.commands.common import (
    COUNT,
    ReportCommand,
    analyzer_of,
    cut_options,
    percent,
    photo_protocol,
    seed,
    share,
)
from facesearch.benchmark.photos.cutting import CutOptions
from facesearch.benchmark.photos.embedded import EmbeddedPhotos, embed_photos
from facesearch.benchmark.photos.people import read_people, split_people
from facesearch.benchmark.protocols import identification
from facesearch.benchmark.protocols.identification import ENROLLED, FPIRS, THRESHOLDS, Identification
from facesearch.benchmark.report import Report, table
from facesearch.common.arrays import FloatArray
from facesearch.errors import InvalidParameterError

__all__ = ["identify"]


@click.command(cls=ReportCommand, short_help="who is found: people enrolled with few photos, and strangers")
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--enrolled",
    type=COUNT,
    multiple=True,
    default=ENROLLED,
    metavar="N...",
    show_default="1 3 5",
    help="Photos to enrol of each person; from 5 up also with one in five of another person.",
)
@click.option(
    "--strangers",
    type=share,
    default=0.3,
    metavar="SHARE",
    show_default=True,
    help="Share of the people to search without enrolling them.",
)
@click.option("--distractors", metavar="FOLDER", help="More people to fill the gallery with.")
@click.option(
    "--thresholds",
    type=percent,
    multiple=True,
    default=THRESHOLDS,
    metavar="PERCENT...",
    show_default="50 80 90 99",
    help="Similarities.",
)
@click.option(
    "--fpir",
    type=share,
    multiple=True,
    default=FPIRS,
    metavar="RATE...",
    show_default="0.1 0.01",
    help="False positive identification rates at which to report the false negative ones.",
)
@cut_options
@seed
def identify(
    *,
    folder: str,
    enrolled: tuple[int, ...],
    strangers: float,
    distractors: str | None,
    thresholds: tuple[float, ...],
    fpir: tuple[float, ...],
    options: CutOptions,
    cache: str | None,
    seed: int,
    engine: str,
) -> Report:
    """Measure who is found: people enrolled with few photos, searched with others, and strangers.

    FOLDER holds a folder of photos for each person.
    """
    people = read_people(folder)
    others = read_people(distractors) if distractors else {}
    counts = {name: len(photos) for name, photos in people.items()}
    split = split_people(
        counts, photos=max(enrolled) + 2, strangers=strangers, seed=seed
    )  # before the long work: an unsuitable folder fails at once
    paths = [path for group in (people, others) for photos in group.values() for path in photos]
    if len(set(paths)) < len(paths):
        raise InvalidParameterError.of("distractors", distractors, "a folder of other photos")
    embedded = embed_photos(paths, analyzer=analyzer_of(engine), options=options, cache=cache)
    results = identification.identify(
        _grouped(people, embedded),
        enrolled=enrolled,
        strangers=strangers,
        distractors=_grouped(others, embedded),
        thresholds=thresholds,
        fpirs=fpir,
        seed=seed,
        face_model=embedded.face_model,
    )
    searches = sum(counts[name] for name in split.strangers)
    return Report(
        command=f"identify {folder}",
        protocol={
            "people": f"{len(people)}: {len(split.mates)} enrolled and searched, {len(split.strangers)} strangers, "
            f"{len(split.distractors) + len(others)} distractors",
            "searches": f"{results[0].rank1.trials} of enrolled people, {searches} of strangers",
            **photo_protocol(embedded, engine),
        },
        result=results,
        figures=_figures(results),
        face_model=embedded.face_model,
        seeds={"split and order of photos": seed},
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
