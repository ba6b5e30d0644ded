"""``facesearch collections``, ``delete-collection``, ``export`` and ``import``: commands for whole collections."""

from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

import facesearch as fs
from facesearch.cli.shell.completion import complete_collection
from facesearch.cli.shell.deletion import confirmed, wait_for_erasing
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.options import DATABASE, as_json as json_option, database, db, force, index_at, yes
from facesearch.cli.shell.output import counted, plain, print_answer, print_json, print_line, print_table, printable

__all__ = ["collections", "copy", "delete_collection", "erase_deleted", "export", "import_", "reindex"]


@command(
    short_help="list the collections of a file",
    aws_name="list-collections",
    examples=("facesearch collections --db people.db",),
)
@db
@json_option
def collections(*, db: Path | str, as_json: bool) -> Exit:
    """List the collections of a file.

    --json prints the response of Amazon Rekognition's ListCollections.
    """
    found = fs.collections(db)
    if as_json:
        print_json(
            {
                "CollectionIds": [each.collection_id for each in found],
                "FaceModelVersions": [each.face_model.version for each in found],
            }
        )
    else:
        rows = [
            [
                each.collection_id,
                f"{each.users:,}",
                f"{each.faces:,}",
                f"{each.created:%Y-%m-%d}",
                "yes" if each.thumbnails else "no",
                f"{each.face_model.name} {each.face_model.version}",
            ]
            for each in found
        ]
        columns = ["collection", "users", "faces", "created", "thumbnails", "face model"]
        print_table(columns, rows, none="no collections", right=[1, 2])
        from facesearch.matching.calibration_choice import has_shipped  # slow to import, and not needed for --help

        for each in found:
            if each.calibration is not None:
                counts = "not used: the library's counts" if has_shipped(each.face_model) else "it counts"
                print_line(f"{each.collection_id} has a calibration of its own, {each.calibration}; {counts}")
    return Exit.DONE


@command(
    short_help="delete a collection with its users and faces",
    examples=("facesearch delete-collection people --db people.db",),
    exits={Exit.DONE: "deleted", Exit.NOTHING: "not confirmed"},
)
@click.argument("collection_id", metavar="ID", shell_complete=complete_collection)
@db
@index_at
@yes
@json_option
def delete_collection(*, collection_id: str, db: Path | str, index: str | None, yes: bool, as_json: bool) -> Exit:
    """Delete a collection with its users, faces and vectors; the file stays.

    With --index, its vectors in Milvus are deleted too.
    """
    with fs.Collection.open(db, collection_id, create=False, read_only=True) as collection:
        what = f"collection {collection_id}, {counted(len(collection), 'user')}"
    if not yes and not confirmed(f"Delete {what}?"):
        return Exit.NOTHING
    if index is not None:
        with fs.Collection.open(db, collection_id, create=False, index=index) as collection:
            collection.drop_index()
    fs.delete_collection(db, collection_id)
    wait_for_erasing(db)
    print_answer({"StatusCode": 200}, f"deleted {what}", as_json=as_json)
    return Exit.DONE


@command(
    short_help="erase the bytes of deleted people",
    examples=(
        "facesearch erase-deleted --db people.db",
        "facesearch erase-deleted --db postgresql://owner@db.local/people --timeout 60",
    ),
    exits={Exit.DONE: "all deleted data is erased", Exit.NOTHING: "not yet; the reasons are printed"},
)
@db
@index_at
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for other readers and writers.",
)
@json_option
def erase_deleted(*, db: Path | str, index: str | None, timeout: float, as_json: bool) -> Exit:
    """Erase the data of deleted people from the disk.

    A deletion from a file does so itself, unless another process reads at that moment. On a PostgreSQL server this command rewrites the
    tables, for which others wait, and removes the old write-ahead log. It prints what it can't do, with the next step, and which other
    places may hold copies. With --index, deletions are sent to Milvus, which removes the vectors from its files later.
    """
    from facesearch.storage.catalog import database_of

    with closing(database_of(db, timeout, read_only=None)) as database:
        result = database.erase(timeout)
    beyond = list(result.beyond)
    if index is not None:
        for info in fs.collections(db):
            with fs.Collection.open(db, info.collection_id, create=False, index=index) as collection:
                collection.erase_deleted(timeout)
        beyond.append(_IN_MILVUS)
    print_answer(
        {"erased": result.done, "left": list(result.left), "beyond": beyond},
        "all deleted data is erased" if result.done else "deleted data is not erased yet:",
        *(f"  {each}" for each in result.left),
        *(["out of reach:"] if beyond else []),
        *(f"  {each}" for each in beyond),
        as_json=as_json,
    )
    return Exit.DONE if result.done else Exit.NOTHING


_IN_MILVUS: Final = (
    "Milvus: deletions were sent, and it was asked to rewrite its files; it removes the old ones after dataCoord.gc.dropTolerance, and "
    "the messages after the retention of its message queue"
)


