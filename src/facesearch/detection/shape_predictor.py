"""Run dlib's shape predictors, each loaded once per process. No dlib object leaves the stages."""

from typing import Any

from facesearch.common.arrays import PixelArray
from facesearch.common.once import once
from facesearch.networks.weights import WeightFile, read_weights
from facesearch.stages import Detection

__all__ = ["predict_shape"]


def predict_shape(file: WeightFile, pixels: PixelArray, detection: Detection) -> Any:
    """Return dlib's ``full_object_detection`` of a face in (H, W, 3) uint8 RGB, upright, by the shape predictor *file*."""
    predictor = _loaded(file)
    import dlib

    # dlib's right and bottom belong to the box.
    left, top = round(detection.left), round(detection.top)
    box = dlib.rectangle(left, top, round(detection.right) - 1, round(detection.bottom) - 1)
    return predictor(pixels, box)


@once
def _loaded(file: WeightFile) -> Any:
    # Shared between threads: predicting is a ``const`` method that writes to nothing but its own locals, and a copy for each thread
    # would cost 100 MB.
    import dlib

    # From bytes, in the format of dlib's files. On an object that was initialised, the method would do nothing.
    predictor = dlib.shape_predictor.__new__(dlib.shape_predictor)
    predictor.__setstate__((read_weights(file),))
    return predictor
