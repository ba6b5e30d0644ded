"""What commands that delete people say where something of them is still in the file."""

from pathlib import Path
from typing import Final

from facesearch.cli.shell.output import note, printable

__all__ = ["wait_for_erasing"]

ERASING_SECONDS: Final = 5.0
"""How long a command waits for others that read."""


def wait_for_erasing(db: Path) -> None:
    """Wait a little until nothing of what was deleted is left in the file, and say so if something is."""
    from facesearch.storage.catalog import erase_deleted

    if not erase_deleted(db, timeout=ERASING_SECONDS):
        note(
            f"not yet erased: another process is reading {printable(str(db))}, or the disk is full. Nobody finds any more what was "
            "deleted; its bytes are overwritten when the file is next opened after that."
        )
