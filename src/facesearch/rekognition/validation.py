"""Validate requests as AWS's front end does, with its error messages, before an operation starts.

Types are checked first, then all constraints of the service model at once, then the rules that the model can't express. The
messages follow responses of AWS: all invalid items of a list or map are reported together, under the name of the list or map.
"""

import functools
import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from facesearch.common.validation import plain_float, plain_int
from facesearch.images.reading import MAX_BYTES
from facesearch.rekognition.exceptions import (
    ImageTooLargeException,
    InvalidImageFormatException,
    InvalidParameterException,
    InvalidS3ObjectException,
    SerializationException,
    UnknownOperationException,
    ValidationException,
)
from facesearch.rekognition.model import IMAGE, OPERATIONS, Member, Shape

__all__ = ["check"]

_MOST_SHOWN: Final = 256  # longest value in a message, in characters

_SEPARATORS: Final = "\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # the characters of Java's \p{Z}
# Python's \w equals Java's \p{L}, \p{N} and the underscore; all patterns that use these classes also permit the underscore.
_CLASSES: Final = {r"\p{L}": r"\w", r"\p{N}": "", r"\p{Z}": _SEPARATORS}

_SURROGATES: Final = re.compile("[\ud800-\udfff]")  # an escape in JSON can produce a lone surrogate

_BASE64_HINT: Final = (
    "expected the bytes of a JPEG or PNG, got text; clients write them in base64 by themselves, so pass"
    " open(path, 'rb').read(), or base64.b64decode(text)"
)

_Rule = tuple[str, Callable[[Any], bool]]


def check(operation: str, parameters: Any) -> dict[str, Any]:
    """Validate the parameters of a request, convert them to plain Python values, and add AWS's documented defaults.

    Parameters are as boto3 takes them. ``None`` counts as absent; unknown members are ignored, as at AWS. NumPy scalars are
    accepted as numbers, ``bool`` is not. A blob is bytes, a bytearray, a memoryview, or a binary file object, which is read
    from its current position and left open. The result shares no mutable object with *parameters*.

    >>> check("SearchUsers", {"CollectionId": "staff", "UserId": "ada", "MaxUsers": 5})
    {'CollectionId': 'staff', 'UserId': 'ada', 'MaxUsers': 5, 'UserMatchThreshold': 80.0}
    >>> try:
    ...     check("SearchUsers", {"CollectionId": "staff", "MaxUsers": 501})
    ... except ValidationException as error:
    ...     print(error.message)
    1 validation error detected: Value '501' at 'maxUsers' failed to satisfy constraint: Member must have value less than or equal to 500
    """
    if operation not in OPERATIONS:
        raise UnknownOperationException(
            f"The operation {_shortened(operation)} is not answered here; supported are {', '.join(OPERATIONS)}"
        )
    members, broken = OPERATIONS[operation], list[str]()
    request = _structure(members, parameters, "", broken)
    if broken:
        errors = "error" if len(broken) == 1 else "errors"
        raise ValidationException(f"{len(broken)} validation {errors} detected: {'; '.join(broken)}")
    for name, member in members.items():
        if member.shape is IMAGE:
            _check_image(request[name], _camel(name))
    return request


def _structure(members: Mapping[str, Member], given: Any, path: str, broken: list[str]) -> dict[str, Any]:
    """Return the converted members of a structure, and append constraint violations to *broken*."""
    if not isinstance(given, Mapping):
        raise _wrong_type(given, "Structure", path)
    converted: dict[str, Any] = {}
    for name, member in members.items():
        here, value = f"{path}.{_camel(name)}".lstrip("."), given.get(name)
        if value is not None:
            converted[name] = _convert(member.shape, value, here, broken)
        elif member.required:
            broken.append(f"Value null at '{here}' failed to satisfy constraint: Member must not be null")
        elif member.default is not None:
            converted[name] = member.default
    return converted


