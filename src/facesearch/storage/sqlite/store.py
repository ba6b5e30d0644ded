"""The store in an SQLite file: rows of users and faces, read on demand.

`facesearch.storage.live_index` holds the vectors of users in memory, and those of faces after the first search of faces. Nothing else
that another process could change is cached.
"""

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

import attrs
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.domain.entities import Face
from facesearch.errors import CollectionNotFoundError, StorageError, StorageFormatError
from facesearch.matching.template import robust_mean
from facesearch.matching.vector_index import Ranked
from facesearch.storage.content_ids import SECRET_BYTES, keyed_hash
from facesearch.storage.database import Entry
from facesearch.storage.face_rows import (
    PERSONAL,
    STORED,
    face_of,
    in_parts,
    personal_columns,
    uuid_bytes,
    uuid_text,
)
from facesearch.storage.live_index import (
    FaceIndex,
    IndexPosition,
    IndexSource,
    LiveIndex,
    NameGoneError,
    OutsideIndex,
    State,
    UserIndex,
    VectorRows,
    search_index,
)
from facesearch.storage.sqlite.connections import Sessions
from facesearch.storage.sqlite.erasure import (
    ERASING_WAIT,
    Eraser,
    empty_changes,
    empty_faces,
    empty_users,
    empty_waiting,
    erase,
    is_pending,
    mark_deletion,
)
from facesearch.storage.sqlite.guarded_sql import BLOB, COUNT, ID, TEXT, UUID_BYTES, VALUE, Kind, fetch, fetch_parts
from facesearch.storage.sqlite.schema import OLDEST_FORMAT
from facesearch.storage.sqlite.vectors import AT_ONCE, USER_ID, FileRows, among, read_vectors
from facesearch.storage.store import Anchor, Counts, Store, StoredFace

__all__ = ["SqliteStore"]

_BYTES: Final = STORED.itemsize

_FORGET_ANSWERS: Final = "DELETE FROM answers WHERE collection = ? AND given < ?"

_PERSONAL: Final = ", ".join(PERSONAL)

_PUT_FACE: Final = f"INSERT INTO face_data (fid, vector, {_PERSONAL}) VALUES ({', '.join('?' * 10)})"  # noqa: S608  # constant names
_PUT_WAITING: Final = f"""INSERT INTO waiting_data (wid, vector, face_id, {_PERSONAL}, jpeg)
    VALUES ({", ".join("?" * 12)})"""  # noqa: S608  # constant names
_WAITING: Final = f"""SELECT key, vector, wid, jpeg, face_id, {_PERSONAL} FROM waiting JOIN waiting_data USING (wid)
    WHERE collection = ? AND key IN (*)"""  # noqa: S608  # constant names
_FACES: Final = f"""SELECT fid, face_id, user_id, {_PERSONAL}
    FROM faces JOIN face_data USING (fid) LEFT JOIN user_data USING (uid)"""  # noqa: S608  # constant names
_PERSONAL_KINDS: Final = (VALUE,) * 8  # checked by `Face`
_FACE_KINDS: Final = (ID, UUID_BYTES, USER_ID.or_null, *_PERSONAL_KINDS)
_JPEG: Final = BLOB.or_null
_WAITING_KINDS: Final = (BLOB, VALUE, ID, _JPEG, UUID_BYTES, *_PERSONAL_KINDS)
_SECRET: Final = Kind("a secret", frozenset({bytes}), lambda value: len(value) == SECRET_BYTES)


@attrs.define(kw_only=True)
class _Block:
    """The changes of an open transaction."""

    sql: sqlite3.Connection
    change: int  # its number
    touched: bool = False  # users were added or removed, or their vectors changed
    users: int = 0  # added, less those removed
    faces: int = 0
    erased: bool = False


