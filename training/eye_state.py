"""Train the network that tells open eyes from closed ones, and measure it on photographs it never saw.

``python training/eye_state.py out/aligned.npz src/facesearch/data/eye_state.npz``, after ``training/aligned.py`` has written the
first; needs ``pip install torch`` (ours was 2.13, on the CPU).

A crop's part goes by its group: crops that look alike, mirrored or not, are of one group. A face's is that of `labelled`.
The network learns from one part, another calibrates it, the third only measures. Closed eyes are rare among the faces, so
``--folds 4`` also tries the recipe on those that the shipped network learned from, by networks that did not.
"""

import argparse
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Final

import attrs
import numpy as np
import torch
from labelled import DATA, Part, photos
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import mannwhitneyu
from torch import nn

from facesearch.appearance.eyes import PATCH_SIZE, EyeState, cut_patch, eye_patch

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

SEED: Final = 0
STEPS, BATCH = 1000, 96
ALIKE: Final = 0.9  # correlation of two crops' 12 x 12 thumbnails from which on they are of one group
SPAN: Final = 1.7  # sides of a patch, in widths of the eye
CROP, FACE, ASIAN, UNSEEN = "eye_state", "celeba", "landmarks106", "celeba, not looked at"
# For each kind, open or closed: how often each eye is drawn with other light and place, and its share of what is learned.
# Of celeba's faces that nobody looked at, nearly all are open; more than a glance at some would not pay.
DRAWN: Final = {
    (CROP, True): (12, 0.18), (CROP, False): (12, 0.2), (FACE, True): (4, 0.16), (FACE, False): (50, 0.22),
    (UNSEEN, True): (0.3, 0.1), (ASIAN, True): (3, 0.14), (ASIAN, False): (0, 0.0),
}  # fmt: skip


@attrs.frozen(eq=False)
class Eye:
    """A picture around one eye, and where its patch lies in it.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8 RGB.
    center, along
        (2,) xy pixels, as `facesearch.appearance.eyes.cut_patch` takes them.
    patch
        (32, 32, 3) uint8 RGB, as the library cuts it; the viewer's right eye is not mirrored, the network does not mind.
    is_open
        What people say, or, where nobody looked, what is nearly always so.
    kind
        Where it is from.
    owner
        The group of crops, or the face: both its eyes, one after the other, have the same.
    part
        What it is used for.
    """

    pixels: Pixels
    center: Floats
    along: Floats
    patch: Pixels
    is_open: bool
    kind: str
    owner: str
    part: Part


def crops() -> list[Eye]:
    """Read the single-eye crops."""
    paths = [path for kind in ("open", "closed") for path in sorted((DATA / CROP / kind).iterdir())]
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    eyes = []
    for path, pixels, group in zip(paths, pictures, alike(pictures), strict=True):
        height, width = pixels.shape[:2]
        owner = f"{CROP}/{paths[group].parent.name}/{paths[group].name}"
        tenth = zlib.crc32(owner.encode()) % 10
        part = Part.LEARN if tenth < 7 else Part.CALIBRATE if tenth == 7 else Part.MEASURE
        center, along = np.array([width - 1, height - 1]) / 2, np.array([max(height, width), 0.0])
        patch = cut_patch(pixels, center, along)  # the square around the whole crop, its edge repeated
        eyes.append(Eye(pixels, center, along, patch, path.parent.name == "open", CROP, owner, part))
    return eyes


def alike(pictures: Sequence[Pixels]) -> list[int]:
    """Return for each picture the index of the first that looks like it, or like one that does."""

    def thumbnail(pixels: Pixels) -> Floats:
        small = np.asarray(Image.fromarray(pixels).convert("L").resize((12, 12), Image.Resampling.BOX), np.float64)
        small -= small.mean()
        return np.asarray(small / np.linalg.norm(small))

    plain = np.array([thumbnail(pixels) for pixels in pictures])
    flat, mirrored = plain.reshape(len(plain), -1), plain[:, :, ::-1].reshape(len(plain), -1)
    near = (flat @ flat.T > ALIKE) | (flat @ mirrored.T > ALIKE) | np.eye(len(plain), dtype=bool)
    group = np.arange(len(plain))
    while True:
        lowest = np.where(near, group, len(group)).min(axis=1)
        if (lowest == group).all():
            return [int(index) for index in group]
        group = lowest


