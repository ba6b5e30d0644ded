"""A collection in a file: open, create, close, export and import it, and erase deleted data."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike
from typing import Self

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.base import TOKEN_SECONDS, CollectionBase, check_settings
from facesearch.common.tables import Listing
from facesearch.common.validation import check_bool, check_float, check_text
from facesearch.domain.entities import COLLECTION_ID_PATTERN, FaceModel
from facesearch.errors import InvalidParameterError
from facesearch.matching.calibration import Calibration, shipped_calibrations
from facesearch.matching.calibration_choice import CalibrationChoice, check_choice, chosen, warn_unused
from facesearch.storage.catalog import attach_index, check_index, database_of
from facesearch.storage.copying import copy_content
from facesearch.storage.database import Database, Entry
from facesearch.storage.database_store import DatabaseStore
from facesearch.storage.export import Export, check_export, read_export, write_export
from facesearch.storage.live_index import IndexComparison, OutsideIndex

__all__ = ["CollectionFiles"]


class CollectionFiles(CollectionBase):
    """The operations of a collection on files."""

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        collection_id: str,
        *,
        create: bool = True,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: CalibrationChoice = None,
        thumbnails: bool | None = None,
        timeout: float = 10.0,
        read_only: bool | None = False,
        exact: bool = True,
        index: str | None = None,
    ) -> Self:
        """Open a durable collection in a file or on a PostgreSQL server, which may hold several collections.

        Parameters
        ----------
        path
            A file on a local disk. While it is open, SQLite keeps two more files beside it, ending in ``-wal`` and ``-shm``. Or the address
            of a server with pgvector, ``postgresql://user@host/database``, which several machines can share: see docs/postgresql.md.
        collection_id
            1-255 characters of ``[a-zA-Z0-9_.-]``.
        create
            Create the file and the collection if they do not exist.
        face_model, analyzer
            As for a collection in memory. An existing collection has its own face model and refuses others.
        calibration
            A calibration, or ``"file"`` for the one with which the collection was created. By default the analyzer's, or the one that
            comes with the library; if the library has none for this face model, the file's. If the file has one that is not used, a
            log message names it.
        thumbnails
            As for a collection in memory; by default as the collection was created, and False for a new one.
        timeout
            Seconds, 0-3600, to wait for other writers.
        read_only
            True needs no write access and refuses changes: for backups, read-only disks, and files of other users. Nothing is created
            then, whatever *create* is. ``None`` means True if the file or its folder can't be written, and False otherwise.
        exact
            False searches a server by pgvector's HNSW index, which is built now if it is missing. Searches are faster among millions of
            users, and can miss a user: docs/postgresql.md has figures. A file has no such index.
        index
            The address of a Milvus server, ``milvus://user:password@host:19530/database``, that searches the vectors, for more of them than
            this process can hold: see docs/milvus.md. The answers are the same. It is filled and updated by the searches.

        Returns
        -------
        Collection
            Close it after use, or use it in a ``with`` statement.

        Raises
        ------
        CollectionNotFoundError
            If the collection does not exist and is not to be created.
        FaceModelMismatchError
            If the collection has another face model.
        MissingExtraError
            If *path* is an address, and psycopg is not installed; or *index* is one, and pymilvus is not installed.
        StorageError
            And its subclasses: if the file is not of facesearch, truncated, damaged or of a newer format, if it can't be written
            (`StorageReadOnlyError`, also raised by changes to a collection that is open read-only), or if others write for longer
            than *timeout*. The file is unchanged.
        CalibrationError, InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        Changes are on disk when a method returns, even if the process is killed immediately afterwards; an interrupted change is there
        whole or not at all. Any number of threads and processes may read and write one file: each search sees all changes committed
        before. The first search reads the users' vectors into memory. docs/collections.md has more.

        Deleted data that could not be erased earlier, because another process was reading, is erased now if no process reads; see
        `erase_deleted`.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Collection.open(f"{folder}/people.db", "staff") as staff:
        ...         _ = staff.add_embedding("ada", np.full(128, 0.1))
        ...     with Collection.open(f"{folder}/people.db", "staff") as staff:
        ...         [match.user.user_id for match in staff.search_embedding(np.full(128, 0.11))]
        ['ada']
        """
        check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
        check_settings(face_model, analyzer, None)
        check_index(index)
        if index is not None and not exact:
            raise InvalidParameterError(
                "exact: expected True beside index, got False; Milvus answers exactly, pgvector approximately"
            )
        choice = _choice(calibration, analyzer)
        database = database_of(path, timeout, read_only=read_only, exact=exact)
        with ExitStack() as undo:
            undo.callback(database.close)
            entry = database.find(collection_id)
            if entry is None:
                if not create or database.read_only:
                    raise database.missing(collection_id)
                draft = cls(
                    collection_id,
                    face_model=face_model,
                    analyzer=analyzer,
                    calibration=None if choice == "file" else choice,
                    thumbnails=thumbnails or False,
                )
                entry = draft._add_to(database)
            if thumbnails is not None and thumbnails != entry.thumbnails:
                raise InvalidParameterError.of("thumbnails", thumbnails, f"{entry.thumbnails}, what it was made with")
            opened = cls(
                collection_id,
                face_model=entry.face_model,
                analyzer=analyzer,
                calibration=chosen(
                    choice,
                    entry.calibration,
                    face_model=entry.face_model,
                    origin=f"{database.name}: {collection_id}",
                ),
                thumbnails=entry.thumbnails,
            )
            opened._check_model(face_model)
            opened._use(database, entry, index, timeout)
            undo.pop_all()
        return opened

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        collection_id: str,
        *,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
        thumbnails: bool = False,
        tags: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        index: str | None = None,
    ) -> Self:
        """Create a durable collection with its tags, and open it; the file is created if needed.

        Parameters are those of `open`, but for *tags*: see `facesearch.storage.catalog.change_tags`.

        Raises
        ------
        CollectionExistsError
            If the file has a collection of that id already. If several processes create it at once, all but one get this error.
        QuotaExceededError
            If there are more than 200 tags.
        StorageError, CalibrationError, FaceModelMismatchError, InvalidParameterError
            As from `open`.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Collection.create(f"{folder}/people.db", "staff", tags={"site": "Oslo"}) as staff:
        ...         len(staff)
        0
        """
        check_index(index)
        made = cls(
            collection_id, face_model=face_model, analyzer=analyzer, calibration=calibration, thumbnails=thumbnails
        )
        database = database_of(path, timeout)
        try:
            entry = made._add_to(database, tags=tags, must_be_new=True)
            made._use(database, entry, index, timeout)
        except BaseException:
            database.close()
            raise
        return made

    def _use(self, database: Database, entry: Entry, index: str | None, timeout: float) -> None:
        self._where = f"{database.name}: collection {self._id!r}"
        self._store = database.store(entry, self.calibration.user_offset, answered_before=self._clock() - TOKEN_SECONDS)
        if index is not None:
            attach_index(self._store, index, self._face_model.dimension, self.calibration.user_offset, timeout)

    def _add_to(self, database: Database, *, tags: Mapping[str, str] | None = None, must_be_new: bool = False) -> Entry:
        return database.add(
            self._id,
            face_model=self._face_model,
            thumbnails=self._thumbnails,
            calibration=_stored_calibration(self._calibration),
            tags=tags,
            must_be_new=must_be_new,
        )

    def close(self) -> None:
        """Close the file of a durable collection; a collection in memory is unaffected.

        Each later call raises `ClosedError`. A collection that is not closed loses no data.
        """
        self._store.close()

    def erase_deleted(self, timeout: float = 10.0) -> bool:
        """Erase the data of deleted people from the file and its write-ahead log.

        A deletion does so itself, unless another process reads at that moment or the process is killed. Then the data is erased when
        the file is next opened or changed, or when the reader is done. Call this method to wait for that.

        Parameters
        ----------
        timeout
            Seconds, 0-3600, to wait for other readers and writers.

        Returns
        -------
        bool
            Whether all deleted data is erased. False: others still read or write, the disk is full, or the collection is open
            read-only. Always True in memory.

        Raises
        ------
        StorageError
            If the collection was closed.
        InvalidParameterError
            If the argument is wrong.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Collection.open(f"{folder}/people.db", "staff") as staff:
        ...         _ = staff.add_embedding("ada", np.full(128, 0.1))
        ...         staff.delete_user("ada", faces=True)
        ...         staff.erase_deleted()
        True
        """
        wait = check_float("timeout", timeout, 0, 3600)
        with self._store.reading():  # raises if the collection is closed
            pass
        return self._store.erase(wait)

    def reindex(self, *, repair: bool = True, rebuild: bool = False) -> tuple[IndexComparison, ...]:
        """Compare the index with the collection, vector by vector, and repair it.

        No search needs this: searches bring the index up to date. It repairs what somebody changed in Milvus, and removes rows
        that a killed process left.

        Parameters
        ----------
        repair
            Add what is missing and delete what should not be there; False only counts.
        rebuild
            Delete the index of this collection first, and fill a new one.

        Returns
        -------
        tuple of IndexComparison
            What differed, for users and for faces.

        Raises
        ------
        InvalidParameterError
            If the collection was opened without an index; or both *rebuild* and not *repair*.
        StorageError
            And its subclasses, if the index or the collection can't be used, or the collection is open read-only and the index is to be
            repaired.
        """
        outside = self._outside()
        if check_bool("rebuild", rebuild) and not check_bool("repair", repair):
            raise InvalidParameterError.of("repair", repair, "True where rebuild is True")
        if repair:
            with self._store.writing():  # raises if nothing can be written
                pass
        if rebuild:
            outside.rebuild()
        return Listing(outside.compare(repair=repair), "comparison")

    def drop_index(self) -> None:
        """Delete the rows of this collection in Milvus, before the collection is deleted or its index moves to another server.

        The collection is unchanged. A later search with an index fills it anew.

        Raises
        ------
        InvalidParameterError
            If the collection was opened without an index.
        StorageError
            And its subclasses, if the index or the collection can't be used, or the collection is open read-only.
        """
        outside = self._outside()
        with self._store.writing():  # raises if nothing can be written
            pass
        outside.drop()

    def _outside(self) -> OutsideIndex:
        outside = self._store.outside if isinstance(self._store, DatabaseStore) else None
        if outside is None:
            raise InvalidParameterError(
                f"index: collection {self._id!r} was opened without an index; open it with index='milvus://host:19530'"
            )
        return outside

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Export the collection to one portable file, an .npz without pickle; see `load`.

        Parameters
        ----------
        path
            The file. An earlier export is replaced when the new one is complete; it keeps its mode, and a link to it stays. A new file
            has mode 0600, since its vectors allow anyone who has it to recognise these people.
        overwrite
            Replace any other file too.

        Raises
        ------
        OutputRefusedError
            If an existing file is no export; or, even with *overwrite*, if it is a database in use or a part of one. Nothing is
            changed.
        StorageError
            And its subclasses, if the file can't be written; no partial file is left.
        """
        check_export(path, overwrite=overwrite)
        with self._store.reading():
            export = Export(
                collection_id=self._id,
                face_model=self._face_model,
                thumbnails=self._thumbnails,
                calibration=_stored_calibration(self._calibration),
                user_ids=[user_id for user_id, _ in self._store.users()],
                faces=list(self._store.stored_faces()),
                secret=self._store.secret(),
                aside=self._store.aside(),
            )
        write_export(path, export, overwrite=overwrite)

    def copy_to(self, path: str | PathLike[str], collection_id: str | None = None, *, timeout: float = 10.0) -> str:
        """Copy the collection into another file or onto a server, whole or not at all, and compare the two.

        Parameters
        ----------
        path, timeout
            See `open`.
        collection_id
            The id of the copy, which must be new or empty; by default the id of this collection.

        Returns
        -------
        str
            The SHA-256 of the users, faces, vectors and thumbnails, hex; that of the copy was computed from what was stored, and is the
            same. Tags are not copied, nor changes that can be undone.

        Raises
        ------
        InvalidParameterError
            If the copy exists and is not empty.
        StorageError
            And its subclasses, as from `open`, and if the copy differs; there is no copy then.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> staff = Collection("staff")
        >>> _ = staff.add_embedding("ada", np.full(128, 0.1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     digest = staff.copy_to(f"{folder}/people.db")
        ...     with Collection.open(f"{folder}/people.db", "staff") as copy:
        ...         copy.faces() == staff.faces()
        True
        """
        with type(self).open(
            path,
            collection_id or self._id,
            face_model=self._face_model,
            calibration=self._calibration,
            thumbnails=self._thumbnails,
            timeout=timeout,
        ) as copy:
            return copy_content(self._store, copy._store)  # noqa: SLF001  # of the same class

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        analyzer: FaceAnalyzer | None = None,
        calibration: CalibrationChoice = None,
    ) -> Self:
        """Import an export into a new collection in memory; `restore` imports it into a durable one.

        Parameters
        ----------
        path
            The file. An untrusted file may be refused, but does no harm.
        analyzer
            As for a new collection.
        calibration
            A calibration, or ``"file"`` for the one with which the collection was saved. By default the analyzer's, or the one that
            comes with the library; if the library has none for this face model, the file's. If the file has one that is not used, a
            log message names it.

        Raises
        ------
        CollectionNotFoundError
            If there is no such file.
        StorageFormatError
            If the file is no export, or damaged.
        FaceModelMismatchError
            If the analyzer has another face model.
        StorageError, CalibrationError
            If the file can't be read, or there is no calibration.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> staff = Collection("staff")
        >>> _ = staff.add_embedding("ada", np.full(128, 0.1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     staff.save(f"{folder}/staff.npz")
        ...     Collection.load(f"{folder}/staff.npz").faces() == staff.faces()
        True
        """
        check_settings(None, analyzer, None)
        choice = _choice(calibration, analyzer)
        export = read_export(path)
        loaded = cls(
            export.collection_id,
            face_model=export.face_model,
            analyzer=analyzer,
            calibration=chosen(choice, export.calibration, face_model=export.face_model, origin=str(path)),
            thumbnails=export.thumbnails,
        )
        loaded._restore(export)
        return loaded

    def restore(self, path: str | PathLike[str]) -> None:
        """Import an export into this collection, which must be empty, all or nothing.

        Parameters
        ----------
        path
            The file. Its thumbnails are left out unless this collection stores thumbnails.

        Raises
        ------
        FaceModelMismatchError
            If the export has vectors of another face model.
        InvalidParameterError
            If this collection is not empty.
        CollectionNotFoundError, StorageFormatError, StorageError
            As from `load`.
        """
        export = read_export(path)
        if export.calibration != _stored_calibration(self._calibration):
            warn_unused(export.calibration, origin=str(path))
        self._restore(export)

    def _restore(self, export: Export) -> None:
        self._check_model(export.face_model)
        with self._store.writing():
            count = self._store.count()
            if count.users or count.faces:
                raise InvalidParameterError(
                    f"path: only an empty collection can be filled from a file, "
                    f"{self._id!r} has {count.users} users and {count.faces} faces"
                )
            faces = Counter(stored.face.user_id for stored in export.faces if stored.face.user_id)
            for user_id, number in faces.items():
                self._check_quota(user_id, number)
            self._store.set_secret(export.secret)  # so that photos get the same ids as before
            self._store.create_users(export.user_ids)
            self._store.put_faces(
                stored if self._thumbnails else attrs.evolve(stored, thumbnail=None) for stored in export.faces
            )
            self._store.set_aside(export.aside, aside=True)
            self._store.refresh(faces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _choice(calibration: CalibrationChoice, analyzer: FaceAnalyzer | None) -> CalibrationChoice:
    """Return the calibration argument, or by default the analyzer's calibration, if it has one."""
    choice = check_choice(calibration)
    return analyzer.calibration if choice is None and analyzer else choice


def _stored_calibration(calibration: Calibration) -> str | None:
    """Return a calibration as JSON to be stored with a collection; ``None`` if it comes with the library."""
    return None if calibration in shipped_calibrations() else calibration.to_json()
