"""The store in a database: what a file and a server have in common, in the SQL that both understand.

The vectors of users are held in memory, and those of faces after the first search of faces: see `facesearch.storage.live_index`. Nothing
else that another process could change is cached.
"""

import contextlib
import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from facesearch.storage.face_rows import PERSONAL, face_of, uuid_bytes, uuid_text
from facesearch.storage.live_index import (
    USER_ID,
    FaceIndex,
    IndexPosition,
    LiveIndex,
    OutsideIndex,
    State,
    UserIndex,
    VectorRows,
)
from facesearch.storage.sql import BLOB, COUNT, ID, TEXT, UUID_BYTES, VALUE, Connections, Kind, Tables, in_parts
from facesearch.storage.store import Anchor, Counts, Store, StoredFace

__all__ = ["FORGET_ANSWERS", "Block", "DatabaseStore"]

FORGET_ANSWERS: Final = "DELETE FROM answers WHERE collection = ? AND given < ?"

_AT_ONCE: Final = 1000  # users of which all vectors are read at once
_ALL: Final = 1 << 62  # as a limit of rows
_FACE_KINDS: Final = (ID, UUID_BYTES, USER_ID.or_null, *[VALUE] * len(PERSONAL))  # `Face` checks personal columns
_JPEG: Final = BLOB.or_null
_SECRET: Final = Kind("a secret", frozenset({bytes}), lambda value: len(value) == SECRET_BYTES)


@attrs.define(kw_only=True)
class Block:
    """The changes of an open transaction."""

    sql: Any  # a connection of the database's own class
    change: int  # its number
    last_face: int = 0  # as in `State`; not in a file
    most_faces: int = 0
    touched: bool = False  # users were added or removed, or their vectors changed
    users: int = 0  # added, less those removed
    faces: int = 0
    erased: bool = False


class _NameGoneError(Exception):
    """A user or face that a search found was deleted meanwhile."""


