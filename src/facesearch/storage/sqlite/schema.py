"""The SQL schema of a file of collections, and the check that a file has exactly this schema.

Personal data has five tables of its own: ``user_data``, ``face_data``, ``thumbnails``, ``waiting_data`` and ``change_data``. Their rows
are only appended, overwritten with the same number of bytes, emptied in place, or deleted all at once. SQLite never moves such rows, so
no copy is left between the rows of another page, where ``secure_delete`` would not find it (measured in benchmarks/durability.py). Other tables
and indexes hold only numbers, and ids computed from content.

An untrusted file can have triggers that undo a deletion, endless views, and columns with expressions. All of these are part of the
schema, so a schema with any difference is refused before any other statement runs.
"""

import functools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from facesearch.errors import StorageFormatError, shown
from facesearch.storage.sql import VALUE
from facesearch.storage.sqlite.guarded_sql import GuardedConnection

__all__ = ["APPLICATION_ID", "FORMAT", "OLDEST_FORMAT", "SCHEMA", "STEPS", "check_schema"]

APPLICATION_ID: Final = 0x66616365  # "face", at byte 68 of the file
FORMAT: Final = 6  # SQLite's user_version; formats 1-3 are from before version 0.1.0, and not read
OLDEST_FORMAT: Final = 4
"""A file of this format lacks what `STEPS` adds. It gets it when it is opened for writing, and is read without it otherwise."""

