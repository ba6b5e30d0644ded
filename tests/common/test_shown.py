"""Every answer shows itself: a short table in print and IPython, HTML in notebooks, one line as its repr."""

import inspect
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from IPython.lib.pretty import RepresentationPrinter
from PIL import Image

import facesearch as fs
from facesearch.common.printable import printable, printable_lines
from facesearch.common.tables import ROWS_SHOWN, Listing, Shown, Table
from facesearch.testing.fakes import fake_analyzer, paint
from public_values import VALUES, samples

RED, BLUE = (200, 30, 30), (30, 30, 200)
PORTRAIT = paint((200, 200), {(40, 40, 160, 160): RED})
EMPTY = np.zeros((100, 100, 3), np.uint8)
GROUP = paint((200, 400), {(10, 10, 90, 90): RED, (150, 20, 220, 90): BLUE})
ANALYZER = fake_analyzer()
NO_FACE_ID = "00000000-0000-0000-0000-000000000000"
HOSTILE = "<script>alert(1)</script>\"'&amp;\x1b[31m\n\N{RIGHT-TO-LEFT OVERRIDE}x"
LONGEST_ANSWER = 200
LONGEST_LINE = 600  # of a repr, in letters; that of an answer is one line


def staff() -> fs.Collection:
    staff = fs.Collection("staff", analyzer=ANALYZER, thumbnails=True)
    staff.enroll("ada", [PORTRAIT])
    staff.index_faces(GROUP, external_image_id="group", attributes=["ALL"])
    return staff


def folder(path: Path) -> Path:
    (path / "eve").mkdir()
    Image.fromarray(PORTRAIT).save(path / "eve" / "1.png")
    return path


STAFF = staff()
FACE_ID = STAFF.faces("ada")[0].face_id
# What the answer to each question must show, in print and in HTML.
ANSWERS: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "search_users_by_image": (lambda _: fs.search_users_by_image(STAFF, GROUP), ["ada", "100.00", "FACE_NOT_LARGEST"]),
    "search_all_faces": (lambda _: fs.search_all_faces(STAFF, GROUP), ["ada", "100.00", "2 searched faces"]),
    "search_faces_by_image": (lambda _: fs.search_faces_by_image(STAFF, GROUP), ["100.00", FACE_ID, "group"]),
    "search_faces": (lambda _: fs.search_faces(STAFF, FACE_ID), ["100.00"]),
    "search_users": (lambda _: fs.search_users(STAFF, face_id=FACE_ID), ["ada", "100.00"]),
    "search_embedding": (lambda _: STAFF.search_embedding(STAFF.face_embedding(FACE_ID)), ["ada", "100.00"]),
    "enroll": (lambda _: staff().enroll("ada", [PORTRAIT, EMPTY]), ["ada", "accepted", "NO_FACE"]),
    "index_faces": (lambda _: STAFF.index_faces(GROUP, max_faces=1), ["indexed", "EXCEEDS_MAX_FACES"]),
    "detect_faces": (lambda _: fs.detect_faces(GROUP, analyzer=ANALYZER), ["2 faces", "yaw", "sharpness"]),
    "locate": (lambda _: ANALYZER.locate(GROUP, attributes=["ALL"]), ["2 faces", "years"]),
    "analyze": (lambda _: ANALYZER.analyze(GROUP), ["2 faces", "yaw"]),
    "one face": (lambda _: ANALYZER.analyze(GROUP, attributes=["ALL"])[0].detail, ["smile", "emotion HAPPY", "yaw"]),
    "compare_faces": (lambda _: fs.compare_faces(PORTRAIT, GROUP, analyzer=ANALYZER), ["1 of 2 faces", "100.00"]),
    "associate_faces": (lambda _: STAFF.associate_faces("ada", [NO_FACE_ID]), [NO_FACE_ID, "FACE_NOT_FOUND"]),
    "disassociate_faces": (lambda _: STAFF.disassociate_faces("ada", [NO_FACE_ID]), [NO_FACE_ID, "FACE_NOT_FOUND"]),
    "delete_faces": (lambda _: STAFF.delete_faces([NO_FACE_ID]), [NO_FACE_ID, "FACE_NOT_FOUND"]),
    "audit": (lambda _: staff().audit(), ["1 users, 1 faces"]),
    "groups": (lambda _: _unknown().groups(), ["1 group", "100.00"]),
    "name_group": (lambda _: _named().undo(), ["1 face named ada", "before", "after"]),
    "set_aside": (lambda _: _set_aside(), ["3 faces set aside", "before", "after"]),
    "undo": (lambda _: _named().undo(), ["1 face named ada", "before", "after"]),
    "merge_users": (lambda _: _two().merge_users("ada", "eda"), ["eda merged into ada, 1 face changed"]),
    "rename_user": (lambda _: _two().rename_user("eda", "grace"), ["eda renamed to grace, 1 face"]),
    "move_face": (lambda _: _moved(), ["1 face moved from eda to ada"]),
    "photos_of": (lambda _: staff().photos_of("ada"), ["1 photo", "0.2"]),
    "explain": (lambda _: fs.search_users_by_image(STAFF, GROUP).explain(), ["1 of 2 faces searched"]),
    "users": (lambda _: STAFF.users(), ["1 user", "ada", "ACTIVE"]),
    "faces": (lambda _: STAFF.faces(), ["faces", FACE_ID]),
    "models": (lambda _: fs.models(), ["model files", "public domain"]),
    "calibration": (lambda _: fs.calibration(), ["0.9252", "false matches"]),
    "index_folder": (
        lambda path: fs.Collection("new", analyzer=ANALYZER).index_folder(folder(path), progress=False),
        ["1 photo, 1 user"],
    ),
    "collections": (lambda path: _collections(path / "people.db"), ["1 collection", "staff"]),
}


