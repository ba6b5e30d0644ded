"""Write annotated photos as JPEG or PNG files, at the size of the photo: the option ``--save``.

Check the output file before the work. This module loads Pillow: commands import it where they need it.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import click
from PIL import Image, PngImagePlugin

from facesearch.cli.shell.options import SAVE, check_parent
from facesearch.cli.shell.output import print_note, printable
from facesearch.display.annotator import draw_faces
from facesearch.display.face_marks import SeenFace
from facesearch.files.protected import Protected
from facesearch.files.writing import OutputKind, check_output, signature, write_file
from facesearch.images.reading import Picture

__all__ = ["check_marked", "check_saving", "marked_file", "png_file", "save_photo", "write_marked"]

_SUFFIXES = (".jpg", ".jpeg", ".png")
_QUALITY = 92  # of the JPEG file
_SIGN = b"facesearch: marked photo"  # in the file: a comment of a JPEG, a text called Software of a PNG
_KIND = OutputKind(
    name="a marked photo of facesearch",
    recognises=signature(b"\xff\xfe" + (len(_SIGN) + 2).to_bytes(2) + _SIGN, b"tEXtSoftware\0" + _SIGN),
)


def check_marked(path: Path, protected: Protected, *, overwrite: bool) -> None:
    """Check, before any work, that `write_marked` may write a file."""
    check_output(path, _KIND, protected=protected, overwrite=overwrite)


def check_saving(
    path: Path | None, *, inputs: Iterable[str | BinaryIO], databases: Iterable[Path] = (), force: bool
) -> Protected:
    """Check that the annotated photo of a command may be written; return the files that `save_photo` must not replace."""
    protected = Protected(inputs=inputs, databases=databases)
    if path is not None:
        if path.suffix.lower() not in _SUFFIXES:
            raise click.BadParameter(f"'{path}' ends in none of {', '.join(_SUFFIXES)}.", param_hint=SAVE)
        check_parent(path)
        check_marked(path, protected, overwrite=force)
    return protected


def save_photo(picture: Picture, faces: Sequence[SeenFace], path: Path, protected: Protected, *, force: bool) -> None:
    """Draw faces on a photo, write it, and report the path."""
    write_marked(marked_file(picture, faces, path), path, protected, overwrite=force)
    print_note(f"wrote {printable(str(path))}")


def marked_file(picture: Picture, faces: Sequence[SeenFace], path: Path) -> bytes:
    """Return the content of a file with faces, in the order of their numbers, drawn on a photo: PNG for .png, otherwise JPEG."""
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


def write_marked(content: bytes, path: Path, protected: Protected, *, overwrite: bool) -> None:
    """Write the content of `marked_file` atomically; replace a marked photo, with *overwrite* any file that is not protected."""
    with write_file(path, _KIND, protected=protected, overwrite=overwrite) as file:
        file.write(content)
