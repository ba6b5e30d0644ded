"""The judgement of the photos of many users in one call: the faces to associate with each user.

All photos of a call are judged together, so that no order of users or photos changes the outcome. The rules:

1. The photos of each user are compared with each other and with the faces that the user has: `facesearch.enrolment.agreement.agreement`.
2. The strength of a user is the number of faces that support it: those it has, and those of the call that passed step 1.
3. A photo is refused if it is nearer to another user (`facesearch.enrolment.agreement.doubts`). Other users are those of the
   collection, as they were before the call, and those users of the call that are *stronger*, with the faces they have after it. So
   users are judged by strength, strongest first. Users of equal strength are not compared: it is unknown which of them is wrong.
4. The same photo given for several users goes to the strongest of them, or to none if two are equally strong.

So two photos of a person in a wrong folder don't take photos from the right folder, which has more. The result depends neither
on the ids of users nor on the order of the input.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import attrs
import numpy as np
from attrs import field

from facesearch.common.arrays import FloatArray
from facesearch.domain.reasons import EnrollmentReason
from facesearch.enrolment.agreement import SURE_SIMILARITY, Agreement, NearestOther, agreement, doubts
from facesearch.matching.calibration import Calibration
from facesearch.matching.row_keys import NameRows
from facesearch.matching.template import robust_mean
from facesearch.matching.vector_index import VectorIndex
from facesearch.responses.collection import Enrollment
from facesearch.storage.store import Store, StoredFace

__all__ = ["MAX_FACES_PER_USER", "FacesOf", "Judgement", "Verdict"]

MAX_FACES_PER_USER: Final = 100
"""As in Amazon Rekognition: "100 faces per user"."""

FacesOf = Callable[[str], Sequence[StoredFace]]
"""Returns the faces given for a user, in the order of their precedence if they exceed the quota; a repeated id counts once."""


@attrs.frozen(kw_only=True)
class Verdict:
    """The verdict on the faces given for a user."""

    # Ids of the faces to associate, and of those that the user has already, in the order of the input.
    accepted: tuple[str, ...]
    over_quota: tuple[str, ...]  # ids of faces that passed and exceed the quota
    refused: Mapping[str, Enrollment]  # by face id
    needed: float  # percent: the threshold of the similarity to the user's own faces


class _Given(NamedTuple):
    """The faces given for a user, by id: those it has already, those of other users, and the others with their vectors."""

    had: Sequence[str]
    refused: Mapping[str, Enrollment]
    candidates: Mapping[str, FloatArray]


@attrs.define(kw_only=True, eq=False)
class Judgement:
    """The judgement of one call, by the rules of `agreement` and `doubts`; it changes nothing.

    The caller is within the *store*'s ``writing``, and has changed nothing yet. *faces_of* is called twice for each user, so that
    not all vectors must be in memory at once.
    """

    store: Store
    faces_of: FacesOf
    dimension: int
    calibration: Calibration
    threshold: float
    anyway: bool
    _grown: VectorIndex[str] = field(init=False)  # judged users, with their new faces
    _strength: dict[str, int] = field(init=False, factory=dict)
    _agreed: dict[str, Agreement] = field(init=False, factory=dict)

    @_grown.default
    def _empty(self) -> VectorIndex[str]:
        return VectorIndex(self.dimension, NameRows())

    def verdicts(self, user_ids: Iterable[str]) -> dict[str, Verdict]:
        """Judge the faces given for users, which are unique and need not exist.

        The result does not depend on the order of users, nor on that of faces except for those over the quota.
        """
        supported: dict[str, str] = {}  # face id -> the first user that it supports
        contested: dict[str, set[str]] = {}  # face id -> the users, where it supports several
        for user_id in user_ids:
            for face_id in self._supporting(user_id):
                if (other := supported.setdefault(face_id, user_id)) != user_id:
                    contested.setdefault(face_id, {other}).add(user_id)
        del supported
        winners = {face_id: self._strongest(users) for face_id, users in contested.items()}
        # Only the strength decides; sorting by id makes every run the same.
        order = sorted(self._strength, key=lambda user_id: (-self._strength[user_id], user_id))
        verdicts: dict[str, Verdict] = {}
        for _, equals in groupby(order, key=self._strength.__getitem__):
            grown, judged = [], {}
            for user_id in equals:
                judged[user_id], vectors = self._verdict(user_id, winners, verdicts)
                if judged[user_id].accepted:
                    grown.append((user_id, robust_mean(vectors), len(vectors)))
            verdicts |= judged
            for user_id, vector, faces in grown:
                self._grown.put(user_id, vector, self.calibration.user_offset(faces))
        return verdicts

    def _supporting(self, user_id: str) -> list[str]:
        """Compare the faces given for a user with its own, and return the ids of those that support it."""
        candidates, present = self._given(user_id).candidates, self._present(user_id)
        agreed = agreement(
            self._matrix(candidates.values()),
            self._matrix(present.values()),
            threshold=self.threshold,
            calibration=self.calibration,
            anyway=self.anyway,
        )
        supporting = [] if agreed.disagree else [each for row, each in enumerate(candidates) if row not in agreed.low]
        self._agreed[user_id], self._strength[user_id] = agreed, len(present) + len(supporting)
        return supporting

    def _strongest(self, user_ids: Iterable[str]) -> str | None:
        """Return the strongest of several users; ``None`` where two are equally strong."""
        first, second, *_ = sorted(user_ids, key=self._strength.__getitem__, reverse=True)
        return first if self._strength[first] > self._strength[second] else None

    def _given(self, user_id: str) -> _Given:
        given = {stored.face.face_id: stored.embedding for stored in self.faces_of(user_id)}
        known = self.store.faces_by_id(given)
        owners = {face_id: known[face_id].user_id if face_id in known else None for face_id in given}
        return _Given(
            had=[face_id for face_id, owner in owners.items() if owner == user_id],
            refused={face_id: _taken(owner) for face_id, owner in owners.items() if owner not in {None, user_id}},
            candidates={
                # The stored vector, in case another machine computed a slightly different one.
                face_id: self.store.embedding(face_id) if face_id in known else given[face_id]
                for face_id, owner in owners.items()
                if owner is None
            },
        )

    def _verdict(
        self, user_id: str, winners: Mapping[str, str | None], verdicts: Mapping[str, Verdict]
    ) -> tuple[Verdict, FloatArray]:
        """Judge a user's faces after those of all stronger users; return the verdict and the vectors that the user then has."""
        given, present, agreed = self._given(user_id), self._present(user_id), self._agreed[user_id]
        matrix = self._matrix(given.candidates.values())
        found = doubts(
            matrix,
            self._matrix(present.values()),
            self._nearest_others(user_id, matrix),
            threshold=self.threshold,
            calibration=self.calibration,
            agreed=agreed,
        )
        refused = dict(given.refused)
        for row, (face_id, doubt) in enumerate(zip(given.candidates, found, strict=True)):
            winner = winners.get(face_id, user_id)
            if winner != user_id and not agreed.disagree and row not in agreed.low:
                has_it = winner is not None and face_id in verdicts[winner].accepted
                refused[face_id] = _taken(winner) if has_it else _GIVEN_FOR_SEVERAL
            elif doubt:
                refused[face_id] = doubt
        passed = [face_id for face_id in given.candidates if face_id not in refused]
        room = max(0, MAX_FACES_PER_USER - len(present))
        verdict = Verdict(
            accepted=(*given.had, *passed[:room]),
            over_quota=tuple(passed[room:]),
            refused=refused,
            needed=agreed.needed,
        )
        return verdict, self._matrix([*present.values(), *(given.candidates[face_id] for face_id in passed[:room])])

    def _nearest_others(self, user_id: str, candidates: FloatArray) -> NearestOther:
        """Search the other users for all candidates at once, and return a function with the result of each."""
        found: dict[bytes, list[tuple[float, str]]] = {}
        if len(candidates) and self.threshold:
            reach = self.calibration.distance_at(min(self.threshold, SURE_SIMILARITY))
            for ranked in (
                self.store.nearest(candidates, max_distance=reach, limit=2),
                self._grown.nearest(candidates, max_distance=reach, limit=2, names=list),
            ):
                for vector, (near, _) in zip(candidates, ranked, strict=True):
                    found.setdefault(vector.tobytes(), []).extend(each for each in near if each[1] != user_id)

        def nearest(vector: FloatArray, reach: float) -> tuple[float, str] | None:
            return min((each for each in found.get(vector.tobytes(), ()) if each[0] <= reach), default=None)

        return nearest

    def _present(self, user_id: str) -> dict[str, FloatArray]:
        return {face_id: self.store.embedding(face_id) for face_id in sorted(self.store.faces_of(user_id))}

    def _matrix(self, vectors: Iterable[FloatArray]) -> FloatArray:
        return np.array([*vectors], np.float32).reshape(-1, self.dimension)


_GIVEN_FOR_SEVERAL: Final = Enrollment(reasons=(EnrollmentReason.GIVEN_FOR_SEVERAL_USERS,))


def _taken(user_id: str | None) -> Enrollment:
    return Enrollment(reasons=(EnrollmentReason.ASSOCIATED_TO_A_DIFFERENT_USER,), user_id=user_id)
