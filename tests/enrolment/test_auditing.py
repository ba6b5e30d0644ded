"""Audits and enrolment's judgement on made-up vectors: planted mistakes are found, clean collections are left alone."""

import json
import re
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import facesearch as fs
from facesearch.common.arrays import FloatArray
from facesearch.domain.reasons import EnrollmentReason
from facesearch.enrolment.agreement import agreement, doubts, has_majority
from facesearch.enrolment.auditing import agree, audit, leave_one_out
from facesearch.matching.template import robust_mean
from facesearch.responses.audit import AuditReport
from facesearch.responses.collection import Enrollment
from facesearch.storage.store import StoredFace
from facesearch.testing.fakes import fake_analyzer, fake_calibration, paint

CALIBRATION = fake_calibration()
Face = tuple[str, str, FloatArray]  # id, user, vector


def person(seed: int, photos: int, *, spread: float = 0.15) -> FloatArray:
    """Photos of a made-up person: two of one are 0.4 apart, and people about 2."""
    rng = np.random.default_rng([7, seed])
    centre = rng.normal(size=128)
    noise = rng.normal(size=(photos, 128)) / np.sqrt(128)
    vectors: FloatArray = (1.4 * centre / np.linalg.norm(centre) + 2 * spread * noise).astype(np.float32)
    return vectors


def gallery(people: dict[str, FloatArray]) -> list[Face]:
    faces = [(name, vector) for name, photos in people.items() for vector in photos]
    return [(f"00000000-0000-0000-0000-{row:012d}", name, vector) for row, (name, vector) in enumerate(faces)]


def audited(faces: list[Face], users: list[str] | None = None, **options: Any) -> AuditReport:
    names = users or list(dict.fromkeys(user for _, user, _ in faces))
    vectors = [robust_mean(np.stack([vector for _, user, vector in faces if user == name])) for name in names]
    return audit(
        names,
        np.stack(vectors),
        [StoredFace(fs.Face(face_id=face_id, user_id=user), vector) for face_id, user, vector in faces],
        calibration=CALIBRATION,
        **options,
    )


ADA, BOB, EVE = person(0, 5), person(1, 5), person(2, 5)
sizes = st.lists(st.integers(1, 6), min_size=1, max_size=8)


@given(sizes)
def test_a_clean_collection_gives_an_empty_report(photos: list[int]) -> None:
    report = audited(gallery({f"u{i}": person(i, n) for i, n in enumerate(photos)}))

    assert report == AuditReport(users=len(photos), faces=sum(photos))


def test_photos_that_differ_as_real_ones_do_are_left_alone() -> None:
    faces = gallery({f"u{i}": person(i, 3, spread=0.3) for i in range(20)})  # two of one person are 0.85 apart

    assert audited(faces) == AuditReport(users=20, faces=60)


def test_pairs_are_told_with_both_users_offsets() -> None:
    calibration = fs.calibration()
    people = [person(0, 4), person(0, 4) + np.float32(0.01)]
    staff = fs.Collection("staff")
    staff.add_embeddings(["ada"] * 4 + ["countess"] * 4, np.concatenate(people))
    (pair,) = staff.audit(threshold=90).same_person

    squared = float(((robust_mean(people[0]).astype(float) - robust_mean(people[1])) ** 2).sum())
    expected = calibration.similarity(np.sqrt(squared + 2 * calibration.user_offset(4)))
    assert pair.similarity == pytest.approx(expected)


@given(sizes, st.integers(1, 4), st.integers(1, 4))
def test_a_planted_duplicate_is_found_and_nothing_else(photos: list[int], one: int, other: int) -> None:
    both = person(99, one + other)
    people = {f"u{i}": person(i, n) for i, n in enumerate(photos)} | {"twin.1": both[:one], "twin.2": both[one:]}
    report = audited(gallery(people))

    assert [pair.user_ids for pair in report.same_person] == [("twin.1", "twin.2")]
    assert report.loose == ()
    assert report.misplaced == ()


@given(st.lists(st.integers(3, 6), min_size=2, max_size=6))
def test_swapped_faces_are_found_with_whose_they_are(photos: list[int]) -> None:
    people = {f"u{i}": person(i, n + 1) for i, n in enumerate(photos)}
    people["u0"][0], people["u1"][0] = people["u1"][0].copy(), people["u0"][0].copy()
    faces = gallery(people)
    report = audited(faces)

    first = {user: face_id for face_id, user, _ in reversed(faces)}
    found = {(face.face_id, face.user_id, face.other_user_id) for face in report.misplaced}
    assert found == {(first["u0"], "u0", "u1"), (first["u1"], "u1", "u0")}
    for face in report.misplaced:
        assert face.similarity < 50
        assert (face.other_similarity or 0) >= 75
    assert report.same_person == ()
    assert report.loose == ()


