"""Recognise file formats by their first bytes. A file's content is never quoted: it may be a secret passed by mistake."""

import re
from collections.abc import Collection
from typing import Final

from facesearch.images.formats.heif import brands_of

__all__ = ["AWS_FORMATS", "FORMATS", "TEXTS", "described", "format_of", "listed"]

FORMATS: Final = ("JPEG", "PNG", "WebP", "TIFF", "GIF", "HEIC", "AVIF")
"""All file formats that are read."""
AWS_FORMATS: Final = ("JPEG", "PNG")
"""The formats that Amazon Rekognition takes (developer guide, "Guidelines and quotas")."""

TEXTS: Final = {
    rb"data:": "a data: URL; decode what follows its comma: base64.b64decode(image.partition(',')[2])",
    rb"/9j/|iVBORw0KGgo": "base64 text; decode it first: base64.b64decode(image)",
}
"""Texts often passed in place of a path or of bytes: pattern of the first characters -> description and next step."""

_SIGNATURES: Final = {
    rb"\xff\xd8\xff": "JPEG",
    rb"\x89PNG\r\n\x1a\n": "PNG",
    rb"RIFF....WEBP": "WebP",
    rb"II\*\0|MM\0\*": "TIFF",
    rb"GIF8[79]a": "GIF",
}
_AVIF: Final = {b"avif", b"avis"}
_HEIC: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEIF: Final = {b"mif1", b"msf1", b"miaf"}
_CONVERT: Final = (
    "; convert it: python -c \"from PIL import Image; Image.open('photo').convert('RGB').save('photo.png')\""
)
_OTHERS: Final = {  # files often passed instead: pattern of the first bytes -> description and next step
    rb"BM": f"a BMP picture{_CONVERT}",
    rb"II\+\0|MM\0\+": f"a BigTIFF picture{_CONVERT}",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture; convert it to PNG",
    rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51": f"a JPEG 2000 picture{_CONVERT}",
    rb"8BPS": f"a Photoshop file{_CONVERT}",
    rb"%PDF": "a PDF",
    rb"%!PS|\xc5\xd0\xd3\xc6": "a PostScript file",
    rb"PK\x03\x04|PK\x05\x06": "a ZIP archive",
    rb"\x1f\x8b": "a gzip archive",
    rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07": "an archive",
    rb"SQLite format 3\0": "an SQLite database",
    rb"\x93NUMPY": "a NumPy array file; pass the array: numpy.load(path)",
    rb"\x1a\x45\xdf\xa3|RIFF....AVI ": "a video",
    rb"\s*<(!doctype )?html": "an HTML page (did the download fail?)",
    rb"(\xef\xbb\xbf)?\s*<(svg|[?!].*?<svg)": "an SVG drawing",
    **TEXTS,
}


def format_of(data: bytes) -> str | None:
    """Return the format of `FORMATS` that the first bytes of a file match; ``None`` for none of them."""
    for pattern, kind in _SIGNATURES.items():
        if re.match(pattern, data[:16], re.DOTALL):
            return kind
    brands = brands_of(data)
    if brands & _AVIF and data[8:12] not in _HEIC:
        return "AVIF"
    return "HEIC" if brands & _HEIC else None


def described(data: bytes) -> str:
    """Describe a file that can't be read, for an error message: its format or its size, and the next step."""
    if not data:
        return "0 bytes (an empty file, or a file object already read to its end? seek(0) first)"
    if kind := format_of(data):
        article = "an" if kind == "AVIF" else "a"
        return f"{article} {kind}" + ("" if kind in {"GIF", "JPEG", "PNG"} else " picture") + _CONVERT
    if brands := brands_of(data):
        return "a HEIF picture of another kind than HEIC and AVIF" if brands & _HEIF else "a video"
    for pattern, what in _OTHERS.items():
        if re.match(pattern, data[:1024], re.DOTALL | re.IGNORECASE):
            return what
    return f"{len(data):,} bytes of no known format"


def listed(formats: Collection[str]) -> str:
    """Return the names of formats for a message, such as "a JPEG, PNG or GIF"."""
    *most, last = (kind for kind in FORMATS if kind in formats)
    return f"a{'n' if (most or [last])[0] == 'AVIF' else ''} {', '.join(most)}{' or ' if most else ''}{last}"
