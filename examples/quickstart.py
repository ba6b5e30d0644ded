"""Who is in this photo? From a folder of people to AWS's answer.

    python examples/quickstart.py PEOPLE_FOLDER PHOTO

PEOPLE_FOLDER has one folder per person, named after the person, with a few photos in which the person has the largest face::

    people/
        Ada Lovelace/   1.jpg  2.jpg  3.png
        Grace Hopper/   portrait.jpg

Exit status: 0 if a user was found, 1 if none was, 2 if the photo or the folder can't be used.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import facesearch as fs

SUFFIXES = {".jpg", ".jpeg", ".png"}  # the two formats that AWS takes


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 2 or "-h" in arguments or "--help" in arguments:
        print(__doc__, file=sys.stderr)
        return 2
    people, photo = Path(arguments[0]), Path(arguments[1])
    if not people.is_dir():
        print(f"{people} is no folder. Pass the folder that has one folder per person.", file=sys.stderr)
        return 2

    collection = fs.Collection("quickstart")  # in memory: nothing is written to disk
    for folder in sorted(folder for folder in people.iterdir() if folder.is_dir()):
        enrol(collection, folder)
    if not len(collection):
        print(f"Nobody was enrolled: no folder in {people} has a photo with a face.", file=sys.stderr)
        return 2
    print(f"\n{collection!r}\n")

    try:
        response = fs.search_users_by_image(collection, photo)
    except fs.ImageError as error:  # missing, not a picture, too large, too small or damaged: the message has the cause
        print(f"The photo can't be searched. {error}", file=sys.stderr)
        return 2

    # The AWS dict: code written for boto3's rekognition client reads it unchanged.
    print(json.dumps(fs.to_aws(response), indent=2))
    print()
    # No face and no match are two different answers, not errors.
    if response.searched_face is None:
        print("There is no face in this photo.")
    elif not response.user_matches:
        print("There is a face, but nobody in the collection is similar enough.")
    for match in response.user_matches:
        print(f"{match.user.user_id}: similarity {match.similarity:.2f}")
    for face in response.unsearched_faces:
        print(f"another face was not searched: {', '.join(reason.value for reason in face.reasons)}")
    return 0 if response.user_matches else 1


def enrol(collection: fs.Collection, folder: Path) -> None:
    """Enrol one person, and print the outcome of each photo."""
    user_id = user_id_for(folder.name)
    print(f"{user_id}:")
    if user_id in collection:
        # Two people in one user would be confused with each other: leave one out, and print so.
        print(f"  left out: another folder's name gives the id {user_id!r} too")
        return
    # `enroll` raises if one picture can't be read, and then enrols none. Reading the pictures first keeps the readable ones
    # of a folder. A picture that was read is not decoded again.
    names: list[str] = []
    pictures: list[fs.Picture] = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        try:
            pictures.append(fs.read_image(path))
            names.append(path.name)
        except fs.ImageError as error:
            print(f"  {path.name}: not read. {error}")
    if not pictures:
        print("  left out: no photo that can be used")
        return
    try:
        report = collection.enroll(user_id, pictures)
    except fs.QuotaExceededError as error:  # AWS allows a user 100 faces
        print(f"  left out: {error}")
        return
    for name, photo in zip(names, report.photos, strict=True):
        reasons = ", ".join(reason.value for reason in photo.reasons)
        print(f"  {name}: {'accepted' if photo.face else f'not accepted, {reasons}'}")


def user_id_for(name: str) -> str:
    """Return a valid user id, of letters, digits and ``_.-:``: "Ada Lovelace" becomes "Ada_Lovelace"."""
    return re.sub(r"[^a-zA-Z0-9_.\-:]", "_", name)[:128]


if __name__ == "__main__":
    sys.exit(main())
