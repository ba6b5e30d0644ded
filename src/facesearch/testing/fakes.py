"""Stages that need no weights, for fast tests of the code around them.

They detect painted faces only: blocks on a black ground; the colour identifies the person. They pass the same contract tests as
the real stages, so a pipeline that works with them works with photographs.

Examples
--------
>>> import facesearch as fs
>>> from facesearch.testing.fakes import fake_analyzer, paint
>>> staff = fs.Collection("staff", analyzer=fake_analyzer())
>>> RED, BLUE = (200, 30, 30), (30, 30, 200)
>>> _ = staff.enroll("ada", [paint((100, 100), {(20, 20, 80, 80): RED})])
>>> photo = paint((200, 300), {(10, 10, 70, 70): RED, (150, 30, 200, 80): BLUE})
>>> response = fs.search_users_by_image(staff, photo)
>>> [match.user.user_id for match in response.user_matches], len(response.unsearched_faces)
(['ada'], 1)
"""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from typing_extensions import override

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.appearance.answers import Answers
from facesearch.appearance.describer import Appearance, Describer, PlacedFace, described
from facesearch.appearance.heads import EMOTIONS, YES_OR_NO
from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.domain.attributes import Attribute
from facesearch.domain.entities import FaceModel
from facesearch.matching.calibration import Calibration, calibration
from facesearch.stages import CHIP_PADDING, CHIP_SIZE, AlignedFace, Aligner, Detection, Detector, Embedder, Landmarker

__all__ = [
    "FAKE_MODEL",
    "FakeAligner",
    "FakeDescriber",
    "FakeDetector",
    "FakeEmbedder",
    "FakeLandmarker",
    "fake_analyzer",
    "fake_calibration",
    "paint",
]

FAKE_MODEL = FaceModel(name="painted_faces", version="0.0", digest="0" * 64, dimension=128)

Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]

_CELL = 4  # pixels: white squares between the coloured ones make a painted face as sharp as a photo


def paint(shape: tuple[int, int], faces: Mapping[Box, Colour]) -> PixelArray:
    """Paint a picture.

    Parameters
    ----------
    shape
        (height, width) in pixels.
    faces
        From the box, ``(left, top, right, bottom)`` pixels, to the person's colour, other than black and white. Boxes must
        not touch.

    Returns
    -------
    ndarray of shape (height, width, 3)
        uint8 RGB.
    """
    pixels = np.zeros((*shape, 3), np.uint8)
    for (left, top, right, bottom), colour in faces.items():
        pixels[top:bottom, left:right] = colour
        y, x = np.mgrid[: bottom - top, : right - left] // _CELL
        pixels[top:bottom, left:right][(x + y) % 2 == 1] = 255
    return pixels


class FakeDetector(Detector):
    """Detects painted faces, with confidence 100: every block that is not black."""

    @override
    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        from scipy import ndimage

        blocks, _ = ndimage.label(pixels.any(axis=2), structure=np.ones((3, 3)))
        return tuple(
            Detection(left=x.start, top=y.start, right=x.stop, bottom=y.stop, confidence=100)
            for y, x in ndimage.find_objects(blocks)
        )


class FakeAligner(Aligner):
    """Crops the box and scales it."""

    @override
    def align(self, pixels: PixelArray, detection: Detection) -> AlignedFace:
        # The face itself lies in the middle of the chip, with the padding on each side.
        face = CHIP_SIZE / (1 + 2 * CHIP_PADDING)
        scale = np.array([detection.right - detection.left, detection.bottom - detection.top]) / face
        corner = np.array([detection.left, detection.top]) - (CHIP_SIZE - face) / 2 * scale
        x, y = np.floor(corner[:, np.newaxis] + scale[:, np.newaxis] * np.arange(CHIP_SIZE)).astype(int)
        return AlignedFace(
            chip=pixels[np.clip(y, 0, len(pixels) - 1)][:, np.clip(x, 0, pixels.shape[1] - 1)],
            to_picture=np.column_stack([np.diag(scale), corner]),
        )


class FakeLandmarker(Landmarker):
    """Locates the 68 points of an upright average face in the middle of the chip."""

    @override
    def locate(self, pixels: PixelArray, face: AlignedFace) -> PointArray:  # the stage's signature
        size = CHIP_SIZE / (1 + 2 * CHIP_PADDING)
        return face.in_picture((CHIP_SIZE - size) / 2 + _AVERAGE_FACE * size)


