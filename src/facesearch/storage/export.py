"""A collection as one portable file: an .npz of plain arrays, which NumPy opens too, without pickle.

It holds the ids of the users, and for each face its vector, bounding box, user, source, whether it is set aside, and thumbnail if one is
stored. Changes that can be undone are left out, and so is what can be derived: the vectors of users are recomputed when the file is read.

An untrusted file can do no harm: see `facesearch.storage.npz`.
"""

import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.common.validation import check_text
from facesearch.domain.entities import COLLECTION_ID_PATTERN, LONGEST_USER_ID, USER_ID_PATTERN, Face, FaceModel
from facesearch.domain.geometry import BoundingBox
from facesearch.domain.sources import decode_source, encode_source
from facesearch.errors import StorageFormatError, without_value
from facesearch.files.writing import OutputKind, check_output
from facesearch.images.stored_thumbnails import is_thumbnail
from facesearch.matching.template import LONGEST, refused_rows
from facesearch.storage.content_ids import SECRET_BYTES
from facesearch.storage.npz import Arrays, DamagedError, has_arrays, read_arrays, starts_with_array, write_arrays
from facesearch.storage.store import StoredFace

__all__ = ["EXPORT_FILE", "Export", "check_export", "read_export", "write_export"]

# Format 1 is from before version 0.1.0, and not read. A file without faces set aside has format 2, which earlier versions read too.
_FORMATS: Final = (2, 3)

# Each array's type, where S128 stands for texts of up to 128 characters, and how many dimensions it has.
_ARRAYS: Final = {
    "about": ("|u1", 1),  # JSON
    "user_ids": ("|S128", 1),  # sorted
    "face_ids": ("|S36", 1),  # sorted
    "owners": ("<i8", 1),  # for each face: the index of its user, or -1
    "vectors": ("<f4", 2),
    "boxes": ("<f8", 2),  # left, top, width, height in ratios of the photo's sides, or NaN
    "confidences": ("<f8", 1),  # percent, or NaN
    "image_ids": ("|S36", 1),  # or empty
    "external_image_ids": ("|S255", 1),  # or empty
    "thumbnails": ("|u1", 1),  # JPEG files one after the other
    "thumbnail_ends": ("<i8", 1),  # for each face: end of its thumbnail; start and end are equal if it has none
    "sources": ("|u1", 1),  # sources of photos, one after the other, see facesearch.domain.sources.encode_source
    "source_ends": ("<i8", 1),  # for each face: end of its source; start and end are equal if it has none
}
_ASIDE: Final = {"set_aside": ("|u1", 1)}  # in format 3: 1 for each face that is set aside, or 0
_PARTS: Final = {"thumbnails": "thumbnail_ends", "sources": "source_ends"}  # arrays of bytes, and of their ends
_MAX_ABOUT: Final = 100_000  # bytes, nearly all for the calibration
_BOX: Final = ("left", "top", "width", "height")


@attrs.frozen(kw_only=True, eq=False)
class Export:
    """The content of an export."""

    collection_id: str
    face_model: FaceModel
    thumbnails: bool
    # JSON of `facesearch.matching.calibration.Calibration`; None for one that comes with the library.
    calibration: str | None
    user_ids: Sequence[str]  # sorted
    faces: Iterable[StoredFace]  # sorted by face id
    secret: bytes = field(repr=False)  # the key of the ids of faces and photos, see facesearch.storage.content_ids
    aside: frozenset[str] = frozenset()  # the ids of the faces that are set aside


# Arrays of every format, past and future; a format can have others.
_COMMON: Final = ("about", "user_ids", "face_ids", "owners", "vectors")
EXPORT_FILE: Final = OutputKind(
    name="an export of facesearch",
    recognises=lambda file: has_arrays(file, _COMMON),
    starts=lambda file: starts_with_array(file, _COMMON[0]),
)
"""The kind of file that `write_export` writes."""


