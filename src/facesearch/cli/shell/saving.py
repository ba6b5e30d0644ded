"""The option ``--save`` for one photo: check the output file before the work, write it afterwards."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from facesearch.cli.shell.output import print_note, printable

if TYPE_CHECKING:
    from facesearch.display.face_marks import SeenFace
    from facesearch.files.protected import Protected
    from facesearch.images.reading import Picture

__all__ = ["check_saving", "save_photo"]


def check_saving(
    path: Path | None, *, inputs: Iterable[str | BinaryIO], databases: Iterable[Path] = (), force: bool
) -> "Protected":
    """Check that a marked photo may be written to *path*; ``None`` for no output file.

    Returns
    -------
    Protected
        Inputs and databases of the command, for `save_photo`.

    Raises
    ------
    OutputRefusedError
        If the file is an input or a database, or, without *force*, exists and is not a marked photo.
    """
    from facesearch.cli.shell.drawing import check_marked
    from facesearch.files.protected import Protected

    protected = Protected(inputs=inputs, databases=databases)
    if path is not None:
        check_marked(path, protected, overwrite=force)
    return protected


def save_photo(
    picture: "Picture", faces: "Sequence[SeenFace]", path: Path, protected: "Protected", *, force: bool
) -> None:
    """Write a photo with its faces marked, and report the path."""
    from facesearch.cli.shell.drawing import save_marked

    save_marked(picture, faces, path, protected, overwrite=force)
    print_note(f"wrote {printable(str(path))}")
