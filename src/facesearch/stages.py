"""What the stages of the pipeline promise each other.

A stage is anything with the method named here: dlib's, ONNX Runtime's, your own, or the fakes in `facesearch.testing`, which
pass the same tests as the real ones. Stages may be called from several threads at once and keep no trace of what they saw.
"""

from typing import Protocol

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch._fields import between, plain_float
from facesearch.records import FaceModel

__all__ = [
    "CHIP_PADDING",
    "CHIP_SIZE",
    "Aligner",
    "Detection",
    "Detector",
    "Embedder",
    "FloatArray",
    "Landmarker",
    "PixelArray",
    "PointArray",
]

PixelArray = npt.NDArray[np.uint8]
PointArray = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

CHIP_SIZE = 150  # pixels a side: what dlib's network was trained on
CHIP_PADDING = 0.25  # of the face's size, on each side; likewise


@attrs.frozen(kw_only=True)
class Detection:
    """A face as a detector sees it.

    Attributes
    ----------
    left, top, right, bottom
        Pixels of the picture given; dlib's box, a square from brows to chin. May leave the picture.
    confidence
        Percent, 0-100.
    """

    left: float = field(converter=plain_float, validator=between())
    top: float = field(converter=plain_float, validator=between())
    right: float = field(converter=plain_float, validator=between())
    bottom: float = field(converter=plain_float, validator=between())
    confidence: float = field(converter=plain_float, validator=between(0, 100))


class Detector(Protocol):
    """Finds faces."""

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        """Find every face.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB, upright.

        Returns
        -------
        tuple of Detection
            The surest first; empty when there is no face.
        """
        ...


class Landmarker(Protocol):
    """Finds the parts of a detected face."""

    def locate(self, pixels: PixelArray, detection: Detection) -> PointArray:
        """Find 68 points.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB, upright.
        detection
            A face in it.

        Returns
        -------
        ndarray of shape (68, 2)
            float64 xy pixels; may leave the picture.
        """
        ...


class Aligner(Protocol):
    """Cuts a detected face out upright, always of the same size and place."""

    def chip(self, pixels: PixelArray, detection: Detection) -> PixelArray:
        """Cut out one face.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB, upright.
        detection
            A face in it.

        Returns
        -------
        ndarray of shape (150, 150, 3)
            uint8 RGB; `CHIP_PADDING` of the face's size lies around it.
        """
        ...


class Embedder(Protocol):
    """Turns face chips into vectors whose distances tell people apart."""

    @property
    def face_model(self) -> FaceModel:
        """The model that makes the vectors: those of two models are not comparable."""
        ...

    def embed(self, chips: PixelArray) -> FloatArray:
        """Embed faces.

        Parameters
        ----------
        chips
            (N, 150, 150, 3) uint8 RGB, N >= 0.

        Returns
        -------
        ndarray of shape (N, face_model.dimension)
            float32. Each row depends on its own chip only.
        """
        ...
