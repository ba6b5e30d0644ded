"""Read and write .npz files of arrays: written whole or not at all, read without trust in the file.

The arrays are not compressed, so that together they are no larger than the file. The header of each array is checked before its content
is read, and is never evaluated as Python, as NumPy does. Every other kind of .npz file is refused.
"""

import math
import os
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from facesearch.errors import CollectionNotFoundError, StorageFormatError
from facesearch.files.writing import OutputKind, write_file
from facesearch.storage.sqlite.opening import translated

__all__ = ["Arrays", "DamagedError", "has_arrays", "read_arrays", "starts_with_array", "write_arrays"]

Arrays = Mapping[str, npt.NDArray[Any]]
Kinds = Mapping[str, tuple[str, int]]

# The header that NumPy writes before the numbers; no other is accepted.
_MAGIC: Final = b"\x93NUMPY\x01\x00"
_HEADER: Final = re.compile(
    rb"\{'descr': '([<|][a-zA-Z]\d{1,3})', 'fortran_order': False, 'shape': \((\d{1,15}),(?: (\d{1,6}))?\), \} *\n"
)
_START: Final = b"PK\x03\x04"  # of an archive that has members
_MEMBER: Final = 30  # bytes before the first member's name
# Bytes of the end of an archive; in archives of 2 GiB and more, 20 and 56 bytes for large numbers come before it.
_END: Final = 22
_MAX_DIRECTORY: Final = 4096  # bytes of the list of arrays; exports have about 1,000


class DamagedError(ValueError):
    """A file is damaged or of another format; the message names the place. Callers raise `StorageFormatError` from it."""


def write_arrays(path: Path, arrays: Arrays, kind: OutputKind, *, overwrite: bool = False) -> None:
    """Write a file, at an absolute path, whole or not at all; the rules are those of `facesearch.files.writing.write_file`.

    The arrays are in C order, of plain types. Equal arrays give equal bytes.

    Raises
    ------
    OutputRefusedError
        If an existing file must not be replaced.
    StorageError
        And its subclasses, if the file can't be written; an existing file is unchanged.
    """
    with (
        translated(path),
        write_file(path, kind, overwrite=overwrite) as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name, array in arrays.items():
            # ZipInfo has a constant date of its own.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def has_arrays(file: IO[bytes], names: Iterable[str]) -> bool:
    """Check whether a file, open for reading, is an .npz of `write_arrays` with these arrays, and perhaps others.

    For other files this may raise ValueError, OSError or zipfile.BadZipFile.
    """
    if file.read(len(_START)) != _START:
        return False
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        return {f"{name}.npy" for name in names} <= set(archive.namelist())


def starts_with_array(file: IO[bytes], name: str) -> bool:
    """Check whether a file, perhaps unfinished, begins with an array of this name as `write_arrays` writes it."""
    expected = f"{name}.npy".encode()
    head = file.read(_MEMBER + len(expected))
    return head.startswith(_START) and head[_MEMBER:] == expected


def read_arrays(
    path: Path, kinds: Kinds, check: Callable[[npt.NDArray[Any]], None], *, optional: Kinds | None = None
) -> Arrays:
    """Read a file, at an absolute path, that has exactly these arrays; they are read-only.

    Parameters
    ----------
    kinds
        For each array, its type as NumPy writes it and its number of dimensions, 1 or 2. ``"|S128"`` stands for texts of 1 to 128
        characters.
    check
        Called with the first of these arrays before the names of the others are compared; raises `DamagedError` if the file has
        another format.
    optional
        Arrays that the file may have besides.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageFormatError
        If the file is not of that kind, or damaged.
    StorageError
        If the file can't be read.
    """
    with translated(path):
        try:
            with path.open("rb") as file:
                _check_directory(file)
                with zipfile.ZipFile(file) as archive:
                    return _read(archive, kinds, check, file.seek(0, os.SEEK_END), optional or {})
        except FileNotFoundError:
            raise CollectionNotFoundError(f"{path}: no such file") from None
        except DamagedError as error:
            raise StorageFormatError(f"{path}: no export, or damaged ({error})") from error
        except (zipfile.BadZipFile, ValueError, struct.error, EOFError, RuntimeError):
            # The cause quotes names from the file.
            raise StorageFormatError(f"{path}: no export, or damaged (not a plain .npz file)") from None


def _check_directory(file: IO[bytes]) -> None:
    """Check the length of the list of contents before it is read."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _END - 20 - 56))
    tail = file.read()
    if len(tail) < _END or tail[-22:-18] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        raise DamagedError("not an .npz file")
    (length,) = struct.unpack("<L", tail[-10:-6])
    if tail[-42:-38] == b"PK\x06\x07":
        (length,) = struct.unpack("<Q", tail[-58:-50])
    if length > _MAX_DIRECTORY:
        raise DamagedError(f"expected a list of contents of at most {_MAX_DIRECTORY} bytes, got {length}")


def _read(
    archive: zipfile.ZipFile, kinds: Kinds, check: Callable[[npt.NDArray[Any]], None], size: int, optional: Kinds
) -> Arrays:
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise DamagedError("expected arrays without compression")
    if sum(member.file_size for member in members) > size:
        raise DamagedError("expected arrays no larger than the file")
    found, first = [member.filename for member in members], next(iter(kinds))
    if f"{first}.npy" in found:
        check(_read_array(archive, first, *kinds[first]))
    kinds = {**kinds, **{name: kind for name, kind in optional.items() if f"{name}.npy" in found}}
    if sorted(found) != sorted(f"{name}.npy" for name in kinds):
        raise DamagedError(f"expected the arrays {', '.join(kinds)}")
    return {name: _read_array(archive, name, *kind) for name, kind in kinds.items()}


def _read_array(archive: zipfile.ZipFile, name: str, expected: str, dimensions: int) -> npt.NDArray[Any]:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        start = stream.read(len(_MAGIC) + 2)
        length = int.from_bytes(start[-2:], "little")
        found = _HEADER.fullmatch(stream.read(length))
        if start[:-2] != _MAGIC or found is None:
            raise DamagedError(f"{name}: expected a plain array")
        kind, shape = found[1].decode(), [int(side) for side in found.groups()[1:] if side]
        is_text = expected.startswith("|S") and kind.startswith("|S") and 1 <= int(kind[2:]) <= int(expected[2:])
        if (kind != expected and not is_text) or len(shape) != dimensions:
            raise DamagedError(f"{name}: expected {expected} in {dimensions} dimensions, got {kind} in {len(shape)}")
        dtype = np.dtype(kind)
        if math.prod(shape) * dtype.itemsize != member.file_size - len(start) - length:
            raise DamagedError(f"{name}: expected as many bytes as its header says")
        return np.frombuffer(stream.read(), dtype).reshape(shape)
