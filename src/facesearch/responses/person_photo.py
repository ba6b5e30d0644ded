"""A photo in which a person is: `PersonPhoto`."""

from typing import ClassVar

import attrs
from attrs import field

from facesearch.common.announce import announce
from facesearch.common.tables import BOX_HEAD, Cell
from facesearch.common.validation import is_a, matches, maybe
from facesearch.domain.entities import EXTERNAL_IMAGE_ID_PATTERN, UUID_PATTERN
from facesearch.domain.geometry import BoundingBox
from facesearch.domain.sources import MAX_SOURCE, SOURCE_PATTERN, show_source

__all__ = ["PersonPhoto"]


@attrs.frozen(kw_only=True)
class PersonPhoto:
    """A photo of a person, and the place of the face in it.

    Attributes
    ----------
    source
        The path of the photo, see `facesearch.Face`; ``None`` where that is not known.
    face_id
        The face.
    image_id, external_image_id
        The photo's ids, see `facesearch.Face`; ``None`` for a face that was added as a vector, or without an id of the caller.
    bounding_box
        In ratios of the photo's sides; ``None`` for a face that was added as a vector.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("source", *BOX_HEAD, "face id", "external image id")

    source: str | None = field(default=None, validator=maybe(matches(SOURCE_PATTERN, MAX_SOURCE)))
    face_id: str = field(validator=matches(UUID_PATTERN, 36))
    image_id: str | None = field(default=None, validator=maybe(matches(UUID_PATTERN, 36)))
    external_image_id: str | None = field(default=None, validator=maybe(matches(EXTERNAL_IMAGE_ID_PATTERN, 255)))
    bounding_box: BoundingBox | None = field(default=None, validator=maybe(is_a(BoundingBox)))

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this photo's row in a table."""
        box = self.bounding_box.row_cells() if self.bounding_box else (None,) * len(BOX_HEAD)
        source = None if self.source is None else show_source(self.source)
        return source, *box, self.face_id, self.external_image_id


announce(__name__)
