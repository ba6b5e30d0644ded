"""Convert the distance between two embeddings to a similarity, a percentage defined by measured false-match rates.

A similarity is 80 at the distance with a false-match rate of 1 in 1,000, 90 at 1 in 10,000, and 99 at 1 in 100,000. A smooth,
strictly falling curve connects these distances. It is a pure function of the distance, the same for every search: a threshold
selects matches and never changes a similarity. A percentage is
*not* the probability that two photos show one person.
"""

import json
import math
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import IO, Final

import attrs
from attrs import field

from facesearch.common.tables import Cell, Shown, Table
from facesearch.common.validation import between, check_float, check_is, is_a, plain_float, plain_int, tuple_of, whole
from facesearch.domain.entities import FaceModel
from facesearch.errors import CalibrationError, InvalidParameterError, without_value
from facesearch.files.writing import OutputKind, write_file
from facesearch.matching.curve import Curve

__all__ = [
    "CALIBRATION_FILE",
    "SIMILARITY_AT_FMR",
    "Calibration",
    "CalibrationRow",
    "calibration",
    "distance_at",
    "similarity",
]

# Definition of a percentage: the false-match rate at which it is reached.
SIMILARITY_AT_FMR: Final = {1e-5: 99.0, 1e-4: 90.0, 1e-3: 80.0, 1e-2: 50.0, 1e-1: 15.0, 0.5: 2.0}


@attrs.frozen(kw_only=True)
class CalibrationRow:
    """One measured point of the curve.

    Attributes
    ----------
    similarity
        Percent.
    distance
        Euclidean, at which the false-match rate is `fmr`.
    fmr, fmr_low, fmr_high
        The share of comparisons of strangers that are at least as near, and its 95% interval over people, at that distance.
    fnmr, fnmr_low, fnmr_high
        The share of comparisons of one person with itself that are farther apart, and its 95% interval.
    """

    similarity: float = field(converter=plain_float, validator=between(0, 100))
    distance: float = field(converter=plain_float, validator=between(0))
    fmr: float = field(converter=plain_float, validator=between(0, 1))
    fmr_low: float = field(converter=plain_float, validator=between(0, 1))
    fmr_high: float = field(converter=plain_float, validator=between(0, 1))
    fnmr: float = field(converter=plain_float, validator=between(0, 1))
    fnmr_low: float = field(converter=plain_float, validator=between(0, 1))
    fnmr_high: float = field(converter=plain_float, validator=between(0, 1))


