"""The candidate faces of a photo: the faces to store, with the evidence for judging them, and without the photo's pixels.

Analysis and judgement are two steps. A photo is analyzed in any thread or process; the result pickles to a few kilobytes and is
judged in the process of the collection.
"""

import attrs
from attrs import field

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.analysis.faces import AnalyzedFace
from facesearch.analysis.probe import probe
from facesearch.common.arrays import FloatArray
from facesearch.domain.attributes import Attribute
from facesearch.domain.entities import FaceModel
from facesearch.domain.face_detail import DetectedFace
from facesearch.domain.reasons import EnrollmentReason, UnsearchedFaceReason
from facesearch.images.reading import Picture
from facesearch.images.thumbnails import thumbnail
from facesearch.selection.evidence import Evidence
from facesearch.selection.explanation import Use
from facesearch.selection.face_selection import select, several_faces
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["CandidateFace", "PhotoAnalysis", "analyze_to_enroll", "analyze_to_index"]


@attrs.frozen(kw_only=True, eq=False)
class CandidateFace:
    """One face, as a collection stores it: its description, its vector, (D,) float32, and on request a thumbnail as JPEG."""

    detail: DetectedFace
    embedding: FloatArray = field(repr=False)
    thumbnail: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, face: AnalyzedFace, *, thumbnails: bool) -> "CandidateFace":
        """Return the candidate of an analyzed face."""
        small = thumbnail(face.chip) if thumbnails else None
        return cls(detail=face.detail, embedding=face.embedding, thumbnail=small)


@attrs.frozen(kw_only=True, eq=False)
class PhotoAnalysis:
    """The candidate faces of a photo."""

    digest: str  # `facesearch.images.reading.Picture.digest`
    face_model: FaceModel
    # Those that passed, largest first; to enrol at most one, or the reasons why there is none.
    faces: tuple[CandidateFace, ...] = ()
    reasons: tuple[EnrollmentReason, ...] = ()
    # Of a photo to index, the positions in the evidence of the faces that did not pass.
    refused: tuple[tuple[int, tuple[UnsearchedFaceReason, ...]], ...] = ()
    evidence: Evidence = field(repr=False)


def analyze_to_enroll(
    analyzer: FaceAnalyzer, picture: Picture, quality_filter: QualityFilter, *, thumbnails: bool
) -> PhotoAnalysis:
    """Return the largest face of a photo as the candidate to enrol, if it passes."""
    bars = analyzer.bars.of(quality_filter)
    located = analyzer.locate(picture)
    # Only the largest counts: a smaller face that passes where the largest fails is likely another person.
    located = (*analyzer.assess(located[:1], bars), *located[1:])
    reasons: list[EnrollmentReason] = []
    if not located:
        reasons.append(EnrollmentReason.NO_FACE)
    elif several_faces([face.measurements.area for face in located]):
        reasons.append(EnrollmentReason.SEVERAL_FACES)
    refused = select([face.measurements for face in located[:1]], bars).refused
    reasons += [EnrollmentReason(reason.value) for _, faults in refused for reason in faults]
    kept = () if reasons else analyzer.embed(located[:1])
    return PhotoAnalysis(
        digest=picture.digest,
        face_model=analyzer.face_model,
        faces=tuple(CandidateFace.of(face, thumbnails=thumbnails) for face in kept),
        reasons=tuple(reasons),
        evidence=Evidence.of(
            located,
            (picture.width, picture.height),
            use=Use.ENROLLED,
            quality_filter=quality_filter,
            filter_bars=analyzer.bars,
        ),
    )


def analyze_to_index(
    analyzer: FaceAnalyzer,
    picture: Picture,
    quality_filter: QualityFilter,
    *,
    thumbnails: bool,
    attributes: frozenset[Attribute] = frozenset(),
    max_faces: int | None = None,
) -> PhotoAnalysis:
    """Return all faces of a photo that pass as candidates to index, or the *max_faces* largest of them."""
    probing = probe(analyzer, picture, quality_filter, attributes=attributes, max_faces=max_faces, use=Use.INDEXED)
    return PhotoAnalysis(
        digest=picture.digest,
        face_model=analyzer.face_model,
        faces=tuple(CandidateFace.of(face, thumbnails=thumbnails) for face in probing.probes),
        refused=probing.selection.refused,
        evidence=probing.evidence,
    )
