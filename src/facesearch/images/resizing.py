"""Resize pictures for the detectors."""

import math
from typing import TYPE_CHECKING

import numpy as np

from facesearch.common.arrays import PixelArray

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["reduced", "scaled"]


def reduced(pixels: PixelArray, most_pixels: float) -> PixelArray:
    """Return a picture of (H, W, 3) uint8 reduced to about *most_pixels* at most; smaller ones unchanged, but contiguous."""
    scale = math.sqrt(most_pixels / (pixels.shape[0] * pixels.shape[1]))
    return np.ascontiguousarray(pixels) if scale >= 1 else np.asarray(scaled(pixels, scale))


def scaled(pixels: PixelArray, scale: float) -> "PIL.Image.Image":
    """Return a picture of (H, W, 3) uint8 resized to *scale* times its sides, in whole pixels and at least one."""
    from PIL import Image

    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
