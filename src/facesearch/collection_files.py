"""A collection in a file: opened, made, closed, saved and read back."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike
from typing import Self

import attrs

from facesearch._fields import check_text
from facesearch.analysis import FaceAnalyzer
from facesearch.catalog import Entry, add_entry, find_entry, missing, sessions_of
from facesearch.collection_base import CollectionBase
from facesearch.errors import InvalidParameterError
from facesearch.export import Export, read_export, write_export
from facesearch.records import COLLECTION_ID_PATTERN, FaceModel
from facesearch.scoring import Calibration, shipped_calibrations
from facesearch.sessions import Sessions
from facesearch.sqlite_store import SqliteStore

__all__ = ["CollectionFiles"]


class CollectionFiles(CollectionBase):
    """What a collection does with files."""

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        collection_id: str,
        *,
        create: bool = True,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
        thumbnails: bool | None = None,
        timeout: float = 10.0,
    ) -> Self:
        """Open a collection that lasts, in a file that may have several.

        Parameters
        ----------
        path
            A file on a local disk; SQLite keeps two more beside it while it is open, ending in ``-wal`` and ``-shm``.
        collection_id
            1-255 characters of ``[a-zA-Z0-9_.-]``.
        create
            Make the file, and the collection in it, where there is none.
        face_model, analyzer
            As for a collection in memory. One that is there already has its own model, and refuses others.
        calibration
            By default the analyzer's, that with which the collection was made, or what comes with the library.
        thumbnails
            As for a collection in memory; by default what the collection was made with, or no.
        timeout
            Seconds, 0-3600, to wait for others that write.

        Returns
        -------
        Collection
            Close it when done, or use it in a ``with`` statement.

        Raises
        ------
        CollectionNotFoundError
            If it is not there and shall not be made.
        FaceModelMismatchError
            If it has another face model.
        StorageError
            And those under it: if the file is none of ours, truncated, damaged or of a newer format, can't be written, or
            others write for too long. The file is left as it was.
        CalibrationError, InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        What a method has returned is on disk, even if the process is killed a moment later; what it has not is there whole or
        not at all. Any number of threads and processes may read and write one file: each search sees all that was committed
        before. Users' vectors are read into memory by the first search. docs/collections.md has more.

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
        sessions = sessions_of(path, timeout)
        with ExitStack() as undo:
            undo.callback(sessions.close)
            entry = find_entry(sessions, collection_id)
            if entry is None:
                if not create:
                    raise missing(sessions.path, collection_id)
                draft = cls(
                    collection_id,
                    face_model=face_model,
                    analyzer=analyzer,
                    calibration=calibration,
                    thumbnails=thumbnails or False,
                )
                entry = draft._add_to(sessions)
            if thumbnails is not None and thumbnails != entry.thumbnails:
                raise InvalidParameterError.of("thumbnails", thumbnails, f"{entry.thumbnails}, what it was made with")
            if calibration is None and entry.calibration and (analyzer is None or analyzer.calibration is None):
                origin = f"{sessions.path}: {collection_id}"
                calibration = Calibration.from_json(entry.calibration, face_model=entry.face_model, origin=origin)
            opened = cls(
                collection_id,
                face_model=entry.face_model,
                analyzer=analyzer,
                calibration=calibration,
                thumbnails=entry.thumbnails,
            )
            opened._check_model(face_model)
            opened._store = SqliteStore(sessions, entry, opened.calibration.user_offset)
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
    ) -> Self:
        """Make a collection that lasts, with its tags, and open it; the file is made if need be.

        Parameters are those of `open`, but for *tags*: see `facesearch.catalog.change_tags`.

        Raises
        ------
        CollectionExistsError
            If the file has a collection of that id already. Of several processes that make one, all but one get this.
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
        made = cls(
            collection_id, face_model=face_model, analyzer=analyzer, calibration=calibration, thumbnails=thumbnails
        )
        sessions = sessions_of(path, timeout)
        try:
            entry = made._add_to(sessions, tags=tags, must_be_new=True)
        except BaseException:
            sessions.close()
            raise
        made._store = SqliteStore(sessions, entry, made.calibration.user_offset)
        return made

    def _add_to(self, sessions: Sessions, *, tags: Mapping[str, str] | None = None, must_be_new: bool = False) -> Entry:
        return add_entry(
            sessions,
            self._id,
            face_model=self._face_model,
            thumbnails=self._thumbnails,
            calibration=_own(self._calibration),
            tags=tags,
            must_be_new=must_be_new,
        )

    def close(self) -> None:
        """Close the file of a collection that lasts; in memory nothing happens.

        Each later call raises `ClosedError`. A collection that is not closed loses nothing.
        """
        self._store.close()

    def save(self, path: str | PathLike[str]) -> None:
        """Write all there is in it to one portable file, an .npz without pickle; see `load`.

        Parameters
        ----------
        path
            A file that is there is replaced, when the new one is complete.

        Raises
        ------
        StorageError
            And those under it, if it can't be written; nothing is left half written.
        """
        with self._store.reading():
            export = Export(
                collection_id=self._id,
                face_model=self._face_model,
                thumbnails=self._thumbnails,
                calibration=_own(self._calibration),
                user_ids=[user_id for user_id, _ in self._store.users()],
                faces=list(self._store.stored_faces()),
            )
        write_export(path, export)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
    ) -> Self:
        """Read what `save` wrote into a collection in memory; `restore` reads it into one that lasts.

        Parameters
        ----------
        path
            The file. From somebody else it may be refused, but does no harm.
        analyzer
            As for a new collection.
        calibration
            By default the analyzer's, that with which the collection was saved, or what comes with the library.

        Raises
        ------
        CollectionNotFoundError
            If there is no such file.
        StorageFormatError
            If it is not what `save` writes, or damaged.
        FaceModelMismatchError
            If the analyzer is of another face model.
        StorageError, CalibrationError
            If something else is in the way.

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
        export = read_export(path)
        if calibration is None and export.calibration and (analyzer is None or analyzer.calibration is None):
            calibration = Calibration.from_json(export.calibration, face_model=export.face_model, origin=str(path))
        loaded = cls(
            export.collection_id,
            face_model=export.face_model,
            analyzer=analyzer,
            calibration=calibration,
            thumbnails=export.thumbnails,
        )
        loaded._restore(export)
        return loaded

    def restore(self, path: str | PathLike[str]) -> None:
        """Fill this collection, which must be empty, with what `save` wrote, all or nothing.

        Parameters
        ----------
        path
            The file. Its pictures of faces are left out unless this collection keeps them.

        Raises
        ------
        FaceModelMismatchError
            If it has vectors of another face model.
        InvalidParameterError
            If this collection is not empty.
        CollectionNotFoundError, StorageFormatError, StorageError
            As from `load`.
        """
        self._restore(read_export(path))

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
            self._store.create_users(export.user_ids)
            self._store.put_faces(
                stored if self._thumbnails else attrs.evolve(stored, thumbnail=None) for stored in export.faces
            )
            self._store.refresh(faces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _own(calibration: Calibration) -> str | None:
    """Give a calibration as it is kept with a collection: not at all if it comes with the library."""
    return None if calibration in shipped_calibrations() else calibration.to_json()
