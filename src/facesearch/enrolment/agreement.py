"""Rules that decide whether the photos of a user show that user: agreement with each other, and similarity to other users.

A photo is never compared with itself, and all photos of a call are judged together, so that their order can't matter.
"""

from collections.abc import Callable, Mapping
from typing import Final

import attrs
import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.domain.entities import EnrollmentReason
from facesearch.enrolment.auditing import NEARER_RATIO, OWN_SIMILARITY
from facesearch.matching.calibration import Calibration
from facesearch.matching.template import robust_mean

__all__ = [
    "SURE_SIMILARITY",
    "Agreement",
    "Doubt",
    "NearestOther",
    "agreement",
    "doubts",
    "has_majority",
    "needed_similarity",
]

# Percent, to another user: the threshold for a photo that no photo of its own user supports. Among 2,877 other users
# 0.6% of right photos reach it for one of them, and 62% of the wrong ones (benchmarks/auditing.py).
SURE_SIMILARITY: Final = 99.3
_FEWEST_TO_COMPARE = 3
_FEWEST_TO_DISAGREE = 2

NearestOther = Callable[[FloatArray, float], tuple[float, str] | None]


def has_majority(vectors: FloatArray, distance: float) -> bool:
    """Return whether one face matches more than half of several faces, itself included.

    Parameters
    ----------
    vectors
        (N, D) float32.
    distance
        Euclidean: faces no farther apart match.

    Notes
    -----
    Of folders of one person in lfw_grey, this is False at a similarity of `OWN_SIMILARITY` for none of 437 with three photos or more, and
    for 11 of 385 with two. Of 2,000 draws of strangers it is True for no pair, 1 three and no five (benchmarks/auditing.py).

    Examples
    --------
    >>> faces = np.array([[0, 0], [0, 1], [0, 1], [7, 7], [9, 0]], np.float32)
    >>> has_majority(faces, 2.0), has_majority(faces[1:], 2.0)
    (True, False)
    """
    rows = vectors.astype(np.float64)
    matching = np.sqrt(((rows[:, np.newaxis] - rows) ** 2).sum(axis=2)) <= distance
    return bool(2 * matching.sum(axis=1).max(initial=0) > len(rows))


def needed_similarity(threshold: float, *, has_faces: bool) -> float:
    """Return the similarity to its own user, percent, below which a photo may be refused; `doubts` has the rules.

    Parameters
    ----------
    threshold
        Percent, 0-100.
    has_faces
        Whether the user has faces already.
    """
    return threshold if has_faces else min(threshold, OWN_SIMILARITY)


@attrs.frozen(kw_only=True)
class Doubt:
    """The reasons for refusing a face for its user.

    Attributes
    ----------
    reasons
        PHOTOS_DISAGREE or LOW_MATCH_CONFIDENCE, NEARER_TO_ANOTHER_USER, or both.
    confidence
        The similarity to its own user, percent; ``None`` where there is nothing to compare with.
    user_id, user_confidence
        The other user that it is nearer to, and the similarity to that user, percent.
    """

    reasons: tuple[EnrollmentReason, ...]
    confidence: float | None
    user_id: str | None = None
    user_confidence: float | None = None


@attrs.frozen(kw_only=True)
class Agreement:
    """The agreement of candidate faces with their user: the first half of the rules of `doubts`.

    Attributes
    ----------
    disagree
        Whether the candidates of a new user have no majority.
    low
        The rows of the candidates with too low a similarity to the others, and that similarity, percent.
    """

    disagree: bool
    low: Mapping[int, float]


def agreement(
    candidates: FloatArray, present: FloatArray, *, threshold: float, calibration: Calibration, anyway: bool = False
) -> Agreement:
    """Compare the candidate faces of a user with each other and with the user's faces; see `doubts`.

    Parameters
    ----------
    candidates
        (M, D) float32.
    present
        (N, D) float32: the user's faces so far; N may be 0.
    threshold
        Percent, 0-100; at 0 nothing is compared.
    calibration
        Converts distances to percentages.
    anyway
        Whether a new user's photos need no majority.

    Returns
    -------
    Agreement
        Independent of the order of the candidates, except for the row numbers.
    """
    if threshold == 0:
        return Agreement(disagree=False, low={})
    judge = _Judge(candidates, present, calibration)
    rows = range(len(candidates))
    bar = needed_similarity(threshold, has_faces=len(present) > 0)
    if len(present):
        similar = {row: judge.similarity(judge.distance(row, present)) for row in rows}
        return Agreement(disagree=False, low={row: value for row, value in similar.items() if value < bar})
    apart = calibration.distance_at(OWN_SIMILARITY)
    if len(rows) >= _FEWEST_TO_DISAGREE and not has_majority(candidates, apart):
        return Agreement(disagree=not anyway, low={})
    low = {}
    for row in rows if len(rows) >= _FEWEST_TO_COMPARE else ():
        others = np.delete(candidates, row, axis=0)
        similarity = judge.similarity(judge.distance(row, others))
        if similarity < bar and has_majority(others, apart):
            low[row] = similarity
    return Agreement(disagree=False, low=low)


