"""Measure the time of one search by stage."""

import time
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import attrs
import numpy as np
from attrs import field

from facesearch.analysis.analyzer import Engine, FaceAnalyzer, analyzer_or_default
from facesearch.collection.collection import Collection
from facesearch.common.arrays import FloatArray
from facesearch.common.validation import between, check_int, is_a, plain_float, plain_int, tuple_of, whole
from facesearch.errors import InvalidParameterError
from facesearch.images.reading import ImageSource, read_image
from facesearch.search.users import search_users_by_image

__all__ = ["REPEATS", "USERS", "Speed", "StageTime", "measure_speed"]

REPEATS = 9
USERS = 10_000
_VECTOR_LENGTH = 1.4  # of the network's vectors

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class StageTime:
    """Time of one stage.

    Attributes
    ----------
    name
        The stage.
    median_ms, least_ms
        Milliseconds; the least is the time of the code when nothing else runs.
    share
        Of the whole search's median: a ratio, >= 0. The stages' shares need not add up to 1.
    """

    name: str = field(validator=is_a(str))
    median_ms: float = field(converter=plain_float, validator=between(0))
    least_ms: float = field(converter=plain_float, validator=between(0))
    share: float = field(converter=plain_float, validator=between(0))


@attrs.frozen(kw_only=True)
class Speed:
    """Time of one search, stage by stage.

    Attributes
    ----------
    width, height
        Pixels of the photo.
    faces
        Number of faces detected; alignment and landmarks are summed over them, one is embedded.
    users
        Number of users in the gallery.
    repeats
        Runs measured, after one to warm up.
    engine
        The engine that runs the networks.
    stages
        In the order of the search; last the whole search in one call.
    """

    width: int = field(converter=plain_int, validator=whole(1))
    height: int = field(converter=plain_int, validator=whole(1))
    faces: int = field(converter=plain_int, validator=whole(1))
    users: int = field(converter=plain_int, validator=whole(1))
    repeats: int = field(converter=plain_int, validator=whole(1))
    engine: Engine = field(validator=is_a(Engine))
    stages: tuple[StageTime, ...] = field(validator=tuple_of(StageTime))


def measure_speed(
    photo: ImageSource,
    *,
    analyzer: FaceAnalyzer | None = None,
    users: int = USERS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Speed:
    """Time the stages of one search, and the search in one call.

    Parameters
    ----------
    photo
        Anything that can be searched, but for a file object, which could be read only once; with a face in it.
    analyzer
        Detects and embeds; by default the process's analyzer.
    users
        Random users in the gallery, >= 1. The threshold is the default one.
    repeats
        Runs to measure, >= 1.
    seed
        For the random users, >= 0.

    Raises
    ------
    ImageError
        If the picture can't be used.
    InvalidParameterError
        If no face is found in it, or another argument is wrong.
    """
    analyzer = analyzer_or_default(analyzer)
    check_int("repeats", repeats, 1)
    read_image(photo)  # an unusable photo fails before the gallery is made
    crowd = _crowd(analyzer, check_int("users", users, 1), check_int("seed", seed, 0))
    times: dict[str, list[float]] = {}
    for _ in range(repeats + 1):
        faces, shape = _search(times, crowd, analyzer, photo)
    whole_search = median(times["whole search"][1:])
    return Speed(
        width=shape[1],
        height=shape[0],
        faces=faces,
        users=users,
        repeats=repeats,
        engine=analyzer.engine,
        stages=tuple(
            StageTime(
                name=name, median_ms=median(runs[1:]), least_ms=min(runs[1:]), share=median(runs[1:]) / whole_search
            )
            for name, runs in times.items()
        ),
    )


def _crowd(analyzer: FaceAnalyzer, users: int, seed: int) -> Collection:
    shape = (users, analyzer.face_model.dimension)
    vectors: FloatArray = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    vectors *= _VECTOR_LENGTH / np.linalg.norm(vectors, axis=1, keepdims=True)
    crowd = Collection("benchmark", analyzer=analyzer)
    crowd.add_embeddings([f"user{row}" for row in range(users)], vectors)
    return crowd


def _search(
    times: dict[str, list[float]], crowd: Collection, analyzer: FaceAnalyzer, photo: ImageSource
) -> tuple[int, tuple[int, ...]]:
    """Search once, add the milliseconds of each stage to *times*, and return the number of faces and the shape of the photo."""

    def timed(name: str, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = call()
        times.setdefault(name, []).append(1000 * (time.perf_counter() - start))
        return result

    pixels = timed("read", lambda: read_image(photo)).pixels
    found = timed("detect", lambda: analyzer.detector.detect(pixels))
    if not found:
        raise InvalidParameterError(f"photo: expected a photo with a face, found none in {pixels.shape[:2]} pixels")
    aligned = timed("align", lambda: [analyzer.aligner.align(pixels, face) for face in found])
    points = timed("landmarks", lambda: [analyzer.landmarker.locate(pixels, face) for face in aligned])
    probe = analyzer.embedder.cut(pixels, aligned[0], points[0])
    vectors = timed("embed", lambda: analyzer.embedder.embed(probe[np.newaxis]))
    timed("search", lambda: crowd.search_embedding(vectors[0]))
    timed("whole search", lambda: search_users_by_image(crowd, photo))
    return len(found), pixels.shape
