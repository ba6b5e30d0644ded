"""Find faces in the development photographs and keep their 68 landmarks (dlib's order) in one npz outside the repository."""

import argparse
import csv
import json
import os
import random
import zlib
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.networks.weights import LANDMARKS_68, weights_path

Floats = NDArray[np.float64]
FOLDERS = {"lfw_grey": 2500, "people": 100, "cacd_vs": 1600, "utkface": 1500, "landmarks106": 700}  # photos of each
PADDED = {"lfw_grey", "utkface"}  # faces fill the frame
ADULT = 18

# landmarks106's number of dlib's points 17 to 59 (33-35 brow ... 95 lower lip), found as the nearest on frontal faces
HUMAN = np.array([
    33, 34, 35, 36, 37, 42, 43, 44, 45, 46, 71, 72, 73, 74, 81, 82, 83, 84, 85, 51, 52, 53, 54, 55, 56, 61, 62, 63, 64,
    65, 66, 86, 92, 87, 88, 89, 93, 90, 94, 105, 91, 104, 95,
])  # fmt: skip


class Human(NamedTuple):
    """Landmarks of landmarks106 that people annotated, image by image.

    Attributes
    ----------
    names
        Paths below the data folder.
    points
        (N, 68, 2) xy pixels in dlib's order; NaN for the jaw (0-16) and the inner lips (60-67).
    sides
        (N,) -1 leftward, 0 forward, 1 rightward: image left and right.
    boxes
        (N, 4) left, top, right, bottom of all 106 points.
    """

    names: list[str]
    points: Floats
    sides: NDArray[np.int64]
    boxes: Floats


def human_points(root: Path) -> Human:
    """Read landmarks106."""
    labels = json.loads((root / "landmarks106/labels.json").read_text())
    marked = np.array([label["points"] for label in labels.values()], float)[..., :2]
    points = np.full((len(labels), 68, 2), np.nan)
    points[:, 17:60] = marked[:, HUMAN]
    sides = {"leftward": -1, "forward": 0, "rightward": 1}
    return Human(
        names=[f"landmarks106/images/{name}" for name in labels],
        points=points,
        sides=np.array([sides[label["work"]["orientation"]] for label in labels.values()]),
        boxes=np.concatenate([marked.min(axis=1), marked.max(axis=1)], axis=1),
    )


def held_out(name: str) -> bool:
    """Return whether a photograph is held out for ``benchmarks/pose.py``: half of landmarks106."""
    return name.startswith("landmarks106") and zlib.crc32(name.encode()) % 2 == 0


def photos(root: Path, rng: random.Random) -> list[str]:
    """List the photographs to read, relative to *root*: lfw_grey and people by folder, utkface adults only."""
    chosen: list[str] = []
    with (root / "utkface/labels.csv").open(newline="") as file:
        adults = {next(iter(row.values())) for row in csv.DictReader(file) if int(row["age"]) >= ADULT}
    for folder, most in FOLDERS.items():
        paths = sorted(p for p in (root / folder).rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
        if folder == "utkface":
            paths = [p for p in paths if p.name in adults or p.relative_to(root / folder).as_posix() in adults]
        rng.shuffle(paths)
        chosen += [p.relative_to(root).as_posix() for p in paths[:most]]
    return chosen


def read(root: Path, name: str, *, mirror: bool = False) -> tuple[NDArray[np.uint8], int]:
    """Return the photograph as RGB (H, W, 3) and the padding added on each side, in pixels."""
    image = np.asarray(Image.open(root / name).convert("RGB"))
    pad = image.shape[0] // 4 if Path(name).parts[0] in PADDED else 0
    image = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    return np.ascontiguousarray(image[:, ::-1] if mirror else image), pad


_models: list[Any] = []


def models() -> list[Any]:
    """Return dlib's detector and 68-point predictor, one pair a process."""
    if not _models:
        _models.extend((dlib.get_frontal_face_detector(), dlib.shape_predictor(str(weights_path(LANDMARKS_68)))))
    return _models


def landmarks(image: NDArray[np.uint8], box: Any) -> Floats:
    """Run the predictor: (68, 2) xy pixels."""
    shape = models()[1](image, box)
    return np.array([(p.x, p.y) for p in shape.parts()], float)


def largest_face(task: tuple[str, str, bool]) -> tuple[Floats, Floats] | None:
    """Return box (left, top, right, bottom) and landmarks of the largest face in one photograph, None without a face."""
    root, name, mirror = task
    image, _ = read(Path(root), name, mirror=mirror)
    boxes = models()[0](image, 1)
    if not boxes:
        return None
    box = max(boxes, key=lambda b: b.area())
    return np.array([box.left(), box.top(), box.right(), box.bottom()], float), landmarks(image, box)


def gather(root: Path, cache: Path, *, seed: int = 0) -> dict[str, Any]:
    """Read *cache*, or fill it: names (N,), mirrored names too, boxes (N, 4), points (N, 68, 2)."""
    if not cache.exists():
        tasks = [(str(root), name, False) for name in photos(root, random.Random(seed))]  # noqa: S311 - a choice of photographs, no secret
        tasks += [
            (root_, name, True) for root_, name, _ in tasks if name.startswith(("landmarks106", "people", "cacd_vs"))
        ]
        with Pool(2) as pool:
            faces = pool.map(largest_face, tasks, chunksize=16)
        found = [(t, f) for t, f in zip(tasks, faces, strict=True) if f is not None]
        np.savez_compressed(
            cache,
            name=np.array([t[1] for t, _ in found]),
            mirror=np.array([t[2] for t, _ in found]),
            box=np.array([f[0] for _, f in found]),
            points=np.array([f[1] for _, f in found]),
            tried=np.array([f"{t[1]}|{int(t[2])}" for t in tasks]),
        )
    with np.load(cache) as data:
        return {k: data[k] for k in data.files}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    root = Path(os.environ.get("FACESEARCH_DATA", "../shared/data"))
    data = gather(root, parser.parse_args().cache)
    print(json.dumps({k: list(v.shape) for k, v in data.items()}))
