"""Backends that hold the collections of one account: in memory, or in a file that several processes share.

A backend enforces one rule of AWS, that collection ids are unique. It raises the library's own errors.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from os import PathLike
from typing import Final, Protocol

import attrs
from typing_extensions import override

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.collection import Collection
from facesearch.common.forks import ForkLock, Level
from facesearch.errors import ClosedError, CollectionExistsError, CollectionNotFoundError, QuotaExceededError
from facesearch.storage.catalog import (
    MAX_TAGS,
    CollectionInfo,
    change_tags,
    check_index,
    collection_info,
    collection_tags,
    collections,
    database_path,
    delete_collection,
    shown_name,
)

__all__ = ["Backend", "FileBackend", "MemoryBackend"]


_MOST_OPEN: Final = 64
"""Most collections of a file that are open at once. An open collection holds its users' vectors in memory, and four open files."""


class Backend(Protocol):
    """Storage for the collections of an account; thread-safe.

    Methods that take the id of a collection raise `facesearch.CollectionNotFoundError` if that collection does not exist.
    """

    def create(self, collection_id: str, tags: Mapping[str, str]) -> Collection:
        """Create and return a collection; raise `CollectionExistsError` if the id is in use."""

    def get(self, collection_id: str) -> Collection:
        """Return a collection."""

    def infos(self) -> tuple[CollectionInfo, ...]:
        """Return a summary of every collection, sorted by id."""

    def info(self, collection_id: str) -> CollectionInfo:
        """Return the summary of one collection."""

    def delete(self, collection_id: str) -> None:
        """Delete a collection with its users and faces."""

    def forget(self, collection: Collection) -> None:
        """Drop an open collection, so that the next `get` opens it again.

        Another process may have deleted the collection and created a new one with the same id.
        """

    def tags(self, collection_id: str) -> dict[str, str]:
        """Return the tags of a collection."""

    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        """Add or replace the tags *add*, then remove the keys *remove*; raise `QuotaExceededError` above the limit."""

    def close(self) -> None:
        """Release memory and open files."""


@attrs.define
class _StoredCollection:
    collection: Collection
    created: datetime
    tags: dict[str, str]


class MemoryBackend(Backend):
    """Collections in memory, lost when the process ends."""

    def __init__(self, analyzer: FaceAnalyzer | None) -> None:
        self._analyzer = analyzer
        self._lock = ForkLock(Level.SERVICE)
        self._collections: dict[str, _StoredCollection] = {}

    @override
    def create(self, collection_id: str, tags: Mapping[str, str]) -> Collection:
        with self._lock:
            if collection_id in self._collections:
                raise CollectionExistsError(f"collection_id: there is a collection {collection_id!r} already")
            collection = Collection(collection_id, analyzer=self._analyzer)
            self._collections[collection_id] = _StoredCollection(collection, datetime.now(UTC), dict(tags))
            return collection

    @override
    def get(self, collection_id: str) -> Collection:
        with self._lock:
            return self._find(collection_id).collection

    @override
    def infos(self) -> tuple[CollectionInfo, ...]:
        with self._lock:
            return tuple(self._info(collection_id) for collection_id in sorted(self._collections))

    @override
    def info(self, collection_id: str) -> CollectionInfo:
        with self._lock:
            return self._info(collection_id)

    @override
    def delete(self, collection_id: str) -> None:
        with self._lock:
            self._find(collection_id)
            del self._collections[collection_id]

    @override
    def forget(self, collection: Collection) -> None:
        pass  # no other process can delete them

    @override
    def tags(self, collection_id: str) -> dict[str, str]:
        with self._lock:
            return dict(self._find(collection_id).tags)

    @override
    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        with self._lock:
            stored, gone = self._find(collection_id), set(remove)
            tags = {key: value for key, value in {**stored.tags, **add}.items() if key not in gone}
            if len(tags) > MAX_TAGS:
                raise QuotaExceededError(f"tags: the collection would have {len(tags)} tags, at most {MAX_TAGS}")
            stored.tags = tags

    @override
    def close(self) -> None:
        with self._lock:
            self._collections.clear()

    def _find(self, collection_id: str) -> _StoredCollection:
        try:
            return self._collections[collection_id]
        except KeyError:
            raise CollectionNotFoundError(f"collection_id: no collection {collection_id!r}") from None

    def _info(self, collection_id: str) -> CollectionInfo:
        stored = self._find(collection_id)
        return CollectionInfo(
            collection_id=collection_id,
            users=len(stored.collection),
            faces=stored.collection.face_count,
            face_model=stored.collection.face_model,
            created=stored.created,
            thumbnails=False,
        )


class FileBackend(Backend):
    """Collections in a file or on a server, which is created with the first collection.

    *path* and *index* are those of `facesearch.Collection.open`.
    """

    def __init__(self, path: str | PathLike[str], analyzer: FaceAnalyzer | None, *, index: str | None = None) -> None:
        check_index(index)
        self._path, self._analyzer, self._index = database_path(path), analyzer, index
        self._lock = ForkLock(Level.SERVICE)
        self._open: OrderedDict[str, Collection] = OrderedDict()  # least recently used first
        self._closed = False

    @override
    def create(self, collection_id: str, tags: Mapping[str, str]) -> Collection:
        made = Collection.create(self._path, collection_id, analyzer=self._analyzer, tags=tags, index=self._index)
        with self._lock:
            self._keep(made)
        return made

    @override
    def get(self, collection_id: str) -> Collection:
        with self._lock:
            if self._closed:  # a running request would open the file again and leave it open
                raise ClosedError(f"{shown_name(self._path)}: closed")
            found = self._open.get(collection_id)
            if found is None:
                found = Collection.open(
                    self._path,
                    collection_id,
                    create=False,
                    analyzer=self._analyzer,
                    read_only=None,
                    index=self._index,
                )
            self._keep(found)
            return found

    @override
    def infos(self) -> tuple[CollectionInfo, ...]:
        try:
            return collections(self._path)
        except CollectionNotFoundError:  # the first collection creates the file
            return ()

    @override
    def info(self, collection_id: str) -> CollectionInfo:
        return collection_info(self._path, collection_id)

    @override
    def delete(self, collection_id: str) -> None:
        delete_collection(self._path, collection_id)
        with self._lock:
            # Not closed: other threads may still use it. They get CollectionNotFoundError.
            self._open.pop(collection_id, None)

    @override
    def forget(self, collection: Collection) -> None:
        with self._lock:
            if self._open.get(collection.collection_id) is collection:
                del self._open[collection.collection_id]

    @override
    def tags(self, collection_id: str) -> dict[str, str]:
        return collection_tags(self._path, collection_id)

    @override
    def change_tags(self, collection_id: str, *, add: Mapping[str, str], remove: Iterable[str]) -> None:
        change_tags(self._path, collection_id, add=add, remove=remove)

    @override
    def close(self) -> None:
        with self._lock:
            self._closed = True
            for collection in self._open.values():
                collection.close()
            self._open.clear()

    def _keep(self, collection: Collection) -> None:
        self._open[collection.collection_id] = collection
        self._open.move_to_end(collection.collection_id)
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)  # it is closed when the last thread releases it
