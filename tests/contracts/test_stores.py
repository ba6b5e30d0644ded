"""What every store must do: one suite for all of `stores.CASES`, behind a collection.

The rules of AWS, which are the same for all stores, are in tests/collection/.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import facesearch as fs
from durable import MEMORY, contents
from facesearch.collection.base import TOKEN_SECONDS
from facesearch.common.arrays import FloatArray
from facesearch.errors import TokenReusedError
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import embeddings
from stores import CASES, DURABLE, Case

ONES = np.ones(128)
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@contextmanager
def collection_of(case: Case) -> Iterator[fs.Collection]:
    """Open an empty collection."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, case.open(Path(folder), "staff") as collection:
        yield collection


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def staff(request: pytest.FixtureRequest) -> Iterator[fs.Collection]:
    """An empty collection in each store."""
    with collection_of(request.param) as staff:
        yield staff


@pytest.fixture(params=list(DURABLE.values()), ids=list(DURABLE))
def durable(request: pytest.FixtureRequest) -> Iterator[fs.Collection]:
    """An empty collection in each durable store."""
    with collection_of(request.param) as staff:
        yield staff


def vectors(count: int) -> Any:
    return np.random.default_rng(count).normal(size=(count, 128)) * 0.08


# -------------------------------------------------------------------- pages


@settings(max_examples=40)
@given(
    st.sampled_from(list(CASES)),
    st.lists(st.integers(0, 30), unique=True, max_size=12),
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 40)), max_size=8),
)
def test_pages_miss_no_user_and_give_none_twice_whoever_comes_and_goes(
    name: str, numbers: list[int], limit: int, changes: list[tuple[str, int]]
) -> None:
    with collection_of(CASES[name]) as staff:
        for number in numbers:
            staff.create_user(f"user{number}")
        seen, end, stayed, waiting = [], None, {f"user{number}" for number in numbers}, list(changes)
        for _ in range(30):
            page, end = staff.page_of_users(after=end, limit=limit)
            seen += [user.user_id for user in page]
            assert len(page) == limit or end is None
            if end is None:
                break
            if waiting:
                what, number = waiting.pop()
                user_id = f"user{number}"
                if what == "delete" and user_id in staff:
                    staff.delete_user(user_id)
                    stayed.discard(user_id)
                elif what == "add" and user_id not in staff and user_id not in seen:
                    staff.create_user(user_id)
        assert end is None
        assert len(seen) == len(set(seen))
        assert stayed <= set(seen)
        if not changes:
            assert seen == [f"user{number}" for number in numbers]  # as they were created


@settings(max_examples=40)
@given(
    st.sampled_from(list(CASES)),
    st.integers(0, 12),
    st.integers(1, 5),
    st.none() | st.sampled_from(["ada", "bob"]),
    st.none() | st.lists(st.integers(0, 12), min_size=1),
)
def test_pages_of_faces_are_all_faces(
    name: str, count: int, limit: int, user_id: str | None, chosen: list[int] | None
) -> None:
    with collection_of(CASES[name]) as staff:
        staff.create_user("ada")
        staff.create_user("bob")
        face_ids = [UNKNOWN]
        if count:
            face_ids += staff.add_embeddings([("ada", "bob", "eve")[n % 3] for n in range(count)], vectors(count))
            staff.delete_user("eve", faces=False) if count > 2 else None
        some = (
            None if chosen is None else [face_ids[number] for number in chosen if number < len(face_ids)] or [UNKNOWN]
        )
        expected = [
            face for face in staff.faces() if user_id in {None, face.user_id} and (some is None or face.face_id in some)
        ]
        pages: list[fs.Face] = []
        after = None
        while page := staff.page_of_faces(after=after, limit=limit, user_id=user_id, face_ids=some):
            pages += page
            assert len(page) <= limit
            assert after is None or page[0].face_id > after
            after = page[-1].face_id
        assert pages == expected
        assert staff.face_count == len(staff.faces()) == count