@attrs.frozen(kw_only=True, repr=False)
class Calibration(Shown):
    """Calibration of one face model: measured points and the curve through them.

    Attributes
    ----------
    face_model
        The model of the distances; it applies to no other.
    data
        Description of the photos of the measurement.
    people, impostor_comparisons, genuine_comparisons
        Numbers of people and comparisons of the measurement.
    rows
        From the nearest distance to the farthest; similarity falls, the false-match rate rises.
    user_spread
        Squared distance. A template of many photos is nearer to all probes than that of one photo: ``user_spread * (1 - 1/n)`` is
        added to the squared distance from a template of *n* photos, so that a percentage means the same for both.

    Examples
    --------
    >>> table = calibration()
    >>> [round(table.similarity(row.distance)) for row in table.rows[:3]]
    [99, 90, 80]
    >>> table.similarity(0.0)
    100.0
    """

    face_model: FaceModel = field(validator=is_a(FaceModel))
    data: str
    people: int = field(converter=plain_int, validator=whole(0))
    impostor_comparisons: int = field(converter=plain_int, validator=whole(0))
    genuine_comparisons: int = field(converter=plain_int, validator=whole(0))
    rows: tuple[CalibrationRow, ...] = field(validator=tuple_of(CalibrationRow))
    user_spread: float = field(default=0.0, converter=plain_float, validator=between(0))
    _curve: Curve = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        knots = [(0.0, 100.0), *((row.distance, row.similarity) for row in self.rows)]
        falls = all(a[0] < b[0] and a[1] > b[1] > 0 for a, b in pairwise(knots))
        if len(knots) < _FEWEST_KNOTS or not falls:
            raise InvalidParameterError.of(
                "rows", knots[1:], "two or more, distances rising from above 0, similarities falling"
            )
        object.__setattr__(self, "_curve", Curve.through(knots))

    def similarity(self, distance: float) -> float:
        """Return the similarity of two faces with embeddings at this distance.

        Parameters
        ----------
        distance
            Euclidean, >= 0; 0 is the same vector.

        Returns
        -------
        float
            Percent, 0-100; higher is closer. Strictly decreasing, as far as a float can tell.

        Raises
        ------
        InvalidParameterError
            If *distance* is negative or not finite.
        """
        return self._curve.at(check_float("distance", distance, 0))

    def distance_at(self, percent: float) -> float:
        """Return the distance at which the similarity is *percent*: the inverse of `similarity`.

        Parameters
        ----------
        percent
            0-100; 0 is never reached: its distance is infinite.

        Raises
        ------
        InvalidParameterError
            If *percent* is not in [0, 100].
        """
        checked = check_float("percent", percent, 0, 100)
        return math.inf if checked == 0 else self._curve.inverse(checked)

    def user_offset(self, photos: int) -> float:
        """Return the squared distance to add for a template of *photos* photos, >= 1."""
        return self.user_spread * (1 - 1 / photos)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the calibration to a JSON file, atomically; `load` reads it.

        Parameters
        ----------
        path
            An earlier calibration is replaced.
        overwrite
            Replace any other file too.

        Raises
        ------
        OutputRefusedError
            If an existing file is no calibration, or is an open database.
        OSError
            If it can't be written; an existing file is unchanged.
        """
        with write_file(path, CALIBRATION_FILE, overwrite=overwrite) as file:
            file.write(f"{self.to_json()}\n".encode())

    def to_json(self) -> str:
        """Return the calibration as JSON; `from_json` reads it."""
        return json.dumps({"format": _FORMAT, **attrs.asdict(self, filter=attrs.filters.exclude("_curve"))}, indent=1)

    @classmethod
    def from_json(cls, text: str, *, face_model: FaceModel | None, origin: str = "calibration") -> "Calibration":
        """Read a calibration from JSON, as written by `to_json`.

        Parameters
        ----------
        text
            JSON.
        face_model
            The face model that it must be for; ``None`` for any.
        origin
            Origin of the text, for error messages.

        Raises
        ------
        CalibrationError
            If it is no calibration, or that of another model.
        """
        if face_model is not None:
            check_is("face_model", face_model, FaceModel)
        found = _parse(text, origin)
        if face_model is not None and found.face_model.digest != face_model.digest:
            raise CalibrationError(
                f"{origin}: expected the calibration of {face_model.name} ({face_model.digest[:12]}...), "
                f"got that of {found.face_model.name} ({found.face_model.digest[:12]}...)"
            )
        return found

    @classmethod
    def load(cls, path: str | Path, *, face_model: FaceModel) -> "Calibration":
        """Read a calibration from a file, as written by `save`.

        Parameters
        ----------
        path
            The file.
        face_model
            The face model that it must be for.

        Raises
        ------
        CalibrationError
            If the file can't be read, is no calibration, or is that of another model.
        """
        check_is("face_model", face_model, FaceModel)
        try:
            content = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CalibrationError(f"{path}: can't be read ({error})") from error
        return cls.from_json(content, face_model=face_model, origin=str(path))

    def _headline(self) -> str:
        return f"{self.face_model.name} {self.face_model.version}, {self.people:,} people of {self.data}"

    def _shown_tables(self) -> Iterator[Table]:
        rows: list[tuple[Cell, ...]] = [
            (
                f"{row.similarity:.0f}",
                f"{row.distance:.4f}",
                f"{row.fmr:.2g} ({row.fmr_low:.2g} - {row.fmr_high:.2g})",
                f"{row.fnmr:.2%} ({row.fnmr_low:.2%} - {row.fnmr_high:.2%})",
            )
            for row in self.rows
        ]
        head = ("similarity", "distance", "false matches (95% interval)", "false non-matches (95% interval)")
        title = f"comparisons: {self.impostor_comparisons:,} of strangers, {self.genuine_comparisons:,} of one person"
        yield Table(head, rows, f"{title}; digest of the model {self.face_model.digest[:12]}")


_FEWEST_KNOTS = 3
_FORMAT = 1
_SHIPPED = (
    "calibration_sface.json",
    "calibration_sface_mirrored.json",
    "calibration_dlib.json",
    "calibration_dlib_plain.json",
)


def _is_calibration(file: IO[bytes]) -> bool:
    found = json.loads(file.read(_MOST_BYTES))
    return isinstance(found, dict) and {"format", "face_model", "rows"} <= found.keys()


_MOST_BYTES = 1_000_000
CALIBRATION_FILE = OutputKind(name="a calibration of facesearch", recognises=_is_calibration, private=False)
"""The kind of file that `Calibration.save` writes."""


def _parse(content: str, path: str) -> Calibration:
    try:
        fields = json.loads(content)
        if fields.pop("format") != _FORMAT:
            raise CalibrationError(f"{path}: expected a calibration of format {_FORMAT}")
        model = FaceModel(**fields.pop("face_model"))
        rows = tuple(CalibrationRow(**row) for row in fields.pop("rows"))
        return Calibration(face_model=model, rows=rows, **fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The cause quotes the file.
        raise CalibrationError(f"{path}: no calibration ({without_value(error)})") from None


@cache
def shipped_calibrations() -> tuple[Calibration, ...]:
    """Return the calibrations in the library; the first is that of the default model."""
    folder = files("facesearch").joinpath("data")
    return tuple(_parse(folder.joinpath(name).read_text(encoding="utf-8"), name) for name in _SHIPPED)


def calibration(face_model: FaceModel | None = None) -> Calibration:
    """Return a calibration of the library; printing it shows the table.

    Parameters
    ----------
    face_model
        A model that the library has a calibration for; by default the library's default model.

    Raises
    ------
    CalibrationError
        If there is none for this model: `facesearch.benchmark.calibrate` measures one.

    Examples
    --------
    >>> print(calibration())  # doctest: +ELLIPSIS
    sface_2021dec_plain...
    """
    known = shipped_calibrations()
    if face_model is None:
        return known[0]
    check_is("face_model", face_model, FaceModel)
    for each in known:
        if each.face_model.digest == face_model.digest:
            return each
    raise CalibrationError(
        f"face_model: no calibration for {face_model.name} ({face_model.digest[:12]}...) comes with the library; "
        "measure one with `python -m facesearch.benchmark calibrate` and give it as calibration=Calibration.load(...)"
    )


def similarity(distance: float) -> float:
    """Return the similarity of two faces with embeddings of the default model at this distance.

    Parameters
    ----------
    distance
        Euclidean, >= 0; 0 is the same vector.

    Returns
    -------
    float
        Percent, 0-100; see `Calibration.similarity`.

    Raises
    ------
    InvalidParameterError
        If *distance* is negative or not finite.

    Examples
    --------
    >>> similarity(0.0)
    100.0
    """
    return calibration().similarity(distance)


def distance_at(percent: float) -> float:
    """Return the distance at which `similarity` is *percent*.

    Parameters
    ----------
    percent
        0-100; 0 is never reached: its distance is infinite.

    Raises
    ------
    InvalidParameterError
        If *percent* is not in [0, 100].

    Examples
    --------
    >>> round(similarity(distance_at(80)), 6)
    80.0
    """
    return calibration().distance_at(percent)
