"""Turn MediaPipe's mesh, eye contours and irises into this library's 70 points.

Each point is one vertex of the teacher plus an offset that is constant in the head's own frame: right, down, and toward the camera,
in distances between the centres of the eyes. Which vertex, for the points 17 to 59, and the three numbers are fitted to the
points that people placed in the half of landmarks106 that `landmark_cache.held_out` does not keep aside, and are mirror symmetric.
Depth shows as the head turns: the tip of the nose, in the frame of the eyes, says how far.
"""

import argparse
import json
import os
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from landmark_cache import HUMAN, held_out
from mesh_teacher import EYE, EYE_CORNERS, MESH

from facesearch.detection.landmarks import MIRROR

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.intp]

POINTS = 70
MIRROR_70 = np.array([*MIRROR, 69, 68])
# landmarks106's number of each of the 70: the jaw, what `HUMAN` has, the inner lips, the pupils.
MARKED = np.array([*range(0, 33, 2), *HUMAN, 96, 98, 99, 100, 97, 103, 102, 101, 59, 69])
NOSE_TIP = 4
# The mesh's vertices on the jaw, ear to ear, and on the inner lips: their usual counterparts of iBUG's points.
JAW = (162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389)
INNER_LIPS = (78, 82, 13, 312, 308, 317, 14, 87)
IRISES = (MESH + 2 * EYE, MESH + 2 * EYE + 1)
RIDGE = 0.1  # photographs' worth of no offset


@attrs.frozen(eq=False)
class Mapping:
    """How vertices become points.

    Attributes
    ----------
    vertices
        (70,) of the 468 of the mesh, then 71 of each eye, then the two irises' centres.
    offsets
        (70, 3) right, down, toward the camera.
    level
        Where the tip of the nose is in the frame of the eyes, down from them, on average.
    """

    vertices: Whole
    offsets: Floats
    level: float

    def points(self, vertices: Floats) -> Floats:
        """Convert (N, 612, 2) vertices in the picture to (N, 70, 2) points."""
        local, frame = in_frame(vertices)
        tip = local[:, NOSE_TIP] - [0, self.level]
        found = local[:, self.vertices] + self.offsets[:, :2] + self.offsets[:, 2:] * tip[:, None]
        return frame.back(found)


@attrs.frozen(eq=False)
class Frames:
    """The frames of N faces: midway between the eyes, turned and scaled by them."""

    origin: Floats
    axes: Floats  # (N, 2, 2): columns right and down, as long as the eyes are apart

    def back(self, local: Floats) -> Floats:
        """Convert (N, K, 2) to the picture."""
        return np.asarray(np.einsum("nke,nde->nkd", local, self.axes) + self.origin[:, None])

    def into(self, points: Floats) -> Floats:
        """Convert (N, K, 2) of the picture to the frames."""
        squared = (self.axes[:, :, 0] ** 2).sum(axis=1)
        return np.asarray(np.einsum("nkd,nde->nke", points - self.origin[:, None], self.axes) / squared[:, None, None])


def in_frame(vertices: Floats) -> tuple[Floats, Frames]:
    """Return vertices in their faces' frames, and the frames."""
    left, right = (vertices[:, list(corners)].mean(axis=1) for corners in EYE_CORNERS)
    across = right - left
    frames = Frames((left + right) / 2, np.stack([across, np.stack([-across[:, 1], across[:, 0]], axis=1)], axis=2))
    return frames.into(vertices), frames


def stacked(shard: dict[str, npt.NDArray[np.float64]]) -> Floats:
    """Return (N, 612, 2): mesh, eyes, centres of the irises."""
    return np.concatenate(
        [shard["mesh"], shard["eyes"].reshape(-1, 2 * EYE, 2), shard["irises"][:, :, 0]], axis=1
    ).astype(np.float64)