def test_statuses_and_counts_come_with_pages(staff: fs.Collection) -> None:
    staff.create_user("bob")
    staff.add_embedding("ada", ONES)
    users, end = staff.page_of_users(limit=2)
    assert [(user.user_id, user.user_status.value) for user in users] == [("bob", "CREATED"), ("ada", "ACTIVE")]
    assert end is None
    assert (len(staff), staff.face_count) == (2, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.page_of_users(after="ada"), "after: expected"),
        (lambda c: c.page_of_users(after=""), "after: expected"),
        (lambda c: c.page_of_users(after="-1"), "after: expected"),
        (lambda c: c.page_of_users(after="9" * 19), "after: expected"),
        (lambda c: c.page_of_users(after=7), "after: expected"),
        (lambda c: c.page_of_users(limit=0), "limit: expected"),
        (lambda c: c.page_of_users(limit=10**19), "limit: expected"),
        (lambda c: c.page_of_faces(after="ada"), "after: expected"),
        (lambda c: c.page_of_faces(limit=0), "limit: expected"),
        (lambda c: c.page_of_faces(limit=10**19), "limit: expected"),
        (lambda c: c.page_of_faces(face_ids=[]), "face_ids: expected"),
        (lambda c: c.page_of_faces(face_ids=["x"]), "face_ids: expected"),
        (lambda c: c.page_of_faces(face_ids=UNKNOWN), "face_ids: expected"),
        (lambda c: c.page_of_faces(user_id="a b"), "user_id: expected"),
    ],
)
def test_what_is_no_page_is_refused(staff: fs.Collection, call: Callable[[fs.Collection], Any], message: str) -> None:
    with pytest.raises(fs.InvalidParameterError, match=message):
        call(staff)
    with pytest.raises(fs.UserNotFoundError):
        staff.page_of_faces(user_id="mallory")
    assert staff.page_of_users(after="9" * 18) == ((), None)
    assert staff.page_of_faces(limit=10**18 - 1) == ()


# -------------------------------------------------------------------- requests that happen once


def creating(staff: fs.Collection, user_id: str) -> Callable[[], str]:
    def create() -> str:
        staff.create_user(user_id)
        return f"{len(staff)} there"

    return create


def test_a_request_that_is_repeated_happens_once(staff: fs.Collection) -> None:
    assert staff.once("token", "create ada", creating(staff, "ada")) == "1 there"
    staff.create_user("bob")
    assert staff.once("token", "create ada", creating(staff, "ada")) == "1 there"
    with pytest.raises(TokenReusedError, match="token: 'token' was given before with another request"):
        staff.once("token", "create eve", creating(staff, "eve"))
    assert staff.once("other", "create eve", creating(staff, "eve")) == "3 there"
    staff.delete_user("ada")
    assert staff.once("token", "create ada", creating(staff, "ada")) == "1 there"
    assert "ada" not in staff
    assert issubclass(TokenReusedError, ValueError)


def test_a_request_that_fails_is_not_remembered(staff: fs.Collection) -> None:
    staff.create_user("ada")
    before = contents(staff)
    for _ in range(2):
        with pytest.raises(fs.UserAlreadyExistsError):
            staff.once("token", "create ada", creating(staff, "ada"))
    assert contents(staff) == before
    assert staff.once("token", "create bob", creating(staff, "bob")) == "2 there"


def test_a_request_that_fails_midway_leaves_nothing_in_a_durable_store(durable: fs.Collection) -> None:
    durable.add_embedding("bob", ONES)
    before = contents(durable)

    def fail() -> str:
        durable.add_embedding("ada", ONES)
        durable.delete_user("bob", faces=True)
        assert (len(durable), durable.face_count, "bob" in durable) == (1, 1, False)
        raise ZeroDivisionError

    def wrong() -> Any:
        durable.create_user("ada")

    with pytest.raises(ZeroDivisionError):
        durable.once("token", "request", fail)
    assert contents(durable) == before
    with pytest.raises(fs.InvalidParameterError, match="answer: expected a function that gives a text, got None"):
        durable.once("token", "request", wrong)
    assert contents(durable) == before
    assert durable.once("token", "create ada", creating(durable, "ada")) == "2 there"


