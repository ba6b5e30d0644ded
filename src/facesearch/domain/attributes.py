"""The names of the face attributes, and the reasons why an attribute can't be assessed."""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from facesearch.common.validation import check_member
from facesearch.errors import InvalidParameterError

__all__ = ["Attribute", "Unassessed", "parse_attributes"]


class Attribute(Enum):
    """The attributes of a face that can be requested; AWS's names.

    DEFAULT is box, confidence, five landmarks, pose and quality, and is always included; ALL is every attribute and all 30
    landmarks.
    """

    DEFAULT = "DEFAULT"
    ALL = "ALL"
    AGE_RANGE = "AGE_RANGE"
    BEARD = "BEARD"
    EMOTIONS = "EMOTIONS"
    EYE_DIRECTION = "EYE_DIRECTION"
    EYEGLASSES = "EYEGLASSES"
    EYES_OPEN = "EYES_OPEN"
    GENDER = "GENDER"
    MOUTH_OPEN = "MOUTH_OPEN"
    MUSTACHE = "MUSTACHE"
    FACE_OCCLUDED = "FACE_OCCLUDED"
    SMILE = "SMILE"
    SUNGLASSES = "SUNGLASSES"


SINGLE: Final = frozenset(Attribute) - {Attribute.DEFAULT, Attribute.ALL}


def parse_attributes(attributes: Iterable[str | Attribute]) -> frozenset[Attribute]:
    """Return the set of attributes that a list denotes, as AWS reads it: with ALL, every other attribute too.

    Raises
    ------
    InvalidParameterError
        If an attribute is unknown, or a string was passed in place of a list.
    """
    if isinstance(attributes, str) or not isinstance(attributes, Iterable):
        names = ", ".join(each.value for each in Attribute)
        raise InvalidParameterError.of("attributes", attributes, f'a sequence such as ("ALL",), of {names}')
    asked = frozenset(check_member("attributes", attribute, Attribute) for attribute in attributes)
    return frozenset(Attribute) if Attribute.ALL in asked else asked


class Unassessed(Enum):
    """The reason why a requested attribute is absent."""

    FACE_TOO_SMALL = "FACE_TOO_SMALL"
    FACE_TURNED_AWAY = "FACE_TURNED_AWAY"
    EYES_COVERED = "EYES_COVERED"
    EYES_NOT_VISIBLE = "EYES_NOT_VISIBLE"
    MOUTH_COVERED = "MOUTH_COVERED"
