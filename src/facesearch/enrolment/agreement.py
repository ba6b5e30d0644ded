"""Rules that decide whether the photos of a user show that user: agreement with each other, and similarity to other users.

A photo is never compared with itself, and all photos of a call are judged together, so that their order can't matter.
"""

from collections.abc import Callable, Mapping
from typing import Final

import attrs
import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.domain.reasons import EnrollmentReason
from facesearch.enrolment.auditing import NEARER_RATIO, OWN_SIMILARITY
from facesearch.matching.calibration import Calibration
from facesearch.matching.template import robust_mean
from facesearch.responses.collection import Enrollment

__all__ = ["SURE_SIMILARITY", "Agreement", "NearestOther", "agreement", "doubts", "has_majority"]

# Percent, to another user: the threshold for a photo that no photo of its own user supports. Among 2,877 other users
# 0.6% of right photos reach it for one of them, and 62% of the wrong ones (benchmarks/auditing.py).
SURE_SIMILARITY: Final = 99.3
_FEWEST_TO_COMPARE = 3
_FEWEST_TO_DISAGREE = 2

NearestOther = Callable[[FloatArray, float], tuple[float, str] | None]
"""Returns, for a face and a distance, the nearest other user no farther than that: its distance and id, or ``None``."""


def has_majority(vectors: FloatArray, distance: float) -> bool:
    """Return whether one of several faces, (N, D), matches more than half of them, itself included.

    Faces match that are no farther apart than *distance*, Euclidean. Of folders of one person in lfw_grey, this is False at a
    similarity of `OWN_SIMILARITY` for none of 437 with three photos or more, and for 11 of 385 with two. Of 2,000 draws of
    strangers it is True for no pair, 1 three and no five (benchmarks/auditing.py).

    Examples
    --------
    >>> faces = np.array([[0, 0], [0, 1], [0, 1], [7, 7], [9, 0]], np.float32)
    >>> has_majority(faces, 2.0), has_majority(faces[1:], 2.0)
    (True, False)
    """
    rows = vectors.astype(np.float64)
    matching = np.sqrt(((rows[:, np.newaxis] - rows) ** 2).sum(axis=2)) <= distance
    return bool(2 * matching.sum(axis=1).max(initial=0) > len(rows))


@attrs.frozen(kw_only=True)
class Agreement:
    """The agreement of candidate faces with their user: the first half of the rules of `doubts`."""

    disagree: bool = False  # the candidates of a new user have no majority
    # Rows of candidates with a similarity below *needed*, and that.
    low: Mapping[int, float] = attrs.field(factory=dict)
    needed: float  # percent


def agreement(
    candidates: FloatArray, present: FloatArray, *, threshold: float, calibration: Calibration, anyway: bool = False
) -> Agreement:
    """Compare the candidate faces of a user, (M, D), with each other and with the user's faces so far, (N, D); see `doubts`.

    At a *threshold* of 0 percent nothing is compared. With *anyway* the photos of a new user need no majority. The result does
    not depend on the order of the candidates, except for the row numbers.
    """
    needed = threshold if len(present) else min(threshold, OWN_SIMILARITY)
    if threshold == 0:
        return Agreement(needed=needed)
    if len(present):
        similar = {row: _similarity(face, present, calibration) for row, face in enumerate(candidates)}
        return Agreement(low={row: value for row, value in similar.items() if value < needed}, needed=needed)
    apart = calibration.distance_at(OWN_SIMILARITY)
    if len(candidates) >= _FEWEST_TO_DISAGREE and not has_majority(candidates, apart):
        return Agreement(disagree=not anyway, needed=needed)
    low = {}
    if len(candidates) >= _FEWEST_TO_COMPARE:
        for row, face in enumerate(candidates):
            others = np.delete(candidates, row, axis=0)
            similarity = _similarity(face, others, calibration)
            if similarity < needed and has_majority(others, apart):
                low[row] = similarity
    return Agreement(low=low, needed=needed)


def doubts(
    candidates: FloatArray,
    present: FloatArray,
    nearest_other: NearestOther,
    *,
    threshold: float,
    calibration: Calibration,
    agreed: Agreement,
) -> tuple[Enrollment | None, ...]:
    """Return the doubt about each candidate face of a user, as a refusal; ``None`` is no doubt.

    *agreed* is the `agreement` of the same faces. The result does not depend on the order of the candidates.

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

    def doubt(row: int) -> Enrollment | None:
        face, low = candidates[row], agreed.low
        others = [other for other in range(len(candidates)) if other != row and other not in low]
        company = np.concatenate([present, candidates[others]])
        distance = _distance(face, company, calibration) if len(company) else None
        confidence = low.get(row, None if distance is None else calibration.similarity(distance))
        is_supported = row in low or (confidence is not None and confidence >= OWN_SIMILARITY)
        reach = calibration.distance_at(threshold if is_supported else SURE_SIMILARITY)
        other = nearest_other(face, reach)
        if other and distance is not None and other[0] >= NEARER_RATIO * distance:
            other = None
        held = {
            EnrollmentReason.PHOTOS_DISAGREE: agreed.disagree,
            EnrollmentReason.LOW_MATCH_CONFIDENCE: row in low,
            EnrollmentReason.NEARER_TO_ANOTHER_USER: other is not None,
        }
        if not any(held.values()):
            return None
        return Enrollment(
            reasons=tuple(reason for reason, holds in held.items() if holds),
            confidence=confidence,
            user_id=other[1] if other else None,
            user_confidence=calibration.similarity(other[0]) if other else None,
        )

    return tuple(doubt(row) if threshold else None for row in range(len(candidates)))


def _distance(face: FloatArray, company: FloatArray, calibration: Calibration) -> float:
    """Return the distance of a face from the template of others."""
    difference = face.astype(np.float64) - robust_mean(company)
    return float(np.sqrt(difference @ difference + calibration.user_offset(len(company))))


def _similarity(face: FloatArray, company: FloatArray, calibration: Calibration) -> float:
    return calibration.similarity(_distance(face, company, calibration))