def test_others_see_nothing_of_a_request_under_way(durable: fs.Collection) -> None:
    with ThreadPoolExecutor(1) as pool:

        def do() -> str:
            durable.add_embedding("ada", ONES)
            assert (len(durable), durable.face_count) == (1, 1)
            assert pool.submit(lambda: (len(durable), durable.face_count, "ada" in durable)).result() == (0, 0, False)
            return "done"

        durable.once("token", "request", do)
        assert pool.submit(lambda: (len(durable), durable.face_count, "ada" in durable)).result() == (1, 1, True)


def test_tokens_are_forgotten_after_a_day(staff: fs.Collection) -> None:
    now = 1e9
    staff._clock = lambda: now
    assert staff.once("token", "one", lambda: "first") == "first"
    now += 100
    assert staff.once("later", "two", lambda: "second") == "second"
    now += TOKEN_SECONDS - 100
    assert staff.once("token", "one", lambda: "again") == "first"
    now += 50
    assert staff.once("token", "another", lambda: "again") == "again"
    assert staff.once("later", "two", lambda: "again") == "second"
    assert TOKEN_SECONDS == 24 * 60 * 60


def test_of_many_who_ask_at_once_one_does_it(staff: fs.Collection) -> None:
    done: list[int] = []

    def ask(number: int) -> str:
        def do() -> str:
            done.append(number)
            return f"by {number}"

        return staff.once("token", "request", do)

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(ask, range(12)))
    assert answers == {f"by {number}" for number in done}
    assert len(done) == 1


def test_any_text_is_a_token_or_a_request(staff: fs.Collection) -> None:
    for text in ("\0", "\ud800", "ä" * 255, " "):
        assert [staff.once(text, text, lambda: "x") for _ in range(2)] == ["x", "x"]
    for wrong in ("", "x" * 256, None, b"x"):
        with pytest.raises(fs.InvalidParameterError, match="token: expected"):
            staff.once(wrong, "request", lambda: "x")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(fs.InvalidParameterError, match="request: expected a text"):
        staff.once("token", b"x", lambda: "x")  # type: ignore[arg-type]  # the point of the test


# -------------------------------------------------------------------- changes by a reviewer, against a plain model

NAMES = st.sampled_from(["a", "b", "c"])


