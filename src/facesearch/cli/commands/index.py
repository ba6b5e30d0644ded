"""``facesearch index``: enrols people and faces from photos."""

import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

import facesearch as fs
from facesearch.cli.shell.completion import complete_user
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Stopped, command, is_debugging
from facesearch.cli.shell.options import (
    analyzer_for,
    as_json as json_option,
    database,
    index_at,
    min_face,
    percentage,
    photo_from,
    quality_filter,
    workers,
)
from facesearch.cli.shell.output import (
    counted,
    plain,
    print_answer,
    print_block,
    print_json,
    print_line,
    print_note,
    printable,
    table,
)
from facesearch.cli.shell.progress import photo_bar

__all__ = ["index"]

_LIST = ".csv"


@command(
    short_help="add people from photos",
    aws_name="index-faces",
    examples=(
        "facesearch index PEOPLE --db people.db                 # a folder of photos for each person",
        "facesearch index photos.csv --db people.db             # columns photo,user_id",
        "facesearch index ada1.jpg ada2.jpg --user ada --db people.db",
        "facesearch index party.jpg --db people.db --json       # IndexFaces: unassociated faces",
        "facesearch index PEOPLE --db people.db --scheduler tcp://10.0.0.5:8786",
    ),
    exits={Exit.DONE: "a photo was accepted", Exit.NOTHING: "no photo was accepted; the report contains the reasons"},
)
@click.argument("photos", nargs=-1, required=True, type=click.Path())
@database
@index_at
@click.option("--user", "user_id", metavar="ID", shell_complete=complete_user, help="User in all of the photos.")
@quality_filter("AUTO")
@percentage("--threshold", "Least similarity of a photo to the faces that its user has already.", default=75)
@click.option(
    "--anyway",
    is_flag=True,
    help="Add a new user even if the photos show different people; by default such a user is reported and not added.",
)
@min_face
@workers
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Analyze the photos of a folder or list on the Dask cluster of this scheduler, which must be trusted.",
)
@click.option(
    "--shared-photos",
    is_flag=True,
    help="With --scheduler: its workers read the photos at the paths that they have here; by default they receive them.",
)
@click.option(
    "--thumbnails", is_flag=True, help="Keep a thumbnail of each face; applies only when the collection is created."
)
@json_option
def index(
    *,
    photos: Sequence[str],
    db: Path | str,
    collection_id: str,
    index: str | None,
    user_id: str | None,
    quality_filter: str,
    threshold: float,
    anyway: bool,
    min_face: int | None,
    workers: int | None,
    scheduler: str | None,
    shared_photos: bool,
    thumbnails: bool,
    as_json: bool,
) -> Exit:
    """Add people from PHOTOS to a collection, which is created if missing.

    PHOTOS is a folder with a folder of photos for each person, named after the user; or a CSV file with the columns photo and
    user_id; or a folder of photos, to index their faces without a user; or, with --user, photos of one person. A user id is 1-128
    characters of a-z, A-Z, 0-9 and _.-: and a folder "Ada Lovelace" becomes the user Ada_Lovelace, as the report states.

    The command may be interrupted: finished photos are kept, and the same command resumes. The people of a folder or of a CSV file
    are judged together after all photos; no user exists before that. One photo without --user is indexed as by Amazon
    Rekognition's IndexFaces, and --json prints its response.
    """
    options = {"quality_filter": quality_filter, "user_match_threshold": threshold, "anyway": anyway}
    first = Path(photos[0])
    many = user_id is None and len(photos) == 1 and (first.is_dir() or first.suffix.lower() == _LIST)
    _check_cluster(scheduler, workers, shared_photos=shared_photos, many=many)
    opened = partial(
        fs.Collection.open,
        db,
        collection_id,
        thumbnails=thumbnails or None,
        analyzer=analyzer_for(min_face),
        index=index,
    )
    if user_id is not None:
        paths = _photo_paths(photos)
        with opened() as collection:
            return _enroll(collection, user_id, paths, options, as_json=as_json)
    if len(photos) > 1:
        raise click.UsageError("Several photos need a user: give --user ID, or one folder or CSV file.")
    if many:
        from facesearch.enrolment.folder_plan import plan_photos

        total = plan_photos(first).photos
        with _executor(scheduler, workers) as executor, opened() as collection:
            options |= {"executor": executor, "send_photos": None if scheduler is None else not shared_photos}
            return _index_folder(collection, first, total, options, as_json=as_json)
    (photo,) = _photo_paths(photos)
    with opened() as collection:
        return _index_one(collection, photo, quality_filter, as_json=as_json)


# Arguments are checked before the collection is created: an invalid one must not leave an empty collection.


