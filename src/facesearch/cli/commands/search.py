"""``facesearch search``: searches for the people in photos."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.many_photos import are_many, report_photos
from facesearch.cli.shell.options import (
    analyzer_for,
    attributes,
    database,
    files_of,
    force,
    formats,
    index_at,
    min_face,
    photo_from,
    quality_filter,
    save,
    threshold,
    workers,
)
from facesearch.cli.shell.output import counted, print_block, print_json, print_note_block, table
from facesearch.cli.shell.words import describe_face

__all__ = ["search"]


@command(
    short_help="find out who is in a photo, or in many",
    aws_name="search-users-by-image",
    examples=(
        "facesearch search party.jpg --db people.db",
        "facesearch search party.jpg --db people.db --all-faces --save marked.jpg",
        "facesearch search party.jpg --db people.db --quality-filter HIGH --why",
        "facesearch search - --db people.db --json < party.jpg",
        "facesearch search holiday wedding party.jpg --db people.db --csv > who.csv",
        "facesearch search holiday --db people.db --all-faces --save marked",
    ),
    exits={
        Exit.DONE: "a user was found in a photo",
        Exit.NOTHING: "no user reaches the threshold, or no face was searched",
        Exit.PHOTO: "a photo can't be used; all other photos were searched",
    },
)
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True, type=click.Path())
@database
@index_at
@threshold
@click.option("--max-users", type=click.IntRange(1, 500), metavar="N", help="Most users in the result, 1-500.")
@quality_filter("NONE")
@attributes
@click.option("--all-faces", is_flag=True, help="Search every face that passes the filter, not only the largest.")
@click.option(
    "--why", is_flag=True, help="Explain for each face why it was searched or not; with --json on standard error."
)
@click.option(
    "--approximate",
    is_flag=True,
    help="Search a PostgreSQL server by its HNSW index, which can miss a user; built if missing.",
)
@min_face
@save
@force
@workers
@formats
def search(
    *,
    photos: Sequence[str],
    db: Path | str,
    collection_id: str,
    index: str | None,
    threshold: float,
    max_users: int | None,
    quality_filter: str,
    attributes: Sequence[str],
    all_faces: bool,
    why: bool,
    approximate: bool,
    min_face: int | None,
    save_to: Path | None,
    force: bool,
    workers: int | None,
    as_json: bool,
    as_csv: bool,
) -> Exit:
    """Find out who is in each PHOTO: an image file, a folder of them at any depth, or - for standard input.

    The largest face is searched among the users of the collection. --json prints the response of Amazon Rekognition's
    SearchUsersByImage; with --all-faces a list of responses, one for each face. A similarity is a measured false-match rate and no
    proof of identity.

    For several photos, or a folder, each row and each line of JSON contains its photo, in the given order; the photos are searched
    on all cores and printed as they finish. A photo that can't be used is reported on standard error, and the others continue.
    """
    from facesearch.cli.commands.search_answers import searched

    opened = partial(
        fs.Collection.open,
        db,
        collection_id,
        create=False,
        read_only=None,
        analyzer=analyzer_for(min_face),
        exact=not approximate,
        index=index,
    )
    work = partial(
        searched,
        user_match_threshold=threshold,
        max_users=max_users,
        quality_filter=quality_filter,
        attributes=attributes,
        all_faces=all_faces,
        why=why,
    )
    if are_many(photos) or as_csv:
        columns = ["face", "similarity", "user"][0 if all_faces else 1 :]
        with opened() as collection:
            return report_photos(
                photos,
                partial(work, collection),
                columns=[(name, len(name)) for name in columns],
                csv_columns=["face", "similarity", "user_id", "status"],
                databases=files_of(db),
                save_to=save_to,
                force=force,
                workers=workers,
                as_json=as_json,
                as_csv=as_csv,
            )
    from facesearch.cli.shell.saving import check_saving, save_photo

    source = photo_from(photos[0])
    protected = check_saving(save_to, inputs=[source], databases=files_of(db), force=force)
    with opened() as collection:
        picture = fs.read_image(source)
        answer = work(collection, picture)
    if as_json:
        print_json(answer.aws())
    else:
        print_block("\n".join(_lines(answer.shown, threshold, quality_filter)))
    if explanation := answer.explanation():
        (print_note_block if as_json else print_block)(f"\n{explanation}")
    if save_to:
        save_photo(picture, answer.seen, save_to, protected, force=force)
    return Exit.DONE if answer.found else Exit.NOTHING


def _lines(
    responses: "Sequence[fs.SearchUsersByImageResponse]", threshold: float, quality_filter: str
) -> Iterator[str]:
    searched, others = [response for response in responses if response.searched_face], responses[0].unsearched_faces
    if not searched:
        found = counted(len(others), "face")
        refused = f"no face was searched: {found} found, none passes the filter {quality_filter}; --why tells more"
        yield refused if others else "no face was found"
        return
    several = len(searched) > 1
    rows = [
        [str(number), f"{match.similarity:.2f}", match.user.user_id]
        for number, response in enumerate(searched, start=1)
        for match in response.user_matches
    ]
    if rows:
        columns = slice(0 if several else 1, None)
        right = [0, 1] if several else [0]
        yield table(
            ["face", "similarity", "user"][columns], [row[columns] for row in rows], right=right, shrinks=len(right)
        )
    for number, response in enumerate(searched, start=1):
        face = f"face {number}: " if several else ""
        if not response.user_matches:
            yield f"{face}nobody of similarity {threshold:g} or more"
        if response.next_user and not (several and response.user_matches):
            yield f"{face}next comes {response.next_user.user.user_id}, {response.next_user.similarity:.2f}"
        if response.searched_face:
            yield from (f"{face}{line}" for line in describe_face(response.searched_face.face_detail))
    if others:
        reasons = Counter(reason.value for face in others for reason in face.reasons)
        why = ", ".join(f"{name} {count}" if len(others) > 1 else name for name, count in reasons.items())
        yield f"{counted(len(others), 'face')} not searched: {why}; --why tells more"