def _convert(shape: Shape, value: Any, path: str, broken: list[str]) -> Any:
    if shape.kind == "structure":
        return _structure(shape.members, value, path, broken)
    if shape.kind == "map" and shape.key and shape.item:
        if not isinstance(value, Mapping):
            raise _wrong_type(value, "Map", path)
        pairs = {_plain(shape.key, key, path): _plain(shape.item, item, path) for key, item in value.items()}
        _check_rules(shape, pairs, path, broken)
        for inner, part, words in ((shape.key, 0, "Map keys"), (shape.item, 1, "Map value")):
            wrong = {pair[0]: pair[1] for pair in pairs.items() if not _satisfies(inner, pair[part])}
            _check_inner(inner, wrong, words, path, broken)
        return pairs
    if shape.kind == "list" and shape.item:
        if not isinstance(value, list | tuple):
            raise _wrong_type(value, "List", path)
        items = [_plain(shape.item, item, path) for item in value]
        _check_rules(shape, items, path, broken)
        _check_inner(shape.item, [item for item in items if not _satisfies(shape.item, item)], "Member", path, broken)
        return items
    plain = _plain(shape, value, path)
    _check_rules(shape, plain, path, broken)
    return plain


# ---------------------------------------------------------------- types


def _plain(shape: Shape, value: Any, path: str) -> Any:
    """Convert a string, number or blob to a plain Python value."""
    if shape.kind == "blob":
        return _blob(value, path)
    plain: Any = value
    if shape.kind == "string":
        right = isinstance(value, str)
        if right:
            plain = str.__str__(value)  # a subclass may override __str__
            if _SURROGATES.search(plain):
                raise SerializationException(f"STRING_VALUE is no Unicode text at '{path}'")
    elif shape.kind == "integer":
        plain = plain_int(value)
        right = isinstance(plain, int) and not isinstance(plain, bool)
    else:
        plain = plain_float(value)
        right = isinstance(plain, int | float) and not isinstance(plain, bool)
        if isinstance(plain, float) and not math.isfinite(plain):
            raise SerializationException(f"{plain} can not be converted to a Float at '{path}'")
    if not right:
        raise _wrong_type(value, shape.kind.capitalize(), path)
    return plain


def _blob(value: Any, path: str) -> Any:
    if isinstance(value, str):
        raise InvalidImageFormatException(f"Invalid image encoding. {path}: {_BASE64_HINT}")
    if isinstance(value, bytes | bytearray | memoryview):
        return (
            value if memoryview(value).nbytes > MAX_BYTES else bytes(value)
        )  # a value that is too large is not copied
    if not hasattr(value, "read"):
        raise _wrong_type(value, "Blob", path)
    if isinstance(value, io.TextIOBase):
        raise SerializationException(
            f"{path}: expected a binary file object, got one opened as text; open it in 'rb' mode"
        )
    data = bytearray()
    try:
        while len(data) <= MAX_BYTES and (part := value.read(MAX_BYTES + 1 - len(data))):
            data += part  # sockets and raw files may return fewer bytes than requested
    except Exception as error:  # a caller's object: network streams may raise anything
        raise InvalidParameterException(
            f"Request has invalid parameters. {path}: reading from the file failed: {_shortened(repr(error))}"
        ) from error
    return bytes(data)


def _wrong_type(value: Any, expected: str, path: str) -> SerializationException:
    """Return the error for a value of the wrong type, in the words of AWS's JSON parser, without the value itself."""
    where = f" at '{path}'" if path else ""
    if isinstance(value, Mapping):
        return SerializationException(f"Start of structure or map found where not expected{where}")
    if isinstance(value, list | tuple):
        return SerializationException(f"Start of list found where not expected{where}")
    names = {bool: f"{value is True}_VALUE".upper(), str: "STRING_VALUE", type(None): "NULL_VALUE"}
    numbers = {int: "NUMBER_VALUE", float: "NUMBER_VALUE"}
    kind = type(value)
    name = (names | numbers).get(kind, kind.__name__)
    article = "an" if expected == "Integer" else "a"
    return SerializationException(f"{name} can not be converted to {article} {expected}{where}")