def test_a_face_may_be_near_to_its_own_and_nearer_to_another() -> None:
    axes = np.eye(128, dtype=np.float32)
    people = {
        "ada": ADA[0] + 1.0 * np.stack([0 * axes[0], axes[0], axes[1]]),
        "bob": (ADA[0] - 0.56 * axes[2])[np.newaxis],
    }
    found = audited(gallery(people), threshold=99.9).misplaced

    assert [(face.face_id[-1], face.user_id, face.other_user_id) for face in found] == [("0", "ada", "bob")]


def test_a_strangers_face_is_found_without_another_user() -> None:
    people = {"ada": np.concatenate([person(0, 4), person(9, 1)]), "bob": person(1, 3)}
    (face,) = audited(gallery(people)).misplaced

    assert (face.face_id[-1], face.user_id, face.other_user_id, face.other_similarity) == ("4", "ada", None, None)


def test_of_two_that_differ_nobody_can_tell_which_is_wrong() -> None:
    people = {"ada": np.concatenate([person(0, 1), person(9, 1)]), "bob": person(1, 1)}
    report = audited(gallery(people))

    assert report.misplaced == ()
    assert [(user.user_id, user.faces, user.similarity < 50) for user in report.loose] == [("ada", 2, True)]


@settings(max_examples=30)
@given(st.data(), st.integers(1, 40))
def test_neither_order_nor_block_size_changes_anything(data: st.DataObject, block: int) -> None:
    people = {f"u{i}": person(i % 4, data.draw(st.integers(1, 5)), spread=0.5) for i in range(8)}
    faces = gallery(people)
    report = audited(faces, threshold=50)
    turned = data.draw(st.permutations(faces))

    assert audited(turned, data.draw(st.permutations(list(people))), threshold=50, block=block) == report
    assert report.same_person  # or else the test would be empty


def test_only_the_worst_are_told_when_there_are_too_many() -> None:
    faces = gallery({f"u{i}": person(i % 3, 2, spread=0.3) for i in range(30)})
    everything = audited(faces, threshold=0)
    few = audited(faces, threshold=0, limit=7)

    assert len(everything.same_person) == 30 * 29 // 2
    assert few.same_person == everything.same_person[:7]


def test_a_very_low_threshold_keeps_memory_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.enrolment.auditing._PAIRS_AT_ONCE", 10)
    faces = gallery({f"u{i}": person(i % 3, 2, spread=0.3) for i in range(30)})

    few = audited(faces, threshold=0, limit=7, block=4)
    monkeypatch.undo()

    assert few.same_person == audited(faces, threshold=0).same_person[:7]


