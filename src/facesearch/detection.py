"""Where faces are: boxes and how sure the detector is of each."""

import math
import threading
from typing import Any

import attrs
import numpy as np

from facesearch.stages import Detection, PixelArray

__all__ = ["HogDetector"]

# AWS finds faces of 40 px in a photo of 1920x1080, and the smallest face grows with larger photos; so larger ones are
# reduced to that many pixels (Amazon Rekognition quotas).
_MOST_PIXELS = 1920 * 1080
# The frontal detector's window is 80 px: one upsampling finds faces of 40.
_UPSAMPLINGS = 1
# When nothing is found the face may fill the picture: callers pass crops cut at the box. A border of a third of the side
# gives the detector the room around a face that it learned from.
_SECOND_LOOK_BORDER = 1 / 3


class HogDetector:
    """dlib's frontal face detector: histograms of gradients, five linear filters.

    Quick and exact for upright faces turned less than about 45 degrees; profiles and tilted heads are missed.

    References
    ----------
    King, Max-Margin Object Detection, arXiv:1502.00046.
    """

    def __init__(self) -> None:
        self._local = threading.local()  # the detector keeps scratch space: one for each thread

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        """Find every face; see `Detector.detect`."""
        found = self._look(pixels)
        if found:
            return found
        border = round(max(pixels.shape[:2]) * _SECOND_LOOK_BORDER)
        padded = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="edge")
        return tuple(
            attrs.evolve(
                face,
                left=face.left - border,
                top=face.top - border,
                right=face.right - border,
                bottom=face.bottom - border,
            )
            for face in self._look(padded)
        )

    def _look(self, pixels: PixelArray) -> tuple[Detection, ...]:
        scale = min(1.0, math.sqrt(_MOST_PIXELS / (pixels.shape[0] * pixels.shape[1])))
        rectangles, scores, _ = self._detector().run(_reduced(pixels, scale), _UPSAMPLINGS, 0.0)
        return tuple(
            Detection(
                left=rectangle.left() / scale,
                top=rectangle.top() / scale,
                right=(rectangle.right() + 1) / scale,  # dlib's right and bottom belong to the box
                bottom=(rectangle.bottom() + 1) / scale,
                confidence=_hog_confidence(score),
            )
            for rectangle, score in zip(rectangles, scores, strict=True)
        )

    def _detector(self) -> Any:
        if not hasattr(self._local, "detector"):
            import dlib

            self._local.detector = dlib.get_frontal_face_detector()
        return self._local.detector


def _hog_confidence(score: float) -> float:
    """Turn the detector's margin (0 is its threshold, a clear face has 1 to 3) into percent.

    The margin is that of a linear classifier, for which the logistic is the usual link (Platt 1999). Its two constants
    come from the detector's false alarms on `groups/`: they lie below 0.2, which shall read as a toss-up or less.
    """
    return 100 / (1 + math.exp(-5 * (score - 0.15)))


def _reduced(pixels: PixelArray, scale: float) -> PixelArray:
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    from PIL import Image

    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)
