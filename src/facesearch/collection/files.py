"""A collection in a file: opened, made, closed, saved and read back."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike
from typing import Self

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.base import TOKEN_SECONDS, CollectionBase, check_settings
from facesearch.common.validation import check_float, check_text
from facesearch.domain.entities import COLLECTION_ID_PATTERN, FaceModel
from facesearch.errors import InvalidParameterError
from facesearch.matching.calibration import Calibration, shipped_calibrations
from facesearch.matching.calibration_choice import CalibrationChoice, check_choice, chosen, warn_unused
from facesearch.storage.catalog import Entry, add_entry, find_entry, missing, sessions_of
from facesearch.storage.connections import Sessions
from facesearch.storage.export import Export, check_export, read_export, write_export
from facesearch.storage.sqlite import SqliteStore

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
        calibration: CalibrationChoice = None,
        thumbnails: bool | None = None,
        timeout: float = 10.0,
        read_only: bool | None = False,
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
            A calibration, or ``"file"`` for that with which the collection was made. By default the analyzer's, or what comes with the
            library; where nothing comes for this face model, the file's. One that is in the file and not used is named in the log.
        thumbnails
            As for a collection in memory; by default what the collection was made with, or no.
        timeout
            Seconds, 0-3600, to wait for others that write.
        read_only
            True needs no write access and refuses changes: for backups, read-only disks, and files of other users. Nothing is
            made then, whatever *create*. ``None`` is True where the file or its folder can't be written, and False elsewhere.

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
            And those under it: if the file is none of ours, truncated, damaged or of a newer format, can't be written
            (`StorageReadOnlyError`, which changes to a collection that is open read-only raise too), or others write for too
            long. The file is left as it was.
        CalibrationError, InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        What a method has returned is on disk, even if the process is killed a moment later; what it has not is there whole or
        not at all. Any number of threads and processes may read and write one file: each search sees all that was committed
        before. Users' vectors are read into memory by the first search. docs/collections.md has more.

        What an earlier deletion could not erase, because another process was reading, is erased if nobody is in the way now; see
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
        choice = check_choice(calibration)
        sessions = sessions_of(path, timeout, read_only=read_only)
        with ExitStack() as undo:
            undo.callback(sessions.close)
            entry = find_entry(sessions, collection_id)
            if entry is None:
                if not create or sessions.read_only:
                    raise missing(sessions.path, collection_id)
                draft = cls(
                    collection_id,
                    face_model=face_model,
                    analyzer=analyzer,
                    calibration=None if choice == "file" else choice,
                    thumbnails=thumbnails or False,
                )
                entry = draft._add_to(sessions)
            if thumbnails is not None and thumbnails != entry.thumbnails:
                raise InvalidParameterError.of("thumbnails", thumbnails, f"{entry.thumbnails}, what it was made with")
            opened = cls(
                collection_id,
                face_model=entry.face_model,
                analyzer=analyzer,
                calibration=_counting(
                    choice, entry.calibration, analyzer, entry.face_model, f"{sessions.path}: {collection_id}"
                ),
                thumbnails=entry.thumbnails,
            )
            opened._check_model(face_model)
            opened._keep_in(sessions, entry)
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

        Parameters are those of `open`, but for *tags*: see `facesearch.storage.catalog.change_tags`.

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
        made._keep_in(sessions, entry)
        return made

    def _keep_in(self, sessions: Sessions, entry: Entry) -> None:
        store = SqliteStore(sessions, entry, self.calibration.user_offset)
        store.tidy(self._clock() - TOKEN_SECONDS)
        self._store = store

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

    def erase_deleted(self, timeout: float = 10.0) -> bool:
        """Erase what is left of deleted people in the file and the log beside it.

        Deleting does that by itself. Only where another process reads at that moment, or the process is killed, something is
        left for later; it is erased when the file is next opened or changed, or the reader is done. Call this to wait for it.

        Parameters
        ----------
        timeout
            Seconds, 0-3600, to wait for others that read or write.

        Returns
        -------
        bool
            Whether nothing is left. False: others are still at work, the disk is full, or the collection is open read-only. In
            memory nothing is ever left.

        Raises
        ------
        StorageError
            If it was closed.
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
        with self._store.reading():  # which a closed one refuses
            pass
        return self._store.erase(wait)

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write all there is in it to one portable file, an .npz without pickle; see `load`.

        Parameters
        ----------
        path
            An earlier export is replaced, when the new one is complete; it keeps its mode, and a link to it stays. A new file
            has mode 0600: it lets whoever has it recognise these people.
        overwrite
            Replace any other file too.

        Raises
        ------
        OutputRefusedError
            If a file is there that is no export; or, whatever *overwrite* is, if it is a database in use or a part of one.
            Nothing is touched.
        StorageError
            And those under it, if it can't be written; nothing is left half written.
        """
        check_export(path, overwrite=overwrite)
        with self._store.reading():
            export = Export(
                collection_id=self._id,
                face_model=self._face_model,
                thumbnails=self._thumbnails,
                calibration=_own(self._calibration),
                user_ids=[user_id for user_id, _ in self._store.users()],
                faces=list(self._store.stored_faces()),
                secret=self._store.secret(),
            )
        write_export(path, export, overwrite=overwrite)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        analyzer: FaceAnalyzer | None = None,
        calibration: CalibrationChoice = None,
    ) -> Self:
        """Read what `save` wrote into a collection in memory; `restore` reads it into one that lasts.

        Parameters
        ----------
        path
            The file. From somebody else it may be refused, but does no harm.
        analyzer
            As for a new collection.
        calibration
            A calibration, or ``"file"`` for that with which the collection was saved. By default the analyzer's, or what comes with the
            library; where nothing comes for this face model, the file's. One that is in the file and not used is named in the log.

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
        check_settings(None, analyzer, None)
        choice = check_choice(calibration)
        export = read_export(path)
        loaded = cls(
            export.collection_id,
            face_model=export.face_model,
            analyzer=analyzer,
            calibration=_counting(choice, export.calibration, analyzer, export.face_model, str(path)),
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
        export = read_export(path)
        if export.calibration != _own(self._calibration):
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
            if export.secret is not None:  # so that photos have the ids that they had
                self._store.set_secret(export.secret)
            self._store.create_users(export.user_ids)
            self._store.put_faces(
                stored if self._thumbnails else attrs.evolve(stored, thumbnail=None) for stored in export.faces
            )
            self._store.refresh(faces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _counting(
    choice: CalibrationChoice, kept: str | None, analyzer: FaceAnalyzer | None, face_model: FaceModel, origin: str
) -> Calibration | None:
    """Return the calibration that counts; ``None`` for the analyzer's or the library's."""
    if choice is None and analyzer is not None and analyzer.calibration is not None:
        return None
    return chosen(choice, kept, face_model=face_model, origin=origin)


def _own(calibration: Calibration) -> str | None:
    """Give a calibration as it is kept with a collection: not at all if it comes with the library."""
    return None if calibration in shipped_calibrations() else calibration.to_json()
