"""Measure a calibration, the distances at stated false-match rates, from the vectors of many people's photos."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from facesearch.analysis.analyzer import FaceAnalyzer, analyzer_or_default
from facesearch.benchmark.metrics.roc import IntArray, check_numbers
from facesearch.benchmark.photos.cutting import CutOptions, options_or_default
from facesearch.benchmark.photos.embedded import EmbeddedPhotos, embed_photos
from facesearch.benchmark.photos.people import read_people
from facesearch.common.arrays import FloatArray, PointArray
from facesearch.common.validation import check_int, check_is
from facesearch.domain.entities import FaceModel
from facesearch.errors import CalibrationError, InvalidParameterError
from facesearch.matching.calibration import SIMILARITY_AT_FMR, Calibration, CalibrationRow
from facesearch.matching.template import LONGEST, robust_mean

__all__ = ["calibrate", "calibrate_folder", "calibrate_people"]

_FEWEST_MATCHES: Final = 10  # false matches that a row needs: with fewer, chance moves it by a third and more
_FEWEST_USERS: Final = 20  # with enough photos, for the spread of users to be measured
_USER_PHOTOS: Final = 3
_SPREAD_FMR: Final = 1e-3
_BLOCK: Final = 512
_DRAWS: Final = 400


def calibrate(
    vectors: FloatArray,
    people: Sequence[str],
    *,
    face_model: FaceModel,
    data: str,
    seed: int = 0,
    others: Sequence[tuple[FloatArray, Sequence[str]]] = (),
) -> Calibration:
    """Measure the calibration of a face model.

    Every two photos of two people are one comparison of strangers, every two of one person a genuine one. Intervals are the
    middle 95% of 400 draws of as many people, with replacement (bootstrap): photos of one person are not independent.

    Parameters
    ----------
    vectors
        (N, D) float32, one for each photo.
    people
        N names: the person in each photo.
    face_model
        The model that made the vectors.
    data
        Description of the photos, for readers.
    seed
        Of the draws, >= 0.
    others
        Further sets of photos, as vectors and names. Their strangers shall not be matched more often than stated either. No person
        needs two photos in them. A set with too few comparisons for a rate is taken to need as much caution there as at the
        smallest rate that it has enough for: a distance as much smaller than that of the first set.

    Returns
    -------
    Calibration
        With a row for each stated false-match rate with ten false matches or more in the first set; a row for 99 takes 1,000,000
        comparisons of strangers, or 1,500 people. A row's distance is the smallest that any set asks for, and its false-match rate
        that of the set in which it is largest, where sets with too few comparisons count with the stated rate; false non-matches
        are those of the first set. Above the first row the curve is extrapolated to 100.

    Raises
    ------
    CalibrationError
        If there are too few people for two rows, or no person has two photos.
    InvalidParameterError
        If an argument is wrong.

    References
    ----------
    Bolle, Ratha and Pankanti, Computer Vision and Image Understanding 93 (2004), doi:10.1016/j.cviu.2003.08.002: the subsets
    bootstrap.
    """
    check_is("face_model", face_model, FaceModel)
    check_int("seed", seed, 0)
    first = _Comparisons.of("vectors", vectors, people, seed)
    sets = [first, *(_Comparisons.of("others", *each, seed) for each in others)]
    rates = [fmr for fmr in SIMILARITY_AT_FMR if first.has(fmr)]
    if len(rates) < 2 or len(first.mates) == 0:  # noqa: PLR2004  # a curve needs two points
        raise CalibrationError(
            f"people: expected photos of many people, some with two or more; got {first.size} people, "
            f"{len(first.strangers)} comparisons of strangers and {len(first.mates)} of one person"
        )
    rows = []
    for fmr in rates:
        distance = first.distance_at(fmr) - max(_caution(first, each, fmr) for each in sets)
        rows.append(
            CalibrationRow(
                similarity=SIMILARITY_AT_FMR[fmr],
                distance=distance,
                **max((each.false_matches(distance, fmr) for each in sets), key=lambda found: found["fmr"]),
                **first.false_non_matches(distance),
            )
        )
    return Calibration(
        face_model=face_model,
        data=data,
        people=sum(each.size for each in sets),
        impostor_comparisons=sum(len(each.strangers) for each in sets),
        genuine_comparisons=len(first.mates),
        rows=tuple(rows),
        user_spread=_user_spread(first.vectors.astype(np.float32), first.who, first.strangers),
    )


@attrs.frozen(kw_only=True, eq=False)
class _Comparisons:
    """The comparisons of every two photos of a set."""

    vectors: PointArray
    who: IntArray
    size: int
    distances: FloatArray
    first: IntArray
    second: IntArray
    weights: PointArray
    strangers: FloatArray
    """Distances, ascending."""

    @classmethod
    def of(cls, argument: str, vectors: FloatArray, people: Sequence[str], seed: int) -> "_Comparisons":
        matrix = check_numbers(argument, vectors, axes=2, most=LONGEST)
        if len(matrix) != len(people):
            raise InvalidParameterError.of(argument, matrix.shape, f"({len(people)}, D) finite numbers, one row a name")
        names, who = np.unique(np.array(people), return_inverse=True)
        distances, first, second = _pairs(matrix, who)
        return cls(
            vectors=matrix,
            who=who,
            size=len(names),
            distances=distances,
            first=first,
            second=second,
            weights=_draws(len(names), seed),
            strangers=np.sort(distances[first != second]),
        )

    @property
    def mates(self) -> FloatArray:
        """Distances of photos of one person."""
        found: FloatArray = self.distances[self.first == self.second]
        return found

    def has(self, fmr: float) -> bool:
        """Return whether there are enough comparisons of strangers for a rate."""
        return fmr * len(self.strangers) >= _FEWEST_MATCHES

    def distance_at(self, fmr: float) -> float:
        """Return the distance that this share of the strangers reaches."""
        return float(self.strangers[round(fmr * len(self.strangers)) - 1])

    def false_matches(self, distance: float, stated: float) -> dict[str, float]:
        """Return the rate of false matches at a distance, and its interval; the stated rate where there are too few comparisons."""
        strange = self.first != self.second
        near = strange & (self.distances <= distance)
        counted = [_counts(self.first[which], self.second[which], self.size) for which in (near, strange)]
        found, of = (_weighed(each, self.weights) for each in counted)
        share = found / np.maximum(of, 1)
        rate = float(near.sum() / len(self.strangers)) if self.has(stated) else stated
        interval = _interval("fmr", share)
        return {
            "fmr": rate,
            "fmr_low": min(interval["fmr_low"], rate),
            "fmr_high": max(interval["fmr_high"], rate),
        }

    def false_non_matches(self, distance: float) -> dict[str, float]:
        """Return the rate of false non-matches at a distance, and its interval."""
        mates = self.first == self.second
        far = mates & (self.distances > distance)
        found, of = (np.bincount(self.first[which], minlength=self.size).astype(np.float64) for which in (far, mates))
        share = (self.weights @ found) / np.maximum(self.weights @ of, 1)
        return {"fnmr": float(far.sum() / mates.sum()), **_interval("fnmr", share)}


def _caution(first: _Comparisons, other: _Comparisons, fmr: float) -> float:
    """Return by how much a set's distance at a rate, or at the next larger one that it has enough comparisons for, is below the first's."""
    enough = [each for each in SIMILARITY_AT_FMR if each >= fmr and other.has(each)]
    return first.distance_at(min(enough)) - other.distance_at(min(enough)) if enough else 0.0


def _interval(name: str, drawn: PointArray) -> dict[str, float]:
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return {f"{name}_low": low, f"{name}_high": high}


def calibrate_folder(
    folder: str | Path,
    *,
    analyzer: FaceAnalyzer | None = None,
    options: CutOptions | None = None,
    cache: str | Path | None = None,
    data: str | None = None,
    seed: int = 0,
) -> Calibration:
    """Measure a calibration on a folder of photos for each person, also for your own network.

    Parameters
    ----------
    folder
        Its sub-folders are named as the people; about 150 reach a similarity of 80, 1,500 one of 99.
    analyzer
        Detects and embeds; by default the process's analyzer.
    options, cache
        As for `embed_photos`.
    data
        Description of the photos; by default the folder's name and their number.
    seed
        Of the draws, >= 0.

    Raises
    ------
    CalibrationError, ImageError, InvalidParameterError
        As for `calibrate` and `embed_photos`.
    """
    analyzer, options = analyzer_or_default(analyzer), options_or_default(options)
    people = read_people(folder)
    paths = [path for photos in people.values() for path in photos]
    embedded = embed_photos(paths, analyzer=analyzer, options=options, cache=cache)
    return calibrate_people(
        people, embedded, data=data or f"{Path(folder).resolve().name}, {len(paths):,} photographs", seed=seed
    )


def calibrate_people(
    people: Mapping[str, Sequence[Path]], embedded: EmbeddedPhotos, *, data: str, seed: int = 0
) -> Calibration:
    """Measure a calibration, as `calibrate_folder` does, from photos that are already embedded, person by person."""
    return calibrate(
        embedded.vectors,
        [name for name, photos in people.items() for _ in photos],
        face_model=embedded.face_model,
        data=data,
        seed=seed,
    )


def _pairs(vectors: PointArray, who: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return the distance of every two rows, once, with the persons of the first and of the second."""
    squared = (vectors * vectors).sum(axis=1)
    distances, first, second = [], [], []
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        found = squared[block, None] + squared[None, start:] - 2 * vectors[block] @ vectors[start:].T
        row, column = np.triu_indices(len(found), 1, found.shape[1])
        distances.append(np.sqrt(np.maximum(found[row, column], 0)).astype(np.float32))
        first.append(who[start + row].astype(np.int32))
        second.append(who[start + column].astype(np.int32))
    return np.concatenate(distances), np.concatenate(first), np.concatenate(second)


