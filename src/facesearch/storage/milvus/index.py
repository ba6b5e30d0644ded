"""The index of a collection in Milvus, which answers as the collection's own database does.

**Two records.** The index has a position: the last change of the database that it contains. The database records the highest position that the
index may have (`facesearch.storage.live_index.IndexPosition`): before vectors are sent, that record is raised; when they have arrived, the
position follows. A process that is killed in between leaves a position that is too low, so the same vectors are sent again. A
position above the record shows a database that was restored from a backup or copied: it gets a new epoch, and its rows are sent anew.

**A search** asks Milvus for the nearest rows and the position, in one state of Milvus. Then it reads one state of the database: all that
changed since the position, which is held in memory and searched there, and the vectors of the rows that Milvus found. So users deleted
since are left out, and distances are those of the database, to the bit. Bounds on the error of float32 decide whether
enough rows were fetched.

**Delivery** sends what changed to Milvus, when more than `MOST_IN_MEMORY` vectors did. Several processes may deliver at once: rows have versions, and only
older versions are deleted.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs
import numpy as np
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.errors import StorageBusyError, StorageError
from facesearch.matching.vector_index import Ranked
from facesearch.storage.database_store import DatabaseStore
from facesearch.storage.live_index import (
    IndexComparison,
    IndexPosition,
    LiveIndex,
    NamedVectors,
    OutsideIndex,
    VectorRows,
)
from facesearch.storage.milvus.address import MilvusAddress
from facesearch.storage.milvus.comparison import compare
from facesearch.storage.milvus.gallery import Faces, Gallery, Users, mark_of
from facesearch.storage.milvus.ranking import Shortlist, Wanted, is_complete, merged
from facesearch.storage.milvus.vectors import MOST_FOUND, Found, Position, Vectors

__all__ = ["MOST_IN_MEMORY", "MilvusIndex"]

MOST_IN_MEMORY: Final = 1000
"""Vectors that changed since the position and are held in memory, before they are sent to Milvus."""

_SPARE: Final = 16  # rows fetched beyond the answer, by which its end is seen to be the end
_SPARE_CODED: Final = 4  # times as many of vectors in 8 bits, whose order is approximate
_PROBES_AT_ONCE: Final = 64
_PAGE: Final = 20_000  # rows read at once when an index is filled
_ATTEMPTS: Final = 20
_EPOCH_BYTES: Final = 16
_CHECKS: Final = 20
_PAUSE: Final = 0.1  # seconds between them

_log = logging.getLogger("facesearch")


@attrs.frozen
class _Known:
    """The state of the index as this process read it last."""

    epoch: bytes | None
    position: Position
    tail: LiveIndex


class _NotCurrentError(Exception):
    """The state of the index, as this process knows it, is out of date."""


class _MoreError(Exception):
    """More rows must be fetched to be sure of the answer."""


class _Side:
    """The index of the users, or of the faces; *mark*, of `facesearch.storage.milvus.gallery.mark_of`, is the end of every epoch."""

    def __init__(self, source: DatabaseStore, vectors: Vectors, gallery: Gallery, mark: bytes) -> None:
        self._source, self._vectors, self._gallery, self._mark = source, vectors, gallery, mark
        self._where = f"{vectors.address.name}, index of {source.name}"
        self.begin()

    def begin(self) -> None:
        """Begin as in a new process, with locks of its own and nothing known."""
        self._delivering = threading.Lock()
        self._looking = threading.RLock()  # guards `_known` and its tail; no thread waits for a writer within it
        self._known: _Known | None = None

    # ---------------------------------------------------------------- search

    def nearest(self, probes: FloatArray, wanted: Wanted) -> list[Ranked]:
        """Find the nearest ones for each probe; see `facesearch.storage.store.Store.nearest`."""
        return [
            ranked
            for first in range(0, len(probes), _PROBES_AT_ONCE)
            for ranked in self._nearest(probes[first : first + _PROBES_AT_ONCE], wanted)
        ]

    def _nearest(self, probes: FloatArray, wanted: Wanted) -> list[Ranked]:
        most = wanted.limit + 1 + _SPARE
        most = min(most * _SPARE_CODED if self._vectors.is_coded else most, MOST_FOUND)
        for _ in range(_ATTEMPTS):
            known = self._established()
            try:
                position, found = self._found(known, probes, most)
                ranked = self._ranked(known, position, probes, found, wanted)
            except _NotCurrentError:
                self._forget(known)
                continue
            except _MoreError:
                if most == MOST_FOUND:
                    return self._in_memory(probes, wanted)
                most = min(4 * most, MOST_FOUND)
                continue
            self._deliver_if_much(known)
            return ranked
        raise StorageBusyError(
            f"{self._where}: it was replaced again and again while it was searched; does another process restore or reindex it? "
            "Try again, or open the collection without index="
        )

    def _found(self, known: _Known, probes: FloatArray, most: int) -> tuple[Position, list[Found]]:
        if known.epoch is None or not known.position.total:  # everything is in the tail
            return known.position, [Found([], [], whole=True)] * len(probes)
        owner = self._gallery.owner(known.epoch)
        position, found = self._vectors.search(owner, self._gallery.probes(probes), most)
        if position is None:  # emptied; or many vectors are as near to zero
            position = self._vectors.position(owner)
        if position.total < known.position.total:
            raise _NotCurrentError
        return position, found

    def _ranked(
        self, known: _Known, position: Position, probes: FloatArray, found: list[Found], wanted: Wanted
    ) -> list[Ranked]:
        """Rank the rows found, and the tail, by the vectors of the database."""
        with self._looking, self._source.snapshot() as (rows, state):
            record = rows.index_position()
            # The record of this database is raised before its index gets a later position.
            if record.epoch != known.epoch or position.total > self._gallery.recorded(record):
                raise _NotCurrentError
            if not known.tail.is_current(state):
                known.tail.catch_up(rows, state)
            numbers = sorted({number for each in found for number in each.numbers if number not in known.tail})
            short = Shortlist(self._gallery, rows.at(self._gallery.kind, numbers))
            firsts = [short.nearest(probe, each, wanted) for probe, each in zip(probes, found, strict=True)]
            for probe, each, first in zip(probes, found, firsts, strict=True):
                if not is_complete(probe, each, first, coded=self._vectors.is_coded):
                    raise _MoreError
            if not len(known.tail):
                return firsts
            others = self._tail_nearest(known.tail, rows, probes, wanted)
            return [merged(one, other, wanted) for one, other in zip(firsts, others, strict=True)]

    def _tail_nearest(self, tail: LiveIndex, rows: VectorRows, probes: FloatArray, wanted: Wanted) -> list[Ranked]:
        def names(numbers: Sequence[int]) -> Sequence[str]:
            there = rows.at(self._gallery.kind, numbers)
            named = dict(zip(there.numbers, there.names, strict=True))
            if len(named) < len(numbers):  # their removal is no longer listed
                raise _NotCurrentError
            return [named[number] for number in numbers]

        return tail.nearest(probes, max_distance=wanted.max_distance, limit=wanted.limit, names=names)

    def _in_memory(self, probes: FloatArray, wanted: Wanted) -> list[Ranked]:
        """Search all vectors in memory, once: more are equally near than Milvus returns."""
        tail = self._gallery.tail(Position())
        with self._source.snapshot() as (rows, state):
            tail.catch_up(rows, state)
            return self._tail_nearest(tail, rows, probes, wanted)

    # ---------------------------------------------------------------- the state of the index

    def _established(self) -> _Known:
        """Return the state of the index, read once; fill an index that is empty."""
        with self._looking:
            if self._known is None:
                self._known = self._read()
            known = self._known
        if not known.position.total and self._source.may_record():
            return self.deliver()
        return known

    def _read(self) -> _Known:
        """Read the position without sending anything."""
        record, position = self._record(), Position()
        if record.epoch is not None and record.epoch.endswith(self._mark):
            position = self._vectors.position(self._gallery.owner(record.epoch))
            for _ in range(_CHECKS):  # a replica may lag behind
                record = self._record()
                if position.total <= self._gallery.recorded(record) or self._source.may_record():
                    break
                time.sleep(_PAUSE)
        if not position.total or position.total > self._gallery.recorded(record):
            position = Position()
            _log.info(
                "%s: empty, or of another state; all vectors are searched in memory until it is filled", self._where
            )
        return _Known(record.epoch, position, self._gallery.tail(position))

    def _forget(self, known: _Known) -> None:
        with self._looking:
            if self._known is known:
                self._known = None

    def _record(self) -> IndexPosition:
        with self._source.snapshot() as (rows, _):
            return rows.index_position()

    # ---------------------------------------------------------------- delivery

    def _deliver_if_much(self, known: _Known) -> None:
        if len(known.tail) > MOST_IN_MEMORY and not self._delivering.locked() and self._source.may_record():
            try:
                self.deliver()
            except StorageError as error:  # the search has its answer; the next one tries again
                _log.warning("the index is not brought up to date: %s", error)

    def deliver(self) -> _Known:
        """Send to Milvus what changed since the position."""
        with self._delivering:
            epoch, since = self._started()
            owner = self._gallery.owner(epoch)
            position = self._raised(epoch, since)
            if position != since:
                most = self._send_changes(owner, since) if since.total else self._send_all(owner)
                self._vectors.await_applied()
                self._vectors.put_position(owner, position)
                if most is None or self._vectors.count(owner) > most:
                    compare(self._source, self._vectors, self._gallery, owner, position=position, repair=True)
            with self._looking:
                if self._known is None or (self._known.epoch, self._known.position) != (epoch, position):
                    self._known = _Known(epoch, position, self._gallery.tail(position))
                return self._known

    def rebuild(self) -> None:
        """Send all vectors anew, under a new epoch."""
        with self._delivering:
            self._replaced(self._record())
        self.deliver()

    def drop(self) -> None:
        """Delete the rows of users and faces, and what is recorded of them."""
        with self._delivering:
            record = self._record()
            if record.epoch and self._source.record_index(record, IndexPosition()):
                self._clear(record.epoch)

    def compare(self, *, repair: bool) -> IndexComparison:
        """Compare all rows with the database; see `facesearch.storage.milvus.comparison.compare`."""
        if repair:
            self.deliver()
        record, position = self._record(), Position()
        owner = self._gallery.owner(record.epoch) if record.epoch and record.epoch.endswith(self._mark) else None
        if owner is not None:
            position = self._vectors.position(owner)
        with self._source.snapshot() as (rows, state):
            record, now = rows.index_position(), self._gallery.now(rows, state, position)
            changed = self._gallery.changed(rows, state, position) if position.total else None
        is_other = position.total > self._gallery.recorded(record) or (owner is None and record.epoch is not None)
        if owner is None or changed is None or is_other:
            return IndexComparison(of=self._gallery.kind, behind=now.total, is_other=is_other)
        undelivered = frozenset([*changed.removed, *changed.numbers])
        found = compare(
            self._source, self._vectors, self._gallery, owner, position=position, repair=repair, undelivered=undelivered
        )
        return attrs.evolve(found, behind=now.total - position.total)

    def _started(self) -> tuple[bytes, Position]:
        """Return the epoch and the position, after replacing an index that is later than the database."""
        while True:
            record = self._record()
            if record.epoch is not None and record.epoch.endswith(self._mark):
                position = self._vectors.position(self._gallery.owner(record.epoch))
                if position.total <= self._gallery.recorded(self._record()):
                    return record.epoch, position
            self._replaced(record)

    def _replaced(self, record: IndexPosition) -> None:
        """Replace the epoch of the collection, and delete the rows of the old one; what was a copy fills its index anew."""
        epoch = os.urandom(_EPOCH_BYTES) + self._mark
        if self._source.record_index(record, IndexPosition(epoch=epoch)) and record.epoch:
            self._clear(record.epoch)

    def _clear(self, epoch: bytes) -> None:
        for each in (Users, Faces):
            self._vectors.clear(each.owner(epoch))

    def _raised(self, epoch: bytes, since: Position) -> Position:
        """Raise the record in the database to its present state, and return that."""
        while True:
            with self._source.snapshot() as (rows, state):
                before, position = rows.index_position(), self._gallery.now(rows, state, since)
            if before.epoch != epoch:
                raise StorageBusyError(f"{self._where}: another process replaced the index meanwhile; try again")
            after = self._gallery.record(before, position)
            if after == before or self._source.record_index(before, after):
                return position

    def _send_changes(self, owner: str, since: Position) -> float | None:
        with self._source.snapshot() as (rows, state):
            version = self._gallery.now(rows, state, since).total
            changed = self._gallery.changed(rows, state, since)
        self._vectors.insert(owner, version, changed.numbers, changed.rows)
        self._vectors.await_applied()
        # The old rows go when the new ones are seen by everybody; until the position follows, what changed is searched in memory too.
        self._vectors.delete_older(owner, version, [*changed.removed, *changed.numbers])
        return changed.most

    def _send_all(self, owner: str) -> float:
        oldest: int | None = None
        for version, page in self._pages():
            oldest = version if oldest is None else oldest
            self._vectors.insert(owner, version, page.numbers, self._gallery.rows(page.vectors, page.faces))
        self._vectors.await_applied()
        if oldest is not None:  # rows of a process that was killed before
            self._vectors.delete_older(owner, oldest)
        return np.inf

    def _pages(self) -> Iterator[tuple[int, NamedVectors]]:
        """Iterate over all users or faces, in several short transactions, each page with its version."""
        number = -1
        while True:
            with self._source.snapshot() as (rows, state):
                page = rows.after(self._gallery.kind, number, _PAGE)
                version = self._gallery.now(rows, state, Position()).total
            if not page.numbers:
                return
            yield version, page
            number = page.numbers[-1]


class MilvusIndex(OutsideIndex):
    """The index of a collection in Milvus; the server may take *timeout* seconds to answer."""

    def __init__(
        self,
        source: DatabaseStore,
        address: MilvusAddress,
        dimension: int,
        offset: Callable[[int], float],
        timeout: float,
    ) -> None:
        self.address = address
        self._vectors = Vectors(address, dimension + 1, timeout)
        mark = mark_of(offset)
        self._users = _Side(source, self._vectors, Users(dimension, offset), mark)
        self._faces = _Side(source, self._vectors, Faces(dimension), mark)
        self._pid = os.getpid()

    @override
    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        return self._here(self._users).nearest(probes, Wanted(max_distance, limit))

    @override
    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        return self._here(self._faces).nearest(probes, Wanted(max_distance, limit))

    @override
    def close(self) -> None:
        if self._pid == os.getpid():
            self._vectors.close()

    @override
    def description(self) -> str:
        self._here(self._users)
        return self._vectors.description()

    @override
    def compare(self, *, repair: bool) -> tuple[IndexComparison, ...]:
        return tuple(self._here(side).compare(repair=repair) for side in (self._users, self._faces))

    @override
    def rebuild(self) -> None:
        self._here(self._users).rebuild()  # the epoch is the same for both
        self._faces.deliver()

    @override
    def drop(self) -> None:
        self._here(self._users).drop()  # the epoch is the same for both
        self._vectors.compact()

    @override
    def erase(self) -> None:
        for side in (self._users, self._faces):
            self._here(side).deliver()
        # Milvus merges files without the deleted rows, and removes the old ones later, as it is set up.
        self._vectors.compact()

    def _here(self, side: _Side) -> _Side:
        """Return a side; after a fork, without the locks and the connection of the parent."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._vectors.abandon()
            for each in (self._users, self._faces):
                each.begin()
        return side
