"""A face as a row of a database table: the columns of its personal data, and the forms of its ids."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from facesearch.domain.entities import Face, FaceModel
from facesearch.domain.geometry import BoundingBox
from facesearch.domain.sources import decode_source, encode_source
from facesearch.errors import InvalidParameterError, StorageFormatError, without_value

__all__ = ["PERSONAL", "STORED", "face_of", "personal_columns", "uuid_bytes", "uuid_text"]

STORED: Final = np.dtype("<f4")
"""Type of a vector's numbers in a file."""

PERSONAL: Final = (
    "image_id", "external_image_id", "confidence", "source", "box_left", "box_top", "box_width", "box_height",
)  # fmt: skip
"""Columns of `personal_columns`, in their order."""

_BOX: Final = ("left", "top", "width", "height")


def personal_columns(face: Face) -> tuple[Any, ...]:
    """Return the values of `PERSONAL` for a face."""
    box = face.bounding_box
    return (
        face.image_id and uuid_bytes(face.image_id),
        face.external_image_id,
        face.confidence,
        encode_source(face.source),
        *(box and getattr(box, side) for side in _BOX),
    )


def face_of(face_id: bytes, user_id: str | None, columns: Sequence[Any], *, face_model: FaceModel, where: str) -> Face:
    """Return the face of a row: a face id of 16 bytes, a user id or ``None``, and the values of `PERSONAL`.

    Raises
    ------
    StorageFormatError
        If a value is invalid; the message names the row, *where*, and does not quote the value.
    """
    image_id, external_image_id, confidence, source, *box = columns
    try:
        return Face(
            face_id=uuid_text(face_id),
            bounding_box=None if None in box else BoundingBox(**dict(zip(_BOX, box, strict=True))),
            image_id=None if image_id is None else uuid_text(image_id),
            external_image_id=external_image_id,
            confidence=confidence,
            index_faces_model_version=face_model.version,
            user_id=user_id,
            source=decode_source(source),
        )
    except (InvalidParameterError, AttributeError, UnicodeDecodeError) as error:
        raise StorageFormatError(f"{where}: damaged ({without_value(error)})") from None


def uuid_bytes(uuid: str) -> bytes:
    """Return the 16 bytes of a UUID; no bytes for an empty text, which is less than all UUIDs."""
    return bytes.fromhex(uuid.replace("-", ""))


def uuid_text(stored: bytes) -> str:
    """Return the text of a UUID of 16 bytes."""
    digits = stored.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