def _counts(first: IntArray, second: IntArray, people: int) -> PointArray:
    """Count pairs by their two persons: (people, people)."""
    counted = np.bincount(first.astype(np.int64) * people + second, minlength=people * people)
    return counted.reshape(people, people).astype(np.float64)


def _weighed(counts: PointArray, weights: PointArray) -> PointArray:
    """Return the number of pairs in each draw."""
    result: PointArray = ((weights @ counts) * weights).sum(axis=1)
    return result


def _draws(people: int, seed: int) -> PointArray:
    """Return the number of times each person is in each draw: (draws, people)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(people, np.full(people, 1 / people), size=_DRAWS).astype(np.float64)


def _user_spread(vectors: FloatArray, who: IntArray, impostors: FloatArray) -> float:
    """Measure by how much a template of three photos is nearer to strangers than a single photo; 0 with too few users."""
    counts = np.bincount(who)
    users = [np.flatnonzero(who == person)[:_USER_PHOTOS] for person in np.flatnonzero(counts >= _USER_PHOTOS)]
    if len(users) < _FEWEST_USERS:
        return 0.0
    made = np.stack([robust_mean(vectors[rows]) for rows in users])
    single = vectors[np.unique(who, return_index=True)[1]]
    owner = np.array([who[rows[0]] for rows in users])
    distance = np.sqrt(np.maximum((made**2).sum(1)[:, None] + (single**2).sum(1) - 2 * made @ single.T, 0))
    strangers = np.sort(distance[owner[:, None] != np.arange(len(single))])
    near = [float(each[max(round(_SPREAD_FMR * len(each)) - 1, 0)]) for each in (impostors, strangers)]
    return max((near[0] ** 2 - near[1] ** 2) / (1 - 1 / _USER_PHOTOS), 0.0)
