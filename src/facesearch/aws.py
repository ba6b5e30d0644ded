"""The wire: our values as AWS's JSON-shaped dicts, and back.

Names follow one rule, so there is no table to keep: ``snake_case`` inside is ``CamelCase`` outside (``face_id`` is
``FaceId``). Absent is ``None`` inside and a missing key outside. Unknown keys on the way in are ignored, because AWS
adds members without notice; wrong types are not, because a ``"False"`` that becomes ``True`` is worse than an error.

This is the only module that knows cattrs.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast, get_args

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from facesearch.domain.entities import Face
from facesearch.errors import InvalidParameterError, WireError, shown
from facesearch.responses.collection import Enrollment, IndexFacesResponse
from facesearch.responses.search_users import SearchUsersByImageResponse

__all__ = ["from_aws", "is_local", "to_aws", "wire_name"]

T = TypeVar("T")

# Members that never travel: pictures and what is drawn with them are for notebooks only, evidence is for `explain`.
LOCAL_ONLY = {
    (SearchUsersByImageResponse, name) for name in ("preview", "next_user", "pictures", "calibration", "evidence")
} | {(IndexFacesResponse, "evidence"), (Enrollment, "evidence"), (Face, "source")}


def to_aws(value: Any) -> dict[str, Any]:
    """Serialize a value to the dict that AWS sends.

    Parameters
    ----------
    value
        Any class of this library that mirrors one of AWS's shapes: a response, a `FaceDetail`, a `Face`, ...

    Returns
    -------
    dict
        Plain dicts, lists, strings, numbers and booleans: ``json.dumps`` takes it as it is. Lists that are empty stay,
        members that are absent are left out.

    Raises
    ------
    InvalidParameterError
        If *value* is no such class.

    Examples
    --------
    >>> from facesearch import BoundingBox, to_aws
    >>> to_aws(BoundingBox(width=0.25, height=0.5, left=0.5, top=0.125))
    {'Width': 0.25, 'Height': 0.5, 'Left': 0.5, 'Top': 0.125}
    """
    if not attrs.has(type(value)):
        raise InvalidParameterError.of("value", value, "a value of this library that mirrors an AWS shape")
    return cast("dict[str, Any]", _converter().unstructure(value))


def from_aws(payload: Any, kind: type[T]) -> T:
    """Read a dict in AWS's shape.

    Parameters
    ----------
    payload
        A dict as boto3 or ``json.loads`` returns it; ``ResponseMetadata`` and other unknown keys are ignored.
    kind
        The class to read, such as `SearchUsersByImageResponse`.

    Returns
    -------
    kind
        With ``from_aws(to_aws(x), type(x)) == x``, but for members that AWS does not have, such as `Face.source`: they don't travel.

    Raises
    ------
    WireError
        If the payload is not of AWS's shape; the message names each fault by AWS's own path.

    Examples
    --------
    >>> from facesearch import UserMatch, from_aws
    >>> from_aws({"Similarity": "99", "User": {"UserId": "ada", "UserStatus": "ACTIVE"}}, UserMatch)
    Traceback (most recent call last):
    ...
    facesearch.errors.WireError: not a UserMatch: Similarity: expected a number, got '99'
    """
    if not attrs.has(kind):
        raise InvalidParameterError.of("kind", kind, "a class of this library that mirrors an AWS shape")
    try:
        return cast("T", _converter().structure(payload, kind))
    except (ClassValidationError, IterableValidationError) as error:
        faults = "; ".join(f"{path}: {text}" if path else text for path, text in _faults(error))
        raise WireError(f"not a {kind.__name__}: {faults}") from error
    except _RefusedError as error:
        raise WireError(f"not a {kind.__name__}: {error}") from error


def is_local(kind: type[Any], name: str) -> bool:
    """Return whether a field of a class never travels: it is one of ours that AWS's shape does not have."""
    return any((base, name) in LOCAL_ONLY for base in kind.__mro__)


def wire_name(attribute: str) -> str:
    """Return AWS's name of an attribute: ``BoundingBox`` for ``bounding_box``."""
    return "".join(part.capitalize() for part in attribute.split("_"))


