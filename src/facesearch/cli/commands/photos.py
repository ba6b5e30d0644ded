"""``facesearch detect`` and ``compare``: commands for photos, without a collection."""

from collections.abc import Sequence
from pathlib import Path

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.many_photos import are_many
from facesearch.cli.shell.options import (
    analyzer_for,
    as_json,
    attributes,
    force,
    formats,
    min_face,
    photo_from,
    save,
    threshold,
    workers,
)
from facesearch.cli.shell.output import print_block, print_json, print_line, print_note, print_table, table
from facesearch.cli.shell.words import FACE_COLUMNS, box_in_pixels, describe_face, detected_faces, face_cells

__all__ = ["compare", "detect"]


@command(
    short_help="detect the faces in a photo",
    aws_name="detect-faces",
    examples=(
        "facesearch detect party.jpg",
        "facesearch detect party.jpg --attributes ALL",
        "facesearch detect party.jpg --attributes SMILE,AGE_RANGE --json",
        "facesearch detect party.jpg --save marked.png",
        "facesearch detect holiday party.jpg --csv > faces.csv",
    ),
    exits={
        Exit.DONE: "a face was detected in a photo",
        Exit.NOTHING: "no face was detected",
        Exit.PHOTO: "a photo can't be used; all other photos were processed",
    },
)
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True, type=click.Path())
@attributes
@min_face
@save
@force
@workers
@formats
def detect(
    *,
    photos: Sequence[str],
    attributes: Sequence[str],
    min_face: int | None,
    save_to: Path | None,
    force: bool,
    workers: int | None,
    as_json: bool,
    as_csv: bool,
) -> Exit:
    """Detect the faces in each PHOTO, largest first, at most 100: an image file, a folder of them at any depth, or - for standard input.

    Yaw, pitch and roll are in degrees, with Amazon Rekognition's signs; brightness and sharpness are 0-100. --json prints the
    response of its DetectFaces; for several photos, or a folder, one line per photo.
    """
    if are_many(photos) or as_csv:
        from facesearch.cli.commands.detect_many import detect_many

        output = {"save_to": save_to, "force": force, "workers": workers, "as_json": as_json, "as_csv": as_csv}
        return detect_many(photos, attributes, min_face=min_face, **output)
    from facesearch.cli.shell.saving import check_saving, save_photo

    source = photo_from(photos[0])
    protected = check_saving(save_to, inputs=[source], force=force)
    picture = fs.read_image(source)
    faces = fs.detect_faces(picture, attributes=attributes, analyzer=analyzer_for(min_face))
    if as_json:
        print_json({"FaceDetails": [fs.to_aws(face) for face in faces]})
    else:
        rows = [face_cells(number, face, picture.width, picture.height) for number, face in enumerate(faces, start=1)]
        print_table(FACE_COLUMNS, rows, none="no face was found", right=[0, 2, 3, 4, 5, 6, 7], shrinks=1)
        for number, face in enumerate(faces, start=1):
            for line in describe_face(face):
                print_line(f"face {number}: {line}")
    if save_to:
        save_photo(picture, detected_faces(faces), save_to, protected, force=force)
    return Exit.DONE if faces else Exit.NOTHING


@command(
    short_help="compare the faces in two photos",
    aws_name="compare-faces",
    examples=(
        "facesearch compare passport.jpg selfie.jpg",
        "facesearch compare passport.jpg party.jpg --threshold 99 --json",
    ),
    exits={
        Exit.DONE: "a face of B reaches the threshold",
        Exit.NOTHING: "no face does, or a photo shows no face",
    },
)
@click.argument("source", type=click.Path(), metavar="A")
@click.argument("target", type=click.Path(), metavar="B")
@threshold
@min_face
@as_json
def compare(*, source: str, target: str, threshold: float, min_face: int | None, as_json: bool) -> Exit:
    """Compare the largest face of photo A with each face of photo B; - is standard input.

    --json prints the response of Amazon Rekognition's CompareFaces. A similarity is a measured false-match rate
    (`facesearch calibration`): 1 in 1,000 comparisons of different people reaches 80. It is no proof of identity.
    """
    if source == target == "-":
        raise click.UsageError("A and B can't both be standard input.")
    pictures = [fs.read_image(photo_from(photo)) for photo in (source, target)]
    # The table lists every similarity; a response contains those above its threshold only.
    least = threshold if as_json else 0
    response = fs.compare_faces(
        *pictures, similarity_threshold=least, attributes=["DEFAULT"], analyzer=analyzer_for(min_face)
    )
    seen = (response.source_image_face, response.face_matches or response.unmatched_faces)
    for name, faces in zip((source, target), seen, strict=True):
        if not faces:
            print_note(f"no face was found in {name}")
    if as_json:
        print_json(fs.to_aws(response))
    elif response.face_matches:
        rows = [
            [
                f"{match.similarity:.2f}",
                box_in_pixels(match.face.bounding_box, pictures[1].width, pictures[1].height),
                "" if match.similarity >= threshold else f"below {threshold:g}",
            ]
            for match in response.face_matches
        ]
        print_block(table(["similarity", f"face of {target}", ""], rows, right=[0], shrinks=1))
    matched = any(match.similarity >= threshold for match in response.face_matches)
    return Exit.DONE if matched else Exit.NOTHING
