"""The store on a PostgreSQL server, which several processes share.

Above a size, or where approximate answers are asked for, vectors are searched on the server, not in the memory of this process.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from psycopg import sql as statements
from typing_extensions import override

from facesearch.common.arrays import FloatArray
from facesearch.errors import StorageError, StorageFormatError
from facesearch.matching.vector_index import Ranked
from facesearch.storage.database import Entry
from facesearch.storage.database_store import Block, DatabaseStore
from facesearch.storage.face_rows import PERSONAL, personal_columns, uuid_bytes, uuid_text
from facesearch.storage.live_index import State, VectorRows
from facesearch.storage.postgres.connections import Sessions
from facesearch.storage.postgres.erasure import erase
from facesearch.storage.postgres.faults import pooled
from facesearch.storage.postgres.hnsw import ensure_index
from facesearch.storage.postgres.scan import Gallery, scan
from facesearch.storage.postgres.schema import FORMAT
from facesearch.storage.postgres.vectors import TABLES, Connection, ServerRows, Vector, matrix_of
from facesearch.storage.sql import BLOB, UUID_BYTES, VALUE, Kind, in_parts
from facesearch.storage.store import StoredFace

__all__ = ["PostgresStore"]

_MOST_IN_MEMORY: Final = 1_000_000
"""Vectors of users, or of faces, that a process holds in memory, 565 MiB of 128 numbers; larger collections are searched on the server.

