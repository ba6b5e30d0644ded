"""A wrong object where one of ours is expected: our own error, with the argument, what was expected and the likely fix."""

import contextlib
import inspect
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np
import pytest

import facesearch as fs
from facesearch import benchmark, plotting, rekognition
from facesearch.testing import fakes, strategies
from facesearch.testing.fakes import FAKE_MODEL, fake_analyzer, fake_calibration, paint
from public_values import samples

MODULES: tuple[ModuleType, ...] = (fs, benchmark, plotting, rekognition, fakes, strategies)
ANALYZER = fake_analyzer()
PHOTO = paint((200, 200), {(40, 40, 160, 160): (200, 30, 30)})
RESPONSE = fs.search_users_by_image(fs.Collection("staff", analyzer=ANALYZER), PHOTO)
FACE_ID = "00000000-0000-0000-0000-000000000000"


def ours(annotation: Any) -> set[type]:
    """Return the classes of this library that an annotation names, however deep."""
    found = {each for part in typing.get_args(annotation) for each in ours(part)}
    if inspect.isclass(annotation) and annotation.__module__.startswith("facesearch"):
        found.add(annotation)
    return found


def annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function's parameters; those that name other libraries for type checkers only are Any."""
    names = {"Axes": Any, "Figure": Any, "RekognitionClient": Any, "BinaryIO": typing.BinaryIO}
    plain = inspect.unwrap(function)
    return typing.get_type_hints(plain, {**vars(inspect.getmodule(plain)), **names})


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Walk all public functions, and the public methods of public classes, as they are before they are bound."""
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield name, value
            elif inspect.isclass(value) and value.__module__.startswith("facesearch"):
                for method, function in inspect.getmembers(value, inspect.isroutine):
                    plain = getattr(function, "__func__", function)
                    if not inspect.isfunction(plain) or not (plain.__module__ or "").startswith("facesearch"):
                        continue
                    if not method.startswith("_") or (method == "__init__" and not attrs.has(value)):
                        yield f"{name}.{method}", plain


def parameters() -> Iterator[tuple[str, str, Any, Any]]:
    """Walk all parameters that take an object of ours: the function's name, the parameter's, the function, the classes."""
    for name, function in functions():
        known = annotations(function)
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name not in {"self", "cls"} and (kinds := ours(known.get(parameter.name))):
                yield name, parameter.name, function, kinds


def fields() -> Iterator[tuple[Any, Any, Any]]:
    """Walk all fields of public attrs classes that take an object of ours: the class, the field, the classes."""
    for module in MODULES:
        for name in module.__all__:
            kind = getattr(module, name)
            if inspect.isclass(kind) and attrs.has(kind):
                for field in attrs.fields(attrs.resolve_types(kind)):
                    if field.init and (kinds := ours(field.type)):
                        yield kind, field, kinds


# What the other parameters get, by their names.
_STAGE_METHODS = ("align", "assess", "cut", "describe", "detect", "embed", "locate")
GOOD: dict[str, Any] = {
    "collection": fs.Collection("staff", analyzer=ANALYZER),
    "collection_id": "staff",
    "user_id": "ada",
    "face_id": FACE_ID,
    "source": PHOTO,
    "target": PHOTO,
    "image": PHOTO,
    "images": [PHOTO],
    "pixels": PHOTO,
    "faces": ANALYZER.locate(PHOTO),
    "bars": None,
    "face_model": FAKE_MODEL,
    "calibration": fake_calibration(),
    "vector": np.ones(128),
    "probe": np.ones(128),
    "probes": np.ones((1, 128)),
    "matrix": np.ones((1, 128)),
    "user_ids": ["ada"],
    "text": fake_calibration().to_json(),
    "photos": [PHOTO],
    "share": 0.5,
    "distances": [0.2, 0.9],
    "same": [1, 0],
    "vectors": np.ones((4, 128), np.float32),
    "people": ["ada", "ada", "bob", "bob"],
    "data": "none",
    "path": "people.db",
    "payload": {},
    "matches": (),
    "operation": "ListCollections",
    "response": RESPONSE,
    "photo": PHOTO,
    "folder": "people",
}
SPECIAL: dict[str, dict[str, Any]] = {
    "Collection.pictures": {"probe": ANALYZER.analyze(PHOTO)[0]},
    "identify": {"people": {str(name): np.ones((4, 128), np.float32) * name for name in range(1, 9)}},
}
# Stages are called by the pipeline for each face of each photo, and only by it; stores by the collection.
STAGES = {
    *(
        f"{name}.{method}"
        for name in (*fakes.__all__, "OnnxEmbedder", "SFaceEmbedder", "NetworkEmbedder")
        for method in _STAGE_METHODS
    ),
    *(f"Store.{method}" for method in vars(fs.Store)),
}
TAKE_USER_IDS = {"Collection.photos_of"}  # any text of these characters may be the id of a user
PICTURES = {"source", "target", "photo", "images", "image"}  # the one reader of pictures says "image" of them all


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    folder = tmp_path_factory.mktemp("people")
    made = {kind: each[0] for kind, each in samples(folder).items()}
    made[fs.Collection] = fs.Collection("staff", analyzer=ANALYZER, thumbnails=True)
    made[fs.FaceAnalyzer] = ANALYZER
    made[rekognition.Rekognition] = rekognition.Rekognition()
    return made


def wrong_objects(kinds: set[type], annotation: Any) -> Iterator[Any]:
    yield from ("staff", object(), 3, b"staff", {"staff": 1}, FACE_ID)
    yield fs.Collection if fs.Collection not in kinds else fs.FaceAnalyzer()
    if not any(issubclass(kind, Enum) for kind in kinds):
        yield from kinds  # the class in place of an object of it
    if "Sequence" in str(annotation) or "tuple" in str(annotation) or "Iterable" in str(annotation):
        yield from (["staff"], (object(),), (None,))


def run(call: Callable[[], Any]) -> None:
    """Call, and do all that is done later: of a generator, or within a block."""
    result = call()
    if isinstance(result, contextlib.AbstractContextManager) and not isinstance(result, fs.Collection):
        with result:
            pass
    elif isinstance(result, Iterator):
        list(result)


def refuses(call: Callable[[], Any], argument: str, value: Any) -> None:
    with pytest.raises((fs.InvalidParameterError, fs.ImageError)) as caught:
        run(call)
    message = f"{argument}={value!r}: {caught.value}"
    assert argument in str(caught.value) or (argument in PICTURES and "image" in str(caught.value)), message
    assert "expected" in message


PARAMETERS = [each for each in parameters() if each[0] not in STAGES]


@pytest.mark.parametrize("case", PARAMETERS, ids=lambda each: f"{each[0]}-{each[1]}")
def test_every_function_names_the_argument_that_is_a_wrong_object(
    made: dict[Any, Any], case: tuple[str, str, Any, set[type]], tmp_path: Path
) -> None:
    name, parameter, function, kinds = case
    signature = inspect.signature(function)
    owner = name.partition(".")[0] if "." in name else None
    known = GOOD | {"path": tmp_path / "people.db"} | SPECIAL.get(name, {})
    arguments: dict[str, Any] = {}
    for each in signature.parameters.values():
        if each.name in {"self", "cls", parameter} or each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD}:
            continue
        if each.default is each.empty:
            assert each.name in known, f"{name}: no good value for the parameter {each.name}; add one to GOOD"
            arguments[each.name] = known[each.name]
    target = function
    if owner:
        kind = next(getattr(module, owner) for module in MODULES if owner in module.__all__)
        method = name.partition(".")[2]
        is_class_method = isinstance(inspect.getattr_static(kind, method), classmethod)
        assert method == "__init__" or is_class_method or kind in made, f"no sample of {owner}"
        target = kind if method == "__init__" else getattr(kind if is_class_method else made[kind], method)
    for value in wrong_objects(kinds, annotations(function)[parameter]):
        if name in TAKE_USER_IDS and isinstance(value, str):
            continue
        if signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
            refuses(partial(target, value, **arguments), parameter, value)
        else:
            refuses(partial(target, **{**arguments, parameter: value}), parameter, value)


@pytest.mark.parametrize(
    ("kind", "field", "kinds"), [*fields()], ids=lambda each: getattr(each, "__name__", getattr(each, "name", ""))
)
def test_every_class_names_the_field_that_is_a_wrong_object(
    made: dict[Any, Any], kind: Any, field: Any, kinds: set[type]
) -> None:
    assert kind in made, f"no sample of {kind.__name__}"
    right = {each.alias: getattr(made[kind], each.name) for each in attrs.fields(kind) if each.init}
    for value in wrong_objects(kinds, field.type):
        refuses(partial(kind, **right | {field.alias: value}), field.alias, value)
