"""Bounding boxes and landmarks, as ratios of the upright picture's width and height.

The origin is the picture's top left corner, x and ``left`` grow to the right, y and ``top`` downwards. Nothing is
clipped: a face cut off by the edge has a box that extends beyond the picture, as in AWS.
"""

from enum import Enum

import attrs
from attrs import field

from facesearch.common.announce import announce
from facesearch.common.validation import between, is_a, plain_float

__all__ = ["BoundingBox", "Landmark", "LandmarkType"]


@attrs.frozen(kw_only=True)
class BoundingBox:
    """A box around a face, in ratios of the picture's sides.

    Attributes
    ----------
    width, height
        Size, > 0 for a real face, >= 0 checked; ratio of the picture's width and height.
    left, top
        Upper left corner; may be negative or above 1 where the face extends beyond the picture.

    Examples
    --------
    >>> BoundingBox(width=0.25, height=0.5, left=0.5, top=-0.1).area
    0.125
    """

    width: float = field(converter=plain_float, validator=between(0))
    height: float = field(converter=plain_float, validator=between(0))
    left: float = field(converter=plain_float, validator=between())
    top: float = field(converter=plain_float, validator=between())

    @property
    def area(self) -> float:
        """The unclipped area as a share of the picture's, 0 and up."""
        return self.width * self.height

    def to_pixels(self, image_width: int, image_height: int) -> tuple[float, float, float, float]:
        """Return ``(left, top, right, bottom)`` in pixels of a picture of that size."""
        left, top = self.left * image_width, self.top * image_height
        return left, top, left + self.width * image_width, top + self.height * image_height

    def row_cells(self) -> tuple[float, float, float, float]:
        """Return the cells of a table with the columns `facesearch.common.tables.BOX_HEAD`."""
        return self.left, self.top, self.width, self.height


class LandmarkType(Enum):
    """AWS's 30 landmarks, in the order of AWS's responses.

    Left and right are the *viewer's*, in the face's own upright frame: ``eyeLeft`` is the eye at the left of the
    picture of an upright face. The names turn with the head.
    """

    EYE_LEFT = "eyeLeft"
    EYE_RIGHT = "eyeRight"
    MOUTH_LEFT = "mouthLeft"
    MOUTH_RIGHT = "mouthRight"
    NOSE = "nose"
    LEFT_EYEBROW_LEFT = "leftEyeBrowLeft"
    LEFT_EYEBROW_RIGHT = "leftEyeBrowRight"
    LEFT_EYEBROW_UP = "leftEyeBrowUp"
    RIGHT_EYEBROW_LEFT = "rightEyeBrowLeft"
    RIGHT_EYEBROW_RIGHT = "rightEyeBrowRight"
    RIGHT_EYEBROW_UP = "rightEyeBrowUp"
    LEFT_EYE_LEFT = "leftEyeLeft"
    LEFT_EYE_RIGHT = "leftEyeRight"
    LEFT_EYE_UP = "leftEyeUp"
    LEFT_EYE_DOWN = "leftEyeDown"
    RIGHT_EYE_LEFT = "rightEyeLeft"
    RIGHT_EYE_RIGHT = "rightEyeRight"
    RIGHT_EYE_UP = "rightEyeUp"
    RIGHT_EYE_DOWN = "rightEyeDown"
    NOSE_LEFT = "noseLeft"
    NOSE_RIGHT = "noseRight"
    MOUTH_UP = "mouthUp"
    MOUTH_DOWN = "mouthDown"
    LEFT_PUPIL = "leftPupil"
    RIGHT_PUPIL = "rightPupil"
    UPPER_JAWLINE_LEFT = "upperJawlineLeft"
    MID_JAWLINE_LEFT = "midJawlineLeft"
    CHIN_BOTTOM = "chinBottom"
    MID_JAWLINE_RIGHT = "midJawlineRight"
    UPPER_JAWLINE_RIGHT = "upperJawlineRight"


@attrs.frozen(kw_only=True)
class Landmark:
    """A named point of a face.

    Attributes
    ----------
    type
        Which point.
    x, y
        Ratios of the picture's width and height; may lie outside [0, 1].
    """

    type: LandmarkType = field(validator=is_a(LandmarkType))
    x: float = field(converter=plain_float, validator=between())
    y: float = field(converter=plain_float, validator=between())


announce(__name__)
