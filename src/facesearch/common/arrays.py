"""The arrays that cross module borders: their element types."""

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "PixelArray", "PointArray"]

PixelArray = npt.NDArray[np.uint8]
PointArray = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]
