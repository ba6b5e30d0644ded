"""``facesearch doctor``, ``models`` and ``calibration``: the installation, its model files, and the meaning of similarities."""

from pathlib import Path

import click

import facesearch as fs
from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.options import ANY_DATABASE, as_json as json_option, index_at
from facesearch.cli.shell.output import counted, plain, print_answer, print_block, print_json, print_line, print_note

__all__ = ["calibration", "doctor", "models"]


@command(
    short_help="check the installation, and a file of collections",
    examples=("facesearch doctor", "facesearch doctor --db people.db", "facesearch doctor --json"),
    exits={Exit.DONE: "no problem found", Exit.NOTHING: "a problem was found; its line contains advice"},
)
@click.option(
    "--db",
    envvar="FACESEARCH_DB",
    show_envvar=True,
    type=ANY_DATABASE,
    metavar="FILE",
    help="Check this file of collections too, or the server at this address.",
)
@index_at
@json_option
def doctor(*, db: Path | str | None, index: str | None, as_json: bool) -> Exit:
    """Check the installation: Python, packages, model files and their hashes, cores, and a search for a known face.

    With --db, check a file of collections too, and with --index compare the index in Milvus with it. The command changes nothing and sends
    nothing.
    """
    from facesearch.cli.commands.findings import State, findings

    found = []
    for finding in findings(db, index):
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


@command(
    short_help="list the model files, their terms and hashes",
    examples=("facesearch models", "facesearch models --json"),
)
@json_option
def models(*, as_json: bool) -> Exit:
    """List the model files: purpose, origin, terms, training data, hash.

    The files are part of installed packages and are never downloaded.
    """
    files = fs.models()
    if as_json:
        print_json({"models": plain(files)})
        return Exit.DONE
    width = click.get_current_context().terminal_width or 100
    for number, file in enumerate(files):
        if number:
            print_line()
        print_line(file.name)
        for name in ("purpose", "licence", "training_data", "origin", "package", "sha256"):
            label = f"{name.replace('_', ' ')}:"
            text = f"{label:<15}{getattr(file, name)}"
            print_block(click.wrap_text(text, width, initial_indent="  ", subsequent_indent=" " * 17))
    return Exit.DONE


@command(
    short_help="explain what a similarity means",
    examples=("facesearch calibration", "facesearch calibration --json"),
)
@json_option
def calibration(*, as_json: bool) -> Exit:
    """Print the meaning of similarities: the measured false-match and false-non-match rate at each.

    Measure a calibration for your own people with `facesearch benchmark calibrate FOLDER`.
    """
    table = fs.calibration()
    print_answer(plain(table), *str(table).split("\n"), as_json=as_json)
    return Exit.DONE
