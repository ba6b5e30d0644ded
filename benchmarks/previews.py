"""Measure the cost that the small pictures of a response add to a search, in the library and in the server's process.

Protocol
--------
- CPU milliseconds of the process, least and median of REPEATS calls: wall time is the same on an idle machine.
- Faces come from `facesearch.testing.fakes`, on painted photos: detection and embedding cost next to nothing, so the difference of
  two versions of this library is that of everything else. ``photo`` is the size of the array that is searched.
- ``kept`` keeps every response, ``dropped`` drops it at once, as a server does, ``shown`` asks for its HTML.
- ``server`` is ``Rekognition.call`` on a PNG file: decoding is in it, so compare it with itself only.
"""

import io
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from _machine import print_machine
from PIL import Image

import facesearch as fs
from facesearch.images.thumbnails import Preview
from facesearch.rekognition import Rekognition
from facesearch.testing.fakes import fake_analyzer, paint

SIZES = ((640, 480), (1280, 960), (4000, 3000))
REPEATS = 40


def photo_of(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return a painted photo of one face, (height, width, 3) RGB."""
    side = height // 2
    return paint((height, width), {(side // 2, side // 2, side // 2 + side, side // 2 + side): (200, 30, 30)})


def cpu_ms(call: Callable[[], Any]) -> str:
    """Return the least and the median CPU milliseconds of a call, as text."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        times.append(1000 * (time.process_time() - start))
    return f"{min(times):10.2f}{statistics.median(times):10.2f}"


def keep(search: Callable[[], fs.SearchUsersByImageResponse], kept: list[fs.SearchUsersByImageResponse]) -> None:
    """Search, and keep the response."""
    kept.append(search())


def show(search: Callable[[], fs.SearchUsersByImageResponse]) -> str:
    """Search, and return what a notebook shows."""
    return search()._repr_html_()


def measure(width: int, height: int) -> None:
    """Measure and print searches of a photo of one size."""
    analyzer = fake_analyzer()
    photo, size = photo_of(width, height), f"{width}x{height}"
    print(f"{size:<12}{'Preview.of':<24}{cpu_ms(lambda: Preview.of(photo))}")
    for thumbnails in (False, True):
        staff = fs.Collection("staff", analyzer=analyzer, thumbnails=thumbnails)
        staff.enroll("ada", [photo, photo, photo])
        search = partial(fs.search_users_by_image, staff, fs.read_image(photo))
        kept: list[fs.SearchUsersByImageResponse] = []
        ways: dict[str, Callable[[], Any]] = {
            "dropped": search,
            "kept": partial(keep, search, kept),
            "shown": partial(show, search),
        }
        for name, way in ways.items():
            print(f"{size:<12}{f'{name}, thumbnails' if thumbnails else name:<24}{cpu_ms(way)}")
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG", compress_level=1)
    request = {"CollectionId": "staff", "Image": {"Bytes": file.getvalue()}}
    with Rekognition(analyzer=analyzer) as service:
        service.call("CreateCollection", {"CollectionId": "staff"})
        print(f"{size:<12}{'server':<24}{cpu_ms(lambda: service.call('SearchUsersByImage', request))}")


def main() -> None:
    """Measure and print."""
    print_machine()
    print(f"{'photo':<12}{'':<24}{'least ms':>10}{'median':>10}")
    for width, height in SIZES:
        measure(width, height)


if __name__ == "__main__":
    main()
