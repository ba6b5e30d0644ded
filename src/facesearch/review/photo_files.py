"""Open the photos of faces again: only below the folders that the user named, without links, and only if they are unchanged."""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import attrs

import facesearch as fs
from facesearch.errors import ImageError, InvalidParameterError
from facesearch.files.below import FILE_FLAGS, HAS_DIR_FD, open_by_parts

__all__ = ["PhotoFiles"]


@attrs.frozen
class PhotoFiles:
    """The folders in which photos are searched: absolute paths without links."""

    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folders: Iterable[str | os.PathLike[str]]) -> Self:
        """Return the files of folders, which must exist."""
        found = []
        for folder in folders:
            path = Path(folder)
            if not path.is_dir():
                raise InvalidParameterError.of("photos", str(folder), "an existing folder")
            found.append(path.resolve(strict=True))
        return cls(tuple(found))

    def picture(self, collection: fs.Collection, face: fs.Face) -> fs.Picture | None:
        """Return the photo of a face; ``None`` where it has moved, has changed since it was indexed, or may not be read.

        The photo is compared by its id, so that a path in a foreign collection can't name another file.
        """
        if face.source is None or face.image_id is None:
            return None
        for folder in self.folders:
            opened = _open(folder, face.source)
            if opened is None:
                continue
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                os.close(opened)
                continue
            with os.fdopen(opened, "rb") as file, contextlib.suppress(ImageError):  # it may be no picture any more
                picture = fs.read_image(file)
                if collection.image_id_of(picture) == face.image_id:
                    return picture
        return None


def _open(folder: Path, source: str) -> int | None:
    """Open a source below a folder and return its file descriptor; ``None`` if no part of the path may be opened."""
    try:
        path = Path(os.path.normpath(folder / source))  # an absolute source replaces the folder
        if not path.is_relative_to(folder) or path == folder:
            return None
        parts = path.relative_to(folder).parts
        if HAS_DIR_FD:
            return open_by_parts(folder, parts)
        return os.open(path, FILE_FLAGS) if path.resolve(strict=True) == path else None
    except (OSError, ValueError):  # moved, a link, no permission, or no path of this system
        return None
