"""Train the attribute heads on the embedding network's maps, calibrate them, print how well they do, and write them down.

``python training/attribute_heads.py out/features out/face_heads.npz``: about 15 minutes on 2 cores. What is printed here is
measured on chips; ``benchmarks/attributes.py`` measures the whole path, on the same photographs kept aside.
"""

import argparse
import copy
import hashlib
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from labelled import EMOTIONS, Part, Photo, photos
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional

from facesearch.appearance.heads import EMOTIONS as PUT_OUT, YES_OR_NO

Floats = NDArray[np.float32]

_YES, _ALL = len(YES_OR_NO), len(YES_OR_NO) + len(EMOTIONS)
_AGE, _EMOTION = _YES, _YES + 1  # columns of the targets
_DRAWN_ON: Final = frozenset({"eyeglasses", "sunglasses", "beard", "mustache"})
_BATCH: Final = 128
_HELD: Final = 0.78  # share of the calibration faces whose age the range shall hold


class Heads(nn.Module):
    """A few convolutions over the maps, one hidden layer, and one matrix for every answer."""

    def __init__(self, wide: int = 80, hidden: int = 160) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in (64, 128, 256))
        self.fine, self.fine_norm = nn.Conv2d(64, wide, 3, stride=2), nn.BatchNorm2d(wide)
        self.middle, self.middle_norm = nn.Conv2d(128, wide, 1), nn.BatchNorm2d(wide)
        self.both, self.both_norm = nn.Conv2d(2 * wide, 2 * wide, 3, stride=2, padding=1), nn.BatchNorm2d(2 * wide)
        self.hidden = nn.Linear(2 * wide * 16 + 1024, hidden)
        self.out = nn.Linear(hidden, _ALL + 2)
        self.drop_maps, self.drop = nn.Dropout2d(0.15), nn.Dropout(0.4)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        """Return (N, 18) answers."""
        fine, middle, coarse = (norm(x) for norm, x in zip(self.norms, (fine, middle, coarse), strict=True))
        fine = self.fine_norm(self.fine(self.drop_maps(fine)))
        middle = self.middle_norm(self.middle(self.drop_maps(middle)))
        both = torch.relu(self.both_norm(self.both(torch.relu(torch.cat([fine, middle], dim=1)))))
        hidden = self.hidden(self.drop(torch.cat([both.flatten(1), coarse.flatten(1)], dim=1)))
        answers: Tensor = self.out(self.drop(torch.relu(hidden)))
        return answers


def targets(known: list[Photo], rows: NDArray[np.int64], kinds: NDArray[np.str_]) -> Floats:
    """Return (N, 11): each yes or no, age and emotion, NaN where it is not known."""
    names = [*YES_OR_NO, "age", "emotion"]
    table = np.full((len(rows), len(names)), np.nan, np.float32)
    for row, (index, kind) in enumerate(zip(rows, kinds, strict=True)):
        photo = known[index]
        labels = {name: value for name, value in photo.known.items() if name in names}
        if kind == "covered":
            labels = {"occluded": 1.0}  # what is behind the cover can't be learned
        elif photo.folder == "celeba":
            labels |= {"occluded": labels.get("sunglasses", np.nan)}
        elif photo.folder == "utkface":
            labels |= {"occluded": 0.0}
        elif photo.folder == "masks":
            labels |= {"occluded": labels["masked"]}
        if kind == "harmless":  # glasses may have been drawn, or a mask at the chin
            labels = {name: value for name, value in labels.items() if name not in _DRAWN_ON}
        for name, value in labels.items():
            table[row, names.index(name)] = value
    return table


def loss(answers: Tensor, wanted: Tensor, balance: Tensor) -> Tensor:
    """Add up what is lost on each label that is known, a face."""
    known = ~torch.isnan(wanted[:, :_YES])
    soft = torch.where(known, wanted[:, :_YES], 0) * 0.98 + 0.01
    total = (functional.binary_cross_entropy_with_logits(answers[:, :_YES], soft, reduction="none") * known).sum()
    felt = ~torch.isnan(wanted[:, _EMOTION])
    classes = wanted[felt, _EMOTION].long()
    total += functional.cross_entropy(
        answers[felt, _YES:_ALL], classes, weight=balance, label_smoothing=0.1, reduction="sum"
    )
    # Laplace's distribution: its middle is the median, its width follows the face
    aged = ~torch.isnan(wanted[:, _AGE])
    middle, width = _age(answers[aged])
    return (total + ((middle - wanted[aged, _AGE]).abs() / width + torch.log(width / 10)).sum()) / len(wanted)


def _age(answers: Tensor) -> tuple[Tensor, Tensor]:
    return answers[:, -2] * 20 + 35, 10 * torch.exp(answers[:, -1].clamp(-3, 3))


