"""From a photo to the faces that are searched with or indexed: the one order of steps that all of these take."""

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.analysis.faces import AnalyzedFace, LocatedFace
from facesearch.domain.attributes import Attribute
from facesearch.images.reading import Picture
from facesearch.selection.face_selection import Selection, select
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["Probing", "probe"]


@attrs.frozen(kw_only=True, eq=False)
class Probing:
    """The faces of a photo, and which of them are searched with.

    Attributes
    ----------
    located
        All that were detected, largest first.
    selection
        How they part.
    probes
        The accepted ones with their vectors, largest first.
    """

    located: tuple[LocatedFace, ...]
    selection: Selection
    probes: tuple[AnalyzedFace, ...]


def probe(
    analyzer: FaceAnalyzer,
    picture: Picture,
    quality_filter: QualityFilter,
    *,
    attributes: frozenset[Attribute] = frozenset(),
    largest_only: bool = False,
    max_faces: int | None = None,
) -> Probing:
    """Detect, filter, select and embed.

    Parameters
    ----------
    analyzer
        What does it, and knows what each filter asks for.
    picture
        The photo.
    quality_filter
        Which faces may be searched with.
    attributes
        What to tell of each face beyond DEFAULT.
    largest_only
        Only the largest that passes, or each of the 100 largest.
    max_faces
        So many of the largest that pass.
    """
    bars = analyzer.bars.of(quality_filter)
    located = analyzer.assess(analyzer.locate(picture, attributes=attributes), bars)
    selection = select([face.measurements for face in located], bars, max_faces=max_faces, largest_only=largest_only)
    probes = analyzer.embed([located[position] for position in selection.accepted])
    return Probing(located=located, selection=selection, probes=probes)
