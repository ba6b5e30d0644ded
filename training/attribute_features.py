"""Make what the attribute heads learn from: crops of the labelled faces, spoilt in many ways, and SFace's maps of them.

``python training/attribute_features.py out/aligned.npz out/features``: 50,000 crops, 4.4 GB, about 12 minutes of processor. The maps are
kept in steps of one byte, see `steps`. The crops come in random order, so that what an unfinished run has made can be learned from.
"""

import argparse
import io
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from multiprocessing import Pool
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from covers import cover, harmless
from labelled import Part, Photo, photos
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from sface_bfloat16 import SFaceMaps

from facesearch.common.arrays import PixelArray
from facesearch.embedding.five_point_crop import crop_to_picture
from facesearch.embedding.network_card import ARCFACE_TEMPLATE
from facesearch.images.crops import crop_similar
from facesearch.networks.sface_onnx import SFACE_MAPS, SFACE_SIZE
from facesearch.stages import CHIP_SIZE

SIDE: Final = SFACE_SIZE[0]
_STEPS: Final = 100  # of one byte, from 0 to the largest value of a channel among a few hundred crops


class Kind(Enum):
    """Transformation that made a crop from its photograph."""

    CLEAN = "clean"
    SPOILT = "spoilt"
    COVERED = "covered"
    HARMLESS = "harmless"


# What a photograph gives beside a clean crop, one after the other for one photograph after the other: to learn from; to calibrate
# and, with no clean crop, to measure on. ``benchmarks/attributes.py`` measures clean photographs.
_MIXED: Final = (Kind.SPOILT, Kind.COVERED, Kind.SPOILT, Kind.HARMLESS)
_LEARN: Final[dict[str, tuple[Kind, ...]]] = {"celeba": _MIXED, "utkface": _MIXED}
_ASIDE: Final[dict[str, tuple[Kind, ...]]] = {"celeba": (Kind.COVERED, Kind.HARMLESS)}
_OFTEN: Final = {"south_asia": 2}  # crops of a photograph, where not one


@attrs.frozen
class Task:
    """One photograph and the crops to make from it.

    Attributes
    ----------
    index
        Of the photograph.
    place
        (2, 3): from the crop's xy to that of the photograph.
    points
        (70, 2) xy there.
    kinds
        Of each crop, with a number that no other crop of the photograph has.
    """

    index: int
    photo: Photo
    place: NDArray[np.float64]
    points: NDArray[np.float64]
    kinds: tuple[tuple[Kind, int], ...]


def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) transform from xy of SFace's crop to xy of the picture, as `SFaceEmbedder.cut` has it."""
    eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return crop_to_picture(np.stack([*eyes, *points[[30, 48, 54]]]), np.array(ARCFACE_TEMPLATE))


def tasks(aligned: Path) -> list[Task]:
    """List the photographs, with the crops to make from each, in random order; what is not clean of FER2013 comes last.

    Where no face was found in one of FER2013's small pictures, which all show a face in the same place, one is learned from as
    if it lay where it mostly does; nothing is measured on it.
    """
    with np.load(aligned) as data:
        found, points, folder = data["found"], data["points"], data["folder"]
    fer = folder == "fer2013"
    points[fer & ~found] = np.median(points[fer & found], axis=0)
    first: list[Task] = []
    last: list[Task] = []
    rng = np.random.default_rng(0)
    for index, photo in enumerate(photos()):
        learn, chosen = photo.part is Part.LEARN, photo.folder == "south_asia"  # each region can be kept aside
        if found[index] or (photo.folder == "fer2013" and learn):
            task = Task(index, photo, place(points[index]), points[index], ((Kind.CLEAN, 0),))
            if photo.part is not Part.MEASURE or chosen:
                first.append(task)
            kinds = _LEARN.get(photo.folder, (Kind.SPOILT,)) if learn or chosen else _ASIDE.get(photo.folder, ())
            if kinds:
                count = _OFTEN.get(photo.folder, 1)
                made = tuple((kinds[(index + k) % len(kinds)], 1 + k) for k in range(count))
                (last if photo.folder == "fer2013" else first).append(attrs.evolve(task, kinds=made))
    return [part[k] for part in (first, last) for k in rng.permutation(len(part))]


def jittered(place: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Turn, scale and shift a crop's place a little, as landmarks do that are not exact."""
    angle, scale = np.deg2rad(rng.normal(0, 2)), np.exp(rng.normal(0, 0.03))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, (SIDE - 1) / 2)
    shift = middle - turn @ middle + rng.normal(0, 0.01 * SIDE, 2)
    return np.column_stack([place[:, :2] @ turn, place[:, :2] @ shift + place[:, 2]])


