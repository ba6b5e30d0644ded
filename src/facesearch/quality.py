"""How bright and how sharp a face is, measured on its chip, so that photos of any size can be compared."""

import numpy as np

from facesearch.face import ImageQuality
from facesearch.stages import CHIP_PADDING, CHIP_SIZE, PixelArray

__all__ = ["measure_quality"]

# ITU-R BT.601: how much each of red, green and blue adds to what the eye sees as bright.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


# What blur_effect gives, in a window of 11 px, for a face whose detail is gone (a Gaussian of 8 px on the chip: 0.91) and
# for the crispest faces in `people/`, `photos/` and `groups/` (0.37 to 0.40).
_BLUR_WINDOW = 11
_BLUR_OF_NOTHING, _BLUR_OF_DETAIL = 0.92, 0.40


def measure_quality(chip: PixelArray) -> ImageQuality:
    """Measure one face.

    Parameters
    ----------
    chip
        (150, 150, 3) uint8 RGB.

    Returns
    -------
    ImageQuality
        ``brightness``: mean luma of the face, 0 black to 100 white. ``sharpness``: 0 for a face without any detail at
        the chip's scale to 100; more blur gives less.

    References
    ----------
    Crete et al., "The blur effect", SPIE 6492 (2007), doi:10.1117/12.702790, as in ``skimage.measure.blur_effect``.
    """
    from skimage.measure import blur_effect

    border = round(CHIP_SIZE * CHIP_PADDING / (1 + 2 * CHIP_PADDING))
    luma = chip[border:-border, border:-border] @ _LUMA
    brightness = float(luma.mean()) / 255 * 100
    blur = float(blur_effect(luma / 255, h_size=_BLUR_WINDOW))  # type: ignore[no-untyped-call]  # scikit-image has none
    sharpness = 100 * (_BLUR_OF_NOTHING - blur) / (_BLUR_OF_NOTHING - _BLUR_OF_DETAIL)
    return ImageQuality(brightness=min(brightness, 100.0), sharpness=min(max(sharpness, 0.0), 100.0))