Measured up to this number, a search in memory was 1.5 to 6 times as fast as an exact one on the server, and takes none of the server's time. What
limits it is the memory of each process, and its first search: docs/postgresql.md, "Measured".
"""

_AT_ONCE: Final = 1000  # rows written at once
_PERSONAL_TYPES: Final = ("bytea", "text", "float8", "bytea", *["float8"] * 4)
_STATE: Final = "SELECT change, forgotten, users, faces, last_face, most_faces, current_schema()::text FROM collections WHERE id = %s"
_LOCK: Final = _STATE.replace("SELECT", "SELECT (SELECT format FROM about),", 1) + " FOR NO KEY UPDATE"  # noqa: S608  # constant names


class PostgresStore(DatabaseStore):
    """A store on a PostgreSQL server.

    Unless *exact* is true, it searches on the server, by approximate indexes, which are built where they are missing.
    """

    _sessions: Sessions

    def __init__(self, sessions: Sessions, entry: Entry, offset: Callable[[int], float], *, exact: bool = True) -> None:
        super().__init__(sessions, TABLES, entry, offset)
        self._exact, self._indexed_faces = exact, False
        if not exact:
            ensure_index(sessions, "users", self._number, self._dimension)

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
                    f"{self.name}: another process brought the tables to format {rows[0][0]}; "
                    "update facesearch here too"
                )
            block = self._block = Block(
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
        """Remove answers as `forget_answers` does, unless others write at that moment or nothing can be written."""
        query = "SELECT 1 FROM answers WHERE collection = %s AND given < %s LIMIT 1"
        if self._sessions.ask(query, self._number, answered_before) and not self._sessions.read_only:
            with contextlib.suppress(StorageError), self.writing():
                self.forget_answers(answered_before)

    @override
    def erase(self, wait: float) -> bool:
        if self.outside is not None:
            self.outside.erase()
        return erase(self._sessions, wait).done

    # ---------------------------------------------------------------- users and faces

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
    def faces_of(self, user_id: str) -> frozenset[str]:
        # One question to the server, not two: each photo that is enrolled asks it.
        query = "SELECT face_id FROM faces JOIN users USING (uid) WHERE users.collection = ? AND user_id = ?"
        return frozenset(uuid_text(face_id) for (face_id,) in self._rows((UUID_BYTES,), query, self._number, user_id))

    @override
    def _search(self, kind: str, now: State, probes: FloatArray, max_distance: float, limit: int) -> list[Ranked]:
        if self._exact and (now.users if kind == "users" else now.faces) <= _MOST_IN_MEMORY:
            return super()._search(kind, now, probes, max_distance, limit)
        self._indexes[kind] = self._new_index(kind)  # the memory is no longer needed
        offsets = [self._offset(faces) for faces in range(1, now.most_faces + 1)] if kind == "users" else None
        if kind == "faces" and not self._exact and not self._indexed_faces:
            ensure_index(self._sessions, "faces", self._number, self._dimension)
            self._indexed_faces = True
        gallery = Gallery(collection=self._number, dimension=self._dimension, offsets=offsets, exact=self._exact)
        return scan(self._sessions, gallery, probes, max_distance=max_distance, limit=limit)

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

    # ---------------------------------------------------------------- changes, waiting photos and answers

    @override
    def put_change(self, change: str) -> None:
        self._change("INSERT INTO changes (collection, change) VALUES (?, ?)", self._number, change)

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
    def forget_waiting(self, user_ids: Iterable[str] | None = None) -> int:
        block, statement = self._changing(), "DELETE FROM waiting WHERE collection = ?"
        if user_ids is None:
            gone = self._change(statement, self._number)
        else:
            names = [self._hash(user_id) for user_id in user_ids]
            gone = self._change(f"{statement} AND name_hash IN (*)", self._number, names)
        block.erased |= gone > 0
        return gone

    @override
    def answer_to(self, token: str, request: str) -> tuple[str, bool] | None:
        query = "SELECT answer, request = ? FROM answers WHERE collection = ? AND token = ?"
        rows = self._rows((BLOB, VALUE), query, self._keyed(request), self._number, self._keyed(token))
        return next(((bytes(answer).decode(), same) for answer, same in rows), None)

    @override
    def remember_answer(self, token: str, request: str, answer: str, given: float) -> None:
        self._changing().sql.execute(
            "INSERT INTO answers (collection, token, request, answer, given) VALUES (%s, %s, %s, %s, %s)",
            (self._number, self._keyed(token), self._keyed(request), answer.encode(), given),
        )

    # ---------------------------------------------------------------- rows

    @override
    def _state(self, sql: Connection) -> State:
        return self._state_of(sql.execute(_STATE, (self._number,), binary=True).fetchall())

    @override
    def _committed_state(self) -> State:
        return self._state_of(self._sessions.ask(_STATE, self._number))

    def _state_of(self, rows: Sequence[tuple[Any, ...]]) -> State:
        for *columns, schema in rows:
            if schema != self._sessions.address.schema:
                raise pooled(self.name)
            return State(*columns)
        raise self._deleted()

    @override
    def _vector_rows(self, sql: Connection) -> VectorRows:
        return ServerRows(sql, TABLES, self._number, self._dimension, self.name)

    @override
    def _user_rows(self, kinds: Sequence[Kind], columns: str, user_ids: Iterable[str]) -> list[Any]:
        # A join with the ids would be planned as a scan of the collection for each of them, as ids have no statistics.
        query = f"SELECT user_id, {columns} FROM users WHERE collection = ? AND user_id IN (*)"  # noqa: S608  # constant names
        return self._among(kinds, query, user_ids, self._number)

    @override
    def _put_vectors(self, made: Mapping[int, tuple[int, FloatArray | None]]) -> None:
        block = self._changing()
        counts = [faces for faces, _ in made.values()]
        block.most_faces = max([block.most_faces, *counts])
        # One statement: as many statements as users would take six times as long.
        block.sql.execute(
            """UPDATE users SET faces = new.faces, change = %s, vector = new.vector
            FROM unnest(%s::bigint[], %s::integer[], %b::vector[]) AS new (uid, faces, vector) WHERE users.uid = new.uid""",
            (
                block.change,
                list(made),
                counts,
                [vector if vector is None else Vector(vector) for _, vector in made.values()],
            ),
        )

    @override
    def _hash(self, user_id: str) -> bytes:
        return self._keyed(user_id)

    @override
    def _read(self, vectors: Sequence[Any], kind: str, numbers: Sequence[int]) -> FloatArray:
        return matrix_of(vectors, self._dimension, f"{self.name}: {kind}")


def _copy(sql: Connection, table: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows to a table; *columns* maps their names to their types."""
    query = statements.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        statements.Identifier(table), statements.SQL(", ").join(map(statements.Identifier, columns))
    )
    with sql.cursor() as cursor, cursor.copy(query) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)
