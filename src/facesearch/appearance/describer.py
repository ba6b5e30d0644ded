"""The stage that tells what faces look like: heads, eyes and gaze, composed."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
import numpy as np

from facesearch.appearance.answers import EVEN, Answers, unassessed, worded
from facesearch.appearance.eyes import EyeState, eye_patches
from facesearch.appearance.gaze import eye_direction
from facesearch.appearance.heads import FaceHeads
from facesearch.appearance.match_quality import MatchQuality
from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.common.equality import content, frozen
from facesearch.domain.attributes import Attribute, Unassessed
from facesearch.domain.face_detail import Pose
from facesearch.embedding.dlib_resnet import OnnxEmbedder
from facesearch.stages import Embedder

__all__ = ["Appearance", "Describer", "FaceDescriber", "PlacedFace", "described"]

_EYES = frozenset({Attribute.EYES_OPEN, Attribute.EYE_DIRECTION})


@attrs.frozen(kw_only=True, eq=False)
class PlacedFace:
    """Where a face is.

    Attributes
    ----------
    chip
        (150, 150, 3) uint8 RGB, the face upright.
    points
        (68, 2) xy pixels of the picture.
    pupils
        (2,) xy pixels each, the viewer's left one first.
    pose
        How the head is turned.
    chip_side
        How many pixels of the picture a side of the face's chip covers.
    """

    chip: PixelArray = attrs.field(repr=False)
    points: PointArray = attrs.field(repr=False)
    pupils: tuple[PointArray, PointArray]
    pose: Pose
    chip_side: float


@attrs.frozen(kw_only=True)
class Appearance:
    """What a face looks like.

    Attributes
    ----------
    fields
        Values of `FaceDetail`'s fields by name: of the attributes that were asked for and could be assessed.
    unassessed
        Why each of the others is absent.
    quality
        How well the face is likely to match, percent; see `Describer.assess`.
    vector
        (128,) float32: what the describer's embedder gives for the chip, where it has one.
    """

    fields: Mapping[str, Any] = attrs.field(converter=frozen)
    unassessed: Mapping[Attribute, Unassessed] = attrs.field(converter=frozen)
    quality: float | None = None
    vector: FloatArray | None = attrs.field(default=None, repr=False, eq=content)


class Describer(Protocol):
    """Tells what faces look like."""

    @property
    def embedder(self) -> Embedder | None:
        """The embedder whose vectors come with the descriptions, for free; ``None`` if there is none."""
        ...

    def describe(
        self, pixels: PixelArray, faces: Sequence[PlacedFace], asked: frozenset[Attribute]
    ) -> tuple[Appearance, ...]:
        """Describe faces.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 RGB.
        faces
            N >= 1 faces in it.
        asked
            From `facesearch.domain.attributes.parse_attributes`.

        Returns
        -------
        tuple of N Appearance
            Each depends on its own face only.
        """
        ...

    def assess(self, chips: PixelArray) -> tuple[tuple[float, ...], FloatArray]:
        """Tell how well faces are likely to match.

        Parameters
        ----------
        chips
            (N, 150, 150, 3) uint8 RGB, N >= 1.

        Returns
        -------
        tuple of N float, and ndarray of shape (N, 128)
            The chance of each to reach a similarity of 80 to another, ordinary photo of its person, percent; and the vectors of
            `embedder`, which come with it. Each depends on its own face only.
        """
        ...


class FaceDescriber:
    """Tells what faces look like, from what the embedding network saw of them and the picture around their eyes.

    Parameters
    ----------
    embedder
        What looks at the faces; its vectors come with the descriptions.
    threads
        Cores that the embedder may use where none is given, >= 1; ``None`` for all that this process may use, up to 4.
    """

    def __init__(self, embedder: OnnxEmbedder | None = None, *, threads: int | None = None) -> None:
        self._embedder = embedder or OnnxEmbedder(threads=threads)
        # Small enough that waking a second core takes longer than it saves.
        self._heads, self._eyes = FaceHeads(threads=1), EyeState(threads=1)
        self._quality = MatchQuality()

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return type(self), (self._embedder,)

    @property
    def embedder(self) -> OnnxEmbedder:
        """What looks at the faces."""
        return self._embedder

    def describe(
        self, pixels: PixelArray, faces: Sequence[PlacedFace], asked: frozenset[Attribute]
    ) -> tuple[Appearance, ...]:
        """Describe faces; see `Describer.describe`."""
        vectors, maps = self._embedder.embed_with_maps(np.stack([face.chip for face in faces]))
        answers = self._heads.read(maps)
        eyes_open = [1.0] * len(faces)
        if asked & _EYES:
            patches = np.stack([eye_patches(pixels, face.points) for face in faces])
            eyes_open = self._eyes.face_open_probability(patches).tolist()
        columns = zip(faces, answers, eyes_open, self._quality.score(maps), vectors, strict=True)
        return tuple(
            attrs.evolve(described(face, answer, is_open, asked), quality=quality, vector=vector)
            for face, answer, is_open, quality, vector in columns
        )

    def assess(self, chips: PixelArray) -> tuple[tuple[float, ...], FloatArray]:
        """Tell how well faces are likely to match; see `Describer.assess`."""
        vectors, maps = self._embedder.embed_with_maps(chips)
        return self._quality.score(maps), vectors


def described(face: PlacedFace, answers: Answers, eyes_open: float, asked: frozenset[Attribute]) -> Appearance:
    """Put what the networks say of one face into AWS's words, where it can be assessed.

    Parameters
    ----------
    face
        Where it is.
    answers
        Of the heads.
    eyes_open
        The chance that its eyes are open, 0-1.
    asked
        From `facesearch.domain.attributes.parse_attributes`.
    """
    absent = dict(unassessed(asked, answers, chip_side=face.chip_side, pose=face.pose))
    words = worded(answers, eyes_open)
    fields = dict(words[attribute] for attribute in words if attribute in asked and attribute not in absent)
    if Attribute.EYE_DIRECTION in asked and Attribute.EYE_DIRECTION not in absent:
        direction = eye_direction(face.points, *face.pupils, pose=face.pose) if eyes_open >= EVEN else None
        if direction is None:
            absent[Attribute.EYE_DIRECTION] = Unassessed.EYES_NOT_VISIBLE
        else:
            fields["eye_direction"] = direction
    return Appearance(fields=fields, unassessed=absent)
