"""Values that are computed in a thread."""

import threading

import pytest

from facesearch.review import background
from facesearch.review.background import Snapshot

LONG = 60.0  # seconds; only ends what hangs


@pytest.fixture
def all_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every computation as a slow one."""
    monkeypatch.setattr(background, "_QUICK", -1.0)


def test_a_quick_value_is_computed_anew_each_time() -> None:
    numbers = iter(range(3))
    snapshot = Snapshot(lambda: next(numbers))

    assert [snapshot.get(LONG) for _ in range(3)] == [0, 1, 2]
    assert not snapshot.is_kept
    assert snapshot.peek() == 2


@pytest.mark.usefixtures("all_slow")
def test_a_slow_value_is_kept_until_it_is_forgotten() -> None:
    numbers = iter(range(3))
    snapshot = Snapshot(lambda: next(numbers))

    assert [snapshot.get(LONG) for _ in range(2)] == [0, 0]
    assert snapshot.is_kept
    snapshot.forget()
    assert snapshot.get(LONG) == 1


@pytest.mark.usefixtures("all_slow")
def test_a_slow_value_is_changed_in_place() -> None:
    snapshot: Snapshot[tuple[int, ...]] = Snapshot(lambda: (1, 2, 3))
    snapshot.get(LONG)

    snapshot.change(lambda value: value[1:])

    assert snapshot.get(LONG) == (2, 3)


def test_a_value_that_is_not_there_yet_is_none_and_comes_later() -> None:
    gate = threading.Event()
    snapshot = Snapshot(lambda: gate.wait(LONG))

    assert snapshot.get(0) is None
    gate.set()
    assert snapshot.get(LONG) is True


def test_the_result_of_a_computation_before_a_change_does_not_count() -> None:
    gate, numbers = threading.Event(), iter([1, 2])
    first = threading.Event()

    def compute() -> int:
        number = next(numbers)
        if number == 1:
            first.set()
            gate.wait(LONG)
        return number

    snapshot = Snapshot(compute)
    assert snapshot.get(0) is None
    assert first.wait(LONG)
    snapshot.forget()
    assert snapshot.get(LONG) == 2
    gate.set()
    assert snapshot.peek() == 2


def test_an_error_reaches_who_asks_and_the_next_gets_a_new_value() -> None:
    answers = iter([ValueError("broken"), None])

    def compute() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return "whole"

    snapshot = Snapshot(compute)
    with pytest.raises(ValueError, match="broken"):
        snapshot.get(LONG)
    assert snapshot.get(LONG) == "whole"
