"""Does the score know which photographs as they are will fail? See ``benchmarks/quality.py``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from _machine import data_folder
from numpy.typing import NDArray
from quality_looks import FILTERS, THRESHOLD, PhotoMeasurements, is_aside, measure_photos, table_row

import facesearch as fs
from facesearch.benchmark import (
    ErrorVersusDiscard,
    Pairs,
    Rate,
    error_versus_discard,
    partial_area,
    plot_discard,
    read_pairs,
)
from facesearch.selection.checks import quality_reasons

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PADDING: Final = {"lfw_grey": 0.25, "cacd_vs": 0.0}
SHARES: Final = (0.05, 0.1, 0.2)
RESAMPLES: Final = 300
# More curves than these can't be told apart.
PLOTTED: Final = (
    "learned score (this library's)",
    "agreement with the mirror image",
    "detector's confidence",
    "sharpness",
)


@attrs.frozen(kw_only=True, eq=False)
class Trial:
    """Genuine pairs whose two photographs have a face.

    Attributes
    ----------
    name
        For the table.
    looks
        At all photographs.
    first, second
        (N,) rows of the pairs.
    cluster
        (N,): pairs of one number are drawn together when chance is estimated: those of one person, where that is known.
    """

    name: str
    looks: PhotoMeasurements
    first: Ints
    second: Ints
    cluster: Ints

    @property
    def distances(self) -> Floats:
        """(N,) as the library compares."""
        return apart(self.looks, self.first, self.second)


def print_discard(limit: int | None, cache: Path | None, plots: Path | None) -> None:
    """Measure and print."""
    print(
        "DISCARD: false non-match rate (FNMR) left when the pairs of least quality are discarded; photographs as they are"
    )
    reach = fs.distance_at(THRESHOLD)
    print(
        f"threshold: similarity {THRESHOLD:g}, distance {reach:.4f}; quality of a pair: the lower of its two photographs'"
    )
    print(
        "area: up to 20% discarded, 0 is the best possible, 1 tells nothing; 95% interval over people, or pairs where those are not\nnamed, drawn again\n"
    )
    for folder in PADDING:
        pairs = read_pairs(data_folder(folder) / "pairs.csv")
        for trial in trials(folder, pairs, limit, cache):
            print_trial(trial, reach, plots)


def trials(folder: str, pairs: Pairs, limit: int | None, cache: Path | None) -> list[Trial]:
    """Analyse the photographs of a folder, and return its sets of genuine pairs."""
    everybody = folder == "lfw_grey"
    photos = sorted(pairs.source.parent.glob("*/*.jpg")) if everybody else list(pairs.photos)
    chosen = np.arange(len(pairs))
    if limit is not None:
        chosen = np.concatenate([np.flatnonzero(pairs.same)[:limit], np.flatnonzero(~pairs.same)[:limit]])
        named = {pairs.photos[row] for row in (*pairs.first[chosen], *pairs.second[chosen])}
        photos = [path for path in photos if path in named]
    looks = measure_photos(photos, padding=PADDING[folder], cache=cache and cache / f"{folder}.npz")
    row_of = {path: row for row, path in enumerate(looks.photos)}
    first, second = (
        np.array([row_of[pairs.photos[photo]] for photo in side[chosen]]) for side in (pairs.first, pairs.second)
    )
    seen, same = looks.found[first] & looks.found[second], pairs.same[chosen]
    strangers = apart(looks, first[seen & ~same], second[seen & ~same])
    false = Rate.of(int((strangers <= fs.distance_at(THRESHOLD)).sum()), len(strangers))
    print(
        f"{folder}: {len(looks.photos):,} photographs, {int((~looks.found).sum())} without a face; "
        f"{len(chosen):,} official pairs, {int((~seen).sum())} left out for it; strangers that match {false}"
    )
    first, second = first[seen & same], second[seen & same]
    if not everybody:
        return [Trial(name=folder, looks=looks, first=first, second=second, cluster=np.arange(len(first)))]
    people, person = np.unique([path.parent.name for path in looks.photos], return_inverse=True)
    aside = np.array([is_aside(name) for name in people])[person]
    kept = aside[first]
    every = np.array(
        [
            (one, other)
            for number in np.unique(person[aside])
            for rows in [np.flatnonzero((person == number) & looks.found)]
            for position, one in enumerate(rows)
            for other in rows[position + 1 :]
        ],
        np.int64,
    ).reshape(-1, 2)
    sets = {
        f"{folder}, official pairs": (first, second),
        f"{folder}, official pairs of people the score did not learn from": (first[kept], second[kept]),
        f"{folder}, all pairs of people the score did not learn from": (every[:, 0], every[:, 1]),
    }
    return [
        Trial(name=name, looks=looks, first=one, second=other, cluster=person[one])
        for name, (one, other) in sets.items()
        if len(one)
    ]


def apart(looks: PhotoMeasurements, first: Ints, second: Ints) -> Floats:
    """Return the distances of pairs."""
    distances: Floats = np.linalg.norm(looks.vectors[first].astype(np.float64) - looks.vectors[second], axis=1)
    return distances


def scores(looks: PhotoMeasurements) -> dict[str, Floats]:
    """Return the scores to compare, one per photograph; higher is better."""
    return {
        "learned score (this library's)": looks.column("quality"),
        "sharpness": looks.column("sharpness"),
        "brightness": looks.column("brightness"),
        "detector's confidence": looks.column("confidence"),
        "size of the face": looks.column("size"),
        "how little the head is turned": -np.abs(looks.column("yaw")),
        "agreement with the mirror image": -np.linalg.norm(looks.plain - looks.mirror, axis=1).astype(np.float64),
    }


def print_trial(trial: Trial, reach: float, plots: Path | None) -> None:
    """Print one table: a line for each score, and what the filters do."""
    distances = trial.distances
    people = len(np.unique(trial.cluster))
    of_whom = f" of {people} people" if people < len(distances) else ""
    missed = Rate.of(int((distances > reach).sum()), len(distances))
    print(f"\n{trial.name}: {len(distances):,} genuine pairs{of_whom}, FNMR {missed}")
    print(table_row("FNMR left, discarding", [*(f"{share:.0%}" for share in SHARES), "area", "95%"], width=12))
    curves: dict[str, ErrorVersusDiscard] = {}
    for name, score in scores(trial.looks).items():
        quality = np.minimum(score[trial.first], score[trial.second])
        curves[name] = curve_of(distances, quality, reach)
        print_curve(name, curves[name], interval(distances, quality, reach, trial.cluster))
    print_curve("best possible", curves["sharpness"].perfect, "")
    print_filters(trial, distances, reach)
    print()
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        file = plots / f"discard_{'_'.join(trial.name.replace(',', '').split())}.png"
        print(f"  drawn: {plot_discard(file, {name: curves[name] for name in PLOTTED}, up_to=0.3)}\n")


def curve_of(distances: Floats, quality: Floats, reach: float) -> ErrorVersusDiscard:
    """Return the curve of genuine pairs; the one impostor pair that it requires has no effect, as the threshold is given."""
    same = np.append(np.ones(len(distances)), 0)
    return error_versus_discard(np.append(distances, 9.0), same, np.append(quality, 0.0), threshold=reach)


def print_curve(name: str, curve: ErrorVersusDiscard, between: str) -> None:
    """Print one line."""
    area = partial_area(curve)
    shown = "-" if area is None else f"{area:.2f}"
    print(table_row(name, [*(f"{curve.at(share):.2%}" for share in SHARES), shown, between], width=12))


def interval(distances: Floats, quality: Floats, reach: float, cluster: Ints) -> str:
    """Return the 95% interval of the area, people or pairs drawn with replacement."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(cluster == number) for number in np.unique(cluster)]
    areas = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([rows[number] for number in rng.integers(len(rows), size=len(rows))])
        area = partial_area(curve_of(distances[drawn], quality[drawn], reach))
        if area is not None:
            areas.append(area)
    if not areas:
        return "-"
    low, high = np.quantile(areas, [0.025, 0.975])
    return f"{low:.2f}-{high:.2f}"


def print_filters(trial: Trial, distances: Floats, reach: float) -> None:
    """Print what each filter discards of these pairs, and what is left."""
    for quality in FILTERS:
        passing = passes(trial.looks, fs.SHIPPED_BARS.of(quality), np.unique([trial.first, trial.second]))
        left = passing[trial.first] & passing[trial.second]
        gone = Rate.of(int((~left).sum()), len(left))
        missed = Rate.of(int((distances[left] > reach).sum()), int(left.sum()))
        dropped = Rate.of(int((distances[~left] > reach).sum()), int((~left).sum()))
        print(f"  filter {quality.value:<7} discards {gone}; FNMR left {missed}, of the discarded {dropped}")


def passes(looks: PhotoMeasurements, bars: fs.QualityBars | None, rows: Sequence[int] | Ints) -> NDArray[np.bool_]:
    """Return for each photograph whether its face passes; only *rows* are checked."""
    found = np.zeros(len(looks.photos), bool)
    for row in rows:
        found[row] = not quality_reasons(looks.measurements(int(row)), bars)
    return found
