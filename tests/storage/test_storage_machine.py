"""A collection in a file behaves like one in memory: for all calls, from all processes, and after reopening."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

import facesearch as fs
from durable import MEMORY, contents
from facesearch.common.arrays import FloatArray
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import embeddings

USERS = st.sampled_from(["a", "b", "B", "c:1", "c"])
COLOURS = st.sampled_from([(200, 30, 30), (30, 30, 200), (30, 200, 30)])
UNKNOWN = "00000000-0000-0000-0000-000000000000"
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


class DurableMachine(RuleBasedStateMachine):
    """Two handles on one file, closed and opened at random, against a collection in memory."""

    faces = Bundle("faces")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.analyzer = fake_analyzer()
        self.now = 1e9
        self.model = fs.Collection("machine", analyzer=self.analyzer, thumbnails=True)
        self.model._clock = lambda: self.now
        self.handles = [self.opened(), self.opened()]
        self.turn = 0

    def opened(self) -> fs.Collection:
        timed: type[fs.Collection] = type("Collection", (fs.Collection,), {"_clock": staticmethod(lambda: self.now)})
        return timed.open(self.folder / "people.db", "machine", analyzer=self.analyzer, thumbnails=True)

    def teardown(self) -> None:
        for handle in self.handles:
            handle.close()
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

    @invariant()
    def same(self) -> None:
        assert contents(self.handles[self.turn]) == contents(self.model)


TestDurableMachine = DurableMachine.TestCase
TestDurableMachine.settings = settings(max_examples=25, stateful_step_count=30)
