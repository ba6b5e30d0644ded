"""Analysis of photos in threads of this process or in an executor, with a limited number of photos in progress.

A task is a path, or a photo's bytes, and the analyzer's settings; its result is a `PhotoAnalysis`: a few kilobytes each way. A worker
process loads the weights once, for its first photo. It must have the versions and weights of this process: otherwise the collection
would depend on which worker got which photo.
"""

import hashlib
import io
import pickle
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from functools import cache, lru_cache, partial
from pathlib import Path
from platform import node
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import attrs
from attrs import field

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.installed import installed_version
from facesearch.common.once import LOADING
from facesearch.common.validation import is_a, is_bool
from facesearch.enrolment.candidates import PhotoAnalysis, analyze_to_enroll, analyze_to_index
from facesearch.enrolment.dask_cluster import DaskExecutor
from facesearch.errors import (
    ExecutorError,
    FacesearchError,
    ImageError,
    ImageNotFoundError,
    InvalidParameterError,
    WeightsError,
    shown,
)
from facesearch.images.reading import MAX_FILE_BYTES, read_image
from facesearch.networks.runtime import usable_cores
from facesearch.networks.weights import models
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["Analyzed", "BrokenFile", "PhotoWorkers", "content_digest"]

# Photos in progress per core: enough that no worker idles while the next result in order is slow. A path takes no memory, a
# photo's bytes some megabytes, here and in a cluster's scheduler.
_EACH: Final = 16
_EACH_SENT: Final = 4
_MOST_SENT: Final = 256 * 2**20  # bytes of photos in progress
_ANALYZERS: Final = 2  # kept in a worker process
# The packages that decode photos and compute vectors.
_COMPUTING: Final = (
    "facesearch",
    "dlib-bin",
    "numpy",
    "onnx",
    "onnxruntime",
    "pi-heif",
    "Pillow",
    "scikit-image",
    "scipy",
)

Source = str | bytes
Environment = tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class BrokenFile:
    """A file that can't be read as a photo: the error as a text, and whether there is no such file."""

    error: str = field(validator=is_a(str))
    missing: bool = field(default=False, validator=is_bool)


Analyzed: TypeAlias = PhotoAnalysis | BrokenFile


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
) -> Analyzed:
    """Analyze a photo, given as a path or as its bytes; *enroll* returns the one face to enrol instead of all faces."""
    analyze = analyze_to_enroll if enroll else analyze_to_index
    try:
        # As a file, which may be larger than a picture given as bytes.
        picture = read_image(io.BytesIO(source) if isinstance(source, bytes) else source)
    except ImageError as error:
        text = str(error).removeprefix("image: ").removeprefix(f"image {shown(source)}: ")
        return BrokenFile(error=text, missing=isinstance(error, ImageNotFoundError))
    return analyze(analyzer, picture, quality_filter, thumbnails=thumbnails)


def analyze_in_worker(expected: Environment, recipe: bytes, source: Source, *, enroll: bool) -> Analyzed:
    """Analyze a photo in a worker process that must have the *expected* environment, with the pickled settings *recipe*."""
    ours = environment()
    if expected != ours:
        it_has = dict(ours)
        other = [f"{name} {given} (it has {it_has.get(name)})" for name, given in expected if it_has.get(name) != given]
        raise ExecutorError(
            f"executor: expected on its worker on {node()} {', '.join(other)}; install the same versions on every worker"
        )
    try:
        with LOADING:  # or two threads of a worker would load the weights twice
            analyzer, quality_filter, thumbnails = _unpickled(recipe)
        return analyze_photo(analyzer, quality_filter, source, thumbnails=thumbnails, enroll=enroll)
    except WeightsError as error:
        raise ExecutorError(
            f"executor: its worker on {node()} can't load a network ({error}); every worker needs the same file"
        ) from error


@lru_cache(maxsize=_ANALYZERS)
def _unpickled(recipe: bytes) -> tuple[FaceAnalyzer, QualityFilter, bool]:
    made: tuple[FaceAnalyzer, QualityFilter, bool] = pickle.loads(recipe)  # noqa: S301  # the process that called us wrote it
    return made


@cache
def environment() -> Environment:
    """Return what the analysis of a photo depends on beside its settings: versions, and the digest of all known weights."""
    weights = hashlib.sha256("".join(file.sha256 for file in models()).encode()).hexdigest()
    versions = ((package, installed_version(package) or "not installed") for package in _COMPUTING)
    return (*versions, ("weights", weights[:12]))


