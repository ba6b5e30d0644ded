"""Wait for the erasure of deleted data, and report data that is not yet erased."""

from pathlib import Path
from typing import Final

from facesearch.cli.shell.output import print_note, printable

__all__ = ["wait_for_erasing"]

ERASING_SECONDS: Final = 5.0
"""Longest wait for other processes that read the file."""


def wait_for_erasing(db: Path) -> None:
    """Wait until deleted data is overwritten in the file; report it if that takes too long."""
    from facesearch.storage.catalog import erase_deleted

    if not erase_deleted(db, timeout=ERASING_SECONDS):
        print_note(
            f"not yet erased: another process is reading {printable(str(db))}, or the disk is full. No search finds the deleted "
            "data any more; its bytes are overwritten when the file is next opened after that."
        )
