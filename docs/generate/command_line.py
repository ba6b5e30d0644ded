"""The page of the command line: what ``--help`` prints, from the commands themselves."""

import click
from click.testing import CliRunner

from facesearch.cli.app import app
from facesearch.cli.shell.groups import Command

PROGRAM = "facesearch"


def commands() -> list[Command]:
    """Return all commands in the order of ``facesearch --help``."""
    return [each for each in app.commands.values() if isinstance(each, Command)]


def command_line_page(_names: str = "") -> str:
    """Return Markdown with a section for each command."""
    root = click.Context(app, info_name=PROGRAM)
    sections = dict.fromkeys(command.section for command in commands())
    lines: list[str] = []
    for section in sections:
        lines += [f"## {section}", ""]
        for command in commands():
            if command.section == section:
                lines += _command(command, root)
    return "\n".join(lines)


def _command(command: Command, root: click.Context) -> list[str]:
    context = click.Context(command, info_name=command.name, parent=root)
    usage = " ".join(command.collect_usage_pieces(context))
    options = [record for each in command.params if (record := each.get_help_record(context)) and record[1]]
    lines = [f"### {command.name}", "", "```text", f"{PROGRAM} {command.name} {usage}", "```", ""]
    lines += [_escape(paragraph) + "\n" for paragraph in _paragraphs(command.help or "")]
    if command.context_settings.get("ignore_unknown_options"):  # a program of its own: its help is the whole
        options = []
        printed = CliRunner().invoke(app, [str(command.name), "--help"]).output
        lines += ["```text", printed.strip(), "```", ""]
    if options:
        lines += ["| option | |", "| --- | --- |"]
        lines += [f"| {_cell_of_code(names)} | {_escape(text)} |" for names, text in options]
        lines.append("")
    if command.examples:
        lines += ["```console", *(f"$ {line}" for line in command.examples), "```", ""]
    if command.exits:
        lines += [
            "Exit status: " + "; ".join(f"{int(key)} {_escape(text)}" for key, text in command.exits.items()) + ".",
            "",
        ]
    if command.aws_name:
        lines += [f"Amazon Rekognition's name works too: `{PROGRAM} {command.aws_name}`.", ""]
    return lines


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a command's help, each on one line."""
    return [" ".join(part.replace("\b", "").split()) for part in text.split("\f", maxsplit=1)[0].split("\n\n")]


def _escape(text: str) -> str:
    """Return plain text as Markdown."""
    for character in "\\`*_<>[]|$#":
        text = text.replace(character, f"\\{character}")
    return text


def _cell_of_code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"
