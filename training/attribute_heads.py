"""Train the attribute heads on SFace's maps, calibrate them, print how well they do, and write them as one ONNX file.

``python training/attribute_heads.py out/features out/face_attributes.onnx``: about 7 minutes of a processor with AVX512-BF16. What is printed
here is measured on crops; ``benchmarks/attributes.py`` measures the whole path, on the same photographs kept aside.
"""

import argparse
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from attribute_graph import graph
from attribute_networks import CHANNELS, Heads, Straight, average, folded
from labelled import ASIDE, EMOTIONS, REGIONS, Part, Photo, photos
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional

from facesearch.appearance.heads import EMOTIONS as PUT_OUT, YES_OR_NO

Floats = NDArray[Any]

_YES, _ALL = len(YES_OR_NO), len(YES_OR_NO) + len(EMOTIONS)
_AGE, _EMOTION = _YES, _YES + 1  # columns of the targets
_YEARS, _WIDTH = -2, -1  # columns of the answers
_MALE: Final = YES_OR_NO.index("male")
_DRAWN_ON: Final = frozenset({"eyeglasses", "sunglasses", "beard", "mustache"})
_BATCH: Final = 128
_HELD: Final = 0.78  # share of the calibration faces whose age the range shall hold
# What a yes counts for in the calibration, where a no counts 1. Mustaches: CelebA has them on 1 of 10 men, and without this the value
# would be "no" for three of four. Eyeglasses: 1 of 15 in CelebA, far more elsewhere. Covers: we chose how many there are.
_YES_COUNTS: Final = {"eyeglasses": 4.0, "mustache": 6.0, "occluded": 3.0}
_CELLS: Final = 49  # of a map
_LEAST_SPREAD: Final = 1e-3  # of a channel's mean, steps
_CHILD: Final = 12  # years: up to here gender counts little


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


