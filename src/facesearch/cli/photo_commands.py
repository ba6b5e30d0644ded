"""``facesearch detect`` and ``compare``: photos without any collection."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    analyzer = fs.FaceAnalyzer()
    own, others = (analyzer.analyze(picture) for picture in pictures)
    for name, faces in ((source, own), (target, others)):
        if not faces:
            note(f"no face was found in {printable(name)}")
    compared = _compared(own[0], others, fs.calibration(analyzer.face_model)) if own else []
    matched = sum(similarity >= threshold for similarity, _ in compared)
    if as_json:
        unmatched = [face for _, face in compared[matched:]] if own else [face.detail for face in others]
        show_json(_as_aws(own[0].detail if own else None, compared[:matched], unmatched))
    elif compared:
        width, height = pictures[1].width, pictures[1].height
        rows = [
            [
                f"{similarity:.2f}",
                box_in_pixels(face, width, height),
                "" if similarity >= threshold else f"below {threshold:g}",
            ]
            for similarity, face in compared
        ]
        say(table(["similarity", f"face of {printable(target)}", ""], rows, right=[0], gives=1))
    return Exit.DONE if matched else Exit.NOTHING


def _compared(
    own: "fs.AnalyzedFace", others: "Sequence[fs.AnalyzedFace]", scores: "fs.Calibration"
) -> "list[tuple[float, fs.FaceDetail]]":
    """Give each face's similarity to *own*, the most similar first; equal ones in their order."""
    import numpy as np

    pairs = [(scores.similarity(float(np.linalg.norm(own.embedding - face.embedding))), face.detail) for face in others]
    return sorted(pairs, key=lambda pair: -pair[0])


def _as_aws(
    own: "fs.FaceDetail | None", matches: "Sequence[tuple[float, fs.FaceDetail]]", unmatched: "Sequence[fs.FaceDetail]"
) -> dict[str, Any]:
    """Word it as CompareFaces does; what it tells of a face is just what DEFAULT asks for."""
    answer: dict[str, Any] = {}
    if own:
        told = fs.to_aws(own)
        answer["SourceImageFace"] = {name: told[name] for name in ("BoundingBox", "Confidence")}
    answer["FaceMatches"] = [{"Similarity": similarity, "Face": fs.to_aws(face)} for similarity, face in matches]
    answer["UnmatchedFaces"] = [fs.to_aws(face) for face in unmatched]
    return answer


def _save(picture: "fs.Picture", faces: "Sequence[fs.FaceDetail]", path: Path) -> None:
    from facesearch.cli.drawing import save_marked
    from facesearch.marks import FaceClass, SeenFace

    save_marked(picture, [SeenFace(detail=face, kind=FaceClass.DETECTED) for face in faces], path)
    note(f"wrote {printable(str(path))}")
