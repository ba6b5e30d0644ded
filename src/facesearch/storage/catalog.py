"""The catalog of collections in a file or on a PostgreSQL server: list, tag and delete collections, and erase what was deleted."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from facesearch.common.tables import Listing
from facesearch.common.validation import check_bool, check_float, check_text
from facesearch.domain.entities import COLLECTION_ID_PATTERN
from facesearch.errors import InvalidParameterError
from facesearch.files.writing import absolute
from facesearch.storage.database import MAX_TAGS, CollectionInfo, Database, check_tag, check_tags
from facesearch.storage.database_store import DatabaseStore
from facesearch.storage.server_address import Address, is_address
from facesearch.storage.sqlite.database import FileDatabase
from facesearch.storage.store import Store

__all__ = [
    "MAX_TAGS",
    "CollectionInfo",
    "attach_index",
    "change_tags",
    "check_index",
    "collection_info",
    "collection_tags",
    "collections",
    "database_of",
    "database_path",
    "delete_collection",
    "erase_deleted",
    "is_erased",
    "shown_name",
]

_LONGEST_WAIT: Final = 3600  # seconds


def database_path(path: str | os.PathLike[str]) -> Path | str:
    """Return the absolute path of a file of collections, which a later `os.chdir` does not change; an address as it is.

    Raises
    ------
    InvalidParameterError
        If *path* is neither a path nor an address.
    """
    given: Any = path  # callers may pass a value of another type than annotated
    if isinstance(given, str) and is_address(given):
        return Address.of(given).url
    name = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    # ":memory:" is SQLite's name for a database without a file.
    if not isinstance(name, str) or name in {"", ":memory:"} or "\0" in name:
        raise InvalidParameterError.of("path", path, "the path of a file")
    return absolute(name)


def shown_name(path: Path | str) -> str:
    """Return what `database_path` returned, for messages: without the password."""
    return str(path) if isinstance(path, Path) else Address.of(path).name


def database_of(
    path: str | os.PathLike[str], timeout: float, *, read_only: bool | None = False, exact: bool = True
) -> Database:
    """Return the file or server at a path or address; connections are opened on first use.

    Parameters
    ----------
    path
        The path of a file, or an address that begins with ``postgresql://``.
    timeout
        Seconds to wait for other writers.
    read_only
        Whether to refuse changes and need no write access; ``None``: only if nothing can be written.
    exact
        False: search by approximate indexes of a server.

    Raises
    ------
    MissingExtraError
        If the address needs a package that is not installed.
    InvalidParameterError
        If an argument is wrong.
    """
    given: Any = read_only
    if given is not None and not isinstance(given, bool):
        raise InvalidParameterError.of("read_only", read_only, "True, False, or None for where nothing can be written")
    where = database_path(path)
    seconds = check_float("timeout", timeout, 0, _LONGEST_WAIT)
    if isinstance(where, Path):
        if not check_bool("exact", exact):
            raise InvalidParameterError(
                "exact: expected True, as a file is always searched exactly, got False; leave it out (--approximate), or move "
                "the collection to a server by facesearch copy"
            )
        return FileDatabase(where, seconds, read_only=read_only)
    from facesearch.storage.postgres.database import PostgresDatabase  # raises MissingExtraError without its extra

    return PostgresDatabase(Address.of(where), seconds, read_only=read_only, exact=check_bool("exact", exact))


def check_index(index: str | None) -> None:
    """Check the address of an index, before anything is created.

    Raises
    ------
    MissingExtraError
        If pymilvus is not installed.
    InvalidParameterError
        If it is no address that begins with ``milvus://``.
    """
    if index is not None:
        from facesearch.storage.milvus.address import MilvusAddress  # raises MissingExtraError without its extra

        MilvusAddress.of(index)


def attach_index(store: Store, index: str, dimension: int, offset: Callable[[int], float], timeout: float) -> None:
    """Attach an index that searches in the place of a store; it is connected on first use.

    Parameters
    ----------
    store
        The store of a file or server.
    index
        An address that `check_index` accepts.
    dimension
        Length of the vectors.
    offset
        See `facesearch.storage.memory.MemoryStore`.
    timeout
        Seconds that the index's server may take to answer.
    """
    from facesearch.storage.milvus.address import MilvusAddress
    from facesearch.storage.milvus.index import MilvusIndex

    if isinstance(store, DatabaseStore):
        store.outside = MilvusIndex(store, MilvusAddress.of(index), dimension, offset, timeout)


def collections(path: str | os.PathLike[str], *, timeout: float = 10.0) -> tuple[CollectionInfo, ...]:
    """List the collections of a file or server, sorted by id; reads no vectors.

    Parameters
    ----------
    path
        The file, or the address of a server: see `facesearch.Collection.open`.
    timeout
        Seconds to wait for other writers.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageError
        And its subclasses, if the file can't be used.
    InvalidParameterError
        If an argument is wrong.
    """
    with closing(database_of(path, timeout, read_only=None)) as database:
        infos = database.infos()
    return Listing(sorted(infos, key=lambda info: info.collection_id), "collection")


def collection_info(path: str | os.PathLike[str], collection_id: str, *, timeout: float = 10.0) -> CollectionInfo:
    """Return the properties of one collection of a file; parameters and errors are those of `delete_collection`.

    Examples
    --------
    >>> import tempfile
    >>> import facesearch as fs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fs.Collection.open(f"{folder}/people.db", "staff").close()
    ...     collection_info(f"{folder}/people.db", "staff").users
    0
    """
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    with closing(database_of(path, timeout, read_only=None)) as database:
        (info,) = database.infos(collection_id)
        return info


def collection_tags(path: str | os.PathLike[str], collection_id: str, *, timeout: float = 10.0) -> dict[str, str]:
    """Return the tags of a collection, sorted by key; parameters and errors are those of `delete_collection`."""
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    with closing(database_of(path, timeout, read_only=None)) as database:
        return database.tags(collection_id)


def change_tags(
    path: str | os.PathLike[str],
    collection_id: str,
    *,
    add: Mapping[str, str] | None = None,
    remove: Iterable[str] = (),
    timeout: float = 10.0,
) -> None:
    """Add tags to a collection and remove tags, in one transaction.

    Parameters
    ----------
    path
        The file, or the address of a server: see `facesearch.Collection.open`.
    collection_id
        The id of the collection.
    add
        Values of 0-256 characters by keys of 1-128. An existing key gets the new value.
    remove
        Keys; unknown ones are ignored.
    timeout
        Seconds to wait for other writers.

    Raises
    ------
    QuotaExceededError
        If the collection would have more than 200 tags; nothing was changed.
    CollectionNotFoundError
        If there is no such file, or no such collection in it.
    StorageError
        And its subclasses, if the file can't be used; nothing was changed.
    InvalidParameterError
        If an argument is wrong.

    Notes
    -----
    Put no personal data in tags: unlike personal data, removed tags are not erased from the disk.

    Examples
    --------
    >>> import tempfile
    >>> import facesearch as fs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/people.db"
    ...     fs.Collection.create(path, "staff", tags={"site": "Oslo", "floor": "2"}).close()
    ...     change_tags(path, "staff", add={"floor": "3"}, remove=["site"])
    ...     collection_tags(path, "staff")
    {'floor': '3'}
    """
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    added, removed = check_tags("add", add or {}), [check_tag("remove", "key", key) for key in remove]
    with closing(database_of(path, timeout)) as database:
        database.change_tags(collection_id, add=added, remove=removed)


def delete_collection(path: str | os.PathLike[str], collection_id: str, *, timeout: float = 10.0) -> None:
    """Delete a collection, with all its users, faces and vectors; the file stays, even without collections.

    Parameters
    ----------
    path
        The file, or the address of a server: see `facesearch.Collection.open`.
    collection_id
        The id of the collection.
    timeout
        Seconds to wait for other writers.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file, or no such collection in it.
    StorageError
        And its subclasses, if the file can't be used; nothing was changed.
    InvalidParameterError
        If an argument is wrong.
    """
    check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
    with closing(database_of(path, timeout)) as database:
        database.delete(collection_id)


def erase_deleted(path: str | os.PathLike[str], *, timeout: float = 10.0) -> bool:
    """Erase the data of deleted people from a file and its write-ahead log; see `facesearch.Collection.erase_deleted`.

    Parameters
    ----------
    path
        The file, or the address of a server: see `facesearch.Collection.open`.
    timeout
        Seconds, 0-3600, to wait for other readers and writers.

    Returns
    -------
    bool
        Whether all deleted data is erased.

    Raises
    ------
    CollectionNotFoundError
        If there is no such file.
    StorageError
        And its subclasses, if the file can't be used.
    InvalidParameterError
        If an argument is wrong.

    Examples
    --------
    >>> import tempfile
    >>> import facesearch as fs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fs.Collection.open(f"{folder}/people.db", "staff").close()
    ...     fs.delete_collection(f"{folder}/people.db", "staff")
    ...     erase_deleted(f"{folder}/people.db")
    True
    """
    with closing(database_of(path, timeout, read_only=None)) as database:
        return database.erase(timeout).done


def is_erased(path: str | os.PathLike[str], *, timeout: float = 10.0) -> bool:
    """Check whether all deleted data is erased from a file; changes nothing.

    Parameters and errors are those of `erase_deleted`.
    """
    with closing(database_of(path, timeout, read_only=True)) as database:
        return database.is_erased()
