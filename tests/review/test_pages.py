"""The pages: what they show, and what their forms do."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.review import background
from review_pages import BLUE, GREEN, ORIGIN, RED, YELLOW, Reviewed, photo_of, reviewed, said

Make = Callable[..., Reviewed]


@pytest.fixture
def make(tmp_path: Path, fake: FaceAnalyzer) -> Make:
    def made(**options: object) -> Reviewed:
        return reviewed(tmp_path, fake, **options)  # type: ignore[arg-type]  # the options of `reviewed`

    return made


def typed(page: Reviewed, group: str, name: str, **fields: Any) -> str:
    """Name a group as one who types the name."""
    return page.post("/name", group=group, name=name, typed="1", **fields)


def group_ids(page: Reviewed) -> list[str]:
    return [group.group_id for group in page.site.collection.groups(progress=False)]


def search(page: Reviewed, photo: Path | bytes, name: str = "photo.png") -> str:
    content = photo if isinstance(photo, bytes) else photo.read_bytes()
    answer = page.client.post(
        "/search", data={"token": page.site.keys.form}, files={"photo": (name, content)}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 200, answer.text
    return answer.text


# ---------------------------------------------------------------- who is this?


def test_every_face_of_a_photo_has_a_name_or_a_reason(make: Make, tmp_path: Path) -> None:
    page = make(users={"ada": [RED, RED], "bob": [BLUE]})

    text = search(page, photo_of(tmp_path, "both.png", RED, GREEN))

    assert "photo.png · 2 faces" in text
    assert re.search(r'<a href="/person\?id=ada">ada</a>', text)
    assert "Nobody known" in text
    assert "Nobody in the collection reaches 80%." in text


def test_the_photo_and_its_faces_are_shown_encoded_anew_and_kept_in_memory_alone(make: Make, tmp_path: Path) -> None:
    page = make(users={"ada": [RED]})
    before = sorted(tmp_path.rglob("*"))
    photo = photo_of(tmp_path.parent / f"{tmp_path.name}-elsewhere", "a.png", RED)

    text = search(page, photo)
    shown = re.findall(r'src="(/search/[^"]+)"', text)

    assert len(shown) == 2
    for path in shown:
        answer = page.client.get(path)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content.startswith(b"\xff\xd8\xff")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_face_that_is_not_searched_says_why(make: Make, tmp_path: Path) -> None:
    page = make(users={"ada": [RED]})

    text = search(page, photo_of(tmp_path, "small.png", RED, size=20))

    assert "Not searched" in text
    assert "too small" in text.lower()


def test_a_photo_without_faces_and_a_file_that_is_none_are_told(make: Make, tmp_path: Path) -> None:
    page = make(users={"ada": [RED]})

    assert "No face was found in this photo." in search(page, photo_of(tmp_path, "none.png"))
    assert "This file can&#39;t be used: expected a JPEG" in said(search(page, b"%PDF-1.7 no photo"))
    assert "Choose a photo first." in said(search(page, b""))


def test_the_name_of_a_file_is_text(make: Make, tmp_path: Path) -> None:
    text = search(make(users={}), photo_of(tmp_path, "a.png", RED), name="<script>alert(1)</script>.png")

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.png" in text


def test_a_photo_that_was_searched_long_ago_is_gone(make: Make, tmp_path: Path) -> None:
    page = make(users={"ada": [RED]})
    photo = photo_of(tmp_path, "a.png", RED)
    first = re.search(r"/search/([\w-]+)/photo.jpg", search(page, photo))
    assert first
    for _ in range(8):
        search(page, photo)

    assert page.client.get(f"/search/{first[1]}/photo.jpg").status_code == 404
    assert page.client.get("/", params={"photo": first[1]}).status_code == 404


# ---------------------------------------------------------------- people


def test_people_are_listed_searched_and_shown_with_their_photos(make: Make) -> None:
    page = make(users={"ada": [RED, RED], "bob": [BLUE]})

    assert re.findall(r'href="/person\?id=(\w+)"', page.get("/people")) == ["ada", "bob"]
    assert re.findall(r'href="/person\?id=(\w+)"', page.get("/people", q="BO")) == ["bob"]
    person = page.get("/person", id="ada")
    assert "2 faces" in person
    assert "1.png" in person
    assert page.client.get("/names", params={"q": "b"}).json() == ["bob"]


@pytest.mark.parametrize("thumbnails", [True, False])
def test_a_face_is_shown_by_its_thumbnail_or_from_its_photo(make: Make, thumbnails: bool) -> None:
    page = make(users={"ada": [RED]}, thumbnails=thumbnails)
    face = page.site.collection.faces()[0]

    answer = page.client.get(f"/face/{face.face_id}.jpg")

    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content != page.site.collection.thumbnail(face.face_id)


def test_without_thumbnail_and_photo_a_placeholder_is_shown_and_explained(make: Make) -> None:
    page = make(users={"ada": [RED]}, thumbnails=False, shown=False)
    face = page.site.collection.faces()[0]

    assert page.client.get(f"/face/{face.face_id}.jpg").headers["content-type"] == "image/svg+xml"
    assert "--photos FOLDER" in page.get("/people")
    assert "--photos FOLDER" in page.get("/photo", face=face.face_id)


def test_a_photo_that_moved_is_told(make: Make, tmp_path: Path) -> None:
    page = make(users={"ada": [RED]})
    face = page.site.collection.faces()[0]
    assert page.client.get(f"/photo/{face.face_id}.jpg").headers["content-type"] == "image/jpeg"

    (tmp_path / "album" / "ada" / "0.png").unlink()

    assert "not where it was" in page.get("/photo", face=face.face_id)
    assert page.client.get(f"/photo/{face.face_id}.jpg").status_code == 404


def test_only_faces_of_the_collection_have_pictures(make: Make) -> None:
    page = make(users={"ada": [RED]})
    face_id = page.site.collection.faces()[0].face_id

    for other in ("../../etc/passwd", "0" * 36, "00000000-0000-4000-8000-000000000000", face_id.upper()):
        assert page.client.get(f"/face/{other}.jpg").headers["content-type"] != "image/jpeg"
        assert page.client.get(f"/photo/{other}.jpg").status_code == 404
    page.site.collection.delete_user("ada", faces=True)
    assert page.client.get(f"/face/{face_id}.jpg").headers["content-type"] == "image/svg+xml"


def test_a_user_that_is_gone_and_a_page_that_never_was_are_told(make: Make) -> None:
    page = make(users={"ada": [RED]})

    assert page.client.get("/person", params={"id": "eve"}).status_code == 404
    assert page.client.get("/person", params={"id": "no id"}).status_code == 404
    assert page.client.get("/nowhere").status_code == 404


def test_a_user_is_renamed_and_that_is_undone(make: Make) -> None:
    page = make(users={"ada": [RED]})

    assert said(page.post("/rename", user="ada", name="eve")) == "ada is eve now."
    assert [user.user_id for user in page.site.collection.users()] == ["eve"]
    assert said(page.post("/undo", back="/person?id=eve")) == "Undone: ada renamed to eve."
    assert [user.user_id for user in page.site.collection.users()] == ["ada"]


def test_a_name_that_somebody_else_has_is_refused(make: Make) -> None:
    page = make(users={"ada": [RED], "bob": [BLUE]})

    assert "somebody else has this name" in said(page.post("/rename", user="ada", name="bob", back="/person?id=ada"))
    assert "not in the collection any more" in said(page.post("/rename", user="eve", name="eva"))
    assert [user.user_id for user in page.site.collection.users()] == ["ada", "bob"]


def test_users_are_merged_and_that_is_undone(make: Make) -> None:
    page = make(users={"ada": [RED], "ada2": [RED, RED]})

    assert said(page.post("/merge", into="ada", other="ada2")) == "ada2 is merged into ada."
    assert len(page.site.collection.faces("ada")) == 3
    assert said(page.post("/undo")) == "Undone: ada2 merged into ada."
    assert len(page.site.collection.faces("ada2")) == 2


def test_a_face_is_moved_to_another_user_or_to_nobody(make: Make) -> None:
    page = make(users={"ada": [RED, RED], "bob": [BLUE]})
    first, second = (face.face_id for face in page.site.collection.faces("ada"))

    assert said(page.post("/move", face=first, owner="ada", to="bob")) == "The face belongs to bob now."
    assert said(page.post("/move", face=second, owner="ada", nobody="1")) == "The face belongs to nobody now."
    assert len(page.site.collection.faces("bob")) == 2
    assert page.site.collection.page_of_faces(face_ids=[second])[0].user_id is None


def test_a_face_of_nobody_gets_a_new_name(make: Make) -> None:
    page = make(users={"ada": [RED, RED]})
    face_id = page.site.collection.faces("ada")[0].face_id
    assert "there is no eve" in said(page.post("/move", face=face_id, owner="ada", to="eve"))
    assert "/photo?face=" + face_id in page.post("/move", face=face_id, owner="ada", nobody="1")
    photo = f"/photo?face={face_id}"
    assert "Who is it?" in page.client.get(photo).text

    assert "How about Eve_2?" in said(page.post("/name-face", face=face_id, name="Eve 2", back=photo))
    assert said(page.post("/name-face", face=face_id, name="eve", back=photo)) == "1 face named eve."
    assert "Nothing was changed" in said(page.post("/name-face", face=face_id, name="bob", back=photo))
    assert [face.face_id for face in page.site.collection.faces("eve")] == [face_id]


def test_a_face_that_was_moved_meanwhile_is_left_alone(make: Make) -> None:
    page = make(users={"ada": [RED, RED], "bob": [BLUE]})
    face_id = page.site.collection.faces("ada")[0].face_id
    page.site.collection.move_face(face_id, "bob")

    assert "does not belong to ada any more" in said(page.post("/move", face=face_id, owner="ada", nobody="1"))
    assert page.site.collection.page_of_faces(face_ids=[face_id])[0].user_id == "bob"


# ---------------------------------------------------------------- unknown


def test_groups_are_named_one_after_the_other(make: Make) -> None:
    page = make(users={}, unknown=[RED, RED, RED, BLUE, BLUE])
    first, second = group_ids(page)
    assert "2 groups" in page.get("/unknown")

    text = typed(page, first, "ada", back="/unknown")

    assert said(text) == "3 faces named ada."
    assert re.search(rf'id="n-{second}"[^>]* autofocus', text)
    assert len(page.site.collection.faces("ada")) == 3
    assert said(page.post("/undo", back="/unknown")) == "Undone: 3 faces named ada."
    assert group_ids(page) == [first, second]
    text = page.post("/set-aside", group=first, back="/unknown")
    assert re.search(rf'id="g-{second}"[^>]* autofocus', text)  # not its field: keys go on to work


def test_where_grouping_takes_long_changes_and_their_undo_need_no_other_grouping(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_QUICK", -1.0)
    page = make(users={"bob": [GREEN]}, unknown=[RED, RED, RED, BLUE, BLUE])
    first, second = group_ids(page)
    page.get("/unknown")
    assert "Look again" in page.get("/unknown")
    monkeypatch.setattr(page.site.groups, "_compute", lambda: pytest.fail("grouped again"))

    def shown(text: str) -> list[str]:
        return re.findall(r'id="g-(\w+)"', text)

    assert shown(typed(page, first, "ada", back="/unknown")) == [second]
    assert shown(page.post("/undo", back="/unknown")) == [first, second]
    assert shown(page.post("/set-aside", group=second, back="/unknown")) == [first]
    assert shown(page.get("/unknown", aside="1")) == [second]
    assert shown(page.post("/undo", back="/unknown")) == [first, second]


def test_a_group_can_be_named_without_some_of_its_faces(make: Make) -> None:
    page = make(users={}, unknown=[RED, RED, RED])
    (group,) = page.site.collection.groups(progress=False)
    assert page.get("/group", id=group.group_id).count('name="without"') == 3

    typed(page, group.group_id, "ada", without=[group.face_ids[2]])

    assert {face.face_id for face in page.site.collection.faces("ada")} == set(group.face_ids[:2])
    assert page.site.collection.page_of_faces(face_ids=[group.face_ids[2]])[0].user_id is None


def test_a_known_user_is_suggested_for_a_group(make: Make) -> None:
    page = make(users={"ada": [RED]}, unknown=[RED, RED])
    (group_id,) = group_ids(page)
    assert "Yes, ada" in page.get("/unknown")

    assert said(page.post("/name", group=group_id, name="ada", back="/unknown")) == "2 faces added to ada."


def test_a_suggested_user_that_is_gone_is_not_made_anew(make: Make) -> None:
    page = make(users={"ada": [RED]}, unknown=[RED, RED])
    (group_id,) = group_ids(page)
    page.get("/unknown")
    page.site.collection.rename_user("ada", "eve")  # the other reviewer

    text = page.post("/name", group=group_id, name="ada", back="/unknown")

    assert "not in the collection any more" in said(text)
    assert "Yes, eve" in text
    assert "ada" not in page.site.collection


def test_a_kept_suggestion_follows_a_renamed_user(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_QUICK", -1.0)
    page = make(users={"ada": [RED]}, unknown=[RED, RED])
    page.get("/unknown")

    page.post("/rename", user="ada", name="eve")

    assert "Yes, ada" not in page.get("/unknown")


@pytest.mark.parametrize(
    ("name", "words", "offered"),
    [
        ("Ada Lovelace", "How about Ada_Lovelace?", "Ada_Lovelace"),
        ("Zoë", "How about Zoe?", "Zoe"),
        ("李", "Write it that way.", ""),
        ("", "Type a name first.", ""),
        ("x" * 200, "up to 128", ""),
    ],
)
def test_for_a_name_that_aws_forbids_the_nearest_one_is_offered(
    make: Make, name: str, words: str, offered: str
) -> None:
    page = make(users={}, unknown=[RED, RED])
    (group_id,) = group_ids(page)

    text = typed(page, group_id, name, back="/unknown")

    assert words in said(text)
    assert re.search(rf'id="n-{group_id}"[^>]* value="{offered}"[^>]* aria-invalid="true"', text)
    assert len(page.site.collection) == 0


def test_strangers_are_set_aside_and_come_back(make: Make) -> None:
    page = make(users={}, unknown=[RED, RED])
    (group_id,) = group_ids(page)

    assert "does not come up again" in said(page.post("/set-aside", group=group_id, back="/unknown"))
    assert "Nobody is left without a name." in page.get("/unknown")
    assert group_id in page.get("/unknown", aside="1")
    assert said(page.post("/undo")) == "Undone: 2 faces set aside."
    page.post("/set-aside", group=group_id)
    page.post("/set-aside", group=group_id, aside="0", back="/unknown?aside=1")
    assert group_ids(page) == [group_id]


def test_a_group_that_changed_meanwhile_is_refused_and_shown_as_it_is(make: Make) -> None:
    page = make(users={}, unknown=[RED, RED, RED])
    (group,) = page.site.collection.groups(progress=False)
    page.get("/unknown")
    page.site.collection.name_group(group.face_ids[:1], "bob")  # the other reviewer

    text = typed(page, group.group_id, "ada", back="/unknown")

    assert said(text).startswith("Nothing was changed")
    assert "ada" not in page.site.collection
    assert "2 faces" in text


def test_a_group_that_is_no_more_is_told(make: Make) -> None:
    page = make(users={}, unknown=[RED, RED])

    assert page.client.get("/group", params={"id": "0" * 16}).status_code == 404
    assert said(typed(page, "0" * 16, "ada")).startswith("Nothing was changed")


def test_many_groups_have_pages(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    page = make(users={})
    face_ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(100_000)]
    groups = tuple(
        fs.FaceGroup(face_ids=tuple(face_ids[place : place + 2]), similarity=90) for place in range(0, len(face_ids), 2)
    )
    monkeypatch.setattr(page.site.groups, "_compute", lambda: groups)

    first, last = page.get("/unknown"), page.get("/unknown", page="4167")

    assert "50,000 groups" in first
    assert first.count('<section class="card group"') == 12
    assert "Page 4,167 of 4,167" in last.replace("Page 4167", "Page 4,167")
    assert last.count('<section class="card group"') == 50_000 - 12 * 4166
    assert "Page 4167" in page.get("/unknown", page="999999")
    for wrong in ("0", "-1", "x", "9" * 30, "²"):
        assert "Page 1 of" in page.get("/unknown", page=wrong)


# ---------------------------------------------------------------- check


def test_two_names_of_one_person_are_merged_under_the_name_to_keep(make: Make) -> None:
    page = make(users={"ada": [RED, RED], "countess": [RED], "bob": [BLUE]})
    text = page.get("/check")
    assert "Are <i>ada</i> and <i>countess</i> the same person?" in text

    text = page.post("/check/same", one="ada", two="countess", keep="countess", back="/check")

    assert said(text) == "ada is merged into countess."
    assert len(page.site.collection.faces("countess")) == 3
    assert "Nothing looks wrong." in text


def test_a_name_to_keep_is_one_of_the_two(make: Make) -> None:
    page = make(users={"ada": [RED], "countess": [RED], "bob": [BLUE]})

    page.post("/check/same", one="ada", two="countess", keep="bob", back="/check")

    assert len(page.site.collection) == 3


def test_no_hides_the_question_in_this_run(make: Make) -> None:
    page = make(users={"ada": [RED], "countess": [RED]})

    text = page.post("/check/dismiss", key="same ada countess", back="/check")

    assert "Nothing looks wrong." in text
    assert "1 answered with no" in text
    assert len(page.site.collection) == 2


def test_a_face_of_somebody_else_is_moved(make: Make) -> None:
    page = make(users={"ada": [RED, RED, RED, BLUE], "bob": [BLUE, BLUE, BLUE]})
    (finding,) = page.site.collection.audit().misplaced
    text = page.get("/check")
    assert "Is this <i>ada</i>?" in text
    assert "No, it is bob" in text

    text = page.post("/move", face=finding.face_id, owner="ada", to="bob", back="/check")

    assert said(text) == "The face belongs to bob now."
    assert "Nothing looks wrong." in text


# ---------------------------------------------------------------- everywhere


def test_an_empty_collection_has_all_pages(make: Make) -> None:
    page = make(users={})

    assert "Nobody has a name yet." in page.get("/people")
    assert "Nobody is left without a name." in page.get("/unknown")
    assert "Nothing looks wrong." in page.get("/check")
    assert said(page.post("/undo")) == "There is nothing to undo."


def test_read_only_changes_and_offers_nothing(make: Make) -> None:
    page = make(users={"ada": [RED], "countess": [RED]}, unknown=[BLUE, BLUE], read_only=True)
    (group_id,) = group_ids(page)

    for path in ("/", "/people", "/person?id=ada", "/unknown", f"/group?id={group_id}", "/check"):
        forms = re.findall(r'<form method="post" action="([^"]+)"', page.client.get(path).text)
        assert set(forms) <= {"/search"}
    for path in ("/name", "/set-aside", "/rename", "/merge", "/move", "/check/same", "/check/dismiss", "/undo"):
        assert "read-only" in page.post(path, 403, group=group_id, name="eve", user="ada")
    assert "ada" in search(page, page.site.photos.folders[0] / "ada" / "0.png")


def test_two_reviewers_see_each_others_changes(make: Make, tmp_path: Path, fake: FaceAnalyzer) -> None:
    page = make(users={}, unknown=[RED, RED])
    (group_id,) = group_ids(page)
    with fs.Collection.open(tmp_path / "people.db", "album", analyzer=fake) as other:
        other.name_group(other.groups(progress=False)[0], "bob")

    assert "bob" in page.get("/people")
    assert said(typed(page, group_id, "ada")).startswith("Nothing was changed")
    assert len(page.site.collection.faces("bob")) == 2


def test_an_undo_after_a_change_by_others_is_refused(make: Make) -> None:
    page = make(users={}, unknown=[RED, RED])
    typed(page, group_ids(page)[0], "ada")
    page.site.collection.disassociate_faces("ada", [page.site.collection.faces("ada")[0].face_id])

    assert said(page.post("/undo")).startswith("Nothing was undone")
    assert "ada" in page.site.collection


@pytest.mark.parametrize("back", ["//evil.example/", "http://evil.example", "/static/page.js", "/undo", "", "\\\\evil"])
def test_a_form_returns_to_pages_of_this_site_only(make: Make, back: str) -> None:
    page = make(users={})
    answer = page.client.post(
        "/undo", data={"token": page.site.keys.form, "back": back}, headers={"Origin": ORIGIN}, follow_redirects=False
    )

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/?said=")


def test_names_and_sources_of_a_foreign_file_are_text(make: Make, tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script>\x1b[2J'
    page = make(users={"ada": [RED]})
    (record,) = page.site.collection.index_faces(
        photo_of(tmp_path, "x.png", GREEN, size=90), source=hostile
    ).face_records
    page.site.collection.associate_faces("ada", [record.face.face_id], user_match_threshold=0)

    for path in ("/person?id=ada", f"/photo?face={record.face.face_id}"):
        text = page.client.get(path).text
        assert "<script>alert" not in text
        assert "\x1b" not in text


def test_a_bug_is_told_without_its_details(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    page = make(users={"ada": [RED]})
    monkeypatch.setattr(page.site, "has_pictures", lambda: 1 / 0)
    client = page.client
    client._transport.raise_server_exceptions = False  # type: ignore[attr-defined]  # starlette's own transport

    answer = client.get("/people")

    assert answer.status_code == 500
    assert "A bug in facesearch" in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_an_error_of_the_library_is_shown(make: Make) -> None:
    page = make(users={"ada": [RED]})
    page.site.collection.close()

    answer = page.client.get("/people")

    assert answer.status_code == 503
    assert "closed" in answer.text


def test_the_page_waits_for_what_takes_long(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    page = make(users={"ada": [RED]})
    monkeypatch.setattr(background.Snapshot, "get", lambda _: None)

    for path in ("/unknown", "/check"):
        text = page.client.get(f"{path}?again=1&page=2").text  # loaded again without "again", which would begin anew
        assert f'http-equiv="refresh" content="2;url={path}?page=2"' in text


def test_pictures_of_crops_are_of_the_face(make: Make) -> None:
    page = make(users={"ada": [YELLOW]}, thumbnails=False)
    face_id = page.site.collection.faces()[0].face_id
    answer = page.client.get(f"/face/{face_id}.jpg")
    path = page.site.photos.folders[0] / "crop.jpg"
    path.write_bytes(answer.content)

    with Image.open(path) as image:
        assert image.size == (224, 224)
        middle: Sequence[int] = image.convert("RGB").resize((1, 1), box=(80, 80, 144, 144)).getpixel((0, 0))  # type: ignore[assignment]  # of an RGB image
    assert middle[0] > 180 > middle[2]
