"""The state of one run of the page: the collection, the folders of photos, and values computed or uploaded since the start."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import attrs

import facesearch as fs
from facesearch.errors import FaceNotFoundError, StorageFormatError
from facesearch.review.background import Snapshot
from facesearch.review.gate import Keys
from facesearch.review.photo_files import PhotoFiles
from facesearch.review.pictures import face_crop, reencoded

__all__ = ["Recent", "Site"]

K = TypeVar("K")
V = TypeVar("V")

_MOST_CROPS: Final = 600  # some 8 kB each
_MOST_MESSAGES: Final = 50
_MOST_SEARCHES: Final = 8  # each with a copy of its photo, some 300 kB


Groups = tuple[fs.FaceGroup, ...]


class Recent(Generic[K, V]):
    """A dict of the *most* recent values; thread-safe."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock: Final = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return a value; ``None`` if it was never there or is gone."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value, and drop the one that was not used for longest if there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)


class Site:
    """State that all pages of one run share."""

    def __init__(self, collection: fs.Collection, photos: PhotoFiles, *, read_only: bool = False) -> None:
        self.collection: Final = collection
        self.photos: Final = photos
        self.read_only: Final = read_only
        self.keys: Final = Keys()
        self.audit: Final[Snapshot[fs.AuditReport]] = Snapshot(collection.audit)
        self.groups: Final[Snapshot[Groups]] = Snapshot(lambda: collection.groups(progress=False))
        self.aside: Final[Snapshot[Groups]] = Snapshot(
            lambda: collection.groups(set_aside=True, min_faces=1, progress=False)
        )
        self.messages: Final[Recent[str, object]] = Recent(_MOST_MESSAGES)
        self.searches: Final[Recent[str, object]] = Recent(_MOST_SEARCHES)
        self.kept_apart: Final[set[str]] = set()
        self.one_search: Final = threading.Lock()
        self._gone: Final[Recent[frozenset[str], fs.FaceGroup]] = Recent(_MOST_MESSAGES)
        self._crops: Final[Recent[str, bytes]] = Recent(_MOST_CROPS)

    def face(self, face_id: str) -> fs.Face | None:
        """Return a face; ``None`` if it is not in the collection or the id is none."""
        try:
            found = self.collection.page_of_faces(face_ids=[face_id])
        except fs.InvalidParameterError:
            return None
        return found[0] if found else None

    def face_picture(self, face_id: str) -> bytes | None:
        """Return a JPEG of a face: its thumbnail, or a crop of its photo; ``None`` where there is neither."""
        face = self.face(face_id)  # asked each time, so that a deleted face is not shown
        if face is None:
            return None
        if kept := self._crops.get(face_id):
            return kept
        picture = self._thumbnail(face_id) or self._crop(face)
        if picture is not None:
            self._crops.put(face_id, picture)
        return picture

    def has_pictures(self) -> bool:
        """Return whether faces can be shown at all: photos were named, or a face has a thumbnail."""
        if self.photos.folders:
            return True
        first = self.collection.page_of_faces(limit=1)
        return not first or self._thumbnail(first[0].face_id) is not None

    @property
    def count_of_groups(self) -> int:
        """The number of groups without a name, as far as it was computed; 0 before."""
        return len(self.groups.peek() or ())

    def changed(self, group_id: str | None = None, *, users: Iterable[str | None] = ()) -> None:
        """Update computed values after a change, of which *group_id* and *users* are the only group and users, if given."""
        changed = frozenset(users)
        if group_id is None and not changed:
            self.groups.forget()
            self.audit.forget()
        if group_id is not None:
            for group in self.groups.peek() or ():
                if group.group_id == group_id:
                    self._gone.put(frozenset(group.face_ids), group)
            self.groups.change(lambda groups: tuple(each for each in groups if each.group_id != group_id))
        if changed:
            gone = frozenset(user_id for user_id in changed if user_id not in self.collection)
            self.groups.change(lambda groups: tuple(_without_nearest(each, gone) for each in groups))
        self.audit.change(lambda report: _without(report, changed))
        self.aside.forget()

    def undone(self, change: fs.Change) -> None:
        """Update computed values after a change was undone: a group that was named or set aside is there again."""
        group = self._gone.get(frozenset(face.face_id for face in change.faces))
        if group is None:
            self.changed()
            return
        self.groups.change(lambda groups: tuple(sorted({*groups, group}, key=lambda each: (-len(each), each.group_id))))
        self.audit.change(lambda report: _without(report, frozenset({change.user_id})))
        self.aside.forget()

    def _thumbnail(self, face_id: str) -> bytes | None:
        try:
            kept = self.collection.thumbnail(face_id)
        except (FaceNotFoundError, StorageFormatError):
            return None
        return None if kept is None else reencoded(kept)

    def _crop(self, face: fs.Face) -> bytes | None:
        if face.bounding_box is None or (picture := self.photos.picture(self.collection, face)) is None:
            return None
        return face_crop(picture.pixels, face.bounding_box)


def _without(report: fs.AuditReport, users: frozenset[str | None]) -> fs.AuditReport:
    """Return a report without the findings about some users."""
    return attrs.evolve(
        report,
        same_person=tuple(each for each in report.same_person if users.isdisjoint(each.user_ids)),
        misplaced=tuple(each for each in report.misplaced if users.isdisjoint((each.user_id, each.other_user_id))),
        loose=tuple(each for each in report.loose if each.user_id not in users),
    )


def _without_nearest(group: fs.FaceGroup, users: frozenset[str | None]) -> fs.FaceGroup:
    """Return a group without its nearest user if that is one of these."""
    is_one = group.nearest_user is not None and group.nearest_user.user_id in users
    return attrs.evolve(group, nearest_user=None) if is_one else group