@command(
    short_help="compare the index in Milvus with a collection",
    examples=(
        "facesearch reindex --db people.db --index milvus://index.local:19530",
        "facesearch reindex --db people.db --index milvus://index.local:19530 --rebuild",
    ),
    exits={Exit.DONE: "the index was right, or is right now", Exit.NOTHING: "--check found a difference"},
)
@database
@index_at
@click.option("--check", is_flag=True, help="Only compare.")
@click.option("--rebuild", is_flag=True, help="Delete the index of the collection first, and fill a new one.")
@json_option
def reindex(
    *, db: Path | str, collection_id: str, index: str | None, check: bool, rebuild: bool, as_json: bool
) -> Exit:
    """Compare the index in Milvus with its collection, vector by vector, and repair it.

    Searches bring the index up to date by themselves. This command fills it in advance, and repairs what was changed or lost in Milvus.
    """
    if index is None:
        raise click.UsageError("Missing option '--index': the address of the Milvus server.")
    if check and rebuild:
        raise click.UsageError("--check and --rebuild can't be given both.")
    with fs.Collection.open(db, collection_id, create=False, read_only=check, index=index) as collection:
        found = collection.reindex(repair=not check, rebuild=rebuild)
    lines = str(found).split("\n")
    if any(each.is_other for each in found):
        lines.append("the index is of another state of the collection; reindex without --check fills it anew")
    print_answer({"compared": [plain(each) for each in found], "repaired": not check}, *lines, as_json=as_json)
    return Exit.NOTHING if check and not all(each.is_right for each in found) else Exit.DONE


@command(
    short_help="write a collection to one portable file",
    examples=("facesearch export people.npz --db people.db",),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@database
@force
@json_option
def export(*, file: Path, db: Path | str, collection_id: str, force: bool, as_json: bool) -> Exit:
    """Write a collection to FILE, an .npz file of plain arrays, as a backup or to move it.

    An earlier export is replaced when the new one is complete; a file of another kind only with --force, and never the database.
    The file contains the faces' vectors, with which these people can be recognised: protect it like the collection.
    """
    with fs.Collection.open(db, collection_id, create=False, read_only=None) as collection:
        collection.save(file, overwrite=force)
        users = len(collection)
    answer = {"file": printable(str(file)), "collection_id": collection_id, "users": users}
    print_answer(answer, f"wrote {counted(users, 'user')} of {collection_id} to {file}", as_json=as_json)
    return Exit.DONE


@command(
    short_help="copy a collection to another file or a server",
    examples=(
        "facesearch copy postgresql://app@db.local/people --db people.db",
        "facesearch copy people.db --db postgresql://app@db.local/people",
        "facesearch copy other.db --db people.db --to staff",
    ),
)
@click.argument("destination", metavar="FILE", type=DATABASE)
@database
@click.option("--to", "new_id", metavar="ID", help="Id of the copy, which must be new or empty.  [default: the same]")
@json_option
def copy(*, destination: Path | str, db: Path | str, collection_id: str, new_id: str | None, as_json: bool) -> Exit:
    """Copy a collection to FILE, another file or the address of a server, completely or not at all.

    The copy is read again and compared with the original by SHA-256. The original stays. Tags are copied too; changes that can be undone
    are not.
    """
    from facesearch.storage.catalog import change_tags, collection_tags

    with fs.Collection.open(db, collection_id, create=False, read_only=None) as collection:
        digest = collection.copy_to(destination, new_id)
        users, faces = len(collection), collection.face_count
    if tags := collection_tags(db, collection_id):
        change_tags(destination, new_id or collection_id, add=tags)
    answer = {"collection_id": new_id or collection_id, "users": users, "faces": faces, "sha256": digest}
    done = f"copied {counted(users, 'user')} and {counted(faces, 'face')}, SHA-256 {digest} of both"
    print_answer(answer, done, as_json=as_json)
    return Exit.DONE


@command(
    "import",
    short_help="read an export into a new collection",
    examples=(
        "facesearch import people.npz --db other.db",
        "facesearch import people.npz --db other.db --collection copy",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@db
@click.option(
    "--collection",
    "collection_id",
    envvar="FACESEARCH_COLLECTION",
    show_envvar=True,
    metavar="ID",
    help="Id of the collection, which must be new or empty.  [default: the id in the file]",
)
@json_option
def import_(*, file: Path, db: Path | str, collection_id: str | None, as_json: bool) -> Exit:
    """Read FILE, written by `export`, into a new or empty collection, completely or not at all."""
    from facesearch.matching.calibration_choice import describe_kept, has_shipped
    from facesearch.storage.export import read_export

    content = read_export(file)  # before the collection is created: a damaged file must not leave an empty one
    name = collection_id or content.collection_id
    calibration, own = None, describe_kept(content.calibration)
    if content.calibration and not has_shipped(content.face_model):
        calibration = fs.Calibration.from_json(content.calibration, face_model=content.face_model, origin=str(file))
    with fs.Collection.open(
        db, name, face_model=content.face_model, calibration=calibration, thumbnails=content.thumbnails or None
    ) as collection:
        collection.restore(file)
        users, faces = len(collection), len(collection.faces())
    answer: dict[str, Any] = {"collection_id": name, "users": users, "faces": faces}
    lines = [f"read {counted(users, 'user')} and {counted(faces, 'face')} into {name}"]
    if own is not None:
        answer |= {"file_calibration": own, "file_calibration_used": calibration is not None}
        counts = "is used, since none for this face model comes with the library" if calibration else "is not used"
        lines.append(f"the file brings a calibration of its own, {own}, which {counts}")
    print_answer(answer, *lines, as_json=as_json)
    return Exit.DONE