class PhotoWorkers:
    """Analyzes photos in parallel; a context manager that ends its threads when their work is done.

    *analyzer* is for this process, *elsewhere* for other processes, with the number of threads for one of them. For *executor*,
    *send_photos* and *most* see `facesearch.Collection.index_folder`, where the last is called ``in_flight``.

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
        send_photos: bool | None,
        most: int | None,
    ) -> None:
        if executor is not None and not isinstance(executor, Executor):
            raise InvalidParameterError.of(
                "executor",
                executor,
                "a concurrent.futures.Executor, or None",
                fix="a Dask client has client.get_executor()",
            )
        self._own = None if executor else ThreadPoolExecutor(usable_cores(), thread_name_prefix="facesearch")
        self._dask = DaskExecutor.of(executor)
        self._executor = self._dask or executor or self._own
        # A subclass may run more than threads or processes of this machine.
        self._threads = self._own is not None or type(executor) is ThreadPoolExecutor
        here = self._threads or type(executor) is ProcessPoolExecutor
        self._send_photos = not here if send_photos is None else send_photos
        self._given_most = most
        self._in_progress: dict[Future[Analyzed], int] = {}  # with the number of bytes sent
        self._analyze: Callable[..., Analyzed] = (
            partial(analyze_photo, analyzer, quality_filter, thumbnails=thumbnails)
            if self._threads
            else partial(analyze_in_worker, environment(), _recipe(elsewhere, quality_filter, thumbnails))
        )

    @property
    def is_full(self) -> bool:
        """Whether as many photos are in progress as may be, in number or in bytes."""
        return len(self._in_progress) >= self._most or sum(self._in_progress.values()) >= _MOST_SENT

    @property
    def _most(self) -> int:
        if self._given_most is not None:
            return self._given_most
        cores = (self._dask.cores if self._dask else 0) or usable_cores()
        return (_EACH_SENT if self._send_photos else _EACH) * cores

    def submit(self, path: Path, *, enroll: bool) -> "Future[Analyzed]":
        """Submit a photo for analysis; `ExecutorError` if the executor takes no more work."""
        executor: Any = self._executor
        try:
            source: Source = path.read_bytes() if self._send_photos else str(path.absolute())
        except OSError as error:
            broken: Future[Analyzed] = Future()
            broken.set_result(BrokenFile(error=f"expected a readable file, got {error}"))
            return broken
        try:
            future: Future[Analyzed] = executor.submit(self._analyze, source, enroll=enroll)
        except (BrokenExecutor, RuntimeError) as error:  # the latter of one that was shut down
            raise _failed(error) from error
        self._in_progress[future] = len(source) if isinstance(source, bytes) else 0
        return future

    def result(self, path: Path, digest: str | None, future: "Future[Analyzed]") -> Analyzed:
        """Return the result of the analysis of a photo that had the content *digest* when it was submitted.

        Raises
        ------
        ExecutorError
            If the executor broke, or can't transfer the task; or if its workers don't find the photo, or find another one.
        """
        self._in_progress.pop(future, None)
        try:
            analysis = future.result()
        except FacesearchError:
            raise
        except Exception as error:
            if self._dask and (explanation := self._dask.explained(error)):
                raise ExecutorError(f"executor: at {path}: {explanation}") from error
            if isinstance(error, BrokenExecutor | CancelledError | pickle.PicklingError | ImportError | EOFError):
                raise _failed(error) from error
            error.add_note(f"while looking at {path}")
            raise
        if not self._threads and not self._send_photos:
            _check_seen(path, digest, analysis)
        return analysis

    def cancel(self) -> None:
        """Cancel the photos in progress; a photo that a worker has begun is analyzed for nothing."""
        for future in self._in_progress:
            future.cancel()
        self._in_progress.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._own.shutdown()


def _check_seen(path: Path, digest: str | None, analysis: Analyzed) -> None:
    """Check that a worker that reads *path* itself has seen the file of this process, or one that changed meanwhile."""
    if isinstance(analysis, PhotoAnalysis):
        if digest not in {None, analysis.digest} and content_digest(path) == digest:
            raise ExecutorError(
                f"executor: its workers find another file at {path}; with send_photos=True they get this one"
            )
        return
    seen = path.exists()
    if seen and not analysis.missing:  # where it can't be read here either, the photo is broken and not the worker
        try:
            read_image(str(path))
        except ImageError:
            seen = False
    if seen:
        problem = "don't find" if analysis.missing else "can't read"
        raise ExecutorError(
            f"executor: its workers {problem} {path}; with send_photos=True they need not ({analysis.error})"
        )


def _recipe(analyzer: FaceAnalyzer, quality_filter: QualityFilter, thumbnails: bool) -> bytes:  # noqa: FBT001  # pickled as a tuple
    try:
        # Without the calibration, which the analysis does not need.
        return pickle.dumps((attrs.evolve(analyzer, calibration=None), quality_filter, thumbnails))
    except Exception as error:  # a stage's own pickling may raise what it likes
        raise InvalidParameterError(
            "executor: expected threads of this process, or an analyzer whose stages can be pickled as their settings, "
            f"got {shown(error)}"
        ) from error


def _failed(error: BaseException) -> ExecutorError:
    return ExecutorError(f"executor: it broke ({type(error).__name__}: {error}); what was done is kept")
