"""The photos of one call are judged together: no order, and no user's name, decides anything."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.common.arrays import FloatArray
from facesearch.domain.entities import Face
from facesearch.enrolment.judging import Verdict
from facesearch.storage.store import StoredFace

MEN = 5
_BASES = np.random.default_rng(7).normal(size=(MEN, 128))
_BASES = 0.6 * _BASES / np.linalg.norm(_BASES, axis=1, keepdims=True)


def photo(man: int, number: int, spread: float) -> FloatArray:
    """One photo of a man: the same for the same numbers."""
    noise = np.random.default_rng([man, number]).normal(size=128)
    vector: FloatArray = (2 * (_BASES[man] + spread * noise / np.linalg.norm(noise))).astype(np.float32)
    return vector


@attrs.frozen
class Shot:
    """A photo that is given for a user, and whom it shows."""

    man: int
    number: int
    spread: float

    @property
    def stored(self) -> StoredFace:
        face_id = str(UUID(int=1 + self.man * 1000 + self.number))
        return StoredFace(Face(face_id=face_id), photo(self.man, self.number, self.spread))


# Some photos of a man are as alike as on one day, others near the limit.
shots = st.builds(
    lambda man, number: Shot(man, number, (0.1, 0.25, 0.45)[number % 3]), st.integers(0, MEN - 1), st.integers(0, 11)
)
NAMES = ["Broken", "Tony_Blair", "ada", "zoe"]
albums = st.dictionaries(st.sampled_from(NAMES), st.lists(shots, min_size=1, max_size=6), min_size=1)
galleries = st.dictionaries(
    st.sampled_from([*NAMES, "Aaron", "zz"]), st.lists(shots, min_size=1, max_size=4, unique=True), max_size=3
)


def collection_of(gallery: Mapping[str, Sequence[Shot]]) -> fs.Collection:
    collection = fs.Collection("c")
    given_: set[str] = set()
    with collection._store.writing():
        collection._store.create_users(gallery)
        for user_id, shown in gallery.items():
            faces = [shot.stored for shot in shown if shot.stored.face.face_id not in given_]
            given_ |= {stored.face.face_id for stored in faces}
            collection._store.put_faces(
                StoredFace(attrs.evolve(stored.face, user_id=user_id), stored.embedding) for stored in faces
            )
        collection._store.refresh(gallery)
    return collection


def judged(
    gallery: Mapping[str, Sequence[Shot]],
    album: Mapping[str, Sequence[Shot]],
    *,
    threshold: float = 75,
    anyway: bool = False,
) -> dict[str, Verdict]:
    collection = collection_of(gallery)
    given_ = {user_id: [shot.stored for shot in shown] for user_id, shown in album.items()}
    with collection._store.writing():
        return collection._enroller.judge(given_, lambda user_id: given_[user_id], threshold, anyway=anyway)


def outcome(verdicts: Mapping[str, Verdict]) -> Any:
    """Verdicts without the order in which faces were given."""
    return {
        user_id: (frozenset(verdict.accepted), verdict.over_quota, dict(verdict.refused), verdict.needed)
        for user_id, verdict in verdicts.items()
    }


@given(galleries, albums, st.randoms(use_true_random=False), st.sampled_from([0.0, 75.0, 99.9]), st.booleans())
def test_no_order_of_users_or_photos_changes_anything(
    gallery: dict[str, list[Shot]], album: dict[str, list[Shot]], random: Any, threshold: float, anyway: bool
) -> None:
    shuffled = {
        user_id: random.sample(album[user_id], len(album[user_id]))
        for user_id in random.sample(list(album), len(album))
    }

    first = judged(gallery, album, threshold=threshold, anyway=anyway)
    assert outcome(judged(gallery, shuffled, threshold=threshold, anyway=anyway)) == outcome(first)


@given(galleries, albums, st.permutations(NAMES), st.sampled_from([75.0, 99.9]))
def test_what_users_are_called_decides_nothing(
    gallery: dict[str, list[Shot]], album: dict[str, list[Shot]], names: list[str], threshold: float
) -> None:
    new = dict(zip(NAMES, names, strict=True))

    def renamed(some: Mapping[str, Any]) -> dict[str, Any]:
        return {new.get(user_id, user_id): each for user_id, each in some.items()}

    first = judged(gallery, album, threshold=threshold)
    other = judged(renamed(gallery), renamed(album), threshold=threshold)
    assert {user_id: set(each.accepted) for user_id, each in other.items()} == {
        new[user_id]: set(each.accepted) for user_id, each in first.items()
    }
    for user_id, verdict in first.items():
        for face_id, refused in verdict.refused.items():
            mirrored = other[new[user_id]].refused[face_id]
            assert (mirrored.reasons, mirrored.confidence) == (refused.reasons, refused.confidence)


@given(galleries, albums, st.sampled_from([0.0, 75.0]), st.booleans())
def test_every_photo_is_accepted_or_has_reasons_and_a_face_has_one_user(
    gallery: dict[str, list[Shot]], album: dict[str, list[Shot]], threshold: float, anyway: bool
) -> None:
    verdicts = judged(gallery, album, threshold=threshold, anyway=anyway)
    accepted = [face_id for verdict in verdicts.values() for face_id in verdict.accepted]

    assert len(accepted) == len(set(accepted))
    for user_id, verdict in verdicts.items():
        given_ = {shot.stored.face.face_id for shot in album[user_id]}
        assert set(verdict.accepted) | verdict.refused.keys() == given_
        assert not set(verdict.accepted) & verdict.refused.keys()
        assert all(refused.reasons for refused in verdict.refused.values())
        for refused in verdict.refused.values():
            # Whoever is named has faces when the call is over.
            assert refused.user_id is None or gallery.get(refused.user_id) or verdicts[refused.user_id].accepted


BLAIR = [Shot(0, number, 0.25) for number in range(12)]


@pytest.mark.parametrize(("right", "wrong"), [("Tony_Blair", "Broken"), ("Blair", "Zbroken")])
def test_two_photos_in_a_wrong_folder_take_none_from_the_right_one(right: str, wrong: str) -> None:
    verdicts = judged({}, {wrong: BLAIR[:2], right: BLAIR[2:12]})

    assert len(verdicts[right].accepted) == 10
    # They are kept, and `audit` tells of two users that look alike, or refused as the other's; but nothing is taken.
    assert set(verdicts[wrong].accepted) | verdicts[wrong].refused.keys() == {
        each.stored.face.face_id for each in BLAIR[:2]
    }


def test_a_wrong_photo_of_somebody_with_more_photos_is_refused_whoever_comes_first() -> None:
    for right, wrong in (("a", "z"), ("z", "a")):
        verdicts = judged({}, {right: BLAIR[:6], wrong: [*(Shot(1, number, 0.25) for number in range(3)), BLAIR[7]]})

        assert len(verdicts[right].accepted) == 6
        ((face_id, refused),) = verdicts[wrong].refused.items()
        assert face_id == BLAIR[7].stored.face.face_id
        assert refused.user_id == right
        assert [reason.value for reason in refused.reasons] == ["LOW_MATCH_CONFIDENCE", "NEARER_TO_ANOTHER_USER"]


def test_one_photo_for_two_users_goes_to_the_one_with_more_photos_or_to_none() -> None:
    more = judged({}, {"a": [BLAIR[0]], "b": BLAIR[:3]})
    assert len(more["b"].accepted) == 3
    (refused,) = more["a"].refused.values()
    assert [reason.value for reason in refused.reasons] == ["ASSOCIATED_TO_A_DIFFERENT_USER"]
    assert refused.user_id == "b"

    equal = judged({}, {"a": [BLAIR[0], BLAIR[1]], "b": [BLAIR[0], BLAIR[2]], "c": [BLAIR[0]]})
    for user_id in "abc":
        assert equal[user_id].refused[BLAIR[0].stored.face.face_id].reasons == (
            fs.EnrollmentReason.GIVEN_FOR_SEVERAL_USERS,
        )
    assert len(equal["a"].accepted) == len(equal["b"].accepted) == 1
    had = judged({"b": [BLAIR[0]]}, {"a": [BLAIR[0], BLAIR[1]], "b": [BLAIR[0]]})
    assert len(had["b"].accepted) == 1


def test_too_many_photos_are_refused_in_the_order_given() -> None:
    many = [Shot(0, number, 0.1) for number in range(103)]
    verdict = judged({"a": many[:2]}, {"a": many})["a"]

    assert verdict.accepted == tuple(shot.stored.face.face_id for shot in many[:100])
    assert verdict.over_quota == tuple(shot.stored.face.face_id for shot in many[100:])
