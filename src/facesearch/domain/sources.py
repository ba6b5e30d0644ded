"""The source of a face: the path of its photo, stored as text and escaped for printing.

A path may contain bytes that are not UTF-8 (Linux) or unpaired surrogates (Windows). Python represents both as lone surrogates in
a str. They are kept, so that ``open(face.source)`` opens the file, and are escaped wherever a source is printed.
"""

import os
from collections.abc import Sequence
from typing import Any, Final

from facesearch.common.validation import check_text
from facesearch.errors import InvalidParameterError

__all__ = [
    "MAX_SOURCE",
    "SOURCE_PATTERN",
    "check_source",
    "check_sources",
    "decode_source",
    "encode_source",
    "relative_source",
    "show_source",
    "source_of",
]

MAX_SOURCE: Final = 4096
"""Greatest length of a source, in characters: that of a path on Linux."""
SOURCE_PATTERN: Final = r"[^\0]+"
"""A source has no NUL character, since paths have none."""


def source_of(image: Any) -> str | None:
    """Return *image* as text where it is a path; ``None`` for bytes, arrays, pictures and open files."""
    if not isinstance(image, str | os.PathLike):
        return None
    path = os.fsdecode(image)
    return path if 1 <= len(path) <= MAX_SOURCE and "\0" not in path else None


def relative_source(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> str | None:
    """Return a path below a folder, relative to it, with forward slashes on every system; any other path as it is."""
    relative = os.fsdecode(path)
    start = os.path.join(os.fsdecode(root), "")  # noqa: PTH118  # pathlib would normalise the path
    return source_of(relative.removeprefix(start).replace(os.sep, "/"))


def check_source(argument: str, value: Any) -> str | None:
    """Return a caller's source as text: ``None``, or a path of 1-4096 characters without NUL; the error names the argument."""
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise InvalidParameterError.of(
            argument, value, "a path or another text that says where the photo is from, or None"
        )
    return check_text(argument, os.fsdecode(value), SOURCE_PATTERN, MAX_SOURCE)


def check_sources(argument: str, values: Any, images: Sequence[Any]) -> list[str | None]:
    """Return the source of each image: the caller's source, or else the path of the image.

    *values* are ``None``, or as many sources, or ``None``s, as there are images; the error names the argument.
    """
    if values is None:
        return [source_of(image) for image in images]
    if isinstance(values, str | bytes) or not isinstance(values, Sequence) or len(values) != len(images):
        raise InvalidParameterError.of(
            argument, values, f"a sequence of {len(images)} sources, one for each image, or None"
        )
    given = [check_source(f"{argument}[{place}]", value) for place, value in enumerate(values)]
    return [source_of(image) if source is None else source for source, image in zip(given, images, strict=True)]


def show_source(source: str) -> str:
    r"""Return a source for printing: control characters and lone surrogates are escaped.

    Examples
    --------
    >>> print(show_source("ada/\x1b[2J\udcff.jpg"))
    ada/\x1b[2J\udcff.jpg
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in source)


def encode_source(source: str | None) -> bytes | None:
    """Return a source as bytes: UTF-8, in which lone surrogates are encoded like other characters."""
    return None if source is None else source.encode("utf-8", "surrogatepass")


def decode_source(stored: bytes | None) -> str | None:
    """Return the source that `encode_source` encoded; `UnicodeDecodeError` for other bytes."""
    return None if stored is None else stored.decode("utf-8", "surrogatepass")
