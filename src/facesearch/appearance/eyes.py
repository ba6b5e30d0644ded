"""Classify eyes as open or closed with a small network of our own, on 32 x 32 pixels around each eye.

The patch is cropped in the eye's own frame, so that neither the face's size nor its tilt matters. The network normalises its
mean and contrast, and averages the patch and its mirror image. It was trained on single-eye crops and on whole faces by
``training/eye_state.py``, which also prints its accuracy.
"""

import math
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.common.once import Once
from facesearch.detection.landmarks import EYES
from facesearch.errors import InvalidParameterError
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import EYE_STATE, read_weights
from facesearch.stages import LANDMARK_SHAPES

if TYPE_CHECKING:
    import onnx

__all__ = ["PATCH_SIZE", "EyeState", "cut_patch", "eye_patch", "eye_patches", "eye_state_model"]

PATCH_SIZE: Final = 32  # pixels a side
_SPAN: Final = 1.7  # sides of the patch, in widths of the eye from corner to corner
_LEFT_CORNER, _RIGHT_CORNER = 0, 3  # of an eye's six points
_OPSET, _IR_VERSION = 17, 8  # ONNX Runtime 1.12 and later


def eye_patch(pixels: PixelArray, eye: PointArray) -> PixelArray:
    """Crop one eye, upright and of a fixed size.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB.
    eye
        (6, 2) xy pixels: the contour of one eye, from the corner at the viewer's left over the upper lid to the other corner
        and back. May leave the picture; its edge is repeated there.

    Returns
    -------
    ndarray of shape (32, 32, 3)
        uint8 RGB: the eye's corners lie level, its width is 1/1.7 of the patch's.

    Raises
    ------
    InvalidParameterError
        *pixels* or *eye* do not have these shapes and types.
    """
    _check_picture("pixels", pixels)
    if eye.shape != (6, 2) or not np.isfinite(eye).all():
        raise InvalidParameterError.of("eye", eye, "six finite points (6, 2)")
    return cut_patch(pixels, eye.mean(axis=0), _SPAN * (eye[_RIGHT_CORNER] - eye[_LEFT_CORNER]))


def eye_patches(pixels: PixelArray, points: PointArray) -> PixelArray:
    """Crop both eyes of a face.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB.
    points
        (68, 2) or (70, 2) xy pixels, from `facesearch.stages.Landmarker.locate`.

    Returns
    -------
    ndarray of shape (2, 32, 32, 3)
        uint8 RGB, see `eye_patch`: the viewer's left eye, then the viewer's right one, mirrored so that both look alike.

    Raises
    ------
    InvalidParameterError
        *pixels* or *points* do not have these shapes and types.
    """
    if points.shape not in LANDMARK_SHAPES:
        raise InvalidParameterError.of("points", points.shape, "68 points (68, 2), or (70, 2) with irises")
    left, right = (eye_patch(pixels, points[eye]) for eye in EYES)
    return np.stack([left, right[:, ::-1]])


class EyeState:
    """Classifies eyes as open or closed.

    Loaded on first use; safe to use from many threads at once.

    Parameters
    ----------
    threads
        Cores that one call may use, >= 1: more than one is faster for hundreds of eyes only. ``None`` for all that this process
        may use, up to 4.
    weights
        A file that ``training/eye_state.py`` wrote; ``None`` for the one that comes with the library.

    Notes
    -----
    Eyes behind dark glasses or a hand can't be seen: the probability is meaningless then.
    """

    def __init__(self, *, threads: int | None = 1, weights: Path | None = None) -> None:
        self._threads, self._weights = threads, weights
        self._loaded: Once[tuple[Any, tuple[float, float]]] = Once()

    def face_open_probability(self, patches: PixelArray) -> npt.NDArray[np.float64]:
        """Return the probability that the eyes of each face are open.

        Parameters
        ----------
        patches
            (N, 2, 32, 32, 3) uint8 RGB, each face's from `eye_patches`, N >= 0.

        Returns
        -------
        ndarray of shape (N,)
            0 (both closed) to 1 (both open).

        Raises
        ------
        InvalidParameterError
            *patches* do not have this shape and type.
        """
        expected = (PATCH_SIZE, PATCH_SIZE, 3)
        if patches.dtype != np.uint8 or patches.ndim != 5 or patches.shape[2:] != expected:  # noqa: PLR2004  # (N, 2, H, W, RGB)
            raise InvalidParameterError.of(
                "patches", (patches.dtype, patches.shape), f"uint8 patches (N, 2, {PATCH_SIZE}, {PATCH_SIZE}, 3)"
            )
        if patches.shape[1] != len(EYES):
            raise InvalidParameterError.of("patches", patches.shape, "two eyes a face (N, 2, 32, 32, 3)")
        logits = self.logits(patches.reshape(-1, *expected)).reshape(-1, len(EYES)).mean(axis=1)
        slope, shift = self._loaded(self._load)[1]
        return np.asarray((1 + np.tanh((slope * logits + shift) / 2)) / 2)

    def logits(self, patches: PixelArray) -> npt.NDArray[np.float64]:
        """Return the output of the network for each eye, taken alone: (N,) of (N, 32, 32, 3) uint8 RGB, above 0 for open."""
        session, _ = self._loaded(self._load)
        (logits,) = session.run(["logit"], {"patches": np.ascontiguousarray(patches)})
        return np.asarray(logits, np.float64)

    def _load(self) -> tuple[Any, tuple[float, float]]:
        content = self._weights.read_bytes() if self._weights else read_weights(EYE_STATE)
        with np.load(BytesIO(content), allow_pickle=False) as file:
            arrays = {
                name: np.asarray(file[name], np.float32) for name in file.files if not name.startswith("calibration.")
            }
            slope, shift = file["calibration.face"].tolist()
        return open_session(eye_state_model(arrays), threads=self._threads), (slope, shift)


