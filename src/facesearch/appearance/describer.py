"""Describe faces: attributes, eyes, gaze and match quality, composed to one stage."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
import numpy as np
from typing_extensions import override

from facesearch.appearance.answers import EVEN, Answers, unassessed, worded
from facesearch.appearance.eyes import EyeState, eye_patches
from facesearch.appearance.gaze import eye_direction
from facesearch.appearance.heads import FaceHeads
from facesearch.appearance.match_quality import MatchQuality
from facesearch.common.arrays import FloatArray, PixelArray, PointArray
from facesearch.common.equality import content, frozen
from facesearch.domain.attributes import Attribute, Unassessed
from facesearch.domain.face_detail import Pose
from facesearch.embedding.mapped import MappedEmbedder
from facesearch.embedding.sface import SFaceEmbedder
from facesearch.networks.weights import DLIB_FACE_HEADS, DLIB_FACE_QUALITY, FACE_ATTRIBUTES, FACE_QUALITY
from facesearch.stages import AlignedFace, Embedder

__all__ = ["Appearance", "Describer", "FaceDescriber", "PlacedFace", "described"]

_EYES = frozenset({Attribute.EYES_OPEN, Attribute.EYE_DIRECTION})


@attrs.frozen(kw_only=True, eq=False)
class PlacedFace:
    """Location and pose of a face.

    Attributes
    ----------
    crop
        From `Describer.cut`: uint8 RGB, the face upright.
    points
        (68, 2) or (70, 2) xy pixels of the picture.
    pupils
        (2,) xy pixels each, the viewer's left one first.
    pose
        Pose of the head.
    chip_side
        Pixels of the picture that a side of the face's chip covers.
    """

    crop: PixelArray = attrs.field(repr=False)
    points: PointArray = attrs.field(repr=False)
    pupils: tuple[PointArray, PointArray]
    pose: Pose
    chip_side: float


@attrs.frozen(kw_only=True)
class Appearance:
    """Description of a face.

    Attributes
    ----------
    fields
        Values of `FaceDetail`'s fields by name, for the attributes requested that could be assessed.
    unassessed
        Reason why each of the others is absent.
    quality
        Match quality, percent; see `Describer.assess`.
    vector
        (128,) float32: vector of the face from the describer's embedder, where it has one.
    """

    fields: Mapping[str, Any] = attrs.field(converter=frozen)
    unassessed: Mapping[Attribute, Unassessed] = attrs.field(converter=frozen)
    quality: float | None = None
    vector: FloatArray | None = attrs.field(default=None, repr=False, eq=content)


class Describer(Protocol):
    """Describes faces."""

    @property
    def embedder(self) -> Embedder | None:
        """The embedder that computes vectors in the same pass as the descriptions; ``None`` if there is none."""
        ...

    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:
        """Crop what a face is described from, as `facesearch.stages.Embedder.cut` does.

        Not called where the analyzer embeds with `embedder`: then the embedder's crop serves both.
        """
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

    def assess(self, crops: PixelArray) -> tuple[tuple[float, ...], FloatArray]:
        """Predict the match quality of faces.

        Parameters
        ----------
        crops
            (N, h, w, 3) uint8 RGB, N >= 1, from `cut`.

        Returns
        -------
        tuple of N float, and ndarray of shape (N, 128)
            The probability of each face to reach a similarity of 80 to another, ordinary photo of the same person, percent; and the
            vectors of `embedder`, from the same pass. Each depends on its own face only.
        """
        ...


class FaceDescriber(Describer):
    """Describes faces from the feature maps of the embedding network and the picture around the eyes.

    Parameters
    ----------
    embedder
        Computes feature maps and vectors; ``None`` for SFace. `facesearch.embedding.dlib_resnet.OnnxEmbedder` has heads of its own.
    threads
        Cores that the embedder may use where none is given, >= 1; ``None`` for all that this process may use, up to 4.
    """

    def __init__(self, embedder: MappedEmbedder | None = None, *, threads: int | None = None) -> None:
        self._embedder = embedder or SFaceEmbedder(threads=threads)
        sface = isinstance(self._embedder, SFaceEmbedder)
        # So small that waking a second core takes longer than it saves.
        self._heads = FaceHeads(FACE_ATTRIBUTES if sface else DLIB_FACE_HEADS, threads=1)
        self._eyes = EyeState(threads=1)
        self._quality = MatchQuality(FACE_QUALITY if sface else DLIB_FACE_QUALITY)

    def __reduce__(self) -> tuple[Any, ...]:  # pickled as its settings: a worker process loads the weights itself
        return type(self), (self._embedder,)

    @property
    def embedder(self) -> MappedEmbedder:
        """The embedder that computes feature maps and vectors."""
        return self._embedder

    @override
    def describe(
        self, pixels: PixelArray, faces: Sequence[PlacedFace], asked: frozenset[Attribute]
    ) -> tuple[Appearance, ...]:
        vectors, maps = self._embedder.embed_with_maps(np.stack([face.crop for face in faces]))
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

    @override
    def cut(self, pixels: PixelArray, face: AlignedFace, points: PointArray) -> PixelArray:
        return self._embedder.cut(pixels, face, points)

    @override
    def assess(self, crops: PixelArray) -> tuple[tuple[float, ...], FloatArray]:
        vectors, maps = self._embedder.embed_with_maps(crops)
        return self._quality.score(maps), vectors


def described(face: PlacedFace, answers: Answers, eyes_open: float, asked: frozenset[Attribute]) -> Appearance:
    """Convert the predictions for one face to AWS's attributes, where they can be assessed.

    Parameters
    ----------
    face
        Its location and pose.
    answers
        Predictions of the heads.
    eyes_open
        The probability that its eyes are open, 0-1.
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
