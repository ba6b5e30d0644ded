"""Assign people to the roles of an identification benchmark: enrolled with which photos, searched, or both."""

from collections.abc import Mapping
from enum import Enum

import attrs
import numpy as np

from facesearch.benchmark.metrics.roc import BoolArray
from facesearch.benchmark.photos.people import Split
from facesearch.collection.collection import MAX_FACES_PER_USER, Collection
from facesearch.common.arrays import FloatArray, PointArray
from facesearch.domain.entities import FaceModel

__all__ = ["Cast", "Condition", "Scoring", "Searches"]


class Scoring(Enum):
    """Vectors that a probe is compared with: the template of each user, or each enrolled face, of which the nearest counts."""

    USER_VECTOR = "user vector"
    BEST_FACE = "best face"


@attrs.frozen(kw_only=True)
class Condition:
    """Condition of a measurement: distractors enrolled or not, photos for each user, wrong ones among them, and scoring."""

    crowded: bool
    photos: int
    wrong: int
    scoring: Scoring


@attrs.frozen(kw_only=True, eq=False)
class Searches:
    """Results of M searches of mates and S of strangers; arguments of `facesearch.benchmark.tally`."""

    users: int
    distractors: int
    first: BoolArray
    mated: PointArray
    strangers: PointArray


@attrs.frozen(kw_only=True, eq=False)
class Cast:
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
        *,
        people: Mapping[str, FloatArray],
        split: Split,
        others: Mapping[str, FloatArray],
        most: int,
        seed: int,
        face_model: FaceModel,
    ) -> "Cast":
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

    def search(self, condition: Condition) -> Searches:
        """Enrol, search all probes, and return the first match of each."""
        gallery = self._gallery(condition)
        collection = _enrolled(gallery, condition.scoring, self.face_model)
        found = [(user, *_top(collection, probe)) for user, rows in self.probes.items() for probe in rows]
        return Searches(
            users=len(gallery),
            distractors=len(gallery) - len(self.enrolment),
            first=np.array([user == winner for user, winner, _ in found]),
            mated=np.array([percent for _, _, percent in found]),
            strangers=np.array([_top(collection, probe)[1] for probe in self.strangers]),
        )

    def _gallery(self, condition: Condition) -> dict[str, FloatArray]:
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


def _top(collection: Collection, probe: FloatArray) -> tuple[str, float]:
    """Return the first user and the similarity."""
    (match,) = collection.search_embedding(probe, user_match_threshold=0, max_users=1)
    return match.user.user_id.partition(":")[0], match.similarity
