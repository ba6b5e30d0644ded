"""A question before something is deleted."""

import signal

import click

from facesearch.cli.shell.output import note

__all__ = ["confirmed"]


def confirmed(question: str) -> bool:
    """Ask on standard error; anything but y or yes is no, and says that nothing was done.

    Ctrl-C ends the process at once, as by default: numpy brings threads, and where one of them takes the signal the main
    thread would go on waiting for a line, with nothing to say that Python was interrupted. So nothing may be open here.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        agreed = click.confirm(question, err=True)
    finally:
        signal.signal(signal.SIGINT, before)
    if not agreed:
        note("nothing was deleted")
    return agreed
