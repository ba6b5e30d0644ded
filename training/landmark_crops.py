"""Crop the labelled faces once, upright and with room around them, and draw them in a new way each time they are learned from.

A crop is the network's square (`facesearch.detection.face_landmarks`) and three tenths more on each side, so that turned, shifted
and scaled squares can be sampled from it. What a camera may do to a face is done here in PyTorch, on batches.
"""

import csv
import io
import zlib
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nnf
from landmark_cache import read
from mesh_points import MIRROR_70, load, mapping, stacked
from PIL import Image

from facesearch.common.arrays import PixelArray
from facesearch.detection.face_landmarks import CHIP_POINTS, CHIP_TEMPLATE, NETWORK_SIDE, chip_to_network
from facesearch.images.crops import crop_similar, similarity

Floats = npt.NDArray[np.float64]

SIDE = 180  # pixels of a stored crop
ROOM = (SIDE - NETWORK_SIDE) / 2
LEAST_PRESENCE, MOST_SPREAD = 2.0, 0.08  # of the teacher: a logit; in distances of the pupils, mean over the mesh
VALIDATED = 20  # one person in so many is kept aside
TURNED, TURN_WEIGHT = 0.25, 3.0  # a nose off the middle by so many distances of the pupils is drawn so much oftener


@attrs.frozen(eq=False)
class Crops:
    """The photographs to learn from.

    Attributes
    ----------
    pixels
        (N, 180, 180, 3) uint8 RGB.
    points
        (N, 70, 2) xy pixels of the crop.
    trust
        (N, 70) weight of each point, 0-1: how far the teacher's passes agree.
    aside
        (N,) kept aside by person.
    weight
        (N,) how often to draw each.
    """

    pixels: PixelArray
    points: npt.NDArray[np.float32]
    trust: npt.NDArray[np.float32]
    aside: npt.NDArray[np.bool_]
    weight: Floats


