"""The protocols of the pipeline's stages.

A stage is any object with the methods of its protocol: dlib's, ONNX Runtime's, your own, or the fakes in `facesearch.testing`,
which pass the same tests as the real ones. Several threads may call a stage at once; a stage keeps nothing of the photos.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.common.equality import content
from facesearch.common.validation import between, plain_float, plain_int
from facesearch.domain.entities import FaceModel
from facesearch.errors import InvalidParameterError

__all__ = [
    "CHIP_PADDING",
    "CHIP_SIZE",
    "FACE_IN_CHIP",
    "LANDMARK_SHAPES",
    "AlignedFace",
    "Aligner",
    "Detection",
    "Detector",
    "Embedder",
    "Landmarker",
]


CHIP_SIZE = 150  # pixels a side: what dlib's network was trained on
CHIP_PADDING = 0.25  # of the face's size, on each side; likewise


def _read_only_points(values: "Sequence[Sequence[float]] | npt.NDArray[Any] | None") -> PointArray | None:
    """Return a read-only copy of five points as float64."""
    if values is None:
        return None
    try:
        points = np.array(values, np.float64)
    except (TypeError, ValueError):
        raise InvalidParameterError.of("points", values, _FIVE_POINTS) from None
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise InvalidParameterError.of("points", values, _FIVE_POINTS)
    points.flags.writeable = False
    return points


_FIVE_POINTS = "five points xy of shape (5, 2), all finite, or None"


@attrs.frozen(kw_only=True)
class Detection:
    """A detected face.

    Attributes
    ----------
    left, top, right, bottom
        Pixels of the picture given; dlib's box, a square from brows to chin. May leave the picture.
    confidence
        Percent, 0-100.
    quarter_turns
        0-3: quarter turns, counterclockwise as in ``np.rot90``, after which the face is upright within 45 degrees. The box is
        that of the picture before them.
    points
        (5, 2) float64 xy pixels of the picture as it was given, read-only: the viewer's left eye, the viewer's right eye, the
        tip of the nose, the viewer's left and right corner of the mouth, where left and right are those of the upright face.
        May leave the picture. ``None`` from a detector that locates no points.
    """

    left: float = field(converter=plain_float, validator=between())
    top: float = field(converter=plain_float, validator=between())
    right: float = field(converter=plain_float, validator=between())
    bottom: float = field(converter=plain_float, validator=between())
    confidence: float = field(converter=plain_float, validator=between(0, 100))
    quarter_turns: int = field(default=0, converter=plain_int, validator=between(0, 3))
    points: PointArray | None = field(default=None, converter=_read_only_points, eq=content)

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its fields: the points are read-only again when they are back
        return partial(type(self), **attrs.asdict(self, recurse=False)), ()


# The box of dlib's frontal detector in a chip, as its shape predictors were trained with: the median over `landmarks106/`.
FACE_IN_CHIP = Detection(left=10.5, top=7.9, right=136.8, bottom=134.3, confidence=100)


class Detector(Protocol):
    """Detects faces."""

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        """Detect every face.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB, upright.

        Returns
        -------
        tuple of Detection
            Highest confidence first; empty when there is no face.
        """
        ...


@attrs.frozen(kw_only=True)
class AlignedFace:
    """A face cropped upright, always at the same size and position.

    Attributes
    ----------
    chip
        (150, 150, 3) uint8 RGB; `CHIP_PADDING` of the face's size lies around it.
    to_picture
        (2, 3) float64: xy of a point of the chip, with a 1 appended, times this is xy in the picture. A similarity: it
        turns, scales and shifts.
    points
        (70, 2) float64 xy pixels of the picture, as `Landmarker.locate` returns them, where the aligner located them too, the
        irises less exactly; ``None`` where it did not, or not well enough to keep.
    """

    chip: PixelArray = field(repr=False, eq=content)
    to_picture: PointArray = field(eq=content)
    points: PointArray | None = field(default=None, repr=False, eq=content)

    def in_picture(self, points: PointArray) -> PointArray:
        """Convert (N, 2) xy pixels of the chip to xy pixels of the picture."""
        result: PointArray = points @ self.to_picture[:, :2].T + self.to_picture[:, 2]
        return result


class Aligner(Protocol):
    """Aligns a detected face: crops it upright, always at the same size and position."""

    def align(self, pixels: PixelArray, detection: Detection) -> AlignedFace:
        """Align one face.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB, upright.
        detection
            A face in it.
        """
        ...


# Of what a landmarker locates: iBUG's 68 points, or these and the centres of both irises.
LANDMARK_SHAPES = frozenset({(68, 2), (70, 2)})


class Landmarker(Protocol):
    """Locates the landmarks of an aligned face."""

    def locate(self, pixels: PixelArray, face: AlignedFace) -> PointArray:
        """Locate 68 or 70 landmarks.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB, upright.
        face
            A face in it.

        Returns
        -------
        ndarray of shape (68, 2) or (70, 2)
            float64 xy pixels of the picture; may leave it. The last two of 70 are the centres of the irises, the viewer's left
            and right.
        """
        ...


class Embedder(Protocol):
    """Embeds face chips: vectors of one person are near to each other, those of two people are not."""

    @property
    def face_model(self) -> FaceModel:
        """The model that computes the vectors; vectors of two models are not comparable."""
        ...

    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:
        """Crop the input of `embed` for one face.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB, upright.
        face
            A face in it.
        points
            (68, 2) or (70, 2) xy pixels of the picture, from `Landmarker.locate`.

        Returns
        -------
        ndarray of shape (h, w, 3)
            uint8 RGB, of one size for all faces. The chip itself, for networks that were trained on such chips.
        """
        ...

    def embed(self, chips: PixelArray) -> FloatArray:
        """Embed faces.

        Parameters
        ----------
        chips
            (N, h, w, 3) uint8 RGB, N >= 0, from `cut`; (N, 150, 150, 3) where that returns the chip itself.

        Returns
        -------
        ndarray of shape (N, face_model.dimension)
            float32. Each row depends on its own chip only.
        """
        ...
