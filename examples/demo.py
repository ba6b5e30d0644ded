"""Who is in this photo? The main job of facesearch on real photographs, from enrolment to AWS's answer.

    make demo                       # sets everything up and runs this file
    python examples/demo.py         # where facesearch[demo] is installed already

Every picture comes with an installed package: the astronaut Eileen Collins and 100 small faces with scikit-image, Rear
Admiral Grace Hopper with matplotlib. Nothing is downloaded, nothing leaves the machine. Where ``people/`` of the project's
research photographs is at hand (FACESEARCH_DATA, or ``../shared/data`` beside the repository) the demo runs on it too.

Exit status: 0 when everybody was recognised, 1 when somebody was not.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import skimage.data
from PIL import Image, ImageEnhance, ImageOps

import facesearch as fs

ASTRONAUT, ADMIRAL = "eileen_collins", "grace_hopper"
THRESHOLD = 80.0  # AWS's own default: who is less similar than this is not reported
ENROLLED_PHOTOS = 3  # of each person in people/; the others are searched
DATA = Path(os.environ.get("FACESEARCH_DATA") or Path(__file__).resolve().parents[1] / "../shared/data").resolve()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strangers", type=int, default=100, help="how many small faces to enrol (0-100)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for demo.html")
    options = parser.parse_args(argv)

    print("Who is in this photo? Answered on this machine, without any network.\n")
    collection = fs.Collection("demo")
    astronaut, admiral = astronaut_photo(), admiral_photo()
    start = time.perf_counter()
    collection.analyzer.analyze(astronaut)  # models are loaded on first use, never at import
    print(f"Models loaded and used once ({seconds_since(start)})")

    print("\nEnrol: photos become faces, faces make users")
    enrol(collection, ASTRONAUT, altered_copies(astronaut))
    enrol(collection, ADMIRAL, altered_copies(admiral))
    enrol_strangers(collection, options.strangers)
    print(f"  {collection!r}")

    # Neither picture was enrolled: the first is the original of her altered copies, the second one more altered copy.
    searches = {
        ASTRONAUT: astronaut,
        ADMIRAL: ImageEnhance.Contrast(admiral.rotate(-7, Image.Resampling.BICUBIC)).enhance(0.7),
    }
    responses, failures = {}, []
    for who, photo in searches.items():
        start = time.perf_counter()
        response = fs.search_users_by_image(collection, photo, user_match_threshold=THRESHOLD)
        print(f"\nSearch a photo of {who}, {photo.width} x {photo.height} pixels ({seconds_since(start)})")
        responses[who] = response
        if not print_answer(collection, photo, who, response):
            failures.append(f"the photo of {who} did not give {who} first")
        print_looks(photo)

    print(f"\nThe whole answer for {ASTRONAUT}, as Amazon Rekognition words it (attributes DEFAULT)")
    print(json.dumps(fs.to_aws(responses[ASTRONAUT]), indent=2))

    page = write_page(options.out, collection, responses)
    print(f"\nThe same to look at: {page}")

    failures += run_on_people(DATA / "people")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


# ---------------------------------------------------------------- pictures


def astronaut_photo() -> Image.Image:
    pixels = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    return Image.fromarray(pixels)


def admiral_photo() -> Image.Image:
    path = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(path) as photo:
        return photo.convert("RGB")


def altered_copies(photo: Image.Image) -> list[Image.Image | bytes]:
    """One photograph is all there is of her, so her enrolment photos are made of it; the photo itself is left for the search.

    Copies of one photograph are much easier than photos of other days: this shows that the parts work together, and says
    nothing about accuracy. ``people/`` below and ``benchmarks/`` do.
    """
    jpeg = BytesIO()
    photo.save(jpeg, "JPEG", quality=25)
    return [
        ImageOps.mirror(photo),
        ImageEnhance.Brightness(photo).enhance(0.55),
        photo.resize((photo.width * 3 // 4, photo.height * 3 // 4)),
        photo.rotate(8, Image.Resampling.BICUBIC),
        jpeg.getvalue(),  # an encoded picture is a picture too, and so are paths, files and arrays
    ]


def stranger_photos(count: int) -> list[Image.Image]:
    """The first 100 of scikit-image's lfw_subset are faces, grey, of 25 x 25 pixels; nobody knows whose.

    AWS takes pictures of 80 pixels a side and faces of 40, and so do we, so they are enlarged. Tried were 100, 150 and 200
    pixels, with and without a border of a quarter or a half: each way 94 to 96 of the 100 are detected, and 150 without a
    border is the quickest of the best. Enlarging adds no detail. Faces that small look more alike to the network, so these
    strangers are harder to tell from the right person than strangers on ordinary photos would be.
    """
    faces = skimage.data.lfw_subset()[: min(max(count, 0), 100)]  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    small = (faces * 255).round().astype(np.uint8)
    return [Image.fromarray(face).resize((150, 150), Image.Resampling.BICUBIC) for face in small]


# ---------------------------------------------------------------- the job


def enrol(collection: fs.Collection, user_id: str, photos: Sequence[Image.Image | bytes]) -> None:
    start = time.perf_counter()
    report = collection.enroll(user_id, photos)
    print(f"  {user_id}: {report.accepted} of {len(report.photos)} altered copies accepted ({seconds_since(start)})")
    for number, photo in enumerate(report.photos, start=1):
        if photo.reasons:
            print(f"    copy {number} was refused: {', '.join(reason.value for reason in photo.reasons)}")


def enrol_strangers(collection: fs.Collection, count: int) -> None:
    start, photos = time.perf_counter(), stranger_photos(count)
    accepted = 0
    for number, photo in enumerate(photos):
        # The quality filter exists to keep such faces out. Here they are wanted, as somebody to be told apart from.
        report = collection.enroll(f"stranger_{number:03}", [photo], quality_filter="NONE")
        accepted += report.accepted
    print(f"  strangers: {accepted} of {len(photos)} enlarged pictures had a face to enrol ({seconds_since(start)})")


def print_answer(
    collection: fs.Collection, photo: Image.Image, who: str, response: fs.SearchUsersByImageResponse
) -> bool:
    """Say who was found, and how near anybody else came; tell whether it was the right one."""
    for match in response.user_matches:
        print(f"  found: {match.user.user_id:<16} similarity {match.similarity:6.2f}")
    if not response.user_matches:
        print(f"  nobody of similarity {THRESHOLD:g} or more")
    # The threshold only cuts. At 0 the same search gives everybody, with the same similarities.
    everybody = fs.search_users_by_image(collection, photo, user_match_threshold=0).user_matches
    others = [match for match in everybody if match.user.user_id != who]
    if others:
        nearest = others[0]
        print(f"  nearest of {len(others)} others: {nearest.user.user_id}, similarity {nearest.similarity:.2f}")
        if nearest.similarity >= THRESHOLD and nearest.user.user_id.startswith("stranger"):
            print("    That is a false match: a picture of 25 x 25 pixels, enrolled past the quality filter.")
    for face in response.unsearched_faces:
        reasons = ", ".join(reason.value for reason in face.reasons)
        print(f"  not searched: a face of confidence {face.face_details.confidence:.0f}, {reasons}")
    return bool(response.user_matches) and response.user_matches[0].user.user_id == who


def print_looks(photo: Image.Image) -> None:
    """Say what the largest face looks like; docs/attributes.md says how far that may be trusted."""
    face = fs.detect_faces(photo, attributes=["ALL"])[0]
    age, gender, emotions = face.age_range, face.gender, face.emotions
    if age and gender and emotions:
        print(f"  looks {age.low}-{age.high} years old, {gender.value.value} ({gender.confidence:.0f}%)", end=", ")
        print(f"{emotions[0].type.value} ({emotions[0].confidence:.0f}%)")
    answers = {
        name: answer
        for name in (
            "smile",
            "mouth_open",
            "eyes_open",
            "eyeglasses",
            "sunglasses",
            "beard",
            "mustache",
            "face_occluded",
        )
        if (answer := getattr(face, name)) is not None
    }
    for word, value in (("yes", True), ("no", False)):
        said = [f"{name} ({answer.confidence:.0f}%)" for name, answer in answers.items() if answer.value is value]
        print(f"    {word}: {', '.join(said)}")


# ---------------------------------------------------------------- people/


def run_on_people(folder: Path) -> list[str]:
    """Real photographs, taken on different days: 3 of each person are enrolled, the others searched.

    Ten people are no benchmark either, and one wrong answer among 70 is no failure of the demo; benchmarks/ measures.
    """
    if not folder.is_dir():
        print(
            f"\nNo photographs in {folder}: that part is left out (FACESEARCH_DATA names the folder that has people/)."
        )
        return []
    print(f"\nThe same on {folder}: {ENROLLED_PHOTOS} photos of each person enrolled, the others searched")
    photos = {person.name: sorted(person.glob("*.jpg")) for person in sorted(folder.iterdir()) if person.is_dir()}
    staff = fs.Collection("people")
    start = time.perf_counter()
    for name, paths in photos.items():
        staff.enroll(name, paths[:ENROLLED_PHOTOS])
    print(f"  {staff!r} ({seconds_since(start)})")
    print(f"  {'person':<22} {'found first':>11} {'lowest of own':>13} {'highest of others':>19}")
    failures = []
    start = time.perf_counter()
    for name, paths in photos.items():
        right, own, other = 0, [], []
        for path in paths[ENROLLED_PHOTOS:]:
            matches = fs.search_users_by_image(staff, path, user_match_threshold=0).user_matches
            right += bool(matches) and matches[0].user.user_id == name
            scores = {match.user.user_id: match.similarity for match in matches}
            own.append(scores.pop(name, 0.0))
            other.append(max(scores.values(), default=0.0))
        print(f"  {name:<22} {f'{right} of {len(own)}':>11} {min(own):13.2f} {max(other):19.2f}")
        if right * 2 <= len(own):
            failures.append(f"{name} came first in only {right} of {len(own)} photos")
    print(f"  all searched ({seconds_since(start)})")
    return failures


# ---------------------------------------------------------------- telling


def seconds_since(start: float) -> str:
    return f"{time.perf_counter() - start:.2f} s"


def write_page(folder: Path, collection: fs.Collection, responses: dict[str, fs.SearchUsersByImageResponse]) -> Path:
    """What a notebook shows for a response and a collection is plain HTML, so it makes a page as well."""
    parts = [
        f"<section><h2>Search: a photo of {escape(who)}</h2>{response._repr_html_()}</section>"
        for who, response in responses.items()
    ]
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>facesearch demo</title>
<style>
body {{ font-family: system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.4 }}
table {{ border-collapse: collapse; margin: 0.5rem 0 }}
th, td {{ text-align: left; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #ddd }}
</style>
</head>
<body>
<h1>facesearch demo</h1>
{"".join(parts)}
<section><h2>The collection</h2>{collection._repr_html_()}</section>
</body>
</html>
"""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.html"
    path.write_text(page, encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