def load(shards: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Read all shards of `mesh_teacher`; of presence the lowest."""
    parts = []
    for path in sorted(shards.glob("*.npz")):
        with np.load(path) as file:
            part = {key: file[key] for key in file.files}
        part["presence"] = part["presence"].min(axis=1)
        parts.append(part)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@attrs.frozen(eq=False)
class Marked:
    """Faces of landmarks106 that the teacher has labelled: their row there, the 70 points that people placed, and names."""

    rows: Whole
    points: Floats
    visible: npt.NDArray[np.bool_]
    names: list[str]
    aside: npt.NDArray[np.bool_]
    orientation: npt.NDArray[np.str_]


def marked(root: Path, names: npt.NDArray[np.str_], centres: Floats) -> Marked:
    """Match landmarks106's labels with faces: *names* of photographs and (N, 2) *centres* of the faces."""
    labels = json.loads((root / "landmarks106/labels.json").read_text())
    rows, points, visible, found, orientation = [], [], [], [], []
    for name, label in labels.items():
        path = f"landmarks106/images/{name}"
        placed = np.array(label["points"], float)[MARKED]
        near = np.linalg.norm(centres - placed[17:60, :2].mean(axis=0), axis=1)
        size = np.linalg.norm(placed[68, :2] - placed[69, :2])
        here = np.flatnonzero((names == path) & (near < size / 2))
        if len(here):
            rows.append(here[0])
            points.append(placed[:, :2])
            visible.append(placed[:, 2] > 0)
            found.append(path)
            orientation.append(label["work"]["orientation"])
    return Marked(
        np.array(rows),
        np.array(points),
        np.array(visible),
        found,
        np.array([held_out(name) for name in found]),
        np.array(orientation),
    )


def vertex_mirror(local: Floats) -> Whole:
    """Return each vertex's mirror image: the nearest in the mirrored mean face."""
    mean = local.mean(axis=0)
    apart = np.linalg.norm((mean * [-1, 1])[:, None] - mean, axis=2)
    mirror = apart.argmin(axis=1)
    one, other = MESH + np.arange(EYE), MESH + EYE + np.arange(EYE)
    mirror[one], mirror[other] = other, one
    mirror[list(IRISES)] = IRISES[::-1]
    return np.asarray(mirror)


def fit(vertices: Floats, placed: Floats) -> Mapping:
    """Fit a mapping to (N, 612, 2) vertices and (N, 70, 2) points that people placed."""
    local, frames = in_frame(vertices)
    mirror = vertex_mirror(local)
    wanted = frames.into(placed)
    flip = np.array([-1.0, 1.0])
    chosen = np.zeros(POINTS, np.intp)
    chosen[:17], chosen[60:68], chosen[68:] = JAW, INNER_LIPS, IRISES
    for point in range(17, 60):
        twin = MIRROR_70[point]
        if twin < point:
            chosen[point] = mirror[chosen[twin]]
            continue
        here = wanted[:, point, None] - local
        there = (wanted[:, twin, None] - local[:, mirror]) * flip
        both = np.concatenate([here, there])
        error = np.linalg.norm(both - both.mean(axis=0), axis=2).mean(axis=0)
        if twin == point:
            error[mirror != np.arange(len(mirror))] = np.inf
        chosen[point] = error.argmin()
    level = float(local[:, NOSE_TIP, 1].mean())
    tip = local[:, NOSE_TIP] - [0, level]
    offsets = np.zeros((POINTS, 3))
    for point in range(POINTS):
        twin = MIRROR_70[point]
        here, there = wanted[:, point] - local[:, chosen[point]], (wanted[:, twin] - local[:, chosen[twin]]) * flip
        ones, none = np.ones(len(local)), np.zeros(len(local))
        rows = [
            np.stack([ones, none, tip[:, 0]], 1),
            np.stack([none, ones, tip[:, 1]], 1),
            np.stack([ones, none, -tip[:, 0]], 1),
            np.stack([none, ones, tip[:, 1]], 1),
        ]
        system = np.concatenate(rows)
        target = np.concatenate([here[:, 0], here[:, 1], there[:, 0], there[:, 1]])
        offsets[point] = np.linalg.solve(system.T @ system + RIDGE * np.eye(3), system.T @ target)
    return Mapping(chosen, offsets, level)


PARTS = {
    "17-59": range(17, 60),
    "jaw": range(17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 60),
    "inner lips": range(60, 68),
    "pupils": range(68, 70),
}


def errors(found: Floats, placed: Floats) -> Floats:
    """Return (N, 70) distances over the distance of the pupils."""
    size = np.linalg.norm(placed[:, 68] - placed[:, 69], axis=1)
    return np.asarray(np.linalg.norm(found - placed, axis=2) / size[:, None])


def by_part(error: Floats) -> str:
    """Return the mean error of each part."""
    return ", ".join(f"{name} {np.nanmean(error[:, list(which)]):.4f}" for name, which in PARTS.items())


def mapping(root: Path, faces: dict[str, npt.NDArray[np.float64]]) -> Mapping:
    """Fit the mapping, and print its error on both halves."""
    vertices = stacked(faces)
    people = marked(root, faces["name"].astype(str), faces["mesh"].mean(axis=1))
    seen = vertices[people.rows]
    result = fit(seen[~people.aside], people.points[~people.aside])
    for label, which in (("fitted", ~people.aside), ("kept aside", people.aside)):
        found = result.points(seen[which])
        print(f"teacher, {label}, {which.sum()} photographs: {by_part(errors(found, people.points[which]))}")
    return result


def main() -> None:
    """Print the teacher's error on landmarks106."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, required=True)
    root = Path(os.environ.get("FACESEARCH_DATA", "../shared/data"))
    result = mapping(root, load(parser.parse_args().shards))
    print(result.vertices.tolist())
    print(result.offsets.round(3).tolist())


if __name__ == "__main__":
    main()