class DatabaseStore(Store, ABC):
    """A store in a database, with connections of its own, and the source of an index outside.

    *offset* is that of `facesearch.storage.memory.MemoryStore`.
    """

    def __init__(self, sessions: Connections, tables: Tables, entry: Entry, offset: Callable[[int], float]) -> None:
        self.name = sessions.name  # of the database, for messages
        self.outside: OutsideIndex | None = None  # searches in the place of the store
        self._sessions, self._tables, self._entry, self._offset = sessions, tables, entry, offset
        self._number, self._dimension = entry.number, entry.face_model.dimension
        user_id = f"SELECT user_id FROM {tables.names} WHERE uid = faces.uid"  # noqa: S608  # constant names
        self._face_columns = f"fid, face_id, ({user_id}), {', '.join(PERSONAL)} FROM {tables.faces}"
        self._block: Block | None = None  # the open one; its thread holds the lock of the sessions
        self._begin()

    def _begin(self) -> None:
        self._indexes = {kind: self._new_index(kind) for kind in ("users", "faces")}

    def _new_index(self, kind: str) -> LiveIndex:
        return UserIndex(self._dimension, self._offset) if kind == "users" else FaceIndex(self._dimension)

    # ---------------------------------------------------------------- what differs

    @abstractmethod
    def _user_rows(self, kinds: Sequence[Kind], columns: str, user_ids: Iterable[str]) -> list[Any]:
        """Return the user ids and those columns of the existing users among some ids."""

    @abstractmethod
    def _put_vectors(self, made: Mapping[int, tuple[int, FloatArray | None]]) -> None:
        """Store the numbers of faces and the vectors of users, by row number; ``None`` for a user without faces."""

    @abstractmethod
    def _hash(self, user_id: str) -> Any:
        """Return the keyed hash of a user id."""

    @abstractmethod
    def _read(self, vectors: Sequence[Any], kind: str, numbers: Sequence[int]) -> FloatArray:
        """Decode stored vectors of ``"users"``, ``"faces"`` or ``"waiting"`` photos: (N, dimension) float32."""

    @abstractmethod
    def _state(self, sql: Any) -> State:
        """Read the state of the collection."""

    @abstractmethod
    def _committed_state(self) -> State:
        """Read the last committed state of the collection."""

    @abstractmethod
    def _vector_rows(self, sql: Any) -> VectorRows:
        """Return the rows of the collection for an index."""

    def _overwrite(self, kind: str, numbers: Sequence[int]) -> None:
        """Overwrite the personal data of deleted rows of ``"users"``, ``"faces"`` or ``"changes"``, where the database does not."""

    # ---------------------------------------------------------------- blocks

    @override
    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with self._sessions.reading() as sql:
            self._state(sql)
            yield

    @override
    def close(self) -> None:
        """Close the connections; every later call is an error."""
        if self.outside is not None:
            self.outside.close()
        self._sessions.close()
        self._begin()

    def __reduce__(self) -> NoReturn:
        raise StorageError(
            f"{self.name}: a stored collection can't be pickled or copied; "
            f"open it where it is needed, with Collection.open(path, {self._entry.collection_id!r})"
        )

    @override
    def secret(self) -> bytes:
        ((secret,),) = self._rows((_SECRET,), "SELECT secret FROM collections WHERE id = ?", self._number)
        return bytes(secret)

    @override
    def set_secret(self, secret: bytes) -> None:
        self._change("UPDATE collections SET secret = ? WHERE id = ?", secret, self._number)

    @override
    def count(self) -> Counts:
        query = "SELECT users, faces FROM collections WHERE id = ?"
        users, faces = next(iter(self._rows((COUNT, COUNT), query, self._number)), (0, 0))
        if self._block and self._sessions.is_writing():  # written when the block ends
            users, faces = users + self._block.users, faces + self._block.faces
        return Counts(users=users, faces=faces)

    @override
    def count_unassociated(self) -> int:
        query = "SELECT count(*) FROM faces WHERE uid IS NULL AND collection = ?"
        ((count,),) = self._rows((COUNT,), query, self._number)
        return int(count)

    # ---------------------------------------------------------------- users

    @override
    def has_user(self, user_id: str) -> bool:
        return user_id in self._uids([user_id])

    @override
    def users(self) -> list[tuple[str, int]]:
        query = f"SELECT user_id, faces FROM {self._tables.users} WHERE collection = ? ORDER BY user_id"  # noqa: S608  # constant names
        return self._rows((USER_ID, COUNT), query, self._number)

    @override
    def page_of_users(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        query = f"""SELECT uid, user_id, faces FROM {self._tables.users}
            WHERE collection = ? AND uid > ? ORDER BY uid LIMIT ?"""  # noqa: S608  # constant names
        return self._rows((ID, USER_ID, COUNT), query, self._number, after, limit)

    @override
    def delete_user(self, user_id: str, *, keep_changes: bool = False) -> None:
        block, (uid,) = self._changing(), self._uids([user_id]).values()
        self.forget_photos(user_id)
        self.forget_waiting([user_id])
        if not keep_changes:
            self.forget_changes_of([user_id])
        self._change("UPDATE faces SET uid = NULL WHERE uid = ?", uid)
        self._change("DELETE FROM users WHERE uid = ?", uid)
        gone = f"INSERT INTO {self._tables.gone_users} (uid, collection, change) VALUES (?, ?, ?)"  # noqa: S608  # constant names
        self._change(gone, uid, self._number, block.change)
        self._overwrite("users", [uid])
        block.users -= 1
        block.touched = block.erased = True

    @override
    def faces_of(self, user_id: str) -> frozenset[str]:
        uids = self._uids([user_id]).values()
        return frozenset(
            uuid_text(face_id)
            for (face_id,) in self._among((UUID_BYTES,), "SELECT face_id FROM faces WHERE uid IN (*)", uids)
        )

    @override
    def face_counts(self, user_ids: Iterable[str]) -> dict[str, int]:
        counts = dict.fromkeys(user_ids, 0)
        return counts | dict(self._user_rows((COUNT,), "faces", counts))

    @override
    def user_vectors(self) -> tuple[list[str], FloatArray]:
        query = f"""SELECT user_id, vector, uid FROM {self._tables.users}
            WHERE collection = ? AND faces > 0 ORDER BY user_id, uid"""  # noqa: S608  # constant names
        rows = self._rows((USER_ID, VALUE, ID), query, self._number)
        return [user_id for user_id, _, _ in rows], self._vectors([row[1:] for row in rows], "users")

    @override
    def refresh(self, user_ids: Iterable[str]) -> None:
        block, query = self._changing(), f"SELECT vector, fid, uid FROM {self._tables.faces} WHERE uid IN (*)"  # noqa: S608  # constant names
        for some in in_parts(user_ids, _AT_ONCE):
            uids = sorted(self._uids(some).values())
            rows = sorted(self._among((VALUE, ID, ID), query, uids), key=lambda row: row[2])
            vectors, end = self._vectors([row[:2] for row in rows], "faces"), 0
            made: dict[int, tuple[int, FloatArray | None]] = dict.fromkeys(uids, (0, None))
            for uid, own in itertools.groupby(row[2] for row in rows):
                start, end = end, end + len(list(own))
                mean = robust_mean(vectors[start:end]) if end - start > 1 else vectors[start]
                made[uid] = end - start, mean
            self._put_vectors(made)
        block.touched = True

    @override
    def anchor(self, user_id: str) -> Anchor | None:
        for _, faces, vector, uid in self._user_rows((COUNT, VALUE, ID), "faces, vector, uid", [user_id]):
            if faces:
                return Anchor(self._vectors([(vector, uid)], "users")[0], self._offset(faces))
        return None

    # ---------------------------------------------------------------- search

    @override
    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        self._sessions.check_free()
        if self.outside is not None:
            return self.outside.nearest(probes, max_distance=max_distance, limit=limit)
        return self._search("users", self._committed_state(), probes, max_distance, limit)

    @override
    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        self._sessions.check_free()
        if self.outside is not None:
            return self.outside.nearest_faces(probes, max_distance=max_distance, limit=limit)
        return self._search("faces", self._committed_state(), probes, max_distance, limit)

    def _search(self, kind: str, now: State, probes: FloatArray, max_distance: float, limit: int) -> list[Ranked]:
        """Search an index that is up to date with the last commit; search again if a result was deleted meanwhile."""
        before = None
        while now != before:
            before, index = now, self._indexes[kind]
            if not index.is_current(now):
                with index.changing(), self.snapshot() as (rows, state):
                    index.catch_up(rows, state)
            with contextlib.suppress(_NameGoneError):
                return index.nearest(
                    probes, max_distance=max_distance, limit=limit, names=lambda numbers: self._names(kind, numbers)
                )
            now = self._committed_state()
        raise self._contradiction()  # a name is missing although nothing changed

    def _names(self, kind: str, numbers: Sequence[int]) -> list[str]:
        """Return the ids of users or faces that a search found.

        Raises
        ------
        _NameGoneError
            If one has no name any more: the next ones move up then.
        """
        if kind == "users":
            query = f"SELECT uid, user_id FROM {self._tables.users} WHERE uid IN (*)"  # noqa: S608  # constant names
            found = dict(self._sessions.committed_among((ID, USER_ID), query, numbers))
        else:
            query = "SELECT fid, face_id FROM faces WHERE fid IN (*)"
            found = {
                fid: uuid_text(face_id)
                for fid, face_id in self._sessions.committed_among((ID, UUID_BYTES), query, numbers)
            }
        if len(found) < len(numbers):
            raise _NameGoneError
        return [found[number] for number in numbers]

    # ---------------------------------------------------------------- an index outside

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[tuple[VectorRows, State]]:
        """Read one committed state."""
        with self._sessions.committed() as sql:
            yield self._vector_rows(sql), self._state(sql)

    def may_record(self) -> bool:
        """Check whether this thread may call `record_index`: not where nothing can be written, nor within `writing`."""
        return not self._sessions.is_mine() and not self._sessions.read_only

    def record_index(self, before: IndexPosition, after: IndexPosition) -> bool:
        """Replace the record of the index outside if it still equals *before*; return whether it did."""
        statement = """UPDATE collections SET index_epoch = ?, index_users = ?, index_faces = ?
            WHERE id = ? AND index_epoch IS ? AND index_users = ? AND index_faces = ?"""
        with self._sessions.writing() as sql:
            return sql.change(statement, *attrs.astuple(after), self._number, *attrs.astuple(before)) > 0

    # ---------------------------------------------------------------- faces

    @override
    def faces(self, user_id: str | None = None, *, after: str = "", limit: int | None = None) -> list[Face]:
        condition, owner = "collection", self._number
        if user_id is not None:
            condition, owner = "uid", self._uids([user_id])[user_id]
        query = f"SELECT {self._face_columns} WHERE {condition} = ? AND face_id > ? ORDER BY face_id LIMIT ?"
        rows = self._rows(_FACE_KINDS, query, owner, uuid_bytes(after), _ALL if limit is None else limit)
        return [self._face("faces", *row) for row in rows]

    @override
    def faces_by_id(self, face_ids: Iterable[str]) -> dict[str, Face]:
        query = f"SELECT {self._face_columns} WHERE collection = ? AND face_id IN (*)"
        rows = self._among(_FACE_KINDS, query, map(uuid_bytes, face_ids), self._number)
        return {face.face_id: face for face in (self._face("faces", *row) for row in rows)}

    @override
    def stored_faces(self) -> Iterator[StoredFace]:
        query = f"""SELECT vector, jpeg, {self._face_columns} LEFT JOIN thumbnails USING (fid)
            WHERE collection = ? ORDER BY face_id"""  # constant names
        with self._sessions.reading() as sql:
            for rows in sql.parts((VALUE, _JPEG, *_FACE_KINDS), query, self._number):
                vectors = self._vectors([(row[0], row[2]) for row in rows], "faces")
                for (_, jpeg, *columns), vector in zip(rows, vectors, strict=True):
                    yield StoredFace(self._face("faces", *columns), vector, jpeg)

    @override
    def embedding(self, face_id: str) -> FloatArray:
        query = f"SELECT vector, fid FROM {self._tables.faces} WHERE collection = ? AND face_id = ?"  # noqa: S608  # constant names
        rows = self._rows((VALUE, ID), query, self._number, uuid_bytes(face_id))
        if not rows:
            raise self._contradiction()
        vector: FloatArray = self._vectors(rows, "faces")[0]
        return vector

    @override
    def thumbnail(self, face_id: str) -> bytes | None:
        query = "SELECT jpeg FROM thumbnails JOIN faces USING (fid) WHERE collection = ? AND face_id = ?"
        return next((jpeg for (jpeg,) in self._rows((_JPEG,), query, self._number, uuid_bytes(face_id))), None)

    @override
    def remove_faces(self, face_ids: Iterable[str]) -> None:
        block, found = self._changing(), self._fids(face_ids)
        fids = list(found.values())
        self.forget_changes_of(found)
        self._change_among(
            "INSERT INTO gone_faces (collection, fid) SELECT collection, fid FROM faces WHERE fid IN (*)", fids
        )
        self._change_among("DELETE FROM faces WHERE fid IN (*)", fids)
        self._overwrite("faces", fids)
        block.faces -= len(fids)
        block.erased |= bool(fids)

    @override
    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        block, fids = self._changing(), list(self._fids(face_ids).values())
        uid = None if user_id is None else self._uids([user_id])[user_id]
        owned = "SELECT fid FROM faces WHERE uid IS NOT NULL AND fid IN (*)"
        block.erased |= bool(self._among((ID,), owned, fids))  # the vector of their user will change
        self._change_among("UPDATE faces SET uid = ? WHERE fid IN (*)", fids, uid)
        if uid is not None:
            self._change_among("DELETE FROM set_aside WHERE fid IN (*)", fids)

    @override
    def set_aside(self, face_ids: Iterable[str], *, aside: bool) -> None:
        statement = "DELETE FROM set_aside WHERE fid IN (*)"
        if aside:
            statement = """INSERT INTO set_aside (fid, collection) SELECT fid, collection FROM faces WHERE fid IN (*)
                ON CONFLICT DO NOTHING"""
        self._change_among(statement, self._fids(face_ids).values())

    @override
    def aside(self) -> frozenset[str]:
        query = "SELECT face_id FROM set_aside JOIN faces USING (fid) WHERE set_aside.collection = ?"
        return frozenset(uuid_text(face_id) for (face_id,) in self._rows((UUID_BYTES,), query, self._number))

    # ---------------------------------------------------------------- changes that can be undone

    @override
    def changes(self) -> list[tuple[int, str]]:
        query = f"SELECT number, change FROM {self._tables.changes} WHERE collection = ? ORDER BY number"  # noqa: S608  # constant names
        return self._rows((ID, TEXT), query, self._number)

    @override
    def forget_changes(self, numbers: Iterable[int]) -> None:
        block, gone = self._changing(), list(numbers)
        self._change_among("DELETE FROM changes WHERE number IN (*)", gone)
        self._overwrite("changes", gone)
        block.erased |= bool(gone)

    # ---------------------------------------------------------------- outcomes of rejected photos

    @override
    def photo_outcome(self, key: str) -> tuple[str, str | None] | None:
        query = f"""SELECT outcome, user_id FROM photos LEFT JOIN {self._tables.names} ON uid = other_uid
            WHERE photos.collection = ? AND key = ?"""  # noqa: S608  # constant names
        return next(iter(self._rows((TEXT, USER_ID.or_null), query, self._number, self._key(key))), None)

    @override
    def remember_photo(self, key: str, outcome: str, user_id: str | None, other_user_id: str | None) -> None:
        other = None if other_user_id is None else self._uids([other_user_id])[other_user_id]
        name = None if user_id is None else self._hash(user_id)
        self._change(
            """INSERT INTO photos (collection, key, name_hash, other_uid, outcome) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (collection, key) DO UPDATE
            SET name_hash = excluded.name_hash, other_uid = excluded.other_uid, outcome = excluded.outcome""",
            *(self._number, self._key(key), name, other, outcome),
        )

    @override
    def forget_photos(self, user_id: str | None = None) -> int:
        block, statement = self._changing(), "DELETE FROM photos WHERE collection = ?"
        if user_id is None:
            gone = self._change(statement, self._number)
        else:
            other = self._uids([user_id]).get(user_id)
            statement += " AND (name_hash = ? OR other_uid = ?)"
            gone = self._change(statement, self._number, self._hash(user_id), other)
        block.erased |= gone > 0
        return gone

    # ---------------------------------------------------------------- waiting photos: enrolled later

    @override
    def waiting(self, keys: Iterable[str]) -> dict[str, StoredFace]:
        hashed = {self._key(key): key for key in keys}
        query = f"""SELECT key, vector, jpeg, wid, face_id, NULL, {", ".join(PERSONAL)}
            FROM {self._tables.waiting} WHERE collection = ? AND key IN (*)"""  # noqa: S608  # constant names
        rows = self._among((BLOB, VALUE, _JPEG, *_FACE_KINDS), query, hashed, self._number)
        vectors = self._vectors([(row[1], row[3]) for row in rows], "waiting")
        return {
            hashed[key]: StoredFace(self._face("waiting", *columns), vector, jpeg)
            for (key, _, jpeg, *columns), vector in zip(rows, vectors, strict=True)
        }

    # ---------------------------------------------------------------- answers to idempotent requests

    @override
    def forget_answers(self, before: float) -> None:
        self._change(FORGET_ANSWERS, self._number, before)

    # ---------------------------------------------------------------- rows

    def _changing(self) -> Block:
        if self._block is None:
            raise RuntimeError("a change outside of a writing() block")
        return self._block

    def _rows(self, kinds: Sequence[Kind], query: str, *values: Any) -> list[Any]:
        with self._sessions.reading() as sql:
            return sql.rows(kinds, query, *values)

    def _among(self, kinds: Sequence[Kind], query: str, values: Iterable[Any], *first: Any) -> list[Any]:
        with self._sessions.reading() as sql:
            return sql.among(kinds, query, values, *first)

    def _change(self, statement: str, *values: Any) -> int:
        return int(self._changing().sql.change(statement, *values))

    def _change_among(self, statement: str, values: Iterable[Any], *first: Any) -> None:
        self._changing().sql.change_among(statement, values, *first)

    def _deleted(self) -> CollectionNotFoundError:
        name = self._entry.collection_id
        return CollectionNotFoundError(f"{self.name}: collection {name!r} was deleted while it was open")

    def _contradiction(self) -> StorageFormatError:
        return StorageFormatError(f"{self.name}: damaged, its tables contradict each other")

    def _key(self, key: str) -> bytes:
        return hashlib.blake2b(bytes.fromhex(key), key=self._entry.salt, digest_size=16).digest()

    def _keyed(self, text: str) -> bytes:
        return keyed_hash(text, self._entry.salt)

    def _uids(self, user_ids: Iterable[str]) -> dict[str, int]:
        """Return the row numbers of the existing users among those ids."""
        return dict(self._user_rows((ID,), "uid", user_ids))

    def _fids(self, face_ids: Iterable[str]) -> dict[str, int]:
        """Return the row numbers of the existing faces among those ids."""
        query = "SELECT face_id, fid FROM faces WHERE collection = ? AND face_id IN (*)"
        rows = self._among((UUID_BYTES, ID), query, map(uuid_bytes, face_ids), self._number)
        return {uuid_text(face_id): fid for face_id, fid in rows}

    def _vectors(self, rows: Sequence[Sequence[Any]], kind: str) -> FloatArray:
        """Decode the vectors of rows: vector, row number."""
        vectors, numbers = zip(*rows, strict=True) if rows else ((), ())
        return self._read(vectors, kind, numbers)

    def _face(self, kind: str, number: int, face_id: bytes, user_id: str | None, *columns: Any) -> Face:
        where = f"{self.name}: {kind} {number}"
        return face_of(face_id, user_id, columns, face_model=self._entry.face_model, where=where)
