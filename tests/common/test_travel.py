"""Every public value and error can be copied, pickled and sent to another process, and is equal when it is back."""

import copy
import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.rekognition import Rekognition
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import values as strategy
from public_values import AT_WORK, ENGINES, ENUMS, ERRORS, NOT_MADE, VALUES, public_classes, samples

PHOTO = paint((200, 200), {(40, 40, 160, 160): (200, 30, 30)})


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, list[Any]]:
    return samples(tmp_path_factory.mktemp("people"))


def test_every_public_class_is_a_value_an_enum_an_error_or_named() -> None:
    rest = public_classes(lambda kind: kind not in VALUES and kind not in ENUMS and kind not in ERRORS)
    assert {kind.__name__ for kind in rest} <= ENGINES | AT_WORK | NOT_MADE


def there_and_back(value: Any) -> Iterator[Any]:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.loads(pickle.dumps(value, protocol))  # noqa: S301  # what was just written
    yield copy.copy(value)
    yield copy.deepcopy(value)


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_every_public_value_is_equal_after_a_trip(values: dict[Any, list[Any]], kind: Any) -> None:
    assert kind in values, f"no sample of {kind.__name__}: add one to public_values.py"
    for value in values[kind][:5]:
        for back in there_and_back(value):
            assert type(back) is kind
            assert back == value
            assert not back != value  # noqa: SIM202  # both are written
            assert repr(back) == repr(value)
            assert hash(back) == hash(value)


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_every_public_enum_is_the_same_after_a_trip(kind: Any) -> None:
    assert all(back is member for member in kind for back in there_and_back(member))


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_says_the_same_after_a_trip(kind: Any) -> None:
    error = kind("collection_id: expected a good one")
    for name, value in {"operation_name": "SearchUsersByImage"}.items():
        if hasattr(error, name):
            setattr(error, name, value)
    for back in there_and_back(error):
        assert type(back) is kind
        assert str(back) == str(error)
        assert back.args == error.args
        assert vars(back) == vars(error)
        assert getattr(back, "response", None) == getattr(error, "response", None)


@given(strategy(fs.DetectedFace), st.binary(min_size=12, max_size=12), st.binary(min_size=12, max_size=12))
def test_faces_are_equal_where_all_of_them_is(detail: fs.DetectedFace, one: bytes, other: bytes) -> None:
    def face(content: bytes) -> fs.LocatedFace:
        pixels = np.frombuffer(content, np.uint8).reshape(2, 2, 3)
        return fs.LocatedFace(detail=detail, measurements=MEASURED, chip=pixels, probe=pixels.copy())

    assert (face(one) == face(other)) == (one == other)
    assert one != other or hash(face(one)) == hash(face(other))
    assert face(one) != detail


MEASURED = fake_analyzer().locate(PHOTO)[0].measurements


def test_a_picture_stays_read_only() -> None:
    for back in there_and_back(fs.read_image(PHOTO)):
        assert not back.pixels.flags.writeable
        assert back.digest == fs.read_image(PHOTO).digest


def test_what_is_at_work_says_what_to_send_instead() -> None:
    for thing in (fs.Collection("staff"), Rekognition()):
        for way in (pickle.dumps, copy.deepcopy):
            with pytest.raises(fs.InvalidParameterError, match="can't be copied or pickled"):
                way(thing)


def test_a_process_pool_returns_faces() -> None:
    analyzer = fake_analyzer()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(analyzer.analyze, PHOTO, attributes=["ALL"]).result() == analyzer.analyze(
            PHOTO, attributes=["ALL"]
        )
        assert pool.submit(analyzer.locate, PHOTO).result() == analyzer.locate(PHOTO)
