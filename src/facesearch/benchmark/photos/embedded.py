"""Embed many photos, one face each, on all cores, and cache the vectors from one run to the next.

A cache is used for exactly the photos, models and options that made it.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import attrs
import numpy as np
from attrs import field

from facesearch.analysis.analyzer import FaceAnalyzer, analyzer_or_default
from facesearch.benchmark.metrics.roc import BoolArray
from facesearch.benchmark.photos.cutting import CutFace, CutOptions, cut_face, options_or_default
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.common.class_names import stable_name
from facesearch.common.equality import content
from facesearch.common.ordered_map import in_order
from facesearch.common.progress import progress
from facesearch.common.validation import check_int, is_a, tuple_of
from facesearch.domain.entities import FaceModel
from facesearch.errors import ImageError, ImageNotFoundError, InvalidParameterError
from facesearch.files.writing import OutputKind, check_output, write_file
from facesearch.networks.runtime import usable_cores

__all__ = ["EmbeddedPhotos", "embed_photos", "load_vectors", "save_vectors"]

_FORMAT = "facesearch vectors 1"  # increase it when the pipeline changes in a way that the cache's key does not cover
_BATCH = 16  # faces embedded in one call


@attrs.frozen(kw_only=True)
class EmbeddedPhotos:
    """N photos and their vectors.

    Attributes
    ----------
    photos
        The N paths.
    vectors
        (N, D) float32.
    detected
        (N,) bool: ``False`` where no face was detected and the rule's square was used.
    face_model
        The model that made the vectors.
    options
        Options for cropping the faces.
    """

    photos: tuple[Path, ...] = field(repr=False, validator=tuple_of(Path))
    vectors: FloatArray = field(repr=False, eq=content)
    detected: BoolArray = field(repr=False, eq=content)
    face_model: FaceModel = field(validator=is_a(FaceModel))
    options: CutOptions = field(validator=is_a(CutOptions))

    @property
    def undetected(self) -> int:
        """Number of photos without a detected face."""
        return int((~self.detected).sum())


def embed_photos(
    photos: Sequence[str | Path],
    *,
    analyzer: FaceAnalyzer | None = None,
    options: CutOptions | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
) -> EmbeddedPhotos:
    """Embed the one face of each photo, on all cores.

    Parameters
    ----------
    photos
        One or more paths.
    analyzer
        Detects and embeds; by default the process's analyzer.
    options
        Options for cropping the face of each photo.
    cache
        An ``.npz`` file that keeps the vectors from one run to the next, for as long as the photos' content, the face
        model, the stages and the options are the same. Vectors are biometric data: keep it outside any repository.
    workers
        Threads, >= 1; by default one for each core.

    Returns
    -------
    EmbeddedPhotos
        In the order of *photos*; every photo is in it.

    Raises
    ------
    ImageError
        If a picture can't be used; the message names the file.
    InvalidParameterError
        If another argument is invalid, or *cache* is a file of another kind.
    """
    analyzer, options = analyzer_or_default(analyzer), options_or_default(options)
    threads = usable_cores() if workers is None else check_int("workers", workers, 1)
    paths = tuple(Path(photo) for photo in photos)
    if not paths or isinstance(photos, str):
        raise InvalidParameterError.of("photos", photos, "one or more paths")
    key = _cache_key(paths, analyzer, options) if cache is not None else ""
    known = load_vectors(Path(cache), key) if cache is not None else None
    vectors, detected = known or _embedded(paths, analyzer, options, threads)
    if cache is not None and known is None:
        save_vectors(Path(cache), key, vectors, detected)
    return EmbeddedPhotos(
        photos=paths, vectors=vectors, detected=detected, face_model=analyzer.face_model, options=options
    )


def _embedded(
    paths: Sequence[Path], analyzer: FaceAnalyzer, options: CutOptions, workers: int
) -> tuple[FloatArray, BoolArray]:
    vectors = np.empty((len(paths), analyzer.face_model.dimension), np.float32)
    detected = np.empty(len(paths), bool)
    probes: list[PixelArray] = []
    for row, face in enumerate(progress(_cut(paths, analyzer, options, workers), "photos", len(paths))):
        detected[row] = face.detected
        probes.append(face.probe)
        if len(probes) == _BATCH or row == len(paths) - 1:
            vectors[row + 1 - len(probes) : row + 1] = analyzer.embedder.embed(np.stack(probes))
            probes.clear()
    return vectors, detected


def _cut(paths: Sequence[Path], analyzer: FaceAnalyzer, options: CutOptions, workers: int) -> Iterator[CutFace]:
    """Yield the faces in order; only a few photos are in memory at a time."""

    def cut(path: Path) -> CutFace:
        try:
            return cut_face(path, analyzer=analyzer, options=options)
        except ImageError as error:
            raise type(error)(f"{path}: {error}") from error

    return in_order(cut, paths, workers)


def _cache_key(photos: Sequence[Path], analyzer: FaceAnalyzer, options: CutOptions) -> str:
    """Return a SHA-256 over everything that the vectors depend on: content and order of the photos, stages, options."""
    stages = (analyzer.detector, analyzer.aligner, analyzer.landmarker, analyzer.embedder)
    names = [stable_name(type(stage)) for stage in stages]
    digest = hashlib.sha256(repr((_FORMAT, analyzer.engine, analyzer.face_model, names, options)).encode())
    for photo in photos:
        try:
            digest.update(hashlib.sha256(photo.read_bytes()).digest())
        except OSError as error:
            raise ImageNotFoundError(f"photos: {photo} can't be read: {error}") from error
    return digest.hexdigest()


def load_vectors(path: Path, key: str) -> tuple[FloatArray, BoolArray] | None:
    """Return (N, D) vectors and (N,) whether a face was detected, or ``None`` where the cache has none for *key*.

    A file of another kind is an error: it would be overwritten.
    """
    if not path.exists():
        check_output(path, _KIND)
        return None
    try:
        # Opened here: NumPy leaves a file open that turns out to be none of its own.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            made_by, found, vectors, detected = (stored[name] for name in ("format", "key", "vectors", "detected"))
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise InvalidParameterError(f"{_expected(path)}, which is none ({type(error).__name__})") from error
    if str(made_by) != _FORMAT:
        raise InvalidParameterError(f"{_expected(path)}, which is of another format")
    return (vectors, detected) if str(found) == key else None


def _expected(path: Path) -> str:
    return f"cache: expected a new file, or one of the benchmark's own; got {path}"


def _is_cache(file: IO[bytes]) -> bool:
    with np.load(file, allow_pickle=False) as stored:
        return str(stored["format"]) == _FORMAT


_KIND = OutputKind(name="a cache of facesearch's benchmark", recognises=_is_cache)


def save_vectors(path: Path, key: str, vectors: FloatArray, detected: BoolArray) -> None:
    """Write a cache atomically; create its folder if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_file(path, _KIND) as stream:
        np.savez(stream, format=_FORMAT, key=key, vectors=vectors, detected=detected)