def faces(cache: Path) -> list[Eye]:
    """Read both eyes of each face, but of those behind dark glasses."""
    with np.load(cache) as data:
        folder, name, found, points = (data[key] for key in ("folder", "name", "found", "points"))
    located = {(str(f), str(n)): p for f, n, yes, p in zip(folder, name, found, points, strict=True) if yes}
    eyes = []
    for photo in photos():
        if photo.folder not in {FACE, ASIAN} or photo.known.get("sunglasses") == 1:
            continue
        if (photo.folder, photo.name) not in located:
            continue
        pixels, landmarks = photo.pixels(), located[photo.folder, photo.name]
        kind = photo.folder if "eyes_open" in photo.known else UNSEEN
        is_open, owner = photo.known.get("eyes_open", 1.0) == 1, f"{photo.folder}/{photo.name}"
        for start in (36, 42):
            eye = landmarks[start : start + 6]
            center, along = eye.mean(axis=0), SPAN * (eye[3] - eye[0])
            reach = 1.1 * np.hypot(*along) + 3  # only this much is kept: room for shifts and turns
            low = np.maximum(np.floor(center - reach).astype(int), 0)
            high = np.minimum(np.ceil(center + reach).astype(int) + 1, pixels.shape[1::-1])
            if (high - low < 4).any():
                low, high = np.zeros(2, int), np.array(pixels.shape[1::-1])
            around = pixels[low[1] : high[1], low[0] : high[0]].copy()
            eyes.append(Eye(around, center - low, along, eye_patch(pixels, eye), is_open, kind, owner, photo.part))
    return eyes


def augmented(eye: Eye, rng: np.random.Generator) -> Pixels:
    """Cut the patch from the picture as another camera, another light and other landmarks would have given it."""
    width = float(np.hypot(*eye.along)) / SPAN
    image = Image.fromarray(eye.pixels)
    if width > 9 and rng.random() < 0.75:  # down to the size of eyes in faces of 50 pixels
        shrink = float(np.exp(rng.uniform(np.log(8 / width), 0)))
        kinds = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        size = max(4, round(image.width * shrink)), max(4, round(image.height * shrink))
        image = image.resize(size, kinds[rng.integers(len(kinds))])
        width *= shrink
    scale = np.array(image.size) / eye.pixels.shape[1::-1]
    if rng.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.06)) * width))
    image = Image.fromarray(_relit(np.asarray(image, np.float64), rng))
    if rng.random() < 0.5:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=int(rng.integers(30, 96)))
        image = Image.open(stream)
    along = eye.along * scale * np.exp(np.clip(rng.normal(0, 0.13), -0.35, 0.35))
    turned = np.exp(1j * np.radians(rng.normal(0, 8))) * complex(*along)
    shift = np.clip(rng.normal(0, 0.06, 2), -0.15, 0.15) * np.hypot(*along)
    center = (eye.center + 0.5) * scale - 0.5 + shift
    patch = cut_patch(np.asarray(image), center, np.array([turned.real, turned.imag]))
    return patch[:, ::-1] if rng.random() < 0.5 else patch


def _relit(pixels: Floats, rng: np.random.Generator) -> Pixels:
    """Change colour, brightness and contrast, add light from one side, and noise."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.3:
        grey = pixels.mean(axis=2, keepdims=True)
        pixels = grey + (pixels - grey) * rng.choice([0.0, rng.uniform(0, 1)])
    pixels = 255 * np.clip(pixels / 255, 0, 1) ** np.exp(rng.normal(0, 0.3))
    if rng.random() < 0.3:
        y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
        slope = rng.normal(0, 0.5, 2)
        pixels = pixels * np.exp(slope[0] * x + slope[1] * y)[..., None]
    pixels = pixels * np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.08, 3)) + rng.normal(0, 10)
    if rng.random() < 0.3:
        pixels = pixels + rng.normal(0, 1, pixels.shape) * rng.uniform(0, 10)
    return np.asarray(np.clip(pixels, 0, 255), np.uint8)


_drawn_from: list[Eye] = []  # the pool's processes inherit it


def _draw(job: tuple[int, int]) -> Pixels:
    return augmented(_drawn_from[job[0]], np.random.default_rng([SEED, *job]))


def draw(eyes: list[Eye]) -> tuple[Pixels, NDArray[np.int64]]:
    """Draw every eye to learn from, as often as `DRAWN` says.

    Returns
    -------
    patches, source
        (N, 32, 32, 3), and of each the index in *eyes*.
    """
    rng = np.random.default_rng(SEED)
    odds = [DRAWN[eye.kind, eye.is_open][0] if eye.part is Part.LEARN else 0 for eye in eyes]
    times = [int(count + rng.random()) for count in odds]
    jobs = [(index, turn) for index, count in enumerate(times) for turn in range(count)]
    _drawn_from[:] = eyes
    with Pool(2) as pool:
        patches = np.stack(pool.map(_draw, jobs, chunksize=100))
    return patches, np.array([index for index, _ in jobs])


class Net(nn.Module):
    """The network, as `facesearch.appearance.eyes.eye_state_model` writes it down, with batch normalisation."""

    widths: Final = (16, 32, 48)
    hidden: Final = 32

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *self.widths), self.widths, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        inputs = self.widths[-1] * (PATCH_SIZE >> len(self.widths)) ** 2
        layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(inputs, self.hidden), nn.ReLU(), nn.Dropout(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(self.hidden, 1))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the logits (N,) of uint8 patches (N, 32, 32, 3)."""
        x = patches.permute(0, 3, 1, 2).float()
        x = x - x.mean(dim=(1, 2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(1, 2, 3), keepdim=True) + 16).sqrt()
        logits: torch.Tensor = self.layers(x)[:, 0]
        return logits

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """Return the weights as the library reads them, batch normalisation folded in."""
        arrays = {}
        modules = list(self.layers)
        norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
        convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
        for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
            mean, variance, bias = norm.running_mean, norm.running_var, convolution.bias
            if mean is None or variance is None or bias is None:
                raise TypeError("expected biases and running statistics")
            factor = norm.weight / (variance + norm.eps).sqrt()
            arrays[f"conv{number}.weight"] = convolution.weight * factor[:, None, None, None]
            arrays[f"conv{number}.bias"] = (bias - mean) * factor + norm.bias
        for number, dense in enumerate(module for module in modules if isinstance(module, nn.Linear)):
            arrays[f"dense{number}.weight"] = dense.weight.T
            arrays[f"dense{number}.bias"] = dense.bias
        return {name: np.ascontiguousarray(tensor.detach().numpy(), np.float16) for name, tensor in arrays.items()}


