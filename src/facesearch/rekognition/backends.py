"""The collections of one account: in memory, or in a file that other processes share.

A shelf knows no rule of AWS's but that ids are not given twice; it raises this library's own errors.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from os import PathLike
from typing import Final, Protocol

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.collection import Collection
from facesearch.common.forks import ForkLock, Level
from facesearch.errors import ClosedError, CollectionExistsError, CollectionNotFoundError, QuotaExceededError
from facesearch.storage.catalog import (
    MAX_TAGS,
    CollectionInfo,
    change_tags,
    collection_info,
    collection_tags,
    collections,
    database_path,
    delete_collection,
)

__all__ = ["FileShelf", "MemoryShelf", "Shelf"]


_MOST_OPEN: Final = 64
"""Collections of a file that are held open at once: each has its users' vectors in memory, and four files."""


class Shelf(Protocol):
    """Where the collections of an account are; may be used from several threads.

    What is asked of a collection that is not there raises `facesearch.CollectionNotFoundError`.
    """

    def create(self, collection_id: str, tags: Mapping[str, str]) -> Collection:
        """Add a collection; `CollectionExistsError` if it is there."""

    def get(self, collection_id: str) -> Collection:
        """Give a collection."""

    def infos(self) -> tuple[CollectionInfo, ...]:
        """Tell which there are, by id."""

    def info(self, collection_id: str) -> CollectionInfo:
        """Tell of one."""

    def delete(self, collection_id: str) -> None:
        """Delete a collection, and all that is in it."""

    def forget(self, collection: Collection) -> None:
        """Open it anew when it is next asked for: somebody else deleted it, and may have made another of that id."""

    def tags(self, collection_id: str) -> dict[str, str]:
        """Give its tags."""

    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        """Add tags, or give them other values, and then remove those of these keys; `QuotaExceededError` if there are too many."""

    def close(self) -> None:
        """Let go of files."""


@attrs.define
class _Kept:
    collection: Collection
    created: datetime
    tags: dict[str, str]


class MemoryShelf:
    """Collections that end with the process; see `Shelf`.

    Parameters
    ----------
    analyzer
        What finds and embeds faces for all of them.
    """

    def __init__(self, analyzer: FaceAnalyzer | None) -> None:
        self._analyzer = analyzer
        self._lock = ForkLock(Level.SERVICE)
        self._kept: dict[str, _Kept] = {}

    def create(self, collection_id: str, tags: Mapping[str, str]) -> Collection:
        """See `Shelf.create`."""
        with self._lock:
            if collection_id in self._kept:
                raise CollectionExistsError(f"collection_id: there is a collection {collection_id!r} already")
            collection = Collection(collection_id, analyzer=self._analyzer)
            self._kept[collection_id] = _Kept(collection, datetime.now(UTC), dict(tags))
            return collection

    def get(self, collection_id: str) -> Collection:
        """See `Shelf.get`."""
        with self._lock:
            return self._find(collection_id).collection

    def infos(self) -> tuple[CollectionInfo, ...]:
        """See `Shelf.infos`."""
        with self._lock:
            return tuple(self._info(collection_id) for collection_id in sorted(self._kept))

    def info(self, collection_id: str) -> CollectionInfo:
        """See `Shelf.info`."""
        with self._lock:
            return self._info(collection_id)

    def delete(self, collection_id: str) -> None:
        """See `Shelf.delete`."""
        with self._lock:
            self._find(collection_id)
            del self._kept[collection_id]

    def forget(self, collection: Collection) -> None:
        """Do nothing: nobody else has them."""

    def tags(self, collection_id: str) -> dict[str, str]:
        """See `Shelf.tags`."""
        with self._lock:
            return dict(self._find(collection_id).tags)

    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        """See `Shelf.change_tags`."""
        with self._lock:
            kept, gone = self._find(collection_id), set(remove)
            tags = {key: value for key, value in {**kept.tags, **add}.items() if key not in gone}
            if len(tags) > MAX_TAGS:
                raise QuotaExceededError(f"tags: the collection would have {len(tags)} tags, at most {MAX_TAGS}")
            kept.tags = tags

    def close(self) -> None:
        """Forget them."""
        with self._lock:
            self._kept.clear()

    def _find(self, collection_id: str) -> _Kept:
        try:
            return self._kept[collection_id]
        except KeyError:
            raise CollectionNotFoundError(f"collection_id: no collection {collection_id!r}") from None

    def _info(self, collection_id: str) -> CollectionInfo:
        kept = self._find(collection_id)
        return CollectionInfo(
            collection_id=collection_id,
            users=len(kept.collection),
            faces=kept.collection.face_count,
            face_model=kept.collection.face_model,
            created=kept.created,
            thumbnails=False,
        )


class FileShelf:
    """Collections in a file, which the first one makes; see `Shelf`.

    Parameters
    ----------
    path
        The file.
    analyzer
        What finds and embeds faces for all of them.
    """

    def __init__(self, path: str | PathLike[str], analyzer: FaceAnalyzer | None) -> None:
        self._path, self._analyzer = database_path(path), analyzer
        self._lock = ForkLock(Level.SERVICE)
        self._open: OrderedDict[str, Collection] = OrderedDict()  # the last used last
        self._closed = False

    def create(self, collection_id: str, tags: Mapping[str, str]) -> Collection:
        """See `Shelf.create`."""
        made = Collection.create(self._path, collection_id, analyzer=self._analyzer, tags=tags)
        with self._lock:
            self._keep(made)
        return made

    def get(self, collection_id: str) -> Collection:
        """See `Shelf.get`."""
        with self._lock:
            if self._closed:  # a request under way would open the file again, and nobody would close it
                raise ClosedError(f"{self._path}: closed")
            found = self._open.get(collection_id)
            if found is None:
                found = Collection.open(
                    self._path, collection_id, create=False, analyzer=self._analyzer, read_only=None
                )
            self._keep(found)
            return found

    def infos(self) -> tuple[CollectionInfo, ...]:
        """See `Shelf.infos`."""
        try:
            return collections(self._path)
        except CollectionNotFoundError:  # the file is made by the first collection
            return ()

    def info(self, collection_id: str) -> CollectionInfo:
        """See `Shelf.info`."""
        return collection_info(self._path, collection_id)

    def delete(self, collection_id: str) -> None:
        """See `Shelf.delete`."""
        delete_collection(self._path, collection_id)
        with self._lock:
            # Not closed: other threads may be at work with it. They are told that it was deleted.
            self._open.pop(collection_id, None)

    def forget(self, collection: Collection) -> None:
        """See `Shelf.forget`."""
        with self._lock:
            if self._open.get(collection.collection_id) is collection:
                del self._open[collection.collection_id]

    def tags(self, collection_id: str) -> dict[str, str]:
        """See `Shelf.tags`."""
        return collection_tags(self._path, collection_id)

    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        """See `Shelf.change_tags`."""
        change_tags(self._path, collection_id, add=add, remove=remove)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            for collection in self._open.values():
                collection.close()
            self._open.clear()

    def _keep(self, collection: Collection) -> None:
        self._open[collection.collection_id] = collection
        self._open.move_to_end(collection.collection_id)
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)  # it closes itself when nobody is at work with it any more
