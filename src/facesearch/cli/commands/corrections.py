"""``facesearch name``, ``merge``, ``rename``, ``move``, ``set-aside``, ``undo`` and ``photos-of``: correct a collection."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

import facesearch as fs
from facesearch.cli.shell.completion import complete_user
from facesearch.cli.shell.deletion import wait_for_erasing
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Failure, command
from facesearch.cli.shell.many_photos import spreadsheet_cell
from facesearch.cli.shell.options import database, formats, percentage
from facesearch.cli.shell.output import plain, print_csv_row, print_json, print_line, print_table

__all__ = ["merge", "move", "name", "photos_of", "rename", "set_aside", "undo"]

# The columns of `facesearch.to_records` for a change and for photos.
CHANGE_COLUMNS: Final = (
    *("kind", "user_id", "other_user_id", "face_id", "user_id_before", "user_id_after"),
    *("set_aside_before", "set_aside_after"),
)
PHOTO_COLUMNS: Final = (
    *("source", "face_id", "image_id", "external_image_id"),
    *("left", "top", "width", "height"),
)
_GROUP: Final = "'GROUP'"  # click's spelling in errors
_threshold = percentage("--threshold", "The --threshold of `facesearch groups` that listed the group.  [default: 80]")


def _correction(correct: "Callable[..., fs.Change]", prefix: str = "") -> Callable[..., Exit]:
    """Make a command of a function that corrects a collection: open it, and print the change."""

    @functools.wraps(correct)
    def run(*, db: Path | str, collection_id: str, as_json: bool, as_csv: bool, **arguments: Any) -> Exit:
        with fs.Collection.open(db, collection_id, create=False) as collection:
            change = correct(collection, **arguments)
        wait_for_erasing(db)
        if as_json:
            print_json(plain(change))
        elif as_csv:
            _print_csv(CHANGE_COLUMNS, change)
        else:
            print_line(f"{prefix}{str(change).partition(chr(10))[0]}")
        return Exit.DONE

    return run


@command(short_help="name the person of a group", examples=("facesearch name 3f2a ada --db people.db",))
@click.argument("group", metavar="GROUP")
@click.argument("user_id", metavar="ID", shell_complete=complete_user)
@database
@_threshold
@formats
@_correction
def name(collection: "fs.Collection", *, group: str, user_id: str, threshold: float | None) -> "fs.Change":
    """Associate the faces of a group with a user, who is created if needed.

    GROUP is an id that `facesearch groups` prints, or its beginning. Of more than 100 faces of a user, the best 100 are kept. `facesearch
    undo` takes it back.
    """
    return collection.name_group(_group_named(collection, group, threshold), user_id)


@command(short_help="make one user of two", examples=("facesearch merge ada ada2 --db people.db",))
@click.argument("into", metavar="ID", shell_complete=complete_user)
@click.argument("other", metavar="OTHER", shell_complete=complete_user)
@database
@formats
@_correction
def merge(collection: "fs.Collection", *, into: str, other: str) -> "fs.Change":
    """Associate all faces of the user OTHER with the user ID, and delete the user OTHER.

    Of more than 100 faces, the best 100 are kept. `facesearch undo` takes it back.
    """
    return collection.merge_users(into, other)


@command(short_help="give a user another id", examples=("facesearch rename ada ada.lovelace --db people.db",))
@click.argument("user_id", metavar="ID", shell_complete=complete_user)
@click.argument("new_user_id", metavar="NEW")
@database
@formats
@_correction
def rename(collection: "fs.Collection", *, user_id: str, new_user_id: str) -> "fs.Change":
    """Replace the id of a user by the id NEW, which no user has.

    Rename the user's folder too, if there is one: `index` would create the user ID again. `facesearch undo` takes it back.
    """
    return collection.rename_user(user_id, new_user_id)


@command(
    short_help="move a face to another user",
    examples=(
        "facesearch move 7e6ccb1f-33d2-5de0-b45e-5a3a9b7b5a0e bob --db people.db",
        "facesearch move 7e6ccb1f-33d2-5de0-b45e-5a3a9b7b5a0e --no-user --db people.db",
    ),
)
@click.argument("face_id", metavar="FACE")
@click.argument("user_id", metavar="[ID]", required=False, shell_complete=complete_user)
@click.option("--no-user", is_flag=True, help="Leave the face without a user.")
@database
@formats
@_correction
def move(collection: "fs.Collection", *, face_id: str, user_id: str | None, no_user: bool) -> "fs.Change":
    """Associate one face with another user, or with none: `facesearch audit` lists faces that may be of somebody else.

    `facesearch undo` takes it back.
    """
    if (user_id is None) != no_user:
        raise click.UsageError("Give either the ID of a user or --no-user.")
    return collection.move_face(face_id, user_id)


@command(
    short_help="list a group of strangers no more",
    examples=("facesearch set-aside 3f2a --db people.db", "facesearch set-aside 3f2a --back --db people.db"),
)
@click.argument("group", metavar="GROUP")
@click.option("--back", is_flag=True, help="List the group again.")
@database
@_threshold
@formats
@_correction
def set_aside(collection: "fs.Collection", *, group: str, back: bool, threshold: float | None) -> "fs.Change":
    """Set aside the faces of a group: `facesearch groups` lists them no more, even if other faces of the stranger join them.

    GROUP is an id that `facesearch groups` prints, or its beginning. `facesearch undo` takes it back.
    """
    return collection.set_aside(_group_named(collection, group, threshold), aside=not back)


@command(
    short_help="undo the last correction",
    examples=("facesearch undo --db people.db",),
    exits={Exit.DONE: "undone", Exit.NOTHING: "there is nothing to undo"},
)
@database
@formats
@functools.partial(_correction, prefix="undone: ")
def undo(collection: "fs.Collection") -> "fs.Change":
    """Undo the last change by `name`, `merge`, `rename`, `move` or `set-aside`; repeated, the ones before, up to 50.

    A change is refused if its users or faces were changed since. Changes of deleted users and faces are forgotten.
    """
    try:
        return collection.undo()
    except fs.NothingToUndoError as error:
        raise Failure(str(error), Exit.NOTHING) from error


@command(
    short_help="list the photos of a person",
    examples=("facesearch photos-of ada --db people.db", "facesearch photos-of --group 3f2a --db people.db --csv"),
    exits={Exit.DONE: "a photo was found", Exit.NOTHING: "the user has no faces"},
)
@click.argument("user_id", metavar="[ID]", required=False, shell_complete=complete_user)
@click.option("--group", metavar="GROUP", help="Photos of a group that `facesearch groups` prints, instead of a user.")
@database
@_threshold
@formats
def photos_of(
    *,
    user_id: str | None,
    group: str | None,
    db: Path | str,
    collection_id: str,
    threshold: float | None,
    as_json: bool,
    as_csv: bool,
) -> Exit:
    """List the photos of a user or of a group, with the place of the face in each, in ratios of the photo's sides.

    A photo is listed as the path given to `index`, relative to the folder or CSV file, or else as its ExternalImageId.
    """
    with fs.Collection.open(db, collection_id, create=False, read_only=None) as collection:
        if user_id is not None and group is None:
            found = collection.photos_of(user_id)
        elif group is not None and user_id is None:
            found = collection.photos_of(_group_named(collection, group, threshold))
        else:
            raise click.UsageError("Give either the ID of a user or --group.")
    if as_json:
        print_json({"photos": plain(found)})
    elif as_csv:
        _print_csv(PHOTO_COLUMNS, found)
    else:
        columns = ["photo", "left", "top", "width", "height", "face"]
        print_table(columns, [*map(_cells, found)], none="no photos", right=[1, 2, 3, 4])
    return Exit.DONE if found else Exit.NOTHING


def _cells(photo: "fs.PersonPhoto") -> list[str]:
    box = photo.bounding_box
    sides = ["-"] * 4 if box is None else [f"{side:.2f}" for side in (box.left, box.top, box.width, box.height)]
    return [photo.source or photo.external_image_id or "-", *sides, photo.face_id]


def _group_named(collection: "fs.Collection", beginning: str, threshold: float | None) -> "fs.FaceGroup":
    """Return the group with an id that begins with a text, set aside or not."""
    if not beginning:
        raise click.BadParameter("the id of a group is empty.", param_hint=_GROUP)
    options: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
    for aside in (False, True):
        groups = collection.groups(**options, min_faces=1, set_aside=aside)
        found = [group for group in groups if group.group_id.startswith(beginning)]
        if len(found) > 1:
            raise click.BadParameter(
                f"{len(found)} groups begin with '{beginning}': write more of the id.", param_hint=_GROUP
            )
        if found:
            return found[0]
    raise fs.GroupChangedError(
        f"group: no group begins with {beginning!r}, or its faces changed meanwhile; `facesearch groups` lists the groups"
    )


def _print_csv(columns: Sequence[str], value: Any) -> None:
    print_csv_row(columns)
    for record in fs.to_records(value):
        print_csv_row([_csv_cell(record[column]) for column in columns])


def _csv_cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else spreadsheet_cell(str(value))