def doubts(
    candidates: FloatArray,
    present: FloatArray,
    nearest_other: NearestOther,
    *,
    threshold: float,
    calibration: Calibration,
    agreed: Agreement,
) -> tuple[Doubt | None, ...]:
    """Return the doubt about each candidate face of a user.

    Parameters
    ----------
    candidates
        (M, D) float32.
    present
        (N, D) float32: the user's faces so far; N may be 0.
    nearest_other
        Returns, for a face and a distance, the nearest other user no farther than that: its distance and id, or ``None``.
    threshold
        Percent, 0-100; at 0 nothing is doubted.
    calibration
        Converts distances to percentages.
    agreed
        The result of `agreement` for the same faces.

    Returns
    -------
    tuple of Doubt or None
        One for each candidate, independent of their order; ``None`` is no doubt.

    Notes
    -----
    PHOTOS_DISAGREE: the user has no faces, there are two candidates or more, and no one of them matches more than half of all
    candidates, itself included, at a similarity of `facesearch.enrolment.auditing.OWN_SIMILARITY`. All candidates have this reason then, unless
    `agreement` was called with *anyway*. Two photos that differ are refused too: one of them is wrong, and it is unknown which.

    LOW_MATCH_CONFIDENCE: where the user has faces, the similarity to them is below *threshold*, as when faces are
    associated. Where it has none and there are three candidates or more, the similarity to the other candidates is below
    *threshold* and below `facesearch.enrolment.auditing.OWN_SIMILARITY`, and those have a majority among themselves, as all candidates have.

    NEARER_TO_ANOTHER_USER: the distance to another user is below `facesearch.enrolment.auditing.NEARER_RATIO` of that to its own, the
    user's faces and all other candidates without LOW_MATCH_CONFIDENCE, and the similarity to the other user is at least
    *threshold*. Where no own face supports the candidate, because there is none or it is less similar than
    `OWN_SIMILARITY`, the similarity to the other user must be at least `SURE_SIMILARITY` instead.
    """
    if threshold == 0:
        return (None,) * len(candidates)
    judge = _Judge(candidates, present, calibration)
    return tuple(judge.doubt(row, agreed, nearest_other, threshold) for row in range(len(candidates)))


@attrs.frozen(eq=False)
class _Judge:
    candidates: FloatArray
    present: FloatArray
    calibration: Calibration

    def doubt(self, row: int, agreed: Agreement, nearest_other: NearestOther, threshold: float) -> Doubt | None:
        """Return the doubt about one candidate, given the agreement of all."""
        low = agreed.low
        others = [other for other in range(len(self.candidates)) if other != row and other not in low]
        company = np.concatenate([self.present, self.candidates[others]])
        distance = self.distance(row, company) if len(company) else None
        confidence = low.get(row, None if distance is None else self.similarity(distance))
        is_supported = row in low or (confidence is not None and confidence >= OWN_SIMILARITY)
        reach = self.calibration.distance_at(threshold if is_supported else SURE_SIMILARITY)
        other = nearest_other(self.candidates[row], reach)
        if other and distance is not None and other[0] >= NEARER_RATIO * distance:
            other = None
        held = {
            EnrollmentReason.PHOTOS_DISAGREE: agreed.disagree,
            EnrollmentReason.LOW_MATCH_CONFIDENCE: row in low,
            EnrollmentReason.NEARER_TO_ANOTHER_USER: other is not None,
        }
        if not any(held.values()):
            return None
        return Doubt(
            reasons=tuple(reason for reason, holds in held.items() if holds),
            confidence=confidence,
            user_id=other[1] if other else None,
            user_confidence=self.similarity(other[0]) if other else None,
        )

    def distance(self, row: int, company: FloatArray) -> float:
        """Return the distance of a candidate from the template of *company*."""
        difference = self.candidates[row].astype(np.float64) - robust_mean(company)
        return float(np.sqrt(difference @ difference + self.calibration.user_offset(len(company))))

    def similarity(self, distance: float) -> float:
        """Return the similarity at a distance, percent."""
        return self.calibration.similarity(distance)
