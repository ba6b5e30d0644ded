"""The command ``calibrate FOLDER``: a calibration from a folder of photos for each person."""

from pathlib import Path

import click

from facesearch.benchmark.commands.common import ReportCommand, analyzer_of, cut_options, force, photo_protocol, seed
from facesearch.benchmark.photos.cutting import CutOptions
from facesearch.benchmark.photos.embedded import embed_photos
from facesearch.benchmark.photos.people import read_people
from facesearch.benchmark.protocols.calibration import calibrate_people
from facesearch.benchmark.report import Report
from facesearch.files.protected import Protected
from facesearch.files.writing import check_output
from facesearch.matching.calibration import CALIBRATION_FILE

__all__ = ["calibrate"]


@click.command(cls=ReportCommand, short_help="what percentages mean: distances at stated false-match rates")
@click.argument("folder", metavar="FOLDER")
@click.option("--name", help="What to call the photos in the calibration, by default the folder's name.")
@click.option("--save", metavar="FILE", help="Write the calibration to a file, for Calibration.load.")
@force
@cut_options
@seed
def calibrate(
    *,
    folder: str,
    name: str | None,
    save: str | None,
    force: bool,
    options: CutOptions,
    cache: str | None,
    seed: int,
    engine: str,
) -> Report:
    """Measure what percentages mean: distances at stated false-match rates, for this or your own network.

    FOLDER holds a folder of photos for each person; 1,500 people reach 99.
    """
    people = read_people(folder)
    paths = [path for photos in people.values() for path in photos]
    if save:
        inputs: list[str | Path] = [*paths, *([cache] if cache else [])]
        check_output(save, CALIBRATION_FILE, protected=Protected(inputs), overwrite=force)
    embedded = embed_photos(paths, analyzer=analyzer_of(engine), options=options, cache=cache)
    data = name or f"{Path(folder).resolve().name}, {len(paths):,} photographs"
    found = calibrate_people(people, embedded, data=data, seed=seed)
    if save:
        found.save(save, overwrite=force)
    return Report(
        command=f"calibrate {folder}",
        protocol={
            "comparisons": "every two photos of two people, and every two of one",
            **photo_protocol(embedded, engine, people=f" of {len(people)} people"),
        },
        result=found,
        figures=str(found),
        face_model=embedded.face_model,
        seeds={"draws": seed},
    )
