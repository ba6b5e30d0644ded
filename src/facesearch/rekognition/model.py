r"""What each operation takes: its members, their types, constraints and defaults.

Source: Amazon Rekognition's service model (botocore, apiVersion 2016-06-27); the defaults stand in its documentation only.
The tests compare everything with botocore's copy. `DEVIATIONS` lists what is left out on purpose.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import attrs

from facesearch.domain.entities import COLLECTION_ID_PATTERN, EXTERNAL_IMAGE_ID_PATTERN, USER_ID_PATTERN, UUID_PATTERN
from facesearch.images.reading import MAX_BYTES

__all__ = ["DEVIATIONS", "IMAGE", "OPERATIONS", "Member", "Shape"]

Kind = Literal["string", "integer", "float", "blob", "list", "map", "structure"]


@attrs.frozen(kw_only=True, eq=False)
class Shape:
    """A type of the model.

    Attributes
    ----------
    kind
        As botocore names it.
    low, high
        Least and most, both allowed: of a number its value, of a string its characters, of a blob its bytes, of a list or map its
        items. ``None`` for no bound.
    pattern
        What a string matches as a whole, in AWS's (Java's) spelling.
    choices
        What a string may be.
    key
        Of a map.
    item
        Of a list, or the values of a map.
    members
        Of a structure.
    """

    kind: Kind
    low: int | None = None
    high: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    key: "Shape | None" = None
    item: "Shape | None" = None
    members: Mapping[str, "Member"] = MappingProxyType({})


@attrs.frozen(kw_only=True, eq=False)
class Member:
    """A member of a structure.

    Attributes
    ----------
    shape
        Its type.
    required
        Whether it must be there.
    default
        What it is where it is not given; ``None`` where AWS documents no value, and it then stays absent.
    """

    shape: Shape
    required: bool = False
    default: str | float | None = None


def _string(low: int | None = None, high: int | None = None, pattern: str | None = None) -> Shape:
    return Shape(kind="string", low=low, high=high, pattern=pattern)


def _enum(*choices: str) -> Shape:
    return Shape(kind="string", choices=choices)


def _whole(low: int, high: int | None = None) -> Shape:
    return Shape(kind="integer", low=low, high=high)


def _list(item: Shape, low: int | None = None, high: int | None = None) -> Shape:
    return Shape(kind="list", item=item, low=low, high=high)


def _structure(**members: Shape) -> Shape:
    return Shape(kind="structure", members={name: Member(shape=shape) for name, shape in members.items()})


_COLLECTION_ID: Final = _string(1, 255, COLLECTION_ID_PATTERN)
_USER_ID: Final = _string(1, 128, USER_ID_PATTERN)
_FACE_ID: Final = _string(pattern=UUID_PATTERN)
_TOKEN: Final = _string(1, 64, "^[a-zA-Z0-9-_]+$")
_NEXT_TOKEN: Final = _string()
_ARN: Final = _string(20, 2048)
_TAG_KEY: Final = _string(1, 128, r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$")
_TAG_VALUE: Final = _string(0, 256, r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$")
_TAGS: Final = Shape(kind="map", key=_TAG_KEY, item=_TAG_VALUE, low=0, high=200)
_PERCENT: Final = Shape(kind="float", low=0, high=100)
_PAGE: Final = _whole(0, 4096)
_MOST_FACES: Final = _whole(1, 4096)
_MOST_USERS: Final = _whole(1, 500)
_QUALITY: Final = _enum("NONE", "AUTO", "LOW", "MEDIUM", "HIGH")
_ATTRIBUTES: Final = _list(
    _enum(
        *("DEFAULT", "ALL", "AGE_RANGE", "BEARD", "EMOTIONS", "EYE_DIRECTION", "EYEGLASSES", "EYES_OPEN", "GENDER"),
        *("MOUTH_OPEN", "MUSTACHE", "FACE_OCCLUDED", "SMILE", "SUNGLASSES"),
    )
)

IMAGE: Final = _structure(
    Bytes=Shape(kind="blob", low=1, high=MAX_BYTES),
    S3Object=_structure(Bucket=_string(3, 255, r"[0-9A-Za-z\.\-_]*"), Name=_string(1, 1024), Version=_string(1, 1024)),
)
"""A picture: exactly one of its members is meant, and of an S3Object both Bucket and Name; the model asks for none."""


def _needed(shape: Shape) -> Member:
    return Member(shape=shape, required=True)


def _maybe(shape: Shape, default: str | float | None = None) -> Member:
    return Member(shape=shape, default=default)


_IN: Final = {"CollectionId": _needed(_COLLECTION_ID)}
_OF_USER: Final = {**_IN, "UserId": _needed(_USER_ID), "ClientRequestToken": _maybe(_TOKEN)}
_PAGED: Final = {"NextToken": _maybe(_NEXT_TOKEN), "MaxResults": _maybe(_PAGE)}
_USER_FACES: Final = {"FaceIds": _needed(_list(_FACE_ID, 1, 100))}
_FACE_IDS: Final = _list(_FACE_ID, 1, 4096)
_BY_IMAGE: Final = {**_IN, "Image": _needed(IMAGE), "QualityFilter": _maybe(_QUALITY, "NONE")}
_FACES_FOUND: Final = {"MaxFaces": _maybe(_MOST_FACES), "FaceMatchThreshold": _maybe(_PERCENT, 80.0)}
_USERS_FOUND: Final = {"MaxUsers": _maybe(_MOST_USERS), "UserMatchThreshold": _maybe(_PERCENT, 80.0)}
_TAGGED: Final = {"ResourceArn": _needed(_ARN)}

OPERATIONS: Final[Mapping[str, Mapping[str, Member]]] = MappingProxyType(
    {
        "AssociateFaces": {**_OF_USER, **_USER_FACES, "UserMatchThreshold": _maybe(_PERCENT, 75.0)},
        "CompareFaces": {
            "SourceImage": _needed(IMAGE),
            "TargetImage": _needed(IMAGE),
            "SimilarityThreshold": _maybe(_PERCENT, 80.0),
            "QualityFilter": _maybe(_QUALITY, "NONE"),
        },
        "CreateCollection": {**_IN, "Tags": _maybe(_TAGS)},
        "CreateUser": _OF_USER,
        "DeleteCollection": _IN,
        "DeleteFaces": {**_IN, "FaceIds": _needed(_FACE_IDS)},
        "DeleteUser": _OF_USER,
        "DescribeCollection": _IN,
        "DetectFaces": {"Image": _needed(IMAGE), "Attributes": _maybe(_ATTRIBUTES)},
        "DisassociateFaces": {**_OF_USER, **_USER_FACES},
        "IndexFaces": {
            **_IN,
            "Image": _needed(IMAGE),
            "ExternalImageId": _maybe(_string(1, 255, EXTERNAL_IMAGE_ID_PATTERN)),
            "DetectionAttributes": _maybe(_ATTRIBUTES),
            "MaxFaces": _maybe(_whole(1)),  # AWS takes any number, and gives 100 faces at most
            "QualityFilter": _maybe(_QUALITY, "AUTO"),
        },
        "ListCollections": _PAGED,
        "ListFaces": {**_IN, **_PAGED, "UserId": _maybe(_USER_ID), "FaceIds": _maybe(_FACE_IDS)},
        "ListTagsForResource": _TAGGED,
        "ListUsers": {**_IN, "NextToken": _maybe(_NEXT_TOKEN), "MaxResults": _maybe(_MOST_USERS)},
        "SearchFaces": {**_IN, "FaceId": _needed(_FACE_ID), **_FACES_FOUND},
        "SearchFacesByImage": {**_BY_IMAGE, **_FACES_FOUND},
        "SearchUsers": {**_IN, "UserId": _maybe(_USER_ID), "FaceId": _maybe(_FACE_ID), **_USERS_FOUND},
        "SearchUsersByImage": {**_BY_IMAGE, **_USERS_FOUND},
        "TagResource": {**_TAGGED, "Tags": _needed(_TAGS)},
        "UntagResource": {**_TAGGED, "TagKeys": _needed(_list(_TAG_KEY, 0, 200))},
    }
)
"""The members of each operation that is answered, by AWS's names."""

DEVIATIONS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        (
            "PaginationToken",
            "max",
        ): "the model says 255 characters, the developer guide's own ListUsers example has 424",
    }
)
"""Constraints of the model that are not made, by its shape and constraint, each with the reason."""