class FakeEmbedder(Embedder):
    """Embeds a colour: the same vector for the same colour, and vectors as distant as strangers for any two others."""

    @property
    def face_model(self) -> FaceModel:
        """The model of painted faces; real vectors are refused by its collections."""
        return FAKE_MODEL

    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:  # noqa: ARG002  # the stage's signature
        """Return the chip: its colour identifies the person."""
        return face.chip

    @override
    def embed(self, chips: PixelArray) -> FloatArray:
        vectors = np.empty((len(chips), FAKE_MODEL.dimension), np.float32)
        for row, chip in enumerate(chips):
            middle = chip[CHIP_SIZE // 3 : -CHIP_SIZE // 3, CHIP_SIZE // 3 : -CHIP_SIZE // 3].reshape(-1, 3)
            coloured = middle[(middle != 255).any(axis=1) & middle.any(axis=1)]  # noqa: PLR2004  # neither white nor black
            seed = np.median(coloured, axis=0).astype(int).tolist() if len(coloured) else [0, 0, 0]
            vector = np.random.default_rng(seed).normal(size=FAKE_MODEL.dimension)
            # Two vectors of unit length in random directions are 1.41 apart, give or take 0.09.
            vectors[row] = vector / np.linalg.norm(vector)
        return vectors


class FakeDescriber(Describer):
    """Describes a painted face by its redness. Every face has match quality 100."""

    @property
    def embedder(self) -> None:
        """``None``: the descriptions come without vectors."""

    @override
    def describe(
        self,
        pixels: PixelArray,  # the stage's signature
        faces: Sequence[PlacedFace],
        asked: frozenset[Attribute],
    ) -> tuple[Appearance, ...]:
        reds = [float(face.crop[..., 0].mean()) / 255 for face in faces]
        return tuple(
            described(
                face,
                Answers(
                    chance=dict.fromkeys(YES_OR_NO, red) | {"masked": 0.0, "sunglasses": 0.0},
                    emotions={kind: red * (1 - place / len(EMOTIONS)) for place, kind in enumerate(EMOTIONS)},
                    age=(80 * red, 5.0),
                ),
                eyes_open=red,
                asked=asked,
            )
            for face, red in zip(faces, reds, strict=True)
        )

    @override
    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:
        return face.chip

    @override
    def assess(self, crops: PixelArray) -> tuple[tuple[float, ...], FloatArray]:
        return (100.0,) * len(crops), np.zeros((len(crops), FAKE_MODEL.dimension), np.float32)


def fake_calibration() -> Calibration:
    """Return a calibration for painted faces: that of the default model, without the offset for users of many photos."""
    return attrs.evolve(calibration(), face_model=FAKE_MODEL, data="nothing: painted faces", user_spread=0.0)


def fake_analyzer() -> FaceAnalyzer:
    """Return an analyzer of painted faces."""
    return FaceAnalyzer(
        detector=FakeDetector(),
        landmarker=FakeLandmarker(),
        aligner=FakeAligner(),
        embedder=FakeEmbedder(),
        describer=FakeDescriber(),
        calibration=fake_calibration(),
    )


def _average_face() -> PointArray:
    """Return 68 points of an upright, symmetric face in the unit square."""

    def arc(center: tuple[float, float], radii: tuple[float, float], degrees: np.ndarray) -> PointArray:
        angles = np.radians(degrees)
        return np.column_stack([center[0] + radii[0] * np.cos(angles), center[1] + radii[1] * np.sin(angles)])

    def line(start: tuple[float, float], stop: tuple[float, float], count: int) -> PointArray:
        return np.linspace(start, stop, count)

    eye = np.array([180.0, 240, 300, 0, 60, 120])
    return np.concatenate(
        [
            arc((0.5, 0.35), (0.48, 0.60), np.linspace(180, 0, 17)),  # jaw
            arc((0.29, 0.26), (0.14, 0.06), np.linspace(190, 350, 5)),  # brows
            arc((0.71, 0.26), (0.14, 0.06), np.linspace(190, 350, 5)),
            line((0.5, 0.35), (0.5, 0.55), 4),  # nose
            line((0.41, 0.61), (0.59, 0.61), 5),
            arc((0.31, 0.35), (0.07, 0.025), eye),  # eyes
            arc((0.69, 0.35), (0.07, 0.025), eye),
            arc((0.5, 0.74), (0.16, 0.05), np.arange(180, 540, 30.0)),  # mouth, outside and inside
            arc((0.5, 0.74), (0.12, 0.02), np.arange(180, 540, 45.0)),
        ]
    )


_AVERAGE_FACE = _average_face()
