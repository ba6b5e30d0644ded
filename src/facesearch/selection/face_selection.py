"""Which of the detected faces is searched, which are indexed, and why the others are not.

Pure rules over measurements: no picture, no model. The order is fixed. First the 100 largest faces are kept, as AWS does;
then the quality filter; then the largest face that is left is the one to search.
"""

import math
from collections.abc import Sequence
from typing import Final

import attrs

from facesearch.domain.reasons import UnsearchedFaceReason
from facesearch.selection.checks import quality_reasons
from facesearch.selection.quality_filter import FaceMeasurements, QualityBars

__all__ = ["LARGEST_FACES", "RIVAL_AREA", "Selection", "by_size", "select", "several_faces"]

LARGEST_FACES: Final = 100  # AWS looks at the 100 largest faces of an image (Amazon Rekognition quotas)
# A second face of at least this part of the largest one's area may be the one that is meant; our own choice. Of the 100 photos
# in data/people 7 show a second face, and 2 one that large (benchmarks/auditing.py).
RIVAL_AREA: Final = 0.5


@attrs.frozen(kw_only=True)
class Selection:
    """How a photo's faces part.

    Attributes
    ----------
    accepted
        Positions of the faces that are to be used, largest first.
    refused
        Positions of the others, in the order given, each with its reasons.
    """

    accepted: tuple[int, ...]
    refused: tuple[tuple[int, tuple[UnsearchedFaceReason, ...]], ...]


def by_size(faces: Sequence[FaceMeasurements]) -> tuple[int, ...]:
    """Give the positions of faces, largest first.

    Larger is the larger unclipped box area in pixels; then the surer face; then the earlier one.
    """
    return tuple(sorted(range(len(faces)), key=lambda i: (-faces[i].area, -faces[i].confidence, i)))


def several_faces(areas: Sequence[float]) -> bool:
    """Tell whether it can't be known which face of a photo is meant.

    Parameters
    ----------
    areas
        Of the faces' boxes, largest first, in any one unit.

    Examples
    --------
    >>> several_faces([100.0, 49.0]), several_faces([100.0, 50.0])
    (False, True)
    """
    return len(areas) > 1 and areas[1] >= RIVAL_AREA * areas[0]


def select(
    faces: Sequence[FaceMeasurements],
    bars: QualityBars | None,
    *,
    max_faces: int | None = None,
    largest_only: bool = False,
) -> Selection:
    """Part the faces of one photo into those that pass and those that don't.

    Parameters
    ----------
    faces
        In any order; positions in the result refer to it.
    bars
        What a face must reach; ``None`` refuses none for its quality.
    max_faces
        Accept so many of the largest that pass; the rest get EXCEEDS_MAX_FACES.
    largest_only
        Accept only the largest that passes; the rest of those get FACE_NOT_LARGEST.

    Returns
    -------
    Selection
        ``accepted`` and ``refused`` together are all faces, each once.

    Notes
    -----
    Larger is what `by_size` puts first.
    """
    limit = math.inf if max_faces is None else max_faces
    accepted: list[int] = []
    refused: dict[int, tuple[UnsearchedFaceReason, ...]] = {}
    for rank, position in enumerate(by_size(faces)):
        reasons = tuple(UnsearchedFaceReason(reason.value) for reason in quality_reasons(faces[position], bars))
        if rank >= LARGEST_FACES or (not reasons and len(accepted) >= limit):
            reasons = (UnsearchedFaceReason.EXCEEDS_MAX_FACES, *reasons)
        elif not reasons and accepted and largest_only:
            reasons = (UnsearchedFaceReason.FACE_NOT_LARGEST,)
        if reasons:
            refused[position] = reasons
        else:
            accepted.append(position)
    return Selection(accepted=tuple(accepted), refused=tuple(sorted(refused.items())))
