"""Confirm a deletion, and wait until the deleted data is erased."""

import signal
from pathlib import Path
from typing import Final

import click

from facesearch.cli.shell.output import print_note, printable

__all__ = ["confirmed", "wait_for_erasing"]

ERASING_SECONDS: Final = 5.0
"""Longest wait for other processes that read the file."""


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


def wait_for_erasing(db: Path | str) -> None:
    """Wait until deleted data is overwritten in the file; report it if that takes too long, or is to be asked for."""
    from facesearch.storage.catalog import database_path, erase_deleted

    if isinstance(database_path(db), str):
        print_note(
            "not yet erased: no search finds the deleted data any more; its bytes stay in the server's files until "
            "`facesearch erase-deleted` rewrites them, for which others wait."
        )
        return
    if not erase_deleted(db, timeout=ERASING_SECONDS):
        print_note(
            f"not yet erased: another process is reading {printable(str(db))}, or the disk is full. No search finds the deleted "
            "data any more; its bytes are overwritten when the file is next opened after that."
        )
