"""The contents of a collection: users, faces, and the model of their vectors, with the patterns of their ids.

Source: Amazon Rekognition API reference, ``Face``, ``FaceRecord``, ``UnindexedFace``, ``User``.
"""

from enum import Enum
from typing import ClassVar

import attrs
from attrs import field

from facesearch.common.announce import announce
from facesearch.common.tables import BOX_HEAD, Cell
from facesearch.common.validation import between, is_a, matches, maybe, maybe_float, plain_int, whole
from facesearch.domain.geometry import BoundingBox
from facesearch.domain.sources import MAX_SOURCE, SOURCE_PATTERN, show_source

__all__ = [
    "COLLECTION_ID_PATTERN",
    "EXTERNAL_IMAGE_ID_PATTERN",
    "LONGEST_USER_ID",
    "MODEL_VERSION_PATTERN",
    "USER_ID_PATTERN",
    "UUID_PATTERN",
    "Face",
    "FaceModel",
    "User",
    "UserStatus",
]

# AWS's own patterns: the botocore service model of Rekognition, shapes CollectionId, UserId, ExternalImageId, FaceId
# and IndexFacesModelVersion.
COLLECTION_ID_PATTERN = r"[a-zA-Z0-9_.\-]+"
USER_ID_PATTERN = r"[a-zA-Z0-9_.\-:]+"
LONGEST_USER_ID = 128  # characters
EXTERNAL_IMAGE_ID_PATTERN = r"[a-zA-Z0-9_.\-:]+"
UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MODEL_VERSION_PATTERN = r"[0-9.]+"


@attrs.frozen(kw_only=True)
class FaceModel:
    """The model that computed a vector; vectors of different models are not comparable, even of equal length.

    Attributes
    ----------
    name
        The name of the network.
    version
        Digits and dots: AWS's ``FaceModelVersion``.
    digest
        SHA-256, hex: of the weights, and of the settings that change a vector.
    dimension
        Length of its vectors.
    """

    name: str = field(validator=is_a(str))
    version: str = field(validator=matches(MODEL_VERSION_PATTERN, 64))
    digest: str = field(validator=matches(r"[0-9a-f]{64}", 64))
    dimension: int = field(converter=plain_int, validator=whole(1))


class UserStatus(Enum):
    """The status of a user: CREATED without faces, ACTIVE when searchable.

    A local collection is consistent at once, so CREATING and UPDATING only come from AWS.
    """

    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    CREATING = "CREATING"
    CREATED = "CREATED"


@attrs.frozen(kw_only=True)
class User:
    """A person in a collection.

    Attributes
    ----------
    user_id
        1-128 characters of ``[a-zA-Z0-9_.-:]``.
    user_status
        CREATED without faces, ACTIVE with.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("user", "status")

    user_id: str = field(validator=matches(USER_ID_PATTERN, LONGEST_USER_ID))
    user_status: UserStatus = field(validator=is_a(UserStatus))

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this user's row in a table."""
        return self.user_id, self.user_status.value


@attrs.frozen(kw_only=True)
class Face:
    """A face in a collection; its photo is not stored, only the path.

    Attributes
    ----------
    face_id, image_id
        UUIDs derived from the content and a secret of the collection: the same photo has the same ids in it again.
    bounding_box, confidence
        The box in its photo, and the confidence that it is a face, percent; absent for a face added as an embedding.
    external_image_id
        The caller's own name for the photo.
    index_faces_model_version
        The version of the face model that computed its vector, digits and dots.
    user_id
        The user it is associated with, if any.
    source
        The path of its photo as passed when the face was added (relative to the folder for a folder), or the ``source=``
        argument: 1-4096 characters. ``None`` for a photo without a path, such as an array. Not a member of AWS: `to_aws`
        omits it.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("face id", "user", "external image id", *BOX_HEAD, "confidence", "source")

    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    bounding_box: BoundingBox | None = field(default=None, validator=maybe(is_a(BoundingBox)))
    image_id: str | None = field(default=None, validator=maybe(matches(UUID_PATTERN, 36)))
    external_image_id: str | None = field(default=None, validator=maybe(matches(EXTERNAL_IMAGE_ID_PATTERN, 255)))
    confidence: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))
    index_faces_model_version: str | None = field(default=None, validator=maybe(matches(MODEL_VERSION_PATTERN, 64)))
    user_id: str | None = field(default=None, validator=maybe(matches(USER_ID_PATTERN, LONGEST_USER_ID)))
    source: str | None = field(default=None, validator=maybe(matches(SOURCE_PATTERN, MAX_SOURCE)))

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this face's row in a table."""
        box = self.bounding_box.row_cells() if self.bounding_box else (None,) * len(BOX_HEAD)
        source = None if self.source is None else show_source(self.source)
        return self.face_id, self.user_id, self.external_image_id, *box, self.confidence, source


announce(__name__)
