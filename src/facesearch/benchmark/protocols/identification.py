"""Measure open-set identification: people enrolled with few photos, searched with others, and strangers."""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.benchmark.metrics.rates import Rate
from facesearch.benchmark.metrics.roc import check_numbers
from facesearch.benchmark.photos.people import split_people
from facesearch.benchmark.protocols.cast import Cast, Condition, Scoring
from facesearch.collection.collection import MAX_FACES_PER_USER
from facesearch.common.arrays import FloatArray, PointArray
from facesearch.common.progress import progress
from facesearch.common.validation import (
    between,
    check_float,
    check_int,
    check_is,
    is_a,
    maybe,
    plain_float,
    plain_int,
    tuple_of,
    whole,
)
from facesearch.domain.entities import FaceModel
from facesearch.embedding.sface import SFACE_PLAIN
from facesearch.errors import InvalidParameterError

__all__ = [
    "ENROLLED",
    "FPIRS",
    "THRESHOLDS",
    "Identification",
    "IdentificationPoint",
    "identify",
    "tally",
]

ENROLLED = (1, 3, 5)
THRESHOLDS = (50.0, 80.0, 90.0, 99.0)
FPIRS = (1e-1, 1e-2)
_WRONG_SHARE = 5  # one photo in 5 is of another person, where wrong photos are enrolled


@attrs.frozen(kw_only=True)
class IdentificationPoint:
    """Both errors at one threshold.

    Attributes
    ----------
    threshold
        Similarity, percent.
    fpir
        False positive identification rate: searches of strangers that find anybody at the threshold.
    fnir
        False negative identification rate: searches of enrolled people that do not find them first, at the threshold.
    allowed
        The FPIR that the threshold was chosen for, 0-1, where it was.
    """

    threshold: float = field(converter=plain_float, validator=between(0, 100))
    fpir: Rate = field(validator=is_a(Rate))
    fnir: Rate = field(validator=is_a(Rate))
    allowed: float | None = field(
        default=None, converter=attrs.converters.optional(plain_float), validator=maybe(between(0, 1))
    )


@attrs.frozen(kw_only=True)
class Identification:
    """Identification rates under one set of conditions.

    Attributes
    ----------
    enrolled
        Photos for each user.
    wrong
        Number of these that are of another person.
    scoring
        Vectors that a probe was compared with.
    users
        In the gallery, distractors among them.
    distractors
        Users that no probe belongs to.
    rank1
        Searches of enrolled people that find them first, at any similarity.
    points
        By threshold, in the order asked for.
    at_fpir
        For each FPIR allowed, the lowest threshold at which these strangers are found no more often, and the errors
        there. With fewer than 1 / FPIR searches none of them may be found.

    References
    ----------
    Grother, Ngan and Hanaoka, NIST IR 8271 (2019), doi:10.6028/NIST.IR.8271, section 3; rank 1 counts.
    """

    enrolled: int = field(converter=plain_int, validator=whole(1))
    wrong: int = field(converter=plain_int, validator=whole(0))
    scoring: Scoring = field(validator=is_a(Scoring))
    users: int = field(converter=plain_int, validator=whole(1))
    distractors: int = field(converter=plain_int, validator=whole(0))
    rank1: Rate = field(validator=is_a(Rate))
    points: tuple[IdentificationPoint, ...] = field(validator=tuple_of(IdentificationPoint))
    at_fpir: tuple[IdentificationPoint, ...] = field(validator=tuple_of(IdentificationPoint))


