"""The store on a PostgreSQL server, which several processes share.

Below a size, the vectors are searched in the memory of this process, see `facesearch.storage.live_index`; above it, on the server. Nothing
else that another process could change is cached.
"""

import contextlib
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

import attrs
from psycopg import sql as statements
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.domain.entities import Face
from facesearch.errors import CollectionNotFoundError, StorageError, StorageFormatError
from facesearch.matching.template import robust_mean
from facesearch.matching.vector_index import Ranked
from facesearch.storage.content_ids import keyed_hash
from facesearch.storage.database import Entry
from facesearch.storage.face_rows import PERSONAL, face_of, in_parts, personal_columns, uuid_bytes, uuid_text
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
from facesearch.storage.postgres.connections import Connection, Sessions
from facesearch.storage.postgres.erasure import erase
from facesearch.storage.postgres.faults import pooled
from facesearch.storage.postgres.hnsw import ensure_index
from facesearch.storage.postgres.scan import Gallery, scan
from facesearch.storage.postgres.schema import FORMAT
from facesearch.storage.postgres.vectors import ServerRows, Vector, matrix_of
from facesearch.storage.store import Anchor, Counts, Store, StoredFace

__all__ = ["PostgresStore"]

_MOST_IN_MEMORY: Final = 1_000_000
"""Vectors of users, or of faces, that a process holds in memory, 565 MiB of 128 numbers; larger collections are searched on the server.

Measured up to this number, a search in memory was 1.5 to 6 times as fast as an exact one on the server, and takes none of the server's time. What
limits it is the memory of each process, and its first search: docs/postgresql.md, "Measured".
"""

_AT_ONCE: Final = 1000  # rows written at once
_PERSONAL: Final = ", ".join(PERSONAL)
_PERSONAL_TYPES: Final = ("bytea", "text", "float8", "bytea", *["float8"] * 4)
_FACES: Final = f"SELECT face_id, user_id, {_PERSONAL} FROM faces LEFT JOIN users USING (uid)"  # noqa: S608  # constant names
_STATE: Final = "SELECT change, forgotten, users, faces, last_face, most_faces, current_schema()::text FROM collections WHERE id = %s"
_LOCK: Final = _STATE.replace("SELECT", "SELECT (SELECT format FROM about),", 1) + " FOR NO KEY UPDATE"  # noqa: S608  # constant names
_FORGET_ANSWERS: Final = "DELETE FROM answers WHERE collection = %s AND given < %s"


@attrs.frozen(kw_only=True)
class _State(State):
    """The state of a collection on a server, with what decides where to search."""

    users: int
    most_faces: int


@attrs.define(kw_only=True)
class _Block:
    """The changes of an open transaction."""

    sql: Connection
    change: int  # its number
    last_face: int
    most_faces: int
    touched: bool = False  # users were added or removed, or their vectors changed
    users: int = 0  # added, less those removed
    faces: int = 0
    erased: bool = False