class SqliteStore(Store, IndexSource):
    """A store in an SQLite file.

    Parameters
    ----------
    sessions
        The connections to the file, used by no other store.
    entry
        The collection in it.
    offset
        See `facesearch.storage.memory.MemoryStore`.
    """

    def __init__(self, sessions: Sessions, entry: Entry, offset: Callable[[int], float]) -> None:
        self._sessions, self._entry, self._offset = sessions, entry, offset
        self._begin()
        self._block: _Block | None = None  # the open one; its thread holds the lock of the sessions
        self._eraser = Eraser(sessions)
        self._rereads = 0
        self.index_name = str(sessions.path)
        self.outside: OutsideIndex | None = None  # searches in the place of this store

    @override
    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with self._erasing_after(), self._sessions.reading() as sql:
            self._state(sql)
            yield

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
            block = self._block = _Block(sql=sql, change=change + 1)
            try:
                yield
                sql.execute(
                    "UPDATE collections SET change = ?, users = users + ?, faces = faces + ? WHERE id = ?",
                    (block.change if block.touched else change, block.users, block.faces, self._entry.number),
                )
                if block.erased:
                    mark_deletion(sql)
            finally:
                self._block = None
        if block.erased or pending:
            self._eraser.erase(ERASING_WAIT if block.erased else 0)

    def tidy(self, answered_before: float) -> None:
        """Erase deleted data and remove old answers, where no other process holds a lock.

        Parameters
        ----------
        answered_before
            As *before* of `forget_answers`.
        """
        query = "SELECT count(*) FROM answers WHERE collection = ? AND given < ?"
        with self._sessions.reading() as sql:
            self._state(sql)
            pending = is_pending(sql)
            ((old,),) = fetch(sql, (COUNT,), query, (self._entry.number, answered_before))
        if old and not self._sessions.read_only:
            with contextlib.suppress(StorageError), self._sessions.writing(wait=0) as sql:
                sql.execute(_FORGET_ANSWERS, (self._entry.number, answered_before))
        if pending:
            self._eraser.erase(0)

    @override
    def erase(self, wait: float) -> bool:
        if self.outside is not None:
            self.outside.erase()
        return self._eraser.erase(wait)

    @override
    def close(self) -> None:
        """Close the file; every later call is an error."""
        self._eraser.stop()
        if self._eraser.is_at_work and not self._sessions.is_closed:
            erase(self._sessions, ERASING_WAIT)
        if self.outside is not None:
            self.outside.close()
        self._sessions.close()
        self._begin()

    @override
    def secret(self) -> bytes:
        query = "SELECT secret FROM collections WHERE id = ?"
        ((secret,),) = self._rows((_SECRET,), query, self._entry.number)
        return bytes(secret)

    @override
    def set_secret(self, secret: bytes) -> None:
        query = "UPDATE collections SET secret = ? WHERE id = ?"
        self._changing().sql.execute(query, (secret, self._entry.number))

    def _begin(self) -> None:
        dimension = self._entry.face_model.dimension
        self._index, self._face_index = UserIndex(dimension, self._offset), FaceIndex(dimension)

    def __reduce__(self) -> NoReturn:
        raise StorageError(
            f"{self._sessions.path}: a collection in a file can't be pickled or copied; "
            f"open it where it is needed, with Collection.open(path, {self._entry.collection_id!r})"
        )

    @override
    def count(self) -> Counts:
        query = "SELECT users, faces FROM collections WHERE id = ?"
        with self._sessions.reading() as sql:
            ((users, faces),) = fetch(sql, (COUNT, COUNT), query, (self._entry.number,))
            if self._block and self._block.sql is sql:  # written when the block ends
                users, faces = users + self._block.users, faces + self._block.faces
        return Counts(users=users, faces=faces)

    @override
    def count_unassociated(self) -> int:
        query = "SELECT count(*) FROM faces WHERE uid IS NULL AND collection = ?"
        ((count,),) = self._rows((COUNT,), query, self._entry.number)
        return int(count)

    # ---------------------------------------------------------------- users

    @override
    def has_user(self, user_id: str) -> bool:
        return user_id in self._uids([user_id])

    @override
    def users(self) -> list[tuple[str, int]]:
        query = "SELECT user_id, faces FROM users JOIN user_data USING (uid) WHERE collection = ?"
        return sorted(self._rows((USER_ID, COUNT), query, self._entry.number))

    @override
    def page_of_users(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        query = """SELECT uid, user_id, faces FROM users JOIN user_data USING (uid)
            WHERE collection = ? AND uid > ? ORDER BY uid LIMIT ?"""
        return self._rows((ID, USER_ID, COUNT), query, self._entry.number, after, limit)

    @override
    def create_users(self, user_ids: Iterable[str]) -> None:
        block, number = self._changing(), self._entry.number
        unique = dict.fromkeys(user_ids)
        known = self._uids(unique)
        new = list(enumerate((user_id for user_id in unique if user_id not in known), self._next("users")))
        block.sql.executemany(
            "INSERT INTO users (uid, collection, name_hash, faces, change) VALUES (?, ?, ?, 0, ?)",
            ((uid, number, self._hash(user_id), block.change) for uid, user_id in new),
        )
        nothing = bytes(_BYTES * self._entry.face_model.dimension)  # as long as a vector, as the row must never grow
        block.sql.executemany(
            "INSERT INTO user_data (uid, vector, user_id) VALUES (?, ?, ?)",
            ((uid, nothing, user_id) for uid, user_id in new),
        )
        block.users += len(new)
        block.touched = True

    @override
    def delete_user(self, user_id: str, *, keep_changes: bool = False) -> None:
        block, (uid,) = self._changing(), self._uids([user_id]).values()
        self.forget_photos(user_id)
        self.forget_waiting([user_id])
        if not keep_changes:
            self.forget_changes_of([user_id])
        block.sql.execute("UPDATE faces SET uid = NULL WHERE uid = ?", (uid,))
        block.sql.execute("DELETE FROM users WHERE uid = ?", (uid,))
        block.sql.execute("INSERT INTO gone VALUES (?, ?, ?)", (uid, self._entry.number, block.change))
        empty_users(block.sql, [uid])
        block.users -= 1
        block.touched = block.erased = True

    @override
    def faces_of(self, user_id: str) -> frozenset[str]:
        query = "SELECT face_id FROM faces WHERE uid = ?"
        return frozenset(
            uuid_text(face_id)
            for uid in self._uids([user_id]).values()
            for (face_id,) in self._rows((UUID_BYTES,), query, uid)
        )

    @override
    def user_vectors(self) -> tuple[list[str], FloatArray]:
        query = "SELECT user_id, vector, uid FROM users JOIN user_data USING (uid) WHERE collection = ? AND faces > 0"
        rows = self._rows((USER_ID, VALUE, ID), query, self._entry.number)
        rows.sort(key=lambda row: (row[0], row[2]))
        return [user_id for user_id, _, _ in rows], self._vectors([row[1:] for row in rows], "user_data")

    @override
    def refresh(self, user_ids: Iterable[str]) -> None:
        block = self._changing()
        for some in in_parts(user_ids, AT_ONCE):
            uids = sorted(self._uids(some).values())
            made = dict.fromkeys(uids, (0, bytes(_BYTES * self._entry.face_model.dimension)))
            for uid, own in self._vectors_of(uids):
                mean = robust_mean(own) if len(own) > 1 else own[0]
                made[uid] = len(own), mean.astype(STORED).tobytes()
            block.sql.executemany(
                "UPDATE users SET faces = ?, change = ? WHERE uid = ?",
                ((faces, block.change, uid) for uid, (faces, _) in made.items()),
            )
            block.sql.executemany(
                "UPDATE user_data SET vector = ? WHERE uid = ?", ((vector, uid) for uid, (_, vector) in made.items())
            )
        block.touched = True

    @override
    def anchor(self, user_id: str) -> Anchor | None:
        query = "SELECT faces, vector, uid FROM users JOIN user_data USING (uid) WHERE uid = ? AND faces > 0"
        rows = [row for uid in self._uids([user_id]).values() for row in self._rows((COUNT, VALUE, ID), query, uid)]
        return Anchor(self._vectors([rows[0][1:]], "user_data")[0], self._offset(rows[0][0])) if rows else None

    @override
    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        if self.outside is not None:
            self._sessions.check_free()
            return self.outside.nearest(probes, max_distance=max_distance, limit=limit)
        return self._nearest(lambda: self._index, self._names, probes, max_distance, limit)

    def _nearest(
        self,
        index_now: Callable[[], LiveIndex],
        names: Callable[[Sequence[int]], list[str]],
        probes: FloatArray,
        max_distance: float,
        limit: int,
    ) -> list[Ranked]:
        self._sessions.check_free()
        return search_index(
            state=self._committed_state,
            index=index_now,
            update=self._update,
            contradiction=lambda: StorageFormatError(
                f"{self._sessions.path}: damaged, its tables contradict each other"
            ),
            search=lambda index: index.nearest(probes, max_distance=max_distance, limit=limit, names=names),
        )

    def _committed_state(self) -> State:
        with self._sessions.committed() as sql:
            return self._state(sql)

    def _update(self, index: LiveIndex) -> None:
        with index.changing(), self.snapshot() as (rows, state):
            index.catch_up(rows, state)

    # ---------------------------------------------------------------- an index outside

    @override
    @contextlib.contextmanager
    def snapshot(self) -> Iterator[tuple[VectorRows, State]]:
        with self._erasing_after(), self._sessions.committed() as sql:
            yield FileRows(sql, self._entry.number, self._entry.face_model.dimension), self._state(sql)

    @override
    def may_record(self) -> bool:
        return not self._sessions.is_mine() and not self._sessions.read_only

    @override
    def record_index(self, before: IndexPosition, after: IndexPosition) -> bool:
        query = """UPDATE collections SET index_epoch = ?, index_users = ?, index_faces = ?
            WHERE id = ? AND index_epoch IS ? AND index_users = ? AND index_faces = ?"""
        values = (*attrs.astuple(after), self._entry.number, *attrs.astuple(before))
        with self._sessions.writing() as sql:
            return sql.execute(query, values).rowcount > 0

    # ---------------------------------------------------------------- faces

    @override
    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        if self.outside is not None:
            self._sessions.check_free()
            return self.outside.nearest_faces(probes, max_distance=max_distance, limit=limit)
        return self._nearest(lambda: self._face_index, self._face_ids, probes, max_distance, limit)

    @override
    def faces(self, user_id: str | None = None, *, after: str = "", limit: int | None = None) -> list[Face]:
        if user_id is None:
            condition, owner = "faces.collection = ?", self._entry.number
        else:
            condition, owner = "uid = ?", self._uids([user_id])[user_id]
        query = f"{_FACES} WHERE {condition} AND face_id > ? ORDER BY face_id LIMIT ?"
        most = -1 if limit is None else limit  # -1 is SQLite's for no limit
        return [self._face(*row) for row in self._rows(_FACE_KINDS, query, owner, uuid_bytes(after), most)]

    @override
    def faces_by_id(self, face_ids: Iterable[str]) -> dict[str, Face]:
        query = f"{_FACES} WHERE faces.collection = ? AND face_id IN (*)"
        with self._sessions.reading() as sql:
            rows = among(sql, _FACE_KINDS, query, map(uuid_bytes, face_ids), self._entry.number)
            faces = [self._face(*row) for row in rows]
        return {face.face_id: face for face in faces}

    @override
    def stored_faces(self) -> Iterator[StoredFace]:
        query = _FACES.replace("SELECT", "SELECT face_data.vector, jpeg,", 1).replace(
            "LEFT", "LEFT JOIN thumbnails USING (fid) LEFT", 1
        )
        with self._sessions.reading() as sql:
            known: set[str | None] = {None, *(user_id for user_id, _ in self.users())}
            everything = f"{query} WHERE faces.collection = ? ORDER BY face_id"
            kinds = (VALUE, _JPEG, *_FACE_KINDS)
            for rows in fetch_parts(sql, kinds, everything, (self._entry.number,), size=AT_ONCE):
                vectors = self._vectors([(row[0], row[2]) for row in rows], "face_data")
                for (_, jpeg, *columns), vector in zip(rows, vectors, strict=True):
                    face = self._face(*columns)
                    if face.user_id not in known:
                        raise StorageFormatError(
                            f"{self._sessions.path}: damaged, a face belongs to a user that does not exist"
                        )
                    yield StoredFace(face, vector, jpeg)

    @override
    def embedding(self, face_id: str) -> FloatArray:
        (fid,) = self._fids([face_id]).values()
        rows = self._rows((VALUE, ID), "SELECT vector, fid FROM face_data WHERE fid = ?", fid) or [(None, fid)]
        vector: FloatArray = self._vectors(rows, "face_data")[0]
        return vector

    @override
    def thumbnail(self, face_id: str) -> bytes | None:
        (fid,) = self._fids([face_id]).values()
        rows = self._rows((_JPEG,), "SELECT jpeg FROM thumbnails WHERE fid = ?", fid)
        return next((jpeg for (jpeg,) in rows), None)

    @override
    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        block = self._changing()
        for some in in_parts(faces, AT_ONCE):
            new = list(enumerate(some, self._next("faces")))
            uids = self._uids({each.face.user_id for each in some if each.face.user_id is not None})
            block.sql.executemany(
                "INSERT INTO faces (fid, collection, face_id, uid) VALUES (?, ?, ?, ?)",
                (
                    (fid, self._entry.number, uuid_bytes(face.face_id), uids[face.user_id] if face.user_id else None)
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

    @override
    def remove_faces(self, face_ids: Iterable[str]) -> None:
        block, found = self._changing(), self._fids(face_ids)
        fids = found.values()
        self.forget_changes_of(found)
        block.sql.executemany("DELETE FROM set_aside WHERE fid = ?", ((fid,) for fid in fids))
        block.sql.executemany("DELETE FROM faces WHERE fid = ?", ((fid,) for fid in fids))
        block.sql.executemany(
            "INSERT INTO gone_faces (collection, fid) VALUES (?, ?)", ((self._entry.number, fid) for fid in fids)
        )
        empty_faces(block.sql, fids)
        block.faces -= len(fids)
        block.erased = block.erased or bool(fids)

    @override
    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        block, fids = self._changing(), self._fids(face_ids).values()
        uid = None if user_id is None else self._uids([user_id])[user_id]
        owned = "SELECT fid FROM faces WHERE uid IS NOT NULL AND fid IN (*)"
        block.erased |= bool(among(block.sql, (ID,), owned, fids))  # the vector of their user will change
        block.sql.executemany("UPDATE faces SET uid = ? WHERE fid = ?", ((uid, fid) for fid in fids))
        if uid is not None:
            block.sql.executemany("DELETE FROM set_aside WHERE fid = ?", ((fid,) for fid in fids))

    @override
    def set_aside(self, face_ids: Iterable[str], *, aside: bool) -> None:
        statement = "DELETE FROM set_aside WHERE fid = ? AND collection = ?"
        if aside:
            statement = "INSERT OR IGNORE INTO set_aside (fid, collection) VALUES (?, ?)"
        fids = self._fids(face_ids).values()
        self._changing().sql.executemany(statement, ((fid, self._entry.number) for fid in fids))

    @override
    def aside(self) -> frozenset[str]:
        query = "SELECT face_id FROM set_aside JOIN faces USING (fid) WHERE set_aside.collection = ?"
        return frozenset(uuid_text(face_id) for (face_id,) in self._added_rows((UUID_BYTES,), query))

    # ---------------------------------------------------------------- changes that can be undone

    @override
    def changes(self) -> list[tuple[int, str]]:
        query = (
            "SELECT number, change FROM changes JOIN change_data USING (number) WHERE collection = ? ORDER BY number"
        )
        return self._added_rows((ID, TEXT), query)

    @override
    def put_change(self, change: str) -> None:
        sql, number = self._changing().sql, self._next("changes")
        sql.execute("INSERT INTO changes (number, collection) VALUES (?, ?)", (number, self._entry.number))
        sql.execute("INSERT INTO change_data (number, change) VALUES (?, ?)", (number, change))

    @override
    def forget_changes(self, numbers: Iterable[int]) -> None:
        block, gone = self._changing(), list(numbers)
        block.sql.executemany("DELETE FROM changes WHERE number = ?", ((number,) for number in gone))
        empty_changes(block.sql, gone)
        block.erased = block.erased or bool(gone)

    # ---------------------------------------------------------------- outcomes of rejected photos

    @override
    def photo_outcome(self, key: str) -> tuple[str, str | None] | None:
        query = "SELECT outcome, user_id FROM photos LEFT JOIN user_data ON uid = other_uid WHERE collection = ? AND key = ?"
        rows = self._rows((TEXT, USER_ID.or_null), query, self._entry.number, self._key(key))
        return next(((outcome, user_id) for outcome, user_id in rows), None)

    @override
    def remember_photo(self, key: str, outcome: str, user_id: str | None, other_user_id: str | None) -> None:
        other = None if other_user_id is None else self._uids([other_user_id])[other_user_id]
        name = None if user_id is None else self._hash(user_id)
        self._changing().sql.execute(
            "INSERT OR REPLACE INTO photos (collection, key, name_hash, other_uid, outcome) VALUES (?, ?, ?, ?, ?)",
            (self._entry.number, self._key(key), name, other, outcome),
        )

    @override
    def forget_photos(self, user_id: str | None = None) -> int:
        block, number = self._changing(), self._entry.number
        if user_id is None:
            gone = block.sql.execute("DELETE FROM photos WHERE collection = ?", (number,)).rowcount
        else:
            other = self._uids([user_id]).get(user_id)
            query = "DELETE FROM photos WHERE collection = ? AND (name_hash = ? OR other_uid = ?)"
            gone = block.sql.execute(query, (number, self._hash(user_id), other)).rowcount
        block.erased = block.erased or gone > 0
        return gone

    # ---------------------------------------------------------------- waiting photos: enrolled later

    @override
    def put_waiting(self, photos: Iterable[tuple[str, str, StoredFace]]) -> None:
        given = {key: (user_id, stored) for key, user_id, stored in photos}
        block, known = self._changing(), self.waiting(given)
        for wid, key in enumerate((key for key in given if key not in known), self._next("waiting")):
            user_id, stored = given[key]
            block.sql.execute(
                "INSERT INTO waiting (wid, collection, key, name_hash) VALUES (?, ?, ?, ?)",
                (wid, self._entry.number, self._key(key), self._hash(user_id)),
            )
            vector = stored.embedding.astype(STORED).tobytes()
            block.sql.execute(
                _PUT_WAITING,
                (wid, vector, uuid_bytes(stored.face.face_id), *personal_columns(stored.face), stored.thumbnail),
            )

    @override
    def waiting(self, keys: Iterable[str]) -> dict[str, StoredFace]:
        hashed = {self._key(key): key for key in keys}
        with self._sessions.reading() as sql:
            rows = among(sql, _WAITING_KINDS, _WAITING, hashed, self._entry.number)
        vectors = self._vectors([row[1:3] for row in rows], "waiting_data")
        return {
            hashed[key]: StoredFace(self._face(wid, face_id, None, *columns), vector, jpeg)
            for (key, _, wid, jpeg, face_id, *columns), vector in zip(rows, vectors, strict=True)
        }

    @override
    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        sql, number = self._changing().sql, self._entry.number
        query = "SELECT wid FROM waiting WHERE collection = ?"
        if user_ids is None:
            rows = fetch(sql, (ID,), query, (number,))
        else:
            rows = among(sql, (ID,), f"{query} AND name_hash IN (*)", map(self._hash, user_ids), number)
        sql.executemany("DELETE FROM waiting WHERE wid = ?", rows)
        empty_waiting(sql, [wid for (wid,) in rows])
        self._changing().erased |= bool(rows)
        return len(rows)

    # ---------------------------------------------------------------- answers to idempotent requests

    @override
    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        query = "SELECT answer, request = ? FROM answers WHERE collection = ? AND token = ?"
        values = self._keyed(request), self._entry.number, self._keyed(token)
        return next(((answer, bool(same)) for answer, same in self._rows((TEXT, COUNT), query, *values)), None)

    @override
    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        self._changing().sql.execute(
            "INSERT INTO answers (collection, token, request, answer, given) VALUES (?, ?, ?, ?, ?)",
            (self._entry.number, self._keyed(token), self._keyed(request), answer, given),
        )

    @override
    def forget_answers(self, before: float) -> None:
        self._changing().sql.execute(_FORGET_ANSWERS, (self._entry.number, before))

    # ---------------------------------------------------------------- rows

    def _state(self, sql: sqlite3.Connection) -> State:
        query = """SELECT change, forgotten, faces, (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'faces')
            FROM collections WHERE id = ?"""
        if self._rereads < self._sessions.rereads:  # a file that was read without locks changed meanwhile
            self._rereads = self._sessions.rereads
            self._begin()
        for change, forgotten, faces, last_face in fetch(sql, (ID, ID, COUNT, ID), query, (self._entry.number,)):
            return State(change=change, forgotten=forgotten, faces=faces, last_face=last_face)
        name = self._entry.collection_id
        raise CollectionNotFoundError(f"{self._sessions.path}: collection {name!r} was deleted while it was open")

    def _changing(self) -> _Block:
        if self._block is None:
            raise RuntimeError("a change outside of a writing() block")
        return self._block

    def _rows(self, kinds: Sequence[Kind], query: str, *values: Any) -> list[Any]:
        with self._sessions.reading() as sql:
            return fetch(sql, kinds, query, values)

    def _added_rows(self, kinds: Sequence[Kind], query: str) -> list[Any]:
        """Fetch rows of this collection from a table that a file of the older format lacks; such a file is only read."""
        with self._sessions.reading() as sql:
            ((format_,),) = fetch(sql, (COUNT,), "PRAGMA user_version")
            return fetch(sql, kinds, query, (self._entry.number,)) if format_ > OLDEST_FORMAT else []

    def _next(self, table: str) -> int:
        """Return the first number that no row of a table ever had, so that personal rows are only appended."""
        query = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?"
        ((number,),) = self._rows((ID,), query, table)
        return int(number)

    def _hash(self, user_id: str) -> int:
        digest = hashlib.blake2b(user_id.encode(), key=self._entry.salt, digest_size=8).digest()
        return int.from_bytes(digest, "little", signed=True)

    def _key(self, key: str) -> bytes:
        return hashlib.blake2b(bytes.fromhex(key), key=self._entry.salt, digest_size=16).digest()

    def _keyed(self, text: str) -> bytes:
        return keyed_hash(text, self._entry.salt)

    def _uids(self, user_ids: Iterable[str]) -> dict[str, int]:
        """Return the row numbers of the existing users among those ids."""
        given = set(user_ids)
        query = "SELECT user_id, uid FROM users JOIN user_data USING (uid) WHERE collection = ? AND name_hash IN (*)"
        with self._sessions.reading() as sql:
            rows = among(sql, (USER_ID, ID), query, map(self._hash, given), self._entry.number)
        return {user_id: uid for user_id, uid in rows if user_id in given}  # other users may have the same hash

    def _names(self, uids: Sequence[int]) -> list[str]:
        query = "SELECT uid, user_id FROM users JOIN user_data USING (uid) WHERE uid IN (*)"
        return self._ids_of(USER_ID, query, uids)

    def _face_ids(self, fids: Sequence[int]) -> list[str]:
        query = "SELECT fid, face_id FROM faces WHERE fid IN (*)"
        return [uuid_text(face_id) for face_id in self._ids_of(UUID_BYTES, query, fids)]

    def _ids_of(self, kind: Kind, query: str, numbers: Sequence[int]) -> list[Any]:
        with self._sessions.committed() as sql:
            found = dict(among(sql, (ID, kind), query, numbers))
        if len(found) < len(numbers):
            raise NameGoneError
        return [found[number] for number in numbers]

    def _fids(self, face_ids: Iterable[str]) -> dict[str, int]:
        """Return the row numbers of the existing faces among those ids."""
        query = "SELECT face_id, fid FROM faces WHERE collection = ? AND face_id IN (*)"
        with self._sessions.reading() as sql:
            rows = among(sql, (UUID_BYTES, ID), query, map(uuid_bytes, face_ids), self._entry.number)
        return {uuid_text(face_id): fid for face_id, fid in rows}

    def _vectors_of(self, uids: Sequence[int]) -> Iterator[tuple[int, FloatArray]]:
        """Iterate over the users that have faces, each with the vectors of its faces."""
        query = "SELECT vector, fid, uid FROM faces JOIN face_data USING (fid) WHERE uid IN (*)"
        with self._sessions.reading() as sql:
            rows = sorted(among(sql, (VALUE, ID, ID), query, uids), key=lambda row: row[2])
        vectors = self._vectors([row[:2] for row in rows], "face_data")
        starts = [place for place, row in enumerate(rows) if place == 0 or row[2] != rows[place - 1][2]]
        ends = [*starts[1:], len(rows)] if rows else []
        for first, last in zip(starts, ends, strict=True):
            yield rows[first][2], vectors[first:last]

    def _vectors(self, rows: Sequence[tuple[bytes, int]], table: str) -> FloatArray:
        dimension = self._entry.face_model.dimension
        where = f"{self._sessions.path}: {table}"
        return read_vectors([blob for blob, _ in rows], dimension, lambda place: f"{where} {rows[place][1]}")

    def _face(self, fid: int, face_id: bytes, user_id: str | None, *columns: Any) -> Face:
        where = f"{self._sessions.path}: face_data {fid}"
        return face_of(face_id, user_id, columns, face_model=self._entry.face_model, where=where)