def identify(
    people: Mapping[str, FloatArray],
    *,
    enrolled: Sequence[int] = ENROLLED,
    strangers: float = 0.3,
    distractors: Mapping[str, FloatArray] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    fpirs: Sequence[float] = FPIRS,
    seed: int = 0,
    face_model: FaceModel = SFACE_PLAIN,
) -> tuple[Identification, ...]:
    """Enrol people in a collection, search them and strangers, and count the errors.

    Every condition has the same users and the same searches: of each mate (see `Split`) the photos are shuffled once, the
    first ``max(enrolled)`` are to be enrolled, one is spare, and the rest are searched.

    Parameters
    ----------
    people
        From name to (n, D) float32 vectors, one for each photo.
    enrolled
        Numbers of photos to enrol, each 1-100. From 5 up also with one in five replaced by another person's spare photo.
    strangers
        Share of the people to keep out of the gallery, 0-1; see `split_people`.
    distractors
        Other people to fill the gallery with, all their photos enrolled. Those of *people* with too few photos are added,
        and everything is measured once without distractors and, where there are any, once with all.
    thresholds
        Similarities, percent.
    fpirs
        False positive identification rates at which to report the false negative ones, each 0-1.
    seed
        Seed of the roles and of the order of photos, >= 0.
    face_model
        The model that made the vectors.

    Returns
    -------
    tuple of Identification
        Without distractors first; then by number of photos, wrong ones and scoring.

    Raises
    ------
    InvalidParameterError
        If an argument is invalid, or no person has ``max(enrolled) + 2`` photos.
    """
    check_is("face_model", face_model, FaceModel)
    if not enrolled:
        raise InvalidParameterError.of("enrolled", enrolled, "one or more numbers of photos")
    most = max(check_int("enrolled", photos, 1, MAX_FACES_PER_USER) for photos in enrolled)
    counts = {name: len(rows) for name, rows in people.items()}
    split = split_people(counts, photos=most + 2, strangers=strangers, seed=seed)
    cast = Cast.of(people=people, split=split, others=distractors or {}, most=most, seed=seed, face_model=face_model)
    conditions = [
        Condition(crowded=crowded, photos=photos, wrong=wrong, scoring=scoring)
        for crowded in (False, *([True] if cast.distractors else []))
        for photos in sorted(set(enrolled))
        for wrong in _wrongs(photos, len(split.mates))
        for scoring in Scoring
    ]
    return tuple(
        _measure(cast, each, thresholds, fpirs) for each in progress(conditions, "conditions", len(conditions))
    )


def tally(
    first: npt.ArrayLike, mated: npt.ArrayLike, strangers: npt.ArrayLike, threshold: float
) -> IdentificationPoint:
    """Count the errors of searches at one threshold.

    Parameters
    ----------
    first
        (M,) bool: whether the enrolled person searched for came first.
    mated
        (M,) similarities of those who came first, percent.
    strangers
        (S,) the same for the strangers searched.
    threshold
        Similarity, percent.

    Raises
    ------
    InvalidParameterError
        If *threshold* is not in [0, 100].

    Examples
    --------
    >>> point = tally([True, True, False], [99, 70, 90], [85, 20], 80)
    >>> point.fnir.events, point.fpir.events
    (2, 1)
    """
    check_float("threshold", threshold, 0, 100)
    came, near = np.asarray(first), check_numbers("mated", mated)
    if came.shape != near.shape or came.dtype.kind not in "biuf":
        raise InvalidParameterError.of("first", first, f"{len(near)} truth values, one for each of mated")
    found = came.astype(bool) & (near >= threshold)
    alarms = check_numbers("strangers", strangers) >= threshold
    return IdentificationPoint(
        threshold=threshold,
        fpir=Rate.of(int(alarms.sum()), alarms.size),
        fnir=Rate.of(int((~found).sum()), found.size),
    )


def _threshold_for(fpir: float, strangers: PointArray) -> float:
    """Return the lowest similarity that at most a share *fpir* of the strangers reach; 100 where none is high enough."""
    tops = np.sort(strangers)[::-1]
    allowed = int(check_float("fpirs", fpir, 0, 1) * len(tops) + 1e-9)
    return 0.0 if allowed >= len(tops) else min(100.0, float(np.nextafter(tops[allowed], np.inf)))


def _wrongs(photos: int, mates: int) -> tuple[int, ...]:
    """Return the numbers of wrong photos to try: none, and one in five where there are others to take them from."""
    wrong = photos // _WRONG_SHARE
    return (0, wrong) if 0 < wrong < mates else (0,)


def _measure(cast: Cast, condition: Condition, thresholds: Sequence[float], fpirs: Sequence[float]) -> Identification:
    found = cast.search(condition)
    scores = (found.first, found.mated, found.strangers)
    allowed = [(fpir, _threshold_for(fpir, found.strangers)) for fpir in fpirs]
    return Identification(
        enrolled=condition.photos,
        wrong=condition.wrong,
        scoring=condition.scoring,
        users=found.users,
        distractors=found.distractors,
        rank1=Rate.of(int(found.first.sum()), len(found.first)),
        points=tuple(tally(*scores, threshold) for threshold in thresholds),
        at_fpir=tuple(attrs.evolve(tally(*scores, threshold), allowed=fpir) for fpir, threshold in allowed),
    )
