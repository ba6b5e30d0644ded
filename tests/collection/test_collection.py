"""Collections: AWS's rules, and nothing changed after any error. Painted faces make it fast."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from PIL import Image

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.collection import MAX_FACES_PER_USER
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.domain.sources import decode_source, encode_source, show_source
from facesearch.testing.fakes import FAKE_MODEL, fake_analyzer, paint
from facesearch.testing.strategies import embeddings, photo_sources, user_ids
from stores import CASES, Case

RED, BLUE, GREEN, GREY = (200, 30, 30), (30, 30, 200), (30, 200, 30), (120, 120, 90)
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def portrait(colour: tuple[int, int, int], size: int = 60) -> PixelArray:
    return paint((100, 120), {(20, 20, 20 + size, 20 + size): colour})


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def staff(request: pytest.FixtureRequest, fake: FaceAnalyzer, tmp_path: Path) -> Iterator[fs.Collection]:
    """Two users with a face each, one user without, and one unassociated face."""
    case: Case = request.param
    staff = case.open(tmp_path, "staff", analyzer=fake)
    staff.enroll("ada", [portrait(RED)])
    staff.enroll("bob", [portrait(BLUE)])
    staff.create_user("eve")
    staff.index_faces(portrait(GREEN))
    yield staff
    staff.close()


def contents(collection: fs.Collection) -> Any:
    """The complete visible state of a collection."""
    users = collection.users()
    vectors = [collection.user_embedding(user.user_id) for user in users]
    return users, collection.faces(), [None if vector is None else vector.tobytes() for vector in vectors]


def test_a_collection_tells_what_is_in_it(staff: fs.Collection) -> None:
    assert len(staff) == 3
    assert "ada" in staff
    assert "mallory" not in staff
    assert [(user.user_id, user.user_status.value) for user in staff.users()] == [
        ("ada", "ACTIVE"),
        ("bob", "ACTIVE"),
        ("eve", "CREATED"),
    ]
    assert [face.user_id for face in staff.faces("ada")] == ["ada"]
    assert len(staff.faces()) == 3
    assert staff.user_embedding("eve") is None
    assert repr(staff) == "<Collection 'staff': 3 users, 3 faces (1 unassociated), face model painted_faces 0.0>"
    assert re.search(r"<td>ada *</td><td[^>]*> *1</td><td>ACTIVE *</td>", staff._repr_html_())


def test_indexing_the_same_photo_again_adds_nothing(staff: fs.Collection) -> None:
    before = contents(staff)
    again = staff.index_faces(portrait(RED))

    assert contents(staff) == before
    assert again.face_records[0].face == staff.faces("ada")[0]


def test_another_external_image_id_makes_another_face_of_the_same_image(staff: fs.Collection) -> None:
    one = staff.index_faces(portrait(GREEN), external_image_id="a1").face_records[0].face
    other = staff.index_faces(portrait(GREEN), external_image_id="a2").face_records[0].face

    assert one.face_id != other.face_id
    assert one.image_id == other.image_id
    assert one.external_image_id == "a1"


def test_ids_are_the_same_in_every_collection_of_one_model(fake: FaceAnalyzer) -> None:
    ids = [
        fs.Collection(name, analyzer=fake).index_faces(portrait(RED)).face_records[0].face.face_id
        for name in ("a", "b")
    ]
    assert ids[0] == ids[1]


def test_indexing_keeps_the_largest_and_says_why_not_the_rest(fake: FaceAnalyzer) -> None:
    photo = paint((300, 300), {(10, 10, 60, 60): RED, (100, 100, 200, 200): BLUE, (220, 220, 290, 290): GREEN})
    answer = fs.Collection("c", analyzer=fake).index_faces(photo, max_faces=2, attributes=["ALL"])

    boxes = [record.face.bounding_box for record in answer.face_records]
    areas = [box.area for box in boxes if box]
    assert len(areas) == 2
    assert areas == sorted(areas, reverse=True)
    assert [face.reasons for face in answer.unindexed_faces] == [(fs.UnindexedFaceReason.EXCEEDS_MAX_FACES,)]
    assert all(len(record.face_detail.landmarks or ()) == 30 for record in answer.face_records)
    assert answer.face_model_version == "0.0"


def test_indexing_a_photo_without_faces_is_an_answer(staff: fs.Collection) -> None:
    assert staff.index_faces(np.zeros((100, 100, 3), np.uint8)) == fs.IndexFacesResponse(face_model_version="0.0")


def test_the_filter_refuses_with_the_reason(fake: FaceAnalyzer) -> None:
    dark = portrait(RED) // 40
    refused = fs.Collection("c", analyzer=fake).index_faces(dark, quality_filter="HIGH").unindexed_faces

    assert [reason.value for reason in refused[0].reasons] == ["LOW_BRIGHTNESS"]


def test_associating_follows_awss_rules(staff: fs.Collection) -> None:
    (green,) = (face.face_id for face in staff.faces() if face.user_id is None)
    (red,) = (face.face_id for face in staff.faces("ada"))
    (blue,) = (face.face_id for face in staff.faces("bob"))
    red2 = staff.index_faces(portrait(RED, size=70)).face_records[0].face.face_id

    answer = staff.associate_faces("ada", [red2, red, blue, green, UNKNOWN, red2])

    assert [face.face_id for face in answer.associated_faces] == [red2]  # red was hers: in neither list
    assert answer.user_status is fs.UserStatus.ACTIVE
    wrong = {face.face_id: face for face in answer.unsuccessful_face_associations}
    assert set(wrong) == {blue, green, UNKNOWN}
    assert wrong[blue].reasons == (fs.UnsuccessfulFaceAssociationReason.ASSOCIATED_TO_A_DIFFERENT_USER,)
    assert (wrong[blue].user_id, wrong[blue].confidence) == ("bob", None)
    assert wrong[green].reasons == (fs.UnsuccessfulFaceAssociationReason.LOW_MATCH_CONFIDENCE,)
    assert wrong[green].user_id is None
    assert 0 <= (wrong[green].confidence or 0) < 75
    assert wrong[UNKNOWN].reasons == (fs.UnsuccessfulFaceAssociationReason.FACE_NOT_FOUND,)


def test_the_threshold_only_holds_for_users_that_have_faces(staff: fs.Collection) -> None:
    (green,) = (face.face_id for face in staff.faces() if face.user_id is None)

    assert staff.associate_faces("ada", [green], user_match_threshold=99).associated_faces == ()
    assert len(staff.associate_faces("eve", [green], user_match_threshold=99).associated_faces) == 1


def test_threshold_zero_accepts_anybody(staff: fs.Collection) -> None:
    (green,) = (face.face_id for face in staff.faces() if face.user_id is None)

    assert len(staff.associate_faces("ada", [green], user_match_threshold=0).associated_faces) == 1


def test_disassociating_follows_awss_rules(staff: fs.Collection) -> None:
    (green,) = (face.face_id for face in staff.faces() if face.user_id is None)
    (red,) = (face.face_id for face in staff.faces("ada"))
    (blue,) = (face.face_id for face in staff.faces("bob"))

    answer = staff.disassociate_faces("ada", [red, green, blue, UNKNOWN])

    assert [face.face_id for face in answer.disassociated_faces] == [red]  # green was unassociated: in neither list
    wrong = {face.face_id: face for face in answer.unsuccessful_face_disassociations}
    assert set(wrong) == {blue, UNKNOWN}
    assert wrong[blue].user_id == "bob"
    assert answer.user_status is fs.UserStatus.CREATED  # her last face went
    assert staff.user_embedding("ada") is None
    assert len(staff.faces()) == 3


def test_deleting_faces_leaves_those_that_are_a_users(staff: fs.Collection) -> None:
    (green,) = (face.face_id for face in staff.faces() if face.user_id is None)
    (red,) = (face.face_id for face in staff.faces("ada"))

    answer = staff.delete_faces([green, red, UNKNOWN])

    assert answer.deleted_faces == (green,)
    wrong = {face.face_id: face for face in answer.unsuccessful_face_deletions}
    assert wrong[red].user_id == "ada"
    assert wrong[red].reasons == (fs.UnsuccessfulFaceDeletionReason.ASSOCIATED_TO_AN_EXISTING_USER,)
    assert wrong[UNKNOWN].reasons == (fs.UnsuccessfulFaceDeletionReason.FACE_NOT_FOUND,)


def test_deleting_a_user_keeps_the_faces_unless_told(staff: fs.Collection) -> None:
    staff.delete_user("ada")
    assert "ada" not in staff
    assert len(staff.faces()) == 3

    staff.delete_user("bob", faces=True)
    assert len(staff.faces()) == 2
    assert all(face.user_id is None for face in staff.faces())


def test_enrolling_reports_each_photo(staff: fs.Collection) -> None:
    nobody = np.zeros((100, 100, 3), np.uint8)
    report = staff.enroll("ada", [portrait(RED, size=70), nobody, portrait(GREEN, size=65), portrait(BLUE)])

    assert report.user == fs.User(user_id="ada", user_status=fs.UserStatus.ACTIVE)
    assert report.accepted == 1
    assert [[reason.value for reason in photo.reasons] for photo in report.photos] == [
        [],
        ["NO_FACE"],
        ["LOW_MATCH_CONFIDENCE"],
        ["ASSOCIATED_TO_A_DIFFERENT_USER"],
    ]
    assert len(staff.faces("ada")) == 2
    assert len(staff.faces()) == 4  # of a photo that was refused nothing is kept


def test_of_a_new_user_without_any_accepted_photo_nothing_is_kept(staff: fs.Collection) -> None:
    before = contents(staff)
    report = staff.enroll("zoe", [np.zeros((100, 100, 3), np.uint8), portrait(BLUE)])

    assert report.user is None
    assert report.accepted == 0
    assert contents(staff) == before


def test_enrolling_takes_the_largest_face(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("c", analyzer=fake)
    staff.enroll("ada", [paint((200, 200), {(5, 5, 50, 50): BLUE, (60, 60, 160, 160): RED})])

    assert staff.search_embedding(fake.analyze(portrait(RED))[0].embedding)[0].user.user_id == "ada"
    assert staff.search_embedding(fake.analyze(portrait(BLUE))[0].embedding) == ()


def test_enrolling_tells_whose_a_refused_photo_is(staff: fs.Collection) -> None:
    report = staff.enroll("ada", [portrait(BLUE), portrait(BLUE, size=70), portrait(GREEN, size=65)])
    theirs, nearer, low = report.photos

    assert (theirs.user_id, theirs.confidence, theirs.user_confidence) == ("bob", None, None)
    assert [reason.value for reason in nearer.reasons] == ["LOW_MATCH_CONFIDENCE", "NEARER_TO_ANOTHER_USER"]
    assert nearer.user_id == "bob"
    assert nearer.user_confidence == 100
    assert (nearer.confidence or 0) < 75
    assert (low.user_id, low.user_confidence) == (None, None)
    assert (low.confidence or 0) < 75


def test_enrolling_refuses_a_photo_in_which_two_may_be_meant(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("c", analyzer=fake)
    two = paint((200, 300), {(5, 5, 105, 105): RED, (150, 50, 250, 130): BLUE})
    bystander = paint((200, 300), {(5, 5, 105, 105): RED, (150, 50, 210, 110): BLUE})
    report = staff.enroll("ada", [two, bystander])

    assert [[reason.value for reason in photo.reasons] for photo in report.photos] == [["SEVERAL_FACES"], []]
    assert len(staff.faces()) == 1


def test_the_odd_one_of_a_new_users_photos_is_refused(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("c", analyzer=fake)
    report = staff.enroll("ada", [portrait(BLUE), portrait(RED), portrait(RED, size=70)])

    assert [[reason.value for reason in photo.reasons] for photo in report.photos] == [["LOW_MATCH_CONFIDENCE"], [], []]
    assert report.accepted == len(staff.faces()) == 2


def test_at_threshold_zero_every_photo_is_accepted(staff: fs.Collection) -> None:
    photos = [portrait(BLUE, size=70), portrait(RED, size=70), portrait(RED, size=65)]

    assert staff.enroll("zoe", photos, user_match_threshold=0).accepted == 3


def test_a_photo_given_twice_counts_once(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("c", analyzer=fake)
    report = staff.enroll("ada", [portrait(RED, 70), portrait(RED), portrait(RED)])

    assert report.accepted == 3
    assert report.photos[1] == report.photos[2]
    assert len(staff.faces("ada")) == 2
    assert staff.enroll("ada", [portrait(RED)]).accepted == 1
    assert len(staff.faces("ada")) == 2
    assert staff.enroll("bob", [portrait(BLUE), portrait(GREEN), portrait(GREEN)]).kept_out  # one and one: no majority


def test_photos_of_strangers_do_not_become_one_user(staff: fs.Collection) -> None:
    mix = [
        portrait(RED, 70),
        portrait(BLUE, 70),
        portrait(GREEN, 70),
        portrait(GREY),
        np.zeros((100, 100, 3), np.uint8),
    ]
    before = contents(staff)
    report = staff.enroll("mix", mix)

    assert report.kept_out
    assert (report.user, report.accepted, contents(staff)) == (None, 0, before)
    reasons = [[reason.value for reason in photo.reasons] for photo in report.photos]
    assert reasons[0] == ["PHOTOS_DISAGREE", "NEARER_TO_ANOTHER_USER"]  # ada's
    assert reasons[2:] == [["PHOTOS_DISAGREE"], ["PHOTOS_DISAGREE"], ["NO_FACE"]]
    figures = [text for face in report.explain().faces for _, text in face.figures()]
    assert any("no photo of this user matches more than half of them" in text for text in figures)

    told = staff.enroll("mix", mix, anyway=True)
    assert not told.kept_out
    assert [photo.face is not None for photo in told.photos] == [False, False, True, True, False]
    assert staff.enroll("mix", [portrait(RED, 72), portrait(BLUE, 72)]).accepted == 0  # as for all who have faces


def test_one_photo_is_enough_and_two_that_differ_are_not(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("c", analyzer=fake)

    assert staff.enroll("ada", [portrait(RED)]).accepted == 1
    assert staff.enroll("bob", [portrait(BLUE), portrait(BLUE, 70)]).accepted == 2
    report = staff.enroll("eve", [portrait(GREEN), portrait(GREY)])
    assert report.kept_out
    assert [photo.confidence is not None and photo.confidence < 50 for photo in report.photos] == [True, True]
    assert "eve" not in staff
    staff.create_user("eve")  # who has no face, and so is new
    assert staff.enroll("eve", [portrait(GREEN), portrait(GREY)]).kept_out
    with pytest.raises(fs.InvalidParameterError, match=r"^anyway: expected True or False, got 1"):
        staff.enroll("eve", [portrait(GREEN)], anyway=cast("Any", 1))


# -------------------------------------------------------------------- where photos are from


def test_a_face_knows_the_path_that_was_given(
    staff: fs.Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a table wraps long paths, and those of pytest-xdist are long
    one, other = Path("Ada Lovelace", "1 ü.png"), Path("2.png")
    one.parent.mkdir()
    Image.fromarray(portrait(RED, 70)).save(one)
    Image.fromarray(portrait(GREY)).save(other)
    report = staff.enroll("ada", [str(one), portrait(RED, 65)])
    (indexed,) = staff.index_faces(other).face_records

    assert [photo.face and photo.face.source for photo in report.photos] == [str(one), None]
    assert {face.source for face in staff.faces("ada")} == {None, str(one)}
    assert indexed.face.source == str(other)
    assert str(one) in str(report)
    assert str(one) in repr(report.photos[0].face)
    assert str(other) in {face.source for face in staff.faces()}


def test_a_source_may_be_given_for_what_has_no_path(staff: fs.Collection, tmp_path: Path) -> None:
    file = tmp_path / "3.png"
    Image.fromarray(portrait(GREY)).save(file)
    photos: list[Any] = [portrait(GREY, 70), file.read_bytes(), io.BytesIO(file.read_bytes()), file]
    sources: list[Any] = ["https://intranet/4711", Path("a", "b.png"), None, None]
    report = staff.enroll("zoe", photos, sources=sources)
    (record,) = staff.index_faces(portrait(GREY, 66), source="scan 12").face_records

    assert [photo.face and photo.face.source for photo in report.photos] == [
        "https://intranet/4711",
        *[min(str(Path("a", "b.png")), str(file))] * 3,  # one photo, given three times
    ]
    assert record.face.source == "scan 12"
    assert staff.index_faces(portrait(GREY, 66), source="scan 13").face_records[0].face.source == "scan 12"


@pytest.mark.parametrize("source", ["", "a\0b", 3, b"bytes", "x" * 4097])
def test_what_is_no_source_is_refused(staff: fs.Collection, source: Any) -> None:
    before = contents(staff)
    with pytest.raises(fs.InvalidParameterError, match=r"^source: expected"):
        staff.index_faces(portrait(GREY), source=source)
    with pytest.raises(fs.InvalidParameterError, match=r"^sources\[1\]: expected"):
        staff.enroll("zoe", [portrait(GREY), portrait(GREY, 70)], sources=["a", source])
    for few in (["a"], "ab", 7):
        with pytest.raises(fs.InvalidParameterError, match=r"^sources: expected a sequence of 2 sources"):
            staff.enroll("zoe", [portrait(GREY), portrait(GREY, 70)], sources=cast("Any", few))
    assert contents(staff) == before


@settings(max_examples=50)
@given(photo_sources())
def test_whatever_a_path_is_a_face_keeps_it_and_nothing_of_it_reaches_the_wire(source: str) -> None:
    staff = fs.Collection("c", analyzer=fake_analyzer())
    (record,) = staff.index_faces(portrait(GREY), source=source).face_records

    assert staff.faces()[0].source == record.face.source == source
    wire = fs.to_aws(record.face)
    assert not {"Source", "source"} & wire.keys()
    assert fs.from_aws(wire | {"Source": "elsewhere"}, fs.Face) == attrs.evolve(record.face, source=None)
    assert show_source(source).isprintable()
    show_source(source).encode()
    assert decode_source(encode_source(source)) == source


@settings(max_examples=20)
@given(st.permutations(range(6)), st.booleans())
def test_the_order_of_photos_changes_nothing(fake: FaceAnalyzer, order: list[int], exists: bool) -> None:
    photos = [
        portrait(RED, 50),
        portrait(RED, 55),
        portrait(BLUE, 50),
        portrait(GREEN),
        portrait(BLUE),
        portrait(RED, 65),
    ]
    one, other = fs.Collection("one", analyzer=fake), fs.Collection("other", analyzer=fake)
    for collection in (one, other):
        collection.enroll("bob", [portrait(BLUE)])
        if exists:
            collection.enroll("ada", [portrait(RED)])
    report, turned = one.enroll("ada", photos), other.enroll("ada", [photos[row] for row in order])

    assert turned.photos == tuple(report.photos[row] for row in order)
    assert contents(one) == contents(other)


def test_photos_that_are_refused_do_not_fill_a_user(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("staff", analyzer=fake)
    staff.add_embeddings(["ada"] * 100, np.stack([fake.analyze(portrait(RED))[0].embedding] * 100))

    assert staff.enroll("ada", [portrait(GREEN)]).accepted == 0


@given(st.lists(embeddings(), min_size=1, max_size=6), embeddings(), st.randoms(use_true_random=False))
def test_the_order_of_faces_changes_no_user(vectors: list[FloatArray], probe: FloatArray, random: Any) -> None:
    one, other = fs.Collection("one"), fs.Collection("other")
    one.add_embeddings(["ada"] * len(vectors), np.stack(vectors))
    random.shuffle(vectors)
    for vector in vectors:
        other.add_embedding("ada", vector)

    assert contents(one) == contents(other)
    assert one.search_embedding(probe, user_match_threshold=0) == other.search_embedding(probe, user_match_threshold=0)


@given(st.lists(embeddings(), min_size=1, max_size=5), embeddings())
def test_adding_a_face_and_removing_it_again_restores_the_user(vectors: list[FloatArray], extra: FloatArray) -> None:
    staff = fs.Collection("staff")
    staff.add_embeddings(["ada"] * len(vectors), np.stack(vectors))
    before = contents(staff)

    face_id = staff.add_embedding("ada", extra)
    staff.disassociate_faces("ada", [face_id])
    staff.delete_faces([face_id])

    assert contents(staff) == before


@given(st.dictionaries(user_ids(max_size=3), embeddings(), min_size=1, max_size=12), embeddings(), st.data())
def test_search_is_sorted_cut_by_the_threshold_and_a_prefix(
    people: dict[str, FloatArray], probe: FloatArray, data: st.DataObject
) -> None:
    staff = fs.Collection("staff")
    staff.add_embeddings(list(people), np.stack(list(people.values())))
    everybody = staff.search_embedding(probe, user_match_threshold=0)
    threshold, most = data.draw(st.floats(0, 100)), data.draw(st.integers(1, 500))

    assert len(everybody) == len(people)
    assert [match.similarity for match in everybody] == sorted((m.similarity for m in everybody), reverse=True)
    cut = staff.search_embedding(probe, user_match_threshold=threshold)
    assert cut == tuple(match for match in everybody if match.similarity >= threshold)
    assert staff.search_embedding(probe, user_match_threshold=0, max_users=most) == everybody[:most]


@given(st.dictionaries(user_ids(max_size=3), embeddings(), min_size=2, max_size=12), embeddings())
def test_strangers_change_nobodys_score(people: dict[str, FloatArray], probe: FloatArray) -> None:
    names = sorted(people)
    few, many = fs.Collection("few"), fs.Collection("many")
    few.add_embeddings(names[:1], np.stack([people[names[0]]]))
    many.add_embeddings(names, np.stack([people[name] for name in names]))

    (match,) = few.search_embedding(probe, user_match_threshold=0)
    assert match in many.search_embedding(probe, user_match_threshold=0)


@given(
    st.dictionaries(user_ids(max_size=3), embeddings(), max_size=12),
    st.lists(embeddings(), max_size=5),
    st.floats(0, 100),
    st.none() | st.integers(1, 500),
)
def test_a_batch_equals_single_searches(
    people: dict[str, FloatArray], probes: list[FloatArray], threshold: float, most: int | None
) -> None:
    staff = fs.Collection("staff")
    for user_id, vector in people.items():
        staff.add_embedding(user_id, vector)
    alone = [staff.rank(probe, user_match_threshold=threshold, max_users=most) for probe in probes]

    found = staff.search_embeddings(probes, user_match_threshold=threshold, max_users=most)
    assert found == tuple(matches for matches, _ in alone)
    assert staff.rank_many(probes, user_match_threshold=threshold, max_users=most) == tuple(alone)


@pytest.mark.parametrize(
    ("probes", "fault"),
    [
        (np.ones(128), r"^probes: expected shape \(P, 128\), got shape \(128,\)"),
        (1.0, r"^probes: expected shape \(P, 128\), got shape \(\)"),
        (None, r"^probes: expected shape"),
        ([[1.0] * 128, [1.0]], r"^probes: expected shape"),
        (np.ones((2, 64)), r"^probes\[0\]: expected shape \(128,\)"),
        ([[1.0] * 128, [0.0] * 128], r"^probes\[1\]: .*all zeros"),
    ],
)
def test_what_are_no_probes_is_refused_by_name(probes: Any, fault: str) -> None:
    with pytest.raises(fs.InvalidEmbeddingError, match=fault):
        fs.Collection("staff").search_embeddings(probes)


def test_probes_of_another_model_are_refused() -> None:
    staff = fs.Collection("staff")
    with pytest.raises(fs.FaceModelMismatchError):
        staff.search_embeddings(np.ones((1, 128)), face_model=FAKE_MODEL)
    with pytest.raises(fs.InvalidParameterError, match="max_users"):
        staff.search_embeddings(np.ones((1, 128)), max_users=501)


def test_a_match_exactly_at_the_threshold_is_kept() -> None:
    staff = fs.Collection("staff")
    staff.add_embedding("ada", np.ones(128))
    probe = np.ones(128) * 1.05
    (match,) = staff.search_embedding(probe, user_match_threshold=0)

    assert staff.search_embedding(probe, user_match_threshold=match.similarity) == (match,)
    assert staff.search_embedding(probe, user_match_threshold=np.nextafter(match.similarity, 101)) == ()


@pytest.mark.parametrize("threshold", [99.999, 100])
def test_what_reads_100_is_found_at_100(threshold: float) -> None:
    staff = fs.Collection("staff")
    staff.add_embedding("ada", np.ones(128))
    probe = np.ones(128)
    (match,) = staff.search_embedding(probe, user_match_threshold=threshold)

    assert match.similarity == 100


def test_equal_users_come_by_id() -> None:
    staff = fs.Collection("staff")
    staff.add_embeddings(["c", "a", "b"], np.ones((3, 128)))

    assert [match.user.user_id for match in staff.search_embedding(np.ones(128))] == ["a", "b", "c"]


def test_users_without_faces_are_never_found(staff: fs.Collection) -> None:
    found = staff.search_embedding(np.ones(128), user_match_threshold=0)

    assert {match.user.user_id for match in found} == {"ada", "bob"}


def test_an_empty_collection_finds_nobody() -> None:
    assert fs.Collection("empty").search_embedding(np.ones(128), user_match_threshold=0) == ()


def test_the_same_vector_twice_is_two_faces() -> None:
    staff = fs.Collection("staff")
    ids = staff.add_embeddings(["ada", "ada"], np.ones((2, 128)))

    assert len(set(ids)) == 2
    assert staff.user_embedding("ada") == pytest.approx(np.ones(128))
    assert staff.face_embedding(ids[0]) == pytest.approx(np.ones(128))


NAN = np.full(128, np.nan)
BAD: dict[str, tuple[Callable[[fs.Collection], Any], type[Exception], str]] = {
    "no such user, delete": (lambda c: c.delete_user("mallory"), fs.UserNotFoundError, "user_id: no user 'mallory'"),
    "no such user, faces": (lambda c: c.faces("mallory"), fs.UserNotFoundError, "no user 'mallory'"),
    "no such user, vector": (lambda c: c.user_embedding("mallory"), fs.UserNotFoundError, "no user 'mallory'"),
    "no such user, associate": (lambda c: c.associate_faces("m", [UNKNOWN]), fs.UserNotFoundError, "no user 'm'"),
    "no such user, disassociate": (lambda c: c.disassociate_faces("m", [UNKNOWN]), fs.UserNotFoundError, "no user 'm'"),
    "user exists": (lambda c: c.create_user("ada"), fs.UserAlreadyExistsError, "has a user 'ada' already"),
    "bad user id": (lambda c: c.create_user("a b"), fs.InvalidParameterError, "user_id: expected 1 to 128 characters"),
    "long user id": (lambda c: c.create_user("x" * 129), fs.InvalidParameterError, "user_id: expected 1 to 128"),
    "bad user id, enroll": (lambda c: c.enroll("", [portrait(RED)]), fs.InvalidParameterError, "user_id: expected"),
    "bad user id, embedding": (
        lambda c: c.add_embedding("a/b", np.ones(128)),
        fs.InvalidParameterError,
        "user_ids: exp",
    ),
    "no such face": (lambda c: c.face_embedding(UNKNOWN), fs.FaceNotFoundError, "face_id: no face '0000"),
    "bad face id": (lambda c: c.delete_faces(["x"]), fs.InvalidParameterError, "face_ids: expected 1 to 36 characters"),
    "upper-case face id": (lambda c: c.delete_faces([UNKNOWN.replace("0", "A")]), fs.InvalidParameterError, "face_ids"),
    "no face ids": (
        lambda c: c.delete_faces([]),
        fs.InvalidParameterError,
        "face_ids: expected a sequence of 1 to 4096",
    ),
    "one string for face ids": (
        lambda c: c.delete_faces(UNKNOWN),
        fs.InvalidParameterError,
        "face_ids: expected a seq",
    ),
    "101 face ids": (
        lambda c: c.associate_faces("ada", [UNKNOWN] * 101),
        fs.InvalidParameterError,
        "face_ids: expected a sequence of 1 to 100",
    ),
    "association threshold": (
        lambda c: c.associate_faces("ada", [UNKNOWN], user_match_threshold=101),
        fs.InvalidParameterError,
        r"user_match_threshold: expected a finite number in \[0, 100\], got 101",
    ),
    "bad external image id": (
        lambda c: c.index_faces(portrait(RED), external_image_id="a b"),
        fs.InvalidParameterError,
        "external_image_id: expected 1 to 255 characters",
    ),
    "max_faces 0": (lambda c: c.index_faces(portrait(RED), max_faces=0), fs.InvalidParameterError, "max_faces: .*>= 1"),
    "unknown filter": (
        lambda c: c.index_faces(portrait(RED), quality_filter="BEST"),
        fs.InvalidParameterError,
        "quality_filter: expected one of",
    ),
    "unknown attribute": (
        lambda c: c.index_faces(portrait(RED), attributes=["NOSE"]),
        fs.InvalidParameterError,
        "attributes: expected one of DEFAULT, ALL, .*got 'NOSE'",
    ),
    "no photos": (
        lambda c: c.enroll("zoe", []),
        fs.InvalidParameterError,
        "images: expected a sequence of one or more",
    ),
    "one path for photos": (lambda c: c.enroll("zoe", "a.jpg"), fs.InvalidParameterError, "images: expected"),
    "a broken photo among good ones": (
        lambda c: c.enroll("zoe", [portrait(RED), b"junk"]),
        fs.InvalidImageFormatError,
        "image: ",
    ),
    "not a picture": (lambda c: c.index_faces(b"junk"), fs.InvalidImageFormatError, "image: "),
    "wrong length": (lambda c: c.add_embedding("ada", np.ones(127)), fs.InvalidEmbeddingError, r"shape \(127,\)"),
    "not finite": (lambda c: c.add_embedding("ada", NAN), fs.InvalidEmbeddingError, "vector: expected finite"),
    "all zeros": (lambda c: c.add_embedding("ada", np.zeros(128)), fs.InvalidEmbeddingError, "vector: .*got all zeros"),
    "one bad row": (
        lambda c: c.add_embeddings(["ada", "zoe"], np.stack([np.ones(128), NAN])),
        fs.InvalidEmbeddingError,
        r"matrix\[1\]: expected finite",
    ),
    "too few rows": (
        lambda c: c.add_embeddings(["ada", "zoe"], np.ones((1, 128))),
        fs.InvalidEmbeddingError,
        r"matrix: expected shape \(2, 128\), one row a user id, got shape \(1, 128\)",
    ),
    "ragged rows": (
        lambda c: c.add_embeddings(["ada", "zoe"], [[1.0], [1.0, 2.0]]),
        fs.InvalidEmbeddingError,
        r"matrix: expected shape \(2, 128\)",
    ),
    "another model's vectors": (
        lambda c: c.add_embedding("ada", np.ones(128), face_model=FAKE_MODEL.__class__(**OTHER)),
        fs.FaceModelMismatchError,
        "face_model: collection 'staff' holds vectors of painted_faces 0.0 .*, got other 2.0",
    ),
    "another model's probe": (
        lambda c: c.search_embedding(np.ones(128), face_model=FAKE_MODEL.__class__(**OTHER)),
        fs.FaceModelMismatchError,
        "got other 2.0",
    ),
    "quota": (
        lambda c: c.add_embeddings(["zoe"] * (MAX_FACES_PER_USER + 1), np.ones((MAX_FACES_PER_USER + 1, 128))),
        fs.QuotaExceededError,
        "user 'zoe' would have 101 faces, at most 100",
    ),
    "search threshold 101": (
        lambda c: c.search_embedding(np.ones(128), user_match_threshold=101),
        fs.InvalidParameterError,
        "user_match_threshold: expected",
    ),
    "max_users 0": (
        lambda c: c.search_embedding(np.ones(128), max_users=0),
        fs.InvalidParameterError,
        "max_users: exp",
    ),
    "max_users 501": (
        lambda c: c.search_embedding(np.ones(128), max_users=501),
        fs.InvalidParameterError,
        r"max_users: expected a whole number in \[1, 500\], got 501",
    ),
    "max_users 1.5": (
        lambda c: c.search_embedding(np.ones(128), max_users=cast("int", 1.5)),
        fs.InvalidParameterError,
        "max_users",
    ),
    "zero probe": (lambda c: c.search_embedding(np.zeros(128)), fs.InvalidEmbeddingError, "probe: .*got all zeros"),
}
OTHER: dict[str, Any] = {"name": "other", "version": "2.0", "digest": "f" * 64, "dimension": 128}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named_and_changes_nothing(
    staff: fs.Collection, call: Callable[[fs.Collection], Any], error: type[Exception], message: str
) -> None:
    before = contents(staff)

    with pytest.raises(error, match=message) as caught:
        call(staff)

    assert isinstance(caught.value, fs.FacesearchError)
    assert contents(staff) == before


def test_a_full_user_takes_no_more_faces(fake: FaceAnalyzer) -> None:
    staff = fs.Collection("staff", analyzer=fake)
    vector = fake.analyze(portrait(RED))[0].embedding
    staff.add_embeddings(["ada"] * 100, np.stack([vector] * 100))
    loose = staff.index_faces(portrait(RED)).face_records[0].face.face_id
    before = contents(staff)

    for call in (
        lambda: staff.associate_faces("ada", [loose]),
        lambda: staff.add_embedding("ada", vector),
        lambda: staff.enroll("ada", [portrait(RED)]),
    ):
        with pytest.raises(fs.QuotaExceededError, match="would have 101 faces"):
            call()
        assert contents(staff) == before


@pytest.mark.parametrize("collection_id", ["", "a b", "a:b", "a/b", "x" * 256, None, 7])
def test_collection_ids_have_awss_characters(collection_id: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="collection_id: expected 1 to 255 characters"):
        fs.Collection(collection_id)


def test_a_collection_refuses_an_analyzer_of_another_model() -> None:
    with pytest.raises(fs.FaceModelMismatchError, match=r"got painted_faces 0\.0"):
        fs.Collection("c", face_model=fs.FaceModel(**OTHER), analyzer=fake_analyzer())
    other = fs.FaceModel(**OTHER)
    vectors_only = fs.Collection("c", face_model=other, calibration=attrs.evolve(fs.calibration(), face_model=other))
    with pytest.raises(fs.FaceModelMismatchError, match=r"holds vectors of other 2\.0"):
        vectors_only.index_faces(portrait(RED))


class CollectionMachine(RuleBasedStateMachine):
    """Any sequence of calls leaves a collection consistent with a simple model."""

    faces = Bundle("faces")
    names = st.sampled_from("abc")

    def __init__(self) -> None:
        super().__init__()
        self.collection = fs.Collection("machine")
        self.owner: dict[str, str | None] = {}
        self.users: set[str] = set()

    @rule(target=faces, user=names, vector=embeddings(spread=0.1))
    def add(self, user: str, vector: FloatArray) -> str:
        face_id = self.collection.add_embedding(user, vector)
        self.owner[face_id] = user
        self.users.add(user)
        return face_id

    @rule(user=names)
    def create(self, user: str) -> None:
        try:
            self.collection.create_user(user)
            assert user not in self.users
        except fs.UserAlreadyExistsError:
            assert user in self.users
        self.users.add(user)

    @rule(user=names, with_faces=st.booleans())
    def delete_user(self, user: str, with_faces: bool) -> None:
        try:
            self.collection.delete_user(user, faces=with_faces)
            assert user in self.users
        except fs.UserNotFoundError:
            assert user not in self.users
        self.users.discard(user)
        mine = [face_id for face_id, owner in self.owner.items() if owner == user]
        for face_id in mine:
            if with_faces:
                del self.owner[face_id]
            else:
                self.owner[face_id] = None

    @rule(user=names, face_id=faces)
    def disassociate(self, user: str, face_id: str) -> None:
        if user in self.users:
            gone = self.collection.disassociate_faces(user, [face_id]).disassociated_faces
            assert bool(gone) == (self.owner.get(face_id) == user)
            if gone:
                self.owner[face_id] = None

    @rule(user=names, face_id=faces)
    def associate(self, user: str, face_id: str) -> None:
        if user in self.users:
            answer = self.collection.associate_faces(user, [face_id], user_match_threshold=0)
            taken = face_id in self.owner and self.owner[face_id] is None
            assert bool(answer.associated_faces) == taken
            if taken:
                self.owner[face_id] = user

    @rule(face_id=faces)
    def delete_face(self, face_id: str) -> None:
        gone = self.collection.delete_faces([face_id]).deleted_faces
        assert bool(gone) == (face_id in self.owner and self.owner[face_id] is None)
        if gone:
            del self.owner[face_id]

    @invariant()
    def in_step(self) -> None:
        owners = set(self.owner.values()) - {None}
        assert {user.user_id for user in self.collection.users()} == self.users
        assert {face.face_id: face.user_id for face in self.collection.faces()} == self.owner
        active = {user.user_id for user in self.collection.users() if user.user_status is fs.UserStatus.ACTIVE}
        assert active == owners
        found = self.collection.search_embedding(np.ones(128), user_match_threshold=0)
        assert {match.user.user_id for match in found} == owners


TestCollectionMachine = CollectionMachine.TestCase
