"""Each reason comes from a real photograph made worse in one way, alone, and from search, indexing and enrolment alike."""

import os
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
from PIL import Image

import facesearch as fs
from facesearch.benchmark import blurred, compressed, covered, darkened, shrunk
from facesearch.common.arrays import PixelArray
from facesearch.selection.quality_filter import SHIPPED_BARS
from samples import astronaut, hopper

DATA = Path(os.environ.get("FACESEARCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


def below_covered(photo: PixelArray, share: float) -> PixelArray:
    box = fs.detect_faces(photo)[0].bounding_box
    return covered(photo, box, share)


def turned(name: str) -> PixelArray:
    if not (DATA / name).is_file():
        pytest.skip(f"no photograph {DATA / name}: set FACESEARCH_DATA")
    with Image.open(DATA / name) as image:
        return np.asarray(image.convert("RGB"))


WORSE: dict[str, tuple[str, str, Callable[[], PixelArray]]] = {
    "dark": ("LOW_BRIGHTNESS", "MEDIUM", lambda: darkened(hopper(), 0.006)),
    "blurred": ("LOW_SHARPNESS", "MEDIUM", lambda: blurred(hopper(), 6)),
    "blurred much": ("LOW_SHARPNESS", "LOW", lambda: blurred(hopper(), 9)),
    "small": ("SMALL_BOUNDING_BOX", "HIGH", lambda: shrunk(astronaut(), 0.42)),
    "mostly covered": ("LOW_CONFIDENCE", "HIGH", lambda: below_covered(hopper(), 0.55)),
    "half covered": ("LOW_FACE_QUALITY", "MEDIUM", lambda: below_covered(hopper(), 0.45)),
    "compressed": ("LOW_FACE_QUALITY", "LOW", lambda: compressed(shrunk(astronaut(), 0.6), 5)),
    "looks aside": ("EXTREME_POSE", "HIGH", lambda: turned("landmarks106/images/000671.jpg")),
    "looks up": ("EXTREME_POSE", "HIGH", lambda: turned("landmarks106/images/000503.jpg")),
    "looks down": ("EXTREME_POSE", "HIGH", lambda: turned("landmarks106/images/000482.jpg")),
}


STRICT_PITCH = attrs.evolve(SHIPPED_BARS, high=attrs.evolve(SHIPPED_BARS.high, max_pitch_up=25, max_pitch_down=20))


@pytest.mark.parametrize("worse", WORSE)
def test_each_way_of_getting_worse_has_its_reason(worse: str, real: fs.FaceAnalyzer) -> None:
    reason, quality_filter, make = WORSE[worse]
    photo = make()
    # Of 7,000 photographs one looks down by more than the shipped 30 degrees, and that one is covered too.
    analyzer = attrs.evolve(real, bars=STRICT_PITCH) if worse in {"looks up", "looks down"} else real
    staff = fs.Collection("staff", analyzer=analyzer)
    searched = fs.search_users_by_image(staff, photo, quality_filter=quality_filter)
    indexed = staff.index_faces(photo, quality_filter=quality_filter)
    enrolled = staff.enroll("ada", [photo], quality_filter=quality_filter)

    assert [each.value for each in searched.unsearched_faces[0].reasons] == [reason]
    assert [each.value for each in indexed.unindexed_faces[0].reasons] == [reason]
    assert [each.value for each in enrolled.photos[0].reasons] == [reason]
    assert searched.searched_face is None
    assert enrolled.user is None
    figures = [response.explain().faces[0].figures() for response in (searched, indexed, enrolled)]
    assert figures[0] == figures[1] == figures[2]
    assert " wanted" in dict(figures[0])[reason]
    assert fs.search_users_by_image(staff, photo).searched_face is not None  # NONE rejects nothing


@pytest.mark.parametrize("photo", [astronaut, hopper])
def test_a_good_photo_passes_every_filter(photo: Callable[[], PixelArray], real: fs.FaceAnalyzer) -> None:
    staff = fs.Collection("staff", analyzer=real)
    for quality_filter in fs.QualityFilter:
        assert fs.search_users_by_image(staff, photo(), quality_filter=quality_filter).searched_face is not None


def test_the_smaller_of_two_faces_is_not_the_largest(real: fs.FaceAnalyzer) -> None:
    both = np.hstack([astronaut(), hopper()[:512]])
    response = fs.search_users_by_image(fs.Collection("staff", analyzer=real), both, quality_filter="HIGH")

    assert [[each.value for each in face.reasons] for face in response.unsearched_faces] == [["FACE_NOT_LARGEST"]]


def test_of_more_than_a_hundred_faces_the_smallest_exceed(real: fs.FaceAnalyzer) -> None:
    face = hopper()[60:320, 130:390]  # one head, framed by the dark around it
    tile = np.pad(shrunk(face, 0.4), ((8, 8), (8, 8), (0, 0)), mode="edge")
    crowd = np.vstack([np.hstack([tile] * 13)] * 8)
    response = fs.search_users_by_image(fs.Collection("staff", analyzer=real), crowd)
    exceeding = [
        face for face in response.unsearched_faces if fs.UnsearchedFaceReason.EXCEEDS_MAX_FACES in face.reasons
    ]

    assert len(response.unsearched_faces) == 13 * 8 - 1
    assert len(exceeding) == 13 * 8 - 100
    assert sum(face.reasons == (fs.UnsearchedFaceReason.FACE_NOT_LARGEST,) for face in response.unsearched_faces) == 99
