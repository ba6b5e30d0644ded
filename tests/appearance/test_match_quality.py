"""How well a face will match: worse photos score lower, and the score does not depend on how it was asked for."""

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import facesearch as fs
from facesearch.appearance.match_quality import MatchQuality, features
from facesearch.benchmark import blurred, covered, darkened
from facesearch.common.arrays import PixelArray
from facesearch.embedding.mapped import FeatureMaps
from facesearch.networks.weights import DLIB_FACE_QUALITY, FACE_QUALITY
from samples import astronaut, hopper

MEASURED = {"astronaut": astronaut, "hopper": hopper}
ANYTHING = fs.QualityBars(
    min_size=0, min_confidence=0, min_brightness=0, min_sharpness=0, max_yaw=180, max_pitch_up=180, max_pitch_down=180
)
noise = st.integers(0, 2**32 - 1)


SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "sface": {"maps": (1792, 7, 7)},
    "dlib": {"fine": (64, 2, 2), "middle": (128, 8, 8), "coarse": (256, 2, 2)},
}
FILES = {"sface": FACE_QUALITY, "dlib": DLIB_FACE_QUALITY}


def maps_of(network: str, seed: int, faces: int, views: int = 2) -> FeatureMaps:
    rng = np.random.default_rng(seed)
    arrays = {
        name: rng.normal(0, 1, (views * faces, *shape)).astype(np.float32) for name, shape in SHAPES[network].items()
    }
    return FeatureMaps(arrays=arrays, views=views)


@pytest.mark.parametrize(("network", "size"), [("sface", 1792), ("dlib", 384)])
@settings(max_examples=10, deadline=None)
@given(noise, st.integers(1, 4), st.sampled_from([1, 2]))
def test_scores_are_percentages_face_by_face(network: str, size: int, seed: int, faces: int, views: int) -> None:
    maps, score = maps_of(network, seed, faces, views), MatchQuality(FILES[network]).score
    scores = score(maps)
    first = slice(0, None, faces)
    alone = FeatureMaps(arrays={name: values[first] for name, values in maps.arrays.items()}, views=views)

    assert len(scores) == faces
    assert all(0 <= each <= 100 for each in scores)
    assert score(alone) == pytest.approx(scores[:1])
    assert features(maps).shape == (faces, size)


def quality(real: fs.FaceAnalyzer, pixels: PixelArray, attributes: tuple[str, ...] = ("DEFAULT",)) -> float:
    located = real.locate(pixels, attributes=attributes)
    (face,) = real.assess(located[:1], ANYTHING)
    assert face.measurements.quality is not None
    return face.measurements.quality


@pytest.mark.parametrize("name", MEASURED)
def test_what_is_made_worse_scores_lower(name: str, real: fs.FaceAnalyzer) -> None:
    photo = MEASURED[name]()
    box = fs.detect_faces(photo)[0].bounding_box
    side = min(box.width * photo.shape[1], box.height * photo.shape[0])
    good = quality(real, photo)

    assert good > 90
    for a_little, much in (
        (blurred(photo, 0.025 * side), blurred(photo, 0.05 * side)),
        (darkened(photo, 0.008), darkened(photo, 0.005)),
        (covered(photo, box, 0.2), covered(photo, box, 0.4)),
    ):
        # A hundredth of the light costs a clear face next to nothing.
        assert good + 2 > quality(real, a_little) > quality(real, much)


def test_it_is_the_same_whatever_else_is_asked(real: fs.FaceAnalyzer) -> None:
    assert quality(real, astronaut()) == pytest.approx(quality(real, astronaut(), ("ALL",)), abs=1e-3)


def test_only_faces_that_pass_everything_else_are_assessed(real: fs.FaceAnalyzer) -> None:
    located = real.locate(astronaut())
    sharper_than_any = attrs.evolve(ANYTHING, min_sharpness=100)

    assert real.assess(located, None) == located
    assert real.assess((), ANYTHING) == ()
    assert all(face.measurements.quality is not None for face in real.assess(located, ANYTHING))
    assert all(face.measurements.quality is None for face in real.assess(located, sharper_than_any))


@pytest.mark.weights
def test_a_mirrored_face_matches_as_well_where_vectors_are_of_both_views(astronauts_chips: PixelArray) -> None:
    quality = MatchQuality(FACE_QUALITY)
    both = fs.SFaceEmbedder(threads=1, mirrored=True)
    here, there = (both.embed_with_maps(chips)[1] for chips in (astronauts_chips, astronauts_chips[:, :, ::-1]))

    assert quality.score(here) == pytest.approx(quality.score(there), abs=1e-3)


@pytest.fixture
def astronauts_chips(real: fs.FaceAnalyzer) -> PixelArray:
    return np.stack([face.probe for face in real.locate(astronaut())])
