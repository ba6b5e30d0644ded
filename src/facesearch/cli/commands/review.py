"""``facesearch review``: a page on this machine, to see who is in a collection and to put it right."""

import threading
from functools import partial
from pathlib import Path
from typing import Any

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.options import DATABASE, as_json as json_option, collection as collection_option, index_at
from facesearch.cli.shell.output import print_answer, print_note

__all__ = ["review"]


@command(
    short_help="see and correct a collection in the browser",
    examples=(
        "facesearch review people.db",
        "facesearch review people.db --photos PEOPLE    # the folder that was indexed: whole photos are shown",
        "facesearch review people.db --read-only --no-open",
    ),
    exits={Exit.DONE: "stopped by Ctrl-C or SIGTERM"},
)
@click.argument("db", metavar="DB", envvar="FACESEARCH_DB", type=DATABASE)
@collection_option
@index_at
@click.option(
    "--photos",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the photos that were indexed, to show them; may be repeated. Nothing outside is read.",
)
@click.option("--read-only", is_flag=True, help="Refuse changes.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to listen on.  [default: a free one]",
)
@click.option("--no-open", is_flag=True, help="Do not open a browser; the address is printed.")
@json_option
def review(
    *,
    db: Path | str,
    collection_id: str,
    index: str | None,
    read_only: bool,
    no_open: bool,
    as_json: bool,
    **serving: Any,
) -> Exit:
    """Open a page in the browser: who is in a photo, all people, faces without a name, and likely mistakes.

    DB is a file of collections, or the address of a server; without it, that in FACESEARCH_DB is opened. Only this machine can connect,
    and only with the address that is printed. Nothing is sent anywhere. Ctrl-C ends it. A file that can't be written is opened
    read-only. --json prints the address as JSON.
    """
    from facesearch.review.server import serve

    def ready(address: str, once: str) -> None:
        print_answer({"url": address, "version": fs.__version__}, f"review page at {address}", as_json=as_json)
        if not as_json:
            print_note("only this machine can open it; Ctrl-C ends it")
        if not no_open:
            import webbrowser

            # In a thread: some systems return only when the browser ends.
            threading.Thread(target=webbrowser.open, args=(once,), daemon=True).start()

    opened = partial(fs.Collection.open, db, collection_id, create=False, index=index)
    try:
        collection = opened(read_only=read_only)
    except fs.StorageReadOnlyError:
        print_note("the file can't be written: changes are refused")
        read_only = True
        collection = opened(read_only=True)
    with collection:
        serve(collection, read_only=read_only, ready=ready, **serving)
    print_note("ended")
    return Exit.DONE
