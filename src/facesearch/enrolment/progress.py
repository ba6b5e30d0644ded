"""Progress of indexing a folder: a bar on a terminal where tqdm is installed, or lines in the log."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from facesearch.common.progress import progress_bar
from facesearch.errors import InvalidParameterError
from facesearch.responses.folder import FolderProgress

__all__ = ["progress_reporter"]

_EVERY: Final = 5.0  # seconds between two lines in the log

_logger = logging.getLogger("facesearch")

Report = Callable[[FolderProgress], object]


@contextlib.contextmanager
def progress_reporter(progress: bool | Report, total: int) -> Iterator[Report]:  # noqa: FBT001  # the public option, passed on
    """Yield the function that reports the progress of *total* photos, by the option of `facesearch.Collection.index_folder`."""
    if callable(progress):
        yield progress
    elif progress is False:
        yield lambda _: None
    elif progress is not True:
        raise InvalidParameterError.of("progress", progress, "True, False or a function of a FolderProgress")
    elif (bar := progress_bar("photos", total, unit="photo")) is not None:
        with bar:
            yield lambda now: _move(bar, now)
    else:
        yield _Lines()


def _move(bar: Any, now: FolderProgress) -> None:
    counts = {"accepted": now.accepted, "refused": now.refused} | ({"broken": now.broken} if now.broken else {})
    if now.waiting:
        counts = {"to be judged": now.waiting} | counts
    bar.set_postfix(counts, refresh=False)
    bar.update(now.done - bar.n)


class _Lines:
    """Logs the progress, at most every 5 seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _EVERY

    def __call__(self, now: FolderProgress) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            _logger.info("%s", now)
