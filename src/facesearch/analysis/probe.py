"""From a photo to the faces to search or index: the one sequence of steps for every search and for indexing."""

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.analysis.faces import AnalyzedFace, LocatedFace
from facesearch.domain.attributes import Attribute
from facesearch.images.reading import Picture
from facesearch.selection.evidence import Evidence
from facesearch.selection.explanation import Use
from facesearch.selection.face_selection import Selection, select
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["Probing", "probe"]


@attrs.frozen(kw_only=True, eq=False)
class Probing:
    """The faces of a photo, and those of them that were selected and embedded."""

    located: tuple[LocatedFace, ...]  # all detected ones, largest first
    selection: Selection  # positions in `located` of the accepted and of the refused faces
    probes: tuple[AnalyzedFace, ...]  # the accepted ones, largest first
    evidence: Evidence  # the measurements of all detected faces, and the rule of the selection


def probe(
    analyzer: FaceAnalyzer,
    picture: Picture,
    quality_filter: QualityFilter,
    *,
    attributes: frozenset[Attribute] = frozenset(),
    largest_only: bool = False,
    max_faces: int | None = None,
    use: Use = Use.SEARCHED,
) -> Probing:
    """Detect the faces of a photo, apply the quality filter, select, and embed the selected faces.

    *attributes* are assessed on each face, beyond DEFAULT. With *largest_only* only the largest face that passes is selected, instead of all
    of the 100 largest that pass, or of the *max_faces* largest. *use* is the purpose of the call, for the evidence.
    """
    bars = analyzer.bars.of(quality_filter)
    located = analyzer.assess(analyzer.locate(picture, attributes=attributes), bars)
    selection = select([face.measurements for face in located], bars, max_faces=max_faces, largest_only=largest_only)
    probes = analyzer.embed([located[position] for position in selection.accepted])
    evidence = Evidence.of(
        located,
        (picture.width, picture.height),
        use=use,
        quality_filter=quality_filter,
        filter_bars=analyzer.bars,
        max_faces=max_faces,
        largest_only=largest_only,
    )
    return Probing(located=located, selection=selection, probes=probes, evidence=evidence)