# ---------------------------------------------------------------- constraints


@functools.cache
def _rules(shape: Shape) -> tuple[_Rule, ...]:
    """Return the constraints of a shape as pairs of AWS's description and a predicate."""
    number = shape.kind in {"integer", "float"}
    size, of = ("value", lambda value: value) if number else ("length", len)
    low, high, pattern = shape.low, shape.high, shape.pattern
    rules: list[_Rule] = []
    if high is not None and shape.kind != "blob":  # too many bytes are reported as ImageTooLargeException
        rules.append((f"Member must have {size} less than or equal to {high}", lambda value: of(value) <= high))
    if low is not None:
        rules.append((f"Member must have {size} greater than or equal to {low}", lambda value: of(value) >= low))
    if pattern is not None:
        matches = _compiled(pattern).fullmatch
        rules.append((f"Member must satisfy regular expression pattern: {pattern}", lambda text: bool(matches(text))))
    if shape.choices:
        words = f"Member must satisfy enum value set: [{', '.join(shape.choices)}]"
        rules.append((words, lambda text: text in shape.choices))
    return tuple(rules)


def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _satisfies(shape: Shape, value: Any) -> bool:
    return all(holds(value) for _, holds in _rules(shape))


def _check_rules(shape: Shape, value: Any, path: str, broken: list[str]) -> None:
    for words, holds in reversed(_rules(shape)):  # the order of AWS
        if not holds(value):
            broken.append(f"Value '{_text(value)}' at '{path}' failed to satisfy constraint: {words}")


def _check_inner(shape: Shape, wrong: list[Any] | dict[str, Any], what: str, path: str, broken: list[str]) -> None:
    """Append one violation for all invalid items of a list or map, with every rule of their shape; AWS lists the valid items too."""
    if wrong:
        rules = ", ".join(words for words, _ in _rules(shape))
        broken.append(
            f"Value '{_text(wrong)}' at '{path}' failed to satisfy constraint: {what} must satisfy constraint: [{rules}]"
        )


def _check_image(image: Mapping[str, Any], path: str) -> None:
    """Check the rules for images that the service model can't express."""
    given = [name for name in IMAGE.members if name in image]
    if len(given) != 1:
        raise InvalidParameterException(
            f"Request has invalid parameters. {path}: expected either Bytes or S3Object, got {'both' if given else 'none'}"
        )
    if "Bytes" in image and memoryview(image["Bytes"]).nbytes > MAX_BYTES:
        raise ImageTooLargeException(
            f"Image size is too large. {path}.bytes: expected at most {MAX_BYTES:,} bytes, got more"
        )
    if "S3Object" in image and not image["S3Object"].keys() >= {"Bucket", "Name"}:
        raise InvalidS3ObjectException(f"Request has invalid S3 object. {path}.s3Object: expected a Bucket and a Name")


# ---------------------------------------------------------------- text


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _text(value: Any) -> str:
    """Format a value as Java does; an image is formatted as its size."""
    if isinstance(value, bytes | bytearray | memoryview):
        size = memoryview(value).nbytes
        return f"java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]"
    if isinstance(value, list):
        return _shortened(f"[{', '.join(value)}]")
    if isinstance(value, dict):
        return _shortened("{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}")
    if isinstance(value, int):
        return _shortened(
            f"{value:#x}" if abs(value) > 1 << 64 else f"{value}"
        )  # Python refuses to format thousands of decimal digits
    return _shortened(str(value))


def _shortened(text: str) -> str:
    """Truncate a text, and escape characters that would break a line of a log."""
    if len(text) > _MOST_SHOWN:
        text = f"{text[: _MOST_SHOWN - 3]}..."
    return text if text.isprintable() else repr(text)[1:-1]