def eye_state_model(arrays: dict[str, npt.NDArray[np.float32]]) -> "onnx.ModelProto":
    """Convert the network to an ONNX graph.

    Parameters
    ----------
    arrays
        ``convI.weight`` (out, in, k, k) and ``convI.bias`` (out,), I = 0, 1, ...: each padded to keep the size, followed by a
        rectifier and the largest of each 2 x 2. Then ``denseI.weight`` (in, out) and ``denseI.bias`` (out,), with rectifiers
        between; the last outputs one number.

    Returns
    -------
    onnx.ModelProto
        Input ``patches``: (N, 32, 32, 3) uint8 RGB. Output ``logit``: (N,) float32, above 0 for open; the mean over the patch
        and its mirror image.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(values: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values), f"constant{len(constants)}"))
        return f"constant{len(constants) - 1}"

    def node(operator: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [f"{operator.lower()}{len(nodes)}"], **attributes))
        return f"{operator.lower()}{len(nodes) - 1}"

    end = node("Cast", node("Transpose", "patches", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    end = node("Sub", end, node("ReduceMean", end, axes=[1, 2, 3]))
    variance = node("ReduceMean", node("Mul", end, end), axes=[1, 2, 3])
    end = node("Div", end, node("Sqrt", node("Add", variance, constant(np.float32(_NOISE**2)))))
    axis = [constant(np.array([value])) for value in (-1, -(2**31), 3, -1)]
    end = node("Concat", end, node("Slice", end, *axis), axis=0)
    count = len({name.split(".")[0] for name in arrays if name.startswith("conv")})
    for number in range(count):
        weight, bias = arrays[f"conv{number}.weight"], arrays[f"conv{number}.bias"]
        pad = weight.shape[2] // 2
        end = node("Relu", node("Conv", end, constant(weight), constant(bias), pads=[pad] * 4))
        end = node("MaxPool", end, kernel_shape=[2, 2], strides=[2, 2])
    end = node("Flatten", end)
    for number in range(len(arrays) // 2 - count):
        weight, bias = arrays[f"dense{number}.weight"], arrays[f"dense{number}.bias"]
        end = node("Gemm", end if number == 0 else node("Relu", end), constant(weight), constant(bias))
    both = node("Reshape", end, constant(np.array([2, -1])))
    nodes.append(helper.make_node("ReduceMean", [both], ["logit"], axes=[0], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "eyes",
        [helper.make_tensor_value_info("patches", TensorProto.UINT8, ["N", PATCH_SIZE, PATCH_SIZE, 3])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N"])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


_NOISE: Final = 4.0  # grey levels: less contrast than about this is not blown up


def cut_patch(pixels: PixelArray, center: PointArray, along: PointArray) -> PixelArray:
    """Crop the square patch around *center*; its upper side is the vector *along*, in pixels of the picture."""
    from PIL import Image

    length = math.hypot(*along)
    if length < 1:  # a face of a few pixels: no detail, but a valid patch
        along, length = np.array([1.0, 0.0]), 1.0
    down = np.array([-along[1], along[0]])
    # Averaging whole blocks first keeps fine lashes from turning into noise; what remains is at most 1.5 to 1.
    block = max(1, round(length / PATCH_SIZE))
    reach = (np.abs(along) + np.abs(down)) / 2 + 2 * block
    low, high = np.floor(center - reach).astype(int), np.ceil(center + reach).astype(int) + 1
    height, width = pixels.shape[:2]
    if (low >= 0).all() and high[0] <= width and high[1] <= height:
        around = pixels[low[1] : high[1], low[0] : high[0]]
    else:
        columns, rows = (np.clip(np.arange(low[i], high[i]), 0, (width, height)[i] - 1) for i in (0, 1))
        around = pixels[rows[:, None], columns]
    image = Image.fromarray(np.ascontiguousarray(around)).reduce(block)
    start = (center - low + 0.5 - (along + down) / 2) / block  # PIL counts from the corner of the first pixel
    right, below = along / PATCH_SIZE / block, down / PATCH_SIZE / block
    affine = (right[0], below[0], start[0], right[1], below[1], start[1])
    size = (PATCH_SIZE, PATCH_SIZE)
    return np.asarray(image.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR))


def _check_picture(argument: str, pixels: PixelArray) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:  # noqa: PLR2004  # RGB
        raise InvalidParameterError.of(argument, (pixels.dtype, pixels.shape), "uint8 RGB (H, W, 3)")