def learn(eyes: list[Eye], patches: Pixels, source: NDArray[np.int64], chosen: Bools) -> Net:
    """Train a network on what was drawn of the *chosen* eyes."""
    odds = np.zeros(len(source))
    for (kind, is_open), (_, share) in DRAWN.items():
        mine = np.array([e.kind == kind and e.is_open == is_open for e in eyes]) & chosen
        mine = mine[source]
        odds[mine] = share / max(mine.sum(), 1)
    upto = np.cumsum(odds) / odds.sum()
    truth = torch.tensor([0.98 if eye.is_open else 0.02 for eye in eyes])[torch.from_numpy(source)]
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    net, drawn = Net(), torch.from_numpy(patches)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        index = torch.from_numpy(np.searchsorted(upto, rng.random(BATCH)))
        flip = torch.from_numpy(rng.random(BATCH) < 0.5)[:, None, None, None]
        batch = drawn[index]
        found = net(torch.where(flip, batch.flip(2), batch))
        loss = nn.functional.binary_cross_entropy_with_logits(found, truth[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()
    return net


def logits(net: Net, patches: Pixels) -> Floats:
    """Return the mean logit of each patch and its mirror image, as the library does."""
    found = []
    with torch.no_grad():
        for start in range(0, len(patches), 1000):
            batch = torch.from_numpy(patches[start : start + 1000])
            found.append((net(batch) + net(batch.flip(2))) / 2)
    return np.asarray(torch.cat(found).double())


def platt(values: Floats, is_open: Bools) -> Floats:
    """Fit slope and shift of the probability, with Platt's targets: no share is ever quite 0 or 1."""
    target = np.where(is_open, (is_open.sum() + 1) / (is_open.sum() + 2), 1 / ((~is_open).sum() + 2))

    def loss(pair: Floats) -> float:
        inner = pair[0] * values + pair[1]
        return float((np.logaddexp(0, inner) - target * inner).sum())

    return np.asarray(minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-6}).x)


def auc(values: Floats, is_open: Bools) -> float:
    """Return the share of pairs, one open and one closed, that stand in the right order."""
    rank = mannwhitneyu(values[is_open], values[~is_open]).statistic
    return float(rank / is_open.sum() / (~is_open).sum())


def print_reliability(title: str, probability: Floats, is_open: Bools) -> None:
    """Print how often an answer given with some confidence is right."""
    confidence, right = np.maximum(probability, 1 - probability), (probability > 0.5) == is_open
    print(f"{title}: confidence, its mean, share right, count")
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 0.95), (0.95, 0.99), (0.99, 1.01)):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            mean, share = confidence[inside].mean(), right[inside].mean()
            print(f"  {low:.2f}-{min(high, 1):.2f}  {mean:.3f}  {share:.3f}  {inside.sum()}")


def print_right(title: str, probability: Floats, is_open: Bools) -> None:
    """Print how many answers are right, and the order's quality."""
    right = (probability > 0.5) == is_open
    print(
        f"{title}: {right.mean():.4f} right ({right.sum()} of {len(right)}); open {right[is_open].sum()} of {is_open.sum()}, "
        f"closed {right[~is_open].sum()} of {(~is_open).sum()}; AUC {auc(probability, is_open):.4f}"
    )


