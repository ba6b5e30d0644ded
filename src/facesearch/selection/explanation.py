"""The explanation why each face of a photo was used or not: the check, the measurement and the threshold."""

import textwrap
from collections.abc import Iterator
from enum import Enum
from html import escape
from typing import Any, Protocol

import attrs
from attrs import field

from facesearch.common.tables import Shown, Table
from facesearch.common.validation import (
    between,
    check_acts_as,
    is_a,
    is_bool,
    maybe,
    maybe_float,
    maybe_int,
    tuple_of,
    whole,
)
from facesearch.domain.face_detail import FaceDetail
from facesearch.selection.checks import Check, threshold_texts
from facesearch.selection.comparisons import Comparison
from facesearch.selection.quality_filter import QualityBars, QualityFilter

__all__ = ["Explanation", "FaceExplanation", "Use", "explain"]

_ROWS_SHOWN = 50
_WIDTH = 100  # columns of a terminal, for what can be wrapped
_LEFT = ' style="text-align:left;vertical-align:top"'  # a notebook sets tables to the right


class Use(Enum):
    """The purpose of a call, named by the result for the faces that passed."""

    SEARCHED = "searched"
    INDEXED = "indexed"
    ENROLLED = "enrolled"


@attrs.frozen(kw_only=True, repr=False)
class FaceExplanation(Shown):
    """One face: whether it was used, every reason for refusing it, and all its measurements.

    Attributes
    ----------
    detail
        The face as in the response; ``None`` for a photo without a face.
    used
        Whether it was searched, indexed or enrolled.
    reasons
        AWS's names, or those of `EnrollmentReason`, in their order; empty for a face that was used.
    checks
        Every measurement with its thresholds, passed or failed; the failed ones are the reasons of quality.
    comparisons
        The figures of the other reasons.
    rank
        1 is the photo's largest face; ``None`` where there is none.
    area
        Area of its unclipped box, px²; ``None`` where there is no face.
    box
        Left, top, right and bottom, in whole pixels of the upright photo; may extend beyond it.
    """

    detail: FaceDetail | None = field(default=None, validator=maybe(is_a(FaceDetail)))
    used: bool = field(validator=is_bool)
    reasons: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    checks: tuple[Check, ...] = field(default=(), validator=tuple_of(Check))
    comparisons: tuple[Comparison, ...] = field(default=(), validator=tuple_of(Comparison))
    rank: int | None = field(default=None, converter=maybe_int, validator=maybe(whole(1)))
    area: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0)))
    box: tuple[int, int, int, int] | None = field(default=None, validator=maybe(tuple_of(int)))

    @property
    def missed(self) -> tuple[Check, ...]:
        """The checks that the face did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def unmeasured(self) -> tuple[Check, ...]:
        """The checks that can't fail because the value was not measured."""
        return tuple(check for check in self.checks if check.value is None and check.at_least)

    def figures(self) -> tuple[tuple[str, str], ...]:
        """Return pairs of reason and text, in order; a reason with two figures has two pairs, one without figures the text ``""``."""
        found = [(check.reason.value, str(check)) for check in self.missed]
        found += [(comparison.reason, comparison.text) for comparison in self.comparisons]
        return tuple(
            (reason, text)
            for reason in self.reasons
            for text in [text for name, text in found if name == reason] or [""]
        )

    def _headline(self) -> str:
        which = "no face" if self.rank is None else f"face {self.rank} by size"
        return f"{which}, {'used' if self.used else 'not used'}{': ' if self.reasons else ''}{', '.join(self.reasons)}"

    def _shown_tables(self) -> Iterator[Table]:
        rows = [
            (check.measurement, check.value, check.wanted, "" if check.passed else check.reason.value)
            for check in self.checks
        ]
        yield Table(("measured", "value", "wanted", "missed"), rows)
        yield Table(("reason", "figures"), [(comparison.reason, comparison.text) for comparison in self.comparisons])


