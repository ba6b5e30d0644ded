"""CompareFaces: the similarity of the largest face of one photo to the faces of another, without a collection."""

from collections.abc import Iterable

import attrs
import numpy as np

from facesearch.analysis.analyzer import FaceAnalyzer, analyzer_or_default
from facesearch.analysis.probe import probe
from facesearch.common.validation import check_float
from facesearch.domain.attributes import Attribute, parse_attributes
from facesearch.domain.face_detail import FaceDetail
from facesearch.images.reading import ImageSource, read_image
from facesearch.matching.calibration import calibration
from facesearch.responses.search_faces import (
    ComparedFace,
    ComparedSourceImageFace,
    CompareFacesMatch,
    CompareFacesResponse,
)
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["compare_faces"]


def compare_faces(
    source: ImageSource,
    target: ImageSource,
    *,
    similarity_threshold: float = 80,
    quality_filter: str | QualityFilter = QualityFilter.NONE,
    attributes: Iterable[str | Attribute] = (Attribute.DEFAULT, Attribute.EMOTIONS, Attribute.SMILE),
    analyzer: FaceAnalyzer | None = None,
) -> CompareFacesResponse:
    """Compare the largest face of one photo with each of the 100 largest faces of another.

    Parameters
    ----------
    source, target
        Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array.
    similarity_threshold
        Faces of at least this similarity match, percent. With 0 every face matches, so the response has every similarity.
    quality_filter
        NONE, AUTO, LOW, MEDIUM or HIGH: the filter that faces of both photos must pass. The response omits the others.
    attributes
        The attributes of each face of the target; AWS's names. The response holds DEFAULT, EMOTIONS and SMILE only; with
        ALL these and all 30 landmarks.
    analyzer
        The analyzer to use; by default that of the process.

    Returns
    -------
    CompareFacesResponse
        ``source_image_face`` is ``None`` when no face of the source passes the filter. Neither that nor an empty list of
        matches is an error.

    Raises
    ------
    ImageError
        If a picture can't be used.
    InvalidParameterError
        If another argument is wrong.
    CalibrationError
        If there is no calibration for the analyzer's vectors.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> response = compare_faces(astronaut(), astronaut()[:, ::-1])  # her mirror image
    >>> [match.similarity > 99 for match in response.face_matches], response.unmatched_faces
    ([True], ())

    References
    ----------
    Amazon Rekognition API reference, CompareFaces.
    """
    # Arguments first: a wrong one must not cost the decoding of two pictures.
    check_float("similarity_threshold", similarity_threshold, 0, 100)
    quality, asked = QualityFilter.parse(quality_filter), parse_attributes(attributes)
    analyzer = analyzer_or_default(analyzer)
    scores = analyzer.calibration or calibration(analyzer.face_model)
    pictures = read_image(source), read_image(target)
    own = probe(analyzer, pictures[0], quality, largest_only=True).probes
    others = probe(analyzer, pictures[1], quality, attributes=asked, largest_only=False).probes
    if not own:
        return CompareFacesResponse(unmatched_faces=tuple(_compared(face.detail) for face in others))
    distances = [float(np.linalg.norm(own[0].embedding - face.embedding)) for face in others]
    compared = [
        CompareFacesMatch(similarity=scores.similarity(distance), face=_compared(face.detail))
        for distance, face in zip(distances, others, strict=True)
    ]
    compared.sort(key=lambda match: -match.similarity)  # a stable sort: equally similar faces stay ordered by size
    return CompareFacesResponse(
        source_image_face=ComparedSourceImageFace(
            bounding_box=own[0].detail.bounding_box, confidence=own[0].detail.confidence
        ),
        face_matches=tuple(match for match in compared if match.similarity >= similarity_threshold),
        unmatched_faces=tuple(match.face for match in compared if match.similarity < similarity_threshold),
    )


def _compared(detail: FaceDetail) -> ComparedFace:
    return ComparedFace(**{field.name: getattr(detail, field.name) for field in attrs.fields(ComparedFace)})
