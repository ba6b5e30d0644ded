"""All commands, put together."""

import sys
from io import TextIOWrapper
from typing import NoReturn

import click

import facesearch as fs
from facesearch.cli.benchmark_command import benchmark
from facesearch.cli.collection_commands import collections, delete_collection, export, import_
from facesearch.cli.completing import completion
from facesearch.cli.demo_command import demo
from facesearch.cli.doctor_command import doctor
from facesearch.cli.facts_commands import calibration, models
from facesearch.cli.index_command import index
from facesearch.cli.people_commands import (
    associate_faces,
    audit,
    create_user,
    delete_faces,
    delete_user,
    disassociate_faces,
    faces,
    users,
)
from facesearch.cli.photo_commands import compare, detect
from facesearch.cli.search_command import search
from facesearch.cli.serve_command import serve
from facesearch.cli.verbs import App

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
    """Who is in this photo? Amazon Rekognition's SearchUsersByImage, answered on this machine, without any network.

    Every command has --help with examples, and --json for programs. FACESEARCH_DB can stand for --db and
    FACESEARCH_COLLECTION for --collection.
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
    collections,
    delete_collection,
    export,
    import_,
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
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A letter that a terminal can't show shall not end a command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
    raise AssertionError  # pragma: no cover  # app() ends the process