def print_measures(state: EyeState, eyes: list[Eye], crop_calibration: Floats) -> None:
    """Print the accuracy of the shipped file on the held-out part; slope and shift turn the logits of crops to probabilities."""
    measured = [eye for eye in eyes if eye.part is Part.MEASURE]
    of_crops = [eye for eye in measured if eye.kind == CROP]
    crop_open = np.array([eye.is_open for eye in of_crops])
    slope, shift = crop_calibration.tolist()
    probability = expit(slope * state.logits(np.stack([eye.patch for eye in of_crops])) + shift)
    print_right("crops", probability, crop_open)
    print_reliability("crops", probability, crop_open)
    of_faces = [eye for eye in measured if eye.kind != CROP]
    patches = np.stack([eye.patch for eye in of_faces]).reshape(-1, 2, PATCH_SIZE, PATCH_SIZE, 3)
    probability = state.face_open_probability(patches)
    kind, is_open = np.array([e.kind for e in of_faces[::2]]), np.array([e.is_open for e in of_faces[::2]])
    print_right("celeba faces", probability[kind == FACE], is_open[kind == FACE])
    print_reliability("celeba faces", probability[kind == FACE], is_open[kind == FACE])
    for what in (ASIAN, UNSEEN):
        mine = probability[(kind == what) & is_open]
        wrong, sure = int((mine <= 0.5).sum()), int((mine <= 0.1).sum())
        print(
            f"{what}: {wrong} of {len(mine)} open faces called closed ({wrong / len(mine):.4f}), {sure} of them surely"
        )


def main() -> None:
    """Train, write and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path, help="from training/aligned.py")
    parser.add_argument("weights", type=Path, help="the npz to write")
    parser.add_argument("--folds", type=int, default=0, help="also cross-validate, in so many")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    eyes = [*crops(), *faces(arguments.cache)]
    for (origin, use, yes), count in sorted(Counter((e.kind, e.part.value, e.is_open) for e in eyes).items()):
        print(f"{origin}, {use}: {count} {'open' if yes else 'closed'} eyes")
    print(f"groups of crops: {len({e.owner for e in eyes if e.kind == CROP})}")
    drawn, source = draw(eyes)
    print(f"{len(drawn)} patches drawn", flush=True)
    plain, kind = np.stack([eye.patch for eye in eyes]), np.array([eye.kind for eye in eyes])
    is_open, part = np.array([eye.is_open for eye in eyes]), np.array([eye.part.value for eye in eyes])
    net = learn(eyes, drawn, source, part == Part.LEARN.value)
    found = logits(net, plain)
    pair = kind == CROP, kind == FACE
    calibrating = part == Part.CALIBRATE.value
    arrays: dict[str, NDArray[np.float16] | NDArray[np.float32]] = {**net.arrays()}
    crop_calibration = platt(found[pair[0] & calibrating], is_open[pair[0] & calibrating])
    both = found[pair[1] & calibrating].reshape(-1, 2).mean(axis=1)
    arrays["calibration.face"] = platt(both, is_open[pair[1] & calibrating][::2]).astype(np.float32)
    arguments.weights.parent.mkdir(parents=True, exist_ok=True)
    with arguments.weights.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    print(
        f"{arguments.weights}: {arguments.weights.stat().st_size} bytes, {sum(a.size for a in arrays.values())} numbers"
    )
    print(f"slope and shift: crops {crop_calibration}, faces {arrays['calibration.face']}")
    print_measures(EyeState(weights=arguments.weights), eyes, crop_calibration)
    aside = pair[1] & (part != Part.LEARN.value)
    face_open = is_open[aside][::2]
    order = auc(found[aside].reshape(-1, 2).mean(axis=1), face_open)
    print(
        f"celeba faces not learned from: AUC {order:.4f}, {(~face_open).sum()} closed, {face_open.sum()} open",
        flush=True,
    )
    if arguments.folds:
        fold = np.array([zlib.crc32(f"{eye.owner} fold".encode()) % arguments.folds for eye in eyes])
        for number in range(arguments.folds):
            others = learn(eyes, drawn, source, (part == Part.LEARN.value) & (fold != number))
            mine = (part == Part.LEARN.value) & (fold == number)
            found[mine] = logits(others, plain[mine])
        slope, shift = arrays["calibration.face"].tolist()
        both = slope * found[pair[1]].reshape(-1, 2).mean(axis=1) + shift
        probability, face_open = 1 / (1 + np.exp(-both)), is_open[pair[1]][::2]
        print_right("celeba faces, all, each by a network that did not learn from it", probability, face_open)
        print_reliability("the same", probability, face_open)


if __name__ == "__main__":
    main()
