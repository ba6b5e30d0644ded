"""Selection of the faces to search or index, and the reasons for refusing the others.

Pure functions of measurements, without pictures or models. The order is fixed: first the 100 largest faces are kept, as AWS
does; then the quality filter is applied; then the largest remaining face is the one to search.
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
# A second face with at least this share of the largest one's area makes a photo ambiguous; our own choice. Of the 100 photos
# in data/people 7 show a second face, and 2 one that large (benchmarks/auditing.py).
RIVAL_AREA: Final = 0.5


@attrs.frozen(kw_only=True)
class Selection:
    """The accepted faces of a photo, largest first, and the refused ones in the input order, as positions."""

    accepted: tuple[int, ...]
    refused: tuple[tuple[int, tuple[UnsearchedFaceReason, ...]], ...]


def by_size(faces: Sequence[FaceMeasurements]) -> tuple[int, ...]:
    """Return the positions of faces, largest first.

    Faces are ordered by the unclipped box area in pixels; then by confidence; then by position.
    """
    return tuple(sorted(range(len(faces)), key=lambda i: (-faces[i].area, -faces[i].confidence, i)))


def several_faces(areas: Sequence[float]) -> bool:
    """Return whether a photo is ambiguous: its second largest face is almost as large as the largest.

    *areas* are those of the faces' boxes, largest first.

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
    """Select the faces of one photo to use, with the reasons for refusing the others; each face is in one of both lists.

    At most *max_faces* of the largest faces that pass are accepted; the rest get EXCEEDS_MAX_FACES. With *largest_only* only
    the largest is; the other passing faces get FACE_NOT_LARGEST.
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
