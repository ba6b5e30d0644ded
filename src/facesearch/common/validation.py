"""Validate arguments and fields; what is refused raises an `InvalidParameterError` with argument, expected value and next step.

Every number is stored as a plain Python number: NumPy scalars are converted on entry,
because ``np.float32`` survives into a dict and then breaks ``json.dumps``.
"""

import math
import re
from collections.abc import Callable, Sequence
from enum import Enum
from numbers import Integral, Real
from typing import Any, TypeVar

import attrs

from facesearch.errors import InvalidParameterError

__all__ = [
    "acts_as",
    "between",
    "check_acts_as",
    "check_bool",
    "check_each",
    "check_float",
    "check_int",
    "check_is",
    "check_member",
    "check_text",
    "is_a",
    "is_bool",
    "matches",
    "maybe",
    "maybe_float",
    "maybe_int",
    "plain_float",
    "plain_int",
    "tuple_of",
    "whole",
]

E = TypeVar("E", bound=Enum)
T = TypeVar("T")
Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

maybe = attrs.validators.optional


def check_bool(argument: str, value: Any) -> bool:
    """Return *value* if it is True or False."""
    if isinstance(value, bool):
        return value
    raise InvalidParameterError.of(argument, value, "True or False")


def check_float(argument: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return *value* as a finite float in ``[low, high]``, inclusive; ``bool`` and strings are refused."""
    result: Any = plain_float(value)
    if isinstance(result, float) and math.isfinite(result) and low <= result <= high:
        return result
    bounds = "" if math.isinf(low) and math.isinf(high) else f" in [{low:g}, {high:g}]"
    raise InvalidParameterError.of(argument, value, f"a finite number{bounds}")


def check_int(argument: str, value: Any, low: int, high: int | None = None) -> int:
    """Return *value* as an int in ``[low, high]``; ``bool`` and floats are refused."""
    result: Any = plain_int(value)
    if isinstance(result, int) and not isinstance(result, bool) and low <= result and (high is None or result <= high):
        return result
    bounds = f">= {low}" if high is None else f"in [{low}, {high}]"
    raise InvalidParameterError.of(argument, value, f"a whole number {bounds}")


def check_member(argument: str, value: Any, kind: type[E]) -> E:
    """Return *value*, a member of the enum *kind* or its value, as the member; the error names the choices."""
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(str(each.value) for each in kind)
        raise InvalidParameterError.of(argument, value, f"one of {choices}") from None


def check_is(argument: str, value: Any, kind: type[T]) -> T:
    """Return *value* if it is a *kind*; the error has a hint how to make one."""
    if isinstance(value, kind):
        return value
    raise InvalidParameterError.of(argument, value, _name(kind), fix=_fix(value, kind))


def check_each(argument: str, values: Any, kind: type[T]) -> Sequence[T]:
    """Return *values* if they are a sequence and each item is a *kind*; the error has a hint how to make one."""
    if isinstance(values, Sequence) and all(isinstance(each, kind) for each in values):
        return values
    raise InvalidParameterError.of(argument, values, f"a sequence, each item {_name(kind)}", fix=_fix(values, kind))


def check_acts_as(argument: str, value: Any, protocol: type[T]) -> T:
    """Return *value* if it has all members of *protocol*, and is no class; the error names the members."""
    names = [name for name in vars(protocol) if not name.startswith("_")]
    # Properties are searched on the class: their values may cost the loading of a network.
    missing = [name for name in names if not hasattr(type(value), name) and not hasattr(value, name)]
    if not missing and not isinstance(value, type):
        return value  # type: ignore[no-any-return]  # whatever has the members is one
    raise InvalidParameterError.of(
        argument, value, f"{_name(protocol)} with {', '.join(names)}", fix=_fix(value, protocol)
    )


def check_text(argument: str, value: Any, pattern: str, max_length: int) -> str:
    """Return *value* if it is a string of 1 to *max_length* characters that matches *pattern* as a whole."""
    if isinstance(value, str) and len(value) <= max_length and re.fullmatch(pattern, value):
        return value
    raise InvalidParameterError.of(argument, value, f"1 to {max_length} characters matching {pattern}")


def plain_float(value: float) -> float:
    """Convert any real number to a float; return other values unchanged, for the validator to refuse."""
    given: Any = value  # callers may pass a value of another type
    if isinstance(given, bool) or not isinstance(given, Real):
        return given
    try:
        return float(given)
    except OverflowError:  # a whole number beyond what a float can hold
        return given  # type: ignore[return-value]  # the validator refuses it


def plain_int(value: int) -> int:
    """Convert any whole number to an int; return other values unchanged, for the validator to refuse."""
    given: Any = value  # callers may pass a value of another type
    return given if isinstance(given, bool) or not isinstance(given, Integral) else int(given)


def maybe_float(value: float | None) -> float | None:
    """Convert as `plain_float`; keep ``None``."""
    return None if value is None else plain_float(value)


def maybe_int(value: int | None) -> int | None:
    """Convert as `plain_int`; keep ``None``."""
    return None if value is None else plain_int(value)


def _validated(check: Callable[..., object], *limits: Any) -> Validator:
    def validate(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        check(field.name, value, *limits)

    return validate


def between(low: float = -math.inf, high: float = math.inf) -> Validator:
    """Accept finite floats in ``[low, high]``."""
    return _validated(check_float, low, high)


def whole(low: int) -> Validator:
    """Accept whole numbers >= *low*."""
    return _validated(check_int, low)


def matches(pattern: str, max_length: int) -> Validator:
    """Accept strings of 1 to *max_length* characters that match *pattern* as a whole."""
    return _validated(check_text, pattern, max_length)


def is_bool(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    """Accept True and False only; 0, 1 and ``"False"`` are neither."""
    check_bool(field.name, value)


def is_a(kind: type[Any]) -> Validator:
    """Accept instances of *kind*."""
    return _validated(check_is, kind)


def acts_as(protocol: type[Any]) -> Validator:
    """Accept objects that have all members of *protocol*."""
    return _validated(check_acts_as, protocol)


def tuple_of(kind: type[Any]) -> Validator:
    """Accept tuples of items that are each a *kind*."""

    def validate(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, tuple) or not all(isinstance(item, kind) for item in value):
            raise InvalidParameterError.of(field.name, value, f"a tuple, each item {_name(kind)}")

    return validate


def _name(kind: type[Any]) -> str:
    if issubclass(kind, Enum):
        return f"a {kind.__name__} ({', '.join(str(each.value) for each in kind)})"
    return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"


# Hints on how to make objects that are often passed wrongly, by class name.
_FIXES = {
    "AnalyzedFace": "analyze a photo first: fs.FaceAnalyzer().analyze(photo)",
    "Calibration": "take fs.calibration(), or read one: fs.Calibration.load(path, face_model=...)",
    "Collection": 'open it first: fs.Collection.open(path, "staff"), or make one in memory: fs.Collection("staff"); '
    "the collection comes before the image",
    "Detector": "make one, such as facesearch.detection.mmod.MmodDetector()",
    "Embedder": "make one, such as fs.OnnxEmbedder() or fs.NetworkEmbedder(card)",
    "Explainable": "give what search_users_by_image, index_faces or enroll answered; what search_all_faces answered one by one",
    "FaceAnalyzer": "make one: fs.FaceAnalyzer()",
    "FaceModel": "take the one that made the vectors: collection.face_model or analyzer.face_model",
    "FilterBars": "take fs.SHIPPED_BARS, or change it by attrs.evolve",
    "LocatedFace": "locate faces first: fs.FaceAnalyzer().locate(photo)",
    "ObjectStore": "take facesearch.rekognition.S3Folder(folder) or S3Client(client)",
    "QualityBars": 'take fs.SHIPPED_BARS.of("MEDIUM")',
    "Service": "make one: facesearch.rekognition.Rekognition(path)",
    "SearchUsersByImageResponse": "search first: fs.search_users_by_image(collection, image)",
}


def _fix(value: Any, kind: type[Any]) -> str:
    fix = _FIXES.get(kind.__name__, "")
    if isinstance(value, type):
        return f"that is a class: {fix or 'make an object of it'}"
    return fix