def owners(root: Path, names: npt.NDArray[np.str_]) -> list[str]:
    """Return the person of each photograph: the folder where it is a person's, celeba's identity, else the photograph itself."""
    with (root / "celeba/identity.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    people = {row[0]: row[1] for row in rows}
    pairs = {"cacd_vs": lambda path: path.stem.split("_")[0]}
    found = []
    for name in names:
        path = Path(name)
        folder = path.parts[0]
        if folder == "celeba":
            found.append(f"celeba {people.get(path.name, path.name)}")
        elif folder in {"lfw_grey", "people"}:
            found.append(path.parts[1])
        else:
            found.append(f"{folder} {pairs[folder](path) if folder in pairs else path.name}")
    return found


def make(root: Path, shards: Path, cache: Path) -> Crops:
    """Crop every face that the teacher is sure of, but for landmarks106; keep them in the folder *cache*."""
    faces = load(shards)
    points_of = mapping(root, faces)
    names = faces["name"].astype(str)
    points = points_of.points(stacked(faces))
    apart = np.linalg.norm(points[:, 68] - points[:, 69], axis=1)
    spread = faces["spread"] / apart[:, None]
    sure = (faces["presence"] > LEAST_PRESENCE) & (spread.mean(axis=1) < MOST_SPREAD)
    sure &= ~np.char.startswith(names, "landmarks106")
    names, points, spread = names[sure], points[sure], spread[sure][:, points_of.vertices.clip(max=467)]
    file = cache / "pixels.npy"
    transforms = [similarity(each[CHIP_POINTS], CHIP_TEMPLATE) for each in points]
    to_network = [chip_to_network(each) for each in transforms]
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pixels = np.lib.format.open_memmap(file, "w+", np.uint8, (len(names), SIDE, SIDE, 3))
        photograph, last = np.empty((0, 0, 3), np.uint8), ""
        for row, name in enumerate(names):
            if name != last:
                photograph, last = read(root, name)[0], name
            pixels[row] = crop_similar(photograph, with_room(to_network[row]), (SIDE, SIDE))
        pixels.flush()
    local = np.array(
        [
            (each - t[:, 2]) @ np.linalg.inv(t[:, :2]).T
            for each, t in zip(points, map(with_room, to_network), strict=True)
        ]
    )
    aside = np.array([zlib.crc32(each.encode()) % VALIDATED == 0 for each in owners(root, names)])
    unit = np.linalg.norm(local[:, 68] - local[:, 69], axis=1)
    nose = np.abs(local[:, 30, 0] - local[:, [36, 45], 0].mean(axis=1)) / unit
    crops = Crops(
        np.load(file, mmap_mode="r"),
        local.astype(np.float32),
        (1 / (1 + (spread / MOST_SPREAD) ** 2)).astype(np.float32),
        aside,
        1 + (TURN_WEIGHT - 1) * np.minimum(nose / TURNED, 1),
    )
    if len(crops.pixels) != len(names):
        raise SystemExit(f"{file}: made from other shards; remove it")
    return crops


def with_room(to_picture: Floats) -> Floats:
    """Change a transform from the network's square to the stored crop around it."""
    return np.column_stack([to_picture[:, :2], to_picture[:, 2] - to_picture[:, :2] @ np.full(2, ROOM)])


class Camera:
    """Draws batches: turns, scales, shifts, mirrors, cuts, covers, blurs, dims, greys and compresses.

    Parameters
    ----------
    crops, seed
        What to draw from, and how chance begins.
    often
        How often squares are blurred, cut, covered and so on: 1 as usual, 0.5 half as often.
    """

    def __init__(self, crops: Crops, seed: int, *, often: float = 1.0) -> None:
        self._crops = crops
        self._often = often
        self._rng = np.random.default_rng(seed)
        self._rows = np.flatnonzero(~crops.aside)
        weight = crops.weight[self._rows]
        self._chance = weight / weight.sum()
        torch.manual_seed(seed)

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return pixels (B, 3, S, S) 0-255, points (B, 70, 2) in pixels of the network's square, trust (B, 70)."""
        rng = self._rng
        rows = np.sort(rng.choice(self._rows, count, p=self._chance))
        wide = rng.random(count) < 0.15 + 0.4 * self._often  # as a first pass sees it; the others as a second
        scale = np.exp(rng.normal(size=count) * np.where(wide, 0.12, 0.05)).clip(0.7, 1.45)
        turn = np.radians(
            np.where(
                wide, rng.uniform(-1, 1, count) * np.where(rng.random(count) < 0.5, 32, 12), rng.normal(size=count) * 4
            )
        )
        shift = rng.normal(size=(count, 2)) * np.where(wide, 0.06, 0.025)[:, None] * NETWORK_SIDE
        mirrored = rng.random(count) < 0.5
        return self.batch(rows, scale, turn, shift, mirrored, plain=False)

    def batch(
        self,
        rows: npt.NDArray[np.intp],
        scale: Floats,
        turn: Floats,
        shift: Floats,
        mirrored: npt.NDArray[np.bool_],
        *,
        plain: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sample chosen squares; *plain* without what the camera does."""
        count = len(rows)
        # From pixels of the square, around its middle, to pixels of the crop, around its middle.
        flip = np.where(mirrored, -1.0, 1.0)
        linear = np.empty((count, 2, 2))
        linear[:, 0, 0], linear[:, 0, 1] = np.cos(turn) * scale * flip, -np.sin(turn) * scale
        linear[:, 1, 0], linear[:, 1, 1] = np.sin(turn) * scale * flip, np.cos(turn) * scale
        inverse = np.linalg.inv(linear)
        points = self._crops.points[rows].astype(np.float64) - (SIDE / 2 - 0.5) - shift[:, None]
        points = np.einsum("nij,nkj->nki", inverse, points) + NETWORK_SIDE / 2 - 0.5
        trust = self._crops.trust[rows]
        points = np.where(mirrored[:, None, None], points[:, MIRROR_70], points)
        trust = np.where(mirrored[:, None], trust[:, MIRROR_70], trust)
        # Squares go from -1 to 1 in PyTorch, here as there.
        small = linear * (NETWORK_SIDE / SIDE)
        theta = torch.from_numpy(np.concatenate([small, shift[:, :, None] / (SIDE / 2)], axis=2).astype(np.float32))
        where = nnf.affine_grid(theta, [count, 3, NETWORK_SIDE, NETWORK_SIDE], align_corners=False)
        if not plain:
            self._cut(where)
        stored = torch.from_numpy(self._crops.pixels[rows]).permute(0, 3, 1, 2).float()
        sampled = nnf.grid_sample(stored, where, mode="bilinear", padding_mode="border", align_corners=False)
        if not plain:
            sampled = self._camera(sampled)
        return sampled, torch.from_numpy(points.astype(np.float32)), torch.from_numpy(trust)

    def _cut(self, where: torch.Tensor) -> None:
        """Cut by the picture's edge, which is repeated beyond it: one face in seven, by up to a third of the square."""
        for row in np.flatnonzero(self._rng.random(len(where)) < 0.15 * self._often):
            axis, reach = int(self._rng.integers(2)), float(self._rng.uniform(0.1, 0.45)) * 2 * NETWORK_SIDE / SIDE
            one = where[row, ..., axis]
            one.clamp_(max=reach) if self._rng.random() < 0.5 else one.clamp_(min=-reach)

    def _camera(self, x: torch.Tensor) -> torch.Tensor:
        rng, count = self._rng, len(x)
        # Low resolution: faces of 20 to 60 pixels, brought back to size.
        rows = np.flatnonzero(rng.random(count) < 0.25 * self._often)
        for part in np.array_split(rows, 4):
            if len(part):
                side = int(rng.integers(18, 64))
                mode = "area" if rng.random() < 0.7 else "bilinear"
                small = nnf.interpolate(x[part], size=side, mode=mode)
                x[part] = nnf.interpolate(small, size=NETWORK_SIDE, mode="bilinear", align_corners=False)
        rows = np.flatnonzero(rng.random(count) < 0.15 * self._often)
        for part in np.array_split(rows, 2):
            if len(part):
                sigma = rng.uniform(0.6, 2.2)
                line = torch.exp(-(torch.arange(-4, 5).float() ** 2) / (2 * sigma**2))
                line = line / line.sum()
                one = line.view(1, 1, 1, -1).expand(3, 1, 1, -1)
                y = nnf.conv2d(nnf.pad(x[part], (4, 4, 0, 0), mode="replicate"), one, groups=3)
                x[part] = nnf.conv2d(nnf.pad(y, (0, 0, 4, 4), mode="replicate"), one.transpose(2, 3), groups=3)
        # Light: gain of each channel, contrast around the mean, gamma.
        gain = np.exp(rng.normal(size=(count, 1)) * 0.25 + rng.normal(size=(count, 3)) * 0.06)
        contrast = np.exp(rng.normal(size=count) * 0.25)
        light = torch.from_numpy(gain.astype(np.float32))[:, :, None, None]
        spread = torch.from_numpy(contrast.astype(np.float32))[:, None, None, None]
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = ((x - mean) * spread + mean) * light
        rows = np.flatnonzero(rng.random(count) < 0.15 * self._often)
        if len(rows):
            slope = np.linspace(-1, 1, NETWORK_SIDE) * rng.uniform(-0.6, 0.6, (len(rows), 1))
            x[rows] *= torch.from_numpy((1 + slope).astype(np.float32))[:, None, None, :]
        rows = np.flatnonzero(rng.random(count) < 0.25 * self._often)
        if len(rows):
            x[rows] = (
                (x[rows] * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))
                .sum(1, keepdim=True)
                .expand(-1, 3, -1, -1)
            )
        self._cover(x)
        rows = np.flatnonzero(rng.random(count) < 0.3 * self._often)
        if len(rows):
            x[rows] += torch.randn(len(rows), *x.shape[1:]) * float(rng.uniform(2, 12))
        x = x.clamp(0, 255)
        for row in np.flatnonzero(rng.random(count) < 0.08 * self._often):
            image = Image.fromarray(x[row].permute(1, 2, 0).byte().numpy())
            stream = io.BytesIO()
            image.save(stream, "JPEG", quality=int(rng.integers(15, 60)))
            x[row] = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1).float()
        return x.round()

    def _cover(self, x: torch.Tensor) -> None:
        """Cover one face in four by one or two rectangles: of one colour, of noise, or of another photograph."""
        rng = self._rng
        for row in np.flatnonzero(rng.random(len(x)) < 0.28 * self._often):
            for _ in range(rng.integers(1, 3)):
                width, height = (rng.uniform(0.12, 0.5, 2) * NETWORK_SIDE).astype(int)
                left, top = (
                    rng.integers(-width // 2, NETWORK_SIDE - width // 2),
                    rng.integers(-height // 2, NETWORK_SIDE - height // 2),
                )
                here = (slice(max(top, 0), top + height), slice(max(left, 0), left + width))
                kind = rng.random()
                if kind < 0.5:
                    colour = torch.from_numpy(rng.uniform(0, 255, 3).astype(np.float32)).view(3, 1, 1)
                    x[row, :, here[0], here[1]] = colour
                elif kind < 0.7:
                    shape = x[row, :, here[0], here[1]].shape
                    x[row, :, here[0], here[1]] = torch.rand(shape) * 255
                else:
                    other = x[(row + 1) % len(x)].roll((int(rng.integers(NETWORK_SIDE)),) * 2, dims=(1, 2))
                    x[row, :, here[0], here[1]] = other[:, here[0], here[1]]
