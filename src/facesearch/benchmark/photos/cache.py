"""Cache vectors from one run to the next, for exactly the photos, models and options that made them."""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.benchmark.metrics.roc import BoolArray
from facesearch.benchmark.photos.cutting import CutOptions
from facesearch.common.arrays import FloatArray
from facesearch.common.class_names import stable_name
from facesearch.errors import ImageNotFoundError, InvalidParameterError
from facesearch.files.writing import OutputKind, check_output, write_file

__all__ = ["cache_key", "load_vectors", "save_vectors"]

_FORMAT = "facesearch vectors 1"  # increase it when the pipeline changes in a way that the key does not cover


def cache_key(photos: Sequence[Path], analyzer: FaceAnalyzer, options: CutOptions) -> str:
    """Return a SHA-256 over everything that the vectors depend on: content and order of the photos, stages, options.

    Raises
    ------
    ImageNotFoundError
        If a photo can't be read.
    """
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
    """Return (N, D) vectors and (N,) whether a face was detected, or ``None`` where the file has none for *key*.

    Raises
    ------
    InvalidParameterError
        If the file is of another kind: it would be overwritten.
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
