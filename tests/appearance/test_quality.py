"""Brightness and sharpness: 0-100, lower with darkness and with blur, the same for a photo of any size and for any skin."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

import facesearch as fs
from facesearch.appearance import image_quality
from facesearch.appearance.image_quality import measure_quality
from facesearch.benchmark import blurred, shrunk
from facesearch.common.arrays import PixelArray
from samples import astronaut, hopper

CHIPS = [astronaut()[50:200, 150:300], hopper()[100:250, 180:330]]
chips = st.sampled_from(CHIPS)


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


@pytest.mark.parametrize("photo", [astronaut, hopper])
def test_the_same_photo_is_as_bright_and_as_sharp_at_any_size(
    photo: Callable[[], PixelArray], real: fs.FaceAnalyzer
) -> None:
    pixels = blurred(photo(), 3)  # so that the smaller one can show what the larger one does
    here = real.locate(pixels)[0].measurements
    larger = np.asarray(Image.fromarray(pixels).resize((1024, 2 * len(pixels)), Image.Resampling.BICUBIC))
    for other in (shrunk(pixels, 0.6), larger):
        there = real.locate(other)[0].measurements
        assert there.sharpness == pytest.approx(here.sharpness, abs=6)
        assert there.brightness == pytest.approx(here.brightness, abs=4)


@given(chips, st.floats(0.3, 1))
def test_a_darker_skin_is_no_darker_photo(chip: PixelArray, reflects: float) -> None:
    # The face without its brightest spots, such as the whites of the eyes and the shine of the skin.
    luma = chip @ np.array([0.299, 0.587, 0.114])
    skin = luma < np.percentile(luma, 85)
    darker = chip.copy()
    darker[skin] = (darker[skin] * reflects).astype(np.uint8)

    assert measure_quality(darker).brightness == pytest.approx(measure_quality(chip).brightness, abs=3)


def test_blur_is_told_in_pixels_of_the_chip_nearly() -> None:
    edge = np.zeros((150, 150, 3), np.uint8)
    edge[:, 75:] = 200
    for sigma in (2, 4, 6):
        assert measure_quality(blurred(edge, sigma)).sharpness == pytest.approx(100 / (1 + (sigma / 4) ** 2), abs=9)


@given(st.integers(0, 2**16), st.floats(0.4, 4), st.integers(30, 60), st.integers(30, 60))
def test_blur_is_scipys(seed: int, sigma: float, height: int, width: int) -> None:
    luma = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    ours, theirs = image_quality._blurred(luma, sigma), gaussian_filter(luma, sigma, radius=round(3 * sigma))

    assert np.abs(ours - theirs).max() < 1e-3
