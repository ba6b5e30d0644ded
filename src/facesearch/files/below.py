"""Open files below a folder, without following links, even while others replace files and folders."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["FILE_FLAGS", "HAS_DIR_FD", "open_by_parts"]

HAS_DIR_FD: Final = {os.open, os.stat} <= os.supports_dir_fd
"""Whether `open_by_parts` works here; not on Windows."""
_NO_FOLLOW: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER_FLAGS: Final = _NO_FOLLOW | getattr(os, "O_DIRECTORY", 0)
FILE_FLAGS: Final = _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
"""For `os.open`: read a file that is no link, without waiting for the writer of a pipe."""


def open_by_parts(folder: Path, parts: Sequence[str]) -> int:
    """Open a file, each part of its path relative to the folder opened before it, and return its file descriptor.

    A link raises OSError, also one that replaced a folder meanwhile, and so does what is no regular file.
    """
    inner = os.open(folder, _FOLDER_FLAGS)
    try:
        for part in parts[:-1]:
            outer, inner = inner, os.open(part, _FOLDER_FLAGS, dir_fd=inner)
            os.close(outer)
        # Opening a device may have side effects, so its type is checked first. A file that replaces it in between is opened
        # without blocking, as a pipe would block; the caller checks the type of the open file again.
        if not stat.S_ISREG(os.stat(parts[-1], dir_fd=inner, follow_symlinks=False).st_mode):
            raise OSError(f"{parts[-1]!r} is no regular file")
        return os.open(parts[-1], FILE_FLAGS, dir_fd=inner)
    finally:
        os.close(inner)
