"""``facesearch detect`` and ``compare``: photos without any collection."""

from collections.abc import Sequence
from pathlib import Path

import click

import facesearch as fs
from facesearch.cli.exits import Exit
from facesearch.cli.options import as_json, attributes, photo_from, save, threshold
from facesearch.cli.output import note, printable, say, show_json, table
from facesearch.cli.verbs import Verb
from facesearch.cli.words import box_in_pixels, face_table, looks

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
    ),
    exits={Exit.DONE: "there is a face", Exit.NOTHING: "there is none"},
)
@click.argument("photo", type=click.Path())
@attributes
@save
@as_json
def detect(*, photo: str, attributes: Sequence[str], save_to: Path | None, as_json: bool) -> Exit:
    """Tell what faces PHOTO shows, largest first; PHOTO is a JPEG or PNG file, or - for standard input.

    Yaw, pitch and roll are in degrees, with Amazon Rekognition's signs; brightness and sharpness are 0-100. --json prints the
    answer as its DetectFaces words it.
    """
    picture = fs.read_image(photo_from(photo))
    faces = fs.detect_faces(picture, attributes=attributes)
    if as_json:
        show_json({"FaceDetails": [fs.to_aws(face) for face in faces]})
    elif not faces:
        say("no face was found")
    else:
        say(face_table(faces, picture.width, picture.height))
        for number, face in enumerate(faces, start=1):
            for line in looks(face):
                say(f"face {number}: {line}")
    if save_to:
        _save(picture, faces, save_to)
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
            note(f"no face was found in {printable(name)}")
    if as_json:
        show_json(fs.to_aws(response))
    elif response.face_matches:
        say(_similarities(response.face_matches, threshold, target, pictures[1]))
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
    return table(["similarity", f"face of {printable(target)}", ""], rows, right=[0], gives=1)


def _save(picture: "fs.Picture", faces: "Sequence[fs.FaceDetail]", path: Path) -> None:
    from facesearch.cli.drawing import save_marked
    from facesearch.marks import FaceClass, SeenFace

    save_marked(picture, [SeenFace(detail=face, kind=FaceClass.DETECTED) for face in faces], path)
    note(f"wrote {printable(str(path))}")