def check_export(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Check that `write_export` may write a file, without changing anything.

    Raises
    ------
    OutputRefusedError
        If an existing file is no export, or an open database.
    """
    check_output(path, EXPORT_FILE, overwrite=overwrite)


def write_export(path: str | os.PathLike[str], export: Export, *, overwrite: bool = False) -> None:
    """Write a file, whole or not at all. An earlier export is replaced; *overwrite* replaces any file.

    Raises
    ------
    OutputRefusedError
        As from `check_export`.
    StorageError
        And its subclasses, if the file can't be written; an existing file is unchanged.
    """
    write_arrays(Path(path).absolute(), _arrays(export), EXPORT_FILE, overwrite=overwrite)


def read_export(path: str | os.PathLike[str]) -> Export:
    """Read an export written by `write_export`.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageFormatError
        If the file is no export, or damaged.
    StorageError
        If the file can't be read.
    """
    where = Path(path).absolute()
    arrays = read_arrays(where, _ARRAYS, _check_format, optional=_ASIDE)
    try:
        return _export(arrays)
    except DamagedError as error:
        raise StorageFormatError(f"{where}: no export, or damaged ({error})") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StorageFormatError(
            f"{where}: no export, or damaged ({without_value(error)})"
        ) from None  # the cause quotes it


def _arrays(export: Export) -> Arrays:
    places = {user_id: place for place, user_id in enumerate(export.user_ids)}
    about = {
        "format": _FORMATS[bool(export.aside)],
        "collection_id": export.collection_id,
        "face_model": attrs.asdict(export.face_model),
        "thumbnails": export.thumbnails,
        "calibration": export.calibration,
        "secret": export.secret.hex(),
    }
    columns: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
    for stored in export.faces:
        face, box = stored.face, stored.face.bounding_box
        columns["face_ids"].append(face.face_id.encode())
        columns["owners"].append(-1 if face.user_id is None else places[face.user_id])
        columns["vectors"].append(stored.embedding)
        columns["boxes"].append([np.nan] * len(_BOX) if box is None else [getattr(box, side) for side in _BOX])
        columns["confidences"].append(np.nan if face.confidence is None else face.confidence)
        columns["image_ids"].append((face.image_id or "").encode())
        columns["external_image_ids"].append((face.external_image_id or "").encode())
        columns["thumbnails"].append(stored.thumbnail or b"")
        columns["sources"].append(encode_source(face.source) or b"")
    columns["user_ids"] = [user_id.encode() for user_id in export.user_ids]
    raw = {"about": json.dumps(about).encode()}
    for name, ends in _PARTS.items():
        columns[ends] = np.cumsum([len(part) for part in columns[name]], dtype=np.int64).tolist()
        raw[name] = b"".join(columns[name])
    widths = {"vectors": export.face_model.dimension, "boxes": len(_BOX)}
    arrays = {}
    for name, (kind, dimensions) in _ARRAYS.items():
        if name in raw:
            arrays[name] = np.frombuffer(raw[name], np.uint8)
        elif kind.startswith("|S"):
            arrays[name] = np.array(columns[name], f"S{max(1, max(map(len, columns[name]), default=1))}")
        else:
            shape = (len(columns[name]), widths[name]) if dimensions > 1 else (len(columns[name]),)
            arrays[name] = np.array(columns[name], kind).reshape(shape)
    if export.aside:
        marks = [face_id.decode() in export.aside for face_id in columns["face_ids"]]
        arrays["set_aside"] = np.array(marks, np.uint8)
    return arrays


def _export(arrays: Arrays) -> Export:
    about = json.loads(arrays["about"].tobytes())
    face_model = FaceModel(**about["face_model"])
    _check(arrays, face_model.dimension)
    collection_id, thumbnails, calibration = about["collection_id"], about["thumbnails"], about["calibration"]
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    if not isinstance(thumbnails, bool) or not isinstance(calibration, str | None):
        raise DamagedError("about: expected thumbnails to be true or false, and calibration a text or null")
    user_ids = [
        check_text("user_ids", each.decode(), USER_ID_PATTERN, LONGEST_USER_ID) for each in arrays["user_ids"].tolist()
    ]
    marked = np.flatnonzero(arrays["set_aside"]).tolist() if "set_aside" in arrays else []
    return Export(
        collection_id=collection_id,
        face_model=face_model,
        thumbnails=thumbnails,
        calibration=calibration,
        user_ids=user_ids,
        faces=list(_faces(arrays, user_ids, face_model)),
        secret=_secret(about["secret"]),
        aside=frozenset(arrays["face_ids"][place].decode() for place in marked),
    )


def _check_format(array: npt.NDArray[Any]) -> None:
    if len(array) > _MAX_ABOUT:
        raise DamagedError(f"about: expected at most {_MAX_ABOUT} bytes, got {len(array)}")
    about = json.loads(array.tobytes())
    format_ = about.get("format") if isinstance(about, dict) else None
    if not isinstance(format_, int):
        raise DamagedError("about: expected the number of a format")
    readable = "formats {} and {}".format(*_FORMATS)
    if format_ < _FORMATS[0]:
        raise DamagedError(
            f"of format {format_}, from before version 0.1.0; this version reads {readable}: "
            "index the photos into a new collection and save it"
        )
    if format_ > _FORMATS[-1]:
        raise DamagedError(
            f"of format {format_}, written by a newer facesearch; this version reads {readable}: load it with that version"
        )


def _secret(digits: Any) -> bytes:
    if not isinstance(digits, str) or len(digits) != 2 * SECRET_BYTES:
        raise DamagedError(f"about: expected a secret of {SECRET_BYTES} bytes")
    return bytes.fromhex(digits)


def _check(arrays: Arrays, dimension: int) -> None:
    """Check that the arrays are consistent."""
    faces = len(arrays["face_ids"])
    for name in set(arrays) - {"about", "user_ids", *_PARTS}:
        width = {"vectors": (dimension,), "boxes": (len(_BOX),)}.get(name, ())
        if arrays[name].shape != (faces, *width):
            raise DamagedError(f"{name}: expected shape {(faces, *width)}, got {arrays[name].shape}")
    for name in ("user_ids", "face_ids"):
        if not (arrays[name][1:] > arrays[name][:-1]).all():
            raise DamagedError(f"{name}: expected sorted ids without duplicates")
    owners = arrays["owners"]
    if faces and not (owners.min() >= -1 and owners.max() < len(arrays["user_ids"])):
        raise DamagedError("owners: expected -1 or the index of a user")
    if "set_aside" in arrays and not (arrays["set_aside"] <= (owners < 0)).all():
        raise DamagedError("set_aside: expected 0, or 1 for a face without a user")
    for name, part_ends in _PARTS.items():
        ends = arrays[part_ends]
        if not (np.diff(ends, prepend=0) >= 0).all() or (ends[-1] if faces else 0) != len(arrays[name]):
            raise DamagedError(f"{part_ends}: expected ascending offsets up to the length of {name}")
    if refused_rows(arrays["vectors"]):
        raise DamagedError(f"vectors: expected finite numbers, none all zero, each of a length of {LONGEST:g} at most")


def _faces(arrays: Arrays, user_ids: Sequence[str], face_model: FaceModel) -> Iterator[StoredFace]:
    vectors = arrays["vectors"].astype(np.float32, copy=False)
    pictures, sources = (_parts(arrays, name) for name in _PARTS)
    vectors.flags.writeable = False
    names = ("face_ids", "owners", "boxes", "confidences", "image_ids", "external_image_ids")
    for place, row in enumerate(zip(*(arrays[name].tolist() for name in names), strict=True)):
        face_id, owner, box, confidence, image_id, external_image_id = row
        if (picture := next(pictures)) is not None and not is_thumbnail(picture):
            raise DamagedError("thumbnails: expected JPEG files of 112 x 112 pixels, got another")
        face = Face(
            face_id=face_id.decode(),
            bounding_box=None if all(map(math.isnan, box)) else BoundingBox(**dict(zip(_BOX, box, strict=True))),
            image_id=image_id.decode() or None,
            external_image_id=external_image_id.decode() or None,
            confidence=None if math.isnan(confidence) else confidence,
            index_faces_model_version=face_model.version,
            user_id=None if owner < 0 else user_ids[owner],
            source=decode_source(next(sources)),
        )
        yield StoredFace(face, vectors[place], picture)


def _parts(arrays: Arrays, name: str) -> Iterator[bytes | None]:
    """Return for each face its part of an array of bytes; ``None`` for an empty one."""
    content, ends = arrays[name].tobytes(), arrays[_PARTS[name]].tolist()
    return (content[start:end] or None for start, end in itertools.pairwise([0, *ends]))