class _RefusedError(ValueError):
    """A plain value of the wrong type; becomes part of a `WireError`."""

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(f"expected {expected}, got {shown(value)}")


@cache
def _converter() -> Converter:
    """Build the one converter; cattrs compiles a function for each class when it is first met."""
    converter = Converter(detailed_validation=True)
    converter.register_unstructure_hook_factory(attrs.has, lambda kind: _unstructure_class(kind, converter))
    converter.register_structure_hook_factory(attrs.has, lambda kind: _structure_class(kind, converter))
    converter.register_unstructure_hook_func(_is_enum, lambda value: value.value)
    converter.register_structure_hook_func(_is_enum, _structure_enum)
    converter.register_unstructure_hook_factory(
        _is_tuple, lambda _: lambda items: [converter.unstructure(i) for i in items]
    )
    converter.register_structure_hook_factory(_is_tuple, lambda kind: _structure_tuple(kind, converter))
    for kind, accepted, expected in (
        (float, (float, int), "a number"),
        (int, (int,), "a whole number"),
        (bool, (bool,), "true or false"),
        (str, (str,), "a string"),
    ):
        converter.register_structure_hook(kind, _structure_plain(kind, accepted, expected))
    return converter


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _is_tuple(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is tuple


def _unstructure_class(kind: type[Any], converter: Converter) -> Callable[[Any], dict[str, Any]]:
    overrides: dict[str, Any] = {
        field.name: override(
            rename=wire_name(field.name),
            omit=True if is_local(kind, field.name) else None,
            omit_if_default=field.default is None,
        )
        for field in attrs.fields(kind)
    }
    return make_dict_unstructure_fn(kind, converter, **overrides)


def _structure_class(kind: type[Any], converter: Converter) -> Callable[[Any, Any], Any]:
    overrides: dict[str, Any] = {
        field.name: override(rename=wire_name(field.name), omit=True if is_local(kind, field.name) else None)
        for field in attrs.fields(kind)
    }
    generated = make_dict_structure_fn(kind, converter, **overrides)

    def structure(payload: Any, _: Any) -> Any:
        if not isinstance(payload, dict):
            raise _RefusedError("an object", payload)
        return generated(payload, kind)

    return structure


def _structure_enum(payload: Any, kind: type[Enum]) -> Enum:
    try:
        return kind(payload)
    except ValueError:
        raise _RefusedError(f"one of {', '.join(str(each.value) for each in kind)}", payload) from None


def _structure_tuple(kind: Any, converter: Converter) -> Callable[[Any, Any], tuple[Any, ...]]:
    list_kind: Any = list.__class_getitem__(get_args(kind)[0])
    structure_list = converter.get_structure_hook(list_kind)

    def structure(payload: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(payload, list | tuple):
            raise _RefusedError("a list", payload)
        return tuple(structure_list(payload, list_kind))

    return structure


def _structure_plain(kind: type[Any], accepted: tuple[type[Any], ...], expected: str) -> Callable[[Any, Any], Any]:
    def structure(payload: Any, _: Any) -> Any:
        # The exact type: True is an int to isinstance, and a string is a float to float().
        if type(payload) not in accepted:
            raise _RefusedError(expected, payload)
        return kind(payload)

    return structure


def _faults(error: BaseException, path: str = "") -> Iterator[tuple[str, str]]:
    """Walk cattrs' tree of errors; yield AWS's path and the text of each leaf."""
    if isinstance(error, ClassValidationError):
        with_notes, without = error.group_exceptions()
        for inner, note in with_notes:
            yield from _faults(inner, f"{path}.{wire_name(note.name)}".lstrip("."))
        for inner in without:
            yield from _faults(inner, path)
    elif isinstance(error, IterableValidationError):
        for inner, item_note in error.group_exceptions()[0]:
            yield from _faults(inner, f"{path}[{item_note.index}]")
    elif isinstance(error, KeyError):
        yield path, "required, but missing"
    elif isinstance(error, InvalidParameterError):
        attribute, _, text = str(error).partition(": ")
        yield f"{path}.{wire_name(attribute)}".lstrip("."), text
    else:
        yield path, str(error)
