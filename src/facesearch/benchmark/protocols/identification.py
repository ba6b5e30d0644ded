"""Measure open-set identification: people enrolled with few photos, searched with others, and strangers."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field

from facesearch.benchmark.metrics.rates import Rate
from facesearch.benchmark.metrics.roc import check_numbers
from facesearch.benchmark.photos.people import Split, split_people
from facesearch.collection.collection import MAX_FACES_PER_USER, Collection
from facesearch.common.arrays import FloatArray, PointArray
from facesearch.common.progress import progress
from facesearch.common.validation import (
    between,
    check_float,
    check_int,
    check_is,
    is_a,
    maybe,
    maybe_float,
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
    "Scoring",
    "identify",
    "tally",
]

ENROLLED = (1, 3, 5)
THRESHOLDS = (50.0, 80.0, 90.0, 99.0)
FPIRS = (1e-1, 1e-2)
_WRONG_SHARE = 5  # one photo in 5 is of another person, where wrong photos are enrolled


class Scoring(Enum):
    """Vectors that a probe is compared with: the template of each user, or each enrolled face, of which the nearest counts."""

    USER_VECTOR = "user vector"
    BEST_FACE = "best face"


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
    allowed: float | None = field(default=None, converter=maybe_float, validator=maybe(between(0, 1)))


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
    cast = _Cast.of(people, split, distractors or {}, most=most, seed=seed, face_model=face_model)
    conditions = [
        _Condition(crowded, photos, wrong, scoring)
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


class _Condition(NamedTuple):
    """Distractors enrolled or not, photos for each user, wrong ones among them, and scoring."""

    crowded: bool
    photos: int
    wrong: int
    scoring: Scoring


@attrs.frozen(kw_only=True, eq=False)
class _Cast:
    """Enrolled and searched vectors by user id, the same under all conditions."""

    enrolment: dict[str, FloatArray]
    spare: dict[str, FloatArray]
    probes: dict[str, FloatArray]
    strangers: FloatArray
    distractors: dict[str, FloatArray]
    face_model: FaceModel

    @classmethod
    def of(
        cls,
        people: Mapping[str, FloatArray],
        split: Split,
        others: Mapping[str, FloatArray],
        *,
        most: int,
        seed: int,
        face_model: FaceModel,
    ) -> "_Cast":
        """Assign *most* photos of each mate to enrolment, one to the spare ones and the rest to the searches."""
        rng = np.random.default_rng([seed, 1])  # another stream than the split's
        shuffled = [people[name][rng.permutation(len(people[name]))] for name in split.mates]
        # Names are not user ids: they may hold any character, and two sets may share one.
        mates = {f"mate{number}": rows for number, rows in enumerate(shuffled)}
        left_over = [people[name] for name in split.distractors] + [others[name] for name in sorted(others)]
        none = np.empty((0, face_model.dimension), np.float32)
        return cls(
            enrolment={user: rows[:most] for user, rows in mates.items()},
            spare={user: rows[most : most + 1] for user, rows in mates.items()},
            probes={user: rows[most + 1 :] for user, rows in mates.items()},
            strangers=np.concatenate([none, *(people[name] for name in split.strangers)]),
            distractors={f"other{number}": rows[:MAX_FACES_PER_USER] for number, rows in enumerate(left_over)},
            face_model=face_model,
        )

    def gallery(self, condition: _Condition) -> dict[str, FloatArray]:
        """Return the vectors to enrol by user."""
        users, right = list(self.enrolment), condition.photos - condition.wrong
        gallery = {}
        for row, user in enumerate(users):
            # Spare photos of the next people: a wrong photo of an enrolled person can attract that person's searches.
            donors = [users[(row + step) % len(users)] for step in range(1, condition.wrong + 1)]
            gallery[user] = np.concatenate([self.enrolment[user][:right], *(self.spare[donor] for donor in donors)])
        return gallery | (self.distractors if condition.crowded else {})


def _enrolled(gallery: Mapping[str, FloatArray], scoring: Scoring, face_model: FaceModel) -> Collection:
    """Enrol all users; for single faces, each as a user of its own, ``name:number``."""
    ids = [
        f"{name}:{number}" if scoring is Scoring.BEST_FACE else name
        for name, rows in gallery.items()
        for number in range(len(rows))
    ]
    collection = Collection("benchmark", face_model=face_model)
    collection.add_embeddings(ids, np.concatenate(list(gallery.values())))
    return collection


def _measure(cast: _Cast, condition: _Condition, thresholds: Sequence[float], fpirs: Sequence[float]) -> Identification:
    """Enrol, search all probes, and count the errors by the first match of each."""
    gallery = cast.gallery(condition)
    collection = _enrolled(gallery, condition.scoring, cast.face_model)

    def top(probe: FloatArray) -> tuple[str, float]:
        (match,) = collection.search_embedding(probe, user_match_threshold=0, max_users=1)
        return match.user.user_id.partition(":")[0], match.similarity

    found = [(user, *top(probe)) for user, rows in cast.probes.items() for probe in rows]
    first = np.array([user == winner for user, winner, _ in found])
    mated = np.array([percent for _, _, percent in found])
    strangers = np.array([top(probe)[1] for probe in cast.strangers])
    allowed = [(fpir, _threshold_for(fpir, strangers)) for fpir in fpirs]
    return Identification(
        enrolled=condition.photos,
        wrong=condition.wrong,
        scoring=condition.scoring,
        users=len(gallery),
        distractors=len(gallery) - len(cast.enrolment),
        rank1=Rate.of(int(first.sum()), len(first)),
        points=tuple(tally(first, mated, strangers, threshold) for threshold in thresholds),
        at_fpir=tuple(
            attrs.evolve(tally(first, mated, strangers, threshold), allowed=fpir) for fpir, threshold in allowed
        ),
    )
