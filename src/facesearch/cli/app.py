"""The group of all commands, and the entry point."""

import sys
from io import TextIOWrapper
from typing import NoReturn

import click

import facesearch as fs
from facesearch.cli.commands.benchmark import benchmark
from facesearch.cli.commands.collections import (
    collections,
    copy,
    delete_collection,
    erase_deleted,
    export,
    import_,
    reindex,
)
from facesearch.cli.commands.corrections import merge, move, name, photos_of, rename, set_aside, undo
from facesearch.cli.commands.groups import groups
from facesearch.cli.commands.index import index
from facesearch.cli.commands.installation import calibration, doctor, models
from facesearch.cli.commands.people import (
    associate_faces,
    audit,
    create_user,
    delete_faces,
    delete_user,
    disassociate_faces,
    faces,
    users,
)
from facesearch.cli.commands.photos import compare, detect
from facesearch.cli.commands.review import review
from facesearch.cli.commands.search import search
from facesearch.cli.commands.serve import serve
from facesearch.cli.demo.command import demo
from facesearch.cli.shell.completion import completion
from facesearch.cli.shell.groups import App

__all__ = ["app", "main"]


@click.group(
    cls=App,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=(
        "facesearch index PEOPLE --db people.db     # a folder of photos for each person",
        "facesearch search party.jpg --db people.db",
        "facesearch detect party.jpg --attributes ALL",
    ),
)
@click.version_option(fs.__version__, "--version", "-V", message="%(prog)s %(version)s")
def app() -> None:
    """Who is in this photo? Amazon Rekognition's SearchUsersByImage, computed on this machine, without any network.

    Every command has --help with examples, and --json for programs. The environment variables FACESEARCH_DB and
    FACESEARCH_COLLECTION can replace --db and --collection.
    """


for _command in (
    search,
    detect,
    compare,
    index,
    users,
    faces,
    create_user,
    delete_user,
    associate_faces,
    disassociate_faces,
    delete_faces,
    audit,
    groups,
    review,
    photos_of,
    name,
    merge,
    rename,
    move,
    set_aside,
    undo,
    collections,
    delete_collection,
    erase_deleted,
    copy,
    export,
    import_,
    reindex,
    serve,
    models,
    calibration,
    benchmark,
    doctor,
    demo,
    completion,
):
    app.add_command(_command)


def main() -> NoReturn:
    """Run the command line with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal can't encode must not end a command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
    raise AssertionError  # pragma: no cover  # app() ends the process
