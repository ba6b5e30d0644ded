"""``facesearch doctor``: checks the installation and prints advice."""

from pathlib import Path

import click

from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Command
from facesearch.cli.shell.options import DATABASE, as_json as json_option
from facesearch.cli.shell.output import counted, print_json, print_line, print_note

__all__ = ["doctor"]


@click.command(
    cls=Command,
    section="Help",
    short_help="check the installation, and a file of collections",
    examples=("facesearch doctor", "facesearch doctor --db people.db", "facesearch doctor --json"),
    exits={Exit.DONE: "no problem found", Exit.NOTHING: "a problem was found; its line contains advice"},
)
@click.option(
    "--db",
    envvar="FACESEARCH_DB",
    show_envvar=True,
    type=DATABASE,
    metavar="FILE",
    help="Check this file of collections too, or the server at this address.",
)
@json_option
def doctor(*, db: Path | str | None, as_json: bool) -> Exit:
    """Check the installation: Python, packages, model files and their hashes, cores, and a search for a known face.

    With --db, check a file of collections too. The command changes nothing and sends nothing.
    """
    from facesearch.cli.commands.findings import State, findings

    found = []
    for finding in findings(db):
        found.append(finding)
        if not as_json:
            print_line(f"{finding.state.value:<5}  {finding.about}: {finding.text}")
            if finding.advice:
                print_line(f"       -> {finding.advice}")
    wrong = sum(finding.state is State.WRONG for finding in found)
    if as_json:
        print_json({"ok": not wrong, "findings": [finding.to_dict() for finding in found]})
    else:
        print_note()
        print_note(f"{counted(wrong, 'thing')} wrong" if wrong else "all is well")
    return Exit.NOTHING if wrong else Exit.DONE
