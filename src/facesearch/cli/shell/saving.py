"""Write annotated photos as JPEG or PNG files, at the size of the photo: the option ``--save``.

Check the output file before the work. This module loads Pillow: commands import it where they need it.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import Image, PngImagePlugin

from facesearch.cli.shell.output import print_note, printable
from facesearch.display.annotator import draw_faces
from facesearch.display.face_marks import SeenFace
from facesearch.files.protected import Protected
from facesearch.files.writing import OutputKind, check_output, signature, write_file
from facesearch.images.reading import Picture

__all__ = ["check_marked", "check_saving", "marked_file", "png_file", "save_photo", "write_marked"]

_QUALITY = 92  # of the JPEG file
_SIGN = b"facesearch: marked photo"  # in the file: a comment of a JPEG, a text called Software of a PNG
_KIND = OutputKind(
    name="a marked photo of facesearch",
    recognises=signature(b"\xff\xfe" + (len(_SIGN) + 2).to_bytes(2) + _SIGN, b"tEXtSoftware\0" + _SIGN),
)


def check_marked(path: Path, protected: Protected, *, overwrite: bool = False) -> None:
    """Check, before any work, that `write_marked` may write a file; it has the same parameters and errors."""
    check_output(path, _KIND, protected=protected, overwrite=overwrite)


def check_saving(
    path: Path | None, *, inputs: Iterable[str | BinaryIO], databases: Iterable[Path] = (), force: bool
) -> Protected:
    """Check that the annotated photo of a command may be written; *path* is ``None`` without ``--save``.

    Returns
    -------
    Protected
        Inputs and databases of the command, for `save_photo`.

    Raises
    ------
    OutputRefusedError
        If the file is an input or a database, or, without *force*, exists and is not a marked photo.
    """
    protected = Protected(inputs=inputs, databases=databases)
    if path is not None:
        check_marked(path, protected, overwrite=force)
    return protected


def save_photo(picture: Picture, faces: Sequence[SeenFace], path: Path, protected: Protected, *, force: bool) -> None:
    """Draw faces on a photo, write it, and report the path; parameters and errors are those of the functions below."""
    write_marked(marked_file(picture, faces, path), path, protected, overwrite=force)
    print_note(f"wrote {printable(str(path))}")


def marked_file(picture: Picture, faces: Sequence[SeenFace], path: Path) -> bytes:
    """Return the content of a file with faces drawn on a photo.

    Parameters
    ----------
    picture
        Photo.
    faces
        In the order of their numbers. Faces that were found are drawn last and so on top.
    path
        Output file: .png makes a PNG file, any other suffix a JPEG file.
    """
    image, content = draw_faces(picture.pixels, faces), io.BytesIO()
    if path.suffix.lower() == ".png":
        return png_file(image)
    image.save(content, "JPEG", quality=_QUALITY, comment=_SIGN)
    return content.getvalue()


def png_file(image: Image.Image) -> bytes:
    """Return the content of a PNG file that `write_marked` may replace later."""
    content, about = io.BytesIO(), PngImagePlugin.PngInfo()
    about.add_text("Software", _SIGN.decode())
    image.save(content, "PNG", pnginfo=about)
    return content.getvalue()


def write_marked(content: bytes, path: Path, protected: Protected, *, overwrite: bool = False) -> None:
    """Write a file atomically.

    Parameters
    ----------
    content
        Content that `marked_file` returned.
    path
        Output file. An earlier marked photo is replaced.
    protected
        Photos and database of the command, which are never replaced.
    overwrite
        Whether to replace any file that is not protected.

    Raises
    ------
    OutputRefusedError
        If the file exists and must not be replaced.
    OSError
        If the file can't be written.
    """
    with write_file(path, _KIND, protected=protected, overwrite=overwrite) as file:
        file.write(content)
