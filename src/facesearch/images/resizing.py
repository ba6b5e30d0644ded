"""Resize pictures for the detectors."""

import math
from typing import TYPE_CHECKING

import numpy as np

from facesearch.common.arrays import PixelArray, PointArray

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["cropped", "reduced", "scaled"]


def reduced(pixels: PixelArray, most_pixels: float) -> PixelArray:
    """Return a picture of (H, W, 3) uint8 reduced to about *most_pixels* at most; smaller ones unchanged, but contiguous."""
    scale = math.sqrt(most_pixels / (pixels.shape[0] * pixels.shape[1]))
    return np.ascontiguousarray(pixels) if scale >= 1 else np.asarray(scaled(pixels, scale))


def scaled(pixels: PixelArray, scale: float) -> "PIL.Image.Image":
    """Return a picture of (H, W, 3) uint8 resized to *scale* times its sides, in whole pixels and at least one."""
    from PIL import Image

    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def cropped(pixels: PixelArray, centre: PointArray, half: float, side: int, *, beyond: int | None = None) -> PixelArray:
    """Return the square around *centre* (xy), from *half* before it to *half* behind it, resized to *side* pixels.

    Beyond the picture of (H, W, 3) uint8 its edge is repeated, or everything is *beyond*, 0-255.
    """
    from PIL import Image

    start, end = np.floor(centre - half).astype(int), np.ceil(centre + half).astype(int)
    columns, rows = (np.arange(first, last) for first, last in zip(start, end, strict=True))
    inside = [each.clip(0, most - 1) for each, most in ((rows, pixels.shape[0]), (columns, pixels.shape[1]))]
    part = pixels[inside[0][:, None], inside[1]]
    if beyond is not None:
        part[rows != inside[0]] = beyond
        part[:, columns != inside[1]] = beyond
    (left, top), (right, bottom) = centre - half - start, centre + half - start
    around = Image.fromarray(part)
    return np.asarray(
        around.resize((side, side), Image.Resampling.BILINEAR, (left, top, right, bottom), reducing_gap=2.0)
    )
