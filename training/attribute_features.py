"""Make what the attribute heads learn from: chips of the labelled faces, spoilt in many ways, and the network's maps of them.

``python training/attribute_features.py out/aligned.npz out/features``
"""

import argparse
import io
from collections.abc import Iterator, Sequence
from enum import Enum
from multiprocessing import Pool
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from covers import cover, harmless
from labelled import Part, Photo, padded, photos
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facesearch.common.arrays import PixelArray
from facesearch.networks.dlib_onnx import embedding_model
from facesearch.networks.dlib_reader import read_network
from facesearch.networks.runtime import open_session
from facesearch.networks.weights import RESNET, weights_path
from facesearch.stages import CHIP_SIZE

MAPS: Final = {"stage2": (64, 17, 17), "stage3": (128, 8, 8), "stage5": (256, 2, 2)}


class Kind(Enum):
    """Transformation that made a chip from its photograph."""

    CLEAN = "clean"
    SPOILT = "spoilt"
    COVERED = "covered"
    HARMLESS = "harmless"


# How many chips of each kind a photograph gives: to learn from; to calibrate and measure on.
_LEARN: Final = {
    "celeba": {Kind.CLEAN: 1, Kind.SPOILT: 2, Kind.COVERED: 1, Kind.HARMLESS: 1},
    "utkface": {Kind.CLEAN: 1, Kind.SPOILT: 2, Kind.COVERED: 1, Kind.HARMLESS: 1},
    "fer2013": {Kind.CLEAN: 1, Kind.SPOILT: 2},
    "masks": {Kind.CLEAN: 1, Kind.SPOILT: 3},
    "landmarks106": {Kind.CLEAN: 1, Kind.SPOILT: 3},
}
_MEASURE: Final = {
    "celeba": {Kind.CLEAN: 1, Kind.SPOILT: 1, Kind.COVERED: 1, Kind.HARMLESS: 1},
    "utkface": {Kind.CLEAN: 1, Kind.SPOILT: 1},
    "fer2013": {Kind.CLEAN: 1, Kind.SPOILT: 1},
    "masks": {Kind.CLEAN: 1, Kind.SPOILT: 1},
    "landmarks106": {Kind.CLEAN: 1, Kind.SPOILT: 1},
}


@attrs.frozen
class Task:
    """One photograph and the chips to make from it."""

    index: int
    photo: Photo
    to_picture: NDArray[np.float64]
    points: NDArray[np.float64]
    kinds: tuple[Kind, ...]


def tasks(aligned: Path) -> list[Task]:
    """List the photographs, with the chips to make from each.

    Where no face was found in one of FER2013's small pictures, which all show a face in the same place, one is learned from as
    if it lay where it mostly does; nothing is measured on it.
    """
    with np.load(aligned) as data:
        found, to_picture, points, folder = data["found"], data["to_picture"], data["points"], data["folder"]
    fer = folder == "fer2013"
    to_picture[fer & ~found] = np.median(to_picture[fer & found], axis=0)
    result = []
    for index, photo in enumerate(photos()):
        if found[index] or (photo.folder == "fer2013" and photo.part is Part.LEARN):
            counts = (_LEARN if photo.part is Part.LEARN else _MEASURE)[photo.folder]
            kinds = tuple(kind for kind, count in counts.items() for _ in range(count))
            result.append(Task(index, photo, to_picture[index], points[index], kinds))
    return result


