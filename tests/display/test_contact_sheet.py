"""Sheets of faces: every face has its place, and a face without a picture a placeholder."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from facesearch.display.contact_sheet import MOST_FACES, contact_sheet, placeholder

RED = np.full((112, 112, 3), (200, 30, 30), np.uint8)


@pytest.mark.parametrize(("faces", "rows"), [(0, 0), (1, 1), (8, 1), (9, 2), (MOST_FACES + 50, MOST_FACES // 8)])
def test_a_sheet_has_eight_faces_in_a_row(faces: int, rows: int) -> None:
    sheet = contact_sheet("title", [RED] * faces)

    assert sheet.mode == "RGB"
    assert sheet.height == 38 + 120 * rows
    assert sheet.width == 8 + 120 * min(8, max(4, faces))


def test_each_face_is_at_its_place_and_another_size_is_scaled() -> None:
    large = np.full((300, 200, 3), (30, 30, 200), np.uint8)
    sheet = contact_sheet("title", [RED, None, large])

    assert sheet.getpixel((64, 86)) == (200, 30, 30)
    assert sheet.crop((128, 30, 240, 142)).tobytes() == placeholder().tobytes()
    assert sheet.getpixel((304, 86)) == (30, 30, 200)
    assert sheet.getpixel((424, 86)) == (255, 255, 255)


@given(st.text())
def test_any_title_is_drawn(title: str) -> None:
    assert contact_sheet(title, [None]).size == (488, 158)