def train(maps: list[Any], wanted: Floats, learn: NDArray[np.intp], epochs: int) -> Heads:
    """Train on the rows *learn*."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = Heads()
    print(f"{sum(p.numel() for p in net.parameters()):,} weights, {len(learn):,} chips to learn from")
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.05)
    steps = epochs * (len(learn) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.2)
    emotions = wanted[learn, _EMOTION]
    counts = np.bincount(emotions[~np.isnan(emotions)].astype(int), minlength=len(EMOTIONS))
    balance = torch.tensor(np.sqrt(counts.max() / counts), dtype=torch.float32)
    truth = torch.from_numpy(wanted)
    for epoch in range(epochs):
        net.train()
        start, total = time.perf_counter(), 0.0
        order = rng.permutation(learn)
        for at in range(0, len(order) - _BATCH + 1, _BATCH):
            rows = np.sort(order[at : at + _BATCH])
            lost = loss(net(*_fetch(maps, rows)), truth[rows], balance)
            optimizer.zero_grad()
            lost.backward()
            optimizer.step()
            schedule.step()
            total += lost.item()
        print(f"epoch {epoch}: {total / (len(order) // _BATCH):.4f}, {time.perf_counter() - start:.0f} s", flush=True)
    net.eval()
    return net


def _fetch(maps: list[Any], rows: NDArray[np.intp]) -> list[Tensor]:
    return [torch.from_numpy(each[rows]).float() for each in maps]


def predict(net: Heads, maps: list[Any], rows: NDArray[np.intp]) -> Floats:
    """Return (N, 18) answers."""
    with torch.no_grad():
        parts = [net(*_fetch(maps, rows[at : at + 512])).numpy() for at in range(0, len(rows), 512)]
    return np.concatenate(parts)


def platt(scores: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float]:
    """Return slope and shift that make ``sigmoid(slope * score + shift)`` the chance of a yes.

    As its author has it, a yes counts as a little less than one and a no as a little more than none, by how many there are: so
    that what few faces tell apart without a fault is not given without a doubt.

    References
    ----------
    Platt, Probabilistic outputs for support vector machines, 1999.
    """
    yes, no = int(truth.sum()), int((~truth).sum())
    wanted = np.where(truth, (yes + 1) / (yes + 2), 1 / (no + 2))

    def lost(line: NDArray[np.float64]) -> float:
        z = line[0] * scores + line[1]
        return float((np.logaddexp(0, z) - wanted * z).mean())

    slope, shift = minimize(lost, (1.0, 0.0), method="Nelder-Mead").x
    return float(slope), float(shift)


def odds(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the log odds of each class against all others, (N, 7)."""
    chance = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    chance /= chance.sum(axis=1, keepdims=True)
    against: NDArray[np.float64] = np.log(chance) - np.log1p(-np.minimum(chance, 1 - 1e-12))
    return against


def calibrate(net: Heads, answers: Floats, wanted: Floats) -> dict[str, Floats]:
    """Scale the last matrix, so that chances are what they say, from answers to the calibration part.

    Returns
    -------
    dict
        ``emotions.scale`` and ``emotions.shift``, (7,) each, on the log odds.
    """
    weight, bias = net.out.weight.data, net.out.bias.data
    glasses = wanted[:, YES_OR_NO.index("eyeglasses")] == 1
    for column in range(_YES):
        known = ~np.isnan(wanted[:, column])
        if YES_OR_NO[column] == "sunglasses":
            known &= glasses  # the question is how dark they are: there are few among all faces, and it shall not lean on that
        slope, shift = platt(answers[known, column], wanted[known, column] > 0.5)
        weight[column] *= slope
        bias[column] = slope * bias[column] + shift
        print(f"  {YES_OR_NO[column]}: slope {slope:.2f}, shift {shift:+.2f}, from {known.sum()} chips")
    felt = ~np.isnan(wanted[:, _EMOTION])
    against, classes = odds(answers[felt, _YES:_ALL]), wanted[felt, _EMOTION].astype(int)
    lines = [platt(against[:, k], classes == k) for k in range(len(EMOTIONS))]
    aged = ~np.isnan(wanted[:, _AGE])
    middle, width = (each.numpy() for each in _age(torch.from_numpy(answers[aged])))
    factor = float(np.quantile(np.abs(middle - wanted[aged, _AGE]) / width, _HELD))
    print(f"  age: range of {factor:.2f} widths, from {aged.sum()} chips")
    weight[-2], bias[-2] = weight[-2] * 20, bias[-2] * 20 + 35
    bias[-1] += np.log(10 * factor)
    return {
        "emotions.scale": np.array([slope for slope, _ in lines], np.float32),
        "emotions.shift": np.array([shift for _, shift in lines], np.float32),
    }


