"""Write annotated photos as JPEG or PNG files, at the size of the photo."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import PngImagePlugin

from facesearch.display.annotator import draw_faces
from facesearch.display.face_marks import SeenFace
from facesearch.files.protected import Protected
from facesearch.files.writing import OutputKind, check_output, signature, write_file
from facesearch.images.reading import Picture

__all__ = ["check_marked", "marked_file", "save_marked", "write_marked"]

_QUALITY = 92  # of the JPEG file
_SIGN = b"facesearch: marked photo"  # in the file: a comment of a JPEG, a text called Software of a PNG
_KIND = OutputKind(
    name="a marked photo of facesearch",
    recognises=signature(b"\xff\xfe" + (len(_SIGN) + 2).to_bytes(2) + _SIGN, b"tEXtSoftware\0" + _SIGN),
)


def check_marked(path: Path, protected: Protected, *, overwrite: bool = False) -> None:
    """Check, before any work, that `save_marked` may write a file; it has the same parameters and errors."""
    check_output(path, _KIND, protected=protected, overwrite=overwrite)


def save_marked(
    picture: Picture, faces: Sequence[SeenFace], path: Path, protected: Protected, *, overwrite: bool = False
) -> None:
    """Draw faces on a photo and save it atomically.

    Parameters
    ----------
    picture
        Photo.
    faces
        In the order of their numbers. Faces that were found are drawn last and so on top.
    path
        Output file, which ends in .jpg, .jpeg or .png. An earlier marked photo is replaced.
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
    write_marked(marked_file(picture, faces, path), path, protected, overwrite=overwrite)


def write_marked(content: bytes, path: Path, protected: Protected, *, overwrite: bool = False) -> None:
    """Write the content that `marked_file` returned; it has the parameters and errors of `save_marked`."""
    with write_file(path, _KIND, protected=protected, overwrite=overwrite) as file:
        file.write(content)


def marked_file(picture: Picture, faces: Sequence[SeenFace], path: Path) -> bytes:
    """Return the content of the file that `save_marked` writes."""
    image, content = draw_faces(picture.pixels, faces), io.BytesIO()
    if path.suffix.lower() == ".png":
        about = PngImagePlugin.PngInfo()
        about.add_text("Software", _SIGN.decode())
        image.save(content, "PNG", pnginfo=about)
    else:
        image.save(content, "JPEG", quality=_QUALITY, comment=_SIGN)
    return content.getvalue()
