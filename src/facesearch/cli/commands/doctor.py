"""``facesearch doctor``: is all here that it needs, and what to do if not."""

from pathlib import Path

import click

from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Verb
from facesearch.cli.shell.options import as_json as json_option
from facesearch.cli.shell.output import counted, note, say, show_json

__all__ = ["doctor"]


@click.command(
    cls=Verb,
    section="Help",
    short_help="check the installation, and a file of collections",
    examples=("facesearch doctor", "facesearch doctor --db people.db", "facesearch doctor --json"),
    exits={Exit.DONE: "all is well", Exit.NOTHING: "something is wrong; the lines say what to do"},
)
@click.option(
    "--db",
    envvar="FACESEARCH_DB",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Look at this file of collections too.",
)
@json_option
def doctor(*, db: Path | None, as_json: bool) -> Exit:
    """Check the installation: Python, packages, model files and their hashes, cores, and that a face is recognised.

    With --db also a file of collections. Nothing is changed, and nothing is sent anywhere.
    """
    from facesearch.cli.commands.findings import State, findings

    found = []
    for finding in findings(db):
        found.append(finding)
        if not as_json:
            say(f"{finding.state.value:<5}  {finding.about}: {finding.text}")
            if finding.advice:
                say(f"       -> {finding.advice}")
    wrong = sum(finding.state is State.WRONG for finding in found)
    if as_json:
        show_json({"ok": not wrong, "findings": [finding.to_dict() for finding in found]})
    else:
        note()
        note(f"{counted(wrong, 'thing')} wrong" if wrong else "all is well")
    return Exit.NOTHING if wrong else Exit.DONE