def test_reports_are_sorted_printable_and_json() -> None:
    people = {f"u{i:02}": person(i // 2, 3) for i in range(44)}
    people["loose"] = np.concatenate([person(90, 1), person(91, 1)])
    people["mixed"] = np.concatenate([person(92, 3), person(93, 1)])
    report = audited(gallery(people))

    similarities = [pair.similarity for pair in report.same_person]
    assert similarities == sorted(similarities, reverse=True)
    shown = str(report)
    assert "46 users, 138 faces: 22 pairs of users that look like one person, 1 faces" in shown
    assert "one person?" in shown
    assert "and 2 more" in shown
    assert re.search(r"^ +0\.\d\d  loose +2$", shown, re.MULTILINE)
    assert re.search(r"^ +\d+\.\d\d  mixed .* 0000", shown, re.MULTILINE)
    assert json.loads(json.dumps(attrs.asdict(report)))["loose"][0]["user_id"] == "loose"


def test_an_empty_collection_has_nothing_wrong() -> None:
    staff = fs.Collection("staff")
    staff.create_user("eve")

    assert staff.audit() == AuditReport(users=0, faces=0)


def test_a_collection_audits_itself_and_changes_nothing() -> None:
    staff = fs.Collection("staff")
    people = {"ada": person(0, 3), "bob": person(1, 4), "countess": person(0, 3)}
    for name, photos in people.items():
        staff.add_embeddings([name] * len(photos), photos)
    staff.create_user("eve")
    before = [(face, staff.face_embedding(face.face_id).tobytes()) for face in staff.faces()], staff.users()

    report = staff.audit()

    assert (report.users, report.faces) == (3, 10)
    assert [pair.user_ids for pair in report.same_person] == [("ada", "countess")]
    assert staff.audit() == report
    after = [(face, staff.face_embedding(face.face_id).tobytes()) for face in staff.faces()], staff.users()
    assert after == before


def test_a_misplaced_face_is_told_with_its_photo() -> None:
    red, blue = (paint((100, 120), {(20, 20, 80, 80): colour}) for colour in ((200, 30, 30), (30, 30, 200)))
    staff = fs.Collection("staff", analyzer=fake_analyzer())
    staff.enroll("ada", [red], sources=["ada/1.png"])
    for number, photo in enumerate((red, red, blue)):
        photos = [np.roll(photo, (number, 2 + number), axis=(0, 1))]
        staff.enroll("ada", photos, sources=[f"ada/{number}\n\udcff.png"], user_match_threshold=0)
    (misplaced,) = staff.audit().misplaced

    assert misplaced.source == "ada/2\n\udcff.png"
    assert r"ada/2\n\udcff.png" in str(staff.audit())
    str(staff.audit()).encode()


@pytest.mark.parametrize("options", [{"threshold": 101}, {"own_threshold": -1}, {"limit": 0}, {"block": 0}])
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(fs.InvalidParameterError, match=next(iter(options))):
        audited(gallery({"ada": person(0, 2)}), **options)


@pytest.mark.parametrize("users", [["ada", "ada"], ["ada", "bob"], ["bob"]])
def test_users_that_are_not_those_of_the_faces_are_named(users: list[str]) -> None:
    (face_id, user, vector), *_ = gallery({"ada": ADA[:1]})
    with pytest.raises(fs.InvalidParameterError, match="user_ids: expected the users of the faces"):
        audit(
            users,
            ADA[: len(users)],
            [StoredFace(fs.Face(face_id=face_id, user_id=user), vector)],
            calibration=CALIBRATION,
        )


@given(st.integers(2, 9), st.integers(0, 999), st.sampled_from([0.0, 0.1, 1.0]), st.booleans())
def test_leave_one_out_is_the_robust_mean_of_the_others(photos: int, seed: int, spread: float, unit: bool) -> None:
    vectors = person(seed, photos, spread=spread)
    if unit:
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    expected = [np.linalg.norm(vectors[i] - robust_mean(np.delete(vectors, i, axis=0))) for i in range(photos)]

    assert leave_one_out(vectors) == pytest.approx(expected, abs=1e-5)
    assert leave_one_out(np.stack([vectors, vectors[::-1]]))[1] == pytest.approx(expected[::-1], abs=1e-5)


def test_faces_agree_when_half_of_the_pairs_are_near() -> None:
    ada, bob = person(0, 3), person(1, 2)

    assert agree(ada, 0.5)
    assert agree(np.concatenate([ada, bob[:1]]), 0.5)  # 3 of 6
    assert not agree(np.concatenate([ada[:2], bob]), 0.5)  # 2 of 6
    assert not agree(ada[:1], 0.5)


# ---------------------------------------------------------------- enrolment's judgement

LOW, NEARER = EnrollmentReason.LOW_MATCH_CONFIDENCE, EnrollmentReason.NEARER_TO_ANOTHER_USER
DISAGREE = EnrollmentReason.PHOTOS_DISAGREE


def judged(
    candidates: FloatArray,
    present: FloatArray | None = None,
    threshold: float = 75,
    *,
    anyway: bool = False,
    **others: FloatArray,
) -> list[Enrollment | None]:
    def nearest(vector: FloatArray, reach: float) -> tuple[float, str] | None:
        found = sorted((float(np.linalg.norm(vector - other)), name) for name, other in others.items())
        return found[0] if found and found[0][0] <= reach else None

    mine = candidates[:0] if present is None else present
    agreed = agreement(candidates, mine, threshold=threshold, calibration=CALIBRATION, anyway=anyway)
    return list(doubts(candidates, mine, nearest, threshold=threshold, calibration=CALIBRATION, agreed=agreed))


def reasons(found: list[Enrollment | None]) -> list[tuple[EnrollmentReason, ...]]:
    return [doubt.reasons if doubt else () for doubt in found]


def test_vectorsof_one_person_are_not_doubted() -> None:
    assert judged(ADA, bob=BOB[0]) == [None] * 5
    assert judged(ADA, ADA[:1], bob=BOB[0]) == [None] * 5
    assert judged(ADA[:1]) == [None]


def test_from_three_vectorson_the_odd_one_is_doubted() -> None:
    assert reasons(judged(np.concatenate([ADA[:2], BOB[:1]]))) == [(), (), (LOW,)]
    assert reasons(judged(np.concatenate([ADA[:4], BOB[:1], EVE[:1]]))) == [(), (), (), (), (LOW,), (LOW,)]


MIXED = ([ADA[:1], BOB[:1]], [ADA[:1], BOB[:1], EVE[:1]], [ADA[:2], BOB[:2]], [ADA[:2], BOB[:2], EVE[:1]])


@pytest.mark.parametrize("mixed", MIXED)
def test_vectors_of_a_new_user_that_have_no_majority_are_all_kept_out(mixed: list[FloatArray]) -> None:
    batch = np.concatenate(mixed)

    assert reasons(judged(batch)) == [(DISAGREE,)] * len(batch)
    assert not any(judged(batch, anyway=True))
    assert not any(judged(batch, threshold=0))


@pytest.mark.parametrize("mixed", MIXED)
def test_a_user_that_has_faces_keeps_out_what_does_not_fit_them(mixed: list[FloatArray]) -> None:
    batch = np.concatenate(mixed)
    found = judged(batch, ADA[3:])

    assert reasons(found) == [() if any((row == face).all() for face in ADA) else (LOW,) for row in batch]


def test_a_slim_majority_is_enough_to_refuse_all_others() -> None:
    batch = np.concatenate([ADA[:3], BOB[:1], EVE[:1]])
    assert reasons(judged(batch)) == [(), (), (), (LOW,), (LOW,)]
    two_against = np.concatenate([ADA[:3], BOB[:2]])
    assert reasons(judged(two_against)) == [(), (), (), (LOW,), (LOW,)]


@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 6))
def test_a_majority_is_more_than_half(ada: int, bob: int, eve: int) -> None:
    people = [person(place, 6) for place in (1, 2, 3)]
    faces = np.concatenate([each[:count] for each, count in zip(people, (ada, bob, eve), strict=True)])

    assert has_majority(faces, CALIBRATION.distance_at(50)) == (2 * max(ada, bob, eve) > len(faces))


