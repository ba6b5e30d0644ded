"""Declare a face-embedding network and its input on a card."""

import hashlib
import json
from collections.abc import Iterable
from enum import Enum
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import attrs
from attrs import field

from facesearch.common.validation import (
    check_float,
    check_int,
    check_member,
    is_bool,
    matches,
    maybe,
    plain_float,
    plain_int,
    whole,
)
from facesearch.domain.entities import MODEL_VERSION_PATTERN, FaceModel
from facesearch.errors import InvalidParameterError
from facesearch.files.writing import absolute

__all__ = ["ARCFACE_TEMPLATE", "ChannelOrder", "NetworkCard", "TensorLayout", "face_model_of"]

Points = tuple[tuple[float, float], ...]
Triple = tuple[float, float, float]

# Places of the five points in InsightFace's crops of 112 x 112, xy pixels: the viewer's left eye and right eye, the nose, the left
# and right corner of the mouth (https://github.com/deepinsight/insightface, python-package/insightface/utils/face_align.py).
ARCFACE_TEMPLATE: Points = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
_ARCFACE_SIZE = (112, 112)

_LINE = r"[^\x00-\x1f\x7f]+"
_NOT_STATED = "not stated: ask its owner"
# Part of every digest: increase it with any change to the vectors of the same card, such as another sampling of crops.
_RECIPE = 2  # increased when a crop changes: 2 is black beyond the picture
# Fields that change no vector, or that the face model has itself.
_NOT_IN_DIGEST = ("path", "name", "version", "sha256", "licence", "training_data")


class ChannelOrder(Enum):
    """Order of the colour channels of the network's input."""

    RGB = "RGB"
    BGR = "BGR"


class TensorLayout(Enum):
    """The order of the axes of the network's input: N crops, C channels, H rows, W columns."""

    NCHW = "NCHW"
    NHWC = "NHWC"


def _path(value: str | PathLike[str]) -> Path:
    try:
        return absolute(value)
    except TypeError:
        raise InvalidParameterError.of("path", value, "a path") from None


def _size(value: Iterable[int]) -> tuple[int, int]:
    try:
        width, height = value
    except (TypeError, ValueError):
        raise InvalidParameterError.of("size", value, "width and height") from None
    return check_int("size", width, 16, 1024), check_int("size", height, 16, 1024)


def _template(value: Iterable[Iterable[float]]) -> Points:
    try:
        return tuple((plain_float(x), plain_float(y)) for x, y in value)
    except (TypeError, ValueError):
        raise InvalidParameterError.of("template", value, "five points xy") from None


def _triple(argument: str, value: float | Iterable[float]) -> Triple:
    given: Any = value  # callers may pass a value of another type
    try:
        one, two, three = [given] * 3 if isinstance(given, Real) else given
    except (TypeError, ValueError):
        expected = "one number, or one for each of three channels"
        raise InvalidParameterError.of(argument, value, expected) from None
    return check_float(argument, one), check_float(argument, two), check_float(argument, three)


def _mean(value: float | Iterable[float]) -> Triple:
    return _triple("mean", value)


def _scale(value: float | Iterable[float]) -> Triple:
    result = _triple("scale", value)
    if min(result) <= 0:
        raise InvalidParameterError.of("scale", value, "numbers above 0")
    return result


def _channels(value: str | ChannelOrder) -> ChannelOrder:
    return check_member("channels", value, ChannelOrder)


def _layout(value: str | TensorLayout) -> TensorLayout:
    return check_member("layout", value, TensorLayout)


@attrs.frozen(kw_only=True)
class NetworkCard:
    """A face-embedding network and its input. The value of a pixel becomes ``(byte - mean) * scale``.

    Attributes
    ----------
    path
        The ONNX file, which contains its weights.
    name
        Name of the network, up to 128 characters.
    version
        Digits and dots: AWS's ``FaceModelVersion``.
    sha256
        Hex digest the file must have; ``None`` takes the file as it is found.
    size
        (width, height) of the crop in pixels.
    template
        (5, 2) xy pixels of the crop, pixel centres at whole numbers: the places of the viewer's left eye, right eye, nose
        tip and left and right corner of the mouth. By default InsightFace's, for crops of 112 x 112; other sizes need their own.
    mean, scale
        One number, or one for each channel, in the network's own order of channels. *scale* is above 0.
    channels
        ``"RGB"`` or ``"BGR"``: the order of the channels.
    layout
        ``"NCHW"`` or ``"NHWC"``: the axes of its input.
    dimension
        Length of its vectors.
    unit_length
        Scale vectors to length 1, so that their Euclidean distance, 0-2, ranks pairs as the cosine similarity does.
    mirrored
        Average with the vector of the mirrored crop, before scaling: more accurate, in twice the time.
    input_name, output_name
        Names in the file; ``None`` where it has only one.
    licence, training_data
        The terms of the file, and what it was trained on: information for readers, not used by the library.

    Raises
    ------
    InvalidParameterError
        If a field is invalid.
    """

    path: Path = field(converter=_path)
    name: str = field(validator=matches(_LINE, 128))
    version: str = field(validator=matches(MODEL_VERSION_PATTERN, 64))
    sha256: str | None = field(default=None, validator=maybe(matches(r"[0-9a-f]{64}", 64)))
    size: tuple[int, int] = field(default=_ARCFACE_SIZE, converter=_size)
    template: Points = field(converter=_template)
    mean: Triple = field(converter=_mean)
    scale: Triple = field(converter=_scale)
    channels: ChannelOrder = field(converter=_channels)
    layout: TensorLayout = field(default=TensorLayout.NCHW, converter=_layout)
    dimension: int = field(converter=plain_int, validator=whole(1))
    unit_length: bool = field(default=True, validator=is_bool)
    mirrored: bool = field(default=False, validator=is_bool)
    input_name: str | None = field(default=None, validator=maybe(matches(_LINE, 1024)))
    output_name: str | None = field(default=None, validator=maybe(matches(_LINE, 1024)))
    licence: str = field(default=_NOT_STATED, validator=matches(r"(?s).+", 10_000))
    training_data: str = field(default=_NOT_STATED, validator=matches(r"(?s).+", 10_000))

    @template.default
    def _default_template(self) -> Points:
        return ARCFACE_TEMPLATE if self.size == _ARCFACE_SIZE else ()

    @template.validator
    def _check_template(self, _: "attrs.Attribute[Any]", value: Points) -> None:
        if len(value) != len(ARCFACE_TEMPLATE):
            raise InvalidParameterError.of("template", value, "five points xy; only crops of 112 x 112 have a default")
        for point in value:
            for each, side in zip(point, self.size, strict=True):
                check_float("template", each, 0, side)
        left_eye, right_eye, _nose, left_mouth, right_mouth = value
        upright = max(left_eye[1], right_eye[1]) < min(left_mouth[1], right_mouth[1])
        if not upright or left_eye[0] >= right_eye[0] or left_mouth[0] >= right_mouth[0]:
            expected = "the viewer's left eye, right eye, nose, left and right corner of the mouth of an upright face"
            raise InvalidParameterError.of("template", value, expected)


def face_model_of(card: NetworkCard, sha256: str) -> FaceModel:
    """Return the face model of a card and a file with this hash: its digest covers everything that changes a vector."""
    settings = attrs.asdict(card, filter=attrs.filters.exclude(*_NOT_IN_DIGEST))
    content = {"recipe": _RECIPE, "file": sha256, "settings": settings}
    text = json.dumps(content, sort_keys=True, default=lambda member: member.value)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return FaceModel(name=card.name, version=card.version, digest=digest, dimension=card.dimension)