# The text of these statements, comments and white space included, is part of the format: files hold it, and `check_schema` compares it.
_FORMAT_4: Final = (
    # One row. The salt makes the hashes of user ids differ between files; emptied counts the rows emptied since `compact`.
    # Deletions are transactions that deleted personal data; erased are those of them that are erased from the file and its log.
    (
        "CREATE TABLE file (salt BLOB NOT NULL, emptied INTEGER NOT NULL, "
        "deletions INTEGER NOT NULL DEFAULT 0, erased INTEGER NOT NULL DEFAULT 0)"
    ),
    # The secret is the key of the ids of faces and photos: see facesearch.storage.content_ids.
    """CREATE TABLE collections (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id TEXT NOT NULL UNIQUE,
        created REAL NOT NULL, -- seconds since 1970, UTC
        model_name TEXT NOT NULL,
        model_version TEXT NOT NULL,
        model_digest TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        calibration TEXT, -- JSON, where it is none that comes with the library
        thumbnails INTEGER NOT NULL, -- 1: kept
        users INTEGER NOT NULL DEFAULT 0,
        faces INTEGER NOT NULL DEFAULT 0,
        change INTEGER NOT NULL DEFAULT 0, -- the number of the last change to a user
        forgotten INTEGER NOT NULL DEFAULT 0 -- of changes up to this number no removals are listed in gone
    , secret BLOB NOT NULL DEFAULT x'')""",
    """CREATE TABLE tags (
        collection INTEGER NOT NULL REFERENCES collections,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (collection, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE users (
        uid INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        name_hash INTEGER NOT NULL,
        faces INTEGER NOT NULL,
        change INTEGER NOT NULL -- the number of the last change to it
    )""",
    "CREATE INDEX users_by_name ON users (collection, name_hash)",
    "CREATE INDEX users_by_change ON users (collection, change)",
    # SQLite adds the uid to it.
    "CREATE INDEX users_by_number ON users (collection)",
    """CREATE TABLE gone ( -- users that were removed
        uid INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL REFERENCES collections,
        change INTEGER NOT NULL
    )""",
    "CREATE INDEX gone_by_change ON gone (collection, change)",
    """CREATE TABLE faces (
        fid INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        face_id BLOB NOT NULL, -- the 16 bytes of a UUID
        uid INTEGER REFERENCES users -- NULL: nobody's
    )""",
    "CREATE UNIQUE INDEX faces_by_id ON faces (collection, face_id)",
    "CREATE INDEX faces_by_user ON faces (uid, collection)",
    """CREATE TABLE gone_faces ( -- faces that were removed
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        fid INTEGER NOT NULL
    )""",
    # Vectors are little-endian float32; that of a user without faces is all zeros.
    "CREATE TABLE user_data (uid INTEGER PRIMARY KEY, vector BLOB, user_id TEXT)",
    # A source is UTF-8, lone surrogates included, which a text of SQLite can't hold.
    """CREATE TABLE face_data (
        fid INTEGER PRIMARY KEY,
        vector BLOB,
        image_id BLOB,
        external_image_id TEXT,
        confidence REAL,
        box_left REAL,
        box_top REAL,
        box_width REAL,
        box_height REAL
    , source BLOB)""",
    "CREATE TABLE thumbnails (fid INTEGER PRIMARY KEY, jpeg BLOB)",
    """CREATE TABLE photos ( -- of folders, that were not accepted
        collection INTEGER NOT NULL REFERENCES collections,
        key BLOB NOT NULL, -- hash of the photo, whose it was to be, and the rules it was judged by
        name_hash INTEGER, -- of whose it was to be, who need not be there; NULL: nobody's
        other_uid INTEGER REFERENCES users, -- whom the outcome is about
        outcome TEXT NOT NULL, -- JSON; it names nobody
        PRIMARY KEY (collection, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX photos_by_name ON photos (collection, name_hash)",
    "CREATE INDEX photos_by_other ON photos (other_uid)",
    """CREATE TABLE waiting ( -- photos of folders whose faces are judged when all are looked at
        wid INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections,
        key BLOB NOT NULL, -- hash of the photo, whose it is to be, and how it was looked at
        name_hash INTEGER NOT NULL -- of whose it is to be, who need not be there
    )""",
    "CREATE UNIQUE INDEX waiting_by_key ON waiting (collection, key)",
    "CREATE INDEX waiting_by_name ON waiting (collection, name_hash)",
    """CREATE TABLE waiting_data (
        wid INTEGER PRIMARY KEY,
        vector BLOB,
        face_id BLOB,
        image_id BLOB,
        external_image_id TEXT,
        confidence REAL,
        source BLOB,
        box_left REAL,
        box_top REAL,
        box_width REAL,
        box_height REAL,
        jpeg BLOB
    )""",
    """CREATE TABLE answers ( -- to requests that happen once
        collection INTEGER NOT NULL REFERENCES collections,
        token BLOB NOT NULL, -- hash
        request BLOB NOT NULL, -- hash
        answer TEXT NOT NULL, -- it names neither people nor faces
        given REAL NOT NULL, -- seconds since 1970, UTC
        PRIMARY KEY (collection, token)
    ) WITHOUT ROWID""",
    "CREATE INDEX answers_by_age ON answers (collection, given)",
    "INSERT INTO file VALUES (randomblob(16), 0, 0, 0)",
)
_TO_5: Final = (
    """CREATE TABLE set_aside ( -- faces without a user that groups leave out
        fid INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL REFERENCES collections
    )""",
    "CREATE INDEX set_aside_by_collection ON set_aside (collection)",
    """CREATE TABLE changes ( -- that can be undone
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        collection INTEGER NOT NULL REFERENCES collections
    )""",
    "CREATE INDEX changes_by_collection ON changes (collection)",
    # JSON of facesearch.storage.history.
    "CREATE TABLE change_data (number INTEGER PRIMARY KEY, change TEXT)",
)
# What facesearch.storage.live_index.IndexPosition describes.
_TO_6: Final = (
    "ALTER TABLE collections ADD COLUMN index_epoch BLOB",
    "ALTER TABLE collections ADD COLUMN index_users INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE collections ADD COLUMN index_faces INTEGER NOT NULL DEFAULT 0",
)
STEPS: Final = {4: _TO_5, 5: _TO_6}
"""For each older format, the statements that make it the next one."""

SCHEMA: Final = (*_FORMAT_4, *_TO_5, *_TO_6)

_MOST_OBJECTS: Final = 200
_LONGEST: Final = 20_000  # characters of a statement


def check_schema(connection: GuardedConnection, path: Path, format_: int = FORMAT) -> None:
    """Check that the schema of a file is `SCHEMA`, or that of an older format, before any other statement has run.

    Raises
    ------
    StorageFormatError
        If an object is missing, added or different; the message names the first one.
    """
    # Longer statements are truncated, and therefore differ.
    query = "SELECT type, name, tbl_name, substr(sql, 1, ?) FROM sqlite_schema LIMIT ?"
    found = {}
    for kind, name, table, sql in connection.rows((VALUE,) * 4, query, _LONGEST, _MOST_OBJECTS):
        found[kind, name] = table, _plain(name, sql)
    expected = _expected(format_)
    if found == expected:
        return
    where = f"{path}: an SQLite file, but not of collections"
    for key in sorted(found.keys() - expected.keys(), key=repr):
        raise StorageFormatError(f"{where}: it has {_description(key)}, which facesearch does not create")
    for key in sorted(expected.keys() - found.keys()):
        raise StorageFormatError(f"{where}: it lacks {_description(key)}")
    different = next(key for key in expected if found[key] != expected[key])
    raise StorageFormatError(f"{where}: its {_description(different)} differs from the one that facesearch creates")


@functools.cache
def _expected(format_: int) -> dict[tuple[str, str], tuple[str, object]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as sql:
        for statement in (*_FORMAT_4, *(each for older in range(OLDEST_FORMAT, format_) for each in STEPS[older])):
            sql.execute(statement)
        rows = sql.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    return {(kind, name): (table, _plain(name, text)) for kind, name, table, text in rows}


def _plain(name: object, sql: object) -> object:
    # SQLite quotes the name of a renamed table, see facesearch.storage.sqlite.erasure.compact.
    quoted = f'CREATE TABLE "{name}"'
    return f"CREATE TABLE {name}{sql[len(quoted) :]}" if isinstance(sql, str) and sql.startswith(quoted) else sql


def _description(key: tuple[object, object]) -> str:
    kind, name = key
    return f"{kind if kind in {'table', 'index', 'trigger', 'view'} else 'object'} {shown(name)}"
