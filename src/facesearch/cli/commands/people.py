"""``facesearch users``, ``faces``, ``create-user``, ``delete-user`` and others: users and faces of a collection."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import facesearch as fs
from facesearch.cli.shell.completion import complete_user
from facesearch.cli.shell.deletion import confirmed, wait_for_erasing
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.options import as_json as json_option, database, index_at, percentage, yes
from facesearch.cli.shell.output import counted, plain, print_answer, print_json, print_table

__all__ = [
    "associate_faces",
    "audit",
    "create_user",
    "delete_faces",
    "delete_user",
    "disassociate_faces",
    "faces",
    "users",
]


@command(
    short_help="list the users of a collection",
    aws_name="list-users",
    examples=("facesearch users --db people.db", "facesearch users --db people.db --json"),
)
@database
@json_option
def users(*, db: Path | str, collection_id: str, as_json: bool) -> Exit:
    """List the users of a collection.

    --json prints the response of Amazon Rekognition's ListUsers.
    """
    with fs.Collection.open(db, collection_id, create=False, read_only=None) as collection:
        listed = collection.users()
        count = Counter(face.user_id for face in collection.faces())
    if as_json:
        print_json({"Users": [fs.to_aws(user) for user in listed]})
    else:
        rows = [[user.user_id, str(count[user.user_id]), user.user_status.value] for user in listed]
        print_table(["user", "faces", "status"], rows, none="no users", right=[1])
    return Exit.DONE


@command(
    short_help="list the faces of a collection",
    aws_name="list-faces",
    examples=("facesearch faces --db people.db", "facesearch faces --db people.db --user ada"),
)
@database
@click.option("--user", "user_id", metavar="ID", shell_complete=complete_user, help="Only faces of this user.")
@json_option
def faces(*, db: Path | str, collection_id: str, user_id: str | None, as_json: bool) -> Exit:
    """List the faces of a collection, with their users and photos.

    A photo is listed as the path given to `index`, relative to the folder or CSV file, or else as its ExternalImageId.

    --json prints the response of Amazon Rekognition's ListFaces.
    """
    with fs.Collection.open(db, collection_id, create=False, read_only=None) as collection:
        listed, version = collection.faces(user_id), collection.face_model.version
    if as_json:
        print_json({"Faces": [fs.to_aws(face) for face in listed], "FaceModelVersion": version})
    else:
        rows = [
            [
                face.face_id,
                "-" if face.confidence is None else f"{face.confidence:.1f}%",
                face.user_id or "-",
                face.source or face.external_image_id or "-",
            ]
            for face in listed
        ]
        print_table(["face", "sure", "user", "photo"], rows, none="no faces", right=[1], shrinks=2)
    return Exit.DONE


@command(short_help="add a user without faces", examples=("facesearch create-user ada --db people.db",))
@click.argument("user_id", metavar="ID")
@database
@json_option
def create_user(*, user_id: str, db: Path | str, collection_id: str, as_json: bool) -> Exit:
    """Create a user without faces, for `associate-faces`; `index --user` creates a user with faces in one step."""
    with fs.Collection.open(db, collection_id) as collection:
        collection.create_user(user_id)
    print_answer({}, f"created user {user_id}", as_json=as_json)
    return Exit.DONE


@command(
    short_help="delete a user and the user's faces",
    examples=(
        "facesearch delete-user ada --db people.db",
        "facesearch delete-user ada --db people.db --keep-faces --yes",
    ),
    exits={Exit.DONE: "deleted", Exit.NOTHING: "not confirmed"},
)
@click.argument("user_id", metavar="ID", shell_complete=complete_user)
@database
@click.option(
    "--faces/--keep-faces",
    "with_faces",
    default=True,
    show_default=True,
    help="Delete the user's faces too, to erase the person completely, or keep them as unassociated faces.",
)
@yes
@json_option
def delete_user(
    *, user_id: str, db: Path | str, collection_id: str, with_faces: bool, yes: bool, as_json: bool
) -> Exit:
    """Delete a user and, unless --keep-faces is given, the user's faces.

    Amazon Rekognition's DeleteUser keeps the faces.
    """
    with fs.Collection.open(db, collection_id, create=False, read_only=True) as collection:
        count = len(collection.faces(user_id))
    what = f"user {user_id} {'and' if with_faces else 'but not'} {counted(count, 'face')}"
    if not yes and not confirmed(f"Delete {what} from {collection_id}?"):
        return Exit.NOTHING
    with fs.Collection.open(db, collection_id, create=False) as collection:
        collection.delete_user(user_id, faces=with_faces)
    wait_for_erasing(db)
    print_answer({}, f"deleted {what}", as_json=as_json)
    return Exit.DONE


@command(
    short_help="associate faces with a user",
    examples=("facesearch associate-faces ada 7e6ccb1f-33d2-5de0-b45e-5a3a9b7b5a0e --db people.db",),
    exits={Exit.DONE: "every face is associated", Exit.NOTHING: "a face was refused"},
)
@click.argument("user_id", metavar="ID", shell_complete=complete_user)
@click.argument("face_ids", metavar="FACE...", nargs=-1, required=True)
@database
@index_at
@percentage("--threshold", "Least similarity of a face to the faces that the user has already.", default=75)
@json_option
def associate_faces(
    *,
    user_id: str,
    face_ids: Sequence[str],
    db: Path | str,
    collection_id: str,
    index: str | None,
    threshold: float,
    as_json: bool,
) -> Exit:
    """Associate faces that `index PHOTO` added with a user.

    --json prints the response of Amazon Rekognition's AssociateFaces.
    """
    with fs.Collection.open(db, collection_id, create=False, index=index) as collection:
        made = collection.associate_faces(user_id, face_ids, user_match_threshold=threshold)
    return _changed("associated", made, made.associated_faces, made.unsuccessful_face_associations, as_json=as_json)


@command(
    short_help="disassociate faces from a user",
    examples=("facesearch disassociate-faces ada 7e6ccb1f-33d2-5de0-b45e-5a3a9b7b5a0e --db people.db",),
    exits={Exit.DONE: "every face is disassociated", Exit.NOTHING: "a face was refused"},
)
@click.argument("user_id", metavar="ID", shell_complete=complete_user)
@click.argument("face_ids", metavar="FACE...", nargs=-1, required=True)
@database
@json_option
def disassociate_faces(
    *, user_id: str, face_ids: Sequence[str], db: Path | str, collection_id: str, as_json: bool
) -> Exit:
    """Disassociate faces from a user; they stay in the collection.

    --json prints the response of Amazon Rekognition's DisassociateFaces.
    """
    with fs.Collection.open(db, collection_id, create=False) as collection:
        made = collection.disassociate_faces(user_id, face_ids)
    wait_for_erasing(db)
    refused = made.unsuccessful_face_disassociations
    return _changed("disassociated", made, made.disassociated_faces, refused, as_json=as_json)


@command(
    short_help="delete unassociated faces",
    examples=("facesearch delete-faces 7e6ccb1f-33d2-5de0-b45e-5a3a9b7b5a0e --db people.db",),
    exits={Exit.DONE: "every face was deleted", Exit.NOTHING: "a face was refused"},
)
@click.argument("face_ids", metavar="FACE...", nargs=-1, required=True)
@database
@json_option
def delete_faces(*, face_ids: Sequence[str], db: Path | str, collection_id: str, as_json: bool) -> Exit:
    """Delete faces that belong to no user.

    --json prints the response of Amazon Rekognition's DeleteFaces.
    """
    with fs.Collection.open(db, collection_id, create=False) as collection:
        made = collection.delete_faces(face_ids)
    wait_for_erasing(db)
    return _changed("deleted", made, made.deleted_faces, made.unsuccessful_face_deletions, as_json=as_json)


@command(
    short_help="find enrolment mistakes in a collection",
    examples=("facesearch audit --db people.db", "facesearch audit --db people.db --threshold 99.9 --json"),
    exits={Exit.DONE: "no mistake found", Exit.NOTHING: "a possible mistake was found"},
)
@database
@percentage("--threshold", "Users with at least this similarity are reported as one person.  [default: 99]")
@percentage("--own-threshold", "A face with less similarity to its user's other faces is reported.  [default: 50]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Most findings of each kind, worst first.")
@json_option
def audit(*, db: Path | str, collection_id: str, as_json: bool, **options: float | None) -> Exit:
    """Find possible mistakes: one person under two ids, faces of another person, users with inconsistent faces.

    The command changes nothing.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    with fs.Collection.open(db, collection_id, create=False, read_only=None) as collection:
        report = collection.audit(**given)
    print_answer(plain(report), *str(report).split("\n"), as_json=as_json)
    return Exit.NOTHING if report.same_person or report.misplaced or report.loose else Exit.DONE


def _changed(verb: str, response: Any, faces: Sequence[Any], refused: Sequence[Any], *, as_json: bool) -> Exit:
    lines = [f"{verb} {counted(len(faces), 'face')}"]
    for each in refused:
        reasons = ", ".join(reason.value for reason in each.reasons)
        owner = f" ({each.user_id})" if each.user_id else ""
        lines.append(f"{each.face_id}: refused, {reasons}{owner}")
    print_answer(fs.to_aws(response), *lines, as_json=as_json)
    return Exit.NOTHING if refused else Exit.DONE
