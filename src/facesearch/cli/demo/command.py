"""``facesearch demo``: enrols and searches real photographs, and shows AWS's response."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.options import as_json as json_option, force
from facesearch.cli.shell.output import print_json, print_line, print_note
from facesearch.cli.shell.words import describe_face

if TYPE_CHECKING:
    from PIL import Image

    from facesearch.cli.demo.page import ShownScene
    from facesearch.cli.demo.scenes import Scene, ScenePicture

__all__ = ["demo"]

Log: TypeAlias = Callable[[str], None]
Answers: TypeAlias = "dict[str, tuple[Image.Image, fs.SearchUsersByImageResponse]]"

ASTRONAUT, ADMIRAL = "eileen_collins", "grace_hopper"
MOST_NAMED = 20  # faces of a picture that are labelled with names
THRESHOLD = 80.0  # AWS's default: less similar users are not reported


@command(
    short_help="enrol and search real photographs",
    examples=("facesearch demo", "facesearch demo --strangers 10 --out pictures"),
    exits={Exit.DONE: "every search found the right person", Exit.NOTHING: "a search did not"},
)
@click.option(
    "--strangers", type=click.IntRange(0, 100), default=100, show_default=True, help="Number of small faces to enrol."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for demo.html and figures.",
)
@click.option(
    "--data",
    envvar="FACESEARCH_DATA",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Folder with a folder people/ that has a folder of photos for each person: the demo runs on them too.",
)
@force
@json_option
def demo(*, strangers: int, out: Path, data: Path | None, force: bool, as_json: bool) -> Exit:
    """Enrol and search real photographs, and show the response.

    Every image is part of an installed package: the astronaut Eileen Collins and 100 small faces with scikit-image, Rear
    Admiral Grace Hopper with matplotlib. Nothing is downloaded, nothing leaves the machine.
    """
    from facesearch.cli.demo.page import check_folder, write_page
    from facesearch.cli.demo.people import run_on_people
    from facesearch.cli.demo.scenes import scenes_of

    log = print_note if as_json else print_line
    photos = _photos()
    check_folder(out, photos, overwrite=force)
    log("Who is in this photo? Answered on this machine, without any network.")
    log("")
    collection = fs.Collection("demo", thumbnails=True)  # thumbnails show the matched users
    start = time.perf_counter()
    collection.analyzer.analyze(photos[ASTRONAUT])  # models are loaded on first use, never at import
    log(f"Models loaded and used once ({_seconds_since(start)})")
    log("")
    log("Enrol: photos become faces, faces make users")
    for who, photo in photos.items():
        _enrol(collection, who, photo, log)
    _enrol_strangers(collection, strangers, log)
    log(f"  {collection!r}")
    responses, failures = _search(collection, photos, log)
    if as_json:
        print_json({who: fs.to_aws(response) for who, (_, response) in responses.items()})
    else:
        print_line()
        print_line(f"The whole answer for {ASTRONAUT}, as Amazon Rekognition words it (attributes DEFAULT)")
        print_json(fs.to_aws(responses[ASTRONAUT][1]))
    scenes = [_run_scene(collection, scene, log) for scene in scenes_of(photos)]
    searches = {who: response for who, (_, response) in responses.items()}
    page = write_page(out, collection, searches, scenes, overwrite=force)
    log("")
    log(f"The same to look at: {page}")
    _draw(out, responses, log, overwrite=force)
    if data and (data / "people").is_dir():
        failures += run_on_people(data / "people", log)
    else:
        missing = f"photographs in {data / 'people'}" if data else "--data"
        log("")
        log(f"No {missing}: the part with photographs of other days is left out.")
    for failure in failures:
        print_note(f"FAILED: {failure}")
    return Exit.NOTHING if failures else Exit.DONE


def _photos() -> "dict[str, Image.Image]":
    from facesearch.cli.demo.photos import admiral_photo, astronaut_photo

    photos = {ASTRONAUT: astronaut_photo()}
    admiral = admiral_photo()
    if admiral is None:
        print_note('matplotlib brings a second photo, and figures: pip install "facesearch[demo]"')
    else:
        photos[ADMIRAL] = admiral
    return photos


def _enrol(collection: "fs.Collection", user_id: str, photo: "Image.Image", log: Log) -> None:
    from facesearch.cli.demo.photos import altered_copies

    start = time.perf_counter()
    report = collection.enroll(user_id, altered_copies(photo))
    log(f"  {user_id}: {report.accepted} of {len(report.photos)} altered copies accepted ({_seconds_since(start)})")
    for number, copy in enumerate(report.photos, start=1):
        if copy.reasons:
            log(f"    copy {number} was refused: {', '.join(reason.value for reason in copy.reasons)}")


def _enrol_strangers(collection: "fs.Collection", count: int, log: Log) -> None:
    from facesearch.cli.demo.photos import stranger_photos

    start, photos = time.perf_counter(), stranger_photos(count)
    accepted = 0
    for number, photo in enumerate(photos):
        # The quality filter would refuse such faces. The demo enrols them as users that must not match.
        report = collection.enroll(f"stranger_{number:03}", [photo], quality_filter="NONE")
        accepted += report.accepted
    log(f"  strangers: {accepted} of {len(photos)} enlarged pictures had a face to enrol ({_seconds_since(start)})")


def _search(collection: "fs.Collection", photos: "Mapping[str, Image.Image]", log: Log) -> tuple[Answers, list[str]]:
    """Search a new image of each person: the original of the enrolled copies, or one more copy."""
    from facesearch.cli.demo.photos import another_copy

    responses: Answers = {}
    failures = []
    for who, photo in photos.items():
        probe = photo if who == ASTRONAUT else another_copy(photo)
        start = time.perf_counter()
        response = fs.search_users_by_image(collection, probe, user_match_threshold=THRESHOLD)
        log("")
        log(f"Search a photo of {who}, {probe.width} x {probe.height} pixels ({_seconds_since(start)})")
        responses[who] = probe, response
        if not _print_matches(collection, probe, who, response, log):
            failures.append(f"the photo of {who} did not give {who} first")
        for line in describe_face(fs.detect_faces(probe, attributes=["ALL"])[0]):
            log(f"  {line}")
    return responses, failures


def _print_matches(
    collection: "fs.Collection",
    photo: "Image.Image",
    who: str,
    response: "fs.SearchUsersByImageResponse",
    log: Log,
) -> bool:
    """Print the matches and the nearest other user; return whether the first match is right."""
    for match in response.user_matches:
        log(f"  found: {match.user.user_id:<16} similarity {match.similarity:6.2f}")
    if not response.user_matches:
        log(f"  nobody of similarity {THRESHOLD:g} or more")
    # The threshold only filters. At 0 the same search returns every user with the same similarity.
    everybody = fs.search_users_by_image(collection, photo, user_match_threshold=0).user_matches
    others = [match for match in everybody if match.user.user_id != who]
    if others:
        nearest = others[0]
        log(f"  nearest of {len(others)} others: {nearest.user.user_id}, similarity {nearest.similarity:.2f}")
        if nearest.similarity >= THRESHOLD and nearest.user.user_id.startswith("stranger"):
            log("    That is a false match: a picture of 25 x 25 pixels, enrolled past the quality filter.")
    for face in response.unsearched_faces:
        reasons = ", ".join(reason.value for reason in face.reasons)
        log(f"  not searched: a face of confidence {face.face_details.confidence:.0f}, {reasons}")
    return bool(response.user_matches) and response.user_matches[0].user.user_id == who


def _run_scene(collection: "fs.Collection", scene: "Scene", log: Log) -> "ShownScene":
    """Search every face of a scene's pictures, print how many are named right, and return the annotated pictures."""
    from facesearch.cli.demo.page import ShownPicture, ShownScene

    log("")
    log(f"{scene.title}: {scene.words}")
    shown = []
    for picture in scene.pictures:
        start = time.perf_counter()
        faces: Sequence[fs.SearchUsersByImageResponse] = fs.search_all_faces(
            collection, picture.image, quality_filter=scene.quality_filter
        )
        outcome = _outcome(picture, faces)
        if not faces:  # the answer about no searched face has the reasons
            response = fs.search_users_by_image(collection, picture.image, quality_filter=scene.quality_filter)
            faces = (response,)
            outcome = "; ".join(
                f"{reason}: {figure}" for face in response.explain().faces for reason, figure in face.figures()
            )
        log(f"  {picture.words}: {outcome} ({_seconds_since(start)})")
        details = [face.searched_face.face_detail for face in faces if face.searched_face]
        drawn = faces if len(faces) <= MOST_NAMED else details  # names would cover small faces
        scale = 2 if len(scene.pictures) == 1 else 1  # it is shown in the whole width
        large = picture.image.resize((picture.image.width * scale, picture.image.height * scale))
        shown.append(ShownPicture(image=fs.annotate(large, drawn), caption=f"{picture.words}: {outcome}"))
    return ShownScene(title=scene.title, words=scene.words, pictures=tuple(shown))


def _outcome(picture: "ScenePicture", faces: "Sequence[fs.SearchUsersByImageResponse]") -> str:
    """Return how many of the faces in a picture got their names, and how many another one."""
    found = Counter(response.user_matches[0].user.user_id for response in faces if response.user_matches)
    right = (found & Counter(picture.names)).total()
    wrong = f", {found.total() - right} wrong" if found.total() > right else ""
    if len(picture.names) == 1 and right:
        return f"{picture.names[0]} {faces[0].user_matches[0].similarity:.1f}%{wrong}"
    return f"{len(faces)} of {len(picture.names)} faces found, {right} named right{wrong}"


def _draw(folder: Path, responses: Answers, log: Log, *, overwrite: bool) -> None:
    """Save each response as a figure, if matplotlib is installed."""
    from facesearch.cli.demo.page import write_figure
    from facesearch.plotting import plot_response

    try:
        for who, (photo, response) in responses.items():
            figure = write_figure(folder, who, plot_response(photo, response), overwrite=overwrite)
            log(f"  and as a figure: {figure}")
    except fs.MissingExtraError as error:
        log(f"  no figures: {error}")


def _seconds_since(start: float) -> str:
    return f"{time.perf_counter() - start:.2f} s"