def _check_cluster(scheduler: str | None, workers: int | None, *, shared_photos: bool, many: bool) -> None:
    if scheduler is None and shared_photos:
        raise click.UsageError("--shared-photos applies to the workers of --scheduler.")
    if scheduler is not None and workers is not None:
        raise click.UsageError("--workers counts the threads of this machine; with --scheduler the cluster decides.")
    if scheduler is not None and not many:
        raise click.UsageError("--scheduler applies to one folder or CSV file.")


@contextmanager
def _executor(scheduler: str | None, workers: int | None) -> Iterator[Executor | None]:
    """Yield the executor for the photos of a folder, ``None`` for the default one."""
    if scheduler is None:
        with ThreadPoolExecutor(workers) if workers else nullcontext() as pool:
            yield pool
        return
    from facesearch.enrolment.dask_cluster import dask_executor

    with dask_executor(scheduler) as cluster:
        if not is_debugging():
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it logs is our error too
        if not cluster.cores:
            print_note(f"{scheduler} has no worker yet: the photos wait for one, started by `dask worker {scheduler}`")
        yield cluster


def _photo_paths(photos: Sequence[str]) -> list[str]:
    """Return the photos of the arguments, with folders replaced by their photos; check that all exist."""
    from facesearch.enrolment.folder_plan import PHOTO_SUFFIXES

    found: list[str] = []
    for photo in photos:
        path = Path(photo)
        if path.suffix.lower() == _LIST:
            raise click.UsageError("A CSV file contains the user of each photo: give it alone, without --user.")
        if path.is_dir():
            inside = sorted(path for path in path.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
            if not inside:
                raise click.UsageError(f"There is no photo in the folder {photo}.")
            found += map(str, inside)
            continue
        if photo != "-" and not path.exists():
            fs.read_image(photo)  # raises the error that describes the problem
        found.append(photo)
    return found


def _index_folder(
    collection: "fs.Collection", path: Path, total: int, options: dict[str, Any], *, as_json: bool
) -> Exit:
    try:
        with photo_bar(total) as move:
            report = collection.index_folder(path, progress=move, **options)
    except KeyboardInterrupt as error:
        done = next(iter(getattr(error, "__notes__", [])), "what is done is kept; the same call goes on from there")
        raise Stopped(f"Interrupted: {done.replace('the same call', 'the same command')}.") from error
    print_answer(report.to_dict(), *str(report).split("\n"), as_json=as_json)
    return Exit.DONE if report.accepted else Exit.NOTHING


def _index_one(collection: "fs.Collection", photo: str, quality_filter: str, *, as_json: bool) -> Exit:
    response = collection.index_faces(
        photo_from(photo), external_image_id=_external_id(photo), quality_filter=quality_filter
    )
    indexed, others = response.face_records, response.unindexed_faces
    print_answer(
        fs.to_aws(response),
        *(f"{record.face.face_id}  indexed" for record in indexed),
        *(f"{'-':<36}  {', '.join(reason.value for reason in face.reasons)}" for face in others),
        f"{counted(len(indexed), 'face')} indexed, {len(others)} not",
        as_json=as_json,
    )
    return Exit.DONE if response.face_records else Exit.NOTHING


def _external_id(photo: str) -> str | None:
    """Return the file name if AWS's pattern permits it, so that `faces` lists the photo of each face; else ``None``."""
    from facesearch.domain.entities import EXTERNAL_IMAGE_ID_PATTERN

    name = Path(photo).name
    return name if photo != "-" and re.fullmatch(f"(?=.{{1,255}}$){EXTERNAL_IMAGE_ID_PATTERN}", name) else None


def _enroll(
    collection: "fs.Collection", user_id: str, photos: Sequence[str], options: dict[str, Any], *, as_json: bool
) -> Exit:
    report = collection.enroll(user_id, [photo_from(photo) for photo in photos], **options)
    if as_json:
        results = [
            {"photo": printable(photo), **plain(each)} for photo, each in zip(photos, report.photos, strict=True)
        ]
        user = {"user": plain(report.user)} if report.user else {}
        print_json({**user, "photos": results, "kept_out": report.kept_out})
        return Exit.DONE if report.accepted else Exit.NOTHING
    rows = []
    for photo, each in zip(photos, report.photos, strict=True):
        (face,) = each.explain().faces
        figures = "; ".join(text for _, text in face.figures() if text)
        reasons = ", ".join(reason.value for reason in each.reasons)
        rows.append([photo, reasons or "accepted", figures])
    print_block(table(["photo", "", ""], rows))
    print_line(f"{user_id}: {report.accepted} of {counted(len(photos), 'photo')} accepted")
    if report.kept_out:
        advice = "Remove the wrong ones, or give --anyway."
        print_line(f"{user_id} was not added: the photos don't show one person. {advice}")
    return Exit.DONE if report.accepted else Exit.NOTHING
