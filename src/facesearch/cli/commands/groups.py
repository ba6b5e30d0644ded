"""``facesearch groups``: groups of the faces that belong to no user, and contact sheets of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.many_photos import SaveFolder, spreadsheet_cell
from facesearch.cli.shell.options import database, files_of, force, formats, index_at, percentage
from facesearch.cli.shell.output import (
    counted,
    plain,
    print_csv_row,
    print_json,
    print_note,
    print_table,
    printable,
)

if TYPE_CHECKING:
    from facesearch.common.arrays import PixelArray

__all__ = ["groups"]

_CSV: Final = (
    *("group_id", "faces", "similarity", "nearest_user_id", "nearest_user_similarity", "set_aside"),
    *("face_id", "source"),
)


@command(
    short_help="group the faces that belong to no user",
    examples=(
        "facesearch groups --db people.db",
        "facesearch groups --db people.db --min-faces 5 --save sheets --photos album",
        "facesearch groups --db people.db --csv > groups.csv",
    ),
    exits={Exit.DONE: "a group was found", Exit.NOTHING: "no group"},
)
@database
@index_at
@percentage("--threshold", "Least similarity of two parts of a group.  [default: 80]")
@click.option(
    "--min-faces", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="Least faces of a group."
)
@click.option("--set-aside", is_flag=True, help="List the groups that were set aside, instead of the others.")
@click.option(
    "--save",
    "save_to",
    type=click.Path(path_type=Path),
    help="Write a contact sheet of each group, a PNG file, to this folder.",
)
@click.option(
    "--photos",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder of the photos, for sheets of faces without thumbnails.  [default: the working folder]",
)
@force
@formats
def groups(
    *,
    db: Path | str,
    collection_id: str,
    index: str | None,
    threshold: float | None,
    min_faces: int,
    set_aside: bool,
    save_to: Path | None,
    photos: Path,
    force: bool,
    as_json: bool,
    as_csv: bool,
) -> Exit:
    """Group the faces that belong to no user: each group is probably one person, the largest group first.

    Two faces of one photo are never in one group. The command changes nothing in the collection. --csv prints a row for each face. A
    sheet shows the stored thumbnails, or else cuts the faces out of the photos, where these are still there.
    """
    if not photos.is_dir():
        raise click.BadParameter(f"there is no folder '{photos}'.", param_hint="'--photos'")
    options: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
    with fs.Collection.open(db, collection_id, create=False, read_only=None, index=index) as collection:
        found = collection.groups(**options, min_faces=min_faces, set_aside=set_aside)
        faces = {face.face_id: face for face in collection.faces()} if found else {}
        # Before anything is printed: no sheet is written where one of the files exists.
        folder = SaveFolder(save_to, _names(found), (), databases=files_of(db), force=force) if save_to else None
        if as_json:
            print_json({"groups": plain(found)})
        elif as_csv:
            _print_csv(found, faces)
        else:
            _print_table(found, faces)
        if folder is not None and save_to is not None:
            _save_sheets(collection, found, faces, folder=folder, to=save_to, photos=photos)
    return Exit.DONE if found else Exit.NOTHING


def _print_table(found: "Sequence[fs.FaceGroup]", faces: "dict[str, fs.Face]") -> None:
    rows = []
    for group in found:
        user, face = group.nearest_user, faces.get(group.representative)
        photo = (face and (face.source or face.external_image_id)) or "-"
        perhaps = f"{user.user_id}, {user.similarity:.2f}" if user else "-"
        rows.append([group.group_id, f"{len(group):,}", f"{group.similarity:.2f}", perhaps, photo])
    columns = ["group", "faces", "similarity", "perhaps", "photo"]
    print_table(columns, rows, none="no groups", right=[1, 2], shrinks=4)


def _print_csv(found: "Sequence[fs.FaceGroup]", faces: "dict[str, fs.Face]") -> None:
    print_csv_row(_CSV)
    for group in found:
        user = group.nearest_user
        nearest = (user.user_id, f"{user.similarity:.2f}") if user else ("", "")
        head = (group.group_id, str(len(group)), f"{group.similarity:.2f}", *nearest, str(group.set_aside).lower())
        for face_id in group.face_ids:
            face = faces.get(face_id)
            print_csv_row([*head, face_id, spreadsheet_cell(face.source) if face and face.source else ""])


def _names(found: "Sequence[fs.FaceGroup]") -> list[str]:
    """Return the file names of the sheets: in a file manager the largest group is first."""
    digits = len(str(len(found)))
    return [f"{number:0{digits}}-{group.group_id}.png" for number, group in enumerate(found, 1)]


def _save_sheets(
    collection: "fs.Collection",
    found: "Sequence[fs.FaceGroup]",
    faces: "dict[str, fs.Face]",
    *,
    folder: SaveFolder,
    to: Path,
    photos: Path,
) -> None:
    from facesearch.cli.shell.saving import png_file
    from facesearch.display.contact_sheet import MOST_FACES, contact_sheet

    for number, group in enumerate(found):
        pictures = [_picture(collection, faces.get(face_id), photos) for face_id in group.face_ids[:MOST_FACES]]
        user = group.nearest_user
        perhaps = f", perhaps {user.user_id}" if user else ""
        shown = f", the first {MOST_FACES} shown" if len(group) > MOST_FACES else ""
        sheet = contact_sheet(f"{group.group_id}: {counted(len(group), 'face')}{shown}{perhaps}", pictures)
        folder.write(number, png_file(sheet))
    print_note(f"wrote {counted(len(found), 'sheet')} to {printable(str(to))}")


def _picture(collection: "fs.Collection", face: "fs.Face | None", photos: Path) -> "PixelArray | None":
    """Return the picture of a face: its thumbnail, or else the part of its photo; ``None`` where there is neither."""
    from facesearch.images.crops import crop_box
    from facesearch.images.stored_thumbnails import small_picture

    if face is None:
        return None
    try:
        kept = collection.thumbnail(face.face_id)
        if kept is not None:
            return small_picture(kept)
        path = None if face.source is None else photos / face.source
        if path is None or face.bounding_box is None or not path.is_file():
            return None
        return crop_box(fs.read_image(path).pixels, face.bounding_box)
    except (fs.FaceNotFoundError, fs.ImageError, fs.StorageFormatError, OSError):
        return None
