"""The bound on pixels under decoding at the same time: heeded by all threads, given back whatever happens, not inherited by a fork."""

import io
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from facesearch.errors import ImageError
from facesearch.images import reading as module
from facesearch.images.pixel_budget import DECODING, PIXELS_AT_ONCE, PixelBudget
from facesearch.images.reading import MAX_SIDE, read_image
from facesearch.rekognition import Rekognition
from facesearch.testing.fakes import FakeDetector, fake_analyzer

PATIENCE = 300  # seconds until a thread that should go on is taken for stuck


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=40), st.integers(1, 8))
def test_threads_never_hold_more_than_the_budget_and_all_get_their_turn(wants: list[int], threads: int) -> None:
    budget, most, seen = PixelBudget(100), 100, []

    def work(pixels: int) -> int:
        with budget.room() as take:
            take(pixels)
            seen.append(budget.taken)
        return pixels

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(work, wants, timeout=PATIENCE)) == wants
    assert max(seen) <= most
    assert budget.taken == 0


def test_who_asks_for_more_than_is_left_waits_until_it_is_given_back() -> None:
    budget, begun, done = PixelBudget(100), threading.Event(), threading.Event()

    def second() -> None:
        with budget.room() as take:
            begun.set()
            take(60)
            done.set()

    thread = threading.Thread(target=second)
    with budget.room() as take:
        take(60)
        thread.start()
        assert begun.wait(PATIENCE)
        assert not done.wait(0.1)
    assert done.wait(PATIENCE)
    thread.join(PATIENCE)
    assert budget.taken == 0


def test_a_thread_that_has_a_share_is_not_made_to_wait_for_a_second_one() -> None:
    budget = PixelBudget(100)
    with budget.room() as outer:
        outer(100)
        with budget.room() as inner:
            inner(100)
            assert budget.taken == 100
        assert budget.taken == 100
    assert budget.taken == 0


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (100, 90)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    "source", [encoded("PNG"), encoded("JPEG"), np.zeros((90, 100), np.uint8)], ids=["png", "jpeg", "array"]
)
def test_reading_takes_a_share_and_gives_it_back_whether_it_succeeds_or_not(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = PixelBudget(100_000)
    monkeypatch.setattr(module, "DECODING", budget)
    taken: list[int] = []
    seal = module._sealed

    def watched(pixels: Any) -> Any:
        taken.append(budget.taken)
        return seal(pixels)

    monkeypatch.setattr(module, "_sealed", watched)
    read_image(source)
    assert taken == [9000]
    assert budget.taken == 0
    with pytest.raises(ImageError):
        read_image(encoded("PNG")[:-30])
    assert budget.taken == 0


def read_in_child(send: Any) -> None:
    send.send((DECODING.taken, read_image(encoded("PNG")).width))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_the_whole_budget_although_it_was_taken_in_its_parent() -> None:
    receive, send = multiprocessing.Pipe(duplex=False)
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with DECODING.room() as take:
            take(1 << 60)
            holding.set()
            release.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holding.wait(PATIENCE)
        child = multiprocessing.get_context("fork").Process(target=read_in_child, args=(send,))
        child.start()
        assert receive.poll(PATIENCE), "the child waits for ever"
        assert receive.recv() == (0, 100)
        child.join(PATIENCE)
        assert child.exitcode == 0
        assert DECODING.taken > 0
    finally:
        release.set()
        thread.join(PATIENCE)
    assert DECODING.taken == 0


def test_shares_are_kept_while_the_work_on_pictures_lasts() -> None:
    budget = PixelBudget(100)
    others: list[int] = []

    def other() -> None:
        with budget.room() as take:
            take(60)
            others.append(budget.taken)

    with budget.kept():
        with budget.room() as take:
            take(60)
        with budget.room() as second, budget.kept():  # a second picture of the same work
            second(60)
        assert budget.taken == 60
        thread = threading.Thread(target=other)
        thread.start()
        while not budget._waiting:
            assert thread.is_alive()
        assert not others
    thread.join(PATIENCE)
    assert others == [60]
    assert budget.taken == 0


def test_a_picture_of_the_largest_size_leaves_room_for_photos_of_a_phone() -> None:
    assert MAX_SIDE**2 + 2 * 12_000_000 <= PIXELS_AT_ONCE


def test_an_error_gives_kept_shares_back() -> None:
    budget = PixelBudget(100)

    def fail() -> None:
        with budget.kept(), budget.room() as take:
            take(60)
            raise ImageError("damaged")

    with pytest.raises(ImageError):
        fail()
    assert budget.taken == 0
    with budget.room() as take:  # nothing is kept any more
        take(60)
    assert budget.taken == 0


def test_a_service_holds_the_pixels_of_a_picture_while_it_detects_faces_in_it() -> None:
    held: list[int] = []

    class Watched(FakeDetector):
        def detect(self, pixels: Any) -> Any:
            held.append(DECODING.taken)
            return super().detect(pixels)

    with Rekognition(analyzer=attrs.evolve(fake_analyzer(), detector=Watched())) as service:
        service.detect_faces(Image={"Bytes": encoded("PNG")})
    assert held == [9000]
    assert DECODING.taken == 0