def _unknown() -> fs.Collection:
    unknown = fs.Collection("unknown")
    unknown.add_embeddings(["unknown"] * 3, np.eye(2, 128)[[0, 0, 1]])
    unknown.delete_user("unknown", faces=False)
    return unknown


def _named() -> fs.Collection:
    unknown = _unknown()
    unknown.name_group([unknown.faces()[0].face_id], "ada")
    return unknown


def _two() -> fs.Collection:
    two = fs.Collection("two")
    two.add_embeddings(["ada", "eda"], np.eye(2, 128))
    return two


def _moved() -> fs.Change:
    two = _two()
    return two.move_face(two.faces("eda")[0].face_id, "ada")


def _set_aside() -> fs.Change:
    unknown = _unknown()
    return unknown.set_aside([face.face_id for face in unknown.faces()])


def _collections(path: Path) -> Any:
    fs.Collection.open(path, "staff").close()
    return fs.collections(path)


def pretty(value: Any) -> str:
    """Write a value as IPython does where it ends a cell."""
    text = io.StringIO()
    printer: Any = RepresentationPrinter(text)  # type: ignore[no-untyped-call]  # IPython has no annotations
    printer.pretty(value)
    printer.flush()
    return text.getvalue()


class Reader(HTMLParser):
    """Reads texts and tags, as a browser does."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_shows_itself(name: str, tmp_path: Path) -> None:
    ask, expected = ANSWERS[name]
    answer = ask(tmp_path)
    printed, html = str(answer), Reader(answer._repr_html_())
    for text in expected:
        assert text in printed
        assert text.replace("100.00", "100.0") in " ".join(html.texts)
    assert "script" not in html.tags
    assert pretty(answer) == printed
    assert pretty([answer]) == f"[{answer!r}]"
    assert len(printed.splitlines()) < 50
    assert printed != repr(answer) or "\n" not in printed


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, list[Any]]:
    return samples(tmp_path_factory.mktemp("people"))


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind.__name__ in dir(fs)], ids=lambda kind: kind.__name__)
def test_every_public_value_has_a_short_repr_with_its_name(values: dict[Any, list[Any]], kind: Any) -> None:
    for value in values[kind]:
        assert kind.__name__ in repr(value)
        assert not isinstance(value, Shown) or len(repr(value)) <= LONGEST_ANSWER
        assert "\n" not in repr(value)
        assert len(repr(value)) <= LONGEST_LINE, repr(value)


def _functions() -> list[tuple[str, Any]]:
    functions = [(name, getattr(fs, name)) for name in dir(fs) if inspect.isfunction(getattr(fs, name))]
    methods = inspect.getmembers(fs.Collection, inspect.isfunction)
    return functions + [(name, method) for name, method in methods if not name.startswith("_")]


# Numbers, texts, pictures and vectors, and pages, which are no answers to be read.
PLAIN = {
    *("similarity", "distance_at", "to_aws", "from_aws", "to_records", "read_image", "annotate", "delete_collection"),
    *(
        "add_embedding",
        "add_embeddings",
        "create_user",
        "delete_user",
        "forget_photos",
        "forget_changes",
        "once",
        "erase_deleted",
        "reindex",
        "drop_index",
    ),
    *(
        "close",
        "save",
        "restore",
        "copy_to",
        "image_id_of",
        "thumbnail",
        "pictures",
        "face_embedding",
        "user_embedding",
    ),
    *("search_embeddings", "rank", "rank_many", "rank_like_user", "rank_faces", "page_of_users", "page_of_faces"),
}


def test_no_answer_is_forgotten() -> None:
    assert {name for name, _ in _functions()} <= ANSWERS.keys() | PLAIN


@attrs.frozen(repr=False)
class Told(Shown):
    """What shows a text everywhere."""

    text: str

    def _headline(self) -> str:
        return self.text

    def _shown_tables(self) -> list[Table]:
        return [Table((self.text, "number"), [(self.text, 1.0), ("calm", None)], title=self.text)]


@given(st.text(min_size=1))
@example(HOSTILE)
def test_nothing_that_comes_from_outside_becomes_code_or_moves_the_cursor(text: str) -> None:
    told = Told(text)
    assert Reader(told._repr_html_()).tags == Reader(Told("calm")._repr_html_()).tags
    assert printable_lines(str(told)) == str(told)
    assert printable(repr(told)) == repr(told)


@given(st.lists(st.integers(0, 5)), st.integers(0, 5))
def test_a_listing_is_a_tuple(numbers: list[int], place: int) -> None:
    users = tuple(fs.User(user_id=str(each), user_status=fs.UserStatus.ACTIVE) for each in numbers)
    listing = Listing(users, "user")
    assert isinstance(listing, tuple)
    assert listing == users
    assert users == listing
    assert hash(listing) == hash(users)
    assert listing[:place] == users[:place]
    assert [*listing] == [*users]
    back = pickle.loads(pickle.dumps(listing))  # noqa: S301  # what was just written
    assert (type(back), back, str(back)) == (Listing, users, str(listing))


def test_a_long_listing_shows_its_beginning_and_how_many_more() -> None:
    many = fs.Collection("many")
    many.add_embeddings(
        [f"user-{number:04}" for number in range(1000)], np.random.default_rng(0).normal(size=(1000, 128))
    )
    users: Any = many.users()
    for printed in (str(users), users._repr_html_()):
        assert "1,000 users" in printed
        assert f"and {1000 - ROWS_SHOWN} more" in printed
        assert "user-0019" in printed
        assert "user-0020" not in printed


def test_nothing_is_prepared_before_an_answer_is_shown() -> None:
    code = """
import sys
import numpy as np, facesearch as fs
staff = fs.Collection("staff")
staff.add_embedding("ada", np.ones(128))
found = staff.search_embedding(np.ones(128))
staff.users(), staff.faces(), staff.audit(), fs.models(), fs.calibration()
print("tabulate" in sys.modules)
str(found)
print("tabulate" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert done.stdout.split() == ["False", "True"]