def test_a_photo_of_another_user_is_doubted_with_whose_it_is() -> None:
    *right, wrong = judged(np.concatenate([ADA[:3], BOB[:1]]), bob=BOB[1], eve=EVE[0])

    assert right == [None] * 3
    assert wrong
    assert (wrong.reasons, wrong.user_id) == ((LOW, NEARER), "bob")
    assert (wrong.confidence or 0) < 50
    assert (wrong.user_confidence or 0) > 99


def test_of_two_vectors_that_differ_both_are_kept_out_and_it_is_told_whose_one_surely_is() -> None:
    batch = np.stack([ADA[0], BOB[0]])
    assert reasons(judged(batch, bob=BOB[1])) == [(DISAGREE,), (DISAGREE, NEARER)]
    assert reasons(judged(batch, bob=BOB[1], anyway=True)) == [(), (NEARER,)]


def test_a_single_photo_is_doubted_only_when_it_is_surely_another_users() -> None:
    unsure = ADA[0].copy()
    unsure[:1] += CALIBRATION.distance_at(90)

    (found,) = judged(ADA[:1], bob=ADA[1])
    assert found
    assert (found.reasons, found.confidence, found.user_id) == ((NEARER,), None, "bob")
    assert judged(ADA[:1], bob=unsure) == [None]


def test_being_a_little_nearer_to_another_user_is_no_reason() -> None:
    step = np.zeros(128, np.float32)
    step[0] = 1
    face = ADA[0]
    assert judged(face[np.newaxis], face[np.newaxis] + 0.4 * step, bob=face - 0.36 * step) == [None]
    assert reasons(judged(face[np.newaxis], face[np.newaxis] + 0.4 * step, bob=face - 0.3 * step)) == [(NEARER,)]


def test_a_wrong_photo_does_not_speak_against_the_right_ones() -> None:
    step = np.zeros(128, np.float32)
    step[0] = 1
    right = np.stack([ADA[0], ADA[0] + 0.4 * step])
    rival = ADA[0] - 0.37 * step  # nearer than half-way to a stranger

    assert reasons(judged(np.concatenate([right, BOB[:1]]), rival=rival)) == [(), (), (LOW,)]


def test_at_threshold_zero_who_it_is_is_the_callers_word() -> None:
    assert not any(judged(np.concatenate([ADA[:3], BOB[:1]]), EVE, threshold=0, bob=BOB[1]))


@given(st.permutations(range(7)), st.booleans())
def test_the_order_of_vectorschanges_no_judgement(order: list[int], known: bool) -> None:
    batch = np.concatenate([ADA[:4], BOB[:1], EVE[:2]])
    present = ADA[4:] if known else ADA[:0]
    found = judged(batch, present, bob=BOB[1], zoe=person(5, 1)[0])

    assert judged(batch[order], present, bob=BOB[1], zoe=person(5, 1)[0]) == [found[row] for row in order]
    assert any(found)
