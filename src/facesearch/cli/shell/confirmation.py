"""Confirmation of a deletion."""

import signal

import click

from facesearch.cli.shell.output import print_note

__all__ = ["confirmed"]


def confirmed(question: str) -> bool:
    """Prompt for confirmation on standard error and return whether the answer is y or yes; report any other answer.

    Ctrl-C ends the process at once, the default action of SIGINT: if one of numpy's threads received the signal, Python's own
    handler would leave the main thread waiting for input. Therefore no file may be open during the question.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        agreed = click.confirm(question, err=True)
    finally:
        signal.signal(signal.SIGINT, before)
    if not agreed:
        print_note("nothing was deleted")
    return agreed
