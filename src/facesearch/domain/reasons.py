"""The reasons for refusing a face: AWS's names, and the library's own for enrolment.

Source: Amazon Rekognition API reference, ``UnsearchedFace``, ``UnindexedFace``, ``IndexFaces``.
"""

from enum import Enum

__all__ = ["EnrollmentReason", "QualityReason", "UnindexedFaceReason", "UnsearchedFaceReason"]


class QualityReason(Enum):
    """The reasons of the quality filter, with AWS's names and in AWS's order.

    The other three enumerations contain each of them with the same value.
    """

    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


class UnsearchedFaceReason(Enum):
    """The reasons why a face was detected but not searched."""

    FACE_NOT_LARGEST = "FACE_NOT_LARGEST"
    EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


class UnindexedFaceReason(Enum):
    """The reasons why a face was detected but not indexed."""

    EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


class EnrollmentReason(Enum):
    """The reasons for refusing a photo of a user: no face, several faces, quality, or the person that it shows."""

    NO_FACE = "NO_FACE"
    SEVERAL_FACES = "SEVERAL_FACES"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"
    ASSOCIATED_TO_A_DIFFERENT_USER = "ASSOCIATED_TO_A_DIFFERENT_USER"
    GIVEN_FOR_SEVERAL_USERS = "GIVEN_FOR_SEVERAL_USERS"
    PHOTOS_DISAGREE = "PHOTOS_DISAGREE"
    LOW_MATCH_CONFIDENCE = "LOW_MATCH_CONFIDENCE"
    NEARER_TO_ANOTHER_USER = "NEARER_TO_ANOTHER_USER"
