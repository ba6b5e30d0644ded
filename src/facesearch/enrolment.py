"""Whether the photos given for a user show that user: which don't fit the others, and which fit somebody else.

A photo is never held against itself, and all photos of a call are judged at once, so that their order can't matter.
"""

from collections.abc import Callable
from typing import Final

import attrs
import numpy as np

from facesearch.auditing import NEARER_RATIO, OWN_SIMILARITY, agree
from facesearch.ranking import robust_mean
from facesearch.records import EnrollmentReason
from facesearch.scoring import Calibration
from facesearch.stages import FloatArray

__all__ = ["SURE_SIMILARITY", "Doubt", "doubts", "needed_similarity"]

# Percent, to another user, at which a photo that nothing of its own speaks for is taken for that user's. Among 2,877 other users
# 0.3% of right photos read as much to one of them, and a third of the wrong ones do (benchmarks/auditing.py).
SURE_SIMILARITY: Final = 99.3
_FEWEST_TO_COMPARE = 3

NearestOther = Callable[[FloatArray, float], tuple[float, str] | None]


def needed_similarity(threshold: float, *, has_faces: bool) -> float:
    """Give the similarity to its own, percent, below which a photo may be refused; `doubts` has the rules.

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
    """Why a face is not taken for its user's.

    Attributes
    ----------
    reasons
        LOW_MATCH_CONFIDENCE, NEARER_TO_ANOTHER_USER or both.
    confidence
        The similarity to its own, percent; ``None`` where it has nothing to be held against.
    user_id, user_confidence
        The other user that it is nearer to, and the similarity to that one, percent.
    """

    reasons: tuple[EnrollmentReason, ...]
    confidence: float | None
    user_id: str | None = None
    user_confidence: float | None = None


def doubts(
    candidates: FloatArray,
    present: FloatArray,
    nearest_other: NearestOther,
    *,
    threshold: float,
    calibration: Calibration,
) -> tuple[Doubt | None, ...]:
    """Say of each face that shall become a user's why it should not.

    Parameters
    ----------
    candidates
        (M, D) float32.
    present
        (N, D) float32: the user's faces so far; N may be 0.
    nearest_other
        Gives, for a face and a distance, the nearest other user no farther than that: its distance and id, or ``None``.
    threshold
        Percent, 0-100; at 0 nothing is doubted.
    calibration
        What percentages mean.

    Returns
    -------
    tuple of Doubt or None
        One for each candidate, the same whatever their order; ``None`` is no doubt.

    Notes
    -----
    LOW_MATCH_CONFIDENCE: where the user has faces, the similarity to them is below *threshold*, as when faces are
    associated. Where it has none and there are three candidates or more, the similarity to the other candidates is below
    *threshold* and below `facesearch.auditing.OWN_SIMILARITY`, and those agree among themselves. Of two candidates that
    differ nobody can tell which is wrong: neither is doubted.

    NEARER_TO_ANOTHER_USER: the distance to another user is below `facesearch.auditing.NEARER_RATIO` of that to its own, the
    user's faces and all other candidates without LOW_MATCH_CONFIDENCE, and the similarity to the other is at least
    *threshold*. Where nothing speaks for the face, because there are no others or they are less similar than
    `OWN_SIMILARITY`, it must be at least `SURE_SIMILARITY` instead.
    """
    if threshold == 0:
        return (None,) * len(candidates)
    judge = _Judge(candidates, present, nearest_other, threshold, calibration)
    low = judge.low()
    return tuple(judge.doubt(row, low) for row in range(len(candidates)))


@attrs.frozen(eq=False)
class _Judge:
    candidates: FloatArray
    present: FloatArray
    nearest_other: NearestOther
    threshold: float
    calibration: Calibration

    def low(self) -> dict[int, float]:
        """Give the candidates that don't fit, and their similarity."""
        rows = range(len(self.candidates))
        bar = needed_similarity(self.threshold, has_faces=len(self.present) > 0)
        if len(self.present):
            similar = {row: self._similarity(self._distance(row, self.present)) for row in rows}
            return {row: value for row, value in similar.items() if value < bar}
        if len(rows) < _FEWEST_TO_COMPARE:
            return {}
        apart = self.calibration.distance_at(OWN_SIMILARITY)
        found = {}
        for row in rows:
            others = np.delete(self.candidates, row, axis=0)
            similarity = self._similarity(self._distance(row, others))
            if similarity < bar and agree(others, apart):
                found[row] = similarity
        return found

    def doubt(self, row: int, low: dict[int, float]) -> Doubt | None:
        """Judge one candidate, when it is known which don't fit."""
        others = [other for other in range(len(self.candidates)) if other != row and other not in low]
        company = np.concatenate([self.present, self.candidates[others]])
        distance = self._distance(row, company) if len(company) else None
        confidence = low.get(row, None if distance is None else self._similarity(distance))
        spoken_for = row in low or (confidence is not None and confidence >= OWN_SIMILARITY)
        other = self._nearer(row, distance, self.threshold if spoken_for else SURE_SIMILARITY)
        reasons = [EnrollmentReason.LOW_MATCH_CONFIDENCE] if row in low else []
        if other is None:
            return Doubt(reasons=tuple(reasons), confidence=confidence) if reasons else None
        return Doubt(
            reasons=(*reasons, EnrollmentReason.NEARER_TO_ANOTHER_USER),
            confidence=confidence,
            user_id=other[1],
            user_confidence=self._similarity(other[0]),
        )

    def _nearer(self, row: int, distance: float | None, bar: float) -> tuple[float, str] | None:
        reach = self.calibration.distance_at(bar)
        other = self.nearest_other(self.candidates[row], reach)
        if other is None or (distance is not None and other[0] >= NEARER_RATIO * distance):
            return None
        return other

    def _distance(self, row: int, company: FloatArray) -> float:
        difference = self.candidates[row].astype(np.float64) - robust_mean(company)
        return float(np.sqrt(difference @ difference + self.calibration.user_offset(len(company))))

    def _similarity(self, distance: float) -> float:
        return self.calibration.similarity(distance)
