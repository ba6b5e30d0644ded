"""Hash, check and open an ONNX file of unknown origin."""

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.errors import WeightsError
from facesearch.networks.onnx_simplify import MOST_EXPANSION, drop_dead_inputs, every_part, free_batch, unpack_weights
from facesearch.networks.runtime import open_session

if TYPE_CHECKING:
    import onnx

__all__ = ["file_digest", "open_file"]

_LARGEST = 2**31 - 1  # bytes: what protobuf can hold
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


def file_digest(path: Path, expected: str | None) -> str:
    """Return the SHA-256 of a file in hex; raise a `WeightsError` where it differs from the *expected* one, if any."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error})") from error
    if expected not in {None, digest}:
        raise WeightsError(f"{path}: expected SHA-256 {expected}, got {digest}")
    return digest


def open_file(path: Path, sha256: str, *, threads: int | None) -> Any:
    """Open a file with this hash in ONNX Runtime, if it uses standard operators only and contains its weights.

    Where the file fixes the number of crops at one, the session takes any number if ONNX Runtime accepts that. The caller must test
    whether the vector of a crop then depends on the other crops.
    """
    model = _read(path, sha256)
    freed = free_batch(model.graph)
    if freed:
        with contextlib.suppress(Exception):  # ONNX Runtime's errors have no base of their own
            return open_session(model, threads=threads)
        for axis in freed:
            axis.dim_value = 1
    try:
        return open_session(model, threads=threads)
    except Exception as error:
        # ONNX Runtime's errors have no base of their own.
        raise WeightsError(f"{path}: ONNX Runtime can't run it ({error})") from error


def _read(path: Path, sha256: str) -> "onnx.ModelProto":
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no type information

    try:
        if path.stat().st_size > _LARGEST:
            raise WeightsError(f"{path}: expected an ONNX file of less than 2 GiB")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error})") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(f"{path}: has changed since it was first read; expected SHA-256 {sha256}")
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        model = onnx.ModelProto()
    if not model.graph.node:
        raise WeightsError(f"{path}: expected an ONNX file with a graph, got something else")
    if model.functions:
        names = sorted(f"{each.domain}.{each.name}" for each in model.functions)
        raise WeightsError(f"{path}: expected a graph without functions of its own, got {names[:3]}; see onnx.inliner")
    parts = list(every_part(model.graph))
    nodes = [each for each in parts if isinstance(each, onnx.NodeProto)]
    foreign = sorted({f"{each.domain}.{each.op_type}" for each in nodes if each.domain not in _STANDARD_DOMAINS})
    if foreign:
        raise WeightsError(f"{path}: expected the standard's operators only, got {foreign[:3]}")
    if any(isinstance(each, onnx.TensorProto) and each.data_location == each.EXTERNAL for each in parts):
        raise WeightsError(f"{path}: expected a file with its weights inside, got one that keeps them in other files")
    drop_dead_inputs(model.graph)
    try:
        unpack_weights(model.graph, most_bytes=min(_LARGEST, MOST_EXPANSION * len(content)))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return model
