"""``facesearch detect`` and ``compare``: photos without any collection."""

from collections.abc import Sequence
from pathlib import Path

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Verb
from facesearch.cli.shell.many_photos import are_many
from facesearch.cli.shell.options import (
    as_csv,
    as_json,
    attributes,
    check_picture,
    force,
    photo_from,
    save_many,
    threshold,
    workers,
)
from facesearch.cli.shell.output import note, say, show, show_json, table
from facesearch.cli.shell.saving import check_saving, save_photo
from facesearch.cli.shell.words import box_in_pixels, face_table, looks

__all__ = ["compare", "detect"]


@click.command(
    cls=Verb,
    section="Find",
    short_help="tell what faces a photo shows",
    also="detect-faces",
    examples=(
        "facesearch detect party.jpg",
        "facesearch detect party.jpg --attributes ALL",
        "facesearch detect party.jpg --attributes SMILE,AGE_RANGE --json",
        "facesearch detect party.jpg --save marked.png",
        "facesearch detect holiday party.jpg --csv > faces.csv",
    ),
    exits={
        Exit.DONE: "there is a face, in any of the photos",
        Exit.NOTHING: "there is none",
        Exit.PHOTO: "a photo can't be used; of many, all others were looked at",
    },
)
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True, type=click.Path())
@attributes
@save_many
@force
@workers
@as_json
@as_csv
def detect(
    *,
    photos: Sequence[str],
    attributes: Sequence[str],
    save_to: Path | None,
    force: bool,
    workers: int | None,
    as_json: bool,
    as_csv: bool,
) -> Exit:
    """Tell what faces each PHOTO shows, largest first, 100 at most: a picture file, a folder of them at any depth, or - for standard input.

    Yaw, pitch and roll are in degrees, with Amazon Rekognition's signs; brightness and sharpness are 0-100. --json prints the
    answer as its DetectFaces words it; of several photos, or of a folder, a line for each.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv can't be given both.")
    if are_many(photos) or as_csv:
        from facesearch.cli.commands.detect_many import detect_many

        return detect_many(
            photos, attributes, save_to=save_to, force=force, workers=workers, as_json=as_json, as_csv=as_csv
        )
    (photo,) = photos
    check_picture(save_to)
    source = photo_from(photo)
    protected = check_saving(save_to, inputs=[source], force=force)
    picture = fs.read_image(source)
    faces = fs.detect_faces(picture, attributes=attributes)
    if as_json:
        show_json({"FaceDetails": [fs.to_aws(face) for face in faces]})
    elif not faces:
        say("no face was found")
    else:
        show(face_table(faces, picture.width, picture.height))
        for number, face in enumerate(faces, start=1):
            for line in looks(face):
                say(f"face {number}: {line}")
    if save_to:
        from facesearch.display.face_marks import FaceClass, SeenFace

        seen = [SeenFace(detail=face, kind=FaceClass.DETECTED) for face in faces]
        save_photo(picture, seen, save_to, protected, force=force)
    return Exit.DONE if faces else Exit.NOTHING


@click.command(
    cls=Verb,
    section="Find",
    short_help="tell how similar the faces of two photos are",
    also="compare-faces",
    examples=(
        "facesearch compare passport.jpg selfie.jpg",
        "facesearch compare passport.jpg party.jpg --threshold 99 --json",
    ),
    exits={
        Exit.DONE: "a face of B is similar enough",
        Exit.NOTHING: "none is, or a photo shows no face",
    },
)
@click.argument("source", type=click.Path(), metavar="A")
@click.argument("target", type=click.Path(), metavar="B")
@threshold
@as_json
def compare(*, source: str, target: str, threshold: float, as_json: bool) -> Exit:
    """Tell how similar the largest face of photo A is to each face of photo B; - is standard input.

    --json prints the answer as Amazon Rekognition's CompareFaces words it. A similarity is a measured false-match rate
    (`facesearch calibration`): at 80 one comparison of strangers in 1,000 comes as near. It is no proof of who somebody is.
    """
    if source == target == "-":
        raise click.UsageError("A and B can't both be standard input.")
    pictures = [fs.read_image(photo_from(photo)) for photo in (source, target)]
    # The table lists every similarity, which an answer has for those above its threshold only.
    least = threshold if as_json else 0
    response = fs.compare_faces(*pictures, similarity_threshold=least, attributes=["DEFAULT"])
    seen = (response.source_image_face, response.face_matches or response.unmatched_faces)
    for name, faces in zip((source, target), seen, strict=True):
        if not faces:
            note(f"no face was found in {name}")
    if as_json:
        show_json(fs.to_aws(response))
    elif response.face_matches:
        show(_similarities(response.face_matches, threshold, target, pictures[1]))
    matched = any(match.similarity >= threshold for match in response.face_matches)
    return Exit.DONE if matched else Exit.NOTHING


def _similarities(
    matches: "Sequence[fs.CompareFacesMatch]", threshold: float, target: str, picture: "fs.Picture"
) -> str:
    rows = [
        [
            f"{match.similarity:.2f}",
            box_in_pixels(match.face.bounding_box, picture.width, picture.height),
            "" if match.similarity >= threshold else f"below {threshold:g}",
        ]
        for match in matches
    ]
    return table(["similarity", f"face of {target}", ""], rows, right=[0], gives=1)
