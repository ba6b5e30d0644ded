"""How people see colours, for tests of pictures."""

import numpy as np
from skimage.color import rgb2lab

from facesearch.common.arrays import PointArray

__all__ = ["EYES", "contrast", "seen_by"]

# Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009), doi:10.1109/TVCG.2009.113: severity 1, on linear RGB.
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> PointArray:
    """Give a colour, ``#rrggbb``, as (3,) linear RGB, 0-1."""
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen_by(eyes: str, colour: str) -> PointArray:
    """Give a colour, ``#rrggbb``, as eyes of one kind see it: (3,) CIELAB."""
    values = np.clip(np.array(EYES[eyes]) @ linear(colour), 0, 1)
    shown = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    lab: PointArray = rgb2lab(shown[np.newaxis, np.newaxis])[0, 0]
    return lab


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, ``#rrggbb``, by WCAG 2: 1 to 21."""
    light, dark = sorted((float(linear(each) @ (0.2126, 0.7152, 0.0722)) for each in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
