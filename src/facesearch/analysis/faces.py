"""A face detected in a photo, before and after it is embedded."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import attrs

from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.common.equality import FrozenMapping, content
from facesearch.common.tables import Cell, Shown, Table
from facesearch.common.validation import is_a
from facesearch.domain.attributes import Attribute, Unassessed
from facesearch.domain.entities import FaceModel
from facesearch.domain.face_detail import DetectedFace, FaceDetail
from facesearch.errors import InvalidParameterError
from facesearch.selection.quality_filter import FaceMeasurements

__all__ = ["AnalyzedFace", "LocatedFace"]


def _frozen(unassessed: Mapping[Attribute, Unassessed]) -> Mapping[Attribute, Unassessed]:
    given: Any = unassessed  # what callers pass may not be what the annotation asks for
    if not isinstance(given, Mapping) or not all(isinstance(each, Attribute) for each in given):
        raise InvalidParameterError.of("unassessed", given, "a mapping of Attribute to Unassessed")
    return FrozenMapping(unassessed)


@attrs.frozen(kw_only=True, repr=False)
class LocatedFace(Shown):
    """A face that was detected and measured, but not embedded. Equality compares all fields, and pictures pixel by pixel.

    Attributes
    ----------
    detail
        Bounding box, confidence, landmarks, pose and quality, and the attributes that were asked for.
    measurements
        The values that the quality filter checks.
    chip
        (150, 150, 3) uint8 RGB, the face upright.
    probe
        The embedder's input, uint8 RGB: the chip, or a crop that the embedder cuts itself.
    unassessed
        The attributes that were asked for and can't be assessed on this face, and the reason for each.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = FaceDetail.ROW_HEAD

    detail: DetectedFace = attrs.field(validator=is_a(DetectedFace))
    measurements: FaceMeasurements = attrs.field(validator=is_a(FaceMeasurements))
    chip: PixelArray = attrs.field(repr=False, eq=content)
    probe: PixelArray = attrs.field(repr=False, eq=content)
    unassessed: Mapping[Attribute, Unassessed] = attrs.field(factory=dict, converter=_frozen)
    # The describer's input, where it is another one than the embedder's.
    _describer_input: PixelArray | None = attrs.field(default=None, repr=False, eq=False)
    # The vector, where the pass that described the face computed it too.
    _vector: FloatArray | None = attrs.field(default=None, repr=False, eq=False)

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this face's row in a table."""
        return self.detail.row_cells()

    def _headline(self) -> str:
        return self.detail._headline()  # noqa: SLF001  # both are shown in the same way

    def _shown_tables(self) -> Iterator[Table]:
        yield from self.detail._shown_tables()  # noqa: SLF001  # likewise
        absent = [(attribute.value, reason.value) for attribute, reason in self.unassessed.items()]
        yield Table(("not assessed", ""), absent)


@attrs.frozen(kw_only=True, repr=False)
class AnalyzedFace(LocatedFace):
    """A face with its vector.

    Attributes
    ----------
    embedding
        (128,) float32, compared by Euclidean distance.
    face_model
        The model that computed it.
    """

    embedding: FloatArray = attrs.field(repr=False, eq=content)
    face_model: FaceModel = attrs.field(validator=is_a(FaceModel))