def spoilt(crop: PixelArray, rng: np.random.Generator) -> PixelArray:
    """Mirror, shrink, blur, compress, darken, tint, make grey: each by chance."""
    image = Image.fromarray(crop[:, ::-1] if rng.random() < 0.5 else crop)
    side = round(float(np.exp(rng.uniform(np.log(30), np.log(SIDE)))))
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
    image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if rng.random() < 0.25:
        image = image.convert("L").convert("RGB")
    values = np.asarray(image, np.float32) / 255 * np.exp(rng.normal(0, 0.04, 3)).astype(np.float32)
    if rng.random() < 0.7:
        values = np.clip(values, 0, 1) ** float(np.exp(rng.normal(0, 0.3))) * float(np.exp(rng.normal(0, 0.15)))
        values = (values - values.mean()) * float(np.exp(rng.normal(0, 0.15))) + values.mean()
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def crops(task: Task) -> PixelArray:
    """Make the crops of one photograph: (N, 112, 112, 3), one for each of its kinds."""
    pixels = task.photo.pixels()
    return np.stack([_crop(pixels, task, kind, np.random.default_rng((task.index, n))) for kind, n in task.kinds])


def _crop(pixels: PixelArray, task: Task, kind: Kind, rng: np.random.Generator) -> PixelArray:
    if kind is Kind.CLEAN:
        return crop_similar(pixels, task.place, SFACE_SIZE, black=True)
    place = jittered(task.place, rng)
    if kind is Kind.SPOILT:
        return spoilt(crop_similar(pixels, place, SFACE_SIZE, black=True), rng)
    # Covers are drawn on a crop of the same place and the size that their brushes are made for.
    finer = place @ np.diag([SIDE / CHIP_SIZE, SIDE / CHIP_SIZE, 1])
    inverse = np.linalg.inv(np.vstack([finer, [0, 0, 1]]))
    points = task.points[:68] @ inverse[:2, :2].T + inverse[:2, 2]
    chip = crop_similar(pixels, finer, (CHIP_SIZE, CHIP_SIZE), black=True)
    drawn = Image.fromarray((cover if kind is Kind.COVERED else harmless)(chip, points, rng))
    crop = np.asarray(drawn.resize(SFACE_SIZE, Image.Resampling.BILINEAR))
    return spoilt(crop, rng) if rng.random() < 0.5 else crop


_networks: list[SFaceMaps] = []


def maps(work: Sequence[Task]) -> NDArray[np.float32]:
    """Return SFace's maps of all crops of some photographs: (N, 1792, 7, 7)."""
    if not _networks:
        _networks.append(SFaceMaps())
    return _networks[0](np.concatenate([crops(task) for task in work]))


def steps(work: Sequence[Task]) -> NDArray[np.float32]:
    """Return the step in which each channel is kept, (1792, 1, 1): a value is a whole number of steps, -127 to 127."""
    most: NDArray[np.float32] = np.abs(maps(work)).max(axis=(0, 2, 3))
    return (np.maximum(most, 1e-6)[:, None, None] / _STEPS).astype(np.float32)


_step: list[NDArray[np.float32]] = []


def kept(work: Sequence[Task]) -> NDArray[np.int8]:
    """Return the maps in whole steps, channels last: (N, 7, 7, 1792)."""
    values: NDArray[np.int8] = np.rint(maps(work) / _step[0]).clip(-127, 127).astype(np.int8).transpose(0, 2, 3, 1)
    return values


def _batches(work: list[Task], size: int = 16) -> Iterator[list[Task]]:
    for start in range(0, len(work), size):
        yield work[start : start + size]


def main() -> None:
    """Make crops and maps of everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("aligned", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    work = tasks(arguments.aligned)
    step = steps(work[:400])
    rows: dict[str, Any] = {
        "step": step,
        "photo": np.array([task.index for task in work for _ in task.kinds]),
        "kind": np.array([kind.value for task in work for kind, _ in task.kinds]),
    }
    total = len(rows["photo"])
    file = np.lib.format.open_memmap(
        arguments.folder / "maps.npy", "w+", np.int8, (total, *SFACE_MAPS[1:], SFACE_MAPS[0])
    )
    done, begun = 0, time.monotonic()
    with Pool(arguments.processes, _step.append, (step,)) as pool:
        for found in pool.imap(kept, _batches(work)):  # in order
            file[done : done + len(found)] = found
            if done // 2000 != (done + len(found)) // 2000:
                print(f"{done + len(found)} of {total}, {time.monotonic() - begun:.0f} s", flush=True)
                np.savez(arguments.folder / "rows.npz", **rows, done=done)
            done += len(found)
    np.savez(arguments.folder / "rows.npz", **rows, done=done)


if __name__ == "__main__":
    main()
