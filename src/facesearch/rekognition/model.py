r"""Request model of each operation: members, types, constraints and defaults.

Source: Amazon Rekognition's service model (botocore, apiVersion 2016-06-27); the defaults are in its documentation only.
The tests compare this module with botocore's copy. One constraint is omitted: the model permits 255 characters of a PaginationToken, and
the developer guide's own ListUsers example has 424.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal

import attrs

from facesearch.domain.attributes import Attribute
from facesearch.domain.entities import (
    COLLECTION_ID_PATTERN,
    EXTERNAL_IMAGE_ID_PATTERN,
    LONGEST_USER_ID,
    USER_ID_PATTERN,
    UUID_PATTERN,
)
from facesearch.images.reading import MAX_BYTES
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["IMAGE", "OPERATIONS", "Member", "Shape"]

Kind = Literal["string", "integer", "float", "blob", "list", "map", "structure"]


@attrs.frozen(kw_only=True, eq=False)
class Shape:
    """A type of the model.

    *low* and *high* are inclusive bounds: value of a number, characters of a string, bytes of a blob, items of a list or map.
    """

    kind: Kind
    low: int | None = None
    high: int | None = None
    pattern: str | None = None  # that a whole string must match, in Java's syntax, as AWS publishes it
    choices: tuple[str, ...] = ()  # permitted values of a string; empty for any
    key: "Shape | None" = None  # of a map
    item: "Shape | None" = None  # of a list, or value of a map
    members: Mapping[str, "Member"] = MappingProxyType({})  # of a structure


@attrs.frozen(kw_only=True, eq=False)
class Member:
    """A member of a structure."""

    shape: Shape
    required: bool = False
    default: str | float | None = None  # None where AWS documents none: the member then stays absent


def _string(low: int | None = None, high: int | None = None, pattern: str | None = None) -> Shape:
    return Shape(kind="string", low=low, high=high, pattern=pattern)


def _enum(choices: type[Enum]) -> Shape:
    return Shape(kind="string", choices=tuple(each.value for each in choices))


def _integer(low: int, high: int | None = None) -> Shape:
    return Shape(kind="integer", low=low, high=high)


def _list(item: Shape, low: int | None = None, high: int | None = None) -> Shape:
    return Shape(kind="list", item=item, low=low, high=high)


def _structure(**members: Shape) -> Shape:
    return Shape(kind="structure", members={name: Member(shape=shape) for name, shape in members.items()})


_COLLECTION_ID: Final = _string(1, 255, COLLECTION_ID_PATTERN)
_USER_ID: Final = _string(1, LONGEST_USER_ID, USER_ID_PATTERN)
_FACE_ID: Final = _string(pattern=UUID_PATTERN)
_TOKEN: Final = _string(1, 64, "^[a-zA-Z0-9-_]+$")
_NEXT_TOKEN: Final = _string()
_ARN: Final = _string(20, 2048)
_TAG_KEY: Final = _string(1, 128, r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$")
_TAG_VALUE: Final = _string(0, 256, r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$")
_TAGS: Final = Shape(kind="map", key=_TAG_KEY, item=_TAG_VALUE, low=0, high=200)
_PERCENT: Final = Shape(kind="float", low=0, high=100)
_PAGE: Final = _integer(0, 4096)
_MOST_FACES: Final = _integer(1, 4096)
_MOST_USERS: Final = _integer(1, 500)
_QUALITY: Final = _enum(QualityFilter)
_ATTRIBUTES: Final = _list(_enum(Attribute))

IMAGE: Final = _structure(
    Bytes=Shape(kind="blob", low=1, high=MAX_BYTES),
    S3Object=_structure(Bucket=_string(3, 255, r"[0-9A-Za-z\.\-_]*"), Name=_string(1, 1024), Version=_string(1, 1024)),
)
"""An image: exactly one member, and both Bucket and Name of an S3Object, are required. The service model requires none of them."""


def _required(shape: Shape) -> Member:
    return Member(shape=shape, required=True)


def _optional(shape: Shape, default: str | float | None = None) -> Member:
    return Member(shape=shape, default=default)


_IN: Final = {"CollectionId": _required(_COLLECTION_ID)}
_OF_USER: Final = {**_IN, "UserId": _required(_USER_ID), "ClientRequestToken": _optional(_TOKEN)}
_PAGED: Final = {"NextToken": _optional(_NEXT_TOKEN), "MaxResults": _optional(_PAGE)}
_USER_FACES: Final = {"FaceIds": _required(_list(_FACE_ID, 1, 100))}
_FACE_IDS: Final = _list(_FACE_ID, 1, 4096)
_BY_IMAGE: Final = {**_IN, "Image": _required(IMAGE), "QualityFilter": _optional(_QUALITY, "NONE")}
_FACES_FOUND: Final = {"MaxFaces": _optional(_MOST_FACES), "FaceMatchThreshold": _optional(_PERCENT, 80.0)}
_USERS_FOUND: Final = {"MaxUsers": _optional(_MOST_USERS), "UserMatchThreshold": _optional(_PERCENT, 80.0)}
_TAGGED: Final = {"ResourceArn": _required(_ARN)}

OPERATIONS: Final[Mapping[str, Mapping[str, Member]]] = MappingProxyType(
    {
        "AssociateFaces": {**_OF_USER, **_USER_FACES, "UserMatchThreshold": _optional(_PERCENT, 75.0)},
        "CompareFaces": {
            "SourceImage": _required(IMAGE),
            "TargetImage": _required(IMAGE),
            "SimilarityThreshold": _optional(_PERCENT, 80.0),
            "QualityFilter": _optional(_QUALITY, "NONE"),
        },
        "CreateCollection": {**_IN, "Tags": _optional(_TAGS)},
        "CreateUser": _OF_USER,
        "DeleteCollection": _IN,
        "DeleteFaces": {**_IN, "FaceIds": _required(_FACE_IDS)},
        "DeleteUser": _OF_USER,
        "DescribeCollection": _IN,
        "DetectFaces": {"Image": _required(IMAGE), "Attributes": _optional(_ATTRIBUTES)},
        "DisassociateFaces": {**_OF_USER, **_USER_FACES},
        "IndexFaces": {
            **_IN,
            "Image": _required(IMAGE),
            "ExternalImageId": _optional(_string(1, 255, EXTERNAL_IMAGE_ID_PATTERN)),
            "DetectionAttributes": _optional(_ATTRIBUTES),
            "MaxFaces": _optional(_integer(1)),  # AWS accepts any number, and returns at most 100 faces
            "QualityFilter": _optional(_QUALITY, "AUTO"),
        },
        "ListCollections": _PAGED,
        "ListFaces": {**_IN, **_PAGED, "UserId": _optional(_USER_ID), "FaceIds": _optional(_FACE_IDS)},
        "ListTagsForResource": _TAGGED,
        "ListUsers": {**_IN, "NextToken": _optional(_NEXT_TOKEN), "MaxResults": _optional(_MOST_USERS)},
        "SearchFaces": {**_IN, "FaceId": _required(_FACE_ID), **_FACES_FOUND},
        "SearchFacesByImage": {**_BY_IMAGE, **_FACES_FOUND},
        "SearchUsers": {**_IN, "UserId": _optional(_USER_ID), "FaceId": _optional(_FACE_ID), **_USERS_FOUND},
        "SearchUsersByImage": {**_BY_IMAGE, **_USERS_FOUND},
        "TagResource": {**_TAGGED, "Tags": _required(_TAGS)},
        "UntagResource": {**_TAGGED, "TagKeys": _required(_list(_TAG_KEY, 0, 200))},
    }
)
"""Request members of each supported operation, by AWS's names."""
