"""Why a face was not used: AWS's names, and our own for enrolment.

Source: Amazon Rekognition API reference, ``UnsearchedFace``, ``UnindexedFace``, ``IndexFaces``.
"""

from enum import Enum

__all__ = ["EnrollmentReason", "QualityReason", "UnindexedFaceReason", "UnsearchedFaceReason"]


class QualityReason(Enum):
    """Why a face is not good enough; the names, and their order, are AWS's.

    The other three have each of them under the same value.
    """

    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


class UnsearchedFaceReason(Enum):
    """Why a face was detected but not searched."""

    FACE_NOT_LARGEST = "FACE_NOT_LARGEST"
    EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


class UnindexedFaceReason(Enum):
    """Why a face was detected but not indexed."""

    EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_FACE_QUALITY = "LOW_FACE_QUALITY"


class EnrollmentReason(Enum):
    """Why a photo did not become a face of its user: no face, several, a quality bar, whose face it is, or the user's other photos."""

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
