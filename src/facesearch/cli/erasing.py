"""What commands that delete people say where something of them is still in the file."""

from pathlib import Path
from typing import Final

import facesearch as fs
from facesearch.cli.output import note, printable

__all__ = ["ERASING_SECONDS", "wait_for_erasing"]

ERASING_SECONDS: Final = 5.0
"""How long a command waits for others that read."""


def wait_for_erasing(collection: fs.Collection) -> None:
    """Wait a little until nothing of what was deleted is left in the file, and say so if something is."""
    if not collection.erase_deleted(ERASING_SECONDS):
        note(
            "not yet erased: another process is reading the file, or the disk is full. What was deleted is not found any more; its bytes are "
            "overwritten as soon as that has ended. `facesearch doctor --db FILE` tells."
        )
