"""The store in an SQLite file: rows of users and faces, read on demand."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.errors import StorageError, StorageFormatError
from facesearch.storage.database import Entry
from facesearch.storage.database_store import FORGET_ANSWERS, Block, DatabaseStore
from facesearch.storage.face_rows import PERSONAL, STORED, personal_columns, uuid_bytes
from facesearch.storage.live_index import USER_ID, State, VectorRows
from facesearch.storage.sql import COUNT, ID, TEXT, Kind, Sql, in_parts
from facesearch.storage.sqlite.connections import Sessions
from facesearch.storage.sqlite.erasure import (
    ERASING_WAIT,
    Eraser,
    empty,
    erase,
    is_pending,
    mark_deletion,
)
from facesearch.storage.sqlite.guarded_sql import AT_ONCE
from facesearch.storage.sqlite.schema import OLDEST_FORMAT
from facesearch.storage.sqlite.vectors import TABLES, FileRows, read_vectors
from facesearch.storage.store import StoredFace

__all__ = ["SqliteStore"]

_PERSONAL: Final = ", ".join(PERSONAL)
_PUT_FACE: Final = f"INSERT INTO face_data (fid, vector, {_PERSONAL}) VALUES ({', '.join('?' * 10)})"  # noqa: S608  # constant names
_PUT_WAITING: Final = f"""INSERT INTO waiting_data (wid, vector, face_id, {_PERSONAL}, jpeg)
    VALUES ({", ".join("?" * 12)})"""  # noqa: S608  # constant names


class SqliteStore(DatabaseStore):
    """A store in an SQLite file."""

    _sessions: Sessions

    def __init__(self, sessions: Sessions, entry: Entry, offset: Callable[[int], float]) -> None:
        super().__init__(sessions, TABLES, entry, offset)
        self._eraser = Eraser(sessions)
        self._rereads = 0

    # ---------------------------------------------------------------- blocks

    @override
    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with self._erasing_after(), super().reading():
            yield

    @override
    @contextlib.contextmanager
    def snapshot(self) -> Iterator[tuple[VectorRows, State]]:
        with self._erasing_after(), super().snapshot() as found:
            yield found

    @contextlib.contextmanager
    def _erasing_after(self) -> Iterator[None]:
        """After a long read, erase data that was deleted meanwhile: the deletion waited `ERASING_WAIT` at most."""
        start, alone = time.monotonic(), not self._sessions.is_mine()
        try:
            yield
        finally:
            if alone and time.monotonic() - start > ERASING_WAIT:
                self._eraser.erase(0)

    @override
    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Run a transaction. Its changes are on disk when the block ends."""
        with self._sessions.writing() as sql:
            if self._block:
                yield
                return
            change, pending = self._state(sql).change, is_pending(sql)
            block = self._block = Block(sql=sql, change=change + 1)
            try:
                yield
                sql.execute(
                    "UPDATE collections SET change = ?, users = users + ?, faces = faces + ? WHERE id = ?",
                    (block.change if block.touched else change, block.users, block.faces, self._number),
                )
                if block.erased:
                    mark_deletion(sql)
            finally:
                self._block = None
        if block.erased or pending:
            self._eraser.erase(ERASING_WAIT if block.erased else 0)

    def tidy(self, answered_before: float) -> None:
        """Erase deleted data, and remove answers as `forget_answers` does, where no other process holds a lock."""
        query = "SELECT count(*) FROM answers WHERE collection = ? AND given < ?"
        with self._sessions.reading() as sql:
            self._state(sql)
            pending = is_pending(sql)
            (old,) = sql.row((COUNT,), query, self._number, answered_before)
        if old and not self._sessions.read_only:
            with contextlib.suppress(StorageError), self._sessions.writing(wait=0) as sql:
                sql.execute(FORGET_ANSWERS, (self._number, answered_before))
        if pending:
            self._eraser.erase(0)

    @override
    def erase(self, wait: float) -> bool:
        if self.outside is not None:
            self.outside.erase()
        return self._eraser.erase(wait)

    @override
    def close(self) -> None:
        self._eraser.stop()
        if self._eraser.is_at_work and not self._sessions.is_closed:
            erase(self._sessions, ERASING_WAIT)
        super().close()

    # ---------------------------------------------------------------- users and faces

    @override
    def create_users(self, user_ids: Iterable[str]) -> None:
        block, number = self._changing(), self._number
        unique = dict.fromkeys(user_ids)
        known = self._uids(unique)
        new = list(enumerate((user_id for user_id in unique if user_id not in known), self._next("users")))
        block.sql.executemany(
            "INSERT INTO users (uid, collection, name_hash, faces, change) VALUES (?, ?, ?, 0, ?)",
            ((uid, number, self._hash(user_id), block.change) for uid, user_id in new),
        )
        nothing = bytes(STORED.itemsize * self._dimension)  # as long as a vector, as the row must never grow
        block.sql.executemany(
            "INSERT INTO user_data (uid, vector, user_id) VALUES (?, ?, ?)",
            ((uid, nothing, user_id) for uid, user_id in new),
        )
        block.users += len(new)
        block.touched = True

    @override
    def stored_faces(self) -> Iterator[StoredFace]:
        known: set[str | None] = {None, *(user_id for user_id, _ in self.users())}
        for stored in super().stored_faces():
            if stored.face.user_id not in known:
                raise StorageFormatError(f"{self.name}: damaged, a face belongs to a user that does not exist")
            yield stored

    @override
    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        block = self._changing()
        for some in in_parts(faces, AT_ONCE):
            new = list(enumerate(some, self._next("faces")))
            uids = self._uids({each.face.user_id for each in some if each.face.user_id is not None})
            block.sql.executemany(
                "INSERT INTO faces (fid, collection, face_id, uid) VALUES (?, ?, ?, ?)",
                (
                    (fid, self._number, uuid_bytes(face.face_id), uids[face.user_id] if face.user_id else None)
                    for fid, face in ((fid, each.face) for fid, each in new)
                ),
            )
            block.sql.executemany(
                _PUT_FACE,
                ((fid, each.embedding.astype(STORED).tobytes(), *personal_columns(each.face)) for fid, each in new),
            )
            block.sql.executemany(
                "INSERT INTO thumbnails VALUES (?, ?)",
                ((fid, each.thumbnail) for fid, each in new if each.thumbnail is not None),
            )
            block.faces += len(new)

    # ---------------------------------------------------------------- what a file of the oldest format lacks: it is only read

    @override
    def aside(self) -> frozenset[str]:
        return frozenset() if self._is_oldest() else super().aside()

    @override
    def changes(self) -> list[tuple[int, str]]:
        return [] if self._is_oldest() else super().changes()

    def _is_oldest(self) -> bool:
        ((format_,),) = self._rows((COUNT,), "PRAGMA user_version")
        return bool(format_ == OLDEST_FORMAT)

    # ---------------------------------------------------------------- changes, waiting photos and answers

    @override
    def put_change(self, change: str) -> None:
        number = self._next("changes")
        self._change("INSERT INTO changes (number, collection) VALUES (?, ?)", number, self._number)
        self._change("INSERT INTO change_data (number, change) VALUES (?, ?)", number, change)

    @override
    def put_waiting(self, photos: Iterable[tuple[str, str, StoredFace]]) -> None:
        given = {key: (user_id, stored) for key, user_id, stored in photos}
        known = self.waiting(given)
        for wid, key in enumerate((key for key in given if key not in known), self._next("waiting")):
            user_id, stored = given[key]
            self._change(
                "INSERT INTO waiting (wid, collection, key, name_hash) VALUES (?, ?, ?, ?)",
                *(wid, self._number, self._key(key), self._hash(user_id)),
            )
            vector = stored.embedding.astype(STORED).tobytes()
            face_id, columns = uuid_bytes(stored.face.face_id), personal_columns(stored.face)
            self._change(_PUT_WAITING, wid, vector, face_id, *columns, stored.thumbnail)

    @override
    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        block, query = self._changing(), "SELECT wid FROM waiting WHERE collection = ?"
        if user_ids is None:
            rows = self._rows((ID,), query, self._number)
        else:
            rows = self._among((ID,), f"{query} AND name_hash IN (*)", map(self._hash, user_ids), self._number)
        block.sql.executemany("DELETE FROM waiting WHERE wid = ?", rows)
        empty(block.sql, "waiting", [wid for (wid,) in rows])
        block.erased |= bool(rows)
        return len(rows)

    @override
    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        query = "SELECT answer, request = ? FROM answers WHERE collection = ? AND token = ?"
        rows = self._rows((TEXT, COUNT), query, self._keyed(request), self._number, self._keyed(token))
        return next(((answer, bool(same)) for answer, same in rows), None)

    @override
    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        self._change(
            "INSERT INTO answers (collection, token, request, answer, given) VALUES (?, ?, ?, ?, ?)",
            *(self._number, self._keyed(token), self._keyed(request), answer, given),
        )

    # ---------------------------------------------------------------- rows

    @override
    def _state(self, sql: Sql) -> State:
        query = """SELECT change, forgotten, users, faces,
            (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'faces') FROM collections WHERE id = ?"""
        if self._rereads < self._sessions.rereads:  # a file that was read without locks changed meanwhile
            self._rereads = self._sessions.rereads
            self._begin()
        for row in sql.rows((ID, ID, COUNT, COUNT, ID), query, self._number):
            return State(*row)
        raise self._deleted()

    @override
    def _committed_state(self) -> State:
        with self._sessions.committed() as sql:
            return self._state(sql)

    @override
    def _vector_rows(self, sql: Sql) -> VectorRows:
        return FileRows(sql, TABLES, self._number, self._dimension, self.name)

    @override
    def _overwrite(self, kind: str, numbers: Sequence[int]) -> None:
        if kind == "faces":
            self._change_among("DELETE FROM set_aside WHERE fid IN (*)", numbers)
        empty(self._changing().sql, kind, numbers)

    @override
    def _user_rows(self, kinds: Sequence[Kind], columns: str, user_ids: Iterable[str]) -> list[Any]:
        given = set(user_ids)
        query = f"SELECT user_id, {columns} FROM {TABLES.users} WHERE collection = ? AND name_hash IN (*)"  # noqa: S608  # constant names
        rows = self._among((USER_ID, *kinds), query, map(self._hash, given), self._number)
        return [row for row in rows if row[0] in given]  # other users may have the same hash

    @override
    def _put_vectors(self, made: Mapping[int, tuple[int, FloatArray | None]]) -> None:
        block, nothing = self._changing(), bytes(STORED.itemsize * self._dimension)
        block.sql.executemany(
            "UPDATE users SET faces = ?, change = ? WHERE uid = ?",
            ((faces, block.change, uid) for uid, (faces, _) in made.items()),
        )
        block.sql.executemany(
            "UPDATE user_data SET vector = ? WHERE uid = ?",
            (
                (nothing if vector is None else vector.astype(STORED).tobytes(), uid)
                for uid, (_, vector) in made.items()
            ),
        )

    @override
    def _hash(self, user_id: str) -> int:
        digest = hashlib.blake2b(user_id.encode(), key=self._entry.salt, digest_size=8).digest()
        return int.from_bytes(digest, "little", signed=True)

    @override
    def _read(self, vectors: Sequence[Any], kind: str, numbers: Sequence[int]) -> FloatArray:
        return read_vectors(vectors, self._dimension, path=self.name, kind=kind, numbers=numbers)

    def _next(self, table: str) -> int:
        """Return the first number that no row of a table ever had, so that personal rows are only appended."""
        query = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?"
        ((number,),) = self._rows((ID,), query, table)
        return int(number)
