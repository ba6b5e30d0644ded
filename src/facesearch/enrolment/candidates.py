"""What a photo offers a collection: the faces to keep, with all that decides about them, and none of its pixels.

Looking and deciding are two steps: a look is made wherever there is a core free, pickles to a few kilobytes, and is judged where
the collection is.
"""

from collections.abc import Sequence

import attrs
from attrs import field

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.analysis.faces import AnalyzedFace, LocatedFace
from facesearch.analysis.probe import probe
from facesearch.common.arrays import FloatArray
from facesearch.common.validation import is_a, tuple_of
from facesearch.domain.entities import FaceModel
from facesearch.domain.face_detail import DetectedFace
from facesearch.domain.reasons import EnrollmentReason
from facesearch.images.reading import Picture
from facesearch.images.thumbnails import thumbnail
from facesearch.selection.evidence import Evidence
from facesearch.selection.explanation import Use
from facesearch.selection.face_selection import select, several_faces
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["KeptFace", "Look", "look_to_enroll", "look_to_index"]


@attrs.frozen(kw_only=True, eq=False)
class KeptFace:
    """One face, as a collection keeps it.

    Attributes
    ----------
    detail
        Where it is in its photo, and what it looks like.
    embedding
        (D,) float32.
    thumbnail
        A small JPEG of it, where one was asked for.
    """

    detail: DetectedFace = field(validator=is_a(DetectedFace))
    embedding: FloatArray = field(repr=False)
    thumbnail: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, face: AnalyzedFace, *, thumbnails: bool) -> "KeptFace":
        """Take from a face what is kept of it."""
        small = thumbnail(face.chip) if thumbnails else None
        return cls(detail=face.detail, embedding=face.embedding, thumbnail=small)


@attrs.frozen(kw_only=True, eq=False)
class Look:
    """What a photo offers.

    Attributes
    ----------
    digest
        Hex SHA-256 that names its content, see `facesearch.images.reading.Picture.digest`.
    face_model
        What made the vectors.
    faces
        Those that pass, largest first; to enrol at most one.
    reasons
        Why there is none to enrol.
    evidence
        What was measured of every face.
    """

    digest: str = field(validator=is_a(str))
    face_model: FaceModel = field(validator=is_a(FaceModel))
    faces: tuple[KeptFace, ...] = field(default=(), validator=tuple_of(KeptFace))
    reasons: tuple[EnrollmentReason, ...] = field(default=(), validator=tuple_of(EnrollmentReason))
    evidence: Evidence = field(validator=is_a(Evidence), repr=False)


def look_to_enroll(
    analyzer: FaceAnalyzer, picture: Picture, quality_filter: QualityFilter, *, thumbnails: bool
) -> Look:
    """Look for the one face that a photo of a user must show: its largest, if that passes."""
    bars = analyzer.bars.of(quality_filter)
    located = analyzer.locate(picture)
    # Only the largest counts: a smaller face that passes where the largest does not is likely somebody else's.
    located = (*analyzer.assess(located[:1], bars), *located[1:])
    reasons: list[EnrollmentReason] = []
    if not located:
        reasons.append(EnrollmentReason.NO_FACE)
    elif several_faces([face.measurements.area for face in located]):
        reasons.append(EnrollmentReason.SEVERAL_FACES)
    refused = select([face.measurements for face in located[:1]], bars).refused
    reasons += [EnrollmentReason(reason.value) for _, faults in refused for reason in faults]
    kept = () if reasons else analyzer.embed(located[:1])
    return Look(
        digest=picture.digest,
        face_model=analyzer.face_model,
        faces=tuple(KeptFace.of(face, thumbnails=thumbnails) for face in kept),
        reasons=tuple(reasons),
        evidence=_evidence(analyzer, picture, quality_filter, located, Use.ENROLLED),
    )


def look_to_index(analyzer: FaceAnalyzer, picture: Picture, quality_filter: QualityFilter, *, thumbnails: bool) -> Look:
    """Look for all faces of a photo that pass, whoever they are."""
    probing = probe(analyzer, picture, quality_filter)
    return Look(
        digest=picture.digest,
        face_model=analyzer.face_model,
        faces=tuple(KeptFace.of(face, thumbnails=thumbnails) for face in probing.probes),
        evidence=_evidence(analyzer, picture, quality_filter, probing.located, Use.INDEXED),
    )


def _evidence(
    analyzer: FaceAnalyzer, picture: Picture, quality_filter: QualityFilter, faces: Sequence[LocatedFace], use: Use
) -> Evidence:
    size = (picture.width, picture.height)
    return Evidence.of(faces, size, use=use, quality_filter=quality_filter, filter_bars=analyzer.bars)