@attrs.frozen(kw_only=True, repr=False)
class Explanation(Shown):
    """Why each face of a photo was used or not; ``print`` it for a table.

    Attributes
    ----------
    use
        The purpose of the call.
    quality_filter
        The filter; ``None`` where thresholds were given instead.
    bars
        Its thresholds; ``None`` for none.
    faces
        Largest first; of an enrolment the largest of each photo, in the photos' order.
    calibration
        The name of the calibration of the response's percentages; ``None`` for one that comes with the library.
    """

    use: Use = field(validator=is_a(Use))
    quality_filter: QualityFilter | None = field(default=None, validator=maybe(is_a(QualityFilter)))
    bars: QualityBars | None = field(default=None, validator=maybe(is_a(QualityBars)))
    faces: tuple[FaceExplanation, ...] = field(default=(), validator=tuple_of(FaceExplanation))
    calibration: str | None = field(default=None, validator=maybe(is_a(str)))

    @property
    def used(self) -> int:
        """The number of faces that were used."""
        return sum(face.used for face in self.faces)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as dicts, lists, strings, numbers and booleans, ready for ``json.dumps``.

        Keys are the attributes' names; ``detail`` has only those that are known, and is empty where there is no face. Each
        check also has the key ``passed``.
        """
        plain = attrs.asdict(self, value_serializer=_plain)
        if self.calibration is None:
            del plain["calibration"]
        for face, of_face in zip(self.faces, plain["faces"], strict=True):
            of_face["detail"] = {name: value for name, value in (of_face["detail"] or {}).items() if value is not None}
            for check, shown in zip(face.checks, of_face["checks"], strict=True):
                shown["passed"] = check.passed
        return plain

    def __str__(self) -> str:
        indent = "wanted: "
        asked = textwrap.wrap(self._thresholds(), _WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))
        lines = [self._headline(), *self._calibrated(), *asked]
        if not self.faces:
            return "\n".join(lines)
        rows = [(self._counted, "box in px", "", ""), *self._rows()]
        columns = [max(len(row[column]) for row in rows) for column in range(3)]
        table = (
            f"{number:>{columns[0]}}  {box:<{columns[1]}}  {verdict:<{columns[2]}}  {figures}".rstrip()
            for number, box, verdict, figures in rows
        )
        return "\n".join([*lines, "", *table])

    def _repr_html_(self) -> str:
        """Return the printed table as HTML, one row for each reason."""
        rows = list(self._rows())
        parts = [f"<p>{escape(line)}</p>" for line in (self._headline(), *self._calibrated())]
        if self._thresholds():
            parts.append(f"<p>wanted: {escape(self._thresholds())}</p>")
        if rows:
            head = "".join(f"<th{_LEFT}>{name}</th>" for name in (self._counted, "box in px", "", "figures"))
            body = "".join(
                f"<tr>{''.join(f'<td{_LEFT}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[:_ROWS_SHOWN]
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        if len(rows) > _ROWS_SHOWN:
            parts.append(f"<p>and {len(rows) - _ROWS_SHOWN} more rows; print it for all</p>")
        return f"<div>{''.join(parts)}</div>"

    @property
    def _counted(self) -> str:
        return "photo" if self.use is Use.ENROLLED else "face"

    def _headline(self) -> str:
        by = f"quality filter {self.quality_filter.value}" if self.quality_filter else "bars of your own"
        if not self.faces:
            return f"no face was found, {by}"
        plural = "" if len(self.faces) == 1 else "s"
        return f"{self.used} of {len(self.faces)} {self._counted}{plural} {self.use.value}, {by}"

    def _calibrated(self) -> tuple[str, ...]:
        """Return a line with the name of the calibration, where it does not come with the library."""
        return () if self.calibration is None else (f"percentages: calibration {self.calibration}",)

    def _thresholds(self) -> str:
        return ", ".join(threshold_texts(self.bars)) if self.bars else ""

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield the table's cells: number, box, verdict, figures; the first two only in a face's first row."""
        boxes = _aligned([face.box for face in self.faces])
        for place, (face, box) in enumerate(zip(self.faces, boxes, strict=True), start=1):
            number = place if self.use is Use.ENROLLED else face.rank
            verdict = self.use.value if face.used else f"not {self.use.value}"
            lines = face.figures() or ((verdict, ", ".join(map(str, face.unmeasured))),)
            named = ""
            for line, (reason, text) in enumerate(lines):
                first = line == 0
                yield (
                    f"{number or ''}" if first else "",
                    box if first else "",
                    "" if reason == named else reason,
                    text,
                )
                named = reason


class Explainable(Protocol):
    """A response that can be explained."""

    def explain(self, *, quality_filter: str | QualityFilter | QualityBars | None = None) -> Explanation:
        """Return why each face was used or not."""


def explain(response: Explainable, *, quality_filter: str | QualityFilter | QualityBars | None = None) -> Explanation:
    """Explain for each face of a photo why it was used or not, with figures.

    Parameters
    ----------
    response
        A response of `search_users_by_image`, `Collection.index_faces` or `Collection.enroll`, or one of the responses of
        `search_all_faces`.
    quality_filter
        Another filter, or thresholds of your own, to explain what the result would have been; by default the filter of the
        call. The match quality is measured only of faces that pass all other checks of the filter of the call, and not with
        NONE: where it was not measured, no face is refused for it, and the table says so.

    Returns
    -------
    Explanation
        Print it for a table.

    Raises
    ------
    InvalidParameterError
        If the response is of another kind or has no measurements, as one that was read by `from_aws`: they are not part of
        AWS's format.

    Examples
    --------
    >>> import facesearch as fs
    >>> from facesearch.testing.fakes import fake_analyzer, paint
    >>> staff = fs.Collection("staff", analyzer=fake_analyzer())
    >>> photo = paint((200, 400), {(10, 10, 50, 50): (200, 30, 30), (100, 30, 180, 110): (30, 30, 200)})
    >>> response = fs.search_users_by_image(staff, photo)
    >>> print(fs.explain(response))
    1 of 2 faces searched, quality filter NONE
    percentages: calibration measured on 'nothing: painted faces', 8,409 people
    <BLANKLINE>
    face  box in px
       1  68 x 83 at 106, 23  searched
       2  34 x 42 at  13,  6  FACE_NOT_LARGEST  area 1,419 px², the searched face has 5,676

    Explain the smaller face for the filter HIGH:

    >>> print(*fs.explain(response, quality_filter="HIGH").faces[1].missed)
    size 34.2 px, at least 39 px wanted (as in a photo of 1920 px)
    """
    return check_acts_as("response", response, Explainable).explain(quality_filter=quality_filter)  # type: ignore[type-abstract]  # mypy wants a concrete class


def _plain(_: object, __: object, value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.value if isinstance(value, Enum) else value


def _aligned(boxes: list[tuple[int, int, int, int] | None]) -> list[str]:
    """Format boxes as ``width x height at left, top``, each figure in a column of its own."""
    cells = [box and tuple(map(str, (box[2] - box[0], box[3] - box[1], box[0], box[1]))) for box in boxes]
    wide = [max((len(cell[column]) for cell in cells if cell), default=0) for column in range(4)]
    padded = [cell and [text.rjust(columns) for text, columns in zip(cell, wide, strict=True)] for cell in cells]
    return [f"{cell[0]} x {cell[1]} at {cell[2]}, {cell[3]}" if cell else "" for cell in padded]