class PostgresStore(Store, IndexSource):
    """A store on a PostgreSQL server.

    Parameters
    ----------
    sessions
        The connections to the server, used by no other store.
    entry
        The collection on it.
    offset
        See `facesearch.storage.memory.MemoryStore`.
    exact
        False: search on the server, by approximate indexes, which are built where they are missing.
    """

    def __init__(self, sessions: Sessions, entry: Entry, offset: Any, *, exact: bool = True) -> None:
        self._sessions, self._entry, self._offset, self._exact = sessions, entry, offset, exact
        self._number, self._dimension = entry.number, entry.face_model.dimension
        self._block: _Block | None = None  # the open one; its thread holds the lock of the sessions
        self._indexed_faces = False
        self.index_name = sessions.name
        self.outside: OutsideIndex | None = None  # searches in the place of this store
        self._begin()
        if not exact:
            ensure_index(sessions, "users", self._number, self._dimension)

    def _begin(self) -> None:
        self._index, self._face_index = UserIndex(self._dimension, self._offset), FaceIndex(self._dimension)

    @override
    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with self._sessions.reading() as sql:
            self._state_of(sql.execute(_STATE, (self._number,), binary=True).fetchall())
            yield

    @override
    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Run a transaction. Its changes are durable, as the server is set up, when the block ends."""
        with self._sessions.writing() as sql:
            if self._block:
                yield
                return
            rows = sql.execute(_LOCK, (self._number,), binary=True).fetchall()
            state = self._state_of([row[1:] for row in rows])
            if rows[0][0] > FORMAT:
                raise StorageFormatError(
                    f"{self._sessions.name}: another process brought the tables to format {rows[0][0]}; "
                    "update facesearch here too"
                )
            block = self._block = _Block(
                sql=sql, change=state.change + 1, last_face=state.last_face, most_faces=state.most_faces
            )
            try:
                yield
                sql.execute(
                    """UPDATE collections SET change = %s, users = users + %s, faces = faces + %s, last_face = %s,
                    most_faces = %s, deletions = deletions + %s WHERE id = %s""",
                    (
                        block.change if block.touched else state.change,
                        block.users,
                        block.faces,
                        block.last_face,
                        block.most_faces,
                        int(block.erased),
                        self._number,
                    ),
                )
            finally:
                self._block = None

    def tidy(self, answered_before: float) -> None:
        """Remove old answers, unless others write at that moment or nothing can be written.

        Parameters
        ----------
        answered_before
            As *before* of `forget_answers`.
        """
        query = "SELECT 1 FROM answers WHERE collection = %s AND given < %s LIMIT 1"
        if self._sessions.ask(query, self._number, answered_before) and not self._sessions.read_only:
            with contextlib.suppress(StorageError), self.writing():
                self.forget_answers(answered_before)

    @override
    def erase(self, wait: float) -> bool:
        if self.outside is not None:
            self.outside.erase()
        return erase(self._sessions, wait).done

    @override
    def close(self) -> None:
        """Close the connections; every later call is an error."""
        if self.outside is not None:
            self.outside.close()
        self._sessions.close()
        self._begin()

    @override
    def secret(self) -> bytes:
        ((secret,),) = self._rows("SELECT secret FROM collections WHERE id = %s", self._number)
        return bytes(secret)

    @override
    def set_secret(self, secret: bytes) -> None:
        self._changing().sql.execute("UPDATE collections SET secret = %s WHERE id = %s", (secret, self._number))

    def __reduce__(self) -> NoReturn:
        raise StorageError(
            f"{self._sessions.name}: a collection on a server can't be pickled or copied; "
            f"open it where it is needed, with Collection.open(address, {self._entry.collection_id!r})"
        )

    @override
    def count(self) -> Counts:
        rows = self._rows("SELECT users, faces FROM collections WHERE id = %s", self._number)
        users, faces = rows[0] if rows else (0, 0)
        if self._block and self._sessions.is_writing():  # written when the block ends
            users, faces = users + self._block.users, faces + self._block.faces
        return Counts(users=users, faces=faces)

    @override
    def count_unassociated(self) -> int:
        ((count,),) = self._rows("SELECT count(*) FROM faces WHERE uid IS NULL AND collection = %s", self._number)
        return int(count)

    # ---------------------------------------------------------------- users

    @override
    def has_user(self, user_id: str) -> bool:
        return user_id in self._uids([user_id])

    @override
    def users(self) -> list[tuple[str, int]]:
        return self._rows("SELECT user_id, faces FROM users WHERE collection = %s ORDER BY user_id", self._number)

    @override
    def page_of_users(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        query = "SELECT uid, user_id, faces FROM users WHERE collection = %s AND uid > %s ORDER BY uid LIMIT %s"
        return self._rows(query, self._number, after, limit)

    @override
    def create_users(self, user_ids: Iterable[str]) -> None:
        block = self._changing()
        for some in in_parts(dict.fromkeys(user_ids), _AT_ONCE):
            # In their order: numbers rise in the order in which users are created.
            block.users += block.sql.execute(
                """INSERT INTO users (collection, user_id, change)
                SELECT %s, user_id, %s FROM unnest(%s::text[]) WITH ORDINALITY AS new (user_id, place) ORDER BY place
                ON CONFLICT (collection, user_id) DO NOTHING""",
                (self._number, block.change, some),
            ).rowcount
        block.touched = True

    @override
    def delete_user(self, user_id: str, *, keep_changes: bool = False) -> None:
        block, (uid,) = self._changing(), self._uids([user_id]).values()
        self.forget_photos(user_id)
        self.forget_waiting([user_id])
        if not keep_changes:
            self.forget_changes_of([user_id])
        block.sql.execute("UPDATE faces SET uid = NULL WHERE uid = %s", (uid,))
        block.sql.execute("DELETE FROM users WHERE uid = %s", (uid,))
        block.sql.execute(
            "INSERT INTO gone_users (uid, collection, change) VALUES (%s, %s, %s)", (uid, self._number, block.change)
        )
        block.users -= 1
        block.touched = block.erased = True

    @override
    def faces_of(self, user_id: str) -> frozenset[str]:
        query = "SELECT face_id FROM faces JOIN users USING (uid) WHERE users.collection = %s AND user_id = %s"
        return frozenset(uuid_text(face_id) for (face_id,) in self._rows(query, self._number, user_id))

    @override
    def face_counts(self, user_ids: Iterable[str]) -> dict[str, int]:
        counts = dict.fromkeys(user_ids, 0)
        query = "SELECT user_id, faces FROM users WHERE collection = %s AND user_id = ANY(%s)"
        return counts | dict(self._rows(query, self._number, list(counts)))

    @override
    def user_vectors(self) -> tuple[list[str], FloatArray]:
        query = "SELECT user_id, vector FROM users WHERE collection = %s AND faces > 0 ORDER BY user_id"
        rows = self._rows(query, self._number)
        return [user_id for user_id, _ in rows], self._matrix([vector for _, vector in rows], "users")

    @override
    def refresh(self, user_ids: Iterable[str]) -> None:
        block = self._changing()
        for some in in_parts(user_ids, _AT_ONCE):
            uids = sorted(self._uids(some).values())
            made: dict[int, tuple[int, Vector | None]] = dict.fromkeys(uids, (0, None))
            for uid, own in self._vectors_of(uids):
                made[uid] = len(own), Vector(robust_mean(own) if len(own) > 1 else own[0])
                block.most_faces = max(block.most_faces, len(own))
            # One statement: as many statements as users would take six times as long.
            block.sql.execute(
                """UPDATE users SET faces = new.faces, change = %s, vector = new.vector
                FROM unnest(%s::bigint[], %s::integer[], %b::vector[]) AS new (uid, faces, vector) WHERE users.uid = new.uid""",
                (
                    block.change,
                    list(made),
                    [faces for faces, _ in made.values()],
                    [vector for _, vector in made.values()],
                ),
            )
        block.touched = True

    @override
    def anchor(self, user_id: str) -> Anchor | None:
        query = "SELECT faces, vector FROM users WHERE collection = %s AND user_id = %s AND faces > 0"
        rows = self._rows(query, self._number, user_id)
        return Anchor(self._matrix([rows[0][1]], "users")[0], self._offset(rows[0][0])) if rows else None

    @override
    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        if self.outside is not None:
            self._sessions.check_free()
            return self.outside.nearest(probes, max_distance=max_distance, limit=limit)
        state = self._ready()
        if self._exact and state.users <= _MOST_IN_MEMORY:
            names = self._names
            return self._search(state, lambda: self._index, names, probes, max_distance=max_distance, limit=limit)
        self._index = UserIndex(self._dimension, self._offset)
        offsets = [self._offset(faces) for faces in range(1, state.most_faces + 1)]
        return scan(self._sessions, self._gallery(offsets), probes, max_distance=max_distance, limit=limit)

    # ---------------------------------------------------------------- faces

    @override
    def nearest_faces(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        if self.outside is not None:
            self._sessions.check_free()
            return self.outside.nearest_faces(probes, max_distance=max_distance, limit=limit)
        state = self._ready()
        if self._exact and state.faces <= _MOST_IN_MEMORY:
            names = self._face_ids
            return self._search(state, lambda: self._face_index, names, probes, max_distance=max_distance, limit=limit)
        self._face_index = FaceIndex(self._dimension)
        if not self._exact and not self._indexed_faces:
            ensure_index(self._sessions, "faces", self._number, self._dimension)
            self._indexed_faces = True
        return scan(self._sessions, self._gallery(None), probes, max_distance=max_distance, limit=limit)

    @override
    def faces(self, user_id: str | None = None, *, after: str = "", limit: int | None = None) -> list[Face]:
        condition, owner = ("faces.collection", self._number)
        if user_id is not None:
            condition, owner = "uid", self._uids([user_id])[user_id]
        query = f"{_FACES} WHERE {condition} = %s AND face_id > %s ORDER BY face_id LIMIT %s"
        return [self._face(*row) for row in self._rows(query, owner, uuid_bytes(after), limit)]

    @override
    def faces_by_id(self, face_ids: Iterable[str]) -> dict[str, Face]:
        query = f"{_FACES} WHERE faces.collection = %s AND face_id = ANY(%s::bytea[])"
        rows = self._rows(query, self._number, [uuid_bytes(face_id) for face_id in set(face_ids)])
        return {face.face_id: face for face in (self._face(*row) for row in rows)}

    @override
    def stored_faces(self) -> Iterator[StoredFace]:
        query = _FACES.replace("SELECT", "SELECT faces.vector, jpeg,", 1).replace(
            "LEFT", "LEFT JOIN thumbnails USING (fid) LEFT", 1
        )
        with (
            self._sessions.reading() as sql,
            sql.cursor(name=f"stored_faces_{next(_cursors)}") as cursor,
        ):
            cursor.execute(f"{query} WHERE faces.collection = %s ORDER BY face_id", (self._number,), binary=True)
            while rows := cursor.fetchmany(_AT_ONCE):
                vectors = self._matrix([row[0] for row in rows], "faces")
                for (_, jpeg, *columns), vector in zip(rows, vectors, strict=True):
                    yield StoredFace(self._face(*columns), vector, jpeg and bytes(jpeg))

    @override
    def embedding(self, face_id: str) -> FloatArray:
        query = "SELECT vector FROM faces WHERE collection = %s AND face_id = %s"
        ((vector,),) = self._rows(query, self._number, uuid_bytes(face_id))
        found: FloatArray = self._matrix([vector], "faces")[0]
        return found

    @override
    def thumbnail(self, face_id: str) -> bytes | None:
        query = "SELECT jpeg FROM thumbnails JOIN faces USING (fid) WHERE collection = %s AND face_id = %s"
        return next((bytes(jpeg) for (jpeg,) in self._rows(query, self._number, uuid_bytes(face_id))), None)

    @override
    def put_faces(self, faces: Iterable[StoredFace]) -> None:
        block = self._changing()
        for some in in_parts(faces, _AT_ONCE):
            uids = self._uids({each.face.user_id for each in some if each.face.user_id is not None})
            numbers = block.sql.execute(
                "SELECT nextval(pg_get_serial_sequence('faces', 'fid')) FROM generate_series(1, %s)",
                (len(some),),
                binary=True,
            ).fetchall()
            new = [(fid, each) for (fid,), each in zip(numbers, some, strict=True)]
            _copy(
                block.sql,
                "faces",
                {
                    "fid": "int8",
                    "collection": "int8",
                    "face_id": "bytea",
                    "uid": "int8",
                    **dict(zip(PERSONAL, _PERSONAL_TYPES, strict=True)),
                    "vector": "vector",
                },
                (
                    (
                        fid,
                        self._number,
                        uuid_bytes(each.face.face_id),
                        uids[each.face.user_id] if each.face.user_id else None,
                        *personal_columns(each.face),
                        Vector(each.embedding),
                    )
                    for fid, each in new
                ),
            )
            pictures = [(fid, each.thumbnail) for fid, each in new if each.thumbnail is not None]
            if pictures:
                _copy(block.sql, "thumbnails", {"fid": "int8", "jpeg": "bytea"}, pictures)
            block.faces += len(new)
            block.last_face = max(block.last_face, *(fid for fid, _ in new))

    @override
    def remove_faces(self, face_ids: Iterable[str]) -> None:
        block, found = self._changing(), self._fids(face_ids)
        fids = list(found.values())
        self.forget_changes_of(found)
        block.sql.execute("DELETE FROM faces WHERE fid = ANY(%s)", (fids,))
        block.sql.execute(
            "INSERT INTO gone_faces (collection, fid) SELECT %s, fid FROM unnest(%s::bigint[]) AS gone (fid)",
            (self._number, fids),
        )
        block.faces -= len(fids)
        block.erased = block.erased or bool(fids)

    @override
    def assign(self, face_ids: Iterable[str], user_id: str | None) -> None:
        block, fids = self._changing(), list(self._fids(face_ids).values())
        uid = None if user_id is None else self._uids([user_id])[user_id]
        # The vector of their user will change.
        block.erased |= bool(self._rows("SELECT 1 FROM faces WHERE uid IS NOT NULL AND fid = ANY(%s) LIMIT 1", fids))
        block.sql.execute("UPDATE faces SET uid = %s WHERE fid = ANY(%s)", (uid, fids))
        if uid is not None:
            block.sql.execute("DELETE FROM set_aside WHERE fid = ANY(%s)", (fids,))

    @override
    def set_aside(self, face_ids: Iterable[str], *, aside: bool) -> None:
        fids, sql = list(self._fids(face_ids).values()), self._changing().sql
        if aside:
            sql.execute(
                """INSERT INTO set_aside (fid, collection) SELECT fid, %s FROM unnest(%s::bigint[]) AS new (fid)
                ON CONFLICT DO NOTHING""",
                (self._number, fids),
            )
        else:
            sql.execute("DELETE FROM set_aside WHERE fid = ANY(%s)", (fids,))

    @override
    def aside(self) -> frozenset[str]:
        query = "SELECT face_id FROM set_aside JOIN faces USING (fid) WHERE set_aside.collection = %s"
        return frozenset(uuid_text(face_id) for (face_id,) in self._rows(query, self._number))

    # ---------------------------------------------------------------- changes that can be undone

    @override
    def changes(self) -> list[tuple[int, str]]:
        return self._rows("SELECT number, change FROM changes WHERE collection = %s ORDER BY number", self._number)

    @override
    def put_change(self, change: str) -> None:
        query = "INSERT INTO changes (collection, change) VALUES (%s, %s)"
        self._changing().sql.execute(query, (self._number, change))

    @override
    def forget_changes(self, numbers: Iterable[int]) -> None:
        block, gone = self._changing(), list(numbers)
        block.sql.execute("DELETE FROM changes WHERE number = ANY(%s)", (gone,))
        block.erased = block.erased or bool(gone)

    # ---------------------------------------------------------------- outcomes of rejected photos

    @override
    def photo_outcome(self, key: str) -> tuple[str, str | None] | None:
        query = """SELECT outcome, user_id FROM photos LEFT JOIN users ON uid = other_uid
            WHERE photos.collection = %s AND key = %s"""
        rows = self._rows(query, self._number, self._key(key))
        return next(((outcome, user_id) for outcome, user_id in rows), None)

    @override
    def remember_photo(self, key: str, outcome: str, user_id: str | None, other_user_id: str | None) -> None:
        other = None if other_user_id is None else self._uids([other_user_id])[other_user_id]
        name = None if user_id is None else self._keyed(user_id)
        self._changing().sql.execute(
            """INSERT INTO photos (collection, key, name_hash, other_uid, outcome) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (collection, key) DO UPDATE
            SET name_hash = excluded.name_hash, other_uid = excluded.other_uid, outcome = excluded.outcome""",
            (self._number, self._key(key), name, other, outcome),
        )

    @override
    def forget_photos(self, user_id: str | None = None) -> int:
        block, query = self._changing(), "DELETE FROM photos WHERE collection = %s"
        if user_id is None:
            gone = block.sql.execute(query, (self._number,)).rowcount
        else:
            values = self._number, self._keyed(user_id), self._uids([user_id]).get(user_id)
            gone = block.sql.execute(f"{query} AND (name_hash = %s OR other_uid = %s)", values).rowcount
        block.erased = block.erased or gone > 0
        return gone

    # ---------------------------------------------------------------- waiting photos: enrolled later

    @override
    def put_waiting(self, photos: Iterable[tuple[str, str, StoredFace]]) -> None:
        columns = ("collection", "key", "name_hash", "face_id", *PERSONAL, "vector", "jpeg")
        query = f"""INSERT INTO waiting ({", ".join(columns)}) VALUES ({", ".join(["%s"] * len(columns))})
            ON CONFLICT (collection, key) DO NOTHING"""  # noqa: S608  # constant names
        with self._changing().sql.cursor() as cursor:
            cursor.executemany(
                query,
                [
                    (
                        self._number,
                        self._key(key),
                        self._keyed(user_id),
                        uuid_bytes(stored.face.face_id),
                        *personal_columns(stored.face),
                        Vector(stored.embedding),
                        stored.thumbnail,
                    )
                    for key, user_id, stored in photos
                ],
            )

    @override
    def waiting(self, keys: Iterable[str]) -> dict[str, StoredFace]:
        hashed = {self._key(key): key for key in keys}
        query = f"""SELECT key, vector, jpeg, face_id, NULL, {_PERSONAL}
            FROM waiting WHERE collection = %s AND key = ANY(%s::bytea[])"""  # noqa: S608  # constant names
        rows = self._rows(query, self._number, list(hashed))
        vectors = self._matrix([row[1] for row in rows], "waiting")
        return {
            hashed[bytes(key)]: StoredFace(self._face(*columns), vector, jpeg and bytes(jpeg))
            for (key, _, jpeg, *columns), vector in zip(rows, vectors, strict=True)
        }

    @override
    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        block, query = self._changing(), "DELETE FROM waiting WHERE collection = %s"
        if user_ids is None:
            gone = block.sql.execute(query, (self._number,)).rowcount
        else:
            names = [self._keyed(user_id) for user_id in user_ids]
            gone = block.sql.execute(f"{query} AND name_hash = ANY(%s::bytea[])", (self._number, names)).rowcount
        block.erased = block.erased or gone > 0
        return gone

    # ---------------------------------------------------------------- answers to idempotent requests

    @override
    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        query = "SELECT answer, request = %s FROM answers WHERE collection = %s AND token = %s"
        rows = self._rows(query, self._keyed(request), self._number, self._keyed(token))
        return next(((bytes(answer).decode(), same) for answer, same in rows), None)

    @override
    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        self._changing().sql.execute(
            "INSERT INTO answers (collection, token, request, answer, given) VALUES (%s, %s, %s, %s, %s)",
            (self._number, self._keyed(token), self._keyed(request), answer.encode(), given),
        )

    @override
    def forget_answers(self, before: float) -> None:
        self._changing().sql.execute(_FORGET_ANSWERS, (self._number, before))

    # ---------------------------------------------------------------- search

    def _ready(self) -> _State:
        """Return the committed state for a search; see `Sessions.check_free`."""
        self._sessions.check_free()
        return self._committed_state()

    def _committed_state(self) -> _State:
        return self._state_of(self._sessions.ask(_STATE, self._number))

    def _search(
        self, state: _State, index: Any, names: Any, probes: FloatArray, *, max_distance: float, limit: int
    ) -> list[Ranked]:
        states = itertools.chain([state], (self._committed_state() for _ in itertools.count()))
        return search_index(
            state=lambda: next(states),
            index=index,
            update=self._update,
            contradiction=lambda: StorageFormatError(
                f"{self._sessions.name}: damaged, its tables contradict each other"
            ),
            search=lambda found: found.nearest(probes, max_distance=max_distance, limit=limit, names=names),
        )

    def _update(self, index: LiveIndex) -> None:
        with index.changing(), self.snapshot() as (rows, state):
            index.catch_up(rows, state)

    # ---------------------------------------------------------------- an index outside

    @override
    @contextlib.contextmanager
    def snapshot(self) -> Iterator[tuple[VectorRows, State]]:
        with self._sessions.committed() as sql:
            state = self._state_of(sql.execute(_STATE, (self._number,), binary=True).fetchall())
            yield ServerRows(sql, self._number, self._dimension, self._sessions.name), state

    @override
    def may_record(self) -> bool:
        return self._sessions.current is None and not self._sessions.read_only

    @override
    def record_index(self, before: IndexPosition, after: IndexPosition) -> bool:
        query = """UPDATE collections SET index_epoch = %s, index_users = %s, index_faces = %s
            WHERE id = %s AND index_epoch IS NOT DISTINCT FROM %s AND index_users = %s AND index_faces = %s"""
        with self._sessions.writing() as sql:
            values = (*attrs.astuple(after), self._number, *attrs.astuple(before))
            return sql.execute(query, values).rowcount > 0

    def _gallery(self, offsets: list[float] | None) -> Gallery:
        return Gallery(collection=self._number, dimension=self._dimension, offsets=offsets, exact=self._exact)

    def _names(self, uids: Sequence[int]) -> list[str]:
        return self._ids_of("SELECT uid, user_id FROM users WHERE uid = ANY(%s)", uids)

    def _face_ids(self, fids: Sequence[int]) -> list[str]:
        found = self._ids_of("SELECT fid, face_id FROM faces WHERE fid = ANY(%s)", fids)
        return [uuid_text(face_id) for face_id in found]

    def _ids_of(self, query: str, numbers: Sequence[int]) -> list[Any]:
        found = dict(self._sessions.ask(query, list(numbers)))
        if len(found) < len(numbers):
            raise NameGoneError
        return [found[number] for number in numbers]

    # ---------------------------------------------------------------- rows

    def _state_of(self, rows: Sequence[tuple[Any, ...]]) -> _State:
        for change, forgotten, users, faces, last_face, most_faces, schema in rows:
            if schema != self._sessions.address.schema:
                raise pooled(self._sessions.name)
            return _State(
                change=change,
                forgotten=forgotten,
                users=users,
                faces=faces,
                last_face=last_face,
                most_faces=most_faces,
            )
        name = self._entry.collection_id
        raise CollectionNotFoundError(f"{self._sessions.name}: collection {name!r} was deleted while it was open")

    def _changing(self) -> _Block:
        if self._block is None:
            raise RuntimeError("a change outside of a writing() block")
        return self._block

    def _rows(self, query: str, *values: Any) -> list[Any]:
        sql = self._sessions.current
        if sql is None:
            return self._sessions.ask(query, *values)
        return sql.execute(query, values, binary=True).fetchall()

    def _key(self, key: str) -> bytes:
        return hashlib.blake2b(bytes.fromhex(key), key=self._entry.salt, digest_size=16).digest()

    def _keyed(self, text: str) -> bytes:
        return keyed_hash(text, self._entry.salt)

    def _uids(self, user_ids: Iterable[str]) -> dict[str, int]:
        """Return the row numbers of the existing users among those ids."""
        # A join with the ids would be planned as a scan of the collection for each of them, as ids have no statistics.
        query = "SELECT user_id, uid FROM users WHERE collection = %s AND user_id = ANY(%s)"
        return dict(self._rows(query, self._number, list(user_ids)))

    def _fids(self, face_ids: Iterable[str]) -> dict[str, int]:
        """Return the row numbers of the existing faces among those ids."""
        query = "SELECT face_id, fid FROM faces WHERE collection = %s AND face_id = ANY(%s::bytea[])"
        rows = self._rows(query, self._number, [uuid_bytes(face_id) for face_id in face_ids])
        return {uuid_text(face_id): fid for face_id, fid in rows}

    def _vectors_of(self, uids: Sequence[int]) -> Iterator[tuple[int, FloatArray]]:
        """Iterate over the users that have faces, each with the vectors of its faces."""
        query = "SELECT uid, vector FROM faces WHERE uid = ANY(%s) ORDER BY uid"
        rows = self._rows(query, list(uids))
        vectors, end = self._matrix([vector for _, vector in rows], "faces"), 0
        for uid, own in itertools.groupby(uid for uid, _ in rows):
            start, end = end, end + len(list(own))
            yield uid, vectors[start:end]

    def _matrix(self, stored: Sequence[bytes], table: str) -> FloatArray:
        return matrix_of(stored, self._dimension, f"{self._sessions.name}: {table}")

    def _face(self, face_id: bytes, user_id: str | None, *columns: Any) -> Face:
        where = f"{self._sessions.name}: faces"
        return face_of(face_id, user_id, columns, face_model=self._entry.face_model, where=where)


_cursors: Final = itertools.count()


def _copy(sql: Connection, table: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows to a table; *columns* maps their names to their types."""
    query = statements.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        statements.Identifier(table), statements.SQL(", ").join(map(statements.Identifier, columns))
    )
    with sql.cursor() as cursor, cursor.copy(query) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)