def folded(net: Heads) -> dict[str, Floats]:
    """Return the arrays of `facesearch.appearance.heads.heads_model`, with every normalisation folded into its neighbouring layer."""
    net = copy.deepcopy(net)
    scale = [norm.weight / torch.sqrt(norm.running_var + norm.eps) for norm in net.norms]
    shift = [norm.bias - norm.running_mean * factor for norm, factor in zip(net.norms, scale, strict=True)]
    for layer, factor, offset in ((net.fine, scale[0], shift[0]), (net.middle, scale[1], shift[1])):
        layer.bias.data += (layer.weight * offset[None, :, None, None]).sum(dim=(1, 2, 3))
        layer.weight.data *= factor[None, :, None, None]
    for layer, norm in ((net.fine, net.fine_norm), (net.middle, net.middle_norm), (net.both, net.both_norm)):
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        layer.weight.data *= factor[:, None, None, None]
        layer.bias.data = (layer.bias - norm.running_mean) * factor + norm.bias
    coarse = net.hidden.weight.data[:, -1024:].reshape(-1, 256, 4)
    net.hidden.bias.data += (coarse * shift[2][None, :, None]).sum(dim=(1, 2))
    coarse *= scale[2][None, :, None]
    layers = {"fine": net.fine, "middle": net.middle, "both": net.both, "hidden": net.hidden, "out": net.out}
    return {
        f"{name}.{kind}": getattr(layer, kind).detach().numpy()
        for name, layer in layers.items()
        for kind in ("weight", "bias")
    }


def report(answers: Floats, wanted: Floats, title: str) -> None:
    """Print how well uncalibrated answers do."""
    parts = []
    for column, name in enumerate(YES_OR_NO):
        known = ~np.isnan(wanted[:, column])
        truth, score = wanted[known, column] > 0.5, answers[known, column]
        if len(truth) == 0:
            continue
        right, yes, no = 100 * ((score > 0) == truth).mean(), truth.sum(), (~truth).sum()
        auc = (rankdata(score)[truth].sum() - yes * (yes + 1) / 2) / max(yes * no, 1)
        parts.append(f"{name} {right:.1f}" + (f" (AUC {auc:.3f})" if yes and no else " (one kind only)"))
    felt = ~np.isnan(wanted[:, _EMOTION])
    if felt.any():
        classes, first = wanted[felt, _EMOTION], answers[felt, _YES:_ALL].argmax(axis=1)
        recall = [(first[classes == k] == k).mean() for k in range(len(EMOTIONS))]
        parts.append(f"emotions balanced {100 * np.mean(recall):.1f}, plain {100 * (first == classes).mean():.1f}")
    aged = ~np.isnan(wanted[:, _AGE])
    if aged.any():
        middle, _ = _age(torch.from_numpy(answers[aged]))
        parts.append(f"age error {np.abs(middle.numpy() - wanted[aged, _AGE]).mean():.2f} years")
    print(f"  {title}, {len(wanted)} chips: " + ", ".join(parts))


def main() -> None:
    """Train, calibrate, report, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, help="folder that attribute_features.py wrote")
    parser.add_argument("weights", type=Path, help="file to write")
    parser.add_argument("--epochs", type=int, default=14)
    arguments = parser.parse_args()
    assert [kind.value for kind in PUT_OUT] == list(EMOTIONS)  # noqa: S101  # both lists are ours
    known = photos()
    with np.load(arguments.features / "rows.npz") as file:
        rows, kinds = file["photo"], file["kind"]
    wanted = targets(known, rows, kinds)
    maps = [np.load(arguments.features / f"stage{number}.npy", mmap_mode="r") for number in (2, 3, 5)]
    part = np.array([known[index].part.value for index in rows])
    folder = np.array([known[index].folder for index in rows])
    net = train(maps, wanted, np.flatnonzero(part == Part.LEARN.value), arguments.epochs)
    print("kept aside, before calibration")
    measure = np.flatnonzero(part == Part.MEASURE.value)
    answers = predict(net, maps, measure)
    for name in np.unique(folder):
        for kind in np.unique(kinds):
            chosen = (folder[measure] == name) & (kinds[measure] == kind)
            if chosen.any():
                report(answers[chosen], wanted[measure][chosen], f"{name} {kind}")
    print("calibration")
    # As photographs come: clean ones; a cover for FaceOccluded's sake
    rows_ = np.flatnonzero((part == Part.CALIBRATE.value) & (kinds != "spoilt"))
    scales = calibrate(net, predict(net, maps, rows_), wanted[rows_])
    arrays: dict[str, Any] = {name: values.astype(np.float16) for name, values in folded(net).items()} | scales
    np.savez(arguments.weights, **arrays)
    data = arguments.weights.read_bytes()
    print(f"{arguments.weights}: {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