def people(known: list[Photo], rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the group of people of each row, as the labels have it: the region, the label of race, the folder; and whether a child."""
    names = []
    for index in rows:
        photo = known[index]
        child = " child" if photo.known.get("age", 99) <= _CHILD or photo.known.get("child") else ""
        race = f" {photo.known['race']:.0f}" if photo.folder == "utkface" else ""
        names.append((photo.group if photo.folder == "south_asia" else photo.folder + race) + child)
    return np.array(names)


def balanced(cells: NDArray[Any], chosen: NDArray[np.bool_], power: float, most: float = 6.0) -> Floats:
    """Return a weight for each row, 1 on average: the rarer the cell among the chosen rows, the larger."""
    weights = np.zeros(len(cells), np.float32)
    _, numbers, counts = np.unique(cells[chosen], return_inverse=True, return_counts=True)
    found = (counts[numbers] / len(numbers)) ** -power
    found = np.minimum(found / found.mean(), most)
    weights[chosen] = found / found.mean()
    return weights


def importance(wanted: Floats, groups: NDArray[np.str_], *, power: float, aged: float) -> Floats:
    """Return (N, 10): what each yes or no and the age count in the loss.

    Gender counts so that men and women of every group come nearer to an equal share; age so for groups and decades.
    """
    weights = np.ones((len(wanted), _YES + 1), np.float32)
    adult = ~np.isnan(wanted[:, _MALE])
    cells = np.char.add(groups, np.where(wanted[:, _MALE] == 1, " m", " w"))
    child = np.char.find(groups, "child") >= 0
    weights[:, _MALE] = balanced(cells, adult, power) * np.where(child, 0.3, 1)
    old = ~np.isnan(wanted[:, _AGE])
    decades = np.char.add(
        np.char.replace(groups, " child", ""), np.nan_to_num(wanted[:, _AGE] // 10).astype(int).clip(0, 7).astype(str)
    )
    weights[:, _AGE] = balanced(decades, old, aged, 3.0)
    return weights


def loss(answers: Tensor, wanted: Tensor, weights: Tensor, balance: Tensor) -> Tensor:
    """Add up what is lost on each label that is known, a face."""
    known = ~torch.isnan(wanted[:, :_YES])
    soft = torch.where(known, wanted[:, :_YES], 0) * 0.98 + 0.01
    each = functional.binary_cross_entropy_with_logits(answers[:, :_YES], soft, reduction="none")
    total = (each * known * weights[:, :_YES]).sum()
    felt = ~torch.isnan(wanted[:, _EMOTION])
    classes = wanted[felt, _EMOTION].long()
    total += functional.cross_entropy(
        answers[felt, _YES:_ALL], classes, weight=balance, label_smoothing=0.1, reduction="sum"
    )
    # Laplace's distribution: its middle is the median, its width follows the face
    aged = ~torch.isnan(wanted[:, _AGE])
    middle, width = _age(answers[aged])
    off = (middle - wanted[aged, _AGE]).abs() / width + torch.log(width / 10)
    return (total + (off * weights[aged, _AGE]).sum()) / len(wanted)


def _age(answers: Tensor) -> tuple[Tensor, Tensor]:
    return answers[:, _YEARS] * 20 + 35, 10 * torch.exp(answers[:, _WIDTH].clamp(-3, 3))


def means_of(maps: Any, rows: int) -> Floats:
    """Return the mean of each channel of the first *rows* maps, in steps: (N, 1792)."""
    parts = [maps[at : min(at + 512, rows)].sum(axis=(1, 2), dtype=np.int32) for at in range(0, rows, 512)]
    means: Floats = np.concatenate(parts, dtype=np.float32, casting="unsafe") / np.float32(_CELLS)
    return means


def begun(maps: Any, learn: NDArray[np.intp], *, seed: int, wide: int, hidden: int) -> Heads:
    """Return a network to train."""
    torch.manual_seed(seed)
    sample = maps[np.sort(np.random.default_rng(seed).choice(learn, 512, replace=False))]
    sample = sample.reshape(-1, CHANNELS).astype(np.float32)
    mean, scale = sample.mean(axis=0), 1 / np.maximum(sample.std(axis=0), 0.5)
    return Heads(torch.from_numpy(mean), torch.from_numpy(scale), wide, hidden)


def train(
    net: nn.Module, inputs: Any, wanted: Floats, weights: Floats, learn: NDArray[np.intp], *, epochs: int, decay: float
) -> None:
    """Train on the rows *learn* of *inputs*."""
    rng = np.random.default_rng(0)
    print(f"{sum(p.numel() for p in net.parameters()):,} weights, {len(learn):,} crops to learn from", flush=True)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=decay)
    steps = epochs * (len(learn) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.2)
    emotions = wanted[learn, _EMOTION]
    counts = np.bincount(emotions[~np.isnan(emotions)].astype(int), minlength=len(EMOTIONS))
    balance = torch.tensor(np.sqrt(counts.max() / counts), dtype=torch.float32)
    truth, worth = torch.from_numpy(wanted), torch.from_numpy(weights)
    for epoch in range(epochs):
        net.train()
        start, total = time.process_time(), 0.0
        order = rng.permutation(learn)
        for at in range(0, len(order) - _BATCH + 1, _BATCH):
            rows = np.sort(order[at : at + _BATCH])
            lost = loss(net(torch.from_numpy(inputs[rows])), truth[rows], worth[rows], balance)
            optimizer.zero_grad()
            lost.backward()
            optimizer.step()
            schedule.step()
            total += lost.item()
        print(f"epoch {epoch}: {total / (len(order) // _BATCH):.4f}, {time.process_time() - start:.0f} s", flush=True)
    net.eval()


def predict(nets: Sequence[Heads], straight: Straight, maps: Any, means: Floats, rows: NDArray[np.intp]) -> Floats:
    """Return (N, 18) answers."""
    parts = []
    with torch.no_grad():
        for some in (rows[at : at + 256] for at in range(0, len(rows), 256)):
            seen = torch.from_numpy(maps[some])
            total = sum((net(seen) for net in nets), start=straight(torch.from_numpy(means[some])))
            parts.append(total.numpy())
    return np.concatenate(parts)


def platt(scores: Floats, truth: NDArray[np.bool_], weights: Floats | None = None) -> tuple[float, float]:
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
        return float(np.average(np.logaddexp(0, z) - wanted * z, weights=weights))

    slope, shift = minimize(lost, (1.0, 0.0), method="Nelder-Mead").x
    return float(slope), float(shift)


def odds(logits: Floats) -> NDArray[np.float64]:
    """Return the log odds of each class against all others, (N, 7)."""
    chance = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    chance /= chance.sum(axis=1, keepdims=True)
    against: NDArray[np.float64] = np.log(chance) - np.log1p(-np.minimum(chance, 1 - 1e-12))
    return against


def calibrate(
    nets: Sequence[Heads], straight: Straight, answers: Floats, wanted: Floats, groups: NDArray[np.str_]
) -> tuple[Floats, Floats]:
    """Scale the last matrices, so that chances are what they say, from answers to the calibration part.

    Returns
    -------
    tuple of ndarray of shape (7,)
        Scale and shift of the emotions' log odds.
    """
    last = [*(net.out for net in nets), straight.out]
    shifts = last[0].bias.data
    glasses = wanted[:, YES_OR_NO.index("eyeglasses")] == 1
    worth = importance(wanted, groups, power=1.0, aged=0.0)
    for column in range(_YES):
        known = ~np.isnan(wanted[:, column])
        if YES_OR_NO[column] == "sunglasses":
            known &= glasses  # the question is how dark they are: there are few among all faces, and it shall not lean on that
        truth = wanted[known, column] > 0.5
        counts = worth[known, column] * np.where(truth, _YES_COUNTS.get(YES_OR_NO[column], 1.0), 1.0)
        slope, shift = platt(answers[known, column], truth, counts)
        _scale(last, column, slope)
        shifts[column] += shift
        print(f"  {YES_OR_NO[column]}: slope {slope:.2f}, shift {shift:+.2f}, from {known.sum()} crops")
    felt = ~np.isnan(wanted[:, _EMOTION])
    against, classes = odds(answers[felt, _YES:_ALL]), wanted[felt, _EMOTION].astype(int)
    lines = [platt(against[:, k], classes == k) for k in range(len(EMOTIONS))]
    aged = ~np.isnan(wanted[:, _AGE])
    middle, width = (each.numpy() for each in _age(torch.from_numpy(answers[aged])))
    factor = float(np.quantile(np.abs(middle - wanted[aged, _AGE]) / width, _HELD))
    print(f"  age: range of {factor:.2f} widths, from {aged.sum()} crops")
    _scale(last, _YEARS, 20)
    shifts[_YEARS] += 35
    shifts[_WIDTH] += np.log(10 * factor)
    scale, shift_of = (np.array(each, np.float32) for each in zip(*lines, strict=True))
    return scale, shift_of


def _scale(layers: Sequence[nn.Linear], column: int, factor: float) -> None:
    for layer in layers:
        layer.weight.data[column] *= factor
        layer.bias.data[column] *= factor


def auc(score: Floats, truth: NDArray[np.bool_]) -> float:
    """Return the area under the curve."""
    yes, no = truth.sum(), (~truth).sum()
    return float((rankdata(score)[truth].sum() - yes * (yes + 1) / 2) / max(yes * no, 1))


def report(answers: Floats, wanted: Floats, title: str) -> None:
    """Print how well answers do; the error of age is right before calibration only."""
    parts = []
    for column, name in enumerate(YES_OR_NO):
        known = ~np.isnan(wanted[:, column])
        truth, score = wanted[known, column] > 0.5, answers[known, column]
        if len(truth) == 0:
            continue
        right, yes, no = 100 * ((score > 0) == truth).mean(), truth.sum(), (~truth).sum()
        more = f" (yes {100 * (score[truth] > 0).mean():.1f}, AUC {auc(score, truth):.3f})" if yes and no else ""
        parts.append(f"{name} {right:.1f}{more}")
    felt = ~np.isnan(wanted[:, _EMOTION])
    if felt.any():
        classes, first = wanted[felt, _EMOTION], answers[felt, _YES:_ALL].argmax(axis=1)
        recall = [(first[classes == k] == k).mean() for k in range(len(EMOTIONS))]
        parts.append(f"emotions balanced {100 * np.mean(recall):.1f}, plain {100 * (first == classes).mean():.1f}")
    aged = ~np.isnan(wanted[:, _AGE])
    if aged.any():
        middle, _ = _age(torch.from_numpy(answers[aged]))
        parts.append(f"age error {np.abs(middle.numpy() - wanted[aged, _AGE]).mean():.2f} years")
    print(f"  {title}, {len(wanted)} crops: " + ", ".join(parts))


def report_kinds(answers: Floats, wanted: Floats, folder: NDArray[np.str_], kinds: NDArray[np.str_]) -> None:
    """Print how well answers do, by folder and kind."""
    for name in np.unique(folder):
        for kind in np.unique(kinds):
            rows = (folder == name) & (kinds == kind)
            if rows.any():
                report(answers[rows], wanted[rows], f"{name} {kind}")


def report_groups(answers: Floats, wanted: Floats, groups: NDArray[np.str_]) -> None:
    """Print gender and age by group, from calibrated answers."""
    for group in np.unique(groups):
        chosen = groups == group
        parts = []
        for name, value in (("men", 1), ("women", 0)):
            rows = chosen & (wanted[:, _MALE] == value)
            if rows.any():
                right = ((answers[rows, _MALE] > 0) == value).mean()
                parts.append(f"{name} {100 * right:.1f}% of {rows.sum()}")
        aged = chosen & ~np.isnan(wanted[:, _AGE])
        if aged.any():
            off = answers[aged, _YEARS] - wanted[aged, _AGE]
            held = (np.abs(off) <= np.exp(answers[aged, _WIDTH])).mean()
            parts.append(f"age error {np.abs(off).mean():.2f}, bias {off.mean():+.2f}, range holds {100 * held:.0f}%")
        print(f"    {group}: " + ", ".join(parts))


def main() -> None:
    """Train, calibrate, report, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, help="folder that attribute_features.py wrote")
    parser.add_argument("file", type=Path, help="file to write")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="one network each")
    parser.add_argument("--wide", type=int, default=48)
    parser.add_argument("--hidden", type=int, default=112)
    parser.add_argument("--aside", choices=REGIONS, default=ASIDE, help="region of south_asia to measure on")
    parser.add_argument("--power", type=float, default=0.5, help="of balance for gender; 1 makes groups equal")
    parser.add_argument("--aged", type=float, default=0.3, help="of balance for age; 1 makes groups and decades equal")
    arguments = parser.parse_args()
    assert [kind.value for kind in PUT_OUT] == list(EMOTIONS)  # noqa: S101  # both lists are ours
    torch.set_num_threads(1)
    known = photos()
    with np.load(arguments.features / "rows.npz") as file:
        done, step = int(file["done"]), file["step"]
        rows, kinds = file["photo"][:done], file["kind"][:done]
    wanted, groups = targets(known, rows, kinds), people(known, rows)
    maps = np.load(arguments.features / "maps.npy", mmap_mode="r")
    part = np.array([known[index].part_without(arguments.aside).value for index in rows])
    folder = np.array([known[index].folder for index in rows])
    learn = np.flatnonzero(part == Part.LEARN.value)
    weights = np.zeros((done, _YES + 1), np.float32)
    weights[learn] = importance(wanted[learn], groups[learn], power=arguments.power, aged=arguments.aged)
    nets = [begun(maps, learn, seed=seed, wide=arguments.wide, hidden=arguments.hidden) for seed in arguments.seeds]
    for net in nets:
        train(net, maps, wanted, weights, learn, epochs=arguments.epochs, decay=0.05)
    means = means_of(maps, done)
    spread = np.maximum(means[learn].std(axis=0), _LEAST_SPREAD)
    straight = Straight(torch.from_numpy(means[learn].mean(axis=0)), torch.from_numpy(1 / spread))
    train(straight, means, wanted, weights, learn, epochs=12, decay=0.1)
    average(nets, straight)
    # As photographs come: clean ones; a cover for FaceOccluded's sake
    chosen = np.flatnonzero((part == Part.CALIBRATE.value) & (kinds != "spoilt"))
    measure = np.flatnonzero(part == Part.MEASURE.value)
    answers = predict(nets, straight, maps, means, chosen)
    print("the calibration part")
    report_kinds(answers, wanted[chosen], folder[chosen], kinds[chosen])
    print("calibration")
    scales = calibrate(nets, straight, answers, wanted[chosen], groups[chosen])
    print("kept aside, calibrated")
    report_kinds(predict(nets, straight, maps, means, measure), wanted[measure], folder[measure], kinds[measure])
    for name, place in (("calibrated on", chosen), ("kept aside", measure)):
        print(f"  gender by group, {name}")
        clean = place[kinds[place] == "clean"]
        found = predict(nets, straight, maps, means, clean)
        report_groups(found, wanted[clean], groups[clean])
    data = graph(*folded(nets, straight, step), *scales).SerializeToString()
    arguments.file.write_bytes(data)
    print(f"{arguments.file}: {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
