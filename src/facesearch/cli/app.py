"""The group of all commands, and the entry point."""

import sys
from io import TextIOWrapper
from typing import NoReturn

import click

import facesearch as fs
from facesearch.cli.commands import (
    benchmark,
    collections,
    corrections,
    groups,
    index,
    installation,
    people,
    photos,
    review,
    search,
    serve,
)
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


app.add_section("Find", [search.search, photos.detect, photos.compare])
app.add_section("People", [
    index.index, people.users, people.faces, people.create_user, people.delete_user, people.associate_faces,
    people.disassociate_faces, people.delete_faces, people.audit, groups.groups, review.review,
])  # fmt: skip  # a section is read as a whole, not a command a line
app.add_section("Corrections", [
    corrections.photos_of, corrections.name, corrections.merge, corrections.rename, corrections.move,
    corrections.set_aside, corrections.undo,
])  # fmt: skip  # likewise
app.add_section("Collections", [
    collections.collections, collections.delete_collection, collections.erase_deleted, collections.copy,
    collections.export, collections.import_, collections.reindex,
])  # fmt: skip  # likewise
app.add_section("Serve", [serve.serve])
app.add_section("Information", [installation.models, installation.calibration, benchmark.benchmark])
app.add_section("Help", [installation.doctor, demo, completion])


def main() -> NoReturn:
    """Run the command line with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal can't encode must not end a command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
    raise AssertionError  # pragma: no cover  # app() ends the process