class ReviewMachine(RuleBasedStateMachine):
    """Users and marks of a few faces as dicts; undo restores the state before the last change, and before that the one before."""

    case: Case

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.staff = self.case.open(self.folder, "staff")
        self.face_ids = self.staff.add_embeddings(["x"] * 6, vectors(6))
        self.staff.delete_user("x")
        self.states: list[Any] = [self.state()]

    def teardown(self) -> None:
        self.staff.close()
        shutil.rmtree(self.folder)

    def state(self) -> Any:
        """What a change may change: the users, with the vector of each, and the users and marks of the faces."""
        user_ids = {user.user_id: self.staff.user_embedding(user.user_id) for user in self.staff.users()}
        with self.staff._store.reading():
            aside = self.staff._store.aside()
        return (
            {user_id: None if vector is None else vector.tobytes() for user_id, vector in user_ids.items()},
            {face.face_id: face.user_id for face in self.staff.faces()},
            aside,
        )

    def change(self, call: Callable[[], fs.Change]) -> None:
        """Change something; a call that is refused changes nothing."""
        try:
            done = call()
        except (fs.GroupChangedError, fs.UserNotFoundError, fs.UserAlreadyExistsError, fs.InvalidParameterError):
            assert self.state() == self.states[-1]
        else:
            if done.faces or done.created_users or done.deleted_users:
                self.states.append(self.state())
            assert self.state() == self.states[-1]

    def chosen(self, numbers: set[int]) -> list[str]:
        return [self.face_ids[number] for number in numbers]

    @rule(numbers=st.sets(st.integers(0, 5), min_size=1, max_size=3), name=NAMES)
    def name_group(self, numbers: set[int], name: str) -> None:
        before = self.state()[1]
        self.change(lambda: self.staff.name_group(self.chosen(numbers), name))
        if not any(before[face_id] for face_id in self.chosen(numbers)):
            assert {self.state()[1][face_id] for face_id in self.chosen(numbers)} == {name}

    @rule(numbers=st.sets(st.integers(0, 5), min_size=1, max_size=3), aside=st.booleans())
    def set_aside(self, numbers: set[int], aside: bool) -> None:
        self.change(lambda: self.staff.set_aside(self.chosen(numbers), aside=aside))

    @rule(into=NAMES, other=NAMES)
    def merge_users(self, into: str, other: str) -> None:
        self.change(lambda: self.staff.merge_users(into, other))

    @rule(name=NAMES, new=NAMES)
    def rename_user(self, name: str, new: str) -> None:
        self.change(lambda: self.staff.rename_user(name, new))

    @rule(number=st.integers(0, 5), to=st.none() | NAMES)
    def move_face(self, number: int, to: str | None) -> None:
        self.change(lambda: self.staff.move_face(self.face_ids[number], to))

    @rule(times=st.integers(1, 4))
    def undo(self, times: int) -> None:
        for _ in range(times):
            if len(self.states) == 1:
                with pytest.raises(fs.NothingToUndoError):
                    self.staff.undo()
            else:
                self.staff.undo()
                self.states.pop()
            assert self.state() == self.states[-1]

    @rule(name=NAMES)
    def delete_user(self, name: str) -> None:
        """Which forgets all changes that mention the user: what is left can be undone, or is refused."""
        if name in self.staff:
            self.staff.delete_user(name)
            with self.staff._store.reading():
                assert not any(f'"{name}"' in text for _, text in self.staff._store.changes())
            self.staff.forget_changes()
            self.states = [self.state()]


@pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
def test_undo_goes_back_step_by_step_whatever_was_changed(case: Case) -> None:
    machine = type("Machine", (ReviewMachine,), {"case": case})
    run_state_machine_as_test(machine, settings=settings(max_examples=case.examples, stateful_step_count=25))


# -------------------------------------------------------------------- against the store in memory

USERS = st.sampled_from(["a", "b", "B", "c:1", "c"])
COLOURS = st.sampled_from([(200, 30, 30), (30, 30, 200), (30, 200, 30)])
SIZES = st.sampled_from([50, 60])


def answer(call: Callable[[], Any]) -> Any:
    """The result of a call, or its error."""
    try:
        return call()
    except fs.FacesearchError as error:
        return type(error), str(error)


def pages(collection: fs.Collection, limit: int) -> list[tuple[fs.User, ...]]:
    """All users, page by page."""
    page, end = collection.page_of_users(limit=limit)
    result = [page]
    while end is not None:
        page, end = collection.page_of_users(after=end, limit=limit)
        result.append(page)
    return result


