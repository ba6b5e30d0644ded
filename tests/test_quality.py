"""Brightness and sharpness: 0-100, lower with darkness and with blur."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from facesearch.quality import measure_quality
from facesearch.stages import PixelArray
from samples import astronaut, hopper

CHIPS = [astronaut()[50:200, 150:300], hopper()[100:250, 180:330]]
chips = st.sampled_from(CHIPS)


def blurred(chip: PixelArray, radius: float) -> PixelArray:
    return np.asarray(Image.fromarray(chip).filter(ImageFilter.GaussianBlur(radius)))


@given(chips, st.floats(0, 4), st.floats(0.5, 6))
def test_more_blur_is_less_sharp(chip: PixelArray, radius: float, more: float) -> None:
    assert measure_quality(blurred(chip, radius + more)).sharpness <= measure_quality(blurred(chip, radius)).sharpness


@given(chips, st.floats(0, 1), st.floats(0, 1))
def test_less_light_is_less_bright(chip: PixelArray, one: float, other: float) -> None:
    dark, light = ((chip * factor).astype(np.uint8) for factor in sorted((one, other)))

    assert measure_quality(dark).brightness <= measure_quality(light).brightness


@given(st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_any_chip_has_percentages(seed: int, level: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    for chip in (noise, np.full((150, 150, 3), level, np.uint8)):
        quality = measure_quality(chip)
        assert 0 <= quality.brightness <= 100
        assert 0 <= quality.sharpness <= 100


def test_the_ends_of_the_scales() -> None:
    assert measure_quality(np.zeros((150, 150, 3), np.uint8)).brightness == 0
    assert measure_quality(np.full((150, 150, 3), 255, np.uint8)).brightness > 99.9
    assert measure_quality(np.full((150, 150, 3), 99, np.uint8)).sharpness == 0


@given(chips)
def test_a_mirrored_chip_is_as_bright_and_as_sharp(chip: PixelArray) -> None:
    one, other = measure_quality(chip), measure_quality(chip[:, ::-1])

    assert abs(one.brightness - other.brightness) < 1e-3
    assert abs(one.sharpness - other.sharpness) < 1
