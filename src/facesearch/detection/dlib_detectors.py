"""Detect faces in dlib's own engine: the frontal detector, and the reference for the convolutional one."""

import math
import threading
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from typing_extensions import override

from facesearch.common.arrays import PixelArray
from facesearch.common.once import LOADING
from facesearch.images.resizing import reduced
from facesearch.networks.dlib_objects import DlibNetwork
from facesearch.networks.weights import FACE_DETECTOR
from facesearch.stages import Detection, Detector

__all__ = ["DlibMmodDetector", "HogDetector"]

# Both windows are 80 px: with one upsampling faces of 40 are found, AWS's smallest in a photo of 1920x1080; larger photos
# are reduced to that size (Amazon Rekognition quotas).
_UPSAMPLINGS: Final = 1
_MOST_PIXELS: Final = 1920 * 1080
# When nothing is detected the face may fill the picture: a border of a third of the side adds the surroundings it lacks.
_BORDER: Final = 1 / 3


class _DlibDetector(Detector):
    """The steps that both detectors share; `_run` returns dlib's boxes, each with its score."""

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return type(self), ()

    @override
    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        border = round(max(pixels.shape[:2]) * _BORDER)
        return self._detect_with_border(pixels, 0) or self._detect_with_border(pixels, border)

    def _detect_with_border(self, pixels: PixelArray, border: int) -> tuple[Detection, ...]:
        padded = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="edge")
        searched = reduced(padded, _MOST_PIXELS)
        scale = padded.shape[1] / searched.shape[1]
        detections = [
            Detection(
                left=box.left() * scale - border,
                top=box.top() * scale - border,
                right=(box.right() + 1) * scale - border,  # dlib's right and bottom belong to the box
                bottom=(box.bottom() + 1) * scale - border,
                confidence=100 / (1 + math.exp(-5 * score)),
            )
            for box, score in self._run(searched)
        ]
        return tuple(sorted(detections, key=lambda face: -face.confidence))

    @abstractmethod
    def _run(self, pixels: PixelArray) -> Iterable[tuple[Any, float]]:
        """Return the boxes of all faces, in dlib's class, and their scores."""


class HogDetector(_DlibDetector):
    """dlib's frontal face detector: histograms of gradients, five linear filters.

    For upright faces turned less than about 45 degrees; profiles and tilted heads are missed.

    References
    ----------
    King, Max-Margin Object Detection, arXiv:1502.00046.
    """

    def __init__(self) -> None:
        self._local = threading.local()  # the detector keeps scratch space: one for each thread

    @override
    def _run(self, pixels: PixelArray) -> Iterable[tuple[Any, float]]:
        if not hasattr(self._local, "detector"):
            with LOADING:
                import dlib

                self._local.detector = dlib.get_frontal_face_detector()
        boxes, scores, _ = self._local.detector.run(pixels, _UPSAMPLINGS, 0.0)
        # The margin of a linear classifier, for which the logistic is the usual link (Platt 1999). Its false alarms on
        # `groups/` score below 0.2 and clear faces 1 to 3.
        return [(box, score - 0.15) for box, score in zip(boxes, scores, strict=True)]


class DlibMmodDetector(_DlibDetector):
    """dlib's convolutional face detector, in dlib's own engine: exact and slow (over a second for 512x512).

    It detects the same faces as `facesearch.detection.mmod.MmodDetector`, except heads that lie on their side or are upside
    down: it does not rotate the picture.

    References
    ----------
    King, Max-Margin Object Detection, arXiv:1502.00046.
    """

    def __init__(self) -> None:
        self._network = DlibNetwork(FACE_DETECTOR, "cnn_face_detection_model_v1")

    @override
    def _run(self, pixels: PixelArray) -> Iterable[tuple[Any, float]]:
        with self._network.alone() as network:
            return [(found.rect, found.confidence) for found in network(pixels, _UPSAMPLINGS)]
