"""Analysis of photos in threads of this process or in an executor, with a limited number of photos in progress.

A task is a path, or a photo's bytes, and the analyzer's settings; its result is a `PhotoAnalysis`: a few kilobytes each way. A worker
process loads the weights once, for its first photo.
"""

import hashlib
import io
import pickle
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import attrs
from attrs import field

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.validation import is_a, is_bool
from facesearch.enrolment.candidates import PhotoAnalysis, analyze_to_enroll, analyze_to_index
from facesearch.errors import (
    ExecutorError,
    FacesearchError,
    ImageError,
    ImageNotFoundError,
    InvalidParameterError,
    shown,
)
from facesearch.images.reading import MAX_FILE_BYTES, read_image
from facesearch.networks.runtime import usable_cores
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["BrokenFile", "PhotoWorkers", "content_digest"]

# Photos in progress per core: enough that no worker idles while the next result in order is slow. A path takes no memory, a
# photo's bytes some megabytes.
_EACH: Final = 16
_EACH_SENT: Final = 4
_ANALYZERS: Final = 2  # kept in a worker process

Source = str | bytes


@attrs.frozen(kw_only=True)
class BrokenFile:
    """A file that can't be read as a photo.

    Attributes
    ----------
    error
        The error as a text.
    missing
        Whether the file does not exist.
    """

    error: str = field(validator=is_a(str))
    missing: bool = field(default=False, validator=is_bool)


def content_digest(path: Path) -> str | BrokenFile:
    """Return the hex SHA-256 of a file's bytes, which is the digest of its picture, without decoding it."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            return BrokenFile(error="expected a file, got something else")
        if size > MAX_FILE_BYTES:
            return BrokenFile(error=f"expected at most {MAX_FILE_BYTES:,} bytes, got {size:,}")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return BrokenFile(error="expected a file, there is none", missing=True)
    except (OSError, ValueError) as error:
        return BrokenFile(error=f"expected a readable file, got {error}")


def analyze_photo(
    analyzer: FaceAnalyzer, quality_filter: QualityFilter, source: Source, *, thumbnails: bool, enroll: bool
) -> PhotoAnalysis | BrokenFile:
    """Analyze a photo, given as a path or as its bytes; *enroll* returns the one face to enrol instead of all faces."""
    analyze = analyze_to_enroll if enroll else analyze_to_index
    try:
        # As a file, which may be larger than a picture given as bytes.
        picture = read_image(io.BytesIO(source) if isinstance(source, bytes) else source)
    except ImageError as error:
        text = str(error).removeprefix("image: ").removeprefix(f"image {shown(source)}: ")
        return BrokenFile(error=text, missing=isinstance(error, ImageNotFoundError))
    return analyze(analyzer, picture, quality_filter, thumbnails=thumbnails)


def analyze_in_worker(
    recipe: bytes, quality_filter: QualityFilter, source: Source, *, thumbnails: bool, enroll: bool
) -> PhotoAnalysis | BrokenFile:
    """Analyze a photo in a worker process, with the pickled analyzer *recipe*."""
    return analyze_photo(_analyzer(recipe), quality_filter, source, thumbnails=thumbnails, enroll=enroll)


@lru_cache(maxsize=_ANALYZERS)
def _analyzer(recipe: bytes) -> FaceAnalyzer:
    made: FaceAnalyzer = pickle.loads(recipe)  # noqa: S301  # the process that called us wrote it
    return made


class PhotoWorkers:
    """Analyzes photos in parallel; a context manager that ends its threads when their work is done.

    Parameters
    ----------
    analyzer
        The analyzer for this process.
    elsewhere
        The analyzer for other processes, with the number of threads for one process.
    quality_filter
        The filter that faces must pass.
    thumbnails
        Make a thumbnail of each face that passes.
    executor
        Runs the tasks; ``None`` for a thread for each core of this process.
    send_photos
        Send the photos' bytes rather than their paths.
    most
        Greatest number of photos in progress, >= 1; ``None`` for 16 for each core of this machine, or 4 where they are sent.

    Raises
    ------
    InvalidParameterError
        If *executor* is not an executor, or the analyzer can't be sent to it.
    """

    def __init__(
        self,
        analyzer: FaceAnalyzer,
        elsewhere: FaceAnalyzer,
        quality_filter: QualityFilter,
        *,
        thumbnails: bool,
        executor: Executor | None,
        send_photos: bool,
        most: int | None,
    ) -> None:
        if executor is not None and not isinstance(executor, Executor):
            raise InvalidParameterError.of("executor", executor, "a concurrent.futures.Executor, or None")
        self._own = None if executor else ThreadPoolExecutor(usable_cores(), thread_name_prefix="facesearch")
        self._executor = executor or self._own
        self._send_photos = send_photos
        self.most = most or (_EACH_SENT if send_photos else _EACH) * usable_cores()
        # A subclass may run more than threads of this process.
        if self._own or type(executor) is ThreadPoolExecutor:
            self._analyze: Callable[..., PhotoAnalysis | BrokenFile] = partial(
                analyze_photo, analyzer, quality_filter, thumbnails=thumbnails
            )
        else:
            self._analyze = partial(analyze_in_worker, _recipe(elsewhere), quality_filter, thumbnails=thumbnails)

    def submit(self, path: Path, *, enroll: bool) -> "Future[PhotoAnalysis | BrokenFile]":
        """Submit a photo for analysis.

        Raises
        ------
        ExecutorError
            If the executor takes no more work.
        """
        executor: Any = self._executor
        try:
            source: Source = path.read_bytes() if self._send_photos else str(path.absolute())
        except OSError as error:
            broken: Future[PhotoAnalysis | BrokenFile] = Future()
            broken.set_result(BrokenFile(error=f"expected a readable file, got {error}"))
            return broken
        try:
            future: Future[PhotoAnalysis | BrokenFile] = executor.submit(self._analyze, source, enroll=enroll)
        except (BrokenExecutor, RuntimeError) as error:  # the latter of one that was shut down
            raise _failed(error) from error
        return future

    def result(self, path: Path, future: "Future[PhotoAnalysis | BrokenFile]") -> PhotoAnalysis | BrokenFile:
        """Return the result of the analysis.

        Raises
        ------
        ExecutorError
            If the executor broke, or can't transfer the task; or if its workers don't find the photo.
        """
        try:
            analysis = future.result()
        except FacesearchError:
            raise
        except (BrokenExecutor, CancelledError, pickle.PicklingError, ImportError, EOFError) as error:
            raise _failed(error) from error
        except Exception as error:
            error.add_note(f"while looking at {path}")
            raise
        if isinstance(analysis, BrokenFile) and analysis.missing and not self._own and path.exists():
            raise ExecutorError(f"executor: its workers don't find {path}; with send_photos=True they need not")
        return analysis

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._own.shutdown()


def _recipe(analyzer: FaceAnalyzer) -> bytes:
    try:
        return pickle.dumps(attrs.evolve(analyzer, calibration=None))  # which analysis does not need
    except Exception as error:  # a stage's own pickling may raise what it likes
        raise InvalidParameterError(
            "executor: expected threads of this process, or an analyzer whose stages can be pickled as their settings, "
            f"got {shown(error)}"
        ) from error


def _failed(error: BaseException) -> ExecutorError:
    return ExecutorError(f"executor: it broke ({type(error).__name__}: {error}); what was done is kept")