class StoreMachine(RuleBasedStateMachine):
    """Two handles on one store, closed and opened at random, against a collection in memory."""

    case: Case
    faces = Bundle("faces")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.analyzer = fake_analyzer()
        self.now = 1e9
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(fs.Collection, "_clock", staticmethod(lambda: self.now))  # stores tidy up when opened
        self.model = fs.Collection("machine", analyzer=self.analyzer, thumbnails=True)
        self.handles = [self.opened(), self.opened()]
        self.turn = 0

    def opened(self) -> fs.Collection:
        return self.case.open(self.folder, "machine", analyzer=self.analyzer, thumbnails=True)

    def teardown(self) -> None:
        for handle in self.handles:
            handle.close()
        self.patched.undo()
        shutil.rmtree(self.folder)

    def both(self, call: Callable[[fs.Collection], Any]) -> Any:
        """Check that a handle and the model give the same result."""
        expected = answer(lambda: call(self.model))
        given = answer(lambda: call(self.handles[self.turn]))
        assert given == expected
        return expected

    @rule()
    def take_turns(self) -> None:
        self.turn = 1 - self.turn

    @rule()
    def reopen(self) -> None:
        self.handles[self.turn].close()
        self.handles[self.turn] = self.opened()

    @rule(target=faces, user=USERS, vector=embeddings(spread=0.1))
    def add(self, user: str, vector: FloatArray) -> Any:
        return self.both(lambda collection: collection.add_embedding(user, vector))

    @rule(users=st.lists(USERS, min_size=1, max_size=6), vector=embeddings(spread=0.1))
    def add_many(self, users: list[str], vector: FloatArray) -> None:
        self.both(lambda collection: collection.add_embeddings(users, np.stack([vector] * len(users))))

    @rule(target=faces, colour=COLOURS, size=SIZES, name=st.none() | st.sampled_from(["x", "y"]))
    def index(self, colour: tuple[int, int, int], size: int, name: str | None) -> Any:
        photo = paint((100, 120), {(20, 20, 20 + size, 20 + size): colour})
        return self.both(lambda c: c.index_faces(photo, external_image_id=name)).face_records[0].face.face_id

    @rule(user=USERS, colours=st.lists(COLOURS, min_size=1, max_size=3), threshold=st.sampled_from([0, 75]))
    def enroll(self, user: str, colours: list[tuple[int, int, int]], threshold: float) -> None:
        photos = [paint((100, 120), {(20, 20, 75, 75): colour}) for colour in colours]
        self.both(lambda collection: collection.enroll(user, photos, user_match_threshold=threshold))

    @rule(user=USERS)
    def create(self, user: str) -> None:
        self.both(lambda collection: collection.create_user(user))

    @rule(user=USERS, with_faces=st.booleans())
    def delete_user(self, user: str, with_faces: bool) -> None:
        self.both(lambda collection: collection.delete_user(user, faces=with_faces))

    @rule(user=USERS, face_ids=st.lists(faces, min_size=1, max_size=3), threshold=st.sampled_from([0, 75]))
    def associate(self, user: str, face_ids: list[str], threshold: float) -> None:
        self.both(lambda collection: collection.associate_faces(user, face_ids, user_match_threshold=threshold))

    @rule(user=USERS, face_ids=st.lists(faces, min_size=1, max_size=3))
    def disassociate(self, user: str, face_ids: list[str]) -> None:
        self.both(lambda collection: collection.disassociate_faces(user, face_ids))

    @rule(face_ids=st.lists(faces, min_size=1, max_size=3))
    def delete_faces(self, face_ids: list[str]) -> None:
        self.both(lambda collection: collection.delete_faces(face_ids))

    @rule(user=USERS, face_ids=st.lists(faces, min_size=1, max_size=3))
    def name_group(self, user: str, face_ids: list[str]) -> None:
        self.both(lambda collection: collection.name_group(face_ids, user))

    @rule(face_ids=st.lists(faces, min_size=1, max_size=3), aside=st.booleans())
    def set_aside(self, face_ids: list[str], aside: bool) -> None:
        self.both(lambda collection: collection.set_aside(face_ids, aside=aside))

    @rule(into=USERS, other=USERS)
    def merge_users(self, into: str, other: str) -> None:
        self.both(lambda collection: collection.merge_users(into, other))

    @rule(user=USERS, new=USERS)
    def rename_user(self, user: str, new: str) -> None:
        self.both(lambda collection: collection.rename_user(user, new))

    @rule(face_id=faces, to=st.none() | USERS)
    def move_face(self, face_id: str, to: str | None) -> None:
        self.both(lambda collection: collection.move_face(face_id, to))

    @rule(times=st.integers(1, 3))
    def undo(self, times: int) -> None:
        for _ in range(times):
            self.both(lambda collection: collection.undo())

    @rule()
    def forget_changes(self) -> None:
        self.both(lambda collection: collection.forget_changes())

    @rule()
    def groups(self) -> None:
        self.both(lambda collection: collection.groups(min_faces=1, progress=False))
        self.both(lambda collection: collection.groups(min_faces=1, set_aside=True, progress=False))

    @rule(probe=embeddings(spread=0.1), most=st.integers(1, 5), threshold=st.sampled_from([0, 50, 80]))
    def search(self, probe: FloatArray, most: int, threshold: float) -> None:
        self.both(lambda c: c.rank(probe, user_match_threshold=threshold, max_users=most))

    @rule(probe=embeddings(spread=0.1), most=st.integers(1, 5), threshold=st.sampled_from([0, 50, 80]), data=st.data())
    def search_faces(self, probe: FloatArray, most: int, threshold: float, data: st.DataObject) -> None:
        exclude = data.draw(st.sets(st.sampled_from([face.face_id for face in self.model.faces()] or [UNKNOWN])))
        self.both(
            lambda c: c.rank_faces([probe, -probe], face_match_threshold=threshold, max_faces=most, exclude=exclude)
        )

    @rule(user=USERS, most=st.integers(1, 5), threshold=st.sampled_from([0, 50, 80]))
    def search_like(self, user: str, most: int, threshold: float) -> None:
        self.both(lambda c: c.rank_like_user(user, user_match_threshold=threshold, max_users=most))

    @rule(limit=st.integers(1, 4))
    def page_users(self, limit: int) -> None:
        self.both(lambda collection: pages(collection, limit))

    @rule(
        user=st.none() | USERS,
        face_ids=st.none() | st.lists(faces, min_size=1, max_size=3),
        after=st.none() | faces,
        limit=st.integers(1, 3),
    )
    def page_faces(self, user: str | None, face_ids: list[str] | None, after: str | None, limit: int) -> None:
        self.both(lambda c: c.page_of_faces(after=after, limit=limit, user_id=user, face_ids=face_ids))

    @rule(token=st.sampled_from("xyz"), user=USERS, delete=st.booleans())
    def once(self, token: str, user: str, delete: bool) -> None:
        def do(collection: fs.Collection) -> str:
            (collection.delete_user if delete else collection.create_user)(user)
            return f"{len(collection)} users"

        self.both(lambda c: c.once(token, f"{delete} {user}", lambda: do(c)))

    @rule(hours=st.sampled_from([1, 25]))
    def time_passes(self, hours: int) -> None:
        self.now += hours * 3600

    @rule()
    def audit(self) -> None:
        self.both(lambda collection: collection.audit())

    @rule()
    def export(self) -> None:
        self.handles[self.turn].save(self.folder / "export.npz")
        loaded = fs.Collection.load(self.folder / "export.npz", analyzer=self.analyzer)
        assert contents(loaded) == contents(self.model)
        assert loaded._store.aside() == self.model._store.aside()

    @invariant()
    def same(self) -> None:
        handle = self.handles[self.turn]
        assert contents(handle) == contents(self.model)
        with handle._store.reading():
            aside, changes = handle._store.aside(), handle._store.changes()
        assert aside == self.model._store.aside()
        assert [text for _, text in changes] == [text for _, text in self.model._store.changes()]

    @invariant()
    def only_faces_without_a_user_are_set_aside(self) -> None:
        assert self.model._store.aside() <= {face.face_id for face in self.model.faces() if face.user_id is None}


@pytest.mark.parametrize("case", list(DURABLE.values()), ids=list(DURABLE))
def test_a_durable_store_answers_as_the_one_in_memory_does(case: Case) -> None:
    """For all calls, from all handles, and after reopening."""
    machine = type("Machine", (StoreMachine,), {"case": case})
    run_state_machine_as_test(machine, settings=settings(max_examples=case.examples, stateful_step_count=30))
