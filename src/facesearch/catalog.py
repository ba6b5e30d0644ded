"""Which collections a file has; how one is found, added and deleted."""

import os
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field

from facesearch._fields import check_float, check_text, is_a, is_bool, plain_int, whole
from facesearch.database import create, translated
from facesearch.erasing import clean_up, empty_faces, empty_users
from facesearch.errors import CollectionNotFoundError, InvalidParameterError, StorageFormatError
from facesearch.records import COLLECTION_ID_PATTERN, FaceModel
from facesearch.sessions import Sessions

__all__ = [
    "CollectionInfo",
    "Entry",
    "add_entry",
    "collections",
    "delete_collection",
    "find_entry",
    "missing",
    "sessions_of",
]

_LONGEST_WAIT: Final = 3600  # seconds


@attrs.frozen(kw_only=True)
class CollectionInfo:
    """A collection in a file.

    Attributes
    ----------
    collection_id
        Its id.
    users, faces
        How many it has.
    face_model
        What made its vectors.
    created
        When, in UTC.
    thumbnails
        Whether it keeps small pictures of faces.
    """

    collection_id: str = field(validator=is_a(str))
    users: int = field(converter=plain_int, validator=whole(0))
    faces: int = field(converter=plain_int, validator=whole(0))
    face_model: FaceModel = field(validator=is_a(FaceModel))
    created: datetime = field(validator=is_a(datetime))
    thumbnails: bool = field(validator=is_bool)


@attrs.frozen(kw_only=True)
class Entry:
    """What of a collection never changes.

    Attributes
    ----------
    number
        Its number in the file; that of a deleted one is not given again.
    collection_id, face_model, thumbnails
        See `CollectionInfo`.
    calibration
        JSON, see `facesearch.scoring.Calibration.to_json`; ``None`` for one that comes with the library.
    salt
        The file's, for the hashes of user ids.
    """

    number: int
    collection_id: str
    face_model: FaceModel
    thumbnails: bool
    calibration: str | None
    salt: bytes


def sessions_of(path: str | os.PathLike[str], timeout: float) -> Sessions:
    """Give connections to a file, which are opened when needed.

    Raises
    ------
    InvalidParameterError
        If an argument is wrong.
    """
    given: Any = path  # what callers pass may not be what the annotation asks for
    name = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    # ":memory:" is what SQLite calls no file at all.
    if not isinstance(name, str) or name in {"", ":memory:"} or "\0" in name:
        raise InvalidParameterError.of("path", path, "the path of a file")
    return Sessions(Path(name).absolute(), check_float("timeout", timeout, 0, _LONGEST_WAIT))


def find_entry(sessions: Sessions, collection_id: str) -> Entry | None:
    """Find a collection; ``None`` if it is not there, or the file is not.

    Raises
    ------
    StorageError
        And those under it, if the file can't be used.
    """
    try:
        with sessions.reading() as sql:
            return _find(sql, collection_id)
    except CollectionNotFoundError:  # the file is not there
        return None


def add_entry(
    sessions: Sessions, collection_id: str, *, face_model: FaceModel, thumbnails: bool, calibration: str | None
) -> Entry:
    """Add a collection, and make the file if need be; if another process was first, it is that one's.

    Raises
    ------
    StorageError
        And those under it; nothing was changed, and no file is left that was not there.
    """
    with translated(sessions.path):
        new = not sessions.path.exists()
    if new:
        create(sessions.path)
    with sessions.writing() as sql:
        sql.execute(
            """INSERT OR IGNORE INTO collections
            (collection_id, created, model_name, model_version, model_digest, dimension, calibration, thumbnails)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (collection_id, time.time(), *attrs.astuple(face_model), calibration, thumbnails),
        )
        entry = _find(sql, collection_id)
    if entry is None:
        raise StorageFormatError(f"{sessions.path}: damaged, collection {collection_id!r} was written and is not there")
    return entry


def collections(path: str | os.PathLike[str], *, timeout: float = 10.0) -> tuple[CollectionInfo, ...]:
    """Tell which collections a file has, by id; reads no vectors.

    Parameters
    ----------
    path
        The file.
    timeout
        Seconds to wait for others that write.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageError
        And those under it, if it can't be used.
    InvalidParameterError
        If an argument is wrong.
    """
    sessions = sessions_of(path, timeout)
    try:
        with sessions.reading() as sql:
            rows = sql.execute(f"SELECT users, faces, created, {_FIXED} FROM collections").fetchall()  # noqa: S608  # names of ours
    finally:
        sessions.close()
    found = []
    for users, faces, created, *fixed in rows:
        entry = _entry(b"", fixed)
        info = CollectionInfo(
            collection_id=entry.collection_id,
            users=users,
            faces=faces,
            face_model=entry.face_model,
            created=datetime.fromtimestamp(created, UTC),
            thumbnails=entry.thumbnails,
        )
        found.append(info)
    return tuple(sorted(found, key=lambda info: info.collection_id))


def delete_collection(path: str | os.PathLike[str], collection_id: str, *, timeout: float = 10.0) -> None:
    """Delete a collection, with all its users, faces and vectors; the file stays, even without collections.

    Parameters
    ----------
    path
        The file.
    collection_id
        Which.
    timeout
        Seconds to wait for others that write.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file, or no such collection in it.
    StorageError
        And those under it, if the file can't be used; nothing was changed.
    InvalidParameterError
        If an argument is wrong.
    """
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    sessions = sessions_of(path, timeout)
    try:
        with sessions.writing() as sql:
            entry = _find(sql, collection_id)
            if entry is None:
                raise missing(sessions.path, collection_id)
            number = (entry.number,)
            empty_faces(sql, [fid for (fid,) in sql.execute("SELECT fid FROM faces WHERE collection = ?", number)])
            empty_users(sql, [uid for (uid,) in sql.execute("SELECT uid FROM users WHERE collection = ?", number)])
            for table in ("photos", "faces", "users", "gone"):
                sql.execute(f"DELETE FROM {table} WHERE collection = ?", number)  # noqa: S608  # names of ours
            sql.execute("DELETE FROM collections WHERE id = ?", number)
        clean_up(sessions)
    finally:
        sessions.close()


def missing(path: Path, collection_id: str) -> CollectionNotFoundError:
    """Make the error for a collection that is not there."""
    if not path.exists():
        return CollectionNotFoundError(f"{path}: no such file")
    return CollectionNotFoundError(f"collection_id: no collection {collection_id!r} in {path}")


_FIXED: Final = "id, collection_id, thumbnails, calibration, model_name, model_version, model_digest, dimension"


def _find(sql: sqlite3.Connection, collection_id: str) -> Entry | None:
    query = f"SELECT salt, {_FIXED} FROM collections, file WHERE collection_id = ?"  # noqa: S608  # names of ours
    for salt, *fixed in sql.execute(query, (collection_id,)):
        return _entry(salt, fixed)
    return None


def _entry(salt: bytes, fixed: list[Any]) -> Entry:
    number, collection_id, thumbnails, calibration, *model = fixed
    try:
        name, version, digest, dimension = model
        face_model = FaceModel(name=name, version=version, digest=digest, dimension=dimension)
    except InvalidParameterError as error:
        raise StorageFormatError(f"collection {collection_id!r}: damaged face model ({error})") from error
    return Entry(
        number=number,
        collection_id=collection_id,
        face_model=face_model,
        thumbnails=bool(thumbnails),
        calibration=calibration,
        salt=salt,
    )
