"""The measurements and the rule behind a response, kept so that it can be explained, also for another filter.

This module adds no rule: it applies those of `facesearch.selection.face_selection` once more.
"""

from collections.abc import Sequence
from typing import Protocol, Self

import attrs
from attrs import field

from facesearch.common.validation import between, is_a, is_bool, maybe, maybe_float, plain_int, tuple_of, whole
from facesearch.domain.face_detail import FaceDetail
from facesearch.domain.reasons import EnrollmentReason, QualityReason, UnsearchedFaceReason
from facesearch.errors import InvalidParameterError
from facesearch.selection.checks import checks, quality_reasons
from facesearch.selection.comparisons import Comparison, Judged, judged, not_largest, one_too_many, rival
from facesearch.selection.explanation import Explanation, FaceExplanation, Use
from facesearch.selection.face_selection import LARGEST_FACES, Selection, by_size, select
from facesearch.selection.quality_filter import FaceMeasurements, FilterBars, QualityBars, QualityFilter

__all__ = ["Evidence", "require_evidence"]

_QUALITY = frozenset(reason.value for reason in QualityReason)


class Measured(Protocol):
    """A face that was detected and measured."""

    @property
    def detail(self) -> FaceDetail:
        """Bounding box and attributes."""

    @property
    def measurements(self) -> FaceMeasurements:
        """The values that the quality filter checks."""


@attrs.frozen(kw_only=True)
class Evidence:
    """The measurements of a photo's faces and the rule of their selection; `of` makes one."""

    use: Use = field(validator=is_a(Use))
    quality_filter: QualityFilter = field(validator=is_a(QualityFilter))  # that of the call
    filter_bars: FilterBars = field(validator=is_a(FilterBars))
    # Of every detected face.
    details: tuple[FaceDetail, ...] = field(validator=tuple_of(FaceDetail))
    measurements: tuple[FaceMeasurements, ...] = field(validator=tuple_of(FaceMeasurements))
    # Of the upright photo, in pixels.
    width: int = field(converter=plain_int, validator=whole(1))
    height: int = field(converter=plain_int, validator=whole(1))
    listed: tuple[int, ...] = field(validator=tuple_of(int))  # positions of the faces that the response contains
    # The rule, see `facesearch.selection.face_selection.select`.
    max_faces: int | None = field(default=None, validator=maybe(whole(1)))
    largest_only: bool = field(default=False, validator=is_bool)
    # Percent: the similarity to the user's own faces that a photo to enrol had to reach.
    needed: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 100)))

    @classmethod
    def of(
        cls,
        faces: Sequence[Measured],
        size: tuple[int, int],
        *,
        use: Use,
        quality_filter: QualityFilter,
        filter_bars: FilterBars,
        max_faces: int | None = None,
        largest_only: bool = False,
    ) -> Self:
        """Return the evidence of a photo of *size* (width, height) pixels and a response that contains all its faces."""
        return cls(
            use=use,
            quality_filter=quality_filter,
            filter_bars=filter_bars,
            details=tuple(face.detail for face in faces),
            measurements=tuple(face.measurements for face in faces),
            width=size[0],
            height=size[1],
            listed=tuple(range(len(faces))),
            max_faces=max_faces,
            largest_only=largest_only,
        )

    def explain(self, quality_filter: str | QualityFilter | QualityBars | None = None) -> Explanation:
        """Explain a search or an indexing, with its own filter or with another one."""
        asked, bars = self._asked(quality_filter)
        selection = select(self.measurements, bars, max_faces=self.max_faces, largest_only=self.largest_only)
        refused = dict(selection.refused)
        order = by_size(self.measurements)
        faces = []
        for rank, position in enumerate(order, start=1):
            if position in self.listed:
                reasons = refused.get(position, ())
                compared = [self._compared(reason, rank, order, selection) for reason in reasons]
                faces.append(self._face(rank, position, bars, reasons, compared))
        return Explanation(use=self.use, quality_filter=asked, bars=bars, faces=tuple(faces))

    def explain_enrolment(
        self, verdict: Judged, quality_filter: str | QualityFilter | QualityBars | None = None
    ) -> Explanation:
        """Explain the result for a photo of a user.

        Another filter changes the reasons of quality only: the person shown is not compared again.
        """
        asked, bars = self._asked(quality_filter)
        if self.measurements:
            first, *others = by_size(self.measurements)
            held = {reason.value for reason in quality_reasons(self.measurements[first], bars)}
            held |= {reason.value for reason in verdict.reasons} - _QUALITY
            reasons = tuple(reason for reason in EnrollmentReason if reason.value in held)
            areas = [self.measurements[position].area for position in (first, *others)]
            compared = [
                rival(areas[0], areas[1])
                if reason is EnrollmentReason.SEVERAL_FACES and len(areas) > 1
                else judged(reason, verdict, self.needed)
                for reason in reasons
            ]
            face = self._face(1, first, bars, reasons, compared)
        else:
            names = tuple(reason.value for reason in verdict.reasons)
            face = FaceExplanation(used=False, reasons=names)
        return Explanation(use=self.use, quality_filter=asked, bars=bars, faces=(face,))

    def _asked(
        self, quality_filter: str | QualityFilter | QualityBars | None
    ) -> tuple[QualityFilter | None, QualityBars | None]:
        if isinstance(quality_filter, QualityBars):
            return None, quality_filter
        asked = self.quality_filter if quality_filter is None else QualityFilter.parse(quality_filter)
        return asked, self.filter_bars.of(asked)

    def _face(
        self,
        rank: int,
        position: int,
        bars: QualityBars | None,
        reasons: Sequence[UnsearchedFaceReason | EnrollmentReason],
        compared: Sequence[Comparison | None],
    ) -> FaceExplanation:
        detail, measured = self.details[position], self.measurements[position]
        left, top, right, bottom = map(round, detail.bounding_box.to_pixels(self.width, self.height))
        return FaceExplanation(
            detail=detail,
            used=not reasons,
            reasons=tuple(reason.value for reason in reasons),
            checks=checks(measured, bars),
            comparisons=tuple(each for each in compared if each),
            rank=rank,
            area=measured.area,
            box=(left, top, right, bottom),
        )

    def _compared(
        self, reason: UnsearchedFaceReason, rank: int, order: Sequence[int], selection: Selection
    ) -> Comparison | None:
        """Return the comparison behind a reason that depends on the other faces of the photo."""
        if reason is UnsearchedFaceReason.FACE_NOT_LARGEST:
            searched = selection.accepted[0]
            return not_largest(self.measurements[order[rank - 1]].area, self.measurements[searched].area)
        if reason is UnsearchedFaceReason.EXCEEDS_MAX_FACES:
            if rank > LARGEST_FACES or self.max_faces is None:
                return one_too_many(rank, LARGEST_FACES, of_all=True)
            passing = {*selection.accepted, *(each for each, reasons in selection.refused if reasons == (reason,))}
            place = sum(each in passing for each in order[:rank])
            return one_too_many(place, self.max_faces, of_all=False)
        return None


def require_evidence(evidence: Evidence | None) -> Evidence:
    """Return the evidence of a response; one without raises `InvalidParameterError`."""
    if evidence is None:
        raise InvalidParameterError(
            "response: expected an answer as search_users_by_image, index_faces or enroll gave it, with its measurements, "
            "got one without, as from_aws and constructors make them; explain the original answer"
        )
    return evidence
