"""Check that the schema of a file is exactly the one that facesearch creates.

An untrusted file can have triggers that undo a deletion, endless views, and columns with expressions. All of these are part of the
schema, so a schema with any difference is refused before any other statement runs.
"""

import functools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from facesearch.errors import StorageFormatError, shown
from facesearch.storage.guarded_sql import VALUE, fetch

__all__ = ["check_schema"]

Migrations = tuple[tuple[str, ...], ...]

_MOST_OBJECTS: Final = 200
_LONGEST: Final = 20_000  # characters of a statement


def check_schema(connection: sqlite3.Connection, path: Path, migrations: Migrations) -> None:
    """Check that the schema of a file is the one that the migrations create.

    Parameters
    ----------
    connection
        A connection to the file on which no other statement has run.
    path
        The path that errors name.
    migrations
        The migrations that the file has had.

    Raises
    ------
    StorageFormatError
        If an object is missing, added or different; the message names the first one.
    """
    # Longer statements are truncated, and therefore differ.
    query = "SELECT type, name, tbl_name, substr(sql, 1, ?) FROM sqlite_schema LIMIT ?"
    found = {}
    for kind, name, table, sql in fetch(connection, (VALUE,) * 4, query, (_LONGEST, _MOST_OBJECTS)):
        found[kind, name] = table, _plain(name, sql)
    expected = _schema(migrations)
    if found == expected:
        return
    where = f"{path}: an SQLite file, but not of collections"
    for key in sorted(found.keys() - expected.keys(), key=repr):
        raise StorageFormatError(f"{where}: it has {_named(key)}, which no facesearch makes")
    for key in sorted(expected.keys() - found.keys()):
        raise StorageFormatError(f"{where}: it lacks {_named(key)}")
    different = next(key for key in expected if found[key] != expected[key])
    raise StorageFormatError(f"{where}: its {_named(different)} is another one than facesearch makes")


@functools.lru_cache(maxsize=16)
def _schema(migrations: Migrations) -> dict[tuple[str, str], tuple[str, object]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as sql:
        for step in migrations:
            for statement in step:
                sql.execute(statement)
        rows = sql.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    return {(kind, name): (table, _plain(name, text)) for kind, name, table, text in rows}


def _plain(name: object, sql: object) -> object:
    # SQLite quotes the name of a renamed table, see facesearch.storage.erasure.compact.
    quoted = f'CREATE TABLE "{name}"'
    return f"CREATE TABLE {name}{sql[len(quoted) :]}" if isinstance(sql, str) and sql.startswith(quoted) else sql


def _named(key: tuple[object, object]) -> str:
    kind, name = key
    return f"{kind if kind in {'table', 'index', 'trigger', 'view'} else 'object'} {shown(name)}"
