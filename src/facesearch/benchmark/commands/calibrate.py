"""``calibrate FOLDER``: what percentages mean, from a folder of photos for each person."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from facesearch.benchmark.commands.common import Command, add_cutting, add_force, add_seed, analyzer_of, cutting_of
from facesearch.benchmark.machine import describe_machine
from facesearch.benchmark.photos.embedded import embed_photos
from facesearch.benchmark.photos.people import read_people
from facesearch.benchmark.protocols.calibration import calibrate_people
from facesearch.benchmark.report import Report
from facesearch.files.protected import Protected
from facesearch.files.writing import check_output
from facesearch.matching.calibration import CALIBRATION_FILE

__all__ = ["CALIBRATE"]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="a folder of photos for each person; 1,500 people reach 99")
    parser.add_argument("--name", help="what to call the photos in the calibration (default: the folder's name)")
    parser.add_argument("--save", metavar="FILE", help="write the calibration down, for Calibration.load")
    add_force(parser)
    add_cutting(parser)
    add_seed(parser)


def _run(arguments: Namespace) -> Report:
    people = read_people(arguments.folder)
    paths = [path for photos in people.values() for path in photos]
    if arguments.save:
        inputs = [*paths, *([arguments.cache] if arguments.cache else [])]
        check_output(arguments.save, CALIBRATION_FILE, protected=Protected(inputs), overwrite=arguments.force)
    options = cutting_of(arguments)
    embedded = embed_photos(paths, analyzer=analyzer_of(arguments), options=options, cache=arguments.cache)
    data = arguments.name or f"{Path(arguments.folder).resolve().name}, {len(paths):,} photographs"
    found = calibrate_people(people, embedded, data=data, seed=arguments.seed)
    if arguments.save:
        found.save(arguments.save, overwrite=arguments.force)
    return Report(
        command=f"calibrate {arguments.folder}",
        protocol={
            "comparisons": "every two photos of two people, and every two of one",
            "photos": f"{len(paths)} of {len(people)} people, padded by {options.padding:g}; of several faces the "
            f"{options.choice.value} counts (--choice)",
            "undetected": f"{embedded.undetected} photos; none dropped: {options.rule}",
            "engine": arguments.engine,
        },
        result=found,
        figures=str(found),
        face_model=embedded.face_model,
        seeds={"draws": arguments.seed},
        machine=describe_machine(),
    )


CALIBRATE = Command(
    name="calibrate",
    summary="what do percentages mean? distances at stated false-match rates, for this or your own network",
    add_arguments=_add_arguments,
    run=_run,
)
