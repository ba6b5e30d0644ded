"""Photographs that come with installed packages; none is kept in this project."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import skimage.data
from PIL import Image

from facesearch.common.arrays import PixelArray

__all__ = ["astronaut", "hopper"]


def astronaut() -> PixelArray:
    """Eileen Collins, (512, 512, 3), from scikit-image."""
    photo: PixelArray = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has none
    return photo


def hopper() -> PixelArray:
    """Grace Hopper, (600, 512, 3), from matplotlib."""
    path = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