def cut(pixels: PixelArray, to_picture: NDArray[np.float64]) -> PixelArray:
    """Cut a (150, 150, 3) chip, smoothing before a picture is made smaller."""
    scale = float(np.hypot(*to_picture[:, 0]))
    image, matrix = Image.fromarray(pixels), to_picture
    if scale > 1:
        smaller = (max(round(image.width / scale), 1), max(round(image.height / scale), 1))
        matrix = np.diag(np.array(smaller) / image.size) @ matrix
        image = image.resize(smaller, Image.Resampling.BOX)
    # PIL counts from the corner of a pixel, we from its middle.
    shift = matrix[:, 2] - matrix[:, :2].sum(axis=1) / 2 + 0.5
    data = (*matrix[0, :2], shift[0], *matrix[1, :2], shift[1])
    chip = image.transform((CHIP_SIZE, CHIP_SIZE), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(chip)


def jittered(to_picture: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Turn, scale and shift a chip's place a little, as alignment does that is not exact."""
    angle, scale = np.deg2rad(rng.normal(0, 2.5)), np.exp(rng.normal(0, 0.03))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, (CHIP_SIZE - 1) / 2)
    shift = middle - turn @ middle + rng.normal(0, 0.015 * CHIP_SIZE, 2)
    return np.column_stack([to_picture[:, :2] @ turn, to_picture[:, :2] @ shift + to_picture[:, 2]])


def spoilt(chip: PixelArray, rng: np.random.Generator) -> PixelArray:
    """Mirror, shrink, blur, compress, darken, tint, make grey: each by chance."""
    image = Image.fromarray(chip[:, ::-1] if rng.random() < 0.5 else chip)
    side = round(float(np.exp(rng.uniform(np.log(40), np.log(CHIP_SIZE)))))
    if rng.random() < 0.6:
        image = image.resize((side, side), Image.Resampling.BOX)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.6)) * image.width / CHIP_SIZE))
    if rng.random() < 0.2:
        noisy = np.asarray(image) + rng.normal(0, rng.uniform(2, 12), (*image.size[::-1], 1))
        image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=int(rng.integers(30, 96)))
        image = Image.open(stream).convert("RGB")
    image = image.resize((CHIP_SIZE, CHIP_SIZE), Image.Resampling.BILINEAR)
    if rng.random() < 0.25:
        image = image.convert("L").convert("RGB")
    values = np.asarray(image, np.float32) / 255 * np.exp(rng.normal(0, 0.04, 3)).astype(np.float32)
    if rng.random() < 0.7:
        values = np.clip(values, 0, 1) ** float(np.exp(rng.normal(0, 0.3))) * float(np.exp(rng.normal(0, 0.15)))
        values = (values - values.mean()) * float(np.exp(rng.normal(0, 0.15))) + values.mean()
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def chips(task: Task) -> PixelArray:
    """Make the chips of one photograph: (N, 150, 150, 3), one for each of its kinds."""
    pixels = padded(task.photo)
    made = []
    for number, kind in enumerate(task.kinds):
        rng = np.random.default_rng((task.index, number))
        place = task.to_picture if kind is Kind.CLEAN else jittered(task.to_picture, rng)
        chip = cut(pixels, place)
        if kind in {Kind.COVERED, Kind.HARMLESS}:
            inverse = np.linalg.inv(np.vstack([place, [0, 0, 1]]))
            points = task.points @ inverse[:2, :2].T + inverse[:2, 2]
            chip = (cover if kind is Kind.COVERED else harmless)(chip, points, rng)
        if kind is Kind.SPOILT or (kind is not Kind.CLEAN and rng.random() < 0.5):
            chip = spoilt(chip, rng)
        made.append(chip)
    return np.stack(made)


_sessions: list[Any] = []


def maps(work: Sequence[Task]) -> dict[str, NDArray[np.float16]]:
    """Return the network's maps of all chips of some photographs."""
    if not _sessions:
        model = embedding_model(read_network(weights_path(RESNET).read_bytes()), stages=True)
        _sessions.append(open_session(model, threads=1))
    batch = np.concatenate([chips(task) for task in work])
    parts = [_sessions[0].run(list(MAPS), {"pixels": batch[at : at + 16]}) for at in range(0, len(batch), 16)]
    return {name: np.concatenate([part[k] for part in parts]).astype(np.float16) for k, name in enumerate(MAPS)}


def _batches(work: list[Task], size: int = 8) -> Iterator[list[Task]]:
    for start in range(0, len(work), size):
        yield work[start : start + size]


def main() -> None:
    """Make chips and maps of everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("aligned", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    work = tasks(arguments.aligned)
    total = sum(len(task.kinds) for task in work)
    files = {
        name: np.lib.format.open_memmap(arguments.folder / f"{name}.npy", "w+", np.float16, (total, *shape))
        for name, shape in MAPS.items()
    }
    done = 0
    with Pool(2) as pool:
        for found in pool.imap(maps, _batches(work)):
            count = len(found["stage2"])
            for name, values in found.items():
                files[name][done : done + count] = values
            if done // 5000 != (done + count) // 5000:
                print(f"{done + count} of {total}", flush=True)
            done += count
    np.savez(
        arguments.folder / "rows.npz",
        photo=np.array([task.index for task in work for _ in task.kinds]),
        kind=np.array([kind.value for task in work for kind in task.kinds]),
    )


if __name__ == "__main__":
    main()
